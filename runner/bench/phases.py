"""Where the time of one move goes, phase by phase, beside the seed system's own figures.

The way of an execution is cut short after each phase, by a stub in place of the next one; what it
takes longer than cut a phase before is the phase. What the callable took, and finding and storing
its changes, is in the records. The seed's figures are those of its authors, on their machine.
"""

from __future__ import annotations

import statistics
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from examples.gridmap import make_grid, move_agent_global
from registry import Workspace, plain
from runner.bench.figures import Figure, Line, Spread, Unit
from runner.bench.workload import Size, plan_moves

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.bench.turns import Seat

SIZE = Size(10, 10)
PUBLISHED = "seed, published"
SEED_US = {
    "entry": 3000,
    "routing": 1500,
    "prepare": 3500,
    "execute": 1500,
    "semantic": 750,
    "versioning": 11_000,
    "other": 7500,
    "all": 39_000,
}
"""Middle of what the seed's authors report for each phase of the same move, microseconds."""


class Phased:
    """A grid whose moves can be cut short."""

    def __init__(self) -> None:
        self.workspace = Workspace()
        self.workspace.register("move_agent_global")(move_agent_global)
        self.grid = self.workspace.add(make_grid(SIZE.nodes, SIZE.agents))


def measure_phases(seat: Seat, repetitions: int) -> Iterator[Figure]:
    """One move, in phases: entry, routing, prepare, execute, semantic, versioning, other."""
    seat.hold(Phased)
    for name, us in seat.call(phases, repetitions).items():
        seed = Line(PUBLISHED, Spread.of([SEED_US[name]]))
        title = f"one move, {name}"
        ours = Line("treerunner", Spread.of([us]))
        yield Figure(title, SIZE.entities, Unit.MICROSECONDS, ours, (seed,))


def phases(phased: Phased, repetitions: int) -> dict[str, float]:
    """Return how long each phase of a move takes, in microseconds: medians."""
    workspace = phased.workspace
    whole = _time(phased, repetitions)
    records = workspace.executions()
    execute = statistics.median(record.run_s for record in records) * 1e6
    commit = statistics.median(record.commit_s for record in records) * 1e6
    with _stub("run"):
        entry = _time(phased, repetitions)
    with _stub("_run_usual"):
        routing = _time(phased, repetitions)
    with _stub("_run_on"):
        prepare = _time(phased, repetitions)
    semantic = _time_semantic(workspace, repetitions)
    found = {
        "entry": entry,
        "routing": routing - entry,
        "prepare": prepare - routing,
        "execute": execute,
        "semantic": semantic,
        "versioning": commit - semantic,
    }
    return {**found, "other": whole - sum(found.values()), "all": whole}


@contextmanager
def _stub(name: str) -> Iterator[None]:
    """Let a function of the straight way do nothing."""
    original = getattr(plain, name)
    setattr(plain, name, _nothing)
    try:
        yield
    finally:
        setattr(plain, name, original)


def _nothing(*_: Any) -> None:
    """Stand in for the rest of an execution."""


def _time(phased: Phased, repetitions: int) -> float:
    execute, grid, clock = phased.workspace.execute, phased.grid, time.perf_counter_ns
    moves = plan_moves(SIZE, repetitions // 2)
    back = [(target, name, source) for source, name, target in reversed(moves)]
    elapsed = []
    for source, name, target in (*moves, *back):
        start = clock()
        execute(
            "move_agent_global",
            gridmap=grid,
            source_index=source,
            agent_name=name,
            target_index=target,
        )
        elapsed.append((clock() - start) / 1000)
    return statistics.median(elapsed)


def _time_semantic(workspace: Workspace, repetitions: int) -> float:
    """Return how long it takes to tell that the very entity given came back, and may."""
    registered = workspace.callable("move_agent_global")
    result, given, clock = make_grid(2, 1), None, time.perf_counter_ns
    elapsed = []
    for _ in range(repetitions):
        start = clock()
        _ = result is given
        registered.keeps_promise(result)
        elapsed.append((clock() - start) / 1000)
    return statistics.median(elapsed)
