"""Changes that do not touch each other commute, on branches and when one is taken back.

Goal: any merge of disjoint changes that differs from running them one after the other, any undo of
an independent execution that differs from never having run it. Method: a tree of nodes; each
change claims the nodes that it touches; the plain side runs the changes serially.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import MergeConflictError, Ref, Workspace
from tests.model import entity_trees, plain_trees
from tests.model.conftest import histories
from tests.model.forms import read

pytestmark = pytest.mark.slow

INNER, LEAVES = range(1, 5), range(5, 17)
CHANGES: dict[str, Callable[[Any, int], Any]] = {
    "number": lambda node, n: setattr(node, "number", n),
    "numbers": lambda node, n: node.numbers.append(n),
    "table": lambda node, n: node.table.update({str(n): n}),
    "marks": lambda node, n: node.marks.add(n),
    "array": lambda node, n: node.array.__setitem__(n % 3, n),
    "point": lambda node, n: node.point.trail.append(n),
    "matrix": lambda node, n: node.matrix.append([n]),
    "anything": lambda node, n: setattr(node, "anything", {"n": [n]}),
}
Change = tuple[str, int, int, int]
CHANGE = st.tuples(
    st.sampled_from((*CHANGES, "move", "remove", "create")),
    st.sampled_from(LEAVES),
    st.sampled_from(INNER),
    st.integers(1, 9),
)


def tree(node: Any) -> Any:
    """Return a tree of a root, four nodes below it, and three leaves below each of these."""
    return node(
        tag=0,
        kids=[
            node(tag=inner, kids=[node(tag=4 + 3 * (inner - 1) + leaf) for leaf in (1, 2, 3)])
            for inner in INNER
        ],
    )


def find(root: Any, tag: int) -> tuple[Any, Any]:
    """Return a node and what holds it."""
    holders = [(kid, root) for kid in root.kids]
    holders += [(kid, inner) for inner in root.kids for kid in inner.kids]
    return next((each, holder) for each, holder in holders if each.tag == tag)


def claims(root: Any, change: Change) -> set[int]:
    """Return the tags of what a change touches."""
    kind, leaf, inner, _ = change
    if kind == "create":
        return {inner}
    holder = find(root, leaf)[1].tag
    return {leaf} if kind in CHANGES else {leaf, holder, *({inner} if kind == "move" else ())}


def perform(root: Any, change: Change, tag: int = 0) -> None:
    """Do what a change says, on plain objects or on live ones."""
    kind, leaf, inner, n = change
    if kind == "create":
        find(root, inner)[0].kids.append(type(root)(tag=tag, number=n))
        return
    node, holder = find(root, leaf)
    if kind in CHANGES:
        CHANGES[kind](node, n)
        return
    holder.kids.remove(node)
    if kind == "move":
        find(root, inner)[0].kids.append(node)


def act(root: entity_trees.Node, kind: str, leaf: int, inner: int, n: int, tag: int) -> None:
    """Perform a change as an execution."""
    perform(root, (kind, leaf, inner, n), tag)


class Stage:
    """A workspace with the tree, and how changes are run on it."""

    def __init__(self) -> None:
        self.workspace = Workspace()
        self.workspace.register()(act)
        self.ref = self.workspace.add(tree(entity_trees.Node))
        self.plain = tree(plain_trees.Node)

    def run(self, ref: Ref, change: Change, tag: int) -> str:
        """Run a change and return the id of its execution."""
        kind, leaf, inner, n = change
        arguments = {"kind": kind, "leaf": leaf, "inner": inner, "n": n, "tag": tag}
        return self.workspace.run("act", {"root": ref, **arguments}).execution_id

    def form(self, ref: Ref) -> Any:
        """Return the head in a form that compares by content."""
        return read(self.workspace.snapshot(ref)).form


def independent(changes: Sequence[Change]) -> list[tuple[Change, set[int]]]:
    """Return those changes that touch nothing that one before them touched."""
    root, taken, chosen = tree(plain_trees.Node), set[int](), []
    for change in changes:
        claimed = claims(root, change)
        if not claimed & taken:
            taken |= claimed
            chosen.append((change, claimed))
    return chosen


def serial(plain: Any, changes: Sequence[tuple[int, Change]]) -> Any:
    """Return the form after all changes, one after the other."""
    plain = copy.deepcopy(plain)
    for tag, change in changes:
        perform(plain, change, 100 + tag)
    return read(plain).form


@histories(0.1)
@given(changes=st.lists(CHANGE, max_size=10), sides=st.lists(st.booleans(), min_size=10))
def test_a_merge_of_disjoint_changes_equals_running_them_serially(
    changes: list[Change], sides: list[bool]
) -> None:
    stage = Stage()
    branch = stage.workspace.fork(stage.ref)
    chosen = [(tag, change) for tag, (change, _) in enumerate(independent(changes))]
    for tag, change in chosen:
        stage.run(branch if sides[tag] else stage.ref, change, 100 + tag)

    result = stage.workspace.merge(branch)

    assert stage.form(stage.ref) == serial(stage.plain, chosen)
    assert result.resolved == ()


@histories(0.1)
@given(changes=st.lists(CHANGE, min_size=1, max_size=8), which=st.integers(0, 7))
def test_undo_of_an_independent_execution_equals_never_having_run_it(
    changes: list[Change], which: int
) -> None:
    stage = Stage()
    chosen = [(tag, change) for tag, (change, _) in enumerate(independent(changes))]
    executions = [stage.run(stage.ref, change, 100 + tag) for tag, change in chosen]
    undone = which % len(chosen)

    stage.workspace.undo(executions[undone])

    del chosen[undone]
    assert stage.form(stage.ref) == serial(stage.plain, chosen)


@histories(0.1)
@given(ours=st.lists(CHANGE, max_size=6), theirs=st.lists(CHANGE, max_size=6), deep=st.booleans())
def test_a_merge_of_any_changes_is_whole_or_nothing(
    ours: list[Change], theirs: list[Change], deep: bool
) -> None:
    """With a conflict nothing changes; with a rule all changes of the winner are in the result."""
    stage = Stage()
    branch = stage.workspace.fork(stage.ref)
    if deep:
        branch = stage.workspace.fork(branch)
    for ref, changes in ((stage.ref, ours), (branch, theirs)):
        for tag, (change, _) in enumerate(independent(changes)):
            stage.run(ref, change, 100 + 20 * ref.branch + tag)
    before, head = stage.form(stage.ref), stage.workspace.head(stage.ref)

    try:
        stage.workspace.merge(branch, into=stage.ref)
    except MergeConflictError:
        assert stage.form(stage.ref) == before
        assert stage.workspace.head(stage.ref) == head
        assert stage.workspace.merge(branch, into=stage.ref, on_conflict="theirs").resolved
    assert stage.workspace.merge(branch, into=stage.ref).changed == 0
    stage.workspace.merge(stage.ref, into=branch)
    assert stage.form(stage.ref) == stage.form(branch)
