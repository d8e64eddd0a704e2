"""Entities that were stored when their class had other fields, read with the class as it is now.

Two classes of one name, of which the module holds the newer one, stand for two releases.
"""

from __future__ import annotations

import math
import sys
import types
from typing import Any

import pytest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, PrivateAttr

from registry import Entity, Workspace
from registry.errors import ClassChangedError, CodecError
from registry.journal import evolution, journaled_tree, register_upcaster
from registry.journal.evolution import Part
from registry.journal.memory import MemoryJournal
from tests.model.values import Point

MODULE = "people_of_tests"


class Child(Entity):
    """What a person may hold."""

    name: str = ""


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, MODULE, types.ModuleType(MODULE))
    monkeypatch.setattr(evolution, "_UPCASTERS", {})


def person(annotations: dict[str, Any], **space: Any) -> Any:
    """Return the class of persons as of a new release: from now on the one that has the name."""

    def fill(made: dict[str, Any]) -> None:
        made |= {"__module__": MODULE, "__qualname__": "Person", "__annotations__": annotations}
        made |= space

    cls = types.new_class("Person", (Entity,), {}, fill)
    vars(sys.modules[MODULE])["Person"] = cls
    return cls


def opened(journal: MemoryJournal, cls: Any) -> Workspace:
    workspace = Workspace(store=journal)

    def change(person: Any, names: dict[str, Any]) -> None:
        for name, value in names.items():
            setattr(person, name, value)

    def append(person: Any, name: str, value: Any) -> None:
        getattr(person, name).append(value)

    def adopt(person: Any, name: str) -> None:
        getattr(person, name).append(Child(name=name))

    for function in (change, append, adopt):
        function.__annotations__ |= {"person": cls, "return": None}
        workspace.register()(function)
    return workspace


def stored(cls: Any, *names: dict[str, Any], **fields: Any) -> MemoryJournal:
    """Return a journal with one person, and a version for each of the changes after it."""
    journal = MemoryJournal()
    workspace = opened(journal, cls)
    workspace.add(cls(**fields), "ada")
    for each in names:
        workspace.execute("change", person=workspace.ref("ada"), names=each)
    return journal


def values_of(entity: Any) -> dict[str, Any]:
    return {name: getattr(entity, name) for name in type(entity).model_fields}


def versions(workspace: Workspace, last: int) -> list[dict[str, Any]]:
    return [values_of(workspace.snapshot("ada", version)) for version in range(1, last + 1)]


def test_a_new_field_has_its_default_in_all_versions() -> None:
    journal = stored(person({"a": int}), {"a": 2}, a=1)
    cls = person({"new": int, "a": int}, new=7)

    workspace = opened(journal, cls)

    assert versions(workspace, 2) == [{"new": 7, "a": 1}, {"new": 7, "a": 2}]
    assert workspace.snapshot("ada").model_fields_set == {"a"}
    assert type(workspace.snapshot("ada")) is cls


def test_what_is_written_from_now_on_is_of_the_class_now() -> None:
    journal = stored(person({"a": int}), a=1)
    cls = person({"new": int, "a": int}, new=7)
    workspace = opened(journal, cls)
    workspace.execute("change", person=workspace.ref("ada"), names={"new": 8})

    again = opened(journal, cls)

    assert versions(again, 2) == [{"new": 7, "a": 1}, {"new": 8, "a": 1}]
    assert again.snapshot("ada").model_fields_set == {"a", "new"}


def test_the_factory_of_a_new_field_is_called_for_each_entity() -> None:
    journal = stored(person({"a": int}), a=1)
    cls = person(
        {"a": int, "tags": list[int], "twice": int},
        tags=Field(default_factory=lambda: [1]),
        twice=Field(default_factory=lambda data: data["a"] * 2),
    )

    assert versions(opened(journal, cls), 1) == [{"a": 1, "tags": [1], "twice": 2}]


