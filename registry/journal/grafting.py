"""Grafting: older versions are put before those of a tree that began at a checkpoint.

Entities and containers stay the objects that they are, since executions and live objects have them
in hand; only their histories become longer. What a checkpoint gives is equal to what commits made,
and not the same: an older state gets the newer objects where nothing changed, for `is` tells that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from registry.errors import JournalDamagedError
from registry.history import Cell, DictCell, Node, Stored, cells_in
from registry.tree import TreeRegistry

Cells = dict[int, Any]
"""Containers of one tree, by number."""


def check_fit(tree: TreeRegistry, past: TreeRegistry, cut: int) -> None:
    """See that a tree begins with what an older part of it ends with.

    Raises:
        JournalDamagedError: It does not: its checkpoint is not what its commits made.
    """
    here = {key for key, node in tree.nodes.items() if _was_there(node, cut)}
    there = {key for key, node in past.nodes.items() if not node.removed}
    if here == there:
        pairs = ((_state_then(tree.nodes[key], cut), past.nodes[key].state) for key in there)
        if all(list(map(type, new)) == list(map(type, old)) for new, old in pairs):
            return
    place = f"the checkpoint of version {cut} of {tree.name}"
    raise JournalDamagedError(place, "is not what the commits before it made")


def graft(tree: TreeRegistry, cells: Cells, past: TreeRegistry, past_cells: Cells) -> None:
    """Put the history of an older part of a tree before that of the newer part.

    Args:
        tree: The newer part, which is changed. Nobody stores a commit or reads history meanwhile.
        cells: Its containers as of where it began.
        past: The older part, which ends there; it is not to be used afterwards.
        past_cells: The containers of that.

    Cost: the entities and containers, and a pointer for each of their changes.
    """
    cut = past.head
    known = dict(past_cells)
    for key, old in past.nodes.items():
        known.update({cell.number: cell for cell in _cells_of(old.state)})
        node = tree.nodes.get(key)
        if node is None:
            tree.nodes[key] = old
        elif node.born <= cut:  # else it is another one, with the identity of one that had left
            _graft_node(node, old, cut)
    for number, cell in cells.items():
        if number in known:
            _graft_cell(cell, known[number])
    for key in [key for key, node in tree.nodes.items() if 0 < node.removed <= cut]:
        if key not in past.nodes:
            del tree.nodes[key]
    for key, noted in past.borrowed.items():
        if not tree.borrowed:
            tree.borrowed = {}
        later = [each for each in tree.borrowed.get(key, ()) if each[0] > cut]
        tree.borrowed[key] = noted + later


def _was_there(node: Node, version: int) -> bool:
    """Tell whether an entity was in its tree at the version before those that it knows."""
    moves = node.moves
    before: Any = moves[1] if moves else None if node.parent is None else node.parent.key
    if node.born > version or 0 < node.removed <= version:
        return False
    return before is not None or not (moves or node.parent)


def _state_then(node: Node, version: int) -> tuple[Stored, ...]:
    return node.state_at(version)


def _cells_of(state: tuple[Stored, ...]) -> Iterator[Cell]:
    for value in state:
        yield from cells_in(value)


def _graft_node(node: Node, old: Node, cut: int) -> None:
    first = _state_then(node, cut)
    if old.versions and old.states:
        node.states = _with_the_newer(old.states, old.state, first) + (node.states or [])
        node.versions = old.versions + (node.versions or [])
    if old.renamed:
        node.renamed = old.renamed + (node.renamed or [])
    if old.moves:
        node.moves = old.moves + (node.moves or [])
    node.first_stamp, node.born, node.created = old.first_stamp, old.born, old.created


def _with_the_newer(
    states: list[tuple[Stored, ...]], last: tuple[Stored, ...], first: tuple[Stored, ...]
) -> list[tuple[Stored, ...]]:
    """Return older states, with the newer objects where they hold what the last one holds."""
    return [
        tuple(
            [
                new if value is old else value
                for value, old, new in zip(each, last, first, strict=True)
            ]
        )
        for each in states
    ]


def _graft_cell(cell: Cell, old: Cell) -> None:
    if isinstance(cell, DictCell) and isinstance(old, DictCell) and old.positions is not None:
        _graft_positions(cell, old)
    cell.versions[:0] = old.versions
    cell.deltas[:0] = old.deltas
    cell.weight += old.weight


def _graft_positions(cell: DictCell, old: DictCell) -> None:
    """Let the older deltas of a dict find the positions of keys that they tell of."""
    if not cell.deltas:
        cell.positions, cell.next_position = old.positions, old.next_position
        return
    # The newer ones count from the checkpoint on. A full image parts the two.
    assert old.positions is not None, "asked before"
    image = [
        (key, value, old.positions[key]) for key, value in cell.at(cell.versions[0] - 1).items()
    ]
    cell.deltas[0] = image
