"""January's flights against a simulation in plain dictionaries that shares no code with the engine.

The simulation reads the same file and keeps, for each airline, where every plane is and what it has
flown, as dictionaries and lists. It counts a version per departure, so any version of an airline
can be built again by stopping there.
"""

from __future__ import annotations

import csv
import gzip
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from examples import flights
from runner import Outcome, Runner

JANUARY_ROWS = 27_004
JANUARY_WITHOUT_TAILNUM = 155
JANUARY_NEVER_DEPARTED = 366
PAST_VERSIONS = 20
SEED = 2013

Planes = list[tuple[str, int, int]]
"""Tail number, flights and miles of the planes of an airport, in order of arrival."""

State = dict[str, Planes]
"""An airline: its airports by code, in order of first use."""


class Row(NamedTuple):
    """A line of the file."""

    scheduled: str
    dep_delay_min: str
    carrier: str
    flight: str
    tailnum: str
    origin: str
    dest: str
    distance_mi: str


def january() -> list[Row]:
    with gzip.open(flights.JANUARY, "rt", encoding="utf-8", newline="") as file:
        return [Row(*cells) for cells in csv.reader(file)][1:]


def simulate(rows: list[Row], carrier: str, version: int | None = None) -> State:
    """Return the state of an airline at a version; by default after all rows."""
    state: State = {}
    place_of: dict[str, str] = {}
    departures = 0
    for row in rows:
        if row.carrier != carrier or not row.tailnum or not row.dep_delay_min:
            continue
        if departures + 1 == version:
            break
        departures += 1
        state.setdefault(row.origin, [])
        flown = (row.tailnum, 0, 0)
        if row.tailnum in place_of:
            planes = state[place_of[row.tailnum]]
            flown = next(plane for plane in planes if plane[0] == row.tailnum)
            planes.remove(flown)
        _, count, miles = flown
        arrived = (row.tailnum, count + 1, miles + int(row.distance_mi))
        state.setdefault(row.dest, []).append(arrived)
        place_of[row.tailnum] = row.dest
    return state


def state_of(airline: Any) -> State:
    """Return an airline, read through the engine, in the simulation's form."""
    assert isinstance(airline, flights.Airline)
    return {
        code: [(plane.tailnum, plane.flights, plane.miles) for plane in airport.planes]
        for code, airport in airline.airports.items()
    }


class Flown(NamedTuple):
    """A runner after January, what came out of it, and the rows that went in."""

    runner: Runner
    outcomes: list[Outcome]
    rows: list[Row]

    def successes(self) -> Counter[str]:
        return Counter(row.carrier for row in self.rows if row.tailnum and row.dep_delay_min)

    def outcomes_by_row(self) -> list[tuple[Row, Outcome]]:
        return list(zip(self.rows, self.outcomes, strict=True))


@pytest.fixture(scope="module")
def flown() -> Iterator[Flown]:
    with Runner(flights.app, in_process=True) as runner:
        for name, airline in flights.roots().items():
            runner.add(airline, name=name)
        outcomes = list(runner.submit(flights.jobs(flights.JANUARY)).in_order())
        yield Flown(runner, outcomes, january())


def test_every_row_has_an_outcome_in_its_place(flown: Flown) -> None:
    ids = [f"{row.scheduled} {row.carrier}{row.flight}" for row in flown.rows]

    assert len(flown.rows) == JANUARY_ROWS
    assert [outcome.id for outcome in flown.outcomes] == ids
    assert [outcome.index for outcome in flown.outcomes] == list(range(JANUARY_ROWS))


def test_rows_without_a_plane_are_refused_by_argument_validation(flown: Flown) -> None:
    refused = [outcome for row, outcome in flown.outcomes_by_row() if not row.tailnum]

    assert len(refused) == JANUARY_WITHOUT_TAILNUM
    assert all(not outcome.ok for outcome in refused)
    assert all("'tailnum'" in str(outcome.error) for outcome in refused)


def test_flights_that_never_left_are_refused_by_the_callable_by_name(flown: Flown) -> None:
    refused = [
        (row, outcome)
        for row, outcome in flown.outcomes_by_row()
        if row.tailnum and not row.dep_delay_min
    ]

    assert len(refused) == JANUARY_NEVER_DEPARTED
    for row, outcome in refused:
        assert not outcome.ok
        assert row.tailnum in str(outcome.error)
        assert row.scheduled.replace("T", " ") in str(outcome.error)


def test_every_other_row_succeeds(flown: Flown) -> None:
    failed = sum(not outcome.ok for outcome in flown.outcomes)

    assert failed == JANUARY_WITHOUT_TAILNUM + JANUARY_NEVER_DEPARTED


@pytest.mark.parametrize("carrier", flights.CARRIERS)
def test_the_version_of_an_airline_is_one_and_its_successes(flown: Flown, carrier: str) -> None:
    assert flown.runner.snapshot(carrier).version == 1 + flown.successes()[carrier]


@pytest.mark.parametrize("carrier", flights.CARRIERS)
def test_the_final_state_of_an_airline_equals_the_simulation(flown: Flown, carrier: str) -> None:
    state = state_of(flown.runner.snapshot(carrier))

    expected = simulate(flown.rows, carrier)
    assert state == expected
    assert list(state) == list(expected)


def test_past_versions_equal_the_simulation_stopped_there(flown: Flown) -> None:
    chance = random.Random(SEED)
    successes = flown.successes()

    for _ in range(PAST_VERSIONS):
        carrier = chance.choice(sorted(successes))
        version = chance.randint(1, successes[carrier] + 1)
        state = state_of(flown.runner.snapshot(carrier, version))
        assert state == simulate(flown.rows, carrier, version), (SEED, carrier, version)
