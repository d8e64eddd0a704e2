"""The usual execution on several entities, or on none: refs and atoms in, plain changes out.

As `plain.py`, for one entity: the steps of `Execution` in one line, and whatever is not the usual
goes to `Execution`, before the callable runs or after it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from registry import ids, plain_changes
from registry.address import Ref, parse_address
from registry.callables import RegisteredCallable
from registry.config import ConfigEntity
from registry.entity import Entity
from registry.errors import TreerunnerError
from registry.execution import Execution, Form, Receipt, Setting
from registry.kept import marks
from registry.nesting import running
from registry.plain_changes import Found
from registry.plain_results import Call, begin_root
from registry.semantics import CREATION, MUTATION
from registry.snapshot import Snapshot
from registry.transaction import Transaction
from registry.tree import TreeRegistry
from registry.values import ATOM, ENTITY, KIND, Kind

UNUSUAL = object()
_MAX_LISTED = 1000
"""Entities in one list that are looked up here, with the turns of their trees free."""
_perf = time.perf_counter
_NOBODY: tuple[Any, ...] = ()

Plan = list[tuple[Transaction, Found | None]]
"""What each transaction will do to its tree, if anything."""


Located = tuple[str, TreeRegistry, ids.Key, Any]
"""(parameter, tree, key, what was given) of an entity among the arguments."""

Live = tuple[list[Any], tuple[Any, ...], list[Entity]]
"""Arguments as the callable gets them, as the record keeps them; the entities among them."""


class Read(NamedTuple):
    """An atom that is given by the address of a field, at the head of its tree.

    Attributes:
        at: Position of the argument.
        tree: The tree.
        key: The entity.
        field: The field.
    """

    at: int
    tree: TreeRegistry
    key: ids.Key
    field: str

    def done(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return arguments with the value in place of its address."""
        node = self.tree.nodes[self.key]
        value = node.state[node.schema.field_index[self.field]]
        return (*values[: self.at], value, *values[self.at + 1 :])

    def is_good(self, registered: RegisteredCallable, values: tuple[Any, ...]) -> bool:
        """Tell whether the value is what the parameter takes, and its entity is still there."""
        is_there = not self.tree.nodes[self.key].removed
        return is_there and type(values[self.at]) in registered.parameters[self.at].exact

    def stamp(self) -> int:
        """Return the stamp of the entity's id."""
        return self.tree.nodes[self.key].stamp_at(self.tree.head, self.tree.branch)


def run(
    setting: Setting,
    registered: RegisteredCallable,
    arguments: Mapping[str, Any],
    number: int | str,
    form: Form,
) -> Any:
    """Run a callable as one transaction; `UNUSUAL` if it is no case for this file, and has not run.

    Raises:
        BaseException: See `Workspace.execute`.
    """
    values = tuple(arguments.values())
    if tuple(arguments) != registered.names:
        if arguments.keys() != registered.by_name.keys():
            return UNUSUAL
        values = registered.in_order(arguments)
    reads: list[Read] = []
    located = _located(setting, registered, values, reads)
    if located is None:
        return UNUSUAL
    trees = list({tree: None for _, tree, _, _ in located})
    if reads:
        trees = list(dict.fromkeys((*trees, *[read.tree for read in reads])))
    if len(trees) > 1:
        trees.sort(key=_turn_order)
    if not _take_turns(trees):
        return UNUSUAL
    try:
        for read in reads:
            values = read.done(values)
        if reads and not all(read.is_good(registered, values) for read in reads):
            return UNUSUAL
        execution = Execution(setting, registered, number, form)
        live = _live(execution, values, located)
        if live is None:
            return UNUSUAL
        return _run_on(execution, live, located, trees, reads)
    finally:
        for tree in trees:
            tree.turn.give_back()


