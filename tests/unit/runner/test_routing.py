"""Which root a job is for, and what of it is sent."""

from __future__ import annotations

from typing import Any

import pytest

from registry import Ref, Workspace
from registry.ids import new_key
from runner.batch import Job
from runner.directory import Directory, Entry
from runner.errors import (
    JobError,
    RootLostError,
    RootNotFoundError,
    RunnerError,
    SeparateOwnersError,
)
from runner.routing import Routing
from tests.contract import library
from tests.contract.library import Library, Shelf


def new_ref() -> Ref:
    key = new_key()
    return Ref(key, key)


A, B, CHILD_OF_A, LOST = (new_ref() for _ in range(4))
SHELF = Ref(A.root, new_key())


@pytest.fixture
def routing() -> Routing:
    """A and its child have one owner on host 0, B is on host 1, LOST was on host 2."""
    directory = Directory()
    directory.enter(Entry(A, 0, A.root, "a"))
    directory.enter(Entry(CHILD_OF_A, 0, A.root))
    directory.enter(Entry(B, 1, B.root, "b"))
    directory.enter(Entry(LOST, 2, LOST.root, "lost"))
    directory.lose(2)
    return Routing(directory, library.app.callables())


@pytest.mark.parametrize("target", [A, "a", A.address, Ref(A.root, A.key)], ids=str)
def test_the_root_of_a_job_becomes_its_first_entity_argument(routing: Routing, target: Ref | str):
    entry, row = routing.route(Job("note", target, {"number": 1}, "id"), 7)

    assert entry is not None
    assert entry.host == 0
    assert row == (("note", ("library", "number")), A, 7, "id", (A, 1))
    assert row[1] is row[4][0] is A


@pytest.mark.parametrize("target", [A, "a", A.address, Ref(A.root, A.key)], ids=str)
def test_an_entity_argument_says_the_root_if_the_job_does_not(routing: Routing, target: Ref | str):
    entry, row = routing.route(Job("note", None, {"number": 1, "library": target}), 7)

    assert entry is not None
    assert entry.host == 0
    assert row == (("note", ("number", "library")), A, 7, None, (1, A))
    assert row[1] is row[4][1] is A


def test_the_arguments_shape_is_the_same_object_for_all_jobs_of_a_kind(routing: Routing):
    _, first = routing.route(Job("note", A, {"number": 1}), 0)
    _, second = routing.route(Job("note", B, {"number": 2}), 1)

    assert first[0] is second[0]


def test_a_part_of_a_tree_goes_where_its_root_is(routing: Routing):
    entry, row = routing.route(Job("shelve", None, {"library": SHELF, "shelf": SHELF}), 0)

    assert entry is not None
    assert entry.root is A
    assert row[1] is A
    assert row[4] == (SHELF, SHELF)


def test_a_branch_goes_where_its_root_is(routing: Routing):
    branch = A._replace(branch=3)

    for job in (Job("note", branch, {"number": 1}), Job("note", None, {"library": branch})):
        entry, row = routing.route(job, 0)

        assert entry is not None
        assert entry.root is A
        assert row[1] == row[4][0] == branch


def test_a_text_is_a_name_only_where_an_entity_is_expected(routing: Routing):
    _, row = routing.route(Job("show", A, {"value": "b"}), 0)

    assert row[4] == (A, "b")


def test_collections_of_entities_are_searched(routing: Routing):
    entry, row = routing.route(Job("total", None, {"libraries": [CHILD_OF_A, "a"]}), 0)

    assert entry is not None
    assert entry.host == 0
    assert row[4] == ([CHILD_OF_A, A],)


def test_a_job_without_entities_goes_anywhere(routing: Routing):
    assert routing.route(Job("add_up", None, {"a": 1, "b": 2}), 0) == (
        None,
        (("add_up", ("a", "b")), None, 0, None, (1, 2)),
    )


def test_an_orphan_is_sent_as_it_is(routing: Routing):
    shelf = Shelf()

    _, row = routing.route(Job("shelve", A, {"shelf": shelf}), 0)

    assert row[4][1] is shelf


def test_trees_of_one_owner_may_meet_in_a_job(routing: Routing):
    entry, row = routing.route(Job("merge", A, {"other": CHILD_OF_A}), 0)

    assert entry is not None
    assert row[4] == (A, CHILD_OF_A)


@pytest.mark.parametrize(
    ("job", "error"),
    [
        (Job("nothing", A), JobError),
        (Job("note", "nobody"), RootNotFoundError),
        (Job("note", new_ref()), RootNotFoundError),
        (Job("note", None, {"library": new_ref()}), RootNotFoundError),
        (Job("note", "lost"), RootLostError),
        (Job("note", None, {"library": LOST}), RootLostError),
        (Job("merge", A, {"other": B}), SeparateOwnersError),
        (Job("merge", None, {"library": A, "other": "b"}), SeparateOwnersError),
        (Job("total", None, {"libraries": [A, B]}), SeparateOwnersError),
    ],
    ids=str,
)
def test_what_cannot_be_routed_is_refused(routing: Routing, job: Job, error: type[RunnerError]):
    with pytest.raises(error):
        routing.route(job, 0)


def test_a_snapshot_is_refused_with_the_way_out(routing: Routing):
    workspace = Workspace()
    snapshot: Any = workspace.snapshot(workspace.add(Library()))

    with pytest.raises(JobError, match="snapshot of Library at version 1 cannot be sent"):
        routing.route(Job("note", None, {"library": snapshot, "number": 1}), 0)


@pytest.mark.parametrize(
    ("job", "root"),
    [
        (Job("nothing", "a"), A),
        (Job("nothing", None, {"x": 1, "y": B}), B),
        (Job("note", "lost"), LOST),
        (Job("note", "nobody"), None),
        (Job("note", None), None),
        (Job("note", 7), None),  # type: ignore[arg-type]
    ],
    ids=str,
)
def test_a_refused_job_still_tells_its_root(routing: Routing, job: Job, root: Ref | None):
    assert routing.root_of(job) == root
