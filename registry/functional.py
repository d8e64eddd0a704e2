"""Functional: values by address, and events, over the default workspace.

The same as the methods of `Workspace` of these names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from registry.address import is_address
from registry.bus import Handler, Predicate
from registry.events import Event
from registry.execution import OnStale
from registry.facade import default_workspace

__all__ = ["batch_get", "emit", "get", "is_address", "on", "put", "unsubscribe"]

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
