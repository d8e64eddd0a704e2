"""Provenance: why an entity or a value is what it is, back to where it came from.

    a value <── the execution that wrote it <── the arguments that it was given
                                                  │ borrowed by address: why are *they* so?
    ... <── the one before <── ... <── adoption, creation, or a copy: why was the original so?

Steps are newest first. Each is a row of the `chronicle`, with the record of its execution as far as
that is kept: a commit names its execution for as long as the version is kept, records have a limit
of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from registry import chronicle, ids, values
from registry.address import Ref, parse_address, write_path
from registry.chronicle import Aim, VersionInfo
from registry.diff import FieldChange, field_changes
from registry.errors import UsageError
from registry.ids import Key
from registry.records import Record, RecordLog, unpack
from registry.trees import Trees

_BRIEF = 60
"""Characters of a value that a line of text shows."""


class Input(NamedTuple):
    """An entity that was given to an execution.

    Attributes:
        parameter: The parameter.
        address: The entity, in the version that it was given in.
    """

    parameter: str
    address: str


@dataclass(frozen=True, slots=True)
class Borrowed:
    """Something that a value was taken from, and why that was so.

    Attributes:
        parameter: The parameter that borrowed it; empty for the original of a copy.
        address: What was read, in the version that was read.
        why: Why it was so; None at the greatest depth, or if that cannot be told.
        problem: Why that cannot be told, in words; empty if it can.
    """

    parameter: str
    address: str
    why: Why | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One version in which an entity or value became what it was until the next step.

    Attributes:
        address: It, as of this version.
        version: Number of the version.
        committed_at: When that was made, UTC.
        callable: The callable; None for an adoption, and if it is no longer kept.
        execution_id: The execution; None like `callable`.
        old: The value before; None at first, and for an entity as a whole.
        new: The value from then on; None for an entity as a whole.
        is_there: False if it went away with this version.
        is_first: Whether nothing is known of it before.
        is_back: Whether it was not there before, and had been earlier.
        changes: For an entity as a whole: its own fields that changed.
        record: The record of the execution; None if it is no longer kept, or if there was none.
        inputs: The entities that were given, in the versions that they were given in.
        borrowed: What arguments were borrowed from, by address.
    """

    address: str
    version: int
    committed_at: datetime
    callable: str | None
    execution_id: str | None
    old: Any
    new: Any
    is_there: bool
    is_first: bool
    is_back: bool
    changes: tuple[FieldChange, ...]
    record: Record | None
    inputs: tuple[Input, ...]
    borrowed: tuple[Borrowed, ...]

    @property
    def arguments(self) -> tuple[tuple[str, Any], ...]:
        """The plain arguments, as far as the record keeps them."""
        return self.record.arguments if self.record is not None else ()


@dataclass(frozen=True, slots=True)
class Why:
    """How an entity or value became what it is; `str` writes it as lines of text.

    Attributes:
        address: It, in the version that was asked about.
        steps: What made it so, newest first.
        is_complete: Whether the last step is where it began: False if older versions are no longer
            kept, or there are more steps than were asked for.
        original: What it began as a copy of, if it did.
    """

    address: str
    steps: tuple[Step, ...]
    is_complete: bool
    original: Borrowed | None

    def __str__(self) -> str:
        return "\n".join(_lines(self))


class Asking(NamedTuple):
    """How far to look.

    Attributes:
        trees: The trees.
        records: The records.
        limit: Steps of one thing, the newest.
        depth: How often to ask on, about what was borrowed or copied.
    """

    trees: Trees
    records: RecordLog
    limit: int
    depth: int


def why(asking: Asking, where: Aim) -> Why:
    """Return how what is asked about became what it is; see `Workspace.why`."""
    where = chronicle.from_holder(where)
    until = where.tree.head if where.version is None else where.version
    rows = [row for row in chronicle.history(where) if row.version <= until]
    shown = rows[-asking.limit :]
    executions = [row.execution_id for row in shown if row.execution_id is not None]
    records = {key: unpack(each) for key, each in asking.records.find(executions).items()}
    before: list[VersionInfo | None] = [None, *rows][-len(shown) - 1 : -1]
    steps = [
        _step(asking, where, row, old, records.get(row.execution_id or ""))
        for row, old in zip(shown, before, strict=True)
    ]
    is_complete = len(shown) == len(rows) and bool(rows) and _is_beginning(where, rows[0])
    original = _original(asking, where) if is_complete else None
    address = where.address if where.version is None else where.address_at(where.version)
    return Why(address, tuple(steps[::-1]), is_complete, original)


def _is_beginning(where: Aim, row: VersionInfo) -> bool:
    """Tell whether a row is where something began: nothing older is missing."""
    return row.version == 1 or where.tree.is_kept(row.version - 1) or _born(where) == row.version


def _born(where: Aim) -> int:
    found = where.tree.find_node(where.key, where.tree.head)
    return 0 if found is None else found[0].born


def _step(
    asking: Asking, where: Aim, row: VersionInfo, before: VersionInfo | None, record: Record | None
) -> Step:
    return Step(
        where.address_at(row.version),
        row.version,
        row.committed_at,
        row.callable,
        row.execution_id,
        None if before is None else before.value,
        row.value,
        row.is_there,
        before is None,
        before is not None and not before.is_there,
        () if where.path or before is None else _own_changes(where, row, before),
        record,
        () if record is None else tuple(_inputs(asking.trees, record)),
        () if record is None else tuple(_sources(asking, record)),
    )


