"""A whole runner in one thread: dispatchers, hosts and a store, whose every step a seed decides.

The code is the real one; only what is between its parts is not. A transport that loses answers,
declares hosts dead that live on, delivers what it delivered before once more, and lets hosts work
in any order; a store whose calls fail, before they did anything or after. Whatever happens, what
was acknowledged is stored, nothing is stored twice, and each root kept its order.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from registry import Ref
from registry.errors import JournalError
from registry.journal.memory import MemoryJournal
from registry.journal.port import Group
from runner.batch import Job, Outcome
from runner.code import collect_code
from runner.directory import Directory
from runner.dispatcher import Dispatcher
from runner.fleet import Fleet
from runner.host import Host
from runner.host_store import Store
from runner.routing import Routing
from runner.runner import _Addition, _Session
from runner.settings import DEFAULT
from runner.statistics import Meter
from runner.transport import Deliver
from runner.wire import IDLE, Running, Wire
from tests.contract import library
from tests.contract.library import Library

SETTINGS = replace(
    DEFAULT,
    max_hosts=3,
    chunk_jobs=6,
    first_chunk_jobs=3,
    poison_deaths=1_000,
    lone_poison_deaths=1_000,
    store_attempts=1_000,
)
"""Deaths say nothing about jobs here, and a store that fails is tried again."""
JOBS = 12
"""Of each dispatcher."""


class Faults(NamedTuple):
    """How likely each thing goes wrong where it may."""

    answer_lost: float
    host_dies: float
    delivered_twice: float
    store_fails: float

    @classmethod
    def drawn(cls, dice: random.Random) -> Faults:
        """Return faults of which some never happen, and others all the time."""
        return cls(*[dice.choice([0.0, 0.02, 0.1, 0.3]) for _ in cls._fields])


class FaultyJournal(MemoryJournal):
    """A store in memory that all hosts share, and whose calls fail now and then."""

    def __init__(self, dice: random.Random, faults: Faults) -> None:
        super().__init__()
        self._dice = dice
        self._faults = faults
        self.is_sound = False

    def append(self, group: Group) -> int:
        """Store a group, or fail, before or after it was stored."""
        fails = not self.is_sound and self._dice.random() < self._faults.store_fails
        if fails and self._dice.random() < 0.5:
            raise JournalError(self.name, "failed", "try again")
        row = super().append(group)
        if fails:
            raise JournalError(self.name, "did not answer", "load it again")
        return row

    def close(self) -> None:
        """Do nothing: others go on with it."""


class Waiting(NamedTuple):
    """A chunk on its way to a host."""

    method: str
    payload: bytes
    deliver: Deliver


class Transport:
    """Carries bytes between dispatchers and hosts, badly."""

    name = "a simulation"
    cpu_count = 3
    by_value = False
    has_processes = True

    def __init__(self, dice: random.Random, faults: Faults) -> None:
        self.events: list[str] = []
        self._dice = dice
        self._faults = faults
        self._numbers = itertools.count()
        self._hosts: dict[int, Host] = {}
        self._inboxes: dict[int, deque[Waiting]] = {}
        self._zombies: list[tuple[Host, deque[Waiting]]] = []
        self._answers: deque[tuple[int, Deliver, bytes]] = deque()
        self._served: list[tuple[int, Waiting]] = []

    # --- what the fleet asks ---

    def start_host(self) -> int:
        """See `Transport`."""
        number = next(self._numbers)
        self._hosts[number], self._inboxes[number] = Host(), deque()
        return number

    def send(self, host: int, method: str, payload: bytes, deliver: Deliver) -> None:
        """See `Transport`."""
        if host not in self._hosts:
            deliver(None)
        elif method in ("execute", "resume", "recall"):
            self._inboxes[host].append(Waiting(method, payload, deliver))
        elif method == "open" and self._dice.random() < self._faults.host_dies:
            self._declare_dead(host)
            deliver(None)
        else:
            deliver(self._hosts[host].serve(method, payload))

    def call(self, host: int, method: str, payload: bytes) -> bytes | None:
        """See `Transport`; nobody asks here."""
        raise AssertionError(f"{method} to {host}: {len(payload)} bytes")

    def cancel(self, host: int, batch: int) -> None:
        """See `Transport`."""

    def running(self, host: int) -> Running:
        """See `Transport`."""
        return IDLE if host in self._hosts else Running(0, 0)

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
        """Let one thing happen."""
        busy = [host for host, inbox in self._inboxes.items() if inbox]
        choices = ["serve"] * 4 * bool(busy) + ["answer"] * 4 * bool(self._answers)
        choices += ["zombie"] * bool(self._zombies) + ["again"] * bool(self._served)
        choice = self._dice.choice(choices)
        if choice == "serve":
            self._serve(self._dice.choice(busy))
        elif choice == "answer":
            self._answer()
        elif choice == "zombie":
            self._let_zombie_work()
        elif self._dice.random() < self._faults.delivered_twice:
            self._serve_again()

    def _serve(self, host: int) -> None:
        if self._dice.random() < self._faults.host_dies:
            self._declare_dead(host)
            return
        waiting = self._inboxes[host].popleft()
        self.events.append(f"host {host} serves {waiting.method}")
        answer = self._hosts[host].serve(waiting.method, waiting.payload)
        self._served.append((host, waiting))
        if self._dice.random() < self._faults.answer_lost:
            self._inboxes[host].appendleft(waiting)
            self._declare_dead(host, served=1)
        else:
            self._answers.append((host, waiting.deliver, answer))

    def _answer(self) -> None:
        """Deliver the answer of any host, each host's in order."""
        host = self._dice.choice([each for each, _, _ in self._answers])
        found = next(each for each in self._answers if each[0] == host)
        self._answers.remove(found)
        found[1](found[2])

    def _declare_dead(self, host: int, served: int = 0) -> None:
        """Let everybody believe that a host is dead; perhaps it is not."""
        process, inbox = self._hosts.pop(host), self._inboxes.pop(host)
        self.events.append(f"host {host} is declared dead")
        rest = deque(itertools.islice(inbox, served, None))
        if self._dice.random() < 0.6:
            self._zombies.append((process, rest))
        late = [each for each in self._answers if each[0] == host]
        self._answers = deque(each for each in self._answers if each[0] != host)
        for _, deliver, _ in late:
            deliver(None)
        for waiting in inbox:
            waiting.deliver(None)

    def _let_zombie_work(self) -> None:
        process, rest = self._dice.choice(self._zombies)
        if not rest:
            self._zombies.remove((process, rest))
            return
        waiting = rest.popleft()
        self.events.append(f"a dead host serves {waiting.method}")
        process.serve(waiting.method, waiting.payload)

    def _serve_again(self) -> None:
        """Deliver a chunk once more, to a host that had it and may have others by now."""
        host, waiting = self._dice.choice(self._served)
        if host in self._hosts and not self._inboxes[host]:
            self.events.append(f"host {host} serves {waiting.method} once more")
            self._hosts[host].serve(waiting.method, waiting.payload)


