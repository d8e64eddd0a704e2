"""The hosts of one runner: started ahead, given the code, chosen by placement, buried when dead.

With a store a dead host is replaced: its roots go to a spare, which was started before it was
needed, has the code already, and loads each root when it is first asked for.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from runner import wire
from runner.code import Code, dump_code
from runner.directory import NOWHERE, Directory, Entry
from runner.errors import HostLostError, HostTimeoutError
from runner.placement import HostLoad, choose_host, default_max_hosts
from runner.settings import Settings
from runner.transport import Deliver, Transport
from runner.wire import Running

_REPLACEMENTS = 10
"""Hosts that may die one after the other while they take over."""


class Fleet:
    """Starts hosts and talks to them. Safe from several threads.

    Args:
        transport: What reaches hosts.
        code: The callables that each gets before anything else.
        directory: Learns of roots that die with their host.
        settings: The bounds.

    Attributes:
        max_hosts: Most hosts before roots share them.
        is_durable: Whether roots outlive their host.
        has_processes: Whether each host is a process of its own.
    """

    def __init__(
        self, transport: Transport, code: Code, directory: Directory, settings: Settings
    ) -> None:
        self.is_durable = code.store is not None
        self.has_processes = transport.has_processes
        self.max_hosts = settings.max_hosts or default_max_hosts(transport.cpu_count)
        self._transport = transport
        self._code = dump_code(code)
        self._directory = directory
        self._timeout_s = settings.reply_timeout_s
        self._lock = threading.Lock()
        self._spare_hosts = settings.spare_hosts
        self._loaded: dict[int, Future[bytes]] = {}
        self._promised: Counter[int] = Counter()
        self._reserved: set[int] = set()
        self._spares: dict[int, Future[bytes]] = {}
        self._successors: dict[int, int] = {}
        self._replacing = threading.Lock()

    def __len__(self) -> int:
        return len(self._loaded)

    @property
    def missing_for_limits(self) -> str | None:
        """Return what a limit of time takes that is not here, in words; None if nothing."""
        if not self.has_processes:
            return "hosts of their own"
        return None if self.is_durable else "a store"

    def start(self, count: int) -> None:
        """Begin to start hosts until there are *count*; does not wait for them."""
        with self._lock:
            while len(self._loaded) < min(count, self.max_hosts):
                self._start_host()
            self._keep_spares()

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
            HostLostError: One after the other died before it had it.
        """
        for _ in range(_REPLACEMENTS):
            host = self._host_of_turn(turn)
            try:
                self.wait_until_loaded(host)
            except HostLostError as error:
                lost = error
            else:
                return host
        raise lost

    def _host_of_turn(self, turn: int) -> int:
        with self._lock:
            if not self._loaded:
                self._start_host()
            hosts = [host for host in self._loaded if host not in self._reserved] or [*self._loaded]
        return hosts[turn % len(hosts)]

    def wait_until_loaded(self, host: int) -> None:
        """Wait until a host is up and has the code.

        Raises:
            CodeError: It cannot load the code.
            HostLostError: It died.
        """
        loaded = self._loaded.get(host) or self._spares.get(host)
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

    def resend_chunk(self, host: int, payload: bytes, deliver: Deliver) -> None:
        """Send jobs to a host that another one was sent before: what was stored is not run."""
        self._transport.send(host, "resume", payload, deliver)

    def recall_chunk(self, host: int, payload: bytes, deliver: Deliver) -> None:
        """Ask a host what is stored of jobs that another one was sent; nothing is run."""
        self._transport.send(host, "recall", payload, deliver)

    def call_chunk(self, host: int, payload: bytes, deliver: Deliver) -> None:
        """Send jobs to a host and wait for the answer."""
        deliver(self._transport.call(host, "execute", payload))

    def cancel(self, host: int, batch: int) -> None:
        """Let a host skip what it has not begun of a batch."""
        self._transport.cancel(host, batch)

    def running(self, host: int) -> Running | None:
        """Return which job a host is at; None if it does not answer."""
        return self._transport.running(host)

    def end(self, host: int) -> None:
        """End a host at once; whoever waits for it learns that it is dead."""
        self._transport.stop_host(host)

    def bury(self, host: int) -> list[Entry]:
        """Note that a host is dead and return the roots that died with it; none the second time.

        With a store none die: see `replace`.
        """
        with self._lock:
            if self._loaded.pop(host, None) is None and self._spares.pop(host, None) is None:
                return []
            self._promised.pop(host, None)
            if not self.is_durable:  # else they go with its roots, see `replace`
                self._reserved.discard(host)
            lost = [] if self.is_durable else self._directory.lose(host)
        self._transport.stop_host(host)
        return lost

    def replace(self, host: int) -> int:
        """Give the roots of a dead host to another one, and return that; the same each time.

        Nothing has changed for anybody until the other host has the roots: whoever asks for one
        meanwhile meets the dead host, and waits here.

        Raises:
            HostLostError: Those that were to replace it died as well.
            CodeError: It cannot load the code.
            JournalError: The store cannot be opened there; the next call tries again.

        Cost: the spare opens the store, and becomes the writer of the roots in one transaction.
        """
        with self._replacing:
            if host in self._successors:
                return self.latest(host)
            self.bury(host)
            entries = self._directory.of_host(host)
            successor = self._open_on_spare(entries)
            with self._lock:
                # Before anybody can hear of it from the directory: see `Dispatcher._lane`.
                self._successors[host] = successor
                self._loaded[successor] = self._spares.pop(successor)
                if host in self._reserved:
                    self._reserved.remove(host)
                    self._reserved.add(successor)
            self._directory.move(entries, successor)
            with self._lock:  # only now: whoever waits for the roots should have the machine
                self._keep_spares()
            return successor

    def _open_on_spare(self, entries: list[Entry]) -> int:
        """Return a host, no part of the fleet yet, that became the writer of stored roots."""
        for _ in range(_REPLACEMENTS):
            host = self._next_spare()
            try:
                self.open(host, entries)
            except HostLostError as error:
                lost = error
            else:
                return host
        raise lost

    def latest(self, host: int) -> int:
        """Return the host that has replaced a host, at once or by way of others; else itself."""
        while host in self._successors:
            host = self._successors[host]
        return host

    def predecessors(self, host: int) -> list[int]:
        """Return the hosts that a host replaced, at once or by way of others."""
        if not self._successors:
            return []
        with self._lock:
            return [each for each in self._successors if self.latest(each) == host]

    def open(self, host: int, entries: Iterable[Entry], *, are_all: bool = False) -> None:
        """Let a host become the writer of stored roots, and of all that their owners have.

        Args:
            host: The host.
            entries: The roots.
            are_all: Whether nobody can have given their owners others since they were read.

        Raises:
            HostLostError, CodeError, JournalError: As `replace`.
        """
        self.wait_until_loaded(host)
        self.call(host, "open", ([int(entry.root.root) for entry in entries], are_all))

    def house(self, entry: Entry) -> Entry:
        """Return the entry of a root that is stored, once a host has it, with all of its owner.

        Raises:
            HostLostError: Each host that it was offered to died.
            CodeError, JournalError: As `replace`.
        """
        for _ in range(_REPLACEMENTS):
            try:
                with self._replacing:
                    return self._house(self._directory.entries[entry.root.root])
            except HostLostError as error:
                lost = error
        raise lost

    def _house(self, entry: Entry) -> Entry:
        if entry.host == NOWHERE:
            together = self._directory.of_owner(entry.owner)
            hosts = [self.latest(each.host) for each in together if each.host != NOWHERE]
            host = hosts[0] if hosts else self.place()
            try:
                # If none was here yet, none has borne others here.
                self.open(host, together, are_all=not hosts)
                self._directory.move([each for each in together if each.host == NOWHERE], host)
            finally:
                if not hosts:
                    self.settle(host)
        return self._directory.entries[entry.root.root]

    def _next_spare(self) -> int:
        """Return the spare that was started first; it stays one until it has the roots."""
        with self._lock:
            if not self._spares:
                self._start_spare()
            return next(iter(self._spares))

    def _keep_spares(self) -> None:
        """Have hosts ready that no root is on, if roots outlive their hosts."""
        if self.is_durable and self._transport.by_value:
            while len(self._spares) < self._spare_hosts:
                self._start_spare()

    def _start_spare(self) -> None:
        host = self._start_host()
        self._spares[host] = self._loaded.pop(host)

    def pid(self, host: int) -> int | None:
        """Return the process of a host; None if that is this one."""
        return self._transport.pid(host)

    def wait_for_spare(self) -> bool:
        """Wait until a spare has the code; False if there is none.

        Raises:
            CodeError: It cannot load the code.
        """
        with self._lock:
            spares = dict(self._spares)
        for host, loaded in spares.items():
            self._value(host, "load", loaded)
        return bool(spares)

    def close(self) -> None:
        """End every host."""
        with self._lock:
            self._loaded.clear()
            self._spares.clear()
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
