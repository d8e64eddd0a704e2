"""Which job is run again, when and as which execution; without any host."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tenacity import RetryCallState
from tenacity.wait import wait_base, wait_exponential, wait_fixed

from registry.journal.outcomes import Failed, read_outcome, write_outcome
from runner.asked import Asked
from runner.attempts import Attempts, attempt_id, policy_for, status_of
from runner.batch import ErrorInfo, Outcome, Status
from runner.errors import ExecutionError, JobError, JobTimeoutError, PoisonError
from runner.options import Options, Retries
from runner.wire import Row

BATCH = 0x100
ROW: Row = (("note", ("number",)), None, 7, "a", (1,))
UNNAMED: Row = (("note", ("number",)), None, 7, None, (1,))


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Spy(wait_base):
    """Notes what it is asked, and waits as long as the attempt's number."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, Any, float]] = []

    def __call__(self, retry_state: RetryCallState) -> float:
        assert retry_state.outcome is not None
        error = retry_state.outcome.exception()
        self.seen.append((retry_state.attempt_number, error, retry_state.idle_for))
        return float(retry_state.attempt_number)


def info(error: BaseException) -> ErrorInfo:
    return ErrorInfo.of(error)


def attempts(retries: Retries) -> tuple[Attempts, Clock]:
    clock = Clock()
    return Attempts(BATCH, Asked(Options(retries=retries), None), clock), clock


@pytest.mark.parametrize(
    ("on", "error", "is_named"),
    [
        ((Exception,), ValueError("no"), True),
        ((ValueError,), ValueError("no"), True),
        (("ValueError",), ValueError("no"), True),
        ((OSError,), ConnectionResetError("no"), True),
        (("ConnectionError",), ConnectionResetError("no"), True),
        ((KeyError,), ValueError("no"), False),
        (("OSErr",), OSError("no"), False),
        ((Exception,), SystemExit(3), False),
        ((BaseException,), SystemExit(3), True),
        ((), ValueError("no"), False),
    ],
)
def test_an_error_is_named_by_its_class_or_one_that_it_inherits_from(
    on: Any, error: BaseException, is_named: bool
):
    policy = Retries(on=on)

    assert policy_for([policy], "failed", info(error)) == (policy if is_named else None)


def test_of_several_policies_the_first_that_names_the_error_counts():
    first, second, last = Retries(on=(KeyError,)), Retries(on=(OSError,)), Retries()

    assert policy_for([first, second, last], "failed", info(ConnectionError())) is second


@pytest.mark.parametrize(
    ("on", "is_named"),
    [((Exception,), False), ((JobTimeoutError,), True), (("TransientError",), True)],
)
def test_a_job_that_ran_too_long_is_run_again_only_if_that_is_named(on: Any, is_named: bool):
    error = info(JobTimeoutError("note", 1.0))

    assert (policy_for([Retries(on=on)], "timed_out", error) is not None) == is_named


@pytest.mark.parametrize("status", ["quarantined", "lost", "cancelled", "skipped"])
def test_nothing_else_is_run_again(status: Status):
    policy = Retries(on=(BaseException, PoisonError))

    assert policy_for([policy], status, info(PoisonError("note", 3))) is None


def test_an_error_of_an_old_store_counts_as_an_exception():
    bare = ErrorInfo("Stumble", "no")

    assert policy_for([Retries()], "failed", bare) is not None
    assert policy_for([Retries(on=(OSError,))], "failed", bare) is None
    assert read_outcome(b'[-1,"Stumble","no",["f"],[]]', None, "here") == Failed(
        "Stumble", "no", ("f",)
    )


def test_what_is_stored_keeps_what_the_class_inherits_from():
    stored = Failed(*info(ConnectionResetError("no")))

    assert read_outcome(write_outcome(stored, None), None, "here") == stored
    assert stored.bases == ("ConnectionError", "OSError", "Exception", "BaseException")
    assert info(OSError()).bases is info(OSError()).bases  # a pickle of many holds it once


class PoisonErrorOfSomebody(Exception):  # noqa: N818 - see its name
    """A class of a user."""


PoisonErrorOfSomebody.__name__ = "PoisonError"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (PoisonError("note", 3), "quarantined"),
        (JobTimeoutError("note", 1.0), "timed_out"),
        (ValueError("no"), "failed"),
        (PoisonErrorOfSomebody(), "failed"),
    ],
)
def test_a_status_follows_from_the_error_that_was_stored(error: Exception, status: Status):
    assert status_of(info(error)) == status


def test_each_attempt_is_an_execution_of_its_own():
    assert [attempt_id("a", attempt) for attempt in (1, 2, 3)] == ["a", "a#2", "a#3"]
    assert [attempt_id(0x1F, attempt) for attempt in (1, 2)] == [0x1F, "1f#2"]


@pytest.mark.parametrize(
    ("row", "number", "ids"),
    [(ROW, "a", ["a#2", "a#3"]), (UNNAMED, BATCH + 7, ["107#2", "107#3"])],
)
def test_a_job_is_run_as_often_as_it_may_and_told_as_itself(
    row: Row, number: int | str, ids: list[str]
):
    policy = Retries(3, wait=wait_fixed(0))
    bench, _ = attempts(policy)
    seen = []

    while (found := bench.policy(7, "failed", info(OSError()))) is not None:
        bench.let_wait(row, found, info(OSError()), is_known=False)
        (row,) = bench.due()
        seen.append(row[3])

    assert seen == ids
    told = bench.told(Outcome(7, row[3] or "", "note", None, "failed"))
    assert (told.number, told.attempts) == (number, 3)
    assert not bench
    assert bench.policy(7, "failed", info(OSError())) is not None  # it is forgotten


