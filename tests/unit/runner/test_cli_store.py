"""`treerunner run --store`: killed anywhere and run again, it is as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from registry import Workspace
from registry.journal.sqlite import SqliteJournal
from runner.cli import main

APP = '''
"""Two counters; the process ends where the environment says so."""

import os
import signal

from registry import Entity, Workspace

app = Workspace()


class Counter(Entity):
    total: int = 0
    log: list[int] = []


@app.register("add")
def add(counter: Counter, amount: int) -> int:
    if amount < 0:
        raise ValueError("amounts only grow")
    counter.total += amount
    counter.log.append(amount)
    if counter.total == int(os.environ.get("KILL_AT", 0)):
        os.kill(os.getpid(), signal.SIGKILL)
    return counter.total


@app.register("bear")
def bear(amount: int) -> Counter:
    return Counter(total=amount)


def roots():
    return {"left": Counter(), "right": Counter()}
'''

JOBS = 300
COMMAND = "import sys; from runner.cli import main; main(sys.argv[1:])"

Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the current folder, with the app and jobs in it."""
    (tmp_path / "stored_counters.py").write_text(APP)
    lines = [
        {"callable": "bear", "arguments": {"amount": number}}
        if number % 50 == 7
        else {
            "callable": "add",
            "root": ("left", "right")[number % 2],
            "arguments": {"amount": -1 if number % 40 == 3 else 1},
        }
        for number in range(JOBS)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "jobs.jsonl").write_text(text + "oops\n")
    monkeypatch.chdir(tmp_path)
    path, modules = list(sys.path), set(sys.modules)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def run(store: str, *options: str, jobs: str = "jobs.jsonl") -> Result:
    command = ["run", jobs, "--app", "stored_counters", "--in-process", "--store", store]
    return CliRunner().invoke(main, [*command, "--out", "-", *options])


def run_killed(store: str, at: int) -> None:
    """Run the same in a process that ends by SIGKILL where a counter would come to *at*."""
    options = ["run", "jobs.jsonl", "--app", "stored_counters", "--in-process", "--store", store]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *options, "--quiet", "--durability", "commit"],
        env=os.environ | {"KILL_AT": str(at)},
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL


def outcomes(result: Result) -> list[dict[str, Any]]:
    """Return the outcomes, without what is drawn at random: the ids of entities."""
    found = [json.loads(line) for line in result.stdout.splitlines()]
    for each in found:
        if each["line"] % 50 == 8:  # a birth
            each["root"] = each["value"] = each["outputs"] = None
    return found


def state(store: str) -> list[Any]:
    """Return all versions of all trees of a store, without their ids."""
    with Workspace(store=store) as workspace:
        return sorted(
            (
                workspace.name_of(ref) or "",
                [
                    (row.callable, (each := workspace.snapshot(ref, row.version)).total, each.log)
                    for row in workspace.history(ref)
                ],
            )
            for ref in workspace.roots()
        )


def ids_in(store: str) -> list[str]:
    """Return the executions of which the store has a record."""
    with Workspace(store=store) as workspace:
        return [each.execution_id for each in workspace.executions()]


@pytest.mark.parametrize("at", [1, 2, 70, 141])
def test_a_run_that_was_killed_ends_as_a_clean_one_when_it_is_run_again(
    folder: Path, at: int
) -> None:
    clean = run("clean.db")
    run_killed("killed.db", at)

    again = run("killed.db")

    assert (again.exit_code, outcomes(again)) == (1, outcomes(clean))
    assert state("killed.db") == state("clean.db")
    ids = ids_in("killed.db")
    assert len(ids) == len(set(ids)) == JOBS
    assert list(SqliteJournal("killed.db").check()) == []


def test_what_is_done_is_answered_from_the_store_and_never_run_again(folder: Path) -> None:
    first = run("store.db")
    before = state("store.db")

    second = run("store.db")

    assert outcomes(second) == outcomes(first)
    assert state("store.db") == before


@pytest.mark.parametrize("at", [1, 70])
def test_resume_sends_only_what_was_not_done_and_tells_the_rest(folder: Path, at: int) -> None:
    clean = run("clean.db")
    run_killed("killed.db", at)
    done = len(ids_in("killed.db"))

    again = run("killed.db", "--resume")

    assert outcomes(again) == outcomes(clean)
    assert state("killed.db") == state("clean.db")
    assert (f"{done:,} of these were done before" in again.stderr) is bool(done)


