"""Chooses random functions: draws numbers, looks at the plain tree, writes actions down.

The plain tree is changed while choosing, because an action's paths depend on the actions before
it. What is chosen here is then performed by the engine.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from tests.model.actions import (
    ARRAY,
    BOX,
    DICT,
    DICT_OPERATIONS,
    ENTITY,
    LABEL,
    LIST,
    LIST_OPERATIONS,
    POINT,
    SET,
    SET_OPERATIONS,
    SHAPES,
    TUPLE,
    Action,
    Scene,
    run,
)
from tests.model.dice import Dice
from tests.model.survey import Path, Slot, Survey, survey
from tests.model.values import ATOMS

CLASS_NAMES = ("Node", "Node", "Strict", "Loose", "Secret")
KEYS = ("a", "b", "c")
ENTITY_FIELDS = ("kids", "named", "group", "grid", "shelves", "rows", "child", "anything")
OPAQUE_KINDS = ("opaque_Point", "opaque_Label", "opaque_ndarray", "opaque_Box")


@dataclasses.dataclass
class Tags:
    """Hands out the tags that identify entities for the oracle."""

    last: int = 0

    def next(self) -> int:
        """Return a tag that no entity has."""
        self.last += 1
        return self.last


class Chooser:
    """Chooses one action at a time for the plain tree of *scene*."""

    def __init__(self, scene: Scene, tags: Tags) -> None:
        self.scene = scene
        self.tags = tags

    def program(self, numbers: Sequence[int], table: Sequence[str]) -> tuple[list[Action], Any]:
        """Choose and perform one action per number; return them and the exception, if any."""
        actions: list[Action] = []
        for number in numbers:
            dice = Dice(number)
            action = getattr(self, f"_{dice.of(table)}")(dice)
            if action is None:
                continue
            actions.append(action)
            try:
                run(self.scene, [action])
            except Exception as error:  # noqa: BLE001 - what Python does is the specification
                return actions, error
        return actions, None

    # --- what there is ---

    def _survey(self) -> Survey:
        return survey(self.scene.root)

    def _entity(self, dice: Dice, found: Survey) -> Path:
        return dice.of(found.entities)[0]

    def _slot(self, dice: Dice, kinds: tuple[str, ...]) -> Slot | None:
        slots = [slot for slot in self._survey().slots if slot.kind in kinds]
        return dice.of(slots) if slots else None

    def _where(self, dice: Dice, found: Survey) -> Action:
        """Choose a place that an entity can be put into."""
        kind = dice.of(
            ("list", "list", "list", "dict", "set", "attr", "any", "late", "tuple", "frozenset",
             "augmented"),
        )  # fmt: skip
        if kind in {"list", "dict", "set"}:
            options = found.containers[f"entity_{kind}"]
            path = dice.of(options)
            key: Any = dice.of(KEYS) if kind == "dict" else dice.below(3)
            return (kind, path, key, dice.below(7))
        path = self._entity(dice, found)
        keys = {"attr": "child", "tuple": "fixed", "frozenset": "cold", "augmented": "kids"}
        return (kind, path, keys.get(kind) or dice.of(KEYS), dice.below(7))

    def _value(self, dice: Dice, depth: int = 0) -> Any:
        """Describe a value for a field that takes anything, entities excepted."""
        shape = dice.below(9 if depth < 2 else 2)
        if shape < 3:
            return dice.of(ATOMS)
        if shape == 3:
            return (POINT, dice.below(5), 1)
        if shape == 4:
            return dice.of(((LABEL, "x", 1), (ARRAY, 1, 2), (BOX, 1)))
        if shape == 5:
            return (LIST, self._value(dice, depth + 1), self._value(dice, depth + 1))
        if shape == 6:
            return (DICT, ("k", self._value(dice, depth + 1)), (7, (LIST, 1)))
        if shape == 7:
            return (TUPLE, self._value(dice, depth + 1), (LIST, 2))
        return (SET, 1, "s")

    def _spec(self, dice: Dice) -> Any:
        """Describe a new entity: bare, with atoms, or with a few entities below it."""
        name, tag, shape = dice.of(CLASS_NAMES), self.tags.next(), dice.below(6)
        fields: tuple[Any, ...] = ()
        if shape == 1:
            fields = (("number", dice.below(9)), ("numbers", (LIST, 3, 1, 2)))
        elif shape == 2:
            fields = (("kids", (LIST, self._leaf(), self._leaf(), self._leaf())),)
        elif shape == 3:
            fields = (
                ("shelves", (DICT, ("a", (LIST, self._leaf())), ("b", (LIST,)))),
                ("child", self._leaf()),
            )
        elif shape == 4:
            fields = (
                ("grid", (LIST, (LIST, self._leaf()), (LIST, self._leaf()))),
                ("group", (SET, self._leaf())),
                ("table", (DICT, ("a", 1), ("b", 2))),
                ("marks", (SET, 1, 2, 3)),
            )
        elif shape == 5:
            fields = (
                ("anything", self._value(dice)),
                ("points", (LIST, (POINT, 1), (POINT, 2, 2))),
                ("matrix", (LIST, (LIST, 1, 2), (LIST,))),
            )
        if name == "Loose":
            fields = (*fields, ("more", (LIST, 1)))
        return (ENTITY, name, tag, fields)

    def _leaf(self) -> Any:
        return (ENTITY, CLASS_NAMES[self.tags.last % 5], self.tags.next(), ())

    # --- actions on entities ---

    def _create(self, dice: Dice) -> Action | None:
        return ("create", self._spec(dice), self._where(dice, self._survey()))

    def _build(self, dice: Dice) -> Action | None:
        return ("build", self._spec(dice))

    def _removal(self, dice: Dice) -> tuple[Slot, int, bool] | None:
        slot = self._slot(dice, ("list", "dict", "set", "attr", "tuple", "frozenset"))
        if slot is None:
            return None
        direct = slot.kind != "attr" and slot.holder[-1][0] == "a"
        direct = direct and slot.holder[-1][1] != "anything"
        if slot.kind in {"tuple", "frozenset"} and not direct:
            return None
        by_assignment = direct and (slot.kind in {"tuple", "frozenset"} or dice.one_in(4))
        return slot, dice.below(6), by_assignment

    def _move(self, dice: Dice) -> Action | None:
        removal = self._removal(dice)
        if removal is None:
            return None
        slot, how, by_assignment = removal
        return ("move", slot, how, self._where(dice, self._survey()), by_assignment)

    def _remove(self, dice: Dice) -> Action | None:
        removal = self._removal(dice)
        return None if removal is None else ("remove", *removal)

    def _reinsert(self, dice: Dice) -> Action | None:
        if not self.scene.taken:
            return self._remove(dice)
        return ("reinsert", self._where(dice, self._survey()))

    def _alias(self, dice: Dice) -> Action | None:
        if not dice.one_in(4):
            return self._move(dice)
        found = self._survey()
        return ("alias", self._entity(dice, found), self._where(dice, found))

    def _wrap(self, dice: Dice) -> Action | None:
        slot = self._slot(dice, ("list", "dict", "set", "attr"))
        if slot is None:
            return None
        name = dice.of(CLASS_NAMES)
        return ("wrap", slot, name, self.tags.next(), dice.of(("kids", "child", "later")))

    def _swap_entities(self, dice: Dice) -> Action | None:
        first = self._slot(dice, ("list", "dict"))
        second = self._slot(dice, ("list", "dict"))
        if first is None or second is None or first == second:
            return None
        if dice.one_in(3):
            first = self._slot(dice, ("attr",)) or first
            second = self._slot(dice, ("attr",)) or second
        if first.kind != second.kind and "attr" in {first.kind, second.kind}:
            return None
        return ("swap_entities", first, second)

    def _two(self, dice: Dice) -> tuple[Path, Path]:
        found = self._survey()
        return self._entity(dice, found), self._entity(dice, found)

    def _swap_fields(self, dice: Dice) -> Action | None:
        fields = ("kids", "named", "group", "numbers", "table", "matrix", "point", "grid", "array")
        return ("swap_fields", *self._two(dice), dice.of(fields))

    def _hand_over(self, dice: Dice) -> Action | None:
        field, empty = dice.of(
            (("kids", (LIST,)), ("named", (DICT,)), ("group", (SET,)), ("grid", (LIST,)),
             ("shelves", (DICT,)), ("numbers", (LIST, 1)), ("marks", (SET,)), ("child", None)),
        )  # fmt: skip
        return ("hand_over", *self._two(dice), field, empty)

    def _share(self, dice: Dice) -> Action | None:
        if not dice.one_in(4):
            return self._swap_fields(dice)
        return ("share", *self._two(dice), dice.of(("numbers", "table", "kids", "matrix")))

    def _shape(self, dice: Dice) -> Action | None:
        found = self._survey()
        lists = [slot.holder for slot in found.slots if slot.kind == "list"]
        entity_lists = set(found.containers["entity_list"])
        options = [path for path in lists if path in entity_lists]
        if not options:
            return None
        return ("shape", dice.of(options), dice.of(SHAPES), dice.below(3))

    # --- actions on values ---

    def _list(self, dice: Dice) -> Action | None:
        path = dice.of(self._survey().containers["atom_list"])
        return ("list", path, dice.of(tuple(LIST_OPERATIONS)), dice.below(4), dice.below(9))

    def _dict(self, dice: Dice) -> Action | None:
        path = dice.of(self._survey().containers["atom_dict"])
        return ("dict", path, dice.of(tuple(DICT_OPERATIONS)), dice.of(KEYS), dice.below(9))

    def _set(self, dice: Dice) -> Action | None:
        path = dice.of(self._survey().containers["atom_set"])
        return ("set", path, dice.of(tuple(SET_OPERATIONS)), dice.below(9))

    def _opaque(self, dice: Dice) -> Action | None:
        found = self._survey()
        options = found.containers[dice.of(OPAQUE_KINDS)] or found.containers["opaque_Point"]
        return ("opaque", dice.of(options), dice.below(4), dice.below(3))

    def _assign(self, dice: Dice) -> Action | None:
        path = self._entity(dice, self._survey())
        choices: tuple[Callable[[], tuple[str, Any]], ...] = (
            lambda: ("number", dice.below(4)),
            lambda: ("text", dice.of(("", "x", "y"))),
            lambda: ("ratio", dice.of((0.0, 0.5, float("nan"), float("inf")))),
            lambda: ("flag", dice.of(ATOMS)),
            lambda: ("numbers", (LIST, *range(dice.below(4)))),
            lambda: ("table", (DICT, *((key, dice.below(3)) for key in dice.of(("ab", "ba", ""))))),
            lambda: ("pair", tuple(range(dice.below(3)))),
            lambda: ("cold_marks", frozenset(range(dice.below(3)))),
            lambda: ("matrix", (LIST, (LIST, 1), (LIST, *range(dice.below(3))))),
            lambda: ("anything", self._value(dice)),
            lambda: ("point", (POINT, dice.below(3), 1)),
            lambda: ("array", (ARRAY, 0, 0, dice.below(2))),
            lambda: ("points", (LIST, (POINT, dice.below(3)), (POINT, 1))),
        )
        return ("assign", path, *dice.of(choices)())

    def _extra(self, dice: Dice) -> Action | None:
        loose = [path for path, name in self._survey().entities if name == "Loose"]
        if not loose:
            return self._assign(dice)
        path = dice.of(loose)
        if dice.one_in(4):
            return ("delete", path, "more")
        return ("assign", path, dice.of(("more", "other")), self._value(dice))

    def _private(self, dice: Dice) -> Action | None:
        secret = [path for path, name in self._survey().entities if name == "Secret"]
        if not secret:
            return self._assign(dice)
        return ("private", dice.of(secret), dice.below(4), dice.below(3))

    def _late_list(self, dice: Dice) -> Action | None:
        return ("late_list", self._entity(dice, self._survey()), dice.below(5))

    def _any_item(self, dice: Dice) -> Action | None:
        found = self._survey().containers
        options = [*found["any_list"], *found["any_dict"], *found["any_set"]]
        if not options:
            return self._assign(dice)
        return ("any_item", dice.of(options), dice.below(4), self._value(dice))

    # --- what a function leaves behind ---

    def _leak(self, dice: Dice) -> Action | None:
        found = self._survey()
        kinds = ("entity_list", "atom_list", "atom_dict", "atom_set", "opaque_Point")
        options = [path for kind in kinds for path in found.containers[kind]]
        if dice.one_in(2):
            return ("leak", self._entity(dice, found))
        return ("leak", dice.of(options))

    def _raise(self, dice: Dice) -> Action | None:
        return ("raise", "half way")

    def choose_return(self, dice: Dice) -> Action | None:
        """Choose what the function returns; None is the most frequent."""
        found = self._survey()
        kind = dice.of(("none", "none", "root", "child", "taken", "built", "plain", "tuple"))
        if kind == "root":
            return ("return", ("path", ()))
        if kind == "child":
            return ("return", ("path", self._entity(dice, found)))
        if kind == "taken" and self.scene.taken:
            return ("return", ("taken",))
        if kind == "built" and self.scene.built:
            return ("return", ("built",))
        if kind == "plain":
            return ("return", ("value", dice.of((0, "text", (1, 2)))))
        if kind == "tuple":
            return (
                "return",
                ("tuple", (("path", ()), ("path", self._entity(dice, found)), ("value", 3))),
            )
        return None


GROW = (
    "create", "create", "create", "create", "create", "create", "assign", "assign", "list",
    "extra", "private", "any_item",
)  # fmt: skip
WORK = (
    "assign", "move", "create", "remove", "list", "dict", "set", "opaque", "move", "reinsert",
    "wrap", "swap_entities", "swap_fields", "hand_over", "shape", "shape", "extra", "private",
    "late_list", "any_item", "opaque", "assign", "leak", "alias", "share", "build", "list",
    "dict", "set", "move",
)  # fmt: skip
EDIT = tuple(name for name in WORK if name != "leak")
FAIL = (*WORK, "raise", "raise", "raise")
