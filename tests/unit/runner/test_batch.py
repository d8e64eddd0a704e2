"""Jobs, outcomes and errors as data; a batch as what one iterates over."""

from __future__ import annotations

import json
import pickle
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from runner.batch import MESSAGE_LIMIT_CHARS, Batch, Counts, ErrorInfo, Job, Outcome, RaiseOn
from runner.errors import BatchError, ExecutionError


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

    def cancel(self, *jobs: str | int) -> None:
        self.was_cancelled = True

    def counts(self) -> Counts:
        return Counts()

    def failed_jobs(self, *, cancelled: bool = False) -> list[Job]:
        return [Job("again", None, {"cancelled": cancelled}, "a")]

    def learn(self, outcome: Outcome) -> None:
        """Batches here depend on nothing."""

    def learn_from(self, other: Script) -> None:
        """See `learn`."""


def batch_of(script: Script, *, is_ordered: bool = False, raise_on: RaiseOn = "never") -> Batch:
    """Return a batch; jobs that it submits again come out of it as they are."""

    def submit(jobs: Any, /, **options: Any) -> Any:
        return [*jobs, options]

    return Batch(script, submit, is_ordered=is_ordered, raise_on=raise_on)


def raised(error: BaseException) -> ErrorInfo:
    def fail() -> None:
        raise error

    try:
        fail()
    except BaseException as exc:  # noqa: BLE001 - interrupts too
        return ErrorInfo.of(exc)
    raise AssertionError


def test_what_failed_is_submitted_with_the_options_that_are_given():
    again: Any = batch_of(Script()).retry_failed(cancelled=True, ordered=True)

    assert again == [Job("again", None, {"cancelled": True}, "a"), {"ordered": True}]


def test_outcomes_come_as_they_are_ready():
    batch = batch_of(Script([2, 0], [1]))

    assert [each.index for each in batch] == [2, 0, 1]


def test_outcomes_in_order_wait_for_those_before_them():
    script = Script([2], [1, 4], [0], [3])

    assert [each.index for each in batch_of(script, is_ordered=True)] == [0, 1, 2, 3, 4]
    assert script.waiting == [0, 1, 3, 1, 0]


def test_a_gap_at_the_end_holds_nothing_back():
    assert [each.index for each in batch_of(Script([3, 0, 2])).in_order()] == [0, 2, 3]


def test_ctrl_c_in_a_loop_cancels_and_what_is_left_may_be_taken():
    script = Script([0], KeyboardInterrupt, [1])
    batch = batch_of(script)
    loop = iter(batch)
    first = next(loop)

    with pytest.raises(KeyboardInterrupt):
        next(loop)

    assert script.was_cancelled
    assert [first.index, *(each.index for each in batch)] == [0, 1]


def test_leaving_a_with_block_cancels_what_is_left():
    script = Script([0], [1])

    with batch_of(script) as batch:
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


def failing(*indexes: int) -> Script:
    """Return progress with three outcomes in two steps, of which some failed."""
    script = Script([0, 1], [2])
    advance = script.advance

    def advance_and_fail(waiting: int = 0) -> bool:
        goes_on = advance(waiting)
        info = raised(ValueError("on purpose"))
        done = [
            each._replace(status="failed", error=info) if each.index in indexes else each
            for each in script.ready
        ]
        script.ready.clear()
        script.ready.extend(done)
        return goes_on

    script.advance = advance_and_fail  # type: ignore[method-assign]
    return script


def test_raise_on_first_cancels_what_is_left_and_iteration_can_go_on():
    script = failing(1)
    batch = batch_of(script, raise_on="first")
    seen: list[int] = []

    with pytest.raises(BatchError, match="job 1, callable 'note': on purpose") as info:
        seen.extend(each.index for each in batch)

    assert seen == [0]
    assert info.value.outcome.index == 1
    assert script.was_cancelled
    assert [each.index for each in batch] == [2]


def test_raise_on_end_raises_the_first_of_them_when_all_are_done():
    script = failing(1, 2)
    seen: list[int] = []

    with pytest.raises(BatchError) as info:
        seen.extend(each.index for each in batch_of(script, raise_on="end"))

    assert seen == [0, 1, 2]
    assert info.value.outcome.index == 1
    assert not script.was_cancelled
    error = pickle.loads(pickle.dumps(info.value))
    assert error.outcome == info.value.outcome


def test_nothing_is_raised_if_all_succeed_or_nobody_asked():
    assert [each.index for each in batch_of(failing(), raise_on="end")] == [0, 1, 2]
    assert [each.index for each in batch_of(failing(0, 1))] == [0, 1, 2]
