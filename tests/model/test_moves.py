"""Functions that move entities and containers about, each run on plain objects and on the engine.

Cases that random histories have found, or that look likely to break; the plain objects say what is
right. Each runs as an execution, as an edit of a snapshot, on a fork, and followed by an exception.
"""

# Cases are written as expressions.
# mypy: disable-error-code="func-returns-value, var-annotated"
from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from registry import Workspace
from registry.errors import StructureError
from tests.model import entity_trees, plain_trees
from tests.model.forms import read
from tests.model.survey import survey
from tests.model.values import Box, Point

Make = Callable[..., Any]


def base(make: Any) -> Any:
    """Build a tree with something in every kind of container."""
    n = make.Node
    return n(
        tag=0,
        child=make.Secret(tag=1, child=n(tag=2), kids=[n(tag=3), n(tag=4)]),
        kids=[n(tag=5, kids=[n(tag=6)]), make.Strict(tag=7), make.Loose(tag=8, more=[1])],
        named={"a": n(tag=9), "b": n(tag=10, named={"c": n(tag=11)})},
        group={n(tag=12, group={n(tag=13)})},
        fixed=(n(tag=14), n(tag=15, fixed=(n(tag=16),))),
        cold=frozenset({n(tag=17)}),
        grid=[[n(tag=18), n(tag=19)], [n(tag=20)], []],
        shelves={"s": [n(tag=21)], "t": []},
        rows=[{"x": n(tag=22)}],
        anything={"deep": {"er": [[n(tag=23, kids=[n(tag=24)], table={"q": 1})]]}, "p": Point(x=1)},
        numbers=[1, 2, 3],
        table={"a": 1, "b": 2},
        matrix=[[1], [2]],
        points=[Point(x=1), Point(x=2)],
    )


def swap(a: Any, b: Any, field: str) -> None:
    """Exchange one field of two entities."""
    one, two = getattr(a, field), getattr(b, field)
    setattr(a, field, two)
    setattr(b, field, one)


