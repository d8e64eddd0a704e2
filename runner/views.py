"""Trees, histories, reasons and diffs as people see them: rich trees and tables.

Nothing here asks anything; `inspection.py` does. Texts of users are never read as markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from registry import Diff, Entity, Ref, VersionInfo, Why
from registry.provenance import borrowed_title, brief, step_notes, step_title

MAX_ENTITIES = 200
"""Entities of a tree that are drawn, those near the root first."""


def entity_tree(entity: Entity, limit: int = MAX_ENTITIES) -> Tree:
    """Return an entity with its fields and what is below it; the last line counts what is hidden.

    Cost: loads the entities that are drawn.
    """
    top = Tree(_title("", entity))
    queue: list[tuple[Tree, Entity]] = [(top, entity)]
    for branch, each in queue:
        for name, value in _fields(each):
            children = list(_entities(name, value))
            if not children:
                branch.add(Text(f"{name} = {brief(value)}", style="dim"))
            for path, child in children:
                if len(queue) < limit:
                    queue.append((branch.add(_title(path, child)), child))
                else:
                    branch.add(Text(f"{path}: ...", style="dim"))
    return top


def _title(path: str, entity: Entity) -> Text:
    text = Text(f"{path}: " if path else "")
    text.append(type(entity).__name__, style="bold")
    text.append(f" @{entity.ecs_id}", style="cyan")
    return text


def _fields(entity: Entity) -> Iterator[tuple[str, Any]]:
    """Yield the fields that a `repr` shows, and extra ones."""
    for name, info in type(entity).model_fields.items():
        if info.repr:
            yield name, getattr(entity, name)
    yield from (entity.model_extra or {}).items()


def _entities(path: str, value: Any) -> Iterator[tuple[str, Entity]]:
    """Yield the entities in a value, each with where it is."""
    if isinstance(value, Entity):
        yield path, value
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _entities(f"{path}.{index}", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _entities(f"{path}[{key!r}]", item)
    elif isinstance(value, set | frozenset):
        for item in value:
            yield from _entities(f"{path}{{}}", item)


def value_line(address: str, value: Any) -> Text:
    """Return a value with its address."""
    return Text(f"{address} = {value!r}")


def history_table(rows: Sequence[VersionInfo], *, with_values: bool) -> Table:
    """Return a history, a row for each version, oldest first."""
    table = Table(box=None, pad_edge=False)
    table.add_column("version", justify="right")
    table.add_column("time (UTC)")
    table.add_column("callable")
    table.add_column("execution")
    table.add_column("value" if with_values else "ecs_id")
    for row in rows:
        shown = brief(row.value) if with_values else str(row.ecs_id)
        table.add_row(
            str(row.version),
            f"{row.committed_at:%Y-%m-%d %H:%M:%S}",
            Text(row.callable or "-"),
            Text(row.execution_id or "-"),
            Text(shown) if row.is_there else Text("not there", style="red"),
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


def diff_table(diff: Diff) -> Table:
    """Return a diff, a row for each entity that came, went or moved, and for each field."""
    table = Table(box=None, pad_edge=False)
    for title in ("", "entity", "field", f"version {diff.a}", f"version {diff.b}"):
        table.add_column(title)

    def add(what: str, style: str, ref: Ref, *texts: str) -> None:
        table.add_row(Text(what, style=style), Text(ref.address), *map(Text, texts))

    for ref in diff.added:
        add("added", "green", ref)
    for ref in diff.removed:
        add("removed", "red", ref)
    for move in diff.moved:
        add("moved", "blue", move.ref, "", f"under @{move.old_parent}", f"under @{move.new_parent}")
    for change in diff.changed:
        add("changed", "yellow", change.ref, change.field, brief(change.old), brief(change.new))
    return table
