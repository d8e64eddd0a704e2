"""Three-way merges of values: what one side did is taken, what both did alike once."""

from __future__ import annotations

from typing import Any

import pytest

from registry.ids import Key
from registry.threeway import merge_value

A, B, C, D, X, Y = (Key(number) for number in range(1, 7))


def merged(base: Any, ours: Any, theirs: Any) -> tuple[Any, list[str]]:
    """Return what a value becomes if ours wins, and where the conflicts are."""
    places: list[str] = []

    def decide(way: str, base: Any, ours: Any, theirs: Any) -> Any:
        places.append(way)
        return ours

    return merge_value(base, ours, theirs, decide), places


Case = tuple[Any, Any, Any, Any]
CLEAN: dict[str, Case] = {
    "one side only": (1, 1, 2, 2),
    "both alike": (1, 2, 2, 2),
    "NaN stays": (float("nan"), float("nan"), 1.0, 1.0),
    "children appended by both": ([A], [A, X], [A, Y], [A, X, Y]),
    "children put in front by both": ([A], [X, A], [Y, A], [X, Y, A]),
    "children put into an empty list by both": ([], [X], [Y], [X, Y]),
    "a child removed, one appended": ([A, B, C], [A, C], [A, B, C, X], [A, C, X]),
    "what theirs put behind what ours removed": ([A, B, C], [A, C], [A, B, X, C], [A, X, C]),
    "the same child added by both": ([A], [A, X], [X, A], [A, X]),
    "one order and an addition": ([A, B, C], [C, A, B], [A, B, X, C], [C, A, B, X]),
    "their order and our addition": ([A, B, C], [A, X, B, C], [C, B, A], [C, B, A, X]),
    "both the same order": ([A, B, C], [C, B, A, X], [Y, C, B, A], [Y, C, B, A, X]),
    "edits apart": ([1, 2, 3, 4], [0, 1, 2, 3, 4], [1, 2, 3, 9], [0, 1, 2, 3, 9]),
    "edits side by side": ([1, 2, 3], [1, 5, 3], [1, 2, 4], [1, 5, 4]),
    "the same edit and another": ([1, 2, 3], [1, 2, 3, 7], [0, 1, 2, 3, 7], [0, 1, 2, 3, 7]),
    "rows of a matrix": ([[1], [2]], [[1, 5], [2]], [[1], [6, 2]], [[1, 5], [6, 2]]),
    "keys": ({"a": 1, "b": 2}, {"a": 9, "b": 2}, {"a": 1, "c": 3}, {"a": 9, "c": 3}),
    "below a key": (
        {"a": {"x": 1, "y": 2}},
        {"a": {"x": 5, "y": 2}},
        {"a": {"x": 1, "y": 6}},
        {"a": {"x": 5, "y": 6}},
    ),
    "shelves of children": ({"a": [A], "b": [B]}, {"a": [A, B], "b": []}, {"a": [A, X], "b": [B]},
        {"a": [A, B, X], "b": []}),
    "members": ({1, 2, 3}, {1, 2, 3, 4}, {2, 3, 5}, {2, 3, 4, 5}),
    "frozen members": (frozenset({A}), frozenset({A, X}), frozenset(), frozenset({X})),
}  # fmt: skip


@pytest.mark.parametrize("case", CLEAN)
def test_what_does_not_clash_is_merged(case: str) -> None:
    base, ours, theirs, expected = CLEAN[case]

    value, places = merged(base, ours, theirs)

    assert (value, places) == (expected, [])
    if isinstance(expected, dict):
        assert list(value) == list(expected)


CLASHING: dict[str, tuple[Any, Any, Any, list[str]]] = {
    "two values": (1, 2, 3, [""]),
    "types count": (0, 1, True, [""]),
    "tuples are one value": ((1, 2), (0, 2), (1, 3), [""]),
    "another kind": ([1], {"a": 1}, [2], [""]),
    "two orders": ([A, B, C], [B, A, C], [A, C, B], [""]),
    "insertions at one place": ([1], [1, 2], [1, 3], [""]),
    "edits that overlap": ([1, 2, 3], [1, 9], [1, 2, 8], [""]),
    "an edit around an insertion": ([1, 2, 3], [9], [1, 2, 7, 3], [""]),
    "a key": ({"a": 1, "b": 1}, {"a": 2, "b": 2}, {"a": 3, "b": 1}, ["['a']"]),
    "a removed key": ({"a": 1}, {}, {"a": 2}, ["['a']"]),
    "keys that are equal and differ": ({}, {1: "a"}, {True: "b"}, [""]),
    "members that are equal and differ": (set(), {1}, {True}, [""]),
    "orders of keys": (
        {"a": 1, "b": 1, "c": 1},
        {"b": 1, "a": 1, "c": 1},
        {"a": 1, "c": 1, "b": 1},
        [""],
    ),
}


@pytest.mark.parametrize("case", CLASHING)
def test_what_clashes_is_asked_about(case: str) -> None:
    base, ours, theirs, expected = CLASHING[case]

    value, places = merged(base, ours, theirs)

    assert places == expected
    assert type(value) is type(ours)


def test_long_lists_are_compared_in_bounded_time() -> None:
    """Beyond a bound a changed stretch is one edit; what lies outside of it is merged as ever."""
    base = list(range(5_000))
    ours = [0, *(-each for each in base[1:4_000]), *base[4_000:]]
    theirs = [*base, 7]

    assert merged(base, ours, theirs) == ([*ours, 7], [])
