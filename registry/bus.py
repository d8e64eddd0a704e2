"""Bus: who listens to the events of a workspace, and how they are told.

    execution ── record ──> note ──> pending ──> deliver ──> handlers, by priority
    emit ────────────────────┘                      │
                    (turns are given back) ─────────┘

What happened is noted as the entry of the record log that it is, in the order of commits. It is
told when the outermost execution has given back its turns, so a handler may do anything, execute
and emit included: what that causes is noted too, and told after what is being told now. One thread
tells at a time; what another one notes meanwhile is told by the first, which waits for nobody. So
a synchronous handler never runs twice at once, and needs no lock.

A coroutine function runs as a task of the event loop that the execution ran in, one event after
the other. Without a loop it runs to its end before `execute` returns.

Nothing is noted while nobody listens, and the queues are bounded. The mutable things of this file
are the subscriptions and what is pending.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar, copy_context
from typing import Any, NamedTuple, Self
from weakref import WeakKeyDictionary

from registry import ids
from registry.clock import Clock
from registry.errors import CascadeError, EventError
from registry.events import (
    BUILT_IN,
    Classes,
    Event,
    ExecutionStarted,
    Wants,
    at_time,
    derive,
    wants,
)
from registry.nesting import is_inside, running
from registry.records import Packed, RecordLog
from registry.trees import Trees

MAX_PENDING = 100_000
"""Entries and events that wait to be told, and events that wait for one handler on one loop."""
MAX_DEPTH = 1_000
"""Events of which each was caused by a handler of the one before."""

Handler = Callable[[Any], Any]
Predicate = Callable[[Any], bool]

_log = logging.getLogger("registry.events")
_depth: ContextVar[int] = ContextVar("depth", default=0)
"""How many events caused each other until the current code ran; 0 outside of handlers."""
_outermost: ContextVar[int | str | None] = ContextVar("outermost", default=None)
"""The outermost execution that the current code runs in, if somebody listens."""
_is_muted: ContextVar[bool] = ContextVar("is_muted", default=False)


class Subscription:
    """A handler, and what it wants to be told.

    Attributes:
        handler: Called with each event.
        wanted: Which classes of events.
        predicate: Which of these.
        priority: Higher ones are told first.
        is_async: Whether the handler is a coroutine function.
        workers: What tells it on an event loop.
    """

    def __init__(
        self, handler: Handler, wanted: Wants, predicate: Predicate | None, priority: int
    ) -> None:
        self.handler = handler
        self.wanted = wanted
        self.predicate = predicate
        self.priority = priority
        self.is_async = _is_async(handler)
        self.workers: WeakKeyDictionary[asyncio.AbstractEventLoop, _Worker] = WeakKeyDictionary()

    def fits(self, event: Event) -> bool:
        """Ask the predicate; one that fails is logged, and does not fit."""
        if self.predicate is None:
            return True
        try:
            return bool(self.predicate(event))
        except Exception:  # noqa: BLE001 - whatever it raised is logged, and disturbs nobody
            _log.exception("the predicate of %r failed on %r", self.handler, event)
            return False

    def call(self, event: Event) -> None:
        """Call a synchronous handler; a failure is logged."""
        try:
            self.handler(event)
        except Exception:  # noqa: BLE001 - whatever it raised is logged, and disturbs nobody
            _log.exception("handler %r failed on %r", self.handler, event)

    async def await_call(self, event: Event) -> None:
        """Await an asynchronous handler; a failure is logged."""
        try:
            result: Awaitable[Any] = self.handler(event)
            await result
        except Exception:  # noqa: BLE001 - whatever it raised is logged, and disturbs nobody
            _log.exception("handler %r failed on %r", self.handler, event)


class _Pending(NamedTuple):
    """What is to be told.

    Attributes:
        what: An entry of the record log, or an event.
        depth: How many events caused each other until it happened.
        loop: The event loop in which it happened, if any.
        outermost: The outermost execution in which it did, if any.
    """

    what: Packed | Event
    depth: int
    loop: asyncio.AbstractEventLoop | None
    outermost: int | str | None


class Emitted:
    """An event that a callable emitted: told when its execution is committed, or not at all.

    It stands among the inner executions of the outermost one, and shares their fate.
    """

    outputs: tuple[Any, ...] = ()

    def __init__(self, event: Event, note: Callable[[Event], None]) -> None:
        self._event = event
        self._note = note
        self._is_valid = True

    def record_with(self, _outermost: Any, is_ok: bool, _error_type: str) -> None:
        """Note it, now that it is known whether it is committed."""
        if is_ok and self._is_valid:
            self._note(self._event)

    def take_back(self, *_: Any) -> None:
        """Learn that the execution that emitted it was taken back."""
        self._is_valid = False


class Bus:
    """The subscriptions of one workspace.

    Attributes:
        is_heard: Whether anybody listens: the one thing that an unheard execution looks at.
    """

    def __init__(self, trees: Trees, records: RecordLog, clock: Clock) -> None:
        self.is_heard = False
        self._trees = trees
        self._records = records
        self._clock = clock
        self._subscriptions: tuple[Subscription, ...] = ()
        self._by_class: dict[type[Event], tuple[Subscription, ...]] = {}
        self._wanted: Classes = frozenset()
        self._pending: deque[_Pending] = deque()
        self._telling = threading.Lock()
        self._changing = threading.Lock()
        self._is_full = False

    # --- who listens ---

    def subscribe(
        self,
        handler: Handler,
        types: tuple[type[Event] | str, ...],
        pattern: str | None,
        predicate: Predicate | None,
        priority: int,
    ) -> None:
        """Tell a handler from now on; see `Workspace.on`."""
        if not callable(handler):
            raise EventError(repr(handler), "a function that takes an event")
        new = Subscription(handler, wants(types, pattern), predicate, priority)
        with self._changing:
            self._change((*self._subscriptions, new))

    def unsubscribe(self, handler: Handler) -> bool:
        """Tell a handler nothing more; False if it was not told anything."""
        with self._changing:
            left = tuple(each for each in self._subscriptions if each.handler != handler)
            is_known = len(left) < len(self._subscriptions)
            self._change(left)
        return is_known

    def _change(self, subscriptions: tuple[Subscription, ...]) -> None:
        # Python's sort is stable: equal priorities stay in the order of subscription.
        self._subscriptions = tuple(sorted(subscriptions, key=lambda each: -each.priority))
        self._by_class = {}
        self.is_heard = bool(subscriptions)
        self._wanted = frozenset(filter(self._is_wanted, BUILT_IN))
        self._records.listener = self._note if self._wanted else None
        if self._wanted:
            self._records.attend()
        if not subscriptions:
            self._pending.clear()

    def _listeners(self, cls: type[Event]) -> tuple[Subscription, ...]:
        by_class = self._by_class
        found = by_class.get(cls)
        if found is None:
            found = tuple(each for each in self._subscriptions if each.wanted(cls))
            by_class[cls] = found
        return found

    def _is_wanted(self, cls: type[Event]) -> bool:
        return bool(self._listeners(cls))

    # --- what happens ---

    @contextlib.contextmanager
    def hearing(self, number: int | str, name: str) -> Generator[None]:
        """Tell of an execution: that it begins, and, when the block ends, all that it did.

        One that runs inside another is told of with that, one that is muted not at all.
        """
        if _is_muted.get() or is_inside(self._trees):
            yield
            return
        if self._is_wanted(ExecutionStarted):
            self._note(self._started(number, name))
            self.deliver()
        token = _outermost.set(number)
        try:
            yield
        finally:
            _outermost.reset(token)
            self.deliver()

    def _started(self, number: int | str, name: str) -> Event:
        execution_id = ids.execution_text(number)
        return ExecutionStarted(
            at=at_time(self._clock()),
            execution_id=execution_id,
            callable=name,
            root_id=execution_id,
        )

    def emit(self, event: Event) -> None:
        """Tell an event to those who want it; see `Workspace.emit`."""
        if not isinstance(event, Event):
            raise EventError(repr(event), "an event: an instance of a subclass of Event")
        if not self._is_wanted(type(event)) or _is_muted.get():
            return
        if _depth.get() > MAX_DEPTH:
            raise CascadeError(event.type, MAX_DEPTH)
        outer = running.get()
        if outer is not None and is_inside(self._trees):
            outer.nest.inner.append(Emitted(event, self._note))
            return
        self._note(event)
        self.deliver()

    def _note(self, what: Packed | Event) -> None:
        """Note what happened, to be told later."""
        if _is_muted.get():
            return
        depth = _depth.get()
        if depth > MAX_DEPTH:
            name = what.type if isinstance(what, Event) else "execution"
            _log.error("%s", CascadeError(name, MAX_DEPTH))
            return
        if len(self._pending) >= MAX_PENDING:
            self._drop()
            return
        self._pending.append(_Pending(what, depth, _running_loop(), _outermost.get()))

    def _drop(self) -> None:
        if not self._is_full:
            self._is_full = True
            _log.error(
                "%d events wait to be told, and what happens until there are fewer is not told: "
                "handlers are too slow, or cause too much; events(after=...) has what is retained",
                MAX_PENDING,
            )

    # --- telling ---

    def deliver(self) -> None:
        """Tell all that is pending, unless an open execution is around, or another thread does."""
        if is_inside(self._trees):
            return
        # Looked at again afterwards: what was noted at the last moment was left to this thread.
        while self._pending:
            if not self._telling.acquire(blocking=False):
                return
            try:
                self._tell_pending()
            finally:
                self._telling.release()

    def _tell_pending(self) -> None:
        # A handler is no part of any execution.
        tokens = running.set(None), _outermost.set(None), _is_muted.set(False)
        try:
            with _OwnLoop() as own_loop:
                while self._pending:
                    pending = self._pending.popleft()
                    self._tell(pending, own_loop)
                self._is_full = False
        finally:
            running.reset(tokens[0])
            _outermost.reset(tokens[1])
            _is_muted.reset(tokens[2])

    def _tell(self, pending: _Pending, own_loop: _OwnLoop) -> None:
        what, depth, loop, outermost = pending
        if isinstance(what, Event):
            self._tell_one(what, depth, loop, own_loop)
            return
        # The outermost execution was told of when it began.
        has_begun = what[0 if isinstance(what[1], str) else 2] == outermost
        wanted = self._wanted - {ExecutionStarted} if has_begun else self._wanted
        root_id = None if outermost is None else ids.execution_text(outermost)
        for event in derive(what, self._trees, wanted, root_id):
            if event is not None:
                self._tell_one(event, depth, loop, own_loop)

    def _tell_one(
        self, event: Event, depth: int, loop: asyncio.AbstractEventLoop | None, own_loop: _OwnLoop
    ) -> None:
        token = _depth.set(depth + 1)
        try:
            for each in self._listeners(type(event)):
                if not each.fits(event):
                    continue
                if not each.is_async:
                    each.call(event)
                elif not _hand_over(each, event, loop):
                    own_loop.run(each, event)
        finally:
            _depth.reset(token)

    async def settle(self) -> None:
        """Wait until the handlers that run as tasks of this loop have been told everything."""
        loop, me = asyncio.get_running_loop(), asyncio.current_task()
        while True:
            workers = [each.workers.get(loop) for each in self._subscriptions]
            tasks = [each.task for each in workers if each and each.task not in (None, me)]
            if not tasks:
                return
            await asyncio.wait([task for task in tasks if task])


def is_muted() -> bool:
    """Tell whether nothing is told of what happens in this context."""
    return _is_muted.get()


@contextlib.contextmanager
def muted() -> Generator[None]:
    """Tell nothing of what happens in the block."""
    token = _is_muted.set(True)
    try:
        yield
    finally:
        _is_muted.reset(token)


def _hand_over(
    subscription: Subscription, event: Event, loop: asyncio.AbstractEventLoop | None
) -> bool:
    """Leave an event to an event loop; False if there is none any more, or there was none."""
    here = _running_loop()
    if loop is None or loop.is_closed():
        loop = here
    if loop is None:
        return False
    worker = subscription.workers.get(loop)
    if worker is None:
        worker = subscription.workers[loop] = _Worker(subscription)
    worker.put(event)
    if loop is here:
        worker.start()
        return True
    try:
        loop.call_soon_threadsafe(worker.start)
    except RuntimeError:  # it was closed this very moment
        worker.events.clear()
        return False
    return True


class _Worker:
    """Tells one handler on one event loop, one event after the other.

    Attributes:
        events: What it is to tell, with the depth of each.
        task: What does it, while there is any.
    """

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self.events: deque[tuple[Event, int]] = deque()
        self.task: asyncio.Task[None] | None = None  # a loop keeps its tasks weakly only
        self._is_full = False

    def put(self, event: Event) -> None:
        if len(self.events) < MAX_PENDING:
            self.events.append((event, _depth.get()))
        elif not self._is_full:
            self._is_full = True
            _log.error(
                "%d events wait for handler %r, and what happens until there are fewer is not "
                "told to it",
                MAX_PENDING,
                self._subscription.handler,
            )

    def start(self) -> None:
        if self.task is None and self.events:
            self.task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        running.set(None)
        try:
            while self.events:
                event, depth = self.events.popleft()
                _depth.set(depth)
                await self._subscription.await_call(event)
            self._is_full = False
        finally:
            if self.events:  # cancelled, as a loop that ends does
                _log.error(
                    "handler %r is not told of %d events: its event loop ended, or its task was "
                    "cancelled; await settle_events() first",
                    self._subscription.handler,
                    len(self.events),
                )
                self.events.clear()
            self.task = None


class _OwnLoop:
    """An event loop for handlers where none runs: made when it is needed."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._runner is not None:
            self._runner.close()

    def run(self, subscription: Subscription, event: Event) -> None:
        """Tell an asynchronous handler, and wait until it has ended."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        self._runner.run(subscription.await_call(event), context=copy_context())


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _is_async(handler: Handler) -> bool:
    while isinstance(handler, functools.partial):
        handler = handler.func
    call = getattr(handler, "__call__", None)  # noqa: B004 - of an object that is called
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call)
