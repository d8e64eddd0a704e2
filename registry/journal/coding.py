"""Coding: what writes a value as plain data, and reads it, whatever kinds of values there are.

Plain data is what JSON holds. None, bool, int, float and str stand for themselves; an object stands
for a dict with texts as keys; every other value is a list that begins with its *tag*, so that
nothing of the user's can be taken for it. Which kinds there are is not known here: `atoms.py`,
`opaque.py` and `codec.py` put one function for each class into `ENCODERS`, and one for each tag
into `DECODERS`.

    ENCODERS[type(value)](value, encoder) -> plain        None: the value is its own plain form
    DECODERS[plain[0]](plain, decoder) -> value
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from typing import Any

from registry.depth import MAX_NESTING
from registry.errors import UnknownClassError, UnreadableValueError
from registry.ids import Key
from registry.journal.names import get_named

Plain = Any
"""None, bool, int, float, str, or lists and dicts (with texts as keys) of such."""

MAX_INSIDE = 80
"""Values in one another that are written of an opaque value."""
MAX_DEPTH = MAX_NESTING + MAX_INSIDE
"""Values in one another that are written at all: pydantic's JSON reads 200 levels."""
_KEY_BYTES = 10


class Refused(Exception):  # noqa: N818 - a signal between functions, never seen by users
    """A value that cannot be written: its class, why, and (filled on the way out) where it is."""

    def __init__(self, value: Any, reason: str) -> None:
        # Not the value: its text may be endless, and whoever prints a traceback asks for it.
        super().__init__(type(value).__qualname__, reason)
        self.value = value
        self.kind = type(value).__qualname__
        self.reason = reason
        self.way: list[str] = []


class _Interned(dict[Any, int]):
    """Numbers by value, 0, 1, 2, ...; a value that is new gets the next one."""

    def __missing__(self, value: Any) -> int:
        number = self[value] = len(self)
        return number


class KeyTable:
    """What one blob names often, written once: keys of entities, and names of classes.

    Written values hold positions in it. `written` is taken after the last value was encoded, and
    `read` gives the table to decode with.

    Attributes:
        positions: Position by key.
        names: Position by name.
        keys: Keys by position, of a table that was read.
    """

    __slots__ = ("_found", "_texts", "keys", "names", "positions")

    def __init__(self) -> None:
        self.positions = _Interned()
        self.names = _Interned()
        self.keys: list[Key] = []
        self._texts: list[str] = []
        self._found: dict[int, Any] = {}

    def written(self) -> Plain:
        """Return the table as plain data. Cost: about 0.06 us and 13 bytes per key."""
        packed = b"".join([key.to_bytes(_KEY_BYTES, "big") for key in self.positions])
        return [binascii.b2a_base64(packed, newline=False).decode("ascii"), *self.names]

    @staticmethod
    def read(plain: Plain) -> KeyTable:
        """Return a table that was written, to decode with. Cost: about 0.3 us per key.

        Raises:
            ValueError, TypeError: It is none.
        """
        table = KeyTable()
        text, *names = plain
        packed = binascii.a2b_base64(text, strict_mode=True)
        if len(packed) % _KEY_BYTES or not all(type(name) is str for name in names):
            raise ValueError("the table of keys has half a key, or no names")
        of, size = int.from_bytes, _KEY_BYTES
        table.keys = [Key(of(packed[at : at + size], "big")) for at in range(0, len(packed), size)]
        table._texts = names
        return table

    def named(self, position: int) -> Any:
        """Return the class, function or module that a name in a table that was read stands for.

        Raises:
            UnknownClassError: It is not loaded.
        """
        found = self._found.get(position)
        if found is None:
            found = self._found[position] = get_named(self.name(position))
        return found

    def name(self, position: int) -> str:
        """Return a name of a table that was read."""
        if position < 0:
            raise IndexError(position)
        return self._texts[position]


class Encoder:
    """Writes values of one blob.

    Attributes:
        table: The keys and names that it writes once.
        memo: Inside of an opaque value: what was written, by identity; a second time it is named.
        kept: Keeps those alive, so that no identity is used twice.
        depth: Values that the one being written is in.
        adapters: How the field being written is written if its class has no other way.
    """

    __slots__ = ("adapters", "depth", "kept", "memo", "table")

    def __init__(self, table: KeyTable) -> None:
        self.table = table
        self.memo: dict[int, int] | None = None
        self.kept: list[Any] = []
        self.depth = 0
        self.adapters: Any = None

    def value(self, value: Any) -> Plain:
        """Return the plain form of a value.

        Raises:
            Refused: It has none.
        """
        code = ENCODERS[type(value)]
        return value if code is None else code(value, self)

    def values(self, values: Any, out: list[Plain]) -> Any:
        """Append the plain forms of values to a list; return it."""
        codes, append, before = ENCODERS, out.append, len(out)
        try:
            for value in values:
                code = codes[type(value)]
                append(value if code is None else code(value, self))
        except Refused as refused:
            refused.way.append(f"[{len(out) - before}]")
            raise
        return out

    def enter(self, value: Any) -> None:
        """Begin to write a value that holds others; whoever calls takes 1 from `depth` after it.

        Raises:
            Refused: It is in too many others.
        """
        self.depth += 1
        if self.depth > MAX_DEPTH:
            deep = MAX_DEPTH if self.memo is None else MAX_INSIDE
            raise Refused(value, f"it nests values more than {deep} deep, or holds itself")

    def reset(self) -> None:
        """Forget what was begun, after a value was refused."""
        self.memo = None
        self.kept = []
        self.depth = 0
        self.adapters = None


