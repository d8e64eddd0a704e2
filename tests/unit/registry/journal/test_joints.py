"""Records that are one with their commits, through the bytes of a log, alone and in columns."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.ids import Key
from registry.journal.joints import JOINT, JOINTS, write_joints
from registry.journal.logs import read_log
from registry.journal.packing import Packer
from registry.records import Packed, apart
from registry.values import same_value
from tests.model.values import ATOMS

KEYS = [Key(7), Key(1 << 73)]
NAMES = [("tree",), ("tree", "by"), ("how", "tree", "by")]

values = st.one_of(
    *(st.none(), st.booleans(), st.floats(), st.integers(), st.text()), st.sampled_from(ATOMS)
)
outputs = st.one_of(
    *(st.none(), st.just(()), st.just((9, 3))),
    *(st.just((int(KEYS[1]), 2, 0)), st.just((int(KEYS[1]), 2, 5, 6, 1))),
)
seconds = st.floats(0, 2**32) | st.integers(0, 2**40).map(lambda ticks: ticks / 2**22)
numbers = st.integers(0, 2**114) | st.text()


@st.composite
def joints(draw: st.DrawFn, names: tuple[str, ...] | None = None) -> Packed:
    """Draw a record that is one with its commit."""
    names = names or draw(st.sampled_from(NAMES))
    at = names.index("tree")
    key = int(draw(st.sampled_from(KEYS)))
    given = [key if each == at else draw(values) for each in range(len(names))]
    version, branch = draw(st.integers(1, 2**28 - 1)), draw(st.integers(0, 2))
    number, called = draw(numbers), draw(st.sampled_from("fg"))
    return (
        *(version, draw(seconds), number, called, *((),) * 5, 3, int(draw(st.sampled_from(KEYS)))),
        *(branch, at, names, tuple(given), draw(outputs), draw(st.integers(0, 9))),
        *(draw(seconds), draw(st.floats(0, 9)), draw(st.floats(0, 9))),
    )


def written(some: list[Packed]) -> tuple[list[Any], bytes]:
    """Return the entries of records, and the bytes."""
    pack = Packer()
    entries = list(write_joints(some, pack))
    pack.entries += entries
    pack.mark()
    return entries, pack.take()


def same(one: Packed, other: Packed) -> bool:
    """Tell whether two are the same; how long something took is written in whole nanoseconds."""
    return len(one) == len(other) and all(
        abs(a - b) < 2e-9 if at in (13, 14) else same_value(a, b)
        for at, (a, b) in enumerate(zip(one, other, strict=True))
    )


@given(st.lists(joints(), max_size=12))
def test_records_come_back_in_order_as_they_were(some: list[Packed]) -> None:
    _, data = written(some)
    found = read_log(data, 1)[0] if data else []

    assert len(found) == len(some)
    for one, other in zip(found, some, strict=True):
        assert same(one, apart(other))


@given(st.lists(joints(NAMES[2]), min_size=5, max_size=12))
def test_many_with_the_same_parameters_are_one_entry(some: list[Packed]) -> None:
    entries, data = written(some)

    assert [entry[0] for entry in entries] == [JOINTS]
    assert all(map(same, read_log(data, 1)[0], map(apart, some)))


def usual(count: int) -> list[Packed]:
    """Return moves as a program makes them."""
    key = int(KEYS[0])
    return [
        (
            *(2 + at, 0.0, 1000 + at, "move", *((),) * 5, 3, key, 0, 1, NAMES[2]),
            *((f"agent-{at % 7}", key, at % 3), None, 3, 100.0 + at / 2**22, 1e-6 * at, 2e-6),
        )
        for at in range(count)
    ]


def test_a_few_are_written_one_by_one() -> None:
    entries, data = written(usual(3))

    assert [entry[0] for entry in entries] == [JOINT] * 3
    assert all(map(same, read_log(data, 1)[0], map(apart, usual(3))))


def test_what_all_have_in_common_is_written_once() -> None:
    [entry], _ = written(usual(50))

    lists = [at for at, each in enumerate(entry) if type(each) is list]
    assert len(lists) < 8  # arguments, numbers, versions, three times
    assert [type(each) for each in entry[3]] == [list, int, list]


@pytest.mark.parametrize(
    "column",
    [[1, True, 1.0, 1, 1], [0.0, -0.0, 0.0, 0.0, 0.0], [None] * 5, [[1]] * 5, ["", "", "", "", 0]],
)
def test_equal_values_of_two_classes_stay_two(column: list[Any]) -> None:
    some = [
        (*each[:14], (value if type(value) is not list else 2**70, *each[14][1:]), *each[15:])
        for each, value in zip(usual(5), column, strict=True)
    ]
    _, data = written(some)

    assert all(map(same, read_log(data, 1)[0], map(apart, some)))
