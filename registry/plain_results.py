"""Plain results: what a usual execution returned, if it is more than the entity given or an atom.

Members of the tree, new ones too, and lists, tuples and dicts of them and of atoms; and one new
entity that becomes a root. `Execution` does this as well, and
what is not certain here is left to it. As `plain.py`, of which it is the second half, it is spelled
out: the steps of `Execution` take three times as long.
"""

from __future__ import annotations

from itertools import chain
from typing import Any, NamedTuple

from registry import ids, plain_changes
from registry.address import Ref
from registry.adoption import node_of_atoms
from registry.callables import RegisteredCallable
from registry.config import ConfigEntity
from registry.entity import Entity
from registry.execution import Form, Receipt, Setting
from registry.history import Node
from registry.plain_changes import Found
from registry.results import keeps_hint
from registry.semantics import CREATION, DETACHMENT, MUTATION, present
from registry.snapshot import Snapshot
from registry.transaction import Transaction
from registry.tree import TreeRegistry
from registry.values import ATOM, DICT, ENTITY, KIND, LIST, TUPLE

UNUSUAL = object()
_MEMBERS, _DETACHED = 0, 1
"""What a record with an odd number of outputs ends with, see records.apart."""
_NOBODY: tuple[Any, ...] = ()
_DEPTH = 8
"""Containers in one another that are looked into here."""


class Call(NamedTuple):
    """A usual execution whose callable has returned.

    Attributes:
        number: The execution.
        form: What its caller gets.
        values: The arguments, in the order of the signature.
        started: When it began.
        run_s: How long the callable ran.
    """

    number: int | str
    form: Form
    values: tuple[Any, ...]
    started: float
    run_s: float


def conclude(
    setting: Setting, registered: RegisteredCallable, call: Call, txn: Transaction, result: Any
) -> Any:
    """Commit what a callable returned and changed, and return what its caller gets.

    Returns:
        `UNUSUAL` if it is no case for this file: then nothing has been stored.
    """
    tree = txn.tree
    members: dict[int, Entity] = {}
    if KIND[type(result)] == ENTITY and result.__home__ is None:
        return _conclude_new(setting, registered, call, txn, result)
    if (
        tree.nest is not None
        or (tree.wished is not None and tree.wished[0] is txn)
        or not _collect(result, members, _DEPTH)
        or not _keeps_promise(registered, result, members)
    ):
        return UNUSUAL
    is_unchanged = not (txn.writes or txn.containers or txn.touched)
    found = None if is_unchanged else plain_changes.find(txn)
    if found is None and not is_unchanged:
        return UNUSUAL
    if found is not None and found[6] and KIND[type(result)] == ENTITY and result.__home__ is tree:
        return _conclude_taken_out(setting, registered, call, txn, found, result)
    if not _are_inside(tree, members, found):
        return UNUSUAL
    value = present(result, _itself) if KIND[type(result)] not in (ATOM, ENTITY) else result
    if found is None:
        txn.close()
        return _without_version(setting, registered, call, tree, value, members)
    return _with_version(setting, registered, call, txn, found, value, members)


def _conclude_new(
    setting: Setting, registered: RegisteredCallable, call: Call, txn: Transaction, entity: Any
) -> Any:
    """As `conclude`, of a new entity: a child if it was put into the tree, or else a root."""
    tree = txn.tree
    is_unchanged = not (txn.writes or txn.containers or txn.touched)
    found = None if is_unchanged else plain_changes.find(txn)
    if (
        tree.nest is not None
        or (found is None and not is_unchanged)
        or (registered.returns is not None and not isinstance(entity, registered.returns))
        or isinstance(entity, ConfigEntity)
    ):
        return UNUSUAL
    if found is not None and found[5]:
        if entity.__key__ not in found[5] or registered.semantic_hint not in (None, MUTATION):
            return UNUSUAL  # it may hold what enters
        return _with_version(setting, registered, call, txn, found, entity, {id(entity): entity})
    if registered.semantic_hint not in (None, CREATION):
        return UNUSUAL
    new = begin_root(setting, registered, call, entity)
    outputs = (new.key, ids.BIRTH)
    if found is None:
        txn.close()
        _record(setting, registered, call, tree, outputs, CREATION)
        renamed = 0
    else:
        renamed = _store(setting, registered, call, txn, found, (), outputs)
    return _told_of_root(new, call, tree.head, renamed, CREATION)


