"""Values by address: `get`, `batch_get` and `put`, on a workspace and on the default one."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ConfigDict, Field

import registry
from registry import (
    AddressError,
    ArgumentError,
    ConflictError,
    Entity,
    NotFoundError,
    PathError,
    PrunedError,
    Ref,
    Retention,
    Workspace,
    ids,
    use_workspace,
)
from registry.snapshot import Snapshot
from tests.unit.registry.conftest import Do
from tests.unit.registry.shop import Item, Shop, new_shop


class Strict(Entity):
    """Validates what is assigned."""

    model_config = ConfigDict(validate_assignment=True)
    size: int = Field(default=1, gt=0)
    sizes: list[int] = Field(default_factory=lambda: [1])
    pair: tuple[int, list[int]] = (1, [2])
    by_number: dict[int, str] = Field(default_factory=lambda: {5: "five"})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (".name", "shop"),
        (".shelves.1.label", "s1"),
        (".shelves.-1.items.-2.name", "i20"),
        (".table.a", 1),
        ('.table["b"]', 2),
        (".numbers", [3, 1, 2]),
        (".point.x", 0),
        (".by_name.x.tags", []),
    ],
)
def test_get_follows_fields_positions_and_keys(
    workspace: Workspace, shop: Ref, path: str, value: Any
) -> None:
    assert workspace.get(shop.address + path) == value
    assert type(workspace.get(shop.address + path)) is type(value)


def test_an_id_names_its_version_and_a_lineage_the_head(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    old = workspace.snapshot(shop)
    do(lambda shop: setattr(shop.shelves[0], "label", "new"))

    assert workspace.get(f"@{old.ecs_id}.shelves.0.label") == "s0"
    assert workspace.get(f"@{old.lineage_id}.shelves.0.label") == "new"
    assert workspace.get(f"@{old.shelves[0].ecs_id}.label") == "s0"
    assert workspace.get(f"@{old.ecs_id}") == old
    assert workspace.get(f"@{old.shelves[1].ecs_id}").version == 2


def test_what_get_returns_is_a_copy(workspace: Workspace, shop: Ref) -> None:
    workspace.get(f"{shop.address}.numbers").append(9)
    workspace.get(f"{shop.address}.point").trail.append(9)
    workspace.get(shop.address).numbers.append(9)

    assert workspace.get(f"{shop.address}.numbers") == [3, 1, 2]
    assert workspace.get(f"{shop.address}.point.trail") == []


def test_batch_get_loads_each_version_once(
    workspace: Workspace, shop: Ref, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    of = Snapshot.of
    monkeypatch.setattr(Snapshot, "of", lambda tree, at: made.append(at) or of(tree, at))  # type: ignore[func-returns-value]  # the idiom of a spy

    one, name, two = workspace.batch_get([shop.address, f"{shop.address}.name", shop.address])

    assert one is two
    assert name == "shop"
    assert made == [1]


def test_a_removed_entity_is_read_by_its_id_and_not_by_its_lineage(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    star = workspace.snapshot(shop).star
    assert star is not None
    do(lambda shop: setattr(shop, "star", None))
    do(lambda shop: setattr(shop, "name", "later"))

    assert workspace.get(f"@{star.ecs_id}.name") == "star"
    assert workspace.get(f"@{star.ecs_id}").version == 1
    with pytest.raises(NotFoundError, match="at its head"):
        workspace.get(f"@{star.lineage_id}.name")


def test_an_entity_born_on_a_branch_is_found_by_its_id(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    branch = workspace.fork(shop)
    do(lambda shop: shop.shelves[0].items.append(Item(name="branched")), branch)
    born = workspace.snapshot(branch).shelves[0].items[-1]

    assert workspace.get(f"@{born.ecs_id}.name") == "branched"
    assert workspace.get(f"{branch.address}.shelves.0.items.-1.name") == "branched"
    with pytest.raises(PathError):
        workspace.get(f"{shop.address}.shelves.0.items.2")


def test_a_version_that_is_not_kept_is_told(do: Do) -> None:
    workspace = Workspace(retention=Retention(versions=2))
    ref = workspace.add(new_shop())
    first = workspace.get(ref.address).ecs_id
    for index in range(40):
        workspace.put(f"{ref.address}.name", str(index))

    with pytest.raises(PrunedError):
        workspace.get(f"@{first}.name")


@pytest.mark.parametrize(
    ("path", "part", "what", "where"),
    [
        (".nme", 1, "field 'nme'", "whose fields are name, shelves"),
        (".shelves.3", 2, "index 3", "'.shelves' of Shop:"),
        (".shelves.-4.label", 2, "index -4", "a list of 3"),
        (".shelves.x", 2, "index 'x'", "a list of 3"),
        (".table.z", 2, "key 'z'", "a dict of 2"),
        (".table.0", 2, "key 0", "a dict of 2"),
        (".name.upper", 2, "field 'upper'", "which is of type str"),
        (".marks.0", 2, "field 0", "which is of type TrackedSet"),
        (".point.z", 2, "field 'z'", "a Point, whose fields are x, y, trail"),
        (".star.nme", 2, "field 'nme'", "Item:"),
        (".ecs_id", 1, "field 'ecs_id'", "Shop:"),
    ],
)
def test_what_is_not_there_is_told_with_its_place(
    workspace: Workspace, shop: Ref, path: str, part: int, what: str, where: str
) -> None:
    for ask in (workspace.get, lambda address: workspace.put(f"{address}.x", 1)):
        with pytest.raises(PathError) as caught:
            ask(shop.address + path)

        error = caught.value
        assert isinstance(error, LookupError)
        assert error.what == what
        assert where in error.where
        assert error.part == part
        assert str(error) == f"{what} is not in {error.where} (part {part} of {error.address!r})"
        assert pickle.loads(pickle.dumps(error)).args == error.args


def test_an_unknown_id_is_told(workspace: Workspace, shop: Ref) -> None:
    unknown = ids.to_uuid(ids.new_key())
    later = ids.to_uuid(shop.key, ids.stamp(0, 9))

    for uuid in (unknown, later):
        for ask in (workspace.get, lambda address: workspace.put(f"{address}.name", 1)):
            with pytest.raises(NotFoundError, match=str(uuid)):
                ask(f"@{uuid}")
    with pytest.raises(AddressError):
        workspace.get("shop")


def test_put_makes_a_version_and_returns_its_address(workspace: Workspace, shop: Ref) -> None:
    address = workspace.put(f"{shop.address}.shelves.0.items.1.price", 9)

    assert workspace.head(shop) == 2
    assert workspace.get(address) == 9.0
    assert address.startswith(f"@{workspace.snapshot(shop).ecs_id}.shelves")
    assert workspace.put(address, 9.0) == address
    assert workspace.head(shop) == 2
    assert workspace.history(shop)[-1].callable == "put"


@pytest.mark.parametrize(
    ("path", "value", "whole"),
    [
        (".sizes.0", "7", ("sizes", [7])),
        (".pair.1.0", 7, ("pair", (1, [7]))),
        (".by_number.5", "V", ("by_number", {5: "V"})),
        (".by_number.6", "six", ("by_number", {5: "five", 6: "six"})),
        (".size", "7", ("size", 7)),
    ],
)
def test_put_reaches_into_containers(path: str, value: Any, whole: tuple[str, Any]) -> None:
    workspace = Workspace()
    ref = workspace.add(Strict())

    workspace.put(ref.address + path, value)

    assert workspace.get(f"{ref.address}.{whole[0]}") == whole[1]


@pytest.mark.parametrize(
    ("root", "path", "value"),
    [
        (Strict(), ".size", 0),
        (Strict(), ".sizes.0", "x"),
        (new_shop(), ".name", 7),
        (new_shop(), ".shelves.0.items.0.price", "dear"),
        (new_shop(), ".shelves.0", Item()),
        (new_shop(), ".table.a", None),
        (new_shop(), "", 7),
    ],
)
def test_put_refuses_what_does_not_fit(root: Entity, path: str, value: Any) -> None:
    workspace = Workspace()
    ref = workspace.add(root.model_copy(deep=True))

    with pytest.raises(ArgumentError) as caught:
        workspace.put(ref.address + path, value)

    assert caught.value.callable_name == "put"
    assert workspace.head(ref) == 1
    assert workspace.executions()[-1].status == "failed"


@pytest.mark.parametrize("path", [".numbers.3", ".numbers.x", ".point.x", ".marks.1", ".nme"])
def test_put_refuses_places_that_are_not_there(workspace: Workspace, shop: Ref, path: str) -> None:
    with pytest.raises(PathError):
        workspace.put(shop.address + path, 1)
    assert workspace.head(shop) == 1


def test_put_copies_an_entity(workspace: Workspace, shop: Ref) -> None:
    item = Item(name="mine")

    workspace.put(f"{shop.address}.star", item)
    item.name = "changed"

    assert workspace.get(f"{shop.address}.star.name") == "mine"
    assert item.is_orphan()


def test_put_to_an_old_version_follows_on_stale(workspace: Workspace, shop: Ref) -> None:
    old = f"@{workspace.get(shop.address).ecs_id}.name"
    workspace.put(f"{shop.address}.numbers", [])

    with pytest.raises(ConflictError):
        workspace.put(old, "x", on_stale="error")
    forked = workspace.put(old, "forked")
    workspace.put(old, "headed", on_stale="head")

    assert workspace.get(forked) == "forked"
    assert len(workspace.branches(shop)) == 2
    assert workspace.get(f"{shop.address}.name") == "headed"
    assert workspace.get(f"{shop.address}.numbers") == []


@pytest.fixture
def default() -> Iterator[Workspace]:
    """A default workspace of the test's own."""
    workspace = Workspace()
    use_workspace(workspace)
    yield workspace
    use_workspace(None)


def test_the_functions_work_on_the_default_workspace(default: Workspace) -> None:
    ref = default.add(Shop(name="one"))

    address = registry.put(f"{ref.address}.name", "two")

    assert registry.get(address) == "two"
    assert registry.batch_get([address, f"{ref.address}.numbers"]) == ["two", []]
    assert registry.is_address(address)
