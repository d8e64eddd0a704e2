"""EntityTree and EntityTreeView: the shape of one version of a tree, and its entities on demand.

The shape (see `shape.py`) is read once, when the first question needs it, and is shared by all that
are held of the same version. The entities are ghosts, as in every snapshot: what they hold is
loaded when it is read. So a view copies no tree, and a tree of ten thousand entities costs what is
looked at.

    EntityTree      its entities may be written; that changes them and nothing else
    EntityTreeView  its entities refuse every write
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NoReturn
from uuid import UUID

from registry import ids, mermaid
from registry.adoption import adopt
from registry.clock import system_clock
from registry.copies import clone, entities_in
from registry.entity import Entity, fill, key_label, key_of, label, parts
from registry.errors import NotFoundError, ReadOnlyViewError
from registry.history import Stored
from registry.ids import Key
from registry.mermaid import Box, Link
from registry.outputs import PendingOutput
from registry.retention import Retention
from registry.schema import ABSENT, EXTRA, FIELDS_SET, PRIVATE, Schema, schema_of
from registry.shape import Edge, Shape, children_in, edge_of, shape_of, state_of, title
from registry.snapshot import Snapshot, Source
from registry.tracking import Tracked
from registry.tree import TreeRegistry
from registry.values import Opaque

_FIELDS_SHOWN = 4
"""Fields that a box of a chart shows at most."""


# --- homes: what the entities that a tree gives are part of ---


class _Home(Snapshot):
    """A snapshot in which every entity is one object, as long as somebody holds it.

    Otherwise two objects of one entity could be written, each without the other's knowledge.
    """

    __slots__ = ("_made",)

    def __init__(self, source: Source, version: int) -> None:
        super().__init__(source, version)
        self._made: weakref.WeakValueDictionary[Key, Entity] = weakref.WeakValueDictionary()
        if isinstance(source, TreeRegistry):
            source.pin(self, version)

    @property
    def shown_version(self) -> int:
        """The version as users count."""
        return self.version

    def entity(self, key: Key) -> Entity:
        """Return the object of an entity; a ghost at first."""
        entity = self._made.get(key)
        if entity is None:
            entity = self._made[key] = super().entity(key)
        return entity


class _ReadOnlyHome(_Home):
    """Refuses every write, and hands out copies of all that could be written past it."""

    __slots__ = ()
    is_read_only: ClassVar[bool] = True

    def load(self, entity: Entity, name: str) -> Any:
        """Return one part of an entity's state.

        It is kept on the entity unless a write to it would go unnoticed.
        """
        schema = schema_of(type(entity))
        if name == PRIVATE:
            return self._privates(entity, schema) if schema.privates else None
        if name not in schema.index:
            return None
        stored = self.source.field_at(key_of(entity), self.version, schema.index[name])
        if name == FIELDS_SET:
            return set(stored)
        opaque: list[Any] = []
        value = self._value(stored, entity, name, opaque)
        if value is ABSENT:
            raise AttributeError(f"{type(entity).__name__!r} object has no attribute {name!r}")
        if not opaque or name == EXTRA:  # pydantic looks for extra fields on the object only
            fill(entity, schema, name, value)
        return value

    def _privates(self, entity: Entity, schema: Schema) -> dict[str, Any]:
        loaded = {}
        for name in schema.privates:
            stored = self.source.field_at(key_of(entity), self.version, schema.index[name])
            value = self._value(stored, entity, name, [])
            if value is not ABSENT:
                loaded[name] = value
        return loaded

    def whole(self, entity: Entity) -> dict[str, Any]:
        """Return all fields in declared order, in a dict of the caller's own."""
        found = {name: getattr(entity, name, ABSENT) for name in schema_of(type(entity)).fields}
        return {name: value for name, value in found.items() if value is not ABSENT}

    def note_write(self, entity: Entity, name: str) -> NoReturn:
        """Refuse a write."""
        self._refuse(f"{name!r} of {label(entity)}")

    def begin_writing(self, container: Tracked) -> NoReturn:
        """Refuse a write inside a container."""
        entity, name = container.place
        kind = type(container).__name__.removeprefix("Tracked").lower()
        self._refuse(f"the {kind} {name!r} of {label(entity)}")

    def _refuse(self, subject: str) -> NoReturn:
        root = key_label(self.source.class_of(self.source.key), self.source.key)
        raise ReadOnlyViewError(subject, root, self.version)

    def advance(self, tree: TreeRegistry, version: int, before: int, held: Entity) -> None:
        """Stay as it is: a view shows one version for ever."""


