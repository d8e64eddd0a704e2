"""Section 3 of docs/behaviour.md, as far as no unit test has the sentence as its name."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import numpy as np
import pytest

from registry import Entity, EntityRegistry, Ref, Workspace
from tests.behaviour.test_entities import entities_of
from tests.unit.registry.conftest import Do
from tests.unit.registry.shop import Item, Shop


def ids_of(shop: Entity) -> dict[UUID, UUID]:
    """The `ecs_id` of every entity by lineage."""
    return {each.lineage_id: each.ecs_id for each in entities_of(shop)}


def renewed(workspace: Workspace, shop: Ref, act: Callable[[], Any]) -> list[Any]:
    """Do something, and return the entities, as they are then, that have a new id."""
    before = ids_of(workspace.snapshot(shop))
    act()
    now = workspace.snapshot(shop)
    return [each for each in entities_of(now) if before.get(each.lineage_id) != each.ecs_id]


def test_a_moved_entity_keeps_its_id_and_its_old_and_new_parent_change(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    def move(shop: Shop) -> None:
        shop.shelves[2].items.append(shop.shelves[0].items.pop(1))

    found = renewed(workspace, shop, lambda: do(move))

    now: Any = workspace.snapshot(shop)
    assert found == [now, now.shelves[0], now.shelves[2]]
    assert now.shelves[2].items[-1].name == "i01"


def test_a_moved_entity_that_changed_as_well_has_a_new_id(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    def move(shop: Shop) -> None:
        shop.shelves[2].items.append(shop.shelves[0].items.pop(1))
        shop.shelves[2].items[-1].name = "new"

    found = renewed(workspace, shop, lambda: do(move))

    now: Any = workspace.snapshot(shop)
    assert found == [now, now.shelves[0], now.shelves[2], now.shelves[2].items[-1]]


CHANGES: dict[str, Callable[[Shop], Any]] = {
    "own value": lambda shop: setattr(shop.shelves[1], "label", "new"),
    "another order": lambda shop: shop.shelves[1].items.reverse(),
    "one removed": lambda shop: shop.shelves[1].items.pop(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_new_ids_go_to_what_changed_and_its_ancestors_only(
    workspace: Workspace, shop: Ref, do: Do, change: Callable[[Shop], Any]
) -> None:
    found = renewed(workspace, shop, lambda: do(change))

    now: Any = workspace.snapshot(shop)
    assert found == [now, now.shelves[1]]


@pytest.mark.parametrize("at", [0, 2], ids=["exchanged", "added"])
def test_a_child_that_is_added_or_exchanged_changes_its_holder(
    workspace: Workspace, shop: Ref, do: Do, at: int
) -> None:
    def put(shop: Shop) -> None:
        shop.shelves[1].items[at : at + 1] = [Item(name="new")]

    found = renewed(workspace, shop, lambda: do(put))

    now: Any = workspace.snapshot(shop)
    assert found == [now, now.shelves[1], now.shelves[1].items[at]]


def test_another_key_of_a_child_changes_its_holder(workspace: Workspace, shop: Ref, do: Do) -> None:
    def rename_key(shop: Shop) -> None:
        shop.by_name["y"] = shop.by_name.pop("x")

    assert renewed(workspace, shop, lambda: do(rename_key)) == [workspace.snapshot(shop)]


SAME: dict[str, tuple[Any, Any]] = {
    "NaN": (float("nan"), float("nan")),
    "NaN in a list": ([1.0, float("nan")], [1.0, float("nan")]),
    "array": (np.arange(3), np.arange(3)),
    "array with NaN": (np.array([1.0, np.nan]), np.array([1.0, np.nan])),
    "list": ([1, [2]], [1, [2]]),
}
DIFFERENT: dict[str, tuple[Any, Any]] = {
    "1 and True": (1, True),
    "1 and 1.0": (1, 1.0),
    "True and 1.0": (True, 1.0),
    "1 and True in a list": ([1], [True]),
    "0.0 and -0.0": (0.0, -0.0),
    "decimals": (Decimal("1.0"), Decimal("1.00")),
    "arrays": (np.arange(3), np.array([0, 1, 3])),
    "types of arrays": (np.arange(3), np.arange(3.0)),
    "list and tuple": ([1], (1,)),
}


def changes_to(workspace: Workspace, shop: Ref, do: Do, old: Any, new: Any) -> bool:
    """Tell whether a version is made when *new* is written in place of *old*."""
    do(lambda shop: setattr(shop, "anything", old))
    before = workspace.head(shop)
    do(lambda shop: setattr(shop, "anything", new))
    return workspace.head(shop) > before


@pytest.mark.parametrize(("old", "new"), SAME.values(), ids=SAME)
def test_nan_is_itself_and_arrays_are_the_same_by_content(
    workspace: Workspace, shop: Ref, do: Do, old: Any, new: Any
) -> None:
    assert not changes_to(workspace, shop, do, old, new)


@pytest.mark.parametrize(("old", "new"), DIFFERENT.values(), ids=DIFFERENT)
def test_values_that_python_calls_equal_differ_if_they_read_differently(
    workspace: Workspace, shop: Ref, do: Do, old: Any, new: Any
) -> None:
    assert changes_to(workspace, shop, do, old, new)


def test_an_outdated_snapshot_starts_a_branch_of_its_lineage_that_names_where_it_began(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    stale = workspace.snapshot(shop)
    do(lambda shop: setattr(shop, "name", "main"))

    def act(shop: Shop) -> Shop:
        shop.name = "branch"
        return shop

    forked = do(act, stale)

    main, branch = workspace.branches(shop)
    assert workspace.ref(forked) == branch
    assert forked.lineage_id == stale.lineage_id
    assert workspace.forked_from(branch) == stale.ecs_id
    assert workspace.forked_from(main) is None
    assert forked.old_ids == [stale.ecs_id]
    assert [each.ecs_id for each in forked.shelves] == [each.ecs_id for each in stale.shelves]


def test_neither_branch_disturbs_the_other(workspace: Workspace, shop: Ref, do: Do) -> None:
    stale = workspace.snapshot(shop)
    branch = workspace.fork(shop)
    do(lambda shop: setattr(shop, "name", "main"))
    do(lambda shop: setattr(shop, "name", "branch"), branch)
    do(lambda shop: shop.shelves.pop(), branch)

    assert (workspace.snapshot(shop).name, len(workspace.snapshot(shop).shelves)) == ("main", 3)
    assert workspace.snapshot(branch).name == "branch"
    assert len(workspace.snapshot(branch).shelves) == 2
    assert workspace.snapshot(shop, 1) == stale
    assert workspace.forked_from(branch) == stale.ecs_id


@pytest.mark.parametrize("scope", ["call", "workspace"])
def test_on_stale_is_said_per_call_or_per_workspace_and_forks_otherwise(scope: str) -> None:
    found = []
    for on_stale in SAID:
        default = on_stale if scope == "workspace" and on_stale else "fork"
        workspace = Workspace(on_stale=default)
        workspace.register("grow")(grow)
        ref = workspace.add(Shop())
        stale = workspace.snapshot(ref)
        workspace.execute("grow", shop=ref)
        workspace.execute("grow", shop=stale, on_stale=on_stale if scope == "call" else None)
        found.append((len(workspace.branches(ref)), len(workspace.snapshot(ref).numbers)))

    assert found == [(2, 1), (1, 2), (2, 1)]


SAID: tuple[Literal["fork", "head"] | None, ...] = ("fork", "head", None)


def grow(shop: Shop) -> None:
    """Make a list longer."""
    shop.numbers.append(len(shop.numbers))


def test_the_history_of_a_lineage_holds_the_ids_of_its_versions_oldest_first(
    own_default: Workspace,
) -> None:
    own_default.register("grow")(grow)
    ref = own_default.add(Shop())
    for _ in range(3):
        own_default.run("grow", {"shop": ref})

    found = EntityRegistry.history(ref.lineage_id)

    assert found == [own_default.snapshot(ref, version).ecs_id for version in (1, 2, 3, 4)]
