"""The grid of agents: its functions do what they say, and its program shows it."""

from __future__ import annotations

from typing import cast

import pytest

from examples import gridmap
from registry import Ref, Workspace


@pytest.fixture
def workspace() -> Workspace:
    workspace = Workspace()
    workspace.register("move_agent_global")(gridmap.move_agent_global)
    workspace.register("set_speed")(gridmap.set_speed)
    return workspace


def places(workspace: Workspace, grid: Ref, version: int | None = None) -> list[list[str]]:
    snapshot = cast("gridmap.GridMap", workspace.snapshot(grid, version))
    return [[agent.name for agent in node.agents] for node in snapshot.nodes]


def test_a_move_makes_a_version_and_leaves_the_old_one(workspace: Workspace) -> None:
    grid = workspace.add(gridmap.make_grid(nodes=2, agents=2))

    workspace.execute(
        "move_agent_global", gridmap=grid, source_index=0, agent_name="agent-0-0", target_index=1
    )

    assert places(workspace, grid) == [["agent-0-1"], ["agent-1-0", "agent-1-1", "agent-0-0"]]
    assert places(workspace, grid, 1) == [["agent-0-0", "agent-0-1"], ["agent-1-0", "agent-1-1"]]


@pytest.mark.parametrize(
    ("agent", "target", "error"), [("agent-0-0", 9, IndexError), ("nobody", 1, LookupError)]
)
def test_a_move_that_fails_changes_nothing(
    workspace: Workspace, agent: str, target: int, error: type[Exception]
) -> None:
    grid = workspace.add(gridmap.make_grid(nodes=2, agents=2))

    with pytest.raises(error):
        workspace.execute(
            "move_agent_global",
            gridmap=grid,
            source_index=0,
            agent_name=agent,
            target_index=target,
        )

    assert workspace.head(grid) == 1
    assert places(workspace, grid) == [["agent-0-0", "agent-0-1"], ["agent-1-0", "agent-1-1"]]


def test_a_change_is_kept_although_nothing_is_returned(workspace: Workspace) -> None:
    grid = workspace.add(gridmap.make_grid(nodes=2, agents=2))

    workspace.execute("set_speed", gridmap=grid, node_index=1, agent_index=0, speed=3)

    snapshot = cast("gridmap.GridMap", workspace.snapshot(grid))
    assert snapshot.nodes[1].agents[0].speed == 3


def test_roots_are_eight_grids_of_111_entities() -> None:
    sizes = [
        1 + len(g.nodes) + sum(len(n.agents) for n in g.nodes) for g in gridmap.roots().values()
    ]

    assert sizes == [111] * 8


def test_the_program_shows_both_versions(capsys: pytest.CaptureFixture[str]) -> None:
    gridmap.main()

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("refused, and nothing changed")
    assert lines[1] == (
        "version 1: [['agent-0-0', 'agent-0-1'], ['agent-1-0', 'agent-1-1'], "
        "['agent-2-0', 'agent-2-1']]"
    )
    assert lines[2].startswith("version 2: [['agent-0-0'], ")
    assert len(lines) == 3
