"""What happens to a batch with a store when hosts die: nothing is lost, nothing happens twice."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from registry import Ref
from registry.errors import FencedError, JournalError
from registry.journal.port import Group
from registry.journal.sqlite import SqliteJournal
from runner.batch import Counts, Job, Outcome
from runner.code import collect_code
from runner.directory import NOWHERE, Directory, Entry
from runner.dispatcher import Dispatcher
from runner.errors import HostLostError, JobTimeoutError, TimeLimitError
from runner.fleet import Fleet
from runner.host_store import Store, enter_stored
from runner.options import Options
from runner.routing import Routing
from runner.runner import Runner, _Addition, _Session
from runner.settings import DEFAULT, Settings
from runner.statistics import Meter
from runner.wire import Wire, chunk_of
from tests.contract import library
from tests.contract.library import Library
from tests.unit.runner.stepped import SteppedTransport

SETTINGS = replace(DEFAULT, max_hosts=2, chunk_jobs=10, first_chunk_jobs=10)
STORE = "store.db"


class Bench:
    """A fleet of two hosts with a store, on each a root."""

    def __init__(self, store: Path, settings: Settings = SETTINGS, roots: int = 2) -> None:
        self.settings = settings
        self.transport = SteppedTransport()
        self.directory = Directory()
        self.store = Store(str(store), "none")
        enter_stored(self.store, self.directory)
        code = collect_code(library.app, by_value=False, store=self.store)
        self.fleet = Fleet(self.transport, code, self.directory, settings)
        self.fleet.start(2)
        wire = Wire(by_value=False)
        routing = Routing(self.directory, library.app.callables())
        self.session = _Session(self.directory, self.fleet, routing, wire)
        self.roots = [self.add() for _ in range(roots)]

    def add(self, library: Library | None = None) -> Ref:
        return _Addition(self.session, library or Library(), None, dedicated=False).finish()

    def host(self, root: int) -> int:
        return self.directory.entries[self.roots[root].root].host

    def dispatcher(self, jobs: Iterable[Job], settings: Settings | None = None) -> Dispatcher:
        return self.session.dispatcher(jobs, Meter(), settings or self.settings)

    def notes(self, count: int, prefix: str = "") -> list[Job]:
        return [
            Job(
                "note",
                self.roots[number % len(self.roots)],
                {"number": number},
                f"{prefix}{number}" if prefix else None,
            )
            for number in range(count)
        ]

    def until_it_waits(self, dispatcher: Dispatcher) -> list[Outcome]:
        """Run a dispatcher until it would wait for a host; return what came before."""

        class WouldWaitError(Exception):
            pass

        def would_wait() -> None:
            raise WouldWaitError

        dispatcher._await_arrival = would_wait  # type: ignore[method-assign]
        outcomes: list[Outcome] = []
        with contextlib.suppress(WouldWaitError):
            while dispatcher.advance():
                outcomes += dispatcher.ready
                dispatcher.ready.clear()
        del dispatcher._await_arrival
        return outcomes

    def drive(self, dispatcher: Dispatcher) -> list[Outcome]:
        """Run a batch to its end; hosts work whenever it would wait."""
        outcomes: list[Outcome] = []
        dispatcher._await_arrival = self.transport.step_all  # type: ignore[method-assign]
        while dispatcher.advance():
            outcomes += dispatcher.ready
            dispatcher.ready.clear()
        return outcomes

    def run(self, *jobs: Job) -> list[Outcome]:
        return sorted(self.drive(self.dispatcher(jobs)), key=lambda each: each.index)

    def log(self, root: int | Ref) -> Any:
        ref = self.roots[root] if isinstance(root, int) else root
        return self.run(Job("read_log", ref))[0].result()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """See `Bench`."""
    return Bench(tmp_path / STORE)


EVENS, ODDS = list(range(0, 200, 2)), list(range(1, 200, 2))


@pytest.mark.parametrize("stored", [0, 1, 2, 3])
def test_each_job_takes_effect_once_wherever_its_host_died(bench: Bench, stored: int):
    """Chunks that were stored and not answered are answered from the store, the others run."""
    dispatcher = bench.dispatcher(bench.notes(200))
    outcomes = bench.until_it_waits(dispatcher)
    bench.transport.step_all()  # from here on more than one chunk is under way
    outcomes += bench.until_it_waits(dispatcher)

    bench.transport.kill(0, after=stored)
    outcomes += bench.drive(dispatcher)

    assert dispatcher.counts() == Counts(ok=200)
    assert [bench.log(0), bench.log(1)] == [EVENS, ODDS]
    of_first = sorted(
        (each.index, each.version) for each in outcomes if each.root == bench.roots[0]
    )
    assert [version for _, version in of_first] == list(range(2, 102))


def test_hosts_that_die_while_they_take_over_are_replaced_too(bench: Bench):
    dispatcher = bench.dispatcher(bench.notes(200))
    bench.until_it_waits(dispatcher)

    bench.transport.deadly = {"open": 3}
    bench.transport.kill(0, after=1)
    bench.drive(dispatcher)

    assert dispatcher.counts() == Counts(ok=200)
    assert [bench.log(0), bench.log(1)] == [EVENS, ODDS]


def test_one_death_after_the_other_ends_in_outcomes_and_not_in_a_loop(bench: Bench):
    dispatcher = bench.dispatcher(bench.notes(20))
    bench.until_it_waits(dispatcher)

    bench.transport.deadly = {"open": 1_000}
    bench.transport.kill(0)
    outcomes = bench.drive(dispatcher)

    assert dispatcher.counts() == Counts(ok=10, lost=1, failed=9)
    assert {each.error.type for each in outcomes if each.error} == {HostLostError.__name__}
    bench.transport.deadly.clear()
    assert bench.log(0) == []


def test_a_store_that_cannot_be_opened_now_can_be_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    """The roots are not thought to be on a host that never got them."""
    dispatcher = bench.dispatcher(bench.notes(20))
    bench.until_it_waits(dispatcher)

    def acquire(*_: Any) -> None:
        raise JournalError(STORE, "failed", "look after the disk")

    with monkeypatch.context() as broken:
        broken.setattr(SqliteJournal, "acquire", acquire)
        bench.transport.kill(0)
        bench.drive(dispatcher)

    assert dispatcher.counts() == Counts(ok=10, lost=1, failed=9)
    assert bench.log(0) == []
    assert bench.log(1) == list(range(1, 20, 2))


def test_two_batches_follow_a_root_to_its_new_host(bench: Bench):
    first, second = bench.dispatcher(bench.notes(100)), bench.dispatcher(bench.notes(100))
    bench.until_it_waits(first)
    bench.until_it_waits(second)

    bench.transport.kill(0, after=1)
    bench.drive(first)
    bench.drive(second)

    assert first.counts() == second.counts() == Counts(ok=100)
    assert sorted(bench.log(0)) == sorted([*range(0, 100, 2)] * 2)


def test_a_batch_that_read_the_directory_too_early_finds_the_new_host(bench: Bench):
    old = bench.directory.entries[bench.roots[0].root]
    bench.transport.kill(0)
    bench.fleet.replace(0)
    bench.directory.targets[bench.roots[0]] = old
    dispatcher = bench.dispatcher([Job("note", bench.roots[0], {"number": 1})])

    bench.drive(dispatcher)

    assert dispatcher.counts() == Counts(ok=1)
    assert set(dispatcher._lanes) == {bench.host(0)}


@pytest.mark.parametrize("stored", [0, 1])
def test_a_root_that_was_born_unheard_of_is_there(bench: Bench, stored: int):
    jobs = [
        Job("split_off", bench.roots[0], {"name": "child"}, "birth"),
        Job("note", bench.roots[0], {"number": 7}),
    ]
    dispatcher = bench.dispatcher(jobs)
    bench.until_it_waits(dispatcher)

    bench.transport.kill(0, after=stored)
    birth, _ = sorted(bench.drive(dispatcher), key=lambda each: each.index)

    (child,) = birth.outputs
    assert bench.run(Job("note", child, {"number": 1}))[0].status == "ok"
    assert bench.log(child) == [1]
    # It is of the owner that bore it.
    assert bench.run(Job("merge", bench.roots[0], {"other": child}))[0].status == "ok"
    assert len(bench.directory) == 3


@pytest.mark.parametrize("stored", [0, 1])
def test_a_root_without_parent_that_was_born_unheard_of_is_there(bench: Bench, stored: int):
    dispatcher = bench.dispatcher([Job("found", None, {"name": "child"}, "birth")])
    bench.until_it_waits(dispatcher)

    bench.transport.kill(0, after=stored)
    (birth,) = bench.drive(dispatcher)

    (child,) = birth.outputs
    assert bench.run(Job("note", child, {"number": 1}))[0].status == "ok"
    assert bench.log(child) == [1]
    again = bench.run(Job("found", None, {"name": "child"}, "birth"))[0]
    assert again.outputs == (child,)
    assert len(bench.directory) == 3


def test_a_root_that_was_born_on_a_host_that_was_replaced_since_is_there(bench: Bench):
    """Another batch found the host dead before this one read its last answer."""
    dispatcher = bench.dispatcher([Job("found", None, {"name": "child"})])
    bench.until_it_waits(dispatcher)
    bench.transport.step_all()
    bench.transport.kill(0)
    bench.fleet.replace(0)

    (birth,) = bench.drive(dispatcher)

    (child,) = birth.outputs
    assert bench.directory.entries[child.root].host == NOWHERE
    assert bench.run(Job("note", child, {"number": 1}))[0].status == "ok"


def test_roots_are_housed_although_hosts_die_meanwhile(bench: Bench, tmp_path: Path):
    bench.drive(bench.dispatcher(bench.notes(20)))
    other = Bench(tmp_path / STORE, roots=0)
    other.roots = bench.roots
    other.transport.deadly = {"open": 3}

    assert other.log(0) == list(range(0, 20, 2))


@pytest.mark.parametrize("stored", [0, 1])
def test_a_tree_whose_host_dies_while_it_is_added_is_there_once(bench: Bench, stored: int):
    bench.transport.deadly = {"add": 1}
    tree = Library(log=[1, 2])
    if stored:
        serve = bench.transport.kill

        def kill(host: int, *, after: int = 0) -> None:
            payload = bench.session.wire.dumps((bench.session.wire.dumps(tree), None))
            bench.transport.hosts[host].serve("add", payload)
            serve(host, after=after)

        bench.transport.kill = kill  # type: ignore[method-assign]

    ref = bench.add(tree)

    assert bench.log(ref) == [1, 2]
    assert len(bench.directory) == 3


def test_a_question_survives_deaths(bench: Bench):
    for _ in range(3):
        bench.transport.kill(bench.host(0))
        bench.transport.deadly = {"ask": 2}

        assert bench.session.ask(bench.roots[0], "head") == 1


def test_a_dedicated_root_keeps_a_host_to_itself(bench: Bench):
    ref = _Addition(bench.session, Library(), None, dedicated=True).finish()
    bench.roots.append(ref)
    bench.transport.kill(bench.host(2))

    assert bench.log(2) == []
    assert bench.host(2) not in {bench.fleet.place() for _ in range(10)}


def test_work_without_a_root_is_run_once_too(bench: Bench):
    jobs = [Job("add_up", None, {"a": 1, "b": number}) for number in range(100)]
    dispatcher = bench.dispatcher(jobs)
    bench.until_it_waits(dispatcher)

    bench.transport.kill(0, after=1)
    outcomes = bench.drive(dispatcher)

    assert sorted(each.result() for each in outcomes) == [1 + number for number in range(100)]


def test_an_id_takes_effect_once_also_within_one_chunk(bench: Bench):
    once = Job("note", bench.roots[0], {"number": 7}, "same")

    outcomes = bench.run(once, Job("note", bench.roots[0], {"number": 8}), once, once)

    assert [(each.status, each.version, each.value) for each in outcomes] == [
        ("ok", 2, 1),
        ("ok", 3, 2),
        ("ok", 2, 1),
        ("ok", 2, 1),
    ]
    assert bench.log(0) == [7, 8]


def test_an_id_names_an_execution_of_one_root(bench: Bench):
    outcomes = bench.run(*[Job("note", root, {"number": 7}, "same") for root in bench.roots])

    assert [each.version for each in outcomes] == [2, 2]


def test_an_id_that_failed_fails_the_same_way_again(bench: Bench):
    failing = Job("fail", bench.roots[0], {"message": "no"}, "same")

    first, second, third = [*bench.run(failing, failing), *bench.run(failing)]

    assert first.error == second.error == third.error
    assert first.error is not None
    assert first.error.frames


# --- cancelling ---


def test_what_is_held_back_when_a_batch_is_cancelled_is_told(bench: Bench):
    dispatcher = bench.dispatcher(bench.notes(1_000))
    bench.until_it_waits(dispatcher)
    bench.transport.step_all()
    bench.until_it_waits(dispatcher)
    bench.transport.kill(0)
    bench.until_it_waits(dispatcher)  # one is sent to the new host, others wait

    dispatcher.cancel()
    bench.drive(dispatcher)

    counts = dispatcher.counts()
    assert counts.done == 1_000
    assert counts.lost == counts.failed == 0


def test_what_was_stored_before_its_batch_was_cancelled_is_not_said_to_have_not_begun(
    bench: Bench,
):
    """Of a chunk that is sent again, the host tells what it knows, and runs nothing."""
    jobs = [Job("note", bench.roots[0], {"number": number}) for number in range(3)]
    dispatcher = bench.dispatcher(jobs)
    bench.until_it_waits(dispatcher)
    bench.transport.kill(bench.host(0), after=1)
    bench.until_it_waits(dispatcher)  # it is sent again
    dispatcher.cancel()
    outcomes = bench.until_it_waits(dispatcher)  # and the new host is told

    outcomes += bench.drive(dispatcher)

    assert {each.index: each.status for each in outcomes} == {
        0: "ok",
        1: "cancelled",
        2: "cancelled",
    }
    assert bench.log(0) == [0]


def test_a_host_that_dies_after_a_batch_was_cancelled_is_not_given_more(bench: Bench):
    dispatcher = bench.dispatcher(bench.notes(1_000), replace(SETTINGS, cancel_grace_s=0.05))
    bench.until_it_waits(dispatcher)
    dispatcher.cancel()
    bench.until_it_waits(dispatcher)

    for host in list(bench.transport.hosts):
        bench.transport.kill(host)
    while dispatcher.advance():
        dispatcher.ready.clear()

    assert dispatcher.counts() == Counts(cancelled=1_000)


def test_ctrl_c_while_a_host_is_replaced_loses_no_outcome(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    dispatcher = bench.dispatcher(bench.notes(100), replace(SETTINGS, cancel_grace_s=0.05))
    bench.until_it_waits(dispatcher)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(Fleet, "open", interrupt)
        bench.transport.kill(0)
        with pytest.raises(KeyboardInterrupt):
            bench.drive(dispatcher)
    dispatcher.cancel()
    bench.transport.step_all()
    del dispatcher._await_arrival
    while dispatcher.advance():
        dispatcher.ready.clear()

    assert dispatcher.counts().done == 100
    assert bench.log(0) == []


# --- a store that fails ---


@contextlib.contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, *, calls: int, is_stored: bool) -> Iterator[None]:
    """Let the next appends fail, before or after they took effect."""
    append = SqliteJournal.append
    left = [calls]

    def fail(journal: SqliteJournal, group: Group) -> int:
        if left[0]:
            left[0] -= 1
            if is_stored:
                append(journal, group)
            raise JournalError(STORE, "failed", "look after the disk")
        return append(journal, group)

    with monkeypatch.context() as broken:
        broken.setattr(SqliteJournal, "append", fail)
        yield


@pytest.mark.parametrize("is_stored", [False, True])
@pytest.mark.parametrize("calls", [1, 2])
def test_a_chunk_that_could_not_be_stored_is_sent_again_in_its_turn(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, calls: int, is_stored: bool
):
    dispatcher = bench.dispatcher(bench.notes(200))
    bench.until_it_waits(dispatcher)
    bench.transport.step_all()
    bench.until_it_waits(dispatcher)

    with failing(monkeypatch, calls=calls, is_stored=is_stored):
        bench.drive(dispatcher)

    assert dispatcher.counts() == Counts(ok=200)
    assert [bench.log(0), bench.log(1)] == [EVENS, ODDS]


def test_what_could_not_be_stored_again_and_again_is_lost_and_not_called_failed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    dispatcher = bench.dispatcher(bench.notes(20))
    bench.until_it_waits(dispatcher)

    with failing(monkeypatch, calls=1_000, is_stored=False):
        outcomes = bench.drive(dispatcher)

    assert dispatcher.counts() == Counts(lost=11, failed=9)  # those that were sent, and the others
    assert {each.error.type for each in outcomes if each.error} == {"JournalError"}
    assert [bench.log(0), bench.log(1)] == [[], []]


def test_a_tree_that_cannot_be_read_now_is_not_an_outcome(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    bench.run(*bench.notes(10, "old"))
    bench.transport.kill(bench.host(0))
    dispatcher = bench.dispatcher(bench.notes(2, "new"))
    bench.until_it_waits(dispatcher)
    calls = [2]
    parts = SqliteJournal.parts

    def fail(*args: Any) -> Any:
        calls[0] -= 1
        if calls[0] >= 0:
            raise JournalError(STORE, "cannot be read", "look after the disk")
        return parts(*args)

    with monkeypatch.context() as broken:
        broken.setattr(SqliteJournal, "parts", fail)
        bench.drive(dispatcher)

    assert dispatcher.counts() == Counts(ok=2)
    assert bench.log(0) == [0, 2, 4, 6, 8, 0]


def test_after_a_chunk_that_is_lost_nothing_of_its_batch_is_run_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    """So the same jobs, run again with the same ids, take effect in their order."""
    jobs = [Job("note", bench.roots[0], {"number": number}, f"{number}") for number in range(200)]
    dispatcher = bench.dispatcher(jobs)
    outcomes = bench.until_it_waits(dispatcher)
    bench.transport.step_all()
    outcomes += bench.until_it_waits(dispatcher)

    with failing(monkeypatch, calls=SETTINGS.store_attempts, is_stored=False):
        outcomes += bench.drive(dispatcher)
    ok = sorted(each.index for each in outcomes if each.ok)
    assert len(outcomes) == 200
    again = bench.run(*jobs)

    assert dispatcher.counts().done == 200
    assert 0 < len(ok) < 200
    assert ok == list(range(len(ok)))
    assert all(each.ok for each in again)
    assert bench.log(0) == list(range(200))


def test_a_host_whose_roots_another_process_took_over_says_so_from_then_on(
    bench: Bench, tmp_path: Path
):
    other = Bench(tmp_path / STORE, roots=0)
    other.run(Job("note", bench.roots[0], {"number": 1}))

    errors = [
        bench.run(Job("note", bench.roots[0], {"number": number}))[0].error for number in range(2)
    ]

    assert [error and error.type for error in errors] == ["FencedError", "FencedError"]
    assert other.log(bench.roots[0]) == [1]


@pytest.mark.parametrize("is_stored", [False, True])
def test_a_host_taken_for_dead_whose_store_failed_takes_no_root_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, is_stored: bool
):
    """It loads what it had again; that another host has become the writer since stays so."""
    stale = bench.transport.hosts[bench.host(0)]
    wire, number = Wire(by_value=False), bench.dispatcher([]).number
    row: Any = (("note", ("library", "number")), bench.roots[0])
    first, second = (
        wire.dumps_chunk(chunk_of(number, [*row, index, None], [bench.roots[0], index]))[0]
        for index in range(2)
    )
    with failing(monkeypatch, calls=1, is_stored=is_stored):
        refused = wire.loads_reply(stale.serve("resume", first))
    assert isinstance(refused.refusal, JournalError), repr(refused.refusal)
    bench.transport.kill(bench.host(0))
    bench.run(Job("note", bench.roots[0], {"number": 10}))

    refused = wire.loads_reply(stale.serve("resume", second))

    assert isinstance(refused.refusal, FencedError)
    assert [each.ok for each in bench.run(Job("note", bench.roots[0], {"number": 11}))] == [True]
    assert bench.log(0) == [*([0] if is_stored else []), 10, 11]


# --- poison ---


def test_a_job_that_ends_its_host_each_time_is_set_aside_and_nothing_else(bench: Bench):
    jobs = [*bench.notes(9), Job("leave", bench.roots[0]), *bench.notes(9)]
    dispatcher = bench.dispatcher(jobs)
    transport = bench.transport

    def step_all() -> None:
        for host in list(transport.hosts):
            while transport.waiting.get(host):
                waiting = transport.waiting[host][0]
                if b"leave" in waiting.payload and waiting.method != "recall":
                    transport.kill(host)
                else:
                    transport.step(host)

    transport.step_all = step_all  # type: ignore[method-assign]
    outcomes = bench.drive(dispatcher)

    assert dispatcher.counts() == Counts(ok=18, quarantined=1)
    (culprit,) = [each for each in outcomes if each.status == "quarantined"]
    assert (culprit.index, culprit.callable) == (9, "leave")
    assert culprit.error is not None
    assert culprit.error.type == "PoisonError"
    assert bench.log(0) == [*range(0, 9, 2)] * 2


def test_a_job_that_was_stored_is_not_set_aside(bench: Bench):
    """Its last host died after the commit: set aside would mean that nothing had changed."""
    dispatcher = bench.dispatcher([Job("note", bench.roots[0], {"number": 1})])
    bench.until_it_waits(dispatcher)
    for stored in (0, 0, 1):
        bench.transport.kill(bench.host(0), after=stored)
        bench.until_it_waits(dispatcher)

    (outcome,) = bench.drive(dispatcher)

    assert (outcome.status, outcome.version) == ("ok", 2)
    assert bench.log(0) == [1]


def test_a_job_is_not_set_aside_for_two_deaths_that_it_saw(bench: Bench):
    """Hosts also die of other things; a job that takes long is there when they do."""
    dispatcher = bench.dispatcher([Job("note", bench.roots[0], {"number": 1})])
    bench.until_it_waits(dispatcher)
    for _ in range(2):
        bench.transport.kill(bench.host(0))
        bench.until_it_waits(dispatcher)

    bench.drive(dispatcher)

    assert dispatcher.counts() == Counts(ok=1)


def test_entries_of_a_store_know_their_owner(bench: Bench, tmp_path: Path):
    bench.run(Job("split_off", bench.roots[0], {"name": "child"}))
    directory = Directory()

    enter_stored(Store(str(tmp_path / STORE)), directory)

    assert {entry.host for entry in directory} == {NOWHERE}
    first = directory.entries[bench.roots[0].root]
    assert isinstance(first, Entry)
    assert len(directory.of_owner(first.owner)) == 2


class Overdue:
    """Stands in for the watch: finds what it is told to."""

    wait_s = 0.0

    def __init__(self, found: list[tuple[Any, int | None]]) -> None:
        self.found = found

    def overdue(self, _lanes: Any) -> list[tuple[Any, int | None]]:
        found, self.found = self.found, []
        return found


@pytest.mark.parametrize("overdue", [6, None])
def test_a_job_that_runs_too_long_is_ended_and_the_others_run(bench: Bench, overdue: int | None):
    """Also if its host does not tell which it is: then all are run one by one."""
    jobs = [Job("note", bench.roots[0], {"number": number}) for number in range(10)]
    dispatcher = bench.dispatcher(jobs, replace(SETTINGS, timeout_s=1.0))
    bench.fleet.end = bench.transport.kill  # type: ignore[method-assign]
    outcomes = bench.until_it_waits(dispatcher)
    bench.transport.step(bench.host(0))  # the first job goes alone, the others together
    outcomes += bench.until_it_waits(dispatcher)
    (lane,) = dispatcher._lanes.values()

    dispatcher._end_overdue(Overdue([(lane, overdue)]))  # type: ignore[arg-type]
    if overdue is None:
        for _ in range(5):
            outcomes += bench.until_it_waits(dispatcher)
            bench.transport.step(bench.host(0))
        outcomes += bench.until_it_waits(dispatcher)
        dispatcher._end_overdue(Overdue([(lane, None)]))  # type: ignore[arg-type]
    outcomes += bench.drive(dispatcher)

    ended = [outcome for outcome in outcomes if outcome.status == "timed_out"]
    assert [outcome.index for outcome in ended] == [6]
    assert ended[0].error is not None
    assert ended[0].error.type == JobTimeoutError.__name__
    assert dispatcher.counts() == Counts(ok=9, timed_out=1)
    assert bench.log(0) == [0, 1, 2, 3, 4, 5, 7, 8, 9]


def test_a_limit_of_time_takes_a_store_and_hosts_that_can_be_ended(tmp_path: Path):
    with Runner(library.app, in_process=True, store=tmp_path / "other.db") as runner:
        with pytest.raises(TimeLimitError, match="hosts"):
            runner.submit([], timeout_s=1.0)
        assert runner.submit([]).wait() == Counts()


@pytest.mark.parametrize("stored", [0, 1, 2])
def test_what_waited_for_others_takes_effect_once_in_order_after_a_takeover(
    bench: Bench, stored: int
):
    jobs = [
        job._replace(options=Options(depends_on=f"j{number - 3}") if number % 7 == 6 else None)
        for number, job in enumerate(bench.notes(200, "j"))
    ]
    dispatcher = bench.dispatcher(jobs)
    outcomes = bench.until_it_waits(dispatcher)
    bench.transport.step_all()
    outcomes += bench.until_it_waits(dispatcher)

    bench.transport.kill(bench.host(0), after=stored)
    outcomes += bench.drive(dispatcher)

    assert sorted(each.index for each in outcomes) == list(range(200))
    assert dispatcher.counts() == Counts(ok=200)
    assert [bench.log(0), bench.log(1)] == [EVENS, ODDS]


def test_what_is_skipped_is_not_stored_and_skipped_again(bench: Bench):
    jobs = [
        Job("fail", bench.roots[0], {"message": "no"}, "a"),
        Job("note", bench.roots[1], {"number": 1}, "b", Options(depends_on="a")),
    ]

    first, again = bench.run(*jobs), bench.run(*jobs)

    assert [each.status for each in first] == ["failed", "skipped"]
    assert [each._replace(queued_s=0, run_s=0) for each in again] == [
        each._replace(queued_s=0, run_s=0) for each in first
    ]
    assert bench.run(jobs[1]._replace(options=None))[0].ok


def test_a_stored_root_is_housed_by_a_look_at_its_own_branches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store of ten thousand trees would be read ten thousand times else."""
    bench = Bench(tmp_path / STORE, roots=5)
    bench.fleet.close()
    asked: list[Any] = []
    catalog = SqliteJournal.catalog

    def noted(journal: Any, roots: Any = None) -> Any:
        asked.append(None if roots is None else {*roots})
        return catalog(journal, roots)

    monkeypatch.setattr(SqliteJournal, "catalog", noted)
    other = Bench(tmp_path / STORE, roots=0)

    outcomes = other.run(*[Job("note", root, {"number": 1}) for root in bench.roots])

    assert [each.version for each in outcomes] == [2] * 5
    assert asked[0] is None
    assert sorted(asked[1:], key=str) == sorted(({root.root} for root in bench.roots), key=str)
