"""The compact form in which jobs go to hosts and receipts come back: bytes, a chunk at a time.

Plain tuples under one `pickle.dumps`. Pickle writes an object once and then refers to it in two
bytes, so what repeats within a chunk (callable and argument names, the ref of a root, the frames of
an error) costs nothing the second time, as long as it is the very same object: callers see to that.

Both ends are processes of one run and trust each other; nothing here is ever stored, or read from a
file. All that crosses between the driver and hosts passes through here, so it can be counted.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple, TypeAlias

from registry import Ref
from runner import results
from runner.batch import ErrorInfo
from runner.errors import RunnerError, WireError

Shape: TypeAlias = tuple[str, tuple[str, ...]]
"""Callable name and argument names: equal for all jobs of a kind."""

Row: TypeAlias = tuple[Shape, Ref | None, int, str | None, tuple[Any, ...]]
"""One job: shape, root, index in the batch, the job's own id, argument values."""

ReplyRow: TypeAlias = tuple[int, int, int, str | None, Any, tuple[Ref, ...]]
"""What became of one job: microseconds run, version, changed, semantic, value, outputs.

Of a failure: version FAILED, and the `ErrorInfo` as its value. Of a job that was not run because
its batch was cancelled: version NOT_RUN.
"""

FAILED: Final = -1
NOT_RUN: Final = -2
CANCELLED: ReplyRow = (0, NOT_RUN, 0, None, None, ())


class Running(NamedTuple):
    """Which job a host is at.

    Attributes:
        batch: Number of the batch.
        job: Index of the job in it.
    """

    batch: int
    job: int


IDLE: Final = Running(0, -1)
"""What a host is at that runs no job."""


def failure(run_us: int, error: ErrorInfo) -> ReplyRow:
    """Return what became of a job that failed."""
    return run_us, FAILED, 0, None, error, ()


HEAD_PARTS: Final = 4
"""Parts of a row before the values of its arguments."""


class Chunk(NamedTuple):
    """Jobs of one batch for one host, in order of submission; a column for each part of a `Row`."""

    batch: int
    """The executions of a batch without an id of their own are numbered from here."""
    shapes: list[Shape]
    roots: list[Ref | None]
    indexes: list[int]
    own_ids: list[str | None]
    values: list[Any]
    """The values of all arguments, end to end: as many for each job as its shape has names."""
    number: int = 0
    """Chunks of a batch that are sent for the first time are numbered from 1, in that order."""
    memory: dict[int, int] | None = None
    """Most bytes that some of its jobs may take, by index; usually none of them has a limit."""
    verdict: ErrorInfo | None = None
    """What its jobs failed with if they were never stored, of a chunk that is not run any more."""

    def rows(self) -> Iterator[Row]:
        """Yield the jobs."""
        columns = (self.shapes, self.roots, self.indexes, self.own_ids)
        return zip(*columns, _grouped(self.shapes, self.values), strict=True)

    def heads(self) -> Iterator[tuple[Shape, Ref | None, int, str | None]]:
        """Yield the jobs without the values of their arguments, which may be gone."""
        return zip(self.shapes, self.roots, self.indexes, self.own_ids, strict=True)


def chunk_of(batch: int, heads: list[Any], values: list[Any]) -> Chunk:
    """Make a chunk of jobs that wait end to end.

    Args:
        batch: The batch.
        heads: Shape, root, index and own id of each.
        values: The values of the arguments of these, and perhaps of more that follow.
    """
    shapes = heads[0::HEAD_PARTS]
    roots, indexes, own_ids = (heads[part::HEAD_PARTS] for part in range(1, HEAD_PARTS))
    return Chunk(batch, shapes, roots, indexes, own_ids, values[: value_count(shapes)])


def value_count(shapes: list[Shape]) -> int:
    """Return how many values jobs of these shapes have."""
    if shapes and shapes.count(shapes[0]) == len(shapes):
        return len(shapes) * len(shapes[0][1])
    return sum([len(names) for _, names in shapes])


