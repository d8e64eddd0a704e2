"""Inputs from several trees commit together or not at all."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from registry import Ref, Workspace
from registry.changes import Changes
from registry.errors import IdentityTakenError, StructureError, TreerunnerError
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop


def pass_on(source: Shop, target: Shop, fail: str = "") -> None:
    """Move the first item of one shop to another."""
    item = source.shelves[0].items.pop(0)
    if fail == "between":
        raise KeyError
    target.shelves[0].items.append(item)
    source.numbers.append(1)
    target.numbers.append(2)
    if fail == "after":
        raise KeyError


def both(one: Shop, two: Shop) -> tuple[Shop, Shop]:
    """Change both, return both."""
    one.name, two.name = "one", "two"
    return one, two


def corrupt_second(one: Shop, two: Shop) -> None:
    """Change both; the second is no tree any more."""
    one.name = "lost"
    two.name = "lost"
    two.shelves[1].items.append(two.shelves[0].items[0])


@pytest.fixture
def workspace() -> Workspace:
    """A workspace that knows the functions above."""
    workspace = Workspace()
    for function in (pass_on, both, corrupt_second):
        workspace.register(function.__name__)(function)
    return workspace


@pytest.fixture
def shops(workspace: Workspace) -> tuple[Ref, Ref]:
    """Two shops."""
    return workspace.add(new_shop()), workspace.add(new_shop())


def state(workspace: Workspace, *refs: Ref) -> Any:
    """Return values, ids and versions of trees."""
    return [
        (workspace.head(ref), workspace.snapshot(ref).model_dump(context={"identity": True}))
        for ref in refs
    ]


def test_both_trees_get_a_version(workspace: Workspace, shops: tuple[Ref, Ref]) -> None:
    one, two = workspace.execute("both", one=shops[0], two=shops[1])

    assert (one.name, two.name) == ("one", "two")
    assert (one.version, two.version) == (2, 2)
    assert [workspace.head(ref) for ref in shops] == [2, 2]
    assert one.derived_from_execution_id == two.derived_from_execution_id
    assert len(workspace.executions()) == 1


@pytest.mark.parametrize("fail", ["between", "after"])
def test_a_failure_leaves_both_as_they_were(
    workspace: Workspace, shops: tuple[Ref, Ref], fail: str
) -> None:
    before = state(workspace, *shops)

    with pytest.raises(KeyError):
        workspace.execute("pass_on", source=shops[0], target=shops[1], fail=fail)

    assert state(workspace, *shops) == before
    workspace.execute("both", one=shops[0], two=shops[1])
    assert workspace.snapshot(shops[0]).shelves[0].items[0].name == "i00"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_is_wrong_with_one_tree_fails_both(
    workspace: Workspace, shops: tuple[Ref, Ref], order: tuple[int, int]
) -> None:
    """Found at the commit of one tree, whichever commits first."""
    before = state(workspace, *shops)

    with pytest.raises(StructureError):
        workspace.execute("corrupt_second", one=shops[order[0]], two=shops[order[1]])

    assert state(workspace, *shops) == before
    assert [record.status for record in workspace.executions()] == ["failed"]


def test_an_entity_that_crosses_gets_a_new_identity_with_provenance(
    workspace: Workspace, shops: tuple[Ref, Ref]
) -> None:
    old = workspace.snapshot(shops[0]).shelves[0].items[0]

    workspace.execute("pass_on", source=shops[0], target=shops[1])

    source, target = (workspace.snapshot(ref) for ref in shops)
    crossed = target.shelves[0].items[-1]
    assert crossed.model_dump() == old.model_dump()
    assert crossed.lineage_id != old.lineage_id
    assert crossed.root_ecs_id == target.ecs_id
    assert [item.name for item in source.shelves[0].items] == ["i01"]
    assert workspace.snapshot(shops[0], 1).shelves[0].items[0] == old
    assert [workspace.head(ref) for ref in shops] == [2, 2]


def test_a_crossed_entity_belongs_to_its_new_tree(
    workspace: Workspace, shops: tuple[Ref, Ref]
) -> None:
    """Later executions change it there, and there only."""
    workspace.execute("pass_on", source=shops[0], target=shops[1])

    def rename(shop: Shop) -> None:
        shop.shelves[0].items[-1].name = "renamed"

    workspace.register("grow")(rename)
    workspace.execute("grow", shop=shops[1])

    assert workspace.snapshot(shops[1]).shelves[0].items[-1].name == "renamed"
    assert workspace.snapshot(shops[1], 2).shelves[0].items[-1].name == "i00"
    assert workspace.head(shops[0]) == 2
    workspace.execute("pass_on", source=shops[1], target=shops[0])
    assert workspace.snapshot(shops[0]).shelves[0].items[-1].name == "i00"


@pytest.mark.parametrize("order", [0, 1])
def test_what_changes_places_with_another_tree_takes_along_what_is_below(
    workspace: Workspace, shops: tuple[Ref, Ref], order: int
) -> None:
    """Whichever of the trees is stored first; the borrowed field asks for the general way."""

    @workspace.register("swap")
    def swap(one: Shop, two: Shop) -> None:
        one.shelves[0].borrow_attribute_from(two, "name", "label")
        one.shelves[0], two.shelves[0] = two.shelves[0], one.shelves[0]

    one, two = shops[order], shops[1 - order]
    before: Any = [workspace.snapshot(each) for each in (one, two)]

    workspace.execute("swap", one=one, two=two)

    after: Any = [workspace.snapshot(each) for each in (one, two)]
    assert [[item.model_dump() for item in each.shelves[0].items] for each in after] == [
        [item.model_dump() for item in each.shelves[0].items] for each in reversed(before)
    ]
    assert [workspace.head(each) for each in (one, two)] == [2, 2]


def test_an_entity_in_two_trees_at_once_is_refused_or_copied(
    workspace: Workspace, shops: tuple[Ref, Ref]
) -> None:
    """Put into the second and left in the first: two entities from then on, or an error."""

    def share(one: Shop, two: Shop) -> None:
        two.shelves[0].items.append(one.shelves[0].items[0])

    workspace.register("share")(share)

    def rename(shop: Shop, at: int) -> None:
        shop.shelves[0].items[at].name = "renamed"

    workspace.register("grow")(rename)
    with contextlib.suppress(TreerunnerError):
        workspace.execute("share", one=shops[0], two=shops[1])
    workspace.execute("grow", shop=shops[0], at=0)

    one, two = (workspace.snapshot(ref).shelves[0].items for ref in shops)
    assert one[0].name == "renamed"
    assert [item.name for item in two] in (["i00", "i01"], ["i00", "i01", "i00"])
    assert one[0].lineage_id not in [item.lineage_id for item in two]


def test_a_container_in_two_trees_at_once_is_refused_or_copied(
    workspace: Workspace, shops: tuple[Ref, Ref]
) -> None:
    def share(one: Shop, two: Shop) -> None:
        two.numbers = one.numbers

    def grow(shop: Shop) -> None:
        shop.numbers.append(9)

    workspace.register("share")(share)
    workspace.register("grow")(grow)
    with contextlib.suppress(TreerunnerError):
        workspace.execute("share", one=shops[0], two=shops[1])
    workspace.execute("grow", shop=shops[0])

    assert workspace.snapshot(shops[0]).numbers == [3, 1, 2, 9]
    assert workspace.snapshot(shops[1]).numbers == [3, 1, 2]


def test_an_identity_that_is_taken_meanwhile_fails_all_trees(
    workspace: Workspace, shops: tuple[Ref, Ref]
) -> None:
    """Two executions on one orphan: the second one to commit stores nothing."""
    orphan = Item(name="x")

    @workspace.register("first")
    def first(item: Item) -> Item:
        item.name = "first"
        return item

    @workspace.register("second")
    def second(shop: Shop, item: Item) -> Item:
        shop.name = item.name = "second"
        with ThreadPoolExecutor(1) as pool:
            pool.submit(workspace.execute, "first", item=orphan).result()
        return item

    before = state(workspace, *shops)
    with pytest.raises(IdentityTakenError):
        workspace.execute("second", shop=shops[0], item=orphan)

    assert state(workspace, *shops) == before
    assert workspace.snapshot(orphan.lineage_id).name == "first"
    assert workspace.trees._claims == {}


def test_an_interrupt_between_two_commits_leaves_no_tree_with_half_a_change(
    workspace: Workspace, shops: tuple[Ref, Ref], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two trees are stored one after the other; what was not stored yet is taken back."""
    one, two = sorted(shops)

    @workspace.register("grow")
    def grow(one: Shop, two: Shop) -> None:
        for shop in (one, two):
            shop.numbers.append(4)

    apply = Changes.apply

    def interrupted(changes: Changes, *args: Any) -> int:
        if changes.tree.key == two.root:
            raise KeyboardInterrupt
        return apply(changes, *args)

    monkeypatch.setattr(Changes, "apply", interrupted)
    with pytest.raises(KeyboardInterrupt):
        workspace.execute("grow", one=one, two=two)
    monkeypatch.undo()

    trees = [workspace.trees.tree(ref) for ref in (one, two)]
    assert [tree.txn for tree in trees] == [None, None]
    assert [tree.root.numbers for tree in trees] == [[3, 1, 2, 4], [3, 1, 2]]
    workspace.execute("grow", one=one, two=two)
    assert workspace.head(two) == 2


