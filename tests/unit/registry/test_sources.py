"""Borrowed fields and composed entities: copies that remember where they came from."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from registry import (
    ArgumentError,
    Dependencies,
    EntityRegistry,
    NotFoundError,
    PathError,
    Retention,
    Workspace,
    compose,
    dependencies,
    parse_address,
    use_workspace,
)
from tests.unit.registry.shop import Item, Shop, new_shop


@pytest.fixture(autouse=True)
def workspace() -> Iterator[Workspace]:
    workspace = Workspace()
    use_workspace(workspace)
    yield workspace
    use_workspace(None)


@pytest.fixture
def source() -> Any:
    """A snapshot of an item."""
    item = Item(name="source", price=9.0, tags=["a", "b"])
    item.promote_to_root()
    return item


@pytest.fixture
def shop() -> Any:
    """A snapshot of a shop."""
    shop = new_shop()
    shop.promote_to_root()
    return shop


def bear(entity: Any, source: Any) -> None:
    entity.borrow_attribute_from(source, "name", "name")


def test_an_orphan_borrows_a_copy_and_knows_its_source(source: Any) -> None:
    item = Item()

    item.borrow_attribute_from(source, "tags", "tags")
    bear(item, source)
    source.tags.append("later")

    assert (item.name, item.tags) == ("source", ["a", "b"])
    assert item.attribute_source == {"name": source.ecs_id, "tags": [source.ecs_id] * 2}
    item.name = "own"
    assert item.attribute_source == {"tags": [source.ecs_id] * 2}


def test_a_source_stays_with_an_orphan_that_becomes_a_root_is_copied_or_pickled(
    workspace: Workspace, source: Any
) -> None:
    item = Item()
    bear(item, source)
    wanted = {"name": source.ecs_id}

    assert pickle.loads(pickle.dumps(item)).attribute_source == wanted
    assert copy.deepcopy(item).attribute_source == {}
    ref = workspace.add(item)
    assert item.attribute_source == wanted
    assert workspace.snapshot(ref).attribute_source == wanted
    assert pickle.loads(pickle.dumps(workspace.snapshot(ref))).attribute_source == wanted


def test_a_source_stays_with_an_orphan_that_is_put_into_a_tree(shop: Any, source: Any) -> None:
    item = Item()
    bear(item, source)
    shop.shelves[0].items.append(item)

    EntityRegistry.version_entity(shop)

    assert item.attribute_source == {"name": source.ecs_id}
    assert shop.shelves[0].items[-1].attribute_source == {"name": source.ecs_id}


def test_a_snapshot_borrows_by_an_edit(workspace: Workspace, shop: Any, source: Any) -> None:
    star = shop.star
    bear(star, source)

    assert star.attribute_source == {"name": source.ecs_id}
    assert workspace.snapshot(star).attribute_source == {}
    assert EntityRegistry.version_entity(shop)
    assert star.attribute_source == {"name": source.ecs_id}
    stored: Any = workspace.snapshot(star)
    assert (stored.name, stored.attribute_source) == ("source", {"name": source.ecs_id})
    star.name = "own"
    assert star.attribute_source == {}


@pytest.fixture
def run(workspace: Workspace, shop: Any, source: Any) -> Callable[[Any], Any]:
    """Run a function on the live shop and the source."""
    actions: list[Any] = []

    @workspace.register("act")
    def act(shop: Shop, item: Item) -> Any:
        return actions[-1](shop, item)

    def run(action: Any) -> Any:
        actions.append(action)
        return workspace.execute("act", shop=workspace.ref(shop), item=workspace.ref(source))

    return run


def sources(workspace: Workspace, shop: Any, version: int | None = None) -> Any:
    found: Any = workspace.snapshot(workspace.ref(shop), version)
    return found.star.attribute_source


def test_a_source_is_told_through_versions_until_the_field_changes(
    workspace: Workspace, shop: Any, source: Any, run: Any
) -> None:
    wanted = {"name": source.ecs_id}

    run(lambda shop, item: bear(shop.star, item))
    run(lambda shop, item: setattr(shop.star, "price", 3.0))
    run(lambda shop, item: setattr(shop.star, "name", "own"))
    run(lambda shop, item: setattr(shop.star, "name", "source"))

    found = [sources(workspace, shop, version) for version in range(1, 6)]
    assert found == [{}, wanted, wanted, {}, {}]


def test_a_source_of_a_list_is_told_until_the_list_changes(
    workspace: Workspace, shop: Any, source: Any, run: Any
) -> None:
    run(lambda shop, item: shop.star.borrow_attribute_from(item, "tags", "tags"))
    assert sources(workspace, shop) == {"tags": [source.ecs_id] * 2}

    run(lambda shop, item: shop.star.tags.append("own"))
    assert sources(workspace, shop) == {}
    assert sources(workspace, shop, 2) == {"tags": [source.ecs_id] * 2}


def test_what_fails_has_borrowed_nothing(workspace: Workspace, shop: Any, run: Any) -> None:
    def fail(shop: Any, item: Any) -> None:
        bear(shop.star, item)
        raise KeyError

    with pytest.raises(KeyError):
        run(fail)
    run(lambda shop, item: setattr(shop.star, "name", "source"))

    assert sources(workspace, shop) == {}


def test_what_was_overwritten_in_the_same_execution_was_not_borrowed(
    workspace: Workspace, shop: Any, run: Any
) -> None:
    def act(shop: Any, item: Any) -> None:
        bear(shop.star, item)
        shop.star.name = "own"

    run(act)

    assert sources(workspace, shop) == {}


def test_a_branch_tells_the_sources_of_its_base_and_its_own(
    workspace: Workspace, shop: Any, source: Any, run: Any
) -> None:
    run(lambda shop, item: bear(shop.star, item))
    branch = workspace.fork(shop.lineage_id)
    key = workspace.snapshot(branch).star.lineage_id
    assert workspace.snapshot(branch).star.attribute_source == {"name": source.ecs_id}

    star: Any = workspace.snapshot(branch)
    star.star.name = "own"
    workspace.commit_edits(star)

    assert star.star.attribute_source == {}
    assert star.star.lineage_id == key
    assert sources(workspace, shop) == {"name": source.ecs_id}


def test_a_source_outlives_the_versions_that_are_forgotten() -> None:
    workspace = Workspace(retention=Retention(versions=3))
    shop = workspace.add(new_shop())
    source = workspace.add(Item(name="source"))
    wanted = workspace.snapshot(source).ecs_id

    @workspace.register("bear")
    def act(shop: Shop, item: Item) -> None:
        bear(shop.star, item)

    @workspace.register("write")
    def write(shop: Shop, name: str) -> None:
        assert shop.star is not None
        shop.star.price += 1
        shop.star.name = name

    workspace.execute("bear", shop=shop, item=source)
    for _ in range(60):
        workspace.execute("write", shop=shop, name="source")
    assert workspace.snapshot(shop).star.attribute_source == {"name": wanted}
    workspace.execute("write", shop=shop, name="own")
    workspace.execute("write", shop=shop, name="source")
    for _ in range(60):
        workspace.execute("write", shop=shop, name="source")
    assert workspace.snapshot(shop).star.attribute_source == {}


def test_borrowing_checks_names_and_types(shop: Any, source: Any) -> None:
    with pytest.raises(ArgumentError) as raised:
        shop.star.borrow_attribute_from(source, "tags", "price")
    assert raised.value.callable_name == "borrow_attribute_from"
    for names in (("nothing", "name"), ("name", "nothing")):
        with pytest.raises(NotFoundError):
            shop.star.borrow_attribute_from(source, *names)
    assert not shop.__home__.is_edited


def test_borrowed_entities_are_new_ones(shop: Any) -> None:
    other = Shop()

    other.borrow_attribute_from(shop, "shelves", "shelves")

    assert other.shelves[0].previous_ecs_id == shop.shelves[0].ecs_id
    assert other.shelves[0].lineage_id != shop.shelves[0].lineage_id
    other.promote_to_root()


# --- compose, put, dependencies ---


def test_compose_builds_an_orphan_and_notes_sources(workspace: Workspace, source: Any) -> None:
    at = f"@{source.lineage_id}"

    item = compose(Item, {"name": parse_address(f"{at}.name"), "price": f"{at}.price"})

    assert (item.name, item.price, item.tags) == ("source", 9.0, [])
    assert item.is_orphan()
    assert item.attribute_source == {"name": source.ecs_id, "price": source.ecs_id}
    assert len(workspace.roots()) == 1


def test_compose_reads_addresses_in_containers_and_copies_entities(
    workspace: Workspace, source: Any, shop: Any
) -> None:
    made = workspace.compose(
        Shop,
        {
            "numbers": [1, f"@{shop.ecs_id}.numbers.0"],
            "by_name": {"s": f"@{source.ecs_id}", "own": Item(name="own")},
            "marks": {7},
            "table": f"@{shop.ecs_id}.table",
        },
        register=True,
    )

    assert (made.numbers, made.marks, made.table) == ([1, 3], {7}, {"a": 1, "b": 2})
    assert made.by_name["s"].previous_ecs_id == source.ecs_id
    assert made.is_root_entity()
    assert workspace.snapshot(made).attribute_source == {
        "numbers": [None, shop.ecs_id],
        "by_name": {"s": source.ecs_id},
        "table": {"a": shop.ecs_id, "b": shop.ecs_id},
    }


def test_compose_leaves_a_text_where_texts_belong() -> None:
    assert compose(Item, {"name": "@everybody"}).name == "@everybody"


def test_compose_tells_what_does_not_fit(source: Any) -> None:
    for mapping, where in (({"price": "x"}, "price"), ({"nothing": 1}, "nothing")):
        with pytest.raises(ArgumentError) as raised:
            compose(Item, mapping)
        assert (raised.value.callable_name, raised.value.parameter) == ("compose", where)
    with pytest.raises(PathError):
        compose(Item, {"price": f"@{source.ecs_id}.nothing"})


def test_put_notes_the_source_of_an_address(workspace: Workspace, shop: Any, source: Any) -> None:
    star = f"@{shop.star.lineage_id}"

    workspace.put(f"{star}.name", parse_address(f"@{source.lineage_id}.name"))
    workspace.put(f"{star}.tags", ["own", parse_address(f"@{source.lineage_id}.name")])

    found: Any = workspace.get(star)
    assert (found.name, found.tags) == ("source", ["own", "source"])
    assert found.attribute_source == {
        "name": source.ecs_id,
        "tags": [None, source.ecs_id],
    }
    assert [len(record.sources) for record in workspace.executions()] == [1, 1]


def test_dependencies_tell_what_an_entity_was_made_of(
    workspace: Workspace, shop: Any, source: Any
) -> None:
    copied = shop.star.model_copy()
    bear(copied, source)
    ref = workspace.add(copied)
    workspace.put(f"@{copied.lineage_id}.price", 4.0)
    wanted = (shop.star.ecs_id, {"name": source.ecs_id}, [shop.star.ecs_id, source.ecs_id])

    found = dependencies(ref)

    assert found == Dependencies(workspace.snapshot(ref).ecs_id, *wanted)
    assert EntityRegistry.get_entity_dependencies(copied) == Dependencies(copied.ecs_id, *wanted)
    assert EntityRegistry.get_entity_dependencies(source) == (source.ecs_id, None, {}, [])


# --- forced versions ---


def test_a_forced_version_renews_every_id(workspace: Workspace, shop: Any) -> None:
    before = list(workspace.tree(shop).nodes)

    assert EntityRegistry.version_entity(shop, force_versioning=True)

    after = list(workspace.tree(shop).nodes)
    assert shop.version == 2
    assert len(after) == len(before)
    assert set(before).isdisjoint(after)
    assert shop.star.ecs_id in after
    difference = workspace.diff(shop, 1, 2)
    assert not any([difference.added, difference.removed, difference.moved, difference.changed])
    assert not EntityRegistry.version_entity(shop)


def test_a_forced_version_commits_the_edits_too(workspace: Workspace, shop: Any) -> None:
    shop.name = "edited"
    gone = shop.shelves.pop()
    shop.shelves[0].items.append(Item(name="new"))

    assert workspace.commit_edits(shop, force=True)

    stored: Any = workspace.snapshot(shop)
    assert (stored.name, len(stored.shelves), shop.version) == ("edited", 2, 2)
    assert gone.ecs_id not in workspace.tree(shop).nodes


def test_a_branch_is_forced_alone(workspace: Workspace, shop: Any) -> None:
    branch: Any = workspace.snapshot(workspace.fork(shop))
    before = list(workspace.tree(shop).nodes)

    assert workspace.commit_edits(branch, force=True)

    assert set(workspace.tree(branch).nodes).isdisjoint(before)
    assert list(workspace.tree(workspace.ref(shop)).nodes) == before
