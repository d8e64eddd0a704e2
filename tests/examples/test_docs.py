"""The Python blocks of the pages in docs/ run as written, in order, and what they assert holds."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.examples.test_readme import PYTHON_BLOCK

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(
    page for page in DOCS.glob("*.md") if PYTHON_BLOCK.search(page.read_text(encoding="utf-8"))
)


def test_there_are_pages_with_blocks() -> None:
    assert DOCS / "history.md" in PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_runs_from_top_to_bottom(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("__main__")
    module.__file__ = str(page)
    monkeypatch.setitem(sys.modules, "__main__", module)
    text = page.read_text(encoding="utf-8")

    for match in PYTHON_BLOCK.finditer(text):
        # Blank lines in front, so that a failure names the page's own line.
        source = "\n" * text.count("\n", 0, match.start(1)) + match.group(1)
        exec(compile(source, str(page), "exec"), vars(module))  # noqa: S102 - our own page
