"""The invariants of the design, one by one, each at its sharpest small case.

`test_histories.py` holds invariants 1 to 6 over random histories; the cases here say what is meant.
"""

# ruff: noqa: RUF012 - pydantic copies mutable defaults
# Cases are written as expressions; a lambda's defaults, which bind a loop's values, have no hints.
# mypy: disable-error-code="func-returns-value, var-annotated, misc, operator"
from __future__ import annotations

import asyncio
import contextlib
import copy
import datetime as dt
import enum
import gc
import statistics
import sys
import tracemalloc
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import Entity, Ref, Workspace
from registry.errors import StructureError, WriteError
from tests.model import entity_trees, plain_trees
from tests.model.conftest import histories
from tests.model.forms import read
from tests.model.values import Point


class Agent(Entity):
    """Moves about."""

    name: str = ""
    speed: int = 1


class Place(Entity):
    """Holds agents."""

    position: tuple[int, int] = (0, 0)
    agents: list[Agent] = []


class GridMap(Entity):
    """The seed's worked example."""

    nodes: list[Place] = []


class Shade(enum.IntEnum):
    """Equal to its number."""

    LIGHT = 1


class Word(str):
    """A string of another type."""

    __slots__ = ()


CET = dt.timezone(dt.timedelta(hours=1))
LEFT: dict[str, Any] = {}


def move_agent_global(
    gridmap: GridMap, source_index: int, agent_name: str, target_index: int
) -> GridMap:
    """Move one agent, found by name, between two places."""
    source = gridmap.nodes[source_index]
    agent = next(a for a in source.agents if a.name == agent_name)
    source.agents.remove(agent)
    gridmap.nodes[target_index].agents.append(agent)
    return gridmap


def rotate(gridmap: GridMap, source_index: int, target_index: int) -> None:
    """Move the first agent of one place; the same steps whatever the size."""
    agent = gridmap.nodes[source_index].agents.pop(0)
    gridmap.nodes[target_index].agents.append(agent)


def rename(gridmap: GridMap, index: int, name: str) -> None:
    """Change one field of one entity."""
    gridmap.nodes[index].agents[0].name = name


def fail_half_way(gridmap: GridMap) -> None:
    """Change much, then raise."""
    gridmap.nodes[0].agents.clear()
    gridmap.nodes.reverse()
    gridmap.nodes[0].agents[0].name = "half"
    gridmap.nodes.append(Place())
    raise KeyError("half way")


def leave(gridmap: GridMap) -> None:
    """Keep references to the live objects."""
    LEFT["grid"] = gridmap
    LEFT["nodes"] = gridmap.nodes
    LEFT["agent"] = gridmap.nodes[0].agents[0]


def nothing(gridmap: GridMap) -> GridMap:
    """Write what is there already."""
    gridmap.nodes = gridmap.nodes
    gridmap.nodes[0].position = (0, 0)
    gridmap.nodes[0].agents.reverse()
    gridmap.nodes[0].agents.reverse()
    return gridmap


def new_grid(places: int, agents: int) -> GridMap:
    """Build a grid: 1 + places + places * agents entities."""
    return GridMap(
        nodes=[
            Place(position=(i, i), agents=[Agent(name=f"a{i}.{j}") for j in range(agents)])
            for i in range(places)
        ],
    )


@pytest.fixture
def workspace() -> Workspace:
    """A workspace that knows the functions above."""
    workspace = Workspace()
    for function in (move_agent_global, rotate, rename, fail_half_way, leave, nothing):
        workspace.register(function.__name__)(function)
    return workspace


@pytest.fixture
def grid(workspace: Workspace) -> Ref:
    """A grid of 3 places with 3 agents each."""
    return workspace.add(new_grid(3, 3))


# --- 1: isolation ------------------------------------------------------------------------------


