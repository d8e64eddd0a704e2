"""Assignment: the callable behind `put`, which writes one value at the end of a path.

What is in a list, tuple or dict is written by assigning the whole field anew, so that pydantic
checks all of it; what did not change keeps its identity, and an equal value makes no version.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from registry.address import Address, Path, parse_address
from registry.addressed import field_names, find_key, follow, is_missing
from registry.callables import RegisteredCallable
from registry.entity import Entity, label
from registry.errors import ArgumentError, PathError
from registry.values import shown


def put(entity: Entity, path: str, value: Any) -> Entity:
    """Write a value at a path below an entity.

    Raises:
        PathError: The path leads nowhere, or to where nothing can be written.
        ArgumentError: The value does not fit the field.
    """
    address = parse_address(f"@{entity.lineage_id}{path}")
    if not address.path:
        raise ArgumentError("put", "address", label(entity), "the address of a field or element")
    holder, way, _ = follow(entity, address._replace(path=address.path[:-1]))
    name, *rest = *way, address.path[-1]
    if name not in type(holder).model_fields:
        names = ", ".join(field_names(holder)) or "none"
        where = f"{label(holder)}, whose fields are {names}"
        raise PathError(str(address), len(address.path) - len(rest), f"field {name!r}", where)
    if rest:
        value = _with(getattr(holder, str(name)), tuple(rest), value, address)
    _assign(holder, str(name), value)
    return entity


PUT = RegisteredCallable("put", put)


def _assign(holder: Entity, name: str, value: Any) -> None:
    """Assign a field as pydantic does for classes that validate, for all others after a check."""
    cls = type(holder)
    try:
        if not cls.model_config.get("validate_assignment"):
            value = _adapter(cls, name).validate_python(value)
        setattr(holder, name, value)
    except ValidationError as error:
        reason = error.errors(include_url=False, include_context=False, include_input=False)[0]
        hint = cls.model_fields[name].annotation
        expected = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
        given = f"{shown(value)} for {name!r} of {label(holder)}"
        raise ArgumentError("put", "value", given, f"{expected} ({reason['msg']})") from None


@lru_cache(maxsize=1024)
def _adapter(cls: type[Entity], name: str) -> TypeAdapter[Any]:
    field = cls.model_fields[name]
    hint: Any = field.annotation
    if field.metadata:
        hint = Annotated[hint, *field.metadata]
    try:
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # a model brings its own settings
        return TypeAdapter(hint)


def _with(value: Any, way: Path, new: Any, address: Address) -> Any:
    """Return a container with something else at the end of a path below it."""
    part, *rest = way
    if type(value) is not tuple and not isinstance(value, (list, dict)):
        at = len(address.path) - len(rest)
        kind = type(value).__name__
        raise PathError(str(address), at, f"a place for {part!r}", f"a {kind}; put it as a whole")
    if isinstance(value, dict):
        found = find_key(value, part)
        key = part if is_missing(found) else found
        return {**value, key: _with(value[key], tuple(rest), new, address) if rest else new}
    if not isinstance(part, int) or not -len(value) <= part < len(value):
        at = len(address.path) - len(rest)
        kind = "tuple" if isinstance(value, tuple) else "list"
        raise PathError(str(address), at, f"index {part!r}", f"a {kind} of {len(value)}")
    items = list(value)
    items[part] = _with(items[part], tuple(rest), new, address) if rest else new
    return tuple(items) if isinstance(value, tuple) else items
