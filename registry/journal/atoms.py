"""Atoms as plain data: what is kept by reference, and comes back equal and of its very type."""

from __future__ import annotations

import binascii
import datetime as dt
import decimal
import enum
import fractions
import pathlib
import re
import sys
import types
import uuid
import zoneinfo
from typing import Any

from pydantic_core import TzInfo

from registry.errors import UnknownClassError
from registry.journal.coding import (
    CLASSIFIERS,
    ENCODERS,
    Decoder,
    Encode,
    Encoder,
    Plain,
    Refused,
    decodes,
)
from registry.journal.names import find_name
from registry.schema import ABSENT, Missing

(BYTES, TEXT, NUMBER, COMPLEX, RANGE, SLICE, ELLIPSIS, NOT_IMPLEMENTED) = range(30, 38)
(DATETIME, DATE, TIME, TIMEDELTA, UTC, TIMEZONE, ZONE, OFFSET) = range(40, 48)
(DECIMAL, FRACTION, UUID, PATH, MEMBER, FLAGS, NAMED, MODULE, PATTERN) = range(50, 59)
GONE = 59

_BIG = 1 << 1024
"""Numbers beyond it are written in hexadecimal: decimals of more than 4,300 digits are not read."""


def to_text(data: bytes) -> str:
    """Return bytes as text."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def to_bytes(text: str) -> bytes:
    """Return the bytes that a text stands for."""
    return binascii.a2b_base64(text, strict_mode=True)


def is_text(value: str) -> bool:
    """Tell whether a text is one in every encoding: it has no half of a surrogate pair."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(value: str, _: Encoder) -> Plain:
    if value.isascii() or is_text(value):
        return value
    return [TEXT, to_text(value.encode("utf-8", "surrogatepass"))]


@decodes(TEXT)
def _read_text(plain: list[Plain], _: Decoder) -> str:
    return to_bytes(plain[1]).decode("utf-8", "surrogatepass")


def is_small(value: int) -> bool:
    """Tell whether a number is read by every reader of JSON of ours."""
    return -_BIG < value < _BIG


def _number(value: int, _: Encoder) -> Plain:
    return value if -_BIG < value < _BIG else [NUMBER, hex(value)]


@decodes(NUMBER)
def _read_number(plain: list[Plain], _: Decoder) -> int:
    return int(plain[1], 16)


def _parts(tag: int, *names: str) -> Encode:
    """Write an atom by its attributes."""

    def write(value: Any, encoder: Encoder) -> Plain:
        encoder.enter(value)  # a slice may hold anything
        out = encoder.values([getattr(value, name) for name in names], [tag])
        encoder.depth -= 1
        return out

    return write


@decodes(BYTES)
def _read_bytes(plain: list[Plain], _: Decoder) -> bytes:
    return to_bytes(plain[1])


@decodes(COMPLEX)
def _read_complex(plain: list[Plain], _: Decoder) -> complex:
    return complex(*_floats(plain))


def _floats(plain: list[Plain]) -> list[float]:
    if {*map(type, plain[1:])} != {float}:
        raise TypeError("expected floats")
    return plain[1:]


@decodes(RANGE)
def _read_range(plain: list[Plain], decoder: Decoder) -> range:
    return range(*decoder.values(plain))


@decodes(SLICE)
def _read_slice(plain: list[Plain], decoder: Decoder) -> Any:
    start, stop, step = decoder.values(plain)
    return slice(start, stop, step)


# --- times: as ISO text, with what that leaves out ---


def _moment(tag: int) -> Encode:
    def write(value: Any, encoder: Encoder) -> Plain:
        zone, fold = value.tzinfo, value.fold
        if zone is None and not fold:
            return [tag, value.isoformat()]
        text = value.replace(tzinfo=None, fold=0).isoformat()
        return [tag, text, encoder.value(zone), fold]

    return write


@decodes(DATETIME)
def _read_datetime(plain: list[Plain], decoder: Decoder) -> dt.datetime:
    return _in_zone(dt.datetime.fromisoformat(plain[1]), plain, decoder)  # type: ignore[no-any-return]  # as it was


@decodes(TIME)
def _read_time(plain: list[Plain], decoder: Decoder) -> dt.time:
    return _in_zone(dt.time.fromisoformat(plain[1]), plain, decoder)  # type: ignore[no-any-return]  # as it was


