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


def write_checkpoint(tree: TreeRegistry, version: int, last_number: int) -> Checkpoint:
    """Return the state of a main branch as of a version, which must not change meanwhile.

    Entities that left the tree, and are known still, are part of it: they may come back.

    Cost: as `write_image`.
    """
    states = StateWriter(tree.branch)
    entry = [last_number, write_image(tree, version, states), _write_gone(tree, version, states)]
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


def read_checkpoint(checkpoint: Checkpoint, by: StateReader) -> None:
    """Fill a tree with the state of a checkpoint; its history begins with the version after it.

    Raises:
        JournalDamagedError: It is none.
    """
    root = ids.to_uuid(checkpoint.root)
    place = f"the checkpoint of version {checkpoint.version} of {root}"
    by.open(Unpacker(checkpoint.data, place))
    with reading(place):
        for last_number, image, *more in by.unpack:
            read_image(image, by)
            for removed, row in more[0] if more else ():
                node, _ = by.entity(row, 1, image[0])
                node.removed = removed
                by.gone.append((node, removed))
            by.last_number = last_number
    by.tree.begin_at(checkpoint.version)


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
