"""Copies of entities, made without recursion over entities.

A tree may be deeper than Python's stack.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from registry import values
from registry.depth import MAX_NESTING, TOO_DEEP, WAY_OUT, nesting_problem
from registry.entity import Entity, fill, key_of, label, parts, renew_key, set_key, version_of
from registry.errors import StructureError
from registry.schema import EXTRA, FIELDS_SET, PRIVATE, Schema, schema_of

Resolve = Callable[[Entity], Entity | None]
_MAKE: dict[values.Kind, Callable[[list[Any]], Any]] = {
    values.LIST: list,
    values.TUPLE: tuple,
    values.SET: set,
    values.FROZENSET: frozenset,
}


def clone(entity: Entity, *, keep_identity: bool, resolve: Resolve | None = None) -> Entity:
    """Return an orphan copy of an entity and of all below it.

    Args:
        entity: The source; ghosts are loaded.
        keep_identity: Whether the copies carry on the lineage of their sources (they replace them),
            or are new entities with provenance to them.
        resolve: Gives the object that stands for an entity below, or None to copy it.

    Cost: proportional to what is copied.
    """
    return _Clone(keep_identity, resolve).run(entity)


class _Clone:
    def __init__(self, keep_identity: bool, resolve: Resolve | None) -> None:
        self.keep_identity = keep_identity
        self.resolve = resolve
        self.depth = 0
        self.made: dict[int, Entity] = {}
        self.queue: list[tuple[Entity, Entity]] = []

    def run(self, entity: Entity) -> Entity:
        top = self._shell(entity)
        self.drain()
        return top

    def drain(self) -> None:
        """Fill the copies that were begun."""
        while self.queue:
            source, target = self.queue.pop()
            self._fill(source, target, schema_of(type(source)))

    def entity(self, source: Entity) -> Entity:
        """Return what stands for *source* in the copy."""
        if self.resolve is not None and (found := self.resolve(source)) is not None:
            return found
        return self.made.get(id(source)) or self._shell(source)

    def _shell(self, source: Entity) -> Entity:
        target = type(source).__new__(type(source))
        if self.keep_identity:
            set_key(target, key_of(source))
        else:
            renew_key(target, version_of(source))
        self.made[id(source)] = target
        self.queue.append((source, target))
        return target

    def _fill(self, source: Entity, target: Entity, schema: Schema) -> None:
        fill(target, schema, FIELDS_SET, set(source.__pydantic_fields_set__))
        fill(target, schema, PRIVATE, {} if schema.privates else None)
        fill(target, schema, EXTRA, None)
        for name, value in parts(source, schema):
            fill(target, schema, name, self.value(value, source, name))

    def value(self, value: Any, holder: Entity, name: str) -> Any:
        """Return a copy of a value that *holder* has under *name*."""
        kind = values.KIND[type(value)]
        if kind == values.ATOM:
            return value
        if kind == values.ENTITY:
            return self.entity(value)
        if kind == values.OPAQUE:
            return values.copy_opaque(value, lambda: f"{name!r} of {label(holder)}", self.entity)
        self.depth += 1
        if self.depth > MAX_NESTING:
            problem = nesting_problem(value) or TOO_DEEP
            raise StructureError(f"{name!r} of {label(holder)}", problem, WAY_OUT)
        if kind == values.DICT:
            copied: Any = {key: self.value(item, holder, name) for key, item in value.items()}
        else:
            copied = _MAKE[kind]([self.value(item, holder, name) for item in value])
        self.depth -= 1
        return copied


def copy_value(value: Any, holder: Entity, name: str, resolve: Resolve) -> Any:
    """Return a copy of a value that *holder* has under *name*.

    Entities that *resolve* does not know are cloned as they are.
    """
    cloner = _Clone(keep_identity=True, resolve=resolve)
    copied = cloner.value(value, holder, name)
    cloner.drain()
    return copied


def entities_in(value: Any) -> list[Entity]:
    """Return the entities in a value, in order, each once.

    Looked for in tuples, lists, dicts and sets, in each of these once: one may hold itself.
    """
    found: dict[int, Entity] = {}
    seen: set[int] = set()
    stack = [value]
    while stack:
        value = stack.pop()
        kind = values.KIND[type(value)]
        if kind == values.ATOM or id(value) in seen:
            continue
        seen.add(id(value))
        if kind == values.ENTITY:
            found[id(value)] = value
        elif kind == values.DICT:
            stack.extend(reversed(value.values()))
        elif kind in (values.LIST, values.TUPLE):
            stack.extend(reversed(value))
        elif kind in (values.SET, values.FROZENSET):
            stack.extend(value)
        elif isinstance(value, tuple):
            stack.extend(reversed(value))
    return list(found.values())
