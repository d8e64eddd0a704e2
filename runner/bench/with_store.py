"""What `treerunner bench journal` measures: executions that survive, and coming back after a death.

The stores are in a folder of their own, on the disk of temporary files. Rates depend on how long
that disk takes to say that something is safe: the environment beside the figures tells its kind.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples import flights, gridmap
from registry import Ref, Retention, Workspace
from runner import Job, Runner
from runner.bench.figures import OURS, Figure, Line, Reach, Spread, Unit
from runner.bench.through_ray import LARGE, SIZE, WARM_UP_TRIALS, OurRoots
from runner.bench.turns import take_turns
from runner.bench.workload import Move, Size, plan_moves, split

UNSTORED = "without a store"
LONG_ROOTS = 4
"""Roots with long histories of the host that dies."""
GROUP = 500
"""Executions in one group where there is no runner to make chunks."""

_MICROSECONDS = 1_000_000
_FIRST_AGENT = {"node_index": 0, "agent_index": 0}


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """What to measure, and how often."""

    roots: int = 8
    executions: int = 20_000
    repetitions: int = 5
    commits: int = 20_000
    trees: int = 10_000
    kills: int = 9
    versions: int = 30_000
    kills_of_long: int = 5
    flights: Path = flights.YEAR

    @classmethod
    def quick(cls) -> StoreSettings:
        """A look in half a minute, with noisier figures; January instead of the year."""
        return cls(
            executions=8_000, repetitions=2, commits=4_000, trees=1_000, kills=2,
            versions=6_000, kills_of_long=2, flights=flights.JANUARY,
        )  # fmt: skip


def measure_with_store(settings: StoreSettings) -> Iterator[Figure]:
    """Start local Ray, measure, and yield the figures one by one.

    Raises:
        AssertionError: Something else came out than went in.
    """
    with tempfile.TemporaryDirectory(prefix="treerunner-bench-") as name:
        folder = Path(name)
        yield measure_batch(folder, settings)
        yield measure_flights(folder, settings)
        yield measure_takeover(folder, settings)
        yield measure_takeover_of_long(folder, settings)
        yield measure_bytes(folder, settings)
        yield measure_replay(folder, settings)
        yield measure_first_call(folder, settings)
        yield measure_open(folder, settings)


def measure_batch(folder: Path, settings: StoreSettings) -> Figure:
    """Executions per second of a batch over several roots, with a store and without, in turns."""
    share, trials = settings.executions // settings.roots, settings.repetitions + WARM_UP_TRIALS
    plans = [plan_moves(SIZE, share * trials, seed) for seed in range(settings.roots)]
    with ExitStack() as runners:
        contenders = {
            name: OurRoots(runners.enter_context(Runner(gridmap.app, store=store)), plans)
            for name, store in ((OURS, folder / "batch.db"), (UNSTORED, None))
        }
        turns = {name: _trials(roots, share, trials) for name, roots in contenders.items()}
        lines = {
            name: Line(name, Spread.of(rates[WARM_UP_TRIALS:]))
            for name, rates in take_turns(turns).items()
        }
        for roots in contenders.values():
            roots.check()
    return Figure(
        f"durable batch of {settings.executions:,} over {settings.roots} roots",
        SIZE.entities,
        Unit.EXECUTIONS_PER_S,
        lines[OURS],
        (lines[UNSTORED],),
        (Reach(">=", 0.5, of=UNSTORED),),
    )


def _trials(roots: OurRoots, share: int, count: int) -> Iterator[list[float]]:
    for _ in range(count):
        yield [roots.run_next(share)]


def measure_flights(folder: Path, settings: StoreSettings) -> Figure:
    """The flights example, each departure on disk before its outcome, beside the same without."""
    stored = fly(settings.flights, folder / "flights.db")
    unstored = fly(settings.flights, None)
    return Figure(
        f"{stored[0]:,} durable departures ({settings.flights.name.partition('.')[0]})",
        None,
        Unit.EXECUTIONS_PER_S,
        Line(OURS, Spread.of([stored[1]])),
        (Line(UNSTORED, Spread.of([unstored[1]])),),
        (Reach(">=", 15_000),),
    )


def fly(path: Path, store: Path | None) -> tuple[int, float]:
    """Run the flights example; return how many departures there were, and how many a second."""
    with Runner(flights.app, store=store) as runner:
        runner.add_many(flights.roots())
        start = time.perf_counter()
        statuses = Counter(outcome.status for outcome in runner.submit(flights.jobs(path)))
        elapsed = time.perf_counter() - start
    rows = statuses["ok"] + statuses["failed"]
    if rows != sum(statuses.values()):
        raise AssertionError(f"outcomes of departures are {dict(statuses)}")
    return rows, rows / elapsed


def measure_takeover(folder: Path, settings: StoreSettings) -> Figure:
    """From the SIGKILL of a root's host to its next outcome, a spare being ready."""
    elapsed = []
    with Runner(gridmap.app, hosts=1, store=folder / "takeover.db") as runner:
        root = runner.add(gridmap.make_grid(SIZE.nodes, SIZE.agents))
        for move in plan_moves(SIZE, settings.kills):
            run_move(runner, root, move)
            runner.wait_for_spare()
            pid = runner.host_pid(root)
            assert pid is not None, "the host is an actor"
            start = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            outcome = runner.execute(
                "set_speed", gridmap=root, node_index=0, agent_index=0, speed=1
            )
            elapsed.append((time.perf_counter() - start) * _MICROSECONDS)
            outcome.result()
    return Figure(
        "takeover after SIGKILL, to the next outcome",
        SIZE.entities,
        Unit.MICROSECONDS,
        Line(OURS, Spread.of(elapsed)),
        (),
        (Reach("<=", 500_000),),
    )


