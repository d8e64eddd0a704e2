"""Rows of the tables of a journal: what they hold, and the checksums that say so."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from zlib import crc32

from registry.errors import JournalDamagedError
from registry.journal.chain import (
    branch_text,
    log_checksum,
    part_checksum,
    part_text,
    root_bytes,
    root_of,
)
from registry.journal.effects import id_bytes, id_of
from registry.journal.port import Checkpoint, Part
from registry.journal.rules import Branch, BranchKey, Tenure
from registry.journal.sqlite_file import version_at

_BRANCH = struct.Struct(">I10sIIIIQQ")
_ROOT = struct.Struct(">I10sId")
_CHECKPOINT = struct.Struct(">10sII")
_NOT_OURS = (struct.error, TypeError, ValueError, OverflowError, AttributeError, KeyError)
"""What reading raises when a value has another type or size than was written."""


class Numbered(NamedTuple):
    """A branch, and the number that it has in the tables."""

    number: int
    branch: Branch


@contextmanager
def sound(place: str) -> Iterator[None]:
    """Say that something is damaged if reading it fails."""
    try:
        yield
    except _NOT_OURS as error:
        raise JournalDamagedError(place, f"holds other kinds of values: {error}") from error


def read_branch(values: Sequence[Any]) -> Numbered:
    """Return the branch that a row of the catalog tells of."""
    number, root, branch, start, head, forgotten, born, noted, checksum, about = values
    place = f"catalog, entry {number}"
    with sound(place):
        found = Branch(root_of(root), branch, start, head, forgotten, born, noted, about)
        if checksum == branch_checksum(number, found):
            return Numbered(number, found)
    raise JournalDamagedError(place, "is not what was written")


def read_tenure(values: Sequence[Any]) -> tuple[int, Tenure]:
    """Return a root and who may write it."""
    number, root, epoch, holder, since, checksum = values
    place = f"roots, entry {number}"
    with sound(place):
        found = Tenure(epoch, id_of(holder), since)
        if checksum == root_checksum(number, root_of(root), found):
            return root_of(root), found
    raise JournalDamagedError(place, "is not what was written")


def read_part(key: BranchKey, values: Sequence[Any]) -> Part:
    """Return the part of a branch that a row tells of: place, first, row, checksum, data."""
    place, first, row, checksum, data = values
    part = Part(*key, first, version_at(place), data)
    name = part_text(*part[:4], row)
    with sound(name):
        if checksum == part_checksum(row, part):
            return part
    raise JournalDamagedError(name, "are not what was written")


def read_records(values: Sequence[Any]) -> tuple[int, bytes]:
    """Return the number of a row, and its records: row, checksum, data."""
    row, checksum, data = values
    with sound(f"row {row}, records"):
        if checksum == log_checksum(row, data):
            return row, data
    raise JournalDamagedError(f"row {row}, records", "are others than were written")


def sound_checkpoint(key: BranchKey, values: Sequence[Any] | None) -> Checkpoint | None:
    """Return a checkpoint that is what was written; None if there is none."""
    if values is None:
        return None
    is_right, checkpoint = read_checkpoint(key, values)
    if is_right:
        return checkpoint
    place = f"checkpoint of {branch_text(*key)} at version {checkpoint.version}"
    raise JournalDamagedError(place, "is another one than was written")


def read_checkpoint(key: BranchKey, values: Sequence[Any]) -> tuple[bool, Checkpoint]:
    """Return a checkpoint, and whether it is what was written."""
    place, checksum, data = values
    checkpoint = Checkpoint(*key, version_at(place), data)
    with sound(f"checkpoint of {branch_text(*key)} at version {checkpoint.version}"):
        return checksum == checkpoint_checksum(checkpoint), checkpoint


def branch_values(number: int, branch: Branch) -> tuple[Any, ...]:
    """Return the row of the catalog that tells of a branch."""
    checksum = branch_checksum(number, branch)
    return (number, root_bytes(branch.root), *branch[1:-1], checksum, branch.about)


def root_values(number: int, root: int, tenure: Tenure) -> tuple[Any, ...]:
    """Return the row that tells who may write a root."""
    checksum = root_checksum(number, root, tenure)
    holder = id_bytes(tenure.holder)
    return (number, root_bytes(root), tenure.epoch, holder, tenure.since, checksum)


def branch_checksum(number: int, branch: Branch) -> int:
    """Return the checksum of an entry of the catalog."""
    told = _BRANCH.pack(number, root_bytes(branch.root), *branch[1:-1])
    return crc32(branch.about, crc32(told))


def root_checksum(number: int, root: int, tenure: Tenure) -> int:
    """Return the checksum of an entry of the roots."""
    told = _ROOT.pack(number, root_bytes(root), tenure.epoch, tenure.since)
    return crc32(id_bytes(tenure.holder), crc32(told))


def checkpoint_checksum(checkpoint: Checkpoint) -> int:
    """Return the checksum of a checkpoint."""
    root, branch, version, data = checkpoint
    return crc32(data, crc32(_CHECKPOINT.pack(root_bytes(root), branch, version)))
