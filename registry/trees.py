"""Trees: every tree that one process holds, by root and branch.

Finds the tree of a ref, an address, a name.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from registry import ids
from registry.address import Ref, parse_address
from registry.adoption import Adoption, adopt
from registry.copies import Cloner
from registry.entity import Entity, key_of, label
from registry.errors import (
    AddressError,
    BusyError,
    IdentityTakenError,
    InUseError,
    NameTakenError,
    NotFoundError,
    PrunedError,
)
from registry.history import Node
from registry.ids import Key
from registry.outputs import OutputLog
from registry.retention import Retention
from registry.snapshot import Snapshot
from registry.tree import TreeRegistry
from registry.values import shown
from registry.waits import Waits

Target = Ref | Entity | UUID | str
"""What names an entity: a ref, one of its snapshots, its lineage or version id.

`@` and such an id, or the name of a root.
"""


_MOST_FORKS = 8
"""Branches that an error lists."""


class EntityAt(NamedTuple):
    """An entity as one version of a tree shows it.

    Attributes:
        tree: The tree, on its branch.
        key: The entity.
        version: Version of the tree.
    """

    tree: TreeRegistry
    key: Key
    version: int


class Trees:
    """The trees of one workspace.

    Attributes:
        retention: How much history each tree keeps.
        by_root: The trees by (key of the root, branch); read-only for everybody else.
        origin: The trees that these stand in for; see `trial.py`.
        waits: Who waits for the turn on a tree while having others.
        outputs: The newest output entities, most of which have no tree yet.
        tree_class: What trees that begin here are.
    """

    origin: Trees | None = None
    tree_class: ClassVar[type[TreeRegistry]] = TreeRegistry

    def __init__(self, retention: Retention) -> None:
        self.retention = retention
        self.by_root: dict[tuple[int, int], TreeRegistry] = {}
        self.waits = Waits()
        self._names: dict[str, Ref] = {}
        self._names_by_root: dict[tuple[int, int], str] = {}
        self._branch_numbers: dict[int, int] = {}
        self._by_class: dict[type[Entity], dict[tuple[int, int], int]] = {}
        self._held = itertools.count()
        self.outputs = self._new_outputs()
        self._claims: dict[tuple[int, int], TreeRegistry] = {}
        self._growing = threading.Lock()

    def _new_outputs(self) -> OutputLog:
        return OutputLog(self.retention, self.hold, self.let_go)

    def __iter__(self) -> Iterator[TreeRegistry]:
        return iter(list(self.by_root.values()))

    def __len__(self) -> int:
        return len(self.by_root)

    def holds(self, tree: TreeRegistry) -> bool:
        """Tell whether a tree is one of these."""
        return self.by_root.get((tree.key, tree.branch)) is tree

    def is_taken(self, key: int, branch: int) -> bool:
        """Tell whether there is a tree with an identity."""
        return (key, branch) in self.by_root

    def note_merge(self, into: TreeRegistry) -> None:
        """Learn that another branch was merged into one; see `journal/`."""

    def stand_in(self, tree: TreeRegistry) -> TreeRegistry:
        """Return the tree that executions here work on for *tree*: that very one; see `trial.py`.

        Raises:
            NotFoundError: It is one that a dry run showed.
        """
        if tree.is_trial:
            raise NotFoundError(f"{tree.name} as a dry run showed it", "any workspace")
        return tree

    # --- growing ---

    def found(
        self, root: Entity, now: float, execution_id: int | str = "", callable_name: str = ""
    ) -> TreeRegistry:
        """Build the tree of an orphan graph, version 1; it is not held here before `hold`.

        Raises:
            IdentityTakenError: A root with that identity is held already.
            StructureError: The graph is not a tree.
        """
        return self.adopt(root, now, execution_id, callable_name)[0]

    def adopt(
        self,
        root: Entity,
        now: float,
        execution_id: int | str = "",
        callable_name: str = "",
        cloner: Cloner | None = None,
    ) -> tuple[TreeRegistry, Adoption]:
        """Build a tree as `found`; return also which object became which node."""
        # Asked for no key that it would have to draw: what is fresh is cheaper to adopt.
        if root.__key__ is not None and self.is_taken(root.__key__, 0):
            raise IdentityTakenError(label(root))
        adoption = adopt(root, now, cloner)
        tree = self.tree_class(key_of(root), self.retention)
        tree.nodes = adoption.nodes
        for key, sources in adoption.borrowed.items():
            tree.store_sources(key, 1, sources)
        # The fields of a Commit.
        tree.add_commit((1, now, execution_id, callable_name, (), (), (), (), (), 0))
        return tree, adoption

    def found_alone(
        self, key: Key, node: Node, execution_id: int | str, callable_name: str
    ) -> TreeRegistry:
        """Build the tree of a root without children that no tree has had; as `found` otherwise."""
        tree = self.tree_class(key, self.retention)
        # Under the very key that its objects hold: a look-up then compares nothing.
        tree.nodes[key] = node
        # The fields of a Commit.
        tree.add_commit((1, node.created, execution_id, callable_name, (), (), (), (), (), 0))
        return tree

    def hold(self, tree: TreeRegistry, name: str | None = None) -> Ref:
        """Hold a tree from now on.

        Raises:
            IdentityTakenError: Another tree with that identity is held since this one was built.
            NameTakenError: Another root has that name.
        """
        place = (tree.key, tree.branch)
        ref = Ref(tree.key, *place)
        with self._growing:
            self._check_place(tree, place)
            if name is not None:
                self.check_name(name)
            if place not in self.by_root:
                known = self._by_class.setdefault(tree.class_of(tree.key), {})
                known[place] = next(self._held)
                self.by_root[place] = tree
            if name is not None:  # last: whoever looks a name up without the lock finds the tree
                self._names_by_root[place] = name
                self._names[name] = ref
        return ref

    @contextlib.contextmanager
    def claiming(self, trees: Sequence[TreeRegistry]) -> Iterator[None]:
        """Let nobody else hold trees with the identities of these while the block lasts.

        So that what is stored meanwhile can be held at its end.

        Raises:
            IdentityTakenError: Others are held, or claimed.
        """
        claims: dict[tuple[int, int], TreeRegistry] = {(t.key, t.branch): t for t in trees}
        with self._growing:
            for place, tree in claims.items():
                self._check_place(tree, place)
            self._claims.update(claims)
        try:
            yield
        finally:
            with self._growing:
                for place in claims:
                    del self._claims[place]

    def _check_place(self, tree: TreeRegistry, place: tuple[int, int]) -> None:
        """Refuse the identity of another tree. Done under the lock of growing."""
        is_free = self.by_root.get(place, tree) is tree and self._claims.get(place, tree) is tree
        if not is_free:
            raise IdentityTakenError(tree.name)

    def let_go(self, tree: TreeRegistry) -> None:
        """Hold a tree no longer that is as it was founded, and that nobody named or forked."""
        place = (tree.key, tree.branch)
        with self._growing:
            is_in_use = (
                tree.head > 1 or place in self._names_by_root or tree.key in self._branch_numbers
            )
            if not is_in_use and self.by_root.get(place) is tree:
                self._forget(tree)

    def _forget(self, tree: TreeRegistry) -> None:
        """Find a tree no longer. Done under the lock of growing."""
        cls = tree.class_of(tree.key)
        del self.by_root[tree.key, tree.branch]
        known = self._by_class[cls]
        del known[tree.key, tree.branch]
        if not known:
            del self._by_class[cls]

    def drop(self, ref: Ref) -> None:
        """Hold a branch no longer, and its name.

        Snapshots of it stay readable as long as they are held. Its number is not given to another
        branch, since ids carry it.

        Raises:
            NotFoundError: It is not held here.
            InUseError: Another branch was forked from it, and reads what they share from it.
            BusyError: This thread has its turn.
        """
        tree = self.tree(ref)
        if not tree.turn.take():
            raise not_held(tree) if tree.turn.is_closed else BusyError(tree.name)
        with self._growing:
            forks = [each.name for each in self.branches(tree.key) if each.base is tree]
            if not forks:
                self._forget(tree)
                name = self._names_by_root.pop((tree.key, tree.branch), None)
                if name is not None:
                    del self._names[name]
                self.outputs.forget(tree.key)
                tree.turn.close()
        if forks:
            tree.turn.give_back()
            more = ", ..." if len(forks) > _MOST_FORKS else ""
            raise InUseError(tree.name, ", ".join(forks[:_MOST_FORKS]) + more, len(forks))

    def check_name(self, name: str) -> None:
        """Refuse a name that a root has already, or that reads like an address."""
        if name in self._names:
            raise NameTakenError(name, self.tree(self._names[name]).name)
        if name.startswith("@"):
            raise NameTakenError(name, "addresses, which start with '@'")

    def fork(self, tree: TreeRegistry, version: int) -> TreeRegistry:
        """Start a new line of versions at *version*.

        Nothing is copied, and it is not held here before `hold`.
        """
        tree.check_version(version)
        origin = tree
        while tree.base is not None and version <= tree.base_version:
            tree = tree.base
        number = self._next_branch(tree.key)
        forked = self.tree_class(
            tree.key, self.retention, branch=number, base=tree, base_version=version
        )
        forked.origin = origin
        tree.pin(forked, version)
        origin.check_version(version)  # once more: another thread may have let it go
        return forked

    def _next_branch(self, key: int) -> int:
        """Return the number of a new branch of a root; none is used twice."""
        with self._growing:
            self._branch_numbers[key] = number = self.last_branch(key) + 1
        return number

    def last_branch(self, key: int) -> int:
        """Return the newest number of a branch of a root that was used here."""
        return self._branch_numbers.get(key, 0)

    def archived(self, tree: TreeRegistry, version: int) -> TreeRegistry:
        """Return a tree that shows a version which memory has let go of; see `journal/`.

        Raises:
            NotFoundError, PrunedError: There is no such version, or none that is kept anywhere.
        """
        tree.check_version(version)
        return tree

    # --- finding ---

    def tree(self, ref: Ref) -> TreeRegistry:
        """Return the tree of a ref.

        Raises:
            NotFoundError: It is not held here.
        """
        tree = self._find(ref[0], ref[2])
        if tree is None:
            raise _no_tree(ref.root, ref.branch)
        return tree

    def held(self, key: int, branch: int) -> TreeRegistry | None:
        """Return the tree of a root, loaded if need be; None if there is none."""
        return self.by_root.get((key, branch))

    def _find(self, key: int, branch: int) -> TreeRegistry | None:
        found = self.held(key, branch)
        return self.outputs.find(key) if found is None and branch == 0 else found

    def ref(self, target: Target) -> Ref:
        """Return the ref of what *target* names.

        Raises:
            NotFoundError: Nothing here has that name or id.
            AddressError: A text that starts with `@` is no address of an entity.

        Cost: constant for a root; for the id of a child one look-up per tree.
        """
        if isinstance(target, Ref):
            tree = self.tree(target)
            if not tree.has(target.key):
                raise NotFoundError(f"entity {target.lineage_id}", tree.name)
            return target
        if isinstance(target, Entity):
            return self._ref_of_entity(target)
        if isinstance(target, UUID):
            return self._ref_of_id(_entity_of(target))
        if not isinstance(target, str):
            what = f"{shown(target)} ({type(target).__name__})"
            raise NotFoundError(what, "this workspace; ask by a ref, snapshot, id, address or name")
        if target.startswith("@"):
            address = parse_address(target)
            if address.path:
                raise AddressError(target, "a path is more than the id of an entity", 0)
            return self._ref_of_id(address.entity)
        named = self._names.get(target)
        if named is None:
            known = ", ".join(sorted(self._names)[:8]) or "none"
            raise NotFoundError(
                f"root {shown(target)}", f"this workspace (roots with a name: {known})"
            )
        return named

    def _ref_of_entity(self, entity: Entity) -> Ref:
        home = entity.__home__
        if isinstance(home, Snapshot):
            self.outputs.settle(home)
        source: Any = home.source if isinstance(home, Snapshot) else home
        if source is None:
            raise NotFoundError(
                f"{label(entity)}, which belongs to no tree,", "this workspace; add() it first"
            )
        branch = getattr(source, "branch", 0)
        return self.ref(Ref(source.key, ids.plain(key_of(entity)), branch))

    def _ref_of_id(self, found: ids.EntityVersion) -> Ref:
        for tree in self.candidates(found):
            if tree.has(found.key):
                return Ref(tree.key, ids.plain(found.key), tree.branch)
        raise _unknown(found)

    def locate(self, found: ids.EntityVersion) -> EntityAt:
        """Return the newest version of a tree in which an entity is as an id says.

        For a lineage id (commit 0) that is the head of its branch.

        Raises:
            NotFoundError: No tree here has it, or no longer at its head.
            PrunedError: Retention has let the version go.

        Cost: as `ref`, and a bisect over the entity's own changes.
        """
        known = None
        for tree in self.candidates(found):
            if found.commit == 0:
                if tree.has(found.key):
                    return EntityAt(tree, ids.plain(found.key), tree.head)
            else:
                version = _newest_with(tree, found)
                if version:
                    tree.check_version(version)
                    return EntityAt(tree, ids.plain(found.key), version)
            known = tree if found.key in tree.nodes else known
        raise _unknown(found) if known is None else _gone(known, found)

    def candidates(self, found: ids.EntityVersion) -> Iterator[TreeRegistry]:
        """Yield the trees that may have what an id names, main branches first.

        An entity that has not changed since it was born has the same kind of id on every branch.
        """
        is_as_born = found.commit == ids.BIRTH_COMMIT
        root = self._find(found.key, found.branch)
        if root is not None:
            yield root
        if root is None or is_as_born:
            yield from (tree for tree in self if tree.branch == found.branch)
        if is_as_born:
            yield from (tree for tree in self if tree.branch != found.branch)

    def name_of(self, ref: Ref) -> str | None:
        """Return the name that a root was given, if any."""
        return self._names_by_root.get((ref.root, ref.branch))

    def refs(self, cls: type[Entity] | None = None) -> list[Ref]:
        """Return the refs of all roots and their branches, oldest first.

        Args:
            cls: Only those of this class and its subclasses.

        Cost: the answer; with a class also a look at each class that roots are of.
        """
        if cls is None:
            return [Ref(tree.key, tree.key, tree.branch) for tree in self]
        found = [
            (number, Ref(ids.plain(root), ids.plain(root), branch))
            for known, roots in list(self._by_class.items())
            if issubclass(known, cls)
            for (root, branch), number in list(roots.items())
            if (root, branch) in self.by_root
        ]
        return [ref for _, ref in sorted(found)]

    def branches(self, key: Key) -> list[TreeRegistry]:
        """Return the branches of one root, by number."""
        return sorted((tree for tree in self if tree.key == key), key=lambda tree: tree.branch)


def not_held(tree: TreeRegistry) -> NotFoundError:
    """Return the error for a tree that was dropped."""
    return _no_tree(tree.key, tree.branch)


def _no_tree(key: Key, branch: int) -> NotFoundError:
    return NotFoundError(f"tree {ids.to_uuid(key, ids.stamp(branch, 0))}", "this workspace")


def _entity_of(uuid: UUID) -> ids.EntityVersion:
    try:
        return ids.from_uuid(uuid)
    except ValueError as error:
        raise NotFoundError(str(error), "this workspace") from None


def _newest_with(tree: TreeRegistry, found: ids.EntityVersion) -> int:
    """Return the newest version of a branch in which an entity has an id of that branch; 0 if none.

    Several versions may show the same one, since an id changes only with its entity.
    """
    node = tree.nodes.get(found.key)
    if node is None:
        return 0
    stamp = ids.stamp(found.branch, found.commit)
    if stamp != node.first_stamp:
        tree.recall(node.born if stamp == ids.BIRTH else found.commit)
    renamed, index = node.renamed or [], 0
    if stamp == node.first_stamp and _is_own(tree, node, found):
        first = node.born if stamp == ids.BIRTH else found.commit
    else:
        index = bisect_left(renamed, found.commit) + 1
        if renamed[index - 1 : index] != [found.commit] or found.branch != tree.branch:
            return 0
        first = found.commit
    last = renamed[index] - 1 if index < len(renamed) else tree.head
    if node.removed:
        last = min(last, node.removed - 1)
    # Rarely more than once: it was out of the tree for a while, and its way back is forgotten.
    while last >= first and not tree.contains(found.key, last):
        last -= 1
    return last if last >= first else 0


def _is_own(tree: TreeRegistry, node: Node, found: ids.EntityVersion) -> bool:
    """Tell whether the first id that a branch knows of an entity was given on that branch."""
    if found.commit == ids.BIRTH_COMMIT:
        return tree.base is None or node.born > tree.base_version
    return found.branch == tree.branch


def _unknown(found: ids.EntityVersion) -> NotFoundError:
    uuid = ids.to_uuid(found.key, ids.stamp(found.branch, found.commit))
    return NotFoundError(f"entity {uuid}", "this workspace")


def _gone(tree: TreeRegistry, found: ids.EntityVersion) -> NotFoundError | PrunedError:
    """Return the error for an entity that a tree knows, but not as the id says."""
    version = found.commit
    if version == ids.BIRTH_COMMIT:
        version = tree.nodes[found.key].born
    if 0 < version < tree.oldest:
        return PrunedError(tree.name, version, tree.oldest)
    uuid = ids.to_uuid(found.key, ids.stamp(found.branch, found.commit))
    where = f"{tree.name} at its head" if found.commit == 0 else f"the history of {tree.name}"
    return NotFoundError(f"entity {uuid}", where)
