"""Compaction: a store lets go of what retention says is no longer wanted, also while others write.

What a checkpoint makes superfluous goes: the commits before it, of branches from which no other one
was forked, or merged, before. A checkpoint is a state of the past, so whoever writes need not know.
What stays for ever is which executions took effect, and with which outcome.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from registry.journal.catalog import read_about
from registry.journal.logs import read_log
from registry.journal.port import Entry, Journal
from registry.retention import Retention


class Compacted(NamedTuple):
    """What was let go.

    Attributes:
        branches: How many branches have less history now.
        parts: How many groups of commits, and checkpoints.
        logs: How many rows of records.
    """

    branches: int
    parts: int
    logs: int


def compact(journal: Journal, retention: Retention) -> Compacted:
    """Let go of what is beyond the newest versions and records that retention names.

    Checkpoints come every few thousand commits, so more is kept than is asked for, never less.

    Args:
        journal: The store.
        retention: `versions` of each branch, `records` of the store; None keeps all.

    Raises:
        JournalError: See `Journal`.

    Cost: a look at each branch, and at the records that stay; it loads no tree.
    """
    entries = journal.catalog()
    freed = [] if retention.versions is None else [
        _compact_branch(journal, each, _floor(each, entries, retention.versions))
        for each in entries
    ]  # fmt: skip
    return Compacted(sum(map(bool, freed)), sum(freed), _compact_logs(journal, retention.records))


def _floor(entry: Entry, entries: Iterable[Entry], versions: int) -> int:
    """Return the newest version before which nothing of a branch is wanted."""
    floor = entry.head - versions
    for each in entries:
        if each.root == entry.root:
            about = read_about(each)
            if about.base == entry.branch and each is not entry:
                floor = min(floor, each.start - 1)
            merged = [version for _, source, version, _ in about.merges if source == entry.branch]
            floor = min([floor, *(version - 1 for version in merged)])
    return floor


def _compact_branch(journal: Journal, entry: Entry, floor: int) -> int:
    """Let go of the history of one branch before its newest checkpoint up to a version."""
    if floor <= entry.start:
        return 0
    checkpoint = journal.checkpoint(entry.root, entry.branch, floor)
    if checkpoint is None:
        return 0
    return journal.forget(entry.root, entry.branch, checkpoint.version)


def _compact_logs(journal: Journal, most: int) -> int:
    kept = 0
    for row, data in journal.logs():
        if kept >= most:
            return journal.forget_logs(row + 1)
        kept += len(read_log(data, row)[0])
    return 0
