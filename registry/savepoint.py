"""Savepoint: what the open transactions of an execution had written when another began inside it.

Going back to it undoes what was written since, and only that. What a tree shows is undone by logs
and by what is stored, as in a rollback; objects that no tree knows yet, new entities and the
containers in them, are remembered as they were.

Cost: what was written until then, containers of new objects in whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from registry import values
from registry.changes import forget_cached, remove_part
from registry.entity import Entity, dict_of, fill, key_of, label, part, parts
from registry.errors import UncopyableError
from registry.ids import Key
from registry.places import matches
from registry.schema import ABSENT, FIELDS_SET, Schema, schema_of
from registry.tracking import TRACKED, Tracked, undo
from registry.transaction import Transaction, restore
from registry.tree import TreeRegistry
from registry.values import (
    ATOM,
    DICT,
    ENTITY,
    FROZENSET,
    KIND,
    LIST,
    OPAQUE,
    SET,
    TUPLE,
    same_value,
)

_CONTAINERS = frozenset({LIST, DICT, SET})


class Savepoint:
    """A point in open transactions to which they can go back.

    Args:
        txns: The transactions.
        given: New entities that what runs from here on is given.
    """

    def __init__(self, txns: Sequence[Transaction], given: Iterable[Entity] = ()) -> None:
        self._new = _NewObjects()
        self._points = [_Point(txn, self._new) for txn in txns]
        self._new.remember(given)

    @property
    def has_changed(self) -> bool:
        """Whether a tree was written since."""
        return any(point.has_changed() for point in self._points)

    def go_back(self) -> None:
        """Undo everything that was written since."""
        self._new.restore()
        for point in self._points:
            point.restore(self._new)


class _Point:
    """The savepoint of one transaction."""

    def __init__(self, txn: Transaction, new: _NewObjects) -> None:
        self.txn = txn
        tree = txn.tree  # which may still know those of a transaction that has ended
        self.wished = list(tree.wished[1]) if tree.wished and tree.wished[0] is txn else []
        self.noted = list(tree.noting[1]) if tree.noting and tree.noting[0] is txn else []
        self.lengths = [(each, len(each.log or ())) for each in txn.containers]
        self.writes: dict[Key, tuple[Entity, dict[str, Any], set[str]]] = {}
        for key, (entity, names) in txn.writes.items():
            schema = schema_of(type(entity))
            held = {name: part(entity, schema, name) for name in names}
            self.writes[key] = (entity, held, set(entity.__pydantic_fields_set__))
            new.remember(held.values())
        for container in txn.containers:
            new.remember(_inserted(container))
        self.touched = len(txn.touched)
        self.shown = {
            (id(entity), name): part(entity, schema_of(type(entity)), name)
            for entity, name in txn.touched
        }
        self.opaque = [
            (*place, _copied(place[2], entity))
            for entity, name in txn.touched
            for place in _opaque_in(entity, name)
        ]

    def has_changed(self) -> bool:
        txn = self.txn
        return (
            any(len(each.log or ()) > length for each, length in self.lengths)
            or any(not same_value(value, kept) for _, _, value, kept in self.opaque)
            or any(
                part(entity, schema_of(type(entity)), name) is not value
                for entity, held, _ in self.writes.values()
                for name, value in held.items()
            )
            or _differs(txn, len(self.lengths), self.touched, self.writes)
        )

    def restore(self, new: _NewObjects) -> None:
        txn, tree = self.txn, self.txn.tree
        tree.wished, tree.noting = (txn, self.wished), (txn, self.noted)
        for container, length in self.lengths:
            _go_back(tree, container, length)
        for container in txn.containers[len(self.lengths) :]:
            restore(tree, container)
            container.log = None
        del txn.containers[len(self.lengths) :]
        for key, (entity, names) in txn.writes.items():
            _, held, fields_set = self.writes.get(key, (entity, {}, None))
            self._restore_entity(entity, names, held, fields_set, new)
        txn.writes = {key: (entity, set(held)) for key, (entity, held, _) in self.writes.items()}
        # What was first read since is read again when it is wanted.
        later, txn.touched = txn.touched[self.touched :], txn.touched[: self.touched]
        tree.drop_opaque([place for place in later if self._is_first_shown(*place)])
        for holder, key, value, kept in self.opaque:
            if not same_value(value, kept):
                _put_back(holder, key, kept)

    def _is_first_shown(self, entity: Entity, name: str) -> bool:
        """Tell whether a field holds opaque values that were not at hand before.

        What was borrowed into another field has been put back already.
        """
        key = key_of(entity)
        if (id(entity), name) in self.shown or entity.__home__ is not self.txn.tree:
            return False
        held = self.writes[key][1] if key in self.writes else {}
        return name not in held and name in (self.txn.tree.node(key).opaque or ())

    def _restore_entity(
        self,
        entity: Entity,
        names: set[str],
        held: dict[str, Any],
        fields_set: set[str] | None,
        new: _NewObjects,
    ) -> None:
        tree, schema = self.txn.tree, schema_of(type(entity))
        node = tree.node(key_of(entity))
        for name in names:
            if name in held:
                _put(entity, schema, name, new.as_it_was(held[name]))
            elif (id(entity), name) in self.shown:
                _put(entity, schema, name, self.shown[id(entity), name])
            elif node.opaque and name in node.opaque:
                self.txn.touched = [*self.txn.touched, (entity, name)]  # dropped at once
            elif name in schema.index:
                _put(entity, schema, name, tree.live_value(node.state[schema.index[name]]))
        fill(entity, schema, FIELDS_SET, set(node.state[-1]) if fields_set is None else fields_set)
        if schema.cached:
            forget_cached(entity)


def has_written(txn: Transaction) -> bool:
    """Tell whether anything in the tree of a transaction is another value than stored."""
    return _differs(txn, 0, 0, {})


def _differs(
    txn: Transaction, containers: int, touched: int, known: Mapping[Key, tuple[Entity, Any, Any]]
) -> bool:
    """Tell whether something is another value than stored, beside what was written before.

    Args:
        txn: The transaction.
        containers: How many of its containers, the first ones, do not count.
        touched: How many of the opaque values that were handed out do not.
        known: Entities with the names of fields that do not, in the second item.
    """
    written = [
        (entity, name)
        for key, (entity, names) in txn.writes.items()
        for name in names - set(known[key][1] if key in known else ())
    ]
    return any(
        name != FIELDS_SET
        and entity.__home__ is txn.tree
        and not _is_stored(txn.tree, entity, name)
        for entity, name in (*written, *txn.touched[touched:])
    ) or any(
        each.home is txn.tree and bool(each.log) and not matches(each, each.place)
        for each in txn.containers[containers:]
    )


def _is_stored(tree: TreeRegistry, entity: Entity, name: str) -> bool:
    """Tell whether a part of a live entity is what is stored of it."""
    node = tree.node(key_of(entity))
    return matches(part(entity, node.schema, name), node.state[node.schema.index[name]])


class _NewObjects:
    """Objects that no tree knows yet, as they were: entities, plain containers, opaque values."""

    def __init__(self) -> None:
        self._entities: dict[int, tuple[Entity, list[tuple[str, Any]], set[str]]] = {}
        self._containers: dict[int, tuple[Any, Any]] = {}
        self._opaque: dict[int, tuple[Any, Any]] = {}

    def remember(self, found: Iterable[Any]) -> None:
        """Remember the new objects among values, and those that they hold."""
        stack = list(found)
        while stack:
            value = stack.pop()
            kind = KIND[type(value)]
            if kind == ATOM or id(value) in self._known(kind):
                continue
            if kind == ENTITY:
                if value.__home__ is None:
                    held = list(parts(value, schema_of(type(value))))
                    fields_set = set(value.__pydantic_fields_set__)
                    self._entities[id(value)] = (value, held, fields_set)
                    stack.extend(each for _, each in held)
            elif kind in (TUPLE, FROZENSET):
                stack.extend(value)
            elif kind == OPAQUE:
                self._opaque[id(value)] = (value, _copied(value, value))
            elif type(value) not in TRACKED or value.home is None:
                kept = value.copy()
                self._containers[id(value)] = (value, kept)
                stack.extend(kept.values() if kind == DICT else kept)

    def _known(self, kind: int) -> dict[int, Any]:
        if kind == ENTITY:
            return self._entities
        return self._containers if kind in _CONTAINERS else self._opaque

    def restore(self) -> None:
        """Bring them back to what they were."""
        for container, kept in self._containers.values():
            if isinstance(container, list):
                list.__setitem__(container, slice(None), [self.as_it_was(each) for each in kept])
            elif isinstance(container, dict):
                dict.clear(container)
                dict.update(container, {key: self.as_it_was(each) for key, each in kept.items()})
            else:
                set.clear(container)
                set.update(container, kept)
        for entity, held, fields_set in self._entities.values():
            schema = schema_of(type(entity))
            dict_of(entity).clear()
            for name, value in held:
                _put(entity, schema, name, self.as_it_was(value))
            fill(entity, schema, FIELDS_SET, fields_set)

    def as_it_was(self, value: Any) -> Any:
        """Return a value, or the copy of one that was changed in a way that cannot be undone."""
        known = self._opaque.get(id(value))
        return value if known is None or same_value(*known) else known[1]


def _inserted(container: Tracked) -> list[Any]:
    """Return what was put into a container by the open transaction."""
    log: Any = container.log or ()
    if isinstance(container, list):
        return [item for _, _, inserted in log for item in inserted]
    if isinstance(container, dict):
        return [new for _, _, new in log]
    return [item for item, added in log if added]


def _go_back(tree: TreeRegistry, container: Any, length: int) -> None:
    """Take back what a container's log says since it had a length."""
    log, cell = container.log, container.place
    later = log[length:]
    if not later:
        return
    del log[length:]
    if not isinstance(container, dict):
        undo(container, later)
        return
    as_it_was = {key: tree.live_value(stored) for key, stored in cell.items.items()}
    for key, _, new in log:  # in order: a key that is deleted and set again is the last one
        if new is ABSENT:
            del as_it_was[key]
        else:
            as_it_was[key] = new
    dict.clear(container)
    dict.update(container, as_it_was)


