"""Figures as one picture, SVG or PNG: a panel for each kind, bars on a logarithmic scale.

matplotlib is an extra (`treerunner[bench]`) and imported only when a picture is drawn.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import textwrap
from typing import TYPE_CHECKING

from runner.bench.figures import OURS, Unit
from runner.bench.tables import format_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from runner.bench.figures import Figure, Line

SUFFIXES = (".svg", ".png")

_COLUMNS = 2
_PANEL_INCHES = (7.4, 3.6)
_GAP_BARS = 1
"""Between two sizes, in widths of a bar."""
_LEAST_BARS = 6
"""A panel has room for so many, so that two bars do not fill it."""
_OURS_COLOUR = "#d1495b"
_REACH_COLOUR = "#222222"
_BASELINE_COLOURS = ("#30638e", "#8fb8de", "#a9a9a9", "#edae49", "#00798c", "#6b4e71")
_AXIS_LABELS = {
    Unit.MICROSECONDS: "microseconds",
    Unit.BYTES: "bytes",
    Unit.ENTITIES_PER_S: "entities per second",
    Unit.EXECUTIONS_PER_S: "executions per second",
}


def why_no_picture(path: Path) -> str | None:
    """Return why no picture can be drawn to *path*, in one line; None if it can."""
    if path.suffix.lower() not in SUFFIXES:
        return f"{str(path)!r} ends in {path.suffix!r}; a picture ends in .svg or .png"
    if importlib.util.find_spec("matplotlib") is None:
        return "matplotlib is not installed; pip install 'treerunner[bench]' draws pictures"
    return None


def draw_picture(path: Path, title: str, subtitle: str, figures: Sequence[Figure]) -> None:
    """Draw *figures* to *path*, a panel for each title in order."""
    # No pyplot: it keeps global state and may look for a screen.
    from matplotlib.figure import Figure as Canvas
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    panels = [list(group) for _, group in itertools.groupby(figures, key=lambda f: f.title)]
    colours = _colours(figures)
    rows, columns = math.ceil(len(panels) / _COLUMNS), min(_COLUMNS, len(panels))
    width, height = _PANEL_INCHES
    canvas = Canvas(figsize=(width * columns, height * rows + 1.0), layout="constrained")
    canvas.suptitle(title, fontsize=14, fontweight="bold")
    canvas.legend(
        handles=[
            *(Patch(color=colour, label=name) for name, colour in colours.items()),
            Line2D([], [], color=_REACH_COLOUR, ls="--", label="to reach"),
        ],
        title="\n".join(textwrap.wrap(subtitle, 100 * columns)),
        title_fontsize=8,
        loc="outside lower center",
        ncols=4 * columns,
        frameon=False,
        fontsize=9,
    )
    axes = iter(canvas.subplots(rows, columns, squeeze=False).flat)
    for panel in panels:
        _draw_panel(next(axes), panel, colours)
    for unused in axes:
        unused.set_visible(False)
    canvas.savefig(path, dpi=150)


def _draw_panel(axes: Axes, figures: Sequence[Figure], colours: Mapping[str, str]) -> None:
    """Draw one group of bars for each size, ours first, with dashes at what it should reach."""
    unit, start, ticks, levels = figures[0].unit, 0, [], list[float]()
    for figure in figures:
        lines = [figure.ours, *_shown(figure.baselines)]
        for position, line in enumerate(lines, start):
            _draw_bar(axes, position, line.spread.median, unit, colours[line.contender])
            levels.append(line.spread.median)
        for level in _reach_levels(figure):
            axes.plot([start - 0.43, start + 0.43], [level] * 2, color=_REACH_COLOUR, ls="--")
            levels.append(level)
        label = "" if figure.entities is None else f"{figure.entities:,} entities"
        ticks.append((start + (len(lines) - 1) / 2, label))
        start += len(lines) + _GAP_BARS
    _set_value_axis(axes, levels, unit)
    middle = (start - _GAP_BARS - 1) / 2
    half_width = max(middle + 1, _LEAST_BARS / 2)
    axes.set_xlim(middle - half_width, middle + half_width)
    axes.set_xticks([x for x, _ in ticks], [label for _, label in ticks])
    axes.tick_params(axis="x", length=0)
    better = "less" if unit in (Unit.MICROSECONDS, Unit.BYTES) else "more"
    axes.set_title(f"{figures[0].title} ({better} is better)", fontsize=10.5, loc="left")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_bar(axes: Axes, x: float, value: float, unit: Unit, colour: str) -> None:
    axes.bar(x, value, width=0.86, color=colour)
    axes.annotate(
        format_value(value, unit),
        (x, value),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        fontsize=7,
        # Readable also where a dashed line passes.
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.2},
        zorder=5,
    )


def _reach_levels(figure: Figure) -> list[float]:
    """Return where our bar should end; a ratio is taken times its baseline."""
    medians = {line.contender: line.spread.median for line in figure.baselines}
    return [
        reach.limit * (medians[reach.of] if reach.of else 1)
        for reach in figure.reaches
        if reach.of is None or reach.of in medians
    ]


def _set_value_axis(axes: Axes, levels: Sequence[float], unit: Unit) -> None:
    """Scale the axis over whole powers of ten, with room for the lowest bar and highest label."""
    axes.set_yscale("log")
    axes.set_ylim(
        10 ** math.floor(math.log10(min(levels) / 1.5)),
        10 ** math.ceil(math.log10(max(levels) * 1.5)),
    )
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    axes.yaxis.set_minor_formatter(lambda *_: "")
    axes.set_ylabel(_AXIS_LABELS[unit])


def _shown(baselines: Sequence[Line]) -> list[Line]:
    """Leave out our own lines from other sizes: they have bars of their own."""
    return [line for line in baselines if not line.contender.startswith(OURS)]


def _colours(figures: Sequence[Figure]) -> dict[str, str]:
    names = dict.fromkeys(line.contender for f in figures for line in _shown(f.baselines))
    baselines = zip(names, itertools.cycle(_BASELINE_COLOURS), strict=False)
    return {OURS: _OURS_COLOUR, **dict(baselines)}
