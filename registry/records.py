"""Records: one for every execution, failed ones too."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from registry import ids
from registry.changeset import Commit

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
        semantic: How the result relates to the inputs; None for plain results and failures.
        trees: Per input tree: root, branch, version before and after.
        inputs: (parameter, key of the entity), in order; then those that values were borrowed from.
        arguments: (parameter, text of the plain value or the value itself if it is an atom), in
            order.
        outputs: (key, stamp) of the entities returned, in order.
        changed: Number of entities that got a new `ecs_id`.
        error_type: Name of the exception's class; empty if there was none.
        error: Its text.
        started: When the execution began, seconds since the epoch.
        run_s: How long the callable ran.
        commit_s: How long finding and storing the changes took.
        sources: Where plain arguments were borrowed from, for those given as addresses.
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

    @property
    def started_at(self) -> datetime:
        """When the execution began, UTC."""
        return datetime.fromtimestamp(self.started, UTC)

    @property
    def output_ids(self) -> list[UUID]:
        """`ecs_id`s of the entities returned, in order."""
        return [ids.to_uuid(*each) for each in self.outputs]


Packed = tuple[Any, ...]
"""A record as it is kept: pairs are flattened, names of parameters shared; see `unpack`."""

_JOINT_FIELDS = len(Commit._fields) + 10
"""Fields of a record that is kept together with its commit; see `_apart`."""


_JOINT_NUMBER = Commit._fields.index("execution_id")


class RecordLog:
    """The newest records of a workspace, oldest first."""

    def __init__(self, most: int) -> None:
        self._records: deque[Packed] = deque(maxlen=most)
        self.add = self._records.append

    def __len__(self) -> int:
        return len(self._records)

    def find(self, execution_id: str) -> Record | None:
        """Return the newest record of an execution, if one is kept.

        Cost: a look at each newer one.
        """
        for packed in reversed(list(self._records)):
            number = packed[_JOINT_NUMBER if len(packed) == _JOINT_FIELDS else 0]
            if number == execution_id or ids.execution_text(number) == execution_id:
                return unpack(packed)
        return None

    def select(
        self, name: str | None = None, key: int | None = None, status: Status | None = None
    ) -> Iterator[Record]:
        """Yield the records that fit, oldest first.

        Args:
            name: Name of the callable.
            key: An entity that is among the inputs or outputs, or the root of one.
            status: `ok` or `failed`.

        Cost: reads all records that are kept.
        """
        for packed in list(self._records):
            record = unpack(packed)
            if name is not None and record.callable_name != name:
                continue
            if status is not None and record.status != status:
                continue
            if key is not None and not _concerns(record, key):
                continue
            yield record


def unpack(packed: Packed) -> Record:
    """Return a record as kept in the log in its readable form.

    In the usual case (see `plain.py`) a record and the commit that it tells of are one tuple: the
    fields of the `Commit`, then the rest of the record.
    """
    if len(packed) == _JOINT_FIELDS:
        packed = _apart(packed)
    number, name, status, semantic, trees, inputs, names, values, outputs = packed[:9]
    given = _grouped(inputs, 2)
    entities = {each for each, _ in given}
    sources = tuple(Source(*each) for each in _grouped(packed[-1], 4))
    return Record(
        ids.execution_text(number),
        name,
        status,
        semantic,
        tuple(TreeVersions(*each) for each in _grouped(trees, 4)),
        (*given, *((each.parameter, each.key) for each in sources)),
        tuple(
            (each, value) for each, value in zip(names, values, strict=True) if each not in entities
        ),
        _grouped(outputs, 2),
        *(*packed[9:-1], sources),
    )


def _apart(joint: Packed) -> Packed:
    """Return the record that was kept together with its commit.

    One entity is among the arguments: its position is kept, its key is among the values. `outputs`
    is None if the root was returned as it became.
    """
    version, _, number, name, *_ = joint
    root, branch, at, names, values, outputs, changed, started, run_s, commit_s = joint[
        len(Commit._fields) :
    ]
    semantic = "mutation" if outputs != () else None
    if outputs is None:
        outputs = (root, ids.stamp(branch, version))
    trees, inputs = (root, branch, version - 1, version), (names[at], values[at])
    return (
        *(number, name, "ok", semantic, trees, inputs, names, values, outputs, changed, "", ""),
        *(started, run_s, commit_s, ()),
    )


def _grouped(flat: Packed, size: int) -> tuple[Any, ...]:
    return tuple(flat[at : at + size] for at in range(0, len(flat), size))


def _concerns(record: Record, key: int) -> bool:
    return (
        any(each.root == key for each in record.trees)
        or any(each == key for _, each in record.inputs)
        or any(each == key for each, _ in record.outputs)
    )
