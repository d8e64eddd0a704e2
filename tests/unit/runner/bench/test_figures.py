"""A figure keeps what was measured, its ratios and verdicts."""

from __future__ import annotations

import json

import pytest

from runner.bench.figures import Reach, Spread
from tests.unit.runner.bench.figures_of_a_run import FIGURES, LARGE_MOVE, MEMORY, MOVE


def test_a_spread_has_the_quartiles_of_its_values_in_any_order() -> None:
    assert Spread.of([5, 1, 4, 2, 3]) == Spread(
        count=5, median=3, lower_quartile=2, upper_quartile=4, mean=3
    )


def test_a_spread_of_one_value_is_that_value() -> None:
    assert Spread.of([7]) == Spread(1, 7, 7, 7, 7)


def test_there_is_no_spread_of_nothing() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Spread.of([])


def test_a_ratio_is_ours_divided_by_the_baseline() -> None:
    assert MOVE.ratio_to("frozen") == 1.25
    assert MOVE.ratio_to("deepcopy") is None


@pytest.mark.parametrize(
    ("reach", "measured", "met"),
    [
        (Reach("<=", 2), 2.0, True),
        (Reach("<=", 2), 2.1, False),
        (Reach(">=", 2), 2.0, True),
        (Reach(">=", 2), 1.9, False),
    ],
)
def test_a_reach_is_met_up_to_its_limit(reach: Reach, measured: float, met: bool) -> None:
    assert reach.is_met_by(measured) is met


def test_json_has_values_ratios_and_verdicts() -> None:
    document = json.loads(json.dumps(LARGE_MOVE.to_json()))

    assert document["title"] == "one move"
    assert document["entities"] == 101_001
    assert document["unit"] == "us"
    assert document["ours"] == {
        "contender": "treerunner",
        "count": 1,
        "median": 45.0,
        "lower_quartile": 45.0,
        "upper_quartile": 45.0,
        "mean": 45.0,
    }
    assert [(line["contender"], line["ratio"]) for line in document["baselines"]] == [
        ("frozen", 2.25),
        ("deepcopy", pytest.approx(45 / 575_000)),
        ("treerunner at 111", 4.5),
    ]
    assert document["reaches"] == [
        {"sense": "<=", "limit": 2, "of": "frozen", "measured": 2.25, "met": False},
        {"sense": "<=", "limit": 5, "of": "treerunner at 111", "measured": 4.5, "met": True},
    ]


def test_json_leaves_out_a_verdict_on_what_was_not_measured() -> None:
    assert [reach["limit"] for reach in MEMORY.to_json()["reaches"]] == [1024]


def test_every_figure_is_json() -> None:
    for figure in FIGURES:
        json.dumps(figure.to_json(), allow_nan=False)
