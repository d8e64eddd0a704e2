"""Turn: whose execution runs on a tree.

One at a time, in the order of asking, for threads and for tasks of event loops.

A thread waits by blocking, a task by awaiting. A thread that would wait for itself is told so: a
callable that executes on the tree that it runs on, or synchronous code in an event loop where a
task holds the tree.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque


class Turn:
    """A fair lock that threads and tasks share. Taking a free one costs about 0.1 us."""

    __slots__ = ("_holder", "_mutex", "_taken", "_waiting", "is_closed")

    def __init__(self) -> None:
        self._taken = threading.Lock()
        self._mutex = threading.Lock()
        self._waiting: deque[_Sleeper | _Waiter] = deque()
        self._holder = 0
        self.is_closed = False

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits for it."""
        return bool(self._waiting)

    @property
    def is_held_here(self) -> bool:
        """Whether this thread has it, or a task of this thread."""
        return self._holder == threading.get_ident()

    def is_in_hands_of(self, thread: int) -> bool:
        """Tell whether a thread, or a task of it, has the turn or has asked for it already.

        Somebody that the thread waits for would wait for ever, since a thread that waits runs no
        task.
        """
        if self._holder == thread:
            return True
        with self._mutex:
            return any(waiter.thread == thread for waiter in self._waiting)

    def take(self) -> bool:
        """Take the turn, waiting for other threads.

        False if this thread would wait for itself, or for ever, since the turn is closed.
        """
        if self.take_if_free():
            return True
        if self.is_in_hands_of(threading.get_ident()):
            return False
        sleeper = _Sleeper()
        if self._enqueue(sleeper):
            sleeper.ready.wait()
        if self.is_closed:
            return False
        self._holder = threading.get_ident()
        return True

    def take_if_free(self) -> bool:
        """Take the turn if nobody has it; False, without waiting, if somebody does."""
        if self._taken.acquire(False):
            self._holder = threading.get_ident()
            return True
        return False

    async def take_async(self) -> bool:
        """Take the turn, awaiting whoever has it; False if it is closed."""
        if self._taken.acquire(False):
            self._holder = threading.get_ident()
            return True
        waiter = _Waiter(asyncio.get_running_loop(), self._mutex)
        if self._enqueue(waiter):
            try:
                await waiter.ready
            except asyncio.CancelledError:
                if waiter.leave() and not self.is_closed:
                    self.give_back()  # it was granted already
                raise
        if self.is_closed:
            return False
        self._holder = threading.get_ident()
        return True

    def close(self) -> None:
        """Never pass the turn on again: whoever waits, or asks later, is told so.

        Called by who has it.
        """
        with self._mutex:
            self.is_closed = True
            self._holder = 0
            while self._waiting:
                self._waiting.popleft().wake()

    def give_back(self) -> None:
        """Pass the turn to whoever asked first, or leave it free."""
        if not self._waiting:
            self._holder = 0
            self._taken.release()
            if not self._waiting or not self._taken.acquire(False):
                return
            # Somebody queued between the look and the release: the turn is taken again on their
            # behalf.
        with self._mutex:
            while self._waiting:
                waiter = self._waiting.popleft()
                # Theirs from now on, not when they wake: this thread may ask again before that.
                self._holder = waiter.thread
                if waiter.wake():
                    return
            self._holder = 0
            self._taken.release()

    def _enqueue(self, waiter: _Sleeper | _Waiter) -> bool:
        """Join the queue; False if the turn became free meanwhile and is now taken."""
        with self._mutex:
            if self.is_closed or self._taken.acquire(False):
                return False
            self._waiting.append(waiter)
            return True


class _Sleeper:
    """A thread in the queue of a turn."""

    __slots__ = ("ready", "thread")

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.thread = threading.get_ident()

    def wake(self) -> bool:
        """Grant the turn. Called under the turn's mutex."""
        self.ready.set()
        return True


class _Waiter:
    """A task in the queue of a turn.

    It may be cancelled at the very moment when it is granted the turn.
    """

    __slots__ = ("_gone", "_granted", "_loop", "_mutex", "ready", "thread")

    def __init__(self, loop: asyncio.AbstractEventLoop, mutex: threading.Lock) -> None:
        self.ready: asyncio.Future[None] = loop.create_future()
        self.thread = threading.get_ident()
        self._loop = loop
        self._mutex = mutex
        self._gone = False
        self._granted = False

    def wake(self) -> bool:
        """Grant the turn; False if nobody waits any more. Called under the turn's mutex."""
        if self._gone or self._loop.is_closed():
            return False
        try:
            self._loop.call_soon_threadsafe(_resolve, self.ready)
        except RuntimeError:  # closed since
            return False
        self._granted = True
        return True

    def leave(self) -> bool:
        """Stop waiting; True if the turn was granted and must be given back."""
        with self._mutex:
            self._gone = True
            return self._granted


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
