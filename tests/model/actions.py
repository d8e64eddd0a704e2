"""What a random function does: one action is plain data, performed on a plain tree or a live one.

`perform` uses nothing but ordinary Python on ordinary objects.
"""

# The operator module's in-place functions have no hints in typeshed.
# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.model.survey import Path, resolve
from tests.model.values import Box, Label, Point

Action = tuple[Any, ...]


class HalfWayError(Exception):
    """What a random function raises."""


@dataclasses.dataclass
class Scene:
    """What one run of a random function has at hand."""

    root: Any
    classes: dict[str, Any]
    leaks: list[Any] = dataclasses.field(default_factory=list)
    taken: list[Any] = dataclasses.field(default_factory=list)
    built: list[Any] = dataclasses.field(default_factory=list)
    cast: list[Any] = dataclasses.field(default_factory=list)


def run(scene: Scene, actions: list[Action]) -> Any:
    """Perform *actions* in order; return what the last "return" says, else None."""
    result = None
    for action in actions:
        if action[0] == "return":
            result = returned(scene, action[1])
        else:
            perform(scene, action)
    return result


def returned(scene: Scene, what: Any) -> Any:
    """Build the result: an entity by path, a taken or built one, a plain value, a tuple."""
    kind, *rest = what
    if kind == "path":
        return resolve(scene.root, rest[0])
    if kind == "taken":
        return scene.taken[-1]
    if kind == "built":
        return scene.built[-1]
    if kind == "tuple":
        return tuple(returned(scene, part) for part in rest[0])
    return rest[0]


def build(scene: Scene, spec: Any) -> Any:
    """Make a value from its description; ("there", path) is what is already in the tree."""
    if not isinstance(spec, tuple) or not spec or not isinstance(spec[0], Marker):
        return spec
    marker, *rest = spec
    return BUILDERS[marker.name](scene, *rest)


@dataclasses.dataclass(frozen=True)
class Marker:
    """Tells a description from an ordinary tuple."""

    name: str


ENTITY, LIST, DICT, SET, TUPLE, FROZEN, POINT, LABEL, BOX, ARRAY, THERE = (
    Marker(name)
    for name in (
        "entity", "list", "dict", "set", "tuple", "frozen", "point", "label", "box", "array",
        "there",
    )
)  # fmt: skip

BUILDERS: dict[str, Callable[..., Any]] = {
    "entity": lambda s, cls, tag, fields: s.classes[cls](
        tag=tag,
        **{name: build(s, value) for name, value in fields},
    ),
    "list": lambda s, *items: [build(s, item) for item in items],
    "dict": lambda s, *items: {key: build(s, value) for key, value in items},
    "set": lambda s, *items: {build(s, item) for item in items},
    "tuple": lambda s, *items: tuple(build(s, item) for item in items),
    "frozen": lambda s, *items: frozenset(build(s, item) for item in items),
    "point": lambda s, x, *trail: Point(x=x, y=0, trail=list(trail)),
    "label": lambda s, text, *items: Label(text=text, items=list(items)),
    "box": lambda s, content: Box(build(s, content)),
    "array": lambda s, *numbers: np.array(numbers, dtype=np.int64),
    "there": lambda s, path: resolve(s.root, path),
}


def perform(scene: Scene, action: Action) -> None:
    """Do one action to the tree."""
    name, *arguments = action
    PERFORMERS[name](scene, *arguments)


# --- entities between places -----------------------------------------------------------------


def detach(scene: Scene, entity: Any, slot: Any, how: int) -> None:
    """Take *entity* out of its slot, in one of the ways that Python has for it."""
    holder = resolve(scene.root, slot.holder)
    DETACHERS[slot.kind](holder, slot, entity, how)


def _detach_attr(holder: Any, slot: Any, entity: Any, how: int) -> None:
    setattr(holder, slot.key, None)


def _detach_list(holder: Any, slot: Any, entity: Any, how: int) -> None:
    index = next(i for i, item in enumerate(holder) if item is entity)
    if how == 0:
        holder.remove(entity)
    elif how == 1:
        del holder[index]
    elif how == 2:
        assert holder.pop(index) is entity
    elif how == 3:
        holder[index : index + 1] = []
    elif how == 4:
        holder[:] = [item for item in holder if item is not entity]
    else:
        del holder[index::1000]


