"""Changes: what a transaction will do to its tree, found but not stored yet.

And storing it as the next version.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from registry import ids
from registry.entity import Entity, dict_of
from registry.history import Node, Stored
from registry.ids import Key
from registry.schema import schema_of
from registry.tracking import TRACKED
from registry.tree import TreeRegistry

COMMIT_BYTES = 640
"""About what a version costs beside its deltas.

The commit, the execution's record, ids of the ancestors.
"""

_NONE: tuple[Any, ...] = ()


class Changes:
    """New states, deltas of containers and moves of entities that stay in the tree.

    What enters or leaves the tree is added by `Structure`.

    Attributes:
        tree: The tree.
        version: Number of the version that they make.
        now: When, seconds since the epoch.
        deltas: (cell, change as its `apply` takes it).
        states: (entity, its new state).
        moved: (entity, its new parent).
        changed: Entities whose own values, order or children change.
        bytes_kept: About how much memory the way back takes.
    """

    __slots__ = (
        *("bytes_kept", "changed", "deltas", "moved", "now", "states", "tree", "version"),
        "__dict__",
    )

    def __init__(
        self,
        tree: TreeRegistry,
        now: float,
        deltas: list[tuple[Any, Any]],
        states: list[tuple[Node, tuple[Stored, ...]]],
        moved: list[tuple[Node, Any]],
        changed: dict[Node, None],
        bytes_kept: int,
    ) -> None:
        self.tree = tree
        self.version = tree.head + 1
        self.now = now
        self.deltas = deltas
        self.states = states
        self.moved = moved
        self.changed = changed
        self.bytes_kept = bytes_kept

    def arrives(self, key: Key) -> bool:
        """Tell whether an entity enters the tree."""
        return False

    def key_of_arrival(self, entity: Entity) -> Key | None:
        """Return the key under which an entity enters the tree; None if it does not."""
        return None

    def arriving(self) -> Iterable[tuple[Key, Entity]]:
        """Return what enters the tree, by key."""
        return ()

    def leaves(self, key: Key) -> bool:
        """Tell whether an entity leaves the tree."""
        return False

    def stamp_after(self, key: Key) -> int:
        """Return the stamp that an entity of the tree will have.

        A new one if it or something below it changes.
        """
        if self.arrives(key) and key not in self.tree.nodes:
            return ids.BIRTH
        arriving = {node.key: parent for node, parent in self.moved}
        for node in self.changed:
            above: Any = node
            while above is not None:
                if above.key == key:
                    return ids.stamp(self.tree.branch, self.version)
                above = arriving.get(above.key, getattr(above, "parent", None))
        return self.tree.stamp_of(key, self.version - 1)

    def apply(
        self, execution_id: int | str, callable_name: str, outputs: tuple[tuple[int, int], ...]
    ) -> int:
        """Store the changes as the next version and return how many entities got a new id.

        Nothing in here can fail. Cost: the change and its ancestors.
        """
        self.tree.is_storing = True  # until add_commit
        self._store()
        renamed = rename(self.changed, self.version)
        self._commit(execution_id, callable_name, outputs, _NONE, _NONE)
        return renamed

    def _store(self) -> None:
        version = self.version
        if self.tree.is_journaled:
            self.tree.deltas = self.deltas
        for cell, change in self.deltas:
            cell.apply(version, change)
        for node, state in self.states:
            node.change(version, state)
            if node.schema.cached:
                forget_cached(self.tree.live(node.key))
        for node, parent in self.moved:
            node.move(version, parent)

    def _commit(
        self,
        execution_id: int | str,
        callable_name: str,
        outputs: tuple[tuple[int, int], ...],
        created: tuple[Key, ...],
        removed: tuple[Key, ...],
    ) -> None:
        self.tree.add_commit(
            (  # the fields of a Commit
                self.version,
                self.now,
                execution_id,
                callable_name,
                tuple([node.key for node in self.changed]),
                created,
                removed,
                tuple([node.key for node, _ in self.moved]) if self.moved else _NONE,
                outputs,
                self.bytes_kept >> 6,
            )
        )


def rename(changed: Iterable[Node], version: int) -> int:
    """Give new ids to what changed and to all above it, and return to how many.

    Cost: its depth; shared ancestors count once.
    """
    count = 0
    for node in changed:
        above: Node | None = node
        while above is not None:
            renamed = above.renamed
            # Node.rename, spelled out: this loop runs once per changed entity and level.
            if renamed:
                if renamed[-1] == version:
                    break
                renamed.append(version)
            elif not above.rename(version):
                break
            count += 1
            above = above.parent
    return count


def remove_part(entity: Entity, name: str) -> None:
    """Take one part of the state off an object, without a note."""
    schema = schema_of(type(entity))
    if name in schema.field_set:
        dict_of(entity).pop(name, None)
    elif name in schema.privates and entity.__pydantic_private__:
        entity.__pydantic_private__.pop(name, None)


def cut_loose(value: Any) -> None:
    """Make tracked containers ordinary ones: writes to them concern no tree."""
    rest = [value]  # no recursion: what was put into it may be nested deeper than is allowed
    while rest:
        value = rest.pop()
        if type(value) in TRACKED:
            if value.place is not None and value.place.live is value:
                value.place.live = None
            value.home = value.place = value.log = None
            rest.extend(value.values() if isinstance(value, dict) else value)
        elif type(value) in (tuple, frozenset):
            rest.extend(value)


def forget_cached(entity: Entity) -> None:
    """Drop the values of cached properties: they were computed from what has changed."""
    for name in schema_of(type(entity)).cached:
        dict_of(entity).pop(name, None)
