"""Many at the same time, tasks and threads: each tree is serial, and nothing is lost or torn."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from registry import Entity, Ref, Retention, Workspace
from registry.errors import BusyError, NameTakenError

THREADS = 8


class Counter(Entity):
    """Counts, and lists what it counted; the two agree in every version."""

    number: int = 0
    seen: list[int] = []  # noqa: RUF012 - pydantic copies mutable defaults
    table: dict[str, int] = {}  # noqa: RUF012 - as above


class FaultError(Exception):
    """What callables raise here."""


async def plus(counter: Counter, n: int = 1) -> int:
    """Read, let others run, write."""
    before = counter.number
    await asyncio.sleep(0)
    counter.number = before + n
    return before


def add(counter: Counter, n: int = 1) -> int:
    """Add, in every kind of value."""
    counter.number += n
    counter.seen.append(counter.number)
    counter.table[str(counter.number % 7)] = counter.number
    return counter.number


def exchange(one: Counter, other: Counter) -> None:
    """Change two trees."""
    one.number, other.number = one.number + 1, other.number + 1


def fail(counter: Counter) -> None:
    """Write, and fail."""
    counter.number = -1
    counter.seen.clear()
    raise FaultError("on purpose")


@pytest.fixture
def workspace() -> Workspace:
    """A workspace that knows the functions above."""
    workspace = Workspace()
    for function in (plus, add, exchange, fail):
        workspace.register(function.__name__)(function)
    return workspace


@pytest.fixture
def _eager_switches() -> Iterator[None]:
    """Let threads change places after every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(*works: Callable[[], None]) -> None:
    """Run functions at the same time, one thread each, and raise what the first of them raised."""
    errors: list[BaseException] = []
    together = threading.Barrier(len(works))

    def run(work: Callable[[], None]) -> None:
        try:
            together.wait()
            work()
        except BaseException as error:  # noqa: BLE001 - raised by the test's thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


# --- tasks ---


def test_a_thousand_increments_through_a_ref_give_a_thousand(workspace: Workspace) -> None:
    ref = workspace.add(Counter())

    async def main() -> list[int]:
        calls = [workspace.aexecute("plus", raw=True, counter=ref) for _ in range(1000)]
        return list(await asyncio.gather(*calls))

    assert asyncio.run(main()) == list(range(1000))
    assert workspace.snapshot(ref).number == 1000
    assert workspace.head(ref) == 1001


def test_a_thousand_increments_of_a_snapshot_give_a_thousand_forks_of_one(
    workspace: Workspace,
) -> None:
    ref = workspace.add(Counter())
    snapshot = workspace.snapshot(ref)
    workspace.execute("add", raw=True, counter=ref, n=5)

    async def main() -> None:
        await asyncio.gather(
            *(workspace.aexecute("plus", raw=True, counter=snapshot) for _ in range(1000))
        )

    asyncio.run(main())

    main_branch, *branches = workspace.branches(ref)
    assert main_branch == ref
    assert len(branches) == 1000
    assert {workspace.snapshot(each).number for each in branches} == {1}
    assert workspace.snapshot(ref).number == 5


def test_coroutines_on_ten_trees_are_inside_at_the_same_time(workspace: Workspace) -> None:
    refs = [workspace.add(Counter()) for _ in range(10)]
    inside: list[int] = []
    everyone = asyncio.Event()

    async def meet(counter: Counter, n: int) -> None:
        inside.append(n)
        if len(inside) == len(refs):
            everyone.set()
        await everyone.wait()
        counter.number = n

    workspace.register("meet")(meet)

    async def main() -> None:
        async with asyncio.timeout(60):
            await asyncio.gather(
                *(
                    workspace.aexecute("meet", raw=True, counter=ref, n=n)
                    for n, ref in enumerate(refs)
                )
            )

    asyncio.run(main())

    assert [workspace.snapshot(ref).number for ref in refs] == list(range(10))


