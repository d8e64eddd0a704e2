"""A reactive cascade: events that start executions, which end in a summary.

    an agent moves ──> the census counts the arrival ──> at every tenth, a milestone is emitted
                                                              └──> the report gets a line

No function calls the next one: each handler hears of a commit and executes something on another
tree. All of it has happened when the first `execute` returns, and every step is an execution with
its record and its version.

Run: python -m examples.events
"""

from __future__ import annotations

import random
from typing import TypeVar

from pydantic import Field

from examples.gridmap import Agent, GridMap, make_grid, move_agent_global
from registry import Entity, EntityVersioned, Event, Ref, Workspace

_EntityT = TypeVar("_EntityT", bound=Entity)

MILESTONE = 10
"""Arrivals between two lines of the report."""


class Census(Entity):
    """How many agents arrived where."""

    arrivals: dict[str, int] = Field(default_factory=dict)
    total: int = 0


class Report(Entity):
    """What there is to tell, one line for each milestone."""

    lines: list[str] = Field(default_factory=list)


class Arrived(Event):
    """An agent is at a node."""

    type = "grid.arrived"

    agent: str
    node: int


class MilestoneReached(Event):
    """So many agents have arrived in all."""

    type = "census.milestone"

    total: int


class City:
    """A grid of agents, a census and a report, and who listens to whom."""

    def __init__(self) -> None:
        self.workspace = ws = Workspace()
        ws.register("move")(self.move)
        ws.register("count")(self.count)
        ws.register("write")(self.write)
        self.grid = ws.add(make_grid(nodes=4, agents=3), name="grid")
        self.census = ws.add(Census(), name="census")
        self.report = ws.add(Report(), name="report")
        ws.on(Arrived, handler=self.when_arrived)
        ws.on(MilestoneReached, handler=self.when_milestone)
        # Hears of every version of every report, whoever made it.
        ws.on(EntityVersioned, predicate=lambda event: event.entity_type == "Report")(self.notice)
        self.noticed: list[int] = []

    # --- what runs as transactions ---

    def move(self, gridmap: GridMap, source: int, target: int) -> Agent:
        """Move whoever is first at a node; the event is told if this is committed."""
        agent = gridmap.nodes[source].agents[0]
        move_agent_global(gridmap, source, agent.name, target)
        self.workspace.emit(Arrived(agent=agent.name, node=target))
        return agent

    def count(self, census: Census, node: str) -> None:
        """Count one arrival."""
        census.arrivals[node] = census.arrivals.get(node, 0) + 1
        census.total += 1
        if census.total % MILESTONE == 0:
            self.workspace.emit(MilestoneReached(total=census.total))

    def write(self, report: Report, line: str) -> None:
        """Add a line."""
        report.lines.append(line)

    # --- who listens ---

    def when_arrived(self, event: Arrived) -> None:
        """Have the arrival counted."""
        self.workspace.execute("count", census=self.census, node=f"node-{event.node}")

    def when_milestone(self, event: MilestoneReached) -> None:
        """Have a line written."""
        census = self._read(self.census, Census)
        busiest = max(sorted(census.arrivals), key=lambda node: census.arrivals[node])
        line = f"{event.total} arrivals, most of them at {busiest}: {census.arrivals[busiest]}"
        self.workspace.execute("write", report=self.report, line=line)

    def notice(self, event: EntityVersioned) -> None:
        """Note which version of the report there is."""
        self.noticed.append(event.version)

    def lines(self) -> list[str]:
        """Return the report."""
        return list(self._read(self.report, Report).lines)

    def _read(self, ref: Ref, cls: type[_EntityT]) -> _EntityT:
        snapshot = self.workspace.snapshot(ref)
        assert isinstance(snapshot, cls)
        return snapshot


def main(moves: int = 30, seed: int = 7) -> list[str]:
    """Move agents at random, and return the report that came of it by itself."""
    city, chance = City(), random.Random(seed)  # noqa: S311 - no secret
    for _ in range(moves):
        grid = city.workspace.snapshot(city.grid)
        assert isinstance(grid, GridMap)
        source = chance.choice([at for at, node in enumerate(grid.nodes) if node.agents])
        target = chance.choice([at for at in range(len(grid.nodes)) if at != source])
        city.workspace.execute("move", gridmap=city.grid, source=source, target=target)
    return city.lines()


if __name__ == "__main__":
    print("\n".join(main()))
