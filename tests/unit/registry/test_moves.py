"""Entities that move from one tree to another: one commit over both, and new identity there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import Entity, Ref, StructureError, Workspace
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop

Act = Callable[[Shop, Shop], Any]


class World:
    """Two shops, and a way to run a function on both."""

    def __init__(self) -> None:
        self.workspace = Workspace()
        self.one = self.workspace.add(new_shop())
        self.two = self.workspace.add(new_shop())
        self.action: Act = lambda one, two: None

        @self.workspace.register("act")
        def act(one: Shop, two: Shop) -> Any:
            return self.action(one, two)

    def run(self, action: Act, one: Any = None, two: Any = None) -> Any:
        self.action = action
        return self.workspace.execute("act", one=one or self.one, two=two or self.two)

    def shops(self) -> tuple[Any, Any]:
        return self.workspace.snapshot(self.one), self.workspace.snapshot(self.two)

    def names(self, ref: Ref, version: int | None = None) -> list[list[str]]:
        shop: Any = self.workspace.snapshot(ref, version)
        return [[item.name for item in shelf.items] for shelf in shop.shelves]

    def ids(self) -> list[Any]:
        return [each for ref in self.workspace.roots() for each in self.workspace.tree(ref).nodes]

    def state(self) -> Any:
        return [
            (ref, self.workspace.head(ref), self.workspace.tree(ref).nodes.keys())
            for ref in self.workspace.roots()
        ]


@pytest.fixture
def world() -> World:
    return World()


def first_item(shop: Shop) -> Item:
    return shop.shelves[0].items[0]


def pass_on(one: Shop, two: Shop) -> Item:
    item = one.shelves[0].items.pop(0)
    two.shelves[0].items.append(item)
    return item


def test_a_transfer_is_one_commit_over_both_trees(world: World) -> None:
    world.run(pass_on)

    assert world.names(world.one)[0] == ["i01"]
    assert world.names(world.two)[0] == ["i00", "i01", "i00"]
    assert [world.workspace.head(ref) for ref in (world.one, world.two)] == [2, 2]
    one, two = world.shops()
    assert one.derived_from_execution_id == two.derived_from_execution_id
    assert world.names(world.one, 1)[0] == ["i00", "i01"]
    assert world.names(world.two, 1)[0] == ["i00", "i01"]


def test_what_crossed_has_a_new_identity_and_its_source_before_it(world: World) -> None:
    source = first_item(world.shops()[0])

    world.run(pass_on)

    crossed = world.shops()[1].shelves[0].items[-1]
    assert crossed.lineage_id != source.lineage_id
    assert crossed.previous_ecs_id == source.ecs_id
    assert crossed.model_dump() == source.model_dump()


def test_what_is_below_what_crossed_crossed_too(world: World) -> None:
    sources = list(world.shops()[0].shelves[0].items)

    world.run(lambda one, two: two.shelves.append(one.shelves.pop(0)))

    crossed = world.shops()[1].shelves[-1].items
    assert [item.previous_ecs_id for item in crossed] == [item.ecs_id for item in sources]
    assert {item.lineage_id for item in crossed}.isdisjoint({item.lineage_id for item in sources})


def test_what_crossed_and_is_returned_is_shown_in_its_new_tree(world: World) -> None:
    moved = world.run(pass_on)

    (record,) = world.workspace.executions()
    stored = world.shops()[1].shelves[0].items[-1]
    assert moved == stored
    assert not moved.is_root_entity()
    assert record.semantic == "mutation"
    assert record.output_ids == [stored.ecs_id]
    assert len(world.workspace.roots()) == 2


def test_a_receipt_of_what_crossed_refers_to_its_new_tree(world: World) -> None:
    world.action = pass_on

    receipt = world.workspace.run("act", {"one": world.one, "two": world.two})

    assert receipt.value.root == world.two.key
    assert world.workspace.snapshot(receipt.value).name == "i00"


def test_a_child_of_what_crossed_is_returned_as_it_is_in_the_new_tree(world: World) -> None:
    def act(one: Shop, two: Shop) -> Item:
        two.shelves.append(one.shelves.pop(0))
        return two.shelves[-1].items[1]

    item = world.run(act)

    assert item == world.shops()[1].shelves[-1].items[1]
    assert len(world.workspace.roots()) == 2


def test_subtrees_swap_places(world: World) -> None:
    before = [shop.shelves[0] for shop in world.shops()]

    def swap(one: Shop, two: Shop) -> None:
        one.shelves[0], two.shelves[0] = two.shelves[0], one.shelves[0]

    world.run(swap)

    after = [shop.shelves[0] for shop in world.shops()]
    assert [shelf.previous_ecs_id for shelf in after] == [before[1].ecs_id, before[0].ecs_id]
    assert len(set(world.ids())) == 24


def test_whole_lists_swap_places(world: World) -> None:
    def swap(one: Shop, two: Shop) -> None:
        two.shelves.pop()
        one.shelves, two.shelves = two.shelves, one.shelves

    world.run(swap)

    assert [len(each) for each in (world.names(world.one), world.names(world.two))] == [2, 3]
    assert len(set(world.ids())) == len(world.ids())


def test_a_child_of_what_crossed_that_goes_back_keeps_its_identity(world: World) -> None:
    source = first_item(world.shops()[0])

    def act(one: Shop, two: Shop) -> None:
        shelf = one.shelves.pop(0)
        two.shelves.append(shelf)
        one.shelves[0].items.append(shelf.items.pop(0))

    world.run(act)

    one, two = world.shops()
    assert one.shelves[0].items[-1].ecs_id == source.ecs_id
    assert [item.name for item in two.shelves[-1].items] == ["i01"]


def test_a_child_that_joins_what_crosses_to_it_keeps_its_identity(world: World) -> None:
    """It was in the second tree before and is in it after."""
    source = first_item(world.shops()[1])

    def act(one: Shop, two: Shop) -> None:
        shelf = one.shelves.pop(0)
        shelf.items.append(two.shelves[0].items.pop(0))
        two.shelves.append(shelf)

    world.run(act)

    assert world.shops()[1].shelves[-1].items[-1].ecs_id == source.ecs_id
    assert world.workspace.tree(world.two).get_entity(source.ecs_id).name == "i00"


def test_a_new_child_of_what_crosses_keeps_its_identity(world: World) -> None:
    item = Item(name="new")

    def act(one: Shop, two: Shop) -> None:
        one.shelves[0].items.append(item)
        two.shelves.append(one.shelves.pop(0))

    world.run(act)

    assert world.shops()[1].shelves[-1].items[-1].lineage_id == item.lineage_id


def test_what_crossed_and_came_back_did_not_move(world: World) -> None:
    def act(one: Shop, two: Shop) -> None:
        item = pass_on(one, two)
        two.shelves[0].items.pop()
        one.shelves[0].items.insert(0, item)

    world.run(act)

    assert [world.workspace.head(ref) for ref in (world.one, world.two)] == [1, 1]


def test_what_is_written_after_a_move_is_written_in_the_new_tree_only(world: World) -> None:
    source = first_item(world.shops()[0])

    def act(one: Shop, two: Shop) -> None:
        item = pass_on(one, two)
        item.name = "written"
        item.tags.append("t")

    world.run(act)

    crossed = world.shops()[1].shelves[0].items[-1]
    assert (crossed.name, crossed.tags) == ("written", ["t"])
    stored = world.workspace.get(f"@{source.ecs_id}")
    assert (stored.name, stored.tags) == ("i00", [])


def test_an_entity_that_stays_in_its_tree_is_copied_to_the_other(world: World) -> None:
    source = first_item(world.shops()[0])

    world.run(lambda one, two: two.shelves[0].items.append(first_item(one)))

    copied = world.shops()[1].shelves[0].items[-1]
    assert copied.previous_ecs_id == source.ecs_id
    assert first_item(world.shops()[0]) == source
    assert [world.workspace.head(ref) for ref in (world.one, world.two)] == [1, 2]


def test_a_root_put_into_another_tree_is_copied_and_stays_a_root(world: World) -> None:
    source = world.shops()[0]

    def act(one: Shop, two: Shop) -> None:
        two.anything = one

    world.run(act)

    copied = world.shops()[1].anything
    assert copied.previous_ecs_id == source.ecs_id
    assert copied.lineage_id != source.lineage_id
    assert world.workspace.snapshot(world.one) == source
    assert len(set(world.ids())) == 36


def share_new(one: Shop, two: Shop) -> None:
    item = Item(name="shared")
    one.shelves[0].items.append(item)
    two.shelves[0].items.append(item)


def return_new_holder(one: Shop, two: Shop) -> Shelf:
    item = Item(name="shared")
    one.shelves[0].items.append(item)
    return Shelf(items=[item])


def return_two_new_holders(one: Shop, two: Shop) -> list[Shelf]:
    item = Item(name="shared")
    return [Shelf(items=[item]), Shelf(items=[item])]


@pytest.mark.parametrize("act", [share_new, return_new_holder, return_two_new_holders])
def test_a_new_entity_in_two_trees_is_refused_with_both(world: World, act: Act) -> None:
    before = world.state()

    with pytest.raises(StructureError) as raised:
        world.run(act)

    assert raised.value.problem.startswith("would be in two trees, ")
    assert raised.value.subject.startswith("Item:")
    assert world.state() == before
    assert [record.status for record in world.workspace.executions()] == ["failed"]
    assert world.run(pass_on).name == "i00"


def test_roots_that_would_hold_each_other_are_refused(world: World) -> None:
    before = world.state()

    def act(one: Shop, two: Shop) -> None:
        one.anything, two.anything = two, one

    with pytest.raises(StructureError) as raised:
        world.run(act)

    assert raised.value.problem == "would hold itself"
    assert world.state() == before


def test_one_entity_at_two_places_of_the_other_tree_is_refused(world: World) -> None:
    before = world.state()

    def act(one: Shop, two: Shop) -> None:
        two.shelves[1].items.append(pass_on(one, two))

    with pytest.raises(StructureError) as raised:
        world.run(act)

    assert "shelves[0].items[2]" in raised.value.problem
    assert "shelves[1].items[2]" in raised.value.problem
    assert world.state() == before


def test_a_child_and_what_holds_it_at_two_places_of_the_other_tree_are_refused(
    world: World,
) -> None:
    def act(one: Shop, two: Shop) -> None:
        two.shelves.append(one.shelves[0])
        two.shelves[0].items.append(first_item(one))

    with pytest.raises(StructureError):
        world.run(act)


def test_a_child_moves_between_two_branches_of_one_tree(world: World) -> None:
    """Both have the same entities: what crosses is a new one beside the one that is there."""
    branch = world.workspace.fork(world.one)

    world.run(pass_on, world.one, branch)

    assert world.names(world.one)[0] == ["i01"]
    assert world.names(branch)[0] == ["i00", "i01", "i00"]
    shop: Any = world.workspace.snapshot(branch)
    first, _, crossed = shop.shelves[0].items
    assert first.lineage_id != crossed.lineage_id
    assert crossed.previous_ecs_id == first.ecs_id


def test_children_swap_between_two_branches_of_one_tree(world: World) -> None:
    branch = world.workspace.fork(world.one)

    def swap(one: Shop, two: Shop) -> None:
        a, b = one.shelves[0].items.pop(0), two.shelves[0].items.pop(0)
        one.shelves[0].items.append(b)
        two.shelves[0].items.append(a)

    world.run(swap, world.one, branch)

    assert world.names(world.one)[0] == world.names(branch)[0] == ["i01", "i00"]


def test_a_child_of_an_orphan_argument_is_another_entity_once_it_crossed(world: World) -> None:
    """The orphan becomes a root whose first version has the child."""
    orphan = new_shop()
    old = first_item(orphan).ecs_id

    def act(one: Shop, two: Shop) -> None:
        pass_on(one, two).name = "written"

    world.run(act, one=orphan)

    crossed = world.shops()[1].shelves[0].items[-1]
    assert (crossed.name, crossed.previous_ecs_id) == ("written", old)
    assert world.workspace.get(f"@{old}").name == "i00"


def test_an_orphan_argument_that_is_put_into_a_tree_keeps_its_identity(world: World) -> None:
    orphan = new_shop()

    def act(one: Shop, two: Shop) -> None:
        two.anything = one

    world.run(act, one=orphan)

    kept = world.shops()[1].anything
    assert kept.lineage_id == orphan.lineage_id
    assert first_item(kept).lineage_id == first_item(orphan).lineage_id
    assert len(world.workspace.roots()) == 2


def test_a_deep_subtree_crosses(world: World) -> None:
    class Link(Entity):
        below: Any = None

    def grow(one: Shop, two: Shop) -> None:
        for _ in range(3000):
            one.anything = Link(below=one.anything)

    def cross(one: Shop, two: Shop) -> None:
        one.anything, two.anything = None, one.anything

    world.run(grow)
    world.run(cross)

    assert len(world.workspace.tree(world.two).nodes) == 12 + 3000
    assert len(world.workspace.tree(world.one).nodes) == 12


def test_a_child_that_leaves_what_crossed_is_a_root_of_its_own(world: World) -> None:
    def act(one: Shop, two: Shop) -> Item:
        shelf = one.shelves.pop(0)
        two.shelves.append(shelf)
        return shelf.items.pop(0)

    item = world.run(act)

    assert item.is_root_entity()
    assert [record.semantic for record in world.workspace.executions()] == ["detachment"]
    assert len(set(world.ids())) == 24


# --- against a plain model ---

_PLACE = st.tuples(st.integers(0, 1), st.integers(0, 2), st.integers(0, 4))
_TRANSFER = st.tuples(_PLACE, _PLACE, st.sampled_from(["fine", "fails", "share", "swap"]))


def _transfer(shops: tuple[Any, Any], step: Any) -> None:
    """Do one step to two shops, or to two nested lists of names with the same methods."""
    (a, b, c), (x, y, z), how = step
    source, target = shops[a][b], shops[x][y]
    if how == "swap":
        source[:], target[:] = list(target), list(source)
        return
    item = source[c]
    if how != "share":
        source.pop(c)
    target.insert(z, item)
    if how == "fails":
        raise KeyError(how)


def _outcome(do: Callable[[], Any]) -> str:
    try:
        do()
    except (KeyError, IndexError) as error:
        return type(error).__name__
    except StructureError:
        return "refused"
    return "ok"


@given(st.lists(_TRANSFER, max_size=8))
def test_transfers_end_where_plain_python_puts_them(steps: list[Any]) -> None:
    """Also what fails does: contents are equal, ids unique, and every version reads as it did."""
    world = World()
    model: Any = [world.names(world.one), world.names(world.two)]
    seen: list[dict[int, Any]] = [{1: world.names(world.one)}, {1: world.names(world.two)}]
    for step in steps:
        before = [[list(names) for names in shop] for shop in model]

        def act(one: Shop, two: Shop, step: Any = step) -> None:
            _transfer(([s.items for s in one.shelves], [s.items for s in two.shelves]), step)

        expected = _outcome(lambda step=step: _transfer(model, step))  # type: ignore[misc]  # bound now
        found = _outcome(lambda act=act: world.run(act))  # type: ignore[misc]  # bound now
        if step[2] == "share" and step[0][0] == step[1][0] and expected == "ok":
            expected = "refused"
        assert found == expected
        if found != "ok":
            model[:] = before
        for ref, versions in zip((world.one, world.two), seen, strict=True):
            versions[world.workspace.head(ref)] = world.names(ref)
    assert [world.names(world.one), world.names(world.two)] == model
    assert len(set(world.ids())) == len(world.ids())
    for ref, versions in zip((world.one, world.two), seen, strict=True):
        assert list(versions) == list(range(1, world.workspace.head(ref) + 1))
        assert {number: world.names(ref, number) for number in versions} == versions
