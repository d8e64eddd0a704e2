"""Adoption: what objects become in a tree, and its short way for a root of atoms."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import pytest
from pydantic import ConfigDict, PrivateAttr

from registry import Entity
from registry.adoption import adopt, node_of_atoms
from registry.copies import atoms_of, copy_of_atoms
from registry.entity import key_of
from registry.history import Node


class Leaf(Entity):
    """Holds what it is given."""

    name: str = "leaf"
    value: Any = None

    @cached_property
    def size(self) -> int:
        """Is no part of the state."""
        return len(self.name)


class Secret(Leaf):
    """Has a private attribute."""

    _seen: int = PrivateAttr(default=3)


class Open(Leaf):
    """Takes extra fields."""

    model_config = ConfigDict(extra="allow")


def seen(leaf: Leaf) -> Leaf:
    """Return it with a cached property, and one field less."""
    assert leaf.size == len(leaf.name)
    del leaf.value
    return leaf


ATOMS = {
    "defaults": Leaf,
    "some set": lambda: Leaf(name="x"),
    "all set": lambda: Leaf(name="x", value=2.5),
    "cached and deleted": lambda: seen(Leaf(name="x", value=1)),
}
MORE = {
    "a list": lambda: Leaf(value=[1]),
    "an entity": lambda: Leaf(value=Leaf()),
    "an opaque value": lambda: Leaf(value=object()),
    "a private attribute": Secret,
    "an extra field": lambda: Open.model_validate({"more": 1}),
}


@pytest.mark.parametrize("make", ATOMS.values(), ids=ATOMS)
def test_the_node_of_a_root_of_atoms_is_what_adoption_makes_of_it(make: Any) -> None:
    root = make()

    node = node_of_atoms(root, 2.0)

    adopted = adopt(root, 2.0).nodes[key_of(root)]
    assert node is not None
    assert {each: getattr(node, each) for each in Node.__slots__} == {
        each: getattr(adopted, each) for each in Node.__slots__
    }


@pytest.mark.parametrize("make", MORE.values(), ids=MORE)
def test_a_root_that_may_hold_more_than_atoms_has_no_such_node(make: Any) -> None:
    root = make()

    assert node_of_atoms(root, 2.0) is None
    assert atoms_of(root) is None
    assert root.__key__ is None, "nothing was changed"


def test_a_root_that_has_an_identity_has_no_such_node() -> None:
    root = Leaf()
    _ = root.lineage_id

    assert node_of_atoms(root, 2.0) is None


@pytest.mark.parametrize("make", ATOMS.values(), ids=ATOMS)
def test_a_copy_of_atoms_is_equal_and_apart(make: Any) -> None:
    entity = make()
    atoms = atoms_of(entity)
    assert atoms is not None

    copied = copy_of_atoms(entity, atoms)
    dumps = [each.model_dump(exclude_unset=True) for each in (copied, entity)]
    copied.name = "other"

    assert dumps[0] == dumps[1]
    assert copied.model_fields_set == entity.model_fields_set | {"name"}
    assert copied.is_orphan()
    assert entity.name != "other"
    assert copied.lineage_id != entity.lineage_id
