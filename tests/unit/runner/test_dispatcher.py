"""How a batch is run: what is sent when, how much at once, and what happens when it ends badly."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable
from dataclasses import replace

import pytest

from registry import Ref
from runner import wire
from runner.batch import Counts, Job
from runner.code import collect_code
from runner.directory import Directory, Entry
from runner.dispatcher import Dispatcher
from runner.fleet import Fleet
from runner.lane import next_chunk_jobs
from runner.routing import Routing
from runner.settings import DEFAULT, Settings
from runner.statistics import Meter
from runner.wire import Wire
from tests.contract import library
from tests.contract.library import Library
from tests.unit.runner.stepped import SteppedTransport

HOST_COUNT = 2
SETTINGS = replace(DEFAULT, max_hosts=HOST_COUNT, chunk_jobs=10, first_chunk_jobs=10)


class Bench:
    """A dispatcher with everything around it, on two hosts that have a root each."""

    def __init__(self) -> None:
        self.transport = SteppedTransport()
        self.directory = Directory()
        code = collect_code(library.app, by_value=False)
        self.fleet = Fleet(self.transport, code, self.directory, SETTINGS)
        self.wire = Wire(by_value=False)
        self.meter = Meter()
        self.roots = [self._add() for _ in range(HOST_COUNT)]

    def _add(self) -> Ref:
        host = self.fleet.place()
        root: Ref = self.fleet.call(host, "add", (self.wire.dumps(Library()), None))
        self.directory.enter(Entry(root, host, root.root))
        self.fleet.settle(host)
        return root

    def dispatcher(self, jobs: Iterable[Job], settings: Settings = SETTINGS) -> Dispatcher:
        routing = Routing(self.directory, library.app.callables())
        return Dispatcher(
            jobs, self.fleet, self.directory, routing, self.meter, self.wire, settings
        )

    def notes(self, count: int) -> list[Job]:
        return [
            Job("note", self.roots[number % HOST_COUNT], {"number": number})
            for number in range(count)
        ]

    def drive(self, dispatcher: Dispatcher, limit: int = 10_000) -> list[int]:
        """Run a batch to its end; hosts work whenever it would wait. Indexes as they come."""
        indexes: list[int] = []
        dispatcher._await_arrival = self.transport.step_all  # type: ignore[method-assign]
        while dispatcher.advance() and len(indexes) < limit:
            while dispatcher.ready:
                indexes.append(dispatcher.ready.popleft().index)
        return indexes


@pytest.fixture
def bench() -> Bench:
    """See `Bench`."""
    return Bench()


def sizes(bench: Bench, host: int) -> list[int]:
    chunks = bench.transport.waiting[host]
    return [len(wire.loads(chunk.payload)[1]) for chunk in chunks]


def until_it_waits(bench: Bench, dispatcher: Dispatcher) -> None:
    """Run a dispatcher until it would wait for a host."""

    class WouldWaitError(Exception):
        pass

    def would_wait() -> None:
        raise WouldWaitError

    dispatcher._await_arrival = would_wait  # type: ignore[method-assign]
    with pytest.raises(WouldWaitError):
        dispatcher.advance()


def test_every_job_is_run_once(bench: Bench):
    dispatcher = bench.dispatcher(bench.notes(1_000))

    assert sorted(bench.drive(dispatcher)) == list(range(1_000))
    assert dispatcher.counts() == Counts(ok=1_000)
    assert bench.meter.read(hosts=0, roots=0).executions == 1_000


def test_the_first_job_does_not_wait_for_company(bench: Bench):
    dispatcher = bench.dispatcher(iter(bench.notes(1_000)))

    until_it_waits(bench, dispatcher)

    assert sizes(bench, 0)[0] == 1


def test_a_host_gets_one_chunk_until_it_has_answered_and_then_a_window(bench: Bench):
    dispatcher = bench.dispatcher(bench.notes(1_000))
    until_it_waits(bench, dispatcher)
    assert bench.transport.under_way() == HOST_COUNT

    bench.transport.step_all()
    dispatcher.advance()
    dispatcher.ready.clear()
    until_it_waits(bench, dispatcher)
    assert [len(waiting) for waiting in bench.transport.waiting.values()] == [
        SETTINGS.window_chunks
    ] * HOST_COUNT


def test_no_chunk_is_larger_than_allowed(bench: Bench):
    dispatcher = bench.dispatcher(bench.notes(500))
    seen: list[int] = []
    serve = bench.transport.step

    def step(host: int) -> None:
        seen.append(sizes(bench, host)[0])
        serve(host)

    bench.transport.step = step  # type: ignore[method-assign]
    bench.drive(dispatcher)

    assert max(seen) == SETTINGS.chunk_jobs
    assert sum(seen) == 500


def test_no_more_jobs_are_held_than_allowed(bench: Bench):
    taken = itertools.count()
    source = (Job("note", bench.roots[next(taken) % 2], {"number": 0}) for _ in itertools.count())
    settings = replace(SETTINGS, held_jobs=100, pull_jobs=7)
    dispatcher = bench.dispatcher(source, settings)

    bench.drive(dispatcher, limit=1_000)

    assert next(taken) <= 1_000 + 2 * 100


def test_outcomes_that_wait_for_their_turn_count_as_held(bench: Bench):
    taken = itertools.count()
    source = (Job("note", bench.roots[next(taken) % 2], {"number": 0}) for _ in itertools.count())
    dispatcher = bench.dispatcher(source, replace(SETTINGS, held_jobs=100))
    dispatcher._await_arrival = bench.transport.step_all  # type: ignore[method-assign]

    for _ in range(3):
        dispatcher.ready.clear()
        dispatcher.advance(waiting=100)

    assert next(taken) <= 1


def test_a_bad_job_is_an_outcome_at_once(bench: Bench):
    dispatcher = bench.dispatcher([Job("nothing", None)])

    assert dispatcher.advance()
    (outcome,) = dispatcher.ready
    assert (outcome.index, outcome.status) == (0, "failed")


def test_a_last_job_that_cannot_be_sent_is_an_outcome_too(bench: Bench):
    unsendable = Job("note", bench.roots[0], {"number": threading.Lock()})
    dispatcher = bench.dispatcher([*bench.notes(10), unsendable])

    assert sorted(bench.drive(dispatcher)) == list(range(11))
    assert dispatcher.counts() == Counts(ok=10, failed=1)


def test_what_a_dead_host_was_given_is_lost_and_the_batch_ends(bench: Bench):
    dispatcher = bench.dispatcher(bench.notes(200))
    until_it_waits(bench, dispatcher)

    bench.transport.kill(0)
    indexes = bench.drive(dispatcher)

    assert sorted(indexes) == list(range(200))
    assert dispatcher.counts() == Counts(ok=100, lost=100)
    assert bench.transport.stopped == [0]


def test_work_without_a_root_that_a_dead_host_did_not_get_goes_elsewhere(bench: Bench):
    jobs = [Job("add_up", None, {"a": 1, "b": number}) for number in range(200)]
    dispatcher = bench.dispatcher(jobs)
    until_it_waits(bench, dispatcher)
    given = sum(sizes(bench, 0))

    bench.transport.kill(0)
    bench.drive(dispatcher)

    assert dispatcher.counts() == Counts(ok=200 - given, lost=given)


def test_a_cancelled_batch_skips_what_was_not_begun(bench: Bench):
    dispatcher = bench.dispatcher(bench.notes(1_000))
    until_it_waits(bench, dispatcher)

    dispatcher.cancel()
    bench.drive(dispatcher)

    assert dispatcher.counts() == Counts(cancelled=1_000)
    assert {host for host, _ in bench.transport.cancelled} == {0, 1}


def test_single_jobs_are_cancelled_by_id_or_index_before_they_are_sent(bench: Bench):
    jobs = [job._replace(id=f"job {at}") for at, job in enumerate(bench.notes(200))]
    jobs[150] = jobs[150]._replace(id=None)
    dispatcher = bench.dispatcher(jobs)
    until_it_waits(bench, dispatcher)

    dispatcher.cancel("job 100", "job 0", 150, 199, "job 1000")
    indexes: list[int] = []
    statuses: dict[int, str] = {}
    dispatcher._await_arrival = bench.transport.step_all  # type: ignore[method-assign]
    while dispatcher.advance():
        while dispatcher.ready:
            outcome = dispatcher.ready.popleft()
            indexes.append(outcome.index)
            statuses[outcome.index] = outcome.status

    assert sorted(indexes) == list(range(200))
    assert {at for at, status in statuses.items() if status == "cancelled"} == {100, 150, 199}
    assert dispatcher.counts() == Counts(ok=197, cancelled=3)  # job 0 was on its way


def test_a_cancelled_batch_gives_up_on_a_host_that_does_not_answer(bench: Bench):
    dispatcher = bench.dispatcher(bench.notes(10), replace(SETTINGS, cancel_grace_s=0.05))
    until_it_waits(bench, dispatcher)
    del dispatcher._await_arrival

    dispatcher.cancel()
    messages = {}
    while dispatcher.advance():
        outcome = dispatcher.ready.popleft()
        assert outcome.error is not None
        messages[outcome.index] = outcome.error.message

    assert dispatcher.counts() == Counts(cancelled=10)
    assert "whether it took effect is not known" in messages[0]
    assert "was not begun" in messages[8]


def test_a_batch_may_be_cancelled_while_it_waits(bench: Bench):
    dispatcher = bench.dispatcher(bench.notes(10), replace(SETTINGS, cancel_grace_s=0.05))
    timer = threading.Timer(0.05, dispatcher.cancel)
    timer.start()

    while dispatcher.advance():
        dispatcher.ready.popleft()

    timer.join()
    assert dispatcher.counts().done == 10


def test_a_slow_source_does_not_hold_back_what_it_gave(bench: Bench):
    given: list[int] = []

    def source() -> Iterable[Job]:
        for number in range(3):
            given.append(bench.transport.under_way())
            time.sleep(0.002)
            yield Job("note", bench.roots[number % 2], {"number": number})

    dispatcher = bench.dispatcher(source(), replace(SETTINGS, linger_s=0.001))

    bench.drive(dispatcher)

    assert given == [0, 1, 2]


@pytest.mark.parametrize(
    ("sent", "run_s", "expected"),
    [
        (8, 0.0, 512),  # too fast to measure: as fast as it may grow
        (8, 0.000_08, 512),
        (8, 0.008, 200),  # a millisecond each
        (8, 1.6, 1),  # slower than the target alone
        (512, 0.005, 2_000),  # never beyond the most
    ],
)
def test_chunks_grow_until_they_take_as_long_as_they_should(sent: int, run_s: float, expected: int):
    assert next_chunk_jobs(sent, run_s, DEFAULT) == expected


def test_time_comes_from_outside(bench: Bench) -> None:
    """How long a job waited is told by the clock that the dispatcher was given."""
    now = [100.0]
    routing = Routing(bench.directory, library.app.callables())
    parts = (bench.fleet, bench.directory, routing, bench.meter, bench.wire, SETTINGS)
    dispatcher = Dispatcher(bench.notes(1), *parts, clock=lambda: now[0])

    def an_hour_later() -> None:
        now[0] += 3_600.0
        bench.transport.step_all()

    dispatcher._await_arrival = an_hour_later  # type: ignore[method-assign]
    assert dispatcher.advance()

    assert 3_599.0 < dispatcher.ready[0].queued_s <= 3_600.0
