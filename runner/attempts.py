"""Attempts: which job that failed is run again, when, and with which id.

    failed ── a policy names the error, attempts are left ──> waits ── due ──> sent again
           ── else ──────────────────────────────────────────> its outcome

An attempt is an execution of its own, since what failed is stored under its id: the second one of
job `a` is `a#2`. So whoever runs the same batch again, with the same ids, goes through the same
attempts, and each of them happens once.

Decisions and what waits; `dispatcher.py` sends.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import NamedTuple

from tenacity import RetryCallState, Retrying

from registry import ids
from runner.asked import Asked
from runner.batch import ErrorInfo, Outcome, Status
from runner.errors import ExecutionError, JobTimeoutError, PoisonError, WireError
from runner.options import Retries
from runner.wire import Row

_RETRYING = Retrying()
_EVERY_ERROR = {"Exception", "BaseException"}
_VERDICTS: dict[str, Status] = {
    PoisonError.__name__: "quarantined",
    JobTimeoutError.__name__: "timed_out",
}


def status_of(error: ErrorInfo) -> Status:
    """Return the status of a job that was answered an error: some are verdicts on it."""
    if error.type in _VERDICTS and "RunnerError" in error.bases:
        return _VERDICTS[error.type]
    return "failed"


def attempt_id(number: int | str, attempt: int) -> int | str:
    """Return the execution of an attempt.

    Args:
        number: The job's own id, or the number of its execution.
        attempt: Which, from 1.
    """
    return number if attempt == 1 else f"{ids.execution_text(number)}#{attempt}"


def policy_for(policies: Sequence[Retries], status: Status, error: ErrorInfo) -> Retries | None:
    """Return the policy that says to run a job again after an error, if there are attempts left.

    A job that ran too long cost the process of its host: one is run again only if that is named,
    and not just every error.
    """
    if status not in ("failed", "timed_out"):
        return None
    # What is stored without its bases is taken for an `Exception`, as nearly all are.
    names = {error.type, *(error.bases or _EVERY_ERROR)}
    if status == "timed_out":
        names -= _EVERY_ERROR
    return next((each for each in policies if not names.isdisjoint(each.names)), None)


class _Open(NamedTuple):
    """A job that was run before."""

    number: int | str
    """The job's own id, or the number of its execution."""
    attempt: int
    """The one that waits or is under way."""
    before: int
    """Attempts in other batches."""
    idle_s: float = 0.0
    """How long it has waited in all."""


class Attempts:
    """The jobs of one batch that were run before, and those of them that wait.

    Args:
        batch: Number of the batch.
        asked: What its jobs asked for.
        clock: Tells seconds; only differences are used.
    """

    def __init__(self, batch: int, asked: Asked, clock: Callable[[], float] = monotonic) -> None:
        self._batch = batch
        self._asked = asked
        self._clock = clock
        self._open: dict[int, _Open] = {}
        self._waiting: list[tuple[float, int, Row, ErrorInfo]] = []

    def __bool__(self) -> bool:
        """Whether there is a job that was run before."""
        return bool(self._open)

    def begin(self, row: Row, before: int) -> Row:
        """Return the row of a job that had attempts in batches before."""
        if not before:
            return row
        number = self._number(row)
        self._open[row[2]] = _Open(number, before + 1, before)
        return _with_id(row, number, before + 1)

    def policy(self, index: int, status: Status, error: ErrorInfo) -> Retries | None:
        """Return the policy by which a job is run again; None if it is not."""
        policies = self._asked.policies(index)
        found = policy_for(policies, status, error) if policies else None
        was = self._open.get(index)
        made = 1 if was is None else was.attempt - was.before
        return found if found is not None and made < found.attempts else None

    def let_wait(self, row: Row, policy: Retries, error: ErrorInfo, *, is_known: bool) -> None:
        """Let a job wait for its next attempt.

        Args:
            row: The job as it was sent.
            policy: Says how long.
            error: What it failed with.
            is_known: Whether it failed in another run: then the time has passed.

        Raises:
            WireError: The values of its arguments are not at hand.
            Exception: Whatever a wait of the user's own raises.
        """
        if len(row[4]) != len(row[0][1]):
            raise WireError("a job to be run again", "its arguments cannot be read here")
        was = self._open.get(row[2]) or _Open(self._number(row), 1, 0)
        pause_s = 0.0 if is_known else _pause_s(policy, was, row, error)
        now = _Open(was.number, was.attempt + 1, was.before, was.idle_s + pause_s)
        self._open[row[2]] = now
        due_s = self._clock() + pause_s
        again = _with_id(row, now.number, now.attempt)
        heapq.heappush(self._waiting, (due_s, row[2], again, error))

    def due(self) -> Iterator[Row]:
        """Yield the jobs that have waited long enough, those that waited least last."""
        now_s = self._clock()
        while self._waiting and self._waiting[0][0] <= now_s:
            yield heapq.heappop(self._waiting)[2]

    @property
    def is_any_waiting(self) -> bool:
        """Whether a job waits for its next attempt."""
        return bool(self._waiting)

    @property
    def wait_s(self) -> float | None:
        """How long until the next one is due; None if none waits."""
        return max(0.0, self._waiting[0][0] - self._clock()) if self._waiting else None

    def drain(self) -> Iterator[tuple[Row, ErrorInfo]]:
        """Let none wait any more; yield each, and what it failed with last."""
        while self._waiting:
            _, _, row, error = heapq.heappop(self._waiting)
            yield row, error

    def told(self, outcome: Outcome) -> Outcome:
        """Return an outcome as its job's, and forget the job."""
        was = self._open.pop(outcome.index, None)
        if was is None:
            return outcome
        return outcome._replace(number=was.number, attempts=was.attempt)

    def name_of(self, row: Row) -> int | str:
        """Return the job's own id, whichever attempt a row is; else the number of its execution."""
        was = self._open.get(row[2])
        return self._number(row) if was is None else was.number

    def _number(self, row: Row) -> int | str:
        return row[3] or self._batch + row[2]


def _with_id(row: Row, number: int | str, attempt: int) -> Row:
    own_id = attempt_id(number, attempt)
    assert isinstance(own_id, str), "only the first attempt is numbered"
    return (row[0], row[1], row[2], own_id, row[4])


def _pause_s(policy: Retries, was: _Open, row: Row, error: ErrorInfo) -> float:
    """Ask a wait of the tenacity library."""
    state = RetryCallState(_RETRYING, None, (), {})
    state.attempt_number = was.attempt - was.before
    state.idle_for = was.idle_s
    name = ids.execution_text(attempt_id(was.number, was.attempt))
    failed = ExecutionError(row[0][0], name, error)
    state.set_exception((ExecutionError, failed, None))
    return max(0.0, float(policy.wait(state)))
