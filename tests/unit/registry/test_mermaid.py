"""Mermaid: what is drawn of a tree and of a diff, and that no text can break the chart."""

# Cases are written as expressions.
# mypy: disable-error-code="func-returns-value"
from __future__ import annotations

import pickle
import re
from dataclasses import replace
from typing import Any

import pytest
from pydantic import Field

from registry import Entity, Ref, Workspace, mermaid
from registry.entity import label
from registry.mermaid import Box, Link, flowchart
from registry.snapshot import snapshot_from_pages
from tests.unit.registry.conftest import Do
from tests.unit.registry.shop import Item, Shelf, Shop

TEXT = r'"[^"\n]+"'
STATEMENTS = {
    "box": re.compile(rf"    (n\d+)\[({TEXT})\]"),
    "rest": re.compile(rf"    (rest)\(\[({TEXT})\]\)"),
    "link": re.compile(rf"    (n\d+) (-->|-\.->)(?:\|({TEXT})\|)? (n\d+)"),
    "style": re.compile(r"    classDef (\w+) [\w:#,-]+"),
    "class": re.compile(r"    class ((?:n\d+,)*n\d+) (\w+)"),
}
"""All that a chart of ours may hold: a small part of Mermaid's grammar, as its parser has it."""

MARKDOWN = re.compile(
    r"[*~]|(?<![^\W_])_|_(?![^\W_])|\]\(|(?i:www)\.|^[-+ ]|^\d+[.)]|^<br/>", re.MULTILINE
)
"""What Mermaid 11 reads as Markdown in a label: emphasis, links, lists, code."""


class Chart:
    """A chart that was read back, refusing everything but the statements above."""

    def __init__(self, text: str) -> None:
        first, *lines = text.removesuffix("\n").split("\n")
        assert first == "flowchart TD"
        self.boxes: dict[str, str] = {}
        self.links: list[tuple[str, str, str, str]] = []
        self.classes: dict[str, set[str]] = {}
        self.rest = ""
        styles = set()
        for line in lines:
            kind, match = self._match(line)
            if kind == "box":
                self.boxes[match[1]] = shown(match[2])
            elif kind == "rest":
                self.rest = shown(match[2])
            elif kind == "link":
                self.links.append((match[1], match[2], shown(match[3] or '""'), match[4]))
            elif kind == "style":
                styles.add(match[1])
            else:
                self.classes[match[2]] = {self.boxes[number] for number in match[1].split(",")}
        assert styles == self.classes.keys()
        assert {end for source, _, _, target in self.links for end in (source, target)} <= set(
            self.boxes
        )

    @staticmethod
    def _match(line: str) -> tuple[str, re.Match[str]]:
        for kind, pattern in STATEMENTS.items():
            if match := pattern.fullmatch(line):
                return kind, match
        raise AssertionError(f"no Mermaid of ours: {line!r}")

    def arrows(self) -> list[tuple[str, str, str]]:
        """Return (first line of the source, text, first line of the target) of solid arrows."""
        return self._arrows("-->")

    def dotted(self) -> list[tuple[str, str, str]]:
        """Return the same of dotted arrows."""
        return self._arrows("-.->")

    def _arrows(self, shaft: str) -> list[tuple[str, str, str]]:
        return [
            (self.boxes[source].split("\n")[0], text, self.boxes[target].split("\n")[0])
            for source, kind, text, target in self.links
            if kind == shaft
        ]


def shown(quoted: str) -> str:
    """Return what Mermaid shows of a quoted text."""
    assert not MARKDOWN.search(quoted[1:-1]), quoted
    inside = quoted[1:-1].replace("<br/>", "\n")
    assert not re.search(r"[<>&`%$:|\\;](?<!\d;)", inside), inside
    return re.sub(r"#(\d+);", lambda match: chr(int(match[1])), inside)


def name(entity: Entity) -> str:
    return label(entity).replace(":", " ")


