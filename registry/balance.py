"""Balance: where everything ends that an execution put somewhere or took from somewhere.

It works on differences only. Every entity that a write took out of its place has lost it, every one
that was put into something has a holder; what has exactly one place in the end stays or was moved,
without one it left the tree, and with two `structure.py` refuses it. New arrivals and what leaves
are followed downward, what stays is never visited: the cost is that of the change.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from registry.entity import Entity, key_of, parts
from registry.history import Cell, Node
from registry.ids import Key
from registry.places import CONTAINERS, Places, flat, items_of
from registry.schema import schema_of
from registry.values import ENTITY, KIND


class Tally:
    """Where something is in the end.

    Attributes:
        item: An entity or a container.
        member: Whether it had a place in the tree before.
        lost: How often it was taken out of that place.
        holders: What it was put into, and not taken out of again.
        walked: Whether what it holds was counted too.
    """

    __slots__ = ("holders", "item", "lost", "member", "walked")

    def __init__(self, item: Any, member: bool) -> None:
        self.item = item
        self.member = member
        self.restart(0, ())

    def restart(self, lost: int, holders: Iterable[Any]) -> None:
        """Begin again with these counts."""
        self.lost = lost
        self.holders = list(holders)
        self.walked = False

    def take(self, holder: Any) -> None:
        """Note that it was taken out of what it was put into before, or else of its old place."""
        for index, each in enumerate(self.holders):
            if each is holder:
                del self.holders[index]
                return
        self.lost += 1

    @property
    def stayed(self) -> bool:
        """Whether it still has the place that it had before."""
        return self.member and not self.lost


class Later:
    """Stands for the node of an entity that arrives, and so has none yet."""

    __slots__ = ("entity",)

    def __init__(self, entity: Entity) -> None:
        self.entity = entity

    @property
    def key(self) -> Key:
        """Lineage bits of the entity, as a node has them."""
        return key_of(self.entity)


class Balance:
    """What was put where and taken from where, and what that means.

    Attributes:
        places: What was written.
        tree: The tree.
        members: Every entity that was put or taken, by key.
        boxes: Every container that arrives, or that was put into another place than its own, by
            `id`.
        taken_over: Containers that were put to another place while their owner seemed to leave,
            and their cells there.
    """

    def __init__(self, places: Places) -> None:
        self.places = places
        self.tree = places.tree
        self.members: dict[Key, Tally] = {}
        self.boxes: dict[int, Tally] = {}
        self.taken_over: list[tuple[Any, Cell]] = []
        self._root = places.tree.root_node
        self._departed: set[Key] = set()
        self._is_counted = False
        self._attached: dict[int, bool] = {}

    def count(self) -> None:
        """Count everything. The questions below are answered by what was counted.

        A container whose owner left may have been put to another place: it has no other one then
        than the new one, so it is displaced, and all is counted once more.
        """
        self._count_all()
        while taken_over := [
            (tally.item, tally.item.place)
            for tally in self.boxes.values()
            if tally.member
            and self.holders_in_tree(tally)
            and not self.is_attached(tally.item.place)
        ]:
            for _, cell in taken_over:
                self.places.displace(cell)
            self.taken_over += taken_over
            self._count_all()
        self._is_counted = True

    # --- what is in the tree in the end ---

    def is_attached(self, holder: Any) -> bool:
        """Tell whether an entity, container or cell is in the tree once all writes count.

        Cost: the way up, but for what was asked before; no recursion, since it may be long.
        """
        seen: set[int] = set()
        rest, first = [holder], None
        while rest:
            found = self._look_up(rest.pop())
            if isinstance(found, Tally):
                known = self._attached.get(id(found))
                if known is None and id(found) not in seen:
                    seen.add(id(found))
                    rest.extend(found.holders)
                    first = first or found
                found = bool(known)
            if found:
                if first is not None and self._is_counted:
                    self._attached[id(first)] = True
                return True
        if self._is_counted:
            self._attached.update(dict.fromkeys(seen, False))
        return False

    def holders_in_tree(self, tally: Tally) -> list[Any]:
        """Return what something was put into, as far as that is in the tree in the end."""
        return [holder for holder in tally.holders if self.is_attached(holder)]

    def has_owner(self, cell: Cell) -> bool:
        """Tell whether the entity that a displaced container belonged to is in the tree."""
        return cell.node is not None and self.is_attached(cell.node)

    def is_put(self, container: Any) -> bool:
        """Tell whether a container was put somewhere, and not taken out again."""
        tally = self.boxes.get(id(container))
        return tally is not None and bool(tally.holders)

    def owner(self, holder: Any) -> Node | Later:
        """Return the node of the entity that a holder belongs to."""
        if isinstance(holder, Entity):
            is_known = holder.__home__ is self.tree
            return self.tree.node(key_of(holder)) if is_known else Later(holder)
        cell = self.places.cell_of(holder)
        if cell is None:
            return self.owner(self.holders_in_tree(self.boxes[id(holder)])[0])
        assert cell.node is not None, "a container at its place belongs to an entity"
        return cell.node

    def _look_up(self, holder: Any) -> bool | Tally:
        """Tell whether something is in the tree, or return the tally whose holders decide."""
        if isinstance(holder, Node):
            return self._look_up_from(holder)
        if isinstance(holder, Entity):
            if holder.__home__ is self.tree:
                node = self.tree.node(key_of(holder))
                if not node.removed:
                    return self._look_up_from(node)
            return self.members.get(key_of(holder), False)
        cell = holder if isinstance(holder, Cell) else self.places.cell_of(holder)
        if cell is None:
            return self.boxes.get(id(holder), False)
        while cell.up is not None and id(cell) not in self.places.displaced:
            cell = cell.up
        if id(cell) in self.places.displaced or cell.node is None:
            return False
        return self._look_up_from(cell.node)

    def _look_up_from(self, node: Node | None) -> bool | Tally:
        while node is not None and node is not self._root:
            if node.key in self._departed:
                return False
            tally = self.members.get(node.key)
            # Without a loss it still has its first place; that it has a second is judged later.
            if tally is not None and tally.lost:
                return tally
            node = node.parent
        return node is self._root

    def _has_place(self, tally: Tally) -> bool:
        """Tell whether something that was put into holders is in the tree by one of them."""
        return any(map(self.is_attached, tally.holders))

    def _is_gone(self, tally: Tally) -> bool:
        return tally.member and tally.lost > 0 and not self._has_place(tally)

    # --- counting what was written ---

    def _count_all(self) -> None:
        self.members, self.boxes, self._departed = {}, {}, set()
        self._count_displaced()
        self._count_logs()
        self._count_writes()
        if self.members or self.boxes:
            self._settle()

    def _count_displaced(self) -> None:
        for cell in self.places.displaced.values():
            self._lose(flat(items_of(cell.items)))

    def _count_logs(self) -> None:
        for container, cell, taken, put in self.places.logged():
            for item in flat(taken):
                self._count(item, -1, container, cell)
            for item in flat(put):
                self._count(item, 1, container, cell)

    def _count_writes(self) -> None:
        for entity, stored, value in self.places.written():
            before = list(flat([stored]))
            self._lose(before)
            for item in flat([value]):
                cell = self.places.cell_of(item)
                if cell is None or cell not in before:
                    self._count(item, 1, entity)

    def _lose(self, stored: Iterable[Any]) -> None:
        """Count that the entities among stored values lost their place."""
        for item in stored:
            if type(item) is Key:
                self._member(self.tree.live(item)).lost += 1

    def _count(self, item: Any, sign: int, holder: Any, place: Cell | None = None) -> Tally | None:
        """Count an entity or container as put into a holder (1) or taken out of it (-1).

        Args:
            item: What it is.
            sign: 1 or -1.
            holder: An entity or a container.
            place: Cell of the holder, if it is a container that stayed; what stayed in it is not
                counted.

        Returns:
            Its tally; None if it is not counted.
        """
        kind = KIND[type(item)]
        if kind == ENTITY:
            tally = self._member(item)
        elif kind in CONTAINERS:
            cell = self.places.cell_of(item)
            if cell is not None and cell.up is place and place is not None:
                return None
            tally = self._box(item)
        else:
            return None
        if sign > 0:
            tally.holders.append(holder)
        else:
            tally.take(holder)
        return tally

    def _member(self, entity: Entity) -> Tally:
        key = key_of(entity)
        tally = self.members.get(key)
        if tally is None:
            member = entity.__home__ is self.tree and not self.tree.node(key).removed
            tally = self.members[key] = Tally(entity, member)
        return tally

    def _box(self, container: Any) -> Tally:
        """Return the tally of a container that arrives, or that another place holds already."""
        tally = self.boxes.get(id(container))
        if tally is None:
            tally = Tally(container, self.places.cell_of(container) is not None)
            self.boxes[id(container)] = tally
        return tally

    # --- following what arrives and what leaves ---

    def _settle(self) -> None:
        """Find what arrives and what leaves.

        Each depends on the other: what is put into something that leaves does not arrive, and what
        leaves may take along what nothing that arrives holds. What leaves only grows from round to
        round, so this ends; two rounds are usual.
        """
        counted = [(tally, tally.lost, list(tally.holders)) for tally in self._tallies()]
        while True:
            self._follow_arrivals()
            self._follow_departures()
            departed = {key for key, tally in self.members.items() if self._is_gone(tally)}
            if departed <= self._departed:
                return
            self._departed |= departed
            for tally in self._tallies():
                tally.restart(0, ())
            for tally, lost, holders in counted:
                tally.restart(lost, holders)

    def _tallies(self) -> list[Tally]:
        return [*self.members.values(), *self.boxes.values()]

    def _follow_arrivals(self) -> None:
        """Count what arrivals bring with them, until nothing new arrives."""
        found = True
        while found:
            found = False
            for tally in self._tallies():
                if not (tally.member or tally.walked) and self._has_place(tally):
                    found = True
                    self._walk(tally)

    def _walk(self, arrival: Tally) -> None:
        """Count what an arrival holds, and what that holds: by it, all of it has a place."""
        queue = deque([arrival])
        while queue:
            tally = queue.popleft()
            if tally.member or tally.walked:
                continue
            tally.walked = True
            for item in flat(self._contents(tally.item)):
                held = self._count(item, 1, tally.item)
                if held is not None:
                    queue.append(held)

    def _contents(self, item: Any) -> Iterator[Any]:
        """Yield what a new entity or container holds."""
        if isinstance(item, Entity):
            if item.__home__ is not None and item.__home__ is not self.tree:
                return  # of another tree: a copy of it will be adopted
            values: Any = (value for _, value in parts(item, schema_of(type(item))))
        else:
            values = items_of(item)
        yield from (value for value in values if KIND[type(value)])

    def _follow_departures(self) -> None:
        """Count what leaves with what leaves."""
        queue = [tally for tally in self.members.values() if self._is_gone(tally)]
        while queue:
            tally = queue.pop()
            if tally.walked:
                continue
            tally.walked = True
            for holder, item in self._departing(tally.item):
                other = self._member(self.tree.live(item) if type(item) is Key else item)
                other.take(holder)
                if self._is_gone(other):
                    queue.append(other)

    def _departing(self, entity: Entity) -> Iterator[tuple[Any, Any]]:
        """Yield (holder, entity or key) for all that an entity of the tree holds in the end."""
        for value in self.places.values_in(entity):
            yield from self._held(value, entity)

    def _held(self, value: Any, holder: Any) -> Iterator[tuple[Any, Any]]:
        for item in flat([value]):
            if type(item) is Key or KIND[type(item)] == ENTITY:
                yield holder, item
                continue
            cell = item if isinstance(item, Cell) else self.places.cell_of(item)
            if cell is None or id(cell) in self.places.displaced:
                continue
            # Logs of containers that hold opaque values are not counted: what they held leaves.
            is_logged = cell.live is not None and not self.places.is_beside_opaque(cell)
            inside = cell.live if is_logged else cell.items
            for each in items_of(inside):
                if KIND[type(each)] or isinstance(each, Cell):
                    yield from self._held(each, inside)
