"""Events: what happened to executions and entities, as small frozen messages with ids only.

They are derived from what is kept anyway: the records of executions, the commits that these made,
and the adoptions between them. So who listens (`bus.py`) and who reads later (`feed.py`) is told
the same.

    adoption   registered | promoted | detached
    record     started, borrowed..., versioned and (detached, attached)... per tree,
               completed | failed

Pure: nothing here subscribes, delivers or waits.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from registry import ids
from registry.changeset import Commit
from registry.errors import EventError, NotFoundError
from registry.records import Adopted, Packed, Record, Source, TreeVersions, commit_in, unpack
from registry.tree import TreeRegistry
from registry.trees import Trees


class Event(BaseModel):
    """Something that happened. Subclass it for events of your own, with fields as in any model.

    Attributes:
        type: What kind it is, as a text with dots; by default the name of the class.
    """

    model_config = ConfigDict(frozen=True)

    type: ClassVar[str] = "Event"

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Name the type after the class, unless the class says it."""
        if "type" not in cls.__dict__:
            cls.type = cls.__name__

    @model_serializer(mode="wrap")
    def _with_type(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"type": self.type, **dump(self)}


class RegistryEvent(Event):
    """What the registry tells by itself.

    Attributes:
        at: When it happened, UTC.
        execution_id: The execution; None for a root that was added by a call.
        callable: Its callable; likewise.
        parent_id: The execution that this one ran inside of, or None.
        root_id: The outermost execution around it; its own id if none ran around it.
    """

    at: datetime
    execution_id: str | None
    callable: str | None
    parent_id: str | None = None
    root_id: str | None = None


class ExecutionEvent(RegistryEvent):
    """What became of an execution."""

    execution_id: str
    callable: str


class ExecutionStarted(ExecutionEvent):
    """An execution was begun; its arguments are not checked yet."""

    type = "execution.started"


class ExecutionEnded(ExecutionEvent):
    """An execution ended, well or not.

    Attributes:
        queued_s: How long it waited for the turns on its trees.
        run_s: How long the callable ran.
        commit_s: How long finding and storing the changes took.
    """

    queued_s: float
    run_s: float
    commit_s: float


class ExecutionCompleted(ExecutionEnded):
    """An execution was committed.

    Attributes:
        semantic: How its result relates to the inputs; None without an entity in it.
        outputs: `ecs_id`s of the entities returned, in order.
        changed: Number of entities that got a new `ecs_id`.
    """

    type = "execution.completed"

    semantic: Literal["mutation", "creation", "detachment"] | None
    outputs: tuple[UUID, ...]
    changed: int


class ExecutionFailed(ExecutionEnded):
    """An execution was taken back, or refused.

    Attributes:
        error_type: Name of the exception's class.
        error: Its text.
    """

    type = "execution.failed"

    error_type: str
    error: str


class EntityEvent(RegistryEvent):
    """What happened to an entity.

    Attributes:
        ecs_id: The entity as it is after that.
        entity_type: Name of its class; empty when it is read later, and its tree was dropped.
    """

    ecs_id: UUID
    entity_type: str


class EntityRegistered(EntityEvent):
    """A root became part of the workspace: added by a call, or made by an execution."""

    type = "entity.registered"


class EntityPromoted(EntityEvent):
    """An orphan that was an argument became a root, because it was changed or returned."""

    type = "entity.promoted"


class EntityVersioned(EntityEvent):
    """A tree got a new version; the entity is its root.

    The counts are None in an event that is read later, when retention has let the version go or the
    tree was dropped.

    Attributes:
        version: Number of the version.
        previous_ecs_id: The root in the version before.
        changed: Number of entities whose own values, order or children changed.
        created: Number of entities that entered the tree.
        removed: Number of entities that left it.
        moved: Number of entities that got another parent.
    """

    type = "entity.versioned"

    version: int
    previous_ecs_id: UUID
    changed: int | None
    created: int | None
    removed: int | None
    moved: int | None


class EntityCrossed(EntityEvent):
    """An entity left a tree, with all below it, and became part of another or a root.

    Attributes:
        previous_ecs_id: What it was in the tree that it left; None if it is still that.
    """

    previous_ecs_id: UUID | None


class EntityDetached(EntityCrossed):
    """An entity left a tree.

    Attributes:
        root_ecs_id: Root of the tree that it left, in the version without it.
    """

    type = "entity.detached"

    root_ecs_id: UUID


class EntityAttached(EntityCrossed):
    """An entity of another tree entered a tree.

    Attributes:
        root_ecs_id: Root of the tree that it entered, in the version with it.
    """

    type = "entity.attached"

    root_ecs_id: UUID


