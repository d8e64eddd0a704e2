"""Journals for the tests of the port: one way to open each backend, and short words for groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from registry.clock import Clock
from registry.journal.memory import MemoryJournal
from registry.journal.port import Effect, Group, Journal, Part, Series
from registry.journal.sqlite import SqliteJournal
from registry.journal.store import without_password
from tests.own_server import OwnServer

SHOP, DEPOT, YARD = (3 << 70) + 7, (1 << 73) + 1, 11
"""Roots; the first two take more bits than an integer of SQLite has."""


class Store(Protocol):
    """A place where a journal can be opened, perhaps again."""

    is_durable: bool

    def open(self, clock: Clock = ...) -> Journal:
        """Open the journal, with what is in it."""


class InMemory:
    """The one journal in memory; opening it again gives it as it is."""

    is_durable = False

    def __init__(self, folder: Path) -> None:
        self._journal: MemoryJournal | None = None

    def open(self, clock: Clock = lambda: 0.0) -> Journal:
        """Open the journal."""
        if self._journal is None:
            self._journal = MemoryJournal(clock=clock)
        return self._journal


class InFile:
    """A journal in a file of SQLite."""

    is_durable = True

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.db"

    def open(self, clock: Clock = lambda: 0.0) -> SqliteJournal:
        """Open the journal."""
        return SqliteJournal(self.path, clock=clock)


class OnServer:
    """A journal in a database of a PostgreSQL server."""

    is_durable = True

    def __init__(self, server: OwnServer) -> None:
        self.dsn = server.dsn(server.empty_database())

    def open(self, clock: Clock = lambda: 0.0) -> Journal:
        """Open the journal."""
        from registry.journal.postgres import PostgresJournal  # psycopg is an extra

        return PostgresJournal(self.dsn, name=without_password(self.dsn), clock=clock)


BACKENDS: Mapping[str, Callable[[Path], Store]] = {"memory": InMemory, "sqlite": InFile}


def part(
    root: int, first: int, last: int | None = None, branch: int = 0, data: bytes = b""
) -> Part:
    """Return a part; its data tells what it is, if none is given."""
    last = first if last is None else last
    return Part(root, branch, first, last, data or b"%d.%d:%d-%d" % (root, branch, first, last))


def group(
    *parts: Part,
    notes: Iterable[tuple[int, int, int, bytes]] = (),
    effects: Iterable[tuple[int, str, bytes]] = (),
    log: bytes = b"",
    epochs: Mapping[int, int] | None = None,
    series: Iterable[tuple[int, Sequence[int], Sequence[bytes]]] = (),
) -> Group:
    """Return a group; epochs are 1 for every root of its parts that goes on."""
    if epochs is None:
        epochs = {each.root: 1 for each in parts if each.first > 1}
    return Group(
        parts,
        tuple(notes),
        [Effect(*each) for each in effects],
        log,
        epochs,
        [Series(*each) for each in series],
    )
