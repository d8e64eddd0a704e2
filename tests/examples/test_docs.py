"""The Python blocks of the how-to pages run as written, in order, and what they assert holds."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.examples.test_readme import python_blocks

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(path for path in DOCS.glob("*.md") if python_blocks(path))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_runs_from_top_to_bottom(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ModuleType("__main__")
    page.__file__ = str(path)
    monkeypatch.setitem(sys.modules, "__main__", page)

    for first_line, source in python_blocks(path):
        # Blank lines in front, so that a failure names the page's own line.
        code = compile("\n" * (first_line - 1) + source, str(path), "exec")
        exec(code, vars(page))  # noqa: S102 - our own pages


def test_there_are_pages_to_run() -> None:
    assert "branches.md" in {path.name for path in PAGES}
