"""A workspace with a store, as its user meets it."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from registry import ConfigEntity, Entity, Retention, Workspace
from registry.errors import (
    FencedError,
    IdentityTakenError,
    InUseError,
    JournalError,
    NameTakenError,
    NotFoundError,
    NotJournalableError,
    PrunedError,
    RecordedError,
)
from registry.journal import journaled_tree
from registry.journal.memory import MemoryJournal
from registry.journal.port import Group


class Leaf(Entity):
    """A child that can hold anything."""

    number: int = 0
    anything: Any = None


class Tree(Entity):
    """A root with children, and containers in containers."""

    leaves: list[Leaf] = Field(default_factory=list)
    table: dict[str, list[int]] = Field(default_factory=dict)


class Gadget:
    """Can be copied, and nobody has said how it is written."""


class Step(ConfigEntity):
    """How much to add."""

    by: int = 1


def opened(store: Any, **settings: Any) -> Workspace:
    workspace = Workspace(store=store, **settings)

    @workspace.register("count")
    def count(tree: Tree) -> int:
        tree.leaves[0].number += 1
        return tree.leaves[0].number

    @workspace.register("grow")
    def grow(tree: Tree, number: int) -> Leaf:
        tree.leaves.append(Leaf(number=number))
        return tree.leaves[-1]

    @workspace.register("put_in")
    def put_in(tree: Tree, key: str, value: int) -> None:
        tree.table.setdefault(key, []).append(value)

    @workspace.register("split")
    def split(tree: Tree) -> list[Leaf]:
        return [tree.leaves.pop(), Leaf(number=5)]

    @workspace.register("look")
    def look(tree: Tree) -> int:
        return tree.leaves[0].number

    @workspace.register("fail")
    def fail(tree: Tree) -> None:
        tree.leaves.clear()
        raise ValueError("on purpose")

    @workspace.register("hold")
    def hold(tree: Tree) -> None:
        tree.leaves[0].anything = Gadget()

    @workspace.register("made")
    def made(tree: Tree) -> Leaf:
        return Leaf(anything=lambda: 1)

    @workspace.register("step")
    def step(tree: Tree, step: Step) -> None:
        tree.leaves[0].number += step.by

    return workspace


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


@pytest.fixture
def workspace(journal: MemoryJournal) -> Workspace:
    workspace = opened(journal)
    workspace.add(Tree(leaves=[Leaf(), Leaf(number=7)]), "tree")
    return workspace


def test_what_was_committed_is_there_in_the_next_process(tmp_path: Path) -> None:
    with opened(tmp_path / "store.db") as workspace:
        root = Tree(leaves=[Leaf()])
        workspace.add(root, "tree")
        workspace.execute("grow", tree=root, number=3)
        expected = workspace.snapshot("tree").model_dump()

    with opened(tmp_path / "store.db") as again:
        assert again.snapshot("tree").model_dump() == expected
        assert again.head("tree") == 2
        assert again.snapshot("tree", 1) == root
        assert again.execute("count", tree=again.ref("tree"), raw=True) == 1
        assert again.head("tree") == 3


def test_names_forks_and_drops_are_stored(journal: MemoryJournal, workspace: Workspace) -> None:
    workspace.execute("count", tree=workspace.ref("tree"))
    workspace.fork("tree", at=1, name="old")
    gone = workspace.fork("tree", name="gone")
    workspace.drop(gone)

    again = opened(journal)

    assert [again.name_of(ref) for ref in again.roots()] == ["tree", "old"]
    assert again.snapshot("old").leaves[0].number == 0
    assert again.fork("tree").branch > gone.branch
    with pytest.raises(NotFoundError):
        again.head(gone)


def test_a_name_and_an_identity_that_are_only_stored_are_taken(
    journal: MemoryJournal, workspace: Workspace
) -> None:
    again = opened(journal)

    with pytest.raises(NameTakenError):
        again.add(Tree(), "tree")
    orphan = Tree()
    assert orphan.lineage_id
    twin = pickle.loads(pickle.dumps(orphan))
    workspace.add(orphan)
    with pytest.raises(IdentityTakenError):
        opened(journal).add(twin)


def test_opening_a_store_loads_no_tree(journal: MemoryJournal, workspace: Workspace) -> None:
    for _ in range(20):
        workspace.add(Tree())

    again = opened(journal)

    assert len(again.roots()) == 21
    assert len(again.roots(Tree)) == 21
    assert not again.trees.by_root
    assert again.head("tree") == 1
    assert len(again.trees.by_root) == 1


def test_records_and_what_they_tell_survive(journal: MemoryJournal, workspace: Workspace) -> None:
    tree = workspace.ref("tree")
    workspace.execute("grow", tree=tree, number=1)
    with pytest.raises(ValueError, match="on purpose"):
        workspace.execute("fail", tree=tree)
    one, other = workspace.execute("split", tree=tree)
    workspace.sync()

    again = opened(journal)

    names = [(each.callable_name, each.status) for each in again.executions()]
    assert names == [("grow", "ok"), ("fail", "failed"), ("split", "ok")]
    assert again.executions(status="failed")[0].error == "on purpose"
    changes = again.changes(again.executions()[-1])
    assert [each.tree for each in changes] == [
        again.ref(each) for each in ("tree", one.ecs_id, other.ecs_id)
    ]
    assert again.get(f"@{other.ecs_id}").sibling_output_entities == [one.ecs_id]
    assert again.why(tree).steps[0].execution_id == workspace.why(tree).steps[0].execution_id


def test_a_plain_result_is_found_by_its_address(
    journal: MemoryJournal, workspace: Workspace
) -> None:
    output = workspace.execute("count", tree=workspace.ref("tree"))

    again = opened(journal)
    found = again.get(f"@{output.ecs_id}")

    assert found.value == 1
    assert type(found) is type(output)
    assert found == output


def test_an_id_takes_effect_once(journal: MemoryJournal, workspace: Workspace) -> None:
    tree = workspace.ref("tree")
    first = workspace.run("count", {"tree": tree}, "job-1")

    assert workspace.run("count", {"tree": tree}, "job-1") == first
    again = opened(journal)
    assert again.run("count", {"tree": tree}, "job-1") == first
    assert again.run("grow", {"tree": tree, "number": 1}, "job-2").version == 3
    assert again.run("grow", {"tree": tree, "number": 1}, "job-2").version == 3
    assert again.head(tree) == 3


def test_an_id_that_failed_fails_again(journal: MemoryJournal, workspace: Workspace) -> None:
    tree = workspace.ref("tree")
    with pytest.raises(ValueError, match="on purpose"):
        workspace.run("fail", {"tree": tree}, "job-1")

    with pytest.raises(RecordedError) as info:
        opened(journal).run("fail", {"tree": tree}, "job-1")

    assert (info.value.error_type, info.value.error) == ("ValueError", "on purpose")
    assert info.value.execution_id == "job-1"


def test_what_is_in_a_group_is_one_row(journal: MemoryJournal, workspace: Workspace) -> None:
    tree = workspace.ref("tree")
    before = rows(journal)

    with workspace.group():
        for _ in range(10):
            workspace.execute("count", tree=tree)
        assert rows(journal) == before

    assert rows(journal) == before + 1
    workspace.execute_batch([("count", {"tree": tree})] * 5)
    assert rows(journal) == before + 2
    assert opened(journal).head(tree) == 16


def test_what_cannot_be_written_is_refused_and_nothing_is_stored(
    journal: MemoryJournal, workspace: Workspace
) -> None:
    tree = workspace.ref("tree")

    with pytest.raises(NotJournalableError, match="Gadget"):
        workspace.execute("hold", tree=tree)
    with pytest.raises(NotJournalableError):
        workspace.execute("made", tree=tree)
    with pytest.raises(NotJournalableError):
        workspace.add(Leaf(anything=iter([1])))

    assert workspace.head(tree) == 1
    assert workspace.snapshot(tree).leaves[0].anything is None
    assert workspace.execute("count", tree=tree, raw=True) == 1
    assert len(opened(journal).roots()) == 1


def test_who_opened_the_store_later_is_the_writer(
    journal: MemoryJournal, workspace: Workspace
) -> None:
    tree = workspace.ref("tree")
    later = opened(journal)
    later.execute("count", tree=tree)

    with pytest.raises(FencedError):
        workspace.execute("count", tree=tree)

    later.execute("count", tree=tree)
    assert opened(journal).head(tree) == 3


@pytest.mark.parametrize("execution_id", [None, "look-1"])
def test_who_is_no_longer_the_writer_does_not_even_read(
    journal: MemoryJournal, workspace: Workspace, execution_id: str | None
) -> None:
    """What it has in memory may be older than what somebody was told already."""
    tree = workspace.ref("tree")
    later = opened(journal)
    later.execute("count", tree=tree)

    with pytest.raises(FencedError):
        workspace.run("look", {"tree": tree}, execution_id)


def test_a_store_that_fails_is_not_the_outcome_of_an_execution(
    journal: MemoryJournal, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is an error that says to run it again: the id is still to be used."""
    tree = workspace.ref("tree")
    later = opened(journal)

    def parts(*_: Any) -> None:
        raise JournalError("store", "cannot be read", "look after the disk")

    with monkeypatch.context() as broken:
        broken.setattr(journal, "parts", parts)
        with pytest.raises(JournalError):
            later.run("count", {"tree": tree}, "once")

    assert opened(journal).run("count", {"tree": tree}, "once").version == 2


