"""Reading on, a page at a time: the parts of a branch without a gap, the records newest first.

A page is one look at the store. Between two of them others may write, and let go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from registry.errors import JournalDamagedError, NotFoundError, PrunedError, TreerunnerError
from registry.journal.chain import branch_text
from registry.journal.port import Part
from registry.journal.rows import read_records
from registry.journal.rules import Branch, BranchKey, Range

PARTS_AT_ONCE = 32
LOGS_AT_ONCE = 16
_NEWEST = (1 << 63) - 1


def read_parts(
    wanted: Range, page: Callable[[int], list[Part]], gap: Callable[[int], TreerunnerError]
) -> Iterator[Part]:
    """Yield the parts that hold some versions, in order. See `Journal.parts`.

    Args:
        wanted: The versions.
        page: Gives the next parts of the branch, with versions after one.
        gap: Gives the error that says why a version is not there.
    """
    reached, is_first = wanted.after, True
    while reached < wanted.until:
        found = page(reached)
        if not found:
            raise gap(reached + 1)
        for part in found:
            if reached >= wanted.until:
                return
            if part.first > reached + 1 or (part.first <= reached and not is_first):
                raise gap(reached + 1)
            yield part
            reached, is_first = part.last, False


def gap_in(store: str, key: BranchKey, found: Branch | None, version: int) -> TreerunnerError:
    """Return why the part with a version is not there: it was let go meanwhile, or is lost.

    Args:
        store: The store in messages.
        key: The branch.
        found: What is known of it now; None if it was taken out.
        version: The version.
    """
    if found is None:
        return NotFoundError(branch_text(*key), store)
    if version <= found.forgotten:
        return PrunedError(branch_text(*key), version, found.forgotten)
    return JournalDamagedError(f"{branch_text(*key)}, version {version}", "is not there")


def read_logs(
    before: int | None, page: Callable[[int], Sequence[Sequence[Any]]]
) -> Iterator[tuple[int, bytes]]:
    """Yield (row number, packed records), newest first. See `Journal.logs`.

    Args:
        before: Only older rows; None for all.
        page: Gives the newest `LOGS_AT_ONCE` rows of the table before one.
    """
    upper = _NEWEST if before is None else before
    while True:
        found = page(upper)
        for values in found:
            yield read_records(values)
        if len(found) < LOGS_AT_ONCE:
            return
        upper = found[-1][0]
