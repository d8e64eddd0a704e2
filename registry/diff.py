"""Diff: what differs between two versions of a tree, by entity and field.

Also as JSON Patch (RFC 6902).

Cost: what changed between the versions, as far as the commits between them are retained on one
    branch; else both trees are walked.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID

from pydantic_core import to_jsonable_python

from registry import ids, mermaid, values
from registry.address import Ref
from registry.entity import Entity
from registry.errors import NotFoundError, NotJsonError
from registry.ids import Key
from registry.mermaid import Box, Link
from registry.readable import comparable, readable
from registry.schema import EXTRA, FIELDS_SET
from registry.shape import Shape, shape_of, title
from registry.snapshot import Snapshot
from registry.tree import TreeRegistry
from registry.values import same_value


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of one entity that differs: children appear as refs."""

    ref: Ref
    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Move:
    """An entity that is under another parent in the newer version."""

    ref: Ref
    old_parent: UUID
    new_parent: UUID


@dataclass(frozen=True, slots=True)
class Diff:
    """What it takes to get from version `a` of a tree to version `b`.

    Attributes:
        added: Entities that only `b` has, parents before children.
        removed: Entities that only `a` has.
        moved: Entities under another parent.
        changed: Fields of entities in both that differ, in the order of declaration.
        read: Returns a snapshot of the root at a version. It stays behind when a diff is pickled:
            who receives one puts its own in place, `replace(diff, read=...)`.
    """

    a: int
    b: int
    added: tuple[Ref, ...]
    removed: tuple[Ref, ...]
    moved: tuple[Move, ...]
    changed: tuple[FieldChange, ...]
    read: Callable[[int], Entity] = field(compare=False, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        parts = (self.a, self.b, self.added, self.removed, self.moved, self.changed)
        return Diff, (*parts, _read_nothing)

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.moved or self.changed)

    def to_json_patch(self) -> list[dict[str, Any]]:
        """Return the operations that turn the JSON form of `a`.

        `model_dump(mode="json")`) into that of `b`.

        Raises:
            NotJsonError: A value that differs cannot be written as JSON.

        Cost: proportional to the entities that differ and the containers above them.
        """
        return list(_operations(_patch("", self.read(self.a), self.read(self.b))))

    def to_mermaid(self, limit: int = 100) -> str:
        """Return a Mermaid flowchart of what differs, and of the entities above that.

        Added, removed, moved and changed entities have a class of that name each; a changed one
        says what its fields were and are, abbreviated (with `repr=False` only that they differ); a
        dotted arrow says where a moved or removed one was.

        Args:
            limit: Entities that are drawn, those near the root first; the last box says how many
                more there are.

        Cost: reads the state of every entity of both versions once.
        """
        return _Chart(self, _shape(self.read(self.a)), _shape(self.read(self.b))).text(limit)


def _read_nothing(version: int) -> Entity:
    raise NotFoundError(f"version {version}", "a diff that came from another process")


def diff(tree: TreeRegistry, a: int, b: int) -> Diff:
    """Compare two versions of a tree.

    Raises:
        NotFoundError, PrunedError: A version does not exist, or is no longer kept.
    """
    tree.check_version(a)
    tree.check_version(b)
    added: list[Ref] = []
    removed: list[Ref] = []
    moved: list[Move] = []
    changed: list[FieldChange] = []
    for key in _candidates(tree, a, b):
        before, after = tree.contains(key, a), tree.contains(key, b)
        ref = Ref(tree.key, key, tree.branch)
        if before and after:
            changed.extend(field_changes(tree, ref, a, b))
            old, new = _parent(tree, key, a), _parent(tree, key, b)
            if old != new and old is not None and new is not None:
                moved.append(Move(ref, ids.to_uuid(old), ids.to_uuid(new)))
        elif after:
            added.append(ref)
        elif before:
            removed.append(ref)

    def read(version: int) -> Entity:
        return Snapshot.of(tree, version).entity(tree.key)

    return Diff(a, b, tuple(added), tuple(removed), tuple(moved), tuple(changed), read)


def _candidates(tree: TreeRegistry, a: int, b: int) -> list[Key]:
    """Return the entities that may differ: those that the commits between the versions name."""
    low, high = sorted((a, b))
    commits = [tree.commit_of(version) for version in range(low + 1, high + 1)]
    found: dict[Key, None] = {}
    for commit in commits:
        if commit is None:
            return _every_key(tree, low) + _every_key(tree, high)
        for keys in (commit.created, commit.changed, commit.moved, commit.removed):
            found.update(dict.fromkeys(keys))
    return list(found)


def _every_key(tree: TreeRegistry, version: int) -> list[Key]:
    queue = [tree.key]
    for key in queue:
        queue.extend(tree.children_at(key, version))
    return list(dict.fromkeys(queue))


def _parent(tree: TreeRegistry, key: Key, version: int) -> Key | None:
    found = tree.find_node(key, version)
    return None if found is None else found[0].parent_at(found[1])


