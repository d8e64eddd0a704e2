"""Effects as rows: what is counted is packed by the thousand, and found by its numbers."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import JournalDamagedError
from registry.ids import EXECUTION_BITS, execution_text, first_execution_number
from registry.journal.effects import (
    EffectRow,
    effect_roots,
    found_in,
    is_series,
    key_text,
    number_of,
    read_series,
    rows_of,
    spans_of,
)
from registry.journal.port import Effect, Group, Series

COUNT = 3 << EXECUTION_BITS
numbers = st.lists(
    st.integers(0, (1 << EXECUTION_BITS) - 1), min_size=1, max_size=30, unique=True
).map(lambda found: [COUNT + each for each in sorted(found)])


def row_of(series: Series) -> EffectRow:
    """Return the one row of a series."""
    (row,) = rows_of(Group((), series=[series]))
    return row


@given(numbers, st.data())
def test_a_series_comes_back_as_it_was(some: list[int], data: st.DataObject) -> None:
    outcomes = data.draw(st.lists(st.binary(), min_size=len(some), max_size=len(some)))
    series = Series(7, some, outcomes)

    assert read_series(row_of(series)) == series


@given(numbers, numbers)
def test_what_is_found_is_what_both_have(stored: list[int], asked: list[int]) -> None:
    row = row_of(Series(7, stored, [b"%d" % each for each in stored]))
    (span,) = spans_of(asked)

    assert dict(found_in(row, span)) == {each: b"%d" % each for each in stored if each in asked}


@given(numbers, numbers)
def test_a_series_with_a_number_lies_in_the_span_of_it(stored: list[int], asked: list[int]) -> None:
    """Or whoever looks there does not find it."""
    row = row_of(Series(7, stored, [b""] * len(stored)))
    (span,) = spans_of(asked)

    if set(stored) & set(asked):
        assert span.low <= row.key < span.high


def test_numbers_of_two_counts_are_looked_for_apart() -> None:
    spans = spans_of([COUNT * 2 + 1, COUNT, COUNT * 2])

    assert [span.numbers for span in spans] == [[COUNT], [COUNT * 2, COUNT * 2 + 1]]
    assert spans[0].high <= spans[1].low


def test_no_id_has_the_key_of_a_series() -> None:
    ids = ["", "a", "\0", "\ud800", "ÿ", "\udcff", "\U0010ffff"]
    rows = rows_of(Group((), effects=[Effect(0, each, b"") for each in ids]))

    assert not any(is_series(row.key) for row in rows)
    assert is_series(row_of(Series(0, [COUNT], [b""])).key)


def test_rows_have_each_root_once() -> None:
    group = Group((), effects=[Effect(1, "a", b""), Effect(0, "b", b"")])
    group = group._replace(series=[Series(1, [COUNT], [b""]), Series(2, [COUNT], [b""])])

    assert effect_roots(group) == [1, 0, 2]


def test_an_id_that_is_no_number_of_ours_has_none() -> None:
    number = first_execution_number() + 17

    assert number_of(execution_text(number)) == number
    for text in (
        "",
        "1f",
        "order 7",
        f"0x{number:x}",
        f"{number:X}z",
        f"0{number:x}",
        f"-{number:x}",
    ):
        assert number_of(text) is None


def test_a_key_is_named_for_people() -> None:
    assert key_text(b"order 7") == "execution order 7"
    assert key_text(row_of(Series(0, [COUNT, COUNT + 9], [b"", b""])).key) == (
        f"executions {COUNT:x} to {COUNT + 9:x}"
    )


@pytest.mark.parametrize(
    "data", [b"", b"x", zlib.compress(b""), zlib.compress(b"\4" + b"\xff" * 9)]
)
def test_data_that_is_none_is_damage(data: bytes) -> None:
    row = row_of(Series(0, [COUNT], [b""]))

    with pytest.raises(JournalDamagedError, match="hold no outcomes"):
        read_series(row._replace(data=data))
