"""Addresses: one text names an entity, a field or an element, at the head or in a version.

`get` reads what an address names, `put` writes it as a version, an execution takes it as an
argument, and `compose` builds an entity of several. Who borrowed from whom is remembered.

Run: python -m examples.addresses
"""

from __future__ import annotations

from pydantic import Field

from registry import Entity, Workspace, parse_address

app = Workspace()


class Course(Entity):
    """What is taught, and how many points it gives."""

    title: str
    points: int = 5


class Student(Entity):
    """Takes courses, and has grades by title."""

    name: str
    grades: dict[str, float] = Field(default_factory=dict)
    courses: list[Course] = Field(default_factory=list)


class Certificate(Entity):
    """Made of what others have."""

    name: str
    best: float
    points: list[int] = Field(default_factory=list)


@app.register("grade")
def grade(student: Student, title: str, value: float) -> Student:
    """Enter a grade."""
    student.grades[title] = value
    return student


def main() -> list[str]:
    """Read, write and compose by address, and return lines that tell what happened."""
    ada = Student(name="Ada", courses=[Course(title="logic"), Course(title="optics", points=8)])
    bob = Student(name="Bob", grades={"logic": 1.7})
    at, other = app.add(ada).address, app.add(bob).address

    lines = [f"get: {app.get(f'{at}.courses.1.title')}"]
    first = app.get(at).ecs_id
    app.put(f"{at}.courses.0.points", 6)
    # The value is read from Bob's grades when the execution begins; the record notes the source.
    app.execute("grade", student=at, title="logic", value=f"{other}.grades.logic")
    lines.append(f"now: {app.get(f'{at}.grades')}, {app.get(f'{at}.courses.0.points')} points")
    then = app.get(f"@{first}")
    lines.append(f"then: {then.grades}, {then.courses[0].points} points")
    source = app.executions("grade")[0].sources[0]
    lines.append(f"borrowed for {source.parameter!r}: {source.path} of {app.get(other).name}")

    made = app.compose(
        Certificate,
        {
            # Where texts belong, an address is given as one: any text may begin with an @.
            "name": parse_address(f"{at}.name"),
            "best": f"{at}.grades.logic",
            "points": [f"{at}.courses.0.points", f"{at}.courses.1.points"],
        },
        register=True,
    )
    lines.append(f"composed: {made!r}")
    courses = {each.ecs_id: each.title for each in app.get(at).courses}
    borrowed = [courses.get(each) for each in made.attribute_source["points"]]
    lines.append(f"its points come from: {borrowed}")
    lines.append(f"it depends on {len(app.dependencies(made).entities)} entities")
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
