"""What is stored of trees is held against the records, and whatever does not agree is named."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest

from registry import Entity, Retention, Workspace, ids
from registry.errors import ArgumentError, UnknownClassError
from registry.journal import journaled_tree
from registry.journal.chain import branch_text
from registry.journal.compaction import compact
from registry.journal.histories import check_histories
from registry.journal.memory import MemoryJournal
from registry.journal.outcomes import Answered, Failed, write_outcome
from registry.journal.port import Entry, Part, Problem


class Meter(Entity):
    """What executions change."""

    total: int = 0


def opened(journal: MemoryJournal) -> Workspace:
    workspace = Workspace(store=journal)

    @workspace.register("add")
    def add(meter: Meter, amount: int) -> None:
        meter.total += amount

    @workspace.register("twice")
    def twice(meter: Meter, other: Meter) -> None:
        workspace.execute("add", meter=meter, amount=1)
        workspace.execute("add", meter=other, amount=2)

    return workspace


class Doctored(MemoryJournal):
    """A journal that gives other things than were stored."""

    def __init__(self) -> None:
        super().__init__("doctored")
        self.entry: Callable[[Entry], Entry | None] = lambda each: each
        self.part: Callable[[Part], Part] = lambda each: each
        self.row: Callable[[int], int | None] = lambda each: each
        self.answer: bytes | None = None

    def catalog(self, roots: Collection[int] | None = None) -> list[Entry]:
        return [each for found in super().catalog(roots) if (each := self.entry(found)) is not None]

    def parts(
        self, root: int, branch: int, after: int = 0, until: int | None = None
    ) -> Iterator[Part]:
        yield from map(self.part, super().parts(root, branch, after, until))

    def logs(self, before: int | None = None) -> Iterator[tuple[int, bytes]]:
        found = dict(super().logs(before))
        for row in found:
            other = self.row(row)
            if other is not None:
                yield row, found[other]

    def outcome(self, root: int, execution_id: str) -> bytes | None:
        found = super().outcome(root, execution_id)
        return found if found is None or self.answer is None else self.answer


@pytest.fixture
def journal() -> Doctored:
    """Row 1 is the adoption of a root, rows 2 to 5 make its versions 2 to 5."""
    journal = Doctored()
    workspace = opened(journal)
    meter = workspace.add(Meter(), "meter")
    for amount in (1, 2, 3, 4):
        workspace.run("add", {"meter": meter, "amount": amount}, f"job-{amount}")
    return journal


def branch(journal: Doctored) -> str:
    return branch_text(MemoryJournal.catalog(journal)[0].root, 0)


def test_what_is_sound_has_no_problem(journal: Doctored) -> None:
    workspace = opened(journal)
    meter = workspace.ref("meter")
    other = workspace.add(Meter())
    workspace.execute("twice", meter=meter, other=other)
    workspace.fork(meter, at=2, name="fork")
    workspace.execute("add", meter=workspace.ref("fork"), amount=9)
    workspace.merge("fork", meter, on_conflict="theirs")
    workspace.undo(workspace.executions()[-1].execution_id)
    workspace.drop(other)
    with pytest.raises(ArgumentError):
        workspace.execute("add", meter=meter, amount="x")

    assert list(check_histories(journal)) == []
    assert list(check_histories(MemoryJournal())) == []


def test_a_version_without_record_is_named(journal: Doctored) -> None:
    journal.row = lambda row: None if row == 4 else row

    assert list(check_histories(journal)) == [
        Problem(f"version 4 of {branch(journal)}", "no record", "the record of execution job-3")
    ]


def test_old_records_may_have_been_let_go(journal: Doctored) -> None:
    journal.forget_logs(before=4)

    assert list(check_histories(journal)) == []


def test_versions_may_have_been_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journaled_tree, "CHECKPOINT_EVERY", -1_000)
    journal = MemoryJournal()
    workspace = opened(journal)
    meter = workspace.add(Meter())
    for _ in range(20):
        workspace.execute("add", meter=meter, amount=1)

    assert compact(journal, Retention(versions=5, records=1_000)).branches == 1

    assert opened(journal).trees.tree(meter).oldest > 10
    assert list(check_histories(journal)) == []


def test_a_record_of_another_execution_is_named(journal: Doctored) -> None:
    other = opened(journal)
    other.run("add", {"meter": other.ref("meter"), "amount": 5}, "job-5")
    journal.entry = lambda entry: entry._replace(head=5)

    assert list(check_histories(journal)) == [
        Problem("record of execution job-5", f"version 6 of {branch(journal)}", "versions up to 5")
    ]


def test_an_execution_that_made_two_versions_is_named() -> None:
    journal = MemoryJournal()
    workspace = opened(journal)
    meter = workspace.add(Meter())
    number = ids.first_execution_number()
    list(workspace.run_each("add", ("meter", "amount"), [((meter, 1), number)] * 2))
    workspace.sync()

    found = list(check_histories(journal))

    text = ids.execution_text(number)
    assert found == [
        Problem(
            f"version 3 of {branch_text(int(meter.root), 0)}",
            f"execution {text}, which made version 2",
            "another execution",
        )
    ]


@pytest.mark.parametrize(
    ("outcome", "found"),
    [(Failed("ValueError", "no"), "a failure"), (Answered(9, 1, None, None, ()), "version 9")],
)
def test_an_outcome_that_does_not_agree_is_named(
    journal: Doctored, outcome: Any, found: str
) -> None:
    journal.answer = write_outcome(outcome, None)

    assert list(check_histories(journal))[-1] == Problem(
        "outcome of execution job-1", found, f"version 2 of {branch(journal)}"
    )


def test_commits_that_cannot_be_done_again_are_named(journal: Doctored) -> None:
    journal.part = lambda part: part._replace(data=part.data[: len(part.data) // 2])

    (problem,) = check_histories(journal)

    assert problem.place == branch(journal)
    assert problem.found.startswith("JournalDamagedError: ")


def test_a_missing_version_is_named(journal: Doctored) -> None:
    stored = journal.part
    journal.part = lambda part: stored(part)._replace(first=part.first + (part.first == 3))

    (problem,) = check_histories(journal)

    assert "do not follow version 2" in problem.found


def test_a_class_that_is_not_imported_is_no_problem_of_the_store(
    journal: Doctored, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(name: str) -> Any:
        raise UnknownClassError(name, "import it")

    monkeypatch.setattr("registry.journal.states.find_class", unknown)

    with pytest.raises(UnknownClassError):
        list(check_histories(journal))
