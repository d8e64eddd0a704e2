"""What `treerunner bench engine` measures: executions in process, beside the baselines.

Contenders sit in processes of their own and take turns (`turns.py`). The garbage collector stays
on, as users have it; single calls are timed, so that the median is what a call costs and the mean
includes the collector's pauses.
"""

from __future__ import annotations

import contextlib
import gc
import time
import tracemalloc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from examples import gridmap
from registry import Workspace
from runner.bench.contenders import (
    CONTENDERS,
    Bare,
    Deepcopy,
    Treerunner,
    check,
    make_bare_grid,
)
from runner.bench.figures import OURS, Figure, Line, Reach, Spread, Unit
from runner.bench.phases import measure_phases
from runner.bench.shapes import measure_events, measure_shapes
from runner.bench.turns import Seat, take_turns
from runner.bench.workload import (
    Size,
    plan_changes,
    plan_first_moves,
    plan_moves,
    split,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from runner.bench.contenders import (
        Contender,
    )
    from runner.bench.workload import (
        Change,
        Move,
    )

Item = TypeVar("Item")
Seats = Mapping[str, Seat]
"""By the name of the contender that sits there."""

BLOCK_CALLS = 200
"""Calls in one turn: some milliseconds, and enough to make the first, cold ones not count."""

FORK_TURNS = 10

COPIED_ENTITIES = 300_000
"""Bound on what *deepcopy* copies and keeps in one figure: about 300 MB."""

WARM_UP_SHARE = 10
"""One in so many repetitions runs before anything is counted."""

CHECKED_SIZE = Size(4, 3)


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What to measure, and how often."""

    sizes: tuple[Size, ...] = (Size(10, 10), Size(100, 100), Size(1000, 100))
    repetitions: int = 4000
    """Calls per figure; whole trees are added and forks made in numbers derived from it."""
    phases: bool = False
    """Whether to tell where the time of one move goes."""

    @classmethod
    def quick(cls) -> EngineSettings:
        """A look in some seconds, with noisier figures."""
        return cls(sizes=(Size(10, 10), Size(30, 30)), repetitions=400)


def measure_engine(settings: EngineSettings) -> Iterator[Figure]:
    """Check every contender, then measure and yield the figures one by one.

    Raises:
        AssertionError: A contender does not do what it promises.
    """
    for contender in CONTENDERS:
        check(contender, CHECKED_SIZE)
    with contextlib.ExitStack() as stack:
        seats = {contender.name: stack.enter_context(Seat()) for contender in CONTENDERS}
        yield from measure_moves(seats, settings)
        for measure in (measure_change, measure_memory, measure_adoption):
            for size in settings.sizes:
                yield measure(seats, size, settings.repetitions)
        yield from measure_forks(seats, settings)
        yield from measure_shapes(seats[OURS], settings.repetitions)
        yield from measure_events(list(seats.values()), settings.repetitions)
        if settings.phases:
            yield from measure_phases(seats[OURS], settings.repetitions)


def measure_moves(seats: Seats, settings: EngineSettings) -> Iterator[Figure]:
    """One move of an agent at each size; ours at the smallest size stands beside the others."""
    smallest: Line | None = None
    for size in settings.sizes:
        lines = _time_calls(seats, size, time_moves, plan_moves(size, settings.repetitions))
        ours, baselines = lines.pop(OURS), tuple(lines.values())
        reaches = [Reach("<=", 2, of="frozen")]
        if smallest is None:
            smallest = Line(f"{OURS} at {size.entities:,}", ours.spread)
        else:
            baselines = (*baselines, smallest)
            reaches.append(Reach("<=", 3, of=smallest.contender))
        yield Figure("one move", size.entities, Unit.MICROSECONDS, ours, baselines, tuple(reaches))


def measure_change(seats: Seats, size: Size, repetitions: int) -> Figure:
    """One field of one entity changed."""
    lines = _time_calls(seats, size, time_changes, plan_changes(size, repetitions))
    return _figure("one field changed", size, Unit.MICROSECONDS, lines, Reach("<=", 10))


def measure_memory(seats: Seats, size: Size, repetitions: int) -> Figure:
    """Memory that stays allocated per version of a history of moves.

    Every allocation is traced from before the tree is built, so what is freed or reallocated
    later is counted right. *bare* keeps no versions and does not take part.
    """
    lines = {}
    for contender in CONTENDERS:
        if contender.keeps_versions:
            moves = plan_moves(size, _bounded(contender, size, repetitions))
            seat = seats[contender.name]
            seat.hold(build_traced, contender, size)
            lines[contender.name] = _line(contender.name, [seat.call(memory_per_version, moves)])
            seat.hold(stop_tracing)
    return _figure("memory kept per version", size, Unit.BYTES, lines, Reach("<=", 1024))


def measure_adoption(seats: Seats, size: Size, repetitions: int) -> Figure:
    """Adding a tree that the caller goes on holding, beside building and copying one."""
    measures = {
        OURS: (seats[OURS], adoption_us),
        "pydantic builds it": (seats[Bare.name], building_us),
        "deepcopy": (seats[Deepcopy.name], copying_us),
    }
    turns = {}
    for name, (seat, measure) in measures.items():
        seat.hold(Size, size.nodes, size.agents)
        turns[name] = _repeat(seat, measure, _tree_count(size, repetitions))
    lines = {
        name: _line(name, [size.entities / us * 1e6 for us in values])
        for name, values in take_turns(turns).items()
    }
    return _figure("adopting a tree", size, Unit.ENTITIES_PER_S, lines, Reach(">=", 100_000))


def measure_forks(seats: Seats, settings: EngineSettings) -> list[Figure]:
    """A fork of the head, and the first move on it, each time on a new fork."""
    forks, first_moves = [], []
    for size in settings.sizes:
        moves = plan_first_moves(size, max(20, settings.repetitions // WARM_UP_SHARE))
        ours, copies = seats[OURS], seats[Deepcopy.name]
        ours.hold(Treerunner, size)
        copies.hold(Size, size.nodes, size.agents)
        measured = take_turns(
            {
                OURS: _blocks(ours, time_forks, split(moves, FORK_TURNS)),
                "deepcopy": _repeat(copies, copying_us, _tree_count(size, settings.repetitions)),
            }
        )
        # Fork and move alternate in what was measured.
        lines = {
            OURS: _line(OURS, measured[OURS][0::2]),
            "deepcopy": _line("deepcopy", measured["deepcopy"]),
        }
        first_move = {OURS: _line(OURS, measured[OURS][1::2])}
        forks.append(_figure("fork", size, Unit.MICROSECONDS, lines, Reach("<=", 100)))
        first_moves.append(
            _figure("first move on a fork", size, Unit.MICROSECONDS, first_move, Reach("<=", 3000))
        )
    return forks + first_moves


def time_moves(contender: Contender, moves: Sequence[Move]) -> list[float]:
    """Make *moves* and return how long each took, in microseconds."""
    move, clock = contender.move, time.perf_counter_ns
    elapsed = []
    for source, name, target in moves:
        start = clock()
        move(source, name, target)
        elapsed.append((clock() - start) / 1000)
    return elapsed


def time_changes(contender: Contender, changes: Sequence[Change]) -> list[float]:
    """Make *changes* and return how long each took, in microseconds."""
    set_speed, clock = contender.set_speed, time.perf_counter_ns
    elapsed = []
    for node, agent, speed in changes:
        start = clock()
        set_speed(node, agent, speed)
        elapsed.append((clock() - start) / 1000)
    return elapsed


def time_forks(contender: Treerunner, moves: Sequence[Move]) -> list[float]:
    """Fork the head for each move and make it; return fork, move, fork, move, ... in us."""
    workspace, root, clock = contender.workspace, contender.root, time.perf_counter_ns
    elapsed = []
    for source, name, target in moves:
        start = clock()
        fork = workspace.fork(root)
        forked = clock()
        workspace.execute(
            "move_agent_global",
            gridmap=fork,
            source_index=source,
            agent_name=name,
            target_index=target,
        )
        elapsed += [(forked - start) / 1000, (clock() - forked) / 1000]
    return elapsed


def memory_per_version(contender: Contender, moves: Sequence[Move]) -> float:
    """Make *moves* and return the bytes that stay allocated for each of them."""
    warm_up = len(moves) // WARM_UP_SHARE
    for move in moves[:warm_up]:
        contender.move(*move)
    before = _traced_bytes()
    for move in moves[warm_up:]:
        contender.move(*move)
    return (_traced_bytes() - before) / (len(moves) - warm_up)


def adoption_us(size: Size) -> float:
    """Return how long a new workspace takes to add a new tree."""
    workspace, grid = Workspace(), gridmap.make_grid(size.nodes, size.agents)
    return _elapsed_us(lambda: workspace.add(grid))


def building_us(size: Size) -> float:
    """Return how long pydantic takes to make the same tree of plain models."""
    return _elapsed_us(lambda: make_bare_grid(size))


def copying_us(size: Size) -> float:
    """Return how long a deep copy of the tree of plain models takes."""
    grid = make_bare_grid(size)
    return _elapsed_us(lambda: grid.model_copy(deep=True))


def _elapsed_us(function: Callable[[], object]) -> float:
    gc.collect()
    start = time.perf_counter_ns()
    kept = function()
    elapsed = time.perf_counter_ns() - start
    del kept  # only now: freeing a tree is not part of making it
    return elapsed / 1000


def _traced_bytes() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def build_traced(make: type[Contender], size: Size) -> Contender:
    """Trace every allocation of this process from now on, and build a contender."""
    tracemalloc.start()
    return make(size)


def stop_tracing() -> None:
    """Let this process run at its own speed again."""
    tracemalloc.stop()


def _time_calls(
    seats: Seats,
    size: Size,
    measure: Callable[[Contender, Sequence[Item]], list[float]],
    plan: Sequence[Item],
) -> dict[str, Line]:
    """Let every contender work through *plan* in blocks; return its times by name."""
    turns = {}
    for contender in CONTENDERS:
        seats[contender.name].hold(contender, size)
        own_plan = plan[: _bounded(contender, size, len(plan))]
        blocks = split(own_plan, max(1, len(plan) // BLOCK_CALLS))
        turns[contender.name] = _blocks(seats[contender.name], measure, blocks)
    return {name: _line(name, values) for name, values in take_turns(turns).items()}


def _blocks(
    seat: Seat,
    measure: Callable[[Any, Sequence[Item]], list[float]],
    blocks: Iterable[Sequence[Item]],
) -> Iterator[list[float]]:
    for block in blocks:
        yield seat.call(measure, block)


def _repeat(seat: Seat, measure: Callable[[Any], float], repetitions: int) -> Iterator[list[float]]:
    for _ in range(repetitions):
        yield [seat.call(measure)]


def _bounded(contender: type[Contender], size: Size, repetitions: int) -> int:
    if contender is Deepcopy:
        return min(repetitions, max(2, COPIED_ENTITIES // size.entities))
    return repetitions


def _tree_count(size: Size, repetitions: int) -> int:
    """Return how often whole trees are made: less often the larger they are."""
    return max(5, min(repetitions // WARM_UP_SHARE, 2 * COPIED_ENTITIES // size.entities))


def _line(contender: str, values: Sequence[float]) -> Line:
    return Line(contender, Spread.of(values))


def _figure(title: str, size: Size, unit: Unit, lines: dict[str, Line], reach: Reach) -> Figure:
    baselines = tuple(line for name, line in lines.items() if name != OURS)
    return Figure(title, size.entities, unit, lines[OURS], baselines, (reach,))
