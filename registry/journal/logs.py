"""Logs: records of executions, and adoptions between them, as plain data.

A record is kept so that it can be read, and replayed if its arguments are data. An argument that
the journal cannot write is kept as its text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from registry.ids import Key
from registry.journal.arguments import read_argument, write_argument
from registry.journal.codec import decode, encode
from registry.journal.joints import JOINT, JOINTS, read_joint, read_joints
from registry.journal.packing import Packer, Unpacker, reading, writable
from registry.records import Packed

Output: TypeAlias = tuple[Key, tuple[str, int | str, Any, float]]
"""Key of an output entity, and what it was told as."""


def write_entry(packed: Packed, pack: Packer) -> list[Any]:
    """Return what the log of a workspace keeps: a record that is no joint, or an adoption."""
    if packed[0] is None:
        return _write_adoption(packed, pack)
    return _write_record(packed, pack)


def read_log(data: bytes, row: int) -> tuple[list[Packed], list[Output]]:
    """Return records and output entities of a row, oldest first.

    Raises:
        JournalDamagedError: They are none.
        UnknownClassError: A class of a value in them is not imported.
    """
    unpack = Unpacker(data, f"the records of row {row}")
    records: list[Packed] = []
    outputs: list[Output] = []
    with reading(unpack.place):
        for entry in unpack:  # in order: times and numbers are differences
            if entry[0] == OUTPUT:
                outputs.append(read_output(entry, unpack))
            elif entry[0] == JOINTS:
                records += read_joints(entry, unpack)
            else:
                records.append(read_entry(entry, unpack))
    return records, outputs


def read_entry(entry: list[Any], unpack: Unpacker) -> Packed:
    """Return what `write_entry` wrote; a record in the general form of the record log."""
    return _READ[entry[0]](entry, unpack)


_RECORD, _ADOPTION, OUTPUT = 0, 2, 3


def _write_adoption(packed: Packed, pack: Packer) -> list[Any]:
    _, kind, key, branch, at, *more = packed
    number, name, *left = more or ("", "")
    text, index = pack.text, pack.keys.__getitem__
    return [
        *(_ADOPTION, text(kind), index(key), branch, pack.time(at), pack.number(number)),
        *(text(name), [index(left[0]), left[1]] if left else []),
    ]


def _read_adoption(entry: list[Any], unpack: Unpacker) -> Packed:
    _, kind, key, branch, at, number, name, left = entry
    keys, texts = unpack.keys, unpack.texts
    head = (None, texts[kind], int(keys[key]), branch, unpack.time(at))
    left = (int(keys[left[0]]), left[1]) if left else ()
    return (*head, unpack.number(number), texts[name], *left)


def write_output(key: int, told: tuple[str, int | str, Any, float], pack: Packer) -> list[Any]:
    """Return an output entity: key, callable, execution, time, value.

    Raises:
        NotJournalableError: Its value cannot be written.
    """
    name, number, value, made = told
    plain = encode(value, pack.table)
    return [
        *(OUTPUT, pack.keys[key], pack.text(name), pack.number(number), pack.time(made), plain),
    ]


def read_output(entry: list[Any], unpack: Unpacker) -> Output:
    """Return key, and what it was told as, of an output entity that `write_output` wrote."""
    _, key, name, number, made, plain = entry
    number, made = unpack.number(number), unpack.time(made)
    return unpack.keys[key], (unpack.texts[name], number, decode(plain, unpack.table), made)


def _write_record(packed: Packed, pack: Packer) -> list[Any]:
    text, index = pack.text, pack.keys.__getitem__
    number, name, status, semantic, trees, inputs, names, values, outputs = packed[:9]
    changed, error_type, error, started, run_s, commit_s, borrowed = packed[9:16]
    strategy, pattern, parent, queued_s = packed[16:]
    entry = [
        *(_RECORD, pack.number(number), text(name), text(status), text(semantic or ""), changed),
        *(pack.time(started), _ns(run_s), _ns(commit_s), text(strategy), text(pattern)),
        [each if at % 4 else index(each) for at, each in enumerate(trees)],
        [index(each) if at % 2 else text(each) for at, each in enumerate(inputs)],
        pack.tuple_of(names),
        [write_argument(each, pack) for each in values],
        [each if at % 2 else index(each) for at, each in enumerate(outputs)],
    ]
    if error_type or borrowed or parent is not None or queued_s:
        entry += (error_type, writable(error), _sources(borrowed, pack), parent, _ns(queued_s))
    return entry


def _read_record(entry: list[Any], unpack: Unpacker) -> Packed:
    texts, keys = unpack.texts, unpack.keys
    _, number, name, status, semantic, changed, started, run_s, commit_s, *rest = entry
    strategy, pattern, trees, inputs, names, values, outputs, *more = rest
    error_type, error, borrowed, parent, queued_s = more or ("", "", (), None, 0)
    return (
        *(unpack.number(number), texts[name], texts[status], texts[semantic] or None),
        tuple([each if at % 4 else int(keys[each]) for at, each in enumerate(trees)]),
        tuple([int(keys[each]) if at % 2 else texts[each] for at, each in enumerate(inputs)]),
        unpack.tuple_of(names),
        tuple([read_argument(each, unpack) for each in values]),
        tuple([each if at % 2 else int(keys[each]) for at, each in enumerate(outputs)]),
        *(changed, error_type, error, unpack.time(started), run_s / _NS, commit_s / _NS),
        _read_sources(borrowed, unpack),
        *(texts[strategy], texts[pattern], parent, queued_s / _NS),
    )


_READ = {_RECORD: _read_record, JOINT: read_joint, _ADOPTION: _read_adoption}
_NS = 1_000_000_000


def _ns(seconds: float) -> int:
    """Return whole nanoseconds: what a clock tells beyond them is noise."""
    return int(seconds * _NS)


def _sources(borrowed: tuple[Any, ...], pack: Packer) -> list[Any]:
    parts = zip(borrowed[::4], borrowed[1::4], borrowed[2::4], borrowed[3::4], strict=True)
    return [
        part for name, key, stamp, path in parts for part in (name, pack.keys[key], stamp, path)
    ]


def _read_sources(written: Sequence[Any], unpack: Unpacker) -> tuple[Any, ...]:
    return tuple(
        [int(unpack.keys[each]) if at % 4 == 1 else each for at, each in enumerate(written)]
    )
