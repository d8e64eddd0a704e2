"""Depth: how deep lists, dicts, sets and tuples may be in one another.

Entities are nested as deep as memory allows: nothing walks them by recursion. Containers in one
field are walked by recursion, here and in pydantic, which dumps 255 levels, so their depth has a
bound, and what is deeper is refused by name before it is kept, copied or given back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from registry.values import DICT, FROZENSET, KIND, LIST, SET, TUPLE

MAX_NESTING = 100
"""Containers in one another, between an entity and what it holds."""

TOO_DEEP = f"nests containers more than {MAX_NESTING} deep"
HOLDS_ITSELF = "holds itself"
WAY_OUT = "make the inner containers entities, which may be nested to any depth"

_CONTAINERS = frozenset({LIST, DICT, SET, TUPLE, FROZENSET})


def nesting_problem(value: Any) -> str:
    """Return what is wrong with the containers in a value: `HOLDS_ITSELF`, `TOO_DEEP`, or nothing.

    Entities and opaque values are not entered. Cost: a look at every item, once.
    """
    if KIND[type(value)] not in _CONTAINERS:
        return ""
    heights: dict[int, int] = {}
    way: list[tuple[Any, Iterator[Any]]] = [(value, _inside(value))]
    above = {id(value)}
    while way:
        container, rest = way[-1]
        inner = next(rest, None)
        if inner is None:
            way.pop()
            above.discard(id(container))
            tallest = max([heights[id(each)] for each in _inside(container)], default=0)
            heights[id(container)] = tallest + 1
        elif id(inner) in above:
            return HOLDS_ITSELF
        elif id(inner) not in heights:
            above.add(id(inner))
            way.append((inner, _inside(inner)))
    return TOO_DEEP if heights[id(value)] > MAX_NESTING else ""


def containers_in(value: Any) -> list[Any]:
    """Return the containers in a value, itself too, each once."""
    found = [value] if KIND[type(value)] in _CONTAINERS else []
    seen = {id(value)}
    for container in found:
        for inner in _inside(container):
            if id(inner) not in seen:
                seen.add(id(inner))
                found.append(inner)
    return found


def _inside(container: Any) -> Iterator[Any]:
    """Yield the containers that are in one."""
    items = container.values() if KIND[type(container)] is DICT else container
    return iter([item for item in items if KIND[type(item)] in _CONTAINERS])
