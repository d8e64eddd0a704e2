"""Plain changes: atoms that replace atoms, and entities that go from one list to another.

Most executions make no others. `Structure` finds and stores these as well; this is its common case
in a fraction of the time, and whatever is not certain here is left to it.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from sys import getsizeof
from typing import Any, TypeAlias

from registry import ids
from registry.adoption import Adoption
from registry.changes import COMMIT_BYTES, Changes, forget_cached, rename
from registry.entity import Entity, borrowed_of, dict_of, fill, key_of, set_home, source_of
from registry.errors import StructureError
from registry.history import Cell, DictCell, ListCell, Node, Stored
from registry.ids import Key
from registry.schema import ABSENT, schema_of
from registry.tracking import TRACKED, Tracked
from registry.transaction import Transaction
from registry.tree import TreeRegistry
from registry.updates import is_complete, must_differ
from registry.values import ATOM, DICT, ENTITY, EXACT, KIND, OPAQUE, SURE, SURE_KEYS, same_atom

Deltas: TypeAlias = list[tuple[Any, Any]]
"""Cells and what happens to each: the position of an item that is taken out of a list, (position,
entity) that is put into one, or what the cell's `apply` takes, a list."""

States: TypeAlias = list[tuple[Node, tuple[Stored, ...]]]
Moves: TypeAlias = dict[Node, Node]
Places: TypeAlias = dict[Key, Node]
"""Which entity's list an entity was put into, or taken out of."""

Arrivals: TypeAlias = dict[Key, tuple[Entity, Node]]
"""New entities that hold nothing but atoms, and containers of such, with their nodes."""

Departures: TypeAlias = dict[Key, Node]
"""Entities that hold atoms only, and that nothing holds any more."""

Found: TypeAlias = tuple[Deltas, States, Moves, dict[Node, None], int, Arrivals, Departures]
"""Deltas of containers, new states, moved entities and their new parents, what changed, bytes, what
entered, what left."""

_NOBODY: tuple[Arrivals, Departures] = ({}, {})  # never written
_BYTES_PER_DELTA = 104
_SMALL = 28
"""Bytes of a small number."""
key_of_node = operator.attrgetter("key")


def find(txn: Transaction) -> Found | None:
    """Find the changes of a transaction; None if some are not plain, or there are none."""
    tree, containers = txn.tree, txn.containers
    if txn.touched or tree.nest is not None:
        return None
    moves: Moves = {}
    changed: dict[Node, None] = {}
    new, gone = _NOBODY
    deltas: Deltas = []
    size = 0
    if containers:
        if len(containers) > 1:
            deltas = _first_move(tree, containers, moves, changed)
        else:
            gone = _only_leave(txn, containers[0], deltas, changed)
        if len(containers) > len(deltas):
            looked = _look(txn, containers[len(deltas) :], deltas, moves, changed)
            if looked is None:
                return None
            new, gone = looked
        size = _BYTES_PER_DELTA * len(deltas)
    states: States = []
    if txn.writes:
        kept = _states(txn, states, changed)
        if kept < 0:
            return None
        size += kept
    if tree.is_journaled:  # looked at once, here, for what is written down when it is stored too
        if not _is_sure(deltas, states, new):
            return None
        tree.deltas = deltas
    return (deltas, states, moves, changed, size, new, gone) if changed else None


def _is_sure(deltas: Deltas, states: States, new: Arrivals) -> bool:
    """Tell whether a journal can write new values for certain; if not, `Structure` looks."""
    keys: list[Any] = []
    values: list[Any] = [
        value
        for node, state in states
        for old, value in zip(node.state, state[:-1], strict=False)
        if value is not old
    ]
    for _, node in new.values():
        for value in node.state[:-1]:
            items: Any = value.items if isinstance(value, Cell) else (value,)
            values += items.values() if type(value) is DictCell else items
            keys += items if isinstance(items, (dict, set)) else ()
    for cell, change in deltas:
        if type(change) is list and type(cell) is DictCell:
            keys += [key for key, _ in change]
            values += [value for _, value in change]
        elif type(change) is list:
            values += [each for _, _, put in change for each in put]
    return SURE.issuperset(map(type, values)) and SURE_KEYS.issuperset(map(type, keys))


def _look(
    txn: Transaction,
    containers: list[Tracked],
    deltas: Deltas,
    moves: Moves,
    changed: dict[Node, None],
) -> tuple[Arrivals, Departures] | None:
    """Add what the logs of containers did; return what entered and left, None if not plain."""
    taken: Places = {}
    put: Places = {}
    new: Arrivals = {}
    gone: Departures = {}
    for container in containers:
        log: Any = container.log
        cell = container.place
        node = cell.node
        if node is None or node.removed:
            return None
        if log:
            change = _change(txn.tree, cell, log, taken, put, new)
            if change is None:
                return None
            if change:
                deltas.append((cell, change))
                changed[node] = None
    if (taken or put) and not _settle(txn, taken, put, moves, gone):
        return None
    return new, gone


