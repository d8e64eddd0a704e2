"""Every mutating method of list, dict and set is seen, undone and refused as it should be.

The methods are discovered from the builtins: what is not a known reader must have cases below, so
that a method which a new Python brings fails the test instead of passing by unseen.
"""

# Cases are written as expressions; the operator module's in-place functions have no hints.
# mypy: disable-error-code="func-returns-value, no-untyped-call"
from __future__ import annotations

import bisect
import contextlib
import copy
import heapq
import json
import operator
import pickle
import random
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from registry import Ref, Workspace
from registry.errors import WriteError
from tests.unit.registry.conftest import Do

OBJECT = set(dir(object))
LIST_READERS = {
    "__add__", "__class_getitem__", "__contains__", "__getitem__", "__iter__", "__len__",
    "__mul__", "__reversed__", "__rmul__", "copy", "count", "index",
}  # fmt: skip
DICT_READERS = {
    "__class_getitem__", "__contains__", "__getitem__", "__iter__", "__len__", "__or__",
    "__reversed__", "__ror__", "copy", "fromkeys", "get", "items", "keys", "values",
}  # fmt: skip
SET_READERS = {
    "__and__", "__class_getitem__", "__contains__", "__iter__", "__len__", "__or__", "__rand__",
    "__ror__", "__rsub__", "__rxor__", "__sub__", "__xor__", "copy", "difference", "intersection",
    "isdisjoint", "issubset", "issuperset", "symmetric_difference", "union",
}  # fmt: skip

Case = tuple[str, Callable[[Any], Any]]


def failing(*items: Any) -> Iterator[Any]:
    """Yield *items*, then raise."""
    yield from items
    raise ArithmeticError("half way")


class Unordered:
    """Cannot be compared, so sorting fails in the middle."""

    def __lt__(self, other: object) -> bool:
        raise ArithmeticError("unordered")


class Pairs:
    """What `dict.update` takes for a mapping: keys and items, nothing else."""

    def keys(self) -> list[str]:
        """Return the keys."""
        return ["p", "q"]

    def __getitem__(self, key: str) -> int:
        return ord(key)


class BrokenPairs(Pairs):
    """Fails at its second key."""

    def __getitem__(self, key: str) -> int:
        if key == "q":
            raise ArithmeticError("half way")
        return 1


