"""Row 6: one job of a batch does something bad; what becomes of it, of the others, of its root."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from time import monotonic

from runner import Job, Options, Runner
from runner.checker import check_history
from tests.campaign import app
from tests.campaign.rows import Row

PLACES = {"first": 0, "middle": 25, "last": 49}
JOBS = 50
TIMEOUT_S = 2.0
"""For jobs that would never end."""
EXPECTED = {
    "thread left behind": "ok",
    "result of 400 MiB": "ok",
    "endless loop": "timed_out",
    "endless sleep": "timed_out",
    "os._exit(0)": "quarantined",
    "os._exit(1)": "quarantined",
    "os.abort()": "quarantined",
    "segmentation fault": "quarantined",
    "SIGKILL": "quarantined",
}
"""What becomes of the job; of all others: `failed`."""
MEMORY_BYTES = 256 * 2**20


def poison(folder: Path, places: Mapping[str, int], names: Iterable[str] = app.POISONS) -> Row:
    """Try poisons at some places of a chunk."""
    began = monotonic()
    store = folder / "poison.db"
    problems: list[str] = []
    mild: dict[str, float] = {}
    deadly: dict[str, float] = {}
    with Runner(app, hosts=2, store=store) as runner:
        for name in names:
            for place, at in places.items():
                trial = _Trial(runner, name, place, at)
                trial.run()
                problems += trial.problems
                is_deadly = EXPECTED.get(name) in ("quarantined", "timed_out")
                (deadly if is_deadly else mild)[trial.what] = trial.served_after_s
    problems += map(str, check_history(store))
    notes = {
        "root serves again": f"{_slowest(mild)} at most",
        "if its host died": f"{_slowest(deadly)} at most",
    }
    count = len(mild) + len(deadly)
    took = monotonic() - began
    return Row(6, "poison in a chunk of 50", count, count * JOBS * 2, problems, (), notes, took)


def _slowest(times: Mapping[str, float]) -> str:
    what = max(times, key=lambda each: times[each])
    return f"{times[what]:.1f} s ({what})"


class _Trial:
    """A batch over two roots, with one bad job."""

    def __init__(self, runner: Runner, name: str, place: str, at: int) -> None:
        self.what = f"{name}, {place}"
        self.problems: list[str] = []
        self.served_after_s = 0.0
        self._runner = runner
        self._expected = EXPECTED.get(name, "failed")
        self._at = 2 * at
        self._bad, self._good = f"{self.what}: bad", f"{self.what}: good"
        self._jobs: list[Job] = []
        for number in range(JOBS):
            arguments = {"page": number % 10, "amount": number}
            # In pairs: the bad one is that of the first root at its place.
            self._jobs += [Job("enter", each, arguments, f"{number}") for each in self._names]
        options = Options(memory_bytes=MEMORY_BYTES) if name == app.MEMORY else None
        self._jobs[self._at] = Job("swallow", self._bad, {"poison": name}, f"{at}", options)

    @property
    def _names(self) -> tuple[str, str]:
        return self._bad, self._good

    def run(self) -> None:
        """Run it."""
        self._runner.add_many({name: app.make_ledger() for name in self._names})
        # So that hosts are there, and chunks as large as they will be.
        self._runner.submit([Job("read", each, {"page": 0}) for each in self._names] * 50).wait()
        began = monotonic()
        limit_s = TIMEOUT_S if self._expected == "timed_out" else None
        batch = self._runner.submit(self._jobs, timeout_s=limit_s)
        outcomes = {each.index: each for each in batch}
        self._runner.execute("read", ledger=self._runner.ref(self._bad), page=0).result()
        self.served_after_s = monotonic() - began
        culprit = outcomes.pop(self._at)
        counts = Counter(str(each.status) for each in outcomes.values())
        if counts != {"ok": 2 * JOBS - 1}:
            self._tell(f"of the others {dict(counts)}")
        if culprit.status != self._expected:
            self._tell(f"is {culprit.status}, not {self._expected} ({culprit.error})")
        self._compare(is_kept=culprit.status == "ok")

    def _tell(self, problem: str) -> None:
        self.problems.append(f"{self.what}: {problem}")

    def _compare(self, *, is_kept: bool) -> None:
        """Hold the states against plain Python without the bad job, or with what it changed."""
        states = {name: app.make_ledger().model_dump() for name in self._names}
        for index, job in enumerate(self._jobs):
            if index != self._at:
                app.model(states[str(job.root)], job.callable, job.arguments)
            elif is_kept:
                states[self._bad]["entries"] += 1_000_000
        for name, state in states.items():
            if self._runner.snapshot(name).model_dump() != state:
                self._tell(f"{name} is not what plain Python makes of the others")
