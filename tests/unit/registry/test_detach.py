"""detach and attach: explicit moves, of live entities and of what somebody holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import Field

from registry import (
    Entity,
    ReadOnlyViewError,
    Ref,
    StructureError,
    Workspace,
    default_workspace,
    use_workspace,
)
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop


class Box(Entity):
    """Cannot be without its item, nor its pair without two."""

    item: Item
    pair: tuple[Item, Item]
    some: tuple[Item, ...] = ()


class Nest(Entity):
    """Holds others of its kind."""

    label: str
    below: list[Nest] = Field(default_factory=list)


@pytest.fixture(autouse=True)
def workspace() -> Iterator[Workspace]:
    workspace = Workspace()
    use_workspace(workspace)
    yield workspace
    use_workspace(None)


@pytest.fixture
def shop() -> Any:
    """A snapshot of a shop at version 1."""
    shop = new_shop()
    shop.window = {Item(name="w")}
    shop.anything = ([Item(name="nested")],)
    shop.promote_to_root()
    return shop


def stored(entity: Entity) -> Any:
    return default_workspace().snapshot(entity)


def entities_below(shop: Any) -> list[Any]:
    return [
        *(item for shelf in shop.shelves for item in shelf.items),
        *shop.by_name.values(),
        *shop.window,
        shop.star,
        *shop.anything[0],
    ]


PLACES: dict[str, Callable[[Any], Any]] = {
    "list": lambda shop: shop.shelves[1].items[0],
    "dict": lambda shop: shop.by_name["x"],
    "set": lambda shop: next(iter(shop.window)),
    "field": lambda shop: shop.star,
    "nested": lambda shop: shop.anything[0][0],
}


@pytest.mark.parametrize("find", PLACES.values(), ids=PLACES)
def test_detach_takes_out_and_makes_a_root_in_one_execution(
    workspace: Workspace, shop: Any, find: Callable[[Any], Any]
) -> None:
    child, old = find(shop), find(shop).ecs_id
    content = child.model_dump()

    assert child.detach() is child

    assert child.is_root_entity()
    assert (child.version, child.previous_ecs_id) == (1, old)
    assert stored(child) == child
    assert child.model_dump() == content
    assert shop.version == 2
    assert old not in workspace.tree(shop).nodes
    assert workspace.tree(shop, 1).get_entity(old).model_dump() == content
    assert all(each is not child for each in entities_below(shop))
    assert shop == stored(shop)
    (record,) = workspace.executions()
    assert (record.callable_name, record.semantic, record.output_ids) == (
        "detach",
        "detachment",
        [child.ecs_id],
    )


def test_what_is_below_what_was_detached_shows_the_new_tree(shop: Any) -> None:
    shelf = shop.shelves[0]
    item, tags = shelf.items[0], shelf.items[0].tags
    old = item.ecs_id

    shelf.detach()

    assert item is shelf.items[0]
    assert item.root_ecs_id == shelf.ecs_id
    assert item.previous_ecs_id == old
    shelf.items[1].name = "later"
    tags.append("lost")
    shelf.items[0].tags.append("kept")
    assert stored(shelf).items[1].name == "i01"
    assert Workspace.commit_edits(_workspace(), shelf)
    assert stored(shelf).items[1].name == "later"
    assert stored(shelf).items[0].tags == ["kept"]
    assert stored(shop).shelves[0].label == "s1"


def _workspace() -> Workspace:
    return default_workspace()


def test_edits_are_committed_with_a_detachment(shop: Any) -> None:
    """Those of the rest to the old tree, those of what leaves to the new one."""
    shelf = shop.shelves[0]
    shelf.label = "mine"
    shelf.items.append(Item(name="new"))
    shelf.items[0].name = "edited"
    shop.name = "other"

    shelf.detach()

    assert (stored(shelf).label, stored(shop).name) == ("mine", "other")
    assert [item.name for item in stored(shelf).items] == ["edited", "i01", "new"]
    assert [item.root_ecs_id for item in shelf.items] == [shelf.ecs_id] * 3
    assert not _workspace().commit_edits(shop)
    assert not _workspace().commit_edits(shelf)


def test_what_the_holder_took_out_already_is_detached_by_that_edit(shop: Any) -> None:
    shelf = shop.shelves.pop(0)

    shelf.detach()

    assert shelf.is_root_entity()
    assert shop.version == 2
    assert [each.label for each in stored(shop).shelves] == ["s1", "s2"]


def test_what_the_holder_moved_is_detached_from_where_it_is(shop: Any) -> None:
    item = shop.shelves[0].items.pop(0)
    shop.shelves[1].items.append(item)

    item.detach()

    assert item.is_root_entity()
    assert [len(each.items) for each in stored(shop).shelves] == [1, 2, 2]


def test_a_child_of_its_own_snapshot_is_detached(workspace: Workspace, shop: Any) -> None:
    child = workspace.snapshot(shop.shelves[0].items[0])

    child.detach()

    assert child.is_root_entity()
    assert stored(shop).version == 2
    assert shop.version == 1


def test_a_field_that_cannot_be_empty_refuses(workspace: Workspace) -> None:
    box = Box(item=Item(), pair=(Item(), Item()), some=(Item(name="a"), Item(name="b")))
    box.promote_to_root()

    for child, name in ((box.item, "item"), (box.pair[1], "pair")):
        with pytest.raises(StructureError) as raised:
            child.detach()
        assert f"field {name!r}" in raised.value.problem
        assert raised.value.subject.startswith("Item:")
    assert workspace.head(box) == 1
    assert not box.__home__.is_edited

    box.some[0].detach()
    assert [item.name for item in stored(box).some] == ["b"]


def test_detaching_a_root_commits_its_edits_and_an_orphan_is_promoted(
    workspace: Workspace, shop: Any
) -> None:
    shop.name = "edited"
    shop.detach()
    assert (shop.version, stored(shop).name) == (2, "edited")

    orphan = Item(name="o")
    assert orphan.detach().is_root_entity()
    assert len(workspace.roots()) == 2


def test_a_detached_entity_names_its_old_and_its_new_id(workspace: Workspace, shop: Any) -> None:
    """What an event of a detachment is made of."""
    old = shop.star.ecs_id

    ref = workspace.detach(shop.star)

    (record,) = workspace.executions()
    assert record.output_ids == [workspace.snapshot(ref).ecs_id]
    assert workspace.snapshot(ref).previous_ecs_id == old


def test_detach_by_ref(workspace: Workspace, shop: Any) -> None:
    root, child = workspace.ref(shop), workspace.ref(shop.star)

    new = workspace.detach(child)

    assert new.root == new.key != child.key
    assert workspace.detach(root) == root
    assert workspace.head(root) == 2


# --- inside a callable ---


def test_detach_in_a_callable_makes_a_root_that_is_not_returned(
    workspace: Workspace, shop: Any
) -> None:
    @workspace.register("act")
    def act(shop: Shop) -> None:
        item = shop.shelves[0].items[0]
        assert item.detach() is item
        item.name = "written"

    workspace.execute("act", raw=True, shop=workspace.ref(shop))

    (root,) = [ref for ref in workspace.roots() if ref.key != shop.__home__.source.key]
    item: Any = workspace.snapshot(root)
    assert (item.name, item.previous_ecs_id) == ("written", shop.shelves[0].items[0].ecs_id)
    (record,) = workspace.executions()
    assert (record.semantic, record.output_ids) == ("detachment", [item.ecs_id])
    assert [len(each.items) for each in stored(shop).shelves] == [1, 2, 2]


def test_detach_in_a_callable_that_fails_leaves_all_as_it_was(
    workspace: Workspace, shop: Any
) -> None:
    @workspace.register("act")
    def act(shop: Shop) -> None:
        shop.shelves[0].items[0].detach()
        raise KeyError

    with pytest.raises(KeyError):
        workspace.execute("act", shop=workspace.ref(shop))

    assert len(workspace.roots()) == 1
    assert workspace.head(shop) == 1


def test_a_wish_ends_with_its_execution_and_with_the_entity_put_back(
    workspace: Workspace, shop: Any
) -> None:
    def back(shop: Shop) -> None:
        item = shop.shelves[0].items[0]
        item.detach()
        shop.shelves[1].items.append(item)

    def drop(shop: Shop) -> None:
        shop.shelves[1].items.pop()

    workspace.register("back")(back)
    workspace.register("drop")(drop)
    workspace.execute("back", shop=workspace.ref(shop))
    workspace.execute("drop", shop=workspace.ref(shop))

    assert len(workspace.roots()) == 1


def test_attach_in_a_callable_moves_within_and_between_trees(
    workspace: Workspace, shop: Any
) -> None:
    other = workspace.add(new_shop())
    star = shop.star.ecs_id

    @workspace.register("act")
    def act(one: Shop, two: Shop) -> Item:
        one.shelves[0].items[0].attach(one.shelves[1], "items")
        star: Any = one.star
        return star.attach(two, "by_name", "star")  # type: ignore[no-any-return]  # an Item

    item = workspace.execute("act", one=workspace.ref(shop), two=other)

    assert [len(each.items) for each in stored(shop).shelves] == [1, 3, 2]
    assert stored(shop).star is None
    there: Any = workspace.snapshot(other)
    assert there.by_name["star"] == item
    assert item.previous_ecs_id == star


# --- attaching what is in hand ---


def test_what_was_above_may_be_attached_to_what_was_moved_out_of_it(workspace: Workspace) -> None:
    """Whether it would be below itself is seen as things are now."""
    nest = workspace.add(Nest(label="root", below=[Nest(label="a", below=[Nest(label="b")])]))

    @workspace.register("turn_round")
    def turn_round(root: Nest) -> None:
        outer = root.below[0]
        inner = outer.below[0]
        with pytest.raises(StructureError):
            outer.attach(inner, "below")
        inner.attach(root, "below")
        outer.attach(inner, "below")

    workspace.execute("turn_round", root=nest)

    root: Any = workspace.snapshot(nest)
    (inner,) = root.below
    assert (inner.label, [each.label for each in inner.below]) == ("b", ["a"])


def test_what_crossed_in_a_callable_can_be_moved_on_from_there(workspace: Workspace) -> None:
    """Until the commit it is of its old tree, and held by the other one."""
    one, two = workspace.add(Shelf(items=[Item(name="x")])), workspace.add(Shelf())

    @workspace.register("pass_through")
    def pass_through(one: Shelf, two: Shelf, to_root: bool) -> None:
        item = one.items.pop()
        two.items.append(item)
        if to_root:
            item.detach()
        else:
            item.attach(one, "items")

    workspace.execute("pass_through", one=one, two=two, to_root=False)

    assert [workspace.head(one), workspace.head(two)] == [1, 1]

    workspace.execute("pass_through", one=one, two=two, to_root=True)

    assert [workspace.head(one), workspace.head(two)] == [2, 1]
    (root,) = workspace.roots(Item)
    assert stored(workspace.snapshot(root)).name == "x"


def test_attach_commits_a_root_that_was_put_into_another_one(
    workspace: Workspace, shop: Any
) -> None:
    """The seed's form: first ordinary Python, then one call."""
    item = Item(name="alone", tags=["t"])
    item.promote_to_root()
    old, old_lineage = item.ecs_id, item.lineage_id
    shop.shelves[0].items.append(item)

    assert item.attach(shop) is item

    assert not item.is_root_entity()
    assert item.root_ecs_id == shop.ecs_id == stored(shop).ecs_id
    assert item.previous_ecs_id == old
    assert item is shop.shelves[0].items[-1]
    assert item == stored(shop).shelves[0].items[-1]
    assert workspace.snapshot(old_lineage).ecs_id == old
    item.tags.append("later")
    assert workspace.commit_edits(shop)
    assert stored(shop).shelves[0].items[-1].tags == ["t", "later"]