def test_a_container_that_a_default_made_is_changed_and_found_again() -> None:
    """By the number that it gets whenever it is made; no version of it was written whole."""
    journal = stored(person({"a": int}), a=1)
    cls = person({"a": int, "tags": list[Any], "table": dict[str, list[int]]},
                 tags=Field(default_factory=list), table={"x": [0]})  # fmt: skip
    workspace = opened(journal, cls)
    for value in (1, 2):
        workspace.execute("append", person=workspace.ref("ada"), name="tags", value=value)
    workspace.execute("adopt", person=workspace.ref("ada"), name="tags")

    again = opened(journal, cls)
    again.execute("append", person=again.ref("ada"), name="tags", value=3)

    last = opened(journal, cls)
    tags = [last.snapshot("ada", version).tags for version in range(1, 6)]
    assert tags[:3] == [[], [1], [1, 2]]
    assert [each if type(each) is int else each.name for each in tags[4]] == [1, 2, "tags", 3]


def test_the_container_of_a_default_that_is_gone_again_is_passed_over() -> None:
    old = person({"a": int})
    journal = stored(old, a=1)
    between = person({"a": int, "tags": list[int]}, tags=Field(default_factory=list))
    workspace = opened(journal, between)
    workspace.execute("append", person=workspace.ref("ada"), name="tags", value=1)
    workspace.execute("change", person=workspace.ref("ada"), names={"a": 2})

    again = opened(journal, person({"a": int}))

    assert versions(again, 3) == [{"a": 1}, {"a": 1}, {"a": 2}]


def test_a_new_field_without_a_default_is_told() -> None:
    journal = stored(person({"a": int}), a=1)
    workspace = opened(journal, person({"a": int, "new": int}))

    with pytest.raises(ClassChangedError) as caught:
        workspace.head("ada")

    assert (caught.value.cls, caught.value.name) == ("Person", "new")
    assert caught.value.reason == "is new, and has no default"
    assert "register_upcaster" in str(caught.value)
    assert versions(opened(journal, person({"a": int, "new": int}, new=1)), 1) == [
        {"a": 1, "new": 1}
    ]


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        (lambda: 1 / 0, "is new, and its default raised ZeroDivisionError: division by zero"),
        (
            lambda: [Child()],
            "cannot be kept: it makes a Child; make it None, or an empty container",
        ),
        (
            lambda: [{math.nan: 1}],
            "cannot be kept: float, it is equal to nothing, so that it is not found again as a key",
        ),
        (
            lambda: [lambda: 1],
            "cannot be kept: function, <lambda>.<locals>.<lambda> is not found by its name",
        ),
    ],
    ids=["raises", "an entity", "a key", "a function"],
)
def test_a_default_that_cannot_be_made_is_told(factory: Any, reason: str) -> None:
    journal = stored(person({"a": int}), a=1)
    cls = person({"a": int, "new": Any}, new=Field(default_factory=factory))

    with pytest.raises(ClassChangedError) as caught:
        opened(journal, cls).head("ada")

    assert caught.value.name == "new"
    assert caught.value.reason.startswith(reason)


def test_a_field_that_is_gone_is_dropped_with_all_that_happened_to_it() -> None:
    journal = MemoryJournal()
    old = person({"gone": list[Any], "a": int, "point": Any})
    workspace = opened(journal, old)
    ref = workspace.add(old(gone=[1], a=1, point=Point(1)), "ada")
    workspace.execute("append", person=ref, name="gone", value=[2])
    workspace.execute("adopt", person=ref, name="gone")
    workspace.execute("change", person=ref, names={"a": 2, "gone": [3], "point": Point(2)})
    workspace.execute("append", person=ref, name="gone", value=4)

    again = opened(journal, person({"a": int}))
    again.execute("change", person=again.ref("ada"), names={"a": 3})

    last = opened(journal, person({"a": int}))
    assert [each["a"] for each in versions(last, 6)] == [1, 1, 1, 2, 2, 3]
    assert last.snapshot("ada").model_fields_set == {"a"}


