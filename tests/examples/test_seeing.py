"""What docs/seeing.md shows of the terminal and of charts is what the example gives.

But for ids, which are drawn at random, and times: ids are numbered in the order in which they come,
in the page and in what is given, and must be the same in the same places.
"""

from __future__ import annotations

import re
from types import ModuleType

import pytest
from click.testing import CliRunner

from runner.cli import main
from tests.examples.test_readme import TOP, module, run

__all__ = ["module"]  # a fixture

PAGE = TOP / "docs" / "seeing.md"
CONSOLE_BLOCK = re.compile(r"^```console\n\$ treerunner (.*)\n([^`]*)^```$", re.MULTILINE)
MERMAID_BLOCK = re.compile(r"^```mermaid\n([^`]*)^```$", re.MULTILINE)
EXECUTION = re.compile(r"\b[0-9a-f]{20,}\b")
TIME = re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?")
LINEAGE = re.compile(r"\b[0-9a-f]{8}\b(-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-(?=[0-9a-f]{12}\b))?")


def without_chance(text: str) -> list[str]:
    """Return the lines of a text with ids by number and without times, columns closed up."""
    text = TIME.sub("<time>", EXECUTION.sub("<execution>", text))
    numbers: dict[str, str] = {}

    def number(found: re.Match[str]) -> str:
        return numbers.setdefault(found[0][:8], f"<id {len(numbers)}>")

    text = LINEAGE.sub(number, text)
    return [re.sub(r" +", " ", line).strip() for line in text.splitlines()]


def console_blocks() -> list[tuple[str, str]]:
    return CONSOLE_BLOCK.findall(PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("command", "shown"), console_blocks(), ids=[command for command, _ in console_blocks()]
)
def test_the_terminal_gives_what_the_page_shows(command: str, shown: str) -> None:
    result = CliRunner().invoke(main, command.split())

    assert result.exit_code == 0
    assert without_chance(result.stdout) == without_chance(shown)


def test_every_command_that_looks_at_a_history_is_shown() -> None:
    commands = {command.split()[0] for command, _ in console_blocks()}

    assert commands == {"show", "history", "why", "diff"}


def test_the_charts_are_what_the_code_gives(module: ModuleType) -> None:
    run(PAGE, module)
    given = [vars(module)[name] for name in ("tree_chart", "diff_chart")]

    charts = MERMAID_BLOCK.findall(PAGE.read_text(encoding="utf-8"))

    assert list(map(without_chance, charts)) == list(map(without_chance, given))


def test_ids_are_compared_by_where_they_come_again() -> None:
    assert without_chance("a 0123abcd b 0123abcd") == ["a <id 0> b <id 0>"]
    assert without_chance("a 0123abcd b 0123abce") == ["a <id 0> b <id 1>"]
    uuid = "@0123abcd-0000-8000-8000-000000000002.x"
    assert without_chance(uuid) == ["@<id 0>000000000002.x"]
