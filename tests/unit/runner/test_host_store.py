"""A host with a store: chunks are groups, and what is known is answered, not run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from registry import Entity, Ref, Workspace
from registry.errors import FencedError, JournalError, UsageError
from registry.journal.port import Group
from registry.journal.sqlite import SqliteJournal
from runner import Job, Runner
from runner.errors import HostFaultError, PoisonError
from runner.host import Host
from runner.host_store import Store


class Counter(Entity):
    """A root that counts."""

    number: int = 0


app = Workspace()


@app.register("add")
def add(counter: Counter, by: int = 1) -> int:
    """Add to a counter; refuse to go below zero."""
    if counter.number + by < 0:
        raise ValueError(f"{counter.number} is less than {-by}")
    counter.number += by
    return counter.number


@app.register("make")
def make(number: int) -> Counter:
    """Make a new counter."""
    return Counter(number=number)


@app.register("twin")
def twin(counter: Counter) -> Counter:
    """Make another counter that begins where one is."""
    return Counter(number=counter.number)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def opened(store: Path) -> Iterator[Callable[[], Runner]]:
    runners: list[Runner] = []

    def open_one() -> Runner:
        runners.append(Runner(app, in_process=True, store=store))
        return runners[-1].__enter__()

    yield open_one
    for runner in runners:
        runner.close()


def values(runner: Runner, jobs: list[Job]) -> list[Any]:
    """Return what became of jobs, in their order: value, or the type of the error."""
    outcomes = runner.submit(jobs, ordered=True)
    return [each.value if each.ok else each.error.type for each in outcomes]  # type: ignore[union-attr]  # one that is not ok has an error


def test_the_next_runner_goes_on_with_the_roots_of_the_store(
    opened: Callable[[], Runner],
) -> None:
    first = opened()
    root = first.add(Counter(), "c")
    assert values(first, [Job("add", root), Job("add", "c", {"by": 4})]) == [1, 5]
    first.close()

    again = opened()

    assert again.roots() == {root: "c"}
    assert again.head("c") == 3
    assert again.snapshot(root).number == 5
    assert [info.version for info in again.history(root)] == [1, 2, 3]
    assert values(again, [Job("add", "c")]) == [6]


def test_an_id_is_run_once_by_whoever_it_is_sent_to(opened: Callable[[], Runner]) -> None:
    jobs = [Job("add", "c", {"by": by}, f"job-{by}") for by in (1, 2, 3)]
    first = opened()
    root = first.add(Counter(), "c")
    expected = values(first, jobs[:2])
    first.close()

    again = opened()

    assert values(again, jobs) == [*expected, 6] == [1, 3, 6]
    assert values(again, jobs) == [1, 3, 6]
    assert again.head(root) == 4
    twins = [outcome.version for outcome in again.submit(jobs)]
    assert sorted(twins) == [2, 3, 4]


def test_an_id_that_is_given_twice_in_one_chunk_is_run_once(opened: Callable[[], Runner]) -> None:
    runner = opened()
    root = runner.add(Counter())
    jobs = [Job("add", root, {"by": by}, own_id) for by, own_id in
            ((1, "a"), (2, None), (4, "a"), (8, "b"), (16, "a"), (32, "b"))]  # fmt: skip

    assert values(runner, jobs) == [1, 3, 1, 11, 1, 11]
    assert runner.head(root) == 4


def test_a_failure_is_answered_again_as_a_failure(opened: Callable[[], Runner]) -> None:
    runner = opened()
    root = runner.add(Counter())
    jobs = [Job("add", root, {"by": -1}, "a")]

    first, second = (next(iter(runner.submit(jobs))) for _ in range(2))

    assert first.error == second.error
    assert first.error is not None
    assert first.error.type == "ValueError"
    assert "test_host_store.py" in first.error.traceback


def test_what_was_born_is_found_with_the_root_that_bore_it(opened: Callable[[], Runner]) -> None:
    first = opened()
    root = first.add(Counter(number=7))
    born = next(iter(first.submit([Job("twin", root)]))).value
    alone = next(iter(first.submit([Job("make", None, {"number": 3})]))).value
    first.close()

    again = opened()

    assert set(again.roots()) == {root, born, alone}
    assert values(again, [Job("add", each) for each in (root, born, alone)]) == [8, 8, 4]


def test_a_root_that_is_stored_keeps_its_name(opened: Callable[[], Runner]) -> None:
    first = opened()
    first.add(Counter(), "c")
    first.close()

    with pytest.raises(UsageError, match="'c'"):
        opened().add(Counter(), "c")


def test_whoever_opened_a_root_last_is_its_writer(opened: Callable[[], Runner]) -> None:
    old, new = opened(), opened()
    root = old.add(Counter())
    new.close()
    new = opened()
    assert values(new, [Job("add", root)]) == [1]

    (outcome,) = old.submit([Job("add", root)])

    assert outcome.status == "failed"
    assert outcome.error is not None
    assert outcome.error.type == FencedError.__name__
    assert values(new, [Job("add", root)]) == [2]


def test_a_store_that_fails_costs_the_chunk_and_the_host_loads_again(
    opened: Callable[[], Runner], monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = opened()
    root = runner.add(Counter())
    append = SqliteJournal.append

    def fail(self: SqliteJournal, group: Group) -> int:
        raise JournalError(self.name, "is full", "make room")

    monkeypatch.setattr(SqliteJournal, "append", fail)
    (lost,) = runner.submit([Job("add", root, {"by": 5}, "a")])
    monkeypatch.setattr(SqliteJournal, "append", append)

    assert lost.status == "lost"  # whether it took effect is not known
    assert lost.error is not None
    assert lost.error.type == "JournalError"
    assert runner.head(root) == 1  # what was in memory only is gone
    assert values(runner, [Job("add", root, {"by": 5}, "a")]) == [5]


def test_a_fault_of_the_host_is_told_and_nobody_waits_for_ever(
    opened: Callable[[], Runner], monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = opened()
    root = runner.add(Counter())

    def fail(*_: Any, **__: Any) -> None:
        raise NameError("a slip of ours")

    with monkeypatch.context() as broken:
        broken.setattr(Host, "_run_chunk", fail)
        (lost,) = runner.submit([Job("add", root)])

    assert lost.status == "lost"
    assert lost.error is not None
    assert lost.error.type == HostFaultError.__name__
    assert "a slip of ours" in lost.error.message
    assert values(runner, [Job("add", root)]) == [1]


def test_a_job_that_kills_says_how_often() -> None:
    error = PoisonError("boom", 2)

    assert "'boom'" in str(error)
    assert "2 times" in str(error)


def test_refs_are_the_same_in_the_next_process(opened: Callable[[], Runner]) -> None:
    first = opened()
    root = first.add(Counter())
    first.close()

    assert list(opened().roots()) == [Ref(root.root, root.key)]


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("postgresql://me:secret@there:5432/flights", "postgresql://there:5432/flights"),
        ("postgresql://me:se@cret@there/flights?password=secret", "postgresql://there/flights"),
        ("postgresql:///flights?user=me@here&password=secret", "postgresql://..."),
        ("folder/flights.db", "folder/flights.db"),
    ],
)
def test_the_form_of_a_store_for_logs_has_no_password(place: str, shown: str) -> None:
    assert repr(Store(place, "commit")) == f"Store(place={shown!r}, durability='commit')"