def _located(
    setting: Setting, registered: RegisteredCallable, values: tuple[Any, ...], reads: list[Read]
) -> list[Located] | None:
    """Return where the entities among arguments are; None if some are not the usual ones.

    Atoms that are given by address are added to *reads*.
    """
    located: list[Located] = []
    for value, parameter in zip(values, registered.parameters, strict=True):
        if parameter.exact:
            if type(value) not in parameter.exact:
                read = _read(setting, value, registered.names.index(parameter.name))
                if read is None or str in parameter.exact:
                    return None
                reads.append(read)
        elif parameter.configs:
            if not isinstance(value, parameter.configs):
                return None
        elif parameter.listed:
            if type(value) is not list or len(value) > _MAX_LISTED:
                return None
            for each in value:
                if not _locate(setting, parameter.name, each, parameter.listed, located):
                    return None
        elif not _locate(setting, parameter.name, value, parameter.entities, located):
            return None
    return located


def _read(setting: Setting, value: Any, at: int) -> Read | None:
    """Return how to read what is given by address; None if that is not a field at a head."""
    if type(value) is not str or value[:1] != "@":
        return None
    try:
        address = parse_address(value)
        if address.entity.commit or len(address.path) != 1:
            return None
        place = setting.trees.locate(address.entity)
    except TreerunnerError:
        return None  # said by Execution
    node, field = place.tree.nodes.get(place.key), address.path[0]
    if node is None or field not in node.schema.field_index:
        return None
    return Read(at, place.tree, place.key, str(field))


def _locate(
    setting: Setting,
    name: str,
    value: Any,
    classes: tuple[type, ...],
    located: list[Located],
) -> bool:
    """Add where an entity is; False if it is not given by ref, of another class, or not loaded."""
    tree = setting.trees.by_root.get((value[0], value[2])) if type(value) is Ref else None
    entity = None if tree is None else tree.entities.get(value[1])
    if tree is None or not isinstance(entity, classes):
        return False
    located.append((name, tree, value[1], value))
    return True


def _take_turns(trees: list[TreeRegistry]) -> bool:
    """Take the turns if all are free."""
    for taken, tree in enumerate(trees):
        if not tree.turn.take_if_free():
            for other in trees[:taken]:
                other.turn.give_back()
            return False
    return True


def _live(execution: Execution, values: tuple[Any, ...], located: list[Located]) -> Live | None:
    """Return what the callable gets, and what the record keeps of it, with the turns taken.

    None if an entity is no longer there, or a config cannot be stored: `Execution` says so.
    """
    entities: list[Entity] = []
    for _, tree, key, _ in located:
        entity = tree.entities.get(key)
        if entity is None:
            return None
        entities.append(entity)
    live: list[Any] = []
    noted: list[Any] = []
    first = 0
    for value, parameter in zip(values, execution.registered.parameters, strict=True):
        if parameter.exact:
            live.append(value)
            noted.append(value)
            continue
        if parameter.listed:
            last = first + len(value)
            live.append(entities[first:last])
            noted.append(marks(len(value)))
            first = last
            continue
        noted.append(None)
        if parameter.configs:
            try:
                live.append(execution.own_config(parameter.name, value))
            except TreerunnerError:
                return None
        else:
            live.append(entities[first])
            first += 1
    return live, tuple(noted), entities


def _run_on(
    execution: Execution,
    live: Live,
    located: list[Located],
    trees: list[TreeRegistry],
    reads: list[Read],
) -> Any:
    registered, (arguments, noted, entities) = execution.registered, live
    for read in reads:
        execution.note_source(registered.names[read.at], read.key, read.stamp(), f".{read.field}")
    txns = execution.take_over_several(located, trees, noted)
    try:
        running.set(execution)  # from None: this way is taken by the outermost execution only
        began = _perf()
        result = registered.function(*arguments)
        ended = _perf()
        running.set(None)
        kind = KIND[type(result)]
        is_new = kind == ENTITY and result.__home__ is None and not isinstance(result, ConfigEntity)
        if is_new:
            is_usual = _may_be_new(registered, result)
        else:
            is_usual = kind == ATOM or any(result is entity for entity in entities)
            is_usual = is_usual and registered.keeps_promise(result)
        plan = _plan(execution, txns, kind, is_new=is_new) if is_usual else None
        if plan is None:
            return execution.conclude(result, ended - began, is_looked_at=False).told()
        call = Call(execution.number, execution.form, noted, execution.started, ended - began)
        return _conclude(execution, call, located, plan, result, is_new=is_new)
    except BaseException as error:
        running.set(None)
        if any(tree.txn is txn for tree, txn in zip(trees, txns, strict=True)) or not trees:
            execution.abandon(error)
        raise


