"""Row 3: the store fails, is full, slow, read-only or locked, while a batch runs here."""

from __future__ import annotations

import itertools
import resource
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar
from unittest import mock

from registry import Ref
from registry.errors import JournalBusyError, TreerunnerError
from registry.journal import sqlite_file
from registry.journal.memory import MemoryJournal
from registry.journal.port import Journal
from registry.journal.sqlite import SqliteJournal
from runner import Job, Runner, Settings
from runner.checker import Witness, check_history
from tests.campaign import app
from tests.campaign.faulty import Faults, FaultyJournal
from tests.campaign.kills import enter_jobs
from tests.campaign.rows import Row

JOBS = 60
LEDGERS = 2
SETTINGS = Settings(chunk_jobs=8, first_chunk_jobs=4)


def fail_every_call(most: int | None = None) -> Row:
    """Let the n-th call fail, for every n, in each of several ways."""
    began = monotonic()
    problems: list[str] = []
    notes: Counter[str] = Counter()
    count = 0
    for way in (
        {"is_done_first": False},
        {"is_done_first": True},
        {"is_done_first": False, "lasts": 10**9},
        {"is_done_first": False, "error": JournalBusyError},
    ):
        for number in itertools.islice(itertools.count(1), most):
            trial = _Trial(number, way)
            if not trial.has_failed:
                break
            count += 1
            notes.update(trial.statuses)
            problems += [f"call {number} of {way}: {each}" for each in trial.problems]
    took = monotonic() - began
    what = "the n-th call of the store fails, every n"
    return Row(3, what, count, count * JOBS, problems, (), dict(notes), took)


class _Trial:
    """A batch on a store of which a call fails, and then the same batch again."""

    def __init__(self, number: int, way: dict[str, Any]) -> None:
        self.problems: list[str] = []
        self.statuses: Counter[str] = Counter()
        faults = Faults()
        kept = MemoryJournal()
        witness = Witness()
        roots: list[Ref] = []
        with _stored_in(lambda: FaultyJournal(kept, faults)):
            try:
                with Runner(app, in_process=True, store="faulty", settings=SETTINGS) as runner:
                    roots = runner.add_many([app.make_ledger() for _ in range(LEDGERS)])
                    faults.calls = 0
                    faults.fails_at = number
                    for name, value in way.items():
                        setattr(faults, name, value)
                    batch = runner.submit(witness.jobs(_jobs(roots)))
                    for outcome in witness.outcomes(batch):
                        self._judge(outcome.status, outcome.error and outcome.error.type)
            except TreerunnerError as error:
                self.problems.append(f"raised {error!r}")
            self.has_failed = faults.calls >= number
            if sum(self.statuses.values()) != JOBS:
                self.problems.append(f"outcomes {dict(self.statuses)} of {JOBS} jobs")
            self.problems += map(str, check_history(kept, witness.sent, app.model))
            faults.fails_at = 0
            self._run_again(roots, kept)

    def _judge(self, status: str, error: str | None) -> None:
        self.statuses[status] += 1
        if status != "ok" and error not in ("JournalError", "JournalBusyError"):
            self.problems.append(f"an outcome is {status}, {error}")

    def _run_again(self, roots: list[Ref], kept: Journal) -> None:
        with Runner(app, in_process=True, store="faulty", settings=SETTINGS) as runner:
            counts = runner.submit(_jobs(roots)).wait()
            if counts.ok != JOBS:
                self.problems.append(f"run again: {counts}")
            self.problems += _differences(runner, roots, kept)


def fill_disk(folder: Path) -> Row:
    """Let the disk be full in the middle of a batch, and make room again."""

    class Small(_Bounded):
        pages = 60

    return _with_connection("disk full, then room again", folder, Small, Small.relax)


def forbid_writing(folder: Path) -> Row:
    """Let the store be read-only from some moment on, and then writable again."""

    class ReadOnly(_Bounded):
        writes = 40

    return _with_connection("read-only, then writable again", folder, ReadOnly, ReadOnly.relax)


class _Bounded(sqlite3.Connection):
    """A connection with a bound: pages of the file, or transactions."""

    pages: ClassVar[int] = 0
    writes: ClassVar[int] = 0
    left: ClassVar[int] = 0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.pages:
            super().execute(f"PRAGMA max_page_count = {self.pages}")

    def execute(self, *args: Any) -> sqlite3.Cursor:
        """Execute a statement."""
        cls = type(self)
        if cls.writes and args[0].startswith("BEGIN"):
            cls.left += 1
            if cls.left > cls.writes:
                super().execute("PRAGMA query_only = ON")
        return super().execute(*args)

    @classmethod
    def relax(cls) -> None:
        """Let connections that are made from now on have no bound."""
        cls.pages = cls.writes = 0