class _OrphanHome(_Home):
    """Gives copies of a graph that no tree owns, orphans like the original.

    The graph was adopted into a tree that nobody else knows, which is how it was checked.
    """

    __slots__ = ("_copies",)

    def __init__(self, source: Source, version: int) -> None:
        super().__init__(source, version)
        self._copies: dict[Key, Entity] = {}

    @property
    def shown_version(self) -> int:
        """The version as users count: an orphan has none yet."""
        return 0

    def entity(self, key: Key) -> Entity:
        """Return the copy of an entity; all of them are made when the first is asked for."""
        if not self._copies:
            original = Snapshot(self.source, self.version).entity(self.source.key)
            queue = [clone(original, keep_identity=True)]
            for entity in queue:
                self._copies[key_of(entity)] = entity
                for _, value in parts(entity, schema_of(type(entity))):
                    queue.extend(entities_in(value))
        return self._copies[key]


# --- what users hold ---


class _Nodes(Mapping[UUID, Entity]):
    """Entities by `ecs_id`, breadth first, each made when it is looked up."""

    __slots__ = ("_face",)

    def __init__(self, face: _Face) -> None:
        self._face = face

    def __getitem__(self, ecs_id: UUID) -> Entity:
        try:
            return self._face.get_entity(ecs_id)
        except NotFoundError:
            raise KeyError(ecs_id) from None

    def __contains__(self, ecs_id: object) -> bool:
        return ecs_id in self._face

    def __iter__(self) -> Iterator[UUID]:
        return iter(self._face.ecs_ids)

    def __len__(self) -> int:
        return len(self._face)

    def __repr__(self) -> str:
        return f"<{len(self)} entities of {self._face!r}>"


_NOT_OURS = Key(-1)


