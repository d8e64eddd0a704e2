"""`ResultOf` among arguments is found and replaced, and nothing else is touched."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.options import ResultOf
from runner.results import find_result, holds_result, results_in, with_results

A, B = ResultOf("a"), ResultOf("b")

nested = st.recursive(
    st.integers() | st.sampled_from([A, B]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "value",
    [A, [A], (1, A), {"x": A}, {"x": [1, (2, {"y": A})]}],
    ids=repr,
)
def test_one_is_found_and_replaced_wherever_data_is(value: Any) -> None:
    assert [*results_in([value])] == [A]
    assert holds_result(value)
    assert repr(with_results(value, lambda each: each.id)) == repr(value).replace(repr(A), "'a'")


@given(nested)
def test_afterwards_there_is_none_and_the_rest_is_as_before(value: Any) -> None:
    replaced = with_results(value, lambda each: f"<{each.id}>")

    assert [*results_in([replaced])] == []
    assert repr(value).replace(repr(A), "'<a>'").replace(repr(B), "'<b>'") == repr(replaced)
    assert (replaced is value) == (not holds_result(value))


@pytest.mark.parametrize("value", [{A}, OrderedDict(x=A), [{A}]], ids=repr)
def test_elsewhere_it_is_not_replaced_but_found_when_asked(value: Any) -> None:
    assert with_results(value, lambda each: each.id) is value
    assert find_result(value) == A


@pytest.mark.parametrize("value", [1, "ResultOf", [("a",)], lambda: A], ids=repr)
def test_what_is_none_is_not_taken_for_one(value: Any) -> None:
    assert not holds_result(value)
    assert find_result(value) is None


def test_what_holds_itself_is_looked_at_once() -> None:
    endless: list[Any] = [1]
    endless.append(endless)

    assert not holds_result(endless)
    assert with_results(endless, str) is endless
