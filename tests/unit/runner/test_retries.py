"""Jobs that are run again within a batch, after it, and after a crash in between."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tenacity import RetryCallState
from tenacity.wait import wait_base, wait_fixed

from registry import Ref
from registry.errors import FencedError
from runner import Counts, Job, Options, Outcome, Retries, Runner
from runner.batch import Batch
from runner.dispatcher import Dispatcher
from runner.errors import JobError, JobsNotKeptError, JobTimeoutError, TimeLimitError
from runner.host_store import KnownOutcomes
from runner.known import find_outcomes
from runner.runner import _by_root
from runner.statistics import Meter
from runner.wire import Running
from tests.contract import library
from tests.contract.library import RUNS, Library
from tests.unit.runner.test_takeover import SETTINGS, STORE, Bench, Overdue

KEYS = count()
AT_ONCE = wait_fixed(0)


class Clock:
    """A clock that moves when everybody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Trial(Bench):
    """A fleet of two hosts with a store, on each a root, and batches on a clock of their own."""

    def __init__(self, store: Path, roots: int = 2) -> None:
        super().__init__(store, roots=roots)
        self.clock = Clock()

    def batch(self, jobs: Iterable[Job], options: Options, **settings: Any) -> Dispatcher:
        """Return what runs jobs."""
        whole = replace(SETTINGS, **settings)
        dispatcher = self.session.dispatcher(jobs, Meter(), whole, options)
        dispatcher._attempts._clock = self.clock
        return dispatcher

    def drive(self, dispatcher: Dispatcher) -> list[Outcome]:
        """Run a batch to its end; hosts work, or time passes, when it would wait."""
        outcomes: list[Outcome] = []

        def work() -> None:
            if self.transport.under_way():
                self.transport.step_all()
            else:
                self.clock.now += dispatcher._attempts.wait_s or 0.0

        dispatcher._await_arrival = work  # type: ignore[method-assign]
        while dispatcher.advance():
            outcomes += dispatcher.ready
            dispatcher.ready.clear()
        return outcomes

    def outcomes(self, jobs: Iterable[Job], options: Options) -> list[Outcome]:
        """Run jobs; return their outcomes by index."""
        return sorted(self.drive(self.batch(jobs, options)), key=lambda each: each.index)


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    """See `Trial`."""
    return Trial(tmp_path / STORE)


@pytest.fixture
def key() -> str:
    """What `stumble` counts by, another one in each test."""
    return f"key {next(KEYS)}"


def stumble(root: Ref, key: str, times: int, own_id: str | None = None, **more: Any) -> Job:
    return Job("stumble", root, {"key": key, "times": times}, own_id, **more)


def three(wait: wait_base = AT_ONCE) -> Options:
    return Options(retries=Retries(3, wait=wait))


# --- within a batch ---


@pytest.mark.parametrize("own_id", ["a", None])
def test_a_job_that_failed_is_run_again_and_told_once(trial: Trial, key: str, own_id: str | None):
    dispatcher = trial.batch([stumble(trial.roots[0], key, 2, own_id)], three())

    (outcome,) = trial.drive(dispatcher)

    assert (outcome.status, outcome.value, outcome.attempts, outcome.index) == ("ok", 3, 3, 0)
    assert outcome.number == (own_id or dispatcher.number)
    assert dispatcher.counts() == Counts(ok=1)
    assert trial.log(0) == [3]


def test_after_its_last_attempt_a_job_fails_with_the_last_error(trial: Trial, key: str):
    (outcome,) = trial.outcomes([stumble(trial.roots[0], key, 9, "a")], three())

    assert (outcome.status, outcome.id, outcome.attempts) == ("failed", "a", 3)
    assert outcome.error is not None
    assert (outcome.error.type, outcome.error.message) == ("Stumble", "time 3")
    assert RUNS[key] == 3


def test_a_job_without_a_policy_or_with_another_error_is_run_once(trial: Trial, key: str):
    jobs = [
        stumble(trial.roots[0], f"{key}a", 9, options=Options(retries=Retries(3, on=(KeyError,)))),
        stumble(trial.roots[0], f"{key}b", 9),
        stumble(trial.roots[0], f"{key}c", 9, options=three()),
    ]

    outcomes = trial.outcomes(jobs, Options())

    assert [each.attempts for each in outcomes] == [1, 1, 3]
    assert [RUNS[f"{key}{name}"] for name in "abc"] == [1, 1, 3]


