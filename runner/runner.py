"""Runner: the front door. Adds roots to hosts, runs jobs on them, reads what came of it.

    with Runner(app) as runner:
        grid = runner.add(GridMap(...), name="grid")
        jobs = (Job("move", grid, {"source": 1, "target": 2}) for _ in range(1000))
        for outcome in runner.submit(jobs):
            ...

In process and on Ray it does the same; `in_process=True` leaves out the transport and nothing else.
"""

from __future__ import annotations

import contextlib
import weakref
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple, Self, cast

from registry import (
    Diff,
    Entity,
    Page,
    Ref,
    VersionInfo,
    ids,
    snapshot_from_pages,
)
from registry.clock import Clock
from registry.journal.sqlite_file import Durability
from runner.asked import check_memory
from runner.batch import Batch, Job, Outcome, RaiseOn
from runner.code import App, collect_code, find_workspace
from runner.directory import NOWHERE, Directory, Entry
from runner.dispatcher import Dispatcher
from runner.errors import (
    HostLostError,
    JobError,
    RootNotFoundError,
    RunnerClosedError,
    RunnerError,
    TimeLimitError,
)
from runner.fleet import Fleet
from runner.host_store import KnownOutcomes, Store, enter_stored
from runner.known import find_outcomes
from runner.options import NO_OPTIONS, Options
from runner.routing import Routing
from runner.settings import DEFAULT, Settings
from runner.statistics import Meter, Statistics
from runner.transport import InProcessTransport, Transport
from runner.wire import Wire

ADD_ATTEMPTS = 3
"""Hosts that a root is offered to, if they die before they have it."""
ASK_ATTEMPTS = 10
"""Hosts that are asked, if one after the other dies before it answers."""


