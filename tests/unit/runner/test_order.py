"""Jobs that depend on others, through a dispatcher whose hosts answer in any order.

What comes out is held against the plainest way to run the same jobs: one after the other.
"""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry import Ref
from runner import Runner, wire
from runner.batch import Counts, Job, Outcome
from runner.dispatcher import Dispatcher
from runner.errors import JobError, SkippedError
from runner.options import Options, ResultOf
from tests.contract import library
from tests.contract.library import Library, Shelf
from tests.unit.runner.test_dispatcher import SETTINGS, Bench, until_it_waits

SMALL = replace(SETTINGS, chunk_jobs=3, first_chunk_jobs=2, pull_jobs=5)


# --- jobs drawn at random, and what becomes of them one after the other ---


class Asked(NamedTuple):
    """What a job is to be, before it is known which roots there are.

    Attributes:
        kind: One of `KINDS`.
        root: Which of the roots, or ...
        root_from: ... of the job whose result it runs on.
        result: Job whose result it takes as its number.
        needs: Other jobs that it depends on.
        has_id: Whether others may depend on it.
    """

    kind: str
    root: int
    root_from: int | None
    result: int | None
    needs: tuple[int, ...]
    has_id: bool

    @property
    def depends_on(self) -> list[int]:
        """All that it must wait for."""
        root_from = None if self.kind in ROOTLESS else self.root_from
        result = self.result if self.kind in TAKES_NUMBER else None
        return [*self.needs, *(each for each in (root_from, result) if each is not None)]


KINDS = ("note", "note", "note", "fail", "add_up", "found", "split_off", "shelve")
TAKES_NUMBER = ("note", "add_up")
ROOTLESS = ("add_up", "found")


@st.composite
def batches(draw: st.DrawFn) -> list[Asked]:
    count = draw(st.integers(1, 25))
    batch = []
    for index in range(count):
        earlier = st.none() | st.integers(0, index - 1) if index else st.none()
        batch.append(
            Asked(
                draw(st.sampled_from(KINDS)),
                draw(st.integers(0, 1)),
                draw(st.none() | st.none() | earlier),
                draw(st.none() | earlier),
                draw(st.lists(st.integers(0, index - 1), max_size=2).map(tuple)) if index else (),
                draw(st.integers(0, 9)) > 0,
            )
        )
    return batch


def job_of(asked: Asked, index: int, roots: Sequence[Ref]) -> Job:
    root: Any = None
    if asked.kind not in ROOTLESS:
        root = roots[asked.root] if asked.root_from is None else ResultOf(f"{asked.root_from}")
    number: Any = index if asked.result is None else ResultOf(f"{asked.result}")
    arguments: dict[str, Any] = {
        "note": {"number": number},
        "fail": {"message": "as it should"},
        "add_up": {"a": number, "b": 1},
        "found": {"name": f"{index}"},
        "split_off": {"name": f"{index}"},
        "shelve": {"shelf": Shelf()},
    }[asked.kind]
    needs = [f"{each}" for each in asked.needs]
    options = Options(depends_on=needs) if needs else None
    return Job(asked.kind, root, arguments, f"{index}" if asked.has_id else None, options)


class Plain:
    """Runs jobs one after the other, on lists.

    Attributes:
        logs: What each root noted: by its number, or that of the job that created it.
        results: Status and value of each job; a root stands for itself as `("root", its name)`.
    """

    def __init__(self, batch: Sequence[Asked]) -> None:
        self.logs: dict[Any, list[int]] = {0: [], 1: []}
        self.results: list[tuple[str, Any]] = []
        for index, asked in enumerate(batch):
            self.results.append(self.outcome(batch, index, asked))

    def outcome(self, batch: Sequence[Asked], index: int, asked: Asked) -> tuple[str, Any]:
        if any(not batch[each].has_id for each in asked.depends_on):
            return "failed", None
        if any(self.results[each][0] != "ok" for each in asked.depends_on):
            return "skipped", None
        root: Any = ("root", asked.root)
        if asked.root_from is not None and asked.kind not in ROOTLESS:
            root = self.results[asked.root_from][1]
        number: Any = index if asked.result is None else self.results[asked.result][1]
        return self.run(asked.kind, index, root, number)

    def run(self, kind: str, index: int, root: Any, number: Any) -> tuple[str, Any]:
        is_root, is_number = isinstance(root, tuple), isinstance(number, int)
        if kind == "fail" or (kind not in ROOTLESS and not is_root):
            return "failed", None
        if kind in TAKES_NUMBER and not is_number:
            return "failed", None
        if kind == "add_up":
            return "ok", number + 1
        if kind == "found":
            self.logs[f"born {index}"] = []
            return "ok", ("root", f"born {index}")
        log = self.logs[root[1]]
        if kind == "shelve":
            return "ok", root
        if kind == "split_off":
            log.append(0)
            self.logs[f"born {index}"] = []
            return "ok", ("root", f"born {index}")
        log.append(number)
        return "ok", len(log)


