"""Adoption: turning the objects of an entity graph into the nodes of a tree.

Nothing that the caller holds is changed here, so a refused graph is as it was: what is built are
    nodes, stored states and
cells. Making the objects part of the working tree, or of a snapshot, is a second step that cannot
fail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from registry import paths, values
from registry.copies import Cloner
from registry.depth import MAX_NESTING, TOO_DEEP, WAY_OUT
from registry.entity import (
    Entity,
    borrowed_of,
    dict_of,
    key_of,
    label,
    part,
    parts,
    set_key,
    source_of,
)
from registry.errors import StructureError
from registry.history import Cell, DictCell, ListCell, Node, SetCell, Stored
from registry.ids import Key, new_key
from registry.schema import ABSENT, schema_of
from registry.values import ATOM, DICT, ENTITY, FROZENSET, KIND, LIST, OPAQUE, TUPLE, Opaque

_LONGEST_PATH = 50
"""Entities that a path in a message names at most."""


class Adoption:
    """Builds the nodes of entities that enter a tree.

    Attributes:
        nodes: The new nodes, by key.
        entities: (object, its node), in the order in which they were reached.
        borrowed: Where fields came from, by key and name.
    """

    def __init__(self, version: int, created: float, cloner: Cloner | None = None) -> None:
        self._cloner = cloner
        self.version = version
        self.created = created
        self.nodes: dict[Key, Node] = {}
        self.entities: list[tuple[Entity, Node]] = []
        self.borrowed: dict[Key, dict[str, Any]] = {}
        self._queue: list[tuple[Entity, Node | None, Key, bool]] = []
        self._seen: dict[int, tuple[Entity | None, str]] = {}
        self._opaque: set[str] = set()
        self._name = ""
        self._depth = 0
        self._holder: Entity | None = None

    def run(self, root: Entity) -> Node:
        """Build the nodes of a whole new tree.

        Raises:
            StructureError: The graph is not a tree, or hides an entity where it cannot be tracked.

        Cost: about 5 us per entity.
        """
        queue, nodes, entities = self._queue, self.nodes, self.entities
        is_fresh = root.__key__ is None
        queue.append((root, None, key_of(root), is_fresh))
        while queue:
            entity, parent, key, is_fresh = queue.pop()
            if key in nodes:
                self._refuse_second_place(entity, parent)
            node = Node(key, schema_of(type(entity)), parent, self.version, self.created)
            # Under the very key that objects and lists hold: a look-up then compares nothing.
            nodes[key] = node
            if not is_fresh:
                node.source = source_of(entity)
                self.note_borrowed(entity, node)
            node.state = self.state(entity, node)
            entities.append((entity, node))
        return nodes[key_of(root)]

    def note_borrowed(self, entity: Entity, node: Node) -> None:
        """Note where the fields of what enters came from."""
        if entity.__origin__ is not None and (borrowed := borrowed_of(entity)):
            self.borrowed[node.key] = borrowed

    def state(self, entity: Entity, node: Node) -> tuple[Stored, ...]:
        """Return the stored form of everything that a loaded entity holds."""
        schema = node.schema
        self._holder = entity
        if self._opaque:
            self._opaque = set()
        if schema.is_simple:
            fields = dict_of(entity)
            state = [fields.get(name, ABSENT) for name in schema.fields]
            for index, value in enumerate(state):
                if KIND[type(value)]:
                    self._name = schema.fields[index]
                    state[index] = self.store(value, node, None)
        else:
            state = []
            for name, value in parts(entity, schema):
                self._name = name
                state.append(self.store(value, node, None))
        state.append(schema.shared_set(entity.__pydantic_fields_set__))
        node.opaque = frozenset(self._opaque) if self._opaque else None
        return tuple(state)

    def store(self, value: Any, node: Node, up: Cell | None) -> Stored:
        """Return the stored form of a value below *node*."""
        kind = KIND[type(value)]
        if kind == ATOM:
            return value
        if kind == ENTITY:
            return self.meet(value, node)
        if kind == OPAQUE:
            return self.store_opaque(value)
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise StructureError(self._place(), TOO_DEEP, WAY_OUT)
        stored: Stored
        if kind in (TUPLE, FROZENSET):
            items = [self.store(item, node, up) for item in value]
            stored = tuple(items) if kind == TUPLE else frozenset(items)
        else:
            stored = self.store_container(value, kind, node, up)
        self._depth -= 1
        return stored

    def meet(self, entity: Entity, node: Node) -> Key:
        """Learn that *node* holds *entity*; return its key."""
        # Asking for a mark that an object lacks takes 0.7 us; without a key it lacks the others.
        key: Key | None = entity.__key__
        is_fresh = key is None
        if key is None:
            key = new_key()
            set_key(entity, key)
        elif entity.__home__ is not None:
            entity = self.copied(entity)
            key = key_of(entity)
        self._queue.append((entity, node, key, is_fresh))
        return key

    def copied(self, entity: Entity) -> Entity:
        """Return a copy of an entity that belongs to another tree, with a new identity."""
        if self._cloner is None:
            self._cloner = new_cloner()
        return self._cloner.run(entity)

    def store_container(self, value: Any, kind: values.Kind, node: Node, up: Cell | None) -> Stored:
        """Return a new cell for a list, dict or set that is not in the tree yet."""
        self._refuse_second_holder(value)
        cell: Cell
        if kind == LIST:
            cell = ListCell([], node, up)
            cell.depth = self._depth
            store, meet = self.store, self.meet
            for item in value:
                each = KIND[type(item)]
                if each == ENTITY:
                    item = meet(item, node)
                elif each != ATOM:
                    item = store(item, node, cell)
                cell.items.append(item)
        elif kind == DICT:
            cell = DictCell({}, node, up)
            cell.depth = self._depth
            cell.items = {
                key if KIND[type(key)] == ATOM else self.dict_key(key): item
                if KIND[type(item)] == ATOM
                else self.store(item, node, cell)
                for key, item in value.items()
            }
        else:
            cell = SetCell(set(), node, up)
            cell.depth = self._depth
            cell.items = {self.store(item, node, cell) for item in value}
        return cell

    def store_opaque(self, value: Any) -> Opaque:
        """Return a private copy of a value whose inside cannot be tracked."""
        self._opaque.add(self._name)
        try:
            return Opaque(values.copy_opaque(value, self._place))
        except values.EntityInside as inside:
            raise StructureError(
                self._place() + self._position(value),
                f"holds {inside} inside a {type(value).__name__}, "
                "where changes to it cannot be tracked",
                f"make {type(value).__name__} an Entity, "
                "or keep the entity in a list, dict, set or tuple",
            ) from None

    def _place(self) -> str:
        """Name the field that is being stored."""
        if self._holder is None:
            return f"{self._name!r}"
        return f"{paths.path(self._way(self._holder))}.{self._name}"

    def _position(self, value: Any) -> str:
        """Return where a value is within the field that is being stored: `[0]['x']`."""
        if self._holder is None:
            return ""
        field = part(self._holder, schema_of(type(self._holder)), self._name)
        return paths.position(field, value)

    def _way(self, entity: Entity) -> list[Entity]:
        """Return the entities from the root down to one."""
        objects = {node.key: each for each, node in self.entities}
        objects.setdefault(key_of(entity), entity)
        way = [entity]
        node = self.nodes.get(key_of(entity))
        while node is not None and isinstance(node.parent, Node) and len(way) < _LONGEST_PATH:
            node = node.parent
            way.append(objects.get(node.key) or self.object_of(node))
        return way[::-1]

    def object_of(self, node: Node) -> Entity:
        """Return the object of a node that was not adopted here."""
        raise AssertionError(f"{node.key} is part of no graph that is being adopted")

    def dict_key(self, key: Any) -> Any:
        """Return the key of a dict if it can never change.

        Raises:
            StructureError: It can, or it holds an entity.
        """
        return fixed_key(key, self._place)

    def _refuse_second_holder(self, container: Any) -> None:
        """A list is a value of the one field that holds it.

        Shared, a change through one would be lost for the other.
        """
        # Where it is comes in words only if it is refused.
        here = (self._holder, self._name)
        first = self._seen.setdefault(id(container), here)
        if first is not here:
            place = self._place()
            self._holder, self._name = first
            raise StructureError(
                place,
                f"is the very same {type(container).__mro__[-2].__name__} as {self._place()}",
                "give each its own copy",
            )

    def _refuse_second_place(self, entity: Entity, parent: Node | None) -> None:
        first = self.nodes[key_of(entity)].parent
        objects = {node.key: each for each, node in self.entities}
        nth = 1 if first is parent else 0
        ways = [
            paths.path([*([] if node is None else self._way(objects[node.key])), entity], number)
            for node, number in ((first, 0), (parent, nth))
        ]
        raise StructureError(
            label(entity),
            f"is reachable twice: as {ways[0]} and as {ways[1]}",
            "an entity has one place in its tree; put a copy (model_copy) or its lineage_id there",
        )


def fixed_key(key: Any, place: Callable[[], str]) -> Any:
    """Return the key of a dict that *place* names if it can never change.

    Every version of the dict shares its keys, and they are found by their hash: a copy would not
    do for an object that is equal to itself only.

    Raises:
        StructureError: It can change, or it holds an entity.
    """
    if values.is_fixed_key(key):
        return key
    if KIND[type(key)] == ENTITY:
        raise StructureError(
            place(), f"uses {label(key)} as a dict key", "use its lineage_id as the key"
        )
    raise StructureError(
        place(),
        f"uses a {type(key).__name__} as a dict key, which may change",
        "use a text, a number, a tuple, or a frozen dataclass or model of such",
    )


def _never(_entity: Entity) -> bool:
    return False


def _if_orphan(entity: Entity) -> Entity | None:
    return entity if entity.__home__ is None else None


def new_cloner() -> Cloner:
    """Return what copies entities of other trees for a new one: orphans below them stay."""
    return Cloner(_never, _if_orphan)


def node_of_atoms(root: Entity, created: float) -> Node | None:
    """Return the node of a root that is new to all trees; None if it may hold more than atoms.

    It is what `adopt` builds of such a root, for a third of the cost: most roots that executions
    return are a few atoms.
    """
    schema = schema_of(type(root))
    # Asking for a mark that an object lacks takes 0.3 us; without a key it lacks the others.
    if not schema.is_simple or root.__key__ is not None:
        return None
    fields = dict_of(root)
    state = [fields.get(name, ABSENT) for name in schema.fields]
    if any(map(KIND.__getitem__, map(type, state))):
        return None
    node = Node(key_of(root), schema, None, 1, created)
    node.state = (*state, schema.shared_set(root.__pydantic_fields_set__))
    return node


def adopt(root: Entity, created: float, cloner: Cloner | None = None) -> Adoption:
    """Build version 1 of a new tree from an orphan graph.

    Args:
        root: The top of the graph.
        created: Now.
        cloner: Copies what belongs to other trees.
    """
    adoption = Adoption(1, created, cloner)
    adoption.run(root)
    return adoption
