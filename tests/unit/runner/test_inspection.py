"""`treerunner show`, `history`, `why`, `diff`: what they print, and what they refuse."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from examples import gridmap
from registry import AddressError, Entity, NotFoundError, Workspace
from runner.app_module import load_demo
from runner.cli import main
from runner.errors import AppModuleError
from runner.inspection import address_of

Ask = Callable[..., Result]


@pytest.fixture
def ask() -> Ask:
    def ask(*arguments: str, app: str = "examples.gridmap") -> Result:
        return CliRunner().invoke(main, [*arguments, "--app", app])

    return ask


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder; what was imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    yield tmp_path
    sys.path[:] = path
    for name in [each for each in sys.modules if each.startswith("shown_")]:
        del sys.modules[name]


def lines(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def test_show_draws_an_entity_and_what_is_below_it(ask: Ask) -> None:
    shown = lines(ask("show", "grid.nodes.1", "--at", "2"))

    assert re.fullmatch(r"Node @[-\w]+", shown[0])
    assert [re.sub(r"@[-\w]+", "@", line) for line in shown[1:]] == [
        "├── position = (0, 1)",
        *("├── agents.0: Agent @", "│ ├── name = 'agent-1-0'", "│ └── speed = 1"),
        *("├── agents.1: Agent @", "│ ├── name = 'agent-1-1'", "│ └── speed = 1"),
        *("└── agents.2: Agent @", "├── name = 'agent-0-1'", "└── speed = 1"),
    ]


def test_show_is_bounded_and_shows_values_too(ask: Ask) -> None:
    assert lines(ask("show", "grid", "--limit", "2"))[-2:] == [
        "├── nodes.1: ...",
        "└── nodes.2: ...",
    ]
    assert lines(ask("show", "grid.nodes.0.position")) == ["grid.nodes.0.position = (0, 0)"]
    now = lines(ask("show", "grid.nodes.1.agents", "--at", "2999-01-01"))
    assert now[0].startswith("grid.nodes.1.agents = [Agent(")


def test_history_has_a_row_for_each_version(ask: Ask) -> None:
    whole = lines(ask("history", "grid"))
    value = lines(ask("history", "grid.nodes.1.agents.2.speed"))

    assert [line.split()[0] for line in whole] == ["version", "1", "2", "3", "4"]
    assert [line.split()[0] for line in value] == ["version", "2", "3", "4"]
    assert [line.split()[3] for line in value[1:]] == [
        "move_agent_global",
        "set_speed",
        "move_agent_global",
    ]
    assert value[2].endswith(" 7")
    assert value[3].endswith(" not there")


def test_why_names_executions_and_their_arguments(ask: Ask) -> None:
    shown = lines(ask("why", "grid.nodes.2.agents.2.speed"))

    assert re.fullmatch(r"├── version 3: 1 -> 7 by set_speed, .* \(execution \w+\)", shown[1])
    assert "│ ├── node_index = 1" in shown
    assert re.fullmatch(r"└── version 1: 1 as adopted, .*", shown[-1])


def test_diff_lists_moves_and_fields(ask: Ask) -> None:
    shown = lines(ask("diff", "grid", "1", "4"))

    assert shown[0] == "entity field version 1 version 4"
    assert [line.split()[0] for line in shown[1:]] == ["moved", "changed", "changed", "changed"]
    assert [line for line in shown if re.fullmatch(r"changed @[-\w]+ speed 1 7", line)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "nobody"), "root 'nobody' is not in this workspace"),
        (("show", "grid", "--at", "9"), "version 9 is not in"),
        (("show", "grid", "--at", "soon"), "neither a version nor a time"),
        (("history", "@x"), "is not an address"),
        (("history", "grid.nothing"), "field 'nothing' is not in"),
        (("why", "grid..x"), "is not an address"),
        (("diff", "grid", "1", "9"), "version 9 is not in"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
def test_what_cannot_be_shown_is_said_in_one_line(
    ask: Ask, arguments: tuple[str, ...], said: str
) -> None:
    result = ask(*arguments)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_name_with_dots_is_a_name_and_the_longest_counts() -> None:
    class Thing(Entity):
        value: int = 0

    workspace = Workspace()
    short, long = workspace.add(Thing(), name="a"), workspace.add(Thing(), name="a.value")

    assert address_of(workspace, "a.value") == long.address
    assert address_of(workspace, "a.value.value") == f"{long.address}.value"
    assert address_of(workspace, 'a["x"]') == f'{short.address}["x"]'
    assert address_of(workspace, short.address) == short.address
    with pytest.raises(NotFoundError):
        address_of(workspace, "b.value")
    with pytest.raises(AddressError):
        workspace.get(address_of(workspace, "a.."))


def test_without_a_demo_the_app_is_shown_with_its_roots(folder: Path, ask: Ask) -> None:
    (folder / "shown_roots.py").write_text(
        "from registry import Entity, Workspace\n"
        "class Thing(Entity):\n    note: str = '[bold]x'\n"
        "app = Workspace()\n"
        "def roots(): return {'thing': Thing()}\n"
    )

    assert lines(ask("show", "thing.note", app="shown_roots")) == ["thing.note = '[bold]x'"]
    assert len(gridmap.demo().roots()) == len(load_demo("examples.gridmap").roots()) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("demo = 1", "has a int as 'demo', expected a function"),
        ("def demo(): return 1", "has a 'demo' that does not return a Workspace"),
        ("def demo(): raise KeyError('why')", "failed with KeyError: 'why'"),
        ("app = 1", "lacks 'app'"),
    ],
)
def test_an_app_that_has_nothing_to_show_is_refused(folder: Path, text: str, said: str) -> None:
    (folder / "shown_wrong.py").write_text(text)

    with pytest.raises(AppModuleError, match=re.escape(said)):
        load_demo("shown_wrong")
