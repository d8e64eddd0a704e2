"""Three-way: what a value becomes that two sides changed since they had it in common.

Only where both changed it, and differently, is there anything to do:

    list        of entities: each goes where its side put it, and leaves if one side removed it;
                what both added at one place: ours, then theirs. Of other items: the edits of both,
                unless they overlap or insert at one place
    dict        by key, and within a key again; the order as for a list of entities
    set         by member
    other       as a whole: a conflict

Values are stored ones with plain containers, children are keys. A pure function of data: what a
conflict becomes is asked of the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from registry.history import Stored
from registry.ids import Key
from registry.rewriting import same_content
from registry.schema import ABSENT
from registry.values import Opaque, same_atom

_MOST_COMPARED = 1_000
"""Items of a list, between those at both ends that did not change, that are compared one by one."""

Decide = Callable[[str, Stored, Stored, Stored], Stored]
"""Takes the place below the field, and the base's, our and their value; returns what it becomes."""


class _Clash(Exception):  # noqa: N818 - a signal between functions here, never seen by users
    """Raised where two changes of one container cannot both be made."""


def merge_value(
    base: Stored, ours: Stored, theirs: Stored, decide: Decide, way: str = ""
) -> Stored:
    """Return what a value becomes.

    Args:
        base: What it was; ABSENT if it was not there.
        ours: What one side made of it, in whose order things go first.
        theirs: What the other side made of it.
        decide: What becomes of a conflict.
        way: Keys on the way to it from a field.

    Cost: the value; for lists of other things than entities, the product of the parts that the two
        sides changed.
    """
    if same_content(ours, theirs) or same_content(theirs, base):
        return ours
    if same_content(ours, base):
        return theirs
    merge = _MERGES.get(type(base))
    if merge is not None and type(ours) is type(theirs) is type(base):
        try:
            return merge(base, ours, theirs, decide, way)
        except _Clash:
            pass
    return decide(way, base, ours, theirs)


def merge_order(
    base: Sequence[Hashable], ours: Sequence[Hashable], theirs: Sequence[Hashable]
) -> list[Any]:
    """Return the order of things of which each is there once.

    Raises:
        _Clash: Both sides brought what is on both of them into another order.
    """
    was, mine, yours = set(base), set(ours), set(theirs)
    kept = [each for each in base if each in mine and each in yours]
    our_order = [each for each in ours if each in was and each in yours]
    their_order = [each for each in theirs if each in was and each in mine]
    if their_order == kept or our_order == their_order:
        spine = [each for each in ours if each in yours or each not in was]
        return _woven(spine, theirs, was, last=yours)
    if our_order != kept:
        raise _Clash
    spine = [each for each in theirs if each in mine or each not in was]
    return _woven(spine, ours, was, last=None)


def _woven(
    spine: list[Any], other: Sequence[Hashable], was: set[Any], last: set[Any] | None
) -> list[Any]:
    """Put what *other* added after what it stands behind there.

    Args:
        spine: What has its order already.
        other: The side whose additions are put in.
        was: What the base has.
        last: What that side has, if its additions go behind those of the spine.
    """
    known, anchor = set(spine), None
    runs: dict[Any, list[Any]] = {}
    for each in other:
        if each in known:
            anchor = each
        elif each not in was:
            runs.setdefault(anchor, []).append(each)
    woven: list[Any] = []
    pending = runs.get(None, [])
    for each in spine:
        if pending and (last is None or each in was or each in last):
            woven += pending
            pending = []
        woven.append(each)
        pending = runs.get(each, pending)
    return woven + pending


# --- lists ---


def _merge_lists(
    base: list[Any], ours: list[Any], theirs: list[Any], decide: Decide, way: str
) -> Stored:
    if all(type(each) is Key for items in (base, ours, theirs) for each in items):
        return merge_order(base, ours, theirs)
    if len(base) == len(ours) == len(theirs) and any(type(each) in _MERGES for each in base):
        return [
            merge_value(*each, decide, f"{way}[{at}]")
            for at, each in enumerate(zip(base, ours, theirs, strict=True))
        ]
    tokens = [_token(each) for each in base]
    return _merge_edits(base, _edits(tokens, ours), _edits(tokens, theirs))


