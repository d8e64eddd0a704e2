"""What holds for every file in `examples/`: its form, and that it runs as it says."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
EXAMPLES = sorted(path for path in (TOP / "examples").glob("*.py") if path.name != "__init__.py")
RUN_LINE = re.compile(r"^Run: python -m (examples\.\w+)(.*)$", re.MULTILINE)
LONGEST_S = 60
"""Far more than any of them takes: what hangs should fail, what is slow today should not."""


def docstring(example: Path) -> str:
    return ast.get_docstring(ast.parse(example.read_text(encoding="utf-8"))) or ""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.stem))
def test_an_example_runs_as_its_first_lines_say_and_prints_something(example: Path) -> None:
    match = RUN_LINE.search(docstring(example))
    assert match is not None, f"{example.name} does not say how to run it"
    assert match[1] == f"examples.{example.stem}"
    options = match[2].split(">")[0].split()

    ended = subprocess.run(
        [sys.executable, "-m", match[1], *options],
        cwd=TOP,
        capture_output=True,
        timeout=LONGEST_S,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr.decode()
    assert ended.stdout.strip()
    assert b"Traceback" not in ended.stderr


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.stem))
def test_an_example_prints_only_when_it_is_run(example: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", f"import examples.{example.stem}"],
        cwd=TOP,
        capture_output=True,
        timeout=LONGEST_S,
        check=True,
    )

    assert (ended.stdout, ended.stderr) == (b"", b"")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.stem))
def test_an_example_has_a_main_a_test_of_its_own_and_a_line_in_the_readme(example: Path) -> None:
    functions = [
        each.name
        for each in ast.parse(example.read_text(encoding="utf-8")).body
        if isinstance(each, ast.FunctionDef)
    ]
    is_data_for_others = example.stem == "flights"

    assert is_data_for_others or "main" in functions
    assert (TOP / "tests" / "examples" / f"test_{example.stem}.py").exists()
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    assert f"(examples/{example.name})" in readme
