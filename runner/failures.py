"""The jobs of a batch that did not succeed, so that they can be run again.

Of a list their indexes are enough. What a generator gave is gone: of that the jobs themselves are
kept, as many as `Settings.kept_failures`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from registry import ids
from runner.batch import Job, Outcome
from runner.errors import JobsNotKeptError
from runner.options import NO_OPTIONS, Options
from runner.wire import Row


class Failures:
    """Notes failures of one batch.

    Args:
        batch: Number of the batch.
        jobs: Its source.
        most: How many jobs are kept of a source that is no list.
    """

    def __init__(self, batch: int, jobs: Iterable[Job], most: int) -> None:
        self._batch = batch
        self._jobs = jobs if isinstance(jobs, Sequence) else None
        self._most = most
        self._kept: dict[int, Job] = {}
        self._before: dict[int, int] = {}
        """Attempts that count as made, by index."""
        self._cancelled: dict[int, int] = {}

    @property
    def wants_jobs(self) -> bool:
        """Whether jobs that failed are to be kept, since the source is gone."""
        return self._jobs is None and len(self._kept) < self._most

    def keep(self, index: int, job: Job) -> None:
        """Keep a job that will not succeed, as it was given."""
        if self.wants_jobs:
            self._kept.setdefault(index, job)

    def keep_row(self, row: Row, execution_id: str, options: Options | None) -> None:
        """Keep a job that will not succeed, as it was sent."""
        (name, names), root, index, _, values = row
        if len(values) == len(names):  # else they are not at hand
            arguments = dict(zip(names, values, strict=True))
            self.keep(index, Job(name, root, arguments, execution_id, options))

    def note(self, outcome: Outcome, *, is_stored: bool) -> None:
        """Note an outcome that is not `ok`.

        Args:
            outcome: The outcome.
            is_stored: Whether it belongs to its id from now on, so that another attempt needs
                another one. If it was not run, or nobody knows, another attempt is the same one.
        """
        noted = self._cancelled if outcome.status == "cancelled" else self._before
        noted[outcome.index] = outcome.attempts - (not is_stored)

    def jobs(self, *, taken: int, cancelled: bool) -> list[Job]:
        """Return the jobs that did not succeed, in order, each to be run as another attempt.

        Args:
            taken: How many were taken from the source.
            cancelled: Whether those that were cancelled are among them, not taken ones included.

        Raises:
            JobsNotKeptError: There were too many of a source that is no list.
        """
        before: dict[int, int | None] = {**self._before}
        if cancelled:
            before |= self._cancelled
            if self._jobs is not None:
                before |= dict.fromkeys(range(taken, len(self._jobs)))
        kept = self._kept if self._jobs is None else {index: self._jobs[index] for index in before}
        if missing := before.keys() - kept.keys():
            raise JobsNotKeptError(len(before), len(before) - len(missing))
        again = [self._again(kept[index], index, before[index]) for index in sorted(before)]
        return _without_the_done(again)

    def _again(self, job: Job, index: int, before: int | None) -> Job:
        if not isinstance(job, Job):  # it is refused again
            return job
        options = NO_OPTIONS if job.options is None else job.options
        if before is not None and isinstance(options, Options):
            options = replace(options, attempts_before=before)
        number = ids.execution_text(job.id or self._batch + index)
        return job._replace(id=number, options=None if options == NO_OPTIONS else options)


def _without_the_done(jobs: list[Job]) -> list[Job]:
    """Return jobs that depend on each other only: all others that they depended on succeeded."""
    there = {job.id for job in jobs if isinstance(job, Job)}
    return [
        job
        if not isinstance(job, Job) or not (job.options and job.options.depends_on)
        else job._replace(options=_depending(job.options, there))
        for job in jobs
    ]


def _depending(options: Options, there: set[str | None]) -> Options:
    return replace(options, depends_on=tuple(each for each in options.depends_on if each in there))
