"""Tracked list, dict and set: real subclasses, so that reads are native.

Each write is logged as a reversible change.

The log of a container is what rollback takes back, what a commit turns into a delta, and how a
snapshot learns that it was edited. It is opened by the container's home on the first write
(`begin_writing`, which may refuse), so a write costs one
check and one small tuple:

    list   (index, removed items, inserted items)      a splice
    dict   (key, old value or ABSENT, new value or ABSENT)
    set    (item, True if added, False if removed)

C code that reaches past the methods (`heapq`, `list.append(tracked, x)`) is not seen;
docs/pitfalls.md says what to do.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, Self, SupportsIndex

from registry.schema import ABSENT
from registry.values import DICT, ENTITY, KIND, LIST, SET

_indexof = operator.indexOf
_list_append = list.append
_list_pop = list.pop
_list_set = list.__setitem__
_list_del = list.__delitem__
_dict_set = dict.__setitem__
_dict_del = dict.__delitem__


class ContainerHome(Protocol):
    """What a tracked container asks of the tree or the snapshot that it is part of."""

    def begin_writing(self, container: Tracked) -> list[Any]:
        """Give the container a log for its changes and return it, or refuse by raising."""


class TrackedList(list[Any]):
    """A list that belongs to an entity."""

    __slots__ = ("home", "log", "place")
    home: ContainerHome | None
    place: Any
    log: list[tuple[int, tuple[Any, ...], tuple[Any, ...]]] | None

    def __new__(cls, *args: Any) -> Any:
        """Give a plain list: only a tree or a snapshot makes tracked ones."""
        return list(*args)

    def __init__(self, items: Iterable[Any] = (), /) -> None:
        self[:] = items

    def append(self, item: Any, /) -> None:
        log = self.log
        if log is None:  # as _open_log: these are the most frequent writes
            log = self.home.begin_writing(self) if self.home is not None else []
        log.append((len(self), (), (item,)))
        _list_append(self, item)

    def extend(self, items: Iterable[Any], /) -> None:
        log = _open_log(self)
        added: list[Any] = []
        try:
            added.extend(items)
        finally:  # as the built-in: what came before the error stays
            log.append((len(self), (), tuple(added)))
            list.extend(self, added)

    def insert(self, index: SupportsIndex, item: Any, /) -> None:
        log = _open_log(self)
        size = len(self)
        at = operator.index(index)
        at = max(0, at + size) if at < 0 else min(at, size)
        log.append((at, (), (item,)))
        list.insert(self, at, item)

    def pop(self, index: SupportsIndex = -1, /) -> Any:
        log = self.log
        if log is None:  # as _open_log: these are the most frequent writes
            log = self.home.begin_writing(self) if self.home is not None else []
        size = len(self)
        item = _list_pop(self, index)
        at = operator.index(index)
        log.append((at + size if at < 0 else at, (item,), ()))
        return item

    def remove(self, item: Any, /) -> None:
        log = _open_log(self)
        try:
            at = self.index(item)
        except ValueError:
            raise ValueError("list.remove(x): x not in list") from None
        log.append((at, (self[at],), ()))
        _list_del(self, at)

    def clear(self) -> None:
        log = _open_log(self)
        log.append((0, tuple(self), ()))
        list.clear(self)

    def sort(self, *, key: Callable[[Any], Any] | None = None, reverse: bool = False) -> None:
        log = _open_log(self)
        before, known = tuple(self), len(log)
        try:
            list.sort(self, key=key, reverse=reverse)
        finally:
            # What a key function did to the list meanwhile, the built-in has undone.
            del log[known:]
            log.append((0, before, tuple(self)))

    def reverse(self) -> None:
        log = _open_log(self)
        before = tuple(self)
        list.reverse(self)
        log.append((0, before, tuple(self)))

    def __setitem__(self, index: Any, value: Any, /) -> None:
        log = self.log
        if log is None:  # as _open_log: these are the most frequent writes
            log = self.home.begin_writing(self) if self.home is not None else []
        if isinstance(index, slice):
            self._set_slice(log, index, value)
            return
        old = self[index]
        at = operator.index(index)
        log.append((at + len(self) if at < 0 else at, (old,), (value,)))
        _list_set(self, index, value)

    def _set_slice(self, log: list[Any], index: slice, value: Iterable[Any]) -> None:
        items = tuple(value)
        start, stop, step = index.indices(len(self))
        if step == 1:
            removed = tuple(self[start : max(start, stop)])
            _list_set(self, index, items)
            log.append((start, removed, items))
        else:
            before = tuple(self)
            _list_set(self, index, items)
            log.append((0, before, tuple(self)))

    def __delitem__(self, index: SupportsIndex | slice, /) -> None:
        log = _open_log(self)
        if isinstance(index, slice):
            self._del_slice(log, index)
            return
        old = self[index]
        at = operator.index(index)
        log.append((at + len(self) if at < 0 else at, (old,), ()))
        _list_del(self, index)

    def _del_slice(self, log: list[Any], index: slice) -> None:
        start, stop, step = index.indices(len(self))
        if step == 1:
            log.append((start, tuple(self[start : max(start, stop)]), ()))
            _list_del(self, index)
        else:
            before = tuple(self)
            _list_del(self, index)
            log.append((0, before, tuple(self)))

    def __iadd__(self, items: Iterable[Any], /) -> Self:  # type: ignore[misc]  # as list's own
        self.extend(items)
        return self

    def __imul__(self, times: SupportsIndex, /) -> Self:
        self[:] = list(self) * operator.index(times)
        return self

    # Entities compare by id, in Python; a member is found by identity first, which takes a fraction
    # of that.

    def index(
        self, item: Any, start: SupportsIndex = 0, stop: SupportsIndex | None = None, /
    ) -> int:
        if KIND[type(item)] == ENTITY and start == 0 and stop is None:
            try:
                return _indexof(map(id, self), id(item))
            except ValueError:
                pass
        return list.index(self, item, start, len(self) if stop is None else stop)

    def __contains__(self, item: object, /) -> bool:
        if KIND[type(item)] == ENTITY and id(item) in map(id, self):
            return True
        return list.__contains__(self, item)

    def __copy__(self) -> list[Any]:
        return list(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        return _deepcopy_plain(self, list(self), memo)  # type: ignore[no-any-return]  # a copy of it

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> tuple[Any, ...]:
        return list, (list(self),)


class TrackedDict(dict[Any, Any]):
    """A dict that belongs to an entity."""

    __slots__ = ("home", "log", "place")
    home: ContainerHome | None
    place: Any
    log: list[tuple[Any, Any, Any]] | None

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Give a plain dict: only a tree or a snapshot makes tracked ones."""
        return dict(*args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.update(*args, **kwargs)

    def __setitem__(self, key: Any, value: Any, /) -> None:
        log = self.log
        if log is None:  # as _open_log: these are the most frequent writes
            log = self.home.begin_writing(self) if self.home is not None else []
        log.append((key, self.get(key, ABSENT), value))
        _dict_set(self, key, value)

    def __delitem__(self, key: Any, /) -> None:
        log = _open_log(self)
        old = self[key]
        log.append((key, old, ABSENT))
        _dict_del(self, key)

    def pop(self, key: Any, /, *default: Any) -> Any:
        log = _open_log(self)
        known = key in self
        value = dict.pop(self, key, *default)
        if known:
            log.append((key, value, ABSENT))
        return value

    def popitem(self) -> tuple[Any, Any]:
        log = _open_log(self)
        key, value = dict.popitem(self)
        log.append((key, value, ABSENT))
        return key, value

    def setdefault(self, key: Any, default: Any = None, /) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def clear(self) -> None:
        log = _open_log(self)
        log.extend((key, value, ABSENT) for key, value in self.items())
        dict.clear(self)

    def update(self, *args: Any, **kwargs: Any) -> None:
        _open_log(self)
        for key, value in _pairs(*args, **kwargs):
            self[key] = value

    def __ior__(self, other: Any, /) -> Self:  # type: ignore[misc]  # as dict's own
        self.update(other)
        return self

    def copy(self) -> dict[Any, Any]:
        return dict(self)

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[Any, Any]:
        return _deepcopy_plain(self, dict(self), memo)  # type: ignore[no-any-return]  # a copy of it

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> tuple[Any, ...]:
        return dict, (dict(self),)


class TrackedSet(set[Any]):
    """A set that belongs to an entity."""

    __slots__ = ("home", "log", "place")
    home: ContainerHome | None
    place: Any
    log: list[tuple[Any, bool]] | None

    def __new__(cls, *args: Any) -> Any:
        """Give a plain set: only a tree or a snapshot makes tracked ones."""
        return set(*args)

    def __init__(self, items: Iterable[Any] = (), /) -> None:
        self._become(set(items))

    def _become(self, target: set[Any]) -> None:
        """Turn into *target*, logging the difference."""
        log = _open_log(self)
        removed = [item for item in self if item not in target]
        added = [item for item in target if item not in self]
        log.extend((item, False) for item in removed)
        log.extend((item, True) for item in added)
        set.difference_update(self, removed)
        set.update(self, added)

    def add(self, item: Any, /) -> None:
        log = _open_log(self)
        if item not in self:
            set.add(self, item)
            log.append((item, True))

    def discard(self, item: Any, /) -> None:
        _open_log(self)
        if item in self:
            self.remove(item)

    def remove(self, item: Any, /) -> None:
        log = _open_log(self)
        member = member_like(self, item)
        set.remove(self, item)
        log.append((member, False))

    def pop(self) -> Any:
        log = _open_log(self)
        item = set.pop(self)
        log.append((item, False))
        return item

    def clear(self) -> None:
        self._become(set())

    def update(self, *others: Iterable[Any]) -> None:
        _open_log(self)
        for other in others:
            for item in (
                list(other) if other is self else other
            ):  # as the built-in: what came before an error stays
                self.add(item)

    def intersection_update(self, *others: Iterable[Any]) -> None:
        target = self.intersection(*others)
        self._become({item for item in target if type(member_like(self, item)) is type(item)})
        self._become(target)

    def difference_update(self, *others: Iterable[Any]) -> None:
        _open_log(self)
        for other in others:
            for item in list(other) if other is self else other:
                self.discard(item)

    def symmetric_difference_update(self, other: Iterable[Any], /) -> None:
        self._become(self.symmetric_difference(other))

    def __ior__(self, other: Any, /) -> Any:
        return self._in_place(
            self | other if isinstance(other, (set, frozenset)) else NotImplemented
        )

    def __iand__(self, other: Any, /) -> Any:
        return self._in_place(
            self & other if isinstance(other, (set, frozenset)) else NotImplemented
        )

    def __isub__(self, other: Any, /) -> Any:
        return self._in_place(
            self - other if isinstance(other, (set, frozenset)) else NotImplemented
        )

    def __ixor__(self, other: Any, /) -> Any:
        return self._in_place(
            self ^ other if isinstance(other, (set, frozenset)) else NotImplemented
        )

    def _in_place(self, target: Any) -> Any:
        if target is NotImplemented:
            return NotImplemented
        self._become(target)
        return self

    # The built-in's copies would be half-made tracked sets.

    def __or__(self, other: Any, /) -> Any:
        return set(self).__or__(other)

    def __and__(self, other: Any, /) -> Any:
        return set(self).__and__(other)

    def __sub__(self, other: Any, /) -> Any:
        return set(self).__sub__(other)

    def __xor__(self, other: Any, /) -> Any:
        return set(self).__xor__(other)

    def union(self, *others: Iterable[Any]) -> set[Any]:
        return set(self).union(*others)

    def intersection(self, *others: Iterable[Any]) -> set[Any]:
        return set(self).intersection(*others)

    def difference(self, *others: Iterable[Any]) -> set[Any]:
        return set(self).difference(*others)

    def symmetric_difference(self, other: Iterable[Any], /) -> set[Any]:
        return set(self).symmetric_difference(other)

    def __repr__(self) -> str:
        return repr(set(self))

    def copy(self) -> set[Any]:
        return set(self)

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> set[Any]:
        return _deepcopy_plain(self, set(self), memo)  # type: ignore[no-any-return]  # a copy of it

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> tuple[Any, ...]:
        return set, (list(self),)


Tracked = TrackedList | TrackedDict | TrackedSet
KIND.update({TrackedList: LIST, TrackedDict: DICT, TrackedSet: SET})
TRACKED = frozenset({TrackedList, TrackedDict, TrackedSet})


def _open_log(container: Any) -> list[Any]:
    """Return the log of a container, opened by its home on the first write."""
    log: list[Any] | None = container.log
    if log is None:
        # Cut loose from its tree, it is an ordinary container again.
        return container.home.begin_writing(container) if container.home is not None else []
    return log


def tracked_list(home: ContainerHome, place: Any, items: Iterable[Any]) -> TrackedList:
    """Make a tracked list without logging its first items."""
    made: TrackedList = list.__new__(TrackedList)
    made.home, made.place, made.log = home, place, None
    list.extend(made, items)
    return made


def tracked_dict(home: ContainerHome, place: Any, items: Any) -> TrackedDict:
    """Make a tracked dict without logging its first items."""
    made: TrackedDict = dict.__new__(TrackedDict)
    made.home, made.place, made.log = home, place, None
    dict.update(made, items)
    return made


def tracked_set(home: ContainerHome, place: Any, items: Iterable[Any]) -> TrackedSet:
    """Make a tracked set without logging its first items."""
    made: TrackedSet = set.__new__(TrackedSet)
    made.home, made.place, made.log = home, place, None
    set.update(made, items)
    return made


def undo(container: Tracked, log: list[Any]) -> None:
    """Take logged changes back, newest first.

    A dict whose keys were deleted is not put in order here.
    """
    if isinstance(container, TrackedList):
        for at, removed, inserted in reversed(log):
            _list_set(container, slice(at, at + len(inserted)), removed)
    elif isinstance(container, TrackedDict):
        for key, old, _ in reversed(log):
            if old is ABSENT:
                _dict_del(container, key)
            else:
                _dict_set(container, key, old)
    else:
        for item, added in reversed(log):
            (set.discard if added else set.add)(container, item)


def _pairs(*args: Any, **kwargs: Any) -> Iterator[tuple[Any, Any]]:
    """Yield what `dict.update` would set, in its order and with its errors."""
    if len(args) > 1:
        raise TypeError(f"update expected at most 1 argument, got {len(args)}")
    for source in args:
        if isinstance(source, Mapping):
            yield from dict(source).items()
        elif hasattr(source, "keys"):
            yield from ((key, source[key]) for key in source.keys())  # noqa: SIM118 - its protocol
        else:
            for number, pair in enumerate(source):
                yield _pair(number, pair)
    yield from kwargs.items()


def _pair(number: int, pair: Any) -> tuple[Any, Any]:
    items = tuple(pair) if hasattr(pair, "__iter__") else None
    if items is None:
        raise TypeError(
            f"cannot convert dictionary update sequence element #{number} to a sequence"
        )
    if len(items) != 2:
        raise ValueError(
            f"dictionary update sequence element #{number} has length {len(items)}; 2 is required"
        )
    return items[0], items[1]


class _Probe:
    """Finds the member of a set that equals an item: 1.0 finds 1. An idiom of R. Hettinger's."""

    __slots__ = ("found", "item")

    def __init__(self, item: Any) -> None:
        self.item = item
        self.found = item

    def __hash__(self) -> int:
        return hash(self.item)

    def __eq__(self, other: object) -> bool:
        if self.item == other:
            self.found = other
            return True
        return False


def member_like(members: set[Any], item: Any) -> Any:
    """Return the member that equals *item*, or *item* if there is none."""
    probe = _Probe(frozenset(item) if isinstance(item, set) else item)
    _ = probe in members
    return probe.found


def _deepcopy_plain(tracked: Any, plain: Any, memo: dict[int, Any]) -> Any:
    copied = copy.deepcopy(plain, memo)
    memo[id(tracked)] = copied
    return copied
