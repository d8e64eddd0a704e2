"""A reopened tree is loaded from its newest checkpoint on, and answers as if never away."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import Field

from registry import Address, Entity, Ref, Retention, Workspace
from registry.errors import JournalDamagedError, JournalError, PrunedError
from registry.journal import journaled_tree
from registry.journal.compaction import compact
from registry.journal.histories import check_histories
from registry.journal.images import OpenCheckpoint
from registry.journal.journaled_tree import JournaledTree
from registry.journal.journaled_trees import JournaledTrees
from registry.journal.memory import MemoryJournal
from registry.journal.short_tree import ShortTree
from registry.tree import TreeRegistry


class Leaf(Entity):
    """A leaf."""

    number: int = 0
    notes: dict[str, Any] = Field(default_factory=dict)


class Tree(Entity):
    """A root."""

    leaves: list[Leaf] = Field(default_factory=list)
    number: int = 0
    label: str = ""


def opened(journal: Any, **settings: Any) -> Workspace:
    workspace = Workspace(store=journal, **settings)

    @workspace.register("count")
    def count(tree: Tree, at: int = 0) -> None:
        tree.leaves[at].number += 1

    @workspace.register("note")
    def note(tree: Tree, key: str, value: Any) -> None:
        notes = tree.leaves[0].notes
        if value is None:
            del notes[key]
        else:
            notes[key] = value

    @workspace.register("grow")
    def grow(tree: Tree) -> None:
        tree.leaves.append(Leaf(number=len(tree.leaves)))

    @workspace.register("cut")
    def cut(tree: Tree) -> None:
        tree.leaves.pop()

    @workspace.register("set")
    def set_number(tree: Tree, number: int) -> None:
        tree.number = number

    @workspace.register("call")
    def call(tree: Tree, label: str) -> None:
        tree.label = label

    return workspace


class Counting(MemoryJournal):
    """Notes from which version on a branch is read."""

    after: list[int]

    def parts(self, root: int, branch: int, after: int = 0, until: int | None = None) -> Any:
        self.after = [*getattr(self, "after", ()), after]
        return super().parts(root, branch, after, until)


class Copy(MemoryJournal):
    """A journal that holds what another one does, and goes on by itself."""

    @classmethod
    def of(cls, journal: MemoryJournal) -> Copy:
        made = cls()
        made._has = copy.deepcopy(journal._has)
        return made


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Counting:
    """A journal that gets a checkpoint after each commit."""
    monkeypatch.setattr(journaled_tree, "CHECKPOINT_EVERY", -1_000)
    return Counting()


def filled(journal: Any, **settings: Any) -> Workspace:
    """Return a workspace with a tree that has done a little of all."""
    workspace = opened(journal, **settings)
    tree = workspace.add(
        Tree(leaves=[Leaf(number=1000, notes={"a": 1, "b": [2], "c": {}}), Leaf()]), "tree"
    )
    workspace.execute("note", tree=tree, key="b", value=None)
    workspace.execute("count", tree=tree)
    workspace.execute("grow", tree=tree)
    workspace.execute("cut", tree=tree)
    workspace.execute("note", tree=tree, key="b", value=3)
    leaf = workspace.snapshot(tree).leaves[0]
    workspace.put(f"@{workspace.snapshot(tree).ecs_id}.number", Address(leaf.ecs_id, ("number",)))
    workspace.execute("call", tree=tree, label="borrowed before")
    workspace.execute("note", tree=tree, key="a", value=None)
    workspace.execute("count", tree=tree, at=1)
    return workspace


def shape_of(workspace: Workspace) -> type[TreeRegistry]:
    """Return of which class the tree is, which loads it."""
    return type(workspace.trees.tree(workspace.ref("tree")))


def told(entity: Entity) -> list[Any]:
    """Return all that an entity and those below it tell of themselves."""
    each = [entity, *getattr(entity, "leaves", ())]
    return [
        (
            one.model_dump(),
            *(one.ecs_id, one.root_ecs_id, one.old_ids, one.previous_ecs_id),
            *(one.created_at, one.forked_at, one.derived_from_function),
            *(one.derived_from_execution_id, one.attribute_source),
        )
        for one in each
    ]


QUESTIONS: dict[str, Callable[[Workspace, Ref], Any]] = {
    "history": lambda it, ref: it.history(ref),
    "history of a value": lambda it, ref: it.history(f"@{ref.lineage_id}.leaves.0.notes"),
    "history of what left": lambda it, ref: [
        it.history(Ref(ref.root, left.key)) for left in it.diff(ref, 4, 5).removed
    ],
    "diff": lambda it, ref: it.diff(ref, 2, 9),
    "why": lambda it, ref: it.why(f"@{ref.lineage_id}.number"),
    "an older snapshot": lambda it, ref: told(it.snapshot(ref, 3)),
    "all older snapshots": lambda it, ref: [told(it.snapshot(ref, at)) for at in range(1, 11)],
    "at a version": lambda it, ref: told(it.at(ref, 4)),
    "at a time": lambda it, ref: told(it.at(ref, it.snapshot(ref, 5).forked_at)),
    "the identities of the head": lambda it, ref: told(it.snapshot(ref)),
    "an old id": lambda it, ref: it.get(f"@{it.snapshot(ref).old_ids[1]}").model_dump(),
    "a tree": lambda it, ref: len(it.tree(ref, 2).nodes),
    "changes": lambda it, _: [it.changes(each) for each in it.executions("count")],
    "events": lambda it, _: [event for _, event in it.events()],
    "replay": lambda it, _: it.replay(it.executions("count")[0].execution_id).differences,
    "executions": lambda it, _: [each.execution_id for each in it.executions()],
    "a page": lambda it, ref: it.page(ref, 3).identity,
}


def reopened(journal: MemoryJournal, *, whole: bool) -> Workspace:
    """Return a workspace on a copy of a store, with the tree loaded."""
    workspace = opened(Copy.of(journal))
    assert isinstance(workspace.trees, JournaledTrees)
    workspace.trees.loads_all = whole
    assert shape_of(workspace) is (JournaledTree if whole else ShortTree)
    return workspace


@pytest.mark.parametrize("name", QUESTIONS)
def test_what_came_before_the_checkpoint_is_answered_as_if_it_was_loaded_at_once(
    journal: Counting, name: str
) -> None:
    ref = filled(journal).ref("tree")
    whole, short = reopened(journal, whole=True), reopened(journal, whole=False)

    assert QUESTIONS[name](short, ref) == QUESTIONS[name](whole, ref)
    for each in QUESTIONS.values():  # whatever was asked first
        assert each(short, ref) == each(whole, ref)
    assert shape_of(short) is JournaledTree


@pytest.mark.parametrize(
    "name", [name for name in QUESTIONS if name not in ("why", "events", "executions")]
)
def test_what_came_before_the_checkpoint_is_answered_as_if_never_away(
    journal: Counting, name: str
) -> None:
    workspace = filled(journal)
    ref = workspace.ref("tree")

    assert QUESTIONS[name](reopened(journal, whole=False), ref) == QUESTIONS[name](workspace, ref)


DOINGS: dict[str, Callable[[Workspace, Ref], Any]] = {
    "undo": lambda it, _: it.undo(it.executions("count")[0].execution_id),
    "undo the last one": lambda it, _: it.undo(it.executions("count")[-1].execution_id),
    "undo what moved": lambda it, _: [
        it.undo(it.executions(name)[-1].execution_id) for name in ("grow", "cut")
    ],
    "revert": lambda it, ref: it.revert(ref, 4),
    "fork": lambda it, ref: it.execute("count", tree=it.fork(ref, 3)),
    "fork of the head": lambda it, ref: it.execute("count", tree=it.fork(ref)),
    "an older snapshot as input": lambda it, ref: it.execute("count", tree=it.snapshot(ref, 6)),
    "a dry run": lambda it, ref: it.execute("count", tree=ref, dry_run=True),
    "merge": lambda it, ref: [
        it.execute("count", tree=(fork := it.fork(ref, 3)), at=1),
        it.merge(fork, on_conflict="theirs"),
    ],
    "merge of the head": lambda it, ref: [
        it.execute("count", tree=(fork := it.fork(ref)), at=1),
        it.merge(fork),
    ],
    "drop": lambda it, ref: it.drop(it.fork(ref, 2)),
}


@pytest.mark.parametrize("name", DOINGS)
def test_what_is_done_comes_out_as_if_it_was_loaded_at_once(journal: Counting, name: str) -> None:
    ref = filled(journal).ref("tree")

    def after(workspace: Workspace) -> list[Any]:
        DOINGS[name](workspace, ref)
        return [
            (
                workspace.head(branch),
                [row[0] for row in workspace.history(branch)],
                [
                    workspace.snapshot(branch, at).model_dump()
                    for at in range(1, workspace.head(branch) + 1)
                ],
                [leaf.ecs_id for leaf in workspace.snapshot(branch).leaves],
            )
            for branch in workspace.branches(ref)
        ]

    short = reopened(journal, whole=False)
    assert after(short) == after(reopened(journal, whole=True))
    assert list(check_histories(short._session.writer.journal)) == []  # type: ignore[union-attr]


def test_the_first_call_does_again_what_follows_the_newest_checkpoint_only(
    journal: Counting,
) -> None:
    filled(journal)
    journal.after = []
    again = opened(journal)

    again.execute("count", tree=again.ref("tree"))
    again.snapshot("tree").model_dump()
    assert again.head("tree") == 11
    again.execute("count", tree=again.fork("tree"))
    again.execute("count", tree=again.ref("tree"), dry_run=True)

    assert journal.after == [9]
    assert shape_of(again) is ShortTree


def test_the_rest_is_loaded_once(journal: Counting) -> None:
    filled(journal)
    again = opened(journal)
    again.head("tree")
    journal.after = []

    for _ in range(2):
        assert len(again.history("tree")) == 10
        again.diff("tree", 1, 10)

    assert journal.after == [0, 0]  # once to see whether there is a beginning


def test_the_next_checkpoint_is_counted_from_the_one_that_a_tree_began_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A host that dies again and again has no more to do again each time."""
    monkeypatch.setattr(JournaledTree, "wants_checkpoint", property(_is_due))
    journal = Counting()
    filled(journal)

    for _ in range(20):
        workspace = opened(journal)
        workspace.execute("count", tree=workspace.ref("tree"))
        head = workspace.head("tree")

    opened(journal).head("tree")
    assert head - journal.after[-1] <= 4 + 1


