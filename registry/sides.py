"""Sides: what a merge looks at, one branch at a version, and the point that two have in common.

A side can be told to look as if it had not made one of its changes: so a decision on a conflict is
carried out by taking the change back on the side that loses, and then merging as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from registry.diff import candidates
from registry.history import Stored
from registry.ids import Key
from registry.rewriting import Parts, Past, differences, past
from registry.schema import FIELDS_SET
from registry.tree import MergePoint, TreeRegistry


class Place(NamedTuple):
    """The field that holds an entity."""

    parent: Key
    name: str


class Side:
    """One branch at a version.

    Attributes:
        tree: The branch.
        version: Its version.
        restored: Entities that look as in the base, in part or in whole.
    """

    def __init__(self, tree: TreeRegistry, version: int) -> None:
        self.tree = tree
        self.version = version
        self.restored: dict[Key, None] = {}
        self._pasts: dict[Key, Past] = {}
        self._places: dict[Key, Place | None] = {}
        self._has: dict[Key, bool] = {}

    def has(self, key: Key) -> bool:
        """Tell whether an entity is there. Cost: its depth, once."""
        if key not in self._has:
            self._has[key] = self.tree.contains(key, self.version)
        return self._has[key]

    def past(self, key: Key) -> Past:
        """Return an entity that is there."""
        found = self._pasts.get(key)
        if found is None:
            found = self._pasts[key] = past(self.tree, key, self.version)
        return found

    def parts(self, key: Key) -> Parts:
        """Return the parts of an entity that is there."""
        return self.past(key).parts

    def place(self, key: Key) -> Place | None:
        """Return the field that holds an entity; None for the root, and for what is not there."""
        if key not in self._places:
            self._places[key] = self._find_place(key) if self.has(key) else None
        return self._places[key]

    def _find_place(self, key: Key) -> Place | None:
        found = self.tree.find_node(key, self.version)
        parent = None if found is None else found[0].parent_at(found[1])
        if parent is None:
            return None
        names = [name for name, value in self.parts(parent).items() if key in children_of(value)]
        return Place(parent, names[0]) if names else None

    def below(self, key: Key) -> list[Key]:
        """Return an entity and all below it. Cost: these."""
        keys = [key]
        for each in keys:
            keys.extend(
                child for value in self.parts(each).values() for child in children_of(value)
            )
        return keys

    # --- as if a change had not been made ---

    def take_back(self, key: Key, base: Side) -> None:
        """Look as if an entity had its values, and all that was below it, as in the base."""
        if not base.has(key):
            self._has[key] = False
            return
        self._has[key] = True
        self._pasts[key] = base.past(key)
        self.restored[key] = None

    def put_back(self, key: Key, base: Side) -> None:
        """Look as if an entity was where it is in the base; nowhere if it is not there."""
        now, was = self.place(key), base.place(key)
        if now == was:
            return
        if now is not None and self.has(now.parent):
            self.drop(now, key)
        if was is not None and self.has(was.parent):
            value = self.parts(was.parent)[was.name]
            if key not in children_of(value):
                self._change(was, restored(value, base.parts(was.parent)[was.name], key))
        self._places[key] = was

    def drop(self, place: Place, key: Key) -> None:
        """Look as if a field did not hold an entity."""
        self._change(place, without(self.parts(place.parent)[place.name], key))

    def _change(self, place: Place, value: Stored) -> None:
        found = self.past(place.parent)
        self._pasts[place.parent] = found._replace(parts={**found.parts, place.name: value})
        self.restored[place.parent] = None


# --- children in values ---


def children_of(stored: Stored) -> list[Key]:
    """Return the children in a stored value with plain containers."""
    cls = type(stored)
    if cls is Key:
        return [stored]
    if cls is dict:
        stored = stored.values()
    elif cls not in (list, tuple, set, frozenset):
        return []
    return [key for item in stored for key in children_of(item)]


def without(stored: Stored, key: Key) -> Stored:
    """Return a stored value without a child."""
    cls = type(stored)
    if cls is Key:
        return None if stored == key else stored
    if cls is dict:
        kept = {name: item for name, item in stored.items() if not _is(item, key)}
        return {name: without(item, key) for name, item in kept.items()}
    if cls in (list, tuple, set, frozenset):
        return cls(without(item, key) for item in stored if not _is(item, key))
    return stored


def restored(stored: Stored, base: Stored, key: Key) -> Stored:
    """Return a stored value with a child where it is in the base, if there is room for it."""
    cls = type(base)
    if _is(base, key):
        return base if stored is None else stored
    if type(stored) is not cls:
        return stored
    if cls is dict:
        return _restored_dict(stored, base, key)
    if cls in (set, frozenset):
        return stored | cls([Key(key)]) if key in children_of(base) else stored
    if cls in (list, tuple):
        for at, item in enumerate(base):
            if _is(item, key):
                before = [each for each in base[:at] if each in stored]
                where = stored.index(before[-1]) + 1 if before else 0
                return cls([*stored[:where], item, *stored[where:]])
            if key in children_of(item) and at < len(stored):
                inner = restored(stored[at], item, key)
                return cls([*stored[:at], inner, *stored[at + 1 :]])
    return stored


def _restored_dict(stored: dict[Any, Any], base: dict[Any, Any], key: Key) -> dict[Any, Any]:
    for name, item in base.items():
        if key in children_of(item):
            inner = restored(stored.get(name), item, key) if name in stored else item
            names = [each for each in base if each in stored or each == name]
            return {
                each: inner if each == name else stored[each]
                for each in dict.fromkeys([*names, *stored])
            }
    return stored


def _is(item: Stored, key: Key) -> bool:
    return type(item) is Key and item == key


# --- what two points have in common ---


def common_point(
    a: TreeRegistry, a_version: int, b: TreeRegistry, b_version: int
) -> tuple[TreeRegistry, int]:
    """Return the newest version that two branches of a root both come from, by forks and merges.

    If there are several of which none comes from another (branches merged into each other
    crosswise), the one with the greatest number.

    Cost: constant for a fork that comes back for the first time; else the merges so far.
    """
    if b.base is a and not (b.is_taken_in or b.merges):
        return a, b.base_version
    trees: dict[int, TreeRegistry] = {}
    ours, theirs = _sources(a, a_version, trees), _sources(b, b_version, trees)
    shared = {branch: min(ours[branch], theirs[branch]) for branch in ours.keys() & theirs.keys()}
    covered: dict[int, int] = {}
    latest: list[int] = []
    for branch in sorted(shared, key=shared.__getitem__, reverse=True):
        if covered.get(branch, 0) < shared[branch]:
            mine = _sources(trees[branch], shared[branch], {})
            latest = [each for each in latest if mine.get(each, 0) < shared[each]]
            latest.append(branch)
            covered.update(
                {each: at for each, at in mine.items() if covered.get(each, 0) < at},
            )
    best = max(latest, key=lambda branch: (shared[branch], branch))
    return trees[best], shared[best]


def note_merge(into: TreeRegistry, source: Side) -> None:
    """Note that a branch, at its head, has taken in all of a side."""
    for point in into.merges:
        if point.source is source.tree:
            point.release()
    _forget_dropped(into)
    add_point(into, into.head, source.tree, source.version)
    mark_taken_in(source.tree, source.version)


def mark_taken_in(source: TreeRegistry, version: int) -> None:
    """Note on a branch, and those that its version comes from, that it was merged into another."""
    for tree, _ in _line(source, version):
        tree.is_taken_in = True


def add_point(into: TreeRegistry, at: int, source: TreeRegistry, version: int) -> MergePoint:
    """Note on a branch which version of another it has taken in; return the note."""
    point = MergePoint(at, source, version)
    source.pin(point, version)
    into.merges.append(point)
    source.takers = source.takers | {into.branch}
    return point


def _forget_dropped(into: TreeRegistry) -> None:
    """Note in place of dropped branches, which nobody else took in, what those came from.

    What a dropped branch had in common with others they have in common with this one. So branches
    that were forked, merged and dropped do not pile up.
    """
    for point in [each for each in into.merges if each.source.turn.is_closed]:
        gone = point.source
        if gone.takers != {into.branch}:
            continue  # a version of it is what the two that took it in have in common
        into.merges.remove(point)
        origins = [(each.source, each.version) for each in gone.merges if each.at <= point.version]
        if gone.base is not None:
            origins.append((gone.base, gone.base_version))
        for tree, version in origins:
            if _sources(into, point.at, {}).get(tree.branch, 0) < version:
                add_point(into, point.at, tree, version)


def _sources(tree: TreeRegistry, version: int, trees: dict[int, TreeRegistry]) -> dict[int, int]:
    """Return the newest version of each branch that a version comes from, itself included."""
    newest: dict[int, int] = {}
    queue = [(tree, version)]
    while queue:
        tree, version = queue.pop()
        while tree.base is not None and version <= tree.base_version:
            tree = tree.base
        if newest.get(tree.branch, 0) >= version:
            continue
        newest[tree.branch] = version
        trees[tree.branch] = tree
        if tree.base is not None:
            queue.append((tree.base, tree.base_version))
        queue += [(each.source, each.version) for each in tree.merges if each.at <= version]
    return newest


def changed_between(base: Side, side: Side) -> Iterator[Key]:
    """Yield the entities that differ, or are on one side only.

    Cost: what the commits from one to the other name; both trees if some are no longer kept.
    """
    fork, version = _fork_of(base.tree, base.version, side.tree, side.version)
    keys = dict.fromkeys(candidates(side.tree, version, side.version))
    if (fork, version) != (base.tree, base.version):
        keys.update(dict.fromkeys(candidates(base.tree, version, base.version)))
    for key in keys:
        was, is_there = base.has(key), side.has(key)
        if was != is_there or (was and differences(base.parts(key), side.parts(key))):
            yield key


def _fork_of(
    a: TreeRegistry, a_version: int, b: TreeRegistry, b_version: int
) -> tuple[TreeRegistry, int]:
    """Return where the lines of two branches part, merges aside."""
    versions = dict(_line(a, a_version))
    for tree, version in _line(b, b_version):
        if tree in versions:
            return tree, min(version, versions[tree])
    raise AssertionError("the branches of a root all begin at its main branch")


def _line(tree: TreeRegistry | None, version: int) -> Iterator[tuple[TreeRegistry, int]]:
    while tree is not None:
        yield tree, version
        version, tree = min(version, tree.base_version), tree.base


def is_same_below(key: Key, base: Side, side: Side) -> bool:
    """Tell whether an entity is at its place as in the base, with all below it.

    Cost: what has another id below it.
    """
    if base.place(key) != side.place(key):
        return False
    queue = [key]
    for each in queue:
        if base.past(each).stamp == side.past(each).stamp:
            continue
        if differences(base.parts(each), side.parts(each)).keys() - {FIELDS_SET}:
            return False
        queue += [child for value in base.parts(each).values() for child in children_of(value)]
    return True
