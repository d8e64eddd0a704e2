"""The usual execution in one straight line: one entity, atoms of the right types, plain changes.

The entity is given as a ref, or as a snapshot of the head, which means the same. `Execution` does
all of this as well, in steps that also serve old and edited snapshots, orphans, several trees,
collections, coroutines. Beside a callable of a microsecond those steps are most of the cost, and
with everything in local variables they take a third of the time. As soon as anything is not the
usual, before the callable runs or after it, `Execution` takes over.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Mapping
from typing import Any

from registry import ids, plain_changes, plain_results, plain_several
from registry.address import Ref
from registry.callables import RegisteredCallable
from registry.changes import COMMIT_BYTES
from registry.entity import Entity
from registry.execution import Begun, Execution, Form, Receipt, Setting
from registry.nested import execution_inside
from registry.nesting import running
from registry.plain_changes import key_of_node
from registry.plain_results import Call
from registry.semantics import MUTATION
from registry.snapshot import Snapshot
from registry.transaction import Transaction
from registry.tree import TreeRegistry
from registry.values import ENTITY, KIND

_perf = time.perf_counter
_NONE: tuple[Any, ...] = ()
_UNUSUAL = object()
_make = tuple.__new__


def run(
    setting: Setting,
    registered: RegisteredCallable,
    arguments: Mapping[str, Any],
    number: int | str,
    form: Form,
) -> Any:
    """Run a callable as one transaction, and return what the caller gets.

    Args:
        setting: What the executions of the workspace share.
        registered: The callable.
        arguments: Its arguments, by name.
        number: The execution, see `ids.execution_text`.
        form: What the caller gets.

    Raises:
        BaseException: See `Workspace.execute`.
    """
    at = registered.plain_entity
    inside = running.get()
    if at >= 0 and inside is None:
        values = tuple(arguments.values())
        if tuple(arguments) != registered.names:
            values = registered.in_order(arguments)
        shown = None
        if values and KIND[type(values[at])] is ENTITY:
            shown = values[at].__home__
            if type(shown) is Snapshot and (ref := shown.ref_if_current(values[at])) is not None:
                values = (*values[:at], ref, *values[at + 1 :])
        done = _run_usual(setting, registered, values, number, form, shown)
        if done is not _UNUSUAL:
            return done
    elif registered.is_plain_of_several and inside is None:
        done = plain_several.run(setting, registered, arguments, number, form)
        if done is not plain_several.UNUSUAL:
            return done
    execution = execution_inside(inside, setting, registered, number, form)
    if registered.is_async:
        execution.run_in_loop(arguments)
    else:
        execution.run(arguments)
    return execution.told()


def run_heard(
    setting: Setting,
    registered: RegisteredCallable,
    arguments: Mapping[str, Any],
    number: int | str,
    form: Form,
) -> Any:
    """Run a callable as `run`, and tell those who listen."""
    with setting.bus.hearing(number, registered.name):
        return run(setting, registered, arguments, number, form)


def run_each(
    setting: Setting,
    registered: RegisteredCallable,
    names: tuple[str, ...],
    calls: Iterable[tuple[tuple[Any, ...], int | str]],
) -> Generator[Receipt | BaseException]:
    """Run a callable once for each call, one after the other; see `Workspace.run_each`."""
    usual = names == registered.names and running.get() is None
    at = registered.plain_entity if usual else -1
    hold, bus = _Hold(), setting.bus
    try:
        for values, number in calls:
            done: Any = _UNUSUAL
            try:
                if at >= 0 and not bus.is_heard and (fitting := _fitting(registered, values)):
                    given = fitting[at]
                    if hold.is_good_for(given) or hold.take(setting, registered, given):
                        tree, root = hold.tree, hold.root
                        done = _run_on(setting, registered, fitting, number, "receipt", tree, root)
                if done is _UNUSUAL:
                    hold.let_go()
                    arguments = dict(zip(names, values, strict=True))
                    run_one = run_heard if bus.is_heard else run
                    done = run_one(setting, registered, arguments, number, "receipt")
            except BaseException as error:  # noqa: BLE001 - it is what became of this one
                done = error
            yield done
    finally:
        hold.let_go()


class _Hold:
    """The turn on the tree of one root, kept from call to call."""

    __slots__ = ("given", "root", "tree")
    root: Entity
    tree: TreeRegistry

    def __init__(self) -> None:
        self.given: Ref | None = None

    def is_good_for(self, given: Ref) -> bool:
        """Tell whether it is of this very ref, and nobody else waits for the tree."""
        return given is self.given and not self.tree.turn.is_wanted

    def take(self, setting: Setting, registered: RegisteredCallable, given: Ref) -> bool:
        """Take the turn on a root's tree instead; False if it is no case for this file."""
        self.let_go()
        tree = setting.trees.by_root.get((given[0], given[2]))
        root = None if tree is None or given[1] != given[0] else tree.entities.get(given[1])
        if tree is None or root is None or not isinstance(root, registered.plain_classes):
            return False
        if not tree.turn.take_if_free():
            return False
        self.given, self.tree, self.root = given, tree, root
        return True

    def let_go(self) -> None:
        """Give the turn back, if it has one."""
        if self.given is not None:
            self.given = None
            self.tree.turn.give_back()


