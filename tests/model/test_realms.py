"""Random histories over several trees, with all that can be given, returned and executed.

Goal and method are those of `test_histories.py`; `realm.py` compares.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.conftest import histories
from tests.model.realm import Realm
from tests.model.test_histories import NUMBERS

pytestmark = pytest.mark.slow

History = list[tuple[str, int, list[int]]]

OPERATIONS = st.lists(NUMBERS, max_size=14)
GROWTHS = st.lists(st.lists(NUMBERS, max_size=4), min_size=1, max_size=3)
VERSIONS = st.sampled_from([None, None, 3])


def steps(*kinds: str) -> st.SearchStrategy[History]:
    """Draw a short history of these kinds of steps."""
    return st.lists(st.tuples(st.sampled_from(kinds), NUMBERS, OPERATIONS), min_size=1, max_size=4)


def live(growths: list[list[int]], history: History, versions: int | None, listens: bool) -> None:
    """Do the steps of a history, and compare everything."""
    realm = Realm(growths, listens=listens, versions=versions)

    for step in history:
        realm.step(*step)

    realm.finish()


@histories(0.15)
@given(growths=GROWTHS, history=steps("call", "call", "call", "gather"), listens=st.booleans())
def test_calls_over_several_trees_equal_plain_python(
    growths: list[list[int]], history: History, listens: bool
) -> None:
    live(growths, history, None, listens)


@histories(0.15)
@given(
    growths=GROWTHS,
    history=steps(
        "call", "call", "fork", "undo", "put", "call", "move", "revert", "force", "merge", "drop",
        "replay", "stale", "hold", "scribble", "gather",
    ),
    versions=VERSIONS,
    listens=st.booleans(),
)  # fmt: skip
def test_calls_between_all_that_makes_versions_equal_plain_python(
    growths: list[list[int]], history: History, versions: int | None, listens: bool
) -> None:
    """With few versions retained, too, and with listeners that execute, or none."""
    live(growths, history, versions, listens)
