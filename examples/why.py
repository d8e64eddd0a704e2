"""Asking the history: when a value changed, who made it so, and from what it was borrowed.

A thermostat takes its target from a plan by address. Long after, somebody asks why it is so warm:
the answer leads through the execution that set it, to the one that changed the plan.

    treerunner why office.target --app examples.why      shows the same in the terminal

Run: python -m examples.why
"""

from __future__ import annotations

from pydantic import Field

from registry import Entity, Workspace


class Plan(Entity):
    """How warm it shall be, by part of the day."""

    degrees: dict[str, float] = Field(default_factory=dict)


class Thermostat(Entity):
    """How warm it is made."""

    room: str
    target: float = 18.0


def decide(plan: Plan, part: str, degrees: float) -> None:
    """Change the plan."""
    plan.degrees[part] = degrees


def set_target(thermostat: Thermostat, target: float) -> None:
    """Make it so warm, in steps of half a degree."""
    thermostat.target = round(2 * target) / 2


def demo() -> Workspace:
    """Return a workspace with a history, for `main` and for `treerunner why`."""
    app = Workspace()
    app.register("decide")(decide)
    app.register("set_target")(set_target)
    plan = app.add(Plan(degrees={"day": 20.0, "night": 16.0}), name="plan")
    office = app.add(Thermostat(room="office"), name="office")
    app.execute("set_target", thermostat=office, target=19)
    app.execute("decide", plan=plan, part="day", degrees=23.2)
    app.execute("set_target", thermostat=office, target=f"{plan.address}.degrees.day")
    app.execute("decide", plan=plan, part="day", degrees=20.0)  # too late for the office
    return app


def main() -> list[str]:
    """Ask, and return lines with the answers."""
    app = demo()
    target = f"{app.ref('office').address}.target"

    # When did it change? A row for each version in which it did.
    rows = app.history(target)
    lines = [f"version {row.version}: {row.value} by {row.callable}" for row in rows]

    # What was it at a time? The newest version that was committed by then.
    lines.append(f"at first: {app.at(target, rows[0].committed_at)}")

    # Why is it so? Newest first; what was borrowed is asked the same in turn. `print(why)` has all.
    why = app.why(target)
    step = why.steps[0]
    (borrowed,) = step.borrowed
    assert borrowed.why is not None
    cause = borrowed.why.steps[0]
    lines.append(f"it is {step.new} by {step.callable}, borrowed by {borrowed.parameter!r}")
    lines.append(f"that was {cause.new} by {cause.callable}{dict(cause.arguments)}")

    # Does it come out the same? The execution runs again on what it ran on; nothing is stored.
    assert step.execution_id is not None
    lines.append(f"the same when replayed: {app.replay(step.execution_id).is_equal}")
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
