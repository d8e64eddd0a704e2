"""A runner whose transport, store and clocks misbehave: nothing is lost, and nothing done twice.

`TREERUNNER_SEEDS=10000` tries more seeds (add `-o timeout=0`); a seed that fails is printed, and
fails again.
"""

from __future__ import annotations

import os

import pytest

from tests.model.simulation import Simulation

pytestmark = pytest.mark.slow

SEEDS = int(os.environ.get("TREERUNNER_SEEDS", "300"))
GROUPS = 10


@pytest.mark.parametrize("group", range(GROUPS))
def test_whatever_transport_store_and_clocks_do_each_job_takes_effect_once(group: int) -> None:
    for seed in range(group, SEEDS, GROUPS):
        try:
            simulation = Simulation(seed)
            simulation.run()
            simulation.check()
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
