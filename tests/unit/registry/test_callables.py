"""Callables: registration, validation of arguments, isolation of what goes in."""

from __future__ import annotations

import dataclasses
import functools
from datetime import datetime
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from registry import Entity, Ref, Workspace
from registry.errors import (
    ArgumentError,
    NotFoundError,
    RegistrationError,
    ReturnError,
    TreerunnerError,
    UsageError,
)
from tests.unit.registry.conftest import Do
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop


class Options(BaseModel):
    """A plain model as an argument."""

    depth: int = 1
    names: list[str] = []


@dataclasses.dataclass
class Window:
    """A dataclass as an argument."""

    size: int
    panes: list[int] = dataclasses.field(default_factory=list)


def paint(shop: Shop, colour: Literal["red", "blue"] = "red") -> Shop:
    """A callable."""
    shop.name = colour
    return shop


def count(
    shop: Shop,
    number: int,
    when: datetime | None = None,
    limit: Annotated[int, Field(ge=0)] = 5,
    options: Options = Options(),  # noqa: B008 - a mutable default is what is tested
    window: Window = Window(1),  # noqa: B008
    names: list[str] = [],  # noqa: B006
    table: dict[str, list[int]] = {},  # noqa: B006
) -> Any:
    """A callable with arguments of many kinds, which changes them all."""
    seen = (number, when, limit, options.depth, window.size, list(names), dict(table))
    options.depth += 1
    options.names.append("x")
    window.size += 1
    window.panes.append(1)
    names.append("x")
    table.setdefault("x", []).append(1)
    return seen


# --- registration ------------------------------------------------------------------------------


def test_register_returns_the_function_itself(workspace: Workspace) -> None:
    assert workspace.register("paint")(paint) is paint
    assert paint(new_shop()).name == "red"


def test_registering_the_same_function_again_does_nothing(workspace: Workspace) -> None:
    workspace.register("paint")(paint)
    workspace.register("paint")(paint)


def test_a_used_name_is_refused_unless_replaced(workspace: Workspace, shop: Ref) -> None:
    workspace.register("paint")(paint)

    def paint_green(shop: Shop) -> None:
        shop.name = "green"

    with pytest.raises(RegistrationError, match="paint") as caught:
        workspace.register("paint")(paint_green)
    assert caught.value.callable_name == "paint"
    workspace.execute("paint", shop=shop)
    assert workspace.snapshot(shop).name == "red"

    workspace.register("paint", replace=True)(paint_green)
    workspace.execute("paint", shop=shop)
    assert workspace.snapshot(shop).name == "green"


def _no_hint(shop) -> None:  # noqa: ANN001
    """Lacks a hint."""


def _no_return(shop: Shop):  # noqa: ANN202
    """Lacks a return hint."""


def _star(*shops: Shop) -> None:
    """Takes positional rest."""


def _stars(**shops: Shop) -> None:
    """Takes keyword rest."""