def test_invariant_1_isolation_nobody_outside_sees_work_before_commit(
    workspace: Workspace, grid: Ref
) -> None:
    """A snapshot read while an execution is open shows the version before it."""
    seen: list[str] = []

    def peek(gridmap: GridMap) -> None:
        gridmap.nodes[0].agents[0].name = "unfinished"
        seen.append(workspace.snapshot(grid).nodes[0].agents[0].name)

    workspace.register("peek")(peek)

    workspace.execute("peek", gridmap=grid)

    assert seen == ["a0.0"]
    assert workspace.snapshot(grid).nodes[0].agents[0].name == "unfinished"


def test_invariant_1_isolation_async_executions_on_other_trees_see_nothing(
    workspace: Workspace,
) -> None:
    """Executions on two trees interleave; each sees its own tree's work only."""
    first, second = workspace.add(new_grid(1, 1)), workspace.add(new_grid(1, 1))
    log: list[str] = []

    async def slow(gridmap: GridMap, name: str) -> None:
        gridmap.nodes[0].agents[0].name = name
        for _ in range(3):
            await asyncio.sleep(0)
            log.append(workspace.snapshot(first).nodes[0].agents[0].name)
            gridmap.nodes[0].agents[0].name += name

    workspace.register("slow")(slow)

    async def both() -> None:
        await asyncio.gather(
            workspace.aexecute("slow", gridmap=first, name="x"),
            workspace.aexecute("slow", gridmap=second, name="y"),
        )

    asyncio.run(both())

    assert set(log[:5]) == {"a0.0"}
    assert workspace.snapshot(first).nodes[0].agents[0].name == "xxxx"
    assert workspace.snapshot(second).nodes[0].agents[0].name == "yyyy"
    assert workspace.head(first) == workspace.head(second) == 2


def test_invariant_1_isolation_snapshots_never_change_under_their_holder(
    workspace: Workspace, grid: Ref
) -> None:
    """A snapshot, loaded or not, goes on showing its version after commits."""
    loaded, partly, unread = (workspace.snapshot(grid) for _ in range(3))
    before = loaded.model_dump()
    _ = partly.nodes[0].agents

    workspace.execute("rotate", gridmap=grid, source_index=0, target_index=1)
    workspace.execute("rename", gridmap=grid, index=0, name="later")

    assert loaded.model_dump() == partly.model_dump() == unread.model_dump() == before


# --- 2: atomicity ------------------------------------------------------------------------------


def test_invariant_2_atomicity_a_failed_execution_leaves_the_very_same_working_tree(
    workspace: Workspace, grid: Ref
) -> None:
    """Same values, ids, version and live objects; one failed record."""
    workspace.execute("leave", gridmap=grid)
    before = [LEFT["grid"], *LEFT["grid"].nodes, *(a for n in LEFT["grid"].nodes for a in n.agents)]
    dump = workspace.snapshot(grid).model_dump(context={"identity": True})
    records = len(workspace.executions())

    with pytest.raises(KeyError, match="half way"):
        workspace.execute("fail_half_way", gridmap=grid)

    assert workspace.head(grid) == 1
    assert len(workspace.history(grid)) == 1
    assert workspace.snapshot(grid).model_dump(context={"identity": True}) == dump
    assert len(workspace.executions()) == records + 1
    assert [r.status for r in workspace.executions(name="fail_half_way")] == ["failed"]
    workspace.execute("leave", gridmap=grid)
    after = [LEFT["grid"], *LEFT["grid"].nodes, *(a for n in LEFT["grid"].nodes for a in n.agents)]
    assert len(after) == len(before)
    assert all(one is other for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, RecursionError])
def test_invariant_2_atomicity_holds_for_every_kind_of_exception(
    workspace: Workspace, grid: Ref, error: type[BaseException]
) -> None:
    """An interrupt rolls back as an error does."""

    def interrupted(gridmap: GridMap) -> None:
        gridmap.nodes.clear()
        raise error

    workspace.register("interrupted")(interrupted)

    with pytest.raises(error):
        workspace.execute("interrupted", gridmap=grid)

    assert workspace.head(grid) == 1
    assert len(workspace.snapshot(grid).nodes) == 3
    workspace.execute("rename", gridmap=grid, index=0, name="works")
    assert workspace.snapshot(grid).nodes[0].agents[0].name == "works"


