"""Transaction: what one execution wrote to one tree, and how it becomes a version or is taken back.

    OPEN -> COMMITTED     plan() found the changes, Changes.apply() stored them as one version
    OPEN -> ROLLED_BACK   the callable raised, or plan() refused the result

`plan` may refuse and changes nothing; `apply` changes the history and cannot fail. Between them an
execution over several trees decides whether all of them commit.
"""

from __future__ import annotations

from sys import getsizeof
from typing import Any

from registry.changes import COMMIT_BYTES, Changes, forget_cached, remove_part
from registry.entity import Entity, dict_of, fill, key_of
from registry.history import ListCell, Node, Stored
from registry.ids import Key
from registry.schema import ABSENT, FIELDS_SET, schema_of
from registry.structure import Structure, is_unchanged, must_differ
from registry.tracking import Tracked, undo
from registry.tree import TreeRegistry
from registry.values import ENTITY, KIND, same_atom

_NOT_PLAIN = object()
_EMPTY: list[Any] = []
_NO_MOVES: list[tuple[Node, Any]] = []


class Transaction:
    """The writes of one open execution to one tree.

    Attributes:
        writes: Entities with fields that were assigned, and the names of those.
        containers: Lists, dicts and sets with a log.
        touched: Opaque values that were handed out: (entity, field).
    """

    __slots__ = ("containers", "touched", "tree", "writes")

    def __init__(self, tree: TreeRegistry) -> None:
        self.tree = tree
        self.writes: dict[Key, tuple[Entity, set[str]]] = {}
        self.containers: list[Tracked] = []
        self.touched: list[tuple[Entity, str]] = []
        tree.txn = self

    def plan(self, now: float) -> Changes | None:
        """Work out what changed; None if nothing did.

        Raises:
            StructureError: The result is not a tree any more.
            UncopyableError: A new value cannot be kept.
        """
        if not self.touched:
            found = self._plain_changes(now)
            if found is not _NOT_PLAIN:
                return found  # type: ignore[return-value]  # the only other thing that it can be
        return Structure(self, now).made()

    def _plain_changes(self, now: float) -> object:
        """Find changes that only set atoms and move entities from list to list.

        `_NOT_PLAIN` if there are others.

        Most executions are such, and `Structure` could do them as well: this is its common case in
            a third of
        the time (3 us for a move), and whatever is not certain is left to it.
        """
        tree = self.tree
        deltas: list[tuple[Any, Any]] = []
        states: list[tuple[Node, tuple[Stored, ...]]] = []
        changed: dict[Node, None] = {}
        balance: dict[Key, int] = {}
        places: dict[Key, Node] = {}
        bytes_kept = COMMIT_BYTES
        for container in self.containers:
            log: Any = container.log
            if not log:
                continue
            cell = container.place
            if type(cell) is not ListCell or cell.node is None or cell.node.removed:
                return _NOT_PLAIN
            node = cell.node
            splices = []
            for at, removed, inserted in log:
                for item in removed:
                    if KIND[type(item)]:
                        if KIND[type(item)] != ENTITY or item.__home__ is not tree:
                            return _NOT_PLAIN
                        key = item.__key__
                        balance[key] = balance.get(key, 0) - 1
                if inserted:
                    stored: list[Stored] = []
                    for item in inserted:
                        if KIND[type(item)]:
                            if KIND[type(item)] != ENTITY or item.__home__ is not tree:
                                return _NOT_PLAIN
                            key = item.__key__
                            balance[key] = balance.get(key, 0) + 1
                            places[key] = node
                            stored.append(key)
                        else:
                            stored.append(item)
                    splices.append((at, len(removed), stored))
                else:
                    splices.append((at, len(removed), _EMPTY))
                bytes_kept += 80 + 8 * len(removed)
            may_be_same = len(log) > 1 or len(removed) == len(inserted)
            if may_be_same and not must_differ(log) and is_unchanged(cell, splices):
                continue
            deltas.append((cell, splices))
            changed[node] = None
        moved = _NO_MOVES
        if balance:
            moved = []
            if any(balance.values()):
                return _NOT_PLAIN
            for key, parent in places.items():
                node = tree.node(key)
                if node.removed:
                    return _NOT_PLAIN
                if node.parent is not parent:
                    above: Node | None = parent
                    while above is not None:
                        if above.key in balance:
                            return _NOT_PLAIN
                        above = above.parent
                    moved.append((node, parent))
        for key, (entity, names) in self.writes.items():
            size = self._plain_state(tree.node(key), entity, names, states, changed)
            if size < 0:
                return _NOT_PLAIN
            bytes_kept += size
        if not changed:
            return None
        return Changes(tree, now, deltas, states, moved, changed, bytes_kept)

    def _plain_state(
        self,
        node: Node,
        entity: Entity,
        names: set[str],
        states: list[tuple[Node, tuple[Stored, ...]]],
        changed: dict[Node, None],
    ) -> int:
        """Add an entity's new state if atoms replaced atoms.

        Return about how many bytes the old one takes, -1 if not so.
        """
        if node.removed or entity.__home__ is not self.tree:
            return -1
        schema, state = node.schema, list(node.state)
        fields, size = dict_of(entity), 0
        for name in names:
            index = schema.index.get(name)
            if index is None or name not in schema.field_set:
                return -1
            old, new = state[index], fields.get(name, ABSENT)
            if KIND[type(old)] or KIND[type(new)] or type(old) is Key:
                return -1
            if not same_atom(old, new):
                state[index] = new
                size += getsizeof(old)
        fields_set = entity.__pydantic_fields_set__
        if size:
            if len(fields_set) != len(state[-1]):  # rides along; alone it is no change of a value
                state[-1] = schema.shared_set(fields_set)
            states.append((node, tuple(state)))
            changed[node] = None
            size += 72 + 8 * len(state)
        return size

    def close(self) -> None:
        """End the transaction: containers are no longer logged.

        Opaque values no longer handed out.
        """
        for container in self.containers:
            container.log = None
        self.tree.txn = None
        if self.touched:
            self.tree.drop_opaque(self.touched)

    def rollback(self) -> None:
        """Bring the very same objects back to the committed state. Cost: what was written."""
        tree = self.tree
        for container in self.containers:
            _restore(tree, container)
        for entity, names in self.writes.values():
            schema = schema_of(type(entity))
            node = tree.node(key_of(entity))
            for name in names:
                if node.opaque and name in node.opaque:
                    self.touched.append((entity, name))
                elif name in schema.index:
                    value = tree.live_value(node.state[schema.index[name]])
                    fill(entity, schema, name, value)
                    if value is ABSENT:
                        remove_part(entity, name)
            fill(entity, schema, FIELDS_SET, set(node.state[-1]))
            if schema.cached:
                forget_cached(entity)
        self.close()


def _restore(tree: TreeRegistry, container: Any) -> None:
    cell, log = container.place, container.log
    if container.home is not tree or cell is None:
        return
    if isinstance(container, dict) and any(new is ABSENT for _, _, new in log):
        dict.clear(container)
        dict.update(container, {key: tree.live_value(value) for key, value in cell.items.items()})
    else:
        undo(container, log)
