"""Fixtures of the engine's unit tests: an empty workspace, and a small tree of every kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from registry import Ref, Workspace
from tests.unit.registry.shop import ACTION, Shop, act, new_shop


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    """A workspace that knows `act`, which does to a shop what `do` says."""
    workspace = Workspace()
    workspace.register("act")(act)
    yield workspace
    ACTION.clear()


@pytest.fixture
def shop(workspace: Workspace) -> Ref:
    """A shop with three shelves, two items on each, at version 1."""
    return workspace.add(new_shop())


Do = Callable[..., Any]
"""Takes what to do to the shop, and optionally the target to do it to."""


@pytest.fixture
def do(workspace: Workspace, shop: Ref) -> Do:
    """Run a function on the live shop, as one execution."""

    def do(action: Callable[[Shop], Any], target: Any = None) -> Any:
        ACTION["do"] = action
        return workspace.execute("act", shop=shop if target is None else target, raw=True)

    return do
