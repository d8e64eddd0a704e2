"""In hand: detaching and attaching what somebody holds, so that it shows what became of it.

What moves is first moved in the holder's snapshots, which are edits like any other; one execution
commits them; then the objects in the holder's hand become part of the snapshots of their new tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from registry.address import Ref
from registry.callables import RegisteredCallable
from registry.entity import Entity, key_of, label
from registry.errors import StructureError
from registry.execution import Execution
from registry.ids import Key
from registry.moving import DETACH, fitting, is_in, take_out
from registry.snapshot import Snapshot
from registry.tree import TreeRegistry
from registry.trees import Trees

Run = Callable[[RegisteredCallable, Mapping[str, Any]], Execution]
"""Runs a callable and returns the execution."""


def detach_in_hand(entity: Entity, trees: Trees, run: Run) -> Ref:
    """Make a child of a snapshot the root of its own tree; see `Workspace.detach`."""
    snapshot = entity.__home__
    assert isinstance(snapshot, Snapshot), "what is in hand is of a snapshot"
    take_out(entity)
    execution = run(DETACH, {"entity": entity})
    ref = execution.receipt().outputs[0]
    tree = trees.tree(ref)
    Snapshot.of(tree, tree.head).take_in(entity, _keys(tree, tree.nodes))
    _advance(snapshot, trees, execution, entity)
    return ref


def attach_in_hand(
    entity: Entity, parent: Any, field: str | None, key: Any, trees: Trees, run: Run
) -> Ref:
    """Put an entity below another one of a snapshot; see `Workspace.attach`."""
    target, source = getattr(parent, "__home__", None), entity.__home__
    if not isinstance(parent, Entity):
        kind = type(parent).__name__
        raise StructureError(f"a {kind}", f"cannot hold {label(entity)}", "give an entity")
    if not isinstance(target, Snapshot):
        raise StructureError(label(parent), "belongs to no tree", "promote_to_root() it first")
    if isinstance(source, Snapshot) and source is not target and source.source is target.source:
        raise StructureError(
            label(entity),
            "is of another snapshot of the tree that it is attached to",
            "take both from one snapshot, or give refs to Workspace.attach",
        )
    _put(entity, parent, field, key)
    came_from = source.root_of(entity) if isinstance(source, Snapshot) else None
    is_moved = came_from is not None and source is not target and source.is_edited
    execution = run(_ATTACHED, {"parent": parent, "source": came_from if is_moved else None})
    _advance(target, trees, execution, parent)
    if isinstance(source, Snapshot) and source is not target:
        tree = trees.tree(trees.ref(parent))
        newest = tree.commit_of(tree.head)
        target.take_in(entity, _keys(tree, newest.created if newest is not None else ()))
        if is_moved:
            _advance(source, trees, execution, entity)
    return trees.ref(entity)


def _put(entity: Entity, parent: Entity, field: str | None, key: Any) -> None:
    if field is not None:
        put = fitting(entity, parent, field, key)
        if entity.__home__ is not None and not entity.is_root_entity():
            take_out(entity)
        put()
    elif not is_in(entity, parent):
        raise StructureError(
            label(entity),
            f"was not put below {label(parent)}",
            "put it into one of its fields first, or name the field: attach(parent, 'items')",
        )


def _attached(parent: Entity, source: Entity | None) -> Entity:
    return parent


_ATTACHED = RegisteredCallable("attach", _attached)
"""What commits the edits of one snapshot, or two, by which an entity moved."""


def _advance(snapshot: Snapshot, trees: Trees, execution: Execution, held: Entity) -> None:
    """Let a snapshot show what an execution made of its edits."""
    for version in execution.versions():
        if version.root == snapshot.source.key and version.before != version.after:
            root = Key(version.root)
            tree = trees.tree(Ref(root, root, version.branch))
            snapshot.advance(tree, version.after, version.before, held)
            return


def _keys(tree: TreeRegistry, arrived: Iterable[Key]) -> dict[Key, Key]:
    """Return the keys that entities have here, by those of what they are copies of."""
    sources = {key: tree.nodes[key].source for key in arrived}
    return {Key(source[0]): Key(key) for key, source in sources.items() if source is not None}


def is_root_in_hand(entity: Entity) -> bool:
    """Tell whether an entity of a snapshot is its root."""
    home = entity.__home__
    return isinstance(home, Snapshot) and home.source.key == key_of(entity)
