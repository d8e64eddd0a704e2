"""Bad input of every kind: refused by name, nothing stored, and the tree works on.

The rule, for whatever is given, stored or returned: it is accepted, or the error is one of ours
(or what the user's own code raised, as raised); then heads, ids and roots are as before, there is
one record more at most, of the failure; and a good execution succeeds.

`TREERUNNER_BAD_INPUT=20` is twenty times as much of all: 10,000 addresses, trees of full size.
"""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError, computed_field, field_validator

from registry import Entity, Ref, Retention, Workspace
from registry.depth import MAX_NESTING
from registry.errors import (
    AddressError,
    ArgumentError,
    EntityClassError,
    NotFoundError,
    NotJsonError,
    PathError,
    RegistrationError,
    ReturnError,
    StructureError,
    TreerunnerError,
    UncopyableError,
)
from tests.model.odd_values import ODD, Data, Fixed, NoEq, Odd, OddError, nested

pytestmark = pytest.mark.slow

SCALE = int(os.environ.get("TREERUNNER_BAD_INPUT", "1"))
"""20 is full size: 10,000 addresses, trees 10,000 deep and 100,000 wide."""
DEPTH = min(10_000, 2_000 * SCALE)
WIDTH = min(100_000, 5_000 * SCALE)
many = settings(
    max_examples=500 * SCALE,
    deadline=None,
    database=None,
    derandomize=SCALE == 1,
    suppress_health_check=list(HealthCheck),
)
few = settings(many, max_examples=100 * SCALE)

LOCK = ODD["lock"]()
DO: dict[str, Callable[[Any], Any]] = {}


def act(odd: Odd) -> Any:
    """Do what the test says."""
    return DO["act"](odd)


def take(
    odd: Odd,
    plain: Any = None,
    number: int = 0,
    text: str = "",
    numbers: list[int] | None = None,
    table: dict[str, float] | None = None,
) -> None:
    """Take plain arguments of several kinds."""


def collect(
    odds: list[Odd], by_name: dict[str, Odd] | None = None, many: set[Odd] | None = None
) -> None:
    """Take collections of entities."""


def maybe(odd: Odd | None, other: Odd | int = 0) -> None:
    """Take an entity, or something else."""


class Site:
    """A workspace with one tree, which must survive everything."""

    def __init__(self) -> None:
        self.workspace = Workspace(retention=Retention(records=8))
        for function in (act, take, collect, maybe):
            self.workspace.register(function.__name__)(function)
        self.root = self.workspace.add(Odd(kids=[Odd(x=[1, 2]), Odd()], table={"a": [1]}), "root")
        self.address = self.root.address

    def act(self, action: Callable[[Any], Any], target: Any = None) -> Any:
        """Run a function on the live root."""
        DO["act"] = action
        return self.workspace.execute("act", raw=True, odd=self.root if target is None else target)

    def state(self) -> Any:
        """Return all that must be as before after a failure."""
        workspace = self.workspace
        tree = workspace.trees.tree(self.root)
        return (
            workspace.roots(),
            [workspace.head(ref) for ref in workspace.roots()],
            [each.ecs_id for each in workspace.tree(self.root)],
            len(tree.nodes),
            sorted(map(str, workspace.callables())),
        )

    def records(self, status: Any) -> set[str]:
        """Return the ids of executions that ended like this, of the newest."""
        return {each.execution_id for each in self.workspace.executions(status=status)}

    @contextmanager
    def standing(self, *own: type[BaseException]) -> Iterator[None]:
        """Check the rule for what is done inside; *own* are errors of the user's code."""
        before, done = self.state(), self.records("ok")
        raised: Exception | None = None
        failures = len(self.records("failed"))
        try:
            yield
        except Exception as error:
            if not isinstance(error, (TreerunnerError, *own)):
                raise
            raised = error
        if raised is not None:
            assert self.state() == before, f"stored, though {type(raised).__name__} was raised"
            assert self.records("ok") <= done
        if isinstance(raised, TreerunnerError):
            assert str(pickle.loads(pickle.dumps(raised))) == str(raised)
        assert len(self.records("failed")) <= failures + 1
        assert self.act(lambda odd: len(odd.kids)) >= 0, "the tree does not work any more"


