"""A workspace that only looks at a store: it sees what is there, and changes nothing."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from registry import ConfigEntity, Entity, Workspace
from registry.errors import InsideError, JournalError, ReadOnlyStoreError
from registry.journal.memory import MemoryJournal
from registry.journal.sqlite import SqliteJournal
from registry.journal.sqlite_file import SqliteFile


class Basket(Entity):
    """What executions change."""

    apples: list[int] = Field(default_factory=list)


class Setting(ConfigEntity):
    """What an execution may be given."""

    by: int = 1


def opened(store: Any, **settings: Any) -> Workspace:
    workspace = Workspace(store=store, **settings)

    @workspace.register("put_in")
    def put_in(basket: Basket, apple: int) -> int:
        basket.apples.append(apple)
        return len(basket.apples)

    @workspace.register("put_two")
    def put_two(basket: Basket) -> None:
        workspace.execute("put_in", basket=basket, apple=8)
        workspace.execute("put_in", basket=basket, apple=9)

    @workspace.register("made")
    def made() -> Basket:
        return Basket()

    return workspace


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


@pytest.fixture
def writing(journal: MemoryJournal) -> Workspace:
    workspace = opened(journal)
    workspace.add(Basket(), "basket")
    for apple in (1, 2):
        workspace.execute("put_in", basket=workspace.ref("basket"), apple=apple)
    workspace.fork("basket", at=2, name="old")
    return workspace


@pytest.fixture
def reading(journal: MemoryJournal, writing: Workspace) -> Workspace:
    return opened(journal, read_only=True)


def test_everything_can_be_read(reading: Workspace, writing: Workspace) -> None:
    basket = reading.ref("basket")

    assert reading.snapshot(basket).apples == [1, 2]
    assert reading.snapshot(basket, 2).apples == [1]
    assert reading.snapshot("old").apples == [1]
    assert reading.history(basket) == writing.history(basket)
    assert [each.execution_id for each in reading.executions()] == [
        each.execution_id for each in writing.executions()
    ]
    assert str(reading.why(f"{basket.address}.apples")) == str(
        writing.why(f"{basket.address}.apples")
    )
    assert [each.field for each in reading.diff(basket, 1, 3).changed] == ["apples"]


def test_whoever_writes_goes_on_and_is_not_seen(reading: Workspace, writing: Workspace) -> None:
    """What was read when it was opened is what it shows, whatever comes after."""
    writing.execute("put_in", basket=writing.ref("basket"), apple=3)

    assert reading.snapshot("basket").apples == [1, 2]
    assert len(reading.executions()) == 2

    writing.execute("put_in", basket=writing.ref("basket"), apple=4)
    assert writing.snapshot("basket").apples == [1, 2, 3, 4]


_REFUSED: dict[str, Callable[[Workspace], Any]] = {
    "an execution of 'put_in'": lambda it: it.execute("put_in", basket=it.ref("basket"), apple=1),
    "an execution of 'made'": lambda it: it.run("made", {}, "own-id"),
    "an execution of 'put_two'": lambda it: asyncio.run(
        it.aexecute("put_two", basket=it.ref("basket"))
    ),
    "an execution of 'put_in' ": lambda it: list(
        it.run_each("put_in", ("basket", "apple"), [((it.ref("basket"), 1), 1)])
    ),
    "an execution of 'put'": lambda it: it.put(f"{it.ref('basket').address}.apples", [7]),
    "an execution of 'undo'": lambda it: it.undo(it.executions()[-1].execution_id),
    "an execution of 'revert'": lambda it: it.revert("basket", 1),
    "add(...)": lambda it: it.add(Basket()),
    "add_owned(...)": lambda it: it.add_owned(Basket()),
    "store_config(...)": lambda it: it.store_config(Setting()),
    "fork(...)": lambda it: it.fork("basket"),
    "drop(...)": lambda it: it.drop("old"),
    "merge(...)": lambda it: it.merge("old"),
}


@pytest.mark.parametrize("call", _REFUSED)
def test_what_would_change_something_is_refused_and_has_not_run(
    journal: MemoryJournal, reading: Workspace, call: str
) -> None:
    before = journal.catalog()

    with pytest.raises(ReadOnlyStoreError) as caught:
        _REFUSED[call](reading)

    assert (caught.value.call, caught.value.store) == (call.strip(), ":memory:")
    assert journal.catalog() == before
    assert reading.snapshot("basket").apples == [1, 2]


def test_edits_of_a_snapshot_are_refused(reading: Workspace) -> None:
    basket = reading.snapshot("basket")
    basket.apples.append(5)

    with pytest.raises(ReadOnlyStoreError):
        reading.commit_edits(basket)


def test_the_error_says_what_to_do_and_pickles() -> None:
    error = ReadOnlyStoreError("add(...)", "flights.db")

    assert str(error) == (
        "add(...) would write to flights.db, which is open to read only; "
        "open it without read_only, or give dry_run=True"
    )
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_dry_runs_and_replays_are_allowed(reading: Workspace) -> None:
    basket = reading.ref("basket")

    assert reading.execute("put_in", dry_run=True, basket=basket, apple=3).value == 3
    found = reading.execute("put_two", dry_run=True, basket=basket)
    assert found.diffs[0].b == reading.head(basket) + 1
    assert reading.replay(reading.executions()[-1].execution_id).is_equal
    assert reading.snapshot(basket).apples == [1, 2]


def test_what_would_stay_is_refused_in_a_dry_run_as_ever(reading: Workspace) -> None:
    @reading.register("add_in")
    def add_in(basket: Basket) -> None:
        reading.add(Basket())

    with pytest.raises(InsideError):
        reading.execute("add_in", dry_run=True, basket=reading.ref("basket"))


def test_closing_stores_nothing(journal: MemoryJournal, reading: Workspace) -> None:
    rows = len(list(journal.logs()))
    reading.snapshot("basket")

    reading.close()
    with pytest.raises(JournalError):
        list(journal.logs())  # it is closed

    assert rows > 0


def test_a_file_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with opened(path) as workspace:
        workspace.add(Basket(apples=[1]), "basket")
    files = {each.name: each.read_bytes() for each in tmp_path.iterdir()}

    with opened(path, read_only=True) as reading:
        assert reading.snapshot("basket").apples == [1]
        assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == files

    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == files


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(JournalError):
        Workspace(store=tmp_path / "none.db", read_only=True)

    assert list(tmp_path.iterdir()) == []


def test_a_running_writer_of_a_file_is_not_fenced(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with opened(path) as writing:
        basket = writing.add(Basket(), "basket")
        writing.execute("put_in", basket=basket, apple=1)
        with opened(path, read_only=True) as reading:
            writing.execute("put_in", basket=basket, apple=2)
            assert reading.snapshot("basket").apples == [1]
        writing.execute("put_in", basket=basket, apple=3)
        assert writing.snapshot(basket).apples == [1, 2, 3]
    assert list(SqliteJournal(path, read_only=True).check()) == []


def test_a_file_that_somebody_begins_to_write_to_is_opened_again(tmp_path: Path) -> None:
    """SQLite was told that it would not change, since nobody wrote: it would read nonsense."""
    path = tmp_path / "store.db"
    names = [f"basket-{number}" for number in range(20)]
    with opened(path) as workspace:
        for name in names:
            workspace.add(Basket(), name)
    journal = SqliteJournal(path, read_only=True)
    reading = opened(journal, read_only=True)
    assert reading.snapshot(names[0]).apples == []

    with opened(path) as writing:
        for name in names:
            for apple in range(50):
                writing.execute("put_in", basket=writing.ref(name), apple=apple)
        assert reading.snapshot(names[1]).apples == []

    assert all(reading.snapshot(name).apples == [] for name in names)
    assert list(journal.check()) == []
    journal.backup(tmp_path / "copy.db")
    assert list(SqliteJournal(tmp_path / "copy.db", read_only=True).check()) == []


def test_a_check_and_a_copy_of_a_file_that_changes_under_them_are_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    with opened(path) as workspace:
        workspace.add(Basket(), "basket")
    journal = SqliteJournal(path, read_only=True)
    answers = iter([True, False] * 2)
    monkeypatch.setattr(SqliteFile, "is_outdated", lambda _: next(answers, False))

    journal.backup(tmp_path / "copy.db")
    assert list(journal.check()) == []

    assert list(SqliteJournal(tmp_path / "copy.db", read_only=True).check()) == []
    assert next(answers, None) is None
