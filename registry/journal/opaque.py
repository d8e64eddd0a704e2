"""Opaque values as plain data: models, dataclasses, arrays, kinds of built-ins, and users' codecs.

An object is written as its class and its attributes, a kind of a built-in with the built-in's own
value, too. It is made again below its class: none of the `__new__`, `__init__`, `__setattr__`,
validators or `__post_init__` of the user's is called, so that data cannot run what it names.
"""

from __future__ import annotations

import collections
import enum
import re
import sys
import types
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any, NamedTuple

from pydantic import BaseModel

from registry.depth import MAX_NESTING
from registry.entity import Entity
from registry.errors import CodecError, UnknownClassError
from registry.journal.atoms import is_text, name_position, to_bytes, to_text
from registry.journal.coding import (
    CLASSIFIERS,
    ENCODERS,
    Decoder,
    Encode,
    Encoder,
    Plain,
    Refused,
    adapted,
    decodes,
    decodes_once,
    once,
)
from registry.values import KIND, Opaque
from registry.values import OPAQUE as OPAQUE_KIND

(OPAQUE, OBJECT, DERIVED, ARRAY, ITEMS, SCALAR, CODED) = range(20, 27)

_HEAP = 1 << 9
"""Flag of a class that was made while the program runs: all that Python code defines are."""


def _opaque(value: Opaque, encoder: Encoder) -> Plain:
    # However deep it is, and whoever wrote what it is in: as much of it is written, and so read.
    depth, encoder.depth = encoder.depth, MAX_NESTING
    encoder.memo = {}
    plain = [OPAQUE, encoder.value(value.value)]
    encoder.memo = None
    encoder.depth = depth
    encoder.kept = []
    return plain


@decodes(OPAQUE)
def _read_opaque(plain: list[Plain], decoder: Decoder) -> Opaque:
    if decoder.shared is not None:
        raise TypeError("an opaque value in another one")
    decoder.shared = []
    value = decoder.value(plain[1])
    decoder.shared = None
    return Opaque(value)


ENCODERS[Opaque] = _opaque

# --- objects ---


class _Base(NamedTuple):
    """A built-in that classes are derived from: its own value, and an object made of one."""

    take: Callable[[Any], Any]
    make: Callable[[Any, Any], Any]
    is_pair: bool = False
    """Whether the value is a setting beside the items."""


