"""The transcript of a store: all that it holds, in one order, each row held against the chain.

It is what a store is exported from, and restored from. A store that was restored is the same one:
the same identity, rows and digests, the same writers and epochs, and what was let go is let go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple, TypeVar

from registry.errors import JournalDamagedError, JournalError
from registry.journal.audit import Stored, StoredEffect
from registry.journal.chain import (
    Header,
    PartSeal,
    digest_of,
    genesis,
    log_checksum,
    part_checksum,
    part_text,
    read_header,
    sealed_effects,
)
from registry.journal.effects import EffectRow
from registry.journal.head_file import Head
from registry.journal.port import Checkpoint, Part
from registry.journal.rules import Branch, BranchKey, Tenure

_T = TypeVar("_T")


class Row(NamedTuple):
    """A row of the chain, and what is still stored of it.

    Attributes:
        header: What it held.
        digest: See `chain.py`.
        parts: One for each in the header; None if it was let go, or its branch taken out.
        effects: All that there were, by root and key.
        log: None if it was let go, or if there was none.
    """

    header: Header
    digest: bytes
    parts: Sequence[Part | None]
    effects: Sequence[EffectRow]
    log: bytes | None


class Transcript(NamedTuple):
    """All that a store holds, as of one moment; to be read once, in this order.

    Attributes:
        store_id: Identity of the store; its chain begins with it.
        newest: The newest row.
        logs_before: Records of rows before this one were let go.
        branches: What is known of the branches, oldest first.
        tenures: Who may write which root, by root.
        rows: The chain, oldest first.
        checkpoints: In the order of branches and versions.
    """

    store_id: int
    newest: Head
    logs_before: int
    branches: Sequence[Branch]
    tenures: Sequence[tuple[int, Tenure]]
    rows: Iterator[Row]
    checkpoints: Iterator[Checkpoint]


def transcribe(stored: Stored) -> Transcript:
    """Return the transcript of a store. Its iterators read on from the store.

    Raises:
        JournalDamagedError: As do the iterators; something is not what was written.

    Cost: reads everything once, as it is asked for; memory for the branches, the roots, and a row.
    """
    branches = [_sound(each) for each in stored.branches()]
    tenures = [_sound(each) for each in stored.tenures()]
    return Transcript(
        stored.store_id,
        stored.newest(),
        stored.logs_before,
        branches,
        # Of the others only effects tell: some stores number them, none knows more of them.
        sorted((root, tenure) for root, tenure in tenures if tenure.epoch),
        _rows(stored, {(each.root, each.branch): each for each in branches}),
        _checkpoints(stored),
    )


def check_row(row: Row, before: Head) -> Head:
    """Return the head that a row makes, if it follows another, and holds what its header says.

    Raises:
        JournalDamagedError: It does not; names what differs.
    """
    header, number = row.header, row.header.row
    if number != before.row + 1:
        raise JournalDamagedError(f"row {number}", f"comes after row {before.row}")
    if row.digest != digest_of(before.digest, header.pack()):
        raise JournalDamagedError(f"row {number}", "does not follow from the row before")
    for told, part in zip(header.parts, row.parts, strict=True):
        if part is not None and told != seal_of(number, part):
            raise JournalDamagedError(part_text(*told[:4], number), "are not what was written")
    checksums = [each.checksum for each in sealed_effects(number, row.effects)]
    if (len(checksums), sum(checksums)) != (header.effect_count, header.effect_sum):
        raise JournalDamagedError(f"row {number}, outcomes", "are not what was written")
    if row.log is not None:
        found = len(row.log), log_checksum(number, row.log)
        if found != (header.log_bytes, header.log_checksum):
            raise JournalDamagedError(f"row {number}, records", "are others than were written")
    return Head(number, row.digest)


def seal_of(row: int, part: Part) -> PartSeal:
    """Return what the header of row *row* says of a part."""
    return PartSeal(*part[:4], len(part.data), part_checksum(row, part))


def refuse_used(store: str, newest: Head) -> None:
    """See that nothing was ever written to a store that another is to be restored to.

    Raises:
        JournalError: There are rows.
    """
    if newest.row:
        problem = f"has {newest.row} rows already, and is not overwritten"
        raise JournalError(store, problem, "give the path of a new file, or an empty database")


def _rows(stored: Stored, branches: Mapping[BranchKey, Branch]) -> Iterator[Row]:
    head = Head(0, genesis(stored.store_id))
    effects = _Effects(stored)
    for number, data, digest in stored.rows():
        header = read_header(data, f"row {number}")
        parts = [_part(stored, number, told, branches) for told in header.parts]
        row = Row(header, digest, parts, effects.of(number), _log(stored, header))
        head = check_row(row, head)
        yield row
    effects.end()
    if head != stored.newest():
        place = f"rows {head.row + 1} to {stored.newest().row}"
        raise JournalDamagedError(place, "are not there, or others than were written")


def _part(
    stored: Stored, row: int, told: PartSeal, branches: Mapping[BranchKey, Branch]
) -> Part | None:
    """Return a part of a row; None if it was let go."""
    branch = branches.get((told.root, told.branch))
    if branch is None or row < branch.born or told.last <= branch.forgotten:
        return None
    found = stored.part(branch, told.last)
    if found is None:
        raise JournalDamagedError(part_text(*told[:4], row), "are not there")
    return found.part


def _log(stored: Stored, header: Header) -> bytes | None:
    """Return the records of a row; None if they were let go, or there were none."""
    if not header.log_bytes or header.row < stored.logs_before:
        return None
    found = stored.log(header.row)
    if found is None:
        raise JournalDamagedError(f"row {header.row}, records", "are not there")
    return found[1]


class _Effects:
    """The effects of a store, row by row."""

    def __init__(self, stored: Stored) -> None:
        found = map(_sound, stored.effects())
        self._rows = groupby(found, key=lambda each: each.row)
        self._next: tuple[int, Iterator[StoredEffect]] | None = next(self._rows, None)

    def of(self, row: int) -> list[EffectRow]:
        """Return those of the next row."""
        if self._next is None or self._next[0] != row:
            return []
        found = sorted(each.effect for each in self._next[1])
        self._next = next(self._rows, None)
        return found

    def end(self) -> None:
        """See that there are no more."""
        if self._next is not None:
            raise JournalDamagedError(f"row {self._next[0]}, outcomes", "are of no row")


def _checkpoints(stored: Stored) -> Iterator[Checkpoint]:
    for is_right, checkpoint in map(_sound, stored.checkpoints()):
        if not is_right:
            root, branch, version, _ = checkpoint
            place = f"checkpoint {part_text(root, branch, version, version)}"
            raise JournalDamagedError(place, "is another one than was written")
        yield checkpoint


def _sound(found: _T | JournalDamagedError) -> _T:
    if isinstance(found, JournalDamagedError):
        raise found
    return found
