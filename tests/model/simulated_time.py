"""Time as a seed decides it: one that only stands still or leaps on, and clocks that jump."""

from __future__ import annotations

import queue
import random
from collections import deque
from collections.abc import Callable
from typing import Any

BEGAN_S = 1_700_000_000.0
EARLIEST_S, LATEST_S = 0.0, 4_000_000_000.0
"""What a wall clock may tell: from 1970 to 2096."""


DIGITS = 5
"""Of a second: coarser than what a date can tell apart."""


class Time:
    """How much time has passed; what a monotonic clock of any process tells the differences of.

    Args:
        dice: Decides how much.
        leaps: How likely it is that the process which asks was stopped for a while.
    """

    def __init__(self, dice: random.Random, leaps: float) -> None:
        self.now = 0.0
        self._dice = dice
        self._leaps = leaps

    def __call__(self) -> float:
        """Return seconds, never fewer than before."""
        if self._leaps and self._dice.random() < self._leaps / 10:
            self.now += 10 ** self._dice.uniform(-3, 4)
        return self.now

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class WallClock:
    """What the processes of one machine believe to be the date; it jumps when it is asked.

    Args:
        time: How much time has passed.
        dice: Decides where it begins, when it jumps, and how far: milliseconds to decades.
        jumps: How likely it is that it does.
        told: What any clock told; none tells it again, so that it is known what is dated by what.
    """

    def __init__(self, time: Time, dice: random.Random, jumps: float, told: set[float]) -> None:
        self._told = told
        self._time = time
        self._dice = dice
        self._jumps = jumps
        self._ahead_s = BEGAN_S
        if jumps:
            self._jump()

    def __call__(self) -> float:
        """Return seconds since the epoch, or what it takes for them."""
        if self._jumps and self._dice.random() < self._jumps:
            self._jump()
        seconds = min(max(self._ahead_s + self._time.now, EARLIEST_S), LATEST_S)
        while (seconds := round(seconds, DIGITS)) in self._told:
            seconds += 10**-DIGITS
        self._told.add(seconds)
        return seconds

    def _jump(self) -> None:
        far = 10 ** self._dice.uniform(-3, 9)
        there = self._ahead_s + self._dice.choice([-far, far])
        self._ahead_s = min(max(there, EARLIEST_S), LATEST_S)


class OthersFirst(BaseException):
    """Nothing has arrived yet, and there are others who could go on."""


class Arrivals:
    """Stands in for the queue of a dispatcher: whoever waits lets something else happen.

    Args:
        time: How long somebody waited.
        step: Lets one thing happen.
    """

    def __init__(self, time: Time, step: Callable[[], None]) -> None:
        self._time = time
        self._step = step
        self._waiting: deque[Any] = deque()

    def put(self, item: Any) -> None:
        """See `SimpleQueue`."""
        self._waiting.append(item)

    def empty(self) -> bool:
        """See `SimpleQueue`."""
        return not self._waiting

    def get_nowait(self) -> Any:
        """See `SimpleQueue`."""
        return self._waiting.popleft()

    def get(self, timeout: float | None = None) -> Any:
        """Return what arrived, after at most one thing that happened meanwhile.

        Raises:
            queue.Empty: Nothing did, for that long.
            OthersFirst: Nothing did, and the time is not over.
        """
        began = self._time.now
        if not self._waiting:
            self._step()
        if self._waiting:
            return self._waiting.popleft()
        if timeout is not None and self._time.now - began >= timeout:
            raise queue.Empty
        raise OthersFirst