def _filled(base: Any, fill: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def make(cls: Any, value: Any) -> Any:
        made = base.__new__(cls)
        fill(made, value)
        return made

    return make


def _ordered(made: Any, value: dict[Any, Any]) -> None:
    for key, item in value.items():
        collections.OrderedDict.__setitem__(made, key, item)


def _default(made: Any, value: Any) -> None:
    factory, items = value
    collections.defaultdict.__init__(made, factory)
    dict.update(made, items)


def _bounded(made: Any, value: Any) -> None:
    bound, items = value
    collections.deque.__init__(made, items, bound)


_length: Any = collections.deque.__dict__["maxlen"]
_factory: Any = collections.defaultdict.__dict__["default_factory"]
_of_dict: Any = dict.items

_BASES: dict[type, _Base] = {
    collections.OrderedDict: _Base(
        lambda value: dict(collections.OrderedDict.items(value)),
        _filled(collections.OrderedDict, _ordered),
    ),
    collections.defaultdict: _Base(
        lambda value: (_factory.__get__(value), dict(_of_dict(value))),
        _filled(collections.defaultdict, _default),
        is_pair=True,
    ),
    collections.deque: _Base(
        lambda value: (_length.__get__(value), [*collections.deque.__iter__(value)]),
        _filled(collections.deque, _bounded),
        is_pair=True,
    ),
    dict: _Base(lambda value: dict(_of_dict(value)), _filled(dict, dict.update)),
    list: _Base(lambda value: [*list.__iter__(value)], _filled(list, list.extend)),
    set: _Base(lambda value: {*set.__iter__(value)}, _filled(set, set.update)),
    frozenset: _Base(lambda value: frozenset(frozenset.__iter__(value)), frozenset.__new__),
    tuple: _Base(lambda value: (*tuple.__iter__(value),), tuple.__new__),
    bytearray: _Base(lambda value: bytes(memoryview(value)), _filled(bytearray, bytearray.extend)),
    str: _Base(str.__str__, str.__new__),
    int: _Base(int.__int__, int.__new__),
    float: _Base(float.__float__, float.__new__),
    bytes: _Base(lambda value: bytes(memoryview(value)), bytes.__new__),
}
"""The more special first."""


def _attribute_name(name: Any, value: Any, encoder: Encoder) -> Plain:
    if type(name) is not str:
        raise Refused(value, f"it has an attribute named {name!r}")
    return encoder.value(name)


class _Shape:
    """How objects of a class are taken apart, and made again.

    Attributes:
        cls: The class.
        base: The built-in that it is derived from; None for a model, dataclass or namespace.
        slots: The descriptors of its slots.
        dict_of: Gives the `__dict__` of an object; None if it has none.
        bare: Makes an object without any attributes, of a class without such a base.
    """

    __slots__ = ("bare", "base", "cls", "dict_of", "slots")

    def __init__(self, cls: type, base: _Base | None, bare: Callable[[Any], Any]) -> None:
        self.cls = cls
        self.base = base
        self.bare = bare
        self.slots: dict[str, Any] = {}
        self.dict_of: Callable[[Any], dict[str, Any]] | None = None
        for each in reversed(cls.__mro__):
            for name, value in vars(each).items():
                if type(value) is types.MemberDescriptorType and each.__flags__ & _HEAP:
                    self.slots[name] = value
            found: Any = vars(each).get("__dict__")
            if type(found) in (types.GetSetDescriptorType, types.MemberDescriptorType):
                self.dict_of = found.__get__
        if issubclass(cls, types.SimpleNamespace):
            self.dict_of = types.SimpleNamespace.__dict__["__dict__"].__get__

    def attributes(self, value: Any) -> list[tuple[str, Any]]:
        """Return all that an object has, beside the value of its base."""
        held = [] if self.dict_of is None else [*self.dict_of(value).items()]
        for name, slot in self.slots.items():
            try:
                held.append((name, slot.__get__(value)))
            except AttributeError:  # it was never set
                continue
        return held

    def write(self, value: Any, encoder: Encoder) -> Plain:
        """Return the plain form of an object."""
        encoder.enter(value)
        out = [OBJECT, name_position(self.cls, value, encoder)]
        if self.base is not None:
            out[0] = DERIVED
            out.append(self._base_value(self.base, value, encoder))
        name: Any = ""
        try:
            for name, item in self.attributes(value):
                out.append(_attribute_name(name, value, encoder))
                out.append(encoder.value(item))
        except Refused as refused:
            refused.way.append(f".{name}")
            raise
        encoder.depth -= 1
        return out

    @staticmethod
    def _base_value(base: _Base, value: Any, encoder: Encoder) -> Plain:
        try:
            return encoder.value(base.take(value))
        except Refused as refused:
            if base.is_pair and refused.way:
                refused.way.pop()  # the items, as a whole
            raise

    def read(self, plain: list[Plain], decoder: Decoder) -> Any:
        """Return the object again."""
        start = 2
        if self.base is None:
            made = self.bare(self.cls)
        else:
            made = self.base.make(self.cls, decoder.value(plain[2]))
            start = 3
        held = decoder.values(plain, start)
        fields: dict[str, Any] = {}
        for name, item in zip(held[::2], held[1::2], strict=True):
            if type(name) is not str:
                raise TypeError("expected the name of an attribute")
            if name in self.slots:
                self.slots[name].__set__(made, item)
            else:
                fields[name] = item
        if fields:
            if self.dict_of is None:
                raise AttributeError(f"{self.cls.__qualname__} has no {[*fields]}")
            self.dict_of(made).update(fields)
        return made


_SHAPES: dict[type, _Shape | None] = {}


def _shape_of(cls: type) -> _Shape | None:
    """Return how a class is taken apart; None if it is of a kind that cannot be."""
    if cls not in _SHAPES:
        _SHAPES[cls] = _new_shape(cls)
    return _SHAPES[cls]


def _new_shape(cls: type) -> _Shape | None:
    # An object with a finalizer that data made would run it; of an extension's class, we cannot
    # see all that it holds.
    if issubclass(cls, (Entity, enum.Enum)) or any("__del__" in vars(e) for e in cls.__mro__):
        return None
    kind = next((each for each in _BASES if issubclass(cls, each)), None)
    if kind is None and issubclass(cls, types.SimpleNamespace):
        bare: Any = types.SimpleNamespace.__new__
    elif kind is None and not (issubclass(cls, BaseModel) or is_dataclass(cls)):
        return None
    else:
        bare = (kind or object).__new__
    known = {*(kind or object).__mro__, types.SimpleNamespace}
    if not all(each in known or each.__flags__ & _HEAP for each in cls.__mro__):
        return None
    try:
        bare(cls)
    except TypeError:  # it is abstract, or its objects are laid out in another way
        return None
    return _Shape(cls, None if kind is None else _BASES[kind], bare)


def _classified(cls: type) -> Encode | None:
    shape = _shape_of(cls)
    return None if shape is None else once(shape.write)


def _read_object(plain: list[Plain], decoder: Decoder) -> Any:
    cls = decoder.table.named(plain[1])
    shape = _shape_of(cls) if isinstance(cls, type) else None
    if shape is None or (shape.base is None) is not (plain[0] == OBJECT):
        raise TypeError(f"{decoder.table.name(plain[1])} is no class of such values")
    return shape.read(plain, decoder)


decodes_once(OBJECT)(_read_object)
decodes_once(DERIVED)(_read_object)

# --- arrays ---

_RAW = frozenset("biufcmMSUV")
"""Kinds of items of which an array holds the bytes, and not references."""
_SIMPLE = re.compile(r"[<>|=]?[a-zA-Z?]\d*(\[\d*\w+\])?")


def _of_numpy(cls: type) -> Encode | None:
    numpy: Any = sys.modules.get("numpy")
    if numpy is None or cls.__module__ != "numpy":
        return None
    if cls is numpy.ndarray:
        return once(_array)
    if issubclass(cls, numpy.generic) and not issubclass(cls, (numpy.object_, numpy.void)):
        return once(_scalar)
    return None


def _written_dtype(value: Any, encoder: Encoder) -> Plain:
    """Write the dtype of an array or scalar; one that does not come back is refused."""
    numpy: Any = sys.modules["numpy"]
    dtype = value.dtype
    if dtype.kind in _RAW and not dtype.hasobject:
        text = dtype.str if dtype.names is None else dtype.descr
        again = numpy.dtype(text)
        if dtype.isnative and again.char != dtype.char:
            again = numpy.dtype(text := dtype.char)  # two kinds of one size: the letter tells
        if again == dtype:
            return encoder.value(text)
    raise Refused(value, f"items of dtype {dtype} cannot be written")


def _read_dtype(written: Any) -> Any:
    numpy: Any = sys.modules.get("numpy")
    if numpy is None:
        raise UnknownClassError("numpy:ndarray", "import module 'numpy' before")
    if isinstance(written, str) and not _SIMPLE.fullmatch(written):
        raise TypeError(f"{written!r} is no dtype")
    dtype = numpy.dtype(written)
    if dtype.hasobject:
        raise TypeError("an array of objects in bytes")
    return dtype


def _scalar(value: Any, encoder: Encoder) -> Plain:
    return [SCALAR, _written_dtype(value, encoder), to_text(value.tobytes())]


@decodes_once(SCALAR)
def _read_scalar(plain: list[Plain], _: Decoder) -> Any:
    dtype, data = _read_dtype(plain[1]), to_bytes(plain[2])
    numpy: Any = sys.modules["numpy"]
    return numpy.ndarray((), dtype, data)[()] if dtype.itemsize else dtype.type()


def _array(value: Any, encoder: Encoder) -> Plain:
    if value.dtype.kind == "O":
        encoder.enter(value)
        items = encoder.value([*value.flat])
        encoder.depth -= 1
        return [ITEMS, [*value.shape], items]
    written = _written_dtype(value, encoder)
    order = "F" if value.flags.fnc else "C"
    return [ARRAY, written, [*value.shape], order, to_text(value.tobytes(order))]


@decodes_once(ARRAY)
def _read_array(plain: list[Plain], decoder: Decoder) -> Any:
    _, written, shape, order, text = plain
    dtype = _read_dtype(decoder.value(written))
    numpy: Any = sys.modules["numpy"]
    data = to_bytes(text)
    made = numpy.empty(_sizes(shape, len(data), dtype.itemsize), dtype, order)
    made[...] = numpy.ndarray(tuple(shape), dtype, data, order=order)
    return made


def _sizes(shape: list[Any], size: int, each: int) -> tuple[int, ...]:
    """Return the shape of an array if so much data fills it."""
    count = 1
    for length in shape:
        if type(length) is not int or length < 0:
            raise TypeError("expected lengths")
        count *= length
    if count * each != size:
        raise ValueError(f"{size} bytes for {count} items of {each}")
    return tuple(shape)


@decodes_once(ITEMS)
def _read_items(plain: list[Plain], decoder: Decoder) -> Any:
    numpy: Any = sys.modules.get("numpy")
    if numpy is None:
        raise UnknownClassError("numpy:ndarray", "import module 'numpy' before")
    _, shape, items = plain
    values = decoder.value(items)
    made = numpy.empty(_sizes(shape, len(values), 1), object)
    for position, item in enumerate(values):
        made.flat[position] = item
    return made


# --- users' codecs ---


class Codec(NamedTuple):
    """How a user writes values of a class of theirs.

    Attributes:
        cls: The class; not those derived from it.
        name: What stands in stored data, for ever.
        encode: Gives a value of other kinds that can be journaled.
        decode: Makes the value again.
    """

    cls: type
    name: str
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


_CODECS: dict[str, Codec] = {}
_BUILT_IN = frozenset(ENCODERS)


def register_codec(
    cls: type, *, name: str, encode: Callable[[Any], Any], decode: Callable[[Any], Any]
) -> None:
    """Say how values of a class are journaled, in this process.

    Args:
        cls: The class, exactly; a class derived from it needs a codec of its own.
        name: Stands in what is stored: keep it when the class is renamed or moved.
        encode: Returns what a value is made of: any values that can be journaled.
        decode: Makes the value of that again. Trust what it calls: it runs when a store is read.

    Raises:
        CodecError: The name is another class's, or the class has a codec already.
    """
    if not isinstance(cls, type) or not (isinstance(name, str) and name and is_text(name)):
        raise CodecError(f"{name}", f"is for {cls!r}; give it a class, and a name that is a text")
    if cls in _BUILT_IN or KIND[cls] != OPAQUE_KIND:
        raise CodecError(name, f"is for {cls.__qualname__}, which is journaled without one")
    if not (callable(encode) and callable(decode)):
        raise CodecError(name, "needs two functions: encode=, decode=")
    known = _CODECS.get(name)
    if known is not None and known.cls is not cls and not _is_again(known.cls, cls):
        raise CodecError(name, f"is that of {known.cls.__qualname__}; give this one another name")
    other = next((each for each in _CODECS.values() if each.cls is cls), None)
    if other is not None and other.name != name:
        raise CodecError(name, f"is for {cls.__qualname__}, which has {other.name!r} already")
    codec = _CODECS[name] = Codec(cls, name, encode, decode)
    ENCODERS[cls] = once(_coded(codec))


def _is_again(known: type, cls: type) -> bool:
    """Tell whether a class is another one made anew, as in a notebook or a reloaded module."""
    return (known.__module__, known.__qualname__) == (cls.__module__, cls.__qualname__)


def _coded(codec: Codec) -> Encode:
    def write(value: Any, encoder: Encoder) -> Plain:
        try:
            parts = codec.encode(value)
        except Exception as error:  # whatever a function of the user's raises
            text = f"{type(error).__name__}: {error}"
            raise Refused(value, f"its codec {codec.name!r} raised {text}") from error
        encoder.enter(value)
        out = [CODED, encoder.table.names[codec.name], encoder.value(parts)]
        encoder.depth -= 1
        return out

    return write


@decodes_once(CODED)
def _read_coded(plain: list[Plain], decoder: Decoder) -> Any:
    name = decoder.table.name(plain[1])
    codec = _CODECS.get(name)
    if codec is None:
        raise UnknownClassError(name, "call registry.journal.register_codec with that name before")
    made = codec.decode(decoder.value(plain[2]))
    if type(made) is not codec.cls:
        raise TypeError(
            f"codec {name!r} made a {type(made).__qualname__}, not a {codec.cls.__qualname__}"
        )
    return made


CLASSIFIERS += [_of_numpy, _classified]
assert adapted not in ENCODERS.values(), "no class was classified before all classifiers were here"
