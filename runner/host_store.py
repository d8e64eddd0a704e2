"""What a host has of a store: the writer that its owners share, and the outcomes that it knows.

A chunk is one group: what its jobs did is stored in one transaction after the last of them, with
their ids and outcomes, and answered only then. So a chunk that was not answered, since its host
died, is sent again to another host, which runs only what was not stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from registry import Ref, Retention, ids
from registry.clock import Clock, system_clock
from registry.journal.catalog import read_about
from registry.journal.outcomes import (
    Answered,
    Failed,
    read_outcome,
    usual_outcome,
    write_outcome,
)
from registry.journal.port import Entry, Series
from registry.journal.session import Session, process_name
from registry.journal.sqlite_file import Durability
from registry.journal.store import open_journal, without_password
from registry.journal.writer import Writer
from registry.semantics import MUTATION
from runner.batch import ErrorInfo
from runner.directory import NOWHERE, Directory
from runner.directory import Entry as Placed
from runner.wire import CANCELLED, FAILED, NOT_RUN, Chunk, Reply, ReplyRow, failure


class Store(NamedTuple):
    """Where a runner keeps what is committed.

    Attributes:
        place: A path, or the address of a server.
        durability: See `Workspace`.
    """

    place: str
    durability: Durability = "fsync"

    def __repr__(self) -> str:
        """Show where it is without a password: logs and tracebacks show this."""
        place = without_password(self.place) if "://" in self.place else self.place
        return f"Store(place={place!r}, durability={self.durability!r})"


class HostStore:
    """The store of one host, opened.

    Args:
        store: Where it is.
        clock: Where time comes from.

    Raises:
        JournalError: It cannot be opened.
    """

    def __init__(self, store: Store, clock: Clock = system_clock) -> None:
        self._store = store
        self._clock = clock
        self._open()

    def _open(self) -> None:
        place, durability = self._store
        journal = open_journal(place, durability=durability, clock=self._clock)
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

    def acquire(self, roots: Iterable[int], *, are_all: bool = False) -> dict[int, list[Entry]]:
        """Become the writer of stored roots, and of all that their owners have.

        Args:
            roots: The roots.
            are_all: Whether their owners have no others; else what was born while nobody could tell
                the driver of it is looked for.

        Returns:
            Their branches by owner.

        Cost: one transaction; a look at each stored branch, unless these are all.
        """
        wanted = set(roots)
        if not are_all:
            known = [(each.root, owner_of(each)) for each in self._writer.journal.catalog()]
            owners = {owner for root, owner in known if root in wanted}
            wanted.update(root for root, owner in known if owner in owners)
        self._writer.own(wanted, process_name())
        found: dict[int, list[Entry]] = {}
        # Only now: whoever had them until then may have stored more meanwhile.
        for entry in self._writer.journal.catalog(wanted):
            found.setdefault(owner_of(entry), []).append(entry)
        return found

    def known(self, root: Ref | None, numbers: Mapping[int, int | str]) -> dict[int, ReplyRow]:
        """Return what became of jobs for one root that ran before.

        Args:
            root: The root.
            numbers: Their executions, by index in the batch.

        Returns:
            What became of them, by index; nothing of those that the store does not know.

        Cost: a look for each, about 3 us.
        """
        by_id = {ids.execution_text(number): index for index, number in numbers.items()}
        found = self._writer.journal.outcomes(_scope(root), by_id)
        return {by_id[each]: _answer(data, root, each) for each, data in found.items()}

    def owners(self, roots: set[int]) -> dict[int, int]:
        """Return the key of the owner of each of some roots that is stored, by root."""
        return {each.root: owner_of(each) for each in self._writer.journal.catalog(roots)}

    def note(self, chunk: Chunk, reply: Reply, known: Known) -> None:
        """Note what became of the jobs of a chunk, to be stored with what they did.

        Cost: 0.5 us each; 1 us with an id of its own.
        """
        if known or any(chunk.own_ids) or NOT_RUN in reply.columns[1]:
            self._note_each(chunk, reply, known)
            return
        roots, columns = chunk.roots, reply.columns
        if roots.count(roots[0]) == len(roots):
            self._note_counted(chunk.batch, roots[0], chunk.indexes, columns)
            return
        places: dict[Ref | None, list[int]] = {}
        for at, root in enumerate(roots):
            places.setdefault(root, []).append(at)
        for root, some in places.items():
            indexes = [chunk.indexes[at] for at in some]
            self._note_counted(
                chunk.batch, root, indexes, [[each[at] for at in some] for each in columns]
            )

    def _note_each(self, chunk: Chunk, reply: Reply, known: Known) -> None:
        effects: dict[tuple[int, str], bytes] = {}
        counted: dict[Ref | None, list[tuple[int, ReplyRow]]] = {}
        for (_, root, index, own_id), row in zip(chunk.heads(), reply.rows(), strict=True):
            if row[1] == NOT_RUN or (known and known.covers(index)):
                continue
            if own_id:
                effects[_scope(root), own_id] = _outcome(row, root)
            else:
                counted.setdefault(root, []).append((index, row))
        self._writer.note_effects(effects)
        for root, rows in counted.items():
            indexes = [index for index, _ in rows]
            columns = list(zip(*[row for _, row in rows], strict=True))
            self._note_counted(chunk.batch, root, indexes, columns)

    def _note_counted(
        self, batch: int, root: Ref | None, indexes: Sequence[int], columns: Sequence[Sequence[Any]]
    ) -> None:
        """Note what became of jobs for one root that have no ids of their own."""
        outcomes = list(_outcomes(columns, root))
        numbers = [batch + index for index in indexes]
        if numbers != sorted(numbers):
            pairs = sorted(zip(numbers, outcomes, strict=True))
            numbers, outcomes = map(list, zip(*pairs, strict=True))
        self._writer.note_series([Series(_scope(root), numbers, outcomes)])

    def sync(self) -> None:
        """Return when all that was done is durable.

        Raises:
            TreerunnerError: It could not be stored; what the owners have in memory is ahead of it.
        """
        self._writer.sync()

    def reopen(self, roots: Iterable[int]) -> dict[int, list[Entry]]:
        """Open it again, after it failed; whoever uses it must load what they have anew.

        Nothing is acquired: if another host has become the writer of a root meanwhile, it stays so.

        Args:
            roots: Those that only this host wrote, as far as it knows.

        Returns:
            Their branches by owner, as far as they are stored.

        Cost: a look at each stored branch.
        """
        # One whose first group was stored, and not answered, has its first epoch.
        epochs = {root: self._writer.epochs.get(root, 1) for root in roots}
        self._writer.journal.close()
        self._open()
        self._writer.epochs = epochs
        found: dict[int, list[Entry]] = {}
        for entry in self._writer.journal.catalog(epochs):
            found.setdefault(owner_of(entry), []).append(entry)
        return found

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

    def find(self, root: Ref | None, execution_ids: Sequence[str]) -> dict[str, ReplyRow]:
        """Return what became of those jobs for a root that ran before, by id.

        Raises:
            JournalError, JournalDamagedError: It cannot be read.

        Cost: a look for each, about 3 us.
        """
        found = self._journal.outcomes(_scope(root), execution_ids)
        return {each: _answer(data, root, each) for each, data in found.items()}

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


def _outcomes(columns: Sequence[Sequence[Any]], root: Ref | None) -> Iterable[bytes]:
    """Return the outcomes of jobs for one root as bytes.

    The usual ones, all of which changed the root and returned it, are told by counting: a list
    compares the very same objects in 10 ns.
    """
    _, versions, changed, semantics, values, outputs = columns
    count = len(versions)
    is_usual = (
        root is not None
        and outputs.count((root,)) == count
        and semantics.count(MUTATION) == count
        and values.count(root) == count
    )
    if is_usual:
        return map(usual_outcome, versions, changed)
    return [_outcome(row, root) for row in zip(*columns, strict=True)]


def _outcome(row: ReplyRow, root: Ref | None) -> bytes:
    _, version, changed, semantic, value, outputs = row
    if version == FAILED:
        return write_outcome(Failed(*value), root)
    return write_outcome(Answered(version, changed, semantic, value, outputs), root)


def _answer(data: bytes, root: Ref | None, execution_id: str) -> ReplyRow:
    outcome = read_outcome(data, root, f"execution {execution_id!r}")
    if isinstance(outcome, Failed):
        return failure(0, ErrorInfo(*outcome))
    return (0, *outcome)


class Known(NamedTuple):
    """What is known of the jobs of a chunk before it runs.

    Attributes:
        rows: What became of those that ran before, by index.
        repeats: The other jobs that have the id of an earlier one of the chunk, by index: at which
            place that is.
    """

    rows: dict[int, ReplyRow]
    repeats: dict[int, int]

    def __bool__(self) -> bool:
        return bool(self.rows or self.repeats)

    def covers(self, index: int) -> bool:
        """Tell whether a job need not run."""
        return index in self.rows or index in self.repeats

    def reply(self, index: int, replies: list[Any]) -> Sequence[Any]:
        """Return what became of a job.

        Args:
            index: The job.
            replies: What became of those before it in the chunk, end to end.
        """
        if index in self.rows:
            return self.rows[index]
        at = self.repeats[index] * len(CANCELLED)
        return (0, *replies[at + 1 : at + len(CANCELLED)])


def known_jobs(store: HostStore, chunk: Chunk, *, is_again: bool) -> Known:
    """Return what is known of the jobs of a chunk.

    Args:
        store: Where it is looked up.
        chunk: The jobs.
        is_again: Whether another host was sent it before; else only jobs with ids can be known.
    """
    known = Known({}, {})
    first: dict[tuple[int, str], int] = {}
    asked: dict[Ref | None, dict[int, int | str]] = {}
    for at, (_, root, index, own_id) in enumerate(chunk.heads()):
        if own_id and first.setdefault((_scope(root), own_id), at) != at:
            known.repeats[index] = first[_scope(root), own_id]
        elif is_again or own_id:
            asked.setdefault(root, {})[index] = own_id or chunk.batch + index
    for root, numbers in asked.items():
        known.rows.update(store.known(root, numbers))
    return known


def _scope(root: Ref | None) -> int:
    return 0 if root is None else int(root.root)
