"""What became of jobs with ids is known for as long as the bound allows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runner.batch import ErrorInfo, Outcome
from runner.remembered import Ended, Remembered, ended_of, result_of


def outcome(**fields: object) -> Outcome:
    return Outcome(0, "a", "f", None, **fields)  # type: ignore[arg-type]


def test_a_job_is_found_while_it_goes_on_and_when_it_has_ended() -> None:
    remembered = Remembered(10)
    remembered.begin("a", 3)

    assert remembered.find("a") == 3
    remembered.end("a", 3, "what it returned")
    assert remembered.find("a") == Ended("ok", "what it returned")
    assert remembered.find("b") is None


def test_what_failed_is_remembered_with_its_error() -> None:
    failed = outcome(status="failed", error=ErrorInfo("ValueError", "no"))

    assert result_of(failed) == Ended("failed", None, "ValueError", "no")
    assert ended_of(result_of(failed)) == result_of(failed)


def test_what_succeeded_is_remembered_without_an_object_of_its_own() -> None:
    value = [1]

    assert result_of(outcome(status="ok", value=value)) is value
    assert ended_of(value) == Ended("ok", value)


def test_the_latest_of_several_jobs_with_one_id_counts() -> None:
    remembered = Remembered(10)
    remembered.begin("a", 0)
    remembered.begin("a", 5)

    remembered.end("a", 0, "first")
    assert remembered.find("a") == 5
    remembered.end("a", 5, "second")
    assert remembered.find("a") == Ended("ok", "second")


@given(st.integers(0, 5), st.lists(st.sampled_from("abcdefgh"), max_size=40))
def test_no_more_are_remembered_than_the_limit_says(limit: int, names: list[str]) -> None:
    remembered = Remembered(limit)
    for index, name in enumerate(names):
        remembered.begin(name, index)
        remembered.end(name, index, index)

    found = [name for name in "abcdefgh" if remembered.find(name) is not None]

    assert len(found) == min(limit, len(set(names)))
    assert remembered.has_forgotten == (len(set(names)) > limit)


def test_the_one_that_ended_first_is_forgotten_first_and_one_that_goes_on_never() -> None:
    remembered = Remembered(2)
    remembered.begin("goes on", 0)
    for index, name in enumerate("abc", start=1):
        remembered.begin(name, index)
        remembered.end(name, index, name)

    assert [remembered.find(each) for each in ("goes on", "a", "b", "c")] == [
        0,
        None,
        Ended("ok", "b"),
        Ended("ok", "c"),
    ]


def test_what_others_remember_is_known_and_takes_no_copy() -> None:
    before, after = Remembered(10), Remembered(10)
    before.learn("a", 1)

    after.learn_from(before)
    after.learn("b", 2)

    assert after.find("a") == Ended("ok", 1)
    assert before.find("b") == Ended("ok", 2)
