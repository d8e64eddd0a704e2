"""Finds every entity, container and opaque value of a plain tree, by path.

Actions are chosen on the plain tree and written down as paths, so that the engine's functions
read only what they touch: whether a lazily loaded tree notices a change is part of the test.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import Any

import numpy as np

from tests.model.forms import PRIVATE, is_entity
from tests.model.values import Box, Label, Point

Step = tuple[str, Any]
Path = tuple[Step, ...]

CONTAINER_KINDS = {
    "numbers": "atom_list",
    "table": "atom_dict",
    "marks": "atom_set",
    "kids": "entity_list",
    "named": "entity_dict",
    "group": "entity_set",
    "points": "point_list",
}
NESTED_KINDS = {"matrix": "atom_list", "grid": "entity_list", "shelves": "entity_list"}
OUTER_KINDS = {"matrix": "atom_lists", "grid": "entity_lists", "shelves": "entity_list_dict"}
# Passed over early, since a survey is taken before every action.
ATOMIC = {int, str, float, bool, bytes, type(None)}
EMPTY = {tuple, frozenset}


@dataclasses.dataclass(frozen=True)
class Slot:
    """Where an entity hangs: *key* of the container at *holder*, which is of *kind*."""

    tag: int
    path: Path
    holder: Path
    kind: str
    key: Any


@dataclasses.dataclass
class Survey:
    """What a tree holds; *problem* names what keeps it from being a tree."""

    entities: list[tuple[Path, str]] = dataclasses.field(default_factory=list)
    slots: list[Slot] = dataclasses.field(default_factory=list)
    containers: dict[str, list[Path]] = dataclasses.field(
        default_factory=lambda: defaultdict(list),
    )
    problem: str = ""


def resolve(root: Any, path: Path) -> Any:
    """Return the object at *path*, reading nothing beside it."""
    here = root
    for kind, key in path:
        if kind == "a":
            here = getattr(here, key)
        elif kind == "i":
            here = here[key]
        else:
            here = next(member for member in here if is_entity(member) and member.tag == key)
    return here


def survey(root: Any, beside: Any = None) -> Survey:
    """Walk a plain tree; what is met twice is reported and not entered again.

    Args:
        root: The root of the tree.
        beside: An entity that is in the tree, or must not share anything with it.
    """
    found = Survey()
    walk = _Walk(found)
    walk.entity(root, ())
    if beside is not None and id(beside) not in walk.seen:
        walk.entity(beside, ())
    return found


def everyone(root: Any) -> list[Any]:
    """Return every entity of a plain tree."""
    walk = _Walk(Survey())
    walk.entity(root, ())
    return [item for item in walk.seen.values() if is_entity(item)]


def has_cycle(root: Any, cast: list[Any]) -> bool:
    """Tell whether one of *cast* that is no longer below *root* holds itself.

    An entity that is moved into its own subtree vanishes with it; the engine may call that an
    error instead, since nothing may be lost silently.
    """
    below = {id(entity) for entity in everyone(root)}
    for entity in cast:
        if id(entity) in below:
            continue
        walk = _Walk(Survey())
        walk.watched = id(entity)
        walk.entity(entity, ())
        if walk.met_again:
            return True
    return False


class _Walk:
    def __init__(self, found: Survey) -> None:
        self.found = found
        self.seen: dict[int, Any] = {}
        self.watched = 0
        self.met_again = False

    def entity(self, entity: Any, path: Path) -> None:
        if id(entity) in self.seen:
            self.met_again = self.met_again or id(entity) == self.watched
            self.found.problem = f"entity {entity.tag} is reachable twice"
            return
        self.seen[id(entity)] = entity
        self.found.entities.append((path, type(entity).__name__))
        for name in type(entity).model_fields:
            value = getattr(entity, name)
            if value.__class__ in ATOMIC or (value.__class__ in EMPTY and not value):
                continue
            here = (*path, ("a", name))
            if is_entity(value):
                self.found.slots.append(Slot(value.tag, here, path, "attr", name))
                self.entity(value, here)
            else:
                self.value(value, here, name)
        for name, value in (entity.model_extra or {}).items():
            self.value(value, (*path, ("a", name)), "extra")
        for name in PRIVATE.get(type(entity).__name__, ()):
            self.value(getattr(entity, name), (*path, ("a", name)), "private")

    def value(self, value: Any, path: Path, field: str) -> None:
        """Enter one container; *field* is the field that it is in, or "" below the first."""
        if isinstance(value, list | dict | set):
            if id(value) in self.seen:
                self.found.problem = f"one container is under two fields, at {path}"
                return
            self.seen[id(value)] = value
            self.found.containers[self._kind(value, path, field)].append(path)
        elif isinstance(value, Point | Label | np.ndarray | Box):
            self.found.containers[f"opaque_{type(value).__name__}"].append(path)
            return
        if isinstance(value, list | tuple):
            for index, item in enumerate(value):
                kind = "list" if isinstance(value, list) else "tuple"
                self._item(item, path, kind, index, ("i", index))
        elif isinstance(value, dict):
            for key, item in value.items():
                self._item(item, path, "dict", key, ("i", key))
        elif isinstance(value, set | frozenset):
            kind = "set" if isinstance(value, set) else "frozenset"
            for item in sorted((m for m in value if is_entity(m)), key=lambda m: m.tag):
                self._item(item, path, kind, item.tag, ("m", item.tag))

    def _item(self, item: Any, path: Path, kind: str, key: Any, step: Step) -> None:
        if item.__class__ in ATOMIC:
            return
        here = (*path, step)
        if is_entity(item):
            self.found.slots.append(Slot(item.tag, here, path, kind, key))
            self.entity(item, here)
        else:
            self.value(item, here, "")

    def _kind(self, value: Any, path: Path, field: str) -> str:
        if field in CONTAINER_KINDS:
            return CONTAINER_KINDS[field]
        if field in OUTER_KINDS:
            return OUTER_KINDS[field]
        if field == "rows":
            return "entity_dicts"
        attributes = [i for i, (kind, _) in enumerate(path) if kind == "a"]
        top = path[attributes[-1]][1]
        if len(path) == attributes[-1] + 2 and top in NESTED_KINDS:
            return NESTED_KINDS[top]
        if len(path) == attributes[-1] + 2 and top == "rows":
            return "entity_dict"
        return f"any_{type(value).__name__}"
