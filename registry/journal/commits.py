"""Commits: what each version of a branch did, as plain data, and doing it again.

A commit is written when it is stored, forwards: new states, the changes of containers as their
`apply` takes them, what entered, left and moved. Doing it again goes through the same methods of
`history.py` in the same order, so the history that comes out is the one that was.

Containers are known by a number, given when one is first written: positions shift, and a container
may be deep inside another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from registry.changes import rename
from registry.errors import JournalDamagedError
from registry.history import Cell, DictCell, ListCell, Node
from registry.ids import Key, plain
from registry.journal.evolution import opaque_names
from registry.journal.packing import Unpacker
from registry.journal.states import StateReader, StateWriter
from registry.tree import TreeRegistry

COMMIT, OUTPUTS, SOURCES, BIRTH = range(4)
"""Kinds of entries, their first item."""
TAKE_OUT, PUT_IN, SPLICES, ITEMS, MEMBERS = range(5)
"""Kinds of changes of containers, their second item; the first is the number."""
_NO_KEY = -1
_START, _HEAD = 4, 8
"""Numbers before the counts of a usual commit, and before what is counted."""


def write_commit(tree: TreeRegistry, commit: tuple[Any, ...], to: StateWriter) -> None:
    """Write down what a version that was just stored did, where the writer's entries are.

    The usual commit moves entities or changes values. It is put into the list of
    the entries number by number, without a list of its own, because thousands of lists that wait to
    be stored are a third of the time that the garbage collector takes.

    Args:
        tree: The tree; its `deltas` are those of the commit.
        commit: The fields of a `Commit`, and more.
        to: Writes values.

    Cost: about 2 us for a move.
    """
    version, now, number, name, changed, created, removed, moved, outputs, pages = commit[:10]
    pack, nodes = to.pack, tree.nodes
    index = pack.keys.__getitem__
    states, opaque = [], []
    for key in changed:
        node = nodes[key]
        versions = node.versions
        if versions and versions[-1] == version:
            states.append([index(key), *to.difference(node)])
        if node.opaque:
            opaque.append([index(key), *node.opaque])
    start = (pack.time(now), pack.number(number), pack.text(name), pages)
    if not (created or removed or opaque or outputs):
        deltas: list[Any] = []
        for cell, change in tree.deltas:
            kind = type(change)
            if kind is int:
                deltas += (cell.number, change, _NO_KEY)
            elif kind is tuple and type(cell) is ListCell:
                deltas += (cell.number, change[0], index(change[1]))
            else:
                deltas += (_write_change(cell, change, to), 0, 0)
        counts = len(deltas), len(changed), len(moved), len(states)
        entries = pack.entries
        entries += (*start, *counts, *deltas, *map(index, changed), *states)
        for key in moved:
            entries += (index(key), index(nodes[key].parent.key))  # type: ignore[union-attr]  # what moved has a parent
        return
    pack.entries.append(
        [
            *(COMMIT, *start, [_write_delta(*delta, to) for delta in tree.deltas]),
            [index(key) for key in changed],
            [part for key in moved for part in (index(key), index(nodes[key].parent.key))],  # type: ignore[union-attr]  # as above
            states,
            [to.arrival(nodes[key]) for key in created],
            [index(key) for key in removed],
            opaque,
            [(index(key), stamp) for key, stamp in outputs],
        ]
    )


def entries_of(unpack: Unpacker) -> Iterator[list[Any]]:
    """Yield the entries of one branch, each as a list that begins with its kind.

    The changes of containers in a usual commit are tuples: number, position, position of the key of
    what is put in there, or `_NO_KEY` for what is taken out. Any other one is a list, and first.

    Raises:
        ValueError, TypeError, IndexError: They are none.
    """
    items = list(unpack)
    at = 0
    while at < len(items):
        if type(items[at]) is list:
            yield items[at]
            at += 1
            continue
        start, counts = items[at : at + _START], items[at + _START : at + _HEAD]
        deltas, changed, moved, states = counts
        of_deltas = at + _HEAD
        of_changed = of_deltas + deltas
        of_states = of_changed + changed
        of_moved = of_states + states
        at = of_moved + 2 * moved
        if at > len(items):
            raise ValueError("the last commit is not whole")
        numbers = iter(items[of_deltas:of_changed])
        yield [
            *(COMMIT, *start),
            [*zip(numbers, numbers, numbers, strict=True)],
            *(items[of_changed:of_states], items[of_moved:at], items[of_states:of_moved]),
        ]


def _write_delta(cell: Cell, change: Any, to: StateWriter) -> Sequence[Any]:
    kind = type(change)
    if kind is int:
        return (cell.number, TAKE_OUT, change)
    if kind is tuple and type(cell) is ListCell:
        return (cell.number, PUT_IN, change[0], to.pack.keys[change[1]])
    return _write_change(cell, change, to)


def _write_change(cell: Cell, change: Any, to: StateWriter) -> list[Any]:
    write = to.value
    to.enter(cell)
    if type(cell) is ListCell:
        return [
            *(cell.number, SPLICES),
            *([at, count, *map(write, inserted)] for at, count, inserted in change),
        ]
    if type(cell) is DictCell:
        return [cell.number, ITEMS, *([write(key), write(value)] for key, value in change)]
    added, gone = change
    return [cell.number, MEMBERS, [*map(write, added)], [*map(write, gone)]]


def redo_commit(tree: TreeRegistry, entry: list[Any], by: StateReader) -> None:
    """Store a version again.

    Args:
        tree: The tree as of the version before.
        entry: One of `entries_of`.
        by: Reads values, and knows the containers by number.

    Cost: about that of the changes.
    """
    _, time, number, name, pages, deltas, changed, *rest = entry
    keys, version = by.keys, tree.head + 1
    now = by.unpack.time(time)
    moved, *others = rest or _NOTHING[:1]
    # Most commits have nothing else.
    more = (*others, *_NOTHING[len(others) :]) if others else _NOTHING
    states, created, removed, opaque, outputs = more
    news = [by.entity(each, version, now) for each in created]
    for node, parent in news:
        node.parent = tree.node(keys[parent])
    find = tree.nodes.get
    nodes = [find(keys[at]) or tree.node(keys[at]) for at in changed]
    if tree.base is not None:  # what the fork has in common with its base
        by.learn(nodes)
        by.learn([tree.node(keys[at]) for at in removed])
    _redo_deltas(version, deltas, by)
    for key, *difference in states:
        node = tree.node(keys[key])
        node.change(version, by.changed(node, difference))
    came = []
    for at in range(0, len(moved), 2):
        key, parent = keys[moved[at]], keys[moved[at + 1]]
        node = find(key) or tree.node(key)
        node.move(version, find(parent) or tree.node(parent))
        node.removed = 0
        came.append(node.key)
    for each in removed:
        node = tree.node(keys[each])
        node.move(version, None)
        node.removed = version
    if opaque or by.has_opaque:
        _mark_opaque(nodes, {keys[key]: frozenset(names) for key, *names in opaque}, by)
    rename(nodes, version)
    TreeRegistry.add_commit(
        tree,
        (
            version,
            now,
            by.unpack.number(number),
            by.unpack.texts[name],
            tuple([node.key for node in nodes]),
            tuple([node.key for node, _ in news]) if news else (),
            tuple([plain(keys[each]) for each in removed]) if removed else (),
            tuple(came),
            tuple([(plain(keys[key]), stamp) for key, stamp in outputs]) if outputs else (),
            pages,
        ),
    )


_NOTHING: tuple[Any, ...] = ((),) * 5


def _redo_deltas(version: int, deltas: list[Any], by: StateReader) -> None:
    cells, keys = by.cells, by.keys
    for delta in deltas:
        if type(delta) is list:
            _redo_delta(version, delta, by)
            continue
        number, at, key = delta
        if type(number) is list:
            _redo_delta(version, number, by)
            continue
        cell = cells.get(number)
        if cell is None:
            _check_gone(number, by)
        elif key == _NO_KEY:
            cell.take_out(version, at)
        else:
            cell.put_in(version, at, keys[key])


def _redo_delta(version: int, delta: list[Any], by: StateReader) -> None:
    cell, kind = by.cells.get(delta[0]), delta[1]
    if cell is None:
        _check_gone(delta[0], by)
        return
    if kind == TAKE_OUT:
        cell.take_out(version, delta[2])
        return
    if kind == PUT_IN:
        cell.put_in(version, delta[2], by.keys[delta[3]])
        return
    read = by.reader_in(cell)
    change: Any
    if kind == SPLICES:
        change = [(at, count, [*map(read, items)]) for at, count, *items in delta[2:]]
    elif kind == ITEMS:
        change = [(read(key), read(value)) for key, value in delta[2:]]
    else:
        change = [*map(read, delta[2])], [*map(read, delta[3])]
    cell.apply(version, change)


def _check_gone(number: int, by: StateReader) -> None:
    """Refuse the number of no container.

    But a former form of its class may have made it, or (of the base of a fork) held it, while this
    one has no such field: then nothing of it is in any state.
    """
    if number >= 0 and (by.tree.base is None or number >> 40 == by.tree.branch):
        raise JournalDamagedError(by.unpack.place, f"changes {number}, which no container is")


def _mark_opaque(nodes: list[Node], names: dict[Key, frozenset[str]], by: StateReader) -> None:
    for node in nodes:
        if node.schema in by.evolved:  # it holds other parts than were written
            node.opaque = opaque_names(node.schema, node.state)
        else:
            node.opaque = names.get(node.key)
    by.has_opaque = True
