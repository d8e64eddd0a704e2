"""Configs: parameters that are entities of settings, stored once per content."""

# ruff: noqa: RUF012 - pydantic copies mutable defaults
from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, Field

from registry import ConfigEntity, Entity, Ref, Retention, Workspace
from registry.config import content_of
from registry.errors import ArgumentError, RegistrationError, StructureError
from tests.unit.registry.shop import Item, Shop, new_shop


class Pricing(ConfigEntity):
    """How prices are made."""

    factor: float = 2.0
    tags: list[str] = []
    limit: int = Field(default=100, ge=0)


class Strict(ConfigEntity):
    """Has a field without a default."""

    floor: int
    ceiling: int = 9


class Plain(BaseModel):
    """A value whose inside cannot be tracked."""

    n: int = 0


class Loose(ConfigEntity):
    """Holds anything."""

    anything: Any = None


def price(item: Item, pricing: Pricing) -> Item:
    """Use a config, and spoil the copy."""
    item.price = item.price * pricing.factor
    item.tags = [*item.tags, *pricing.tags]
    pricing.tags.append("spoilt")
    pricing.factor = 0.0
    return item


def tell(strict: Strict, scale: int = 1) -> int:
    """Use a config without an entity."""
    return scale * (strict.floor + strict.ceiling)


def give_back(pricing: Pricing) -> Pricing:
    """Return what was given."""
    return pricing


@pytest.fixture
def workspace() -> Workspace:
    """A workspace that knows the functions above."""
    workspace = Workspace()
    for function in (price, tell, give_back):
        workspace.register(function.__name__)(function)
    return workspace


@pytest.fixture
def item(workspace: Workspace) -> Ref:
    """An item."""
    return workspace.add(Item(name="i", price=3.0))


def configs(workspace: Workspace) -> list[Any]:
    """The stored configs."""
    found = [workspace.snapshot(ref) for ref in workspace.roots()]
    return [each for each in found if isinstance(each, ConfigEntity)]


def told(workspace: Workspace, **arguments: Any) -> Any:
    """What `tell` returned."""
    return workspace.run("tell", arguments).value


# --- the ways to give one ------------------------------------------------------------------------


def test_a_config_is_given_as_an_object(workspace: Workspace, item: Ref) -> None:
    given = Pricing(factor=3.0, tags=["t"])

    result = workspace.execute("price", item=item, pricing=given)

    assert (result.price, result.tags) == (9.0, ["t"])
    assert given.model_dump() == {"factor": 3.0, "tags": ["t"], "limit": 100}
    assert given.is_orphan()


def test_a_config_is_built_from_keywords_that_are_its_fields(
    workspace: Workspace, item: Ref
) -> None:
    tags = ["t"]

    result = workspace.execute("price", item=item, factor=3, tags=tags)

    assert (result.price, result.tags) == (9.0, ["t"])
    assert tags == ["t"]
    assert [each.model_dump() for each in configs(workspace)] == [
        {"factor": 3.0, "tags": ["t"], "limit": 100}
    ]


def test_a_config_whose_fields_have_defaults_need_not_be_given(
    workspace: Workspace, item: Ref
) -> None:
    assert workspace.execute("price", item=item).price == 6.0


def test_a_default_of_the_parameter_goes_before_those_of_the_fields(workspace: Workspace) -> None:
    @workspace.register("with_default")
    def with_default(pricing: Pricing = Pricing(factor=7.0)) -> float:  # noqa: B008
        factor, pricing.factor = pricing.factor, 0.0
        return factor

    @workspace.register("optional")
    def optional(pricing: Pricing | None = None) -> bool:
        return pricing is None

    assert workspace.run("with_default", {}).value == 7.0
    assert workspace.run("with_default", {}).value == 7.0
    assert workspace.run("with_default", {"limit": 1}).value == 2.0
    assert workspace.run("optional", {}).value is True
    assert workspace.run("optional", {"limit": 1}).value is False


def test_a_config_is_given_as_a_dict_as_in_a_job(workspace: Workspace, item: Ref) -> None:
    assert workspace.execute("price", item=item, pricing={"factor": 5}).price == 15.0


def test_a_stored_config_is_given_by_ref_snapshot_and_address(
    workspace: Workspace, item: Ref
) -> None:
    ref = workspace.store_config(Pricing(factor=3.0))
    stored = workspace.snapshot(ref)

    given = (ref, stored, ref.address, f"@{stored.ecs_id}")
    prices = [workspace.execute("price", item=item, pricing=each).price for each in given]

    assert prices == [9.0, 27.0, 81.0, 243.0]
    assert [each.lineage_id for each in configs(workspace)] == [ref.lineage_id]
    assert workspace.head(ref) == 1


