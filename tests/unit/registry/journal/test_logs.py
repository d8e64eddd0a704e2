"""Every form of a record, adoption and output entity, through the bytes of a log."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from registry import Entity, Workspace
from registry.errors import NotJournalableError
from registry.ids import new_key
from registry.journal.joints import write_joints
from registry.journal.logs import read_log, read_output, write_entry, write_output
from registry.journal.memory import MemoryJournal
from registry.journal.packing import Packer, Unpacker, writable
from registry.kept import KeptText, keep, shown
from registry.records import Adopted, Packed, apart
from registry.values import same_value
from tests.model.odd_values import Fixed, Plain
from tests.model.values import ATOMS, Point


class Leaf(Entity):
    """A leaf."""

    number: int = 0


class Tree(Entity):
    """A root."""

    leaves: list[Leaf] = Field(default_factory=list)


def again(packed: Packed) -> Packed:
    pack = Packer()
    if packed[0] is None or type(packed[1]) is str:
        pack.entries.append(write_entry(packed, pack))
    else:
        pack.entries += write_joints([packed], pack)
    pack.mark()
    [found], _ = read_log(pack.take(), 1)
    return found


def opened(store: MemoryJournal | None) -> Workspace:
    workspace = Workspace(store=store)

    @workspace.register("count")
    def count(tree: Tree, by: int, how: str) -> None:
        tree.leaves[0].number += by

    @workspace.register("same")
    def same(tree: Tree) -> Tree:
        tree.leaves[0].number += 1
        return tree

    @workspace.register("pop")
    def pop(tree: Tree) -> Leaf:
        return tree.leaves.pop()

    @workspace.register("first")
    def first(tree: Tree) -> Leaf:
        tree.leaves[0].number += 1
        return tree.leaves[0]

    @workspace.register("pair")
    def pair(tree: Tree, other: Tree) -> list[Leaf]:
        tree.leaves.append(Leaf(number=len(other.leaves)))
        return [tree.leaves[0], Leaf()]

    @workspace.register("total")
    def total(tree: Tree, anything: Any) -> int:
        return len(tree.leaves)

    @workspace.register("fail")
    def fail(tree: Tree, why: str) -> None:
        raise ValueError(why)

    @workspace.register("make")
    def make(number: int) -> Leaf:
        return Leaf(number=number)

    @workspace.register("outer")
    def outer(tree: Tree) -> None:
        workspace.execute("count", tree=tree, by=1, how="inner")

    return workspace


def run_all(workspace: Workspace) -> None:
    tree = workspace.add(Tree(leaves=[Leaf(), Leaf(), Leaf()]), "tree")
    other = workspace.add(Tree(leaves=[Leaf(number=3)]), "other")
    run = workspace.execute
    run("count", tree=tree, by=2, how="a")
    run("count", tree=tree, by=2**70, how="\u00e4\U0001f600")
    run(
        "count",
        tree=tree,
        by=f"@{workspace.snapshot(other).ecs_id}.leaves.0.number",
        how="borrowed",
    )
    run("same", tree=tree)
    run("first", tree=tree)
    run("pop", tree=tree)
    run("pair", tree=tree, other=other)
    for anything in (None, [1, {"a": (2.5, b"x")}], {1, 2}, 10**400, float("nan"), "\ud800", len):
        run("total", tree=tree, anything=anything)
    run("total", tree=tree, anything=Point(1))
    run("make", number=3)
    run("outer", tree=tree)
    for why in ("on purpose", "", "\ud800 half"):
        with pytest.raises(ValueError):  # noqa: PT011 - any
            run("fail", tree=tree, why=why)
    with pytest.raises(Exception):  # noqa: B017, PT011 - refused before it runs
        run("count", tree=tree, by="x", how=3)
    workspace.fork(tree, name="twin")
    workspace.drop(workspace.ref("twin"))


def told(packed: Packed) -> list[Any]:
    """Return a record, with texts as they are shown, or an adoption."""
    if packed[0] is None:
        return [*Adopted(*packed)]
    general = packed if type(packed[1]) is str else apart(packed)
    general = (*general[:11], writable(general[11]), *general[12:])
    return list(general)


def same_told(a: Packed, b: Packed) -> bool:
    """Tell whether two are the same; how long something took is written in whole nanoseconds."""
    return len(told(a)) == len(told(b)) and all(
        abs(one - other) < 2e-9 if type(one) is type(other) is float else same_value(one, other)
        for one, other in zip(told(a), told(b), strict=True)
    )


def test_every_form_of_a_record_comes_back() -> None:
    workspace = opened(None)
    run_all(workspace)
    entries = list(workspace.records._entries)

    assert {type(each[1]) is str for each in entries if each[0] is not None} == {True, False}
    assert {each[1] for each in entries if each[0] is None} >= {"registered"}
    for packed in entries:
        assert same_told(again(packed), packed)


def test_records_of_a_store_are_those_of_the_workspace_that_made_them() -> None:
    journal = MemoryJournal()
    workspace = opened(journal)
    run_all(workspace)
    workspace.sync()

    stored = opened(journal).executions()

    expected = workspace.executions()
    assert len(stored) == len(expected) > 18
    for one, two in zip(stored, expected, strict=True):
        assert one[:5] == two[:5]
        assert same_value(one.arguments, two.arguments)
        assert one[7:9] == two[7:9]
        assert (one.error_type, one.started, one.sources) == (
            *(two.error_type, two.started, two.sources),
        )
        assert one.error == two.error.encode(errors="backslashreplace").decode()
        assert (one.strategy, one.pattern, one.parent) == (two.strategy, two.pattern, two.parent)
        for name in ("run_s", "commit_s", "queued_s"):
            assert abs(getattr(one, name) - getattr(two, name)) < 2e-9


def record_with(value: Any) -> Packed:
    return (
        *(7, "f", "ok", None, (), (), ("x",), (value,), (), 0, "", "", 1.5, 0.0, 0.0, ()),
        *("no_inputs", "direct", None, 0.0),
    )


@given(
    st.one_of(
        st.sampled_from(ATOMS),
        st.text(st.characters(exclude_categories=())),
        st.integers(),
        st.lists(st.integers() | st.text(), max_size=3),
        st.dictionaries(st.text(), st.none() | st.lists(st.floats()), max_size=3),
    )
)
def test_what_a_record_keeps_of_an_argument_comes_back(value: Any) -> None:
    kept = keep(value)

    assert same_value(again(record_with(kept))[7], (kept,))
    assert same_value(shown(again(record_with(kept))[7][0]), shown(kept))


def test_an_argument_that_no_journal_keeps_is_kept_as_its_text() -> None:
    local = lambda: None  # noqa: E731 - one that has no name

    kept = shown(again(record_with(keep(local)))[7][0])

    assert type(kept) is KeptText
    assert "lambda" in kept


def test_adoptions_come_back() -> None:
    key, left = new_key(), new_key()
    for packed in (
        (None, "registered", int(key), 3, 1.25),
        (None, "detached", int(key), 0, 1.3, 7, "f"),
        (None, "detached", int(key), 0, 1.3, "job-1", "f", int(left), 9),
    ):
        assert told(again(packed)) == told(packed)


@pytest.mark.parametrize(
    "value", [1, None, [1, {"a": {2.5}}], "\ud800", Point(1, 2, [3]), Fixed(2)]
)
def test_output_entities_come_back(value: Any) -> None:
    key = new_key()
    pack = Packer()
    pack.entries.append(write_output(key, ("f", 7, value, 1.5), pack))
    pack.mark()
    unpack = Unpacker(pack.take(), "here")
    [entry] = unpack

    found, (name, number, read, made) = read_output(entry, unpack)

    assert (found, name, number, made) == (key, "f", 7, 1.5)
    assert same_value(read, value)


def test_an_output_entity_that_cannot_be_written_leaves_the_log_as_it_was() -> None:
    """Differences of what comes after it are to what came before it."""
    pack = Packer()
    with pytest.raises(NotJournalableError):
        write_output(new_key(), ("f", 7, Plain(), 1.5), pack)

    assert pack.number(7) == 7
    assert pack.time(1.0) == 1 << 22
    assert pack.entries == []
