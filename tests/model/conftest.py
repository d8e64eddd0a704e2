"""How many random histories run, and how they are drawn.

By default the draws are the same every time, so that a failure in CI is a failure everywhere, and
a failure is reported as it was met. `TREERUNNER_HISTORIES=20000` asks for more, then drawn at
random and shrunk, which takes minutes (add `-o timeout=0`); hypothesis prints how to repeat one.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

HISTORIES = int(os.environ.get("TREERUNNER_HISTORIES", "5000"))
ASKED_FOR = "TREERUNNER_HISTORIES" in os.environ

COMMON = settings(
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


def histories(share: float) -> settings:
    """Return the settings for a test that runs its *share* of all histories."""
    return settings(
        COMMON,
        max_examples=max(1, int(HISTORIES * share)),
        derandomize=not ASKED_FOR,
        phases=(Phase.explicit, Phase.generate, *((Phase.shrink,) if ASKED_FOR else ())),
    )


@pytest.fixture(autouse=True)
def _forget_kept_references() -> None:
    """Let no test see what another's functions left behind."""
    from tests.model import world

    world.CURRENT.clear()
