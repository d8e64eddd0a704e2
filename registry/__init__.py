"""Treerunner's registry.

Versioned, transactional execution of functions on trees of pydantic entities.
"""

from __future__ import annotations

from registry.address import Address, Ref, is_address, parse_address
from registry.callables import RegisteredCallable
from registry.changeset import Commit
from registry.diff import Diff, FieldChange, Move
from registry.entity import Entity
from registry.entity_tree import EntityTree, EntityTreeView
from registry.errors import (
    AddressError,
    ArgumentError,
    BusyError,
    ConflictError,
    EntityClassError,
    IdentityTakenError,
    NameTakenError,
    NotFoundError,
    PathError,
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
from registry.functional import batch_get, compose, dependencies, get, put
from registry.records import Record, Source
from registry.retention import Retention
from registry.shape import Edge, EdgeKind
from registry.snapshot import Page, snapshot_from_pages
from registry.sources import Dependencies
from registry.workspace import VersionInfo, Workspace

__all__ = [
    "Address",
    "AddressError",
    "ArgumentError",
    "BusyError",
    "CallableRegistry",
    "Commit",
    "ConflictError",
    "Dependencies",
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
    "PathError",
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
    "Source",
    "StructureError",
    "TransientError",
    "TreerunnerError",
    "UncopyableError",
    "UsageError",
    "VersionInfo",
    "Workspace",
    "WriteError",
    "batch_get",
    "compose",
    "default_workspace",
    "dependencies",
    "get",
    "is_address",
    "parse_address",
    "put",
    "snapshot_from_pages",
    "use_workspace",
]
