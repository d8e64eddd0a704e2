"""Images: a whole tree as of a version, as plain data, and made into a tree again.

What a tree begins with when it is adopted, and what a checkpoint holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from registry import ids
from registry.history import Node
from registry.journal.packing import Unpacker, reading
from registry.journal.port import Checkpoint
from registry.journal.states import StateReader, StateWriter
from registry.tree import TreeRegistry


def write_image(tree: TreeRegistry, version: int, to: StateWriter) -> list[Any]:
    """Return all entities of a main branch as of a version: when most were made, then each.

    Cost: the tree, about 5 us per entity.
    """
    created = tree.root_node.created
    return [
        created,
        *(
            to.resident(node, version, node.stamp_at(version, tree.branch), created)
            for node in _members(tree, version)
        ),
    ]


def write_checkpoint(
    tree: TreeRegistry, version: int, last_number: int, known_since: int
) -> Checkpoint:
    """Return the state of a main branch as of a version, which must not change meanwhile.

    Entities that left the tree, and are known still, are part of it: they may come back.

    Args:
        tree: The branch.
        version: The version.
        last_number: The greatest number of a container that it gave.
        known_since: Version after which all that left it is known still.

    Cost: as `write_image`.
    """
    states = StateWriter(tree.branch)
    image, gone = write_image(tree, version, states), _write_gone(tree, version, states)
    entry = [last_number, image, gone, known_since, _write_sources(tree, version, states)]
    states.pack.entries.append(entry)
    states.pack.mark()
    return Checkpoint(int(tree.key), tree.branch, version, states.pack.take())


def _write_gone(tree: TreeRegistry, version: int, to: StateWriter) -> list[Any]:
    """Return (version in which it left, entity) of each that is in the tree no more."""
    created = tree.root_node.created
    return [
        [node.removed, to.resident(node, version, node.stamp_at(version, tree.branch), created)]
        for node in tree.nodes.values()
        if 0 < node.removed <= version
    ]


def _write_sources(tree: TreeRegistry, version: int, to: StateWriter) -> list[Any]:
    """Return (entity, field, source) of each field that is as it was borrowed."""
    return [
        [to.pack.keys[key], name, to.source(source)]
        for key in tree.borrowed
        if key in tree.nodes
        for name, source in tree.sources_at(key, version).items()
    ]


class OpenCheckpoint:
    """A checkpoint that is unpacked, and not yet made into a tree.

    Args:
        checkpoint: As it is stored.

    Attributes:
        version: Of which version it is.
        known_since: Version after which all that left the tree is part of it; None if it does not
            say, since it was written before checkpoints did.

    Raises:
        JournalDamagedError: It is none.
    """

    known_since: int | None

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.version = checkpoint.version
        self._place = f"the checkpoint of version {checkpoint.version} of "
        self._place += str(ids.to_uuid(checkpoint.root))
        self._unpack = Unpacker(checkpoint.data, self._place)
        with reading(self._place):
            [entry] = self._unpack
            self._last_number, self._image = entry[:2]
            more: list[Any] = [*entry[2:], *_NOTHING[len(entry) - 2 :]]
            self._gone, self.known_since, self._sources = more

    def read(self, by: StateReader) -> None:
        """Fill a tree with its state; history begins with the version after it.

        Raises:
            JournalDamagedError: It is none.
        """
        by.open(self._unpack)
        with reading(self._place):
            read_image(self._image, by)
            for removed, row in self._gone:
                node, _ = by.entity(row, 1, self._image[0])
                node.removed = removed
                by.gone.append((node, removed))
            for key, name, source in self._sources:
                found = {name: by.source(source)}
                TreeRegistry.store_sources(by.tree, by.keys[key], self.version, found)
            by.last_number = self._last_number
        by.tree.begin_at(self.version)


_NOTHING: tuple[Any, ...] = ((), None, ())
"""What checkpoints say of what left, since when, and of sources, if they say nothing of it."""


def forget_gone(by: StateReader) -> None:
    """Forget those of a checkpoint's entities that had left the tree and did not come back."""
    for node, removed in by.gone:
        if node.removed == removed:
            del by.tree.nodes[node.key]


def _members(tree: TreeRegistry, version: int) -> Iterable[Node]:
    """Return the entities that were in a tree at a version, the root first."""
    known = {tree.key: True}
    for node in tree.nodes.values():
        way = []
        where = node.key
        while where not in known:
            way.append(where)
            each = tree.nodes[where]
            parent = each.parent_at(version)
            if parent is None or each.born > version:
                known[where] = False
                break
            where = parent
        for key in way:
            known[key] = known[where]
        if known[node.key]:
            yield node


def read_image(written: list[Any], by: StateReader) -> None:
    """Fill a tree, which has no entities yet, with those of an image.

    Cost: about 5 us per entity.
    """
    created, *rows = written
    tree, keys = by.tree, by.keys
    found = [by.entity(row, 1, created) for row in rows]
    for node, parent in found:
        if parent >= 0:
            node.parent = tree.nodes[keys[parent]]
