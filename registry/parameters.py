"""Parameters: what each parameter of a callable takes, compiled from its type hint."""

from __future__ import annotations

import copy
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, get_args, get_origin
from uuid import UUID

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from registry.config import ConfigEntity
from registry.entity import Entity, label
from registry.errors import RegistrationError
from registry.values import ATOM, KIND

EMPTY = inspect.Parameter.empty
OPTIONS = frozenset(
    {"dry_run", "func_name", "on_stale", "raw", "skip_divergence_check", "skip_events"}
)
"""What `execute` takes by keyword itself, here or by the seed design."""
_EXACT_TYPES = frozenset(
    {int, str, float, bool, bytes, type(None), datetime, date, timedelta, UUID}
)


class Parameter(NamedTuple):
    """One parameter, compiled.

    Attributes:
        name: As in the signature.
        entities: Classes of entities that it takes, if it takes one.
        holds_entities: Whether it takes a collection of entities.
        takes_text: Whether its hint allows a text that is not an address, somewhere.
        exact: Types whose values need no validation.
        validate: Checks and copies any other value.
        default: `inspect.Parameter.empty` if it is required.
        hint: The type hint, for messages.
        configs: Classes of configs that it takes, if it takes a config.
    """

    name: str
    entities: tuple[type[Entity], ...]
    holds_entities: bool
    takes_text: bool
    exact: frozenset[type]
    validate: Callable[[Any], Any]
    default: Any
    hint: Any
    configs: tuple[type[ConfigEntity], ...] = ()


def compile_parameter(name: str, parameter: inspect.Parameter, hints: dict[str, Any]) -> Parameter:
    """Compile one parameter of the callable *name*.

    Raises:
        RegistrationError: It cannot be given by name, or has no usable hint.
    """
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise RegistrationError(name, f"takes *{parameter.name}; name every parameter")
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise RegistrationError(
            name, f"takes {parameter.name!r} by position only; arguments come by name"
        )
    if parameter.name in OPTIONS:
        raise RegistrationError(
            name, f"has a parameter {parameter.name!r}, an option of execute; rename it"
        )
    if parameter.name not in hints:
        raise RegistrationError(name, f"has no type hint for parameter {parameter.name!r}")
    hint = hints[parameter.name]
    entities = _entity_classes(hint)
    configs = _config_classes(entities)
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint, config=_config_for(hint))
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise RegistrationError(
            name,
            f"has a type hint for parameter {parameter.name!r} that pydantic cannot check: {error}",
        ) from error
    return Parameter(
        parameter.name,
        () if configs else entities,
        not entities and _mentions_entity(hint),
        _takes_text(hint),
        _exact_types(hint),
        _validator(adapter),
        parameter.default,
        hint,
        configs,
    )


def _config_classes(classes: tuple[type[Entity], ...]) -> tuple[type[ConfigEntity], ...]:
    """Return the classes of a hint if all that it takes are configs."""
    configs = tuple(cls for cls in classes if issubclass(cls, ConfigEntity))
    return configs if len(configs) == len(classes) else ()


def config_field(name: str, config: type[ConfigEntity]) -> Parameter:
    """Return what there is to know about a field of a config that is given by keyword."""
    hint = config.model_fields[name].annotation
    return Parameter(name, (), False, _takes_text(hint), frozenset(), _as_it_is, EMPTY, hint)


def _as_it_is(value: Any) -> Any:
    return value


def reason(error: ValidationError) -> str:
    """Return what pydantic found wrong, up to three things of it."""
    return "; ".join(
        f"{'.'.join(map(str, item['loc']))}: {item['msg']}" if item["loc"] else item["msg"]
        for item in error.errors(include_url=False, include_context=False, include_input=False)[:3]
    )


def _config_for(hint: Any) -> ConfigDict | None:
    """Allow any class in a hint; a model brings its own settings."""
    try:
        TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:
        return None
    return ConfigDict(arbitrary_types_allowed=True)


def _validator(adapter: TypeAdapter[Any]) -> Callable[[Any], Any]:
    """Return a check whose result shares no mutable object with what was given."""
    validate = adapter.validator.validate_python

    def check(value: Any) -> Any:
        if KIND[type(value)] == ATOM:
            return validate(value)
        return validate(copy.deepcopy(value))

    return check


def own_default(default: Any) -> Any:
    """Return a default that a callable may change."""
    return default if KIND[type(default)] == ATOM else copy.deepcopy(default)


def _entity_classes(hint: Any) -> tuple[type[Entity], ...]:
    """Return the entity classes of a hint that takes one entity.

    Also optional, or of several classes.
    """
    if get_origin(hint) is typing.Annotated:
        hint = get_args(hint)[0]
    if isinstance(hint, type) and issubclass(hint, Entity):
        return (hint,)
    if isinstance(hint, typing.TypeVar) and hint.__bound__ is not None:
        return _entity_classes(hint.__bound__)
    if get_origin(hint) in (typing.Union, types.UnionType):
        members = [_entity_classes(each) for each in get_args(hint)]
        return tuple(cls for classes in members for cls in classes)
    return ()


def _exact_types(hint: Any) -> frozenset[type]:
    """Return the types whose values a hint takes as they are, if all that it takes are such."""
    if hint is None:
        return frozenset({type(None)})
    if get_origin(hint) in (typing.Union, types.UnionType):
        members = [_exact_types(each) for each in get_args(hint)]
        return frozenset().union(*members) if all(members) else frozenset()
    return frozenset({hint}) if isinstance(hint, type) and hint in _EXACT_TYPES else frozenset()


def _mentions_entity(hint: Any) -> bool:
    return bool(_entity_classes(hint)) or any(map(_mentions_entity, get_args(hint)))


def _takes_text(hint: Any) -> bool:
    """Tell whether a hint allows a text, also inside a collection; keys of dicts do not count."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        return _takes_text(arguments[0])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _takes_text(arguments[-1])
    if arguments:
        return any(map(_takes_text, arguments))
    return hint in (str, Any, object)


def describe(hint: Any) -> str:
    """Write a type hint for a message."""
    return (
        hint.__name__
        if isinstance(hint, type) and not get_args(hint)
        else str(hint).replace("typing.", "")
    )


def show(value: Any) -> str:
    """Write a value for a message: an entity by its label, anything else cut."""
    if isinstance(value, Entity):
        return label(value)
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"
