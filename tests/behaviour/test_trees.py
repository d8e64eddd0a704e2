"""Section 2 of docs/behaviour.md, as far as no unit test has the sentence as its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from registry import Entity, StructureError, Workspace


class Leaf(Entity):
    """Is held."""

    name: str = ""


class Bud(Entity):
    """Is held as well."""

    name: str = ""


class Branch(Entity):
    """Holds leaves in every way that a hint can say."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    direct: Leaf | None = None
    either: Leaf | Bud | int = 0
    row: list[Leaf] = Field(default_factory=list)
    rows: list[list[Leaf]] = Field(default_factory=list)
    by_key: dict[str, Leaf] = Field(default_factory=dict)
    lists_by_key: dict[str, list[Leaf | Bud]] = Field(default_factory=dict)
    pair: tuple[Leaf, int] | None = None
    bag: set[Leaf] = Field(default_factory=set)
    anything: Any = None


def leaf(name: str) -> Leaf:
    """Make a leaf."""
    return Leaf(name=name)


def test_children_are_found_in_fields_containers_and_unions_of_any_nesting(
    workspace: Workspace,
) -> None:
    branch = Branch(
        direct=leaf("direct"),
        either=Bud(name="either"),
        row=[leaf("row")],
        rows=[[leaf("rows")], []],
        by_key={"k": leaf("by_key")},
        lists_by_key={"k": [leaf("lists_by_key"), Bud(name="bud")]},
        pair=(leaf("pair"), 1),
        bag={leaf("bag")},
        anything={"deep": [(leaf("anything"),)]},
    )

    tree = workspace.tree(workspace.add(branch))

    names = [getattr(each, "name", "") for each in tree]
    assert names == [
        *("", "direct", "either", "row", "rows", "by_key", "lists_by_key", "bud"),
        *("pair", "bag", "anything"),
    ]
    assert (tree.node_count, tree.edge_count, tree.max_depth) == (11, 10, 1)


class Model(BaseModel):
    """A plain model."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    held: Any = None


@dataclass
class Data:
    """A dataclass."""

    held: Any = None


class Thing:
    """An object of one's own."""

    def __init__(self, held: Any) -> None:
        self.held = held


@pytest.mark.parametrize(
    "make", [Model.model_construct, Data, Thing], ids=["model", "data", "object"]
)
@pytest.mark.parametrize("how", ["added", "written"])
def test_an_entity_inside_another_kind_of_value_is_refused_with_its_path_and_the_way_out(
    workspace: Workspace, make: Any, how: str
) -> None:
    value = make(held=leaf("x"))
    ref = workspace.add(Branch())

    @workspace.register("write")
    def write(branch: Branch) -> None:
        branch.anything = {"k": [value]}

    def act() -> None:
        if how == "added":
            workspace.add(Branch(anything={"k": [value]}))
        else:
            workspace.execute("write", branch=ref)

    with pytest.raises(StructureError) as caught:
        act()

    assert ".anything['k'][0] holds Leaf" in str(caught.value)
    assert f"make {type(value).__name__} an Entity" in str(caught.value)
    assert workspace.roots() == [ref]
    assert workspace.head(ref) == 1