class DataBorrowed(RegistryEvent):
    """An argument was given as the address of a value.

    Attributes:
        ecs_id: The entity that the value was read from, in the version that was read.
        path: Where in it, as an address writes it.
        parameter: The parameter that got a copy.
    """

    type = "data.borrowed"

    ecs_id: UUID
    path: str
    parameter: str


Classes: TypeAlias = frozenset[type[Event]]

BUILT_IN: Classes = frozenset(
    (
        *(ExecutionStarted, ExecutionCompleted, ExecutionFailed),
        *(EntityRegistered, EntityVersioned, EntityPromoted, EntityDetached, EntityAttached),
        DataBorrowed,
    )
)
"""What the registry tells by itself."""

_EventT = TypeVar("_EventT", bound=Event)
Wants = Callable[[type[Event]], bool]


def wants(types: tuple[type[Event] | str, ...], pattern: str | None = None) -> Wants:
    """Return what tells whether a class of events is asked for.

    Args:
        types: Classes, which include their subclasses, or texts of types; none for all.
        pattern: A glob that the type must match as well.

    Raises:
        EventError: Something is neither a class of events nor a text.
    """
    for each in types:
        if not isinstance(each, str) and not (isinstance(each, type) and issubclass(each, Event)):
            raise EventError(repr(each), "a class of events, or the text of a type")

    def does(cls: type[Event]) -> bool:
        named = not types or any(
            cls.type == each if isinstance(each, str) else issubclass(cls, each) for each in types
        )
        return named and (pattern is None or fnmatch.fnmatchcase(cls.type, pattern))

    return does


def derive(
    packed: Packed, trees: Trees, wanted: Classes, root_id: str | None = None
) -> Iterator[Event | None]:
    """Yield the events that an entry of the record log tells of, in order.

    None in place of one that is not wanted: it is not made.

    Args:
        packed: The entry.
        trees: Where the commits are.
        wanted: The classes that are.
        root_id: The outermost execution; the entry's own without one.
    """
    if packed[0] is None:
        return _of_adoption(Adopted(*packed), trees, wanted)
    return _OfRecord(packed, trees, wanted, root_id).events()


def at_time(seconds: float) -> datetime:
    """Return a time of ours, seconds since the epoch, as UTC."""
    return datetime.fromtimestamp(seconds, UTC)


_ADOPTED: dict[str, type[EntityEvent]] = {
    "registered": EntityRegistered,
    "promoted": EntityPromoted,
    "detached": EntityDetached,
}


def _of_adoption(adopted: Adopted, trees: Trees, wanted: Classes) -> Iterator[Event | None]:
    cls = _ADOPTED[adopted.kind]
    if cls not in wanted:
        yield None
        return
    tree = trees.held(adopted.key, adopted.branch)
    execution_id = ids.execution_text(adopted.execution_id) or None
    fields: dict[str, Any] = {
        "at": at_time(adopted.adopted_at),
        "execution_id": execution_id,
        "callable": adopted.callable_name or None,
        "root_id": execution_id,
        "ecs_id": ids.to_uuid(adopted.key, ids.BIRTH),
        "entity_type": _class_name(tree, adopted.key),
    }
    if cls is EntityDetached:
        source = None if tree is None else tree.root_node.source
        fields["previous_ecs_id"] = None if source is None else ids.to_uuid(*source)
        fields["root_ecs_id"] = ids.to_uuid(adopted.left_key, adopted.left_stamp)
    yield cls(**fields)