@pytest.mark.parametrize(
    "field",
    [
        Field(alias="name"),
        Field(validation_alias="name"),
        Field(validation_alias=AliasChoices("label", "name")),
    ],
    ids=["alias", "validation alias", "choices"],
)
def test_a_field_with_the_old_name_as_alias_takes_over_its_values(field: Any) -> None:
    journal = stored(person({"a": int, "name": Any}), {"name": ["c"]}, {"a": 2}, a=1, name=["b"])
    config = ConfigDict(validate_by_name=True)
    cls = person({"title": Any, "a": int, "other": int}, title=field, other=0, model_config=config)

    workspace = opened(journal, cls)
    workspace.execute("append", person=workspace.ref("ada"), name="title", value="d")

    assert versions(opened(journal, cls), 4) == [
        {"title": ["b"], "a": 1, "other": 0},
        {"title": ["c"], "a": 1, "other": 0},
        {"title": ["c"], "a": 2, "other": 0},
        {"title": ["c", "d"], "a": 2, "other": 0},
    ]
    assert workspace.snapshot("ada").model_fields_set == {"a", "title"}


def test_writes_inside_of_a_renamed_opaque_value_are_noticed() -> None:
    """Such values are compared when they are touched, so it must be known which parts hold some."""
    journal = stored(
        person({"point": Any, "a": int}), {"point": Point(2)}, {"a": 2}, a=1, point=Point(1)
    )
    config = ConfigDict(validate_by_name=True)
    cls = person({"a": int, "spot": Any}, spot=Field(alias="point"), model_config=config)
    workspace = opened(journal, cls)

    def walk(person: Any) -> None:
        person.spot.trail.append(7)

    walk.__annotations__ |= {"person": cls, "return": None}
    workspace.register()(walk)
    workspace.execute("walk", person=workspace.ref("ada"))

    assert [each["spot"] for each in versions(opened(journal, cls), 4)] == [
        *(Point(1), Point(2), Point(2)),
        Point(2, 0, [7]),
    ]


def test_fields_in_another_order_are_found_by_name() -> None:
    journal = stored(person({"a": int, "b": int}, a=0, b=0), {"b": 2}, a=1)
    seen: list[Any] = []
    cls = person({"b": int, "a": int}, a=0, b=0)
    register_upcaster(cls, lambda old: seen.append(old) or old)  # type: ignore[func-returns-value]  # it gives None

    workspace = opened(journal, cls)

    assert versions(workspace, 2) == [{"b": 0, "a": 1}, {"b": 2, "a": 1}]
    assert [workspace.snapshot("ada", each).model_fields_set for each in (1, 2)] == [
        {"a"},
        {"a", "b"},
    ]
    assert seen == []


def test_private_attributes_come_and_go() -> None:
    old = person({"a": int}, _gone=PrivateAttr(default=1), _stays=PrivateAttr(default=2))
    journal = stored(old, {"_stays": 3}, {"a": 2}, a=1)
    cls = person(
        {"a": int},
        _stays=PrivateAttr(default=4),
        _new=PrivateAttr(default_factory=list),
        _unset=PrivateAttr(),
    )

    workspace = opened(journal, cls)
    shown: list[Any] = [workspace.snapshot("ada", version) for version in (1, 2, 3)]

    assert [(each.a, each._stays, each._new) for each in shown] == [
        (1, 2, []),
        (1, 3, []),
        (2, 3, []),
    ]
    with pytest.raises(AttributeError):
        _ = shown[0]._unset
    assert shown[2].model_fields_set == {"a"}


def test_extra_fields_come_and_go() -> None:
    loose = ConfigDict(extra="allow")
    journal = stored(person({"a": int}, model_config=loose), a=1, more=2)
    strict = opened(journal, person({"a": int}))
    assert versions(strict, 1) == [{"a": 1}]
    assert strict.snapshot("ada").model_fields_set == {"a"}

    journal = stored(person({"a": int}), a=1)
    cls = person({"a": int}, model_config=loose)
    workspace = opened(journal, cls)
    workspace.execute("change", person=workspace.ref("ada"), names={"more": 3})

    assert opened(journal, cls).snapshot("ada").model_extra == {"more": 3}


# --- upcasters ---


def joined(old: dict[str, Any]) -> dict[str, Any]:
    """Make one name of two."""
    if "first" in old:
        old["name"] = f"{old.pop('first')} {old.pop('last')}"
    return old


