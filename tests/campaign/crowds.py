"""Row 1, in company: two batches in two threads, and questions, additions and forks beside them."""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

from runner import Job, Runner, Settings
from runner.checker import Witness, check_history
from tests.campaign import app
from tests.campaign.kills import HOSTS, LEDGERS, enter_jobs, ledgers, random_kill
from tests.campaign.rows import Row
from tests.campaign.watch import watching

SMALL = Settings(chunk_jobs=100)
"""Questions wait for the chunks before them."""


def kill_hosts_of_a_crowd(count: int, folder: Path) -> Row:
    """Let hosts die while everything is done at once."""
    began = monotonic()
    store = folder / "crowd.db"
    with watching() as watch, Runner(app, hosts=HOSTS, store=store, settings=SMALL) as runner:
        runner.add_many(ledgers())
        crowd = _Crowd(runner)
        crowd.start()
        kill, dice = random_kill(random.Random("crowd")), threading.Event()
        kills = [each for _ in range(count) if (each := kill(runner, watch, dice)) is not None]
        crowd.stop()
        problems = crowd.problems + crowd.compare()
    sent = [each for witness in crowd.witnesses for each in witness.sent]
    problems += map(str, check_history(store, sent, app.model, every=1_000))
    takeovers = [found for each in kills if (found := watch.takeover_s(*each)) is not None]
    what = "SIGKILL of a host, two batches, additions, forks, questions at once"
    took = monotonic() - began
    return Row(1, what, len(kills), len(sent), problems, takeovers, dict(crowd.done), took)


class _Crowd:
    """Threads that use one runner, until they are told to stop."""

    def __init__(self, runner: Runner) -> None:
        self.problems: list[str] = []
        self.done: Counter[str] = Counter()
        self.witnesses = [Witness(), Witness()]
        self._sent: list[Job] = []
        self._runner = runner
        self._enough = threading.Event()
        self._threads = [
            *[threading.Thread(target=self._run, args=(seed,)) for seed in range(2)],
            threading.Thread(target=self._ask),
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        self._enough.set()
        for thread in self._threads:
            thread.join()

    def compare(self) -> list[str]:
        """Return which heads are not what the jobs make of them."""
        entries = Counter(job.root for job in self._sent if job.callable == "enter")
        heads = {name: self._runner.head(name) for name in ledgers()}
        return [
            f"the head of {name} is {head}, not {entries[name] + 1}"
            for name, head in heads.items()
            if head != entries[name] + 1
        ]

    def _run(self, seed: int) -> None:
        witness = self.witnesses[seed]
        try:
            batch = self._runner.submit(witness.jobs(self._jobs(seed)))
            for outcome in witness.outcomes(batch):
                if not outcome.ok:
                    self.problems.append(f"an outcome: {outcome}")
        except Exception as exc:  # noqa: BLE001 - that is what is looked for
            self.problems.append(f"a batch: {type(exc).__name__}: {exc}")

    def _jobs(self, seed: int) -> Iterator[Job]:
        for job in enter_jobs(seed, prefix=f"batch-{seed}"):
            if self._enough.is_set():
                return
            self._sent.append(job)
            yield job

    def _ask(self) -> None:
        try:
            for number in itertools.count():
                if self._enough.is_set():
                    return
                self._ask_once(number)
        except Exception as exc:  # noqa: BLE001 - as above
            self.problems.append(f"a question: {type(exc).__name__}: {exc}")

    def _ask_once(self, number: int) -> None:
        runner, name = self._runner, f"ledger-{number % LEDGERS}"
        head = runner.head(name)
        assert runner.snapshot(name, head).model_dump()["pages"], "it has pages"
        runner.execute("read", ledger=runner.ref(name), page=0).result()
        self.done["questions"] += 3
        if number % 4 == 0:
            added = runner.add(app.make_ledger())
            total = runner.execute("enter", ledger=added, page=0, amount=1).result()
            assert total == 33, "a new ledger has one entry"
            self.done["additions"] += 1
        if number % 4 == 2:
            fork = runner.fork(name)
            runner.execute("enter", ledger=fork, page=0, amount=1).result()
            self.done["forks"] += 1