def _detach_dict(holder: Any, slot: Any, entity: Any, how: int) -> None:
    if how == 0:
        del holder[slot.key]
    elif how == 1 and next(reversed(holder)) == slot.key:
        assert holder.popitem()[1] is entity
    else:
        assert holder.pop(slot.key) is entity


def _detach_set(holder: Any, slot: Any, entity: Any, how: int) -> None:
    if how == 0:
        holder.remove(entity)
    elif how == 1:
        holder.discard(entity)
    elif how == 2:
        holder -= {entity}
    elif how == 3:
        holder ^= {entity}
    else:
        holder.intersection_update([m for m in holder if m is not entity])


DETACHERS: dict[str, Callable[..., None]] = {
    "attr": _detach_attr,
    "list": _detach_list,
    "dict": _detach_dict,
    "set": _detach_set,
}


def _detach_by_assignment(scene: Scene, entity: Any, slot: Any) -> None:
    """Rebuild a whole field without *entity*, as a comprehension does."""
    owner = resolve(scene.root, slot.holder[:-1])
    field = slot.holder[-1][1]
    holder = getattr(owner, field)
    if slot.kind == "dict":
        setattr(owner, field, {k: v for k, v in holder.items() if v is not entity})
        return
    kept = [item for item in holder if item is not entity]
    kinds: dict[str, Any] = {
        "list": list, "tuple": tuple, "set": set, "frozenset": frozenset,
    }  # fmt: skip
    setattr(owner, field, kinds[slot.kind](kept))


def place(scene: Scene, where: Action) -> Callable[[Any], None]:
    """Find the place first, since taking the entity out may shift the path to it."""
    kind, path, key, how = where
    target = resolve(scene.root, path)
    return lambda entity: PLACERS[kind](target, entity, key, how)


def _place_list(target: Any, entity: Any, index: int, how: int) -> None:
    if how == 0:
        target.append(entity)
    elif how == 1:
        target.insert(index, entity)
    elif how == 2:
        target += [entity]
    elif how == 3:
        target.extend(item for item in [entity])
    elif how == 4:
        target[index:index] = [entity]
    elif how == 5 and index < len(target):
        target[index] = entity
    else:
        target[len(target) :: 1] = (entity,)


def _place_dict(target: Any, entity: Any, key: str, how: int) -> None:
    if how == 0:
        target[key] = entity
    elif how == 1:
        target.update({key: entity})
    elif how == 2:
        target |= {key: entity}
    elif how == 3:
        target.update([(key, entity)])
    else:
        target.setdefault(key, entity)


def _place_set(target: Any, entity: Any, key: str, how: int) -> None:
    if how == 0:
        target.add(entity)
    elif how == 1:
        target.update([entity])
    elif how == 2:
        target |= {entity}
    else:
        target ^= {entity}


def _place_any(target: Any, entity: Any, key: str, how: int) -> None:
    target.anything = (
        entity,
        [entity, 1],
        {"k": [entity], "n": 3},
        (entity, 2),
        {"deep": {"er": [[entity]]}, "p": Point(x=1)},
        frozenset({entity}),
        [{"x": ([entity],)}],
    )[how % 7]


def _place_late(target: Any, entity: Any, key: str, how: int) -> None:
    """Fill a container after it has been put into the tree."""
    if how == 0:
        row: list[Any] = []
        target.grid.append(row)
        row.append(entity)
    elif how == 1:
        target.shelves[key] = []
        target.shelves[key].append(entity)
    elif how == 2:
        cells: dict[str, Any] = {}
        target.rows += [cells]
        cells[key] = entity
    elif how == 3:
        target.shelves.setdefault(key, []).append(entity)
    else:
        fresh: list[Any] = list(target.kids)
        target.kids = fresh
        # What this does depends on the class: a validated assignment has copied the list.
        if target.kids is fresh:
            fresh.append(entity)
        else:
            target.kids.append(entity)


PLACERS: dict[str, Callable[..., None]] = {
    "attr": lambda t, e, key, how: setattr(t, key, e),
    "list": _place_list,
    "dict": _place_dict,
    "set": _place_set,
    "any": _place_any,
    "late": _place_late,
    "tuple": lambda t, e, key, how: setattr(t, key, (*getattr(t, key), e)),
    "frozenset": lambda t, e, key, how: setattr(t, key, getattr(t, key) | {e}),
    "augmented": lambda t, e, key, how: setattr(t, key, operator.iadd(getattr(t, key), [e])),
}


