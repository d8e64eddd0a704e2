"""What an audit reads of a SQLite journal."""

from __future__ import annotations

import operator
from collections.abc import Iterator

from registry.errors import JournalDamagedError
from registry.journal.audit import StoredEffect, StoredPart
from registry.journal.chain import (
    genesis,
    log_checksum,
    part_checksum,
    part_text,
    sealed_effects,
)
from registry.journal.effects import EffectRow
from registry.journal.head_file import Head
from registry.journal.port import Checkpoint, Part
from registry.journal.rows import read_branch, read_checkpoint, read_tenure, sound
from registry.journal.rules import Branch, BranchKey, Tenure
from registry.journal.sqlite_file import SqliteFile, number_at, place_of


class StoredInFile:
    """What the audit reads of a file."""

    def __init__(self, file: SqliteFile) -> None:
        self.db = file.db
        self.store_id = file.read_id()
        with sound("the entry of the store"):
            (logs_before,) = self.db.execute("SELECT logs_before FROM store").fetchone()
            self.logs_before = operator.index(logs_before)
        self.numbers: dict[BranchKey, int] = {}
        self.roots = {0: 0}

    def newest(self) -> Head:
        """Give the newest row."""
        query = "SELECT row, digest FROM groups ORDER BY row DESC LIMIT 1"
        found = self.db.execute(query).fetchone()
        return Head(0, genesis(self.store_id)) if found is None else Head(*found)

    def rows(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Give (number, header, digest), oldest first."""
        for row, header, digest in self.db.execute("SELECT * FROM groups ORDER BY row"):
            yield row, _as_bytes(header), _as_bytes(digest)

    def branches(self) -> Iterator[Branch | JournalDamagedError]:
        """Give what is known of the branches; before their parts."""
        for values in self.db.execute("SELECT * FROM branches ORDER BY number").fetchall():
            try:
                number, branch = read_branch(values)
            except JournalDamagedError as error:
                yield error
            else:
                self.numbers[branch.root, branch.branch] = number
                yield branch

    def tenures(self) -> Iterator[tuple[int, Tenure] | JournalDamagedError]:
        """Give who may write which root; before the effects."""
        for values in self.db.execute("SELECT * FROM roots").fetchall():
            try:
                root, tenure = read_tenure(values)
            except JournalDamagedError as error:
                yield error
            else:
                self.roots[values[0]] = root
                yield root, tenure

    def part(self, branch: Branch, last: int) -> StoredPart | None:
        """Give the part of a branch that ends with a version."""
        place = place_of(self.numbers[branch.root, branch.branch], last)
        query = "SELECT first, row, checksum, data FROM parts WHERE place = ?"
        found = self.db.execute(query, (place,)).fetchone()
        if found is None:
            return None
        first, row, checksum, data = found
        part = Part(branch.root, branch.branch, first, last, data)
        with sound(part_text(*part[:4], row)):
            part_checksum(row, part)
        return StoredPart(row, checksum, part)

    def part_count(self) -> int:
        """Count all parts."""
        return int(self.db.execute("SELECT count(*) FROM parts").fetchone()[0])

    def effects(self) -> Iterator[StoredEffect | JournalDamagedError]:
        """Give all effects, those of older rows first; the database sorts them, on disk."""
        query = "SELECT * FROM effects ORDER BY row"
        for number, key, row, checksum, data in self.db.execute(query):
            try:
                with sound(f"row {row}, an execution"):
                    effect = EffectRow(self.roots[number], key, data)
                    sealed_effects(row, [effect])
                yield StoredEffect(row, checksum, effect)
            except JournalDamagedError as error:
                yield error

    def log(self, row: int) -> tuple[int, bytes] | None:
        """Give checksum and records of a row."""
        query = "SELECT checksum, data FROM logs WHERE row = ?"
        found = self.db.execute(query, (row,)).fetchone()
        if found is None:
            return None
        checksum, data = found
        with sound(f"row {row}, records"):
            log_checksum(row, data)
        return checksum, data

    def checkpoints(self) -> Iterator[tuple[bool, Checkpoint] | JournalDamagedError]:
        """Give all checkpoints, and whether each is what was written."""
        branches = {number: key for key, number in self.numbers.items()}
        for values in self.db.execute("SELECT * FROM checkpoints ORDER BY place"):
            key = branches.get(number_at(values[0]))
            if key is None:
                yield JournalDamagedError(f"checkpoint {values[0]}", "is of no branch")
                continue
            try:
                yield read_checkpoint(key, values)
            except JournalDamagedError as error:
                yield error


def _as_bytes(value: object) -> bytes:
    """Return what should be bytes; anything else as bytes that will not be taken for them."""
    return value if isinstance(value, bytes) else repr(value).encode()
