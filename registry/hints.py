"""Hints: type hints with entities in them, and a form of them that pydantic can check.

An entity is passed on as it is, never copied or rebuilt, and in its place a ref may stand. So in
the form that is checked each class of entities has a check of its own; everything around it, and
plain values between, are pydantic's.
"""

from __future__ import annotations

import collections.abc
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin

from pydantic import ValidationInfo, WrapValidator
from pydantic_core import PydanticCustomError

from registry.address import Ref
from registry.entity import Entity, label

ClassOf = Callable[[Ref], type[Entity]]
"""Tells the class of the entity that a ref names."""

_CONTAINERS: dict[Any, type] = {
    **{each: each for each in (dict, frozenset, list, set, tuple)},
    **{
        getattr(collections.abc, name): list
        for name in ("Collection", "Iterable", "MutableSequence", "Sequence")
    },
    collections.abc.Set: set,
    collections.abc.MutableSet: set,
    collections.abc.Mapping: dict,
    collections.abc.MutableMapping: dict,
}
"""What a callable gets for each kind of collection that may hold entities."""

_UNIONS = (typing.Union, types.UnionType)


def entity_classes(hint: Any) -> tuple[type[Entity], ...]:
    """Return the entity classes of a hint that takes one entity, or None, and nothing else."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if isinstance(hint, type) and issubclass(hint, Entity):
        return (hint,)
    if isinstance(hint, typing.TypeVar) and hint.__bound__ is not None:
        return entity_classes(hint.__bound__)
    if get_origin(hint) in _UNIONS:
        members = [entity_classes(each) for each in get_args(hint) if each is not type(None)]
        return tuple(cls for classes in members for cls in classes) if all(members) else ()
    return ()


def mentions_entity(hint: Any) -> bool:
    """Tell whether values of a hint are, or hold, entities."""
    if get_origin(hint) in (type, collections.abc.Callable):
        return False
    return bool(entity_classes(hint)) or any(map(mentions_entity, get_args(hint)))


def checkable(hint: Any) -> Any:
    """Return a hint in the form that pydantic can check; the context is a `ClassOf`, or None.

    Raises:
        TypeError: It holds entities in a kind of collection in which they are not looked for.
    """
    if not mentions_entity(hint):
        return hint
    origin, arguments = get_origin(hint), get_args(hint)
    if isinstance(hint, typing.TypeVar):
        return checkable(hint.__bound__)
    if origin is None:
        return Annotated[hint, WrapValidator(_check_of(hint))]
    if origin is Annotated:
        return Annotated[(checkable(arguments[0]), *hint.__metadata__)]
    if origin in _UNIONS:
        return typing.Union[tuple(map(checkable, arguments))]  # noqa: UP007 - made at run time
    container = _CONTAINERS.get(origin)
    if container is None:
        name = getattr(origin, "__name__", str(origin))
        raise TypeError(f"entities in a {name}; use list, dict, set, frozenset or tuple")
    if container is dict and mentions_entity(arguments[0]):
        raise TypeError("entities as keys of a dict; use their lineage_id")
    return container[tuple(map(checkable, arguments))]  # type: ignore[index]  # a generic class


def _check_of(cls: type[Entity]) -> Callable[[Any, Any, ValidationInfo], Any]:
    def check(value: Any, validate: Any, info: ValidationInfo) -> Any:
        if type(value) is Ref:
            class_of: ClassOf | None = info.context
            found = cls if class_of is None else class_of(value)
            if issubclass(found, cls):
                return value
            raise _refusal(f"{value} of a {found.__name__}", cls)
        if not isinstance(value, Entity):
            return validate(value)
        if isinstance(value, cls):
            return value
        raise _refusal(label(value), cls)

    return check


def _refusal(given: str, cls: type[Entity]) -> PydanticCustomError:
    values = {"given": given, "expected": cls.__name__}
    return PydanticCustomError("entity_class", "got {given}, expected {expected}", values)