def _unknown(shop: Nowhere) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Its hint names nothing."""


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (_no_hint, "shop"),
        (_no_return, "return"),
        (_star, "shops"),
        (_stars, "shops"),
        (_unknown, "Nowhere"),
    ],
)
def test_a_signature_that_cannot_be_compiled_is_refused(
    workspace: Workspace, function: Any, named: str
) -> None:
    with pytest.raises(RegistrationError, match=named):
        workspace.register("bad")(function)
    with pytest.raises(NotFoundError):
        workspace.execute("bad")


def test_what_is_no_function_is_refused(workspace: Workspace) -> None:
    with pytest.raises((RegistrationError, TypeError)):
        workspace.register("bad")(5)  # type: ignore[type-var]


def test_partials_methods_and_keyword_only_parameters_work(workspace: Workspace, shop: Ref) -> None:
    class Painter:
        def paint(self, shop: Shop, *, colour: str = "red") -> None:
            shop.name = colour

    workspace.register("method")(Painter().paint)

    def keyword_only(*, shop: Shop, colour: str) -> None:
        shop.name = colour

    workspace.register("keyword_only")(keyword_only)
    workspace.execute("method", shop=shop, colour="m")
    assert workspace.snapshot(shop).name == "m"
    workspace.execute("keyword_only", shop=shop, colour="k")
    assert workspace.snapshot(shop).name == "k"

    @functools.wraps(paint)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return paint(*args, **kwargs)

    workspace.register("wrapped")(wrapped)
    workspace.execute("wrapped", shop=shop, colour="blue")
    assert workspace.snapshot(shop).name == "blue"


# --- arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "parameter"),
    [
        ({"number": "x"}, "number"),
        ({"number": None}, "number"),
        ({"number": 1.5}, "number"),
        ({}, "number"),
        ({"number": 1, "unknown": 2}, "unknown"),
        ({"number": 1, "limit": -1}, "limit"),
        ({"number": 1, "when": "yesterday"}, "when"),
        ({"number": 1, "names": "abc"}, "names"),
        ({"number": 1, "names": [1]}, "names"),
        ({"number": 1, "table": {"a": ["x"]}}, "table"),
        ({"number": 1, "options": {"depth": "x"}}, "options"),
        ({"number": 1, "shop": 5}, "shop"),
        ({"number": 1, "shop": None}, "shop"),
        ({"number": 1, "shop": "nobody"}, "shop"),
    ],
)
def test_arguments_are_validated_before_anything_runs(
    workspace: Workspace, shop: Ref, arguments: dict[str, Any], parameter: str
) -> None:
    ran: list[int] = []

    @functools.wraps(count)
    def counted(**kwargs: Any) -> Any:
        ran.append(1)
        return count(**kwargs)

    workspace.register("count")(counted)

    with pytest.raises(UsageError) as caught:
        workspace.execute("count", **{"shop": shop, **arguments})

    if isinstance(caught.value, ArgumentError):
        assert caught.value.callable_name == "count"
        assert caught.value.parameter == parameter
        assert caught.value.expected
        assert isinstance(caught.value, ValueError | TypeError)
    assert ran == []
    assert workspace.head(shop) == 1


def test_a_missing_entity_is_an_argument_error(workspace: Workspace) -> None:
    workspace.register("paint")(paint)

    with pytest.raises(ArgumentError) as caught:
        workspace.execute("paint")

    assert (caught.value.callable_name, caught.value.parameter) == ("paint", "shop")


def test_an_entity_of_a_wrong_class_is_an_argument_error(workspace: Workspace) -> None:
    workspace.register("paint")(paint)
    item = workspace.add(Item(name="i"))

    for given in (item, workspace.snapshot(item), Item(name="fresh")):
        with pytest.raises(ArgumentError) as caught:
            workspace.execute("paint", shop=given)
        assert caught.value.parameter == "shop"
        assert "Item" in str(caught.value)
        assert "Shop" in str(caught.value)


def test_a_subclass_is_accepted(workspace: Workspace) -> None:
    class Kiosk(Shop):
        pass

    workspace.register("paint")(paint)
    ref = workspace.add(Kiosk())

    assert type(workspace.execute("paint", shop=ref)) is Kiosk


def test_plain_values_are_coerced_as_pydantic_does(workspace: Workspace, shop: Ref) -> None:
    workspace.register("count")(count)

    seen = workspace.execute(
        "count",
        raw=True,
        shop=shop,
        number="7",
        when="2013-01-01T00:00:00Z",
        options={"depth": 4},
        window={"size": 3},
    )

    assert seen[0] == 7
    assert seen[1] == datetime.fromisoformat("2013-01-01T00:00:00+00:00")
    assert seen[3:5] == (4, 3)


def test_arguments_are_the_callables_own_copies(workspace: Workspace, shop: Ref) -> None:
    workspace.register("count")(count)
    options, window, names, table = Options(), Window(1), ["n"], {"t": [1]}

    workspace.execute(
        "count", shop=shop, number=1, options=options, window=window, names=names, table=table
    )

    assert (options, window, names, table) == (Options(), Window(1), ["n"], {"t": [1]})


def test_defaults_are_the_callables_own_copies(workspace: Workspace, shop: Ref) -> None:
    workspace.register("count")(count)

    first = workspace.execute("count", raw=True, shop=shop, number=1)
    second = workspace.execute("count", raw=True, shop=shop, number=1)

    assert first == second == (1, None, 5, 1, 1, [], {})


def test_an_argument_kept_by_the_tree_is_not_the_callers(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """A list that is assigned into the tree stays apart from the one that was passed."""

    def keep(shop: Shop, numbers: list[int], anything: Any) -> None:
        shop.numbers = numbers
        shop.anything = anything

    workspace.register("keep")(keep)
    numbers, anything = [1], {"k": [1]}

    workspace.execute("keep", shop=shop, numbers=numbers, anything=anything)
    numbers.append(2)
    anything["k"].append(2)
    do(lambda shop: setattr(shop, "name", "x"))

    assert workspace.snapshot(shop).numbers == [1]
    assert workspace.snapshot(shop).anything == {"k": [1]}


def test_an_unknown_callable_is_not_found(workspace: Workspace, shop: Ref) -> None:
    with pytest.raises(NotFoundError, match="nothing_here"):
        workspace.execute("nothing_here", shop=shop)
    assert issubclass(NotFoundError, UsageError)


@pytest.mark.parametrize("target", ["nobody", "@00000000-0000-8000-8000-000000000000", "@x", ""])
def test_an_unknown_root_is_not_found(workspace: Workspace, shop: Ref, target: str) -> None:
    with pytest.raises(UsageError):
        workspace.ref(target)


def test_a_foreign_ref_is_not_found(workspace: Workspace) -> None:
    foreign = Workspace().add(Item(name="elsewhere"))

    for ask in (workspace.ref, workspace.snapshot, workspace.head, workspace.history):
        with pytest.raises(NotFoundError):
            ask(foreign)


def test_an_unknown_version_is_not_found(workspace: Workspace, shop: Ref) -> None:
    for version in (0, 2, -1, 10**9):
        with pytest.raises(UsageError):
            workspace.snapshot(shop, version)


def test_names_and_addresses_find_roots(workspace: Workspace) -> None:
    ref = workspace.add(Item(name="i"), name="my item")

    assert workspace.ref("my item") == ref
    assert workspace.ref(ref.address) == ref
    assert workspace.ref(ref) == ref
    assert workspace.ref(workspace.snapshot(ref)) == ref
    assert workspace.name_of(ref) == "my item"
    assert ref.address == f"@{workspace.snapshot(ref).lineage_id}"
    assert ref in set(workspace.roots())


def test_a_name_is_given_once(workspace: Workspace) -> None:
    workspace.add(Item(name="i"), name="taken")

    with pytest.raises(UsageError, match="taken"):
        workspace.add(Item(name="j"), name="taken")
    assert len(workspace.roots()) == 1


# --- kinds of entities as arguments ------------------------------------------------------------


def test_a_child_is_a_legal_argument(workspace: Workspace, shop: Ref) -> None:
    def label(shelf: Shelf, text: str) -> Shelf:
        shelf.label = text
        return shelf

    workspace.register("label")(label)
    child = workspace.snapshot(shop).shelves[1]

    by_snapshot = workspace.execute("label", shelf=child, text="one")
    by_ref = workspace.execute("label", shelf=workspace.ref(child), text="two")

    assert by_snapshot.label == "one"
    assert by_ref.label == "two"
    assert by_ref.version == 3
    assert not by_ref.is_root_entity()
    assert workspace.snapshot(shop).shelves[1].label == "two"
    assert workspace.head(shop) == 3
    assert workspace.roots() == [shop]


def test_several_inputs_of_one_tree_are_the_same_live_objects(
    workspace: Workspace, shop: Ref
) -> None:
    seen: list[bool] = []

    def compare(shop: Shop, shelf: Shelf, again: Shelf, item: Item) -> None:
        seen.append(shop.shelves[1] is shelf)
        seen.append(shelf is again)
        seen.append(shelf.items[0] is item)
        shelf.label = "l"
        item.name = "n"

    workspace.register("compare")(compare)
    snapshot = workspace.snapshot(shop)
    shelf = snapshot.shelves[1]

    workspace.execute(
        "compare",
        shop=shop,
        shelf=shelf,
        again=workspace.ref(shelf),
        item=workspace.snapshot(shop).shelves[1].items[0],
    )

    assert seen == [True, True, True]
    assert workspace.head(shop) == 2
    assert workspace.snapshot(shop).shelves[1].items[0].name == "n"


def test_an_orphan_argument_that_is_changed_becomes_a_root(workspace: Workspace) -> None:
    workspace.register("paint")(paint)
    orphan = new_shop()
    ecs_id = orphan.ecs_id

    result = workspace.execute("paint", shop=orphan)

    assert result.name == "red"
    assert result.is_root_entity()
    assert result.lineage_id == workspace.snapshot(workspace.ref(result)).lineage_id
    assert len(workspace.roots()) == 1
    assert workspace.snapshot(workspace.ref(result)).name == "red"
    assert ecs_id


def test_an_orphan_put_into_a_tree_by_a_function(workspace: Workspace, shop: Ref) -> None:
    """An orphan argument that the function attaches becomes part of that tree."""

    def put(shop: Shop, item: Item) -> None:
        shop.shelves[0].items.append(item)

    workspace.register("put")(put)
    item = Item(name="mine", tags=["t"])
    lineage = item.lineage_id

    workspace.execute("put", shop=shop, item=item)

    placed = workspace.snapshot(shop).shelves[0].items[-1]
    assert placed.model_dump() == {"name": "mine", "price": 1.0, "tags": ["t"]}
    assert placed.lineage_id == lineage
    assert workspace.roots() == [shop]
    item.tags.append("later")
    assert workspace.snapshot(shop).shelves[0].items[-1].tags == ["t"]


def test_collections_of_entities_are_legal_arguments(workspace: Workspace, shop: Ref) -> None:
    def rename(items: list[Item], shelves: dict[str, Shelf]) -> int:
        for number, item in enumerate(items):
            item.name = f"n{number}"
        for label, shelf in shelves.items():
            shelf.label = label
        return len(items)

    workspace.register("rename")(rename)
    snapshot = workspace.snapshot(shop)

    count = workspace.execute(
        "rename",
        raw=True,
        items=[snapshot.shelves[0].items[0], workspace.ref(snapshot.shelves[2].items[1])],
        shelves={"a": snapshot.shelves[1]},
    )

    assert count == 2
    now = workspace.snapshot(shop)
    assert (now.shelves[0].items[0].name, now.shelves[2].items[1].name) == ("n0", "n1")
    assert now.shelves[1].label == "a"
    assert workspace.head(shop) == 2


def test_an_optional_entity_may_be_none(workspace: Workspace, shop: Ref) -> None:
    def maybe(shop: Shop, item: Item | None = None) -> str:
        return "none" if item is None else item.name

    workspace.register("maybe")(maybe)

    assert workspace.execute("maybe", raw=True, shop=shop) == "none"
    assert workspace.execute("maybe", raw=True, shop=shop, item=None) == "none"
    item = workspace.ref(workspace.snapshot(shop).shelves[0].items[0])
    assert workspace.execute("maybe", raw=True, shop=shop, item=item) == "i00"


# --- results -----------------------------------------------------------------------------------


def test_exceptions_come_out_as_raised(workspace: Workspace, shop: Ref, do: Do) -> None:
    error = KeyError("mine")

    def act(shop: Shop) -> None:
        raise error

    with pytest.raises(KeyError) as caught:
        do(act)

    assert caught.value is error


@pytest.mark.parametrize("value", [0, None, "x", 1.5, True, (1, 2), [1, {"a": 2}], b"x"])
def test_plain_results_are_what_they_are(do: Do, value: Any) -> None:
    result = do(lambda shop: value)

    assert result == value
    assert type(result) is type(value)


def test_a_plain_result_is_not_a_part_of_the_tree(workspace: Workspace, shop: Ref, do: Do) -> None:
    """A returned container or opaque value of the tree is the caller's own."""
    numbers = do(lambda shop: shop.numbers)
    point = do(lambda shop: shop.point)

    numbers.append(99)
    point.x = 99

    assert type(numbers) is list
    assert workspace.snapshot(shop).numbers == [3, 1, 2]
    assert do(lambda shop: (list(shop.numbers), shop.point.x)) == ([3, 1, 2], 0)


