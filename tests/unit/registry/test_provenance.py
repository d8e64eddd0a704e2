"""Why a value is what it is: executions, what they borrowed, and what it was copied from."""

from __future__ import annotations

import re
from typing import Any

import pytest

from registry import Address, PathError, PrunedError, Ref, Retention, Why, Workspace, parse_address
from registry.provenance import Input
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop


def rename(shop: Shop, name: str, star: Item | None = None) -> None:
    shop.name = name


def grow(shop: Shop, n: int) -> None:
    shop.numbers.append(n)


def copy(shop: Shop) -> Item:
    assert shop.star is not None
    return shop.star.model_copy()


def price(item: Item, price: float) -> None:
    item.price = price


def drop(shop: Shop) -> None:
    shop.shelves.pop()


@pytest.fixture
def workspace() -> Workspace:
    """A workspace that knows the functions above."""
    workspace = Workspace()
    for function in (rename, grow, copy, price, drop):
        workspace.register(function.__name__)(function)
    return workspace


@pytest.fixture
def shop(workspace: Workspace) -> Ref:
    """A shop."""
    return workspace.add(new_shop())


def steps(found: Why) -> list[tuple[int, Any, Any, str | None]]:
    return [(step.version, step.old, step.new, step.callable) for step in found.steps]


def borrowed(workspace: Workspace, address: str) -> Address:
    """Return an address as an argument where texts belong."""
    return parse_address(address)


def test_the_steps_are_the_executions_that_wrote_the_field_newest_first(
    workspace: Workspace, shop: Ref
) -> None:
    star = workspace.ref(workspace.at(f"{shop.address}.star", 1))
    first = workspace.snapshot(star).ecs_id
    workspace.execute("rename", shop=shop, name="b", star=star)
    workspace.execute("grow", shop=shop, n=1)
    workspace.execute("rename", shop=shop, name="c")
    records = workspace.executions()

    found = workspace.why(f"{shop.address}.name")

    assert steps(found) == [
        (4, "b", "c", "rename"),
        (2, "shop", "b", "rename"),
        (1, None, "shop", None),
    ]
    assert found.is_complete
    assert found.original is None
    assert [step.record for step in found.steps] == [records[2], records[0], None]
    assert found.steps[1].arguments == (("name", "b"),)
    assert found.steps[1].inputs == (
        Input("shop", f"@{workspace.history(shop)[0].ecs_id}"),
        Input("star", f"@{first}"),
    )
    assert workspace.get(found.steps[1].address) == "b"


def test_a_version_id_asks_about_that_version(workspace: Workspace, shop: Ref) -> None:
    workspace.execute("rename", shop=shop, name="b")
    old = workspace.snapshot(shop)
    workspace.execute("rename", shop=shop, name="c")

    for target in (f"@{old.ecs_id}.name", Address(old.ecs_id, ("name",))):
        assert [step.new for step in workspace.why(target).steps] == ["b", "shop"]
    assert [step.version for step in workspace.why(old).steps] == [2, 1]
    assert [step.version for step in workspace.why(shop).steps] == [3, 2, 1]


def test_a_path_through_children_is_about_the_child_that_is_there(
    workspace: Workspace, shop: Ref
) -> None:
    def turn(shop: Shop) -> None:
        shop.shelves.reverse()

    workspace.register("turn")(turn)
    item = workspace.ref(workspace.at(f"{shop.address}.shelves.0.items.0", 1))
    workspace.execute("price", item=item, price=5.0)
    workspace.execute("turn", shop=shop)
    here = f"{shop.address}.shelves.2.items.0"

    found = workspace.why(f"{here}.price")

    assert found.address == f"{item.address}.price"
    assert steps(found) == [(2, 0.0, 5.0, "price"), (1, None, 0.0, None)]
    assert workspace.why(here) == workspace.why(item)
    workspace.execute("drop", shop=shop)
    gone = workspace.why(f"{here}.price")
    first = gone.steps[0]
    assert (first.version, first.is_there, first.callable) == (4, False, "drop")


