"""`treerunner bench`: measure, show tables, keep JSON and a picture.

The only file of the bench that prints. Tables go to standard output, unless the JSON goes there;
progress goes to standard error.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console

from runner.bench.environment import read_environment
from runner.bench.figures import JSON_FORMAT, Figure
from runner.bench.picture import draw_picture, why_no_picture
from runner.bench.tables import figures_table, format_entities
from runner.bench.workload import Size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.bench.environment import Environment

_FILE_WIDTH = 120
"""Columns of a table that goes to a file or pipe."""

Command = TypeVar("Command", bound=Callable[..., Any])


def _read_sizes(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[Size, ...] | None:
    """Read sizes, as in `10x10,1000x100`, into ascending order."""
    if value is None:
        return None
    try:
        sizes = {Size.parse(text) for text in value.split(",")}
    except ValueError as error:
        raise click.BadParameter(str(error), ctx=ctx, param=param) from error
    return tuple(sorted(sizes, key=lambda size: size.entities))


def _output_options(default_json: str) -> Callable[[Command], Command]:
    def add(command: Command) -> Command:
        for option in (
            click.option("--quick", is_flag=True, help="A look in seconds; noisier figures."),
            click.option(
                "--picture",
                type=click.Path(dir_okay=False, path_type=Path),
                callback=_check_picture,
                help="Also draw the figures to FILE, .svg or .png (needs treerunner[bench]).",
                metavar="FILE",
            ),
            click.option(
                "--json",
                "json_file",
                default=default_json,
                show_default=True,
                type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
                help="Where the figures go with their environment; - is standard output.",
                metavar="FILE",
            ),
        ):
            command = option(command)
        return command

    return add


def _check_picture(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Refuse before minutes of measuring what cannot be drawn after them."""
    if value is not None and (reason := why_no_picture(value)):
        raise click.BadParameter(reason, ctx=ctx, param=param)
    return value


@click.group()
def bench() -> None:
    """Measure the figures of this project beside hand-written baselines."""


@bench.command()
@click.option(
    "--sizes",
    callback=_read_sizes,
    help="Grids to measure, NODESxAGENTS each.  [default: 10x10,100x100,1000x100]",
    metavar="SIZES",
)
@click.option(
    "--repetitions",
    type=click.IntRange(min=20),
    help="Calls per figure.  [default: 4000]",
    metavar="N",
)
@click.option("--phases", is_flag=True, help="Also tell where the time of one move goes.")
@_output_options("bench-engine.json")
def engine(
    sizes: tuple[Size, ...] | None,
    repetitions: int | None,
    phases: bool,
    json_file: Path,
    picture: Path | None,
    quick: bool,
) -> None:
    """Executions in process: moves, field changes, memory, adopting, forks, every shape, events.

    Each contender runs in a process of its own and they take turns. Baselines: bare (plain
    pydantic, no versions), deepcopy (the tree copied per version), frozen (frozen dataclasses,
    paths copied by hand, a uuid4 per copy).
    """
    _require_examples()
    from runner.bench.engine import EngineSettings, measure_engine

    settings = EngineSettings.quick() if quick else EngineSettings()
    settings = replace(settings, phases=phases, **_given(sizes=sizes, repetitions=repetitions))
    _run("engine", measure_engine(settings), json_file, picture)


@bench.command()
@click.option(
    "--roots", type=click.IntRange(1, 100), help="Grids in the batch.  [default: 8]", metavar="N"
)
@click.option(
    "--executions",
    type=click.IntRange(min=100),
    help="Moves in the batch.  [default: 20000]",
    metavar="N",
)
@click.option(
    "--repetitions",
    type=click.IntRange(min=1),
    help="Batches of each contender.  [default: 5]",
    metavar="N",
)
@_output_options("bench-runner.json")
def runner(
    roots: int | None,
    executions: int | None,
    repetitions: int | None,
    json_file: Path,
    picture: Path | None,
    quick: bool,
) -> None:
    """Executions through local Ray: a batch, one alone, bytes on the wire, a year of flights.

    Baselines: task (a Ray task per execution, tree shipped in and out), call each (an actor per
    root, a call per execution, deepcopy), grouped bare and grouped frozen (an actor per root, one
    call per actor per batch).
    """
    _require_examples()
    from runner.bench.through_ray import RunnerSettings, measure_runner

    settings = RunnerSettings.quick() if quick else RunnerSettings()
    settings = replace(
        settings, **_given(roots=roots, executions=executions, repetitions=repetitions)
    )
    _run("runner", measure_runner(settings), json_file, picture)


@bench.command()
@click.option(
    "--executions",
    type=click.IntRange(min=100),
    help="Moves in the batch.  [default: 20000]",
    metavar="N",
)
@click.option(
    "--repetitions",
    type=click.IntRange(min=1),
    help="Times that each is done.  [default: 5]",
    metavar="N",
)
@_output_options("bench-journal.json")
def journal(
    executions: int | None,
    repetitions: int | None,
    json_file: Path,
    picture: Path | None,
    quick: bool,
) -> None:
    """Executions that survive: a durable batch, a year of flights, takeover, recovery, bytes.

    Baseline: the same without a store, in turns.
    """
    _require_examples()
    from runner.bench.with_store import StoreSettings, measure_with_store

    settings = StoreSettings.quick() if quick else StoreSettings()
    settings = replace(settings, **_given(executions=executions, repetitions=repetitions))
    _run("journal", measure_with_store(settings), json_file, picture)


def _require_examples() -> None:
    """The workloads are the examples, which are part of the checkout and not of the package."""
    if importlib.util.find_spec("examples") is None:
        message = "the bench runs the examples, and there are none here; run it from a checkout"
        raise click.ClickException(message)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _run(command: str, measuring: Iterable[Figure], json_file: Path, picture: Path | None) -> None:
    title = f"treerunner bench {command}"
    environment = read_environment()
    figures = _collect(title, measuring)
    is_piped = str(json_file) == "-"
    console = Console(stderr=is_piped)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    console.print(figures_table(title, figures))
    console.print(environment.summary(), style="dim")
    _write_json(json_file, command, environment, figures)
    if picture is not None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        draw_picture(picture, title, environment.summary(), figures)
    written = [str(path) for path in (None if is_piped else json_file, picture) if path]
    if written:
        console.print(f"written: {', '.join(written)}", style="dim", soft_wrap=True)


def _collect(title: str, measuring: Iterable[Figure]) -> list[Figure]:
    figures = list[Figure]()
    try:
        with Console(stderr=True).status(f"{title}: starting") as status:
            for figure in measuring:
                figures.append(figure)
                done = f"{figure.title} {format_entities(figure.entities)}".strip()
                status.update(f"{title}: {len(figures)} figures, the last is: {done}")
    # A contender that breaks its promise, a measuring process that died.
    except (AssertionError, RuntimeError) as error:
        raise click.ClickException(str(error)) from error
    return figures


def _write_json(path: Path, command: str, environment: Environment, figures: list[Figure]) -> None:
    document = {
        "format": JSON_FORMAT,
        "command": command,
        "environment": environment.to_json(),
        "figures": [figure.to_json() for figure in figures],
    }
    if str(path) != "-":
        path.parent.mkdir(parents=True, exist_ok=True)
    with click.open_file(str(path), "w", encoding="utf-8") as stream:
        stream.write(json.dumps(document, indent=2) + "\n")
