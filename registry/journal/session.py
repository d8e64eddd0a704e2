"""Session: one workspace's use of a store, from opening to closing."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from contextvars import ContextVar

from registry.journal.journaled_records import JournaledRecords
from registry.journal.journaled_trees import JournaledTrees
from registry.journal.port import Journal
from registry.journal.writer import Writer
from registry.nesting import is_inside
from registry.retention import Retention

_grouping: ContextVar[bool] = ContextVar("grouping", default=False)
"""Whether what is done is made durable together, by the code around."""


class Session:
    """Opens the trees and records of a store, and stores what becomes of them.

    Args:
        journal: The store.
        retention: How much is kept in memory.

    Attributes:
        writer: Collects what executions did.
        trees: The trees.
        records: The records.
    """

    def __init__(self, journal: Journal, retention: Retention) -> None:
        self.writer = Writer(journal)
        holder = f"process {os.getpid()} on {socket.gethostname()}"
        self.trees = JournaledTrees(retention, self.writer, holder)
        self.records = JournaledRecords(retention.records, self.trees, self.writer)

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
        token = _grouping.set(True)
        try:
            yield
        finally:
            _grouping.reset(token)
            self.sync()

    def close(self) -> None:
        """Make durable what was committed, and close the store."""
        self.writer.close()
