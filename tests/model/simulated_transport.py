"""Hosts, what carries bytes to them, and their store; all of it as bad as a seed says."""

from __future__ import annotations

import copy
import itertools
import random
from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple, TypeVar

from registry import ids
from registry.clock import Clock
from registry.errors import JournalError
from registry.journal.memory import MemoryJournal
from registry.journal.port import Checkpoint, Entry, Group
from runner.host import Host
from runner.transport import Deliver
from runner.wire import IDLE, Chunk, Running, Wire
from tests.model.simulated_time import Time, WallClock

LIMIT_S = 5.0
"""Longest that a job of a limited batch may run."""
IDLE_STEPS = 10_000
"""Steps without anything but time that passes, after which nobody will ever go on."""
T = TypeVar("T")
_CHUNKS = ("execute", "resume", "recall")


class Faults(NamedTuple):
    """How likely each thing goes wrong where it may."""

    answer_lost: float
    host_dies: float
    delivered_twice: float
    store_fails: float
    clock_jumps: float
    process_stops: float
    job_stays: float

    @classmethod
    def drawn(cls, dice: random.Random) -> Faults:
        """Return faults of which some never happen, and others all the time."""
        return cls(*[dice.choice([0.0, 0.02, 0.1, 0.3]) for _ in cls._fields])


