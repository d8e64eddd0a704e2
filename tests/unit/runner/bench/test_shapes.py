"""Every shape of an execution that the bench times does what its name says, again and again."""

from __future__ import annotations

import pytest

from registry import Workspace
from runner.bench import phases, shapes
from runner.bench.figures import Figure
from runner.bench.shapes import BLOCK_CALLS, PLAIN, SHAPES, Grids, Heard, time_heard, time_shape
from runner.bench.turns import Seat


@pytest.fixture(scope="module")
def grids() -> Grids:
    """Every shape, ready to be called."""
    return Grids()


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_executed_as_often_as_it_is_timed(grids: Grids, name: str) -> None:
    workspace: Workspace = grids.workspaces[name]
    before = len(workspace.executions())

    elapsed = time_shape(grids, name, 7)

    records = workspace.executions()[before:]
    assert len(elapsed) == 7
    assert [record.status for record in records] == ["ok"] * 7
    strategies = {each.strategy for each in records}
    if "," in name and not name.startswith("returns"):
        assert strategies == {name.split(",")[0]}
    makes_versions = name not in {"returns a number, unchanged", "pure_borrowing, a number"}
    assert all(record.changed > 0 for record in records) == (
        makes_versions and name != "no_inputs, a new root"
    )


def test_each_shape_has_a_line_beside_the_plain_move() -> None:
    with Seat() as seat:
        figures = list(shapes.measure_shapes(seat, BLOCK_CALLS))

    assert [figure.title for figure in figures] == [name for name in SHAPES if name != PLAIN]
    assert all(figure.ratio_to(PLAIN) for figure in figures)


def test_listeners_hear_every_change_and_who_left_hears_none() -> None:
    hundred, none = Heard(100), Heard(0, left=True)

    for heard in (hundred, none):
        time_heard(heard, 5)

    assert (hundred.count, none.count) == (500, 0)


def test_the_phases_of_a_move_add_up_to_the_whole() -> None:
    with Seat() as seat:
        figures: list[Figure] = list(phases.measure_phases(seat, 200))

    parts = {
        figure.title.removeprefix("one move, "): figure.ours.spread.median for figure in figures
    }
    whole = parts.pop("all")
    assert list(parts) == [
        *("entry", "routing", "prepare", "execute", "semantic", "versioning", "other")
    ]
    assert sum(parts.values()) == pytest.approx(whole)
    assert all(figure.ratio_to(phases.PUBLISHED) for figure in figures)