LIST_CASES: dict[str, list[Callable[[Any], Any]]] = {
    "append": [lambda o: o.append(7), lambda o: o.append(None), lambda o: o.append()],
    "clear": [lambda o: o.clear(), lambda o: o.clear(1)],
    "extend": [
        lambda o: o.extend([7, 8]),
        lambda o: o.extend(n for n in (7, 8)),
        lambda o: o.extend("ab"),
        lambda o: o.extend(()),
        lambda o: o.extend(o),
        lambda o: o.extend({5: 6}),
        lambda o: o.extend(failing(7, 8)),
        lambda o: o.extend(5),
        lambda o: o.extend(reversed(o)),
    ],
    "insert": [
        lambda o: o.insert(0, 7),
        lambda o: o.insert(100, 7),
        lambda o: o.insert(-100, 7),
        lambda o: o.insert(-1, 7),
        lambda o: o.insert(True, 7),
        lambda o: o.insert("0", 7),
    ],
    "pop": [
        lambda o: o.pop(),
        lambda o: o.pop(0),
        lambda o: o.pop(-2),
        lambda o: o.pop(99),
        lambda o: o.pop(-99),
        lambda o: o.pop("0"),
        lambda o: [o.pop() for _ in range(4)],
    ],
    "remove": [lambda o: o.remove(1), lambda o: o.remove(True), lambda o: o.remove(99)],
    "reverse": [lambda o: o.reverse(), lambda o: o.reverse(1)],
    "sort": [
        lambda o: o.sort(),
        lambda o: o.sort(reverse=True),
        lambda o: o.sort(key=lambda n: -n),
        lambda o: o.sort(key=lambda n: 1 // (n - 1)),
        lambda o: o.sort(lambda n: n),
        lambda o: (o.append(Unordered()), o.sort()),
        lambda o: (o.append("x"), o.sort()),
        lambda o: o.sort(key=lambda n: o.append(n)),
        lambda o: o.sort(key=lambda n: len(o)),
    ],
    "__setitem__": [
        lambda o: operator.setitem(o, 0, 7),
        lambda o: operator.setitem(o, -1, 7),
        lambda o: operator.setitem(o, 99, 7),
        lambda o: operator.setitem(o, -99, 7),
        lambda o: operator.setitem(o, "0", 7),
        lambda o: operator.setitem(o, True, 7),
        lambda o: operator.setitem(o, slice(None), o),
        lambda o: operator.setitem(o, slice(1, 2), [7, 8, 9]),
        lambda o: operator.setitem(o, slice(2, 1), [7, 8, 9]),
        lambda o: operator.setitem(o, slice(5, 99), "ab"),
        lambda o: operator.setitem(o, slice(None, None, 2), [7, 8]),
        lambda o: operator.setitem(o, slice(None, None, 2), [7]),
        lambda o: operator.setitem(o, slice(None, None, -1), o),
        lambda o: operator.setitem(o, slice(None, None, -2), (7, 8)),
        lambda o: operator.setitem(o, slice(-2, None), (n for n in (7, 8, 9))),
        lambda o: operator.setitem(o, slice(1, 1), o),
        lambda o: operator.setitem(o, slice(None), failing(7)),
        lambda o: operator.setitem(o, slice(None), 5),
        lambda o: operator.setitem(o, slice(None, None, 0), []),
        lambda o: operator.setitem(o, slice(2, 0, -1), [7, 8]),
        lambda o: operator.setitem(o, slice(-1, -4, -1), [7, 8, 9]),
        lambda o: operator.setitem(o, slice(0, 0, 3), []),
    ],
    "__delitem__": [
        lambda o: operator.delitem(o, 0),
        lambda o: operator.delitem(o, -1),
        lambda o: operator.delitem(o, 99),
        lambda o: operator.delitem(o, "0"),
        lambda o: operator.delitem(o, slice(None)),
        lambda o: operator.delitem(o, slice(1, 2)),
        lambda o: operator.delitem(o, slice(2, 1)),
        lambda o: operator.delitem(o, slice(None, None, 2)),
        lambda o: operator.delitem(o, slice(None, None, -2)),
        lambda o: operator.delitem(o, slice(2, None, -1)),
        lambda o: operator.delitem(o, slice(None, None, 0)),
    ],
    "__iadd__": [
        lambda o: operator.iadd(o, [7]) is o,
        lambda o: operator.iadd(o, o) is o,
        lambda o: operator.iadd(o, "ab") is o,
        lambda o: operator.iadd(o, failing(7, 8)),
        lambda o: operator.iadd(o, 5),
    ],
    "__imul__": [
        lambda o: operator.imul(o, 2) is o,
        lambda o: operator.imul(o, 1) is o,
        lambda o: operator.imul(o, 0) is o,
        lambda o: operator.imul(o, -1) is o,
        lambda o: operator.imul(o, "x"),
        lambda o: operator.imul(o, 1.0),
    ],
    "__init__": [lambda o: o.__init__([7, 8]), lambda o: o.__init__()],
}
DICT_CASES: dict[str, list[Callable[[Any], Any]]] = {
    "clear": [lambda o: o.clear()],
    "pop": [
        lambda o: o.pop("a"),
        lambda o: o.pop("z"),
        lambda o: o.pop("z", 5),
        lambda o: o.pop("z", None),
        lambda o: o.pop(),
        lambda o: o.pop([]),
    ],
    "popitem": [lambda o: o.popitem(), lambda o: [o.popitem() for _ in range(3)]],
    "setdefault": [
        lambda o: o.setdefault("a", 7),
        lambda o: o.setdefault("z", 7),
        lambda o: o.setdefault("z"),
        lambda o: o.setdefault([], 1),
        lambda o: o.setdefault("z", []).append(4),
    ],
    "update": [
        lambda o: o.update({"z": 7, "a": 8}),
        lambda o: o.update([("z", 7), ("a", 8)]),
        lambda o: o.update(z=7, a=8),
        lambda o: o.update({"z": 7}, z=8),
        lambda o: o.update(),
        lambda o: o.update(o),
        lambda o: o.update(Pairs()),
        lambda o: o.update(BrokenPairs()),
        lambda o: o.update(failing(("z", 7), ("y", 8))),
        lambda o: o.update([("z", 7), ("y",)]),
        lambda o: o.update([("z", 7), 5]),
        lambda o: o.update(5),
        lambda o: o.update({}, {}),
        lambda o: o.update(["xy", "zw"]),
        lambda o: o.update(OrderedDict(z=1)),
        lambda o: o.update((k, v + 1) for k, v in list(o.items())),
        lambda o: o.update((k, o.pop("b")) for k in ["q"]),
    ],
    "__setitem__": [
        lambda o: operator.setitem(o, "z", 7),
        lambda o: operator.setitem(o, "a", 7),
        lambda o: operator.setitem(o, "a", 1),
        lambda o: operator.setitem(o, "a", True),
        lambda o: operator.setitem(o, [], 7),
        lambda o: operator.setitem(o, "a", o.pop("a")),
        lambda o: operator.setitem(o, "b", o.pop("b")),
    ],
    "__delitem__": [
        lambda o: operator.delitem(o, "a"),
        lambda o: operator.delitem(o, "z"),
        lambda o: operator.delitem(o, []),
    ],
    "__ior__": [
        lambda o: operator.ior(o, {"z": 7}) is o,
        lambda o: operator.ior(o, [("z", 7)]) is o,
        lambda o: operator.ior(o, o) is o,
        lambda o: operator.ior(o, failing(("z", 7))),
        lambda o: operator.ior(o, 5),
    ],
    "__init__": [lambda o: o.__init__({"z": 7}), lambda o: o.__init__()],
}
SET_CASES: dict[str, list[Callable[[Any], Any]]] = {
    "add": [lambda o: o.add(7), lambda o: o.add(1), lambda o: o.add(True), lambda o: o.add([])],
    "clear": [lambda o: o.clear()],
    "discard": [
        lambda o: o.discard(1),
        lambda o: o.discard(99),
        lambda o: o.discard(1.0),
        lambda o: o.discard([]),
        lambda o: o.discard({1}),
    ],
    "remove": [
        lambda o: o.remove(1),
        lambda o: o.remove(99),
        lambda o: o.remove([]),
        lambda o: (o.add(frozenset({5})), o.remove({5})),
    ],
    "pop": [
        lambda o: (o.intersection_update({1}), o.pop()),
        lambda o: sorted(o.pop() for _ in range(3)),
        lambda o: [o.pop() for _ in range(4)],
    ],
    "update": [
        lambda o: o.update([7, 8]),
        lambda o: o.update([7], {8}, "ab"),
        lambda o: o.update(),
        lambda o: o.update(o),
        lambda o: o.update(failing(7, 8)),
        lambda o: o.update([7], [[]]),
        lambda o: o.update(5),
        lambda o: o.update({7: 8}),
    ],
    "intersection_update": [
        lambda o: o.intersection_update([1, 2]),
        lambda o: o.intersection_update([1, 2], {2}),
        lambda o: o.intersection_update(),
        lambda o: o.intersection_update(failing(1)),
        lambda o: o.intersection_update([1.0, True]),
    ],
    "difference_update": [
        lambda o: o.difference_update([1, 2]),
        lambda o: o.difference_update([1], {2}),
        lambda o: o.difference_update(),
        lambda o: o.difference_update(o),
        lambda o: o.difference_update(failing(1)),
    ],
    "symmetric_difference_update": [
        lambda o: o.symmetric_difference_update([1, 7]),
        lambda o: o.symmetric_difference_update([7, 7]),
        lambda o: o.symmetric_difference_update(o),
        lambda o: o.symmetric_difference_update(failing(1)),
        lambda o: o.symmetric_difference_update([1], [2]),
    ],
    "__ior__": [
        lambda o: operator.ior(o, {7}) is o,
        lambda o: operator.ior(o, frozenset({7})) is o,
        lambda o: operator.ior(o, {7: 1}.keys()) is o,
        lambda o: operator.ior(o, [7]),
    ],
    "__iand__": [
        lambda o: operator.iand(o, {1, 9}) is o,
        lambda o: operator.iand(o, o) is o,
        lambda o: operator.iand(o, [1]),
    ],
    "__isub__": [
        lambda o: operator.isub(o, {1, 9}) is o,
        lambda o: operator.isub(o, o) is o,
        lambda o: operator.isub(o, [1]),
    ],
    "__ixor__": [
        lambda o: operator.ixor(o, {1, 9}) is o,
        lambda o: operator.ixor(o, o) is o,
        lambda o: operator.ixor(o, [1]),
    ],
    "__init__": [lambda o: o.__init__([7, 8]), lambda o: o.__init__()],
}

KINDS: dict[str, tuple[type, set[str], dict[str, list[Callable[[Any], Any]]], Any]] = {
    "numbers": (list, LIST_READERS, LIST_CASES, [3, 1, 2]),
    "table": (dict, DICT_READERS, DICT_CASES, {"a": 1, "b": 2}),
    "marks": (set, SET_READERS, SET_CASES, {1, 2, 3}),
}
ALL = [
    pytest.param(field, case, id=f"{kind.__name__}.{name}-{number}")
    for field, (kind, _, cases, _) in KINDS.items()
    for name, group in cases.items()
    for number, case in enumerate(group)
]


def outcome(function: Callable[[Any], Any], target: Any) -> tuple[str, Any]:
    """Return what a call gave: ("returned", value) or ("raised", type).

    Texts are left out: those about argument counts say which function was called.
    """
    try:
        return ("returned", function(target))
    except Exception as error:  # noqa: BLE001 - whatever the builtin raises is the specification
        return ("raised", type(error))


def shown(value: Any) -> Any:
    """Return a form in which 1 and True, and two orders of a dict, differ."""
    if isinstance(value, dict):
        return [(k, shown(v)) for k, v in value.items()]
    if isinstance(value, list | tuple):
        return [shown(v) for v in value]
    if isinstance(value, set):
        return sorted(map(repr, value))
    return repr(value) if not isinstance(value, Unordered) else "unordered"


@pytest.mark.parametrize("field", KINDS)
def test_every_method_of_the_builtin_is_a_known_reader_or_has_cases(field: str) -> None:
    """A method that a new Python brings must be sorted into one of the two."""
    kind, readers, cases, _ = KINDS[field]
    methods = {name for name in dir(kind) if name not in OBJECT or name == "__init__"}

    assert methods == readers | cases.keys()


@pytest.mark.parametrize("field", KINDS)
def test_the_tracked_class_is_a_real_subclass_and_overrides_every_mutator(
    do: Do, field: str
) -> None:
    """Reads are native; no mutator is."""
    kind, readers, cases, start = KINDS[field]

    def check(shop: Any) -> None:
        tracked = getattr(shop, field)
        assert isinstance(tracked, kind)
        assert tracked == start
        for name in cases:
            if name != "__init__":
                assert getattr(type(tracked), name) is not getattr(kind, name), name
        for name in ("__getitem__", "__iter__", "__len__"):
            if name in readers:
                assert getattr(type(tracked), name) is getattr(kind, name), name

    do(check)


@pytest.mark.parametrize(("field", "case"), ALL)
def test_a_mutator_does_what_the_builtin_does_and_the_commit_sees_it(
    workspace: Workspace, shop: Ref, do: Do, field: str, case: Callable[[Any], Any]
) -> None:
    """Same result, same exception, same content; a version exactly if the content differs."""
    kind, _, _, start = KINDS[field]
    plain = kind(start)
    expected = outcome(case, plain)
    seen: dict[str, Any] = {}

    def act(shop: Any) -> None:
        tracked = getattr(shop, field)
        seen["outcome"] = outcome(case, tracked)
        seen["content"] = shown(tracked)
        seen["same object"] = getattr(shop, field) is tracked

    do(act)

    assert shown(seen["outcome"]) == shown(expected)
    assert seen["content"] == shown(plain)
    assert seen["same object"]
    changed = shown(plain) != shown(kind(start))
    assert workspace.head(shop) == (2 if changed else 1)
    assert shown(getattr(workspace.snapshot(shop), field)) == shown(plain)
    assert shown(getattr(workspace.snapshot(shop, 1), field)) == shown(start)


@pytest.mark.parametrize(("field", "case"), ALL)
def test_a_mutator_is_undone_by_a_rollback(
    workspace: Workspace, shop: Ref, do: Do, field: str, case: Callable[[Any], Any]
) -> None:
    """After an exception the live container holds what the version holds."""
    _, _, _, start = KINDS[field]
    seen: list[Any] = []

    def act(shop: Any) -> None:
        outcome(case, getattr(shop, field))
        outcome(case, getattr(shop, field))
        raise KeyError("undo")

    with pytest.raises(KeyError, match="undo"):
        do(act)
    do(lambda shop: seen.append(shown(getattr(shop, field))))

    assert seen == [shown(start)]
    assert workspace.head(shop) == 1
    assert shown(getattr(workspace.snapshot(shop), field)) == shown(start)


@pytest.mark.parametrize(("field", "case"), ALL)
def test_a_mutator_is_refused_outside_an_execution(
    workspace: Workspace, shop: Ref, do: Do, field: str, case: Callable[[Any], Any]
) -> None:
    """A kept reference changes nothing: what would change the content raises WriteError."""
    kind, _, _, start = KINDS[field]
    kept: list[Any] = []
    do(lambda shop: kept.append(getattr(shop, field)))
    plain = kind(start)
    outcome(case, plain)

    result = outcome(case, kept[0])

    assert shown(kept[0]) == shown(start)
    if shown(plain) != shown(start):
        assert result[0] == "raised"
    assert workspace.head(shop) == 1
    assert shown(getattr(workspace.snapshot(shop), field)) == shown(start)


@pytest.mark.parametrize(("field", "case"), ALL)
def test_a_mutator_works_on_a_snapshot_and_is_committed_when_it_is_passed(
    workspace: Workspace, shop: Ref, do: Do, field: str, case: Callable[[Any], Any]
) -> None:
    """Snapshots may be edited freely, by the same methods."""
    kind, _, _, start = KINDS[field]
    plain = kind(start)
    expected = outcome(case, plain)
    snapshot = workspace.snapshot(shop)

    found = outcome(case, getattr(snapshot, field))

    assert shown(found) == shown(expected)
    assert shown(getattr(snapshot, field)) == shown(plain)
    assert shown(getattr(workspace.snapshot(shop), field)) == shown(start)
    do(lambda shop: None, snapshot)
    assert shown(getattr(workspace.snapshot(shop), field)) == shown(plain)
    assert workspace.head(shop) == (2 if shown(plain) != shown(start) else 1)


def test_a_refused_write_names_the_error_class(do: Do) -> None:
    """The error is a WriteError and says where to write."""
    kept: dict[str, Any] = {}
    do(lambda shop: kept.update(shop=shop, numbers=shop.numbers, table=shop.table, m=shop.marks))

    for write in (
        lambda: kept["numbers"].append(1),
        lambda: kept["table"].update(a=5),
        lambda: kept["m"].add(9),
        lambda: setattr(kept["shop"], "name", "x"),
        lambda: delattr(kept["shop"], "name"),
        lambda: kept["shop"].shelves[0].items.clear(),
        lambda: setattr(kept["shop"], "_visits", 5),
    ):
        with pytest.raises(WriteError, match="outside an execution"):
            write()


# --- functions that write from outside the class --------------------------------------------

OUTSIDERS: dict[str, Callable[[Any], Any]] = {
    "random.shuffle": lambda o: random.Random(5).shuffle(o),
    "bisect.insort": lambda o: bisect.insort(o, 2),
    "operator.iadd": lambda o: operator.iadd(o, [4]),
    "operator.setitem": lambda o: operator.setitem(o, 0, 9),
    "operator.delitem": lambda o: operator.delitem(o, 0),
}


@pytest.mark.parametrize("name", OUTSIDERS)
def test_a_function_of_the_standard_library_that_writes_to_a_list_is_seen(
    workspace: Workspace, shop: Ref, do: Do, name: str
) -> None:
    """Written through Python's protocol or past it: the change is committed, or refused loudly."""
    plain = [3, 1, 2]
    OUTSIDERS[name](plain)

    do(lambda shop: OUTSIDERS[name](shop.numbers))

    assert list(workspace.snapshot(shop).numbers) == plain
    assert list(workspace.snapshot(shop, 1).numbers) == [3, 1, 2]


@pytest.mark.parametrize("name", OUTSIDERS)
def test_a_function_of_the_standard_library_that_writes_to_a_list_is_undone(
    workspace: Workspace, shop: Ref, do: Do, name: str
) -> None:
    """The same, followed by an exception."""
    seen: list[Any] = []

    def act(shop: Any) -> None:
        OUTSIDERS[name](shop.numbers)
        raise KeyError

    with pytest.raises(KeyError):
        do(act)
    do(lambda shop: seen.append(list(shop.numbers)))

    assert seen == [[3, 1, 2]]
    assert workspace.head(shop) == 1


@pytest.mark.parametrize("name", OUTSIDERS)
def test_a_function_of_the_standard_library_cannot_write_from_outside(
    workspace: Workspace, shop: Ref, do: Do, name: str
) -> None:
    """Through a kept reference: refused, or without effect on later executions."""
    kept: list[Any] = []
    seen: list[Any] = []
    do(lambda shop: kept.append(shop.numbers))

    with contextlib.suppress(WriteError):
        OUTSIDERS[name](kept[0])
    do(lambda shop: seen.append(list(shop.numbers)))

    assert seen == [[3, 1, 2]]
    assert workspace.head(shop) == 1


def test_heapq_works_on_a_plain_list_that_is_put_back(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """Heapq's C code reaches past every method of a list; this is the way that is documented."""

    def act(shop: Any) -> None:
        heap = list(shop.numbers)
        heapq.heapify(heap)
        heapq.heappush(heap, 0)
        shop.numbers = heap

    do(act)

    assert sorted(workspace.snapshot(shop).numbers) == [0, 1, 2, 3]
    assert workspace.snapshot(shop).numbers[0] == 0


# --- nested and mixed -------------------------------------------------------------------------

NESTED: dict[str, Callable[[Any], Any]] = {
    "list in list": lambda a: a["grid"][0].append(7),
    "dict in list": lambda a: a["rows"][0].update(z=7),
    "set in dict": lambda a: a["sets"]["s"].add(7),
    "list in tuple": lambda a: a["pair"][1].append(7),
    "three deep": lambda a: a["deep"][0]["k"][0].append(7),
    "a container put in and then written": lambda a: (
        a["grid"].append(row := []),
        row.append(7),
    ),
    "a container put in, read back and written": lambda a: (
        a["grid"].append([]),
        a["grid"][-1].append(7),
    ),
    "a container taken out, written, put back": lambda a: (
        row := a["grid"].pop(),
        row.append(7),
        a["grid"].append(row),
    ),
    "a nested slice": lambda a: operator.setitem(a["grid"][1], slice(0, 1), [7, 7]),
    "a list replaced by a list": lambda a: operator.setitem(a["grid"], 0, [7]),
    "an item of setdefault": lambda a: a.setdefault("late", []).append(7),
    "values in a loop": lambda a: [row.append(7) for row in a["grid"]],
    "a nested dict by items": lambda a: [v.add(7) for k, v in a["sets"].items()],
}


def new_nest() -> dict[str, Any]:
    """Build containers in containers."""
    return {
        "grid": [[1], [2]],
        "rows": [{"a": 1}],
        "sets": {"s": {1}},
        "pair": (1, [2]),
        "deep": [{"k": [[1]]}],
    }


@pytest.mark.parametrize("name", NESTED)
def test_nested_containers_are_tracked(workspace: Workspace, shop: Ref, do: Do, name: str) -> None:
    """Any nesting, old or put in by the same function, in a field that takes anything."""
    do(lambda shop: setattr(shop, "anything", new_nest()))
    plain = new_nest()
    NESTED[name](plain)

    do(lambda shop: (NESTED[name](shop.anything), None)[1])

    assert workspace.head(shop) == 3
    assert shown(workspace.snapshot(shop).anything) == shown(plain)
    assert shown(workspace.snapshot(shop, 2).anything) == shown(new_nest())


@pytest.mark.parametrize("name", NESTED)
def test_nested_containers_are_rolled_back(
    workspace: Workspace, shop: Ref, do: Do, name: str
) -> None:
    """The same, followed by an exception."""
    do(lambda shop: setattr(shop, "anything", new_nest()))
    seen: list[Any] = []

    def act(shop: Any) -> None:
        NESTED[name](shop.anything)
        raise KeyError

    with pytest.raises(KeyError):
        do(act)
    do(lambda shop: seen.append(shown(shop.anything)))

    assert seen == [shown(new_nest())]


def test_a_container_that_was_taken_out_no_longer_writes_to_the_tree(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """A replaced list is an ordinary list: it takes writes and the tree does not show them."""
    kept: list[Any] = []

    def act(shop: Any) -> None:
        kept.append(shop.numbers)
        shop.numbers = [1]
        kept[0].append(99)

    do(act)

    assert kept[0] == [3, 1, 2, 99]
    assert workspace.snapshot(shop).numbers == [1]


def test_a_slice_and_a_sum_of_tracked_lists_are_plain(do: Do) -> None:
    """What reads make is not part of the tree."""

    def act(shop: Any) -> None:
        for made in (
            shop.numbers[:],
            shop.numbers + [1],  # noqa: RUF005 - the operator is what is tested
            shop.numbers * 2,
            shop.numbers.copy(),
            copy.copy(shop.numbers),
            copy.deepcopy(shop.numbers),
            pickle.loads(pickle.dumps(shop.numbers)),
            sorted(shop.numbers),
        ):
            assert type(made) is list
        for made in (
            shop.table.copy(),
            shop.table | {"z": 1},
            {"z": 1} | shop.table,
            copy.copy(shop.table),
            copy.deepcopy(shop.table),
            pickle.loads(pickle.dumps(shop.table)),
        ):
            assert type(made) is dict
        for made in (
            shop.marks.copy(),
            shop.marks | {9},
            {9} | shop.marks,
            shop.marks & {1},
            shop.marks - {1},
            shop.marks ^ {1},
            shop.marks.union([9]),
            shop.marks.intersection([1]),
            copy.copy(shop.marks),
            copy.deepcopy(shop.marks),
            pickle.loads(pickle.dumps(shop.marks)),
        ):
            assert type(made) is set

    do(act)


def test_tracked_containers_look_like_the_builtins(do: Do) -> None:
    """isinstance, equality both ways, repr, JSON, hash, truth, unpacking, formatting."""

    def act(shop: Any) -> None:
        assert isinstance(shop.numbers, list)
        assert shop.numbers == [3, 1, 2]
        assert shop.numbers == [3, 1, 2]
        assert repr(shop.numbers) == "[3, 1, 2]"
        assert json.dumps(shop.numbers) == "[3, 1, 2]"
        assert f"{shop.numbers}" == "[3, 1, 2]"
        assert isinstance(shop.table, dict)
        assert shop.table == {"a": 1, "b": 2}
        assert repr(shop.table) == "{'a': 1, 'b': 2}"
        assert json.dumps(shop.table) == '{"a": 1, "b": 2}'
        assert {**shop.table} == {"a": 1, "b": 2}
        assert isinstance(shop.marks, set)
        assert shop.marks == {1, 2, 3}
        assert {1, 2, 3} == shop.marks
        for container in (shop.numbers, shop.table, shop.marks):
            with pytest.raises(TypeError, match="unhashable"):
                hash(container)
        a, *rest = shop.numbers
        assert (a, rest) == (3, [1, 2])

    do(act)


def test_a_copy_of_a_snapshots_container_is_plain(workspace: Workspace, shop: Ref) -> None:
    """What is pickled or copied out of a snapshot carries no registry with it."""
    snapshot = workspace.snapshot(shop)

    assert type(pickle.loads(pickle.dumps(snapshot.numbers))) is list
    assert type(copy.deepcopy(snapshot.table)) is dict
    assert type(copy.copy(snapshot.marks)) is set
    assert json.loads(json.dumps(snapshot.table)) == {"a": 1, "b": 2}


def test_writing_while_iterating_fails_as_it_does_in_python(do: Do) -> None:
    """A dict or set that changes size under an iterator raises RuntimeError."""

    def act(shop: Any) -> None:
        keys, marks = iter(shop.table), iter(shop.marks)
        next(keys)
        next(marks)
        shop.table["new"] = 1
        shop.marks.add(10)
        with pytest.raises(RuntimeError, match="changed size"):
            next(keys)
        with pytest.raises(RuntimeError, match="changed size"):
            next(marks)

    do(act)


def test_many_writes_to_a_long_list_equal_pythons(workspace: Workspace, shop: Ref, do: Do) -> None:
    """Deltas of a list of 5,000 over 300 executions read back exactly, at every version."""
    rng = random.Random(7)
    do(lambda shop: setattr(shop, "numbers", list(range(5000))))
    plain = list(range(5000))
    expected = {2: list(plain)}

    for _ in range(300):
        script = [(rng.choice("aidsprx"), rng.randrange(4000), rng.randrange(99)) for _ in range(3)]

        def act(shop: Any, script: Any = script) -> None:
            _play(shop.numbers, script)

        do(act)
        _play(plain, script)
        if workspace.head(shop) not in expected:
            expected[workspace.head(shop)] = list(plain)
        assert workspace.snapshot(shop).numbers == plain
    for version in rng.sample(sorted(expected), 60):
        assert workspace.snapshot(shop, version).numbers == expected[version]


def _play(items: list[int], script: list[tuple[str, int, int]]) -> None:
    for what, at, value in script:
        if what == "a":
            items.append(value)
        elif what == "i":
            items.insert(at, value)
        elif what == "d":
            del items[at : at + 3]
        elif what == "s":
            items[at : at + 2] = [value, value, value]
        elif what == "p":
            items.pop(at)
        elif what == "r":
            items[at], items[-1] = items[-1], items[at]
        else:
            items[at : at + 40 : 4] = [value] * len(items[at : at + 40 : 4])


def test_many_writes_to_a_large_dict_and_set_equal_pythons(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """Deltas of large dicts keep values and order; deltas of large sets keep members."""
    rng = random.Random(8)
    table = {f"k{i}": i for i in range(3000)}
    marks = set(range(3000))
    do(lambda shop: (setattr(shop, "table", dict(table)), setattr(shop, "marks", set(marks)), 1)[2])
    expected = {2: (dict(table), set(marks))}

    for _ in range(300):
        script = [(rng.choice("snpmoad"), rng.randrange(4000), rng.randrange(99)) for _ in range(3)]

        def act(shop: Any, script: Any = script) -> None:
            _play_keys(shop.table, shop.marks, script)

        do(act)
        _play_keys(table, marks, script)
        expected.setdefault(workspace.head(shop), (dict(table), set(marks)))
        snapshot = workspace.snapshot(shop)
        assert list(snapshot.table.items()) == list(table.items())
        assert snapshot.marks == marks
    for version in rng.sample(sorted(expected), 60):
        snapshot = workspace.snapshot(shop, version)
        assert list(snapshot.table.items()) == list(expected[version][0].items())
        assert snapshot.marks == expected[version][1]


def _play_keys(table: dict[str, int], marks: set[int], script: list[tuple[str, int, int]]) -> None:
    for what, at, value in script:
        key = f"k{at}"
        if what == "s":
            table[key] = value
        elif what == "n":
            table[f"n{at}"] = value
        elif what == "p":
            table.pop(key, None)
        elif what == "m" and key in table:
            table[key] = table.pop(key)
        elif what == "o":
            table.popitem()
        elif what == "a":
            marks.add(at + 3000)
        else:
            marks.discard(at)
