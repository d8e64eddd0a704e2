"""A runner whose transport, store and clocks misbehave: nothing is lost, and nothing done twice.

`TREERUNNER_SEEDS=10000` tries more seeds (add `-o timeout=0`); a seed that fails is printed, and
fails again. `make campaign` tries 10,000.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from registry.errors import FencedError
from registry.journal import memory, packing
from registry.journal.memory import MemoryJournal
from registry.journal.packing import Packer
from registry.journal.port import Group
from registry.journal.rules import Tenure, check_epochs
from runner.host_store import HostStore
from tests.model.simulation import Simulation

pytestmark = pytest.mark.slow

SEEDS = int(os.environ.get("TREERUNNER_SEEDS", "300"))
GROUPS = 10
ENOUGH = 40
"""Seeds of which at least one notices that something is switched off; about half of them do."""


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


# --- the proof that it sees: what it watches over is switched off ---


def is_noticed() -> bool:
    for seed in range(ENOUGH):
        simulation = Simulation(seed)
        try:
            simulation.run()
            simulation.check()
        except Exception:  # noqa: BLE001 - however it is noticed
            return True
    return False


def every_epoch(group: Group, found: dict[int, Tenure]) -> list[int]:
    try:
        return check_epochs(group, found)
    except FencedError:
        return []


def forward_only(packer: Packer, seconds: float) -> float:
    """Write a time as if none came before the one that was written last."""
    ticks = max(int(seconds * packing._TICKS), packer._clock)
    since, packer._clock = ticks - packer._clock, ticks
    return since


def nothing_known(*_: Any) -> dict[int, Any]:
    return {}


def nothing(*_: Any) -> None:
    return None


@pytest.mark.parametrize(
    "guards",
    [
        pytest.param([(memory, "check_epochs", every_epoch)], id="epoch"),
        pytest.param([(HostStore, "known", nothing_known)], id="look at ids"),
        pytest.param([(HostStore, "sync", nothing)], id="store before answer"),
        pytest.param([(Packer, "time", forward_only)], id="times that go back"),
        pytest.param(
            [(HostStore, "known", nothing_known), (MemoryJournal, "_check_effects", nothing)],
            id="ids",
        ),
    ],
)
def test_what_is_switched_off_is_noticed(
    guards: list[tuple[Any, str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner, name, instead in guards:
        monkeypatch.setattr(owner, name, instead)

    assert is_noticed()
