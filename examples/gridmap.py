"""Agents that move on a grid of nodes: ordinary in-place Python, run as transactions.

GridMap -> nodes: list[Node] -> agents: list[Agent]. Neither function below knows about versions;
the workspace that they are registered on turns what they changed into the next one. This is also
the workload of `treerunner bench`.

Run: python -m examples.gridmap
"""

from __future__ import annotations

from typing import Any, cast

from pydantic import Field

from registry import Entity, Workspace

app = Workspace()


class Agent(Entity):
    """Something that can be moved."""

    name: str
    speed: int = 1


class Node(Entity):
    """A place on the grid and the agents that are there, in order of arrival."""

    position: tuple[int, int]
    agents: list[Agent] = Field(default_factory=list)


class GridMap(Entity):
    """The root: it owns the nodes, and through them the agents."""

    nodes: list[Node] = Field(default_factory=list)


def make_grid(nodes: int = 10, agents: int = 10) -> GridMap:
    """Return a new grid with *nodes* nodes and *agents* agents on each of them."""
    return GridMap(
        nodes=[
            Node(
                position=divmod(node, 10),
                agents=[Agent(name=f"agent-{node}-{agent}") for agent in range(agents)],
            )
            for node in range(nodes)
        ]
    )


def roots() -> dict[str, GridMap]:
    """Return the roots that `treerunner run --app examples.gridmap` starts from, by name."""
    return {f"grid-{number}": make_grid() for number in range(8)}


@app.register("move_agent_global")
def move_agent_global(
    gridmap: GridMap, source_index: int, agent_name: str, target_index: int
) -> GridMap:
    """Move the agent called *agent_name* from one node to the end of another.

    Raises:
        LookupError: The agent is not at the source node.
        IndexError: There is no such node.
    """
    agents = gridmap.nodes[source_index].agents
    for index, agent in enumerate(agents):
        if agent.name == agent_name:
            moved = agents.pop(index)
            # Without such a target this line raises, and plain Python would have lost the agent.
            # An execution that fails changes nothing.
            gridmap.nodes[target_index].agents.append(moved)
            return gridmap
    message = f"agent {agent_name!r} is not at node {source_index}"
    raise LookupError(message)


@app.register("set_speed")
def set_speed(gridmap: GridMap, node_index: int, agent_index: int, speed: int) -> None:
    """Change one field of one agent; what changed is committed although nothing is returned."""
    gridmap.nodes[node_index].agents[agent_index].speed = speed


def demo() -> Workspace:
    """Return a small grid that has a history, for `treerunner show grid` and others."""
    workspace = Workspace()
    for registered in app.callables().values():
        workspace.add_callable(registered)
    grid = workspace.add(make_grid(nodes=3, agents=2), name="grid")
    move: dict[str, Any] = {"gridmap": grid, "agent_name": "agent-0-1"}
    workspace.execute("move_agent_global", source_index=0, target_index=1, **move)
    workspace.execute("set_speed", gridmap=grid, node_index=1, agent_index=2, speed=7)
    workspace.execute("move_agent_global", source_index=1, target_index=2, **move)
    return workspace


def main() -> None:
    """Move an agent, fail to move another, and read the grid before and after."""
    grid = app.add(make_grid(nodes=3, agents=2), name="grid")
    app.execute(
        "move_agent_global", gridmap=grid, source_index=0, agent_name="agent-0-1", target_index=2
    )
    try:
        app.execute(
            "move_agent_global",
            gridmap=grid,
            source_index=1,
            agent_name="agent-1-0",
            target_index=99,
        )
    except IndexError as error:
        print(f"refused, and nothing changed: {error}")
    for version in range(1, app.head(grid) + 1):
        snapshot = cast("GridMap", app.snapshot(grid, version))
        places = [[agent.name for agent in node.agents] for node in snapshot.nodes]
        print(f"version {version}: {places}")


if __name__ == "__main__":
    main()
