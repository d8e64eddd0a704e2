"""The commands that ask about a history: `show`, `history`, `why` and `diff`.

They look at a store, or else at the workspace that an app module shows, see `app_module.py`. A
store is only read, also while others write to it. What is asked about is the name of a root, or an
address; either may go on with a path. The answer is for people, or for other programs: `--json` and
`--mermaid`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from registry import Entity, EntityTree, NotFoundError, TreerunnerError, Workspace, parse_address
from runner import json_lines, views
from runner.app_module import load_demo, open_stored

_WIDTH = 200
"""Columns where no terminal says how many it has: ids should be whole in a file."""

_Answer = Tree | Table | Text | str
"""What rich draws for people; text for other programs is printed as it is."""
_Command = TypeVar("_Command", bound=Callable[..., Any])

app_option = click.option(
    "--app",
    "app_name",
    metavar="MODULE",
    required=True,
    help="Module with a function `demo` that returns a Workspace, or else with a Workspace `app` "
    "and a function `roots`.",
)
store_option = click.option(
    "--store",
    type=click.Path(dir_okay=False),
    metavar="PATH",
    help="Look at this store, with the classes of the app, in place of its own workspace.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="As JSON lines, whole and plain."
)
mermaid_option = click.option("--mermaid", is_flag=True, help="As a Mermaid flowchart.")


def _limit_option(default: int, help: str) -> Callable[[_Command], _Command]:  # noqa: A002 - click's
    return click.option(
        "--limit",
        type=click.IntRange(min=1),
        default=default,
        show_default=True,
        metavar="N",
        help=help,
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
@store_option
@click.option("--at", "when", type=_When(), help="A version, or a time (UTC). Default: the head.")
@_limit_option(views.MAX_ENTITIES, "Entities that are shown, those near the root first.")
@json_option
@mermaid_option
def show(
    target: str,
    app_name: str,
    store: str | None,
    when: int | datetime | None,
    limit: int,
    as_json: bool,
    mermaid: bool,
) -> None:
    """Show TARGET, a root's name or an address, perhaps with a path.

    \b
    treerunner show grid --app examples.gridmap
    treerunner show grid.nodes.0.agents --at 2 --app examples.gridmap
    """  # noqa: D301 - click keeps the lines of a paragraph that begins with a backspace
    _check_form(as_json, mermaid)

    def look(workspace: Workspace) -> _Answer:
        address = address_of(workspace, target)
        found = workspace.get(address) if when is None else workspace.at(address, when)
        if mermaid:
            return _chart(target, found, limit)
        if not isinstance(found, Entity):
            told = json_lines.value_objects(target, found)
            return _lines(told) if as_json else views.value_line(target, found)
        if as_json:
            return _lines(json_lines.entity_objects(found, limit))
        return views.entity_tree(found, limit)

    _answer(app_name, store, look)


@click.command("history", short_help="Show the versions that changed an entity or a value.")
@click.argument("target")
@app_option
@store_option
@click.option("--branch", type=click.IntRange(min=0), metavar="N", help="Number of the branch.")
@json_option
def history(
    target: str, app_name: str, store: str | None, branch: int | None, as_json: bool
) -> None:
    """Show the versions in which TARGET changed, oldest first.

    \b
    treerunner history grid --app examples.gridmap
    treerunner history grid.nodes.1.agents.2.speed --app examples.gridmap
    """  # noqa: D301 - as above

    def look(workspace: Workspace) -> _Answer:
        address = address_of(workspace, target)
        rows = workspace.history(address, branch=branch)
        with_values = bool(parse_address(address).path)
        if as_json:
            return _lines(json_lines.history_objects(rows, with_values=with_values))
        return views.history_table(rows, with_values=with_values)

    _answer(app_name, store, look)


@click.command("why", short_help="Show which executions made a value what it is.")
@click.argument("target")
@app_option
@store_option
@click.option(
    "--depth",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    metavar="N",
    help="How often to ask on, about what was borrowed or copied.",
)
@_limit_option(100, "Steps of one thing, the newest.")
@json_option
def why(
    target: str, app_name: str, store: str | None, depth: int, limit: int, as_json: bool
) -> None:
    """Show how TARGET became what it is, newest first, through what was borrowed and copied.

    \b
    treerunner why office.target --app examples.why
    """  # noqa: D301 - as above

    def look(workspace: Workspace) -> _Answer:
        found = workspace.why(address_of(workspace, target), depth=depth, limit=limit)
        return _lines(json_lines.why_objects(found)) if as_json else views.why_tree(found)

    _answer(app_name, store, look)


@click.command("diff", short_help="Show what differs between two versions of a tree.")
@click.argument("target")
@click.argument("a", type=click.IntRange(min=1))
@click.argument("b", type=click.IntRange(min=1))
@app_option
@store_option
@json_option
@mermaid_option
def diff(
    target: str, a: int, b: int, app_name: str, store: str | None, as_json: bool, mermaid: bool
) -> None:
    """Show what differs between versions A and B of the tree that TARGET is in.

    \b
    treerunner diff grid 1 4 --app examples.gridmap
    """  # noqa: D301 - as above
    _check_form(as_json, mermaid)

    def look(workspace: Workspace) -> _Answer:
        found = workspace.diff(tree_of(workspace, target), a, b)
        if mermaid:
            return found.to_mermaid()
        return _lines(json_lines.diff_objects(found)) if as_json else views.diff_table(found)

    _answer(app_name, store, look)


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


def tree_of(workspace: Workspace, target: str) -> str:
    """Return the address of the tree that a user means by whatever is in it.

    Raises:
        NotFoundError: There is no root of that name.
        AddressError: What follows the id or the name is no path.
    """
    return f"@{parse_address(address_of(workspace, target)).id}"


def _check_form(as_json: bool, mermaid: bool) -> None:
    if as_json and mermaid:
        raise click.UsageError("--json and --mermaid are two forms: leave one out")


def _chart(target: str, found: Any, limit: int) -> str:
    if not (isinstance(found, Entity) and found.is_root_entity()):
        raise click.ClickException(f"{target} is no root; --mermaid draws whole trees")
    tree: EntityTree = found.get_tree()
    return tree.to_mermaid(limit)


def _lines(told: Iterable[dict[str, Any]]) -> str:
    return "".join([f"{json_lines.json_line(each)}\n" for each in told])


def output() -> Console:
    """Return standard output for people; in a file it is wide enough for whole ids."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH)


def _answer(app_name: str, store: str | None, look: Callable[[Workspace], _Answer]) -> None:
    """Print what a question gives on standard output; an error is one line."""
    try:
        with load_demo(app_name) if store is None else open_stored(app_name, store) as workspace:
            found = look(workspace)
    except TreerunnerError as exc:
        raise click.ClickException(str(exc)) from exc
    if isinstance(found, str):
        click.echo(found, nl=False)
        return
    output().print(found, soft_wrap=isinstance(found, Text))
