"""`treerunner verify`, `backup`, `compact`, `export`, `import`: what they tell, and exit codes."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from registry import Workspace
from registry.journal.memory import MemoryJournal
from registry.journal.port import Problem
from runner import store_commands
from runner.cli import main
from tests.own_server import OwnServer

APP = """
from registry import Entity, Workspace

app = Workspace()


class Cup(Entity):
    drops: int = 0


@app.register("fill")
def fill(cup: Cup, drops: int) -> None:
    cup.drops += drops
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the current folder, with an app and its store `cups.db`: a root, four versions."""
    (tmp_path / "verified_cups.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    sys.path.insert(0, str(tmp_path))
    import verified_cups  # type: ignore[import-not-found]

    with Workspace(store="cups.db") as workspace:
        workspace.add_callable(verified_cups.app.callable("fill"))
        cup = workspace.add(verified_cups.Cup(), "cup")
        for drops in (1, 2, 3):
            workspace.execute("fill", cup=cup, drops=drops)
    yield tmp_path
    sys.path[:] = path
    del sys.modules["verified_cups"]


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


HISTORY = ("--history", "--app", "verified_cups")


def damage(statement: str) -> None:
    """Change the database behind the journal's back."""
    db = sqlite3.connect("cups.db")
    db.execute(statement)
    db.commit()
    db.close()


def files(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}


@pytest.mark.parametrize("options", [(), HISTORY])
def test_a_sound_store_exits_with_0_and_is_not_touched(
    folder: Path, options: tuple[str, ...]
) -> None:
    before = files(folder)

    result = ask("verify", "cups.db", *options)

    assert result.exit_code == 0, result.output
    assert result.stdout == "cups.db is sound: 1 root, 1 branch, 4 versions\n"
    assert files(folder) == before


@pytest.mark.usefixtures("folder")
def test_verify_needs_no_class_of_the_user() -> None:
    cups = sys.modules["verified_cups"]
    sys.modules["verified_cups"] = None  # type: ignore[assignment]
    try:
        result = ask("verify", "cups.db")
        assert ask("verify", "cups.db", *HISTORY).exit_code == 2
    finally:
        sys.modules["verified_cups"] = cups

    assert result.exit_code == 0


@pytest.mark.usefixtures("folder")
def test_what_is_wrong_is_told_with_its_place() -> None:
    damage("UPDATE parts SET data = x'00' WHERE row = 3")

    result = ask("verify", "cups.db")
    told = ask("verify", "cups.db", "--json")

    assert result.exit_code == told.exit_code == 1
    (problem,) = [json.loads(line) for line in told.stdout.splitlines()]
    assert set(problem) == set(Problem._fields)
    assert "row 3" in problem["place"]
    header, row = result.stdout.splitlines()
    assert header.split() == ["place", "found", "expected"]
    assert row.split() == " ".join(problem.values()).split()


@pytest.mark.usefixtures("folder")
def test_what_is_damaged_is_a_problem_of_its_history_too() -> None:
    damage("UPDATE logs SET data = x'00' WHERE row = 3")

    result = ask("verify", "cups.db", "--json", *HISTORY)

    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 2
    assert all("row 3, records" in line for line in result.stdout.splitlines())


@pytest.mark.usefixtures("folder")
def test_a_history_that_does_not_agree_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Problem("version 3", "no record", "one")
    monkeypatch.setattr(store_commands, "check_histories", lambda _: [found])

    result = ask("verify", "cups.db", "--json", *HISTORY)

    assert (result.exit_code, json.loads(result.stdout)) == (1, found._asdict())


@pytest.mark.usefixtures("folder")
def test_people_are_shown_so_many_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Problem(f"row {number}", "a", "b") for number in range(1_200)]
    monkeypatch.setattr(store_commands, "check_histories", lambda _: found)

    result = ask("verify", "cups.db", *HISTORY)

    assert result.stdout.splitlines()[-1].strip() == "and 1,100 more"
    assert len(ask("verify", "cups.db", "--json", *HISTORY).stdout.splitlines()) == 1_200


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("verify", "none.db"), "none.db"),
        (("verify", "verified_cups.py"), "verified_cups.py"),
        (("verify", "cups.db", "--history"), "give both"),
        (("verify", "cups.db", "--app", "verified_cups"), "give both"),
        (("verify", "cups.db", "--history", "--app", "nowhere"), "app 'nowhere' is not in "),
        (("backup", "none.db", "copy.db"), "none.db"),
        (("backup", "cups.db", "cups.db"), "is there already"),
        (("backup", "cups.db", "no/such/folder.db"), "no/such/folder.db"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    folder: Path, arguments: tuple[str, ...], problem: str
) -> None:
    names = set(files(folder))

    result = ask(*arguments)

    assert result.exit_code == 2
    assert problem in result.stderr
    assert (result.stdout, result.stderr.count("\n")) == ("", 1)
    assert set(files(folder)) == names