def test_a_keyword_that_names_a_parameter_too_is_the_parameter(workspace: Workspace) -> None:
    @workspace.register("both")
    def both(factor: str, pricing: Pricing) -> tuple[str, float]:
        return factor, pricing.factor

    assert workspace.run("both", {"factor": "f", "limit": 3}).value == ("f", 2.0)


def test_a_field_of_a_config_borrows_by_address(workspace: Workspace, item: Ref) -> None:
    address = f"{item.address}.price"

    result = workspace.execute("price", item=item, factor=address)

    assert result.price == 9.0
    record = workspace.executions()[-1]
    assert [(each.parameter, each.path) for each in record.sources] == [("factor", ".price")]


def test_configs_work_in_coroutine_functions(workspace: Workspace, item: Ref) -> None:
    @workspace.register("later")
    async def later(item: Item, pricing: Pricing) -> float:
        await asyncio.sleep(0)
        item.price = pricing.factor
        return item.price

    async def main() -> list[Any]:
        runs = [workspace.aexecute("later", item=item, factor=n) for n in range(3)]
        return list(await asyncio.gather(*runs))

    asyncio.run(main())

    assert workspace.snapshot(item).price == 2.0
    assert len(configs(workspace)) == 3


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "parameter", "mentions"),
    [
        ("price", {"colour": 1}, "colour", ["item", "pricing", "factor", "tags", "limit"]),
        ("price", {"factor": "x"}, "factor", ["'x'", "Pricing", "pricing"]),
        ("price", {"limit": -1}, "limit", ["-1", "greater than or equal to 0"]),
        ("price", {"pricing": Pricing(), "limit": 1}, "limit", ["pricing"]),
        ("price", {"pricing": Strict(floor=1)}, "pricing", ["Strict", "Pricing"]),
        ("price", {"pricing": Item()}, "pricing", ["Item", "Pricing"]),
        ("price", {"pricing": 5}, "pricing", ["5", "Pricing"]),
        ("price", {"pricing": None}, "pricing", ["None", "Pricing"]),
        ("price", {"pricing": "nothing"}, "pricing", ["nothing", "Pricing"]),
        ("tell", {}, "floor", ["nothing", "Strict"]),
        ("tell", {"ceiling": 1}, "floor", ["nothing", "Strict"]),
    ],
)
def test_a_config_that_does_not_fit_is_refused_before_anything_runs(
    workspace: Workspace,
    item: Ref,
    name: str,
    arguments: dict[str, Any],
    parameter: str,
    mentions: list[str],
) -> None:
    if name == "price":
        arguments = {"item": item, **arguments}

    with pytest.raises(ArgumentError) as caught:
        workspace.execute(name, **arguments)

    assert (caught.value.callable_name, caught.value.parameter) == (name, parameter)
    assert [each for each in mentions if each not in str(caught.value)] == []
    assert configs(workspace) == []
    assert workspace.head(item) == 1


def test_a_ref_of_another_class_is_refused(workspace: Workspace, item: Ref) -> None:
    with pytest.raises(ArgumentError) as caught:
        workspace.execute("price", item=item, pricing=item)

    assert caught.value.parameter == "pricing"
    assert len(workspace.configs) == 0


def test_a_field_of_two_configs_is_refused_at_registration(workspace: Workspace) -> None:
    class Other(ConfigEntity):
        limit: int = 0

    def two(pricing: Pricing, other: Any) -> None:
        """Takes two configs."""

    two.__annotations__ |= {"pricing": Pricing, "other": Other, "return": None}

    with pytest.raises(RegistrationError) as caught:
        workspace.register("two")(two)
    assert [each for each in ("limit", "pricing", "other") if each not in str(caught.value)] == []


def test_a_config_that_holds_itself_is_refused(workspace: Workspace) -> None:
    loop: list[Any] = []
    loop.append(loop)

    @workspace.register("loose")
    def loose(loose: Loose) -> None:
        """Takes anything."""

    with pytest.raises(StructureError):
        workspace.execute("loose", loose=Loose.model_construct(anything=loop))


