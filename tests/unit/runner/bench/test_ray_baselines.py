"""The actors of the baselines run plain Python; the bench checks the rest as it measures."""

from __future__ import annotations

import pytest

from runner.bench.contenders import Bare, Contender, Deepcopy, Frozen, layout_of, make_bare_grid
from runner.bench.ray_baselines import GridHost, moved, shipped_bytes
from runner.bench.workload import Size, layout_after, plan_moves

SIZE = Size(4, 3)
MOVES = plan_moves(SIZE, 10)


@pytest.mark.parametrize("make", [Bare, Deepcopy, Frozen])
def test_a_host_answers_each_move_with_its_version(make: type[Contender]) -> None:
    host = GridHost()
    host.open(make, SIZE)

    assert host.move(*MOVES[0]) == 2
    assert host.move_all(MOVES[1:]) == list(range(3, 12))
    assert host.layout(11) == layout_after(SIZE, MOVES)


def test_a_host_begins_anew_when_it_is_opened_again() -> None:
    host = GridHost()
    host.open(Frozen, SIZE)
    host.move(*MOVES[0])

    host.open(Frozen, SIZE)

    assert host.move(*MOVES[0]) == 2


def test_a_task_returns_the_tree_that_it_moved() -> None:
    tree = make_bare_grid(SIZE)

    assert layout_of(moved(tree, MOVES[0])) == layout_after(SIZE, MOVES[:1])


def test_a_larger_tree_is_more_to_ship() -> None:
    assert shipped_bytes(Size(100, 100)) > 50 * shipped_bytes(Size(10, 10))
