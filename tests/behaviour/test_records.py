"""Section 6 of docs/behaviour.md, as far as no unit test has the sentence as its name."""

from __future__ import annotations

from typing import Any

import pytest

from registry import Workspace
from registry.records import TreeVersions
from tests.unit.registry.shop import Item, Shop, new_shop


def test_a_record_holds_all_that_is_known_of_an_execution(workspace: Workspace) -> None:
    @workspace.register("split")
    def split(shop: Shop, at: int) -> tuple[Shop, Item]:
        taken = shop.shelves[0].items.pop(at)
        return shop, taken

    ref = workspace.add(new_shop())
    shop, item = workspace.execute("split", shop=ref, at=1)

    (record,) = workspace.executions()
    assert record.callable_name == "split"
    assert (record.status, record.error_type, record.error) == ("ok", "", "")
    assert (record.strategy, record.pattern) == ("single_entity_with_config", "mixed")
    assert record.inputs == (("shop", ref.key),)
    assert record.trees[0] == TreeVersions(ref.root, 0, 1, 2)
    assert record.arguments == (("at", 1),)
    assert record.output_ids == [shop.ecs_id, item.ecs_id]
    assert shop.sibling_output_entities == [item.ecs_id]
    assert {each.tree.root for each in workspace.changes(record)} == {
        ref.root,
        workspace.ref(item).root,
    }
    assert record.parent is None
    assert min(record.queued_s, record.run_s, record.commit_s) >= 0.0
    assert record.started_at <= shop.forked_at


def test_a_failed_execution_is_recorded_with_inputs_arguments_and_error(
    workspace: Workspace,
) -> None:
    @workspace.register("fail")
    def fail(shop: Shop, at: int) -> None:
        shop.numbers.clear()
        message = f"no number {at}"
        raise IndexError(message)

    ref = workspace.add(new_shop())
    with pytest.raises(IndexError):
        workspace.execute("fail", shop=ref, at=9)

    (record,) = workspace.executions(status="failed")
    found: dict[str, Any] = record._asdict()
    assert (found["error_type"], found["error"]) == ("IndexError", "no number 9")
    assert (found["inputs"], found["arguments"]) == ((("shop", ref.key),), (("at", 9),))
    assert found["trees"] == (TreeVersions(ref.root, 0, 1, 1),)
    assert (found["semantic"], found["outputs"], found["changed"]) == (None, (), 0)