def test_others_go_on_while_a_job_waits_and_it_takes_its_place_when_it_is_sent(
    trial: Trial, key: str
):
    root = trial.roots[0]
    jobs = [
        stumble(root, key, 1),
        *(Job("note", root, {"number": 100 + number}) for number in range(50)),
    ]

    dispatcher = trial.batch(jobs, three(wait_fixed(1_000)))
    outcomes = trial.drive(dispatcher)

    assert [each.index for each in outcomes] == [*range(1, 51), 0]
    assert trial.log(0) == [*range(100, 150), 2]
    assert trial.clock.now == 1_000


def test_jobs_that_wait_count_as_held(trial: Trial):
    taken = count()
    source = (stumble(trial.roots[0], f"held {next(taken)}", 9) for _ in range(2_000))
    dispatcher = trial.batch(source, three(wait_fixed(1_000)), held_jobs=100, pull_jobs=7)

    outcomes = trial.until_it_waits(dispatcher)
    for _ in range(50):
        trial.transport.step_all()
        outcomes += trial.until_it_waits(dispatcher)

    assert outcomes == []
    assert next(taken) == 100


def test_what_is_awaited_is_the_next_answer_or_the_next_attempt(trial: Trial, key: str):
    """With nobody else to wake it: by the real clock, for a moment."""
    jobs = [stumble(trial.roots[0], key, 1)]
    dispatcher = trial.session.dispatcher(jobs, Meter(), SETTINGS, three(wait_fixed(0.01)))
    trial.until_it_waits(dispatcher)
    trial.transport.step_all()

    while not trial.transport.under_way():
        dispatcher._collect_arrived()
        dispatcher._run_due()
        dispatcher._send_waiting()
        if not trial.transport.under_way():
            dispatcher._await_arrival()
    trial.transport.step_all()

    assert dispatcher.advance()
    assert dispatcher.ready[0].value == 2


def test_a_cancelled_batch_ends_jobs_that_wait_with_their_last_error(trial: Trial, key: str):
    dispatcher = trial.batch([stumble(trial.roots[0], key, 1, "a")], three(wait_fixed(1_000)))
    trial.until_it_waits(dispatcher)
    trial.transport.step_all()
    trial.until_it_waits(dispatcher)

    dispatcher.cancel()
    (outcome,) = trial.drive(dispatcher)

    assert (outcome.status, outcome.id) == ("cancelled", "a")
    assert outcome.error is not None
    assert outcome.error.notes == ("it failed with Stumble: time 1",)
    assert dispatcher.counts() == Counts(cancelled=1)


class Broken(wait_base):
    """A wait that does not work."""

    def __call__(self, retry_state: RetryCallState) -> float:
        raise ZeroDivisionError("no")


def test_a_wait_that_raises_ends_the_job_with_its_own_error(trial: Trial, key: str):
    (outcome,) = trial.outcomes([stumble(trial.roots[0], key, 9)], three(Broken()))

    assert (outcome.status, outcome.attempts) == ("failed", 1)
    assert outcome.error is not None
    assert outcome.error.type == "Stumble"
    assert outcome.error.notes[-1].endswith("it was not run again: ZeroDivisionError: no")


class Fading:
    """Can be read once."""

    reads = 0

    def __reduce__(self) -> Any:
        return _fading, ()


def _fading() -> Fading:
    Fading.reads += 1
    if Fading.reads > 1:
        raise OSError("gone")
    return Fading()


def test_a_job_whose_arguments_cannot_be_read_again_is_not_run_again(trial: Trial):
    Fading.reads = 0
    jobs = [
        Job("show", trial.roots[0], {"value": Fading(), "number": 1}),  # there is no such parameter
        Job("note", trial.roots[0], {"number": 2}),
    ]

    first, second = trial.outcomes(jobs, three())

    assert (first.status, first.attempts) == ("failed", 1)
    assert first.error is not None
    assert "arguments cannot be read here" in first.error.notes[-1]
    assert second.ok


def test_options_that_are_none_cost_only_their_job(trial: Trial):
    jobs = [
        Job("note", trial.roots[0], {"number": 1}, options=3),  # type: ignore[arg-type]
        Job("note", trial.roots[0], {"number": 2}),
    ]

    first, second = trial.outcomes(jobs, Options())

    assert first.error is not None
    assert first.error.type == JobError.__name__
    assert second.ok


