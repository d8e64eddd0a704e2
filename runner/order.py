"""Which job of a batch may go now: those that depend on others wait, and so do those behind them.

A batch has an `Order` as soon as one of its jobs has an id, or options. Jobs for one root keep the
order of submission: so a root has the same history whatever comes first, and again after a crash.
A job that goes has the results of others in the place of each `ResultOf`.

Who waits for whom is in `dependencies.py`, what became of jobs is in `remembered.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from runner.batch import Job, Outcome
from runner.dependencies import Dependencies
from runner.errors import JobError, SkippedError
from runner.options import Options, ResultOf
from runner.remembered import Ended, Remembered, ended_of, result_of
from runner.results import MAY_HOLD, results_in, with_results
from runner.routing import Routing


@dataclass(slots=True)
class Held:
    """A job that may go when all is known that it needs."""

    index: int
    job: Job
    needs: dict[str, Ended | None] = field(default_factory=dict)
    """What those that it depends on became, by id; None: they have not ended."""
    open: list[int] = field(default_factory=list)
    """Those that had not when it was taken."""

    def resolved(self) -> Job:
        """Return the job as it is to be sent.

        Raises:
            SkippedError: One that it depends on did not succeed.
            JobError: One that it depends on succeeded, and its result could not be sent.
        """
        for execution_id, ended in self.needs.items():
            assert ended is not None, "it goes when all that it depends on have ended"
            if ended.status != "ok":
                kind = ended.error_type or ""
                raise SkippedError(execution_id, ended.status, kind, ended.error_message)
        job = self.job
        if not any(_results_of(job)):
            return job
        arguments = with_results({**job.arguments}, self._result)
        return job._replace(root=with_results(job.root, self._result), arguments=arguments)

    def _result(self, wanted: ResultOf) -> Any:
        ended = self.needs[wanted.id]
        assert ended is not None, "as above"
        if ended.error_type is not None:
            problem = f"takes the result of {wanted.id!r}, which has none: {ended.error_message}"
            raise JobError(f"job {self.index}", problem)
        return ended.value


class Order:
    """The jobs of one batch that wait, and what is known of those that have ids.

    Args:
        routing: Tells whose a job is.
        limit: Most jobs with ids that ended, and are remembered.
    """

    def __init__(self, routing: Routing, limit: int) -> None:
        self._routing = routing
        self._limit = limit
        self._waiting: Dependencies[Held] = Dependencies()
        self._remembered = Remembered(limit)
        self._skipped: dict[int, Ended] = {}
        """What others are told of jobs that were skipped a moment ago, by index."""

    def accept(self, job: Job, index: int) -> Job | None:
        """Return a job as it is to be sent; None: it waits.

        Raises:
            JobError: It depends on what is not there, or its options are none.
            SkippedError: One that it depends on did not succeed.
            RootNotFoundError, RootLostError: It waits for a root that is not here.

        Cost: 0.6 us for a job that has an id and depends on nothing.
        """
        try:
            is_free = _is_free(job)
            if is_free and not self._waiting.waiting:
                return job
            held = Held(index, job) if is_free else self._look_up(job, index)
            if not held.open:
                job = self.release(held)
                if not self._waiting.waiting:
                    return job
            owner = self._routing.owner(job)
            if not (held.open or self._waiting.is_held_back(owner)):
                return job
        finally:
            # Also of one that fails here: others may depend on it. Not before: it is no earlier
            # job than itself.
            if type(job.id) is str:
                self._remembered.begin(job.id, index)
        self._waiting.add(index, owner, held.open, held)
        return None

    def release(self, held: Held) -> Job:
        """Return a job that waited, or need not, as it is to be sent.

        Raises:
            SkippedError: One that it depends on did not succeed.
            JobError: One that it depends on succeeded, and its result could not be sent.
        """
        try:
            return held.resolved()
        except SkippedError as exc:
            # What depends on this one is told of the first that failed, however long the chain is.
            if held.job.id:
                reason = Ended("skipped", None, exc.error_type, exc.message)
                self._skipped[held.index] = reason
            raise

    def note(self, outcomes: Iterable[Outcome]) -> Iterator[Held]:
        """Note what became of jobs, and yield those that may go now, in order of submission."""
        remembered, waiting = self._remembered, self._waiting
        for outcome in outcomes:
            execution_id, index = outcome.number, outcome.index
            if type(execution_id) is not str:  # nobody can depend on it
                continue
            result = outcome.value
            if outcome.error is not None:
                result = self._skipped.pop(index, None) or result_of(outcome)
            remembered.end(execution_id, index, result)
            if index in waiting.needed:
                for held in waiting.end(index):
                    held.needs[execution_id] = ended_of(result)
        return waiting.free()

    def take_all(self) -> list[Held]:
        """Let no job wait any more, and return those that did."""
        return self._waiting.take_all()

    def learn(self, outcome: Outcome) -> None:
        """Note what became of a job that is not taken, since that is known."""
        self._remembered.learn(outcome.id, result_of(outcome))

    def learn_from(self, other: Order) -> None:
        """Note what the jobs of another batch became."""
        self._remembered.learn_from(other._remembered)

    def _look_up(self, job: Job, index: int) -> Held:
        held = Held(index, job)
        for execution_id in _dependencies(job, index):
            found = self._remembered.find(execution_id)
            if found is None:
                raise JobError(f"job {index}", self._unknown(execution_id))
            if isinstance(found, int):
                held.needs[execution_id] = None
                held.open.append(found)
            else:
                held.needs[execution_id] = found
        return held

    def _unknown(self, execution_id: str) -> str:
        if not self._remembered.has_forgotten:
            return (
                f"depends on {execution_id!r}, and no earlier job of its batch has that id; "
                f"put that job before it, with id={execution_id!r}"
            )
        return (
            f"depends on {execution_id!r}, which is not the id of one of the last {self._limit:,} "
            "jobs that ended; put it nearer to that job, or raise Settings.remembered_outcomes"
        )


def _is_free(job: Job) -> bool:
    """Tell at a glance that a job depends on nothing; some others do not, either."""
    return (
        job.options is None
        and type(job.root) is not ResultOf
        and MAY_HOLD.isdisjoint(map(type, job.arguments.values()))
    )


def _dependencies(job: Job, index: int) -> Iterable[str]:
    """Return the ids of the jobs that one depends on, each once, in the order of their names."""
    options = job.options
    if options is not None and not isinstance(options, Options):
        kind = type(options).__name__
        raise JobError(f"job {index}", f"has a {kind} as its options, expected Options")
    results = [each.id for each in _results_of(job)]
    if bad := [each for each in results if not isinstance(each, str)]:
        raise JobError(f"job {index}", f"takes ResultOf({bad[0]!r}), expected the id of a job")
    return dict.fromkeys(results if options is None else (*options.depends_on, *results))


def _results_of(job: Job) -> Iterator[ResultOf]:
    yield from results_in((job.root,))
    yield from results_in(job.arguments.values())