def _fitting(registered: RegisteredCallable, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments, in the order of the signature, if they are usual; else nothing."""
    if tuple(map(type, values)) in registered.fitting or registered.fits(values):
        return values
    return registered.fitted(values)


def _run_usual(
    setting: Setting,
    registered: RegisteredCallable,
    values: tuple[Any, ...],
    number: int | str,
    form: Form,
    shown: Any,
) -> Any:
    """Run a callable if its arguments, in the order of the signature, are the usual ones.

    *shown* is the snapshot that was given in place of a ref, if one was.
    """
    if tuple(map(type, values)) not in registered.fitting:  # as _fitting, for most calls
        values = _fitting(registered, values)
        if not values:
            return _UNUSUAL
    given = values[registered.plain_entity]
    tree = setting.trees.by_root.get((given[0], given[2]))
    entity = None if tree is None else tree.entities.get(given[1])
    if (
        tree is None
        or entity is None
        or not isinstance(entity, registered.plain_classes)
        or not tree.turn.take_if_free()
    ):
        return _UNUSUAL
    try:
        if shown is not None and (shown.source is not tree or shown.version != tree.head):
            return _UNUSUAL  # of another workspace, or the tree moved on before its turn was taken
        return _run_on(setting, registered, values, number, form, tree, entity)
    finally:
        tree.turn.give_back()


def _run_on(
    setting: Setting,
    registered: RegisteredCallable,
    values: tuple[Any, ...],
    number: int | str,
    form: Form,
    tree: TreeRegistry,
    entity: Entity,
) -> Any:
    started, at, txn = setting.clock(), registered.plain_entity, Transaction(tree)
    before, given, after = values[:at], values[at], values[at + 1 :]
    try:
        running.set(txn)  # from None: this way is taken by the outermost execution only
        began = _perf()
        result = registered.function(*before, entity, *after)
        ended = _perf()
        running.set(None)
        is_entity = result is entity
        is_plain = (is_entity or not KIND[type(result)]) and registered.keeps_promise(result)
        found = plain_changes.find(txn) if is_plain else None
        if found is None or (found[6] and is_entity):
            call = Call(number, form, values, started, ended - began)
            return _conclude(setting, registered, call, txn, result, is_plain)
        (_, _, moves, changed, size, new, gone), now = found, setting.clock()
        renamed, version = plain_changes.store(txn, found, now), tree.head + 1
        made, outputs = None, _output(tree, given[1], version) if is_entity else _NONE
        if not is_entity and form == "entities":
            made = setting.trees.outputs.keep(registered.name, number, result, now)
            outputs = made.key_and_stamp
        entry = (  # a commit and the record of its execution in one: see records.unpack
            version,
            now,
            number,
            registered.name,
            tuple(map(key_of_node, changed)),
            tuple(new) if new else _NONE,
            tuple(map(ids.plain, gone)) if gone else _NONE,
            tuple(map(key_of_node, moves)) if moves else _NONE,
            _NONE,
            (COMMIT_BYTES + size) >> 6,
            tree.key,
            tree.branch,
            at,
            registered.names,
            (*before, given[1], *after),
            outputs,
            renamed,
            started,
            ended - began,
            _perf() - ended,
        )
        tree.add_commit(entry)
        setting.records.add(entry)
    except BaseException as error:
        _take_back(setting, registered, Call(number, form, values, started, 0.0), txn, error)
        raise
    if form != "receipt":
        return Snapshot.of_head(tree, entity) if is_entity else made.shown() if made else result
    semantic, value, outputs = (MUTATION, given, (given,)) if is_entity else (None, result, ())
    return _make(Receipt, (number, semantic, version, renamed, value, outputs))


def _conclude(
    setting: Setting,
    registered: RegisteredCallable,
    call: Call,
    txn: Transaction,
    result: Any,
    is_plain: bool,
) -> Any:
    """Conclude an execution whose result or changes are not the usual ones."""
    if not is_plain or not (txn.writes or txn.containers or txn.touched):
        told = plain_results.conclude(setting, registered, call, txn, result)
        if told is not plain_results.UNUSUAL:
            return told
    execution = _handed_over(setting, registered, call, txn)
    return execution.conclude(result, call.run_s, is_plain).told()


def _take_back(
    setting: Setting,
    registered: RegisteredCallable,
    call: Call,
    txn: Transaction,
    error: BaseException,
) -> None:
    """Take back and record an execution that failed, unless it was stored or handed over."""
    running.set(None)
    if txn.is_open:
        _handed_over(setting, registered, call, txn).abandon(error)


def _handed_over(
    setting: Setting, registered: RegisteredCallable, call: Call, txn: Transaction
) -> Execution:
    at = registered.plain_entity
    given: Ref = call.values[at]
    noted = (*call.values[:at], given[1], *call.values[at + 1 :])
    execution = Execution(setting, registered, call.number, call.form)
    begun = Begun(registered.names[at], given, registered.names, noted, call.started)
    execution.take_over(begun, txn)
    return execution


def _output(tree: TreeRegistry, key: ids.Key, version: int) -> tuple[int, int] | None:
    """Return what a record keeps of the entity that was given and returned; None for the root."""
    return None if key == tree.key else (key, tree.node(key).stamp_at(version, tree.branch))
