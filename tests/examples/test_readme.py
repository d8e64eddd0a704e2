"""The README's Python blocks run as written, in order, and what they assert holds."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

README = Path(__file__).parents[2] / "README.md"
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def python_blocks(path: Path = README) -> list[tuple[int, str]]:
    """Return every Python block of a page with the number of its first line."""
    text = path.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, match.start(1)) + 1, match.group(1))
        for match in PYTHON_BLOCK.finditer(text)
    ]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module that the blocks run in, importable like a user's own `__main__`."""
    module = ModuleType("__main__")
    module.__file__ = str(README)
    monkeypatch.setitem(sys.modules, "__main__", module)
    return module


@pytest.mark.ray
@pytest.mark.usefixtures("ray_local")
def test_the_readme_runs_from_top_to_bottom(page: ModuleType) -> None:
    blocks = python_blocks()
    assert len(blocks) >= 4

    for first_line, source in blocks:
        # Blank lines in front, so that a failure names the README's own line.
        code = compile("\n" * (first_line - 1) + source, str(README), "exec")
        exec(code, vars(page))  # noqa: S102 - our own README
