"""Feed: the events of all that is retained, in the order of commits, from a cursor on.

A reader that comes late, or comes again, misses nothing that the record log keeps, and needs no
subscription: every execution, failed ones too, and every root that was adopted is an entry of the
log, and its events are derived when they are read. Events of users' own are told to those who
listen and not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from registry import ids
from registry.errors import CursorError
from registry.events import BUILT_IN, Classes, Event, Wants, derive
from registry.records import Packed, RecordLog, unpack
from registry.trees import Trees


class Cursor(NamedTuple):
    """A place between two events of a workspace's feed; a later one is greater.

    Attributes:
        entry: How many entries of the log are before it, counted from when somebody first asked.
        event: How many events of the next entry are.
    """

    entry: int
    event: int


class Told(NamedTuple):
    """An event, and the cursor to read on after it."""

    cursor: Cursor
    event: Event


def end_of(log: RecordLog) -> Cursor:
    """Return the cursor after all that has happened."""
    return Cursor(log.bounds[1], 0)


def read(log: RecordLog, trees: Trees, after: Cursor | None, wanted: Wants) -> Iterator[Told]:
    """Yield what happened after a cursor and is wanted, oldest first, as of now.

    Raises:
        CursorError: The cursor is of another workspace, or retention has dropped what comes next:
            at once, not when the first event is asked for.

    Cost: a copy of the log, then that of the entries read.
    """
    first, newest = log.bounds
    start = Cursor(first, 0) if after is None else Cursor(*after)
    if not first <= start.entry <= newest or start.event < 0:
        raise CursorError(start, first, newest)
    at, entries = log.since(start.entry)
    if at > start.entry and after is not None:  # dropped this very moment
        raise CursorError(start, at, newest)
    return _told(at, entries, start, trees, frozenset(filter(wanted, BUILT_IN)))


def _told(
    at: int, entries: list[Packed], start: Cursor, trees: Trees, wanted: Classes
) -> Iterator[Told]:
    parents = _parents(entries)
    for position, packed in enumerate(entries, at):
        events = list(derive(packed, trees, wanted, _root_id(packed, parents)))
        for index, event in enumerate(events):
            if event is None or (position == start.entry and index < start.event):
                continue
            is_last = index + 1 == len(events)
            yield Told(Cursor(position + 1, 0) if is_last else Cursor(position, index + 1), event)


def _parents(entries: list[Packed]) -> dict[str, str]:
    """Return the execution around each one that ran inside another; those around come later."""
    parents = {}
    for packed in entries:
        # What is kept together with its commit ran inside nothing.
        if packed[0] is not None and isinstance(packed[1], str):
            record = unpack(packed)
            if parent := record.parent:
                parents[record.execution_id] = parent
    return parents


def _root_id(packed: Packed, parents: dict[str, str]) -> str | None:
    if packed[0] is None or not parents or not isinstance(packed[1], str):
        return None
    execution_id = ids.execution_text(packed[0])
    while execution_id in parents:
        execution_id = parents[execution_id]
    return execution_id
