"""Runs one batch: takes jobs from their source, groups them by host, hands out what became of them.

    source ── take ──> lanes, one per host ── send ──> host
                                                        │
    ready  <───────────── collect <──── arrivals <──────┘

Everything happens in the thread that asks for outcomes, except that answers arrive in a queue from
any thread. So a slow reader slows the source down, and an endless source needs no more memory than
`Settings.held_jobs`. Jobs for one root keep their order: a lane is a queue, and a host serves
chunks in the order in which they were sent. Those with a higher priority overtake others in a lane.
A job that depends on others waits in `order.py`, before it comes to a lane.

Where a job goes is decided in `routing.py`; how bytes get there is in `fleet.py`, `transport.py`.
"""

from __future__ import annotations

import contextlib
import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from itertools import islice
from time import monotonic
from typing import Any, NamedTuple, get_args

from registry import Ref, ids
from registry.clock import Clock
from registry.errors import FencedError, TreerunnerError
from runner.asked import Asked
from runner.attempts import Attempts, status_of
from runner.batch import Counts, ErrorInfo, Job, Outcome, Status
from runner.directory import NOWHERE, Directory, Entry, rootless_owner
from runner.errors import (
    CancelledError,
    HostLostError,
    JobError,
    RootLostError,
    RunnerError,
    SkippedError,
    WireError,
)
from runner.failures import Failures
from runner.fleet import Fleet
from runner.flight import Flight, Parts
from runner.lane import SECONDS_PER_US, Lane, next_chunk_jobs
from runner.options import NO_OPTIONS, Options
from runner.order import Held, Order
from runner.routing import Routing
from runner.settings import Settings
from runner.statistics import Meter
from runner.transport import Deliver
from runner.watch import Watch
from runner.wire import HEAD_PARTS, NOT_RUN, Chunk, Reply, Row, Wire, chunk_of

FIRST_ANSWER_PAUSE_S = 0.000_1
make_outcome = tuple.__new__
LONG_AGO_S = float("-inf")


class Arrival(NamedTuple):
    """An answer: the number of its flight, and the bytes; None: the host is dead."""

    flight: int
    payload: bytes | None


