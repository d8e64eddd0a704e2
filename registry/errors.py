"""Every error of the registry, in three families by what the caller does next.

`UsageError`: fix the code or the input. `TransientError`: run it again; a retry loop needs to know
    this class only. `JournalError`: stop, and look after the store.
Every error survives pickling: `args` are the arguments of `__init__`, the text is built in
    `__str__`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple
from uuid import UUID

_TEXT = 120
"""Characters of an address that a message shows."""
_LINES = 8
"""Dependents or conflicts that a message lists."""


class TreerunnerError(Exception):
    """Root of every error that Treerunner raises on purpose."""


class UsageError(TreerunnerError):
    """The call, the class or the data is at fault; running it again will not help."""


class TransientError(TreerunnerError):
    """Somebody else was in the way; the same call may succeed later."""


class JournalError(TreerunnerError):
    """The store could not be read or written: full, read-only, gone, or not one of ours.

    Whether what was to be stored took effect is unknown: forget what is in memory, load again.
    """

    def __init__(self, store: str, problem: str, way_out: str) -> None:
        super().__init__(store, problem, way_out)
        self.store = store
        self.problem = problem
        self.way_out = way_out

    def __str__(self) -> str:
        return f"journal {self.store} {self.problem}; {self.way_out}"


class EntityClassError(UsageError, TypeError):
    """A class of entities redefines a name that identity needs."""

    def __init__(self, cls: str, name: str) -> None:
        super().__init__(cls, name)
        self.cls = cls
        self.name = name

    def __str__(self) -> str:
        return (
            f"{self.cls} redefines {self.name!r}, which every entity has already; "
            "give the field another name"
        )


class RegistrationError(UsageError):
    """A function cannot be registered as it is."""

    def __init__(self, callable_name: str, reason: str) -> None:
        super().__init__(callable_name, reason)
        self.callable_name = callable_name
        self.reason = reason

    def __str__(self) -> str:
        return f"callable {self.callable_name!r} {self.reason}"


class ArgumentError(UsageError, ValueError):
    """An argument does not fit the callable's signature; nothing has run."""

    def __init__(self, callable_name: str, parameter: str, given: str, expected: str) -> None:
        super().__init__(callable_name, parameter, given, expected)
        self.callable_name = callable_name
        self.parameter = parameter
        self.given = given
        self.expected = expected

    def __str__(self) -> str:
        return (
            f"callable {self.callable_name!r}, parameter {self.parameter!r}: "
            f"got {self.given}, expected {self.expected}"
        )


