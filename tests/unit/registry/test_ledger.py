"""Executions are found by id and time, and each tells what it changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from registry import (
    Entity,
    NaiveTimeError,
    NotFoundError,
    PrunedError,
    Ref,
    Retention,
    Workspace,
)
from tests.unit.registry.conftest import Do
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop


class Corner(Shop):
    """A subclass of roots."""


def grow(shop: Shop, n: int) -> Shop:
    shop.numbers.append(n)
    return shop


def look(shop: Shop, numbers: list[int]) -> int:
    return len(numbers)


def make(shop: Shop) -> Shelf:
    return Shelf(items=[Item(), Item()])


def swap(a: Shop, b: Shop) -> None:
    a.name, b.name = b.name, a.name


def test_changes_are_those_of_the_commit(workspace: Workspace, shop: Ref, do: Do) -> None:
    first, second, _ = map(workspace.ref, workspace.at(shop, 1).shelves)
    item, other = map(workspace.ref, workspace.at(first, 1).items)
    gone: list[Any] = []

    def act(shop: Shop) -> None:
        shop.shelves[1].items.append(shop.shelves[0].items.pop(0))
        gone.append(shop.shelves[0].items.pop(0))
        shop.shelves.append(Shelf(label="new"))

    do(act)
    (record,) = workspace.executions()
    new = workspace.ref(workspace.at(f"{shop.address}.shelves.3", 2))

    (found,) = workspace.changes(record)

    assert (found.tree, found.version, found.execution_id) == (shop, 2, record.execution_id)
    assert found.callable == "act"
    assert found.committed_at == workspace.history(shop)[-1].committed_at
    assert set(found.changed) == {shop, first, second}
    assert (found.created, found.removed, found.moved) == ((new,), (other,), (item,))

    do(lambda shop: shop.shelves[0].items.append(gone[0]))

    (back,) = workspace.changes(workspace.executions()[-1].execution_id)
    assert (back.created, back.removed, back.moved) == ((other,), (), ())


def test_changes_name_every_tree_also_a_new_one(workspace: Workspace, shop: Ref) -> None:
    for function in (make, swap, look):
        workspace.register(function.__name__)(function)
    other = workspace.add(Shop(name="other"))
    workspace.execute("swap", a=shop, b=other)
    made = workspace.execute("make", shop=shop)
    workspace.execute("look", shop=shop, numbers=[])

    swapped, created, looked = map(workspace.changes, workspace.executions())

    assert {(each.tree, each.version, each.changed) for each in swapped} == {
        (shop, 2, (shop,)),
        (other, 2, (other,)),
    }
    (first,) = created
    assert (first.tree, first.version) == (workspace.ref(made), 1)
    assert first.created == tuple(map(workspace.ref, [made, *made.items]))
    assert looked == []


def test_changes_that_are_no_longer_kept_are_refused() -> None:
    workspace = Workspace(retention=Retention(versions=2))
    workspace.register("grow")(grow)
    shop = workspace.add(new_shop())
    for n in range(30):
        workspace.execute("grow", shop=shop, n=n)
    first, *_, last = workspace.executions()

    assert [each.version for each in workspace.changes(last)] == [31]
    with pytest.raises(PrunedError) as caught:
        workspace.changes(first)
    assert caught.value.version == 2


def test_an_execution_is_found_by_its_id(workspace: Workspace, shop: Ref) -> None:
    workspace.register("grow")(grow)
    workspace.register("look")(look)
    workspace.run("grow", {"shop": shop, "n": 1}, execution_id="mine")
    workspace.execute("grow", shop=shop, n=2)
    workspace.execute("look", shop=shop, numbers=[1])
    workspace.run("grow", {"shop": shop, "n": 3}, execution_id="e1")
    records = workspace.executions()

    assert [workspace.execution(each.execution_id) for each in records] == records
    assert workspace.execution("mine") == records[0]
    for unknown in ("theirs", "e2", "0xe1", ""):
        with pytest.raises(NotFoundError) as caught:
            workspace.execution(unknown)
        assert repr(unknown) in caught.value.what


def test_the_newest_of_two_executions_with_one_id_is_found(workspace: Workspace, shop: Ref) -> None:
    workspace.register("grow")(grow)
    for n in (1, 2):
        workspace.run("grow", {"shop": shop, "n": n}, execution_id="same")

    assert dict(workspace.execution("same").arguments) == {"n": 2}


def test_executions_are_chosen_by_time_and_number() -> None:
    now = [1_000.0]
    workspace = Workspace(clock=lambda: now[0])
    workspace.register("grow")(grow)
    shop = workspace.add(new_shop())
    for n in range(6):
        now[0] = 1_000.0 + n
        workspace.execute("grow", shop=shop, n=n)
    began = datetime.fromtimestamp(1_000, UTC)

    def numbers(**how: Any) -> list[int]:
        return [dict(each.arguments)["n"] for each in workspace.executions(**how)]

    assert numbers(since=began + timedelta(seconds=2)) == [2, 3, 4, 5]
    assert numbers(until=began + timedelta(seconds=2)) == [0, 1]
    assert numbers(since=began + timedelta(seconds=1), limit=2) == [4, 5]
    assert numbers(limit=3, until=began + timedelta(seconds=4)) == [1, 2, 3]
    assert numbers(limit=0) == []
    with pytest.raises(NaiveTimeError):
        workspace.executions(since=datetime(2030, 1, 1))  # noqa: DTZ001 - what is refused


def test_roots_are_found_by_class_with_subclasses_and_branches() -> None:
    workspace = Workspace()
    shelf = workspace.add(Shelf())
    shop = workspace.add(Shop())
    corner = workspace.add(Corner())
    other = workspace.add(Shop())
    branch = workspace.fork(shop)
    workspace.add(workspace.snapshot(shop))

    assert workspace.roots(Shop) == [shop, corner, other, branch]
    assert workspace.roots(Corner) == [corner]
    assert workspace.roots(Shelf) == [shelf]
    assert workspace.roots(Item) == []
    assert workspace.roots(Entity) == workspace.roots() == [shelf, shop, corner, other, branch]


def test_a_small_container_is_kept_as_data_and_a_reader_gets_a_copy(
    workspace: Workspace, shop: Ref
) -> None:
    workspace.register("look")(look)
    workspace.execute("look", shop=shop, numbers=[1, 2])

    for _ in range(2):
        (record,) = workspace.executions()
        assert record.arguments == (("numbers", [1, 2]),)
        record.arguments[0][1].append(3)


def test_executions_of_an_entity_that_has_left_are_found(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    def price(item: Item, price: float) -> None:
        item.price = price

    workspace.register("price")(price)
    item = workspace.at(f"{shop.address}.shelves.0.items.0", 1)
    workspace.execute("price", item=item, price=2.0)
    do(lambda shop: shop.shelves.pop(0))

    (found,) = workspace.executions(entity=item.lineage_id)

    assert found.callable_name == "price"
