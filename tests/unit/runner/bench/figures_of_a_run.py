"""Figures as a run might have measured them, for the tests of what is made of them."""

from __future__ import annotations

from runner.bench.figures import OURS, Figure, Line, Reach, Spread, Unit


def line(contender: str, *values: float) -> Line:
    return Line(contender, Spread.of(values))


MOVE = Figure(
    "one move",
    111,
    Unit.MICROSECONDS,
    line(OURS, 9.0, 10.0, 14.0),
    (line("frozen", 8.0), line("bare", 0.8)),
    (Reach("<=", 2, of="frozen"),),
)
LARGE_MOVE = Figure(
    "one move",
    101_001,
    Unit.MICROSECONDS,
    line(OURS, 45.0),
    (line("frozen", 20.0), line("deepcopy", 575_000.0), line(f"{OURS} at 111", 10.0)),
    (Reach("<=", 2, of="frozen"), Reach("<=", 5, of=f"{OURS} at 111")),
)
MEMORY = Figure(
    "memory kept per version",
    111,
    Unit.BYTES,
    line(OURS, 512.0),
    reaches=(Reach("<=", 1024), Reach("<=", 1, of="nobody")),
)
FLIGHTS = Figure(
    "27,004 departures",
    None,
    Unit.EXECUTIONS_PER_S,
    line(OURS, 23_456.0),
    (line("reading them", 234_560.0),),
    (Reach(">=", 20_000),),
)
FIGURES = (MOVE, LARGE_MOVE, MEMORY, FLIGHTS)
