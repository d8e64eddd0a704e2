"""Whole trees through the bytes of a journal, for the tests of what is written and read there."""

from __future__ import annotations

from registry import Retention
from registry.ids import Key
from registry.journal.images import read_image, write_image
from registry.journal.packing import Unpacker
from registry.journal.states import StateReader, StateWriter
from registry.tree import TreeRegistry


def written_image(tree: TreeRegistry, version: int, branch: int = 0) -> bytes:
    """Return the bytes of a tree as of a version."""
    states = StateWriter(branch)
    states.pack.entries.append(write_image(tree, version, states))
    states.pack.mark()
    return states.pack.take()


def read_tree(key: Key, data: bytes) -> TreeRegistry:
    """Return the tree that bytes hold; it has no versions."""
    by = StateReader(TreeRegistry(key, Retention()))
    by.open(Unpacker(data, "here"))
    for image in by.unpack:
        read_image(image, by)
    return by.tree


def tree_again(tree: TreeRegistry, version: int = 1) -> TreeRegistry:
    """Return a tree as of a version, written and read."""
    return read_tree(tree.key, written_image(tree, version))
