"""The Python blocks of the README and the how-to pages run as written, and what they say holds.

In order, those of one page in one module.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

TOP = Path(__file__).parents[2]
README = TOP / "README.md"
PAGES = [
    page
    for page in sorted((TOP / "docs").glob("*.md"))
    if "```python" in page.read_text(encoding="utf-8")
]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def python_blocks(page: Path = README) -> list[tuple[int, str]]:
    """Return every Python block of a page with the number of its first line."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, match.start(1)) + 1, match.group(1))
        for match in PYTHON_BLOCK.finditer(text)
    ]


def run(page: Path, module: ModuleType) -> None:
    """Run the blocks of a page, one after the other."""
    for first_line, source in python_blocks(page):
        # Blank lines in front, so that a failure names the page's own line.
        code = compile("\n" * (first_line - 1) + source, str(page), "exec")
        exec(code, vars(module))  # noqa: S102 - our own page


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module that the blocks run in, importable like a user's own `__main__`."""
    module = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    return module


@pytest.mark.ray
@pytest.mark.usefixtures("ray_local")
def test_the_readme_runs_from_top_to_bottom(module: ModuleType) -> None:
    assert len(python_blocks(README)) >= 4

    module.__file__ = str(README)
    run(README, module)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_a_page_runs_from_top_to_bottom(page: Path, module: ModuleType) -> None:
    module.__file__ = str(page)
    run(page, module)


@pytest.mark.parametrize(
    "page", [README, *sorted((TOP / "docs").rglob("*.md"))], ids=lambda page: str(page.name)
)
def test_links_between_pages_and_files_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]

    assert [link for link in links if not (page.parent / link).exists()] == []
