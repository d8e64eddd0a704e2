"""What `make demo` runs: a year of flights through Ray, then a look back at one plane's year.

Run: python -m examples.flights_demo --january --in-process
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from examples import flights
from examples.flights import Airline, Plane
from runner import Runner
from runner.report import NO_ROOT, Progress, Tally, plain_table, show_result

ROW_COUNTS = {flights.JANUARY: 27_004, flights.YEAR: 336_776}
HOSTS_PER_CPU = 2
"""Airlines differ a hundredfold in size; with one host for each CPU, one gets most of the work."""
CARRIER = "UA"
TAILNUM = "N14228"


@click.command(help="Fly a year from New York: 336,776 executions over 16 airlines.")
@click.option("--january", is_flag=True, help="The first month only, 27,004 executions.")
@click.option(
    "--hosts",
    type=click.IntRange(min=1),
    default=lambda: HOSTS_PER_CPU * (os.cpu_count() or 1),
    show_default="two for each CPU",
    metavar="N",
    help="Processes to spread the airlines over.",
)
@click.option("--in-process", is_flag=True, help="Without Ray.")
def main(january: bool, hosts: int, in_process: bool) -> None:
    """Fly, show what became of it, and look back."""
    path = flights.JANUARY if january else flights.YEAR
    console = Console(stderr=True)
    tally = Tally()
    progress = Progress(tally, console, total=ROW_COUNTS[path], phase="starting hosts")
    runner = Runner(flights.app, hosts=None if in_process else hosts, in_process=in_process)
    with progress, runner:
        interrupted = fly(runner, path, tally)
        progress.close()
        if interrupted:
            show_result(tally, console, noun="airline")
            sys.exit(130)
        planes = {carrier: f"{count_planes(runner, carrier):,}" for carrier in flights.CARRIERS}
        show_result(tally, console, extra={"planes": planes}, noun="airline")
        Console().print("", where_it_was(runner, CARRIER, TAILNUM))


def fly(runner: Runner, path: Path, tally: Tally) -> bool:
    """Run all departures of a file; return whether Ctrl-C ended it."""
    carriers = dict(zip(runner.add_many(flights.roots()), flights.CARRIERS, strict=True))
    tally.begin()
    try:
        for outcome in runner.submit(flights.jobs(path)):
            tally.note(carriers[outcome.root] if outcome.root else NO_ROOT, outcome)
    except KeyboardInterrupt:
        return True
    return False


def count_planes(runner: Runner, carrier: str) -> int:
    """Return how many planes an airline has by now."""
    return sum(1 for _ in planes_of(runner, carrier))


def where_it_was(runner: Runner, carrier: str, tailnum: str) -> Table:
    """Read old versions for where a plane was at the end of each month."""
    table = plain_table(f"Where was {tailnum} at the end of each month?")
    table.add_column("month")
    table.add_column("airport")
    for heading in ("flights", "miles", "read at version"):
        table.add_column(heading, justify="right")
    for month, version in month_ends(runner, carrier).items():
        for code, plane in planes_of(runner, carrier, version):
            if plane.tailnum == tailnum:
                table.add_row(month, code, f"{plane.flights}", f"{plane.miles:,}", f"{version:,}")
    return table


def planes_of(
    runner: Runner, carrier: str, version: int | None = None
) -> Iterator[tuple[str, Plane]]:
    """Yield an airline's planes, each with the code of the airport where it was at a version."""
    airline = runner.snapshot(carrier, version)
    assert isinstance(airline, Airline)
    for code, airport in airline.airports.items():
        for plane in airport.planes:
            yield code, plane


def month_ends(runner: Runner, carrier: str) -> dict[str, int]:
    """Return an airline's last version in each month: the ids of the executions are flights."""
    return {
        info.execution_id[: len("2013-01")]: info.version
        for info in runner.history(carrier)
        if info.execution_id is not None
    }


if __name__ == "__main__":
    main()
