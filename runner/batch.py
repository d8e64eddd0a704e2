"""A batch, and what it is made of: `Job` goes in, `Outcome` comes out, `Counts` sums them up.

These three are plain frozen data. Jobs and outcomes are named tuples, because a driver makes
hundreds of thousands of them a second. `Batch` is the handle on work that goes on; what makes it go
on is in `dispatcher.py`.

    job ──> ok           it ran, and what it changed is committed
        ──> failed       it raised, or was refused before it ran; nothing changed
        ──> lost         the host of its root died, and the root with it; with a store: that could
                         not be written or reached, and what became of the job is not known
        ──> cancelled    its batch ended first
        ──> timed_out  it ran longer than it may; nothing changed
        ──> quarantined  it ended the process of its host, more than once; nothing changed
        ──> skipped      one that it depends on did not succeed; it did not run
"""

from __future__ import annotations

import linecache
import sys
import sysconfig
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self, TypedDict, Unpack

import pydantic

import registry
from registry import Ref, ids
from runner.errors import BatchError, ExecutionError
from runner.options import Options, ResultOf

RaiseOn = Literal["never", "first", "end"]

Status = Literal["ok", "failed", "lost", "cancelled", "quarantined", "timed_out", "skipped"]

MESSAGE_LIMIT_CHARS = 10_000
FRAME_LIMIT = 20
CAUSE_LIMIT = 5
KNOWN_CLASSES = 1_000

_OUR_FOLDERS = tuple(
    f"{Path(file).parent}/" for file in (__file__, registry.__file__, pydantic.__file__) if file
)
_STANDARD_LIBRARY = sysconfig.get_path("stdlib") + "/"


class Job(NamedTuple):
    """One request for an execution."""

    callable: str
    """Name that the callable is registered under."""

    root: Ref | str | ResultOf | None = None
    """Root to run on: ref, name or address, or the result of an earlier job. It becomes the
    callable's first entity argument, unless `arguments` has that; None: the entities among the
    arguments say it."""

    arguments: Mapping[str, Any] = {}
    """Keyword arguments; entities as refs, or as names or addresses of roots; a `ResultOf` in the
    place of what an earlier job returns."""

    id: str | None = None
    """Execution id; None: one is made from the batch and the index."""

    options: Options | None = None
    """What it asks for beside; None: what its batch does."""


class ErrorInfo(NamedTuple):
    """An exception as data: it crosses processes, whatever its class."""

    type: str
    message: str
    frames: tuple[str, ...] = ()
    """The user's own frames, outermost first, then those of its causes; none of ours."""
    notes: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    """Names of the classes that its class inherits from, without `object`; none if not known."""

    @property
    def traceback(self) -> str:
        """Return the frames as one text; empty if no user code was involved."""
        return "\n".join(self.frames)

    @classmethod
    def of(cls, error: BaseException) -> ErrorInfo:
        """Return what is worth telling about an exception."""
        notes = getattr(error, "__notes__", ())
        return cls(
            type(error).__name__,
            _message(error),
            tuple(_frames(error)),
            tuple(str(note) for note in notes),
            _bases(type(error)),  # type: ignore[arg-type]  # a class is hashable
        )


class Outcome(NamedTuple):
    """What became of one job."""

    # `tuple.index` is given up for the word that the glossary has for it.
    index: int  # type: ignore[assignment]
    """Position of the job in its batch, from 0."""
    number: int | str
    """The execution: the job's own id, or a number made for it; `id` is its text."""
    callable: str
    root: Ref | None
    """Root that it ran on; None if there was none."""
    status: Status
    semantic: str | None = None
    """mutation, creation or detachment; None for plain results and without success."""
    version: int = 0
    """Version of the root after the execution; 0 without a root or without success."""
    changed: int = 0
    """Entities that got a new version."""
    value: Any = None
    """What the callable returned; entities as refs."""
    outputs: tuple[Ref, ...] = ()
    """Every entity that it returned, new roots included."""
    error: ErrorInfo | None = None
    queued_s: float = 0.0
    """Seconds that its chunk was open, on its way or in an inbox, and the jobs before it ran."""
    run_s: float = 0.0
    """Seconds that it ran, commit included; of several attempts, the last one."""
    attempts: int = 1
    """Which attempt this is the outcome of, see `Retries`."""

    @property
    def id(self) -> str:
        """Execution id: the job's own, or one made for it."""
        return ids.execution_text(self.number)

    @property
    def ok(self) -> bool:
        """Whether it ran and committed."""
        return self.status == "ok"

    def result(self) -> Any:
        """Return the value.

        Raises:
            ExecutionError: The execution has none.
        """
        if self.error is not None:
            raise ExecutionError(self.callable, self.id, self.error)
        return self.value