CASES: dict[str, Callable[[Any, Any], Any]] = {
    "a dict is written and then swapped": lambda r, m: (
        r.named.update(z=m.Node(tag=90)),
        swap(r, r.kids[0], "named"),
    ),
    "dicts are swapped and then written": lambda r, m: (
        swap(r, r.kids[0], "named"),
        r.named.update(z=m.Node(tag=90)),
        r.kids[0].named.pop("a"),
    ),
    "lists are swapped twice": lambda r, m: (
        swap(r, r.child, "kids"),
        swap(r, r.child, "kids"),
    ),
    "lists are swapped": lambda r, m: swap(r.child, r.kids[0], "kids"),
    "a parent's and its child's lists are swapped": lambda r, m: (
        k := r.kids[0],
        kids := k.kids,
        setattr(k, "kids", []),
        r.kids.extend(kids),
    ),
    "sets are swapped": lambda r, m: swap(r.child, next(iter(r.group)), "group"),
    "arrays and points are swapped": lambda r, m: (
        setattr(r.point, "x", 5),
        swap(r, r.child, "point"),
        swap(r, r.child, "array"),
    ),
    "a wrapped entity in a subtree that is dropped": lambda r, m: (
        row := r.anything["deep"]["er"][0],
        row.__setitem__(0, m.Node(tag=90, child=row[0])),
        r.anything.__setitem__("deep", 5),
    ),
    "a wrapped grandchild in a subtree that is dropped": lambda r, m: (
        k := r.kids[0].kids,
        k.__setitem__(0, m.Node(tag=90, child=k[0])),
        r.kids.pop(0),
    ),
    "an entity moved into a subtree that is dropped": lambda r, m: (
        r.kids[0].kids.append(r.named.pop("a")),
        r.kids.pop(0),
    ),
    "an entity moved into a new entity that is dropped": lambda r, m: (
        n := m.Node(tag=90),
        r.kids.append(n),
        n.kids.append(r.named.pop("a")),
        r.kids.remove(n),
    ),
    "an entity rescued from a subtree that is dropped": lambda r, m: (
        k := r.kids.pop(0),
        r.named.update(z=k.kids.pop()),
    ),
    "an entity rescued before its subtree is dropped": lambda r, m: (
        r.named.update(z=r.kids[0].kids.pop()),
        r.kids.pop(0),
    ),
    "an entity rescued from a subtree dropped by assignment": lambda r, m: (
        r.named.update(z=r.child.kids.pop()),
        setattr(r, "child", None),
    ),
    "a list taken over from an entity that is dropped": lambda r, m: (
        setattr(r.kids[1], "table", r.named["a"].table),
        r.named.pop("a"),
    ),
    "a list of entities taken over from an entity that is dropped": lambda r, m: (
        setattr(r.kids[0], "kids", r.child.kids),
        setattr(r, "child", None),
    ),
    "a dict taken over from an entity beside an opaque value": lambda r, m: (
        setattr(r, "table", r.anything["deep"]["er"][0][0].table),
        r.anything["deep"]["er"][0].__delitem__(slice(0, 1)),
    ),
    "a row moved between grids": lambda r, m: r.kids[0].grid.append(r.grid.pop(0)),
    "a row becomes a list": lambda r, m: setattr(r.kids[0], "kids", r.grid.pop(0)),
    "a list becomes a row": lambda r, m: (
        r.grid.append(r.child.kids),
        setattr(r.child, "kids", []),
    ),
    "rows are swapped": lambda r, m: r.grid.__setitem__(slice(0, 2), [r.grid[1], r.grid[0]]),
    "rows are sorted": lambda r, m: r.grid.sort(key=len),
    "a shelf is renamed": lambda r, m: r.shelves.update(z=r.shelves.pop("s")),
    "shelves are swapped": lambda r, m: r.shelves.update(s=r.shelves["t"], t=r.shelves["s"]),
    "a tuple is rotated": lambda r, m: setattr(r, "fixed", (*r.fixed[1:], r.fixed[0])),
    "a tuple's member goes to a list": lambda r, m: (
        r.kids.append(r.fixed[0]),
        setattr(r, "fixed", r.fixed[1:]),
    ),
    "a frozenset's member goes to a set": lambda r, m: (
        r.group.update(r.cold),
        setattr(r, "cold", frozenset()),
    ),
    "a set is rebuilt": lambda r, m: setattr(r, "group", set(r.group)),
    "a list is rebuilt": lambda r, m: setattr(r, "kids", [k for k in r.kids if k.tag != 7]),
    "a list is rebuilt by nested comprehensions": lambda r, m: setattr(
        r, "grid", [[e for e in row if e.tag != 19] for row in r.grid]
    ),
    "a dict is rebuilt": lambda r, m: setattr(r, "named", dict(reversed(r.named.items()))),
    "a list assigned to itself": lambda r, m: (
        setattr(r, "kids", r.kids),
        r.kids.__setitem__(slice(None), r.kids),
        setattr(r, "grid", list(r.grid)),
    ),
    "removed, changed, put back": lambda r, m: (
        k := r.kids.pop(0),
        setattr(k, "number", 9),
        k.kids[0].numbers.append(3),
        r.kids.insert(2, k),
    ),
    "removed, put into a new entity, which is put in": lambda r, m: (
        n := m.Node(tag=90, kids=[r.kids.pop(0)]),
        n.kids[0].kids.append(m.Node(tag=91)),
        r.grid.append([n]),
    ),
    "a parent and its child change places": lambda r, m: (
        p := r.kids.pop(0),
        c := p.kids.pop(0),
        c.kids.append(p),
        r.kids.insert(0, c),
    ),
    "a chain is turned round": lambda r, m: (
        a := r.named.pop("b"),
        b := a.named.pop("c"),
        b.named.update(a=a),
        r.named.update(b=b),
    ),
    "everything becomes one list": lambda r, m: (
        kids := [*r.kids, *r.named.values(), *r.fixed, *r.grid[0]],
        r.named.clear(),
        setattr(r, "fixed", ()),
        r.grid[0].clear(),
        setattr(r, "kids", kids),
    ),
    "put in twice and taken out once": lambda r, m: (
        r.kids.append(r.kids[0]),
        r.kids.pop(0),
    ),
    "put in elsewhere first, then taken out": lambda r, m: (
        r.named.update(z=r.child.kids[0]),
        r.child.kids.pop(0),
    ),
    "written under opaque neighbours": lambda r, m: (
        r.anything["deep"]["er"][0][0].kids.append(m.Node(tag=90)),
        setattr(r.anything["p"], "x", 9),
    ),
    "written under an untouched opaque neighbour": lambda r, m: r.anything["deep"]["er"][0][
        0
    ].kids.append(m.Node(tag=90)),
    "moved out from beside an opaque value": lambda r, m: r.kids.append(
        r.anything["deep"]["er"][0].pop()
    ),
    "moved to beside an opaque value": lambda r, m: r.anything["deep"]["er"].append(
        [r.kids.pop(0)]
    ),
    "an opaque value moved into a list of them": lambda r, m: (
        r.points.append(r.anything.pop("p")),
        setattr(r.points[0], "x", 77),
    ),
    "opaque values are sorted and changed": lambda r, m: (
        r.points.reverse(),
        setattr(r.points[0], "x", 50),
    ),
    "an opaque value put in and changed later": lambda r, m: (
        b := Box([1]),
        r.points.append(b),
        b.content.append(2),
        setattr(r, "anything", b),
        r.points.pop(),
    ),
    "extras": lambda r, m: (
        r.kids[2].more.append(2),
        setattr(r.kids[2], "other", {"k": [m.Node(tag=90)]}),
    ),
    "an entity moved into an extra": lambda r, m: setattr(r.kids[2], "other", r.named.pop("a")),
    "private attributes": lambda r, m: (
        setattr(r.child, "_count", 5),
        r.child._log.append(1),
        setattr(r.child, "_log", [*r.child._log, 2]),
        r.child._log.append(3),
    ),
    "private attributes of an entity that moves": lambda r, m: (
        c := r.child,
        setattr(r, "child", None),
        c._log.append(1),
        r.kids.append(c),
        setattr(c, "_count", c._count + 1),
    ),
    "a validated assignment copies": lambda r, m: (
        kids := [r.kids.pop(0)],
        setattr(r.kids[0], "kids", kids),
        r.kids[0].kids[0].numbers.append(1),
    ),
    "a field is deleted and set again": lambda r, m: (
        r.__delattr__("numbers"),
        setattr(r, "numbers", [4]),
    ),
    "nested containers are cleared and refilled": lambda r, m: (
        rows := list(r.grid),
        r.grid.clear(),
        r.grid.extend(reversed(rows)),
        rows[0].append(m.Node(tag=90)),
    ),
    "new containers are nested late": lambda r, m: (
        setattr(r, "anything", d := {}),
        d.update(a=[]),
        d["a"].append(e := {}),
        e.update(n=m.Node(tag=90)),
        e["n"].kids.append(r.kids.pop()),
    ),
    "an ancestor put into what is then dropped": lambda r, m: (
        k := r.child.kids[0],
        k.group.add(r.child),
        r.child.kids.remove(k),
    ),
    "the root put into what is then dropped": lambda r, m: (
        setattr(r.child, "child", r),
        setattr(r, "child", None),
    ),
    "a sibling put into what is then dropped": lambda r, m: (
        k := r.kids.pop(0),
        k.kids.append(r.named["a"]),
    ),
    "put into what is then dropped and then elsewhere": lambda r, m: (
        k := r.kids.pop(0),
        k.kids.append(r.named.pop("a")),
        r.fixed[0].kids.append(k.kids[-1]),
    ),
    "into a new entity that is dropped and back": lambda r, m: (
        n := m.Node(tag=90, kids=[r.kids.pop(0)]),
        r.grid.append([n]),
        r.kids.append(n.kids.pop()),
        r.grid.pop(),
    ),
    "containers change places in a circle": lambda r, m: (
        n := m.Node(tag=90, matrix=[[1, 2], []]),
        r.kids.append(n),
        swap(r.kids[0], n, "matrix"),
        swap(r.kids[0], r.kids[1], "matrix"),
    ),
    "lists of entities change places in a circle": lambda r, m: (
        swap(r.child, r.kids[0], "kids"),
        swap(r.kids[0], r.named["a"], "kids"),
        swap(r.named["a"], r.fixed[0], "kids"),
    ),
    "equal lists are swapped beside other changes": lambda r, m: (
        swap(r.child, r.child.kids[0], "numbers"),
        r.child.kids.append(r.child.kids.pop(0)),
        r.kids.append(r.child.kids.pop(0)),
        r.child.kids[0].numbers.extend(r.child.kids[0].numbers),
    ),
    "a new entity with an opaque value in a private attribute": lambda r, m: (
        s := m.Secret(tag=90),
        r.kids.append(s),
        s._log.append(Point(x=1)),
    ),
    "an opaque value in a private attribute": lambda r, m: (
        r.child._log.append(Point(x=1)),
        setattr(r.child._log[0], "x", 2),
    ),
    "lists are swapped with a validating entity and written": lambda r, m: (
        swap(r.kids[1], r.kids[2], "numbers"),
        r.kids[2].numbers.insert(0, 6),
    ),
    "equal lists are swapped and written": lambda r, m: (
        swap(r.kids[0], r.kids[2], "numbers"),
        r.kids[2].numbers.insert(0, 6),
        swap(r.child, r.named["a"], "table"),
        r.child.table.update(z=1),
        swap(r.child, r.named["b"], "marks"),
        r.child.marks.add(1),
    ),
    "a container's content is handed over and comes back": lambda r, m: (
        setattr(r.kids[1], "numbers", r.numbers),
        setattr(r, "numbers", []),
        r.kids[1].numbers.append(4),
        setattr(r, "numbers", r.kids[1].numbers),
        setattr(r.kids[1], "numbers", [0]),
    ),
    "a key with None is deleted and set again": lambda r, m: (
        r.table.update(a=None),
        r.table.pop("a"),
        r.table.update(a=5),
    ),
    "a set member is taken out, changed and put back": lambda r, m: (
        e := r.group.pop(),
        setattr(e, "number", 3),
        r.group.add(e),
        e.group.clear(),
    ),
}


