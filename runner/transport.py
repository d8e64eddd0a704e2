"""How requests reach hosts: the port, and its backend for hosts in this very process.

A request is a method of `Host` and bytes, an answer is bytes, so both backends do the same work and
count the same bytes. `ray_host.py` has the other one.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Protocol

from runner.host import Host
from runner.wire import Running

Deliver = Callable[[bytes | None], None]
"""Takes the answer; None: the host is dead, and will not answer anything any more."""


class Transport(Protocol):
    """Starts hosts and carries bytes.

    Requests to one host are served in the order in which they were sent, one at a time. Each is
    answered exactly once, in any thread, also when the host is dead already.
    """

    @property
    def name(self) -> str:
        """Return what users know it as."""

    @property
    def cpu_count(self) -> int:
        """Return how many CPUs the hosts have between them."""

    @property
    def by_value(self) -> bool:
        """Return whether hosts are other processes, which cannot import `__main__`."""

    @property
    def has_processes(self) -> bool:
        """Return whether each host is a process of its own, which can be ended, or be limited."""

    def start_host(self) -> int:
        """Begin to start a host and return its number; requests may be sent to it at once."""

    def send(self, host: int, method: str, payload: bytes, deliver: Deliver) -> None:
        """Send a request."""

    def call(self, host: int, method: str, payload: bytes) -> bytes | None:
        """Send a request, and return the answer that `send` would deliver.

        The fastest way for one request alone: no other thread takes part.
        """

    def cancel(self, host: int, batch: int) -> None:
        """Tell a host to skip what it has not begun of a batch, past all requests in line."""

    def running(self, host: int) -> Running | None:
        """Return which job a host is at, past all requests in line; None if it does not answer."""

    def pid(self, host: int) -> int | None:
        """Return the process of a host, which must be alive; None if that is this one."""

    def stop_host(self, host: int) -> None:
        """End a host at once."""

    def close(self) -> None:
        """End every host, and what was started for them."""


class InProcessTransport:
    """Runs hosts in this process: a request is answered before `send` returns."""

    name = "this process"
    cpu_count = 1
    by_value = False
    has_processes = False

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._hosts: dict[int, tuple[Host, threading.Lock]] = {}

    def start_host(self) -> int:
        """See `Transport`."""
        number = next(self._numbers)
        host = Host(is_interruptible=True)
        self._hosts[number] = (host, threading.Lock())
        return number

    def send(self, host: int, method: str, payload: bytes, deliver: Deliver) -> None:
        """See `Transport`.

        Raises:
            KeyboardInterrupt: Ctrl-C came while the host was at work. The answer was delivered.
        """
        found = self._hosts.get(host)
        if found is None:
            deliver(None)
            return
        served, lock = found
        with lock:
            answer = served.serve(method, payload)
        deliver(answer)
        if served.take_interrupt():
            raise KeyboardInterrupt

    def call(self, host: int, method: str, payload: bytes) -> bytes | None:
        """See `Transport`; raises as `send` does."""
        answers: list[bytes | None] = []
        self.send(host, method, payload, answers.append)
        return answers[0]

    def cancel(self, host: int, batch: int) -> None:
        """See `Transport`."""
        if found := self._hosts.get(host):
            found[0].cancel(batch)

    def running(self, host: int) -> Running | None:
        """See `Transport`."""
        found = self._hosts.get(host)
        return None if found is None else found[0].running

    def pid(self, host: int) -> None:
        """See `Transport`."""

    def stop_host(self, host: int) -> None:
        """See `Transport`."""
        found = self._hosts.pop(host, None)
        if found is not None:
            found[0].close()

    def close(self) -> None:
        """See `Transport`."""
        for host in list(self._hosts):
            self.stop_host(host)