class _OfRecord:
    """The events of one record."""

    def __init__(
        self, packed: Packed, trees: Trees, wanted: Classes, root_id: str | None = None
    ) -> None:
        self.record = record = unpack(packed)
        self.joint = commit_in(packed)
        self.trees = trees
        self.wanted = wanted
        self.common: dict[str, Any] = {
            "execution_id": record.execution_id,
            "callable": record.callable_name,
            "parent_id": record.parent,
            "root_id": root_id or record.execution_id,
        }
        self.queued_s = record.queued_s
        self.ended = record.started + self.queued_s + record.run_s + record.commit_s

    def events(self) -> Iterator[Event | None]:
        record = self.record
        yield self._made(ExecutionStarted, record.started, dict)
        for source in record.sources:
            yield self._made(DataBorrowed, record.started, partial(_borrowed, source))
        versioned = [each for each in record.trees if self._has_made(each)]
        for each in versioned:
            yield self._made(EntityVersioned, self.ended, partial(self._version, each))
        if len(versioned) > 1:
            yield from self._crossings(versioned)
        yield self._end(record)

    def _made(
        self, cls: type[_EventT], at: float, fields: Callable[[], dict[str, Any]]
    ) -> _EventT | None:
        if cls not in self.wanted:
            return None
        return cls(**{"at": at_time(at), **self.common, **fields()})

    def _end(self, record: Record) -> Event | None:
        times = {"queued_s": self.queued_s, "run_s": record.run_s, "commit_s": record.commit_s}
        if record.status == "failed":
            error = {"error_type": record.error_type, "error": record.error}
            return self._made(ExecutionFailed, self.ended, lambda: {**times, **error})
        return self._made(
            ExecutionCompleted,
            self.ended,
            lambda: {
                **times,
                "semantic": record.semantic,
                "outputs": tuple(record.output_ids),
                "changed": record.changed,
            },
        )

    # --- versions ---

    def _tree(self, versions: TreeVersions) -> TreeRegistry | None:
        return self.trees.held(versions.root, versions.branch)

    def _commit(self, versions: TreeVersions) -> Commit | None:
        if self.joint is not None:
            return self.joint
        tree = self._tree(versions)
        return None if tree is None else tree.commit_of(versions.after)

    def _has_made(self, versions: TreeVersions) -> bool:
        """Tell whether the execution itself made a version: with inner ones the outermost does."""
        if versions.after == versions.before:
            return False
        commit = self._commit(versions)
        if commit is None:
            return self.common["parent_id"] is None
        return ids.execution_text(commit.execution_id) == self.record.execution_id

    def _version(self, versions: TreeVersions) -> dict[str, Any]:
        tree, commit = self._tree(versions), self._commit(versions)
        fields: dict[str, Any] = {
            "ecs_id": _root_id(versions.root, versions.branch, versions.after, tree),
            "previous_ecs_id": _root_id(versions.root, versions.branch, versions.before, tree),
            "entity_type": _class_name(tree, versions.root),
            "version": versions.after,
            **dict.fromkeys(("changed", "created", "removed", "moved")),
        }
        if commit is not None:
            fields["at"] = at_time(commit.committed_at)
            for name in ("changed", "created", "removed", "moved"):
                fields[name] = len(getattr(commit, name))
        return fields

    def _crossings(self, versioned: list[TreeVersions]) -> Iterator[Event | None]:
        """Yield what left one of the trees and entered another. Cost: what entered."""
        left = {}
        for versions in versioned:
            commit = self._commit(versions)
            left.update(dict.fromkeys(() if commit is None else commit.removed, versions))
        for versions in versioned:
            tree, commit = self._tree(versions), self._commit(versions)
            if tree is None or commit is None or not left:
                continue
            found = {}
            for key in commit.created:
                source = _source(tree, key, versions.after)
                origin = left.get(key if source is None else ids.plain(source[0]))
                if origin is not None and origin is not versions:
                    found[key] = (source, origin)
            for key, (source, origin) in found.items():
                if _parent(tree, key, versions.after) not in found:  # it came with its parent
                    yield from self._crossing(tree, key, source, (origin, versions))

    def _crossing(
        self,
        tree: TreeRegistry,
        key: ids.Key,
        source: tuple[int, int] | None,
        ends: tuple[TreeVersions, TreeVersions],
    ) -> Iterator[Event | None]:
        def fields(end: TreeVersions) -> dict[str, Any]:
            return {
                "ecs_id": ids.to_uuid(key, ids.BIRTH),
                "previous_ecs_id": None if source is None else ids.to_uuid(*source),
                "entity_type": _class_name(tree, key),
                "root_ecs_id": _root_id(end.root, end.branch, end.after, self._tree(end)),
            }

        yield self._made(EntityDetached, self.ended, partial(fields, ends[0]))
        yield self._made(EntityAttached, self.ended, partial(fields, ends[1]))


def _borrowed(source: Source) -> dict[str, Any]:
    return {
        "ecs_id": ids.to_uuid(source.key, source.stamp),
        "path": source.path,
        "parameter": source.parameter,
    }


def _source(tree: TreeRegistry, key: ids.Key, version: int) -> tuple[int, int] | None:
    found = tree.find_node(key, version)
    return None if found is None else found[0].source


def _parent(tree: TreeRegistry, key: ids.Key, version: int) -> ids.Key | None:
    found = tree.find_node(key, version)
    return None if found is None else found[0].parent_at(found[1])


def _class_name(tree: TreeRegistry | None, key: int) -> str:
    """Return the name of an entity's class; empty if its tree, or its node, is gone."""
    try:
        return "" if tree is None else tree.class_of(ids.plain(key)).__name__
    except NotFoundError:
        return ""


def _root_id(key: int, branch: int, version: int, tree: TreeRegistry | None) -> UUID:
    """Return the `ecs_id` of a root in a version; every version after the first renames it."""
    while tree is not None and tree.base is not None and version <= tree.base_version:
        tree = tree.base
        branch = tree.branch
    return ids.to_uuid(key, ids.BIRTH if version == 1 else ids.stamp(branch, version))
