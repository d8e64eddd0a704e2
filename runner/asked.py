"""What single jobs of a batch asked for, by index, until their outcome is known.

Most jobs ask for nothing, and nothing is kept of them; what one does not say is as its batch says.
"""

from __future__ import annotations

from collections.abc import Iterable

from runner.errors import JobError, TimeLimitError
from runner.options import Options, Retries

NO_LIMIT_S = float("inf")


class Asked:
    """Remembers options of jobs, and answers as the batch does for all others.

    Args:
        batch: What every job asks for that does not say otherwise.
        timeout_s: Longest that a job may run which does not say otherwise; None: without end.
        missing: What it takes to end a job that these hosts lack, in words; None: nothing.
        has_processes: Whether hosts are processes of their own.
    """

    def __init__(
        self,
        batch: Options,
        timeout_s: float | None,
        missing: str | None = None,
        *,
        has_processes: bool = True,
    ) -> None:
        self._batch = batch
        self._timeout_s = NO_LIMIT_S if timeout_s is None else timeout_s
        self._missing = missing
        self._has_processes = has_processes
        self._own: dict[int, Options] = {}
        self._timeouts_s: dict[int, float] = {}
        self._has_memory = batch.memory_bytes is not None

    def __bool__(self) -> bool:
        """Whether a job that is known here asked for something of its own."""
        return bool(self._own)

    def note(self, index: int, options: Options) -> None:
        """Remember what a job asks for.

        Raises:
            JobError: It is no `Options`, or cannot be had here.
            TimeLimitError: It is a limit of time that cannot be kept here.
        """
        if not isinstance(options, Options):
            raise JobError(f"options {options!r} of job {index}", "are no Options")
        if options.timeout_s is not None and self._missing is not None:
            raise TimeLimitError(self._missing)
        if options.memory_bytes is not None:
            check_memory(has_processes=self._has_processes)
            self._has_memory = True
        self._own[index] = options
        if options.timeout_s is not None:
            self._timeouts_s[index] = options.timeout_s

    def forget(self, index: int) -> None:
        """Forget a job whose outcome is known."""
        if self._own.pop(index, None) is not None:
            self._timeouts_s.pop(index, None)

    def own(self, index: int) -> Options | None:
        """Return what a job asked for itself."""
        return self._own.get(index)

    def policies(self, index: int) -> tuple[Retries, ...]:
        """Return when a job is run again."""
        own = self._own.get(index)
        if own is None or own.retries is None:
            return self._batch.policies
        return own.policies

    def timeout_s(self, index: int) -> float:
        """Return how long a job may run; infinity is without end."""
        return self._timeouts_s.get(index, self._timeout_s)

    def shortest_timeout_s(self) -> float:
        """Return the shortest time that any job may run.

        Cost: a look at each job that asked.
        """
        return min(self._timeouts_s.values(), default=self._timeout_s)

    def memory(self, indexes: Iterable[int]) -> dict[int, int] | None:
        """Return the limits of memory of some jobs, by index; None if there are none."""
        if not self._has_memory:
            return None
        whole = self._batch.memory_bytes
        found: dict[int, int] = {}
        for index in indexes:
            own = self._own.get(index)
            limit = whole if own is None or own.memory_bytes is None else own.memory_bytes
            if limit is not None:
                found[index] = limit
        return found or None


def check_memory(*, has_processes: bool) -> None:
    """Refuse a limit of memory where it would hit others.

    Raises:
        JobError: Hosts are no processes of their own: threads of the program would meet the limit.
    """
    if not has_processes:
        problem = (
            "is a limit of the whole process, so other threads of this program would meet it; "
            "run on hosts of their own, or leave it out"
        )
        raise JobError("memory_bytes", problem)