def _own_changes(where: Aim, row: VersionInfo, before: VersionInfo) -> tuple[FieldChange, ...]:
    if not (row.is_there and before.is_there):
        return ()
    ref = Ref(where.tree.key, where.key, where.tree.branch)
    return tuple(field_changes(where.tree, ref, before.version, row.version))


def _inputs(trees: Trees, record: Record) -> Iterator[Input]:
    """Yield the entities that an execution was given, as far as their trees are held."""
    borrowed = {(source.parameter, source.key) for source in record.sources}
    for parameter, number in record.inputs:
        key = ids.plain(number)
        if (parameter, key) in borrowed:
            continue
        for versions in record.trees:
            tree = trees.held(versions.root, versions.branch)
            if tree is not None and tree.contains(key, versions.before):
                stamp = tree.stamp_of(key, versions.before)
                yield Input(parameter, f"@{ids.to_uuid(key, stamp)}")
                break


def _sources(asking: Asking, record: Record) -> Iterator[Borrowed]:
    """Yield what the arguments of an execution were borrowed from.

    Whatever else notes where values come from has its place here.
    """
    for source in record.sources:
        yield _asked_on(asking, source.parameter, source.address)


def _original(asking: Asking, where: Aim) -> Borrowed | None:
    """Return what an entity is a copy of, or the same value of that, if it is one."""
    found = where.tree.find_node(where.key, where.tree.head)
    if found is None or found[0].source is None:
        return None
    return _asked_on(asking, "", f"@{_source_id(found[0].source)}{write_path(where.path)}")


def _source_id(source: tuple[int, int]) -> UUID:
    return ids.to_uuid(Key(source[0]), source[1])


def _asked_on(asking: Asking, parameter: str, address: str) -> Borrowed:
    if asking.depth < 1:
        return Borrowed(parameter, address, None)
    try:
        where = chronicle.aim(asking.trees, parse_address(address), is_exact=True)
        return Borrowed(parameter, address, why(asking._replace(depth=asking.depth - 1), where))
    except UsageError as error:  # its tree is elsewhere, or it is no longer kept
        return Borrowed(parameter, address, None, str(error))


# --- text ---


def _lines(why: Why) -> Iterator[str]:
    yield why.address
    for step in why.steps:
        yield f"  {step_title(step)}"
        for line in step_notes(step):
            yield f"      {line}"
        for borrowed in step.borrowed:
            yield from _indented("      ", borrowed_title(borrowed), borrowed.why)
    if why.original is not None:
        yield from _indented("  ", borrowed_title(why.original), why.original.why)
    if not why.is_complete:
        yield "  ... what was before is not shown, or no longer kept"


def _indented(indent: str, title: str, inner: Why | None) -> Iterable[str]:
    lines = [title] if inner is None else [title, *list(_lines(inner))[1:]]
    return [indent + line for line in lines]


def step_title(step: Step) -> str:
    """Return what happened in one line: `version 3: 'a' -> 'b' by rename, <time> (execution 1f)`.

    The same for `str` and for terminals.
    """
    if step.execution_id is not None:
        by = f"by {step.callable}"
    else:
        by = "as adopted" if step.version == 1 else "by an execution that is no longer kept"
    at = step.committed_at.isoformat(sep=" ", timespec="seconds")
    number = f" (execution {step.execution_id})" if step.execution_id is not None else ""
    return f"version {step.version}: {_what(step)} {by}, {at}{number}"


def _what(step: Step) -> str:
    if not step.is_there:
        return "went away"
    if not parse_address(step.address).path:
        if step.is_first:
            return "began"
        if step.is_back:
            return "came back"
        return "changed" if step.changes else "something below it changed"
    return brief(step.new) if step.is_first else f"{brief(step.old)} -> {brief(step.new)}"


def step_notes(step: Step) -> Iterator[str]:
    """Yield what else there is to say about a step, a line each: fields, arguments, inputs."""
    for change in step.changes:
        yield f"{change.field}: {brief(change.old)} -> {brief(change.new)}"
    if step.record is None and step.execution_id is not None:
        yield "its record is no longer kept"
    for given in step.inputs:
        yield f"{given.parameter} = {given.address}"
    borrowed = {each.parameter for each in step.borrowed}
    for name, value in step.arguments:
        if name not in borrowed:
            yield f"{name} = {brief(value)}"


def borrowed_title(borrowed: Borrowed) -> str:
    """Return in one line where something was taken from."""
    what = f"{borrowed.parameter} borrowed from" if borrowed.parameter else "copied from"
    problem = f": {borrowed.problem}" if borrowed.problem else ""
    return f"{what} {borrowed.address}{problem}"


def brief(value: Any) -> str:
    """Return a value in a line of text, cut; entities as their addresses."""
    text = " ".join(_spelled(value).split())
    return text if len(text) <= _BRIEF else text[: _BRIEF - 3] + "..."


def _spelled(value: Any) -> str:
    if isinstance(value, Ref):
        return value.address
    if type(value) is list:
        return "[" + ", ".join(map(_spelled, value[:_BRIEF])) + "]"
    if type(value) is dict:
        pairs = list(value.items())[:_BRIEF]
        return "{" + ", ".join(f"{key!r}: {_spelled(each)}" for key, each in pairs) + "}"
    return values.shown(value, _BRIEF)
