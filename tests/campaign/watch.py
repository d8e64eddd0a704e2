"""Watches a driver: which host replaced which, and when each was first heard of."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from time import monotonic
from typing import Any
from unittest import mock

from runner.dispatcher import Dispatcher
from runner.fleet import Fleet
from runner.flight import Flight
from runner.wire import Reply


class Watch:
    """What was seen, by host.

    Attributes:
        successors: Which host replaced a host.
        first_heard: When the first outcomes of a host came.
        was_ready: Whether a spare was ready when a host was to be replaced.
    """

    def __init__(self) -> None:
        self.successors: dict[int, int] = {}
        self.first_heard: dict[int, float] = {}
        self.was_ready: dict[int, bool] = {}

    def had_spare(self, host: int) -> bool:
        """Whether hosts were ready, for all that replaced a host one after the other."""
        ready = True
        while host in self.successors:
            ready = ready and self.was_ready[host]
            host = self.successors[host]
            if host in self.first_heard:
                break
        return ready

    def takeover_s(self, host: int, killed_at: float) -> float | None:
        """Return the time from a death to the next outcome from whoever has the roots then."""
        while (host_after := self.successors.get(host)) is not None:
            host = host_after
            if host in self.first_heard:
                return self.first_heard[host] - killed_at
        return None


@contextlib.contextmanager
def watching() -> Iterator[Watch]:
    """Watch the drivers of this process."""
    watch = Watch()
    replace, settle = Fleet.replace, Dispatcher._settle

    def replace_watched(fleet: Fleet, host: int) -> int:
        is_ready = any(each.done() for each in list(fleet._spares.values())[:1])
        successor = replace(fleet, host)
        if watch.successors.setdefault(host, successor) == successor:
            watch.was_ready.setdefault(host, is_ready)
        return successor

    def settle_watched(dispatcher: Any, flight: Flight, reply: Reply, size: int) -> None:
        watch.first_heard.setdefault(flight.lane.host, monotonic())
        settle(dispatcher, flight, reply, size)

    with (
        mock.patch.object(Fleet, "replace", replace_watched),
        mock.patch.object(Dispatcher, "_settle", settle_watched),
    ):
        yield watch


def quantile(values: list[float], share: float) -> float:
    """Return the smallest value that a share of all do not exceed; nan of none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
