"""Row 5: batches on a PostgreSQL that restarts, ends connections, leaves COMMITs unanswered."""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from time import monotonic

from runner import Job, Runner, Settings
from runner.checker import Sent, Witness, check_history
from tests.campaign import app
from tests.campaign.kills import enter_jobs, kill_hosts_of_ledgers, ledgers, random_kill
from tests.campaign.rows import Row
from tests.crash.cutting_proxy import Cut, CuttingProxy
from tests.own_server import OwnServer, Unavailable

JOBS = 500
"""Of one batch; there are as many batches as it takes."""
SETTINGS = Settings(chunk_jobs=50)
PAUSE_S = 0.05
PATIENCE_S = 60.0
LONGEST_PEACE_S = 0.5
ERRORS = {"JournalError", "JournalBusyError"}

Trouble = Callable[[random.Random], None]
"""Does something bad to the server, or to who speaks with it, once."""


def restart_server(count: int) -> Row:
    """End the server, as an administrator does and as a crash does, and start it again."""

    def restart(server: OwnServer, dice: random.Random) -> None:
        server.stop(dice.choice([signal.SIGINT, signal.SIGQUIT]))
        server.start()

    return _with_server(
        "PostgreSQL restarts",
        lambda server: _under(partial(restart, server), count, _empty(server)),
    )


def terminate_backends(count: int) -> Row:
    """End all connections."""

    def terminate(server: OwnServer, _: random.Random) -> None:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'flights'"
        while not server.ask(ended):  # whoever was cut off has yet to come back
            threading.Event().wait(0.001)

    return _with_server(
        "PostgreSQL ends its connections",
        lambda server: _under(partial(terminate, server), count, _empty(server)),
    )


def cut_commits(count: int) -> Row:
    """Cut connections before, at and after a COMMIT, so that its answer never comes."""

    def cut(proxy: CuttingProxy, dice: random.Random) -> None:
        proxy.cut_next(dice.choice(list(Cut)))
        deadline = monotonic() + PATIENCE_S
        while proxy.is_to_cut and monotonic() < deadline:
            threading.Event().wait(0.001)

    def tell(server: OwnServer) -> _Story:
        with CuttingProxy(server.port) as proxy:
            database = server.empty_database()
            return _under(partial(cut, proxy), count, server.dsn(database, proxy.port))

    return _with_server("PostgreSQL, the outcome of a COMMIT is unknown", tell)


def kill_hosts_on_server(count: int) -> Row:
    """Let hosts on Ray die that store on a server."""
    what = "PostgreSQL, SIGKILL of a host, any moment"
    with _server() as server:
        if isinstance(server, str):
            return _skipped(what, server)
        row = kill_hosts_of_ledgers(what, count, lambda _: _empty(server), random_kill)
        return replace(row, number=5)


def _with_server(what: str, tell: Callable[[OwnServer], _Story]) -> Row:
    began = monotonic()
    with _server() as server:
        if isinstance(server, str):
            return _skipped(what, server)
        story = tell(server)
    executions, took = len(story.jobs), monotonic() - began
    notes = dict(story.notes)
    return Row(5, what, story.troubles, executions, story.problems, (), notes, took)


@contextmanager
def _server() -> Iterator[OwnServer | str]:
    """Yield a server of our own, or why there is none."""
    try:
        server = OwnServer()
    except Unavailable as reason:
        yield str(reason)
        return
    try:
        yield server
    finally:
        server.remove()


def _skipped(what: str, reason: str) -> Row:
    return Row(5, what, 0, 0, (), (), {"skipped": reason})


def _empty(server: OwnServer) -> str:
    return server.dsn(server.empty_database())


def _under(trouble: Trouble, count: int, dsn: str) -> _Story:
    story = _Story(dsn, trouble, count)
    story.run()
    return story


