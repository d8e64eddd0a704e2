"""Which jobs of a batch wait for which, and which of them may go when one ends.

    a ── ends ──> b waits for a ── goes ──> c is for the same owner as b, and behind it

A job waits until those that it depends on have ended, and until those before it which wait for the
same owner are gone. All that it waits for is earlier, so there is no circle. A job of which nobody
knows the owner yet counts as one for each of them.

Numbers only, no jobs: `order.py` knows what they stand for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final, Generic, Literal, TypeAlias, TypeVar

Item = TypeVar("Item")

ANY: Final = "any"
"""In place of an owner: it is known later which one it is."""

Owner: TypeAlias = int | Literal["any"] | None
"""Key of an owner; None: there is none, so that nothing is to be kept in order."""


@dataclass(slots=True)
class _Waiting(Generic[Item]):
    item: Item
    owner: Owner
    missing: int = 0
    """How many it waits for still."""
    behind: list[int] = field(default_factory=list)
    """Those that wait until this one is gone."""


class Dependencies(Generic[Item]):
    """The jobs of one batch that wait; each is known by its index, and has an item.

    Attributes:
        waiting: By index, in order; read-only for everybody else.
        needed: By a job that has not ended: those that wait for its end; likewise.
    """

    def __init__(self) -> None:
        self.waiting: dict[int, _Waiting[Item]] = {}
        self.needed: dict[int, list[int]] = {}
        self._last: dict[int, int] = {}
        """By owner: the last that waits for it, and came after `_barrier`."""
        self._barrier: int | None = None
        """The last that waits and is for any owner."""
        self._free: list[int] = []

    def is_held_back(self, owner: Owner) -> bool:
        """Tell whether a job that depends on nothing must wait for those before it."""
        if owner == ANY:
            return bool(self._last) or self._barrier is not None
        return owner is not None and (owner in self._last or self._barrier is not None)

    def add(self, index: int, owner: Owner, needs: Collection[int], item: Item) -> None:
        """Let a job wait, or be free at once; none that was added before has a higher index.

        Args:
            index: The job.
            owner: Whose it is.
            needs: Other jobs, each named once, none of which has ended.
            item: What `free` yields for it.
        """
        waiting = self.waiting[index] = _Waiting(item, owner)
        for needed in needs:
            self.needed.setdefault(needed, []).append(index)
        before = self._before(owner)
        for each in before:
            self.waiting[each].behind.append(index)
        waiting.missing = len(needs) + len(before)
        if owner == ANY:
            # Whoever waits for this one waits for all before it.
            self._last, self._barrier = {}, index
        elif owner is not None:
            self._last[owner] = index
        if not waiting.missing:
            heappush(self._free, index)

    def end(self, index: int) -> list[Item]:
        """Note that a job has ended; return the items of those that depend on it, in order."""
        dependents = self.needed.pop(index, [])
        for each in dependents:
            self._count_down(each)
        return [self.waiting[each].item for each in dependents]

    def free(self) -> Iterator[Item]:
        """Yield the items of jobs that may go, which wait no more; the first of an index first."""
        while self._free:
            index = heappop(self._free)
            waiting = self.waiting.pop(index)
            if self._barrier == index:
                self._barrier = None
            elif isinstance(waiting.owner, int) and self._last.get(waiting.owner) == index:
                del self._last[waiting.owner]
            for each in waiting.behind:
                self._count_down(each)
            yield waiting.item

    def take_all(self) -> list[Item]:
        """Let none wait any more; return the items, in order."""
        items = [each.item for each in self.waiting.values()]
        self.waiting.clear()
        self.needed.clear()
        self._last.clear()
        self._free.clear()
        self._barrier = None
        return items

    def _before(self, owner: Owner) -> list[int]:
        """Return those that must be gone before a new job for an owner is."""
        if owner is None:
            return []
        if owner == ANY:
            before = [*self._last.values()]
        else:
            before = [self._last[owner]] if owner in self._last else []
        # Those after the barrier wait for it themselves.
        return before or ([] if self._barrier is None else [self._barrier])

    def _count_down(self, index: int) -> None:
        waiting = self.waiting[index]
        waiting.missing -= 1
        if not waiting.missing:
            heappush(self._free, index)
