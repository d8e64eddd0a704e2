"""Kept: what a record keeps of a plain argument, so that it can be shown, and executed again.

Atoms are kept as they are; a small list, tuple, dict or set of such, nested ones too, as a plain
tuple that begins with its kind, since the garbage collector does not visit a tuple of atoms; any
other value only as its text, cut. An entity in a container is a mark: which one it was is among the
inputs of the record, in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from registry import values
from registry.address import Ref
from registry.values import ATOM, DICT, ENTITY, FROZENSET, KIND, LIST, OPAQUE, SET, TUPLE

MAX_WEIGHT = 64
"""Items of a value that is kept as data, nested ones and their containers too; 64 characters of a
text weigh as much as one."""
MAX_TEXT = 200
"""Characters of the text of any other value."""

_MARK = (int(ENTITY),)
_MAKE: dict[int, Callable[[Any], Any]] = {LIST: list, SET: set, TUPLE: tuple, FROZENSET: frozenset}

Packed = Any
"""An atom, or a tuple of a kind and its items."""


class KeptText(str):
    """The text of a value of which a record keeps no more."""

    __slots__ = ()


def keep(value: Any) -> Packed:
    """Return what a record keeps of an argument. Cost: at most `MAX_WEIGHT` items, or its text."""
    if KIND[type(value)] == ATOM:
        return value
    packed, _ = _packed(value, MAX_WEIGHT)
    return keep_text(value) if packed is None else packed


def keep_text(value: Any) -> Packed:
    """Return what a record keeps of a value of which it keeps no more than the text."""
    return int(OPAQUE), _text(value)


def marks(count: int) -> Packed:
    """Return what `keep` returns of a list of so many entities and refs."""
    return (int(LIST), *(_MARK,) * count)


def shown(packed: Packed) -> Any:
    """Return the readable form: the value, in containers of the reader's own, or a `KeptText`.

    None for an entity.
    """
    return unpack(packed, lambda: None)


def unpack(packed: Packed, entity: Callable[[], Any]) -> Any:
    """Return the value again; *entity* gives the entities in it, one after the other."""
    if type(packed) is not tuple:
        return packed
    kind, *items = packed
    if kind == OPAQUE:
        return KeptText(items[0])
    if kind == ENTITY:
        return entity()
    if kind == DICT:
        return {
            key: unpack(item, entity) for key, item in zip(items[::2], items[1::2], strict=True)
        }
    return _MAKE[kind]([unpack(item, entity) for item in items])


def is_text_only(packed: Packed) -> bool:
    """Tell whether no more than the text of a value, or of a part of it, was kept."""
    return type(packed) is tuple and packed[0] == OPAQUE


def _packed(value: Any, room: int) -> tuple[Packed | None, int]:
    """Return a value in packed form, None if it is too heavy or no data; and the room left."""
    cls = type(value)
    kind = KIND[cls]
    if kind == ENTITY or cls is Ref:
        return _MARK, room  # it weighs nothing: the inputs of the record name it anyway
    room -= 1 + (len(value) // 64 if cls in (str, bytes) else 0)
    if room < 0 or kind == OPAQUE:
        return None, room
    if kind == ATOM:
        return value, room
    if kind == DICT and not all(KIND[type(key)] == ATOM for key in value):
        return None, room
    items: list[Any] = [int(kind)]
    for item in value.items() if kind == DICT else value:
        if kind == DICT:
            key, item = item
            items.append(key)
            room -= 1
        packed, room = _packed(item, room)
        if packed is None and item is not None:
            return None, room
        items.append(packed)
    return tuple(items), room


def _text(value: Any) -> str:
    return values.shown(value, MAX_TEXT)
