"""What `treerunner show`, `history`, `why` and `diff` tell, as objects of JSON for other programs.

One object a line; ids and places are whole. What JSON has no form for is written as its text, so
that any value can be told. A field with `repr=False` is told only if it is asked for itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic_core import to_jsonable_python

from registry import Diff, Entity, Ref, VersionInfo, Why
from registry.provenance import Borrowed, Step
from registry.values import shown
from runner.views import LONGEST_VALUE, Places, entities_in, fields_of

_MAX_NUMBER_BITS = 10_000
"""Above this a number is told as its text: Python refuses to write the largest ones."""

Object = dict[str, Any]


def json_line(told: Mapping[str, Any]) -> str:
    """Return an object as one line of JSON."""
    return json.dumps(_plain(told), allow_nan=False)


def entity_objects(entity: Entity, limit: int) -> Iterator[Object]:
    """Yield an entity and what is below it, parents first.

    Those over the limit come without their fields, and what is below them not at all.

    Cost: loads the entities that are told with their fields.
    """
    queue = [("", entity)]
    for number, (place, each) in enumerate(queue):
        told: Object = {"place": place, "type": type(each).__name__, "id": each.ecs_id}
        if number < limit:
            told["fields"] = {}
            for name, value in fields_of(each):
                children = list(entities_in(f"{place}.{name}" if place else name, value))
                queue.extend(children)
                if not children:
                    told["fields"][name] = value
        yield told


def value_objects(target: str, value: Any) -> Iterator[Object]:
    """Yield a value that was asked for itself."""
    yield {"place": target, "value": value}


def history_objects(rows: Iterable[VersionInfo], *, with_values: bool) -> Iterator[Object]:
    """Yield the rows of a history, oldest first."""
    for row in rows:
        told = row._asdict()
        yield told if with_values else {k: each for k, each in told.items() if k != "value"}


def why_objects(why: Why) -> Iterator[Object]:
    """Yield the steps that made something what it is, newest first, then what it is a copy of."""
    yield from map(_step, why.steps)
    if why.original is not None:
        yield {"copied_from": _borrowed(why.original)}
    if not why.is_complete:
        yield {"is_complete": False}


def _step(step: Step) -> Object:
    told: Object = {
        "address": step.address,
        "version": step.version,
        "committed_at": step.committed_at,
        "callable": step.callable,
        "execution_id": step.execution_id,
        "old": step.old,
        "new": step.new,
        "is_there": step.is_there,
        "changes": [
            {"field": each.field, "old": each.old, "new": each.new} for each in step.changes
        ],
        "inputs": dict(step.inputs),
        "arguments": dict(step.arguments),
        "borrowed": list(map(_borrowed, step.borrowed)),
    }
    return told


def _borrowed(borrowed: Borrowed) -> Object:
    told: Object = {"parameter": borrowed.parameter, "address": borrowed.address}
    if borrowed.problem:
        told["problem"] = borrowed.problem
    if borrowed.why is not None:
        told["why"] = list(why_objects(borrowed.why))
    return told


def diff_objects(diff: Diff) -> Iterator[Object]:
    """Yield what differs: entities that came, went and moved, then fields."""
    places = Places(diff)
    for ref in diff.added:
        yield {"kind": "added", "id": ref, "place": places.after(ref)}
    for ref in diff.removed:
        yield {"kind": "removed", "id": ref, "place": places.before(ref)}
    for move in diff.moved:
        old = places.before(move.ref)
        yield {"kind": "moved", "id": move.ref, "place": places.after(move.ref), "old_place": old}
    for change in diff.changed:
        where = {"id": change.ref, "place": places.after(change.ref), "field": change.field}
        values = {"old": change.old, "new": change.new} if places.shows(change) else {}
        yield {"kind": "changed", **where, **values}


def _plain(value: Any) -> Any:
    """Return a value in the terms of JSON."""
    if value is None or type(value) is bool:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if type(value) is int and value.bit_length() <= _MAX_NUMBER_BITS:
        return value
    if type(value) is float and math.isfinite(value):
        return value
    if isinstance(value, Ref):
        return str(value.lineage_id)
    if isinstance(value, Mapping):
        return {_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return list(map(_plain, value))
    return _other(value)


def _key(key: Any) -> str:
    return str.__str__(key) if isinstance(key, str) else shown(key)


def _other(value: Any) -> Any:
    """Return what pydantic makes of a value, its text if that is nothing that JSON has."""
    try:
        made = to_jsonable_python(
            value, fallback=_text, inf_nan_mode="strings", bytes_mode="base64"
        )
    except Exception:  # noqa: BLE001 - whatever a method of the user's raises
        return _text(value)
    return _text(value) if type(made) is type(value) else _plain(made)


def _text(value: Any) -> str:
    return shown(value, LONGEST_VALUE)