@pytest.mark.usefixtures("folder")
def test_a_backup_is_a_store_of_that_moment_made_while_others_write() -> None:
    cups = sys.modules["verified_cups"]
    with Workspace(store="cups.db") as workspace:
        workspace.add_callable(cups.app.callable("fill"))
        workspace.execute("fill", cup=workspace.ref("cup"), drops=4)

        result = ask("backup", "cups.db", "copy.db")
        workspace.execute("fill", cup=workspace.ref("cup"), drops=5)

    assert result.exit_code == 0, result.output
    assert result.stdout == "copy.db: 1 root, 1 branch, 5 versions\n"
    assert ask("verify", "copy.db", *HISTORY).exit_code == 0
    with Workspace(store="copy.db", read_only=True) as copy:
        assert copy.snapshot("cup").drops == 10


@pytest.mark.usefixtures("folder")
def test_a_server_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = MemoryJournal("postgresql://somewhere/cups")
    monkeypatch.setattr(store_commands, "open_journal", lambda *_, **__: journal)

    result = ask("backup", "postgresql://me:secret@somewhere/cups", "copy.db")

    assert result.exit_code == 2
    assert "postgresql://somewhere/cups is no file" in result.stderr
    assert "secret" not in result.stderr


@pytest.mark.usefixtures("folder")
def test_compact_lets_go_of_old_records_and_says_so() -> None:
    result = ask("compact", "cups.db", "--versions", "1", "--records", "1")

    assert result.exit_code == 0
    assert result.stdout.strip() == (
        "cups.db: let go of 0 parts of 0 branches, and of the records of 3 rows"
    )
    assert ask("verify", "cups.db", *HISTORY).exit_code == 0


def test_nothing_is_made_where_there_is_no_store(tmp_path: Path) -> None:
    result = ask("compact", str(tmp_path / "none.db"))

    assert result.exit_code == 2
    assert not list(tmp_path.iterdir())


# --- export, import ------------------------------------------------------------------------------


@pytest.mark.usefixtures("folder")
def test_a_store_comes_from_a_file_of_lines_as_it_was() -> None:
    written = ask("export", "cups.db", "cups.jsonl")
    made = ask("import", "cups.jsonl", "again.db")

    assert (written.exit_code, made.exit_code) == (0, 0), written.output + made.output
    assert written.stdout == "cups.jsonl: 1 root, 1 branch, 4 versions\n"
    assert made.stdout == "again.db: 1 root, 1 branch, 4 versions\n"
    assert ask("export", "again.db").stdout_bytes == Path("cups.jsonl").read_bytes()
    assert ask("verify", "again.db", *HISTORY).exit_code == 0
    with Workspace(store="again.db", read_only=True) as again:
        assert again.snapshot("cup").drops == 6


def test_export_leaves_a_store_as_it_was(folder: Path) -> None:
    before = files(folder)

    lines = ask("export", "cups.db")
    same = ask("export", "cups.db", "-")

    assert lines.exit_code == 0
    assert [json.loads(line) for line in lines.stdout.splitlines()][-1]["end"] == 8
    assert lines.stdout_bytes == same.stdout_bytes
    assert files(folder) == before


@pytest.mark.usefixtures("folder")
def test_neither_export_nor_import_needs_a_class_of_the_user() -> None:
    cups = sys.modules["verified_cups"]
    sys.modules["verified_cups"] = None  # type: ignore[assignment]
    try:
        assert ask("export", "cups.db", "cups.jsonl").exit_code == 0
        assert ask("import", "cups.jsonl", "again.db").exit_code == 0
    finally:
        sys.modules["verified_cups"] = cups


@pytest.mark.usefixtures("folder")
def test_a_store_is_exported_while_others_write() -> None:
    cups = sys.modules["verified_cups"]
    with Workspace(store="cups.db") as workspace:
        workspace.add_callable(cups.app.callable("fill"))
        workspace.execute("fill", cup=workspace.ref("cup"), drops=4)

        written = ask("export", "cups.db", "cups.jsonl")
        workspace.execute("fill", cup=workspace.ref("cup"), drops=5)

    assert written.exit_code == 0, written.output
    assert ask("import", "cups.jsonl", "again.db").stdout == (
        "again.db: 1 root, 1 branch, 5 versions\n"
    )


@pytest.mark.usefixtures("folder")
def test_a_store_is_made_of_standard_input() -> None:
    lines = ask("export", "cups.db").stdout_bytes

    result = CliRunner().invoke(main, ["import", "-", "again.db"], input=lines)

    assert result.exit_code == 0, result.output
    assert ask("export", "again.db").stdout_bytes == lines


