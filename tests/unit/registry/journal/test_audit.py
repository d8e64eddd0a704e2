"""The audit names whatever differs from what the rows tell, and nothing else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from registry.errors import JournalDamagedError
from registry.journal.port import Checkpoint
from registry.journal.sqlite import SqliteJournal
from tests.contract.journals import DEPOT, SHOP, group, part

DAMAGES = {
    "UPDATE parts SET data = x'00' WHERE row = 2 AND first = 3": "row 2, root",
    "UPDATE parts SET data = 'text' WHERE row = 2 AND first = 3": "row 2, root",
    "UPDATE parts SET first = 'one' WHERE row = 1": "row 1, root",
    "UPDATE parts SET row = 3 WHERE row = 2": "row 2, root",
    "UPDATE parts SET checksum = checksum + 1 WHERE row = 2": "row 2, root",
    "DELETE FROM parts WHERE row = 2 AND first = 3": "row 2, root",
    "INSERT INTO parts VALUES (99 << 28, 1, 1, 0, x'')": "parts",
    "UPDATE effects SET outcome = x'00' WHERE row = 2": "row 2, execution two",
    "UPDATE effects SET checksum = -1 WHERE row = 2": "row 2, execution two",
    "UPDATE effects SET checksum = 'text' WHERE row = 2": "row 2, execution two",
    "UPDATE groups SET row = 1 << 60 WHERE row = 3": "row 1152921504606846976",
    "UPDATE groups SET digest = 'text' WHERE row = 2": "row 2",
    "UPDATE groups SET header = 7 WHERE row = 2": "row 2",
    "UPDATE store SET logs_before = 'text'": "the entry of the store",
    "UPDATE groups SET row = -5 WHERE row = 1": "row -5",
    "UPDATE effects SET outcome = 7 WHERE row = 2": "row 2, an execution",
    "UPDATE effects SET id = x'00' WHERE row = 2": "row 2, execution \0",
    "UPDATE effects SET root = 77 WHERE row = 2": "row 2, an execution",
    "UPDATE effects SET row = 90 WHERE row = 2": "row 90, execution two",
    "DELETE FROM effects WHERE row = 2": "row 2, outcomes",
    "DELETE FROM groups WHERE row = 2": "row 3",
    "DELETE FROM groups WHERE row = 3": "parts",
    "UPDATE groups SET header = x'00' WHERE row = 2": "row 2",
    "UPDATE groups SET header = (SELECT header FROM groups WHERE row = 1) WHERE row = 2": "row 2",
    "UPDATE groups SET digest = x'00' WHERE row = 2": "row 2",
    "UPDATE branches SET head = head + 1 WHERE number = 1": "catalog, entry 1",
    "UPDATE branches SET about = x'00' WHERE number = 1": "catalog, entry 1",
    "UPDATE branches SET root = 'text' WHERE number = 1": "catalog, entry 1",
    "DELETE FROM branches WHERE number = 1": "catalog, root",
    "UPDATE roots SET epoch = 1": "roots, entry 1",
    "DELETE FROM roots": "epoch of root",
    "DELETE FROM groups WHERE row = 4": "rows 4 to 4",
    "UPDATE logs SET data = x'00' WHERE row = 2": "row 2, records",
    "DELETE FROM logs WHERE row = 2": "row 2, records",
    "UPDATE checkpoints SET data = x'00'": "checkpoint of root",
    "UPDATE checkpoints SET data = 7": "checkpoint of root",
    "INSERT INTO checkpoints VALUES (99 << 28, 0, x'')": "checkpoint",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    journal.append(group(part(SHOP, 1, 2), notes=[(SHOP, 0, 0, b"a")], log=b"one"))
    journal.append(
        group(
            *(part(SHOP, 3), part(DEPOT, 1)),
            effects=[(SHOP, "two", b"done")],
            log=b"two",
            epochs={SHOP: 1},
        )
    )
    journal.append(group(part(SHOP, 4, 9)))
    journal.acquire([SHOP], "host 2")
    journal.put_checkpoint(Checkpoint(SHOP, 0, 9, b"state"))
    journal.close()
    return path


def places(path: Path) -> list[str]:
    journal = SqliteJournal(path, read_only=True)
    try:
        return [problem.place for problem in journal.check()]
    finally:
        journal.close()


def test_a_store_that_nothing_is_wrong_with_has_no_problem(path: Path) -> None:
    assert places(path) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_differs_from_what_the_rows_tell_is_named(path: Path, damage: str) -> None:
    db = sqlite3.connect(path)
    assert db.execute(damage).rowcount > 0
    db.commit()
    db.close()

    found = places(path)

    assert any(place.startswith(DAMAGES[damage]) for place in found), found


def test_a_problem_says_what_is_there_and_what_should_be(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("DELETE FROM parts WHERE row = 3")
    db.commit()
    db.close()

    journal = SqliteJournal(path, read_only=True)
    (problem,) = journal.check()
    journal.close()

    assert problem.place.endswith("branch 0, versions 4 to 9")
    assert (problem.found, problem.expected) == ("nothing", "28 bytes")


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM store",
        "UPDATE store SET id = 7",
        "UPDATE store SET id = x'ffffffffffffffffffffffffff'",
        "UPDATE parts SET data = x'00' WHERE row = 1",
        "UPDATE parts SET first = 2 WHERE row = 1",
        "UPDATE parts SET first = 'one' WHERE row = 1",
        "DELETE FROM parts WHERE row = 1",
        "DELETE FROM parts WHERE row = 3",
        "UPDATE branches SET head = 10 WHERE number = 1",
        "UPDATE effects SET outcome = x'00'",
        "UPDATE effects SET outcome = 7",
        "UPDATE logs SET data = x'00' WHERE row = 1",
        "UPDATE logs SET data = 7.5 WHERE row = 1",
        "UPDATE checkpoints SET data = x'00'",
        "UPDATE roots SET holder = x'00'",
    ],
)
def test_reading_does_not_give_what_was_not_written(path: Path, damage: str) -> None:
    """Without a check: whoever reads it is told."""
    db = sqlite3.connect(path)
    db.execute(damage)
    db.commit()
    db.close()

    with pytest.raises(JournalDamagedError):
        read(path)


def read(path: Path) -> None:
    with closing(SqliteJournal(path)) as journal:
        journal.catalog()
        list(journal.parts(SHOP, 0))
        journal.outcome(SHOP, "two")
        list(journal.logs())
        journal.checkpoint(SHOP, 0)
