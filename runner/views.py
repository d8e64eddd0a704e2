"""Trees, histories, reasons and diffs as people see them: rich trees and tables.

Nothing here asks anything; `inspection.py` does. Texts of users are never read as markup, and a
place is written as an address goes on, so that it can be asked about next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from registry import AddressError, Diff, Entity, EntityTree, FieldChange, Ref, VersionInfo, Why
from registry.address import write_path
from registry.provenance import borrowed_title, brief, step_notes, step_title
from registry.values import shown

MAX_ENTITIES = 200
"""Entities of a tree that are drawn, those near the root first."""
LONGEST_VALUE = 10_000
"""Characters of a value that was asked for itself."""


# --- what is in an entity, and where ---


def fields_of(entity: Entity) -> Iterator[tuple[str, Any]]:
    """Yield the fields that a `repr` shows, and extra ones."""
    for name, info in type(entity).model_fields.items():
        if info.repr:
            yield name, getattr(entity, name)
    yield from (entity.model_extra or {}).items()


def entities_in(place: str, value: Any) -> Iterator[tuple[str, Entity]]:
    """Yield the entities in a value, each with where it is."""
    if isinstance(value, Entity):
        yield place, value
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from entities_in(f"{place}.{index}", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from entities_in(place + part_text(key), item)
    elif isinstance(value, set | frozenset):
        for item in value:
            yield from entities_in(f"{place}{{}}", item)


def part_text(part: Any) -> str:
    """Return one step of a place as an address has it; a key that none can have as Python does."""
    try:
        text = write_path((part,))
    except AddressError:
        text = f"[{shown(part)}]"
    # A lone surrogate is a character that no terminal takes.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class Places:
    """Where entities are in the two versions of a diff; reads each tree when it is first needed."""

    def __init__(self, diff: Diff) -> None:
        self._diff = diff

    @cached_property
    def _before(self) -> EntityTree:
        tree: EntityTree = self._diff.read(self._diff.a).get_tree()
        return tree

    @cached_property
    def _after(self) -> EntityTree:
        tree: EntityTree = self._diff.read(self._diff.b).get_tree()
        return tree

    def before(self, ref: Ref) -> str:
        """Return where an entity was: its place below the root; empty for the root itself."""
        return _place(self._before, ref)

    def after(self, ref: Ref) -> str:
        """Return where an entity is."""
        return _place(self._after, ref)

    def shows(self, change: FieldChange) -> bool:
        """Tell whether a field may be seen: not if its class says `repr=False`."""
        cls = type(self._after.get_entity_by_lineage(change.ref.lineage_id))
        info = cls.model_fields.get(change.field)
        return info is None or info.repr

    def name_before(self, ref: Ref) -> str:
        """Return class and short id of an entity that was there."""
        return _name(self._before, ref)

    def name_after(self, ref: Ref) -> str:
        """Return class and short id of an entity that is there."""
        return _name(self._after, ref)


def _place(tree: EntityTree, ref: Ref) -> str:
    way = tree.get_path(tree.get_entity_by_lineage(ref.lineage_id).ecs_id)
    edges = [edge for ecs_id in reversed(way) if (edge := tree.get_edge(ecs_id)) is not None]
    place = ""
    for edge in edges:
        keys = edge.key if edge.kind == "nested" else (edge.key,)
        place += part_text(edge.field)
        if edge.kind != "direct":
            place += "".join(["{}" if key is None else part_text(key) for key in keys])
    return place.removeprefix(".")


def _name(tree: EntityTree, ref: Ref) -> str:
    return f"{type(tree.get_entity_by_lineage(ref.lineage_id)).__name__}:{_short(ref)}"


# --- show ---


def entity_tree(entity: Entity, limit: int = MAX_ENTITIES) -> Tree:
    """Return an entity with its fields and what is below it; the last line counts what is hidden.

    Cost: loads the entities that are drawn.
    """
    top = Tree(_title("", entity))
    queue: list[tuple[Tree, Entity]] = [(top, entity)]
    for branch, each in queue:
        for name, value in fields_of(each):
            children = list(entities_in(name, value))
            if not children:
                branch.add(Text(f"{name} = {brief(value)}", style="dim"))
            for place, child in children:
                if len(queue) < limit:
                    queue.append((branch.add(_title(place, child)), child))
                else:
                    branch.add(Text(f"{place}: ...", style="dim"))
    return top


def _title(place: str, entity: Entity) -> Text:
    text = Text(f"{place}: " if place else "")
    text.append(type(entity).__name__, style="bold")
    text.append(f" @{entity.ecs_id}", style="cyan")
    return text


def value_line(address: str, value: Any) -> Text:
    """Return a value with its address."""
    return Text(f"{address} = {shown(value, LONGEST_VALUE)}")


# --- history, why, diff ---


def history_table(rows: Sequence[VersionInfo], *, with_values: bool) -> Table:
    """Return a history, a row for each version, oldest first."""
    table = empty_table("version", "time (UTC)", "callable", "execution")
    table.columns[0].justify = "right"
    table.columns[1].no_wrap = True
    table.add_column("value" if with_values else "ecs_id", overflow="fold")
    for row in rows:
        text = _value(row.value) if with_values else str(row.ecs_id)
        table.add_row(
            str(row.version),
            f"{row.committed_at:%Y-%m-%d %H:%M:%S}",
            Text(row.callable or "-"),
            Text(row.execution_id or "-"),
            Text(text) if row.is_there else Text("not there", style="red"),
        )
    return table


def why_tree(why: Why) -> Tree:
    """Return how something became what it is, newest step first."""
    top = Tree(Text(why.address, style="cyan"))
    _add_steps(top, why)
    return top


def _add_steps(branch: Tree, why: Why) -> None:
    for step in why.steps:
        inner = branch.add(Text(step_title(step)))
        for note in step_notes(step):
            inner.add(Text(note, style="dim"))
        for borrowed in step.borrowed:
            below = inner.add(Text(borrowed_title(borrowed), style="yellow"))
            if borrowed.why is not None:
                _add_steps(below, borrowed.why)
    if why.original is not None:
        below = branch.add(Text(borrowed_title(why.original), style="yellow"))
        if why.original.why is not None:
            _add_steps(below, why.original.why)
    if not why.is_complete:
        branch.add(Text("... what was before is not shown, or no longer kept", style="dim"))


def diff_table(diff: Diff) -> Table | Text:
    """Return a diff, a row for each entity that came, went or moved, and for each field."""
    if not diff:
        return Text(f"no difference between version {diff.a} and version {diff.b}")
    table = empty_table("", "entity", "place", "field", f"version {diff.a}", f"version {diff.b}")
    places = Places(diff)

    def add(what: str, style: str, *texts: str) -> None:
        table.add_row(Text(what, style=style), *map(Text, texts))

    for ref in diff.added:
        add("added", "green", places.name_after(ref), places.after(ref))
    for ref in diff.removed:
        add("removed", "red", places.name_before(ref), places.before(ref))
    for move in diff.moved:
        before, after = places.before(move.ref), places.after(move.ref)
        add("moved", "blue", places.name_after(move.ref), after, "", before, after)
    for change in diff.changed:
        where = (places.name_after(change.ref), places.after(change.ref), change.field)
        values = (change.old, change.new) if places.shows(change) else (_HIDDEN, _HIDDEN)
        add("changed", "yellow", *where, *map(_value, values))
    return table


def empty_table(*titles: str) -> Table:
    """Return a table as all of them look here, without rows."""
    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


class _Reads:
    """Stands for a value, and reads as a text: an entity's short id, or `(hidden)`."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


_HIDDEN = _Reads("(hidden)")


def _short(ref: Ref) -> str:
    return ref.lineage_id.hex[:8]


def _value(value: Any) -> str:
    # Alone it is whole, since it can be asked about next; in a container it would hide the others.
    if isinstance(value, Ref):
        return value.address
    return brief(_with_short_ids(value))


def _with_short_ids(value: Any) -> Any:
    if isinstance(value, Ref):
        return _Reads(_short(value))
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(map(_with_short_ids, value))
    if type(value) is dict:
        return {key: _with_short_ids(item) for key, item in value.items()}
    return value
