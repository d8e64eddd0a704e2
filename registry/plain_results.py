"""Plain results: what a usual execution returned, if it is more than the entity given or an atom.

Members of the tree, new ones too, and lists, tuples and dicts of them and of atoms: all of that is
a mutation, or no change at all, and none of it founds a tree. `Execution` does this as well, and
what is not certain here is left to it. As `plain.py`, of which it is the second half, it is spelled
out: the steps of `Execution` take three times as long.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from registry import ids, plain_changes
from registry.address import Ref
from registry.callables import RegisteredCallable
from registry.changes import COMMIT_BYTES
from registry.entity import Entity
from registry.execution import Form, Receipt, Setting
from registry.plain_changes import Found, key_of_node
from registry.results import keeps_hint
from registry.semantics import CREATION, MUTATION, present
from registry.snapshot import Snapshot
from registry.transaction import Transaction
from registry.tree import TreeRegistry
from registry.values import ATOM, DICT, ENTITY, KIND, LIST, TUPLE

UNUSUAL = object()
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
    if (
        tree.nest is not None
        or (tree.wished is not None and tree.wished[0] is txn)
        or not _collect(result, members, _DEPTH)
        or not _keeps_promise(registered, result, members)
    ):
        return UNUSUAL
    is_unchanged = not (txn.writes or txn.containers or txn.touched)
    found = None if is_unchanged else plain_changes.find(txn)
    if (found is None and not is_unchanged) or not _are_inside(tree, members, found):
        return UNUSUAL
    value = present(result, _itself) if KIND[type(result)] not in (ATOM, ENTITY) else result
    if found is None:
        txn.close()
        return _without_version(setting, registered, call, tree, value, members)
    return _with_version(setting, registered, call, txn, found, value, members)


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
            if tree.entities.get(entity.__key__) is not entity:
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
    at = registered.plain_entity
    given: Ref = call.values[at]
    outputs = _stamps(tree, members, tree.head)
    made = None
    if not members and call.form == "entities":
        made = setting.trees.outputs.keep(registered.name, call.number, value, setting.clock())
        outputs = made.key_and_stamp
    setting.records.add(
        (
            *(call.number, registered.name, "ok"),
            MUTATION if members else CREATION if made else None,
            (tree.key, tree.branch, tree.head, tree.head),
            (registered.names[at], given[1]),
            registered.names,
            (*call.values[:at], given[1], *call.values[at + 1 :]),
            *(outputs, 0, "", "", call.started, call.run_s, 0.0, _NOBODY),
            *(registered.expected_strategy, registered.expected_pattern, None, 0.0),
        )
    )
    return made.shown() if made else _told(tree, call, given, value, members, 0)


def _with_version(
    setting: Setting,
    registered: RegisteredCallable,
    call: Call,
    txn: Transaction,
    found: Found,
    value: Any,
    members: dict[int, Entity],
) -> Any:
    tree, at = txn.tree, registered.plain_entity
    given: Ref = call.values[at]
    now = setting.clock()
    _, _, moves, changed, size, new = found
    renamed, version = plain_changes.store(txn, found, now), tree.head + 1
    stamps = _stamps(tree, members, version)
    made = None
    if not members and call.form == "entities":
        made = setting.trees.outputs.keep(registered.name, call.number, value, now)
    entry = (  # as in plain.py
        version,
        now,
        call.number,
        registered.name,
        tuple(map(key_of_node, changed)),
        tuple(new) if new else _NOBODY,
        _NOBODY,
        tuple(map(key_of_node, moves)) if moves else _NOBODY,
        tuple(zip(stamps[::2], stamps[1::2], strict=True)) if len(members) > 1 else _NOBODY,
        (COMMIT_BYTES + size) >> 6,
        tree.key,
        tree.branch,
        at,
        registered.names,
        (*call.values[:at], given[1], *call.values[at + 1 :]),
        # An odd number of them: entities that were returned, see records._apart.
        (*stamps, 0) if members else made.key_and_stamp if made else _NOBODY,
        renamed,
        call.started,
        call.run_s,
        0.0,
    )
    tree.add_commit(entry)
    setting.records.add(entry)
    return made.shown() if made else _told(tree, call, given, value, members, renamed)


def _stamps(tree: TreeRegistry, members: dict[int, Entity], version: int) -> tuple[int, ...]:
    """Return key and stamp of each entity, one after the other."""
    found: list[int] = []
    for entity in members.values():
        node = tree.nodes.get(entity.__key__)
        key = ids.plain(entity.__key__)
        stamp = node.stamp_at(version, tree.branch) if node else tree.stamp_of(key, version)
        found += (key, stamp)
    return tuple(found)


def _told(
    tree: TreeRegistry,
    call: Call,
    given: Ref,
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