class FaultyJournal(MemoryJournal):
    """A store in memory that all hosts share, and whose calls fail now and then.

    Attributes:
        faults: What goes wrong; empty while it is sound. Shared by all who opened it.
    """

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self.faults: list[Faults] = []
        self._dice = dice

    def opened(self, clock: Clock) -> FaultyJournal:
        """Return it as a host has it that opens it."""
        found = copy.copy(self)
        found._clock = clock
        return found

    def append(self, group: Group) -> int:
        """Store a group, or fail, before or after it was stored."""
        return self._badly(lambda: MemoryJournal.append(self, group))

    def acquire(self, roots: Iterable[int], holder: str) -> dict[int, int]:
        """Become the writer of roots, or fail, before or after that."""
        return self._badly(lambda: MemoryJournal.acquire(self, roots, holder), rarely=True)

    def outcomes(self, root: int, execution_ids: Iterable[str]) -> dict[str, bytes]:
        """Return what is known of executions, or fail."""
        return self._badly(lambda: MemoryJournal.outcomes(self, root, execution_ids))

    def catalog(self, roots: Collection[int] | None = None) -> list[Entry]:
        """Return what there is, or fail."""
        return self._badly(lambda: MemoryJournal.catalog(self, roots), rarely=True)

    def put_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Store a checkpoint, or fail, before or after that."""
        return self._badly(lambda: MemoryJournal.put_checkpoint(self, checkpoint))

    def _badly(self, work: Callable[[], T], *, rarely: bool = False) -> T:
        """Do something, or fail; rarely where that is not tried again."""
        share = 0.2 if rarely else 1.0
        fails = any(self._dice.random() < faults.store_fails * share for faults in self.faults)
        if fails and self._dice.random() < 0.5:
            raise JournalError(self.name, "failed", "try again")
        answer = work()
        if fails:
            raise JournalError(self.name, "did not answer", "load it again")
        return answer

    def close(self) -> None:
        """Do nothing: others go on with it."""


class Waiting(NamedTuple):
    """A chunk on its way to a host."""

    method: str
    payload: bytes
    deliver: Deliver


class SimulatedHost:
    """A host, its clock, and what it has still to serve.

    Attributes:
        inbox: The chunks, in order.
        stays: Which job of the first one it is at.
        until: Until when; for ever, as a rule.
    """

    def __init__(self, number: int, clock: WallClock, time: Time) -> None:
        self.number = number
        self.inbox: deque[Waiting] = deque()
        self.stays: Running | None = None
        self.until = 0.0
        self._host = Host(clock=clock, timer=time)
        self.serve = self._host.serve
        self.cancel = self._host.cancel


class Transport:
    """Carries bytes between dispatchers and hosts, badly.

    Attributes:
        events: What happened, for whoever looks for the cause of something.
        limited: Numbers of the batches whose jobs may take only so long: some take for ever.
        told: What the clocks of hosts told.
    """

    name = "a simulation"
    cpu_count = 3
    by_value = False
    has_processes = True

    def __init__(
        self, dice: random.Random, faults: Faults, time: Time, journal: FaultyJournal
    ) -> None:
        self.events: list[str] = []
        self.limited: set[int] = set()
        self.told: set[float] = set()
        self._dice = dice
        self._faults = faults
        self._time = time
        self._journal = journal
        self._wire = Wire(by_value=False)
        self._numbers = itertools.count()
        self._hosts: dict[int, SimulatedHost] = {}
        self._zombies: list[SimulatedHost] = []
        self._answers: deque[tuple[int, Deliver, bytes]] = deque()
        self._served: list[tuple[int, Waiting]] = []
        self._idle_steps = 0

    # --- what the fleet asks ---

    def start_host(self) -> int:
        """See `Transport`."""
        number = next(self._numbers)
        clock = WallClock(self._time, self._dice, self._faults.clock_jumps, self.told)
        self._hosts[number] = SimulatedHost(number, clock, self._time)
        return number

    def send(self, host: int, method: str, payload: bytes, deliver: Deliver) -> None:
        """See `Transport`."""
        if host not in self._hosts:
            deliver(None)
        elif method in _CHUNKS:
            self._hosts[host].inbox.append(Waiting(method, payload, deliver))
        elif method == "open" and self._happens(self._faults.host_dies):
            self._declare_dead(host)
            deliver(None)
        else:
            deliver(self._hosts[host].serve(method, payload))

    def call(self, host: int, method: str, payload: bytes) -> bytes | None:
        """See `Transport`; nobody asks here."""
        raise AssertionError(f"{method} to {host}: {len(payload)} bytes")

    def cancel(self, host: int, batch: int) -> None:
        """See `Transport`."""
        if host in self._hosts and not self._happens(self._faults.answer_lost):
            self._hosts[host].cancel(batch)

    def running(self, host: int) -> Running | None:
        """See `Transport`; one that is slow to begin seems to be at its first job."""
        found = self._hosts.get(host)
        if found is None or self._happens(self._faults.answer_lost):
            return None
        if found.stays is not None or not found.inbox:
            return found.stays or IDLE
        chunk = self._wire.loads_chunk(found.inbox[0].payload)
        return Running(chunk.batch, chunk.indexes[0])

    def pid(self, host: int) -> None:
        """See `Transport`."""

    def stop_host(self, host: int) -> None:
        """See `Transport`."""
        if host in self._hosts:
            self._declare_dead(host)

    def close(self) -> None:
        """See `Transport`."""

    # --- what happens ---

    def step(self) -> None:
        """Let one thing happen, and time pass."""
        busy = [each for each in self._hosts.values() if each.inbox and not self._is_at_job(each)]
        choices = ["serve"] * 4 * bool(busy) + ["answer"] * 4 * bool(self._answers)
        self._idle_steps = 0 if choices else self._idle_steps + 1
        assert self._idle_steps < IDLE_STEPS, "nobody will ever go on"
        self._time.go_on(self._dice.choice([0.0, 1e-4, 0.01]) if choices else LIMIT_S / 10)
        choices += ["zombie"] * bool(self._zombies) + ["again"] * bool(self._served) + ["nothing"]
        choice = self._dice.choice(choices)
        if choice == "serve":
            self._serve(self._dice.choice(busy))
        elif choice == "answer":
            self._answer()
        elif choice == "zombie":
            self._let_zombie_work()
        elif choice == "again" and self._happens(self._faults.delivered_twice):
            self._serve_again()

    def _happens(self, likelihood: float) -> bool:
        return self._dice.random() < likelihood

    def _serve(self, host: SimulatedHost) -> None:
        if self._happens(self._faults.host_dies):
            self._declare_dead(host.number)
            return
        waiting = host.inbox[0]
        if host.stays is None and self._stays(host, waiting):
            return
        host.stays = None
        self.events.append(f"host {host.number} serves {waiting.method}")
        answer = host.serve(waiting.method, waiting.payload)
        self._served.append((host.number, waiting))
        if self._happens(self._faults.answer_lost):
            self._declare_dead(host.number, served=1)
        else:
            host.inbox.popleft()
            self._answers.append((host.number, waiting.deliver, answer))

    def _stays(self, host: SimulatedHost, waiting: Waiting) -> bool:
        """Decide whether a host comes to a job that takes long; what it did before is not stored.

        The job is one that would be run, and what is at hand when the host is ended is lost with
        it: so nothing needs to be run to be where that host would be.
        """
        chunk = self._wire.loads_chunk(waiting.payload)
        if (
            waiting.method == "recall"
            or chunk.batch not in self.limited
            or not self._happens(self._faults.job_stays)
        ):
            return False
        new = [
            index for index, is_new in zip(chunk.indexes, self._new(chunk), strict=True) if is_new
        ]
        if new:
            host.stays = Running(chunk.batch, self._dice.choice(new))
            longest = 10 ** self._dice.uniform(-2, 1)
            host.until = self._time.now + self._dice.choice([longest, float("inf")])
            self.events.append(f"host {host.number} stays at job {host.stays.job}")
        return bool(new)

    def _new(self, chunk: Chunk) -> list[bool]:
        """Tell of each job whether the store does not know it."""
        found = []
        for _, root, index, own_id in chunk.heads():
            text = ids.execution_text(own_id or chunk.batch + index)
            key = int(root.root) if root else 0
            found.append(not MemoryJournal.outcomes(self._journal, key, [text]))
        return found

    def _is_at_job(self, host: SimulatedHost) -> bool:
        return host.stays is not None and host.until > self._time.now

    def _answer(self) -> None:
        """Deliver the answer of any host, each host's in order."""
        host = self._dice.choice([each for each, _, _ in self._answers])
        found = next(each for each in self._answers if each[0] == host)
        self._answers.remove(found)
        found[1](found[2])

    def _declare_dead(self, number: int, served: int = 0) -> None:
        """Let everybody believe that a host is dead; perhaps it is not."""
        host = self._hosts.pop(number)
        self.events.append(f"host {number} is declared dead")
        lost = list(host.inbox)
        host.inbox = deque(lost[served:])
        if self._dice.random() < 0.6:
            self._zombies.append(host)
        late = [each for each in self._answers if each[0] == number]
        self._answers = deque(each for each in self._answers if each[0] != number)
        for _, deliver, _ in late:
            deliver(None)
        for waiting in lost:
            waiting.deliver(None)

    def _let_zombie_work(self) -> None:
        host = self._dice.choice(self._zombies)
        if not host.inbox:
            self._zombies.remove(host)
        elif not self._is_at_job(host):
            host.stays = None
            waiting = host.inbox.popleft()
            self.events.append(f"dead host {host.number} serves {waiting.method}")
            host.serve(waiting.method, waiting.payload)

    def _serve_again(self) -> None:
        """Deliver a chunk once more, to a host that had it and may have others by now."""
        number, waiting = self._dice.choice(self._served)
        if number in self._hosts and not self._hosts[number].inbox:
            self.events.append(f"host {number} serves {waiting.method} once more")
            self._hosts[number].serve(waiting.method, waiting.payload)
