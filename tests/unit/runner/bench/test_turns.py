"""Contenders take turns, each in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from runner.bench.turns import Seat, take_turns


@pytest.fixture(scope="module")
def seat() -> Iterator[Seat]:
    with Seat() as seat:
        yield seat


def logged(name: str, blocks: int, log: list[str]) -> Iterator[list[float]]:
    for number in range(blocks):
        log.append(name)
        yield [float(number)] * 2


def pid_of_subject(subject: list[int]) -> tuple[int, list[int]]:
    return os.getpid(), subject


def fail(subject: object) -> None:
    raise LookupError(f"{subject} has no such thing")


def vanish(subject: object) -> None:
    os._exit(3 if subject is None else 4)


def test_turns_go_round_until_all_have_ended() -> None:
    log: list[str] = []

    measured = take_turns({"a": logged("a", 3, log), "b": logged("b", 1, log)})

    assert log == ["a", "b", "a", "a"]
    assert measured == {"a": [0.0, 0.0, 1.0, 1.0, 2.0, 2.0], "b": [0.0, 0.0]}


def test_a_subject_lives_in_another_process(seat: Seat) -> None:
    seat.hold(list, (1, 2))

    pid, subject = seat.call(pid_of_subject)

    assert pid != os.getpid()
    assert subject == [1, 2]


def test_a_new_subject_replaces_the_old_one(seat: Seat) -> None:
    seat.hold(list, (1,))
    seat.hold(list, (2,))

    assert seat.call(pid_of_subject)[1] == [2]


def test_an_error_comes_back_as_it_was_raised_and_says_where(seat: Seat) -> None:
    seat.hold(str, "a subject")

    with pytest.raises(LookupError, match="a subject has no such thing") as caught:
        seat.call(fail)

    assert "in fail" in caught.value.__notes__[0]
    assert seat.call(str.upper) == "A SUBJECT"


def test_a_process_that_ends_is_reported_with_its_exit_code() -> None:
    with Seat() as seat, pytest.raises(RuntimeError, match="exit code 3"):
        seat.call(vanish)
