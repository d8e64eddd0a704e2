"""Founding: the trees that an execution begins with what it returns and no tree holds.

What is new becomes a root as it is; what was taken out of a tree is copied, with a new identity and
provenance to what it was. What is below another returned entity goes with that. An entity that
would end in two trees is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from registry.adoption import new_cloner
from registry.changes import Changes
from registry.copies import Cloner
from registry.entity import Entity, key_label, key_of
from registry.errors import StructureError
from registry.ids import Key
from registry.tree import TreeRegistry
from registry.trees import Trees


class Founding:
    """The trees that one execution begins."""

    def __init__(self, trees: Trees) -> None:
        self._trees = trees
        self._begun: list[_Begun] = []

    @property
    def trees(self) -> list[TreeRegistry]:
        """The trees, in the order of their roots."""
        return [each.tree for each in self._begun]

    def found(
        self, entities: Sequence[Entity], now: float, number: int | str, callable_name: str
    ) -> None:
        """Begin a tree for each entity that is not below another one.

        Args:
            entities: Orphans, and members of trees that they leave.
            now: When.
            number: The execution that returned them.
            callable_name: Its callable.

        Raises:
            StructureError: A graph is not a tree.

        Cost: about 6 us per entity of the graphs.
        """
        made_by = (now, number, callable_name)
        is_alone = len(entities) == 1 and not self._begun
        for entity in entities:
            if self.place(entity) is None:
                self._begin(entity, made_by, is_alone=is_alone)

    def _begin(
        self, root: Entity, made_by: tuple[float, int | str, str], *, is_alone: bool
    ) -> None:
        is_new = root.__home__ is None
        # Each its own: a child of two copies is two.
        cloner = None if is_new and is_alone else new_cloner()
        resident = root if is_new or cloner is None else cloner.run(root)
        tree, _ = self._trees.adopt(resident, *made_by, cloner)
        new = _Begun(root, tree, cloner)
        if self._begun:
            self._begun = [each for each in self._begun if new.key_of(each.root) is None]
        self._begun.append(new)

    def place(self, entity: Entity) -> tuple[TreeRegistry, Key] | None:
        """Return tree and key of an entity in what was begun; None if it is not there."""
        for each in self._begun:
            key = each.key_of(entity)
            if key is not None:
                return each.tree, key
        return None


class _Begun(NamedTuple):
    """A tree that was begun: what was returned as its root, and what copied other trees' parts."""

    root: Entity
    tree: TreeRegistry
    cloner: Cloner | None

    def key_of(self, entity: Entity) -> Key | None:
        """Return the key of an entity in the tree; None if it is not there."""
        made = {} if self.cloner is None else self.cloner.made
        here = entity if entity.__home__ is None else made.get(id(entity))
        return key_of(here) if here is not None and key_of(here) in self.tree.nodes else None


def refuse_sharing(plans: Sequence[Changes], founding: Founding | None) -> None:
    """Refuse an entity that would be in two trees.

    Args:
        plans: What an execution will do to the trees that are there.
        founding: The trees that it begins.

    Raises:
        StructureError: There is one.

    Cost: what enters, if it enters more than one tree.
    """
    entering = [plan for plan in plans if plan.arriving()]
    begun = founding.trees if founding is not None else []
    if len(entering) + len(begun) < 2:
        return
    seen: dict[Key, TreeRegistry] = {}
    for plan in entering:
        _claim({key: type(entity) for key, entity in plan.arriving()}, plan.tree, seen)
    for tree in begun:
        _claim({key: tree.class_of(key) for key in tree.nodes}, tree, seen)


def _claim(
    found: Mapping[Key, type[Entity]], tree: TreeRegistry, seen: dict[Key, TreeRegistry]
) -> None:
    """Note what enters a tree; refuse what enters another one too."""
    for key in found.keys() & seen.keys():
        raise StructureError(
            key_label(found[key], key),
            f"would be in two trees, {seen[key].name} and {tree.name}",
            "put a copy (model_copy) in one of them",
        )
    seen.update(dict.fromkeys(found, tree))
