"""What `make demo` shows, on the first month and through Ray."""

from __future__ import annotations

import csv
import gzip

import pytest
from click.testing import CliRunner

from examples import flights, flights_demo


def last_flight_of(tailnum: str) -> tuple[str, int, int]:
    """Return where a plane went last in January, and its flights and miles, from the file alone."""
    with gzip.open(flights.JANUARY, "rt", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["tailnum"] == tailnum]
    flown = [row for row in rows if row["dep_delay_min"]]
    return flown[-1]["dest"], len(flown), sum(int(row["distance_mi"]) for row in flown)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_local")
def test_the_demo_counts_every_row_and_finds_the_plane() -> None:
    result = CliRunner().invoke(flights_demo.main, ["--january", "--hosts", "2"])

    assert result.exit_code == 0, result.output
    people = [line.split() for line in result.stderr.splitlines()]
    assert ["total", "26,483", "521"] in [words[:3] for words in people]
    assert {words[0] for words in people if words} >= flights.CARRIERS.keys()
    dest, count, miles = last_flight_of(flights_demo.TAILNUM)
    answer = [line.split() for line in result.stdout.splitlines()]
    assert ["2013-01", dest, str(count), f"{miles:,}"] in [words[:4] for words in answer]
