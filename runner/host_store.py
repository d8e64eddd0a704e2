"""What a host has of a store: the writer that its owners share, and the outcomes that it knows.

A chunk is one group: what its jobs did is stored in one transaction after the last of them, with
their ids and outcomes, and answered only then. So a chunk that was not answered, since its host
died, is sent again to another host, which runs only what was not stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from registry import Ref, Retention, ids
from registry.journal.catalog import read_about
from registry.journal.outcomes import Answered, Failed, read_outcome, write_outcome
from registry.journal.port import Effect, Entry
from registry.journal.session import Session, process_name
from registry.journal.sqlite_file import Durability
from registry.journal.store import open_journal
from registry.journal.writer import Writer
from runner.batch import ErrorInfo
from runner.directory import NOWHERE, Directory
from runner.directory import Entry as Placed
from runner.wire import FAILED, ReplyRow, failure


class Store(NamedTuple):
    """Where a runner keeps what is committed.

    Attributes:
        place: A path, or the address of a server.
        durability: See `Workspace`.
    """

    place: str
    durability: Durability = "fsync"


class HostStore:
    """The store of one host, opened.

    Args:
        store: Where it is.

    Raises:
        JournalError: It cannot be opened.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open()

    def _open(self) -> None:
        journal = open_journal(self._store.place, durability=self._store.durability)
        self._writer = Writer(journal)

    def session(
        self, retention: Retention, entries: Iterable[Entry] = (), owner: int = 0
    ) -> Session:
        """Return what the workspace of one owner stores by.

        Args:
            retention: How much is kept in memory.
            entries: The branches that the owner has already.
            owner: Key of the root that the owner was made for.
        """
        return Session(self._writer, retention, entries, owner)

    def acquire(self, roots: Iterable[int]) -> dict[int, list[Entry]]:
        """Become the writer of stored roots; return their branches by owner.

        Cost: one transaction, and a look at each stored branch.
        """
        wanted = set(roots)
        self._writer.own(wanted, process_name())
        found: dict[int, list[Entry]] = {}
        for entry in self._writer.journal.catalog():
            if entry.root in wanted:
                found.setdefault(owner_of(entry), []).append(entry)
        return found

    def known(self, root: Ref | None, number: int | str) -> ReplyRow | None:
        """Return what became of a job that ran before; None if none is known of."""
        execution_id = ids.execution_text(number)
        data = self._writer.outcome(_scope(root), execution_id)
        return None if data is None else _reply(data, root, execution_id)

    def note(self, root: Ref | None, number: int | str, reply: ReplyRow) -> None:
        """Note what became of a job, to be stored with what it did."""
        _, version, changed, semantic, value, outputs = reply
        outcome: Answered | Failed = Answered(version, changed, semantic, value, outputs)
        if version == FAILED:
            outcome = Failed(*value)
        effect = Effect(_scope(root), ids.execution_text(number), write_outcome(outcome, root))
        self._writer.note_effect(effect)

    def sync(self) -> None:
        """Return when all that was done is durable.

        Raises:
            TreerunnerError: It could not be stored; what the owners have in memory is ahead of it.
        """
        self._writer.sync()

    def reopen(self) -> None:
        """Open it again, after it failed; whoever uses it must load what they have anew."""
        self._writer.journal.close()
        self._open()

    def close(self) -> None:
        """Close it; what was not stored is gone."""
        self._writer.journal.close()


class KnownOutcomes:
    """Reads from a store what became of jobs; hosts may write to it meanwhile.

    Args:
        store: Where it is.

    Raises:
        JournalError: It cannot be opened.
    """

    def __init__(self, store: Store) -> None:
        # Not to read only: that is for a file which nobody begins to write to.
        self._journal = open_journal(store.place, durability=store.durability)

    def find(self, root: Ref | None, execution_id: str) -> ReplyRow | None:
        """Return what became of a job that was for a root; None if none is known of.

        Raises:
            JournalError, JournalDamagedError: It cannot be read.
        """
        data = self._journal.outcome(_scope(root), execution_id)
        return None if data is None else _reply(data, root, execution_id)

    def close(self) -> None:
        """Close the store."""
        self._journal.close()


def enter_stored(store: Store, directory: Directory) -> None:
    """Enter the roots of a store into a directory; no host has them yet.

    Raises:
        JournalError: The store cannot be opened.

    Cost: a look at each stored branch.
    """
    journal = open_journal(store.place, durability=store.durability)
    try:
        for entry in journal.catalog():
            about = read_about(entry)
            if entry.branch == 0 and entry.head and not about.is_config:
                key = ids.plain(entry.root)
                directory.enter(
                    Placed(Ref(key, key), NOWHERE, about.owner or entry.root, about.name)
                )
    finally:
        journal.close()


def owner_of(entry: Entry) -> int:
    """Return the key of the root whose owner has a stored branch."""
    return read_about(entry).owner or entry.root


def _reply(data: bytes, root: Ref | None, execution_id: str) -> ReplyRow:
    outcome = read_outcome(data, root, f"execution {execution_id!r}")
    if isinstance(outcome, Failed):
        return failure(0, ErrorInfo(*outcome))
    return (0, *outcome)


def _scope(root: Ref | None) -> int:
    return 0 if root is None else int(root.root)
