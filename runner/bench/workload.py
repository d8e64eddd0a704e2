"""What the contenders do: moves of agents on grids, planned from a seed.

A plan is made before anything is timed, on a grid of plain name lists, so every contender makes
the very same moves and a move never fails. `layout_after` is also what their results are checked
against.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SEED = 20

Item = TypeVar("Item")

Move = tuple[int, str, int]
"""Source node, agent name, target node."""

Change = tuple[int, int, int]
"""Node, agent within the node, new speed."""

Layout = list[list[str]]
"""Names of the agents at each node, in order."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a grid is."""

    nodes: int
    agents: int

    @property
    def entities(self) -> int:
        """The grid, its nodes and their agents."""
        return 1 + self.nodes + self.nodes * self.agents

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read a size as the command line writes it.

        Raises:
            ValueError: *text* is not NODESxAGENTS with at least 2 nodes and 1 agent on each.
        """
        nodes, cross, agents = text.strip().partition("x")
        if not (cross and nodes.isdecimal() and agents.isdecimal()):
            message = f"size {text!r} is not NODESxAGENTS, as in 10x10"
            raise ValueError(message)
        size = cls(int(nodes), int(agents))
        if size.nodes < 2 or size.agents < 1:
            message = f"size {text!r} is too small; a move takes 2 nodes and 1 agent"
            raise ValueError(message)
        return size


def first_layout(size: Size) -> Layout:
    """Return where the agents of `examples.gridmap.make_grid` are before any move."""
    return [[f"agent-{node}-{n}" for n in range(size.agents)] for node in range(size.nodes)]


def plan_moves(size: Size, count: int, seed: int = SEED) -> list[Move]:
    """Plan *count* random moves that can be made one after the other on a new grid."""
    draw, layout, moves = _generator(seed), first_layout(size), list[Move]()
    while len(moves) < count:
        source, target = draw.sample(range(size.nodes), 2)
        if layout[source]:
            name = draw.choice(layout[source])
            _move(layout, (source, name, target))
            moves.append((source, name, target))
    return moves


def plan_first_moves(size: Size, count: int, seed: int = SEED) -> list[Move]:
    """Plan *count* random moves, each of them the first one on a new grid."""
    draw = _generator(seed)
    moves = list[Move]()
    for _ in range(count):
        source, target = draw.sample(range(size.nodes), 2)
        moves.append((source, f"agent-{source}-{draw.randrange(size.agents)}", target))
    return moves


def plan_changes(size: Size, count: int, seed: int = SEED) -> list[Change]:
    """Plan *count* changes of one agent's speed, each to a speed that no agent had before."""
    draw = _generator(seed)
    return [
        (draw.randrange(size.nodes), draw.randrange(size.agents), speed)
        for speed in range(2, count + 2)
    ]


def layout_after(size: Size, moves: Iterable[Move]) -> Layout:
    """Return where the agents of a new grid are after *moves*."""
    layout = first_layout(size)
    for move in moves:
        _move(layout, move)
    return layout


def split(items: Sequence[Item], parts: int) -> list[Sequence[Item]]:
    """Cut *items* in order into *parts* even blocks; some are empty if there are few items."""
    return [items[len(items) * n // parts : len(items) * (n + 1) // parts] for n in range(parts)]


def _generator(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - a plan should be the same each time


def _move(layout: Layout, move: Move) -> None:
    source, name, target = move
    layout[source].remove(name)
    layout[target].append(name)
