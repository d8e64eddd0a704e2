"""Stored values as plain data: exact both ways, refused by name, and nothing that is read runs."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime as dt
import enum
import math
import os
import pathlib
import re
import sys
import types
import uuid
import zoneinfo
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, PrivateAttr, TypeAdapter
from pydantic_core import from_json, to_json

from registry.depth import MAX_NESTING
from registry.errors import (
    CodecError,
    NotJournalableError,
    UnknownClassError,
    UnreadableValueError,
)
from registry.journal import coding, opaque
from registry.journal.codec import decode, encode, register_codec
from registry.journal.coding import Encoder, KeyTable
from registry.schema import ABSENT, schema_of
from registry.values import Opaque, same_value, shown
from tests.model.odd_values import ODD, Changeable, Fixed, Items, Odd, Pair, Plain, Text
from tests.model.values import ATOMS, Box, Colour, Label, Point

RAN: list[str] = []
"""What code of the classes below ran."""


class Level(enum.IntEnum):
    """An enum that is a number."""

    LOW = 1
    HIGH = 2


class Word(str, enum.Enum):  # noqa: UP042 - the kind that is not a StrEnum
    """An enum that is a text."""

    A = "a"


class Rights(enum.Flag):
    """An enum of which members are combined."""

    READ = 1
    WRITE = 2

    @classmethod
    def _missing_(cls, value: object) -> Any:
        RAN.append("missing")
        return super()._missing_(value)


class Private(BaseModel):
    """A model with all that a model can have."""

    model_config = {"extra": "allow"}

    a: int = 0
    _hidden: list[int] = PrivateAttr(default_factory=list)


@dataclasses.dataclass(slots=True)
class Slotted:
    """A dataclass whose attributes are in slots."""

    x: Any
    y: Any = None


@dataclasses.dataclass(frozen=True)
class Loud:
    """A dataclass that says when its code runs."""

    x: Any = None

    def __post_init__(self) -> None:
        RAN.append("post_init")


class Guarded(BaseModel):
    """A model that is never made of data by its own code."""

    x: Any = None

    def __init__(self, **data: Any) -> None:
        RAN.append("init")
        super().__init__(**data)

    def __setattr__(self, name: str, value: Any) -> None:
        RAN.append("setattr")
        super().__setattr__(name, value)


class Table(dict[Any, Any]):
    """A kind of dict with an attribute, and code of its own."""

    def __init__(self) -> None:
        RAN.append("init")

    def __setitem__(self, key: Any, value: Any) -> None:
        RAN.append("setitem")
        super().__setitem__(key, value)


class Count(int):
    """A kind of number."""


class Ratio(float):
    """A kind of number."""


class Bag(set[Any]):
    """A kind of set."""


class Money:
    """A class of which we know nothing."""

    def __init__(self, cents: int) -> None:
        self.cents = cents

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and self.cents == other.cents

    __hash__ = None  # type: ignore[assignment]


T = TypeVar("T")


class Boxed(BaseModel, Generic[T]):
    """A model with a parameter."""

    item: T


class Doomed:
    """What a finalizer does when its object goes."""

    def __del__(self) -> None:
        if RAN is not None:  # at the end of the process
            RAN.append("del")


@dataclasses.dataclass
class DoomedData(Doomed):
    """A dataclass with a finalizer."""

    x: int = 0


def to_bytes(plain: Any) -> bytes:
    """Return plain data as the JSON that blobs are made of."""
    return to_json(plain, inf_nan_mode="constants")


def from_bytes(data: bytes) -> Any:
    return from_json(data, allow_inf_nan=True)


def written(value: Any) -> bytes:
    """Return a value and the names in it as JSON."""
    table = KeyTable()
    plain = encode(value, table, "x of Odd:1")
    return to_bytes([plain, table.written()])


def read(data: bytes) -> Any:
    """Return the value that `written` wrote."""
    plain, table = from_bytes(data)
    return decode(plain, KeyTable.read(table))


def again(value: Any) -> Any:
    return read(written(value))


def again_opaque(value: Any) -> Any:
    result = again(Opaque(value))
    assert type(result) is Opaque
    return result.value


@pytest.fixture(autouse=True)
def nothing_ran() -> Iterator[None]:
    RAN.clear()
    yield
    RAN.clear()


@pytest.fixture
def own_codecs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codecs that are registered in a test are gone after it."""
    monkeypatch.setattr(opaque, "_CODECS", {})
    for cls in (Money, Box):
        monkeypatch.delitem(coding.ENCODERS, cls, raising=False)