def field_changes(tree: TreeRegistry, ref: Ref, a: int, b: int) -> Iterator[FieldChange]:
    """Yield the fields in which an entity that both versions have differs, as declared."""

    def as_ref(key: Key) -> Ref:
        return Ref(tree.key, key, tree.branch)

    schema, old_state = tree.state_at(ref.key, a)
    _, new_state = tree.state_at(ref.key, b)
    for name, old, new in zip(schema.names, old_state, new_state, strict=True):
        if name != FIELDS_SET and not same_value(comparable(old), comparable(new)):
            label = "model_extra" if name == EXTRA else name
            yield FieldChange(ref, label, readable(old, as_ref), readable(new, as_ref))


# --- Mermaid ---

_STYLES = {
    "added": "fill:#dcfce7,stroke:#15803d,color:#14532d",
    "removed": "fill:#fee2e2,stroke:#b91c1c,color:#7f1d1d,stroke-dasharray:4",
    "moved": "stroke:#1d4ed8,stroke-width:3px",
    "changed": "fill:#fef9c3,color:#713f12",
}
_CHANGES_SHOWN = 6
"""Changed fields that a box shows at most."""


def _shape(root: Entity) -> Shape:
    home = root.__home__
    assert isinstance(home, Snapshot), "a diff reads snapshots"
    return shape_of(home.source, home.version)


class _Chart:
    """Draws a diff: entities that differ and those above, first of `b`, then what is gone."""

    def __init__(self, diff: Diff, before: Shape, after: Shape) -> None:
        self.before = before
        self.after = after
        self.styles: dict[Key, list[str]] = {}
        self.lines: dict[Key, list[str]] = {}
        for name, refs in (
            ("added", diff.added),
            ("removed", diff.removed),
            ("moved", [move.ref for move in diff.moved]),
            ("changed", [change.ref for change in diff.changed]),
        ):
            for ref in dict.fromkeys(refs):
                self.styles.setdefault(ref.key, []).append(name)
        for change in diff.changed:
            self.lines.setdefault(change.ref.key, []).append(self._line(change))

    def _line(self, change: FieldChange) -> str:
        info = self.after.spots[change.ref.key].cls.model_fields.get(change.field)
        if info is not None and not info.repr:
            return f"{change.field} differs"
        return f"{change.field} = {_brief(change.old)} → {_brief(change.new)}"

    def text(self, limit: int) -> str:
        """Return the chart of *limit* entities."""
        wanted = self._wanted()
        shown = {key: number for number, key in enumerate(wanted[: max(1, limit)])}
        hidden = len(wanted) - len(shown)
        return mermaid.flowchart(
            [self._box(key) for key in shown],
            [link for key in shown for link in self._links(key, shown)],
            _STYLES,
            f"and {hidden} more" if hidden else "",
        )

    def _wanted(self) -> list[Key]:
        """Return what there is to draw: of each version breadth first, so parents come first."""
        drawn: set[Key] = set()
        for key in self.styles:
            for shape in (self.before, self.after):
                if key in shape.spots:
                    drawn.update(shape.above(key))
        gone = [key for key in self.before.spots if key in drawn and key not in self.after.spots]
        return [key for key in self.after.spots if key in drawn] + gone

    def _box(self, key: Key) -> Box:
        shape = self.after if key in self.after.spots else self.before
        lines = self.lines.get(key, [])
        if len(lines) > _CHANGES_SHOWN:
            lines = [*lines[:_CHANGES_SHOWN], f"and {len(lines) - _CHANGES_SHOWN} more fields"]
        return Box((title(shape, key), *lines), tuple(self.styles.get(key, ())))

    def _links(self, key: Key, shown: dict[Key, int]) -> Iterator[Link]:
        now, then = self.after.spots.get(key), self.before.spots.get(key)
        if now is not None and now.parent in shown:
            yield Link(shown[now.parent], shown[key], mermaid.shorten(now.path))
        if then is not None and then.parent in shown and (now is None or now.parent != then.parent):
            yield Link(shown[then.parent], shown[key], mermaid.shorten(then.path), is_dotted=True)


def _brief(value: Any) -> str:
    if isinstance(value, Ref):
        return ids.to_uuid(value.key).hex[:8]
    is_shown = values.KIND[type(value)] != values.OPAQUE
    return mermaid.brief(value) if is_shown else type(value).__name__


# --- JSON Patch: both versions are walked side by side, and equal ids end the walk ---


_Step: TypeAlias = "dict[str, Any] | Generator[_Step, None, None]"
_Steps = Generator[_Step, None, None]
"""Operations, and in their place walks of what is further down: a tree may be deeper than the
stack."""
_REASON = 120
"""Characters of pydantic's reason that an error shows."""


def _operations(walk: _Steps) -> Iterator[dict[str, Any]]:
    """Yield the operations of a walk and of those that it leads to, in order."""
    way = [walk]
    while way:
        step = next(way[-1], None)
        if step is None:
            way.pop()
        elif isinstance(step, dict):
            yield step
        else:
            way.append(step)


