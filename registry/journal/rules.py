"""What a group does to a store, decided without one: epochs, gaps, the catalog after it.

Every backend reads what the store says of the roots and branches of a group, asks here, and writes
what comes out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from registry import ids
from registry.errors import DuplicateExecutionError, FencedError, JournalGapError, PrunedError
from registry.journal.chain import branch_text, root_text
from registry.journal.port import Entry, Group

BranchKey = tuple[int, int]
"""Root and number of a branch."""


class Branch(NamedTuple):
    """What a store knows of one branch.

    Attributes:
        root: Lineage bits of the root.
        branch: Number of the branch.
        start: Version that it starts from.
        head: Newest version that is stored.
        forgotten: Version up to which parts were let go; `start` if none were.
        born: Row that began it.
        noted: Row with the newest note; 0 if there is none.
        about: That note.
    """

    root: int
    branch: int
    start: int
    head: int
    forgotten: int
    born: int
    noted: int
    about: bytes

    def entry(self) -> Entry:
        """Return what the catalog says of it."""
        return Entry(self.root, self.branch, self.start, self.head, self.about)


class Tenure(NamedTuple):
    """Who may write a root.

    Attributes:
        epoch: Rises by one with each writer; 0 if nobody has written it yet.
        holder: Who, in words for people; empty if the root is new and was never acquired.
        since: Seconds since the epoch of the clock.
    """

    epoch: int
    holder: str
    since: float


NOBODY = Tenure(0, "", 0.0)


def written_roots(group: Group) -> dict[int, None]:
    """Return the roots that a group writes to, in order; their epochs have to be right."""
    return dict.fromkeys(
        [*[part.root for part in group.parts], *[root for root, *_ in group.notes]]
    )


def written_branches(group: Group) -> dict[BranchKey, None]:
    """Return the branches that a group writes to, in order."""
    return dict.fromkeys(
        [
            *[(root, branch) for root, branch, *_ in group.notes],
            *[(part.root, part.branch) for part in group.parts],
        ]
    )


def check_epochs(group: Group, found: Mapping[int, Tenure]) -> list[int]:
    """Return the roots that are new, whose epoch is 1 from now on.

    Args:
        group: What is to be stored.
        found: Who may write, for each written root and each root with a given epoch.

    Raises:
        FencedError: Somebody else may.
    """
    written = written_roots(group)
    for root in {**written, **group.epochs}:
        tenure = found.get(root, NOBODY)
        held = group.epochs.get(root, 1 if tenure.epoch == 0 else 0)
        if held != (tenure.epoch or 1):
            raise FencedError(root_text(root), held, tenure.epoch, tenure.holder)
    return [root for root in written if found.get(root, NOBODY).epoch == 0]


def follow(
    row: int, group: Group, found: Mapping[BranchKey, Branch]
) -> dict[BranchKey, Branch | None]:
    """Return what is to be known of each branch of a group after it; None if it is taken out.

    Args:
        row: Number of the row that the group becomes.
        group: What is to be stored.
        found: What is known of its branches; without those that are new.

    Raises:
        JournalGapError: A part does not begin after the head of its branch.
    """
    after: dict[BranchKey, Branch] = {}
    gone: dict[BranchKey, bool] = {}
    for root, branch, start, about in group.notes:
        key = (root, branch)
        known = after.get(key) or found.get(key)
        if known is None:
            known = Branch(root, branch, start, start, start, row, row, about)
        after[key] = known._replace(noted=row, about=about)
        gone[key] = not about
    for part in group.parts:
        key = (part.root, part.branch)
        known = after.get(key) or found.get(key) or Branch(*key, 0, 0, 0, row, 0, b"")
        if part.first != known.head + 1 or part.last < part.first:
            raise JournalGapError(root_text(part.root), part.branch, known.head, part.first)
        after[key] = known._replace(head=part.last)
    return {key: None if gone.get(key) else branch for key, branch in after.items()}


def check_apart(root: int, numbers: Iterable[int], stored: Iterable[tuple[int, bytes]]) -> None:
    """Refuse executions that are stored already, or come twice.

    Args:
        root: Their root.
        numbers: Their numbers.
        stored: Those of them that are stored.

    Raises:
        DuplicateExecutionError: One is; names the one with the lowest number.
    """
    again = min((number for number, _ in stored), default=None)
    if again is None:
        counts = Counter(numbers)
        again = min((each for each, count in counts.items() if count > 1), default=None)
    if again is not None:
        raise DuplicateExecutionError(root_text(root), ids.execution_text(again))


class Range(NamedTuple):
    """Versions to read: after one, up to another."""

    after: int
    until: int


def readable(known: Branch, after: int, until: int | None) -> Range:
    """Return which versions of a branch reading gives.

    Raises:
        PrunedError: Some of them were let go.
    """
    after = max(after, known.start)
    until = known.head if until is None else min(until, known.head)
    if after < known.forgotten and after < until:
        place = branch_text(known.root, known.branch)
        raise PrunedError(place, after + 1, known.forgotten)
    return Range(after, until)