def compared(
    batch: Sequence[Asked],
    roots: Sequence[Ref],
    outcomes: Iterable[Outcome],
    read_log: Callable[[Ref], list[int]],
) -> None:
    """Compare outcomes, and what each root has, with those of `Plain`."""
    plain = Plain(batch)
    known = dict(zip(roots, plain.logs, strict=False))
    came = {each.index: each for each in outcomes}
    assert sorted(came) == list(range(len(batch)))
    for index, (status, value) in enumerate(plain.results):
        outcome = came[index]
        assert outcome.status == status, (index, outcome)
        if batch[index].kind in ("found", "split_off") and status == "ok":
            known[outcome.value] = value[1]
        elif status == "ok":
            told = (
                ("root", known[outcome.value]) if isinstance(outcome.value, Ref) else outcome.value
            )
            assert told == value
    assert {name: read_log(root) for root, name in known.items()} == plain.logs


class Watched(Bench):
    """A bench that asserts that no job is sent before those that it depends on were answered."""

    def __init__(self, batch: Sequence[Asked], dice: random.Random) -> None:
        super().__init__()
        self.outcomes: list[Outcome] = []
        self._batch = batch
        self._dice = dice
        self._answered: set[int] = set()
        self._send = self.transport.send
        self.transport.send = self.send  # type: ignore[method-assign]

    def send(self, host: int, method: str, payload: bytes, deliver: Any) -> None:
        if method == "execute":
            for index in wire.loads(payload)[3]:
                assert self._answered.issuperset(self._batch[index].depends_on)
        self._send(host, method, payload, deliver)

    def step_any(self) -> None:
        """Let one host, any, serve its next chunk."""
        busy = [host for host, waiting in self.transport.waiting.items() if waiting]
        host = self._dice.choice(busy)
        self._answered.update(wire.loads(self.transport.waiting[host][0].payload)[3])
        self.transport.step(host)

    def run(self, dispatcher: Dispatcher) -> None:
        """Run a batch to its end; whoever reads takes outcomes now and then."""
        dispatcher._await_arrival = self.waited(dispatcher)  # type: ignore[method-assign]
        while dispatcher.advance():
            for _ in range(self._dice.randint(1, len(dispatcher.ready))):
                self.outcomes.append(dispatcher.ready.popleft())

    def waited(self, dispatcher: Dispatcher) -> Callable[[], None]:
        def wait() -> None:
            self.step_any()
            dispatcher._collect_arrived()

        return wait

    def log(self, root: Ref) -> list[int]:
        entry = self.directory.entry(root)
        found = self.fleet.call(entry.host, "ask", (entry.root, "snapshot", ()))
        return list(found.log)


@settings(max_examples=150, deadline=None)
@given(batches(), st.integers(0, 2**32))
def test_jobs_come_out_as_if_they_ran_one_after_the_other(batch: list[Asked], seed: int) -> None:
    bench = Watched(batch, random.Random(seed))
    jobs = [job_of(asked, index, bench.roots) for index, asked in enumerate(batch)]

    bench.run(bench.dispatcher(jobs, SMALL))

    compared(batch, bench.roots, bench.outcomes, bench.log)


