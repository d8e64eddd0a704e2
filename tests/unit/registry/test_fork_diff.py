"""Forks share structure and disturb nobody; a diff says what changed, also as JSON Patch."""

# Cases are written as expressions.
# mypy: disable-error-code="func-returns-value"
from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from registry import Ref, Workspace, ids
from registry.errors import ConflictError, UsageError
from tests.unit.registry.conftest import Do
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop


def _pointer(path: str) -> list[str]:
    assert path == "" or path.startswith("/"), path
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def apply_patch(document: Any, patch: list[dict[str, Any]]) -> Any:
    """Apply a JSON Patch (RFC 6902), written here so that the engine does not check itself."""
    document = copy.deepcopy(document)
    for step in patch:
        operation, path = step["op"], _pointer(step["path"])
        if operation in {"move", "copy"}:
            value = _get(document, _pointer(step["from"]))
            if operation == "move":
                _remove(document, _pointer(step["from"]))
            document = _add(document, path, copy.deepcopy(value))
        elif operation == "add":
            document = _add(document, path, copy.deepcopy(step["value"]))
        elif operation == "remove":
            _remove(document, path)
        elif operation == "replace":
            if path:
                _remove(document, path)
            document = _add(document, path, copy.deepcopy(step["value"]))
        elif operation == "test":
            assert _get(document, path) == step["value"]
        else:
            raise AssertionError(operation)
    return document


def _get(document: Any, path: list[str]) -> Any:
    for part in path:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _get(document, path[:-1])
    if isinstance(parent, list):
        index = len(parent) if path[-1] == "-" else int(path[-1])
        assert 0 <= index <= len(parent)
        parent.insert(index, value)
    else:
        parent[path[-1]] = value
    return document


def _remove(document: Any, path: list[str]) -> None:
    parent = _get(document, path[:-1])
    del parent[int(path[-1]) if isinstance(parent, list) else path[-1]]


# --- fork --------------------------------------------------------------------------------------


