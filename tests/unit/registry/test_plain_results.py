"""The short way of results does what the long one does: each case is run both ways and compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from registry import Entity, Ref, Workspace, plain_results
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop


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


def made(shop: Shop) -> Item:
    """Return a new root: the long way, both times."""
    return Item(name="made")


def beside(shop: Shop) -> list[Any]:
    """Return a new root beside a member: the long way, both times."""
    return [Item(name="made"), shop.shelves[0]]


CASES = [
    *(child, child_unchanged, root_unchanged, question, several, mixed, numbers),
    *(numbers_unchanged, new_child, new_children, moved, taken_out, made, beside),
]


def shown(value: Any) -> Any:
    """Return a result with what identity says of its entities, as far as that is no id."""
    if isinstance(value, Entity):
        born = value.previous_ecs_id is None
        told = (value.version, value.output_index, len(value.sibling_output_entities), born)
        return type(value).__name__, value.model_dump(), told, len(value.old_ids)
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


@pytest.mark.parametrize("case", CASES[:11], ids=lambda case: str(case.__name__))
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
