"""Jobs come in as JSON lines and outcomes go out so; a bad line costs only itself."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import jobs
from runner.batch import ErrorInfo, Job, Outcome, Status
from runner.errors import JobLineError
from runner.jobs import (
    JobReader,
    file_digest,
    format_job,
    format_outcome,
    format_refusal,
    parse_job,
)

GOOD = b'{"callable": "f", "root": "r"}\n'


def outcome(status: Status = "ok", **fields: Any) -> Outcome:
    return Outcome(index=0, number="x", callable="f", root=None, status=status, **fields)


def refusals(reader: JobReader) -> list[JobLineError]:
    return [each for _, each in reader.aside if isinstance(each, JobLineError)]


def test_a_line_becomes_a_job() -> None:
    line = b'{"callable": "depart", "root": "UA", "arguments": {"tailnum": "N1"}, "id": "a"}'

    assert parse_job(line) == Job("depart", "UA", {"tailnum": "N1"}, "a")


def test_an_outcome_tells_of_attempts_if_there_were_several() -> None:
    assert b"attempts" not in format_outcome(outcome(), 1, None)
    assert json.loads(format_outcome(outcome(attempts=3), 1, None))["attempts"] == 3


def test_root_arguments_and_id_may_be_left_out() -> None:
    assert parse_job(b'{"callable": "f"}') == Job("f", None, {}, None)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"callable" "f"}', "not JSON: expecting ':' delimiter at column 13"),
        (b"\xff", "not UTF-8 at byte 1"),
        (b"[" * 100_000, "nested too deep"),
        (b"9" * 5_000, "not JSON: a number has too many digits"),
        (b"[]", "a list, expected an object"),
        (b"null", "null, expected an object"),
        (b"{}", "'callable' is missing"),
        (b'{"callable": 3}', "'callable' is a number, expected text"),
        (b'{"callable": "f", "root": ["r"]}', "'root' is a list, expected text"),
        (b'{"callable": "f", "arguments": true}', "'arguments' is a boolean, expected an object"),
        (b'{"callable": "f", "id": {}}', "'id' is an object, expected text"),
        (
            b'{"callable": "f", "args": {}}',
            (
                "'args' is not a key of a job; these are callable, root, arguments, id, "
                "priority, depends_on, retries, timeout_s, memory_bytes"
            ),
        ),
    ],
)
def test_a_line_that_is_no_job_says_why(line: bytes, reason: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is the next line
        parse_job(line)

    assert str(caught.value) == reason


@given(st.binary(max_size=200))
def test_any_bytes_are_a_job_or_a_reason_in_one_line(line: bytes) -> None:
    reader = JobReader(io.BytesIO(line.replace(b"\n", b" ")))

    read = list(reader)

    assert len(read) + len(reader.aside) == bool(line.strip())
    assert not any("\n" in str(refusal) for _, refusal in reader.aside)


def test_a_bad_line_does_not_keep_the_next_from_being_read() -> None:
    reader = JobReader(io.BytesIO(GOOD + b"oops\n\n" + GOOD + b"{}\n" + GOOD))

    read = list(reader)

    assert read == [Job("f", "r")] * 3
    assert [(refusal.line, refusal.reason) for refusal in refusals(reader)] == [
        (2, "not JSON: expecting value at column 1"),
        (5, "'callable' is missing"),
    ]


def test_a_job_knows_the_line_that_it_stood_on() -> None:
    reader = JobReader(io.BytesIO(b"\n" + GOOD + b"oops\n\n" + GOOD + GOOD + b"{}\n" + GOOD))

    count = len(list(reader))

    assert [reader.line_of(index) for index in range(count)] == [2, 5, 6, 8]


def test_the_last_line_needs_no_end() -> None:
    assert list(JobReader(io.BytesIO(GOOD.rstrip()))) == [Job("f", "r")]


def test_an_overlong_line_is_refused_without_being_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_LINE_BYTES", 40)
    reader = JobReader(io.BytesIO(GOOD + b"x" * 41 + b"\n" + b"x" * 400 + b"\n" + GOOD + b"x" * 99))

    read = list(reader)

    assert len(read) == 2
    assert [refusal.line for refusal in refusals(reader)] == [2, 3, 5]
    assert refusals(reader)[0].reason == "longer than 40 bytes"


def test_a_job_without_an_id_gets_one_of_its_line() -> None:
    own = b'{"callable": "f", "id": "mine"}\n'
    reader = JobReader(io.BytesIO(GOOD + b"\n" + own + GOOD), "abc")

    assert [job.id for job in reader] == ["abc:1", "mine", "abc:4"]


def test_the_digest_is_of_the_content_and_leaves_the_file_where_it_was() -> None:
    file = io.BytesIO(GOOD)

    assert file_digest(file) == file_digest(io.BytesIO(GOOD)) != file_digest(io.BytesIO(GOOD * 2))
    assert file.read() == GOOD


def test_jobs_that_ran_before_are_set_aside_with_their_lines() -> None:
    done = {"x:1", "x:4"}

    def known(some: Any) -> list[Outcome | None]:
        return [outcome(value=job.id) if job.id in done else None for job in some]

    reader = JobReader(io.BytesIO(GOOD + b"oops\n" + GOOD * 3), "x", known)
    read = list(reader)

    assert [job.id for job in read] == ["x:3", "x:5"]
    assert [reader.line_of(index) for index in range(2)] == [3, 5]
    assert [(line, type(each)) for line, each in reader.aside] == [
        (1, Outcome),
        (2, JobLineError),
        (4, Outcome),
    ]


def test_when_many_lines_are_aside_the_iteration_ends_and_another_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "MAX_ASIDE", 2)
    reader = JobReader(io.BytesIO(GOOD + b"oops\n" * 5 + GOOD * 2))
    lines, refused = [], []

    while not reader.is_at_end:
        lines += [reader.line_of(index) for index, _ in enumerate(reader)]
        assert len(reader.aside) <= 2
        refused += [line for line, _ in reader.aside]
        reader.aside.clear()

    assert (lines, refused) == ([1, 7, 8], [2, 3, 4, 5, 6])


def test_a_job_survives_being_written_and_read() -> None:
    job = Job("depart", "UA", {"tailnum": None, "miles": 3}, "2013-01-01T05:15 UA1545")

    assert parse_job(format_job(job)) == job


def test_an_outcome_is_written_with_its_line_and_without_times() -> None:
    written = json.loads(
        format_outcome(outcome(semantic="mutation", version=7, changed=2, run_s=1.0), 3, "UA")
    )

    assert written == {
        "line": 3,
        "id": "x",
        "callable": "f",
        "root": "UA",
        "status": "ok",
        "semantic": "mutation",
        "version": 7,
        "changed": 2,
        "value": None,
        "outputs": [],
    }


def test_a_failed_outcome_is_written_with_its_error() -> None:
    error = ErrorInfo("ValueError", "no", ("frame",), ("note",))

    written = json.loads(format_outcome(outcome(status="failed", error=error), 3, None))

    assert written["error"] == {
        "type": "ValueError",
        "message": "no",
        "frames": ["frame"],
        "notes": ["note"],
    }


def test_a_refused_line_is_written_as_a_failed_outcome() -> None:
    reader = JobReader(io.BytesIO(b"{}\n"))
    assert list(reader) == []

    assert json.loads(format_refusal(refusals(reader)[0])) == {
        "line": 1,
        "status": "failed",
        "error": {"type": "JobLineError", "message": "'callable' is missing"},
    }


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ((1, "two", None), [1, "two", None]),
        (float("nan"), "NaN"),
        (b"\xff", "_w=="),
        ({1, 2}, [1, 2]),
    ],
)
def test_any_value_is_written(value: object, written: object) -> None:
    assert json.loads(format_outcome(outcome(value=value), 1, None))["value"] == written


def test_a_value_that_cannot_be_json_is_written_as_text() -> None:
    loop: list[object] = []
    loop.append(loop)

    for value in (object(), loop, "\ud800"):
        line = format_outcome(outcome(value=value), 1, None)
        assert isinstance(json.loads(line)["value"], str)
