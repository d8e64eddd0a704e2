"""Records: one for every execution, failed ones too."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from registry import ids
from registry.changeset import Commit
from registry.kept import shown
from registry.strategies import Pattern, Strategy, pattern_of, strategy_of

Status = Literal["ok", "failed"]


class TreeVersions(NamedTuple):
    """What an execution read and made of one tree: version before and after.

    Equal if nothing changed.
    """

    root: int
    branch: int
    before: int
    after: int


class Source(NamedTuple):
    """Where a plain argument was borrowed from.

    Attributes:
        parameter: The parameter.
        key: The entity.
        stamp: The stamp of its `ecs_id`.
        path: The path below the entity, as an address writes it.
    """

    parameter: str
    key: int
    stamp: int
    path: str

    @property
    def address(self) -> str:
        """The address of the value in the version that was read."""
        return f"@{ids.to_uuid(self.key, self.stamp)}{self.path}"


class Record(NamedTuple):
    """One execution, packed: atoms and tuples of atoms only, so that many of them weigh little.

    Attributes:
        execution_id: Id of the execution.
        callable_name: Registered name.
        status: `ok` or `failed`.
        semantic: How the result relates to the inputs; None for failures, and for plain results
            that were given to the caller as they are.
        trees: Per input tree: root, branch, version before and after.
        inputs: (parameter, key of the entity), in order; then those that values were borrowed from.
        arguments: (parameter, plain value), in order: atoms and small containers of such as they
            were, of any other value a `KeptText`, see `kept.py`. Last, if the holder of a
            snapshot had edited it, ("@edits", how many fields).
        outputs: (key, stamp) of the entities returned, in order; of a plain result, that of its
            output entity.
        changed: Number of entities that got a new `ecs_id`.
        error_type: Name of the exception's class; empty if there was none.
        error: Its text.
        started: When the execution began, seconds since the epoch.
        run_s: How long the callable ran.
        commit_s: How long finding and storing the changes took.
        sources: Where plain arguments were borrowed from, for those given as addresses.
        strategy: Which kinds of inputs there were, see `strategies.py`; of what was refused before
            it was bound, that of the signature.
        pattern: Likewise.
        parent: Id of the execution that this one ran inside of, or None.
        queued_s: How long it waited, with its arguments being checked, until it had the turns on
            its trees; 0.0 where the usual execution found them free.
    """

    execution_id: str
    callable_name: str
    status: Status
    semantic: str | None
    trees: tuple[TreeVersions, ...]
    inputs: tuple[tuple[str, int], ...]
    arguments: tuple[tuple[str, Any], ...]
    outputs: tuple[tuple[int, int], ...]
    changed: int
    error_type: str
    error: str
    started: float
    run_s: float
    commit_s: float
    sources: tuple[Source, ...] = ()
    strategy: Strategy = "no_inputs"
    pattern: Pattern = "direct"
    parent: str | None = None
    queued_s: float = 0.0

    @property
    def started_at(self) -> datetime:
        """When the execution began, UTC."""
        return datetime.fromtimestamp(self.started, UTC)

    @property
    def output_ids(self) -> list[UUID]:
        """`ecs_id`s of the entities returned, in order."""
        return [ids.to_uuid(*each) for each in self.outputs]


class Adopted(NamedTuple):
    """A root that became part of the workspace, as the log keeps it: among the records.

    Attributes:
        mark: None, where a record has a number: it tells them apart.
        kind: `registered` if nobody had it, `promoted` if it was an argument, `detached` if it was
            part of another tree.
        key: The root.
        branch: Its branch.
        adopted_at: When, seconds since the epoch.
        execution_id: Execution that did it, see `ids.execution_text`; empty for a call of `add`.
        callable_name: Its callable; likewise.
        left_key: Root of the tree that it was part of; 0 if it was part of none.
        left_stamp: The stamp of that root's `ecs_id` in the version without it.
    """

    mark: None
    kind: Literal["registered", "promoted", "detached"]
    key: int
    branch: int
    adopted_at: float
    execution_id: int | str = ""
    callable_name: str = ""
    left_key: int = 0
    left_stamp: int = 0


Packed = tuple[Any, ...]
"""A record as it is kept: pairs are flattened, names of parameters shared; see `unpack`.

