"""The straight way and the general way give the same versions, records and refusals."""

from __future__ import annotations

import threading
import time
from datetime import date, datetime
from typing import Any, cast

import pytest
from pydantic import Field

from registry import (
    ArgumentError,
    BusyError,
    Entity,
    NotFoundError,
    Receipt,
    Ref,
    StructureError,
    Workspace,
    plain,
)
from registry.execution import Execution


class Item(Entity):
    """Stands in a row."""

    name: str = ""


class Row(Entity):
    """Holds items in order, and where each is."""

    items: list[Item] = Field(default_factory=list)
    places: dict[str, int] = Field(default_factory=dict)
    seen: datetime | None = None
    marks: dict[Any, Any] = Field(default_factory=dict)


class Street(Entity):
    """Holds streets in two lists."""

    name: str
    inner: list[Street] = Field(default_factory=list)
    others: list[Street] = Field(default_factory=list)


class Town(Entity):
    """Holds streets."""

    streets: list[Street] = Field(default_factory=list)


def new_workspace() -> tuple[Workspace, Ref]:
    workspace = Workspace()

    @workspace.register("shift")
    def shift(row: Row, source: int, target: int) -> None:
        row.items.insert(target, row.items.pop(source))

    @workspace.register("note")
    def note(row: Row, name: str, place: int, seen: datetime | None) -> Row:
        row.places[name] = place
        row.seen = seen
        return row

    @workspace.register("since")
    def since(row: Row, day: date = date(2013, 1, 1)) -> str:
        return f"{type(day).__name__} {day}"

    @workspace.register("reset")
    def reset(row: Row, name: str, mark: int | None) -> None:
        row.marks.pop(name, None)
        row.marks[name] = mark

    return workspace, workspace.add(Row(items=[Item(name=name) for name in "abc"]))


