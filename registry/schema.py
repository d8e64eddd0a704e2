"""The field plan of an entity class.

What one version of an entity consists of, in which order, and how it is written.

Compiled once per class. A *state* is a tuple with one stored value per name of the plan:
declared fields, then private attributes, then (if the class has them) extra fields, and last the
set of fields that were set.
"""

from __future__ import annotations

import enum
from functools import cached_property
from typing import Any

from pydantic import BaseModel

EXTRA = "__pydantic_extra__"
PRIVATE = "__pydantic_private__"
FIELDS_SET = "__pydantic_fields_set__"


class Missing(enum.Enum):
    """Stands in a state for an attribute that was deleted, or never set."""

    ABSENT = "absent"


ABSENT = Missing.ABSENT


class Schema:
    """What is stored of the entities of one class.

    Attributes:
        cls: The class.
        fields: Declared fields, in the order of their declaration.
        privates: Private attributes.
        names: The parts of a state, in order.
        index: Position of each name in a state.
        field_index: Position of each declared field in a state.
        plain: Fields that are assigned without validation: the fast path of a write.
        is_simple: Whether fields are all there is: no private attributes, no extra fields.
        cached: Cached properties, which must not survive a change.
    """

    __slots__ = (
        *(
            "cached",
            "cls",
            "field_index",
            "field_set",
            "fields",
            "has_extra",
            "index",
            "is_simple",
            "names",
            "plain",
        ),
        *("private_set", "privates", "sets"),
    )

    def __init__(self, cls: type[BaseModel]) -> None:
        config = cls.model_config
        self.cls = cls
        self.fields = tuple(cls.model_fields)
        self.field_set = frozenset(self.fields)
        self.privates = tuple(cls.__private_attributes__)
        extra = (EXTRA,) if config.get("extra") == "allow" else ()
        self.names = (*self.fields, *self.privates, *extra, FIELDS_SET)
        self.index = {name: position for position, name in enumerate(self.names)}
        self.field_index = {name: position for position, name in enumerate(self.fields)}
        checked = config.get("validate_assignment") or config.get("frozen")
        frozen = {name for name, field in cls.model_fields.items() if field.frozen}
        self.plain = frozenset() if checked else self.field_set - frozen - _described(cls)
        self.cached = tuple(
            name
            for base in cls.__mro__
            for name, value in vars(base).items()
            if isinstance(value, cached_property)
        )
        self.private_set = frozenset(self.privates)
        self.has_extra = bool(extra)
        self.is_simple = not (self.privates or extra)
        self.sets: dict[frozenset[str], frozenset[str]] = {}

    def shared_set(self, names: set[str]) -> frozenset[str]:
        """Return one frozen copy of *names* for all entities of the class.

        Most have set the same fields.
        """
        frozen = frozenset(names)
        return self.sets.setdefault(frozen, frozen)


def _described(cls: type[BaseModel]) -> set[str]:
    """Fields behind a property or another descriptor: pydantic has its own way to set them."""
    return {name for name in cls.model_fields if isinstance(getattr(cls, name, None), property)}


def schema_of(cls: type[Any]) -> Schema:
    """Return the plan of an entity class.

    Compiled on first use, when forward references are resolved.
    """
    schema: Schema | None = cls.__dict__.get("__treerunner_schema__")
    if schema is None:
        if not cls.__pydantic_complete__:
            cls.model_rebuild()
        schema = Schema(cls)
        cls.__treerunner_schema__ = schema
    return schema
