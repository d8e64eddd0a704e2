"""Output entities: plain results of executions, as roots that are built when somebody asks."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import BaseModel, create_model

from registry import (
    CallableRegistry,
    ConfigEntity,
    Entity,
    NotFoundError,
    OutputEntity,
    Ref,
    RegistrationError,
    Retention,
    ReturnError,
    UncopyableError,
    Workspace,
    use_workspace,
)
from registry.outputs import output_class
from tests.unit.registry.shop import Shop, new_shop


class Report(BaseModel):
    """A plain model."""

    lines: list[str] = []


KEPT: dict[str, Any] = {}
"""What the callables below return, and keep hold of."""


def tell_it(shop: Shop) -> Any:
    """Return what the test says, and change the shop."""
    shop.numbers.append(1)
    return KEPT["it"]


def constant() -> Any:
    """Return what the test says, without an input."""
    return KEPT["it"]


def wordy(text: str) -> str:
    """Return a text."""
    return text


def count(output: OutputEntity, by: int) -> OutputEntity:
    """Change an output entity."""
    output.value += by
    return output


def same(output: OutputEntity) -> OutputEntity:
    """Return what was given."""
    return output


async def later(shop: Shop) -> int:
    """Return a number, asynchronously."""
    await asyncio.sleep(0)
    return len(shop.numbers)


@pytest.fixture
def workspace() -> Workspace:
    """A workspace that knows the functions above."""
    workspace = Workspace()
    for function in (tell_it, constant, wordy, count, later):
        workspace.register(function.__name__)(function)
    return workspace


@pytest.fixture
def shop(workspace: Workspace) -> Ref:
    """A shop."""
    return workspace.add(new_shop())


PLAIN: list[Any] = [
    *(None, 0, True, 1.5, "text", b"bytes", (), [], {}, set(), [1, 2], (1, [2, {"a": {3}}])),
    *(Report(lines=["a"]), [Report(lines=["b"])], {"k": (1,)}, frozenset({1})),
]


@pytest.mark.parametrize("value", PLAIN, ids=repr)
@pytest.mark.parametrize("name", ["tell_it", "constant"])
def test_a_plain_result_is_the_value_of_an_output_entity(
    workspace: Workspace, shop: Ref, value: Any, name: str
) -> None:
    KEPT["it"] = copy.deepcopy(value)
    arguments: dict[str, Any] = {"shop": shop} if name == "tell_it" else {}

    output = workspace.execute(name, **arguments)

    assert type(output) is output_class(name)
    assert isinstance(output, OutputEntity)
    assert isinstance(output, Entity)
    assert output.value == value
    assert type(output).__name__ == {"tell_it": "TellItOutput", "constant": "ConstantOutput"}[name]
    assert output.is_root_entity()
    assert not output.is_orphan()
    record = workspace.executions()[-1]
    assert (output.version, output.derived_from_function) == (1, name)
    assert output.derived_from_execution_id == record.execution_id
    assert (record.semantic, record.output_ids) == ("creation", [output.ecs_id])
    assert output.model_dump() == {
        "value": value.model_dump() if isinstance(value, Report) else output.value
    } or isinstance(value, list)


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_raw_gives_the_value_itself(workspace: Workspace, shop: Ref, value: Any) -> None:
    KEPT["it"] = copy.deepcopy(value)

    results = [
        workspace.execute("tell_it", shop=shop, raw=True),
        asyncio.run(workspace.aexecute("constant", raw=True)),
        *workspace.execute_batch([("tell_it", {"shop": shop})], raw=True),
    ]

    assert results == [value] * 3
    assert [type(each) for each in results] == [type(value)] * 3
    records = workspace.executions()
    assert [(each.semantic, each.outputs) for each in records] == [(None, ())] * 3
    assert len(workspace.trees.outputs) == 0


def test_every_way_to_execute_gives_output_entities(workspace: Workspace, shop: Ref) -> None:
    KEPT["it"] = 5
    use_workspace(workspace)

    async def both() -> list[Any]:
        return [
            await workspace.aexecute("later", shop=shop),
            await CallableRegistry.aexecute("later", shop=shop),
            *await CallableRegistry.execute_batch([("later", {"shop": shop})]),
            await CallableRegistry.aexecute("later", shop=shop, raw=True),
            *await CallableRegistry.execute_batch([("later", {"shop": shop})], raw=True),
        ]

    outputs = [
        *workspace.execute_batch([("constant", {})]),
        CallableRegistry.execute("constant"),
        *CallableRegistry.execute_batch_sync([("constant", {})]),
        workspace.execute("later", shop=shop),
        *asyncio.run(both()),
    ]
    raw = [
        CallableRegistry.execute("constant", raw=True),
        *CallableRegistry.execute_batch_sync([("constant", {})], raw=True),
    ]
    use_workspace(None)

    assert [getattr(each, "value", each) for each in outputs] == [5] * 3 + [3] * 6
    assert [isinstance(each, OutputEntity) for each in outputs] == [True] * 7 + [False] * 2
    assert raw == [5, 5]


def test_receipts_keep_the_plain_value(workspace: Workspace, shop: Ref) -> None:
    KEPT["it"] = [1]

    receipt = workspace.run("tell_it", {"shop": shop})

    assert (receipt.value, receipt.outputs, receipt.semantic) == ([1], (), None)
    assert len(workspace.trees.outputs) == 0


def test_plain_values_beside_entities_stay_plain(workspace: Workspace, shop: Ref) -> None:
    @workspace.register("mixed")
    def mixed(shop: Shop) -> tuple[Shop, int, list[str]]:
        return shop, 1, ["a"]

    snapshot, number, texts = workspace.execute("mixed", shop=shop)

    assert isinstance(snapshot, Shop)
    assert (number, texts) == (1, ["a"])


# --- finding and using one ---


def test_an_output_entity_is_found_by_its_ids(workspace: Workspace) -> None:
    KEPT["it"] = {"a": [1, 2]}
    output = workspace.execute("constant")

    assert workspace.get(f"@{output.ecs_id}") == output
    assert workspace.get(f"@{output.ecs_id}").value == {"a": [1, 2]}
    assert workspace.get(f"@{output.lineage_id}.value.a.1") == 2
    assert workspace.snapshot(output).value == {"a": [1, 2]}
    assert workspace.ref(output).lineage_id == output.lineage_id
    assert [each.callable for each in workspace.history(output)] == ["constant"]
    assert [each.callable_name for each in workspace.executions(entity=output)] == ["constant"]
    assert len(output.get_tree()) == 1


def test_no_tree_is_built_before_somebody_asks(workspace: Workspace) -> None:
    KEPT["it"] = 5

    output = workspace.execute("constant")

    assert (output.value, output.model_dump(), output.is_root_entity()) == (5, {"value": 5}, True)
    assert workspace.roots() == []
    ref = workspace.ref(output)
    assert workspace.roots() == [ref]


def test_an_output_entity_is_an_argument_like_any_other(workspace: Workspace) -> None:
    KEPT["it"] = 5
    for way in ("snapshot", "address", "ref", "id"):
        output = workspace.execute("constant")
        given = {
            "snapshot": output,
            "address": f"@{output.lineage_id}",
            "id": f"@{output.ecs_id}",
            "ref": Ref(output.__key__, output.__key__),
        }[way]

        changed = workspace.execute("count", output=given, by=2)

        assert (changed.value, changed.version) == (7, 2)
        assert changed.lineage_id == output.lineage_id
        assert changed.old_ids == [output.ecs_id]
        assert output.value == 5


def test_its_value_is_borrowed_by_address(workspace: Workspace) -> None:
    output = workspace.execute("wordy", text="first")

    parameter = workspace.callable("count").by_name["by"]
    assert parameter.takes_text is False
    KEPT["it"] = 3
    by = workspace.execute("constant")
    counted = workspace.execute(
        "count", output=workspace.execute("constant"), by=f"@{by.ecs_id}.value"
    )

    assert counted.value == 6
    assert output.value == "first"


def test_an_edited_output_entity_commits_its_edits(workspace: Workspace) -> None:
    KEPT["it"] = [1]
    output = workspace.execute("constant")
    output.value.append(2)

    assert workspace.commit_edits(output)
    assert (output.version, output.value) == (2, [1, 2])
    assert workspace.snapshot(workspace.ref(output), 1).value == [1]


def test_an_output_entity_may_be_added_and_named(workspace: Workspace) -> None:
    KEPT["it"] = 5
    output = workspace.execute("constant")

    assert workspace.add(output) == workspace.ref(output)
    assert workspace.roots() == [workspace.ref(output)]


# --- isolation ---


def test_what_the_callable_keeps_is_not_what_the_caller_gets(workspace: Workspace) -> None:
    mine: list[Any] = [Report(lines=["a"]), {"k": [1]}]
    KEPT["it"] = mine
    output = workspace.execute("constant")
    other = workspace.get(f"@{output.ecs_id}")

    mine[1]["k"].append(2)
    mine[0].lines.append("b")
    output.value[1]["k"].append(3)
    output.value[0].lines.append("c")

    again = workspace.get(f"@{output.ecs_id}")
    assert other.value == again.value == [Report(lines=["a"]), {"k": [1]}]


def test_a_list_of_the_tree_is_copied(workspace: Workspace, shop: Ref) -> None:
    @workspace.register("numbers")
    def numbers(shop: Shop) -> list[int]:
        return shop.numbers

    output = workspace.execute("numbers", shop=shop)
    output.value.append(9)

    assert workspace.snapshot(shop).numbers == [3, 1, 2]
    assert workspace.head(shop) == 1


def test_what_cannot_be_kept_is_refused_and_nothing_changes(
    workspace: Workspace, shop: Ref
) -> None:
    cases: list[tuple[Any, type[Exception]]] = [
        ((each for each in "ab"), ReturnError),
        (threading.Lock(), UncopyableError),
    ]
    for value, error in cases:
        KEPT["it"] = value
        for raw in (False, True):
            with pytest.raises(error):
                workspace.execute("tell_it", shop=shop, raw=raw)

    assert workspace.head(shop) == 1
    assert [each.status for each in workspace.executions()] == ["failed"] * 4
    assert [each.outputs for each in workspace.executions()] == [()] * 4


# --- retention ---


def test_only_the_newest_output_entities_are_kept() -> None:
    workspace = Workspace(retention=Retention(outputs=2))
    workspace.register("wordy")(wordy)
    outputs = [workspace.execute("wordy", text=str(n)) for n in range(4)]

    assert len(workspace.trees.outputs) == 2
    assert [workspace.get(f"@{each.ecs_id}").value for each in outputs[2:]] == ["2", "3"]
    with pytest.raises(NotFoundError):
        workspace.get(f"@{outputs[0].ecs_id}")
    assert [each.value for each in outputs] == ["0", "1", "2", "3"]


def test_who_has_one_that_is_no_longer_kept_may_go_on_with_it() -> None:
    workspace = Workspace(retention=Retention(outputs=1))
    for function in (wordy, count):
        workspace.register(function.__name__)(function)
    first, _ = (workspace.execute("wordy", text=text) for text in "ab")
    workspace.register("same")(same)

    changed = workspace.execute("same", output=first)

    assert changed == first
    assert workspace.get(f"@{first.ecs_id}").value == "a"


def test_who_has_asked_for_its_tree_may_go_on_with_it_too() -> None:
    """Retention lets go of the tree; work on it would be held by nobody."""
    workspace = Workspace(retention=Retention(outputs=1))
    KEPT["it"] = 1
    for function in (constant, count):
        workspace.register(function.__name__)(function)
    old = workspace.execute("constant")
    workspace.ref(old)
    workspace.execute("constant")

    new = workspace.execute("count", output=old, by=1)

    assert workspace.snapshot(workspace.ref(new)).version == 2
    workspace.drop(new)
    with pytest.raises(NotFoundError):
        workspace.execute("count", output=old, by=1)


def test_trees_of_old_output_entities_are_let_go_unless_something_was_made_of_them() -> None:
    workspace = Workspace(retention=Retention(outputs=3))
    for function in (constant, count):
        workspace.register(function.__name__)(function)
    KEPT["it"] = 1
    looked_at, changed, forked = (workspace.execute("constant") for _ in range(3))
    workspace.ref(changed)
    changed = workspace.execute("count", output=changed, by=1)
    fork = workspace.fork(forked)

    for _ in range(10):
        workspace.ref(workspace.execute("constant"))

    kept = workspace.roots()
    assert workspace.ref(changed) in kept
    assert fork in kept
    assert fork.root_ref._replace(branch=0) in kept
    assert len(kept) == 6
    with pytest.raises(NotFoundError):
        workspace.get(f"@{looked_at.ecs_id}")


def test_threads_find_one_tree(workspace: Workspace) -> None:
    KEPT["it"] = [1]
    outputs = [workspace.execute("constant") for _ in range(50)]
    addresses = [f"@{each.ecs_id}" for each in outputs]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(workspace.ref, addresses * 8))

    assert len(set(found)) == len(workspace.roots()) == 50


# --- the class ---


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("move_agent_global", "MoveAgentGlobalOutput"),
        ("pricing.apply-discount", "PricingApplyDiscountOutput"),
        ("2nd", "Callable2ndOutput"),
        ("...", "CallableOutput"),
        ("alreadyCamel", "AlreadyCamelOutput"),
    ],
)
def test_the_class_is_named_after_the_callable(name: str, title: str) -> None:
    assert output_class(name).__name__ == title
    assert output_class(name) is output_class(name)


def test_it_is_pickled_and_copied_as_an_orphan(workspace: Workspace) -> None:
    KEPT["it"] = [1]
    output = workspace.execute("constant")

    copies = [pickle.loads(pickle.dumps(output)), copy.deepcopy(output), output.model_copy()]

    for each in copies:
        assert type(each) is type(output)
        assert each.value == [1]
        assert each.is_orphan()
        assert each.previous_ecs_id == output.ecs_id


@pytest.mark.parametrize(
    "name", ["dry_run", "func_name", "on_stale", "raw", "skip_divergence_check", "skip_events"]
)
def test_a_parameter_with_the_name_of_an_option_is_refused(workspace: Workspace, name: str) -> None:
    space: dict[str, Any] = {}
    exec(f"def plain({name}: int) -> None: ...", space)  # noqa: S102 - the name is what varies
    with pytest.raises(RegistrationError, match=name):
        workspace.register("plain")(space["plain"])

    config = create_model("Odd", __base__=ConfigEntity, **{name: (int, 0)})  # type: ignore[call-overload]  # a name that varies

    def configured(odd: Any) -> None:
        """Takes a config with such a field."""

    configured.__annotations__["odd"] = config
    with pytest.raises(RegistrationError, match=name):
        workspace.register("configured")(configured)