def measure_takeover_of_long(folder: Path, settings: StoreSettings) -> Figure:
    """The same of a host whose roots have long histories, to the next outcome of each of them."""
    elapsed = []
    with Runner(gridmap.app, hosts=1, store=folder / "long.db") as runner:
        plans = [plan_moves(SIZE, settings.versions, seed) for seed in range(LONG_ROOTS)]
        roots = OurRoots(runner, plans)
        roots.run_next(settings.versions)
        for turn in range(settings.kills_of_long):
            runner.wait_for_spare()
            pid = runner.host_pid(roots.refs[0])
            assert pid is not None, "the host is an actor"
            jobs = [Job("set_speed", root, {**_FIRST_AGENT, "speed": turn}) for root in roots.refs]
            start = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            outcomes = list(runner.submit(jobs))
            elapsed.append((time.perf_counter() - start) * _MICROSECONDS)
            for outcome in outcomes:
                outcome.result()
        roots.check()
    return Figure(
        f"takeover of {LONG_ROOTS} roots with {settings.versions:,} versions each, to the next"
        " outcome of all",
        SIZE.entities,
        Unit.MICROSECONDS,
        Line(OURS, Spread.of(elapsed)),
        (),
        (Reach("<=", 500_000),),
    )


def run_move(runner: Runner, root: Ref, move: Move) -> None:
    """Make one move, and see that it was made."""
    source, name, target = move
    runner.execute(
        "move_agent_global",
        gridmap=root,
        source_index=source,
        agent_name=name,
        target_index=target,
    ).result()


