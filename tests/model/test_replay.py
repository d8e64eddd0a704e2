"""Every execution of a random history comes out as recorded when it is run again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from registry import ReplayError
from tests.model import world as worlds
from tests.model.conftest import histories
from tests.model.entity_trees import Node
from tests.model.forms import read
from tests.model.test_histories import GROWTH, steps
from tests.model.world import World

pytestmark = pytest.mark.slow


@histories(0.05)
@given(growth=GROWTH, history=steps("run", "run", "fail", "edit", "stale", "fork"))
def test_a_replay_of_every_execution_is_equal_and_stores_nothing(
    growth: list[int], history: list[tuple[str, int, list[int]]]
) -> None:
    world = World(growth)
    workspace = world.workspace
    programs: dict[str, Any] = {}
    calls: list[Any] = []

    def act(root: Node) -> Any:
        calls.append(worlds.CURRENT["actions"])
        return worlds.act(root)

    workspace.register("act", replace=True)(act)
    for step in history:
        calls.clear()
        world.step(*step)
        acts = [each.execution_id for each in workspace.executions(name="act")]
        programs.update(zip([each for each in acts if each not in programs], calls, strict=True))
    records = workspace.executions()

    for record in records:
        worlds.CURRENT.clear()
        worlds.CURRENT["actions"] = programs.get(record.execution_id)
        if dict(record.arguments).get("@edits"):
            with pytest.raises(ReplayError):
                workspace.replay(record.execution_id)
            continue
        found = workspace.replay(record.execution_id)
        assert found.is_equal, str(found)
        assert (found.error is None) == (record.status == "ok")

    assert workspace.executions() == records
    world.check_all()
    assert {read(workspace.snapshot(line.ref)).form for line in world.lines}
