"""What a job, or all jobs of a batch, may ask for beside being run: limits, retries, an order.

    Job("book", "hotel", {...}, id="b", options=Options(retries=Retries(3), depends_on=("a",)))

Plain frozen data, read by the driver; nothing of it is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from tenacity.wait import wait_base, wait_random_exponential

from runner.errors import JobError


class ResultOf(NamedTuple):
    """In the place of an argument, or of the root: what an earlier job of the batch returned.

    The job that has it waits for that one, as if it were in `Options.depends_on`. It may also be
    inside lists, tuples and dicts.
    """

    id: str
    """Id of the earlier job."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a job that failed is run again, after which errors, and when.

    An attempt is an execution of its own: the second one of job `a` has the id `a#2`.

    Raises:
        JobError: There is no such number of attempts.
    """

    attempts: int = 3
    """Most executions, the first included."""

    on: Sequence[str | type[BaseException]] = (Exception,)
    """Errors after which there is another attempt: classes, or names of classes. Those that inherit
    from them count, too."""

    wait: wait_base = field(default_factory=lambda: wait_random_exponential(multiplier=0.1, max=30))
    """How long before each: any wait of the tenacity library, or a sum of some."""

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise JobError(f"Retries.attempts {self.attempts}", "is less than 1")


@dataclass(frozen=True, slots=True)
class Options:
    """What a job asks for; what it does not say is as its batch says, and else as the settings.

    Raises:
        JobError: A limit is not positive.
    """

    timeout_s: float | None = None
    """Longest that it may run, see `Runner.submit`."""

    memory_bytes: int | None = None
    """Most memory that it may take beyond what its host has; more is a `MemoryError` in it."""

    retries: Retries | Sequence[Retries] | None = None
    """When it is run again; of several the first one that names the error counts."""

    priority: int | None = None
    """Jobs with a higher one are sent before others that wait for the same host; 0 if nobody says.
    Jobs for one root take effect in the order in which they are sent."""

    depends_on: Sequence[str] = ()
    """Ids of earlier jobs of the batch that must have succeeded, else it is skipped; one id may be
    given alone. Until they have ended it waits, and so do those behind it for the same owner."""

    def __post_init__(self) -> None:
        self._check_order()
        for name in ("timeout_s", "memory_bytes"):
            limit = getattr(self, name)
            if limit is not None and limit <= 0:
                raise JobError(f"Options.{name} {limit}", "is not positive")

    def _check_order(self) -> None:
        ids: Any = self.depends_on
        if isinstance(ids, str):
            ids = (ids,)
        try:
            object.__setattr__(self, "depends_on", tuple(ids))  # it is frozen
        except TypeError:
            raise JobError(f"Options.depends_on {ids!r}", "is no list of ids") from None
        if bad := [each for each in self.depends_on if not isinstance(each, str)]:
            raise JobError(f"Options.depends_on {bad[0]!r}", "is no id, expected text")
        if type(self.priority) not in (int, type(None)):
            raise JobError(f"Options.priority {self.priority!r}", "is no integer")

    def over(self, batch: Options) -> Options:
        """Return these options, with those of a batch where they say nothing."""
        said: dict[str, Any] = {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if getattr(self, each.name) not in (None, ())
        }
        whole = {each.name: getattr(batch, each.name) for each in fields(batch)}
        return Options(**{**whole, **said})


NO_OPTIONS = Options()
