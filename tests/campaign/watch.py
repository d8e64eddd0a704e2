"""Watches a driver: which host replaced which, and when each was first heard of."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from time import monotonic
from typing import Any
from unittest import mock

from runner.dispatcher import Dispatcher, Flight
from runner.fleet import Fleet
from runner.wire import Reply


class Watch:
    """What was seen, by host.

    Attributes:
        successors: Which host replaced a host.
        first_heard: When the first outcomes of a host came.
        last_heard: When the newest did.
    """

    def __init__(self) -> None:
        self.successors: dict[int, int] = {}
        self.first_heard: dict[int, float] = {}
        self.last_heard: dict[int, float] = {}

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
        successor = replace(fleet, host)
        watch.successors.setdefault(host, successor)
        return successor

    def settle_watched(dispatcher: Any, flight: Flight, reply: Reply, size: int) -> None:
        now = monotonic()
        watch.first_heard.setdefault(flight.lane.host, now)
        watch.last_heard[flight.lane.host] = now
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
