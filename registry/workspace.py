"""Workspace: the trees, callables and records of one process; the front door of the registry."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from functools import partial
from os import PathLike
from typing import Any, Literal, Self, TypeVar, overload
from uuid import UUID

from registry import chronicle, ids, plain, trial
from registry.address import Address, Ref, parse_address, write_path
from registry.addressed import follow, own_copy
from registry.assignment import PUT
from registry.borrowing import mentions_address
from registry.bus import Bus, Handler, Predicate, muted
from registry.callables import RegisteredCallable, Semantic
from registry.chronicle import VersionInfo
from registry.clock import Clock, system_clock
from registry.composing import compose, pinned
from registry.config import ConfigEntity
from registry.config_store import ConfigStore
from registry.copies import clone
from registry.diff import Diff, diff
from registry.entity import Entity, key_label, key_of, label
from registry.entity_tree import EntityTree, EntityTreeView, tree_at, view_at
from registry.errors import (
    ArgumentError,
    InsideError,
    NotFoundError,
    PrunedError,
    ReadOnlyStoreError,
    RegistrationError,
)
from registry.events import Event, wants
from registry.execution import Execution, Form, OnStale, Receipt, Setting
from registry.feed import Cursor, Told, end_of, read
from registry.in_hand import attach_in_hand, detach_in_hand, is_root_in_hand
from registry.journal.fields import check_class
from registry.journal.port import Journal
from registry.journal.session import Session
from registry.journal.sqlite_file import Durability
from registry.journal.store import open_journal
from registry.journal.writer import Reader, Writer
from registry.ledger import ChangeSet, change_sets
from registry.merging import MergeResult, OnConflict, merge
from registry.moving import ATTACH, DETACH
from registry.nested import NestedExecution, execution_inside
from registry.nesting import is_inside, is_inside_trial, running
from registry.outputs import OutputEntity
from registry.provenance import Asking, Why, why
from registry.records import Record, RecordLog, Status, unpack
from registry.replay import Replay, replay
from registry.retention import Retention
from registry.snapshot import Page, Snapshot, read_page
from registry.sources import Dependencies, dependencies
from registry.tree import TreeRegistry
from registry.trees import EntityAt, Target, Trees
from registry.undoing import REVERT, UNDO, versions_made
from registry.values import ENTITY, KIND, shown

_Entity = TypeVar("_Entity", bound=Entity)
_Function = TypeVar("_Function", bound=Callable[..., Any])


class Workspace:
    """Holds trees and callables, and executes the ones on the others.

    Args:
        retention: How much history each tree keeps.
        on_stale: What to do with a snapshot as input that is no longer the head of its branch:
            `fork` it, raise an `error`, or work on the `head`.
        clock: Where time comes from.
        store: Where all that is committed survives: a path of a file, which is made if need be,
            `postgresql://...`, a journal, or (for one of several workspaces of a process) a session
            with one; without it all lives as long as the workspace. Trees are loaded when they are
            first asked for.
        durability: What has survived what when a call returns: `none`, once the process has ended
            as it should; `commit`, the end of the process at any moment; `fsync`, that of the
            machine.
        read_only: Whether the store is only looked at, as it is now: every execution but a dry run
            is refused, and so is all that would stay. Whoever writes to it meanwhile may go on.
    """

    def __init__(
        self,
        *,
        retention: Retention | None = None,
        on_stale: OnStale = "fork",
        clock: Clock = system_clock,
        store: str | PathLike[str] | Journal | Session | None = None,
        durability: Durability = "fsync",
        read_only: bool = False,
    ) -> None:
        self.retention = retention or Retention()
        self.on_stale: OnStale = on_stale
        self.clock = clock
        self._session: Session | None = None
        if store is None:
            self.trees = Trees(self.retention)
            self.records = RecordLog(self.retention.records)
        else:
            if isinstance(store, Session):
                session = store
            else:
                journal = open_journal(store, durability=durability, read_only=read_only)
                writer = Reader(journal) if read_only else Writer(journal)
                session = Session(writer, self.retention)
            self._session = session
            self.trees, self.records = session.trees, session.records
        self._is_read_only = self._session is not None and self._session.writer.is_read_only
        self._callables: dict[str, RegisteredCallable] = {}
        self._journaled: set[type[Entity]] = set()
        self.configs = ConfigStore(self.trees, self.retention.configs)
        self._bus = Bus(self.trees, self.records, clock)
        self._setting = Setting(self.trees, self.records, clock, on_stale, self.configs, self._bus)
        self._numbers = itertools.count(ids.first_execution_number() + 1)

    # --- the store ---

    def sync(self) -> None:
        """Return when all that was committed is durable, as every call here does by itself.

        Only what `run_each` yields waits for this. Without a store there is nothing to wait for.

        Raises:
            JournalError: The store could not be written: what is in memory is ahead of it. Close
                this workspace, and open another one.
        """
        if self._session is not None:
            self._session.sync()

    def group(self) -> AbstractContextManager[None]:
        """Make what is done in the block durable together, at its end: one transaction for all.

        What calls in the block return is not durable before.
        """
        return nullcontext() if self._session is None else self._session.group()

    def close(self) -> None:
        """Make durable what was committed, and close the store, if there is one."""
        if self._session is not None:
            self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- callables ---

    def register(
        self,
        name: str | None = None,
        *,
        semantic_hint: Semantic | None = None,
        read_only: bool = False,
        blocking: bool = False,
        replace: bool = False,
    ) -> Callable[[_Function], _Function]:
        """Register the decorated function; the function itself is returned.

        Args:
            name: Name to execute it by; the function's own without one.
            semantic_hint: What returned entities will be; another semantic is an error.
            read_only: Refuse any change that it makes.
            blocking: Let `aexecute` call it in a thread, so that the event loop goes on; the turn
                on its trees is kept meanwhile.
            replace: Take over a name that another function has.

        Raises:
            RegistrationError: A parameter or the return has no usable hint, or the name is taken.
        """

        def decorate(function: _Function) -> _Function:
            registered = RegisteredCallable(
                name or function.__name__, function, semantic_hint, read_only, blocking
            )
            self.add_callable(registered, replace=replace)
            return function

        return decorate

    def add_callable(self, registered: RegisteredCallable, *, replace: bool = False) -> None:
        """Register a compiled callable; the same function again changes nothing.

        Raises:
            RegistrationError: The name belongs to another function.
            NotJournalableError: There is a store, and it takes entities of a class that can never
                be kept there.
        """
        known = self._callables.get(registered.name)
        if known is not None and not replace and not _is_same(known.function, registered.function):
            place = getattr(known.function, "__code__", None)
            where = f" ({place.co_filename}:{place.co_firstlineno})" if place else ""
            raise RegistrationError(
                registered.name,
                f"is already registered{where}; give the other one another name, or replace=True",
            )
        for each in registered.parameters:
            self._check_classes((*each.entities, *each.configs, *each.listed))
        self._callables[registered.name] = registered

    def _check_classes(self, classes: Iterable[type[Entity]]) -> None:
        """Refuse classes that a store cannot keep, before there are entities of them."""
        if self._session is None:
            return
        for cls in classes:
            if cls not in self._journaled and not issubclass(cls, OutputEntity):
                check_class(cls)
                self._journaled.add(cls)

    def callables(self) -> Mapping[str, RegisteredCallable]:
        """Return the registered callables by name; a copy."""
        return dict(self._callables)

    def callable(self, name: str) -> RegisteredCallable:
        """Return a registered callable.

        Raises:
            NotFoundError: There is none of that name.
        """
        registered = self._callables.get(name) if isinstance(name, str) else None
        if registered is None:
            known = ", ".join(sorted(self._callables)[:8]) or "none"
            raise NotFoundError(f"callable {shown(name)}", f"this workspace (registered: {known})")
        return registered

    # --- roots ---

    def add(self, root: Entity, name: str | None = None) -> Ref:
        """Adopt an orphan as a root: version 1 of a new tree.

        What the caller holds becomes a snapshot of version 1. A root of this workspace stays as it
        is; another entity that belongs to a tree is copied, with new identity.

        Args:
            root: The entity; the graph below it must be a tree.
            name: A name to find it by.

        Raises:
            StructureError: The graph is not a tree, or holds an entity where it cannot be tracked;
                nothing has changed.
            IdentityTakenError: It is an orphan with the identity of a root of this workspace.
            NameTakenError: Another root has that name.
            NotJournalableError: There is a store, and it cannot keep the root.
            InsideError: A dry run or replay calls it, of which nothing stays.

        Cost: about 10 us per entity.
        """
        self._refuse_lasting("add")
        refuse_other_kinds(root, name)
        self._check_classes((type(root),))
        home = root.__home__
        if isinstance(home, Snapshot):
            self.trees.outputs.settle(home)
        if isinstance(home, Snapshot) and root.is_root_entity() and home.source in list(self.trees):
            return self.trees.ref(root)
        if home is not None:
            root = clone(root, keep_identity=False)
        if name is not None:
            self.trees.check_name(name)
        tree, adoption = self.trees.adopt(root, self.clock())
        ref = self.trees.hold(tree, name)
        if home is None:
            Snapshot.of(tree, 1).take_over(adoption.entities)
        self._tell_adoption(tree)
        return ref

    def add_owned(self, root: Entity, name: str | None = None) -> Ref:
        """Adopt an orphan that nobody else holds, as `add`; the object itself is not used further.

        Cost: about 6 us per entity.
        """
        self._refuse_lasting("add_owned")
        self._check_classes((type(root),))
        if name is not None:
            self.trees.check_name(name)
        tree = self.trees.found(root, self.clock())
        ref = self.trees.hold(tree, name)
        self._tell_adoption(tree)
        return ref

    def _tell_adoption(self, tree: TreeRegistry) -> None:
        self.records.add((None, "registered", tree.key, tree.branch, tree.root_node.created))
        self.sync()
        if self._bus.is_heard:
            self._bus.deliver()

    def store_config(self, config: ConfigEntity) -> Ref:
        """Return the ref of the stored config with the content of one, which is stored if need be.

        Cost: proportional to the config.
        """
        self._refuse_lasting("store_config")
        tree = self.configs.stored(config, self.clock()).tree
        self.sync()
        return Ref(ids.plain(tree.key), ids.plain(tree.key))

    def ref(self, target: Target) -> Ref:
        """Return the ref of a name, address, id or snapshot.

        Raises:
            NotFoundError: Nothing here has that name or id.
        """
        return self.trees.ref(target)

    def roots(self, cls: type[Entity] | None = None) -> list[Ref]:
        """Return the refs of all roots and their branches, oldest first.

        Args:
            cls: Only those of this class and its subclasses.

        Cost: the answer; with a class also a look at each class that roots are of.
        """
        return self.trees.refs(cls)

    def name_of(self, ref: Ref) -> str | None:
        """Return the name that a root was given, if any."""
        return self.trees.name_of(ref)

    # --- executing ---

    def execute(
        self,
        name: str,
        /,
        *,
        on_stale: OnStale | None = None,
        skip_events: bool = False,
        raw: bool = False,
        dry_run: bool = False,
        **arguments: Any,
    ) -> Any:
        """Run a callable as one transaction; a coroutine function runs in an event loop of its own.

        Args:
            name: Name of the callable.
            on_stale: What to do with an outdated snapshot; the workspace's setting without one.
            skip_events: Whether nobody who listens is told of this execution and what it executes.
            raw: Return a plain result as it is, not as an output entity.
            dry_run: Whether to store nothing, and return a `DryRun`: what it would return and
                change. Inside another execution it works on what is committed. What would stay all
                the same (`add`, `fork`, `drop`) is an `InsideError` in it.
            **arguments: Its arguments, by name: entities (snapshots, refs, orphans), plain values,
                and in place of either the address of one, also inside lists and dicts; where texts
                belong, an `Address`, since a text there is never read as one.

        Returns:
            What it returned, in the same shape; entities as lazy, isolated snapshots of their new
            versions. A result without any entity in it is the `value` of an output entity: a root
            of its own, of class `<Name>Output`, that `Retention(outputs=...)` of them are kept of.

        Raises:
            ArgumentError: An argument does not fit; nothing has run.
            BusyError: It would wait for an execution that it runs inside of, or for a task of the
                event loop that stands still meanwhile.
            ReadOnlyStoreError: The workspace was opened with `read_only`; nothing has run.
            AddressError, NotFoundError, PathError: An address names nothing; nothing has run.
            StructureError: The result is not a tree; nothing has changed.
            Anything that the callable raises, as raised; nothing has changed.

        Cost: what the callable changed, and the ancestors of that.
        """
        if dry_run:
            setting, registered = self._setting_for(on_stale), self.callable(name)
            with muted():
                return trial.dry_run(setting, registered, arguments, next(self._numbers))
        if skip_events and self._bus.is_heard:
            with muted():
                return self._run(name, arguments, None, on_stale, "raw" if raw else "entities")
        return self._run(name, arguments, None, on_stale, "raw" if raw else "entities")

    async def aexecute(
        self,
        name: str,
        /,
        *,
        on_stale: OnStale | None = None,
        skip_events: bool = False,
        raw: bool = False,
        dry_run: bool = False,
        **arguments: Any,
    ) -> Any:
        """Run a callable as `execute`, from an event loop.

        Executions on different trees interleave. A synchronous callable is called directly, one
        that was registered with `blocking` in a thread.
        """
        if dry_run:
            setting, registered = self._setting_for(on_stale), self.callable(name)
            with muted():
                return await trial.dry_run_async(
                    setting, registered, arguments, next(self._numbers)
                )
        form: Form = "raw" if raw else "entities"
        with muted() if skip_events else nullcontext():
            execution = self._execution(self.callable(name), None, on_stale, form)
            with self._hearing(execution):
                await execution.run_async(arguments)
                self.sync()
                return execution.snapshots()

    def execute_batch(
        self, batch: Iterable[tuple[str, Mapping[str, Any]]], *, raw: bool = False
    ) -> list[Any]:
        """Run several callables one after the other; one that fails costs only itself.

        Args:
            batch: (name, arguments) for each.
            raw: Return plain results as they are, not as output entities.

        Returns:
            For each what `execute` would return, or the exception that it would raise.
        """
        results: list[Any] = []
        form: Form = "raw" if raw else "entities"
        with self.group():
            for name, arguments in batch:
                try:
                    results.append(self._run(name, arguments, None, None, form))
                except Exception as error:  # noqa: BLE001 - whatever it raised is its result
                    results.append(error)
        return results

    def run(
        self, name: str, arguments: Mapping[str, Any], execution_id: str | None = None
    ) -> Receipt:
        """Run a callable as `execute`, and return a receipt in place of snapshots.

        Args:
            name: Name of the callable.
            arguments: Its arguments.
            execution_id: The execution; one is made without it. With a store it takes effect once,
                however often it is given with the same first root among the arguments, and always
                gets the same answer.

        Raises:
            RecordedError: The store knows that it failed before.
            BaseException: As `execute`.
        """
        run = partial(self._run, name, arguments, execution_id, None, "receipt")
        if self._session is None or self._is_read_only or execution_id is None:
            receipt: Receipt = run()
            return receipt
        try:
            return self._session.run_once(execution_id, _first_root(arguments), run)
        finally:
            self.sync()

    def run_each(
        self,
        name: str,
        names: tuple[str, ...],
        calls: Iterable[tuple[tuple[Any, ...], int | str]],
    ) -> Generator[Receipt | BaseException]:
        """Run a callable once for each call, one after the other, each as `run` does.

        What a runner needs; a quarter cheaper than as many calls of `run`. Between calls for the
        same root nobody else has a turn, unless another thread or task waits for one: exhaust it,
        or close it.

        Args:
            name: Name of the callable.
            names: Names of the arguments, the same for all.
            calls: Values of the arguments, and the execution's number or id, for each.

        Yields:
            The receipt of each, or what it raised, as soon as it has run.
        """
        if self._is_read_only:
            self._refuse_to_write(f"an execution of {name!r}")
        try:
            registered = self.callable(name)
        except NotFoundError as error:
            unknown = error
            return (unknown for _ in calls)
        return plain.run_each(self._setting, registered, names, calls)

    def _run(
        self,
        name: str,
        arguments: Mapping[str, Any],
        execution_id: str | None,
        on_stale: OnStale | None,
        form: Form,
    ) -> Any:
        try:
            registered = self._callables[name]
        except (KeyError, TypeError):
            registered = self.callable(name)
        run = plain.run_heard if self._bus.is_heard else plain.run
        setting = self._setting if on_stale is None else self._setting_for(on_stale)
        session = self._session
        if session is None:
            return run(setting, registered, arguments, execution_id or next(self._numbers), form)
        if self._is_read_only:
            self._refuse_to_write(f"an execution of {name!r}")
        done = run(setting, registered, arguments, execution_id or next(self._numbers), form)
        session.sync()
        return done

    def _setting_for(self, on_stale: OnStale | None) -> Setting:
        return self._setting if on_stale is None else self._setting._replace(on_stale=on_stale)

    def _execution(
        self,
        registered: RegisteredCallable,
        execution_id: str | None,
        on_stale: OnStale | None,
        form: Form = "raw",
    ) -> Execution:
        if self._is_read_only:
            self._refuse_to_write(f"an execution of {registered.name!r}")
        number = execution_id or next(self._numbers)
        setting = self._setting_for(on_stale)
        return execution_inside(running.get(), setting, registered, number, form)

    def _hearing(self, execution: Execution) -> AbstractContextManager[None]:
        """Tell those who listen, if there are any, of an execution in the block."""
        if not self._bus.is_heard:
            return nullcontext()
        return self._bus.hearing(execution.number, execution.registered.name)

    def commit_edits(
        self, entity: Entity, on_stale: OnStale | None = None, *, force: bool = False
    ) -> bool:
        """Commit what the holder of a snapshot wrote; True exactly when a version was made.

        Afterwards the snapshot shows the new version. In a callable they are committed with the
        outermost execution: then this is False, and the snapshot stays as it is.

        Args:
            entity: An entity of the snapshot.
            on_stale: What to do if the snapshot is outdated; the workspace's setting without one.
            force: Make a version in any case, in which every entity of the tree has a new id; it
                costs what the tree does.

        Raises:
            NotFoundError: The entity belongs to no tree of this workspace.
        """
        snapshot = getattr(entity, "__home__", None)
        if not isinstance(snapshot, Snapshot):
            what = label(entity) if isinstance(entity, Entity) else shown(entity)
            raise NotFoundError(f"a snapshot of {what}", "the call; add() an orphan first")
        if not (snapshot.is_edited or force):
            return False
        execution = self._execution(_EDIT, None, on_stale)
        execution.is_forced = force
        with self._hearing(execution):
            execution.run({"entity": entity})
            self.sync()
        if isinstance(execution, NestedExecution):
            return False
        tree = self.trees.tree(self.ref(execution.receipt().outputs[0]))
        made = (tree is not snapshot.source) or tree.head != snapshot.version
        if made:
            versions = execution.versions()
            before = next(each.before for each in versions if each.branch == tree.branch)
            snapshot.advance(tree, tree.head, before, entity)
        return made

    def detach(self, target: Target) -> Ref:
        """Make an entity the root of its own tree; what held it loses it in the same commit.

        The new root has an identity of its own, and the old one as `previous_ecs_id`. Edits of the
        snapshot that the entity is of are committed too; afterwards the entity and what is below it
        show version 1 of the new tree, the rest of the snapshot the new version of the old one. A
        root stays one, and an orphan becomes one.

        Args:
            target: The entity; of a snapshot, or what names one.

        Raises:
            StructureError: A field that cannot be empty holds it; nothing has changed.
            NotFoundError: Nothing here has that name or id.
        """
        if isinstance(target, Entity):
            if target.__home__ is None:
                return self.add(target)
            if is_root_in_hand(target):
                self.commit_edits(target)
                return self.ref(target)
            if isinstance(target.__home__, Snapshot):
                return detach_in_hand(target, self.trees, self._done)
        ref = self.ref(target)
        return (
            ref if ref.key == ref.root else self._done(DETACH, {"entity": ref}).receipt().outputs[0]
        )

    def attach(
        self, target: Target, parent: Target, field: str | None = None, key: Any = None
    ) -> Ref:
        """Move an entity into a field of another one, also of another tree, in one commit.

        In another tree it has a new identity, with the old one as `previous_ecs_id`; a root that is
        put into another tree is copied, and stays as it is with its history.

        Args:
            target: What moves.
            parent: What will hold it. Snapshots that are given show the new versions afterwards.
            field: It is appended to a list, added to a set, set under *key* in a dict, else
                assigned. None: it has been put into the snapshot of *parent* already.
            key: For a dict.

        Raises:
            StructureError: It would be below itself, the field cannot hold it, or it is held by one
                that cannot be without it; nothing has changed.
        """
        if isinstance(target, Entity) and not isinstance(parent, (Ref, UUID, str)):
            return attach_in_hand(target, parent, field, key, self.trees, self._done)
        arguments = {"entity": target, "parent": parent, "field": field or "", "key": key}
        for name in ("entity", "parent"):
            if not isinstance(arguments[name], Entity):
                arguments[name] = self.ref(arguments[name])
        return self._done(ATTACH, arguments).receipt().outputs[0]

    def _done(self, registered: RegisteredCallable, arguments: Mapping[str, Any]) -> Execution:
        execution = self._execution(registered, None, None)
        with self._hearing(execution):
            execution.run(arguments)
            self.sync()
        return execution

    # --- by address ---

    def get(self, address: str) -> Any:
        """Return what an address names: a snapshot of an entity, or a copy of a value.

        Raises:
            AddressError: The text is not an address.
            NotFoundError, PrunedError: No entity, or no version that is kept, has its id.
            PathError: A field, position or key of its path is not there.

        Cost: one field of each entity on the way; for the id of a child one look-up per tree.
        """
        return self.batch_get([address])[0]

    def batch_get(self, addresses: Iterable[str]) -> list[Any]:
        """Return what each address names, in order, as `get`; each entity version is loaded once.

        Addresses of one version of a tree give entities of one snapshot.

        Raises:
            AddressError, NotFoundError, PrunedError, PathError: As `get`, for the first at fault.
        """
        shots: dict[tuple[TreeRegistry, int], Snapshot] = {}
        entities: dict[EntityAt, Entity] = {}
        found = []
        for text in addresses:
            address = parse_address(text)
            place, shot = self._shot(address.entity, shots)
            entity = entities.get(place)
            if entity is None:
                entity = entities[place] = shot.entity(place.key)
            found.append(own_copy(follow(entity, address).value))
        return found

    def _shot(
        self, wanted: ids.EntityVersion, shots: dict[tuple[TreeRegistry, int], Snapshot]
    ) -> tuple[EntityAt, Snapshot]:
        """Return where an id is, and the snapshot of that version; see `at_version`."""
        while True:
            place = self.trees.locate(wanted)
            where = (place.tree, place.version)
            try:
                return place, shots.get(where) or shots.setdefault(where, Snapshot.of(*where))
            except PrunedError:
                if wanted.commit:
                    raise

    def put(self, address: str, value: Any, *, on_stale: OnStale | None = None) -> str:
        """Write a value to a field, or to an element of a list, tuple or dict, as an execution.

        A dict may get a new key; a list keeps its length. An entity in the value is copied, and an
        address in it is read as in an argument; `attribute_source` has the source of a field. An
        equal value makes no version.

        Args:
            address: The field or element.
            value: What it becomes, validated against the annotation of the field.
            on_stale: What to do if the address is of a version that is not the head; the
                workspace's setting without one.

        Returns:
            The address of what was written, in the version that was made.

        Raises:
            AddressError, NotFoundError, PrunedError, PathError: As `get`.
            ArgumentError: The value does not fit, or the address is that of an entity as a whole.
            ConflictError: The address is not of the head, and `on_stale` is `error`.

        Cost: proportional to the field that is written.
        """
        wanted = parse_address(address)
        path = write_path(wanted.path)
        execution = self._execution(PUT, None, on_stale)
        arguments = {"entity": f"@{wanted.id}", "path": path, "value": value}
        if mentions_address([value]):
            arguments["value"], arguments["source"] = pinned(value, self.trees)
        with self._hearing(execution):
            execution.run(arguments)
            self.sync()
            return f"@{execution.snapshots().ecs_id}{path}"

    def compose(
        self, cls: type[_Entity], mapping: Mapping[str, Any], *, register: bool = False
    ) -> _Entity:
        """Build an entity from values and addresses; `attribute_source` tells where they came from.

        An address is read in the version that it means now, also inside lists, tuples and dicts.
        Where texts belong it is given as an `Address`, as in an argument. Entities are copied.

        Args:
            cls: Class of the entity.
            mapping: Its fields.
            register: Whether to add it as a root.

        Raises:
            ArgumentError: A value does not fit its field, or a name is none of a field.
            AddressError, NotFoundError, PathError: An address names nothing.
        """
        entity = compose(cls, mapping, self.trees)
        assert isinstance(entity, cls), "what is composed is of the class"
        if register:
            self.add(entity)
        return entity

    def dependencies(self, target: Target) -> Dependencies:
        """Return what an entity was made of: what it was copied from, and what was borrowed.

        Args:
            target: A snapshot, an orphan, or what names an entity: then as it is at the head.
        """
        return dependencies(target if isinstance(target, Entity) else self.snapshot(target))

    # --- taking back ---

    def revert(self, target: Target, version: int) -> Receipt:
        """Make a tree what it was at an older version, as a new one.

        Entities that were removed since come back with their lineage, and, if they are as they
        were when they left, with their very ids. If nothing differs there is no version.

        Args:
            target: The tree, named by its root or any entity in it.
            version: What it shall be like.

        Raises:
            NotFoundError, PrunedError: The version does not exist, or is no longer kept.
            InsideError: A callable calls it and has written to the tree already.

        Cost: what differs between the version and the head, and the ancestors of that.
        """
        root = self._locate(target)[0].root_ref
        return self._done(REVERT, {"root": root, "version": version}).receipt()

    def undo(self, execution_id: str) -> Receipt:
        """Take back what one execution changed, in all its trees at once, and leave the rest.

        That is an execution itself, so it can be undone. Of what it did, roots that it created
        stay; an entity that it made a root of its own is in its tree again, beside that root.

        Raises:
            NotFoundError: No record and no version that is kept names the execution.
            UndoError: It failed; it ran inside another one, and was committed with that; or later
                executions rest on it, which are listed: they changed a field that it changed, moved
                or removed an entity that it moved, or changed one that it created, and that has not
                been taken back.
            PrunedError: The version that it made, or the one before, is no longer kept.
            InsideError: A callable calls it and has written to one of the trees already.

        Cost: what it changed, and a look at the commits since.
        """
        made = versions_made(self.trees, self.records, execution_id)
        roots = [Ref(tree.key, tree.key, tree.branch) for tree, _ in made]
        versions = [version for _, version in made]
        arguments = {"roots": roots, "execution": execution_id, "versions": versions}
        return self._done(UNDO, arguments).receipt()

    def merge(
        self, source: Target, into: Target | None = None, *, on_conflict: OnConflict = "error"
    ) -> MergeResult:
        """Bring what a branch changed into another one, as one execution.

        Three-way by entity and field, from the newest version that both come from, so that merging
        again brings only what is new. The same change on both sides is no conflict; lists of
        entities, dicts and sets are merged by member, and what both added at one place goes ours
        first, then theirs. Entities keep their lineage; those that come in get an `ecs_id` of the
        branch they come to, whose `previous_ecs_id` is the one that they had.

        Args:
            source: The branch to merge.
            into: The branch to merge into; without one that which *source* was forked from.
            on_conflict: What to do where both changed the same thing in different ways: refuse
                (`error`), take `ours` or `theirs`, or ask a function, which gets the `Conflict`.

        Raises:
            ArgumentError: They are not two branches of one root.
            MergeConflictError: There are conflicts without a decision, which are listed; nothing
                has changed.
            PrunedError: The version that both come from is no longer kept.
            InsideError: A callable calls it: it commits by itself.

        Cost: what both branches changed since, and the lists, dicts and sets that hold that.
        """
        if self._is_read_only:
            self._refuse_to_write("merge(...)")
        if is_inside(self.trees) or is_inside_trial(self.trees):
            raise InsideError("merge", "would commit without it", "call it after the execution")
        branch = self._locate(source)[1]
        target = None if into is None else self._locate(into)[1]
        number = next(self._numbers)
        hearing = self._bus.hearing(number, "merge") if self._bus.is_heard else nullcontext()
        with hearing:
            merged = merge(self._setting, number, branch, target, on_conflict)
            self.sync()
        return merged

    # --- reading ---

    def snapshot(self, target: Target, version: int | None = None) -> Entity:
        """Return a lazy, isolated copy of an entity.

        Args:
            target: The entity.
            version: Version of its tree; the head without one.

        Raises:
            NotFoundError: There is no such entity or version.
            PrunedError: Retention has let the version go, and no store has it.

        Cost: constant; of a version that only the store has, the commits since the checkpoint
            before it.
        """
        ref, tree = self._locate(target)
        if isinstance(version, int) and 0 < version <= tree.head and not tree.is_kept(version):
            tree = self.trees.archived(tree, version)
        shot = tree.at_version(version, partial(Snapshot.of, tree))
        if not tree.contains(ref.key, shot.version):
            where = f"version {shot.version} of {tree.name}"
            raise NotFoundError(f"entity {ref.lineage_id}", where)
        return shot.entity(ref.key)

    @overload
    def tree(
        self, target: Target, version: int | None = None, *, read_only: Literal[False] = False
    ) -> EntityTree: ...

    @overload
    def tree(
        self, target: Target, version: int | None = None, *, read_only: Literal[True]
    ) -> EntityTreeView: ...

    @overload
    def tree(
        self, target: Target, version: int | None = None, *, read_only: bool
    ) -> EntityTree | EntityTreeView: ...

    def tree(
        self, target: Target, version: int | None = None, *, read_only: bool = False
    ) -> EntityTree | EntityTreeView:
        """Return the shape of the tree that an entity is in, with its entities on demand.

        Args:
            target: The root, or any entity below it.
            version: Version of the tree; the head without one.
            read_only: Whether its entities refuse every write.

        Raises:
            NotFoundError: There is no such entity or version.
            PrunedError: Retention has let the version go.

        Cost: constant; the first question about the shape reads each entity's state once.
        """
        tree = self._locate(target)[1]
        if read_only:
            return tree.at_version(version, partial(view_at, tree))
        return tree.at_version(version, partial(tree_at, tree))

    def head(self, target: Target) -> int:
        """Return the newest version of a tree."""
        return self._locate(target)[1].head

    def class_of(self, target: Target) -> type[Entity]:
        """Return the class of an entity at the head of its tree."""
        ref, tree = self._locate(target)
        return tree.class_of(ref.key)

    def history(
        self, target: Target | Address, *, branch: int | Ref | None = None
    ) -> list[VersionInfo]:
        """Return the retained versions in which an entity or one value changed, oldest first.

        For an entity: those in which it or something below it changed, and those in which it left
        the tree or came back. For an address with a path: those in which what is there is another
        value than before, each with that value, refs in place of entities; where the path goes on
        below a child, that of whichever child is there. The versions before a fork are those of
        what was forked.

        If older versions are no longer kept, the first row is the oldest version that is, and who
        made what it shows is left open unless that is known.

        Args:
            target: The entity, or the address of a field or element. A lineage id and a version id
                mean the same; an entity need not be there any more.
            branch: Number or ref of the branch; that of the target without one.

        Raises:
            NotFoundError: There is no such entity or branch.
            AddressError: The text is not an address.
            PathError: No version that is kept has anything at the end of the path.

        Cost: for an entity its changes; for a value the changes of the fields on the way, and per
            version found a copy of the value. No entity is loaded.
        """
        return chronicle.history(chronicle.aim(self.trees, target, branch))

    def at(
        self, target: Target | Address, when: int | datetime, *, branch: int | Ref | None = None
    ) -> Any:
        """Return an entity, or a copy of a value, as of a version or a time.

        Args:
            target: As for `history`.
            when: Number of a version of the tree, or a time with its zone, which means the newest
                version committed at or before it.
            branch: Number or ref of the branch; that of the target without one.

        Raises:
            NotFoundError: There is no such entity, version or branch, it was not in the tree then,
                or the tree began later.
            NaiveTimeError: The time has no zone.
            PrunedError: Retention has let the version go.
            PathError: A field, position or key of the path was not there.

        Cost: constant; for a time a look at each version committed after it.
        """
        where = chronicle.aim(self.trees, target, branch)
        version = when if isinstance(when, int) else chronicle.version_at(where.tree, when)
        entity = self.snapshot(Ref(where.tree.key, where.key, where.tree.branch), version)
        if not where.path:
            return entity
        return own_copy(follow(entity, Address(entity.ecs_id, where.path)).value)

    def diff(self, target: Target, a: int, b: int) -> Diff:
        """Return what differs between two versions of a tree.

        Raises:
            NotFoundError, PrunedError: A version does not exist, or is no longer kept.
        """
        return diff(self._locate(target)[1], a, b)

    def fork(self, target: Target, at: int | None = None, name: str | None = None) -> Ref:
        """Start a new branch of a tree.

        Args:
            target: The tree.
            at: Version to start from; the head without one.
            name: A name to find the branch by.

        Raises:
            InsideError: A dry run or replay calls it, of which nothing stays.

        Cost: constant; structure is shared until it changes.
        """
        self._refuse_lasting("fork")
        tree = self._locate(target)[1]
        ref = self.trees.hold(tree.at_version(at, partial(self.trees.fork, tree)), name)
        self.sync()
        return ref

    def drop(self, target: Target) -> None:
        """Forget a branch of a tree, or a root with its only branch: no id of it is found any more.

        Its memory is free once nobody holds a snapshot of it; those stay readable. Whoever waits
        for the tree gets a `NotFoundError`, as all who ask for it later.

        Args:
            target: The root, on the branch that is meant.

        Raises:
            NotFoundError: It is not here.
            ArgumentError: It is an entity below a root.
            InUseError: Another branch was forked from it; drop that first.
            BusyError: An execution is open on it that this call runs inside of.
            InsideError: A dry run or replay calls it, of which nothing stays.
        """
        self._refuse_lasting("drop")
        ref, tree = self._locate(target)
        if ref.key != ref.root:
            below = key_label(tree.class_of(ref.key), ref.key)
            raise ArgumentError("drop", "target", below, f"a root, as {tree.name}")
        self.trees.drop(ref)
        self.sync()

    def _refuse_lasting(self, call: str) -> None:
        """Refuse what would stay, where nothing does."""
        if self._is_read_only:
            self._refuse_to_write(f"{call}(...)")
        if is_inside_trial(self.trees):
            raise InsideError(
                call,
                "that is a dry run or a replay would stay, and nothing else of it does",
                "let the callable return what is new, and call this after it",
            )

    def _refuse_to_write(self, call: str) -> None:
        """Refuse a call if it is not part of a dry run; of a store that is open to read only."""
        assert self._session is not None, "only a store is open to read only"
        if not is_inside_trial(self.trees):
            raise ReadOnlyStoreError(call, self._session.writer.journal.name)

    def branches(self, target: Target) -> list[Ref]:
        """Return the branches of a tree, main first."""
        key = self._locate(target)[1].key
        return [Ref(tree.key, tree.key, tree.branch) for tree in self.trees.branches(key)]

    def forked_from(self, target: Target) -> UUID | None:
        """Return the version that a branch began with, by the `ecs_id` of its root.

        None for the main branch.

        Raises:
            NotFoundError: Nothing here has that name or id.
        """
        tree = self._locate(target)[1]
        if tree.base is None:
            return None
        return ids.to_uuid(tree.key, tree.base.stamp_of(tree.key, tree.base_version))

    def executions(
        self,
        name: str | None = None,
        entity: Target | None = None,
        status: Status | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> list[Record]:
        """Return the records that are kept, oldest first.

        Args:
            name: Only those of one callable.
            entity: Only those with this entity, or a tree with this root, among inputs or outputs.
            status: Only `ok` or `failed` ones.
            since: Only those that began at this time or later.
            until: Only those that began before this time.
            limit: Only the newest so many of them.

        Raises:
            NaiveTimeError: A time has no zone.

        Cost: reads all records that are kept; with a limit, the newest until there are enough.
        """
        key = None
        if entity is not None:
            if isinstance(entity, Entity):  # also one whose tree is not here
                key = key_of(entity)
            else:
                key = chronicle.aim(self.trees, entity).key
        for moment in (since, until):
            chronicle.check_zone(moment)
        found = self.records.newest(name, key, status, since, until)
        return list(itertools.islice(found, limit))[::-1]

    def execution(self, execution_id: str) -> Record:
        """Return the record of an execution; the newest, if its id was given twice.

        Raises:
            NotFoundError: No record with that id is kept.

        Cost: a look at each record that is newer: about 6 ms for 100,000.
        """
        return unpack(self._packed_record(execution_id))

    def _packed_record(self, execution_id: str) -> tuple[Any, ...]:
        packed = self.records.find([execution_id]).get(execution_id)
        if packed is None:
            where = f"this workspace, which keeps the newest {len(self.records)} records"
            raise NotFoundError(f"the record of execution {execution_id!r}", where)
        return packed

    def changes(self, execution: str | Record) -> list[ChangeSet]:
        """Return what an execution did: one change set per version that it made, new trees last.

        Args:
            execution: Its id or its record.

        Raises:
            NotFoundError: No record with that id is kept, or a tree is not held here.
            PrunedError: Retention has let a version go that it made.

        Cost: the changes; for an id that of `execution`, for a new tree its entities.
        """
        record = execution if isinstance(execution, Record) else self.execution(execution)
        return change_sets(self.trees, record)

    def why(self, target: Target | Address, *, depth: int = 3, limit: int = 100) -> Why:
        """Return how an entity or a value became what it is, newest step first.

        Each step is a version that changed it, with the execution that did so, its arguments as far
        as its record is kept, and what those were borrowed from, of which the same is asked. It
        ends where the value began: with the adoption or creation of its entity, or, if that was
        copied from another, with the same value there.

        Args:
            target: The entity, or the address of a field or element; of one below a child, it is
                about the child that is there. A version id means as of the newest version that
                shows it, a lineage id as of the head.
            depth: How often to ask on, about what was borrowed or copied.
            limit: Steps of one thing, the newest.

        Raises:
            NotFoundError, AddressError, PathError: As `history`.
            PrunedError: The version that an id names is no longer kept.

        Cost: the history of the value, and a look at each record that is newer than the oldest of
            its executions; the same again for all that is asked on.
        """
        if depth < 0 or limit < 1:
            raise ValueError(f"depth={depth}, limit={limit}: expected at least 0 and 1")
        asking = Asking(self.trees, self.records, limit, depth)
        return why(asking, chronicle.aim(self.trees, target, is_exact=True))

    def replay(self, execution_id: str, *, arguments: Mapping[str, Any] | None = None) -> Replay:
        """Run a recorded execution again on its recorded inputs, in this thread, and compare.

        Nothing is stored, neither versions nor a record: it runs on forks that are dropped, and so
        does what the callable executes. A breakpoint may be looked at for as long as one likes. The
        callable is the one that has the name now; what it reads beside its arguments, like the
        time, is as now.

        Args:
            execution_id: The execution, `ok` or `failed`.
            arguments: Arguments to use in place of the recorded ones: for those that were kept as
                text only, and orphans that did not become roots.

        Returns:
            What it returned or raised now, and every difference to what was recorded.

        Raises:
            NotFoundError: There is no such record or callable any more.
            PrunedError: Retention has let a version go that it ran on, or made.
            ReplayError: The record does not keep all that it takes.

        Cost: that of the execution, the entities that it touches loaded anew.
        """
        packed = self._packed_record(execution_id)
        name = unpack(packed).callable_name
        registered = self._callables.get(name) or _OWN.get(name) or self.callable(name)
        with muted():
            return replay(self._setting, registered, packed, arguments or {})

    # --- events ---

    @overload
    def on(
        self,
        *types: type[Event] | str,
        pattern: str | None = None,
        predicate: Predicate | None = None,
        priority: int = 0,
        handler: None = None,
    ) -> Callable[[_Function], _Function]: ...

    @overload
    def on(
        self,
        *types: type[Event] | str,
        pattern: str | None = None,
        predicate: Predicate | None = None,
        priority: int = 0,
        handler: _Function,
    ) -> _Function: ...

    def on(
        self,
        *types: type[Event] | str,
        pattern: str | None = None,
        predicate: Predicate | None = None,
        priority: int = 0,
        handler: Any = None,
    ) -> Any:
        """Tell a handler, the decorated function or *handler*, what happens from now on.

        After the commit, in the order of commits, when all turns are given back; `started` before
        the callable runs. So a handler may execute and emit; that is told after what is told now.
        A synchronous handler is called by the thread that executes (or by another that is telling
        already), never by two at once. A coroutine function runs as a task of the event loop that
        the execution ran in, one event after the other; without a loop, to its end before
        `execute` returns. A handler that fails is logged (`registry.events`), and that is all.

        Args:
            *types: Classes of events, with their subclasses, or texts of types: any of these; all
                events without one.
            pattern: A glob that the type must match as well, like `execution.*`.
            predicate: What must be true of the event as well.
            priority: Higher ones are told first, then those that subscribed first.
            handler: The handler, if it is not decorated.

        Returns:
            The handler, or what subscribes the function that it decorates and returns that.

        Raises:
            EventError: A type is neither a class of events nor a text, or the handler no function.

        Cost: nothing while nobody listens; else about 30 us for each execution, and the handlers.
        """
        if handler is not None:
            self._bus.subscribe(handler, types, pattern, predicate, priority)
            return handler
        wants(types)  # refused here, not where the function is decorated

        def decorate(function: _Function) -> _Function:
            self._bus.subscribe(function, types, pattern, predicate, priority)
            return function

        return decorate

    def unsubscribe(self, handler: Handler) -> bool:
        """Tell a handler nothing more; False if it was not told anything."""
        return self._bus.unsubscribe(handler)

    def emit(self, event: Event) -> None:
        """Tell an event of your own to those who want it.

        In a callable: when its outermost execution is committed, in order with what that did, and
        not at all if it is taken back.

        Raises:
            EventError: It is no event.
            CascadeError: Handlers caused it by events that they caused, a thousand times.
        """
        self._bus.emit(event)

    async def settle_events(self) -> None:
        """Wait until the handlers that run as tasks of this event loop were told everything."""
        await self._bus.settle()

    def events(
        self,
        after: Cursor | None = None,
        types: Iterable[type[Event] | str] = (),
        *,
        pattern: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Told]:
        """Yield (cursor, event) of what happened after a cursor, oldest first, as of now.

        The same as is told to those who listen, from all that the record log retains: executions,
        failed ones too, and adoptions, in the order of commits. Not events of your own, which are
        told and not kept.

        Args:
            after: The cursor of the last event that was read; None for the oldest that is kept.
            types: As for `on`.
            pattern: As for `on`.
            limit: At most so many.

        Raises:
            EventError: As for `on`.
            CursorError: Retention has dropped what comes next, or the cursor is not of this
                workspace.

        Cost: a copy of the record log, which is a pointer for each entry; then about 10 us for
            each execution that is read. Once called, executions cost 0.2 us more.
        """
        told = read(self.records, self.trees, after, wants(tuple(types), pattern))
        return told if limit is None else itertools.islice(told, limit)

    def event_cursor(self) -> Cursor:
        """Return the cursor after all that has happened: what `events` yields after it is new."""
        return end_of(self.records)

    def page(self, target: Target, version: int | None = None, limit: int = 1000) -> Page:
        """Return a part of a snapshot that can travel.

        An entity and up to *limit* - 1 of those below it.
        """
        ref, tree = self._locate(target)
        return tree.at_version(version, lambda number: read_page(tree, ref.key, number, limit))

    def _locate(self, target: Target) -> tuple[Ref, TreeRegistry]:
        if isinstance(target, Ref):  # also of an entity that only older versions have
            return target, self.trees.tree(target)
        ref = self.ref(target)
        return ref, self.trees.tree(ref)


def refuse_other_kinds(root: Any, name: Any) -> None:
    """Refuse to add what is no entity, or under a name that is no text.

    Raises:
        ArgumentError: It is of another kind.
    """
    if KIND[type(root)] != ENTITY:
        raise ArgumentError("add", "root", f"{shown(root)} ({type(root).__name__})", "an Entity")
    if not isinstance(name, str | None):
        raise ArgumentError("add", "name", f"{shown(name)} ({type(name).__name__})", "a text")


def _first_root(arguments: Mapping[str, Any]) -> Ref | None:
    """Return the root of the first entity among arguments; None without one."""
    for given in arguments.values():
        if isinstance(given, Ref):
            return given.root_ref
        if isinstance(given, Entity) and given.root_ecs_id is not None:
            root = ids.from_uuid(given.root_ecs_id)
            return Ref(ids.plain(root.key), ids.plain(root.key), root.branch)
    return None


def _edit(entity: Entity) -> Entity:
    return entity


_EDIT = RegisteredCallable("edit", _edit)
"""What commits the edits of a snapshot: the edits are all that it changes."""
_OWN = {each.name: each for each in (_EDIT, PUT)}
"""Callables of the workspace itself."""


def _is_same(a: Callable[..., Any], b: Callable[..., Any]) -> bool:
    """Tell whether two function objects are one function.

    A module that is imported twice registers twice.
    """
    if a is b:
        return True
    return (a.__module__, a.__qualname__) == (b.__module__, b.__qualname__) and getattr(
        a, "__code__", None
    ) == getattr(b, "__code__", None)
