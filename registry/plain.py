"""The usual execution in one straight line: a ref, atoms of just the right types, plain changes.

`Execution` does all of this as well, in steps that also serve snapshots, orphans, several trees,
collections, coroutines. Beside a callable of a microsecond those steps are most of the cost, and
with everything in local variables they take half the time. As soon as anything is not the usual,
before the callable runs or after it, `Execution` takes over.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from registry import ids
from registry.address import Ref
from registry.callables import RegisteredCallable
from registry.entity import Entity
from registry.execution import Begun, Execution, Receipt, Setting
from registry.semantics import MUTATION
from registry.snapshot import Snapshot
from registry.transaction import Transaction
from registry.tree import TreeRegistry
from registry.trees import Trees

_perf = time.perf_counter


class PlainExecution:
    """What became of a usual execution: the face of `Execution` that callers use."""

    __slots__ = ("_after", "_changed", "_entity", "_given", "_number", "_result")

    def __init__(
        self,
        number: int | str,
        given: Ref,
        entity: Entity,
        result: Any,
        changed: int,
        after: int,
    ) -> None:
        self._number = number
        self._given = given
        self._entity = entity
        self._result = result
        self._changed = changed
        self._after = after

    def snapshots(self) -> Any:
        """Return the result, with a lazy, isolated snapshot in place of the entity."""
        if self._result is not self._entity:
            return self._result
        home: Any = self._entity.__home__
        return Snapshot.of_head(home, self._entity)

    def receipt(self) -> Receipt:
        """Return what became of the execution, with a ref in place of the entity."""
        number, given = ids.execution_text(self._number), self._given
        if self._result is self._entity:
            return Receipt(number, MUTATION, self._after, self._changed, given, (given,))
        return Receipt(number, None, self._after, self._changed, self._result, ())


def run(
    setting: Setting,
    registered: RegisteredCallable,
    arguments: Mapping[str, Any],
    number: int | str,
) -> PlainExecution | Execution:
    """Run a synchronous callable as one transaction; see `Workspace.execute`."""
    usual = _usual(setting.trees, registered, arguments)
    if usual is None or not usual[0].turn.take():
        execution = Execution(setting, registered, number)
        execution.run(arguments)
        return execution
    tree, entity, name = usual
    try:
        return _run_usual(setting, registered, arguments, number, tree, entity, name)
    finally:
        tree.turn.give_back()


def _usual(
    trees: Trees, registered: RegisteredCallable, arguments: Mapping[str, Any]
) -> tuple[TreeRegistry, Entity, str] | None:
    """Return (tree, live entity, its parameter) if the arguments are the usual ones."""
    name = registered.plain_entity
    if name is None or not registered.fits(arguments):
        return None
    given = arguments[name]
    tree = trees.find(given) if type(given) is Ref else None
    entity = None if tree is None else tree.entities.get(given[1])
    if tree is None or entity is None or not isinstance(entity, registered.plain_classes):
        return None
    return tree, entity, name


def _run_usual(
    setting: Setting,
    registered: RegisteredCallable,
    arguments: Mapping[str, Any],
    number: int | str,
    tree: TreeRegistry,
    entity: Entity,
    name: str,
) -> PlainExecution | Execution:
    started = setting.clock()
    live = dict(arguments)
    given: Ref = live[name]
    live[name] = key = given[1]
    names, values = tuple(live), tuple(live.values())
    if names == registered.names:
        names = registered.names  # shared by all records
    live[name] = entity
    txn = Transaction(tree)
    try:
        began = _perf()
        result = registered.function(**live)
        ended = _perf()
        changes = None
        if not txn.touched and registered.allows(result, entity):
            changes = txn.plan_plain(setting.clock())
        if changes is None:
            execution = Execution(setting, registered, number)
            execution.take_over(Begun(name, given, names, values, started), txn)
            execution.conclude(result, ended - began)
            return execution
        before = tree.head
        changed = changes.apply(number, registered.name, ())
        txn.close()
        is_root = result is entity and key == tree.key
        setting.records.add(
            (  # see records.unpack
                number,
                registered.name,
                "ok",
                MUTATION if result is entity else None,
                (tree.key, tree.branch, before, tree.head),
                names.index(name),
                names,
                values,
                None if is_root else _output(tree, key) if result is entity else (),
                changed,
                "",
                "",
                started,
                ended - began,
                _perf() - ended,
            )
        )
        return PlainExecution(number, given, entity, result, changed, tree.head)
    except BaseException as error:
        if tree.txn is txn:
            execution = Execution(setting, registered, number)
            execution.take_over(Begun(name, given, names, values, started), txn)
            execution.abandon(error)
        raise


def _output(tree: TreeRegistry, key: ids.Key) -> tuple[int, int]:
    return key, tree.node(key).stamp_at(tree.head, tree.branch)