def _patch(path: str, old: Any, new: Any) -> _Steps:
    if isinstance(old, Entity) and isinstance(new, Entity):
        if old.ecs_id == new.ecs_id:
            return
        if old.lineage_id == new.lineage_id:
            yield _patch_fields(path, old, new)
            return
    if isinstance(old, list) and isinstance(new, list):
        yield _patch_list(path, old, new)
    elif isinstance(old, dict) and isinstance(new, dict) and _same_order(old, new):
        yield _patch_dict(path, old, new)
    elif (
        not same_value(old_json := _json(old, path), new_json := _json(new, path))
        or old_json != new_json
    ):
        yield {"op": "replace", "path": path, "value": new_json}


def _patch_fields(path: str, old: Entity, new: Entity) -> _Steps:
    plain = not type(old).__pydantic_decorators__.model_serializers
    plain = plain and not type(old).__pydantic_decorators__.field_serializers
    if not plain:
        old_json, new_json = _json(old, path), _json(new, path)
        if old_json != new_json:
            yield {"op": "replace", "path": path, "value": new_json}
        return
    for name, info in type(old).model_fields.items():
        if info.exclude:
            continue
        yield _patch(f"{path}/{_escape(name)}", getattr(old, name), getattr(new, name))
    extra_old, extra_new = old.model_extra or {}, new.model_extra or {}
    yield _patch_dict(path, dict(extra_old), dict(extra_new))
    for name in type(old).model_computed_fields:
        before, after = (
            _json(getattr(old, name), path),
            _json(getattr(new, name), path),
        )
        if before != after:
            yield {"op": "replace", "path": f"{path}/{_escape(name)}", "value": after}


def _patch_list(path: str, old: list[Any], new: list[Any]) -> _Steps:
    """Remove, add and descend; items are matched at both ends, entities in between by lineage."""
    start, end = _matching_ends(old, new, path)
    middle_old, middle_new = old[start : len(old) - end], new[start : len(new) - end]
    if len(middle_old) == len(middle_new):
        for offset, (before, after) in enumerate(zip(middle_old, middle_new, strict=True)):
            yield _patch(f"{path}/{start + offset}", before, after)
    else:
        for _ in middle_old:
            yield {"op": "remove", "path": f"{path}/{start}"}
        for offset, item in enumerate(middle_new):
            yield {"op": "add", "path": f"{path}/{start + offset}", "value": _json(item, path)}
    for offset in range(start):
        yield _patch(f"{path}/{offset}", old[offset], new[offset])
    for offset in range(end):
        yield _patch(
            f"{path}/{len(new) - 1 - offset}",
            old[len(old) - 1 - offset],
            new[len(new) - 1 - offset],
        )


def _matching_ends(old: list[Any], new: list[Any], path: str) -> tuple[int, int]:
    shorter = min(len(old), len(new))
    start = 0
    while start < shorter and _is_same_item(old[start], new[start], path):
        start += 1
    end = 0
    while end < shorter - start and _is_same_item(old[-1 - end], new[-1 - end], path):
        end += 1
    return start, end


def _is_same_item(old: Any, new: Any, path: str) -> bool:
    if isinstance(old, Entity) or isinstance(new, Entity):
        return (
            isinstance(old, Entity) and isinstance(new, Entity) and old.lineage_id == new.lineage_id
        )
    return same_value(_json(old, path), _json(new, path))


def _patch_dict(path: str, old: dict[Any, Any], new: dict[Any, Any]) -> _Steps:
    for key in old:
        if key not in new:
            yield {"op": "remove", "path": f"{path}/{_escape(key)}"}
    for key, value in new.items():
        if key in old:
            yield _patch(f"{path}/{_escape(key)}", old[key], value)
        else:
            yield {"op": "add", "path": f"{path}/{_escape(key)}", "value": _json(value, path)}


def _same_order(old: dict[Any, Any], new: dict[Any, Any]) -> bool:
    """Tell whether removing and then adding keys gives the order of *new*."""
    kept = [key for key in old if key in new]
    return list(new)[: len(kept)] == kept


def _escape(key: Any) -> str:
    """Write a key as part of a JSON pointer (RFC 6901), as pydantic writes it as a JSON key."""
    text = next(iter(_json({key: None}, "a key of a dict")))
    return str(text).replace("~", "~0").replace("/", "~1")


def _json(value: Any, path: str) -> Any:
    """Return a value as JSON has it.

    Raises:
        NotJsonError: It has none: it holds what pydantic cannot write, or is nested too deeply.
    """
    try:
        if isinstance(value, Entity):
            return value.model_dump(mode="json")
        return to_jsonable_python(value)
    except (ValueError, RecursionError) as error:  # pydantic's own is a ValueError
        reason = f"{type(error).__name__}: {error}"[:_REASON]
        raise NotJsonError(path, type(value).__name__, reason) from error