def _first_move(
    tree: TreeRegistry, containers: list[Tracked], moves: Moves, changed: dict[Node, None]
) -> Deltas:
    """Find out whether an entity was taken out of one list first, and then put into another.

    The most frequent change of all, so spelled out: it takes a third of the time that `_change` and
    `_settle` need for it.

    Returns:
        The two deltas; none if it was something else, or is not certain.
    """
    source: Any = containers[0]
    target: Any = containers[1]
    from_cell, to_cell = source.place, target.place
    if type(from_cell) is not ListCell or type(to_cell) is not ListCell:
        return []
    if len(source.log) != 1 or len(target.log) != 1:
        return []
    (at, removed, nothing), (to, none, inserted) = source.log[0], target.log[0]
    if nothing or none or len(removed) != 1 or len(inserted) != 1 or removed[0] is not inserted[0]:
        return []
    item = removed[0]
    left, parent = from_cell.node, to_cell.node
    if KIND[type(item)] is not ENTITY or left is None or parent is None:
        return []
    key, items = item.__key__, from_cell.items
    node = tree.nodes.get(key)
    if (
        node is None
        or tree.entities.get(key) is not item
        # Else something reached past the methods: Structure says what.
        or len(source) != len(items) - 1
        or items[at] != key
        or len(target) != len(to_cell.items) + 1
        or left.removed
        or parent.removed
    ):
        return []
    above: Node | None = parent
    while above is not None:  # up to the root: nothing is put into itself
        if above is node:
            return []
        above = above.parent
    if left is not parent:
        moves[node] = parent
    changed[left] = changed[parent] = None
    return [(from_cell, at), (to_cell, (to, key))]


def _only_leave(
    txn: Transaction, source: Any, deltas: Deltas, changed: dict[Node, None]
) -> Departures:
    """Find out whether an entity was taken out of a list, and return it; none if not certain.

    Spelled out as `_first_move` is: it takes a third of the time that `_look` needs for it.
    """
    tree, cell = txn.tree, source.place
    if type(cell) is not ListCell or len(source.log) != 1:
        return _NOBODY[1]
    (at, removed, inserted), left = source.log[0], cell.node
    if inserted or len(removed) != 1 or left is None or left.removed:
        return _NOBODY[1]
    item, items = removed[0], cell.items
    if KIND[type(item)] is not ENTITY:
        return _NOBODY[1]
    key = item.__key__
    node = tree.nodes.get(key)
    if (
        node is None
        or tree.entities.get(key) is not item
        or len(source) != len(items) - 1
        or items[at] != key
        or not _leaves_alone(txn, key, node)
    ):
        return _NOBODY[1]
    deltas.append((cell, at))
    changed[left] = None
    return {key: node}


def plan(txn: Transaction, now: float) -> Changes | None:
    """Find the changes of a transaction, plain or not; None if there are none.

    Raises:
        As `Transaction.plan`.
    """
    found = find(txn)
    if found is None:
        return txn.plan(now)
    deltas, states, moves, changed, size, new, gone = found
    splices = [(cell, _as_splices(change)) for cell, change in deltas]
    moved: list[tuple[Node, Any]] = list(moves.items())
    parts = (txn.tree, now, splices, states, moved, changed, COMMIT_BYTES + size)
    return PlainChanges(*parts, new, gone) if new or gone else Changes(*parts)


class PlainChanges(Changes):
    """Plain changes by which entities enter or leave the tree; see `find`."""

    def __init__(self, *parts: Any) -> None:
        *others, self.arrivals, self.gone = parts
        super().__init__(*others)

    @property
    def removed(self) -> list[Node]:
        """What leaves the tree."""
        return list(self.gone.values())

    def leaves(self, key: Key) -> bool:
        """Tell whether an entity leaves the tree."""
        return key in self.gone

    def arrives(self, key: Key) -> bool:
        """Tell whether an entity enters the tree."""
        return key in self.arrivals

    def key_of_arrival(self, entity: Entity) -> Key | None:
        """Return the key under which an entity enters the tree; None if it does not."""
        key = key_of(entity)
        known = self.arrivals.get(key)
        return key if known is not None and known[0] is entity else None

    def arriving(self) -> Iterable[tuple[Key, Entity]]:
        """Return what enters the tree, by key."""
        return [(key, entity) for key, (entity, _) in self.arrivals.items()]

    def apply(
        self, execution_id: int | str, callable_name: str, outputs: tuple[tuple[int, int], ...]
    ) -> int:
        """Store the changes as the next version and return how many entities got a new id."""
        self.tree.is_storing = True  # until add_commit
        _enter(self.tree, self.arrivals, self.now)
        self._store()
        _leave(self.tree, self.gone, self.version)
        renamed = rename(self.changed, self.version)
        gone = tuple(map(ids.plain, self.gone))
        self._commit(execution_id, callable_name, outputs, tuple(self.arrivals), gone)
        return len(self.arrivals) + renamed


