"""Passivation: branches of a tree that are not used let go of their live objects.

A thousand forks, each touched once, would else each show its lists as live objects for ever.
"""

from __future__ import annotations

import weakref
from collections import deque
from typing import Protocol

from registry.turn import Turn

_MOST_AWAKE = 16
"""Forks of one tree that keep their live objects whether they are used or not."""


class Passive(Protocol):
    """What can let go of its live objects."""

    head: int
    turn: Turn

    def passivate(self) -> None:
        """Let go of the live objects."""


class Passivation:
    """The forks of one tree that have live objects, in the order in which they got them."""

    def __init__(self) -> None:
        self._awake: deque[tuple[weakref.ref[Passive], int]] = deque()

    def wake(self, fork: Passive) -> None:
        """Note that a fork gets live objects, and let those rest that have had theirs longest.

        One that was used since it was last looked at comes later. Cost: amortised constant, beside
        the nodes of the forks that rest.
        """
        self._awake.append((weakref.ref(fork), fork.head))
        for _ in range(len(self._awake) - _MOST_AWAKE):
            seen, head = self._awake.popleft()
            tree = seen()
            if tree is None:
                continue
            if tree.head == head and tree.turn.take_if_free():
                tree.passivate()
                tree.turn.give_back()
            else:
                self._awake.append((seen, tree.head))
