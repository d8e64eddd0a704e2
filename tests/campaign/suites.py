"""Rows that are tests: run in a process of their own, and what pytest says at its end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic

from tests.campaign.app import CONTROL
from tests.campaign.rows import Row

TOP = Path(__file__).parents[2]
HISTORIES_PER_ASKED = 0.1
"""Of the histories that are asked for, those of `test_crashes.py`."""


def switch_off_guards() -> Row:
    """Switch off each guard, and see that it is noticed."""
    return _run(8, "a guard is switched off, and it is noticed", ["tests/campaign/test_guards.py"])


def tell_histories(count: int) -> Row:
    """Run random histories with crashes beside a dictionary."""
    asked = {"TREERUNNER_HISTORIES": str(round(count / HISTORIES_PER_ASKED))}
    what = "random histories with crashes, equal to a dictionary's"
    return _run(9, what, ["tests/model/test_crashes.py"], asked, count=count)


def fulfil_contract() -> Row:
    """Run the contract of journals, and all tests of failures, with PostgreSQL."""
    what = "PostgreSQL: contract of journals, failures of server and connection"
    tests = ["tests/contract/test_journal.py", "tests/crash/test_postgres_failures.py"]
    return _run(5, what, [*tests, "-k", "postgres"])


def _run(
    number: int,
    what: str,
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
    count: int | None = None,
) -> Row:
    """Run tests.

    Args:
        number: Number of the row.
        what: What they do.
        arguments: Files, and which of their tests.
        environment: How much they do.
        count: How often that is; how many passed, without one.
    """
    began = monotonic()
    options = ["-q", "-o", "timeout=0", "-p", "no:cacheprovider"]
    mine = {key: value for key, value in os.environ.items() if key != CONTROL}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *arguments],
        cwd=TOP,
        env={**mine, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.strip().splitlines() or [done.stderr.strip()]
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    problems = failed or ([] if done.returncode == 0 else [lines[-1]])
    passed = re.search(r"(\d+) passed", lines[-1])
    times = count if count is not None else int(passed[1]) if passed else 0
    return Row(number, what, times, 0, problems, (), {"tests": lines[-1]}, monotonic() - began)
