"""Commits: what each version of a branch did, as plain data, and doing it again.

A commit is written when it is stored, forwards: new states, the changes of containers as their
`apply` takes them, what entered, left and moved. Doing it again goes through the same methods of
`history.py` in the same order, so the history that comes out is the one that was.

Containers are known by a number, given when one is first written: positions shift, and a container
may be deep inside another one.
"""

from __future__ import annotations

from typing import Any

from registry.changes import rename
from registry.errors import JournalDamagedError
from registry.history import Cell, DictCell, ListCell, Node
from registry.ids import Key, plain
from registry.journal.evolution import opaque_names
from registry.journal.states import StateReader, StateWriter
from registry.tree import TreeRegistry

COMMIT, OUTPUTS, SOURCES, BIRTH = range(4)
"""Kinds of entries, their first item."""
TAKE_OUT, PUT_IN, SPLICES, ITEMS, MEMBERS = range(5)
"""Kinds of changes of containers, their second item; the first is the number."""


def write_commit(tree: TreeRegistry, commit: tuple[Any, ...], to: StateWriter) -> list[Any]:
    """Return what a version that was just stored did.

    Args:
        tree: The tree; its `deltas` are those of the commit.
        commit: The fields of a `Commit`, and more.
        to: Writes values.

    Cost: about 3 us for a move.
    """
    version, now, number, name, changed, created, removed, moved, outputs, pages = commit[:10]
    pack, nodes = to.pack, tree.nodes
    keys = pack.keys
    states, opaque = [], []
    for key in changed:
        node = nodes[key]
        versions = node.versions
        if versions and versions[-1] == version:
            states.append([keys[key], *to.difference(node)])
        if node.opaque:
            opaque.append([keys[key], *node.opaque])
    deltas: list[Any] = []
    for cell, change in tree.deltas:
        kind = type(change)
        if kind is int:
            deltas.append((cell.number, TAKE_OUT, change))
        elif kind is tuple and type(cell) is ListCell:
            deltas.append((cell.number, PUT_IN, change[0], keys[change[1]]))
        else:
            deltas.append(_write_change(cell, change, to))
    entry: list[Any] = [
        *(COMMIT, pack.time(now), pack.number(number), pack.text(name), pages),
        *(deltas, [keys[key] for key in changed]),
    ]
    if moved:
        entry.append([part for key in moved for part in (keys[key], keys[nodes[key].parent.key])])  # type: ignore[union-attr]  # what moved has a parent
    if states or created or removed or opaque or outputs:
        entry += [
            *([] if moved else [()]),
            states,
            [to.arrival(nodes[key]) for key in created],
            [keys[key] for key in removed],
            opaque,
            [(keys[key], stamp) for key, stamp in outputs],
        ]
        while not entry[-1]:
            entry.pop()
    return entry


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
        entry: What `write_commit` returned.
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
    cells = by.cells
    for delta in deltas:
        cell, kind = cells.get(delta[0]), delta[1]
        if cell is None or kind > PUT_IN:
            _redo_delta(version, delta, by)
        elif kind == TAKE_OUT:
            cell.take_out(version, delta[2])
        else:
            cell.put_in(version, delta[2], keys[delta[3]])
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


def _redo_delta(version: int, delta: list[Any], by: StateReader) -> None:
    """Change a container again, in another way than by taking out or putting in one child."""
    cell, kind = by.cells.get(delta[0]), delta[1]
    if cell is None:
        # A former form of its class had made it, or (of the base of a fork) held it, and this one
        # has no such field: then nothing of it is in any state.
        if delta[0] < 0 or (by.tree.base is not None and delta[0] >> 40 != by.tree.branch):
            return
        raise JournalDamagedError(by.unpack.place, f"changes {delta[0]}, which no container is")
    read = by.reader_in(cell)
    change: Any
    if kind == SPLICES:
        change = [(at, count, [*map(read, items)]) for at, count, *items in delta[2:]]
    elif kind == ITEMS:
        change = [(read(key), read(value)) for key, value in delta[2:]]
    else:
        change = [*map(read, delta[2])], [*map(read, delta[3])]
    cell.apply(version, change)


def _mark_opaque(nodes: list[Node], names: dict[Key, frozenset[str]], by: StateReader) -> None:
    for node in nodes:
        if node.schema in by.evolved:  # it holds other parts than were written
            node.opaque = opaque_names(node.schema, node.state)
        else:
            node.opaque = names.get(node.key)
    by.has_opaque = True
