"""A tree that writes down what its commits do.

What an execution did counts from its record on: then `mark` is called, while it still has the turn.
What is beyond the mark may belong to one that is not complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from registry.entity import key_label
from registry.errors import NotJournalableError
from registry.history import Cell, DictCell, ListCell, Node, SetCell
from registry.journal.commits import BIRTH, OUTPUTS, SOURCES, write_commit
from registry.journal.fields import adapters_of
from registry.journal.images import write_checkpoint, write_image
from registry.journal.port import Checkpoint, Part
from registry.journal.states import FormerByKey, StateWriter, adapters_in, field_of
from registry.retention import Retention
from registry.tree import TreeRegistry

CHECKPOINT_EVERY = 4_096
"""Commits between two checkpoints of a small tree, 20 ms of recovery; more of a large one."""


class JournaledTree(TreeRegistry):
    """Working tree and history of one root on one branch, and what of it is not stored yet.

    Attributes:
        states: Writes its values; what is packed there waits to be stored.
        is_born: Whether its first version was written, or it is a fork, which begins with another.
        first: Version after the last one that was handed over to be stored.
        marked: Newest version that belongs to a complete execution.
        checked: Version of its last checkpoint.
        is_archive: Whether it only shows what memory has let go of.
        former: See `StateReader`: what a fork of it may need, if a class has an upcaster.
    """

    is_journaled = True
    is_archive = False
    former: FormerByKey = {}  # noqa: RUF012 - replaced, never written

    def __init__(self, key: Any, retention: Retention, **branch: Any) -> None:
        super().__init__(key, retention, **branch)
        self.states = StateWriter(self.branch)
        self.is_born = self.base is not None
        self.marked = self.head
        self.first = self.head + 1
        self.checked = self.head

    @classmethod
    def take_over(cls, tree: TreeRegistry) -> JournaledTree:
        """Make a tree that is as it was born one whose commits are written from now on.

        Raises:
            NotJournalableError: It holds what cannot be written; it stays what it was.
        """
        write_birth(tree, StateWriter(tree.branch))
        tree.__class__ = cls
        assert isinstance(tree, JournaledTree), "it is one now"
        tree.states, tree.is_born = StateWriter(tree.branch), False
        tree.marked, tree.first, tree.checked = 0, 1, 0
        tree._write_birth()  # noqa: SLF001 - it is one of this class
        return tree

    def add_commit(self, commit: tuple[Any, ...]) -> None:
        """Make a version the head, and write down what it did.

        Raises:
            NotJournalableError: It is version 1, and holds what cannot be written. Later ones were
                checked before they were stored.
        """
        if self.head or self.base is not None:
            write_commit(self, commit, self.states)
            self.deltas = ()
            super().add_commit(commit)
        else:
            super().add_commit(commit)
            self._write_birth()

    def check(self, changes: Iterable[tuple[Cell | Node, Any]]) -> None:
        """Refuse changes with values that cannot be written.

        Args:
            changes: A container and what its `apply` takes, or an entity and its new state.

        Raises:
            NotJournalableError: There is one.

        Cost: a look at each new value.
        """
        for where, change in changes:
            if isinstance(where, Node):
                check_state(where, change, self.states)
            elif type(change) is list or type(where) is SetCell:
                self._check_change(where, change)

    def _check_change(self, cell: Cell, change: Any) -> None:
        place, adapters = partial(_place_in, cell), adapters_in(cell)
        if type(cell) is not ListCell:
            keys = change[0] if type(cell) is SetCell else [key for key, _ in change]
            self.states.check_keys(keys, place)
        for value in _put(cell, change):
            self.states.check(value, place, adapters)

    def note_outputs(self, outputs: tuple[tuple[int, int], ...]) -> None:
        """Note on the newest version what the execution that made it returned."""
        super().note_outputs(outputs)
        pack = self.states.pack
        pack.entries.append([OUTPUTS, [[pack.keys[key], stamp] for key, stamp in outputs]])

    def store_sources(self, key: Any, version: int, sources: dict[str, Any]) -> None:
        """Keep where fields of an entity came from, as of a version."""
        super().store_sources(key, version, sources)
        if self.is_born or self.head:
            self._write_sources(key, version, sources)

    def _write_sources(self, key: Any, version: int, sources: dict[str, Any]) -> None:
        pack = self.states.pack
        for name, source in sources.items():
            entry = [SOURCES, pack.keys[key], version, name, self.states.source(source)]
            pack.entries.append(entry)

    def _write_birth(self) -> None:
        """Write version 1."""
        self.is_born = True
        pack, commit = self.states.pack, self.commit_of(1)
        assert commit is not None, "a tree is written before retention can forget its birth"
        image = write_birth(self, self.states)
        time, number = pack.time(commit.committed_at), pack.number(commit.execution_id)
        pack.entries.append([BIRTH, time, number, pack.text(commit.callable_name), image])
        for key, noted in self.borrowed.items():
            for version, name, source in noted:
                self._write_sources(key, version, {name: source})

    def mark(self) -> None:
        """Count what was written so far as complete."""
        self.states.pack.mark()
        self.marked = self.head

    def take(self) -> Part | None:
        """Return what is complete and was not handed over yet; None if nothing is.

        Cost: what it did.
        """
        if self.marked < self.first:
            return None
        data = self.states.pack.take()
        part = Part(int(self.key), self.branch, self.first, self.marked, data)
        self.first = self.marked + 1
        return part

    @property
    def wants_checkpoint(self) -> bool:
        """Whether what is stored since the last checkpoint takes longer to do again than that."""
        return self.marked - self.checked > CHECKPOINT_EVERY + 4 * len(self.nodes)

    def checkpoint(self) -> Checkpoint | None:
        """Return the state of the tree; None if somebody works on it, or it is a fork.

        Cost: the tree.
        """
        if self.base is not None or not self.turn.take_if_free():
            return None
        try:
            if self.head != self.marked or self.first != self.marked + 1:
                return None  # it holds what is not stored
            self.checked = self.marked
            return write_checkpoint(self, self.head, self.states.last_number)
        finally:
            self.turn.give_back()

    def begin_after(self, last_number: int) -> None:
        """Go on after what was recovered.

        Args:
            last_number: The greatest number of a container that this branch gave.
        """
        self.is_born = True
        self.states.begin_after(last_number)
        self.marked, self.first = self.head, self.head + 1
        self.checked = self.oldest - 1


def write_birth(tree: TreeRegistry, to: StateWriter) -> list[Any]:
    """Return the image of a tree as it was born.

    Raises:
        NotJournalableError: A value cannot be written; names the entity and the field.
    """
    try:
        return write_image(tree, 1, to)
    except NotJournalableError:
        for node in tree.nodes.values():
            check_state(node, node.state, StateWriter(tree.branch))
        raise


def check_state(node: Node, state: tuple[Any, ...], to: StateWriter) -> None:
    """Refuse a state with new values that cannot be written.

    Args:
        node: The entity.
        state: Its own, if all of it is new, or another one.
        to: What would write it.

    Raises:
        NotJournalableError: There is one.
    """
    names, old, adapters = node.schema.names, node.state, adapters_of(node.schema)
    is_new = state is old  # as it enters
    for at, value in enumerate(state[:-1]):
        if is_new or value is not old[at]:
            to.check(value, partial(_place_at, node, names[at]), adapters.get(names[at]))


def _place_at(node: Node, name: str) -> str:
    return f"{name!r} of {key_label(node.schema.cls, node.key)}"


def _place_in(cell: Cell) -> str:
    node = cell.node
    if node is None:
        return "a container"
    return _place_at(node, field_of(cell))


def _put(cell: Cell, change: Any) -> Iterator[Any]:
    """Yield the values that a change puts into a container."""
    if type(cell) is ListCell:
        for _, _, inserted in change:
            yield from inserted
    elif type(cell) is DictCell:
        for pair in change:
            yield from pair
    else:
        yield from change[0]
