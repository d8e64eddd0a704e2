"""Callables by name, each compiled once.

What its parameters take, how they are checked, what it returns.

Executing walks the compiled plan; nothing is inspected per call.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError

from registry.address import Ref
from registry.depth import HOLDS_ITSELF, MAX_NESTING, nesting_problem
from registry.errors import ArgumentError, RegistrationError, ReturnError, UncopyableError
from registry.hints import ClassOf
from registry.parameters import (
    EMPTY,
    OPTIONS,
    Parameter,
    compile_parameter,
    config_field,
    describe,
    own_default,
    reason,
    show,
)
from registry.strategies import pattern_of, strategy_of
from registry.values import ENTITY, KIND

Semantic = Literal["mutation", "creation", "detachment"]
_SEMANTICS = get_args(Semantic)
_REF = frozenset({Ref})
_MAX_FITTING = 64
"""Combinations of types that are remembered; a union of five types for each of ten parameters
has millions."""


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
        blocking: Whether `aexecute` calls it in a thread.
        takes_atoms: Whether every parameter takes an entity or a plain value of an exact type.
        plain_entity: Position of the one parameter that takes an entity (of `plain_classes`), if
            all others take atoms, the function is synchronous and may write; else -1.
        is_plain_of_several: Whether it takes entities, lists of them, configs and atoms, is
            synchronous and may write; but has no `plain_entity`.
        has_collection: Whether a parameter takes entities in a container.
        has_plain: Whether a parameter takes a plain value.
        fitting: Types of arguments of which `fits` has said so before.
        keywords: What `execute` takes by keyword: the parameters, and the fields of the configs
            among them.
        expected_strategy: What kinds of inputs the signature takes; see `strategies.py`. A record
            has that of the arguments that were given.
        expected_pattern: Likewise.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        semantic_hint: Semantic | None = None,
        read_only: bool = False,
        blocking: bool = False,
    ) -> None:
        if semantic_hint is not None and semantic_hint not in _SEMANTICS:
            raise RegistrationError(
                name, f"has the semantic hint {semantic_hint!r}, expected one of {_SEMANTICS}"
            )
        self.name = name
        self.function = function
        self.semantic_hint = semantic_hint
        self.read_only = read_only
        self.blocking = blocking
        self.is_async = inspect.iscoroutinefunction(function)
        if self.is_async and blocking:
            raise RegistrationError(name, "is a coroutine function; only others can be blocking")
        hints = _hints(name, function)
        signature = inspect.signature(function)
        self.parameters = tuple(
            compile_parameter(name, each, hints) for each in signature.parameters.values()
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
        self._compile_kinds(positional)

    def _compile_kinds(self, positional: bool) -> None:
        """Work out which parameters need what."""
        self.names = tuple(self.by_name)
        self._names = frozenset(self.by_name)
        self._exact = tuple((each.name, each.exact) for each in self.parameters if each.exact)
        self._inexact = tuple(each.name for each in self.parameters if not each.exact)
        self.takes_atoms = all(each.exact or each.entities for each in self.parameters)
        entities = [each for each in self.parameters if each.entities]
        plain = len(entities) == 1 and self.takes_atoms and not (self.is_async or self.read_only)
        self.plain_entity = self.parameters.index(entities[0]) if plain and positional else -1
        self.is_plain_of_several = (
            not plain
            and all(
                each.exact or each.entities or each.configs or each.listed
                for each in self.parameters
            )
            and positional
            and not (self.is_async or self.read_only)
        )
        self.plain_classes = entities[0].entities if plain else ()
        self.fitting: set[tuple[type, ...]] = set()
        self._kept: set[type] = set()
        self.collection_parameters = tuple(
            each.name for each in self.parameters if each.holds_entities
        )
        self.entity_parameters = tuple(each.name for each in self.parameters if each.entities)
        self.config_parameters = tuple(each.name for each in self.parameters if each.configs)
        self._config_fields = self._find_config_fields()
        fields = {
            each: config_field(each, self.by_name[owner].configs[0])
            for each, owner in self._config_fields.items()
        }
        self.keywords = {**self.by_name, **fields}
        self._compile_strategy()

    def _compile_strategy(self) -> None:
        self.input_parameters = frozenset((*self.entity_parameters, *self.collection_parameters))
        has_config = bool(self.config_parameters)
        self.has_collection = bool(self.collection_parameters)
        taken = len(self.input_parameters) + len(self.config_parameters)
        self.has_plain = has_plain = len(self.parameters) > taken
        self.expected_strategy = strategy_of(
            len(self.entity_parameters),
            has_collection=self.has_collection,
            has_config=has_config,
            has_plain=has_plain,
        )
        self.given_pattern = pattern_of(
            has_entities=bool(self.input_parameters),
            has_others=has_config or has_plain,
            borrows=False,
        )
        self.expected_pattern = pattern_of(
            has_entities=bool(self.input_parameters),
            has_others=has_config or has_plain,
            borrows=has_config or has_plain,
        )

    @property
    def original_function(self) -> Callable[..., Any]:
        """The function itself, by the seed's name."""
        return self.function

    def bind(self, arguments: Mapping[str, Any], class_of: ClassOf | None = None) -> dict[str, Any]:
        """Check arguments and return the callable's own copies.

        Entities and refs are passed on as given, in new collections.

        Args:
            arguments: The arguments, by name.
            class_of: Tells the class of what a ref in a collection names; not checked without one.

        Raises:
            ArgumentError: An argument is unknown, missing, or does not fit its hint.
        """
        if self.config_parameters:
            arguments = self._with_configs(arguments)
        if arguments.keys() != self._names:
            self._check_names(arguments)
        bound = dict(arguments)
        for name, exact in self._exact:
            if type(bound.get(name, EMPTY)) not in exact:
                bound[name] = self._checked(self.by_name[name], bound.get(name, EMPTY), None)
        for name in self._inexact:
            given = bound.get(name, EMPTY)
            if type(given) is not Ref or name not in self.entity_parameters:
                bound[name] = self._checked(self.by_name[name], given, class_of)
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
            except (ValidationError, UncopyableError, RecursionError):
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

    def _find_config_fields(self) -> dict[str, str]:
        """Return the parameter of each field of a config that is given by keyword."""
        owners: dict[str, str] = {}
        for parameter in self.parameters:
            if len(parameter.configs) != 1:
                continue
            for field in parameter.configs[0].model_fields:
                if field in self.by_name:
                    continue  # the keyword means the parameter
                if field in OPTIONS:
                    raise RegistrationError(
                        self.name,
                        f"takes a config with a field {field!r}, an option of execute; rename it",
                    )
                if field in owners:
                    raise RegistrationError(
                        self.name,
                        f"takes two configs with a field {field!r}: {owners[field]!r} and "
                        f"{parameter.name!r}; rename one of the fields, or use one config",
                    )
                owners[field] = parameter.name
        return owners

    def _with_configs(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments with a config in place of its fields, or of nothing."""
        found: dict[str, Any] = {}
        fields: dict[str, dict[str, Any]] = {}
        for name, value in arguments.items():
            owner = self._config_fields.get(name)
            if owner is None:
                found[name] = value
            else:
                fields.setdefault(owner, {})[name] = value
        for owner, given in fields.items():
            if owner in found:
                field, value = next(iter(given.items()))
                raise ArgumentError(
                    *(self.name, field, f"{show(value)} beside {owner!r} itself"),
                    f"either {owner!r} or its fields",
                )
        for parameter in self.parameters:
            name = parameter.name
            if name in found or not parameter.configs:
                continue
            if name in fields or parameter.default is EMPTY:
                found[name] = self._built(parameter, fields.get(name, {}))
        return found

    def _built(self, parameter: Parameter, fields: dict[str, Any]) -> Any:
        """Build a config of its fields; those that were not given have defaults."""
        if len(parameter.configs) != 1:
            raise ArgumentError(self.name, parameter.name, "nothing", describe(parameter.hint))
        cls = parameter.configs[0]
        try:
            validate = cls.__pydantic_validator__.validate_python
            return validate(fields, by_alias=True, by_name=True)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            name = str(first["loc"][0]) if first["loc"] else parameter.name
            is_missing = first["type"] == "missing" and len(first["loc"]) == 1
            raise ArgumentError(
                self.name,
                name,
                "nothing" if is_missing else show(fields.get(name, fields)),
                f"a field of {parameter.name}: {describe(cls)} ({reason(error)})",
            ) from None

    def _checked(self, parameter: Parameter, value: Any, class_of: ClassOf | None) -> Any:
        if parameter.entities or parameter.configs:
            return self._check_entity(parameter, value)
        if value is EMPTY:
            return own_default(parameter.default)
        return self._validate(parameter, value, class_of)

    def _check_names(self, arguments: Mapping[str, Any]) -> None:
        for name in arguments:
            if name not in self.by_name:
                known = ", ".join(self.by_name) or "no parameters"
                if self._config_fields:
                    known += f" (fields of configs: {', '.join(self._config_fields)})"
                raise ArgumentError(self.name, name, "an argument of that name", f"one of: {known}")
        for parameter in self.parameters:
            if parameter.name not in arguments and parameter.default is EMPTY:
                raise ArgumentError(self.name, parameter.name, "nothing", describe(parameter.hint))

    def _check_entity(self, parameter: Parameter, value: Any) -> Any:
        if value is EMPTY:
            value = own_default(parameter.default)
            if value is None:
                return None
        cls = type(value)
        if cls is Ref or issubclass(cls, parameter.entities or parameter.configs):
            return value
        if KIND[cls] != ENTITY and (parameter.takes_text or not isinstance(value, str)):
            return self._validate(parameter, value)
        raise self.wrong_entity(parameter.name, value)

    def wrong_entity(self, name: str, value: Any) -> ArgumentError:
        """Return the error for an entity of another class than the parameter takes."""
        return ArgumentError(self.name, name, show(value), describe(self.by_name[name].hint))

    def _validate(self, parameter: Parameter, value: Any, class_of: ClassOf | None = None) -> Any:
        try:
            return parameter.validate(value, class_of)
        except ValidationError as error:
            why = reason(error)
        except UncopyableError as error:
            why = f"which can be copied: {error.reason}"
        except RecursionError:
            why = "it is nested too deep, or holds itself"
        expected = f"{describe(parameter.hint)} ({why})"
        raise ArgumentError(self.name, parameter.name, show(value), expected)

    def check_nesting(self, name: str, value: Any) -> None:
        """Refuse an argument whose containers are nested too deeply, or hold entities in a circle.

        Raises:
            ArgumentError: They are.
        """
        problem, parameter = nesting_problem(value), self.by_name.get(name)
        if problem == HOLDS_ITSELF and not (parameter and parameter.holds_entities):
            return  # a plain value: copied, and the callable's own
        if problem:
            given = f"a {type(value).__name__} that {problem}"
            raise ArgumentError(self.name, name, given, f"at most {MAX_NESTING} levels")

    def describe_result(self) -> str:
        """Write the return hint for a message."""
        return describe(self.return_hint)

    def refuse_result(self, result: Any) -> None:
        """Raise the error for a result that contradicts the return hint.

        Raises:
            ReturnError: Always.
        """
        raise ReturnError(self.name, show(result), describe(self.return_hint))


FunctionMetadata = RegisteredCallable
"""The name that the seed design has for a compiled callable."""


def _hints(name: str, function: Callable[..., Any]) -> dict[str, Any]:
    if not callable(function):
        raise RegistrationError(name, f"is a {type(function).__name__}, expected a function")
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception as error:
        raise RegistrationError(
            name, f"has a type hint that cannot be resolved: {error}"
        ) from error


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
