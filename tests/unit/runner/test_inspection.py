"""`treerunner show`, `history`, `why`, `diff`: what they print, and what they refuse."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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

    assert shown[0] == "entity place field version 1 version 4"
    assert [re.sub(r"\b[0-9a-f]{8}\b", "#", line) for line in shown[1:]] == [
        "moved Agent:# nodes.2.agents.2 nodes.0.agents.1 nodes.2.agents.2",
        "changed Node:# nodes.0 agents [#, #] [#]",
        "changed Agent:# nodes.2.agents.2 speed 1 7",
        "changed Node:# nodes.2 agents [#, #] [#, #, #]",
    ]


def test_diff_takes_whatever_is_in_the_tree_and_says_if_nothing_differs(ask: Ask) -> None:
    def without_ids(*arguments: str) -> list[str]:
        return [re.sub(r"\b[0-9a-f]{8}\b", "#", each) for each in lines(ask(*arguments))]

    inside = without_ids("diff", "grid.nodes.0.agents.0.name", "3", "2")

    assert inside == without_ids("diff", "grid", "3", "2")
    assert inside[1:] == ["changed Agent:# nodes.1.agents.2 speed 7 1"]
    assert lines(ask("diff", "grid", "2", "2")) == ["no difference between version 2 and version 2"]


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
        (("diff", "grid", "0", "1"), "0 is not in the range"),
        (("diff", "grid", "1"), "Missing argument 'B'"),
        (("history", "grid", "--branch", "5"), "branch 5 is not in GridMap:"),
        (("history", "grid", "--branch", str(10**20)), "(branches: 0)"),
        (("show", "grid", "--json", "--mermaid"), "leave one out"),
        (("diff", "grid", "1", "2", "--json", "--mermaid"), "leave one out"),
        (("show", "grid.nodes.0", "--mermaid"), "is no root"),
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


# --- for other programs --------------------------------------------------------------------------


def objects(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_json_tells_each_entity_with_its_place_and_its_own_fields(ask: Ask) -> None:
    told = objects(ask("show", "grid", "--at", "1", "--limit", "5", "--json"))

    assert [(each["place"], each["type"], each.get("fields")) for each in told[:5]] == [
        ("", "GridMap", {}),
        *((f"nodes.{x}", "Node", {"position": [0, x]}) for x in range(3)),
        ("nodes.0.agents.0", "Agent", {"name": "agent-0-0", "speed": 1}),
    ]
    assert [(each["place"], "fields" in each) for each in told[5:]] == [
        (f"nodes.{at}", False)
        for at in ("0.agents.1", "1.agents.0", "1.agents.1", "2.agents.0", "2.agents.1")
    ]
    value = objects(ask("show", "grid.nodes.2.position", "--json"))
    assert value == [{"place": "grid.nodes.2.position", "value": [0, 2]}]


def test_json_tells_a_history_and_reasons_in_whole(ask: Ask) -> None:
    rows = objects(ask("history", "grid.nodes.1.agents.2.speed", "--json"))
    assert [(each["version"], each["value"], each["is_there"]) for each in rows] == [
        (2, 1, True),
        (3, 7, True),
        (4, None, False),
    ]

    step, first, *others = objects(ask("why", "office.target", "--json", app="examples.why"))
    assert (step["callable"], step["old"], step["new"]) == ("set_target", 19.0, 23.0)
    assert step["arguments"] == {"target": 23.2}
    (borrowed,) = step["borrowed"]
    assert borrowed["address"].endswith(".degrees.day")
    assert borrowed["why"][0]["arguments"] == {"part": "day", "degrees": 23.2}
    assert (first["version"], len(others)) == (2, 1)


def test_json_tells_a_diff_with_both_places_of_what_moved(ask: Ask) -> None:
    moved, *changed = objects(ask("diff", "grid", "1", "4", "--json"))

    place, old_place = "nodes.2.agents.2", "nodes.0.agents.1"
    assert moved == {"kind": "moved", "id": moved["id"], "place": place, "old_place": old_place}
    assert {"id": moved["id"], "field": "speed", "old": 1, "new": 7}.items() <= changed[1].items()
    assert changed[0]["old"] == [*changed[0]["new"], moved["id"]]
    assert objects(ask("diff", "grid", "2", "2", "--json")) == []


def test_mermaid_draws_the_tree_and_the_diff(ask: Ask) -> None:
    tree = ask("show", "grid", "--mermaid").stdout
    at_first = ask("show", "grid", "--at", "1", "--mermaid", "--limit", "4").stdout
    difference = ask("diff", "grid", "1", "4", "--mermaid").stdout

    assert tree.startswith("flowchart TD\n")
    assert tree.count("Agent") == 6
    assert 'rest(["and 6 more"])' in at_first
    assert "speed = 1 → 7" in difference


ODD = """
from pydantic import ConfigDict
from registry import Entity, Workspace

