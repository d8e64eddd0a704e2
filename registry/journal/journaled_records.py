"""The records of a workspace that has a store: each tells the writer what is complete."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from registry.journal.journaled_trees import JournaledTrees
from registry.journal.logs import OUTPUT, read_entry, read_output
from registry.journal.packing import Unpacker, reading
from registry.journal.writer import Writer
from registry.records import Packed, RecordLog


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
        if type(packed[1]) is not str:  # a commit and its record in one
            tree: Any = self._trees.by_root[packed[10], packed[11]]
            self._writer.note(packed, (tree,))
        else:
            self._writer.note(packed, self._trees.members(_places(packed)))

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
            read, outputs = _read_all(Unpacker(data, f"the records of row {row}"))
            found += reversed(read)
            for output in reversed(outputs):
                self._trees.outputs.restore(*output)
            if len(found) >= room:
                break
        self._entries.extendleft(found[:room])


def _read_all(unpack: Unpacker) -> tuple[list[Packed], list[Any]]:
    """Return the records and adoptions of one row, and the output entities."""
    read: list[Packed] = []
    outputs = []
    with reading(unpack.place):
        for entry in unpack:  # in order: times and numbers are differences
            if entry[0] == OUTPUT:
                outputs.append(read_output(entry, unpack))
            else:
                read.append(read_entry(entry, unpack))
    return read, outputs


def _places(packed: Packed) -> list[tuple[int, int]]:
    """Return root and branch of the trees that a record, or an adoption, tells of."""
    if packed[0] is None:
        return [(packed[2], packed[3])]
    trees = packed[4]
    return [(trees[at], trees[at + 1]) for at in range(0, len(trees), 4)]
