"""What a stored value is, and when two of them are the same.

Stored forms: an atom is kept by reference; a child entity is its `Key`; list, dict and set are
    cells (`history.py`); a
tuple or frozenset is itself with stored items; anything else is `Opaque`: a private deep copy,
compared when it was touched.
"""

from __future__ import annotations

import copy
import datetime
import decimal
import enum
import fractions
import math
import pathlib
import types
import uuid
import zoneinfo
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel

from registry.errors import UncopyableError


class Kind(enum.IntEnum):
    """How a value is kept."""

    ATOM = 0
    ENTITY = 1
    LIST = 2
    DICT = 3
    SET = 4
    TUPLE = 5
    FROZENSET = 6
    OPAQUE = 7


ATOM, ENTITY, LIST, DICT, SET, TUPLE, FROZENSET, OPAQUE = Kind

_ATOM_TYPES: tuple[type, ...] = (
    *(
        type(None),
        bool,
        int,
        float,
        complex,
        str,
        bytes,
        range,
        slice,
        type(...),
        type(NotImplemented),
    ),
    *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone),
    *(decimal.Decimal, fractions.Fraction, uuid.UUID, zoneinfo.ZoneInfo),
    *(
        pathlib.PurePath,
        pathlib.PurePosixPath,
        pathlib.PureWindowsPath,
        pathlib.Path,
        pathlib.PosixPath,
    ),
    *(types.FunctionType, types.BuiltinFunctionType, types.ModuleType, type),
)


class _Kinds(dict[type, Kind]):
    """Kind by exact type; a type met for the first time is classified once."""

    def __missing__(self, cls: type) -> Kind:
        kind = ATOM if issubclass(cls, (enum.Enum, type)) else OPAQUE
        for base in cls.__mro__:
            if base in self and self[base] == ENTITY:
                kind = ENTITY
        self[cls] = kind
        return kind


KIND = _Kinds(dict.fromkeys(_ATOM_TYPES, ATOM))
KIND.update({list: LIST, dict: DICT, set: SET, tuple: TUPLE, frozenset: FROZENSET})


class Opaque:
    """A committed value whose inside cannot be tracked: nobody else holds this copy."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class EntityInside(Exception):  # noqa: N818 - a signal between two functions, never seen by users
    """Raised by `Entity.__deepcopy__` when an opaque value turns out to hold an entity."""


OPAQUE_COPY = "treerunner: copying an opaque value"
"""In the memo of a deep copy: what an entity must do when it is reached.

See `Entity.__deepcopy__`.
"""


def copy_opaque(
    value: Any, place: Callable[[], str], on_entity: Callable[[Any], Any] | None = None
) -> Any:
    """Return a deep copy of *value*.

    Args:
        value: Anything.
        place: Names the value in an error.
        on_entity: What an entity inside becomes; without it an entity raises `EntityInside`.

    Raises:
        UncopyableError: The value refuses to be copied.
    """
    try:
        return copy.deepcopy(value, {OPAQUE_COPY: on_entity})  # type: ignore[dict-item]  # our own note
    except EntityInside:
        raise
    except Exception as error:
        raise UncopyableError(
            place(), type(value).__name__, f"{type(error).__name__}: {error}"
        ) from error


EXACT = frozenset({int, str, bytes, bool, type(None)})
"""Types whose values are the same exactly if they are equal and of the same type."""


def same_atom(a: Any, b: Any) -> bool:
    """Tell whether two atoms are the same value: type and value equal, NaN equal to itself.

    Beyond the plainest types the text must agree too: `Decimal("1.0")` and `Decimal("1.00")` are
    equal and yet differ.
    """
    if a is b:
        return True
    cls = type(a)
    if cls is not type(b):
        return False
    if cls in EXACT:
        return bool(a == b)
    if cls is float:
        return (a == b and math.copysign(1.0, a) == math.copysign(1.0, b)) or (a != a and b != b)
    return bool(a == b or (a != a and b != b)) and repr(a) == repr(b)


def same_value(a: Any, b: Any) -> bool:
    """Tell whether two plain values are the same in content, recursively.

    Cyclic values are followed once.
    """
    return _same(a, b, set())


def _same(a: Any, b: Any, seen: set[tuple[int, int]]) -> bool:
    if a is b:
        return True
    cls = type(a)
    if cls is not type(b):
        return False
    if KIND[cls] == ATOM:
        return same_atom(a, b)
    pair = (id(a), id(b))
    if pair in seen:
        return True
    seen.add(pair)
    return _same_inside(a, b, seen)


def _same_inside(a: Any, b: Any, seen: set[tuple[int, int]]) -> bool:
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(_same(x, y, seen) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return len(a) == len(b) and all(
            _same(k, m, seen) and _same(v, w, seen)
            for (k, v), (m, w) in zip(a.items(), b.items(), strict=True)
        )
    if isinstance(a, (set, frozenset)):
        return _same_members(a, b)
    if hasattr(a, "dtype") and hasattr(a, "tobytes") and hasattr(a, "shape"):
        return _same_array(a, b, seen)
    if isinstance(a, BaseModel):
        return all(_same(getattr(a, slot), getattr(b, slot), seen) for slot in _MODEL_SLOTS)
    if is_dataclass(a) and not isinstance(a, type):
        return all(_same(getattr(a, f.name), getattr(b, f.name), seen) for f in fields(a))
    return _same_object(a, b, seen)


_MODEL_SLOTS = ("__dict__", "__pydantic_extra__", "__pydantic_private__", "__pydantic_fields_set__")


def _same_members(a: Any, b: Any) -> bool:
    """Compare sets by member and by the members' types: {1} and {True} differ."""
    return bool(a == b) and {(type(x), x) for x in a} == {(type(x), x) for x in b}


def _same_array(a: Any, b: Any, seen: set[tuple[int, int]]) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype.hasobject:
        return _same(a.tolist(), b.tolist(), seen)
    return bool(a.tobytes() == b.tobytes())


def _same_object(a: Any, b: Any, seen: set[tuple[int, int]]) -> bool:
    """Compare two objects of a class that we know nothing about.

    By its own `==` if it has one, else by its attributes.
    """
    if getattr(type(a), "__eq__", None) is not object.__eq__:
        return bool(a == b)
    slots = [name for cls in type(a).__mro__ for name in getattr(cls, "__slots__", ())]
    missing = object()
    return _same(getattr(a, "__dict__", None), getattr(b, "__dict__", None), seen) and all(
        _same(getattr(a, name, missing), getattr(b, name, missing), seen)
        for name in slots
        if not name.startswith("__")
    )
