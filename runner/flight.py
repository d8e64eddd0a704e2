"""Chunks on their way, and what is made of one that a host died with: parts, and verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from runner.asked import NO_LIMIT_S, Asked
from runner.batch import ErrorInfo, Status
from runner.errors import JobTimeoutError, PoisonError
from runner.lane import Lane
from runner.settings import Settings
from runner.wire import HEAD_PARTS, Chunk, Row, Wire, chunk_of


class Flight(NamedTuple):
    """A chunk that was sent and not yet answered."""

    lane: Lane
    chunk: Chunk
    """Its jobs, without the values of their arguments."""
    opened_s: float
    payload: bytes
    deaths: int = 0
    """Hosts that died with it as the first of what they had to answer."""
    refusals: int = 0
    """Times that it could not be stored."""
    verdict: tuple[Status, Exception] | None = None
    """What its one job is, if it turns out that it was never stored; it is not run any more."""
    jobs: bytes = b""
    """Its jobs with their values, if they are not in the payload."""


class Parts:
    """Divides chunks that a host died with, so that the job it died of is found.

    Args:
        batch: Number of the batch.
        wire: How chunks are written.
        asked: What its jobs asked for.
        settings: The bounds.
    """

    def __init__(self, batch: int, wire: Wire, asked: Asked, settings: Settings) -> None:
        self._batch = batch
        self._wire = wire
        self._asked = asked
        self._settings = settings
        self._read: tuple[Flight, dict[int, Row]] | None = None

    def whole(self, flight: Flight, row: Row) -> Row:
        """Return a job that was sent with the values of its arguments, if they can be read.

        Cost: reading the chunk, once for all of its jobs until `forget`.
        """
        if self._read is None or self._read[0] is not flight:
            try:
                rows = {each[2]: each for each in self._rows(flight)}
            except Exception:  # noqa: BLE001 - whatever a user's own class raises
                rows = {}
            self._read = flight, rows
        return self._read[1].get(row[2], row)

    def forget(self) -> None:
        """Forget the chunk that was read."""
        self._read = None

    def _rows(self, flight: Flight) -> list[Row]:
        return [*self._wire.loads_chunk(flight.jobs or flight.payload).rows()]

    def without_overdue(self, flight: Flight, overdue: int) -> Iterator[Flight]:
        """Yield the rest of a chunk, without the job that its host was ended for.

        A host that did not tell which has only its next jobs one by one to say.
        """
        rows = self._rows(flight)
        if overdue < 0 and len(rows) > 1:
            yield from (self._part(flight, [row], flight.deaths) for row in rows)
            return
        rest = []
        for row in rows:
            limit_s = self._asked.timeout_s(row[2])
            if overdue in (row[2], -1) and limit_s < NO_LIMIT_S:
                error = JobTimeoutError(row[0][0], limit_s)
                yield self._over(self._part(flight, [row], 0), "timed_out", error)
            else:
                rest.append(row)
        if rest:
            yield self._part(flight, rest, flight.deaths)

    def apart(self, flight: Flight) -> Iterator[Flight]:
        """Yield the chunk that a host died with in parts.

        First a few jobs of it, whose outcomes tell that it goes on; once it killed hosts, it comes
        job by job, and a job that did so alone is set aside, unless the last host stored it.
        """
        size = len(flight.chunk.indexes)
        is_poison = flight.deaths >= self._settings.poison_deaths
        if flight.verdict is None and self.is_deadly(flight):
            shape, *_ = next(flight.chunk.heads())
            yield self._over(flight, "quarantined", PoisonError(shape[0], flight.deaths))
        elif is_poison and size > 1:
            yield from (self._part(flight, [row], deaths=0) for row in self._rows(flight))
        elif size <= self._settings.first_chunk_jobs:
            yield flight
        else:
            rows = iter(self._rows(flight))
            yield self._part(flight, islice(rows, self._settings.first_chunk_jobs), flight.deaths)
            yield self._part(flight, rows, flight.deaths)

    def is_deadly(self, flight: Flight) -> bool:
        """Tell whether it is one job that too many hosts died with."""
        is_alone = len(flight.chunk.indexes) == 1
        return is_alone and flight.deaths >= self._settings.lone_poison_deaths

    def _over(self, flight: Flight, status: Status, error: Exception) -> Flight:
        """Return a job that is only looked up, and set aside in the store if that has it not."""
        asked = flight.chunk._replace(verdict=ErrorInfo.of(error))
        payload, *_ = self._wire.dumps_chunk(asked)  # its arguments stay here
        jobs = flight.jobs or flight.payload
        return flight._replace(payload=payload, deaths=0, verdict=(status, error), jobs=jobs)

    def _part(self, flight: Flight, rows: Iterable[Row], deaths: int) -> Flight:
        heads: list[Any] = []
        values: list[Any] = []
        for row in rows:
            heads += row[:HEAD_PARTS]
            values += row[HEAD_PARTS]
        whole = flight.chunk
        part = chunk_of(self._batch, heads, values)._replace(
            number=whole.number, memory=whole.memory
        )
        payload, chunk, _ = self._wire.dumps_chunk(part)
        return flight._replace(chunk=chunk._replace(values=[]), payload=payload, deaths=deaths)
