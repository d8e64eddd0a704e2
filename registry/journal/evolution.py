"""Evolution: a state that was written when its class had other fields, as a state of it now.

By name: a field that is gone is dropped, one that is new has its default, one that has the old name
as an alias takes over its value. What else changed says an *upcaster*, a function of the user's.
Nothing that is stored is changed by this: it is done whenever the old form is read.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import AliasChoices
from pydantic_core import PydanticUndefined

from registry.adoption import Adoption
from registry.entity import Entity
from registry.errors import ClassChangedError, CodecError
from registry.history import Cell, DictCell, Node, Stored, cells_in
from registry.ids import Key
from registry.journal.coding import Encoder, KeyTable, Refused
from registry.journal.fields import adapters_of
from registry.schema import ABSENT, EXTRA, Schema
from registry.values import ATOM, KIND, SURE, Opaque

Upcaster = Callable[[dict[str, Any]], Mapping[str, Any]]
"""Gives the values of an entity by their names now, from those that it was stored with."""

_UPCASTERS: dict[type, Upcaster] = {}


class Part:
    """A child, container or other value that is no atom: what an upcaster passes on as it is."""

    __slots__ = ("value",)

    def __init__(self, value: Stored) -> None:
        self.value = value


def register_upcaster(cls: type[Entity], upcast: Upcaster) -> None:
    """Say how entities that were stored when a class had other fields are read.

    Args:
        cls: The class; also for those derived from it that have none of their own.
        upcast: Is given the values by the names that they were stored with, of any former form of
            the class: atoms as they are, anything else as a `Part` to pass on. Returns them by
            names of the class now. What it leaves out has its default. It runs whenever the old
            form is read, and must give the same for the same.

    Raises:
        CodecError: There is no such class, or no function.
    """
    if not (isinstance(cls, type) and issubclass(cls, Entity) and callable(upcast)):
        name = getattr(cls, "__qualname__", repr(cls))
        raise CodecError(name, "cannot be: an upcaster needs a class of entities and a function")
    _UPCASTERS[cls] = upcast


class Former(NamedTuple):
    """What was written of an entity, by the names of then.

    Attributes:
        names: The names of the class then.
        values: The values: all, or those that differ from the state before.
        were_set: The fields that were set; None as before.
    """

    names: tuple[str, ...]
    values: dict[str, Stored]
    were_set: Iterable[str] | None


class Evolution:
    """How states of a class in a former form become states of it now.

    Args:
        schema: The class now.
        names: The parts of its states then.
    """

    __slots__ = ("_names", "_renamed", "_schema", "_upcast")

    def __init__(self, schema: Schema, names: tuple[str, ...]) -> None:
        self._schema = schema
        self._names = names
        is_reordered = set(names) == set(schema.names)
        self._upcast = None if is_reordered else _upcaster_of(schema.cls)
        self._renamed = _renamed(schema)

    @property
    def needs_all(self) -> bool:
        """Whether a change is understood only together with what did not change."""
        return self._upcast is not None

    def former(self, node: Node) -> Former:
        """Return what can be told of the former form of an entity from its state now."""
        values = {
            name: node.state[self._schema.index[now]]
            for name in self._names[:-1]
            if (now := self._name_now(name)) is not None
        }
        return Former(self._names, values, None)

    def state(self, former: Former, node: Node, cells: dict[int, Any]) -> tuple[Stored, ...]:
        """Return the state now of an entity.

        Args:
            former: What was written of it.
            node: The entity, with its state before, if it has one.
            cells: Learns the containers that are made here, by number.

        Raises:
            ClassChangedError: A field that is new has no default, or the upcaster raised.
        """
        schema = self._schema
        given = self._upcasted(former.values)
        found = {
            now: self._stored(value, node, now, cells)
            for name, value in given.items()
            if (now := self._name_now(name)) is not None and (now == name or now not in given)
        }
        for name, value in former.values.items():
            if value is ABSENT and name in schema.index:
                found.setdefault(name, ABSENT)
        state = []
        for name in schema.names[:-1]:
            if name not in found:
                found[name] = (
                    node.state[schema.index[name]]
                    if node.state
                    else self._stored(self._default(name, found), node, name, cells)
                )
            state.append(found[name])
        return (*state, self._set_names(former, given, node))

    def _name_now(self, name: str) -> str | None:
        return name if name in self._schema.index else self._renamed.get(name)

    def _upcasted(self, values: dict[str, Stored]) -> Mapping[str, Any]:
        """Return values, stored forms as parts, by the names that they have now, or aliases."""
        there = {
            name: value if KIND[type(value)] == ATOM else Part(value)
            for name, value in values.items()
            if value is not ABSENT
        }
        if self._upcast is None:
            return there
        try:
            return dict(self._upcast(there))
        except Exception as error:
            text = f"cannot be upcasted: {type(error).__name__}: {error}"
            raise self._changed(", ".join(values), text) from error

    def _set_names(self, former: Former, given: Mapping[str, Any], node: Node) -> frozenset[str]:
        if former.were_set is None:
            return frozenset(node.state[-1])
        names = {*former.were_set, *(given.keys() - former.values.keys())}
        now = {self._name_now(name) or name for name in names}
        return self._schema.shared_set(
            now if self._schema.has_extra else now & self._schema.field_set
        )

    def _default(self, name: str, found: dict[str, Stored]) -> Any:
        """Return what a part has that was not there then."""
        cls: Any = self._schema.cls
        if name == EXTRA:
            return {}
        is_private = name in self._schema.private_set
        field = (cls.__private_attributes__ if is_private else cls.model_fields)[name]
        known = {each: value for each, value in found.items() if KIND[type(value)] == ATOM}
        try:
            value = (
                _private_default(field, known)
                if is_private
                else field.get_default(call_default_factory=True, validated_data=known)
            )
        except Exception as error:
            text = f"is new, and its default raised {type(error).__name__}: {error}"
            raise self._changed(name, text) from error
        if value is not PydanticUndefined:
            return value
        if is_private:
            return ABSENT
        raise self._changed(name, "is new, and has no default")

    def _stored(self, value: Any, node: Node, name: str, cells: dict[int, Any]) -> Stored:
        """Return the stored form of a value that the class, or the user, made."""
        if type(value) is Part:
            return value.value
        if type(value) in SURE or value is ABSENT:
            return value
        encoder = Encoder(KeyTable())
        encoder.adapters = adapters_of(self._schema).get(name)
        try:
            stored = value if KIND[type(value)] == ATOM else _Making().made(value, node, name)
            encoder.value(value)  # else the next checkpoint could not be written
        except Refused as error:
            raise self._changed(name, f"cannot be kept: {error.kind}, {error.reason}") from error
        except Exception as error:
            raise self._changed(name, f"cannot be kept: {error}") from error
        for at, cell in enumerate(cells_in(stored)):
            # The same whenever it is made: later changes of it are found by that.
            cell.number = -int.from_bytes(f"{int(node.key):x}.{name}.{at}".encode())
            cells[cell.number] = cell
        return stored

    def _changed(self, name: str, reason: str) -> ClassChangedError:
        return ClassChangedError(self._schema.cls.__qualname__, name, reason)


class _Making(Adoption):
    """Makes the stored form of a value that is in no tree."""

    def __init__(self) -> None:
        super().__init__(0, 0.0)

    def made(self, value: Any, node: Node, name: str) -> Stored:
        """Return the stored form of the value of a field."""
        self._name = name
        return self.store(value, node, None)

    def meet(self, entity: Entity, node: Node) -> Key:
        """Refuse an entity: each time it were made, it would be another one."""
        raise ValueError(f"it makes a {type(entity).__name__}; make it None, or an empty container")


def _private_default(private: Any, known: dict[str, Any]) -> Any:
    """Return the default of a private attribute; pydantic's own way to ask differs by release."""
    factory = private.default_factory
    if factory is None:
        return copy.deepcopy(private.default)
    return factory(known) if getattr(private, _TAKES_DATA, False) else factory()


_TAKES_DATA = "default_factory_takes_validated_data"


def opaque_names(schema: Schema, state: tuple[Stored, ...]) -> frozenset[str] | None:
    """Return the parts of a state that hold values which cannot be tracked; None if none does."""
    found = [name for name, value in zip(schema.names, state, strict=True) if _is_opaque(value)]
    return frozenset(found) or None


def _is_opaque(stored: Stored) -> bool:
    rest = [stored]
    while rest:
        each = rest.pop()
        if type(each) is Opaque:
            return True
        if isinstance(each, Cell):
            rest += each.items.values() if type(each) is DictCell else each.items
        elif type(each) in (tuple, frozenset):
            rest += each
    return False


def _upcaster_of(cls: type) -> Upcaster | None:
    return next((_UPCASTERS[each] for each in cls.__mro__ if each in _UPCASTERS), None)


def _renamed(schema: Schema) -> dict[str, str]:
    """Return the fields by the names that are aliases of theirs."""
    cls: Any = schema.cls
    found: dict[str, str] = {}
    for name, field in cls.model_fields.items():
        for alias in (field.alias, field.validation_alias):
            choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
            found.update({each: name for each in choices if isinstance(each, str)})
    return {alias: name for alias, name in found.items() if alias not in schema.index}
