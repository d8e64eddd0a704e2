"""Sources: fields that are copies of fields of other entities, and where those came from.

What was borrowed is noted on an orphan, in the open transaction of a live entity, or beside the
edits of a snapshot, and stored beside the history of its tree. A source is told as long as the
field is as it was borrowed.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

from registry.addressed import field_names
from registry.assignment import assign, source_for
from registry.copies import clone
from registry.entity import Entity, key_of, label, note_borrowed, part, source_of
from registry.errors import NotFoundError
from registry.ids import to_uuid
from registry.schema import schema_of
from registry.semantics import present
from registry.snapshot import Snapshot
from registry.tree import TreeRegistry


class Dependencies(NamedTuple):
    """What an entity was made of.

    Attributes:
        entity: Its `ecs_id`.
        derived_from: `ecs_id` of what it was copied from, if it was: by a function, or on its way
            to another tree.
        attributes: Where borrowed fields came from, as `attribute_source`.
        entities: All `ecs_id`s in these, each once, in order.
    """

    entity: UUID
    derived_from: UUID | None
    attributes: dict[str, Any]
    entities: list[UUID]


def dependencies(entity: Entity) -> Dependencies:
    """Return what an entity was made of. Cost: that of its identity."""
    attributes = entity.attribute_source
    home = entity.__home__
    tree: Any = home.source if isinstance(home, Snapshot) else home
    if tree is None:
        source = source_of(entity)
    elif isinstance(tree, TreeRegistry):
        version = home.version if isinstance(home, Snapshot) else tree.head
        found = tree.find_node(key_of(entity), version)
        source = None if found is None else found[0].source
    else:
        source = None
    derived = None if source is None else to_uuid(*source)
    every = [*([] if derived is None else [derived]), *ids_in(attributes)]
    return Dependencies(entity.ecs_id, derived, attributes, list(dict.fromkeys(every)))


def ids_in(sources: Any) -> list[UUID]:
    """Return the ids in sources, in order."""
    if isinstance(sources, UUID):
        return [sources]
    items = sources.values() if isinstance(sources, dict) else sources or ()
    return [each for item in items for each in ids_in(item)]


def borrow(self: Entity, source: Entity, source_field: str, own_field: str) -> None:
    """Copy a field of another entity to an own one, and remember where it came from.

    Nothing is shared: containers are copies, entities new ones. On a snapshot it is an edit; in a
    callable it becomes part of the version. `attribute_source` tells the source until the field
    changes.

    Raises:
        NotFoundError: There is no such field.
        ArgumentError: The value does not fit the own field; nothing has changed.
    """
    for entity, name in ((source, source_field), (self, own_field)):
        if name not in field_names(entity):
            known = ", ".join(field_names(entity)) or "none"
            raise NotFoundError(f"field {name!r}", f"{label(entity)} (fields: {known})")
    value = copied(getattr(source, source_field))
    assign(self, own_field, value, "borrow_attribute_from")
    note(self, own_field, source_for(value, source.ecs_id))


def copied(value: Any) -> Any:
    """Return a copy of a value; entities in it are new ones."""
    return present(value, lambda entity: clone(entity, keep_identity=False))


def note(entity: Entity, name: str, source: Any) -> None:
    """Note where a field came from that was just assigned."""
    home = entity.__home__
    value = part(entity, schema_of(type(entity)), name)
    if home is None:
        note_borrowed(entity, {name: (source, value)})
    elif isinstance(home, (Snapshot, TreeRegistry)):
        home.note_borrowed(entity, name, source)
