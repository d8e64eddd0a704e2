"""Treerunner's registry.

Versioned, transactional execution of functions on trees of pydantic entities.
"""

from __future__ import annotations

from registry.address import Ref
from registry.callables import RegisteredCallable
from registry.changeset import Commit
from registry.diff import Diff, FieldChange, Move
from registry.entity import Entity
from registry.entity_tree import Edge, EdgeKind, EntityTree, EntityTreeView
from registry.errors import (
    ArgumentError,
    BusyError,
    ConflictError,
    EntityClassError,
    IdentityTakenError,
    NameTakenError,
    NotFoundError,
    PrunedError,
    ReadOnlyError,
    ReadOnlyViewError,
    RegistrationError,
    ReturnError,
    StructureError,
    TransientError,
    TreerunnerError,
    UncopyableError,
    UsageError,
    WriteError,
)
from registry.execution import Receipt
from registry.facade import CallableRegistry, EntityRegistry, default_workspace, use_workspace
from registry.records import Record
from registry.retention import Retention
from registry.snapshot import Page, snapshot_from_pages
from registry.workspace import VersionInfo, Workspace

__all__ = [
    "ArgumentError",
    "BusyError",
    "CallableRegistry",
    "Commit",
    "ConflictError",
    "Diff",
    "Edge",
    "EdgeKind",
    "Entity",
    "EntityClassError",
    "EntityRegistry",
    "EntityTree",
    "EntityTreeView",
    "FieldChange",
    "IdentityTakenError",
    "Move",
    "NameTakenError",
    "NotFoundError",
    "Page",
    "PrunedError",
    "ReadOnlyError",
    "ReadOnlyViewError",
    "Receipt",
    "Record",
    "Ref",
    "RegisteredCallable",
    "RegistrationError",
    "Retention",
    "ReturnError",
    "StructureError",
    "TransientError",
    "TreerunnerError",
    "UncopyableError",
    "UsageError",
    "VersionInfo",
    "Workspace",
    "WriteError",
    "default_workspace",
    "snapshot_from_pages",
    "use_workspace",
]
