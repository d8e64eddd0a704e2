"""Effects as rows of a table: what executions did that have given ids, or that are numbered.

An execution with a given id has a row of its own, found under that id. Those that a process counts
come by the thousand, so a *series* of them is one row, found under its last number and its first:

    key of an id        its text
    key of a series     0xFF, last number, first number: no text begins with that byte

Series of one count may lie in each other (a job that waited has a low number, and comes late), so
whoever looks for a number reads from it on, to the end of the count, where each last number is.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from registry import ids
from registry.errors import JournalDamagedError
from registry.journal.port import Effect, Group, Series

_SERIES = b"\xff"
_NUMBER_BYTES = 16
_COUNT_BITS = ids.EXECUTION_BITS
_HEAD = struct.Struct("<BI")
_NARROW, _WIDE = 4, 8
_LEVEL = 1


class EffectRow(NamedTuple):
    """One row: an effect, or a series.

    Attributes:
        root: Root that the executions were sent to; 0 without one.
        key: What it is found under.
        data: The outcome, or those of the series, packed.
    """

    root: int
    key: bytes
    data: bytes


class Span(NamedTuple):
    """Where the series are that may hold some numbers of one count.

    Attributes:
        low: Their keys are not less.
        high: And less than this.
        numbers: The numbers, ascending.
    """

    low: bytes
    high: bytes
    numbers: Sequence[int]


def rows_of(group: Group) -> list[EffectRow]:
    """Return the rows of a group: its effects, then its series."""
    rows = [EffectRow(root, id_bytes(each), outcome) for root, each, outcome in group.effects]
    return rows + [_series_row(each) for each in group.series]


def effect_roots(group: Group) -> list[int]:
    """Return the roots of the rows of a group, without repetition."""
    return list(
        dict.fromkeys([*(each[0] for each in group.effects), *(s[0] for s in group.series)])
    )


def is_series(key: bytes) -> bool:
    """Tell whether a key is that of a series."""
    return key[:1] == _SERIES


def key_text(key: bytes) -> str:
    """Return how messages name what is found under a key."""
    if not is_series(key):
        return f"execution {id_of(key)}"
    last, first = _bounds(key)
    return f"executions {first:x} to {last:x}"


def read_series(row: EffectRow) -> Series:
    """Return the series that a row holds.

    Raises:
        JournalDamagedError: It holds none.
    """
    try:
        data = zlib.decompress(row.data)
        width, count = _HEAD.unpack_from(data)
        columns = struct.Struct(f"<{count}{'I' if width == _NARROW else 'Q'}{count}I")
        values = columns.unpack_from(data, _HEAD.size)
        _, first = _bounds(row.key)
        outcomes, at = [], _HEAD.size + columns.size
        for length in values[count:]:
            outcomes.append(data[at : at + length])
            at += length
    except (struct.error, zlib.error, TypeError, MemoryError) as error:
        raise JournalDamagedError(key_text(row.key), f"hold no outcomes: {error}") from error
    return Series(row.root, [first + each for each in values[:count]], outcomes)


def spans_of(numbers: Iterable[int]) -> list[Span]:
    """Return where to look for numbers, count by count."""
    by_count: dict[int, list[int]] = {}
    for number in sorted(numbers):
        by_count.setdefault(number >> _COUNT_BITS, []).append(number)
    return [
        Span(_series_key(some[0]), _series_key((count + 1) << _COUNT_BITS), some)
        for count, some in by_count.items()
    ]


def found_in(row: EffectRow, span: Span) -> Iterator[tuple[int, bytes]]:
    """Yield those numbers of a span that a series of it holds, with their outcomes."""
    last, first = _bounds(row.key)
    if first > span.numbers[-1] or last < span.numbers[0]:
        return
    wanted = set(span.numbers)
    _, numbers, outcomes = read_series(row)
    for number, outcome in zip(numbers, outcomes, strict=True):
        if number in wanted:
            yield number, outcome


def number_of(execution_id: str) -> int | None:
    """Return the number that a text is the id of; None if it is of none that a process gives."""
    if len(execution_id) > _NUMBER_BYTES * 2 or not execution_id.isalnum():
        return None
    try:
        number = int(execution_id, 16)
    except ValueError:
        return None
    is_counted = number >> _COUNT_BITS > 0
    return number if is_counted and ids.execution_text(number) == execution_id else None


def numbers_by_root(group: Group) -> Iterator[tuple[int, list[int]]]:
    """Yield the numbers of a group that no series may hold yet, by root; ids that are one, too."""
    by_root: dict[int, list[int]] = {}
    for root, numbers, _ in group.series:
        by_root.setdefault(root, []).extend(numbers)
    for root, execution_id, _ in group.effects:
        number = number_of(execution_id)
        if number is not None:
            by_root.setdefault(root, []).append(number)
    yield from by_root.items()


def id_bytes(execution_id: str) -> bytes:
    """Return an execution id as bytes: any text that Python can hold, half of a character too."""
    return execution_id.encode("utf-8", "surrogatepass")


def id_of(data: bytes) -> str:
    """Return the execution id that bytes hold; what is none is shown with escapes."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "backslashreplace")


def effect_of(row: EffectRow) -> Effect:
    """Return the effect that a row holds which is no series."""
    return Effect(row.root, id_of(row.key), row.data)


def _series_row(series: Series) -> EffectRow:
    root, numbers, outcomes = series
    first, last, count = numbers[0], numbers[-1], len(numbers)
    is_narrow = last - first < 1 << 8 * _NARROW
    columns = struct.pack(
        f"<{count}{'I' if is_narrow else 'Q'}{count}I",
        *[number - first for number in numbers],
        *map(len, outcomes),
    )
    head = _HEAD.pack(_NARROW if is_narrow else _WIDE, count)
    data = zlib.compress(b"".join((head, columns, *outcomes)), _LEVEL)
    return EffectRow(root, _series_key(last) + first.to_bytes(_NUMBER_BYTES, "big"), data)


def _series_key(last: int) -> bytes:
    return _SERIES + last.to_bytes(_NUMBER_BYTES, "big")


def _bounds(key: bytes) -> tuple[int, int]:
    """Return the last and the first number of a series."""
    at = 1 + _NUMBER_BYTES
    return int.from_bytes(key[1:at], "big"), int.from_bytes(key[at:], "big")
