"""Places: what an execution wrote, and which lists, dicts and sets left their places by it.

A place is a field of an entity, or a position in a container. A list, dict or set is a value of
its place: it stays there and its log tells what changed in it, or it is stored anew at another
place by what it holds, and what it held before has left.

What entities did is not looked at here: `balance.py` counts them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from registry.entity import Entity, key_label, key_of, part
from registry.history import Cell, DictCell, ListCell, SetCell, Stored, cells_in, same_stored
from registry.ids import Key
from registry.schema import EXTRA
from registry.tracking import TRACKED, Tracked
from registry.tree import TreeRegistry
from registry.values import DICT, ENTITY, KIND, LIST, OPAQUE, SET, Opaque, same_value

CONTAINERS = frozenset({LIST, DICT, SET})


class Writes(Protocol):
    """What a transaction wrote; see `Transaction`."""

    tree: TreeRegistry
    writes: dict[Key, tuple[Entity, set[str]]]
    containers: list[Tracked]
    touched: list[tuple[Entity, str]]


class Places:
    """What was written, and which containers are still at their place.

    Attributes:
        tree: The tree.
        writes: Entities with parts that were assigned, and the names of those. A changed opaque
            value counts as assigned.
        containers: Lists, dicts and sets with a log, also those that are in no tree any more.
        displaced: Cells of containers that are no longer at their place, by `id`.
    """

    def __init__(self, txn: Writes) -> None:
        self.tree = txn.tree
        self.writes = dict(txn.writes)
        self.containers = txn.containers
        self.displaced: dict[int, Cell] = {}
        self._touched = txn.touched
        self._beside_opaque: set[int] = set()

    def look(self) -> None:
        """Find what was written and what was displaced. Everything else here comes after it."""
        self._see_opaque()
        self._see_left_fields()
        self._see_left_containers()

    def _see_opaque(self) -> None:
        """Turn every opaque value that was handed out and changed into a write of its field."""
        for entity, name in self._touched:
            if entity.__home__ is not self.tree:
                continue
            node = self.tree.node(key_of(entity))
            stored = node.state[node.schema.index[name]]
            self._beside_opaque.update(id(cell) for cell in cells_in(stored))
            written = self.writes.get(node.key)
            if written is not None and name in written[1]:
                continue
            if not matches(part(entity, node.schema, name), stored):
                self.writes.setdefault(node.key, (entity, set()))[1].add(name)

    def _see_left_fields(self) -> None:
        """Find the containers that an assignment put out of their field."""
        for _, stored, value in self.written():
            held = {id(item) for item in flat([value])}
            for cell in flat([stored]):
                if isinstance(cell, Cell) and (
                    cell.live is None or id(cell.live) not in held or self.is_beside_opaque(cell)
                ):
                    self.displace(cell)

    def _see_left_containers(self) -> None:
        """Find the containers that were taken out of another one, and not put back."""
        for container, outer, taken, _ in self.logged():
            for item in flat(taken):
                inner = self.cell_of(item)
                if inner is not None and inner.up is outer and not _holds(container, item):
                    self.displace(inner)

    def displace(self, cell: Cell) -> None:
        """Note that a container and all that are nested in it are no longer at their place."""
        for inner in cells_in(cell):
            self.displaced[id(inner)] = inner

    def written(self) -> Iterator[tuple[Entity, Stored, Any]]:
        """Yield (entity, stored value, value now) for every written part of members."""
        for entity, names in self.writes.values():
            if entity.__home__ is self.tree:
                node = self.tree.node(key_of(entity))
                for name in names & node.schema.index.keys():
                    stored = node.state[node.schema.index[name]]
                    yield entity, stored, part(entity, node.schema, name)

    def logged(self) -> Iterator[tuple[Tracked, Cell, Any, Any]]:
        """Yield (container, its cell, taken out, put in) for each change in a log that counts."""
        for container in self.containers:
            cell = self.cell_of(container)
            if cell is not None:
                for taken, put in _log_values(container):
                    yield container, cell, taken, put

    def values_in(self, entity: Entity) -> Iterator[Any]:
        """Yield what each part of a member holds in the end.

        The value of the object if it was written, the stored one if not.
        """
        node = self.tree.node(key_of(entity))
        names = self.writes[node.key][1] if node.key in self.writes else frozenset[str]()
        for name, stored in zip(node.schema.names[:-1], node.state[:-1], strict=True):
            yield part(entity, node.schema, name) if name in names else stored

    def cell_of(self, container: Any) -> Cell | None:
        """Return the cell of a container that stayed at its place in this tree."""
        if type(container) not in TRACKED or container.home is not self.tree:
            return None
        cell: Cell = container.place
        if cell.node is None or cell.node.removed:
            return None
        return None if self.is_beside_opaque(cell) or id(cell) in self.displaced else cell

    def is_beside_opaque(self, cell: Cell) -> bool:
        """Tell whether a container shares its field with an opaque value that was handed out.

        Its log does not count then: the field is compared as a whole.
        """
        return id(cell) in self._beside_opaque

    def has_opaque(self) -> bool:
        """Tell whether there is any such container."""
        return bool(self._beside_opaque)

    def still_is(self, live: Any, stored: Stored) -> bool:
        """Tell whether a live value is what is stored: the container itself, or the same content.

        Cost: the value, unless it is a container at its place.
        """
        cell = self.cell_of(live)
        return (cell is not None and cell is stored) or matches(live, stored)

    def name_of(self, container: Any) -> str:
        """Name a container in a message, by the field that it is in if it is in one."""
        cell = self.cell_of(container)
        if cell is None or cell.node is None:
            return f"a {type(container).__name__}"
        return f"{field_of(cell)!r} of {key_label(cell.node.schema.cls, cell.node.key)}"


def field_of(cell: Cell) -> str:
    """Return the name of the part of an entity's state that a container of the tree is in."""
    while cell.up is not None:
        cell = cell.up
    node = cell.node
    assert node is not None, "only containers in the tree are stored"
    for name, stored in zip(node.schema.names, node.state, strict=True):
        if stored is cell or any(each is cell for each in cells_in(stored)):
            return str(name)
    return EXTRA


