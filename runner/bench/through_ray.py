"""What `treerunner bench runner` measures: executions through local Ray, beside the baselines.

All contenders run on the same local Ray in turns: whoever is not measured has idle actors. Every
batch is checked after its time was taken.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from examples import flights, gridmap
from runner import Job, Runner
from runner.bench.contenders import layout_of
from runner.bench.figures import OURS, Figure, Line, Reach, Spread, Unit
from runner.bench.ray_baselines import RayBaselines, shipped_bytes
from runner.bench.turns import take_turns
from runner.bench.workload import Size, layout_after, plan_moves, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from registry import Ref
    from runner.bench.workload import Move

SIZE = Size(10, 10)
LARGE = Size(100, 100)

CALL_EACH_SHARE = 10
TASK_SHARE = 50
"""The slow baselines make one in so many of the batch's moves: rates need no more."""

WARM_UP_TRIALS = 1
"""Batches that do not count: the first starts workers and imports code."""

SINGLE_BLOCK = 10
"""Executions one after the other before the other contender has its turn."""


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """What to measure, and how often."""

    roots: int = 8
    executions: int = 20_000
    repetitions: int = 9
    single_executions: int = 500
    flights: Path = flights.YEAR

    @classmethod
    def quick(cls) -> RunnerSettings:
        """A look in some seconds, with noisier figures; January instead of the year."""
        return cls(executions=4_000, repetitions=2, single_executions=50, flights=flights.JANUARY)


