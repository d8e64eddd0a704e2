"""Callables by name, each compiled once.

What its parameters take, how they are checked, what it returns.

Executing walks the compiled plan; nothing is inspected per call.
"""

from __future__ import annotations

import copy
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Literal, NamedTuple, get_args, get_origin
from uuid import UUID

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from registry.address import Ref
from registry.entity import Entity, label
from registry.errors import ArgumentError, RegistrationError, ReturnError
from registry.values import ATOM, KIND

Semantic = Literal["mutation", "creation", "detachment"]
_SEMANTICS = get_args(Semantic)
_EMPTY = inspect.Parameter.empty
_EXACT_TYPES = frozenset(
    {int, str, float, bool, bytes, type(None), datetime, date, timedelta, UUID}
)

_REF = frozenset({Ref})
_MAX_FITTING = 64
"""Combinations of types that are remembered; a union of five types for each of ten parameters
has millions."""


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
    """

    name: str
    entities: tuple[type[Entity], ...]
    holds_entities: bool
    takes_text: bool
    exact: frozenset[type]
    validate: Callable[[Any], Any]
    default: Any
    hint: Any


class RegisteredCallable:
    """A function with its compiled signature.

    Attributes:
        name: Registered name.
        function: The function itself.
        is_async: Whether it is a coroutine function.
        parameters: In the order of the signature.
        returns: Classes that the return hint promises, as far as it is about classes; None for
            anything.
        semantic_hint: The semantic that the author promises, or None.
        read_only: Whether a change is an error.
        takes_atoms: Whether every parameter takes an entity or a plain value of an exact type.
        plain_entity: Position of the one parameter that takes an entity (of `plain_classes`), if
            all others take atoms, the function is synchronous and may write; else -1.
        fitting: Types of arguments of which `fits` has said so before.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        semantic_hint: Semantic | None = None,
        read_only: bool = False,
    ) -> None:
        if semantic_hint is not None and semantic_hint not in _SEMANTICS:
            raise RegistrationError(
                name, f"has the semantic hint {semantic_hint!r}, expected one of {_SEMANTICS}"
            )
        self.name = name
        self.function = function
        self.semantic_hint = semantic_hint
        self.read_only = read_only
        self.is_async = inspect.iscoroutinefunction(function)
        hints = _hints(name, function)
        signature = inspect.signature(function)
        self.parameters = tuple(
            _compile(name, each, hints) for each in signature.parameters.values()
        )
        positional = all(
            each.kind is each.POSITIONAL_OR_KEYWORD for each in signature.parameters.values()
        )
        self.by_name = {each.name: each for each in self.parameters}
        if "return" not in hints:
            raise RegistrationError(
                name, "has no return hint; annotate what it returns (None if nothing)"
            )
        self.return_hint = hints["return"]
        self.returns = _promised(self.return_hint)
        self.names = tuple(self.by_name)
        self._names = frozenset(self.by_name)
        self._exact = tuple((each.name, each.exact) for each in self.parameters if each.exact)
        self._inexact = tuple(each.name for each in self.parameters if not each.exact)
        self.takes_atoms = all(each.exact or each.entities for each in self.parameters)
        entities = [each for each in self.parameters if each.entities]
        plain = len(entities) == 1 and self.takes_atoms and not (self.is_async or read_only)
        self.plain_entity = self.parameters.index(entities[0]) if plain and positional else -1
        self.plain_classes = entities[0].entities if plain else ()
        self.fitting: set[tuple[type, ...]] = set()
        self._kept: set[type] = set()
        self.collection_parameters = tuple(
            each.name for each in self.parameters if each.holds_entities
        )
        self.entity_parameters = tuple(each.name for each in self.parameters if each.entities)

    def bind(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Check arguments and return the callable's own copies.

        Entities and refs are passed on as given.

        Raises:
            ArgumentError: An argument is unknown, missing, or does not fit its hint.
        """
        if arguments.keys() != self._names:
            self._check_names(arguments)
        bound = dict(arguments)
        for name, exact in self._exact:
            if type(bound.get(name, _EMPTY)) not in exact:
                bound[name] = self._checked(self.by_name[name], bound.get(name, _EMPTY))
        for name in self._inexact:
            given = bound.get(name, _EMPTY)
            if type(given) is not Ref or name not in self.entity_parameters:
                bound[name] = self._checked(self.by_name[name], given)
        return bound

    def in_order(self, arguments: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the arguments in the order of the signature; none if some are missing."""
        if arguments.keys() != self._names:
            return ()
        return tuple([arguments[name] for name in self.names])

    def fits(self, values: tuple[Any, ...]) -> bool:
        """Tell whether all arguments are there and need neither validation nor a copy.

        Said of a callable that has a `plain_entity`, which must come as a ref, about arguments in
        the order of the signature.
        """
        types = tuple(map(type, values))
        if len(types) != len(self.parameters):
            return False
        for kind, parameter in zip(types, self.parameters, strict=True):
            if kind not in (parameter.exact or _REF):
                return False
        if len(self.fitting) < _MAX_FITTING:
            self.fitting.add(types)
        return True

    def fitted(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return arguments of which some need validation, validated; none if they do not fit.

        As `fits` otherwise; `bind` says what is wrong with what does not.
        """
        if len(values) != len(self.parameters):
            return ()
        found = list(values)
        for index, (value, parameter) in enumerate(zip(values, self.parameters, strict=True)):
            if type(value) in (parameter.exact or _REF):
                continue
            try:
                found[index] = parameter.validate(value) if parameter.exact else value
            except ValidationError:
                return ()
        return tuple(found) if self.fits(tuple(found)) else ()

    def keeps_promise(self, result: Any) -> bool:
        """Tell whether an atom, or the very entity given, is what hints allow to return."""
        kind = type(result)
        if kind in self._kept:
            return True
        if KIND[kind] and self.semantic_hint not in (None, "mutation"):
            return False
        if self.returns is not None and not isinstance(result, self.returns):
            return False
        self._kept.add(kind)
        return True

    def _checked(self, parameter: Parameter, value: Any) -> Any:
        if parameter.entities:
            return self._check_entity(parameter, value)
        if value is _EMPTY:
            return _own_default(parameter.default)
        return value if parameter.holds_entities else self._validate(parameter, value)

    def _check_names(self, arguments: Mapping[str, Any]) -> None:
        for name in arguments:
            if name not in self.by_name:
                known = ", ".join(self.by_name) or "no parameters"
                raise ArgumentError(self.name, name, "an argument of that name", f"one of: {known}")
        for parameter in self.parameters:
            if parameter.name not in arguments and parameter.default is _EMPTY:
                raise ArgumentError(self.name, parameter.name, "nothing", _describe(parameter.hint))

    def _check_entity(self, parameter: Parameter, value: Any) -> Any:
        if value is _EMPTY:
            value = _own_default(parameter.default)
        cls = type(value)
        if cls is Ref or isinstance(value, parameter.entities):
            return value
        if not isinstance(value, Entity) and not isinstance(value, str):
            return self._validate(parameter, value)
        raise self.wrong_entity(parameter.name, value)

    def wrong_entity(self, name: str, value: Any) -> ArgumentError:
        """Return the error for an entity of another class than the parameter takes."""
        return ArgumentError(self.name, name, _show(value), _describe(self.by_name[name].hint))

    def _validate(self, parameter: Parameter, value: Any) -> Any:
        try:
            return parameter.validate(value)
        except ValidationError as error:
            reason = "; ".join(
                f"{'.'.join(map(str, item['loc']))}: {item['msg']}" if item["loc"] else item["msg"]
                for item in error.errors(
                    include_url=False, include_context=False, include_input=False
                )[:3]
            )
            raise ArgumentError(
                self.name, parameter.name, _show(value), f"{_describe(parameter.hint)} ({reason})"
            ) from None

    def refuse_result(self, result: Any) -> None:
        """Raise the error for a result that contradicts the return hint.

        Raises:
            ReturnError: Always.
        """
        raise ReturnError(self.name, _show(result), _describe(self.return_hint))


def _hints(name: str, function: Callable[..., Any]) -> dict[str, Any]:
    if not callable(function):
        raise RegistrationError(name, f"is a {type(function).__name__}, expected a function")
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception as error:
        raise RegistrationError(
            name, f"has a type hint that cannot be resolved: {error}"
        ) from error


def _compile(name: str, parameter: inspect.Parameter, hints: dict[str, Any]) -> Parameter:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise RegistrationError(name, f"takes *{parameter.name}; name every parameter")
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise RegistrationError(
            name, f"takes {parameter.name!r} by position only; arguments come by name"
        )
    if parameter.name not in hints:
        raise RegistrationError(name, f"has no type hint for parameter {parameter.name!r}")
    hint = hints[parameter.name]
    entities = _entity_classes(hint)
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint, config=_config_for(hint))
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise RegistrationError(
            name,
            f"has a type hint for parameter {parameter.name!r} that pydantic cannot check: {error}",
        ) from error
    return Parameter(
        parameter.name,
        entities,
        not entities and _mentions_entity(hint),
        takes_text(hint),
        _exact_types(hint),
        _validator(adapter),
        parameter.default,
        hint,
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


def _own_default(default: Any) -> Any:
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


def _promised(hint: Any) -> tuple[type, ...] | None:
    """Return the classes of which a result must be, as far as a hint is about classes.

    None if it is not.
    """
    if hint is None:
        return (type(None),)
    if hint is Any:
        return None
    if get_origin(hint) is typing.Annotated:
        return _promised(get_args(hint)[0])
    if get_origin(hint) in (typing.Union, types.UnionType):
        members = [_promised(each) for each in get_args(hint)]
        return (
            tuple(cls for classes in members if classes for cls in classes)
            if all(members)
            else None
        )
    cls = get_origin(hint) or hint
    if not isinstance(cls, type) or getattr(cls, "_is_protocol", False) or cls is object:
        return None
    return (float, int) if cls is float else (cls,)  # an int is a float to type checkers (PEP 484)


def _describe(hint: Any) -> str:
    return (
        hint.__name__
        if isinstance(hint, type) and not get_args(hint)
        else str(hint).replace("typing.", "")
    )


def _show(value: Any) -> str:
    if isinstance(value, Entity):
        return label(value)
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"