def _is_due(tree: JournaledTree) -> bool:
    return tree.marked - tree.checked > 3


@pytest.mark.parametrize("is_asked_first", [False, True])
def test_retention_of_versions_is_as_if_never_away(
    journal: Counting, *, is_asked_first: bool
) -> None:
    few = Retention(versions=6)
    workspace = filled(journal, retention=few)
    again = opened(journal, retention=few)
    assert shape_of(again) is ShortTree

    for at in range(14):
        if is_asked_first:
            assert again.history("tree")[0].version == 10 + at - 6 + 1
        again.execute("count", tree=again.ref("tree"))

    assert [row.version for row in again.history("tree")] == list(range(19, 25))
    with pytest.raises(PrunedError) as caught:
        again.diff("tree", 18, 24)
    assert caught.value.oldest == 19
    assert workspace.history("tree")[0].version == 5


def test_retention_forgets_at_once_what_is_loaded_and_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The past begins at a checkpoint that is older than what is kept."""
    monkeypatch.setattr(
        JournaledTree, "wants_checkpoint", property(lambda it: it.marked - it.checked > 30)
    )
    journal = Counting()
    workspace = filled(journal)
    tree = workspace.ref("tree")
    for number in range(60):
        workspace.execute("call", tree=tree, label=f"number {number}")
    source = workspace.snapshot(tree).attribute_source
    assert list(source) == ["number"]

    again = opened(journal, retention=Retention(versions=15))

    assert shape_of(again) is ShortTree
    assert [row.version for row in again.history(tree)] == list(range(56, 71))
    held = again.trees.tree(tree)
    assert held.nodes[held.key].renamed == list(range(57, 71))
    assert [commit[0] for commit in held.commits] == list(range(56, 71))
    assert again.snapshot(tree, 57).attribute_source == source


def test_a_tree_that_has_grown_beyond_retention_needs_its_past_no_more(journal: Counting) -> None:
    """And nobody loads it; what left before is forgotten with it."""
    filled(journal)
    few = Retention(versions=6)
    again = opened(journal, retention=few)
    again.head("tree")
    journal.after = []

    for _ in range(8):
        again.execute("count", tree=again.ref("tree"))

    assert shape_of(again) is JournaledTree
    assert journal.after == []
    tree = again.trees.tree(again.ref("tree"))
    assert [node.removed for node in tree.nodes.values()] == [0] * 3


def test_retention_of_memory_is_kept(journal: Counting) -> None:
    filled(journal)
    little = Retention(memory_bytes=1)

    again = opened(journal, retention=little)

    assert [row.version for row in again.history("tree")] == [10]
    again.execute("count", tree=again.ref("tree"))
    assert [row.version for row in again.history("tree")] == [11]


def test_a_checkpoint_that_knows_less_than_retention_keeps_is_not_begun_at(
    journal: Counting,
) -> None:
    """Whoever wrote it had forgotten entities that left, which may come back."""
    filled(journal, retention=Retention(versions=2))

    again = opened(journal)

    assert shape_of(again) is JournaledTree
    assert len(again.history("tree")) == 10


def test_a_checkpoint_of_before_says_nothing_of_what_it_knows(
    journal: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = filled(journal)
    made = OpenCheckpoint.__init__

    def older(self: OpenCheckpoint, checkpoint: Any) -> None:
        made(self, checkpoint)
        self.known_since = None

    monkeypatch.setattr(OpenCheckpoint, "__init__", older)

    again = opened(journal)

    assert shape_of(again) is JournaledTree
    assert again.history("tree") == workspace.history("tree")


def test_borrowed_fields_are_known_after_recovery_from_a_checkpoint(journal: Counting) -> None:
    """Also where what was before that is not kept."""
    workspace = filled(journal)
    source = workspace.snapshot("tree").attribute_source
    assert list(source) == ["number"]

    again = opened(journal, retention=Retention(versions=2))

    assert again.snapshot("tree").attribute_source == source
    again.execute("set", tree=again.ref("tree"), number=7)
    assert again.snapshot("tree").attribute_source == {}


def test_a_snapshot_from_before_is_an_input_after(journal: Counting) -> None:
    filled(journal)
    again = opened(journal)
    before = again.snapshot("tree")

    assert len(again.history("tree")) == 10
    again.execute("count", tree=before)

    assert again.head("tree") == 11
    assert before.model_dump() == again.snapshot("tree", 10).model_dump()


def test_the_order_of_a_dict_is_known_on_both_sides_of_the_checkpoint(journal: Counting) -> None:
    """Positions of its keys are counted anew from a checkpoint on."""
    filled(journal)
    orders = []
    for whole in (True, False):
        workspace = reopened(journal, whole=whole)
        tree = workspace.ref("tree")
        for key, value in (("c", None), ("z", 1), ("c", 2), ("b", None), ("b", 4)):
            workspace.execute("note", tree=tree, key=key, value=value)
        shown = [workspace.snapshot(tree, at).leaves[0].notes for at in range(1, 16)]
        orders.append([list(notes.items()) for notes in shown])

    assert orders[1] == orders[0]
    assert orders[0][0] == [("a", 1), ("b", [2]), ("c", {})]


def test_nothing_is_put_together_while_a_commit_is_stored(
    journal: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(journal)
    again = opened(journal)
    tree = again.trees.tree(again.ref("tree"))
    waits = threading.Event()
    monkeypatch.setattr(time, "sleep", lambda _: waits.set())

    assert tree.turn.take()
    tree.is_storing = True
    asking = threading.Thread(target=lambda: tree.oldest)
    asking.start()
    assert waits.wait(60)
    assert shape_of(again) is ShortTree
    tree.is_storing = False
    asking.join(60)

    assert shape_of(again) is JournaledTree
    tree.turn.give_back()


def test_whoever_reads_while_histories_are_put_together_reads_again(journal: Counting) -> None:
    filled(journal)
    again = opened(journal)
    tree = again.trees.tree(again.ref("tree"))
    fork = again.trees.tree(again.fork("tree"))
    before, before_fork = tree._heads(), fork._heads()
    assert (before, before_fork) == (tree._heads(), fork._heads())

    again.history("tree")

    assert tree._heads() != before
    assert fork._heads() != before_fork


def test_an_execution_may_ask_of_the_tree_that_it_runs_on(journal: Counting) -> None:
    """What it has in hand stays what it commits."""
    filled(journal)
    again = opened(journal)

    @again.register("look")
    def look(tree: Tree) -> int:
        leaf, notes = tree.leaves[0], tree.leaves[0].notes
        notes["before"] = 1
        leaf.number = 50
        rows = len(again.history("tree"))
        notes["after"] = leaf.number
        tree.leaves[1].number = 51
        return rows

    assert again.execute("look", tree=again.ref("tree"), raw=True) == 10

    shown = again.snapshot("tree")
    assert (shown.leaves[0].number, shown.leaves[1].number) == (50, 51)
    assert shown.leaves[0].notes == {"c": {}, "b": 3, "before": 1, "after": 50}
    assert opened(journal).snapshot("tree") == shown
    assert again.snapshot("tree", 1).leaves[0].notes == {"a": 1, "b": [2], "c": {}}


def test_another_thread_may_ask_while_an_execution_runs(journal: Counting) -> None:
    """It does not wait for the execution, which may wait for it."""
    filled(journal)
    again = opened(journal)
    rows: list[int] = []

    @again.register("wait")
    def wait(tree: Tree) -> None:
        asking = threading.Thread(target=lambda: rows.append(len(again.history("tree"))))
        asking.start()
        asking.join(60)
        tree.number = 99

    again.execute("wait", tree=again.ref("tree"))

    assert rows == [10]
    assert again.snapshot("tree").number == 99
    assert len(again.history("tree")) == 11


def test_threads_that_ask_and_execute_at_once_see_whole_versions(journal: Counting) -> None:
    """One completes the tree while others read of it and store commits."""
    workspace = filled(journal)
    expected = workspace.history("tree")
    shown = [workspace.snapshot("tree", at).model_dump() for at in range(1, 11)]

    for _ in range(20):
        again, wrong = opened(Copy.of(journal)), list[Any]()
        begin = threading.Barrier(4)

        def ask(it: Workspace = again, wrong: list[Any] = wrong, begin: Any = begin) -> None:
            begin.wait()
            if it.history("tree")[:10] != expected:
                wrong.append("history")

        def read(it: Workspace = again, wrong: list[Any] = wrong, begin: Any = begin) -> None:
            begin.wait()
            wrong.extend(
                at for at in (10, 3, 7) if it.snapshot("tree", at).model_dump() != shown[at - 1]
            )

        def run(it: Workspace = again, begin: Any = begin) -> None:
            begin.wait()
            for _ in range(10):
                it.execute("count", tree=it.ref("tree"))

        again.head("tree")
        threads = [threading.Thread(target=each) for each in (ask, ask, read, run)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        assert wrong == []
        assert [row.version for row in again.history("tree")] == list(range(1, 21))


def test_an_error_of_the_store_leaves_the_tree_as_it_is(journal: Counting) -> None:
    """It serves on, and the question can be asked again."""
    filled(journal)
    again = opened(journal)
    again.head("tree")

    class Gone(MemoryJournal):
        def checkpoint(self, *_: Any) -> Any:
            raise JournalError("store", "is gone", "look for it")

    journal.__class__ = Gone  # type: ignore[assignment]  # for a moment
    with pytest.raises(JournalError):
        again.history("tree")
    again.execute("set", tree=again.ref("tree"), number=5)
    journal.__class__ = Counting

    assert len(again.history("tree")) == 11


def test_what_compaction_has_let_go_meanwhile_is_not_kept(journal: Counting) -> None:
    filled(journal)
    again = opened(journal)
    again.head("tree")

    compact(journal, Retention(versions=1))

    assert [row.version for row in again.history("tree")] == [10]


def test_a_checkpoint_that_is_not_what_its_commits_made_is_told(journal: Counting) -> None:
    filled(journal)
    again = opened(journal)
    tree = again.trees.tree(again.ref("tree"))
    lost = next(key for key, node in tree.nodes.items() if node.parent is not None)
    del tree.nodes[lost]

    with pytest.raises(JournalDamagedError) as caught:
        again.history("tree")

    assert caught.value.place == f"the checkpoint of version 9 of {tree.name}"