@pytest.mark.parametrize(
    ("field", "key", "find"),
    [
        ("by_name", "new", lambda shop: shop.by_name["new"]),
        ("window", None, lambda shop: next(each for each in shop.window if each.name == "new")),
        ("star", None, lambda shop: shop.star),
    ],
)
def test_attach_puts_an_orphan_where_it_is_told(
    shop: Any, field: str, key: Any, find: Callable[[Any], Any]
) -> None:
    item = Item(name="new")
    lineage = item.lineage_id

    item.attach(shop, field, key)

    assert find(shop) is item
    assert find(stored(shop)) == item
    assert item.lineage_id == lineage
    assert shop.version == 2


def test_attach_moves_a_child_from_one_tree_to_another(workspace: Workspace, shop: Any) -> None:
    other: Any = new_shop()
    other.promote_to_root()
    shelf = shop.shelves[0]
    item, old = shelf.items[0], shelf.items[0].ecs_id

    shelf.attach(other, "shelves")

    assert (shop.version, other.version) == (2, 2)
    assert [each.label for each in stored(shop).shelves] == ["s1", "s2"]
    assert stored(other).shelves[-1] == shelf == other.shelves[-1]
    assert item.previous_ecs_id == old
    assert item.root_ecs_id == other.ecs_id
    assert len(workspace.executions()) == 1


