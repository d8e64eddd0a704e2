"""Jobs wait in order, and leave as chunks with just their own values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def ranked(*jobs: tuple[int, int], chunk_jobs: int = 3) -> Lane:
    """Return a lane with jobs, each given by its index and its priority."""
    lane = Lane(0, chunk_jobs)
    for index, priority in jobs:
        if priority:
            lane.add_ranked(row(index, *["x"] * (index % 3)), priority, 5.0)
        else:
            lane.add(row(index, *["x"] * (index % 3)), 5.0)
    return lane


def test_jobs_with_a_higher_priority_leave_first_and_others_in_order() -> None:
    lane = ranked((0, 0), (1, 2), (2, -1), (3, 0), (4, 2), (5, 7), (6, -1))

    chunks = [lane.take(BATCH) for _ in range(3)]

    assert [chunk.indexes for chunk in chunks] == [[5, 1, 4], [0, 3, 2], [6]]
    assert [len(chunk.values) for chunk in chunks] == [2 + 1 + 1, 0 + 0 + 2, 0]
    assert not lane.has_jobs


def test_a_chunk_is_full_whatever_priorities_its_jobs_have() -> None:
    lane = ranked((0, 0), (1, 2))

    assert not lane.is_full
    assert lane.add(row(2), 5.0)
    lane.take(BATCH)
    assert not lane.add_ranked(row(3), -1, 5.0)
    assert not lane.add_ranked(row(4), 1, 5.0)
    assert lane.add_ranked(row(5), -1, 5.0)


def test_a_chunk_is_full_by_the_size_that_it_has_now() -> None:
    lane = ranked((0, 0), (1, 2))

    lane.chunk_jobs = 2
    assert lane.is_full
    lane.chunk_jobs = 3
    assert not lane.is_full


def test_all_jobs_are_taken_whatever_their_priorities() -> None:
    lane = ranked((0, 0), (1, 2), (2, -1), chunk_jobs=1)

    assert lane.take_all(BATCH).indexes == [1, 0, 2]
    assert not lane.has_jobs


def test_a_lane_with_priorities_knows_since_when_its_first_job_waits() -> None:
    lane = Lane(0, 10)

    lane.add_ranked(row(0), 1, 1.0)
    lane.add(row(1), 2.0)
    lane.add_ranked(row(2), 2, 3.0)

    assert lane.opened_s == 1.0


@given(
    st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 3)), max_size=30),
    st.integers(1, 5),
)
def test_any_jobs_leave_as_if_they_were_sorted(
    jobs: list[tuple[int, int]], chunk_jobs: int
) -> None:
    lane = Lane(0, chunk_jobs)
    rows = [row(index, *range(size)) for index, (_, size) in enumerate(jobs)]
    for each, (priority, _) in zip(rows, jobs, strict=True):
        is_full = lane.add_ranked(each, priority, 0.0) if priority else lane.add(each, 0.0)
        assert is_full == (each[2] + 1 >= chunk_jobs)

    left = [each for _ in range(-(-len(rows) // chunk_jobs)) for each in lane.take(BATCH).rows()]

    assert left == sorted(rows, key=lambda each: -jobs[each[2]][0])
    assert not lane.has_jobs
