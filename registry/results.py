"""Results: what a callable returned, checked before anything is stored.

Entities are looked for at any depth, also in plain models, dataclasses and other objects, which are
copied for it: what cannot be copied could not be given to the caller either.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator, Mapping, MappingView
from collections.abc import Set as AbstractSet
from functools import lru_cache
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
    kind = KIND[type(result)]
    if kind == ENTITY:
        return [result]
    found: dict[int, Entity] = {}
    _look(result, registered, found)
    if kind in _CONTAINERS and not keeps_hint(result, registered.return_hint):
        registered.refuse_result(result)
    return list(found.values())


def _look(value: Any, registered: RegisteredCallable, found: dict[int, Entity]) -> None:
    kind = KIND[type(value)]
    if kind == ENTITY:
        found[id(value)] = value
    elif kind in _CONTAINERS:
        for item in value.values() if kind == DICT else value:
            inner = KIND[type(item)]
            if inner == ENTITY:
                found[id(item)] = item
            elif inner != ATOM:
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

    Cost: the containers of the value; each hint is compiled once.
    """
    try:
        check = _check_of(hint)
    except TypeError:  # a hint that is not hashable
        check = _compile(hint)
    return check is None or check(value)


Check = Callable[[Any], bool]


def _compile(hint: Any) -> Check | None:
    """Return what tells whether a value keeps a hint; None if all do."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        return _compile(arguments[0])
    if origin in (typing.Union, types.UnionType):
        members = [_compile(each) for each in arguments]
        known = [each for each in members if each is not None]
        if len(known) < len(members):
            return None
        return lambda value: any(check(value) for check in known)
    if origin is None:
        return _compile_class(hint)
    if not isinstance(origin, type):
        return None
    inside = _compile_items(origin, arguments) if arguments else None
    if inside is None:
        return lambda value: isinstance(value, origin)
    return lambda value: isinstance(value, origin) and inside(value)


_check_of = lru_cache(maxsize=1024)(_compile)


def _compile_class(hint: Any) -> Check | None:
    if hint is None:
        return lambda value: value is None
    if hint is float:
        return lambda value: isinstance(value, (int, float))
    is_open = hint in (Any, object) or getattr(hint, "_is_protocol", False)
    if is_open or not isinstance(hint, type):
        return None
    return lambda value: isinstance(value, hint)


def _compile_items(origin: type, arguments: tuple[Any, ...]) -> Check | None:
    if issubclass(origin, tuple) and arguments[-1:] != (...,):
        wanted = [_compile(each) for each in arguments if each != ()]
        return lambda value: (
            len(value) == len(wanted)
            and all(check is None or check(item) for check, item in zip(wanted, value, strict=True))
        )
    if issubclass(origin, Mapping):
        check = _compile(arguments[-1])
        return None if check is None else lambda value: all(map(check, value.values()))
    if issubclass(origin, (list, tuple, AbstractSet)):
        each = _compile(arguments[0])
        return None if each is None else lambda value: all(map(each, value))
    return None