def test_attach_within_one_snapshot_keeps_the_identity(shop: Any) -> None:
    item = shop.shelves[0].items[0]
    old = item.ecs_id

    item.attach(shop.shelves[1], "items")

    assert item.ecs_id == old
    assert stored(shop).shelves[1].items[-1].ecs_id == old
    assert shop.version == 2


def test_attach_by_ref(workspace: Workspace, shop: Any) -> None:
    other = workspace.add(new_shop())

    ref = workspace.attach(workspace.ref(shop.star), other, "by_name", "star")

    assert ref.root == other.key
    assert stored(shop).star is None


BAD: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], Any]] = {
    "itself": (lambda shop: shop.shelves[0], lambda shop: shop.shelves[0], "items"),
    "below itself": (lambda shop: shop, lambda shop: shop.shelves[0], "items"),
    "wrong class": (lambda shop: Shelf(), lambda shop: shop.shelves[0], "items"),
    "no such field": (lambda shop: Item(), lambda shop: shop, "nothing"),
    "a plain field": (lambda shop: Item(), lambda shop: shop, "name"),
    "a wrong key": (lambda shop: Item(), lambda shop: shop, "by_name"),
    "no entity": (lambda shop: Item(), lambda shop: 3, "items"),
    "an orphan": (lambda shop: Item(), lambda shop: Shelf(), "items"),
    "not put there": (lambda shop: Item(), lambda shop: shop, None),
}


