"""Stored values as plain data and back: all kinds of them, in all containers, as of any version."""

from __future__ import annotations

import dataclasses
import ipaddress
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ConfigDict, Field, PlainSerializer, PlainValidator, PrivateAttr

from registry import Entity, Retention, Workspace
from registry.entity import key_label, label
from registry.errors import (
    JournalDamagedError,
    NotJournalableError,
    StructureError,
    UncopyableError,
)
from registry.history import Cell, DictCell, Node, SetCell, cells_in, same_stored
from registry.ids import new_key
from registry.journal.coding import ENCODERS
from registry.journal.journaled_tree import write_birth
from registry.journal.memory import MemoryJournal
from registry.journal.packing import Unpacker
from registry.journal.states import OTHER, StateReader, StateWriter, field_of
from registry.schema import ABSENT, schema_of
from registry.tree import TreeRegistry
from registry.trees import Trees
from registry.values import Opaque
from tests.model.odd_values import ODD, Changeable, Fixed, Odd, Pair, Plain, Text
from tests.model.values import ATOMS, Label, Point
from tests.unit.registry.journal.images import read_tree, tree_again, written_image


class Loose(Entity):
    """An entity with private attributes and extra fields."""

    model_config = ConfigDict(extra="allow")

    a: int = 0
    _hidden: list[int] = PrivateAttr(default_factory=list)
    _unset: int = PrivateAttr()


class Money:
    """A class that only annotations know how to write."""

    def __init__(self, cents: int) -> None:
        self.cents = cents

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and self.cents == other.cents

    __hash__ = None  # type: ignore[assignment]


MoneyField = Annotated[
    Money,
    PlainValidator(lambda cents: cents if isinstance(cents, Money) else Money(cents)),
    PlainSerializer(lambda money: money.cents, return_type=int),
]


class Account(Entity):
    """An entity with values that only its annotations know how to write."""

    paid: list[MoneyField] = Field(default_factory=list)
    by_name: dict[str, list[MoneyField]] = Field(default_factory=dict)
    balance: MoneyField = Field(default_factory=lambda: Money(0))
    address: ipaddress.IPv4Address | None = None
    below: list[Account] = Field(default_factory=list)


class Holder(Entity):
    """An entity that holds anything."""

    x: Any = None


class Hostile:
    """Raises while it is looked at to be written."""


def _raise(*_: Any) -> Any:
    raise RuntimeError("on purpose")


def tree_of(root: Entity) -> TreeRegistry:
    return Trees(Retention()).adopt(root, 0.0)[0]


def same_tree(a: TreeRegistry, b: TreeRegistry) -> bool:
    """Tell whether two trees hold the same, in containers of the same shape and number."""
    return a.nodes.keys() == b.nodes.keys() and all(
        same_node(node, b.nodes[key]) for key, node in a.nodes.items()
    )


def same_node(a: Node, b: Node) -> bool:
    cells = [(one, other) for x, y in zip(a.state, b.state, strict=True)
             for one, other in zip(cells_in(x), cells_in(y), strict=True)]  # fmt: skip
    return (
        all(map(same, a.state, b.state))
        and all(shape_of(one) == shape_of(other) for one, other in cells)
        and (a.schema, a.opaque, a.born, a.created) == (b.schema, b.opaque, b.born, b.created)
        and (a.parent is None) == (b.parent is None)
        and (a.parent is None or b.parent is None or a.parent.key == b.parent.key)
    )


def same(a: Any, b: Any) -> bool:
    """As `same_stored`, but also of members that can be changed, which are wrapped."""
    if type(a) is SetCell and type(b) is SetCell:
        return bare(a.items) == bare(b.items)
    if isinstance(a, Cell) and isinstance(b, Cell):
        inside = [[*it.items.items()] if type(it) is DictCell else it.items for it in (a, b)]
        return same(tuple(inside[0]), tuple(inside[1]))
    if type(a) is tuple and type(b) is tuple:
        return len(a) == len(b) and all(map(same, a, b))
    if type(a) is frozenset and type(b) is frozenset:
        return bare(a) == bare(b)
    return same_stored(a, b)


