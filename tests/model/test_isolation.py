"""A stored version never changes: everything that ever left the registry is kept, and mutated.

Goal: any way from an object that somebody holds back into what is stored. Method: the random
histories of `world.py`; whatever is given to the engine or comes out of it is written to in all
ways that Python has, again and again, also past the methods; and then each version is compared with
the plain deep copy that was taken of it when it was made.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from pydantic import BaseModel

from registry import Workspace
from registry.errors import TreerunnerError
from tests.model.conftest import histories
from tests.model.test_histories import GROWTH, steps
from tests.model.values import Box, Label, Point
from tests.model.world import World

pytestmark = pytest.mark.slow

JUNK = "written by somebody else"


class Collector:
    """A workspace's front door that keeps whatever goes in and comes out."""

    def __init__(self, workspace: Workspace) -> None:
        self.kept: list[Any] = []
        self._workspace = workspace

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._workspace, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self.kept += [*args, *kwargs.values()]
            try:
                result = found(*args, **kwargs)
            except TreerunnerError as error:
                self.kept += [vars(error), *error.args]
                raise
            self.kept.append(result)
            return result

        return call

    def ask_everything(self, ref: Any) -> None:
        """Keep what every question about a tree gives."""
        head = self.head(ref)
        self.snapshot(ref, head)
        tree = self.tree(ref, head)
        self.kept += [*tree, *tree.nodes.values(), *tree.edges, list(tree.ecs_ids)]
        self.kept += self.tree(ref, head, read_only=True)
        for entity in tree:
            for name in type(entity).model_fields:
                with contextlib.suppress(TreerunnerError):
                    self.get(f"@{entity.ecs_id}.{name}")
            self.kept += [entity.old_ids, entity.attribute_source, entity.sibling_output_entities]
        oldest = self.history(ref)[0].version
        with contextlib.suppress(TreerunnerError):
            changes = self.diff(ref, oldest, head)
            self.kept += [each for change in changes.changed for each in (change.old, change.new)]
            self.kept.append(changes.to_json_patch())
        page = self.page(ref)
        self.kept += [page.states, page.classes, page.identity]
        self.executions()
        self.roots()
        self.kept.append(self.callables())


def deface(found: list[Any]) -> None:
    """Write to everything that can be reached from the given objects, in all ways there are."""
    seen: set[int] = set()
    rest, keep = list(found), []
    while rest:
        value = rest.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        keep.append(value)  # so that no other object gets its id
        rest.extend(_inside(value))
    for value in keep:
        for write in _writes(value):
            with contextlib.suppress(Exception):  # refused, or no such thing on this object
                write()


def _inside(value: Any) -> list[Any]:
    """Return what a holder can reach without knowing how the engine is made."""
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    if isinstance(value, BaseModel):
        parts = [value.__pydantic_extra__, value.__pydantic_private__]
        return [*value.__dict__.values(), value.__dict__, value.__pydantic_fields_set__, *parts]
    if isinstance(value, (Point, Label, Box)) or dataclasses.is_dataclass(value):
        return list(vars(value).values()) if hasattr(value, "__dict__") else []
    return []


def _writes(value: Any) -> Iterator[Callable[[], Any]]:
    """Yield everything that can be done to an object, the politest first."""
    if isinstance(value, list):
        yield from _list_writes(value)
    elif isinstance(value, dict):
        yield lambda: value.update({JUNK: JUNK})
        yield lambda: value.pop(next(iter(value)))
        yield lambda: dict.__setitem__(value, JUNK, JUNK)
        yield lambda: dict.clear(value)
    elif isinstance(value, set):
        yield lambda: value.add(JUNK)
        yield value.pop
        yield lambda: set.add(value, JUNK)
        yield lambda: set.clear(value)
    elif isinstance(value, np.ndarray):
        yield lambda: value.fill(99)
        yield lambda: value.setflags(write=True)
        yield lambda: value.__setitem__(0, 98)
    elif isinstance(value, BaseModel):
        yield from _model_writes(value)
    elif isinstance(value, (Point, Box)):
        for name in list(vars(value)):
            yield lambda name=name: setattr(value, name, JUNK)  # type: ignore[misc]  # bound
        yield lambda: vars(value).clear()


def _list_writes(value: list[Any]) -> Iterator[Callable[[], Any]]:
    yield lambda: value.append(JUNK)
    yield lambda: value.insert(0, JUNK)
    yield lambda: value.__setitem__(0, JUNK)
    yield value.reverse
    yield value.pop
    yield lambda: list.append(value, JUNK)
    yield lambda: list.clear(value)


def _model_writes(value: BaseModel) -> Iterator[Callable[[], Any]]:
    names = [*type(value).model_fields, *type(value).__private_attributes__]
    if type(value).model_config.get("extra") == "allow":
        names += ["more", "other", JUNK]
    for name in names:
        yield lambda name=name: setattr(value, name, JUNK)  # type: ignore[misc]  # bound
        yield lambda name=name: object.__setattr__(value, name, JUNK)  # type: ignore[misc]  # bound
        yield lambda name=name: value.__dict__.update({name: JUNK})  # type: ignore[misc]  # bound
    yield lambda: value.__pydantic_fields_set__.clear()
    yield lambda: value.__pydantic_fields_set__.add(JUNK)
    yield lambda: (value.__pydantic_private__ or {}).clear()
    yield lambda: (value.__pydantic_extra__ or {}).clear()
    yield lambda: delattr(value, names[0])
    yield lambda: value.__dict__.clear()


def play(growth: list[int], history: list[tuple[str, int, list[int]]]) -> World:
    """Play a history, keep all that leaves, deface it, and play on; return the world."""
    world = World(growth)
    door: Any = Collector(world.workspace)
    door.kept.append(world.held.pop().snapshot)  # what was added: the caller's own
    world.workspace, mark = door, 0
    for step in history:
        world.step(*step)
        for held in world.held:
            door.kept.append(held.snapshot)
        world.held.clear()
        world.leaks.clear()
        for line in world.lines:
            door.ask_everything(line.ref)
        deface(door.kept[mark:])
        mark = len(door.kept)
        if world.over:
            break
    deface(door.kept)
    return world


@histories(0.02)
@given(growth=GROWTH, history=steps("run", "edit", "stale", "fork", "fail"))
def test_a_stored_version_never_changes(
    growth: list[int], history: list[tuple[str, int, list[int]]]
) -> None:
    """Whatever is done with objects that anybody was given, and after every step."""
    world = play(growth, history)

    for line in world.lines:
        line.ids[:] = [world._check_version(line, line.first + n) for n in range(len(line.ids))]
    world.check_all()


@histories(0.01)
@given(growth=GROWTH)
def test_what_was_given_stays_the_callers(growth: list[int]) -> None:
    """Orphans, values and containers that were arguments, results or put are not shared."""
    world = World(growth)
    workspace = world.workspace
    ref = world.lines[0].ref
    given: list[Any] = [{"a": [1, Point(x=1)]}, [np.zeros(2)], Box([1]), {1, 2}]

    for value in given:
        workspace.put(f"{ref.address}.anything", value)
        before = workspace.get(f"{ref.address}.anything")
        deface([value, workspace.get(f"{ref.address}.anything")])
        after = workspace.get(f"{ref.address}.anything")
        assert repr(after) == repr(before) or not isinstance(value, (dict, list, set))
    version = workspace.head(ref)
    text = repr(workspace.snapshot(ref, version))
    deface([workspace.snapshot(ref), workspace.tree(ref), workspace.page(ref)])
    assert repr(workspace.snapshot(ref, version)) == text