@pytest.mark.parametrize(("find", "parent", "field"), BAD.values(), ids=BAD)
def test_attach_refuses_and_nothing_changes(
    workspace: Workspace, shop: Any, find: Any, parent: Any, field: Any
) -> None:
    before = repr(shop)

    with pytest.raises(StructureError):
        find(shop).attach(parent(shop), field)

    assert repr(shop) == before
    assert workspace.head(workspace.ref(shop.lineage_id)) == 1
    assert not shop.__home__.is_edited


def test_the_names_are_reserved() -> None:
    for name in ("detach", "attach"):
        with pytest.raises(TypeError):
            type("Bad", (Entity,), {"__annotations__": {name: int}, "__module__": __name__})


def test_an_outdated_snapshot_forks_when_its_child_is_detached(
    workspace: Workspace, shop: Any
) -> None:
    root: Ref = workspace.ref(shop)
    workspace.put(f"@{root.lineage_id}.name", "newer")

    shop.star.detach()

    assert [ref.branch for ref in workspace.branches(root)] == [0, 1]
    assert (shop.name, shop.star) == ("shop", None)
    assert workspace.head(root) == 2


def test_an_outdated_snapshot_may_be_returned_as_it_is_beside_a_new_root(
    workspace: Workspace,
) -> None:
    """Its branch has made no version that could tell of the root."""
    one, two = workspace.add(Shelf()), workspace.add(Shelf(items=[Item(name="x")]))
    outdated = workspace.snapshot(one)
    workspace.put(f"{one.address}.label", "newer")

    @workspace.register("split")
    def split(one: Shelf, two: Shelf) -> Shelf:
        two.items[0].detach()
        return one

    returned = workspace.execute("split", one=outdated, two=two)

    assert returned.ecs_id == outdated.ecs_id
    assert workspace.branches(one) == [one]
    assert len(workspace.roots(Item)) == 1
    assert workspace.head(two) == 2


def test_siblings_are_detached_one_after_the_other_and_attached_again(shop: Any) -> None:
    """Each call finds the list as the call before it left it."""
    first, second = shop.shelves[0].items
    first.detach()
    second.detach()
    assert (shop.version, shop.shelves[0].items) == (3, [])

    first.attach(shop.shelves[0], "items")

    assert shop.version == 4
    assert shop.shelves[0].items == stored(shop).shelves[0].items == [first]
    assert shop.shelves[0].items[0] is first


def test_a_view_refuses_to_be_moved(workspace: Workspace, shop: Any) -> None:
    view: Any = workspace.tree(shop, read_only=True).root

    for move in (view.star.detach, lambda: Item().attach(view, "star")):
        with pytest.raises(ReadOnlyViewError):
            move()

    assert workspace.head(shop) == 1
