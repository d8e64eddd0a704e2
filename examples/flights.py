"""A year of departures from New York, 336,776 executions over 16 airlines.

An airline owns airports, an airport owns the planes that are there, and `depart` moves a plane from
one to another: ordinary in-place Python. Rows that cannot have happened as they stand, because no
plane is named or it never left, become failed outcomes that name the row, and change nothing.

    treerunner run jobs.jsonl --app examples.flights

runs what this module writes; `flights_demo.py` does the same from Python, and asks where a plane
has been.

Run: python -m examples.flights > jobs.jsonl
"""

from __future__ import annotations

import csv
import gzip
import signal
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from pydantic import Field

from registry import Entity, Workspace
from runner import Job
from runner.jobs import format_job

DATA = Path(__file__).parent / "data"
JANUARY = DATA / "flights-2013-01.csv.gz"
YEAR = DATA / "flights-2013.csv.gz"

CARRIERS = {
    "9E": "Endeavor Air",
    "AA": "American Airlines",
    "AS": "Alaska Airlines",
    "B6": "JetBlue Airways",
    "DL": "Delta Air Lines",
    "EV": "ExpressJet Airlines",
    "F9": "Frontier Airlines",
    "FL": "AirTran Airways",
    "HA": "Hawaiian Airlines",
    "MQ": "Envoy Air",
    "OO": "SkyWest Airlines",
    "UA": "United Air Lines",
    "US": "US Airways",
    "VX": "Virgin America",
    "WN": "Southwest Airlines",
    "YV": "Mesa Airlines",
}

app = Workspace()


class Plane(Entity):
    """An aircraft and what it has flown so far."""

    tailnum: str
    flights: int = 0
    miles: int = 0


class Airport(Entity):
    """The planes that are at an airport, in order of arrival."""

    planes: list[Plane] = Field(default_factory=list)


class Airline(Entity):
    """The root: all of a carrier's planes, by the airport where they are.

    `places` says for each tail number at which airport the plane is, so that nobody has to look
    through all of them; `depart` keeps it in step.
    """

    carrier: str
    airports: dict[str, Airport] = Field(default_factory=dict)
    places: dict[str, str] = Field(default_factory=dict)


class NeverDepartedError(ValueError):
    """A flight was scheduled and did not take place."""


@app.register("depart")
def depart(
    airline: Airline,
    tailnum: str,
    origin: str,
    dest: str,
    distance_mi: int,
    scheduled: datetime,
    dep_delay_min: int | None,
) -> None:
    """Fly a plane from *origin* to *dest*.

    A plane not seen before enters at *origin*; one that is elsewhere is ferried there first.

    Raises:
        NeverDepartedError: *dep_delay_min* is None.
    """
    if dep_delay_min is None:
        when = f"scheduled for {scheduled:%Y-%m-%d %H:%M}"
        raise NeverDepartedError(f"{tailnum} never left {origin} for {dest}, {when}")
    open_airport(airline, origin)
    plane = take_out(airline, tailnum) or Plane(tailnum=tailnum)
    plane.flights += 1
    plane.miles += distance_mi
    open_airport(airline, dest).planes.append(plane)
    airline.places[tailnum] = dest


def open_airport(airline: Airline, code: str) -> Airport:
    """Return an airport, which the airline opens if it is new to it."""
    airports = airline.airports
    if code not in airports:
        airports[code] = Airport()
    return airports[code]


def take_out(airline: Airline, tailnum: str) -> Plane | None:
    """Remove a plane from wherever it is and return it; None if the airline has no such plane."""
    place = airline.places.get(tailnum)
    if place is None:
        return None
    planes = airline.airports[place].planes
    for position, plane in enumerate(planes):
        if plane.tailnum == tailnum:
            return planes.pop(position)
    return None


def roots() -> dict[str, Airline]:
    """Return an airline without planes for each carrier, by its code."""
    return {carrier: Airline(carrier=carrier) for carrier in CARRIERS}


def jobs(path: Path = YEAR) -> Iterator[Job]:
    """Read departures one at a time, in order of schedule, each as an execution of `depart`.

    A job's id is what people call the flight, its time and number: unique, and the same in both
    files. Cells become what the callable's hints ask for here, once, so that no host has to convert
    them; text would do as well, as it does in JSON lines.
    """
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows)  # the header
        for scheduled, delay, carrier, flight, tailnum, origin, dest, distance in rows:
            arguments = {
                "tailnum": tailnum or None,
                "origin": origin,
                "dest": dest,
                "distance_mi": int(distance),
                "scheduled": datetime.fromisoformat(scheduled),
                "dep_delay_min": int(delay) if delay else None,
            }
            yield Job("depart", carrier, arguments, f"{scheduled} {carrier}{flight}")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it quietly
    sys.stdout.buffer.writelines(map(format_job, jobs()))
