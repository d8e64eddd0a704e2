"""Shape: who is below whom in one version of a tree, and where.

It is read once from the history, each entity's state once, and shared by all that are held of the
same version. What is done with it is in `entity_tree.py` and `diff.py`.

The memo of shapes is the one mutable thing of this file; it keeps nothing alive.
"""

from __future__ import annotations

import enum
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from registry import ids
from registry.entity import Entity, key_label
from registry.history import Stored
from registry.ids import Key
from registry.schema import EXTRA, FIELDS_SET, Schema, schema_of
from registry.snapshot import Source
from registry.tree import TreeRegistry


class EdgeKind(enum.StrEnum):
    """How an entity holds a child."""

    DIRECT = "direct"
    LIST = "list"
    DICT = "dict"
    TUPLE = "tuple"
    SET = "set"
    NESTED = "nested"


_CONTAINERS: dict[type, EdgeKind] = {
    list: EdgeKind.LIST,
    tuple: EdgeKind.TUPLE,
    dict: EdgeKind.DICT,
    set: EdgeKind.SET,
    frozenset: EdgeKind.SET,
}
Step = tuple[EdgeKind, Any]
"""One container on the way from a field to a child, and the index or key in it; None in a set."""


@dataclass(frozen=True, slots=True)
class Edge:
    """The place of one entity in another.

    Attributes:
        source: `ecs_id` of the entity that holds the other one.
        target: `ecs_id` of the entity that is held.
        field: Name of the field.
        kind: Whether it is the field's value, or in which kind of container; `nested` if it is in a
            container in a container.
        key: Index in a list or tuple, key in a dict; None for a direct child and in a set; for a
            nested one all of these, from outside in.
        path: Field and keys as Python writes them: `star`, `items[2]`, `grid[0][1]`,
            `named['a'][2]`, `window{...}`.
    """

    source: UUID
    target: UUID
    field: str
    kind: EdgeKind
    key: Any
    path: str


class Spot(NamedTuple):
    """Where one entity is in the shape of a tree.

    Attributes:
        cls: Its class.
        stamp: Stamp of its `ecs_id`.
        depth: Entities above it.
        parent: The entity that holds it; None for the root.
        field: The field in which it is held.
        steps: The containers from that field to it, from outside in.
    """

    cls: type[Entity]
    stamp: int
    depth: int
    parent: Key | None
    field: str
    steps: tuple[Step, ...]

    @property
    def path(self) -> str:
        """Field and keys as Python writes them."""
        return self.field + "".join([_step_text(step) for step in self.steps])


class Shape:
    """Who is below whom in one version of a tree, and where. Never written once it is made.

    Attributes:
        spots: Every entity by key, breadth first, children in the order of fields and containers.
        children: The children of every entity that has some.
    """

    __slots__ = ("__weakref__", "children", "spots")

    def __init__(self, source: Source, version: int) -> None:
        self.spots: dict[Key, Spot] = {}
        self.children: dict[Key, tuple[Key, ...]] = {}
        root = Spot(
            source.class_of(source.key), source.stamp_of(source.key, version), 0, None, "", ()
        )
        self.spots[source.key] = root
        level = [source.key]
        depth = 0
        while level:
            depth += 1
            below: list[Key] = []
            for key in level:
                found = list(_held(*state_of(source, key, version)))
                if found:
                    self.children[key] = tuple([child for child, _, _ in found])
                    below.extend(self.children[key])
                for child, field, steps in found:
                    stamp = source.stamp_of(child, version)
                    cls = source.class_of(child)
                    self.spots[child] = Spot(cls, stamp, depth, key, field, steps)
            level = below

    def above(self, key: Key) -> Iterator[Key]:
        """Yield an entity and those above it, the root last."""
        where: Key | None = key
        while where is not None:
            yield where
            where = self.spots[where].parent

    def ecs_id(self, key: Key) -> UUID:
        """Return the `ecs_id` of an entity."""
        return ids.to_uuid(key, self.spots[key].stamp)


_SHAPES: weakref.WeakKeyDictionary[Source, weakref.WeakValueDictionary[int, Shape]]
_SHAPES = weakref.WeakKeyDictionary()


def shape_of(source: Source, version: int) -> Shape:
    """Return the shape of a tree at a version; the one that somebody holds already, if any.

    Cost: reads the state of every entity once, about 5 us each.
    """
    held = _SHAPES.setdefault(source, weakref.WeakValueDictionary())
    shape = held.get(version)
    if shape is None:
        shape = held[version] = Shape(source, version)
    return shape


def state_of(source: Source, key: Key, version: int) -> tuple[Schema, tuple[Stored, ...]]:
    """Return plan and state of an entity, with plain containers in place of cells."""
    if isinstance(source, TreeRegistry):
        return source.state_at(key, version)
    schema = schema_of(source.class_of(key))
    return schema, tuple([source.field_at(key, version, at) for at in range(len(schema.names))])


def _held(schema: Schema, state: tuple[Stored, ...]) -> Iterator[tuple[Key, str, tuple[Step, ...]]]:
    """Yield (child, field, steps) for every child of an entity, in order."""
    for name, value in zip(schema.names, state, strict=True):
        if name == EXTRA and isinstance(value, dict):
            for extra, item in value.items():
                yield from ((key, extra, steps) for key, steps in children_in(item, ()))
        elif name != FIELDS_SET:
            yield from ((key, name, steps) for key, steps in children_in(value, ()))


def children_in(value: Stored, steps: tuple[Step, ...]) -> Iterator[tuple[Key, tuple[Step, ...]]]:
    """Yield the children in a stored value, each with the containers on the way to it."""
    cls = type(value)
    if cls is Key:
        yield value, steps
        return
    kind = _CONTAINERS.get(cls)
    if kind is None:
        return
    if kind is EdgeKind.DICT:
        for key, item in value.items():
            yield from children_in(item, (*steps, (kind, key)))
    elif kind is EdgeKind.SET:
        for item in value:
            yield from children_in(item, (*steps, (kind, None)))
    else:
        for index, item in enumerate(value):
            yield from children_in(item, (*steps, (kind, index)))


def _step_text(step: Step) -> str:
    kind, key = step
    return "{...}" if kind is EdgeKind.SET else f"[{key!r}]"


def edge_of(shape: Shape, key: Key) -> Edge | None:
    """Return the place of an entity in the one that holds it; None for the root."""
    spot = shape.spots[key]
    if spot.parent is None:
        return None
    keys = tuple([step[1] for step in spot.steps])
    if len(keys) > 1:
        kind, place = EdgeKind.NESTED, keys
    elif keys:
        ((kind, place),) = spot.steps
    else:
        kind, place = EdgeKind.DIRECT, None
    return Edge(shape.ecs_id(spot.parent), shape.ecs_id(key), spot.field, kind, place, spot.path)


def title(shape: Shape, key: Key) -> str:
    """Return what names an entity in a chart: class and short lineage id."""
    cls, _, short = key_label(shape.spots[key].cls, key).partition(":")
    return f"{cls} {short}"