class Simulation:
    """Three dispatchers, three hosts and a store.

    Args:
        dice: Decides everything.
        faults: How likely what is.
        journal: The store; whoever opens one gets it.
    """

    def __init__(self, dice: random.Random, faults: Faults, journal: FaultyJournal) -> None:
        self.dice = dice
        self.journal = journal
        self.transport = Transport(dice, faults)
        self.directory = Directory()
        code = collect_code(library.app, by_value=False, store=Store("simulated", "none"))
        self.fleet = Fleet(self.transport, code, self.directory, SETTINGS)
        self.fleet.start(3)
        routing = Routing(self.directory, library.app.callables())
        self.session = _Session(self.directory, self.fleet, routing, Wire(by_value=False))
        self.journal.is_sound = True
        self.roots = [self._add() for _ in range(4)]
        self.journal.is_sound = False
        self.outcomes: list[list[Outcome]] = [[], [], []]

    def _add(self) -> Ref:
        return _Addition(self.session, Library(), None, dedicated=False).finish()

    def run(self) -> None:
        """Run three batches at the same time, to their ends."""
        dispatchers = [
            self.session.dispatcher(self._jobs(number), Meter(), SETTINGS) for number in range(3)
        ]
        running = dict(enumerate(dispatchers))
        for dispatcher in dispatchers:
            dispatcher._await_arrival = self.transport.step  # type: ignore[method-assign]
        while running:
            number = self.dice.choice([*running])
            if not self._advance(running[number], self.outcomes[number]):
                del running[number]

    def _advance(self, dispatcher: Dispatcher, outcomes: list[Outcome]) -> bool:
        goes_on = dispatcher.advance()
        outcomes += dispatcher.ready
        dispatcher.ready.clear()
        return goes_on

    def _jobs(self, number: int) -> Iterator[Job]:
        for index in range(JOBS):
            root = self.dice.choice(self.roots)
            own_id = f"{number}:{index}" if self.dice.random() < 0.5 else None
            yield Job("note", root, {"number": number * 1_000 + index}, own_id)

    # --- what must be true ---

    def check(self, logs: dict[Ref, list[Any]]) -> None:
        """Compare what was acknowledged with what each root has in the end."""
        for log in logs.values():
            assert len(set(log)) == len(log), "something took effect twice"
            for number in range(3):
                mine = [each for each in log if each // 1_000 == number]
                assert mine == sorted(mine), "jobs for one root lost their order"
        for number, outcomes in enumerate(self.outcomes):
            assert sorted(each.index for each in outcomes) == [*range(JOBS)]
            for outcome in outcomes:
                told = number * 1_000 + outcome.index
                log = logs[outcome.root]  # type: ignore[index]  # each has a root
                if outcome.ok:
                    assert log[outcome.value - 1] == told, "what was acknowledged is not stored"
                    assert outcome.version == outcome.value + 1
                else:
                    assert outcome.status in ("failed", "lost"), outcome
