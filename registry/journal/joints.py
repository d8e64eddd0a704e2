"""Joints: records that are one tuple with their commit (see `records.unpack`), as plain data.

They are the usual ones, and come by the hundred with the same parameters. So they are written when
they are stored, column by column, a column of equal values once: a quarter of the time and half the
bytes of one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, repeat
from operator import itemgetter
from typing import Any

from registry.journal.arguments import read_argument, write_argument, write_arguments
from registry.journal.packing import Packer, Unpacker
from registry.records import Packed, apart

JOINT, JOINTS = 1, 4
"""Kinds of entries: one record, and a column for each part of several."""
_FEW = 4
"""As many are not worth their columns."""
_NS = 1_000_000_000
_ONCE = frozenset({int, str, type(None)})
"""Of these equal values are the same."""

_names_of = itemgetter(13)


def write_joints(joints: Sequence[Packed], pack: Packer) -> Iterator[list[Any]]:
    """Yield the entries of records, oldest first. About 1 us each, if many are alike."""
    for names, group in groupby(joints, key=_names_of):
        some = list(group)
        if len(some) <= _FEW:
            yield from [_write_one(each, pack) for each in some]
        else:
            yield _write_columns(names, some, pack)


def read_joint(entry: Sequence[Any], unpack: Unpacker) -> Packed:
    """Return a record in the general form of the record log."""
    _, number, name, root, branch, version, at, names, values, outputs, *rest = entry
    changed, started, run_s, commit_s = rest
    keys = unpack.keys
    given = [read_argument(each, unpack) for each in values]
    given[at] = int(keys[values[at]])
    if outputs:
        last = len(outputs) - 1
        outputs = tuple(
            [int(keys[each]) if n % 2 == 0 and n < last else each for n, each in enumerate(outputs)]
        )
    elif outputs is not None:
        outputs = ()
    return apart(
        (
            *(version, 0.0, unpack.number(number), unpack.texts[name], *((),) * 5, 0),
            *(int(keys[root]), branch, at, unpack.tuple_of(names), tuple(given), outputs, changed),
            *(unpack.time(started), run_s / _NS, commit_s / _NS),
        )
    )


def read_joints(entry: Sequence[Any], unpack: Unpacker) -> Iterator[Packed]:
    """Yield records in the general form of the record log, oldest first."""
    _, count, names, arguments, *columns = entry
    rows = zip(*[_whole(each, count) for each in arguments], strict=True)
    parts = zip(*[_whole(each, count) for each in columns], strict=True)
    for values, part in zip(rows, parts, strict=True):
        number, name, root, branch, version, at, *rest = part
        single = (JOINT, number, name, root, branch, version, at, names, values, *rest)
        yield read_joint(single, unpack)


def _write_one(packed: Packed, pack: Packer) -> list[Any]:
    version, _, number, name, *_, root, branch, at, names, values, outputs, changed = packed[:17]
    index = pack.keys.__getitem__
    return [
        *(JOINT, pack.number(number), pack.text(name), index(root), branch, version, at),
        pack.tuple_of(names),
        [
            index(value) if each == at else write_argument(value, pack)
            for each, value in enumerate(values)
        ],
        *(outputs and _outputs(outputs, index), changed),
        *(pack.time(packed[17]), _ns(packed[18]), _ns(packed[19])),
    ]


def _write_columns(names: tuple[str, ...], joints: Sequence[Packed], pack: Packer) -> list[Any]:
    columns = zip(*joints, strict=False)
    versions, _, numbers, called, _, _, _, _, _, _, roots, branches, places, _, *rest = columns
    values, outputs, changed, started, run_s, commit_s = rest
    index = pack.keys.__getitem__
    arguments: list[Any] = []
    for at, column in enumerate(zip(*values, strict=True)):
        if places.count(at) == len(places):  # where the entity given is
            arguments.append([index(each) for each in column])
        elif at in places:
            arguments.append(
                [
                    index(each) if place == at else write_argument(each, pack)
                    for each, place in zip(column, places, strict=True)
                ]
            )
        else:
            arguments.append(write_arguments(column, pack))
    return [
        *(JOINTS, len(joints), pack.tuple_of(names), [_once(each) for each in arguments]),
        _once(pack.numbers(numbers)),
        _once([pack.text(each) for each in called]),
        _once([index(each) for each in roots]),
        *(_once(branches), list(versions), _once(places)),
        _once([each and _outputs(each, index) for each in outputs]),
        *(_once(changed), pack.times(started), _all_ns(run_s), _all_ns(commit_s)),
    ]


def _once(column: Sequence[Any]) -> Any:
    """Return a column as it is written: its value, if all have the same one that is no list."""
    first = column[0]
    cls = type(first)
    if cls in _ONCE and column.count(first) == len(column) and {*map(type, column)} == {cls}:
        return first
    return column


def _whole(column: Any, count: int) -> Iterable[Any]:
    """Return a column with a value for each; the inverse of `_once`."""
    return column if type(column) is list else repeat(column, count)


def _outputs(outputs: tuple[Any, ...], index: Any) -> list[Any]:
    return [
        index(each) if at % 2 == 0 and at < len(outputs) - 1 else each
        for at, each in enumerate(outputs)
    ]


def _ns(seconds: float) -> int:
    """Return whole nanoseconds: what a clock tells beyond them is noise."""
    return int(seconds * _NS)


def _all_ns(column: Sequence[float]) -> list[int]:
    return [int(each * _NS) for each in column]
