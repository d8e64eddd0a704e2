"""A tree of which the newest versions are in memory, and the older ones in its store only.

What a host is asked for first is nearly always the head, so a tree is loaded from its newest
checkpoint on. Whatever needs more, asks one of the questions below; then all that retention keeps
is loaded, once, and the tree is one like any other: its class is changed.

    JournaledTree ── reopened ──> ShortTree ── a question about older versions ──> JournaledTree
                                      └────── as many newer ones as retention keeps ─────^

Methods of this class go on after that, so what they call is there in the other one, too.

Executions may run meanwhile, in other threads too, but none stores a commit while histories are put
together, and who reads meanwhile reads again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from registry import ids
from registry.changeset import Commit
from registry.history import Node
from registry.ids import Key
from registry.journal.grafting import Cells, check_fit, graft
from registry.journal.journaled_tree import JournaledTree
from registry.journal.port import Checkpoint
from registry.tree import TreeRegistry

_PATIENCE = 100_000
"""Looks at a commit that another thread stores, a tenth of a millisecond apart."""


class Cut(NamedTuple):
    """Where a tree begins of which older versions are stored and not in memory.

    Attributes:
        version: Its newest version that was not made from commits.
        cells: The containers of the tree as of that version.
    """

    version: int
    cells: Cells


class Past(NamedTuple):
    """The versions of a tree up to a cut.

    Attributes:
        tree: The tree as of the newest of them.
        cells: Its containers.
    """

    tree: JournaledTree
    cells: Cells


Recall = Callable[[JournaledTree, int], Past | None]
"""Loads what retention keeps of a tree up to a version; None if that is nothing."""


class ShortTree(JournaledTree):
    """A main branch, forked from nowhere, that begins at a checkpoint.

    Every question about older versions loads them.
    """

    _begin: int  # the newest version that was not made from commits
    _cells: Cells
    _recall: Recall
    _recalled: Past | None
    _recalling: threading.RLock
    _grafting: threading.RLock
    _grafter: int

    @staticmethod
    def begin(tree: JournaledTree, cut: Cut, recall: Recall) -> None:
        """Let a tree that was recovered from its newest checkpoint load the rest when asked."""
        vars(tree).update(
            _begin=cut.version,
            _cells=cut.cells,
            _recall=recall,
            _recalled=None,
            _recalling=threading.RLock(),
            _grafting=threading.RLock(),
            _grafter=0,
        )
        tree.__class__ = ShortTree

    # --- questions about older versions ---

    @property
    def oldest(self) -> int:
        """Oldest version that can be read. Cost: as `complete`."""
        self.complete()
        return self._oldest

    def recall(self, version: int) -> None:
        """Have a version in memory, if retention keeps it. Cost: as `complete` for an older one."""
        if version <= self._begin:
            self.complete()

    def is_kept(self, version: int) -> bool:
        """Tell whether a version that existed can still be read."""
        if version > self._begin:
            return True
        self.complete()
        return JournaledTree.is_kept(self, version)

    def find_node(self, key: Key, version: int) -> tuple[Node, int] | None:
        """Return (node, version to read it at) for reading an entity as of *version*."""
        self.recall(version)
        return JournaledTree.find_node(self, key, version)

    def stamp_of(self, key: Key, version: int) -> int:
        """Return the stamp of the `ecs_id` that an entity had at *version*."""
        self.recall(version)
        return JournaledTree.stamp_of(self, key, version)

    def stamps_until(self, key: Key, version: int) -> list[int]:
        """Return the stamps of all retained ids of an entity up to *version*, oldest first."""
        node = self.nodes.get(key)
        if node is not None and node.first_stamp != ids.BIRTH:
            self.complete()
        return JournaledTree.stamps_until(self, key, version)

    def sources_at(self, key: Key, version: int) -> dict[str, Any]:
        """Return where fields came from that are at *version* as they were borrowed."""
        self.recall(version)
        return JournaledTree.sources_at(self, key, version)

    def commit_of(self, version: int) -> Commit | None:
        """Return the commit that made a version; None if it is no longer kept."""
        self.recall(version)
        return JournaledTree.commit_of(self, version)

    def version_of(self, root: ids.EntityVersion) -> int | None:
        """Return the version in which the root had an id; None if that is not kept."""
        is_ours = (root.key, root.branch) == (self.key, self.branch)
        if is_ours and self._begin < root.commit <= self.head:
            return root.commit
        return JournaledTree.version_of(self, root)

    # --- loading them ---

    def complete(self) -> None:
        """Have all in memory that retention keeps.

        Raises:
            JournalError: See `recovery.recover`; the tree stays as it is.

        Cost: about 5 us per version that retention keeps, and the tree.
        """
        with self._recalling:
            if type(self) is ShortTree and self._recalled is None:
                self._recalled = self._recall(self, self._begin)
        with self._grafting:
            _await_commit(self)
            if type(self) is not ShortTree:
                self._recalled = None  # loaded in vain
                return
            if self._grafter:
                return  # asked while histories are put together: what is there will do
            self._grafter = threading.get_ident()
            try:
                self._complete_with(self._recalled)
            finally:
                self._grafter = 0

    def _complete_with(self, past: Past | None) -> None:
        if past is None:
            self._end()
            return
        older = past.tree
        check_fit(self, older, self._begin)
        graft(self, self._cells, older, past.cells)
        self.commits[:0] = older.commits
        self.bytes_kept += older.bytes_kept
        self._oldest, self._uncut = older._oldest, older._uncut  # noqa: SLF001 - one of ours
        self.known_since = older.known_since
        former = {key: [*noted] for key, noted in older.former.items()}
        for key, noted in self.former.items():
            former.setdefault(key, []).extend(noted)
        self.former = former
        TreeRegistry._retire(self)  # noqa: SLF001 - its own, as it will be
        self._end()

    def _end(self) -> None:
        """Be a tree like any other."""
        self._recalled, self._cells = None, {}
        tree: JournaledTree = self
        tree.__class__ = JournaledTree

    # --- what must not happen meanwhile ---

    @property
    def is_storing(self) -> bool:
        """Whether a commit is being stored."""
        return bool(vars(self)["is_storing"])

    @is_storing.setter
    def is_storing(self, value: bool) -> None:
        if value:
            with self._grafting:
                self.__dict__["is_storing"] = True
        else:
            self.__dict__["is_storing"] = False

    def _heads(self) -> Any:
        """Return what tells that history is another one, also when the tree was completed."""
        if self._grafter not in (0, threading.get_ident()):
            return None
        heads = JournaledTree._heads(self)  # noqa: SLF001 - its own
        return None if heads is None else (heads, self._begin)

    def note_outputs(self, outputs: tuple[tuple[int, int], ...]) -> None:
        """Note on the newest version what the execution that made it returned."""
        with _ungrafted(self):
            JournaledTree.note_outputs(self, outputs)

    def store_sources(self, key: Any, version: int, sources: dict[str, Any]) -> None:
        """Keep where fields of an entity came from, as of a version."""
        with _ungrafted(self):
            JournaledTree.store_sources(self, key, version, sources)

    def checkpoint(self) -> Checkpoint | None:
        """Return the state of the tree; None if somebody works on it."""
        with self._grafting:
            return JournaledTree.checkpoint(self)

    # --- retention ---

    def _retire(self) -> None:
        """Let go of the oldest versions: what is not in memory goes first.

        Called while a commit is stored, so nothing is completed meanwhile.
        """
        for key in [key for key, node in self.nodes.items() if 0 < node.removed <= self._begin]:
            del self.nodes[key]
        self.known_since = max(self.known_since, self._begin)
        self._end()
        TreeRegistry._retire(self)  # noqa: SLF001 - its own


# Functions, since a tree may become one of the other class while a method of it runs.


def _await_commit(tree: TreeRegistry) -> None:
    """Wait until no other thread stores a commit; no new one begins, see `is_storing`.

    Storing takes microseconds and cannot fail. To go on all the same would spoil the history.
    """
    for _ in range(_PATIENCE):
        if not tree.is_storing or tree.turn.is_held_here:
            return
        time.sleep(0.0001)  # what stores needs the interpreter
    raise AssertionError("a commit is stored within ten seconds")


def _ungrafted(tree: ShortTree) -> AbstractContextManager[Any]:
    """Let no histories be put together in the block; while a commit is stored none are."""
    return nullcontext() if tree.is_storing else tree._grafting  # noqa: SLF001 - one of ours
