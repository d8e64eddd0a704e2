"""What a run shows to people: counts that add up, progress in a log, a closing table."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from runner import report
from runner.batch import ErrorInfo, Outcome, Status
from runner.errors import JobLineError
from runner.report import MAX_REASONS, Progress, Tally, show_result


def outcome(index: int = 0, status: Status = "ok", **fields: Any) -> Outcome:
    return Outcome(
        index=index, number=f"job-{index}", callable="f", root=None, status=status, **fields
    )


def failed(index: int = 0, kind: str = "ValueError", message: str = "no") -> Outcome:
    return outcome(index, "failed", error=ErrorInfo(kind, message))


def shown(tally: Tally, **options: Any) -> str:
    text = io.StringIO()
    show_result(tally, Console(file=text, width=100), **options)
    return text.getvalue()


def test_outcomes_are_counted_by_root() -> None:
    tally = Tally()

    for root, each in (("a", outcome(version=2)), ("b", failed()), ("a", outcome(version=3))):
        tally.note(root, each)

    assert (tally.done, tally.ok, tally.failed) == (3, 2, 1)
    assert tally.roots["a"].counts == {"ok": 2}
    assert tally.roots["a"].version == 3
    assert tally.roots["b"].counts == {"failed": 1}


def test_the_first_failure_of_a_kind_is_kept_with_its_place() -> None:
    tally = Tally(place=lambda each: f"line {each.index + 1}")

    for index in range(3):
        tally.note("a", failed(index, message=f"no {index}"))
    tally.note_refused(JobLineError(9, "not JSON"))

    assert tally.reasons["ValueError"].count == 3
    assert tally.reasons["ValueError"].example == "line 1: no 0"
    assert tally.reasons["JobLineError"].example == "line 9: not JSON"


def test_kinds_of_failure_are_bounded() -> None:
    tally = Tally()

    for index in range(10 * MAX_REASONS):
        tally.note("a", failed(index, kind=f"Error{index}"))

    assert len(tally.reasons) == MAX_REASONS + 1
    assert sum(reason.count for reason in tally.reasons.values()) == 10 * MAX_REASONS


def test_rates_count_from_the_beginning_to_the_latest_outcome() -> None:
    tally = Tally()
    tally.begun_s, tally.done, tally.last_s = 10.0, 100, 12.0

    assert tally.rate == 50.0


def test_the_table_has_a_line_for_each_root_and_a_total() -> None:
    tally = Tally()
    tally.note("b", failed())
    tally.note("a", outcome(version=1_234))

    lines = shown(tally, extra={"planes": {"a": "7"}}, noun="airline").splitlines()

    words = [line.split() for line in lines if line]
    assert ["airline", "ok", "failed", "version", "planes", "executions/s"] in words
    assert words[-3][:5] == ["a", "1", "0", "1,234", "7"]
    assert words[-2][:4] == ["b", "0", "1", "-"]
    assert words[-1][:3] == ["total", "1", "1"]


def test_the_table_has_the_rarer_fates_only_if_they_came_about() -> None:
    tally = Tally()
    tally.note("a", outcome(status="lost", error=ErrorInfo("RootLostError", "gone")))

    text = shown(tally)

    assert "lost" in text
    assert "cancelled" not in text


def test_text_of_users_is_shown_as_it_is() -> None:
    tally = Tally()
    tally.note("[red]a[/red]", failed(message="[/b] \x1b[2J"))

    text = shown(tally)

    assert "[red]a[/red]" in text
    assert "[/b]" in text
    assert "\x1b" not in text


def test_progress_in_a_log_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "LINE_INTERVAL_S", 0.01)
    text, tally = io.StringIO(), Tally()

    with Progress(tally, Console(file=text, width=100), total=2, phase="starting") as progress:
        while "starting" not in text.getvalue():
            pass
        tally.note("a", outcome())
        while "1 of 2" not in text.getvalue():
            pass
        progress.close()

    assert "0 failed" in text.getvalue().splitlines()[-1]


@pytest.mark.parametrize("total", [2, None])
def test_progress_on_a_terminal_is_one_bar(total: int | None) -> None:
    text, tally = io.StringIO(), Tally()

    with Progress(tally, Console(file=text, width=100, force_terminal=True), total=total):
        tally.note("a", outcome())
        tally.note("a", failed())

    last = text.getvalue().rsplit("\r", 1)[-1]
    assert ("2 of 2 " if total else "2 ") in last
    assert "1 failed" in last
