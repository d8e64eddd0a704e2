"""Executions inside others: on the same tree a savepoint, other trees commit with the outer one."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import Entity, Ref, Workspace
from registry.errors import (
    DeadlockError,
    InsideError,
    NotFoundError,
    ReadOnlyError,
    ReturnError,
    UndoError,
    UnfinishedError,
)
from tests.model.values import Point
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop

Do = Callable[..., Any]
WORK: dict[str, Callable[..., Any]] = {}


class BrokenError(Exception):
    """What the callables of these tests raise."""


class World:
    """A workspace with two shops, and callables that do what the test says."""

    def __init__(self) -> None:
        self.workspace = Workspace()
        self.a = self.workspace.add(new_shop(), "a")
        self.b = self.workspace.add(new_shop(), "b")
        for function in (outer, inner, innermost, outer_alone, outer_async, inner_async):
            self.workspace.register(function.__name__)(function)

    def outer(self, do: Callable[..., Any], target: Any = None) -> Any:
        WORK["outer"] = do
        return self.workspace.execute("outer", raw=True, shop=target or self.a)

    def inner(self, do: Callable[..., Any], entity: Any, name: str = "inner") -> Any:
        WORK[name] = do
        return self.workspace.execute(name, raw=True, entity=entity)


def outer(shop: Shop) -> Any:
    """Take the straight way, as far as nothing runs inside."""
    return WORK["outer"](shop)


def outer_alone() -> Any:
    """Have no tree of its own."""
    return WORK["outer"]()


def inner(entity: Entity) -> Any:
    """Run inside."""
    return WORK["inner"](entity)


def innermost(entity: Entity) -> Any:
    """Run inside what runs inside."""
    return WORK["innermost"](entity)


async def outer_async(shop: Shop) -> Any:
    """Run inside an event loop."""
    return await WORK["outer"](shop)


async def inner_async(entity: Entity) -> Any:
    """Run inside an event loop, inside."""
    return await WORK["inner"](entity)


@pytest.fixture
def world() -> Iterator[World]:
    """Two shops."""
    yield World()
    WORK.clear()


def dump(world: World, ref: Ref) -> Any:
    return world.workspace.snapshot(ref).model_dump()


# --- the same tree ---


def test_an_inner_execution_on_the_same_tree_is_part_of_the_same_version(world: World) -> None:
    def work(shop: Shop) -> None:
        shop.numbers.append(7)
        world.inner(lambda shop: shop.numbers.append(8), shop)
        shop.numbers.append(9)

    world.outer(work)

    assert world.workspace.snapshot(world.a).numbers[-3:] == [7, 8, 9]
    assert world.workspace.head(world.a) == 2


def test_an_inner_execution_works_on_the_live_objects_and_returns_them(world: World) -> None:
    def work(shop: Shop) -> None:
        shelf = shop.shelves[0]
        found = world.inner(lambda given: [given, given.items[0], 3], shelf)
        assert found[0] is shelf
        assert found[1] is shelf.items[0]
        assert found[2] == 3

    world.outer(work)


def test_an_inner_execution_sees_what_the_outer_one_has_written(world: World) -> None:
    def work(shop: Shop) -> None:
        shop.name = "renamed"
        shop.shelves[0].items.append(Item(name="new"))
        assert world.inner(lambda shop: [shop.name], world.a) == ["renamed"]
        assert world.inner(lambda shelf: shelf.items[-1].name, shop.shelves[0], "inner")

    world.outer(work)


def test_a_failed_inner_execution_takes_back_its_own_writes_and_no_others(world: World) -> None:
    def spoil(shop: Shop) -> None:
        shop.name = "spoilt"
        shop.numbers.clear()
        shop.table["c"] = 3
        del shop.table["a"]
        shop.marks.add(9)
        shop.point.x = 99
        shop._visits = 5
        shop.shelves[1].items.pop()
        raise BrokenError

    def work(shop: Shop) -> None:
        shop.numbers.append(7)
        shop.table["b"] = 5
        shop.shelves[0].label = "written"
        before = shop.numbers
        with suppress(BrokenError):
            world.inner(spoil, shop)
        assert shop.numbers is before
        assert list(shop.table) == ["a", "b"]
        shop.numbers.append(8)

    expected = new_shop()
    expected.numbers += [7, 8]
    expected.table["b"] = 5
    expected.shelves[0].label = "written"

    world.outer(work)

    assert dump(world, world.a) == expected.model_dump()
    assert world.workspace.snapshot(world.a)._visits == 0
    assert world.workspace.head(world.a) == 2


def test_a_failed_inner_execution_takes_back_what_it_did_to_new_entities(world: World) -> None:
    def spoil(shelf: Shelf) -> None:
        shelf.label = "spoilt"
        shelf.items[0].tags.append("spoilt")
        shelf.items.clear()
        raise BrokenError

    def work(shop: Shop) -> None:
        shelf = Shelf(label="new", items=[Item(name="in it", tags=["kept"])])
        shop.shelves.append(shelf)
        with suppress(BrokenError):
            world.inner(spoil, shelf)
        with suppress(BrokenError):
            world.inner(lambda shop: spoil(shop.shelves[-1]), shop)

    world.outer(work)

    shelf = world.workspace.snapshot(world.a).shelves[-1]
    assert (shelf.label, shelf.items[0].name, shelf.items[0].tags) == ("new", "in it", ["kept"])


def test_if_the_outer_execution_fails_nothing_of_the_inner_one_stays(world: World) -> None:
    before = dump(world, world.a), dump(world, world.b)

    def work(shop: Shop) -> None:
        world.inner(lambda shop: shop.numbers.append(8), shop)
        world.inner(lambda shop: shop.numbers.append(8), world.b)
        raise BrokenError

    with pytest.raises(BrokenError):
        world.outer(work)

    assert (dump(world, world.a), dump(world, world.b)) == before
    assert world.workspace.head(world.a) == world.workspace.head(world.b) == 1
    world.workspace.execute("inner", entity=world.b)  # the turn was given back


def test_executions_may_run_inside_each_other_at_any_depth(world: World) -> None:
    def middle(shop: Shop) -> None:
        shop.numbers.append(2)
        with suppress(BrokenError):
            world.inner(fail, shop, "innermost")
        world.inner(lambda shop: shop.numbers.append(3), shop, "innermost")

    def fail(shop: Shop) -> None:
        shop.numbers.append(99)
        raise BrokenError

    def work(shop: Shop) -> None:
        shop.numbers.append(1)
        world.inner(middle, shop)

    world.outer(work)

    assert world.workspace.snapshot(world.a).numbers == [3, 1, 2, 1, 2, 3]
    assert world.workspace.head(world.a) == 2


def test_what_a_failed_one_had_run_inside_is_taken_back_with_it(world: World) -> None:
    def middle(shop: Shop) -> None:
        world.inner(lambda shop: shop.numbers.append(2), shop, "innermost")
        world.inner(lambda other: other.numbers.append(2), world.b, "innermost")
        raise BrokenError

    def work(shop: Shop) -> None:
        shop.name = "kept"
        with suppress(BrokenError):
            world.inner(middle, shop)

    world.outer(work)

    assert world.workspace.snapshot(world.a).numbers == [3, 1, 2]
    assert world.workspace.snapshot(world.a).name == "kept"
    assert (world.workspace.head(world.a), world.workspace.head(world.b)) == (2, 1)
    assert [each.status for each in world.workspace.executions("innermost")] == ["failed"] * 2
    world.inner(lambda other: other.numbers.append(4), world.b)  # its turn was given back


def test_a_read_only_inner_execution_may_not_write(world: World) -> None:
    @world.workspace.register("look", read_only=True)
    def look(shop: Shop) -> None:
        shop.numbers.append(5)

    def work(shop: Shop) -> None:
        shop.numbers.append(4)
        with pytest.raises(ReadOnlyError):
            world.workspace.execute("look", shop=shop)

    world.outer(work)

    assert world.workspace.snapshot(world.a).numbers == [3, 1, 2, 4]


def test_put_and_edits_of_a_snapshot_join_the_execution_around_them(world: World) -> None:
    snapshot = world.workspace.snapshot(world.a)
    snapshot.numbers.append(5)

    def work(shop: Shop) -> None:
        world.workspace.put(f"@{shop.lineage_id}.name", "put")
        world.workspace.execute("inner", entity=snapshot)
        shop.numbers.append(6)

    WORK["inner"] = lambda shop: None
    world.outer(work)

    found = world.workspace.snapshot(world.a)
    assert (found.name, found.numbers, found.version) == ("put", [3, 1, 2, 5, 6], 2)


# --- other trees ---


def test_another_tree_commits_with_the_outer_execution(world: World) -> None:
    seen = []

    def work(shop: Shop) -> None:
        world.inner(lambda other: other.numbers.append(8), world.b)
        seen.append(world.workspace.head(world.b))
        world.inner(lambda other: other.numbers.append(9), world.b)

    world.outer(work)

    assert seen == [1]
    assert world.workspace.snapshot(world.b).numbers == [3, 1, 2, 8, 9]
    assert world.workspace.head(world.b) == 2
    assert world.workspace.head(world.a) == 1


def test_an_execution_without_a_tree_commits_the_trees_of_what_runs_inside(world: World) -> None:
    def work() -> None:
        world.inner(lambda shop: shop.numbers.append(8), world.a)
        world.inner(lambda shop: shop.numbers.append(8), world.b)

    WORK["outer"] = work
    world.workspace.execute("outer_alone")

    assert [world.workspace.head(each) for each in (world.a, world.b)] == [2, 2]


def test_children_may_go_from_tree_to_tree_through_an_inner_execution(world: World) -> None:
    def work(shop: Shop) -> None:
        shelf = shop.shelves.pop()
        world.inner(lambda other: other.shelves.append(shelf), world.b)

    world.outer(work)

    assert [len(world.workspace.snapshot(each).shelves) for each in (world.a, world.b)] == [2, 4]
    assert [world.workspace.head(each) for each in (world.a, world.b)] == [2, 2]


def test_a_new_entity_returned_inside_is_a_root_unless_the_outer_one_puts_it_somewhere(
    world: World,
) -> None:
    def work(shop: Shop) -> list[Any]:
        placed = world.inner(lambda shop: Item(name="placed"), shop)
        world.inner(lambda shop: Item(name="loose"), shop)
        shop.shelves[0].items.append(placed)
        return []

    count = len(world.workspace.roots())
    world.outer(work)

    roots = [world.workspace.snapshot(ref) for ref in world.workspace.roots()[count:]]
    assert [root.name for root in roots if isinstance(root, Item)] == ["loose"]
    assert world.workspace.snapshot(world.a).shelves[0].items[-1].name == "placed"
    kinds = [each.semantic for each in world.workspace.executions("inner")]
    assert kinds == ["mutation", "creation"]


def test_a_wrong_semantic_hint_inside_fails_the_outermost_commit(world: World) -> None:
    @world.workspace.register("promise", semantic_hint="mutation")
    def promise(shop: Shop) -> Item:
        return Item(name="new")

    def work(shop: Shop) -> None:
        shop.name = "changed"
        world.workspace.execute("promise", shop=shop)

    with pytest.raises(ReturnError):
        world.outer(work)
    assert world.workspace.head(world.a) == 1


def test_a_stale_snapshot_inside_forks_with_the_outer_execution(world: World) -> None:
    stale = world.workspace.snapshot(world.b)
    world.inner(lambda shop: shop.numbers.append(1), world.b)

    world.outer(lambda shop: world.inner(lambda other: other.numbers.append(2), stale))

    main, fork = world.workspace.branches(world.b)
    assert world.workspace.snapshot(main).numbers == [3, 1, 2, 1]
    assert world.workspace.snapshot(fork).numbers == [3, 1, 2, 2]


def test_executions_that_would_wait_for_each_other_in_a_circle_are_told(world: World) -> None:
    """Two threads, each with a tree, ask for that of the other: one gives in, the other goes on."""
    both_inside = threading.Barrier(2)

    def cross(mine: Ref, other: Ref) -> str:
        def work(shop: Shop) -> None:
            both_inside.wait()
            world.workspace.execute("grow", shop=other)

        world.workspace.register(f"cross{mine.root}")(_typed(work))
        try:
            world.workspace.execute(f"cross{mine.root}", shop=mine)
        except DeadlockError:
            return "gave in"
        return "went on"

    world.workspace.register("grow")(_grow)
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(cross, *pair) for pair in ((world.a, world.b), (world.b, world.a))]
        results = sorted(run.result(timeout=30) for run in runs)

    assert results == ["gave in", "went on"]
    heads = sorted(world.workspace.head(each) for each in (world.a, world.b))
    assert heads == [1, 2]


def _grow(shop: Shop) -> None:
    shop.numbers.append(1)


def _typed(work: Callable[[Shop], None]) -> Callable[[Shop], None]:
    def typed(shop: Shop) -> None:
        work(shop)

    return typed


# --- plain results ---


def test_a_plain_result_inside_is_the_value_of_an_output_entity(world: World) -> None:
    """It is kept with the outermost execution, or not at all."""
    kept = []

    def work(shop: Shop) -> None:
        WORK["inner"] = lambda shop: [1, 2]
        output = world.workspace.execute("inner", entity=shop)
        kept.append(output)
        assert output.value == [1, 2]
        with pytest.raises(NotFoundError):
            world.workspace.get(f"@{output.ecs_id}")

    def work_and_fail(shop: Shop) -> None:
        work(shop)
        raise BrokenError

    world.outer(work)
    with pytest.raises(BrokenError):
        world.outer(work_and_fail)

    assert world.workspace.get(f"@{kept[0].ecs_id}").value == [1, 2]
    with pytest.raises(NotFoundError):
        world.workspace.get(f"@{kept[1].ecs_id}")
    assert [each.output_ids for each in world.workspace.executions("inner")] == [
        [kept[0].ecs_id],
        [],
    ]


# --- records ---


def test_inner_executions_are_recorded_before_the_outer_one(world: World) -> None:
    def work(shop: Shop) -> None:
        world.inner(lambda shop: shop.numbers.append(1), shop)
        with suppress(BrokenError):
            world.inner(fail, shop)

    def fail(shop: Shop) -> None:
        raise BrokenError("inside")

    world.outer(work)

    records = world.workspace.executions()
    assert [(each.callable_name, each.status) for each in records] == [
        ("inner", "ok"),
        ("inner", "failed"),
        ("outer", "ok"),
    ]
    assert [(tree.before, tree.after) for tree in records[0].trees] == [(1, 2)]
    assert records[1].error_type == "BrokenError"


def test_the_records_of_what_a_failure_took_back_say_so(world: World) -> None:
    def work(shop: Shop) -> None:
        world.inner(lambda shop: shop.numbers.append(1), shop)
        raise BrokenError

    with pytest.raises(BrokenError):
        world.outer(work)

    inside, around = world.workspace.executions()
    assert (inside.status, inside.error_type) == ("failed", "BrokenError")
    assert inside.error == "taken back with 'outer', which it ran inside of"
    assert (around.callable_name, around.status) == ("outer", "failed")


# --- event loops and threads ---


def test_what_runs_inside_in_an_event_loop_takes_turns(world: World) -> None:
    """Three at once on the tree of the outer one: each runs as a whole, one fails alone."""

    async def grow(shop: Shop) -> int:
        length = len(shop.numbers)
        shop.numbers.append(length)
        await asyncio.sleep(0)
        assert len(shop.numbers) == length + 1
        if length == 4:
            raise BrokenError
        return length

    async def work(shop: Shop) -> list[Any]:
        runs = [world.workspace.aexecute("inner_async", raw=True, entity=shop) for _ in range(3)]
        found = await asyncio.gather(*runs, return_exceptions=True)
        return [each if isinstance(each, int) else type(each).__name__ for each in found]

    WORK["inner"], WORK["outer"] = grow, work
    result = asyncio.run(world.workspace.aexecute("outer_async", raw=True, shop=world.a))

    assert result == [3, "BrokenError", "BrokenError"]
    assert world.workspace.snapshot(world.a).numbers == [3, 1, 2, 3]
    assert world.workspace.head(world.a) == 2


def test_an_inner_execution_that_is_not_awaited_fails_the_outer_one(world: World) -> None:
    async def slow(shop: Shop) -> None:
        await asyncio.sleep(0)
        shop.numbers.append(9)

    async def work(shop: Shop) -> None:
        world.task = asyncio.create_task(  # type: ignore[attr-defined]  # kept until the end
            world.workspace.aexecute("inner_async", entity=shop)
        )
        await asyncio.sleep(0)

    async def main() -> None:
        with pytest.raises(UnfinishedError) as caught:
            await world.workspace.aexecute("outer_async", shop=world.a)
        assert (caught.value.outer, caught.value.inner) == ("outer_async", "inner_async")
        with pytest.raises(Exception):  # noqa: B017, PT011 - its tree is closed, or it is told so
            await world.task  # type: ignore[attr-defined]  # see above

    WORK["inner"], WORK["outer"] = slow, work
    asyncio.run(main())

    assert world.workspace.head(world.a) == 1
    world.inner(lambda shop: shop.numbers.append(1), world.a)
    assert world.workspace.snapshot(world.a).numbers == [3, 1, 2, 1]


def test_a_task_that_outlives_its_execution_is_on_its_own(world: World) -> None:
    async def later() -> None:
        await asyncio.sleep(0.01)
        world.inner(lambda shop: shop.numbers.append(5), world.a)

    async def work(shop: Shop) -> None:
        shop.name = "outer"
        world.task = asyncio.create_task(later())  # type: ignore[attr-defined]  # kept

    async def main() -> None:
        await world.workspace.aexecute("outer_async", shop=world.a)
        await world.task  # type: ignore[attr-defined]  # see above

    WORK["outer"] = work
    asyncio.run(main())

    assert world.workspace.head(world.a) == 3
    assert world.workspace.snapshot(world.a).numbers[-1] == 5


def test_a_thread_with_the_context_of_an_execution_runs_inside_it(world: World) -> None:
    def work(shop: Shop) -> None:
        WORK["inner"] = lambda shop: shop.numbers.append(5)
        with ThreadPoolExecutor(1) as pool:
            context = copy_context()
            pool.submit(context.run, world.workspace.execute, "inner", entity=shop).result()

    world.outer(work)

    assert world.workspace.snapshot(world.a).numbers[-1] == 5
    assert world.workspace.head(world.a) == 2


def test_an_execution_of_another_workspace_inside_is_on_its_own(world: World) -> None:
    other = World()

    def work(shop: Shop) -> None:
        other.inner(lambda shop: shop.numbers.append(5), other.a)
        raise BrokenError

    with pytest.raises(BrokenError):
        world.outer(work)
    assert other.workspace.head(other.a) == 2


def _fail(_entity: Entity) -> None:
    raise BrokenError


def test_what_an_earlier_execution_detached_does_not_become_a_root_again(world: World) -> None:
    """Going back to a savepoint brings back the wishes of its own transaction only."""
    world.outer(lambda shop: shop.shelves[0].detach() and None)
    roots = world.workspace.roots()

    def work(shop: Shop) -> None:
        shop.name = "changed"
        with suppress(BrokenError):
            world.inner(_fail, shop)

    world.outer(work)

    assert world.workspace.roots() == roots


def test_what_a_failed_execution_borrowed_has_no_source_later(world: World) -> None:
    source = world.workspace.snapshot(world.b)

    def borrow(shop: Shop) -> None:
        shop.borrow_attribute_from(source, "name", "name")
        raise BrokenError

    def work(shop: Shop) -> None:
        shop.name = source.name  # the very same object
        with suppress(BrokenError):
            world.inner(_fail, shop)

    world.outer(lambda shop: setattr(shop, "name", "another"))
    with suppress(BrokenError):
        world.outer(borrow)
    world.outer(work)

    assert world.workspace.snapshot(world.a).attribute_source == {}


def test_a_failed_inner_borrow_leaves_what_was_written_before(world: World) -> None:
    """By the edits of the snapshot that was given, or by the outer callable."""
    edited: Any = world.workspace.snapshot(world.a)
    edited.numbers.append(4)

    def borrow(shop: Any) -> None:
        for name in ("numbers", "name", "table", "point", "anything"):
            shop.borrow_attribute_from(shop, name, name)
        raise BrokenError

    def do(shop: Shop) -> None:
        shop.name = "assigned"
        shop.table["put"] = 1
        with suppress(BrokenError):
            world.inner(borrow, shop)

    expected = [*edited.numbers], {**edited.table, "put": 1}, edited.point
    world.outer(do, edited)

    shop: Any = world.workspace.snapshot(world.a)
    assert (shop.numbers, shop.table, shop.point) == expected
    assert shop.name == "assigned"


def test_a_read_only_inner_execution_may_look_at_what_cannot_be_tracked(world: World) -> None:
    """As outside: what counts is whether anything differs in the end."""

    @world.workspace.register("look", read_only=True)
    def look(shop: Shop) -> int:
        shop.name = str(shop.name)
        return int(shop.point.x)

    @world.workspace.register("spoil", read_only=True)
    def spoil(shop: Shop) -> None:
        shop.point.x += 1

    def work(shop: Shop) -> None:
        for target in (shop, world.b):
            assert world.workspace.execute("look", shop=target, raw=True) == 0
            with pytest.raises(ReadOnlyError):
                world.workspace.execute("spoil", shop=target)
        shop.point.x = 3
        assert world.workspace.execute("look", shop=shop, raw=True) == 3
        with pytest.raises(ReadOnlyError):
            world.workspace.execute("spoil", shop=shop)

    world.outer(work)

    assert world.workspace.snapshot(world.a).point.x == 3
    assert world.workspace.head(world.b) == 1


def test_a_version_that_is_forced_inside_is_made_with_the_outer_commit(world: World) -> None:
    shown = world.workspace.snapshot(world.b)

    def fail(_entity: Entity) -> None:
        world.workspace.commit_edits(shown, force=True)
        raise BrokenError

    def work(shop: Shop) -> None:
        assert not world.workspace.commit_edits(shown, force=True)
        assert world.workspace.head(world.b) == 1

    with suppress(BrokenError):
        world.outer(lambda shop: world.inner(fail, shop))
    assert world.workspace.head(world.b) == 1
    world.outer(work)

    assert (world.workspace.head(world.a), world.workspace.head(world.b)) == (1, 2)


@pytest.mark.parametrize("is_async", [False, True])
def test_an_inner_execution_may_skip_events_that_the_outer_one_tells(
    world: World, is_async: bool
) -> None:
    told: list[str] = []
    world.workspace.on("execution.completed", handler=lambda event: told.append(event.callable))
    WORK["inner"] = lambda entity: None

    async def work(shop: Shop) -> None:
        await world.workspace.aexecute("inner", entity=shop, skip_events=True)

    if is_async:
        WORK["outer"] = work
        asyncio.run(world.workspace.aexecute("outer_async", shop=world.a))
    else:
        world.outer(
            lambda shop: world.workspace.execute("inner", entity=shop, skip_events=True) and None
        )

    assert told == ["outer_async" if is_async else "outer"]


def test_a_merge_inside_is_refused_and_so_is_taking_back_where_something_is_written(
    world: World,
) -> None:
    """A merge would commit by itself; `undo` and `revert` compare what is committed."""
    workspace = world.workspace
    world.outer(lambda shop: shop.numbers.append(4))
    made = workspace.executions(name="outer")[-1].execution_id
    branch = workspace.fork(world.a)
    world.outer(lambda shop: shop.numbers.append(5), branch)

    def work(shop: Shop) -> None:
        with pytest.raises(InsideError):
            workspace.merge(branch, world.a)
        shop.numbers.append(6)
        with pytest.raises(InsideError):
            workspace.undo(made)
        with pytest.raises(InsideError):
            workspace.revert(world.a, 1)

    world.outer(work)

    assert workspace.snapshot(world.a).numbers == [3, 1, 2, 4, 6]
    assert workspace.snapshot(branch).numbers == [3, 1, 2, 4, 5]


def test_taking_back_before_anything_is_written_is_part_of_the_outer_execution(
    world: World,
) -> None:
    world.outer(lambda shop: shop.numbers.append(4))
    made = world.workspace.executions(name="outer")[-1].execution_id

    def work(shop: Shop) -> None:
        world.workspace.undo(made)
        shop.numbers.append(6)

    world.outer(work)

    assert world.workspace.snapshot(world.a).numbers == [3, 1, 2, 6]
    assert world.workspace.head(world.a) == 3


def test_an_inner_execution_is_not_undone_without_the_outer_one(world: World) -> None:
    """They are one version; what the outer one did would silently go with it."""

    def work(shop: Shop) -> None:
        shop.name = "mine"
        world.inner(lambda shop: shop.numbers.append(4), shop)

    world.outer(work)
    inner = world.workspace.executions(name="inner")[-1]
    with pytest.raises(UndoError) as caught:
        world.workspace.undo(inner.execution_id)
    assert inner.parent is not None
    world.workspace.undo(inner.parent)

    assert inner.parent in caught.value.problem
    assert dump(world, world.a) == new_shop().model_dump()


# --- random programs ---

Op = tuple[Any, ...]


def apply(shop: Shop, op: Op) -> None:
    """Do one step of a program to a shop, tracked or not."""
    kind, n = op[0], op[1]
    shelf = shop.shelves[n % len(shop.shelves)] if shop.shelves else None
    if kind == "name":
        shop.name = f"n{n}"
    elif kind == "append":
        shop.numbers.append(n)
    elif kind == "pop" and shop.numbers:
        shop.numbers.pop(n % len(shop.numbers))
    elif kind == "sort":
        shop.numbers.sort()
    elif kind == "replace":
        shop.numbers = [n, n + 1]
    elif kind == "set":
        shop.table[f"k{n % 3}"] = n
    elif kind == "del" and shop.table:
        del shop.table[sorted(shop.table)[n % len(shop.table)]]
    elif kind == "mark":
        (shop.marks.add if n % 2 else shop.marks.discard)(n % 5)
    elif kind == "point":
        shop.point.x = n
    elif kind == "newpoint":
        shop.point = Point(x=n)
    elif kind == "points":
        shop.anything = [Point(x=n), n]
    elif kind == "pointdeep" and isinstance(shop.anything, list):
        shop.anything.append(n)
        if isinstance(shop.anything[0], Point):
            shop.anything[0].x += n
    elif kind == "visit":
        shop._visits += n
    elif kind == "shelf":
        shop.shelves.append(Shelf(label=f"new{n}", items=[Item(name="i", tags=["t"])]))
    elif kind == "drop" and shelf is not None:
        shop.shelves.remove(shelf)
    elif kind == "label" and shelf is not None:
        shelf.label = f"l{n}"
    elif kind == "tag" and shelf is not None and shelf.items:
        shelf.items[n % len(shelf.items)].tags.append(f"t{n}")
    elif kind == "move" and shelf is not None and shelf.items:
        shop.shelves[-1].items.append(shelf.items.pop())
    elif kind == "any":
        shop.anything = [n, {"deep": [n]}]
    elif kind == "anydeep" and isinstance(shop.anything, list) and shop.anything[1:]:
        if not isinstance(shop.anything[1], dict):
            return
        shop.anything[1]["deep"].append(n)


KINDS = [
    *("name", "append", "pop", "sort", "replace", "set", "del", "mark", "point", "visit"),
    *("newpoint", "points", "pointdeep"),
    *("shelf", "drop", "label", "tag", "move", "any", "anydeep"),
]
STEPS = st.tuples(st.sampled_from(KINDS), st.integers(0, 9))
PROGRAMS = st.recursive(
    st.lists(STEPS, max_size=5),
    lambda inside: st.lists(
        STEPS | st.tuples(st.just("call"), st.booleans(), inside), min_size=1, max_size=5
    ),
    max_leaves=12,
)


def run_plainly(shop: Shop, program: list[Op]) -> Shop:
    """Run a program on an ordinary object; what fails is taken back by a copy."""
    for op in program:
        if op[0] != "call":
            apply(shop, op)
            continue
        changed = run_plainly(copy.deepcopy(shop), op[2])
        shop = shop if op[1] else changed
    return shop


def run_nested(workspace: Workspace, shop: Shop, program: list[Op]) -> None:
    for op in program:
        if op[0] != "call":
            apply(shop, op)
            continue
        with suppress(BrokenError):
            workspace.execute("program", shop=shop, steps=op[2], fails=op[1])


@given(st.lists(STEPS, max_size=3), PROGRAMS)
def test_random_programs_inside_each_other_do_what_copies_do(
    before: list[Op], program: list[Op]
) -> None:
    workspace = Workspace()

    @workspace.register("program")
    def run(shop: Shop, steps: list[Any], fails: bool) -> None:
        run_nested(workspace, shop, steps)
        if fails:
            raise BrokenError

    ref = workspace.add(new_shop())
    workspace.execute("program", shop=ref, steps=before, fails=False)
    start = workspace.snapshot(ref).model_dump()
    expected = run_plainly(run_plainly(new_shop(), before), program)
    head = workspace.head(ref)

    workspace.execute("program", shop=ref, steps=program, fails=False)

    found = workspace.snapshot(ref)
    assert found.model_dump() == expected.model_dump()
    assert list(found.table) == list(expected.table)
    assert found._visits == expected._visits
    assert workspace.snapshot(ref, head).model_dump() == start
    # The live objects show what is stored: one more change, and only that.
    workspace.execute("program", shop=ref, steps=[("append", 77)], fails=False)
    expected.numbers.append(77)
    assert workspace.snapshot(ref).model_dump() == expected.model_dump()


@given(PROGRAMS)
def test_random_programs_that_fail_in_the_end_leave_nothing(program: list[Op]) -> None:
    workspace = Workspace()

    @workspace.register("program")
    def run(shop: Shop, steps: list[Any], fails: bool) -> None:
        run_nested(workspace, shop, steps)
        if fails:
            raise BrokenError

    ref = workspace.add(new_shop())

    with pytest.raises(BrokenError):
        workspace.execute("program", shop=ref, steps=program, fails=True)

    assert workspace.head(ref) == 1
    workspace.execute("program", shop=ref, steps=[("append", 77)], fails=False)
    expected = new_shop()
    expected.numbers.append(77)
    assert workspace.snapshot(ref).model_dump() == expected.model_dump()