@pytest.mark.usefixtures("folder")
def test_an_empty_store_is_filled_and_kept_if_it_is_not() -> None:
    Workspace(store="empty.db").close()
    lines = ask("export", "cups.db").stdout_bytes

    cut = CliRunner().invoke(main, ["import", "-", "empty.db"], input=lines[:-1])
    whole = CliRunner().invoke(main, ["import", "-", "empty.db"], input=lines)

    assert (cut.exit_code, whole.exit_code) == (2, 0)
    assert ask("export", "empty.db").stdout_bytes == lines


@pytest.mark.parametrize("count", [*range(8), -1])
def test_a_file_that_is_cut_leaves_nothing(folder: Path, count: int) -> None:
    lines = ask("export", "cups.db").stdout_bytes.splitlines(keepends=True)
    Path("cut.jsonl").write_bytes(b"".join(lines[:count]) if count >= 0 else b"".join(lines)[:-2])
    before = files(folder)

    result = ask("import", "cut.jsonl", "again.db")

    assert result.exit_code == 2
    assert f"cut.jsonl, line {count + 1 if count >= 0 else len(lines)} " in result.stderr
    assert (result.stdout, result.stderr.count("\n")) == ("", 1)
    assert files(folder) == before


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("export", "none.db"), "none.db"),
        (("export", "none.db", "none.jsonl"), "none.db"),
        (("export", "verified_cups.py"), "verified_cups.py"),
        (("export", "cups.db", "cups.db"), "cups.db is there already"),
        (("export", "cups.db", "no/such/folder.jsonl"), "no/such/folder.jsonl: No such file"),
        (("import", "verified_cups.py", "new.db"), "verified_cups.py, line 1 is no beginning"),
        (("import", "none.jsonl", "new.db"), "none.jsonl"),
        (("import", "cups.jsonl", "cups.db"), "cups.db has 4 rows already"),
        (("import", "cups.jsonl", "no/such/folder.db"), "no/such/folder.db"),
        (("import", "cups.jsonl", "lost.db"), "lost.db has a head file already"),
        (("import", "cups.jsonl", "verified_cups.py"), "verified_cups.py"),
    ],
)
def test_what_cannot_be_exported_or_imported_is_one_line(
    folder: Path, arguments: tuple[str, ...], problem: str
) -> None:
    assert ask("export", "cups.db", "cups.jsonl").exit_code == 0
    Path("lost.db-head").write_bytes(b"")
    before = files(folder)

    result = ask(*arguments)

    assert result.exit_code == 2
    assert problem in result.stderr
    assert (result.stdout, result.stderr.count("\n")) == ("", 1)
    assert files(folder) == before


@pytest.mark.usefixtures("folder")
def test_a_store_that_is_damaged_is_not_exported(folder: Path) -> None:
    damage("UPDATE logs SET data = x'00' WHERE row = 3")
    names = set(files(folder))

    result = ask("export", "cups.db", "cups.jsonl")

    assert result.exit_code == 2
    assert "row 3, records" in result.stderr
    assert set(files(folder)) == names


@pytest.mark.usefixtures("folder")
def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    written = ask("export", "cups.db", "cups.jsonl")
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    lines = ask("export", "cups.db").stdout_bytes
    monkeypatch.setattr(os, "fsync", full)
    made = CliRunner().invoke(main, ["import", "-", "again.db"], input=lines)

    assert written.stderr == "treerunner: cups.jsonl: No space left on device\n"
    assert "again.db failed: [Errno 28] No space left on device" in made.stderr
    assert set(files(folder)) == {"cups.db", "cups.db-head", "verified_cups.py"}


def test_a_store_goes_to_a_server_and_back(folder: Path, request: pytest.FixtureRequest) -> None:
    server: OwnServer = request.getfixturevalue("postgres_server")
    dsn = server.dsn(server.empty_database())
    assert ask("export", "cups.db", "cups.jsonl").exit_code == 0

    there = ask("import", "cups.jsonl", dsn)
    back = ask("export", dsn, "back.jsonl")
    again = ask("import", "cups.jsonl", dsn)

    assert (there.exit_code, back.exit_code, again.exit_code) == (0, 0, 2), there.output
    assert there.stdout.endswith(": 1 root, 1 branch, 4 versions\n")
    assert "secret" not in there.output + back.output + again.output
    assert "has 4 rows already" in again.stderr
    assert files(folder)["back.jsonl"] == files(folder)["cups.jsonl"]
    assert ask("verify", dsn, *HISTORY).exit_code == 0