@dataclass(frozen=True, slots=True)
class Counts:
    """How far a batch is; `cancelled` includes jobs of a list that were never sent."""

    ok: int = 0
    failed: int = 0
    lost: int = 0
    cancelled: int = 0
    quarantined: int = 0
    timed_out: int = 0
    skipped: int = 0

    @property
    def done(self) -> int:
        """Number of jobs whose outcome is known."""
        ended = self.quarantined + self.timed_out + self.skipped
        return self.ok + self.failed + self.lost + self.cancelled + ended


class SubmitOptions(TypedDict, total=False):
    """What `Runner.submit` takes beside jobs; what is not given is as there."""

    ordered: bool
    chunk: int | None
    window: int | None
    timeout_s: float | None
    options: Options
    raise_on: RaiseOn


class Submit(Protocol):
    """`Runner.submit`, as far as a batch knows it."""

    def __call__(self, jobs: Iterable[Job], /, **options: Unpack[SubmitOptions]) -> Batch:
        """Return a batch."""


class Progress(Protocol):
    """What a batch needs of that which runs it; see `dispatcher.Dispatcher`."""

    ready: deque[Outcome]

    def advance(self, waiting: int = 0) -> bool:
        """Go on until an outcome is ready; False: there will be none."""

    def cancel(self, *jobs: str | int) -> None:
        """Let the rest end soon; or do not send some jobs."""

    def counts(self) -> Counts:
        """Return how far it is."""

    def failed_jobs(self, *, cancelled: bool = False) -> list[Job]:
        """Return the jobs that did not succeed so far."""

    def learn(self, outcome: Outcome) -> None:
        """Note what became of a job that is not sent, since that is known."""

    def learn_from(self, other: Self) -> None:
        """Note what the jobs of another batch became."""


