"""Callables that block, and synchronous calls from event loops: nothing waits for itself."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from registry import BusyError, CallableRegistry, Ref, RegistrationError, Workspace, use_workspace
from tests.unit.registry.shop import Shop, new_shop

LIMIT_S = 20
CURRENT: contextvars.ContextVar[str] = contextvars.ContextVar("current", default="none")


async def slow_grow(shop: Shop, n: int) -> int:
    """Read, yield, write."""
    await asyncio.sleep(0)
    shop.numbers.append(n)
    return threading.get_ident()


class Gate:
    """A callable that blocks between its first and its second write until it is told to go on."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.go_on = threading.Event()

    def pass_through(self, shop: Shop, fails: bool = False) -> int:
        """Write, block, write."""
        shop.numbers.append(1)
        self.began.set()
        assert self.go_on.wait(LIMIT_S)
        shop.numbers.append(2)
        if fails:
            raise KeyError("fails")
        return threading.get_ident()

    async def wait_until_it_began(self) -> None:
        """Let the loop run until the callable is inside."""
        while not self.began.is_set():
            await asyncio.sleep(0)


@pytest.fixture
def gate() -> Gate:
    """A closed gate."""
    return Gate()


@pytest.fixture
def workspace(gate: Gate) -> Workspace:
    """A workspace that knows the functions above."""
    workspace = Workspace()
    workspace.register("slow_grow")(slow_grow)
    workspace.register("gate", blocking=True)(gate.pass_through)
    return workspace


@pytest.fixture
def shop(workspace: Workspace) -> Ref:
    """A shop."""
    return workspace.add(new_shop())


# --- blocking ---


def test_the_event_loop_goes_on_while_a_blocking_callable_runs(
    workspace: Workspace, shop: Ref, gate: Gate
) -> None:
    other = workspace.add(new_shop())

    async def main() -> int:
        blocked = asyncio.ensure_future(workspace.aexecute("gate", shop=shop, raw=True))
        await gate.wait_until_it_began()
        await workspace.aexecute("slow_grow", shop=other, n=9)
        assert not blocked.done()
        gate.go_on.set()
        return await asyncio.wait_for(blocked, LIMIT_S)

    thread = asyncio.run(main())

    assert thread != threading.get_ident()
    assert workspace.snapshot(shop).numbers == [3, 1, 2, 1, 2]
    assert workspace.snapshot(other).numbers == [3, 1, 2, 9]


def test_its_tree_is_its_own_meanwhile(workspace: Workspace, shop: Ref, gate: Gate) -> None:
    async def main() -> None:
        blocked = asyncio.ensure_future(workspace.aexecute("gate", shop=shop))
        await gate.wait_until_it_began()
        after = asyncio.ensure_future(workspace.aexecute("slow_grow", shop=shop, n=9))
        await asyncio.sleep(0)
        assert workspace.snapshot(shop).numbers == [3, 1, 2]
        gate.go_on.set()
        await asyncio.wait_for(asyncio.gather(blocked, after), LIMIT_S)

    asyncio.run(main())

    assert workspace.snapshot(shop).numbers == [3, 1, 2, 1, 2, 9]
    assert [each.callable_name for each in workspace.executions()] == ["gate", "slow_grow"]


def test_execute_calls_a_blocking_callable_directly(
    workspace: Workspace, shop: Ref, gate: Gate
) -> None:
    gate.go_on.set()

    assert workspace.execute("gate", shop=shop, raw=True) == threading.get_ident()


def test_a_blocking_callable_that_fails_is_rolled_back(
    workspace: Workspace, shop: Ref, gate: Gate
) -> None:
    gate.go_on.set()

    with pytest.raises(KeyError, match="fails"):
        asyncio.run(workspace.aexecute("gate", shop=shop, fails=True))

    assert workspace.snapshot(shop).numbers == [3, 1, 2]
    assert workspace.head(shop) == 1


def test_a_cancelled_one_is_rolled_back_when_its_thread_has_ended(
    workspace: Workspace, shop: Ref, gate: Gate
) -> None:
    """A thread cannot be stopped; what it wrote after the cancel must not stay either."""

    async def main() -> None:
        blocked = asyncio.ensure_future(workspace.aexecute("gate", shop=shop))
        await gate.wait_until_it_began()
        for _ in range(2):
            blocked.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not blocked.done()
        gate.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await blocked
        await workspace.aexecute("slow_grow", shop=shop, n=9)

    asyncio.run(main())

    assert workspace.snapshot(shop).numbers == [3, 1, 2, 9]
    assert [each.status for each in workspace.executions()] == ["failed", "ok"]


def test_a_blocking_callable_has_the_context_of_its_caller(workspace: Workspace) -> None:
    @workspace.register("context", blocking=True)
    def context() -> str:
        return CURRENT.get()

    async def main() -> Any:
        CURRENT.set("mine")
        return await workspace.aexecute("context", raw=True)

    assert asyncio.run(main()) == "mine"


