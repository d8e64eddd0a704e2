"""Reads a tree, plain or snapshot, into a form that two trees share exactly when they are equal.

Only the public surface of the objects is used: attributes, iteration, `model_extra`.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
from pydantic import BaseModel

from tests.model import plain_trees
from tests.model.values import Box

PRIVATE = {"Secret": ("_count", "_log")}


@dataclasses.dataclass
class Reading:
    """What was read from one tree: its form, the form below each entity, and their identities."""

    form: Any
    forms: dict[int, Any]
    entities: dict[int, Any]


def read(root: Any) -> Reading:
    """Read the tree below *root* completely."""
    forms: dict[int, Any] = {}
    entities: dict[int, Any] = {}
    form = _entity_form(root, forms, entities)
    return Reading(form, forms, entities)


def is_entity(value: Any) -> bool:
    """Tell an entity, plain or not, from the opaque models of this package."""
    return isinstance(value, BaseModel) and "tag" in type(value).model_fields


def _entity_form(entity: Any, forms: dict[int, Any], entities: dict[int, Any]) -> Any:
    tag = entity.tag
    assert tag not in forms, f"entity {tag} appears twice in one tree"
    entities[tag] = entity
    forms[tag] = None
    fields = tuple(
        (name, _form(getattr(entity, name), forms, entities)) for name in type(entity).model_fields
    )
    extra = entity.model_extra or {}
    more = tuple((name, _form(value, forms, entities)) for name, value in extra.items())
    private = tuple(
        (name, _form(getattr(entity, name), forms, entities))
        for name in PRIVATE.get(type(entity).__name__, ())
    )
    forms[tag] = (type(entity).__name__, fields, more, private)
    return forms[tag]


def _form(value: Any, forms: dict[int, Any], entities: dict[int, Any]) -> Any:
    if is_entity(value):
        return _entity_form(value, forms, entities)
    if isinstance(value, list):
        return ("list", *(_form(item, forms, entities) for item in value))
    if type(value) is tuple:
        return ("tuple", *(_form(item, forms, entities) for item in value))
    if isinstance(value, dict):
        return (
            "dict",
            *((_form(k, forms, entities), _form(v, forms, entities)) for k, v in value.items()),
        )
    if isinstance(value, set | frozenset):
        kind = "frozenset" if isinstance(value, frozenset) else "set"
        return (kind, *sorted((_form(item, forms, entities) for item in value), key=repr))
    if isinstance(value, np.ndarray):
        return ("array", str(value.dtype), value.shape, tuple(value.ravel().tolist()))
    if isinstance(value, Box):
        return ("Box", _form(value.content, forms, entities))
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return (type(value).__name__, *(_form(getattr(value, n), forms, entities) for n in names))
    if isinstance(value, BaseModel):
        return (
            type(value).__name__,
            tuple(sorted(value.model_fields_set)),
            *((n, _form(getattr(value, n), forms, entities)) for n in type(value).model_fields),
        )
    # The type is part of an atom's form, because 1, True and 1.0 are three values here.
    return (type(value).__name__, repr(value))


def to_plain(value: Any) -> Any:
    """Return a tree of entities as plain objects that share nothing with it."""
    if is_entity(value):
        cls = plain_trees.CLASSES[type(value).__name__]
        plain = cls(tag=value.tag)
        for name in type(value).model_fields:
            vars(plain)[name] = to_plain(getattr(value, name))
        for name, item in (value.model_extra or {}).items():
            plain.__pydantic_extra__[name] = to_plain(item)  # type: ignore[index]  # it allows some
        for name in PRIVATE.get(type(value).__name__, ()):
            setattr(plain, name, to_plain(getattr(value, name)))
        return plain
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    for kind in (list, set, frozenset):
        if isinstance(value, kind):
            return kind(map(to_plain, value))
    if type(value) is tuple:
        return tuple(map(to_plain, value))
    return copy.deepcopy(value)
