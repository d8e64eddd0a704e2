"""Random histories on a store whose calls fail: what was acknowledged is there, once, in order.

Goal: whatever call fails, before or after it took effect, and however often what was sent is sent
again, a workspace that opens the store goes on as a dictionary of plain states does.

Method: a state machine beside that dictionary. An execution either returns, then it counts, or it
raises a `JournalError`; then the workspace is thrown away, another one is opened, and the store
says whether it took effect.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from registry import Ref, Workspace, ids
from registry.errors import JournalError, RecordedError
from registry.journal.memory import MemoryJournal
from runner.checker import Sent, check_history
from tests.campaign import app
from tests.campaign.faulty import Faults, FaultyJournal
from tests.model.conftest import HISTORIES, histories

NO_PAGE = 99
PAGES = st.integers(0, 2)
AMOUNTS = st.integers(0, 999)
WHICH = st.integers(0, 1_000)


class Call(NamedTuple):
    """One execution that may be sent more than once."""

    root: Ref
    name: str
    arguments: dict[str, Any]
    id: str | None

    @property
    def key(self) -> tuple[int, str | None]:
        """What the id is unique in."""
        return int(self.root.root), self.id


class Answer(NamedTuple):
    """What a call returned: version and value; or that it failed."""

    version: int
    value: Any
    failed: bool = False


class Model:
    """States by root and version, and what was answered to ids."""

    def __init__(self) -> None:
        self.states: dict[Ref, dict[int, Any]] = {}
        self.answers: dict[tuple[int, str | None], Answer] = {}

    def head(self, root: Ref) -> int:
        """Return the newest version."""
        return max(self.states[root])

    def run(self, call: Call) -> Answer:
        """Do what a call does, if it was not done before."""
        known = None if call.id is None else self.answers.get(call.key)
        answer = known or self._do(call)
        if call.id is not None:
            self.answers[call.key] = answer
        return answer

    def _do(self, call: Call) -> Answer:
        head = self.head(call.root)
        state = copy.deepcopy(self.states[call.root][head])
        page = call.arguments["page"]
        if page == NO_PAGE:
            return Answer(0, None, failed=True)
        app.model(state, call.name, call.arguments)
        if call.name == "enter":
            head += 1
            self.states[call.root][head] = state
        return Answer(head, state["pages"][page]["total"])


class Crashes(RuleBasedStateMachine):
    """A workspace on a store that fails, beside a model."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = MemoryJournal()
        self.faults = Faults()
        self.model = Model()
        self.unknown: list[Call] = []
        self.sent: list[Sent] = []
        self.time = 0.0
        self.number = 0
        self.workspace = self.opened()

    def opened(self) -> Workspace:
        workspace = Workspace(store=FaultyJournal(self.kept, self.faults))
        for registered in app.app.callables().values():
            workspace.add_callable(registered)
        return workspace

    @initialize(roots=st.integers(1, 2))
    def begin(self, roots: int) -> None:
        for _ in range(roots):
            ref = self.workspace.add(app.make_ledger(3))
            self.model.states[ref] = {1: app.make_ledger(3).model_dump()}

    def call(self, which: int, name: str, page: int, amount: int, *, has_id: bool) -> Call:
        roots = list(self.model.states)
        self.number += 1
        arguments = {"page": page} | ({"amount": amount} if name == "enter" else {})
        execution_id = f"id-{self.number}" if has_id else None
        return Call(roots[which % len(roots)], name, arguments, execution_id)

    # --- steps ---

    @rule(which=WHICH, page=PAGES, amount=AMOUNTS, has_id=st.booleans())
    def enter(self, which: int, page: int, amount: int, has_id: bool) -> None:
        self.send([self.call(which, "enter", page, amount, has_id=has_id)])

    @rule(which=WHICH, page=PAGES, has_id=st.booleans())
    def read(self, which: int, page: int, has_id: bool) -> None:
        self.send([self.call(which, "read", page, 0, has_id=has_id)])

    @rule(which=WHICH, has_id=st.booleans())
    def fail(self, which: int, has_id: bool) -> None:
        self.send([self.call(which, "enter", NO_PAGE, 1, has_id=has_id)])

    @rule(calls=st.lists(st.tuples(WHICH, st.sampled_from(["enter", "read"]), PAGES), max_size=5))
    def together(self, calls: list[tuple[int, str, int]]) -> None:
        """Several executions, made durable as one."""
        made = [self.call(which, name, page, 5, has_id=True) for which, name, page in calls]
        if made:
            self.send(made)

    @rule(which=WHICH)
    def send_again(self, which: int) -> None:
        """What was answered is answered the same."""
        known = [each for each in self.sent if each.acknowledged is not None]
        if known:
            again = known[which % len(known)]
            call = Call(again.root, "enter", {"page": 0, "amount": 1}, again.id)
            self.send([call])

    @rule(which=WHICH)
    @precondition(lambda self: self.unknown)
    def send_late(self, which: int) -> None:
        """What nobody knew of takes effect once, then or now."""
        self.send([self.unknown.pop(which % len(self.unknown))])

    @rule(which=WHICH, at=WHICH)
    def look_back(self, which: int, at: int) -> None:
        """Every version reads as it was."""
        root = list(self.model.states)[which % len(self.model.states)]
        version = 1 + at % self.model.head(root)
        try:
            found = self.workspace.snapshot(root, version).model_dump()
        except JournalError:
            self.reopen()
        else:
            assert found == self.model.states[root][version]

    @rule(which=WHICH)
    def fork(self, which: int) -> None:
        root = list(self.model.states)[which % len(self.model.states)]
        before = set(self.opened_aside().roots())
        try:
            ref = self.workspace.fork(root)
        except JournalError:
            self.reopen()
            made = set(self.opened_aside().roots()) - before
            assert len(made) <= 1
        else:
            made = {ref}
        for ref in made:
            self.model.states[ref] = dict(self.model.states[root])

    @rule()
    def reopen(self) -> None:
        """The process ends, without a word; another one begins."""
        self.faults.fails_at = 0
        self.workspace = self.opened()

    @rule(calls=st.integers(1, 12), is_done_first=st.booleans(), lasts=st.sampled_from([1, 1, 99]))
    def let_fail(self, calls: int, is_done_first: bool, lasts: int) -> None:
        """One of the next calls of the store fails."""
        self.faults.fails_at = self.faults.calls + calls
        self.faults.is_done_first = is_done_first
        self.faults.lasts = lasts

    @rule(which=WHICH, name=st.sampled_from(["enter", "read"]))
    def let_an_older_process_go_on(self, which: int, name: str) -> None:
        """Once another process has a root, whoever had it acknowledges nothing any more."""
        self.faults.fails_at = 0
        self.send([self.call(which, "read", 0, 0, has_id=False)])
        older = self.workspace
        self.reopen()
        self.send([self.call(which, "read", 0, 0, has_id=False)])
        call = self.call(which, name, 1, 3, has_id=False)
        with pytest.raises(JournalError):
            older.run(call.name, {"ledger": call.root, **call.arguments})

    def teardown(self) -> None:
        self.reopen()
        for root, states in self.model.states.items():
            assert self.workspace.head(root) == self.model.head(root)
            for version, state in states.items():
                assert self.workspace.snapshot(root, version).model_dump() == state
        assert check_history(self.kept, self.sent, app.model) == []

    # --- what a step does ---

    def send(self, calls: list[Call]) -> None:
        """Send calls, together if there are several, and hold what comes of it to the model."""
        model = copy.deepcopy(self.model)
        expected = [model.run(call) for call in calls]
        began, self.time = self.time, self.time + 2.0
        answers: list[Answer] = []
        try:
            with nullcontext() if len(calls) == 1 else self.workspace.group():
                for call in calls:
                    answers.append(self.answer(call))
        except JournalError:
            self.reopen()
            self.find_out(calls, len(answers))
            self.note(calls, [None] * len(calls), began)
            return
        assert answers == expected
        self.model = model
        self.note(calls, expected, began)

    def answer(self, call: Call) -> Answer:
        try:
            receipt = self.workspace.run(
                call.name, {"ledger": call.root, **call.arguments}, call.id
            )
        except (IndexError, RecordedError):
            return Answer(0, None, failed=True)
        return Answer(receipt.version, receipt.value)

    def find_out(self, calls: list[Call], answered: int) -> None:
        """See what took effect of calls of which not all were answered.

        Of several together: those that returned before something failed, or none of them.
        """
        aside = self.opened_aside()
        new = [each for each in calls if each.id and each.key not in self.model.answers]
        stored = [self.kept.outcome(int(each.root.root), each.id or "") is not None for each in new]
        count = sum(stored)
        assert stored == [True] * count + [False] * (len(new) - count)
        assert count in ({0, answered} if len(calls) > 1 else {0, 1})
        if not new:  # nothing but its version tells
            count = sum(aside.head(call.root) != self.model.head(call.root) for call in calls)
        for call in calls[:count]:
            self.model.run(call)
        self.unknown += new[count:]
        for call in calls:
            assert aside.head(call.root) == self.model.head(call.root)

    def opened_aside(self) -> _Aside:
        """Return what the catalog says; nothing is taken over."""
        return _Aside(self.kept)

    def note(self, calls: list[Call], answers: Sequence[Answer | None], began: float) -> None:
        """Note what a client knows of, for the checker."""
        for call, answer in zip(calls, answers, strict=True):
            is_known = any(each.id == call.id and each.root == call.root for each in self.sent)
            if call.id is None or is_known or (answer is not None and answer.failed):
                continue
            heard = None if answer is None else began + 1.0
            version = 0 if answer is None else answer.version
            self.sent.append(Sent(call.id, call.root, began, heard, version))


class _Aside:
    """What the catalog of a store says."""

    def __init__(self, journal: MemoryJournal) -> None:
        self._heads = {(each.root, each.branch): each.head for each in journal.catalog()}

    def head(self, root: Ref) -> int:
        return self._heads[int(root.root), root.branch]

    def roots(self) -> list[Ref]:
        return [Ref(ids.plain(root), ids.plain(root), branch) for root, branch in self._heads]


Crashes.TestCase.settings = settings(
    histories(1 if HISTORIES < 1_000 else 0.1), stateful_step_count=40
)
TestCrashes = pytest.mark.slow(Crashes.TestCase)
