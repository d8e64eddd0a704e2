"""Trial: executions whose work is shown and not kept.

The trees of a workspace are stood in for by forks of theirs that nobody holds: they share all
structure, have the same branch number, and so give the very ids that a real execution would give.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry import plain
from registry.address import Ref
from registry.adoption import Adoption
from registry.callables import RegisteredCallable
from registry.config_store import ConfigStore
from registry.copies import Cloner
from registry.diff import Diff, diff
from registry.entity import Entity, key_of, label
from registry.errors import IdentityTakenError, NotFoundError
from registry.execution import Setting
from registry.ids import EntityVersion
from registry.nested import execution_inside
from registry.nesting import running
from registry.records import Record, RecordLog
from registry.snapshot import Snapshot
from registry.tree import TreeRegistry
from registry.trees import EntityAt, Trees


@dataclass(frozen=True, slots=True)
class DryRun:
    """What an execution would do.

    Its entities are snapshots of versions that do not exist: they can be read, not passed on.

    Attributes:
        value: What it would return, in its shape; a plain result as it is.
        diffs: What it would change, for each tree, between its head and the version that there
            would be.
        created: The new roots that there would be.
        records: The record that it would leave, after those of what it ran inside.
    """

    value: Any
    diffs: tuple[Diff, ...]
    created: tuple[Entity, ...]
    records: tuple[Record, ...]

    def __bool__(self) -> bool:
        return bool(self.diffs or self.created)


class TrialTrees(Trees):
    """Stand-ins for the trees of a workspace, made when they are asked for.

    Args:
        origin: The trees of the workspace.
        versions: At which version to start, by (key of the root, branch); the head for others.
    """

    def __init__(
        self, origin: Trees, versions: Mapping[tuple[int, int], int] | None = None
    ) -> None:
        super().__init__(origin.retention)
        self.origin: Trees = origin
        self._versions = versions or {}
        self._begun: set[TreeRegistry] = set()

    def adopt(
        self,
        root: Entity,
        now: float,
        execution_id: int | str = "",
        callable_name: str = "",
        cloner: Cloner | None = None,
    ) -> tuple[TreeRegistry, Adoption]:
        """Build a tree as `Trees.adopt`."""
        if self.origin.is_taken(key_of(root), 0):
            raise IdentityTakenError(label(root))
        tree, adoption = super().adopt(root, now, execution_id, callable_name, cloner)
        return self._own(tree), adoption

    def fork(self, tree: TreeRegistry, version: int) -> TreeRegistry:
        """Start a new line of versions as `Trees.fork`."""
        return self._own(super().fork(tree, version))

    def last_branch(self, key: int) -> int:
        """Go on after the branches of the workspace, which may be stood in for."""
        return max(super().last_branch(key), self.origin.last_branch(key))

    def _own(self, tree: TreeRegistry) -> TreeRegistry:
        """Note that a tree was begun here: it is a stand-in itself."""
        tree.is_trial = True
        self._begun.add(tree)
        return tree

    def tree(self, ref: Ref) -> TreeRegistry:
        """Return the stand-in for the tree of a ref."""
        return self.by_root.get((ref[0], ref[2])) or self.stand_in(self.origin.tree(ref))

    def stand_in(self, tree: TreeRegistry) -> TreeRegistry:
        """Return the stand-in for a tree. Cost: constant."""
        if tree in self._begun:
            return tree
        where = tree.key, tree.branch
        known = self.by_root.get(where)
        if known is None:
            version = self._versions.get(where, super().stand_in(tree).head)
            known = self.by_root[where] = self._made(tree, version)
        return super().stand_in(tree) if tree.is_trial and tree is not known else known

    def _made(self, tree: TreeRegistry, version: int) -> TreeRegistry:
        tree.check_version(version)
        made = TreeRegistry(
            tree.key, self.retention, branch=tree.branch, base=tree, base_version=version
        )
        made.is_trial = True
        tree.pin(made, version)
        return made

    def locate(self, found: EntityVersion) -> EntityAt:
        """Return where an entity is as an id says, in the stand-in of its tree."""
        try:
            return super().locate(found)
        except NotFoundError:
            place = self.origin.locate(found)
            tree = self.stand_in(place.tree)
            return place._replace(tree=tree, version=min(place.version, tree.head))


def dry_run(
    setting: Setting,
    registered: RegisteredCallable,
    arguments: Mapping[str, Any],
    number: int | str,
) -> DryRun:
    """Run a callable, and return what it would do; see `Workspace.execute`."""
    trial = _trial_of(setting)
    value = plain.run(trial, registered, arguments, number, "raw")
    return _report(trial, value)


async def dry_run_async(
    setting: Setting,
    registered: RegisteredCallable,
    arguments: Mapping[str, Any],
    number: int | str,
) -> DryRun:
    """Run a callable from an event loop, and return what it would do."""
    trial = _trial_of(setting)
    execution = execution_inside(running.get(), trial, registered, number, "raw")
    await execution.run_async(arguments)
    return _report(trial, execution.snapshots())


def _trial_of(setting: Setting) -> Setting:
    trees = TrialTrees(setting.trees)
    retention = setting.trees.retention
    return setting._replace(
        trees=trees,
        records=RecordLog(retention.records),
        configs=ConfigStore(trees, retention.configs),
    )


def _report(trial: Setting, value: Any) -> DryRun:
    trees = list(trial.trees)
    return DryRun(
        value,
        tuple(
            diff(tree, tree.base_version, tree.head)
            for tree in trees
            if tree.base is not None and tree.head > tree.base_version
        ),
        tuple(
            Snapshot.of(tree, tree.head).entity(tree.key)
            for tree in trees
            if tree.base is None and not trial.configs.has_made(tree)
        ),
        tuple(trial.records.select()),
    )
