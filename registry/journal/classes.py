"""Classes of entities in stored data: named, and found among what is loaded."""

from __future__ import annotations

from typing import Any

from registry.entity import Entity
from registry.errors import UnknownClassError
from registry.journal.names import get_named
from registry.outputs import OutputEntity, output_class

_OUTPUT = "output of "
"""What the name of a class begins with that is made for a callable."""


def class_name(cls: type[Any]) -> str:
    """Return what an entity class is called in stored data: module and qualified name."""
    if issubclass(cls, OutputEntity) and cls.callable_name:
        return _OUTPUT + cls.callable_name
    return f"{cls.__module__}:{cls.__qualname__}"


def find_class(name: str) -> type[Entity]:
    """Return the entity class that has a name.

    Raises:
        UnknownClassError: None that is loaded has it.
    """
    if name.startswith(_OUTPUT):
        return output_class(name.removeprefix(_OUTPUT))
    found = get_named(name)
    if not (isinstance(found, type) and issubclass(found, Entity)):
        raise UnknownClassError(
            name, "what has that name is no entity class: give it back its name"
        )
    return found