def _may_be_new(registered: RegisteredCallable, result: Any) -> bool:
    """Tell whether hints allow to return a new entity."""
    is_promised = registered.returns is None or isinstance(result, registered.returns)
    return is_promised and registered.semantic_hint in (None, CREATION)


def _plan(
    execution: Execution, txns: list[Transaction], kind: Kind, *, is_new: bool
) -> Plan | None:
    """Find what a callable that returned a *kind* changed; None if that is not the usual."""
    if execution.has_nest:
        return None
    plan: Plan = []
    arriving = int(is_new)
    for txn in txns:
        wished = txn.tree.wished
        found = None
        if wished is not None and wished[0] is txn:
            return None
        if txn.writes or txn.containers or txn.touched:
            found = plain_changes.find(txn)
            if found is None or (found[6] and kind == ENTITY):
                return None  # the result may be what left
            arriving += bool(found[5])
        plan.append((txn, found))
    return plan if arriving < 2 else None  # else something may be in two trees


def _conclude(
    execution: Execution,
    call: Call,
    located: list[Located],
    plan: Plan,
    result: Any,
    *,
    is_new: bool,
) -> Any:
    began, registered, setting = _perf(), execution.registered, execution.setting
    tree = begin_root(setting, registered, call, result) if is_new else None
    after, renamed = _store(setting, registered, call, plan)
    semantic, outputs, made = None, _NOBODY, None
    if tree is not None:
        semantic, outputs = CREATION, (tree.key, ids.BIRTH)
    elif KIND[type(result)] != ATOM:
        tree = result.__home__
        key = ids.plain(result.__key__)
        semantic, outputs = MUTATION, (key, tree.stamp_of(key, tree.head))
    elif call.form == "entities":
        made = setting.trees.outputs.keep(registered.name, call.number, result, setting.clock())
        semantic, outputs = CREATION, made.key_and_stamp
    inputs = [each for name, _, key, _ in located for each in (name, key)]
    for name, _, config in execution.configs:
        inputs += (name, config.key)
    sources = execution.sources
    setting.records.add(
        (
            *(call.number, registered.name, "ok", semantic, after, tuple(inputs)),
            *(registered.names, call.values, outputs, renamed, "", ""),
            *(call.started, call.run_s, _perf() - began, sources),
            registered.expected_strategy,
            "pure_borrowing" if sources and not located else registered.given_pattern,
            *(None, 0.0),
        )
    )
    if made is not None:
        return made.shown()
    if call.form != "receipt":
        if tree is None:
            return result
        return Snapshot.of_root(tree) if is_new else Snapshot.of_head(tree, result)
    version = located[0][1].head if located else 0
    if tree is None:
        return Receipt(call.number, None, version, renamed, result, ())
    ref = Ref(tree.key, ids.plain(result.__key__), tree.branch)
    return Receipt(call.number, semantic, version, renamed, ref, (ref,))


def _store(
    setting: Setting, registered: RegisteredCallable, call: Call, plan: Plan
) -> tuple[tuple[int, ...], int]:
    """Store the next version of each tree that changed.

    Returns:
        Root, branch, version before and after of each; how many ids are new.
    """
    after: list[int] = []
    count, now = 0, setting.clock()
    for txn, found in plan:
        tree = txn.tree
        before = tree.head
        if found is None:
            txn.close()
        else:
            changes = plain_changes.noted(found)
            count += plain_changes.store(txn, found, now)
            tree.add_commit((before + 1, now, call.number, registered.name, *changes))
        after += (tree.key, tree.branch, before, tree.head)
    return tuple(after), count


def _turn_order(tree: TreeRegistry) -> tuple[int, int]:
    return tree.key, tree.branch