@settings(max_examples=50, deadline=None)
@given(st.lists(batches(), min_size=1, max_size=2))
def test_a_runner_gives_what_running_one_after_the_other_gives(some: list[list[Asked]]) -> None:
    for batch in some:
        with Runner(library.app, in_process=True) as runner:
            roots = runner.add_many([Library(), Library()])
            jobs = [job_of(asked, index, roots) for index, asked in enumerate(batch)]

            outcomes = list(runner.submit(jobs))

            def log(root: Ref, runner: Runner = runner) -> list[int]:
                return list(runner.snapshot(root).log)

            compared(batch, roots, outcomes, log)


# --- one thing at a time ---


@pytest.fixture
def bench() -> Bench:
    """See `Bench`."""
    return Bench()


def run(bench: Bench, dispatcher: Dispatcher) -> list[Outcome]:
    """Run a batch to its end, and return the outcomes in the order of the jobs."""
    outcomes: list[Outcome] = []
    dispatcher._await_arrival = bench.transport.step_all  # type: ignore[method-assign]
    while dispatcher.advance():
        outcomes += dispatcher.ready
        dispatcher.ready.clear()
    return sorted(outcomes)


def error_of(outcome: Outcome) -> tuple[str, str, str]:
    assert outcome.error is not None
    return outcome.status, outcome.error.type, outcome.error.message


def after(*ids: str) -> Options:
    return Options(depends_on=ids)


def test_a_job_is_skipped_if_one_that_it_depends_on_did_not_succeed(bench: Bench) -> None:
    jobs = [
        Job("fail", bench.roots[0], {"message": "no such shelf"}, "a"),
        Job("note", bench.roots[1], {"number": 1}, "b", after("a")),
        Job("note", bench.roots[0], {"number": 2}, "c", after("b")),
        Job("note", bench.roots[0], {"number": ResultOf("c")}),
    ]
    dispatcher = bench.dispatcher(jobs)

    outcomes = run(bench, dispatcher)

    reason = "ValueError: no such shelf); it runs when that one is ok"
    assert [error_of(each) for each in outcomes[1:]] == [
        ("skipped", "SkippedError", f"job 'a', which it depends on, is failed ({reason}"),
        ("skipped", "SkippedError", f"job 'b', which it depends on, is skipped ({reason}"),
        ("skipped", "SkippedError", f"job 'c', which it depends on, is skipped ({reason}"),
    ]
    assert [each.root for each in outcomes] == [bench.roots[each] for each in (0, 1, 0, 0)]
    assert dispatcher.counts() == Counts(failed=1, skipped=3)
    assert dispatcher.counts().done == 4


def test_of_several_that_did_not_succeed_the_first_named_is_told(bench: Bench) -> None:
    """Whichever ends first: running the same jobs again tells the same."""
    jobs = [
        Job("fail", bench.roots[0], {"message": "1"}, "a"),
        Job("fail", bench.roots[1], {"message": "2"}, "b"),
        Job("note", bench.roots[0], {"number": 1}, None, after("b", "a")),
    ]
    for first, then in ((0, 1), (1, 0)):
        dispatcher = bench.dispatcher(jobs)
        order = [*[first] * 3, *[then] * 3]

        def wait(order: list[int] = order) -> None:
            host = next(each for each in order if bench.transport.waiting[each])
            bench.transport.step(host)

        dispatcher._await_arrival = wait  # type: ignore[method-assign]
        outcomes: list[Outcome] = []
        while dispatcher.advance():
            outcomes += dispatcher.ready
            dispatcher.ready.clear()

        assert error_of(sorted(outcomes)[2])[2].startswith("job 'b'")


def test_a_chain_of_skipped_jobs_is_told_of_the_first_in_few_words(bench: Bench) -> None:
    jobs = [Job("fail", bench.roots[0], {"message": "x"}, "0")]
    jobs += [Job("add_up", None, {}, f"{n}", after(f"{n - 1}")) for n in range(1, 3_000)]

    outcomes = run(bench, bench.dispatcher(jobs))

    assert {each.status for each in outcomes[1:]} == {"skipped"}
    assert max(len(error_of(each)[2]) for each in outcomes) < 120