def test_nothing_is_kept_of_jobs_whose_outcome_is_known(trial: Trial, key: str):
    jobs = [
        stumble(trial.roots[0], f"{key} {number}", number % 5, options=three())
        for number in range(20)
    ]
    dispatcher = trial.batch(jobs, Options())

    trial.drive(dispatcher)

    assert not dispatcher._asked
    assert not dispatcher._attempts


# --- after a crash ---


@pytest.mark.parametrize("own_id", ["a", None])
@pytest.mark.parametrize("stored", [0, 1])
@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_host_that_dies_during_an_attempt_costs_none(
    trial: Trial, key: str, before: int, stored: int, own_id: str | None
):
    """What was stored of an attempt is not run again; else that attempt is."""
    dispatcher = trial.batch([stumble(trial.roots[0], key, 2, own_id)], three())
    trial.until_it_waits(dispatcher)
    for _ in range(before):
        trial.transport.step_all()
        trial.until_it_waits(dispatcher)
    trial.transport.kill(trial.host(0), after=stored)

    (outcome,) = trial.drive(dispatcher)

    assert (outcome.status, outcome.attempts, RUNS[key]) == ("ok", 3, 3)
    assert trial.log(0) == [3]


@pytest.mark.parametrize("times", [1, 2, 3, 9])
@pytest.mark.parametrize("made", [1, 2, 3])
def test_a_batch_that_is_run_again_goes_through_the_same_attempts(
    trial: Trial, key: str, tmp_path: Path, made: int, times: int
):
    """The driver dies between two attempts; each of them is run once in all."""
    jobs = [
        stumble(trial.roots[0], key, times, "a"),
        Job("note", trial.roots[0], {"number": 77}, "b"),
    ]
    dispatcher = trial.batch(jobs, three())
    for _ in range(made):
        trial.until_it_waits(dispatcher)
        trial.transport.step_all()
    other = Trial(tmp_path / STORE, roots=0)
    other.roots = trial.roots

    first, second = other.outcomes(jobs, three(wait_fixed(0.5)))
    again = other.outcomes(jobs, three())

    runs = min(times + 1, 3)
    assert RUNS[key] == runs
    assert other.clock.now == 0.5 * max(0, runs - 1 - made)  # what failed before has waited
    assert (first.status, first.attempts) == ("ok" if times < 3 else "failed", runs)
    assert second.ok
    assert [each.version for each in again] == [first.version, second.version]
    assert [(each.attempts, each.value) for each in again] == [
        (each.attempts, each.value) for each in (first, second)
    ]


def known(trial: Trial, jobs: list[Job], options: Options) -> list[Outcome]:
    store = KnownOutcomes(trial.store)
    try:
        found: list[Outcome] = []
        for root, some in _by_root(trial.session.routing, jobs).items():
            found += find_outcomes(store, root, {each: jobs[each] for each in some}, options)
        return sorted(found)
    finally:
        store.close()


def test_what_is_known_is_the_last_attempt_and_nothing_that_would_be_run_again(
    trial: Trial, key: str
):
    root = trial.roots[0]
    jobs = [stumble(root, f"{key}a", 1, "a"), stumble(root, f"{key}b", 9, "b")]
    jobs.append(stumble(root, f"{key}c", 0, "c"))
    assert known(trial, jobs, three()) == []

    told = trial.outcomes(jobs, three())
    found = known(trial, jobs, three())

    assert [each._replace(run_s=0, queued_s=0) for each in told] == found
    assert [each.attempts for each in found] == [2, 3, 1]
    more = Options(retries=Retries(4))
    assert [each.id for each in known(trial, jobs, more)] == ["a", "c"]
    assert [each.attempts for each in known(trial, jobs, Options())] == [1, 1, 1]


# --- after the batch ---


