"""Plain changes: atoms that replace atoms, and entities that go from one list to another.

Most executions make no others. `Structure` finds and stores these as well; this is its common case
in a fraction of the time, and whatever is not certain here is left to it.
"""

from __future__ import annotations

import operator
from sys import getsizeof
from typing import Any, TypeAlias

from registry.changes import COMMIT_BYTES, Changes, forget_cached, rename
from registry.entity import Entity, dict_of
from registry.history import DictCell, ListCell, Node, Stored
from registry.ids import Key
from registry.schema import ABSENT
from registry.tracking import Tracked
from registry.transaction import Transaction
from registry.tree import TreeRegistry
from registry.updates import is_complete, must_differ
from registry.values import ENTITY, EXACT, KIND, same_atom

Deltas: TypeAlias = list[tuple[Any, Any]]
"""Cells and what happens to each: the position of an item that is taken out of a list, (position,
entity) that is put into one, or what the cell's `apply` takes, a list."""

States: TypeAlias = list[tuple[Node, tuple[Stored, ...]]]
Moves: TypeAlias = dict[Node, Node]
Places: TypeAlias = dict[Key, Node]
"""Which entity's list an entity was put into, or taken out of."""

Found: TypeAlias = tuple[Deltas, States, Moves, dict[Node, None], int]
"""Deltas of containers, new states, moved entities and their new parents, what changed, bytes."""

_BYTES_PER_DELTA = 104
_SMALL = 28
"""Bytes of a small number."""
key_of_node = operator.attrgetter("key")


def find(txn: Transaction) -> Found | None:
    """Find the changes of a transaction; None if some are not plain, or there are none."""
    if txn.touched:
        return None
    tree, containers = txn.tree, txn.containers
    moves: Moves = {}
    changed: dict[Node, None] = {}
    deltas = _first_move(tree, containers, moves, changed) if len(containers) > 1 else []
    taken: Places = {}
    put: Places = {}
    for container in containers[len(deltas) :] if deltas else containers:
        log: Any = container.log
        cell = container.place
        node = cell.node
        if node is None or node.removed:
            return None
        if log:
            change = _change(cell, log, tree.entities, taken, put)
            if change is None:
                return None
            if change:
                deltas.append((cell, change))
                changed[node] = None
    if (taken or put) and not _settle(tree, taken, put, moves):
        return None
    states: States = []
    size = _BYTES_PER_DELTA * len(deltas)
    if txn.writes:
        kept = _states(txn, states, changed)
        if kept < 0:
            return None
        size += kept
    return (deltas, states, moves, changed, size) if changed else None


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


def plan(txn: Transaction, now: float) -> Changes | None:
    """Find the changes of a transaction, plain or not; None if there are none.

    Raises:
        As `Transaction.plan`.
    """
    found = find(txn)
    if found is None:
        return txn.plan(now)
    deltas, states, moves, changed, size = found
    splices = [(cell, _as_splices(change)) for cell, change in deltas]
    moved: list[tuple[Node, Any]] = list(moves.items())
    return Changes(txn.tree, now, splices, states, moved, changed, COMMIT_BYTES + size)


def _as_splices(change: Any) -> Any:
    """Return a change in the form that a cell's `apply` takes."""
    if type(change) is int:
        return [(change, 1, ())]
    return [(change[0], 0, (change[1],))] if type(change) is tuple else change


def store(txn: Transaction, found: Found) -> int:
    """Store changes as the next version, end the transaction, and count the new ids.

    Nothing in here can fail. Cost: the change and its ancestors.
    """
    tree = txn.tree
    deltas, states, moves, changed, _ = found
    version = tree.head + 1
    tree.is_storing = True  # until add_commit
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
    txn.close()
    return rename(changed, version)


def _change(
    cell: Any, log: list[Any], entities: dict[Key, Entity], taken: Places, put: Places
) -> list[Any] | None:
    """Return what a log does to a cell, and note what it moves; None if it is not plain."""
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
                        return None
                    places[key] = node
                    if places is put:
                        stored[index] = key
        splices.append((at, len(removed), stored))
    if (len(log) > 1 or len(removed) == len(inserted)) and not (
        _shifts_one(log) or must_differ(log)
    ):
        return None  # it may be no change
    return splices


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


def _settle(tree: TreeRegistry, taken: Places, put: Places, moves: Moves) -> bool:
    """Note which entities have another parent now.

    Returns:
        False if one entered, left, holds itself, or was moved before.
    """
    if taken.keys() != put.keys():
        return False
    nodes = tree.nodes
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
