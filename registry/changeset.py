"""Commit: what one execution did to one tree."""

from __future__ import annotations

from typing import NamedTuple

from registry.ids import Key


class Commit(NamedTuple):
    """One version of a tree as its registry keeps it.

    Keys and atoms only, so that millions of them weigh little.

    Attributes:
        version: Number of the version that it made.
        committed_at: Seconds since the epoch, UTC.
        execution_id: Execution that made it, see `ids.execution_text`; empty for an adoption.
        callable_name: Callable that made it; empty for an adoption.
        changed: Entities whose own values, order or children changed.
        created: Entities that entered the tree.
        removed: Entities that left the tree.
        moved: Entities that got another parent.
        outputs: (key, stamp) of the entities that the execution returned, if several.
        pages_kept: About how much memory it costs to keep the version before it, in units of 64
            bytes: small numbers are shared.
    """

    version: int
    committed_at: float
    execution_id: int | str
    callable_name: str
    changed: tuple[Key, ...]
    created: tuple[Key, ...]
    removed: tuple[Key, ...]
    moved: tuple[Key, ...]
    outputs: tuple[tuple[int, int], ...]
    pages_kept: int
