"""Rewriting: gives entities of a working tree other values, by ordinary tracked writes.

Whoever wants a tree to look otherwise (`undoing.py`, `merging.py`) says per entity which parts
become what, in the form that `TreeRegistry.state_at` gives: children as keys, plain containers.
Lists, dicts and sets are changed in place as far as they differ, entities that are in the tree are
moved, those that are not come back as objects of the same lineage. What follows from that finds the
transaction, as after any callable: so no guarantee of the engine has a second implementation here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from registry import values
from registry.changes import remove_part
from registry.entity import Entity, fill, key_label, key_of, part, take_key
from registry.history import Stored
from registry.ids import Key
from registry.schema import ABSENT, EXTRA, FIELDS_SET, PRIVATE, Schema, schema_of
from registry.tracking import TRACKED
from registry.tree import TreeRegistry
from registry.values import ATOM, ENTITY, KIND, OPAQUE, Opaque, same_atom, same_value

Parts = dict[str, Stored]
"""Parts of an entity's state by name, with plain containers in place of cells."""


class Past(NamedTuple):
    """An entity as another version shows it.

    Attributes:
        schema: Plan of its class.
        parts: Its whole state.
        stamp: Stamp of the `ecs_id` that it has there.
    """

    schema: Schema
    parts: Parts
    stamp: int


def past(tree: TreeRegistry, key: Key, version: int) -> Past:
    """Return an entity as one version of a tree shows it."""
    schema, state = tree.state_at(key, version)
    parts = dict(zip(schema.names, state, strict=True))
    return Past(schema, parts, tree.stamp_of(key, version))


class Rewriting:
    """Writes to one working tree, inside of an execution.

    Args:
        tree: The tree.
        absent: Tells what an entity looks like that is not in the tree and that a written value
            holds.
    """

    def __init__(self, tree: TreeRegistry, absent: Callable[[Key], Past]) -> None:
        self._tree = tree
        self._absent = absent
        self._made: dict[Key, Entity] = {}
        self._queue: list[tuple[Entity, Past]] = []

    def write(self, key: Key, parts: Mapping[str, Stored]) -> None:
        """Give parts of an entity that is in the tree other values.

        Cost: the parts, and what they bring into the tree.
        """
        entity = self._tree.live(key)
        for name, stored in parts.items():
            self._write_part(entity, name, stored)
        while self._queue:
            self._fill(*self._queue.pop())

    def _write_part(self, entity: Entity, name: str, stored: Stored) -> None:
        schema = schema_of(type(entity))
        getattr(entity, PRIVATE if name in schema.private_set else name, None)  # loaded
        if stored is ABSENT:
            self._tree.note_write(entity, name)
            remove_part(entity, name)
        elif name == FIELDS_SET:
            self._tree.note_write(entity, name)
            fill(entity, schema, name, set(stored))
        elif not self._change_inside(part(entity, schema, name), stored, entity, name):
            self._tree.note_write(entity, name)
            fill(entity, schema, name, self._value(stored, entity, name))

    # --- containers that stay at their place ---

    def _change_inside(self, live: Any, stored: Stored, entity: Entity, name: str) -> bool:
        """Turn a container into another one by changing what differs; False if it cannot be."""
        if type(live) not in TRACKED or live.home is not self._tree or _holds_opaque(live, name):
            return False
        if isinstance(live, list) and type(stored) is list:
            self._change_list(live, stored, entity, name)
        elif isinstance(live, dict) and type(stored) is dict and _keeps_order(live, stored):
            self._change_dict(live, stored, entity, name)
        elif isinstance(live, set) and type(stored) is set:
            before, after = {_token(each) for each in live}, {_token(each) for each in stored}
            for member in [each for each in live if _token(each) not in after]:
                live.remove(member)
            for each in stored:
                if _token(each) not in before:
                    live.add(self._value(each, entity, name))
        else:
            return False
        return True

    def _change_list(self, live: Any, stored: list[Any], entity: Entity, name: str) -> None:
        shorter, start, end = min(len(live), len(stored)), 0, 0
        while start < shorter and shows(live[start], stored[start]):
            start += 1
        while end < shorter - start and shows(live[-1 - end], stored[-1 - end]):
            end += 1
        stop = len(live) - end
        middle = stored[start : len(stored) - end]
        if len(middle) == stop - start and any(type(each) in _CONTAINERS for each in middle):
            for at, each in enumerate(middle, start):
                if not self._change_inside(live[at], each, entity, name):
                    live[at] = self._value(each, entity, name)
        elif middle or stop > start:
            live[start:stop] = [self._value(each, entity, name) for each in middle]

    def _change_dict(self, live: Any, stored: dict[Any, Any], entity: Entity, name: str) -> None:
        for key in [key for key in live if key not in stored]:
            del live[key]
        for key, each in stored.items():
            if key in live and shows(live[key], each):
                continue
            if key not in live or not self._change_inside(live[key], each, entity, name):
                live[key] = self._value(each, entity, name)

    # --- new values ---

    def _value(self, stored: Stored, holder: Entity, name: str) -> Any:
        """Return what a live object holds for a stored value; containers are new."""
        cls = type(stored)
        if cls is Key:
            return self._entity(stored)
        if cls is Opaque:
            return values.copy_opaque(stored.value, lambda: f"{name!r} of {holder!r}")
        if cls is dict:
            return {key: self._value(item, holder, name) for key, item in stored.items()}
        if cls in (list, set, tuple, frozenset):
            return cls([self._value(item, holder, name) for item in stored])
        return stored

    def _entity(self, key: Key) -> Entity:
        if self._tree.has(key):
            return self._tree.live(key)
        made = self._made.get(key)
        if made is None:
            found = self._absent(key)
            cls: type[Entity] = found.schema.cls  # type: ignore[assignment]  # schemas here are those of entities
            made = self._made[key] = take_key(cls.__new__(cls), key, found.stamp)
            self._queue.append((made, found))
        return made

    def _fill(self, entity: Entity, found: Past) -> None:
        schema = found.schema
        fill(entity, schema, FIELDS_SET, set(found.parts[FIELDS_SET]))
        fill(entity, schema, PRIVATE, {} if schema.privates else None)
        fill(entity, schema, EXTRA, None)
        for name in schema.names[:-1]:
            fill(entity, schema, name, self._value(found.parts[name], entity, name))


