"""The straight way and the general way give the same versions, records and refusals."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from pydantic import Field

from registry import ArgumentError, Entity, Ref, Workspace, plain
from registry.execution import Execution


class Item(Entity):
    """Stands in a row."""

    name: str = ""


class Row(Entity):
    """Holds items in order, and where each is."""

    items: list[Item] = Field(default_factory=list)
    places: dict[str, int] = Field(default_factory=dict)
    seen: datetime | None = None


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

    return workspace, workspace.add(Row(items=[Item(name=name) for name in "abc"]))


@pytest.fixture(params=["straight", "general"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run everything by one way only."""
    if request.param == "general":
        monkeypatch.setattr(plain, "_usual", lambda *_: None)
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
    assert workspace.execute("since", row=row) == "date 2013-01-01"
    assert workspace.execute("since", row=row, day="2013-02-01") == "date 2013-02-01"
    with pytest.raises(ArgumentError):
        workspace.run("note", {"row": row, "name": "a", "place": None, "seen": None})


def test_the_usual_arguments_take_the_straight_way() -> None:
    workspace, row = new_workspace()
    registered = workspace.callable("note")
    arguments = {"row": row, "name": "a", "place": 1, "seen": None}
    setting = workspace._setting
    workspace.snapshot(row)
    workspace.run("note", arguments)  # loads the root

    assert isinstance(plain.run(setting, registered, arguments, 1), Execution)  # changes nothing
    other = {**arguments, "place": 2}
    assert isinstance(plain.run(setting, registered, other, 2), plain.PlainExecution)
