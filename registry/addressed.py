"""Addressed: what an address names, read from a snapshot of the version that its id means.

The way goes through entities, plain models, dataclasses and named tuples by the names of their
fields, through lists and tuples by position, through dicts by key. Sets have no places, and
properties are no fields.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

from pydantic import BaseModel

from registry.address import Address, Path, write_path
from registry.entity import Entity, label
from registry.errors import PathError
from registry.semantics import present
from registry.values import ATOM, KIND

_MISSING = object()
_MOST_NAMES = 8
"""Fields that a message lists."""


class Addressed(NamedTuple):
    """What was found at the end of a path.

    Attributes:
        holder: The last entity on the way; the one named if the path ends at an entity.
        way: What of the path lies below the holder.
        value: What is there, as the holder has it.
    """

    holder: Entity
    way: Path
    value: Any


def follow(entity: Entity, address: Address) -> Addressed:
    """Follow the path of an address from the entity that its id names.

    Raises:
        PathError: A field, position or key is not there.

    Cost: loads one field of each entity on the way.
    """
    holder, value, start = entity, entity, 0
    for at, part in enumerate(address.path):
        inside = step(value, part)
        if inside is _MISSING:
            where = _where(holder, address.path[start:at], value)
            raise PathError(str(address), at + 1, _what(value, part), where)
        value = inside
        if isinstance(value, Entity):
            holder, start = value, at + 1
    return Addressed(holder, address.path[start:], value)


def own_copy(value: Any) -> Any:
    """Return a copy of a value that was read from a snapshot; its entities are the snapshot's."""
    return present(value, lambda entity: entity)


def step(value: Any, part: str | int) -> Any:
    """Return what a value has at a part of a path, or a mark that says that it has nothing."""
    if isinstance(value, (list, tuple)) and isinstance(part, int):
        return value[part] if -len(value) <= part < len(value) else _MISSING
    if isinstance(value, dict):
        key = find_key(value, part)
        return _MISSING if key is _MISSING else value[key]
    return getattr(value, part, _MISSING) if part in field_names(value) else _MISSING


def is_missing(found: Any) -> bool:
    """Tell whether `step` or `find_key` found nothing."""
    return found is _MISSING


def find_key(value: Mapping[Any, Any], part: str | int) -> Any:
    """Return the key of a dict that a part of a path means: itself, else the one written like it.

    Cost: constant for texts and numbers as they are; else a look at each key.
    """
    if part in value:
        return part
    wanted = str(part)
    alike = [key for key in value if _text_of_key(key) == wanted]
    return alike[0] if len(alike) == 1 else _MISSING


def field_names(value: Any) -> tuple[str, ...]:
    """Return the names of the fields of a value, if it is of a kind that has some."""
    if isinstance(value, BaseModel):
        extra = value.__pydantic_extra__ or {}
        return (*type(value).model_fields, *extra)
    if is_dataclass(value) and not isinstance(value, type):
        return tuple(each.name for each in fields(value))
    if isinstance(value, tuple):
        return getattr(value, "_fields", ())
    return ()


def _text_of_key(key: Any) -> str | None:
    """Return how a key is written in a path; None for one of a class that we know nothing about."""
    plain = key.value if isinstance(key, enum.Enum) else key
    if isinstance(plain, float | int | str) or KIND[type(plain)] == ATOM:
        try:
            return str(plain)
        except ValueError:  # a number of thousands of digits
            return None
    return None


def _what(value: Any, part: str | int) -> str:
    if isinstance(value, (list, tuple)):
        return f"index {part!r}"
    if isinstance(value, dict):
        return f"key {part!r}"
    return f"field {part!r}"


def _where(holder: Entity, way: Path, value: Any) -> str:
    """Name the value in which something was looked for, and say what it is."""
    if value is holder:
        return f"{label(holder)}, whose fields are {_names(value)}"
    kind = type(value).__name__.removeprefix("Tracked").lower()
    if isinstance(value, (list, tuple, dict)):
        size = f"a {kind} of {len(value)}"
    elif field_names(value):
        size = f"a {type(value).__name__}, whose fields are {_names(value)}"
    else:
        size = f"which is of type {type(value).__name__}"
    return f"{write_path(way)[:80]!r} of {label(holder)}, {size}"


def _names(value: Any) -> str:
    names = field_names(value)
    more = ", ..." if len(names) > _MOST_NAMES else ""
    return (", ".join(names[:_MOST_NAMES]) or "none") + more
