"""What the events say, and that those who read later are told what those who listen were told."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from registry import Entity, Ref, Retention, Workspace, parse_address
from registry.errors import CursorError, EventError
from registry.events import (
    BUILT_IN,
    DataBorrowed,
    EntityAttached,
    EntityDetached,
    EntityPromoted,
    EntityRegistered,
    EntityVersioned,
    Event,
    ExecutionCompleted,
    ExecutionEnded,
    ExecutionFailed,
    ExecutionStarted,
    RegistryEvent,
)
from registry.feed import Cursor
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop

NOW = 1_700_000_000.0


def move(shop: Shop) -> Shop:
    """Move one item, add one shelf, take one away, and change a number."""
    shop.shelves[1].items.append(shop.shelves[0].items.pop())
    shop.shelves.append(Shelf(label="new"))
    del shop.shelves[2]
    shop.numbers.append(4)
    return shop


def grow(shop: Shop, n: int) -> None:
    """Change one value, or fail."""
    if n < 0:
        raise ValueError(f"{n} is less than 0")
    shop.numbers.append(n)


def look(shop: Shop) -> int:
    """Change nothing."""
    return len(shop.numbers)


def make(shop: Shop) -> Item:
    """Create."""
    return Item(name="made")


def take(shop: Shop) -> Shelf:
    """Detach."""
    return shop.shelves.pop()


def cross(a: Shop, b: Shop) -> None:
    """Take a shelf to another tree."""
    b.shelves.append(a.shelves.pop())


def name_it(shop: Shop, name: str) -> None:
    """Change a text."""
    shop.name = name


def make_way(shop: Shop) -> None:
    """Take away a shelf, if there is one, or add one."""
    shop.shelves[:] = shop.shelves[1:] or [Shelf()]


CALLABLES = (move, grow, look, make, take, cross, name_it)


class Told(list[Event]):
    """What a handler was told."""

    def of(self, cls: type[Event]) -> list[Any]:
        return [event for event in self if isinstance(event, cls)]

    @property
    def types(self) -> list[str]:
        return [event.type for event in self]


@pytest.fixture
def workspace() -> Workspace:
    """A workspace at a time of ours."""
    workspace = Workspace(clock=lambda: NOW)
    for function in CALLABLES:
        workspace.register(function.__name__)(function)
    return workspace


@pytest.fixture
def shop(workspace: Workspace) -> Ref:
    """A shop, there before anybody listens."""
    return workspace.add(new_shop())


@pytest.fixture
def told(workspace: Workspace, shop: Ref) -> Told:
    """What has happened since."""
    told = Told()
    workspace.on(handler=told.append)
    return told


def root_id(workspace: Workspace, shop: Ref, version: int) -> UUID:
    return workspace.snapshot(shop, version).ecs_id


# --- types ---


def test_every_event_of_the_registry_has_the_type_that_its_name_says() -> None:
    assert {cls.type: cls.__name__ for cls in BUILT_IN} == {
        "execution.started": "ExecutionStarted",
        "execution.completed": "ExecutionCompleted",
        "execution.failed": "ExecutionFailed",
        "entity.registered": "EntityRegistered",
        "entity.versioned": "EntityVersioned",
        "entity.promoted": "EntityPromoted",
        "entity.detached": "EntityDetached",
        "entity.attached": "EntityAttached",
        "data.borrowed": "DataBorrowed",
    }


def test_a_type_of_ones_own_is_named_by_its_class_or_as_it_says() -> None:
    class Plain(Event):
        pass

    class Named(Event):
        type = "sensor.alarm"
        level: int

    assert (Plain.type, Plain().type) == ("Plain", "Plain")
    assert (Named.type, Named(level=1).type) == ("sensor.alarm", "sensor.alarm")
    assert json.loads(Named(level=1).model_dump_json()) == {"type": "sensor.alarm", "level": 1}


def test_an_event_cannot_be_changed(workspace: Workspace, shop: Ref, told: Told) -> None:
    workspace.execute("grow", shop=shop, n=4)

    with pytest.raises(ValidationError):
        told[0].at = datetime.now(UTC)  # type: ignore[attr-defined]  # noqa: TID251 - refused


def test_an_event_holds_ids_counts_times_and_texts_only(
    workspace: Workspace, shop: Ref, told: Told
) -> None:
    for name in ("move", "make", "take"):
        workspace.execute(name, shop=shop)

    for event in told:
        for value in vars(event).values():
            values = value if isinstance(value, tuple) else (value,)
            assert {type(each) for each in values} <= {
                *(str, int, float, UUID, datetime, type(None))
            }


# --- executions ---


def test_an_execution_is_started_and_completed_with_what_it_did(
    workspace: Workspace, shop: Ref, told: Told
) -> None:
    result = workspace.execute("move", shop=shop)

    record = workspace.executions()[-1]
    started, versioned, completed = told
    common: dict[str, Any] = {
        "execution_id": record.execution_id,
        "callable": "move",
        "parent_id": None,
        "root_id": record.execution_id,
    }
    at = datetime.fromtimestamp(NOW, UTC)
    assert started == ExecutionStarted(at=at, **common)
    assert versioned == EntityVersioned(
        at=at,
        **common,
        ecs_id=result.ecs_id,
        entity_type="Shop",
        version=2,
        previous_ecs_id=root_id(workspace, shop, 1),
        changed=3,  # the shop and two shelves
        created=1,
        removed=3,  # a shelf with two items
        moved=1,
    )
    assert isinstance(completed, ExecutionCompleted)
    assert completed.outputs == (result.ecs_id,)
    assert completed.semantic == "mutation"
    assert completed.changed == record.changed
    assert (completed.run_s, completed.commit_s) == (record.run_s, record.commit_s)
    assert completed.queued_s >= 0
    assert completed.at >= at
    assert completed.at.tzinfo is UTC


def test_an_execution_without_a_change_makes_no_version(
    workspace: Workspace, shop: Ref, told: Told
) -> None:
    workspace.execute("look", shop=shop)

    assert told.types == ["execution.started", "execution.completed"]


def test_a_failed_execution_is_told_with_its_error(
    workspace: Workspace, shop: Ref, told: Told
) -> None:
    with pytest.raises(ValueError, match="less"):
        workspace.execute("grow", shop=shop, n=-1)

    assert told.types == ["execution.started", "execution.failed"]
    [failed] = told.of(ExecutionFailed)
    assert (failed.error_type, failed.error) == ("ValueError", "-1 is less than 0")


def test_a_refused_execution_is_told_as_failed(workspace: Workspace, shop: Ref, told: Told) -> None:
    with pytest.raises(Exception, match="'n'"):
        workspace.execute("grow", shop=shop, n="many")

    assert told.types == ["execution.started", "execution.failed"]


def test_the_usual_path_and_the_general_one_tell_the_same(workspace: Workspace, shop: Ref) -> None:
    other = workspace.add(new_shop())
    told = Told()
    workspace.on(handler=told.append)

    workspace.execute("grow", shop=shop, n=4)
    asyncio.run(workspace.aexecute("grow", shop=other, n=4))

    def shape(events: list[Event]) -> list[Any]:
        hidden = {"execution_id", "root_id", "ecs_id", "previous_ecs_id", "at"}
        hidden |= {"queued_s", "run_s", "commit_s", "outputs"}
        return [event.model_dump(exclude=hidden) for event in events]

    assert shape(told[:3]) == shape(told[3:])


# --- entities ---


def test_an_added_root_is_registered(workspace: Workspace, told: Told) -> None:
    added = workspace.add(new_shop())
    owned = workspace.add_owned(new_shop())

    assert [event.ecs_id for event in told.of(EntityRegistered)] == [
        root_id(workspace, added, 1),
        root_id(workspace, owned, 1),
    ]
    assert told.types == ["entity.registered"] * 2
    assert {event.execution_id for event in told.of(EntityRegistered)} == {None}
    assert {event.entity_type for event in told.of(EntityRegistered)} == {"Shop"}


def test_a_root_is_registered_once(workspace: Workspace, told: Told) -> None:
    shop = new_shop()
    workspace.add(shop)
    workspace.add(shop)

    assert told.types == ["entity.registered"]


def test_a_created_entity_is_registered_by_its_execution(
    workspace: Workspace, shop: Ref, told: Told
) -> None:
    made = workspace.execute("make", shop=shop)

    [registered] = told.of(EntityRegistered)
    [completed] = told.of(ExecutionCompleted)
    assert registered.ecs_id == made.ecs_id
    assert registered.entity_type == "Item"
    assert registered.execution_id == completed.execution_id
    assert completed.semantic == "creation"


def test_an_orphan_argument_that_is_changed_is_promoted(workspace: Workspace, told: Told) -> None:
    orphan = new_shop()
    born = orphan.ecs_id
    workspace.execute("grow", shop=orphan, n=4)

    [promoted] = told.of(EntityPromoted)
    [versioned] = told.of(EntityVersioned)
    assert promoted.ecs_id == versioned.previous_ecs_id == born
    assert told.of(EntityRegistered) == []


def test_an_orphan_argument_that_stays_as_it_is_is_not_promoted(
    workspace: Workspace, told: Told
) -> None:
    workspace.execute("look", shop=new_shop())

    assert told.types == ["execution.started", "execution.completed"]


def test_a_detached_entity_is_told_with_its_old_and_its_new_id(
    workspace: Workspace, shop: Ref, told: Told
) -> None:
    old = workspace.snapshot(shop).shelves[-1].ecs_id
    shelf = workspace.execute("take", shop=shop)

    [detached] = told.of(EntityDetached)
    assert detached.ecs_id == shelf.ecs_id
    assert detached.previous_ecs_id in {old, None}
    assert detached.root_ecs_id == root_id(workspace, shop, 2)
    assert detached.entity_type == "Shelf"
    assert told.of(EntityRegistered) == []


def test_what_crosses_to_another_tree_is_detached_from_one_and_attached_to_the_other(
    workspace: Workspace, shop: Ref, told: Told
) -> None:
    other = workspace.add(new_shop())
    old = workspace.snapshot(shop).shelves[-1].ecs_id
    workspace.execute("cross", a=shop, b=other)
    new = workspace.snapshot(other).shelves[-1].ecs_id

    [detached] = told.of(EntityDetached)
    [attached] = told.of(EntityAttached)
    assert (detached.ecs_id, detached.previous_ecs_id) == (new, old)
    assert (attached.ecs_id, attached.previous_ecs_id) == (new, old)
    assert detached.root_ecs_id == root_id(workspace, shop, 2)
    assert attached.root_ecs_id == root_id(workspace, other, 2)
    assert len(told.of(EntityVersioned)) == 2


def test_a_fork_of_an_outdated_snapshot_has_a_version_on_its_branch(
    workspace: Workspace, shop: Ref, told: Told
) -> None:
    old = workspace.snapshot(shop)
    workspace.execute("grow", shop=shop, n=4)
    workspace.execute("grow", shop=old, n=5)

    first, second = told.of(EntityVersioned)
    assert first.version == second.version == 2
    assert first.previous_ecs_id == second.previous_ecs_id == old.ecs_id
    assert first.ecs_id != second.ecs_id


def test_a_borrowed_argument_is_told_with_its_source(
    workspace: Workspace, shop: Ref, told: Told
) -> None:
    source = workspace.snapshot(shop)
    workspace.execute("name_it", shop=shop, name=parse_address(f"@{source.ecs_id}.shelves.0.label"))

    [borrowed] = told.of(DataBorrowed)
    shelf = source.shelves[0]
    assert (borrowed.parameter, borrowed.ecs_id, borrowed.path) == ("name", shelf.ecs_id, ".label")


def test_edits_and_puts_are_executions_like_others(
    workspace: Workspace, shop: Ref, told: Told
) -> None:
    snapshot = workspace.snapshot(shop)
    snapshot.name = "edited"
    workspace.commit_edits(snapshot)
    workspace.put(f"@{shop.lineage_id}.name", "put")

    assert told.types == ["execution.started", "entity.versioned", "execution.completed"] * 2


# --- nested ones ---


@pytest.fixture
def outer(workspace: Workspace) -> Callable[..., Any]:
    """Register `outer`, which executes `grow` once for each number."""

    @workspace.register("outer")
    def outer(shop: Shop, numbers: list[int]) -> None:
        for n in numbers:
            workspace.execute("grow", shop=shop, n=n)

    return outer


@pytest.mark.usefixtures("outer")
def test_what_runs_inside_is_told_after_the_outermost_is_committed(
    workspace: Workspace, shop: Ref
) -> None:
    heads = []
    told = Told()
    workspace.on(handler=told.append)
    workspace.on(handler=lambda _: heads.append(workspace.head(shop)))

    workspace.execute("outer", shop=shop, numbers=[1, 2])

    assert heads == [1] + [2] * (len(heads) - 1)
    assert [event.callable for event in told.of(ExecutionStarted)] == ["outer", "grow", "grow"]
    assert [event.callable for event in told.of(ExecutionCompleted)] == ["grow", "grow", "outer"]
    outermost = told[0].execution_id  # type: ignore[attr-defined]
    assert {event.root_id for event in told.of(RegistryEvent)} == {outermost}


@pytest.mark.usefixtures("outer")
def test_what_runs_inside_names_what_it_ran_inside_of(workspace: Workspace, shop: Ref) -> None:
    told = Told()
    workspace.on(ExecutionCompleted, handler=told.append)

    workspace.execute("outer", shop=shop, numbers=[1])

    inner, outermost = told.of(ExecutionCompleted)
    assert (inner.parent_id, outermost.parent_id) == (outermost.execution_id, None)
    assert [each.event for each in workspace.events(types=[ExecutionCompleted])] == told


@pytest.mark.usefixtures("outer")
def test_what_is_taken_back_with_the_outermost_is_told_as_failed(
    workspace: Workspace, shop: Ref, told: Told
) -> None:
    with pytest.raises(ValueError, match="less"):
        workspace.execute("outer", shop=shop, numbers=[1, -1])

    assert len(told.of(ExecutionFailed)) == 3
    assert told.of(EntityVersioned) == []


# --- the feed ---


def run_at_random(workspace: Workspace, seed: int) -> None:
    """Do fifty things to three shops, as users do, among them some that fail."""
    chance = random.Random(seed)
    shops = [workspace.add(new_shop()) for _ in range(3)]
    stale = [workspace.snapshot(each) for each in shops]
    for _ in range(50):
        a, b = chance.sample(shops, 2)
        what = chance.choice(["grow", "look", "make", "take", "cross", "move", "stale", "new"])
        try:
            if what == "cross":
                workspace.execute("cross", a=a, b=b)
            elif what == "stale":
                workspace.execute("grow", shop=chance.choice(stale), n=3)
            elif what == "new":
                workspace.execute("grow", shop=new_shop(), n=chance.randint(-1, 1))
            elif what == "grow":
                workspace.execute("grow", shop=a, n=chance.randint(-1, 3))
            else:
                workspace.execute(what, shop=a)
        except (ValueError, IndexError):
            pass


def in_order(events: list[Any]) -> list[Any]:
    """Return events in one order: `started` is told before what the record tells."""
    return [each for each in events if not isinstance(each, ExecutionStarted)]


@pytest.mark.parametrize("seed", range(8))
def test_who_reads_later_is_told_what_those_who_listened_were_told(
    workspace: Workspace, seed: int
) -> None:
    told = Told()
    workspace.on(handler=told.append)

    run_at_random(workspace, seed)

    later = [each.event for each in workspace.events()]
    assert in_order(later) == in_order(told)
    assert [each for each in later if isinstance(each, ExecutionStarted)] == told.of(
        ExecutionStarted
    )
    assert len(told.of(ExecutionStarted)) == len(told.of(ExecutionEnded))


@pytest.mark.parametrize("limit", [1, 2, 7])
@pytest.mark.parametrize("types", [(), (ExecutionEnded,), ("entity.versioned",)])
def test_reading_on_from_a_cursor_misses_nothing_and_repeats_nothing(
    workspace: Workspace, limit: int, types: tuple[Any, ...]
) -> None:
    run_at_random(workspace, 0)
    found, cursor = [], None

    while batch := list(workspace.events(cursor, types, limit=limit)):
        assert len(batch) <= limit
        found += [each.event for each in batch]
        assert all(a.cursor < b.cursor for a, b in itertools.pairwise(batch))
        cursor = batch[-1].cursor

    assert found == [each.event for each in workspace.events(types=types)]
    assert found


def test_the_feed_goes_on_where_it_ended(workspace: Workspace, shop: Ref) -> None:
    assert [each.event.type for each in workspace.events()] == ["entity.registered"]
    cursor = workspace.event_cursor()
    assert list(workspace.events(cursor)) == []

    workspace.execute("grow", shop=shop, n=4)

    assert [each.event.type for each in workspace.events(cursor, pattern="e*ed")] == [
        *("execution.started", "entity.versioned", "execution.completed")
    ]


def test_a_cursor_may_travel_as_json(workspace: Workspace, shop: Ref) -> None:
    workspace.execute("grow", shop=shop, n=4)
    [first, *others] = workspace.events()

    cursor = Cursor(*json.loads(json.dumps(first.cursor)))

    assert list(workspace.events(cursor)) == others


def small(records: int) -> tuple[Workspace, Ref]:
    workspace = Workspace(retention=Retention(records=records))
    workspace.register("grow")(grow)
    return workspace, workspace.add(new_shop())


def test_a_cursor_survives_what_retention_drops() -> None:
    workspace, shop = small(records=10)
    for n in range(30):
        workspace.execute("grow", shop=shop, n=n)
    cursor = workspace.event_cursor()

    for n in range(9):
        workspace.execute("grow", shop=shop, n=n)

    versions = [each.event.version for each in workspace.events(cursor, [EntityVersioned])]  # type: ignore[attr-defined]
    assert versions == list(range(32, 41))


def test_a_cursor_whose_next_event_is_dropped_is_refused() -> None:
    workspace, shop = small(records=10)
    cursor = workspace.event_cursor()
    for n in range(12):
        workspace.execute("grow", shop=shop, n=n)

    with pytest.raises(CursorError) as caught:
        workspace.events(cursor)

    assert (caught.value.cursor, caught.value.oldest, caught.value.newest) == ((1, 0), 3, 13)
    assert len(list(workspace.events(types=["entity.versioned"]))) == 10


def test_a_cursor_of_another_workspace_is_refused(workspace: Workspace) -> None:
    with pytest.raises(CursorError):
        workspace.events(Cursor(1, 0))
    with pytest.raises(CursorError):
        workspace.events(Cursor(0, -1))


def test_types_that_are_none_are_refused(workspace: Workspace) -> None:
    with pytest.raises(EventError) as caught:
        workspace.events(types=[Entity])  # type: ignore[list-item]

    assert caught.value.given == repr(Entity)


def test_counts_are_none_when_the_version_is_gone() -> None:
    workspace = Workspace(retention=Retention(versions=1))
    workspace.register("make_way")(make_way)
    shop = workspace.add(new_shop())
    workspace.execute("make_way", shop=shop)
    assert next(workspace.events(types=[EntityVersioned])).event.removed == 3  # type: ignore[attr-defined]
    for _ in range(200):
        workspace.execute("make_way", shop=shop)

    first = next(workspace.events(types=[EntityVersioned])).event

    assert isinstance(first, EntityVersioned)
    assert first.version == 2
    assert (first.changed, first.created, first.removed, first.moved) == (None,) * 4


def test_adoptions_are_no_records(workspace: Workspace) -> None:
    workspace.add(new_shop())

    assert workspace.executions() == []
    assert len(workspace.records) == 0


def test_what_happened_to_a_tree_that_was_dropped_is_still_told(
    workspace: Workspace, shop: Ref
) -> None:
    workspace.execute("grow", shop=shop, n=4)
    workspace.execute("take", shop=shop)
    before = [each.event.type for each in workspace.events()]

    workspace.drop(shop)

    assert [each.event.type for each in workspace.events()] == before
    assert {each.event.entity_type for each in workspace.events(types=[EntityVersioned])} == {""}  # type: ignore[attr-defined]
