"""Structure: the changes of a transaction that alter who holds whom, or that are not plain.

Found in five steps, of which each knows those before it:

    places     what was written, and which containers left their places by it
    balance    where everything ends that was put somewhere or taken from somewhere
    structure  two places for one thing are refused; what else moved, and what left the tree
    arrivals   what enters the tree gets its nodes
    updates    what stays gets its new states and deltas

Then all of it is stored as one version, and the live objects show what is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from registry import paths
from registry.arrivals import Arrivals
from registry.balance import Balance, Later, Tally
from registry.changes import COMMIT_BYTES, Changes, cut_loose, rename
from registry.depth import WAY_OUT, containers_in, nesting_problem
from registry.entity import Entity, key_of, label, parts, set_home
from registry.errors import StructureError
from registry.history import Node
from registry.ids import Key
from registry.places import Places, Writes
from registry.schema import schema_of
from registry.updates import Updates


class Structure(Changes):
    """What a transaction will do to its tree: first found, then applied.

    Attributes:
        places: What was written.
        balance: Where everything ends.
        arrivals: What enters the tree. Until it has, `moved` may name a parent as `Later`.
        updates: The states, deltas and changed entities of this very object.
        removed: What leaves the tree.
    """

    def __init__(self, txn: Writes, now: float) -> None:
        self.places = Places(txn)
        self.balance = Balance(self.places)
        self.arrivals = Arrivals(self.balance, now)
        self.updates = new = Updates(self.arrivals)
        self.removed: list[Node] = []
        super().__init__(txn.tree, now, new.deltas, new.states, [], new.changed, COMMIT_BYTES)

    # --- finding ---

    def made(self) -> Structure | None:
        """Find the changes; None if there are none.

        Raises:
            StructureError: The result is not a tree any more.
            UncopyableError: A new value cannot be kept.
        """
        self.places.look()
        self.balance.count()
        self._judge()
        self.arrivals.adopt()
        self.moved += [(node, owner) for node, _, owner in self.arrivals.revived]
        self.updates.plan()
        self.bytes_kept += self.updates.bytes_kept
        return self if self.changed or self.arrivals.entities or self.removed else None

    def _judge(self) -> None:
        """Refuse two places for one thing; note what moved and what left."""
        for tally in self.balance.members.values():
            self._judge_entity(tally)
        for tally in self.balance.boxes.values():
            if len(self.balance.holders_in_tree(tally)) + tally.member > 1:
                self._refuse_two_fields(tally.item)
        for container, cell in self.balance.taken_over:
            # What took its owner along may have brought it back, with the container still in it.
            if self.balance.has_owner(cell):
                self._refuse_two_fields(container)

    def _judge_entity(self, tally: Tally) -> None:
        holders = self.balance.holders_in_tree(tally)
        if tally.item is self.tree.root and holders:
            raise StructureError(
                label(tally.item), "would hold itself", "a root is held by nothing"
            )
        if len(holders) + tally.stayed > 1:
            self._refuse_two_places(tally, holders)
        if not tally.member or tally.stayed:
            return
        node = self.tree.node(key_of(tally.item))
        if not holders:
            self.removed.append(node)
            return
        parent = self.balance.owner(holders[0])
        if parent is not node.parent:
            self.moved.append((node, parent))

    def _refuse_two_fields(self, container: Any) -> None:
        if problem := nesting_problem(container):
            raise StructureError(self._place_of(container), problem, WAY_OUT)
        raise StructureError(
            self.places.name_of(container),
            "would be held by two fields",
            "give each its own copy",
        )

    def _place_of(self, container: Any) -> str:
        """Name the field in which a container was put, in words."""
        entities = [entity for entity, _ in self.places.writes.values()]
        entities += [each.item for each in self.balance.members.values() if not each.member]
        places = [
            (f"{name!r} of {label(entity)}", value)
            for entity in entities
            for name, value in parts(entity, schema_of(type(entity)))
        ]
        places += [(self.places.name_of(each), put) for each, _, _, put in self.places.logged()]
        found = [
            text
            for text, value in places
            if any(each is container for each in containers_in(value))
        ]
        return found[0] if found else self.places.name_of(container)

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
        """Return the object of the entity that a holder belongs to."""
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

    # --- what is asked before it is applied ---

    def arrives(self, key: Key) -> bool:
        """Tell whether an entity enters the tree."""
        return self.arrivals.has(key)

    def key_of_arrival(self, entity: Entity) -> Key | None:
        """Return the key under which an entity enters the tree; None if it does not."""
        return self.arrivals.key_of_arrival(entity)

    def arriving(self) -> Iterable[tuple[Key, Entity]]:
        """Return what enters the tree, by key."""
        return [(node.key, entity) for entity, node in self.arrivals.entities]

    def leaves(self, key: Key) -> bool:
        """Tell whether an entity leaves the tree."""
        return any(node.key == key for node in self.removed)

    def stored(self) -> Iterator[tuple[Any, Any]]:
        """Yield what will be stored: containers and their changes, entities and their states."""
        yield from self.deltas
        yield from self.states
        yield from ((node, node.state) for node in self.arrivals.nodes.values())
        yield from ((node, state) for node, state, _ in self.arrivals.revived)

    # --- applying ---

    def apply(
        self, execution_id: int | str, callable_name: str, outputs: tuple[tuple[int, int], ...]
    ) -> int:
        """Store the changes as the next version and return how many entities got a new id.

        Nothing in here can fail. Cost: the change and its ancestors.
        """
        created = tuple(self.arrivals.nodes)
        self.tree.is_storing = True  # until add_commit
        for node in self.arrivals.enter():
            self.changed[node] = None
        self.moved = [(node, self.arrivals.node_of(owner)) for node, owner in self.moved]
        self._store()
        self.updates.mark_opaque()
        for node in self.removed:
            self._leave(node)
        self._give_up_places()
        self.updates.show()
        self.arrivals.show()
        renamed = rename(self.changed, self.version)
        for entity in self.updates.loose:
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

    def _give_up_places(self) -> None:
        """Make what is no longer at its place ordinary containers: writes to them are their own."""
        for cell in self.places.displaced.values():
            if cell.live is not None:
                cut_loose(cell.live)
            cell.live = None
            if cell not in self.updates.kept_cells:
                cell.node = None

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