def id_of(value: Any) -> str:
    return shown(value, 40).encode("ascii", "backslashreplace").decode()


# --- everything that can be journaled comes back as it was ---

EXACT: list[Any] = [
    *ATOMS,
    -0.0,
    math.inf,
    5e-324,
    2**1023,
    2**1024,
    -(2**1024),
    -(10**5000),
    "\ud83d\ude00",  # two halves, which are not the character that they would be together
    "😀\udfff",
    "\x00\u2028",
    b"\xff\x00",
    complex(math.nan, -0.0),
    range(True, 2**70, 3),
    slice(None, [1], ...),
    ...,
    NotImplemented,
    Level.HIGH,
    Word.A,
    Rights.READ,
    Rights.READ | Rights.WRITE,
    Rights(0),
    re.RegexFlag.I,
    dt.datetime(2013, 1, 1, 2, 30, 0, 1, fold=1),  # noqa: DTZ001 - users have such
    dt.datetime(2013, 10, 27, 2, 30, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"), fold=1),
    dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-1, microseconds=1))),
    dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(0), "nowhere")),
    TypeAdapter(dt.datetime).validate_python("2013-01-01T00:00:00+01:00"),
    dt.time(1, fold=1, tzinfo=dt.UTC),
    dt.time.max,
    dt.date.max,
    dt.timedelta.min,
    dt.UTC,
    zoneinfo.ZoneInfo("Asia/Tokyo"),
    Decimal("1.00"),
    Decimal("-0E-30"),
    Decimal("NaN"),
    Decimal("-Infinity"),
    Fraction(2**2000, 3),
    uuid.UUID(int=0),
    pathlib.PureWindowsPath("C:/a"),
    pathlib.Path("/tmp/\udcff"),  # noqa: S108 - no file
    os.path.join,
    len,
    Odd,
    type(None),
    types.FunctionType,
    dict,
    sys,
    ABSENT,
    (),
    (1, (True, (1.0, "a"))),
    frozenset({(1, 2), "a", None}),
]


@pytest.mark.parametrize("value", EXACT, ids=id_of)
def test_an_atom_comes_back_exactly(value: Any) -> None:
    for stored in (value, [value, 1], {"k": value}, (value,)):
        assert same_value(again(stored), stored)
    assert same_value(again_opaque(value), value)


CONTENTS: list[Any] = [
    Point(1, 2, [3]),
    Label(text="\ud800", items=[1]),
    Label.model_construct(items=[3]),
    Slotted([1], {2: 3}),
    Fixed(3),
    Pair([1], Pair(None, {})),
    Text("\ud800"),
    Items([1, Items([])]),
    Count(10**5000),
    Ratio(-0.0),
    Bag({1, "a"}),
    collections.deque([1, [2]], maxlen=3),
    collections.OrderedDict(b=1, a=2),
    collections.defaultdict(list, {"a": [1]}),
    collections.defaultdict(None, {1: 2}),
    collections.Counter("aab"),
    bytearray(b"\x00\xff"),
    types.SimpleNamespace(b=1, a=[types.SimpleNamespace()]),
    re.compile(r"\d+", re.IGNORECASE | re.MULTILINE),
    re.compile(rb"a", re.DOTALL),
    Boxed[int](item=1),
    np.arange(6).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(12)[::2],
    np.array(3),
    np.zeros((0, 3)),
    np.array(["a", "bcd"]),
    np.array([b"a", b"bcd"]),
    np.array([1, 2], dtype=">i4"),
    np.array([1, 2], dtype=np.longlong),
    np.array([1 + 2j, math.nan]),
    np.array(["2013-01-01", "NaT"], dtype="M8[25s]"),
    np.array([(1, 2.0)], dtype=[("a", "<i4"), ("b", "<f8", (2,))]),
    np.array([[1, "a"], [None, [2]]], dtype=object),
    np.float64(1.5),
    np.float32(-0.0),
    np.longlong(3),
    np.bool_(True),
    np.datetime64("2013-01-01"),
    np.timedelta64(3),
    np.str_(""),
    np.str_("ab"),
    np.bytes_(b"ab"),
    {"a": np.float64(1.0), (1, "x"): [Fixed(1)], Fixed(2): {Fixed(3)}},
    {np.int64(1): 2, Text("k"): 3},
    {Text("k"): 3},
    [[1.0, 2.0], [True], ["a"], [1], [None], []],
]


