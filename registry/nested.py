"""NestedExecution: an execution that a callable began, inside the execution of that callable.

It joins the outermost one: on trees that are open already it is a savepoint, other trees become
trees of the outermost one's commit. What it returns are the live objects themselves, for the code
that called it works on these, too.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from registry import ids
from registry.address import Ref
from registry.bus import is_muted, muted
from registry.callables import RegisteredCallable
from registry.entity import Entity, key_of
from registry.errors import BusyError, ReadOnlyError, UnfinishedError
from registry.execution import (
    Execution,
    Form,
    Located,
    Receipt,
    Setting,
    would_wait_for_itself,
)
from registry.nesting import Outer
from registry.results import entities_returned
from registry.savepoint import Savepoint, has_written
from registry.semantics import CREATION, present
from registry.snapshot import Snapshot
from registry.transaction import Transaction
from registry.tree import TreeRegistry
from registry.values import ATOM, KIND


def execution_inside(
    outer: Outer | None,
    setting: Setting,
    registered: RegisteredCallable,
    number: int | str,
    form: Form,
) -> Execution:
    """Return a new execution: inside *outer* if that still runs and is of the same workspace.

    Inside a trial of the workspace, it is one, too.
    """
    if outer is not None and outer.is_open:
        if isinstance(outer, Execution) and outer.is_trial_of(setting.trees):
            trial = outer.setting
            setting = trial._replace(on_stale=setting.on_stale)
        if outer.is_of(setting.trees):
            return NestedExecution(setting, registered, number, form, outer)
    return Execution(setting, registered, number, form)


class NestedExecution(Execution):
    """One run of one callable inside another execution; see `Execution`."""

    _savepoint: Savepoint | None = None
    _ended: tuple[str, str, str] = ("ok", "", "")
    _first_inner = sys.maxsize
    _first_tree = sys.maxsize

    def __init__(
        self,
        setting: Setting,
        registered: RegisteredCallable,
        number: int | str,
        form: Form,
        outer: Outer,
    ) -> None:
        super().__init__(setting, registered, number, form)
        self._parent = outer.number if isinstance(outer, Execution) else None
        self._nest = self._joined = outer.nest
        self._siblings = outer.nest.turn_inside(outer)
        self._is_muted = is_muted()

    # --- inputs ---

    def _locate(self, given: Any, name: str) -> Located:
        if _is_new(given):
            return name, None, ids.plain(key_of(given)), given  # the work of the code around
        return super()._locate(given, name)

    def _live(self, given: Any, name: str) -> Entity:
        return given if _is_new(given) else super()._live(given, name)

    def _take_turns(self) -> None:
        if would_wait_for_itself(self._siblings) or not self._siblings.take():
            raise BusyError(self._place)
        self._enter()
        try:
            for tree in self._missing():
                self._take_turn(tree, self._joined.trees)
                self._bring(tree)
        except BaseException:
            self._leave()
            raise

    async def _take_turns_async(self, is_alone: bool) -> None:
        is_above = is_alone and self._siblings.is_in_hands_of(threading.get_ident())
        if is_above or would_wait_for_itself(self._siblings):
            raise BusyError(self._place)
        await self._siblings.take_async()
        self._enter()
        try:
            for tree in self._missing():
                await self._take_turn_async(tree, self._joined.trees, is_alone)
                self._bring(tree)
        except BaseException:
            self._leave()
            raise

    def _enter(self) -> None:
        # What is added from here on comes from this execution, or from others inside of it.
        self._first_inner, self._first_tree = len(self._joined.inner), len(self._joined.trees)
        self._joined.enter(self.registered.name)

    @property
    def _place(self) -> str:
        """Name what it would wait for, if that is another execution of the code around."""
        trees = self._targets or self._joined.trees
        return trees[0].name if trees else repr(self.registered.name)

    def _missing(self) -> list[TreeRegistry]:
        return [tree for tree in self._targets if tree not in self._joined.trees]

    def _bring(self, tree: TreeRegistry) -> None:
        """Make a tree whose turn was taken one of the outermost execution's."""
        if not self._joined.is_open:
            tree.turn.give_back()
            self._refuse_to_go_on()
        self._joined.trees.append(tree)

    def _refuse_to_go_on(self) -> None:
        raise UnfinishedError("what ran around it", self.registered.name)

    def _begin(self) -> list[Transaction]:
        nest = self._joined
        new = [given for _, tree, _, given in self._located if tree is None]
        self._savepoint = Savepoint(nest.txns, new)
        self._is_open = True
        return [nest.txn_on(tree) or self._open_on(tree) for tree in self._targets]

    def _open_on(self, tree: TreeRegistry) -> Transaction:
        txn = Transaction(tree)
        self._joined.txns.append(txn)
        return txn

    def _fork(self, snapshot: Snapshot, tree: TreeRegistry) -> TreeRegistry:
        forked = super()._fork(snapshot, tree)
        self._joined.trees.append(forked)
        self._joined.txns.append(self._txns[0])
        self._joined.provisional.append(forked)
        return forked

    # --- the end ---

    def _commit(self, result: Any) -> None:
        self._check_result(result)
        if not self._joined.is_open:
            self._refuse_to_go_on()
        assert self._savepoint is not None, "_begin made it"
        if self.registered.read_only and (self._savepoint.has_changed or self._has_written()):
            raise ReadOnlyError(self.registered.name, self._place)
        found = () if KIND[type(result)] == ATOM else entities_returned(self.registered, result)
        self._has_entities = bool(found)
        self._result = self._own_result(result, found)
        if self._form == "entities" and not self._has_entities:
            self._semantic = CREATION
            self._output = self._trees.outputs.make(
                self.registered.name, self.number, self._result, self._now
            )
        self._is_open = False
        self._joined.inner.append(self)

    def _has_written(self) -> bool:
        brought = self._joined.trees[self._first_tree :]
        return any(txn.tree in brought and has_written(txn) for txn in self._joined.txns)

    def _roll_back(self) -> None:
        nest = self._joined
        self._is_open = False
        if not nest.is_open:
            return  # the outermost execution has taken back everything
        if self._savepoint is not None:
            self._savepoint.go_back()
        self._give_back_brought()

    def _give_back_brought(self) -> None:
        """Let go of the trees that the outermost execution has only because of this one."""
        nest = self._joined
        for tree in nest.trees[self._first_tree :]:
            txn = nest.txn_on(tree)
            if txn is not None:
                txn.rollback()
                nest.txns.remove(txn)
            if tree in nest.provisional:
                nest.provisional.remove(tree)
            tree.turn.give_back()
        del nest.trees[self._first_tree :]

    def _give_back(self) -> None:
        self._joined.leave(self.registered.name)
        self._siblings.give_back()

    def _leave(self) -> None:
        self._give_back_brought()
        self._give_back()

    # --- what the code around gets ---

    def snapshots(self) -> Any:
        """Return the result: entities are the live objects, containers are new."""
        if self._output is not None:
            return self._output.shown()
        return present(self._result, lambda entity: entity)

    def receipt(self) -> Receipt:
        """Return a receipt of what is not committed yet: what is new comes as itself."""
        found: list[Ref] = []

        def shown(entity: Entity) -> Any:
            home = entity.__home__
            if not isinstance(home, TreeRegistry):
                return entity
            found.append(Ref(home.key, ids.plain(key_of(entity)), home.branch))
            return found[-1]

        value = present(self._result, shown)
        version = self._targets[0].head if self._targets else 0
        return Receipt(self.number, None, version, 0, value, tuple(found))

    # --- with the outermost execution ---

    def record_with(self, outermost: Execution, is_ok: bool, error_type: str) -> None:
        """Record it, now that it is known whether it is committed."""
        status, its_type, its_error = self._ended
        if status == "ok" and not is_ok:
            self._semantic, self._outputs, self._output = None, (), None
            status, its_type = "failed", error_type
            its_error = f"taken back with {outermost.registered.name!r}, which it ran inside of"
        if self._parent is None:
            self._parent = outermost.number
        if status == "ok":
            if self._output is not None:
                self._trees.outputs.enter(self._output)
            mine = {(tree.key, tree.branch) for tree in self._targets}
            after = outermost.versions_after
            self._after = tuple(
                number
                for at in range(0, len(after), 4)
                if (after[at], after[at + 1]) in mine
                for number in after[at : at + 4]
            )
        # Its caller may have asked for silence, and that of the outermost one not.
        with muted() if self._is_muted else nullcontext():
            self._add_record(status, its_type, its_error)

    def _record_failure(self, arguments: Mapping[str, Any], error: BaseException) -> None:
        for inner in self._joined.inner[self._first_inner :]:
            inner.take_back(self.registered.name, error)
        super()._record_failure(arguments, error)

    @property
    def has_entities(self) -> bool:
        """Whether entities were returned, and what it did was not taken back."""
        return self._has_entities and self._ended[0] == "ok"

    @property
    def forced_trees(self) -> Sequence[TreeRegistry]:
        """The trees that it renews, unless it was taken back."""
        return self._targets if self._ended[0] == "ok" else ()

    def take_back(self, outer: str, error: BaseException) -> None:
        """Learn that what it did was taken back with an execution that it ran inside of."""
        if self._ended[0] == "ok":
            self._semantic, self._outputs, self._output = None, (), None
            text = f"taken back with {outer!r}, which it ran inside of"
            self._ended = "failed", type(error).__name__, text

    def _record(self, status: str, error_type: str, error: str) -> None:
        if status == "ok":
            return  # with the outermost execution
        self._ended = status, error_type, error
        self._output = None
        if self._joined.is_open:
            self._joined.inner.append(self)
        else:
            self._add_record(status, error_type, error)


def _is_new(given: Any) -> bool:
    return isinstance(given, Entity) and given.__home__ is None
