"""A value's history leads to who caused it, by way of what was borrowed."""

from __future__ import annotations

from examples import why


def test_the_program_finds_the_cause_on_another_tree() -> None:
    assert why.main() == [
        "version 1: 18.0 by None",
        "version 2: 19.0 by set_target",
        "version 3: 23.0 by set_target",
        "at first: 18.0",
        "it is 23.0 by set_target, borrowed by 'target'",
        "that was 23.2 by decide{'part': 'day', 'degrees': 23.2}",
        "the same when replayed: True",
    ]


def test_what_changed_later_is_no_reason() -> None:
    app = why.demo()

    text = str(app.why(f"{app.ref('office').address}.target"))

    assert "20.0 -> 23.2 by decide" in text
    assert "23.2 -> 20.0" not in text