def test_a_borrowed_argument_goes_on_to_its_source_as_it_was_then(
    workspace: Workspace, shop: Ref
) -> None:
    other = workspace.add(Shop(name="first"))
    workspace.execute("rename", shop=other, name="second")
    source = borrowed(workspace, f"{other.address}.name")
    read = f"@{workspace.snapshot(other).ecs_id}.name"
    workspace.execute("rename", shop=shop, name=source)
    workspace.execute("rename", shop=other, name="third")

    (step, _) = workspace.why(f"{shop.address}.name").steps

    assert (step.new, step.callable) == ("second", "rename")
    (taken,) = step.borrowed
    assert (taken.parameter, taken.address, taken.problem) == ("name", read, "")
    assert taken.why is not None
    assert steps(taken.why) == [(2, "first", "second", "rename"), (1, None, "first", None)]
    assert step.inputs == (Input("shop", f"@{workspace.history(shop)[0].ecs_id}"),)


def test_asking_on_ends_at_the_depth(workspace: Workspace, shop: Ref) -> None:
    for _ in range(6):
        here = borrowed(workspace, f"{shop.address}.name")
        workspace.execute("grow", shop=shop, n=1)
        workspace.execute("rename", shop=workspace.add(Shop(name="other")), name=here)
        shop = workspace.roots()[-1]

    def deep(found: Why | None) -> int:
        if found is None:
            return 0
        inner = [each.why for step in found.steps for each in step.borrowed]
        return 1 + max(map(deep, inner), default=0)

    address = f"{shop.address}.name"

    assert [deep(workspace.why(address, depth=depth)) for depth in (0, 1, 2)] == [1, 2, 3]
    assert [deep(workspace.why(address)), deep(workspace.why(address, depth=99))] == [4, 7]


def test_a_copy_goes_on_to_its_original(workspace: Workspace, shop: Ref) -> None:
    star = workspace.ref(workspace.at(f"{shop.address}.star", 1))
    workspace.execute("price", item=star, price=2.0)
    original = workspace.snapshot(star).ecs_id
    made = workspace.ref(workspace.execute("copy", shop=shop))
    workspace.execute("price", item=made, price=3.0)
    workspace.execute("price", item=star, price=9.0)

    found = workspace.why(f"{made.address}.price")

    assert steps(found) == [(2, 2.0, 3.0, "price"), (1, None, 2.0, "copy")]
    assert found.original is not None
    assert found.original.address == f"@{original}.price"
    assert found.original.why is not None
    assert steps(found.original.why) == [(2, 1.0, 2.0, "price"), (1, None, 1.0, None)]
    whole = workspace.why(made).original
    assert whole is not None
    assert whole.address == f"@{original}"


def test_what_an_original_was_is_left_open_where_it_is_unknown(workspace: Workspace) -> None:
    elsewhere = Workspace()
    item = elsewhere.snapshot(elsewhere.add(Item(name="foreign")))
    copied = workspace.add(item)

    found = workspace.why(f"{copied.address}.name")

    assert found.original is not None
    assert found.original.why is None
    assert "is not in this workspace" in found.original.problem


def test_an_entity_as_a_whole_has_the_fields_that_changed(workspace: Workspace, shop: Ref) -> None:
    star = workspace.ref(workspace.at(f"{shop.address}.star", 1))
    shelf = workspace.ref(workspace.at(f"{shop.address}.shelves.2", 1))
    workspace.execute("price", item=star, price=2.0)
    workspace.execute("drop", shop=shop)

    own, began = workspace.why(star).steps
    below = workspace.why(shop).steps[1]
    gone = workspace.why(shelf).steps[0]

    assert [(each.ref, each.field, each.old, each.new) for each in own.changes] == [
        (star, "price", 1.0, 2.0)
    ]
    assert began.changes == below.changes == ()
    assert (gone.is_there, gone.callable) == (False, "drop")


