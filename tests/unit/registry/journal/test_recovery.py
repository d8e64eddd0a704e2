"""What is stored, damaged in all places: told by our errors, with the place, and nothing else."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field
from pydantic_core import from_json, to_json

from registry import Entity, Retention, Workspace
from registry.errors import (
    JournalDamagedError,
    JournalError,
    UnknownClassError,
    UnreadableValueError,
)
from registry.ids import to_uuid
from registry.journal import journaled_tree, opaque, register_codec
from registry.journal.coding import ENCODERS
from registry.journal.memory import MemoryJournal
from registry.journal.port import Part
from tests.model.odd_values import Plain
from tests.model.values import Point


class Leaf(Entity):
    """A leaf."""

    number: int = 0
    anything: Any = None


class Tree(Entity):
    """A root."""

    leaves: list[Leaf] = Field(default_factory=list)


class Damaged(MemoryJournal):
    """Gives parts and checkpoints that are not as they were written, checksums and all."""

    damage: Callable[[Any], Any] = staticmethod(lambda whole: whole)

    def parts(self, *args: Any, **kwargs: Any) -> Iterator[Part]:
        for part in super().parts(*args, **kwargs):
            yield part._replace(data=changed(part.data, self.damage))

    def checkpoint(self, *args: Any) -> Any:
        found = super().checkpoint(*args)
        return found and found._replace(data=changed(found.data, self.damage))


def changed(data: bytes, damage: Callable[[Any], Any]) -> bytes:
    plain = zlib.decompress(data[1:]) if data[:1] == b"Z" else data[1:]
    result = damage(from_json(plain, allow_inf_nan=True))
    if isinstance(result, bytes):
        return result
    return b"P" + to_json(result, inf_nan_mode="constants")


def opened(journal: MemoryJournal) -> Workspace:
    workspace = Workspace(store=journal)

    @workspace.register("count")
    def count(tree: Tree) -> None:
        tree.leaves[0].number += 1
        tree.leaves.append(Leaf(anything=[Point(1)]))

    return workspace


def filled(kind: type[MemoryJournal] = Damaged) -> Any:
    journal = kind()
    workspace = opened(journal)
    workspace.add(Tree(leaves=[Leaf(anything=[1])]), "tree")
    for _ in range(3):
        workspace.execute("count", tree=workspace.ref("tree"))
    return journal


def entry(at: int, item: int, value: Any) -> Callable[[list[Any]], Any]:
    """Return what changes an item of an entry."""

    def damage(whole: list[Any]) -> Any:
        if len(whole[6]) > at:
            whole[6][at][item] = value
        return whole

    return damage


DAMAGES: dict[str, Callable[[Any], Any]] = {
    "no data": lambda _: b"",
    "no JSON": lambda _: b"P[1,",
    "not compressed": lambda _: b"Zabc",
    "no list": lambda _: 3,
    "no tables": lambda _: [1, 0, 0],
    "no keys": lambda whole: [*whole[:3], [""], *whole[4:]],
    "no texts": lambda whole: [*whole[:4], [], *whole[5:]],
    "no plans": lambda whole: [*whole[:5], [], whole[6]],
    "an empty entry": lambda whole: [*whole[:6], [[], *whole[6]]],
    "an unknown kind": entry(0, 0, 99),
    "no time": entry(0, 1, "x"),
    "no text there": entry(0, 3, 99),
    "a whole list": entry(0, 4, [[1, 2], [3]]),
    "entries of a number": lambda whole: [*whole[:6], 3],
    "an entity that is not there": lambda whole: [*whole[:6], [[0, 0, 0, 0, 0, [], [98]]]],
    "a container that is not there": lambda whole: [
        *whole[:6],
        [[0, 0, 0, 0, 0, [[98, 0, 1]], []]],
    ],
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_part_is_told_with_its_place(name: str) -> None:
    journal = filled()
    [ref] = opened(journal).roots()
    workspace = opened(journal)
    journal.damage = DAMAGES[name]

    with pytest.raises(JournalDamagedError) as caught:
        workspace.head("tree")

    assert caught.value.place == f"versions 1 to 1 of branch 0 of root {to_uuid(ref.root)}"


def test_a_damaged_checkpoint_is_told_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journaled_tree, "CHECKPOINT_EVERY", -1_000)  # after each commit
    journal = filled()
    [ref] = opened(journal).roots()
    few = Retention(versions=1)
    assert Workspace(store=journal, retention=few).head("tree") == 4
    journal.damage = lambda whole: [*whole[:6], [[0, [0.5, [0]]]]]

    with pytest.raises(JournalDamagedError) as caught:
        Workspace(store=journal, retention=few).head("tree")

    assert caught.value.place == f"the checkpoint of version 3 of {to_uuid(ref.root)}"


def test_a_missing_part_is_told() -> None:
    journal = filled()

    class Gap(MemoryJournal):
        def parts(self, *args: Any, **kwargs: Any) -> Iterator[Part]:
            return (part for part in super().parts(*args, **kwargs) if part.first != 3)

    journal.__class__ = Gap

    with pytest.raises(JournalDamagedError) as caught:
        opened(journal).head("tree")

    assert caught.value.place.startswith("versions 4 to 4 of branch 0")
    assert caught.value.found == "do not follow version 2"


def test_a_missing_end_is_told() -> None:
    journal = filled()

    class Short(MemoryJournal):
        def parts(self, *args: Any, **kwargs: Any) -> Iterator[Part]:
            return (part for part in super().parts(*args, **kwargs) if part.first < 4)

    journal.__class__ = Short

    with pytest.raises(JournalDamagedError, match="its head is 3, not 4"):
        opened(journal).head("tree")


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 255))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_damage_is_told_by_our_errors_only(where: float, byte: int) -> None:
    """Or nothing is noticed, as in a text or a number: the checksums of the journal notice that."""
    journal = filled()

    def damage(whole: Any) -> bytes:
        text = bytearray(to_json(whole, inf_nan_mode="constants"))
        text[int(where * len(text))] = byte
        return b"P" + bytes(text)

    journal.damage = damage
    with contextlib.suppress(JournalError, UnknownClassError):
        opened(journal).head("tree")


def test_after_an_error_the_same_workspace_loads_what_is_mended() -> None:
    journal = filled()
    workspace = opened(journal)
    journal.damage = DAMAGES["no plans"]
    with pytest.raises(JournalDamagedError):
        workspace.head("tree")

    journal.damage = lambda whole: whole

    assert workspace.head("tree") == 4


# --- what is not there any more ---


def renamed(old: str, new: str) -> Callable[[Any], Any]:
    def damage(whole: Any) -> bytes:
        text: bytes = to_json(whole, inf_nan_mode="constants")
        return b"P" + text.replace(old.encode(), new.encode())

    return damage


@pytest.mark.parametrize(
    ("old", "new", "way_out"),
    [
        (f"{__name__}:Leaf", "no.such.module:Leaf", "import module 'no.such.module' before"),
        (
            f"{__name__}:Leaf",
            f"{__name__}:Gone",
            "has no 'Gone': define it, or give it back its name",
        ),
        (f"{__name__}:Leaf", f"{__name__}:filled", "is no entity class: give it back its name"),
        ("tests.model.values:Point", "tests.model.values:Spot", "has no 'Spot'"),
    ],
)
def test_a_class_that_is_not_there_is_told_with_the_way_out(
    old: str, new: str, way_out: str
) -> None:
    journal = filled()
    workspace = opened(journal)
    journal.damage = renamed(old, new)

    with pytest.raises(UnknownClassError) as caught:
        workspace.head("tree")

    assert caught.value.name == new
    assert way_out in caught.value.way_out


def test_a_value_that_cannot_be_made_is_told_with_the_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opaque, "_CODECS", {})
    monkeypatch.delitem(ENCODERS, Plain, raising=False)
    register_codec(Plain, name="plain", encode=lambda it: it.inner, decode=lambda _: 1 / 0)
    journal = MemoryJournal()
    Workspace(store=journal).add(Leaf(anything=Plain(1)), "leaf")

    with pytest.raises(UnreadableValueError) as caught:
        Workspace(store=journal).head("leaf")

    assert caught.value.place.startswith("a value in versions 1 to 1 of branch 0 of root ")
    assert caught.value.problem == "ZeroDivisionError: division by zero"
    monkeypatch.delitem(ENCODERS, Plain)
