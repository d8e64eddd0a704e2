"""Values that nobody should store, and some that look odd and are fine."""

from __future__ import annotations

import collections
import dataclasses
import io
import math
import sys
import threading
import types
from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import BaseModel

from registry import Entity


class Odd(Entity):
    """An entity that takes anything anywhere."""

    x: Any = None
    kids: list[Odd] = []  # noqa: RUF012 - pydantic copies mutable defaults
    table: dict[Any, Any] = {}  # noqa: RUF012 - as above
    marks: set[Any] = set()  # noqa: RUF012 - as above


@dataclasses.dataclass
class Data:
    """A dataclass."""

    inner: Any = None


@dataclasses.dataclass(unsafe_hash=True)
class Changeable:
    """Hashable, and yet it can be changed."""

    number: int = 0


@dataclasses.dataclass(frozen=True)
class Fixed:
    """Hashable, and it cannot be changed."""

    number: int = 0


class Model(BaseModel):
    """A plain model."""

    inner: Any = None


class Pair(NamedTuple):
    """A named tuple."""

    first: Any
    second: Any


class Plain:
    """An ordinary object."""

    def __init__(self, inner: Any = None) -> None:
        self.inner = inner


class OddError(Exception):
    """What the methods below raise."""


class NoEq:
    """Cannot be compared."""

    def __eq__(self, other: object) -> bool:
        raise OddError("eq")

    __hash__ = None  # type: ignore[assignment]


class NoRepr:
    """Cannot be shown."""

    def __repr__(self) -> str:
        raise OddError("repr")


class NoCopy:
    """Cannot be copied."""

    def __deepcopy__(self, memo: Any) -> Any:
        raise OddError("deepcopy")


class NoAttributes:
    """Raises for every attribute that it lacks, even those that Python looks for."""

    def __getattr__(self, name: str) -> Any:
        raise OddError(name)


class Text(str):
    """A kind of text."""


class Items(list[Any]):
    """A kind of list."""


def _generator() -> Any:
    yield 1


def nested(depth: int, wrap: Callable[[Any], Any]) -> Any:
    """Return 1 in *depth* containers."""
    value: Any = 1
    for _ in range(depth):
        value = wrap(value)
    return value


def linked(length: int) -> Any:
    """Return a chain of ordinary objects."""
    head = None
    for _ in range(length):
        head = Plain(head)
    return head


def _ring() -> Any:
    ring: list[Any] = []
    ring.append(ring)
    return ring


def _ring_of_dicts() -> Any:
    ring: dict[str, Any] = {}
    ring["again"] = [ring]
    return ring


def _ring_of_tuples() -> Any:
    middle: list[Any] = []
    ring = (middle,)
    middle.append(ring)
    return ring


def _cycle() -> Odd:
    first, second = Odd(), Odd()
    first.kids, second.kids = [second], [first]
    return first


def _shared_entity() -> Odd:
    shared = Odd()
    return Odd(kids=[shared], x=shared)


def _shared_list() -> Odd:
    shared = [1]
    odd = Odd()
    odd.x, odd.kids = shared, []
    odd.table = {"again": shared}
    return odd


ODD: dict[str, Callable[[], Any]] = {
    "ring": _ring,
    "ring of dicts": _ring_of_dicts,
    "ring of tuples": _ring_of_tuples,
    "cycle of entities": _cycle,
    "shared entity": _shared_entity,
    "shared list": _shared_list,
    "list 100 deep": lambda: nested(100, lambda v: [v]),
    "list 101 deep": lambda: nested(101, lambda v: [v]),
    "list 10000 deep": lambda: nested(10_000, lambda v: [v]),
    "dict 10000 deep": lambda: nested(10_000, lambda v: {"k": v}),
    "tuple 10000 deep": lambda: nested(10_000, lambda v: (v,)),
    "mix 10000 deep": lambda: nested(5_000, lambda v: ([v], 1)),
    "objects 240 deep": lambda: linked(240),
    "objects 10000 deep": lambda: linked(10_000),
    "entity in dataclass": lambda: Data(Odd()),
    "entity in model": lambda: Model(inner=[Odd()]),
    "entity in object": lambda: Plain({"a": Odd()}),
    "entity in deque": lambda: collections.deque([Odd()]),
    "entity in kind of list": lambda: Items([Odd()]),
    "entity in named tuple": lambda: Pair(1, Odd()),
    "entity as dict key": lambda: {Odd(): 1},
    "entity in dict key": lambda: {(Odd(), 1): 1},
    "entity in set": lambda: {Odd()},
    "entity in frozenset": lambda: frozenset([(Odd(),)]),
    "changeable dict key": lambda: {Changeable(1): 1},
    "changeable in dict key": lambda: {(1, Changeable(1)): 1},
    "object as dict key": lambda: {Plain(): 1},
    "fixed dict key": lambda: {Fixed(1): 1},
    "changeable in set": lambda: {Changeable(1)},
    "lone surrogate": lambda: "\ud800",
    "lone surrogate key": lambda: {"\udc00": "\udfff"},
    "nan": lambda: math.nan,
    "nan key": lambda: {math.nan: math.nan},
    "infinities": lambda: {math.inf: -math.inf},
    "huge number": lambda: 10**5000,
    "huge number key": lambda: {10**5000: [10**5000]},
    "generator": _generator,
    "iterator": lambda: iter([1]),
    "lock": threading.Lock,
    "thread": threading.Thread,
    "file": io.BytesIO,
    "open file": lambda: sys.__stdout__,
    "frame": sys._getframe,
    "module": lambda: sys,
    "function": lambda: nested,
    "class": lambda: Odd,
    "memoryview": lambda: memoryview(b"a"),
    "bytearray": lambda: bytearray(b"a"),
    "mapping proxy": lambda: types.MappingProxyType({"a": 1}),
    "namespace": lambda: types.SimpleNamespace(a=Odd()),
    "exception": lambda: OddError("kept"),
    "not comparable": NoEq,
    "not showable": NoRepr,
    "not copyable": NoCopy,
    "without attributes": NoAttributes,
    "kind of text": lambda: Text("a"),
    "kind of list": lambda: Items([1]),
    "default dict": lambda: collections.defaultdict(list),
    "counter": lambda: collections.Counter("aab"),
    "ellipsis": lambda: ...,
    "not implemented": lambda: NotImplemented,
    "object": object,
    "empty text": str,
    "at sign": lambda: "@",
    "nothing": lambda: None,
    "bytes": lambda: b"@\xff",
    "dict of nothing": lambda: {None: None},
}
"""Each made anew when it is asked for."""
