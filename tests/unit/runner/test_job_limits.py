"""Retries and limits in a line of a file of jobs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tenacity.wait import wait_exponential, wait_fixed, wait_random

from runner.batch import Job
from runner.errors import JobError
from runner.jobs import format_job, parse_job
from runner.options import Options, Retries


def line(**fields: Any) -> bytes:
    return json.dumps({"callable": "f", **fields}).encode()


def plain(options: Options | None) -> Any:
    """Return options as values that can be compared."""
    assert options is not None
    policies = [(each.attempts, tuple(each.on), vars(each.wait)) for each in options.policies]
    return options.timeout_s, options.memory_bytes, policies


DEFAULT_WAIT = vars(Retries().wait)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"timeout_s": 30}, (30, None, [])),
        ({"memory_bytes": 500}, (None, 500, [])),
        ({"retries": 3}, (None, None, [(3, (Exception,), DEFAULT_WAIT)])),
        (
            {"retries": {"attempts": 4, "on": ["OSError", "KeyError"], "wait_s": 5}},
            (None, None, [(4, ("OSError", "KeyError"), vars(wait_fixed(5)))]),
        ),
        (
            {"retries": {"wait_s": {"first": 0.5, "factor": 3, "longest": 60}}},
            (None, None, [(3, (Exception,), vars(wait_exponential(0.5, 60, 3)))]),
        ),
        (
            {"retries": [{"attempts": 2, "on": ["OSError"]}, 5], "timeout_s": 1.5},
            None,
        ),
        (
            {"retries": [{"attempts": 2, "on": ["OSError"]}, {"attempts": 5}], "timeout_s": 1.5},
            (1.5, None, [(2, ("OSError",), DEFAULT_WAIT), (5, (Exception,), DEFAULT_WAIT)]),
        ),
    ],
)
def test_a_line_says_limits_and_retries_and_is_written_back(fields: Any, expected: Any) -> None:
    job = parse_job(line(**fields))

    if expected is not None:
        assert plain(job.options) == expected
    again = parse_job(format_job(job))
    assert plain(again.options) == plain(job.options)


def test_a_line_that_asks_for_nothing_has_no_options() -> None:
    assert parse_job(line(retries=None, timeout_s=None)).options is None
    assert format_job(Job("f", options=Options())) == b'{"callable":"f","arguments":{}}\n'


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"timeout_s": "3"}, "Options.timeout_s '3' is not a number"),
        ({"timeout_s": -1}, "Options.timeout_s -1 is not positive, or without end"),
        ({"memory_bytes": 1.5}, "Options.memory_bytes 1.5 is not a number"),
        ({"memory_bytes": True}, "Options.memory_bytes True is not a number"),
        ({"retries": "3"}, "Retries.attempts '3' is not a whole number"),
        ({"retries": 0}, "Retries.attempts 0 is less than 1"),
        (
            {"retries": {"times": 3}},
            "'times' is not a key of 'retries'; these are attempts, on, wait_s",
        ),
        ({"retries": {"on": "OSError"}}, "'on' of 'retries' is not a list of names of errors"),
        ({"retries": {"on": [3]}}, "Retries.on 3 is neither a class nor the name of one"),
        ({"retries": {"wait_s": "5"}}, "'wait_s' of 'retries' is not a number"),
        ({"retries": {"wait_s": -5}}, "'wait_s' of 'retries' is -5, expected 0 or more"),
        (
            {"retries": {"wait_s": {"least": 5}}},
            "'least' is not a key of 'wait_s'; these are first, factor, longest",
        ),
        (
            {"retries": {"wait_s": {"first": None}}},
            "'first' of 'retries' is not a number",
        ),
        ({"retries": [[3]]}, "Retries.attempts [3] is not a whole number"),
    ],
)
def test_options_that_cannot_be_read_say_why(fields: Any, reason: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is the next line
        parse_job(line(**fields))

    assert str(caught.value) == reason


def test_classes_are_written_as_their_names() -> None:
    job = Job("f", options=Options(retries=Retries(2, on=(OSError, "KeyError"))))

    assert json.loads(format_job(job))["retries"] == {"attempts": 2, "on": ["OSError", "KeyError"]}


def test_a_wait_without_a_form_in_json_is_told() -> None:
    with pytest.raises(JobError, match="a wait of class wait_random has no form in JSON"):
        format_job(Job("f", options=Options(retries=Retries(2, wait=wait_random(0, 1)))))
