"""The file of a SQLite journal: opened, recognised, its errors translated.

Tables, one line each: see `TABLES`. Roots take 74 bits, more than an integer of SQLite has, so a
root and a branch have a small number each. The number of a branch and a version make the row id of
a part, so reading a branch in order is one range of one table, and needs no index.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from registry.errors import (
    JournalBusyError,
    JournalDamagedError,
    JournalError,
    TreerunnerError,
)
from registry.ids import COMMIT_BITS, new_key
from registry.journal.chain import FORMAT, genesis, root_bytes, root_of
from registry.journal.head_file import Head, HeadFile, head_path, read_head

Durability = Literal["none", "commit", "fsync"]
"""What `append` waits for: nothing; a write that survives the process; one that is on the disk."""

APPLICATION_ID = 0x54524A31
"""Says whose file it is, in its first page."""
_SQL = """\
CREATE TABLE store (id BLOB NOT NULL, logs_before INTEGER NOT NULL);

CREATE TABLE groups (row INTEGER PRIMARY KEY, header BLOB NOT NULL, digest BLOB NOT NULL);

CREATE TABLE logs (row INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, data BLOB NOT NULL);

CREATE TABLE roots (
    number INTEGER PRIMARY KEY, root BLOB NOT NULL UNIQUE, epoch INTEGER NOT NULL,
    holder BLOB NOT NULL, since REAL NOT NULL, checksum INTEGER NOT NULL
);

CREATE TABLE branches (
    number INTEGER PRIMARY KEY, root BLOB NOT NULL, branch INTEGER NOT NULL,
    start INTEGER NOT NULL, head INTEGER NOT NULL, forgotten INTEGER NOT NULL,
    born INTEGER NOT NULL, noted INTEGER NOT NULL, checksum INTEGER NOT NULL,
    about BLOB NOT NULL, UNIQUE (root, branch)
);

CREATE TABLE parts (
    place INTEGER PRIMARY KEY, first INTEGER NOT NULL, row INTEGER NOT NULL,
    checksum INTEGER NOT NULL, data BLOB NOT NULL
);

CREATE TABLE checkpoints (
    place INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, data BLOB NOT NULL
);