class Batch:
    """Jobs submitted together. Iterate over it, once, for the outcomes as they come.

    It goes on while somebody iterates: a slow reader slows it down, and memory is bounded however
    many jobs there are. Leaving the loop pauses it, another loop goes on where the first stopped,
    and leaving a `with` block cancels what is left. Ctrl-C in a loop cancels too.

    Not thread-safe, but for `cancel`.

    Args:
        progress: What makes it go on.
        submit: Submits jobs again.
        is_ordered: See `Runner.submit`.
        raise_on: Likewise.
    """

    def __init__(
        self,
        progress: Progress,
        submit: Submit,
        *,
        is_ordered: bool = False,
        raise_on: RaiseOn = "never",
    ) -> None:
        self._progress = progress
        self._submit = submit
        self._is_ordered = is_ordered
        self._raise_on = raise_on
        self._failed: Outcome | None = None
        self._early: dict[int, Outcome] = {}
        self._next_index = 0

    def __iter__(self) -> Iterator[Outcome]:
        return self.in_order() if self._is_ordered else self._as_they_come()

    def in_order(self) -> Iterator[Outcome]:
        """Yield outcomes in the order of the jobs.

        At most `Settings.held_jobs` wait for one that is late; then no more jobs are taken.
        """
        early = self._early
        for outcome in self._as_they_come():
            early[outcome.index] = outcome
            while (following := early.pop(self._next_index, None)) is not None:
                self._next_index += 1
                yield following
        # Only a batch that lost outcomes on the way, to Ctrl-C at the wrong moment, has a gap.
        for index in sorted(early):
            yield early.pop(index)

    def wait(self) -> Counts:
        """Run it to its end, let go of the outcomes, and return the counts."""
        for _ in self._as_they_come():
            pass
        return self.counts()

    def cancel(self, *jobs: str | int) -> None:
        """Take no more jobs and skip those not begun; iteration ends soon, with what is done.

        May be called from any thread. Executions under way are given a moment to finish.

        Args:
            jobs: Ids or indexes of jobs of the batch. Then only these are cancelled, as far as they
                are not on their way to a host: each ends when its turn comes to be sent.
        """
        self._progress.cancel(*jobs)

    def counts(self) -> Counts:
        """Return how many outcomes of each kind there are so far."""
        return self._progress.counts()

    def retry_failed(self, *, cancelled: bool = False, **options: Unpack[SubmitOptions]) -> Batch:
        """Return a new batch of the jobs that did not succeed so far, in their order.

        What failed is stored under its id, so another attempt is an execution of its own: after
        that of job `a` comes `a#2`. A job that is `lost` may have taken effect: it is sent again
        as it was, and the store decides. `Outcome.id` is the id as in this batch, also of jobs
        without an id of their own; indexes are those of the new batch.

        Args:
            cancelled: Whether jobs that were cancelled are among them; of a list also those that
                were not taken.
            options: As `Runner.submit`; nothing is taken over from this batch.

        Raises:
            JobsNotKeptError: The jobs did not come from a list, and more of them than
                `Settings.kept_failures` did not succeed, or some were cancelled.
        """
        return self._submit(self._progress.failed_jobs(cancelled=cancelled), **options)

    def learn(self, outcome: Outcome) -> None:
        """Let jobs of this batch depend on one that is not in it, whose outcome is known.

        For those that ran before, see `Runner.known`, and were left out. Say it before a job that
        depends on it is taken from the source.
        """
        self._progress.learn(outcome)

    def learn_from(self, before: Batch) -> None:
        """Let jobs of this batch depend on those of one that has ended, as `learn`."""
        self._progress.learn_from(before._progress)

    def close(self) -> None:
        """Cancel what is left and wait for the counts to be final."""
        self.cancel()
        self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _as_they_come(self) -> Iterator[Outcome]:
        progress, ready = self._progress, self._progress.ready
        try:
            while ready or progress.advance(len(self._early)):
                outcome = ready.popleft()
                if not outcome.ok and outcome.status != "cancelled":
                    self._note_failed(outcome)
                yield outcome
        except KeyboardInterrupt:
            progress.cancel()
            raise
        if self._failed is not None and self._raise_on == "end":
            raise BatchError(self._failed, self.counts())

    def _note_failed(self, outcome: Outcome) -> None:
        is_first = self._failed is None
        self._failed = self._failed or outcome
        if is_first and self._raise_on == "first":
            self._progress.cancel()
            raise BatchError(outcome, self.counts())


@lru_cache(maxsize=KNOWN_CLASSES)
def _bases(cls: type[BaseException]) -> tuple[str, ...]:
    # One object per class: a pickle of many failures holds it once.
    return tuple(each.__name__ for each in cls.__mro__[1:] if each is not object)


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except BaseException as exc:  # noqa: BLE001 - a user's __str__ may raise anything
        return f"<its text cannot be read: {type(exc).__name__}>"
    if len(text) > MESSAGE_LIMIT_CHARS:
        return f"{text[:MESSAGE_LIMIT_CHARS]} ... ({len(text):,} characters)"
    return text


def _frames(error: BaseException) -> Iterator[str]:
    cause: BaseException | None = error
    for depth in range(CAUSE_LIMIT):
        if cause is None:
            return
        frames = list(_user_frames(cause.__traceback__))[-FRAME_LIMIT:]
        if depth and frames:
            yield f"  caused by {type(cause).__name__}: {_message(cause)}"
        yield from frames
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _user_frames(trace: TracebackType | None) -> Iterator[str]:
    is_in_user_code = False
    while trace is not None:
        code = trace.tb_frame.f_code
        file = code.co_filename
        if not file.startswith(_OUR_FOLDERS):
            # The standard library on behalf of the user, not on ours.
            is_in_user_code = is_in_user_code or not _is_standard_library(file)
            if is_in_user_code:
                yield _frame(file, trace.tb_lineno, code.co_qualname)
        trace = trace.tb_next


def _is_standard_library(file: str) -> bool:
    return file.startswith(_STANDARD_LIBRARY) and "site-packages" not in file


def _frame(file: str, line: int, function: str) -> str:
    source = linecache.getline(file, line).strip()
    place = f'  File "{file}", line {line}, in {function}'
    # Interned: a pickle holds the same string once, and failures tend to repeat.
    return sys.intern(f"{place}\n    {source}" if source else place)