def test_an_upcaster_makes_the_new_values_of_all_old_ones() -> None:
    """Also where a version changed only one of them."""
    journal = stored(
        person({"first": str, "last": str, "a": int}, a=0),
        {"last": "King"},
        {"a": 1},
        first="Ada",
        last="Byron",
    )
    cls = person({"name": str, "a": int}, a=0)
    register_upcaster(cls, joined)

    workspace = opened(journal, cls)

    assert versions(workspace, 3) == [
        {"name": "Ada Byron", "a": 0},
        {"name": "Ada King", "a": 0},
        {"name": "Ada King", "a": 1},
    ]
    assert workspace.snapshot("ada", 1).model_fields_set == {"name"}


def test_later_versions_of_the_class_now_go_on_from_there() -> None:
    journal = stored(person({"first": str, "last": str}), first="Ada", last="Byron")
    cls = person({"name": str})
    register_upcaster(cls, joined)
    workspace = opened(journal, cls)
    workspace.execute("change", person=workspace.ref("ada"), names={"name": "A"})

    assert versions(opened(journal, cls), 2) == [{"name": "Ada Byron"}, {"name": "A"}]


def test_one_upcaster_reads_all_former_forms() -> None:
    journal = stored(person({"first": str, "last": str}), first="Ada", last="Byron")
    between = person({"name": str, "a": int}, a=0)
    register_upcaster(between, joined)
    workspace = opened(journal, between)
    for names in ({"a": 1}, {"name": "A"}):
        workspace.execute("change", person=workspace.ref("ada"), names=names)
    cls = person({"title": str, "a": int}, a=0)

    def upcast(old: dict[str, Any]) -> dict[str, Any]:
        old = joined(old)
        if "name" in old:
            old["title"] = old.pop("name")
        return old

    register_upcaster(cls, upcast)

    assert versions(opened(journal, cls), 3) == [
        {"title": "Ada Byron", "a": 0},
        {"title": "Ada Byron", "a": 1},
        {"title": "A", "a": 1},
    ]


def test_what_is_no_atom_is_passed_on_and_its_later_changes_are_kept() -> None:
    journal = MemoryJournal()
    old = person({"things": list[Any], "point": Any, "a": int})
    workspace = opened(journal, old)
    ref = workspace.add(old(things=[[1]], point=Point(1), a=1), "ada")
    workspace.execute("append", person=ref, name="things", value=2)
    workspace.execute("adopt", person=ref, name="things")
    workspace.execute("change", person=ref, names={"point": Point(2)})
    cls = person({"items": list[Any], "spot": Any, "a": int, "made": Any})
    seen: list[Any] = []

    def upcast(old: dict[str, Any]) -> dict[str, Any]:
        seen.append({name: type(value) for name, value in old.items()})
        return {
            "items": old["things"],
            "spot": old["point"],
            "a": old["a"] + 1,
            "made": {"x": [old["a"]]},
        }

    register_upcaster(cls, upcast)

    again = opened(journal, cls)
    shown: Any = again.snapshot("ada")

    assert seen[0] == {"things": Part, "point": Part, "a": int}
    assert shown.items[:2] == [[1], 2]
    assert shown.items[2].name == "things"
    assert (shown.spot, shown.a, shown.made) == (Point(2), 2, {"x": [1]})
    assert [len(again.snapshot("ada", version).items) for version in (1, 2, 3)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("upcast", "reason"),
    [
        (lambda old: old["none"], "cannot be upcasted: KeyError: 'none'"),
        (lambda _: 3, "cannot be upcasted: TypeError: 'int' object is not iterable"),
    ],
    ids=["raises", "no mapping"],
)
def test_an_upcaster_that_fails_is_told(upcast: Any, reason: str) -> None:
    journal = stored(person({"a": int}), a=1)
    cls = person({"b": int})
    register_upcaster(cls, upcast)

    with pytest.raises(ClassChangedError) as caught:
        opened(journal, cls).head("ada")

    assert (caught.value.cls, caught.value.name, caught.value.reason) == ("Person", "a", reason)


def test_a_part_is_passed_on_whole() -> None:
    """Within a new container it would be a value that nobody can track."""
    journal = stored(person({"a": list[int]}), a=[1])
    cls = person({"b": Any})
    register_upcaster(cls, lambda old: {"b": [old["a"]]})

    with pytest.raises(ClassChangedError) as caught:
        opened(journal, cls).head("ada")

    assert caught.value.reason == "cannot be kept: Part, there is no codec for its class"


