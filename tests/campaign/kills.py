"""Row 1: hosts die while batches run, at any moment and at points of a commit."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from examples import flights
from registry import Entity
from runner import Job, Outcome, Runner
from runner.checker import Model, Witness, check_history
from tests.campaign import app
from tests.campaign.rows import Row
from tests.campaign.watch import Watch, quantile, watching

KILLS_A_ROUND = 25
"""Then a new store, so that what is checked at once stays small."""
HOSTS = 3
LEDGERS = 6
PATIENCE_S = 60.0
EXPECTED_ERRORS = {"NeverDepartedError", "ArgumentError"}
"""Flights that were called off, some before anybody had a plane for them."""
KILLED_AT = {
    "before the commit": "before",
    "inside the commit": "written",
    "after the commit, before the answer": "committed",
    "while it takes over": app.ACQUIRED,
}

Kill = tuple[int, float]
"""A host, and when it died."""
Saboteur = Callable[[Runner, Watch, threading.Event], Kill | None]
"""Ends a host, and tells which, once it is dead; None if it could not."""
Places = Callable[[int], Path | str]
"""Returns where the store of a round is: a new file, or an empty database."""


def random_kill(dice: random.Random) -> Saboteur:
    """Return what ends any host, after any time."""

    def kill(runner: Runner, _: Watch, stop: threading.Event) -> Kill | None:
        stop.wait(dice.uniform(0.05, 3.0))
        host = dice.choice(_hosts(runner))
        return host, _end(runner, host)

    return kill


def kill_at(point: str, control: Path, dice: random.Random) -> Saboteur:
    """Return what lets a host end itself at a point."""

    def kill(runner: Runner, _: Watch, stop: threading.Event) -> Kill | None:
        stop.wait(dice.uniform(0.05, 1.0))
        processes = {_process(runner, host): host for host in _hosts(runner)}
        before = set(control.glob("died-*"))
        (control / f"kill-{point}").touch()
        first: Kill | None = None
        if point == app.ACQUIRED:
            host = dice.choice(_hosts(runner))
            first = host, _end(runner, host)
        deadline = monotonic() + PATIENCE_S
        while not (died := set(control.glob("died-*")) - before):
            if monotonic() > deadline:
                (control / f"kill-{point}").unlink(missing_ok=True)
                return None
            stop.wait(0.002)
        note = died.pop()
        pid, died_at = int(note.name.partition("-")[2]), float(note.read_text().split()[1])
        host_of = processes.get(pid)
        return first or (None if host_of is None else (host_of, died_at))

    return kill


def kill_hosts(
    what: str, count: int, folder: Path, make_saboteur: Callable[[random.Random], Saboteur]
) -> Row:
    """Let hosts of ledgers die, and check what is stored."""
    return kill_hosts_of_ledgers(what, count, _files(folder, what), make_saboteur)


def kill_hosts_of_ledgers(
    what: str, count: int, places: Places, make_saboteur: Callable[[random.Random], Saboteur]
) -> Row:
    """Do the same with stores of any kind."""
    story = _Story(app, ledgers(), enter_jobs, app.model)
    return _rounds(what, count, places, make_saboteur, story)


def kill_hosts_of_flights(count: int, folder: Path) -> Row:
    """Let hosts die during the flights batch, and compare with a run in which none did."""
    story = _Story(flights.app, flights.roots(), year_after_year, None)
    what = "SIGKILL of a host, any moment, flights"
    return _rounds(what, count, _files(folder, what), random_kill, story)


def _files(folder: Path, what: str) -> Places:
    folder.mkdir(parents=True, exist_ok=True)
    name = "".join(each if each.isalnum() else "-" for each in what)
    return lambda number: folder / f"{name}-{number}.db"


def ledgers(count: int = LEDGERS) -> dict[str, Entity]:
    """Return new ledgers by name."""
    return {f"ledger-{number}": app.make_ledger() for number in range(count)}


def enter_jobs(seed: int = 0, count: int = LEDGERS, prefix: str = "job") -> Iterator[Job]:
    """Yield jobs for ledgers without end, each with an id, one in ten of them a read."""
    dice = random.Random(seed)
    for number in itertools.count():
        root, page = f"ledger-{dice.randrange(count)}", dice.randrange(10)
        if dice.random() < 0.1:
            yield Job("read", root, {"page": page}, f"{prefix}-{number}")
        else:
            amount = dice.randrange(1000)
            yield Job("enter", root, {"page": page, "amount": amount}, f"{prefix}-{number}")


def year_after_year() -> Iterator[Job]:
    """Yield the flights of a year, again and again, each with an id of its own."""
    for year in itertools.count():
        for job in flights.jobs():
            yield job._replace(id=f"{year} {job.id}")


class _Story:
    """What is run, and what is right."""

    def __init__(
        self,
        module: Any,
        roots: Mapping[str, Entity],
        jobs: Callable[[], Iterator[Job]],
        model: Model | None,
    ) -> None:
        self.module = module
        self.roots = roots
        self.jobs = jobs
        self.model = model


def _rounds(
    what: str,
    count: int,
    places: Places,
    make_saboteur: Callable[[random.Random], Saboteur],
    story: _Story,
) -> Row:
    began = monotonic()
    problems: list[str] = []
    takeovers: list[float] = []
    waited: list[float] = []
    notes: Counter[str] = Counter()
    executions = killed = 0
    for number in itertools.count():
        if killed >= count:
            break
        store = places(number)
        saboteur = make_saboteur(random.Random(f"{number} {what}"))
        round_ = _Round(story, store, saboteur, min(KILLS_A_ROUND, count - killed))
        round_.run()
        problems += round_.problems
        takeovers += round_.takeovers_s()
        waited += round_.takeovers_s(with_spare=False)
        executions += round_.executions
        killed += len(round_.kills)
        notes.update(round_.notes)
        if isinstance(store, Path):
            store.unlink(missing_ok=True)
        if not round_.kills:
            problems.append("nothing could be killed")
            break
    figures: dict[str, Any] = dict(notes)
    if waited:
        worst = f"{quantile(waited, 0.5):.2f} / {max(waited):.2f} s"
        figures[f"{len(waited)} of them before a spare was ready"] = worst
    return Row(1, what, killed, executions, problems, takeovers, figures, monotonic() - began)


class _Round:
    """One batch on one store, while hosts die."""

    def __init__(self, story: _Story, store: Path | str, saboteur: Saboteur, count: int) -> None:
        self._story = story
        self._store = store
        self._saboteur = saboteur
        self._count = count
        self._enough = threading.Event()
        self._watch = Watch()
        self.kills: list[Kill] = []
        self.problems: list[str] = []
        self.notes: Counter[str] = Counter()
        self.executions = 0

    def run(self) -> None:
        """Run it, and check what came of it."""
        sent: list[Job] = []
        witness = Witness()
        with (
            watching() as self._watch,
            Runner(self._story.module, hosts=HOSTS, store=self._store) as runner,
        ):
            runner.add_many(self._story.roots)
            killer = threading.Thread(target=self._kill, args=(runner,))
            killer.start()
            batch = runner.submit(witness.jobs(self._until_enough(sent)))
            outcomes = self._checked(witness.outcomes(batch))
            counts = Counter(str(each.status) for each in outcomes)
            killer.join()
            self.executions = len(sent)
            statuses = dict(counts)
            if sum(counts.values()) != len(sent):
                self.problems.append(f"{len(sent)} jobs, {sum(counts.values())} outcomes")
            if counts.keys() - {"ok", "failed"}:
                self.problems.append(f"outcomes: {statuses}")
            self._compare(runner, sent, counts)
        found = check_history(self._store, witness.sent, self._story.model, every=1_000)
        self.problems += map(str, found)

    def takeovers_s(self, *, with_spare: bool = True) -> list[float]:
        """Return the time from deaths to the next outcome, with a spare ready or without."""
        kills = [kill for kill in self.kills if self._watch.had_spare(kill[0]) == with_spare]
        found = [self._watch.takeover_s(*kill) for kill in kills]
        return [each for each in found if each is not None and each > 0]

    def _until_enough(self, sent: list[Job]) -> Iterator[Job]:
        for job in self._story.jobs():
            if self._enough.is_set():
                return
            sent.append(job)
            yield job

    def _checked(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        for outcome in outcomes:
            error = outcome.error
            if error is not None and error.type not in EXPECTED_ERRORS:
                self.problems.append(f"{outcome.id}: {error.type}: {error.message}")
            yield outcome

    def _kill(self, runner: Runner) -> None:
        try:
            _wait_for_spare(runner)
            misses = 0
            while len(self.kills) < self._count and misses < 3:
                kill = self._saboteur(runner, self._watch, threading.Event())
                if kill is None:
                    misses += 1
                else:
                    self.kills.append(kill)
                    self.notes["deaths"] += 1
            # The last takeover should be seen as well.
            deadline = monotonic() + PATIENCE_S
            while self.kills and self._watch.takeover_s(*self.kills[-1]) is None:
                if monotonic() > deadline:
                    self.problems.append("no outcome after the last death")
                    break
                threading.Event().wait(0.05)
        except Exception as exc:  # noqa: BLE001 - told as what it is: a hole in the campaign
            self.problems.append(f"the killer stopped: {type(exc).__name__}: {exc}")
        finally:
            self._enough.set()

    def _compare(self, runner: Runner, sent: list[Job], counts: Counter[str]) -> None:
        """Hold the final states against those of a run in which nobody dies."""
        with Runner(self._story.module, in_process=True) as clean:
            clean.add_many(self._story.roots)
            expected = clean.submit(sent).wait()
            if (expected.ok, expected.failed) != (counts["ok"], counts["failed"]):
                self.problems.append(f"a clean run gives {expected}, this one {dict(counts)}")
            for name in self._story.roots:
                if runner.head(name) != clean.head(name):
                    versions = f"{runner.head(name)}, not {clean.head(name)}"
                    self.problems.append(f"the head of {name} is {versions}")
                elif runner.snapshot(name).model_dump() != clean.snapshot(name).model_dump():
                    self.problems.append(f"{name} is not what a clean run makes of it")


def _hosts(runner: Runner) -> list[int]:
    session = runner._session
    assert session is not None, "the runner is open"
    with session.fleet._lock:
        return [host for host in session.fleet._loaded if session.directory.root_count(host)]


def _wait_for_spare(runner: Runner) -> None:
    """Let a round begin as a runner is that was there for a while."""
    session: Any = runner._session
    deadline = monotonic() + PATIENCE_S
    while monotonic() < deadline:
        if any(each.done() for each in list(session.fleet._spares.values())):
            return
        threading.Event().wait(0.05)


def _process(runner: Runner, host: int) -> int:
    session: Any = runner._session
    with contextlib.suppress(Exception):  # it may have died just now
        return int(session.fleet._transport.pid(host))
    return 0


def _end(runner: Runner, host: int) -> float:
    pid = _process(runner, host)
    now = monotonic()
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return now
