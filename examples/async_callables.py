"""Async callables: executions on several trees wait at the same time, those on one take turns.

Three sensors are asked over a slow line. Each answer comes only when all three were asked: if the
executions did not overlap, this program would never end. Then a hundred executions on one tree
are begun at once: they wait for each other, and nothing is lost.

Run: python -m examples.async_callables
"""

from __future__ import annotations

import asyncio
import time
from typing import cast

from pydantic import Field

from registry import Entity, Ref, Workspace

app = Workspace()


class Sensor(Entity):
    """Where to ask, and what was heard."""

    place: str
    values: list[int] = Field(default_factory=list)


class Line:
    """Stands for a network: it answers when as many have asked as it was told to wait for."""

    def __init__(self) -> None:
        self.wait_for(1)

    def wait_for(self, askers: int) -> None:
        """Answer nobody from now on until so many have asked."""
        self._missing = askers
        self._all_asked = asyncio.Event()

    async def ask(self, place: str) -> int:
        """Return what is measured at a place."""
        self._missing -= 1
        if self._missing <= 0:
            self._all_asked.set()
        await self._all_asked.wait()
        return len(place)


line = Line()


@app.register("poll")
async def poll(sensor: Sensor, factor: int = 1) -> Sensor:
    """Ask, and note the answer; while this waits, other trees go on."""
    answer = await line.ask(sensor.place)
    sensor.values.append(factor * answer)
    return sensor


@app.register("calibrate", blocking=True)
def calibrate(sensor: Sensor) -> int:
    """Do what blocks: a plain function, which `aexecute` then calls in a thread."""
    time.sleep(0.01)
    return sum(sensor.values)


async def overlap(sensors: list[Ref]) -> list[Sensor]:
    """Poll all sensors at once."""
    line.wait_for(len(sensors))
    return list(await asyncio.gather(*(app.aexecute("poll", sensor=each) for each in sensors)))


async def take_turns(sensor: Ref, times: int) -> None:
    """Poll one sensor many times at once: in the order of submission, each on what came before."""
    jobs = (app.aexecute("poll", sensor=sensor, factor=number) for number in range(times))
    await asyncio.gather(*jobs)


def main() -> list[str]:
    """Poll in all ways, and return lines that tell what was heard."""
    sensors = [app.add(Sensor(place=place)) for place in ("roof", "cellar", "garden")]

    polled = asyncio.run(overlap(sensors))
    lines = [f"{each.place}: {each.values}" for each in polled]

    clock = app.add(Sensor(place="clock"))
    asyncio.run(take_turns(clock, times=100))
    values = cast("Sensor", app.snapshot(clock)).values
    in_order = values == sorted(values)
    lines.append(f"{len(values)} values in {app.head(clock)} versions, in order: {in_order}")

    # Synchronous code calls a coroutine function like any other: it runs in a loop of its own.
    app.execute("poll", sensor=sensors[1], factor=2)
    total = asyncio.run(app.aexecute("calibrate", sensor=sensors[1], raw=True))
    lines.append(f"the cellar in all: {total}")
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