def _conclude_taken_out(
    setting: Setting,
    registered: RegisteredCallable,
    call: Call,
    txn: Transaction,
    found: Found,
    entity: Any,
) -> Any:
    """As `conclude`, of an entity that was taken out: a copy with provenance to it is a root."""
    tree = txn.tree
    if entity.__key__ not in found[6] or isinstance(entity, ConfigEntity):
        return UNUSUAL
    # It holds atoms only and was not written: the copy's state is the very one that it leaves with.
    key, node = ids.new_key(), found[6][entity.__key__]
    copied = Node(key, node.schema, None, 1, setting.clock())
    copied.state = node.state
    copied.source = (node.key, node.stamp_at(tree.head, tree.branch))
    new = setting.trees.found_alone(key, copied, call.number, registered.name)
    left = (tree.key, ids.stamp(tree.branch, tree.head + 1))
    setting.trees.hold(new)
    setting.records.add(
        (None, "detached", new.key, 0, copied.created, call.number, registered.name, *left)
    )
    outputs = (new.key, ids.BIRTH, _DETACHED)
    renamed = _store(setting, registered, call, txn, found, (), outputs)
    return _told_of_root(new, call, tree.head, renamed, DETACHMENT)


def begin_root(
    setting: Setting, registered: RegisteredCallable, call: Call, entity: Entity
) -> TreeRegistry:
    """Make a new entity the root of a tree that is held from now on.

    Raises:
        StructureError, IdentityTakenError: As `Trees.adopt`; nothing has been stored.
    """
    trees, now = setting.trees, setting.clock()
    node = node_of_atoms(entity, now)
    if node is not None:
        new = trees.found_alone(entity.__key__, node, call.number, registered.name)
    else:
        new, _ = trees.adopt(entity, now, call.number, registered.name)
    trees.hold(new)
    setting.records.add((None, "registered", new.key, 0, now, call.number, registered.name))
    return new


def _told_of_root(
    new: TreeRegistry,
    call: Call,
    version: int,
    renamed: int,
    semantic: str,
) -> Any:
    """Return what the caller gets for a new root."""
    if call.form != "receipt":
        return Snapshot.of_root(new)
    ref = Ref(new.key, new.key)
    return Receipt(call.number, semantic, version, renamed, ref, (ref,))


def _collect(value: Any, members: dict[int, Entity], depth: int) -> bool:
    """Collect the entities in a result; False if it holds anything that is not plain."""
    kind = KIND[type(value)]
    if kind == ENTITY:
        members[id(value)] = value
        return True
    if kind == ATOM:
        return True
    if kind not in (LIST, TUPLE, DICT) or not depth:
        return False
    for item in value.values() if kind == DICT else value:
        if KIND[type(item)] and not _collect(item, members, depth - 1):
            return False
    return True


def _keeps_promise(registered: RegisteredCallable, result: Any, members: dict[int, Entity]) -> bool:
    if members and registered.semantic_hint not in (None, MUTATION):
        return False
    if registered.returns is not None and not isinstance(result, registered.returns):
        return False
    return KIND[type(result)] in (ATOM, ENTITY) or keeps_hint(result, registered.return_hint)


def _are_inside(tree: TreeRegistry, members: dict[int, Entity], found: Found | None) -> bool:
    """Tell whether entities are in the tree: plain changes take none out."""
    for entity in members.values():
        if entity.__home__ is tree:
            is_live = tree.entities.get(entity.__key__) is entity
            if not is_live or (found is not None and entity.__key__ in found[6]):
                return False
        elif found is None or entity.__key__ not in found[5]:
            return False
    return True


def _without_version(
    setting: Setting,
    registered: RegisteredCallable,
    call: Call,
    tree: TreeRegistry,
    value: Any,
    members: dict[int, Entity],
) -> Any:
    outputs, semantic = _stamps(tree, members, tree.head), MUTATION if members else None
    made = None
    if not members and call.form == "entities":
        made = setting.trees.outputs.keep(registered.name, call.number, value, setting.clock())
        outputs, semantic = made.key_and_stamp, CREATION
    _record(setting, registered, call, tree, outputs, semantic)
    return made.shown() if made else _told(tree, registered, call, value, members, 0)


