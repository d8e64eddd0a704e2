"""Dry runs: what an execution would do, and nothing of it stored."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from registry import DryRun, Entity, Ref, Workspace
from registry.errors import (
    ConflictError,
    IdentityTakenError,
    InsideError,
    NotFoundError,
    ReturnError,
)
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop


class NoGoodError(Exception):
    """What a callable raises."""


def fill(shop: Shop, name: str, fails: bool = False) -> Item:
    """Change a field, a list, a child, and return a new child."""
    shop.name = name
    shop.numbers.append(len(shop.numbers))
    item = Item(name=name)
    shop.shelves[0].items.append(item)
    if fails:
        raise NoGoodError
    return item


def found(name: str) -> Shop:
    """Make a root."""
    return Shop(name=name)


async def slow_fill(shop: Shop, name: str) -> Item:
    """Do the same in an event loop."""
    await asyncio.sleep(0)
    return fill(shop, name)


@pytest.fixture
def workspace() -> Workspace:
    """A workspace that knows the functions above."""
    workspace = Workspace()
    for function in (fill, found, slow_fill):
        workspace.register(function.__name__)(function)
    return workspace


@pytest.fixture
def shop(workspace: Workspace) -> Ref:
    """A shop."""
    return workspace.add(new_shop())


def state(workspace: Workspace) -> Any:
    """Everything that a dry run must not touch."""
    return (
        [
            (
                ref,
                workspace.head(ref),
                workspace.snapshot(ref).model_dump(context={"identity": True}),
            )
            for ref in workspace.roots()
        ],
        workspace.executions(),
    )


def dry(workspace: Workspace, callable_name: str, /, **arguments: Any) -> DryRun:
    result = workspace.execute(callable_name, dry_run=True, **arguments)
    assert isinstance(result, DryRun)
    return result


def test_a_dry_run_shows_the_changes_and_stores_nothing(workspace: Workspace, shop: Ref) -> None:
    before = state(workspace)

    run = dry(workspace, "fill", shop=shop, name="new")

    (diff,) = run.diffs
    assert (diff.a, diff.b) == (1, 2)
    assert {(change.field, str(change.old), str(change.new)) for change in diff.changed} >= {
        ("name", "shop", "new"),
        ("numbers", "[3, 1, 2]", "[3, 1, 2, 3]"),
    }
    assert [type(run.value), run.value.name, len(diff.added)] == [Item, "new", 1]
    assert [record.status for record in run.records] == ["ok"]
    assert run
    assert state(workspace) == before


def test_the_real_execution_then_does_what_the_dry_run_showed(
    workspace: Workspace, shop: Ref
) -> None:
    shown = dry(workspace, "fill", shop=shop, name="new").diffs[0]

    workspace.execute("fill", shop=shop, name="new")

    real = workspace.diff(shop, 1, 2)
    assert [(each.ref, each.field) for each in shown.changed] == [
        (each.ref, each.field) for each in real.changed
    ]
    assert shown.read(2).ecs_id == workspace.snapshot(shop).ecs_id
    assert shown.to_json_patch() == real.to_json_patch()


def test_a_dry_run_without_a_change_is_false(workspace: Workspace, shop: Ref) -> None:
    @workspace.register("look")
    def look(shop: Shop) -> Shop:
        return shop

    run = dry(workspace, "look", shop=shop)

    assert not run
    assert run.value.ecs_id == workspace.snapshot(shop).ecs_id


def test_new_roots_are_shown_and_not_held(workspace: Workspace, shop: Ref) -> None:
    before = state(workspace)

    run = dry(workspace, "found", name="other")

    assert [root.name for root in run.created if isinstance(root, Shop)] == ["other"]
    assert state(workspace) == before
    with pytest.raises(NotFoundError):
        workspace.ref(run.created[0].lineage_id)


def test_an_exception_comes_out_as_raised(workspace: Workspace, shop: Ref) -> None:
    before = state(workspace)

    with pytest.raises(NoGoodError):
        workspace.execute("fill", dry_run=True, shop=shop, name="new", fails=True)

    assert state(workspace) == before


def test_what_a_dry_run_showed_cannot_be_passed_on(workspace: Workspace, shop: Ref) -> None:
    run = dry(workspace, "fill", shop=shop, name="new")
    changed = run.diffs[0].read(2)

    for name in ("fill", "slow_fill"):
        with pytest.raises(NotFoundError, match="dry run"):
            workspace.execute(name, shop=changed, name="again")
    assert workspace.head(shop) == 1


def test_nothing_that_a_dry_run_began_can_be_passed_on(workspace: Workspace, shop: Ref) -> None:
    """New roots and branches are held by nobody: work on them would be lost."""

    @workspace.register("rename")
    def rename(entity: Entity) -> None:
        entity.name = "lost"

    stale = workspace.snapshot(shop)
    workspace.execute("fill", shop=shop, name="x")
    created = dry(workspace, "found", name="y").value
    forked = workspace.execute("fill", dry_run=True, shop=stale, name="z").value

    for given in (created, forked):
        with pytest.raises(NotFoundError):
            workspace.execute("rename", entity=given)
    assert workspace.branches(shop) == [shop]


def test_what_would_stay_is_refused_in_a_dry_run_and_a_replay(
    workspace: Workspace, shop: Ref
) -> None:
    branch = workspace.fork(shop)

    @workspace.register("stay")
    def stay(shop: Shop, call: str) -> None:
        calls[call]()

    calls: dict[str, Any] = {
        "add": lambda: workspace.add(Item(), "new"),
        "compose": lambda: workspace.compose(Item, {"name": "x"}, register=True),
        "fork": lambda: workspace.fork(shop),
        "drop": lambda: workspace.drop(branch),
    }
    before = state(workspace)
    for call in calls:
        with pytest.raises(InsideError):
            dry(workspace, "stay", shop=shop, call=call)
    assert state(workspace) == before

    workspace.execute("stay", shop=shop, call="fork")
    again = workspace.replay(workspace.executions(name="stay")[-1].execution_id)
    assert isinstance(again.error, InsideError)
    assert len(workspace.branches(shop)) == 3


def test_edits_of_a_snapshot_count_and_stay_edits(workspace: Workspace, shop: Ref) -> None:
    snapshot = workspace.snapshot(shop)
    assert isinstance(snapshot, Shop)
    snapshot.numbers.append(9)

    run = dry(workspace, "fill", shop=snapshot, name="new")

    changes = {change.field: change.new for change in run.diffs[0].changed}
    assert changes["numbers"] == [3, 1, 2, 9, 4]
    workspace.commit_edits(snapshot)
    assert workspace.snapshot(shop).numbers == [3, 1, 2, 9]


def test_an_outdated_snapshot_forks_fails_or_means_the_head(
    workspace: Workspace, shop: Ref
) -> None:
    stale = workspace.snapshot(shop)
    workspace.execute("fill", shop=shop, name="newer")
    before = state(workspace)

    forked = workspace.execute("fill", dry_run=True, shop=stale, name="on the old one")
    head = workspace.execute("fill", dry_run=True, on_stale="head", shop=stale, name="on the head")
    with pytest.raises(ConflictError):
        workspace.execute("fill", dry_run=True, on_stale="error", shop=stale, name="x")

    assert [(diff.a, diff.b) for diff in forked.diffs] == [(1, 2)]
    assert [(diff.a, diff.b) for diff in head.diffs] == [(2, 3)]
    assert state(workspace) == before


def test_addresses_and_children_and_orphans_may_be_arguments(
    workspace: Workspace, shop: Ref
) -> None:
    @workspace.register("paint")
    def paint(shelf: Shelf, label: str, other: Item) -> Shelf:
        shelf.label = label + other.name
        return shelf

    snapshot = workspace.snapshot(shop)
    assert isinstance(snapshot, Shop)
    shelf = snapshot.shelves[0]
    before = state(workspace)

    run = dry(workspace, "paint", shelf=f"@{shelf.lineage_id}", label="l", other=Item(name="new"))

    assert [(change.field, change.new) for change in run.diffs[0].changed] == [("label", "lnew")]
    assert state(workspace) == before


def test_what_runs_inside_is_not_kept_either(workspace: Workspace, shop: Ref) -> None:
    other = workspace.add(new_shop())

    @workspace.register("both")
    def both(shop: Shop) -> None:
        workspace.execute("fill", shop=shop, name="inside")
        workspace.execute("fill", shop=other, name="inside")

    before = state(workspace)

    run = dry(workspace, "both", shop=shop)

    assert len(run.diffs) == 2
    assert [record.callable_name for record in run.records] == ["fill", "fill", "both"]
    assert state(workspace) == before


def test_a_dry_run_inside_an_execution_works_on_what_is_committed(
    workspace: Workspace, shop: Ref
) -> None:
    @workspace.register("look_first")
    def look_first(shop: Shop) -> str:
        shop.name = "written"
        run = workspace.execute("fill", dry_run=True, shop=shop, name="tried")
        changes = {change.field: change.old for change in run.diffs[0].changed}
        return str(changes["name"])

    assert workspace.run("look_first", {"shop": shop}).value == "shop"
    assert workspace.snapshot(shop).name == "written"


def test_coroutine_functions_can_be_tried_too(workspace: Workspace, shop: Ref) -> None:
    before = state(workspace)

    inside = asyncio.run(workspace.aexecute("slow_fill", dry_run=True, shop=shop, name="a"))
    outside = workspace.execute("slow_fill", dry_run=True, shop=shop, name="a")

    assert inside.value.name == outside.value.name == "a"
    assert [len(run.diffs) for run in (inside, outside)] == [1, 1]
    assert state(workspace) == before


def test_an_identity_that_is_taken_is_refused_as_in_earnest(
    workspace: Workspace, shop: Ref
) -> None:
    root = new_shop()
    workspace.add_owned(root)

    @workspace.register("again")
    def again() -> Entity:
        return root

    for tried in (True, False):
        with pytest.raises((IdentityTakenError, ReturnError)):
            workspace.execute("again", dry_run=tried)


def test_a_dry_run_on_a_branch_stands_in_for_that_branch(workspace: Workspace, shop: Ref) -> None:
    branch = workspace.fork(shop)
    workspace.execute("fill", shop=branch, name="on the branch")

    run = dry(workspace, "fill", shop=branch, name="tried")

    assert [(diff.a, diff.b) for diff in run.diffs] == [(2, 3)]
    assert run.diffs[0].changed[0].ref.branch == branch.branch
    assert run.diffs[0].changed[0].old == "on the branch"


def test_a_dry_run_forks_beside_the_branches_that_there_are(workspace: Workspace) -> None:
    """The outdated snapshot begins a branch of its own, also if others are inputs too."""

    @workspace.register("both")
    def both(one: Shelf, two: Shelf) -> None:
        one.label, two.label = "one", "two"

    main = workspace.add(Shelf())
    outdated = workspace.snapshot(main)
    workspace.put(f"{main.address}.label", "newer")
    branch = workspace.fork(main)

    run = workspace.execute("both", dry_run=True, one=outdated, two=branch)

    would_be: Any = [diff.read(diff.b) for diff in run.diffs]
    assert sorted(each.label for each in would_be) == ["one", "two"]

    workspace.execute("both", one=outdated, two=branch)

    stored: Any = [workspace.snapshot(each) for each in workspace.branches(main)]
    assert {each.ecs_id for each in would_be} <= {each.ecs_id for each in stored}
    assert [each.label for each in stored] == ["newer", "two", "one"]
