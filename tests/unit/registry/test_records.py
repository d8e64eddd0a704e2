"""Every execution, on every path, leaves one record."""

from __future__ import annotations

import asyncio

import pytest

from registry import Ref, Retention, Workspace
from registry.errors import UsageError
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop


def grow(shop: Shop, n: int) -> Shop:
    """Succeed with a change."""
    shop.numbers.append(n)
    return shop


def fail(shop: Shop) -> None:
    """Fail with a change."""
    shop.numbers.clear()
    raise KeyError("why")


def take(shop: Shop) -> Shelf:
    """Detach."""
    return shop.shelves.pop()


def make(shop: Shop) -> Item:
    """Create."""
    return Item(name="made")


async def later(shop: Shop) -> None:
    """Succeed, asynchronously."""
    await asyncio.sleep(0)
    shop.name = "later"


@pytest.fixture
def workspace() -> Workspace:
    """A workspace that knows the functions above."""
    workspace = Workspace()
    for function in (grow, fail, take, make, later):
        workspace.register(function.__name__)(function)
    return workspace


@pytest.fixture
def shop(workspace: Workspace) -> Ref:
    """A shop."""
    return workspace.add(new_shop())


def test_a_success_is_recorded(workspace: Workspace, shop: Ref) -> None:
    workspace.run("grow", {"shop": shop, "n": 5}, execution_id="e1")

    (record,) = workspace.executions()
    assert record.status == "ok"
    text = repr(record)
    assert "e1" in text
    assert "grow" in text
    assert "mutation" in text


def test_a_failure_is_recorded_with_its_error(workspace: Workspace, shop: Ref) -> None:
    with pytest.raises(KeyError):
        workspace.execute("fail", shop=shop)

    (record,) = workspace.executions(status="failed")
    text = repr(record)
    assert "KeyError" in text
    assert "why" in text
    assert "fail" in text


def test_every_path_leaves_exactly_one_record(workspace: Workspace, shop: Ref) -> None:
    workspace.execute("grow", shop=shop, n=1)
    workspace.run("grow", {"shop": shop, "n": 2})
    asyncio.run(workspace.aexecute("later", shop=shop))
    asyncio.run(workspace.aexecute("grow", shop=shop, n=3))
    workspace.execute_batch([("grow", {"shop": shop, "n": 4}), ("fail", {"shop": shop})])
    workspace.execute("grow", shop=workspace.snapshot(shop), n=5)
    workspace.execute("take", shop=shop)
    workspace.execute("make", shop=shop)
    with pytest.raises(KeyError):
        asyncio.run(workspace.aexecute("fail", shop=shop))

    records = workspace.executions()
    assert [record.callable_name for record in records] == [
        "grow", "grow", "later", "grow", "grow", "fail", "grow", "take", "make", "fail",
    ]  # fmt: skip
    assert [record.status for record in records] == [
        "ok", "ok", "ok", "ok", "ok", "failed", "ok", "ok", "ok", "failed",
    ]  # fmt: skip
    assert len({record.execution_id for record in records}) == 10


def test_refused_arguments_are_recorded_as_a_failure(workspace: Workspace, shop: Ref) -> None:
    """One record on every path, failed ones too."""
    with pytest.raises(UsageError):
        workspace.execute("grow", shop=shop, n="x")

    assert [record.status for record in workspace.executions()] == ["failed"]


def test_records_are_found_by_name_entity_and_status(workspace: Workspace, shop: Ref) -> None:
    other = workspace.add(new_shop())
    workspace.execute("grow", shop=shop, n=1)
    workspace.execute("grow", shop=other, n=1)
    workspace.execute("make", shop=other)
    with pytest.raises(KeyError):
        workspace.execute("fail", shop=shop)

    assert len(workspace.executions()) == 4
    assert len(workspace.executions(name="grow")) == 2
    assert len(workspace.executions(entity=shop)) == 2
    assert len(workspace.executions(name="grow", entity=shop)) == 1
    assert len(workspace.executions(status="failed")) == 1
    assert len(workspace.executions(name="grow", status="failed")) == 0
    assert workspace.executions(name="nothing") == []


def test_history_tells_who_made_each_version(workspace: Workspace, shop: Ref) -> None:
    workspace.run("grow", {"shop": shop, "n": 1}, execution_id="e1")
    with pytest.raises(KeyError):
        workspace.run("fail", {"shop": shop}, execution_id="e2")
    workspace.run("take", {"shop": shop}, execution_id="e3")

    history = workspace.history(shop)

    assert [info.version for info in history] == [1, 2, 3]
    assert [info.execution_id or None for info in history] == [None, "e1", "e3"]
    assert [info.callable or None for info in history] == [None, "grow", "take"]
    assert [info.ecs_id for info in history] == [
        workspace.snapshot(shop, version).ecs_id for version in (1, 2, 3)
    ]
    assert sorted(info.committed_at for info in history) == [i.committed_at for i in history]


def test_identity_derives_from_the_record(workspace: Workspace, shop: Ref) -> None:
    workspace.run("grow", {"shop": shop, "n": 1}, execution_id="e1")
    made = workspace.execute("make", shop=shop)

    snapshot = workspace.snapshot(shop)
    assert snapshot.derived_from_execution_id == "e1"
    assert snapshot.derived_from_function == "grow"
    assert snapshot.shelves[0].derived_from_function is None
    assert made.derived_from_function == "make"
    assert made.derived_from_execution_id == workspace.executions(name="make")[0].execution_id


def test_records_survive_later_changes_of_plain_arguments(workspace: Workspace, shop: Ref) -> None:
    """A record is of what was given, not of what the function made of it."""

    def spoil(shop: Shop, numbers: list[int]) -> None:
        numbers.append(99)

    workspace.register("spoil")(spoil)
    given = [1]
    workspace.execute("spoil", shop=shop, numbers=given)
    given.append(55)

    (record,) = workspace.executions(name="spoil")
    assert "55" not in repr(record.arguments)
    assert "99" not in repr(record.arguments)


def test_records_are_bounded() -> None:
    workspace = Workspace(retention=Retention(records=10))
    workspace.register("grow")(grow)
    ref = workspace.add(new_shop())
    for n in range(50):
        workspace.execute("grow", shop=ref, n=n)

    assert len(workspace.executions()) == 10


def test_a_record_names_inputs_with_versions(workspace: Workspace, shop: Ref) -> None:
    workspace.execute("grow", shop=shop, n=1)
    workspace.execute("grow", shop=shop, n=2)

    first, second = workspace.executions()
    assert [(tree.root, tree.before, tree.after) for tree in first.trees] == [(shop.root, 1, 2)]
    assert [(tree.root, tree.before, tree.after) for tree in second.trees] == [(shop.root, 2, 3)]
    assert first.inputs == second.inputs == (("shop", shop.key),)
    assert dict(first.arguments) == {"n": 1}
