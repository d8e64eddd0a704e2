"""The house style that no tool checks: sizes, docstrings, and a layout page that is true."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
LIBRARY = ("registry", "runner")
EVERYTHING = (*LIBRARY, "examples", "tests")
SCREEN_LINES = 60

FunctionDef = ast.FunctionDef | ast.AsyncFunctionDef


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (TOP / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(TOP).as_posix()


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def functions_over_a_screen(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, FunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1 - docstring_lines(node)
            if lines > SCREEN_LINES:
                yield f"{node.name} has {lines} lines"


def docstring_lines(function: FunctionDef) -> int:
    text = ast.get_docstring(function, clean=False)
    return 0 if text is None else text.count("\n") + 1


def error_classes() -> list[ast.ClassDef]:
    return [
        node
        for folder in LIBRARY
        for node in parsed(TOP / folder / "errors.py").body
        if isinstance(node, ast.ClassDef)
    ]


@pytest.mark.parametrize("path", modules(*EVERYTHING), ids=name_of)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    module = parsed(path)

    assert not module.body or ast.get_docstring(module), f"{name_of(path)} has no docstring"


@pytest.mark.parametrize("path", modules(*EVERYTHING), ids=name_of)
def test_no_function_is_longer_than_a_screen(path: Path) -> None:
    assert list(functions_over_a_screen(parsed(path))) == []


def test_every_error_class_has_a_docstring() -> None:
    undocumented = [error.name for error in error_classes() if not ast.get_docstring(error)]

    assert undocumented == []


def test_every_error_class_is_named_by_a_test() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in modules("tests"))

    unnamed = [error.name for error in error_classes() if not re.search(rf"\b{error.name}\b", text)]

    assert unnamed == []


def test_the_layout_page_names_every_file_and_no_other() -> None:
    page = (TOP / "docs" / "architecture.md").read_text(encoding="utf-8")
    layout = page.split("## Layout", 1)[1].split("\n## ", 1)[0]
    named = set(re.findall(r"`((?:registry|runner)/[\w/]+\.py)`", layout))

    existing = {name_of(path) for path in modules(*LIBRARY) if path.name != "__init__.py"}

    assert named == existing


def test_every_test_that_the_invariants_name_exists() -> None:
    page = (TOP / "docs" / "architecture.md").read_text(encoding="utf-8")
    invariants = page.split("## Invariants", 1)[1].split("\n## ", 1)[0]
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", invariants))

    missing = [name for name in sorted(named) if not (TOP / name).is_file()]

    assert named
    assert missing == []