def test_an_execution_that_fails_for_its_config_is_recorded(
    workspace: Workspace, item: Ref
) -> None:
    loop: list[Any] = []
    loop.append(loop)

    @workspace.register("loosely")
    def loosely(item: Item, loose: Loose) -> None:
        """Takes anything beside an entity."""
        item.price += 1

    workspace.execute("loosely", item=item, loose=Loose())  # now it is loaded

    with pytest.raises(StructureError):
        workspace.execute("loosely", item=item, loose=Loose.model_construct(anything=loop))

    assert [each.status for each in workspace.executions()] == ["ok", "failed"]
    assert workspace.head(item) == 2


# --- stored once per content ---------------------------------------------------------------------


def test_the_same_content_is_one_stored_root(workspace: Workspace, item: Ref) -> None:
    for given in (
        {"factor": 3},
        {"pricing": Pricing(factor=3.0)},
        {"factor": 3.0, "limit": 100},
        {"pricing": {"factor": 3}},
    ):
        workspace.execute("price", item=item, **given)
    workspace.execute("price", item=item, factor=4)

    assert [each.factor for each in configs(workspace)] == [3.0, 4.0]
    keys = [dict(each.inputs)["pricing"] for each in workspace.executions()]
    assert [key == keys[0] for key in keys] == [True] * 4 + [False]