def flat(values: Any) -> Iterator[Any]:
    """Yield the values that are no atoms, and for a tuple or frozenset what is in it."""
    rest = list(values)[::-1]  # no recursion: what is put may be nested deeper than is allowed
    while rest:
        value = rest.pop()
        if type(value) in (tuple, frozenset):
            rest.extend(list(value)[::-1])
        elif KIND[type(value)] or isinstance(value, Cell):
            yield value


def items_of(held: Any) -> Any:
    """Return the values of a dict, and the items of any other container."""
    return held.values() if isinstance(held, dict) else held


def _holds(container: Any, item: Any) -> bool:
    """Tell whether a container holds the very object, also inside tuples. Cost: the container."""
    return any(each is item for each in flat(items_of(container)))


def _log_values(container: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (taken out, put in) for each change in a container's log."""
    log = container.log
    if isinstance(container, list):
        for _, removed, inserted in log:
            yield removed, inserted
    elif isinstance(container, dict):
        for _, old, new in log:
            yield (old,), (new,)
    else:
        for item, added in log:
            yield ((), (item,)) if added else ((item,), ())


def matches(live: Any, stored: Stored) -> bool:
    """Tell whether a live value that may hold opaque ones still is what is stored."""
    kind = KIND[type(live)]
    if isinstance(stored, Opaque):
        return kind == OPAQUE and same_value(live, stored.value)
    if kind == ENTITY:
        return type(stored) is Key and key_of(live) == stored
    if isinstance(stored, DictCell):
        return isinstance(live, dict) and _same_pairs(live, stored.items)
    if isinstance(stored, ListCell) or type(stored) is tuple:
        items = stored.items if isinstance(stored, ListCell) else stored
        return isinstance(live, list | tuple) and _same_items(live, items)
    if isinstance(stored, SetCell) or type(stored) is frozenset:
        members = stored.items if isinstance(stored, SetCell) else stored
        return isinstance(live, set | frozenset) and _same_members(live, members)
    return same_stored(live, stored)


def _same_pairs(live: dict[Any, Any], stored: dict[Any, Stored]) -> bool:
    return list(live) == list(stored) and all(map(matches, live.values(), stored.values()))


def _same_items(live: Any, stored: Any) -> bool:
    return len(live) == len(stored) and all(map(matches, live, stored))


def _same_members(live: Any, stored: Any) -> bool:
    return len(live) == len(stored) and all(
        (key_of(item) if KIND[type(item)] == ENTITY else item) in stored for item in live
    )