class _Face:
    """The questions that a tree and a view answer alike."""

    __slots__ = ("__weakref__", "_home", "_read_shape", "_version")

    def __init__(self, home: _Home) -> None:
        self._home = home
        self._version = home.version
        self._read_shape: Shape | None = None

    # --- the whole ---

    @property
    def root(self) -> Entity:
        """The root."""
        return self._entity(self._home.source.key)

    @property
    def root_ecs_id(self) -> UUID:
        """`ecs_id` of the root in this version."""
        source = self._home.source
        return ids.to_uuid(source.key, source.stamp_of(source.key, self._version))

    @property
    def lineage_id(self) -> UUID:
        """Lineage id of the root."""
        return ids.to_uuid(self._home.source.key)

    @property
    def version(self) -> int:
        """The version that is shown; 0 for the graph of an orphan."""
        return self._home.shown_version and self._version

    @property
    def node_count(self) -> int:
        """How many entities there are; at least 1."""
        return len(self._shape.spots)

    @property
    def edge_count(self) -> int:
        """How many edges there are: one less than entities, since each has one place."""
        return len(self._shape.spots) - 1

    @property
    def max_depth(self) -> int:
        """Edges from the root to the entity that is farthest below it; 0 if it is alone."""
        return next(reversed(self._shape.spots.values())).depth  # breadth first: it comes last

    @property
    def ecs_ids(self) -> tuple[UUID, ...]:
        """The `ecs_id` of every entity, breadth first. Cost: proportional to the tree."""
        return tuple([ids.to_uuid(key, spot.stamp) for key, spot in self._shape.spots.items()])

    @property
    def nodes(self) -> Mapping[UUID, Entity]:
        """Every entity by `ecs_id`, breadth first; made when it is looked up, not before."""
        return _Nodes(self)

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Every edge, in the order of the entities that they lead to.

        Cost: proportional to the tree.
        """
        shape = self._shape
        return tuple([edge for key in shape.spots if (edge := edge_of(shape, key)) is not None])

    def __len__(self) -> int:
        return self.node_count

    def __bool__(self) -> bool:
        """A tree is never empty, and asking reads nothing."""
        return True

    def __iter__(self) -> Iterator[Entity]:
        """Yield every entity breadth first, parents before children, each made when it is due."""
        return map(self._entity, self._shape.spots)

    def __contains__(self, item: object) -> bool:
        """Tell whether an `ecs_id`, or an entity in the version that it shows, is in the tree."""
        ecs_id = item.ecs_id if isinstance(item, Entity) else item
        return isinstance(ecs_id, UUID) and self._find(ecs_id) is not None

    def __repr__(self) -> str:
        source = self._home.source
        root = key_label(source.class_of(source.key), source.key)
        return f"{type(self).__name__}({root}, version {self.version})"

    # --- one entity ---

    def get_entity(self, ecs_id: UUID) -> Entity:
        """Return an entity: the same object each time, as long as it is held.

        Raises:
            NotFoundError: The tree has no entity of that id in this version.
        """
        return self._entity(self._get(ecs_id))

    def get_entity_by_lineage(self, lineage_id: UUID) -> Entity:
        """Return the entity of a lineage, whatever its `ecs_id` is in this version.

        Raises:
            NotFoundError: The tree has none in this version.
        """
        key = _key_of(lineage_id)
        if key not in self._shape.spots:
            raise NotFoundError(f"entity {lineage_id}", repr(self))
        return self._entity(key)

    def get_children(self, ecs_id: UUID) -> tuple[Entity, ...]:
        """Return what an entity holds, in the order of its fields and their containers.

        Raises:
            NotFoundError: The tree has no entity of that id in this version.
        """
        return tuple(map(self._entity, self._shape.children.get(self._get(ecs_id), ())))

    def get_parent(self, ecs_id: UUID) -> Entity | None:
        """Return what holds an entity; None for the root.

        Raises:
            NotFoundError: The tree has no entity of that id in this version.
        """
        parent = self._shape.spots[self._get(ecs_id)].parent
        return None if parent is None else self._entity(parent)

    def get_edge(self, ecs_id: UUID) -> Edge | None:
        """Return the edge that leads to an entity; None for the root.

        Raises:
            NotFoundError: The tree has no entity of that id in this version.
        """
        return edge_of(self._shape, self._get(ecs_id))

    def get_depth(self, ecs_id: UUID) -> int:
        """Return how many entities are above one; 0 for the root.

        Raises:
            NotFoundError: The tree has no entity of that id in this version.
        """
        return self._shape.spots[self._get(ecs_id)].depth

    def get_path(self, ecs_id: UUID) -> tuple[UUID, ...]:
        """Return the ids from an entity up to the root: its own first, the root's last.

        Raises:
            NotFoundError: The tree has no entity of that id in this version.

        Cost: proportional to its depth.
        """
        shape = self._shape
        return tuple([shape.ecs_id(key) for key in shape.above(self._get(ecs_id))])

    def get_path_text(self, ecs_id: UUID) -> str:
        """Return the way from the root to an entity as text: `Shop:7f3a01c9.shelves[0].items[2]`.

        Raises:
            NotFoundError: The tree has no entity of that id in this version.

        Cost: proportional to its depth.
        """
        shape = self._shape
        *way, root = shape.above(self._get(ecs_id))
        names = [
            key_label(shape.spots[root].cls, root),
            *[shape.spots[key].path for key in way[::-1]],
        ]
        return ".".join(names)

    def to_mermaid(self, limit: int = 100) -> str:
        """Return a Mermaid flowchart of the tree, as this version has it.

        A box says class, short lineage id and the first fields, abbreviated; an arrow says the
        place. Fields with `repr=False` are not shown.

        Args:
            limit: Entities that are drawn, breadth first; the last box says how many more.

        Cost: reads the state of each entity that is drawn.
        """
        shape = self._shape
        shown = {key: number for number, key in enumerate(list(shape.spots)[: max(1, limit)])}
        boxes = [
            Box(
                (title(shape, key), *_field_lines(*state_of(self._home.source, key, self._version)))
            )
            for key in shown
        ]
        links = [
            Link(shown[parent], number, mermaid.shorten(shape.spots[key].path))
            for key, number in shown.items()
            if (parent := shape.spots[key].parent) is not None
        ]
        hidden = len(shape.spots) - len(shown)
        return mermaid.flowchart(boxes, links, remainder=f"and {hidden} more" if hidden else "")

    # --- inside ---

    @property
    def _shape(self) -> Shape:
        shape = self._read_shape
        if shape is None:
            shape = self._read_shape = shape_of(self._home.source, self._version)
        return shape

    def _entity(self, key: Key) -> Entity:
        return self._home.entity(key)

    def _find(self, ecs_id: UUID) -> Key | None:
        key = _key_of(ecs_id)
        spot = self._shape.spots.get(key)
        return key if spot is not None and ids.to_uuid(key, spot.stamp) == ecs_id else None

    def _get(self, ecs_id: UUID) -> Key:
        key = self._find(ecs_id)
        if key is None:
            raise NotFoundError(f"entity {ecs_id}", repr(self))
        return key


class EntityTree(_Face):
    """The shape of one version of a tree, and its entities to read and to write.

    What its entities are written stays with them: nothing stored changes, and no other tree object.
    The shape stays that of the version. As with every snapshot, passing an entity to an execution
    commits the edits first.

    Every entity that it gave is kept, so that it is the same object each time.
    """

    __slots__ = ("_given",)

    def __init__(self, home: _Home) -> None:
        super().__init__(home)
        self._given: dict[Key, Entity] = {}

    def _entity(self, key: Key) -> Entity:
        entity = self._given.get(key)
        if entity is None:
            entity = self._given[key] = self._home.entity(key)
        return entity


class EntityTreeView(_Face):
    """The shape of one version of a tree, and its entities to read only.

    Nothing is copied: entities are made when they are asked for, load what is read, and are let go
    when nobody holds them. Each write to one raises `ReadOnlyViewError`. An opaque value (an array,
    a plain model) cannot refuse writes: it is a new copy each time it is read. To change something,
    read the tree without `read_only`, or pass an entity of the view to an execution, which works on
    the stored tree.
    """

    __slots__ = ()


def tree_at(tree: TreeRegistry, version: int) -> EntityTree:
    """Return a version of a stored tree. Cost: constant; the shape is read on first use.

    Raises:
        NotFoundError, PrunedError: The version does not exist, or is no longer kept.
    """
    home = _Home(tree, version)
    tree.check_version(version)  # once it is pinned
    return EntityTree(home)


def view_at(tree: TreeRegistry, version: int) -> EntityTreeView:
    """Return a read-only view of a version of a stored tree, as `tree_at`."""
    home = _ReadOnlyHome(tree, version)
    tree.check_version(version)  # once it is pinned
    return EntityTreeView(home)


def tree_of(entity: Entity) -> EntityTree:
    """Return the tree that an entity is part of, in the version that the entity shows.

    The whole tree, also for an entity below the root. Edits of the holder are not in it, nor what
    an open execution has written. For an orphan it is the graph below the entity, as it is now;
    nothing is adopted, and the entities are orphans too.

    Raises:
        StructureError: The graph below an orphan is not a tree, or holds an entity where it cannot
            be tracked.
    """
    home = entity.__home__
    if isinstance(home, Snapshot):
        if isinstance(home.source, PendingOutput):
            home.source.log.settle(home)
        # Not checked against retention: what is held is kept.
        return EntityTree(_Home(home.source, home.version))
    if isinstance(home, TreeRegistry):
        return EntityTree(_Home(home, home.head))
    assert home is None, "an entity is an orphan, live, or part of a snapshot"
    private = TreeRegistry(key_of(entity), Retention())
    private.nodes = adopt(entity, system_clock()).nodes
    return EntityTree(_OrphanHome(private, 1))


def _field_lines(schema: Schema, state: tuple[Stored, ...]) -> list[str]:
    """Return the first fields of an entity, abbreviated; children are what arrows are for."""
    lines = []
    for name, stored in zip(schema.fields, state, strict=False):
        info = schema.cls.model_fields[name]
        if stored is ABSENT or not info.repr or next(children_in(stored, ()), None) is not None:
            continue
        value = type(stored.value).__name__ if type(stored) is Opaque else mermaid.brief(stored)
        lines.append(f"{name} = {value}")
    if len(lines) > _FIELDS_SHOWN:
        return [*lines[:_FIELDS_SHOWN], f"and {len(lines) - _FIELDS_SHOWN} more fields"]
    return lines


def _key_of(uuid: UUID) -> Key:
    try:
        return ids.from_uuid(uuid).key
    except ValueError:
        return _NOT_OURS