@pytest.mark.parametrize(
    ("a", "b", "is_same"),
    [
        (1, 1, True),
        (1, True, False),
        (1, 1.0, False),
        (0.0, -0.0, False),
        (math.nan, float("nan"), True),
        (Decimal("1.0"), Decimal("1.00"), False),
        ([1, 2], [1, 2], True),
        ([1, 2], (1, 2), False),
        ({1, 2}, {2, 1}, True),
        ({1}, {True}, False),
        ({"a": [1]}, {"a": [1]}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        (Plain(n=1), Plain(n=1), True),
        (Plain(n=1), Plain(n=2), False),
        (slice(1), slice(1), True),
        (Item(name="i"), Item(name="i"), True),
        (Item(name="i"), Item(name="j"), False),
        (Strict(floor=1), Strict(floor=1, ceiling=9), True),
    ],
)
def test_content_is_class_and_values(a: Any, b: Any, is_same: bool) -> None:
    pair = (content_of(Loose(anything=a)), content_of(Loose(anything=b)))

    assert (pair[0] == pair[1]) is is_same
    assert {pair[0]: 1}


def test_what_a_callable_does_to_its_copy_stays_its_own(workspace: Workspace, item: Ref) -> None:
    ref = workspace.store_config(Pricing(factor=3.0, tags=["t"]))

    for given in (ref, workspace.snapshot(ref), Pricing(factor=3.0, tags=["t"])):
        workspace.execute("price", item=item, pricing=given)

    assert [each.model_dump() for each in configs(workspace)] == [
        {"factor": 3.0, "tags": ["t"], "limit": 100}
    ]
    assert workspace.snapshot(item).tags == ["t"] * 3


def test_a_config_is_no_part_of_the_callers_object_nor_of_the_stored_one(
    workspace: Workspace, item: Ref
) -> None:
    given = Pricing(tags=["t"])
    workspace.execute("price", item=item, pricing=given)

    given.tags.append("later")
    workspace.execute("price", item=item, pricing=given)

    assert [each.tags for each in configs(workspace)] == [["t"], ["t", "later"]]


def test_an_edited_snapshot_of_a_config_is_another_content(workspace: Workspace, item: Ref) -> None:
    ref = workspace.store_config(Pricing(factor=3.0))
    mine = workspace.snapshot(ref)
    mine.factor = 5.0

    assert workspace.execute("price", item=item, pricing=mine).price == 15.0
    assert [each.factor for each in configs(workspace)] == [3.0, 5.0]


def test_a_config_that_is_part_of_a_tree_is_named_as_the_source(workspace: Workspace) -> None:
    class Holder(Entity):
        pricing: Pricing

    root = workspace.add(Holder(pricing=Pricing(factor=4.0)))
    child = workspace.snapshot(root).pricing

    result = workspace.execute("give_back", pricing=child)

    record = workspace.executions()[-1]
    assert record.trees == ()
    assert [each.address for each in record.sources] == [f"@{child.ecs_id}"]
    assert result.factor == 4.0
    assert result.is_root_entity()
    assert workspace.head(root) == 1


def test_a_stored_config_that_somebody_changed_is_stored_again(workspace: Workspace) -> None:
    """A callable that takes any entity may change it; its first version is not the head then."""

    @workspace.register("edit_any")
    def edit_any(entity: Entity) -> None:
        assert isinstance(entity, Pricing)
        entity.factor = 9.0

    ref = workspace.store_config(Pricing(factor=3.0))
    workspace.run("edit_any", {"entity": ref})

    again = workspace.store_config(Pricing(factor=3.0))

    assert again != ref
    assert workspace.snapshot(ref, 1).factor == 3.0
    assert workspace.snapshot(again).factor == 3.0


def test_old_configs_are_let_go_but_not_what_somebody_added() -> None:
    workspace = Workspace(retention=Retention(configs=2))
    workspace.register("give_back")(give_back)
    mine = workspace.add(Pricing(factor=-1.0))
    workspace.execute("give_back", pricing=mine)

    for factor in range(5):
        workspace.execute("give_back", factor=factor)

    assert sorted(each.factor for each in configs(workspace)) == [-1.0, 3.0, 4.0]
    assert len(workspace.configs) == 2


# --- records, results, turns ---------------------------------------------------------------------


def test_the_record_names_the_config_among_the_inputs(workspace: Workspace, item: Ref) -> None:
    workspace.execute("price", item=item, factor=3)

    record = workspace.executions()[-1]
    stored = workspace.store_config(Pricing(factor=3.0))

    assert record.inputs == (("item", item.key), ("pricing", stored.key))
    assert record.arguments == ()
    assert [each.root for each in record.trees] == [item.root]
    assert workspace.executions(entity=stored) == [record]


def test_a_config_that_is_returned_gives_its_snapshot_and_no_version(workspace: Workspace) -> None:
    ref = workspace.store_config(Pricing(factor=3.0))

    result = workspace.execute("give_back", pricing=ref)
    receipt = workspace.run("give_back", {"factor": 3.0})

    assert result == workspace.snapshot(ref)
    assert (receipt.outputs, receipt.value, receipt.semantic) == ((ref,), ref, "mutation")
    assert workspace.head(ref) == 1
    assert workspace.roots() == [ref]


def test_a_config_that_was_given_as_an_object_is_returned_as_the_stored_one(
    workspace: Workspace,
) -> None:
    receipt = workspace.run("give_back", {"pricing": Pricing(factor=3.0)})

    stored = workspace.store_config(Pricing(factor=3.0))
    assert (receipt.outputs, receipt.value, receipt.semantic) == ((stored,), stored, "mutation")
    assert workspace.roots() == [stored]


def test_a_config_that_a_callable_made_is_stored_by_its_content_too(workspace: Workspace) -> None:
    @workspace.register("twice")
    def twice(pricing: Pricing) -> Pricing:
        pricing.factor *= 2
        return pricing

    made = workspace.execute("twice", factor=2)
    again = workspace.execute("twice", factor=2)
    given = workspace.execute("give_back", factor=4)

    assert (made.factor, made.derived_from_function) == (4.0, "twice")
    assert made == again == given
    assert sorted(each.factor for each in configs(workspace)) == [2.0, 4.0]


def test_a_config_put_into_a_tree_is_a_new_entity_of_that_tree(workspace: Workspace) -> None:
    @workspace.register("keep")
    def keep(shop: Shop, pricing: Pricing) -> Shop:
        shop.anything = pricing
        return shop

    shop = workspace.add(new_shop())
    ref = workspace.store_config(Pricing(factor=3.0))

    kept = workspace.execute("keep", shop=shop, pricing=ref).anything

    assert kept.factor == 3.0
    assert kept.lineage_id != ref.lineage_id
    assert kept.previous_ecs_id == workspace.snapshot(ref).ecs_id
    assert not kept.is_root_entity()


def test_executions_that_share_a_config_do_not_wait_for_each_other(workspace: Workspace) -> None:
    """Two that hold it at the same time meet at a barrier, which they could not one by one."""
    meeting = asyncio.Barrier(2)

    @workspace.register("meet")
    async def meet(item: Item, pricing: Pricing) -> None:
        await asyncio.wait_for(meeting.wait(), 10)

    ref = workspace.store_config(Pricing(factor=3.0))
    items = [workspace.add(Item(name=str(n))) for n in range(2)]

    async def main() -> None:
        await asyncio.gather(
            *[workspace.aexecute("meet", item=each, pricing=ref) for each in items]
        )

    asyncio.run(main())


def test_threads_store_one_config(workspace: Workspace) -> None:
    items = [workspace.add(Item(name=str(n))) for n in range(8)]

    def go(item: Ref) -> None:
        for n in range(20):
            workspace.execute("price", item=item, factor=n)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(go, items))

    assert sorted(each.factor for each in configs(workspace)) == list(range(20))