class NotFoundError(UsageError, LookupError):
    """A callable, root, entity or version that was asked for is not here."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(what, where)
        self.what = what
        self.where = where

    def __str__(self) -> str:
        return f"{self.what} is not in {self.where}"


class AddressError(UsageError, ValueError):
    """A text that was given as an address is none."""

    def __init__(self, text: str, problem: str, position: int) -> None:
        super().__init__(text, problem, position)
        self.text = text
        self.problem = problem
        self.position = position

    def __str__(self) -> str:
        return (
            f"{_short(self.text)} is not an address: {self.problem} "
            f"(at character {self.position}); write @<id>, and a path as in @<id>.items.0.name"
        )


class PathError(UsageError, LookupError):
    """A field, position or key on the path of an address is not there."""

    def __init__(self, address: str, part: int, what: str, where: str) -> None:
        super().__init__(address, part, what, where)
        self.address = address
        self.part = part
        self.what = what
        self.where = where

    def __str__(self) -> str:
        return f"{self.what} is not in {self.where} (part {self.part} of {_short(self.address)})"


class NameTakenError(UsageError):
    """A root cannot get a name that another one has."""

    def __init__(self, name: str, owner: str) -> None:
        super().__init__(name, owner)
        self.name = name
        self.owner = owner

    def __str__(self) -> str:
        return f"the name {self.name!r} belongs to {self.owner}; give this root another one"


class IdentityTakenError(UsageError):
    """An orphan has the identity of a root that is there already: it is that root, or a copy."""

    def __init__(self, entity: str) -> None:
        super().__init__(entity)
        self.entity = entity

    def __str__(self) -> str:
        return (
            f"{self.entity} has the identity of a root that is held already; "
            "use the ref of that root, or add a copy with an identity of its own (model_copy)"
        )


class InUseError(UsageError):
    """A branch cannot be dropped: others were forked from it, and share its structure."""

    def __init__(self, root: str, forks: str, count: int) -> None:
        super().__init__(root, forks, count)
        self.root = root
        self.forks = forks
        self.count = count

    def __str__(self) -> str:
        return (
            f"{self.root} cannot be dropped: {self.count} branches were forked from it "
            f"({self.forks}); drop those first"
        )


class PrunedError(UsageError, LookupError):
    """A version existed, and retention has let it go."""

    def __init__(self, root: str, version: int, oldest: int) -> None:
        super().__init__(root, version, oldest)
        self.root = root
        self.version = version
        self.oldest = oldest

    def __str__(self) -> str:
        return (
            f"version {self.version} of {self.root} is no longer kept, "
            f"the oldest is {self.oldest}; "
            "keep more versions with Retention(versions=...)"
        )


class NaiveTimeError(UsageError, ValueError):
    """A time was given without its zone, so that it may mean any of many moments."""

    def __init__(self, time: str) -> None:
        super().__init__(time)
        self.time = time

    def __str__(self) -> str:
        return (
            f"the time {self.time} has no time zone; "
            "give it one, as in datetime(2030, 1, 31, tzinfo=UTC) or moment.astimezone()"
        )


class ReplayError(UsageError):
    """A recorded execution cannot be run again; nothing has run, or nothing of it is kept."""

    def __init__(self, execution_id: str, problem: str, way_out: str) -> None:
        super().__init__(execution_id, problem, way_out)
        self.execution_id = execution_id
        self.problem = problem
        self.way_out = way_out

    def __str__(self) -> str:
        return f"execution {self.execution_id} cannot be replayed: {self.problem}; {self.way_out}"


class StructureError(UsageError, ValueError):
    """The entities below a root do not form a tree, or one sits where it cannot be tracked."""

    def __init__(self, subject: str, problem: str, way_out: str) -> None:
        super().__init__(subject, problem, way_out)
        self.subject = subject
        self.problem = problem
        self.way_out = way_out

    def __str__(self) -> str:
        return f"{self.subject} {self.problem}; {self.way_out}"


class UncopyableError(UsageError, TypeError):
    """A value cannot be kept as history because it cannot be copied."""

    def __init__(self, place: str, kind: str, reason: str) -> None:
        super().__init__(place, kind, reason)
        self.place = place
        self.kind = kind
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"{self.place} holds a {self.kind}, which cannot be copied ({self.reason}); "
            "store data, not open resources, or give the class a __deepcopy__"
        )


class NotJsonError(UsageError, ValueError):
    """A value that a change is made of cannot be written as JSON."""

    def __init__(self, place: str, kind: str, reason: str) -> None:
        super().__init__(place, kind, reason)
        self.place = place
        self.kind = kind
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"{_short(self.place)} holds a {self.kind}, which cannot be written as JSON "
            f"({self.reason}); leave the field out with exclude=True, or give it a serializer"
        )


class NotJournalableError(UsageError, TypeError):
    """A value cannot be written to a journal, so that it would be lost with the process."""

    def __init__(self, place: str, kind: str, reason: str) -> None:
        super().__init__(place, kind, reason)
        self.place = place
        self.kind = kind
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"{self.place} holds a {self.kind}, which cannot be journaled: {self.reason}; "
            "store data, or register a codec: "
            "registry.journal.register_codec(cls, name=..., encode=..., decode=...), "
            "or annotate the field with a pydantic serializer and validator"
        )


class UnknownClassError(UsageError, LookupError):
    """What is stored names a class, function or codec that this process does not have."""

    def __init__(self, name: str, way_out: str) -> None:
        super().__init__(name, way_out)
        self.name = name
        self.way_out = way_out

    def __str__(self) -> str:
        return f"{_short(self.name)} is stored and not loaded here; {self.way_out}"


class ClassChangedError(UsageError, TypeError):
    """What is stored of a class is of a former form of it, which does not tell all that it has now.

    Nothing was changed: with the class as it was, or as it should be, all is read.
    """

    def __init__(self, cls: str, name: str, reason: str) -> None:
        super().__init__(cls, name, reason)
        self.cls = cls
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"class {self.cls} has changed since it was stored: {self.name!r} {self.reason}; give "
            "it a default, or its old name as an alias, or register an upcaster: "
            "registry.journal.register_upcaster(cls, upcast)"
        )


class CodecError(UsageError):
    """A codec cannot be registered as it is."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"codec {self.name!r} {self.reason}"