HOSTILE = [
    '"]; click n0 "javascript:alert(1)"',
    "</div><script>x</script>",
    "%%{init: {'theme': 'dark'}}%%",
    "line\nbreak\r\n\u2028end",
    "style a:#35;b;",
    "`markdown`",
    "$$x^2$$",
    "a|b --> c{{d}} @{ shape: x }",
    "#quot; &amp; \\",
    "tab\tbell\x07nul\x00",
    "grün 猫 🐈 👨\u200d👩\u200d👧 \u202e",
    "end",
    "subgraph x; direction TB",
    "__init__ _a_ a_b",
    "*a* **b** ~~c~~ a*b*c",
    "[text](link) ![image](link)",
    "see Www.example.org",
    "- item",
    "12. item",
    "    code",
    "\ud800",
    "x" * 5000,
    "",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_stands_in_a_box_an_arrow_and_the_remainder(text: str) -> None:
    chart = Chart(flowchart([Box((text,)), Box(("b",))], [Link(0, 1, text)], remainder=text))

    expected = "".join(
        char if char.isprintable() else " " if char.isspace() else "\ufffd" for char in text
    )
    assert chart.boxes == {"n0": expected or " ", "n1": "b"}
    assert chart.links == [("n0", "-->", expected, "n1")]
    assert chart.rest == expected


def test_a_chart_in_words() -> None:
    text = flowchart(
        [Box(("Shop 1", "name = 'x'"), ("added", "moved")), Box(("Item 2",), ("added",))],
        [Link(0, 1, "items[0]"), Link(1, 0, is_dotted=True)],
        {"added": "fill:#dfd", "removed": "fill:#fdd", "moved": "stroke:#00f"},
        "and 3 more",
    )

    assert text == (
        "flowchart TD\n"
        "    n0[\"Shop 1<br/>name = 'x'\"]\n"
        '    n1["Item 2"]\n'
        '    rest(["and 3 more"])\n'
        '    n0 -->|"items[0]"| n1\n'
        "    n1 -.-> n0\n"
        "    classDef added fill:#dfd\n"
        "    class n0,n1 added\n"
        "    classDef moved stroke:#00f\n"
        "    class n0 moved\n"
    )


def test_values_are_abbreviated() -> None:
    shortened = "'" + "x" * (mermaid.LONGEST_VALUE - 2) + "…"
    cases: list[tuple[Any, str]] = [
        ("a'b", '"a\'b"'),
        ("x" * 10**6, shortened),
        ([1, 2], "list of 2"),
        ({}, "dict of 0"),
        ((1,), "tuple of 1"),
        (frozenset(), "frozenset of 0"),
        (b"abc", "3 bytes"),
        (10**5000, "int of 16610 bits"),
        (None, "None"),
        (1.5, "1.5"),
    ]

    assert [mermaid.brief(value) for value, _ in cases] == [text for _, text in cases]


# --- a tree --------------------------------------------------------------------------------------


def test_a_tree_shows_every_entity_with_its_fields_and_place(
    workspace: Workspace, shop: Ref
) -> None:
    tree = workspace.tree(shop, read_only=True)

    chart = Chart(tree.to_mermaid())

    assert [box.split("\n")[0] for box in chart.boxes.values()] == [name(each) for each in tree]
    assert chart.boxes["n0"].split("\n")[1:] == [
        "name = 'shop'",
        "numbers = list of 3",
        "table = dict of 2",
        "marks = set of 3",
        "and 3 more fields",
    ]
    shelf = tree.get_children(tree.root_ecs_id)[0]
    item = tree.get_children(shelf.ecs_id)[1]
    assert (name(shelf), "items[1]", name(item)) in chart.arrows()
    assert len(chart.arrows()) == tree.edge_count
    assert chart.rest == ""
    assert not chart.classes


def test_a_tree_is_drawn_up_to_the_limit_with_a_visible_remainder(
    workspace: Workspace, shop: Ref
) -> None:
    tree = workspace.tree(shop)

    chart = Chart(tree.to_mermaid(limit=5))

    assert len(chart.boxes) == 5
    assert len(chart.links) == 4
    assert chart.rest == "and 7 more"
    assert len(Chart(tree.to_mermaid(limit=0)).boxes) == 1
    assert Chart(tree.to_mermaid(limit=12)).rest == ""


class Account(Entity):
    """Keeps a secret, and takes any key."""

    owner: str = ""
    secret: str = Field(default="s3cret", repr=False)
    parts: dict[str, Item] = Field(default_factory=dict)


def test_hidden_fields_stay_hidden_and_keys_are_escaped(workspace: Workspace) -> None:
    ref = workspace.add(Account(owner='"]; x', parts={'"|%%{': Item()}))

    text = workspace.tree(ref).to_mermaid()

    assert "s3cret" not in text
    chart = Chart(text)
    assert chart.boxes["n0"].split("\n")[1:] == ["owner = '\"]; x'"]
    assert chart.arrows()[0][1] == "parts['\"|%%{']"


# --- a diff --------------------------------------------------------------------------------------


def test_a_diff_shows_added_removed_moved_and_changed_by_class(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    old = workspace.snapshot(shop)

    def change(shop: Shop) -> None:
        shop.shelves[1].items.append(shop.shelves[0].items.pop(0))
        shop.shelves[2].items.pop()
        shop.shelves[2].items.append(Item(name="new"))
        shop.shelves[1].label = 'a "quoted" label'
        shop.star = None

    do(change)
    new = workspace.snapshot(shop)

    chart = Chart(workspace.diff(shop, 1, 2).to_mermaid())

    by_class = {cls: {box.split("\n")[0] for box in boxes} for cls, boxes in chart.classes.items()}
    moved, gone = old.shelves[0].items[0], old.shelves[2].items[1]
    shelves = [name(shelf) for shelf in new.shelves]
    assert by_class == {
        "added": {name(new.shelves[2].items[1])},
        "removed": {name(gone), name(old.star)},
        "moved": {name(moved)},
        "changed": {name(new), *shelves},
    }
    assert (shelves[1], "items[2]", name(moved)) in chart.arrows()
    assert set(chart.dotted()) == {
        (shelves[0], "items[0]", name(moved)),
        (shelves[2], "items[1]", name(gone)),
        (name(new), "star", name(old.star)),
    }
    (changed,) = [box for box in chart.boxes.values() if "quoted" in box]
    assert "label = 's1' → 'a \"quoted\" label'" in changed.split("\n")
    (root,) = [box for box in chart.boxes.values() if box.startswith(name(new))]
    assert root.split("\n")[1] == f"star = {name(old.star)[-8:]} → None"


def test_a_diff_leaves_out_what_is_the_same_and_says_what_is_over_the_limit(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    do(lambda shop: [setattr(item, "price", 9.0) for item in shop.shelves[1].items])
    difference = workspace.diff(shop, 1, 2)

    whole, cut = Chart(difference.to_mermaid()), Chart(difference.to_mermaid(limit=3))

    assert len(whole.boxes) == 4
    assert whole.rest == ""
    assert list(cut.boxes.values()) == list(whole.boxes.values())[:3]
    assert cut.rest == "and 1 more"
    assert set(whole.classes) == {"changed"}


def test_a_diff_backwards_exchanges_added_and_removed(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    do(lambda shop: shop.shelves.append(Shelf(items=[Item()])))

    forth = Chart(workspace.diff(shop, 1, 2).to_mermaid())
    back = Chart(workspace.diff(shop, 2, 1).to_mermaid())

    assert forth.classes["added"] == back.classes["removed"]
    assert len(back.dotted()) == len(forth.arrows()) == 2


def test_a_hidden_field_differs_and_stays_hidden(workspace: Workspace) -> None:
    ref = workspace.add(Account())
    held = workspace.snapshot(ref)
    held.secret = "0ther"  # noqa: S105 - the secret of nobody
    workspace.commit_edits(held)

    text = workspace.diff(ref, 1, 2).to_mermaid()

    assert Chart(text).boxes["n0"].split("\n")[1:] == ["secret differs"]
    assert "s3cret" not in text
    assert "0ther" not in text


def test_a_diff_that_traveled_is_drawn_from_pages(workspace: Workspace, shop: Ref, do: Do) -> None:
    do(lambda shop: shop.shelves.append(Shelf(items=[Item()])))
    here = workspace.diff(shop, 1, 2)

    def read(version: int) -> Entity:
        return snapshot_from_pages(
            lambda *asked: workspace.page(asked[0], asked[1], 4), shop, version
        )

    there = replace(pickle.loads(pickle.dumps(here)), read=read)

    assert there.to_mermaid() == here.to_mermaid()


def test_no_difference_is_an_empty_chart(workspace: Workspace, shop: Ref) -> None:
    assert workspace.diff(shop, 1, 1).to_mermaid() == "flowchart TD\n"
