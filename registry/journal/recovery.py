"""Recovery: a tree is made again from what is stored of it.

Its birth, then each of its commits, through the same steps as the first time. Callables are never
run again.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from registry import ids
from registry.errors import JournalDamagedError, PrunedError
from registry.journal.commits import BIRTH, COMMIT, OUTPUTS, SOURCES, entries_of, redo_commit
from registry.journal.images import forget_gone, read_checkpoint, read_image
from registry.journal.journaled_tree import JournaledTree
from registry.journal.packing import Unpacker, reading
from registry.journal.port import Checkpoint, Journal
from registry.journal.states import StateReader
from registry.tree import TreeRegistry


def recover(tree: JournaledTree, journal: Journal, head: int, needed: int) -> None:
    """Do again what is stored of a branch.

    From the newest checkpoint on that is older than all that must be readable: what retention would
    have let go is not made.

    Args:
        tree: The branch as it began: without entities, or as a fork of what it was forked from.
        journal: Where it is stored.
        head: The newest version to do again.
        needed: The oldest version that must be readable.

    Raises:
        JournalDamagedError: What is stored is not what was written.
        UnreadableValueError: A value is of a class that is another one now.
        UnknownClassError: A class is not imported.
        ClassChangedError: A class has a field that was not stored, and has no default.

    Cost: about 8 us per commit.
    """
    by = StateReader(tree)
    root = f"root {ids.to_uuid(tree.key)}"
    root_key, branch = int(tree.key), tree.branch
    with _without_collector(), tree.keeping_all():
        checkpoint = journal.checkpoint(root_key, branch, needed - 1) or _oldest(journal, tree)
        if checkpoint is not None:
            read_checkpoint(checkpoint, by)
        # No further: somebody else may have written more since.
        for part in journal.parts(root_key, branch, tree.head, head):
            place = f"versions {part.first} to {part.last} of branch {part.branch} of {root}"
            by.open(Unpacker(part.data, place))
            if part.first != tree.head + 1:  # checkpoints are put where parts end
                raise JournalDamagedError(place, f"do not follow version {tree.head}")
            with reading(place):
                for entry in entries_of(by.unpack):
                    if tree.head == head and entry[0] == COMMIT:
                        break
                    _REDO[entry[0]](tree, entry, by)
        forget_gone(by)
    if tree.head != head:
        place = f"branch {tree.branch} of {root}"
        raise JournalDamagedError(place, f"its head is {tree.head}, not {head}")
    tree.begin_after(by.greatest_number)
    tree.former = by.former


def _oldest(journal: Journal, tree: TreeRegistry) -> Checkpoint | None:
    """Return the checkpoint that compaction left in place of the beginning, if it did."""
    place = int(tree.key), tree.branch
    try:
        next(journal.parts(*place, tree.head), None)
    except PrunedError as error:
        return journal.checkpoint(*place, error.oldest)
    return None


def _redo_birth(tree: TreeRegistry, entry: list[Any], by: StateReader) -> None:
    _, time, number, name, image = entry
    now = by.unpack.time(time)
    read_image(image, by)
    nothing: tuple[Any, ...] = ((), (), (), (), ())
    commit = (1, now, by.unpack.number(number), by.unpack.texts[name], *nothing, 0)
    TreeRegistry.add_commit(tree, commit)


def _redo_outputs(tree: TreeRegistry, entry: list[Any], by: StateReader) -> None:
    outputs = tuple([(int(by.keys[key]), stamp) for key, stamp in entry[1]])
    TreeRegistry.note_outputs(tree, outputs)


def _redo_sources(tree: TreeRegistry, entry: list[Any], by: StateReader) -> None:
    _, key, version, name, source = entry
    TreeRegistry.store_sources(tree, by.keys[key], version, {name: by.source(source)})


_REDO = {
    COMMIT: redo_commit,
    BIRTH: _redo_birth,
    OUTPUTS: _redo_outputs,
    SOURCES: _redo_sources,
}


@contextmanager
def _without_collector() -> Iterator[None]:
    """Let the garbage collector rest: all that is made here stays, and it would look at it often.

    A third of the time of a large recovery.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
