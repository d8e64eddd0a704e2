"""How callables and classes reach the hosts: by name if they can be imported there, else by value.

Cloudpickle decides function by function: one of an importable module is written as its name, one of
`__main__`, a notebook or another function as itself, with the classes that it needs. A host gets
all of them once, before its first job.
"""

from __future__ import annotations

import importlib
import typing
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

from registry import RegisteredCallable, Retention, Workspace
from registry.callables import Semantic
from registry.clock import Clock, system_clock
from registry.execution import OnStale
from registry.journal.port import Entry
from runner import wire
from runner.errors import CodeError
from runner.host_store import HostStore, Store

App: TypeAlias = Workspace | ModuleType | str
"""A workspace with callables, or a module, or its name, that has one as `app`."""


class Registration(NamedTuple):
    """One callable as it travels."""

    name: str
    function: Callable[..., Any]
    semantic_hint: Semantic | None
    read_only: bool
    blocking: bool
    hints: dict[str, Any] | None
    """Resolved annotations of a function that travels by value, since the names that they are made
    of stay behind in its module. None for one that is imported."""


class Code(NamedTuple):
    """The callables of a workspace, and how it keeps versions."""

    registrations: tuple[Registration, ...]
    retention: Retention
    on_stale: OnStale
    by_value: bool
    """Whether hosts are other processes, which cannot import `__main__`."""
    store: Store | None = None
    """Where the workspaces of hosts are stored, if they are."""


class LoadedCode:
    """Code in a host: its callables, compiled once for all workspaces there.

    Attributes:
        by_value: As of `Code`.
        store: Where workspaces are stored; None: nowhere.

    Args:
        code: As it was sent.
        clock: Where the time of workspaces and of the store comes from.

    Raises:
        JournalError: The store cannot be opened.
    """

    def __init__(self, code: Code, clock: Clock = system_clock) -> None:
        self.by_value = code.by_value
        self.store = None if code.store is None else HostStore(code.store, clock)
        self._retention = code.retention
        self._on_stale = code.on_stale
        self._clock = clock
        self._callables = [
            RegisteredCallable(
                each.name, each.function, each.semantic_hint, each.read_only, each.blocking
            )
            for each in code.registrations
        ]

    def find_callable(self, name: str) -> RegisteredCallable | None:
        """Return a callable, the same object that all workspaces have; None if there is none."""
        return next((each for each in self._callables if each.name == name), None)

    def make_workspace(self, entries: Iterable[Entry] = (), owner: int = 0) -> Workspace:
        """Return a workspace with these callables.

        Args:
            entries: The stored branches that it has.
            owner: Key of the root that it is for.
        """
        session = (
            None if self.store is None else self.store.session(self._retention, entries, owner)
        )
        workspace = Workspace(
            retention=self._retention, on_stale=self._on_stale, clock=self._clock, store=session
        )
        for registered in self._callables:
            workspace.add_callable(registered)
        return workspace


def find_workspace(app: App) -> Workspace:
    """Return the workspace that an app stands for.

    Raises:
        CodeError: The module cannot be imported or has no workspace.
    """
    if isinstance(app, Workspace):
        return app
    if isinstance(app, str):
        try:
            app = importlib.import_module(app)
        except ImportError as exc:
            problem = f"module {app!r} cannot be imported ({exc})"
            raise CodeError(problem, "start in its folder, or install it") from exc
    found = getattr(app, "app", None)
    if not isinstance(found, Workspace):
        problem = f"module {app.__name__!r} has no Workspace named 'app'"
        raise CodeError(problem, "give it one, or pass the workspace itself")
    return found


def collect_code(workspace: Workspace, *, by_value: bool, store: Store | None = None) -> Code:
    """Return the callables of a workspace; its trees stay where they are."""
    registrations = tuple(
        Registration(
            name,
            each.function,
            each.semantic_hint,
            each.read_only,
            each.blocking,
            None if _is_importable(each.function) else _resolved_hints(each.function),
        )
        for name, each in workspace.callables().items()
    )
    return Code(registrations, workspace.retention, workspace.on_stale, by_value, store)


def dump_code(code: Code) -> bytes:
    """Return the bytes that `load_code` reads.

    Raises:
        CodeError: A callable can go neither by name nor by value.
    """
    try:
        return wire.dumps_by_value(code) if code.by_value else wire.Wire(by_value=False).dumps(code)
    except Exception as exc:
        problem = f"the callables cannot be sent to hosts ({type(exc).__name__}: {exc})"
        way_out = "move them to a module, or do not let them use open resources of this process"
        raise CodeError(problem, way_out) from exc


def load_code(payload: bytes, clock: Clock = system_clock) -> LoadedCode:
    """Return the code that a driver sent.

    Args:
        payload: The code.
        clock: See `LoadedCode`.

    Raises:
        CodeError: A module is missing here.
    """
    try:
        code: Code = wire.loads(payload)
    except ImportError as exc:
        problem = f"a host cannot import what this process can ({exc})"
        way_out = "start in the folder of that module, or install it where the hosts run"
        raise CodeError(problem, way_out) from exc
    for registration in code.registrations:
        if registration.hints is not None:
            registration.function.__annotations__ = registration.hints
    return LoadedCode(code, clock)


def _is_importable(function: Callable[..., Any]) -> bool:
    return function.__module__ != "__main__" and "<locals>" not in function.__qualname__


def _resolved_hints(function: Callable[..., Any]) -> dict[str, Any]:
    return typing.get_type_hints(function, include_extras=True)
