"""What docs/stores.md shows of the terminal happens, from the first command to the last.

But for numbers that depend on when the run is killed, and on how fast it is.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from registry import TreerunnerError
from registry.journal.store import open_journal
from tests.examples.test_readme import TOP
from tests.examples.test_seeing import without_chance

BLOCK = re.compile(r"^```console\n\$ (.*)\n([^`]*)^```$", re.MULTILINE)
BLOCKS = BLOCK.findall((TOP / "docs" / "stores.md").read_text(encoding="utf-8"))
KILLED = re.compile(r" & sleep .*; kill -9 \$!$")
PROGRAMS = {
    "treerunner": [sys.executable, "-c", "from runner.cli import main; main()"],
    "python": [sys.executable],
}
WAIT_S = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the commands run in, one after the other."""
    return tmp_path_factory.mktemp("stores")


@pytest.fixture(autouse=True)
def _in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(TOP))


def started(command: str) -> subprocess.Popen[str]:
    program, *arguments = command.split()
    pipe = subprocess.PIPE
    return subprocess.Popen([*PROGRAMS[program], *arguments], stdout=pipe, stderr=pipe, text=True)


def write_jobs(command: str) -> None:
    """Do what the first command does; a pipe and a file are the shell's."""
    source, head, file = re.split(r" [|>] ", command)
    with started(source) as process:
        assert process.stdout is not None
        lines = [next(process.stdout) for _ in range(int(head.removeprefix("head -")))]
        process.kill()
    Path(file).write_text("".join(lines))


def kill_in_the_middle(command: str) -> None:
    """Run a command and kill it when it has stored some of its work."""
    store = command.split()[command.split().index("--store") + 1]
    with started(command) as process:
        deadline = time.monotonic() + WAIT_S
        while versions_in(store) < 2_000:
            assert process.poll() is None, "it ended before it was killed"
            assert time.monotonic() < deadline
        process.kill()


def versions_in(store: str) -> int:
    with contextlib.suppress(TreerunnerError):  # it is about to be made
        journal = open_journal(store, read_only=True)
        try:
            return sum(each.head for each in journal.catalog())
        finally:
            journal.close()
    return 0


def shown_by(command: str) -> str:
    with started(command) as process:
        out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode in (0, 1), err
    # Progress comes when time has passed.
    return out or re.sub(r"(?m)^(starting|[\d,]+ of [\d,]+  ).*\n", "", err).lstrip("\n")


def as_shown(text: str, command: str) -> list[str]:
    """Return the lines of a text without what chance decides."""
    if "--resume" in command:
        text = re.sub(r"(?m)^[\d,]+ (of these were)", r"some \1", text)
        text = re.sub(r"(?m)^((\S+ +){4})[\d,]+$", r"\1", text)  # the rate of a root
        text = re.sub(r"(?m)^(total( +\S+){2} +)[\d,]+$", r"\1", text)
        return [" ".join(line.split()) for line in text.splitlines()]
    lines = without_chance(text)
    if not command.endswith(("examples.flights", "monday.db")) and "verify" in command:
        return [re.sub(r"[\d,]+ versions", "some versions", line) for line in lines]
    return lines


@pytest.mark.parametrize(("command", "shown"), BLOCKS, ids=[command[:40] for command, _ in BLOCKS])
def test_the_terminal_gives_what_the_page_shows(command: str, shown: str) -> None:
    if "|" in command:
        write_jobs(command)
    elif KILLED.search(command):
        kill_in_the_middle(KILLED.sub("", command))
        assert Path("flights.db-wal").exists()
    else:
        found = shown_by(command)
        assert as_shown(found, command) == as_shown(shown, command)


def test_every_command_about_a_store_is_shown() -> None:
    commands = {command.split()[1] for command, _ in BLOCKS if command.startswith("treerunner")}

    assert commands == {"run", "verify", "backup", "export", "import", "show", "diff"}
