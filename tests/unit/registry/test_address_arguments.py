"""Addresses as arguments: of entities where entities are expected, of values next to any other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from registry import (
    AddressError,
    ArgumentError,
    ConflictError,
    NotFoundError,
    PathError,
    Ref,
    Workspace,
    ids,
    parse_address,
)
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop


def rename(shop: Shop, name: str) -> Shop:
    """Write a text."""
    shop.name = name
    return shop


def add_number(shop: Shop, number: int) -> int:
    """Write a number."""
    shop.numbers.append(number)
    return number


def add_numbers(shop: Shop, numbers: list[int]) -> None:
    """Write what was given, itself."""
    shop.numbers = numbers
    numbers.append(99)


def is_star(shop: Shop, item: Item, other: Item) -> bool:
    """Tell whether all are one live object."""
    other.price += 1
    return shop.star is item is other


def raise_all(items: list[Item]) -> int:
    """Write several entities."""
    for item in items:
        item.price += 10
    return len({id(item) for item in items})


def take(value: Any, texts: dict[str, list[str]], pair: tuple[int, set[int]]) -> list[Any]:
    """Return what came in."""
    return [value, texts, pair]


async def rename_later(shop: Shop, name: str) -> Shop:
    """Write a text, asynchronously."""
    await asyncio.sleep(0)
    shop.name = name
    return shop


async def count(shop: Shop, number: int) -> None:
    """Write a number, after others had the chance to."""
    await asyncio.sleep(0)
    shop.numbers[0] = number + 1


@pytest.fixture
def workspace() -> Workspace:
    """A workspace that knows the functions above."""
    workspace = Workspace()
    for function in (rename, add_number, add_numbers, is_star, raise_all, take):
        workspace.register(function.__name__)(function)
    for coroutine in (rename_later, count):
        workspace.register(coroutine.__name__)(coroutine)
    return workspace


Run = Callable[..., Any]


@pytest.fixture(params=["execute", "aexecute", "run", "execute_batch", "run_each"])
def execute(request: pytest.FixtureRequest, workspace: Workspace) -> Run:
    """Every way to execute, as `execute` without what it returns."""

    def raised(result: Any) -> Any:
        if isinstance(result, BaseException):
            raise result
        return result

    def run_each(name: str, /, **arguments: Any) -> Any:
        values = tuple(arguments.values())
        return raised(next(workspace.run_each(name, tuple(arguments), [(values, "x")])))

    ways: dict[str, Run] = {
        "execute": workspace.execute,
        "aexecute": lambda name, /, **arguments: asyncio.run(workspace.aexecute(name, **arguments)),
        "run": workspace.run,
        "execute_batch": lambda name, /, **arguments: raised(
            workspace.execute_batch([(name, arguments)])[0]
        ),
        "run_each": run_each,
    }
    if request.param == "run":
        return lambda name, /, **arguments: workspace.run(name, arguments)
    return ways[request.param]


def test_a_lineage_id_means_the_head(workspace: Workspace, shop: Ref, execute: Run) -> None:
    for number in range(3):
        execute("add_number", shop=shop.address, number=number)

    assert workspace.get(f"{shop.address}.numbers") == [3, 1, 2, 0, 1, 2]
    assert workspace.executions()[-1].inputs == (("shop", shop.key),)


def test_a_value_at_a_path_is_given_beside_any_entity(
    workspace: Workspace, shop: Ref, execute: Run
) -> None:
    other = workspace.get(workspace.add(new_shop()).address)

    execute("add_number", shop=shop, number=f"@{other.ecs_id}.table.b")
    execute("rename", shop=shop, name=parse_address(f"@{other.ecs_id}.star.name"))
    label = parse_address(f"{shop.address}.shelves.-1.label")
    execute("rename", shop=workspace.snapshot(shop), name=label)

    assert workspace.get(f"{shop.address}.numbers.-1") == 2
    assert workspace.get(f"{shop.address}.name") == "s2"
    first, second, third = workspace.executions()
    assert first.arguments == (("number", 2),)
    assert first.inputs == (("shop", shop.key), ("number", ids.from_uuid(other.ecs_id).key))
    assert first.sources[0].address == f"@{other.ecs_id}.table.b"
    assert second.sources[0].address == f"@{other.star.ecs_id}.name"
    assert third.arguments == (("name", "s2"),)
    assert workspace.executions(entity=other) == [first]


@pytest.mark.parametrize(
    "text",
    ["@bob", "@", f"@{ids.to_uuid(1)}.name", "{shop}", "{shop}.star.name", "{shop}.nme", "{shop}."],
)
def test_a_text_for_a_parameter_that_takes_texts_is_never_read(
    workspace: Workspace, shop: Ref, execute: Run, text: str
) -> None:
    """It may be anybody's, and what it names is nobody's business."""
    text = text.replace("{shop}", shop.address)

    execute("rename", shop=shop, name=text)

    assert workspace.get(f"{shop.address}.name") == text
    assert type(workspace.get(f"{shop.address}.name")) is str


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (f"@{ids.to_uuid(1)}.name", NotFoundError),
        ("{shop}.nme", PathError),
        ("{shop}", ArgumentError),
        ("{shop}.numbers", ArgumentError),
    ],
)
def test_an_address_that_is_one_is_always_read(
    workspace: Workspace, shop: Ref, execute: Run, text: str, error: type[Exception]
) -> None:
    address = parse_address(text.replace("{shop}", shop.address))

    with pytest.raises(error):
        execute("rename", shop=shop, name=address)
    assert workspace.head(shop) == 1


def test_what_is_borrowed_is_a_copy(workspace: Workspace, shop: Ref, execute: Run) -> None:
    other = workspace.add(Shop(numbers=[1]))

    execute("add_numbers", shop=shop, numbers=f"{other.address}.numbers")
    execute("add_numbers", shop=shop, numbers=f"{shop.address}.numbers")

    assert workspace.get(f"{other.address}.numbers") == [1]
    assert workspace.get(f"{shop.address}.numbers") == [1, 99, 99]


def test_addresses_are_read_inside_containers(workspace: Workspace, shop: Ref) -> None:
    at = shop.address
    name, numbers, star = (
        parse_address(f"{at}.{path}") for path in ("name", "numbers", "star.name")
    )

    value, texts, pair = workspace.execute(
        "take",
        raw=True,
        value={"a": [name, (numbers, 7)], f"{at}.name": at},
        texts={"x": ["@bob", star]},
        pair=(f"{at}.table.a", {f"{at}.table.b", 5}),
    )

    assert value == {"a": ["shop", ([3, 1, 2], 7)], f"{at}.name": at}
    assert texts == {"x": ["@bob", "star"]}
    assert pair == (1, {2, 5})


def test_a_container_that_holds_itself_is_no_trouble(workspace: Workspace, shop: Ref) -> None:
    loop: list[Any] = [parse_address(f"{shop.address}.name")]
    loop.append(loop)
    seen: list[Any] = []
    workspace.register("look")(_look(seen))

    workspace.execute("look", value=loop)

    assert seen[0][0] == "shop"
    assert seen[0][1] is seen[0]


def _look(seen: list[Any]) -> Callable[..., None]:
    def look(value: Any) -> None:
        seen.append(value)

    return look


def test_one_entity_named_in_several_ways_is_one_live_object(
    workspace: Workspace, shop: Ref, execute: Run
) -> None:
    star = workspace.snapshot(shop).star
    assert star is not None

    execute("is_star", shop=shop, item=f"@{star.ecs_id}", other=f"{shop.address}.star")
    execute(
        "is_star",
        shop=workspace.snapshot(shop),
        item=f"{shop.address}.star",
        other=f"@{star.lineage_id}",
    )

    assert workspace.get(f"{shop.address}.star.price") == 3.0
    assert len(workspace.branches(shop)) == 1


@pytest.mark.parametrize("order", [("shop", "item", "other"), ("other", "item", "shop")])
def test_what_is_given_of_one_old_version_meets_in_one_fork(
    workspace: Workspace, shop: Ref, order: tuple[str, ...]
) -> None:
    """The star is the same at the head; the shop is not."""
    old = workspace.snapshot(shop)
    assert old.star is not None
    workspace.execute("rename", shop=shop, name="new")
    star = f"@{old.star.ecs_id}"

    for given in (f"@{old.ecs_id}", old, workspace.snapshot(shop, 1)):
        ways: dict[str, Any] = {"shop": given, "item": star, "other": f"@{old.ecs_id}.star"}
        assert workspace.execute("is_star", **{name: ways[name] for name in order})

    assert workspace.get(f"{shop.address}.star.price") == 1.0
    assert len(workspace.branches(shop)) == 4


def test_a_child_and_a_list_of_children_are_inputs(workspace: Workspace, shop: Ref) -> None:
    at = f"{shop.address}.shelves.0.items"
    first = workspace.get(f"{at}.0")

    assert workspace.execute("raise_all", raw=True, items=at) == 2
    assert workspace.execute("raise_all", raw=True, items=[f"{at}.0", f"{at}.1"]) == 2
    assert workspace.execute("raise_all", raw=True, items=[f"{at}.0", f"@{first.lineage_id}"]) == 1

    assert [workspace.get(f"{at}.{index}.price") for index in (0, 1)] == [40.0, 21.0]
    assert {name for name, _ in workspace.executions()[0].inputs} == {"items"}


def test_an_old_id_follows_on_stale(workspace: Workspace, shop: Ref) -> None:
    old = f"@{workspace.snapshot(shop).ecs_id}"
    workspace.execute("add_number", shop=shop, number=7)

    with pytest.raises(ConflictError):
        workspace.execute("rename", shop=old, name="x", on_stale="error")
    forked = workspace.execute("rename", shop=old, name="forked")
    headed = workspace.execute("rename", shop=old, name="headed", on_stale="head")

    assert (forked.numbers, headed.numbers) == ([3, 1, 2], [3, 1, 2, 7])
    assert len(workspace.branches(shop)) == 2


def test_a_value_of_an_old_version_is_read_whatever_on_stale_says(
    workspace: Workspace, shop: Ref
) -> None:
    old = parse_address(f"@{workspace.snapshot(shop).ecs_id}.name")
    workspace.execute("rename", shop=shop, name="new")

    result = workspace.execute("rename", shop=shop, name=old, on_stale="error")

    assert result.name == "shop"
    assert len(workspace.branches(shop)) == 1


def test_an_id_of_a_branch_means_that_branch(workspace: Workspace, shop: Ref) -> None:
    branch = workspace.fork(shop)

    workspace.execute("rename", shop=branch.address, name="branched")
    workspace.execute("rename", shop=shop, name=parse_address(f"{branch.address}.name"))

    assert workspace.get(f"{shop.address}.name") == "branched"


def test_entities_of_several_trees_change_together(workspace: Workspace, shop: Ref) -> None:
    other = workspace.add(new_shop())
    ways = [f"{shop.address}.star", f"{other.address}.star", workspace.snapshot(other).star]

    assert workspace.execute("raise_all", raw=True, items=ways) == 2

    assert [workspace.get(f"{ref.address}.star.price") for ref in (shop, other)] == [11.0, 21.0]


def test_a_coroutine_takes_addresses(workspace: Workspace, shop: Ref) -> None:
    result = asyncio.run(
        workspace.aexecute(
            "rename_later", shop=shop.address, name=parse_address(f"{shop.address}.star.name")
        )
    )

    assert result.name == "star"


def test_a_value_of_the_head_is_read_in_the_trees_turn(workspace: Workspace) -> None:
    """A hundred tasks add one to what they were given: none is lost."""
    counter = workspace.add(Shop(numbers=[0]))
    number = f"{counter.address}.numbers.0"

    async def run_all() -> None:
        runs = [workspace.aexecute("count", shop=counter, number=number) for _ in range(100)]
        await asyncio.gather(*runs)

    asyncio.run(run_all())

    assert workspace.get(number) == 100


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"shop": "@bob", "number": 1}, AddressError, "'@bob' is not an address"),
        ({"shop": f"@{ids.to_uuid(1)}", "number": 1}, NotFoundError, "in this workspace"),
        ({"shop": "{shop}.nme", "number": 1}, PathError, "field 'nme'"),
        ({"shop": "{shop}.star", "number": 1}, ArgumentError, "got Item:"),
        ({"shop": "{shop}.name", "number": 1}, ArgumentError, "got 'shop'"),
        ({"shop": "shop", "number": 1}, ArgumentError, "got 'shop'"),
        ({"shop": "{shop}", "number": "@bob"}, AddressError, "'@bob' is not an address"),
        ({"shop": "{shop}", "number": f"@{ids.to_uuid(1)}.a"}, NotFoundError, "in this workspace"),
        ({"shop": "{shop}", "number": "{shop}.numbers.7"}, PathError, "index 7"),
        ({"shop": "{shop}", "number": "{shop}.name"}, ArgumentError, "got 'shop' (str)"),
        ({"shop": "{shop}", "number": "{shop}"}, ArgumentError, "expected int"),
        ({"shop": "{shop}", "numbr": "{shop}.nme"}, ArgumentError, "'numbr'"),
    ],
)
def test_what_names_nothing_is_told_and_nothing_runs(
    workspace: Workspace,
    shop: Ref,
    execute: Run,
    arguments: dict[str, Any],
    error: type[Exception],
    text: str,
) -> None:
    given = {
        name: value.replace("{shop}", shop.address) if isinstance(value, str) else value
        for name, value in arguments.items()
    }

    with pytest.raises(error) as caught:
        execute("add_number", **given)

    assert text in str(caught.value)
    assert workspace.head(shop) == 1
    assert workspace.executions()[-1].status == "failed"


def test_a_failed_execution_leaves_no_turn_taken(workspace: Workspace, shop: Ref) -> None:
    with pytest.raises(PathError):
        workspace.execute("rename", shop=shop, name=parse_address(f"{shop.address}.nme"))

    assert workspace.execute("rename", shop=shop, name="free").name == "free"


def test_a_shelf_is_found_below_a_shop(workspace: Workspace, shop: Ref) -> None:
    assert isinstance(workspace.get(f"{shop.address}.shelves.0"), Shelf)