def test_what_a_blocking_callable_executes_on_its_own_tree_joins_it(
    workspace: Workspace, shop: Ref
) -> None:
    @workspace.register("nested", blocking=True)
    def nested(shop: Shop, address: str) -> None:
        workspace.execute("slow_grow", shop=workspace.ref(address), n=1)

    asyncio.run(workspace.aexecute("nested", shop=shop, address=shop.address))

    assert workspace.head(shop) == 2
    assert workspace.snapshot(shop).numbers == [3, 1, 2, 1]


def test_a_coroutine_function_cannot_be_blocking(workspace: Workspace) -> None:
    with pytest.raises(RegistrationError, match="coroutine"):
        workspace.register("bad", blocking=True)(slow_grow)


def test_the_class_level_register_takes_blocking() -> None:
    use_workspace(Workspace())
    CallableRegistry.register("gate", blocking=True)(Gate().pass_through)
    metadata = CallableRegistry.get_metadata("gate")
    use_workspace(None)

    assert metadata is not None
    assert metadata.blocking


# --- execute of a coroutine function inside a running loop ---


def test_it_runs_in_a_loop_and_thread_of_its_own(workspace: Workspace, shop: Ref) -> None:
    async def main() -> Any:
        return workspace.execute("slow_grow", raw=True, shop=shop, n=1)

    assert asyncio.run(main()) != threading.get_ident()
    assert workspace.head(shop) == 2


def _inside(
    workspace: Workspace, shop: Ref, execute: Callable[[], Any]
) -> Coroutine[Any, Any, None]:
    """Run *execute* inside of an async execution on the shop."""

    @workspace.register("outer", replace=True)
    async def outer(shop: Shop) -> None:
        execute()

    return workspace.aexecute("outer", shop=shop, raw=True)


@pytest.mark.timeout(LIMIT_S)
@pytest.mark.parametrize("name", ["slow_grow", "grow"])
def test_it_is_refused_where_a_task_of_the_thread_has_the_turn(
    workspace: Workspace, shop: Ref, name: str
) -> None:
    """The task would go on only if this thread did, which waits for the task."""

    @workspace.register("grow")
    def grow(shop: Shop, n: int) -> None:
        shop.numbers.append(n)

    async def main() -> None:
        hold = asyncio.Event()

        @workspace.register("holds")
        async def holds(shop: Shop) -> None:
            shop.name = "held"
            await hold.wait()

        holder = asyncio.ensure_future(workspace.aexecute("holds", shop=shop))
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            workspace.execute(name, shop=shop, n=1)
        hold.set()
        await holder
        workspace.execute(name, shop=shop, n=2)

    asyncio.run(main())
    assert workspace.snapshot(shop).numbers == [3, 1, 2, 2]


@pytest.mark.timeout(LIMIT_S)
def test_inside_of_an_execution_on_the_tree_it_joins_that(workspace: Workspace, shop: Ref) -> None:
    asyncio.run(_inside(workspace, shop, lambda: workspace.execute("slow_grow", shop=shop, n=1)))

    assert workspace.head(shop) == 2
    assert workspace.snapshot(shop).numbers == [3, 1, 2, 1]


@pytest.mark.timeout(LIMIT_S)
def test_two_threads_deep_it_is_refused_too(workspace: Workspace, shop: Ref) -> None:
    """The outermost thread stands still as long as the innermost code runs."""
    other = workspace.add(new_shop())
    holds_shop = asyncio.Event()

    @workspace.register("middle")
    async def middle(shop: Shop, address: str) -> None:
        workspace.execute("slow_grow", shop=workspace.ref(address), n=1)

    @workspace.register("holds")
    async def holds(shop: Shop) -> None:
        await holds_shop.wait()

    async def main() -> None:
        holder = asyncio.ensure_future(workspace.aexecute("holds", shop=shop))
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            workspace.execute("middle", shop=other, address=shop.address)
        holds_shop.set()
        await holder

    asyncio.run(main())


@pytest.mark.timeout(LIMIT_S)
@pytest.mark.parametrize("name", ["slow_grow", "grow"])
def test_it_is_refused_where_a_task_of_the_thread_is_first_in_the_queue(
    workspace: Workspace, shop: Ref, gate: Gate, name: str
) -> None:
    """Another thread has the turn and would give it to a task that cannot take it."""

    @workspace.register("grow")
    def grow(shop: Shop, n: int) -> None:
        shop.numbers.append(n)

    holder = threading.Thread(target=workspace.run, args=("gate", {"shop": shop}))
    holder.start()
    assert gate.began.wait(LIMIT_S)

    async def main() -> None:
        first = asyncio.ensure_future(workspace.aexecute("slow_grow", shop=shop, n=8))
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            workspace.execute(name, shop=shop, n=9)
        gate.go_on.set()
        await first

    asyncio.run(main())
    holder.join()
    assert workspace.snapshot(shop).numbers == [3, 1, 2, 1, 2, 8]
