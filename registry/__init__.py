"""Treerunner's registry.

Versioned, transactional execution of functions on trees of pydantic entities.
"""

from __future__ import annotations

from registry.address import Address, Ref, is_address, parse_address
from registry.callables import FunctionMetadata, RegisteredCallable
from registry.changeset import Commit
from registry.chronicle import VersionInfo
from registry.config import ConfigEntity
from registry.diff import Diff, FieldChange, Move
from registry.entity import Entity
from registry.entity_tree import EntityTree, EntityTreeView
from registry.errors import (
    AddressError,
    ArgumentError,
    BusyError,
    CascadeError,
    Conflict,
    ConflictError,
    CursorError,
    DeadlockError,
    Dependent,
    DuplicateExecutionError,
    EntityClassError,
    EventError,
    ExportDamagedError,
    FencedError,
    IdentityTakenError,
    InsideError,
    JournalBusyError,
    JournalDamagedError,
    JournalError,
    JournalGapError,
    MergeConflictError,
    NaiveTimeError,
    NameTakenError,
    NotFoundError,
    PathError,
    PrunedError,
    ReadOnlyError,
    ReadOnlyViewError,
    RegistrationError,
    ReplayError,
    ReturnError,
    StructureError,
    TransientError,
    TreerunnerError,
    UncopyableError,
    UndoError,
    UnfinishedError,
    UsageError,
    WriteError,
)
from registry.events import (
    DataBorrowed,
    EntityAttached,
    EntityDetached,
    EntityPromoted,
    EntityRegistered,
    EntityVersioned,
    Event,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionStarted,
)
from registry.execution import Receipt
from registry.facade import CallableRegistry, EntityRegistry, default_workspace, use_workspace
from registry.feed import Cursor
from registry.functional import (
    batch_get,
    compose,
    dependencies,
    emit,
    get,
    on,
    put,
    unsubscribe,
)
from registry.kept import KeptText
from registry.ledger import ChangeSet
from registry.merging import Choice, MergeResult
from registry.outputs import OutputEntity
from registry.provenance import Borrowed, Step, Why
from registry.records import Record, Source
from registry.replay import Difference, Replay
from registry.retention import Retention
from registry.shape import Edge, EdgeKind
from registry.snapshot import Page, snapshot_from_pages
from registry.sources import Dependencies
from registry.trial import DryRun
from registry.workspace import Workspace

__all__ = [
    "Address",
    "AddressError",
    "ArgumentError",
    "Borrowed",
    "BusyError",
    "CallableRegistry",
    "CascadeError",
    "ChangeSet",
    "Choice",
    "Commit",
    "ConfigEntity",
    "Conflict",
    "ConflictError",
    "Cursor",
    "CursorError",
    "DataBorrowed",
    "DeadlockError",
    "Dependencies",
    "Dependent",
    "Diff",
    "Difference",
    "DryRun",
    "DuplicateExecutionError",
    "Edge",
    "EdgeKind",
    "Entity",
    "EntityAttached",
    "EntityClassError",
    "EntityDetached",
    "EntityPromoted",
    "EntityRegistered",
    "EntityRegistry",
    "EntityTree",
    "EntityTreeView",
    "EntityVersioned",
    "Event",
    "EventError",
    "ExecutionCompleted",
    "ExecutionFailed",
    "ExecutionStarted",
    "ExportDamagedError",
    "FencedError",
    "FieldChange",
    "FunctionMetadata",
    "IdentityTakenError",
    "InsideError",
    "JournalBusyError",
    "JournalDamagedError",
    "JournalError",
    "JournalGapError",
    "KeptText",
    "MergeConflictError",
    "MergeResult",
    "Move",
    "NaiveTimeError",
    "NameTakenError",
    "NotFoundError",
    "OutputEntity",
    "Page",
    "PathError",
    "PrunedError",
    "ReadOnlyError",
    "ReadOnlyViewError",
    "Receipt",
    "Record",
    "Ref",
    "RegisteredCallable",
    "RegistrationError",
    "Replay",
    "ReplayError",
    "Retention",
    "ReturnError",
    "Source",
    "Step",
    "StructureError",
    "TransientError",
    "TreerunnerError",
    "UncopyableError",
    "UndoError",
    "UnfinishedError",
    "UsageError",
    "VersionInfo",
    "Why",
    "Workspace",
    "WriteError",
    "batch_get",
    "compose",
    "default_workspace",
    "dependencies",
    "emit",
    "get",
    "is_address",
    "on",
    "parse_address",
    "put",
    "snapshot_from_pages",
    "unsubscribe",
    "use_workspace",
]