class _Story:
    """Batches on one store, each sent until all of it is done, while there is trouble.

    Attributes:
        jobs: All that were sent.
        troubles: How often there was trouble.
        problems: What is not as promised.
        notes: Outcomes by status, of all times that something was sent.
    """

    def __init__(self, dsn: str, trouble: Trouble, count: int) -> None:
        self.jobs: list[Job] = []
        self.troubles = 0
        self.problems: list[str] = []
        self.notes: Counter[str] = Counter()
        self._dsn = dsn
        self._trouble = trouble
        self._count = count
        self._sent: dict[str, Sent] = {}
        self._enough = threading.Event()
        self._goes_on = threading.Event()

    def run(self) -> None:
        """Run it, and check."""
        with Runner(app, in_process=True, store=self._dsn, settings=SETTINGS) as runner:
            runner.add_many(ledgers())
            batches = threading.Thread(target=self._run_batches, args=(runner,))
            batches.start()
            # Here: a server ends with the thread that started it.
            self._make_trouble()
            self._enough.set()
            batches.join()
        self._check()

    def _make_trouble(self) -> None:
        dice = random.Random("trouble")
        try:
            while self.troubles < self._count and not self.problems:
                self._goes_on.wait(PATIENCE_S)  # else nothing is ever done on a slow machine
                self._goes_on.clear()
                threading.Event().wait(dice.uniform(0, LONGEST_PEACE_S))
                self._trouble(dice)
                self.troubles += 1
        except Exception as exc:  # noqa: BLE001 - told as what it is: a hole in the campaign
            self.problems.append(f"no more trouble: {type(exc).__name__}: {exc}")

    def _run_batches(self, runner: Runner) -> None:
        source = enter_jobs()
        try:
            while not (self._enough.is_set() or self.problems):
                jobs = list(islice(source, JOBS))
                self.jobs += jobs
                self._run_until_done(runner, jobs)
                self._goes_on.set()
        except Exception as exc:  # noqa: BLE001 - that is what is looked for
            self.problems.append(f"a batch: {type(exc).__name__}: {exc}")

    def _run_until_done(self, runner: Runner, jobs: list[Job]) -> None:
        """Send jobs until all are ok; with their ids, so that none takes effect twice."""
        deadline = monotonic() + PATIENCE_S
        while monotonic() < deadline:
            witness = Witness()
            outcomes = list(witness.outcomes(runner.submit(witness.jobs(jobs))))
            for sent in witness.sent:
                self._note(sent)
            self.notes.update(str(each.status) for each in outcomes)
            errors = {each.error.type for each in outcomes if each.error}
            if errors - ERRORS or len(outcomes) != len(jobs):
                self.problems.append(f"{len(outcomes)} outcomes, errors {errors}")
            if all(each.ok for each in outcomes):
                return
            threading.Event().wait(PAUSE_S)
        self.problems.append(f"a batch is not done after {PATIENCE_S:g} s")

    def _note(self, sent: Sent) -> None:
        """Note what was heard of an execution: when it was sent first, and first acknowledged."""
        known = self._sent.setdefault(sent.id, sent)
        if known.acknowledged is None:
            self._sent[sent.id] = sent._replace(sent=known.sent)
        elif sent.acknowledged is not None and sent.version != known.version:
            told = f"{known.version}, and then {sent.version}"
            self.problems.append(f"{sent.id} was answered {told}")

    def _check(self) -> None:
        found = check_history(self._dsn, self._sent.values(), app.model, every=100)
        self.problems += map(str, found)
        expected = app.final_states(self.jobs)
        entries = Counter(job.root for job in self.jobs if job.callable == "enter")
        with Runner(app, in_process=True, store=self._dsn) as runner:
            for name, state in expected.items():
                if runner.head(name) != entries[name] + 1:
                    versions = f"{runner.head(name)}, not {entries[name] + 1}"
                    self.problems.append(f"the head of {name} is {versions}")
                if runner.snapshot(name).model_dump() != state:
                    self.problems.append(f"{name} is not what plain Python makes of it")
