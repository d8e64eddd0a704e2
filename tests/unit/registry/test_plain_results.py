"""The short way of results does what the long one does: each case is run both ways and compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import PrivateAttr

from registry import (
    ConfigEntity,
    Entity,
    Ref,
    Workspace,
    plain_changes,
    plain_results,
    plain_several,
)
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop


class Pricing(ConfigEntity):
    """A config of atoms, unless it has tags."""

    factor: float = 1.0
    tags: Any = None


class Ticket(Item):
    """Holds atoms only, if its tags are none; one of them is private."""

    tags: Any = None
    note: str = "note"

    _seen: int = PrivateAttr(default=3)


def tickets(shop: Shop) -> None:
    """Put in what holds atoms only; a change without a result."""
    shelf = shop.shelves[0]
    shelf.items += [Ticket(name=f"t{n}", price=n) for n in range(4)]
    del shelf.items[-2].note


def child(shop: Shop) -> Item:
    """Change and return a child."""
    shop.shelves[0].items[0].price += 9.0
    return shop.shelves[0].items[0]


def child_unchanged(shop: Shop) -> Shelf:
    """Return a child as it is."""
    return shop.shelves[1]


def root_unchanged(shop: Shop) -> Shop:
    """Return the root as it is."""
    return shop


def question(shop: Shop) -> int:
    """Return an atom, and change nothing."""
    return len(shop.shelves)


def several(shop: Shop) -> tuple[Item, Shelf, Item]:
    """Return siblings, one of them twice."""
    item = shop.shelves[0].items[0]
    item.price += 9.0
    return item, shop.shelves[1], item


def mixed(shop: Shop) -> dict[str, Any]:
    """Return entities among plain values, nested."""
    shop.name += "mixed"
    return {"items": list(shop.shelves[0].items), "root": (shop, 3), "numbers": shop.numbers}


def numbers(shop: Shop) -> list[int]:
    """Return a list of the tree."""
    shop.numbers.append(5)
    return shop.numbers


def numbers_unchanged(shop: Shop) -> list[int]:
    """Return a list of the tree, and change nothing."""
    return shop.numbers


def new_child(shop: Shop) -> Item:
    """Return what enters the tree."""
    item = Item(name="new", tags=["a"])
    shop.shelves[0].items.append(item)
    return item


def new_children(shop: Shop) -> list[Item]:
    """Return several that enter the tree."""
    items = [Item(name=f"new{n}") for n in range(2)]
    shop.shelves[0].items.extend(items)
    return items


def moved(shop: Shop) -> Item:
    """Return what moves."""
    item = shop.shelves[0].items.pop()
    shop.shelves[1].items.append(item)
    return item


def taken_out(shop: Shop) -> Item:
    """Return what leaves: the long way, both times."""
    return shop.shelves[0].items.pop()


def taken_out_whole(shop: Shop) -> Item:
    """Return what leaves and holds atoms only, private ones too."""
    tickets(shop) if len(shop.shelves[0].items) < 3 else None
    return shop.shelves[0].items.pop()


def taken_out_written(shop: Shop) -> Item:
    """Return what leaves and was written: the long way, both times."""
    tickets(shop) if len(shop.shelves[0].items) < 3 else None
    ticket = shop.shelves[0].items.pop(-1)
    ticket.price += 1
    return ticket


def dropped(shop: Shop) -> None:
    """Take out what holds atoms only, and return nothing."""
    tickets(shop) if len(shop.shelves[0].items) < 3 else None
    shop.shelves[0].items.pop(2)


def made(shop: Shop) -> Item:
    """Return a new root: the long way, both times."""
    return Item(name="made")


def made_of_atoms(shop: Shop) -> Item:
    """Return a new root that holds atoms only."""
    return Item.model_construct(name="made", price=1, tags=None)  # type: ignore[arg-type]  # no list


def beside(shop: Shop) -> list[Any]:
    """Return a new root beside a member: the long way, both times."""
    return [Item(name="made"), shop.shelves[0]]


CASES = [
    *(child, child_unchanged, root_unchanged, question, several, mixed, numbers),
    *(numbers_unchanged, new_child, new_children, moved, taken_out, made, beside),
    *(taken_out_whole, taken_out_written, dropped, made_of_atoms),
]


def shown(value: Any) -> Any:
    """Return a result with what identity says of its entities, as far as that is no id."""
    if isinstance(value, Entity):
        born = value.previous_ecs_id is None
        told = (value.version, value.output_index, len(value.sibling_output_entities), born)
        state = (value.model_dump(), sorted(value.model_fields_set), value.__pydantic_private__)
        return type(value).__name__, state, told, len(value.old_ids)
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(shown, value))
    return value


def outcome(case: Callable[..., Any], form: str) -> Any:
    """Run a case on a new shop, and return everything that can be compared."""
    workspace = Workspace()
    workspace.register("case")(case)
    shop = workspace.add(new_shop())
    workspace.execute("case", shop=shop)  # so that the straight way is taken, and there is history
    if form == "receipt":
        receipt = workspace.run("case", {"shop": shop})
        result: Any = (receipt.semantic, receipt.version, receipt.changed)
        result += (_named(receipt.value, shop), len(receipt.outputs))
    else:
        result = shown(workspace.execute("case", raw=form == "raw", shop=shop))
    record = workspace.executions()[-1]
    told = (record.status, record.semantic, len(record.outputs), record.changed, record.arguments)
    kinds = (record.strategy, record.pattern, record.parent, len(record.inputs))
    versions = [(tree.before, tree.after) for tree in record.trees]
    changes = [(len(each.changed), len(each.created)) for each in workspace.changes(record)]
    heads = [
        (workspace.head(ref), workspace.snapshot(ref).model_dump()) for ref in workspace.roots()
    ]
    return result, told, kinds, versions, changes, heads


def _named(value: Any, shop: Ref) -> Any:
    """Return a value with refs by whether they are in the tree of the shop."""
    if isinstance(value, Ref):
        return value.root == shop.root
    if isinstance(value, dict):
        return {key: _named(item, shop) for key, item in value.items()}
    return (
        type(value)(_named(i, shop) for i in value) if isinstance(value, (list, tuple)) else value
    )


@pytest.mark.parametrize("form", ["entities", "raw", "receipt"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.__name__))
def test_the_short_way_and_the_long_way_are_one(
    case: Callable[..., Any], form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = outcome(case, form)

    monkeypatch.setattr(plain_results, "conclude", lambda *_: plain_results.UNUSUAL)

    assert outcome(case, form) == short


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.__name__))
def test_what_leaves_a_list_alone_is_found_as_any_other_change(
    case: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    spelled_out = outcome(case, "entities")

    monkeypatch.setattr(plain_changes, "_only_leave", lambda *_: {})

    assert outcome(case, "entities") == spelled_out


USUAL = [*CASES[:11], taken_out_whole, dropped, made, made_of_atoms]


@pytest.mark.parametrize("case", USUAL, ids=lambda case: str(case.__name__))
def test_usual_results_take_the_short_way(
    case: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace()
    workspace.register("case")(case)
    shop = workspace.add(new_shop())
    workspace.run("case", {"shop": shop})
    monkeypatch.setattr("registry.plain._handed_over", _refuse)

    workspace.run("case", {"shop": shop})


def _refuse(*_: Any) -> Any:
    raise AssertionError("handed over")


def test_what_a_result_shares_with_the_tree_is_copied() -> None:
    workspace = Workspace()
    workspace.register("numbers")(numbers_unchanged)
    shop = workspace.add(new_shop())
    workspace.run("numbers", {"shop": shop})

    result = workspace.execute("numbers", raw=True, shop=shop)
    result.append(99)

    assert type(result) is list
    assert workspace.execute("numbers", raw=True, shop=shop) == [3, 1, 2]


# --- several entities, or none ---


def swap(a: Shelf, b: Shelf) -> None:
    """Move within one tree."""
    b.items.append(a.items.pop(0))


def both(a: Shop, b: Shop, name: str) -> Shop:
    """Change two trees, and return the second."""
    a.name, b.name = name, name + name
    return b


def one_of_two(a: Shop, b: Shop) -> int:
    """Change one tree of two."""
    a.numbers.append(1)
    return len(b.numbers)


def across(a: Shop, b: Shop) -> None:
    """Move from tree to tree: the long way, both times."""
    b.shelves.append(a.shelves.pop())


def make(name: str, price: float) -> Item:
    """Make a root of nothing."""
    return Item(name=name, price=price)


def make_of_atoms() -> Item:
    """Make a root of nothing, which holds atoms only."""
    return Item.model_construct(name="made", price=1, tags=None)  # type: ignore[arg-type]  # no list


def add(a: int, b: int) -> int:
    """Know no entity."""
    return a + b


def each_of(shelves: list[Shelf], by: str) -> Shelf:
    """Change what is in a list, and return one of them."""
    for shelf in shelves:
        shelf.label += by
    return shelves[1]


def label(shelf: Shelf, pricing: Pricing) -> None:
    """Use a config, and spoil the copy."""
    shelf.label += str(pricing.factor)
    pricing.factor = 0.0


def tagged(shelf: Shelf, pricing: Pricing) -> Shelf:
    """Use a config of more than atoms, and spoil the copy."""
    shelf.label += str(pricing.tags)
    pricing.tags.append("spoilt")
    return shelf


def twice(a: Shop, b: Shop) -> Shop:
    """Take the same tree twice."""
    assert a is b
    a.name += "!"
    return a


def fails(a: Shop, b: Shop) -> None:
    """Fail, after it wrote."""
    a.name = b.name = "lost"
    raise KeyError("no")


SEVERAL = {
    swap: "shelves",
    both: "shops",
    one_of_two: "shops",
    across: "shops",
    make: "",
    make_of_atoms: "",
    add: "",
    each_of: "list",
    label: "config",
    tagged: "config",
    twice: "same",
    fails: "shops",
}


def outcome_of_several(case: Callable[..., Any], kind: str, form: str) -> Any:
    """Run a case on new shops twice, and return everything that can be compared."""
    workspace = Workspace()
    workspace.register("case")(case)
    a, b = workspace.add(new_shop()), workspace.add(new_shop())
    first: Any = workspace.snapshot(a)
    arguments: dict[str, Any] = {"a": a, "b": b}
    if kind == "shelves":
        arguments = {"a": workspace.ref(first.shelves[0]), "b": workspace.ref(first.shelves[1])}
    elif kind == "same":
        arguments = {"a": a, "b": a}
    elif kind == "list":
        arguments = {"shelves": [workspace.ref(each) for each in first.shelves[:2]], "by": "!"}
    elif kind == "config":
        tags: list[str] | None = ["a"] if case is tagged else None
        pricing = Pricing.model_construct(factor=2.5, tags=tags)
        arguments = {"shelf": workspace.ref(first.shelves[0]), "pricing": pricing}
    elif not kind:
        arguments = {make: {"name": "x", "price": 2.0}, make_of_atoms: {}}.get(
            case, {"a": 1, "b": 2}
        )
    if case is both:
        arguments["name"] = "n"
    results: list[Any] = []
    for _ in range(2):
        try:
            if form == "receipt":
                receipt = workspace.run("case", arguments)
                told = (receipt.semantic, receipt.version, receipt.changed, len(receipt.outputs))
                results.append((*told, _named(receipt.value, b)))
            else:
                results.append(shown(workspace.execute("case", raw=form == "raw", **arguments)))
        except KeyError as error:
            results.append(str(error))
    records = [
        *(
            (each.status, each.semantic, len(each.outputs), each.changed)
            for each in records_of(workspace)
        ),
        *((each.strategy, each.pattern, each.arguments) for each in records_of(workspace)),
        *([(t.before, t.after) for t in each.trees] for each in records_of(workspace)),
        *([name for name, _ in each.inputs] for each in records_of(workspace)),
    ]
    heads = [
        (workspace.head(ref), workspace.snapshot(ref).model_dump()) for ref in workspace.roots()
    ]
    free = all(tree.turn.take_if_free() and tree.txn is None for tree in workspace.trees)
    return results, records, heads, free


def records_of(workspace: Workspace) -> Any:
    """Return the records; those of one tree before those of another, whatever their keys are."""
    return workspace.executions()


@pytest.mark.parametrize("form", ["entities", "raw", "receipt"])
@pytest.mark.parametrize("case", SEVERAL, ids=lambda case: str(case.__name__))
def test_the_short_way_of_several_and_the_long_way_are_one(
    case: Callable[..., Any], form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = outcome_of_several(case, SEVERAL[case], form)

    monkeypatch.setattr(plain_several, "run", lambda *_: plain_several.UNUSUAL)
    long = outcome_of_several(case, SEVERAL[case], form)

    assert _sorted_versions(long) == _sorted_versions(short)
    assert short[-1]


def _sorted_versions(outcome: Any) -> Any:
    """Return an outcome in which nothing depends on the order of the trees' random keys."""
    results, records, heads, free = outcome
    return (
        results,
        [sorted(each) if isinstance(each, list) else each for each in records],
        heads,
        free,
    )