def _grouped(shapes: list[Shape], values: list[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the values of each job."""
    rest = iter(values)
    if shapes and shapes[0][1] and shapes.count(shapes[0]) == len(shapes):
        return zip(*[rest] * len(shapes[0][1]), strict=True)  # as below, without a line of Python
    return (tuple(islice(rest, len(names))) for _, names in shapes)


class Reply(NamedTuple):
    """What became of a chunk, in the order of its jobs; a column for each part of a `ReplyRow`."""

    columns: tuple[list[Any], ...]
    born: tuple[tuple[Ref, Ref | None], ...] = ()
    """Roots that executions created, each with the root whose owner bore it."""
    refusal: Exception | None = None
    """Why there are no rows: a `WireError` if the chunk could not be read, then none of it has run;
    another error if it could not be stored, then the host knows no more of it."""
    stored: tuple[tuple[Ref, int], ...] = ()
    """Roots that executions created which ran before, and which are not here; each with the key of
    the root that its owner was made for."""

    @classmethod
    def of(
        cls,
        flat: list[Any],
        born: Iterable[tuple[Ref, Ref | None]] = (),
        stored: Iterable[tuple[Ref, int]] = (),
    ) -> Reply:
        """Make a reply of rows that were put end to end into one list."""
        size = len(CANCELLED)
        columns = tuple([flat[part::size] for part in range(size)])
        return cls(columns, tuple(born), None, tuple(stored))

    def rows(self) -> Iterator[ReplyRow]:
        """Yield what became of each job."""
        return zip(*self.columns, strict=True)


class Wire:
    """Turns values into bytes and back.

    Args:
        by_value: Whether the other end is another process, which cannot import `__main__`: what is
            defined there then travels by value.
    """

    def __init__(self, *, by_value: bool) -> None:
        self._by_value = by_value

    def dumps(self, value: Any) -> bytes:
        """Return the bytes of a value.

        Raises:
            Exception: It cannot be pickled; the class depends on why.
        """
        try:
            payload = pickle.dumps(value, 5)
        except Exception:  # noqa: BLE001 - lambdas and local classes raise three kinds of errors
            return dumps_by_value(value)
        # A false alarm, from a user's string, costs time and nothing else.
        if self._by_value and b"__main__" in payload:
            return dumps_by_value(value)
        return payload

    def dumps_chunk(self, chunk: Chunk) -> tuple[bytes, Chunk, list[tuple[Row, RunnerError]]]:
        """Return a chunk's bytes, the chunk that is in them, and rows left out, with why."""
        try:
            payload = self.dumps(tuple(chunk))
            # A false alarm, from a user's string, costs time and nothing else.
            if results.MARK not in payload:
                return payload, chunk, []
            judged = [(row, self._unsendable(row)) for row in chunk.rows()]
        except Exception:  # noqa: BLE001 - one bad argument must cost only its job
            judged = [(row, self._unsendable(row)) for row in chunk.rows()]
        sendable = [row for row, error in judged if error is None]
        heads = [part for row in sendable for part in row[:HEAD_PARTS]]
        values = [value for row in sendable for value in row[HEAD_PARTS]]
        sent = chunk_of(chunk.batch, heads, values)
        sent = sent._replace(number=chunk.number, memory=chunk.memory)
        rejected = [(row, error) for row, error in judged if error is not None]
        return self.dumps(tuple(sent)), sent, rejected

    def loads_chunk(self, payload: bytes) -> Chunk:
        """Return the chunk that was sent."""
        return Chunk(*loads(payload))

    def dumps_reply(self, reply: Reply) -> bytes:
        """Return a reply's bytes; a value that cannot travel is replaced by a `WireError`."""
        try:
            return self.dumps(tuple(reply))
        except Exception:  # noqa: BLE001 - one bad value must cost only its job
            sendable = [part for row in reply.rows() for part in self._sendable(row)]
        return self.dumps(tuple(Reply.of(sendable, reply.born, reply.stored)))

    def loads_reply(self, payload: bytes) -> Reply:
        """Return the reply that was sent."""
        return Reply(*loads(payload))

    def _unsendable(self, row: Row) -> RunnerError | None:
        (callable_name, names), _, _, _, values = row
        for name, value in zip(names, values, strict=True):
            if wanted := results.find_result(value):
                return results.unknown_result(wanted)
            if reason := self._refusal(value):
                what = f"argument {name!r} of callable {callable_name!r}"
                return WireError(f"{what}, a {type(value).__name__},", reason)
        return None

    def _sendable(self, row: ReplyRow) -> ReplyRow:
        run_us, version, changed, semantic, value, outputs = row
        if not (reason := self._refusal(value)):
            return row
        lost = WireError(f"the result, a {type(value).__name__},", reason)
        return (run_us, version, changed, semantic, lost, outputs)

    def _refusal(self, value: Any) -> str | None:
        try:
            self.dumps(value)
        except Exception as exc:  # noqa: BLE001 - the reason is what is asked for
            return f"{type(exc).__name__}: {exc}"
        return None


def dumps_by_value(value: Any) -> bytes:
    """Return the bytes of a value whose classes or functions the other end may be unable to import.

    Ray's own cloudpickle, and never the stand-alone one: a class that came through one of them is
    another class to the other.
    """
    from ray import cloudpickle

    payload: bytes = cloudpickle.dumps(value, 5)  # type: ignore[no-untyped-call]  # Ray's
    return payload


def loads(payload: bytes) -> Any:
    """Return the value that was sent."""
    return pickle.loads(payload)  # noqa: S301 - from a process of our own
