"""Jobs wait in order, and leave as chunks with just their own values."""

from __future__ import annotations

from typing import Any

import pytest

from registry import Ref
from registry.ids import new_key
from runner.lane import Lane
from runner.wire import Row

KEY = new_key()
ROOT = Ref(KEY, KEY)
BATCH = 1 << 40


def row(index: int, *values: Any, own_id: str | None = None) -> Row:
    names = tuple(f"argument_{number}" for number in range(len(values)))
    return (f"takes_{len(values)}", names), ROOT, index, own_id, values


def lane_of(*rows: Row, chunk_jobs: int = 2) -> Lane:
    lane = Lane(0, chunk_jobs)
    for each in rows:
        lane.add(each, 5.0)
    return lane


MIXED = [row(0, "a"), row(1), row(2, "b", "c", own_id="mine"), row(3, "d"), row(4, "e")]


def test_chunks_leave_in_order_with_just_their_own_values() -> None:
    lane = lane_of(*MIXED)

    chunks = [lane.take(BATCH) for _ in range(3)]

    assert [list(chunk.rows()) for chunk in chunks] == [MIXED[:2], MIXED[2:4], MIXED[4:]]
    assert (lane.heads, lane.values) == ([], [])
    assert not lane.is_ready


@pytest.mark.parametrize("values", [(), ("a",), ("a", "b", "c")])
def test_jobs_of_one_shape_are_cut_as_those_of_several(values: tuple[str, ...]) -> None:
    rows = [row(index, *values) for index in range(5)]
    lane = lane_of(*rows, chunk_jobs=3)

    assert list(lane.take(BATCH).rows()) == rows[:3]
    assert list(lane.take_all(BATCH).rows()) == rows[3:]


def test_a_lane_knows_since_when_the_first_of_its_jobs_waits() -> None:
    lane = Lane(0, 10)

    lane.add(row(0), 1.0)
    lane.add(row(1), 2.0)

    assert lane.opened_s == 1.0


def test_an_idle_host_gets_what_there_is_and_a_busy_one_full_chunks() -> None:
    lane = lane_of(row(0), chunk_jobs=2)
    assert lane.is_ready

    lane.under_way, lane.window = 1, 2
    assert not lane.is_ready

    assert lane.add(row(1), 0.0)
    assert lane.is_ready


def test_a_full_window_sends_nothing() -> None:
    lane = lane_of(row(0), row(1), row(2), chunk_jobs=2)
    lane.under_way = lane.window = 1

    assert not lane.is_ready
    assert not lane.add(row(3), 0.0)