def test_a_returned_child_is_its_snapshot(workspace: Workspace, shop: Ref, do: Do) -> None:
    def act(shop: Shop) -> Any:
        shop.shelves[0].label = "new"
        return shop.shelves[0]

    result = do(act)

    assert (result.label, result.version) == ("new", 2)
    assert result == workspace.snapshot(shop).shelves[0]


def test_a_new_entity_becomes_a_root(workspace: Workspace, shop: Ref, do: Do) -> None:
    result = do(lambda shop: Shelf(label="new", items=[Item(name="i")]))

    assert result.is_root_entity()
    assert result.version == 1
    assert result.derived_from_function == "act"
    assert workspace.snapshot(workspace.ref(result)) == result
    assert len(workspace.roots()) == 2
    assert workspace.head(shop) == 1


def test_a_removed_entity_becomes_a_root_in_the_same_commit(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    result = do(lambda shop: shop.shelves.pop(1))

    assert result.is_root_entity()
    assert [item.name for item in result.items] == ["i10", "i11"]
    assert [shelf.label for shelf in workspace.snapshot(shop).shelves] == ["s0", "s2"]
    assert workspace.head(shop) == 2
    assert workspace.snapshot(shop, 1).shelves[1].label == "s1"
    assert len(workspace.roots()) == 2


def test_a_copy_made_by_the_function_is_a_creation(workspace: Workspace, shop: Ref, do: Do) -> None:
    result = do(lambda shop: shop.model_copy(deep=True))

    assert result.lineage_id != workspace.snapshot(shop).lineage_id
    assert result.model_dump() == new_shop().model_dump()
    assert workspace.head(shop) == 1
    assert len(workspace.roots()) == 2


def test_a_shallow_copy_of_a_live_root_does_not_share_its_children(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """`model_copy()` shares the children: refused, or copied; the tree is never corrupted."""
    try:
        result = do(lambda shop: shop.model_copy())
    except TreerunnerError:
        pass
    else:
        assert result.model_dump() == new_shop().model_dump()
        assert result.shelves[0].root_ecs_id == result.ecs_id
    do(lambda shop: setattr(shop.shelves[0], "label", "mine"))
    now = workspace.snapshot(shop)
    assert now.shelves[0].label == "mine"
    assert now.shelves[0].root_ecs_id == now.ecs_id


def test_a_new_parent_beside_the_tree_does_not_steal_a_child(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """Returned beside the tree but holding a part of it: refused, or a copy; never both."""
    try:
        result = do(lambda shop: Shelf(label="thief", items=[shop.shelves[0].items[0]]))
    except TreerunnerError:
        assert workspace.roots() == [shop]
    else:
        assert result.items[0].root_ecs_id == result.ecs_id
    do(lambda shop: setattr(shop.shelves[0].items[0], "name", "mine"))
    now = workspace.snapshot(shop)
    assert now.shelves[0].items[0].name == "mine"
    assert now.shelves[0].items[0].root_ecs_id == now.ecs_id


def test_a_result_that_contradicts_the_hint_is_refused(workspace: Workspace, shop: Ref) -> None:
    def lie(shop: Shop) -> Item:
        shop.name = "lost"
        return shop  # type: ignore[return-value]

    def lie_plainly(shop: Shop) -> int:
        shop.name = "lost"
        return "x"  # type: ignore[return-value]

    for function in (lie, lie_plainly):
        workspace.register(function.__name__)(function)
        with pytest.raises(ReturnError) as caught:
            workspace.execute(function.__name__, shop=shop)
        assert caught.value.callable_name == function.__name__
        assert isinstance(caught.value, TypeError)
    assert workspace.head(shop) == 1
    assert workspace.snapshot(shop).name == "shop"
    assert [record.status for record in workspace.executions()] == ["failed", "failed"]


def test_read_only_callables_may_not_write(workspace: Workspace, shop: Ref) -> None:
    def read(shop: Shop) -> str:
        return shop.name

    def write(shop: Shop) -> str:
        shop.shelves[0].label = "x"
        return shop.name

    workspace.register("read", read_only=True)(read)
    workspace.register("write", read_only=True)(write)

    assert workspace.execute("read", raw=True, shop=shop) == "shop"
    with pytest.raises(UsageError, match="read-only"):
        workspace.execute("write", raw=True, shop=shop)
    assert workspace.head(shop) == 1
    assert workspace.snapshot(shop).shelves[0].label == "s0"


def test_an_entity_class_with_unusual_parameters_still_registers(workspace: Workspace) -> None:
    class Local(Entity):
        n: int = 0

    def bump(local: Local, by: int = 1) -> Local:
        local.n += by
        return local

    bump.__annotations__ = {"local": Local, "by": int, "return": Local}
    workspace.register("bump")(bump)

    assert workspace.execute("bump", local=workspace.add(Local())).n == 1


def test_execute_batch_gives_results_and_exceptions_in_order(
    workspace: Workspace, shop: Ref
) -> None:
    workspace.register("paint")(paint)
    workspace.register("count")(count)

    results = workspace.execute_batch(
        [
            ("paint", {"shop": shop, "colour": "blue"}),
            ("paint", {"shop": shop, "colour": "green"}),
            ("missing", {"shop": shop}),
            ("count", {"shop": shop, "number": 3}),
            ("paint", {"shop": shop}),
        ],
        raw=True,
    )

    assert results[0].name == "blue"
    assert isinstance(results[1], ArgumentError)
    assert isinstance(results[2], NotFoundError)
    assert results[3][0] == 3
    assert results[4].name == "red"
    assert workspace.head(shop) == 3


def test_run_gives_a_receipt(workspace: Workspace, shop: Ref) -> None:
    workspace.register("paint")(paint)

    receipt = workspace.run("paint", {"shop": shop, "colour": "blue"}, execution_id="mine")

    assert receipt.execution_id == "mine"
    assert (receipt.semantic, receipt.version, receipt.changed) == ("mutation", 2, 1)
    assert receipt.outputs == (shop,)
    unchanged = workspace.run("paint", {"shop": shop, "colour": "blue"})
    assert (unchanged.version, unchanged.changed) == (2, 0)
    assert unchanged.execution_id != receipt.execution_id


def test_receipts_of_every_semantic(workspace: Workspace, shop: Ref) -> None:
    def create(shop: Shop) -> Item:
        return Item(name="new")

    def take(shop: Shop) -> Shelf:
        return shop.shelves.pop()

    def tell(shop: Shop) -> int:
        shop.numbers.append(1)
        return len(shop.numbers)

    for function in (create, take, tell):
        workspace.register(function.__name__)(function)

    created = workspace.run("create", {"shop": shop})
    taken = workspace.run("take", {"shop": shop})
    told = workspace.run("tell", {"shop": shop})

    assert (created.semantic, created.version) == ("creation", 1)
    assert (taken.semantic, taken.version) == ("detachment", 2)
    assert (told.semantic, told.version, told.value) == (None, 3, 4)
    assert workspace.snapshot(created.outputs[0]).name == "new"
    assert workspace.snapshot(taken.outputs[0]).label == "s2"


@pytest.mark.timeout(20)
def test_a_result_that_holds_itself_is_refused_and_nothing_changes(
    workspace: Workspace, shop: Ref
) -> None:
    @workspace.register("loop")
    def loop(shop: Shop) -> Any:
        shop.numbers.append(1)
        result: list[Any] = [shop]
        result.append({"again": (result,)})
        return result

    with pytest.raises(ReturnError, match="holds itself"):
        workspace.execute("loop", shop=shop)
    assert workspace.head(shop) == 1
