"""A recorded execution can be run again: on its inputs as they were, with nothing stored."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from registry import (
    ConfigEntity,
    Difference,
    Entity,
    NotFoundError,
    PrunedError,
    Ref,
    ReplayError,
    Retention,
    Workspace,
    parse_address,
)
from tests.model.values import Box
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop

MOOD = {"by": 1}
"""What a function reads beside its arguments."""


def grow(shop: Shop, n: int) -> Shop:
    shop.numbers.append(n + MOOD["by"])
    if MOOD["by"] == 0:
        raise KeyError(n)
    return shop


def stock(shop: Shop, names: list[str]) -> None:
    shop.shelves.append(Shelf(label="new", items=[Item(name=each) for each in names]))
    shop.window = {Item(name=each) for each in names}


def make(shop: Shop) -> tuple[Item, Shelf]:
    return Item(name=shop.name), Shelf(items=[Item()])


def take(shop: Shop) -> Shelf:
    return shop.shelves.pop()


def swap(a: Shop, b: Shop) -> None:
    a.shelves, b.shelves = [], []
    a.name, b.name = b.name, a.name


def price(items: list[Item], more: dict[str, list[Item]], by: float) -> int:
    for item in (*items, *more["x"]):
        item.price += by
    return len(items)


def put_in(shop: Shop, item: Item) -> None:
    shop.star = item
    item.price = 5.0


def put_box(shop: Shop, box: Any) -> None:
    shop.numbers = list(box.content)


def rename(shop: Shop, name: str) -> None:
    shop.name = name


async def later(shop: Shop) -> str:
    await asyncio.sleep(0)
    shop.name = "later"
    return "done"


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace that knows the functions above."""
    monkeypatch.setitem(MOOD, "by", 1)
    workspace = Workspace()
    for function in (grow, stock, make, take, swap, price, put_in, rename, later):
        workspace.register(function.__name__)(function)
    return workspace


@pytest.fixture
def shop(workspace: Workspace) -> Ref:
    """A shop."""
    return workspace.add(new_shop())


def replay_all(workspace: Workspace) -> None:
    """Replay everything, and check that nothing came of it but equality."""
    records = workspace.executions()
    heads = {ref: workspace.head(ref) for ref in workspace.roots()}

    for record in records:
        found = workspace.replay(record.execution_id)
        assert found.is_equal, str(found)
        assert found.record == record

    assert workspace.executions() == records
    assert {ref: workspace.head(ref) for ref in workspace.roots()} == heads


def test_every_kind_of_execution_comes_out_as_recorded(workspace: Workspace, shop: Ref) -> None:
    other = workspace.add(Shop(name="other", shelves=[Shelf(items=[Item()])]))
    workspace.execute("grow", shop=shop, n=1)
    workspace.execute("grow", shop=workspace.snapshot(shop), n=True)
    workspace.execute("stock", shop=shop, names=["a", "b", "a"])
    workspace.execute("make", shop=shop)
    items = list(map(workspace.ref, workspace.at(shop, 1).shelves[0].items))
    here = f"{other.address}.shelves.0.items.0"
    workspace.execute("price", items=[items[1], here], more={"x": [items[0]]}, by=2.0)
    workspace.execute("rename", shop=shop, name=parse_address(f"{other.address}.name"))
    workspace.execute("take", shop=shop)
    workspace.execute("swap", a=shop, b=other)
    workspace.execute("later", shop=shop)
    workspace.put(f"{shop.address}.table.a", 9)

    replay_all(workspace)


def test_an_execution_on_an_outdated_snapshot_is_replayed_on_its_version(
    workspace: Workspace, shop: Ref
) -> None:
    old = workspace.snapshot(shop)
    workspace.execute("grow", shop=shop, n=1)
    workspace.execute("grow", shop=old, n=2)
    workspace.execute("rename", shop=old, name="shop")

    replay_all(workspace)


def test_a_failure_is_replayed_with_its_error(workspace: Workspace, shop: Ref) -> None:
    MOOD["by"] = 0
    with pytest.raises(KeyError):
        workspace.execute("grow", shop=shop, n=3)
    (record,) = workspace.executions()
    workspace.execute("rename", shop=shop, name="since")

    found = workspace.replay(record.execution_id)

    assert found.is_equal
    assert isinstance(found.error, KeyError)
    assert found.error.args == (3,)
    assert found.value is None
    with pytest.raises(ValueError, match="got 'x'"):
        workspace.execute("grow", shop=shop, n="x")
    with pytest.raises(ReplayError, match="nothing tells which"):
        workspace.replay(workspace.executions()[-1].execution_id)


