"""Port of the journal: what any backend stores, and what it promises.

A *group* is what is made durable together: all commits of one chunk of executions, or of one. It is
stored as one row in one transaction, or not at all, and what it holds is acknowledged only after
`append` returned. Each row names the digest of the row before it, and the newest digest is kept in
a second place, so that damage in the middle and a lost tail are both noticed.

The journal does not know what a commit is: data is bytes, packed by `packing.py`. What it has to
know stands beside the data: which versions of which branch, at which epoch, by which executions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:  # both stand on this file
    from registry.journal.audit import Stored
    from registry.journal.transcript import Transcript


class Part(NamedTuple):
    """The commits of one branch in one group.

    Attributes:
        root: Lineage bits of the root.
        branch: Number of the branch; 0 is main.
        first: Version that the first commit made.
        last: Version that the last commit made.
        data: The commits, packed.
    """

    root: int
    branch: int
    first: int
    last: int
    data: bytes


class Entry(NamedTuple):
    """What the catalog says of one branch.

    Attributes:
        root: Lineage bits of the root.
        branch: Number of the branch.
        start: Version that the branch starts from: 0, or that of the fork.
        head: Newest version that is stored.
        about: What the workspace notes about it, packed; the newest note counts. Empty if there
            never was one.
    """

    root: int
    branch: int
    start: int
    head: int
    about: bytes


class Effect(NamedTuple):
    """An execution that had a given id, and its outcome.

    Attributes:
        root: Root of the tree that the execution was sent to; 0 without one.
        execution_id: The id; unique per root.
        outcome: What its caller was answered, packed.
    """

    root: int
    execution_id: str
    outcome: bytes


class Series(NamedTuple):
    """Executions that a process counted, and their outcomes.

    Attributes:
        root: Root of the tree that they were sent to; 0 without one.
        numbers: Their numbers, ascending, all of one count (see `ids.first_execution_number`).
            The id of each is its text.
        outcomes: What their callers were answered, packed, in that order.
    """

    root: int
    numbers: Sequence[int]
    outcomes: Sequence[bytes]


class Group(NamedTuple):
    """What is made durable together.

    Attributes:
        parts: The commits, by branch; those of one branch follow its head without a gap.
        notes: (root, branch, start, about) of branches that are new, or about which something
            changed, before the parts; an empty `about` takes the branch out of the catalog, after
            them, with its parts and checkpoints. A branch without a note starts from 0.
        effects: The executions that had given ids.
        series: Those that are counted, as far as anybody may send them again.
        log: Their records, packed; empty if there are none.
        epochs: For every root of parts and notes that is not new: the epoch that its writer holds.
            A root that is new has epoch 1 from then on, and its writer holds it.
    """

    parts: Sequence[Part]
    notes: Sequence[tuple[int, int, int, bytes]] = ()
    effects: Sequence[Effect] = ()
    log: bytes = b""
    epochs: Mapping[int, int] = {}
    series: Sequence[Series] = ()


class Checkpoint(NamedTuple):
    """The whole state of a branch at a version, so that reading need not begin at version 1."""

    root: int
    branch: int
    version: int
    data: bytes


class Problem(NamedTuple):
    """Something that `check` found to be wrong.

    Attributes:
        place: Row, branch and versions, as far as known.
        found: What is there.
        expected: What should be.
    """

    place: str
    found: str
    expected: str


class Journal(Protocol):
    """An append-only store of groups. Any thread may call; calls exclude each other.

    Every method raises:
        JournalError: The store could not be read or written (full, read-only, gone). Whether an
            `append` that raised it took effect is unknown: forget what is in memory and load again.
        JournalBusyError: Another process kept it locked; nothing happened.
        JournalDamagedError: What was read is not what was written; names the place.
    """

    @property
    def name(self) -> str:
        """The store in messages: a path, or a server and database; never a password."""

    def append(self, group: Group) -> int:
        """Store a group, durably as the journal was opened; return the number of its row.

        Rows are numbered 1, 2, 3, ...; `acquire` makes one as well.

        Raises:
            FencedError: Somebody acquired one of the roots since, or a root that is known was given
                no epoch; nothing was stored.
            JournalGapError: A part does not begin after the head of its branch; nothing was stored.
            DuplicateExecutionError: An execution of the group is stored already, or comes twice;
                nothing was stored.

        Cost: one transaction, and one fsync if durability is `fsync`.
        """

    def acquire(self, roots: Iterable[int], holder: str) -> dict[int, int]:
        """Become the writer of roots: raise their epochs by one and return them.

        From then on whoever held an older epoch is refused. A root that is new here gets epoch 1.
        It is a row of its own, so that a lost one is noticed like a lost group.

        Args:
            roots: The roots.
            holder: Who writes from now on, in words for people.
        """

    def stored(self) -> AbstractContextManager[Stored]:
        """Give all that is stored, as of one moment, damaged or not; others may write meanwhile.

        What is read is for `transcribe`. Close it soon: no store gets smaller while it is open.

        Raises:
            JournalBusyError: Somebody began to write to a file in a folder that is read-only here.
                As are errors of reading, it is raised by the block as well.
        """

    def restore(self, transcript: Transcript) -> None:
        """Become the store that a transcript is of: its identity, rows, epochs, what was let go.

        It is one transaction: whatever is raised, by the transcript as well, nothing is stored.

        Raises:
            JournalError: This store has rows already.

        Cost: one transaction, one fsync; memory for the branches, and a row.
        """

    def catalog(self, roots: Collection[int] | None = None) -> list[Entry]:
        """Return all branches, or those of some roots, oldest first. Cost: the answer."""

    def parts(
        self, root: int, branch: int, after: int = 0, until: int | None = None
    ) -> Iterator[Part]:
        """Yield the parts that hold versions after one, up to another, in order.

        The first may begin earlier and the last end later. Their checksums are right, and there is
        no gap between them. What others append meanwhile is not among them.

        Raises:
            PrunedError: Some of these versions were let go: read on from a checkpoint.
        """

    def outcome(self, root: int, execution_id: str) -> bytes | None:
        """Return the outcome of an execution that is stored; None if it is not."""

    def outcomes(self, root: int, execution_ids: Iterable[str]) -> dict[str, bytes]:
        """Return the outcomes of those executions that are stored, by id.

        Cost: for a thousand at once, a tenth of asking for each.
        """

    def logs(self, before: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield (row number, packed records), newest first, of rows older than *before*."""

    def put_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Store the state of a branch as of a version that is stored.

        Raises:
            NotFoundError: It is not, or no longer.
        """

    def checkpoint(self, root: int, branch: int, at: int | None = None) -> Checkpoint | None:
        """Return the newest checkpoint of a branch, up to version *at*; None if there is none."""

    def forget(self, root: int, branch: int, before: int) -> int:
        """Let go of parts and checkpoints that only versions before one need; return how many.

        Whoever calls has put a checkpoint at that very version before. The chain stays whole: rows
        keep the digests of what they held.

        Raises:
            NotFoundError: There is no such checkpoint; nothing was let go.
        """

    def forget_logs(self, before: int) -> int:
        """Let go of the records of rows before one; return how many rows had some."""

    def check(self) -> Iterator[Problem]:
        """Read everything and yield what is wrong: digests, chain, second head, gaps, epochs."""

    def close(self) -> None:
        """Close it; calling twice is fine."""
