"""Functional: values by address, entities made of them, and events, over the default workspace.

The same as the methods of `Workspace` of these names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from registry.address import is_address
from registry.bus import Handler, Predicate
from registry.entity import Entity
from registry.events import Event
from registry.execution import OnStale
from registry.facade import default_workspace
from registry.sources import Dependencies
from registry.trees import Target

__all__ = [
    "batch_get",
    "compose",
    "dependencies",
    "emit",
    "get",
    "is_address",
    "on",
    "put",
    "unsubscribe",
]

_Entity = TypeVar("_Entity", bound=Entity)
_Function = TypeVar("_Function", bound=Callable[..., Any])


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


def on(
    *types: type[Event] | str,
    pattern: str | None = None,
    predicate: Predicate | None = None,
    priority: int = 0,
) -> Callable[[_Function], _Function]:
    """Tell the decorated function what happens from now on; see `Workspace.on`."""
    return default_workspace().on(*types, pattern=pattern, predicate=predicate, priority=priority)


def unsubscribe(handler: Handler) -> bool:
    """Tell a handler nothing more; see `Workspace.unsubscribe`."""
    return default_workspace().unsubscribe(handler)


def emit(event: Event) -> None:
    """Tell an event of your own to those who want it; see `Workspace.emit`."""
    default_workspace().emit(event)
