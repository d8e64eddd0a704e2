"""The Python blocks of the how-to pages run as written, in order, and what they assert holds."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from registry import use_workspace

DOCS = Path(__file__).parents[2] / "docs"
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [page for page in sorted(DOCS.glob("*.md")) if PYTHON_BLOCK.search(page.read_text("utf-8"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs_from_top_to_bottom(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = page.read_text(encoding="utf-8")
    module = ModuleType(f"docs_{page.stem}")
    module.__file__ = str(page)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    try:
        for match in PYTHON_BLOCK.finditer(text):
            # Blank lines in front, so that a failure names the page's own line.
            lines_before = text.count("\n", 0, match.start(1))
            code = compile("\n" * lines_before + match.group(1), str(page), "exec")
            exec(code, vars(module))  # noqa: S102 - our own page
    finally:
        use_workspace(None)


def test_there_are_pages_to_run() -> None:
    assert "moving" in [page.stem for page in PAGES]