def bare(members: Any) -> set[Any]:
    return {(type(each), each.value if type(each) is Opaque else each) for each in members}


def shape_of(cell: Cell) -> tuple[Any, ...]:
    return type(cell), cell.depth, cell.number, cell.node and cell.node.key, type(cell.up)


def atoms() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.sampled_from([*ATOMS, ABSENT]),
        st.integers(),
        st.floats(),
        st.text(st.characters(exclude_categories=())),
    )


def opaque() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(Point, st.integers(), st.integers(), st.lists(st.integers(), max_size=2)),
        st.builds(Label, text=st.text()),
        st.builds(Changeable, st.integers()),
        st.builds(Pair, st.integers(), st.lists(st.integers())),
    )


KEYS = st.one_of(
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=())),
    st.none(),
    st.sampled_from([Fixed(1), Fixed(2), Text("t"), Decimal("1.5")]),
    st.tuples(st.integers(), st.text()),
    st.frozensets(st.integers(), max_size=3),
)


def below(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=4),
        st.lists(st.integers(), min_size=1, max_size=4),
        st.lists(st.builds(Odd), min_size=1, max_size=3),
        st.dictionaries(KEYS, inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.sets(KEYS, max_size=4),
        st.frozensets(KEYS, max_size=4),
    )


VALUES = st.recursive(atoms() | opaque() | st.builds(Odd, x=atoms()), below, max_leaves=15)


@given(VALUES)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_value_below_an_entity_comes_back_exactly(value: Any) -> None:
    """And so does what is beside it: kinds, depths, numbers and owners of containers, children."""
    tree = tree_of(Odd(x=value))

    assert same_tree(tree_again(tree), tree)


