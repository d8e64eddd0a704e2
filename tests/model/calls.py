"""What one random execution does: to several entities, in executions inside it, in its result.

A call is plain data. It is written while plain objects go through it (`authors.py`), and then
performed by the engine's functions; what is done to either is ordinary Python.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from tests.model.actions import HalfWayError, Scene, build, detach, place, run
from tests.model.forms import _form, is_entity
from tests.model.survey import Path, resolve

Part = tuple[Any, ...]


@dataclasses.dataclass
class Target:
    """An entity that is given: below which root, where, and in what form."""

    line: Any
    path: Path
    how: str
    given: Any = None


@dataclasses.dataclass(eq=False)
class Call:
    """One execution.

    Attributes:
        name: The callable.
        targets: The entities that it is given.
        parts: What it does, in order.
        result: The description of what it returns.
        fails: Whether it ends with an exception.
        extra: Its other arguments.
        shown: The form of what it returns.
    """

    name: str
    targets: list[Target] = dataclasses.field(default_factory=list)
    parts: list[Part] = dataclasses.field(default_factory=list)
    result: Any = ("plain", None)
    fails: bool = False
    extra: dict[str, Any] = dataclasses.field(default_factory=dict)
    shown: Any = None

    def executions(self) -> int:
        """Return how many executions run, this one included."""
        return len(list(self.each()))

    def each(self) -> Iterator[Call]:
        """Yield this call and those inside it."""
        yield self
        for part in self.parts:
            if part[0] == "inside":
                yield from part[1].each()


def shown(value: Any) -> Any:
    """Return the form of a result; two have the same one exactly when they are equal."""
    for kind in (list, tuple):
        if isinstance(value, kind):
            return (kind.__name__, *(shown(item) for item in value))
    if isinstance(value, dict):
        return ("dict", *((shown(key), shown(item)) for key, item in value.items()))
    return _form(value, {}, {})


def entities_of(value: Any) -> list[Any]:
    """Return the entities of a result, in order."""
    if is_entity(value):
        return [value]
    items = value.values() if isinstance(value, dict) else value
    if not isinstance(value, list | tuple | dict):
        return []
    return [entity for item in items for entity in entities_of(item)]


def steps(
    entities: Sequence[Any], call: Call, classes: dict[str, Any]
) -> Generator[tuple[Call, Sequence[Any]], Any, Any]:
    """Do what a call does; yield each execution inside it, be sent its result."""
    for part in call.parts:
        if part[0] != "inside":
            do(entities, part, classes)
            continue
        _, inner, is_caught = part
        try:
            result = yield inner, entities
        except HalfWayError:
            assert inner.fails, "what plain Python does not raise"
            if not is_caught:
                raise
        else:
            assert not inner.fails, "an exception was lost"
            assert shown(result) == inner.shown, "an execution inside returned something else"
    if call.fails:
        raise HalfWayError(call.name)
    return made(entities, call.result, classes)


def do(entities: Sequence[Any], part: Part, classes: dict[str, Any]) -> None:
    """Do one part to live entities or plain ones."""
    kind, at, *rest = part
    entity = entities[at]
    if kind == "work":
        run(Scene(entity, classes), rest[0])
    elif kind == "carry":
        slot, how, other, where = rest
        moved = resolve(entity, slot.path)
        put = place(Scene(entities[other], classes), where)
        detach(Scene(entity, classes), moved, slot, how)
        put(moved)
    elif kind == "exchange":
        slot, other, second = rest
        one, two = resolve(entity, slot.holder), resolve(entities[other], second.holder)
        one[slot.key], two[second.key] = two[second.key], one[slot.key]
    elif kind == "detach":
        part_of(entity, rest[0]).detach()
    elif kind == "attach":
        slot, other = rest
        part_of(entity, slot).attach(entities[other], "kids")
    elif kind == "borrow":
        path, other, source, field = rest
        borrow(resolve(entity, path), resolve(entities[other], source), field)


def part_of(entity: Any, slot: Any) -> Any:
    """Return what is in a slot below an entity."""
    return resolve(entity, slot.path)


def borrow(entity: Any, source: Any, field: str) -> None:
    """Copy a field of *source*, by what an entity has for it or by hand."""
    if hasattr(entity, "borrow_attribute_from"):
        entity.borrow_attribute_from(source, field, field)
    else:
        setattr(entity, field, _as_hinted(copy.deepcopy(getattr(source, field))))


def _as_hinted(value: Any) -> Any:
    """Return what pydantic makes of a value of a field whose numbers are integers."""
    if isinstance(value, list):
        return [_as_hinted(item) for item in value]
    return int(value) if isinstance(value, bool) else value


def made(entities: Sequence[Any], what: Any, classes: dict[str, Any]) -> Any:
    """Build a result from its description."""
    kind, *rest = what
    if kind == "plain":
        return build(Scene(None, classes), rest[0])
    if kind == "new":
        return build(Scene(None, classes), rest[0])
    if kind == "path":
        return resolve(entities[rest[0]], rest[1])
    if kind == "copy":
        found = resolve(entities[rest[0]], rest[1])
        is_live = hasattr(found, "ecs_id")
        return found.model_copy(deep=True) if is_live else copy.deepcopy(found)
    if kind == "taken":
        at, slot = rest
        found = resolve(entities[at], slot.path)
        detach(Scene(entities[at], classes), found, slot, 0)
        return found
    if kind == "dict":
        return {key: made(entities, item, classes) for key, item in rest[0]}
    parts = [made(entities, item, classes) for item in rest[0]]
    return tuple(parts) if kind == "tuple" else parts