def test_invariant_2_atomicity_of_what_is_found_wrong_at_commit(
    workspace: Workspace, grid: Ref
) -> None:
    """A tree that is no tree any more is refused as a whole."""

    def share(gridmap: GridMap) -> None:
        gridmap.nodes[2].position = (9, 9)
        gridmap.nodes[0].agents.append(gridmap.nodes[1].agents[0])

    workspace.register("share")(share)
    before = workspace.snapshot(grid).model_dump(context={"identity": True})

    with pytest.raises(StructureError) as caught:
        workspace.execute("share", gridmap=grid)

    assert "nodes[1].agents[0]" in str(caught.value)
    assert "nodes[0].agents[3]" in str(caught.value)
    assert workspace.head(grid) == 1
    assert workspace.snapshot(grid).model_dump(context={"identity": True}) == before


def test_invariant_2_atomicity_ids_of_the_next_version_do_not_show_the_failure(
    workspace: Workspace, grid: Ref
) -> None:
    """Versions are dense: a failure takes no number."""
    with pytest.raises(KeyError):
        workspace.execute("fail_half_way", gridmap=grid)
    workspace.execute("rename", gridmap=grid, index=0, name="next")

    assert [info.version for info in workspace.history(grid)] == [1, 2]


# --- 3: history is immutable -------------------------------------------------------------------


def test_invariant_3_history_is_immutable_whatever_is_done_with_given_objects(
    workspace: Workspace, grid: Ref
) -> None:
    """Edited snapshots, kept live objects and results leave every version as it was."""
    versions = [workspace.snapshot(grid).model_dump()]
    for turn in range(4):
        result = workspace.execute(
            "move_agent_global",
            gridmap=grid,
            source_index=0 if turn % 2 == 0 else 1,
            agent_name="a0.0",
            target_index=1 if turn % 2 == 0 else 0,
        )
        versions.append(result.model_dump())
        result.nodes[0].agents.clear()
        result.nodes.append(Place())

    workspace.execute("leave", gridmap=grid)
    for write in (
        lambda: LEFT["nodes"].clear(),
        lambda: setattr(LEFT["agent"], "name", "ghost"),
        lambda: setattr(LEFT["grid"], "nodes", []),
    ):
        with pytest.raises(WriteError):
            write()
    for version in range(1, 6):
        old = workspace.snapshot(grid, version)
        old.nodes[0].agents.append(Agent(name="scribble"))
        old.nodes[1].position = (7, 7)

    assert [workspace.snapshot(grid, v).model_dump() for v in range(1, 6)] == versions


def test_invariant_3_history_keeps_the_original_of_what_was_added(workspace: Workspace) -> None:
    """Containers and opaque values of an adopted entity are the engine's own copies."""
    array, point, numbers = np.arange(3), Point(x=1, trail=[1]), [1, 2]
    mine = entity_trees.Node(
        tag=0, array=array, point=point, numbers=numbers, anything={"k": [point, numbers]}
    )
    ref = workspace.add(mine)
    before = read(workspace.snapshot(ref)).form

    array[0] = 99
    point.x = 99
    point.trail.append(99)
    numbers.append(99)
    mine.numbers.append(98)
    mine.point.x = 98

    assert read(workspace.snapshot(ref)).form == before


# --- 4: minimal versions -----------------------------------------------------------------------


def _ids(snapshot: Any) -> dict[str, Any]:
    found = {"root": snapshot.ecs_id}
    for number, place in enumerate(snapshot.nodes):
        found[f"place{number}"] = place.ecs_id
        found.update({agent.name: agent.ecs_id for agent in place.agents})
    return found


