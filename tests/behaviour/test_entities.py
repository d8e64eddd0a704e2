"""Section 1 of docs/behaviour.md, as far as no unit test has the sentence as its name."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from registry import Entity, EntityRegistry, Ref, StructureError, Workspace
from tests.unit.registry.conftest import Do
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop


def entities_of(shop: Any) -> list[Entity]:
    """All entities of a shop, each once, in one order."""
    items = [item for shelf in shop.shelves for item in shelf.items]
    return [shop, *shop.shelves, *items, *shop.by_name.values(), shop.star]


def test_previous_ecs_id_is_the_version_before_and_old_ids_are_all_of_them_oldest_first(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """Of each entity: a version of the tree in which it did not change is none of its own."""
    for label in ("a", "b", "c"):
        do(lambda shop, label=label: setattr(shop.shelves[0], "label", label))
        do(lambda shop, label=label: setattr(shop, "name", label))
    versions: list[Any] = [workspace.snapshot(shop, version) for version in range(1, 8)]

    roots = [each.ecs_id for each in versions]
    assert [each.previous_ecs_id for each in versions] == [None, *roots[:-1]]
    assert [each.old_ids for each in versions] == [roots[:index] for index in range(7)]
    shelves = list(dict.fromkeys(each.shelves[0].ecs_id for each in versions))
    assert len(shelves) == 4
    assert versions[-1].shelves[0].old_ids == shelves[:-1]
    assert versions[-1].shelves[0].previous_ecs_id == shelves[-2]
    assert versions[-1].shelves[1].old_ids == []


def test_created_at_stays_and_forked_at_is_the_time_of_the_version() -> None:
    seconds = itertools.count(1_000.0)
    workspace = Workspace(clock=lambda: next(seconds))
    ref = workspace.add(new_shop())
    workspace.register("rename")(rename)
    workspace.run("rename", {"shop": ref, "name": "a"})
    workspace.run("rename", {"shop": ref, "name": "b"})

    first, second, third = (workspace.snapshot(ref, version) for version in (1, 2, 3))

    assert first.created_at == second.created_at == third.created_at == first.forked_at
    assert first.forked_at < second.forked_at < third.forked_at


def rename(shop: Shop, name: str) -> None:
    """Change one field."""
    shop.name = name


def test_a_version_names_the_function_and_the_execution_that_made_it(
    workspace: Workspace, shop: Ref
) -> None:
    workspace.register("rename")(rename)
    workspace.execute("rename", shop=shop, name="new")

    now: Any = workspace.snapshot(shop)
    (record,) = workspace.executions()
    assert now.derived_from_function == "rename"
    assert now.derived_from_execution_id == record.execution_id
    unchanged = now.shelves[0]
    assert (unchanged.derived_from_function, unchanged.derived_from_execution_id) == (None, None)


def test_live_id_is_that_of_one_object_and_root_live_id_that_of_its_root(
    workspace: Workspace, shop: Ref
) -> None:
    one: Any = workspace.snapshot(shop)
    two: Any = workspace.snapshot(shop)

    assert one.live_id == one.live_id
    assert one.live_id != two.live_id
    assert {each.root_live_id for each in entities_of(one)} == {one.live_id}
    assert Item().root_live_id is None


def test_promotion_keeps_ids_lineages_and_data_of_all_below() -> None:
    shop = new_shop()
    before = [(each.ecs_id, each.lineage_id, each.model_dump()) for each in entities_of(shop)]

    shop.promote_to_root()

    after = [(each.ecs_id, each.lineage_id, each.model_dump()) for each in entities_of(shop)]
    assert after == before
    assert shop.version == 1
    stored: Any = EntityRegistry.get_stored_entity(shop.ecs_id, shop.ecs_id)
    assert [each.ecs_id for each in entities_of(stored)] == [each[0] for each in before]


def test_every_descendant_points_at_the_root_at_once() -> None:
    shop = new_shop()
    objects = entities_of(shop)
    assert {each.root_ecs_id for each in objects} == {None}

    shop.promote_to_root()

    assert {each.root_ecs_id for each in objects} == {shop.ecs_id}
    assert [each.is_root_entity() for each in objects] == [True] + [False] * (len(objects) - 1)


def test_promoting_a_root_again_does_nothing(own_default: Workspace) -> None:
    shop = new_shop()
    shop.promote_to_root()
    before = (shop.ecs_id, shop.version, own_default.roots())

    shop.promote_to_root()

    assert (shop.ecs_id, shop.version, own_default.roots()) == before
    assert own_default.executions() == []


@pytest.mark.parametrize("case", ["cycle", "twice"])
def test_a_refused_promotion_names_both_paths_and_changes_nothing(
    own_default: Workspace, case: str
) -> None:
    shop = new_shop()
    if case == "cycle":
        shop.shelves[1].items[0].__dict__["tags"] = [shop.shelves[1]]
        paths = ("shelves[1]", "tags[0]")
    else:
        shop.by_name["again"] = shop.shelves[2].items[1]
        paths = ("shelves[2].items[1]", "by_name['again']")
    before = [(each.ecs_id, each.root_ecs_id) for each in entities_of(shop)]

    with pytest.raises(StructureError) as caught:
        shop.promote_to_root()

    for path in paths:
        assert path in str(caught.value)
    assert [(each.ecs_id, each.root_ecs_id) for each in entities_of(shop)] == before
    assert all(each.is_orphan() for each in entities_of(shop))
    assert own_default.roots() == []


def test_editing_what_was_promoted_never_changes_what_is_stored(own_default: Workspace) -> None:
    """The objects in hand are a snapshot of version 1, down to the last list."""
    shop = new_shop()
    shelf, tags = shop.shelves[0], shop.shelves[0].items[0].tags
    shop.promote_to_root()
    before = own_default.snapshot(shop).model_dump()
    assert shop.root_ecs_id is not None

    shop.name = "mine"
    shelf.items.append(Item(name="mine"))
    tags.append("mine")
    shop.table.clear()
    shop.marks.add(99)
    shop.point.x = 99
    shop.shelves = [Shelf(label="mine")]

    stored = EntityRegistry.get_stored_entity(shop.root_ecs_id, shop.ecs_id)
    assert stored is not None
    assert stored.model_dump() == before
    assert own_default.head(shop) == 1
