"""Writes random calls, while plain objects go through them.

What would leave something that is not a tree is not written; what becomes of such executions is the
matter of `test_histories.py`. Nothing of the engine is used.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.model import plain_trees
from tests.model.actions import ARRAY, DICT, LABEL, LIST, POINT, SET, TUPLE, Scene
from tests.model.calls import Call, Part, Target, do, entities_of, made, shown
from tests.model.dice import Dice
from tests.model.programs import WORK, Chooser, Tags
from tests.model.survey import Path, Slot, Survey, _Walk, everyone, resolve, survey
from tests.model.values import ATOMS

CLASSES = plain_trees.CLASSES
SOUND_WORK = tuple(name for name in WORK if name not in {"leak", "alias", "share", "build"})
COUNTS = {
    "one": 1, "two": 2, "listed": 2, "keyed": 2, "grouped": 2, "mapped": 3, "paired": 2,
    "three": 3, "valued": 1, "configured": 1, "aone": 1, "atwo": 2, "blocking": 1, "peek": 1,
    "pure": 0,
}  # fmt: skip
NAMES = (
    "one", "two", "one", "listed", "keyed", "grouped", "mapped", "paired", "three", "valued",
    "configured", "aone", "atwo", "valued", "configured", "two", "blocking", "peek", "pure", "one",
)  # fmt: skip
PARTS = ("work", "inside", "carry", "exchange", "detach", "attach", "borrow", "work", "inside")
BORROWED = ("number", "text", "numbers", "table", "marks", "matrix", "pair", "point")
DEEPEST = 3


@dataclasses.dataclass
class Stage:
    """All plain trees that a call is at work on, by key, and the entities that it was given."""

    trees: dict[Any, Any] = dataclasses.field(default_factory=dict)
    frames: list[list[Any]] = dataclasses.field(default_factory=list)
    result: Any = None
    returned: set[Any] = dataclasses.field(default_factory=set)
    kept: list[Any] = dataclasses.field(default_factory=list)

    def is_sound(self) -> bool:
        """Tell whether all are trees, apart from each other, with all that was given in them."""
        walk = _Walk(Survey())
        for root in self.trees.values():
            walk.entity(root, ())
            tags = [each.tag for each in everyone(root)]
            if len(set(tags)) < len(tags):
                return False
        given = [*self.kept, *(entity for frame in self.frames for entity in frame)]
        return not walk.found.problem and all(id(entity) in walk.seen for entity in given)

    def key_of(self, entity: Any) -> Any:
        """Return the key of the tree that an entity is in."""
        for key, root in self.trees.items():
            if any(each is entity for each in everyone(root)):
                return key
        return None


class Author:
    """Writes calls on the trees of *stage*.

    Args:
        stage: The trees; they are as the calls leave them.
        tags: Names what is new.
        numbers: What every choice is drawn from; when they are spent, the first is chosen.
        enter: Chooses an entity that is given to the outermost call, or None, as
            `enter(author, dice)`.
        outside: Chooses one of another tree that is given to a call inside, in the same way.
    """

    def __init__(
        self,
        stage: Stage,
        tags: Tags,
        numbers: Sequence[int],
        enter: Callable[[Author, Dice], tuple[Target, Any] | None],
        outside: Callable[[Author, Dice], tuple[Target, Any] | None],
    ) -> None:
        self.stage = stage
        self.tags = tags
        self.old: set[int] = set()
        self.lineages: dict[Any, Any] = {}
        self._numbers: Iterator[int] = iter(numbers)
        self._enter = enter
        self._outside = outside

    def dice(self) -> Dice:
        """Return the next number."""
        return Dice(next(self._numbers, 0))

    def write(self, names: Sequence[str] = NAMES, depth: int = 0) -> Call:
        """Write one call; the stage is then as it leaves it."""
        dice = self.dice()
        call = Call(dice.of(names))
        before = copy.deepcopy(self.stage)
        frame = self._give(call, dice, depth)
        self.stage.frames.append(frame)
        self._prologue(call, dice)
        if call.name not in {"peek", "pure"}:
            for _ in range(dice.below(4) + 1):
                part = self._part(dice.of(PARTS) if depth else self.dice().of(PARTS), depth)
                call.parts += [] if part is None else [part]
                if part is not None and part[0] == "inside" and part[1].fails and not part[2]:
                    call.fails = True
                    break
        call.fails = call.fails or dice.one_in(7)
        if call.fails:
            self.stage = before
            return call
        self._end(call)
        self.stage.frames.pop()
        return call

    # --- what is given ---

    def _give(self, call: Call, dice: Dice, depth: int) -> list[Any]:
        frame: list[Any] = []
        for _ in range(COUNTS[call.name]):
            trees = dict(self.stage.trees)
            found = self._given_inside(dice) if depth else self._enter(self, dice)
            if found is None:
                continue
            target, entity = found
            is_second = any(entity.tag == each.tag for each in frame)
            if (call.name == "grouped" and is_second) or (
                call.name == "peek" and target.how in {"edited", "orphan"}
            ):
                self.stage.trees = trees
                continue
            call.targets.append(target)
            frame.append(entity)
        if call.name == "grouped":
            frame.sort(key=lambda each: each.tag)
        if call.name == "peek" and not frame:
            call.name = "pure"
        if call.name == "mapped":  # as it comes out of {"a": [0, 2], "b": [1]}
            frame = [*frame[0::2], *frame[1::2]]
        return frame

    def _given_inside(self, dice: Dice) -> tuple[Target, Any] | None:
        if dice.one_in(3) and (found := self._outside(self, dice)) is not None:
            return found
        frame = self.stage.frames[-1]
        if not frame:
            return self._outside(self, dice)
        at = dice.below(len(frame))
        path = self._path(frame[at], dice)
        return Target(at, path, "live"), resolve(frame[at], path)

    def _prologue(self, call: Call, dice: Dice) -> None:
        frame = self.stage.frames[-1]
        if call.name == "valued" and frame:
            value = made((), ("plain", self._value(dice)), CLASSES)
            call.extra["value"] = value
            frame[0].flag = copy.deepcopy(value)
        elif call.name == "configured" and frame:
            by = dice.below(5)
            call.extra["gauge"] = (dice.of(("object", "field", "none")), by)
            by = 1 if call.extra["gauge"][0] == "none" else by
            frame[0].numbers.append(by)

    def _value(self, dice: Dice) -> Any:
        return dice.of(
            (
                dice.of(ATOMS), (LIST, 1, (DICT, ("k", dice.of(ATOMS)))), (DICT, ("a", (SET, 1))),
                (POINT, 3, 1), (TUPLE, 1, (LIST, 2)), (ARRAY, 1, 2), (LABEL, "x", 1), (SET, 1, 2),
                (LIST,), dice.of(ATOMS),
            )
        )  # fmt: skip

    # --- what it does ---

    def _part(self, kind: str, depth: int) -> Part | None:
        dice = self.dice()
        if not self.stage.frames[-1]:
            return None
        if kind == "inside":
            if depth + 1 >= DEEPEST:
                return self._work(dice)
            is_caught = not dice.one_in(5)
            return ("inside", self.write(depth=depth + 1), is_caught)
        if kind == "work":
            return self._work(dice)
        part: Part | None = getattr(self, f"_{kind}")(dice)
        if (
            part is None
            or self._is_between_branches(part)
            or not self._tried(lambda stage: play(stage, part))
        ):
            return self._work(dice)
        return part

    def _is_between_branches(self, part: Part) -> bool:
        """Tell whether something would go from one branch of a tree to another one.

        It would be a new entity there, beside one with the same tag.
        """
        if part[0] not in {"carry", "exchange", "attach"}:
            return False
        other = part[4] if part[0] == "carry" else part[3]
        keys = [self.stage.key_of(self.stage.frames[-1][at]) for at in (part[1], other)]
        one, two = (self.lineages.get(key, key) for key in keys)
        return bool(keys[0] != keys[1] and one == two)

    def _tried(self, change: Callable[[Stage], None]) -> bool:
        """Do something to a copy of the stage, and take that if it is sound."""
        trial = copy.deepcopy(self.stage)
        before = [each for root in trial.trees.values() for each in everyone(root)]
        try:
            change(trial)
        except Exception:  # noqa: BLE001 - what plain Python refuses is not written
            return False
        if not trial.is_sound() or _is_lost_in_itself(trial, before):
            return False
        self.stage = trial
        return True

    def _work(self, dice: Dice) -> Part | None:
        at = dice.below(len(self.stage.frames[-1]))
        numbers = [next(self._numbers, 0) for _ in range(dice.below(3) + 1)]
        actions: list[Any] = []

        def work(stage: Stage) -> None:
            scene = Scene(stage.frames[-1][at], CLASSES)
            chosen, error = Chooser(scene, self.tags).program(numbers, SOUND_WORK)
            if error is not None:
                raise error
            actions.extend(chosen)

        return ("work", at, actions) if self._tried(work) and actions else None

    def _two(self, dice: Dice) -> tuple[int, int]:
        frame = self.stage.frames[-1]
        return dice.below(len(frame)), dice.below(len(frame))

    def _slot(self, at: int, dice: Dice, *kinds: str) -> Slot | None:
        found = survey(self.stage.frames[-1][at])
        slots = [slot for slot in found.slots if slot.kind in kinds]
        return dice.of(slots) if slots else None

    def _path(self, entity: Any, dice: Dice) -> Path:
        return () if dice.one_in(2) else dice.of(survey(entity).entities)[0]

    def _carry(self, dice: Dice) -> Part | None:
        one, two = self._two(dice)
        slot = self._slot(one, dice, "list", "dict", "set", "attr")
        if slot is None:
            return None
        chooser = Chooser(Scene(self.stage.frames[-1][two], CLASSES), self.tags)
        where = chooser._where(dice, chooser._survey())
        return ("carry", one, slot, dice.below(3), two, where)

    def _exchange(self, dice: Dice) -> Part | None:
        one, two = self._two(dice)
        first, second = (self._slot(each, dice, "list", "dict") for each in (one, two))
        if first is None or second is None or first.tag == second.tag:
            return None  # one may be a copy of the other: another entity with the same content
        return ("exchange", one, first, two, second)

    def _detach(self, dice: Dice) -> Part | None:
        at = self._two(dice)[0]
        slot = self._slot(at, dice, "list", "dict", "set", "attr")
        if slot is None or slot.tag not in self.old:
            return None  # what is new is taken out by plain Python only
        return ("detach", at, slot)

    def _attach(self, dice: Dice) -> Part | None:
        one, two = self._two(dice)
        slot = self._slot(one, dice, "list", "dict", "set", "attr")
        if slot is None or slot.tag not in self.old:
            return None
        return ("attach", one, slot, two)

    def _borrow(self, dice: Dice) -> Part | None:
        one, two = self._two(dice)
        frame = self.stage.frames[-1]
        paths = self._path(frame[one], dice), self._path(frame[two], dice)
        return ("borrow", one, paths[0], two, paths[1], dice.of(BORROWED))

    # --- what it returns ---

    def _end(self, call: Call) -> None:
        dice = self.dice()
        what = self._described(dice, 0)
        if call.name == "peek" and "taken" in repr(what):
            what = ("path", 0, ())

        def end(stage: Stage) -> None:
            stage.result = made(stage.frames[-1], what, CLASSES)
            _found(stage, entities_of(stage.result))
            stage.kept += entities_of(stage.result)
            stage.returned |= {stage.key_of(entity) for entity in entities_of(stage.result)}

        if not self._tried(end):
            what = ("plain", None)
            self.stage.result = None
        call.result = what
        call.shown = shown(self.stage.result)

    def _described(self, dice: Dice, depth: int) -> Any:
        frame = self.stage.frames[-1]
        kind = dice.of(
            ("none", "root", "child", "new", "taken", "copy", "plain", "tuple", "list", "dict",
             "root", "tuple")
        )  # fmt: skip
        if kind in {"tuple", "list"} and depth < 2:
            return (kind, [self._described(dice, depth + 1) for _ in range(dice.below(3) + 1)])
        if kind == "dict" and depth < 2:
            keys = ("a", 1)[: dice.below(2) + 1]
            return ("dict", [(key, self._described(dice, depth + 1)) for key in keys])
        if kind == "new":
            return ("new", Chooser(Scene(None, CLASSES), self.tags)._spec(dice))
        if kind == "plain" or not frame:
            return ("plain", self._value(dice))
        at = dice.below(len(frame))
        if kind == "child":
            return ("path", at, dice.of(survey(frame[at]).entities)[0])
        if kind == "copy":
            return ("copy", at, self._path(frame[at], dice), True)
        if kind == "taken":
            slot = self._slot(at, dice, "list", "dict", "attr")
            return ("path", at, ()) if slot is None else ("taken", at, slot)
        return ("path", at, ()) if kind == "root" else ("plain", None)


def play(stage: Stage, part: Part) -> None:
    """Do a part to the plain entities of a stage."""
    frame = stage.frames[-1]
    kind, at, *rest = part
    if kind == "detach":
        slot = rest[0]
        entity = resolve(frame[at], slot.path)
        _take(frame[at], slot, entity)
        _found(stage, [entity])
    elif kind == "attach":
        slot, other = rest
        entity = resolve(frame[at], slot.path)
        holder = frame[other]
        _take(frame[at], slot, entity)
        holder.kids.append(entity)
    else:
        do(frame, part, CLASSES)


def _found(stage: Stage, entities: list[Any]) -> None:
    """Make trees of those entities that are in none."""
    for entity in entities:
        if stage.key_of(entity) is None:
            stage.trees["born", entity.tag, len(stage.trees)] = entity


def _take(entity: Any, slot: Slot, taken: Any) -> None:
    holder = resolve(entity, slot.holder)
    if slot.kind in {"list", "dict"}:
        del holder[slot.key]
    elif slot.kind == "set":
        holder.remove(taken)
    else:
        setattr(holder, slot.key, None)


def _is_lost_in_itself(stage: Stage, before: list[Any]) -> bool:
    """Tell whether an entity went into its own subtree, and so vanished with it."""
    below = {id(each) for root in stage.trees.values() for each in everyone(root)}
    for entity in before:
        if id(entity) in below:
            continue
        walk = _Walk(Survey())
        walk.watched = id(entity)
        walk.entity(entity, ())
        if walk.met_again:
            return True
    return False