class Broken(MemoryJournal):
    """Stores nothing any more once it is told."""

    is_broken = False

    def append(self, group: Group) -> int:
        if self.is_broken:
            raise JournalError("broken", "is full", "make room")
        return super().append(group)


def test_nothing_is_acknowledged_that_was_not_stored() -> None:
    journal = Broken()
    workspace = opened(journal)
    tree = workspace.add(Tree(leaves=[Leaf()]))
    journal.is_broken = True

    for _ in range(2):
        with pytest.raises(JournalError):
            workspace.execute("count", tree=tree)
    journal.is_broken = False
    with pytest.raises(JournalError):  # memory is ahead: only opening it again helps
        workspace.execute("count", tree=tree)

    assert opened(journal).head(tree) == 1


def test_threads_share_groups_and_lose_nothing(journal: MemoryJournal) -> None:
    workspace = opened(journal)
    trees = [workspace.add(Tree(leaves=[Leaf()])) for _ in range(4)]

    def work(tree: Any) -> None:
        for _ in range(50):
            workspace.execute("count", tree=tree)

    threads = [threading.Thread(target=work, args=(tree,)) for tree in trees for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    again = opened(journal)
    assert [again.head(tree) for tree in trees] == [101] * 4
    assert len(again.executions()) == 400


def test_what_memory_forgets_after_opening_is_what_it_forgot_before(
    journal: MemoryJournal,
) -> None:
    workspace = opened(journal, retention=Retention(versions=3))
    tree = workspace.add(Tree(leaves=[Leaf()]))
    for _ in range(20):
        workspace.execute("count", tree=tree)

    again = opened(journal, retention=Retention(versions=3))

    versions = [info.version for info in workspace.history(tree)]
    assert [info.version for info in again.history(tree)] == versions == [19, 20, 21]


def test_configs_and_containers_in_containers_go_on(
    journal: MemoryJournal, workspace: Workspace
) -> None:
    tree = workspace.ref("tree")
    workspace.execute("put_in", tree=tree, key="a", value=1)
    workspace.execute("step", tree=tree, by=4)

    again = opened(journal)
    again.execute("put_in", tree=tree, key="a", value=2)
    again.execute("step", tree=tree, by=4)

    last = opened(journal).snapshot(tree)
    assert last.table == {"a": [1, 2]}
    assert last.leaves[0].number == 8


def rows(journal: MemoryJournal) -> int:
    return next(journal.logs())[0]


class Counting(MemoryJournal):
    """Notes from which version on a branch is read."""

    after = -1

    def parts(self, root: int, branch: int, after: int = 0, until: int | None = None) -> Any:
        self.after = after
        return super().parts(root, branch, after, until)


def test_a_branch_whose_forks_are_not_loaded_is_not_dropped(journal: MemoryJournal) -> None:
    """They read of it what they began with; it is refused at once."""
    workspace = opened(journal)
    tree = workspace.add(Tree(leaves=[Leaf()]), "tree")
    fork = workspace.fork(tree)
    refused: list[int] = []

    def drop() -> None:
        with pytest.raises(InUseError) as caught:
            opened(journal).drop("tree")
        refused.append(caught.value.count)

    dropping = threading.Thread(target=drop, daemon=True)
    dropping.start()
    dropping.join(60)
    assert refused == [1]

    again = opened(journal)
    again.drop(fork)
    again.drop(tree)
    assert opened(journal).roots() == []


def test_recovery_begins_at_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes out is the same; only what retention lets go is not made again.

    First from the newest; from an older one when older versions are asked for.
    """
    monkeypatch.setattr(journaled_tree, "CHECKPOINT_EVERY", -1_000)  # after each commit
    journal, few = Counting(), Retention(versions=4)
    workspace = opened(journal, retention=few)
    tree = workspace.add(Tree(leaves=[Leaf(anything={"a": [1, {2}]}), Leaf()]), "tree")
    for number in range(12):
        workspace.execute("count", tree=tree)
        workspace.execute("put_in", tree=tree, key=str(number % 3), value=number)
        workspace.execute("grow", tree=tree, number=number)
        workspace.execute("split", tree=tree)

    again = opened(journal, retention=few)
    again.execute("put_in", tree=tree, key="1", value=100)

    assert journal.after == 49 - 1
    assert again.history(tree)[0].version == 50 - 3
    assert journal.after == 50 - 4
    last = opened(journal, retention=few)
    for version in range(47, 51):
        one, other = again.snapshot(tree, version), last.snapshot(tree, version)
        assert one == other
        assert one.model_dump() == other.model_dump()
        assert one.leaves[0].created_at == other.leaves[0].created_at
        assert [leaf.ecs_id for leaf in one.leaves] == [leaf.ecs_id for leaf in other.leaves]


def test_what_memory_has_let_go_is_read_from_the_store(journal: MemoryJournal) -> None:
    """It can be read, and not be built upon."""
    workspace = opened(journal, retention=Retention(versions=3))
    tree = workspace.add(Tree(leaves=[Leaf()]))
    shown = []
    with workspace.group():
        for number in range(20):
            shown.append(workspace.execute("put_in", tree=tree, key=str(number % 3), value=number))
            shown[-1] = workspace.snapshot(tree).model_dump()
        assert workspace.snapshot(tree, 2).model_dump() == shown[0]

    old = workspace.snapshot(tree, 7)

    assert old.model_dump() == shown[5]
    assert old.version == 7
    assert workspace.snapshot(tree, 1).table == {}
    assert [info.version for info in workspace.history(tree)] == [19, 20, 21]
    with pytest.raises(PrunedError):
        workspace.execute("count", tree=old)
    with pytest.raises(PrunedError):
        workspace.fork(tree, at=7)
    assert workspace.head(tree) == 21
    assert len(workspace.roots()) == 1
    with pytest.raises(NotFoundError):
        workspace.snapshot(tree, 22)
