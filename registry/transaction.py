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
from registry.history import DictCell, ListCell, Node, Stored
from registry.ids import Key
from registry.schema import ABSENT, FIELDS_SET, schema_of
from registry.structure import Structure
from registry.tracking import Tracked, undo
from registry.tree import TreeRegistry
from registry.updates import is_complete, must_differ
from registry.values import ENTITY, KIND, same_atom

_EMPTY: tuple[Any, ...] = ()
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
        if not (self.writes or self.containers or self.touched):
            return None
        return Structure(self, now).made()

    def plan_plain(self, now: float) -> Changes | None:
        """Find changes that only set atoms and move entities between lists.

        None if there are others, or none.

        Most executions are such, and `plan` could do them as well: this is its common case in a
        third of the time, and whatever is not certain is left to it.
        """
        tree = self.tree
        entities = tree.entities
        balance: dict[Key, int] = {}
        places: dict[Key, Node] = {}
        changed: dict[Node, None] = {}
        deltas: list[tuple[Any, Any]] = []
        for container in self.containers:
            log: Any = container.log
            cell = container.place
            node = cell.node
            if node is None or node.removed:
                return None
            if len(log) == 1 and type(cell) is ListCell:
                at, removed, inserted = log[0]
                # One item out of a list, or into one: half of what a move is, so spelled out.
                if not inserted and len(removed) == 1:
                    item, count, change = removed[0], -1, (at, 1, _EMPTY)
                elif not removed and len(inserted) == 1:
                    item, count, change = inserted[0], 1, (at, 0, inserted)
                else:
                    count = 0
                if count:
                    if len(container) != len(cell.items) + count:
                        return None  # something reached past the methods: Structure says what
                    kind = KIND[type(item)]
                    if kind is ENTITY:
                        key: Any = item.__key__
                        if entities.get(key) is not item:
                            return None
                        balance[key] = balance.get(key, 0) + count
                        if count > 0:
                            places[key] = node
                            change = (at, 0, (key,))
                    elif kind:
                        return None
                    deltas.append((cell, (change,)))
                    changed[node] = None
                    continue
            if log:
                changes = _plain_changes(cell, log, entities, balance, places)
                if changes is None:
                    return None
                if changes:
                    deltas.append((cell, changes))
                    changed[node] = None
        moved = _settled(tree, balance, places) if balance else _NO_MOVES
        if moved is None:
            return None
        kept = COMMIT_BYTES + 104 * len(deltas)
        states: list[tuple[Node, tuple[Stored, ...]]] = []
        for key, (entity, names) in self.writes.items():
            size = self._plain_state(tree.node(key), entity, names, states)
            if size < 0:
                return None
            kept += size
        for written, _ in states:
            changed[written] = None
        return Changes(tree, now, deltas, states, moved, changed, kept) if changed else None

    def _plain_state(
        self,
        node: Node,
        entity: Entity,
        names: set[str],
        states: list[tuple[Node, tuple[Stored, ...]]],
    ) -> int:
        """Add an entity's new state if atoms replaced atoms.

        Returns:
            About how many bytes the old one takes; -1 if something else was written.
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
            if KIND[type(old)] or KIND[type(new)]:
                return -1
            if not same_atom(old, new):
                state[index] = new
                size += getsizeof(old)
        if size:
            fields_set = entity.__pydantic_fields_set__
            if len(fields_set) != len(state[-1]):  # rides along; alone it is no change of a value
                state[-1] = schema.shared_set(fields_set)
            states.append((node, tuple(state)))
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


def _plain_changes(
    cell: Any,
    log: list[Any],
    entities: dict[Key, Entity],
    balance: dict[Key, int],
    places: dict[Key, Node],
) -> list[Any] | None:
    """Return what a log does to a cell, and note what it moves; None if it is not plain."""
    if type(cell) is DictCell:
        return _plain_items(cell, log)
    node = cell.node
    if type(cell) is not ListCell or node is None:
        return None
    if not is_complete(cell, log):
        return None
    splices = []
    for at, removed, inserted in log:
        stored = list(inserted)
        for sign, items in ((-1, removed), (1, inserted)):
            for index, item in enumerate(items):
                if KIND[type(item)]:
                    key: Any = item.__key__ if KIND[type(item)] == ENTITY else None
                    if entities.get(key) is not item:
                        return None
                    balance[key] = balance.get(key, 0) + sign
                    if sign > 0:
                        places[key] = node
                        stored[index] = key
        splices.append((at, len(removed), stored))
    if (len(log) > 1 or len(removed) == len(inserted)) and not (
        _shifts_one(log) or must_differ(log)
    ):
        return None  # it may be no change
    return splices


def _shifts_one(log: list[Any]) -> bool:
    """Tell whether a log moves one entity to another position of its list, and nothing else.

    An entity is in a list once, so then the list differs.
    """
    if len(log) != 2:
        return False
    (before, taken, none), (after, nothing, put) = log
    return (
        before != after
        and not none
        and not nothing
        and len(taken) == len(put) == 1
        and taken[0] is put[0]
        and KIND[type(put[0])] == ENTITY
    )


def _plain_items(cell: DictCell, log: list[Any]) -> list[Any] | None:
    changes = {}
    for key, old, new in log:
        if KIND[type(old)] or KIND[type(new)] or new is ABSENT:
            return None
        changes[key] = new
    items = cell.items
    return [each for each in changes.items() if not same_atom(items.get(each[0], ABSENT), each[1])]


def _settled(
    tree: TreeRegistry, balance: dict[Key, int], places: dict[Key, Node]
) -> list[tuple[Node, Any]] | None:
    """Return the entities that have another parent now.

    None if one entered, left, or holds itself.
    """
    nodes = tree.nodes
    moved = []
    for key, count in balance.items():
        node = nodes.get(key)
        if count or node is None:
            return None
        parent = places[key]
        if node.parent is not parent:
            above: Node | None = parent
            while above is not None:
                if above.key in balance:
                    return None
                above = above.parent
            moved.append((node, parent))
    return moved


def _restore(tree: TreeRegistry, container: Any) -> None:
    cell, log = container.place, container.log
    if container.home is not tree or cell is None:
        return
    if isinstance(container, dict) and any(new is ABSENT for _, _, new in log):
        dict.clear(container)
        dict.update(container, {key: tree.live_value(value) for key, value in cell.items.items()})
        return
    undo(container, log)
    if isinstance(container, list) and len(container) != len(cell.items):
        # Something reached past its methods: the log does not tell all.
        list.__setitem__(container, slice(None), [tree.live_value(item) for item in cell.items])
