"""Executions on several trees overlap, those on one take turns."""

from __future__ import annotations

from examples import async_callables


def test_the_program_ends_which_it_could_not_if_executions_did_not_overlap() -> None:
    assert async_callables.main() == [
        "roof: [4]",
        "cellar: [6]",
        "garden: [6]",
        "100 values in 101 versions, in order: True",
        "the cellar in all: 18",
    ]
