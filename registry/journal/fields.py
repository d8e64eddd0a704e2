"""Fields: what the annotations of a class say of how it is journaled, and whether it can be at all.

Values decide how they are written. The annotation of a field is asked for values of classes that
have no codec: if pydantic writes such a value as JSON and its validator makes the very same value
of that again, it is journaled so. What neither can write is refused: at once if the annotation
leaves no other values, else when such a value is committed.
"""

from __future__ import annotations

import abc
import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic_core import PydanticUndefined

from registry.entity import Entity
from registry.errors import NotJournalableError
from registry.journal.codec import refusal
from registry.journal.coding import Encoder, KeyTable, Plain, Refused, is_writable
from registry.journal.names import find_name
from registry.schema import Schema
from registry.values import ATOM, ENTITY, KIND, same_value

_CONTAINERS = frozenset({list, dict, set, frozenset, tuple})
_ANYTHING = frozenset({object, Any, Callable})
"""What says nothing about the class of a value, and is a class for Python."""
_UNIONS = frozenset({Union, types.UnionType})
_NO_NAME = (
    "it is not found by its name; define it at the top of a module that is imported before the "
    "store is opened"
)


class Leaf(NamedTuple):
    """A class that a field's annotation names, and the part of the annotation that is about it."""

    cls: type
    annotation: Any


class Adapters:
    """How values of classes without a codec are written, as a field's annotation says."""

    __slots__ = ("_adapters",)

    def __init__(self, adapters: dict[type, TypeAdapter[Any]]) -> None:
        self._adapters = adapters

    def written(self, value: Any, table: KeyTable) -> list[Plain] | None:
        """Return the name of a class and the value as JSON; None if that does not bring it back."""
        for cls, adapter in self._adapters.items():
            name = find_name(cls)
            if name is not None:
                try:
                    if not isinstance(value, cls):
                        continue
                    text = adapter.dump_json(value, warnings="error").decode()
                    again = adapter.validate_json(text)
                except Exception:  # noqa: BLE001, S112 - a serializer or validator of the user's
                    continue
                if same_value(again, value):
                    return [table.names[name], text]
        return None

    def read(self, cls: type, text: str) -> Any:
        """Return the value that was written as JSON."""
        return self._adapters[cls].validate_json(text)


_FOUND: dict[Schema, dict[str, Adapters]] = {}


def adapters_of(schema: Schema) -> dict[str, Adapters]:
    """Return what writes values of classes without a codec, by field: empty for most classes.

    Compiled on first use.
    """
    found = _FOUND.get(schema)
    if found is None:
        found = _FOUND[schema] = {
            name: adapters
            for name, field in schema.cls.model_fields.items()
            if (adapters := _adapters_of(field.annotation, field.metadata)) is not None
        }
    return found


# --- what an annotation says ---


def _whole(annotation: Any, metadata: list[Any]) -> Any:
    """Return the annotation of a field as it was written: pydantic takes it apart."""
    return Annotated[annotation, *metadata] if metadata else annotation


def _leaves(annotation: Any, around: Any = None) -> Iterator[Leaf]:
    """Yield the classes that an annotation names; *around* it is what says how."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _leaves(get_args(annotation)[0], annotation)
    elif origin in _UNIONS or origin in _CONTAINERS or _is_abstract(origin):
        for each in get_args(annotation):
            yield from _leaves(each, around)
    else:
        cls = annotation if origin is None else origin
        if isinstance(cls, type) and cls not in _ANYTHING:
            yield Leaf(cls, annotation if around is None else around)


def _adapters_of(annotation: Any, metadata: list[Any]) -> Adapters | None:
    adapters: dict[type, TypeAdapter[Any]] = {}
    for leaf in _leaves(_whole(annotation, metadata)):
        if not (KIND[leaf.cls] in (ATOM, ENTITY) or is_writable(leaf.cls)):
            adapter = _adapter(leaf)
            if adapter is not None:
                adapters[leaf.cls] = adapter
    return Adapters(adapters) if adapters else None


def _adapter(leaf: Leaf) -> TypeAdapter[Any] | None:
    """Return what pydantic writes values of a class with; None if it has no way to."""
    for config in (None, ConfigDict(arbitrary_types_allowed=True)):
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(leaf.annotation, config=config)
        except Exception:  # noqa: BLE001, S112 - of many kinds, also from a class's own schema
            continue
        schema: Any = adapter.core_schema
        # Pydantic knows of such a class only whether a value is of it.
        if schema["type"] != "is-instance" or "serialization" in schema:
            return adapter
    return None


# --- whether a class can be journaled ---


def check_class(cls: type[Entity]) -> None:
    """Tell by the annotations of a class and its defaults whether its entities can be journaled.

    Where an annotation says nothing, as `Any` and `Callable`, the values decide at commit. The
    classes of children are not looked at.

    Raises:
        NotJournalableError: A field can never be, or not as long as it has its default; or the
            class is not found by its name.
    """
    if find_name(cls) is None:
        raise NotJournalableError(f"module {cls.__module__}", cls.__qualname__, _NO_NAME)
    for name, field in cls.model_fields.items():
        place = f"{cls.__qualname__}.{name}"
        annotation = _whole(field.annotation, field.metadata)
        never = _never(annotation, set())
        if never is not None:
            raise NotJournalableError(place, never.__qualname__, "there is no codec for its class")
        _check_default(field.default, place, _adapters_of(field.annotation, field.metadata))
    for name, private in cls.__private_attributes__.items():
        _check_default(private.default, f"{cls.__qualname__}.{name}", None)


def _check_default(default: Any, place: str, adapters: Adapters | None) -> None:
    if default is PydanticUndefined:
        return
    encoder = Encoder(KeyTable())
    encoder.adapters = adapters
    try:
        encoder.value(default)
    except Refused as refused:
        if not isinstance(refused.value, Entity):  # a child is stored by its key
            raise refusal(encoder, refused, place) from refused


def _never(annotation: Any, seen: set[type], around: Any = None) -> type | None:
    """Return a class of which the annotation wants values and that can never be journaled."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _never(get_args(annotation)[0], seen, annotation)
    parts = [each for each in get_args(annotation) if each not in (type(None), ...)]
    if origin in _UNIONS:
        found = [_never(each, seen, around) for each in parts]
        return None if not found or None in found else found[0]
    if origin in _CONTAINERS or _is_abstract(origin):
        return next((it for each in parts if (it := _never(each, seen, around))), None)
    cls = annotation if origin is None else origin
    if not isinstance(cls, type) or cls in seen:
        return None
    seen.add(cls)
    if _is_open(cls):
        return None
    if not is_writable(cls):
        return None if _adapter(Leaf(cls, annotation if around is None else around)) else cls
    if issubclass(cls, BaseModel):
        inner = [_whole(each.annotation, each.metadata) for each in cls.model_fields.values()]
        return next((it for each in inner if (it := _never(each, seen))), None)
    return None


def _is_open(cls: type) -> bool:
    """Tell whether values of a class can be of others too, which can be journaled."""
    if cls in _ANYTHING or KIND[cls] in (ATOM, ENTITY) or _is_abstract(cls):
        return True
    if is_writable(cls):
        return False
    below: list[type] = type.__subclasses__(cls)
    return any(is_writable(each) or _is_open(each) for each in below)


def _is_abstract(cls: Any) -> bool:
    """Tell whether a class stands for others: a protocol, or a base that says what they can."""
    if not isinstance(cls, type) or cls is Callable:
        return False  # what a function takes and gives is not held
    return type(cls) is abc.ABCMeta or bool(getattr(cls, "_is_protocol", False))
