"""The module that `treerunner run --app` names: callables, and the roots that they run on.

    app = Workspace()                      # its callables are what jobs may name

    @app.register("depart")
    def depart(airline: Airline, ...) -> None: ...

    def roots() -> dict[str, Entity]:      # what jobs may run on, by name
        return {"UA": Airline(carrier="UA")}

`roots` is optional. Nothing in the module knows of the command line.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
    # A console script has its own folder on the path, not the one that the user stands in.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name is not None and (name == exc.name or name.startswith(f"{exc.name}.")):
            raise AppModuleError(name, f"is not in {here} nor on the path") from exc
        raise AppModuleError(name, _failure(exc)) from exc
    except Exception as exc:
        raise AppModuleError(name, _failure(exc)) from exc
    workspace = getattr(module, "app", None)
    if not isinstance(workspace, Workspace):
        raise AppModuleError(name, "lacks 'app', a Workspace with the callables of its jobs")
    return AppModule(name, workspace, _roots(name, getattr(module, "roots", dict)))


def _roots(name: str, make: Callable[[], object]) -> dict[str, Entity]:
    if not callable(make):
        raise AppModuleError(name, f"has a {type(make).__name__} as 'roots', expected a function")
    try:
        roots = make()
    except Exception as exc:
        raise AppModuleError(name, _failure(exc)) from exc
    if not isinstance(roots, dict) or not all(
        isinstance(key, str) and isinstance(root, Entity) for key, root in roots.items()
    ):
        raise AppModuleError(name, "has 'roots' that does not return a dict of name to entity")
    return roots


def _failure(exc: Exception) -> str:
    """Return in one line what went wrong while the module ran, and where."""
    if isinstance(exc, SyntaxError):
        return f"has a syntax error: {exc.msg} ({exc.filename}:{exc.lineno})"
    last = traceback.extract_tb(exc.__traceback__)[-1]
    text = " ".join(str(exc).split())
    return f"failed with {type(exc).__name__}: {text} ({last.filename}:{last.lineno})"
