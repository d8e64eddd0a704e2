"""Where everything ends: what is moved out of something that leaves is in the tree, all of it."""

from __future__ import annotations

import itertools
from typing import cast

import pytest

from registry import Workspace
from tests.model.entity_trees import Node

ORDERS = list(itertools.permutations(range(3)))


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_what_is_put_into_something_that_is_saved_from_what_leaves_arrives(
    order: tuple[int, ...],
) -> None:
    """The saved entity loses its first place only by what happens above it."""
    workspace = Workspace()
    one, two = Node(tag=5), Node(tag=6)
    saved = Node(tag=3, grid=[[one], [two]])
    root = workspace.add(
        Node(tag=0, fixed=(Node(tag=2, child=saved),), kids=[Node(tag=1)]),
    )

    def work(root: Node) -> None:
        saved = root.fixed[0].child
        assert saved is not None
        (one,), (two,) = saved.grid
        steps = (
            lambda: setattr(root.kids[0], "child", saved),
            lambda: setattr(root, "fixed", ()),
            lambda: setattr(saved, "grid", [[one], [Node(tag=9, kids=[two])]]),
        )
        for index in order:
            steps[index]()

    workspace.register()(work)
    workspace.execute("work", root=root)

    child = cast("Node", workspace.snapshot(root)).kids[0].child
    assert child is not None
    assert [[each.tag for each in row] for row in child.grid] == [[5], [9]]
    assert child.grid[1][0].kids[0].tag == 6
