"""Undoing: the callables behind `revert` and `undo`, which bring back what older versions hold.

    revert   the whole tree becomes what it was at a version
    undo     what one execution changed becomes what it was before; what came later stays

Both look only at the entities that the commits in between name. What an execution changed, and
nobody has changed since, can be taken back; what somebody has changed since is a *dependent*. A
field is taken back as a whole: a list, dict or set is one value here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from registry import ids
from registry.callables import RegisteredCallable
from registry.changeset import Commit
from registry.diff import candidates
from registry.entity import Entity
from registry.errors import Dependent, InsideError, NotFoundError, PrunedError, UndoError
from registry.history import Stored
from registry.ids import Key
from registry.records import RecordLog, unpack
from registry.rewriting import Parts, Rewriting, differences, label_in, past, same_content
from registry.savepoint import has_written
from registry.schema import EXTRA, FIELDS_SET
from registry.tree import TreeRegistry
from registry.trees import Trees


def tree_of(root: Entity) -> TreeRegistry:
    """Return the working tree of a live root."""
    tree = root.__home__
    assert isinstance(tree, TreeRegistry), "a callable gets the live objects"
    return tree


def _check_unwritten(tree: TreeRegistry, call: str) -> None:
    """Refuse a tree that the execution around has written to: what is compared is committed.

    Raises:
        InsideError: It has.
    """
    txn: Any = tree.txn
    if has_written(txn):
        raise InsideError(
            call,
            f"that has written to {tree.name} already would mix the two up",
            "call it before it writes, or after the execution",
        )


# --- revert ---


def revert(root: Entity, version: int) -> Entity:
    """Make a tree what it was at a version.

    Raises:
        NotFoundError, PrunedError: The version does not exist, or is no longer kept.

    Cost: what differs.
    """
    tree = tree_of(root)
    _check_unwritten(tree, "revert")
    tree.check_version(version)
    rewriting = Rewriting(tree, lambda key: past(tree, key, version))
    for key in candidates(tree, version, tree.head):
        # What only the head has leaves with the field that holds it, what only the version has
        # comes with it.
        if tree.has(key) and tree.contains(key, version):
            now, then = past(tree, key, tree.head), past(tree, key, version)
            rewriting.write(key, differences(now.parts, then.parts))
    return root


REVERT = RegisteredCallable("revert", revert)


# --- undo ---


def undo(roots: list[Entity], execution: str, versions: list[int]) -> None:
    """Take back what an execution changed in the trees of these roots.

    Args:
        roots: The roots of the trees that it changed.
        execution: Its id.
        versions: The version that it made of each.

    Raises:
        UndoError: Something later rests on it.
        PrunedError: The version that it made, or the one before, is no longer kept.

    Cost: what it changed, and the commits since.
    """
    for root in roots:
        _check_unwritten(tree_of(root), "undo")
    undos = [_Undo(tree_of(root), version) for root, version in zip(roots, versions, strict=True)]
    for each in undos:
        each.look()
    dependents = [dependent for each in undos for dependent in each.dependents]
    if dependents:
        raise UndoError(
            execution, undos[0].name, "cannot be undone, since later on", tuple(dependents)
        )
    for each in undos:
        each.write()


UNDO = RegisteredCallable("undo", undo)


class _Undo:
    """Takes one commit of one tree back.

    Attributes:
        name: Callable of the commit.
        dependents: What rests on it, in the order of versions.
    """

    def __init__(self, tree: TreeRegistry, version: int) -> None:
        commit = tree.commit_of(version)
        if commit is None or not (tree.is_kept(version) and tree.is_kept(version - 1)):
            raise PrunedError(tree.name, version - 1, tree.oldest)
        self.name = commit.callable_name
        self._tree = tree
        self._version = version
        self._writes: list[tuple[Key, Parts]] = []
        self._dependents: dict[Dependent, None] = {}

    @property
    def dependents(self) -> list[Dependent]:
        return sorted(self._dependents, key=lambda each: each.version)

    def look(self) -> None:
        """Find what to write, or what forbids it."""
        tree, version = self._tree, self._version
        for key in candidates(tree, version - 1, version):
            was, is_after = tree.contains(key, version - 1), tree.contains(key, version)
            if was and is_after:
                self._look_at_changed(key)
            elif is_after:
                self._look_at_created(key)
            elif was and tree.has(key):
                self._depend(key, "")  # it was removed, and somebody has brought it back

    def _look_at_changed(self, key: Key) -> None:
        tree, version = self._tree, self._version
        before, after = past(tree, key, version - 1).parts, past(tree, key, version).parts
        wanted = differences(after, before)
        was_moved = self._parent(key, version - 1) != self._parent(key, version)
        if not tree.has(key) or (was_moved and self._is_elsewhere(key)):
            self._depend(key, "")
            return
        now = past(tree, key, tree.head).parts
        for name in [name for name in wanted if not same_content(now[name], wanted[name])]:
            if name == FIELDS_SET:
                wanted[name] = now[name] - (after[name] - before[name]) | (
                    before[name] - after[name]
                )
            elif not same_content(now[name], after[name]):
                self._depend(key, name)
        self._writes.append((key, differences(now, {**now, **wanted})))

    def _look_at_created(self, key: Key) -> None:
        """What it created will leave, so nothing later may be in it."""
        tree = self._tree
        if not tree.has(key):
            return  # it has left already
        if self._is_elsewhere(key):
            self._depend(key, "")
        after, now = past(tree, key, self._version).parts, past(tree, key, tree.head).parts
        for name in differences(after, now):
            if name != FIELDS_SET:
                self._depend(key, name)

    def _is_elsewhere(self, key: Key) -> bool:
        return self._parent(key, self._version) != self._parent(key, self._tree.head)

    def _depend(self, key: Key, name: str) -> None:
        """Note later versions that changed a part of an entity, or its place in the tree.

        Those since it last was as the execution made it.
        """
        tree = self._tree
        known = len(self._dependents)
        newer, made = self._seen(key, name, tree.head), self._seen(key, name, self._version)
        for version in range(tree.head, self._version, -1):
            commit = tree.commit_of(version)
            assert commit is not None, "versions after one that is kept are kept"
            named = (commit.changed, commit.created, commit.removed, commit.moved)
            if not any(key in keys for keys in named):
                continue
            older = self._seen(key, name, version - 1)
            if not same_content(older, newer):
                self._note(key, name, commit)
                if same_content(older, made):
                    break
            newer = older
        assert len(self._dependents) > known, "what differs was changed by some commit"

    def _seen(self, key: Key, name: str, version: int) -> Stored:
        """Return a part of an entity, or what holds it, at a version; None if it was not there."""
        if not self._tree.contains(key, version):
            return None
        return past(self._tree, key, version).parts[name] if name else self._parent(key, version)

    def _parent(self, key: Key, version: int) -> Key | None:
        found = self._tree.find_node(key, version)
        return None if found is None else found[0].parent_at(found[1])

    def _note(self, key: Key, name: str, commit: Commit) -> None:
        dependent = Dependent(
            ids.execution_text(commit.execution_id),
            commit.callable_name,
            commit.version,
            label_in(self._tree, key),
            ids.to_uuid(key),
            "model_extra" if name == EXTRA else name,
        )
        self._dependents[dependent] = None

    def write(self) -> None:
        """Write what it was before."""
        tree = self._tree
        rewriting = Rewriting(tree, partial(past, tree, version=self._version - 1))
        for key, parts in self._writes:
            rewriting.write(key, parts)


# --- which versions an execution made ---


def versions_made(
    trees: Trees, records: RecordLog, execution_id: str
) -> list[tuple[TreeRegistry, int]]:
    """Return the trees that an execution changed, and the version that it made of each.

    Raises:
        NotFoundError: No record and no version that is kept names it.
        UndoError: It failed, or ran inside another one.

    Cost: a look at each newer record; without a record, at all commits.
    """
    packed = records.find([execution_id]).get(execution_id)
    if packed is None:
        made = [(tree, version) for tree in trees for version in _commits_of(tree, execution_id)]
        if not made:
            raise NotFoundError(
                f"execution {execution_id}", "the records and versions that are kept"
            )
        return made
    record = unpack(packed)
    if record.status == "failed":
        raise UndoError(execution_id, record.callable_name, "failed, so there is nothing to undo")
    if record.parent is not None:
        reason = f"ran inside {record.parent} and was committed with it: undo that"
        raise UndoError(execution_id, record.callable_name, reason)
    return [
        (tree, after)
        for root, branch, before, after in record.trees
        if after != before and (tree := trees.held(root, branch)) is not None
    ]


def _commits_of(tree: TreeRegistry, execution_id: str) -> Iterator[int]:
    """Yield the versions of a branch that an execution made, after its first."""
    first = tree.base_version + 1 if tree.base is not None else 2
    for version in range(max(first, tree.oldest), tree.head + 1):
        commit = tree.commit_of(version)
        if commit is not None and ids.execution_text(commit.execution_id) == execution_id:
            yield version
