"""Execution: one run of one callable, from arguments to record.

    arguments ── bind ──> inputs ── turns taken, transactions opened ──> live objects
                                                                          │ the callable runs
    record <── snapshots or refs <── versions <── apply <── plan <────────┘

Every step before `apply` may refuse, and then all trees are as they were; `apply` cannot fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any, Literal, NamedTuple, TypeAlias

from registry import ids, plain_changes
from registry.address import Ref
from registry.borrowing import Borrowing, mentions_address
from registry.bus import Bus
from registry.callables import RegisteredCallable
from registry.changes import Changes
from registry.clock import Clock
from registry.config import ConfigEntity
from registry.config_store import ConfigStore, StoredConfig
from registry.copies import clone, copy_value
from registry.depth import nesting_problem
from registry.entity import Entity, fill, key_of, label, part, version_of
from registry.errors import (
    ArgumentError,
    BusyError,
    ConflictError,
    NotFoundError,
    ReadOnlyError,
    ReturnError,
    UnfinishedError,
)
from registry.forcing import force
from registry.founding import Founding, refuse_sharing
from registry.kept import keep
from registry.moving import wishes
from registry.nesting import Nest, running
from registry.outputs import PendingOutput
from registry.records import RecordLog, TreeVersions
from registry.results import entities_returned
from registry.schema import ABSENT, FIELDS_SET, schema_of
from registry.semantics import CREATION, DETACHMENT, MUTATION, own_value, present
from registry.snapshot import Snapshot
from registry.strategies import Pattern, Strategy, pattern_of, strategy_of
from registry.transaction import Transaction
from registry.tree import TreeRegistry
from registry.trees import Trees, not_held
from registry.turn import Turn
from registry.values import (
    ATOM,
    DICT,
    ENTITY,
    FROZENSET,
    KIND,
    LIST,
    SET,
    TUPLE,
    EntityInside,
    copy_opaque,
)

OnStale = Literal["fork", "error", "head"]

EDITS = "@edits"
"""Among the arguments of a record: how many fields the holders of its snapshots had edited."""

Form = Literal["entities", "raw", "receipt"]
"""What the caller gets: entities only, a plain result as the value of one; a plain result as it is;
or a receipt."""

_standing_still: ContextVar[frozenset[int]] = ContextVar("standing_still", default=frozenset())
"""Threads that wait for the code in this context; none of their tasks will go on before."""

_perf = time.perf_counter


class Receipt(NamedTuple):
    """What became of an execution, without its trees.

    Attributes:
        number: The execution; `execution_id` is its text.
        semantic: `mutation`, `creation` or `detachment`; None if no entity was returned.
        version: Version of the first input tree after the execution; 0 without an input tree.
        changed: Number of entities that got a new `ecs_id`.
        value: What was returned, in its shape, with refs in place of entities.
        outputs: The entities returned, in order.
    """

    number: int | str
    semantic: str | None
    version: int
    changed: int
    value: Any
    outputs: tuple[Ref, ...]

    @property
    def execution_id(self) -> str:
        """Id of the execution."""
        return ids.execution_text(self.number)


class Setting(NamedTuple):
    """What the executions of a workspace share.

    Attributes:
        trees: The trees that they run on.
        records: Where their records go.
        clock: Where time comes from.
        on_stale: What to do with an outdated snapshot as input.
        configs: The stored configs.
        bus: Who listens to what they do.
    """

    trees: Trees
    records: RecordLog
    clock: Clock
    on_stale: OnStale
    configs: ConfigStore
    bus: Bus


Plans: TypeAlias = list[tuple[Transaction, Changes | None]]
"""What each transaction will do to its tree, if anything."""

Place: TypeAlias = tuple[TreeRegistry, ids.Key]
"""Where an entity is: tree and key."""

Located: TypeAlias = tuple[str, TreeRegistry | None, ids.Key, Any]
"""(parameter, tree, key, what was given) of an entity among the arguments; without a tree it is new
to all of them."""


class Begun(NamedTuple):
    """What `plain.py` knows of an execution when it hands it over."""

    parameter: str
    given: Ref
    names: tuple[str, ...]
    values: tuple[Any, ...]
    started: float


class Execution:
    """One run of one callable. Used once: `run` or `run_async`, then `snapshots` or `receipt`.

    Attributes:
        registered: The callable.
        number: The execution, see `ids.execution_text`.
        started: When it began, seconds since the epoch.
        is_forced: Whether every entity of the input trees gets a new id.
    """

    # What most executions do not need is made when it is needed: a run costs a few microseconds in
    # all.
    _bound: dict[str, Any] = {}  # noqa: RUF012 - replaced, never written
    _values: tuple[Any, ...] = ()
    _names: tuple[str, ...] = ()
    _located: Sequence[Located] = ()
    _targets: Sequence[TreeRegistry] = ()
    _provisional: Sequence[TreeRegistry] = ()
    _txns: Sequence[Transaction] = ()
    _outputs: Sequence[tuple[TreeRegistry, Entity]] = ()
    _keys: Mapping[int, ids.Key] = {}  # of outputs that have another one than when returned
    _returned: Sequence[Entity] = ()
    _own: Sequence[Entity] = ()
    _places: dict[int, Place] = {}  # noqa: RUF012 - replaced, never written
    _founding: Founding | None = None
    _forks: Mapping[tuple[TreeRegistry, int], TreeRegistry] = {}
    _borrowing: Borrowing | None = None
    _configs: Sequence[tuple[str, Entity, TreeRegistry]] = ()
    _sources: tuple[Any, ...] = ()
    _nest: Nest | None = None
    _edited: Sequence[Snapshot] = ()
    _shots: Mapping[int, Snapshot] = {}
    _semantic: str | None = None
    _changed = 0
    _is_looked_at = False
    _given = 0
    _is_open = False
    _has_entities = False
    _output: PendingOutput | None = None
    is_forced = False
    _result: Any = None
    _after: tuple[int, ...] = ()
    _is_bound = False
    _has_collection = False
    _has_plain = False
    _parent: int | str | None = None
    _queued_s = 0.0
    _run_s = 0.0
    _commit_s = 0.0

    def __init__(
        self,
        setting: Setting,
        registered: RegisteredCallable,
        number: int | str,
        form: Form = "raw",
    ) -> None:
        self._setting = setting
        self._form = form
        self._trees = setting.trees
        self.registered = registered
        self.number = number
        self.started = self._now = setting.clock()

    # --- the two ways to run ---

    def run(self, arguments: Mapping[str, Any]) -> None:
        """Run a synchronous callable. Exceptions come out as raised, after rollback and record."""
        asked = _perf()
        try:
            self._bind(arguments)
            self._take_turns()
            self._queued_s = _perf() - asked
            try:
                live = self._open(arguments)
                began = _perf()
                result = self._call(live)
                self._run_s = (ended := _perf()) - began
                self._commit(result)
                self._commit_s = _perf() - ended
                self._conclude()
            except BaseException:
                self._roll_back()
                raise
            finally:
                self._give_back()
        except BaseException as error:
            self._record_failure(arguments, error)
            raise

    def _call(self, live: Mapping[str, Any]) -> Any:
        token = running.set(self)
        try:
            return self.registered.function(**live)
        finally:
            running.reset(token)

    def take_over(self, begun: Begun, txn: Transaction) -> None:
        """Go on with an execution that `plain.py` began and whose outcome is not the usual one."""
        self.started = begun.started
        self._located = ((begun.parameter, txn.tree, begun.given[1], begun.given),)
        self._targets = (txn.tree,)
        self._txns = (txn,)
        self._names, self._values = begun.names, begun.values
        self._nest, txn.tree.nest = txn.tree.nest, None
        self._is_bound, self._has_plain, self._given = True, len(begun.names) > 1, 1

    def own_config(self, name: str, given: Entity) -> Entity:
        """Return the callable's own copy of a config of the right class, and remember it.

        No turn is taken: what is stored of a config never changes.
        """
        configs, home = self._setting.configs, given.__home__
        if home is None:
            return self._copy_of_config(name, configs.with_content_of(given, self._now))
        stored = configs.stored(given, self._now)
        if getattr(home, "source", home) is not stored.tree:
            key, stamp = version_of(given)
            self.note_source(name, ids.plain(key), stamp, "")
        return self._copy_of_config(name, stored)

    def _copy_of_config(self, name: str, stored: StoredConfig) -> Entity:
        own = stored.own_copy()
        self._configs = [*self._configs, (name, own, stored.tree)]
        return own

    @property
    def configs(self) -> Sequence[tuple[str, Entity, TreeRegistry]]:
        """The configs given: parameter, the callable's own copy, where it is stored."""
        return self._configs

    def note_source(self, name: str, key: ids.Key, stamp: int, path: str) -> None:
        """Note where a plain argument was borrowed from."""
        self._sources += (name, ids.plain(key), stamp, path)

    @property
    def sources(self) -> tuple[Any, ...]:
        """Where arguments were borrowed from, as a record keeps it."""
        return self._sources

    def take_over_several(
        self,
        located: Sequence[Located],
        targets: Sequence[TreeRegistry],
        values: tuple[Any, ...],
    ) -> list[Transaction]:
        """Go on with an execution whose inputs and turns `plain_several.py` has.

        Return the transactions, in the order of *targets*.
        """
        self._located, self._targets, self._values = located, targets, values
        registered = self.registered
        self._names, self._is_bound = registered.names, True
        self._has_plain, self._has_collection = registered.has_plain, registered.has_collection
        self._given = len(targets)
        self._txns = txns = self._begin()
        return txns

    @property
    def has_nest(self) -> bool:
        """Whether anything ran inside."""
        return self._nest is not None

    @property
    def form(self) -> Form:
        """What the caller gets."""
        return self._form

    def conclude(self, result: Any, run_s: float, is_looked_at: bool) -> Execution:
        """Commit what a callable that was taken over returned, and record it.

        Args:
            result: What it returned.
            run_s: How long it ran.
            is_looked_at: Whether its changes were found not to be plain.
        """
        self._is_looked_at = is_looked_at
        self._run_s, began = run_s, _perf()
        try:
            self._commit(result)
            self._commit_s = _perf() - began
            self._record("ok", "", "")
        finally:
            self._give_back_others()
        return self

    def abandon(self, error: BaseException) -> None:
        """Take back what a callable that was taken over wrote, and record why."""
        self._roll_back()
        self._give_back_others()
        self._record_failure({}, error)

    def _give_back_others(self) -> None:
        """Give back the turns of all trees but those that were taken over."""
        for tree in self._targets[self._given :]:
            tree.turn.give_back()
        self._targets = self._targets[: self._given]

    def run_in_loop(self, arguments: Mapping[str, Any]) -> None:
        """Run a coroutine function from synchronous code, in an event loop of its own.

        If this thread runs a loop itself, that stands still meanwhile; the other one is in a thread
        of its own.

        Raises:
            BusyError: It would wait for a task of this thread, which cannot go on.

        Cost: about 0.1 ms for the loop, and as much for the thread.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            asyncio.run(self.run_async(arguments, is_alone=True))
            return
        context = copy_context()
        context.run(_standing_still.set, _standing_still.get() | {threading.get_ident()})
        with ThreadPoolExecutor(1, "treerunner") as helper:
            helper.submit(context.run, self._run_alone, arguments).result()

    def _run_alone(self, arguments: Mapping[str, Any]) -> None:
        asyncio.run(self.run_async(arguments))

    async def run_async(self, arguments: Mapping[str, Any], *, is_alone: bool = False) -> None:
        """Run a callable from an event loop.

        A coroutine function is awaited, one that blocks is called in a thread, any other directly.
        """
        asked = _perf()
        try:
            self._bind(arguments)
            await self._take_turns_async(is_alone)
            self._queued_s = _perf() - asked
            try:
                live = self._open(arguments)
                began = _perf()
                result = await self._call_async(live)
                self._run_s = (ended := _perf()) - began
                self._commit(result)
                self._commit_s = _perf() - ended
                self._conclude()
            except BaseException:
                self._roll_back()
                raise
            finally:
                self._give_back()
        except BaseException as error:
            self._record_failure(arguments, error)
            raise

    async def _call_async(self, live: Mapping[str, Any]) -> Any:
        registered = self.registered
        token = running.set(self)
        try:
            if registered.blocking:
                return await _in_thread(partial(registered.function, **live))
            result = registered.function(**live)
            return await result if registered.is_async else result
        finally:
            running.reset(token)

    # --- what runs inside ---

    @property
    def setting(self) -> Setting:
        """What it shares with the others of its workspace."""
        return self._setting

    @property
    def is_open(self) -> bool:
        """Whether its callable still runs."""
        return bool(self._is_open)

    def is_of(self, trees: Trees) -> bool:
        """Tell whether it runs on the trees of a workspace."""
        return self._trees is trees

    def is_trial_of(self, trees: Trees) -> bool:
        """Tell whether it runs on stand-ins for the trees of a workspace."""
        return self._trees.origin is trees

    @property
    def nest(self) -> Nest:
        """What runs inside its outermost execution."""
        if self._nest is None:
            self._nest = Nest(self._targets, self._txns)
        return self._nest

    @property
    def open_txns(self) -> Sequence[Transaction]:
        """The open transactions of its outermost execution."""
        return self._txns if self._nest is None else self._nest.txns

    # --- inputs ---

    def _bind(self, arguments: Mapping[str, Any]) -> None:
        """Check the arguments and find the tree of each entity among them."""
        registered = self.registered
        for name, value in arguments.items():
            if KIND[type(value)]:
                registered.check_nesting(name, value)
        if mentions_address(arguments.values()):
            bound = self._bind_addresses(arguments)
        else:
            bound = registered.bind(arguments, self._class_of)
        located: list[Located] = []
        for name in registered.entity_parameters:
            given = bound[name]
            if type(given) is Ref:
                located.append((name, self._trees.tree(given), given[1], given))
            elif KIND[type(given)] == ENTITY:
                located.append(self._locate(given, name))
            else:
                continue
            bound[name] = None  # until it is there
        for name in registered.collection_parameters:
            self._map(bound[name], name, lambda each, at: located.append(self._locate(each, at)))
        if registered.config_parameters:
            self._configs, self._sources = [], ()
            for name in registered.config_parameters:
                if bound[name] is not None:
                    bound[name] = self._own_config(name, bound[name])
        self._bound = bound
        # Taken down now: the callable may change what it was given.
        values = bound.values()
        self._values = tuple(values if registered.takes_atoms else map(keep, values))
        self._names = tuple(bound)
        self._located = located
        inputs = registered.input_parameters
        self._has_plain = not inputs.issuperset(arguments)
        self._has_collection = any(
            bound[name] is not None for name in registered.collection_parameters
        )
        self._is_bound = True
        borrowed = self._borrowing.trees if self._borrowing else ()
        if len(located) == 1 and not borrowed and (only := located[0][1]) is not None:
            self._targets = (only,)
        elif located or borrowed:
            # Always in the same order, so that no two executions wait for each other.
            trees = {id(each): each for each in (*[each[1] for each in located], *borrowed) if each}
            self._targets = sorted(trees.values(), key=_turn_order)

    def _own_config(self, name: str, given: Any) -> Entity:
        """Return the callable's own copy of a config; what was given is stored by its content."""
        if type(given) is Ref:
            stored = self._setting.configs.named(given)
            if stored is not None:
                self._check_config(name, stored.master)
                return self._copy_of_config(name, stored)
            given = self._at_head(given)
        self._check_config(name, given)
        return self.own_config(name, given)

    def _check_config(self, name: str, config: Entity) -> None:
        if not isinstance(config, self.registered.by_name[name].configs):
            raise self.registered.wrong_entity(name, config)

    def _at_head(self, ref: Ref) -> Entity:
        tree = self._trees.tree(ref)
        if not tree.has(ref.key):
            raise NotFoundError(f"entity {ref.lineage_id}", tree.name)
        return Snapshot.of(tree, tree.head).entity(ref.key)

    def _bind_addresses(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Check arguments among which there are texts that begin like addresses."""
        self._borrowing = borrowing = Borrowing(self._trees, self.registered, arguments)
        try:
            return self.registered.bind(borrowing.arguments, self._class_of)
        except ArgumentError as error:
            reason = borrowing.reason(error.parameter)
            if reason is not None:
                raise reason from error
            raise

    def _class_of(self, ref: Ref) -> type[Entity]:
        return self._trees.tree(ref).class_of(ref.key)

    def _bind_again(self, arguments: Mapping[str, Any]) -> None:
        """Read addresses anew, if a tree has moved on while its turn was awaited."""
        borrowing, targets = self._borrowing, tuple(self._targets)
        if borrowing is None or not borrowing.is_outdated:
            return
        self._bind(arguments)
        if tuple(self._targets) != targets:
            self._targets = targets  # whose turns are to be given back
            tree = targets[0]
            raise ConflictError(tree.name, borrowing.head_of(tree), tree.head)

    def _locate(self, given: Any, name: str) -> Located:
        if type(given) is Ref:
            return name, self._trees.tree(given), given[1], given
        return name, self._tree_of(given), ids.plain(key_of(given)), given

    def _tree_of(self, entity: Entity) -> TreeRegistry:
        home = entity.__home__
        if isinstance(home, Snapshot):
            self._trees.outputs.settle(home)
            if isinstance(home.source, TreeRegistry):
                return self._trees.stand_in(home.source)
            return self._trees.tree(self._trees.ref(entity))
        if isinstance(home, TreeRegistry):
            return self._trees.stand_in(home)
        for tree in self._provisional:
            if key_of(entity) in tree.nodes:
                return tree
        # Its first version is what was given; without a change or a mention in the result the tree
        # is not kept.
        tree = self._trees.found(clone(entity, keep_identity=True), self._now)
        tree.is_provisional = True
        self._provisional = [*self._provisional, tree]
        return tree

    def _map(self, value: Any, name: str, function: Callable[[Any, str], Any]) -> Any:
        """Apply *function* to the entities and refs in a collection; the containers are new."""
        kind = KIND[type(value)]
        if kind == ENTITY or type(value) is Ref:
            return function(value, name)
        if kind in (LIST, SET, TUPLE, FROZENSET):
            make = {LIST: list, SET: set, TUPLE: tuple, FROZENSET: frozenset}[kind]
            return make([self._map(item, name, function) for item in value])
        if kind == DICT:
            return {key: self._map(item, name, function) for key, item in value.items()}
        if kind == ATOM:
            return value
        return copy_opaque(value, lambda: repr(name), lambda entity: function(entity, name))

    def _take_turns(self) -> None:
        taken: list[TreeRegistry] = []
        try:
            for tree in self._targets:
                self._take_turn(tree, taken)
                taken.append(tree)
        except BaseException:
            for other in taken:
                other.turn.give_back()
            raise

    def _take_turn(self, tree: TreeRegistry, having: Sequence[TreeRegistry]) -> None:
        """Take the turn on one more tree, waiting for it."""
        if tree.turn.take_if_free():
            return
        if would_wait_for_itself(tree.turn):
            raise BusyError(tree.name)
        with self._waiting(tree, having):
            if not tree.turn.take():
                raise not_held(tree) if tree.turn.is_closed else BusyError(tree.name)

    async def _take_turns_async(self, is_alone: bool) -> None:
        taken: list[TreeRegistry] = []
        try:
            for tree in self._targets:
                await self._take_turn_async(tree, taken, is_alone)
                taken.append(tree)
        except BaseException:
            for other in taken:
                other.turn.give_back()
            raise

    async def _take_turn_async(
        self, tree: TreeRegistry, having: Sequence[TreeRegistry], is_alone: bool
    ) -> None:
        if tree.turn.take_if_free():
            return
        # Alone in its loop, it would wait for code that waits for this loop.
        is_above = is_alone and tree.turn.is_in_hands_of(threading.get_ident())
        if is_above or would_wait_for_itself(tree.turn):
            raise BusyError(tree.name)
        with self._waiting(tree, having):
            if not await tree.turn.take_async():
                raise not_held(tree)

    def _waiting(
        self, tree: TreeRegistry, having: Sequence[TreeRegistry]
    ) -> contextlib.AbstractContextManager[None]:
        """Note that it waits for a tree, if it has others: see `Waits`."""
        if not having:
            return contextlib.nullcontext()
        return self._trees.waits.waiting([each.turn for each in having], tree.turn, tree.name)

    def _give_back(self) -> None:
        for tree in self._targets:
            tree.turn.give_back()

    def _open(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Open a transaction on every input tree.

        Return the arguments with live objects in place of entities.
        """
        self._bind_again(arguments)
        self._txns = self._begin()
        registered = self.registered
        live = self._bound  # the callable's own; what it was given is noted
        collections = [(name, live[name]) for name in registered.collection_parameters]
        for name, tree, key, given in self._located:
            if type(given) is Ref and tree is not None:
                entity = tree.entities.get(key) or self._member(tree, key)
                wanted = registered.by_name[name].entities
                if wanted and not isinstance(entity, wanted):
                    raise registered.wrong_entity(name, entity)
            else:
                entity = self._live(given, name)
            live[name] = entity
        for name, collection in collections:
            live[name] = self._map(collection, name, self._live)
        return live

    def _begin(self) -> list[Transaction]:
        """Open the transactions."""
        self._is_open = True
        return [Transaction(tree) for tree in self._targets]

    def _live(self, given: Any, name: str) -> Entity:
        if type(given) is Ref:
            return self._member(self._trees.tree(given), given.key)
        home = given.__home__
        tree = self._current(home, given) if isinstance(home, Snapshot) else self._tree_of(given)
        return self._member(tree, key_of(given))

    def _member(self, tree: TreeRegistry, key: ids.Key) -> Entity:
        if not tree.has(key):
            raise NotFoundError(f"entity {ids.to_uuid(key)}", f"{tree.name} at version {tree.head}")
        return tree.live(key)

    def _current(self, snapshot: Snapshot, given: Entity) -> TreeRegistry:
        """Return the tree that an execution on a snapshot works on.

        Its own, or a fork if the tree has moved on.
        """
        tree = self._tree_of(given)
        if tree.branch == getattr(snapshot.source, "branch", 0) and snapshot.version != tree.head:
            if self._setting.on_stale == "error":
                raise ConflictError(tree.name, snapshot.version, tree.head)
            if self._setting.on_stale == "fork":
                tree = self._forks.get((tree, snapshot.version)) or self._fork(snapshot, tree)
        if snapshot.is_edited and snapshot not in self._edited:
            self._edited = [*self._edited, snapshot]
            self._apply_edits(snapshot, tree)
        return tree

    def _fork(self, snapshot: Snapshot, tree: TreeRegistry) -> TreeRegistry:
        forked = self._trees.fork(tree, snapshot.version)
        forked.turn.take()
        self._targets = [forked, *self._targets]
        self._forks = {**self._forks, (tree, snapshot.version): forked}
        self._provisional = [*self._provisional, forked]
        self._txns = [Transaction(forked), *self._txns]
        return forked

    @staticmethod
    def _apply_edits(snapshot: Snapshot, tree: TreeRegistry) -> None:
        """Make what the holder of a snapshot wrote part of the transaction."""

        def resolve(entity: Entity) -> Entity | None:
            mine = entity.__home__ is snapshot and tree.has(key_of(entity))
            return tree.live(key_of(entity)) if mine else None

        def keeps(entity: Entity) -> bool:
            home: Any = entity.__home__  # of another tree it is another entity here
            return home is None or getattr(home, "source", home).key == tree.key

        for entity, names in snapshot.edited():
            key = key_of(entity)
            if not tree.has(key):
                continue
            live, schema = tree.live(key), schema_of(type(entity))
            for name in names:
                _ = getattr(live, name, None)
                tree.note_write(live, name)
                value = part(entity, schema, name)
                if value is ABSENT:
                    Entity.__delattr__(live, name)
                else:
                    fill(live, schema, name, copy_value(value, entity, name, resolve, keeps))
            fill(live, schema, FIELDS_SET, set(entity.__pydantic_fields_set__))
        for entity, name, _, source in snapshot.borrowed():
            if tree.has(key_of(entity)):
                tree.note_borrowed(tree.live(key_of(entity)), name, source)

    # --- outputs ---

    def _commit(self, result: Any) -> None:
        self._check_result(result)
        if self._nest is not None:
            if (unfinished := self._nest.unfinished) is not None:
                raise UnfinishedError(self.registered.name, unfinished)
            self._absorb()
        now = self._now = self._setting.clock()
        find = Transaction.plan if self._is_looked_at else plain_changes.plan
        plans = [(txn, find(txn, now)) for txn in self._txns]
        if forced := self._forced():
            plans = [
                (txn, force(txn.tree, found, now) if txn.tree in forced else found)
                for txn, found in plans
            ]
        registered = self.registered
        if registered.read_only and any(changes is not None for _, changes in plans):
            raise ReadOnlyError(registered.name, self._txns[0].tree.name)
        outputs = self._settle_results(result, plans)
        if len(plans) > 1 or self._founding is not None:
            refuse_sharing([each for _, each in plans if each is not None], self._founding)
        new = self._new_trees(plans)
        with self._trees.claiming(new) if new else contextlib.nullcontext():
            self._apply(plans, outputs)
        if self._form == "entities" and not self._has_entities:
            self._semantic = self._semantic or CREATION
            kept = self._trees.outputs.keep(registered.name, self.number, self._result, now)
            self._output = kept

    def _forced(self) -> Sequence[TreeRegistry]:
        """Return the trees of which every entity gets a new id."""
        inner = self._nest.inner if self._nest else ()
        parts = [each for each in (self, *inner) if isinstance(each, Execution) and each.is_forced]
        return [tree for each in parts for tree in each.forced_trees]

    @property
    def forced_trees(self) -> Sequence[TreeRegistry]:
        """The trees that it renews, if it is forced."""
        return self._targets

    def _apply(self, plans: Plans, outputs: tuple[tuple[int, int], ...]) -> None:
        """Store what was planned. Nothing in here can fail."""
        after: list[int] = []
        for txn, changes in plans:
            tree = txn.tree
            before = tree.head
            if changes is None:
                txn.rollback()  # nothing changed: what was written is as it was
            else:
                noted = tree.noted_sources(txn) if tree.noting is not None else ()
                self._changed += changes.apply(self.number, self.registered.name, outputs)
                for key, name, source in noted:
                    if tree.has(key):
                        tree.store_sources(key, tree.head, {name: source})
                txn.close()
            after += (tree.key, tree.branch, before, tree.head)
        self._after = tuple(after)
        self._txns = ()
        self._is_open = False
        if self._provisional or self._founding is not None:
            self._hold_new_trees(outputs)

    def _new_trees(self, plans: Plans) -> Sequence[TreeRegistry]:
        """Return the trees that will be held from now on; forks have numbers of their own."""
        new = [] if self._founding is None else self._founding.trees
        if not self._provisional:
            return new
        changed = [txn.tree for txn, changes in plans if changes is not None]
        returned = self._returned_trees()
        for tree in self._provisional:
            is_put = any(
                txn.tree is not tree
                and (tree.key in txn.tree.nodes or (plan is not None and plan.arrives(tree.key)))
                for txn, plan in plans
            )
            if tree.base is None and not is_put and (tree in changed or id(tree) in returned):
                new.append(tree)
        return new

    def _returned_trees(self) -> set[int]:
        """Return the `id`s of the trees of what was returned, by what ran inside, too."""
        inner = self._nest.inner if self._nest else ()
        return {id(tree) for each in (self, *inner) for tree, _ in each.outputs}

    def _settle_results(self, result: Any, plans: Plans) -> tuple[tuple[int, int], ...]:
        """Find out what became of all that was returned, by what ran inside, too.

        Return (key, stamp) of each entity returned, if there are several.
        """
        found = () if KIND[type(result)] == ATOM else entities_returned(self.registered, result)
        self._has_entities = bool(found)
        self._result = self._own_result(result, found)  # while it can be refused
        wished = [entity for txn in self._txns for entity in wishes(txn)]
        parts: list[Execution] = [self]
        if self._nest is not None:
            inner = [each for each in self._nest.inner if isinstance(each, Execution)]
            parts += [each for each in inner if each.has_entities]
        if not (found or wished or len(parts) > 1):
            return ()
        for each in parts:
            each.place_results(plans, wished if each is self else ())
        if any(each.own for each in parts):
            self._founding = founding = Founding(self._trees)
            for each in parts:
                founding.found(each.own, self._now, each.number, each.registered.name)
        outputs = [each.classify(self._founding, plans) for each in parts]
        return outputs[0]

    def _own_result(self, result: Any, found: Sequence[Entity]) -> Any:
        """Return a copy of a result, its entities excepted.

        The callable may go on with what it returned, and containers may be those of a tree.
        """
        if found and KIND[type(result)] == ENTITY:
            return result
        try:
            return present(result, lambda entity: entity) if found else own_value(result)
        except EntityInside as inside:
            expected = f"{self.registered.describe_result()}, with entities only in containers"
            raise ReturnError(
                self.registered.name, f"{inside} inside a {type(result).__name__}", expected
            ) from None

    def _check_result(self, result: Any) -> None:
        """Refuse a result that contradicts the return hint, or has no shape."""
        registered = self.registered
        if registered.returns is not None and not isinstance(result, registered.returns):
            registered.refuse_result(result)
        if KIND[type(result)] and (problem := nesting_problem(result)):
            kind = type(result).__name__
            raise ReturnError(registered.name, f"a {kind} that {problem}", "one that does not")

    def _absorb(self) -> None:
        """Take over the trees of what ran inside."""
        nest = self._nest
        if nest is not None and nest.is_open:
            nest.is_open = False
            self._txns = tuple(nest.txns)
            self._targets = tuple(nest.trees)
            self._provisional = [*self._provisional, *nest.provisional]

    @property
    def has_entities(self) -> bool:
        """Whether entities were returned."""
        return self._has_entities

    @property
    def own(self) -> Sequence[Entity]:
        """What was returned, or detached, and is in no tree: a tree of its own begins with it."""
        return self._own

    def place_results(self, plans: Plans, wished: Sequence[Entity]) -> None:
        """Find out where the returned entities are, and those that were detached."""
        returned: list[Entity] = []
        own: list[Entity] = []
        places: dict[int, Place] = {}
        kind = KIND[type(self._result)]
        found = () if kind == ATOM else entities_returned(self.registered, self._result)
        for entity in found:
            if not isinstance(entity.__home__, Snapshot):
                returned.append(entity)
                place = self._place_in_inputs(entity, plans) or self._place_of_config(entity)
                if place is None:
                    own.append(entity)
                else:
                    places[id(entity)] = place
        for entity in wished:
            is_known = id(entity) in places or any(each is entity for each in own)
            if not is_known and self._place_in_inputs(entity, plans) is None:
                returned.append(entity)
                own.append(entity)
        self._returned, self._own, self._places = returned, own, places

    def classify(self, founding: Founding | None, plans: Plans) -> tuple[tuple[int, int], ...]:
        """Give every returned entity its semantic, also what was detached, returned or not."""
        self._semantic = None
        outputs = []
        for entity in self._returned:
            place = self._places.get(id(entity))
            semantic = MUTATION
            if place is None and founding is not None:
                place, semantic = founding.place(entity), self._semantic_of(entity, plans)
            elif place is not None and isinstance(entity, ConfigEntity):
                semantic = self._semantic_of_config(entity, place, semantic)
            assert place is not None, "what is in no input tree has one of its own"
            outputs.append((place[0], entity))
            if entity.__key__ != place[1]:
                self._keys = {**self._keys, id(entity): place[1]}
            self._semantic = self._semantic or semantic
            hint = self.registered.semantic_hint
            if hint is not None and hint != semantic:
                raise ReturnError(
                    self.registered.name,
                    f"{label(entity)}, a {semantic},",
                    f"a {hint} (its semantic_hint)",
                )
        self._outputs = outputs
        if len(outputs) < 2:
            return ()
        return tuple([self._stamp_after(tree, entity, plans) for tree, entity in outputs])

    @staticmethod
    def _place_in_inputs(entity: Entity, plans: Plans) -> Place | None:
        """Return where an entity of an input tree stays, or arrives: tree and key."""
        key, home = key_of(entity), entity.__home__
        for txn, plan in plans:
            if home is txn.tree and txn.tree.has(key) and not (plan and plan.leaves(key)):
                return txn.tree, key
        for txn, plan in plans:
            arrived = plan.key_of_arrival(entity) if plan is not None else None
            if arrived is not None:
                return txn.tree, arrived
        return None

    def _place_of_config(self, entity: Entity) -> Place | None:
        if isinstance(entity, ConfigEntity) and (stored := self._setting.configs.find(entity)):
            return stored, stored.key
        return None

    def _semantic_of_config(self, entity: Entity, place: Place, semantic: str) -> str:
        """Return the semantic of a config that was stored before: one that was not given is new."""
        if any(txn.tree is place[0] for txn in self._txns):
            return semantic
        is_given = any(own is entity and tree is place[0] for _, own, tree in self._configs)
        return MUTATION if is_given else CREATION

    @staticmethod
    def _semantic_of(entity: Entity, plans: Plans) -> str:
        home = entity.__home__
        is_taken_out = any(
            txn.tree is home and plan is not None and plan.leaves(key_of(entity))
            for txn, plan in plans
        )
        return DETACHMENT if is_taken_out else CREATION

    def _stamp_after(self, tree: TreeRegistry, entity: Entity, plans: Plans) -> tuple[int, int]:
        key = self._key_in(tree, entity)
        for txn, plan in plans:
            if txn.tree is tree:
                if plan is None:
                    return key, tree.stamp_of(key, tree.head)
                return key, plan.stamp_after(key)
        return key, ids.BIRTH

    def _key_in(self, tree: TreeRegistry, entity: Entity) -> ids.Key:
        return self._keys.get(id(entity)) or key_of(entity)

    def _hold_new_trees(self, outputs: tuple[tuple[int, int], ...]) -> None:
        """Hold the trees that this execution began and that are worth keeping."""
        returned = self._returned_trees()
        begun = [] if self._founding is None else self._founding.trees
        for tree in [*begun, *self._provisional] if outputs else ():
            if tree.base is None and tree.head == 1:
                tree.note_outputs(outputs)
        for tree in self._provisional:
            tree.is_provisional = False
            is_fork = tree.base is not None
            if not is_fork and any(
                other is not tree and tree.key in other.nodes for other in self._targets
            ):
                continue  # the orphan was put into another input tree
            if tree.head > (tree.base_version if is_fork else 1) or (
                id(tree) in returned and not is_fork
            ):
                self._hold(tree, "promoted")
        for tree in begun:
            self._hold(tree, "registered")
            if issubclass(tree.class_of(tree.key), ConfigEntity):
                self._setting.configs.remember(tree)

    def _hold(self, tree: TreeRegistry, kind: str) -> None:
        """Hold a tree, and tell the record log if it is a new root."""
        is_new = tree.base is None and not self._trees.holds(tree)
        self._trees.hold(tree)
        if is_new:
            self._note_adoption(tree, kind)

    def _note_adoption(self, tree: TreeRegistry, kind: str) -> None:
        """Tell the record log of a new root, which may have been part of an input tree."""
        source = tree.root_node.source
        key = tree.key if source is None else source[0]
        left: tuple[int, ...] = ()
        for other in self._targets:
            commit = other.commit_of(other.head) if other is not tree else None
            if commit and commit.execution_id == self.number and key in commit.removed:
                kind, left = "detached", (other.key, ids.stamp(other.branch, other.head))
        name = self.registered.name
        entry = (None, kind, tree.key, tree.branch, self._now, self.number, name, *left)
        self._setting.records.add(entry)

    def _conclude(self) -> None:
        """Record what was done and hold on to its versions, before others have their turns."""
        self._record("ok", "", "")
        self._shots = {id(tree): Snapshot.of(tree, tree.head) for tree, _ in self._outputs}

    def _roll_back(self) -> None:
        self._absorb()
        self._is_open = False
        for txn in self._txns:
            if txn.is_open:  # else it is stored: something that cannot fail did, in another tree
                txn.rollback()
        self._txns = ()

    # --- what the caller gets ---

    def told(self) -> Any:
        """Return what the caller gets."""
        return self.receipt() if self._form == "receipt" else self.snapshots()

    def snapshots(self) -> Any:
        """Return the result with lazy, isolated snapshots in place of entities."""
        if not self._has_entities:
            return self._result if self._output is None else self._output.shown()
        outputs = self._outputs
        shots = dict(self._shots)
        is_alone = len(outputs) == 1 and self._result is outputs[0][1]
        if is_alone and not self._founding and not self._keys:
            tree, entity = outputs[0]
            known = shots.get(id(tree))
            return known.entity(key_of(entity)) if known else Snapshot.of_head(tree, entity)
        where = {id(entity): tree for tree, entity in outputs}
        shown: dict[int, Entity] = {}

        def shot(entity: Entity) -> Entity:
            tree = where.get(id(entity))
            if tree is None:
                return entity
            snapshot = shots.get(id(tree))
            if snapshot is None:
                snapshot = shots[id(tree)] = Snapshot.of(tree, tree.head)
            ghost = shown.get(id(entity))
            if ghost is None:  # returned twice it is one object
                ghost = shown[id(entity)] = snapshot.entity(self._key_in(tree, entity))
            return ghost

        return present(self._result, shot)

    def receipt(self) -> Receipt:
        """Return what became of the execution, with refs in place of entities."""
        value, outputs = self._result, self._outputs
        if len(outputs) == 1 and value is outputs[0][1]:
            tree = outputs[0][0]
            key = self._keys.get(id(value)) or value.__key__
            given = self._located[0][3] if self._located else None
            if type(given) is Ref and given[1] == key and given[0] == tree.key:
                value = given
            else:
                value = Ref(tree.key, ids.plain(key), tree.branch)
            refs: tuple[Ref, ...] = (value,)
        else:
            by_id = {
                id(entity): Ref(tree.key, ids.plain(self._key_in(tree, entity)), tree.branch)
                for tree, entity in outputs
            }
            refs = tuple(by_id.values())
            if self._has_entities:
                value = present(value, lambda entity: by_id.get(id(entity)))
        version = self._first_version()
        return Receipt(self.number, self._semantic, version, self._changed, value, refs)

    def versions(self) -> list[TreeVersions]:
        """Return what it read and made of each input tree."""
        after = self._after
        return [TreeVersions(*after[at : at + 4]) for at in range(0, len(after), 4)]

    def _first_version(self) -> int:
        """Return the version that the first input tree has now; 0 without one."""
        after = self._after
        if len(after) <= 4:
            return after[3] if after else 0
        # Targets are in the order of their turns, not of the arguments.
        located = [tree for _, tree, _, _ in self._located if tree is not None]
        first = (*located, *self._targets)[0].key
        return next(after[at + 3] for at in range(0, len(after), 4) if after[at] == first)

    def _record_failure(self, arguments: Mapping[str, Any], error: BaseException) -> None:
        self._semantic, self._changed, self._outputs, self._output = None, 0, (), None
        self._after = tuple(
            number
            for tree in self._targets
            for number in (tree.key, tree.branch, tree.head, tree.head)
        )
        if not self._values:  # refused before it was bound
            self._names = tuple(arguments)
            self._values = tuple(map(keep, arguments.values()))
        self._record("failed", type(error).__name__, str(error))

    def _note_edits(self) -> None:
        edited = [names for snapshot in self._edited for _, names in snapshot.edits.values()]
        self._names = (*(self._names or self.registered.names), EDITS)
        self._values = (*self._values, sum(map(len, edited)))

    def _record(self, status: str, error_type: str, error: str) -> None:
        with self._setting.records.together() if self._nest else contextlib.nullcontext():
            for inner in self._nest.inner if self._nest else ():
                inner.record_with(self, status == "ok", error_type)
            self._add_record(status, error_type, error)

    def _add_record(self, status: str, error_type: str, error: str) -> None:
        if self._edited:
            self._note_edits()
        inputs = tuple([each for name, _, key, _ in self._located for each in (name, key)])
        for name, _, tree in self._configs:
            inputs = (*inputs, name, ids.plain(tree.key))
        stamps = [self._output_stamp(tree, entity) for tree, entity in self._outputs]
        outputs = tuple([number for pair in stamps for number in pair])
        if self._output is not None:
            outputs += self._output.key_and_stamp
        sources = self._borrowing.sources if self._borrowing else ()
        self._setting.records.add(
            (
                self.number,
                self.registered.name,
                status,
                self._semantic,
                self._after,
                inputs,
                (self._names or self.registered.names) if self._values else (),
                self._values,
                outputs,
                self._changed,
                error_type,
                error,
                self.started,
                self._run_s,
                self._commit_s,
                (*[each for source in sources for each in source], *self._sources),
                *self.kinds(),
                *(self._parent, self._queued_s),
            )
        )

    @property
    def versions_after(self) -> tuple[int, ...]:
        """Root, branch, version before and after, of each tree in turn."""
        return self._after

    @property
    def outputs(self) -> Sequence[tuple[TreeRegistry, Entity]]:
        """The entities returned, and their trees."""
        return self._outputs

    def kinds(self) -> tuple[Strategy, Pattern]:
        """Return strategy and pattern, by the kinds of the arguments given."""
        registered = self.registered
        if not self._is_bound:
            return registered.expected_strategy, registered.expected_pattern
        collections = registered.collection_parameters
        entities = len({each[0] for each in self._located if each[0] not in collections})
        has_config, has_plain = bool(self._configs), self._has_plain
        return (
            strategy_of(
                entities,
                has_collection=self._has_collection,
                has_config=has_config,
                has_plain=has_plain,
            ),
            pattern_of(
                has_entities=entities > 0 or self._has_collection,
                has_others=has_config or has_plain,
                borrows=bool(self._sources or (self._borrowing and self._borrowing.sources)),
            ),
        )

    def _output_stamp(self, tree: TreeRegistry, entity: Entity) -> tuple[int, int]:
        key = ids.plain(self._key_in(tree, entity))
        node = tree.nodes.get(key)
        stamp = (
            tree.stamp_of(key, tree.head) if node is None else node.stamp_at(tree.head, tree.branch)
        )
        return key, stamp


def would_wait_for_itself(turn: Turn) -> bool:
    """Tell whether who has a turn waits for the code that asks."""
    return any(map(turn.is_in_hands_of, _standing_still.get()))


async def _in_thread(function: Callable[[], Any]) -> Any:
    """Call a function in a thread, in this context, while the event loop goes on.

    Not left before the function has ended, not even when cancelled: a thread cannot be stopped, and
    writes to the tree as long as it runs.
    """
    thread = asyncio.get_running_loop().run_in_executor(None, copy_context().run, function)
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        while not thread.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([thread])
        thread.exception()  # looked at: nobody else will
        raise


def _turn_order(tree: TreeRegistry) -> tuple[int, int]:
    return tree.key, tree.branch