def _in_zone(moment: Any, plain: list[Plain], decoder: Decoder) -> Any:
    if plain[2:] == []:
        return moment
    return moment.replace(tzinfo=decoder.value(plain[2]), fold=plain[3])


@decodes(DATE)
def _read_date(plain: list[Plain], _: Decoder) -> dt.date:
    return dt.date.fromisoformat(plain[1])


@decodes(TIMEDELTA)
def _read_timedelta(plain: list[Plain], _: Decoder) -> dt.timedelta:
    days, seconds, microseconds = plain[1:]
    return dt.timedelta(days, seconds, microseconds)


def _timezone(value: dt.timezone, encoder: Encoder) -> Plain:
    if value is dt.UTC:
        return [UTC]
    offset, *name = value.__getinitargs__()  # type: ignore[attr-defined]  # what pickle asks for
    return [TIMEZONE, *[encoder.value(each) for each in (offset, *name)]]


@decodes(TIMEZONE)
def _read_timezone(plain: list[Plain], decoder: Decoder) -> dt.timezone:
    return dt.timezone(*decoder.values(plain))


def _zone(value: zoneinfo.ZoneInfo, _: Encoder) -> Plain:
    if value.key is None:
        raise Refused(value, "it was made of a file and has no key")
    return [ZONE, value.key]


@decodes(ZONE)
def _read_zone(plain: list[Plain], _: Decoder) -> zoneinfo.ZoneInfo:
    return zoneinfo.ZoneInfo(plain[1])


def _offset(value: TzInfo, _: Encoder) -> Plain:
    return [OFFSET, value.utcoffset(None).total_seconds()]  # type: ignore[union-attr]  # it has one


@decodes(OFFSET)
def _read_offset(plain: list[Plain], _: Decoder) -> TzInfo:
    return TzInfo(plain[1])


# --- numbers and names of the standard library ---


def _decimal(value: decimal.Decimal, _: Encoder) -> Plain:
    return [DECIMAL, str(value)]


@decodes(DECIMAL)
def _read_decimal(plain: list[Plain], _: Decoder) -> decimal.Decimal:
    return decimal.Decimal(plain[1])


@decodes(FRACTION)
def _read_fraction(plain: list[Plain], decoder: Decoder) -> fractions.Fraction:
    return fractions.Fraction(*decoder.values(plain))


def _uuid(value: uuid.UUID, _: Encoder) -> Plain:
    return [UUID, f"{value.int:032x}"]


@decodes(UUID)
def _read_uuid(plain: list[Plain], _: Decoder) -> uuid.UUID:
    return uuid.UUID(int=int(plain[1], 16))


_PATHS: tuple[type[pathlib.PurePath], ...] = (
    pathlib.PurePosixPath,
    pathlib.PureWindowsPath,
    pathlib.PosixPath,
    pathlib.WindowsPath,
)


def _path(value: pathlib.PurePath, encoder: Encoder) -> Plain:
    cls = type(value)
    text = str(value)
    if cls(text) != value:
        raise Refused(value, "its text is that of another path")
    return [PATH, _PATHS.index(cls), encoder.value(text)]


@decodes(PATH)
def _read_path(plain: list[Plain], decoder: Decoder) -> pathlib.PurePath:
    return _PATHS[plain[1]](decoder.value(plain[2]))


def _pattern(value: re.Pattern[Any], encoder: Encoder) -> Plain:
    return [PATTERN, encoder.value(value.pattern), value.flags]


@decodes(PATTERN)
def _read_pattern(plain: list[Plain], decoder: Decoder) -> re.Pattern[Any]:
    pattern = decoder.value(plain[1])
    # A text pattern says of itself that it is Unicode, and accepts to be told so.
    return re.compile(pattern, plain[2])


# --- what is written by name ---


def name_position(thing: Any, value: Any, encoder: Encoder) -> int:
    """Return the position in the table of the name of a class or function.

    Args:
        thing: What is named.
        value: What is being written, for the message.
        encoder: What writes it.

    Raises:
        Refused: No name gives back that very thing.
    """
    name = _NAMES.get(thing)
    if name is None:
        name = find_name(thing)
        if name is None:
            shown = getattr(thing, "__qualname__", "?")
            raise Refused(
                value,
                f"{shown} is not found by its name; define it at the top of a module that is "
                "imported before the store is opened",
            )
        if isinstance(thing, type):
            _NAMES[thing] = name
    return encoder.table.names[name]


