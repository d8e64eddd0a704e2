"""Arguments as records keep them, see `kept.py`, as plain data and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from registry.journal.codec import decode
from registry.journal.packing import Packer, Unpacker
from registry.kept import keep_text

_BIG = 1 << 64
_TUPLE, _OTHER = 0, 1
_AS_THEY_ARE = frozenset({bool, float, type(None)})


def write_argument(value: Any, pack: Packer) -> Any:
    """Return an argument as plain data; its text, if the journal cannot write it."""
    cls = type(value)
    if cls in _AS_THEY_ARE or (cls is str and value.isascii()):
        return value
    if cls is int and -_BIG < value < _BIG:
        return value
    if cls is tuple:
        return [_TUPLE, *[write_argument(each, pack) for each in value]]
    try:
        return [_OTHER, pack.encoder.value(value)]
    except Exception:  # noqa: BLE001 - whatever an object of the user's raises
        pack.encoder.reset()
        return write_argument(keep_text(value), pack)


def write_arguments(values: Sequence[Any], pack: Packer) -> list[Any]:
    """Return one argument of many executions, see `write_argument`. About 0.1 us each, if usual."""
    classes = set(map(type, values))
    is_usual = classes <= _AS_THEY_ARE
    if classes == {int}:
        is_usual = min(values) > -_BIG and max(values) < _BIG
    elif classes == {str}:
        is_usual = "".join(values).isascii()
    return list(values) if is_usual else [write_argument(each, pack) for each in values]


def read_argument(written: Any, unpack: Unpacker) -> Any:
    """Return the argument that plain data stands for."""
    if type(written) is not list:
        return written
    kind, *items = written
    if kind == _TUPLE:
        return tuple([read_argument(each, unpack) for each in items])
    return decode(items[0], unpack.table)