@pytest.fixture
def workspace() -> Workspace:
    """A workspace that knows `act` and `look`."""
    workspace = Workspace()
    workspace.register("act")(act)
    workspace.register("look")(look)
    return workspace


CURRENT: dict[str, Any] = {}


def act(root: entity_trees.Node) -> None:
    """Do the case of the moment."""
    CURRENT["case"](root, entity_trees)
    if CURRENT.get("fail"):
        raise KeyError("after")


def look(root: entity_trees.Node) -> None:
    """Read the live tree."""
    CURRENT["form"] = read(root).form


def expected(case: str) -> tuple[Any, Any, Any, Any]:
    """Return the forms before and after a case, whole and per entity, on plain objects."""
    plain = base(plain_trees)
    before = read(copy.deepcopy(plain))
    CASES[case](plain, plain_trees)
    after = read(plain)
    return before.form, after.form, before.forms, after.forms


@pytest.mark.parametrize("where", ["main", "fork", "loaded"])
@pytest.mark.parametrize("case", CASES)
def test_an_execution_moves_as_plain_python_does(
    workspace: Workspace, case: str, where: str
) -> None:
    """Values, live tree, old version and minimal ids."""
    before, after, forms_before, forms_after = expected(case)
    ref = workspace.add(base(entity_trees))
    if where == "fork":
        ref = workspace.fork(ref)
    if where == "loaded":
        workspace.execute("look", root=ref)
    start = workspace.head(ref)
    ids_before = {t: e.ecs_id for t, e in read(workspace.snapshot(ref)).entities.items()}
    CURRENT.clear()
    CURRENT["case"] = CASES[case]

    workspace.execute("act", root=ref)
    workspace.execute("look", root=ref)

    found = read(workspace.snapshot(ref))
    assert found.form == after
    assert CURRENT["form"] == after
    assert workspace.head(ref) == start + (before != after)
    assert read(workspace.snapshot(ref, start)).form == before
    ids_after = {tag: entity.ecs_id for tag, entity in found.entities.items()}
    for tag, form in forms_after.items():
        if tag in forms_before:
            assert (ids_after[tag] == ids_before[tag]) == (form == forms_before[tag]), tag