class Runner:
    """Runs the callables of an app on roots that live in hosts.

    Use it as a context manager: entering starts hosts without waiting for them, leaving ends them,
    and the roots with them. Threads may share a runner, each with batches of its own.

    Args:
        app: A workspace with callables, or a module, or its name, that has one as `app`. Its own
            trees stay where they are.
        hosts: Most hosts, all started at once; None: one per CPU at once, up to
            `Settings.max_hosts` as roots are added.
        in_process: Whether to do without Ray, with one host in this process.
        address: host:port of a Ray cluster; None: the Ray of this process, or a new one.
        store: Where all that is committed survives whoever dies, see `Workspace`: a path that all
            hosts can reach. The roots in it are here from the start. Without one a root ends with
            its host.
        durability: See `Workspace`; what an outcome waits for.
        settings: The bounds.
    """

    def __init__(
        self,
        app: App,
        *,
        hosts: int | None = None,
        in_process: bool = False,
        address: str | None = None,
        store: str | PathLike[str] | None = None,
        durability: Durability = "fsync",
        settings: Settings = DEFAULT,
    ) -> None:
        self._app = app
        self._store = None if store is None else Store(_whole_path(store), durability)
        self._hosts = hosts
        self._in_process = in_process
        self._address = address
        self._settings = settings if hosts is None else replace(settings, max_hosts=hosts)
        self._meter = Meter()
        self._batches: weakref.WeakSet[Batch] = weakref.WeakSet()
        self._session: _Session | None = None
        self._outcomes: KnownOutcomes | None = None

    def __enter__(self) -> Self:
        workspace = find_workspace(self._app)
        transport = self._connect()
        try:
            directory = Directory()
            if self._store is not None:
                enter_stored(self._store, directory)
            code = collect_code(workspace, by_value=transport.by_value, store=self._store)
            fleet = Fleet(transport, code, directory, self._settings)
            fleet.start(self._hosts or transport.cpu_count)
        except BaseException:
            transport.close()
            raise
        wire = Wire(by_value=transport.by_value)
        routing = Routing(directory, workspace.callables())
        self._session = _Session(directory, fleet, routing, wire)
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End batches that are still going, then the hosts; a second time does nothing."""
        session, self._session = self._session, None
        if session is None:
            return
        for batch in list(self._batches):
            batch.cancel()
        session.fleet.close()
        outcomes, self._outcomes = self._outcomes, None
        if outcomes is not None:
            outcomes.close()

    # --- roots ---

    def add(self, entity: Entity, name: str | None = None, *, dedicated: bool = False) -> Ref:
        """Move a tree to a host, and return the ref of its root there.

        The host gets a copy, version 1; what the caller holds stays an object like any other.

        Args:
            entity: The root of the tree.
            name: What jobs may call it; unique among the roots of this runner.
            dedicated: Whether it gets a host to itself, even beyond `max_hosts`.

        Raises:
            IdentityTakenError: It is an orphan with the identity of a root of this runner.
            NameTakenError: A root has that name.
            StructureError: What is below the entity is not a tree.
            CodeError: The hosts cannot load the callables.
        """
        named = {name: entity} if name is not None else [entity]
        return self.add_many(named, dedicated=dedicated)[0]

    def add_many(
        self, entities: Mapping[str, Entity] | Iterable[Entity], *, dedicated: bool = False
    ) -> list[Ref]:
        """Move trees to hosts at the same time; as `add` otherwise.

        Args:
            entities: Roots; a mapping gives them names.
            dedicated: Whether each gets a host to itself.

        Returns:
            Refs in the order of the entities. If one cannot be added, the others are, and its error
            is raised.
        """
        session = self._opened("add")
        named: Iterable[tuple[str | None, Entity]] = (
            entities.items()
            if isinstance(entities, Mapping)
            else ((None, item) for item in entities)
        )
        under_way: deque[_Addition] = deque()
        refs: list[Ref] = []
        errors: list[Exception] = []
        for name, entity in named:
            if len(under_way) >= self._settings.adds_in_flight:
                _finish(under_way.popleft(), refs, errors)
            try:
                under_way.append(_Addition(session, entity, name, dedicated=dedicated))
            except Exception as exc:  # noqa: BLE001 - raised below, when the others are settled
                errors.append(exc)
        while under_way:
            _finish(under_way.popleft(), refs, errors)
        if errors:
            raise errors[0]
        return refs

    def roots(self) -> dict[Ref, str | None]:
        """Return the living roots, each with its name, those that executions created included."""
        return {entry.root: entry.name for entry in self._opened("roots").directory}

    def ref(self, target: str | Entity) -> Ref:
        """Return the ref of a root, by name or address, or of an entity of a snapshot.

        Raises:
            RootNotFoundError: There is none.
            RootLostError: Its host died.
        """
        directory = self._opened("ref").directory
        if isinstance(target, str):
            return directory.entry(target).root
        if target.root_ecs_id is None:
            raise RootNotFoundError(f"that of a {type(target).__name__} outside any tree")
        root = ids.from_uuid(target.root_ecs_id)
        ref = Ref(root.key, ids.from_uuid(target.ecs_id).key, root.branch)
        directory.entry(ref)
        return ref

    # --- executions ---

    def submit(
        self,
        jobs: Iterable[Job],
        *,
        ordered: bool = False,
        chunk: int | None = None,
        window: int | None = None,
        timeout_s: float | None = None,
        options: Options = NO_OPTIONS,
        raise_on: RaiseOn = "never",
    ) -> Batch:
        """Return a batch, which runs as its outcomes are taken.

        Args:
            jobs: A list, or a generator of any length. Jobs for one root run in this order, but for
                their priorities.
            ordered: Whether outcomes come in the order of the jobs, not as they are done.
            chunk: Most jobs in one request to a host; None: as in the settings.
            window: Most requests on their way to one host; None: as in the settings.
            timeout_s: Longest that a job may run; None: as in the settings. One that runs longer is
                ended with its host, which another one replaces, after up to a half longer.
            options: What each job asks for that does not say otherwise.
            raise_on: Whether iterating raises a `BatchError` for a job that did not succeed: at the
                `first`, which also cancels what is left, or at the `end`. Its outcome is in the
                error; those of others come if iteration goes on.

        Raises:
            TimeLimitError: A limit of time was given, and the runner has no store, or no hosts of
                its own. A job's own limit is an outcome then.
            JobError: Likewise, a limit of memory without hosts of its own. Or `options` says that
                the jobs depend on others, which each job must say itself.
        """
        session = self._opened("submit")
        if options.depends_on:
            subject = f"Options.depends_on {list(options.depends_on)} of a batch"
            raise JobError(subject, "would be those of its first job, too; give them to jobs")
        settings = replace(
            self._settings,
            chunk_jobs=chunk or self._settings.chunk_jobs,
            window_chunks=window or self._settings.window_chunks,
            timeout_s=timeout_s or options.timeout_s or self._settings.timeout_s,
        )
        missing = session.fleet.missing_for_limits
        if settings.timeout_s is not None and missing is not None:
            raise TimeLimitError(missing)
        if options.memory_bytes is not None:
            check_memory(has_processes=session.fleet.has_processes)
        dispatcher = session.dispatcher(jobs, self._meter, settings, options)
        batch = Batch(dispatcher, self.submit, is_ordered=ordered, raise_on=raise_on)
        self._batches.add(batch)
        return batch

    def execute(self, callable: str, /, **arguments: Any) -> Outcome:  # noqa: A002 - the glossary's word
        """Run one callable and wait for the outcome, whatever it is.

        `outcome.result()` gives the value, or raises.
        """
        session = self._opened("execute")
        dispatcher = session.dispatcher(
            (Job(callable, None, arguments),), self._meter, self._settings, one_by_one=True
        )
        dispatcher.advance()
        return dispatcher.ready.popleft()

    def known(self, jobs: Iterable[Job], options: Options = NO_OPTIONS) -> list[Outcome | None]:
        """Return what the store says became of jobs that ran before; none is sent.

        None for a job that is not known to have run, without an id, or that cannot be sent at all;
        and for one that failed and would be run again, unless that was done.
        An index is that among these jobs; what ran before took no time now.

        Args:
            jobs: The jobs.
            options: As those of `submit`: when a job that failed is run again.

        Raises:
            JournalError, JournalDamagedError: The store cannot be read.

        Cost: opening the store, once; then a look into it per job, about 8 us.
        """
        session = self._opened("known")
        if self._store is None:
            return [None for _ in jobs]
        if self._outcomes is None:
            self._outcomes = KnownOutcomes(self._store)
        given = list(jobs)
        found: list[Outcome | None] = [None] * len(given)
        for root, some in _by_root(session.routing, given).items():
            wanted = {index: given[index] for index in some}
            for outcome in find_outcomes(self._outcomes, root, wanted, options):
                found[outcome.index] = outcome
        return found

    # --- reading ---

    def snapshot(self, target: Ref | str, version: int | None = None) -> Entity:
        """Return an isolated copy of an entity, loaded in parts as it is read.

        Args:
            target: Ref, or name or address of a root.
            version: Version of its root; None: the newest.

        Raises:
            PrunedError: The version is no longer kept.
            NotFoundError: It never was.
        """
        session = self._opened("snapshot")
        ref = session.directory.resolve(target)

        def fetch(ref: Ref, version: int | None, limit: int) -> Page:
            return cast("Page", session.ask(ref, "page", version, limit))

        return snapshot_from_pages(fetch, ref, version)

    def head(self, target: Ref | str) -> int:
        """Return the newest version of a root."""
        return cast("int", self._opened("head").ask(target, "head"))

    def history(self, target: Ref | str) -> list[VersionInfo]:
        """Return the retained versions of a root, oldest first."""
        return cast("list[VersionInfo]", self._opened("history").ask(target, "history"))

    def diff(self, target: Ref | str, a: int, b: int) -> Diff:
        """Return what changed in a root between two versions."""
        session = self._opened("diff")
        found = cast("Diff", session.ask(target, "diff", a, b))
        root = session.directory.resolve(target).root_ref
        return replace(found, read=lambda version: self.snapshot(root, version))

    def fork(self, target: Ref | str, at: int | None = None) -> Ref:
        """Start a branch of a root, and return the ref of its head.

        Args:
            target: The root.
            at: Version to start from; None: the newest.
        """
        return cast("Ref", self._opened("fork").ask(target, "fork", at))

    def statistics(self) -> Statistics:
        """Return what this runner has done so far."""
        session = self._opened("statistics")
        return self._meter.read(hosts=len(session.fleet), roots=len(session.directory))

    def host_pid(self, target: Ref | str) -> int | None:
        """Return the process of the host that has a root; None in process.

        For those who watch over processes, or end them to see what happens.
        """
        session = self._opened("host_pid")
        entry = session.directory.entry(target)
        if entry.host == NOWHERE:
            entry = session.fleet.house(entry)
        return session.fleet.pid(entry.host)

    def wait_for_spare(self) -> bool:
        """Wait until a spare host is ready to take over; False if there is none to wait for.

        Raises:
            CodeError: It cannot load the callables.
        """
        return self._opened("wait_for_spare").fleet.wait_for_spare()

    def _connect(self) -> Transport:
        if self._in_process:
            return InProcessTransport()
        from runner.cluster import connect
        from runner.ray_host import RayTransport

        return RayTransport(connect(self._address, self._settings))

    def _opened(self, call: str) -> _Session:
        if self._session is None:
            raise RunnerClosedError(f"Runner.{call}")
        return self._session


class _Session(NamedTuple):
    """What a runner has while it is open."""

    directory: Directory
    fleet: Fleet
    routing: Routing
    wire: Wire

    def dispatcher(
        self,
        jobs: Iterable[Job],
        meter: Meter,
        settings: Settings,
        options: Options = NO_OPTIONS,
        *,
        one_by_one: bool = False,
        clock: Clock = monotonic,
    ) -> Dispatcher:
        """Return what runs a batch."""
        return Dispatcher(
            jobs,
            self.fleet,
            self.directory,
            self.routing,
            meter,
            self.wire,
            settings,
            options,
            one_by_one=one_by_one,
            clock=clock,
        )

    def ask(self, target: Ref | str, method: str, *arguments: Any) -> Any:
        """Let the workspace of a root answer, and return what it says."""
        entry = self.directory.entry(target)
        ref = target if isinstance(target, Ref) else entry.root
        if entry.host == NOWHERE:
            entry = self.fleet.house(entry)
        host = entry.host
        for _ in range(ASK_ATTEMPTS - 1):
            try:
                return self.fleet.call(host, "ask", (ref, method, arguments))
            except HostLostError as exc:
                if not self.fleet.is_durable:
                    raise entry.lost_error() from exc
                host = self.fleet.replace(host)
        return self.fleet.call(host, "ask", (ref, method, arguments))


class _Addition:
    """A tree on its way to a host."""

    def __init__(
        self, session: _Session, entity: Entity, name: str | None, *, dedicated: bool
    ) -> None:
        if name is not None:
            session.directory.check_name(name)
        # This draws the identity if it was not before, so that it is the same here and there.
        session.directory.check_identity(entity)
        self._session = session
        self._request = (session.wire.dumps(entity), name)
        self._dedicated = dedicated
        self._name = name
        self._send()

    def finish(self) -> Ref:
        """Wait until it has arrived, and return its ref."""
        for _ in range(ADD_ATTEMPTS - 1):
            try:
                return self._receive()
            except HostLostError:
                self._send("add_again" if self._session.fleet.is_durable else "add")
        return self._receive()

    def _send(self, method: str = "add") -> None:
        fleet = self._session.fleet
        self._host = fleet.place(dedicated=self._dedicated)
        self._answer = fleet.ask(self._host, method, self._request)

    def _receive(self) -> Ref:
        fleet = self._session.fleet
        try:
            fleet.wait_until_loaded(self._host)
            ref: Ref = fleet.answer(self._host, "add", self._answer)
            self._session.directory.enter(Entry(ref, self._host, ref.root, self._name))
        finally:
            fleet.settle(self._host)
        return ref


def _by_root(routing: Routing, jobs: Iterable[Job]) -> dict[Ref | None, list[int]]:
    """Return the indexes of the jobs that have ids and can be sent, by the root that they go to."""
    found: dict[Ref | None, list[int]] = {}
    for index, job in enumerate(jobs):
        if job.id is not None:
            with contextlib.suppress(RunnerError):  # whoever sends it is told why
                _, (_, root, *_) = routing.route(job, index)
                found.setdefault(root, []).append(index)
    return found


def _whole_path(store: str | PathLike[str]) -> str:
    """Return a path as every process of this machine can use it; an address as it is."""
    place = fspath(store)
    return place if "://" in place else str(Path(place).absolute())


def _finish(addition: _Addition, refs: list[Ref], errors: list[Exception]) -> None:
    try:
        refs.append(addition.finish())
    except Exception as exc:  # noqa: BLE001 - raised when the others are settled
        errors.append(exc)