def test_a_failure_disturbs_no_other(workspace: Workspace) -> None:
    refs = [workspace.add(Counter()) for _ in range(3)]

    async def main() -> list[Any]:
        calls = [
            workspace.aexecute("fail" if n % 3 == 0 else "plus", counter=refs[n % 2])
            for n in range(300)
        ]
        return await asyncio.gather(*calls, return_exceptions=True)

    results = asyncio.run(main())

    assert sum(isinstance(each, FaultError) for each in results) == 100
    assert [workspace.snapshot(ref).number for ref in refs] == [100, 100, 0]


def test_cancelled_tasks_leave_the_turn_to_the_others(workspace: Workspace) -> None:
    ref = workspace.add(Counter())

    async def main() -> list[Any]:
        tasks = [
            asyncio.create_task(workspace.aexecute("plus", raw=True, counter=ref))
            for _ in range(300)
        ]
        for n, task in enumerate(tasks):
            if n % 3 == 1:
                task.cancel()
            await asyncio.sleep(0)
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(main())

    done = [each for each in results if isinstance(each, int)]
    assert done == list(range(len(done)))
    assert workspace.snapshot(ref).number == len(done)
    assert workspace.execute("add", raw=True, counter=ref) == len(done) + 1


def test_sync_code_that_would_wait_for_its_own_loop_is_told_so(workspace: Workspace) -> None:
    ref = workspace.add(Counter())
    held, go = asyncio.Event(), asyncio.Event()

    async def hold(counter: Counter) -> None:
        held.set()
        await go.wait()
        counter.number += 1

    workspace.register("hold")(hold)

    async def main() -> None:
        task = asyncio.create_task(workspace.aexecute("hold", raw=True, counter=ref))
        await held.wait()
        with pytest.raises(BusyError):
            workspace.execute("add", raw=True, counter=ref)
        go.set()
        await task
        assert workspace.execute("add", raw=True, counter=ref) == 2

    asyncio.run(main())


def test_a_loop_that_closed_while_its_task_waited_blocks_nobody(workspace: Workspace) -> None:
    """The turn goes on to whoever can still take it."""
    ref = workspace.add(Counter())
    turn = workspace.trees.tree(ref).turn
    assert turn.take()

    async def give_up() -> None:
        waiting = asyncio.ensure_future(turn.take_async())
        await asyncio.sleep(0)
        waiting.cancel()

    in_threads(lambda: asyncio.run(give_up()))
    turn.give_back()

    assert workspace.execute("add", raw=True, counter=ref) == 1


# --- threads ---


@pytest.mark.usefixtures("_eager_switches")
def test_threads_on_several_trees_lose_nothing(workspace: Workspace) -> None:
    refs = [workspace.add(Counter()) for _ in range(3)]

    def work() -> None:
        for n in range(60):
            workspace.execute("add", raw=True, counter=refs[n % 3])

    in_threads(*[work] * THREADS)

    for ref in refs:
        snapshot = workspace.snapshot(ref)
        assert snapshot.number == 20 * THREADS
        assert snapshot.seen == list(range(1, 20 * THREADS + 1))
        assert workspace.head(ref) == 20 * THREADS + 1
    assert len(workspace.executions()) == 60 * THREADS