_NAMES: dict[Any, str] = {}
"""Names of classes that were asked for before."""


def _named(value: Any, encoder: Encoder) -> Plain:
    return [NAMED, name_position(value, value, encoder)]


@decodes(NAMED)
def _read_named(plain: list[Plain], decoder: Decoder) -> Any:
    found = decoder.table.named(plain[1])
    if not isinstance(found, (type, types.FunctionType, types.BuiltinFunctionType)):
        raise TypeError(f"{decoder.table.name(plain[1])} is no class and no function")
    return found


def _module(value: types.ModuleType, _: Encoder) -> Plain:
    name = value.__name__
    if sys.modules.get(name) is not value:
        raise Refused(value, f"module {name} is not found by its name")
    return [MODULE, name]


@decodes(MODULE)
def _read_module(plain: list[Plain], _: Decoder) -> types.ModuleType:
    found = sys.modules.get(plain[1])
    if not isinstance(found, types.ModuleType):
        raise UnknownClassError(plain[1], f"import module {plain[1]!r} before")
    return found


def _member(value: enum.Enum, encoder: Encoder) -> Plain:
    cls = type(value)
    position = name_position(cls, value, encoder)
    if cls._member_map_.get(value._name_) is value:  # no code of the class's runs
        return [MEMBER, position, encoder.value(value._name_)]
    if isinstance(value, enum.Flag) and type(value._value_) is int:
        return [FLAGS, position, encoder.value(value._value_)]
    raise Refused(value, "it is no member of its class")


@decodes(MEMBER)
def _read_member(plain: list[Plain], decoder: Decoder) -> enum.Enum:
    cls = _enum(plain, decoder, enum.Enum)
    return cls._member_map_[decoder.value(plain[2])]  # type: ignore[no-any-return]  # a member


@decodes(FLAGS)
def _read_flags(plain: list[Plain], decoder: Decoder) -> enum.Enum:
    cls, value = _enum(plain, decoder, enum.Flag), decoder.value(plain[2])
    if type(value) is not int:
        raise TypeError("expected a number")
    known = cls._value2member_map_.get(value)
    # Not cls(value): a class may have a `_missing_` of its own, and data calls nobody's code.
    if known is None:
        known = enum.Flag._missing_.__func__(cls, value)  # type: ignore[attr-defined]  # a classmethod
    return known  # type: ignore[no-any-return]  # a member, or several together


def _enum(plain: list[Plain], decoder: Decoder, base: type) -> Any:
    cls = decoder.table.named(plain[1])
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise TypeError(f"{decoder.table.name(plain[1])} is no class of {base.__name__}")
    return cls


def _classified(cls: type) -> Encode | None:
    if issubclass(cls, enum.Enum):
        return _member
    return _named if issubclass(cls, type) else None


def _constant(tag: int, value: Any) -> Encode:
    decodes(tag)(lambda _plain, _decoder: value)
    return lambda _value, _encoder: [tag]


ENCODERS.update(
    {
        type(None): None,
        bool: None,
        float: None,
        int: _number,
        str: _text,
        bytes: lambda value, _: [BYTES, to_text(value)],
        complex: _parts(COMPLEX, "real", "imag"),
        range: _parts(RANGE, "start", "stop", "step"),
        slice: _parts(SLICE, "start", "stop", "step"),
        type(...): _constant(ELLIPSIS, ...),
        type(NotImplemented): _constant(NOT_IMPLEMENTED, NotImplemented),
        Missing: _constant(GONE, ABSENT),
        dt.datetime: _moment(DATETIME),
        dt.date: lambda value, _: [DATE, value.isoformat()],
        dt.time: _moment(TIME),
        dt.timedelta: _parts(TIMEDELTA, "days", "seconds", "microseconds"),
        dt.timezone: _timezone,
        zoneinfo.ZoneInfo: _zone,
        TzInfo: _offset,
        decimal.Decimal: _decimal,
        fractions.Fraction: _parts(FRACTION, "numerator", "denominator"),
        uuid.UUID: _uuid,
        re.Pattern: _pattern,
        types.FunctionType: _named,
        types.BuiltinFunctionType: _named,
        types.ModuleType: _module,
        type: _named,
        **dict.fromkeys(_PATHS, _path),
    }
)
decodes(UTC)(lambda _plain, _decoder: dt.UTC)
CLASSIFIERS.append(_classified)
