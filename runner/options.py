"""What a job, or all jobs of a batch, may ask for beside being run: limits, retries, an order.

    Job("book", "hotel", {...}, id="b", options=Options(retries=Retries(3), depends_on=("a",)))

Plain frozen data, read by the driver; nothing of it is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from types import UnionType
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
        if type(self.attempts) is not int:
            raise JobError(f"Retries.attempts {self.attempts!r}", "is not a whole number")
        if self.attempts < 1:
            raise JobError(f"Retries.attempts {self.attempts}", "is less than 1")
        if isinstance(self.on, str) or not isinstance(self.on, Sequence):
            raise JobError(f"Retries.on {self.on!r}", "is not a sequence of classes or their names")
        for each in self.on:
            if not isinstance(each, str | type):
                raise JobError(f"Retries.on {each!r}", "is neither a class nor the name of one")
        if not isinstance(self.wait, wait_base):
            way_out = "is no wait of the tenacity library; tenacity.wait_fixed(1) is one"
            raise JobError(f"Retries.wait {self.wait!r}", way_out)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the errors after which there is another attempt."""
        return tuple(each if isinstance(each, str) else each.__name__ for each in self.on)


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

    attempts_before: int = 0
    """Attempts that it had in batches before this one, see `Batch.retry_failed`; those of this
    batch come on top, and are numbered from there."""

    def __post_init__(self) -> None:
        _check_limit("timeout_s", self.timeout_s, int | float)
        _check_limit("memory_bytes", self.memory_bytes, int)
        for each in self.policies:
            if not isinstance(each, Retries):
                raise JobError(f"Options.retries {each!r}", "is no Retries")
        if type(self.attempts_before) is not int or self.attempts_before < 0:
            raise JobError(f"Options.attempts_before {self.attempts_before!r}", "is no count")
        self._check_order()

    @property
    def policies(self) -> tuple[Retries, ...]:
        """Return when it is run again; the first that names an error counts."""
        if isinstance(self.retries, Sequence):
            return tuple(self.retries)
        return () if self.retries is None else (self.retries,)

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


def _check_limit(name: str, limit: object, kind: type | UnionType) -> None:
    if limit is None:
        return
    if not isinstance(limit, kind) or isinstance(limit, bool):
        raise JobError(f"Options.{name} {limit!r}", "is not a number")
    if not 0 < limit < float("inf"):  # type: ignore[operator]  # it is of the kind
        raise JobError(f"Options.{name} {limit}", "is not positive, or without end")


NO_OPTIONS = Options()