class WriteError(UsageError):
    """An object of a working tree was written while no execution runs on that tree."""

    def __init__(self, subject: str, root: str) -> None:
        super().__init__(subject, root)
        self.subject = subject
        self.root = root

    def __str__(self) -> str:
        return (
            f"{self.subject} of {self.root} was written outside an execution; "
            "change it inside a registered callable, or change a snapshot and execute on that"
        )


class ReturnError(UsageError, TypeError):
    """A callable returned something that contradicts its return hint; nothing was stored."""

    def __init__(self, callable_name: str, returned: str, expected: str) -> None:
        super().__init__(callable_name, returned, expected)
        self.callable_name = callable_name
        self.returned = returned
        self.expected = expected

    def __str__(self) -> str:
        return (
            f"callable {self.callable_name!r} returned {self.returned}, "
            f"its hint promises {self.expected}"
        )


class ReadOnlyError(UsageError):
    """A callable registered as read-only changed something; the change was rolled back."""

    def __init__(self, callable_name: str, subject: str) -> None:
        super().__init__(callable_name, subject)
        self.callable_name = callable_name
        self.subject = subject

    def __str__(self) -> str:
        return (
            f"callable {self.callable_name!r} is read-only but changed {self.subject}; "
            "register it without read_only"
        )


class ReadOnlyStoreError(UsageError):
    """A workspace whose store is open to read only was to change something; nothing has run."""

    def __init__(self, call: str, store: str) -> None:
        super().__init__(call, store)
        self.call = call
        self.store = store

    def __str__(self) -> str:
        return (
            f"{self.call} would write to {self.store}, which is open to read only; "
            "open it without read_only, or give dry_run=True"
        )


class ReadOnlyViewError(UsageError):
    """An entity of a read-only view of a tree was written; nothing has changed."""

    def __init__(self, subject: str, root: str, version: int) -> None:
        super().__init__(subject, root, version)
        self.subject = subject
        self.root = root
        self.version = version

    def __str__(self) -> str:
        return (
            f"{self.subject} is in a read-only view of {self.root} at version {self.version} "
            "and cannot be changed; read the tree without read_only=True and change that"
        )


class Dependent(NamedTuple):
    """Something later that rests on what an execution did.

    Attributes:
        execution_id: The later execution; empty if its version is no longer known.
        callable: Name of its callable.
        version: Version that it made.
        entity: Class and start of the lineage id of the entity that both changed.
        lineage_id: Lineage id of that entity.
        field: Name of the field; empty if it is about the entity as a whole.
    """

    execution_id: str
    callable: str
    version: int
    entity: str
    lineage_id: UUID
    field: str

    def __str__(self) -> str:
        what = f"{self.field!r} of {self.entity}" if self.field else self.entity
        return f"{self.callable or 'an adoption'} (version {self.version}) changed {what}"


class UndoError(UsageError):
    """What an execution did cannot be taken back; nothing has changed."""

    def __init__(
        self,
        execution_id: str,
        callable_name: str,
        problem: str,
        dependents: Sequence[Dependent] = (),
    ) -> None:
        super().__init__(execution_id, callable_name, problem, dependents)
        self.execution_id = execution_id
        self.callable_name = callable_name
        self.problem = problem
        self.dependents = dependents

    def __str__(self) -> str:
        text = f"execution {self.execution_id} of {self.callable_name!r} {self.problem}"
        return text + _listed([str(each) for each in self.dependents])


