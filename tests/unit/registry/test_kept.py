"""What a record keeps of an argument: data while it is small, else its text."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from registry import KeptText, Ref
from registry.ids import Key
from registry.kept import MAX_TEXT, MAX_WEIGHT, is_text_only, keep, marks, shown, unpack
from tests.unit.registry.shop import Item

REF = Ref(Key(1), Key(2))


@pytest.mark.parametrize(
    "value",
    [
        *(None, 1, "text", 1.5, [], (), {}, set(), frozenset()),
        *([1, "a", None], (1, (2, 3)), {"a": [1, {2: ()}]}, {1, 2}, frozenset({"x"})),
        list(range(MAX_WEIGHT - 1)),
    ],
    ids=repr,
)
def test_atoms_and_small_containers_come_back_as_they_were(value: Any) -> None:
    packed = keep(value)

    assert shown(packed) == value
    assert type(shown(packed)) is type(value)
    assert not is_text_only(packed)


@pytest.mark.parametrize(
    "value",
    [object(), list(range(MAX_WEIGHT)), ["x" * 64 * MAX_WEIGHT], [object()], {(1, 2): 3}],
    ids=["object", "many items", "long text", "object inside", "key that is no atom"],
)
def test_anything_else_comes_back_as_its_text(value: Any) -> None:
    packed = keep(value)
    text = repr(value)

    assert is_text_only(packed)
    assert isinstance(shown(packed), KeptText)
    assert shown(packed) == (text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 3] + "...")


def test_a_list_that_holds_itself_comes_back_as_its_text() -> None:
    value: list[Any] = [1]
    value.append(value)

    assert shown(keep(value)) == "[1, [...]]"


def test_entities_are_marks_that_are_filled_in_order() -> None:
    packed = keep({"a": [REF, Item()], "b": (1, REF)})
    found = iter(["first", "second", "third"])

    assert shown(packed) == {"a": [None, None], "b": (1, None)}
    assert unpack(packed, lambda: next(found)) == {"a": ["first", "second"], "b": (1, "third")}
    assert not is_text_only(keep([REF] * 1000))
    assert shown(keep(Item())) is None


def test_the_garbage_collector_does_not_visit_what_is_kept() -> None:
    packed = keep({"a": [1, 2, (3,)], "b": {4}})

    for _ in range(3):  # it stops at a tuple once it has stopped at those inside
        gc.collect()

    assert not gc.is_tracked(packed)


@pytest.mark.parametrize("count", [0, 1, MAX_WEIGHT + 1])
def test_marks_are_what_is_kept_of_a_list_of_entities(count: int) -> None:
    assert marks(count) == keep([REF] * count)
