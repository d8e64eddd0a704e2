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
from registry.journal.images import OpenCheckpoint, forget_gone, read_image
from registry.journal.journaled_tree import JournaledTree
from registry.journal.packing import Unpacker, reading
from registry.journal.port import Checkpoint, Journal
from registry.journal.short_tree import Cut, Past
from registry.journal.states import StateReader
from registry.tree import TreeRegistry


def recover(tree: JournaledTree, journal: Journal, head: int, needed: int) -> dict[int, Any]:
    """Do again what is stored of a branch.

    From the newest checkpoint on that is older than all that must be readable: what retention would
    have let go is not made.

    Args:
        tree: The branch as it began: without entities, or as a fork of what it was forked from.
        journal: Where it is stored.
        head: The newest version to do again.
        needed: The oldest version that must be readable.

    Returns:
        Its containers, by number.

    Raises:
        JournalDamagedError: What is stored is not what was written.
        UnreadableValueError: A value is of a class that is another one now.
        UnknownClassError: A class is not imported.
        ClassChangedError: A class has a field that was not stored, and has no default.

    Cost: about 5 us per commit.
    """
    return _recover(tree, journal, head, _checkpoint_before(journal, tree, needed))


def _recover(
    tree: JournaledTree, journal: Journal, head: int, checkpoint: Checkpoint | None
) -> dict[int, Any]:
    by = StateReader(tree)
    with _without_collector(), tree.keeping_all():
        if checkpoint is not None:
            tree.known_since = checkpoint.version
            OpenCheckpoint(checkpoint).read(by)
        _redo(tree, journal, head, by)
        forget_gone(by)
    return by.cells


def recover_newest(tree: JournaledTree, journal: Journal, head: int, needed: int) -> Cut | None:
    """Do again what is stored of a main branch since its newest checkpoint.

    Args, Raises: As of `recover`.

    Returns:
        Where the tree begins. None if all that is needed must be done again, since there is no
        such checkpoint, or it does not know enough, or a class has changed: then the tree is not to
        be used.

    Cost: the entities, and about 5 us per commit since the checkpoint.
    """
    found = journal.checkpoint(int(tree.key), tree.branch, head - 1)
    if found is None or found.version < needed:
        return None
    checkpoint, by = OpenCheckpoint(found), StateReader(tree)
    if checkpoint.known_since is None or checkpoint.known_since > needed:
        return None
    with _without_collector(), tree.keeping_all():
        tree.known_since = checkpoint.known_since
        checkpoint.read(by)
        cells = dict(by.cells)
        _redo(tree, journal, head, by)
    return None if by.evolved else Cut(found.version, cells)


def recover_past(tree: JournaledTree, journal: Journal, cut: int, needed: int) -> Past | None:
    """Make the versions up to a cut, into a tree without entities.

    Args, Raises: As of `recover`.

    Returns:
        What was made; None if nothing older than the cut is needed or stored.
    """
    if needed > cut:
        return None
    checkpoint = _checkpoint_before(journal, tree, needed)
    if checkpoint is not None and checkpoint.version >= cut:
        return None  # compaction has let it go since
    return Past(tree, _recover(tree, journal, cut, checkpoint))


def _checkpoint_before(journal: Journal, tree: TreeRegistry, version: int) -> Checkpoint | None:
    """Return the newest checkpoint that is older than a version.

    Or the one that compaction left in place of the beginning; None if there is none of either.
    """
    place = int(tree.key), tree.branch
    found = journal.checkpoint(*place, version - 1)
    if found is None:
        try:
            next(journal.parts(*place, tree.head), None)
        except PrunedError as error:
            return journal.checkpoint(*place, error.oldest)
    return found


def _redo(tree: JournaledTree, journal: Journal, head: int, by: StateReader) -> None:
    """Do again the commits that follow the newest version of a tree."""
    root = f"root {ids.to_uuid(tree.key)}"
    start = tree.head
    # No further: somebody else may have written more since.
    for part in journal.parts(int(tree.key), tree.branch, start, head):
        place = f"versions {part.first} to {part.last} of branch {part.branch} of {root}"
        by.open(Unpacker(part.data, place))
        if part.first != tree.head + 1:  # checkpoints are put where parts end
            raise JournalDamagedError(place, f"do not follow version {tree.head}")
        with reading(place):
            for entry in entries_of(by.unpack):
                if tree.head == head and entry[0] == COMMIT:
                    break
                _REDO[entry[0]](tree, entry, by)
    if tree.head != head:
        place = f"branch {tree.branch} of {root}"
        raise JournalDamagedError(place, f"its head is {tree.head}, not {head}")
    tree.begin_after(by.greatest_number, start)
    tree.former = by.former


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
