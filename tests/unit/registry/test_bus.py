"""Who listens, and how they are told: after the commit, in order, disturbing nobody."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import registry
from registry import CallableRegistry, Ref, Workspace, use_workspace
from registry import bus as bus_file
from registry import events as events_file
from registry.errors import BusyError, CascadeError, EventError
from registry.events import EntityVersioned, Event, ExecutionEvent, ExecutionStarted
from tests.unit.registry.shop import Shop, new_shop


class Alarm(Event):
    """An event of a user's own."""

    type = "sensor.alarm"

    level: int = 0


class LoudAlarm(Alarm):
    """A kind of alarm."""

    type = "sensor.alarm.loud"


def grow(shop: Shop, n: int) -> None:
    """Change, or fail."""
    shop.numbers.append(n)
    if n < 0:
        raise ValueError(n)


async def slow_grow(shop: Shop, n: int) -> None:
    """Change, asynchronously."""
    await asyncio.sleep(0)
    shop.numbers.append(n)


@pytest.fixture
def workspace() -> Workspace:
    """A workspace that knows the functions above."""
    workspace = Workspace()
    workspace.register("grow")(grow)
    workspace.register("slow_grow")(slow_grow)
    return workspace


@pytest.fixture
def shop(workspace: Workspace) -> Ref:
    """A shop."""
    return workspace.add(new_shop())


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is logged about events."""
    caplog.set_level(logging.DEBUG, logger="registry.events")
    return caplog


def versions(told: list[Any]) -> list[int]:
    return [event.version for event in told if isinstance(event, EntityVersioned)]


# --- what is asked for ---


@pytest.mark.parametrize(
    ("types", "pattern", "expected"),
    [
        ((), None, [Alarm, LoudAlarm, "started", "versioned", "completed"]),
        ((Event,), None, [Alarm, LoudAlarm, "started", "versioned", "completed"]),
        ((Alarm,), None, [Alarm, LoudAlarm]),
        ((LoudAlarm,), None, [LoudAlarm]),
        (("sensor.alarm",), None, [Alarm]),
        (("entity.versioned", Alarm), None, [Alarm, LoudAlarm, "versioned"]),
        ((ExecutionEvent,), None, ["started", "completed"]),
        ((), "execution.*", ["started", "completed"]),
        ((), "*ed", ["started", "versioned", "completed"]),
        ((ExecutionEvent,), "*.completed", ["completed"]),
        (("nothing",), None, []),
    ],
)
def test_events_are_told_by_class_text_and_pattern(
    workspace: Workspace, shop: Ref, types: Any, pattern: str | None, expected: list[Any]
) -> None:
    told: list[Any] = []
    workspace.on(*types, pattern=pattern, handler=told.append)

    workspace.emit(Alarm())
    workspace.emit(LoudAlarm())
    workspace.execute("grow", shop=shop, n=4)

    names = [each if isinstance(each, str) else each.type for each in expected]
    assert [event.type.removeprefix("execution.").removeprefix("entity.") for event in told] == [
        *names
    ]


def test_a_predicate_says_which(workspace: Workspace) -> None:
    told: list[Any] = []
    workspace.on(Alarm, predicate=lambda event: event.level > 1, handler=told.append)

    for level in range(4):
        workspace.emit(Alarm(level=level))

    assert [event.level for event in told] == [2, 3]


def test_a_decorated_handler_is_returned_as_it_is(workspace: Workspace) -> None:
    told: list[Any] = []

    def handler(event: Alarm) -> None:
        told.append(event)

    assert workspace.on(Alarm)(handler) is handler
    assert workspace.on(LoudAlarm, handler=handler) is handler
    alarm = Alarm()
    workspace.emit(alarm)

    assert told == [alarm]
    assert told[0] is alarm


def test_what_is_no_event_is_refused(workspace: Workspace) -> None:
    with pytest.raises(EventError) as of_type:
        workspace.on(Shop)  # type: ignore[arg-type]
    with pytest.raises(EventError) as of_handler:
        workspace.on(handler="me")  # type: ignore[call-overload]
    with pytest.raises(EventError) as of_event:
        workspace.emit("alarm")  # type: ignore[arg-type]

    assert of_type.value.given == repr(Shop)
    assert of_handler.value.given == "'me'"
    assert of_event.value.given == "'alarm'"


def test_an_unsubscribed_handler_is_told_nothing(workspace: Workspace) -> None:
    told: list[Any] = []

    class Listener:
        def hear(self, event: Event) -> None:
            told.append(event)

    listener = Listener()
    workspace.on(Alarm, handler=listener.hear)
    workspace.on(LoudAlarm, handler=listener.hear)

    assert workspace.unsubscribe(listener.hear)
    assert not workspace.unsubscribe(listener.hear)
    workspace.emit(LoudAlarm())

    assert told == []


def test_the_calls_of_the_package_are_those_of_the_default_workspace() -> None:
    use_workspace(Workspace())
    told: list[Any] = []
    try:
        CallableRegistry.register("grow")(grow)
        shop = new_shop()
        shop.promote_to_root()
        registry.on("entity.versioned", Alarm)(told.append)

        CallableRegistry.execute("grow", shop=shop, n=4)
        CallableRegistry.execute("grow", shop=shop, n=4, skip_events=True)
        asyncio.run(CallableRegistry.aexecute("grow", shop=shop, n=4, skip_events=True))
        registry.emit(Alarm(level=7))
        assert registry.unsubscribe(told.append)
        registry.emit(Alarm(level=8))
    finally:
        use_workspace(None)

    assert [event.type for event in told] == ["entity.versioned", "sensor.alarm"]


# --- order ---


def test_higher_priority_is_told_first_then_who_subscribed_first(workspace: Workspace) -> None:
    told: list[str] = []
    for name, priority in (("a", 0), ("b", 5), ("c", 0), ("d", -1), ("e", 5)):
        workspace.on(priority=priority, handler=lambda _, name=name: told.append(name))

    workspace.emit(Alarm())

    assert "".join(told) == "beacd"


def test_handlers_are_told_when_the_turn_is_given_back(workspace: Workspace, shop: Ref) -> None:
    found: list[Any] = []

    def handler(event: EntityVersioned) -> None:
        snapshot: Any = workspace.snapshot(shop)
        found.append((snapshot.version, event.version, snapshot.numbers[-1]))
        if event.version < 5:
            workspace.execute("grow", shop=shop, n=event.version)

    workspace.on(EntityVersioned, handler=handler)
    workspace.execute("grow", shop=shop, n=1)

    assert found == [(2, 2, 1), (3, 3, 2), (4, 4, 3), (5, 5, 4)]


def test_started_is_told_before_the_callable_runs(workspace: Workspace, shop: Ref) -> None:
    order: list[str] = []

    @workspace.register("note")
    def note(shop: Shop) -> None:
        order.append("runs")

    workspace.on(handler=lambda event: order.append(event.type))
    workspace.execute("note", shop=shop)

    assert order == ["execution.started", "runs", "execution.completed"]


def test_a_handler_of_started_may_change_the_tree_first(workspace: Workspace, shop: Ref) -> None:
    @workspace.on(ExecutionStarted, predicate=lambda event: event.callable == "grow")
    def first(event: ExecutionStarted) -> None:
        workspace.put(f"@{shop.lineage_id}.name", "before")

    workspace.execute("grow", shop=shop, n=4)

    assert [info.callable for info in workspace.history(shop)] == [None, "put", "grow"]


def test_what_a_handler_causes_is_told_after_what_is_told_now(workspace: Workspace) -> None:
    told: list[Any] = []

    @workspace.on(Alarm)
    def first(event: Alarm) -> None:
        told.append(("first", event.level))
        if event.level == 0:
            workspace.emit(Alarm(level=1))
            workspace.emit(Alarm(level=2))

    workspace.on(Alarm, handler=lambda event: told.append(("second", event.level)))
    workspace.emit(Alarm())

    assert told == [(who, level) for level in range(3) for who in ("first", "second")]


def test_what_a_callable_emits_is_told_when_it_is_committed(
    workspace: Workspace, shop: Ref
) -> None:
    told: list[Any] = []

    @workspace.register("shout")
    def shout(shop: Shop, n: int) -> None:
        shop.numbers.append(n)
        workspace.emit(Alarm(level=n))
        assert Alarm(level=n) not in told
        if n < 0:
            raise ValueError(n)

    @workspace.register("outer")
    def outer(shop: Shop) -> None:
        for n in (1, -1, 2):
            try:
                workspace.execute("shout", shop=shop, n=n)
            except ValueError:
                workspace.emit(Alarm(level=9))

    workspace.on(Alarm, EntityVersioned, handler=told.append)
    workspace.execute("shout", shop=shop, n=5)
    with pytest.raises(ValueError, match="-1"):
        workspace.execute("shout", shop=shop, n=-1)
    workspace.execute("outer", shop=shop)

    assert [getattr(event, "level", "versioned") for event in told] == [
        *(5, "versioned", 1, 9, 2, "versioned")
    ]


def test_each_execution_of_a_batch_is_told_before_the_next(workspace: Workspace, shop: Ref) -> None:
    heads: list[Any] = []
    workspace.on(
        EntityVersioned, handler=lambda event: heads.append((event.version, workspace.head(shop)))
    )

    list(workspace.run_each("grow", ("shop", "n"), [((shop, 1), "a"), ((shop, 2), "b")]))
    workspace.execute_batch([("grow", {"shop": shop, "n": n}) for n in range(2)])
    workspace.run("grow", {"shop": shop, "n": 1}, "c")

    assert heads == [(n, n) for n in range(2, 7)]


def test_a_handler_is_no_part_of_an_execution_of_another_workspace(
    workspace: Workspace, shop: Ref, log: pytest.LogCaptureFixture
) -> None:
    """Not even if it is told while that still runs: it cannot see or join its work."""
    other = Workspace()
    other.register("grow")(grow)
    theirs = other.add(new_shop())

    @other.register("around")
    def around(shop: Shop) -> None:
        workspace.execute("grow", shop=mine, n=1)

    mine = shop
    workspace.on(EntityVersioned, handler=lambda _: other.execute("grow", shop=theirs, n=5))

    other.execute("around", shop=theirs)

    assert other.head(theirs) == 1
    [error] = [record.exc_info[0] for record in log.records if record.exc_info]
    assert error is BusyError


# --- skip_events ---


def test_skip_events_skips_all_of_one_call(workspace: Workspace, shop: Ref) -> None:
    told: list[Any] = []
    workspace.on(handler=told.append)

    @workspace.register("outer")
    def outer(shop: Shop) -> None:
        workspace.execute("grow", shop=shop, n=1)
        workspace.emit(Alarm())

    workspace.execute("outer", shop=shop, skip_events=True)
    asyncio.run(workspace.aexecute("grow", shop=shop, n=4, skip_events=True))
    assert told == []

    workspace.execute("grow", shop=shop, n=4)
    assert versions(told) == [4]
    assert len(workspace.executions()) == 4


def test_of_a_dry_run_and_a_replay_nobody_is_told(workspace: Workspace, shop: Ref) -> None:
    @workspace.register("outer")
    def outer(shop: Shop) -> None:
        workspace.execute("grow", shop=shop, n=1)
        workspace.emit(Alarm())

    workspace.execute("outer", shop=shop)
    told: list[Any] = []
    workspace.on(handler=told.append)
    end = workspace.event_cursor()

    workspace.execute("outer", shop=shop, dry_run=True)
    asyncio.run(workspace.aexecute("outer", shop=shop, dry_run=True))
    workspace.replay(workspace.executions(name="outer")[0].execution_id)

    assert told == []
    assert workspace.event_cursor() == end


# --- handlers that fail ---


def test_a_handler_that_fails_is_logged_and_disturbs_nobody(
    workspace: Workspace, shop: Ref, log: pytest.LogCaptureFixture
) -> None:
    told: list[Any] = []

    async def fails_later(event: Event) -> None:
        raise KeyError("later")

    def fails(event: Event) -> None:
        raise KeyError("now")

    workspace.on(EntityVersioned, handler=fails, priority=2)
    workspace.on(EntityVersioned, handler=fails_later, priority=1)
    workspace.on(EntityVersioned, handler=told.append, predicate=lambda event: event.nothing)
    workspace.on(EntityVersioned, handler=told.append)

    workspace.execute("grow", shop=shop, n=4)

    assert versions(told) == [2]
    assert workspace.head(shop) == 2
    errors = [record.exc_info[0] for record in log.records if record.exc_info]
    assert errors == [KeyError, KeyError, AttributeError]
    assert {record.name for record in log.records} == {"registry.events"}


def test_an_interrupted_handler_leaves_the_rest_to_the_next(
    workspace: Workspace, shop: Ref
) -> None:
    told: list[Any] = []

    def interrupt(event: Any) -> None:
        told.append(event)
        if len(told) == 1:
            raise KeyboardInterrupt

    workspace.on(EntityVersioned, Alarm, handler=interrupt)
    with pytest.raises(KeyboardInterrupt):
        workspace.execute("grow", shop=shop, n=4)
    workspace.emit(Alarm(level=3))

    assert versions(told) == [2]
    assert told[-1] == Alarm(level=3)


# --- asynchronous handlers ---


Hear = Callable[[Event], Awaitable[None]]


class Heard:
    """An asynchronous handler that yields in between, and what it was told by which loop."""

    def __init__(self) -> None:
        self.begun: list[Any] = []
        self.told: list[Any] = []
        self.loops: list[Any] = []

    async def __call__(self, event: Event) -> None:
        self.begun.append(event)
        await asyncio.sleep(0)
        self.told.append(event)
        self.loops.append(asyncio.get_running_loop())
        assert len(self.begun) == len(self.told), "one after the other"


def test_without_a_loop_an_async_handler_has_ended_when_execute_returns(
    workspace: Workspace, shop: Ref
) -> None:
    heard = Heard()
    workspace.on(EntityVersioned, handler=heard)

    for n in range(3):
        workspace.execute("grow", shop=shop, n=n)
        assert versions(heard.told) == list(range(2, n + 3))
    workspace.execute("slow_grow", shop=shop, n=4)  # has a loop of its own, which ends with it

    assert versions(heard.told) == [2, 3, 4, 5]


def test_priorities_hold_for_sync_and_async_handlers_without_a_loop(workspace: Workspace) -> None:
    told: list[str] = []

    async def later(event: Event) -> None:
        await asyncio.sleep(0)
        told.append("async")

    workspace.on(handler=lambda _: told.append("low"))
    workspace.on(handler=later, priority=1)
    workspace.on(handler=lambda _: told.append("high"), priority=2)
    workspace.emit(Alarm())

    assert told == ["high", "async", "low"]


def test_in_a_loop_async_handlers_are_tasks_of_it_in_order(workspace: Workspace, shop: Ref) -> None:
    heard = Heard()
    workspace.on(EntityVersioned, handler=functools.partial(heard))

    async def main() -> Any:
        workspace.execute("grow", shop=shop, n=1)
        assert heard.begun == []
        await asyncio.gather(*(workspace.aexecute("slow_grow", shop=shop, n=n) for n in range(5)))
        await workspace.settle_events()
        assert versions(heard.told) == list(range(2, 8))
        return asyncio.get_running_loop()

    loops = [asyncio.run(main())]

    assert set(heard.loops) == set(loops)


def test_over_any_number_of_loops(workspace: Workspace, shop: Ref) -> None:
    heard = Heard()
    workspace.on(EntityVersioned, handler=heard)

    async def main(n: int) -> None:
        await workspace.aexecute("slow_grow", shop=shop, n=n)
        await workspace.settle_events()

    for n in range(3):
        asyncio.run(main(n))
        workspace.execute("grow", shop=shop, n=n)

    assert versions(heard.told) == list(range(2, 8))
    assert len(set(map(id, heard.loops))) >= 1


def test_an_async_handler_may_execute_and_emit(workspace: Workspace, shop: Ref) -> None:
    told: list[Any] = []

    @workspace.on(EntityVersioned)
    async def handler(event: EntityVersioned) -> None:
        told.append(event.version)
        if event.version < 6:
            await workspace.aexecute("slow_grow", shop=shop, n=1)
            workspace.emit(Alarm(level=event.version))

    workspace.on(Alarm, handler=lambda event: told.append(-event.level))

    async def main() -> None:
        await workspace.aexecute("grow", shop=shop, n=1)
        await workspace.settle_events()

    asyncio.run(main())
    assert sorted(told) == [-5, -4, -3, -2, 2, 3, 4, 5, 6]
    told.clear()
    workspace.put(f"@{shop.lineage_id}.name", "no loop")
    assert told == [7]


def test_what_is_left_when_a_loop_ends_is_logged(
    workspace: Workspace, shop: Ref, log: pytest.LogCaptureFixture
) -> None:
    begun = threading.Event()

    async def forever(event: Event) -> None:
        begun.set()
        await asyncio.Event().wait()

    workspace.on(EntityVersioned, handler=forever)

    async def main() -> None:
        for n in range(3):
            await workspace.aexecute("grow", shop=shop, n=n)
        while not begun.is_set():
            await asyncio.sleep(0)

    asyncio.run(main())

    [record] = log.records
    assert "2 events" in record.getMessage()


def test_events_of_a_loop_are_told_on_it_though_another_thread_tells(
    workspace: Workspace, shop: Ref
) -> None:
    """A thread that is telling takes over what the loop's execution notes meanwhile."""
    other = workspace.add(new_shop())
    heard = Heard()
    is_telling, may_go_on = threading.Event(), threading.Event()

    @workspace.on(Alarm)
    def hold(event: Alarm) -> None:
        is_telling.set()
        may_go_on.wait(30)

    workspace.on(EntityVersioned, handler=heard)
    thread = threading.Thread(target=workspace.emit, args=(Alarm(),))
    thread.start()
    is_telling.wait(30)

    async def main() -> Any:
        await workspace.aexecute("grow", shop=other, n=1)
        assert heard.begun == []
        may_go_on.set()
        while not heard.told:
            await asyncio.sleep(0.001)
        return asyncio.get_running_loop()

    loop = asyncio.run(main())
    thread.join()

    assert heard.loops == [loop]