def _move(scene: Scene, slot: Any, how: int, where: Action, by_assignment: bool) -> None:
    entity = resolve(scene.root, slot.path)
    put = place(scene, where)
    if by_assignment:
        _detach_by_assignment(scene, entity, slot)
    else:
        detach(scene, entity, slot, how)
    put(entity)


def _remove(scene: Scene, slot: Any, how: int, by_assignment: bool) -> None:
    entity = resolve(scene.root, slot.path)
    scene.taken.append(entity)
    if by_assignment:
        _detach_by_assignment(scene, entity, slot)
    else:
        detach(scene, entity, slot, how)


def _reinsert(scene: Scene, where: Action) -> None:
    if scene.taken:
        place(scene, where)(scene.taken.pop())


def _alias(scene: Scene, path: Path, where: Action) -> None:
    entity = resolve(scene.root, path)
    place(scene, where)(entity)


def _create(scene: Scene, spec: Any, where: Action) -> None:
    entity = build(scene, spec)
    scene.built.append(entity)
    place(scene, where)(entity)


def _build_only(scene: Scene, spec: Any) -> None:
    scene.built.append(build(scene, spec))


def _wrap(scene: Scene, slot: Any, cls: str, tag: int, field: str) -> None:
    """Put a new entity where *slot* is, holding what was there."""
    inner = resolve(scene.root, slot.path)
    holder = resolve(scene.root, slot.holder)
    content = inner if field == "child" else [inner]
    if field == "later":
        outer = scene.classes[cls](tag=tag)
    else:
        outer = scene.classes[cls](tag=tag, **{field: content})
    if slot.kind == "attr":
        setattr(holder, slot.key, outer)
    elif slot.kind == "list":
        holder[next(i for i, item in enumerate(holder) if item is inner)] = outer
    elif slot.kind == "dict":
        holder[slot.key] = outer
    else:
        holder.remove(inner)
        holder.add(outer)
    if field == "later":
        outer.kids.append(inner)


def _swap_entities(scene: Scene, first: Any, second: Any) -> None:
    one, two = resolve(scene.root, first.holder), resolve(scene.root, second.holder)
    if first.kind == "attr":
        a, b = getattr(one, first.key), getattr(two, second.key)
        setattr(one, first.key, b)
        setattr(two, second.key, a)
    else:
        one[first.key], two[second.key] = two[second.key], one[first.key]


def _swap_fields(scene: Scene, one: Path, two: Path, field: str) -> None:
    a, b = resolve(scene.root, one), resolve(scene.root, two)
    kept = getattr(a, field)
    setattr(a, field, getattr(b, field))
    setattr(b, field, kept)


def _hand_over(scene: Scene, one: Path, two: Path, field: str, empty: Any) -> None:
    a, b = resolve(scene.root, one), resolve(scene.root, two)
    kept = getattr(a, field)
    setattr(a, field, build(scene, empty))
    setattr(b, field, kept)


def _share(scene: Scene, one: Path, two: Path, field: str) -> None:
    """Put one list object under two fields; only a validated assignment copies it."""
    setattr(resolve(scene.root, two), field, getattr(resolve(scene.root, one), field))


def _shape(scene: Scene, path: Path, how: str, index: int) -> None:
    """Reorder or shorten a list of entities."""
    items = resolve(scene.root, path)
    if how == "sort":
        items.sort(key=lambda e: -e.tag)
    elif how == "sort_back":
        items.sort(key=lambda e: e.tag)
    elif how == "reverse":
        items.reverse()
    elif how == "rotate":
        items[:] = items[1:] + items[:1]
    elif how == "swap_ends":
        items[0], items[-1] = items[-1], items[0]
    elif how == "stride":
        items[::2] = list(reversed(items[::2]))
    elif how == "delete_stride":
        del items[index::2]
    elif how == "cut":
        del items[index:]
    elif how == "clear":
        items.clear()
    elif how == "zero_times":
        items *= 0
    elif how == "once":
        items *= 1
    elif how == "self":
        items[:] = items
    elif how == "negative":
        items[-1:-3:-1] = items[-2:]
    elif how == "fail_sort":
        _caught(lambda: items.sort(key=lambda e: 1 / 0))
    elif how == "fail_remove":
        _caught(lambda: items.remove(object()))
    elif how == "pop_push":
        items.append(items.pop(0))


SHAPES = (
    "sort", "sort_back", "reverse", "rotate", "swap_ends", "stride", "delete_stride", "cut",
    "clear", "zero_times", "once", "self", "negative", "fail_sort", "fail_remove", "pop_push",
)  # fmt: skip


