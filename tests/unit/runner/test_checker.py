"""The checker finds each kind of violation where it is, and nothing where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from registry import Ref, ids
from registry.journal.memory import MemoryJournal
from registry.journal.port import Group
from registry.journal.sqlite import SqliteJournal
from runner import Job, Runner
from runner.checker import (
    Effect,
    Line,
    Sent,
    Step,
    Violation,
    Witness,
    check_history,
    check_line,
    check_sent,
    check_states,
)
from tests.contract import library
from tests.contract.library import Library

KEY = ids.plain(ids.new_key())
ROOT = Ref(KEY, KEY)
STEPS = (
    Step(1),
    Step(2, "a", "add", {"n": 1}),
    Step(3, "b", "add", {"n": 2}),
    Step(4, "c", "add", {"n": 3}),
)
LINE = Line(ROOT, 4, STEPS, {"a": Effect(2), "b": Effect(3), "c": Effect(4), "r": Effect(4, False)})
STATES = {1: 0, 2: 1, 3: 3, 4: 6}


def add(state: int, _: str, arguments: Mapping[str, Any]) -> int:
    total: int = state + arguments["n"]
    return total


def rules(found: Any) -> list[str]:
    return [each.rule for each in found]


def test_what_is_right_is_found_right():
    sent = [
        Sent("a", ROOT, 0.0, 1.0, 2),
        Sent("b", ROOT, 0.5, 2.0, 3),
        Sent("c", ROOT, 2.5, 3.0, 4),
        Sent("r", ROOT, 3.5, 4.0, 4),
        Sent("never heard of", ROOT, 0.0),
    ]

    assert list(check_line(LINE)) == []
    assert list(check_sent(LINE, sent)) == []
    assert list(check_states(LINE, STATES.__getitem__, add)) == []


def test_a_line_may_begin_where_older_versions_were_let_go():
    assert list(check_line(LINE._replace(steps=STEPS[2:], effects={}))) == []


@pytest.mark.parametrize(
    ("steps", "head"),
    [
        ((STEPS[0], STEPS[1], STEPS[3]), 4),  # one is missing
        ((STEPS[0], STEPS[1], STEPS[1]._replace(execution_id="x"), STEPS[2], STEPS[3]), 4),
        (STEPS[:3], 4),  # the newest is missing
        ((), 4),
        ((STEPS[0], STEPS[2], STEPS[1], STEPS[3]), 4),  # in another order
    ],
)
def test_a_gap_is_found(steps: tuple[Step, ...], head: int):
    assert "gap" in rules(check_line(Line(ROOT, head, steps)))


def test_an_execution_that_took_effect_twice_is_found():
    twice = (*STEPS, Step(5, "b", "add", {"n": 2}))

    assert list(check_line(Line(ROOT, 5, twice))) == [
        Violation(
            "twice",
            f"{ROOT.address}, version 5",
            "execution b again, which made version 3",
            "another execution",
        )
    ]


@pytest.mark.parametrize("effect", [Effect(3), Effect(9)])
def test_an_answer_that_is_not_what_happened_is_found(effect: Effect):
    assert rules(check_line(LINE._replace(effects={"a": effect}))) == ["outcome"]


def test_an_answer_without_an_effect_is_found():
    assert rules(check_line(LINE._replace(effects={"x": Effect(2)}))) == ["outcome"]


@pytest.mark.parametrize(
    "sent", [Sent("x", ROOT, 0.0, 1.0, 5), Sent("a", ROOT, 0.0, 1.0, 3)], ids=["gone", "moved"]
)
def test_something_acknowledged_that_is_lost_is_found(sent: Sent):
    assert "lost" in rules(check_sent(LINE, [sent]))


@pytest.mark.parametrize(
    "later",
    [
        Sent("a", ROOT, 5.0, 6.0, 2),  # heard of, or not
        Sent("a", ROOT, 5.0),
    ],
)
def test_an_order_that_clients_could_see_is_kept(later: Sent):
    first = Sent("c", ROOT, 0.0, 4.0, 4)

    assert rules(check_sent(LINE, [later, first])) == ["order"]
    assert rules(check_sent(LINE, [later._replace(sent=3.9), first])) == []


def test_a_read_that_is_older_than_what_was_heard_of_is_found():
    line = LINE._replace(effects={**LINE.effects, "r": Effect(3, False)})
    sent = [Sent("c", ROOT, 0.0, 4.0, 4), Sent("r", ROOT, 5.0, 6.0, 3)]

    assert rules(check_sent(line, sent)) == ["order"]


@pytest.mark.parametrize("version", [2, 3, 4])
def test_the_first_state_that_is_not_what_it_should_be_is_found(version: int):
    states = {at: state + (at >= version) for at, state in STATES.items()}

    (found,) = check_states(LINE, states.__getitem__, add)

    assert (found.rule, found.place) == ("state", f"{ROOT.address}, version {version}")
    assert (found.found, found.expected) == (str(STATES[version] + 1), str(STATES[version]))


def test_the_newest_state_is_compared_however_few_are():
    states = {**STATES, 4: 0}

    assert rules(check_states(LINE, states.__getitem__, add, every=1_000)) == ["state"]


def test_a_version_that_cannot_be_done_again_is_found():
    line = LINE._replace(steps=(STEPS[0], STEPS[1]._replace(arguments=None)))

    assert rules(check_states(line, STATES.__getitem__, add)) == ["state"]


def test_violations_say_what_is_wrong():
    assert str(Violation("gap", "@x, version 2", "version 3", "itself")) == (
        "gap: @x, version 2: version 3, expected itself"
    )


# --- a store ---


@dataclass
class History:
    """A store with two roots and what a client heard."""

    path: Path
    roots: list[Ref]
    sent: list[Sent]


@pytest.fixture
def history(tmp_path: Path) -> History:
    """Two hundred notes, some of them with ids."""
    path = tmp_path / "store.db"
    witness = Witness()
    with Runner(library, in_process=True, store=path) as runner:
        roots = runner.add_many([Library(), Library()])
        jobs = [
            Job("note", roots[n % 2], {"number": n}, f"id-{n}" if n % 3 else None)
            for n in range(200)
        ]
        jobs.append(Job("fail", roots[0], {"message": "no"}))
        for _ in witness.outcomes(runner.submit(witness.jobs(jobs))):
            pass
    return History(path, roots, witness.sent)


def note(state: dict[str, Any], name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    assert name == "note"
    return {**state, "log": [*state["log"], arguments["number"]]}


def test_a_store_is_found_right_and_left_as_it_is(history: History):
    before = history.path.read_bytes()

    assert check_history(history.path, history.sent, note) == []
    assert len(history.sent) == 201
    assert history.path.read_bytes() == before


def test_a_store_in_use_may_be_checked_and_nobody_is_fenced(history: History):
    with Runner(library, in_process=True, store=history.path) as runner:
        runner.execute("note", library=history.roots[0], number=1).result()
        assert check_history(history.path, history.sent, note) == []
        runner.execute("note", library=history.roots[0], number=2).result()


def test_a_wrong_state_in_a_store_is_found(history: History):
    def wrong(state: dict[str, Any], name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return note(
            state, name, {"number": 7 if arguments["number"] == 100 else arguments["number"]}
        )

    found = check_history(history.path, history.sent, wrong)

    assert [(each.rule, each.place) for each in found] == [
        ("state", f"{history.roots[0].address}, version 52")
    ]


def test_something_acknowledged_that_a_store_does_not_have_is_found(history: History):
    heard = history.sent[0]._replace(id="nobody", version=2)
    elsewhere = heard._replace(root=ROOT)

    found = check_history(history.path, [*history.sent, heard, elsewhere])

    assert rules(found) == ["lost", "lost"]
    assert {each.place.split(",")[0] for each in found} == {heard.root.address, ROOT.address}


def test_a_store_that_lost_its_newest_rows_is_found(history: History, tmp_path: Path):
    with Runner(library, in_process=True, store=history.path) as runner:
        backup = tmp_path / "backup.db"
        journal = SqliteJournal(history.path)
        journal.backup(backup)
        journal.close()
        witness = Witness()
        jobs = [Job("note", history.roots[0], {"number": 1})]
        assert [each.ok for each in witness.outcomes(runner.submit(witness.jobs(jobs)))] == [True]

    assert rules(check_history(history.path, witness.sent)) == []
    assert rules(check_history(backup, witness.sent)) == ["lost"]


def test_a_damaged_store_is_found(history: History):
    data = bytearray(history.path.read_bytes())
    for page in range(4096, len(data), 4096):
        data[page + 4000] ^= 1
    history.path.write_bytes(bytes(data))

    assert "readable" in rules(check_history(history.path))


def test_a_journal_that_is_given_stays_open():
    journal = MemoryJournal()

    assert check_history(journal) == []
    assert journal.append(Group([], log=b"x")) == 1


def test_a_witness_counts_what_was_not_heard_of():
    witness = Witness(iter([1.0, 2.0, 3.0]).__next__)
    jobs = [Job("note", ROOT, {}, "a"), Job("note", ROOT), Job("note", "name", {}, "b")]

    assert list(witness.jobs(jobs)) == jobs
    assert witness.sent == [Sent("a", ROOT, 1.0)]
