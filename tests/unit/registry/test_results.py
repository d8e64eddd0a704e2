"""What a function returns, and what the caller of `execute` gets for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from registry import Entity, Ref, ReturnError, StructureError, UncopyableError, Workspace
from registry.results import keeps_hint
from tests.unit.registry.conftest import Do
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop


class Page(BaseModel):
    """A plain model that may hold anything."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    content: Any = None


@dataclass
class Pair:
    """A plain dataclass."""

    left: Any
    right: Any


def semantics(workspace: Workspace) -> list[str | None]:
    return [record.semantic for record in workspace.executions()]


def test_an_input_that_was_changed_is_its_snapshot_at_the_new_version(
    workspace: Workspace, do: Do
) -> None:
    def act(shop: Shop) -> Shop:
        shop.name = "new"
        return shop

    result = do(act)

    assert (result.name, result.version) == ("new", 2)
    assert result == workspace.snapshot(result)
    assert semantics(workspace) == ["mutation"]


def test_an_input_that_was_not_changed_has_the_same_ids_and_no_version(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    before = workspace.snapshot(shop)

    result = do(lambda shop: shop)

    assert result == before
    assert result.version == 1
    assert semantics(workspace) == ["mutation"]


def test_a_new_entity_is_a_new_root(workspace: Workspace, do: Do) -> None:
    result = do(lambda shop: Item(name="new"))

    assert result.is_root_entity()
    assert (result.version, result.previous_ecs_id, result.root_ecs_id) == (1, None, result.ecs_id)
    assert semantics(workspace) == ["creation"]


def test_what_was_taken_out_is_a_root_and_its_parent_has_lost_it(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    before: Any = workspace.snapshot(shop)

    result = do(lambda shop: shop.shelves.pop(0))

    assert result.is_root_entity()
    assert result.previous_ecs_id == before.shelves[0].ecs_id
    after: Any = workspace.snapshot(shop)
    assert [each.label for each in after.shelves] == ["s1", "s2"]
    assert after.derived_from_execution_id == result.derived_from_execution_id
    assert semantics(workspace) == ["detachment"]


@pytest.mark.parametrize("deep", [False, True])
def test_a_copy_made_by_the_function_is_new_and_names_its_source(
    workspace: Workspace, shop: Ref, do: Do, deep: bool
) -> None:
    before: Any = workspace.snapshot(shop)

    result = do(lambda shop: shop.shelves[0].model_copy(deep=deep))

    assert result.previous_ecs_id == before.shelves[0].ecs_id
    assert result.items[0].previous_ecs_id == before.shelves[0].items[0].ecs_id
    assert result.lineage_id != before.shelves[0].lineage_id
    assert result.model_dump() == before.shelves[0].model_dump()
    assert workspace.head(shop) == 1
    assert semantics(workspace) == ["creation"]


SHAPES: dict[str, Callable[[Any, Any], Any]] = {
    "tuple": lambda a, b: (a, b),
    "list": lambda a, b: [a, b],
    "dict": lambda a, b: {"a": a, 1: b},
    "values between": lambda a, b: (1, a, None, "x", b, 2.5),
    "nested": lambda a, b: {"x": [(a, 1), {"y": (b, [])}], "z": ()},
}


def plain(value: Any) -> Any:
    if isinstance(value, Entity):
        return type(value).__name__
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return type(value)(map(plain, value)) if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_same_shape_comes_back(do: Do, shape: Callable[[Any, Any], Any]) -> None:
    result = do(lambda shop: shape(shop, Item()))

    assert plain(result) == shape("Shop", "Item")


def test_what_is_returned_together_are_siblings_in_order(workspace: Workspace, do: Do) -> None:
    """Whatever became of each: changed, new, taken out, copied."""

    def act(shop: Shop) -> Any:
        shop.name = "changed"
        taken = shop.shelves.pop()
        return {"a": [shop, 1], "b": (Item(name="new"), {"c": taken}), "d": taken.model_copy()}

    result = do(act)

    found = [result["a"][0], result["b"][0], result["b"][1]["c"], result["d"]]
    ids = [each.ecs_id for each in found]
    assert [each.output_index for each in found] == [0, 1, 2, 3]
    for index, each in enumerate(found):
        assert each.sibling_output_entities == ids[:index] + ids[index + 1 :]
        assert workspace.snapshot(each).output_index == index
    (record,) = workspace.executions()
    assert record.output_ids == ids


def test_a_single_result_has_no_siblings(do: Do) -> None:
    for act in (lambda shop: Item(), lambda shop: shop.shelves.pop(), lambda shop: [shop]):
        result = do(act)
        result = result[0] if isinstance(result, list) else result
        assert (result.output_index, result.sibling_output_entities) == (None, [])


def test_the_same_entity_on_two_branches_is_two_siblings(workspace: Workspace, shop: Ref) -> None:
    @workspace.register("both")
    def both(one: Shop, two: Shop) -> tuple[Shop, Shop]:
        one.name, two.name = "one", "two"
        return one, two

    one, two = workspace.execute("both", one=shop, two=workspace.fork(shop))

    assert [one.output_index, two.output_index] == [0, 1]
    assert one.sibling_output_entities == [two.ecs_id]
    assert two.sibling_output_entities == [one.ecs_id]


def test_one_that_is_unchanged_tells_of_the_execution_that_made_its_version(
    workspace: Workspace, do: Do
) -> None:
    """A stored version never changes: what returned it again does not write to it."""
    shop, item = do(lambda shop: (shop, Item()))

    assert (shop.output_index, shop.sibling_output_entities) == (None, [])
    assert item.output_index == 1
    (record,) = workspace.executions()
    assert record.output_ids == [shop.ecs_id, item.ecs_id]


def test_an_entity_that_is_returned_twice_is_one_object(workspace: Workspace, do: Do) -> None:
    result = do(lambda shop: [shop.star, {"again": shop.star}])

    assert result[0] is result[1]["again"]
    assert [len(record.outputs) for record in workspace.executions()] == [1]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("is_new", [True, False])
def test_an_entity_below_another_one_that_is_returned_is_shown_there(
    workspace: Workspace, do: Do, order: int, is_new: bool
) -> None:
    def act(shop: Shop) -> Any:
        shelf = Shelf(items=[Item(name="i")]) if is_new else shop.shelves.pop()
        return [shelf, shelf.items[0]][::order]

    shelf, item = do(act)[::order]

    assert shelf.is_root_entity()
    assert item.root_ecs_id == shelf.ecs_id
    assert item == shelf.items[0]
    assert len(workspace.roots()) == 2


@pytest.mark.parametrize("hold", [lambda e: Page(content=[e]), lambda e: Pair(e, 1)])
def test_entities_in_a_returned_object_are_snapshots(
    workspace: Workspace, shop: Ref, do: Do, hold: Callable[[Any], Any]
) -> None:
    kept = do(lambda shop: hold(shop.shelves[0]))
    new = do(lambda shop: hold(Item(name="new")))
    taken = do(lambda shop: hold(shop.shelves.pop(0)))

    def held(value: Any) -> Any:
        return value.content[0] if isinstance(value, Page) else value.left

    assert held(kept).root_ecs_id == workspace.snapshot(shop, 1).ecs_id
    held(kept).label = "written by its holder"
    assert held(new).is_root_entity()
    assert held(taken).is_root_entity()
    assert semantics(workspace) == ["mutation", "creation", "detachment"]


def test_returned_objects_without_entities_are_copies(do: Do) -> None:
    kept = Page(content=[1])
    page = do(lambda shop: kept)

    kept.content.append(2)

    assert page == Page(content=[1])


def test_returned_containers_of_the_tree_are_the_callers_own(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    numbers, table, shelves = do(lambda shop: (shop.numbers, shop.table, shop.shelves))

    numbers.append(9)
    table["z"] = 9
    shelves.clear()

    assert (type(numbers), type(table), type(shelves)) == (list, dict, list)
    stored: Any = workspace.snapshot(shop)
    assert (stored.numbers, stored.table, len(stored.shelves)) == ([3, 1, 2], {"a": 1, "b": 2}, 3)


def test_a_snapshot_that_the_function_kept_comes_back_as_it_is(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """It is its holder's already."""
    kept = workspace.snapshot(shop)

    assert do(lambda shop: [kept])[0] is kept
    assert [len(record.outputs) for record in workspace.executions()] == [0]


def count() -> Iterator[int]:
    yield 1


ONCE: dict[str, Callable[[Any], Any]] = {
    "generator": lambda shop: count(),
    "generator of entities": lambda shop: (each for each in shop.shelves),
    "iterator": lambda shop: iter(shop.numbers),
    "map": lambda shop: [map(str, [1])],
    "dict values": lambda shop: {"x": shop.by_name.values()},
}


@pytest.mark.parametrize("act", ONCE.values(), ids=ONCE)
def test_what_can_be_read_once_only_is_refused(
    workspace: Workspace, shop: Ref, do: Do, act: Callable[[Any], Any]
) -> None:
    def change_too(shop: Shop) -> Any:
        shop.name = "lost"
        return act(shop)

    with pytest.raises(ReturnError) as raised:
        do(change_too)

    assert "list(...)" in str(raised.value)
    assert workspace.head(shop) == 1
    assert [record.status for record in workspace.executions()] == ["failed"]


def test_what_cannot_be_copied_is_refused_and_nothing_is_stored(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    with Path(__file__).open(encoding="utf-8") as file:

        def act(shop: Shop) -> Any:
            shop.name = "lost"
            return Pair(file, 1)

        with pytest.raises(UncopyableError):
            do(act)

    assert workspace.head(shop) == 1
    assert [record.status for record in workspace.executions()] == ["failed"]


def wrong_class(shop: Shop) -> Item:
    shop.name = "lost"
    return shop  # type: ignore[return-value]  # the point of it


def wrong_item(shop: Shop) -> list[Item]:
    shop.name = "lost"
    return [Item(), shop]  # type: ignore[list-item]  # the point of it


def wrong_length(shop: Shop) -> tuple[Shop, Shop]:
    return (shop,)  # type: ignore[return-value]  # the point of it


def wrong_value(shop: Shop) -> dict[str, Item | None]:
    return {"a": None, "b": 3}  # type: ignore[dict-item]  # the point of it


def something(shop: Shop) -> None:
    return shop  # type: ignore[return-value]  # the point of it


@pytest.mark.parametrize("act", [wrong_class, wrong_item, wrong_length, wrong_value, something])
def test_what_contradicts_the_return_hint_is_a_type_error_and_nothing_is_stored(
    workspace: Workspace, shop: Ref, act: Callable[[Shop], Any]
) -> None:
    workspace.register("wrong")(act)

    with pytest.raises(TypeError) as raised:
        workspace.execute("wrong", shop=shop)

    assert isinstance(raised.value, ReturnError)
    assert raised.value.callable_name == "wrong"
    assert workspace.head(shop) == 1
    assert len(workspace.roots()) == 1
    (record,) = workspace.executions()
    assert (record.status, record.error_type) == ("failed", "ReturnError")


def test_all_outputs_are_stored_or_none(workspace: Workspace, shop: Ref, do: Do) -> None:
    item = Item()

    with pytest.raises(StructureError):
        do(lambda shop: [Item(), Shelf(items=[item]), Shelf(items=[item])])

    assert workspace.roots() == [shop]


@pytest.mark.parametrize(
    ("value", "hint", "is_kept"),
    [
        ([1], list[int], True),
        ([1], list[str], False),
        ((1, 2, 3), tuple[int, ...], True),
        ((), tuple[()], True),
        ({"a": [1]}, dict[str, list[int]], True),
        ({"a": ["x"]}, dict[str, list[int]], False),
        ({1}, set[int], True),
        (1, float, True),
        (None, int | None, True),
        ("x", int | None, False),
        ([new_shop()], list[Entity], True),
        ([Item()], list[Shop | Shelf], False),
        ([object()], list[Any], True),
    ],
)
def test_a_value_keeps_a_hint_or_does_not(value: Any, hint: Any, is_kept: bool) -> None:
    assert keeps_hint(value, hint) is is_kept
