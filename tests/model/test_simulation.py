"""A runner whose transport and store misbehave as a seed says: nothing is lost or done twice.

`TREERUNNER_SEEDS=10000` tries more seeds (add `-o timeout=0`); a seed that fails is printed, and
fails again.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from registry import Ref, Workspace
from runner import host_store
from tests.contract import library
from tests.model.simulation import Faults, FaultyJournal, Simulation

pytestmark = pytest.mark.slow

SEEDS = int(os.environ.get("TREERUNNER_SEEDS", "300"))
GROUPS = 10


def simulate(seed: int, monkeypatch: pytest.MonkeyPatch) -> Simulation:
    """Run what a seed says to its end."""
    dice = random.Random(seed)
    faults = Faults.drawn(dice)
    journal = FaultyJournal(dice, faults)
    monkeypatch.setattr(host_store, "open_journal", lambda *_, **__: journal)
    simulation = Simulation(dice, faults, journal)
    simulation.run()
    journal.is_sound = True
    return simulation


def logs_of(simulation: Simulation) -> dict[Ref, list[Any]]:
    """Return what each root has noted, as whoever opens the store reads it."""
    workspace = Workspace(store=simulation.journal)
    for registered in library.app.callables().values():
        workspace.add_callable(registered)
    snapshots: dict[Ref, Any] = {root: workspace.snapshot(root) for root in simulation.roots}
    return {root: list(snapshot.log) for root, snapshot in snapshots.items()}


@pytest.mark.parametrize("group", range(GROUPS))
def test_whatever_the_transport_and_the_store_do_each_job_takes_effect_once(
    group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(group, SEEDS, GROUPS):
        try:
            simulation = simulate(seed, monkeypatch)
            simulation.check(logs_of(simulation))
            assert list(simulation.journal.check()) == []
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
