"""Ledger: what a record tells of beyond itself: the change set of its execution, tree by tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from registry import ids
from registry.address import Ref
from registry.errors import NotFoundError
from registry.ids import Key
from registry.records import Record
from registry.tree import TreeRegistry
from registry.trees import Trees


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """What one execution did to one tree, as one version of it.

    Attributes:
        tree: The root.
        version: Number of the version that it made.
        committed_at: When, UTC.
        callable: Name of the callable; None for an adoption.
        execution_id: The execution; None for an adoption.
        changed: Entities whose own values, order or children changed.
        created: Entities that entered the tree, also those that came back; of a new tree all,
            parents before children.
        removed: Entities that left the tree.
        moved: Entities that got another parent.
    """

    tree: Ref
    version: int
    committed_at: datetime
    callable: str | None
    execution_id: str | None
    changed: tuple[Ref, ...]
    created: tuple[Ref, ...]
    removed: tuple[Ref, ...]
    moved: tuple[Ref, ...]


def change_sets(trees: Trees, record: Record) -> list[ChangeSet]:
    """Return what an execution did, one change set per version that it made, new trees last.

    Raises:
        NotFoundError: One of the trees is not held here.
        PrunedError: Retention has let one of the versions go.

    Cost: the changes; of a new tree every entity.
    """
    found: list[ChangeSet] = []
    for versions in record.trees:
        if versions.after == versions.before:
            continue
        tree = trees.tree(Ref(Key(versions.root), Key(versions.root), versions.branch))
        made = range(versions.before + 1, versions.after + 1)
        found.extend(change_set(tree, version) for version in made)
    inputs = {versions.root for versions in record.trees}
    for key, _ in record.outputs:
        born = trees.held(key, 0)
        if born is None or key in inputs:
            continue
        first = change_set(born, 1)
        if first.execution_id == record.execution_id:
            found.append(first)
    return found


def change_set(tree: TreeRegistry, version: int) -> ChangeSet:
    """Return what made one version of a tree.

    Raises:
        NotFoundError, PrunedError: There is no such version, or it is no longer kept.
    """
    tree.check_version(version)
    commit = tree.commit_of(version)
    if commit is None:  # a branch keeps the version that it starts from, not how that was made
        raise NotFoundError(f"the commit of version {version}", tree.name)
    back = {key for key in commit.moved if not tree.contains(key, version - 1)}
    created = (*commit.created, *(key for key in commit.moved if key in back))
    return ChangeSet(
        Ref(tree.key, tree.key, tree.branch),
        version,
        datetime.fromtimestamp(commit.committed_at, UTC),
        commit.callable_name or None,
        ids.execution_text(commit.execution_id) or None,
        _refs(tree, commit.changed),
        _refs(tree, created or (_every_key(tree, version) if version == 1 else ())),
        _refs(tree, commit.removed),
        _refs(tree, (key for key in commit.moved if key not in back)),
    )


def _refs(tree: TreeRegistry, keys: Iterator[Key] | tuple[Key, ...]) -> tuple[Ref, ...]:
    return tuple([Ref(tree.key, ids.plain(key), tree.branch) for key in keys])


def _every_key(tree: TreeRegistry, version: int) -> tuple[Key, ...]:
    queue = [tree.key]
    for key in queue:
        queue.extend(tree.children_at(key, version))
    return tuple(queue)
