"""Execution: one run of one callable, from arguments to record.

    arguments ── bind ──> inputs ── turns taken, transactions opened ──> live objects
                                                                          │ the callable runs
    record <── snapshots or refs <── versions <── apply <── plan <────────┘

Every step before `apply` may refuse, and then all trees are as they were; `apply` cannot fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Literal, NamedTuple

from registry import ids, plain_changes
from registry.address import Ref
from registry.borrowing import Borrowing, mentions_address
from registry.callables import RegisteredCallable
from registry.changes import Changes
from registry.clock import Clock
from registry.copies import clone, copy_value
from registry.entity import Entity, fill, key_of, label, part
from registry.errors import (
    ArgumentError,
    BusyError,
    ConflictError,
    NotFoundError,
    ReadOnlyError,
    RegistrationError,
    ReturnError,
)
from registry.forcing import force
from registry.founding import Founding, refuse_sharing
from registry.moving import wishes
from registry.records import RecordLog, TreeVersions
from registry.results import entities_returned
from registry.schema import ABSENT, FIELDS_SET, schema_of
from registry.semantics import CREATION, DETACHMENT, MUTATION, holds_itself, present
from registry.snapshot import Snapshot
from registry.transaction import Transaction
from registry.tree import TreeRegistry
from registry.trees import Trees
from registry.values import ATOM, DICT, ENTITY, KIND, LIST, SET, TUPLE

OnStale = Literal["fork", "error", "head"]

_open_trees: ContextVar[tuple[TreeRegistry, ...]] = ContextVar("open_trees", default=())
"""Trees whose execution the current task runs inside of; set by async executions only."""

_TEXT = 200
"""Characters of an argument's text that a record keeps."""
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
    """

    trees: Trees
    records: RecordLog
    clock: Clock
    on_stale: OnStale


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
    _located: Sequence[tuple[str, TreeRegistry, ids.Key, Any]] = ()
    _targets: Sequence[TreeRegistry] = ()
    _provisional: Sequence[TreeRegistry] = ()
    _txns: Sequence[Transaction] = ()
    _outputs: Sequence[tuple[TreeRegistry, Entity]] = ()
    _keys: Mapping[int, ids.Key] = {}  # of outputs that have another one than when returned
    _founding: Founding | None = None
    _forks: Mapping[tuple[TreeRegistry, int], TreeRegistry] = {}
    _borrowing: Borrowing | None = None
    _edited: Sequence[Snapshot] = ()
    _semantic: str | None = None
    _changed = 0
    _is_taken_over = False
    is_forced = False
    _result: Any = None
    _after: tuple[int, ...] = ()
    _run_s = 0.0
    _commit_s = 0.0

    def __init__(self, setting: Setting, registered: RegisteredCallable, number: int | str) -> None:
        self._setting = setting
        self._trees = setting.trees
        self.registered = registered
        self.number = number
        self.started = self._now = setting.clock()

    # --- the two ways to run ---

    def run(self, arguments: Mapping[str, Any]) -> None:
        """Run a synchronous callable. Exceptions come out as raised, after rollback and record."""
        try:
            self._bind(arguments)
            self._take_turns()
            try:
                live = self._open(arguments)
                began = _perf()
                result = self.registered.function(**live)
                self._run_s = (ended := _perf()) - began
                self._commit(result)
                self._commit_s = _perf() - ended
            except BaseException:
                self._roll_back()
                raise
            finally:
                for tree in self._targets:
                    tree.turn.give_back()
        except BaseException as error:
            self._record_failure(arguments, error)
            raise
        self._record("ok", "", "")

    def take_over(self, begun: Begun, txn: Transaction) -> None:
        """Go on with an execution that `plain.py` began and whose outcome is not the usual one."""
        self._is_taken_over = True  # its changes were looked at, and are not plain
        self.started = begun.started
        self._located = ((begun.parameter, txn.tree, begun.given[1], begun.given),)
        self._targets = (txn.tree,)
        self._txns = (txn,)
        self._names, self._values = begun.names, begun.values

    def conclude(self, result: Any, run_s: float) -> Execution:
        """Commit what a callable that was taken over returned, and record it."""
        self._run_s, began = run_s, _perf()
        self._commit(result)
        self._commit_s = _perf() - began
        self._record("ok", "", "")
        return self

    def abandon(self, error: BaseException) -> None:
        """Take back what a callable that was taken over wrote, and record why."""
        self._roll_back()
        self._record_failure({}, error)

    def run_in_loop(self, arguments: Mapping[str, Any]) -> None:
        """Run a coroutine function from code that is in no event loop, in a loop of its own.

        Raises:
            RegistrationError: This thread runs an event loop, which would stand still meanwhile.

        Cost: about 0.1 ms for the loop.
        """
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop()
            raise RegistrationError(
                self.registered.name,
                "is a coroutine function; in an event loop, await aexecute(...)",
            )
        asyncio.run(self.run_async(arguments, is_alone=True))

    async def run_async(self, arguments: Mapping[str, Any], *, is_alone: bool = False) -> None:
        """Run a callable from an event loop.

        A coroutine function is awaited, any other called directly.
        """
        try:
            self._bind(arguments)
            await self._take_turns_async(is_alone)
            token = _open_trees.set((*_open_trees.get(), *self._targets))
            try:
                live = self._open(arguments)
                began = _perf()
                result = self.registered.function(**live)
                if self.registered.is_async:
                    result = await result
                self._run_s = (ended := _perf()) - began
                self._commit(result)
                self._commit_s = _perf() - ended
            except BaseException:
                self._roll_back()
                raise
            finally:
                _open_trees.reset(token)
                for tree in self._targets:
                    tree.turn.give_back()
        except BaseException as error:
            self._record_failure(arguments, error)
            raise
        self._record("ok", "", "")

    # --- inputs ---

    def _bind(self, arguments: Mapping[str, Any]) -> None:
        """Check the arguments and find the tree of each entity among them."""
        registered = self.registered
        if mentions_address(arguments.values()):
            bound = self._bind_addresses(arguments)
        else:
            bound = registered.bind(arguments)
        located = []
        for name in registered.entity_parameters:
            given = bound[name]
            if type(given) is Ref:
                located.append((name, self._trees.tree(given), given[1], given))
            elif given is not None:
                located.append(self._locate(given, name))
            bound[name] = None  # until it is there
        for name in registered.collection_parameters:
            self._map(bound[name], name, lambda each, at: located.append(self._locate(each, at)))
        self._bound = bound
        # Taken down now: the callable may change what it was given.
        values = bound.values()
        self._values = tuple(values if registered.takes_atoms else map(_as_text, values))
        self._names = tuple(bound)
        self._located = located
        borrowed = self._borrowing.trees if self._borrowing else ()
        if len(located) == 1 and not borrowed:
            self._targets = (located[0][1],)
        elif located or borrowed:
            # Always in the same order, so that no two executions wait for each other.
            trees = {id(each): each for each in (*[each[1] for each in located], *borrowed)}
            self._targets = sorted(trees.values(), key=_turn_order)

    def _bind_addresses(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Check arguments among which there are texts that begin like addresses."""
        self._borrowing = borrowing = Borrowing(self._trees, self.registered, arguments)
        try:
            return self.registered.bind(borrowing.arguments)
        except ArgumentError as error:
            reason = borrowing.reason(error.parameter)
            if reason is not None:
                raise reason from error
            raise

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

    def _locate(self, given: Any, name: str) -> tuple[str, TreeRegistry, ids.Key, Any]:
        """Return (parameter, tree, key, what was given) for an entity."""
        if type(given) is Ref:
            return name, self._trees.tree(given), given[1], given
        return name, self._tree_of(given), ids.plain(key_of(given)), given

    def _tree_of(self, entity: Entity) -> TreeRegistry:
        home = entity.__home__
        if isinstance(home, Snapshot):
            if isinstance(home.source, TreeRegistry):
                return home.source
            return self._trees.tree(self._trees.ref(entity))
        if isinstance(home, TreeRegistry):
            return home
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
        if kind in (LIST, SET, TUPLE):
            make = {LIST: list, SET: set, TUPLE: tuple}[kind]
            return make([self._map(item, name, function) for item in value])
        if kind == DICT:
            return {key: self._map(item, name, function) for key, item in value.items()}
        return value

    def _take_turns(self) -> None:
        for index, tree in enumerate(self._targets):
            if not tree.turn.take():
                for other in self._targets[:index]:
                    other.turn.give_back()
                raise BusyError(tree.name)

    async def _take_turns_async(self, is_alone: bool) -> None:
        taken: list[TreeRegistry] = []
        inside = _open_trees.get()
        try:
            for tree in self._targets:
                # Alone in its loop, it would wait for code that waits for this loop.
                if tree in inside or (is_alone and tree.turn.is_held_here):
                    raise BusyError(tree.name)  # noqa: TRY301 - like any error here, it gives turns back
                await tree.turn.take_async()
                taken.append(tree)
        except BaseException:
            for other in taken:
                other.turn.give_back()
            raise

    def _open(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Open a transaction on every input tree.

        Return the arguments with live objects in place of entities.
        """
        self._bind_again(arguments)
        self._txns = [Transaction(tree) for tree in self._targets]
        registered = self.registered
        live = self._bound  # the callable's own; what it was given is noted
        collections = [(name, live[name]) for name in registered.collection_parameters]
        for name, tree, key, given in self._located:
            if type(given) is Ref:
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
        registered = self.registered
        if registered.returns is not None and not isinstance(result, registered.returns):
            registered.refuse_result(result)
        if holds_itself(result):
            kind = type(result).__name__
            raise ReturnError(registered.name, f"a {kind} that holds itself", "one that does not")
        now = self._now = self._setting.clock()
        find = Transaction.plan if self._is_taken_over else plain_changes.plan
        plans = [(txn, find(txn, now)) for txn in self._txns]
        if self.is_forced:
            plans = [(txn, force(txn.tree, found, now)) for txn, found in plans]
        if registered.read_only and any(changes is not None for _, changes in plans):
            raise ReadOnlyError(registered.name, self._txns[0].tree.name)
        wished = [entity for txn in self._txns for entity in wishes(txn)]
        is_plain = KIND[type(result)] == ATOM and not wished
        outputs = () if is_plain else self._classify(result, wished, plans)
        if len(plans) > 1 or self._founding is not None:
            refuse_sharing([each for _, each in plans if each is not None], self._founding)
        self._result = result
        after: list[int] = []
        for txn, changes in plans:
            tree = txn.tree
            before = tree.head
            if changes is None:
                txn.rollback()  # nothing changed: what was written is as it was
            else:
                noted = tree.noted_sources(txn) if tree.noting is not None else ()
                self._changed += changes.apply(self.number, registered.name, outputs)
                for key, name, source in noted:
                    if tree.has(key):
                        tree.store_sources(key, tree.head, {name: source})
                txn.close()
            after += (tree.key, tree.branch, before, tree.head)
        self._after = tuple(after)
        self._txns = ()
        if self._provisional or self._founding is not None:
            self._hold_new_trees()
            begun = [] if self._founding is None else self._founding.trees
            for tree in [*begun, *self._provisional] if outputs else ():
                if tree.head == 1:
                    tree.note_outputs(outputs)

    def _classify(
        self, result: Any, wished: list[Entity], plans: list[tuple[Transaction, Changes | None]]
    ) -> tuple[tuple[int, int], ...]:
        """Give every returned entity its semantic, and its own tree if it needs one.

        Also what was detached, returned or not.
        """
        self._semantic = None
        found: list[Entity] = []
        own: list[Entity] = []
        places: dict[int, tuple[TreeRegistry, ids.Key] | None] = {}
        for entity in entities_returned(self.registered, result):
            if not isinstance(entity.__home__, Snapshot):
                found.append(entity)
                places[id(entity)] = place = self._place_in_inputs(entity, plans)
                if place is None:
                    own.append(entity)
        for entity in wished:
            if id(entity) not in places and self._place_in_inputs(entity, plans) is None:
                found.append(entity)
                own.append(entity)
        new = {id(entity) for entity in own} if own else ()
        if own:
            self._found(own, places)
        outputs = []
        for entity in found:
            place = places[id(entity)]
            assert place is not None, "what is in no input tree has one of its own"
            outputs.append((place[0], entity))
            if entity.__key__ != place[1]:
                self._keys = {**self._keys, id(entity): place[1]}
            semantic = self._semantic_of(entity, plans) if id(entity) in new else MUTATION
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
    def _place_in_inputs(
        entity: Entity, plans: list[tuple[Transaction, Changes | None]]
    ) -> tuple[TreeRegistry, ids.Key] | None:
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

    @staticmethod
    def _semantic_of(entity: Entity, plans: list[tuple[Transaction, Changes | None]]) -> str:
        home = entity.__home__
        is_taken_out = any(
            txn.tree is home and plan is not None and plan.leaves(key_of(entity))
            for txn, plan in plans
        )
        return DETACHMENT if is_taken_out else CREATION

    def _found(
        self, own: list[Entity], places: dict[int, tuple[TreeRegistry, ids.Key] | None]
    ) -> None:
        """Begin trees of returned entities that are in none."""
        self._founding = Founding(self._trees, self._now, self.number, self.registered.name)
        places.update(self._founding.found(own))

    def _stamp_after(
        self, tree: TreeRegistry, entity: Entity, plans: list[tuple[Transaction, Changes | None]]
    ) -> tuple[int, int]:
        key = self._key_in(tree, entity)
        for txn, plan in plans:
            if txn.tree is tree:
                if plan is None:
                    return key, tree.stamp_of(key, tree.head)
                return key, plan.stamp_after(key)
        return key, ids.BIRTH

    def _key_in(self, tree: TreeRegistry, entity: Entity) -> ids.Key:
        return self._keys.get(id(entity)) or key_of(entity)

    def _hold_new_trees(self) -> None:
        """Hold the trees that this execution began and that are worth keeping."""
        returned = {id(tree) for tree, _ in self._outputs}
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
                self._trees.hold(tree)
        if self._founding is not None:
            for tree in self._founding.trees:
                self._trees.hold(tree)

    def _roll_back(self) -> None:
        for txn in self._txns:
            txn.rollback()
        self._txns = ()

    # --- what the caller gets ---

    def told(self, as_receipt: bool) -> Any:
        """Return the receipt, or the result."""
        return self.receipt() if as_receipt else self.snapshots()

    def snapshots(self) -> Any:
        """Return the result with lazy, isolated snapshots in place of entities."""
        if KIND[type(self._result)] == ATOM:
            return self._result
        outputs = self._outputs
        if (
            len(outputs) == 1
            and self._result is outputs[0][1]
            and not self._founding
            and not self._keys
        ):
            return Snapshot.of_head(*outputs[0])
        where = {id(entity): tree for tree, entity in outputs}
        shots: dict[int, Snapshot] = {}
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
            if KIND[type(value)] != ATOM:
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
        first = (self._located[0][1] if self._located else self._targets[0]).key
        return next(after[at + 3] for at in range(0, len(after), 4) if after[at] == first)

    def _record_failure(self, arguments: Mapping[str, Any], error: BaseException) -> None:
        self._semantic, self._changed, self._outputs = None, 0, ()
        self._after = tuple(
            number
            for tree in self._targets
            for number in (tree.key, tree.branch, tree.head, tree.head)
        )
        if not self._values:  # refused before it was bound
            self._names = tuple(arguments)
            self._values = tuple(map(_as_text, arguments.values()))
        self._record("failed", type(error).__name__, str(error))

    def _record(self, status: str, error_type: str, error: str) -> None:
        inputs = tuple([each for name, _, key, _ in self._located for each in (name, key)])
        stamps = [self._output_stamp(tree, entity) for tree, entity in self._outputs]
        outputs = tuple([number for pair in stamps for number in pair])
        sources = self._borrowing.sources if self._borrowing else ()
        self._setting.records.add(
            (
                self.number,
                self.registered.name,
                status,
                self._semantic,
                self._after,
                inputs,
                self._names or self.registered.names,
                self._values,
                outputs,
                self._changed,
                error_type,
                error,
                self.started,
                self._run_s,
                self._commit_s,
                tuple([each for source in sources for each in source]),
            )
        )

    def _output_stamp(self, tree: TreeRegistry, entity: Entity) -> tuple[int, int]:
        key = ids.plain(self._key_in(tree, entity))
        node = tree.nodes.get(key)
        stamp = (
            tree.stamp_of(key, tree.head) if node is None else node.stamp_at(tree.head, tree.branch)
        )
        return key, stamp


def _turn_order(tree: TreeRegistry) -> tuple[int, int]:
    return tree.key, tree.branch


def _as_text(value: Any) -> Any:
    """Return an atom as it is, any other plain value as text, cut.

    None for an entity: see inputs.
    """
    if KIND[type(value)] == ATOM:
        return value
    if type(value) is Ref or isinstance(value, Entity):
        return None
    text = repr(value)
    return text if len(text) <= _TEXT else text[: _TEXT - 3] + "..."