@pytest.fixture(params=["straight", "general"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run everything by one way only."""
    if request.param == "general":
        monkeypatch.setattr(plain, "_fitting", lambda *_: ())
    return str(request.param)


def test_both_ways_move_an_item_within_its_list(way: str) -> None:
    workspace, row = new_workspace()

    receipt = workspace.run("shift", {"row": row, "source": 0, "target": 2})

    assert [item.name for item in workspace.snapshot(row).items] == ["b", "c", "a"]
    assert (receipt.version, receipt.changed) == (2, 1)
    unchanged = workspace.run("shift", {"row": row, "source": 1, "target": 1})
    assert (unchanged.version, unchanged.changed) == (2, 0)


def test_both_ways_leave_out_what_is_there_already(way: str) -> None:
    workspace, row = new_workspace()
    when = datetime(2013, 1, 1, 5, 15)  # noqa: DTZ001 - local time of an airport
    arguments = {"row": row, "name": "a", "place": 1, "seen": when}

    first = workspace.run("note", arguments)
    again = workspace.run("note", arguments)
    other = workspace.run("note", {**arguments, "seen": None})

    assert (first.version, again.version, other.version) == (2, 2, 3)
    assert workspace.snapshot(row, 2).seen == when
    assert [change.field for change in workspace.diff(row, 2, 3).changed] == ["seen"]


def test_both_ways_write_the_same_record(way: str) -> None:
    workspace, row = new_workspace()
    workspace.run("note", {"row": row, "name": "b", "place": 0, "seen": None})  # loads the root

    workspace.run("note", {"place": 1, "row": row, "seen": None, "name": "a"})

    record = workspace.executions(name="note")[-1]
    assert dict(record.arguments) == {"place": 1, "seen": None, "name": "a"}
    assert record.inputs == (("row", row.key),)
    assert record.output_ids == [workspace.snapshot(row).ecs_id]
    assert (record.status, record.semantic, record.changed) == ("ok", "mutation", 1)
    assert [(each.before, each.after) for each in record.trees] == [(2, 3)]


def test_both_ways_validate_what_is_not_of_the_very_type(way: str) -> None:
    workspace, row = new_workspace()

    workspace.run("note", {"row": row, "name": "a", "place": "7", "seen": "2013-01-01T05:15"})

    assert workspace.snapshot(row).places == {"a": 7}
    assert workspace.execute("since", raw=True, row=row) == "date 2013-01-01"
    assert workspace.execute("since", raw=True, row=row, day="2013-02-01") == "date 2013-02-01"
    with pytest.raises(ArgumentError):
        workspace.run("note", {"row": row, "name": "a", "place": None, "seen": None})


def test_the_usual_arguments_take_the_straight_way(monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, row = new_workspace()
    arguments = {"row": row, "name": "a", "place": 1, "seen": None}
    workspace.run("note", arguments)  # loads the root
    general: list[str] = []

    def noted(execution: Execution, *_: Any) -> None:
        general.append(execution.registered.name)
        raise LookupError

    monkeypatch.setattr(Execution, "run", noted)
    monkeypatch.setattr(Execution, "take_over", noted)

    workspace.run("note", {**arguments, "place": 2})
    workspace.run("note", {**arguments, "place": "4", "seen": "2013-01-01T05:15"})
    workspace.run("note", {"seen": None, **arguments, "place": 3})
    assert general == []

    with pytest.raises(LookupError):
        workspace.run("note", {**arguments, "place": 3})  # changes nothing
    assert set(general) == {"note"}


def test_a_key_that_held_none_is_deleted_and_set_again(way: str) -> None:
    workspace, row = new_workspace()

    receipts = [
        workspace.run("reset", {"row": row, "name": "a", "mark": mark}) for mark in (None, 5, 5)
    ]

    assert [receipt.version for receipt in receipts] == [2, 3, 3]
    assert workspace.snapshot(row).marks == {"a": 5}
    assert workspace.snapshot(row, 2).marks == {"a": None}


def test_a_deleted_key_that_comes_back_is_the_last_one(way: str) -> None:
    workspace, row = new_workspace()
    for name in ("a", "b"):
        workspace.run("reset", {"row": row, "name": name, "mark": 1})

    workspace.run("reset", {"row": row, "name": "a", "mark": 1})

    assert list(workspace.snapshot(row).marks) == ["b", "a"]
    assert list(workspace.snapshot(row, 3).marks) == ["a", "b"]


def test_an_entity_as_a_dict_key_is_refused_on_both_ways(way: str) -> None:
    workspace = Workspace()

    @workspace.register("point")
    def point(row: Row) -> None:
        row.marks[row.items[0]] = 1

    row = workspace.add(Row(items=[Item(name="a")]))

    with pytest.raises(StructureError, match="dict key"):
        workspace.run("point", {"row": row})
    assert workspace.head(row) == 1


def test_a_snapshot_of_the_head_means_the_same_as_a_ref(monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, row = new_workspace()
    shown = workspace.execute("note", row=row, name="a", place=1, seen=None)  # loads the root
    monkeypatch.setattr(Execution, "run", None)

    for place in (2, 3):
        shown = workspace.execute("note", row=shown, name="a", place=place, seen=None)

    assert (shown.version, shown.places) == (4, {"a": 3})
    assert workspace.branches(row) == [row]
    record = workspace.executions(name="note")[-1]
    assert record.inputs == (("row", row.key),)


def test_a_snapshot_that_is_old_or_edited_does_not(way: str) -> None:
    workspace, row = new_workspace()
    old = workspace.execute("note", row=row, name="a", place=1, seen=None)
    edited = cast("Row", workspace.execute("note", row=row, name="b", place=1, seen=None))
    edited.places["c"] = 1

    forked = workspace.execute("note", row=old, name="z", place=1, seen=None)
    merged = workspace.execute("note", row=edited, name="d", place=1, seen=None)

    assert list(forked.places) == ["a", "z"]
    assert list(merged.places) == ["a", "b", "c", "d"]
    assert len(workspace.branches(row)) == 2
    assert workspace.head(row) == 4


def test_a_snapshot_of_another_workspace_is_no_ref_here(way: str) -> None:
    (workspace, row), (other, _) = new_workspace(), new_workspace()
    shown = workspace.execute("note", row=row, name="a", place=1, seen=None)

    result = other.execute("note", row=shown, name="b", place=1, seen=None)

    assert list(result.places) == ["a", "b"]
    assert workspace.head(row) == 3  # it works on the tree that was given, wherever that is held


def test_many_calls_are_as_many_executions(way: str) -> None:
    workspace, row = new_workspace()
    calls = [((row, name, place, None), f"e{place}") for place, name in enumerate(["a", None, "c"])]

    first, second, third = workspace.run_each("note", ("row", "name", "place", "seen"), calls)

    assert isinstance(second, ArgumentError)
    assert first == ("e0", "mutation", 2, 1, row, (row,))
    assert third == ("e2", "mutation", 3, 1, row, (row,))
    assert workspace.snapshot(row).places == {"a": 0, "c": 2}
    records = workspace.executions(name="note")
    assert [record.status for record in records] == ["ok", "failed", "ok"]


def test_many_calls_of_an_unknown_callable_are_as_many_errors() -> None:
    workspace, row = new_workspace()

    (error,) = workspace.run_each("nothing", ("row",), [((row,), "e")])

    assert isinstance(error, NotFoundError)


@pytest.mark.parametrize("names", [("place", "name", "row", "seen"), ("row", "name", "place")])
def test_many_calls_take_their_arguments_in_any_order(names: tuple[str, ...]) -> None:
    workspace, row = new_workspace()
    values = {"row": row, "name": "a", "place": 1, "seen": None}

    (done,) = workspace.run_each("note", names, [(tuple(values[name] for name in names), "e")])

    assert isinstance(done, ArgumentError) == ("seen" not in names)


def test_many_calls_for_several_roots_and_parts_of_them_mix(way: str) -> None:
    workspace, first = new_workspace()
    second = workspace.add(Row(items=[Item(name="z")]))

    @workspace.register("rename")
    def rename(item: Item, name: str) -> Item:
        item.name = name
        return item

    for ref in (first, second):
        workspace.run("shift", {"row": ref, "source": 0, "target": 0})  # loads the items
    part = workspace.ref(cast("Row", workspace.snapshot(first)).items[0])
    names = ("row", "name", "place", "seen")
    calls = [((ref, "n", n, None), f"{n}") for n, ref in enumerate([first, second, first])]

    versions = [cast("Receipt", done).version for done in workspace.run_each("note", names, calls)]
    renamed = list(
        workspace.run_each("rename", ("item", "name"), [((part, "b"), 7), ((part, "c"), 8)])
    )

    assert versions == [2, 2, 3]
    assert [(done.version, done.value) for done in renamed] == [(4, part), (5, part)]  # type: ignore[union-attr]  # receipts
    assert cast("Row", workspace.snapshot(first)).items[0].name == "c"


def test_between_many_calls_who_waits_for_the_tree_comes_first() -> None:
    workspace, row = new_workspace()
    workspace.run("shift", {"row": row, "source": 0, "target": 0})  # loads the root
    turn = workspace.trees.tree(row).turn
    order: list[str] = []

    def other() -> None:
        workspace.run("note", {"row": row, "name": "other", "place": 0, "seen": None})
        order.append("other")

    thread = threading.Thread(target=other)
    calls = [((row, name, 0, None), name) for name in "abc"]
    for done in workspace.run_each("note", ("row", "name", "place", "seen"), calls):
        order.append(cast("Receipt", done).execution_id)
        if order == ["a"]:
            thread.start()
            while not turn.is_wanted:
                time.sleep(0.001)
    thread.join()

    assert sorted(order) == ["a", "b", "c", "other"]
    assert [info.execution_id for info in workspace.history(row)[1:]][0::2] == ["a", "b"]
    assert turn.take()


def test_many_calls_that_are_given_up_let_go_of_the_tree() -> None:
    workspace, row = new_workspace()
    workspace.run("shift", {"row": row, "source": 0, "target": 0})  # loads the root
    calls = [((row, name, 0, None), name) for name in "abc"]

    each = workspace.run_each("note", ("row", "name", "place", "seen"), calls)
    next(each)
    with pytest.raises(BusyError):
        workspace.run("note", {"row": row, "name": "z", "place": 0, "seen": None})
    each.close()

    assert workspace.run("note", {"row": row, "name": "z", "place": 0, "seen": None}).version == 3


# One entity from one list to another is spelled out (`_first_move`): what looks like it and is not.


def new_town() -> tuple[Workspace, Ref]:
    workspace = Workspace()

    @workspace.register("shuffle")
    def shuffle(town: Town, way: str) -> None:
        first, second = town.streets
        if way == "down into itself":
            town.streets.pop(0)
            first.inner.append(first)
        elif way == "up and down":
            house = first.inner.pop(0)
            town.streets.append(house)
            town.streets.pop(0)
            house.inner.append(first)
        elif way == "two lists of one":
            first.others.append(first.inner.pop(0))
        elif way == "there and back":
            second.inner.append(first.inner.pop(0))
            first.inner.append(second.inner.pop())
        elif way == "and another":
            second.inner.append(first.inner.pop(0))
            second.others.append(first.inner.pop())

    def street(name: str) -> Street:
        return Street(name=name, inner=[Street(name=f"{name}{number}") for number in range(2)])

    return workspace, workspace.add(Town(streets=[street("a"), street("b")]))


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("up and down", "[b[b0 b1|] a0[a[a1|]|]]"),
        ("two lists of one", "[a[a1|a0] b[b0 b1|]]"),
        ("there and back", "[a[a1 a0|] b[b0 b1|]]"),
        ("and another", "[a b[b0 b1 a0|a1]]"),
    ],
)
def test_moves_end_where_plain_python_puts_them(how: str, expected: str, way: str) -> None:
    workspace, town = new_town()
    workspace.run("shuffle", {"town": town, "way": ""})  # loads the root

    receipt = workspace.run("shuffle", {"town": town, "way": how})

    assert receipt.version == 2
    assert drawn(workspace.snapshot(town)) == expected
    assert drawn(workspace.snapshot(town, 1)) == "[a[a0 a1|] b[b0 b1|]]"


def test_what_would_hold_itself_leaves_with_its_holder(way: str) -> None:
    workspace, town = new_town()

    workspace.run("shuffle", {"town": town, "way": "down into itself"})

    assert drawn(workspace.snapshot(town)) == "[b[b0 b1|]]"


def drawn(town: Entity) -> str:
    assert isinstance(town, Town)
    return f"[{' '.join(map(_drawn_street, town.streets))}]"


def _drawn_street(street: Street) -> str:
    if not (street.inner or street.others):
        return street.name
    inside = (" ".join(map(_drawn_street, each)) for each in (street.inner, street.others))
    return f"{street.name}[{'|'.join(inside)}]"
