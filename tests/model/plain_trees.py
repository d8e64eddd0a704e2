"""The trees of the model as plain pydantic objects; `entity_trees.py` has the same as entities.

The two files repeat each other on purpose: the oracle shares no code with the engine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from tests.model.values import Label, Point


class PlainEntity(BaseModel):
    """Equal to itself only, as an entity is within one version of its tree."""

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class Node(PlainEntity):
    """An object with a field of every kind; *tag* names it and is never changed."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    tag: int
    number: int = 0
    text: str = ""
    ratio: float = 0.0
    flag: Any = None
    numbers: list[int] = []
    table: dict[str, int] = {}
    marks: set[int] = set()
    cold_marks: frozenset[int] = frozenset()
    pair: tuple[int, ...] = ()
    matrix: list[list[int]] = []
    child: Node | None = None
    kids: list[Node] = []
    named: dict[str, Node] = {}
    group: set[Node] = set()
    fixed: tuple[Node, ...] = ()
    cold: frozenset[Node] = frozenset()
    grid: list[list[Node]] = []
    shelves: dict[str, list[Node]] = {}
    rows: list[dict[str, Node]] = []
    anything: Any = None
    point: Point = Field(default_factory=Point)
    label: Label = Field(default_factory=Label)
    points: list[Point] = []
    array: np.ndarray = Field(default_factory=lambda: np.zeros(3, dtype=np.int64))


class Strict(Node):
    """Validates assignments, so pydantic copies the containers that it is given."""

    model_config = ConfigDict(validate_assignment=True, arbitrary_types_allowed=True)


class Loose(Node):
    """Takes fields that no class declares."""

    model_config = ConfigDict(extra="allow", arbitrary_types_allowed=True)


class Secret(Node):
    """Has private attributes."""

    _count: int = PrivateAttr(default=0)
    _log: list[int] = PrivateAttr(default_factory=list)


CLASSES = {cls.__name__: cls for cls in (Node, Strict, Loose, Secret)}