@pytest.mark.parametrize("value", CONTENTS, ids=id_of)
def test_an_opaque_value_comes_back_exactly(value: Any) -> None:
    for each in (value, [value], Point(trail=[value])):
        result = again_opaque(each)

        assert same_value(result, each)
        assert same(result, each)


def same(a: Any, b: Any) -> bool:
    """Tell whether two values are the same, of the same types, all the way down, in one order.

    Stricter than `same_value`, and NaN is itself also where a class's own `==` says no.
    """
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return same(list(a), list(b)) and same([*a.values()], [*b.values()])
    if isinstance(a, (list, tuple, collections.deque)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, (set, frozenset)):
        return {(type(each), each) for each in a} == {(type(each), each) for each in b}
    if isinstance(a, (Opaque, BaseModel, types.SimpleNamespace)) or dataclasses.is_dataclass(a):
        return same(parts_of(a), parts_of(b))
    return same_value(a, b)


def parts_of(value: Any) -> dict[str, Any]:
    slots = [name for cls in type(value).__mro__ for name in getattr(cls, "__slots__", ())]
    return {**getattr(value, "__dict__", {}), **{name: getattr(value, name) for name in slots}}


NOT_JOURNALABLE = {
    *("ring", "ring of dicts", "ring of tuples", "cycle of entities", "shared entity"),
    *("shared list", "list 100 deep", "list 101 deep", "list 10000 deep", "dict 10000 deep"),
    *("tuple 10000 deep", "mix 10000 deep", "objects 240 deep", "objects 10000 deep"),
    *("entity in dataclass", "entity in model", "entity in object", "entity in deque"),
    *("entity in kind of list", "entity in named tuple", "entity as dict key"),
    *("entity in dict key", "entity in set", "entity in frozenset", "object as dict key"),
    *("nan key", "generator", "iterator", "lock", "thread", "file", "open file", "frame"),
    *("memoryview", "mapping proxy", "namespace", "exception", "not comparable"),
    *("not showable", "not copyable", "without attributes", "object"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_value_comes_back_or_is_refused(name: str) -> None:
    value = ODD[name]()
    if name in NOT_JOURNALABLE:
        with pytest.raises(NotJournalableError) as caught:
            again(Opaque(value))
        assert caught.value.place.startswith("x of Odd:1")
    else:
        assert same_value(again_opaque(value), value)


def atoms() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(st.characters(exclude_categories=())),  # half surrogates too
        st.binary(),
        st.complex_numbers(),
        st.datetimes(timezones=st.none() | st.timezones(), allow_imaginary=False),
        st.dates(),
        st.times(),
        st.timedeltas(),
        st.decimals(allow_nan=False),
        st.fractions(),
        st.uuids(),
        st.sampled_from([*Colour, *Level, *Word, *Rights, len, Odd, ABSENT, ..., sys, dt.UTC]),
    )


def keys_of_dicts() -> st.SearchStrategy[Any]:
    single = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text(st.characters(exclude_categories=())),
        st.binary(),
        st.dates(),
        st.uuids(),
        st.sampled_from([*Colour, Fixed(1), Fixed(2), Text("t"), np.int64(3)]),
    )
    return single | st.tuples(single, single) | st.frozensets(single, max_size=3)


