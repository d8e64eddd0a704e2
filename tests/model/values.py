"""Opaque values that both the engine's entities and the plain ones carry.

Nothing here knows the engine: a dataclass, a plain pydantic model and an ordinary object.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import uuid
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel


@dataclasses.dataclass
class Point:
    """An opaque dataclass with a nested list."""

    x: int = 0
    y: int = 0
    trail: list[int] = dataclasses.field(default_factory=list)


class Label(BaseModel):
    """An opaque plain pydantic model."""

    text: str = ""
    items: list[int] = []


class Box:
    """An ordinary object: deep-copyable, equal by value."""

    def __init__(self, content: Any = None) -> None:
        self.content = content

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Box) and self.content == other.content

    __hash__ = None  # type: ignore[assignment]


class Colour(enum.Enum):
    """An atom."""

    RED = 1
    BLUE = 2


NAN = float("nan")

# Neighbours that a careless comparison would call the same stand beside each other.
ATOMS: tuple[Any, ...] = (
    None,
    0,
    False,
    0.0,
    1,
    True,
    1.0,
    1 + 0j,
    Decimal(1),
    Fraction(1),
    "1",
    b"1",
    NAN,
    float("inf"),
    2**70,
    "",
    b"",
    Colour.RED,
    Colour.BLUE,
    dt.date(2013, 1, 1),
    dt.datetime(2013, 1, 1, tzinfo=dt.UTC),
    dt.timedelta(seconds=1),
    dt.time(1, 2, 3),
    uuid.UUID(int=5),
    PurePosixPath("a/b"),
    range(3),
    (1, 2),
    (1, True),
    (1.0, 2),
    (),
    frozenset({1, 2}),
    frozenset(),
)