def test_what_comes_out_otherwise_is_listed(workspace: Workspace, shop: Ref) -> None:
    workspace.execute("grow", shop=shop, n=1)
    (record,) = workspace.executions()
    MOOD["by"] = 5

    found = workspace.replay(record.execution_id)

    assert not found.is_equal
    assert found.differences == (Difference("field", shop, "numbers", [3, 1, 2, 2], [3, 1, 2, 6]),)
    assert found.value.numbers == [3, 1, 2, 6]
    assert str(found) == (
        f"execution {record.execution_id} (grow) comes out otherwise:\n"
        f"  field 'numbers' of {shop.address}: was [3, 1, 2, 2], is [3, 1, 2, 6]"
    )
    MOOD["by"] = 0
    assert [each.what for each in workspace.replay(record.execution_id).differences] == [
        "status",
        "semantic",
        "error",
    ]


def test_new_entities_are_compared_by_their_places(workspace: Workspace, shop: Ref) -> None:
    workspace.execute("stock", shop=shop, names=["a", "b"])
    (record,) = workspace.executions()

    def otherwise(shop: Shop, names: list[str]) -> None:
        stock(shop, names)
        shop.shelves[-1].items[1].price = 7.0

    workspace.register("stock", replace=True)(otherwise)
    item = workspace.ref(workspace.at(f"{shop.address}.shelves.3.items.1", 2))

    found = workspace.replay(record.execution_id)

    assert found.differences == (Difference("field", item, "price", 1.0, 7.0),)


def test_what_is_returned_before_the_new_root_that_holds_it_comes_out_as_recorded(
    workspace: Workspace, shop: Ref
) -> None:
    @workspace.register("take_both")
    def take_both(shop: Shop) -> tuple[Item, Shelf]:
        shelf = shop.shelves.pop()
        return shelf.items[0], shelf

    workspace.execute("take_both", shop=shop)
    (record,) = workspace.executions(name="take_both")

    assert workspace.replay(record.execution_id).is_equal


@pytest.mark.parametrize("raw", [True, False])
def test_what_was_detached_beside_a_plain_result_comes_out_as_recorded(
    workspace: Workspace, shop: Ref, raw: bool
) -> None:
    @workspace.register("let_go")
    def let_go(shop: Shop) -> int:
        shop.shelves[0].detach()
        return len(shop.shelves)

    workspace.execute("let_go", raw=raw, shop=shop)
    (record,) = workspace.executions(name="let_go")

    assert workspace.replay(record.execution_id).is_equal


def test_a_returned_entity_of_another_content_or_class_is_a_difference(
    workspace: Workspace, shop: Ref
) -> None:
    workspace.execute("make", shop=shop)
    number = workspace.executions()[0].execution_id

    def other(shop: Shop) -> tuple[Item, Shelf]:
        return Item(name="other"), Shelf(items=[Item()])

    def others(shop: Shop) -> tuple[Shelf, Item]:
        return Shelf(), Item()

    workspace.register("make", replace=True)(other)
    (difference,) = workspace.replay(number).differences
    assert (difference.field, difference.recorded, difference.replayed) == ("name", "shop", "other")
    workspace.register("make", replace=True)(others)
    assert [each.what for each in workspace.replay(number).differences] == ["outputs"]


def test_it_runs_in_the_callers_thread_and_the_result_belongs_to_nobody(
    workspace: Workspace, shop: Ref
) -> None:
    threads = []

    @workspace.register("where")
    def where(shop: Shop) -> Shop:
        threads.append(threading.get_ident())
        shop.name = "there"
        return shop

    workspace.execute("where", shop=shop)
    found = workspace.replay(workspace.executions()[0].execution_id)

    assert threads == [threading.get_ident()] * 2
    assert found.value.name == "there"
    assert found.value.is_orphan()


def test_an_argument_that_was_kept_as_text_can_be_given(workspace: Workspace, shop: Ref) -> None:
    workspace.register("put_in", replace=True)(put_box)
    workspace.execute("put_in", shop=shop, box=Box([1]))
    record = workspace.executions()[0]

    with pytest.raises(ReplayError) as caught:
        workspace.replay(record.execution_id)

    assert caught.value.execution_id == record.execution_id
    assert "'box' was kept as text only" in caught.value.problem
    assert "arguments={'box': ...}" in caught.value.way_out
    assert workspace.replay(record.execution_id, arguments={"box": Box([1])}).is_equal
    with pytest.raises(ReplayError, match="no parameter 'bix'"):
        workspace.replay(record.execution_id, arguments={"bix": 1})


