"""Functional: values by address, over the default workspace.

The same as the methods of `Workspace` of these names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from registry.address import is_address
from registry.execution import OnStale
from registry.facade import default_workspace

__all__ = ["batch_get", "get", "is_address", "put"]


def get(address: str) -> Any:
    """Return what an address names; see `Workspace.get`."""
    return default_workspace().get(address)


def batch_get(addresses: Iterable[str]) -> list[Any]:
    """Return what each address names; see `Workspace.batch_get`."""
    return default_workspace().batch_get(addresses)


def put(address: str, value: Any, *, on_stale: OnStale | None = None) -> str:
    """Write a value at an address, as a new version; see `Workspace.put`."""
    return default_workspace().put(address, value, on_stale=on_stale)