def _caught(function: Callable[[], Any]) -> None:
    try:
        function()
    except (ValueError, KeyError, IndexError, TypeError, ZeroDivisionError):
        return


def _failing(items: list[Any]) -> Iterator[Any]:
    yield from items
    raise ValueError("half way")


# --- atoms -----------------------------------------------------------------------------------

LIST_OPERATIONS: dict[str, Callable[[Any, int, int], Any]] = {
    "append": lambda o, i, v: o.append(v),
    "insert": lambda o, i, v: o.insert(i, v),
    "extend": lambda o, i, v: o.extend([v, v + 1]),
    "iadd": lambda o, i, v: operator.iadd(o, [v]),
    "imul": lambda o, i, v: operator.imul(o, v % 3),
    "pop": lambda o, i, v: o.pop(i),
    "pop_last": lambda o, i, v: o.pop(),
    "remove": lambda o, i, v: o.remove(o[i]),
    "delete": lambda o, i, v: operator.delitem(o, i),
    "delete_slice": lambda o, i, v: operator.delitem(o, slice(i, i + 2)),
    "delete_stride": lambda o, i, v: operator.delitem(o, slice(i, None, 2)),
    "set": lambda o, i, v: operator.setitem(o, i, v),
    "set_slice": lambda o, i, v: operator.setitem(o, slice(i, i + 2), [v, v, v]),
    "set_stride": lambda o, i, v: operator.setitem(o, slice(None, None, 2), [v] * len(o[::2])),
    "set_generator": lambda o, i, v: operator.setitem(o, slice(i, i), (n for n in (v, v))),
    "reverse": lambda o, i, v: o.reverse(),
    "sort": lambda o, i, v: o.sort(),
    "sort_key": lambda o, i, v: o.sort(key=lambda n: n % 3, reverse=True),
    "clear": lambda o, i, v: o.clear(),
    "self_slice": lambda o, i, v: operator.setitem(o, slice(i, i), o),
    "self_extend": lambda o, i, v: o.extend(o),
    "self_iadd": lambda o, i, v: operator.iadd(o, o),
    "fail_extend": lambda o, i, v: o.extend(_failing([v, v])),
    "fail_stride": lambda o, i, v: operator.setitem(o, slice(None, None, 2), []),
    "fail_sort": lambda o, i, v: o.sort(key=lambda n: 1 // 0),
    "same": lambda o, i, v: operator.setitem(o, i, o[i]),
    "undo": lambda o, i, v: (o.append(v), o.pop()),
    "retype": lambda o, i, v: operator.setitem(o, i, bool(o[i])),
}

DICT_OPERATIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "set": lambda o, k, v: operator.setitem(o, k, v),
    "delete": lambda o, k, v: operator.delitem(o, k),
    "pop": lambda o, k, v: o.pop(k, None),
    "popitem": lambda o, k, v: o.popitem(),
    "update": lambda o, k, v: o.update({k: v, "u": v}),
    "update_pairs": lambda o, k, v: o.update([(k, v)], w=v),
    "update_self": lambda o, k, v: o.update(o),
    "ior": lambda o, k, v: operator.ior(o, {k: v}),
    "ior_pairs": lambda o, k, v: operator.ior(o, [(k, v), ("p", v)]),
    "setdefault": lambda o, k, v: o.setdefault(k, v),
    "clear": lambda o, k, v: o.clear(),
    "to_end": lambda o, k, v: operator.setitem(o, k, o.pop(k)),
    "fail_update": lambda o, k, v: o.update(_failing([(k, v), ("f", v)])),
    "same": lambda o, k, v: operator.setitem(o, k, o[k]),
    "undo": lambda o, k, v: (operator.setitem(o, "undo", v), o.popitem()),
}

