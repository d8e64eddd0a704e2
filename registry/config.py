"""Config: an entity that a callable takes as a parameter, and what its content is.

A config is a value: who needs one names it or gives its fields, it is stored once per content (see
`config_store.py`), and every callable gets a copy of its own, so no execution waits for another
because of it.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Hashable
from typing import Any

from registry.entity import Entity, dict_of, parts
from registry.schema import schema_of
from registry.values import ATOM, DICT, ENTITY, EXACT, FROZENSET, KIND, LIST, OPAQUE, SET, TUPLE

_ORDERED = frozenset({LIST, TUPLE})
_UNORDERED = frozenset({SET, FROZENSET})


class ConfigEntity(Entity):
    """An entity that holds settings; subclass it, and use the subclass as the hint of a parameter.

    `execute` takes it as an object, as a ref or address of a stored one, as its fields by keyword,
    or not at all if all its fields have defaults.
    """


def content_of(config: Entity) -> Hashable:
    """Return what is equal for two configs exactly if class and values are the same.

    Identity and which fields were set do not count, the order of lists and dicts does. Values of
    classes that we know nothing about are the same if they pickle the same; what cannot be pickled
    is like nothing else.

    Cost: proportional to the config, about 1 us for a few atoms.
    """
    cls = type(config)
    schema = schema_of(cls)
    if schema.is_simple:
        try:  # not whether it has a home: asking an orphan takes as long as all of this
            values = tuple(map(dict_of(config).__getitem__, schema.fields))
        except KeyError:  # not loaded, or deleted
            fields = config.__dict__
            values = tuple([fields.get(name) for name in schema.fields])
        kinds = tuple(map(type, values))
        if EXACT.issuperset(kinds):
            return cls, kinds, values
    return cls, tuple([(name, _content(value)) for name, value in parts(config, schema)])


def _content(value: Any) -> Hashable:
    kind = KIND[type(value)]
    if kind == ATOM:
        return _content_of_atom(value)
    if kind == ENTITY:
        return content_of(value)
    if kind in _ORDERED:
        return kind, tuple(map(_content, value))
    if kind in _UNORDERED:
        return kind, frozenset(map(_content, value))
    if kind == DICT:
        return kind, tuple([(_content(key), _content(item)) for key, item in value.items()])
    return _content_of_opaque(value)


def _content_of_atom(value: Any) -> Hashable:
    cls = type(value)
    if cls in EXACT:
        return cls, value
    # The text tells 0.0 from -0.0 and Decimal("1.0") from Decimal("1.00"), and makes NaN itself.
    if cls is float:
        return cls, repr(value)
    try:
        hash(value)
    except TypeError:  # a slice
        return cls, repr(value)
    return cls, value, repr(value)


def _content_of_opaque(value: Any) -> Hashable:
    try:
        # A copy: what is one object in two places of the original is pickled as such.
        return OPAQUE, type(value), pickle.dumps(copy.deepcopy(value), 5)
    except Exception:  # noqa: BLE001 - lambdas, locks and local classes raise three kinds of errors
        return OPAQUE, type(value), object()