@pytest.mark.usefixtures("_eager_switches")
def test_threads_over_two_trees_in_opposite_orders_all_end(workspace: Workspace) -> None:
    first, second = workspace.add(Counter()), workspace.add(Counter())

    def work(one: Ref, other: Ref) -> None:
        for _ in range(40):
            workspace.execute("exchange", raw=True, one=one, other=other)

    pairs = [(first, second), (second, first)] * (THREADS // 2)
    in_threads(*[lambda pair=pair: work(*pair) for pair in pairs])

    assert workspace.snapshot(first).number == workspace.snapshot(second).number == 40 * THREADS


@pytest.mark.usefixtures("_eager_switches")
def test_threads_with_loops_and_without_share_a_tree(workspace: Workspace) -> None:
    ref = workspace.add(Counter())

    async def tasks() -> None:
        await asyncio.gather(
            *(workspace.aexecute("plus", raw=True, counter=ref) for _ in range(30))
        )

    def calls() -> None:
        for _ in range(30):
            workspace.execute("plus", raw=True, counter=ref)

    in_threads(*[lambda: asyncio.run(tasks()), calls] * (THREADS // 2))

    assert workspace.snapshot(ref).number == 30 * THREADS


@pytest.mark.usefixtures("_eager_switches")
@pytest.mark.parametrize("versions", [None, 20])
def test_what_threads_read_is_never_torn(versions: int | None) -> None:
    """A reader has no turn, and still sees whole versions: of the head, and of a fork's base."""
    workspace = Workspace(retention=Retention(versions=versions))
    workspace.register("add")(add)
    ref = workspace.add(Counter(), "counter")
    done = threading.Event()

    def write() -> None:
        try:
            for n in range(600):
                workspace.execute("add", raw=True, counter=ref, n=1 + n % 2)
        finally:
            done.set()

    def check(counter: Any) -> None:
        assert counter.seen[-1:] == ([counter.number] if counter.number else [])
        assert max(counter.table.values(), default=0) == counter.number
        assert len(counter.seen) == counter.version - 1
        assert counter.ecs_id == counter.root_ecs_id

    def read() -> None:
        while not done.is_set():
            check(workspace.snapshot(ref))
            assert workspace.get(f"{ref.address}.number") >= 0

    def fork() -> None:
        while not done.is_set():
            branch = workspace.fork(ref)
            check(workspace.snapshot(branch))
            assert (
                workspace.execute("add", raw=True, counter=branch)
                == workspace.snapshot(branch).number
            )

    in_threads(write, read, read, fork)

    check(workspace.snapshot(ref))
    assert workspace.head(ref) == 601


@pytest.mark.usefixtures("_eager_switches")
def test_held_snapshots_stay_readable_whatever_threads_let_go() -> None:
    """Pins that threads set while versions are forgotten are not lost."""
    workspace = Workspace(retention=Retention(versions=4))
    workspace.register("add")(add)
    ref = workspace.add(Counter())
    held: list[Any] = []
    done = threading.Event()

    def write() -> None:
        try:
            for _ in range(600):
                workspace.execute("add", raw=True, counter=ref)
        finally:
            done.set()

    def hold() -> None:
        while not done.is_set():
            held.append(workspace.snapshot(ref))
            del held[:-200:2]

    in_threads(write, hold, hold)

    for snapshot in held:
        assert snapshot.seen == list(range(1, snapshot.version))


@pytest.mark.usefixtures("_eager_switches")
def test_results_show_what_their_own_execution_made(workspace: Workspace) -> None:
    """Also those that take the long way: others are already at work when they are handed out."""

    def both(counter: Counter) -> list[Any]:
        counter.number += 1
        return [counter, counter.number]

    workspace.register("both")(both)
    ref = workspace.add(Counter())

    def work() -> None:
        for _ in range(40):
            counter, number = workspace.execute("both", raw=True, counter=ref)
            assert (counter.number, counter.version) == (number, number + 1)

    in_threads(*[work] * THREADS)

    outputs = [record.outputs for record in workspace.executions()]
    assert len(set(outputs)) == len(outputs)


@pytest.mark.usefixtures("_eager_switches")
def test_threads_that_add_fork_and_name_lose_nothing(workspace: Workspace) -> None:
    first = workspace.add(Counter())
    taken: list[str] = []
    added: list[Ref] = []

    def work() -> None:
        for n in range(30):
            try:
                added.append(workspace.add(Counter(number=n), f"name {n}"))
            except NameTakenError as error:
                taken.append(error.name)
            added.append(workspace.fork(first))
            added.append(workspace.add(Counter()))

    in_threads(*[work] * THREADS)

    assert len(added) == len(set(added)) == 30 + 2 * 30 * THREADS
    assert len(taken) == 30 * (THREADS - 1)
    assert set(workspace.roots()) == {first, *added}
    for n in range(30):
        assert workspace.snapshot(f"name {n}").number == n