def below(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(keys_of_dicts(), inner, max_size=4),
        st.dictionaries(st.text(max_size=3), inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.sets(keys_of_dicts(), max_size=4),
        st.frozensets(keys_of_dicts(), max_size=4),
    )


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return below(inner) | st.one_of(
        st.builds(Slotted, inner, inner),
        st.builds(lambda x: Point(x, 1, []), inner),
        st.builds(lambda x: Label.model_construct(text=x), inner),
        st.builds(lambda x: Private.model_validate({"a": 1, "more": x}), inner),
        st.lists(inner, max_size=3).map(Items),
        st.lists(inner, max_size=3).map(collections.deque),
        st.tuples(inner, inner).map(lambda two: Pair(*two)),
        st.builds(lambda x: types.SimpleNamespace(x=x), inner),
    )


VALUES = st.recursive(atoms(), objects, max_leaves=12)


@given(VALUES)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_value_in_an_opaque_one_comes_back_exactly(value: Any) -> None:
    assert same(again_opaque(value), value)


STORED = st.recursive(atoms() | VALUES.map(Opaque), below, max_leaves=12)


@given(STORED)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_value_comes_back_exactly(stored: Any) -> None:
    assert same(again(stored), stored)


@given(st.floats())
@example(-0.0)
def test_a_float_comes_back_to_the_bit(number: float) -> None:
    result = again(number)

    assert type(result) is float
    assert (math.isnan(result) and math.isnan(number)) or result.hex() == number.hex()


def test_all_of_a_model_comes_back() -> None:
    model = Private.model_validate({"a": 1, "more": [2]})
    model._hidden.append(3)

    result = again_opaque(model)

    assert result == model
    assert result.__pydantic_extra__ == {"more": [2]}
    assert result._hidden == [3]
    assert result.model_fields_set == {"a", "more"}


def test_an_array_comes_back_in_its_order_in_memory_and_can_be_written() -> None:
    for array in (np.arange(6).reshape(2, 3), np.arange(6).reshape(2, 3).T):
        result = again_opaque(array)

        assert result.flags.c_contiguous == array.flags.c_contiguous
        assert result.flags.f_contiguous == array.flags.f_contiguous
        result[0, 0] = 7


def test_the_order_of_a_dict_comes_back() -> None:
    for order in (["b", "a", "c"], [2, "a", 1]):
        stored = dict.fromkeys(order)
        assert list(again(stored)) == order
        assert list(again_opaque(stored)) == order


def test_what_an_opaque_value_holds_twice_is_one_object_again() -> None:
    shared: list[Any] = [1]
    point = Point(trail=[shared, (shared,), {"k": shared}])  # type: ignore[list-item]  # any item

    result: Any = again_opaque(point).trail

    assert result[0] is result[1][0] is result[2]["k"]
    assert same_value(result, point.trail)


def test_what_doubles_at_every_level_costs_its_levels_only() -> None:
    value: Any = []
    for _ in range(70):
        value = [value, value]

    data = written(Opaque(value))

    assert len(data) < 5000
    result: Any = read(data)
    assert result.value[0] is result.value[1]


def test_a_state_of_a_deleted_attribute_comes_back() -> None:
    state = (1, ABSENT, frozenset({"a"}))

    assert again(state) == state
    assert again(state)[1] is ABSENT


# --- what is refused ---


@pytest.mark.parametrize(
    ("value", "place", "kind"),
    [
        (lambda: None, "x of Odd:1", "function"),
        ([1, {"a": lambda: None}], "x of Odd:1[1]['a']", "function"),
        (Opaque(Point(trail=[Plain()])), "x of Odd:1.trail[0]", "Plain"),  # type: ignore[list-item]  # any item
        (Opaque(collections.deque([1, Plain()])), "x of Odd:1[1]", "Plain"),
        ({math.nan}, "x of Odd:1{nan}", "float"),
        ({(1, math.nan): 1}, "x of Odd:1[(1, nan)]", "float"),
        ({Fixed(math.nan): 1}, "x of Odd:1[Fixed(number=nan)]", "float"),  # type: ignore[arg-type]  # any number
        (Opaque([DoomedData()]), "x of Odd:1[0]", "DoomedData"),
        (Opaque(np.array(["a"], dtype=np.dtypes.StringDType())), "x of Odd:1", "ndarray"),
    ],
    ids=str,
)
def test_what_is_refused_is_named_with_its_place(value: Any, place: str, kind: str) -> None:
    with pytest.raises(NotJournalableError) as caught:
        written(value)

    assert (caught.value.place, caught.value.kind) == (place, kind)


def test_the_refusal_says_the_way_out() -> None:
    with pytest.raises(NotJournalableError) as caught:
        written(Opaque(Money(1)))

    assert str(caught.value) == (
        "x of Odd:1 holds a Money, which cannot be journaled: there is no codec for its class; "
        "store data, or register a codec: "
        "registry.journal.register_codec(cls, name=..., encode=..., decode=...), "
        "or annotate the field with a pydantic serializer and validator"
    )


def test_a_class_that_its_name_does_not_find_is_refused() -> None:
    @dataclasses.dataclass
    class Local:
        x: int = 0

    for value in (Local(), Local):
        with pytest.raises(NotJournalableError, match="is not found by its name"):
            written(Opaque(value))


def test_an_encoder_can_be_used_after_a_refusal() -> None:
    encoder = Encoder(KeyTable())
    for _ in range(500):
        with pytest.raises(coding.Refused):
            encoder.value(Opaque([[[object()]]]))
        encoder.reset()

    assert encoder.value([[1]]) == [1, [1, 1]]


class _Hostile:
    """Raises whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.mark.parametrize(
    "make",
    [
        _Hostile,
        lambda: Items([_Hostile()]),
        lambda: type("Odd", (), {})(),
        object,
        lambda: "a".join,
        lambda: str.join,
        lambda: list[int],
    ],
)
def test_any_object_at_all_is_written_or_refused(make: Callable[[], Any]) -> None:
    with contextlib.suppress(NotJournalableError):
        written(Opaque(make()))


def test_the_text_of_a_refused_value_is_not_asked_for() -> None:
    """It may have as many characters as there are atoms, and tracebacks are printed."""
    value: Any = object()
    for _ in range(70):
        value = [value, value]

    with pytest.raises(NotJournalableError) as caught:
        written(Opaque(value))

    assert len(str(caught.value.__cause__)) < 100


# --- what is read runs nothing, and is found wrong ---

HOSTILE: list[Any] = [
    ["os:system", [21, 0, "x", 1]],
    ["os:system", [22, 0, "echo"]],
    ["os:system", [51, 0, "x"]],
    ["os:system", [54, 0, "name"]],
    ["os:system", [55, 0, 1]],
    ["os:system", [26, 0, "echo"]],
    ["builtins:eval", [21, 0, "x", 1]],
    ["builtins:type", [21, 0]],
    ["subprocess:Popen", [21, 0, "args", [1, "echo"]]],
    [f"{__name__}:DoomedData", [21, 0, "x", 1]],
    [f"{__name__}:Rights", [54, 0, "a"]],
    [f"{__name__}:Word", [22, 0, "b"]],
    [f"{__name__}:Level", [22, 0, 3]],
    [f"{__name__}:Odd", [21, 0, "x", 1]],
    [f"{__name__}:RAN", [21, 0, "x", 1]],
    [f"{__name__}:Rights", [55, 0, "a"]],
]


@pytest.mark.parametrize(("name", "plain"), HOSTILE, ids=str)
def test_data_that_names_code_does_not_run_it(
    name: str, plain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "system", lambda *_: RAN.append("system"))

    with pytest.raises((UnreadableValueError, UnknownClassError)):
        read(to_bytes([plain, ["", name]]))

    assert RAN == []


def test_a_value_is_made_again_without_any_code_of_its_class() -> None:
    guarded, loud, table = Guarded(x=1), Loud(2), Table()
    dict.__setitem__(table, "a", 1)
    table.more = 2  # type: ignore[attr-defined]  # any attribute
    RAN.clear()

    result = again_opaque([guarded, loud, table])

    assert RAN == []
    assert same_value(result, [guarded, loud, table])
    assert vars(result[2]) == {"more": 2}


def test_a_flag_that_is_no_member_is_made_without_the_code_of_its_class() -> None:
    both = Rights.READ | Rights.WRITE
    data = written(both)
    del Rights._value2member_map_[3]
    RAN.clear()

    result = read(data)

    assert RAN == []
    assert (result.value, result.name) == (3, "READ|WRITE")
    assert Rights._value2member_map_[3] is result


def test_nothing_is_imported_and_the_missing_module_is_named() -> None:
    name = "wsgiref.simple_server"
    assert name not in sys.modules

    with pytest.raises(UnknownClassError) as caught:
        read(to_bytes([[56, 0], ["", f"{name}:WSGIServer"]]))

    assert caught.value.name == f"{name}:WSGIServer"
    assert caught.value.way_out == f"import module {name!r} before"
    assert name not in sys.modules


def test_a_module_that_makes_attributes_when_asked_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lazy = types.ModuleType("lazy_module")
    lazy.__getattr__ = lambda name: RAN.append(name)  # type: ignore[method-assign]  # PEP 562
    monkeypatch.setitem(sys.modules, "lazy_module", lazy)

    with pytest.raises(UnknownClassError, match="is loaded and has no 'Thing'"):
        read(to_bytes([[56, 0], ["", "lazy_module:Thing"]]))

    assert RAN == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 100)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["QQ==", "0x1", "<i4", "|O", "2013-01-01", "C"]),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
        | st.tuples(st.sampled_from(sorted(coding.DECODERS)), inner, inner).map(list)
        | st.tuples(st.sampled_from(sorted(coding.DECODERS)), inner).map(list)
        | st.tuples(st.sampled_from([20, 21, 22]), st.integers(0, 4), inner, inner).map(list)
    ),
    max_leaves=12,
)
NAMES = [
    "",
    f"{__name__}:Slotted",
    f"{__name__}:Colour",
    "collections:deque",
    f"{__name__}:Private",
    f"{__name__}:Items",
]


@given(JSON)
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_data_is_told_by_our_errors_only(plain: Any) -> None:
    with contextlib.suppress(UnreadableValueError, UnknownClassError):
        decode(from_bytes(to_bytes(plain)), KeyTable.read(NAMES))


@given(VALUES, st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_changed_byte_is_told_by_our_errors_only(value: Any, data: Any) -> None:
    whole = bytearray(written(Opaque(value)))
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(UnreadableValueError, UnknownClassError):
        try:
            plain, names = from_bytes(bytes(whole))
            table = KeyTable.read(names)
        except (ValueError, TypeError):  # whoever reads the blob says so; see `Unpacker`
            return
        decode(plain, table)


@pytest.mark.parametrize("keys", [None, [], ["%"], ["QQ=="], [1], ["", 1], "AAAA"], ids=str)
def test_a_damaged_table_of_keys_is_told(keys: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        KeyTable.read(keys)


def test_the_deepest_value_that_is_written_is_read() -> None:
    inside: Any = dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(1) / 2))
    for _ in range(coding.MAX_INSIDE // 4):
        inside = [Slotted(collections.deque([slice(inside)])), "a"]
    with pytest.raises(NotJournalableError, match="it nests values more than 80 deep"):
        again_opaque(inside)
    inside = dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(1) / 2))
    for _ in range((coding.MAX_INSIDE - 3) // 6):  # each deque is three levels
        inside = [Slotted(collections.deque([slice(inside)])), "a"]
    value: Any = Opaque(inside)
    for _ in range(MAX_NESTING):
        value = [value, "a"]

    assert same(again(value), value)


def test_a_stack_that_is_full_is_no_damage() -> None:
    data = written(Opaque(Point(trail=[Point(), Point()])))  # type: ignore[list-item]  # any item

    def read_deep(left: int) -> Any:
        return read(data) if not left else read_deep(left - 1)

    limit = sys.getrecursionlimit()

    with pytest.raises(RecursionError):
        list(map(read_deep, range(limit - 300, limit)))


# --- users' codecs ---


def money_codec(**changed: Any) -> dict[str, Any]:
    return {
        "name": "money",
        "encode": lambda money: [money.cents],
        "decode": lambda parts: Money(*parts),
    } | changed


@pytest.mark.usefixtures("own_codecs")
def test_a_codec_writes_and_reads_what_nothing_else_can() -> None:
    register_codec(Money, **money_codec())
    money = Money(3)

    result = again_opaque([money, Point(trail=[money])])  # type: ignore[list-item]  # any item

    assert result[0] == money
    assert result[1].trail[0] is result[0]


@pytest.mark.usefixtures("own_codecs")
def test_a_codec_is_registered_again_with_the_same_name() -> None:
    register_codec(Money, **money_codec())
    register_codec(Money, **money_codec(encode=lambda money: (money.cents,)))

    assert again_opaque(Money(4)) == Money(4)


@pytest.mark.usefixtures("own_codecs")
@pytest.mark.parametrize(
    ("cls", "changed"),
    [
        (Box, {}),
        (Money, {"name": "other"}),
        (list, {"name": "list"}),
        (Odd, {"name": "odd"}),
        (Box, {"name": "box", "decode": None}),
        (Box, {"name": ""}),
        (3, {"name": "three"}),
    ],
    ids=str,
)
def test_a_codec_that_cannot_be_is_refused(cls: Any, changed: dict[str, Any]) -> None:
    register_codec(Money, **money_codec())

    with pytest.raises(CodecError):
        register_codec(cls, **money_codec(**changed))


@pytest.mark.usefixtures("own_codecs")
def test_a_codec_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    register_codec(Money, **money_codec())
    data = written(Opaque(Money(3)))
    monkeypatch.setattr(opaque, "_CODECS", {})

    with pytest.raises(UnknownClassError) as caught:
        read(data)

    assert caught.value.name == "money"
    assert "register_codec" in caught.value.way_out


@pytest.mark.usefixtures("own_codecs")
@pytest.mark.parametrize(
    "changed",
    [
        {"encode": lambda _: 1 / 0},
        {"encode": lambda _: Plain()},
        {"encode": lambda money: money},
    ],
    ids=["raises", "gives another", "gives itself"],
)
def test_a_codec_that_cannot_write_is_refused_with_the_place(changed: dict[str, Any]) -> None:
    register_codec(Money, **money_codec(**changed))

    with pytest.raises(NotJournalableError) as caught:
        written(Opaque([Money(1)]))

    assert caught.value.place.startswith("x of Odd:1[0]")


@pytest.mark.usefixtures("own_codecs")
@pytest.mark.parametrize("make", [lambda _: 1 / 0, lambda parts: parts], ids=["raises", "another"])
def test_a_codec_that_cannot_read_is_told(make: Callable[[Any], Any]) -> None:
    register_codec(Money, **money_codec(decode=make))

    with pytest.raises(UnreadableValueError):
        again_opaque(Money(1))


def test_pydantic_json_reads_what_it_writes() -> None:
    """What the whole file rests on."""
    for value in (2**1024 - 1, -(2**1024) + 1, math.inf, -0.0, 5e-324, "\x00\ufeff"):
        result = from_json(to_json(value, inf_nan_mode="constants"), allow_inf_nan=True)
        assert same_value(result, value)


def test_a_schema_is_no_value() -> None:
    with pytest.raises(NotJournalableError):
        written(Opaque(schema_of(Odd)))


class Trail(NamedTuple):
    """A kind of tuple with defaults."""

    first: Any = 1


def test_changeable_members_of_a_set_come_back_in_their_own_wrapping() -> None:
    result = again({Opaque(Changeable(1)), Opaque(Trail())})

    assert {type(each) for each in result} == {Opaque}
    assert sorted(type(each.value).__name__ for each in result) == ["Changeable", "Trail"]