def test_only_the_changed_tree_gets_a_version(workspace: Workspace, shops: tuple[Ref, Ref]) -> None:
    def look(one: Shop, two: Shop) -> str:
        one.name = two.name + "!"
        return one.name

    workspace.register("look")(look)

    assert workspace.execute("look", raw=True, one=shops[0], two=shops[1]) == "shop!"
    assert [workspace.head(ref) for ref in shops] == [2, 1]


def test_two_branches_of_one_tree_are_two_trees(workspace: Workspace) -> None:
    main = workspace.add(new_shop())
    branch = workspace.fork(main)

    workspace.execute("both", one=main, two=branch)

    assert workspace.snapshot(main).name == "one"
    assert workspace.snapshot(branch).name == "two"


def test_the_same_tree_twice_is_one_tree(workspace: Workspace, shops: tuple[Ref, Ref]) -> None:
    def compare(one: Shop, two: Shop, shelf: Shelf) -> bool:
        two.name = "x"
        return one is two and one.shelves[0] is shelf

    workspace.register("compare")(compare)
    shelf = workspace.ref(workspace.snapshot(shops[0]).shelves[0])

    assert workspace.execute("compare", raw=True, one=shops[0], two=shops[0], shelf=shelf) is True
    assert workspace.head(shops[0]) == 2


def test_an_orphan_and_a_tree_commit_together(workspace: Workspace, shops: tuple[Ref, Ref]) -> None:
    orphan = new_shop()

    with pytest.raises(KeyError):
        workspace.execute("pass_on", source=shops[0], target=orphan, fail="after")
    assert workspace.head(shops[0]) == 1
    assert len(workspace.roots()) == 2
    assert orphan.model_dump() == new_shop().model_dump()

    workspace.execute("pass_on", source=shops[0], target=orphan)
    assert len(workspace.roots()) == 3
    third = next(ref for ref in workspace.roots() if ref not in shops)
    assert workspace.snapshot(third).shelves[0].items[-1].name == "i00"
    assert isinstance(workspace.snapshot(third).shelves[0].items[-1], Item)