@pytest.mark.parametrize("case", CASES)
def test_an_exception_afterwards_takes_it_all_back(workspace: Workspace, case: str) -> None:
    """The live tree is as it was, and a second attempt succeeds."""
    before, after, _, _ = expected(case)
    ref = workspace.add(base(entity_trees))
    CURRENT.clear()
    CURRENT.update(case=CASES[case], fail=True)

    with pytest.raises(KeyError, match="after"):
        workspace.execute("act", root=ref)
    workspace.execute("look", root=ref)

    assert CURRENT["form"] == before
    assert read(workspace.snapshot(ref)).form == before
    assert workspace.head(ref) == 1
    CURRENT["fail"] = False
    workspace.execute("act", root=ref)
    workspace.execute("look", root=ref)
    assert CURRENT["form"] == read(workspace.snapshot(ref)).form == after


@pytest.mark.parametrize("case", CASES)
def test_an_edited_snapshot_moves_as_plain_python_does(workspace: Workspace, case: str) -> None:
    """The same edit by the holder of a snapshot, committed when it is passed."""
    before, after, _, _ = expected(case)
    ref = workspace.add(base(entity_trees))
    snapshot = workspace.snapshot(ref)

    CASES[case](snapshot, entity_trees)

    assert read(snapshot).form == after
    workspace.execute("look", root=ref)
    assert CURRENT["form"] == before
    workspace.execute("look", root=snapshot)
    assert CURRENT["form"] == after
    assert read(workspace.snapshot(ref)).form == after
    assert read(workspace.snapshot(ref, 1)).form == before


