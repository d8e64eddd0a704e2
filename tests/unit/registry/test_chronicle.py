"""What the history of an entity or a value says, and what is read for it."""

# ruff: noqa: RUF012 - pydantic copies mutable defaults
from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from registry import (
    AddressError,
    Entity,
    NaiveTimeError,
    NotFoundError,
    PathError,
    PrunedError,
    Ref,
    Retention,
    VersionInfo,
    Workspace,
    parse_address,
)
from registry.history import Node
from registry.snapshot import Snapshot
from tests.unit.registry.conftest import Do
from tests.unit.registry.shop import ACTION, Item, Shelf, Shop, act, new_shop


class Grid(Entity):
    """Holds containers in containers."""

    matrix: list[list[int]] = []
    rows: dict[str, list[int]] = {}


class Clock:
    """Tells a time that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def timed(clock: Clock) -> Iterator[tuple[Workspace, Ref]]:
    """A workspace with a shop, with a version every hundred seconds; five in all."""
    workspace = Workspace(clock=clock)
    workspace.register("act")(act)
    shop = workspace.add(new_shop())
    for number in range(2, 6):
        clock.now += 100
        ACTION["do"] = lambda shop, number=number: setattr(shop, "name", f"v{number}")
        workspace.execute("act", shop=shop)
    yield workspace, shop
    ACTION.clear()


def values(rows: list[VersionInfo]) -> list[tuple[int, Any]]:
    return [(row.version, row.value) if row.is_there else (row.version, "gone") for row in rows]


# --- values ---


def test_a_field_has_a_row_for_exactly_the_versions_that_changed_it(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    do(lambda shop: setattr(shop, "name", "b"))
    do(lambda shop: shop.numbers.append(9))
    do(lambda shop: setattr(shop, "name", "b"))
    do(lambda shop: setattr(shop, "name", "c"))

    rows = workspace.history(f"{shop.address}.name")

    assert values(rows) == [(1, "shop"), (2, "b"), (4, "c")]
    commits = {info.version: info for info in workspace.history(shop)}
    assert [row._replace(value=None) for row in rows] == [commits[1], commits[2], commits[4]]


def test_a_container_an_element_and_a_key_have_their_own_histories(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    do(lambda shop: shop.numbers.insert(0, 7))
    do(lambda shop: shop.table.update(a=5))
    do(lambda shop: shop.numbers.pop())
    do(lambda shop: shop.table.pop("a"))

    def of(path: str) -> list[tuple[int, Any]]:
        return values(workspace.history(shop.address + path))

    assert of(".numbers") == [(1, [3, 1, 2]), (2, [7, 3, 1, 2]), (4, [7, 3, 1])]
    assert of(".numbers.0") == [(1, 3), (2, 7)]
    assert of(".numbers.3") == [(2, 2), (4, "gone")]
    assert of(".numbers.-1") == [(1, 2), (4, 1)]
    assert of('.table["a"]') == [(1, 1), (3, 5), (5, "gone")]
    assert of(".table.b") == [(1, 2)]


def test_containers_in_containers_that_only_old_versions_have_are_seen() -> None:
    workspace = Workspace()

    @workspace.register("do")
    def do(grid: Grid, what: str) -> None:
        exec(what, {"grid": grid})  # noqa: S102 - the test's own

    grid = workspace.add(Grid(matrix=[[1], [2]], rows={"a": [1]}))
    for what in (
        "grid.matrix[1].append(3)",
        "del grid.matrix[1]",
        "grid.rows['a'].append(2)",
        "del grid.rows['a']",
    ):
        workspace.execute("do", grid=grid, what=what)

    matrix = workspace.history(f"{grid.address}.matrix")
    rows = workspace.history(f"{grid.address}.rows.a")

    assert values(matrix) == [(1, [[1], [2]]), (2, [[1], [2, 3]]), (3, [[1]])]
    assert values(rows) == [(1, [1]), (4, [1, 2]), (5, "gone")]


def test_children_appear_as_refs_and_their_own_changes_are_not_the_fields(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    first, second, third = map(workspace.ref, workspace.at(shop, 1).shelves)
    do(lambda shop: setattr(shop.shelves[0], "label", "changed"))
    do(lambda shop: shop.shelves.reverse())

    rows = workspace.history(f"{shop.address}.shelves")

    assert values(rows) == [(1, [first, second, third]), (3, [third, second, first])]


def test_a_path_goes_on_through_whichever_child_is_there(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    do(lambda shop: setattr(shop.shelves[0].items[0], "price", 5.0))
    do(lambda shop: shop.shelves.reverse())
    do(lambda shop: setattr(shop.shelves[-1].items[0], "price", 6.0))
    do(lambda shop: shop.shelves[0].items.clear())

    rows = workspace.history(f"{shop.address}.shelves.0.items.0.price")

    assert values(rows) == [(1, 0.0), (2, 5.0), (3, 2.0), (5, "gone")]


def test_a_value_inside_an_opaque_one_has_a_history_and_nobody_can_change_it(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    do(lambda shop: setattr(shop.point, "x", 5))
    do(lambda shop: shop.point.trail.append(1))

    workspace.history(f"{shop.address}.point")[-1].value.trail.append(99)
    workspace.history(f"{shop.address}.point.trail")[-1].value.append(99)

    assert values(workspace.history(f"{shop.address}.point.x")) == [(1, 0), (2, 5)]
    assert values(workspace.history(f"{shop.address}.point.trail")) == [(1, []), (3, [1])]


def test_a_lineage_id_a_version_id_and_an_address_object_mean_the_same_history(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    old = workspace.snapshot(shop)
    do(lambda shop: setattr(shop, "name", "b"))

    expected = workspace.history(f"{shop.address}.name")

    assert workspace.history(f"@{old.ecs_id}.name") == expected
    assert workspace.history(parse_address(f"@{old.ecs_id}.name")) == expected
    for target in (old, old.ecs_id, old.lineage_id, shop.address):
        assert workspace.history(target) == workspace.history(shop)


def test_only_the_states_of_the_field_are_read(
    workspace: Workspace, shop: Ref, do: Do, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No entity is loaded, no snapshot made, no state of another entity looked at."""
    for number in range(5):
        do(lambda shop, number=number: setattr(shop, "name", f"v{number}"))
        do(lambda shop, number=number: setattr(shop.shelves[0].items[0], "price", number))
    tree = workspace.trees.tree(shop)
    loaded = dict(tree.entities)
    read: list[Any] = []
    original = Node.state_at

    def counted(node: Node, version: int) -> Any:
        read.append(node.key)
        return original(node, version)

    monkeypatch.setattr(Node, "state_at", counted)
    monkeypatch.setattr(Snapshot, "__init__", lambda *_: pytest.fail("a snapshot was made"))

    rows = workspace.history(f"{shop.address}.name")

    assert len(rows) == 6
    assert read == [shop.key] * 6
    assert tree.entities == loaded