SET_OPERATIONS: dict[str, Callable[[Any, int], Any]] = {
    "add": lambda o, v: o.add(v),
    "discard": lambda o, v: o.discard(v),
    "remove": lambda o, v: o.remove(v),
    "update": lambda o, v: o.update([v], {v + 1}),
    "ior": lambda o, v: operator.ior(o, {v, v + 2}),
    "iand": lambda o, v: operator.iand(o, {v, v + 1, v + 2}),
    "isub": lambda o, v: operator.isub(o, {v}),
    "ixor": lambda o, v: operator.ixor(o, {v, v + 1}),
    "intersection_update": lambda o, v: o.intersection_update(range(v), range(9)),
    "difference_update": lambda o, v: o.difference_update([v], [v + 1]),
    "symmetric_difference_update": lambda o, v: o.symmetric_difference_update([v]),
    "clear": lambda o, v: o.clear(),
    "self_ixor": lambda o, v: operator.ixor(o, o),
    "pop_only": lambda o, v: o.pop() if len(o) == 1 else None,
    "fail_update": lambda o, v: o.update(_failing([v, v + 1])),
    "undo": lambda o, v: (o.add(-1), o.remove(-1)),
}


def _containers(scene: Scene, path: Path, table: dict[str, Any], how: str, *args: Any) -> None:
    target = resolve(scene.root, path)
    _caught(lambda: table[how](target, *args))


# --- opaque values, extras, private attributes -------------------------------------------------


def _opaque(scene: Scene, path: Path, how: int, number: int) -> None:
    value = resolve(scene.root, path)
    if isinstance(value, Point):
        if how == 0:
            value.x = number
        elif how == 1:
            value.trail.append(number)
        elif how == 2:
            value.trail = [number]
        else:
            value.y = value.y
    elif isinstance(value, Label):
        if how == 0:
            value.text = str(number)
        elif how == 1:
            value.items.append(number)
        elif how == 2:
            value.items = [number]
        else:
            value.items.append(1)
            value.items.pop()
    elif isinstance(value, np.ndarray):
        if how == 0:
            value[0] = number
        elif how == 1:
            value += 1
        elif how == 2:
            value[:] = value[::-1].copy()
        else:
            value.sum()
    elif how == 0:
        value.content = number
    elif how == 1:
        value.content = [value.content]
    elif how == 2 and isinstance(value.content, list):
        value.content.append(number)


def _assign(scene: Scene, path: Path, field: str, spec: Any) -> None:
    setattr(resolve(scene.root, path), field, build(scene, spec))


def _delete(scene: Scene, path: Path, field: str) -> None:
    entity = resolve(scene.root, path)
    if field in (entity.model_extra or {}):
        delattr(entity, field)


def _private(scene: Scene, path: Path, how: int, number: int) -> None:
    entity = resolve(scene.root, path)
    if how == 0:
        entity._count = number
    elif how == 1:
        entity._log.append(number)
    elif how == 2:
        entity._log = [number]
    else:
        entity._count += 1


def _late_list(scene: Scene, path: Path, number: int) -> None:
    """Go on writing to a plain list after it was assigned."""
    entity = resolve(scene.root, path)
    mine: list[int] = [number]
    entity.numbers = mine
    if entity.numbers is mine:
        mine.append(number + 1)


def _any_item(scene: Scene, path: Path, how: int, spec: Any) -> None:
    target = resolve(scene.root, path)
    if isinstance(target, list):
        if how == 0:
            target.append(build(scene, spec))
        elif how == 1 and target:
            target.pop()
        elif how == 2 and target:
            target[0] = build(scene, spec)
        else:
            target.reverse()
    elif isinstance(target, dict):
        if how == 0:
            target["new"] = build(scene, spec)
        elif how == 1 and target:
            target.popitem()
        else:
            target.setdefault("late", []).append(build(scene, spec))
    elif how == 0:
        target.add(how)
    elif how == 1:
        target.clear()


def _raise(scene: Scene, text: str) -> None:
    raise HalfWayError(text)


PERFORMERS: dict[str, Callable[..., None]] = {
    "move": _move,
    "remove": _remove,
    "reinsert": _reinsert,
    "alias": _alias,
    "create": _create,
    "build": _build_only,
    "wrap": _wrap,
    "swap_entities": _swap_entities,
    "swap_fields": _swap_fields,
    "hand_over": _hand_over,
    "share": _share,
    "shape": _shape,
    "list": lambda s, path, how, i, v: _containers(s, path, LIST_OPERATIONS, how, i, v),
    "dict": lambda s, path, how, k, v: _containers(s, path, DICT_OPERATIONS, how, k, v),
    "set": lambda s, path, how, v: _containers(s, path, SET_OPERATIONS, how, v),
    "opaque": _opaque,
    "assign": _assign,
    "delete": _delete,
    "private": _private,
    "late_list": _late_list,
    "any_item": _any_item,
    "leak": lambda s, path: s.leaks.append(resolve(s.root, path)),
    "raise": _raise,
}