@pytest.fixture
def site() -> Iterator[Site]:
    """A site of its own for one test."""
    yield Site()
    DO.clear()


# --- addresses ---

SHARED = Site()
_VALID = (
    SHARED.address,
    f"{SHARED.address}.kids.0.x.1",
    f'{SHARED.address}.table["a"].0',
    f"@{SHARED.workspace.snapshot(SHARED.root).ecs_id}.kids.-1",
)
_CHARACTERS = st.characters() | st.sampled_from('@.-[]"\\0\ud800\udfff\x00\u0660{}')
_TEXTS = st.text(_CHARACTERS, max_size=60)


@st.composite
def _mutated(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(_VALID))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.integers(0, 3)))
        text = text[:at] + draw(st.text(_CHARACTERS, max_size=3)) + text[end:]
    return text


_ADDRESSES = st.one_of(
    _TEXTS,
    _TEXTS.map(lambda text: "@" + text),
    _TEXTS.map(lambda text: SHARED.address + text),
    _TEXTS.map(lambda text: f"{SHARED.address}.{text}"),
    _TEXTS.map(lambda text: f'{SHARED.address}["{text}"]'),
    _mutated(),
    st.uuids().map(lambda each: f"@{each}"),
    st.integers(1, 5_000).map(lambda size: SHARED.address + "[" * size),
    st.integers(1, 5_000).map(lambda size: SHARED.address + '["a"]' * size),
    st.integers(1, 5_000).map(lambda size: f"{SHARED.address}.kids." + "9" * size),
    st.integers(1, 100_000).map(lambda size: "@" * size),
)


@many
@given(_ADDRESSES)
def test_malformed_addresses_are_refused_wherever_they_are_given(address: str) -> None:
    workspace = SHARED.workspace
    for ask in (
        workspace.get,
        lambda text: workspace.batch_get([SHARED.address, text]),
        workspace.ref,
        workspace.snapshot,
        lambda text: workspace.execute("take", raw=True, odd=text),
        lambda text: workspace.execute("take", raw=True, odd=SHARED.root, number=text),
        lambda text: workspace.execute("take", raw=True, odd=SHARED.root, numbers=[text]),
        lambda text: workspace.execute("collect", raw=True, odds=[SHARED.root, text]),
        lambda text: workspace.execute("collect", raw=True, odds=[], by_name={"a": text}),
    ):
        with SHARED.standing():
            ask(address)


@few
@given(_ADDRESSES)
def test_nothing_is_put_at_a_malformed_address(address: str) -> None:
    site = Site()
    address = address.replace(SHARED.address, site.address)

    with site.standing():
        site.workspace.put(address, 1)


# --- arguments ---

_VALUES = st.one_of(
    st.sampled_from(sorted(ODD)).map(lambda name: ODD[name]()),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(_CHARACTERS, max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
        max_leaves=5,
    ),
    st.sampled_from([SHARED.root, *_VALID]),
)
_PLACES = ("odd", "plain", "number", "text", "numbers", "table")


@few
@given(st.sampled_from(_PLACES), _VALUES, st.booleans())
def test_wrong_kinds_of_arguments_are_refused(name: str, value: Any, in_list: bool) -> None:
    arguments: dict[str, Any] = {"odd": SHARED.root, name: [value] if in_list else value}

    with SHARED.standing():
        SHARED.workspace.execute("take", raw=True, **arguments)


@few
@given(st.sampled_from(["odds", "by_name", "many"]), _VALUES, st.sampled_from("-ld"))
def test_wrong_collections_are_refused(name: str, value: Any, wrap: str) -> None:
    given = {"-": value, "l": [value], "d": {"a": value}}[wrap]

    with SHARED.standing():
        SHARED.workspace.execute("collect", raw=True, **{"odds": [], name: given})


