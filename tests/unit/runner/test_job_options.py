"""Options and results of earlier jobs, as lines of JSON say them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.batch import Job
from runner.jobs import format_job, parse_job
from runner.options import Options, ResultOf

texts = st.text(max_size=3).filter(lambda text: text != "$result")
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | texts | st.builds(ResultOf, texts),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
options = st.builds(
    Options, priority=st.none() | st.integers(-9, 9), depends_on=st.lists(texts, max_size=3)
).map(lambda each: None if each == Options() else each)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"callable": "f", "priority": 3}', Job("f", options=Options(priority=3))),
        (b'{"callable": "f", "priority": null}', Job("f")),
        (b'{"callable": "f", "depends_on": "a"}', Job("f", options=Options(depends_on=("a",)))),
        (
            b'{"callable": "f", "depends_on": ["a", "b"], "priority": 0}',
            Job("f", options=Options(priority=0, depends_on=("a", "b"))),
        ),
        (b'{"callable": "f", "root": {"$result": "a"}}', Job("f", ResultOf("a"))),
        (
            b'{"callable": "f", "arguments": {"x": {"$result": "a"}, "y": [{"$result": "b"}]}}',
            Job("f", None, {"x": ResultOf("a"), "y": [ResultOf("b")]}),
        ),
        (
            rb'{"callable": "f", "arguments": {"x": {"\u0024result": "a"}}}',
            Job("f", None, {"x": ResultOf("a")}),
        ),
    ],
)
def test_a_line_says_what_a_job_asks_for(line: bytes, expected: Job) -> None:
    assert parse_job(line) == expected


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ('"priority": "high"', "'priority' is text, expected an integer"),
        ('"priority": 1.5', "'priority' is a number, expected an integer"),
        ('"priority": true', "'priority' is a boolean, expected an integer"),
        ('"depends_on": 3', "'depends_on' is a number, expected text or a list of texts"),
        ('"depends_on": ["a", 3]', "'depends_on' is a list, expected text or a list of texts"),
        ('"root": {"$result": 3}', "'$result' is a number, expected the id of a job"),
        (
            '"arguments": {"x": {"$result": "a", "y": 1}}',
            "'$result' has other keys beside it: 'y'",
        ),
        ('"arguments": {"$result": "a"}', "'arguments' is a result, expected an object"),
        ('"id": {"$result": "a"}', "'id' is an object, expected text"),
    ],
)
def test_a_line_that_asks_for_what_cannot_be_says_why(said: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is the next line
        parse_job(f'{{"callable": "f", {said}}}'.encode())

    assert str(caught.value) == reason


@given(st.none() | texts | st.builds(ResultOf, texts), st.dictionaries(texts, values), options)
def test_what_is_written_is_read_again(
    root: str | ResultOf | None, arguments: dict[str, Any], asked: Options | None
) -> None:
    job = Job("f", root, arguments, "a", asked)

    assert parse_job(format_job(job)) == job
