"""The command `treerunner`.

Standard output is for data, standard error for people. What goes wrong with the call is one line
and exit code 2; what goes wrong with a job is that job's outcome, and exit code 1 at the end.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import IO, Any, NoReturn, get_args

import click
from rich.console import Console

from registry import TreerunnerError
from registry.journal.sqlite_file import Durability
from runner import inspection, store_commands
from runner.app_module import AppModule, load_app_module
from runner.job_run import JobRun
from runner.jobs import JobReader, count_lines, file_digest
from runner.options import Options, Retries
from runner.report import Progress, show_result
from runner.runner import Runner

PROGRAM = "treerunner"
EXIT_FAILED_JOBS = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


class Bytes(click.ParamType[int]):
    """A number of bytes: 1000000, 500M, 2G."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return how many bytes a text means."""
        text = str(value).strip().upper().removesuffix("B").removesuffix("I")
        factor = _UNITS.get(text[-1:], 1)
        number = text[:-1] if factor > 1 else text
        if not (number.isascii() and number.isdigit() and int(number)):
            self.fail(f"{value!r} is not a size such as 1000000, 500M or 2G", param, ctx)
        return int(number) * factor


class _OneLineGroup(click.Group):
    """A group that reports whatever is wrong with a call in one line."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run the command that *args* name, and exit with its code."""
        # Here and not inside a command: Ray reads it once, when it is first imported.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        del standalone_mode
        try:
            code = super().main(args, prog_name or PROGRAM, complete_var, False, **extra)
        except click.exceptions.NoArgsIsHelpError as exc:
            exc.show()
            code = EXIT_USAGE
        except click.UsageError as exc:
            path = exc.ctx.command_path if exc.ctx else PROGRAM
            click.echo(f"{path}: {_message(exc)} (see {path} --help)", err=True)
            code = EXIT_USAGE
        except click.ClickException as exc:
            click.echo(f"{PROGRAM}: {_message(exc)}", err=True)
            code = EXIT_USAGE
        except click.Abort:
            code = EXIT_INTERRUPTED
        sys.exit(code)


def _message(exc: click.ClickException) -> str:
    return " ".join(exc.format_message().split()).rstrip(".")


