"""Codec: stored values as plain data, written as JSON, and read again exactly.

    stored value --encode--> plain data --to_bytes--> JSON --from_bytes--> plain --decode--> value

What a stored value is, says `values.py`. It comes back equal and of the very same types, all the
way down. Containers come back as plain lists, dicts and sets of stored values; `build` makes cells
of them. Nothing that is stored is ever imported or called: classes are found by name among what is
loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic_core import from_json, to_json

from registry.errors import NotJournalableError, UnreadableValueError
from registry.history import Cell, DictCell, ListCell, Node, SetCell, Stored
from registry.journal import opaque
from registry.journal.coding import Decoder, Encoder, KeyTable, Numbering, Plain, Refused
from registry.journal.containers import NumberedDict, NumberedList, NumberedSet

__all__ = [
    "Decoder",
    "Encoder",
    "KeyTable",
    "Numbering",
    "Place",
    "Plain",
    "build",
    "decode",
    "encode",
    "from_bytes",
    "refusal",
    "register_codec",
    "to_bytes",
]

register_codec = opaque.register_codec

_LONGEST_WAY = 20
"""Steps to a value that a message names."""
Place = str | Callable[[], str]
"""What is being written, in words; a function is asked only for a message."""


def encode(
    stored: Stored, keys: KeyTable, numbers: Numbering | None = None, place: Place = "a value"
) -> Plain:
    """Return the plain form of a stored value.

    Args:
        stored: Cells, or containers as of a version; atoms, keys, tuples, opaque values.
        keys: Of the blob that the value is part of.
        numbers: Of the tree; without it containers in containers are written without numbers.
        place: Names the value in an error.

    Raises:
        NotJournalableError: It, or something in it, has no plain form.

    Cost: 0.3 us, and 0.04 us per atom or key; an `Encoder` that is used again saves the first.
    """
    encoder = Encoder(keys, numbers)
    try:
        return encoder.value(stored)
    except Exception as error:  # also what an object raises while it is looked at
        raise refusal(encoder, error, place) from error


def refusal(encoder: Encoder, error: Exception, place: Place) -> NotJournalableError:
    """Return the error to raise for what an encoder raised; the encoder can be used again."""
    encoder.reset()
    if isinstance(error, MemoryError):
        raise error
    where = place if isinstance(place, str) else place()
    if not isinstance(error, Refused):
        return NotJournalableError(where, "value", f"{type(error).__name__}: {error}")
    way = error.way[::-1]
    more = ["..."] if len(way) > _LONGEST_WAY else []
    return NotJournalableError(
        where + "".join([*way[:_LONGEST_WAY], *more]), error.kind, error.reason
    )


def decode(plain: Plain, keys: KeyTable, place: str = "") -> Stored:
    """Return the stored value that a plain form stands for; containers as plain ones.

    Args:
        plain: What `encode` returned.
        keys: The table that was written with it, read.
        place: Names the value in an error.

    Raises:
        UnknownClassError: It names a class or a codec that is not loaded.
        UnreadableValueError: It is no plain form, or one of a class that is different now.
    """
    return Decoder(keys).read(plain, place)


def to_bytes(plain: Plain) -> bytes:
    """Return plain data as JSON, with NaN and the infinities, which standard JSON lacks."""
    return to_json(plain, inf_nan_mode="constants")


def from_bytes(data: bytes, place: str = "what is stored") -> Plain:
    """Return plain data of JSON; the inverse of `to_bytes`.

    Raises:
        UnreadableValueError: It is none.
    """
    try:
        return from_json(data, allow_inf_nan=True)
    except ValueError as error:
        raise UnreadableValueError(place, str(error)) from error


def build(
    value: Any,
    node: Node,
    up: Cell | None = None,
    depth: int = 0,
    numbers: Numbering | None = None,
) -> Stored:
    """Return a decoded value with cells in place of its containers, as adoption makes them.

    Args:
        value: What `decode` returned; its lists, dicts and sets become the cells' own.
        node: The entity that holds it.
        up: The cell that it is in.
        depth: Containers, tuples too, that it is in.
        numbers: Of the tree: learns which cell has which number.
    """
    make = _MAKERS.get(type(value))
    if make is not None:
        items, cell = make(value, node, up)
        cell.depth = depth + 1
        if numbers is not None and hasattr(value, "number"):
            numbers.put(value.number, cell)
        if isinstance(cell, ListCell):
            cell.items = _built(items, node, cell, depth + 1, numbers)
        elif isinstance(cell, DictCell):
            for key, item in items.items():
                if type(item) in _HOLDERS:
                    items[key] = build(item, node, cell, depth + 1, numbers)
        return cell
    if type(value) is tuple and not _HOLDERS.isdisjoint(map(type, value)):
        return tuple(_built(list(value), node, up, depth + 1, numbers))
    return value


def _built(
    items: list[Any], node: Node, up: Cell | None, depth: int, numbers: Numbering | None
) -> list[Any]:
    if not _HOLDERS.isdisjoint(map(type, items)):
        for position, item in enumerate(items):
            if type(item) in _HOLDERS:
                items[position] = build(item, node, up, depth, numbers)
    return items


def _list_cell(value: list[Any], node: Node, up: Cell | None) -> tuple[Any, Cell]:
    items = value if type(value) is list else list(value)
    return items, ListCell(items, node, up)


def _dict_cell(value: dict[Any, Any], node: Node, up: Cell | None) -> tuple[Any, Cell]:
    items = value if type(value) is dict else dict(value)
    return items, DictCell(items, node, up)


def _set_cell(value: set[Any], node: Node, up: Cell | None) -> tuple[Any, Cell]:
    items = value if type(value) is set else set(value)
    return items, SetCell(items, node, up)


_MAKERS: dict[type, Callable[[Any, Node, Cell | None], tuple[Any, Cell]]] = {
    list: _list_cell,
    NumberedList: _list_cell,
    dict: _dict_cell,
    NumberedDict: _dict_cell,
    set: _set_cell,
    NumberedSet: _set_cell,
}
_HOLDERS = frozenset({*_MAKERS, tuple})