class Dispatcher:
    """Runs one batch; `advance` makes it go on, and fills `ready`.

    Not thread-safe, but for `cancel`.

    Args:
        jobs: The source; an exception of its own ends the batch and is raised at its end.
        fleet: The hosts.
        directory: Where roots are; learns of those that are born.
        routing: Where jobs go.
        meter: Counts what is answered.
        wire: How chunks are written.
        settings: The bounds.
        options: What each job asks for that does not say otherwise.
        one_by_one: Whether to wait for each chunk as it is sent, which is faster for one alone.
        clock: Returns seconds; only differences are used.
    """

    def __init__(
        self,
        jobs: Iterable[Job],
        fleet: Fleet,
        directory: Directory,
        routing: Routing,
        meter: Meter,
        wire: Wire,
        settings: Settings,
        options: Options = NO_OPTIONS,
        *,
        one_by_one: bool = False,
        clock: Clock = monotonic,
    ) -> None:
        self.number = ids.first_execution_number()
        self.ready: deque[Outcome] = deque()
        """Outcomes to hand out; whoever does takes them from the left."""
        self._jobs: Iterator[Job] = iter(jobs)
        self._job_count = len(jobs) if isinstance(jobs, Sized) else None
        self._source_error: BaseException | None = None
        self._fleet = fleet
        self._send_chunk = fleet.call_chunk if one_by_one else fleet.send_chunk
        self._directory = directory
        self._routing = routing
        self._meter = meter
        self._wire = wire
        self._settings = settings
        self._clock = clock
        missing, is_apart = fleet.missing_for_limits, fleet.has_processes
        self._asked = Asked(options, settings.timeout_s, missing, has_processes=is_apart)
        self._attempts = Attempts(self.number, self._asked, clock)
        self._failures = Failures(self.number, jobs, settings.kept_failures)
        self._parts = Parts(self.number, wire, self._asked, settings)
        self._options = options
        self._order: Order | None = None
        """What waits for other jobs; from the first job with an id or options on."""
        self._lanes: dict[int, Lane] = {}
        self._flights: dict[int, Flight] = {}
        self._arrivals: queue.SimpleQueue[Arrival | None] = queue.SimpleQueue()
        self._taken = 0
        self._done: dict[Status, int] = dict.fromkeys(get_args(Status), 0)
        self._sent = 0
        self._chunks = 0
        self._is_exhausted = False
        self._is_cancelled = False
        self._unwanted: set[str | int] = set()
        """Ids and indexes of jobs that were cancelled alone, and have not been met since."""
        self._cancel_deadline_s: float | None = None
        self._watch = None if settings.timeout_s is None else self._make_watch()

    def advance(self, waiting: int = 0) -> bool:
        """Go on until an outcome is ready; False: the batch has ended.

        Args:
            waiting: Outcomes that were taken from `ready` and count as held still.

        Raises:
            BaseException: What the source raised, after the outcomes of all jobs before it.
        """
        while not self.ready:
            goes_on = self._go_on(waiting)
            if self._order is not None and self.ready:
                self._let_go_on(self._order)
            if not goes_on:
                return self._end()
        return True

    def _go_on(self, waiting: int) -> bool:
        """Go one step further; False: there is nothing more to do."""
        arrived = self._collect_arrived()
        if self._attempts.is_any_waiting and not self._is_cancelled:
            self._run_due()
        if self._is_cancelled:
            self._wind_up()
        elif not self._is_exhausted:
            room = self._settings.held_jobs - waiting - self._open_jobs() - len(self.ready)
            if self._take(min(room, arrived + self._settings.pull_jobs)):
                self._let_first_answers_in()
                return True
        if self.ready:
            return True
        self._send_waiting()
        if self.ready:  # of jobs that could not be sent
            return True
        if not self._flights and any(lane.has_jobs for lane in self._lanes.values()):
            return True
        if self._flights or self._attempts.is_any_waiting:
            self._await_arrival()
            return True
        return False

    def cancel(self, *jobs: str | int) -> None:
        """Take no more jobs, skip what has not begun, and let `advance` end the batch soon.

        May be called from any thread, and more than once.

        Args:
            jobs: Ids or indexes of some that are not to be sent; then the others go on.
        """
        if jobs:
            self._unwanted |= {*jobs}
            return
        self._is_cancelled = True
        self._arrivals.put(None)  # wakes who waits

    def counts(self) -> Counts:
        """Return how many outcomes of each kind there are so far."""
        return Counts(**self._done)

    def failed_jobs(self, *, cancelled: bool = False) -> list[Job]:
        """Return the jobs that did not succeed so far, in order, to be run as other attempts.

        Args:
            cancelled: Whether those that were cancelled are among them.

        Raises:
            JobsNotKeptError: There were too many, and they did not come from a list.
        """
        return self._failures.jobs(taken=self._taken, cancelled=cancelled)

    def learn(self, outcome: Outcome) -> None:
        """Note what became of a job that is not sent, since that is known."""
        self._begun_order().learn(outcome)

    def learn_from(self, other: Dispatcher) -> None:
        """Note what the jobs of another batch became."""
        if other._order is not None:
            self._begun_order().learn_from(other._order)

    # --- from the source into lanes ---

    def _take(self, count: int) -> int:
        """Take jobs from the source, and send full chunks; return how many were taken.

        Stops early if the source is slow, so that what it gave does not wait for what it has not.
        The first job counts as slow: nobody knows yet how fast the source is.
        """
        clock = self._clock
        now_s = clock()
        deadline_s = now_s + self._settings.linger_s if self._taken else LONG_AGO_S
        taken = 0
        try:
            for job in islice(self._jobs, max(0, count)):
                taken += 1
                self._accept(job, now_s)
                if clock() > deadline_s:
                    self._send_lingering()
                    break
            else:
                self._is_exhausted = taken < count
        except Exception as exc:  # noqa: BLE001 - raised at the end of the batch
            self._source_error = exc
            self._is_exhausted = True
        return taken

    def _accept(self, job: Job, now_s: float, held: Held | None = None) -> None:
        """Put a job into the lane of its host; *held* is what it waited as, if it did."""
        rank = 0
        if held is None:
            index = self._taken
            self._taken += 1
        else:
            index = held.index
        try:
            if self._order is not None or job.options is not None or job.id is not None:
                order = self._order or self._begun_order()
                free = order.accept(job, index) if held is None else order.release(held)
                if free is None:
                    return
                job = free
                if job.options is not None:
                    rank = self._rank(job.options)
            entry, row = self._routing.route(job, index)
            if job.options is not None:
                row = self._ask(row, job.options)
            if entry is not None and entry.host == NOWHERE:
                entry = self._fleet.house(entry)
        except Exception as exc:  # noqa: BLE001 - a bad job costs only itself
            self._refuse(job, index, exc)
            return
        lane = None if entry is None else self._lanes.get(entry.host)
        if lane is None:
            lane = self._lane(self._fleet.ready_host(index) if entry is None else entry.host)
        if lane.add_ranked(row, rank, now_s) if rank else lane.add(row, now_s):
            self._send(lane)

    def _ask(self, row: Row, options: Options) -> Row:
        """Note what a job asks for, and return it as it is sent first."""
        self._asked.note(row[2], options)
        if options.timeout_s is not None:
            self._watch = self._watch or self._make_watch()
            self._watch.hurry(options.timeout_s)
        return self._attempts.begin(row, options.attempts_before)

    def _run_due(self) -> None:
        """Let jobs that have waited for another attempt take their places at the end of lanes."""
        for row in self._attempts.due():
            _, root, index, *_ = row
            try:
                entry = None if root is None else self._directory.entry(root)
                if entry is not None and entry.host == NOWHERE:
                    entry = self._fleet.house(entry)
                lane = self._lane(self._fleet.ready_host(index) if entry is None else entry.host)
            except RunnerError as exc:
                self._finish(row, "lost" if isinstance(exc, RootLostError) else "failed", exc)
                continue
            own = self._asked.own(index)
            rank = 0 if own is None else self._rank(own)
            if lane.add_ranked(row, rank, self._clock()) if rank else lane.add(row, self._clock()):
                self._send(lane)

    def _make_watch(self) -> Watch:
        return Watch(self._asked, self.number, self._fleet.running, self._next_jobs, self._clock)

    def _next_jobs(self, lane: Lane) -> list[int]:
        """Return the indexes of the jobs that the host of a lane is to answer next."""
        flights = (each for _, each in sorted(self._flights.items()) if each.lane is lane)
        first = next(flights, None)
        return [] if first is None else first.chunk.indexes

    def _begun_order(self) -> Order:
        if self._order is None:
            self._order = Order(self._routing, self._settings.remembered_outcomes)
        return self._order

    def _rank(self, options: Options) -> int:
        """Return how much higher the priority of a job is than that of its batch."""
        usual = self._options.priority or 0
        return 0 if options.priority is None else options.priority - usual

    def _let_go_on(self, order: Order) -> None:
        """Note what ended just now, and accept what waited for it; again for what ends by that.

        Whatever is in `ready` has ended for good.
        """
        noted = 0
        while count := len(self.ready) - noted:
            noted += count
            freed = list(order.note([*islice(reversed(self.ready), count)]))
            for held in freed:
                self._accept(held.job, self._clock(), held)
            if freed:  # else idle hosts would get the few jobs that are just being taken
                self._send_lingering()

    def _lane(self, host: int) -> Lane:
        lane = self._lanes.get(host)
        if lane is None:
            host = self._fleet.latest(host)  # the directory may have been read before it moved
            # Of a host that somebody else found dead: what it was sent comes first.
            for before in self._fleet.predecessors(host):
                if before in self._lanes:
                    self._take_over(self._lanes[before])
            lane = self._lanes.get(host)
        if lane is None:
            size = min(self._settings.first_chunk_jobs, self._settings.chunk_jobs)
            lane = self._lanes[host] = Lane(host, size)
        return lane

    def _refuse(self, job: Job, index: int, error: Exception) -> None:
        self._failures.keep(index, job)
        if not isinstance(job, Job):
            kind = type(job).__name__
            job, error = Job("", None), JobError(f"job {index}", f"is a {kind}, expected a Job")
        elif not isinstance(error, RunnerError):
            error = JobError(f"job {index}", f"cannot be read ({type(error).__name__}: {error})")
        root = self._routing.root_of(job)
        status: Status = "lost" if isinstance(error, RootLostError) else "failed"
        if isinstance(error, SkippedError | CancelledError):
            status = "skipped" if isinstance(error, SkippedError) else "cancelled"
        self._finish(((job.callable, ()), root, index, job.id, ()), status, error)

    # --- from lanes to hosts ---

    def _send_waiting(self) -> None:
        """Send what waits to idle hosts; and to all that have room, if no more will come."""
        for lane in self._lanes.values():
            window = lane.window if self._is_exhausted else 1
            while lane.has_jobs and lane.under_way < window and not lane.held:
                self._send(lane)

    def _send_lingering(self) -> None:
        for lane in self._lanes.values():
            if lane.has_jobs and not (lane.under_way or lane.held):
                self._send(lane)

    def _send(self, lane: Lane) -> None:
        if lane.error is not None:
            self._end_lane(lane, lane.error)
            return
        self._chunks += 1
        chunk = lane.take(self.number)
        if self._unwanted:
            chunk = self._without_unwanted(chunk)
        memory = self._asked.memory(chunk.indexes)
        chunk = chunk._replace(number=self._chunks, memory=memory)
        payload, sent, rejected = self._wire.dumps_chunk(chunk)
        for row, error in rejected:
            self._finish(row, "failed", error)
        if not sent.indexes:
            return
        flight = Flight(lane, sent._replace(values=[]), lane.opened_s, payload)
        lane.opened_s = self._clock()
        self._let_go(flight, self._send_chunk)

    def _without_unwanted(self, chunk: Chunk) -> Chunk:
        """Return a chunk without the jobs that were cancelled alone, which end here."""
        heads: list[Any] = []
        values: list[Any] = []
        for row in chunk.rows():
            names = {row[2], self._attempts.name_of(row)}
            if self._unwanted.isdisjoint(names):
                heads += row[:HEAD_PARTS]
                values += row[HEAD_PARTS]
            else:
                self._unwanted -= names
                self._finish(row, "cancelled", CancelledError("was not begun"))
        return chunk_of(self.number, heads, values)

    def _let_go(self, flight: Flight, send: Callable[[int, bytes, Deliver], None]) -> None:
        number = self._sent
        self._sent += 1
        self._flights[number] = flight
        flight.lane.under_way += 1
        put = self._arrivals.put
        send(flight.lane.host, flight.payload, lambda answer: put(Arrival(number, answer)))

    # --- from hosts to outcomes ---

    def _collect_arrived(self) -> int:
        """Turn the answers that are there into outcomes, without waiting; return how many."""
        before = len(self.ready)
        while not self._arrivals.empty():
            self._collect(self._arrivals.get_nowait())
        return len(self.ready) - before

    def _let_first_answers_in(self) -> None:
        """Pause for a moment if some hosts have yet to answer for the first time.

        Answers come in another thread, which would wait 5 ms for this one to let go of the
        interpreter; until then these hosts have next to nothing to do.
        """
        if any(lane.under_way and lane.window == 1 for lane in self._lanes.values()):
            with contextlib.suppress(queue.Empty):
                self._collect(self._arrivals.get(timeout=FIRST_ANSWER_PAUSE_S))

    def _await_arrival(self) -> None:
        waits = (self._attempts.wait_s, None if self._watch is None else self._watch.wait_s)
        timeout_s = min((each for each in waits if each is not None), default=None)
        if self._cancel_deadline_s is not None:
            timeout_s = max(0.0, self._cancel_deadline_s - self._clock())
        try:
            self._collect(self._arrivals.get(timeout=timeout_s))
        except queue.Empty:
            if self._cancel_deadline_s is not None:
                self._give_up()
        if self._watch is not None:
            self._end_overdue(self._watch)

    def _end_overdue(self, watch: Watch) -> None:
        """End hosts that are at one job for too long; their deaths arrive as others do."""
        for lane, index in watch.overdue(self._lanes.values()):
            lane.overdue = -1 if index is None else index
            self._fleet.end(lane.host)

    def _collect(self, arrival: Arrival | None) -> None:
        flight = None if arrival is None else self._flights.pop(arrival.flight, None)
        if arrival is None or flight is None:  # a wake-up call, or an answer that was given up
            return
        flight.lane.under_way -= 1
        if arrival.payload is None:
            if self._fleet.is_durable:
                flight.lane.under_way += 1  # still to be answered
                self._flights[arrival.flight] = flight
                self._take_over(flight.lane)
            else:
                self._lose(flight)
            return
        try:
            reply = self._wire.loads_reply(arrival.payload)
        except Exception as exc:  # noqa: BLE001 - a class that cannot be imported here, say
            reason = f"{type(exc).__name__}: {exc}"
            self._finish_flight(flight, "failed", WireError("the answer of its host", reason))
            self._send_held(flight.lane)
            return
        if reply.refusal is not None:
            self._note_refusal(flight, reply.refusal)
            return
        for root, parent in reply.born:
            self._enter_born(root, parent, flight.lane.host)
        for root, owner in reply.stored:
            if root.root not in self._directory.entries:
                self._directory.enter(Entry(root, NOWHERE, owner))
        self._settle(flight, reply, len(arrival.payload))

    def _settle(self, flight: Flight, reply: Reply, bytes_received: int) -> None:
        lane, job_count = flight.lane, len(flight.chunk.indexes)
        failed_before = self._done["failed"]
        run_us = sum(reply.columns[0])
        since_opened_us = (self._clock() - flight.opened_s) / SECONDS_PER_US
        self._finish_run(flight, reply, since_opened_us - run_us)

        run_s = run_us * SECONDS_PER_US
        self._meter.count(
            executions=job_count,
            failed=self._done["failed"] - failed_before,
            bytes_sent=len(flight.payload),
            bytes_received=bytes_received,
            run_s=run_s,
        )
        if job_count >= lane.chunk_jobs or run_s > self._settings.chunk_target_s:
            lane.chunk_jobs = next_chunk_jobs(job_count, run_s, self._settings)
        lane.window = self._settings.window_chunks
        # The host must not run dry while the reader is busy with what it just sent.
        self._send_held(lane)
        while lane.is_ready:
            self._send(lane)

    def _finish_run(self, flight: Flight, reply: Reply, queued_us: float) -> None:
        """Make outcomes of what ran, in the order in which it did."""
        chunk, append, first_number = flight.chunk, self.ready.append, self.number
        before = len(self.ready)
        ok_count = 0
        for shape, root, index, own_id, run_us, version, changed, semantic, value, outputs in zip(
            *(chunk.shapes, chunk.roots, chunk.indexes, chunk.own_ids),
            *reply.columns,
            strict=True,
        ):
            if version < 0:
                row = (shape, root, index, own_id, ())
                if version == NOT_RUN:
                    self._finish(row, "cancelled", CancelledError("was not begun"))
                else:
                    self._finish_failed(flight, row, value, queued_us, run_us)
                    queued_us += run_us
                continue
            error = None
            if type(value) is WireError:
                error, value = ErrorInfo.of(value), None
            append(
                make_outcome(  # 0.2 us each; the class's own way to be made takes as much again
                    Outcome,
                    (
                        index,
                        own_id or first_number + index,
                        shape[0],
                        root,
                        "ok",
                        semantic,
                        version,
                        changed,
                        value,
                        outputs,
                        error,
                        queued_us * SECONDS_PER_US,
                        run_us * SECONDS_PER_US,
                        1,
                    ),
                )
            )
            ok_count += 1
            queued_us += run_us
        self._done["ok"] += ok_count
        if self._attempts or self._asked:
            self._tell_attempts(len(self.ready) - before)
        self._parts.forget()

    def _tell_attempts(self, count: int) -> None:
        """Let the newest outcomes be those of jobs, where they are of second attempts."""
        newest = [self.ready.pop() for _ in range(count)]
        for outcome in reversed(newest):
            self._asked.forget(outcome.index)
            self.ready.append(self._attempts.told(outcome))

    def _finish_failed(
        self, flight: Flight, row: Row, error: ErrorInfo, queued_us: float, run_us: int
    ) -> None:
        """Let a job that failed wait for its next attempt; else make its outcome."""
        status = status_of(error)
        policy = self._attempts.policy(row[2], status, error)
        is_again = policy is not None and not self._is_cancelled
        if is_again or self._failures.wants_jobs:
            row = self._parts.whole(flight, row)
        if policy is not None and is_again:
            try:
                # What a store answers took no time: it ran before this batch, and has waited.
                is_known = run_us == 0 and flight.verdict is None
                self._attempts.let_wait(row, policy, error, is_known=is_known)
            except Exception as exc:  # noqa: BLE001 - a wait of the user's own may raise anything
                note = f"it was not run again: {type(exc).__name__}: {exc}"
                error = error._replace(notes=(*error.notes, note))
            else:
                return
        self._finish(row, status, error, queued_us, run_us, is_stored=True)

    def _finish(
        self,
        row: Row,
        status: Status,
        error: Exception | ErrorInfo,
        queued_us: float = 0.0,
        run_us: int = 0,
        *,
        is_stored: bool = False,
    ) -> None:
        """Make the outcome of a job that did not succeed."""
        (callable_name, _), root, index, own_id, _ = row
        self._done[status] += 1
        outcome = Outcome(
            index,
            own_id or self.number + index,
            callable_name,
            root,
            status,
            error=error if isinstance(error, ErrorInfo) else ErrorInfo.of(error),
            queued_s=queued_us * SECONDS_PER_US,
            run_s=run_us * SECONDS_PER_US,
        )
        outcome = self._attempts.told(outcome)
        self._failures.note(outcome, is_stored=is_stored)
        if self._failures.wants_jobs and status != "cancelled":
            self._failures.keep_row(row, outcome.id, self._asked.own(index))
        self._asked.forget(index)
        self.ready.append(outcome)

    def _finish_all(self, chunk: Chunk, status: Status, error: Exception | ErrorInfo) -> None:
        for row in chunk.rows():
            self._finish(row, status, error)

    def _finish_flight(self, flight: Flight, status: Status, error: Exception) -> None:
        for row in self._sent_rows(flight):
            self._finish(row, status, error)

    def _sent_rows(self, flight: Flight) -> Iterator[Row]:
        """Yield the jobs of a chunk; with the values of arguments, if somebody wants them."""
        for head in flight.chunk.heads():
            row = (*head, ())
            yield self._parts.whole(flight, row) if self._failures.wants_jobs else row

    def _enter_born(self, root: Ref, parent: Ref | None, host: int) -> None:
        if root.root in self._directory.entries:  # it was born before, and this is told again
            return
        bearer = None if parent is None else self._directory.entries.get(parent.root)
        owner = rootless_owner(host) if bearer is None else bearer.owner
        # If another host has replaced that one since, it does not know of this root.
        is_there = self._fleet.latest(host) == host
        self._directory.enter(Entry(root, host if is_there else NOWHERE, owner))

    # --- when it ends badly ---

    def _take_over(self, lane: Lane) -> None:
        """Send all that a dead host did not answer to the one that replaces it, in order."""
        error: TreerunnerError | None = None
        try:
            # First: if Ctrl-C comes while it waits, the next answer leads here again.
            host = self._fleet.replace(lane.host)
        except TreerunnerError as exc:
            error, host = exc, lane.host
        numbers = [number for number, flight in self._flights.items() if flight.lane is lane]
        flights = [self._flights.pop(number) for number in sorted(numbers)]
        lane.under_way = 0
        if flights and lane.overdue is not None and flights[0].verdict is None:
            flights[:1] = self._parts.without_overdue(flights[0], lane.overdue)
        elif flights:
            first = flights[0]._replace(deaths=flights[0].deaths + 1)
            if first.verdict is not None and self._parts.is_deadly(first):
                self._finish_flight(first, *first.verdict)  # not even looking it up goes well
                del flights[:1]
            else:
                flights[:1] = self._parts.apart(first)
        lane.overdue = None
        lane.hold(flights)
        if error is not None or self._is_cancelled:
            self._end_lane(lane, error)
            return
        del self._lanes[lane.host]
        lane.host = host
        known = self._lanes.setdefault(host, lane)
        assert known is lane, "a lane is made after those before it"
        self._send_held(lane)

    def _note_refusal(self, flight: Flight, error: Exception) -> None:
        """Send a chunk again that could not be stored, as often as it may be; then give it up.

        Whether the store has it is not known then: the host looks, before it runs it again.
        """
        lane = flight.lane
        flight = flight._replace(refusals=flight.refusals + 1)
        if isinstance(error, WireError | FencedError):
            self._finish_flight(flight, "failed", error)
        elif self._is_cancelled or lane.error or flight.refusals >= self._settings.store_attempts:
            lane.held.appendleft(flight)
            self._end_lane(lane, None if self._is_cancelled else error)
        else:
            lane.hold([flight])
        self._send_held(lane)

    def _send_held(self, lane: Lane) -> None:
        """Send the next of what another host did not answer; one at a time, so that all is clear.

        The one that a host dies with is then the one that it ran.
        """
        if lane.held and not lane.under_way:
            flight = lane.held.popleft()
            is_over = flight.verdict is not None
            self._let_go(flight, self._fleet.recall_chunk if is_over else self._fleet.resend_chunk)

    def _end_lane(self, lane: Lane, error: Exception | None) -> None:
        """Make outcomes of all that waits in a lane that has no host any more, or no store.

        Of the rest of the batch nothing goes there either: what is run again later, with the same
        ids, comes in the same order as if nothing had happened.

        Args:
            lane: The lane.
            error: Why it has none; None if the batch was cancelled.
        """
        held, lane.held = lane.held, deque()
        rest = lane.take_all(self.number)
        if error is None:
            unknown = "was under way, and whether it took effect is not known"
            for flight in held:
                self._finish_flight(flight, "cancelled", CancelledError(unknown))
            self._finish_all(rest, "cancelled", CancelledError("was not begun"))
            return
        lane.error = error
        for flight in held:  # it may be stored
            self._finish_flight(flight, "lost", error)
        self._finish_all(rest, "failed", error)

    def _lose(self, flight: Flight) -> None:
        """Account for what a dead host was given; what it has yet to be given goes elsewhere."""
        lane = flight.lane
        self._fleet.bury(lane.host)
        self._lanes.pop(lane.host, None)
        for row in self._sent_rows(flight):
            self._finish_lost(row, lane.host)
        for row in lane.take_all(self.number).rows():
            if row[1] is not None:
                self._finish_lost(row, lane.host)
            else:
                self._lane(self._fleet.ready_host(row[2])).add(row, self._clock())

    def _finish_lost(self, row: Row, host: int) -> None:
        root = row[1]
        if root is None:
            self._finish(row, "lost", HostLostError(f"host {host}", row[0][0]))
        else:
            self._finish(row, "lost", self._directory.lost_error(root))

    def _wind_up(self) -> None:
        """Once cancelled: finish what was not sent, and give hosts a moment for what was."""
        if self._cancel_deadline_s is not None:
            return
        self._cancel_deadline_s = self._clock() + self._settings.cancel_grace_s
        for held in () if self._order is None else self._order.take_all():
            self._refuse(held.job, held.index, CancelledError("was not begun"))
        for lane in self._lanes.values():
            self._end_lane(lane, None)
            if lane.under_way:
                self._fleet.cancel(lane.host, self.number)
        for row, failed in self._attempts.drain():
            error = CancelledError("was to be run again")
            error.add_note(f"it failed with {failed.type}: {failed.message}")
            self._finish(row, "cancelled", error, is_stored=False)
        if self._job_count is not None:
            self._done["cancelled"] += max(0, self._job_count - self._taken)
        self._is_exhausted = True

    def _give_up(self) -> None:
        error = CancelledError("was under way, and whether it took effect is not known")
        for flight in self._flights.values():
            self._finish_flight(flight, "cancelled", error)
        self._flights.clear()

    def _end(self) -> bool:
        error, self._source_error = self._source_error, None
        if error is not None:
            raise error
        return False

    def _open_jobs(self) -> int:
        """Return how many jobs were taken and have no outcome."""
        return self._taken - sum(self._done.values())
