"""`treerunner run`: every job has its outcome, and whatever is wrong is said in one line."""

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
from click import BadParameter
from click.testing import CliRunner, Result

from runner.cli import Bytes, main

APP = '''
"""Two counters."""

from registry import Entity, Workspace

app = Workspace()


class Counter(Entity):
    total: int = 0


@app.register("add")
def add(counter: Counter, amount: int) -> int:
    if amount < 0:
        raise ValueError("amounts only grow")
    counter.total += amount
    return counter.total


@app.register("nap")
def nap(counter: Counter) -> None:
    import time
    time.sleep(0.05)
    counter.total += 1


def roots():
    return {"left": Counter(), "right": Counter()}
'''

Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the current folder, with the app in it; forget afterwards what was imported there."""
    (tmp_path / "counters.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    path, modules = list(sys.path), set(sys.modules)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def run(folder: Path) -> Run:
    def run(*lines: str | bytes, app: str = "counters", options: tuple[str, ...] = ()) -> Result:
        data = [line.encode() if isinstance(line, str) else line for line in lines]
        (folder / "jobs.jsonl").write_bytes(b"".join(line + b"\n" for line in data))
        command = ["run", "jobs.jsonl", "--app", app, "--in-process", *options]
        return CliRunner().invoke(main, command)

    return run


def job(root: str | None = "left", callable_name: str = "add", **arguments: Any) -> str:
    return json.dumps({"callable": callable_name, "root": root, "arguments": arguments})


def written(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


TO_STDOUT = ("--out", "-", "--quiet")


def test_all_ok_exits_with_0(run: Run) -> None:
    result = run(job(amount=1), job("right", amount=2), job(amount=3), options=TO_STDOUT)

    assert result.exit_code == 0
    assert result.stderr == ""
    assert [(o["line"], o["root"], o["version"], o["value"]) for o in written(result)] == [
        (1, "left", 2, 1),
        (2, "right", 2, 2),
        (3, "left", 3, 4),
    ]


def test_an_empty_file_is_no_failure(run: Run) -> None:
    result = run(options=TO_STDOUT)

    assert (result.exit_code, result.stdout) == (0, "")


def test_whatever_is_wrong_with_a_line_costs_only_that_line(run: Run) -> None:
    result = run(
        job(amount=1),
        "oops",
        job(amount=-1),
        job(amount="many"),
        job(amount=1, more=2),
        "",
        job(),
        job("middle", amount=1),
        job(callable_name="remove"),
        b"\xff",
        job(amount=5),
        options=TO_STDOUT,
    )

    outcomes = written(result)
    assert result.exit_code == 1
    assert [o["line"] for o in outcomes] == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]
    assert [o["line"] for o in outcomes if o["status"] == "ok"] == [1, 11]
    assert outcomes[-1]["value"] == 6
    texts = {o["line"]: o["error"]["message"] for o in outcomes if "error" in o}
    assert texts[2] == "not JSON: expecting value at column 1"
    assert texts[3] == "amounts only grow"
    for line, word in (
        (4, "'amount'"),
        (5, "'more'"),
        (7, "'amount'"),
        (8, "middle"),
        (9, "remove"),
    ):
        assert word in texts[line]
    assert texts[10] == "not UTF-8 at byte 1"
    assert not any("\n" in text for text in texts.values())


def test_people_see_the_first_failure_of_each_kind_with_its_line(run: Run) -> None:
    result = run(job(amount=1), "oops", job(amount=-1), job(amount=-2))

    assert result.exit_code == 1
    assert result.stdout == ""
    shown = " ".join(result.stderr.split())
    assert "2 ValueError line 3: amounts only grow" in shown
    assert "1 JobLineError line 2: not JSON: expecting value at column 1" in shown
    assert "left 1 2 2" in shown


def test_failed_jobs_are_run_again_as_often_as_asked(run: Run) -> None:
    own = json.dumps({"callable": "add", "root": "left", "arguments": {"amount": -1}, "retries": 1})

    result = run(job(amount=-1), own, options=(*TO_STDOUT, "--retries", "2"))

    assert result.exit_code == 1
    first, second = written(result)
    assert (first["status"], first["attempts"]) == ("failed", 2)
    assert (second["status"], "attempts" in second) == ("failed", False)


@pytest.mark.parametrize(
    ("text", "size"), [("1000", 1000), ("500M", 500 * 2**20), ("2GiB", 2**31), ("3kb", 3072)]
)
def test_sizes_are_bytes_or_have_a_unit(text: str, size: int) -> None:
    assert Bytes().convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5G", "much", "M"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(BadParameter, match="is not a size such as 1000000, 500M or 2G"):
        Bytes().convert(text, None, None)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--timeout-s", "3"), "limits of hosts: leave --in-process out"),
        (("--memory", "1G"), "limits of hosts: leave --in-process out"),
    ],
)
def test_limits_take_hosts(run: Run, options: tuple[str, ...], problem: str) -> None:
    result = run(job(amount=1), options=options)

    assert result.exit_code == 2
    assert problem in result.stderr


def test_a_limit_of_time_takes_a_store(folder: Path) -> None:
    (folder / "jobs.jsonl").write_bytes(b"")
    command = ["run", "jobs.jsonl", "--app", "counters", "--timeout-s", "3"]

    result = CliRunner().invoke(main, command)

    assert (result.exit_code, "give --store as well" in result.stderr) == (2, True)


def test_quiet_shows_nothing(run: Run) -> None:
    result = run(job(amount=-1), options=("--quiet",))

    assert (result.exit_code, result.output) == (1, "")


def test_outcomes_go_to_a_file(run: Run, folder: Path) -> None:
    result = run(job(amount=1), options=("--out", "outcomes.jsonl"))

    assert result.exit_code == 0
    assert json.loads((folder / "outcomes.jsonl").read_text())["value"] == 1


def test_jobs_come_from_standard_input(folder: Path) -> None:
    command = ["run", "-", "--app", "counters", "--in-process", *TO_STDOUT]

    result = CliRunner().invoke(main, command, input=job(amount=4) + "\n")

    assert written(result)[0]["value"] == 4


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (None, "is not in "),
        (
            "import missing_module",
            "failed with ModuleNotFoundError: No module named 'missing_module'",
        ),
        ("def f(:", "has a syntax error: "),
        ("x = 1 / 0", "failed with ZeroDivisionError: division by zero ("),
        ("x = 1", "lacks 'app', a Workspace with the callables of its jobs"),
        ("from registry import Workspace\napp = Workspace()\nroots = 3", "has a int as 'roots'"),
        (
            "from registry import Workspace\napp = Workspace()\ndef roots(): return 3",
            "has 'roots' that does not return a dict of name to entity",
        ),
        (
            "from registry import Workspace\napp = Workspace()\ndef roots(): raise OSError('x')",
            "failed with OSError: x (",
        ),
    ],
)
def test_a_wrong_app_is_one_line(run: Run, folder: Path, source: str | None, problem: str) -> None:
    if source is not None:
        (folder / "wrong.py").write_text(source)

    result = run(job(amount=1), app="wrong")

    assert result.exit_code == 2
    assert result.stderr.startswith(f"treerunner: app 'wrong' {problem}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (["run", "none.jsonl", "--app", "counters"], "'none.jsonl': No such file or directory"),
        (["run", ".", "--app", "counters"], "directory"),
        (["run", "-"], "Missing option '--app'"),
        (["run", "--app", "counters"], "Missing argument 'JOBS'"),
        (["run", "-", "--app", "counters", "--hosts", "0"], "'--hosts'"),
        (["run", "-", "--app", "counters", "--hosts", "2", "--in-process"], "leave --hosts"),
        (["run", "-", "--app", "counters", "--bogus"], "No such option"),
        (
            ["run", "-", "--app", "counters", "--in-process", "--out", "no/such/file"],
            "No such file",
        ),
        (["run", "-", "--app", "counters", "--in-process", "--out", "."], "is a directory"),
        (["walk"], "No such command 'walk'"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_wrong_call_is_one_line(command: list[str], line: str) -> None:
    result = CliRunner().invoke(main, command, input="")

    assert result.exit_code == 2
    assert line in result.stderr
    assert result.stderr.startswith("treerunner")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [[], ["run"], ["verify"], ["backup"], ["show"], ["bench"]])
def test_help_reads_well(command: list[str]) -> None:
    result = CliRunner().invoke(main, [*command, "--help"])

    assert result.exit_code == 0
    assert "Usage: treerunner" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_help_waits_for_neither_ray_nor_matplotlib() -> None:
    script = (
        "import sys; from click.testing import CliRunner; from runner.cli import main;"
        "CliRunner().invoke(main, ['--help']);"
        "assert not {'ray', 'matplotlib'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_ctrl_c_shows_what_is_done_so_far(folder: Path) -> None:
    (folder / "jobs.jsonl").write_text((job(callable_name="nap") + "\n") * 1_000)
    command = "import sys; from runner.cli import main; main(sys.argv[1:])"
    arguments = ["run", "jobs.jsonl", "--app", "counters", "--in-process", "--out", "-"]
    with subprocess.Popen(
        [sys.executable, "-c", command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, shown = process.communicate(timeout=10)

    outcomes = [json.loads(line) for line in (first + rest).splitlines()]
    assert process.returncode == 130
    assert 1 <= sum(outcome["status"] == "ok" for outcome in outcomes) < 1_000
    assert "total" in shown
    assert "Traceback" not in shown