# --- threads ---


def test_threads_are_told_in_the_order_of_commits(workspace: Workspace) -> None:
    shops = [workspace.add(new_shop()) for _ in range(3)]
    told: list[Any] = []
    inside = threading.Lock()

    @workspace.on(EntityVersioned)
    def handler(event: EntityVersioned) -> None:
        assert inside.acquire(blocking=False), "never called twice at once"
        told.append(event)
        inside.release()

    def work(n: int) -> None:
        for k in range(60):
            if k % 3:
                workspace.execute("grow", shop=shops[(n + k) % 3], n=k)
            else:
                asyncio.run(workspace.aexecute("slow_grow", shop=shops[(n + k) % 3], n=k))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    workspace.emit(Alarm())  # tells what another thread left

    assert len(told) == 240
    for shop in shops:
        mine = [e.version for e in told if workspace.ref(e.ecs_id).root == shop.root]
        assert mine == list(range(2, workspace.head(shop) + 1))


def test_a_handler_may_execute_on_the_tree_that_other_threads_want(
    workspace: Workspace, shop: Ref
) -> None:
    @workspace.on(EntityVersioned, predicate=lambda event: event.callable == "grow")
    def handler(event: EntityVersioned) -> None:
        workspace.put(f"@{shop.lineage_id}.name", str(event.version))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: workspace.execute("grow", shop=shop, n=n), range(40)))

    assert workspace.head(shop) == 81


