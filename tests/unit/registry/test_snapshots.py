"""Snapshots: lazy, isolated, and for everyone who looks just what pydantic would show."""

# Cases are written as expressions.
# mypy: disable-error-code="func-returns-value"
from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, PrivateAttr, TypeAdapter

from registry import Entity, Ref, Workspace
from registry.snapshot import snapshot_from_pages
from tests.unit.registry.conftest import Do
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop


class Diary(Entity):
    """Has lists that are no fields."""

    model_config = ConfigDict(extra="allow")

    _pages: list[int] = PrivateAttr(default_factory=lambda: [1])


LOOKS: dict[str, Callable[[Any], Any]] = {
    "model_dump": lambda s: s.model_dump(),
    "model_dump json": lambda s: s.model_dump(mode="json"),
    "model_dump_json": lambda s: json.loads(s.model_dump_json()),
    "indented json": lambda s: len(s.model_dump_json(indent=2)),
    "exclude_unset": lambda s: s.model_dump(exclude_unset=True),
    "exclude_defaults": lambda s: s.model_dump(exclude_defaults=True),
    "exclude_none": lambda s: s.model_dump(exclude_none=True),
    "include": lambda s: s.model_dump(include={"shelves": {0: {"label"}}, "name": True}),
    "exclude": lambda s: s.model_dump(exclude={"shelves": {"__all__": {"items"}}}),
    "order of fields": lambda s: list(s.model_dump()),
    "iteration": lambda s: [name for name, _ in s],
    "dict()": lambda s: list(dict(s)),
    "fields set": lambda s: sorted(s.model_fields_set),
    "vars": lambda s: list(vars(s)),
    "private": lambda s: s._visits,
    "extra": lambda s: s.model_extra,
    "repr": lambda s: _sorted_repr(s),
    "str": lambda s: sorted(str(s)),
    "rich repr": lambda s: [name for name, _ in s.__rich_repr__()],
    "hasattr": lambda s: [hasattr(s, n) for n in ("name", "shelves", "missing", "_visits")],
    "getattr": lambda s: getattr(s, "missing", "default"),
    "dir": lambda s: {"name", "shelves", "ecs_id", "model_dump"} <= set(dir(s)),
    "copy": lambda s: copy.copy(s).model_dump(),
    "deepcopy": lambda s: copy.deepcopy(s).model_dump(),
    "model_copy": lambda s: s.model_copy().model_dump(),
    "deep model_copy": lambda s: s.model_copy(deep=True).model_dump(),
    "pickle": lambda s: pickle.loads(pickle.dumps(s)).model_dump(),
    "nested in a list": lambda s: TypeAdapter(list[Shop]).dump_python([s]),
    "nested in a model": lambda s: Holder(shop=s).model_dump(),
    "nested json": lambda s: json.loads(Holder(shop=s).model_dump_json()),
    "validated again": lambda s: Shop.model_validate(s).model_dump(),
    "from attributes": lambda s: Shop.model_validate(s, from_attributes=True).model_dump(),
    "from a dump": lambda s: Shop(**s.model_dump()).model_dump(),
    "one field": lambda s: s.shelves[1].items[0].name,
    "match": lambda s: _matched(s),
    "the set": lambda s: [w.name for w in s.window],
    "types": lambda s: [type(s), type(s.shelves[0]), type(s.star)],
    "isinstance": lambda s: [isinstance(s.numbers, list), isinstance(s.table, dict)],
}
PARTS: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda s: None,
    "the last field first": lambda s: s.anything,
    "one field": lambda s: s.table,
    "some children": lambda s: s.shelves[1].items,
    "backwards": lambda s: [getattr(s, name) for name in reversed(Shop.model_fields)],
    "everything": lambda s: s.model_dump(),
    "private": lambda s: s._visits,
    "fields set": lambda s: s.model_fields_set,
}


class Holder(BaseModel):
    """A plain model around an entity."""

    shop: Shop


def _sorted_repr(shop: Any) -> Any:
    return repr(shop)


def _matched(shop: Any) -> Any:
    match shop:
        case Shop(name="shop", table={"a": a}):
            return a
        case _:
            return None


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("look", LOOKS)
def test_a_snapshot_equals_what_pydantic_shows(
    workspace: Workspace, shop: Ref, look: str, part: str
) -> None:
    """Whatever was loaded before, whoever looks first."""
    snapshot = workspace.snapshot(shop)

    PARTS[part](snapshot)

    assert LOOKS[look](snapshot) == LOOKS[look](new_shop())


