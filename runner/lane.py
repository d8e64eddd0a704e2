"""The jobs of one batch for one host, in order, until they are sent.

They wait end to end in two flat lists and leave as the columns of a chunk. No object is made for a
job: the garbage collector would visit tens of thousands of them (docs/decisions/0005). Those that
have a priority other than most wait beside them, see `ranks.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from runner.ranks import Ranks
from runner.settings import Settings
from runner.wire import HEAD_PARTS, Chunk, Row, chunk_of

SECONDS_PER_US = 1e-6


class Lane:
    """A queue of rows, and how many of them may be sent at once.

    Attributes:
        host: The host.
        chunk_jobs: Jobs in its next chunk.
        opened_s: When the first of those that wait came.
        under_way: Chunks sent and not yet answered.
        window: Most of them; one until it is known from an answer how long jobs take.
        heads: Shape, root, index and own id of each job that waits, end to end.
        values: The values of their arguments, end to end.
        ranks: Those with another priority, likewise.
        overdue: Index of a job that its host is ended for, -1 if that does not tell which; else
            None.
        held: What was sent to a host that died, and goes to this one first, one after the other.
        error: Why nothing is sent any more; None as long as something is.
    """

    __slots__ = (
        *("_chunk_jobs", "_full", "error", "heads", "held", "host", "opened_s", "overdue"),
        *("ranks", "under_way", "values", "window"),
    )

    def __init__(self, host: int, chunk_jobs: int) -> None:
        self.host = host
        self.ranks = Ranks()
        self.chunk_jobs = chunk_jobs
        self.opened_s = 0.0
        self.under_way = 0
        self.window = 1
        self.heads: list[Any] = []
        self.values: list[Any] = []
        self.held: deque[Any] = deque()
        self.overdue: int | None = None
        self.error: Exception | None = None

    @property
    def chunk_jobs(self) -> int:
        """Return how many jobs its next chunk may have."""
        return self._chunk_jobs

    @chunk_jobs.setter
    def chunk_jobs(self, count: int) -> None:
        self._chunk_jobs = count
        self._set_full()

    def _set_full(self) -> None:
        """Note how long `heads` is when there are enough jobs for a chunk."""
        self._full = (self._chunk_jobs - len(self.ranks)) * HEAD_PARTS

    def add(self, row: Row, now_s: float) -> bool:
        """Let a job wait at the end; tell whether a full chunk may be sent now."""
        heads = self.heads
        if not heads:
            self._note_first(now_s)
        heads += row[:HEAD_PARTS]
        self.values += row[HEAD_PARTS]
        return len(heads) >= self._full and self.has_room

    def add_ranked(self, row: Row, priority: int, now_s: float) -> bool:
        """Let a job wait whose priority is not 0; as `add`."""
        self._note_first(now_s)
        self.ranks.add(row, priority)
        self._set_full()
        return self.is_full and self.has_room

    def _note_first(self, now_s: float) -> None:
        if not self.has_jobs:
            self.opened_s = now_s

    def take(self, batch: int) -> Chunk:
        """Take the jobs of the next chunk off the front."""
        if self.ranks:
            return self._take_ranked(batch, self._chunk_jobs)
        size = self._chunk_jobs * HEAD_PARTS
        chunk = chunk_of(batch, self.heads[:size], self.values)
        del self.heads[:size], self.values[: len(chunk.values)]
        return chunk

    def take_all(self, batch: int) -> Chunk:
        """Take all jobs."""
        return self._take_ranked(batch, len(self.heads) + len(self.ranks))

    def _take_ranked(self, batch: int, count: int) -> Chunk:
        """Take the jobs with the highest priorities, of each in order."""
        heads, values = self.ranks.take(count, self.heads, self.values)
        self._set_full()
        return chunk_of(batch, heads, values)

    def hold(self, flights: Iterable[Any]) -> None:
        """Let chunks that were sent before wait to be sent again, in the order as before."""
        # Of parts of one chunk those that come back were sent before those that wait.
        self.held = deque(sorted([*flights, *self.held], key=lambda each: each.chunk.number))

    @property
    def has_jobs(self) -> bool:
        """Whether any job waits."""
        return bool(self.heads or self.ranks)

    @property
    def is_full(self) -> bool:
        """Whether enough jobs wait for a chunk."""
        return len(self.heads) >= self._full

    @property
    def has_room(self) -> bool:
        """Whether a chunk may be sent: there is room in the window, and none comes before it."""
        return self.under_way < self.window and not self.held

    @property
    def is_ready(self) -> bool:
        """Whether a full chunk may be sent, or any to a host that has nothing to do."""
        if self.under_way:
            return self.is_full and self.has_room
        return self.has_jobs and not self.held


def next_chunk_jobs(sent: int, run_s: float, settings: Settings) -> int:
    """Return how many jobs the next chunk of a host may have, going by its last one.

    Slow jobs get small chunks, so that outcomes come soon; fast ones get large chunks, because a
    request costs as much as dozens of them.

    Args:
        sent: Jobs in the last chunk.
        run_s: How long they ran.
        settings: Target and limits.
    """
    fitting = int(sent * settings.chunk_target_s / max(run_s, SECONDS_PER_US))
    return max(1, min(fitting, sent * settings.chunk_growth, settings.chunk_jobs))
