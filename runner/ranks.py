"""The jobs of a lane that have a priority of their own, until they are sent.

Those of one priority wait as all others do, end to end in two flat lists. A batch uses a handful of
priorities, so each chunk looks at all of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from runner.wire import HEAD_PARTS, Row, value_count


class Rank(NamedTuple):
    """The jobs of one priority: their heads and their values, as in a lane."""

    heads: list[Any]
    values: list[Any]


class Ranks:
    """Jobs by priority, in order of submission within each."""

    def __init__(self) -> None:
        self._ranks: dict[int, Rank] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, row: Row, priority: int) -> None:
        """Let a job wait behind those of its priority."""
        rank = self._ranks.get(priority)
        if rank is None:
            rank = self._ranks[priority] = Rank([], [])
        rank.heads.extend(row[:HEAD_PARTS])
        rank.values.extend(row[HEAD_PARTS])
        self._count += 1

    def take(self, count: int, heads: list[Any], values: list[Any]) -> tuple[list[Any], list[Any]]:
        """Take the first jobs, and return their heads and values, end to end.

        Args:
            count: Most jobs.
            heads: The heads of jobs with the priority 0, which are taken from there.
            values: The values of these, likewise.
        """
        taken = Rank([], [])
        ranks = {**self._ranks, 0: Rank(heads, values)}
        for priority, rank in sorted(ranks.items(), reverse=True):
            size = (count - len(taken.heads) // HEAD_PARTS) * HEAD_PARTS
            if not size:
                break
            first = rank.heads[:size]
            values_taken = value_count(first[::HEAD_PARTS])
            taken.heads.extend(first)
            taken.values.extend(rank.values[:values_taken])
            del rank.heads[:size], rank.values[:values_taken]
            if priority:
                self._count -= len(first) // HEAD_PARTS
        self._ranks = {priority: rank for priority, rank in self._ranks.items() if rank.heads}
        return taken
