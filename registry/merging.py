"""Merging: brings what one branch changed into another one, as one execution.

    base     the newest version that both come from, by forks and by earlier merges
    ours     the head of the branch that is merged into: the working tree
    theirs   the head of the branch that is merged

Each entity that *theirs* changed is merged field by field (`threeway.py`); entities are known by
their lineage on both sides. What both sides did to an entity as a whole (removed it and changed it,
moved it to two places) is judged before. A conflict is decided by the caller's rule, or listed in
an error, and then nothing is stored. What was decided is written to the working tree
(`rewriting.py`), so what follows is a commit like any other.
"""

from __future__ import annotations

import copy
import enum
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from registry import ids
from registry.address import Ref
from registry.callables import RegisteredCallable
from registry.entity import Entity
from registry.errors import ArgumentError, Conflict, MergeConflictError, PrunedError
from registry.execution import Execution, Setting
from registry.history import Stored
from registry.ids import Key
from registry.rewriting import Parts, Past, Rewriting, differences, label_in
from registry.schema import ABSENT, EXTRA, FIELDS_SET
from registry.sides import (
    Place,
    Side,
    changed_between,
    children_of,
    common_point,
    is_same_below,
    note_merge,
)
from registry.threeway import merge_value
from registry.tree import TreeRegistry
from registry.undoing import tree_of
from registry.values import KIND, OPAQUE, Opaque


class Choice(enum.Enum):
    """How a conflict is decided: take one of the sides, or (ERROR) refuse the merge."""

    ERROR = "error"
    OURS = "ours"
    THEIRS = "theirs"


OnConflict = Literal["error", "ours", "theirs"] | Choice | Callable[[Conflict], Any]
"""How conflicts are decided.

A function takes a conflict and returns a `Choice`; for one of kind `changed` also any other value,
without entities, which the field or key then has.
"""


class MergeResult(NamedTuple):
    """What a merge did.

    Attributes:
        ref: The branch that was merged into.
        version: Its version after the merge.
        execution_id: The merge as an execution; `undo` takes it back.
        base: The version that the two branches had in common.
        changed: Number of entities that got a new `ecs_id`.
        created: Number of entities that came in.
        removed: Number of entities that left.
        moved: Number of entities that got another parent.
        resolved: Conflicts that `on_conflict` decided.
    """

    ref: Ref
    version: int
    execution_id: str
    base: int
    changed: int
    created: int
    removed: int
    moved: int
    resolved: tuple[Conflict, ...]


def merge(
    setting: Setting,
    number: int | str,
    source: TreeRegistry,
    into: TreeRegistry | None,
    on_conflict: OnConflict,
) -> MergeResult:
    """Merge a branch into another one; see `Workspace.merge`."""
    into = into or source.origin
    if into is None or into is source or into.key != source.key:
        given = "no other branch" if into is None or into is source else into.name
        raise ArgumentError("merge", "into", given, f"another branch of {source.name}")
    merging = _Merging(on_conflict)
    execution = _MergeExecution(setting, merging, number)
    execution.run(
        {
            "root": Ref(into.key, into.key, into.branch),
            "source": Ref(source.key, source.key, source.branch),
            "on_conflict": _name_of(on_conflict),
        }
    )
    receipt = execution.receipt()
    commit = into.commit_of(merging.version) if receipt.changed else None
    changes = (commit.created, commit.removed, commit.moved) if commit else ((), (), ())
    created, removed, moved = map(len, changes)
    return MergeResult(
        Ref(into.key, into.key, into.branch),
        merging.version,
        receipt.execution_id,
        merging.base.version,
        receipt.changed,
        *(created, removed, moved),
        tuple(merging.resolved),
    )


def _name_of(rule: OnConflict) -> str:
    """Return how a record names a rule."""
    if callable(rule):
        return str(getattr(rule, "__qualname__", type(rule).__name__))
    return rule.value if isinstance(rule, Choice) else rule


def _merge(root: Entity, source: Entity, on_conflict: str) -> Entity:
    raise AssertionError("each merge brings its own function of this signature")


