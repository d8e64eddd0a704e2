"""The trees of a workspace that has a store: each is loaded when it is first asked for."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from registry import ids
from registry.address import Ref
from registry.config import ConfigEntity
from registry.entity import Entity
from registry.errors import IdentityTakenError
from registry.ids import Key
from registry.journal.catalog import About, describe, read_about, write_about
from registry.journal.classes import find_class
from registry.journal.journaled_outputs import JournaledOutputs
from registry.journal.journaled_tree import JournaledTree
from registry.journal.port import Entry
from registry.journal.recovery import recover, recover_newest, recover_past
from registry.journal.short_tree import Past, ShortTree
from registry.journal.writer import Writer
from registry.retention import Retention
from registry.sides import add_point, mark_taken_in
from registry.tree import TreeRegistry
from registry.trees import Trees

Place = tuple[int, int]
"""Key of a root, and branch."""


_EVERYTHING = Retention(versions=None, memory_bytes=None)


class _Stored:
    """A branch that is stored.

    Attributes:
        entry: What the catalog says.
        about: What this workspace noted.
        pinned_version: Version of its base that must stay readable while it is not loaded.
    """

    __slots__ = ("__weakref__", "about", "entry", "pinned_version")

    def __init__(self, entry: Entry, about: About) -> None:
        self.entry = entry
        self.about = about
        self.pinned_version = entry.start


class JournaledTrees(Trees):
    """The trees of one workspace, most of which may be in its store only.

    Args:
        retention: How much history each tree keeps in memory.
        writer: Stores what becomes of them.
        holder: Who writes to them, in words for people.
        entries: What the catalog says of them.
        owner: Key of the root that stands for the workspace among several of one process; 0 for
            one alone.

    Attributes:
        loads_all: Whether a tree is loaded with all that retention keeps, not its newest part
            first.
    """

    tree_class = JournaledTree
    loads_all = False
    outputs: JournaledOutputs

    def __init__(
        self,
        retention: Retention,
        writer: Writer,
        holder: str,
        entries: Iterable[Entry],
        owner: int = 0,
    ) -> None:
        self._writer = writer
        super().__init__(retention)
        self._holder = holder
        self._owner = owner
        self._loading = threading.RLock()
        self._stored: dict[Place, _Stored] = {}
        self._is_merged: set[int] = set()
        self._arriving: TreeRegistry | None = None
        for entry in entries:
            self._know(entry)

    def _new_outputs(self) -> JournaledOutputs:
        return JournaledOutputs(self.retention, self.hold, self.let_go, self._writer)

    def _know(self, entry: Entry) -> None:
        if entry.head == entry.start == 0:
            return  # its birth was never complete
        place, about = (entry.root, entry.branch), read_about(entry)
        self._stored[place] = _Stored(entry, about)
        ref = Ref(ids.plain(entry.root), ids.plain(entry.root), entry.branch)
        if about.name is not None:
            self._names[about.name] = ref
            self._names_by_root[place] = about.name
        last = max(self._branch_numbers.get(entry.root, 0), about.last_branch, entry.branch)
        if last:
            self._branch_numbers[entry.root] = last
        if about.merges:
            self._is_merged.add(entry.root)

    # --- loading ---

    def held(self, key: int, branch: int) -> TreeRegistry | None:
        """Return the tree of a root, loaded if need be; None if there is none."""
        found = self.by_root.get((key, branch))
        if found is None and (key, branch) in self._stored:
            return self._load(key, branch)
        return found

    def _load(self, key: int, branch: int) -> TreeRegistry:
        """Load a branch, and what it takes to read it. Cost: see `recover`."""
        with self._loading:
            known = self.by_root.get((key, branch))
            if known is not None:
                return known
            self._writer.own([key], self._holder)
            if key not in self._is_merged:
                return self._load_one(key, branch)
            self._is_merged.discard(key)
            wanted = [stored for place, stored in self._stored.items() if place[0] == key]
            for stored in wanted:
                self._load_one(key, stored.entry.branch)
            for stored in wanted:
                self._load_merges(stored)
            return self.by_root[key, branch]

    def _load_one(self, key: int, branch: int) -> TreeRegistry:
        known = self.by_root.get((key, branch))
        if known is not None:
            return known
        stored = self._stored[key, branch]
        tree = self._newest_of(stored) or self._whole(stored)
        self._arriving = tree
        super().hold(tree)
        self._arriving = None
        return tree

    def _whole(self, stored: _Stored) -> JournaledTree:
        """Return a branch with all that retention keeps of it."""
        key, branch, start, head, _ = stored.entry
        about = stored.about
        base = None if about.base < 0 else self._load_one(key, about.base)
        tree = JournaledTree(
            ids.plain(key), self.retention, branch=branch, base=base, base_version=start
        )
        for (root, _), each in self._stored.items() if self._has_forks(key) else ():
            if root == key and each.about.base == branch and each is not stored:
                tree.add_pin(weakref.ref(each))
        recover(tree, self._writer.journal, head, self._needed(stored))
        if base is not None:
            tree.origin = self._load_one(key, about.origin)
            base.pin(tree, start)
        return tree

    def _newest_of(self, stored: _Stored) -> JournaledTree | None:
        """Return a branch with what follows its newest checkpoint; the rest is loaded when needed.

        None if it has forks, which read of it what they began with, or no such checkpoint.
        """
        key, branch, _, head, _ = stored.entry
        if self.loads_all or branch or stored.about.merges:
            return None
        if self._has_forks(key) and any(root == key and number for root, number in self._stored):
            return None
        tree = JournaledTree(ids.plain(key), self.retention)
        cut = recover_newest(tree, self._writer.journal, head, self._needed(stored))
        if cut is None:
            return None
        ShortTree.begin(tree, cut, self._past_of)
        return tree

    def _past_of(self, tree: JournaledTree, cut: int) -> Past | None:
        kept = self.retention.versions
        needed = 1 if kept is None else max(1, tree.head - kept + 1)
        past = JournaledTree(tree.key, _EVERYTHING)
        return recover_past(past, self._writer.journal, cut, needed)

    def _needed(self, stored: _Stored) -> int:
        """Return the oldest version of a branch that must be readable once it is loaded."""
        root, branch, start, head, _ = stored.entry
        kept = self.retention.versions
        needed = start + 1 if kept is None else max(start + 1, head - kept + 1)
        for (key, _), each in self._stored.items() if self._has_forks(root) else ():
            if key == root and each.about.base == branch:
                needed = min(needed, each.entry.start)
            if key == root:
                points = [at for _, source, _, at in each.about.merges if source == branch]
                needed = min([needed, *points])
        return needed

    def _has_forks(self, key: int) -> bool:
        return self.last_branch(key) > 0

    def _load_merges(self, stored: _Stored) -> None:
        into = self.by_root[stored.entry.root, stored.entry.branch]
        for at, branch, version, pinned in stored.about.merges:
            source = self.by_root.get((stored.entry.root, branch))
            if source is None:
                continue  # dropped since
            point = add_point(into, at, source, version)
            point.pinned_version = pinned
            mark_taken_in(source, version)

    def archived(self, tree: TreeRegistry, version: int) -> TreeRegistry:
        """Return a main branch as of a version that memory has let go of.

        Raises:
            PrunedError: The store has let it go, too; or it is of a fork.

        Cost: the commits since the checkpoint before it.
        """
        if tree.base is not None or not 1 <= version <= tree.head:
            return super().archived(tree, version)
        self._writer.sync()  # it may be part of a group that is open
        archive = JournaledTree(tree.key, _EVERYTHING)
        archive.is_archive = True
        recover(archive, self._writer.journal, version, version)
        archive.check_version(version)
        return archive

    def stand_in(self, tree: TreeRegistry) -> TreeRegistry:
        """Return the tree that executions here work on for *tree*: for an archived one its own."""
        own = self.held(tree.key, tree.branch) if getattr(tree, "is_archive", False) else None
        return super().stand_in(own or tree)

    # --- what is known without loading ---

    def __iter__(self) -> Iterator[TreeRegistry]:
        """Yield the trees; those that are not loaded come last, and are loaded."""
        yield from super().__iter__()
        for place in [each for each in self._stored if each not in self.by_root]:
            yield self._load(*place)

    def __len__(self) -> int:
        return len(self.by_root.keys() | self._stored.keys())

    def is_taken(self, key: int, branch: int) -> bool:
        """Tell whether there is a tree with an identity."""
        return super().is_taken(key, branch) or (key, branch) in self._stored

    def refs(self, cls: type[Entity] | None = None) -> list[Ref]:
        """Return the refs of all roots and their branches, oldest first; nothing is loaded."""
        places: dict[Place, type[Any]] = {}
        for place, stored in list(self._stored.items()):
            if place not in self.by_root and cls is not None:
                places[place] = find_class(stored.about.cls)
            else:
                places[place] = Entity
        for place, tree in list(self.by_root.items()):
            places[place] = tree.class_of(tree.key)
        return [
            Ref(ids.plain(root), ids.plain(root), branch)
            for (root, branch), each in places.items()
            if cls is None or issubclass(each, cls)
        ]

    def branches(self, key: Key) -> list[TreeRegistry]:
        """Return the branches of one root, by number."""
        for place in [each for each in self._stored if each[0] == key]:
            self._load(*place)
        found = [tree for (root, _), tree in list(self.by_root.items()) if root == key]
        return sorted(found, key=lambda tree: tree.branch)

    def drop(self, ref: Ref) -> None:
        """Hold a branch no longer, as `Trees.drop`. Cost: the branches of its root are loaded."""
        self.branches(ref.root)  # now, since loading takes the lock that dropping holds
        super().drop(ref)

    def _check_place(self, tree: TreeRegistry, place: Place) -> None:
        is_elsewhere = place in self._stored and place not in self.by_root
        if is_elsewhere and tree is not self._arriving:
            raise IdentityTakenError(tree.name)
        super()._check_place(tree, place)

    # --- what is noted ---

    def hold(self, tree: TreeRegistry, name: str | None = None) -> Ref:
        """Hold a tree from now on, and have it stored.

        Raises:
            NotJournalableError: It was made of a plain result that cannot be written.
        """
        if not isinstance(tree, JournaledTree):
            JournaledTree.take_over(tree)
        ref = super().hold(tree, name)
        if name is not None or (tree.key, tree.branch) not in self._stored:
            self._note(tree)
        return ref

    def note_merge(self, into: TreeRegistry) -> None:
        """Learn that another branch was merged into one."""
        if self.holds(into):
            self._note(into)

    def _note(self, tree: TreeRegistry) -> None:
        place = (int(tree.key), tree.branch)
        about = describe(
            tree,
            name=self._names_by_root.get(place),
            last_branch=self.last_branch(tree.key),
            is_config=issubclass(tree.class_of(tree.key), ConfigEntity),
            owner=0 if place[0] == self._owner else self._owner,
        )
        entry = Entry(*place, tree.base_version, tree.head, write_about(about))
        self._stored[place] = _Stored(entry, about)
        self._writer.note_branch(*place, tree.base_version, entry.about)

    def _forget(self, tree: TreeRegistry) -> None:
        super()._forget(tree)
        place = (int(tree.key), tree.branch)
        if self._stored.pop(place, None) is None:
            return
        self._writer.note_branch(*place, tree.base_version, b"")
        if tree.base is not None:  # its number must not be given again
            self._note(tree.base)

    def members(self, places: Sequence[Place]) -> list[JournaledTree]:
        """Return the trees at these places that are held here."""
        found = [self.by_root.get(place) for place in places]
        return [tree for tree in found if isinstance(tree, JournaledTree)]
