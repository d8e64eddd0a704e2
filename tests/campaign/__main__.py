"""Runs the campaign, prints its table: python -m tests.campaign [--short] [--json FILE] [ROW ...].

A run ends with 1 if anything was not as promised. Other rows of the table are tests: 4 in
`tests/crash`, 8 in `test_guards.py`, 9 in `tests/model/test_crashes.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.campaign.app import CONTROL

TOP = Path(__file__).parents[2]
MORE = 10
"""Problems of a row that are printed."""


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign")
    parser.add_argument("rows", nargs="*", type=int, help="rows of the table; all without any")
    parser.add_argument("--short", action="store_true", help="a little of each, as in CI")
    parser.add_argument("--json", type=Path, help="where the figures go")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="campaign-") as folder:
        control = Path(folder) / "control"
        control.mkdir()
        # Before Ray starts: its workers get these.
        os.environ[CONTROL] = str(control)
        os.environ["PYTHONPATH"] = str(TOP)
        return _run(Path(folder), control, asked.rows, asked.json, is_short=asked.short)


def _run(
    folder: Path, control: Path, numbers: list[int], target: Path | None, *, is_short: bool
) -> int:
    from runner.bench.environment import read_environment
    from tests.campaign.rows import Row, table

    environment = read_environment()
    sys.stdout.write(f"{environment.summary()}\n")
    rows: list[Row] = []
    for number, run in _plan(folder, control, is_short=is_short):
        if numbers and number not in numbers:
            continue
        row = run()
        rows.append(row)
        sys.stdout.write(f"{row.number}. {row.what}: {len(row.problems)} problems\n")
        for problem in row.problems[:MORE]:
            sys.stdout.write(f"   {problem}\n")
        sys.stdout.flush()
    sys.stdout.write(f"\n{table(rows)}\n")
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        figures = {
            "environment": environment.to_json(),
            "rows": [row.to_json() for row in rows],
        }
        target.write_text(json.dumps(figures, indent=2) + "\n")
    return 1 if any(row.problems for row in rows) else 0


def _plan(
    folder: Path, control: Path, *, is_short: bool
) -> Iterator[tuple[int, Callable[[], Any]]]:
    """Yield what is run, in order; Ray is started once, when it is first needed."""
    from runner.cluster import connect
    from runner.settings import DEFAULT
    from tests.campaign import failures, kills, poisons, restarts

    yield 3, partial(failures.fail_every_call, 12 if is_short else None)
    yield 3, partial(failures.fill_disk, folder)
    yield 3, partial(failures.forbid_writing, folder)
    yield 3, partial(failures.lock, folder)
    yield 3, partial(failures.slow_down, 0.05, 4_000 if is_short else 40_000)
    connect(None, DEFAULT)
    yield (
        1,
        partial(
            kills.kill_hosts,
            *("SIGKILL of a host, any moment, ledgers", 2 if is_short else 100, folder),
            kills.random_kill,
        ),
    )
    yield 1, partial(kills.kill_hosts_of_flights, 2 if is_short else 100, folder)
    for what, point in kills.KILLED_AT.items():
        saboteur = partial(kills.kill_at, point, control)
        count = 1 if is_short else 50
        yield 1, partial(kills.kill_hosts, f"SIGKILL of a host, {what}", count, folder, saboteur)
    places = {"middle": 25} if is_short else poisons.PLACES
    yield 6, partial(poisons.poison, folder, places)
    yield 2, partial(restarts.kill_drivers, 1 if is_short else 50, folder)
    yield 2, partial(restarts.kill_ray, 1 if is_short else 20, folder)


if __name__ == "__main__":
    sys.exit(main())
