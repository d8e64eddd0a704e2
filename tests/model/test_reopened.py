"""Random histories that go on in another process: everything is as if it had been one.

Goal and method are those of `test_histories.py` and `test_realms.py`; between steps the workspace
is left as it is, and another one is opened on the same store.
"""

from __future__ import annotations

import pytest
from hypothesis import given

from registry.journal.histories import check_histories
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


@histories(0.12)
@given(
    growth=GROWTH,
    history=steps(
        "run", "reopen", "run", "edit", "reopen", "fork", "stale", "merge", "undo", "reopen",
        "undo_older", "revert", "fail", "hold", "scribble", "haunt",
    ),
)  # fmt: skip
def test_whoever_opens_the_store_goes_on_where_the_last_one_stopped(
    growth: list[int], history: list[tuple[str, int, list[int]]]
) -> None:
    """Values, versions, ids, records, merges and what can be undone are those of one process."""
    journal = MemoryJournal()
    world = World(growth, journal=journal)

    for step in history:
        world.step(*step)

    if not world.over:
        world.check_all()
        world.open()
        world.check_all()
        assert list(check_histories(carried(journal))) == []


@histories(0.08)
@given(
    growths=GROWTHS,
    history=realm_steps(
        "call", "reopen", "call", "fork", "undo", "put", "reopen", "move", "revert", "force",
        "merge", "drop", "replay", "stale", "reopen", "gather",
    ),
    versions=VERSIONS,
)  # fmt: skip
def test_executions_over_several_trees_are_stored_whole(
    growths: list[list[int]], history: History, versions: int | None
) -> None:
    """Also with few versions retained; what is forgotten in memory is forgotten after opening."""
    journal = MemoryJournal()
    realm = Realm(growths, listens=False, versions=versions, journal=journal)

    for step in history:
        realm.step(*step)

    realm.step("reopen", 0, [])
    realm.finish()
    assert list(check_histories(carried(journal))) == []