class Again:
    """Submits to a trial, and drives what it submitted."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def __call__(self, jobs: Iterable[Job], /, **options: Any) -> Batch:
        settings = options.get("settings", {})
        self.dispatcher = self._trial.batch(jobs, options.get("options", Options()), **settings)
        return Batch(self.dispatcher, self)


def failing_jobs(trial: Trial, key: str) -> list[Job]:
    root = trial.roots[0]
    return [
        Job("note", root, {"number": 1}, "fine"),
        stumble(root, f"{key}a", 1, "a"),
        stumble(root, f"{key}b", 1),
        Job("nothing", root, {}, "refused"),
        Job("note", root, {"number": 2}),
        stumble(root, f"{key}c", 1, "c", options=Options(priority=3)),
    ]


@pytest.mark.parametrize("is_list", [True, False])
def test_what_failed_is_submitted_again_as_the_next_attempt(trial: Trial, key: str, is_list: bool):
    jobs = failing_jobs(trial, key)
    again = Again(trial)
    batch = again(jobs if is_list else iter(jobs))
    first = {each.index: each for each in trial.drive(again.dispatcher)}

    batch.retry_failed()
    second = trial.drive(again.dispatcher)

    told = {each.index: each for each in second}
    assert [told[index].status for index in range(4)] == ["ok", "ok", "failed", "ok"]
    assert [told[index].attempts for index in range(4)] == [2, 2, 1, 2]
    assert [told[index].id for index in range(4)] == [first[index].id for index in (1, 2, 3, 5)]
    assert trial.log(0) == [1, 2, 2, 2, 2]
    # Run again as a whole, under its ids, it is as it was: what was refused is not another attempt.
    assert {each.id for each in known(trial, jobs, Options(retries=Retries(2)))} == {
        "fine", "a", "c"
    }  # fmt: skip


def test_what_failed_again_is_submitted_as_the_attempt_after_that(trial: Trial, key: str):
    again = Again(trial)
    batch = again([stumble(trial.roots[0], key, 5, "a")], options=three())
    trial.drive(again.dispatcher)

    batch = batch.retry_failed(options=Options(retries=Retries(2, wait=AT_ONCE)))
    (second,) = trial.drive(again.dispatcher)
    batch.retry_failed()
    (third,) = trial.drive(again.dispatcher)

    assert (second.status, second.attempts, second.id) == ("failed", 5, "a")
    assert (third.status, third.attempts, third.id, third.value) == ("ok", 6, "a", 6)


def test_a_lost_job_is_submitted_as_it_was_and_the_store_decides(trial: Trial):
    jobs = [Job("note", trial.roots[0], {"number": 1})]
    again = Again(trial)
    batch = again(jobs)
    trial.until_it_waits(again.dispatcher)
    trial.transport.deadly = {"open": 1_000}
    trial.transport.kill(trial.host(0), after=1)
    (lost,) = trial.drive(again.dispatcher)
    trial.transport.deadly.clear()

    batch.retry_failed()
    (outcome,) = trial.drive(again.dispatcher)

    assert (lost.status, outcome.status, outcome.id) == ("lost", "ok", lost.id)
    assert trial.log(0) == [1]


def test_cancelled_jobs_are_submitted_again_if_asked(trial: Trial):
    again = Again(trial)
    batch = again(trial.notes(1_000), settings={"held_jobs": 100, "pull_jobs": 10})
    trial.until_it_waits(again.dispatcher)
    batch.cancel()
    trial.drive(again.dispatcher)
    assert again.dispatcher.counts() == Counts(cancelled=1_000)

    batch.retry_failed()
    assert trial.drive(again.dispatcher) == []
    batch.retry_failed(cancelled=True)
    trial.drive(again.dispatcher)

    assert again.dispatcher.counts() == Counts(ok=1_000)


def test_jobs_that_were_not_kept_are_told_with_the_way_out(trial: Trial):
    jobs = [Job("fail", trial.roots[0], {"message": "no"}) for _ in range(30)]
    again = Again(trial)
    batch = again(iter(jobs), settings={"kept_failures": 10})
    trial.drive(again.dispatcher)

    with pytest.raises(JobsNotKeptError) as caught:
        batch.retry_failed()

    assert (caught.value.failed, caught.value.kept) == (30, 10)


def test_jobs_that_are_run_again_depend_on_each_other_only(trial: Trial, key: str):
    root = trial.roots[0]
    after = Options(depends_on=("fine", "a"))
    jobs = [
        Job("note", root, {"number": 1}, "fine"),
        stumble(root, key, 1, "a"),
        Job("fail", root, {"message": "no"}, "b", after),
    ]
    again = Again(trial)
    again(jobs)
    trial.drive(again.dispatcher)

    first, second = again.dispatcher.failed_jobs()

    assert first.options == Options(attempts_before=1)
    assert second.options is not None
    assert second.options.depends_on == ("a",)


# --- verdicts ---


def deadly(trial: Trial, own_id: str | None) -> tuple[Dispatcher, list[int]]:
    """Return a batch with a job that ends its host each time, and how often that was."""
    jobs = [*trial.notes(3, "x"), Job("leave", trial.roots[0], {}, own_id), *trial.notes(3, "y")]
    dispatcher = trial.batch(jobs, Options())
    transport, deaths = trial.transport, [0]

    def step_all() -> None:
        for host in list(transport.hosts):
            while transport.waiting.get(host):
                waiting = transport.waiting[host][0]
                if b"leave" in waiting.payload and waiting.method != "recall":
                    deaths[0] += 1
                    transport.kill(host)
                else:
                    transport.step(host)

    transport.step_all = step_all  # type: ignore[method-assign]
    return dispatcher, deaths


def test_a_verdict_is_stored_and_no_host_dies_of_the_job_again(trial: Trial):
    dispatcher, deaths = deadly(trial, "bad")
    first = {each.index: each for each in trial.drive(dispatcher)}
    assert first[3].status == "quarantined"
    assert deaths[0] > 1

    again, _ = deadly(trial, "bad")
    del trial.transport.step_all  # if it were run now, it would fail with a SystemExit
    second = {each.index: each for each in trial.drive(again)}

    assert (second[3].status, second[3].error) == ("quarantined", first[3].error)
    assert again.counts() == Counts(ok=6, quarantined=1)
    assert [
        each.status for each in known(trial, [Job("leave", trial.roots[0], {}, "bad")], three())
    ] == ["quarantined"]
    assert trial.log(0) == [0, 2, 0, 2]


@pytest.mark.parametrize("own_id", ["slow", None])
def test_a_host_that_was_thought_dead_cannot_store_what_was_set_aside(
    trial: Trial, own_id: str | None
):
    """It learns of the verdict, or is fenced; nothing of the job stays, whatever it does now."""
    job = Job("note", trial.roots[0], {"number": 1}, own_id)
    dispatcher = trial.batch([job], Options())
    trial.until_it_waits(dispatcher)
    stale = trial.transport.hosts[trial.host(0)]
    (waiting,) = trial.transport.waiting[trial.host(0)]
    for _ in range(SETTINGS.lone_poison_deaths):
        trial.transport.kill(trial.host(0))
        trial.until_it_waits(dispatcher)
    (outcome,) = trial.drive(dispatcher)
    assert outcome.status == "quarantined"

    reply = trial.session.wire.loads_reply(stale.serve(waiting.method, waiting.payload))

    if own_id is None:  # it did not look
        assert type(reply.refusal) is FencedError
    else:
        assert [row[4].type for row in reply.rows()] == ["PoisonError"]
        assert trial.outcomes([job], Options())[0].status == "quarantined"
    assert trial.log(0) == []


def test_what_was_set_aside_is_submitted_again_as_another_attempt(trial: Trial):
    dispatcher, _ = deadly(trial, "bad")
    trial.drive(dispatcher)
    del trial.transport.step_all

    (job,) = dispatcher.failed_jobs()
    (outcome,) = trial.outcomes([job], Options())

    assert (outcome.id, outcome.attempts, outcome.status) == ("bad", 2, "failed")


# --- limits of time ---


def slow_batch(trial: Trial, jobs: list[Job], options: Options) -> tuple[Dispatcher, Clock]:
    """Return a batch whose hosts are at a job as long as the test says, on the trial's clock."""
    dispatcher = trial.batch(jobs, options)
    trial.fleet.end = trial.transport.kill  # type: ignore[method-assign]
    return dispatcher, trial.clock


