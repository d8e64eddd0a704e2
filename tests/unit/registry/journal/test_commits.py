"""Each kind of change, written and done again: the history that comes out is the one that was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import Field, PrivateAttr

from registry import Entity, Retention, Workspace
from registry.changeset import Commit
from registry.errors import JournalDamagedError
from registry.history import Cell, Node, cells_in, same_stored
from registry.journal.commits import redo_commit
from registry.journal.memory import MemoryJournal
from registry.journal.packing import Unpacker
from registry.journal.states import StateReader, StateWriter
from registry.tree import TreeRegistry
from tests.model.values import Point


class Leaf(Entity):
    """What is moved about."""

    number: int = 0
    anything: Any = None


class Bough(Entity):
    """Holds leaves in all ways, and other boughs."""

    leaves: list[Leaf] = Field(default_factory=list)
    named: dict[str, Leaf] = Field(default_factory=dict)
    one: Leaf | None = None
    boughs: list[Bough] = Field(default_factory=list)
    table: dict[Any, Any] = Field(default_factory=dict)
    marks: set[Any] = Field(default_factory=set)
    numbers: list[Any] = Field(default_factory=list)
    anything: Any = None
    _hidden: list[int] = PrivateAttr(default_factory=list)


def _new_tree() -> Bough:
    return Bough(
        leaves=[Leaf(number=1), Leaf(number=2)],
        named={"a": Leaf(number=3)},
        boughs=[Bough(leaves=[Leaf(number=4)]), Bough()],
        table={"k": [1, [2, {"x": {3}}]]},
        marks={1, "a"},
        numbers=[1, 2.5, 3],
        anything=Point(1, 2, [3]),
    )


def _put(name: str, value: Any) -> Callable[[Bough], Any]:
    return lambda bough: setattr(bough, name, value)


def _splice(bough: Bough) -> None:
    bough.numbers.insert(0, 9)
    bough.numbers.pop(2)
    bough.numbers.reverse()


CHANGES: dict[str, Callable[[Bough], Any]] = {
    "a field": _put("anything", 7),
    "a field of a child": lambda it: setattr(it.leaves[0], "number", 8),
    "an opaque value": lambda it: it.anything.trail.append(4),
    "an opaque value is new": lambda it: it.leaves.append(Leaf(anything=Point())),
    "an opaque value is gone": _put("anything", None),
    "a deleted field": lambda it: delattr(it, "anything"),
    "a private attribute": lambda it: setattr(it, "_hidden", [1, [2]]),
    "a container as a whole": _put("numbers", [[1], (2, [3]), {4: {5}}]),
    "move": lambda it: it.boughs[1].leaves.append(it.leaves.pop(0)),
    "move in place": lambda it: it.leaves.insert(0, it.leaves.pop()),
    "move of many": lambda it: it.boughs[1].leaves.extend([it.leaves.pop(), it.leaves.pop()]),
    "move to a field": lambda it: setattr(it, "one", it.leaves.pop()),
    "move to a dict": lambda it: it.named.update(b=it.leaves.pop()),
    "move of a bough": lambda it: it.boughs[1].boughs.append(it.boughs.pop(0)),
    "append": lambda it: it.numbers.append("x"),
    "splices": _splice,
    "clear": lambda it: it.numbers.clear(),
    "item of a dict": lambda it: it.table.update({"k2": (1, "a"), 3: None}),
    "item of a dict is gone": lambda it: it.table.pop("k"),
    "order of a dict": lambda it: it.table.update({"j": 1, "k": it.table.pop("k") and 2}),
    "container in containers": lambda it: it.table["k"][1].append([5]),
    "deepest container": lambda it: it.table["k"][1][1]["x"].add(6),
    "members of a set": lambda it: it.marks.symmetric_difference_update({1, (1, 2)}),
    "an entity enters": lambda it: it.leaves.append(Leaf(number=5, anything=[1])),
    "entities enter": lambda it: it.boughs.append(Bough(one=Leaf(), leaves=[Leaf()])),
    "an entity leaves": lambda it: it.leaves.pop(),
    "a bough leaves": lambda it: it.boughs.pop(0),
    "one leaves and one enters": lambda it: it.leaves.__setitem__(0, Leaf(number=6)),
    "a huge number and a half": lambda it: it.numbers.extend([10**400, "\ud800", b"\xff"]),
    "nothing": lambda it: None,
}


def opened(journal: MemoryJournal) -> Workspace:
    workspace = Workspace(store=journal)

    @workspace.register("change")
    def change(tree: Bough, name: str) -> None:
        CHANGES[name](tree)

    @workspace.register("result")
    def result(tree: Bough) -> list[Leaf]:
        return [tree.leaves[0], tree.leaves[1]]

    return workspace


def tree_in(workspace: Workspace, name: str = "tree") -> TreeRegistry:
    ref = workspace.ref(name)
    workspace.head(ref)
    return workspace.trees.by_root[ref.root, ref.branch]


def history_of(node: Node) -> dict[str, Any]:
    """Return all that is kept of an entity but its values."""
    return {
        "class": node.schema.cls,
        "parent": node.parent and node.parent.key,
        "removed": node.removed,
        "born": (node.born, node.created, node.first_stamp, node.source),
        "opaque": node.opaque,
        "versions": node.versions or [],
        "renamed": node.renamed or [],
        "moves": node.moves or [],
        "owners": [cell.node and cell.node.key for cell in cells_of(node.state)],
        "cells": [history_in(cell) for state in states_of(node) for cell in cells_of(state)],
    }


def history_in(cell: Cell) -> tuple[Any, ...]:
    return (
        *(type(cell), cell.number, cell.depth, type(cell.up)),
        *(cell.versions, cell.weight, [shown(delta) for delta in cell.deltas]),
    )


def shown(delta: Any) -> Any:
    """Return a delta in which containers are their numbers."""
    if isinstance(delta, Cell):
        return "cell", delta.number
    return [*map(shown, delta)] if type(delta) in (tuple, list) else delta


def states_of(node: Node) -> list[tuple[Any, ...]]:
    return [*(node.states or []), node.state]


def cells_of(state: tuple[Any, ...]) -> list[Cell]:
    return [cell for value in state for cell in cells_in(value)]


def commits_of(tree: TreeRegistry) -> list[tuple[Any, ...]]:
    """Return the commits, without what records keep together with them."""
    return [each[: len(Commit._fields)] for each in tree.commits]


def check_same(again: TreeRegistry, tree: TreeRegistry) -> None:
    assert (again.head, again.oldest) == (tree.head, tree.oldest)
    assert commits_of(again) == commits_of(tree)
    assert again.nodes.keys() == tree.nodes.keys()
    for key, node in tree.nodes.items():
        other = again.nodes[key]
        assert history_of(other) == history_of(node)
        assert len(states_of(other)) == len(states_of(node))
        for one, two in zip(states_of(other), states_of(node), strict=True):
            assert all(map(same_stored, one, two))


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_done_again_gives_the_history_that_was(name: str) -> None:
    journal = MemoryJournal()
    workspace = opened(journal)
    ref = workspace.add(_new_tree(), "tree")

    workspace.execute("change", tree=ref, name=name)

    check_same(tree_in(opened(journal)), tree_in(workspace))


def test_all_changes_one_after_the_other_give_the_history_that_was() -> None:
    """Also if the process changes between any two of them."""
    for reopens in (False, True):
        journal = MemoryJournal()
        workspace = opened(journal)
        workspace.add(_new_tree(), "tree")
        for _ in range(2):
            for name in CHANGES:
                try:
                    workspace.execute("change", tree=workspace.ref("tree"), name=name)
                except (AttributeError, IndexError, KeyError):
                    continue  # what it changes is gone already
                if reopens:
                    workspace = opened(journal)

        assert tree_in(workspace).head > 30
        check_same(tree_in(opened(journal)), tree_in(workspace))


def test_several_changes_of_one_commit_are_done_again() -> None:
    journal = MemoryJournal()
    workspace = opened(journal)

    @workspace.register("all")
    def change_all(tree: Bough) -> None:
        for name in ("move", "a field", "deepest container", "entities enter", "order of a dict"):
            CHANGES[name](tree)
        tree.boughs[1].leaves.append(Leaf(number=tree.boughs[1].leaves[0].number))
        del tree.boughs[0]

    workspace.execute("all", tree=workspace.add(_new_tree(), "tree"))

    check_same(tree_in(opened(journal)), tree_in(workspace))


def test_forks_go_on_from_their_base() -> None:
    journal = MemoryJournal()
    workspace = opened(journal)
    ref = workspace.add(_new_tree(), "tree")
    workspace.execute("change", tree=ref, name="append")
    fork = workspace.fork(ref, name="twin")
    for name in ("append", "move", "deepest container", "entities enter", "a bough leaves"):
        workspace.execute("change", tree=fork, name=name)
        workspace.execute("change", tree=ref, name=name)

    again = opened(journal)

    for name in ("twin", "tree"):
        check_same(tree_in(again, name), tree_in(workspace, name))


def test_what_comes_back_after_it_left_is_there_again() -> None:
    journal = MemoryJournal()
    workspace = opened(journal)
    ref = workspace.add(_new_tree(), "tree")
    for name in ("an entity leaves", "a bough leaves"):
        workspace.execute("change", tree=ref, name=name)
        workspace.revert(ref, workspace.head(ref) - 1)

    check_same(tree_in(opened(journal)), tree_in(workspace))


def test_what_an_execution_returned_is_noted_again() -> None:
    journal = MemoryJournal()
    workspace = opened(journal)
    workspace.execute("result", tree=workspace.add(_new_tree(), "tree"))

    check_same(tree_in(opened(journal)), tree_in(workspace))


def test_a_container_that_is_not_there_is_told_with_the_place() -> None:
    tree = Workspace().trees.adopt(_new_tree(), 0.0)[0]
    states = StateWriter(0)
    states.pack.entries.append(
        [0, states.pack.time(0.5), 1, states.pack.text("f"), 0, [[5, 0, 1]], []]
    )
    states.pack.mark()
    by = StateReader(tree)
    by.open(Unpacker(states.pack.take(), "here"))

    with pytest.raises(JournalDamagedError) as caught:
        redo_commit(tree, next(iter(by.unpack)), by)

    assert (caught.value.place, caught.value.found) == ("here", "changes 5, which no container is")


def test_a_few_versions_are_kept_as_they_were_kept() -> None:
    journal, few = MemoryJournal(), Retention(versions=3)
    workspace = Workspace(store=journal, retention=few)

    @workspace.register("count")
    def count(tree: Bough) -> None:
        tree.leaves[0].number += 1
        tree.numbers.append(1)

    ref = workspace.add(_new_tree(), "tree")
    for _ in range(9):
        workspace.execute("count", tree=ref)

    again = Workspace(store=journal, retention=few)
    assert [each.version for each in again.history(ref)] == [8, 9, 10]
    for version in (8, 9, 10):
        assert (
            again.snapshot(ref, version).model_dump()
            == workspace.snapshot(ref, version).model_dump()
        )