def test_invariant_4_minimal_versions_rename_the_changed_entities_and_their_ancestors(
    workspace: Workspace, grid: Ref
) -> None:
    """A move renames two places and the root; the agent keeps its id."""
    before = _ids(workspace.snapshot(grid))

    receipt = workspace.run("rotate", {"gridmap": grid, "source_index": 0, "target_index": 1})

    after = _ids(workspace.snapshot(grid))
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"root", "place0", "place1"}
    assert receipt.changed == 3
    assert receipt.version == 2


def test_invariant_4_minimal_versions_no_change_no_version_same_ids(
    workspace: Workspace, grid: Ref
) -> None:
    """Writing what is there makes nothing new, and the result has the old ids."""
    before = _ids(workspace.snapshot(grid))

    result = workspace.execute("nothing", gridmap=grid)

    assert workspace.head(grid) == 1
    assert _ids(result) == before
    assert result == workspace.snapshot(grid)
    assert workspace.run("nothing", {"gridmap": grid}).changed == 0


def test_invariant_4_minimal_versions_of_a_deep_change(workspace: Workspace) -> None:
    """A change 300 levels down renames the path to it and nothing beside."""
    deepest = entity_trees.Node(tag=300)
    tree = deepest
    for tag in range(299, -1, -1):
        tree = entity_trees.Node(tag=tag, kids=[tree], child=entity_trees.Node(tag=1000 + tag))
    ref = workspace.add(tree)

    def change(root: entity_trees.Node) -> None:
        here = root
        while here.kids:
            here = here.kids[0]
        here.number = 1

    workspace.register("change")(change)
    receipt = workspace.run("change", {"root": ref})

    assert receipt.changed == 301


# --- 5: nothing silently lost ------------------------------------------------------------------

CHANGES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], bool]]] = {
    "a field": (lambda n: setattr(n, "number", 5), lambda n: n.number == 5),
    "a plain list after its assignment": (
        lambda n: (setattr(n, "numbers", mine := [1]), mine.append(2)),
        lambda n: n.numbers == [1, 2],
    ),
    "a plain dict after it was nested": (
        lambda n: (n.rows.append(row := {}), row.update(k=entity_trees.Node(tag=50))),
        lambda n: n.rows[0]["k"].tag == 50,
    ),
    "a nested list": (lambda n: n.matrix[0].append(7), lambda n: n.matrix == [[1, 7], [2]]),
    "a list in an Any": (lambda n: n.anything["k"].append(7), lambda n: n.anything["k"][-1] == 7),
    "an opaque value": (lambda n: setattr(n.point, "x", 7), lambda n: n.point.x == 7),
    "inside an opaque value": (lambda n: n.point.trail.append(7), lambda n: n.point.trail == [7]),
    "an array": (lambda n: n.array.__setitem__(0, 7), lambda n: n.array[0] == 7),
    "an opaque value in a list": (
        lambda n: setattr(n.points[1], "x", 7),
        lambda n: n.points[1].x == 7,
    ),
    "an opaque value met by iteration": (
        lambda n: [setattr(p, "x", 7) for p in n.points],
        lambda n: [p.x for p in n.points] == [7, 7],
    ),
    "an opaque value in an Any": (
        lambda n: setattr(n.anything["p"], "x", 7),
        lambda n: n.anything["p"].x == 7,
    ),
    "an opaque value through iteration over the model": (
        lambda n: setattr(dict(n)["point"], "x", 7),
        lambda n: n.point.x == 7,
    ),
    "an opaque value through vars": (
        lambda n: setattr(vars(n)["point"], "x", 7),
        lambda n: n.point.x == 7,
    ),
    "an opaque value through a copy of its list": (
        lambda n: setattr(n.points[:][0], "x", 7),
        lambda n: n.points[0].x == 7,
    ),
    "1 for True": (lambda n: setattr(n, "flag", 1), lambda n: type(n.flag) is int),
    "the order of a dict": (
        lambda n: n.table.__setitem__("a", n.table.pop("a")),
        lambda n: list(n.table) == ["b", "a"],
    ),
    "the order of a list": (
        lambda n: n.kids.reverse(),
        lambda n: [k.tag for k in n.kids] == [2, 1],
    ),
    "a child of a child": (
        lambda n: setattr(n.kids[1].child, "number", 7),
        lambda n: n.kids[1].child.number == 7,
    ),
    "a new child after it was put in": (
        lambda n: (n.kids.append(k := entity_trees.Node(tag=9)), setattr(k, "number", 7)),
        lambda n: n.kids[2].number == 7,
    ),
    "children put into a new child later": (
        lambda n: (
            n.kids.append(k := entity_trees.Node(tag=9)),
            k.kids.append(m := entity_trees.Node(tag=10)),
            m.numbers.append(7),
        ),
        lambda n: n.kids[2].kids[0].numbers == [7],
    ),
    "a member of a set": (
        lambda n: n.group.add(entity_trees.Node(tag=9)),
        lambda n: {m.tag for m in n.group} == {3, 9},
    ),
    "a change to a removed and reinserted child": (
        lambda n: (k := n.kids.pop(), setattr(k, "number", 7), n.kids.insert(0, k)),
        lambda n: [(k.tag, k.number) for k in n.kids] == [(2, 7), (1, 0)],
    ),
    "a change to a child before it moves": (
        lambda n: (k := n.kids[0], k.numbers.append(7), n.kids.remove(k), n.named.update(z=k)),
        lambda n: n.named["z"].numbers == [7],
    ),
    "a change to a child after it moved": (
        lambda n: (k := n.kids.pop(0), n.named.update(z=k), k.numbers.append(7)),
        lambda n: n.named["z"].numbers == [7],
    ),
    "setattr past the class": (
        lambda n: n.__setattr__("text", "t"),
        lambda n: n.text == "t",
    ),
    "2 for 2.0": (
        lambda n: setattr(n, "ratio", 2),
        lambda n: n.ratio == 2 and type(n.ratio) is int,
    ),
}


