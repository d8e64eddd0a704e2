"""Packing: the entries of one branch as bytes, and the entries that bytes hold.

An entry is plain data, see `commits.py`. What repeats from entry to entry is written once per blob:
keys of entities, texts and the plans of classes go into tables and are known by their position;
times are differences. The rest is left to the compression of the whole.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import sub
from typing import Any, cast

from pydantic_core import from_json, to_json

from registry.errors import (
    ClassChangedError,
    JournalDamagedError,
    JournalError,
    UnknownClassError,
    UnreadableValueError,
)
from registry.ids import Key
from registry.journal.classes import class_name
from registry.journal.coding import Encoder, KeyTable
from registry.schema import Schema

FORMAT = 2
"""What is written; 1 had no usual commits, see `commits.py`, and is read as well."""
_READABLE = (1, FORMAT)
PLAIN, COMPRESSED = b"P", b"Z"
"""How packed entries begin: the JSON follows, as it is or deflated."""
_WORTH_COMPRESSING = 128
_LEVEL = 1
"""Measured on a chunk of moves: level 6 takes 10 times as long for 2 % less."""
_TICKS = 1 << 22
"""Per second: what a float of today's time is a whole number of, so that nothing is rounded."""


def writable(text: str) -> str:
    """Return a text for people in a form that JSON can hold: half surrogates are spelled out."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


class Packer:
    """Collects the entries of one branch.

    Attributes:
        keys: Entities that entries name, and their positions.
        table: The same, and what values name; see `coding.py`.
        encoder: Writes values.
        entries: The entries, oldest first.
    """

    __slots__ = (
        *("_classes", "_clock", "_marked", "_number", "_plans", "_start", "_texts"),
        *("encoder", "entries", "keys", "table"),
    )

    def __init__(self) -> None:
        self.table = KeyTable()
        self.encoder = Encoder(self.table)
        self.keys = self.table.positions
        self.entries: list[Any] = []
        self._texts: dict[str, int] = {}
        self._classes: dict[Schema | tuple[str, ...], int] = {}
        self._plans: list[tuple[str, ...]] = []
        self._clock = self._number = 0
        self._start = (0, 0)
        self._marked = (0, 0, 0)

    def text(self, text: str) -> int:
        """Return the position of a text in the table."""
        return self._texts.setdefault(text, len(self._texts))

    def plan(self, schema: Schema) -> int:
        """Return the position of a class in the table, which tells its name and its parts."""
        at = self._classes.get(schema)
        if at is None:
            at = self._classes[schema] = len(self._plans)
            self._plans.append((class_name(schema.cls), *schema.names))
        return at

    def tuple_of(self, names: tuple[str, ...]) -> int:
        """Return the position of a tuple of texts in the table of classes."""
        at = self._classes.get(names)
        if at is None:
            at = self._classes[names] = len(self._plans)
            self._plans.append(names)
        return at

    def number(self, number: int | str) -> int | str:
        """Return the number of an execution as the difference to the last one; a text as it is."""
        if isinstance(number, str):
            return number
        since, self._number = number - self._number, number
        return since

    def time(self, seconds: float) -> int | float:
        """Return a time as ticks since the last one, or as it is if it is no whole number of them.

        An `int` and a `float` tell which.
        """
        ticks = int(seconds * _TICKS)
        if ticks / _TICKS != seconds:
            return seconds
        since, self._clock = ticks - self._clock, ticks
        return since

    def numbers(self, many: Sequence[int | str]) -> list[int | str]:
        """Return the numbers of executions, each as `number` does."""
        if {*map(type, many)} != {int}:
            return [self.number(each) for each in many]
        numbers = cast("Sequence[int]", many)
        since = map(sub, numbers, (self._number, *numbers))
        self._number = numbers[-1]
        return list(since)

    def times(self, many: Sequence[float]) -> list[int | float]:
        """Return times, each as `time` does."""
        ticks = [int(seconds * _TICKS) for seconds in many]
        if [each / _TICKS for each in ticks] != [*many]:
            return [self.time(each) for each in many]
        since = map(sub, ticks, (self._clock, *ticks))
        self._clock = ticks[-1]
        return list(since)

    def mark(self) -> None:
        """Note that an execution is complete with the entries so far."""
        self._marked = (len(self.entries), self._clock, self._number)

    def take(self) -> bytes:
        """Return the bytes of the entries up to the mark, which are taken out; none if none are.

        Cost: those entries, and the tables.
        """
        count, *then = self._marked
        if not count:
            return b""
        entries, self.entries = self.entries[:count], self.entries[count:]
        tables = (self.table.written(), list(self._texts), self._plans)
        whole = (FORMAT, *self._start, *tables, entries)
        self._start, self._marked = (then[0], then[1]), (0, then[0], then[1])
        data = to_json(whole, inf_nan_mode="constants")
        if len(data) < _WORTH_COMPRESSING:
            return PLAIN + data
        return COMPRESSED + zlib.compress(data, _LEVEL)


class Unpacker:
    """Reads the entries of one branch, in order.

    Attributes:
        keys: The entities that entries name, by position.
        table: The same, and what values name.
        texts: The texts, by position.
        plans: The classes, by position: name, and names of the parts of a state.
        place: Names the data in an error.

    Args:
        data: What `Packer.take` returned.
        place: As above.

    Raises:
        JournalDamagedError: It is not that.
    """

    __slots__ = ("_clock", "_entries", "_number", "keys", "place", "plans", "table", "texts")

    def __init__(self, data: bytes, place: str) -> None:
        self.place = place
        try:
            plain = zlib.decompress(data[1:]) if data[:1] == COMPRESSED else data[1:]
            version, *rest = from_json(plain, allow_inf_nan=True)
            self._clock, self._number, keys, self.texts, self.plans, self._entries = rest
            self.table = KeyTable.read(keys)
        except (ValueError, TypeError, zlib.error) as error:
            raise JournalDamagedError(place, f"{type(error).__name__}: {error}") from error
        if version not in _READABLE:
            raise JournalDamagedError(place, f"format {version}, not {FORMAT} or older")
        self.keys: list[Key] = self.table.keys

    def tuple_of(self, at: int) -> tuple[str, ...]:
        """Return a tuple of texts that `Packer.tuple_of` wrote."""
        return tuple(self.plans[at])

    def time(self, written: float) -> float:
        """Return a time that `Packer.time` wrote."""
        if isinstance(written, float):
            return written
        self._clock += written
        return self._clock / _TICKS

    def number(self, written: int | str) -> int | str:
        """Return the number of an execution that `Packer.number` wrote."""
        if isinstance(written, int):
            self._number = written = self._number + written
        return written

    def __iter__(self) -> Iterator[Any]:
        return iter(self._entries)


@contextmanager
def reading(place: str) -> Iterator[None]:
    """Name the place of what is read in the block in the errors of what is not as it was written.

    Raises:
        JournalDamagedError: Something in the block raised what says nothing of the data.
        UnreadableValueError: As raised in the block, with the place.
    """
    try:
        yield
    except UnreadableValueError as error:
        raise UnreadableValueError(f"{error.place} in {place}", error.problem) from error
    except (JournalError, UnknownClassError, ClassChangedError, MemoryError, RecursionError):
        raise  # all but the first say something about this process, not about the data
    except Exception as error:  # whatever data that is none makes the readers of it raise
        raise JournalDamagedError(place, f"is none: {type(error).__name__}: {error}") from error
