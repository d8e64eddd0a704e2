"""An entity that comes back after a checkpoint that does not hold it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import Field

from registry import Entity, Retention, Workspace
from registry.journal import journaled_tree
from registry.journal.compaction import compact
from registry.journal.memory import MemoryJournal


class Leaf(Entity):
    """What goes and comes back."""

    number: int = 0
    notes: list[int] = Field(default_factory=list)
    below: list[Leaf] = Field(default_factory=list)


class Tree(Entity):
    """A root."""

    leaves: list[Leaf] = Field(default_factory=list)


def opened(journal: Any, **settings: Any) -> Workspace:
    workspace = Workspace(store=journal, **settings)

    @workspace.register("cut")
    def cut(tree: Tree) -> None:
        tree.leaves.pop()

    @workspace.register("note")
    def note(tree: Tree, number: int) -> None:
        tree.leaves[-1].notes.append(number)
        tree.leaves[-1].below[0].notes.append(number)

    return workspace


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> MemoryJournal:
    """A journal that gets a checkpoint after each commit."""
    monkeypatch.setattr(journaled_tree, "CHECKPOINT_EVERY", -1_000)
    return MemoryJournal()


@pytest.mark.parametrize("is_compacted", [False, True])
def test_an_entity_that_came_back_is_there_after_recovery_from_a_checkpoint_without_it(
    journal: MemoryJournal, *, is_compacted: bool
) -> None:
    workspace = opened(journal)
    leaves = [Leaf(), Leaf(notes=[7], below=[Leaf(notes=[8])])]
    tree = workspace.add(Tree(leaves=leaves), "tree")
    workspace.execute("cut", tree=tree)
    workspace.undo(workspace.executions()[-1].execution_id)
    before = workspace.snapshot(tree).model_dump()
    few = Retention(versions=1)

    if is_compacted:
        compact(journal, few)
    again = opened(journal, retention=few)

    assert again.snapshot("tree").model_dump() == before
    again.execute("note", tree=again.ref("tree"), number=9)
    assert again.snapshot("tree").leaves[1].below[0].notes == [8, 9]


def test_what_did_not_come_back_is_not_kept_for_ever(journal: MemoryJournal) -> None:
    workspace = opened(journal)
    tree = workspace.add(Tree(leaves=[Leaf(number=1), Leaf(below=[Leaf()])]), "tree")
    workspace.execute("cut", tree=tree)
    workspace.revert(tree, 1)
    workspace.execute("cut", tree=tree)
    workspace.execute("cut", tree=tree)

    again = opened(journal, retention=Retention(versions=1))

    assert again.snapshot("tree").model_dump() == workspace.snapshot("tree").model_dump()
    # The root, and what left in the version that is kept.
    assert [node.state[0] for node in again.trees.tree(tree).nodes.values()][1:] == [1]
