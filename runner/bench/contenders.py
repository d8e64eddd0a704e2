"""Ours and the hand-written baselines in process, behind one interface, and the check of all.

    bare        plain pydantic objects, changed in place: no isolation, no versions
    deepcopy    plain pydantic objects, the whole tree copied for each version
    frozen      frozen dataclasses, the path to a change copied by hand, a new uuid4 on each
                copied object: about as fast as versions get in pure Python
    treerunner  the engine, as users call it

A baseline is what a good engineer would write by hand for exactly this workload, and keeps every
version that it promises. `check` holds each of them, and ours, to what they promise.
"""

# ruff: noqa: D102 - the methods are those of Contender, which documents them

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast
from uuid import uuid4  # noqa: TID251 - what people write by hand

from pydantic import BaseModel, Field

from examples import gridmap
from registry import Workspace
from runner.bench.figures import OURS
from runner.bench.workload import first_layout, layout_after, plan_moves

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from runner.bench.workload import Layout, Move, Size


class Contender(Protocol):
    """One way to keep a grid of agents."""

    name: ClassVar[str]
    keeps_versions: ClassVar[bool]
    """Failed moves change nothing, and every version stays readable."""

    def __init__(self, size: Size) -> None: ...

    def move(self, source_index: int, agent_name: str, target_index: int) -> object:
        """Move an agent, which makes a version."""

    def set_speed(self, node_index: int, agent_index: int, speed: int) -> object:
        """Change one field of one agent, which makes a version."""

    def layout(self, version: int) -> Layout:
        """Read which agents were where; version 1 is the new grid. Not timed."""


class BareAgent(BaseModel):
    """`gridmap.Agent` without versions."""

    name: str
    speed: int = 1


class BareNode(BaseModel):
    """`gridmap.Node` without versions."""

    position: tuple[int, int]
    agents: list[BareAgent] = Field(default_factory=list)


class BareGrid(BaseModel):
    """`gridmap.GridMap` without versions."""

    nodes: list[BareNode] = Field(default_factory=list)


# The very functions of the example: they are plain Python and fit any object of that shape.
move_in_place = cast("Callable[[BareGrid, int, str, int], BareGrid]", gridmap.move_agent_global)
set_speed_in_place = cast("Callable[[BareGrid, int, int, int], None]", gridmap.set_speed)


def make_bare_grid(size: Size) -> BareGrid:
    """Return the same grid as `gridmap.make_grid`, of plain pydantic models."""
    return BareGrid(
        nodes=[
            BareNode(position=divmod(node, 10), agents=[BareAgent(name=name) for name in names])
            for node, names in enumerate(first_layout(size))
        ]
    )


class Bare:
    """Plain objects changed in place: what the work itself costs; every layout is the newest."""

    name: ClassVar[str] = "bare"
    keeps_versions: ClassVar[bool] = False

    def __init__(self, size: Size) -> None:
        self._grid = make_bare_grid(size)

    def move(self, source_index: int, agent_name: str, target_index: int) -> object:
        return move_in_place(self._grid, source_index, agent_name, target_index)

    def set_speed(self, node_index: int, agent_index: int, speed: int) -> object:
        return set_speed_in_place(self._grid, node_index, agent_index, speed)

    def layout(self, version: int) -> Layout:
        return layout_of(self._grid)


class Deepcopy:
    """A copy of the whole tree for each version: the obvious way."""

    name: ClassVar[str] = "deepcopy"
    keeps_versions: ClassVar[bool] = True

    def __init__(self, size: Size) -> None:
        self._versions = [make_bare_grid(size)]

    def move(self, source_index: int, agent_name: str, target_index: int) -> object:
        draft = self._versions[-1].model_copy(deep=True)
        move_in_place(draft, source_index, agent_name, target_index)
        self._versions.append(draft)
        return draft

    def set_speed(self, node_index: int, agent_index: int, speed: int) -> object:
        draft = self._versions[-1].model_copy(deep=True)
        set_speed_in_place(draft, node_index, agent_index, speed)
        self._versions.append(draft)
        return draft

    def layout(self, version: int) -> Layout:
        return layout_of(self._versions[version - 1])


@dataclass(frozen=True, slots=True)
class FrozenAgent:
    """One version of an agent."""

    name: str
    speed: int = 1
    ecs_id: UUID = field(default_factory=uuid4)


@dataclass(frozen=True, slots=True)
class FrozenNode:
    """One version of a node."""

    position: tuple[int, int]
    agents: tuple[FrozenAgent, ...]
    ecs_id: UUID = field(default_factory=uuid4)


@dataclass(frozen=True, slots=True)
class FrozenGrid:
    """One version of a grid."""

    nodes: tuple[FrozenNode, ...]
    ecs_id: UUID = field(default_factory=uuid4)


