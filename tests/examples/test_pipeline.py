"""A pipeline hands on what went well, and names what did not."""

from __future__ import annotations

from examples import pipeline
from examples.pipeline import Sample, step


def test_the_program_publishes_all_samples_but_the_one_that_failed() -> None:
    through = [None, "clean", "score", "publish"]

    assert pipeline.main() == [
        "failed in clean: invalid literal for int() with base 10: 'x'",
        "Monday: {'north': 130.0, 'east': 210.0, 'west': 80.0}",
        *(f"{place}, published on Monday: {through}" for place in ("north", "east", "west")),
        "the last step changed 3 trees, and made 1 report",
    ]


def test_a_step_that_fails_leaves_its_sample_as_it_was() -> None:
    good, bad = Sample(place="a", text="1 2"), Sample(place="b", text="1 x")

    cleaned, problems = step("clean", [good, bad])

    assert [each.values for each in cleaned] == [[1, 2]]
    assert problems == ["clean: invalid literal for int() with base 10: 'x'"]
    assert (bad.values, bad.is_orphan()) == ([], True)