class _Edit(NamedTuple):
    """Items of the base from *start* to *stop* give way to *tokens*, which stand for *items*."""

    start: int
    stop: int
    tokens: list[Any]
    items: list[Any]

    def overlaps(self, other: _Edit) -> bool:
        """Tell whether two edits cannot both be made in a certain order."""
        if self.start == self.stop or other.start == other.stop:
            if (self.start, self.stop) == (other.start, other.stop):
                return True
            first, second = (self, other) if self.start == self.stop else (other, self)
            return second.start < first.start < second.stop
        return self.start < other.stop and other.start < self.stop


def _edits(base: list[Any], items: list[Any]) -> list[_Edit]:
    """Return what a list did to become another one, in order."""
    tokens = [_token(each) for each in items]
    shorter, start, end = min(len(base), len(tokens)), 0, 0
    while start < shorter and base[start] == tokens[start]:
        start += 1
    while end < shorter - start and base[-1 - end] == tokens[-1 - end]:
        end += 1
    stop, last = len(base) - end, len(tokens) - end
    if max(stop, last) - start > _MOST_COMPARED:
        return [_Edit(start, stop, tokens[start:last], items[start:last])]
    matcher = SequenceMatcher(None, base[start:stop], tokens[start:last], autojunk=False)
    return [
        _Edit(a + start, b + start, tokens[c + start : d + start], items[c + start : d + start])
        for tag, a, b, c, d in matcher.get_opcodes()
        if tag != "equal"
    ]


def _merge_edits(base: list[Any], ours: list[_Edit], theirs: list[_Edit]) -> list[Any]:
    merged: list[Any] = []
    at = 0
    for edit in _in_order(ours, theirs):
        merged += base[at : edit.start]
        merged += edit.items
        at = max(at, edit.stop)
    return merged + base[at:]


def _in_order(ours: list[_Edit], theirs: list[_Edit]) -> list[_Edit]:
    """Return the edits of both sides by position; one that both made is made once."""
    queue, ordered = [list(reversed(ours)), list(reversed(theirs))], []
    while queue[0] and queue[1]:
        mine, yours = queue[0][-1], queue[1][-1]
        if mine[:3] == yours[:3]:
            queue[1].pop()
            continue
        if mine.overlaps(yours):
            raise _Clash
        ordered.append(queue[0 if mine[:2] < yours[:2] else 1].pop())
    return ordered + queue[0][::-1] + queue[1][::-1]


def _token(stored: Stored) -> Hashable:
    """Return what is equal exactly for the same content."""
    cls = type(stored)
    if cls is Opaque:
        raise _Clash
    if cls is dict:
        return cls, tuple([(_token(key), _token(item)) for key, item in stored.items()])
    if cls in (list, tuple):
        return cls, tuple(map(_token, stored))
    if cls in (set, frozenset):
        return cls, frozenset(map(_token, stored))
    return cls, repr(stored) if cls is float else stored


# --- dicts and sets ---


def _merge_dicts(
    base: dict[Any, Any], ours: dict[Any, Any], theirs: dict[Any, Any], decide: Decide, way: str
) -> Stored:
    keys: dict[Any, Any] = {}
    for key in (*base, *ours, *theirs):
        if not same_atom(keys.setdefault(key, key), key):
            raise _Clash  # 1 and True: one place, two keys
    order = merge_order(list(base), list(ours), list(theirs))
    merged = {
        key: merge_value(
            base.get(key, ABSENT), ours.get(key, ABSENT), theirs.get(key, ABSENT), decide,
            f"{way}[{key!r}]",
        )
        for key in keys
    }  # fmt: skip
    return {key: merged[key] for key in (*order, *keys) if merged[key] is not ABSENT}


def _merge_sets(base: Any, ours: Any, theirs: Any, decide: Decide, way: str) -> Stored:
    was, mine, yours = ({_token(each): each for each in side} for side in (base, ours, theirs))
    merged = {token: each for token, each in mine.items() if token in yours or token not in was}
    merged.update({token: each for token, each in yours.items() if token not in was})
    members = type(base)(merged.values())
    if len(members) != len(merged):
        raise _Clash  # 1 and True: one member
    return members


_MERGES: dict[type, Callable[[Any, Any, Any, Decide, str], Stored]] = {
    list: _merge_lists,
    dict: _merge_dicts,
    set: _merge_sets,
    frozenset: _merge_sets,
}