def _with_connection(
    what: str, folder: Path, connection: type[sqlite3.Connection], relax: Callable[[], None]
) -> Row:
    began = monotonic()
    store = folder / f"{what.replace(' ', '-')}.db"
    problems: list[str] = []
    witness = Witness()
    count = 3_000
    with mock.patch.object(sqlite_file, "CONNECTION", connection):
        with Runner(app, in_process=True, store=store, settings=SETTINGS) as runner:
            roots = runner.add_many([app.make_ledger() for _ in range(LEDGERS)])
            outcomes = list(witness.outcomes(runner.submit(witness.jobs(_jobs(roots, count)))))
        statuses = Counter(str(each.status) for each in outcomes)
        errors = Counter(each.error.message for each in outcomes if each.error)
        if (
            not statuses["ok"]
            or set(statuses) != {"ok", "lost", "failed"}
            or len(outcomes) != count
        ):
            problems.append(f"outcomes {dict(statuses)}")
        problems += map(str, check_history(store, witness.sent, app.model))
        relax()
        with Runner(app, in_process=True, store=store) as runner:
            counts = runner.submit(_jobs(roots, count)).wait()
            if counts.ok != count:
                problems.append(f"run again: {counts}")
            journal = SqliteJournal(store, read_only=True)
            problems += _differences(runner, roots, journal, count)
            journal.close()
    message = errors.most_common(1)[0][0].replace(str(store), store.name) if errors else "none"
    notes = {**statuses, "error": f"'{message}'"}
    return Row(3, what, 1, count, problems, (), notes, monotonic() - began)


def lock(folder: Path) -> Row:
    """Let another connection hold the lock of the store for a while, again and again."""
    began = monotonic()
    store = folder / "locked.db"
    problems: list[str] = []
    witness = Witness()
    stop = threading.Event()
    held = [0]

    def hold() -> None:
        other = sqlite3.connect(store, isolation_level=None, timeout=30)
        while not stop.wait(0.05):
            other.execute("BEGIN IMMEDIATE")
            stop.wait(0.3)
            other.execute("ROLLBACK")
            held[0] += 1
        other.close()

    with Runner(app, in_process=True, store=store, settings=SETTINGS) as runner:
        roots = runner.add_many([app.make_ledger() for _ in range(LEDGERS)])
        thread = threading.Thread(target=hold)
        thread.start()
        statuses = Counter(
            str(each.status)
            for each in witness.outcomes(runner.submit(witness.jobs(_jobs(roots, 300))))
        )
        stop.set()
        thread.join()
    if statuses != {"ok": 300}:
        problems.append(f"outcomes {dict(statuses)}")
    problems += map(str, check_history(store, witness.sent, app.model))
    what = "locked by another process, 0.3 s at a time"
    return Row(3, what, held[0], 300, problems, (), dict(statuses), monotonic() - began)


def slow_down(delay_s: float, count: int) -> Row:
    """Let each commit take long; no more jobs are taken than may be held, memory stays."""
    began = monotonic()
    faults, kept = Faults(), MemoryJournal()
    problems: list[str] = []
    taken = [0]
    most_open = done = 0
    settings = Settings(held_jobs=2_000, chunk_jobs=200)

    def source(roots: list[Ref]) -> Iterator[Job]:
        for job in _jobs(roots, count):
            taken[0] += 1
            yield job

    with (
        _stored_in(lambda: FaultyJournal(kept, faults)),
        Runner(app, in_process=True, store="slow", settings=settings) as runner,
    ):
        roots = runner.add_many([app.make_ledger() for _ in range(LEDGERS)])
        faults.delay_s = delay_s
        before = _memory_bytes()
        for outcome in runner.submit(source(roots)):
            done += outcome.ok
            most_open = max(most_open, taken[0] - done)
        grown = _memory_bytes() - before
    if done != count or most_open > settings.held_jobs + settings.pull_jobs:
        problems.append(f"{done} of {count} done, {most_open} held at once")
    memory = f"{grown / count:,.0f} bytes per execution (journal, history, records in memory)"
    notes = {"most jobs held": most_open, "memory": memory}
    what = f"slow store, {delay_s:g} s per commit"
    return Row(3, what, 1, count, problems, (), notes, monotonic() - began)


def _jobs(roots: list[Ref], count: int = JOBS) -> Iterator[Job]:
    for job in itertools.islice(enter_jobs(seed=5, count=len(roots)), count):
        number = int(str(job.root).rpartition("-")[2])
        yield job._replace(root=roots[number])


def _differences(
    runner: Runner, roots: list[Ref], journal: Journal, count: int = JOBS
) -> Iterator[str]:
    """Yield where the store is not as after one clean run."""
    jobs = list(_jobs(roots, count))
    expected = app.final_states(jobs)
    for root in roots:
        entries = sum(job.callable == "enter" for job in jobs if job.root == root)
        if runner.head(root) != entries + 1:
            yield f"after running again a head is {runner.head(root)}, not {entries + 1}"
        if runner.snapshot(root).model_dump() != expected[root]:
            yield "after running again a state is not that of one clean run"
    yield from (f"{each}" for each in check_history(journal, (), app.model))


def _memory_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@contextmanager
def _stored_in(make: Callable[[], Journal]) -> Iterator[None]:
    """Let runners that are made in the block store in a journal of ours."""

    def open_journal(*_: Any, **__: Any) -> Journal:
        return make()

    with mock.patch("runner.host_store.open_journal", open_journal):
        yield
