"""The shop of the engine's unit tests, and a default workspace of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from registry import Workspace, use_workspace
from tests.unit.registry.conftest import do, shop, workspace

__all__ = ["do", "own_default", "shop", "workspace"]


@pytest.fixture(autouse=True)
def own_default() -> Iterator[Workspace]:
    """Give each test a default workspace of its own."""
    default = Workspace()
    use_workspace(default)
    yield default
    use_workspace(None)