def test_jobs_wait_as_long_as_they_should_and_come_in_the_order_in_which_they_are_due():
    bench, clock = attempts(Retries(9, wait=wait_exponential(multiplier=2, max=60)))
    policy = bench.policy(1, "failed", info(OSError()))
    assert policy is not None
    late: Row = (ROW[0], None, 1, "late", (1,))
    early: Row = (ROW[0], None, 2, "early", (1,))

    bench.let_wait(late, policy, info(OSError()), is_known=False)
    clock.now = 2.0
    (late,) = bench.due()
    bench.let_wait(late, policy, info(OSError()), is_known=False)
    bench.let_wait(early, policy, info(OSError()), is_known=False)

    assert bench.wait_s == 2.0
    clock.now = 3.5
    assert (bench.wait_s, list(bench.due())) == (0.5, [])
    clock.now = 10.0
    assert [row[3] for row in bench.due()] == ["early#2", "late#3"]
    assert bench.wait_s is None
    assert not bench.is_any_waiting


def test_a_wait_is_told_the_attempt_its_error_and_how_long_it_waited():
    spy = Spy()
    bench, clock = attempts(Retries(3, wait=spy))
    policy = bench.policy(7, "failed", info(OSError("a")))
    assert policy is not None

    bench.let_wait(ROW, policy, info(OSError("a")), is_known=False)
    clock.now = 1.0
    (row,) = bench.due()
    bench.let_wait(row, policy, info(OSError("b")), is_known=False)

    assert [(number, idle_s) for number, _, idle_s in spy.seen] == [(1, 0.0), (2, 1.0)]
    assert [(type(error), str(error)) for _, error, _ in spy.seen] == [
        (ExecutionError, "execution a of 'note': OSError: a"),
        (ExecutionError, "execution a#2 of 'note': OSError: b"),
    ]


def test_what_failed_in_a_run_before_has_waited():
    bench, _ = attempts(Retries(wait=wait_fixed(1_000)))
    policy = bench.policy(7, "failed", info(OSError()))
    assert policy is not None

    bench.let_wait(ROW, policy, info(OSError()), is_known=True)

    assert [row[3] for row in bench.due()] == ["a#2"]


def test_attempts_of_a_batch_come_on_top_of_those_before():
    policy = Retries(2, wait=wait_fixed(0))
    bench, _ = attempts(policy)

    row = bench.begin(ROW, 4)
    assert row[3] == "a#5"
    assert bench.policy(7, "failed", info(OSError())) is policy
    bench.let_wait(row, policy, info(OSError()), is_known=False)
    assert [each[3] for each in bench.due()] == ["a#6"]
    assert bench.policy(7, "failed", info(OSError())) is None


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Retries(0), "Retries.attempts 0 is less than 1"),
        (lambda: Retries("3"), "Retries.attempts '3' is not a whole number"),  # type: ignore[arg-type]
        (lambda: Retries(True), "Retries.attempts True is not a whole number"),
        (lambda: Retries(on="OSError"), "Retries.on 'OSError' is not a sequence"),
        (lambda: Retries(on=(3,)), "Retries.on 3 is neither"),  # type: ignore[arg-type]
        (lambda: Retries(wait=3), "Retries.wait 3 is no wait of"),  # type: ignore[arg-type]
        (lambda: Options(retries=3), "Options.retries 3 is no Retries"),  # type: ignore[arg-type]
        (lambda: Options(retries=[3]), "Options.retries 3 is no Retries"),  # type: ignore[list-item]
        (lambda: Options(timeout_s="3"), "Options.timeout_s '3' is not a number"),  # type: ignore[arg-type]
        (lambda: Options(timeout_s=0), "Options.timeout_s 0 is not positive"),
        (lambda: Options(timeout_s=float("nan")), "Options.timeout_s nan is not positive"),
        (lambda: Options(memory_bytes=1.5), "Options.memory_bytes 1.5 is not a number"),  # type: ignore[arg-type]
        (lambda: Options(memory_bytes=-1), "Options.memory_bytes -1 is not positive"),
        (lambda: Options(attempts_before=-1), "Options.attempts_before -1 is no count"),
    ],
)
def test_options_that_mean_nothing_are_refused(make: Any, text: str):
    with pytest.raises(JobError) as caught:
        make()

    assert str(caught.value).startswith(text)


def test_a_jobs_own_policies_count_before_those_of_its_batch():
    asked = Asked(Options(retries=Retries(2)), None)
    asked.note(1, Options(retries=[Retries(3), Retries(4)]))
    asked.note(2, Options(timeout_s=1.0))
    asked.note(3, Options(retries=[]))

    assert [len(asked.policies(index)) for index in range(4)] == [1, 2, 1, 0]
    asked.forget(1)
    assert len(asked.policies(1)) == 1


def test_limits_are_those_of_the_job_else_of_the_batch():
    asked = Asked(Options(memory_bytes=5), 8.0)
    asked.note(1, Options(timeout_s=2.0, memory_bytes=7))

    assert [asked.timeout_s(index) for index in (0, 1)] == [8.0, 2.0]
    assert asked.shortest_timeout_s() == 2.0
    assert asked.memory([0, 1]) == {0: 5, 1: 7}
    asked.forget(1)
    assert asked.shortest_timeout_s() == 8.0
    assert Asked(Options(), None).memory([0, 1]) is None


def test_options_of_a_job_over_those_of_a_batch():
    whole = Options(timeout_s=1.0, retries=Retries(2), priority=3)

    assert Options(timeout_s=2.0).over(whole) == replace(whole, timeout_s=2.0)
