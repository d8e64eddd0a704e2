"""The module that `--app` names: callables, the roots that they run on, and a history to look at.

    app = Workspace()                      # its callables are what jobs may name

    @app.register("depart")
    def depart(airline: Airline, ...) -> None: ...

    def roots() -> dict[str, Entity]:      # what jobs may run on, by name
        return {"UA": Airline(carrier="UA")}

    def demo() -> Workspace:               # what `treerunner show`, `history`, ... look at
        ...

`roots` is optional, and so is `demo`: without it, what they look at is `app` with these roots. What
is in a store needs neither.
Nothing in the module knows of the command line.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from registry import Entity, Workspace
from runner.errors import AppModuleError


@dataclass(frozen=True, slots=True)
class AppModule:
    """An imported app: its workspace, and its roots by name."""

    name: str
    workspace: Workspace
    roots: dict[str, Entity]


def load_app_module(name: str) -> AppModule:
    """Import an app by its dotted name, from the current folder too.

    Raises:
        AppModuleError: There is no such module, it fails, or it lacks what an app has.
    """
    module = import_app(name)
    return AppModule(name, _app(name, module), _roots(name, getattr(module, "roots", dict)))


def load_demo(name: str) -> Workspace:
    """Import an app as `load_app_module`, and return the workspace that it shows to people.

    Raises:
        AppModuleError: There is no such module, it fails, or it has nothing to show.
    """
    module = import_app(name)
    make = getattr(module, "demo", None)
    if make is None:
        if not isinstance(getattr(module, "app", None), Workspace):
            raise AppModuleError(
                name, "has nothing to show: it lacks 'demo', which returns a Workspace"
            )
        workspace = _app(name, module)
        for root, entity in _roots(name, getattr(module, "roots", dict)).items():
            workspace.add(entity, root)
        return workspace
    if not callable(make):
        raise AppModuleError(name, f"has a {type(make).__name__} as 'demo', expected a function")
    try:
        made = make()
    except (Exception, SystemExit) as exc:
        raise AppModuleError(name, _failure(exc)) from exc
    if not isinstance(made, Workspace):
        raise AppModuleError(name, "has a 'demo' that does not return a Workspace")
    return made


def open_stored(name: str, store: str) -> Workspace:
    """Import an app as `load_app_module`, and open a store with its classes and callables, to look.

    An app that has nothing but classes will do. Its roots are not made, nor is its demo.

    Raises:
        AppModuleError: There is no such module, or it fails.
        JournalError: The store cannot be opened.
    """
    app = getattr(import_app(name), "app", None)
    if not isinstance(app, Workspace):
        app = Workspace()
    workspace = Workspace(
        retention=app.retention,
        on_stale=app.on_stale,
        clock=app.clock,
        store=store,
        read_only=True,
    )
    for registered in app.callables().values():
        workspace.add_callable(registered)
    return workspace


def import_app(name: str) -> ModuleType:
    """Import a module by its dotted name, from the current folder too.

    Raises:
        AppModuleError: There is no such module, or it fails.
    """
    if not all(part.isidentifier() for part in name.split(".")):
        raise AppModuleError(name, "is no module's name, such as my_package.my_app")
    # A console script has its own folder on the path, not the one that the user stands in.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name is not None and (name == exc.name or name.startswith(f"{exc.name}.")):
            raise AppModuleError(name, f"is not in {here} nor on the path") from exc
        raise AppModuleError(name, _failure(exc)) from exc
    except (Exception, SystemExit) as exc:
        raise AppModuleError(name, _failure(exc)) from exc


def _app(name: str, module: ModuleType) -> Workspace:
    workspace = getattr(module, "app", None)
    if not isinstance(workspace, Workspace):
        raise AppModuleError(name, "lacks 'app', a Workspace with the callables of its jobs")
    return workspace


def _roots(name: str, make: Callable[[], object]) -> dict[str, Entity]:
    if not callable(make):
        raise AppModuleError(name, f"has a {type(make).__name__} as 'roots', expected a function")
    try:
        roots = make()
    except (Exception, SystemExit) as exc:
        raise AppModuleError(name, _failure(exc)) from exc
    if not isinstance(roots, dict) or not all(
        isinstance(key, str) and isinstance(root, Entity) for key, root in roots.items()
    ):
        raise AppModuleError(name, "has 'roots' that does not return a dict of name to entity")
    return roots


def _failure(exc: Exception | SystemExit) -> str:
    """Return in one line what went wrong while the module ran, and where."""
    if isinstance(exc, SyntaxError):
        return f"has a syntax error: {exc.msg} ({exc.filename}:{exc.lineno})"
    last = traceback.extract_tb(exc.__traceback__)[-1]
    text = " ".join(str(exc).split())
    return f"failed with {type(exc).__name__}: {text} ({last.filename}:{last.lineno})"
