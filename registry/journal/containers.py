"""Containers as plain data: lists, dicts, sets and tuples of values.

Inside of an opaque value, what is held in two places is written once and named the second time, so
that it is one object again when it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from registry.journal.atoms import is_small, is_text
from registry.journal.coding import (
    ENCODERS,
    Decoder,
    Encoder,
    Plain,
    Refused,
    decodes_once,
    once,
)
from registry.values import ATOM, KIND, SURE_KEYS, Opaque, shown

(LIST, DICT, SET, TUPLE, FROZENSET) = range(1, 6)


# --- lists and tuples ---

_FLOATS, _INTS, _TEXTS = [frozenset({cls}) for cls in (float, int, str)]


def _is_plain(items: Any, kinds: set[type]) -> bool:
    """Tell whether a list or set of numbers or of texts is its own plain form."""
    if kinds == _INTS:
        return is_small(min(items)) and is_small(max(items))
    return kinds == _TEXTS and is_text("".join(items))


def _fill(items: Any, encoder: Encoder, out: list[Plain]) -> Plain:
    """Append the plain forms of the items of a list."""
    kinds = {*map(type, items)}
    if kinds == _FLOATS or _is_plain(items, kinds):
        out += items
        return out
    encoder.enter(items)
    encoder.values(items, out)
    encoder.depth -= 1
    return out


@once
def _list(items: list[Any], encoder: Encoder) -> Plain:
    return _fill(items, encoder, [LIST])


@decodes_once(LIST)
def _read_list(plain: list[Plain], decoder: Decoder) -> list[Any]:
    return decoder.values(plain)


@once
def _tuple(items: tuple[Any, ...], encoder: Encoder) -> Plain:
    encoder.enter(items)
    out = encoder.values(items, [TUPLE])
    encoder.depth -= 1
    return out


@decodes_once(TUPLE)
def _read_tuple(plain: list[Plain], decoder: Decoder) -> tuple[Any, ...]:
    return tuple(decoder.values(plain))


# --- dicts ---


def _is_object(items: dict[Any, Any]) -> bool:
    """Tell whether the keys of a dict are those of an object of JSON."""
    return _TEXTS.issuperset(map(type, items)) and is_text("".join(items))


def _object(items: dict[Any, Any], encoder: Encoder) -> Plain:
    out, codes, key = {}, ENCODERS, ""
    encoder.enter(items)
    try:
        for key, value in items.items():
            code = codes[type(value)]
            out[key] = value if code is None else code(value, encoder)
    except Refused as refused:
        refused.way.append(f"[{shown(key)}]")
        raise
    encoder.depth -= 1
    return out


def _pairs(items: dict[Any, Any], encoder: Encoder, out: list[Plain]) -> Plain:
    key = None
    encoder.enter(items)
    try:
        for key, value in items.items():
            out.append(found_again(key, encoder))
            out.append(encoder.value(value))
    except Refused as refused:
        refused.way.append(f"[{shown(key)}]")
        raise
    encoder.depth -= 1
    return out


@once
def _dict(items: dict[Any, Any], encoder: Encoder) -> Plain:
    return _object(items, encoder) if _is_object(items) else _pairs(items, encoder, [DICT])


def _from_pairs(items: list[Any]) -> dict[Any, Any]:
    made = dict(zip(items[::2], items[1::2], strict=True))
    if 2 * len(made) != len(items):
        raise ValueError("a key is there twice")
    return made


@decodes_once(DICT)
def _read_dict(plain: list[Plain], decoder: Decoder) -> dict[Any, Any]:
    return _from_pairs(decoder.values(plain))


# --- sets, and what is found by its hash ---


def found_again(key: Any, encoder: Encoder) -> Plain:
    """Write a key of a dict or a member of a set.

    Raises:
        Refused: A copy of it is another key: it is NaN, or equal to itself only.
    """
    if type(key) not in SURE_KEYS:
        check_key(key)
    return encoder.value(key)


def check_key(key: Any) -> None:
    """Refuse a key of a dict, or a member of a set, of which a copy is another one.

    Raises:
        Refused: It is NaN, or equal to itself only, or holds such a thing.
    """
    cls = type(key)
    if cls is Opaque:
        key, cls = key.value, type(key.value)
    if cls in (tuple, frozenset):
        _check_keys(key)
        return
    try:
        is_nan = bool(key != key)
    except Exception as error:  # whatever a method of the user's raises
        raise Refused(key, f"comparing it raised {type(error).__name__}") from error
    if is_nan:
        raise Refused(key, "it is equal to nothing, so that it is not found again as a key")
    if KIND[cls] == ATOM:
        return
    if getattr(cls, "__eq__", None) is object.__eq__:
        raise Refused(key, "it is equal to itself only, so that a copy of it is another key")
    if is_dataclass(cls):
        _check_keys(getattr(key, each.name) for each in fields(cls))
    elif issubclass(cls, tuple):
        _check_keys(key)
    else:
        _check_keys(getattr(key, "__dict__", {}).values())


def _check_keys(keys: Iterable[Any]) -> None:
    for key in keys:
        if type(key) not in SURE_KEYS:
            check_key(key)


def _members(items: Any, encoder: Encoder, out: list[Plain]) -> Plain:
    item = None
    if _is_plain(items, {*map(type, items)}):
        out += items
        return out
    encoder.enter(items)
    try:
        for item in items:
            out.append(found_again(item, encoder))
    except Refused as refused:
        refused.way.append(f"{{{shown(item)}}}")
        raise
    encoder.depth -= 1
    return out


_Members = TypeVar("_Members", set[Any], frozenset[Any])


def _from_members(make: Callable[[list[Any]], _Members], items: list[Any]) -> _Members:
    made = make(items)
    if len(made) != len(items):
        raise ValueError("a member is there twice")
    return made


@decodes_once(SET)
def _read_set(plain: list[Plain], decoder: Decoder) -> set[Any]:
    return _from_members(set, decoder.values(plain))


@decodes_once(FROZENSET)
def _read_frozenset(plain: list[Plain], decoder: Decoder) -> frozenset[Any]:
    return _from_members(frozenset, decoder.values(plain))


ENCODERS.update(
    {
        list: _list,
        tuple: _tuple,
        dict: _dict,
        set: once(lambda items, encoder: _members(items, encoder, [SET])),
        frozenset: once(lambda items, encoder: _members(items, encoder, [FROZENSET])),
    }
)
