"""Arrivals: the entities that enter a tree in a transaction, and the stored forms of new values.

First nodes and stored forms are built, and nothing that the caller holds is changed; then, in a
second step that cannot fail, the objects become part of the working tree. Which entities arrive
says `balance.py`; what they were put into is planned by `updates.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from registry import ids
from registry.adoption import Adoption
from registry.balance import Balance, Later
from registry.copies import Cloner
from registry.entity import Entity, dict_of, fill, key_of, set_home, source_of
from registry.history import Cell, Node, Stored, cells_in, same_stored
from registry.ids import Key
from registry.places import items_of
from registry.schema import schema_of
from registry.tree import TreeRegistry
from registry.values import KIND


class Arrivals(Adoption):
    """Builds the nodes of what enters a tree, and the stored forms of what is put into it.

    Attributes:
        balance: What was put where.
        tree: The tree.
        nodes: New nodes, by key. Their parents may be `Later` until `enter`.
        entities: (object, its node), for all that arrive.
        revived: (node, its new state, owner) of what was in the tree in an older version.
    """

    def __init__(self, balance: Balance, now: float) -> None:
        super().__init__(balance.tree.head + 1, now)
        self.balance = balance
        self.tree = balance.tree
        self.revived: list[tuple[Node, tuple[Stored, ...], Node | Later]] = []
        self._cloner: Cloner = Cloner(self._keeps, self._here)
        self._cells: dict[int, Cell] = {}

    # --- building, which may be refused ---

    def adopt(self) -> None:
        """Build the nodes and states of all that arrives.

        Raises:
            StructureError: Something is in two places, or hides an entity where it cannot be
                tracked.
        """
        for tally in list(self.balance.members.values()):
            holders = [] if tally.member else self.balance.holders_in_tree(tally)
            if holders:
                self._adopt_one(tally.item, self.balance.owner(holders[0]))

    def stored(
        self, value: Any, node: Node, name: str, *, holder: Entity | None, up: Cell | None = None
    ) -> tuple[Stored, set[str]]:
        """Return the stored form of a value that was put into a field of a member.

        Args:
            value: What was put.
            node: The member.
            name: The field.
            holder: Object of the member, to name the place in an error if it is at hand.
            up: The container in that field that the value was put into, if any.

        Returns:
            The stored form, and the names of fields that hold opaque values by it.
        """
        self._holder, self._name, self._opaque = holder, name, set()
        self._depth = 0 if up is None else up.depth
        return self.store(value, node, up), self._opaque

    def resident(self, entity: Entity) -> Entity:
        """Return the object that will be part of the tree.

        A copy, if the given one belongs to another tree.
        """
        return self._here(entity) or self._cloner.run(entity)

    def _here(self, entity: Entity) -> Entity | None:
        """Return an entity that enters as the object that it is; None for one of another tree."""
        home = entity.__home__
        return entity if home is None or home is self.tree else None

    def _keeps(self, entity: Entity) -> bool:
        """Tell whether an entity that comes from another tree carries on its lineage.

        An orphan argument lives in a tree of its own until it is known where it belongs: if it is
        put here as a whole, nothing crosses.
        """
        home = entity.__home__
        if not (isinstance(home, TreeRegistry) and home.is_provisional):
            return False
        tally = self.balance.members.get(-id(home.root))
        return tally is not None and bool(self.balance.holders_in_tree(tally))

    def _adopt_one(self, entity: Entity, owner: Node | Later) -> None:
        resident = self.resident(entity)
        known = self.tree.nodes.get(key_of(resident)) if resident is entity else None
        if known is None:
            self._add_node(resident, owner)
            return
        whole = dict_of(entity) if entity.__home__ is None else entity.__dict__
        assert whole is not None, "a revived entity is loaded"
        state = self.state(entity, known)
        self.entities.append((entity, known))
        self.revived.append((known, state, owner))

    def _add_node(self, entity: Entity, parent: Any) -> None:
        key = key_of(entity)
        if key in self.nodes:
            self._refuse_second_place(entity, self.nodes[key].parent)
        node = Node(key, schema_of(type(entity)), None, self.version, self.created)
        node.source = source = source_of(entity)
        if source is not None and source[0] == key:
            # It comes from another version or branch, where its ids name other contents.
            node.first_stamp = ids.stamp(self.tree.branch, self.version)
        self.note_borrowed(entity, node)
        self.nodes[key] = node
        node.parent = parent
        node.state = self.state(entity, node)
        self.entities.append((entity, node))

    # --- what `Adoption` asks ---

    def meet(self, entity: Entity, node: Node) -> Key:
        """Return the key under which *node* holds an entity.

        Members and arrivals were counted before.
        """
        return key_of(self.resident(entity))

    def store_container(self, value: Any, kind: Any, node: Node, up: Cell | None) -> Stored:
        """Return the cell of a container: its own if it stayed, a new one if not."""
        cell = self.balance.places.cell_of(value)
        if cell is not None:
            return cell
        known = self._cells.get(id(value))
        if known is None:
            known = self._cells[id(value)] = super().store_container(value, kind, node, up)
        return known

    def object_of(self, node: Node) -> Entity:
        """Return the live object of a node of the tree."""
        return self.tree.live(node.key)

    # --- questions ---

    def has(self, key: Key) -> bool:
        """Tell whether an entity arrives."""
        return key in self.nodes or any(node.key == key for node, _, _ in self.revived)

    def key_of_arrival(self, entity: Entity) -> Key | None:
        """Return the key that an entity has here, if it arrives: its own, or that of its copy."""
        key = key_of(self._cloner.made.get(id(entity), entity))
        return key if self.has(key) else None

    def is_revived(self, node: Node) -> bool:
        """Tell whether the entity of a node comes back."""
        return any(known is node for known, _, _ in self.revived)

    def node_of(self, owner: Any) -> Any:
        """Return the node of an owner, also of one that had none when it was found."""
        if not isinstance(owner, Later):
            return owner
        # Asked for its copy first: what left another tree a moment ago looks like an orphan.
        copied = self._cloner.made.get(id(owner.entity))
        if copied is not None and key_of(copied) in self.nodes:
            return self.nodes[key_of(copied)]
        key = key_of(self.resident(owner.entity))
        return self.nodes.get(key) or self.tree.node(key)

    # --- entering, which cannot fail ---

    def enter(self) -> list[Node]:
        """Make what arrived part of the tree.

        Returns:
            What came back with another state than it left with.
        """
        tree = self.tree
        tree.nodes.update(self.nodes)
        for key, sources in self.borrowed.items():
            tree.store_sources(key, self.version, sources)
        for node in self.nodes.values():
            node.parent = self.node_of(node.parent)
        changed = self._revive()
        for entity, node in self.entities:
            tree.entities[node.key] = entity
        for entity, _ in self.entities:
            if entity.__home__ is not None:
                _ = entity.__dict__  # loaded while its old home still knows it
            set_home(entity, tree)
        return changed

    def _revive(self) -> list[Node]:
        changed = []
        left = {node.key: node.removed for node, _, _ in self.revived}
        for node, state, _ in self.revived:
            if not all(map(same_stored, node.state, state)):
                node.change(self.version, state)
                changed.append(node)
            elif any(left.get(key) != left[node.key] for key in _keys_in(state)):
                changed.append(node)  # what it holds went on without it
        for node, _, _ in self.revived:
            node.removed = 0
            for cell in (cell for stored in node.state for cell in cells_in(stored)):
                cell.live = None  # what objects that have left hold is not shown again
        return changed

    def show(self) -> None:
        """Put the tracked forms of what is stored on the objects that arrived."""
        for entity, node in self.entities:
            schema = node.schema
            opaque = node.opaque or frozenset()
            for name, stored in zip(schema.names[:-1], node.state, strict=False):
                if name in opaque:
                    self.tree.drop_opaque([(entity, name)])
                elif KIND[type(stored)]:
                    fill(entity, schema, name, self.tree.live_value(stored))


def _keys_in(stored: Stored) -> Iterator[Key]:
    """Yield the children in a stored value."""
    cls = type(stored)
    if cls is Key:
        yield stored
    elif cls in (tuple, frozenset) or isinstance(stored, Cell):
        items = stored if cls in (tuple, frozenset) else items_of(stored.items)
        for item in items:
            if KIND[type(item)] or type(item) is Key or isinstance(item, Cell):
                yield from _keys_in(item)
