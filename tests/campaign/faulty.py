"""A journal whose calls fail, for tests: the n-th one, before or after it took effect."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from registry.errors import JournalBusyError, JournalError, TreerunnerError
from registry.journal.audit import Stored
from registry.journal.port import Checkpoint, Entry, Group, Journal, Part, Problem
from registry.journal.transcript import Transcript


class Faults:
    """Counts the calls of a store, and says which fail.

    Attributes:
        calls: Calls so far.
        fails_at: Number of the call that fails; 0 for none.
        is_done_first: Whether it takes effect all the same.
        lasts: How many calls fail from there on.
        error: Class of the error.
        delay_s: How long each `append` takes.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.fails_at = 0
        self.is_done_first = False
        self.lasts = 1
        self.error: type[TreerunnerError] = JournalError
        self.delay_s = 0.0

    def fail(self) -> TreerunnerError:
        """Return the error of a call."""
        if self.error is JournalBusyError:
            return JournalBusyError("faulty", 0.0)
        return JournalError("faulty", "failed on purpose", "let it")

    def is_due(self) -> bool:
        """Count a call, and tell whether it fails."""
        self.calls += 1
        return bool(self.fails_at) and self.fails_at <= self.calls < self.fails_at + self.lasts


class FaultyJournal:
    """Hands all calls to another journal, but for those that fail; closing it closes nothing.

    Args:
        journal: What stores.
        faults: Which calls fail; may be shared with other journals.
    """

    def __init__(self, journal: Journal, faults: Faults) -> None:
        self._journal = journal
        self._faults = faults

    @property
    def name(self) -> str:
        """The store in messages."""
        return self._journal.name

    def _call(self, method: Any, *args: Any) -> Any:
        is_due = self._faults.is_due()
        if is_due and not self._faults.is_done_first:
            raise self._faults.fail()
        found = method(*args)
        if is_due:
            raise self._faults.fail()
        return found

    def append(self, group: Group) -> int:
        """See `Journal`."""
        if self._faults.delay_s:
            time.sleep(self._faults.delay_s)
        return int(self._call(self._journal.append, group))

    def acquire(self, roots: Iterable[int], holder: str) -> dict[int, int]:
        """See `Journal`."""
        found: dict[int, int] = self._call(self._journal.acquire, roots, holder)
        return found

    def stored(self) -> AbstractContextManager[Stored]:
        """See `Journal`."""
        return self._journal.stored()

    def restore(self, transcript: Transcript) -> None:
        """See `Journal`."""
        self._call(self._journal.restore, transcript)

    def catalog(self, roots: Collection[int] | None = None) -> list[Entry]:
        """See `Journal`."""
        found: list[Entry] = self._call(self._journal.catalog, roots)
        return found

    def parts(
        self, root: int, branch: int, after: int = 0, until: int | None = None
    ) -> Iterator[Part]:
        """See `Journal`."""
        yield from self._call(self._journal.parts, root, branch, after, until)

    def outcome(self, root: int, execution_id: str) -> bytes | None:
        """See `Journal`."""
        found: bytes | None = self._call(self._journal.outcome, root, execution_id)
        return found

    def outcomes(self, root: int, execution_ids: Iterable[str]) -> dict[str, bytes]:
        """See `Journal`."""
        found: dict[str, bytes] = self._call(self._journal.outcomes, root, execution_ids)
        return found

    def logs(self, before: int | None = None) -> Iterator[tuple[int, bytes]]:
        """See `Journal`."""
        yield from self._call(self._journal.logs, before)

    def put_checkpoint(self, checkpoint: Checkpoint) -> None:
        """See `Journal`."""
        self._call(self._journal.put_checkpoint, checkpoint)

    def checkpoint(self, root: int, branch: int, at: int | None = None) -> Checkpoint | None:
        """See `Journal`."""
        found: Checkpoint | None = self._call(self._journal.checkpoint, root, branch, at)
        return found

    def forget(self, root: int, branch: int, before: int) -> int:
        """See `Journal`."""
        return int(self._call(self._journal.forget, root, branch, before))

    def forget_logs(self, before: int) -> int:
        """See `Journal`."""
        return int(self._call(self._journal.forget_logs, before))

    def check(self) -> Iterator[Problem]:
        """See `Journal`."""
        yield from self._journal.check()

    def close(self) -> None:
        """See `Journal`."""