CREATE TABLE effects (
    root INTEGER NOT NULL, id BLOB NOT NULL, row INTEGER NOT NULL,
    checksum INTEGER NOT NULL, outcome BLOB NOT NULL, PRIMARY KEY (root, id)
) WITHOUT ROWID;
"""
TABLES = tuple(table.strip() for table in _SQL.split(";") if table.strip())
CONNECTION: type[sqlite3.Connection] = sqlite3.Connection
"""Class of connections; tests put one here whose calls fail."""

FAILURES = (sqlite3.Error, OSError, UnicodeError)
"""What calls of SQLite raise; the last one where a text of a damaged file is shown."""

_UNSHARED = "mode=ro&immutable=1"
_SYNCHRONOUS = {"none": "OFF", "commit": "NORMAL", "fsync": "FULL"}
_CACHE_KIB = 8192
_PRIMARY = 0xFF
"""The bits of an extended error code that say which kind it is."""
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_ADVICE = {
    sqlite3.SQLITE_FULL: "make room on its disk, then open it again",
    sqlite3.SQLITE_READONLY: "make the file and its folder writable, or open it to read only",
    sqlite3.SQLITE_CANTOPEN: "see that its folder is there, and may be written",
    sqlite3.SQLITE_NOTADB: "give another path, or restore a backup if it was a journal",
    sqlite3.SQLITE_TOOBIG: "store less at once",
}
_LOOK = "look after the disk, then open it again"


def place_of(number: int, version: int) -> int:
    """Return the row id of the part that ends with a version of a branch, by its number."""
    return number << COMMIT_BITS | version


def number_at(place: int) -> int:
    """Return the number of the branch in a row id."""
    return place >> COMMIT_BITS


def version_at(place: int) -> int:
    """Return the version in a row id."""
    return place & ((1 << COMMIT_BITS) - 1)


def translated(error: Exception, store: str, waited_s: float) -> TreerunnerError:
    """Return the error of ours that says the same as one of `FAILURES`."""
    if is_busy(error):
        return JournalBusyError(store, waited_s)
    code = _code(error)
    if code == sqlite3.SQLITE_CORRUPT or isinstance(error, UnicodeError):
        return JournalDamagedError(store, f"cannot be read: {error}")
    return JournalError(store, f"failed: {error}", _ADVICE.get(code, _LOOK))


def is_busy(error: Exception) -> bool:
    """Whether somebody else has the lock, so that nothing happened."""
    return _code(error) in _BUSY


def _code(error: Exception) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & _PRIMARY


class Identity(NamedTuple):
    """Which file it is, whatever its name."""

    device: int
    inode: int


class SqliteFile:
    """An open journal in a file.

    Attributes:
        db: The connection; every statement is a transaction, but between BEGIN and COMMIT.

    Args:
        path: The database; with what belongs to it beside it.
        durability: What a commit waits for.
        timeout_s: How long to wait for other processes.
        read_only: Nothing is written, and nothing has to be right.
        is_kept: Whether it stays readable, as of one moment, if somebody begins to write to it.
            For that there is a log meanwhile, if an empty one, unless its folder is read-only.

    Raises:
        JournalError, JournalBusyError, JournalDamagedError: See `Journal`.
    """

    def __init__(
        self,
        path: Path,
        *,
        durability: Durability,
        timeout_s: float,
        read_only: bool,
        is_kept: bool = False,
    ) -> None:
        self.path = path
        self.head: HeadFile | None = None
        self._mode = _read_only_mode(path, is_kept=is_kept) if read_only else "mode=rwc"
        self._stamp = _stamp(path) if self._mode == _UNSHARED else None
        try:
            self.db = _connect(path, self._mode, timeout_s)
        except FAILURES as error:
            raise translated(error, str(path), timeout_s) from error
        try:
            self._prepare(durability, read_only)
        except FAILURES as error:
            self.close()
            raise translated(error, str(path), timeout_s) from error
        except BaseException:
            self.close()
            raise

    def _prepare(self, durability: Durability, read_only: bool) -> None:
        db = self.db
        db.execute("PRAGMA trusted_schema = OFF")
        db.execute("PRAGMA cell_size_check = ON")
        db.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if not read_only and self._is_new():
            self._create()
        self._recognise()
        self.read_id()
        if not read_only:
            self.head = HeadFile(head_path(self.path))
        self._identity = self._find()

    def _is_new(self) -> bool:
        """Whether there is nothing in the database, and never was."""
        # In this order: others write the head last.
        head = read_head(head_path(self.path))
        if self.db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            return False
        if head is not None:
            raise missing(self.path, 1, head.row)
        return True

    def _create(self) -> None:
        db = self.db
        if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            problem = "cannot have a write-ahead log there"
            raise JournalError(str(self.path), problem, "use a disk of this machine")
        db.execute("BEGIN IMMEDIATE")
        # Another process may have been quicker.
        if not db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            for table in TABLES:
                db.execute(table)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {FORMAT}")
            db.execute("INSERT INTO store VALUES (?, 0)", (root_bytes(new_key()),))
        db.execute("COMMIT")

    def _recognise(self) -> None:
        """Refuse what is no journal, is one of a newer version, or has other tables than ours."""
        db, store = self.db, str(self.path)
        tables = [sql for (sql,) in db.execute("SELECT sql FROM sqlite_schema ORDER BY rowid")]
        if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            found = "is a database of something else" if tables else "is empty"
            raise JournalError(store, found, "give the path of a journal, or of a new file")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version != FORMAT:
            found = f"has format {version}, this version reads {FORMAT}"
            raise JournalDamagedError(store, found)
        if [sql for sql in tables if sql] != list(TABLES):
            raise JournalDamagedError(store, "has other tables than a journal has")
        # Of a file that cannot change, SQLite does not say.
        if self._mode != _UNSHARED and db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            raise JournalDamagedError(store, "says that it has no write-ahead log")

    def read_id(self) -> int:
        """Return the identity of the store; a store without rows may get another one.

        Raises:
            JournalDamagedError: It has none.
        """
        try:
            found = root_of(self.db.execute("SELECT id FROM store").fetchone()[0])
            root_bytes(found)  # raises if it is too long
        except (TypeError, OverflowError) as error:
            raise JournalDamagedError(str(self.path), "has no identity any more") from error
        return found

    @property
    def genesis(self) -> bytes:
        """What stands before the digest of row 1."""
        return genesis(self.read_id())

    def _find(self) -> Identity:
        found = self.path.stat()
        return Identity(found.st_dev, found.st_ino)

    def check_in_place(self) -> None:
        """See that the file still has its name: what is written to a deleted one is lost.

        Raises:
            JournalError: It has not. Cost: 2 us.
        """
        try:
            found = self._find()
        except OSError:
            found = None
        if found != self._identity:
            problem = "was moved, deleted or replaced while it was open"
            raise JournalError(str(self.path), problem, "put it back, or open it again")

    def is_outdated(self) -> bool:
        """Whether somebody began to write to a file that nobody wrote to when it was opened.

        What is read from it then is of no moment: open it again. Cost: 3 us.
        """
        return self._stamp is not None and (
            log_path(self.path).exists() or _stamp(self.path) != self._stamp
        )

    def close(self) -> None:
        """Close it; once."""
        self.db.close()
        if self.head is not None:
            self.head.close()


def _read_only_mode(path: Path, *, is_kept: bool) -> str:
    """Return how to open a file so that nothing is written.

    Whoever has it open has a log, if an empty one. Without one there is nothing to share, and
    SQLite need not make one, nor an index of it (`-shm`).
    """
    if log_path(path).exists():
        return "mode=ro"
    if is_kept and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return "mode=rw"  # makes an empty log, and takes it away again
    return _UNSHARED


def _stamp(path: Path) -> tuple[int, int, int]:
    """Return what changes when a file is written to; zeros if it is not there."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def log_path(path: Path) -> Path:
    """Return the path of the write-ahead log of a database."""
    return path.with_name(path.name + "-wal")


