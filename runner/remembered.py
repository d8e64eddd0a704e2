"""What became of the jobs of a batch that have ids, for later ones that depend on them.

A bounded number of them: the one that ended first is forgotten first. A job that has not ended is
never forgotten. Of several jobs with one id the latest counts.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from runner.batch import Outcome, Status


class Ended(NamedTuple):
    """What became of a job, as far as others care."""

    status: Status
    value: Any
    error_type: str | None = None
    error_message: str = ""


class Remembered:
    """The jobs with ids that were taken, by id.

    Args:
        limit: Most jobs that have ended, and are remembered.

    Attributes:
        has_forgotten: Whether there were more of them.
    """

    def __init__(self, limit: int) -> None:
        self.has_forgotten = False
        self._limit = limit
        self._open: dict[str, int] = {}
        # The value itself of what succeeded: an object less for each, of which there may be a
        # hundred thousand (docs/decisions/0005).
        self._ended: dict[str, Any] = {}
        self._in_order: deque[str] = deque()

    def begin(self, execution_id: str, index: int) -> None:
        """Note that a job was taken."""
        self._open[execution_id] = index

    def find(self, execution_id: str) -> int | Ended | None:
        """Return the index of a job that has not ended, or what became of it; None: neither."""
        index = self._open.get(execution_id)
        if index is not None:
            return index
        return ended_of(self._ended[execution_id]) if execution_id in self._ended else None

    def end(self, execution_id: str, index: int, result: Any) -> None:
        """Note what became of a job that was taken.

        Args:
            execution_id: Its id.
            index: Its place in the batch.
            result: What it returned, or an `Ended`, if that does not say all.
        """
        if self._open.get(execution_id) == index:
            del self._open[execution_id]
            self.learn(execution_id, result)

    def learn(self, execution_id: str, result: Any) -> None:
        """Note what became of a job that was not taken, since that is known; as `end`."""
        if execution_id not in self._ended:
            self._in_order.append(execution_id)
        self._ended[execution_id] = result
        if len(self._in_order) > self._limit:
            del self._ended[self._in_order.popleft()]
            self.has_forgotten = True

    def learn_from(self, other: Remembered) -> None:
        """Note what others that ended became; the two remember together from now on.

        That costs nothing, however many there are.
        """
        self._ended, self._in_order = other._ended, other._in_order
        self.has_forgotten = other.has_forgotten


def result_of(outcome: Outcome) -> Any:
    """Return what is remembered of an outcome: what it returned, or an `Ended`."""
    if outcome.error is None:
        return outcome.value
    return Ended(outcome.status, None, outcome.error.type, outcome.error.message)


def ended_of(result: Any) -> Ended:
    """Return what became of a job of which that is remembered."""
    return result if type(result) is Ended else Ended("ok", result)
