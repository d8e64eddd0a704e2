"""A small run of the engine's bench measures everything that it promises."""

from __future__ import annotations

import math

import pytest

from runner.bench.engine import EngineSettings, measure_engine
from runner.bench.figures import OURS, Figure
from runner.bench.shapes import PLAIN, SHAPES
from runner.bench.workload import Size

LAST = "one field, listeners: 100"
SETTINGS = EngineSettings(sizes=(Size(3, 2), Size(4, 3)), repetitions=40)


@pytest.fixture(scope="module")
def figures() -> list[Figure]:
    return list(measure_engine(SETTINGS))


def test_every_figure_is_measured_at_every_size(figures: list[Figure]) -> None:
    titles = [
        "one move",
        "one field changed",
        "memory kept per version",
        "adopting a tree",
        "fork",
        "first move on a fork",
    ]

    sized = [(title, size.entities) for title in titles for size in SETTINGS.sizes]
    assert [(figure.title, figure.entities) for figure in figures][: len(sized)] == sized
    others = [figure.title for figure in figures[len(sized) :]]
    assert others[: len(SHAPES) - 1] == [name for name in SHAPES if name != PLAIN]
    assert [title.partition(": ")[0] for title in others[len(SHAPES) - 1 :]] == [
        "one field, listeners"
    ] * 3


def test_every_value_is_a_positive_number(figures: list[Figure]) -> None:
    for figure in figures:
        for line in (figure.ours, *figure.baselines):
            assert 0 < line.spread.median < math.inf, (figure.title, line.contender)


def test_every_reach_is_judged(figures: list[Figure]) -> None:
    for figure in figures:
        assert figure.reaches or figure.title in {"one field, listeners: 1", LAST}
        assert all(figure.measured_for(reach) is not None for reach in figure.reaches)


def test_every_contender_makes_every_move(figures: list[Figure]) -> None:
    moves = figures[0]

    assert {line.contender for line in moves.baselines} == {"frozen", "bare", "deepcopy"}
    assert {line.spread.count for line in (moves.ours, *moves.baselines)} == {40}
    assert moves.ours.contender == OURS


def test_ours_at_the_smallest_size_stands_beside_the_larger(figures: list[Figure]) -> None:
    assert figures[1].baselines[-1].spread == figures[0].ours.spread


def test_a_quick_run_is_smaller() -> None:
    quick, full = EngineSettings.quick(), EngineSettings()

    assert quick.repetitions < full.repetitions
    assert quick.sizes[-1].entities < full.sizes[-1].entities
