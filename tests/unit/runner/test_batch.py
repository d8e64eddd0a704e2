"""Jobs, outcomes and errors as data; a batch as what one iterates over."""

from __future__ import annotations

import json
import pickle
from collections import deque
from collections.abc import Iterator

import pytest

from runner.batch import MESSAGE_LIMIT_CHARS, Batch, Counts, ErrorInfo, Job, Outcome
from runner.errors import ExecutionError


def outcome(index: int) -> Outcome:
    return Outcome(index, f"id-{index}", "note", None, "ok", value=index)


class Script:
    """Progress that goes as the test says: outcomes by index, or an exception."""

    def __init__(self, *steps: list[int] | type[BaseException]) -> None:
        self.ready: deque[Outcome] = deque()
        self.was_cancelled = False
        self.waiting: list[int] = []
        self._steps = iter(steps)

    def advance(self, waiting: int = 0) -> bool:
        self.waiting.append(waiting)
        step = next(self._steps, None)
        if isinstance(step, type):
            raise step
        self.ready.extend(map(outcome, step or ()))
        return step is not None

    def cancel(self) -> None:
        self.was_cancelled = True

    def counts(self) -> Counts:
        return Counts()


def raised(error: BaseException) -> ErrorInfo:
    def fail() -> None:
        raise error

    try:
        fail()
    except BaseException as exc:  # noqa: BLE001 - interrupts too
        return ErrorInfo.of(exc)
    raise AssertionError


def test_outcomes_come_as_they_are_ready():
    batch = Batch(Script([2, 0], [1]))

    assert [each.index for each in batch] == [2, 0, 1]


def test_outcomes_in_order_wait_for_those_before_them():
    script = Script([2], [1, 4], [0], [3])

    assert [each.index for each in Batch(script, is_ordered=True)] == [0, 1, 2, 3, 4]
    assert script.waiting == [0, 1, 3, 1, 0]


def test_a_gap_at_the_end_holds_nothing_back():
    assert [each.index for each in Batch(Script([3, 0, 2])).in_order()] == [0, 2, 3]


def test_ctrl_c_in_a_loop_cancels_and_what_is_left_may_be_taken():
    script = Script([0], KeyboardInterrupt, [1])
    batch = Batch(script)
    loop = iter(batch)
    first = next(loop)

    with pytest.raises(KeyboardInterrupt):
        next(loop)

    assert script.was_cancelled
    assert [first.index, *(each.index for each in batch)] == [0, 1]


def test_leaving_a_with_block_cancels_what_is_left():
    script = Script([0], [1])

    with Batch(script) as batch:
        next(iter(batch))

    assert script.was_cancelled
    assert not script.ready


def test_counts_add_up():
    assert Counts(ok=1, failed=2, lost=3, cancelled=4).done == 10


def test_jobs_and_outcomes_survive_pickling():
    for thing in (Job("note", "a", {"number": 1}, "id"), outcome(1)):
        assert pickle.loads(pickle.dumps(thing)) == thing


def test_an_outcome_gives_its_value_or_raises():
    assert outcome(7).result() == 7
    assert outcome(7).ok

    failed = outcome(7)._replace(status="failed", error=ErrorInfo("ValueError", "no"))
    assert not failed.ok
    with pytest.raises(ExecutionError):
        failed.result()


def test_an_error_tells_type_text_and_notes():
    error = ValueError("no")
    error.add_note("look again")

    info = raised(error)

    assert (info.type, info.message, info.notes) == ("ValueError", "no", ("look again",))
    assert [frame.split(" in ")[1].split("\n")[0] for frame in info.frames] == [
        "raised",
        "raised.<locals>.fail",
    ]


def test_the_standard_library_shows_where_the_user_called_it():
    try:
        json.loads("{")
    except ValueError as exc:
        frames = ErrorInfo.of(exc).frames

    assert any("json" in frame for frame in frames)


def test_causes_are_told_with_their_frames():
    def inner() -> None:
        raise KeyError("x")

    try:
        try:
            inner()
        except KeyError as exc:
            raise ValueError("no") from exc
    except ValueError as exc:
        info = ErrorInfo.of(exc)

    assert "  caused by KeyError: 'x'" in info.frames
    assert "inner" in info.frames[-1]


def test_a_text_that_cannot_be_read_is_told():
    class OddError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert raised(OddError()).message == "<its text cannot be read: RuntimeError>"


def test_a_long_text_is_cut():
    info = raised(ValueError("x" * 2 * MESSAGE_LIMIT_CHARS))

    assert len(info.message) < MESSAGE_LIMIT_CHARS + 50
    assert info.message.endswith("(20,000 characters)")


def test_equal_frames_are_one_object():
    first, second = (raised(error) for error in frames_of_one_line())

    assert first.frames[-1] is second.frames[-1]


def frames_of_one_line() -> Iterator[ValueError]:
    for text in "ab":
        yield ValueError(text)