@pytest.fixture
def rich(workspace: Workspace) -> Ref:
    """A tree with something of every kind, not loaded by anybody."""
    return workspace.add(
        entity_trees.Node(
            tag=0,
            flag=True,
            ratio=2.0,
            numbers=[3],
            table={"a": 1, "b": 2},
            matrix=[[1], [2]],
            kids=[
                entity_trees.Node(tag=1),
                entity_trees.Node(tag=2, child=entity_trees.Node(tag=4)),
            ],
            group={entity_trees.Node(tag=3)},
            points=[Point(x=1), Point(x=2)],
            anything={"k": [1], "p": Point()},
        ),
    )


@pytest.mark.parametrize("returns", ["None", "the root"])
@pytest.mark.parametrize("what", CHANGES)
def test_invariant_5_nothing_silently_lost(
    workspace: Workspace, rich: Ref, what: str, returns: str
) -> None:
    """Every change is committed, whatever the function returns; the next execution sees it."""
    change, holds = CHANGES[what]
    seen: list[bool] = []

    def act(root: entity_trees.Node) -> Any:
        change(root)
        return None if returns == "None" else root

    def check(root: entity_trees.Node) -> None:
        seen.append(bool(holds(root)))

    workspace.register("act")(act)
    workspace.register("check")(check)
    before = read(workspace.snapshot(rich)).form

    workspace.execute("act", root=rich)
    workspace.execute("check", root=rich)

    assert workspace.head(rich) == 2
    assert holds(workspace.snapshot(rich))
    assert seen == [True]
    assert read(workspace.snapshot(rich, 1)).form == before