def test_an_orphan_that_went_into_another_tree_can_be_given_again(
    workspace: Workspace, shop: Ref
) -> None:
    workspace.execute("put_in", shop=shop, item=Item(name="orphan"))
    record = workspace.executions()[0]

    with pytest.raises(ReplayError, match="'item' was an orphan"):
        workspace.replay(record.execution_id)

    assert workspace.replay(record.execution_id, arguments={"item": Item(name="orphan")}).is_equal
    (difference,) = workspace.replay(
        record.execution_id, arguments={"item": Item(name="other")}
    ).differences
    assert (difference.field, difference.recorded, difference.replayed) == (
        "name",
        "orphan",
        "other",
    )


def test_a_snapshot_given_to_a_replay_does_not_lead_back_into_the_workspace(
    workspace: Workspace, shop: Ref
) -> None:
    other = workspace.add(new_shop())
    workspace.execute("rename", shop=shop, name="b")
    number = workspace.executions()[0].execution_id

    for given in (workspace.snapshot(other), workspace.snapshot(shop), shop):
        workspace.replay(number, arguments={"shop": given})

    assert workspace.head(other) == 1
    assert workspace.head(shop) == 2


def test_edits_of_a_snapshot_are_not_kept_and_so_not_replayed(
    workspace: Workspace, shop: Ref
) -> None:
    snapshot: Any = workspace.snapshot(shop)
    snapshot.name = "edited"
    snapshot.star.price = 2.0
    workspace.execute("grow", shop=snapshot, n=1)
    record = workspace.executions()[0]

    assert dict(record.arguments) == {"n": 1, "@edits": 2}
    with pytest.raises(ReplayError, match="edited"):
        workspace.replay(record.execution_id)


def test_what_a_callable_executes_is_run_again_with_it_and_not_stored(
    workspace: Workspace, shop: Ref
) -> None:
    """On trees as they were before the outermost execution, those of inner ones too."""
    other = workspace.add(new_shop())

    @workspace.register("both")
    def both(shop: Shop, name: str) -> None:
        shop.name = name
        workspace.execute("rename", shop=other, name=f"{name}!")
        workspace.execute("grow", shop=shop, n=1)

    workspace.execute("both", shop=shop, name="a")
    workspace.execute("both", shop=shop, name="b")
    records = workspace.executions(name="both")

    for record in records:
        found = workspace.replay(record.execution_id)
        assert found.is_equal, str(found)
        assert len(workspace.changes(record)) == 2

    assert workspace.executions(name="both") == records
    assert [workspace.head(each) for each in (shop, other)] == [3, 3]


def test_what_is_no_longer_kept_is_not_replayed() -> None:
    workspace = Workspace(retention=Retention(versions=2))
    workspace.register("rename")(rename)
    workspace.register("look")(look)
    shop = workspace.add(new_shop())
    for number in range(30):
        workspace.execute("rename", shop=shop, name=f"v{number}")
    workspace.execute("look", item=Item())
    first, *_, last, orphan = workspace.executions()

    assert workspace.replay(last.execution_id).is_equal
    with pytest.raises(PrunedError):
        workspace.replay(first.execution_id)
    with pytest.raises(NotFoundError):
        workspace.replay("nothing")
    with pytest.raises(ReplayError, match="'item' was an orphan"):
        workspace.replay(orphan.execution_id)


def look(item: Entity) -> None:
    """Change nothing."""


class Paint(ConfigEntity):
    """How to paint."""

    colour: str = "red"
    coats: int = 1


def test_configs_are_given_again_as_they_were(workspace: Workspace, shop: Ref) -> None:
    @workspace.register("paint")
    def paint(shop: Shop, how: Paint) -> str:
        shop.name = how.colour * how.coats
        how.coats = 99
        return shop.name

    for given in ({"how": Paint(colour="blue")}, {"colour": "green", "coats": 2}, {}):
        workspace.execute("paint", shop=shop, **given)

    for record in workspace.executions("paint"):
        again = workspace.replay(record.execution_id)
        assert again.is_equal, str(again)


def test_another_plain_result_is_a_difference(workspace: Workspace, shop: Ref) -> None:
    results = iter([1, 2])

    @workspace.register("count")
    def count(shop: Shop) -> int:
        return next(results)

    workspace.execute("count", shop=shop)

    again = workspace.replay(workspace.executions()[-1].execution_id)

    assert [(each.field, each.recorded, each.replayed) for each in again.differences] == [
        ("value", 1, 2)
    ]