_CONTAINERS = (list, dict, set)


def _holds_opaque(live: Any, name: str) -> bool:
    """Tell whether a container is in a field that holds opaque values: compared as a whole."""
    node = live.place.node
    return node is None or (node.opaque is not None and name in node.opaque)


def _keeps_order(live: dict[Any, Any], stored: dict[Any, Any]) -> bool:
    """Tell whether removing and then adding keys gives the order of *stored*."""
    kept = [key for key in live if key in stored]
    return len(kept) <= len(stored) and all(map(same_atom, kept, stored))


def _token(member: Any) -> tuple[type, Any]:
    """Return what tells the members of a set apart: 1 and True are two."""
    if KIND[type(member)] == ENTITY:
        return Key, key_of(member)
    return type(member), member


def shows(live: Any, stored: Stored) -> bool:
    """Tell whether a live value is what a stored one with plain containers says."""
    kind, cls = KIND[type(live)], type(stored)
    if kind == ENTITY:
        return cls is Key and key_of(live) == stored
    if cls is Opaque:
        return kind == OPAQUE and same_value(live, stored.value)
    if kind == ATOM:
        return same_atom(live, stored)
    if KIND[cls] != kind:
        return False
    if cls is dict:
        return len(live) == len(stored) and all(
            same_atom(a, b) and shows(live[a], stored[b]) for a, b in zip(live, stored, strict=True)
        )
    if cls in (list, tuple):
        return len(live) == len(stored) and all(map(shows, live, stored))
    return {_token(each) for each in live} == {_token(each) for each in stored}


def same_content(a: Stored, b: Stored) -> bool:
    """Tell whether two stored values with plain containers are the same."""
    if a is b:
        return True
    cls = type(a)
    if cls is not type(b):
        return False
    if cls is Key:
        return bool(a == b)
    if cls is Opaque:
        return same_value(a.value, b.value)
    if cls is dict:
        return len(a) == len(b) and all(
            same_atom(k, m) and same_content(v, w)
            for (k, v), (m, w) in zip(a.items(), b.items(), strict=True)
        )
    if cls in (list, tuple):
        return len(a) == len(b) and all(map(same_content, a, b))
    if cls in (set, frozenset):
        return {_token(each) for each in a} == {_token(each) for each in b}
    return same_atom(a, b)


def differences(old: Mapping[str, Stored], new: Mapping[str, Stored]) -> Parts:
    """Return the parts of *new* that are not the same in *old*."""
    return {name: value for name, value in new.items() if not same_content(old[name], value)}


def label_in(tree: TreeRegistry, key: Key) -> str:
    """Name an entity that some version of a tree has."""
    return key_label(tree.class_of(key), key)
