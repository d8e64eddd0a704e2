"""Runs the campaign, prints its table: python -m tests.campaign [--short] [--share S] [ROW ...].

A run ends with 1 if anything was not as promised. What needs no Ray comes first. The short form has
nothing of rows 4, 5, 7, 8 and 9, of which the test suite does a little.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.campaign.app import CONTROL

TOP = Path(__file__).parents[2]
Plan = Iterable[tuple[int, Callable[[], Any]]]
"""Number of a row, and what makes it."""
MORE = 10
"""Problems of a row that are printed."""


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign")
    parser.add_argument("rows", nargs="*", type=int, help="rows of the table; all without any")
    parser.add_argument("--short", action="store_true", help="a little of each, as in CI")
    parser.add_argument("--share", type=float, default=1.0, help="of the deaths of a full run")
    parser.add_argument("--json", type=Path, help="where the figures go")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="campaign-") as folder:
        control = Path(folder) / "control"
        control.mkdir()
        # Before Ray starts: its workers get these.
        os.environ[CONTROL] = str(control)
        os.environ["PYTHONPATH"] = str(TOP)
        plan = _short_plan if asked.short else partial(_full_plan, share=asked.share)
        return _run(plan(Path(folder), control), asked.rows, asked.json)


def _run(plan: Plan, numbers: list[int], target: Path | None) -> int:
    from runner.bench.environment import read_environment
    from tests.campaign.rows import Row, table

    environment = read_environment()
    sys.stdout.write(f"{environment.summary()}\n")
    rows: list[Row] = []
    for number, run in plan:
        if numbers and number not in numbers:
            continue
        row = run()
        rows.append(row)
        sys.stdout.write(f"{row.number}. {row.what}: {len(row.problems)} problems\n")
        for problem in row.problems[:MORE]:
            sys.stdout.write(f"   {problem}\n")
        sys.stdout.flush()
    sys.stdout.write(f"\n{table(sorted(rows, key=lambda row: row.number))}\n")
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        figures = {
            "environment": environment.to_json(),
            "rows": [row.to_json() for row in rows],
        }
        target.write_text(json.dumps(figures, indent=2) + "\n")
    return 1 if any(row.problems for row in rows) else 0


def _full_plan(
    folder: Path, control: Path, share: float
) -> Iterator[tuple[int, Callable[[], Any]]]:
    """Yield what is run, in order."""
    from tests.campaign import crowds, failures, kills, poisons, restarts, servers

    def times(count: int) -> int:
        return max(1, round(count * share))

    yield 3, failures.fail_every_call
    yield from _failures(folder, 40_000)
    yield from _without_ray(times)
    _start_ray()
    yield 5, partial(servers.kill_hosts_on_server, times(25))
    any_moment = partial(kills.kill_hosts, "SIGKILL of a host, any moment, ledgers")
    yield 1, partial(any_moment, times(100), folder, kills.random_kill)
    yield 1, partial(kills.kill_hosts_of_flights, times(100), folder)
    for what, point in kills.KILLED_AT.items():
        saboteur = partial(kills.kill_at, point, control)
        what_at = f"SIGKILL of a host, {what}"
        yield 1, partial(kills.kill_hosts, what_at, times(50), folder, saboteur)
    yield 1, partial(crowds.kill_hosts_of_a_crowd, times(25), folder)
    yield 6, partial(poisons.poison, folder, poisons.PLACES)
    yield 2, partial(restarts.kill_drivers, times(50), folder)
    yield 2, partial(restarts.kill_ray, times(20), folder)


def _without_ray(times: Callable[[int], int]) -> Iterator[tuple[int, Callable[[], Any]]]:
    """Yield what the short form leaves to the test suite."""
    from tests.campaign import damages, servers, simulations, suites

    yield 4, partial(damages.cut_last_row, max(1, 1_000 // times(1_000)))
    yield 4, partial(damages.damage_anywhere, times(300))
    yield 5, suites.fulfil_contract
    yield 5, partial(servers.restart_server, times(50))
    yield 5, partial(servers.terminate_backends, times(300))
    yield 5, partial(servers.cut_commits, times(300))
    yield 7, partial(simulations.simulate, times(10_000))
    yield 8, suites.switch_off_guards
    yield 9, partial(suites.tell_histories, times(5_000))


def _short_plan(folder: Path, control: Path) -> Iterator[tuple[int, Callable[[], Any]]]:
    """Yield a little of each, in order."""
    from tests.campaign import failures, kills, poisons, restarts

    yield 3, partial(failures.fail_every_call, 12)
    yield from _failures(folder, 4_000)
    _start_ray()
    yield 1, partial(kills.kill_hosts_of_flights, 2, folder)
    for what, point in kills.KILLED_AT.items():
        saboteur = partial(kills.kill_at, point, control)
        yield 1, partial(kills.kill_hosts, f"SIGKILL of a host, {what}", 1, folder, saboteur)
    few = ("raise BaseException", "sys.exit(1)", "os._exit(1)", "endless loop")
    yield 6, partial(poisons.poison, folder, {"middle": 25}, few)
    yield 2, partial(restarts.kill_drivers, 1, folder)
    yield 2, partial(restarts.kill_ray, 1, folder)


def _failures(folder: Path, slow_jobs: int) -> Iterator[tuple[int, Callable[[], Any]]]:
    from tests.campaign import failures

    yield 3, partial(failures.fill_disk, folder)
    yield 3, partial(failures.forbid_writing, folder)
    yield 3, partial(failures.lock, folder)
    yield 3, partial(failures.slow_down, 0.05, slow_jobs)


def _start_ray() -> None:
    """Start a Ray for all runners that come."""
    from runner.cluster import connect
    from runner.settings import DEFAULT

    connect(None, DEFAULT)


if __name__ == "__main__":
    sys.exit(main())
