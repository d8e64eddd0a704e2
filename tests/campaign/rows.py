"""Rows of the campaign's table: what was done how often, what came of it, whether it is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.campaign.watch import quantile


@dataclass(frozen=True)
class Row:
    """One line.

    Attributes:
        number: Row of the table of the issue.
        what: What was done.
        count: How often.
        executions: How many executions were checked.
        problems: What is not as promised; empty is right.
        takeovers_s: Time from each death to the next outcome of its roots, where there was one.
        notes: Further figures, by name.
        took_s: How long it took.
    """

    number: int
    what: str
    count: int
    executions: int
    problems: Sequence[str]
    takeovers_s: Sequence[float] = ()
    notes: dict[str, Any] = field(default_factory=dict)
    took_s: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return it as data."""
        more = {"p50_s": self.p50_s, "p99_s": self.p99_s} if self.takeovers_s else {}
        return {
            **asdict(self),
            **more,
            "takeovers_s": [round(each, 4) for each in self.takeovers_s],
        }

    @property
    def p50_s(self) -> float:
        """Half of the takeovers took no longer."""
        return quantile(list(self.takeovers_s), 0.5)

    @property
    def p99_s(self) -> float:
        """99 of 100 takeovers took no longer."""
        return quantile(list(self.takeovers_s), 0.99)


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table of Markdown."""
    lines = [
        "| # | what | times | executions | problems | takeover p50 / p99 / max | figures | took |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        takeover = "-"
        if row.takeovers_s:
            takeover = f"{row.p50_s:.2f} / {row.p99_s:.2f} / {max(row.takeovers_s):.2f} s"
        notes = ", ".join(f"{name} {value}" for name, value in row.notes.items()) or "-"
        cells = [
            *(str(row.number), row.what, f"{row.count:,}"),
            f"{row.executions:,}" if row.executions else "-",
            *(str(len(row.problems)), takeover, notes, f"{row.took_s:.0f} s"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
