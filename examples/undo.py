"""Taking back: one execution, or everything since a version, as a new version.

History only grows: `undo` and `revert` write what was into a new version, so they can be taken back
themselves, and every version that was ever there can still be read.

Run: python -m examples.undo
"""

from __future__ import annotations

from typing import NamedTuple, cast

from examples import gridmap
from examples.gridmap import GridMap
from registry import Ref, UndoError, Workspace

Places = list[list[str]]


class Story(NamedTuple):
    """What the grid was like on the way, and what could not be undone."""

    start: Places
    mistaken: Places
    undone: Places
    redone: Places
    reverted: Places
    refused: tuple[str, ...]


def places(workspace: Workspace, grid: Ref) -> Places:
    """Return the names of the agents at each node."""
    snapshot = cast("GridMap", workspace.snapshot(grid))
    return [[agent.name for agent in node.agents] for node in snapshot.nodes]


def main() -> Story:
    """Make a mistake, go on, take the mistake back, and in the end everything."""
    app = Workspace()
    app.register("move")(gridmap.move_agent_global)
    app.register("set_speed")(gridmap.set_speed)
    grid = app.add(gridmap.make_grid(nodes=4, agents=2), name="grid")
    start = places(app, grid)

    app.execute("move", gridmap=grid, source_index=0, agent_name="agent-0-0", target_index=1)
    mistake = app.executions()[-1].execution_id
    app.execute("move", gridmap=grid, source_index=2, agent_name="agent-2-1", target_index=3)
    app.execute("set_speed", gridmap=grid, node_index=0, agent_index=0, speed=9)
    mistaken = places(app, grid)

    undo = app.undo(mistake)  # what came later stays
    undone = places(app, grid)

    app.undo(undo.execution_id)  # an undo is an execution: undone, the move is there again
    redone = places(app, grid)

    # Somebody moves the agent on: now the first move cannot be taken back without the second.
    app.execute("move", gridmap=grid, source_index=1, agent_name="agent-0-0", target_index=2)
    refused: tuple[str, ...] = ()
    try:
        app.undo(mistake)
    except UndoError as error:
        refused = tuple(f"{each.callable}, version {each.version}" for each in error.dependents)

    app.revert(grid, 1)
    return Story(start, mistaken, undone, redone, places(app, grid), refused)


if __name__ == "__main__":
    for name, value in main()._asdict().items():
        print(f"{name}: {value}")