def _connect(path: Path, mode: str, timeout_s: float) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}",
        uri=True,
        timeout=timeout_s,
        isolation_level=None,  # transactions begin and end where the code says so
        check_same_thread=False,  # calls exclude each other, see `SqliteJournal`
        factory=CONNECTION,
    )


def missing(path: Path, first: int, last: int) -> JournalDamagedError:
    """Return the error that says that rows were lost."""
    rows = f"row {first}" if first == last else f"rows {first} to {last}"
    found = (
        f"{'is' if first == last else 'are'} known to {head_path(path)}, and not stored any more "
        "(if what is left shall do, delete that file)"
    )
    return JournalDamagedError(f"{path}, {rows}", found)


def copy(source: SqliteFile, target: Path) -> bool:
    """Write what a file holds to a new one, with its head file.

    Returns:
        False if it was outdated before that was done; then nothing has the new name.

    Raises:
        sqlite3.Error, OSError: It could not be read or written; nothing has the new name.
    """
    partial = target.with_name(target.name + "-partial")
    partial.unlink(missing_ok=True)
    source.db.execute("BEGIN")
    found = source.db.execute("SELECT row, digest FROM groups ORDER BY row DESC LIMIT 1").fetchone()
    try:
        db = sqlite3.connect(partial, isolation_level=None)
        try:
            source.db.backup(db)
        finally:
            db.close()
        if source.is_outdated():
            return False
        _sync(partial)
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)
    if found is not None:
        head = HeadFile(head_path(target))
        head.write(Head(*found))
        head.close()
        _sync(head_path(target))
    _sync(target.parent)
    return True


@contextmanager
def new_database(target: Path) -> Iterator[Path]:
    """Give the path of a new database; when the block ends it is on the disk, and has its name.

    Nothing of it is left if the block raises.

    Raises:
        JournalError: There is a head file of that name, or it could not be given its name.
    """
    if head_path(target).exists():
        problem = f"has a head file already, {head_path(target)}"
        raise JournalError(str(target), problem, "delete that, or give the path of a new file")
    partial = target.with_name(target.name + "-partial")
    _remove(partial)
    try:
        yield partial
        try:
            # In this order: a database without a head file is no damage.
            for path in (partial, head_path(partial)):
                _sync(path)
            partial.rename(target)
            head_path(partial).rename(head_path(target))
            _sync(target.parent)
        except OSError as error:
            raise translated(error, str(target), 0.0) from error
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    """Delete a database, with what belongs to it."""
    for each in (path, log_path(path), path.with_name(path.name + "-shm"), head_path(path)):
        each.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
