"""Codec: values as plain data, and read again exactly.

What is tracked (children, and the containers below an entity) is written by `states.py`; every
other value here: atoms and opaque values, and what arguments and results are made of. A value comes
back equal and of the very same types, all the way down. Nothing that is stored is ever imported or
called: classes are found by name among what is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from registry.errors import NotJournalableError
from registry.journal import containers, opaque
from registry.journal.coding import Decoder, Encoder, KeyTable, Plain, Refused

register_codec = opaque.register_codec
check_key = containers.check_key

_LONGEST_WAY = 20
"""Steps to a value that a message names."""
Place = str | Callable[[], str]
"""What is being written, in words; a function is asked only for a message."""


def encode(value: Any, table: KeyTable, place: Place = "a value") -> Plain:
    """Return the plain form of a value.

    Args:
        value: Atoms, opaque values, and lists, dicts, sets and tuples of such.
        table: Of the blob that the value is part of.
        place: Names the value in an error.

    Raises:
        NotJournalableError: It, or something in it, has no plain form.

    Cost: 0.3 us, and 0.04 us per atom; an `Encoder` that is used again saves the first.
    """
    encoder = Encoder(table)
    try:
        return encoder.value(value)
    except Exception as error:  # also what an object raises while it is looked at
        raise refusal(encoder, error, place) from error


def refusal(encoder: Encoder, error: Exception, place: Place) -> NotJournalableError:
    """Return the error to raise for what an encoder raised; the encoder can be used again."""
    encoder.reset()
    if isinstance(error, MemoryError):
        raise error
    where = place if isinstance(place, str) else place()
    if not isinstance(error, Refused):
        return NotJournalableError(where, "value", f"{type(error).__name__}: {error}")
    way = error.way[::-1]
    more = ["..."] if len(way) > _LONGEST_WAY else []
    return NotJournalableError(
        where + "".join([*way[:_LONGEST_WAY], *more]), error.kind, error.reason
    )


def decode(plain: Plain, table: KeyTable, place: str = "") -> Any:
    """Return the value that a plain form stands for.

    Args:
        plain: What `encode` returned.
        table: The table that was written with it, read.
        place: Names the value in an error.

    Raises:
        UnknownClassError: It names a class or a codec that is not loaded.
        UnreadableValueError: It is no plain form, or one of a class that is different now.
    """
    return Decoder(table).read(plain, place)