@few
@given(st.sampled_from(["odd", "other"]), _VALUES)
def test_wrong_optional_entities_are_refused(name: str, value: Any) -> None:
    with SHARED.standing():
        SHARED.workspace.execute("maybe", raw=True, **{"odd": None, name: value})


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("nobody", {}),
        ("", {}),
        ("\ud800", {}),
        (None, {}),
        (["act"], {}),
        ("act", {}),
        ("act", {"od": 1}),
        ("act", {"odd": 5, "more": 1}),
        ("collect", {"odds": 5}),
        ("collect", {"odds": [5]}),
        ("collect", {"odds": [None]}),
        ("collect", {"odds": {"a": 1}}),
        ("collect", {"odds": [], "by_name": []}),
    ],
)
def test_unknown_and_missing_names_are_refused(
    site: Site, name: Any, arguments: dict[str, Any]
) -> None:
    with site.standing(), pytest.raises((NotFoundError, ArgumentError)) as caught:
        site.workspace.execute(name, raw=True, **arguments)
    assert caught.value


@pytest.mark.parametrize("what", [None, 5, b"@", [], {}, "", "nobody", object(), Odd, Odd()])
def test_what_names_no_tree_is_refused(site: Site, what: Any) -> None:
    workspace = site.workspace
    for ask in (workspace.ref, workspace.snapshot, workspace.head, workspace.fork, workspace.tree):
        with site.standing(), pytest.raises(NotFoundError):
            ask(what)


@pytest.mark.parametrize("what", [None, 5, "@", [], Odd, Data(), object()])
def test_only_entities_are_added(site: Site, what: Any) -> None:
    with site.standing(), pytest.raises(ArgumentError):
        site.workspace.add(what)


@pytest.mark.parametrize("name", [5, b"name", [], Odd(), object()])
def test_only_texts_are_names(site: Site, name: Any) -> None:
    with site.standing(), pytest.raises(ArgumentError):
        site.workspace.add(Odd(), name)


@pytest.mark.parametrize("version", [0, -1, 2, 10**30, "1", 1.5, [], object()])
def test_only_versions_are_versions(site: Site, version: Any) -> None:
    workspace = site.workspace
    for ask in (workspace.snapshot, workspace.tree, workspace.fork, workspace.page):
        with site.standing(), pytest.raises(NotFoundError):
            ask(site.root, version)
    with site.standing(), pytest.raises(NotFoundError):
        workspace.diff(site.root, 1, version)


def test_a_default_that_cannot_be_copied_is_refused_at_registration(site: Site) -> None:
    def default(odd: Odd, lock: Any = LOCK) -> None: ...

    with site.standing(), pytest.raises(RegistrationError, match="lock"):
        site.workspace.register()(default)


# --- values, wherever one can be stored or returned ---


def _edit(site: Site, value: Any) -> None:
    snapshot = site.workspace.snapshot(site.root)
    snapshot.x = value
    site.workspace.commit_edits(snapshot)


def _raise(odd: Any, value: Any) -> None:
    odd.x, odd.table["x"] = value, value
    odd.kids.clear()
    raise OddError("on purpose")