@pytest.mark.parametrize("what", CHANGES)
def test_invariant_2_atomicity_of_each_kind_of_change(
    workspace: Workspace, rich: Ref, what: str
) -> None:
    """The same changes, followed by an exception: the next execution sees nothing of them."""
    change, _ = CHANGES[what]
    seen: list[Any] = []

    def act(root: entity_trees.Node) -> None:
        change(root)
        raise KeyError

    def check(root: entity_trees.Node) -> None:
        seen.append(read(root).form)

    workspace.register("act")(act)
    workspace.register("check")(check)
    before = read(workspace.snapshot(rich)).form

    with pytest.raises(KeyError):
        workspace.execute("act", root=rich)
    workspace.execute("check", root=rich)

    assert seen == [before]
    assert read(workspace.snapshot(rich)).form == before
    assert workspace.head(rich) == 1


@pytest.mark.parametrize("what", CHANGES)
def test_edits_of_a_snapshot_are_committed_when_it_is_passed(
    workspace: Workspace, rich: Ref, what: str
) -> None:
    """The same changes, made by the holder of a snapshot."""
    change, holds = CHANGES[what]
    workspace.register("check")(_holds)
    snapshot = workspace.snapshot(rich)

    change(snapshot)
    assert holds(snapshot)
    assert workspace.head(rich) == 1
    LEFT["holds"] = holds
    workspace.execute("check", root=snapshot)

    assert LEFT["held"]
    assert workspace.head(rich) == 2
    assert holds(workspace.snapshot(rich))


def _holds(root: entity_trees.Node) -> None:
    LEFT["held"] = LEFT["holds"](root)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (0.0, -0.0),
        (Decimal("1.0"), Decimal("1.00")),
        (dt.datetime(2013, 1, 1, tzinfo=dt.UTC), dt.datetime(2013, 1, 1, 1, tzinfo=CET)),
        ((1, (2, 0.0)), (1, (2, -0.0))),
        ((1, (2, True)), (1, (2, 1))),
        (frozenset({1}), frozenset({True})),
        (range(0), range(1, 1)),
        (Shade.LIGHT, 1),
        ("1", Word("1")),
    ],
    ids=repr,
)
def test_invariant_5_a_value_that_compares_equal_but_reads_differently_is_a_change(
    workspace: Workspace, old: Any, new: Any
) -> None:
    """What the function wrote is what is read later, whatever `==` says."""
    ref = workspace.add(entity_trees.Node(tag=0, flag=old, anything=[old]))

    def write(root: entity_trees.Node) -> None:
        root.flag = new
        root.anything[0] = new

    workspace.register("write")(write)
    workspace.execute("write", root=ref)

    snapshot = workspace.snapshot(ref)
    assert (repr(snapshot.flag), type(snapshot.flag)) == (repr(new), type(new))
    assert (repr(snapshot.anything[0]), type(snapshot.anything[0])) == (repr(new), type(new))
    assert repr(workspace.snapshot(ref, 1).flag) == repr(old)


def test_invariant_5_changes_to_every_input_are_committed(workspace: Workspace) -> None:
    """Two trees given, one returned: both are changed."""
    first, second = workspace.add(new_grid(1, 1)), workspace.add(new_grid(1, 1))

    def both(one: GridMap, two: GridMap) -> GridMap:
        one.nodes[0].position = (1, 1)
        two.nodes[0].position = (2, 2)
        return one

    workspace.register("both")(both)
    workspace.execute("both", one=first, two=second)

    assert workspace.snapshot(first).nodes[0].position == (1, 1)
    assert workspace.snapshot(second).nodes[0].position == (2, 2)


def test_invariant_5_a_change_that_cannot_be_committed_is_an_error(
    workspace: Workspace, rich: Ref
) -> None:
    """An entity inside an opaque value would be lost: refused, with its path."""

    def hide(root: entity_trees.Node) -> None:
        root.anything = Point(x=entity_trees.Node(tag=77))  # type: ignore[arg-type]

    workspace.register("hide")(hide)

    with pytest.raises(StructureError, match="anything"):
        workspace.execute("hide", root=rich)
    assert workspace.head(rich) == 1


# --- 6: serial per root ------------------------------------------------------------------------


