"""Where a journal is, in words of the user: a path, a server, or this process."""

from __future__ import annotations

from contextlib import closing
from os import PathLike, fspath
from pathlib import Path
from urllib.parse import urlsplit

from registry.clock import Clock, system_clock
from registry.errors import JournalError
from registry.journal.memory import MemoryJournal
from registry.journal.port import Journal
from registry.journal.sqlite import SqliteJournal
from registry.journal.sqlite_file import Durability, new_database
from registry.journal.transcript import Transcript

IN_MEMORY = ":memory:"
_POSTGRESQL = ("postgresql", "postgres")


def open_journal(
    store: str | PathLike[str] | Journal,
    *,
    durability: Durability = "fsync",
    read_only: bool = False,
    clock: Clock = system_clock,
) -> Journal:
    """Return the journal in a store.

    Args:
        store: A path of a file, which is made if it is not there; `:memory:` for one that ends with
            this process; `postgresql://...`; or a journal, which is returned as it is.
        durability: What `append` waits for.
        read_only: Nothing is written, and a file that is not there is not made.
        clock: Tells since when somebody holds an epoch; a journal that is given has its own.

    Raises:
        JournalError: There is no such store, or it cannot be opened.
    """
    if not isinstance(store, (str, PathLike)):
        return store
    where = fspath(store)
    if where == IN_MEMORY:
        return MemoryJournal(clock=clock)
    scheme, found, _ = where.partition("://")
    if not found:
        return SqliteJournal(where, durability=durability, read_only=read_only, clock=clock)
    if scheme in _POSTGRESQL:
        return _on_server(where, durability, read_only, clock)
    problem = f"has the unknown scheme {scheme!r}"
    raise JournalError(without_password(where), problem, "give a path, or postgresql://...")


def restore_to(store: str | PathLike[str], transcript: Transcript) -> None:
    """Make a store the one that a transcript is of: a new file, or one without rows.

    A new file has its name only when it is whole and on the disk. Whatever is raised, by the
    transcript as well, nothing is left of it.

    Args:
        store: A path, or `postgresql://...`.
        transcript: Is read to its end.

    Raises:
        JournalError: The store has rows already, or cannot be made.
    """
    where = fspath(store)
    if "://" in where or Path(where).exists():
        with closing(open_journal(where)) as journal:
            journal.restore(transcript)
    else:
        with new_database(Path(where)) as path, closing(SqliteJournal(path)) as journal:
            journal.restore(transcript)


def _on_server(dsn: str, durability: Durability, read_only: bool, clock: Clock) -> Journal:
    name = without_password(dsn)
    try:
        from registry.journal.postgres import PostgresJournal  # psycopg is an extra
    except ImportError as error:
        problem = f"needs psycopg, which cannot be imported here ({error})"
        raise JournalError(name, problem, "pip install 'treerunner[postgres]'") from error
    return PostgresJournal(dsn, name=name, durability=durability, read_only=read_only, clock=clock)


def without_password(dsn: str) -> str:
    """Return the address of a server for messages: scheme, host, port and database alone.

    Nothing but the scheme if it is not clear where the password ends.
    """
    scheme = dsn.partition("://")[0]
    try:
        parts = urlsplit(dsn)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return f"{scheme}://..."
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":
        return f"{scheme}://..."
    return f"{scheme}://{parts.hostname or ''}{port}{parts.path}"