@pytest.mark.parametrize("path", [".nane", ".numbers.99", ".table.zz", ".marks.1", ".name.x"])
def test_a_path_that_no_version_has_is_refused(workspace: Workspace, shop: Ref, path: str) -> None:
    with pytest.raises(PathError) as caught:
        workspace.history(shop.address + path)

    assert path.split(".")[-1] in caught.value.what
    with pytest.raises(AddressError):
        workspace.history("@nobody")


# --- entities ---


def test_an_entity_that_left_and_came_back_has_rows_for_both(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    item = workspace.ref(workspace.at(f"{shop.address}.shelves.0.items.0", 1))
    kept: list[Item] = []
    do(lambda shop: kept.append(shop.shelves[0].items.pop(0)))
    do(lambda shop: setattr(shop, "name", "between"))
    do(lambda shop: shop.shelves[2].items.append(kept[0]))
    do(lambda shop: setattr(shop.shelves[2].items[-1], "price", 9.0))

    assert [(row.version, row.is_there) for row in workspace.history(item)] == [
        (1, True),
        (2, False),
        (4, True),
        (5, True),
    ]
    assert values(workspace.history(f"{item.address}.price")) == [
        (1, 0.0),
        (2, "gone"),
        (4, 0.0),
        (5, 9.0),
    ]


def test_an_entity_that_left_is_found_by_every_name(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    shelf = workspace.at(f"{shop.address}.shelves.1", 1)
    item = workspace.at(f"{shop.address}.shelves.1.items.0", 1)
    do(lambda shop: shop.shelves.pop(1))

    for target in (shelf.ecs_id, shelf.lineage_id, f"@{shelf.lineage_id}"):
        assert [(row.version, row.is_there) for row in workspace.history(target)] == [
            (1, True),
            (2, False),
        ]
    assert values(workspace.history(f"@{item.lineage_id}.name")) == [(1, "i10"), (2, "gone")]


def test_a_moved_entity_has_one_history(workspace: Workspace, shop: Ref, do: Do) -> None:
    item = workspace.ref(workspace.at(f"{shop.address}.shelves.0.items.0", 1))
    do(lambda shop: setattr(shop.shelves[0].items[0], "name", "b"))
    do(lambda shop: shop.shelves[1].items.append(shop.shelves[0].items.pop(0)))
    do(lambda shop: setattr(shop.shelves[1].items[-1], "name", "c"))

    assert values(workspace.history(f"{item.address}.name")) == [(1, "i00"), (2, "b"), (4, "c")]


def test_the_versions_before_a_fork_are_those_of_its_base(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    do(lambda shop: setattr(shop, "name", "b"))
    branch = workspace.fork(shop)
    do(lambda shop: setattr(shop, "name", "main"))
    do(lambda shop: setattr(shop, "name", "branch"), branch)

    on_main = values(workspace.history(f"{shop.address}.name"))
    on_branch = values(workspace.history(f"{branch.address}.name"))

    assert on_main == [(1, "shop"), (2, "b"), (3, "main")]
    assert on_branch == [(1, "shop"), (2, "b"), (3, "branch")]
    for number in (branch, branch.branch):
        assert values(workspace.history(f"{shop.address}.name", branch=number)) == on_branch
    assert values(workspace.history(f"{branch.address}.name", branch=0)) == on_main
    with pytest.raises(NotFoundError):
        workspace.history(shop, branch=99)


def test_after_pruning_the_first_row_is_the_oldest_version_and_its_maker_is_left_open() -> None:
    workspace = Workspace(retention=Retention(versions=3))
    workspace.register("act")(act)
    shop = workspace.add(new_shop())
    ACTION["do"] = lambda shop: setattr(shop, "name", "b")
    workspace.execute("act", shop=shop)
    ACTION["do"] = lambda shop: shop.numbers.append(1)
    for _ in range(30):
        workspace.execute("act", shop=shop)
    ACTION.clear()

    rows = workspace.history(f"{shop.address}.name")
    numbers = workspace.history(f"{shop.address}.numbers")

    (row,) = rows
    assert (row.version, row.value, row.callable, row.execution_id) == (30, "b", None, None)
    assert [each.version for each in numbers] == [30, 31, 32]
    assert [each.callable for each in numbers] == [None, "act", "act"]
    assert [each.callable for each in workspace.history(shop)] == ["act"] * 3


# --- at ---


def test_at_a_version_is_its_snapshot(timed: tuple[Workspace, Ref]) -> None:
    workspace, shop = timed

    assert workspace.at(shop, 3) == workspace.snapshot(shop, 3)
    assert workspace.at(f"{shop.address}.name", 3) == "v3"
    with pytest.raises(NotFoundError):
        workspace.at(shop, 6)
    with pytest.raises(NotFoundError):
        workspace.at(shop, 0)


def test_at_a_time_is_the_newest_version_committed_by_then(timed: tuple[Workspace, Ref]) -> None:
    workspace, shop = timed
    times = [info.committed_at for info in workspace.history(shop)]
    moment = timedelta(microseconds=1)

    for number, time in enumerate(times, start=1):
        assert workspace.at(shop, time).version == number
        assert workspace.at(shop, time + timedelta(seconds=99)).version == number
        if number > 1:
            assert workspace.at(shop, time - moment).version == number - 1
    assert workspace.at(f"{shop.address}.name", times[2]) == "v3"
    with pytest.raises(NotFoundError):
        workspace.at(shop, times[0] - moment)


def test_at_a_time_on_a_branch_goes_back_into_its_base(
    timed: tuple[Workspace, Ref], clock: Clock
) -> None:
    workspace, shop = timed
    times = [info.committed_at for info in workspace.history(shop)]
    branch = workspace.fork(shop, at=3)
    clock.now += 100
    ACTION["do"] = lambda shop: setattr(shop, "name", "branch")
    workspace.execute("act", shop=branch)

    assert workspace.at(branch, times[1]).name == "v2"
    assert workspace.at(branch, times[4]).name == "v3"
    assert workspace.at(branch, datetime.fromtimestamp(clock.now, UTC)).name == "branch"
    assert workspace.at(shop, times[1], branch=branch).name == "v2"


def test_a_time_without_a_zone_is_refused(timed: tuple[Workspace, Ref]) -> None:
    workspace, shop = timed

    with pytest.raises(NaiveTimeError) as caught:
        workspace.at(shop, datetime(2030, 1, 31))  # noqa: DTZ001 - what is refused

    assert caught.value.time == "2030-01-31T00:00:00"
    assert str(caught.value) == (
        "the time 2030-01-31T00:00:00 has no time zone; "
        "give it one, as in datetime(2030, 1, 31, tzinfo=UTC) or moment.astimezone()"
    )


def test_a_time_whose_version_is_no_longer_kept_is_refused(clock: Clock) -> None:
    workspace = Workspace(clock=clock, retention=Retention(versions=2))
    workspace.register("act")(act)
    shop = workspace.add(new_shop())
    began = datetime.fromtimestamp(clock.now, UTC)
    ACTION["do"] = lambda shop: shop.numbers.append(1)
    for _ in range(5):
        clock.now += 100
        workspace.execute("act", shop=shop)
    ACTION.clear()

    with pytest.raises(PrunedError) as caught:
        workspace.at(shop, began)

    assert caught.value.oldest == 5
    with pytest.raises(PrunedError):
        workspace.at(shop, 2)


def test_at_an_entity_that_was_not_there_is_refused(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    do(lambda shop: shop.shelves.append(Shelf(label="new")))
    shelf = workspace.ref(workspace.at(f"{shop.address}.shelves.3", 2))
    do(lambda shop: shop.shelves.pop())

    assert workspace.at(shelf, 2).label == "new"
    for version in (1, 3):
        with pytest.raises(NotFoundError):
            workspace.at(shelf, version)
    assert isinstance(workspace.at(shop, 1), Shop)
