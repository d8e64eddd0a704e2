"""The checker: holds what a store says, and what clients heard, against what was promised.

    readable    everything that is stored can be read, and is what was written
    gap         the versions of a root follow each other, up to its head
    twice       an execution made one version of a root at most
    outcome     what an execution with an id was answered is what the version says
    lost        what was acknowledged is stored, as it was acknowledged
    order       what began after something else was acknowledged took effect after it
    state       each version is what a plain model makes of the one before

Versions of a root are a total order, so nothing has to be searched for: one walk shows all. What
is found is data, `Violation`, and an empty list says that there is none. Nothing is written, and
nobody is fenced, so a store in use may be checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike, fspath
from time import monotonic
from typing import Any, NamedTuple, TypeAlias

from registry import Ref, Retention, Workspace
from registry.errors import TreerunnerError
from registry.journal.outcomes import Answered, read_outcome
from registry.journal.port import Journal
from registry.journal.session import Session
from registry.journal.sqlite import SqliteJournal
from registry.journal.store import IN_MEMORY, open_journal
from registry.journal.writer import Writer
from runner.batch import Job, Outcome

Model: TypeAlias = Callable[[Any, str, Mapping[str, Any]], Any]
"""Takes what a root dumps to, a callable and its plain arguments; returns what it becomes."""

_EVERYTHING = Retention(versions=None, memory_bytes=None, records=2**31, outputs=2**31)


class Violation(NamedTuple):
    """Something that is not as it was promised.

    Attributes:
        rule: The rule, see the head of this file.
        place: Root, and version or execution.
        found: What is there.
        expected: What should be.
    """

    rule: str
    place: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.place}: {self.found}, expected {self.expected}"


class Sent(NamedTuple):
    """One execution as its client knows it.

    Attributes:
        id: Its id.
        root: Root that it was sent to.
        sent: When, by the clock of the client.
        acknowledged: When its success was heard of; None if it was not.
        version: Version of the root that was told then.
    """

    id: str
    root: Ref
    sent: float
    acknowledged: float | None = None
    version: int = 0


class Step(NamedTuple):
    """What a store says of one version of a root.

    Attributes:
        version: The version.
        execution_id: The execution that made it; None for an adoption.
        callable: What it called; None like the execution.
        arguments: The plain ones; None if the record is no longer kept.
    """

    version: int
    execution_id: str | None = None
    callable: str | None = None
    arguments: Mapping[str, Any] | None = None


class Effect(NamedTuple):
    """What a store says that an execution with an id was answered.

    Attributes:
        version: Version of its root after it.
        changed: Whether it made that version.
    """

    version: int
    changed: bool = True


class Line(NamedTuple):
    """What a store says of one root.

    Attributes:
        root: The root.
        head: Its newest version.
        steps: Its versions, as they are found.
        effects: What executions with ids were answered that succeeded, by id.
    """

    root: Ref
    head: int
    steps: Sequence[Step]
    effects: Mapping[str, Effect] = {}


def check_history(
    store: str | PathLike[str] | Journal,
    sent: Iterable[Sent] = (),
    model: Model | None = None,
    *,
    every: int = 1,
) -> list[Violation]:
    """Return what is wrong with a store, by all rules.

    Args:
        store: Where it is; or a journal, which stays open.
        sent: What clients sent and heard; their clocks have to be one.
        model: Plain Python that does what the callables do; without one states are not compared.
        every: Compare the states of versions divisible by this, and of the newest.

    Cost: reads everything; comparing a state reads the whole tree.
    """
    journal = _open(store)
    try:
        found = [
            Violation("readable", each.place, each.found, each.expected) for each in journal.check()
        ]
        try:
            return found + _check_open(journal, list(sent), model, every)
        except TreerunnerError as error:
            return [*found, Violation("readable", journal.name, str(error), "to be readable")]
    finally:
        if journal is not store:
            journal.close()


def _check_open(
    journal: Journal, sent: Sequence[Sent], model: Model | None, every: int
) -> list[Violation]:
    by_root: dict[Ref, list[Sent]] = {}
    for each in sent:
        by_root.setdefault(each.root.root_ref, []).append(each)
    found: list[Violation] = []
    workspace = Workspace(store=Session(_Reader(journal), _EVERYTHING), retention=_EVERYTHING)
    for line in _read_lines(workspace, journal, by_root):
        of_line = by_root.pop(line.root, [])
        found += check_line(line)
        found += check_sent(line, of_line)
        if model is not None:
            found += check_states(line, _states(workspace, line.root), model, every=every)
    for root, unknown in by_root.items():
        found += check_sent(Line(root, 0, ()), unknown)
    return found


def check_line(line: Line) -> Iterator[Violation]:
    """Yield what is wrong with the versions of a root: `gap`, `twice`, `outcome`."""
    made: dict[str, int] = {}
    expected = line.steps[0].version if line.steps else 1
    for step in line.steps:
        if step.version != expected:
            yield Violation("gap", _at(line, expected), f"version {step.version}", "itself")
        expected = step.version + 1
        if step.execution_id is None:
            continue
        first = made.setdefault(step.execution_id, step.version)
        if first != step.version:
            place = _at(line, step.version)
            twice = f"execution {step.execution_id} again, which made version {first}"
            yield Violation("twice", place, twice, "another execution")
    if expected != line.head + 1:
        yield Violation("gap", _at(line, line.head), f"version {expected - 1} is the last", "it")
    for execution_id, effect in line.effects.items():
        version = made.get(execution_id)
        if effect.changed and version != effect.version:
            place = f"{line.root.address}, execution {execution_id}"
            was = "no version" if version is None else f"version {version}"
            yield Violation("outcome", place, was, f"version {effect.version}, as it was answered")


def check_sent(line: Line, sent: Iterable[Sent]) -> Iterator[Violation]:
    """Yield what a client heard of one root that the store does not say: `lost`, `order`.

    Whether an execution took effect whose success was not heard of is open; both are right.
    """
    by_sending = sorted(sent, key=lambda each: each.sent)
    for each in by_sending:
        effect = line.effects.get(each.id)
        place = f"{line.root.address}, execution {each.id}"
        if each.acknowledged is None:
            continue
        if effect is None:
            yield Violation("lost", place, "no trace of it", f"version {each.version}")
        elif effect.version != each.version:
            was = f"version {effect.version}"
            yield Violation("lost", place, was, f"version {each.version}, as acknowledged")
    heard = sorted(
        (each.acknowledged, each.version) for each in by_sending if each.acknowledged is not None
    )
    highest = at = 0
    for each in by_sending:
        effect = line.effects.get(each.id)
        if effect is None:
            continue
        while at < len(heard) and heard[at][0] < each.sent:
            highest = max(highest, heard[at][1])
            at += 1
        if effect.version < highest + effect.changed:
            place = f"{line.root.address}, execution {each.id}"
            after = f"one after version {highest}, which was heard of before it was sent"
            yield Violation("order", place, f"version {effect.version}", after)


def check_states(
    line: Line, state_at: Callable[[int], Any], model: Model, *, every: int = 1
) -> Iterator[Violation]:
    """Yield the first version of a root that is not what a plain model makes of it: `state`.

    Args:
        line: What the store says of the root.
        state_at: Returns what the root dumps to at a version.
        model: The model.
        every: See `check_history`.
    """
    if not line.steps:
        return
    first, *rest = line.steps
    state = state_at(first.version)
    for step in rest:
        if step.callable is None or step.arguments is None:
            missing = "no record of what made it"
            yield Violation("state", _at(line, step.version), missing, "one, to do it again")
            return
        state = model(state, step.callable, step.arguments)
        if step.version % every == 0 or step is rest[-1]:
            found = state_at(step.version)
            if found != state:
                yield Violation("state", _at(line, step.version), _cut(found), _cut(state))
                return


class Witness:
    """Notes what a client sends and hears, for `check_history`.

    Wrap the jobs that go into a batch, and the outcomes that come out of it. One batch each.

    Attributes:
        sent: What was noted.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._open: dict[int, tuple[Job, float]] = {}
        self._heard: list[Sent] = []

    def jobs(self, jobs: Iterable[Job]) -> Iterator[Job]:
        """Yield the jobs, noting when."""
        for index, job in enumerate(jobs):
            self._open[index] = (job, self._clock())
            yield job

    def outcomes(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Yield the outcomes, noting when."""
        for outcome in outcomes:
            _, sent = self._open.pop(outcome.index)
            if outcome.root is not None:
                heard = self._clock() if outcome.ok else None
                self._heard.append(Sent(outcome.id, outcome.root, sent, heard, outcome.version))
            yield outcome

    @property
    def sent(self) -> list[Sent]:
        """What was noted; of jobs without outcome, those that have an id and a ref."""
        unheard = [
            Sent(job.id, job.root, sent)
            for job, sent in self._open.values()
            if job.id is not None and isinstance(job.root, Ref)
        ]
        return self._heard + unheard


class _Reader(Writer):
    """A writer that writes nothing and takes nothing over."""

    def own(self, roots: Iterable[int], holder: str) -> None:
        """Leave the roots to whoever writes them."""

    def sync(self) -> None:
        """Store nothing."""


def _open(store: str | PathLike[str] | Journal) -> Journal:
    if isinstance(store, str | PathLike):
        where = fspath(store)
        if where != IN_MEMORY and "://" not in where:
            return SqliteJournal(where, read_only=True)
    return open_journal(store)


def _read_lines(
    workspace: Workspace, journal: Journal, by_root: Mapping[Ref, Sequence[Sent]]
) -> Iterator[Line]:
    arguments = {
        each.execution_id: dict(each.arguments) for each in workspace.executions(status="ok")
    }
    for root in workspace.roots():
        steps = [
            Step(each.version, each.execution_id, each.callable, arguments.get(each.execution_id))
            if each.execution_id is not None
            else Step(each.version)
            for each in workspace.history(root)
        ]
        wanted = {step.execution_id for step in steps if step.execution_id is not None}
        wanted.update(each.id for each in by_root.get(root, ()))
        yield Line(root, workspace.head(root), steps, _effects(journal, root, wanted))


def _effects(journal: Journal, root: Ref, wanted: Iterable[str]) -> dict[str, Effect]:
    found = {}
    for execution_id, data in journal.outcomes(int(root.root), list(wanted)).items():
        outcome = read_outcome(data, root, f"execution {execution_id!r}")
        if isinstance(outcome, Answered):
            found[execution_id] = Effect(outcome.version, outcome.changed > 0)
    return found


def _states(workspace: Workspace, root: Ref) -> Callable[[int], Any]:
    return lambda version: workspace.snapshot(root, version).model_dump()


def _at(line: Line, version: int) -> str:
    return f"{line.root.address}, version {version}"


def _cut(state: Any, most: int = 300) -> str:
    text = repr(state)
    return text if len(text) <= most else f"{text[:most]}..."
