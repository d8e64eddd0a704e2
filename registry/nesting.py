"""Nesting: what runs inside one execution, and is committed or taken back with it.

The execution that nobody runs around is the *outermost*. What its callable executes joins it: on
trees that it has as a savepoint, on others as further trees of its commit. So there is one `Nest`
for each outermost execution inside which something ran, and none for most of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from registry.turn import Turn

if TYPE_CHECKING:
    from registry.transaction import Transaction
    from registry.tree import TreeRegistry
    from registry.trees import Trees


class Outer(Protocol):
    """An execution inside which others may run."""

    @property
    def is_open(self) -> bool:
        """Whether its callable still runs."""

    @property
    def nest(self) -> Nest:
        """What runs inside its outermost execution."""

    @property
    def open_txns(self) -> Sequence[Transaction]:
        """The open transactions of its outermost execution."""

    def is_of(self, trees: Trees) -> bool:
        """Tell whether it runs on the trees of a workspace."""

    def is_trial_of(self, trees: Trees) -> bool:
        """Tell whether it runs on stand-ins for the trees of a workspace."""


class Inner(Protocol):
    """What happened inside, and shares the fate of the outermost execution."""

    @property
    def outputs(self) -> Sequence[tuple[TreeRegistry, Any]]:
        """The entities that it returned, and their trees."""

    def record_with(self, outermost: Any, is_ok: bool, error_type: str) -> None:
        """Learn whether it is committed."""

    def take_back(self, outer: str, error: BaseException) -> None:
        """Learn that it was taken back with an execution that it ran inside of."""


running: ContextVar[Outer | None] = ContextVar("running", default=None)
"""The execution whose callable the current code is called by, directly or not."""


def is_inside(trees: Trees) -> bool:
    """Tell whether the current code runs inside an open execution on the trees of a workspace."""
    outer = running.get()
    return outer is not None and outer.is_open and outer.is_of(trees)


def is_inside_trial(trees: Trees) -> bool:
    """Tell whether the current code runs inside a dry run or replay on stand-ins for trees."""
    outer = running.get()
    return outer is not None and outer.is_open and outer.is_trial_of(trees)


class Nest:
    """The trees and the inner executions of one outermost execution.

    Attributes:
        trees: Trees whose turn they have, those of the outermost first.
        txns: The open transactions on them.
        provisional: Trees that inner executions began and may still drop.
        inner: Inner executions that ended, in order, failed ones too, and events that were emitted.
        is_open: Whether the outermost execution still runs its callable.
    """

    def __init__(self, trees: Sequence[TreeRegistry], txns: Sequence[Transaction]) -> None:
        self.trees = list(trees)
        self.txns = list(txns)
        self.provisional: list[TreeRegistry] = []
        self.inner: list[Inner] = []
        self.is_open = True
        self._turns: dict[int, tuple[Outer, Turn]] = {}
        self._open: list[str] = []

    @property
    def unfinished(self) -> str | None:
        """Name of a callable that runs inside at this moment."""
        return self._open[-1] if self._open else None

    def turn_inside(self, outer: Outer) -> Turn:
        """Return the turn of what runs inside one execution: its parts run one after the other."""
        return self._turns.setdefault(id(outer), (outer, Turn()))[1]

    def enter(self, name: str) -> None:
        """Note that a callable begins to run inside."""
        self._open.append(name)

    def leave(self, name: str) -> None:
        """Note that it has ended."""
        self._open.remove(name)

    def txn_on(self, tree: TreeRegistry) -> Transaction | None:
        """Return the open transaction on a tree; None if it is none of its trees."""
        for txn in self.txns:
            if txn.tree is tree:
                return txn
        return None
