"""Row 2: drivers are killed and run again with the same ids; so is all of Ray."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

from registry import Ref
from runner import Runner
from runner.checker import Sent, check_history
from tests.campaign import app
from tests.campaign.kills import enter_jobs, ledgers
from tests.campaign.local_ray import TOP, LocalRay, end
from tests.campaign.rows import Row

JOBS = 20_000
KILLS_A_STORY = 10
LATEST_KILL_S = 2.0
PATIENCE_S = 180.0


def kill_drivers(count: int, folder: Path) -> Row:
    """Kill drivers, while Ray and its hosts live on for as long as they like."""
    ray = LocalRay()
    try:
        return _stories("SIGKILL of the driver, run again", count, folder, lambda: ray, None)
    finally:
        ray.kill()


def kill_ray(count: int, folder: Path) -> Row:
    """Kill every process of Ray at once, then the driver."""
    return _stories("SIGKILL of all of Ray, started anew", count, folder, LocalRay, LocalRay.kill)


def _stories(
    what: str,
    count: int,
    folder: Path,
    start: Callable[[], LocalRay],
    kill: Callable[[LocalRay], int] | None,
) -> Row:
    began = monotonic()
    problems: list[str] = []
    notes: Counter[str] = Counter()
    killed = executions = 0
    for number in itertools.count():
        if killed >= count:
            break
        place = folder / f"story-{number}-{'ray' if kill else 'driver'}"
        place.mkdir(parents=True)
        story = _Story(place, random.Random(f"{what} {number}"))
        killed += story.run(start, kill, min(KILLS_A_STORY, count - killed))
        problems += story.problems
        notes.update(story.notes)
        executions += JOBS
    return Row(2, what, killed, executions, problems, (), dict(notes), monotonic() - began)


class _Story:
    """One batch on one store, by as many drivers as it takes."""

    def __init__(self, folder: Path, dice: random.Random) -> None:
        self.problems: list[str] = []
        self.notes: Counter[str] = Counter()
        self._dice = dice
        self._store = folder / "store.db"
        self._heard = folder / "heard"
        self._heard.touch()
        with Runner(app, in_process=True, store=self._store) as runner:
            self._roots = dict(zip(ledgers(), runner.add_many(ledgers()), strict=True))

    def run(
        self, start: Callable[[], LocalRay], kill: Callable[[LocalRay], int] | None, count: int
    ) -> int:
        """Kill drivers, let the last one end, and check; return how many were killed."""
        for _ in range(count):
            ray = start()
            driver = self._start(ray)
            self._wait_for(self._dice.choice(("open", "ok", "ok")), driver)
            sleep(self._dice.uniform(0, LATEST_KILL_S))
            is_under_way = driver.poll() is None
            if kill is not None:
                self.notes["processes"] += kill(ray)
            end(driver.pid)
            driver.wait()
            self.notes["under way"] += is_under_way
        ray = start()
        driver = self._start(ray)
        self._wait_for("done", driver)
        if kill is not None:
            driver.wait(PATIENCE_S)
            kill(ray)
        else:
            driver.wait(PATIENCE_S)
        self._check()
        return count

    def _start(self, ray: LocalRay) -> subprocess.Popen[bytes]:
        module = ["-m", "tests.campaign.driver", self._store, JOBS, self._heard, ray.address]
        return subprocess.Popen(
            [sys.executable, *map(str, module)],
            cwd=TOP,
            env={**os.environ, "PYTHONPATH": str(TOP)},
            stderr=subprocess.DEVNULL,
        )

    def _wait_for(self, word: str, driver: subprocess.Popen[bytes]) -> None:
        """Wait until this driver noted that it is so far, or ended."""
        seen = self._count(word)
        deadline = monotonic() + PATIENCE_S
        while self._count(word) == seen and driver.poll() is None:
            if monotonic() > deadline:
                self.problems.append(f"a driver is not {word!r} after {PATIENCE_S:g} s")
                return
            sleep(0.02)
        if driver.poll() not in (None, 0):
            self.problems.append(f"a driver ended by itself: {driver.returncode}")

    def _count(self, word: str) -> int:
        with self._heard.open() as file:
            return sum(line.startswith(word) for line in file)

    def _check(self) -> None:
        sent = self._read()
        self.problems += map(str, check_history(self._store, sent, app.model, every=500))
        jobs = list(itertools.islice(enter_jobs(), JOBS))
        expected = app.final_states(jobs)
        with Runner(app, in_process=True, store=self._store) as runner:
            for name in self._roots:
                entries = sum(job.callable == "enter" for job in jobs if job.root == name)
                if runner.head(name) != entries + 1:
                    versions = f"{runner.head(name)}, not {entries + 1}"
                    self.problems.append(f"the head of {name} is {versions}")
                if runner.snapshot(name).model_dump() != expected[name]:
                    self.problems.append(f"{name} is not what plain Python makes of it")

    def _read(self) -> list[Sent]:
        """Return what the drivers sent and heard, taken together: by id, the earliest of each."""
        root_of: dict[str, Ref] = {
            str(job.id): self._roots[str(job.root)] for job in itertools.islice(enter_jobs(), JOBS)
        }
        sent: dict[str, float] = {}
        heard: dict[str, tuple[float, int]] = {}
        for line in self._heard.read_text().splitlines():
            word, *rest = line.split()
            if word == "sent":
                sent.setdefault(rest[0], float(rest[1]))
            elif word == "ok":
                execution_id, version, time = rest[0], int(rest[1]), float(rest[2])
                first = heard.setdefault(execution_id, (time, version))
                if first[1] != version:
                    self.problems.append(
                        f"{execution_id} was answered {first[1]}, and then {version}"
                    )
            elif word not in ("open", "done"):
                self.problems.append(f"an outcome: {line}")
        self.notes["answered again"] += self._count("ok") - len(heard)
        return [Sent(each, root_of[each], at, *heard.get(each, ())) for each, at in sent.items()]
