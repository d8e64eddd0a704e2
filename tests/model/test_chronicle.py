"""What the history says about every value, against plain copies kept per version."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from registry import Ref
from tests.model.conftest import histories
from tests.model.forms import PRIVATE, is_entity, read
from tests.model.test_histories import GROWTH, steps
from tests.model.world import Line, World

pytestmark = pytest.mark.slow

GONE = "not there"


@histories(0.02)
@given(growth=GROWTH, history=steps("run", "run", "fail", "edit", "stale", "fork"))
def test_the_history_of_every_field_equals_plain_copies_kept_per_version(
    growth: list[int], history: list[tuple[str, int, list[int]]]
) -> None:
    """A row for exactly the versions in which a value changed, with the value that it got."""
    world = World(growth)
    for step in history:
        world.step(*step)

    for line in world.lines:
        for tag in {tag for reading in line.readings for tag in reading.forms}:
            lineage = world.lineages[line.ref.root, tag]
            for name in fields_of(line, tag):
                compare(world, line, tag, f"@{lineage}", name)


@histories(0.02)
@given(growth=GROWTH, history=steps("run", "run", "edit", "stale", "fork"))
def test_at_equals_the_snapshot_of_the_version(
    growth: list[int], history: list[tuple[str, int, list[int]]]
) -> None:
    world = World(growth)
    for step in history:
        world.step(*step)

    for line in world.lines:
        for version in range(line.first, line.head + 1):
            expected = line.readings[version - line.first]
            assert read(world.workspace.at(line.ref, version)).form == expected.form
            for tag in expected.forms:
                address = f"@{world.lineages[line.ref.root, tag]}"
                found = world.workspace.at(address, version, branch=line.ref)
                assert read(found).form == expected.forms[tag]


def fields_of(line: Line, tag: int) -> list[str]:
    """Return the fields of an entity that it has in some version, private ones aside."""
    entities = [found[tag] for plain in line.plain if tag in (found := read(plain).entities)]
    return list(
        dict.fromkeys(
            name
            for entity in entities
            for name in (*type(entity).model_fields, *(entity.model_extra or {}))
            if name not in PRIVATE
        )
    )


def compare(world: World, line: Line, tag: int, address: str, name: str) -> None:
    """Compare the rows of one field with the plain copies of one line of versions."""
    tags = {each.int >> 50: known for (root, known), each in lineages(world, line) if root}

    def seen(value: Any) -> Any:
        return form(value, tags)

    expected = []
    for plain in line.plain:
        entity = read(plain).entities.get(tag)
        missing = entity is None or not hasattr(entity, name)
        expected.append(GONE if missing else seen(getattr(entity, name)))

    rows = world.workspace.history(f"{address}.{name}", branch=line.ref)

    shown: list[Any] = []
    for version in range(line.first, line.head + 1):
        until = [row for row in rows if row.version <= version]
        shown.append(seen(until[-1].value) if until and until[-1].is_there else GONE)
    assert shown == expected, (address, name)
    changed = [
        line.first + at for at in range(1, len(expected)) if expected[at] != expected[at - 1]
    ]
    assert [row.version for row in rows if row.version > line.first] == changed
    assert [row.version for row in rows] == sorted({row.version for row in rows})


def lineages(world: World, line: Line) -> list[Any]:
    return [each for each in world.lineages.items() if each[0][0] == line.ref.root]


def form(value: Any, tags: dict[int, int]) -> Any:
    """Return a value in a form that is the same for plain entities and for refs of ours."""
    if isinstance(value, Ref):
        return ("entity", tags[value.lineage_id.int >> 50])
    if is_entity(value):
        return ("entity", value.tag)
    if isinstance(value, list):
        return ("list", *(form(item, tags) for item in value))
    if type(value) is tuple:
        return ("tuple", *(form(item, tags) for item in value))
    if isinstance(value, dict):
        return ("dict", *((form(k, tags), form(v, tags)) for k, v in value.items()))
    if isinstance(value, set | frozenset):
        kind = "frozenset" if isinstance(value, frozenset) else "set"
        return (kind, *sorted((form(item, tags) for item in value), key=repr))
    from tests.model import forms

    return forms._form(value, {}, {})
