"""Random functions on random trees, step by step against plain Python.

Goal: any value, old version, id, held snapshot or error that differs from what plain objects and
`copy.deepcopy` give. Method: `world.py`; hypothesis draws the steps and shrinks a failure.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.conftest import histories
from tests.model.dice import NUMBER_BYTES
from tests.model.world import World

pytestmark = pytest.mark.slow

# Drawn as bytes: among integers hypothesis mixes the constants of whatever
# modules are loaded, so that a test would meet other histories alone than in the whole suite.
NUMBERS = st.binary(min_size=NUMBER_BYTES, max_size=NUMBER_BYTES).map(int.from_bytes)
OPERATIONS = st.lists(NUMBERS, max_size=8)
GROWTH = st.lists(NUMBERS, max_size=12)


def steps(*kinds: str) -> st.SearchStrategy[list[tuple[str, int, list[int]]]]:
    """Draw a history: kinds of steps, the first being the simplest."""
    return st.lists(st.tuples(st.sampled_from(kinds), NUMBERS, OPERATIONS), min_size=1, max_size=6)


@histories(0.25)
@given(growth=GROWTH, history=steps("run", "run", "fail", "hold"))
def test_executions_equal_plain_python(
    growth: list[int],
    history: list[tuple[str, int, list[int]]],
) -> None:
    """Values, versions, ids and failures are those of plain Python with deep copies."""
    world = World(growth)

    for step in history:
        world.step(*step)

    world.check_all()


@histories(0.1)
@given(growth=GROWTH, history=steps("run", "hold", "scribble", "haunt", "fail"))
def test_what_others_hold_never_matters(
    growth: list[int],
    history: list[tuple[str, int, list[int]]],
) -> None:
    """Snapshots stay as they are; what their holders and kept references write reaches nobody."""
    world = World(growth)

    for step in history:
        world.step(*step)

    world.check_all()


@histories(0.15)
@given(growth=GROWTH, history=steps("run", "edit", "stale", "fork", "fail"))
def test_edited_and_stale_snapshots_and_forks_equal_plain_python(
    growth: list[int],
    history: list[tuple[str, int, list[int]]],
) -> None:
    """Edits are committed, old snapshots begin branches, and no branch disturbs another."""
    world = World(growth)

    for step in history:
        world.step(*step)

    world.check_all()


@histories(0.15)
@given(growth=GROWTH, history=steps("run", "undo", "revert", "run", "undo_older", "fork", "hold"))
def test_what_is_taken_back_equals_the_older_version(
    growth: list[int],
    history: list[tuple[str, int, list[int]]],
) -> None:
    """Undo of the last execution gives the version before it, of that undo the one after.

    Revert gives any version, also from before a fork; lineages and the rest of history stay.
    """
    world = World(growth)

    for step in history:
        world.step(*step)

    world.check_all()


@histories(0.15)
@given(growth=GROWTH, history=steps("merge", "run", "merge", "fork", "undo", "revert", "fail"))
def test_merges_are_sound(
    growth: list[int],
    history: list[tuple[str, int, list[int]]],
) -> None:
    """A branch whose origin stood still comes back as it is, any other one once and without loss.

    Then the origin comes into the branch, and both are equal; conflicts leave all as it was.
    """
    world = World(growth)

    for step in history:
        world.step(*step)

    world.check_all()
