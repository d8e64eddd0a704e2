"""A pipeline: a list of entities through several callables, the results of one given to the next.

Samples come in, each a root of its own. A batch cleans them one by one, and one that fails costs
only itself; another batch scores what is left; at last one execution takes the whole list, marks
each sample, and makes a report of them: many trees, one commit.

    raw samples ──> clean ──> score ──> publish ──> report

Run: python -m examples.pipeline
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from registry import Entity, Workspace

app = Workspace()

READINGS = {"north": "12 15 12", "south": "9 x 14", "east": "20 22", "west": "8 7 9 8"}


class Sample(Entity):
    """Readings of one place, on their way."""

    place: str
    text: str
    values: list[int] = Field(default_factory=list)
    score: float = 0.0
    published_in: str = ""


class Report(Entity):
    """What a run of the pipeline came to."""

    title: str
    scores: dict[str, float] = Field(default_factory=dict)


@app.register("clean")
def clean(sample: Sample) -> Sample:
    """Read the numbers.

    Raises:
        ValueError: One of them is none.
    """
    sample.values.extend(int(each) for each in sample.text.split())
    return sample


@app.register("score")
def score(sample: Sample, scale: float) -> Sample:
    """Give the sample the mean of its values."""
    sample.score = scale * sum(sample.values) / len(sample.values)
    return sample


@app.register("publish")
def publish(samples: list[Sample], title: str) -> Report:
    """Make a report of all samples, and note in each where it is."""
    for sample in samples:
        sample.published_in = title
    return Report(title=title, scores={each.place: each.score for each in samples})


def step(
    name: str, samples: Iterable[Sample], **arguments: object
) -> tuple[list[Sample], list[str]]:
    """Run a callable on each sample; return those that went well, and what went wrong."""
    results = app.execute_batch((name, {"sample": each, **arguments}) for each in samples)
    good = [each for each in results if isinstance(each, Sample)]
    return good, [f"{name}: {each}" for each in results if isinstance(each, Exception)]


def main() -> list[str]:
    """Send the readings through, and return lines that tell what became of them."""
    # New entities may be given as they are: the commit of the first step makes them roots.
    fresh = [Sample(place=place, text=text) for place, text in READINGS.items()]
    cleaned, problems = step("clean", fresh)
    scored, more = step("score", cleaned, scale=10)
    report = app.execute("publish", samples=scored, title="Monday")

    lines = [f"failed in {each}" for each in problems + more]
    lines.append(f"{report.title}: {report.scores}")
    for sample in scored:
        # What `score` gave is a snapshot of that moment; its `lineage_id` names the newest version.
        now = app.get(f"@{sample.lineage_id}")
        steps = [info.callable for info in app.history(sample)]
        lines.append(f"{now.place}, published on {now.published_in}: {steps}")
    record = app.executions("publish")[0]
    lines.append(
        f"the last step changed {len(record.trees)} trees, and made {len(record.outputs)} report"
    )
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
