"""The plan is the same each time, and every move in it can be made."""

from __future__ import annotations

import pytest

from runner.bench.workload import (
    Size,
    first_layout,
    layout_after,
    plan_changes,
    plan_first_moves,
    plan_moves,
    split,
)

SIZE = Size(4, 2)


def test_entities_counts_the_grid_its_nodes_and_their_agents() -> None:
    assert Size(10, 10).entities == 111
    assert Size(1000, 100).entities == 101_001


def test_a_size_reads_as_it_is_written() -> None:
    assert Size.parse(" 30x20 ") == Size(30, 20)


@pytest.mark.parametrize("text", ["", "10", "10x", "x10", "10x10x10", "-1x3", "ten x ten"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not NODESxAGENTS"):
        Size.parse(text)


@pytest.mark.parametrize("text", ["1x5", "5x0"])
def test_a_size_without_a_move_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is too small"):
        Size.parse(text)


def test_planned_moves_can_be_made_one_after_the_other() -> None:
    # `layout_after` raises ValueError where an agent is not at the source.
    layout = layout_after(SIZE, plan_moves(SIZE, 500))

    names = sorted(name for node in layout for name in node)
    assert names == sorted(name for node in first_layout(SIZE) for name in node)


def test_each_first_move_can_be_made_on_a_new_grid() -> None:
    for move in plan_first_moves(SIZE, 100):
        assert layout_after(SIZE, [move]) != first_layout(SIZE)


def test_a_plan_is_the_same_for_the_same_seed_and_no_other() -> None:
    assert plan_moves(SIZE, 50) == plan_moves(SIZE, 50)
    assert plan_moves(SIZE, 50, seed=1) != plan_moves(SIZE, 50, seed=2)


def test_every_planned_change_changes_something() -> None:
    speeds = [speed for _, _, speed in plan_changes(SIZE, 50)]

    assert len(set(speeds)) == 50
    assert 1 not in speeds  # what every agent starts with


@pytest.mark.parametrize(("count", "parts"), [(10, 3), (3, 10), (0, 2), (7, 7)])
def test_split_keeps_every_item_in_order(count: int, parts: int) -> None:
    blocks = split(range(count), parts)

    assert len(blocks) == parts
    assert [item for block in blocks for item in block] == list(range(count))
    assert max(map(len, blocks)) - min(map(len, blocks)) <= 1
