"""Revert and undo: what was comes back as a new version, with its identities, and nothing else."""

# Cases are written as expressions.
# mypy: disable-error-code="func-returns-value"
from __future__ import annotations

import pickle
from typing import Any, cast

import numpy as np
import pytest
from pydantic import ConfigDict, Field, PrivateAttr

from registry import Entity, NotFoundError, PrunedError, Ref, Retention, UndoError, Workspace
from registry.entity import key_of
from registry.errors import Dependent
from tests.unit.registry.conftest import Do
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop


def head(workspace: Workspace, ref: Ref) -> Shop:
    return cast("Shop", workspace.snapshot(ref))


def last(workspace: Workspace) -> str:
    return workspace.executions()[-1].execution_id


def move(shop: Shop, source: int, target: int, at: int = 0) -> None:
    shop.shelves[target].items.append(shop.shelves[source].items.pop(at))


def ids_of(root: Any) -> dict[str, Any]:
    shop = cast("Shop", root)
    entities = [shop, *shop.shelves, *(item for shelf in shop.shelves for item in shelf.items)]
    return {getattr(each, "name", "") or each.label: each.ecs_id for each in entities}


# --- revert ------------------------------------------------------------------------------------


def test_revert_makes_a_version_that_equals_the_old_one(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    do(lambda shop: setattr(shop, "name", "two"))
    do(lambda shop: shop.numbers.append(9))
    do(lambda shop: shop.table.pop("a"))

    receipt = workspace.revert(shop, 1)

    assert receipt.version == workspace.head(shop) == 5
    assert head(workspace, shop).model_dump() == workspace.snapshot(shop, 1).model_dump()
    assert workspace.executions()[-1].callable_name == "revert"
    assert list(head(workspace, shop).table) == ["a", "b"]


def test_revert_to_what_the_head_is_like_makes_no_version(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    do(lambda shop: setattr(shop, "name", "two"))
    do(lambda shop: setattr(shop, "name", "shop"))
    do(lambda shop: setattr(shop, "name", "two"))

    receipt = workspace.revert(shop, 2)

    assert (receipt.changed, workspace.head(shop)) == (0, 4)


def test_a_removed_entity_comes_back_as_the_one_it_was(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    before = ids_of(head(workspace, shop))
    do(lambda shop: shop.shelves[1].items.pop(0))
    do(lambda shop: shop.shelves.pop(2))

    workspace.revert(shop, 1)

    after = ids_of(head(workspace, shop))
    changed = {name for name, ecs_id in before.items() if after[name] != ecs_id}
    assert changed == {"shop", "s1"}


def test_revert_moves_entities_back(workspace: Workspace, shop: Ref, do: Do) -> None:
    do(lambda shop: shop.shelves[0].items.append(shop.shelves[2].items.pop(0)))
    moved = head(workspace, shop).shelves[0].items[2].lineage_id

    workspace.revert(shop, 1)

    shelves = head(workspace, shop).shelves
    assert [len(shelf.items) for shelf in shelves] == [2, 2, 2]
    assert shelves[2].items[0].lineage_id == moved


def test_revert_touches_only_what_differs(workspace: Workspace, shop: Ref, do: Do) -> None:
    do(lambda shop: setattr(shop.shelves[0].items[0], "price", 99.0))
    before = ids_of(head(workspace, shop))

    receipt = workspace.revert(shop, 1)

    after = ids_of(head(workspace, shop))
    assert receipt.changed == 3
    assert {name for name in before if before[name] != after[name]} == {"shop", "s0", "i00"}


class Sample(Entity):
    """Has what a shop lacks: extra fields, an array, a private list, nested lists."""

    model_config = ConfigDict(extra="allow", arbitrary_types_allowed=True, validate_assignment=True)

    title: str = ""
    array: Any = Field(default_factory=lambda: np.zeros(3))
    grid: list[list[Item]] = Field(default_factory=list)
    shelves: dict[str, list[Item]] = Field(default_factory=dict)
    window: set[Item] = Field(default_factory=set)
    pair: tuple[Item, ...] = ()
    _log: list[str] = PrivateAttr(default_factory=list)


def disturb(sample: Sample) -> None:
    """Change every kind of part."""
    sample.title = "other"
    sample.array[1] = 7.0
    sample.grid[0].append(sample.grid[1].pop())
    sample.shelves["b"] = [sample.shelves["a"].pop(), Item(name="new")]
    sample.window.clear()
    sample.pair = sample.pair[1:]
    sample._log.append("disturbed")
    sample.more = [1]
    del sample.first


@pytest.fixture
def sample(workspace: Workspace) -> Ref:
    """A sample with children in every kind of container, whose callable is `disturb`."""
    workspace.register("disturb")(disturb)
    return workspace.add(
        Sample.model_validate(
            {
                "first": 1,
                "grid": [[Item(name="a")], [Item(name="b")]],
                "shelves": {"a": [Item(name="c"), Item(name="d")]},
                "window": {Item(name="e")},
                "pair": (Item(name="f"), Item(name="g")),
            }
        )
    )


def form(sample: Any) -> Any:
    """Return all that a sample is, with lineages, in a form that compares by content."""
    return (
        sample.title,
        sample.array.tolist(),
        [[each.lineage_id for each in row] for row in sample.grid],
        [(key, [each.lineage_id for each in row]) for key, row in sample.shelves.items()],
        {each.lineage_id for each in sample.window},
        [each.lineage_id for each in sample.pair],
        sample._log,
        sample.model_extra,
        sample.model_fields_set,
    )


@pytest.mark.parametrize("how", ["revert", "undo"])
def test_every_kind_of_part_comes_back(workspace: Workspace, sample: Ref, how: str) -> None:
    """Private attributes, extra fields, arrays, which fields were set, and who is where."""
    before = form(workspace.snapshot(sample))
    workspace.execute("disturb", sample=sample)
    assert form(workspace.snapshot(sample)) != before

    if how == "revert":
        workspace.revert(sample, 1)
    else:
        workspace.undo(last(workspace))

    assert form(workspace.snapshot(sample)) == before
    assert form(workspace.snapshot(sample, 1)) == before


def test_which_fields_were_set_is_part_of_what_comes_back(workspace: Workspace, do: Do) -> None:
    shop = workspace.add(Shop())
    do(lambda shop: setattr(shop, "name", "two"), shop)
    do(lambda shop: setattr(shop, "name", "shop"), shop)

    workspace.revert(shop, 1)

    assert workspace.snapshot(shop).model_fields_set == set()
    assert workspace.snapshot(shop, 3).model_fields_set == {"name"}


def test_a_branch_goes_back_to_before_it_began(workspace: Workspace, shop: Ref, do: Do) -> None:
    """An entity that the branch never had comes with an id of its own: its content is another."""
    born = head(workspace, shop).shelves[0].items[0].ecs_id
    do(lambda shop: setattr(shop.shelves[0].items[0], "price", 5.0))
    do(lambda shop: shop.shelves[0].items.pop(0))
    branch = workspace.fork(shop)

    workspace.revert(branch, 2)

    item = head(workspace, branch).shelves[0].items[0]
    assert (item.name, item.price) == ("i00", 5.0)
    assert item.ecs_id != born
    assert (
        item.previous_ecs_id == cast("Shop", workspace.snapshot(shop, 2)).shelves[0].items[0].ecs_id
    )
    assert cast("Item", workspace.get(f"@{born}")).price == 0.0
    assert cast("Item", workspace.get(f"@{item.ecs_id}")).price == 5.0


def test_one_ecs_id_names_one_content_also_when_it_comes_back(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """What was moved out of an entity that left goes on, and comes back as it is now."""
    contents: dict[Any, Any] = {}
    do(lambda shop: (move(shop, 0, 1), shop.shelves.pop(0)))
    first = last(workspace)
    do(lambda shop: setattr(shop.shelves[0].items[2], "price", 50.0))

    workspace.undo(first)

    assert head(workspace, shop).shelves[0].items[0].price == 50.0
    for version in range(1, workspace.head(shop) + 1):
        for shelf in cast("Shop", workspace.snapshot(shop, version)).shelves:
            assert contents.setdefault(shelf.ecs_id, shelf.model_dump()) == shelf.model_dump()


def test_what_comes_back_holds_the_objects_of_the_working_tree(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """Not those that left with it, which its lists showed then."""
    seen: list[Item] = []
    do(lambda shop: (list(shop.shelves[0].items), shop.shelves.pop(0)))
    workspace.undo(last(workspace))

    do(lambda shop: seen.extend(shop.shelves[0].items))

    tree = workspace.trees.tree(shop)
    assert all(each is tree.live(key_of(each)) for each in seen)
    assert len(seen) == 2


def test_revert_to_an_unknown_version_is_refused(workspace: Workspace, shop: Ref) -> None:
    with pytest.raises(NotFoundError):
        workspace.revert(shop, 2)


# --- undo --------------------------------------------------------------------------------------


def test_undo_takes_back_one_execution_and_leaves_later_ones(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    do(lambda shop: setattr(shop, "name", "two"))
    first = last(workspace)
    do(lambda shop: shop.numbers.append(9))
    do(lambda shop: setattr(shop.shelves[0], "label", "new"))

    receipt = workspace.undo(first)

    shown = head(workspace, shop)
    assert (shown.name, shown.numbers, shown.shelves[0].label) == ("shop", [3, 1, 2, 9], "new")
    assert (receipt.version, receipt.changed) == (5, 1)
    assert workspace.executions()[-1].callable_name == "undo"


def test_an_undo_is_undone(workspace: Workspace, shop: Ref, do: Do) -> None:
    do(lambda shop: shop.shelves.append(Shelf(label="s3", items=[Item(name="i30")])))
    added = head(workspace, shop)

    undo = workspace.undo(last(workspace))
    assert len(head(workspace, shop).shelves) == 3
    workspace.undo(undo.execution_id)

    again = head(workspace, shop)
    assert again.model_dump() == added.model_dump()
    assert again.shelves[3].ecs_id == added.shelves[3].ecs_id


def test_executions_are_undone_one_after_the_other(workspace: Workspace, shop: Ref, do: Do) -> None:
    """What was changed since and is as it was again forbids nothing."""
    for name in ("two", "three", "four"):
        do(lambda shop, name=name: setattr(shop, "name", name))
    done = [record.execution_id for record in workspace.executions()]

    for execution in reversed(done):
        workspace.undo(execution)

    assert head(workspace, shop).name == "shop"


def test_undo_is_refused_with_what_rests_on_it(workspace: Workspace, shop: Ref, do: Do) -> None:
    do(lambda shop: setattr(shop.shelves[0], "label", "one"))
    first = last(workspace)
    do(lambda shop: setattr(shop.shelves[0], "label", "two"))
    second = last(workspace)

    with pytest.raises(UndoError) as caught:
        workspace.undo(first)

    shelf = head(workspace, shop).shelves[0]
    label = f"Shelf:{shelf.lineage_id.hex[:8]}"
    expected = Dependent(second, "act", 3, label, shelf.lineage_id, "label")
    assert caught.value.dependents == (expected,)
    assert caught.value.execution_id == first
    assert caught.value.callable_name == "act"
    assert f"act (version 3) changed 'label' of {label}" in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).dependents == (expected,)
    assert workspace.head(shop) == 3
    assert workspace.executions()[-1].status == "failed"


CASES: dict[str, tuple[Any, Any, str]] = {
    "a list changed again": (
        lambda shop: shop.numbers.append(4),
        lambda shop: shop.numbers.append(5),
        "numbers",
    ),
    "a changed entity removed": (
        lambda shop: setattr(shop.shelves[0], "label", "x"),
        lambda shop: shop.shelves.pop(0),
        "",
    ),
    "a created entity changed": (
        lambda shop: shop.shelves.append(Shelf(label="s3")),
        lambda shop: setattr(shop.shelves[3], "label", "x"),
        "label",
    ),
    "something put into a created entity": (
        lambda shop: shop.shelves.append(Shelf(label="s3")),
        lambda shop: shop.shelves[3].items.append(shop.shelves[0].items.pop()),
        "items",
    ),
    "a moved entity moved on": (
        lambda shop: shop.shelves[0].items.append(shop.shelves[1].items.pop()),
        lambda shop: shop.shelves[2].items.append(shop.shelves[0].items.pop()),
        "",
    ),
    "a created entity moved on": (
        lambda shop: shop.shelves[0].items.append(Item(name="new")),
        lambda shop: move(shop, 0, 1, at=2),
        "",
    ),
    "a private attribute changed again": (
        lambda shop: setattr(shop, "_visits", 1),
        lambda shop: setattr(shop, "_visits", 2),
        "_visits",
    ),
    "an opaque value changed again": (
        lambda shop: setattr(shop.point, "x", 1),
        lambda shop: setattr(shop.point, "y", 1),
        "point",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_later_executions_changed_is_never_lost(
    workspace: Workspace, shop: Ref, do: Do, case: str
) -> None:
    first, second, field = CASES[case]
    do(first)
    execution = last(workspace)
    do(second)
    before = head(workspace, shop).model_dump()

    with pytest.raises(UndoError) as caught:
        workspace.undo(execution)

    assert field in {each.field for each in caught.value.dependents}
    assert {each.version for each in caught.value.dependents} == {3}
    assert head(workspace, shop).model_dump() == before


def test_undo_spans_all_trees_that_the_execution_changed(workspace: Workspace) -> None:
    def swap(a: Shop, b: Shop) -> None:
        a.name, b.name = b.name, a.name
        b.shelves.append(a.shelves.pop())

    workspace.register("swap")(swap)
    one, two = (workspace.add(new_shop()) for _ in range(2))
    before = [workspace.snapshot(each).model_dump() for each in (one, two)]
    workspace.execute("swap", a=one, b=two)

    receipt = workspace.undo(last(workspace))

    assert [workspace.snapshot(each).model_dump() for each in (one, two)] == before
    assert [workspace.head(each) for each in (one, two)] == [3, 3]
    record = workspace.executions()[-1]
    assert (record.execution_id, len(record.trees)) == (receipt.execution_id, 2)
    after = cast("Shop", workspace.snapshot(one)).shelves[2]
    assert after.ecs_id == cast("Shop", workspace.snapshot(one, 1)).shelves[2].ecs_id


def test_a_detached_entity_is_in_its_tree_again_beside_the_root_that_it_became(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    detached = workspace.ref(do(lambda shop: shop.shelves.pop(0)))

    workspace.undo(last(workspace))

    assert head(workspace, shop).model_dump() == workspace.snapshot(shop, 1).model_dump()
    assert workspace.head(detached) == 1


def test_undo_of_what_changed_nothing_does_nothing(workspace: Workspace, shop: Ref, do: Do) -> None:
    do(lambda shop: None)

    assert workspace.undo(last(workspace)).changed == 0
    assert workspace.head(shop) == 1


def test_a_failed_execution_cannot_be_undone(workspace: Workspace, do: Do) -> None:
    with pytest.raises(ZeroDivisionError):
        do(lambda shop: 1 / 0)

    with pytest.raises(UndoError, match="failed, so there is nothing to undo") as caught:
        workspace.undo(last(workspace))

    assert caught.value.dependents == ()


def test_an_unknown_execution_cannot_be_undone(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError, match="execution 77 is not in the records"):
        workspace.undo("77")


def rename(shop: Shop, name: str) -> None:
    """Change one field."""
    shop.name = name


def test_an_execution_without_a_record_is_found_by_its_commits() -> None:
    workspace = Workspace(retention=Retention(records=1))
    workspace.register()(rename)
    shop = workspace.add(new_shop())
    workspace.execute("rename", shop=shop, name="two")
    execution = last(workspace)
    workspace.execute("rename", shop=workspace.add(new_shop()), name="other")

    workspace.undo(execution)

    assert head(workspace, shop).name == "shop"


def test_what_retention_let_go_cannot_be_undone() -> None:
    workspace = Workspace(retention=Retention(versions=2))
    workspace.register()(rename)
    shop = workspace.add(new_shop())
    for name in "abc":
        workspace.execute("rename", shop=shop, name=name)
    records = workspace.executions()

    with pytest.raises(PrunedError):
        workspace.undo(records[1].execution_id)
    with pytest.raises(PrunedError):
        workspace.revert(shop, 1)
    workspace.undo(records[2].execution_id)

    assert head(workspace, shop).name == "b"


def test_taking_back_costs_what_differs(workspace: Workspace) -> None:
    """Only the entities that differ, and the way to them, are loaded."""
    workspace.register()(rename)
    shop = workspace.add(
        Shop(shelves=[Shelf(label=str(i), items=[Item() for _ in range(9)]) for i in range(99)])
    )
    workspace.execute("rename", shop=shop, name="two")
    tree = workspace.trees.tree(shop)

    workspace.undo(last(workspace))
    workspace.revert(shop, 2)

    assert len(tree.entities) == 1


def test_what_began_a_branch_is_undone_on_that_branch(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    old = workspace.snapshot(shop)
    do(lambda shop: setattr(shop, "name", "two"))
    branch = workspace.ref(do(lambda shop: (shop.numbers.clear(), shop)[1], old))

    receipt = workspace.undo(last(workspace))

    assert (workspace.head(branch), receipt.changed) == (3, 1)
    assert workspace.snapshot(branch).model_dump() == old.model_dump()
    assert head(workspace, shop).name == "two"
