"""Copies of entities, made without recursion over entities.

A tree may be deeper than Python's stack.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from registry import values
from registry.depth import MAX_NESTING, TOO_DEEP, WAY_OUT, nesting_problem
from registry.entity import (
    Entity,
    carry_origin,
    dict_of,
    fill,
    key_of,
    label,
    parts,
    renew_key,
    set_key,
    version_of,
)
from registry.errors import StructureError
from registry.schema import EXTRA, FIELDS_SET, PRIVATE, Schema, schema_of

Resolve = Callable[[Entity], Entity | None]
_set_slot = object.__setattr__
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
    return Cloner(lambda _: keep_identity, resolve).run(entity)


def atoms_of(entity: Entity) -> dict[str, Any] | None:
    """Return the fields of a loaded entity; None if it may hold more than atoms in them."""
    fields = dict_of(entity)
    is_flat = schema_of(type(entity)).is_simple and not any(
        values.KIND[type(value)] for value in fields.values()
    )
    return fields if is_flat else None


def copy_of_atoms(entity: Entity, atoms: dict[str, Any]) -> Entity:
    """Return a copy without identity of an entity with `atoms_of`; nothing in it can be shared.

    A third of what pydantic's own copy costs.
    """
    cls = type(entity)
    copied = cls.__new__(cls)
    dict_of(copied).update(atoms)
    _set_slot(copied, FIELDS_SET, set(entity.__pydantic_fields_set__))
    _set_slot(copied, PRIVATE, None)
    _set_slot(copied, EXTRA, None)
    return copied


class Cloner:
    """Makes orphan copies of entities and of all below them; one copy of each, however often asked.

    Attributes:
        keeps: Whether the copy of an entity carries on its lineage, or is a new entity with
            provenance to it.
        resolve: Gives the object that stands for an entity, or None to copy it.
        made: The copies, by `id` of their sources, which must live as long.
    """

    def __init__(self, keeps: Callable[[Entity], bool], resolve: Resolve | None = None) -> None:
        self.keeps = keeps
        self.resolve = resolve
        self.depth = 0
        self.made: dict[int, Entity] = {}
        self.queue: list[tuple[Entity, Entity]] = []

    def run(self, entity: Entity) -> Entity:
        """Return the copy of an entity, with all below it."""
        top = self.made.get(id(entity)) or self._shell(entity)
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
        if self.keeps(source):
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
        if source.__home__ is None and key_of(target) == key_of(source):
            carry_origin(source, target)

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


def copy_value(
    value: Any, holder: Entity, name: str, resolve: Resolve, keeps: Callable[[Entity], bool]
) -> Any:
    """Return a copy of a value that *holder* has under *name*.

    Entities that *resolve* does not know are cloned, as they are if *keeps* says so.
    """
    cloner = Cloner(keeps, resolve)
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