@histories(0.05)
@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "multiply", "push", "pop"]), st.integers(0, 9)),
        max_size=20,
    )
)
def test_invariant_6_serial_per_root_history_equals_plain_python(
    calls: list[tuple[str, int]],
) -> None:
    """The versions of a batch are the states of plain Python run serially, failures left out."""
    workspace = Workspace()
    for name, function in STEPS.items():
        workspace.register(name)(function)
    ref = workspace.add(entity_trees.Node(tag=0, number=1))
    plain = plain_trees.Node(tag=0, number=1)
    expected = [read(plain).form]
    failures = []
    for index, (name, n) in enumerate(calls):
        kept = copy.deepcopy(plain)
        try:
            STEPS[name](plain, n)
        except IndexError:
            plain = kept
            failures.append(index)
        if read(plain).form != expected[-1]:
            expected.append(read(plain).form)

    results = workspace.execute_batch([(name, {"root": ref, "n": n}) for name, n in calls])

    assert [i for i, r in enumerate(results) if isinstance(r, Exception)] == failures
    found = [read(workspace.snapshot(ref, i.version)).form for i in workspace.history(ref)]
    assert found == expected


def add(root: entity_trees.Node, n: int) -> None:
    """Add."""
    root.number += n


def multiply(root: entity_trees.Node, n: int) -> None:
    """Multiply."""
    root.number *= n


def push(root: entity_trees.Node, n: int) -> None:
    """Append."""
    root.numbers.append(n + root.number)


def pop(root: entity_trees.Node, n: int) -> None:
    """Remove; fails if there is nothing."""
    root.number = root.numbers.pop()


STEPS: dict[str, Callable[..., None]] = {
    "add": add, "multiply": multiply, "push": push, "pop": pop,
}  # fmt: skip


def test_invariant_6_serial_per_root_a_thousand_concurrent_increments(workspace: Workspace) -> None:
    """1,000 times +1 through a ref give 1,000, also when an async function yields half way."""
    ref = workspace.add(entity_trees.Node(tag=0))

    async def increment(root: entity_trees.Node) -> None:
        number = root.number
        await asyncio.sleep(0)
        root.number = number + 1

    workspace.register("increment")(increment)

    async def crowd() -> None:
        await asyncio.gather(*(workspace.aexecute("increment", root=ref) for _ in range(1000)))

    asyncio.run(crowd())

    assert workspace.snapshot(ref).number == 1000
    assert workspace.head(ref) == 1001


# --- 7: cost follows the change ----------------------------------------------------------------


def _calls(function: Callable[[], Any]) -> int:
    """Count every Python and C call that *function* makes."""
    count = 0

    def profile(frame: Any, event: str, arg: Any) -> None:
        nonlocal count
        if event in {"call", "c_call"}:
            count += 1

    gc.disable()
    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


def _turn(workspace: Workspace, ref: Ref, places: int, turn: int) -> None:
    """Execute number *turn* of a series that keeps 10 or 11 agents at each of two places."""
    source, target = (places - 1, 0) if turn % 2 == 0 else (0, places - 1)
    workspace.run("rotate", {"gridmap": ref, "source_index": source, "target_index": target})


def test_invariant_7_cost_follows_the_change_calls_do_not_grow_with_the_tree(
    workspace: Workspace,
) -> None:
    """The same execution makes the same number of calls in trees of 111 and of 11,001 entities."""
    counts = {}
    for places in (10, 1000):
        ref = workspace.add(new_grid(places, 10))
        for turn in range(4):
            _turn(workspace, ref, places, turn)
        counts[places] = [
            _calls(lambda t=turn, r=ref, p=places: _turn(workspace, r, p, t)) for turn in range(40)
        ]

    assert statistics.median(counts[10]) == statistics.median(counts[1000])
    assert abs(sum(counts[10]) - sum(counts[1000])) <= 0.05 * sum(counts[10])


