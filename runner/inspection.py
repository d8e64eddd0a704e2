"""The commands that ask about a history: `show`, `history`, `why` and `diff`.

They look at the workspace that an app module shows, see `app_module.load_demo`. What is asked about
is the name of a root, or an address; either may go on with a path.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console, RenderableType

from registry import Entity, NotFoundError, TreerunnerError, Workspace, parse_address
from runner import views
from runner.app_module import load_demo

_WIDTH = 200
"""Columns where no terminal says how many it has: ids should be whole in a file."""

app_option = click.option(
    "--app",
    "app_name",
    metavar="MODULE",
    required=True,
    help="Module with a function `demo` that returns a Workspace, or else with a Workspace `app` "
    "and a function `roots`.",
)


class _When(click.ParamType[int | datetime]):
    """A version number, or a time in ISO format, which is UTC unless it says otherwise."""

    name = "version or time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | datetime:
        """Read the text of an option."""
        if isinstance(value, int | datetime):
            return value
        if re.fullmatch(r"\d+", value):
            return int(value)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is neither a version nor a time such as 2030-01-31T12:00")
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


@click.command("show", short_help="Show an entity and what is below it.")
@click.argument("target")
@app_option
@click.option("--at", "when", type=_When(), help="A version, or a time (UTC). Default: the head.")
@click.option("--limit", type=click.IntRange(min=1), default=views.MAX_ENTITIES, show_default=True)
def show(target: str, app_name: str, when: int | datetime | None, limit: int) -> None:
    """Show TARGET, a root's name or an address, perhaps with a path: `grid.nodes.0`."""

    def look(workspace: Workspace) -> RenderableType:
        address = address_of(workspace, target)
        found = workspace.get(address) if when is None else workspace.at(address, when)
        if isinstance(found, Entity):
            return views.entity_tree(found, limit)
        return views.value_line(target, found)

    _answer(app_name, look)


@click.command("history", short_help="Show the versions that changed an entity or a value.")
@click.argument("target")
@app_option
@click.option("--branch", type=click.IntRange(min=0), help="Number of the branch.")
def history(target: str, app_name: str, branch: int | None) -> None:
    """Show the versions in which TARGET changed, oldest first."""

    def look(workspace: Workspace) -> RenderableType:
        address = address_of(workspace, target)
        rows = workspace.history(address, branch=branch)
        return views.history_table(rows, with_values=bool(parse_address(address).path))

    _answer(app_name, look)


@click.command("why", short_help="Show which executions made a value what it is.")
@click.argument("target")
@app_option
@click.option("--depth", type=click.IntRange(min=0), default=3, show_default=True)
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
def why(target: str, app_name: str, depth: int, limit: int) -> None:
    """Show how TARGET became what it is, newest first, through what was borrowed and copied."""

    def look(workspace: Workspace) -> RenderableType:
        address = address_of(workspace, target)
        return views.why_tree(workspace.why(address, depth=depth, limit=limit))

    _answer(app_name, look)


@click.command("diff", short_help="Show what differs between two versions of a tree.")
@click.argument("target")
@click.argument("a", type=int)
@click.argument("b", type=int)
@app_option
def diff(target: str, a: int, b: int, app_name: str) -> None:
    """Show what differs between versions A and B of the tree of TARGET."""

    def look(workspace: Workspace) -> RenderableType:
        return views.diff_table(workspace.diff(address_of(workspace, target), a, b))

    _answer(app_name, look)


COMMANDS = (show, history, why, diff)


def address_of(workspace: Workspace, target: str) -> str:
    """Return the address that a user means: as given, or of a root by its name, with the path.

    Raises:
        NotFoundError: There is no root of that name.
        AddressError: What follows the id or the name is no path.
    """
    if target.startswith("@"):
        return target
    # Names may have dots: the longest that there is counts.
    ends = [len(target), *(found.start() for found in re.finditer(r"[.\[]", target))]
    for end in sorted(ends, reverse=True):
        try:
            ref = workspace.ref(target[:end])
        except NotFoundError as error:
            unknown = error
            continue
        return f"{ref.address}{target[end:]}"
    raise unknown


def _answer(app_name: str, look: Callable[[Workspace], RenderableType]) -> None:
    """Print what a question gives on standard output; an error is one line."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    try:
        console.print(look(load_demo(app_name)))
    except TreerunnerError as exc:
        raise click.ClickException(str(exc)) from exc