class _LazyGroup(click.Group):
    """A group whose commands are imported when one of them is asked for."""

    def __init__(self, name: str, module: str, help: str) -> None:  # noqa: A002 - click's name
        super().__init__(name, help=help)
        self._module = module

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return self._load().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command with this name; None if there is none."""
        return self._load().get_command(ctx, cmd_name)

    def _load(self) -> click.Group:
        group = getattr(importlib.import_module(self._module), str(self.name))
        assert isinstance(group, click.Group)
        return group


@click.group(PROGRAM, cls=_OneLineGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name=PROGRAM)
def main() -> None:
    """Run ordinary Python functions on versioned trees of entities, here or on a cluster."""


@main.command("run", short_help="Run a file of jobs, one execution a line.")
@click.argument("jobs", type=click.File("rb"), metavar="JOBS")
@click.option(
    "--app",
    "app_name",
    metavar="MODULE",
    required=True,
    help="Module with the callables, a Workspace named `app`, and a function `roots` that returns "
    "the roots by name.",
)
@click.option(
    "--hosts",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes to spread the roots over. Default: one a root, up to 4 for each CPU.",
)
@click.option("--in-process", is_flag=True, help="Run in this process, without Ray.")
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="Use the running cluster that this machine is a node of, instead of starting Ray here.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True),
    metavar="FILE",
    help="Write the outcomes as JSON lines, in the order of the jobs; `-` is standard output.",
)
@click.option(
    "--store",
    type=click.Path(dir_okay=False),
    metavar="PATH",
    help="Keep all that is committed in this file. Its roots are there, the app's are added if it "
    "has none of their names; a job that took effect before is answered from it.",
)
@click.option(
    "--durability",
    type=click.Choice(get_args(Durability)),
    help="What an outcome in the store survives: the end of this command as it should, that of "
    "any process, that of the machine. Default: fsync.",
)
@click.option(
    "--resume", is_flag=True, help="Look into the store what was done before, and send the rest."
)
@click.option(
    "--retries",
    type=click.IntRange(min=1),
    metavar="N",
    help="Run a job that failed again after a pause, until it was run N times in all.",
)
@click.option(
    "--timeout-s",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="End a job that runs longer, with its host, which is replaced. It takes --store.",
)
@click.option(
    "--memory",
    "memory_bytes",
    type=Bytes(),
    metavar="SIZE",
    help="Let a job that takes more memory fail: bytes, or with K, M or G behind them.",
)
@click.option("--quiet", is_flag=True, help="Show neither progress nor tables.")
def run_jobs(jobs: IO[bytes], app_name: str, out: str | None, quiet: bool, **options: Any) -> None:
    """Run the executions in JOBS, a file of JSON lines, or - for standard input.

    \b
    {"callable": "depart", "root": "UA", "arguments": {...}, "id": "optional"}

    `root` is the name of one of the app's roots, or an address. A line that is not a job, and an
    execution that fails, cost only themselves. Its line may have `retries`, `timeout_s` and
    `memory_bytes`, which count for it instead of the options here.

    A job with "depends_on": ["a", "b"] waits for earlier ones with these ids, and is skipped if one
    did not succeed; {"$result": "a"} in the place of an argument is what that one returned. Of jobs
    that wait to be sent, those with a higher "priority" go first.

    With --store, run the same command again after whatever ended it: the result is as if nothing
    had. For that a job without an id gets one of the content of JOBS and its line; none if JOBS is
    a pipe, which cannot be read twice.

    Exit code: 0 if every execution succeeded, 1 if one did not, 2 if the call itself is at fault,
    130 after Ctrl-C.
    """  # noqa: D301 - click keeps the lines of a paragraph that begins with a backspace
    limits = {key: options.pop(key) for key in ("retries", "timeout_s", "memory_bytes")}
    _check_options(**options)
    _check_limits(**limits, in_process=options["in_process"], store=options["store"])
    resume = options.pop("resume")
    try:
        asked = _options(**limits)
        app = load_app_module(app_name)
        runner = _runner(app, **options)
        with click.open_file(out, "wb") if out is not None else nullcontext() as file:
            ids = None if options["store"] is None else file_digest(jobs)
            known = partial(runner.known, options=asked) if resume else None
            run = JobRun(JobReader(jobs, ids, known), file, asked)
            console = Console(stderr=True, quiet=quiet)
            interrupted = _carry_out(run, app, runner, console, total=count_lines(jobs))
    except TreerunnerError as exc:
        raise click.ClickException(str(exc)) from exc
    except OSError as exc:
        raise click.ClickException(f"{exc.filename or out}: {exc.strerror}") from exc
    if interrupted:
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(EXIT_FAILED_JOBS if run.tally.failed else 0)


def _check_options(
    *,
    hosts: int | None,
    in_process: bool,
    address: str | None,
    store: str | None,
    durability: Durability | None,
    resume: bool,
) -> None:
    if in_process and (hosts is not None or address is not None):
        raise click.UsageError("--in-process has no hosts: leave --hosts and --address out")
    if store is None and (durability is not None or resume):
        raise click.UsageError("--durability and --resume are about a store: give --store as well")


def _check_limits(
    *,
    retries: int | None,
    timeout_s: float | None,
    memory_bytes: int | None,
    in_process: bool,
    store: str | None,
) -> None:
    del retries
    if in_process and (timeout_s is not None or memory_bytes is not None):
        raise click.UsageError(
            "--timeout-s and --memory are limits of hosts: leave --in-process out"
        )
    if timeout_s is not None and store is None:
        raise click.UsageError(
            "--timeout-s ends a host, and its roots go on from a store: give --store as well"
        )


def _options(*, retries: int | None, **limits: Any) -> Options:
    return Options(retries=None if retries is None else Retries(retries), **limits)


def _runner(app: AppModule, *, durability: Durability | None, **options: Any) -> Runner:
    return Runner(app.workspace, durability=durability or "fsync", **options)


def _carry_out(
    run: JobRun, app: AppModule, runner: Runner, console: Console, *, total: int | None
) -> bool:
    """Run the jobs and show what became of them; return whether Ctrl-C ended it."""
    with Progress(run.tally, console, total=total, phase="starting") as progress, runner:
        stored = set(runner.roots().values())
        runner.add_many({name: root for name, root in app.roots.items() if name not in stored})
        names = {ref: name for ref, name in runner.roots().items() if name is not None}
        interrupted = run.run(runner, names)
        # Before the runner closes: nobody should wait for that to see the result.
        progress.close()
        if run.known:
            console.print(f"{run.known:,} of these were done before", highlight=False)
        show_result(run.tally, console)
    return interrupted


for command in (*inspection.COMMANDS, *store_commands.COMMANDS):
    main.add_command(command)
main.add_command(
    _LazyGroup(
        "bench",
        module="runner.bench.cli",
        help="Measure the engine and the runner beside hand-written baselines.",
    )
)
