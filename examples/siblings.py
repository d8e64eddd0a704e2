"""Several outputs of one execution: each is stored by its own semantic, and knows its siblings.

A study is split: some of its patients go to a new one, one is taken out, one is copied. What the
function returns comes back in the same shape, with plain values where they were.

Run: python -m examples.siblings
"""

from __future__ import annotations

from typing import Any, cast

from pydantic import Field

from registry import Entity, Workspace

app = Workspace()


class Patient(Entity):
    """Someone who takes part."""

    name: str
    age: int


class Study(Entity):
    """The root: it owns its patients."""

    title: str
    patients: list[Patient] = Field(default_factory=list)


@app.register("split")
def split(study: Study, limit: int) -> dict[str, Any]:
    """Move the patients over an age to a new study; the last one leaves, the first is copied."""
    older = [each for each in study.patients if each.age > limit]
    for each in older:
        study.patients.remove(each)
    left = study.patients.pop()
    return {
        "younger": study,
        "older": Study(title=f"{study.title}, over {limit}", patients=older),
        "moved": len(older),
        "others": (left, study.patients[0].model_copy()),
    }


def main() -> list[str]:
    """Split a study, and return lines that tell what became of everyone."""
    ages = {"Ada": 36, "Bob": 71, "Cyd": 44, "Dan": 80, "Eve": 29}
    study = app.add(
        Study(title="sleep", patients=[Patient(name=n, age=a) for n, a in ages.items()])
    )

    result = app.execute("split", study=study, limit=60)

    outputs = [result["younger"], result["older"], *result["others"]]
    lines = [f"moved: {result['moved']}"]
    for entity in outputs:
        siblings = len(entity.sibling_output_entities)
        kind = "root" if entity.is_root_entity() else "child"
        lines.append(f"output {entity.output_index}: {entity!r}, a {kind} with {siblings} siblings")
    before = cast("Study", app.snapshot(study, 1))
    crossed = result["older"].patients[0]
    source = next(each for each in before.patients if each.ecs_id == crossed.previous_ecs_id)
    lines.append(f"{crossed.name} is a new entity, made of {source.name} of {before.title!r}")
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
