"""Dropping: a branch or a root that nobody needs is forgotten, and its memory is free."""

from __future__ import annotations

import asyncio
import gc
import pickle
import threading
import weakref

import pytest

from registry import Ref, Workspace
from registry.errors import ArgumentError, BusyError, InUseError, NotFoundError
from tests.unit.registry.conftest import Do
from tests.unit.registry.shop import Shop, new_shop


def test_a_dropped_root_is_not_found(workspace: Workspace) -> None:
    ref = workspace.add(new_shop(), "name")
    snapshot = workspace.snapshot(ref)
    shelf = workspace.ref(snapshot.shelves[0])

    workspace.drop("name")

    assert workspace.roots() == []
    for target in (ref, "name", shelf, ref.address, snapshot.ecs_id, snapshot):
        with pytest.raises(NotFoundError):
            workspace.snapshot(target)
        with pytest.raises(NotFoundError):
            workspace.drop(target)
    for given in (ref, snapshot, ref.address):
        with pytest.raises(NotFoundError):
            workspace.execute("act", raw=True, shop=given)
        with pytest.raises(NotFoundError):
            asyncio.run(workspace.aexecute("act", raw=True, shop=given))
    assert workspace.add(new_shop(), "name") != ref


def test_nothing_is_kept_of_what_was_dropped(workspace: Workspace) -> None:
    for _ in range(3):
        workspace.drop(workspace.add(new_shop(), "name"))

    trees = workspace.trees
    assert (trees.by_root, trees._by_class, trees._names) == ({}, {}, {})


def test_what_is_held_of_a_dropped_branch_stays_readable(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    branch = workspace.fork(shop)
    held = do(lambda live: live.numbers.append(4) or live, branch)

    workspace.drop(branch)

    assert held.numbers == [3, 1, 2, 4]
    assert held.shelves[0].items[0].name == "i00"
    assert workspace.branches(shop) == [shop]
    assert do(lambda live: len(live.numbers)) == 3


def test_a_branch_that_others_read_from_is_not_dropped(workspace: Workspace, shop: Ref) -> None:
    branch = workspace.fork(shop)
    deeper = workspace.fork(branch)

    with pytest.raises(InUseError) as caught:
        workspace.drop(shop)

    assert caught.value.count == 2
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    workspace.drop(deeper)
    workspace.drop(branch)
    workspace.drop(shop)
    assert workspace.roots() == []


def test_numbers_of_dropped_branches_are_not_given_again(workspace: Workspace, shop: Ref) -> None:
    first = workspace.fork(shop)
    workspace.drop(first)

    assert workspace.fork(shop).branch != first.branch


def test_only_roots_are_dropped(workspace: Workspace, shop: Ref) -> None:
    shelf = workspace.ref(workspace.snapshot(shop).shelves[0])

    with pytest.raises(ArgumentError):
        workspace.drop(shelf)
    assert workspace.roots() == [shop]


def test_a_callable_cannot_drop_the_tree_that_it_runs_on(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    with pytest.raises(BusyError):
        do(lambda live: workspace.drop(shop))
    assert workspace.roots() == [shop]


def test_whoever_waits_for_a_tree_that_is_dropped_is_told_so(
    workspace: Workspace, shop: Ref
) -> None:
    """Nothing is committed to a tree that nobody can find."""
    turn = workspace.trees.tree(shop).turn
    errors: list[BaseException] = []

    def work() -> None:
        try:
            workspace.execute("act", raw=True, shop=shop)
        except NotFoundError as error:
            errors.append(error)

    def work_async() -> None:
        try:
            asyncio.run(workspace.aexecute("act", raw=True, shop=shop))
        except NotFoundError as error:
            errors.append(error)

    assert turn.take()
    threads = [threading.Thread(target=each) for each in (work, work_async)]
    for thread in threads:
        thread.start()
    while len(turn._waiting) < len(threads):
        threading.Event().wait(0.001)
    turn._holder = 0
    turn.close()
    for thread in threads:
        thread.join()

    assert len(errors) == len(threads)


def test_a_dropped_tree_is_freed(workspace: Workspace, do: Do) -> None:
    ref = workspace.add(new_shop())
    do(lambda live: live.shelves.pop() and None, ref)
    tree = weakref.ref(workspace.trees.tree(ref))
    branch = workspace.fork(ref)
    do(lambda live: live.shelves.pop() and None, branch)
    forked = weakref.ref(workspace.trees.tree(branch))

    workspace.drop(branch)
    workspace.drop(ref)
    gc.collect()

    assert tree() is None
    assert forked() is None


def test_an_orphan_that_was_dropped_can_be_added_again_as_a_copy(workspace: Workspace) -> None:
    held = new_shop()
    workspace.drop(workspace.add(held))

    again = workspace.add(held)

    assert isinstance(workspace.snapshot(again), Shop)
    assert workspace.snapshot(again).lineage_id != held.lineage_id
