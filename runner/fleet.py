"""The hosts of one runner: started ahead, given the code, chosen by placement, buried when dead."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from runner import wire
from runner.code import Code, dump_code
from runner.directory import Directory, Entry
from runner.errors import HostLostError, HostTimeoutError
from runner.placement import HostLoad, choose_host, default_max_hosts
from runner.settings import Settings
from runner.transport import Deliver, Transport


class Fleet:
    """Starts hosts and talks to them. Safe from several threads.

    Args:
        transport: What reaches hosts.
        code: The callables that each gets before anything else.
        directory: Learns of roots that die with their host.
        settings: The bounds.
    """

    def __init__(
        self, transport: Transport, code: Code, directory: Directory, settings: Settings
    ) -> None:
        self.max_hosts = settings.max_hosts or default_max_hosts(transport.cpu_count)
        self._transport = transport
        self._code = dump_code(code)
        self._directory = directory
        self._timeout_s = settings.reply_timeout_s
        self._lock = threading.Lock()
        self._loaded: dict[int, Future[bytes]] = {}
        self._promised: Counter[int] = Counter()
        self._reserved: set[int] = set()

    def __len__(self) -> int:
        return len(self._loaded)

    def start(self, count: int) -> None:
        """Begin to start hosts until there are *count*; does not wait for them."""
        with self._lock:
            while len(self._loaded) < min(count, self.max_hosts):
                self._start_host()

    def place(self, *, dedicated: bool = False) -> int:
        """Return the host for a new root, and count the root as its own until `settle`."""
        with self._lock:
            loads = [
                HostLoad(
                    host,
                    self._directory.root_count(host) + self._promised[host],
                    host in self._reserved,
                )
                for host in self._loaded
            ]
            host = choose_host(loads, self.max_hosts, dedicated=dedicated)
            if host is None:
                host = self._start_host()
            self._promised[host] += 1
            if dedicated:
                self._reserved.add(host)
            return host

    def settle(self, host: int) -> None:
        """Note that a root that was promised to a host has arrived there, or never will."""
        with self._lock:
            if host in self._loaded:
                self._promised[host] -= 1

    def ready_host(self, turn: int) -> int:
        """Return a host for work without a root, another one each turn, once it has the code.

        Raises:
            CodeError: It cannot load the code.
        """
        with self._lock:
            if not self._loaded:
                self._start_host()
            hosts = [host for host in self._loaded if host not in self._reserved] or [*self._loaded]
        host = hosts[turn % len(hosts)]
        self.wait_until_loaded(host)
        return host

    def wait_until_loaded(self, host: int) -> None:
        """Wait until a host is up and has the code.

        Raises:
            CodeError: It cannot load the code.
            HostLostError: It died.
        """
        loaded = self._loaded.get(host)
        if loaded is None:
            raise HostLostError(f"host {host}", "load")
        self._value(host, "load", loaded)

    def call(self, host: int, method: str, request: Any) -> Any:
        """Send a request and wait for its answer.

        Raises:
            HostLostError: The host died.
            HostTimeoutError: It did not answer in time.
            Exception: Whatever serving the request raised.
        """
        return self._value(host, method, self.ask(host, method, request))

    def ask(self, host: int, method: str, request: Any) -> Future[bytes]:
        """Send a request; `answer` reads what the future brings."""
        future: Future[bytes] = Future()
        self._transport.send(host, method, self._dumps(request), _settle(future, host, method))
        return future

    def answer(self, host: int, method: str, future: Future[bytes]) -> Any:
        """Wait for the answer to a request and return it; raises as `call` does."""
        return self._value(host, method, future)

    def send_chunk(self, host: int, payload: bytes, deliver: Deliver) -> None:
        """Send jobs to a host."""
        self._transport.send(host, "execute", payload, deliver)

    def call_chunk(self, host: int, payload: bytes, deliver: Deliver) -> None:
        """Send jobs to a host and wait for the answer."""
        deliver(self._transport.call(host, "execute", payload))

    def cancel(self, host: int, batch: int) -> None:
        """Let a host skip what it has not begun of a batch."""
        self._transport.cancel(host, batch)

    def bury(self, host: int) -> list[Entry]:
        """Note that a host is dead and return the roots that died with it; none the second time."""
        with self._lock:
            if self._loaded.pop(host, None) is None:
                return []
            self._promised.pop(host, None)
            self._reserved.discard(host)
            lost = self._directory.lose(host)
        self._transport.stop_host(host)
        return lost

    def close(self) -> None:
        """End every host."""
        with self._lock:
            self._loaded.clear()
        self._transport.close()

    def _start_host(self) -> int:
        host = self._transport.start_host()
        loaded: Future[bytes] = Future()
        self._loaded[host] = loaded
        self._transport.send(host, "load", self._dumps(self._code), _settle(loaded, host, "load"))
        return host

    def _dumps(self, request: Any) -> bytes:
        return wire.Wire(by_value=self._transport.by_value).dumps(request)

    def _value(self, host: int, method: str, future: Future[bytes]) -> Any:
        try:
            is_ok, value = wire.loads(future.result(self._timeout_s))
        except HostLostError:
            self.bury(host)
            raise
        except FutureTimeoutError as exc:
            raise HostTimeoutError(f"host {host}", method, self._timeout_s) from exc
        if not is_ok:
            raise value
        return value


def _settle(future: Future[bytes], host: int, method: str) -> Callable[[bytes | None], None]:
    def deliver(answer: bytes | None) -> None:
        if answer is None:
            future.set_exception(HostLostError(f"host {host}", method))
        else:
            future.set_result(answer)

    return deliver
