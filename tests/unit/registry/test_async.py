"""Async callables: awaited, isolated, serial per tree; sync ones are called directly."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from registry import Ref, Workspace
from registry.errors import BusyError, WriteError
from tests.unit.registry.shop import Shelf, Shop, new_shop


async def slow_grow(shop: Shop, n: int) -> int:
    """Read, yield, write."""
    length = len(shop.numbers)
    await asyncio.sleep(0)
    shop.numbers.append(n)
    await asyncio.sleep(0)
    assert len(shop.numbers) == length + 1
    return length


def grow(shop: Shop, n: int) -> int:
    """Write, synchronously."""
    shop.numbers.append(n)
    return threading.get_ident()


async def slow_fail(shop: Shop) -> None:
    """Write, yield, fail."""
    shop.numbers.clear()
    await asyncio.sleep(0)
    raise KeyError("slow")


@pytest.fixture
def workspace() -> Workspace:
    """A workspace that knows the functions above."""
    workspace = Workspace()
    for function in (slow_grow, grow, slow_fail):
        workspace.register(function.__name__)(function)
    return workspace


@pytest.fixture
def shop(workspace: Workspace) -> Ref:
    """A shop."""
    return workspace.add(new_shop())


def test_an_async_callable_is_awaited(workspace: Workspace, shop: Ref) -> None:
    assert asyncio.run(workspace.aexecute("slow_grow", raw=True, shop=shop, n=7)) == 3
    assert workspace.snapshot(shop).numbers == [3, 1, 2, 7]


def test_a_sync_callable_is_called_directly_from_aexecute(workspace: Workspace, shop: Ref) -> None:
    assert (
        asyncio.run(workspace.aexecute("grow", raw=True, shop=shop, n=7)) == threading.get_ident()
    )


def test_execute_runs_a_coroutine_function_in_a_loop_of_its_own(
    workspace: Workspace, shop: Ref
) -> None:
    assert workspace.execute("slow_grow", raw=True, shop=shop, n=7) == 3
    receipt = workspace.run("slow_grow", {"shop": shop, "n": 8}, execution_id="e")

    assert (receipt.version, receipt.value) == (3, 4)
    assert workspace.snapshot(shop).numbers == [3, 1, 2, 7, 8]
    with pytest.raises(KeyError, match="slow"):
        workspace.execute("slow_fail", raw=True, shop=shop)
    assert workspace.head(shop) == 3


def test_many_calls_of_a_coroutine_function_run_one_after_the_other(
    workspace: Workspace, shop: Ref
) -> None:
    calls = [((shop, n), f"{n}") for n in range(3)]

    done = list(workspace.run_each("slow_grow", ("shop", "n"), calls))

    assert [each.value for each in done] == [3, 4, 5]  # type: ignore[union-attr]  # receipts


def test_execute_runs_a_coroutine_function_inside_a_running_loop(
    workspace: Workspace, shop: Ref
) -> None:
    async def main() -> int:
        first: int = workspace.execute("slow_grow", raw=True, shop=shop, n=7)
        with pytest.raises(KeyError, match="slow"):
            workspace.execute("slow_fail", shop=shop)
        return first

    assert asyncio.run(main()) == 3
    assert workspace.snapshot(shop).numbers == [3, 1, 2, 7]
    assert [each.status for each in workspace.executions()] == ["ok", "failed"]


def test_synchronous_code_that_would_wait_for_a_task_of_its_own_loop_is_refused(
    workspace: Workspace, shop: Ref
) -> None:
    entered = asyncio.Event()

    @workspace.register("hold")
    async def hold(shop: Shop) -> None:
        entered.set()
        await asyncio.sleep(0)

    async def main() -> None:
        task = asyncio.create_task(workspace.aexecute("hold", shop=shop))
        await entered.wait()
        try:
            workspace.execute("grow", shop=shop, n=1)
        finally:
            await task

    with pytest.raises(BusyError):
        asyncio.run(main())
    assert workspace.execute("slow_grow", raw=True, shop=shop, n=1) == 3


def test_execute_works_inside_a_running_loop(workspace: Workspace, shop: Ref) -> None:
    async def main() -> None:
        workspace.execute("grow", shop=shop, n=1)
        await workspace.aexecute("slow_grow", shop=shop, n=2)
        workspace.execute("grow", shop=shop, n=3)

    asyncio.run(main())

    assert workspace.snapshot(shop).numbers == [3, 1, 2, 1, 2, 3]


def test_executions_on_one_tree_are_serial_in_order_of_submission(
    workspace: Workspace, shop: Ref
) -> None:
    async def main() -> list[int]:
        return list(
            await asyncio.gather(
                *(workspace.aexecute("slow_grow", raw=True, shop=shop, n=n) for n in range(20))
            )
        )

    lengths = asyncio.run(main())

    assert lengths == list(range(3, 23))
    assert workspace.snapshot(shop).numbers == [3, 1, 2, *range(20)]
    for version in range(1, 22):
        assert workspace.snapshot(shop, version).numbers == [3, 1, 2, *range(version - 1)]


def test_failures_between_successes_roll_back_alone(workspace: Workspace, shop: Ref) -> None:
    async def main() -> list[Any]:
        return list(
            await asyncio.gather(
                workspace.aexecute("slow_grow", raw=True, shop=shop, n=1),
                workspace.aexecute("slow_fail", raw=True, shop=shop),
                workspace.aexecute("grow", raw=True, shop=shop, n=2),
                workspace.aexecute("slow_fail", raw=True, shop=shop),
                workspace.aexecute("slow_grow", raw=True, shop=shop, n=3),
                return_exceptions=True,
            )
        )

    results = asyncio.run(main())

    assert [type(result) for result in results] == [int, KeyError, int, KeyError, int]
    assert workspace.snapshot(shop).numbers == [3, 1, 2, 1, 2, 3]
    assert workspace.head(shop) == 4


def test_executions_on_other_trees_interleave(workspace: Workspace) -> None:
    """One that waits does not hold up another tree."""
    first, second = workspace.add(new_shop()), workspace.add(new_shop())
    events: list[str] = []

    async def wait(shop: Shop, gate: Any, name: str) -> None:
        shop.name = name
        events.append(f"{name} in")
        await gate.wait()
        events.append(f"{name} out")
        shop.shelves[0].label = name

    workspace.register("wait")(wait)

    async def main() -> None:
        gates = [asyncio.Event(), asyncio.Event()]
        GATES.update(one=gates[0], two=gates[1])
        one = asyncio.create_task(workspace.aexecute("gated", shop=first, name="one"))
        two = asyncio.create_task(workspace.aexecute("gated", shop=second, name="two"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert events == ["one in", "two in"]
        gates[1].set()
        await two
        gates[0].set()
        await one

    async def gated(shop: Shop, name: str) -> None:
        await wait(shop, GATES[name], name)

    workspace.register("gated")(gated)
    asyncio.run(main())

    assert events == ["one in", "two in", "two out", "one out"]
    assert workspace.snapshot(first).shelves[0].label == "one"
    assert workspace.snapshot(second).shelves[0].label == "two"


GATES: dict[str, asyncio.Event] = {}


def test_a_cancelled_execution_rolls_back_and_lets_the_next_one_in(
    workspace: Workspace, shop: Ref
) -> None:
    async def hang(shop: Shop) -> None:
        shop.numbers.clear()
        await asyncio.Event().wait()

    workspace.register("hang")(hang)

    async def main() -> None:
        task = asyncio.create_task(workspace.aexecute("hang", shop=shop))
        waiting = asyncio.create_task(workspace.aexecute("slow_grow", shop=shop, n=7))
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await waiting

    asyncio.run(main())

    assert workspace.snapshot(shop).numbers == [3, 1, 2, 7]
    assert workspace.head(shop) == 2


def test_a_cancelled_waiter_is_skipped(workspace: Workspace, shop: Ref) -> None:
    """Cancelled before its turn: it never runs, and those behind it do."""

    async def main() -> None:
        first = asyncio.create_task(workspace.aexecute("slow_grow", shop=shop, n=1))
        second = asyncio.create_task(workspace.aexecute("slow_grow", shop=shop, n=2))
        third = asyncio.create_task(workspace.aexecute("slow_grow", shop=shop, n=3))
        await asyncio.sleep(0)
        second.cancel()
        await first
        await third
        with pytest.raises(asyncio.CancelledError):
            await second

    asyncio.run(main())

    assert workspace.snapshot(shop).numbers == [3, 1, 2, 1, 3]


def test_threads_that_execute_on_one_tree_take_turns(workspace: Workspace, shop: Ref) -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for n in range(100):
                workspace.execute("grow", shop=shop, n=n)
        except BaseException as error:  # noqa: BLE001 - reported by the test's thread
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert len(workspace.snapshot(shop).numbers) == 403
    assert workspace.head(shop) == 401


def test_a_task_left_behind_cannot_write_after_the_commit(workspace: Workspace, shop: Ref) -> None:
    """The transaction ends with the function, not with what it started."""
    tasks: list[asyncio.Task[None]] = []

    async def late(shop: Shop) -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        shop.name = "late"

    async def start(shop: Shop) -> None:
        tasks.append(asyncio.create_task(late(shop)))
        shop.name = "now"

    workspace.register("start")(start)

    async def main() -> None:
        await workspace.aexecute("start", shop=shop)
        with pytest.raises(WriteError):
            await tasks[0]

    asyncio.run(main())

    assert workspace.snapshot(shop).name == "now"
    assert workspace.head(shop) == 2


def test_async_multi_tree_executions_do_not_deadlock(workspace: Workspace) -> None:
    """Two executions over the same two trees in opposite order both end."""
    first, second = workspace.add(new_shop()), workspace.add(new_shop())

    async def swap(one: Shop, two: Shop) -> None:
        a, b = len(one.numbers), len(two.numbers)
        await asyncio.sleep(0)
        one.numbers.append(b)
        two.numbers.append(a)

    workspace.register("swap")(swap)

    async def main() -> None:
        await asyncio.wait_for(
            asyncio.gather(
                *(
                    workspace.aexecute("swap", one=one, two=two)
                    for one, two in [(first, second), (second, first)] * 10
                )
            ),
            timeout=30,
        )

    asyncio.run(main())

    assert workspace.head(first) == workspace.head(second) == 21


def test_an_async_callable_with_a_child_and_a_result(workspace: Workspace, shop: Ref) -> None:
    async def label(shelf: Shelf) -> Shelf:
        await asyncio.sleep(0)
        shelf.label = "async"
        return shelf

    workspace.register("label")(label)

    async def main() -> Any:
        return await workspace.aexecute("label", shelf=workspace.snapshot(shop).shelves[1])

    result = asyncio.run(main())

    assert result.label == "async"
    assert workspace.snapshot(shop).shelves[1].label == "async"