Or the fields of an `Adopted`.
"""

_JOINT_NUMBER = Commit._fields.index("execution_id")


class RecordLog:
    """The newest records of a workspace, oldest first, and the adoptions between them.

    As long as nobody listens or reads `since` a position, adding is the `append` of a deque, which
    drops the oldest and counts nothing. From then on what is dropped is counted, so that positions
    last, and told to a listener: about 0.2 us each.

    Attributes:
        add: Appends a record, or an adoption.
        listener: Called with all that is added, by the thread that adds it; see `attend`.
    """

    def __init__(self, most: int) -> None:
        self._entries: deque[Packed] = deque(maxlen=most)
        self.add: Callable[[Packed], None] = self._entries.append
        self.listener: Callable[[Packed], None] | None = None
        self._dropped = 0
        self._mutex = threading.Lock()

    def __len__(self) -> int:
        return len(self._records)

    def together(self) -> AbstractContextManager[None]:
        """Keep records that are added in the block together, also in a store; see `journal/`."""
        return nullcontext()

    def read_stored(self) -> None:
        """Read what earlier processes stored, before the first answer; see `journal/`."""

    @property
    def _records(self) -> list[Packed]:
        self.read_stored()
        return [entry for entry in list(self._entries) if entry[0] is not None]

    def attend(self) -> None:
        """Count from now on, and tell the listener."""
        self.read_stored()
        self.add = self._add_attended

    def _add_attended(self, packed: Packed) -> None:
        entries = self._entries
        with self._mutex:
            self._dropped += len(entries) == entries.maxlen
            entries.append(packed)
        if self.listener is not None:
            self.listener(packed)

    def since(self, position: int = 0) -> tuple[int, list[Packed]]:
        """Return all that is kept from a position on, and the position of the first of it.

        Positions count what was added since somebody first asked; what was kept then begins at 0.

        Cost: a copy of the log.
        """
        self.attend()
        with self._mutex:
            entries, first = list(self._entries), self._dropped
        start = min(max(position - first, 0), len(entries))
        return first + start, entries[start:]

    @property
    def bounds(self) -> tuple[int, int]:
        """Position of the oldest that is kept, and of what will be added next; see `since`."""
        self.attend()
        with self._mutex:
            return self._dropped, self._dropped + len(self._entries)

    def select(self) -> list[Record]:
        """Return the records that are kept, oldest first."""
        return list(self.newest())[::-1]

    def newest(
        self,
        name: str | None = None,
        key: int | None = None,
        status: Status | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[Record]:
        """Yield the records that fit, newest first.

        Args:
            name: Name of the callable.
            key: An entity that is among the inputs or outputs, or the root of one.
            status: `ok` or `failed`.
            since: When the execution began, or later.
            until: Before that it began.

        Cost: reads each record that is kept, until the caller has enough.
        """
        for packed in reversed(self._records):
            record = unpack(packed)
            if name is not None and record.callable_name != name:
                continue
            if status is not None and record.status != status:
                continue
            if since is not None and record.started_at < since:
                continue
            if until is not None and record.started_at >= until:
                continue
            if key is not None and not _concerns(record, key):
                continue
            yield record

    def find(self, execution_ids: Iterable[str]) -> dict[str, Packed]:
        """Return the records of some executions as they are kept, those that are; the newest each.

        Cost: a look at each record that is newer than the oldest of them: about 60 ns each.
        """
        wanted: dict[int | str, str] = {}
        for text in execution_ids:
            wanted[text] = text
            with contextlib.suppress(ValueError):
                wanted[int(text, 16)] = text
        found: dict[str, Packed] = {}
        most = len(set(wanted.values()))
        for packed in reversed(list(self._records)):
            number = packed[_JOINT_NUMBER if _is_joint(packed) else 0]
            if number in wanted and ids.execution_text(number) == wanted[number]:
                found.setdefault(wanted[number], packed)
                if len(found) == most:
                    break
        return found


def commit_in(packed: Packed) -> Commit | None:
    """Return the commit that a record is kept together with, if it is; see `unpack`."""
    is_joint = not isinstance(packed[1], str)  # a commit has the time there, a record the name
    return Commit(*packed[: len(Commit._fields)]) if is_joint else None


def unpack(packed: Packed) -> Record:
    """Return a record as kept in the log in its readable form.

    In the usual case (see `plain.py`) a record and the commit that it tells of are one tuple: the
    fields of the `Commit`, then the rest of the record.
    """
    if _is_joint(packed):
        packed = apart(packed)
    number, name, status, semantic, trees, inputs, names, values, outputs = packed[:9]
    *rest, borrowed, strategy, pattern, parent, queued_s = packed[9:]
    parent_id = None if parent is None else ids.execution_text(parent)
    given = _grouped(inputs, 2)
    entities = {each for each, _ in given}
    sources = tuple(Source(*each) for each in _grouped(borrowed, 4))
    arguments = zip(names, values, strict=True)
    return Record(
        ids.execution_text(number),
        name,
        status,
        semantic,
        tuple(TreeVersions(*each) for each in _grouped(trees, 4)),
        (*given, *((each.parameter, each.key) for each in sources)),
        tuple((each, shown(value)) for each, value in arguments if each not in entities),
        _grouped(outputs, 2),
        *(*rest, sources, strategy, pattern, parent_id, queued_s),
    )


def values_of(packed: Packed) -> dict[str, Any]:
    """Return what a record keeps of each argument, by parameter, in the form of `kept.py`.

    In place of an entity, or of what holds some, is nothing that counts: see the inputs.
    """
    if _is_joint(packed):
        packed = apart(packed)
    return dict(zip(packed[6], packed[7], strict=True))


def _is_joint(packed: Packed) -> bool:
    """Tell whether a record is kept together with its commit; see `apart`."""
    return not isinstance(packed[1], str)  # a commit has the time there, a record the name


def apart(joint: Packed) -> Packed:
    """Return the record that was kept together with its commit.

    One entity is among the arguments: its position is kept, its key is among the values. `outputs`
    is None if the root was returned as it became, else the entity given, or an odd number of
    numbers for other entities of the tree (then 0), or one that was taken out (1); of a plain
    result it names the output entity.
    """
    version, _, number, name, *_ = joint
    root, branch, at, names, values, outputs, changed, started, run_s, commit_s = joint[
        len(Commit._fields) :
    ]
    semantic = None
    if outputs is None:
        semantic, outputs = "mutation", (root, ids.stamp(branch, version))
    elif len(outputs) % 2:  # members of the tree, or one that was taken out of it
        semantic, outputs = ("mutation", "detachment")[outputs[-1]], outputs[:-1]
    elif outputs:
        semantic = "mutation" if outputs[0] == values[at] else "creation"
    trees, inputs = (root, branch, version - 1, version), (names[at], values[at])
    return (
        *(number, name, "ok", semantic, trees, inputs, names, values, outputs, changed, "", ""),
        *(started, run_s, commit_s, ()),
        strategy_of(1, has_collection=False, has_config=False, has_plain=len(names) > 1),
        pattern_of(has_entities=True, has_others=len(names) > 1, borrows=False),
        *(None, 0.0),
    )


def _grouped(flat: Packed, size: int) -> tuple[Any, ...]:
    return tuple(flat[at : at + size] for at in range(0, len(flat), size))


def _concerns(record: Record, key: int) -> bool:
    return (
        any(each.root == key for each in record.trees)
        or any(each == key for _, each in record.inputs)
        or any(each == key for each, _ in record.outputs)
    )
