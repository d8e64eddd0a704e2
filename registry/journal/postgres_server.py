"""A connection to a PostgreSQL journal: opened, its tables made, its errors translated.

The tables are in the schema `treerunner`, one store per database: see `migrations/`. They are those
of the SQLite journal, so their rows are read and checked by the same code.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from importlib import resources
from typing import Any, LiteralString, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from registry.errors import (
    JournalBusyError,
    JournalDamagedError,
    JournalError,
    TreerunnerError,
)
from registry.ids import new_key
from registry.journal.chain import genesis, root_bytes, root_of
from registry.journal.head_file import Head
from registry.journal.rows import sound
from registry.journal.sqlite_file import Durability

Database: TypeAlias = psycopg.Connection[tuple[Any, ...]]
CONNECTION: type[Database] = psycopg.Connection
"""Class of connections; tests put one here whose calls fail."""

_MIGRATION_LOCK = 0x54524A31
"""Key of the advisory lock that whoever makes or changes tables holds."""
_SYNCHRONOUS = {"none": "off", "commit": "off", "fsync": "on"}
_BUSY = ("55P03", "40P01")  # no lock in time; a deadlock, which the server ended
_DAMAGED = ("XX001", "XX002")  # a page, or an index, is not what was written
_ADVICE = {
    "25006": "write to the primary, or open it to read only",
    "42501": "grant its user what is missing",
    "53100": "make room on the disk of the server, then open it again",
    "53300": "raise max_connections, or close other connections",
}
_LOOK = "see that the server runs and can be reached, then load from it again"
_LINE = {
    "fallback_application_name": "treerunner",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
"""A call learns within 30 s of a server that is not there any more; the system waits for hours."""
_SHORT_ID = 1000
_ID_DIGEST = 32


class Opened(NamedTuple):
    """A connection to a journal.

    Attributes:
        db: The connection; every statement is a transaction, but between BEGIN and COMMIT.
        store_id: Identity of the store.
    """

    db: Database
    store_id: int

    @property
    def genesis(self) -> bytes:
        """What stands before the digest of row 1."""
        return genesis(self.store_id)


def open_server(
    dsn: str, name: str, *, durability: Durability, timeout_s: float, read_only: bool
) -> Opened:
    """Connect, and make the tables if they are not there.

    Args:
        dsn: The address of a database, with what is needed to get in.
        name: The same, for messages.
        durability: What a commit waits for.
        timeout_s: How long to wait for a lock, and how long to hold one without a word.
        read_only: Nothing is written.

    Raises:
        JournalError, JournalBusyError, JournalDamagedError: See `Journal`.
    """
    db = _connect(dsn, name, timeout_s)
    try:
        _set_up(db, durability, timeout_s, read_only)
        _migrate(db, name, read_only)
        found = db.execute("SELECT id FROM treerunner.store", binary=True).fetchone()
        with sound(f"{name}, the entry of the store"):
            return Opened(db, root_of(found[0] if found else b""))
    except psycopg.Error as error:
        db.close()
        raise translated(error, name, timeout_s) from error
    except BaseException:
        db.close()
        raise


def _connect(dsn: str, name: str, timeout_s: float) -> Database:
    """Connect; no message, and no cause, tells more of the address than its name does."""
    told: dict[str, Any] = {}
    with suppress(psycopg.Error):
        told.update(conninfo_to_dict(dsn))
    if not told or name.endswith("://...") or urlsplit(dsn).netloc.count("@") > 1:
        problem = "has an address that cannot be read"
        way_out = "write postgresql://user:password@host:port/database, with %40 for an @ in it"
        raise JournalError(name, problem, way_out)
    told = {"connect_timeout": max(2, round(timeout_s)), **_LINE, **told}
    try:
        return CONNECTION.connect(make_conninfo(**told), autocommit=True)
    except psycopg.Error as error:
        secret = told.get("password")
        text = str(error).replace(secret, "...") if secret else str(error)
    raise JournalError(name, f"cannot be reached: {_line(text)}", _LOOK)


def _set_up(db: Database, durability: Durability, timeout_s: float, read_only: bool) -> None:
    """Say how this session waits: of a writer that stops in the middle, the server lets go."""
    milliseconds = f"{max(1, round(timeout_s * 1000))}"
    settings = {
        "synchronous_commit": _SYNCHRONOUS[durability],
        "lock_timeout": milliseconds,
        "idle_in_transaction_session_timeout": milliseconds,
        "default_transaction_read_only": "on" if read_only else "off",
    }
    for setting, value in settings.items():
        db.execute("SELECT set_config(%s, %s, false)", (setting, value))


def _migrations() -> list[tuple[int, str, bytes]]:
    """Return number, name and SQL of each migration, in order."""
    folder = resources.files("registry.journal") / "migrations"
    files = sorted(each.name for each in folder.iterdir() if each.name.endswith(".sql"))
    return [(int(file.partition("_")[0]), file, (folder / file).read_bytes()) for file in files]


def _version(db: Database) -> int:
    """Return the number of the newest migration that the database has; 0 if there is none."""
    if db.execute("SELECT to_regclass('treerunner.migrations')").fetchone() == (None,):
        return 0
    newest = "SELECT coalesce(max(number), 0) FROM treerunner.migrations"
    found = db.execute(newest).fetchone()
    return 0 if found is None else int(found[0])


def _migrate(db: Database, name: str, read_only: bool) -> None:
    """Bring the tables to the form that this version knows, all at once; others wait meanwhile."""
    migrations = _migrations()
    known, found = migrations[-1][0], _version(db)
    if found < known and read_only:
        problem = (
            f"has tables of version {found}, and nothing is written" if found else "is not there"
        )
        raise JournalError(name, problem, "open it without read_only, or give another database")
    if found < known:
        with db.transaction():
            db.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
            db.execute("CREATE SCHEMA IF NOT EXISTS treerunner")
            db.execute(
                "CREATE TABLE IF NOT EXISTS treerunner.migrations (number bigint PRIMARY KEY,"
                " name text NOT NULL, applied timestamptz NOT NULL DEFAULT now())"
            )
            found = _version(db)  # another process may have been quicker
            for number, file, statements in migrations:
                if number > found:
                    db.execute(statements)
                    added = "INSERT INTO treerunner.migrations (number, name) VALUES (%s, %s)"
                    db.execute(added, (number, file))
            if not found:
                key = new_key()
                store = "INSERT INTO treerunner.store VALUES (true, %b, 0, %b, 0)"
                db.execute(store, (root_bytes(key), genesis(key)))
    if found > known:
        raise JournalDamagedError(name, f"has tables of version {found}, this one reads {known}")


def newest_row(db: Database, *, lock: bool = False) -> Head:
    """Return the newest row as the entry of the store has it.

    Args:
        db: The connection.
        lock: Whether others wait until the transaction of the connection ends.

    Raises:
        JournalDamagedError: There is no such entry.
    """
    query: LiteralString = "SELECT head_row, head_digest FROM treerunner.store"
    found = db.execute(f"{query} FOR UPDATE" if lock else query, binary=True).fetchone()
    if found is None:
        raise JournalDamagedError("the entry of the store", "is not there")
    return Head(int(found[0]), bytes(found[1]))


def indexed_id(execution_id: bytes) -> tuple[bytes, bytes | None]:
    """Return what the table has of an execution id: for the index, and whole if that is not all.

    Those for the index differ if the ids do: only of a long one they have `_SHORT_ID` bytes.
    """
    if len(execution_id) < _SHORT_ID:
        return execution_id, None
    digest = hashlib.blake2b(execution_id, digest_size=_ID_DIGEST).digest()
    return execution_id[: _SHORT_ID - _ID_DIGEST] + digest, execution_id


def is_busy(error: psycopg.Error) -> bool:
    """Whether somebody else has the lock, so that nothing happened."""
    return error.sqlstate in _BUSY


def translated(error: psycopg.Error, store: str, waited_s: float) -> TreerunnerError:
    """Return the error of ours that says the same, of a statement that is not COMMIT."""
    if is_busy(error):
        return JournalBusyError(store, waited_s)
    if error.sqlstate in _DAMAGED:
        return JournalDamagedError(store, f"cannot be read: {_line(str(error))}")
    way_out = _ADVICE.get(error.sqlstate or "", _LOOK)
    return JournalError(store, f"failed, and nothing was stored: {_line(str(error))}", way_out)


def unknown_outcome(detail: str, store: str) -> JournalError:
    """Return the error that says that a COMMIT was sent, and its answer did not come."""
    problem = (
        "failed during COMMIT, so that nobody knows here whether the group is stored: "
        f"{_line(detail)}"
    )
    return JournalError(store, problem, "load from it again: it is there as a whole, or not at all")


def _line(text: str) -> str:
    """Return a message of the server in one line."""
    return " ".join(text.split())