def measure_runner(settings: RunnerSettings) -> Iterator[Figure]:
    """Start local Ray, measure, and yield the figures one by one.

    Raises:
        AssertionError: A contender did something else than the moves it was given.
    """
    with Runner(gridmap.app) as runner:
        baselines = RayBaselines(settings.roots, SIZE)
        try:
            yield measure_batch(runner, baselines, settings)
            yield measure_single(runner, baselines, settings.single_executions)
        finally:
            baselines.close()
        yield from measure_bytes(runner, settings.executions // 10)
    with Runner(flights.app) as runner:
        yield measure_flights(runner, settings.flights)


def measure_batch(runner: Runner, baselines: RayBaselines, settings: RunnerSettings) -> Figure:
    """Executions per second of a batch over several roots, from submission to last outcome."""
    share, trials = settings.executions // settings.roots, settings.repetitions + WARM_UP_TRIALS
    seeds = range(settings.roots)
    ours = OurRoots(runner, [plan_moves(SIZE, share * trials, seed) for seed in seeds])
    plans = [plan_moves(SIZE, share, seed) for seed in seeds]
    turns = {
        OURS: ([ours.run_next(share)] for _ in range(trials)),
        "grouped frozen": _trials(trials, baselines.run_grouped_frozen, plans),
        "grouped bare": _trials(trials, baselines.run_grouped_bare, plans),
        "call each": _trials(trials, baselines.run_calls, _shortened(plans, CALL_EACH_SHARE)),
        "task": _trials(trials, baselines.run_tasks, _shortened(plans, TASK_SHARE)),
    }
    lines = {
        name: Line(name, Spread.of(rates[WARM_UP_TRIALS:]))
        for name, rates in take_turns(turns).items()
    }
    ours.check()
    return Figure(
        f"batch of {settings.executions:,} over {settings.roots} roots",
        SIZE.entities,
        Unit.EXECUTIONS_PER_S,
        lines.pop(OURS),
        tuple(lines.values()),
        (
            Reach(">=", 0.6, of="grouped frozen"),
            Reach(">=", 50, of="task"),
            Reach(">=", 20, of="call each"),
        ),
    )


def measure_single(runner: Runner, baselines: RayBaselines, executions: int) -> Figure:
    """One execution alone, submit to outcome, beside the round trip of a bare Ray actor call."""
    moves = plan_moves(SIZE, executions)
    blocks = split(moves, max(1, executions // SINGLE_BLOCK))
    root = runner.add(gridmap.make_grid(SIZE.nodes, SIZE.agents))
    baselines.open_single()
    measured = take_turns(
        {
            OURS: (time_single_executions(runner, root, block) for block in blocks),
            "Ray actor call": (baselines.time_single_calls(block) for block in blocks),
        }
    )
    lines = {name: Line(name, Spread.of(values)) for name, values in measured.items()}
    return Figure(
        "one execution, submit to outcome",
        SIZE.entities,
        Unit.MICROSECONDS,
        lines.pop(OURS),
        tuple(lines.values()),
        (Reach("<=", 1.3, of="Ray actor call"),),
    )


def measure_bytes(runner: Runner, executions: int) -> list[Figure]:
    """Bytes per execution on the wire, each way, of the same moves on a small and a large tree."""
    sent, received = list[Figure](), list[Figure]()
    for size in (SIZE, LARGE):
        root = runner.add(gridmap.make_grid(size.nodes, size.agents))
        before = runner.statistics()
        # The agents of the small grid are on the large one too, at the same nodes.
        _finish(runner, [_job(root, move) for move in plan_moves(SIZE, executions)])
        after = runner.statistics()
        for figures, title, total in (
            (sent, "bytes sent per execution", after.bytes_sent - before.bytes_sent),
            (
                received,
                "bytes received per execution",
                after.bytes_received - before.bytes_received,
            ),
        ):
            figures.append(_bytes_figure(title, size, total / executions, figures))
    return sent + received


def measure_flights(runner: Runner, path: Path) -> Figure:
    """The flights example, from reading its rows to the last outcome, beside reading alone."""
    start = time.perf_counter()
    rows = sum(1 for _ in flights.jobs(path))
    reading = rows / (time.perf_counter() - start)
    for name, airline in flights.roots().items():
        runner.add(airline, name=name)
    start = time.perf_counter()
    statuses = Counter(outcome.status for outcome in runner.submit(flights.jobs(path)))
    rate = rows / (time.perf_counter() - start)
    if statuses["ok"] + statuses["failed"] != rows:
        message = f"{rows} departures were submitted, their outcomes are {dict(statuses)}"
        raise AssertionError(message)
    return Figure(
        f"{rows:,} departures ({path.name.partition('.')[0]})",
        None,
        Unit.EXECUTIONS_PER_S,
        Line(OURS, Spread.of([rate])),
        (Line("reading them", Spread.of([reading])),),
        (Reach(">=", 20_000),),
    )


class OurRoots:
    """Our roots in the batch figure: they live on from trial to trial, with all their versions.

    Attributes:
        refs: The roots.
    """

    def __init__(self, runner: Runner, plans: Sequence[Sequence[Move]]) -> None:
        self._runner = runner
        self._plans = plans
        self._made = 0
        self.refs = [runner.add(gridmap.make_grid(SIZE.nodes, SIZE.agents)) for _ in plans]

    def run_next(self, count: int) -> float:
        """Make the next *count* moves of every root in one batch; return executions per second."""
        shares = [plan[self._made : self._made + count] for plan in self._plans]
        jobs = [
            _job(root, move)
            for moves in zip(*shares, strict=True)
            for root, move in zip(self.refs, moves, strict=True)
        ]
        self._made += count
        start = time.perf_counter()
        _finish(self._runner, jobs)
        return len(jobs) / (time.perf_counter() - start)

    def check(self) -> None:
        """Compare the newest version of every root, and one of old, with where agents should be."""
        for root, plan in zip(self.refs, self._plans, strict=True):
            for moves in (self._made, self._made // 2):
                layout = layout_of(self._runner.snapshot(root, moves + 1))
                if layout != layout_after(SIZE, plan[:moves]):
                    message = f"{OURS}: version {moves + 1} of {root.address} is wrong"
                    raise AssertionError(message)


def time_single_executions(runner: Runner, root: Ref, moves: Sequence[Move]) -> list[float]:
    """Make *moves* one after the other, each submitted alone; microseconds each."""
    clock = time.perf_counter_ns
    elapsed = []
    for source, name, target in moves:
        start = clock()
        outcome = runner.execute(
            "move_agent_global",
            gridmap=root,
            source_index=source,
            agent_name=name,
            target_index=target,
        )
        elapsed.append((clock() - start) / 1000)
        outcome.result()
    return elapsed


def _finish(runner: Runner, jobs: Sequence[Job]) -> None:
    """Submit *jobs* and take every outcome; one that is not ok raises what went wrong."""
    failed = [outcome for outcome in runner.submit(jobs) if not outcome.ok]
    if failed:
        message = f"{len(failed)} of {len(jobs)} moves failed, the first with {failed[0].error}"
        raise AssertionError(message)


def _job(root: Ref, move: Move) -> Job:
    source, name, target = move
    arguments = {"source_index": source, "agent_name": name, "target_index": target}
    return Job("move_agent_global", root, arguments)


def _trials(
    count: int,
    run: Callable[[Sequence[Sequence[Move]]], float],
    plans: Sequence[Sequence[Move]],
) -> Iterator[list[float]]:
    for _ in range(count):
        yield [run(plans)]


def _shortened(plans: Iterable[Sequence[Move]], share: int) -> list[Sequence[Move]]:
    return [plan[: max(1, len(plan) // share)] for plan in plans]


def _bytes_figure(title: str, size: Size, value: float, smaller: Sequence[Figure]) -> Figure:
    baselines = [Line("task", Spread.of([shipped_bytes(size)]))]
    reaches = []
    for figure in smaller:
        baselines.append(Line(f"{OURS} at {figure.entities:,}", figure.ours.spread))
        # Not 1: the address of another root may have another length.
        reaches.append(Reach("<=", 1.1, of=baselines[-1].contender))
    ours = Line(OURS, Spread.of([value]))
    return Figure(title, size.entities, Unit.BYTES, ours, tuple(baselines), tuple(reaches))
