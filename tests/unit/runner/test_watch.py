"""Jobs that run longer than they may are found, and nothing else is."""

from __future__ import annotations

from runner.asked import Asked
from runner.lane import Lane
from runner.options import NO_OPTIONS, Options
from runner.watch import LOOKS, Watch
from runner.wire import IDLE, Running

BATCH = 100


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """Two busy hosts, an idle one, and a watch with a limit of 4 s."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.at: dict[int, Running | None] = {
            0: Running(BATCH, 5), 1: Running(BATCH, 6), 2: IDLE
        }  # fmt: skip
        self.lanes = [Lane(host, 1) for host in range(3)]
        for lane in self.lanes[:2]:
            lane.under_way = 1
        self.looks = 0
        self.asked = Asked(NO_OPTIONS, 4.0)
        self.next_jobs: list[int] = []
        self.watch = Watch(self.asked, BATCH, self.look, lambda _: self.next_jobs, self.clock)

    def look(self, host: int) -> Running | None:
        self.looks += 1
        return self.at[host]

    def after(self, seconds: float) -> list[tuple[int, int | None]]:
        """Let time pass; return the hosts that are overdue, and their jobs."""
        self.clock.now += seconds
        return [(lane.host, job) for lane, job in self.watch.overdue(self.lanes)]


def test_a_host_that_is_at_one_job_for_too_long_is_told_of_once():
    watched = Watched()

    assert watched.after(1.0) == []
    watched.at[1] = Running(BATCH, 7)
    assert [watched.after(1.0) for _ in range(3)] == [[], [], []]
    assert watched.after(1.0) == [(0, 5)]
    assert watched.after(1.0) == [(1, 7)]
    assert watched.after(1.0) == []


def test_it_looks_a_few_times_within_the_limit_and_not_at_idle_hosts():
    watched = Watched()

    for _ in range(32):
        watched.after(0.125)

    assert watched.watch.pause_s == 4.0 / LOOKS
    assert watched.looks == 2 * LOOKS
    assert watched.watch.wait_s is not None
    assert 0 < watched.watch.wait_s <= watched.watch.pause_s


def test_a_host_that_works_for_another_batch_or_opens_a_store_is_left_alone():
    watched = Watched()
    watched.at = {0: Running(BATCH + 1, 5), 1: IDLE}

    assert [watched.after(1.0) for _ in range(12)] == [[]] * 12


def test_each_job_has_the_time_that_it_asked_for():
    watched = Watched()
    watched.asked.note(6, Options(timeout_s=1.0))
    watched.watch.hurry(1.0)

    assert watched.watch.pause_s == 0.25
    assert [watched.after(0.25) for _ in range(4)] == [[]] * 4
    assert watched.after(0.25) == [(1, 6)]
    watched.asked.forget(6)
    watched.at[1] = IDLE
    assert [watched.after(0.5) for _ in range(5)] == [[]] * 5
    assert watched.after(1.0) == [(0, 5)]


def test_without_a_limit_in_the_batch_only_jobs_that_ask_have_one():
    watched = Watched()
    watched.asked = Asked(NO_OPTIONS, None)
    watched.watch = Watch(
        watched.asked, BATCH, watched.look, lambda _: watched.next_jobs, watched.clock
    )
    assert watched.watch.wait_s is None
    watched.asked.note(6, Options(timeout_s=1.0))
    watched.watch.hurry(1.0)

    assert [watched.after(0.25) for _ in range(4)] == [[]] * 4
    assert watched.after(0.25) == [(1, 6)]
    assert [watched.after(0.25) for _ in range(20)] == [[]] * 4 + [[(1, 6)]] + [[]] * 4 + [
        [(1, 6)]
    ] + [[]] * 4 + [[(1, 6)]] + [[]] * 4 + [[(1, 6)]]


def test_a_silent_host_has_as_long_as_the_most_urgent_of_its_next_jobs():
    watched = Watched()
    watched.asked.note(6, Options(timeout_s=1.0))
    watched.watch.hurry(1.0)
    watched.at = {0: None, 1: IDLE}
    watched.next_jobs = [5, 6]

    assert [watched.after(0.25) for _ in range(4)] == [[]] * 4
    assert watched.after(0.25) == [(0, None)]


def test_a_host_that_does_not_answer_is_told_of_without_a_job():
    watched = Watched()
    watched.at = {0: None, 1: IDLE}
    watched.next_jobs = [5]

    assert [watched.after(1.0) for _ in range(4)] == [[]] * 4
    assert watched.after(1.0) == [(0, None)]
