"""The commands that take care of a store: `verify`, `backup`, `compact`, `export` and `import`.

All but the last work while others write to it; only `compact` does so itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import IO

import click
from rich.table import Table
from rich.text import Text

from registry import Retention, TreerunnerError
from registry.errors import JournalDamagedError
from registry.journal.compaction import compact as compact_journal
from registry.journal.export import export_lines, import_lines
from registry.journal.histories import check_histories
from registry.journal.port import Entry, Journal, Problem
from registry.journal.rules import Branch
from registry.journal.sqlite import SqliteJournal
from registry.journal.store import open_journal, restore_to, without_password
from registry.journal.transcript import transcribe
from runner import json_lines, views
from runner.app_module import import_app
from runner.inspection import json_option, output

EXIT_PROBLEMS = 1
MAX_PROBLEMS = 100
"""Problems that people are shown; `--json` tells all."""

_STANDARD = "-"

store_argument = click.argument("store", type=click.Path(dir_okay=False))


@click.command("verify", short_help="Tell whether a store is what was written to it.")
@store_argument
@click.option(
    "--history",
    "with_history",
    is_flag=True,
    help="Make every tree again from its commits as well, and hold the versions against the "
    "records; takes --app.",
)
@click.option("--app", "app_name", metavar="MODULE", help="Module with the classes of the trees.")
@json_option
def verify(store: str, with_history: bool, app_name: str | None, as_json: bool) -> None:
    """Read all of STORE: rows, chain, checksums, versions without gaps, epochs.

    \b
    treerunner verify flights.db
    treerunner verify flights.db --history --app examples.flights

    Nothing is written, and without --history no class of an app is needed.

    Exit code: 0 if it is sound, 1 if it is not, 2 if it cannot be opened.
    """  # noqa: D301 - click keeps the lines of a paragraph that begins with a backspace
    if with_history != (app_name is not None):
        raise click.UsageError("--history makes trees again, of the classes in --app: give both")
    try:
        if app_name is not None:
            import_app(app_name)
        with closing(open_journal(store, read_only=True)) as journal:
            problems = _problems(journal, with_history=with_history)
            count = _tell_each(problems) if as_json else _show(journal, list(problems))
    except TreerunnerError as exc:
        raise click.ClickException(str(exc)) from exc
    if count:
        sys.exit(EXIT_PROBLEMS)


def _problems(journal: Journal, *, with_history: bool) -> Iterator[Problem]:
    yield from journal.check()
    if with_history:
        try:
            yield from check_histories(journal)
        except JournalDamagedError as error:
            yield Problem(error.place, error.found, "what was written")


def _tell_each(problems: Iterable[Problem]) -> int:
    count = 0
    for problem in problems:
        click.echo(json_lines.json_line(problem._asdict()))
        count += 1
    return count


def _show(journal: Journal, problems: list[Problem]) -> int:
    out = output()
    if problems:
        out.print(_problem_table(problems))
    else:
        out.print(Text(f"{journal.name} is sound: {_size(journal.catalog())}"), soft_wrap=True)
    return len(problems)


def _problem_table(problems: list[Problem]) -> Table:
    table = views.empty_table("place", "found", "expected")
    for problem in problems[:MAX_PROBLEMS]:
        table.add_row(*map(Text, problem))
    if len(problems) > MAX_PROBLEMS:
        table.add_row(Text(f"and {len(problems) - MAX_PROBLEMS:,} more"))
    return table


def _size(entries: Sequence[Entry | Branch]) -> str:
    roots = len({each.root for each in entries})
    versions = sum(each.head - each.start for each in entries)
    counts = _count(roots, "root"), _count(len(entries), "branch"), _count(versions, "version")
    return ", ".join(counts)


def _count(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun}{'es' if noun.endswith('ch') else 's'}"


@click.command("backup", short_help="Copy a store, also while a run writes to it.")
@store_argument
@click.argument("to", type=click.Path(dir_okay=False))
def backup(store: str, to: str) -> None:
    """Write a copy of STORE, as of now, to the new file TO.

    \b
    treerunner backup flights.db flights-monday.db

    It has its name only when it is whole and on the disk.
    """  # noqa: D301 - as above
    try:
        with closing(open_journal(store, read_only=True)) as journal:
            if not isinstance(journal, SqliteJournal):
                problem = "is no file: a server has backups of its own"
                raise click.ClickException(f"{journal.name} {problem}")
            journal.backup(to)
        with closing(open_journal(to, read_only=True)) as copy:
            output().print(Text(f"{to}: {_size(copy.catalog())}"), soft_wrap=True)
    except TreerunnerError as exc:
        raise click.ClickException(str(exc)) from exc


@click.command("compact", short_help="Let a store go of old history, also while a run writes.")
@store_argument
@click.option(
    "--versions",
    type=click.IntRange(min=1),
    metavar="N",
    help="Newest versions of each root to keep.  [default: all]",
)
@click.option(
    "--records",
    type=click.IntRange(min=1),
    default=Retention().records,
    show_default=True,
    metavar="N",
    help="Newest records of executions to keep.",
)
def compact(store: str, versions: int | None, records: int) -> None:
    """Let go of history in STORE that is older than what is to be kept.

    \b
    treerunner compact flights.db --versions 10000

    A little more is kept, up to a checkpoint. The file does not get smaller: the room is used
    again. Which executions took effect is kept in any case.
    """  # noqa: D301 - as above
    try:
        # Nothing is made where there is no store.
        with closing(open_journal(store, read_only=True)):
            pass
        with closing(open_journal(store)) as journal:
            done = compact_journal(journal, Retention(versions=versions, records=records))
    except TreerunnerError as exc:
        raise click.ClickException(str(exc)) from exc
    parts, logs = _count(done.parts, "part"), _count(done.logs, "row")
    branches = _count(done.branches, "branch")
    output().print(
        Text(f"{journal.name}: let go of {parts} of {branches}, and of the records of {logs}"),
        soft_wrap=True,
    )


@click.command("export", short_help="Write a store as JSON lines, also while a run writes to it.")
@store_argument
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), default="-")
def export(store: str, file: str) -> None:
    """Write all that STORE holds, as of now, to the new FILE, or to standard output.

    \b
    treerunner export flights.db flights.jsonl
    treerunner export flights.db | gzip > flights.jsonl.gz

    A line of JSON for each branch, root, row and checkpoint, for people and for `treerunner
    import`, which gives the same store again. No class of an app is needed. FILE has its name only
    when it is whole and on the disk.
    """  # noqa: D301 - as above
    try:
        with (
            closing(open_journal(store, read_only=True)) as journal,
            journal.stored() as stored,
        ):
            transcript = transcribe(stored)
            lines = export_lines(transcript)
            if file == _STANDARD:
                _write_out(lines)
            else:
                _write_new(Path(file), lines)
                output().print(Text(f"{file}: {_size(transcript.branches)}"), soft_wrap=True)
    except TreerunnerError as exc:
        raise click.ClickException(str(exc)) from exc


def _write_out(lines: Iterable[bytes]) -> None:
    try:
        with click.open_file(_STANDARD, "wb") as out:
            out.writelines(lines)
            out.flush()
    except BrokenPipeError:
        raise  # whoever read it has seen enough
    except OSError as exc:
        raise click.ClickException(f"standard output: {exc.strerror}") from exc


def _write_new(target: Path, lines: Iterable[bytes]) -> None:
    """Write a file that is not there yet."""
    if target.exists():
        problem = "is there already, and an export takes no other's place"
        raise click.ClickException(f"{target} {problem}; give the path of a new file")
    partial = target.with_name(target.name + "-partial")
    try:
        with partial.open("wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(target)
    except OSError as exc:
        raise click.ClickException(f"{target}: {exc.strerror}") from exc
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@click.command("import", short_help="Make a store of the JSON lines that `export` wrote.")
@click.argument("file", type=click.File("rb"))
@click.argument("store", type=click.Path(dir_okay=False))
def import_store(file: IO[bytes], store: str) -> None:
    """Make STORE of FILE, which `treerunner export` wrote; - is standard input.

    \b
    treerunner import flights.jsonl flights.db
    zcat flights.jsonl.gz | treerunner import - postgresql://me@server/flights

    STORE is a new file, or one of a database without rows. It is the same store: rows, digests,
    epochs, outcomes, and what was let go. A file that is damaged or cut is refused with the line,
    and nothing of it is stored.
    """  # noqa: D301 - as above
    try:
        name = getattr(file, "name", "<stdin>")
        transcript = import_lines(_lines_of(file, name), name)
        restore_to(store, transcript)
    except TreerunnerError as exc:
        raise click.ClickException(str(exc)) from exc
    output().print(Text(f"{_name_of(store)}: {_size(transcript.branches)}"), soft_wrap=True)


def _lines_of(file: IO[bytes], name: str) -> Iterator[bytes]:
    try:
        yield from file
    except OSError as exc:
        raise click.ClickException(f"{name}: {exc.strerror}") from exc


def _name_of(store: str) -> str:
    """Return how messages name a store: without a password."""
    return without_password(store) if "://" in store else store


COMMANDS = (verify, backup, compact, export, import_store)
