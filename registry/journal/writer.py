"""The writer: collects what complete executions did, and makes it durable together.

A thread that executes leaves what it did here, with its record; whoever is next to be acknowledged
stores all that is there as one group, also what other threads have left. That is group commit: the
busier a workspace, the larger its groups.

    execution ── record ──> `note` ──┐
    execution ── record ──> `note` ──┼── `sync` ── one group ──> journal ──> acknowledged
    fork, name, drop ──> `note_branch`
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence

from registry.errors import JournalBusyError, TreerunnerError
from registry.journal.joints import write_joints
from registry.journal.journaled_tree import JournaledTree
from registry.journal.logs import write_entry, write_output
from registry.journal.packing import Packer
from registry.journal.port import Effect, Group, Journal, Series
from registry.outputs import PendingOutput
from registry.records import Packed

_PATIENCE = 12
"""Times that a locked store is tried, each as long as the journal waits."""


class Writer:
    """Hands to a journal what the executions of one process did.

    Attributes:
        is_read_only: Whether it hands over nothing, see `Reader`.
        journal: Where it is stored.
        epochs: The epoch that is held of each root that this process writes.
        first_row: The first row that was stored here; None before. Older ones are of others.
    """

    is_read_only = False

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.epochs: dict[int, int] = {}
        self.first_row: int | None = None
        self._gathering = threading.RLock()
        self._storing = threading.Lock()
        self._trees: dict[JournaledTree, None] = {}
        self._stored: Sequence[JournaledTree] = ()
        self._branches: dict[tuple[int, int], tuple[int, bytes]] = {}
        self._effects: dict[tuple[int, str], bytes] = {}
        self._series: list[Series] = []
        self._log = Packer()
        self._joints: list[Packed] = []
        self._failure: TreerunnerError | None = None

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Let nothing be stored while the block lasts: what is noted in it belongs together."""
        with self._gathering:
            yield

    def note(self, packed: Packed, trees: Sequence[JournaledTree]) -> None:
        """Note a record, and that what it tells of some trees is complete.

        Called by the thread that has the turns on them.
        """
        with self._gathering:
            for tree in trees:
                tree.mark()
                self._trees[tree] = None
            self._write_joints()
            self._log.entries.append(write_entry(packed, self._log))

    def note_joint(self, packed: Packed, tree: JournaledTree | None) -> None:
        """Note the usual record, which is one with its commit, as `note` does.

        It cannot change any more, so it is written when it is stored, with others like it.
        """
        with self._gathering:
            if tree is not None:
                tree.mark()
                self._trees[tree] = None
            self._joints.append(packed)

    def _write_joints(self) -> None:
        joints, self._joints = self._joints, []
        self._log.entries += write_joints(joints, self._log)

    def note_output(self, output: PendingOutput) -> None:
        """Note an output entity; it belongs to the record that comes next.

        Raises:
            NotJournalableError: Its value cannot be written.
        """
        with self._gathering:
            self._write_joints()  # differences are to what comes before
            self._log.entries.append(write_output(output.key, output.told, self._log))

    def note_branch(self, root: int, branch: int, start: int, about: bytes) -> None:
        """Note what the catalog says of a branch; nothing if it is to be forgotten."""
        with self._gathering:
            self._branches[root, branch] = (start, about)

    def note_effects(self, outcomes: Mapping[tuple[int, str], bytes]) -> None:
        """Note the outcomes of executions that had given ids, by root and id."""
        with self._gathering:
            self._effects.update(outcomes)

    def note_series(self, series: Iterable[Series]) -> None:
        """Note the outcomes of executions that are counted."""
        with self._gathering:
            self._series += series

    def outcome(self, root: int, execution_id: str) -> bytes | None:
        """Return the outcome of an execution that was noted or stored."""
        with self._gathering:
            noted = self._effects.get((root, execution_id))
        return self.journal.outcome(root, execution_id) if noted is None else noted

    def sync(self) -> None:
        """Return when all that was noted before is stored.

        Raises:
            JournalError, JournalBusyError, DuplicateExecutionError: It could not be, now or before;
                what is in memory is ahead of the store, which is to be opened again.

        Cost: one transaction of the journal, unless another thread has stored it meanwhile.
        """
        with self._storing:
            if self._failure is not None:
                raise self._failure
            group = self._gather()
            if group is None:
                return
            try:
                row = self._append(group)
            except TreerunnerError as error:
                self._failure = error
                raise
            self.first_row = self.first_row or row
            for part in group.parts:
                self.epochs.setdefault(part.root, 1)
            self._put_checkpoints()

    def _put_checkpoints(self) -> None:
        due, self._stored = [tree for tree in self._stored if tree.wants_checkpoint], ()
        for tree in due:
            checkpoint = tree.checkpoint()
            if checkpoint is not None:
                self.journal.put_checkpoint(checkpoint)

    def _append(self, group: Group) -> int:
        """Store a group; wait for a store that another process keeps locked."""
        for _ in range(_PATIENCE):
            try:
                return self.journal.append(group)
            except JournalBusyError as error:
                busy = error
        raise busy

    def _gather(self) -> Group | None:
        with self._gathering:
            trees, self._trees = list(self._trees), {}
            self._stored = trees
            branches, self._branches = self._branches, {}
            effects, self._effects = self._effects, {}
            series, self._series = self._series, []
            self._write_joints()
            log, self._log = self._log, Packer()
            parts = [part for tree in trees if (part := tree.take()) is not None]
            log.mark()
            packed = log.take()
        if not (parts or branches or effects or series or packed):
            return None
        # Also of what was only read: whoever is no longer the writer may not know the newest state.
        roots = {int(tree.key) for tree in trees}
        roots.update(root for places in (branches, effects) for root, _ in places)
        roots.update(each.root for each in series)
        return Group(
            parts,
            [(*place, *about) for place, about in branches.items()],
            [Effect(*place, outcome) for place, outcome in effects.items()],
            packed,
            {root: self.epochs[root] for root in roots & self.epochs.keys()},
            series,
        )

    def own(self, roots: Iterable[int], holder: str) -> None:
        """Become the writer of roots that are stored, of those that this process does not write."""
        new = [root for root in roots if root not in self.epochs]
        if new:
            self.epochs.update(self.journal.acquire(new, holder))

    def close(self) -> None:
        """Store what was noted, and close the journal."""
        try:
            if self._failure is None:
                self.sync()
        finally:
            self.journal.close()


class Reader(Writer):
    """In the place of a writer where a store is only read, while others may write to it.

    It becomes the writer of no root, so nobody is fenced, and what is noted is stored nowhere.
    Make it before the catalog is read: records of later rows would tell of versions that the
    catalog does not know.
    """

    is_read_only = True

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        newest, _ = next(iter(journal.logs()), (0, b""))
        self.first_row = newest + 1

    def own(self, roots: Iterable[int], holder: str) -> None:
        """Leave roots to whoever writes them."""

    def sync(self) -> None:
        """Store nothing."""