# --- bounds ---


def test_a_cascade_that_never_ends_is_ended(
    workspace: Workspace, shop: Ref, log: pytest.LogCaptureFixture
) -> None:
    @workspace.on(EntityVersioned)
    def again(event: EntityVersioned) -> None:
        workspace.execute("grow", shop=shop, n=1)

    workspace.execute("grow", shop=shop, n=1)

    assert workspace.head(shop) == bus_file.MAX_DEPTH + 3
    assert "let one of the handlers stop" in log.text


def test_a_cascade_of_emitted_events_is_refused_where_it_is_emitted(
    workspace: Workspace, log: pytest.LogCaptureFixture
) -> None:
    caught: list[CascadeError] = []

    @workspace.on(Alarm)
    def again(event: Alarm) -> None:
        try:
            workspace.emit(Alarm(level=event.level + 1))
        except CascadeError as error:
            caught.append(error)

    workspace.emit(Alarm())

    [error] = caught
    assert (error.event_type, error.limit) == ("sensor.alarm", bus_file.MAX_DEPTH)
    assert log.records == []


def test_an_async_cascade_ends_too(workspace: Workspace, log: pytest.LogCaptureFixture) -> None:
    count = 0

    @workspace.on(Alarm)
    async def again(event: Alarm) -> None:
        nonlocal count
        count += 1
        workspace.emit(event)

    async def main() -> None:
        workspace.emit(Alarm())
        await workspace.settle_events()

    asyncio.run(main())

    assert count == bus_file.MAX_DEPTH + 1
    assert "let one of the handlers stop" in log.text


