"""Founding: the trees that an execution begins with what it returns and no tree holds.

What is new becomes a root as it is; what was taken out of a tree is copied, with a new identity and
provenance to what it was. What is below another returned entity goes with that. An entity that
would end in two trees is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from registry.adoption import new_cloner
from registry.changes import Changes
from registry.entity import Entity, key_label, key_of
from registry.errors import StructureError
from registry.ids import Key
from registry.tree import TreeRegistry
from registry.trees import Trees


class Founding:
    """The trees that one execution begins.

    Attributes:
        trees: The trees, by their keys.
    """

    def __init__(self, trees: Trees, now: float, number: int | str, callable_name: str) -> None:
        self.trees: dict[Key, TreeRegistry] = {}
        self._trees = trees
        self._made_by = (now, number, callable_name)
        self._cloner = new_cloner()

    def found(self, entities: Iterable[Entity]) -> dict[int, tuple[TreeRegistry, Key]]:
        """Begin a tree for each entity that is not below another one.

        Args:
            entities: Orphans, and members of trees that they leave.

        Returns:
            Tree and key of each, by `id`.

        Raises:
            StructureError: A graph is not a tree.

        Cost: about 6 us per entity of the graphs.
        """
        residents = {}
        for entity in entities:
            resident = entity if entity.__home__ is None else self._cloner.run(entity)
            residents[id(entity)] = key = key_of(resident)
            if not any(key in tree.nodes for tree in self.trees.values()):
                tree, _ = self._trees.adopt(resident, *self._made_by, self._cloner)
                for inner in [each for each in self.trees if each in tree.nodes]:
                    del self.trees[inner]
                self.trees[tree.key] = tree
        return {known: (self._holding(key), key) for known, key in residents.items()}

    def _holding(self, key: Key) -> TreeRegistry:
        return next(tree for tree in self.trees.values() if key in tree.nodes)


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
    begun = list(founding.trees.values()) if founding is not None else []
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
