"""The output entities of a workspace that has a store: found also after another process made them.

An output entity is stored beside the record of its execution, not as a tree: few are ever asked
for. One whose value the journal cannot write is not stored; its record is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from registry.errors import NotJournalableError
from registry.ids import Key
from registry.journal.writer import Writer
from registry.outputs import OutputLog, PendingOutput
from registry.retention import Retention
from registry.tree import TreeRegistry


def _nothing() -> None:
    """Read nothing: there is nothing before."""


class JournaledOutputs(OutputLog):
    """The newest output entities of a workspace.

    Attributes:
        read_stored: Enters those of earlier processes, when one is first asked for.
    """

    def __init__(
        self,
        retention: Retention,
        hold: Callable[[TreeRegistry], object],
        let_go: Callable[[TreeRegistry], None],
        writer: Writer,
    ) -> None:
        super().__init__(retention, hold, let_go)
        self._writer = writer
        self.read_stored: Callable[[], None] = _nothing

    def keep(self, name: str, number: int | str, value: Any, now: float) -> PendingOutput:
        """Keep what an execution returned, here and in the store."""
        pending = super().keep(name, number, value, now)
        # If not, its holder has it, and nobody else will find it in another process.
        with contextlib.suppress(NotJournalableError):
            self._writer.note_output(pending)
        return pending

    def peek(self, key: int) -> TreeRegistry | None:
        """Return the tree of an output entity for a look at it; None if none is kept here."""
        if key not in self._by_key:
            self.read_stored()
        return super().peek(key)

    def restore(self, key: Key, told: tuple[str, int | str, Any, float]) -> None:
        """Keep an output entity that an earlier process stored; older than all that are here."""
        if key not in self._by_key and len(self._order) < self._most:
            name, number, value, made = told
            self._by_key[key] = PendingOutput(self, name, number, value, made, key)
            self._order.appendleft(key)
