"""Composing: values with addresses among them, read at once, with where each came from.

An address is read in the version that it means now. What was read is a copy, entities are new ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from registry.address import Address, parse_address
from registry.addressed import Addressed, follow
from registry.assignment import source_for
from registry.entity import Entity, dict_of, note_borrowed
from registry.errors import ArgumentError
from registry.parameters import takes_text
from registry.snapshot import Snapshot
from registry.sources import copied
from registry.trees import Trees
from registry.values import DICT, KIND, LIST, TUPLE


class Read(NamedTuple):
    """A value in which addresses were replaced.

    Attributes:
        value: The value, in the same shape.
        source: Where it came from: an `ecs_id`, or per item and key; None for what was no address.
    """

    value: Any
    source: Any


def compose(cls: type[Entity], mapping: Mapping[str, Any], trees: Trees) -> Entity:
    """Build an orphan from values and addresses.

    Raises:
        ArgumentError: A value does not fit its field, or a name is none of a field.
        AddressError, NotFoundError, PathError: An address names nothing.
    """
    hints = {name: field.annotation for name, field in cls.model_fields.items()}
    for name in mapping:
        if name not in hints and cls.model_config.get("extra") != "allow":
            raise ArgumentError("compose", name, "a value", f"a field: {', '.join(hints)}")
    reads = {
        name: read(value, trees, texts=not takes_text(hints.get(name, Any)))
        for name, value in mapping.items()
    }
    try:
        entity = cls.model_validate({name: each.value for name, each in reads.items()})
    except ValidationError as error:
        reason = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, reason["loc"])) or cls.__name__
        shown = repr(reason["input"])[:60]
        raise ArgumentError("compose", where, shown, f"{cls.__name__}: {reason['msg']}") from None
    fields = dict_of(entity)
    borrowed = {
        name: (each.source, fields[name])
        for name, each in reads.items()
        if each.source is not None and name in fields
    }
    if borrowed:
        note_borrowed(entity, borrowed)
    return entity


def read(value: Any, trees: Trees, *, texts: bool) -> Read:
    """Return a value with what its addresses name in place of these.

    Args:
        value: The value; addresses may be in lists, tuples and dicts.
        trees: Where ids are looked up.
        texts: Whether a text that begins with `@` is an address; an `Address` always is one.
    """
    if isinstance(value, Address) or (texts and isinstance(value, str) and value[:1] == "@"):
        found = locate(value, trees)[1]
        made = copied(found.value)
        return Read(made, source_for(made, found.holder.ecs_id))
    kind = KIND[type(value)]
    if kind == DICT:
        pairs = {key: read(each, trees, texts=texts) for key, each in value.items()}
        sources = {key: each.source for key, each in pairs.items() if each.source is not None}
        return Read({key: each.value for key, each in pairs.items()}, sources or None)
    if kind in (LIST, TUPLE):
        items = [read(each, trees, texts=texts) for each in value]
        values = [each.value for each in items]
        is_borrowed = any(each.source is not None for each in items)
        source = [each.source for each in items] if is_borrowed else None
        return Read(values if kind == LIST else tuple(values), source)
    return Read(value, None)


def pinned(value: Any, trees: Trees) -> Read:
    """Return a value with each `Address` in it as one of the version that it means now."""
    if isinstance(value, Address):
        address, named = locate(value, trees)
        return Read(address, named.holder.ecs_id)
    kind = KIND[type(value)]
    if kind == DICT:
        pairs = {key: pinned(each, trees) for key, each in value.items()}
        sources = {key: each.source for key, each in pairs.items() if each.source is not None}
        return Read({key: each.value for key, each in pairs.items()}, sources or None)
    if kind in (LIST, TUPLE):
        items = [pinned(each, trees) for each in value]
        found = [each.value for each in items]
        source = [each.source for each in items]
        is_borrowed = any(each is not None for each in source)
        return Read(found if kind == LIST else tuple(found), source if is_borrowed else None)
    return Read(value, None)


def locate(address: str | Address, trees: Trees) -> tuple[Address, Addressed]:
    """Return an address of the version that one means now, and what it names there.

    Raises:
        AddressError, NotFoundError, PathError: It names nothing.
    """
    parsed = address if isinstance(address, Address) else parse_address(address)
    place = trees.locate(parsed.entity)
    entity = Snapshot.of(place.tree, place.version).entity(place.key)
    return parsed._replace(id=entity.ecs_id), follow(entity, parsed)
