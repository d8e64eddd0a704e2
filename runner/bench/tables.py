"""Figures as tables for people: ours beside each baseline, the ratio, and whether it is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from runner.bench.figures import OURS, Unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.bench.figures import Figure, Line, Reach

_SCALES: dict[Unit, tuple[tuple[float, str], ...]] = {
    Unit.MICROSECONDS: ((1e6, "s"), (1e3, "ms"), (1, "us")),
    Unit.BYTES: ((1024**2, "MB"), (1024, "KB"), (1, "B")),
}


def figures_table(title: str, figures: Sequence[Figure]) -> Table:
    """Return one table of *figures*: a line for each baseline and each figure to reach."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True)
    table.add_column("figure", min_width=24)
    table.add_column("entities", justify="right")
    table.add_column(OURS, justify="right", style="bold")
    table.add_column("beside")
    table.add_column("", justify="right")
    table.add_column("ratio", justify="right")
    table.add_column("reach")
    previous = ""
    for figure in figures:
        if previous and figure.title != previous:
            table.add_section()
        _add_figure(table, figure, show_title=figure.title != previous)
        previous = figure.title
    return table


def format_value(value: float, unit: Unit) -> str:
    """Return *value* with a unit that keeps it short, as in `18.3 us`, `1.0 KB`, `78,444/s`."""
    if unit not in _SCALES:
        return f"{value:,.0f}/s"
    scales = _SCALES[unit]
    scale, name = next((each for each in scales if value >= each[0]), scales[-1])
    return f"{_three_digits(value / scale)} {name}"


def format_entities(entities: int | None) -> str:
    """Return the size of a tree, empty if there is no single one."""
    return "" if entities is None else f"{entities:,}"


def format_reach(reach: Reach, unit: Unit) -> str:
    """Return a figure to reach, as in `<= 2x` beside its baseline or `<= 10 us`."""
    if reach.of is None:
        return f"{reach.sense} {format_value(reach.limit, unit)}"
    return f"{reach.sense} {_three_digits(reach.limit)}x"


def _add_figure(table: Table, figure: Figure, *, show_title: bool) -> None:
    own = [reach for reach in figure.reaches if reach.of is None]
    lines: list[tuple[Line | None, list[Reach]]] = [
        (line, [reach for reach in figure.reaches if reach.of == line.contender])
        for line in figure.baselines
    ]
    # A limit of our own stands on the first line, beside our own value.
    first_line, first_reaches = lines[0] if lines else (None, [])
    lines[:1] = [(first_line, own + first_reaches)]
    for number, (line, reaches) in enumerate(lines):
        is_first = number == 0
        table.add_row(
            figure.title if is_first and show_title else "",
            format_entities(figure.entities) if is_first else "",
            format_value(figure.ours.spread.median, figure.unit) if is_first else "",
            line.contender if line else "",
            format_value(line.spread.median, figure.unit) if line else "",
            _ratio(figure, line),
            Text(", ").join(_verdict(figure, reach) for reach in reaches),
        )


def _ratio(figure: Figure, line: Line | None) -> str:
    ratio = figure.ratio_to(line.contender) if line else None
    return f"{_three_digits(ratio)}x" if ratio is not None else ""


def _verdict(figure: Figure, reach: Reach) -> Text:
    measured = figure.measured_for(reach)
    claim = format_reach(reach, figure.unit)
    if measured is None:
        return Text(f"{claim} (not measured)", style="yellow")
    if reach.is_met_by(measured):
        return Text(f"{claim} met", style="green")
    return Text(f"{claim} not met", style="bold red")


def _three_digits(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.3g}"
    return f"{value:.2g}" if value < 1 else f"{value:.1f}".removesuffix(".0")
