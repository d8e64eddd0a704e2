"""Row 8: each guard, switched off alone, lets something happen that the checker finds.

A proof that the tests see: with all guards on, the same story is found right. Where two guards
watch over the same thing, both are off, and there is a test that one is enough.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from registry import Ref, Workspace
from registry.errors import DuplicateExecutionError, FencedError
from registry.journal import memory
from registry.journal.memory import MemoryJournal
from registry.journal.port import Group
from registry.journal.rules import Branch, BranchKey, Tenure, check_epochs
from registry.journal.sqlite import SqliteJournal
from runner.batch import Job
from runner.checker import Sent, Violation, Witness, check_history
from runner.host_store import HostStore
from tests.campaign import app
from tests.unit.runner.test_takeover import Bench

STORE = "store.db"


def rules(found: list[Violation]) -> set[str]:
    return {each.rule for each in found}


# --- the epoch: who is no longer the writer acknowledges nothing ---


def opened(journal: MemoryJournal) -> Workspace:
    workspace = Workspace(store=journal)
    for registered in app.app.callables().values():
        workspace.add_callable(registered)
    return workspace


class Client:
    """Sends to whichever workspace it likes, and notes what it heard."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self._time = 0.0

    def run(self, workspace: Workspace, ledger: Ref, name: str, execution_id: str) -> None:
        arguments: dict[str, Any] = {"ledger": ledger, "page": 0}
        if name == "enter":
            arguments["amount"] = 7
        began, self._time = self._time, self._time + 2.0
        receipt = workspace.run(name, arguments, execution_id)
        self.sent.append(Sent(execution_id, ledger, began, began + 1.0, receipt.version))


def stale_story(journal: MemoryJournal) -> list[Sent]:
    """Let two processes write one root, one after the other, and the first one go on."""
    client = Client()
    old = opened(journal)
    ledger = old.add(app.make_ledger())
    client.run(old, ledger, "enter", "a")
    new = opened(journal)
    client.run(new, ledger, "enter", "b")
    client.run(old, ledger, "read", "c")
    return client.sent


def every_epoch(group: Group, found: dict[int, Tenure]) -> list[int]:
    """Refuse nobody."""
    try:
        return check_epochs(group, found)
    except FencedError:
        return []


def test_a_stale_owner_is_refused() -> None:
    journal = MemoryJournal()

    with pytest.raises(FencedError):
        stale_story(journal)

    assert check_history(journal, (), app.model) == []


def test_without_the_epoch_a_stale_owner_answers_what_is_no_longer_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "check_epochs", every_epoch)
    journal = MemoryJournal()

    sent = stale_story(journal)

    assert rules(check_history(journal, sent, app.model)) >= {"order"}


def test_without_epoch_and_head_a_stale_owner_spoils_the_history(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it writes is refused by the head of the branch as well; without that, by nothing."""
    monkeypatch.setattr(memory, "check_epochs", every_epoch)
    monkeypatch.setattr(memory, "follow", any_part)
    journal, client = MemoryJournal(), Client()
    old = opened(journal)
    ledger = old.add(app.make_ledger())
    client.run(old, ledger, "enter", "a")
    new = opened(journal)
    client.run(new, ledger, "enter", "b")
    client.run(old, ledger, "enter", "c")

    assert check_history(journal, client.sent, app.model) != []


def any_part(
    row: int, group: Group, found: dict[BranchKey, Branch]
) -> dict[BranchKey, Branch | None]:
    """Let a part begin anywhere."""
    after: dict[BranchKey, Branch | None] = {}
    for root, branch, start, about in group.notes:
        after[root, branch] = Branch(root, branch, start, start, start, row, row, about)
    for part in group.parts:
        key = (part.root, part.branch)
        known = after.get(key) or found.get(key) or Branch(*key, 0, 0, 0, row, 0, b"")
        after[key] = known._replace(head=part.last)
    return after


# --- the id: what is sent again does not happen again ---


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Two hosts with a root each, on a store."""
    return Bench(tmp_path / STORE)


def death_after_commit(bench: Bench, path: Path) -> tuple[list[Violation], int]:
    """Let a host die after it stored a chunk, and before it answered."""
    witness = Witness()
    jobs = [Job("note", bench.roots[0], {"number": number}) for number in range(100)]
    dispatcher = bench.dispatcher(witness.jobs(jobs))
    bench.until_it_waits(dispatcher)
    bench.transport.kill(bench.host(0), after=1)
    outcomes = list(witness.outcomes(iter(bench.drive(dispatcher))))
    return check_history(path, witness.sent), sum(each.ok for each in outcomes)


def nothing_known(*_: Any) -> dict[str, Any]:
    return {}


def test_what_a_dead_host_stored_is_not_run_again(bench: Bench, tmp_path: Path) -> None:
    assert death_after_commit(bench, tmp_path / STORE) == ([], 100)


def test_without_the_look_at_ids_the_store_refuses_them(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second guard keeps the store right; the batch does not end well, which is seen, too."""
    monkeypatch.setattr(HostStore, "known", nothing_known)

    found, ok = death_after_commit(bench, tmp_path / STORE)

    assert found == []
    assert ok < 100


def test_without_any_look_at_ids_what_is_sent_again_happens_again(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HostStore, "known", nothing_known)
    put = SqliteJournal._put_effects

    def put_again(journal: Any, db: Any, group: Group, sealed: Any) -> None:
        try:
            put(journal, db, group, sealed)
        except DuplicateExecutionError:
            return

    monkeypatch.setattr(SqliteJournal, "_put_effects", put_again)

    found, _ = death_after_commit(bench, tmp_path / STORE)

    assert "twice" in rules(found)


# --- the order: first stored, then acknowledged ---


def death_after_answer(bench: Bench, path: Path) -> list[Violation]:
    """Let a host answer, and die then."""
    witness = Witness()
    jobs = [Job("note", bench.roots[0], {"number": number}) for number in range(20)]
    dispatcher = bench.dispatcher(witness.jobs(jobs))
    for _ in witness.outcomes(iter(bench.drive(dispatcher))):
        pass
    bench.transport.kill(bench.host(0))
    bench.run(Job("note", bench.roots[0], {"number": 20}))
    return check_history(path, witness.sent)


def test_what_was_answered_outlives_its_host(bench: Bench, tmp_path: Path) -> None:
    assert death_after_answer(bench, tmp_path / STORE) == []


def test_without_storing_first_what_was_acknowledged_is_lost(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HostStore, "sync", lambda _: None)

    assert rules(death_after_answer(bench, tmp_path / STORE)) >= {"lost"}
