"""What executions with ids were answered, as bytes, and read to answer again."""

from __future__ import annotations

from typing import Any

import pytest

from registry import Entity, Ref
from registry.errors import JournalDamagedError, UnknownClassError
from registry.ids import new_key, plain
from registry.journal.outcomes import Answered, Failed, read_outcome, write_outcome
from registry.kept import KeptText
from registry.values import same_value
from tests.model.odd_values import Plain
from tests.model.values import ATOMS, Point

KEY, OTHER = plain(new_key()), plain(new_key())
ROOT = Ref(KEY, KEY, 0)


def again(outcome: Answered | Failed, root: Ref | None = ROOT) -> Any:
    return read_outcome(write_outcome(outcome, root), root, "execution 'job-1'")


def test_the_usual_outcome_is_two_numbers() -> None:
    outcome = Answered(7, 2, "mutation", ROOT, (ROOT,))

    assert write_outcome(outcome, ROOT) == b"[7,2]"
    assert again(outcome) == outcome
    assert again(outcome).value is ROOT


def test_an_outcome_without_a_value_is_short() -> None:
    outcome = Answered(7, 2, None, None, ())

    assert write_outcome(outcome, ROOT) == b"[7,2,0]"
    assert again(outcome) == outcome
    assert again(outcome, None) == outcome


@pytest.mark.parametrize(
    "outcome",
    [
        Answered(7, 2, "detachment", ROOT, (ROOT,)),
        Answered(7, 2, "creation", Ref(OTHER, OTHER, 1), (Ref(OTHER, OTHER, 1),)),
        Answered(7, 2, "mutation", [ROOT, {"a": Ref(KEY, OTHER, 0)}], (ROOT, Ref(KEY, OTHER, 0))),
        Answered(7, 0, None, "a", ()),
        Answered(0, 0, None, (1, [2.5, None]), ()),
        Answered(7, 2, "mutation", None, (ROOT,)),
    ],
    ids=str,
)
def test_any_outcome_comes_back(outcome: Answered) -> None:
    for root in (ROOT, Ref(OTHER, OTHER, 0), None):
        result = again(outcome, root)

        assert result[:3] == outcome[:3]
        assert same_value(result.value, outcome.value)
        assert result.outputs == outcome.outputs


@pytest.mark.parametrize("value", [*ATOMS, Point(1, 2, [3]), "\ud800", 10**400], ids=repr)
def test_the_value_of_a_plain_result_comes_back(value: Any) -> None:
    assert same_value(again(Answered(7, 2, None, value, ())).value, value)


def test_a_value_that_no_journal_keeps_is_answered_as_its_text() -> None:
    result = again(Answered(7, 2, None, [Plain()], ()))

    assert type(result.value) is KeptText
    assert "Plain" in result.value


@pytest.mark.parametrize(
    "failed",
    [
        Failed("ValueError", "on purpose"),
        Failed("ValueError", ""),
        Failed("A", "b", ("file 1, in f", "file 2, in g"), ("a note",)),
    ],
)
def test_a_failure_comes_back(failed: Failed) -> None:
    assert again(failed) == failed
    assert again(failed, None) == failed


def test_texts_of_a_failure_that_no_json_holds_are_spelled_out() -> None:
    assert again(Failed("E", "\ud800 half", ("\udfff",))) == Failed(
        "E", "\\ud800 half", ("\\udfff",)
    )


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"3", b"[]", b"[-1]", b"[7,2,null,3,[],1]", b'[7,2,null,[[1]],[""],1]',
     b'[7,2,null,[],["QQ=="],1]', b"[7,2,null,[],null,1]"],
)  # fmt: skip
def test_bytes_that_are_no_outcome_are_told_with_the_execution(data: bytes) -> None:
    with pytest.raises(JournalDamagedError) as caught:
        read_outcome(data, ROOT, "execution 'job-1'")

    assert caught.value.place == "execution 'job-1'"


def test_a_class_that_is_not_loaded_is_named() -> None:
    data = write_outcome(Answered(7, 2, None, Point(), ()), ROOT)

    with pytest.raises(UnknownClassError) as caught:
        read_outcome(data.replace(b"tests.model.values", b"tests.model.nothing"), ROOT, "it")

    assert caught.value.name == "tests.model.nothing:Point"


def test_an_entity_is_never_part_of_an_answer() -> None:
    """Refs are; whoever hands over an entity gets its text."""
    assert type(again(Answered(7, 2, None, Entity(), ())).value) is KeptText
