"""Hosts as Ray actors: the thin shell around `Host`, and the transport that reaches it.

Ray neither restarts an actor nor retries a call: its retries reorder calls. Ray's exceptions end
here; a host that cannot answer, for whatever reason, counts as dead.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import ray

from runner.cluster import Cluster
from runner.host import Host
from runner.transport import Deliver
from runner.wire import Running

CONTROL = "control"
"""Concurrency group of calls that must not wait behind chunks."""

RUNNING_TIMEOUT_S = 1.0
"""How long a host may take to say which job it is at; code in C may keep it waiting."""

YOUNG_OBJECTS = 20_000
"""Objects that a host makes between two looks of the garbage collector at the young ones.

Each execution leaves some tuples behind, which stay: Python's own 700 are full after a hundred
executions, and the looks take a tenth of a host's time. So they take a hundredth, and cyclic
garbage of a callable waits for a few megabytes more.
"""


class RayHost:
    """A `Host` in an actor. Requests are served one at a time, in order."""

    def __init__(self) -> None:
        self._host = Host()

    def serve(self, method: str, payload: bytes) -> bytes:
        """Serve a request."""
        answer = self._host.serve(method, payload)
        if method == "load":
            # What was imported stays for good: the garbage collector need not visit it again.
            gc.freeze()
            gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
        return answer

    @ray.method(concurrency_group=CONTROL)
    def cancel(self, batch: int) -> None:
        """Skip what has not begun of a batch."""
        self._host.cancel(batch)

    @ray.method(concurrency_group=CONTROL)
    def running(self) -> Running:
        """Return which job it is at."""
        return self._host.running

    @ray.method(concurrency_group=CONTROL)
    def pid(self) -> int:
        """Return the number of the process."""
        return os.getpid()


class RayTransport:
    """Reaches hosts that are actors of a cluster."""

    by_value = True
    has_processes = True

    def __init__(self, cluster: Cluster) -> None:
        self.name = cluster.name
        self.cpu_count = cluster.cpu_count
        self._cluster = cluster
        self._numbers = itertools.count()
        self._actors: dict[int, Any] = {}
        # No CPU is claimed: how many hosts there are is our own bound, and Ray would count a host
        # that waits as busy.
        self._actor_class: Any = ray.remote(
            num_cpus=0,
            max_restarts=0,
            max_task_retries=0,
            concurrency_groups={CONTROL: 1},
        )(RayHost)  # type: ignore[call-overload]  # actor options are missing from Ray's hints

    def start_host(self) -> int:
        """See `Transport`."""
        number = next(self._numbers)
        self._actors[number] = self._actor_class.remote()
        return number

    def send(self, host: int, method: str, payload: bytes, deliver: Deliver) -> None:
        """See `Transport`."""
        actor = self._actors.get(host)
        if actor is None:
            deliver(None)
            return
        actor.serve.remote(method, payload).future().add_done_callback(_answer(deliver))

    def call(self, host: int, method: str, payload: bytes) -> bytes | None:
        """See `Transport`."""
        actor = self._actors.get(host)
        if actor is None:
            return None
        try:
            answer: bytes = ray.get(actor.serve.remote(method, payload))
        except Exception:  # noqa: BLE001 - whatever Ray says, the host cannot answer
            return None
        return answer

    def cancel(self, host: int, batch: int) -> None:
        """See `Transport`."""
        if actor := self._actors.get(host):
            actor.cancel.remote(batch)

    def running(self, host: int) -> Running | None:
        """See `Transport`."""
        try:
            running: Running = ray.get(
                self._actors[host].running.remote(), timeout=RUNNING_TIMEOUT_S
            )
        except Exception:  # noqa: BLE001 - whatever Ray says, the host does not answer
            return None
        return running

    def pid(self, host: int) -> int:
        """See `Transport`."""
        pid: int = ray.get(self._actors[host].pid.remote(), timeout=60)
        return pid

    def stop_host(self, host: int) -> None:
        """See `Transport`."""
        actor = self._actors.pop(host, None)
        if actor is not None:
            with contextlib.suppress(Exception):  # Ray itself may be gone
                ray.kill(actor)

    def close(self) -> None:
        """See `Transport`."""
        for host in list(self._actors):
            self.stop_host(host)
        self._cluster.close()


def _answer(deliver: Deliver) -> Callable[[Future[bytes]], None]:
    def on_done(future: Future[bytes]) -> None:
        deliver(None if future.exception() is not None else future.result())

    return on_done
