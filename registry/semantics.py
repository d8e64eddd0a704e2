"""How results relate to the inputs, and what callers get for them.

By identity: an entity that is in a working tree in the end is a *mutation* (also if unchanged); one
that was in an input tree and no longer is, a *detachment*, which becomes a root of its own;
anything else a *creation*.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from registry import values
from registry.entity import Entity
from registry.values import ATOM, DICT, ENTITY, FROZENSET, KIND, LIST, SET, TUPLE

MUTATION = "mutation"
CREATION = "creation"
DETACHMENT = "detachment"


def own_value(value: Any) -> Any:
    """Return a copy of a plain result, which shares nothing with anybody.

    Raises:
        EntityInside: An entity is where results may have none.
        UncopyableError: It holds what cannot be copied.
    """
    return present(value, None)


def present(value: Any, entity: Callable[[Entity], Any] | None) -> Any:
    """Return a result in the same shape, with *entity* applied to its entities.

    It shares nothing with the trees.
    """
    kind = KIND[type(value)]
    if kind == ATOM:
        return value
    if kind == ENTITY:
        assert entity is not None, "a plain result holds no entity where one is looked for"
        return entity(value)
    if kind == LIST:
        return [present(item, entity) for item in value]
    if kind == DICT:
        return {key: present(item, entity) for key, item in value.items()}
    if kind == SET:
        return {present(item, entity) for item in value}
    if kind == TUPLE:
        return tuple([present(item, entity) for item in value])
    if kind == FROZENSET:
        return frozenset([present(item, entity) for item in value])
    return values.copy_opaque(value, lambda: "the result", entity)