class Decoder:
    """Reads values of one blob.

    Attributes:
        table: The keys and names, as `KeyTable.read` gave it.
        shared: What was read inside of the opaque value being read, in the order of `Encoder.memo`.
        adapters: As `Encoder.adapters`.
    """

    __slots__ = ("adapters", "shared", "table")

    def __init__(self, table: KeyTable) -> None:
        self.table = table
        self.shared: list[Any] | None = None
        self.adapters: Any = None

    def value(self, plain: Plain) -> Any:
        """Return what a plain form stands for. Any exception: there is no such form."""
        cls = type(plain)
        if cls is list:
            return DECODERS[plain[0]](plain, self)
        if cls is not dict:
            return plain
        made = {key: self.value(item) for key, item in plain.items()}
        if self.shared is not None:
            self.shared.append(made)
        return made

    def values(self, plain: list[Plain], start: int = 1) -> list[Any]:
        """Return what the items of a plain form stand for, from one position on."""
        # No more frames per level than this one and its reader's: values are deep, and stacks too.
        values = plain[start:]
        for position, item in enumerate(values):
            cls = type(item)
            if cls is list:
                values[position] = DECODERS[item[0]](item, self)
            elif cls is dict:
                values[position] = self.value(item)
        return values

    def read(self, plain: Plain, place: str = "") -> Any:
        """Return what a plain form stands for.

        Raises:
            UnknownClassError: It names a class that is not loaded.
            UnreadableValueError: It is no plain form, or one of a class that is different now.
        """
        try:
            return self.value(plain)
        except (UnknownClassError, UnreadableValueError, MemoryError, RecursionError):
            raise  # the last two say something about this process, not about the data
        except Exception as error:  # whatever damaged data makes the constructors of values raise
            raise UnreadableValueError(
                place or "a value", f"{type(error).__name__}: {error}"
            ) from error
        finally:
            self.shared = None


Encode = Callable[[Any, Encoder], Plain]
Decode = Callable[[list[Plain], Decoder], Any]


class _Encoders(dict[type, "Encode | None"]):
    """How values are written, by exact type; a type met for the first time is classified once."""

    def __missing__(self, cls: type) -> Encode | None:
        for classify in CLASSIFIERS:
            code = classify(cls)
            if code is not None:
                self[cls] = code
                return code
        self[cls] = adapted
        return adapted


CLASSIFIERS: list[Callable[[type], Encode | None]] = []
"""Asked in order about a class that has no entry in `ENCODERS`."""
ENCODERS = _Encoders()
DECODERS: dict[int, Decode] = {}


def decodes(tag: int) -> Callable[[Decode], Decode]:
    """Make a function the one that reads a tag."""

    def enter(function: Decode) -> Decode:
        assert tag not in DECODERS, f"tag {tag} is read by two functions"
        DECODERS[tag] = function
        return function

    return enter


# --- what is held twice in an opaque value ---

SHARED = 8


def once(write: Encode) -> Encode:
    """Make a function that writes values which are not atoms write each once per opaque value."""

    def written(value: Any, encoder: Encoder) -> Plain:
        memo = encoder.memo
        if memo is None:
            return write(value, encoder)
        number = memo.get(id(value))
        if number is not None:
            return [SHARED, number]
        plain = write(value, encoder)
        memo[id(value)] = len(memo)
        encoder.kept.append(value)
        return plain

    return written


def decodes_once(tag: int) -> Callable[[Decode], Decode]:
    """Make a function the one that reads a tag of values that `once` writes."""

    def enter(read: Decode) -> Decode:
        def made(plain: list[Plain], decoder: Decoder) -> Any:
            value = read(plain, decoder)
            if decoder.shared is not None:
                decoder.shared.append(value)
            return value

        return decodes(tag)(made)

    return enter


@decodes(SHARED)
def _shared(plain: list[Plain], decoder: Decoder) -> Any:
    if decoder.shared is None or plain[1] < 0:
        raise LookupError("named a second time, and nothing was there a first time")
    return decoder.shared[plain[1]]


# --- the last way ---

ADAPTED = 90


@once
def adapted(value: Any, encoder: Encoder) -> Plain:
    """Write a value of a class that has no other way as its field's annotation says."""
    if encoder.adapters is not None:
        written = encoder.adapters.written(value, encoder.table)
        if written is not None:
            return [ADAPTED, *written]
    raise Refused(value, "there is no codec for its class")


@decodes_once(ADAPTED)
def _adapted(plain: list[Plain], decoder: Decoder) -> Any:
    _, position, text = plain
    if decoder.adapters is None:
        raise LookupError("the field's annotation no longer says how such values are read")
    return decoder.adapters.read(decoder.table.named(position), text)


def is_writable(cls: type) -> bool:
    """Tell whether values of a class can be written, as far as the class decides."""
    return ENCODERS[cls] is not adapted
