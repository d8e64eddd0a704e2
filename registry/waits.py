"""Waits: who waits for whose turn while having turns itself, so that no circle of them forms.

An execution takes the turns of its input trees in one order, and a circle cannot arise from that.
Executions inside of others ask for more trees later, in any order: they are told in time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from registry.errors import DeadlockError
from registry.turn import Turn


class Waits:
    """Everybody who waits for a turn while having others. Bounded by the executions that run."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._waiting: dict[int, tuple[Sequence[Turn], Turn]] = {}

    @contextmanager
    def waiting(self, held: Sequence[Turn], wanted: Turn, root: str) -> Iterator[None]:
        """Note that whoever has the turns *held* waits for another one, while the block lasts.

        Raises:
            DeadlockError: Whoever has it waits, directly or not, for one of those held. *root* is
                the tree that it names.

        Cost: the turns of all who wait.
        """
        with self._mutex:
            if self._closes_circle(held, wanted):
                raise DeadlockError(root)
            self._waiting[id(held)] = (held, wanted)
        try:
            yield
        finally:
            with self._mutex:
                del self._waiting[id(held)]

    def _closes_circle(self, held: Sequence[Turn], wanted: Turn) -> bool:
        seen: list[Turn] = []
        while wanted not in seen:
            if wanted in held:
                return True
            seen.append(wanted)
            for others, next_wanted in self._waiting.values():
                if wanted in others:
                    wanted = next_wanted
                    break
        return False