@pytest.mark.parametrize("on", [(), (JobTimeoutError,)])
def test_a_job_of_a_batch_has_a_limit_of_its_own(trial: Trial, on: Any):
    own = Options(timeout_s=2.0, retries=Retries(2, on=on, wait=wait_fixed(0)))
    root = trial.roots[0]
    jobs = [Job("note", root, {"number": number}, f"{number}") for number in range(10)]
    jobs[6] = jobs[6]._replace(options=own)
    dispatcher, clock = slow_batch(trial, jobs, Options())
    outcomes = trial.until_it_waits(dispatcher)
    assert dispatcher._watch is not None
    watch = dispatcher._watch
    watch._clock = clock
    watch._next_s = 0.0
    trial.transport.step(trial.host(0))
    outcomes += trial.until_it_waits(dispatcher)
    host = trial.host(0)

    trial.transport.busy[host] = Running(dispatcher.number, 5)  # without a limit
    for _ in range(20):
        clock.now += 1.0
        dispatcher._end_overdue(watch)
    assert trial.host(0) == host
    trial.transport.busy[host] = Running(dispatcher.number, 6)
    for _ in range(6):
        clock.now += 0.5
        dispatcher._end_overdue(watch)
    outcomes += trial.drive(dispatcher)

    told = {each.index: each for each in outcomes}
    assert host not in trial.transport.hosts
    if on:
        assert dispatcher.counts() == Counts(ok=10)
        assert (told[6].attempts, told[6].id) == (2, "6")
        assert trial.log(0) == [0, 1, 2, 3, 4, 5, 7, 8, 9, 6]
        return
    assert dispatcher.counts() == Counts(ok=9, timed_out=1)
    assert told[6].error is not None
    assert told[6].error.message.startswith("callable 'note' ran longer than 2 s")
    assert trial.log(0) == [0, 1, 2, 3, 4, 5, 7, 8, 9]
    again = trial.outcomes(jobs, Options())
    assert [each.status for each in again] == ["ok"] * 6 + ["timed_out"] + ["ok"] * 3


