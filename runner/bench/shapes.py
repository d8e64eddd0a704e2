"""What `treerunner bench engine` measures of executions that are not one plain move.

One line per strategy and per shape of a result, each beside the plain move of the same run, in one
process and in turns; and the plain move with listeners, beside the unheard one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from examples.gridmap import Agent, GridMap, Node, make_grid, move_agent_global, set_speed
from registry import ConfigEntity, Workspace
from registry.events import Event
from runner.bench.figures import Figure, Line, Reach, Spread, Unit
from runner.bench.turns import Seat, take_turns
from runner.bench.workload import Size, plan_moves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZE = Size(10, 10)
BLOCK_CALLS = 100
PLAIN = "plain move"


class Boost(ConfigEntity):
    """How much faster."""

    by: int = 1


def entity(gridmap: GridMap) -> GridMap:
    """Change one field, return the entity."""
    gridmap.nodes[0].agents[0].speed += 1
    return gridmap


def with_config(gridmap: GridMap, boost: Boost) -> None:
    """Change one field by a config."""
    gridmap.nodes[0].agents[0].speed += boost.by


def two_nodes(source: Node, target: Node) -> None:
    """Move an agent between two inputs."""
    target.agents.append(source.agents.pop())


def two_trees(one: GridMap, other: GridMap) -> None:
    """Change two trees."""
    one.nodes[0].agents[0].speed += 1
    other.nodes[0].agents[0].speed += 1


def listed(nodes: list[Node]) -> None:
    """Change what is in a list of inputs."""
    for node in nodes:
        node.agents[0].speed += 1


def borrowed(speed: int) -> int:
    """Know a value by its address."""
    return speed + 1


def nothing(gridmap: GridMap) -> None:
    """Return nothing."""
    gridmap.nodes[0].agents[0].speed += 1


def unchanged(gridmap: GridMap) -> int:
    """Change nothing."""
    return len(gridmap.nodes)


def numbers(gridmap: GridMap) -> list[int]:
    """Return a list of numbers."""
    gridmap.nodes[0].agents[0].speed += 1
    return [1, 2, 3]


def child(gridmap: GridMap) -> Agent:
    """Return a child."""
    agent = gridmap.nodes[0].agents[0]
    agent.speed += 1
    return agent


def siblings(gridmap: GridMap) -> tuple[Agent, Agent]:
    """Return two children."""
    agent = gridmap.nodes[0].agents[0]
    agent.speed += 1
    return agent, gridmap.nodes[1].agents[0]


def mixed(gridmap: GridMap) -> dict[str, Any]:
    """Return an entity beside a number."""
    agent = gridmap.nodes[0].agents[0]
    agent.speed += 1
    return {"agent": agent, "speed": agent.speed}


def new_child(gridmap: GridMap) -> GridMap:
    """Put in a new child."""
    gridmap.nodes[0].agents.append(Agent(name="new"))
    return gridmap


def new_root() -> Agent:
    """Make a root."""
    return Agent(name="root")


def taken_out(gridmap: GridMap) -> Agent:
    """Take a child out, to be a root."""
    return gridmap.nodes[0].agents.pop()


def always(*roots: str, agents: int = SIZE.agents, **others: Any) -> Callable[[Workspace], Any]:
    """Give a callable the same arguments each time: new grids by name, and others."""

    def make(workspace: Workspace) -> Iterator[dict[str, Any]]:
        given = {name: workspace.add(make_grid(SIZE.nodes, agents)) for name in roots}
        while True:
            yield {**given, **others}

    return make


def _moves(workspace: Workspace) -> Iterator[dict[str, Any]]:
    grid = workspace.add(make_grid(SIZE.nodes, SIZE.agents))
    moves = plan_moves(SIZE, 1000)
    names = ("source_index", "agent_name", "target_index")
    back = [(target, name, source) for source, name, target in reversed(moves)]
    while True:  # there and back again; the order within a node may differ, which is no matter
        for move in (*moves, *back):
            yield {"gridmap": grid, **dict(zip(names, move, strict=True))}


def _back_and_forth(workspace: Workspace) -> Iterator[dict[str, Any]]:
    source, target = _nodes_of(workspace)
    while True:
        yield {"source": source, "target": target}
        source, target = target, source


def _nodes(workspace: Workspace) -> Iterator[dict[str, Any]]:
    nodes = _nodes_of(workspace)
    while True:
        yield {"nodes": nodes}


def _address(workspace: Workspace) -> Iterator[dict[str, Any]]:
    node: Any = workspace.snapshot(_nodes_of(workspace)[0])
    while True:
        yield {"speed": f"@{node.agents[0].lineage_id}.speed"}


def _nodes_of(workspace: Workspace) -> list[Any]:
    grid: Any = workspace.snapshot(workspace.add(make_grid(SIZE.nodes, SIZE.agents)))
    return [workspace.ref(node) for node in grid.nodes[:2]]


SHAPES: dict[str, tuple[Callable[..., Any], Callable[[Workspace], Any]]] = {
    PLAIN: (move_agent_global, _moves),
    "no_inputs, a new root": (new_root, always()),
    "single_entity_direct, the entity": (entity, always("gridmap")),
    "single_entity_with_config, None": (with_config, always("gridmap", boost=Boost(by=2))),
    "multi_entity_composite, one tree": (two_nodes, _back_and_forth),
    "multi_entity_composite, two trees": (two_trees, always("one", "other")),
    "multi_entity_composite, a list": (listed, _nodes),
    "pure_borrowing, a number": (borrowed, _address),
    "returns None": (nothing, always("gridmap")),
    "returns a number, unchanged": (unchanged, always("gridmap")),
    "returns a list of numbers": (numbers, always("gridmap")),
    "returns a child": (child, always("gridmap")),
    "returns two siblings": (siblings, always("gridmap")),
    "returns an entity and a number": (mixed, always("gridmap")),
    "returns a new child": (new_child, always("gridmap")),
    "returns what was taken out": (taken_out, always("gridmap", agents=5000)),
}
"""By name: the callable, and what makes its arguments."""


class Grids:
    """Every shape with a workspace and grids of its own, ready to be called."""

    def __init__(self) -> None:
        self.workspaces = {name: Workspace() for name in SHAPES}
        self.arguments: dict[str, Iterator[dict[str, Any]]] = {}
        for name, (function, make) in SHAPES.items():
            workspace = self.workspaces[name]
            workspace.register(function.__name__)(function)
            self.arguments[name] = make(workspace)


def time_shape(grids: Grids, name: str, count: int) -> list[float]:
    """Execute one shape *count* times and return how long each took, in microseconds."""
    execute, called = grids.workspaces[name].execute, SHAPES[name][0].__name__
    clock, elapsed = time.perf_counter_ns, []
    for _, arguments in zip(range(count), grids.arguments[name], strict=False):
        start = clock()
        execute(called, raw=True, **arguments)
        elapsed.append((clock() - start) / 1000)
    return elapsed


def measure_shapes(seat: Seat, repetitions: int) -> Iterator[Figure]:
    """One line per strategy and shape of a result, beside the plain move."""
    seat.hold(Grids)
    blocks = max(2, repetitions // BLOCK_CALLS)
    turns = {name: _blocks(seat, blocks, time_shape, name) for name in SHAPES}
    lines = {name: Line(name, Spread.of(values)) for name, values in take_turns(turns).items()}
    plain = lines.pop(PLAIN)
    for name, line in lines.items():
        reaches = (Reach("<=", 2, of=PLAIN),)
        yield Figure(name, SIZE.entities, Unit.MICROSECONDS, line, (plain,), reaches)


def _blocks(
    seat: Seat, blocks: int, measure: Callable[..., list[float]], *args: str
) -> Iterator[list[float]]:
    for _ in range(blocks):
        yield seat.call(measure, *args, BLOCK_CALLS)


# --- events ---


class Heard:
    """A grid whose moves are heard by some listeners."""

    def __init__(self, listeners: int, *, left: bool = False) -> None:
        self.workspace = Workspace()
        self.workspace.register("set_speed")(set_speed)
        self.grid = self.workspace.add(make_grid(SIZE.nodes, SIZE.agents))
        self.count = 0
        for _ in range(max(listeners, int(left))):
            handler = self.workspace.on("entity.versioned", handler=self._hear)
            if left:
                self.workspace.unsubscribe(handler)

    def _hear(self, event: Event) -> None:
        self.count += 1


def time_heard(heard: Heard, count: int) -> list[float]:
    """Change a field *count* times and return how long each took, in microseconds."""
    run, clock, grid = heard.workspace.run, time.perf_counter_ns, heard.grid
    elapsed = []
    for speed in range(count):
        arguments = {
            "gridmap": grid,
            "node_index": 0,
            "agent_index": 0,
            "speed": heard.count + speed,
        }
        start = clock()
        run("set_speed", arguments)
        elapsed.append((clock() - start) / 1000)
    return elapsed


def measure_events(seats: list[Seat], repetitions: int) -> Iterator[Figure]:
    """One field changed, heard by nobody, by one and by a hundred, each in a process of its own."""
    cases = {
        "unheard": (0, False),
        "0, one has left": (0, True),
        "1": (1, False),
        "100": (100, False),
    }
    turns = {}
    for seat, (name, (listeners, left)) in zip(seats, cases.items(), strict=False):
        seat.hold(make_heard, listeners, left)
        blocks = max(2, repetitions // BLOCK_CALLS)
        turns[name] = _blocks(seat, blocks, time_heard)
    lines = {name: Line(name, Spread.of(values)) for name, values in take_turns(turns).items()}
    unheard = lines.pop("unheard")
    for name, line in lines.items():
        reaches = (Reach("<=", 1.1, of="unheard"),) if name.startswith("0") else ()
        title = f"one field, listeners: {name}"
        yield Figure(title, SIZE.entities, Unit.MICROSECONDS, line, (unheard,), reaches)


def make_heard(listeners: int, left: bool) -> Heard:
    """Return a grid with listeners; see `Heard`."""
    return Heard(listeners, left=left)