@pytest.mark.parametrize(
    ("job", "problem"),
    [
        (
            Job("add_up", None, {"a": 1, "b": 2}, "z", after("nobody")),
            "depends on 'nobody', and no",
        ),
        (Job("add_up", None, {"a": 1, "b": 2}, "z", after("z")), "depends on 'z', and no earlier"),
        (Job("add_up", None, {"a": 1, "b": 2}, "z", after("later")), "depends on 'later', and no"),
        (Job("add_up", None, {"a": ResultOf("nobody"), "b": 2}), "depends on 'nobody', and no"),
        (Job("note", ResultOf("nobody"), {"number": 2}), "depends on 'nobody', and no earlier"),
        (Job("add_up", None, {"a": ResultOf(3), "b": 2}), "takes ResultOf(3), expected the id"),  # type: ignore[arg-type]
        (Job("add_up", None, {"a": 1}, "z", {"priority": 1}), "has a dict as its options, expec"),  # type: ignore[arg-type]
        (Job("add_up", None, [ResultOf("a")], "z"), "cannot be read (AttributeError"),  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_what_cannot_be_waited_for_is_named_and_costs_one_job(
    bench: Bench, job: Job, problem: str
) -> None:
    first, last = (
        Job("add_up", None, {"a": 1, "b": n}, each) for n, each in ((1, "a"), (2, "later"))
    )

    outcomes = run(bench, bench.dispatcher([first, job, last]))

    assert [each.status for each in outcomes] == ["ok", "failed", "ok"]
    assert error_of(outcomes[1])[:2] == ("failed", "JobError")
    assert error_of(outcomes[1])[2].startswith(f"job 1 {problem}")


@pytest.mark.parametrize(
    "job",
    [
        Job("note", ResultOf("a"), {"number": 1}),
        Job("note", None, {"library": ResultOf("a"), "number": 1}),
        Job("total", None, {"libraries": [ResultOf("a")]}),
        Job("add_up", None, {"a": ResultOf("a"), "b": 2}),
        Job("add_up", None, {"a": {ResultOf("a")}, "b": 2}),
    ],
    ids=repr,
)
def test_a_result_in_a_batch_without_ids_is_refused(bench: Bench, job: Job) -> None:
    (outcome,) = run(bench, bench.dispatcher([job]))

    assert error_of(outcome)[:2] == ("failed", "JobError")
    assert error_of(outcome)[2].startswith("ResultOf('a') is not replaced")


def test_a_job_may_depend_on_one_that_could_not_be_sent(bench: Bench) -> None:
    jobs = [
        Job("nothing", None, {}, "a"),
        Job("note", "nowhere", {}, "b"),
        Job("add_up", None, {"a": 1}, "c", {}),  # type: ignore[arg-type]
        *(Job("add_up", None, {"a": 1, "b": 1}, None, after(each)) for each in "abc"),
    ]

    outcomes = run(bench, bench.dispatcher(jobs))

    assert [each.status for each in outcomes] == ["failed"] * 3 + ["skipped"] * 3


def test_a_result_that_could_not_be_sent_is_no_argument(bench: Bench) -> None:
    jobs = [
        Job("bind", bench.roots[0], {}, "a"),
        Job("note", bench.roots[0], {"number": 1}, None, after("a")),
        Job("note", bench.roots[0], {"number": ResultOf("a")}),
    ]

    outcomes = run(bench, bench.dispatcher(jobs))

    assert [each.status for each in outcomes] == ["ok", "ok", "failed"]
    assert error_of(outcomes[2])[2].startswith("job 2 takes the result of 'a', which has none: ")


def test_jobs_behind_one_that_waits_wait_if_they_are_for_the_same_owner(bench: Bench) -> None:
    jobs = [
        Job("note", bench.roots[1], {"number": 1}, "a"),
        Job("note", bench.roots[0], {"number": 2}, None, after("a")),
        Job("note", bench.roots[0], {"number": 3}),
        Job("note", bench.roots[1], {"number": 4}),
        Job("add_up", None, {"a": 1, "b": 1}),
    ]
    dispatcher = bench.dispatcher(jobs)
    until_it_waits(bench, dispatcher)

    sent = [
        row
        for waiting in bench.transport.waiting.values()
        for each in waiting
        for row in wire.loads(each.payload)[3]
    ]

    assert {0, 4} <= {*sent} <= {0, 3, 4}
    assert [each.value for each in run(bench, dispatcher)] == [1, 1, 2, 2, 2]


def test_jobs_that_wait_are_held_and_bounded(bench: Bench) -> None:
    taken: list[int] = []

    def source() -> Iterable[Job]:
        yield Job("note", bench.roots[0], {"number": 0}, "a")
        for number in range(1, 1_000):
            taken.append(number)
            yield Job("note", bench.roots[1], {"number": number}, None, after("a"))

    dispatcher = bench.dispatcher(source(), replace(SETTINGS, held_jobs=100))
    until_it_waits(bench, dispatcher)

    assert len(taken) < 100
    assert len(run(bench, dispatcher)) == 1_000


def test_a_cancelled_batch_cancels_what_waits(bench: Bench) -> None:
    jobs = [
        Job("note", bench.roots[0], {"number": 0}, "a"),
        *(Job("note", bench.roots[1], {"number": n}, None, after("a")) for n in range(10)),
    ]
    dispatcher = bench.dispatcher(jobs)
    until_it_waits(bench, dispatcher)

    dispatcher.cancel()
    outcomes = run(bench, dispatcher)

    assert dispatcher.counts() == Counts(cancelled=11)
    assert {each.root for each in outcomes[1:]} == {bench.roots[1]}
    assert error_of(outcomes[1])[2].endswith("was not begun")


def test_what_waits_for_a_host_that_dies_is_skipped(bench: Bench) -> None:
    jobs = [
        Job("note", bench.roots[0], {"number": 0}, "a"),
        Job("note", bench.roots[1], {"number": 1}, None, after("a")),
    ]
    dispatcher = bench.dispatcher(jobs)
    until_it_waits(bench, dispatcher)

    bench.transport.kill(0)
    outcomes = run(bench, dispatcher)

    assert [each.status for each in outcomes] == ["lost", "skipped"]
    assert "job 'a', which it depends on, is lost (RootLostError: " in error_of(outcomes[1])[2]


def test_what_is_forgotten_is_said_with_the_setting(bench: Bench) -> None:
    jobs = [Job("add_up", None, {"a": 1, "b": n}, f"{n}") for n in range(50)]
    few = replace(SETTINGS, remembered_outcomes=10, held_jobs=20)

    *_, forgotten, known = run(
        bench,
        bench.dispatcher(
            [
                *jobs,
                Job("add_up", None, {"a": 1, "b": 1}, None, after("0")),
                Job("add_up", None, {"a": 1, "b": 1}, None, after("49")),
            ],
            few,
        ),
    )

    assert error_of(forgotten)[2].endswith("or raise Settings.remembered_outcomes")
    assert "'0', which is not the id of one of the last 10 jobs" in error_of(forgotten)[2]
    assert known.ok


def test_an_outcome_that_is_known_may_be_depended_on(bench: Bench) -> None:
    (known,) = run(bench, bench.dispatcher([Job("add_up", None, {"a": 1, "b": 1}, "a")]))
    dispatcher = bench.dispatcher([Job("add_up", None, {"a": ResultOf("a"), "b": 1}, "b")])
    after_it = bench.dispatcher([Job("add_up", None, {"a": ResultOf("a"), "b": ResultOf("b")})])

    dispatcher.learn(known)

    assert [each.value for each in run(bench, dispatcher)] == [3]
    after_it.learn_from(dispatcher)
    assert [each.value for each in run(bench, after_it)] == [5]


def test_a_batch_learns_by_its_handle(bench: Bench) -> None:
    with Runner(library.app, in_process=True) as runner:
        first = runner.submit([Job("add_up", None, {"a": 1, "b": 1}, "a")])
        (known,) = first
        jobs = [Job("add_up", None, {"a": ResultOf("a"), "b": 1})]

        second, third = runner.submit(jobs), runner.submit(jobs)
        second.learn(known)
        third.learn_from(first)

        assert [each.value for each in (*second, *third)] == [3, 3]


def test_a_batch_cannot_depend_on_its_own_jobs(bench: Bench) -> None:
    with Runner(library.app, in_process=True) as runner, pytest.raises(JobError) as caught:
        runner.submit([], options=after("a"))

    assert caught.value.subject == "Options.depends_on ['a'] of a batch"


def test_a_skipped_error_tells_what_it_has(bench: Bench) -> None:
    error = pickle.loads(pickle.dumps(SkippedError("a", "failed", "ValueError", "no")))

    assert (error.dependency, error.status) == ("a", "failed")
    assert (error.error_type, error.message) == ("ValueError", "no")


# --- options ---


@pytest.mark.parametrize(
    ("wrong", "subject", "problem"),
    [
        ({"priority": "high"}, "Options.priority 'high'", "is no integer"),
        ({"priority": 1.5}, "Options.priority 1.5", "is no integer"),
        ({"priority": True}, "Options.priority True", "is no integer"),
        ({"depends_on": 3}, "Options.depends_on 3", "is no list of ids"),
        ({"depends_on": None}, "Options.depends_on None", "is no list of ids"),
        ({"depends_on": ["a", 3]}, "Options.depends_on 3", "is no id, expected text"),
        ({"depends_on": b"a"}, "Options.depends_on 97", "is no id, expected text"),
    ],
    ids=repr,
)
def test_options_of_the_wrong_kind_are_named(
    wrong: dict[str, Any], subject: str, problem: str
) -> None:
    with pytest.raises(JobError) as caught:
        Options(**wrong)

    assert (caught.value.subject, caught.value.problem) == (subject, problem)


def test_one_id_may_be_given_alone_and_any_iterable_of_them() -> None:
    assert Options(depends_on="abc") == Options(depends_on=["abc"])
    assert Options(depends_on=iter(["a", "b"])).depends_on == ("a", "b")  # type: ignore[arg-type]


# --- priorities ---


def log_of(bench: Bench, which: int) -> list[int]:
    found = bench.fleet.call(which, "ask", (bench.roots[which], "snapshot", ()))
    return list(found.log)


def test_jobs_with_a_higher_priority_are_sent_before_others_that_wait(bench: Bench) -> None:
    def ranked(number: int, priority: int | None) -> Job:
        options = None if priority is None else Options(priority=priority)
        return Job("note", bench.roots[0], {"number": number}, None, options)

    wanted = [None, None, 2, -1, 2, None, 5, -1]
    one_by_one = replace(SETTINGS, chunk_jobs=1, first_chunk_jobs=1)
    dispatcher = bench.dispatcher([ranked(*each) for each in enumerate(wanted)], one_by_one)

    outcomes = run(bench, dispatcher)

    assert all(each.ok for each in outcomes)
    assert log_of(bench, 0) == [0, 6, 2, 4, 1, 5, 3, 7]  # the first was sent before others came


def test_a_priority_is_more_or_less_than_that_of_the_batch(bench: Bench) -> None:
    jobs = [
        Job("note", bench.roots[0], {"number": number}, None, options)
        for number, options in enumerate([None, None, Options(priority=5), Options(priority=0)])
    ]
    jobs += [Job("note", bench.roots[0], {"number": 4}, None, Options(priority=6))]
    dispatcher = bench.dispatcher(jobs, replace(SETTINGS, chunk_jobs=1, first_chunk_jobs=1))
    dispatcher._options = Options(priority=5)

    run(bench, dispatcher)

    assert log_of(bench, 0) == [0, 4, 1, 2, 3]


def test_what_waits_for_another_is_not_sent_however_high_its_priority(bench: Bench) -> None:
    jobs = [
        Job("note", bench.roots[0], {"number": 0}, "a"),
        Job("note", bench.roots[0], {"number": 1}, None, Options(priority=9, depends_on="a")),
        Job("note", bench.roots[1], {"number": 2}),
    ]

    outcomes = run(bench, bench.dispatcher(jobs))

    assert [each.value for each in outcomes] == [1, 2, 1]