def test_a_fork_begins_at_the_head_and_goes_its_own_way(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    do(lambda shop: setattr(shop, "name", "two"))
    branch = workspace.fork(shop)

    do(lambda shop: setattr(shop, "name", "branch"), branch)
    do(lambda shop: shop.shelves.pop(), branch)
    do(lambda shop: setattr(shop, "name", "main"))

    assert workspace.snapshot(shop).name == "main"
    assert workspace.snapshot(branch).name == "branch"
    assert len(workspace.snapshot(shop).shelves) == 3
    assert len(workspace.snapshot(branch).shelves) == 2
    assert branch != shop
    assert branch.root == shop.root
    assert branch.branch != 0
    assert shop.branch == 0


def test_a_fork_at_an_old_version(workspace: Workspace, shop: Ref, do: Do) -> None:
    do(lambda shop: shop.shelves.clear())
    do(lambda shop: shop.numbers.clear())

    branch = workspace.fork(shop, at=1)
    do(lambda shop: shop.numbers.append(9), branch)

    assert [shelf.label for shelf in workspace.snapshot(branch).shelves] == ["s0", "s1", "s2"]
    assert workspace.snapshot(branch).numbers == [3, 1, 2, 9]
    assert workspace.snapshot(shop).model_dump()["numbers"] == []
    assert workspace.snapshot(shop, 1).numbers == [3, 1, 2]


def test_a_branch_keeps_the_ids_of_what_it_has_not_changed(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    base = workspace.snapshot(shop)
    branch = workspace.fork(shop)
    forked = workspace.snapshot(branch)
    assert forked.ecs_id == base.ecs_id
    assert forked == base

    do(lambda shop: setattr(shop.shelves[0], "label", "b"), branch)
    do(lambda shop: setattr(shop.shelves[0], "label", "m"))

    on_branch, on_main = workspace.snapshot(branch), workspace.snapshot(shop)
    assert on_branch.shelves[1].ecs_id == on_main.shelves[1].ecs_id == base.shelves[1].ecs_id
    assert on_branch.lineage_id == on_main.lineage_id
    assert on_branch.shelves[0].lineage_id == on_main.shelves[0].lineage_id
    assert len({base.ecs_id, on_branch.ecs_id, on_main.ecs_id}) == 3
    assert len({s.shelves[0].ecs_id for s in (base, on_branch, on_main)}) == 3
    assert on_branch.old_ids[-1] == base.ecs_id


def test_forks_of_forks(workspace: Workspace, shop: Ref, do: Do) -> None:
    refs = [shop]
    for depth in range(5):
        refs.append(workspace.fork(refs[-1]))
        do(lambda shop, depth=depth: shop.numbers.append(100 + depth), refs[-1])

    for depth, ref in enumerate(refs):
        assert workspace.snapshot(ref).numbers == [3, 1, 2, *range(100, 100 + depth)]
    do(lambda shop: shop.numbers.clear(), refs[2])
    assert workspace.snapshot(refs[3]).numbers == [3, 1, 2, 100, 101, 102]
    assert len({workspace.snapshot(ref).ecs_id for ref in refs}) == 6


def test_what_happens_on_a_fork_after_the_base_was_changed(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """The branch is loaded lazily: it must not see what the main line did meanwhile."""
    branch = workspace.fork(shop)
    do(lambda shop: (shop.shelves[0].items.clear(), shop.table.clear(), shop.marks.clear(), 0)[3])
    do(lambda shop: shop.shelves.pop(1), shop)
    seen: list[Any] = []

    do(lambda shop: seen.append(shop.model_dump()), branch)

    assert seen == [new_shop().model_dump()]
    do(lambda shop: shop.shelves[1].items.append(Item(name="late")), branch)
    assert [i.name for i in workspace.snapshot(branch).shelves[1].items] == ["i10", "i11", "late"]


def test_a_failure_on_a_branch_leaves_it_as_it_was(workspace: Workspace, shop: Ref, do: Do) -> None:
    branch = workspace.fork(shop)

    def fail(shop: Shop) -> None:
        shop.shelves[0].items.clear()
        shop.numbers.append(1)
        raise KeyError

    with pytest.raises(KeyError):
        do(fail, branch)

    seen: list[Any] = []
    do(lambda shop: seen.append(shop.model_dump()), branch)
    assert seen == [new_shop().model_dump()]
    assert workspace.snapshot(branch) == workspace.snapshot(shop)


def test_a_stale_snapshot_forks(workspace: Workspace, shop: Ref, do: Do) -> None:
    stale = workspace.snapshot(shop)
    do(lambda shop: setattr(shop, "name", "two"))

    result = do(lambda shop: (setattr(shop, "name", "from one"), shop)[1], stale)

    assert workspace.snapshot(shop).name == "two"
    assert workspace.head(shop) == 2
    assert result.name == "from one"
    assert result.old_ids[-1] == stale.ecs_id
    branch = workspace.ref(result)
    assert branch.root == shop.root
    assert branch.branch != 0
    assert workspace.snapshot(branch).name == "from one"


def test_an_edited_stale_snapshot_forks_with_its_edits(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    stale = workspace.snapshot(shop)
    stale.numbers.append(50)
    do(lambda shop: setattr(shop, "name", "two"))

    result = do(lambda shop: (setattr(shop, "name", "from one"), shop)[1], stale)

    assert result.numbers == [3, 1, 2, 50]
    assert result.name == "from one"
    assert workspace.snapshot(shop).numbers == [3, 1, 2]


def test_on_stale_error(shop: Ref) -> None:
    workspace = Workspace(on_stale="error")
    ref = workspace.add(new_shop())
    stale = workspace.snapshot(ref)

    def rename(shop: Shop, name: str) -> None:
        shop.name = name

    workspace.register("rename")(rename)
    workspace.execute("rename", shop=ref, name="two")

    with pytest.raises(ConflictError) as caught:
        workspace.execute("rename", shop=stale, name="three")
    assert (caught.value.version, caught.value.head) == (1, 2)
    assert workspace.snapshot(ref).name == "two"
    workspace.execute("rename", shop=workspace.snapshot(ref), name="three")
    assert workspace.head(ref) == 3


def test_on_stale_head(shop: Ref) -> None:
    workspace = Workspace(on_stale="head")
    ref = workspace.add(new_shop())
    stale = workspace.snapshot(ref)

    def grow(shop: Shop) -> None:
        shop.numbers.append(len(shop.numbers))

    workspace.register("grow")(grow)
    workspace.execute("grow", shop=ref)
    workspace.execute("grow", shop=stale)

    assert workspace.snapshot(ref).numbers == [3, 1, 2, 3, 4]
    assert workspace.head(ref) == 3


def test_a_fork_gets_no_nodes_of_what_it_only_reads(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    branch = workspace.fork(shop)
    tree = workspace.trees.tree(branch)

    names = do(lambda shop: [item.name for shelf in shop.shelves for item in shelf.items], branch)

    assert len(names) == 6
    kinds = sorted(node.schema.cls.__name__ for node in tree.nodes.values())
    assert kinds == ["Shelf", "Shelf", "Shelf", "Shop"]


def test_of_many_forks_few_keep_live_objects(workspace: Workspace, shop: Ref, do: Do) -> None:
    """Each works on when it is used again, with objects made anew."""
    branches = [workspace.fork(shop) for _ in range(100)]
    for number, branch in enumerate(branches):
        do(lambda shop, number=number: shop.shelves[0].items[0].tags.append(str(number)), branch)
        workspace.fork(shop)

    awake = [tree for tree in workspace.trees if tree.branch and tree.entities]
    assert len(awake) <= 32
    for number, branch in enumerate(branches):
        do(lambda shop: shop.shelves[0].items[0].tags.append("again"), branch)
        snapshot = workspace.snapshot(branch)
        assert isinstance(snapshot, Shop)
        assert snapshot.shelves[0].items[0].tags == [str(number), "again"]
        assert snapshot.version == 3


def test_a_fork_does_not_rest_while_it_has_an_execution(workspace: Workspace, shop: Ref) -> None:
    seen: list[Any] = []

    @workspace.register("fork_many")
    def fork_many(shop: Shop) -> None:
        before = shop.shelves
        for _ in range(100):
            workspace.fork(ref)
        seen.append(shop.shelves is before and shop.shelves[0].items[0].name)
        shop.shelves[0].label = "written"

    ref = shop
    branch = workspace.fork(shop)
    workspace.execute("fork_many", shop=branch)

    assert seen == ["i00"]
    assert workspace.snapshot(branch).shelves[0].label == "written"


def test_a_fork_of_an_unknown_version_is_refused(workspace: Workspace, shop: Ref) -> None:
    with pytest.raises(UsageError):
        workspace.fork(shop, at=7)
    with pytest.raises(UsageError):
        workspace.fork(shop, at=0)


# --- diff --------------------------------------------------------------------------------------


def test_a_diff_tells_added_removed_moved_and_changed(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    def act(shop: Shop) -> None:
        shop.shelves[0].label = "new label"
        shop.shelves[1].items.append(shop.shelves[0].items.pop(0))
        shop.shelves[2].items.pop()
        shop.shelves.append(Shelf(label="added", items=[Item(name="inside")]))
        shop.numbers.append(5)

    old = workspace.snapshot(shop)
    do(act)
    new = workspace.snapshot(shop)

    diff = workspace.diff(shop, 1, 2)

    text = {name: _text(getattr(diff, name)) for name in ("added", "removed", "moved", "changed")}
    assert len(diff.added) == 2
    assert len(diff.removed) == 1
    assert len(diff.moved) == 1
    assert all(_mentions(diff.added, e) for e in (new.shelves[3], new.shelves[3].items[0])), text
    assert _mentions(diff.removed, old.shelves[2].items[1]), text
    assert _mentions(diff.moved, old.shelves[0].items[0]), text
    assert _mentions(diff.changed, old.shelves[0]), text
    assert _mentions(diff.changed, new), text
    assert "label" in text["changed"]
    assert "numbers" in text["changed"]


def _text(value: Any) -> str:
    return repr(value)


def _mentions(value: Any, entity: Any) -> bool:
    """Tell whether a diff names an entity, by any of the forms of its lineage."""
    lineage = entity.lineage_id
    forms = (str(lineage), repr(lineage), lineage.hex, str(int(ids.from_uuid(lineage).key)))
    return any(form in repr(value) for form in forms)


def test_a_diff_of_a_version_with_itself_is_empty(workspace: Workspace, shop: Ref) -> None:
    diff = workspace.diff(shop, 1, 1)

    assert not diff.added
    assert not diff.removed
    assert not diff.moved
    assert not diff.changed
    assert diff.to_json_patch() == []


def test_a_diff_backwards_swaps_added_and_removed(workspace: Workspace, shop: Ref, do: Do) -> None:
    do(lambda shop: shop.shelves.pop())

    forwards, backwards = workspace.diff(shop, 1, 2), workspace.diff(shop, 2, 1)

    assert len(forwards.removed) == len(backwards.added) == 3
    assert len(forwards.added) == len(backwards.removed) == 0
    two, one = (workspace.snapshot(shop, v).model_dump(mode="json") for v in (2, 1))
    assert apply_patch(two, backwards.to_json_patch()) == one


def _swap(shop: Any) -> None:
    a, b = shop.shelves[0].items, shop.shelves[1].items
    a[0], b[1] = b[1], a[0]


CHANGES: dict[str, Callable[[Any], Any]] = {
    "a field": lambda s: setattr(s, "name", "new"),
    "a deep field": lambda s: setattr(s.shelves[1].items[0], "price", 9.5),
    "an atom appended": lambda s: s.numbers.append(9),
    "an atom inserted": lambda s: s.numbers.insert(0, 9),
    "atoms removed": lambda s: s.numbers.clear(),
    "atoms sorted": lambda s: s.numbers.sort(),
    "a key added": lambda s: s.table.update(z=1),
    "a key removed": lambda s: s.table.pop("a"),
    "a key with slashes": lambda s: s.table.update({"a/b": 1, "c~d": 2, "": 3}),
    "a key replaced": lambda s: s.table.update(a=9),
    "a child added at the end": lambda s: s.shelves.append(Shelf(label="x")),
    "a child added in front": lambda s: s.shelves.insert(0, Shelf(label="x", items=[Item()])),
    "a child removed": lambda s: s.shelves.pop(0),
    "children removed": lambda s: s.shelves.clear(),
    "children reversed": lambda s: s.shelves.reverse(),
    "children rotated": lambda s: s.shelves.append(s.shelves.pop(0)),
    "a child moved": lambda s: s.shelves[1].items.append(s.shelves[0].items.pop(0)),
    "a child moved and changed": lambda s: (
        s.shelves[1].items.insert(0, i := s.shelves[0].items.pop(1)),
        setattr(i, "name", "moved"),
    ),
    "children swapped": _swap,
    "a child to another kind of field": lambda s: (
        s.by_name.update(new=s.shelves[0].items.pop(0)),
        setattr(s, "star", s.shelves[0].items.pop(0)),
    ),
    "a child wrapped": lambda s: s.shelves.append(Shelf(items=[s.shelves[0].items.pop()])),
    "a parent removed, its child kept": lambda s: s.shelves[1].items.extend(
        s.shelves.pop(0).items[:]
    ),
    "the optional child removed": lambda s: setattr(s, "star", None),
    "the optional child replaced": lambda s: setattr(s, "star", Item(name="other")),
    "a dict child renamed": lambda s: s.by_name.update(y=s.by_name.pop("x")),
    "a set of atoms": lambda s: s.marks.add(99),
    "an opaque value": lambda s: s.point.trail.append(3),
    "an Any field": lambda s: setattr(s, "anything", {"k": [1, {"m": None}]}),
    "an Any field with a child": lambda s: setattr(s, "anything", [1, s.shelves.pop()]),
    "several at once": lambda s: (
        s.shelves.reverse(),
        s.shelves[0].items.clear(),
        s.shelves[1].items.append(Item(name="n")),
        s.shelves.insert(1, Shelf(label="mid")),
        setattr(s.shelves[3], "label", "last"),
        s.numbers.pop(),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_json_patch_applied_to_the_older_dump_gives_the_newer(
    workspace: Workspace, shop: Ref, do: Do, what: str
) -> None:
    do(lambda shop: (CHANGES[what](shop), None)[1])
    older, newer = (workspace.snapshot(shop, v).model_dump(mode="json") for v in (1, 2))
    assert older != newer

    patch = workspace.diff(shop, 1, 2).to_json_patch()

    assert _unordered(apply_patch(older, patch)) == _unordered(newer)
    back = workspace.diff(shop, 2, 1).to_json_patch()
    assert _unordered(apply_patch(newer, back)) == _unordered(older)


def _unordered(dump: Any) -> Any:
    """Ignore the order of sets, which JSON has as lists."""
    dump["marks"] = sorted(dump["marks"])
    return dump


def test_a_patch_over_many_versions(workspace: Workspace, shop: Ref, do: Do) -> None:
    names = [name for name in CHANGES if name not in {"children removed", "several at once"}]
    for name in names:
        try:
            do(lambda shop, name=name: (CHANGES[name](shop), None)[1])
        except (IndexError, AttributeError, KeyError):
            continue
    head = workspace.head(shop)
    dumps = {
        v: _unordered(workspace.snapshot(shop, v).model_dump(mode="json"))
        for v in range(1, head + 1)
    }

    for a, b in [(1, head), (head, 1), (3, head - 2), (head // 2, 1)]:
        patch = workspace.diff(shop, a, b).to_json_patch()
        assert _unordered(apply_patch(dumps[a], patch)) == dumps[b], (a, b)


def test_the_patch_of_one_field_is_small(workspace: Workspace, shop: Ref, do: Do) -> None:
    do(lambda shop: setattr(shop.shelves[1].items[0], "price", 7.0))

    assert workspace.diff(shop, 1, 2).to_json_patch() == [
        {"op": "replace", "path": "/shelves/1/items/0/price", "value": 7.0}
    ]


def test_writing_to_what_a_diff_shows_changes_no_version(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    do(lambda shop: shop.point.trail.append(1))

    (change,) = workspace.diff(shop, 1, 2).changed
    change.new.trail.append(99)
    change.old.trail.append(99)

    assert workspace.at(f"{shop.address}.point.trail", 1) == []
    assert workspace.at(f"{shop.address}.point.trail", 2) == [1]


def test_a_branch_knows_the_version_that_it_was_forked_from(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """Also a fork of a fork at a version that is older than the first fork's own ones."""
    first = workspace.snapshot(shop)
    do(lambda shop: setattr(shop, "name", "two"))
    branch = workspace.fork(shop)
    early = workspace.fork(branch, at=1)
    do(lambda shop: setattr(shop, "name", "three"), branch)
    late = workspace.fork(branch)

    found = [workspace.forked_from(each) for each in (shop, branch, early, late)]

    second, third = workspace.snapshot(shop, 2), workspace.snapshot(branch, 3)
    assert found == [None, second.ecs_id, first.ecs_id, third.ecs_id]
    assert workspace.at(f"@{found[2]}.name", 1) == "shop"
