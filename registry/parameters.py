"""Parameters: what each parameter of a callable takes, compiled from its type hint."""

from __future__ import annotations

import copy
import inspect
import reprlib
import types
import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, get_args, get_origin
from uuid import UUID

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from registry.address import Ref
from registry.config import ConfigEntity
from registry.entity import Entity, label
from registry.errors import RegistrationError, UncopyableError
from registry.hints import ClassOf, checkable, entity_classes, mentions_entity
from registry.values import ATOM, DICT, ENTITY, FROZENSET, KIND, LIST, OPAQUE, SET, TUPLE

_TEXT = 60
"""Characters of a value that a message shows."""
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
        validate: Checks and copies any other value; of a collection, with the class of what a ref
            names as its second argument.
        default: `inspect.Parameter.empty` if it is required.
        hint: The type hint, for messages.
        configs: Classes of configs that it takes, if it takes a config.
        listed: Classes of entities that it takes in a list, if it takes just that.
    """

    name: str
    entities: tuple[type[Entity], ...]
    holds_entities: bool
    takes_text: bool
    exact: frozenset[type]
    validate: Callable[..., Any]
    default: Any
    hint: Any
    configs: tuple[type[ConfigEntity], ...] = ()
    listed: tuple[type[Entity], ...] = ()


def compile_parameter(name: str, parameter: inspect.Parameter, hints: dict[str, Any]) -> Parameter:
    """Compile one parameter of the callable *name*.

    Raises:
        RegistrationError: It cannot be given by name, has no usable hint, or a default that cannot
            be copied.
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
    _check_default(name, parameter)
    entities = entity_classes(hint)
    configs = _config_classes(entities)
    holds_entities = not entities and mentions_entity(hint)
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(
            checkable(hint) if holds_entities else hint, config=_config_for(hint)
        )
    except (PydanticSchemaGenerationError, PydanticUserError, TypeError) as error:
        raise RegistrationError(
            name,
            f"has a type hint for parameter {parameter.name!r} that cannot be checked: {error}",
        ) from error
    return Parameter(
        parameter.name,
        () if configs else entities,
        holds_entities,
        takes_text(hint),
        _exact_types(hint),
        _validator(adapter, holds_entities=holds_entities, holds_others=_holds_others(hint)),
        parameter.default,
        hint,
        configs,
        entity_classes(get_args(hint)[0]) if get_origin(hint) is list else (),
    )


def _config_classes(classes: tuple[type[Entity], ...]) -> tuple[type[ConfigEntity], ...]:
    """Return the classes of a hint if all that it takes are configs."""
    configs = tuple(cls for cls in classes if issubclass(cls, ConfigEntity))
    return configs if len(configs) == len(classes) else ()


def config_field(name: str, config: type[ConfigEntity]) -> Parameter:
    """Return what there is to know about a field of a config that is given by keyword."""
    hint = config.model_fields[name].annotation
    return Parameter(name, (), False, takes_text(hint), frozenset(), _as_it_is, EMPTY, hint)


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


def _validator(
    adapter: TypeAdapter[Any], *, holds_entities: bool, holds_others: bool
) -> Callable[..., Any]:
    """Return a check whose result shares no mutable object with what was given, but entities."""
    validate = adapter.validator.validate_python

    def check(value: Any, class_of: ClassOf | None = None) -> Any:
        if KIND[type(value)] == ATOM:
            return validate(value)
        if not holds_entities:
            return validate(_copied(value))
        found = validate(value, context=class_of)
        return _own(found) if holds_others else found

    return check


def _own(value: Any) -> Any:
    """Return a collection with copies of everything in it but entities and refs."""
    kind = KIND[type(value)]
    if kind == LIST:
        return [_own(item) for item in value]
    if kind == DICT:
        return {key: _own(item) for key, item in value.items()}
    if kind == TUPLE:
        return tuple([_own(item) for item in value])
    return _copied(value) if kind == OPAQUE and type(value) is not Ref else value


def _copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except RecursionError:
        raise
    except Exception as error:
        kind, cause = type(value).__name__, f"{type(error).__name__}: {error}"
        raise UncopyableError("the argument", kind, cause) from error


def _check_default(name: str, parameter: inspect.Parameter) -> None:
    try:
        own_default(parameter.default)
    except Exception as error:
        problem = f"has a default for {parameter.name!r} that cannot be copied ({error})"
        raise RegistrationError(name, f"{problem}; default to None, and make it inside") from error


def own_default(default: Any) -> Any:
    """Return a default that a callable may change."""
    return default if KIND[type(default)] == ATOM else copy.deepcopy(default)


def _exact_types(hint: Any) -> frozenset[type]:
    """Return the types whose values a hint takes as they are, if all that it takes are such."""
    if hint is None:
        return frozenset({type(None)})
    if get_origin(hint) in (typing.Union, types.UnionType):
        members = [_exact_types(each) for each in get_args(hint)]
        return frozenset().union(*members) if all(members) else frozenset()
    return frozenset({hint}) if isinstance(hint, type) and hint in _EXACT_TYPES else frozenset()


def _holds_others(hint: Any) -> bool:
    """Tell whether there may be more in a collection than entities and plain values."""
    if hint is ... or entity_classes(hint) or _exact_types(hint):
        return False
    arguments = get_args(hint)
    return not arguments or any(map(_holds_others, arguments))


def takes_text(hint: Any) -> bool:
    """Tell whether a hint allows a text, also inside a collection; keys of dicts do not count."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        return takes_text(arguments[0])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return takes_text(arguments[-1])
    if arguments:
        return any(map(takes_text, arguments))
    return hint in (str, Any, object)


def describe(hint: Any) -> str:
    """Write a type hint for a message."""
    return (
        hint.__name__
        if isinstance(hint, type) and not get_args(hint)
        else str(hint).replace("typing.", "")
    )


def show(value: Any) -> str:
    """Write a value for a message: an entity by its label, anything else cut.

    Cost: bounded, but for the `repr` of an object that is no container.
    """
    if isinstance(value, Entity):
        return label(value)
    text = _BRIEF.repr(value)
    kind = type(value).__name__
    if KIND[type(value)] in _WRITERS and kind.startswith("Tracked"):
        kind = kind.removeprefix("Tracked").lower()
    return f"{text if len(text) <= _TEXT else text[: _TEXT - 3] + '...'} ({kind})"


class _Brief(reprlib.Repr):
    """Writes values in few characters, and entities by their labels."""

    def repr1(self, x: Any, level: int) -> str:
        """Write a value."""
        kind = KIND[type(x)]
        if kind == ENTITY:
            return label(x)
        if type(x) is Ref:
            return x.address
        try:
            if kind in _WRITERS:
                return str(_WRITERS[kind](self, x, level))
            return super().repr1(x, level)
        except Exception:  # noqa: BLE001 - a repr may raise anything, also a number of 5,000 digits
            return f"<a {type(x).__name__} that cannot be written>"


_WRITERS: dict[int, Callable[..., str]] = {
    LIST: reprlib.Repr.repr_list,
    DICT: reprlib.Repr.repr_dict,
    SET: reprlib.Repr.repr_set,
    TUPLE: reprlib.Repr.repr_tuple,
    FROZENSET: reprlib.Repr.repr_frozenset,
}
_BRIEF = _Brief()
_BRIEF.maxlevel = 3
_BRIEF.maxstring = _BRIEF.maxother = _TEXT
