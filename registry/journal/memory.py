"""The journal in memory: what the port promises, in plain Python.

It is the reference that the other backends are compared with. What it stores dies with it.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from copy import copy

from registry import ids
from registry.clock import Clock, system_clock
from registry.errors import (
    DuplicateExecutionError,
    JournalError,
    NotFoundError,
)
from registry.ids import new_key
from registry.journal.audit import Stored, StoredEffect, StoredPart, audit
from registry.journal.chain import (
    Header,
    branch_text,
    digest_of,
    genesis,
    root_text,
    seal,
    seal_epochs,
    sealed_effects,
)
from registry.journal.effects import (
    found_in,
    id_bytes,
    number_of,
    numbers_by_root,
    spans_of,
)
from registry.journal.head_file import Head
from registry.journal.port import Checkpoint, Entry, Group, Part, Problem
from registry.journal.rules import (
    NOBODY,
    Branch,
    BranchKey,
    Tenure,
    check_apart,
    check_epochs,
    follow,
    readable,
)
from registry.journal.transcript import Transcript, refuse_used


class _Tables:
    """What is stored, as the audit reads it."""

    def __init__(self) -> None:
        self.store_id: int = new_key()
        self.headers: list[tuple[bytes, bytes]] = []
        self.log_of: dict[int, tuple[int, bytes]] = {}
        self.logs_before = 0
        self.tenure_of: dict[int, Tenure] = {}
        self.branch_of: dict[BranchKey, Branch] = {}
        self.parts_of: dict[BranchKey, dict[int, StoredPart]] = {}
        self.effect_of: dict[tuple[int, bytes], StoredEffect] = {}
        self.checkpoints_of: dict[BranchKey, dict[int, Checkpoint]] = {}

    def newest(self) -> Head:
        if not self.headers:
            return Head(0, genesis(self.store_id))
        return Head(len(self.headers), self.headers[-1][1])

    def rows(self) -> Iterator[tuple[int, bytes, bytes]]:
        for at, (header, digest) in enumerate(self.headers):
            yield at + 1, header, digest

    def branches(self) -> Iterable[Branch]:
        return self.branch_of.values()

    def tenures(self) -> Iterable[tuple[int, Tenure]]:
        return self.tenure_of.items()

    def part(self, branch: Branch, last: int) -> StoredPart | None:
        return self.parts_of.get((branch.root, branch.branch), {}).get(last)

    def part_count(self) -> int:
        return sum(map(len, self.parts_of.values()))

    def effects(self) -> Iterable[StoredEffect]:
        return sorted(self.effect_of.values(), key=lambda each: each.row)

    def log(self, row: int) -> tuple[int, bytes] | None:
        return self.log_of.get(row)

    def checkpoints(self) -> Iterator[tuple[bool, Checkpoint]]:
        for key in self.branch_of:
            for _, checkpoint in sorted(self.checkpoints_of.get(key, {}).items()):
                yield True, checkpoint

    def copy(self) -> _Tables:
        copied = _Tables()
        for name, value in vars(self).items():
            setattr(copied, name, copy(value))
        copied.parts_of = {key: copy(found) for key, found in self.parts_of.items()}
        copied.checkpoints_of = {key: copy(found) for key, found in self.checkpoints_of.items()}
        return copied


class MemoryJournal:
    """A journal that keeps everything in this process.

    Args:
        name: The store in messages.
        clock: Tells since when somebody holds an epoch.
    """

    def __init__(self, name: str = ":memory:", *, clock: Clock = system_clock) -> None:
        self._name = name
        self._clock = clock
        self._lock = threading.RLock()
        self._open = True
        self._has = _Tables()

    @property
    def name(self) -> str:
        """The store in messages."""
        return self._name

    def append(self, group: Group) -> int:
        """Store a group; return its row number. See `Journal.append`."""
        with self._held():
            row = len(self._has.headers) + 1
            new = check_epochs(group, self._has.tenure_of)
            after = follow(row, group, self._has.branch_of)
            self._check_effects(group)
            sealed = seal(row, group)
            for root in new:
                self._has.tenure_of[root] = Tenure(1, "", self._clock())
            parts = zip(group.parts, sealed.header.parts, strict=True)
            for part, told in parts:
                stored = StoredPart(row, told.checksum, part)
                self._has.parts_of.setdefault((part.root, part.branch), {})[part.last] = stored
            for effect, checksum in sealed.effects:
                self._has.effect_of[effect.root, effect.key] = StoredEffect(row, checksum, effect)
            if group.log:
                self._has.log_of[row] = sealed.header.log_checksum, group.log
            for key, branch in after.items():
                self._settle(key, branch)
            return self._put_row(sealed.header)

    def acquire(self, roots: Iterable[int], holder: str) -> dict[int, int]:
        """Become the writer of roots; return their epochs. See `Journal.acquire`."""
        with self._held():
            epochs = {}
            for root in dict.fromkeys(roots):
                epoch = self._has.tenure_of.get(root, NOBODY).epoch + 1
                self._has.tenure_of[root] = Tenure(epoch, holder, self._clock())
                epochs[root] = epoch
            self._put_row(seal_epochs(len(self._has.headers) + 1, epochs))
            return epochs

    def restore(self, transcript: Transcript) -> None:
        """Become the store that a transcript is of. See `Journal.restore`."""
        with self._held():
            refuse_used(self.name, self._newest())
            self._has = _tables_of(transcript)

    @contextmanager
    def stored(self) -> Iterator[Stored]:
        """Give all that is stored, as of now. See `Journal.stored`."""
        with self._held():
            found = self._has.copy()
        yield found

    def catalog(self, roots: Collection[int] | None = None) -> list[Entry]:
        """Return all branches, or those of some roots, oldest first."""
        with self._held():
            known = self._has.branch_of.values()
            return [each.entry() for each in known if roots is None or each.root in roots]

    def parts(
        self, root: int, branch: int, after: int = 0, until: int | None = None
    ) -> Iterator[Part]:
        """Yield the parts of a branch with some versions, in order. See `Journal.parts`."""
        with self._held():
            known = self._has.branch_of.get((root, branch))
            if known is None:
                return
            wanted = readable(known, after, until)
            found = [
                stored.part
                for stored in self._has.parts_of.get((root, branch), {}).values()
                if wanted.after < wanted.until
                and stored.part.last > wanted.after
                and stored.part.first <= wanted.until
            ]
        yield from found

    def outcome(self, root: int, execution_id: str) -> bytes | None:
        """Return the outcome of an execution that is stored; None if it is not."""
        return self.outcomes(root, [execution_id]).get(execution_id)

    def outcomes(self, root: int, execution_ids: Iterable[str]) -> dict[str, bytes]:
        """Return the outcomes of those executions that are stored, by id."""
        with self._held():
            wanted = list(execution_ids)
            given = {each: self._has.effect_of.get((root, id_bytes(each))) for each in wanted}
            found = {each: stored.effect.data for each, stored in given.items() if stored}
            numbers = [number for each in wanted if (number := number_of(each)) is not None]
            counted = self._counted(root, numbers)
        return {ids.execution_text(each): data for each, data in counted} | found

    def _counted(self, root: int, numbers: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """Yield those numbers that are stored, with their outcomes."""
        for span in spans_of(numbers):
            for (of, key), stored in self._has.effect_of.items():
                if of == root and span.low <= key < span.high:
                    yield from found_in(stored.effect, span)

    def logs(self, before: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield (row number, packed records), newest first. See `Journal.logs`."""
        with self._held():
            found = [
                (row, log)
                for row, (_, log) in reversed(self._has.log_of.items())
                if before is None or row < before
            ]
        yield from found

    def put_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Store the state of a branch as of a version that is stored."""
        with self._held():
            root, branch, version, _ = checkpoint
            known = self._has.branch_of.get((root, branch))
            if known is None or not known.forgotten <= version <= known.head:
                raise NotFoundError(f"version {version} of {branch_text(root, branch)}", self.name)
            self._has.checkpoints_of.setdefault((root, branch), {})[version] = checkpoint

    def checkpoint(self, root: int, branch: int, at: int | None = None) -> Checkpoint | None:
        """Return the newest checkpoint of a branch, up to version *at*; None if there is none."""
        with self._held():
            found = self._has.checkpoints_of.get((root, branch), {})
            versions = [version for version in found if at is None or version <= at]
            return found[max(versions)] if versions else None

    def forget(self, root: int, branch: int, before: int) -> int:
        """Let go of parts and checkpoints that only older versions need. See `Journal.forget`."""
        with self._held():
            key = (root, branch)
            known = self._has.branch_of.get(key)
            if known is None or before <= known.forgotten:
                return 0
            checkpoints = self._has.checkpoints_of.get(key, {})
            if before not in checkpoints:
                place = f"a checkpoint of {branch_text(root, branch)} at version {before}"
                raise NotFoundError(place, self.name)
            parts = self._has.parts_of.get(key, {})
            old_parts = [last for last in parts if last <= before]
            for last in old_parts:
                del parts[last]
            old = [version for version in checkpoints if version < before]
            for version in old:
                del checkpoints[version]
            self._has.branch_of[key] = known._replace(forgotten=before)
            return len(old_parts) + len(old)

    def forget_logs(self, before: int) -> int:
        """Let go of the records of rows before one; return how many rows had some."""
        with self._held():
            old = [row for row in self._has.log_of if row < before]
            for row in old:
                del self._has.log_of[row]
            self._has.logs_before = max(
                self._has.logs_before, min(before, len(self._has.headers) + 1)
            )
            return len(old)

    def check(self) -> Iterator[Problem]:
        """Read everything and yield what is wrong; memory is not, if we are right."""
        with self._held():
            found = list(audit(self._has, self._newest() if self._has.headers else None))
        yield from found

    def close(self) -> None:
        """Close it: every other call is refused from now on."""
        self._open = False

    def _held(self) -> threading.RLock:
        """Return the lock, of a journal that is open."""
        if not self._open:
            raise JournalError(self.name, "is closed", "open it again")
        return self._lock

    def _newest(self) -> Head:
        """Return number and digest of the newest row."""
        return self._has.newest()

    def _put_row(self, header: Header) -> int:
        data = header.pack()
        self._has.headers.append((data, digest_of(self._newest().digest, data)))
        return header.row

    def _check_effects(self, group: Group) -> None:
        for root, numbers in numbers_by_root(group):
            check_apart(root, numbers, self._counted(root, numbers))
        seen = set()
        for root, execution_id, _ in group.effects:
            key = (root, id_bytes(execution_id))
            if key in self._has.effect_of or key in seen:
                raise DuplicateExecutionError(root_text(root), execution_id)
            seen.add(key)

    def _settle(self, key: BranchKey, branch: Branch | None) -> None:
        """Put what is known of a branch into the catalog; None takes it out, with its data."""
        if branch is not None:
            self._has.branch_of[key] = branch
            return
        for kept in (self._has.branch_of, self._has.parts_of, self._has.checkpoints_of):
            kept.pop(key, None)


def _tables_of(transcript: Transcript) -> _Tables:
    """Return what a store has that a transcript is of."""
    has = _Tables()
    has.store_id, has.logs_before = transcript.store_id, transcript.logs_before
    has.tenure_of.update(transcript.tenures)
    has.branch_of.update(((each.root, each.branch), each) for each in transcript.branches)
    for header, digest, parts, effects, log in transcript.rows:
        row = header.row
        has.headers.append((header.pack(), digest))
        for told, part in zip(header.parts, parts, strict=True):
            if part is not None:
                stored = StoredPart(row, told.checksum, part)
                has.parts_of.setdefault((part.root, part.branch), {})[part.last] = stored
        for effect, checksum in sealed_effects(row, effects):
            has.effect_of[effect.root, effect.key] = StoredEffect(row, checksum, effect)
        if log is not None:
            has.log_of[row] = header.log_checksum, log
    for checkpoint in transcript.checkpoints:
        key = (checkpoint.root, checkpoint.branch)
        has.checkpoints_of.setdefault(key, {})[checkpoint.version] = checkpoint
    return has
