"""The class-level calls of the seed design work over one default workspace."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from pydantic import Field

from registry import (
    CallableRegistry,
    Entity,
    EntityRegistry,
    Workspace,
    default_workspace,
    use_workspace,
)


class Leaf(Entity):
    """Is held."""

    value: int = 0


class Trunk(Entity):
    """Holds leaves."""

    name: str = ""
    leaves: list[Leaf] = Field(default_factory=list)


@pytest.fixture(autouse=True)
def own_workspace() -> Iterator[Workspace]:
    """Give each test a default workspace of its own."""
    workspace = Workspace()
    use_workspace(workspace)
    yield workspace
    use_workspace(None)


def register_raise() -> None:
    @CallableRegistry.register("raise_value")
    def raise_value(trunk: Trunk, index: int, by: int) -> Trunk:
        trunk.leaves[index].value += by
        return trunk


def test_execute_takes_the_switches_of_the_seed() -> None:
    register_raise()
    trunk = Trunk(leaves=[Leaf()])
    trunk.promote_to_root()

    result = CallableRegistry.execute(
        "raise_value", skip_divergence_check=True, skip_events=True, trunk=trunk, index=0, by=2
    )

    assert result.leaves[0].value == 2
    assert trunk.leaves[0].value == 0
    assert (
        asyncio.run(CallableRegistry.aexecute("raise_value", trunk=result, index=0, by=1)).version
        == 3
    )


def test_metadata_names_the_callable_or_is_none() -> None:
    register_raise()

    metadata = CallableRegistry.get_metadata("raise_value")

    assert metadata is not None
    assert metadata.name == "raise_value"
    assert CallableRegistry.get_metadata("unknown") is None


def test_batches_give_results_and_exceptions_in_order() -> None:
    register_raise()
    trunk = Trunk(leaves=[Leaf()])
    EntityRegistry.register_entity(trunk)
    ref = default_workspace().ref(trunk)
    batch = [("raise_value", {"trunk": ref, "index": index, "by": 1}) for index in (0, 9, 0)]

    together = CallableRegistry.execute_batch_sync(batch)
    awaited = asyncio.run(CallableRegistry.execute_batch(batch))

    for results in (together, awaited):
        assert [type(result) for result in results] == [Trunk, IndexError, Trunk]
    assert default_workspace().head(ref) == 5


def test_registering_twice_changes_nothing() -> None:
    trunk = Trunk()

    EntityRegistry.register_entity(trunk)
    EntityRegistry.register_entity(trunk)

    assert len(default_workspace().roots()) == 1
    assert trunk.version == 1


def test_version_entity_is_true_exactly_when_a_version_was_made() -> None:
    trunk = Trunk(leaves=[Leaf(value=1)])
    EntityRegistry.register_entity(trunk)
    first = trunk.ecs_id

    assert not EntityRegistry.version_entity(trunk)
    trunk.leaves.append(Leaf(value=2))
    trunk.name = "oak"
    assert EntityRegistry.version_entity(trunk)

    assert trunk.version == 2
    assert trunk.previous_ecs_id == first
    assert [leaf.root_ecs_id for leaf in trunk.leaves] == [trunk.ecs_id] * 2
    assert not EntityRegistry.version_entity(trunk)
    trunk.leaves[1].value = 3
    assert EntityRegistry.version_entity(trunk)
    assert [leaf.value for leaf in default_workspace().snapshot(trunk).leaves] == [1, 3]


def test_a_stored_entity_is_found_by_its_ids_at_its_version() -> None:
    register_raise()
    trunk = Trunk(leaves=[Leaf(value=1), Leaf(value=5)])
    EntityRegistry.register_entity(trunk)
    assert trunk.root_ecs_id is not None
    result = CallableRegistry.execute("raise_value", trunk=trunk, index=0, by=1)

    old = EntityRegistry.get_stored_entity(trunk.root_ecs_id, trunk.leaves[0].ecs_id)
    new = EntityRegistry.get_stored_entity(result.ecs_id, result.leaves[0].ecs_id)

    assert isinstance(old, Leaf)
    assert isinstance(new, Leaf)
    assert (old.value, new.value) == (1, 2)
    assert EntityRegistry.get_stored_entity(result.ecs_id, trunk.leaves[0].ecs_id) is None
    assert EntityRegistry.history(trunk.lineage_id) == [trunk.ecs_id, result.ecs_id]
    assert len(EntityRegistry.branches(trunk.lineage_id)) == 1


def test_the_history_of_a_lineage_is_linear_and_that_of_a_branch_goes_back_into_its_base() -> None:
    """The main branch by default, the oldest version first; a fork's own versions follow."""
    register_raise()
    trunk = Trunk(leaves=[Leaf()])
    EntityRegistry.register_entity(trunk)
    first = trunk.ecs_id
    second = CallableRegistry.execute("raise_value", trunk=trunk, index=0, by=1)
    forked = CallableRegistry.execute("raise_value", trunk=trunk, index=0, by=2)
    third = CallableRegistry.execute("raise_value", trunk=second, index=0, by=1)
    main, branch = EntityRegistry.branches(trunk.lineage_id)

    assert EntityRegistry.history(trunk.lineage_id) == [first, second.ecs_id, third.ecs_id]
    for which in (branch, branch.branch):
        assert EntityRegistry.history(trunk.lineage_id, branch=which) == [first, forked.ecs_id]
    assert EntityRegistry.history(branch.lineage_id, branch=0) == EntityRegistry.history(
        main.lineage_id
    )
    assert EntityRegistry.roots(Trunk) == [main, branch]
    assert EntityRegistry.roots(Leaf) == []