_MERGE = RegisteredCallable("merge", _merge)
"""Compiled once; each merge runs a copy of it."""


class _MergeExecution(Execution):
    """Notes what was merged once it is stored, while nobody else has a turn."""

    def __init__(self, setting: Setting, merging: _Merging, number: int | str) -> None:
        registered = copy.copy(_MERGE)
        registered.function = merging.run
        super().__init__(setting, registered, number)
        self._merging = merging

    def _commit(self, result: Any) -> None:
        super()._commit(result)
        self._merging.note()
        self._trees.note_merge(self._merging.into)


class _Merging:
    """One merge.

    Attributes:
        resolved: Conflicts that were decided.
        conflicts: Those that were not.
        version: Version of the branch that is merged into, once it is.
    """

    base: Side
    ours: Side
    theirs: Side
    into: TreeRegistry
    version: int

    def __init__(self, on_conflict: OnConflict) -> None:
        self.resolved: list[Conflict] = []
        self.conflicts: list[Conflict] = []
        self._on_conflict = on_conflict
        self._merged: dict[Key, Parts] = {}
        self._decided: set[Place] = set()

    def run(self, root: Entity, source: Entity, on_conflict: str) -> Entity:
        """Merge the tree of *source* into that of *root*.

        Raises:
            MergeConflictError: There are conflicts, and no decision on them.
            PrunedError: The version that both have in common is no longer kept.
        """
        into, tree = tree_of(root), tree_of(source)
        base, version = common_point(into, into.head, tree, tree.head)
        if not base.is_kept(version) and base.commit_of(version) is None:
            raise PrunedError(base.name, version, base.oldest)
        self.into = into
        self.base, self.ours = Side(base, version), Side(into, into.head)
        self.theirs = Side(tree, tree.head)
        self._merge()
        if self.conflicts:
            raise MergeConflictError(tree.name, into.name, tuple(self.conflicts))
        rewriting, now = Rewriting(into, self._absent), Side(into, into.head)
        for key, parts in self._merged.items():
            changed = differences(now.parts(key), parts) if now.has(key) else {}
            if changed.keys() - {FIELDS_SET}:  # which were set rides along; alone it is no change
                rewriting.write(key, changed)
        return root

    def note(self) -> None:
        """Note that all of the source is merged, so that the next merge begins from there."""
        source, base = self.theirs, self.base
        self.version = self.into.head
        if (source.tree, source.version) != (base.tree, base.version):
            note_merge(self.into, source)

    def _absent(self, key: Key) -> Past:
        """Return what an entity looks like that comes into the tree."""
        known = self.theirs if self.theirs.has(key) else self.base
        found = known.past(key)
        parts = self._merged.get(key, found.parts)
        return found._replace(parts=parts)

    # --- finding ---

    def _merge(self) -> None:
        base, ours, theirs = self.base, self.ours, self.theirs
        their_keys = list(changed_between(base, theirs))
        our_keys = list(changed_between(base, ours))
        self._judge_removals(their_keys, theirs, ours)
        self._judge_removals(our_keys, ours, theirs)
        self._judge_places(our_keys, their_keys)
        for key in dict.fromkeys([*their_keys, *theirs.restored, *ours.restored]):
            if ours.has(key) and theirs.has(key):
                self._merged[key] = self._merge_parts(key)
        self._check()

    def _judge_removals(self, keys: list[Key], remover: Side, other: Side) -> None:
        """Decide on entities that one side removed and the other one changed."""
        base = self.base
        gone = {k for k in keys if base.has(k) and not remover.has(k) and other.has(k)}
        for key in [k for k in keys if k in gone]:
            place = base.place(key)
            if (place is not None and place.parent in gone) or is_same_below(key, base, other):
                continue
            ours, theirs = ("removed", "changed")[:: 1 if remover is self.ours else -1]
            conflict = self._conflict(key, "", "removed", "present", ours, theirs)
            if self._winner(conflict) is remover:
                self._give_up(key, other)
            else:
                self._keep(key, remover)

    def _keep(self, key: Key, side: Side) -> None:
        """Let a side look as if it had not removed an entity, nor anything below it."""
        back = [each for each in self.base.below(key) if not side.has(each)]
        for each in back:
            side.take_back(each, self.base)
        for each in back:
            for value in list(side.parts(each).values()):
                for child in children_of(value):
                    place = side.place(child)
                    if child not in back and place is not None and place.parent != each:
                        self._drop(side, each, child)
        side.put_back(key, self.base)

    @staticmethod
    def _drop(side: Side, key: Key, child: Key) -> None:
        """Let a side look as if an entity did not hold a child that it has elsewhere."""
        for name, value in list(side.parts(key).items()):
            if child in children_of(value):
                side.drop(Place(key, name), child)

    def _give_up(self, key: Key, side: Side) -> None:
        """Let a side look as if it had not changed an entity, nor anything below it."""
        below = side.below(key)
        inside = dict.fromkeys(self.base.below(key))
        for each in dict.fromkeys([*below, *inside]):
            side.put_back(each, self.base)
        for each in dict.fromkeys([*below, *inside]):
            if each in inside or not self.base.has(each):
                side.take_back(each, self.base)

    def _judge_places(self, our_keys: list[Key], their_keys: list[Key]) -> None:
        """Decide on entities that both sides put to different places."""
        ours = set(self._placed(our_keys, self.ours))
        for key in dict.fromkeys(self._placed(their_keys, self.theirs)):
            mine, yours = self.ours.place(key), self.theirs.place(key)
            if key not in ours or mine == yours:
                continue
            places = [self._shown_place(side.place(key)) for side in self._sides]
            conflict = self._conflict(key, "", "moved", *places)
            loser = self.theirs if self._winner(conflict) is self.ours else self.ours
            loser.put_back(key, self.base)

    def _placed(self, keys: list[Key], side: Side) -> Iterator[Key]:
        """Yield the entities that a side put to other fields than they were in."""
        for key in keys:
            if side.has(key):
                for name, value in side.parts(key).items():
                    for child in children_of(value):
                        if self.base.place(child) != (key, name):
                            yield child

    # --- fields ---

    def _merge_parts(self, key: Key) -> Parts:
        ours, theirs = self.ours.parts(key), self.theirs.parts(key)
        base = self.base.parts(key) if self.base.has(key) else dict.fromkeys(ours, ABSENT)
        merged = {}
        for name in ours:
            sides = base[name], ours[name], theirs[name]
            if name == FIELDS_SET:
                was = frozenset() if base[name] is ABSENT else base[name]
                merged[name] = (ours[name] - (was - theirs[name])) | (theirs[name] - was)
            else:
                merged[name] = merge_value(*sides, self._decide_field(key, name))
        return merged

    def _decide_field(self, key: Key, name: str) -> Callable[..., Stored]:
        def decide(way: str, base: Stored, ours: Stored, theirs: Stored) -> Stored:
            shown = [self._shown(each) for each in (base, ours, theirs)]
            field = ("model_extra" if name == EXTRA else name) + way
            conflict = self._conflict(key, field, "changed", *shown)
            choice = self._choose(conflict)
            self._decided.add(Place(key, name))
            if isinstance(choice, Choice):
                return theirs if choice is Choice.THEIRS else ours
            return _stored(choice)

        return decide

    # --- conflicts ---

    @property
    def _sides(self) -> tuple[Side, Side, Side]:
        return self.base, self.ours, self.theirs

    def _conflict(
        self,
        key: Key,
        field: str,
        kind: Literal["changed", "removed", "moved", "lost"],
        base: Any,
        ours: Any,
        theirs: Any,
    ) -> Conflict:
        tree = (self.ours if self.ours.has(key) else self.theirs).tree
        return Conflict(label_in(tree, key), ids.to_uuid(key), field, kind, base, ours, theirs)

    def _choose(self, conflict: Conflict) -> Any:
        """Ask what a conflict becomes: a choice, or a value."""
        rule = self._on_conflict
        choice = rule(conflict) if callable(rule) else Choice(rule)
        if choice is Choice.ERROR:
            self.conflicts.append(conflict)
        else:
            self.resolved.append(conflict)
        return choice

    def _winner(self, conflict: Conflict) -> Side:
        choice = self._choose(conflict)
        if not isinstance(choice, Choice):
            what = f"{choice!r:.60} for {conflict.entity}, which was {conflict.kind}"
            raise ArgumentError("merge", "on_conflict", what, "a Choice")
        return self.theirs if choice is Choice.THEIRS else self.ours

    def _shown(self, stored: Stored) -> Any:
        """Return stored data as a conflict shows it: children as refs."""
        cls = type(stored)
        if cls is Key:
            return Ref(self.into.key, ids.plain(stored), self.into.branch)
        if cls is Opaque:
            return stored.value
        if cls is dict:
            return {key: self._shown(item) for key, item in stored.items()}
        if cls in (list, tuple, set, frozenset):
            return cls([self._shown(item) for item in stored])
        return None if stored is ABSENT else stored

    def _shown_place(self, place: Place | None) -> Any:
        return None if place is None else (self._shown(Key(place.parent)), place.name)

    # --- what all of it together leaves ---

    def _check(self) -> None:
        """Find entities that would have two places in the end, or none, or be below themselves."""
        actual = Side(self.into, self.into.head)
        held: dict[Key, list[Place]] = {}
        before: dict[Key, Place] = {}
        for key in self._in_the_end():
            is_new = not actual.has(key)
            for name, value in self._final(key).items():
                for child in children_of(value):
                    held.setdefault(child, []).append(Place(key, name))
                if not is_new:
                    for child in children_of(actual.parts(key)[name]):
                        before[child] = Place(key, name)
        for child, places in held.items():
            first = actual.place(child)
            stays = child not in before and first is not None and not self._leaves(first.parent)
            has_two = len(places) > 1 or (stays and first not in places)
            if has_two or self._is_below_itself(child, held, actual):
                self._lose(child)
        for child, place in before.items():
            if child in held or self._leaves(child):
                continue
            if place not in self._decided or self.theirs.has(child):
                self._lose(child)
                continue
            for each in actual.below(child):  # a decision left it out, not what was moved into it
                if self.theirs.has(each) and each not in held:
                    self._lose(each)

    def _leaves(self, key: Key) -> bool:
        """Tell whether an entity of ours was removed, by one side or both."""
        if not self.ours.has(key):
            return True
        return self.base.has(key) and not self.theirs.has(key)

    def _in_the_end(self) -> list[Key]:
        """Return the entities that are written, and those that come in."""
        keys = [key for key in self._merged if self.into.has(key)]
        known = set(keys)
        for key in keys:
            for value in self._final(key).values():
                for child in children_of(value):
                    if child not in known and not self.into.has(child):
                        known.add(child)
                        keys.append(child)
        return keys

    def _final(self, key: Key) -> Parts:
        return self._merged[key] if key in self._merged else self._absent(key).parts

    def _is_below_itself(self, key: Key, held: dict[Key, list[Place]], actual: Side) -> bool:
        above: Key | None = key
        seen: set[Key] = set()
        while above is not None and above not in seen:
            seen.add(above)
            place = held[above][0] if above in held else actual.place(above)
            above = None if place is None else place.parent
        return above is not None

    def _lose(self, key: Key) -> None:
        places = [self._shown_place(side.place(key)) for side in self._sides]
        self.conflicts.append(self._conflict(key, "", "lost", *places))


def _stored(value: Any) -> Stored:
    """Return a value that a user gave in the stored form with plain containers."""
    cls = type(value)
    if cls is dict:
        return {key: _stored(item) for key, item in value.items()}
    if cls in (list, tuple, set, frozenset):
        return cls([_stored(item) for item in value])
    return Opaque(value) if KIND[cls] == OPAQUE else value
