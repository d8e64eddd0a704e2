"""Config store: the configs that were given to callables, each stored once per content.

A stored config is a tree of its own that nobody writes to: a callable gets a copy. So it needs no
turn, and any number of executions share it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, NamedTuple

from registry import ids
from registry.address import Ref
from registry.config import content_of
from registry.copies import atoms_of, clone, copy_of_atoms
from registry.entity import Entity, key_of, label, renew_key
from registry.errors import StructureError
from registry.snapshot import Snapshot
from registry.tree import TreeRegistry
from registry.trees import Trees


class StoredConfig(NamedTuple):
    """A config as it is stored.

    Attributes:
        tree: The tree of which it is the root.
        content: What finds it.
        master: An orphan with the same values, which copies are made of; never handed out.
        atoms: Its fields, if these are all that it holds, and are atoms.
        is_ours: Whether the tree was made here; else it is a root that somebody else wanted.
    """

    tree: TreeRegistry
    content: Hashable
    master: Entity
    atoms: dict[str, Any] | None
    is_ours: bool

    def own_copy(self) -> Entity:
        """Return an orphan copy with provenance to what is stored: a callable's own."""
        if self.atoms is None:
            own = clone(self.master, keep_identity=False)
        else:
            own = copy_of_atoms(self.master, self.atoms)
        renew_key(own, (self.tree.key, ids.BIRTH))
        return own


class ConfigStore:
    """Finds the stored config of a content; safe from several threads.

    Args:
        trees: Where the trees of configs are held.
        most: Configs that are kept; beyond them the one that was asked for longest ago goes.
    """

    def __init__(self, trees: Trees, most: int) -> None:
        self._trees = trees
        self._most = most
        self._by_content: OrderedDict[Hashable, StoredConfig] = OrderedDict()
        self._by_key: dict[int, StoredConfig] = {}
        self._mutex = threading.Lock()

    def __len__(self) -> int:
        return len(self._by_content)

    def stored(self, config: Entity, now: float) -> StoredConfig:
        """Return the stored config with the content of one.

        It is made if there is none. What was given is copied, and stays what it is.

        Raises:
            StructureError: The config, with what is below it, is not a tree, or it holds itself.

        Cost: constant for a snapshot of a stored one, else proportional to the config; about 2 us
            for a few atoms that are stored already.
        """
        home = config.__home__
        if isinstance(home, Snapshot) and (ref := home.ref_if_current(config)) is not None:
            found = self.named(ref)
            if found is not None and found.tree is home.source:
                return found
        return self.with_content_of(config, now)

    def with_content_of(self, config: Entity, now: float) -> StoredConfig:
        """Return the stored config as `stored`; of an orphan it is the same, and quicker."""
        content = _content(config)
        with self._mutex:
            found = self._current(content)
            if found is None:
                tree = _tree_of_root(config)
                is_ours = tree is None or self._trees.by_root.get((tree.key, 0)) is not tree
                if tree is None or is_ours:
                    tree = self._trees.found(clone(config, keep_identity=False), now)
                    self._trees.hold(tree)
                found = self._keep(tree, content, config, is_ours=is_ours)
        return found

    def has_made(self, tree: TreeRegistry) -> bool:
        """Tell whether a tree was made here, to store a config that was given."""
        found = self._by_key.get(tree.key)
        return found is not None and found.is_ours

    def named(self, ref: Ref) -> StoredConfig | None:
        """Return the stored config that a ref names, if it names one."""
        found = self._by_key.get(ref.key)
        return None if found is None or not self._is_current(found) else found

    def find(self, config: Entity) -> TreeRegistry | None:
        """Return the tree of the stored config with the content of one, if there is one."""
        content = _content(config)
        with self._mutex:
            found = self._current(content)
        return None if found is None else found.tree

    def remember(self, tree: TreeRegistry) -> None:
        """Note a tree whose root is a config, if its content is not stored yet."""
        config = Snapshot.of(tree, tree.head).entity(tree.key)
        content = _content(config)
        with self._mutex:
            if self._current(content) is None:
                self._keep(tree, content, config, is_ours=False)

    def _current(self, content: Hashable) -> StoredConfig | None:
        found = self._by_content.get(content)
        if found is None:
            return None
        if not self._is_current(found):
            self._forget(found)
            return None
        self._by_content.move_to_end(content)
        return found

    def _is_current(self, stored: StoredConfig) -> bool:
        """Tell whether a config is as it was: a callable that takes any entity may change it."""
        tree = stored.tree
        return tree.head == 1 and self._trees.by_root.get((tree.key, 0)) is tree

    def _keep(
        self, tree: TreeRegistry, content: Hashable, config: Entity, *, is_ours: bool
    ) -> StoredConfig:
        master = clone(config, keep_identity=False)
        stored = StoredConfig(tree, content, master, atoms_of(master), is_ours)
        self._by_content[stored.content] = stored
        self._by_key[stored.tree.key] = stored
        if len(self._by_content) > self._most:
            oldest = next(iter(self._by_content.values()))
            self._forget(oldest)
            if oldest.is_ours:
                self._trees.let_go(oldest.tree)
        return stored

    def _forget(self, stored: StoredConfig) -> None:
        del self._by_content[stored.content]
        del self._by_key[stored.tree.key]


def _tree_of_root(config: Entity) -> TreeRegistry | None:
    """Return the tree that a snapshot is the root of, if that will do as the stored config."""
    home = config.__home__
    if not isinstance(home, Snapshot) or home.is_edited:
        return None
    tree = home.source
    is_whole = isinstance(tree, TreeRegistry) and tree.key == key_of(config) and tree.head == 1
    return tree if isinstance(tree, TreeRegistry) and is_whole else None


def _content(config: Entity) -> Hashable:
    try:
        return content_of(config)
    except RecursionError:
        raise StructureError(
            label(config), "holds itself, or is nested too deep", "give it a flat value"
        ) from None
