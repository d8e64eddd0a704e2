"""What a store lets go of, and that everything else reads as before."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import Field

from registry import Entity, PrunedError, Retention, Workspace
from registry.journal import journaled_tree
from registry.journal.compaction import Compacted, compact
from registry.journal.memory import MemoryJournal


class Leaf(Entity):
    """A child."""

    number: int = 0


class Tree(Entity):
    """A root with children."""

    leaves: list[Leaf] = Field(default_factory=list)


def opened(journal: MemoryJournal, retention: Retention | None = None) -> Workspace:
    workspace = Workspace(store=journal, retention=retention)

    @workspace.register("grow")
    def grow(tree: Tree) -> Leaf:
        tree.leaves.append(Leaf(number=len(tree.leaves)))
        return tree.leaves[-1]

    return workspace


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> MemoryJournal:
    """A journal that gets a checkpoint after each commit."""
    monkeypatch.setattr(journaled_tree, "CHECKPOINT_EVERY", -1_000)
    return MemoryJournal()


def grown(journal: MemoryJournal, commits: int) -> Any:
    workspace = opened(journal)
    tree = workspace.add(Tree(), "tree")
    for number in range(commits):
        workspace.run("grow", {"tree": tree}, f"job-{number}")
    return tree


def test_what_is_kept_reads_as_before(journal: MemoryJournal) -> None:
    tree = grown(journal, 20)
    before = opened(journal).snapshot(tree, 17)

    done = compact(journal, Retention(versions=5, records=1_000))

    assert done.branches == 1
    assert done.parts > 15
    again = opened(journal)
    assert again.snapshot(tree, 17) == before
    assert again.snapshot(tree, 17).model_dump() == before.model_dump()
    assert [each.version for each in again.history(tree)] == [17, 18, 19, 20, 21]
    with pytest.raises(PrunedError):
        again.snapshot(tree, 16)
    assert list(journal.check()) == []


def test_executions_go_on_and_ids_are_known_for_ever(journal: MemoryJournal) -> None:
    tree = grown(journal, 20)

    compact(journal, Retention(versions=1, records=1))

    again = opened(journal)
    assert again.run("grow", {"tree": tree}, "job-3").version == 5
    assert again.head(tree) == 21
    assert again.execute("grow", tree=tree).number == 20
    assert opened(journal).head(tree) == 22
    assert compact(journal, Retention(versions=1, records=10)).branches == 1


def test_whoever_writes_meanwhile_does_not_notice(journal: MemoryJournal) -> None:
    workspace = opened(journal)
    tree = workspace.add(Tree())
    for _ in range(10):
        workspace.execute("grow", tree=tree)

    compact(journal, Retention(versions=2))
    workspace.execute("grow", tree=tree)

    assert workspace.snapshot(tree, 1).leaves == []
    assert opened(journal).head(tree) == 12


def test_what_a_fork_or_a_merge_needs_stays(journal: MemoryJournal) -> None:
    tree = grown(journal, 10)
    workspace = opened(journal)
    fork = workspace.fork(tree, at=4)
    workspace.execute("grow", tree=fork)
    workspace.merge(fork, tree)
    workspace.execute("grow", tree=tree)

    compact(journal, Retention(versions=1))

    again = opened(journal)
    assert len(again.snapshot(fork).leaves) == 4
    assert again.snapshot(tree, 4) == workspace.snapshot(tree, 4)
    assert again.merge(fork, tree).changed == 0


def test_records_beyond_the_newest_go_row_by_row(journal: MemoryJournal) -> None:
    grown(journal, 20)

    done = compact(journal, Retention(versions=None, records=5))

    assert done == Compacted(0, 0, 16)
    assert len(opened(journal).executions()) == 5
    assert compact(journal, Retention(versions=None, records=5)).logs == 0
