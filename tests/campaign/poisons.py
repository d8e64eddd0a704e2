"""Row 6: one job of a batch does something bad; what becomes of it, of the others, of its root."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from time import monotonic

from runner import Job, Runner
from runner.checker import check_history
from tests.campaign import app
from tests.campaign.rows import Row

PLACES = {"first": 0, "middle": 25, "last": 49}
JOBS = 50
EXPECTED = {
    "thread left behind": "ok",
    "result of 400 MiB": "ok",
    "result that cannot be pickled": "ok",
    "os._exit(0)": "quarantined",
    "os._exit(1)": "quarantined",
    "os.abort()": "quarantined",
    "segmentation fault": "quarantined",
    "SIGKILL": "quarantined",
}
"""What becomes of the job; of all others: `failed`."""
LEFT_OUT = {
    "endless loop, sleep": "there are no timeouts yet",
    "memory without end": "there are no limits yet",
}


def poison(folder: Path, places: dict[str, int]) -> Row:
    """Try every poison at some places of a chunk."""
    began = monotonic()
    problems: list[str] = []
    served_after: dict[str, float] = {}
    for name in app.POISONS:
        for place, at in places.items():
            store = folder / "poison.db"
            trial = _Trial(name, place, at, store)
            served_after[f"{name}, {place}"] = trial.served_after_s
            problems += trial.problems
            for path in folder.glob("poison.db*"):
                path.unlink()
    slowest = max(served_after, key=lambda each: served_after[each])
    deadly = [
        time for each, time in served_after.items() if EXPECTED.get(_kind(each)) == _SET_ASIDE
    ]
    notes = {
        "poisons": len(app.POISONS),
        "slowest": f"{slowest}: {served_after[slowest]:.1f} s until its root serves",
        "that end the process, worst": f"{max(deadly):.1f} s",
        **{f"without {what}": why for what, why in LEFT_OUT.items()},
    }
    count = len(served_after)
    took = monotonic() - began
    return Row(6, "poison in a chunk of 50", count, count * (JOBS * 2), problems, (), notes, took)


_SET_ASIDE = "quarantined"


def _kind(trial: str) -> str:
    return trial.rpartition(", ")[0]


class _Trial:
    """A batch over two roots, with one bad job."""

    def __init__(self, name: str, place: str, at: int, store: Path) -> None:
        self.problems: list[str] = []
        self._what = f"{name}, {place}"
        jobs: list[Job] = []
        for number in range(JOBS):
            arguments = {"page": number % 10, "amount": number}
            # In pairs: the bad one is that of the first root at its place.
            jobs.append(Job("enter", "bad", arguments, f"bad-{number}"))
            jobs.append(Job("enter", "good", arguments, f"good-{number}"))
        jobs[2 * at] = Job("swallow", "bad", {"poison": name}, f"bad-{at}")
        with Runner(app, hosts=2, store=store) as runner:
            runner.add_many({"bad": app.make_ledger(), "good": app.make_ledger()})
            # So that hosts are there, and chunks as large as they will be.
            runner.submit([Job("read", each, {"page": 0}) for each in ("bad", "good")] * 50).wait()
            began = monotonic()
            outcomes = {each.index: each for each in runner.submit(jobs)}
            runner.execute("read", ledger=runner.ref("bad"), page=0).result()
            self.served_after_s = monotonic() - began
            counts = Counter(each.status for index, each in outcomes.items() if index != 2 * at)
            if counts != {"ok": 2 * JOBS - 1}:
                self._tell(f"of the others {dict(counts)}")
            culprit = outcomes[2 * at]
            expected = EXPECTED.get(name, "failed")
            if culprit.status != expected:
                self._tell(f"is {culprit.status}, not {expected} ({culprit.error})")
            self._compare(runner, jobs, 2 * at, is_kept=culprit.status == "ok")
        for found in check_history(store):
            self._tell(str(found))

    def _tell(self, problem: str) -> None:
        self.problems.append(f"{self._what}: {problem}")

    def _compare(self, runner: Runner, jobs: list[Job], at: int, *, is_kept: bool) -> None:
        """Hold the states against plain Python without the bad job, or with what it changed."""
        states = {name: app.make_ledger().model_dump() for name in ("bad", "good")}
        for index, job in enumerate(jobs):
            if index != at:
                app.model(states[str(job.root)], job.callable, job.arguments)
            elif is_kept:
                states["bad"]["entries"] += 1_000_000
        for name, state in states.items():
            if runner.snapshot(name).model_dump() != state:
                self._tell(f"{name} is not what plain Python makes of the others")
