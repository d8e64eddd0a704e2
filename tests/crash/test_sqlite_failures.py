"""Every n-th call of SQLite fails, the disk is full, another process holds the lock."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest

from registry.errors import JournalBusyError, JournalError
from registry.journal import sqlite_file
from registry.journal.port import Group, Journal, Part
from registry.journal.sqlite import SqliteJournal
from tests.contract.journals import SHOP, group, part
from tests.crash.stories import Author, Story, contents


class Failing(sqlite3.Connection):
    """A connection one of whose calls fails: before it was done, or after it was."""

    countdown: ClassVar[int] = -1
    is_done_first: ClassVar[bool] = False

    def execute(self, *args: Any) -> sqlite3.Cursor:
        return self._call(super().execute, *args)

    def executemany(self, *args: Any) -> sqlite3.Cursor:
        return self._call(super().executemany, *args)

    def _call(self, method: Any, *args: Any) -> sqlite3.Cursor:
        Failing.countdown -= 1
        if Failing.countdown != 0:
            found: sqlite3.Cursor = method(*args)
            return found
        if Failing.is_done_first:
            method(*args)
        raise sqlite3.OperationalError("disk I/O error")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Failing]]:
    monkeypatch.setattr(sqlite_file, "CONNECTION", Failing)
    yield Failing
    Failing.countdown = -1


def opened(path: Path) -> SqliteJournal:
    return SqliteJournal(path, durability="none", clock=lambda: 1.0)


def tell(journal: Journal, story: Story, after: int) -> int:
    """Tell a journal the steps after some, until one fails; return how many were acknowledged."""
    for acknowledged, step in enumerate(story.steps[after:], after):
        try:
            step(journal)
        except JournalError:
            return acknowledged
    return len(story.steps)


@pytest.mark.parametrize("is_done_first", [False, True])
def test_whatever_call_fails_what_was_acknowledged_is_stored_and_nothing_by_halves(
    tmp_path: Path, failing: type[Failing], is_done_first: bool
) -> None:
    """For every n the n-th call fails; then the store is read, and the rest is told to it."""
    story = Author(7).tell(12)
    failing.is_done_first = is_done_first
    # Opening calls, too, and has a test of its own.
    journal, number, unknown = opened(tmp_path / "none.db"), 0, 0
    has_failed = True
    while has_failed:
        number += 1
        journal.close()
        journal = opened(tmp_path / f"{number}.db")
        failing.countdown = number
        acknowledged = tell(journal, story, 0)
        has_failed = failing.countdown <= 0
        failing.countdown = -1

        # The step that failed has happened, or it has not; nobody was told that it did.
        found = contents(journal, story.ids)
        after = [acknowledged, acknowledged + 1][: len(story.steps) - acknowledged + 1]
        known = [each for each in after if story.contents[each] == found]
        assert known, f"call {number}"
        unknown += known[0] != acknowledged
        tell(journal, story, known[-1])
        again = opened(tmp_path / f"{number}.db")
        assert contents(again, story.ids) == story.contents[-1]
        assert list(again.check()) == []
        again.close()
    journal.close()

    assert number > 150
    assert (unknown > 0) == is_done_first


def test_whatever_call_of_opening_fails_the_next_opening_is_right(
    tmp_path: Path, failing: type[Failing]
) -> None:
    failing.is_done_first = False
    story, number, has_failed = Author(7).tell(3), 0, True
    while has_failed:
        number += 1
        path = tmp_path / f"{number}.db"
        for is_new in (True, False):
            failing.countdown = number
            with suppress(JournalError):
                opened(path).close()
            has_failed = failing.countdown <= 0
            failing.countdown = -1
            journal = opened(path)
            if is_new:
                tell(journal, story, 0)
            assert contents(journal, story.ids) == story.contents[-1]
            assert list(journal.check()) == []
            journal.close()

    assert number > 10


def test_after_a_failed_append_the_journal_is_usable(
    tmp_path: Path, failing: type[Failing]
) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    journal.append(group(part(SHOP, 1)))
    failing.countdown = 8

    with pytest.raises(JournalError):
        journal.append(group(part(SHOP, 2)))

    assert journal.append(group(part(SHOP, 2))) == 2
    assert list(journal.check()) == []
    journal.close()


def test_a_full_disk_is_an_error_and_room_ends_it(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    rows = fill(journal, 0, 20)
    assert journal._file is not None
    pages = journal._file.db.execute("PRAGMA page_count").fetchone()[0]
    journal._file.db.execute(f"PRAGMA max_page_count = {pages + 3}")

    with pytest.raises(JournalError) as caught:
        fill(journal, rows, 100)

    assert "full" in caught.value.problem
    assert caught.value.way_out == "make room on its disk, then open it again"
    head = journal.catalog()[0].head
    assert rows <= head < 100
    assert fill(journal, head, 100) == 100
    assert list(journal.check()) == []
    journal.close()


def fill(journal: Journal, after: int, until: int) -> int:
    for version in range(after + 1, until + 1):
        data = bytes([version]) * 3000
        epochs = {SHOP: 1} if version > 1 else {}
        journal.append(Group([Part(SHOP, 0, version, version, data)], epochs=epochs))
    return until


LIMITED = """
import resource, sys
from registry.errors import JournalError
from registry.journal.sqlite import SqliteJournal
from tests.crash.test_sqlite_failures import fill
journal = SqliteJournal(sys.argv[1])
fill(journal, 0, 5)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
for version in range(5, 1000):
    try:
        fill(journal, version, version + 1)
    except JournalError as error:
        print(version, error)
        break
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
head = journal.catalog()[0].head
print(head, fill(journal, head, head + 5), list(journal.check()))
"""


@pytest.mark.parametrize("limit", [100_000, 131_072, 250_001])
def test_a_file_that_may_not_grow_costs_the_group_that_did_not_fit(
    tmp_path: Path, limit: int
) -> None:
    """A write of the log itself fails, by a limit of the system."""
    told = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "journal.db"), str(limit)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    failed, after = told.stdout.splitlines()
    version, _, error = failed.partition(" ")
    assert str(tmp_path) in error
    assert after == f"{version} {int(version) + 5} []"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


HOLDER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_store_that_another_process_holds_is_busy_and_nothing_happened(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path, timeout_s=0.05)
    journal.append(group(part(SHOP, 1)))
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"

        with pytest.raises(JournalBusyError) as caught:
            journal.append(group(part(SHOP, 2)))

        assert (caught.value.store, caught.value.waited_s) == (str(path), 0.05)
        assert len(list(journal.parts(SHOP, 0))) == 1
        holder.communicate("")
    assert journal.append(group(part(SHOP, 2))) == 2
    journal.close()


def test_a_database_that_was_replaced_while_it_was_open_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    journal.append(group(part(SHOP, 1)))
    path.rename(tmp_path / "elsewhere.db")

    with pytest.raises(JournalError) as caught:
        journal.append(group(part(SHOP, 2)))

    assert caught.value.problem == "was moved, deleted or replaced while it was open"
    (tmp_path / "elsewhere.db").rename(path)
    assert journal.append(group(part(SHOP, 2))) == 2
    journal.close()


def test_a_journal_that_is_open_to_read_only_refuses_to_write(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    writer = SqliteJournal(path)
    writer.append(group(part(SHOP, 1)))
    reader = SqliteJournal(path, read_only=True)

    with pytest.raises(JournalError) as caught:
        reader.append(group(part(SHOP, 2)))

    assert caught.value.problem == "is open to read only"
    assert list(reader.parts(SHOP, 0)) == [part(SHOP, 1)]
    writer.append(group(part(SHOP, 2)))
    assert len(list(reader.parts(SHOP, 0))) == 2
    reader.close()
    writer.close()


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"not a database, but a text of some length " * 50, "file is not a database"), (b"", "")],
)
def test_what_is_no_database_is_refused_and_an_empty_file_is_a_new_store(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(content)

    if problem:
        with pytest.raises(JournalError) as caught:
            SqliteJournal(path)
        assert problem in caught.value.problem
        assert path.read_bytes() == content
    else:
        SqliteJournal(path).close()


def test_a_database_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE accounts (id INTEGER)")
    db.close()
    before = path.read_bytes()

    with pytest.raises(JournalError) as caught:
        SqliteJournal(path)

    assert caught.value.problem == "is a database of something else"
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["other.db"]


def test_a_trigger_in_a_store_is_not_run(tmp_path: Path) -> None:
    """Opening a store runs nothing that somebody put there."""
    path = tmp_path / "journal.db"
    SqliteJournal(path).close()
    db = sqlite3.connect(path)
    db.execute("CREATE TRIGGER t AFTER INSERT ON groups BEGIN DELETE FROM parts; END")
    db.close()

    with pytest.raises(JournalError) as caught:
        SqliteJournal(path)

    assert "other tables" in str(caught.value)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError) as caught:
        SqliteJournal(tmp_path / "nowhere" / "journal.db")

    assert caught.value.way_out == "see that its folder is there, and may be written"


def test_a_store_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    SqliteJournal(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 2")
    db.close()

    with pytest.raises(JournalError) as caught:
        SqliteJournal(path)

    assert "has format 2, this version reads 1" in str(caught.value)