def _as_splices(change: Any) -> Any:
    """Return a change in the form that a cell's `apply` takes."""
    if type(change) is int:
        return [(change, 1, ())]
    return [(change[0], 0, (change[1],))] if type(change) is tuple else change


def store(txn: Transaction, found: Found, now: float) -> int:
    """Store changes as the next version, end the transaction, and count the new ids.

    Nothing in here can fail. Cost: the change and its ancestors.
    """
    tree = txn.tree
    deltas, states, moves, changed, _, new, gone = found
    version = tree.head + 1
    tree.is_storing = True  # until add_commit
    if new:
        _enter(tree, new, now)
    for cell, change in deltas:
        kind = type(change)
        if kind is int:
            cell.take_out(version, change)
        elif kind is tuple:
            cell.put_in(version, *change)
        else:
            cell.apply(version, change)
    for node, state in states:
        node.change(version, state)
        if node.schema.cached:
            forget_cached(tree.live(node.key))
    for node, parent in moves.items():
        node.move(version, parent)
    if gone:
        _leave(tree, gone, version)
    for container in txn.containers:
        container.log = None
    tree.txn = None  # as txn.close, of a transaction that touched nothing opaque
    renamed = rename(changed, version)
    return renamed + len(new) if new else renamed


def noted(found: Found) -> tuple[Any, ...]:
    """Return what a commit keeps of changes: the last six fields of a `Commit`."""
    _, _, moves, changed, size, new, gone = found
    created = tuple(new) if new else ()
    removed = tuple(map(ids.plain, gone)) if gone else ()
    moved = tuple(map(key_of_node, moves)) if moves else ()
    keys = tuple(map(key_of_node, changed))
    return keys, created, removed, moved, (), (COMMIT_BYTES + size) >> 6


def _leave(tree: TreeRegistry, gone: Departures, version: int) -> None:
    for key, node in gone.items():
        node.move(version, None)
        node.removed = version
        tree.entities.pop(key, None)


def _enter(tree: TreeRegistry, new: Arrivals, now: float) -> None:
    """Make new entities part of the working tree. Nothing in here can fail."""
    for key, (entity, node) in new.items():
        node.created = now
        tree.nodes[key] = node
        tree.entities[key] = entity
        set_home(entity, tree)
        for name, stored in zip(node.schema.fields, node.state, strict=False):
            if KIND[type(stored)]:
                fill(entity, node.schema, name, tree.live_value(stored))


def _change(
    tree: TreeRegistry, cell: Any, log: list[Any], taken: Places, put: Places, new: Arrivals
) -> list[Any] | tuple[int, Key] | None:
    """Return what a log does to a cell, see `Deltas`, and note what moves or enters by it.

    None if it is not plain.
    """
    entities = tree.entities
    if type(cell) is DictCell:
        return _items(cell, log)
    node = cell.node
    if type(cell) is not ListCell or node is None or not is_complete(cell, log):
        return None
    splices = []
    for at, removed, inserted in log:
        stored = list(inserted)
        for places, items in ((taken, removed), (put, inserted)):
            for index, item in enumerate(items):
                if KIND[type(item)]:
                    key: Any = item.__key__ if KIND[type(item)] == ENTITY else None
                    if key in places or entities.get(key) is not item:
                        entered = _arrival(tree, item, node, new) if places is put else None
                        if entered is None:
                            return None
                        stored[index] = entered
                        continue
                    places[key] = node
                    if places is put:
                        stored[index] = key
        splices.append((at, len(removed), stored))
    if len(log) == 1 and not removed and len(stored) == 1 and type(stored[0]) is Key:
        return at, stored[0]  # which takes a cell half the time
    if (len(log) > 1 or len(removed) == len(inserted)) and not (
        _shifts_one(log) or must_differ(log)
    ):
        return None  # it may be no change
    return splices


