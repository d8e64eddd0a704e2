"""Session: one workspace's use of a store, from opening to closing."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar

from registry.address import Ref
from registry.errors import JournalError, RecordedError, TransientError
from registry.execution import Receipt
from registry.journal.journaled_records import JournaledRecords
from registry.journal.journaled_trees import JournaledTrees
from registry.journal.outcomes import Answered, Failed, read_outcome, write_outcome
from registry.journal.port import Entry
from registry.journal.writer import Writer
from registry.nesting import is_inside
from registry.retention import Retention

_grouping: ContextVar[bool] = ContextVar("grouping", default=False)
"""Whether what is done is made durable together, by the code around."""


def process_name() -> str:
    """Return this process in words for people who look at who writes."""
    return f"process {os.getpid()} on {socket.gethostname()}"


class Session:
    """Opens the trees and records of a store, and stores what becomes of them.

    Args:
        writer: Stores it; several workspaces of one process may share one.
        retention: How much is kept in memory.
        entries: The branches that the workspace has; None: all that are stored.
        owner: See `JournaledTrees`.

    Attributes:
        writer: Collects what executions did.
        trees: The trees.
        records: The records.
    """

    def __init__(
        self,
        writer: Writer,
        retention: Retention,
        entries: Iterable[Entry] | None = None,
        owner: int = 0,
    ) -> None:
        self.writer = writer
        known = writer.journal.catalog() if entries is None else entries
        self.trees = JournaledTrees(retention, writer, process_name(), known, owner)
        self.records = JournaledRecords(retention.records, self.trees, writer)

    def sync(self) -> None:
        """Return when all that was committed is durable.

        At once inside an execution, which is not committed yet, and inside a group.

        Raises:
            JournalError: See `Writer.sync`.
        """
        if not (_grouping.get() or is_inside(self.trees)):
            self.writer.sync()

    @contextlib.contextmanager
    def group(self) -> Iterator[None]:
        """Make what is done in the block durable together, at its end."""
        try:
            with _grouped():
                yield
        finally:
            self.sync()

    def run_once(self, execution_id: str, root: Ref | None, run: Callable[[], Receipt]) -> Receipt:
        """Run an execution that has an id, unless it ran before: then return what it returned.

        Args:
            execution_id: The id; it names an execution of the root.
            root: The root that it is for.
            run: Runs it.

        Raises:
            RecordedError: It ran before, and failed.
            BaseException: Whatever it raises. If that is an `Exception`, it is the outcome, unless
                it says that the store failed, or to run it again.

        Cost: a look into the store. Executions with ids take turns.
        """
        key = 0 if root is None else int(root.root)
        with self.writer.together(), _grouped():
            known = self.writer.outcome(key, execution_id)
            if known is not None:
                return _answer(
                    execution_id, read_outcome(known, root, f"execution {execution_id!r}")
                )
            try:
                receipt = run()
            except (JournalError, TransientError):
                raise  # no outcome: it is to be run again
            except Exception as error:
                self._note(key, execution_id, Failed(type(error).__name__, str(error)), root)
                raise
            _, semantic, version, changed, value, outputs = receipt
            answered = Answered(version, changed, semantic, value, outputs)
            self._note(key, execution_id, answered, root)
            return receipt

    def _note(
        self, key: int, execution_id: str, outcome: Answered | Failed, root: Ref | None
    ) -> None:
        self.writer.note_effects({(key, execution_id): write_outcome(outcome, root)})

    def close(self) -> None:
        """Make durable what was committed, and close the store."""
        self.writer.close()


@contextlib.contextmanager
def _grouped() -> Iterator[None]:
    token = _grouping.set(True)
    try:
        yield
    finally:
        _grouping.reset(token)


def _answer(execution_id: str, outcome: Answered | Failed) -> Receipt:
    if isinstance(outcome, Failed):
        raise RecordedError(execution_id, outcome.error_type, outcome.error)
    version, changed, semantic, value, outputs = outcome
    return Receipt(execution_id, semantic, version, changed, value, outputs)