WAYS: dict[str, Callable[[Site, Any], Any]] = {
    "add": lambda site, value: site.workspace.add(_with(value)),
    "add nested": lambda site, value: site.workspace.add(_with([(value,)])),
    "field": lambda site, value: site.act(lambda odd: setattr(odd, "x", value)),
    "field of child": lambda site, value: site.act(lambda odd: setattr(odd.kids[1], "x", [value])),
    "list item": lambda site, value: site.act(lambda odd: odd.kids[0].x.append(value)),
    "tuple item": lambda site, value: site.act(lambda odd: odd.kids[0].x.append((1, (value,)))),
    "dict value": lambda site, value: site.act(lambda odd: odd.table.update(a=value)),
    "dict key": lambda site, value: site.act(lambda odd: odd.table.update({value: 1})),
    "set member": lambda site, value: site.act(lambda odd: odd.marks.add(value)),
    "kid": lambda site, value: site.act(lambda odd: odd.kids.append(value)),
    "new kid": lambda site, value: site.act(lambda odd: odd.kids.append(_with(value))),
    "put in and taken out": lambda site, value: site.act(
        lambda odd: (odd.kids[0].x.append(value), odd.kids[0].x.pop(), None)[2]
    ),
    "put in and dropped": lambda site, value: site.act(
        lambda odd: (odd.kids[0].x.append(value), odd.kids.pop(0), None)[2]
    ),
    "argument": lambda site, value: site.workspace.execute(
        "take", raw=True, odd=site.root, plain=value
    ),
    "orphan": lambda site, value: site.act(lambda odd: None, _with(value)),
    "result": lambda site, value: site.act(lambda odd: value),
    "result beside": lambda site, value: site.act(lambda odd: [odd, {"a": value}]),
    "new root": lambda site, value: site.act(lambda odd: _with(value)),
    "put": lambda site, value: site.workspace.put(f"{site.address}.x", value),
    "put key": lambda site, value: site.workspace.put(f"{site.address}.table.a.0", value),
    "edit": _edit,
    "rollback": lambda site, value: site.act(lambda odd: _raise(odd, value)),
    "tree of orphan": lambda site, value: _with(value).get_tree(),
    "copy of orphan": lambda site, value: _with(value).model_copy(),
}


def _with(value: Any) -> Odd:
    odd = Odd()
    odd.x = value
    return odd


@pytest.mark.parametrize("name", ODD)
def test_odd_values_are_stored_or_refused_whole(name: str) -> None:
    for way, go in WAYS.items():
        site, value = Site(), ODD[name]()
        if way in ("dict key", "set member") and type(value).__hash__ is None:
            continue
        try:
            hash(value)
        except TypeError:
            if way in ("dict key", "set member"):
                continue
        with site.standing(OddError):
            go(site, value)
        _read_everything(site)


def _read_everything(site: Site) -> None:
    """Touch every value, in an execution and out of it, and ask every question about it."""
    workspace = site.workspace
    site.act(
        lambda odd: (
            odd.x,
            [(getattr(kid, "x", 0), getattr(kid, "table", 0)) for kid in odd.kids],
            odd.table,
            None,
        )[3]
    )
    for ref in workspace.roots():
        head = workspace.head(ref)
        tree = workspace.tree(ref)
        assert tree.to_mermaid()
        assert [each.x for each in tree]
        assert workspace.diff(ref, 1, head).to_mermaid()
        workspace.get(f"{ref.address}.x")
        fork = workspace.fork(ref)
        site.act(lambda odd: setattr(odd, "x", 0), fork)
        with suppress(NotJsonError):
            workspace.diff(ref, 1, head).to_json_patch()


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("ring", StructureError),
        ("ring of tuples", StructureError),
        ("cycle of entities", StructureError),
        ("shared entity", StructureError),
        ("list 101 deep", StructureError),
        ("tuple 10000 deep", StructureError),
        ("objects 10000 deep", UncopyableError),
        ("entity in dataclass", StructureError),
        ("entity in model", StructureError),
        ("entity in kind of list", StructureError),
        ("entity as dict key", StructureError),
        ("entity in dict key", StructureError),
        ("changeable dict key", StructureError),
        ("changeable in dict key", StructureError),
        ("object as dict key", StructureError),
        ("generator", UncopyableError),
        ("lock", UncopyableError),
        ("not copyable", UncopyableError),
    ],
)
@pytest.mark.parametrize("way", ["add", "field", "dict value", "new kid", "new root", "edit"])
def test_what_cannot_be_kept_is_refused_with_its_place(
    site: Site, name: str, error: type[TreerunnerError], way: str
) -> None:
    with site.standing(), pytest.raises(error) as caught:
        WAYS[way](site, ODD[name]())
    place = str(caught.value)
    assert "Odd:" in place or "'x'" in place or "'table'" in place, place


