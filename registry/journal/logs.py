"""Logs: records of executions, and adoptions between them, as plain data.

A record is kept so that it can be read, and replayed if its arguments are data. An argument that
the journal cannot write is kept as its text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from registry.errors import NotJournalableError
from registry.journal.codec import decode, encode
from registry.journal.packing import Packer, Unpacker
from registry.kept import keep_text
from registry.records import Packed, apart, commit_in

_SAME = frozenset({type(None), bool, int, float})


def write_entry(packed: Packed, pack: Packer) -> list[Any]:
    """Return what the log of a workspace keeps: a record, or an adoption. About 3 us."""
    text, index = pack.text, pack.keys.__getitem__
    if packed[0] is None:
        _, kind, key, branch, at, *more = packed
        number, name, *left = more or (0, "")
        left = [index(left[0]), left[1]] if left else []
        return [
            text(kind),
            index(key),
            branch,
            pack.time(at),
            pack.number(number),
            text(name),
            left,
        ]
    if commit_in(packed) is not None:
        packed = apart(packed)
    number, name, status, semantic, trees, inputs, names, values, outputs = packed[:9]
    changed, error_type, error, started, run_s, commit_s, borrowed = packed[9:16]
    strategy, pattern, parent, queued_s = packed[16:]
    entry = [
        *(-1, pack.number(number), text(name), text(status), text(semantic or ""), changed),
        *(pack.time(started), _ns(run_s), _ns(commit_s), text(strategy), text(pattern)),
        [index(each) if at % 4 == 0 else each for at, each in enumerate(trees)],
        [index(each) if at % 2 else text(each) for at, each in enumerate(inputs)],
        pack.tuple_of(names),
        [each if type(each) in _SAME else _value(each, pack) for each in values],
        [each if at % 2 else index(each) for at, each in enumerate(outputs)],
    ]
    if error_type or borrowed or parent is not None or queued_s:
        parent_number = None if parent is None else parent
        entry += (error_type, error, _sources(borrowed, pack), parent_number, _ns(queued_s))
    return entry


def read_entry(entry: list[Any], unpack: Unpacker) -> Packed:
    """Return what `write_entry` wrote, in the general form of the record log."""
    texts, keys = unpack.texts, unpack.keys
    if entry[0] >= 0:
        kind, key, branch, at, number, name, left = entry
        left = (int(keys[left[0]]), left[1]) if left else ()
        head = (None, texts[kind], int(keys[key]), branch, unpack.time(at))
        return (*head, unpack.number(number), texts[name], *left)
    _, number, name, status, semantic, changed, started, run_s, commit_s, *rest = entry
    strategy, pattern, trees, inputs, names, values, outputs, *more = rest
    error_type, error, borrowed, parent, queued_s = more or ("", "", (), None, 0)
    return (
        *(unpack.number(number), texts[name], texts[status], texts[semantic] or None),
        tuple([each if at % 4 else int(keys[each]) for at, each in enumerate(trees)]),
        tuple([int(keys[each]) if at % 2 else texts[each] for at, each in enumerate(inputs)]),
        unpack.tuple_of(names),
        tuple([_value_of(each, unpack) if type(each) is list else each for each in values]),
        tuple([each if at % 2 else int(keys[each]) for at, each in enumerate(outputs)]),
        *(changed, error_type, error, unpack.time(started), run_s / _NS, commit_s / _NS),
        _read_sources(borrowed, unpack),
        *(texts[strategy], texts[pattern], parent, queued_s / _NS),
    )


_NS = 1_000_000_000
_TUPLE, _OTHER = 0, 1


def _ns(seconds: float) -> int:
    """Return whole nanoseconds: what a clock tells beyond them is noise."""
    return int(seconds * _NS)


def _value(value: Any, pack: Packer) -> Any:
    """Return what a record keeps of an argument, see `kept.py`, as plain data."""
    cls = type(value)
    if cls in _SAME or (cls is str and value.isascii()):
        return value
    if cls is tuple:
        return [_TUPLE, *[_value(each, pack) for each in value]]
    try:
        return [_OTHER, encode(value, pack.table)]
    except NotJournalableError:
        return _value(keep_text(value), pack)


def _value_of(written: Any, unpack: Unpacker) -> Any:
    if type(written) is not list:
        return written
    kind, *items = written
    if kind == _TUPLE:
        return tuple([_value_of(each, unpack) for each in items])
    return decode(items[0], unpack.table)


def _sources(borrowed: tuple[Any, ...], pack: Packer) -> list[Any]:
    parts = zip(borrowed[::4], borrowed[1::4], borrowed[2::4], borrowed[3::4], strict=True)
    return [
        part for name, key, stamp, path in parts for part in (name, pack.keys[key], stamp, path)
    ]


def _read_sources(written: Sequence[Any], unpack: Unpacker) -> tuple[Any, ...]:
    return tuple(
        [int(unpack.keys[each]) if at % 4 == 1 else each for at, each in enumerate(written)]
    )
