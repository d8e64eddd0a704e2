"""CallableRegistry and EntityRegistry.

Class-level calls over one default workspace, as the seed design names them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, TypeVar, overload
from uuid import UUID

from registry import ids, moving, sources
from registry.address import Ref
from registry.callables import RegisteredCallable, Semantic
from registry.entity import Entity, key_of, reserve
from registry.entity_tree import EntityTree, EntityTreeView, tree_at, tree_of, view_at
from registry.execution import OnStale
from registry.snapshot import Snapshot
from registry.sources import Dependencies, dependencies
from registry.tree import TreeRegistry
from registry.workspace import Workspace

_Function = TypeVar("_Function", bound=Callable[..., Any])


class _Default:
    """Holds the default workspace: the one mutable thing of this file, made on first use."""

    workspace: Workspace | None = None


def default_workspace() -> Workspace:
    """Return the workspace that the class-level calls use."""
    if _Default.workspace is None:
        _Default.workspace = Workspace()
    return _Default.workspace


def use_workspace(workspace: Workspace | None) -> None:
    """Make another workspace the default one; None starts a fresh one on next use."""
    _Default.workspace = workspace


class CallableRegistry:
    """Callables by name, over the default workspace."""

    @classmethod
    def register(
        cls,
        name: str,
        *,
        semantic_hint: Semantic | None = None,
        read_only: bool = False,
        blocking: bool = False,
        replace: bool = False,
    ) -> Callable[[_Function], _Function]:
        """Register the decorated function; see `Workspace.register`."""
        return default_workspace().register(
            name,
            semantic_hint=semantic_hint,
            read_only=read_only,
            blocking=blocking,
            replace=replace,
        )

    @classmethod
    def execute(
        cls,
        func_name: str,
        skip_divergence_check: bool = False,
        *,
        skip_events: bool = False,
        on_stale: OnStale | None = None,
        raw: bool = False,
        dry_run: bool = False,
        **arguments: Any,
    ) -> Any:
        """Run a callable as one transaction; see `Workspace.execute`.

        `skip_divergence_check` of the seed design is accepted and changes nothing: an edited
        snapshot knows that it is one, so there is no check to skip.
        """
        workspace = default_workspace()
        return workspace.execute(
            func_name,
            on_stale=on_stale,
            skip_events=skip_events,
            raw=raw,
            dry_run=dry_run,
            **arguments,
        )

    @classmethod
    async def aexecute(
        cls,
        func_name: str,
        skip_divergence_check: bool = False,
        *,
        skip_events: bool = False,
        on_stale: OnStale | None = None,
        raw: bool = False,
        dry_run: bool = False,
        **arguments: Any,
    ) -> Any:
        """Run a callable from an event loop; see `Workspace.aexecute`."""
        workspace = default_workspace()
        return await workspace.aexecute(
            func_name,
            on_stale=on_stale,
            skip_events=skip_events,
            raw=raw,
            dry_run=dry_run,
            **arguments,
        )

    @classmethod
    def execute_batch_sync(
        cls, batch: Iterable[tuple[str, Mapping[str, Any]]], *, raw: bool = False
    ) -> list[Any]:
        """Run several callables one after the other; see `Workspace.execute_batch`."""
        return default_workspace().execute_batch(batch, raw=raw)

    @classmethod
    async def execute_batch(
        cls, batch: Iterable[tuple[str, Mapping[str, Any]]], *, raw: bool = False
    ) -> list[Any]:
        """Run several callables concurrently.

        Results in the order of the batch, exceptions as values.
        """
        workspace = default_workspace()
        runs = [workspace.aexecute(name, raw=raw, **arguments) for name, arguments in batch]
        return list(await asyncio.gather(*runs, return_exceptions=True))

    @classmethod
    def get_metadata(cls, func_name: str) -> RegisteredCallable | None:
        """Return a compiled callable, or None."""
        return default_workspace().callables().get(func_name)


class EntityRegistry:
    """Entities by id, over the default workspace."""

    @classmethod
    def register_entity(cls, entity: Entity) -> None:
        """Adopt an orphan as a root; registering a root again does nothing."""
        if entity.is_orphan():
            default_workspace().add(entity)

    @classmethod
    def version_entity(cls, entity: Entity, force_versioning: bool = False) -> bool:
        """Commit the edits of a snapshot; True exactly when a version was made.

        With *force_versioning* one is made in any case, in which every entity of the tree has a new
        id.

        Afterwards the snapshot shows the new version, and its entities carry the new ids. An
        outdated snapshot forks.
        """
        if entity.is_orphan():
            default_workspace().add(entity)
            return True
        return default_workspace().commit_edits(entity, force=force_versioning)

    @classmethod
    def get_stored_entity(cls, root_ecs_id: UUID, ecs_id: UUID) -> Entity | None:
        """Return a lazy, isolated copy of one version of an entity, or None."""
        wanted = ids.from_uuid(ecs_id)
        for branch, version in _stored(ids.from_uuid(root_ecs_id)):
            if not branch.contains(wanted.key, version):
                continue
            if branch.stamp_of(wanted.key, version) == ids.stamp(wanted.branch, wanted.commit):
                return Snapshot.of(branch, version).entity(wanted.key)
        return None

    @classmethod
    def get_entity_dependencies(cls, entity: Entity) -> Dependencies:
        """Return what an entity was copied from, and what its fields were borrowed from."""
        return dependencies(entity)

    @overload
    @classmethod
    def get_stored_tree(
        cls, root_ecs_id: UUID, read_only: Literal[False] = False
    ) -> EntityTree | None: ...

    @overload
    @classmethod
    def get_stored_tree(
        cls, root_ecs_id: UUID, read_only: Literal[True]
    ) -> EntityTreeView | None: ...

    @overload
    @classmethod
    def get_stored_tree(
        cls, root_ecs_id: UUID, read_only: bool
    ) -> EntityTree | EntityTreeView | None: ...

    @classmethod
    def get_stored_tree(
        cls, root_ecs_id: UUID, read_only: bool = False
    ) -> EntityTree | EntityTreeView | None:
        """Return the tree of one version of a root, or None if it is not stored here.

        Args:
            root_ecs_id: `ecs_id` of the root in that version.
            read_only: Whether its entities refuse every write; otherwise they may be written, which
                changes them and nothing else.

        Raises:
            ValueError: The UUID is not one of an entity.

        Cost: constant; the first question about the shape reads each entity's state once.
        """
        for branch, version in _stored(ids.from_uuid(root_ecs_id)):
            return view_at(branch, version) if read_only else tree_at(branch, version)
        return None

    @classmethod
    def history(cls, lineage_id: UUID, *, branch: int | Ref | None = None) -> list[UUID]:
        """Return the version ids of a root that are retained, oldest first.

        Those of the main branch, or of another one and of what it was forked from.
        """
        rows = default_workspace().history(lineage_id, branch=branch)
        return [info.ecs_id for info in rows]

    @classmethod
    def roots(cls, of: type[Entity] | None = None) -> list[Ref]:
        """Return the refs of all roots and their branches, of a class and its subclasses."""
        return default_workspace().roots(of)

    @classmethod
    def branches(cls, lineage_id: UUID) -> list[Ref]:
        """Return the branches of a root, main first."""
        return default_workspace().branches(lineage_id)

    @classmethod
    def forked_from(cls, lineage_id: UUID) -> UUID | None:
        """Return the version that a branch was forked from, by its root's lineage id there."""
        return default_workspace().forked_from(lineage_id)