class Mute:
    def __repr__(self): raise RuntimeError("mute")

class Thing(Entity):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    value: object = None
    things: dict[object, "Thing"] = {}
    set_of: set["Thing"] = set()

def demo():
    workspace = Workspace()
    odd = [Mute(), 10**5000, float("nan"), b"\\xff", "\\ud800 \\x1b[31m", {("a", 1): 1j}, print]
    for number, value in enumerate(odd):
        workspace.add(Thing(value=value), name=f"odd{number}")
    keys = ["a.b", "3", 3, ("a", 1), "\\ud800", ""]
    root = Thing(things={key: Thing() for key in keys}, set_of={Thing()})
    workspace.add(root, name="keys")
    held = workspace.snapshot(workspace.ref("odd1"))
    held.value = 10**5001
    workspace.commit_edits(held)
    deep = Thing()
    for _ in range(300):
        deep = Thing(things={"down": deep})
    workspace.add(deep, name="deep")
    return workspace
"""


def test_any_value_can_be_shown(folder: Path, ask: Ask) -> None:
    (folder / "shown_odd.py").write_text(ODD, encoding="utf-8")

    for number in range(7):
        for target in (f"odd{number}", f"odd{number}.value"):
            assert lines(ask("show", target, app="shown_odd"))
            assert objects(ask("show", target, "--json", app="shown_odd"))
    for question in (["diff", "odd1", "1", "2"], ["why", "odd1.value"], ["history", "odd1.value"]):
        assert lines(ask(*question, app="shown_odd"))
        assert objects(ask(*question, "--json", app="shown_odd"))
    for form in ([], ["--json"], ["--mermaid"]):
        assert ask("show", "deep", *form, app="shown_odd").exit_code == 0


def test_a_place_is_written_as_an_address_goes_on(folder: Path, ask: Ask) -> None:
    (folder / "shown_odd.py").write_text(ODD, encoding="utf-8")

    places = [each["place"] for each in objects(ask("show", "keys", "--json", app="shown_odd"))]

    assert places[1:] == [
        'things["a.b"]',
        'things["3"]',
        "things.3",
        "things[('a', 1)]",
        'things["\\ud800"]',
        'things[""]',
        "set_of{}",
    ]
    for place in places[1:4]:
        told = objects(ask("show", f"keys.{place}", "--json", app="shown_odd"))
        assert told[0]["type"] == "Thing"


SAFE = """
from pydantic import Field
from registry import Entity, Workspace

class Safe(Entity):
    owner: str = "ann"
    code: str = Field(default="first", repr=False)

def demo():
    workspace = Workspace()
    held = workspace.snapshot(workspace.add(Safe(), name="safe"))
    held.code = "second"
    workspace.commit_edits(held)
    return workspace
