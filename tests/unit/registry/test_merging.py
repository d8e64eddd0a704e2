"""Merge: what a branch changed comes into another one, once; conflicts are listed or decided."""

# Cases are written as expressions.
# mypy: disable-error-code="func-returns-value"
from __future__ import annotations

import gc
import pickle
import weakref
from typing import Any, cast

import pytest

from registry import (
    ArgumentError,
    Choice,
    Conflict,
    MergeConflictError,
    MergeResult,
    PrunedError,
    Ref,
    Retention,
    Workspace,
)
from tests.model.entity_trees import Node
from tests.unit.registry.conftest import Do
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop


def head(workspace: Workspace, ref: Ref, version: int | None = None) -> Shop:
    return cast("Shop", workspace.snapshot(ref, version))


def names(shop: Shop) -> list[list[str]]:
    return [[item.name for item in shelf.items] for shelf in shop.shelves]


def move(shop: Shop, source: int, target: int, at: int = 0) -> None:
    shop.shelves[target].items.append(shop.shelves[source].items.pop(at))


# --- without conflicts -------------------------------------------------------------------------


def test_a_branch_comes_back_into_the_one_it_was_forked_from(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    branch = workspace.fork(shop)
    do(lambda shop: setattr(shop, "name", "theirs"), branch)
    do(lambda shop: move(shop, 0, 1), branch)

    result = workspace.merge(branch)

    assert workspace.snapshot(shop).model_dump() == workspace.snapshot(branch).model_dump()
    record = workspace.executions()[-1]
    assert record.callable_name == "merge"
    assert result == MergeResult(shop, 2, record.execution_id, 1, 3, 0, 0, 1, ())
    assert workspace.head(branch) == 3


def test_both_sides_changes_are_in_the_result(workspace: Workspace, shop: Ref, do: Do) -> None:
    branch = workspace.fork(shop)
    do(lambda shop: setattr(shop, "name", "theirs"), branch)
    do(lambda shop: shop.table.update(c=3), branch)
    do(lambda shop: shop.marks.add(7), branch)
    do(lambda shop: shop.shelves[0].items[0].tags.append("t"), branch)
    do(lambda shop: shop.numbers.insert(0, 0), branch)
    do(lambda shop: shop.shelves[0].items[0].tags.append("o"))
    do(lambda shop: shop.shelves[0].items[0].tags.pop())
    do(lambda shop: shop.table.update(a=9))
    do(lambda shop: shop.marks.discard(1))
    do(lambda shop: shop.numbers.append(9))
    do(lambda shop: setattr(shop, "_visits", 4))

    workspace.merge(branch)

    merged = head(workspace, shop)
    assert merged.name == "theirs"
    assert merged.table == {"a": 9, "b": 2, "c": 3}
    assert merged.marks == {2, 3, 7}
    assert merged.shelves[0].items[0].tags == ["t"]
    assert merged.numbers == [0, 3, 1, 2, 9]
    assert merged._visits == 4


def test_entities_that_both_appended_stand_ours_first(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    branch = workspace.fork(shop)
    do(lambda shop: shop.shelves[0].items.extend([Item(name="t1"), Item(name="t2")]), branch)
    do(lambda shop: shop.shelves[0].items.pop(0), branch)
    do(lambda shop: shop.shelves[0].items.append(Item(name="o1")))

    workspace.merge(branch)

    assert names(head(workspace, shop))[0] == ["i01", "o1", "t1", "t2"]


def test_what_was_created_on_the_branch_keeps_its_lineage(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """Its first id on the branch it comes to is a new one, and leads back to the one it had."""
    branch = workspace.fork(shop)
    do(lambda shop: shop.shelves.append(Shelf(label="s3", items=[Item(name="new")])), branch)
    do(lambda shop: setattr(shop.shelves[3].items[0], "price", 7.0), branch)
    there = head(workspace, branch).shelves[3].items[0]

    workspace.merge(branch)

    here = head(workspace, shop).shelves[3].items[0]
    assert here.lineage_id == there.lineage_id
    assert here.ecs_id != there.ecs_id
    assert here.previous_ecs_id == there.ecs_id
    for ecs_id, price in ((here.ecs_id, 7.0), (there.ecs_id, 7.0)):
        assert workspace.get(f"@{ecs_id}").price == price


def test_only_what_differs_gets_new_ids(workspace: Workspace, shop: Ref, do: Do) -> None:
    branch = workspace.fork(shop)
    do(lambda shop: setattr(shop.shelves[0].items[0], "price", 9.0), branch)
    do(lambda shop: setattr(shop.shelves[2], "label", "ours"))
    before = head(workspace, shop)

    result = workspace.merge(branch)

    after = head(workspace, shop)
    assert result.changed == 3
    assert [a.ecs_id == b.ecs_id for a, b in zip(before.shelves, after.shelves, strict=True)] == [
        *(False, True, True)
    ]


def test_the_same_change_on_both_sides_is_no_conflict(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    branch = workspace.fork(shop)
    for target in (shop, branch):
        do(lambda shop: (setattr(shop, "name", "same"), move(shop, 0, 1)), target)
        do(lambda shop: shop.shelves.pop(), target)

    result = workspace.merge(branch)

    assert (result.version, result.changed) == (3, 0)
    assert workspace.head(shop) == 3


def test_merging_again_brings_only_what_is_new(workspace: Workspace, shop: Ref, do: Do) -> None:
    branch = workspace.fork(shop)
    do(lambda shop: shop.numbers.append(7), branch)
    workspace.merge(branch)
    do(lambda shop: shop.numbers.remove(7))
    again = workspace.merge(branch)
    do(lambda shop: shop.numbers.append(8), branch)
    do(lambda shop: shop.table.update(c=1), branch)

    result = workspace.merge(branch)

    assert (again.changed, again.base) == (0, 2)
    assert (head(workspace, shop).numbers, head(workspace, shop).table["c"]) == ([3, 1, 2, 8], 1)
    assert result.base == 2


def test_branches_are_merged_to_and_fro(workspace: Workspace, shop: Ref, do: Do) -> None:
    """A merge of the trunk into a branch is known when the branch comes back, and on its forks."""
    branch = workspace.fork(shop)
    do(lambda shop: shop.numbers.append(7))
    do(lambda shop: shop.table.update(c=1), branch)
    taken = workspace.merge(shop, into=branch)
    assert (taken.ref, taken.version) == (branch, workspace.head(branch))
    second = workspace.fork(branch)
    do(lambda shop: shop.numbers.append(8), second)
    do(lambda shop: setattr(shop, "name", "trunk"))

    workspace.merge(second)
    workspace.merge(branch)
    result = workspace.merge(second, into=shop)

    merged = head(workspace, shop)
    assert result.changed == 0
    assert (merged.name, merged.numbers, merged.table) == (
        "trunk",
        [3, 1, 2, 7, 8],
        {"a": 1, "b": 2, "c": 1},
    )


def test_a_fork_of_a_fork_comes_back_over_both(workspace: Workspace, shop: Ref, do: Do) -> None:
    first = workspace.fork(shop)
    do(lambda shop: setattr(shop.shelves[0], "label", "first"), first)
    second = workspace.fork(first)
    do(lambda shop: shop.shelves[0].items.append(Item(name="second")), second)
    do(lambda shop: setattr(shop, "name", "trunk"))

    workspace.merge(second, into=shop)

    merged = head(workspace, shop)
    assert (merged.name, merged.shelves[0].label) == ("trunk", "first")
    assert names(merged)[0] == ["i00", "i01", "second"]
    assert workspace.merge(first).changed == 0


def test_branches_that_were_merged_and_dropped_do_not_pile_up(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    tree, gone = workspace.trees.tree(shop), []
    for n in range(5):
        branch = workspace.fork(shop)
        do(lambda shop, n=n: shop.numbers.append(n) or None, branch)
        workspace.merge(branch)
        gone.append(weakref.ref(workspace.trees.tree(branch)))
        workspace.drop(branch)
    gc.collect()

    assert workspace.snapshot(shop).numbers == [3, 1, 2, 0, 1, 2, 3, 4]
    assert [each() is None for each in gone] == [True] * 4 + [False]
    assert len(tree.merges) == 1


@pytest.mark.parametrize("is_merged", [False, True])
def test_what_came_by_a_dropped_branch_does_not_come_again(
    workspace: Workspace, shop: Ref, do: Do, is_merged: bool
) -> None:
    """Of a branch that was merged and dropped is kept what that had of others."""
    first = workspace.fork(shop)
    if is_merged:
        second = workspace.fork(shop)
        do(lambda shop: shop.numbers.append(7), first)
        workspace.merge(first, second)
    else:
        do(lambda shop: shop.numbers.append(7), first)
        second = workspace.fork(first)
    workspace.merge(second, shop)
    workspace.drop(second)
    other = workspace.fork(shop)
    do(lambda shop: setattr(shop, "name", "new"), other)
    workspace.merge(other)  # lets go of what is dropped
    do(lambda shop: shop.numbers.remove(7))

    workspace.merge(first, shop)

    assert workspace.snapshot(shop).numbers == [3, 1, 2]  # ours removed it since


def test_a_merge_can_be_undone(workspace: Workspace, shop: Ref, do: Do) -> None:
    branch = workspace.fork(shop)
    do(lambda shop: move(shop, 0, 1), branch)
    do(lambda shop: setattr(shop, "name", "ours"))
    before = workspace.snapshot(shop).model_dump()

    workspace.undo(workspace.merge(branch).execution_id)

    assert workspace.snapshot(shop).model_dump() == before


def test_a_moved_entity_keeps_what_the_other_side_changed_in_it(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    branch = workspace.fork(shop)
    do(lambda shop: move(shop, 0, 1), branch)
    do(lambda shop: setattr(shop.shelves[0].items[0], "price", 9.0))

    workspace.merge(branch)

    assert names(head(workspace, shop)) == [["i01"], ["i10", "i11", "i00"], ["i20", "i21"]]
    assert head(workspace, shop).shelves[1].items[2].price == 9.0


# --- conflicts ---------------------------------------------------------------------------------

Change = tuple[Any, Any]
CONFLICTS: dict[str, tuple[Any, Any, str, str]] = {
    "a field": (
        lambda shop: setattr(shop, "name", "ours"),
        lambda shop: setattr(shop, "name", "theirs"),
        "name",
        "changed",
    ),
    "a key of a dict": (
        lambda shop: shop.table.update(a=5),
        lambda shop: shop.table.pop("a"),
        "table['a']",
        "changed",
    ),
    "plain items at one place": (
        lambda shop: shop.numbers.append(5),
        lambda shop: shop.numbers.append(6),
        "numbers",
        "changed",
    ),
    "two orders": (
        lambda shop: shop.shelves.reverse(),
        lambda shop: shop.shelves.append(shop.shelves.pop(0)),
        "shelves",
        "changed",
    ),
    "an opaque value": (
        lambda shop: setattr(shop.point, "x", 5),
        lambda shop: setattr(shop.point, "y", 5),
        "point",
        "changed",
    ),
    "a private attribute": (
        lambda shop: setattr(shop, "_visits", 5),
        lambda shop: setattr(shop, "_visits", 6),
        "_visits",
        "changed",
    ),
    "an only child": (
        lambda shop: setattr(shop, "star", Item(name="ours")),
        lambda shop: setattr(shop, "star", Item(name="theirs")),
        "star",
        "changed",
    ),
    "changed and removed": (
        lambda shop: setattr(shop.shelves[0].items[0], "price", 5.0),
        lambda shop: shop.shelves[0].items.pop(0),
        "",
        "removed",
    ),
    "removed and changed below": (
        lambda shop: shop.shelves.pop(0),
        lambda shop: shop.shelves[0].items.append(Item(name="theirs")),
        "",
        "removed",
    ),
    "moved and removed": (
        lambda shop: move(shop, 0, 1),
        lambda shop: shop.shelves[0].items.pop(0),
        "",
        "removed",
    ),
    "moved to two places": (
        lambda shop: move(shop, 0, 1),
        lambda shop: move(shop, 0, 2),
        "",
        "moved",
    ),
}


@pytest.mark.parametrize("case", CONFLICTS)
def test_a_conflict_is_listed_and_nothing_is_stored(
    workspace: Workspace, shop: Ref, do: Do, case: str
) -> None:
    ours, theirs, field, kind = CONFLICTS[case]
    branch = workspace.fork(shop)
    do(theirs, branch)
    do(ours)
    before = workspace.snapshot(shop).model_dump()

    with pytest.raises(MergeConflictError) as caught:
        workspace.merge(branch)

    assert [(each.field, each.kind) for each in caught.value.conflicts] == [(field, kind)]
    assert workspace.snapshot(shop).model_dump() == before
    assert workspace.head(shop) == 2
    assert workspace.executions()[-1].status == "failed"


@pytest.mark.parametrize("case", CONFLICTS)
@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_one_side_wins_where_both_changed_the_same(
    workspace: Workspace, shop: Ref, do: Do, case: str, side: Any
) -> None:
    """What else the loser changed comes in."""
    ours, theirs, _, kind = CONFLICTS[case]
    branch = workspace.fork(shop)
    do(lambda shop: (theirs(shop), setattr(shop.by_name["x"], "price", 3.0)), branch)
    do(lambda shop: (ours(shop), setattr(shop.by_name["x"], "name", "y")))
    expected = workspace.snapshot(shop if side == "ours" else branch).model_dump()
    expected["by_name"]["x"] = {"name": "y", "price": 3.0, "tags": []}

    result = workspace.merge(branch, on_conflict=side)

    assert workspace.snapshot(shop).model_dump() == expected
    assert [each.kind for each in result.resolved] == [kind]
    assert workspace.merge(branch).changed == 0


@pytest.mark.parametrize("remover", ["ours", "theirs"])
def test_a_removal_that_wins_leaves_what_was_only_moved_in(
    workspace: Workspace, shop: Ref, do: Do, remover: Any
) -> None:
    """It is back where it was, with what else was done to it; what was new there is gone."""
    branch = workspace.fork(shop)
    removing, other = (shop, branch) if remover == "ours" else (branch, shop)
    do(lambda shop: shop.shelves.pop(0), removing)
    do(lambda shop: setattr(shop.shelves[1].items[0], "price", 9.0), other)
    do(lambda shop: (move(shop, 1, 0), shop.shelves[0].items.append(Item(name="new"))), other)

    result = workspace.merge(branch, on_conflict=remover)

    merged = head(workspace, shop)
    assert names(merged) == [["i10", "i11"], ["i20", "i21"]]
    assert merged.shelves[0].items[0].price == 9.0
    assert [each.kind for each in result.resolved] == ["removed"]


@pytest.mark.parametrize("remover", ["ours", "theirs"])
def test_a_removal_that_loses_leaves_what_was_moved_out(
    workspace: Workspace, shop: Ref, do: Do, remover: Any
) -> None:
    """The entity is back with what the other side did to it, but for what the remover saved."""
    branch = workspace.fork(shop)
    removing, other = (shop, branch) if remover == "ours" else (branch, shop)
    do(lambda shop: (move(shop, 0, 1), shop.shelves.pop(0)), removing)
    do(lambda shop: setattr(shop.shelves[0], "label", "kept"), other)

    workspace.merge(branch, on_conflict="theirs" if remover == "ours" else "ours")

    merged = head(workspace, shop)
    assert names(merged) == [["i01"], ["i10", "i11", "i00"], ["i20", "i21"]]
    assert merged.shelves[0].label == "kept"


def test_a_conflict_says_what_it_is_about(workspace: Workspace, shop: Ref, do: Do) -> None:
    branch = workspace.fork(shop)
    do(lambda shop: (setattr(shop, "name", "theirs"), move(shop, 0, 2)), branch)
    do(lambda shop: (setattr(shop, "name", "ours"), move(shop, 0, 1)))
    root = head(workspace, shop, 1)
    item, shelves = root.shelves[0].items[0], [workspace.ref(each) for each in root.shelves]

    with pytest.raises(MergeConflictError) as caught:
        workspace.merge(branch)

    places = [(shelf, "items") for shelf in shelves]
    assert caught.value.conflicts == (
        Conflict(f"Item:{item.lineage_id.hex[:8]}", item.lineage_id, "", "moved", *places),
        Conflict(
            f"Shop:{root.lineage_id.hex[:8]}",
            root.lineage_id,
            "name",
            "changed",
            *("shop", "ours", "theirs"),
        ),
    )
    assert "on 2 conflicts (on_conflict=)" in str(caught.value)
    assert "'name' of Shop:" in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).conflicts == caught.value.conflicts


def test_a_function_decides_each_conflict(workspace: Workspace, shop: Ref, do: Do) -> None:
    branch = workspace.fork(shop)
    do(lambda shop: (setattr(shop, "name", "t"), shop.table.update(a=3), move(shop, 0, 2)), branch)
    do(lambda shop: (setattr(shop, "name", "o"), shop.table.update(a=4), move(shop, 0, 1)))

    def decide(conflict: Conflict) -> Any:
        if conflict.kind == "moved":
            return Choice.THEIRS
        return conflict.ours + conflict.theirs

    result = workspace.merge(branch, on_conflict=decide)

    merged = head(workspace, shop)
    assert (merged.name, merged.table["a"]) == ("ot", 7)
    assert names(merged) == [["i01"], ["i10", "i11"], ["i20", "i21", "i00"]]
    assert len(result.resolved) == 3


def test_a_function_may_leave_a_conflict_undecided(workspace: Workspace, shop: Ref, do: Do) -> None:
    branch = workspace.fork(shop)
    do(lambda shop: setattr(shop, "name", "t"), branch)
    do(lambda shop: setattr(shop, "name", "o"))

    with pytest.raises(MergeConflictError):
        workspace.merge(branch, on_conflict=lambda conflict: Choice.ERROR)


def test_a_place_is_decided_by_a_choice_only(workspace: Workspace, shop: Ref, do: Do) -> None:
    branch = workspace.fork(shop)
    do(lambda shop: move(shop, 0, 2), branch)
    do(lambda shop: move(shop, 0, 1))

    with pytest.raises(ArgumentError, match="on_conflict"):
        workspace.merge(branch, on_conflict=lambda conflict: 5)


def nest(root: Node, inner: int) -> None:
    """Move one of two children into the other one."""
    item = next(kid for kid in root.kids if kid.tag == inner)
    root.kids.remove(item)
    root.kids[0].kids.append(item)


def test_entities_moved_into_each_other_are_a_conflict(workspace: Workspace) -> None:
    """Neither side is wrong, and together they would cut both off from the tree."""
    workspace.register("nest")(nest)
    root = workspace.add(Node(tag=0, kids=[Node(tag=1), Node(tag=2)]))
    branch = workspace.fork(root)
    workspace.execute("nest", root=root, inner=1)
    workspace.execute("nest", root=branch, inner=2)

    with pytest.raises(MergeConflictError) as caught:
        workspace.merge(branch, on_conflict="theirs")

    assert {each.kind for each in caught.value.conflicts} == {"lost"}
    assert workspace.head(root) == 2


@pytest.mark.parametrize("case", ["itself", "another root", "no base"])
def test_only_branches_of_one_root_are_merged(workspace: Workspace, shop: Ref, case: str) -> None:
    branch = workspace.fork(shop)
    into = {"itself": branch, "another root": workspace.add(new_shop()), "no base": None}[case]

    with pytest.raises(ArgumentError) as caught:
        workspace.merge(shop if case == "no base" else branch, into=into)

    assert caught.value.parameter == "into"


def test_a_merge_costs_what_differs(workspace: Workspace, do: Do) -> None:
    """Only the entities that differ, and the lists that hold them, are loaded."""
    shop = workspace.add(
        Shop(shelves=[Shelf(label=str(i), items=[Item() for _ in range(9)]) for i in range(99)])
    )
    branch = workspace.fork(shop)
    do(lambda shop: setattr(shop.shelves[3].items[0], "name", "theirs"), branch)
    tree = workspace.trees.tree(shop)

    workspace.merge(branch)

    assert len(tree.entities) <= 2


def rename(shop: Shop, name: str) -> None:
    """Change one field."""
    shop.name = name


def restock(shop: Shop, amount: int) -> None:
    """Change another one, and the items of a shelf."""
    shop.numbers[0] = amount
    shop.shelves[0].items.append(Item(name=str(amount)))


def test_a_branch_is_merged_after_retention_let_its_origin_go() -> None:
    """The versions that a merge begins from are kept as long as the branches are."""
    workspace = Workspace(retention=Retention(versions=2))
    workspace.register()(rename)
    workspace.register()(restock)
    shop = workspace.add(new_shop())
    branch = workspace.fork(shop)
    for turn in range(3):
        for number in range(40):
            workspace.execute("rename", shop=shop, name=f"{turn}-{number}")
            workspace.execute("restock", shop=branch, amount=100 * turn + number)

        workspace.merge(branch)

        merged = head(workspace, shop)
        assert (merged.name, merged.numbers[0]) == (f"{turn}-39", 100 * turn + 39)
        assert len(merged.shelves[0].items) == 2 + 40 * (turn + 1)
        with pytest.raises(PrunedError):
            workspace.snapshot(shop, 2)
