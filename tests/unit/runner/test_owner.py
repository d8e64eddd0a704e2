"""One job at a time, and whatever becomes of it is data."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from registry import Ref, Workspace
from runner.owner import Owner
from runner.wire import FAILED, Reply, ReplyRow
from tests.contract import library
from tests.contract.library import Library, new_library


@pytest.fixture
def workspace() -> Workspace:
    """A workspace with the library's callables."""
    workspace = Workspace()
    for registered in library.app.callables().values():
        workspace.add_callable(registered)
    return workspace


@pytest.fixture
def root(workspace: Workspace) -> Ref:
    """A library, at version 1."""
    return workspace.add_owned(new_library(2, 2))


@pytest.fixture
def owner(workspace: Workspace, root: Ref) -> Owner:
    """The owner of the library; its clock advances a millisecond at every look."""
    ticks = itertools.count()
    return Owner(workspace, root, clock=lambda: next(ticks) / 1000)


def run(owner: Owner, name: str, /, **arguments: object) -> ReplyRow:
    (row,) = run_each(owner, name, tuple(arguments), [(tuple(arguments.values()), "id")])
    return row


def run_each(
    owner: Owner,
    name: str,
    names: tuple[str, ...],
    calls: list[tuple[tuple[Any, ...], str]],
) -> list[ReplyRow]:
    replies: list[Any] = []
    noted: list[ReplyRow] = []
    owner.run_each(name, names, calls, replies, noted.append)
    rows = list(Reply.of(replies).rows())
    assert noted == [row for row in rows if row[5] != (calls[0][0][0],)]
    return rows


def test_a_success_is_a_receipt(owner: Owner, root: Ref):
    row = run(owner, "move", library=root, source=0, target=1)

    assert row == (1000, 2, 3, "mutation", root, (root,))


def test_the_ref_of_the_root_is_the_same_object_every_time(owner: Owner, root: Ref):
    for _ in range(2):
        row = run(owner, "move", library=root, source=0, target=0)

        assert row[4] is root
        assert row[5][0] is root


def test_a_created_root_is_another_output(owner: Owner, root: Ref, workspace: Workspace):
    row = run(owner, "split_off", library=root, name="new")

    assert row[3] == "creation"
    assert row[5] == (row[4],)
    snapshot = workspace.snapshot(row[4])
    assert isinstance(snapshot, Library)
    assert snapshot.name == "new"


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("fail", {"message": "no"}, "ValueError"),
        ("leave", {}, "SystemExit"),
        ("interrupt", {}, "KeyboardInterrupt"),
        ("move", {"source": 0}, "ArgumentError"),
        ("unknown", {}, "NotFoundError"),
    ],
)
def test_whatever_is_raised_is_data_and_changes_nothing(
    owner: Owner, root: Ref, name: str, arguments: dict[str, object], error: str
):
    row = run(owner, name, library=root, **arguments)

    assert row[:2] == (1000, FAILED)
    assert row[4].type == error
    assert owner.workspace.head(root) == 1


def test_one_that_fails_does_not_keep_the_next_ones_from_running(owner: Owner, root: Ref):
    calls = [((root, source, target), f"{source}") for source, target in ((0, 1), (9, 0), (1, 0))]

    rows = run_each(owner, "move", ("library", "source", "target"), calls)

    assert [row[1] for row in rows] == [2, FAILED, 3]
    assert [row[0] for row in rows] == [1000, 1000, 1000]
