"""What an audit reads of a PostgreSQL journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, LiteralString

from registry.errors import JournalDamagedError
from registry.journal.audit import StoredEffect, StoredPart
from registry.journal.chain import log_checksum, part_checksum, part_text, sealed_effects
from registry.journal.effects import EffectRow, key_text
from registry.journal.head_file import Head
from registry.journal.port import Checkpoint, Part
from registry.journal.postgres_server import Opened, indexed_id, newest_row
from registry.journal.rows import read_branch, read_checkpoint, read_tenure, sound
from registry.journal.rules import Branch, BranchKey, Tenure
from registry.journal.sqlite_file import number_at, place_of


class StoredOnServer:
    """What the audit reads of a server, inside one transaction: all as of one moment."""

    def __init__(self, opened: Opened) -> None:
        self.db = opened.db
        self.store_id = opened.store_id
        found = self._one("SELECT logs_before FROM treerunner.store")
        self.logs_before = 0 if found is None else int(found[0])
        self.numbers: dict[BranchKey, int] = {}
        self.roots = {0: 0}

    def _one(self, query: LiteralString, *values: object) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self.db.execute(query, values, binary=True).fetchone()
        return found

    def _all(self, query: LiteralString) -> Iterator[tuple[Any, ...]]:
        """Yield rows as they come from the server, a hundred at a time."""
        with closing(self.db.cursor(name=f"audit_{abs(hash(query))}", binary=True)) as cursor:
            cursor.itersize = 100
            cursor.execute(query)
            yield from cursor

    def newest(self) -> Head:
        """Give the newest row, as the entry of the store has it."""
        return newest_row(self.db)

    def rows(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Give (number, header, digest), oldest first."""
        yield from self._all("SELECT * FROM treerunner.groups ORDER BY row")

    def branches(self) -> Iterator[Branch | JournalDamagedError]:
        """Give what is known of the branches; before their parts."""
        for values in self._all("SELECT * FROM treerunner.branches ORDER BY number"):
            try:
                number, branch = read_branch(values)
            except JournalDamagedError as error:
                yield error
            else:
                self.numbers[branch.root, branch.branch] = number
                yield branch

    def tenures(self) -> Iterator[tuple[int, Tenure] | JournalDamagedError]:
        """Give who may write which root; before the effects."""
        for values in self._all("SELECT * FROM treerunner.roots"):
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
        query: LiteralString = (
            "SELECT first, row, checksum, data FROM treerunner.parts WHERE place = %s"
        )
        found = self._one(query, place)
        if found is None:
            return None
        first, row, checksum, data = found
        part = Part(branch.root, branch.branch, first, last, data)
        with sound(part_text(*part[:4], row)):
            part_checksum(row, part)
        return StoredPart(row, checksum, part)

    def part_count(self) -> int:
        """Count all parts."""
        found = self._one("SELECT count(*) FROM treerunner.parts")
        return 0 if found is None else int(found[0])

    def effects(self) -> Iterator[StoredEffect | JournalDamagedError]:
        """Give all effects, those of older rows first; the server sorts them."""
        for number, indexed, row, checksum, data, whole in self._all(
            "SELECT root, id, row, checksum, outcome, whole FROM treerunner.effects ORDER BY row"
        ):
            try:
                with sound(f"row {row}, an execution"):
                    key = indexed if whole is None else whole
                    effect = EffectRow(self.roots[number], key, data)
                    sealed_effects(row, [effect])
            except JournalDamagedError as error:
                yield error
                continue
            if indexed_id(key)[0] == indexed:
                yield StoredEffect(row, checksum, effect)
            else:
                place = f"row {row}, {key_text(key)}"
                yield JournalDamagedError(place, "is not found under its id")

    def log(self, row: int) -> tuple[int, bytes] | None:
        """Give checksum and records of a row."""
        found = self._one("SELECT checksum, data FROM treerunner.logs WHERE row = %s", row)
        if found is None:
            return None
        checksum, data = found
        with sound(f"row {row}, records"):
            log_checksum(row, data)
        return checksum, data

    def checkpoints(self) -> Iterator[tuple[bool, Checkpoint] | JournalDamagedError]:
        """Give all checkpoints, and whether each is what was written."""
        branches = {number: key for key, number in self.numbers.items()}
        for values in self._all("SELECT * FROM treerunner.checkpoints ORDER BY place"):
            key = branches.get(number_at(values[0]))
            if key is None:
                yield JournalDamagedError(f"checkpoint {values[0]}", "is of no branch")
                continue
            try:
                yield read_checkpoint(key, values)
            except JournalDamagedError as error:
                yield error
