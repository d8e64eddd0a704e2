"""Flowcharts as Mermaid text: boxes, links and the escaping that lets any text stand in a label.

Knows nothing of trees: what is drawn is decided by `EntityTree.to_mermaid` and `Diff.to_mermaid`.
The same boxes and links give the same text, so that charts can be compared and kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

LONGEST_VALUE = 24
"""Characters of a value, or of a place, that a label shows."""

_ELLIPSIS = "…"
_LARGEST_NUMBER_BITS = 256
"""Above this a number is named by its size: Python refuses to write the largest ones."""

# What is written by its number: of ASCII all but what is listed first, and what Mermaid 11 reads as
# Markdown in any label. A quote would end the label, `%%{` would be a directive wherever it stands,
# `<` is HTML, '`' and `$` begin other languages, and a colon before a `#` makes Mermaid drop the
# semicolon of an escape in lines that speak of a "style".
_SPECIAL = re.compile(
    r"[^a-zA-Z0-9 _.,=()\[\]{}'+\-/!?]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis; not in a_name
    r"|(?<=\])\("  # [a](link)
    r"|(?i:(?<=www))\."  # a link without a protocol
    r"|\A[-+ 0-9]"  # lists, and code by indentation
)
_BLANK = "#32;"
"""A label of nothing, which Mermaid refuses when it is empty."""


class Box(NamedTuple):
    """An entity in a chart.

    Attributes:
        lines: What its label says, one line each.
        styles: Names of the styles that it has.
    """

    lines: tuple[str, ...]
    styles: tuple[str, ...] = ()


class Link(NamedTuple):
    """An arrow from one box to another.

    Attributes:
        source: Position of the box that it comes from.
        target: Position of the box that it goes to.
        text: What it says.
        is_dotted: Whether it shows something that is no longer so.
    """

    source: int
    target: int
    text: str = ""
    is_dotted: bool = False


def flowchart(
    boxes: Iterable[Box],
    links: Iterable[Link],
    styles: Mapping[str, str] | None = None,
    remainder: str = "",
) -> str:
    """Return a Mermaid flowchart, one statement a line.

    Args:
        boxes: What to draw; boxes are called `n0`, `n1`, ... in this order.
        links: Arrows between them.
        styles: Style by name, as `classDef` of Mermaid has it; only those in use are written.
        remainder: What was left out, shown in a box of its own; nothing without it.
    """
    boxes = list(boxes)
    lines = ["flowchart TD"]
    lines += [
        f'    n{number}["{"<br/>".join(map(escape, box.lines)) or _BLANK}"]'
        for number, box in enumerate(boxes)
    ]
    if remainder:
        lines.append(f'    rest(["{escape(remainder)}"])')
    lines += [f"    {_arrow(link)}" for link in links]
    for name, definition in (styles or {}).items():
        members = [f"n{number}" for number, box in enumerate(boxes) if name in box.styles]
        if members:
            lines += [f"    classDef {name} {definition}", f"    class {','.join(members)} {name}"]
    return "\n".join(lines) + "\n"


def _arrow(link: Link) -> str:
    shaft = "-.->" if link.is_dotted else "-->"
    text = f'|"{escape(link.text)}"|' if link.text else ""
    return f"n{link.source} {shaft}{text} n{link.target}"


def escape(text: str) -> str:
    """Return *text* in a form that Mermaid shows as it is, inside quotes."""
    return _SPECIAL.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    char = found[0]
    if char.isprintable():
        return char if ord(char) > 127 else f"#{ord(char)};"
    return " " if char.isspace() else "\N{REPLACEMENT CHARACTER}"


def brief(value: Any) -> str:
    """Return what a label says of a value: short text for an atom, kind and size for the others."""
    cls = type(value)
    if cls in (list, tuple, set, frozenset, dict):
        return f"{cls.__name__} of {len(value)}"
    if cls is bytes:
        return f"{len(value)} bytes"
    if cls is str:
        return shorten(repr(value[: 2 * LONGEST_VALUE]))
    if cls is int and value.bit_length() > _LARGEST_NUMBER_BITS:
        return f"int of {value.bit_length()} bits"
    return shorten(repr(value))


def shorten(text: str, longest: int = LONGEST_VALUE) -> str:
    """Return *text*, or its beginning and an ellipsis if it is longer."""
    return text if len(text) <= longest else text[: longest - 1] + _ELLIPSIS
