"""Names of classes, functions and modules in stored data: written by name, found among the loaded.

A thing is named only if its name gives back that very thing. Nothing is ever imported, and no
attribute is asked for in a way that could run code: only what modules and classes hold is looked
at, so that opening a store cannot be made to run anything.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from registry.errors import UnknownClassError

_NOWHERE = object()
_HIDDEN = {
    cls: f"types:{name}"
    for name, cls in reversed(vars(types).items())  # of several names the first
    if isinstance(cls, type)
}
"""Classes that the interpreter keeps to itself, such as that of None, by their name in `types`."""


def find_name(thing: Any) -> str | None:
    """Return the name by which `get_named` gives back this very thing: `module:qualname`.

    None if there is none: it was made inside a function, or its name means something else now.
    """
    module, path = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if not (isinstance(module, str) and isinstance(path, str)):
        return None
    if _find(module, path) is thing:
        return f"{module}:{path}"
    return _HIDDEN.get(thing) if isinstance(thing, type) else None


def get_named(name: str) -> Any:
    """Return what has a name.

    Raises:
        UnknownClassError: Nothing that is loaded has it.
    """
    module, _, path = name.partition(":")
    found = _find(module, path)
    if found is _NOWHERE:
        raise UnknownClassError(name, _way_out(module, path))
    return found


def _find(module: str, path: str) -> Any:
    space = _space_of(sys.modules.get(module))
    if path in space:  # first as a whole: the name of a parametrised model has dots of its own
        return _bare(space[path])
    found: Any = _NOWHERE
    for part in path.split("."):
        found = space.get(part, _NOWHERE)
        space = type.__dict__["__dict__"].__get__(found) if isinstance(found, type) else {}
    if found is _NOWHERE:
        # A model that was made inside a function, or that came from another process by value.
        models = {each for each in _subclasses(BaseModel) if _is_called(each, module, path)}
        return models.pop() if len(models) == 1 else _NOWHERE
    return _bare(found)


def _space_of(module: Any) -> Any:
    """Return what a module holds, without its `__getattr__`, which might import something."""
    try:
        return object.__getattribute__(module, "__dict__")
    except AttributeError:  # it is not loaded, or something else stands in its place
        return {}


def _bare(found: Any) -> Any:
    return found.__func__ if isinstance(found, staticmethod) else found


def _is_called(cls: type, module: str, path: str) -> bool:
    return cls.__module__ == module and cls.__qualname__ == path


def _subclasses(cls: type) -> Iterator[type]:
    below: list[type] = type.__subclasses__(cls)
    for each in below:
        yield each
        yield from _subclasses(each)


def _way_out(module: str, path: str) -> str:
    if module not in sys.modules:
        return f"import module {module!r} before"
    return f"module {module!r} is loaded and has no {path!r}: define it, or give it back its name"