def test_an_upcaster_is_that_of_derived_classes_too() -> None:
    journal = stored(person({"first": str, "last": str}), first="Ada", last="Byron")
    cls = person({"name": str})
    register_upcaster(Entity, joined)

    assert versions(opened(journal, cls), 1) == [{"name": "Ada Byron"}]


@pytest.mark.parametrize(("cls", "upcast"), [(int, dict), (BaseModel, dict), (Child, 3), (3, dict)])
def test_an_upcaster_that_cannot_be_is_refused(cls: Any, upcast: Any) -> None:
    with pytest.raises(CodecError):
        register_upcaster(cls, upcast)


# --- with what else there is ---


def test_a_fork_and_its_base_are_read_alike() -> None:
    journal = MemoryJournal()
    old = person({"a": int, "gone": int}, gone=0)
    workspace = opened(journal, old)
    ref = workspace.add(old(a=1), "ada")
    fork = workspace.fork(ref, name="twin")
    workspace.execute("change", person=fork, names={"a": 2})
    cls = person({"a": int, "tags": list[int]}, tags=Field(default_factory=list))

    again = opened(journal, cls)
    for number in (1, 2):
        again.execute("append", person=again.ref("twin"), name="tags", value=number)
    again.execute("append", person=again.ref("ada"), name="tags", value=3)

    last = opened(journal, cls)
    assert values_of(last.snapshot("twin")) == {"a": 2, "tags": [1, 2]}
    assert values_of(last.snapshot("ada")) == {"a": 1, "tags": [3]}


def test_what_happened_in_a_fork_to_a_field_that_is_gone_is_passed_over() -> None:
    journal = MemoryJournal()
    old = person({"gone": list[Any], "a": int})
    workspace = opened(journal, old)
    fork = workspace.fork(workspace.add(old(gone=[[1]], a=1), "ada"), name="twin")
    workspace.execute("append", person=fork, name="gone", value=2)
    workspace.execute("change", person=fork, names={"a": 2})

    again = opened(journal, person({"a": int}))

    assert again.head("twin") == 3
    assert values_of(again.snapshot("twin")) == {"a": 2}


def test_an_upcaster_sees_in_a_fork_what_its_base_had_when_it_was_forked() -> None:
    journal = MemoryJournal()
    old = person({"first": str, "last": str, "tags": list[Any]}, tags=[])
    workspace = opened(journal, old)
    ref = workspace.add(old(first="Ada", last="Byron"), "ada")
    workspace.execute("append", person=ref, name="tags", value=0)
    fork = workspace.fork(ref, name="twin")
    workspace.execute("change", person=ref, names={"first": "A", "last": "L"})
    workspace.execute("append", person=ref, name="tags", value=1)
    workspace.execute("append", person=fork, name="tags", value=2)
    workspace.execute("change", person=fork, names={"last": "King"})
    further = workspace.fork(fork, name="third")
    workspace.execute("change", person=further, names={"first": "Augusta"})
    cls = person({"name": str, "tags": list[Any]}, tags=[])
    register_upcaster(cls, joined)

    again = opened(journal, cls)

    assert values_of(again.snapshot("third")) == {"name": "Augusta King", "tags": [0, 2]}
    assert values_of(again.snapshot("twin")) == {"name": "Ada King", "tags": [0, 2]}
    assert values_of(again.snapshot("ada")) == {"name": "A L", "tags": [0, 1]}


def test_a_checkpoint_of_the_old_form_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journaled_tree, "CHECKPOINT_EVERY", -1_000)  # after each commit
    journal = stored(person({"a": int, "gone": list[int]}), {"a": 2}, {"a": 3}, a=1, gone=[1])
    cls = person({"new": list[int], "a": int}, new=Field(default_factory=list))
    workspace = opened(journal, cls)
    for value in (1, 2, 3):
        workspace.execute("append", person=workspace.ref("ada"), name="new", value=value)

    assert values_of(opened(journal, cls).snapshot("ada")) == {"new": [1, 2, 3], "a": 3}
