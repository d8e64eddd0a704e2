"""The records of a workspace that has a store: each tells the writer what is complete."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager

from registry.journal.journaled_tree import JournaledTree
from registry.journal.journaled_trees import JournaledTrees
from registry.journal.logs import read_log
from registry.journal.writer import Writer
from registry.records import Packed, RecordLog

_BY_NOBODY = 5
"""Fields of an adoption that is no execution's."""


class _Waiting(threading.local):
    """Adoptions of a thread whose executions have no record yet."""

    def __init__(self) -> None:
        self.adoptions: list[Packed] = []


class JournaledRecords(RecordLog):
    """The newest records of a workspace; those of earlier processes are read when asked for.

    Args:
        most: How many are kept in memory.
        trees: The trees that they tell of.
        writer: Stores them.
    """

    def __init__(self, most: int, trees: JournaledTrees, writer: Writer) -> None:
        super().__init__(most)
        self._trees = trees
        self._writer = writer
        self._keep = self._entries.append
        self._has_read = False
        self._waiting = _Waiting()
        self.add = self._add_journaled
        trees.outputs.read_stored = self.read_stored

    def attend(self) -> None:
        """Count from now on, and tell the listener."""
        self.read_stored()
        self._keep = self._add_attended

    def together(self) -> AbstractContextManager[None]:
        """Keep records that are added in the block together, also in the store."""
        return self._writer.together()

    def _add_journaled(self, packed: Packed) -> None:
        self._keep(packed)
        adoptions = self._waiting.adoptions
        if packed[0] is None and len(packed) > _BY_NOBODY:
            adoptions.append(packed)  # by an execution: nothing without it
        elif not adoptions:
            self._note(packed)
        else:
            with self._writer.together():
                for each in (*adoptions, packed):
                    self._note(each)
            adoptions.clear()

    def _note(self, packed: Packed) -> None:
        if packed[0] is None or type(packed[1]) is str:
            self._writer.note(packed, self._trees_of(packed))
        else:  # a commit and its record in one
            tree = self._trees.by_root.get((packed[10], packed[11]))
            self._writer.note_joint(packed, tree if isinstance(tree, JournaledTree) else None)

    def _trees_of(self, packed: Packed) -> Sequence[JournaledTree]:
        """Return the trees that a record, or an adoption, tells of, if they are held here."""
        if packed[0] is None:
            return self._trees.members([(packed[2], packed[3])])
        trees = packed[4]
        places = [(trees[at], trees[at + 1]) for at in range(0, len(trees), 4)]
        return self._trees.members(places)

    def read_stored(self) -> None:
        """Read what earlier processes stored, as much as is kept; output entities, too.

        Cost: about 5 us per record.
        """
        if self._has_read:
            return
        self._has_read = True
        room = (self._entries.maxlen or 0) - len(self._entries)
        found: list[Packed] = []  # newest first
        for row, data in self._writer.journal.logs(self._writer.first_row):
            read, outputs = read_log(data, row)
            found += reversed(read)
            for output in reversed(outputs):
                self._trees.outputs.restore(*output)
            if len(found) >= room:
                break
        self._entries.extendleft(found[:room])
