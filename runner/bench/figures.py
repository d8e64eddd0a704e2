"""Records of what was measured: spreads, figures, and whether they reach what they should.

Everything here is frozen plain data. `to_json` is the only codec; how a figure looks in a table or
picture is up to those.
"""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

JSON_FORMAT = 1
"""Rises when a reader of the JSON would have to change."""

OURS = "treerunner"


class Unit(StrEnum):
    """What a value counts."""

    MICROSECONDS = "us"
    BYTES = "B"
    ENTITIES_PER_S = "entities/s"
    EXECUTIONS_PER_S = "executions/s"
    COMMITS_PER_S = "commits/s"


@dataclass(frozen=True, slots=True)
class Spread:
    """What repeated measurements of one thing came to."""

    count: int
    median: float
    lower_quartile: float
    upper_quartile: float
    mean: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Summarise *values*, at least one.

        Raises:
            ValueError: There is no value.
        """
        ordered = sorted(values)
        if not ordered:
            message = "a spread takes at least one value"
            raise ValueError(message)
        lower, median, upper = (
            statistics.quantiles(ordered, n=4, method="inclusive")
            if len(ordered) > 1
            else ordered * 3
        )
        return cls(len(ordered), median, lower, upper, statistics.fmean(ordered))


@dataclass(frozen=True, slots=True)
class Line:
    """What one contender measured."""

    contender: str
    spread: Spread


@dataclass(frozen=True, slots=True)
class Reach:
    """A figure to reach: a limit for our median, or for its ratio to a baseline's."""

    sense: Literal["<=", ">="]
    limit: float
    of: str | None = None
    """The baseline that the limit is a multiple of; None: the limit has the figure's unit."""

    def is_met_by(self, measured: float) -> bool:
        """Whether *measured*, a value or a ratio as the limit is, is good enough."""
        return measured <= self.limit if self.sense == "<=" else measured >= self.limit


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of ours at one size, and those of the baselines from the same run."""

    title: str
    entities: int | None
    """Size of the tree; None if there are many trees of many sizes."""
    unit: Unit
    ours: Line
    baselines: tuple[Line, ...] = ()
    reaches: tuple[Reach, ...] = ()

    def ratio_to(self, contender: str) -> float | None:
        """Return our median divided by that of a baseline; None if it was not measured."""
        for line in self.baselines:
            if line.contender == contender:
                return self.ours.spread.median / line.spread.median
        return None

    def measured_for(self, reach: Reach) -> float | None:
        """Return what *reach* limits: our median, or its ratio to the baseline; None if unknown."""
        return self.ours.spread.median if reach.of is None else self.ratio_to(reach.of)

    def to_json(self) -> dict[str, Any]:
        """Return the figure with its ratios and verdicts as JSON-ready data."""
        return {
            "title": self.title,
            "entities": self.entities,
            "unit": self.unit.value,
            "ours": _line_to_json(self.ours),
            "baselines": [
                {**_line_to_json(line), "ratio": self.ratio_to(line.contender)}
                for line in self.baselines
            ],
            "reaches": [
                {**asdict(reach), "measured": measured, "met": reach.is_met_by(measured)}
                for reach in self.reaches
                if (measured := self.measured_for(reach)) is not None
            ],
        }


def _line_to_json(line: Line) -> dict[str, Any]:
    return {"contender": line.contender, **asdict(line.spread)}
