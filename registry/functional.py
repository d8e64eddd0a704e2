"""Functional: values by address, and entities made of them, over the default workspace.

The same as the methods of `Workspace` of these names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from registry.address import is_address
from registry.entity import Entity
from registry.execution import OnStale
from registry.facade import default_workspace
from registry.sources import Dependencies
from registry.trees import Target

__all__ = ["batch_get", "compose", "dependencies", "get", "is_address", "put"]

_Entity = TypeVar("_Entity", bound=Entity)


def get(address: str) -> Any:
    """Return what an address names; see `Workspace.get`."""
    return default_workspace().get(address)


def batch_get(addresses: Iterable[str]) -> list[Any]:
    """Return what each address names; see `Workspace.batch_get`."""
    return default_workspace().batch_get(addresses)


def put(address: str, value: Any, *, on_stale: OnStale | None = None) -> str:
    """Write a value at an address, as a new version; see `Workspace.put`."""
    return default_workspace().put(address, value, on_stale=on_stale)


def compose(cls: type[_Entity], mapping: Mapping[str, Any], *, register: bool = False) -> _Entity:
    """Build an entity from values and addresses; see `Workspace.compose`."""
    return default_workspace().compose(cls, mapping, register=register)


def dependencies(target: Target) -> Dependencies:
    """Return what an entity was made of; see `Workspace.dependencies`."""
    return default_workspace().dependencies(target)