@pytest.mark.parametrize("look", LOOKS)
def test_a_loaded_child_looks_at_an_unloaded_one(
    workspace: Workspace, shop: Ref, do: Do, look: str
) -> None:
    """An old version after changes, and a snapshot of a changed tree."""

    def change(shop: Shop) -> None:
        shop.shelves[2].items.pop()
        shop.name = "changed"
        shop.table["z"] = 3

    do(change)

    changed = new_shop()
    change(changed)
    assert LOOKS[look](workspace.snapshot(shop, 1)) == LOOKS[look](new_shop())
    if look != "match":
        assert LOOKS[look](workspace.snapshot(shop)) == LOOKS[look](changed)


def test_fields_set_follows_assignment_as_in_pydantic(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """An assignment sets a field; an in-place change does not."""
    plain = new_shop()

    def change(shop: Any) -> None:
        shop.shelves[0].items[0].tags.append("t")
        shop.shelves[0].items[1].tags = ["t"]
        shop.anything = 5

    change(plain)
    do(change)

    snapshot = workspace.snapshot(shop)
    assert snapshot.model_dump(exclude_unset=True) == plain.model_dump(exclude_unset=True)
    assert snapshot.model_fields_set == plain.model_fields_set
    old = workspace.snapshot(shop, 1)
    assert old.model_dump(exclude_unset=True) == new_shop().model_dump(exclude_unset=True)


def test_a_partly_loaded_snapshot_goes_on_loading_its_own_version(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """What is first read after many commits is what it was at the snapshot's version."""
    snapshot = workspace.snapshot(shop)
    _ = snapshot.shelves

    def change(shop: Shop) -> None:
        shop.shelves[0].items.clear()
        shop.shelves[1].label = "new"
        shop.shelves.pop()
        shop.star = None
        shop.table.clear()
        shop.point.x = 77
        shop.by_name["x"].tags.append("t")

    do(change)
    do(lambda shop: setattr(shop, "numbers", []))

    assert snapshot.model_dump() == new_shop().model_dump()
    assert snapshot.version == snapshot.shelves[2].version == 1


def test_snapshots_are_isolated_from_each_other(workspace: Workspace, shop: Ref) -> None:
    """No container, child or opaque value is shared, loaded or not."""
    one, two = workspace.snapshot(shop), workspace.snapshot(shop)
    _ = two.shelves

    one.name = "mine"
    one.shelves[0].items[0].name = "mine"
    one.shelves[0].items.pop()
    one.shelves.append(Shelf(label="mine"))
    one.numbers.append(9)
    one.table["mine"] = 9
    one.marks.add(9)
    one.point.x = 9
    one.point.trail.append(9)
    one.star.tags.append("mine")
    one.by_name.clear()
    one.window.clear()

    for other in (two, workspace.snapshot(shop)):
        assert other.model_dump() == new_shop().model_dump()


def test_a_snapshot_is_isolated_from_the_live_tree(workspace: Workspace, shop: Ref, do: Do) -> None:
    """An edited snapshot that is never passed on changes nothing for functions."""
    snapshot = workspace.snapshot(shop)
    snapshot.shelves[0].items.clear()
    snapshot.point.x = 9
    seen: list[Any] = []

    do(lambda shop: seen.append(shop.model_dump()))

    assert seen == [new_shop().model_dump()]
    assert workspace.head(shop) == 1


def test_an_edited_snapshot_commits_its_edits_first(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """The function sees the edits and both are committed; only what was written gets new ids."""
    snapshot = workspace.snapshot(shop)
    before = workspace.snapshot(shop)
    snapshot.shelves[1].label = "edited"

    do(lambda shop: setattr(shop, "name", shop.shelves[1].label), snapshot)

    now = workspace.snapshot(shop)
    assert (now.name, now.shelves[1].label) == ("edited", "edited")
    assert now.shelves[0].ecs_id == before.shelves[0].ecs_id
    assert now.shelves[1].ecs_id != before.shelves[1].ecs_id
    assert workspace.snapshot(shop, 1).model_dump() == new_shop().model_dump()


def test_an_edit_that_is_taken_back_is_no_edit(workspace: Workspace, shop: Ref, do: Do) -> None:
    snapshot = workspace.snapshot(shop)
    snapshot.shelves[0].label = "x"
    snapshot.shelves[0].label = "s0"
    snapshot.numbers.append(1)
    snapshot.numbers.pop()

    do(lambda shop: None, snapshot)

    assert workspace.head(shop) == 1


def test_an_edit_deep_inside_is_found_when_the_root_is_passed(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    snapshot = workspace.snapshot(shop)
    snapshot.shelves[2].items[1].tags.append("deep")
    snapshot.point.trail.append(5)

    do(lambda shop: None, snapshot)

    now = workspace.snapshot(shop)
    assert now.shelves[2].items[1].tags == ["deep"]
    assert now.point.trail == [5]
    assert workspace.head(shop) == 2


def test_an_edited_child_is_found_when_the_child_is_passed(workspace: Workspace, shop: Ref) -> None:
    workspace.register("look")(_look)
    snapshot = workspace.snapshot(shop)
    shelf = snapshot.shelves[2]
    shelf.label = "mine"

    assert workspace.execute("look", raw=True, shelf=shelf) == "mine"
    assert workspace.snapshot(shop).shelves[2].label == "mine"


def _look(shelf: Shelf) -> str:
    return shelf.label


def test_a_snapshot_edited_again_after_it_was_passed(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """Neither edit is lost, whatever version the holder's object counts as by then."""
    snapshot = workspace.snapshot(shop)
    snapshot.name = "one"
    do(lambda shop: None, snapshot)
    assert workspace.head(shop) == 2

    snapshot.name = "two"
    do(lambda shop: None, snapshot)

    assert workspace.snapshot(shop, 1).name == "shop"
    assert workspace.snapshot(shop, 2).name == "one"
    names = {workspace.snapshot(ref).name for ref in (shop, *workspace.roots())}
    assert "two" in names


def test_results_are_isolated_snapshots(workspace: Workspace, shop: Ref, do: Do) -> None:
    result = do(lambda shop: (setattr(shop, "name", "r"), shop)[1])

    result.shelves.clear()
    result.name = "mine"

    assert workspace.snapshot(shop).name == "r"
    assert len(workspace.snapshot(shop).shelves) == 3
    assert result.version == 2


def test_a_child_of_a_snapshot_keeps_its_snapshot_alive(workspace: Workspace, shop: Ref) -> None:
    item = workspace.snapshot(shop).shelves[2].items[1]

    assert item.name == "i21"
    assert item.root_ecs_id == workspace.snapshot(shop).ecs_id


def test_members_of_sets_are_one_object_each_and_of_their_version(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    do(lambda shop: setattr(shop, "window", {Item(name="w")}))
    snapshot, other = workspace.snapshot(shop), workspace.snapshot(shop)
    unread = workspace.snapshot(shop)
    (member,) = snapshot.window
    assert next(iter(snapshot.window)) is member
    do(lambda shop: [setattr(member, "name", "changed") for member in shop.window])

    member.tags.append("mine")

    for held in (other, unread):
        assert [(m.name, m.tags) for m in held.window] == [("w", [])]
    (now,) = workspace.snapshot(shop).window
    assert (now.name, now.tags) == ("changed", [])


def test_reading_twice_gives_the_same_objects(workspace: Workspace, shop: Ref) -> None:
    """A snapshot is one object graph: identity inside it is as in any tree."""
    snapshot = workspace.snapshot(shop)

    assert snapshot.shelves is snapshot.shelves
    assert snapshot.shelves[0] is snapshot.shelves[0]


def test_unknown_attributes_raise_attribute_error(workspace: Workspace, shop: Ref) -> None:
    snapshot = workspace.snapshot(shop)

    with pytest.raises(AttributeError, match="missing"):
        _ = snapshot.missing
    with pytest.raises(AttributeError):
        del snapshot.missing
    with pytest.raises(ValueError, match="missing"):
        snapshot.missing = 1


def test_a_snapshot_of_a_child(workspace: Workspace, shop: Ref) -> None:
    shelf = workspace.snapshot(shop).shelves[1]
    ref = workspace.ref(shelf)

    again = workspace.snapshot(ref)

    assert again == shelf
    assert again.label == "s1"
    assert ref.root == shop.root
    assert ref.root_ref == shop
    assert again.root_ecs_id == workspace.snapshot(shop).ecs_id


def test_pages_give_the_same_tree(workspace: Workspace, shop: Ref, do: Do) -> None:
    """A tree fetched in small picklable parts equals the snapshot, at its version."""
    expected = workspace.snapshot(shop, 1)
    do(lambda shop: shop.shelves[0].items.clear())
    asked: list[Any] = []

    def fetch(ref: Ref, version: int | None, limit: int) -> Any:
        asked.append(ref)
        return pickle.loads(pickle.dumps(workspace.page(ref, version, limit=3)))

    snapshot = snapshot_from_pages(fetch, shop, 1)

    assert snapshot.model_dump() == expected.model_dump()
    assert snapshot.ecs_id == expected.ecs_id
    assert snapshot.shelves[0].items[1].ecs_id == expected.shelves[0].items[1].ecs_id
    assert len(asked) > 1


def test_a_snapshot_does_not_keep_a_dropped_workspace_busy() -> None:
    """A snapshot outlives the variable that held its workspace."""
    workspace = Workspace()
    snapshot = workspace.snapshot(workspace.add(new_shop()))
    del workspace

    assert snapshot.model_dump() == new_shop().model_dump()


def test_a_snapshot_child_put_elsewhere_in_the_snapshot_moves(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """Editing a snapshot like any tree: a move keeps the identity of what moved."""
    snapshot = workspace.snapshot(shop)
    item = snapshot.shelves[0].items[0]
    ecs_id = item.ecs_id

    snapshot.shelves[1].items.append(snapshot.shelves[0].items.pop(0))
    do(lambda shop: None, snapshot)

    assert workspace.snapshot(shop).shelves[1].items[-1].ecs_id == ecs_id
    assert workspace.head(shop) == 2


def test_a_live_entity_never_comes_out(workspace: Workspace, shop: Ref, do: Do) -> None:
    """What execute returns may be written; what the function saw may not."""
    kept: list[Any] = []
    result = do(lambda shop: (kept.append(shop), shop)[1])

    assert result is not kept[0]
    result.name = "x"
    assert type(result.shelves[0]) is Shelf
    assert isinstance(result.shelves[0].items[0], Item)


def test_two_objects_of_one_entity_lose_no_edit(workspace: Workspace, shop: Ref) -> None:
    """An execution that returns a root and a child gives the child twice: below it, and alone."""

    @workspace.register("both")
    def both(shop: Shop) -> tuple[Shop, Shelf]:
        return shop, shop.shelves[0]

    root, shelf = workspace.execute("both", shop=shop)
    root.shelves[0].label = "written below the root"
    shelf.items[0].price = 77.0
    shelf.items.pop()

    assert workspace.commit_edits(root)

    stored = workspace.snapshot(shop)
    assert stored.shelves[0].label == "written below the root"
    assert [item.price for item in stored.shelves[0].items] == [77.0]


def test_a_copy_shares_no_private_or_extra_list_with_its_snapshot(workspace: Workspace) -> None:
    shown: Any = workspace.snapshot(workspace.add(Diary.model_validate({"notes": [1]})))

    copied = shown.model_copy()
    copied._pages.append(2)
    copied.notes.append(2)

    assert (shown._pages, shown.notes) == ([1], [1])
    assert not shown.__home__.is_edited


@pytest.mark.parametrize("version", [1, 2])
def test_committing_no_edits_makes_no_version_also_of_an_old_snapshot(
    workspace: Workspace, shop: Ref, do: Do, version: int
) -> None:
    do(lambda s: s.numbers.append(4))

    assert workspace.commit_edits(workspace.snapshot(shop, version)) is False

    assert workspace.head(shop) == 2
    assert workspace.branches(shop) == [shop]


EDITS: dict[str, Callable[[Any], Any]] = {
    "list": lambda shop: shop.numbers.append(9),
    "assigned list": lambda shop: (
        shop.numbers.append(9) if 9 in shop.numbers else setattr(shop, "numbers", [9])
    ),
    "dict": lambda shop: shop.table.update({f"k{len(shop.table)}": 1}),
    "set": lambda shop: shop.marks.add(max(shop.marks) + 1),
    "children": lambda shop: shop.shelves[0].items.append(Item(name="new")),
    "private": lambda shop: setattr(shop, "_visits", shop._visits + 1),
    "opaque": lambda shop: shop.point.trail.append(1),
    "nested": lambda shop: (
        shop.anything[0].append(1) if shop.anything else setattr(shop, "anything", [[]])
    ),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_the_same_place_is_edited_and_committed_again_and_again(
    workspace: Workspace, shop: Ref, edit: Callable[[Any], Any]
) -> None:
    shown: Any = workspace.snapshot(shop)
    for version in range(2, 6):
        edit(shown)

        assert workspace.commit_edits(shown)

        assert shown.version == workspace.head(shop) == version
        stored: Any = workspace.snapshot(shop)
        assert stored.model_dump() == shown.model_dump()
        assert stored._visits == shown._visits
        assert not workspace.commit_edits(shown)


def test_a_list_at_hand_goes_on_noting_edits_after_a_commit(
    workspace: Workspace, shop: Ref
) -> None:
    shown: Any = workspace.snapshot(shop)
    numbers = shown.numbers
    for number in (7, 8):
        numbers.append(number)
        assert workspace.commit_edits(shown)

    assert workspace.snapshot(shop).numbers == [3, 1, 2, 7, 8]


def test_edits_on_the_head_show_what_others_changed_too(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """The snapshot shows the version that its edits are in: all of it."""
    shown = workspace.snapshot(shop)
    shelf = shown.shelves[0]
    before = shown.name, shelf.label

    def change(live: Shop) -> None:
        live.name = live.shelves[0].label = "new"

    do(change)
    shown.numbers.append(4)

    assert workspace.commit_edits(shown, on_stale="head")

    assert before == ("shop", "s0")
    assert (shown.version, shown.name, shown.numbers) == (3, "new", [3, 1, 2, 4])
    assert (shelf.label, shown.shelves[0].label) == ("new", "new")
    assert shown.model_dump() == workspace.snapshot(shop).model_dump()
