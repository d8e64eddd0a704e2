"""Structure: the changes of a transaction that alter who holds whom, or that are not plain.

What was written says `places.py`, and where everything ends says `balance.py`; here two places for
one thing are refused, what arrived gets its nodes, what stays its new states and deltas, and all of
it is applied.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import getsizeof
from typing import Any

from registry import paths
from registry.arrivals import Arrivals
from registry.balance import Balance, Later, Tally
from registry.changes import COMMIT_BYTES, Changes, cut_loose
from registry.entity import (
    Entity,
    fill,
    key_of,
    label,
    part,
    parts,
    set_home,
)
from registry.errors import StructureError
from registry.history import (
    Cell,
    DictCell,
    ListCell,
    Node,
    SetCell,
    Stored,
    cells_in,
    same_stored,
)
from registry.ids import Key
from registry.places import CONTAINERS, Places, Writes, field_of
from registry.schema import ABSENT, schema_of
from registry.tracking import Tracked, member_like
from registry.values import (
    ATOM,
    ENTITY,
    KIND,
    same_atom,
)

Finish = Callable[[], None]


class Structure(Changes):
    """What a transaction will do to its tree: first found, then applied."""

    def __init__(self, txn: Writes, now: float) -> None:
        super().__init__(txn.tree, now, [], [], [], {}, COMMIT_BYTES)
        self.places = Places(txn)
        self.balance = Balance(self.places)
        self.arrivals = Arrivals(self.balance, now)
        self.finish: list[Finish] = []
        self.removed: list[Node] = []
        self.loose: list[Entity] = []
        self.opaque_names: dict[Node, frozenset[str]] = {}
        self.kept_cells: set[Cell] = set()

    # --- finding ---

    def made(self) -> Structure | None:
        """Find the changes; None if there are none."""
        self.places.look()
        self.balance.count()
        self._judge()
        self.arrivals.adopt()
        self.moved += [(node, owner) for node, _, owner in self.arrivals.revived]
        self._plan_fields()
        self._plan_containers()
        return self if self.changed or self.arrivals.entities or self.removed else None

    def _judge(self) -> None:
        """Refuse two places for one thing; note what moved and what left."""
        for key, tally in self.balance.members.items():
            self._judge_entity(key, tally)
        for tally in self.balance.boxes.values():
            if len(self.balance.holders_in_tree(tally)) + tally.member > 1:
                raise StructureError(
                    self.places.name_of(tally.item),
                    "would be held by two fields",
                    "give each its own copy",
                )

    def _judge_entity(self, key: Key, tally: Tally) -> None:
        holders = self.balance.holders_in_tree(tally)
        if key == self.tree.key and holders:
            raise StructureError(
                label(tally.item), "would hold itself", "a root is held by nothing"
            )
        if len(holders) + tally.stayed > 1:
            self._refuse_two_places(tally, holders)
        if not tally.member or tally.stayed:
            return
        node = self.tree.node(key)
        if not holders:
            self.removed.append(node)
            return
        parent = self.balance.owner(holders[0])
        if parent is not node.parent:
            self.moved.append((node, parent))

    def _refuse_two_places(self, tally: Tally, holders: list[Any]) -> None:
        owners = [self._owning(holder) for holder in holders]
        old = self.tree.node(key_of(tally.item)).parent if tally.stayed else None
        if old is not None:
            owners.insert(0, self.tree.live(old.key))
        first, second = owners[:2]
        nth = 1 if first is second else 0
        raise StructureError(
            label(tally.item),
            f"would be reachable twice: as {paths.path([*self._way_in_tree(first), tally.item])} "
            f"and as {paths.path([*self._way_in_tree(second), tally.item], nth)}",
            "take it out of its first place, or put a copy (model_copy) in the second",
        )

    def _owning(self, holder: Any) -> Entity:
        owner = self.balance.owner(holder)
        return owner.entity if isinstance(owner, Later) else self.tree.live(owner.key)

    def _way_in_tree(self, entity: Entity) -> list[Entity]:
        """Return the entities from the root down to one of the tree; an arrival stands alone."""
        way = [entity]
        if entity.__home__ is self.tree:
            node = self.tree.node(key_of(entity)).parent
            while node is not None:
                way.append(self.tree.live(node.key))
                node = node.parent
        return way[::-1]

    # --- changes of entities and containers that stay ---

    def _plan_fields(self) -> None:
        for entity, names in self.places.writes.values():
            if entity.__home__ is not self.tree or not self.balance.is_attached(entity):
                self.loose.append(entity)
                continue
            node = self.tree.node(key_of(entity))
            if self.arrivals.is_revived(node):
                continue
            self._plan_entity(entity, node, names)

    def _plan_entity(self, entity: Entity, node: Node, names: set[str]) -> None:
        schema, state = node.schema, list(node.state)
        changed = False
        for name in names:
            index = schema.index.get(name)
            if index is None:
                continue
            old, value = state[index], part(entity, schema, name)
            if KIND[type(value)] == ATOM:
                new: Stored = value
                self._note_opaque(node, {name}, set())
            else:
                stored, opaque = self.arrivals.stored(value, node, name, holder=entity)
                new = self._compact(old, stored)
                self._note_opaque(node, {name}, opaque)
                self._show(entity, node, name)
            if same_stored(old, new):
                self.kept_cells.update(cells_in(old))  # an equal container came: the old cell stays
            else:
                state[index] = new
                changed = True
                self.bytes_kept += getsizeof(old, 64)
        fields_set = entity.__pydantic_fields_set__
        if len(fields_set) != len(state[-1]) and (changed or node in self.changed):
            # It rides along; alone it is no change of a value.
            state[-1] = schema.shared_set(fields_set)
            changed = True
        if changed:
            self.states.append((node, tuple(state)))
            self.changed[node] = None
            self.bytes_kept += 72 + 8 * len(state)

    def _note_opaque(self, node: Node, gone: set[str], come: set[str]) -> None:
        """Note which fields of an entity hold opaque values from this version on."""
        before = self.opaque_names.get(node, node.opaque or frozenset())
        if come or not before.isdisjoint(gone):
            self.opaque_names[node] = before - gone | come

    def _show(self, entity: Entity, node: Node, name: str) -> None:
        """Put the tracked form of what is stored on the live object, once it is stored."""

        def finish() -> None:
            if node.opaque and name in node.opaque:
                self.tree.drop_opaque([(entity, name)])
            else:
                stored = node.state[node.schema.index[name]]
                fill(entity, node.schema, name, self.tree.live_value(stored))

        self.finish.append(finish)

    def _compact(self, old: Stored, new: Stored) -> Stored:
        """Express a list that replaces a list as a splice of it.

        `e.items = [x for x in e.items if ...]` keeps a delta.
        """
        if type(old) is not ListCell or type(new) is not ListCell or old is new:
            return new
        if (
            id(old) not in self.places.displaced
            or new.node is not old.node
            or self.places.has_opaque()
        ):
            return new
        if any(isinstance(item, Cell) for item in new.items):
            return new
        at, end = _common_ends(old.items, new.items)
        removed = len(old.items) - at - end
        inserted = new.items[at : len(new.items) - end]
        self.kept_cells.add(old)
        if removed or inserted:
            self._delta(old, [(at, removed, inserted)], 8 * (removed + len(inserted)) + 72)
        return old

    def _delta(self, cell: Any, change: Any, weight: int) -> None:
        self.deltas.append((cell, change))
        self.changed[cell.node] = None
        self.bytes_kept += weight

    def _plan_containers(self) -> None:
        for container in self.places.containers:
            cell = self.places.cell_of(container)
            if container.home is self.tree and self.places.is_beside_opaque(container.place):
                continue
            if cell is None or not self.balance.is_attached(container):
                self._loosen(container)
                continue
            if not container.log:
                continue
            if isinstance(cell, ListCell):
                self._plan_list(container, cell)
            elif isinstance(cell, DictCell):
                self._plan_dict(container, cell)
            elif isinstance(cell, SetCell):
                self._plan_set(container, cell)

    def _loosen(self, container: Tracked) -> None:
        self.finish.append(lambda: cut_loose(container))

    def _plan_list(self, live: Any, cell: ListCell) -> None:
        log = live.log
        if not is_complete(cell, log):
            raise StructureError(
                f"the list {self.places.name_of(live)}",
                "was changed past its methods, for instance by heapq",
                "do that on a plain list, and assign it (docs/pitfalls.md)",
            )
        stored_log = [
            (at, len(removed), [self._logged(item, cell) for item in inserted])
            for at, removed, inserted in log
        ]
        if len(log) == 1:
            at, count, inserted = stored_log[0]
            before = cell.items[at : at + count]
            if len(before) == len(inserted) and all(map(same_stored, before, inserted)):
                return
        elif not must_differ(log) and is_unchanged(cell, stored_log):
            return
        self._delta(cell, stored_log, sum([80 + 8 * count for _, count, _ in stored_log]))
        self._show_inserted(live, [item for _, _, inserted in log for item in inserted])

    def _logged(self, item: Any, cell: Cell) -> Stored:
        """Return the stored form of an item that a log put into a container.

        A placeholder if it is gone again.
        """
        kind = KIND[type(item)]
        if kind == ATOM:
            return item
        if kind == ENTITY:
            return key_of(self.arrivals.resident(item))
        if (
            kind in CONTAINERS
            and self.places.cell_of(item) is None
            and not self.balance.is_put(item)
        ):
            return None
        assert cell.node is not None, "a container that is attached belongs to an entity"
        stored, opaque = self.arrivals.stored(item, cell.node, field_of(cell), holder=None, up=cell)
        if opaque:
            self._note_opaque(cell.node, set(), opaque)
        return stored

    def _show_inserted(self, live: Any, inserted: list[Any]) -> None:
        """Replace what was inserted raw by what the tree tracks."""
        if all(
            KIND[type(item)] == ATOM
            or (KIND[type(item)] == ENTITY and self.arrivals.resident(item) is item)
            for item in inserted
        ):
            return
        cell = live.place
        node, name = cell.node, field_of(cell)

        def finish() -> None:
            if node.opaque and name in node.opaque:
                entity = self.tree.live(node.key)
                self.tree.drop_opaque([(entity, name)])
            elif isinstance(cell, DictCell):
                for key, stored in cell.items.items():
                    dict.__setitem__(live, key, self.tree.live_value(stored))
            elif isinstance(cell, ListCell):
                list.__setitem__(
                    live, slice(None), [self.tree.live_value(item) for item in cell.items]
                )
            else:
                set.clear(live)
                set.update(live, map(self.tree.live_value, cell.items))

        self.finish.append(finish)

    def _plan_dict(self, live: Any, cell: DictCell) -> None:
        log, deleted = live.log, False
        for key, old, new in log:
            deleted = deleted or new is ABSENT
            if old is ABSENT and KIND[type(key)] == ENTITY:
                self.arrivals.refuse_key(key)
        if deleted and not self._dict_differs(live, cell):
            return
        changes = [
            (key, ABSENT if new is ABSENT else self._logged(new, cell))
            for key, _, new in (log if deleted else {entry[0]: entry for entry in log}.values())
        ]
        if not deleted:
            changes = [
                (k, new) for k, new in changes if not same_stored(cell.items.get(k, ABSENT), new)
            ]
        if not changes:
            self._show_inserted(live, [new for _, _, new in log])
            return
        self._delta(cell, changes, 96 * len(changes))
        self._show_inserted(live, [new for _, _, new in log if new is not ABSENT])

    def _dict_differs(self, live: Any, cell: DictCell) -> bool:
        """Tell whether a dict from which keys were deleted differs in content or order.

        Cost: the dict, if sizes agree.
        """
        if len(live) != len(cell.items):
            return True
        return any(
            not same_atom(a, b) or not self.places.still_is(live[a], cell.items[b])
            for a, b in zip(live, cell.items, strict=True)
        )

    def _plan_set(self, live: Any, cell: SetCell) -> None:
        before: dict[tuple[type, Any], bool] = {}  # by type too: 1 and 1.0 are not the same member
        for item, is_added in live.log:
            before.setdefault((type(item), item), not is_added)
        added: list[Stored] = []
        removed: list[Stored] = []
        for (cls, item), was in before.items():
            twin = member_like(live, item)
            present = item in live and type(twin) is cls
            if was != present:
                (added if present else removed).append(self._logged(item, cell))
        if added or removed:
            self._delta(cell, (added, removed), 96 * (len(added) + len(removed)))
            self._show_inserted(live, [item for item, _ in live.log])

    # --- applying ---

    def arrives(self, key: Key) -> bool:
        """Tell whether an entity enters the tree."""
        return self.arrivals.has(key)

    def leaves(self, key: Key) -> bool:
        """Tell whether an entity leaves the tree."""
        return any(node.key == key for node in self.removed)

    def apply(
        self, execution_id: int | str, callable_name: str, outputs: tuple[tuple[int, int], ...]
    ) -> int:
        """Store the changes as the next version and return how many entities got a new id.

        Nothing in here can fail. Cost: the change and its ancestors.
        """
        created = tuple(self.arrivals.nodes)
        for node in self.arrivals.enter():
            self.changed[node] = None
        self.moved = [(node, self.arrivals.node_of(owner)) for node, owner in self.moved]
        self._store()
        for node, names in self.opaque_names.items():
            node.opaque = names or None
        for node in self.removed:
            self._leave(node)
        for cell in self.places.displaced.values():
            if cell.live is not None:
                cut_loose(cell.live)
            cell.live = None
            if cell not in self.kept_cells:
                cell.node = None
        for step in self.finish:
            step()
        self.arrivals.show()
        renamed = self._rename()
        for entity in self.loose:
            self._let_loose(entity)
        self._commit(
            execution_id,
            callable_name,
            outputs,
            created,
            tuple([node.key for node in self.removed]),
        )
        return len(created) + renamed

    def _leave(self, node: Node) -> None:
        node.move(self.version, None)
        node.removed = self.version
        self.tree.entities.pop(node.key, None)

    def _let_loose(self, entity: Entity) -> None:
        """Make an object that was written while it left the tree an orphan.

        History has its own copy.
        """
        if entity.__home__ is not self.tree:
            return
        _ = entity.__dict__, entity.__pydantic_private__, entity.__pydantic_extra__
        _ = entity.__pydantic_fields_set__
        for _name, value in parts(entity, schema_of(type(entity))):
            cut_loose(value)
        set_home(entity, None)


def is_unchanged(cell: ListCell, splices: list[tuple[int, int, list[Stored]]]) -> bool:
    """Tell whether splices that take and give the same items leave the list as it was.

    Cost: the list.
    """
    items = list(cell.items)
    for at, count, inserted in splices:
        items[at : at + count] = inserted
    return len(items) == len(cell.items) and all(map(same_stored, items, cell.items))


def is_complete(cell: ListCell, log: list[Any]) -> bool:
    """Tell whether a log accounts for the length that a list has now."""
    grown = sum([len(inserted) - len(removed) for _, removed, inserted in log])
    return len(cell.live) == len(cell.items) + grown


def must_differ(log: list[Any]) -> bool:
    """Tell whether splices take and give different items.

    So that the list cannot be as it was. Cost: the log.
    """
    balance: dict[Any, int] = {}
    try:
        for _, removed, inserted in log:
            for item in removed:
                mark = (type(item), item)
                balance[mark] = balance.get(mark, 0) - 1
            for item in inserted:
                mark = (type(item), item)
                balance[mark] = balance.get(mark, 0) + 1
    except TypeError:
        return False
    return any(balance.values())


def _common_ends(old: list[Stored], new: list[Stored]) -> tuple[int, int]:
    """Return how many items two lists share at the start and, of the rest, at the end."""
    shorter = min(len(old), len(new))
    at = 0
    while at < shorter and same_stored(old[at], new[at]):
        at += 1
    end = 0
    while end < shorter - at and same_stored(old[-1 - end], new[-1 - end]):
        end += 1
    return at, end