class Frozen:
    """Immutable objects; each function copies the path to its change by hand."""

    name: ClassVar[str] = "frozen"
    keeps_versions: ClassVar[bool] = True

    def __init__(self, size: Size) -> None:
        nodes = [
            FrozenNode(divmod(node, 10), tuple([FrozenAgent(name) for name in names]))
            for node, names in enumerate(first_layout(size))
        ]
        self._versions = [FrozenGrid(tuple(nodes))]

    def move(self, source_index: int, agent_name: str, target_index: int) -> object:
        nodes = list(self._versions[-1].nodes)
        source = nodes[source_index]
        agents = source.agents
        index = _index_of(agents, agent_name)
        moved = agents[index]
        nodes[source_index] = FrozenNode(
            source.position, agents[:index] + agents[index + 1 :], uuid4()
        )
        target = nodes[target_index]
        nodes[target_index] = FrozenNode(target.position, (*target.agents, moved), uuid4())
        grid = FrozenGrid(tuple(nodes), uuid4())
        self._versions.append(grid)
        return grid

    def set_speed(self, node_index: int, agent_index: int, speed: int) -> object:
        nodes = list(self._versions[-1].nodes)
        node = nodes[node_index]
        agents = list(node.agents)
        agents[agent_index] = FrozenAgent(agents[agent_index].name, speed, uuid4())
        nodes[node_index] = FrozenNode(node.position, tuple(agents), uuid4())
        grid = FrozenGrid(tuple(nodes), uuid4())
        self._versions.append(grid)
        return grid

    def layout(self, version: int) -> Layout:
        return layout_of(self._versions[version - 1])


def _index_of(agents: tuple[FrozenAgent, ...], name: str) -> int:
    for index, agent in enumerate(agents):
        if agent.name == name:
            return index
    message = f"agent {name!r} is not there"
    raise LookupError(message)


class Treerunner:
    """The engine: isolated, atomic, every version kept, every execution recorded."""

    name: ClassVar[str] = OURS
    keeps_versions: ClassVar[bool] = True

    def __init__(self, size: Size) -> None:
        self.workspace = new_workspace()
        self.root = self.workspace.add(gridmap.make_grid(size.nodes, size.agents))
        # Loads the whole working tree, as the baselines have theirs: first touches are not moves.
        self.workspace.execute("visit", raw=True, gridmap=self.root)

    def move(self, source_index: int, agent_name: str, target_index: int) -> object:
        return self.workspace.execute(
            "move_agent_global",
            gridmap=self.root,
            source_index=source_index,
            agent_name=agent_name,
            target_index=target_index,
        )

    def set_speed(self, node_index: int, agent_index: int, speed: int) -> object:
        return self.workspace.execute(
            "set_speed",
            raw=True,
            gridmap=self.root,
            node_index=node_index,
            agent_index=agent_index,
            speed=speed,
        )

    def layout(self, version: int) -> Layout:
        return layout_of(self.workspace.snapshot(self.root, version))


BASELINES: tuple[type[Contender], ...] = (Frozen, Bare, Deepcopy)
CONTENDERS: tuple[type[Contender], ...] = (Treerunner, *BASELINES)


def new_workspace() -> Workspace:
    """Return an empty workspace with the callables of the workload, as users would set it up."""
    workspace = Workspace()
    workspace.register("move_agent_global")(gridmap.move_agent_global)
    workspace.register("set_speed")(gridmap.set_speed)
    workspace.register("visit")(visit)
    return workspace


def visit(gridmap: gridmap.GridMap) -> int:
    """Read every entity and return how many agents there are."""
    return sum(
        agent.speed > 0 and bool(agent.name) for node in gridmap.nodes for agent in node.agents
    )


def check(make: type[Contender], size: Size, moves: int = 20) -> None:
    """Hold a contender to what it promises.

    Its moves end where they should. If it keeps versions, a move that fails half way (the agent
    is taken out, then there is no target) changes nothing, and every version reads as it was.

    Raises:
        AssertionError: It does not; the text says which promise.
    """
    contender, plan = make(size), plan_moves(size, moves)
    for number, move in enumerate(plan):
        if make.keeps_versions:
            _check_failure_changes_nothing(contender, number + 1, (*move[:2], size.nodes))
        contender.move(*move)
    first = 1 if make.keeps_versions else moves + 1
    for version in range(first, moves + 2):
        expected = layout_after(size, plan[: version - 1])
        _hold(contender, contender.layout(version) == expected, f"version {version} reads wrong")


def _check_failure_changes_nothing(contender: Contender, version: int, move: Move) -> None:
    before = contender.layout(version)
    with contextlib.suppress(IndexError):
        contender.move(*move)
        _hold(contender, False, "a move to no node did not fail")
    _hold(contender, contender.layout(version) == before, "a failed move shows")


def _hold(contender: Contender, claim: bool, otherwise: str) -> None:
    if not claim:
        message = f"{contender.name}: {otherwise}"
        raise AssertionError(message)


def layout_of(grid: Any) -> Layout:
    """Read which agents are where on a grid of any contender."""
    return [[agent.name for agent in node.agents] for node in grid.nodes]
