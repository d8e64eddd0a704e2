"""The compact form in which jobs go to hosts and receipts come back: bytes, a chunk at a time.

Plain tuples under one `pickle.dumps`. Pickle writes an object once and then refers to it in two
bytes, so what repeats within a chunk (callable and argument names, the ref of a root, the frames of
an error) costs nothing the second time, as long as it is the very same object: callers see to that.

Both ends are processes of one run and trust each other; nothing here is ever stored, or read from a
file. All that crosses between the driver and hosts passes through here, so it can be counted.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from registry import Ref
from runner.batch import ErrorInfo
from runner.errors import WireError

Shape: TypeAlias = tuple[str, tuple[str, ...]]
"""Callable name and argument names: equal for all jobs of a kind."""

Row: TypeAlias = tuple[Shape, Ref | None, int, str | None, tuple[Any, ...]]
"""One job: shape, root, index in the batch, the job's own id, argument values."""

ReceiptRow: TypeAlias = tuple[int, int, int, str | None, Any, tuple[Ref, ...]]
"""One success: microseconds run, version, changed, semantic, value, outputs."""

FailureRow: TypeAlias = tuple[int, ErrorInfo]
"""One failure: microseconds run, and why."""

CancelledRow: TypeAlias = tuple[()]
"""One job that was not run because its batch was cancelled."""

ReplyRow: TypeAlias = ReceiptRow | FailureRow | CancelledRow

CANCELLED: CancelledRow = ()
RECEIPT_FIELDS: Final = 6


class Chunk(NamedTuple):
    """Jobs of one batch for one host, in order of submission."""

    batch: str
    rows: list[Row]


class Reply(NamedTuple):
    """What became of a chunk."""

    rows: list[ReplyRow]
    """A row for each of its jobs, in their order."""
    born: tuple[tuple[Ref, Ref | None], ...] = ()
    """Roots that executions created, each with the root whose owner bore it."""
    refusal: Exception | None = None
    """Why the host could not read the chunk; then it has run none of it."""


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

    def dumps_chunk(self, chunk: Chunk) -> tuple[bytes, list[Row], dict[int, WireError]]:
        """Return a chunk's bytes, the rows in them, and why rows were left out, by index."""
        try:
            return self.dumps(tuple(chunk)), chunk.rows, {}
        except Exception:  # noqa: BLE001 - one bad argument must cost only its job
            rejected = self._unsendable(chunk.rows)
        rows = [row for row in chunk.rows if row[2] not in rejected]
        return self.dumps((chunk.batch, rows)), rows, rejected

    def loads_chunk(self, payload: bytes) -> Chunk:
        """Return the chunk that was sent."""
        return Chunk(*loads(payload))

    def dumps_reply(self, reply: Reply) -> bytes:
        """Return a reply's bytes; a value that cannot travel is replaced by a `WireError`."""
        try:
            return self.dumps(tuple(reply))
        except Exception:  # noqa: BLE001 - one bad value must cost only its job
            rows = [self._sendable(row) for row in reply.rows]
        return self.dumps((rows, reply.born, reply.refusal))

    def loads_reply(self, payload: bytes) -> Reply:
        """Return the reply that was sent."""
        return Reply(*loads(payload))

    def _unsendable(self, rows: Sequence[Row]) -> dict[int, WireError]:
        rejected = {}
        for (callable_name, names), _, index, _, values in rows:
            for name, value in zip(names, values, strict=True):
                if reason := self._refusal(value):
                    what = f"argument {name!r} of callable {callable_name!r}"
                    rejected[index] = WireError(f"{what}, a {type(value).__name__},", reason)
        return rejected

    def _sendable(self, row: ReplyRow) -> ReplyRow:
        if len(row) != RECEIPT_FIELDS or not (reason := self._refusal(row[4])):
            return row
        run_us, version, changed, semantic, value, outputs = row
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
