"""Section 8 of docs/behaviour.md: what the seed design asked for, counted rather than timed.

The call forms are those of its own text, which named what cost 39 ms of each execution: P0 to P5,
and S3. Each test here names the one that it shows to be gone.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

import pytest

from examples import gridmap as example
from examples.gridmap import Agent, GridMap, Node, make_grid
from registry import (
    CallableRegistry,
    ConfigEntity,
    Entity,
    EntityRegistry,
    EntityTree,
    EntityTreeView,
    EntityVersioned,
    Event,
    FunctionMetadata,
    ReadOnlyViewError,
    ReturnError,
    Workspace,
    bus,
    events,
)
from registry.tree import TreeRegistry

MOVE: dict[str, Any] = {"source_index": 3, "agent_name": "agent-3-4", "target_index": 7}


class Pace(ConfigEntity):
    """Settings of a callable."""

    factor: int = 2


@pytest.fixture(autouse=True)
def callables(own_default: Workspace) -> None:
    """Register what the tests execute."""
    CallableRegistry.register("move_agent_global")(example.move_agent_global)


@pytest.fixture
def gridmap() -> GridMap:
    """111 entities: a grid of ten nodes with ten agents each, promoted."""
    gridmap = make_grid(nodes=10, agents=10)
    gridmap.promote_to_root()
    return gridmap


def calls_during(act: Callable[[], Any]) -> Counter[tuple[str, str]]:
    """Count the Python functions that are called: (file, name)."""
    counted: Counter[tuple[str, str]] = Counter()

    def profile(frame: Any, event: str, arg: Any) -> None:
        if event == "call":
            counted[frame.f_code.co_filename, frame.f_code.co_name] += 1

    gc.disable()
    sys.setprofile(profile)
    try:
        act()
    finally:
        sys.setprofile(None)
        gc.enable()
    return counted


def in_file(counted: Counter[tuple[str, str]], module: ModuleType) -> list[str]:
    """Return the functions of a module among those that were called."""
    return [name for file, name in counted if file == module.__file__]


def named(counted: Counter[tuple[str, str]], *names: str) -> list[str]:
    """Return the functions of some names among those that were called."""
    return [name for _, name in counted if name in names]


def in_memory(cls: type[Entity]) -> int:
    """Return how many objects of a class there are."""
    gc.collect()
    return sum(1 for each in gc.get_objects() if type(each) is cls)


# --- the call forms ----------------------------------------------------------------------------


def test_execute_takes_the_call_forms_of_the_seed(gridmap: GridMap) -> None:
    kwargs = {"gridmap": gridmap, **MOVE}

    results = [
        CallableRegistry.execute("move_agent_global", **kwargs),
        CallableRegistry.execute("move_agent_global", skip_events=True, **kwargs),
        CallableRegistry.execute("move_agent_global", skip_divergence_check=True, **kwargs),
        CallableRegistry.execute("move_agent_global", True, **kwargs),
        CallableRegistry.execute(func_name="move_agent_global", **kwargs),
        asyncio.run(CallableRegistry.aexecute("move_agent_global", **kwargs)),
        asyncio.run(CallableRegistry.aexecute("move_agent_global", False, **kwargs)),
        asyncio.run(
            CallableRegistry.aexecute(
                "move_agent_global", skip_divergence_check=True, skip_events=True, **kwargs
            )
        ),
    ]

    for result in results:
        assert [len(node.agents) for node in result.nodes] == [10, 10, 10, 9] + [10] * 3 + [
            11,
            10,
            10,
        ]


def test_batches_take_pairs_of_name_and_arguments(gridmap: GridMap) -> None:
    batch = [
        ("move_agent_global", {"gridmap": gridmap, **MOVE, "agent_name": f"agent-3-{n}"})
        for n in range(2)
    ]

    together = CallableRegistry.execute_batch_sync(batch)
    awaited = asyncio.run(CallableRegistry.execute_batch(batch))

    for results in (together, awaited):
        assert [type(each) for each in results] == [GridMap, GridMap]


def test_metadata_has_the_names_of_the_seed() -> None:
    metadata = CallableRegistry.get_metadata("move_agent_global")

    assert isinstance(metadata, FunctionMetadata)
    assert metadata.name == "move_agent_global"
    assert metadata.original_function is example.move_agent_global
    assert metadata.is_async is False
    assert metadata.expected_strategy == "single_entity_with_config"
    assert metadata.expected_pattern == "mixed"
    assert metadata.semantic_hint is None
    assert CallableRegistry.get_metadata("unknown") is None


def test_an_unknown_callable_is_refused_by_name() -> None:
    with pytest.raises(LookupError, match="unknown"):
        CallableRegistry.execute("unknown")


def test_stored_trees_and_entities_are_found_by_the_call_forms_of_the_seed(
    gridmap: GridMap,
) -> None:
    root_ecs_id, agent = gridmap.root_ecs_id, gridmap.nodes[3].agents[4]
    assert root_ecs_id is not None

    tree = EntityRegistry.get_stored_tree(root_ecs_id)
    view = EntityRegistry.get_stored_tree(root_ecs_id, read_only=True)
    copy = EntityRegistry.get_stored_entity(root_ecs_id, agent.ecs_id)

    assert isinstance(tree, EntityTree)
    assert isinstance(view, EntityTreeView)
    for each in (tree, view):
        assert (len(each.nodes), len(each.edges)) == (111, 110)
        assert each.get_entity(agent.ecs_id) == each.nodes.get(agent.ecs_id) == agent
    assert copy == agent
    assert copy is not agent
    assert EntityRegistry.get_stored_entity(root_ecs_id, make_grid().ecs_id) is None


def test_entities_are_registered_versioned_and_promoted_by_the_call_forms_of_the_seed() -> None:
    result = make_grid(nodes=1, agents=1)
    assert not result.is_root_entity()

    EntityRegistry.register_entity(result)
    assert result.is_root_entity()
    assert not EntityRegistry.version_entity(result)
    result.nodes[0].agents[0].speed = 2
    assert EntityRegistry.version_entity(result)
    assert result.version == 2
    assert EntityRegistry.version_entity(result, force_versioning=True)

    copy = result.model_copy(deep=True)
    assert copy.is_orphan()
    copy.promote_to_root()
    assert copy.is_root_entity()
    assert copy.lineage_id != result.lineage_id


def test_entities_are_detached_and_attached_by_the_call_forms_of_the_seed(
    gridmap: GridMap,
) -> None:
    agent = gridmap.nodes[3].agents[4]

    agent.detach()
    assert agent.is_root_entity()
    gridmap.nodes[7].agents.append(agent)
    agent.attach(gridmap)

    assert agent.root_ecs_id == gridmap.ecs_id
    assert [len(node.agents) for node in gridmap.nodes] == [10, 10, 10, 9] + [10] * 3 + [11, 10, 10]


def test_the_worked_example_moves_one_of_111_entities_and_renames_three(gridmap: GridMap) -> None:
    """The agent keeps its id: nothing in it changed. Its two nodes and the root have new ones."""
    before = {each.lineage_id: each.ecs_id for each in gridmap.get_tree()}

    result: GridMap = CallableRegistry.execute("move_agent_global", gridmap=gridmap, **MOVE)

    after = {each.lineage_id: each.ecs_id for each in result.get_tree()}
    assert len(before) == len(after) == 111
    renamed = {lineage for lineage in after if after[lineage] != before[lineage]}
    assert renamed == {result.lineage_id, result.nodes[3].lineage_id, result.nodes[7].lineage_id}
    assert result.nodes[7].agents[-1].name == "agent-3-4"
    assert (result.version, gridmap.version) == (2, 1)


# --- P0: reading a tree ------------------------------------------------------------------------


def test_p0_a_read_only_tree_is_given_without_a_copy(gridmap: GridMap) -> None:
    """No object of it is made before it is asked for, and no model is copied or validated."""
    root = gridmap.ecs_id
    before = in_memory(Agent)
    view: Any = None

    def read() -> None:
        nonlocal view
        view = EntityRegistry.get_stored_tree(root, read_only=True)
        assert len(view.nodes) == 111

    counted = calls_during(read)

    assert in_memory(Agent) == before
    assert named(counted, "new_ghost", "model_copy", "deepcopy", "model_construct") == []
    agent = view.get_entity(gridmap.nodes[0].agents[0].ecs_id)
    assert agent.name == "agent-0-0"
    assert in_memory(Agent) == before + 1


def test_p0_nothing_that_a_view_leads_to_is_part_of_the_store(
    own_default: Workspace, gridmap: GridMap
) -> None:
    live: dict[int, Any] = {}

    @CallableRegistry.register("look")
    def look(gridmap: GridMap) -> None:
        for each in objects_below(gridmap):
            live[id(each)] = each

    CallableRegistry.execute("look", gridmap=gridmap)
    (branch,) = own_default.trees
    stored = {id(node.state) for node in branch.nodes.values()}
    view = EntityRegistry.get_stored_tree(gridmap.ecs_id, read_only=True)
    assert view is not None

    found = list(objects_below(view.root))

    assert len(live) > 111
    assert len(found) == len(live)
    assert not {id(each) for each in found} & (set(live) | stored)
    for each in found:
        with pytest.raises(ReadOnlyViewError):
            each.clear() if isinstance(each, list) else setattr(each, "name", "x")


def objects_below(value: Any) -> Iterator[Any]:
    """Yield each entity and each list below one."""
    yield value
    if isinstance(value, list):
        children = value
    else:
        children = [getattr(value, name) for name in ("nodes", "agents") if hasattr(value, name)]
    for each in children:
        yield from objects_below(each)


# --- P1: strategies ----------------------------------------------------------------------------


def test_p1_no_execution_inspects_its_function_or_its_hints(gridmap: GridMap) -> None:
    """Signature, hints and strategy are read once, at registration."""
    ref = CallableRegistry.execute("move_agent_global", gridmap=gridmap, **MOVE)

    @CallableRegistry.register("scale")
    def scale(gridmap: GridMap, pace: Pace) -> GridMap:
        gridmap.nodes[0].agents[0].speed *= pace.factor
        return gridmap

    @CallableRegistry.register("both")
    def both(gridmap: GridMap, other: GridMap | None = None) -> int:
        return 1 if other is None else 2

    again = {"source_index": 7, "agent_name": "agent-3-4", "target_index": 3}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("move_agent_global", {"gridmap": ref, **again}),
        ("scale", {"gridmap": ref, "factor": 3}),
        ("both", {"gridmap": ref}),
        ("both", {"gridmap": ref, "other": ref}),
    ]
    for name, arguments in calls[1:]:
        CallableRegistry.execute(name, **arguments)  # the class of a plain result is made once
    for name, arguments in calls:
        counted = calls_during(partial(CallableRegistry.execute, name, **arguments))

        assert in_file(counted, inspect) == [], name
        assert named(counted, "get_type_hints", "get_args", "get_origin") == [], name


def test_p1_the_strategy_is_right_when_the_kinds_of_the_arguments_vary(
    own_default: Workspace, gridmap: GridMap
) -> None:
    @CallableRegistry.register("both")
    def both(gridmap: GridMap, other: GridMap | None = None, n: int = 0) -> None: ...

    metadata = CallableRegistry.get_metadata("both")
    assert metadata is not None
    assert metadata.expected_strategy == "multi_entity_composite"
    for arguments in ({}, {"n": 1}, {"other": gridmap}, {"other": make_grid(1, 1), "n": 1}):
        CallableRegistry.execute("both", gridmap=gridmap, **arguments)

    found = [(each.strategy, each.pattern) for each in own_default.executions(name="both")]
    assert found == [
        ("single_entity_direct", "pure_transactional"),
        ("single_entity_with_config", "mixed"),
        ("multi_entity_composite", "pure_transactional"),
        ("multi_entity_composite", "mixed"),
    ]


# --- P2: one entity ----------------------------------------------------------------------------


def test_p2_one_entity_is_read_without_its_tree(
    gridmap: GridMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only its own fields are read, and no other entity becomes an object."""
    agent = gridmap.nodes[3].agents[4]
    read: list[tuple[uuid.UUID, str]] = []
    field_at = TreeRegistry.field_at

    def spy(self: TreeRegistry, key: Any, version: int, index: int) -> Any:
        read.append((key, self.class_of(key).__name__))
        return field_at(self, key, version, index)

    monkeypatch.setattr(TreeRegistry, "field_at", spy)
    before = {cls: in_memory(cls) for cls in (GridMap, Node, Agent)}

    copy = EntityRegistry.get_stored_entity(gridmap.ecs_id, agent.ecs_id)

    assert copy is not None
    assert copy.model_dump() == {"name": "agent-3-4", "speed": 1}
    assert {name for _, name in read} == {"Agent"}
    assert len({key for key, _ in read}) == 1
    assert {cls: in_memory(cls) for cls in before} == {**before, Agent: before[Agent] + 1}


