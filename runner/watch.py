"""The watch of one batch: finds jobs that run longer than they may.

A host cannot stop a job that does not want to: it would have to be inside it. So the driver looks
now and then which job each busy host is at, past all requests in line; one that is at the same job
for too long is to be ended, and replaced. Its other jobs are run by its successor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import monotonic

from registry.clock import Clock
from runner.asked import NO_LIMIT_S, Asked
from runner.lane import Lane
from runner.wire import Running

LOOKS = 4
"""Looks at a host within the time that a job may take."""


class Watch:
    """Watches over the hosts of one batch.

    Args:
        asked: How long its jobs may run.
        batch: Number of the batch; what a host does for another one is not looked at.
        look: Returns the job that a host is at; None if it does not answer.
        next_jobs: Returns the indexes of those that a host is to answer next.
        clock: Tells seconds; only differences are used.
    """

    def __init__(
        self,
        asked: Asked,
        batch: int,
        look: Callable[[int], Running | None],
        next_jobs: Callable[[Lane], Iterable[int]],
        clock: Clock = monotonic,
    ) -> None:
        self._asked = asked
        self._batch = batch
        self._look = look
        self._next_jobs = next_jobs
        self._clock = clock
        self._next_s = clock() + self.pause_s
        self._seen: dict[int, tuple[Running | None, float]] = {}

    @property
    def pause_s(self) -> float:
        """How long between two looks: often enough for the shortest time that a job may run."""
        return self._asked.shortest_timeout_s() / LOOKS

    @property
    def wait_s(self) -> float | None:
        """How long until it wants to look again, 0 if now; None if nobody has a limit any more."""
        left_s = max(0.0, self._next_s - self._clock())
        return left_s if left_s < NO_LIMIT_S else None

    def hurry(self, limit_s: float) -> None:
        """Look soon enough for a job that may run so long."""
        self._next_s = min(self._next_s, self._clock() + limit_s / LOOKS)

    def overdue(self, lanes: Iterable[Lane]) -> Iterator[tuple[Lane, int | None]]:
        """Yield lanes whose host is at one job for too long, and that job; None if it is silent.

        Looks at most as often as `pause_s`. Cost: a request to each busy host.
        """
        now = self._clock()
        if now < self._next_s:
            return
        self._next_s = now + self.pause_s
        busy = [lane for lane in lanes if lane.under_way]
        self._seen = {lane.host: self._seen[lane.host] for lane in busy if lane.host in self._seen}
        for lane in busy:
            place = self._look(lane.host)
            if place is not None and place.batch != self._batch:
                self._seen.pop(lane.host, None)
                continue
            before, since = self._seen.setdefault(lane.host, (place, now))
            if before != place:
                self._seen[lane.host] = (place, now)
            elif now - since >= self._limit_s(lane, place):
                del self._seen[lane.host]
                yield lane, None if place is None else place.job

    def _limit_s(self, lane: Lane, place: Running | None) -> float:
        if place is not None:
            return self._asked.timeout_s(place.job)
        # It may be at any of them. Those that had more time are run again, one by one, so that
        # each has its own.
        next_jobs = self._next_jobs(lane)
        return min((self._asked.timeout_s(each) for each in next_jobs), default=NO_LIMIT_S)