REFUSED = {
    *("generator", "iterator", "lock", "thread", "frame", "memoryview", "mapping proxy"),
    *("file", "open file", "exception", "not comparable", "not showable", "without attributes"),
    *("object", "object as dict key", "nan key", "ring", "objects 240 deep", "not copyable"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_value_comes_back_or_is_refused_with_its_field(name: str) -> None:
    try:
        tree = tree_of(Odd(x=ODD[name]()))
    except (StructureError, UncopyableError, RecursionError):
        return  # nothing to be stored at all
    if name not in REFUSED:
        write_birth(tree, StateWriter(0))
        assert same_tree(tree_again(tree), tree)
        return
    with pytest.raises(NotJournalableError) as caught:
        write_birth(tree, StateWriter(0))
    assert caught.value.place.startswith(f"'x' of {key_label(Odd, tree.key)}")


def test_private_attributes_and_extra_fields_come_back() -> None:
    loose = Loose.model_validate({"a": 1, "more": 2})
    loose._hidden.append(3)

    state = tree_again(tree_of(loose)).root_node.state

    assert state[0] == 1
    assert state[1].items == [3]
    assert state[2] is ABSENT
    assert state[3].items == {"more": 2}
    assert state[4] == {"a", "more"}


def test_which_fields_were_set_is_shared_by_all_of_a_class() -> None:
    again = tree_again(tree_of(Odd(kids=[Odd(x=1), Odd(x=2)])))
    first, second = [node for node in again.nodes.values() if node.parent]

    assert first.state[-1] == {"x"}
    assert first.state[-1] is second.state[-1]


def test_a_container_keeps_the_number_that_it_was_first_written_with() -> None:
    """Whoever reads a later change of it finds it by that."""
    tree = tree_of(Odd(x=[[1], {"a": {2}}]))
    states = StateWriter(0)
    [cell, *_] = cells_in(tree.root_node.state[0])
    first = states.container(cell, None)
    numbers = [each.number for each in cells_in(cell)]

    assert states.value(cell) == [KNOWN_, cell.number]
    assert states.container(cell, None) == [first[0], first[1], *map(states.value, cell.items)]
    assert [each.number for each in cells_in(cell)] == numbers
    assert sorted(numbers) == [1, 2, 3, 4]


KNOWN_ = 8


def test_a_fork_gives_other_numbers_than_its_base() -> None:
    states = StateWriter(3)
    cell = tree_of(Odd(x=[1])).root_node.state[0]

    states.value(cell)

    assert cell.number == 3 << 40 | 1
    assert states.last_number == cell.number
    again = StateWriter(3)
    again.begin_after(cell.number)
    assert again.last_number == cell.number


def test_an_older_version_is_read_as_it_was() -> None:
    workspace = Workspace()

    @workspace.register("change")
    def change(odd: Odd, number: int) -> None:
        odd.x["a"][0].append(number)
        odd.x[number] = {number}
        odd.marks.add(number)
        odd.kids.append(Odd(x=number))

    root = Odd(x={"a": ([0], "b")}, kids=[Odd(x=[1])])
    ref = workspace.add(root)
    for number in range(5):
        workspace.execute("change", odd=ref, number=number)
    [tree] = workspace.trees.by_root.values()

    for version in range(1, 7):
        again = tree_again(tree, version)
        expected = workspace.snapshot(ref, version)
        assert len(again.nodes) == 2 + version - 1
        for key, node in again.nodes.items():
            known = tree.nodes[key].state_at(version)
            assert all(
                same_stored(a, known_at(b, version)) for a, b in zip(node.state, known, strict=True)
            )
            assert node.first_stamp == tree.nodes[key].stamp_at(version, 0)
        assert again.root_node.state[0].items["a"][0].items == expected.x["a"][0]


def known_at(stored: Any, version: int) -> Any:
    """Return a stored value as it was, in new cells."""
    if isinstance(stored, Cell):
        items = stored.at(version)
        cell = type(stored)(items, None, None)
        if isinstance(items, dict):
            cell.items = {key: known_at(item, version) for key, item in items.items()}
        elif isinstance(items, list):
            cell.items = [known_at(item, version) for item in items]
        return cell
    if type(stored) is tuple:
        return tuple(known_at(item, version) for item in stored)
    return stored


def test_the_origin_of_an_entity_comes_back() -> None:
    tree = tree_of(Odd(kids=[Odd()]))
    node = next(each for each in tree.nodes.values() if each.parent)
    node.first_stamp, node.source, node.born, node.created = 5, (int(new_key()), 3), 1, 7.5

    states = StateWriter(0)
    states.pack.entries += [states.arrival(tree.root_node), states.arrival(node)]
    states.pack.mark()
    by = StateReader(TreeRegistry(tree.key, Retention()))
    by.open(Unpacker(states.pack.take(), "here"))
    (root, above), (again, parent) = [by.entity(each, 9, 2.5) for each in by.unpack]

    assert (root.first_stamp, root.source, root.born, root.created) == (1, None, 9, 2.5)
    assert above == -1
    assert by.keys[parent] == tree.key
    assert (again.first_stamp, again.source) == (5, node.source)
    assert same_tree(tree_again(tree), tree)


def test_what_is_no_value_is_told() -> None:
    tree = tree_of(Odd())
    states = StateWriter(0)
    written = states.arrival(tree.root_node)
    written[4] = [77]
    states.pack.entries.append(written)
    states.pack.mark()
    by = StateReader(tree)
    by.open(Unpacker(states.pack.take(), "here"))

    with pytest.raises(JournalDamagedError) as caught:
        by.entity(next(iter(by.unpack)), 1, 0.0)

    assert (caught.value.place, caught.value.found) == ("here", "holds a value of kind 77")


def test_a_deep_value_is_written_and_read() -> None:
    value: Any = Point(trail=[1])
    for _ in range(99):
        value = [value, "a"]
    tree = tree_of(Odd(x=value))

    data = written_image(tree, 1)

    assert same_tree(read_tree(tree.key, data), tree)


# --- the way of an annotation ---


def test_what_annotations_write_comes_back_wherever_it_is() -> None:
    tree = tree_of(
        Account(
            paid=[Money(1), Money(2)],
            by_name={"a": [Money(3)]},
            balance=Money(4),
            address=ipaddress.IPv4Address("127.0.0.1"),
            below=[Account(paid=[Money(5)])],
        )
    )

    again = tree_again(tree)

    for key, node in tree.nodes.items():
        assert all(map(same_stored, node.state, again.nodes[key].state))


def test_what_annotations_write_survives_in_changes_of_all_kinds() -> None:
    journal = MemoryJournal()
    workspace = accounts(journal)
    ref = workspace.add(Account(by_name={"a": []}))
    for number in range(1, 5):
        workspace.execute("pay", account=ref, cents=number)

    again = accounts(journal)

    for version in range(1, 6):
        assert cents_in(again.snapshot(ref, version)) == cents_in(workspace.snapshot(ref, version))
    assert cents_in(again.snapshot(ref, 3)) == (
        [1, 2],
        {"a": [2, 1], "1": [1], "2": [2]},
        2,
        ipaddress.IPv4Address(2),
        [(1, [1]), (2, [2])],
    )


def cents_in(account: Any) -> tuple[Any, ...]:
    return (
        [each.cents for each in account.paid],
        {name: [each.cents for each in all_of] for name, all_of in account.by_name.items()},
        account.balance.cents,
        account.address,
        [(each.balance.cents, [it.cents for it in each.paid]) for each in account.below],
    )


def accounts(journal: MemoryJournal) -> Workspace:
    workspace = Workspace(store=journal)

    @workspace.register("pay")
    def pay(account: Account, cents: int) -> None:
        account.paid.append(Money(cents))
        account.by_name["a"].insert(0, Money(cents))
        account.by_name[str(cents)] = [Money(cents)]
        account.balance = Money(cents)
        account.address = ipaddress.IPv4Address(cents)
        account.below.append(Account(balance=Money(cents), paid=[Money(cents)]))

    return workspace


# --- what is refused, before anything is stored ---


def holders(journal: MemoryJournal, put: Callable[[Holder], None]) -> Workspace:
    workspace = Workspace(store=journal)

    @workspace.register("put")
    def put_in(holder: Holder) -> None:
        put(holder)

    return workspace


@dataclasses.dataclass(frozen=True, eq=False)
class Itself:
    """Equal to itself only."""

    number: int = 0


def _set(holder: Holder, value: Any) -> None:
    holder.x = value


PUTS: dict[str, Callable[[Holder], None]] = {
    "key of a new dict": lambda it: _set(it, {math.nan: 1}),
    "key of a dict": lambda it: it.x["table"].update({math.nan: 1}),
    "a key among others": lambda it: it.x["table"].update({1.0: 1, math.nan: 1}),
    "member of a new set": lambda it: _set(it, {math.nan}),
    "member of a set": lambda it: it.x["marks"].add(math.nan),
    "member of a frozenset": lambda it: _set(it, frozenset({math.nan})),
    "in a tuple": lambda it: it.x["marks"].add((1, math.nan)),
    "complex": lambda it: it.x["marks"].add(complex(0, math.nan)),
    "decimal": lambda it: it.x["table"].update({Decimal("NaN"): 1}),
    "data": lambda it: it.x["marks"].add(Fixed(math.nan)),  # type: ignore[arg-type]  # any number
    "equal to itself only": lambda it: it.x["marks"].add(Itself()),
    "of a new entity": lambda it: it.x["list"].append(Holder(x={math.nan: 1})),
    "set of a new entity": lambda it: it.x["list"].append(Holder(x={math.nan})),
    "deep in a new entity": lambda it: it.x["list"].append(Holder(x=[[{math.nan}]])),
}


@pytest.mark.parametrize("name", PUTS)
def test_a_key_that_would_not_be_found_again_is_refused(name: str) -> None:
    journal = MemoryJournal()
    workspace = holders(journal, PUTS[name])
    root = Holder(x={"table": {}, "marks": set(), "list": []})
    ref = workspace.add(root)
    before = workspace.snapshot(ref).model_dump()

    with pytest.raises(NotJournalableError) as caught:
        workspace.execute("put", holder=ref)

    assert "'x' of Holder:" in caught.value.place
    assert "key" in caught.value.reason
    assert workspace.head(ref) == 1
    assert workspace.snapshot(ref).model_dump() == before
    assert holders(journal, PUTS[name]).snapshot(ref).model_dump() == before


@pytest.mark.parametrize(
    "value", [{math.nan: 1}, {math.nan}, [{(1, math.nan)}], {1: frozenset({math.nan})}], ids=str
)
def test_a_root_with_such_a_key_is_refused(value: Any) -> None:
    journal = MemoryJournal()
    root = Holder(x=value)

    with pytest.raises(NotJournalableError) as caught:
        Workspace(store=journal).add(root)

    assert caught.value.place.startswith(f"'x' of {label(root)}")
    assert Workspace(store=journal).roots() == []


def test_nan_is_fine_where_it_is_no_key() -> None:
    journal = MemoryJournal()
    workspace = holders(journal, lambda it: it.x.update({1.5: math.nan, -math.inf: [math.nan]}))
    ref = workspace.add(Holder(x={}))

    workspace.execute("put", holder=ref)

    again = Workspace(store=journal).snapshot(ref)
    assert list(again.x) == [1.5, -math.inf]
    assert math.isnan(again.x[1.5])
    assert math.isnan(again.x[-math.inf][0])


@pytest.mark.parametrize("kind", ["field", "arrival"])
def test_what_an_object_raises_while_it_is_written_is_a_refusal(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(holder: Holder) -> None:
        if kind == "field":
            holder.x = [Hostile()]
        else:
            holder.x["list"].append(Holder(x=Hostile()))

    monkeypatch.setitem(ENCODERS, Hostile, _raise)
    workspace = holders(MemoryJournal(), put)
    ref = workspace.add(Holder(x={"list": []}))

    with pytest.raises(NotJournalableError) as caught:
        workspace.execute("put", holder=ref)

    assert caught.value.place.startswith("'x' of Holder:")
    assert caught.value.reason == "RuntimeError: on purpose"
    assert workspace.head(ref) == 1


def test_a_codec_that_raises_is_a_refusal_and_the_writer_goes_on() -> None:
    states = StateWriter(0)
    with pytest.raises(NotJournalableError):
        states.plain(Opaque([[Plain()]]), "here")

    assert states.value(10**50) == [OTHER, 10**50]
    assert states.value(Opaque([1])) == [OTHER, [20, [1, 1]]]


def test_the_field_of_a_container_is_found_however_deep_it_is() -> None:
    node = tree_of(Odd(table={"a": ([1],)}, x=[])).root_node
    [*_, deepest] = cells_in(node.state[schema_of(Odd).index["table"]])

    assert field_of(deepest) == "table"


# --- classes that are refused before there are entities of them ---


class Never(Entity):
    """An entity with a field that no journal can keep."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    inner: Plain | None = None
    must: list[Plain] = Field(default_factory=list)


def test_a_callable_that_takes_a_class_that_cannot_be_kept_is_refused() -> None:
    workspace = Workspace(store=MemoryJournal())

    def take(it: Never) -> None: ...

    def take_all(those: list[Never]) -> None: ...

    for function in (take, take_all):
        with pytest.raises(NotJournalableError) as caught:
            workspace.register()(function)

        assert (caught.value.place, caught.value.kind) == ("Never.inner", "Plain")
        assert "register_codec" in str(caught.value)
        assert not workspace.callables()


def test_a_root_of_a_class_that_cannot_be_kept_is_refused() -> None:
    workspace = Workspace(store=MemoryJournal())

    for add in (workspace.add, workspace.add_owned):
        with pytest.raises(NotJournalableError) as caught:
            add(Never())
        assert caught.value.place == "Never.inner"
    assert workspace.roots() == []


def test_without_a_store_any_class_will_do() -> None:
    workspace = Workspace()

    @workspace.register("take")
    def take(it: Never) -> None: ...

    workspace.execute("take", it=workspace.add(Never()))
