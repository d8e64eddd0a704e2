"""A small run of the runner's bench measures everything that it promises, on real Ray."""

from __future__ import annotations

import gzip
import itertools
import math

import pytest

from examples import flights
from runner.bench.figures import OURS, Figure
from runner.bench.through_ray import RunnerSettings, measure_runner

DEPARTURES = 300

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> list[Figure]:
    path = tmp_path_factory.mktemp("flights") / "some-flights.csv.gz"
    with gzip.open(flights.JANUARY, "rb") as rows, gzip.open(path, "wb") as some:
        some.writelines(itertools.islice(rows, DEPARTURES + 1))
    settings = RunnerSettings(
        roots=2, executions=200, repetitions=2, single_executions=20, flights=path
    )
    return list(measure_runner(settings))


def test_every_figure_is_measured(figures: list[Figure]) -> None:
    assert [(figure.title, figure.entities) for figure in figures] == [
        ("batch of 200 over 2 roots", 111),
        ("one execution, submit to outcome", 111),
        ("bytes sent per execution", 111),
        ("bytes sent per execution", 10_101),
        ("bytes received per execution", 111),
        ("bytes received per execution", 10_101),
        ("300 departures (some-flights)", None),
    ]


def test_every_value_is_a_positive_number(figures: list[Figure]) -> None:
    for figure in figures:
        for line in (figure.ours, *figure.baselines):
            assert 0 < line.spread.median < math.inf, (figure.title, line.contender)


def test_the_batch_stands_beside_every_baseline(figures: list[Figure]) -> None:
    batch = figures[0]

    assert batch.ours.contender == OURS
    assert [line.contender for line in batch.baselines] == [
        "grouped frozen",
        "grouped bare",
        "call each",
        "task",
    ]
    assert {line.spread.count for line in (batch.ours, *batch.baselines)} == {2}


def test_bytes_do_not_grow_with_the_tree(figures: list[Figure]) -> None:
    for figure in figures[2:6]:
        assert all(
            reach.is_met_by(measured)
            for reach in figure.reaches
            if (measured := figure.measured_for(reach)) is not None
        )
        assert (task := figure.ratio_to("task")) is not None
        assert task < 0.1
