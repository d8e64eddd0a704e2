"""Results: what a callable returned, checked before anything is stored.

Entities are looked for at any depth, also in plain models, dataclasses and other objects, which are
copied for it: what cannot be copied could not be given to the caller either.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping, MappingView
from collections.abc import Set as AbstractSet
from typing import Any, get_args, get_origin

from registry import values
from registry.callables import RegisteredCallable
from registry.entity import Entity
from registry.errors import ReturnError
from registry.values import ATOM, DICT, ENTITY, FROZENSET, KIND, LIST, OPAQUE, SET, TUPLE

_CONTAINERS = frozenset({LIST, DICT, SET, TUPLE, FROZENSET})


def entities_returned(registered: RegisteredCallable, result: Any) -> list[Entity]:
    """Return the entities in a result, in order, each once.

    Raises:
        ReturnError: It holds a generator or another iterator, which can be read once only, or its
            items are not what the return hint promises.
        UncopyableError: It holds a value that cannot be copied.

    Cost: the containers of the result, and a copy of each value that is none.
    """
    found: dict[int, Entity] = {}
    _look(result, registered, found)
    if KIND[type(result)] in _CONTAINERS and not keeps_hint(result, registered.return_hint):
        registered.refuse_result(result)
    return list(found.values())


def _look(value: Any, registered: RegisteredCallable, found: dict[int, Entity]) -> None:
    kind = KIND[type(value)]
    if kind == ENTITY:
        found[id(value)] = value
    elif kind in _CONTAINERS:
        for item in value.values() if kind == DICT else value:
            if KIND[type(item)] != ATOM:
                _look(item, registered, found)
    elif kind == OPAQUE:
        if isinstance(value, (Iterator, MappingView)):
            shown = f"a {type(value).__name__} (of no lasting value)"
            raise ReturnError(registered.name, shown, "a value, such as list(...) of it")

        def note(entity: Entity) -> Entity:
            return found.setdefault(id(entity), entity)

        values.copy_opaque(value, lambda: f"the result of {registered.name!r}", note)


def keeps_hint(value: Any, hint: Any) -> bool:
    """Tell whether a value is what a hint promises, as far as that is about classes and containers.

    Cost: the containers of the value.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        return keeps_hint(value, arguments[0])
    if origin in (typing.Union, types.UnionType):
        return any(keeps_hint(value, each) for each in arguments)
    if hint is None:
        return value is None
    if origin is None:
        if hint is float:
            return isinstance(value, (int, float))
        is_class = isinstance(hint, type) and hint not in (Any, object)
        return not is_class or getattr(hint, "_is_protocol", False) or isinstance(value, hint)
    if not isinstance(origin, type):
        return True
    if not isinstance(value, origin):
        return False
    return not arguments or _items_keep(value, origin, arguments)


def _items_keep(value: Any, origin: type, arguments: tuple[Any, ...]) -> bool:
    if issubclass(origin, Mapping):
        return all(keeps_hint(item, arguments[-1]) for item in value.values())
    if issubclass(origin, tuple) and arguments[-1:] != (...,):
        wanted = () if arguments == ((),) else arguments
        return len(value) == len(wanted) and all(map(keeps_hint, value, wanted))
    if issubclass(origin, (list, tuple, AbstractSet)):
        return all(keeps_hint(item, arguments[0]) for item in value)
    return True
