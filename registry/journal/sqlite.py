"""The journal in one file of SQLite, of the standard library.

Any number of processes may have it open; each group is one transaction, in the order in which they
got the lock of the database. Everything that is read is compared with its checksum.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import Any

from registry import ids
from registry.clock import Clock, system_clock
from registry.errors import (
    DuplicateExecutionError,
    JournalBusyError,
    JournalDamagedError,
    JournalError,
    NotFoundError,
    TreerunnerError,
)
from registry.journal import sqlite_file
from registry.journal.audit import StoredEffect, audit, is_right
from registry.journal.chain import (
    Header,
    Sealed,
    branch_text,
    digest_of,
    root_bytes,
    root_text,
    seal,
    seal_epochs,
)
from registry.journal.effects import (
    EffectRow,
    effect_roots,
    found_in,
    id_bytes,
    id_of,
    key_text,
    number_of,
    numbers_by_root,
    spans_of,
)
from registry.journal.head_file import Head, head_path, read_head
from registry.journal.paging import (
    LOGS_AT_ONCE,
    PARTS_AT_ONCE,
    gap_in,
    read_logs,
    read_parts,
)
from registry.journal.port import Checkpoint, Entry, Group, Part, Problem
from registry.journal.rows import (
    Numbered,
    branch_values,
    checkpoint_checksum,
    read_branch,
    read_part,
    read_tenure,
    root_values,
    sound,
    sound_checkpoint,
)
from registry.journal.rules import (
    NOBODY,
    Branch,
    Tenure,
    check_apart,
    check_epochs,
    follow,
    readable,
    written_branches,
    written_roots,
)
from registry.journal.sqlite_audit import StoredInFile
from registry.journal.sqlite_file import (
    Durability,
    SqliteFile,
    log_path,
    missing,
    place_of,
)
from registry.journal.tables import pages
from registry.journal.transcript import Transcript, refuse_used

Probe = Callable[[str], None]
"""Is told the step that `append` is at: `before`, `begun`, `written`, `committed`, `headed`."""

_PAUSE_S = 0.005
_IDS_AT_ONCE = 500
_EFFECTS = "SELECT id, row, checksum, outcome FROM effects WHERE root = ? AND id"
_PAGE = (
    "SELECT place, first, row, checksum, data FROM parts"
    " WHERE place > ? AND place < ? ORDER BY place LIMIT ?"
)


class SqliteJournal:
    """A journal in a file. Not to be taken along into a forked process: open it there again.

    Args:
        path: The database; what belongs to it lies beside it: `-wal`, `-shm` and `-head`.
        durability: What `append` waits for.
        clock: Tells since when somebody holds an epoch.
        probe: Is told each step of an append; for tests that stop there.
        read_only: Nothing is written, and a store that lost rows opens all the same.
        timeout_s: How long to wait for other processes.

    Raises:
        JournalError, JournalBusyError: See `Journal`.
        JournalDamagedError: It is known to have held more than it does, or other things.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        durability: Durability = "fsync",
        clock: Clock = system_clock,
        probe: Probe | None = None,
        read_only: bool = False,
        timeout_s: float = 5.0,
    ) -> None:
        self._path = Path(path)
        self._durability = durability
        self._clock = clock
        self._probe = probe
        self._read_only = read_only
        self._timeout_s = timeout_s
        self._lock = threading.RLock()
        self._is_closed = False
        self._file: SqliteFile | None = None
        self._known = Head(0, b"")
        with self._using():
            pass

    @property
    def name(self) -> str:
        """The path."""
        return str(self._path)

    # --- writing ---

    def append(self, group: Group) -> int:
        """Store a group; return its row number. See `Journal.append`."""
        with self._using() as db:
            self._tell("before")
            with self._transaction(db):
                self._tell("begun")
                head = self._append(db, group)
                self._tell("written")
            self._tell("committed")
            self._note(head)
            self._tell("headed")
            return head.row

    def _append(self, db: sqlite3.Connection, group: Group) -> Head:
        newest = self._newest(db)
        row = newest.row + 1
        roots = dict.fromkeys([*written_roots(group), *group.epochs])
        new = check_epochs(group, {root: self._root(db, root)[1] for root in roots})
        known = {key: self._branch(db, *key) for key in written_branches(group)}
        branches = {key: found.branch for key, found in known.items() if found is not None}
        after = follow(row, group, branches)
        sealed = seal(row, group)
        for root in new:
            self._put_root(db, root, Tenure(1, "", self._clock()))
        numbers = {key: self._settle(db, known[key], branch) for key, branch in after.items()}
        self._put_effects(db, group, sealed)
        parts = [
            (place_of(number, part.last), part.first, row, told.checksum, part.data)
            for part, told in zip(group.parts, sealed.header.parts, strict=True)
            if (number := numbers[part.root, part.branch])
        ]
        db.executemany("INSERT INTO parts VALUES (?, ?, ?, ?, ?)", parts)
        if group.log:
            log = (row, sealed.header.log_checksum, group.log)
            db.execute("INSERT INTO logs VALUES (?, ?, ?)", log)
        return _put_row(db, newest, sealed.header)

    def _newest(self, db: sqlite3.Connection) -> Head:
        """Return the newest row, which is not older than the last one that was seen here."""
        assert self._file is not None, "a connection is of a file"
        found = db.execute("SELECT row, digest FROM groups ORDER BY row DESC LIMIT 1").fetchone()
        newest = Head(0, self._file.genesis) if found is None else Head(*found)
        if not isinstance(newest.digest, bytes):
            raise JournalDamagedError(f"{self.name}, row {newest.row}", "has no digest")
        if newest.row < self._known.row:
            raise missing(self._path, newest.row + 1, self._known.row)
        if newest.row == self._known.row > 0 and newest != self._known:
            raise JournalDamagedError(
                f"{self.name}, row {newest.row}", "is another one than it was"
            )
        return newest

    def _note(self, head: Head) -> None:
        """Put the newest row into the second place."""
        assert self._file is not None, "a connection is of a file"
        assert self._file.head is not None, "only what can be written has a new head"
        self._known = head
        self._file.head.write(head)

    def _put_effects(self, db: sqlite3.Connection, group: Group, sealed: Sealed) -> None:
        numbers = {root: self._number(db, root) for root in effect_roots(group)}
        for root, some in numbers_by_root(group):
            check_apart(root, some, self._counted(db, root, numbers[root], some))
        rows = [
            (numbers[root], key, sealed.header.row, checksum, data)
            for (root, key, data), checksum in sealed.effects
        ]
        try:
            db.executemany("INSERT INTO effects VALUES (?, ?, ?, ?, ?)", rows)
        except sqlite3.IntegrityError as error:
            root, key, _ = sealed.effects[_first_stored_before(db, rows)].effect
            raise DuplicateExecutionError(root_text(root), id_of(key)) from error

    def _settle(self, db: sqlite3.Connection, known: Numbered | None, branch: Branch | None) -> int:
        """Write what is known of a branch; return its number, 0 if it is taken out."""
        if branch is not None:
            return self._put_branch(db, None if known is None else known.number, branch)
        if known is not None:
            span = place_of(known.number, 0), place_of(known.number + 1, 0)
            db.execute("DELETE FROM branches WHERE number = ?", (known.number,))
            db.execute("DELETE FROM parts WHERE place >= ? AND place < ?", span)
            db.execute("DELETE FROM checkpoints WHERE place >= ? AND place < ?", span)
        return 0

    def _put_branch(self, db: sqlite3.Connection, number: int | None, branch: Branch) -> int:
        if number is None:
            newest = "SELECT coalesce(max(number), 0) + 1 FROM branches"
            number = int(db.execute(newest).fetchone()[0])
        values = branch_values(number, branch)
        db.execute("INSERT OR REPLACE INTO branches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        return number

    def acquire(self, roots: Iterable[int], holder: str) -> dict[int, int]:
        """Become the writer of roots; return their epochs. See `Journal.acquire`."""
        epochs = {}
        with self._using() as db:
            with self._transaction(db):
                for root in dict.fromkeys(roots):
                    epoch = self._root(db, root)[1].epoch + 1
                    self._put_root(db, root, Tenure(epoch, holder, self._clock()))
                    epochs[root] = epoch
                newest = self._newest(db)
                head = _put_row(db, newest, seal_epochs(newest.row + 1, epochs))
            self._note(head)
        return epochs

    def _root(self, db: sqlite3.Connection, root: int) -> tuple[int, Tenure]:
        """Return number and writer of a root; 0 and nobody if it is not known."""
        query = "SELECT * FROM roots WHERE root = ?"
        found = db.execute(query, (root_bytes(root),)).fetchone()
        if found is None:
            return 0, NOBODY
        return int(found[0]), read_tenure(found)[1]

    def _put_root(self, db: sqlite3.Connection, root: int, tenure: Tenure) -> int:
        number = self._root(db, root)[0]
        if not number:
            newest = "SELECT coalesce(max(number), 0) + 1 FROM roots"
            number = int(db.execute(newest).fetchone()[0])
        values = root_values(number, root, tenure)
        db.execute("INSERT OR REPLACE INTO roots VALUES (?, ?, ?, ?, ?, ?)", values)
        return number

    def _number(self, db: sqlite3.Connection, root: int) -> int:
        """Return the number of a root to which an execution was sent; 0 stays 0."""
        if not root:
            return 0
        return self._root(db, root)[0] or self._put_root(db, root, NOBODY)

    def put_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Store the state of a branch as of a version that is stored."""
        root, branch, version, data = checkpoint
        with self._using() as db, self._transaction(db):
            found = self._branch(db, root, branch)
            if found is None or not found.branch.forgotten <= version <= found.branch.head:
                raise NotFoundError(f"version {version} of {branch_text(root, branch)}", self.name)
            place = place_of(found.number, version)
            values = (place, checkpoint_checksum(checkpoint), data)
            db.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?)", values)

    def forget(self, root: int, branch: int, before: int) -> int:
        """Let go of parts and checkpoints that only older versions need. See `Journal.forget`."""
        with self._using() as db, self._transaction(db):
            found = self._branch(db, root, branch)
            if found is None or before <= found.branch.forgotten:
                return 0
            low, high = place_of(found.number, 0), place_of(found.number, before)
            if not db.execute("SELECT 1 FROM checkpoints WHERE place = ?", (high,)).fetchone():
                place = f"a checkpoint of {branch_text(root, branch)} at version {before}"
                raise NotFoundError(place, self.name)
            parts = db.execute("DELETE FROM parts WHERE place >= ? AND place <= ?", (low, high))
            old = db.execute("DELETE FROM checkpoints WHERE place >= ? AND place < ?", (low, high))
            self._put_branch(db, found.number, found.branch._replace(forgotten=before))
            return parts.rowcount + old.rowcount

    def forget_logs(self, before: int) -> int:
        """Let go of the records of rows before one; return how many rows had some."""
        with self._using() as db, self._transaction(db):
            before = min(before, self._newest(db).row + 1)
            db.execute("UPDATE store SET logs_before = max(logs_before, ?)", (before,))
            return db.execute("DELETE FROM logs WHERE row < ?", (before,)).rowcount

    def restore(self, transcript: Transcript) -> None:
        """Become the store that a transcript is of, in one transaction. See `Journal.restore`."""
        with self._using() as db:
            with self._transaction(db):
                refuse_used(self.name, self._newest(db))
                for table, rows in pages(transcript):
                    marks = ", ".join("?" * len(rows[0]))
                    db.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - a table of ours
                told = root_bytes(transcript.store_id), transcript.logs_before
                db.execute("UPDATE store SET id = ?, logs_before = ?", told)
            if transcript.newest.row:
                self._note(transcript.newest)

    # --- reading ---

    @contextmanager
    def stored(self) -> Iterator[StoredInFile]:
        """Give all that is stored, as of now. See `Journal.stored`."""
        with self._using():
            head = self._second_head()
            file = self._open_file(read_only=True, is_kept=True)
        try:
            file.db.execute("BEGIN")
            self._see(file, head)
            yield StoredInFile(file)
            if file.is_outdated():
                raise JournalBusyError(self.name, 0.0)
        except (sqlite3.Error, UnicodeError, JournalError) as error:
            if file.is_outdated():
                raise JournalBusyError(self.name, 0.0) from error
            if isinstance(error, JournalError):
                raise
            raise sqlite_file.translated(error, self.name, self._timeout_s) from error
        finally:
            file.close()

    def catalog(self, roots: Collection[int] | None = None) -> list[Entry]:
        """Return all branches, or those of some roots, oldest first."""
        query = "SELECT * FROM branches"
        with self._using() as db:
            if roots is None:
                found = db.execute(query).fetchall()
            else:
                found = []
                for page in _pages([root_bytes(root) for root in roots]):
                    some = f"{query} WHERE root IN ({', '.join('?' * len(page))})"
                    found += db.execute(some, page).fetchall()
            branches = sorted(map(read_branch, found), key=lambda each: each.number)
            return [each.branch.entry() for each in branches]

    def parts(
        self, root: int, branch: int, after: int = 0, until: int | None = None
    ) -> Iterator[Part]:
        """Yield the parts of a branch with some versions, in order. See `Journal.parts`."""
        with self._using() as db:
            found = self._branch(db, root, branch)
        if found is None:
            return
        wanted = readable(found.branch, after, until)

        def page(after: int) -> list[Part]:
            with self._using() as db:
                return _part_page(db, found, after)

        def gap(version: int) -> TreerunnerError:
            with self._using() as db:
                known = self._branch(db, root, branch)
            return gap_in(self.name, (root, branch), known and known.branch, version)

        yield from read_parts(wanted, page, gap)

    def outcome(self, root: int, execution_id: str) -> bytes | None:
        """Return the outcome of an execution that is stored; None if it is not."""
        return self.outcomes(root, [execution_id]).get(execution_id)

    def outcomes(self, root: int, execution_ids: Iterable[str]) -> dict[str, bytes]:
        """Return the outcomes of those executions that are stored, by id."""
        wanted = {id_bytes(each): each for each in execution_ids}
        found = {}
        with self._using() as db:
            number = self._root(db, root)[0] if root else 0
            if root and not number:
                return {}
            numbers = [each for text in wanted.values() if (each := number_of(text)) is not None]
            for each, outcome in self._counted(db, root, number, numbers):
                found[ids.execution_text(each)] = outcome
            for page in _pages(list(wanted)):
                query = f"{_EFFECTS} IN ({', '.join('?' * len(page))})"
                for effect in _effects(db.execute(query, (number, *page)).fetchall(), root):
                    found[wanted[effect.key]] = effect.data
        return found

    def _counted(
        self, db: sqlite3.Connection, root: int, number: int, numbers: Iterable[int]
    ) -> Iterator[tuple[int, bytes]]:
        """Yield those executions that are counted and stored, with their outcomes."""
        for span in spans_of(numbers):
            rows = db.execute(f"{_EFFECTS} >= ? AND id < ?", (number, span.low, span.high))
            for effect in _effects(rows, root):
                yield from found_in(effect, span)

    def logs(self, before: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield (row number, packed records), newest first. See `Journal.logs`."""
        query = "SELECT * FROM logs WHERE row < ? ORDER BY row DESC LIMIT ?"

        def page(upper: int) -> Sequence[tuple[Any, ...]]:
            with self._using() as db:
                return db.execute(query, (upper, LOGS_AT_ONCE)).fetchall()

        yield from read_logs(before, page)

    def checkpoint(self, root: int, branch: int, at: int | None = None) -> Checkpoint | None:
        """Return the newest checkpoint of a branch, up to version *at*; None if there is none."""
        query = "SELECT * FROM checkpoints WHERE place >= ? AND place <= ? ORDER BY place DESC"
        with self._using() as db:
            found = self._branch(db, root, branch)
            if found is None:
                return None
            at = found.branch.head if at is None else min(at, found.branch.head)
            span = place_of(found.number, 0), place_of(found.number, max(at, 0))
            values = db.execute(query + " LIMIT 1", span).fetchone()
        return sound_checkpoint((root, branch), values)

    def check(self) -> Iterator[Problem]:
        """Read everything, as of now, and yield what is wrong; others may write meanwhile."""
        while True:
            with self._using():
                head = self._second_head()
                file = self._open_file(read_only=True)
            try:
                found = list(self._check(file, head))
                if not file.is_outdated():
                    break
            finally:
                file.close()
        yield from found

    def _check(self, file: SqliteFile, head: Head | None) -> Iterator[Problem]:
        try:
            db = file.db
            db.execute("BEGIN")
            for (text,) in db.execute("PRAGMA integrity_check"):
                if text != "ok":
                    yield Problem(self.name, text, "a sound database")
            yield from audit(StoredInFile(file), head)
        except JournalDamagedError as error:
            yield Problem(error.place, error.found, "what was written")
        except sqlite_file.FAILURES as error:
            yield Problem(self.name, str(error), "something that can be read")

    def backup(self, path: str | PathLike[str]) -> None:
        """Write a copy as of now to a new file, with a head file; others may write meanwhile.

        The copy is on the disk when this returns, and has its name only then.

        Raises:
            JournalError: There is a file already, or it could not be written.
        """
        target = Path(path)
        if target.exists() or head_path(target).exists():
            problem = "is there already, and a backup takes no other's place"
            raise JournalError(str(target), problem, "give the path of a new file")
        while not self._copied_to(target):
            pass  # somebody has begun to write

    def _copied_to(self, target: Path) -> bool:
        with self._using():
            source = self._open_file(read_only=True)
        try:
            return sqlite_file.copy(source, target)
        except sqlite_file.FAILURES as error:
            store = f"{self.name}, copied to {target},"
            raise sqlite_file.translated(error, store, self._timeout_s) from error
        finally:
            source.close()

    def close(self) -> None:
        """Close it; calling twice is fine."""
        with self._lock:
            self._is_closed = True
            self._abandon()

    def _branch(self, db: sqlite3.Connection, root: int, branch: int) -> Numbered | None:
        query = "SELECT * FROM branches WHERE root = ? AND branch = ?"
        found = db.execute(query, (root_bytes(root), branch)).fetchone()
        return None if found is None else read_branch(found)

    # --- the connection ---

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """Give the connection, to one thread at a time; errors of SQLite become ours.

        After any of these but a lock the file is opened again by the next call: what a connection
        holds in memory after a failed write is not worth knowing.
        """
        with self._lock:
            if self._is_closed:
                raise JournalError(self.name, "is closed", "open it again")
            if self._file is None:
                self._file = self._open_in_time()
            elif not self._read_only:
                self._file.check_in_place()
            elif self._file.is_outdated():
                self._abandon()
                self._file = self._open_in_time()
            with self._translating():
                try:
                    yield self._file.db
                except sqlite_file.FAILURES as error:
                    if not sqlite_file.is_busy(error):
                        self._abandon()
                    raise

    @contextmanager
    def _transaction(self, db: sqlite3.Connection) -> Iterator[None]:
        if self._read_only:
            way_out = "open it without read_only to write"
            raise JournalError(self.name, "is open to read only", way_out)
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
            db.execute("COMMIT")
        except BaseException:
            try:
                if db.in_transaction:
                    db.execute("ROLLBACK")
            except sqlite3.Error:
                self._abandon()
            raise

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except sqlite_file.FAILURES as error:
            raise sqlite_file.translated(error, self.name, self._timeout_s) from error

    def _open_in_time(self) -> SqliteFile:
        """Open the file; wait for others, as SQLite does not when one of them makes or ends it."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                with self._translating():
                    return self._open()
            except JournalBusyError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_PAUSE_S)

    def _open(self) -> SqliteFile:
        """Open the file, and see that it holds what the second place says.

        With a log beside it a first look does not write: the last one to close a database moves
        its log into it, and what is damaged should stay as it was found.
        """
        # First this, then the database: others write them the other way round.
        head = self._second_head()
        if head is not None and not self._read_only and log_path(self._path).exists():
            look = self._open_file(read_only=True)
            try:
                self._see(look, head)
            finally:
                look.close()
        file = self._open_file(read_only=self._read_only)
        if file.head is not None:
            try:
                self._known = self._see(file, head)
                if self._known.row:
                    file.head.write(self._known)
            except BaseException:
                file.close()
                raise
        return file

    def _open_file(self, *, read_only: bool, is_kept: bool = False) -> SqliteFile:
        return SqliteFile(
            self._path,
            durability=self._durability,
            timeout_s=self._timeout_s,
            read_only=read_only,
            is_kept=is_kept,
        )

    def _second_head(self) -> Head | None:
        with self._translating():
            return read_head(head_path(self._path))

    def _see(self, file: SqliteFile, head: Head | None) -> Head:
        """Return the newest row, if it is sound and the database has what it is known to have."""
        query = "SELECT * FROM groups ORDER BY row DESC LIMIT 2"
        found = file.db.execute(query).fetchall()
        for told in (head, self._known):
            if told is not None and told.row:
                self._see_row(file.db, told, found[0][0] if found else 0)
        if not found:
            return Head(0, file.genesis)
        row, header, digest = found[0]
        before = found[1][2] if len(found) > 1 else file.genesis
        with sound(f"{self.name}, row {row}"):
            if digest == digest_of(before, header):
                return Head(row, digest)
        raise JournalDamagedError(f"{self.name}, row {row}", "is not what was written")

    def _see_row(self, db: sqlite3.Connection, told: Head, newest: int) -> None:
        if told.row > newest:
            raise missing(self._path, newest + 1, told.row)
        query = "SELECT digest FROM groups WHERE row = ?"
        found = db.execute(query, (told.row,)).fetchone()
        if found is None or found[0] != told.digest:
            place = f"{self.name}, row {told.row}"
            raise JournalDamagedError(place, f"is another one than {head_path(self._path)} knows")

    def _abandon(self) -> None:
        if self._file is not None:
            with suppress(sqlite3.Error):
                self._file.close()
            self._file = None

    def _tell(self, step: str) -> None:
        if self._probe is not None:
            self._probe(step)


def _put_row(db: sqlite3.Connection, newest: Head, header: Header) -> Head:
    """Add a row to the chain; return the new head."""
    data = header.pack()
    head = Head(header.row, digest_of(newest.digest, data))
    db.execute("INSERT INTO groups VALUES (?, ?, ?)", (head.row, data, head.digest))
    return head


def _pages(items: list[bytes]) -> Iterator[list[bytes]]:
    for at in range(0, len(items), _IDS_AT_ONCE):
        yield items[at : at + _IDS_AT_ONCE]


def _effects(rows: Iterable[Sequence[Any]], root: int) -> Iterator[EffectRow]:
    """Yield effects as they are read, if they are what was written."""
    for key, row, checksum, data in rows:
        stored = StoredEffect(row, checksum, EffectRow(root, key, data))
        with sound(f"outcomes of root {root_text(root)}"):
            if not is_right(stored):
                raise JournalDamagedError(f"row {row}, {key_text(key)}", "has another outcome")
        yield stored.effect


def _part_page(db: sqlite3.Connection, found: Numbered, after: int) -> list[Part]:
    """Return the next parts of a branch, with versions after one."""
    number, (root, branch, *_) = found
    span = place_of(number, after), place_of(number + 1, 0)
    rows = db.execute(_PAGE, (*span, PARTS_AT_ONCE))
    return [read_part((root, branch), values) for values in rows]


def _first_stored_before(db: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> int:
    """Return which of the effects to be stored is there already, or comes twice."""
    query = "SELECT 1 FROM effects WHERE root = ? AND id = ? AND row <> ?"
    seen = set()
    for at, (number, execution_id, row, *_) in enumerate(rows):
        key = (number, execution_id)
        if key in seen or db.execute(query, (*key, row)).fetchone():
            return at
        seen.add(key)
    raise JournalDamagedError("effects", "refuse what is not there")
