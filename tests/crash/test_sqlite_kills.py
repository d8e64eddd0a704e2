"""Processes on one SQLite journal: killed while they append, and several at a time."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from registry.journal.head_file import head_path
from registry.journal.sqlite import SqliteJournal
from tests.contract.journals import DEPOT, SHOP, group, part
from tests.crash.killed import GROUPS, STEPS, TOLD
from tests.crash.stories import Author, contents

TOP = Path(__file__).parents[2]
SEED = 11


def python(module: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=TOP,
    )


def test_a_process_killed_at_any_step_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    """Before the commit the group is not there, after it it is, told or not."""
    story = Author(SEED).tell(TOLD)
    process = python("tests.crash.killed", tmp_path, SEED)
    told, _ = process.communicate(timeout=120)

    lines = [line.split() for line in told.splitlines()]
    assert len(lines) == len(STEPS) * len(GROUPS)
    for step, path, acknowledged, ended_by in lines:
        assert int(ended_by) == signal.SIGKILL
        is_committed = step in {"committed", "headed"}
        journal = SqliteJournal(path, clock=lambda: 1.0)
        expected = story.contents[int(acknowledged) + is_committed]
        assert contents(journal, story.ids) == expected, step
        assert list(journal.check()) == []
        journal.close()


def test_processes_write_one_store_at_a_time_from_its_first_moment(tmp_path: Path) -> None:
    """All of them find no store, one makes it; rows are numbered once, the chain is whole."""
    path = tmp_path / "journal.db"
    writers = [python("tests.crash.writing", path, root, 40) for root in (1, 2, 3, 4)]
    rows = [writer.communicate(timeout=120)[0].split() for writer in writers]

    assert [writer.returncode for writer in writers] == [0, 0, 0, 0]
    assert sorted(int(row) for each in rows for row in each) == list(range(1, 161))
    journal = SqliteJournal(path)
    assert sorted((entry.root, entry.head) for entry in journal.catalog()) == [
        (root, 40) for root in (1, 2, 3, 4)
    ]
    assert list(journal.check()) == []
    journal.close()


def test_two_openers_of_one_file_see_what_the_other_one_stored(tmp_path: Path) -> None:
    one, two = (SqliteJournal(tmp_path / "journal.db") for _ in range(2))

    assert [one.append(group(part(SHOP, 1))), two.append(group(part(SHOP, 2)))] == [1, 2]
    assert one.append(group(part(DEPOT, 1))) == 3

    assert one.catalog() == two.catalog()
    assert list(one.parts(SHOP, 0)) == [part(SHOP, 1), part(SHOP, 2)]
    one.close()
    assert two.append(group(part(SHOP, 3))) == 4
    assert list(two.check()) == []
    two.close()


def test_a_backup_is_a_store_of_its_own_as_of_then(tmp_path: Path) -> None:
    story = Author(SEED).tell(20)
    journal = SqliteJournal(tmp_path / "journal.db", clock=lambda: 1.0)
    for step in story.steps[:12]:
        step(journal)

    journal.backup(tmp_path / "copy.db")
    for step in story.steps[12:]:
        step(journal)
    journal.close()

    copy = SqliteJournal(tmp_path / "copy.db", clock=lambda: 1.0)
    assert contents(copy, story.ids) == story.contents[12]
    for step in story.steps[12:]:
        step(copy)
    assert contents(copy, story.ids) == story.contents[20]
    assert list(copy.check()) == []
    copy.close()
    assert {path.name for path in tmp_path.iterdir()} == {
        *("journal.db", "journal.db-head", "copy.db", "copy.db-head")
    }


def test_a_backup_is_made_while_others_write(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    other = SqliteJournal(tmp_path / "journal.db")
    journal.append(group(*[part(SHOP, version, data=bytes(5000)) for version in range(1, 400)]))
    writer = python("tests.crash.writing", tmp_path / "journal.db", 5, 60)

    copies = [tmp_path / f"copy{number}.db" for number in range(5)]
    for path in copies:
        other.backup(path)
    writer.communicate(timeout=60)

    for path in copies:
        copy = SqliteJournal(path)
        assert list(copy.check()) == []
        assert head_path(path).exists()
        copy.close()
    journal.close()
    other.close()