class Conflict(NamedTuple):
    """One thing that two branches changed in different ways since they had it in common.

    Attributes:
        entity: Class and start of the lineage id of the entity.
        lineage_id: Its lineage id.
        field: Name of the field, with the key below it in a dict; empty if it is about the entity
            as a whole.
        kind: `changed`: its value differs; `removed`: one side removed the entity, the other one
            changed it; `moved`: both put it to different places; `lost`: what both did together
            leaves it no place, or two.
        base: What it was; entities appear as refs.
        ours: What it is on the branch that is merged into.
        theirs: What it is on the branch that is merged.
    """

    entity: str
    lineage_id: UUID
    field: str
    kind: Literal["changed", "removed", "moved", "lost"]
    base: Any
    ours: Any
    theirs: Any

    def __str__(self) -> str:
        what = f"{self.field!r} of {self.entity}" if self.field else self.entity
        return f"{what}: ours {self.ours!r:.60}, theirs {self.theirs!r:.60}"


class MergeConflictError(UsageError):
    """Two branches changed the same things in different ways; nothing has changed."""

    def __init__(self, source: str, into: str, conflicts: Sequence[Conflict]) -> None:
        super().__init__(source, into, conflicts)
        self.source = source
        self.into = into
        self.conflicts = conflicts

    def __str__(self) -> str:
        return (
            f"{self.source} cannot be merged into {self.into} without a decision on "
            f"{len(self.conflicts)} conflicts (on_conflict=)"
            + _listed([str(each) for each in self.conflicts])
        )


class ConflictError(TransientError):
    """A snapshot given as input is no longer the head, and the caller asked for an error then."""

    def __init__(self, root: str, version: int, head: int) -> None:
        super().__init__(root, version, head)
        self.root = root
        self.version = version
        self.head = head

    def __str__(self) -> str:
        return (
            f"the snapshot of {self.root} is of version {self.version}, the head is {self.head}; "
            "read it again, or pass a ref"
        )


class BusyError(TransientError):
    """An execution is open on the tree and this call would have to wait for itself."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.root = root

    def __str__(self) -> str:
        return (
            f"{self.root} has an open execution of this thread that cannot go on meanwhile; "
            "await aexecute(...) there, or call the plain function instead"
        )


class DeadlockError(TransientError):
    """Executions inside of others wait for each other's trees in a circle; this one gave in."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.root = root

    def __str__(self) -> str:
        return (
            f"{self.root} is in an execution that waits for a tree which this one has already; "
            "run the outer execution again, or give it both trees as arguments"
        )


class UnfinishedError(UsageError):
    """An execution ended while one that it had begun inside was still running."""

    def __init__(self, outer: str, inner: str) -> None:
        super().__init__(outer, inner)
        self.outer = outer
        self.inner = inner

    def __str__(self) -> str:
        return (
            f"callable {self.outer!r} ended while {self.inner!r}, which it had begun, still ran; "
            "await it before returning"
        )


class InsideError(UsageError):
    """What was called inside an execution cannot be part of it, and would stay if it does not."""

    def __init__(self, call: str, reason: str, way_out: str) -> None:
        super().__init__(call, reason, way_out)
        self.call = call
        self.reason = reason
        self.way_out = way_out

    def __str__(self) -> str:
        return f"{self.call}(...) inside an execution {self.reason}; {self.way_out}"


class EventError(UsageError, TypeError):
    """What was given is no event, no class of events, or cannot handle them."""

    def __init__(self, given: str, expected: str) -> None:
        super().__init__(given, expected)
        self.given = given
        self.expected = expected

    def __str__(self) -> str:
        return f"got {self.given}, expected {self.expected}"


class CascadeError(UsageError):
    """Events that handlers cause cause more of them, and it does not end."""

    def __init__(self, event_type: str, limit: int) -> None:
        super().__init__(event_type, limit)
        self.event_type = event_type
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"event {self.event_type!r} comes after {self.limit} of which each was caused by a "
            "handler of the one before, and is not told; let one of the handlers stop"
        )


class CursorError(UsageError, LookupError):
    """A cursor names a place in the feed of events that is not there, or no longer."""

    def __init__(self, cursor: tuple[int, int], oldest: int, newest: int) -> None:
        super().__init__(cursor, oldest, newest)
        self.cursor = cursor
        self.oldest = oldest
        self.newest = newest

    def __str__(self) -> str:
        return (
            f"cursor {self.cursor} is not between {self.oldest} and {self.newest}, the entries "
            "that this workspace keeps; read from after=None, or keep more (Retention.records)"
        )


