"""Entries of one branch as bytes: tables, differences, what is complete, and what is damaged."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from registry import Entity
from registry.errors import (
    ClassChangedError,
    JournalDamagedError,
    NotFoundError,
    UnknownClassError,
    UnreadableValueError,
)
from registry.ids import Key, new_key
from registry.journal.packing import Packer, Unpacker, reading, writable
from registry.schema import schema_of


class Thing(Entity):
    """An entity with two fields."""

    a: int = 0
    b: int = 0
    _c: int = 0


def again(pack: Packer) -> Unpacker:
    pack.mark()
    return Unpacker(pack.take(), "here")


def test_entries_come_back_in_order_with_their_tables() -> None:
    pack, first, second = Packer(), new_key(), new_key()
    at = [pack.keys[second], pack.keys[first], pack.keys[second]]
    texts = [pack.text(each) for each in ("b", "a", "b")]
    plans = [pack.plan(schema_of(Thing)), pack.tuple_of(("x", "y")), pack.plan(schema_of(Thing))]
    pack.entries += [[1, 2.5], "x", None]

    unpack = again(pack)

    assert list(unpack) == [[1, 2.5], "x", None]
    assert [unpack.keys[each] for each in at] == [second, first, second]
    assert all(type(each) is Key for each in unpack.keys)
    assert [unpack.texts[each] for each in texts] == ["b", "a", "b"]
    assert len(unpack.texts) == 2
    name = f"{__name__}:Thing"
    assert unpack.plans[plans[0]] == [name, "a", "b", "_c", "__pydantic_fields_set__"]
    assert unpack.tuple_of(plans[1]) == ("x", "y")
    assert plans[0] == plans[2]


@given(st.lists(st.floats(0, 2**33) | st.floats(1.7e9, 1.9e9), max_size=20))
def test_times_come_back_exactly(times: list[float]) -> None:
    pack = Packer()
    pack.entries += [pack.time(each) for each in times]
    pack.entries.append(0)

    unpack = again(pack)

    assert [unpack.time(each) for each in list(unpack)[:-1]] == times


@given(st.lists(st.integers(0, 2**60) | st.sampled_from(["job-1", ""]), max_size=20))
def test_numbers_of_executions_come_back(numbers: list[int | str]) -> None:
    pack = Packer()
    pack.entries += [pack.number(each) for each in numbers]
    pack.entries.append(0)

    unpack = again(pack)

    assert [unpack.number(each) for each in list(unpack)[:-1]] == numbers


def test_only_what_is_marked_is_taken_and_the_rest_goes_on_from_there() -> None:
    """Differences of the next bytes are to the last entry of these, whatever came after it."""
    pack = Packer()
    assert pack.take() == b""
    pack.entries.append([pack.time(100.5), pack.number(10)])
    pack.mark()
    pack.entries.append([pack.time(101.5), pack.number(12)])
    first = Unpacker(pack.take(), "first")
    assert pack.take() == b""
    pack.mark()
    second = Unpacker(pack.take(), "second")

    read = [
        (unpack.time(time), unpack.number(number))
        for unpack in (first, second)
        for time, number in unpack
    ]

    assert read == [(100.5, 10), (101.5, 12)]
    assert pack.entries == []


def test_what_is_large_is_compressed() -> None:
    small, large = Packer(), Packer()
    small.entries.append("x")
    large.entries += ["x" * 100] * 100
    for pack, kind in ((small, b"P"), (large, b"Z")):
        pack.mark()
        data = pack.take()
        assert data[:1] == kind
        assert len(data) < 200
        assert len(list(Unpacker(data, "here"))) in (1, 100)


GOOD = from_json(b'[1,0,0,[""],[],[],[]]')


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"P",
        b"Pnonsense",
        b"Z\x00\x01",
        b"Z" + zlib.compress(b"[1]"),
        b"P[1,2]",
        b"P3",
        b"P" + to_json([1, 0, 0, ["QQ=="], [], [], []]),
        b"P" + to_json([1, 0, 0, ["", 3], [], [], []]),
        b"P" + to_json([1, 0, 0, None, [], [], []]),
    ],
)
def test_bytes_that_are_no_entries_are_told_with_their_place(data: bytes) -> None:
    assert list(Unpacker(b"P" + to_json(GOOD), "here")) == []

    with pytest.raises(JournalDamagedError) as caught:
        Unpacker(data, "here")

    assert caught.value.place == "here"


def test_another_format_is_told() -> None:
    with pytest.raises(JournalDamagedError) as caught:
        Unpacker(b"P" + to_json([99, *GOOD[1:]]), "here")

    assert caught.value.found == "format 99, not 2 or older"


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_for_people_can_be_written(text: str) -> None:
    assert from_json(to_json(writable(text))) == writable(text)
    if text.isascii():
        assert writable(text) == text


def test_what_reading_raises_names_the_place() -> None:
    for error in (KeyError("x"), TypeError("x"), AssertionError("x"), NotFoundError("x", "y")):
        with pytest.raises(JournalDamagedError) as caught, reading("part 1"):
            raise error
        assert caught.value.place == "part 1"
        assert type(error).__name__ in caught.value.found
    with pytest.raises(UnreadableValueError) as unreadable, reading("part 1"):
        raise UnreadableValueError("a value", "no reason")
    assert unreadable.value.place == "a value in part 1"
    assert unreadable.value.problem == "no reason"


@pytest.mark.parametrize(
    "error",
    [
        *(MemoryError(), RecursionError(), UnknownClassError("a", "b")),
        *(ClassChangedError("a", "b", "c"), JournalDamagedError("a", "b")),
    ],
    ids=repr,
)
def test_what_says_more_than_that_it_is_damaged_passes(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, reading("part 1"):
        raise error

    assert caught.value is error