def test_a_record_that_is_no_longer_kept_is_said_to_be() -> None:
    workspace = Workspace(retention=Retention(records=1))
    workspace.register("rename")(rename)
    shop = workspace.add(new_shop())
    workspace.execute("rename", shop=shop, name="b")
    workspace.execute("rename", shop=shop, name="c")

    found = workspace.why(f"{shop.address}.name")

    assert [step.record is None for step in found.steps] == [False, True, True]
    assert found.steps[1].execution_id is not None
    assert str(found).count("its record is no longer kept") == 1


def test_versions_that_are_no_longer_kept_and_a_limit_leave_it_incomplete() -> None:
    workspace = Workspace(retention=Retention(versions=3))
    workspace.register("rename")(rename)
    shop = workspace.add(new_shop())
    first = workspace.history(shop)[0].ecs_id
    for number in range(30):
        workspace.execute("rename", shop=shop, name=f"v{number}")

    found = workspace.why(f"{shop.address}.name")

    assert [step.new for step in found.steps] == ["v29", "v28", "v27"]
    assert not found.is_complete
    assert str(found).splitlines()[-1] == ("  ... what was before is not shown, or no longer kept")
    with pytest.raises(PrunedError):
        workspace.why(f"@{first}.name")
    some = workspace.why(f"{shop.address}.name", limit=2)
    assert [step.old for step in some.steps] == ["v28", "v27"]
    assert not some.is_complete
    with pytest.raises(ValueError, match="limit=0"):
        workspace.why(shop, limit=0)


def test_it_reads_as_text(workspace: Workspace, shop: Ref) -> None:
    other = workspace.add(Shop(name="source"))
    workspace.execute("rename", shop=shop, name=borrowed(workspace, f"{other.address}.name"))

    text = str(workspace.why(f"{shop.address}.name"))

    time = r"[-\d]+ [:\d]+\+00:00"
    expected = (
        rf"{shop.address}\.name\n"
        rf"  version 2: 'shop' -> 'source' by rename, {time} \(execution \w+\)\n"
        r"      shop = @[-\w]+\n"
        r"      star = None\n"
        r"      name borrowed from @[-\w]+\.name\n"
        rf"        version 1: 'source' as adopted, {time}\n"
        rf"  version 1: 'shop' as adopted, {time}"
    )
    assert re.fullmatch(expected, text), text


def test_an_entity_that_changed_below_and_one_that_came_back_are_told_apart(
    workspace: Workspace, shop: Ref
) -> None:
    last = workspace.ref(workspace.at(f"{shop.address}.shelves.-1", 1))
    item = workspace.ref(workspace.at(f"{last.address}.items.0", 1))
    workspace.execute("price", item=item, price=3.0)
    workspace.execute("drop", shop=shop)
    workspace.revert(shop, 2)

    text = str(workspace.why(last))

    titles = re.findall(r"version (\d): (.*?) (?:by|as) ", text)
    assert titles == [
        ("4", "came back"),
        ("3", "went away"),
        ("2", "something below it changed"),
        ("1", "began"),
    ]


def test_a_value_whose_text_cannot_be_had_is_named_by_its_class(
    workspace: Workspace, shop: Ref
) -> None:
    workspace.execute("grow", shop=shop, n=10**5000)

    assert "n = <a int that cannot be written>" in str(workspace.why(f"{shop.address}.numbers"))


def test_a_path_that_leads_nowhere_is_refused(workspace: Workspace, shop: Ref) -> None:
    with pytest.raises(PathError):
        workspace.why(f"{shop.address}.nothing")
    shelf = workspace.add(Shelf())
    assert [step.is_first for step in workspace.why(shelf).steps] == [True]
    assert str(workspace.why(shelf)).splitlines()[1].startswith("  version 1: began as adopted")
