"""A whole runner in one thread: dispatchers, hosts and a store, whose every step a seed decides.

The code is the real one; only what is between its parts is not. A transport that loses answers,
declares hosts dead that live on, delivers what it delivered before once more, and lets hosts work
in any order; a store whose calls fail, before they did anything or after; jobs that never end;
clocks of hosts that jump by decades, and a time that leaps on. Whatever happens, what was
acknowledged is stored, nothing is stored twice, and each root kept its order.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unittest import mock

from pydantic import Field

from registry import Entity, Ref, Retention, Workspace
from registry.journal import journaled_tree
from registry.journal.compaction import compact
from runner.batch import Job, Outcome
from runner.checker import Witness, check_history
from runner.code import collect_code
from runner.directory import Directory
from runner.dispatcher import Dispatcher
from runner.fleet import Fleet
from runner.host_store import Store
from runner.routing import Routing
from runner.runner import _Addition, _Session
from runner.settings import DEFAULT
from runner.statistics import Meter
from runner.wire import Wire
from tests.model.simulated_time import Arrivals, OthersFirst, Time
from tests.model.simulated_transport import LIMIT_S, Faults, FaultyJournal, Transport

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
BATCHES = 3
JOBS = 12
"""Of each dispatcher."""
ROOTS = 4
FAILS = 999
"""A number that is not noted."""
KNOWN_NOTHING = "was under way, and whether it took effect is not known"

app = Workspace()


class Log(Entity):
    """Numbers in the order in which they came."""

    numbers: list[int] = Field(default_factory=list)


@app.register("note")
def note(log: Log, number: int) -> int:
    """Append a number, and return how many there are."""
    log.numbers.append(number)
    if number % 1_000 == FAILS:
        raise ValueError(number)
    return len(log.numbers)


@app.register("count")
def count(log: Log) -> int:
    """Return how many numbers there are."""
    return len(log.numbers)


def model(state: Any, name: str, arguments: Mapping[str, Any]) -> Any:
    """Do the same to what a log dumps to."""
    if name == "note":
        state["numbers"].append(arguments["number"])
    return state


class Simulation:
    """Three dispatchers, three hosts and a store.

    Args:
        seed: Decides everything.

    Attributes:
        outcomes: What each dispatcher said.
    """

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.faults = Faults.drawn(self.dice)
        self.time = Time(self.dice, self.faults.process_stops)
        self.journal = FaultyJournal(self.dice)
        self.transport = Transport(self.dice, self.faults, self.time, self.journal)
        self.outcomes: list[list[Outcome]] = [[] for _ in range(BATCHES)]
        self.jobs: list[list[Job]] = [[] for _ in range(BATCHES)]
        self.cancelled: set[int] = set()
        ticks = itertools.count()
        self.witnesses = [Witness(lambda: float(next(ticks))) for _ in range(BATCHES)]

    def run(self) -> None:
        """Run three batches at the same time, to their ends."""
        with (
            mock.patch("runner.host_store.open_journal", self._open_journal),
            mock.patch.object(journaled_tree, "CHECKPOINT_EVERY", self.dice.choice([0, 3, 4_096])),
        ):
            self._begin()
            dispatchers = [self._dispatcher(number) for number in range(BATCHES)]
            self.journal.faults.append(self.faults)
            running = dict(enumerate(dispatchers))
            while running:
                number = self.dice.choice([*running])
                if not self._advance(running[number], number):
                    del running[number]
            self.journal.faults.clear()

    def _open_journal(self, *_: Any, clock: Any, **__: Any) -> FaultyJournal:
        return self.journal.opened(clock)

    def _begin(self) -> None:
        directory = Directory()
        code = collect_code(app, by_value=False, store=Store("simulated", "none"))
        fleet = Fleet(self.transport, code, directory, SETTINGS)
        fleet.start(3)
        routing = Routing(directory, app.callables())
        self.session = _Session(directory, fleet, routing, Wire(by_value=False))
        self.roots = [self._add() for _ in range(ROOTS)]

    def _add(self) -> Ref:
        return _Addition(self.session, Log(), None, dedicated=False).finish()

    def _dispatcher(self, number: int) -> Dispatcher:
        """Return what runs a batch; two in three have a limit of time."""
        is_limited = self.dice.random() < 2 / 3
        settings = replace(SETTINGS, timeout_s=LIMIT_S if is_limited else None)
        jobs = self.witnesses[number].jobs(self._draw_jobs(number))
        dispatcher = self.session.dispatcher(jobs, Meter(), settings, clock=self.time)
        dispatcher._arrivals = Arrivals(  # type: ignore[assignment] # a thread's, else
            self.time, self.transport.step
        )
        if is_limited:
            self.transport.limited.add(dispatcher.number)
        return dispatcher

    def _advance(self, dispatcher: Dispatcher, number: int) -> bool:
        if number not in self.cancelled and self.dice.random() < 0.005:
            self.cancelled.add(number)
            dispatcher.cancel()
        try:
            goes_on = dispatcher.advance()
        except OthersFirst:
            goes_on = True
        self.outcomes[number] += self.witnesses[number].outcomes(dispatcher.ready)
        dispatcher.ready.clear()
        return goes_on

    def _draw_jobs(self, batch: int) -> Iterator[Job]:
        for index in range(JOBS):
            root = self.dice.choice(self.roots)
            own_id = f"{batch}:{index}" if self.dice.random() < 0.5 else None
            kind = self.dice.random()
            if kind < 0.1:
                job = Job("count", root, {}, own_id)
            else:
                number = index if kind < 0.9 else FAILS
                job = Job("note", root, {"number": batch * 1_000 + number}, own_id)
            self.jobs[batch].append(job)
            yield job

    # --- what must be true ---

    def check(self) -> None:
        """Hold what is stored against what was promised, and against what was heard."""
        sent = [each for witness in self.witnesses for each in witness.sent]
        found = check_history(self.journal, sent, model)
        assert found == [], "\n".join(map(str, found))
        reader = Workspace(store=self.journal)
        for registered in app.callables().values():
            reader.add_callable(registered)
        self._check_dates(reader)
        logs = {root: list(reader.snapshot(root).numbers) for root in self.roots}
        self._check_logs(logs)
        for number in range(BATCHES):
            self._check_outcomes(number, logs)
        self._check_compacted(logs)

    def _check_logs(self, logs: dict[Ref, list[Any]]) -> None:
        for log in logs.values():
            assert len(set(log)) == len(log), "something took effect twice"
            for number in range(BATCHES):
                mine = [each for each in log if each // 1_000 == number]
                assert mine == sorted(mine), "jobs for one root lost their order"

    def _check_outcomes(self, number: int, logs: dict[Ref, list[Any]]) -> None:
        outcomes, jobs = self.outcomes[number], self.jobs[number]
        assert sorted(each.index for each in outcomes) == [*range(len(jobs))]
        assert len(jobs) == JOBS or number in self.cancelled
        for outcome in outcomes:
            job = jobs[outcome.index]
            log, told = logs[job.root], job.arguments.get("number")  # type: ignore[index]
            if outcome.ok:
                assert outcome.version == outcome.value + 1
                assert job.callable == "count" or log[outcome.value - 1] == told
            elif outcome.status != "lost" and KNOWN_NOTHING not in str(outcome.error):
                assert told not in log, f"it took effect, and was told to be {outcome.status}"

    def _check_dates(self, reader: Workspace) -> None:
        """What is stored is dated as the clocks told, also where they went back."""
        told = {datetime.fromtimestamp(seconds, UTC) for seconds in self.transport.told}
        began = [each.started_at for each in reader.executions() if each.execution_id]
        assert len(set(began)) == len(began)
        assert told.issuperset(began)
        ended = [each.committed_at for root in self.roots for each in reader.history(root)]
        assert len(set(ended)) == len(ended)
        assert told.issuperset(ended)
        for root in self.roots:
            dates = [each.committed_at for each in reader.history(root)]
            for moment in dates:
                before = [at for at, date in enumerate(dates, 1) if date <= moment]
                assert reader.at(root, moment).numbers == reader.at(root, before[-1]).numbers

    def _check_compacted(self, logs: dict[Ref, list[Any]]) -> None:
        """What is let go is older, by version, than what stays, whatever its date."""
        compact(self.journal, Retention(versions=2, records=5))
        assert list(self.journal.check()) == []
        reader = Workspace(store=self.journal)
        reader.register("note")(note)
        for root, log in logs.items():
            assert list(reader.snapshot(root).numbers) == log

    def figures(self) -> dict[str, int]:
        """Return how often some things went wrong."""
        events = self.transport.events
        return {
            "hosts declared dead": sum("is declared dead" in each for each in events),
            "jobs that stay": sum("stays at job" in each for each in events),
            "cancelled batches": len(self.cancelled),
        }

    def statuses(self) -> Counter[str]:
        """Return how many outcomes of each kind there were."""
        return Counter(str(each.status) for batch in self.outcomes for each in batch)
