"""A damaged SQLite journal gives a whole prefix or says what is wrong, never other data.

`TREERUNNER_DAMAGES` sets how many damages of each kind are tried: some in the suite, hundreds in a
campaign.
"""

from __future__ import annotations

import os
import random
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from registry.errors import JournalDamagedError
from registry.journal.head_file import head_path
from registry.journal.sqlite import SqliteJournal
from registry.journal.sqlite_file import log_path
from tests.contract.journals import SHOP, group, part
from tests.crash.damage import (
    copy_files,
    cuts,
    flips,
    last_row_bytes,
    scene,
    tally,
    verdict,
)

DAMAGES = int(os.environ.get("TREERUNNER_DAMAGES", "60"))
SEED = 4


def database_of(database: Path) -> Path:
    return database


def test_a_log_that_is_cut_in_its_last_row_lost_that_row_and_it_is_noticed(tmp_path: Path) -> None:
    made, places = last_row_bytes(tmp_path, SEED, 30)
    places = range(places.start, places.stop, max(len(places) // DAMAGES, 1))

    counts = tally(made, cuts(log_path, iter(places), without_head=False))

    assert counts == Counter(refused=len(places))


def test_without_the_head_file_a_log_that_is_cut_is_as_before_its_last_row(tmp_path: Path) -> None:
    """It cannot be known then that there was one."""
    made, places = last_row_bytes(tmp_path, SEED, 30)
    places = range(places.start, places.stop, max(len(places) // DAMAGES, 1))

    counts = tally(made, cuts(log_path, iter(places), without_head=True))

    assert counts == Counter(prefix=len(places))


@pytest.mark.parametrize("without_head", [False, True])
def test_a_log_that_is_cut_anywhere_gives_a_prefix_or_an_error(
    tmp_path: Path, without_head: bool
) -> None:
    made = scene(tmp_path, SEED, 30, is_closed=False)
    size = log_path(made.database).stat().st_size
    dice = random.Random(SEED)
    lengths = [dice.randrange(size) for _ in range(DAMAGES)]

    counts = tally(made, cuts(log_path, iter(lengths), without_head=without_head))

    # Without its first page there is no store any more: that is a new one, if no head file knows.
    allowed = {"prefix"} if without_head else set()
    # A checkpoint at the very end is no row, and is not missed.
    assert counts.keys() <= allowed | {"trimmed", "whole", "refused"}, counts
    assert counts.total() == DAMAGES


@pytest.mark.parametrize("without_head", [False, True])
def test_a_flipped_bit_in_the_log_gives_a_prefix_or_an_error(
    tmp_path: Path, without_head: bool
) -> None:
    made = scene(tmp_path, SEED, 30, is_closed=False)

    counts = tally(made, flips(log_path, SEED, DAMAGES, without_head=without_head))

    allowed = {"prefix"} if without_head else set()
    assert counts.keys() <= allowed | {"trimmed", "whole", "refused", "noticed"}, counts


@pytest.mark.parametrize("without_head", [False, True])
def test_a_flipped_bit_in_the_database_is_noticed_unless_nothing_is_there(
    tmp_path: Path, without_head: bool
) -> None:
    made = scene(tmp_path, SEED, 60, is_closed=True)

    counts = tally(made, flips(database_of, SEED, DAMAGES, without_head=without_head))

    assert counts.keys() <= {"whole", "refused", "noticed"}, counts
    assert counts["noticed"] > 0


@pytest.mark.parametrize("without_head", [False, True])
def test_a_database_that_is_cut_is_refused_or_noticed(tmp_path: Path, without_head: bool) -> None:
    made = scene(tmp_path, SEED, 60, is_closed=True)
    size = made.database.stat().st_size
    dice = random.Random(SEED)
    # Of an empty file nothing says that it held something, but the head file. A free page may go.
    lengths = [dice.randrange(1, size) for _ in range(DAMAGES)]

    counts = tally(made, cuts(database_of, iter(lengths), without_head=without_head))

    assert counts.keys() <= {"refused", "noticed", "whole"}, counts
    assert counts["whole"] < counts["refused"]


def test_a_flipped_bit_in_the_head_file_costs_nothing(tmp_path: Path) -> None:
    made = scene(tmp_path, SEED, 30, is_closed=True)

    counts = tally(made, flips(head_path, SEED, DAMAGES, without_head=False))

    assert counts == Counter(whole=DAMAGES)


@pytest.mark.parametrize("lost", ["database", "log", "both"])
def test_a_deleted_file_is_noticed(tmp_path: Path, lost: str) -> None:
    made = scene(tmp_path, SEED, 30, is_closed=False)
    for path in {"database": [made.database], "log": [log_path(made.database)]}.get(
        lost, [made.database, log_path(made.database)]
    ):
        path.unlink()

    assert verdict(made, made.database) == "refused"
    assert lost == "log" or not made.database.exists() or made.database.stat().st_size == 0


def test_a_deleted_head_file_is_made_again(tmp_path: Path) -> None:
    made = scene(tmp_path, SEED, 30, is_closed=True)
    before = head_path(made.database).read_bytes()
    head_path(made.database).unlink()

    with_problem = SqliteJournal(made.database, read_only=True)
    assert [problem.place for problem in with_problem.check()] == ["the head file"]
    with_problem.close()

    assert verdict(made, made.database) == "whole"
    assert len(head_path(made.database).read_bytes()) == len(before)


def test_an_error_names_the_rows_that_were_lost(tmp_path: Path) -> None:
    made, places = last_row_bytes(tmp_path, SEED, 30)
    with log_path(made.database).open("r+b") as file:
        file.truncate(places.start)

    with pytest.raises(JournalDamagedError) as caught:
        SqliteJournal(made.database)

    assert caught.value.place.startswith(f"{made.database}, row ")
    assert str(head_path(made.database)) in str(caught.value)


def test_what_was_found_damaged_stays_as_it_was_found(tmp_path: Path) -> None:
    """A refused store is not written: the next look, or an expert, sees the same."""
    made, places = last_row_bytes(tmp_path, SEED, 30)
    with log_path(made.database).open("r+b") as file:
        file.truncate(places.start + 100)
    copy = tmp_path / "copy.db"
    copy_files(made.database, copy)

    assert [verdict(made, made.database) for _ in range(2)] == ["refused", "refused"]

    for now, then in ((made.database, copy), (log_path(made.database), log_path(copy))):
        assert now.read_bytes() == then.read_bytes()


def test_whoever_accepts_a_loss_goes_on_without_the_head_file(tmp_path: Path) -> None:
    made, places = last_row_bytes(tmp_path, SEED, 30)
    with log_path(made.database).open("r+b") as file:
        file.truncate(places.start)

    head_path(made.database).unlink()

    assert verdict(made, made.database) == "prefix"


def test_a_damaged_store_can_be_looked_at(tmp_path: Path) -> None:
    """Read only, it opens with what is left, and the check tells what is not."""
    made, places = last_row_bytes(tmp_path, SEED, 30)
    with log_path(made.database).open("r+b") as file:
        file.truncate(places.start)
    before = {path: path.read_bytes() for path in (made.database, log_path(made.database))}

    journal = SqliteJournal(made.database, read_only=True)
    problems = list(journal.check())
    catalog = journal.catalog()
    journal.close()

    assert [problem.expected for problem in problems] == ["the rows that the head file knows"]
    assert catalog == made.story.contents[-2].catalog
    assert {path: path.read_bytes() for path in before} == before


def changed(path: Path, statement: str) -> None:
    """Change a store behind the back of the journal."""
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of two rows."""
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    journal.append(group(part(SHOP, 1)))
    journal.append(group(part(SHOP, 2)))
    journal.close()
    return path


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("DELETE FROM groups WHERE row = 2", "row 2"),
        ("DELETE FROM groups", "rows 1 to 2"),
        ("UPDATE groups SET digest = x'00' WHERE row = 2", "row 2"),
    ],
)
def test_an_open_journal_does_not_go_on_from_another_row_than_its_last(
    path: Path, statement: str, place: str
) -> None:
    journal = SqliteJournal(path)
    changed(path, statement)

    with pytest.raises(JournalDamagedError) as caught:
        journal.append(group(part(SHOP, 3)))

    assert caught.value.place == f"{path}, {place}"
    journal.close()


def test_another_history_of_the_same_store_is_not_taken_for_it(tmp_path: Path, path: Path) -> None:
    """A copy that went its own way was put in the place of the database."""
    other = tmp_path / "other.db"
    first = SqliteJournal(path)
    first.backup(other)
    first.append(group(part(SHOP, 3)))
    first.close()
    second = SqliteJournal(other)
    for version in (3, 4, 5):
        second.append(group(part(SHOP, version, data=b"another")))
    second.close()
    other.replace(path)

    with pytest.raises(JournalDamagedError) as caught:
        SqliteJournal(path)

    assert caught.value.place == f"{path}, row 3"
    assert "is another one than" in caught.value.found


@pytest.mark.parametrize("column", ["header", "digest"])
def test_a_damaged_newest_row_is_noticed_on_opening_without_a_head_file(
    path: Path, column: str
) -> None:
    changed(path, f"UPDATE groups SET {column} = x'00' WHERE row = 2")  # noqa: S608 - our own words
    head_path(path).unlink()

    with pytest.raises(JournalDamagedError) as caught:
        SqliteJournal(path)

    assert caught.value.place == f"{path}, row 2"