@pytest.mark.parametrize("case", CASES)
def test_an_orphan_moves_as_plain_python_does(workspace: Workspace, case: str) -> None:
    """The same before adoption."""
    _, after, _, _ = expected(case)
    root = base(entity_trees)

    CASES[case](root, entity_trees)

    assert read(root).form == after
    assert read(workspace.snapshot(workspace.add(root))).form == after


@pytest.mark.parametrize("first", CASES)
def test_one_case_after_another(workspace: Workspace, first: str) -> None:
    """Every case on the tree that each other case left, where plain Python can do that."""
    for second in list(CASES)[::19]:
        plain = base(plain_trees)
        forms = [read(copy.deepcopy(plain)).form]
        ref = workspace.add(base(entity_trees))
        for case in (first, second):
            attempt = copy.deepcopy(plain)
            try:
                CASES[case](attempt, plain_trees)
                form = read(attempt).form
            except (AssertionError, LookupError, AttributeError, TypeError, StopIteration):
                continue
            if _shares(attempt):
                continue
            plain = attempt
            forms.append(form)
            CURRENT.clear()
            CURRENT["case"] = CASES[case]
            workspace.execute("act", root=ref)
        assert read(workspace.snapshot(ref)).form == forms[-1], (first, second)
        workspace.execute("look", root=ref)
        assert CURRENT["form"] == forms[-1], (first, second)
        assert read(workspace.snapshot(ref, 1)).form == forms[0], (first, second)


def _shares(root: Any) -> bool:
    return bool(survey(root).problem)


REFUSED: dict[str, Callable[[Any, Any], Any]] = {
    "in two lists": lambda r, m: r.child.kids.append(r.kids[0]),
    "twice in one list": lambda r, m: r.kids.append(r.kids[0]),
    "a list repeated": lambda r, m: r.kids.__imul__(2),
    "in itself": lambda r, m: r.kids[0].kids.append(r.kids[0]),
    "in itself by a validated assignment": lambda r, m: setattr(
        r.kids[1],
        "kids",
        r.kids[1].kids + [r.kids[1]],  # noqa: RUF005 - a tracked list on the left
    ),
    "in itself by an augmented validated assignment": lambda r, m: setattr(
        r.kids[1], "kids", r.kids[1].kids.__iadd__([r.kids[1]])
    ),
    "a new entity in what it wraps": lambda r, m: (
        k := r.kids[0],
        n := m.Node(tag=90, child=k),
        r.kids.__setitem__(0, n),
        setattr(k, "fixed", (n,)),
    ),
    "a new entity in a new entity and the other way round": lambda r, m: (
        n := m.Node(tag=90),
        o := m.Node(tag=91, kids=[n]),
        n.kids.append(o),
        r.kids.append(n),
    ),
    "the root in its child": lambda r, m: r.kids.append(r),
    "the root in its grandchild": lambda r, m: setattr(r.kids[0].kids[0], "child", r),
    "in a new entity and in the old place": lambda r, m: r.kids.append(
        m.Node(tag=90, child=r.child)
    ),
    "a new entity in two places": lambda r, m: (
        n := m.Node(tag=90),
        r.kids.append(n),
        r.named.update(z=n),
    ),
    "a new entity's child in the tree too": lambda r, m: (
        n := m.Node(tag=90, kids=[m.Node(tag=91)]),
        r.kids.append(n),
        r.named.update(z=n.kids[0]),
    ),
    "a set's member in a list too": lambda r, m: r.kids.extend(r.group),
    "in a tuple and a list": lambda r, m: setattr(r, "fixed", (*r.fixed, r.kids[0])),
    "in an Any too": lambda r, m: setattr(r, "anything", {"k": [(r.kids[0],)]}),
    "in an extra too": lambda r, m: setattr(r.kids[2], "other", [r.named["a"]]),
    "a list under two entities": lambda r, m: setattr(r.kids[0], "numbers", r.numbers),
    "a list under two fields": lambda r, m: setattr(r, "anything", r.numbers),
    "a row in two grids": lambda r, m: r.kids[0].grid.append(r.grid[0]),
    "a new list in two places": lambda r, m: (
        fresh := [1],
        setattr(r, "numbers", fresh),
        r.matrix.append(fresh),
    ),
    "a list of what is put into it": lambda r, m: (
        outer := r.kids[0],
        setattr(r, "anything", outer.kids[0].kids),
        r.anything.append(r.kids.pop(0)),
    ),
    "a nested list of what is put into it": lambda r, m: (
        outer := r.kids[0],
        outer.kids[0].grid.append([]),
        setattr(r, "anything", outer.kids[0].grid),
        r.anything[0].append(r.kids.pop(0)),
    ),
    "inside an opaque value": lambda r, m: setattr(r, "anything", Box(r.kids.pop())),
    "inside an opaque value that is there": lambda r, m: setattr(r.points[0], "x", r.kids.pop()),
    "in a dict's key": lambda r, m: setattr(r, "anything", {r.kids.pop(): 1}),
    "in a key of a dict that stays": lambda r, m: r.table.update({r.kids.pop(): 1}),
}

