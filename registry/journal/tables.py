"""A transcript as rows of the tables that a file and a server have, a page at a time.

Numbers are given as a store gives them that is written to: in the order of roots and branches.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from registry.journal.chain import log_checksum, sealed_effects
from registry.journal.rows import branch_values, checkpoint_checksum, root_values
from registry.journal.rules import NOBODY, BranchKey
from registry.journal.sqlite_file import place_of
from registry.journal.transcript import Row, Transcript

Values = tuple[Any, ...]
Page = tuple[str, list[Values]]
"""A table, and rows of it; those of effects as a file has them."""

_PAGE_ROWS = 1000
_PAGE_BYTES = 1 << 20


def pages(transcript: Transcript) -> Iterator[Page]:
    """Yield the rows of all tables but `store`. Reads the transcript to its end."""
    waiting: dict[str, list[Values]] = {}
    count = size = 0
    for table, values in _Filling(transcript).rows():
        waiting.setdefault(table, []).append(values)
        count += 1
        size += sum(len(each) for each in values if isinstance(each, bytes))
        if count >= _PAGE_ROWS or size >= _PAGE_BYTES:
            yield from waiting.items()
            waiting, count, size = {}, 0, 0
    yield from waiting.items()


class _Filling:
    """The numbers that roots and branches have got so far."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._roots = {0: 0}
        self._branches: dict[BranchKey, int] = {}

    def rows(self) -> Iterator[tuple[str, Values]]:
        told = self._transcript
        for root, tenure in told.tenures:
            self._roots[root] = len(self._roots)
            yield "roots", root_values(self._roots[root], root, tenure)
        for number, branch in enumerate(told.branches, 1):
            self._branches[branch.root, branch.branch] = number
            yield "branches", branch_values(number, branch)
        for row in told.rows:
            yield "groups", (row.header.row, row.header.pack(), row.digest)
            yield from self._parts(row)
            yield from self._effects(row)
            if row.log is not None:
                checksum = log_checksum(row.header.row, row.log)
                yield "logs", (row.header.row, checksum, row.log)
        for checkpoint in told.checkpoints:
            number = self._branches[checkpoint.root, checkpoint.branch]
            place = place_of(number, checkpoint.version)
            yield "checkpoints", (place, checkpoint_checksum(checkpoint), checkpoint.data)

    def _parts(self, row: Row) -> Iterator[tuple[str, Values]]:
        for told, part in zip(row.header.parts, row.parts, strict=True):
            if part is not None:
                place = place_of(self._branches[part.root, part.branch], part.last)
                yield "parts", (place, part.first, row.header.row, told.checksum, part.data)

    def _effects(self, row: Row) -> Iterator[tuple[str, Values]]:
        number = row.header.row
        for (root, key, data), checksum in sealed_effects(number, row.effects):
            if root not in self._roots:
                self._roots[root] = len(self._roots)
                yield "roots", root_values(self._roots[root], root, NOBODY)
            yield "effects", (self._roots[root], key, number, checksum, data)
