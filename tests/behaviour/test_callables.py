"""Section 4 of docs/behaviour.md, as far as no unit test has the sentence as its name."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from registry import ConfigEntity, Workspace, parse_address
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop


class Rate(ConfigEntity):
    """Settings."""

    factor: int = 1
    name: str = "plain"


@pytest.mark.parametrize("is_async", [False, True], ids=["execute", "aexecute"])
def test_one_call_takes_every_kind_of_argument_at_once(
    workspace: Workspace, is_async: bool
) -> None:
    """Of two trees and an orphan, all committed together; the same entity twice is one object."""
    seen: list[Any] = []

    @workspace.register("everything")
    def everything(
        root: Shop,
        child: Shelf,
        again: Shelf,
        orphan: Item,
        by_address: Item,
        collection: list[Item],
        table: dict[str, Shelf],
        rate: Rate,
        number: int,
        words: list[str],
        borrowed: list[float],
        default: int = 7,
    ) -> Shop:
        seen.extend([child is again is root.shelves[0], table["k"] is root.shelves[2]])
        seen.extend([[each.name for each in collection], number, words, borrowed, default])
        seen.append((rate.factor, rate.name))
        child.items.append(orphan)
        by_address.price = float(number)
        collection[1].price = 9.0
        return root

    first, second = workspace.add(new_shop()), workspace.add(new_shop(), name="other")
    snapshot: Any = workspace.snapshot(first)
    arguments: dict[str, Any] = {
        "root": first,
        "child": snapshot.shelves[0],
        "again": f"{first.address}.shelves.0",
        "orphan": Item(name="orphan"),
        "by_address": f"@{snapshot.shelves[1].items[0].ecs_id}",
        "collection": [snapshot.star, f"{second.address}.star"],
        "table": {"k": snapshot.shelves[2]},
        "factor": 3,
        "number": f"{second.address}.table.b",
        "words": ["text", parse_address(f"{first.address}.name")],
        "borrowed": [1.5, f"{first.address}.star.price"],
    }

    if is_async:
        result: Any = asyncio.run(workspace.aexecute("everything", **arguments))
    else:
        result = workspace.execute("everything", **arguments)

    assert seen == [True, True, ["star", "star"], 2, ["text", "shop"], [1.5, 1.0], 7, (3, "plain")]
    assert [each.name for each in result.shelves[0].items] == ["i00", "i01", "orphan"]
    assert result.shelves[1].items[0].price == 2.0
    assert workspace.snapshot(second).star.price == 9.0
    assert [workspace.head(each) for each in (first, second)] == [2, 2]
    (record,) = workspace.executions()
    assert (record.strategy, record.pattern) == ("multi_entity_composite", "mixed")


@pytest.mark.parametrize(
    ("act", "is_root"),
    [("nothing", False), ("change", True), ("return", True)],
)
def test_an_orphan_argument_becomes_a_root_if_it_changed_or_is_returned_and_not_otherwise(
    workspace: Workspace, act: str, is_root: bool
) -> None:
    @workspace.register("handle")
    def handle(item: Item, act: str) -> Item | None:
        if act == "change":
            item.price = 2.0
        return item if act == "return" else None

    item = Item(name="orphan")
    workspace.execute("handle", item=item, act=act)

    assert len(workspace.roots(Item)) == is_root
    assert item.price == 1.0


def test_a_plain_value_beside_an_entity_goes_into_the_record_and_is_no_entity(
    workspace: Workspace,
) -> None:
    @workspace.register("paint")
    def paint(shop: Shop, name: str, numbers: list[int]) -> None:
        shop.name = name

    ref = workspace.add(new_shop())
    workspace.execute("paint", raw=True, shop=ref, name="red", numbers=[1, 2])

    (record,) = workspace.executions()
    assert record.arguments == (("name", "red"), ("numbers", [1, 2]))
    assert workspace.roots() == [ref]