def test_containers_are_nested_as_deep_as_is_said(site: Site) -> None:
    deepest = nested(MAX_NESTING, lambda value: [value])

    site.act(lambda odd: setattr(odd, "x", deepest))

    assert site.workspace.snapshot(site.root).x == deepest


def test_no_steps_lead_deeper_than_is_said(site: Site) -> None:
    """The depth counts from the entity, wherever in its containers something is put."""

    def deepen(odd: Odd) -> None:
        inner: Any = odd.x
        while inner and isinstance(inner[-1], (list, tuple)):
            inner = inner[-1]
            inner = inner[-1] if isinstance(inner, tuple) else inner
        inner.append(([],))

    site.act(lambda odd: setattr(odd, "x", []))
    for _ in range(MAX_NESTING // 2 - 2):
        site.act(deepen)
    site.act(deepen)
    with site.standing(), pytest.raises(StructureError):
        site.act(deepen)


def test_results_deeper_than_is_said_and_rings_are_refused(site: Site) -> None:
    for name in ("ring", "ring of dicts", "list 101 deep", "tuple 10000 deep"):
        with site.standing(), pytest.raises(ReturnError):
            WAYS["result beside"](site, ODD[name]())


def test_fixed_keys_are_kept_and_found(site: Site) -> None:
    site.act(lambda odd: odd.table.update({Fixed(1): "a", (1, Fixed(2)): "b"}))

    table = site.workspace.snapshot(site.root).table
    assert table[Fixed(1)] == "a"
    assert table[1, Fixed(2)] == "b"


def test_a_value_that_cannot_be_compared_counts_as_changed(site: Site) -> None:
    site.act(lambda odd: setattr(odd, "x", NoEq()))
    head = site.workspace.head(site.root)

    site.act(lambda odd: (odd.x, None)[1])

    assert site.workspace.head(site.root) == head + 1


# --- deep and huge trees ---


def deep(depth: int, *, in_list: bool = True) -> Odd:
    """Return entities in one another, the innermost made first."""
    odd = Odd(x="bottom")
    for _ in range(depth):
        outer = Odd()
        if in_list:
            outer.kids = [odd]
        else:
            outer.x = odd
        odd = outer
    return odd


def bottom(odd: Any) -> Any:
    """Return the innermost entity."""
    while odd.kids or isinstance(odd.x, Odd):
        odd = odd.kids[0] if odd.kids else odd.x
    return odd


@pytest.mark.parametrize("in_list", [True, False])
def test_trees_are_as_deep_as_memory_allows(site: Site, in_list: bool) -> None:
    workspace = site.workspace
    ref = workspace.add(deep(DEPTH, in_list=in_list))

    site.act(lambda odd: setattr(bottom(odd), "table", {"a": 1}), ref)
    snapshot = workspace.snapshot(ref)
    bottom(snapshot).table["b"] = 2
    assert workspace.commit_edits(snapshot)
    with pytest.raises(OddError):
        site.act(lambda odd: _raise(bottom(odd), 1), ref)
    site.act(lambda odd: setattr(bottom(odd), "table", {"c": 3}), workspace.snapshot(ref, 1))
    fork = workspace.fork(ref, 2)
    site.act(lambda odd: setattr(bottom(odd), "x", "changed"), fork)

    assert bottom(workspace.snapshot(ref)).table == {"a": 1, "b": 2}
    assert bottom(workspace.snapshot(fork)).x == "changed"
    assert bottom(workspace.snapshot(ref, 1)).table == {}
    for read_only in (False, True):
        tree = workspace.tree(ref, read_only=read_only)
        assert tree.max_depth == DEPTH
        assert len(tree.edges) == DEPTH
        assert tree.to_mermaid(limit=2 * DEPTH).count("\n") == 2 * DEPTH + 2
        assert tree.get_path_text(tree.ecs_ids[-1]).count(".") == DEPTH
    changes = workspace.diff(ref, 1, 3)
    assert changes.to_mermaid(limit=2 * DEPTH)
    assert len(changes.to_json_patch()) == 2
    assert workspace.get(ref.address + (".kids.0" if in_list else ".x") * DEPTH + ".x") == "bottom"
    assert workspace.head(workspace.add(workspace.snapshot(ref).model_copy())) == 1


@pytest.mark.parametrize("in_list", [True, False])
def test_deep_trees_enter_move_and_leave(site: Site, in_list: bool) -> None:
    site.act(lambda odd: odd.kids.append(deep(DEPTH, in_list=in_list)))
    taken = site.act(lambda odd: odd.kids.pop())
    site.act(lambda odd: (odd.kids.append(deep(DEPTH, in_list=in_list)), odd.kids[0].x)[1])
    created = site.act(lambda odd: deep(DEPTH, in_list=in_list))
    orphan = site.act(lambda odd: setattr(bottom(odd), "x", 1), deep(DEPTH, in_list=in_list))
    copied = site.act(lambda odd: odd.kids[-1].model_copy())
    site.act(lambda odd: odd.kids.clear())

    assert orphan is None
    for each in (taken, created, copied):
        assert bottom(each).x == "bottom"


def test_a_deep_tree_that_is_none_is_refused_in_a_readable_line(site: Site) -> None:
    def shared() -> Odd:
        top = deep(DEPTH)
        top.x = bottom(top)
        return top

    for go in (
        lambda: site.workspace.add(shared()),
        lambda: site.act(lambda odd: odd.kids.append(shared())),
        lambda: shared().get_tree(),
    ):
        with site.standing(), pytest.raises(StructureError) as caught:
            go()
        assert len(str(caught.value)) < 2_000


def test_what_recurses_by_itself_is_refused_by_name(site: Site) -> None:
    """Arguments of plain parameters are copied by Python, JSON is written by pydantic."""
    with site.standing(), pytest.raises(ArgumentError, match="plain"):
        site.workspace.execute("take", raw=True, odd=site.root, plain=deep(DEPTH))
    site.act(lambda odd: odd.kids.append(deep(DEPTH)))
    with site.standing(), pytest.raises(NotJsonError):
        site.workspace.diff(site.root, 1, 2).to_json_patch()


def test_huge_trees_enter_and_leave(site: Site) -> None:
    ref = site.workspace.add(Odd(kids=[Odd() for _ in range(WIDTH)]))
    site.act(lambda odd: odd.kids.extend([Odd() for _ in range(WIDTH)]))
    site.act(lambda odd: setattr(odd.kids[-1], "x", 1), ref)
    site.act(lambda odd: odd.kids.clear())

    assert site.workspace.tree(ref).node_count == WIDTH + 1
    assert site.workspace.tree(site.root, 2).node_count == WIDTH + 3
    assert site.workspace.tree(site.root).node_count == 1


# --- classes ---


@pytest.mark.parametrize("name", ["ecs_id", "lineage_id", "version", "is_orphan", "old_ids"])
def test_redefined_reserved_names_are_refused(name: str) -> None:
    for body in ({"__annotations__": {name: "int"}, name: 0}, {name: property(lambda _: 0)}):
        with pytest.raises((EntityClassError, NameError)):
            type("Redefined", (Entity,), {"__module__": __name__, **body})


class Needy(Entity):
    """A class without defaults."""

    number: int
    child: Odd


class Strict(Entity):
    """Validates, and computes what may fail."""

    number: int = 0

    @field_validator("number")
    @classmethod
    def _positive(cls, number: int) -> int:
        if number < 0:
            raise OddError("negative")
        return number

    @computed_field  # type: ignore[prop-decorator]  # as pydantic documents it
    @property
    def half(self) -> int:
        """Half the number, if it is even."""
        if self.number % 2:
            raise OddError("odd")
        return self.number // 2


class Unequal(Entity):
    """Overrides what it should not."""

    number: int = 0

    def __eq__(self, other: object) -> bool:
        raise OddError("eq")

    def __hash__(self) -> int:
        raise OddError("hash")


class AllEqual(Entity):
    """All of them are equal, and none can be hashed."""

    number: int = 0

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def test_classes_without_defaults_are_entities_like_others(site: Site) -> None:
    def change(needy: Needy) -> Needy:
        needy.number += 1
        needy.child = Odd(x=needy.number)
        return needy

    site.workspace.register()(change)
    ref = site.workspace.add(Needy(number=1, child=Odd()))

    assert site.workspace.execute("change", raw=True, needy=ref).child.x == 2
    hollow = type("Hollow", (Needy,), {"__module__": __name__}).model_construct()  # type: ignore[attr-defined]  # of all models
    with site.standing():
        site.workspace.add(hollow)
    with pytest.raises(ValidationError):
        Needy()  # type: ignore[call-arg]  # refused by pydantic, as of every model


def test_what_user_code_raises_comes_out_as_raised(site: Site) -> None:
    def change(strict: Strict, number: int) -> int:
        strict.number = number
        return strict.half

    def check(strict: Strict, given: Strict | None = None) -> None: ...

    for function in (change, check):
        site.workspace.register()(function)
    ref = site.workspace.add(Strict())

    with site.standing(), pytest.raises(OddError, match="odd"):
        site.workspace.execute("change", raw=True, strict=ref, number=3)
    with site.standing(), pytest.raises(OddError, match="negative"):
        site.workspace.execute("check", raw=True, strict=ref, given={"number": -1})
    assert site.workspace.head(ref) == 1


@pytest.mark.parametrize("cls", [Unequal, AllEqual])
def test_entities_that_override_equality_are_told_apart_by_identity(
    site: Site, cls: type[Unequal | AllEqual]
) -> None:
    def move(odd: Odd) -> Any:
        first, second, *_ = odd.x
        first.number += 1
        odd.x.pop(1)
        odd.table["second"] = second
        odd.x.append(cls(number=9))
        return [second, first]

    site.workspace.register()(move)
    ref = site.workspace.add(Odd(x=[cls(number=n) for n in range(3)]))
    second, first = site.workspace.execute("move", raw=True, odd=ref)
    snapshot = site.workspace.snapshot(ref)

    assert (first.number, second.number) == (1, 1)
    assert [each.number for each in snapshot.x] == [1, 2, 9]
    assert snapshot.table["second"].number == 1
    assert site.workspace.diff(ref, 1, 2).changed
    snapshot.x[0].number = 7
    assert site.workspace.commit_edits(snapshot)
    assert site.workspace.tree(ref).node_count == 5


# --- names of what is asked ---


def test_errors_name_what_was_looked_for(site: Site) -> None:
    workspace = site.workspace
    with pytest.raises(AddressError, match="ud800"):
        workspace.get("\ud800")
    with pytest.raises(PathError, match="nothing"):
        workspace.get(f"{site.address}.nothing")
    with pytest.raises(NotFoundError):
        workspace.get(Ref(site.root.root, site.root.key, 7).address)
    with pytest.raises(ArgumentError, match="number"):
        workspace.execute("take", raw=True, odd=site.root, number="many")


def test_an_orphan_that_was_refused_is_as_it_was(site: Site) -> None:
    bad = ODD["shared entity"]()
    before = copy.copy(bad.x)

    with site.standing(), pytest.raises(StructureError):
        site.workspace.add(bad)

    assert bad.is_orphan()
    assert bad.kids[0] is bad.x
    assert type(bad.kids) is list
    assert bad.x.x == before.x