# Passing an edited snapshot copies its values, so these two lists end as two.
SHARED_LISTS = {
    "a list under two entities",
    "a list under two fields",
    "a new list in two places",
    "a list of what is put into it",
    "a nested list of what is put into it",
}


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_tree_is_refused_and_taken_back(
    workspace: Workspace, case: str, loaded: bool
) -> None:
    """An error, never a silent loss; afterwards the live tree and its version are as before."""
    ref = workspace.add(base(entity_trees))
    before = read(base(plain_trees)).form
    if loaded:
        workspace.execute("look", root=ref)
    CURRENT.clear()
    CURRENT["case"] = REFUSED[case]

    with pytest.raises(StructureError) as caught:
        workspace.execute("act", root=ref)
    workspace.execute("look", root=ref)

    assert str(caught.value)
    assert CURRENT["form"] == before
    assert workspace.head(ref) == 1
    assert read(workspace.snapshot(ref)).form == before


@pytest.mark.parametrize("case", [case for case in REFUSED if case not in SHARED_LISTS])
def test_an_edited_snapshot_that_is_no_tree_is_refused(workspace: Workspace, case: str) -> None:
    """Found when it is passed; nothing is committed."""
    ref = workspace.add(base(entity_trees))
    before = read(base(plain_trees)).form
    snapshot = workspace.snapshot(ref)
    REFUSED[case](snapshot, entity_trees)
    CURRENT.clear()
    CURRENT["case"] = lambda r, m: None

    with pytest.raises(StructureError):
        workspace.execute("act", root=snapshot)

    workspace.execute("look", root=ref)
    assert CURRENT["form"] == read(workspace.snapshot(ref)).form == before
    assert workspace.head(ref) == 1


@pytest.mark.parametrize("case", REFUSED)
def test_an_orphan_that_is_no_tree_is_refused(workspace: Workspace, case: str) -> None:
    """The same at adoption."""
    root = base(entity_trees)
    REFUSED[case](root, entity_trees)

    with pytest.raises(StructureError):
        workspace.add(root)

    assert workspace.roots() == []
    assert root.is_orphan()


def test_extras_beside_opaque_values_stay_writable(workspace: Workspace) -> None:
    """Read in one execution, written in the next."""
    loose = entity_trees.Loose.model_validate({"tag": 1, "other": {"k": Box(1), 7: [1]}})
    ref = workspace.add(entity_trees.Node(tag=0, kids=[loose]))
    CURRENT.clear()
    workspace.execute("look", root=ref)
    CURRENT["case"] = lambda r, m: (r.kids[0].other[7].append(2), setattr(r.kids[0], "new", [3]))

    workspace.execute("act", root=ref)
    workspace.execute("look", root=ref)

    loose = workspace.snapshot(ref).kids[0]
    assert (loose.other[7], loose.other["k"].content, loose.new) == ([1, 2], 1, [3])
    assert CURRENT["form"] == read(workspace.snapshot(ref)).form