"""


def test_a_hidden_field_is_shown_only_if_it_is_asked_for_itself(folder: Path, ask: Ask) -> None:
    (folder / "shown_safe.py").write_text(SAFE, encoding="utf-8")

    for question in (["show", "safe"], ["diff", "safe", "1", "2"]):
        for form in ([], ["--json"], ["--mermaid"]):
            result = ask(*question, *form, app="shown_safe")
            assert result.exit_code == 0
            assert not re.search("first|second", result.stdout)
    shown = lines(ask("diff", "safe", "1", "2", app="shown_safe"))
    assert shown[1].endswith(" code (hidden) (hidden)")
    assert lines(ask("show", "safe.code", app="shown_safe")) == ["safe.code = 'second'"]


@pytest.mark.parametrize("command", ["show", "history", "why", "diff"])
def test_the_help_has_an_example_that_works(command: str, ask: Ask) -> None:
    text = CliRunner().invoke(main, [command, "--help"]).stdout
    examples = re.findall(r"^ *treerunner (.*) --app (\S+)$", text, re.MULTILINE)

    assert examples
    for arguments, app in examples:
        assert ask(*arguments.split(), app=app).exit_code == 0


# --- apps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("demo = 1", "has a int as 'demo', expected a function"),
        ("def demo(): return 1", "has a 'demo' that does not return a Workspace"),
        ("def demo(): raise KeyError('why')", "failed with KeyError: 'why'"),
        ("app = 1", "has nothing to show: it lacks 'demo'"),
        ("import sys; sys.exit('bye')", "failed with SystemExit: bye"),
        ("def demo(): raise SystemExit(3)", "failed with SystemExit: 3"),
        ("def demo(): 1 / 0", "failed with ZeroDivisionError: division by zero"),
        ("def demo(:", "has a syntax error"),
        ("import no_such_thing", "failed with ModuleNotFoundError"),
    ],
)
def test_an_app_that_has_nothing_to_show_is_refused(folder: Path, text: str, said: str) -> None:
    (folder / "shown_wrong.py").write_text(text)

    with pytest.raises(AppModuleError, match=re.escape(said)):
        load_demo("shown_wrong")


@pytest.mark.parametrize("name", ["", ".x", "a..b", "examples/gridmap.py", "no_such_app"])
def test_a_name_that_is_no_module_is_told_in_one_line(name: str, ask: Ask) -> None:
    result = ask("show", "grid", app=name)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"treerunner: app {name!r} is ")
    assert result.stderr.count("\n") == 1


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store with the grid of the example, and its history."""
    path = str(tmp_path / "grid.db")
    with Workspace(store=path) as workspace:
        for registered in gridmap.app.callables().values():
            workspace.add_callable(registered)
        workspace.add(gridmap.make_grid(2, 1), "grid")
        for speed in (5, 6):
            grid = workspace.ref("grid")
            workspace.execute("set_speed", gridmap=grid, node_index=0, agent_index=0, speed=speed)
    return path


def test_a_store_is_looked_at_in_place_of_the_app(ask: Ask, store: str) -> None:
    place = "grid.nodes.0.agents.0.speed"
    at = ("--store", store)

    assert lines(ask("show", place, *at)) == [f"{place} = 6"]
    assert lines(ask("show", place, "--at", "2", *at)) == [f"{place} = 5"]
    assert [line.split()[-1] for line in lines(ask("history", place, *at))[1:]] == ["1", "5", "6"]
    assert lines(ask("diff", "grid", "1", "3", *at))[1].split()[-3:] == ["speed", "1", "6"]
    assert "5 -> 6 by set_speed" in lines(ask("why", place, *at))[1]


def test_a_store_that_somebody_writes_to_is_looked_at_and_not_taken(ask: Ask, store: str) -> None:
    with Workspace(store=store) as workspace:
        for registered in gridmap.app.callables().values():
            workspace.add_callable(registered)
        grid = workspace.ref("grid")
        workspace.execute("set_speed", gridmap=grid, node_index=0, agent_index=0, speed=7)

        shown = lines(ask("show", "grid.nodes.0.agents.0.speed", "--store", store))
        workspace.execute("set_speed", gridmap=grid, node_index=0, agent_index=0, speed=8)

        assert shown == ["grid.nodes.0.agents.0.speed = 7"]
        assert workspace.head(grid) == 5


def test_a_store_needs_classes_only(folder: Path, ask: Ask, store: str) -> None:
    (folder / "shown_classes.py").write_text("from examples.gridmap import Agent, GridMap, Node\n")

    shown = ask("show", "grid.nodes.0.position", "--store", store, app="shown_classes")

    assert lines(shown) == ["grid.nodes.0.position = (0, 0)"]


@pytest.mark.parametrize(
    ("content", "problem"), [(None, "none.db"), ("This is no database.", "none.db")]
)
def test_a_store_that_cannot_be_read_is_one_line(
    folder: Path, ask: Ask, content: str | None, problem: str
) -> None:
    if content is not None:
        (folder / "none.db").write_text(content)

    result = ask("show", "grid", "--store", "none.db")

    assert result.exit_code == 2
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1
    assert content is not None or not (folder / "none.db").exists()
