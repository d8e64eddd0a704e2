"""The cascade of events ends in its report, and every step of it is on record."""

from __future__ import annotations

from collections import Counter

import pytest

from examples import events


def test_the_report_has_a_line_for_every_tenth_arrival() -> None:
    lines = events.main(moves=35)

    assert [line.split(",")[0] for line in lines] == ["10 arrivals", "20 arrivals", "30 arrivals"]


def test_every_step_of_the_cascade_is_an_execution_in_its_order() -> None:
    city = events.City()
    for n in range(events.MILESTONE):
        city.workspace.execute("move", gridmap=city.grid, source=n % 2, target=1 - n % 2)

    names = [record.callable_name for record in city.workspace.executions()]
    assert Counter(names) == {"move": 10, "count": 10, "write": 1}
    assert names[:2] == ["move", "count"]
    assert names[-3:] == ["move", "count", "write"]
    assert city.noticed == [2]
    assert city.lines() == ["10 arrivals, most of them at node-0: 5"]


def test_a_move_that_fails_causes_nothing() -> None:
    city = events.City()
    with pytest.raises(IndexError):
        city.workspace.execute("move", gridmap=city.grid, source=0, target=9)

    assert city.workspace.head(city.census) == 1
