"""Execution: one run of one callable, from arguments to record.

    arguments ── bind ──> inputs ── turns taken, transactions opened ──> live objects
                                                                          │ the callable runs
    record <── snapshots or refs <── versions <── apply <── plan <────────┘

Every step before `apply` may refuse, and then all trees are as they were; `apply` cannot fail.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Literal, NamedTuple

from registry import ids
from registry.address import Ref
from registry.callables import RegisteredCallable
from registry.changes import Changes
from registry.clock import Clock
from registry.copies import clone, copy_value, entities_in
from registry.entity import Entity, fill, key_of, label, part
from registry.errors import BusyError, ConflictError, NotFoundError, ReadOnlyError, ReturnError
from registry.records import RecordLog
from registry.schema import ABSENT, FIELDS_SET, schema_of
from registry.semantics import CREATION, DETACHMENT, MUTATION, present
from registry.snapshot import Snapshot
from registry.transaction import Transaction
from registry.tree import TreeRegistry
from registry.trees import Trees
from registry.values import ATOM, DICT, ENTITY, KIND, LIST, SET, TUPLE

OnStale = Literal["fork", "error", "head"]

_open_trees: ContextVar[tuple[TreeRegistry, ...]] = ContextVar("open_trees", default=())
"""Trees whose execution the current task runs inside of; set by async executions only."""

_perf = time.perf_counter


class Receipt(NamedTuple):
    """What became of an execution, without its trees.

    Attributes:
        execution_id: Id of the execution.
        semantic: `mutation`, `creation` or `detachment`; None if no entity was returned.
        version: Version of the first input tree after the execution; 0 without an input tree.
        changed: Number of entities that got a new `ecs_id`.
        value: What was returned, in its shape, with refs in place of entities.
        outputs: The entities returned, in order.
    """

    execution_id: str
    semantic: str | None
    version: int
    changed: int
    value: Any
    outputs: tuple[Ref, ...]


class Execution:
    """One run of one callable. Used once: `begin`, then the callable, then `finish` or `fail`."""

    __slots__ = (
        *("_after", "_arguments", "_callable", "_changed", "_clock", "_commit_s", "_inputs", "_new_trees", "_now"),
        *("_on_stale", "_outputs", "_provisional", "_records", "_result", "_run_s", "_semantics", "_shots"),
        *("_started", "_targets", "_trees", "_txns", "execution_id"),
    )

    def __init__(
        self,
        trees: Trees,
        records: RecordLog,
        registered: RegisteredCallable,
        execution_id: str,
        clock: Clock,
        on_stale: OnStale,
    ) -> None:
        self._trees = trees
        self._records = records
        self._callable = registered
        self._clock = clock
        self._on_stale = on_stale
        self.execution_id = execution_id
        self._arguments: dict[str, Any] = {}
        self._inputs: list[tuple[str, int]] = []
        self._targets: list[TreeRegistry] = []
        self._provisional: list[TreeRegistry] = []
        self._txns: list[Transaction] = []
        self._new_trees: dict[int, TreeRegistry] = {}
        self._outputs: list[tuple[TreeRegistry, Entity]] = []
        self._semantics: list[str] = []
        self._shots: dict[int, Snapshot] = {}
        self._changed = 0
        self._result: Any = None
        self._after: tuple[tuple[int, int, int, int], ...] = ()
        self._started = self._now = clock()
        self._run_s = self._commit_s = 0.0

    # --- the two ways to run ---

    def run(self, arguments: Mapping[str, Any]) -> None:
        """Run a synchronous callable. Exceptions come out as raised, after rollback and record."""
        try:
            self._bind(arguments)
            self._take_turns()
            try:
                live = self._open()
                began = _perf()
                result = self._callable.function(**live)
                self._run_s = _perf() - began
                self._commit(result)
            except BaseException:
                self._roll_back()
                raise
            finally:
                for tree in self._targets:
                    tree.turn.give_back()
        except BaseException as error:
            self._record("failed", error)
            raise
        self._record("ok", None)

    async def run_async(self, arguments: Mapping[str, Any]) -> None:
        """Run a callable from an event loop; a coroutine function is awaited, any other called directly."""
        try:
            self._bind(arguments)
            await self._take_turns_async()
            token = _open_trees.set((*_open_trees.get(), *self._targets))
            try:
                live = self._open()
                began = _perf()
                result = self._callable.function(**live)
                if self._callable.is_async:
                    result = await result
                self._run_s = _perf() - began
                self._commit(result)
            except BaseException:
                self._roll_back()
                raise
            finally:
                _open_trees.reset(token)
                for tree in self._targets:
                    tree.turn.give_back()
        except BaseException as error:
            self._record("failed", error)
            raise
        self._record("ok", None)

    # --- inputs ---

    def _bind(self, arguments: Mapping[str, Any]) -> None:
        """Check the arguments and find the tree of each entity among them."""
        self._arguments = arguments  # type: ignore[assignment]  # as given, for the record of a refusal
        self._arguments = bound = self._callable.bind(arguments)
        for parameter in self._callable.parameters:
            if parameter[1]:
                bound[parameter[0]] = self._find(bound[parameter[0]], parameter[0])
            elif parameter[2]:
                bound[parameter[0]] = self._map(bound[parameter[0]], parameter[0], self._find)

    def _find(self, given: Any, name: str) -> Any:
        """Note the tree of an entity; return what is left to resolve once its turn has come."""
        if type(given) is Ref:
            tree = self._trees.tree(given)
            key = given.key
        elif isinstance(given, str):
            given = self._trees.ref(given)
            tree, key = self._trees.tree(given), given.key
        elif isinstance(given, Entity):
            tree, key = self._tree_of(given), key_of(given)
        else:
            return given
        self._inputs.append((name, key))
        if tree not in self._targets:
            self._targets.append(tree)
        return given

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
        # Its first version is what was given; without a change or a mention in the result the tree is not kept.
        tree = self._trees.found(clone(entity, keep_identity=True), self._now)
        self._provisional.append(tree)
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
        taken: list[TreeRegistry] = []
        if len(self._targets) > 1:  # always in the same order, so that no two executions wait for each other
            self._targets.sort(key=_turn_order)
        for tree in self._targets:
            if not tree.turn.take():
                for other in taken:
                    other.turn.give_back()
                raise BusyError(tree.name)
            taken.append(tree)

    async def _take_turns_async(self) -> None:
        taken: list[TreeRegistry] = []
        self._targets.sort(key=_turn_order)
        inside = _open_trees.get()
        try:
            for tree in self._targets:
                if tree in inside:
                    raise BusyError(tree.name)
                await tree.turn.take_async()
                taken.append(tree)
        except BaseException:
            for other in taken:
                other.turn.give_back()
            raise

    def _open(self) -> dict[str, Any]:
        """Open a transaction on every input tree; return the arguments with live objects in place of entities."""
        for tree in self._targets:
            self._txns.append(Transaction(tree))
        arguments = self._arguments
        live = dict(arguments)
        for parameter in self._callable.parameters:
            if parameter[1]:
                live[parameter[0]] = self._live(arguments[parameter[0]], parameter[0])
            elif parameter[2]:
                live[parameter[0]] = self._map(arguments[parameter[0]], parameter[0], self._live)
        return live

    def _live(self, given: Any, name: str) -> Any:
        if type(given) is Ref:
            tree = self._trees.tree(given)
            entity = self._member(tree, given.key)
            wanted = self._callable.by_name[name].entities
            if wanted and not isinstance(entity, wanted):
                raise self._callable.wrong_entity(name, entity)
            return entity
        if not isinstance(given, Entity):
            return given
        home = given.__home__
        if isinstance(home, Snapshot):
            return self._member(self._current(home, given), key_of(given))
        return self._member(self._tree_of(given), key_of(given))

    def _member(self, tree: TreeRegistry, key: ids.Key) -> Entity:
        if not tree.has(key):
            raise NotFoundError(f"entity {ids.to_uuid(key)}", f"{tree.name} at version {tree.head}")
        return tree.live(key)

    def _current(self, snapshot: Snapshot, given: Entity) -> TreeRegistry:
        """Return the tree that an execution on a snapshot works on: its own, or a fork if the tree has moved on."""
        tree = self._tree_of(given)
        version = snapshot.version
        known = self._new_trees.get(id(snapshot))
        if known is not None:
            return known
        if version != tree.head and self._on_stale != "head":
            if self._on_stale == "error":
                raise ConflictError(tree.name, version, tree.head)
            tree = self._forked(snapshot, tree)
        if snapshot.is_edited and id(snapshot) not in self._shots:
            self._shots[id(snapshot)] = snapshot
            self._apply_edits(snapshot, tree)
        return tree

    def _forked(self, snapshot: Snapshot, tree: TreeRegistry) -> TreeRegistry:
        forked = self._trees.fork(tree, snapshot.version)
        forked.turn.take()
        self._targets = [forked, *self._targets]
        self._new_trees[id(snapshot)] = forked
        self._provisional.append(forked)
        self._txns.append(Transaction(forked))
        return forked

    @staticmethod
    def _apply_edits(snapshot: Snapshot, tree: TreeRegistry) -> None:
        """Make what the holder of a snapshot wrote part of the transaction."""

        def resolve(entity: Entity) -> Entity | None:
            mine = entity.__home__ is snapshot and tree.has(key_of(entity))
            return tree.live(key_of(entity)) if mine else None

        for key, (entity, names) in snapshot.edited().items():
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
                    fill(live, schema, name, copy_value(value, entity, name, resolve))
            fill(live, schema, FIELDS_SET, set(entity.__pydantic_fields_set__))

    # --- outputs ---

    def _commit(self, result: Any) -> None:
        began = _perf()
        if self._callable.returns is not None:
            self._callable.check_result(result)
        self._now = self._clock()
        plans = [(txn, txn.plan(self._now)) for txn in self._txns]
        if self._callable.read_only and any(plan is not None for _, plan in plans):
            raise ReadOnlyError(self._callable.name, self._txns[0].tree.name)
        outputs = () if KIND[type(result)] == ATOM else self._classify(result, plans)
        self._result = result
        before = [tree.head for tree in self._targets]
        for txn, plan in plans:
            if plan is None:
                txn.rollback()  # nothing changed: what was written is as it was
            else:
                self._changed += plan.apply(self.execution_id, self._callable.name, outputs)
                txn.close()
        self._hold_new_trees()
        self._after = tuple(
            [
                (tree.key, tree.branch, version, tree.head)
                for tree, version in zip(self._targets, before, strict=True)
            ]
        )
        self._txns = []
        self._commit_s = _perf() - began

    def _classify(
        self, result: Any, plans: list[tuple[Transaction, Changes | None]]
    ) -> tuple[tuple[int, int], ...]:
        """Give every returned entity its semantic, and its own tree if it needs one."""
        for entity in entities_in(result):
            if isinstance(entity.__home__, Snapshot):
                continue
            tree, semantic = self._destination(entity, plans)
            self._outputs.append((tree, entity))
            self._semantics.append(semantic)
            hint = self._callable.semantic_hint
            if hint is not None and hint != semantic:
                raise ReturnError(
                    self._callable.name, f"{label(entity)}, a {semantic},", f"a {hint} (its semantic_hint)"
                )
        if len(self._outputs) < 2:
            return ()
        stamps = []
        for tree, entity in self._outputs:
            stamps.append(self._stamp_after(tree, entity, plans))
        return tuple(stamps)

    def _destination(
        self, entity: Entity, plans: list[tuple[Transaction, Changes | None]]
    ) -> tuple[TreeRegistry, str]:
        key, home = key_of(entity), entity.__home__
        for txn, plan in plans:
            if plan is not None and plan.arrives(key):
                return txn.tree, MUTATION
            if home is not txn.tree:
                continue
            if plan is not None and plan.leaves(key):
                return self._found(entity), DETACHMENT
            if txn.tree.has(key):
                return txn.tree, MUTATION
        return self._found(entity), CREATION

    def _found(self, entity: Entity) -> TreeRegistry:
        """Make a tree of a returned entity that is in none."""
        root = entity if entity.__home__ is None else clone(entity, keep_identity=False)
        tree = self._trees.found(root, self._now, self.execution_id, self._callable.name)
        self._new_trees[id(entity)] = tree
        return tree

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
        return tree.key if id(entity) in self._new_trees else key_of(entity)

    def _hold_new_trees(self) -> None:
        """Hold the trees that this execution began and that are worth keeping."""
        returned = {id(tree) for tree, _ in self._outputs}
        for tree in self._provisional:
            is_fork = tree.base is not None
            if tree.head > (tree.base_version if is_fork else 1) or (id(tree) in returned and not is_fork):
                self._trees.hold(tree)
        for entity_id, tree in self._new_trees.items():
            if tree not in self._provisional and entity_id:
                self._trees.hold(tree)

    def _roll_back(self) -> None:
        for txn in self._txns:
            txn.rollback()
        self._txns = []

    # --- what the caller gets ---

    def snapshots(self) -> Any:
        """Return the result with lazy, isolated snapshots in place of entities."""
        if KIND[type(self._result)] == ATOM:
            return self._result
        where = {id(entity): tree for tree, entity in self._outputs}
        shots: dict[int, Snapshot] = {}

        def shot(entity: Entity) -> Entity:
            tree = where.get(id(entity))
            if tree is None:
                return entity
            snapshot = shots.get(id(tree))
            if snapshot is None:
                snapshot = shots[id(tree)] = Snapshot.of(tree, tree.head)
            return snapshot.entity(self._key_in(tree, entity))

        return present(self._result, shot)

    def receipt(self) -> Receipt:
        """Return what became of the execution, with refs in place of entities."""
        refs = {
            id(entity): Ref(tree.key, self._key_in(tree, entity), tree.branch) for tree, entity in self._outputs
        }
        value = self._result
        if KIND[type(value)] != ATOM:
            value = present(value, lambda entity: refs.get(id(entity)))
        return Receipt(
            self.execution_id,
            self._semantics[0] if self._semantics else None,
            self._after[0][3] if self._after else 0,
            self._changed,
            value,
            tuple(refs.values()),
        )

    def _record(self, status: str, error: BaseException | None) -> None:
        inputs = {name for name, _ in self._inputs}
        arguments = self._arguments
        self._records.add(
            (
                self.execution_id,
                self._callable.name,
                status,
                self._semantics[0] if self._semantics and error is None else None,
                self._after or tuple([(tree.key, tree.branch, tree.head, tree.head) for tree in self._targets]),
                tuple(self._inputs),
                tuple([(name, _atom(value)) for name, value in arguments.items() if name not in inputs]),
                () if error else tuple([self._output_stamp(*each) for each in self._outputs]),
                self._changed,
                type(error).__name__ if error else "",
                str(error) if error else "",
                self._started,
                self._run_s,
                self._commit_s,
            )
        )

    def _output_stamp(self, tree: TreeRegistry, entity: Entity) -> tuple[int, int]:
        key = self._key_in(tree, entity)
        return key, tree.stamp_of(key, tree.head)


def _turn_order(tree: TreeRegistry) -> tuple[int, int]:
    return tree.key, tree.branch


def _atom(value: Any) -> Any:
    """Keep an atom as it is and anything else as its text: a record weighs little."""
    if KIND[type(value)] == ATOM:
        return value
    text = repr(value)
    return text if len(text) <= 200 else text[:197] + "..."


