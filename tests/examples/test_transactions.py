"""Executions inside others fail alone, or all together."""

from __future__ import annotations

from examples import transactions


def test_the_program_takes_back_what_failed_and_nothing_else() -> None:
    before = "{'lamp': 1, 'rope': 5}, sold [], Ada has 50 (versions 1 and 1)"
    after = "{'lamp': 0, 'rope': 4}, sold ['lamp', 'rope'], Ada has 10 (versions 2 and 2)"

    *told, on_record = transactions.main()

    assert told == [
        "would sell ['lamp', 'rope'], changing 2 trees",
        before,
        "sold ['lamp', 'rope']",
        after,
        "refused: Ada has 10, not 20",
        after,
    ]
    ok = [("take", "ok"), ("take", "ok"), ("take", "failed"), ("pay", "ok"), ("order", "ok")]
    failed = [("take", "failed"), ("pay", "failed"), ("order", "failed")]
    assert on_record == f"on record: {ok + failed}"
