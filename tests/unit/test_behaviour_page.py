"""Every claim of docs/behaviour.md leads to tests that exist, and names them."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).parents[2]
PAGE = TOP / "docs" / "behaviour.md"
LINK = re.compile(r"\[(test_\w+)\]\((\.\./tests/[\w/]+\.py)\)")
RULER = re.compile(r"\|[ |:-]+\|")


class Claim(NamedTuple):
    """One promise: its text without the links, and (test, path) of each link."""

    text: str
    links: tuple[tuple[str, str], ...]


def sections() -> dict[str, str]:
    """Return the numbered sections by their titles."""
    parts = re.split(r"^## (\d+\. .+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def blocks(section: str) -> list[str]:
    """Return what a section consists of: bullets, rows and paragraphs, without headings."""
    found: list[str] = []
    for line in section.splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("  ") and found:
            found[-1] += f" {line.strip()}"
        else:
            found.append(line)
    header = [index - 1 for index, line in enumerate(found) if RULER.fullmatch(line)]
    return [
        block
        for index, block in enumerate(found)
        if index not in header and not RULER.fullmatch(block)
    ]


def claims() -> list[Claim]:
    found = []
    for section in sections().values():
        for block in blocks(section):
            text = LINK.sub("", block).strip(" -·|")
            found.append(Claim(text, tuple(LINK.findall(block))))
    return found


@functools.cache
def defined_in(path: Path) -> frozenset[str]:
    """Return the names of the tests that a file defines."""
    if not path.is_file():
        return frozenset()
    module = ast.parse(path.read_text(encoding="utf-8"))
    functions = [each for each in module.body if isinstance(each, ast.FunctionDef)]
    return frozenset(each.name for each in functions if each.name.startswith("test_"))


def test_the_page_has_its_eight_sections() -> None:
    titles = list(sections())

    assert [title.split(".")[0] for title in titles] == list("12345678")
    assert len(claims()) > 100


def test_every_claim_leads_to_a_test() -> None:
    assert [claim.text for claim in claims() if not claim.links] == []


def test_every_claim_is_one_sentence() -> None:
    """Or a second one could hide behind the test of the first."""
    several = [claim.text for claim in claims() if re.search(r"[.!?]\s+[A-Z`]", claim.text)]

    assert several == []


def test_every_test_that_the_page_names_exists() -> None:
    missing = [
        (name, path)
        for claim in claims()
        for name, path in claim.links
        if name not in defined_in((PAGE.parent / path).resolve())
    ]

    assert missing == []


def test_the_page_has_no_other_links_to_tests() -> None:
    """One that is written another way would not be checked."""
    text = LINK.sub("", PAGE.read_text(encoding="utf-8"))

    assert "../tests" not in text


def test_every_test_of_behaviour_has_its_place_on_the_page() -> None:
    named = {name for claim in claims() for name, _ in claim.links}
    files = (TOP / "tests" / "behaviour").glob("test_*.py")

    assert frozenset().union(*map(defined_in, files)) - named == frozenset()