def _arrival(tree: TreeRegistry, item: Any, parent: Node, new: Arrivals) -> Key | None:
    """Note a new entity and make its node; return its key, or None if it is not plain."""
    if KIND[type(item)] != ENTITY or item.__home__ is not None:
        return None
    schema = schema_of(type(item))
    fields = dict_of(item)
    is_fresh = item.__key__ is None
    key = key_of(item)
    if not schema.is_simple or key in tree.nodes or key in new or not _holds_atoms(fields):
        return None
    if tree.base is not None and tree.has(key):
        return None
    node = Node(key, schema, parent, tree.head + 1, 0.0)
    if not is_fresh:
        node.source = source = source_of(item)
        if source is not None and source[0] == key:
            return None  # from another version or branch: see Arrivals
        if borrowed_of(item):
            return None
    try:
        node.state = Adoption(tree.head + 1, 0.0).state(item, node)
    except StructureError:
        return None  # said by Structure, which knows the way to it
    new[key] = item, node
    return key


def _holds_atoms(fields: dict[str, Any]) -> bool:
    """Tell whether values are atoms, and ordinary containers of atoms."""
    for value in fields.values():
        kind = KIND[type(value)]
        if kind == ATOM:
            continue
        if kind in (ENTITY, OPAQUE) or type(value) in TRACKED:
            return False
        items = (*value, *value.values()) if kind == DICT else value
        if any(map(KIND.__getitem__, map(type, items))):
            return False
    return True


def _shifts_one(log: list[Any]) -> bool:
    """Tell whether a log moves one entity to another position of its list, and nothing else.

    An entity is in a list once, so then the list differs.
    """
    if len(log) != 2:
        return False
    (before, taken, none), (after, nothing, put) = log
    return (
        before != after
        and not none
        and not nothing
        and len(taken) == len(put) == 1
        and taken[0] is put[0]
        and KIND[type(put[0])] == ENTITY
    )


def _items(cell: DictCell, log: list[Any]) -> list[Any] | None:
    """Return what atoms were set under which keys; None if it is not plain."""
    for key, old, new in log:
        if KIND[type(old)] or KIND[type(new)] or new is ABSENT or KIND[type(key)]:
            return None
    items = cell.items
    changes = []
    for key, _, new in log if len(log) == 1 else {entry[0]: entry for entry in log}.values():
        if not same_atom(items.get(key, ABSENT), new):
            changes.append((key, new))
    return changes


def _settle(txn: Transaction, taken: Places, put: Places, moves: Moves, gone: Departures) -> bool:
    """Note which entities have another parent now, and which have none.

    Returns:
        False if one was put without being taken, holds itself, was moved before, or leaves with
        more than atoms.
    """
    nodes = txn.tree.nodes
    if taken.keys() != put.keys():
        if not put.keys() <= taken.keys():
            return False
        for key in taken.keys() - put.keys():
            node = nodes.get(key)
            if node is None or node in moves or not _leaves_alone(txn, key, node):
                return False
            gone[key] = node
    for key, parent in put.items():
        node = nodes.get(key)
        if node is None or node in moves:
            return False
        if node.parent is not parent:
            above: Node | None = parent
            while above is not None:
                if above.key in put or above in moves:
                    return False
                above = above.parent
            moves[node] = parent
    return True


def _leaves_alone(txn: Transaction, key: Key, node: Node) -> bool:
    """Tell whether an entity that nothing holds any more holds atoms only, and was not written."""
    wished = txn.tree.wished
    if key in txn.writes or (wished is not None and wished[0] is txn):
        return False
    return not any(map(KIND.__getitem__, map(type, node.state[:-1])))


def _states(txn: Transaction, states: States, changed: dict[Node, None]) -> int:
    """Add the new states of entities in which atoms replaced atoms.

    Returns:
        About how many bytes the old ones take; -1 if something else was written.
    """
    tree = txn.tree
    kept = 0
    for key, (entity, names) in txn.writes.items():
        node = tree.nodes.get(key) or tree.node(key)
        if node.removed or entity.__home__ is not tree:
            return -1
        schema, state, fields = node.schema, node.state, dict_of(entity)
        values: list[Stored] | None = None
        for name in names:
            index = schema.field_index.get(name)
            if index is None:
                return -1
            old, new = state[index], fields.get(name, ABSENT)
            kind = type(new)
            if kind is type(old) and kind in EXACT:  # as same_atom, for the most frequent kinds
                if old == new:
                    continue
            elif KIND[type(old)] or KIND[kind]:
                return -1
            elif same_atom(old, new):
                continue
            if values is None:
                values = list(state)
            values[index] = new
            kept += _SMALL if kind is int else getsizeof(old)
        if values is not None:
            fields_set = entity.__pydantic_fields_set__
            if len(fields_set) != len(state[-1]):  # rides along; alone it is no change of a value
                values[-1] = schema.shared_set(fields_set)
            states.append((node, tuple(values)))
            changed[node] = None
            kept += 72 + 8 * len(values)
    return kept
