"""Updates: what changes in the entities and containers that stay in a tree.

An entity with written parts gets a new state, a container with a log a delta. A write that leaves
everything as it was gets neither: no change, no version. What arrives and what leaves is not
looked at here, only that it was put into something that stays, or taken out of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from sys import getsizeof
from typing import Any

from registry.adoption import fixed_key
from registry.arrivals import Arrivals
from registry.changes import cut_loose
from registry.entity import Entity, fill, key_of, part
from registry.errors import StructureError
from registry.history import Cell, DictCell, ListCell, Node, SetCell, Stored, cells_in, same_stored
from registry.places import CONTAINERS, field_of
from registry.schema import ABSENT
from registry.tracking import member_like
from registry.values import ATOM, ENTITY, KIND, same_atom


class Updates:
    """The states and deltas of what stays.

    Attributes:
        deltas, states, changed, bytes_kept: As in `Changes`, which takes them over.
        loose: Objects that were written, and that are not in the tree in the end.
        kept_cells: Cells that stay in use although the container that showed them was displaced:
            their field holds an equal one, or one that is stored as a splice of them.
    """

    def __init__(self, arrivals: Arrivals) -> None:
        self.deltas: list[tuple[Any, Any]] = []
        self.states: list[tuple[Node, tuple[Stored, ...]]] = []
        self.changed: dict[Node, None] = {}
        self.bytes_kept = 0
        self.loose: list[Entity] = []
        self.kept_cells: set[Cell] = set()
        self._arrivals = arrivals
        self._balance = arrivals.balance
        self._places = arrivals.balance.places
        self._tree = arrivals.tree
        self._opaque_names: dict[Node, frozenset[str]] = {}
        self._steps: list[Callable[[], None]] = []

    def plan(self) -> None:
        """Find the new states and deltas; nothing in the tree is changed.

        Raises:
            StructureError: A list was changed past its methods, or a new value hides an entity.
            UncopyableError: A new value cannot be kept.
        """
        for entity, names in self._places.writes.values():
            if entity.__home__ is not self._tree or not self._balance.is_attached(entity):
                self.loose.append(entity)
                continue
            node = self._tree.node(key_of(entity))
            if not self._arrivals.is_revived(node):
                self._plan_entity(entity, node, names)
        for container in self._places.containers:
            self._plan_container(container)

    def mark_opaque(self) -> None:
        """Note on the entities which of their fields hold opaque values now."""
        for node, names in self._opaque_names.items():
            node.opaque = names or None

    def show(self) -> None:
        """Put the tracked forms of what is stored on the live objects, once it is stored."""
        for step in self._steps:
            step()

    # --- entities ---

    def _plan_entity(self, entity: Entity, node: Node, names: set[str]) -> None:
        schema, state = node.schema, list(node.state)
        changed = False
        for name in names:
            index = schema.index.get(name)
            if index is None:
                continue
            old = state[index]
            new = self._new_value(entity, node, name, old)
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

    def _new_value(self, entity: Entity, node: Node, name: str, old: Stored) -> Stored:
        """Return the stored form of a written part of an entity."""
        value = part(entity, node.schema, name)
        if KIND[type(value)] == ATOM:
            self._note_opaque(node, {name}, set())
            return value
        stored, opaque = self._arrivals.stored(value, node, name, holder=entity)
        self._note_opaque(node, {name}, opaque)
        self._steps.append(partial(self._show_part, entity, node, name))
        return self._compact(old, stored)

    def _note_opaque(self, node: Node, gone: set[str], come: set[str]) -> None:
        """Note which fields of an entity hold opaque values from this version on."""
        before = self._opaque_names.get(node, node.opaque or frozenset())
        if come or not before.isdisjoint(gone):
            self._opaque_names[node] = before - gone | come

    def _compact(self, old: Stored, new: Stored) -> Stored:
        """Express a list that replaces a list as a splice of it.

        `e.items = [x for x in e.items if ...]` keeps a delta.
        """
        if type(old) is not ListCell or type(new) is not ListCell or old is new:
            return new
        is_displaced = id(old) in self._places.displaced
        if not is_displaced or new.node is not old.node or self._places.has_opaque():
            return new
        if any(isinstance(item, Cell) for item in new.items):
            return new
        at, end = _common_ends(old.items, new.items)
        removed = len(old.items) - at - end
        inserted = new.items[at : len(new.items) - end]
        self.kept_cells.add(old)
        if removed or inserted:
            self._add_delta(old, [(at, removed, inserted)], 8 * (removed + len(inserted)) + 72)
        return old

    def _show_part(self, entity: Entity, node: Node, name: str) -> None:
        if node.opaque and name in node.opaque:
            self._tree.drop_opaque([(entity, name)])
        else:
            stored = node.state[node.schema.index[name]]
            fill(entity, node.schema, name, self._tree.live_value(stored))

    # --- containers ---

    def _plan_container(self, live: Any) -> None:
        if live.home is self._tree and self._places.is_beside_opaque(live.place):
            return
        cell = self._places.cell_of(live)
        if cell is None or not self._balance.is_attached(live):
            self._steps.append(partial(cut_loose, live))
        elif not live.log:
            return
        elif isinstance(cell, ListCell):
            self._plan_list(live, cell)
        elif isinstance(cell, DictCell):
            self._plan_dict(live, cell)
        elif isinstance(cell, SetCell):
            self._plan_set(live, cell)

    def _plan_list(self, live: Any, cell: ListCell) -> None:
        log = live.log
        if not is_complete(cell, log):
            raise StructureError(
                f"the list {self._places.name_of(live)}",
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
        self._add_delta(cell, stored_log, sum([80 + 8 * count for _, count, _ in stored_log]))
        self._show_later(live, [item for _, _, inserted in log for item in inserted])

    def _plan_dict(self, live: Any, cell: DictCell) -> None:
        log, deleted = live.log, False
        for key, old, new in log:
            deleted = deleted or new is ABSENT
            if old is ABSENT and KIND[type(key)] != ATOM:
                fixed_key(key, lambda: f"the dict {self._places.name_of(live)}")
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
        if changes:
            self._add_delta(cell, changes, 96 * len(changes))
        self._show_later(live, [new for _, _, new in log if new is not ABSENT])

    def _dict_differs(self, live: Any, cell: DictCell) -> bool:
        """Tell whether a dict from which keys were deleted differs in content or order.

        Cost: the dict, if sizes agree.
        """
        if len(live) != len(cell.items):
            return True
        return any(
            not same_atom(a, b) or not self._places.still_is(live[a], cell.items[b])
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
            self._add_delta(cell, (added, removed), 96 * (len(added) + len(removed)))
            self._show_later(live, [item for item, _ in live.log])

    def _add_delta(self, cell: Any, change: Any, weight: int) -> None:
        self.deltas.append((cell, change))
        self.changed[cell.node] = None
        self.bytes_kept += weight

    def _logged(self, item: Any, cell: Cell) -> Stored:
        """Return the stored form of an item that a log put into a container.

        A placeholder if it is gone again.
        """
        kind = KIND[type(item)]
        if kind == ATOM:
            return item
        if kind == ENTITY:
            return key_of(self._arrivals.resident(item))
        is_known = kind not in CONTAINERS or self._places.cell_of(item) is not None
        if not is_known and not self._balance.is_put(item):
            return None
        assert cell.node is not None, "a container that is attached belongs to an entity"
        name = field_of(cell)
        stored, opaque = self._arrivals.stored(item, cell.node, name, holder=None, up=cell)
        if opaque:
            self._note_opaque(cell.node, set(), opaque)
        return stored

    def _show_later(self, live: Any, inserted: list[Any]) -> None:
        """Replace what was inserted raw by what the tree tracks, once it is stored."""
        if not all(map(self._is_shown, inserted)):
            cell = live.place
            self._steps.append(partial(self._show_items, live, cell, cell.node, field_of(cell)))

    def _is_shown(self, item: Any) -> bool:
        kind = KIND[type(item)]
        return kind == ATOM or (kind == ENTITY and self._arrivals.resident(item) is item)

    def _show_items(self, live: Any, cell: Cell, node: Node, name: str) -> None:
        live_value = self._tree.live_value
        if node.opaque and name in node.opaque:
            self._tree.drop_opaque([(self._tree.live(node.key), name)])
        elif isinstance(cell, DictCell):
            for key, stored in cell.items.items():
                dict.__setitem__(live, key, live_value(stored))
        elif isinstance(cell, ListCell):
            list.__setitem__(live, slice(None), [live_value(item) for item in cell.items])
        else:
            set.clear(live)
            set.update(live, map(live_value, cell.items))


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
    except Exception:  # noqa: BLE001 - not hashable, or a method of the user's raises
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