def test_a_silent_host_is_ended_for_the_job_with_a_limit_only(trial: Trial):
    """Run alone, the one without a limit has all the time that it wants."""
    root = trial.roots[0]
    jobs = [Job("note", root, {"number": number}, f"{number}") for number in range(3)]
    jobs[2] = jobs[2]._replace(options=Options(timeout_s=2.0))
    dispatcher, clock = slow_batch(trial, jobs, Options())
    outcomes = trial.until_it_waits(dispatcher)
    watch = dispatcher._watch
    assert watch is not None
    watch._clock = clock
    watch._next_s = 0.0
    trial.transport.step(trial.host(0))
    outcomes += trial.until_it_waits(dispatcher)

    first = trial.host(0)
    for _ in range(6):  # jobs 1 and 2 are there
        clock.now += 0.5
        dispatcher._end_overdue(watch)
    assert first not in trial.transport.hosts
    outcomes += trial.until_it_waits(dispatcher)
    second = trial.host(0)
    for _ in range(20):  # job 1 is there, alone
        clock.now += 0.5
        dispatcher._end_overdue(watch)
    assert second in trial.transport.hosts
    # Nor if it was found too late: the job that was overdue is not there any more.
    (lane,) = dispatcher._lanes.values()
    dispatcher._end_overdue(Overdue([(lane, None)]))  # type: ignore[arg-type]
    outcomes += trial.drive(dispatcher)

    assert dispatcher.counts() == Counts(ok=3)
    assert trial.log(0) == [0, 1, 2]


# --- limits that cannot be kept ---


@pytest.mark.parametrize(
    ("options", "error"),
    [(Options(timeout_s=1.0), TimeLimitError), (Options(memory_bytes=1_000_000), JobError)],
)
def test_a_limit_that_cannot_be_kept_is_an_outcome_or_refuses_the_batch(
    tmp_path: Path, options: Options, error: type[Exception]
):
    with Runner(library.app, in_process=True, store=tmp_path / "other.db") as runner:
        root = runner.add(Library())
        jobs = [
            Job("note", root, {"number": 1}, options=options),
            Job("note", root, {"number": 2}),
        ]

        first, second = runner.submit(jobs, ordered=True)
        with pytest.raises(error):
            runner.submit(jobs, options=options)

        assert first.error is not None
        assert (first.status, first.error.type) == ("failed", error.__name__)
        assert second.ok


def test_a_limit_of_memory_lets_the_job_fail_and_its_root_serve_on(trial: Trial):
    root, own = trial.roots[0], Options(memory_bytes=50 * 2**20)
    hoard = Job("hoard", root, {"size_bytes": 200 * 2**20})
    jobs = [
        Job("note", root, {"number": 1}),
        hoard._replace(options=own),
        Job("note", root, {"number": 2}),
        hoard,
        hoard._replace(arguments={"size_bytes": 10 * 2**20}, options=own),
    ]

    outcomes = trial.outcomes(jobs, Options())

    assert [each.status for each in outcomes] == ["ok", "failed", "ok", "ok", "ok"]
    assert outcomes[1].error is not None
    assert outcomes[1].error.type == "MemoryError"
    assert trial.log(0) == [1, 2, 200 * 2**20, 10 * 2**20]


def test_a_limit_of_memory_of_a_batch_is_that_of_jobs_which_do_not_say_otherwise(trial: Trial):
    hoard = Job("hoard", trial.roots[0], {"size_bytes": 100 * 2**20})
    more = hoard._replace(options=Options(memory_bytes=400 * 2**20))

    outcomes = trial.outcomes([hoard, more], Options(memory_bytes=50 * 2**20))

    assert [each.status for each in outcomes] == ["failed", "ok"]
    assert outcomes[0].error is not None
    assert outcomes[0].error.type == "MemoryError"