class JournalBusyError(TransientError):
    """Another process kept the store locked; nothing happened."""

    def __init__(self, store: str, waited_s: float) -> None:
        super().__init__(store, waited_s)
        self.store = store
        self.waited_s = waited_s

    def __str__(self) -> str:
        return (
            f"journal {self.store} is locked by another process, for {self.waited_s:g} s already; "
            "try again, or end the process that holds it"
        )


class JournalDamagedError(JournalError):
    """What was read from a store is not what was written; the place is named."""

    def __init__(self, place: str, found: str) -> None:
        super().__init__(place, found, "restore a backup, and keep a copy of what there is")
        self.args = (place, found)
        self.place = place
        self.found = found

    def __str__(self) -> str:
        return f"the journal is damaged: {self.place} {self.found}; {self.way_out}"


class ExportDamagedError(JournalError):
    """A line of an exported store is not what was written; nothing of the file was stored."""

    def __init__(self, file: str, line: int, found: str) -> None:
        super().__init__(file, found, "export the store again")
        self.args = (file, line, found)
        self.file = file
        self.line = line
        self.found = found

    def __str__(self) -> str:
        place = f"{self.file}, line {self.line}"
        return f"{place} {self.found}; nothing of the file was stored; {self.way_out}"


class UnreadableValueError(JournalError):
    """A stored value is none that this process can make: its class is another one now, or damaged.

    Nothing was made of it.
    """

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(place, problem, "give its class the form that it had, or its codec")
        self.args = (place, problem)
        self.place = place

    def __str__(self) -> str:
        return f"{self.place} cannot be read: {self.problem}; {self.way_out}"


class FencedError(JournalError):
    """Somebody else became the writer of a root; nothing was stored, and this writer stops."""

    def __init__(self, root: str, held: int, epoch: int, holder: str) -> None:
        super().__init__(root, "has another writer", "stop, or acquire it and load it again")
        self.args = (root, held, epoch, holder)
        self.root = root
        self.held = held
        self.epoch = epoch
        self.holder = holder

    def __str__(self) -> str:
        mine = f"was written with epoch {self.held}" if self.held else "was written without epoch"
        who = f" of {self.holder!r}" if self.holder else ""
        return f"root {self.root} {mine}, the journal is at {self.epoch}{who}; {self.way_out}"


class DuplicateExecutionError(UsageError):
    """An execution of a group is stored already; nothing of the group was."""

    def __init__(self, root: str, execution_id: str) -> None:
        super().__init__(root, execution_id)
        self.root = root
        self.execution_id = execution_id

    def __str__(self) -> str:
        return (
            f"execution {_short(self.execution_id)} on root {self.root} is stored already; "
            "read its outcome in place of running it again"
        )


class JournalGapError(JournalError):
    """Commits do not follow the stored head of their branch; nothing was stored."""

    def __init__(self, root: str, branch: int, head: int, first: int) -> None:
        super().__init__(root, "is not as it is stored", "load it from the store again")
        self.args = (root, branch, head, first)
        self.root = root
        self.branch = branch
        self.head = head
        self.first = first

    def __str__(self) -> str:
        return (
            f"versions from {self.first} of root {self.root}, branch {self.branch}, do not follow "
            f"version {self.head}, the newest that is stored; {self.way_out}"
        )


def _listed(lines: list[str]) -> str:
    """Write lines below a text, the first few of them."""
    more = [f"and {len(lines) - _LINES} more"] if len(lines) > _LINES else []
    return "".join([f"\n  {line}" for line in (*lines[:_LINES], *more)])


def _short(text: str) -> str:
    """Quote a text that came from outside: cut, and with what cannot be printed escaped."""
    return repr(text if len(text) <= _TEXT else text[: _TEXT - 3] + "...")


class RecordedError(UsageError, RuntimeError):
    """An execution with this id ran before, and failed; it is not run again."""

    def __init__(self, execution_id: str, error_type: str, error: str) -> None:
        super().__init__(execution_id, error_type, error)
        self.execution_id = execution_id
        self.error_type = error_type
        self.error = error

    def __str__(self) -> str:
        return (
            f"execution {self.execution_id!r} failed before with {self.error_type}: {self.error}; "
            "give it another id to run it again"
        )
