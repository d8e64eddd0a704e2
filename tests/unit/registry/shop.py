"""The small tree that the unit tests use: a shop with shelves, items and prices."""

# ruff: noqa: RUF012 - pydantic copies mutable defaults
from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, PrivateAttr

from registry import Entity
from tests.model.values import Point

ACTION: dict[str, Any] = {}
"""What `act` does; set by the fixture `do`."""


class Item(Entity):
    """Something to sell."""

    name: str = ""
    price: float = 1.0
    tags: list[str] = []


class Shelf(Entity):
    """Holds items."""

    label: str = ""
    items: list[Item] = []


class Shop(Entity):
    """Holds shelves, and a value of every kind."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: str = "shop"
    shelves: list[Shelf] = []
    numbers: list[int] = []
    table: dict[str, int] = {}
    marks: set[int] = set()
    by_name: dict[str, Item] = {}
    window: set[Item] = set()
    star: Item | None = None
    point: Point = Field(default_factory=Point)
    anything: Any = None

    _visits: int = PrivateAttr(default=0)


def act(shop: Shop) -> Any:
    """Do what the test said."""
    return ACTION["do"](shop)


def new_shop() -> Shop:
    """Build the shop: 1 + 3 + 6 + 1 + 1 = 12 entities.

    The window stays empty: pydantic cannot dump a set of models, since it makes a set of dicts.
    """
    return Shop(
        shelves=[
            Shelf(label=f"s{i}", items=[Item(name=f"i{i}{j}", price=i + j) for j in range(2)])
            for i in range(3)
        ],
        numbers=[3, 1, 2],
        table={"a": 1, "b": 2},
        marks={1, 2, 3},
        by_name={"x": Item(name="x")},
        star=Item(name="star"),
    )
