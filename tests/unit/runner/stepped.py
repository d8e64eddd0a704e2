"""A transport for tests: hosts of this process whose chunks wait until the test lets them go on."""

from __future__ import annotations

import itertools
from collections import deque
from typing import NamedTuple

from runner.host import Host
from runner.transport import Deliver
from runner.wire import Running


class Waiting(NamedTuple):
    """A chunk that a host has not begun."""

    payload: bytes
    deliver: Deliver
    method: str = "execute"


class SteppedTransport:
    """Answers everything at once but chunks: these wait for `step`."""

    name = "a test"
    cpu_count = 2
    by_value = False
    has_processes = True

    def __init__(self) -> None:
        self.hosts: dict[int, Host] = {}
        self.waiting: dict[int, deque[Waiting]] = {}
        self.cancelled: list[tuple[int, int]] = []
        self.stopped: list[int] = []
        self.is_closed = False
        self.deadly: dict[str, int] = {}
        """Requests that end the host that gets them, and how many still do."""
        self.busy: dict[int, Running] = {}
        self._numbers = itertools.count()

    def start_host(self) -> int:
        """See `Transport`."""
        number = next(self._numbers)
        self.hosts[number] = Host()
        self.waiting[number] = deque()
        return number

    def send(self, host: int, method: str, payload: bytes, deliver: Deliver) -> None:
        """See `Transport`."""
        if host not in self.hosts:
            deliver(None)
        elif method in ("execute", "resume", "recall"):
            self.waiting[host].append(Waiting(payload, deliver, method))
        elif method in self.deadly:
            self.deadly[method] -= 1
            if not self.deadly[method]:
                del self.deadly[method]
            self.kill(host)
            deliver(None)
        else:
            deliver(self.hosts[host].serve(method, payload))

    def call(self, host: int, method: str, payload: bytes) -> bytes | None:
        """See `Transport`."""
        return None if host not in self.hosts else self.hosts[host].serve(method, payload)

    def cancel(self, host: int, batch: int) -> None:
        """See `Transport`."""
        self.cancelled.append((host, batch))
        if host in self.hosts:
            self.hosts[host].cancel(batch)

    def running(self, host: int) -> Running | None:
        """Return which job a host is said to be at."""
        return self.busy.get(host)

    def pid(self, host: int) -> None:
        """Hosts are in this process."""

    def stop_host(self, host: int) -> None:
        """See `Transport`."""
        self.stopped.append(host)
        self.hosts.pop(host, None)

    def close(self) -> None:
        """See `Transport`."""
        self.is_closed = True

    def under_way(self) -> int:
        """Return how many chunks wait."""
        return sum(map(len, self.waiting.values()))

    def step(self, host: int) -> None:
        """Let a host serve its oldest chunk."""
        payload, deliver, method = self.waiting[host].popleft()
        deliver(self.hosts[host].serve(method, payload))

    def step_all(self) -> None:
        """Let every host serve what waits."""
        for host, waiting in self.waiting.items():
            while waiting and host in self.hosts:
                self.step(host)

    def kill(self, host: int, *, after: int = 0) -> None:
        """Let a host die.

        Args:
            host: The host.
            after: Chunks that it serves before, without an answer.
        """
        for waiting in itertools.islice(self.waiting[host], after):
            self.hosts[host].serve(waiting.method, waiting.payload)
        del self.hosts[host]
        for waiting in self.waiting.pop(host):
            waiting.deliver(None)
