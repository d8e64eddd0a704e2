"""Strategies and patterns: compiled from signatures, refined by what was given."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from registry import CallableRegistry, ConfigEntity, FunctionMetadata, Ref, Workspace, use_workspace
from registry.errors import ArgumentError
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop


class Taste(ConfigEntity):
    """A config."""

    sweetness: int = 1


def nothing() -> int:
    """Takes nothing."""
    return 1


def alone(shop: Shop) -> Shop:
    """Takes one entity."""
    return shop


def beside_plain(shop: Shop, n: int = 1) -> Shop:
    """Takes one entity and a plain value."""
    return shop


def beside_config(shop: Shop, taste: Taste) -> Shop:
    """Takes one entity and a config."""
    return shop


def several(shop: Shop, other: Shop | None = None) -> Shop:
    """Takes up to two entities."""
    return shop


def collection(items: list[Item] | None = None) -> int:
    """Takes a collection."""
    return len(items or ())


def everything(items: list[Item], shop: Shop, n: int, taste: Taste) -> int:
    """Takes one of each."""
    return n


def config_alone(taste: Taste) -> int:
    """Takes a config."""
    return taste.sweetness


def plain(n: int = 1) -> int:
    """Takes a plain value."""
    return n


FUNCTIONS = (
    *(nothing, alone, beside_plain, beside_config, several),
    *(collection, everything, config_alone, plain),
)


@pytest.fixture
def workspace() -> Workspace:
    """A workspace that knows the functions above."""
    workspace = Workspace()
    for function in FUNCTIONS:
        workspace.register(function.__name__)(function)
    return workspace


@pytest.fixture
def shop(workspace: Workspace) -> Ref:
    """A shop."""
    return workspace.add(new_shop())


@pytest.mark.parametrize(
    ("name", "strategy", "pattern"),
    [
        ("nothing", "no_inputs", "direct"),
        ("alone", "single_entity_direct", "pure_transactional"),
        ("beside_plain", "single_entity_with_config", "mixed"),
        ("beside_config", "single_entity_with_config", "mixed"),
        ("several", "multi_entity_composite", "pure_transactional"),
        ("collection", "multi_entity_composite", "pure_transactional"),
        ("everything", "multi_entity_composite", "mixed"),
        ("config_alone", "single_entity_with_config", "pure_borrowing"),
        ("plain", "pure_borrowing", "pure_borrowing"),
    ],
)
def test_strategy_and_pattern_are_compiled_at_registration(
    workspace: Workspace, name: str, strategy: str, pattern: str
) -> None:
    registered = workspace.callable(name)

    assert (registered.expected_strategy, registered.expected_pattern) == (strategy, pattern)


def last_kinds(workspace: Workspace) -> tuple[str, str]:
    """Strategy and pattern of the newest record."""
    record = workspace.executions()[-1]
    return record.strategy, record.pattern


def test_the_record_has_those_of_the_arguments_that_were_given(
    workspace: Workspace, shop: Ref
) -> None:
    item = workspace.snapshot(shop).star
    number = f"{shop.address}.numbers.0"
    transactional, mixed = "pure_transactional", "mixed"
    cases: list[tuple[str, dict[str, Any], tuple[str, str]]] = [
        ("nothing", {}, ("no_inputs", "direct")),
        ("alone", {"shop": shop}, ("single_entity_direct", transactional)),
        ("alone", {"shop": new_shop()}, ("single_entity_direct", transactional)),
        ("beside_plain", {"shop": shop}, ("single_entity_direct", transactional)),
        ("beside_plain", {"shop": shop, "n": 2}, ("single_entity_with_config", mixed)),
        ("beside_plain", {"shop": shop, "n": number}, ("single_entity_with_config", mixed)),
        ("beside_config", {"shop": shop}, ("single_entity_with_config", mixed)),
        ("beside_config", {"shop": shop, "sweetness": 2}, ("single_entity_with_config", mixed)),
        ("several", {"shop": shop}, ("single_entity_direct", transactional)),
        ("several", {"shop": shop, "other": None}, ("single_entity_direct", transactional)),
        ("several", {"shop": shop, "other": shop}, ("multi_entity_composite", transactional)),
        ("collection", {"items": [item]}, ("multi_entity_composite", transactional)),
        ("collection", {"items": []}, ("multi_entity_composite", transactional)),
        ("collection", {}, ("no_inputs", "direct")),
        ("config_alone", {"sweetness": 1}, ("single_entity_with_config", "direct")),
        ("plain", {}, ("no_inputs", "direct")),
        ("plain", {"n": 2}, ("pure_borrowing", "direct")),
        ("plain", {"n": number}, ("pure_borrowing", "pure_borrowing")),
    ]

    found = []
    for name, arguments, _ in cases:
        workspace.run(name, arguments)
        found.append(last_kinds(workspace))

    assert found == [kinds for _, _, kinds in cases]


def test_the_usual_execution_and_the_general_one_record_the_same(
    workspace: Workspace, shop: Ref
) -> None:
    """The record of the usual one does not hold its strategy: it is worked out when it is read."""

    @workspace.register("write")
    def write(shop: Shop, name: str) -> Shop:
        shop.name = name
        return shop

    @workspace.register("detach")
    def detach(shop: Shop, at: int) -> Shelf:
        return shop.shelves.pop(at)

    @workspace.register("rename")
    def rename(shop: Shop) -> None:
        shop.name = "renamed"

    workspace.run("write", {"shop": shop, "name": "w"})
    assert last_kinds(workspace) == ("single_entity_with_config", "mixed")
    workspace.run("write", {"shop": workspace.snapshot(shop, 1), "name": "w"})
    assert last_kinds(workspace) == ("single_entity_with_config", "mixed")
    workspace.run("detach", {"shop": shop, "at": 0})
    assert last_kinds(workspace) == ("single_entity_with_config", "mixed")
    workspace.run("rename", {"shop": shop})
    assert last_kinds(workspace) == ("single_entity_direct", "pure_transactional")


def test_what_is_refused_has_those_of_the_signature(workspace: Workspace, shop: Ref) -> None:
    with pytest.raises(ArgumentError):
        workspace.execute("beside_plain", shop=shop, n="x")

    assert last_kinds(workspace) == ("single_entity_with_config", "mixed")


def test_metadata_has_the_names_of_the_seed_design() -> None:
    use_workspace(Workspace())
    CallableRegistry.register("beside_plain", semantic_hint="mutation")(beside_plain)

    metadata = CallableRegistry.get_metadata("beside_plain")
    use_workspace(None)

    assert isinstance(metadata, FunctionMetadata)
    assert metadata.expected_strategy == "single_entity_with_config"
    assert metadata.expected_pattern == "mixed"
    assert metadata.semantic_hint == "mutation"


def test_records_tell_times_and_no_parent_outside_of_others(
    workspace: Workspace, shop: Ref
) -> None:
    workspace.run("beside_plain", {"shop": shop, "n": 1})
    workspace.run("collection", {"items": []})

    usual, general = workspace.executions()
    assert (usual.parent, general.parent) == (None, None)
    assert usual.queued_s >= 0.0
    assert general.queued_s > 0.0
    assert usual.run_s > 0.0


def test_the_time_in_the_queue_is_that_until_the_turns_are_there(
    workspace: Workspace, shop: Ref
) -> None:
    """A thread that asks while another one has the turn waits as long as that one says."""
    began, go_on = threading.Event(), threading.Event()

    @workspace.register("hold")
    def hold(shop: Shop) -> None:
        shop.name = "held"
        began.set()
        go_on.wait(10)

    holder = threading.Thread(target=workspace.run, args=("hold", {"shop": shop}))
    holder.start()
    began.wait(10)
    waiter = threading.Thread(target=workspace.run, args=("alone", {"shop": shop}))
    waiter.start()
    while not workspace.trees.tree(shop).turn.is_wanted:
        pass
    go_on.set()
    holder.join()
    waiter.join()

    held, waited = workspace.executions()
    assert (held.callable_name, waited.callable_name) == ("hold", "alone")
    assert waited.started <= held.started + held.run_s + held.commit_s + waited.queued_s
    assert waited.queued_s > 0.0


def test_coroutine_functions_have_strategies_too(workspace: Workspace, shop: Ref) -> None:
    @workspace.register("later")
    async def later(shop: Shop, n: int) -> None:
        await asyncio.sleep(0)

    asyncio.run(workspace.aexecute("later", shop=shop, n=1))

    assert last_kinds(workspace) == ("single_entity_with_config", "mixed")