def _record(
    setting: Setting,
    registered: RegisteredCallable,
    call: Call,
    tree: TreeRegistry,
    outputs: tuple[int, ...],
    semantic: str | None,
) -> None:
    """Record an execution that made no version."""
    at = registered.plain_entity
    key = call.values[at][1]
    setting.records.add(
        (
            *(call.number, registered.name, "ok", semantic),
            (tree.key, tree.branch, tree.head, tree.head),
            (registered.names[at], key),
            registered.names,
            (*call.values[:at], key, *call.values[at + 1 :]),
            *(outputs, 0, "", "", call.started, call.run_s, 0.0, _NOBODY),
            *(registered.expected_strategy, registered.expected_pattern, None, 0.0),
        )
    )


def _with_version(
    setting: Setting,
    registered: RegisteredCallable,
    call: Call,
    txn: Transaction,
    found: Found,
    value: Any,
    members: dict[int, Entity],
) -> Any:
    made = None
    if not members and call.form == "entities":
        made = setting.trees.outputs.keep(registered.name, call.number, value, setting.clock())
    outputs = made.key_and_stamp if made else _NOBODY
    renamed = _store(setting, registered, call, txn, found, tuple(members.values()), outputs)
    return made.shown() if made else _told(txn.tree, registered, call, value, members, renamed)


def _store(
    setting: Setting,
    registered: RegisteredCallable,
    call: Call,
    txn: Transaction,
    found: Found,
    members: tuple[Entity, ...],
    outputs: tuple[int, ...],
) -> int:
    """Store a version and the record of its execution; return how many ids are new."""
    tree, at, now = txn.tree, registered.plain_entity, setting.clock()
    key = call.values[at][1]
    changes = plain_changes.noted(found)
    renamed, version = plain_changes.store(txn, found, now), tree.head + 1
    pairs = _pairs(tree, members, version) if members else _NOBODY
    entry = (  # as in plain.py
        version,
        now,
        call.number,
        registered.name,
        *changes[:4],
        pairs if len(pairs) > 1 else _NOBODY,
        changes[5],
        tree.key,
        tree.branch,
        at,
        registered.names,
        (*call.values[:at], key, *call.values[at + 1 :]),
        (*chain.from_iterable(pairs), _MEMBERS) if pairs else outputs,
        renamed,
        call.started,
        call.run_s,
        0.0,
    )
    tree.add_commit(entry)
    setting.records.add(entry)
    return renamed


def _stamps(tree: TreeRegistry, members: dict[int, Entity], version: int) -> tuple[int, ...]:
    return tuple(chain.from_iterable(_pairs(tree, tuple(members.values()), version)))


def _pairs(
    tree: TreeRegistry, members: tuple[Entity, ...], version: int
) -> tuple[tuple[int, int], ...]:
    """Return key and stamp of each entity."""
    found = []
    for entity in members:
        node = tree.nodes.get(entity.__key__)
        key = ids.plain(entity.__key__)
        stamp = node.stamp_at(version, tree.branch) if node else tree.stamp_of(key, version)
        found.append((key, stamp))
    return tuple(found)


def _told(
    tree: TreeRegistry,
    registered: RegisteredCallable,
    call: Call,
    value: Any,
    members: dict[int, Entity],
    renamed: int,
) -> Any:
    """Return what the caller gets: the value, with snapshots or refs in place of entities."""
    if call.form == "receipt":
        refs = {
            each: Ref(tree.key, ids.plain(entity.__key__), tree.branch)
            for each, entity in members.items()
        }
        given: Ref = call.values[registered.plain_entity]
        if refs and KIND[type(value)] == ENTITY and refs[id(value)] == given:
            refs[id(value)] = given  # the very same object
        told = present(value, lambda entity: refs[id(entity)]) if refs else value
        semantic = MUTATION if members else None
        return Receipt(call.number, semantic, tree.head, renamed, told, tuple(refs.values()))
    if not members:
        return value
    if KIND[type(value)] == ENTITY:
        return Snapshot.of_head(tree, value)
    shot = Snapshot.of(tree, tree.head)
    shown = {each: shot.entity(entity.__key__) for each, entity in members.items()}
    return present(value, lambda entity: shown[id(entity)])


def _itself(entity: Entity) -> Entity:
    return entity
