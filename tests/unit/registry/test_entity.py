"""Entities: ordinary pydantic models with identity; behaviour, section 1, sentence by sentence."""

# ruff: noqa: RUF012 - pydantic copies mutable defaults

# Aliases and undeclared fields, which the plugin does not know, are among what is tested.
# mypy: disable-error-code="call-arg"
from __future__ import annotations

import copy
import functools
import json
import pickle
import re
import threading
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    RootModel,
    TypeAdapter,
    ValidationError,
    computed_field,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)

from registry import Entity, Ref, Workspace
from registry.errors import StructureError, TreerunnerError
from tests.unit.registry.conftest import Do
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop

T = TypeVar("T")

IDENTITY = (
    "ecs_id", "live_id", "lineage_id", "root_ecs_id", "root_live_id", "version", "previous_ecs_id",
    "old_ids", "created_at", "forked_at", "derived_from_function", "derived_from_execution_id",
    "sibling_output_entities", "output_index", "attribute_source",
)  # fmt: skip


class Student(Entity):
    """Uses much of what pydantic offers."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(alias="fullName", min_length=1)
    grades: dict[str, int] = Field(default_factory=dict)
    born: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    school: ClassVar[str] = "S"
    _seen: int = PrivateAttr(default=3)

    @field_validator("name")
    @classmethod
    def _strip(cls, value: str) -> str:
        return value.strip()

    @model_validator(mode="after")
    def _grades_are_small(self) -> Student:
        if any(grade > 10 for grade in self.grades.values()):
            raise ValueError("a grade is over 10")
        return self

    @computed_field  # type: ignore[prop-decorator]
    @property
    def mean(self) -> float:
        return sum(self.grades.values()) / max(1, len(self.grades))

    @field_serializer("born")
    def _year(self, value: datetime) -> int:
        return value.year


class Crate(Entity, Generic[T]):
    """A generic entity."""

    content: T
    spare: list[T] = []


class Frozen(Entity):
    """Cannot be assigned to."""

    model_config = ConfigDict(frozen=True)

    name: str = ""
    parts: list[int] = []


class Cat(Entity):
    """One of two kinds."""

    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(Entity):
    """One of two kinds."""

    kind: Literal["dog"] = "dog"
    bones: list[int] = []


class Kennel(Entity):
    """Holds either kind."""

    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]] = []
    first: Cat | Dog | None = None


class Cached(Entity):
    """Has a cached property."""

    numbers: list[int] = []

    @functools.cached_property
    def total(self) -> int:
        return sum(self.numbers)


class Open(Entity):
    """Takes undeclared fields."""

    model_config = ConfigDict(extra="allow")

    name: str = ""


class Checked(Entity):
    """Validates assignments."""

    model_config = ConfigDict(validate_assignment=True)

    count: int = Field(default=0, ge=0)
    items: list[Item] = []


class Tree(Entity):
    """Refers to itself."""

    name: str = ""
    left: Tree | None = None
    right: Tree | None = None
    other: Any = None


# --- pydantic works ----------------------------------------------------------------------------


def test_validators_aliases_and_computed_fields_work() -> None:
    student = Student(fullName="  Ada ", grades={"a": 4, "b": 8})

    assert student.name == "Ada"
    assert student.model_dump() == {
        "name": "Ada",
        "grades": {"a": 4, "b": 8},
        "born": 2000,
        "mean": 6.0,
    }
    assert student.model_dump(by_alias=True)["fullName"] == "Ada"
    with pytest.raises(ValidationError):
        Student(fullName="")
    with pytest.raises(ValidationError, match="over 10"):
        Student(fullName="x", grades={"a": 11})


def test_dumps_show_the_users_fields_and_identity_on_request() -> None:
    shelf = Shelf(label="s", items=[Item(name="i")])

    assert shelf.model_dump() == {
        "label": "s",
        "items": [{"name": "i", "price": 1.0, "tags": []}],
    }
    assert json.loads(shelf.model_dump_json()) == shelf.model_dump()
    dump = shelf.model_dump(context={"identity": True})
    assert "ecs_id" in json.dumps(dump, default=str)
    assert str(shelf.ecs_id) in json.dumps(dump, default=str)
    assert str(shelf.items[0].ecs_id) in json.dumps(dump, default=str)


def test_json_goes_there_and_back() -> None:
    shop = new_shop()

    again = Shop.model_validate_json(shop.model_dump_json())

    assert again.model_dump() == shop.model_dump()
    assert again.ecs_id != shop.ecs_id


def test_the_json_schema_shows_fields_only() -> None:
    schema = Shelf.model_json_schema()

    assert set(schema["properties"]) == {"label", "items"}
    assert TypeAdapter(list[Shelf]).json_schema()["type"] == "array"


def test_generics_work(workspace: Workspace) -> None:
    crate = Crate[Item](content=Item(name="x"), spare=[Item(name="y")])
    with pytest.raises(ValidationError):
        Crate[int](content="no")  # type: ignore[arg-type] # refused, which is the point

    snapshot = workspace.snapshot(workspace.add(crate))

    assert type(snapshot) is Crate[Item]
    assert snapshot.content.name == "x"
    assert snapshot.spare[0].root_ecs_id == snapshot.ecs_id


def test_discriminated_unions_work(workspace: Workspace) -> None:
    kennel = Kennel.model_validate(
        {"pets": [{"kind": "dog", "bones": [1]}, {"kind": "cat"}], "first": {"kind": "cat"}}
    )

    snapshot = workspace.snapshot(workspace.add(kennel))

    assert [type(pet) for pet in snapshot.pets] == [Dog, Cat]
    assert type(snapshot.first) is Cat
    assert snapshot.model_dump() == kennel.model_dump()


def test_private_attributes_are_versioned(workspace: Workspace) -> None:
    student = Student(fullName="a")
    student._seen = 5
    ref = workspace.add(student)

    def look(student: Student) -> int:
        student._seen += 1
        return student._seen

    workspace.register("look")(look)

    assert workspace.execute("look", raw=True, student=ref) == 6
    assert workspace.snapshot(ref)._seen == 6
    assert workspace.snapshot(ref, 1)._seen == 5
    assert workspace.head(ref) == 2


def test_frozen_models_stay_frozen(workspace: Workspace) -> None:
    ref = workspace.add(Frozen(name="f", parts=[1]))

    def rename(frozen: Frozen) -> None:
        frozen.name = "g"  # type: ignore[misc]

    def grow(frozen: Frozen) -> None:
        frozen.parts.append(2)

    workspace.register("rename")(rename)
    workspace.register("grow")(grow)

    with pytest.raises(ValidationError, match="frozen"):
        workspace.execute("rename", frozen=ref)
    assert workspace.head(ref) == 1
    workspace.execute("grow", frozen=ref)
    assert workspace.snapshot(ref).parts == [1, 2]
    assert isinstance(hash(Frozen()), int)
    snapshot = workspace.snapshot(ref)
    with pytest.raises(ValidationError, match="frozen"):
        snapshot.name = "h"


def test_validated_assignment_inside_an_execution(workspace: Workspace) -> None:
    ref = workspace.add(Checked(items=[Item(name="a")]))

    def count(checked: Checked, number: int) -> None:
        checked.items[0].name = "b"
        checked.count = number

    workspace.register("count")(count)

    with pytest.raises(ValidationError):
        workspace.execute("count", checked=ref, number=-1)
    assert workspace.snapshot(ref).items[0].name == "a"
    workspace.execute("count", checked=ref, number=2)
    assert workspace.snapshot(ref).model_dump()["count"] == 2
    assert workspace.snapshot(ref).items[0].name == "b"


def test_a_validated_assignment_of_a_wrong_type_on_a_snapshot(workspace: Workspace) -> None:
    snapshot = workspace.snapshot(workspace.add(Checked(items=[Item(name="a")])))

    with pytest.raises(ValidationError):
        snapshot.count = -1

    assert snapshot.model_dump() == Checked(items=[Item(name="a")]).model_dump()


def test_undeclared_fields_are_versioned(workspace: Workspace) -> None:
    ref = workspace.add(Open(name="o", more=[1]))

    def grow(item: Open) -> None:
        item.more.append(2)
        item.other = {"k": [3]}

    workspace.register("grow")(grow)
    workspace.execute("grow", item=ref)

    assert workspace.snapshot(ref).model_dump() == {
        "name": "o",
        "more": [1, 2],
        "other": {"k": [3]},
    }
    assert workspace.snapshot(ref, 1).model_extra == {"more": [1]}
    assert workspace.snapshot(ref, 1).more == [1]
    with pytest.raises(AttributeError):
        _ = workspace.snapshot(ref, 1).other


def test_a_cached_property_follows_the_version(workspace: Workspace) -> None:
    ref = workspace.add(Cached(numbers=[1]))
    seen: list[int] = []

    def grow(cached: Cached, fail: bool) -> None:
        seen.append(cached.total)
        cached.numbers = [*cached.numbers, 10]
        cached.__dict__.pop("total", None)
        seen.append(cached.total)
        if fail:
            raise KeyError

    workspace.register("grow")(grow)

    with pytest.raises(KeyError):
        workspace.execute("grow", cached=ref, fail=True)
    workspace.execute("grow", cached=ref, fail=False)

    assert seen == [1, 11, 1, 11]
    assert workspace.snapshot(ref).total == 11
    assert workspace.snapshot(ref, 1).total == 1


def test_model_methods_see_a_live_tree_as_any_other(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """Dump, JSON, repr, iteration, copy inside an execution, of a tree that nobody has loaded."""
    expected = new_shop()
    made: dict[str, Any] = {}

    def act(shop: Shop) -> None:
        made["dump"] = shop.model_dump()
        made["json"] = shop.model_dump_json()
        made["repr"] = repr(shop)
        made["names"] = [name for name, _ in shop]
        made["copy"] = shop.model_copy(deep=True).model_dump()
        made["set"] = set(shop.model_fields_set)

    do(act)

    assert made["dump"] == made["copy"] == expected.model_dump()
    assert json.loads(made["json"]) == json.loads(expected.model_dump_json())
    assert made["names"] == list(Shop.model_fields)
    assert made["set"] == expected.model_fields_set
    assert workspace.head(shop) == 1


def test_model_serializer_and_root_model_work(workspace: Workspace) -> None:
    class Short(Entity):
        a: int = 1

        @model_serializer
        def _short(self) -> str:
            return f"a={self.a}"

    holder = RootModel[list[Short]]([Short(a=4)])
    snapshot = workspace.snapshot(workspace.add(Short(a=3)))

    assert snapshot.model_dump() == "a=3"  # type: ignore[comparison-overlap] # the serializer's
    assert holder.model_dump() == ["a=4"]


# --- copies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        lambda e: e.model_copy(),
        lambda e: e.model_copy(deep=True),
    ],
    ids=["copy", "deepcopy", "model_copy", "deep model_copy"],
)
@pytest.mark.parametrize("held", ["orphan", "snapshot"])
def test_a_copy_is_a_new_entity(workspace: Workspace, duplicate: Any, held: str) -> None:
    """Same values, own identity; nothing shared with a tree."""
    item: Any = Item(name="x", tags=["t"])
    if held == "snapshot":
        item = workspace.snapshot(workspace.add(item))

    copied = duplicate(item)

    assert copied.model_dump() == item.model_dump()
    assert copied.lineage_id != item.lineage_id
    assert copied.ecs_id != item.ecs_id
    assert copied.is_orphan()
    assert copied != item
    copied.name = "y"
    copied.tags.append("u")
    assert item.name == "x"
    if held == "snapshot":
        assert item.tags == ["t"]


def test_a_deep_copy_renews_the_identity_of_all_below() -> None:
    shelf = Shelf(items=[Item(name="a")])

    copied = copy.deepcopy(shelf)

    assert copied.items[0].lineage_id != shelf.items[0].lineage_id


def test_model_copy_update_works(workspace: Workspace, shop: Ref) -> None:
    snapshot = workspace.snapshot(shop)

    copied = snapshot.model_copy(update={"name": "other"})

    assert copied.name == "other"
    assert snapshot.name == "shop"
    assert copied.model_dump(exclude={"name"}) == snapshot.model_dump(exclude={"name"})


def test_an_orphan_survives_pickling_with_its_identity() -> None:
    item = Item(name="x", tags=["t"])
    ecs_id = item.ecs_id

    again = pickle.loads(pickle.dumps(item))

    assert again.ecs_id == ecs_id
    assert again.model_dump() == item.model_dump()
    assert again == item


def test_a_snapshot_can_be_pickled(workspace: Workspace, shop: Ref) -> None:
    snapshot = workspace.snapshot(shop)

    again = pickle.loads(pickle.dumps(snapshot))

    assert again.model_dump() == snapshot.model_dump()
    assert len(pickle.dumps(snapshot)) < 20_000


def test_pickles_of_private_and_extra_parts(workspace: Workspace) -> None:
    student = Student(fullName="a")
    student._seen = 9
    opened = Open(name="o", more=1)

    for made in (student, workspace.snapshot(workspace.add(student))):
        assert pickle.loads(pickle.dumps(made))._seen == 9
    for made in (opened, workspace.snapshot(workspace.add(opened))):
        assert pickle.loads(pickle.dumps(made)).more == 1


# --- identity ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*IDENTITY, "is_orphan", "is_root_entity", "promote_to_root"])
def test_a_class_that_redefines_a_reserved_name_is_refused(name: str) -> None:
    with pytest.raises(TreerunnerError, match=name):
        type("Bad", (Entity,), {"__annotations__": {name: int}, "__module__": __name__})
    with pytest.raises(TreerunnerError, match=name):
        type("Worse", (Entity,), {name: property(lambda self: 1), "__module__": __name__})


def test_a_name_reserved_by_a_mixin_is_refused_too() -> None:
    class Mixin:
        @property
        def ecs_id(self) -> int:
            return 1

    with pytest.raises(TreerunnerError, match="ecs_id"):
        type("Bad", (Mixin, Entity), {"__module__": __name__})


def test_an_alias_may_be_a_reserved_name() -> None:
    class Imported(Entity):
        number: int = Field(alias="version")

    assert Imported(version=3).number == 3


@pytest.mark.parametrize("name", IDENTITY)
@pytest.mark.parametrize("held", ["orphan", "snapshot"])
def test_identity_is_read_only(workspace: Workspace, name: str, held: str) -> None:
    item: Any = Item(name="x")
    if held == "snapshot":
        item = workspace.snapshot(workspace.add(item))
    before = getattr(item, name)

    with pytest.raises((AttributeError, TypeError, ValueError, TreerunnerError)):
        setattr(item, name, 1)

    assert getattr(item, name) == before


def test_a_fresh_entity_is_an_orphan_with_its_own_lineage() -> None:
    one, two = Item(), Item()

    assert one.is_orphan()
    assert not one.is_root_entity()
    assert one.root_ecs_id is None
    assert one.root_live_id is None
    assert one.lineage_id != two.lineage_id
    assert one.previous_ecs_id is None
    assert one.old_ids == []
    assert one.derived_from_function is None
    assert one.derived_from_execution_id is None
    assert one.sibling_output_entities == []
    assert one.output_index is None
    assert one.attribute_source == {}
    assert one.created_at.tzinfo is not None
    assert isinstance(one.live_id, uuid.UUID)
    assert one.live_id == one.live_id
    assert one.live_id != two.live_id


def test_ids_of_an_orphan_are_stable() -> None:
    item = Item()

    assert item.ecs_id == item.ecs_id
    item.name = "x"
    assert item.lineage_id == item.lineage_id


def test_constructing_an_entity_that_holds_fields_named_like_nothing_reserved() -> None:
    assert not set(IDENTITY) & set(Shop.model_fields)


def test_two_retrievals_of_one_version_are_equal(workspace: Workspace, shop: Ref, do: Do) -> None:
    one, two = workspace.snapshot(shop), workspace.snapshot(shop)
    do(lambda shop: setattr(shop.shelves[0], "label", "x"))
    new, old = workspace.snapshot(shop), workspace.snapshot(shop, 1)

    assert one == two == old
    assert one is not two
    assert one.shelves[0] == two.shelves[0]
    assert one.shelves[0].items[0] == two.shelves[0].items[0]
    assert new != old
    assert new.shelves[0] != old.shelves[0]
    assert one.live_id != two.live_id
    # The same ecs_id under another version of the root is not equal.
    assert new.shelves[1].ecs_id == old.shelves[1].ecs_id
    assert new.shelves[1] != old.shelves[1]
    assert (one == 5, one != 5) == (False, True)


def test_the_hash_follows_the_lineage(workspace: Workspace, shop: Ref, do: Do) -> None:
    old = workspace.snapshot(shop)
    do(lambda shop: setattr(shop, "name", "x"))
    new = workspace.snapshot(shop)

    assert hash(old) == hash(new)
    assert len({old, new}) == 2


def test_members_of_a_set_field_stay_findable(workspace: Workspace, shop: Ref, do: Do) -> None:
    do(lambda shop: setattr(shop, "window", {Item(name="w")}))

    def act(shop: Shop) -> None:
        (member,) = shop.window
        member.name = "changed"
        assert member in shop.window
        shop.window.remove(member)
        assert not shop.window
        shop.window.add(member)

    do(act)
    snapshot = workspace.snapshot(shop)
    (member,) = snapshot.window
    assert member.name == "changed"
    assert member in snapshot.window
    member.name = "again"
    assert member in snapshot.window


def test_history_of_one_entity(workspace: Workspace, shop: Ref, do: Do) -> None:
    """previous_ecs_id, old_ids, created_at and forked_at of root and child."""
    first = workspace.snapshot(shop)
    do(lambda shop: setattr(shop.shelves[0], "label", "x"))
    do(lambda shop: setattr(shop, "name", "n"))
    now = workspace.snapshot(shop)
    middle = workspace.snapshot(shop, 2)

    assert now.old_ids == [first.ecs_id, middle.ecs_id]
    assert now.previous_ecs_id == middle.ecs_id
    assert first.old_ids == []
    assert first.previous_ecs_id is None
    assert middle.old_ids == [first.ecs_id]
    assert now.shelves[0].old_ids == [first.shelves[0].ecs_id]
    assert now.shelves[0].previous_ecs_id == first.shelves[0].ecs_id
    assert now.shelves[1].old_ids == []
    assert now.created_at == middle.created_at == first.created_at
    assert first.forked_at <= middle.forked_at <= now.forked_at
    assert now.shelves[0].forked_at == middle.forked_at
    assert now.version == now.shelves[0].version == 3
    assert now.derived_from_function == "act"
    assert now.derived_from_execution_id is not None
    assert now.shelves[1].derived_from_function is None
    assert first.derived_from_function is None
    assert now.root_ecs_id == now.ecs_id
    assert now.shelves[0].root_ecs_id == now.ecs_id
    assert now.shelves[0].root_live_id == now.live_id
    assert now.is_root_entity()
    assert not now.shelves[0].is_root_entity()
    assert not now.shelves[0].is_orphan()


def test_identity_inside_an_execution_is_that_of_the_version_before(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    before = workspace.snapshot(shop)
    seen: list[Any] = []

    def act(shop: Shop) -> None:
        shop.name = "x"
        seen.extend([shop.ecs_id, shop.version, shop.shelves[0].root_ecs_id, shop.lineage_id])

    do(act)

    assert seen == [before.ecs_id, 1, before.ecs_id, before.lineage_id]


# --- promotion and adoption --------------------------------------------------------------------


def test_promotion_makes_version_1_and_leaves_a_snapshot() -> None:
    shop = new_shop()
    ids = (shop.ecs_id, shop.lineage_id, shop.shelves[0].ecs_id)
    dump = shop.model_dump()

    shop.promote_to_root()

    assert shop.is_root_entity()
    assert not shop.is_orphan()
    assert (shop.ecs_id, shop.lineage_id, shop.shelves[0].ecs_id) == ids
    assert shop.version == 1
    assert shop.shelves[0].items[0].root_ecs_id == shop.ecs_id
    assert shop.shelves[0].items[0].root_live_id == shop.live_id
    assert shop.model_dump() == dump
    shop.promote_to_root()
    assert (shop.ecs_id, shop.version) == (ids[0], 1)


def test_what_the_caller_holds_after_add_is_a_snapshot(workspace: Workspace) -> None:
    shop = new_shop()
    shelf, items, item = shop.shelves[0], shop.shelves[0].items, shop.shelves[0].items[0]
    ref = workspace.add(shop)
    before = workspace.snapshot(ref).model_dump()

    shop.name = "mine"
    shelf.label = "mine"
    item.name = "mine"
    items.append(Item(name="mine"))
    shop.shelves.clear()
    shop.numbers.append(99)

    assert workspace.snapshot(ref).model_dump() == before
    assert workspace.head(ref) == 1


def test_add_owned_takes_the_objects_over(workspace: Workspace) -> None:
    expected = new_shop().model_dump()

    ref = workspace.add_owned(new_shop(), name="s")

    assert workspace.snapshot(ref).model_dump() == expected
    assert workspace.ref("s") == ref


TREE_ERRORS: dict[str, tuple[Any, tuple[str, str]]] = {
    "twice in one list": (lambda a, b: Tree(other=[a, a]), ("other[0]", "other[1]")),
    "in two fields": (lambda a, b: Tree(left=a, right=a), ("left", "right")),
    "below a sibling": (lambda a, b: Tree(left=a, right=Tree(left=a)), ("left", "right.left")),
    "in a dict and a tuple": (
        lambda a, b: Tree(left=Tree(other={"k": a}), other=(1, a)),
        ("left.other['k']", "other[1]"),
    ),
    "in nested lists": (lambda a, b: Tree(other=[[a], [b, a]]), ("other[0][0]", "other[1][1]")),
}


@pytest.mark.parametrize("case", TREE_ERRORS)
@pytest.mark.parametrize("how", ["add", "promote_to_root"])
def test_an_entity_reachable_twice_is_refused_with_both_paths(
    workspace: Workspace, case: str, how: str
) -> None:
    build, paths = TREE_ERRORS[case]
    a = Tree(name="a")
    root = build(a, Tree(name="b"))
    before = (root.model_dump(), root.ecs_id, a.ecs_id)

    with pytest.raises(StructureError) as caught:
        workspace.add(root) if how == "add" else root.promote_to_root()

    assert all(_names(str(caught.value), path) for path in paths), str(caught.value)
    assert root.is_orphan()
    assert a.is_orphan()
    assert (root.model_dump(), root.ecs_id, a.ecs_id) == before
    assert workspace.roots() == []
    root.name = "still mine"
    a.name = "still mine"


def _names(text: str, path: str) -> bool:
    """Tell whether a message names every field, index and key of a path, however it is written."""
    return all(part in text for part in re.findall(r"\w+", path))


@pytest.mark.parametrize("how", ["add", "promote_to_root"])
def test_a_cycle_is_refused_with_both_paths(workspace: Workspace, how: str) -> None:
    root = Tree(name="r", left=Tree(name="l"))
    root.left.left = root  # type: ignore[union-attr]

    with pytest.raises(StructureError, match="left"):
        workspace.add(root) if how == "add" else root.promote_to_root()

    assert root.is_orphan()
    assert workspace.roots() == []


class Plain(BaseModel):
    """Not an entity."""

    held: Any = None


class Thing:
    """Not even a model."""

    def __init__(self, held: Any) -> None:
        self.held = held


@pytest.mark.parametrize(
    "hide",
    [
        lambda e: Plain(held=e),
        lambda e: Plain(held=[{"k": e}]),
        lambda e: Thing(e),
        lambda e: [Thing([e])],
        lambda e: {"k": Thing({"x": e})},
    ],
)
def test_an_entity_inside_an_opaque_value_is_refused_with_path_and_way_out(
    workspace: Workspace, hide: Any
) -> None:
    root = Tree(left=Tree(other=hide(Item(name="hidden"))))

    with pytest.raises(StructureError) as caught:
        workspace.add(root)

    assert _names(str(caught.value), "left.other"), str(caught.value)
    assert "Item" in str(caught.value)
    assert root.is_orphan()


def test_an_entity_as_a_dict_key_is_refused(workspace: Workspace) -> None:
    with pytest.raises(StructureError, match="other"):
        workspace.add(Tree(other={Item(): 1}))


def test_one_list_under_two_fields_is_refused(workspace: Workspace) -> None:
    shared = [1]

    with pytest.raises(StructureError, match="other"):
        workspace.add(Tree(other=shared, left=Tree(other=shared)))


def test_a_snapshot_cannot_become_a_second_root(workspace: Workspace, shop: Ref) -> None:
    """Adding what is a root already does nothing; adding a child of a tree never corrupts it."""
    snapshot = workspace.snapshot(shop)

    assert workspace.add(snapshot) == shop
    assert workspace.roots() == [shop]
    assert workspace.head(shop) == 1


def test_an_opaque_value_that_cannot_be_copied_is_refused(workspace: Workspace) -> None:
    with pytest.raises(TreerunnerError, match="other"):
        workspace.add(Tree(other=(n for n in range(3))))
    with pytest.raises(TreerunnerError, match="other"):
        workspace.add(Tree(other=threading.Lock()))


def test_depth_is_limited_by_memory_not_by_recursion(workspace: Workspace) -> None:
    tree = Tree(name="5000")
    for depth in range(4999, -1, -1):
        tree = Tree.model_construct(name=str(depth), left=tree, right=None, other=None)

    ref = workspace.add(tree)

    def deepest(tree: Tree) -> str:
        here = tree
        while here.left is not None:
            here = here.left
        here.name = "bottom"
        return here.name

    workspace.register("deepest")(deepest)
    assert workspace.execute("deepest", raw=True, tree=ref) == "bottom"
    here = workspace.snapshot(ref)
    while here.left is not None:
        here = here.left
    assert here.name == "bottom"
    assert here.ecs_id != here.previous_ecs_id


def test_children_are_found_in_every_kind_of_field(workspace: Workspace) -> None:
    leaves = [Item(name=str(n)) for n in range(8)]
    tree = Tree(
        left=Tree(other=leaves[0]),
        other=[
            leaves[1],
            {"k": leaves[2], "deep": [[leaves[3]]]},
            (leaves[4], {"t": (leaves[5],)}),
            {leaves[6]},
            frozenset({leaves[7]}),
        ],
    )

    root = workspace.snapshot(workspace.add(tree))

    first, second, third, fourth, fifth = root.other
    found = [
        root.left.other,
        first,
        second["k"],
        second["deep"][0][0],
        third[0],
        third[1]["t"][0],
        *fourth,
        *fifth,
    ]
    assert [item.name for item in found] == [str(n) for n in range(8)]
    assert {item.root_ecs_id for item in found} == {root.ecs_id}
    assert [item.ecs_id for item in found] == [leaf.ecs_id for leaf in leaves]
