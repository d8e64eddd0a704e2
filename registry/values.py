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
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel

from registry.errors import UncopyableError
from registry.ids import Key


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


SURE = EXACT | {
    *(float, complex, Key),
    *(datetime.date, datetime.timedelta, decimal.Decimal, uuid.UUID),
}
"""Types of stored values that a journal can write whatever they are."""
SURE_KEYS = SURE - {float, complex, decimal.Decimal}
"""Those of which a copy is the same key of a dict: no value of them is NaN."""


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
    """Tell whether two plain values are the same in content, at any depth.

    Cyclic values are followed once. Values that cannot be compared, since a method of theirs
    raises, count as different: a change is never missed.
    """
    rest: list[tuple[Any, Any]] = [(a, b)]
    seen: dict[tuple[int, int], tuple[Any, Any]] = {}  # kept alive, since ids are used again
    while rest:
        x, y = rest.pop()
        if x is y:
            continue
        cls = type(x)
        if cls is not type(y):
            return False
        if KIND[cls] == ATOM:
            if not same_atom(x, y):
                return False
            continue
        pair = (id(x), id(y))
        if pair in seen:
            continue
        seen[pair] = (x, y)
        try:
            inside = _to_compare(x, y)
        except Exception:  # noqa: BLE001 - whatever a method of the user's raises
            return False
        if inside is None:
            return False
        rest.extend(inside)
    return True


_Pairs = Iterable[tuple[Any, Any]]


def _to_compare(a: Any, b: Any) -> _Pairs | None:
    """Return what must be the same for two objects of one class to be; None if they differ."""
    if isinstance(a, (list, tuple)):
        return zip(a, b, strict=True) if len(a) == len(b) else None
    if isinstance(a, dict):
        if len(a) != len(b):
            return None
        return [*zip(a, b, strict=True), *zip(a.values(), b.values(), strict=True)]
    if isinstance(a, (set, frozenset)):
        return () if _same_members(a, b) else None
    if hasattr(a, "dtype") and hasattr(a, "tobytes") and hasattr(a, "shape"):
        return _array_parts(a, b)
    if isinstance(a, BaseModel):
        return [(getattr(a, slot), getattr(b, slot)) for slot in _MODEL_SLOTS]
    if is_dataclass(a) and not isinstance(a, type):
        return [(getattr(a, f.name), getattr(b, f.name)) for f in fields(a)]
    return _object_parts(a, b)


_MODEL_SLOTS = ("__dict__", "__pydantic_extra__", "__pydantic_private__", "__pydantic_fields_set__")


def _same_members(a: Any, b: Any) -> bool:
    """Compare sets by member and by the members' types: {1} and {True} differ."""
    return bool(a == b) and {(type(x), x) for x in a} == {(type(x), x) for x in b}


def _array_parts(a: Any, b: Any) -> _Pairs | None:
    if a.dtype != b.dtype or a.shape != b.shape:
        return None
    if a.dtype.hasobject:
        return [(a.tolist(), b.tolist())]
    return () if a.tobytes() == b.tobytes() else None


def _object_parts(a: Any, b: Any) -> _Pairs | None:
    """Compare two objects of a class that we know nothing about.

    By its own `==` if it has one, else by its attributes.
    """
    if getattr(type(a), "__eq__", None) is not object.__eq__:
        return () if a == b else None
    slots = [name for cls in type(a).__mro__ for name in getattr(cls, "__slots__", ())]
    missing = object()
    return [
        (getattr(a, "__dict__", None), getattr(b, "__dict__", None)),
        *(
            (getattr(a, name, missing), getattr(b, name, missing))
            for name in slots
            if not name.startswith("__")
        ),
    ]


def is_fixed_key(key: Any) -> bool:
    """Tell whether a key of a dict can never change, and so may be shared by all versions.

    Atoms are, and tuples, frozensets, frozen dataclasses and frozen models of such; subclasses of
    numbers and texts, numpy's too.
    """
    try:
        return KIND[type(key)] == ATOM or _is_fixed(key, type(key))
    except Exception:  # noqa: BLE001 - whatever a method of the user's raises
        return False


def _is_fixed(key: Any, cls: type[Any]) -> bool:
    if issubclass(cls, (tuple, frozenset)):
        return all(map(is_fixed_key, key))
    if KIND[cls] == ENTITY:
        return False
    if issubclass(cls, (str, int, float, bytes)) or hasattr(key, "dtype"):
        return not getattr(key, "__dict__", None)
    if issubclass(cls, BaseModel):
        return bool(cls.model_config.get("frozen")) and all(map(is_fixed_key, vars(key).values()))
    if not is_dataclass(cls):
        return False
    parameters: Any = getattr(cls, "__dataclass_params__", None)
    return bool(parameters.frozen) and all(is_fixed_key(getattr(key, f.name)) for f in fields(cls))


def shown(value: Any, longest: int = 60) -> str:
    """Return the text of a value for a message, cut; its class if asking for its text fails."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - whatever a method of the user's raises
        text = f"<a {type(value).__name__} that cannot be written>"
    return text if len(text) <= longest else text[: longest - 3] + "..."