def test_p2_reading_one_entity_costs_the_same_in_a_tree_of_any_size(own_default: Workspace) -> None:
    found = []
    for nodes in (10, 100):
        gridmap = make_grid(nodes=nodes, agents=10)
        gridmap.promote_to_root()
        wanted = (gridmap.ecs_id, gridmap.nodes[3].agents[4].ecs_id)
        EntityRegistry.get_stored_entity(*wanted)
        found.append(calls_during(partial(EntityRegistry.get_stored_entity, *wanted)))

    assert found[0].total() == found[1].total() < 50


# --- P3: events --------------------------------------------------------------------------------


def test_p3_no_event_is_made_unless_somebody_listens(
    own_default: Workspace, gridmap: GridMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr(Event, "__init__", counting(Event.__init__, made))
    monkeypatch.setattr(Event, "model_construct", counting(Event.model_construct, made))
    ref = own_default.ref(gridmap)

    counted = calls_during(
        partial(CallableRegistry.execute, "move_agent_global", gridmap=ref, **MOVE)
    )
    assert made == []
    assert in_file(counted, bus) + in_file(counted, events) == []

    heard: list[Event] = []
    own_default.on(Event, handler=heard.append)
    CallableRegistry.execute("move_agent_global", skip_events=True, gridmap=ref, **back(MOVE))
    assert (made, heard) == ([], [])

    CallableRegistry.execute("move_agent_global", gridmap=ref, **MOVE)
    assert len(made) >= 3
    assert [each.type for each in heard] == [
        "execution.started",
        "entity.versioned",
        "execution.completed",
    ]


def counting(function: Callable[..., Any], made: list[str]) -> Callable[..., Any]:
    """Return a function that notes each of its calls."""

    def counted(*args: Any, **kwargs: Any) -> Any:
        made.append("made")
        return function(*args, **kwargs)

    return counted


def back(move: dict[str, Any]) -> dict[str, Any]:
    """The move the other way."""
    return {
        **move,
        "source_index": move["target_index"],
        "target_index": move["source_index"],
    }


def test_p3_events_of_an_execution_are_told_together_after_its_commit(
    own_default: Workspace, gridmap: GridMap
) -> None:
    heads: list[int] = []
    inside: list[int] = []
    ref = own_default.ref(gridmap)
    own_default.on(EntityVersioned, handler=lambda event: heads.append(own_default.head(ref)))

    @CallableRegistry.register("twice")
    def twice(gridmap: GridMap) -> None:
        CallableRegistry.execute("move_agent_global", gridmap=gridmap, **MOVE)
        CallableRegistry.execute(
            "move_agent_global", gridmap=gridmap, **{**MOVE, "agent_name": "agent-3-5"}
        )
        inside.append(len(heads))

    CallableRegistry.execute("twice", gridmap=ref)

    assert inside == [0]
    assert heads == [2]


# --- P4: synchronous functions -----------------------------------------------------------------


def test_p4_a_synchronous_callable_is_called_directly_in_no_other_thread_and_no_loop() -> None:
    seen: list[tuple[int, bool]] = []

    @CallableRegistry.register("where")
    def where(gridmap: GridMap) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            seen.append((threading.get_ident(), False))
        else:
            seen.append((threading.get_ident(), True))

    gridmap = make_grid(1, 1)
    gridmap.promote_to_root()
    threads = threading.active_count()

    counted = calls_during(lambda: CallableRegistry.execute("where", gridmap=gridmap))
    asyncio.run(CallableRegistry.aexecute("where", gridmap=gridmap))

    here = threading.get_ident()
    assert seen == [(here, False), (here, True)]
    assert threading.active_count() == threads
    assert named(counted, "new_event_loop", "run_in_executor", "run_until_complete") == []


# --- P5: the hint ------------------------------------------------------------------------------


@pytest.mark.parametrize("is_usual", [True, False], ids=["straight way", "general way"])
def test_p5_a_hint_is_checked_in_each_execution_and_a_wrong_one_is_an_error(
    own_default: Workspace, gridmap: GridMap, is_usual: bool
) -> None:
    """It mutates now and creates later: the hint does not decide what the result is."""

    def change(gridmap: GridMap, is_new: bool) -> GridMap:
        gridmap.nodes[0].agents[0].speed += 1
        return make_grid(1, 1) if is_new else gridmap

    CallableRegistry.register("hinted", semantic_hint="mutation")(change)
    CallableRegistry.register("unhinted")(change)
    ref = own_default.ref(gridmap)
    given: Any = ref if is_usual else f"@{gridmap.lineage_id}"

    CallableRegistry.execute("hinted", gridmap=given, is_new=False)
    with pytest.raises(ReturnError) as caught:
        CallableRegistry.execute("hinted", gridmap=given, is_new=True)
    for is_new in (False, True):
        CallableRegistry.execute("unhinted", gridmap=given, is_new=is_new)

    assert "semantic_hint" in str(caught.value)
    assert (own_default.head(ref), len(own_default.roots())) == (4, 2)
    found = [(each.callable_name, each.status, each.semantic) for each in own_default.executions()]
    assert found == [
        ("hinted", "ok", "mutation"),
        ("hinted", "failed", None),
        ("unhinted", "ok", "mutation"),
        ("unhinted", "ok", "creation"),
    ]


# --- S3: the rest ------------------------------------------------------------------------------


def test_s3_an_execution_copies_no_model_and_draws_no_identity(
    own_default: Workspace, gridmap: GridMap
) -> None:
    """Neither pydantic's copy nor a random id: ids are arithmetic, that of an object comes late."""
    ref = own_default.ref(gridmap)
    CallableRegistry.execute("move_agent_global", gridmap=ref, **MOVE)
    result: Any = None

    def execute() -> None:
        nonlocal result
        result = CallableRegistry.execute("move_agent_global", gridmap=ref, **back(MOVE))

    counted = calls_during(execute)

    assert named(counted, "model_copy", "deepcopy", "uuid4", "new_key", "to_uuid") == []
    assert result.version == 3
    assert isinstance(result.live_id, uuid.UUID)


def test_s3_no_switch_gives_up_a_guarantee(own_default: Workspace, gridmap: GridMap) -> None:
    """Skipping checks and events changes nothing but the events: it is versioned and isolated."""
    ref = own_default.ref(gridmap)

    @CallableRegistry.register("fail")
    def fail(gridmap: GridMap) -> None:
        gridmap.nodes.clear()
        raise KeyError("after the change")

    with pytest.raises(KeyError):
        CallableRegistry.execute("fail", skip_divergence_check=True, skip_events=True, gridmap=ref)
    gridmap.nodes[0].agents[0].speed = 9
    result: Any = CallableRegistry.execute(
        "move_agent_global", skip_divergence_check=True, skip_events=True, gridmap=gridmap, **MOVE
    )

    assert result.nodes[0].agents[0].speed == 9
    assert len(gridmap.nodes[3].agents) == 10
    assert own_default.head(ref) == result.version
    assert [each.status for each in own_default.executions()] == ["failed", "ok"]
