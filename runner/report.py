"""What a run shows to people, on standard error: progress while it goes on, a table at its end.

`Tally` counts outcomes and is all that the loop over a batch pays for; `Progress` looks at it a few
times a second, from a thread of its own. Standard output stays free for data.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from types import TracebackType
from typing import Self, get_args

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from runner.batch import ErrorInfo, Outcome, Status
from runner.errors import JobLineError

REDRAW_INTERVAL_S = 0.2
"""Between two pictures of the bar on a terminal."""

LINE_INTERVAL_S = 2.0
"""Between two lines of progress in a log, where nothing can be drawn over."""

NO_ROOT = "-"
"""Stands for the root of a job that named none, or none that exists."""

STATUSES: tuple[Status, ...] = get_args(Status)
ALWAYS_SHOWN = ("ok", "failed")

MAX_REASONS = 20
"""Kinds of failure that are told apart; further ones are counted together."""


@dataclass(slots=True)
class RootTally:
    """What became of the executions on one root so far."""

    counts: Counter[Status] = field(default_factory=Counter)
    version: int = 0
    last_s: float = 0.0


@dataclass(slots=True)
class Reason:
    """Failures of one kind: how many, and the first in full."""

    count: int
    example: str


class Tally:
    """Counts outcomes, by root and by reason.

    Args:
        place: Says where a job came from, for the first failure of each kind.
    """

    def __init__(self, place: Callable[[Outcome], str] = lambda outcome: outcome.id) -> None:
        self.roots: dict[str, RootTally] = {}
        self.reasons: dict[str, Reason] = {}
        self.done = 0
        self.ok = 0
        self.begun_s = self.last_s = perf_counter()
        self._place = place

    def begin(self) -> None:
        """Start the clock: what comes before, such as starting hosts, is not in the rates."""
        self.begun_s = perf_counter()

    def note(self, root: str, outcome: Outcome) -> None:
        """Count what became of a job on the root with this name."""
        tally = self._count(root, outcome.status)
        if outcome.ok:
            self.ok += 1
            # Outcomes of a root come in order, but nothing here relies on it.
            tally.version = max(tally.version, outcome.version)
        elif outcome.error is not None:
            self._note_reason(outcome, outcome.error)

    def note_refused(self, error: JobLineError) -> None:
        """Count a line that was no job."""
        self._count(NO_ROOT, "failed")
        self._add_reason(type(error).__name__, lambda: str(error))

    @property
    def failed(self) -> int:
        """Jobs whose outcome is anything but ok."""
        return self.done - self.ok

    @property
    def rate(self) -> float:
        """Outcomes per second from the beginning to the latest one."""
        return self._rate(self.done, self.last_s)

    def rate_of(self, root: str) -> float:
        """Return the outcomes per second of a root, from the beginning to its latest one."""
        tally = self.roots[root]
        return self._rate(tally.counts.total(), tally.last_s)

    def _count(self, root: str, status: Status) -> RootTally:
        tally = self.roots.get(root)
        if tally is None:
            tally = self.roots[root] = RootTally()
        tally.counts[status] += 1
        tally.last_s = self.last_s = perf_counter()
        self.done += 1
        return tally

    def _rate(self, done: int, last_s: float) -> float:
        seconds = last_s - self.begun_s
        return done / seconds if seconds > 0 else 0.0

    def _note_reason(self, outcome: Outcome, error: ErrorInfo) -> None:
        self._add_reason(error.type, lambda: f"{self._place(outcome)}: {error.message}")

    def _add_reason(self, kind: str, example: Callable[[], str]) -> None:
        if kind not in self.reasons and len(self.reasons) >= MAX_REASONS:
            kind = "other"
        reason = self.reasons.get(kind)
        if reason is None:
            self.reasons[kind] = Reason(1, example())
        else:
            reason.count += 1


class Progress:
    """Shows a tally while it grows: a bar on a terminal, a line now and then in a log.

    Use as a context manager.
    """

    def __init__(
        self, tally: Tally, console: Console, *, total: int | None, phase: str = "running"
    ) -> None:
        self.phase = phase
        """What is going on, shown until the first outcome is there."""
        self._tally = tally
        self._console = console
        self._total = total
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)
        self._live = Live(
            console=console, get_renderable=self._picture, auto_refresh=False, transient=False
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start(refresh=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Draw once more and stop; a second call does nothing."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join()
        if self._console.is_terminal:
            self._live.stop()
        else:
            self._show()

    def _watch(self) -> None:
        draws = self._console.is_terminal
        while not self._ended.wait(REDRAW_INTERVAL_S if draws else LINE_INTERVAL_S):
            self._show()

    def _show(self) -> None:
        if self._console.is_terminal:
            self._live.refresh()
        else:
            self._console.print(self._words(), soft_wrap=True, highlight=False)

    def _picture(self) -> RenderableType:
        grid = Table.grid(padding=(0, 1))
        done = self._tally.done
        # rich marks a bar as finished when it is full; without a total it shows a pulse.
        bar = ProgressBar(total=self._total, completed=done, pulse=self._total is None, width=32)
        grid.add_row(bar, Text(self._words()))
        return grid

    def _words(self) -> str:
        tally = self._tally
        if not tally.done:
            return f"{self.phase} ({perf_counter() - tally.begun_s:.0f} s)"
        of = f" of {self._total:,}" if self._total is not None else ""
        return f"{tally.done:,}{of}  {tally.rate:,.0f}/s  {tally.failed:,} failed"


def show_result(
    tally: Tally,
    console: Console,
    *,
    extra: Mapping[str, Mapping[str, str]] | None = None,
    noun: str = "root",
) -> None:
    """Print why jobs did not succeed, if any did not, and the closing table."""
    console.print()
    if tally.reasons:
        console.print(reasons_table(tally))
        console.print()
    console.print(root_table(tally, extra, noun))


def root_table(
    tally: Tally, extra: Mapping[str, Mapping[str, str]] | None = None, noun: str = "root"
) -> Table:
    """Return the closing table: a line per root, in order of name, and a total.

    Args:
        tally: What was counted.
        extra: More columns: heading to root to cell.
        noun: What a root is, for the first heading.
    """
    extra = extra or {}
    totals = sum((root.counts for root in tally.roots.values()), Counter[Status]())
    statuses = [status for status in STATUSES if totals[status] or status in ALWAYS_SHOWN]
    table = plain_table(show_footer=True)
    table.add_column(noun, "total", no_wrap=True)
    for status in statuses:
        table.add_column(status, f"{totals[status]:,}", justify="right")
    for heading in ("version", *extra):
        table.add_column(heading, justify="right")
    table.add_column("executions/s", f"{tally.rate:,.0f}", justify="right")
    for name, root in sorted(tally.roots.items()):
        table.add_row(
            _plain(name),
            *(f"{root.counts[status]:,}" for status in statuses),
            f"{root.version:,}" if root.version else "-",
            *(column.get(name, "") for column in extra.values()),
            f"{tally.rate_of(name):,.0f}",
        )
    return table


def reasons_table(tally: Tally) -> Table:
    """Return why jobs did not succeed: how many for each kind of error, and its first in full."""
    table = plain_table()
    table.add_column("count", justify="right")
    table.add_column("error", no_wrap=True)
    table.add_column("the first one")
    for kind, reason in sorted(tally.reasons.items(), key=lambda item: -item[1].count):
        table.add_row(f"{reason.count:,}", _plain(kind), _plain(reason.example))
    return table


def _plain(text: str) -> Text:
    """Return a user's text in one line: no markup is read in it, and no terminal code gets out."""
    return Text("".join(char if char.isprintable() else ascii(char)[1:-1] for char in text))


def plain_table(title: str | None = None, *, show_footer: bool = False) -> Table:
    """Return an empty table in the style of this module: columns, and no lines around them."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        show_footer=show_footer,
    )