def measure_bytes(folder: Path, settings: StoreSettings) -> Figure:
    """What a store grows by per move on a large grid, the grid itself left out."""
    path = folder / "bytes.db"
    with _open(path) as workspace:
        workspace.add(gridmap.make_grid(LARGE.nodes, LARGE.agents), "grid")
    before = _size(path)
    moves = plan_moves(LARGE, settings.commits // 4)
    with _open(path) as workspace:
        make_moves(workspace, moves)
    return Figure(
        "bytes on disk per move",
        LARGE.entities,
        Unit.BYTES,
        Line(OURS, Spread.of([(_size(path) - before) / len(moves)])),
        (),
        (Reach("<=", 400),),
    )


def measure_replay(folder: Path, settings: StoreSettings) -> Figure:
    """Commits done again per second, with all their history."""
    path = folder / "replay.db"
    _fill(path, SIZE, settings.commits)
    rates = []
    for _ in range(settings.repetitions):
        with _open(path) as workspace:
            start = time.perf_counter()
            head = workspace.head("grid")
            workspace.snapshot("grid", 1)  # or only what follows the newest checkpoint is done
            rates.append(head / (time.perf_counter() - start))
    return Figure(
        f"recovery of {settings.commits:,} commits",
        SIZE.entities,
        Unit.COMMITS_PER_S,
        Line(OURS, Spread.of(rates)),
        (),
        (Reach(">=", 100_000),),
    )


def measure_first_call(folder: Path, settings: StoreSettings) -> Figure:
    """Opening a store and the first execution on a large tree, from a checkpoint."""
    path, few = folder / "large.db", Retention(versions=10)
    with _open(path, few) as workspace:
        workspace.add(gridmap.make_grid(LARGE.nodes, LARGE.agents), "grid")
        _put_checkpoint(workspace)
    elapsed = []
    for _ in range(settings.repetitions):
        start = time.perf_counter()
        with _open(path, few) as workspace:
            _set_speed(workspace, "grid")
            elapsed.append((time.perf_counter() - start) * _MICROSECONDS)
    return Figure(
        "open, and the first call on a tree with a checkpoint",
        LARGE.entities,
        Unit.MICROSECONDS,
        Line(OURS, Spread.of(elapsed)),
        (),
        (Reach("<=", 100_000),),
    )


def measure_open(folder: Path, settings: StoreSettings) -> Figure:
    """Opening a store of many trees and the first execution on one of them."""
    path = folder / "many.db"
    with _open(path) as workspace, workspace.group():
        for number in range(settings.trees):
            workspace.add_owned(gridmap.make_grid(2, 1), f"grid-{number}")
    elapsed = []
    for turn in range(settings.repetitions):
        start = time.perf_counter()
        with _open(path) as workspace:
            _set_speed(workspace, f"grid-{turn}")
            elapsed.append((time.perf_counter() - start) * _MICROSECONDS)
    return Figure(
        f"open a store of {settings.trees:,} trees, and the first call on one",
        None,
        Unit.MICROSECONDS,
        Line(OURS, Spread.of(elapsed)),
        (),
        (Reach("<=", 200_000),),
    )


def make_moves(workspace: Workspace, moves: Sequence[Move]) -> None:
    """Make moves on the grid of a workspace, in groups."""
    grid = workspace.ref("grid")
    for block in split(moves, max(1, len(moves) // GROUP)):
        with workspace.group():
            for source, name, target in block:
                arguments = {"source_index": source, "agent_name": name, "target_index": target}
                workspace.run("move_agent_global", {"gridmap": grid, **arguments})


def _open(path: Path, retention: Retention | None = None) -> Workspace:
    workspace = Workspace(store=path, retention=retention)
    for registered in gridmap.app.callables().values():
        workspace.add_callable(registered)
    return workspace


def _fill(path: Path, size: Size, commits: int) -> None:
    with _open(path) as workspace:
        workspace.add(gridmap.make_grid(size.nodes, size.agents), "grid")
        make_moves(workspace, plan_moves(size, commits))


def _put_checkpoint(workspace: Workspace) -> None:
    """Make as many commits as it takes until a checkpoint is due, and ten more."""
    grid = workspace.ref("grid")
    for _ in range(100):
        with workspace.group():
            for speed in range(GROUP):
                _set_speed(workspace, grid, speed)


def _set_speed(workspace: Workspace, grid: Any, speed: int = 1) -> None:
    target = workspace.ref(grid) if isinstance(grid, str) else grid
    workspace.run("set_speed", {"gridmap": target, **_FIRST_AGENT, "speed": speed})


def _size(path: Path) -> int:
    return sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*"))