def _opaque_in(entity: Entity, name: str) -> Iterator[tuple[Any, Any, Any]]:
    """Yield (holder, key, value) of the opaque values in a field, in lists and dicts too."""
    stack: list[tuple[Any, Any, Any]] = [
        (entity, name, part(entity, schema_of(type(entity)), name))
    ]
    while stack:
        holder, key, value = stack.pop()
        kind = KIND[type(value)]
        if kind == OPAQUE and value is not ABSENT:
            yield holder, key, value
        elif kind == LIST:
            stack.extend((value, index, item) for index, item in enumerate(value))
        elif kind == DICT:
            stack.extend((value, each, item) for each, item in value.items())


def _put_back(holder: Any, key: Any, value: Any) -> None:
    if isinstance(holder, Entity):
        fill(holder, schema_of(type(holder)), key, value)
    elif isinstance(holder, list):
        list.__setitem__(holder, key, value)
    else:
        dict.__setitem__(holder, key, value)


def _put(entity: Entity, schema: Schema, name: str, value: Any) -> None:
    if value is ABSENT:
        remove_part(entity, name)
    else:
        fill(entity, schema, name, value)


def _copied(value: Any, holder: Any) -> Any:
    def place() -> str:
        return label(holder) if isinstance(holder, Entity) else f"a {type(holder).__name__}"

    try:
        return values.copy_opaque(value, place)
    except (values.EntityInside, UncopyableError):
        return value  # the commit refuses it, if it is still there
