"""Paths: where something sits below an entity, in words; for messages, so it may take its time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from registry.depth import MAX_NESTING
from registry.entity import Entity, label, parts
from registry.schema import schema_of
from registry.values import DICT, ENTITY, FROZENSET, KIND, LIST, SET, TUPLE

_ENDS = 12
"""Entities that a path names at its start, and at its end; what is between is cut out."""


def places(holder: Entity, item: Any) -> list[str]:
    """Return where *item*, the very object, sits directly below *holder*.

    `left`, `others[0]`, `by_name['x']`.
    """
    found: list[str] = []
    for name, value in parts(holder, schema_of(type(holder))):
        found.extend(name + suffix for suffix in _suffixes(value, item, frozenset()))
    return found


def position(value: Any, item: Any) -> str:
    """Return where *item*, the very object, sits in a value, `[0]['x']`; "" if it is not found."""
    return next(_suffixes(value, item, frozenset()), "")


def _suffixes(value: Any, item: Any, above: frozenset[int]) -> Iterator[str]:
    if value is item:
        yield ""
    kind = KIND[type(value)]
    if kind == ENTITY or id(value) in above or len(above) > MAX_NESTING:
        return
    inside = above | {id(value)}
    if kind in (LIST, TUPLE):
        for index, each in enumerate(value):
            yield from (f"[{index}]{rest}" for rest in _suffixes(each, item, inside))
    elif kind == DICT:
        for key, each in value.items():
            yield from (f"[{key!r}]{rest}" for rest in _suffixes(each, item, inside))
    elif kind in (SET, FROZENSET):
        for each in value:
            yield from (f"{{...}}{rest}" for rest in _suffixes(each, item, inside))


def path(way: list[Entity], nth: int = 0) -> str:
    """Return the path through entities, each below the one before: `Shop:7f3a.shelves[0].items[2]`.

    Args:
        way: The entities, outermost first.
        nth: Which of several places of the last one is meant.
    """
    text = label(way[0]) if way else "nowhere"
    for index, (holder, item) in enumerate(itertools.pairwise(way)):
        if _ENDS <= index < len(way) - _ENDS:
            text += "..." if index == _ENDS else ""
            continue
        found = places(holder, item) or ["?"]
        last = index == len(way) - 2
        text += "." + found[min(nth if last else 0, len(found) - 1)]
    return text
