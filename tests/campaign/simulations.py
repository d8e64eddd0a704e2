"""Row 7: the whole runner in one thread, whose every step a seed decides; see `tests/model`."""

from __future__ import annotations

from collections import Counter
from time import monotonic

from tests.campaign.rows import Row
from tests.model.simulation import BATCHES, JOBS, Simulation


def simulate(seeds: int) -> Row:
    """Run what each seed says, and check what came of it."""
    began = monotonic()
    problems: list[str] = []
    notes: Counter[str] = Counter()
    for seed in range(seeds):
        simulation = Simulation(seed)
        try:
            simulation.run()
            simulation.check()
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            problems.append(f"seed {seed}: {type(error).__name__}: {error}")
        notes.update(simulation.statuses())
        notes.update(simulation.figures())
    what = "simulations: 3 dispatchers, 3 hosts, bad transport, store and clocks"
    executions = seeds * BATCHES * JOBS
    return Row(7, what, seeds, executions, problems, (), dict(notes), monotonic() - began)
