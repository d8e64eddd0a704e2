"""Forcing: a version in which every entity of a tree has a new id, changed or not."""

from __future__ import annotations

from typing import Any

from registry.changes import COMMIT_BYTES, Changes
from registry.tree import TreeRegistry


def force(tree: TreeRegistry, found: Changes | None, now: float) -> Changes:
    """Return changes that renew the id of every entity which stays, beside what was found.

    Cost: the tree.
    """
    changes = found or Changes(tree, now, [], [], [], {}, COMMIT_BYTES)
    gone: Any = {node.key for node in getattr(changes, "removed", ())}
    keys = [tree.key]
    for key in keys:
        keys += tree.children_at(key, tree.head)
    for key in keys:
        if key not in gone:
            changes.changed[tree.node(key)] = None
    return changes
