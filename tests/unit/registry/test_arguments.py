"""Wrong arguments: one error with callable, parameter, what was given and what was expected."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, TypeVar

import pytest
from pydantic import BaseModel, Field

from registry import ArgumentError, Entity, NotFoundError, Ref, RegistrationError, Workspace
from registry.parameters import show
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop

AnyItem = TypeVar("AnyItem", bound=Item)


class Options(BaseModel):
    """A plain model."""

    depth: int = 1


class Nameless:
    """Cannot be written."""

    def __repr__(self) -> str:
        raise KeyError("no repr")


class Special(Item):
    """A subclass."""


HINTS: dict[str, Any] = {
    "entity": Shop,
    "maybe": Shop | None,
    "either": Item | Shop,
    "items": list[Item],
    "table": dict[str, Item],
    "pair": tuple[Item, int],
    "row": tuple[Item, ...],
    "members": set[Item],
    "frozen": frozenset[Item],
    "nested": dict[str, list[Item]],
    "mixed": list[Item | int],
    "loose": Item | int,
    "few": Annotated[list[Item], Field(max_length=1)],
    "bound": list[AnyItem],  # type: ignore[valid-type]  # as in a signature
    "optional": list[Item] | None,
    "sequence": Sequence[Item],
    "number": int,
    "text": str,
    "options": Options,
    "names": list[str],
}
RAN: list[dict[str, Any]] = []


def callable_of(hint: Any) -> Any:
    """Return a function with one parameter of a hint, which notes what it got."""

    def take(it: Any) -> None:
        RAN.append({"it": it})

    take.__annotations__["it"] = hint
    return take


@pytest.fixture
def workspace() -> Workspace:
    """A workspace with a callable for each hint."""
    RAN.clear()
    workspace = Workspace()
    for name, hint in HINTS.items():
        workspace.register(name)(callable_of(hint))
    return workspace


@pytest.fixture
def shop(workspace: Workspace) -> Ref:
    """A shop."""
    return workspace.add(new_shop())


@pytest.fixture
def item(workspace: Workspace) -> Ref:
    """An item."""
    return workspace.add(Item(name="i"))


PLAIN_WRONG = (5, "x", 1.5, b"b", [3], {"no": 1}, object(), (1,), Nameless(), Options())
SHELF = Shelf(label="orphan")
WRONG: dict[str, tuple[Any, ...]] = {
    "entity": (None, "nobody", 5, [], SHELF, Nameless(), {"name": []}, 10**5_000),
    "maybe": ("nobody", 5, [], SHELF),
    "either": (None, 5, SHELF),
    "items": (
        None,
        5,
        "x",
        {"a": 1},
        SHELF,
        Item(),
        [SHELF],
        [5],
        [None],
        [Item(), SHELF],
        [[Item()]],
    ),
    "table": (None, [Item()], {"a": SHELF}, {1: Item()}, {"a": [Item()]}),
    "pair": (None, (Item(),), (SHELF, 1), (Item(), "x"), (Item(), 1, 2)),
    "row": (None, (SHELF,), (Item(), SHELF), Item()),
    "members": (None, {SHELF}, {5}),
    "frozen": (None, frozenset({SHELF}), frozenset({5})),
    "nested": (None, {"a": Item()}, {"a": [SHELF]}, {"a": [Item(), [SHELF]]}),
    "mixed": (None, [SHELF], ["x"], [1, None]),
    "loose": (None, SHELF, "x", []),
    "few": ([Item(), Item()], [SHELF], None),
    "bound": ([SHELF], [5], None),
    "optional": ([SHELF], 5),
    "sequence": ([SHELF], "x", 5),
    "number": ("x", None, SHELF, [], 1.5, iter(())),
    "text": (5, None, SHELF),
    "options": (5, {"depth": "x"}, SHELF),
    "names": ("x", [5], [SHELF], [[]]),
}


@pytest.mark.parametrize("name", HINTS)
def test_every_wrong_kind_is_one_clear_error_before_anything_runs(
    workspace: Workspace, shop: Ref, name: str
) -> None:
    for wrong in WRONG[name]:
        with pytest.raises(ArgumentError) as caught:
            workspace.execute(name, it=wrong)

        error = caught.value
        assert (error.callable_name, error.parameter) == (name, "it")
        assert error.given
        assert error.expected
        assert len(str(error)) < 1_000
    assert RAN == []
    assert workspace.roots() == [shop]
    assert {each.status for each in workspace.executions()} == {"failed"}


def test_a_callable_without_parameters_refuses_arguments(workspace: Workspace) -> None:
    @workspace.register("bare")
    def bare() -> Item:
        RAN.append({})
        return Item()

    with pytest.raises(ArgumentError) as caught:
        workspace.execute("bare", it=1)

    assert (caught.value.callable_name, caught.value.parameter) == ("bare", "it")
    assert RAN == []


def test_what_was_given_and_expected_is_named_with_its_place(workspace: Workspace) -> None:
    with pytest.raises(ArgumentError) as caught:
        workspace.execute("nested", it={"a": [Item(), SHELF]})

    error = caught.value
    assert "Shelf:" in error.given
    assert error.given.endswith("(dict)")
    assert error.expected.startswith("dict[str, list[")
    assert "(a.1: got Shelf:" in error.expected
    assert error.expected.endswith(", expected Item)")


@pytest.mark.parametrize(
    ("name", "wrap"),
    [
        ("entity", lambda ref: ref),
        ("either", lambda ref: ref),
        ("items", lambda ref: [ref]),
        ("table", lambda ref: {"a": ref}),
        ("nested", lambda ref: {"a": [ref]}),
        ("mixed", lambda ref: [1, ref]),
        ("optional", lambda ref: (ref,)),
    ],
)
def test_a_ref_and_an_address_of_a_wrong_class_are_refused_too(
    workspace: Workspace, shop: Ref, name: str, wrap: Any
) -> None:
    shelf = workspace.ref(workspace.snapshot(shop).shelves[0])

    for given in (shelf, shelf.address, workspace.snapshot(shelf)):
        with pytest.raises(ArgumentError) as caught:
            workspace.execute(name, it=wrap(given))
        assert (caught.value.callable_name, caught.value.parameter) == (name, "it")
        assert "Shelf" in str(caught.value)
    assert RAN == []
    assert workspace.head(shop) == 1


def test_a_ref_that_names_nothing_is_not_found(workspace: Workspace, item: Ref) -> None:
    foreign = Workspace().add(Item())

    for name, given in (("items", [foreign]), ("table", {"a": foreign}), ("loose", foreign)):
        with pytest.raises(NotFoundError):
            workspace.execute(name, it=given)
    assert RAN == []


@pytest.mark.parametrize(
    ("name", "wrap"),
    [
        ("either", lambda each: each),
        ("loose", lambda each: each),
        ("items", lambda each: [each]),
        ("items", lambda each: (each,)),
        ("table", lambda each: {"a": each}),
        ("pair", lambda each: (each, 1)),
        ("row", lambda each: [each]),
        ("members", lambda each: {each}),
        ("frozen", lambda each: frozenset({each})),
        ("nested", lambda each: {"a": [each]}),
        ("mixed", lambda each: [1, each]),
        ("few", lambda each: [each]),
        ("bound", lambda each: [each]),
        ("optional", lambda each: [each]),
        ("sequence", lambda each: (each,)),
    ],
)
def test_what_fits_reaches_the_callable_as_a_live_object(
    workspace: Workspace, item: Ref, name: str, wrap: Any
) -> None:
    tree = workspace.trees.tree(item)

    for given in (item, workspace.snapshot(item), item.address):
        workspace.execute(name, it=wrap(given))
        (got,) = RAN
        RAN.clear()
        live = got["it"]
        while not isinstance(live, Entity):
            members = list(live.values()) if isinstance(live, dict) else list(live)
            live = next(each for each in members if not isinstance(each, int))
        assert live is tree.live(item.key)


def test_collections_arrive_as_the_hint_says(workspace: Workspace, item: Ref) -> None:
    for name, given, cls in (
        ("items", (item,), list),
        ("row", [item], tuple),
        ("members", [item], set),
        ("frozen", [item], frozenset),
        ("sequence", (item,), list),
        ("pair", [item, "7"], tuple),
    ):
        workspace.execute(name, it=given)
        assert type(RAN.pop()["it"]) is cls

    workspace.execute("pair", it=(item, "7"))
    assert RAN.pop()["it"][1] == 7


def test_none_and_values_are_taken_where_the_hint_allows_them(workspace: Workspace) -> None:
    workspace.execute("loose", it=5)
    workspace.execute("optional", it=None)
    workspace.execute("maybe", it=None)
    workspace.execute("mixed", it=[1, "2"])

    assert [each["it"] for each in RAN] == [5, None, None, [1, 2]]


def test_a_dict_becomes_an_entity_where_one_is_expected(workspace: Workspace) -> None:
    workspace.execute("items", it=[{"name": "new"}])
    workspace.execute("entity", it={"name": "new"})

    assert [type(RAN[0]["it"][0]), type(RAN[1]["it"])] == [Item, Shop]


def test_values_between_entities_are_the_callables_own(workspace: Workspace, item: Ref) -> None:
    @workspace.register("own")
    def own(pairs: list[tuple[Item, Options, Any]]) -> None:
        for _, options, anything in pairs:
            options.depth += 1
            anything.append(1)

    options, anything = Options(), [Options()]
    workspace.execute("own", pairs=[(item, options, anything)])

    assert options == Options()
    assert anything == [Options()]


@pytest.mark.parametrize(
    "hint",
    [
        Collection[Item],
        Iterable[Item],
        AbstractSet[Item],
        Mapping[str, Item],
        Sequence[Item | None],
    ],
)
def test_abstract_collections_are_taken(workspace: Workspace, item: Ref, hint: Any) -> None:
    workspace.register("abstract")(callable_of(hint))
    given = {"a": item} if hint == Mapping[str, Item] else [item]

    workspace.execute("abstract", it=given)
    with pytest.raises(ArgumentError):
        workspace.execute("abstract", it={"a": SHELF} if isinstance(given, dict) else [SHELF])

    assert len(RAN.pop()["it"]) == 1


@pytest.mark.parametrize("hint", ["deque[Item]", "dict[Item, int]", "list[defaultdict[str, Item]]"])
def test_entities_where_they_are_not_looked_for_are_refused_at_registration(
    workspace: Workspace, hint: str
) -> None:
    from collections import defaultdict, deque

    with pytest.raises(RegistrationError) as caught:
        workspace.register("odd")(
            callable_of(eval(hint, {"deque": deque, "defaultdict": defaultdict, "Item": Item}))  # noqa: S307 - a hint of this list
        )
    assert "'it'" in str(caught.value)


def test_what_cannot_be_copied_or_is_endless_is_refused(workspace: Workspace) -> None:
    workspace.register("anything")(callable_of(Any))
    workspace.register("lists")(callable_of(list[Item | list[Any]]))
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    loop: list[Any] = []
    loop.append(loop)

    for name, given in (
        ("anything", (each for each in "ab")),
        ("anything", deep),
        ("lists", [deep]),
        ("lists", [loop]),
        ("names", deep),
    ):
        with pytest.raises(ArgumentError):
            workspace.execute(name, it=given)
    assert RAN == []


def test_messages_show_values_in_few_characters(workspace: Workspace, item: Ref) -> None:
    shown = {
        "entity": show(Item()),
        "list": show(workspace.snapshot(workspace.add(new_shop())).shelves),
        "many": show(list(range(10**6))),
        "text": show("x" * 10**6),
        "number": show(10**5_000),
        "nameless": show(Nameless()),
        "ref": show([item]),
    }

    assert [name for name, text in shown.items() if len(text) > 100] == []
    assert shown["entity"].startswith("Item:")
    assert shown["list"].startswith("[Shelf:")
    assert shown["list"].endswith("(list)")
    assert shown["nameless"].endswith("(Nameless)")
    assert "cannot be written" in shown["number"]
    assert shown["ref"].startswith("[@")


def test_a_record_survives_a_value_that_cannot_be_written(workspace: Workspace) -> None:
    workspace.register("anything")(callable_of(Any))

    workspace.execute("anything", it=Nameless())

    assert "cannot be written" in repr(workspace.executions()[-1].arguments)