def test_what_waits_to_be_told_is_bounded(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bus_file, "MAX_PENDING", 10)
    told: list[Any] = []

    @workspace.on(Alarm)
    def flood(event: Alarm) -> None:
        told.append(event)
        if event.level == 0:
            for n in range(1, 100):
                workspace.emit(Alarm(level=n))

    workspace.emit(Alarm())

    assert [event.level for event in told] == list(range(11))
    assert len(log.records) == 1
    workspace.emit(Alarm(level=5))
    assert told[-1] == Alarm(level=5)


def test_nothing_is_kept_of_what_was_told(workspace: Workspace, shop: Ref) -> None:
    workspace.on(handler=lambda event: None)
    for n in range(50):
        workspace.execute("grow", shop=shop, n=n)

    gc.collect()

    assert not [each for each in gc.get_objects() if isinstance(each, Event)]
    assert not workspace._bus._pending


# --- nobody listens ---


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is made for events: events, entries of the queue, derivations."""
    made: list[Any] = []

    def counted(function: Any) -> Any:
        def count(*args: Any, **kwargs: Any) -> Any:
            made.append(function)
            return function(*args, **kwargs)

        return count

    for file, name in (
        (bus_file, "_Pending"),
        (bus_file, "derive"),
        (bus_file.Bus, "hearing"),
        (bus_file.Bus, "deliver"),
        (bus_file.Bus, "_note"),
        (events_file.Event, "__init__"),
    ):
        monkeypatch.setattr(file, name, counted(getattr(file, name)))
    return made


def test_unheard_nothing_is_made_at_all(workspace: Workspace, shop: Ref, made: list[Any]) -> None:
    workspace.unsubscribe(workspace.on(handler=lambda event: None))

    workspace.execute("grow", shop=shop, n=1)
    asyncio.run(workspace.aexecute("slow_grow", shop=shop, n=1))
    list(workspace.run_each("grow", ("shop", "n"), [((shop, 1), "a"), ((shop, 2), "b")]))
    workspace.add(new_shop())

    assert made == []


def test_events_that_nobody_wants_are_not_made(
    workspace: Workspace, shop: Ref, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    init = Event.__init__

    def count(self: Any, **fields: Any) -> None:
        built.append(type(self).type)
        init(self, **fields)

    monkeypatch.setattr(Event, "__init__", count)
    workspace.on("entity.versioned", handler=lambda event: None)
    workspace.execute("grow", shop=shop, n=1)

    assert built == ["entity.versioned"]


def test_results_do_not_depend_on_listeners(shop: Ref, workspace: Workspace) -> None:
    def run(listens: bool) -> Any:
        workspace = Workspace(clock=lambda: 1.0)
        workspace.register("grow")(grow)
        shop = new_shop()
        if listens:
            workspace.on(handler=lambda event: workspace.executions())
        ref = workspace.add(shop)
        results = []
        for n in (1, -1, 2):
            try:
                results.append(workspace.execute("grow", shop=ref, n=n, raw=True))
            except ValueError as error:
                results.append(str(error))
        snapshot: Any = workspace.snapshot(ref)
        kinds = [(each.status, each.changed, each.error) for each in workspace.executions()]
        return results, snapshot.numbers, workspace.head(ref), kinds

    assert run(listens=False) == run(listens=True)