def _stored(root: ids.EntityVersion) -> Iterator[tuple[TreeRegistry, int]]:
    """Yield the branches that have a version of a root themselves, and its number there."""
    for branch in default_workspace().trees.branches(root.key):
        version = branch.version_of(root)
        if version is not None:
            yield branch, version


def promote_to_root(self: Entity) -> None:
    """Make an orphan the root of a tree of the default workspace, version 1; a root stays as it is.

    Raises:
        StructureError: The graph below is not a tree; nothing has changed.
    """
    if not (self.__home__ is not None and self.is_root_entity()):
        default_workspace().add(self)
    assert key_of(self), "an adopted entity has identity"


def get_tree(self: Entity) -> EntityTree:
    """Return the whole tree that the entity is part of, in the version that the entity shows.

    Edits of the holder are not in it, nor what an open execution has written. For an orphan it is
    the graph below the entity, as it is now: copies that are orphans too, and nothing is adopted.

    Raises:
        StructureError: The graph below an orphan is not a tree, or holds an entity where it cannot
            be tracked.

    Cost: constant, and the first question about the shape reads each entity's state once; for an
        orphan that of an adoption.
    """
    return tree_of(self)


def detach(self: Entity) -> Entity:
    """Make the entity the root of its own tree, and return it.

    Inside a callable it is taken out of what holds it, and is a root once the execution commits,
    returned or not. Of a snapshot see `Workspace.detach`; the objects in hand get the new identity.

    Raises:
        StructureError: A field that cannot be empty holds it; nothing has changed.
    """
    if isinstance(self.__home__, TreeRegistry):
        return moving.detach(self)
    default_workspace().detach(self)
    return self


def attach(self: Entity, parent: Entity, field: str | None = None, key: Any = None) -> Entity:
    """Move the entity below another one, and return it.

    Inside a callable a *field* must be given, and the commit is that of the execution. Of a
    snapshot, or of an orphan, see `Workspace.attach`: without a field the entity has been put
    below *parent*, a root, already.

    Raises:
        StructureError: It would be below itself, the field cannot hold it, or it is held by one
            that cannot be without it; nothing has changed.
    """
    homes = [getattr(each, "__home__", None) for each in (self, parent)]
    if field is not None and any(isinstance(each, TreeRegistry) for each in homes):
        return moving.attach(self, parent, field, key)
    default_workspace().attach(self, parent, field, key)
    return self


reserve("promote_to_root", promote_to_root)
reserve("borrow_attribute_from", sources.borrow)
reserve("detach", detach)
reserve("attach", attach)
reserve("get_tree", get_tree)