def test_resume_after_the_end_sends_nothing(folder: Path) -> None:
    first = run("store.db")

    again = run("store.db", "--resume")

    assert outcomes(again) == outcomes(first)
    assert f"{JOBS:,} of these were done before" in again.stderr
    assert len(ids_in("store.db")) == JOBS


def test_resume_knows_jobs_that_were_run_as_often_as_they_may(folder: Path) -> None:
    fewer = run("store.db", "--retries", "2")
    again = run("store.db", "--resume", "--retries", "2")
    more = run("store.db", "--resume", "--retries", "3")

    failed = [each for each in outcomes(fewer) if each["status"] == "failed" and "id" in each]
    assert outcomes(again) == outcomes(fewer)
    assert {each["attempts"] for each in failed} == {2}
    assert f"{JOBS:,} of these were done before" in again.stderr
    assert f"{JOBS - len(failed):,} of these were done before" in more.stderr
    told = [each for each in outcomes(more) if each["status"] == "failed" and "id" in each]
    assert [(each["id"], each["attempts"]) for each in told] == [(each["id"], 3) for each in failed]


def test_the_roots_of_the_app_are_added_once(folder: Path) -> None:
    (folder / "empty.jsonl").write_text("")
    with Workspace(store="store.db"):
        pass

    for _ in range(2):
        assert run("store.db", jobs="empty.jsonl").exit_code == 0

    with Workspace(store="store.db") as workspace:
        assert [workspace.name_of(ref) for ref in workspace.roots()] == ["left", "right"]


def test_an_id_is_made_of_the_content_of_the_file_and_the_line(folder: Path) -> None:
    (folder / "copy.jsonl").write_bytes((folder / "jobs.jsonl").read_bytes())
    first = run("store.db")

    copied = run("store.db", jobs="copy.jsonl")
    with (folder / "copy.jsonl").open("a") as file:
        file.write("\n")
    changed = run("store.db", jobs="copy.jsonl")

    digest, line = outcomes(first)[0]["id"].split(":")
    assert (len(digest), line) == (12, "1")
    assert outcomes(copied) == outcomes(first)
    assert outcomes(changed)[0]["version"] > outcomes(first)[0]["version"]


@pytest.mark.parametrize("options", [("--resume",), ("--durability", "none")])
@pytest.mark.usefixtures("folder")
def test_options_of_a_store_need_one(options: tuple[str, ...]) -> None:
    command = ["run", "jobs.jsonl", "--app", "stored_counters", "--in-process", *options]

    result = CliRunner().invoke(main, command)

    assert result.exit_code == 2
    assert "give --store as well" in result.stderr


@pytest.mark.usefixtures("folder")
def test_a_store_that_is_none_is_one_line(folder: Path) -> None:
    (folder / "text.db").write_text("This is no database.\n" * 300)

    result = run("text.db")

    assert result.exit_code == 2
    assert "text.db" in result.stderr
    assert result.stderr.count("\n") <= 2, result.stderr


def dependent(number: int) -> dict[str, Any]:
    """Return a job that depends on an earlier one, or on two; some fail, so others are skipped."""
    line: dict[str, Any] = {
        "id": f"j{number}",
        "callable": "add",
        "root": ("left", "right")[number % 2],
        # Until 1,500 nothing depends on what fails: all of these are known when it goes on.
        "arguments": {"amount": -1 if number % 90 == 3 and number % 11 != 10 else 1},
    }
    if number % 5 == 0 and number > 1_500:
        line["depends_on"] = [f"j{number - 1_500}", f"j{number - 7}"]
    elif number % 11 == 0 and number:
        line["depends_on"] = f"j{number - 1}"
    if number % 700 == 699:
        line["arguments"] = {"amount": {"$result": f"j{number - 690}"}}
    return line


@pytest.mark.parametrize("options", [(), ("--resume",)], ids=["again", "resumed"])
def test_jobs_may_depend_on_those_that_ran_before_the_end_of_the_process(
    folder: Path, options: tuple[str, ...]
) -> None:
    """Also on many: those that are known come a thousand at a time, and each time it goes on."""
    lines = [json.dumps(dependent(number)) + "\n" for number in range(3_000)]
    (folder / "jobs.jsonl").write_text("".join(lines))
    clean = run("clean.db")
    run_killed("killed.db", at=1_200)

    again = run("killed.db", *options)

    found = outcomes(clean)
    assert [each["line"] for each in found] == list(range(1, 3_001))
    assert {each["status"] for each in found} == {"ok", "failed", "skipped"}
    assert found[699]["value"] > found[9]["value"] > 1
    assert outcomes(again) == found
    assert again.exit_code == clean.exit_code == 1
