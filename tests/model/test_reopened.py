"""Random histories that go on in another process: everything is as if it had been one.

Goal and method are those of `test_histories.py` and `test_realms.py`; between steps the workspace
is left as it is, and another one is opened on the same store. Checkpoints come as often as drawn:
trees begin at one, and are asked for what came before it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.journal.histories import check_histories
from registry.journal.journaled_tree import JournaledTree
from registry.journal.memory import MemoryJournal
from tests.model.conftest import histories
from tests.model.journaled import carried, enter_codecs
from tests.model.realm import Realm
from tests.model.test_histories import GROWTH, steps
from tests.model.test_realms import GROWTHS, VERSIONS, History
from tests.model.test_realms import steps as realm_steps
from tests.model.world import World

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _codecs() -> None:
    enter_codecs()


EVERY = st.sampled_from([0, 0, 0, 1, 2, 3, 100])
"""Commits after which there is a checkpoint."""


@contextlib.contextmanager
def checkpoints_every(commits: int) -> Iterator[None]:
    """Put checkpoints after so many commits, whatever the size of the tree."""
    was = JournaledTree.wants_checkpoint
    JournaledTree.wants_checkpoint = property(  # type: ignore[method-assign,assignment]  # put back
        lambda tree: tree.marked - tree.checked > commits
    )
    try:
        yield
    finally:
        JournaledTree.wants_checkpoint = was  # type: ignore[method-assign]  # as it was


@histories(0.12)
@given(
    growth=GROWTH,
    history=steps(
        "run", "reopen", "run", "edit", "reopen", "fork", "stale", "merge", "undo", "reopen",
        "undo_older", "revert", "fail", "hold", "scribble", "haunt",
    ),
    every=EVERY,
)  # fmt: skip
def test_whoever_opens_the_store_goes_on_where_the_last_one_stopped(
    growth: list[int], history: list[tuple[str, int, list[int]]], every: int
) -> None:
    """Values, versions, ids, records, merges and what can be undone are those of one process."""
    journal = MemoryJournal()
    with checkpoints_every(every):
        world = World(growth, journal=journal)

        for step in history:
            world.step(*step)

        if not world.over:
            world.check_all()
            world.open()
            world.check_all()
            assert list(check_histories(carried(journal))) == []


@histories(0.1)
@given(
    growth=GROWTH,
    history=steps(
        "run", "run", "edit", "run", "reopen", "run", "undo", "run", "undo_older", "revert",
        "reopen", "run", "hold", "scribble", "haunt",
    ),
    every=EVERY,
)  # fmt: skip
def test_a_tree_that_begins_at_a_checkpoint_answers_as_if_never_away(
    growth: list[int], history: list[tuple[str, int, list[int]]], every: int
) -> None:
    """Without forks, so that no tree is loaded with all its history at first."""
    journal = MemoryJournal()
    with checkpoints_every(every):
        world = World(growth, journal=journal)

        for step in history:
            world.step(*step)

        if not world.over:
            world.open()
            world.check_all()


@histories(0.08)
@given(
    growths=GROWTHS,
    history=realm_steps(
        "call", "reopen", "call", "fork", "undo", "put", "reopen", "move", "revert", "force",
        "merge", "drop", "replay", "stale", "reopen", "gather",
    ),
    versions=VERSIONS,
    every=EVERY,
)  # fmt: skip
def test_executions_over_several_trees_are_stored_whole(
    growths: list[list[int]], history: History, versions: int | None, every: int
) -> None:
    """Also with few versions retained; what is forgotten in memory is forgotten after opening."""
    journal = MemoryJournal()
    with checkpoints_every(every):
        realm = Realm(growths, listens=False, versions=versions, journal=journal)

        for step in history:
            realm.step(*step)

        realm.step("reopen", 0, [])
        realm.finish()
    assert list(check_histories(carried(journal))) == []