def test_invariant_7_cost_follows_the_change_calls_do_not_grow_with_the_list(
    workspace: Workspace,
) -> None:
    """Appending to and popping from a list of 10,000 costs the calls of a list of 10."""
    counts = {}
    for agents in (10, 10_000):
        ref = workspace.add(new_grid(2, agents))
        for turn in range(4):
            _turn(workspace, ref, 2, turn)
        counts[agents] = [
            _calls(lambda t=turn, r=ref: _turn(workspace, r, 2, t)) for turn in range(40)
        ]

    assert statistics.median(counts[10]) == statistics.median(counts[10_000])


def test_invariant_7_cost_follows_the_change_calls_do_not_grow_with_history(
    workspace: Workspace, grid: Ref
) -> None:
    """Execution 2,000 makes the calls of execution 20."""
    early = [_calls(lambda t=turn: _turn(workspace, grid, 3, t)) for turn in range(4, 44)]
    for turn in range(44, 2000):
        _turn(workspace, grid, 3, turn)
    late = [_calls(lambda t=turn: _turn(workspace, grid, 3, t)) for turn in range(2000, 2040)]

    assert statistics.median(late) == statistics.median(early)
    assert sum(late) <= 1.2 * sum(early)


def test_invariant_7_cost_follows_the_change_a_failure_is_as_cheap(workspace: Workspace) -> None:
    """Rolling one change back does not read the tree."""

    def fail(gridmap: GridMap) -> None:
        gridmap.nodes[0].agents[0].name = "x"
        raise KeyError

    workspace.register("fail")(fail)
    counts = {}

    def attempt(ref: Ref) -> None:
        with contextlib.suppress(KeyError):
            workspace.run("fail", {"gridmap": ref})

    for places in (10, 1000):
        ref = workspace.add(new_grid(places, 10))
        attempt(ref)
        counts[places] = _calls(lambda r=ref: attempt(r))

    assert counts[10] == counts[1000]


@pytest.mark.parametrize("action", ["rotate", "rename"])
def test_invariant_7_cost_follows_the_change_memory_per_version_is_flat(
    workspace: Workspace, action: str
) -> None:
    """A version keeps at most 1 KB, in a tree of 111 entities as in one of 10,101."""
    kept = {}
    for places, agents in ((10, 10), (100, 100)):
        ref = workspace.add(new_grid(places, agents))
        run_one = {
            "rotate": lambda t, r=ref, p=places: _turn(workspace, r, p, t),
            "rename": lambda t, r=ref: workspace.run(
                "rename", {"gridmap": r, "index": t % 10, "name": f"n{t % 7}"}
            ),
        }[action]
        for turn in range(200):
            run_one(turn)
        gc.collect()
        tracemalloc.start()
        for turn in range(1000):
            run_one(turn)
        gc.collect()
        kept[places] = tracemalloc.get_traced_memory()[0] / 1000
        tracemalloc.stop()

    # tracemalloc sees the execution records too; they are part of what a version keeps.
    assert max(kept.values()) <= 1024, kept
    assert kept[100] <= 1.3 * kept[10] + 64, kept


def test_invariant_7_cost_follows_the_change_reading_one_entity_of_a_snapshot(
    workspace: Workspace,
) -> None:
    """A snapshot of a large tree loads what is read of it."""
    counts = {}
    for places in (10, 1000):
        ref = workspace.add(new_grid(places, 10))
        _turn(workspace, ref, places, 0)
        counts[places] = _calls(lambda r=ref: workspace.snapshot(r).nodes[3].position)

    # The list of places itself is materialised; a place costs a fraction of reading it.
    assert counts[1000] <= counts[10] + 10 * 1000


def test_invariant_7_cost_follows_the_change_fork(workspace: Workspace) -> None:
    """A fork copies nothing."""
    counts = {}
    for places in (10, 1000):
        ref = workspace.add(new_grid(places, 10))
        counts[places] = _calls(lambda r=ref: workspace.fork(r))

    assert counts[10] == counts[1000]
