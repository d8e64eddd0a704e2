"""The table shows each figure beside its baselines, the ratio, and whether it is enough."""

from __future__ import annotations

import pytest
from rich.console import Console

from runner.bench.figures import Unit
from runner.bench.tables import figures_table, format_value
from tests.unit.runner.bench.figures_of_a_run import FIGURES


@pytest.fixture(scope="module")
def lines() -> list[list[str]]:
    """Return the words of each line of a table."""
    console = Console(width=110)
    with console.capture() as capture:
        console.print(figures_table("a run", FIGURES))
    return [line.split() for line in capture.get().splitlines()]


@pytest.mark.parametrize(
    "words",
    [
        "one move 111 10 us frozen 8 us 1.2x <= 2x met",
        "bare 0.8 us 12.5x",
        "101,001 45 us frozen 20 us 2.2x <= 2x not met",
        "deepcopy 575 ms 7.8e-05x",
        "treerunner at 111 10 us 4.5x <= 5x met",
        "memory kept per version 111 512 B <= 1 KB met",
        "27,004 departures 23,456/s reading them 234,560/s 0.1x >= 20,000/s met",
    ],
)
def test_the_table_has_a_line_for_each_baseline(lines: list[list[str]], words: str) -> None:
    assert words.split() in lines


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.83, Unit.MICROSECONDS, "0.83 us"),
        (7.14, Unit.MICROSECONDS, "7.1 us"),
        (343.2, Unit.MICROSECONDS, "343 us"),
        (575_000, Unit.MICROSECONDS, "575 ms"),
        (2_000_000, Unit.MICROSECONDS, "2 s"),
        (0.0, Unit.BYTES, "0 B"),
        (831.4, Unit.BYTES, "831 B"),
        (11_571, Unit.BYTES, "11.3 KB"),
        (78_444.4, Unit.EXECUTIONS_PER_S, "78,444/s"),
    ],
)
def test_a_value_has_three_digits_and_a_fitting_unit(value: float, unit: Unit, text: str) -> None:
    assert format_value(value, unit) == text
