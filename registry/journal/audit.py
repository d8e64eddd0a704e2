"""The audit: everything that a store holds, held against the chain of its rows.

A backend hands over what it finds as it is, damaged or not, through `Stored`; what should be there
follows from the headers of the rows alone. Memory is needed for the branches and two numbers per
row, never for the data.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol
from zlib import crc32

from registry.errors import JournalDamagedError, JournalError
from registry.journal.chain import (
    FORMAT,
    Header,
    NoteSeal,
    PartSeal,
    SealedEffect,
    branch_text,
    digest_of,
    genesis,
    log_checksum,
    part_checksum,
    part_text,
    read_header,
    root_text,
    sealed_effects,
)
from registry.journal.effects import EffectRow, key_text
from registry.journal.head_file import Head
from registry.journal.port import Checkpoint, Part, Problem
from registry.journal.rules import NOBODY, Branch, BranchKey, Tenure


class StoredPart(NamedTuple):
    """A part as it was found."""

    row: int
    checksum: int
    part: Part


class StoredEffect(NamedTuple):
    """An effect as it was found."""

    row: int
    checksum: int
    effect: EffectRow


def is_right(stored: StoredEffect) -> bool:
    """Tell whether an effect is what was written."""
    sealed = sealed_effects(stored.row, [stored.effect])
    return sealed == [SealedEffect(stored.effect, stored.checksum)]


class Stored(Protocol):
    """What an audit reads; any of it may be damaged, and is given as it is.

    What is of no use at all is given, or raised, as the error that says so.
    """

    store_id: int
    """Identity of the store; its chain begins with it."""
    logs_before: int
    """Records of rows before this one were let go."""

    def newest(self) -> Head:
        """Give the newest row, as far as the store itself says."""

    def rows(self) -> Iterable[tuple[int, bytes, bytes]]:
        """Give (number, header, digest), oldest first."""

    def branches(self) -> Iterable[Branch | JournalDamagedError]:
        """Give what is known of the branches."""

    def tenures(self) -> Iterable[tuple[int, Tenure] | JournalDamagedError]:
        """Give who may write which root."""

    def part(self, branch: Branch, last: int) -> StoredPart | None:
        """Give the part of a branch that ends with a version."""

    def part_count(self) -> int:
        """Count all parts."""

    def effects(self) -> Iterable[StoredEffect | JournalDamagedError]:
        """Give all effects, those of older rows first."""

    def log(self, row: int) -> tuple[int, bytes] | None:
        """Give checksum and records of a row."""

    def checkpoints(self) -> Iterable[tuple[bool, Checkpoint] | JournalDamagedError]:
        """Give all checkpoints, by branch and version, and whether each is what was written."""


def audit(stored: Stored, head: Head | None, second: str = "the head file") -> Iterator[Problem]:
    """Yield what is wrong in a store.

    Args:
        stored: The store.
        head: What the second place says is the newest row; None if it says nothing.
        second: The second place, for messages.

    Cost: reads everything once.
    """
    yield from _Audit(stored, head, second).run()


class _Audit:
    """One walk through a store; what it has seen so far."""

    def __init__(self, stored: Stored, head: Head | None, second: str) -> None:
        self.stored = stored
        self.head = head
        self.second = second
        self.newest = Head(0, genesis(stored.store_id))
        self.digest_at_head: bytes | None = None
        self.catalog: dict[BranchKey, Branch] = {}
        self.starts: dict[BranchKey, int] = {}
        self.heads: dict[BranchKey, int] = {}
        self.notes: dict[BranchKey, tuple[int, NoteSeal]] = {}
        self.epochs: dict[int, int] = {}
        self.part_count = 0
        self.numbers = array("q")
        self.effect_counts = array("Q")
        self.effect_sums = array("Q")

    def run(self) -> Iterator[Problem]:
        """Yield what is wrong; what cannot be read at all ends one step, not the others."""
        steps = self._catalog, self._rows, self._head, self._branches, self._parts, self._epochs
        for step in (*steps, self._effects, self._checkpoints):
            try:
                yield from step()
            except JournalDamagedError as error:
                yield _problem(error)
            except JournalError as error:
                yield Problem(error.store, error.problem, "something that can be read")

    # --- rows ---

    def _catalog(self) -> Iterator[Problem]:
        for branch in self.stored.branches():
            if isinstance(branch, JournalDamagedError):
                yield _problem(branch)
            else:
                self.catalog[branch.root, branch.branch] = branch

    def _rows(self) -> Iterator[Problem]:
        for number, data, digest in self.stored.rows():
            place, before = f"row {number}", self.newest.digest
            if number != self.newest.row + 1:
                yield Problem(place, f"comes after row {self.newest.row}", "no row between")
            elif digest != digest_of(before, data):
                yield Problem(place, f"digest {digest.hex()}", digest_of(before, data).hex())
            self.newest = Head(number, digest)
            if self.head is not None and number == self.head.row:
                self.digest_at_head = digest
            try:
                header = read_header(data, place)
            except JournalDamagedError as error:
                yield Problem(place, error.found, f"a header of format {FORMAT}")
                continue
            self.numbers.append(number)
            self.effect_counts.append(header.effect_count)
            self.effect_sums.append(header.effect_sum)
            yield from self._row(header)

    def _row(self, header: Header) -> Iterator[Problem]:
        row = header.row
        for root, epoch in header.epochs:
            known = self.epochs.get(root, 1)
            if epoch < known:
                yield Problem(
                    f"row {row}", f"epoch {epoch} of {root_text(root)}", f"{known} or more"
                )
            self.epochs[root] = max(epoch, known)
        for note in header.notes:
            self._begin((note.root, note.branch), note.start)
            self.notes[note.root, note.branch] = row, note
        for told in header.parts:
            self._begin((told.root, told.branch), 0)
            yield from self._part(row, told)
        for key in dict.fromkeys((note.root, note.branch) for note in header.notes):
            if not self.notes[key][1].length:
                for kept in (self.notes, self.starts, self.heads):
                    kept.pop(key)
        if header.log_bytes and row >= self.stored.logs_before:
            yield from self._log(header)

    def _begin(self, key: BranchKey, start: int) -> None:
        """Expect the versions of a branch from now on, if it is new."""
        if key not in self.heads:
            self.starts[key] = self.heads[key] = start

    def _part(self, row: int, told: PartSeal) -> Iterator[Problem]:
        place = part_text(*told[:4], row)
        key = (told.root, told.branch)
        self.epochs.setdefault(told.root, 1)
        before = self.heads[key]
        if told.first != before + 1:
            yield Problem(place, f"begins after version {before}", "no version between")
        self.heads[key] = told.last
        branch = self.catalog.get(key)
        if branch is None or row < branch.born or told.last <= branch.forgotten:
            return
        try:
            found = self.stored.part(branch, told.last)
        except JournalDamagedError as error:
            self.part_count += 1
            yield _problem(error)
            return
        if found is None:
            yield Problem(place, "nothing", f"{told.length} bytes")
            return
        self.part_count += 1
        if (found.row, *found.part[:4], len(found.part.data)) != (row, *told[:5]):
            there = part_text(*found.part[:4], found.row)
            yield Problem(place, f"{len(found.part.data)} bytes as {there}", f"{told.length} bytes")
        elif not found.checksum == part_checksum(row, found.part) == told.checksum:
            yield Problem(place, "another content", f"checksum {told.checksum:08x}")

    def _log(self, header: Header) -> Iterator[Problem]:
        place = f"row {header.row}, records"
        found = self.stored.log(header.row)
        if found is None:
            yield Problem(place, "nothing", f"{header.log_bytes} bytes")
        elif not found[0] == log_checksum(header.row, found[1]) == header.log_checksum:
            yield Problem(place, "another content", f"checksum {header.log_checksum:08x}")

    # --- what is beside the rows ---

    def _head(self) -> Iterator[Problem]:
        if self.head is None:
            if self.newest.row:
                yield Problem(self.second, "nothing", f"row {self.newest.row}")
        elif self.head.row > self.newest.row:
            place = f"rows {self.newest.row + 1} to {self.head.row}"
            yield Problem(place, "nothing", f"the rows that {self.second} knows")
        elif self.digest_at_head not in (None, self.head.digest):
            place = f"row {self.head.row}"
            yield Problem(place, f"another row than in {self.second}", self.head.digest.hex())

    def _branches(self) -> Iterator[Problem]:
        for key, branch in self.catalog.items():
            place = f"catalog, {branch_text(*key)}"
            if key not in self.heads:
                yield Problem(place, "an entry", "none: no row tells of it")
                continue
            found, told = (branch.start, branch.head), (self.starts[key], self.heads[key])
            if found != told:
                yield Problem(place, f"start and head {found}", f"{told}")
            row, note = self.notes.get(key, (0, None))
            seal = (len(branch.about), crc32(branch.about))
            if branch.noted != row or (note is not None and seal != (note.length, note.checksum)):
                yield Problem(place, f"a note of row {branch.noted}", f"the note of row {row}")
        for key in self.heads:
            if key not in self.catalog:
                yield Problem(f"catalog, {branch_text(*key)}", "nothing", "an entry")

    def _parts(self) -> Iterator[Problem]:
        count = self.stored.part_count()
        if count != self.part_count:
            yield Problem("parts", f"{count}", f"{self.part_count}, as the rows tell")

    def _epochs(self) -> Iterator[Problem]:
        tenures: dict[int, Tenure] = {}
        for each in self.stored.tenures():
            if isinstance(each, JournalDamagedError):
                yield _problem(each)
            else:
                tenures.update([each])
        for root, epoch in self.epochs.items():
            found = tenures.get(root, NOBODY).epoch
            if found != epoch:
                yield Problem(f"epoch of root {root_text(root)}", f"{found}", f"{epoch}")

    def _effects(self) -> Iterator[Problem]:
        rows = len(self.numbers)
        counts, sums = array("Q", bytes(8 * rows)), array("Q", bytes(8 * rows))
        for each in self.stored.effects():
            if isinstance(each, JournalDamagedError):
                yield _problem(each)
                continue
            row, checksum, effect = each
            place = f"row {row}, {key_text(effect.key)}"
            at = bisect_left(self.numbers, row)
            if at == rows or self.numbers[at] != row:
                yield Problem(place, f"row {row}", "a row that is there")
                continue
            counts[at] += 1
            if is_right(each):
                sums[at] += checksum
            else:
                yield Problem(place, "another content", f"checksum {checksum}")
        for at, row in enumerate(self.numbers):
            if (counts[at], sums[at]) != (self.effect_counts[at], self.effect_sums[at]):
                found, told = counts[at], self.effect_counts[at]
                yield Problem(f"row {row}, outcomes", f"{found}", f"the {told} that were stored")

    def _checkpoints(self) -> Iterator[Problem]:
        for each in self.stored.checkpoints():
            if isinstance(each, JournalDamagedError):
                yield _problem(each)
                continue
            is_right, (root, branch, version, data) = each
            place = f"checkpoint of {branch_text(root, branch)} at version {version}"
            known = self.catalog.get((root, branch))
            if known is None or not known.forgotten <= version <= known.head:
                yield Problem(place, "a checkpoint", "none: there is no such version")
            elif not is_right:
                yield Problem(place, f"{len(data)} bytes of another content", "what was written")


def _problem(error: JournalDamagedError) -> Problem:
    return Problem(error.place, error.found, "what was written")
