"""What every journal promises (`registry/journal/port.py`), for each backend."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.errors import (
    DuplicateExecutionError,
    FencedError,
    JournalDamagedError,
    JournalError,
    JournalGapError,
    NotFoundError,
    PrunedError,
)
from registry.ids import EXECUTION_BITS, execution_text, to_uuid
from registry.journal.export import export_lines, import_lines
from registry.journal.memory import MemoryJournal
from registry.journal.port import Checkpoint, Entry, Group, Journal
from registry.journal.transcript import transcribe
from tests.contract.journals import BACKENDS, DEPOT, SHOP, YARD, OnServer, Store, group, part


@pytest.fixture(params=[*BACKENDS, "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return store_of(request.param, request, tmp_path)


def store_of(backend: str, request: pytest.FixtureRequest, folder: Path) -> Store:
    """Return an empty store of a backend."""
    if backend == "postgresql":
        return OnServer(request.getfixturevalue("postgres_server"))
    return BACKENDS[backend](folder)


@pytest.fixture
def journal(store: Store) -> Iterator[Journal]:
    opened = store.open()
    yield opened
    opened.close()


def everything(journal: Journal) -> tuple[object, ...]:
    """Return all that a journal gives to read."""
    catalog = journal.catalog()
    parts = [list(journal.parts(entry.root, entry.branch)) for entry in catalog]
    return catalog, parts, list(journal.logs()), list(journal.check())


# --- append --------------------------------------------------------------------------------------


def test_rows_are_numbered_from_one_without_gaps(journal: Journal) -> None:
    rows = [journal.append(group(part(SHOP, version))) for version in (1, 2, 3)]

    assert rows == [1, 2, 3]


def test_what_is_appended_is_read_as_it_was(journal: Journal) -> None:
    parts = [part(SHOP, 1, 5), part(DEPOT, 1, data=bytes(range(256)) * 64), part(SHOP, 6)]

    journal.append(
        group(
            *parts,
            notes=[(SHOP, 0, 0, b"about the shop")],
            effects=[(SHOP, "one", b"done"), (0, "two", b"")],
            log=b"records",
            epochs={},
        )
    )

    assert journal.catalog() == [
        Entry(SHOP, 0, 0, 6, b"about the shop"),
        Entry(DEPOT, 0, 0, 1, b""),
    ]
    assert list(journal.parts(SHOP, 0)) == [parts[0], parts[2]]
    assert list(journal.parts(DEPOT, 0)) == [parts[1]]
    assert (journal.outcome(SHOP, "one"), journal.outcome(0, "two")) == (b"done", b"")
    assert list(journal.logs()) == [(1, b"records")]
    assert list(journal.check()) == []


def test_a_group_without_commits_is_a_row(journal: Journal) -> None:
    assert journal.append(Group([])) == 1
    assert journal.append(group(effects=[(0, "failed", b"why")])) == 2
    assert list(journal.check()) == []


def test_what_is_stored_is_there_when_the_store_is_opened_again(store: Store) -> None:
    first = store.open()
    first.append(group(part(SHOP, 1, 3), notes=[(SHOP, 0, 0, b"a")], log=b"l"))
    first.put_checkpoint(Checkpoint(SHOP, 0, 2, b"state"))
    before = everything(first)
    if store.is_durable:
        first.close()

    again = store.open()

    assert everything(again) == before
    assert again.checkpoint(SHOP, 0) == Checkpoint(SHOP, 0, 2, b"state")
    assert again.append(group(part(SHOP, 4))) == 2
    again.close()


@pytest.mark.parametrize("first", [1, 3, 5])
def test_a_part_has_to_follow_the_head_of_its_branch(journal: Journal, first: int) -> None:
    journal.append(group(part(SHOP, 1, 3)))
    before = everything(journal)

    with pytest.raises(JournalGapError) as caught:
        journal.append(group(part(DEPOT, 1), part(SHOP, first), log=b"l", epochs={SHOP: 1}))

    error = caught.value
    assert (error.root, error.branch, error.head, error.first) == (str(to_uuid(SHOP)), 0, 3, first)
    assert everything(journal) == before


def test_a_new_branch_begins_at_version_one_or_where_its_note_says(journal: Journal) -> None:
    with pytest.raises(JournalGapError):
        journal.append(group(part(SHOP, 2), epochs={}))

    journal.append(group(part(SHOP, 1, 9)))
    journal.append(group(part(SHOP, 6, branch=1), notes=[(SHOP, 1, 5, b"fork")], epochs={SHOP: 1}))

    assert journal.catalog()[1] == Entry(SHOP, 1, 5, 6, b"fork")
    assert list(journal.parts(SHOP, 1)) == [part(SHOP, 6, branch=1)]
    assert list(journal.check()) == []


def test_a_part_that_ends_before_it_begins_is_refused(journal: Journal) -> None:
    with pytest.raises(JournalGapError):
        journal.append(group(part(SHOP, 1, 0)))

    assert everything(journal) == ([], [], [], [])


# --- epochs --------------------------------------------------------------------------------------


def test_a_root_that_is_new_has_epoch_one(journal: Journal) -> None:
    assert journal.acquire([SHOP], "a host") == {SHOP: 1}

    journal.append(group(part(DEPOT, 1)))

    journal.append(group(part(SHOP, 1), part(DEPOT, 2), epochs={SHOP: 1, DEPOT: 1}))
    assert journal.acquire([DEPOT, SHOP, DEPOT], "another") == {DEPOT: 2, SHOP: 2}


def test_whoever_holds_an_older_epoch_is_refused(journal: Journal) -> None:
    journal.append(group(part(SHOP, 1)))
    journal.acquire([SHOP], "host 2")
    before = everything(journal)

    with pytest.raises(FencedError) as caught:
        journal.append(
            group(
                part(DEPOT, 1),
                part(SHOP, 2),
                effects=[(SHOP, "e", b"")],
                log=b"l",
                epochs={SHOP: 1},
            )
        )

    error = caught.value
    assert (error.root, error.held, error.epoch, error.holder) == (
        str(to_uuid(SHOP)),
        *(1, 2, "host 2"),
    )
    assert everything(journal) == before
    assert journal.outcome(SHOP, "e") is None
    assert journal.append(group(part(SHOP, 2), epochs={SHOP: 2})) == 3


def test_acquiring_is_a_row_that_can_be_missed(journal: Journal) -> None:
    """Else a store that lost it would let the older writer go on."""
    journal.append(group(part(SHOP, 1)))
    journal.acquire([SHOP, DEPOT], "host 2")

    assert journal.append(group(part(SHOP, 2), epochs={SHOP: 2})) == 3
    assert list(journal.check()) == []


def test_a_known_root_is_not_written_without_an_epoch(journal: Journal) -> None:
    journal.append(group(part(SHOP, 1)))

    with pytest.raises(FencedError) as of_part:
        journal.append(group(part(SHOP, 2), epochs={}))
    with pytest.raises(FencedError) as of_note:
        journal.append(group(notes=[(SHOP, 0, 0, b"")]))

    assert (of_part.value.held, of_part.value.epoch) == (0, 1)
    assert (of_note.value.held, of_note.value.epoch) == (0, 1)


def test_an_epoch_that_nobody_gave_is_refused(journal: Journal) -> None:
    with pytest.raises(FencedError):
        journal.append(group(part(SHOP, 1), epochs={SHOP: 2}))

    journal.append(group(part(SHOP, 1), epochs={SHOP: 1}))


def test_an_epoch_is_that_of_all_branches_of_a_root(journal: Journal) -> None:
    journal.append(group(part(SHOP, 1), notes=[(SHOP, 1, 1, b"fork")]))
    journal.acquire([SHOP], "host 2")

    with pytest.raises(FencedError):
        journal.append(group(part(SHOP, 2, branch=1), epochs={SHOP: 1}))

    journal.append(group(part(SHOP, 2, branch=1), epochs={SHOP: 2}))


def test_an_effect_alone_gives_nobody_an_epoch(journal: Journal) -> None:
    journal.append(group(effects=[(SHOP, "one", b"1")]))

    assert journal.append(group(effects=[(SHOP, "two", b"2")])) == 2
    assert journal.append(group(part(SHOP, 1))) == 3
    assert journal.acquire([SHOP], "a host") == {SHOP: 2}


def test_an_epoch_is_checked_for_effects_if_it_is_given(journal: Journal) -> None:
    journal.append(group(part(SHOP, 1)))
    journal.acquire([SHOP], "host 2")

    with pytest.raises(FencedError):
        journal.append(group(effects=[(SHOP, "one", b"1")], epochs={SHOP: 1}))

    assert journal.outcome(SHOP, "one") is None


# --- effects -------------------------------------------------------------------------------------


def test_an_execution_is_stored_once_per_root(journal: Journal) -> None:
    journal.append(group(part(SHOP, 1), effects=[(SHOP, "e", b"first")]))
    before = everything(journal)

    with pytest.raises(DuplicateExecutionError) as caught:
        journal.append(
            group(part(SHOP, 2), effects=[(SHOP, "new", b""), (SHOP, "e", b"second")], log=b"l")
        )

    assert (caught.value.root, caught.value.execution_id) == (str(to_uuid(SHOP)), "e")
    assert everything(journal) == before
    assert (journal.outcome(SHOP, "e"), journal.outcome(SHOP, "new")) == (b"first", None)
    journal.append(group(part(SHOP, 2), effects=[(DEPOT, "e", b"elsewhere"), (0, "e", b"none")]))
    assert journal.outcome(DEPOT, "e") == b"elsewhere"


def test_an_execution_that_comes_twice_in_a_group_is_refused(journal: Journal) -> None:
    with pytest.raises(DuplicateExecutionError) as caught:
        journal.append(group(part(SHOP, 1), effects=[(0, "a", b""), (0, "b", b""), (0, "a", b"")]))

    assert caught.value.execution_id == "a"
    assert everything(journal) == ([], [], [], [])


def test_many_outcomes_are_asked_for_at_once(journal: Journal) -> None:
    ids = [f"order-{number}" for number in range(1200)]
    journal.append(group(effects=[(SHOP, each, each.encode()) for each in ids[::2]]))
    journal.append(group(effects=[(DEPOT, each, b"elsewhere") for each in ids]))

    assert journal.outcomes(SHOP, ids) == {each: each.encode() for each in ids[::2]}
    assert journal.outcomes(SHOP, []) == {}
    assert journal.outcomes(YARD, ids) == {}
    assert journal.outcomes(0, ids) == {}


@pytest.mark.parametrize("execution_id", ["", "a\0b", "\ud800", "Ω≈ç√", "x" * 10_000])
def test_any_text_is_an_execution_id(journal: Journal, execution_id: str) -> None:
    journal.append(group(effects=[(SHOP, execution_id, b"outcome"), (SHOP, "other", b"another")]))

    assert journal.outcome(SHOP, execution_id) == b"outcome"
    assert list(journal.check()) == []


COUNT = 7 << EXECUTION_BITS
"""Where somebody began to count."""


def counted(root: int, *indexes: int, since: int = COUNT) -> tuple[int, list[int], list[bytes]]:
    """Return a series with an outcome for each."""
    return root, [since + each for each in indexes], [b"out\n%d" % each for each in indexes]


def texts(*indexes: int, since: int = COUNT) -> list[str]:
    return [f"{since + each:x}" for each in indexes]


def test_what_is_counted_is_found_by_the_text_of_its_number(journal: Journal) -> None:
    journal.append(group(part(SHOP, 1), series=[counted(SHOP, 0, 2, 5), counted(DEPOT, 1, 3)]))
    journal.append(group(series=[counted(SHOP, 6, 9, 1 << 33), counted(0, 4)]))
    journal.append(group(series=[counted(SHOP, 0, 1, since=COUNT * 2)]))

    asked = [*texts(*range(10), 1 << 33), *texts(0, 1, since=COUNT * 2), "5", "no number"]
    assert journal.outcomes(SHOP, asked) == {
        **{text: b"out\n%d" % at for at, text in zip((0, 2, 5), texts(0, 2, 5), strict=True)},
        **{text: b"out\n%d" % at for at, text in zip((6, 9), texts(6, 9), strict=True)},
        texts(1 << 33)[0]: b"out\n%d" % (1 << 33),
        **{text: b"out\n%d" % at for at, text in enumerate(texts(0, 1, since=COUNT * 2))},
    }
    assert journal.outcomes(0, asked) == {texts(4)[0]: b"out\n4"}
    assert journal.outcome(DEPOT, texts(3)[0]) == b"out\n3"
    assert journal.outcome(YARD, texts(3)[0]) is None
    assert list(journal.check()) == []


def test_series_may_lie_in_each_other(journal: Journal) -> None:
    """What had to wait has a low number, and comes late."""
    journal.append(group(series=[counted(SHOP, 10, 20, 30)]))
    journal.append(group(series=[counted(SHOP, 5, 40)]))
    journal.append(group(series=[counted(SHOP, 11, 12), counted(SHOP, 1)]))

    found = journal.outcomes(SHOP, texts(*range(50)))

    assert list(found) != []
    assert found == {
        text: b"out\n%d" % at
        for at, text in enumerate(texts(*range(50)))
        if at in (1, 5, 10, 11, 12, 20, 30, 40)
    }


@pytest.mark.parametrize("again", [(0,), (5,), (1, 2, 3), (0, 2, 5), (4, 5, 6)])
def test_what_is_counted_is_stored_once_per_root(journal: Journal, again: tuple[int, ...]) -> None:
    journal.append(group(part(SHOP, 1), series=[counted(SHOP, 0, 2, 5)]))
    before = everything(journal)

    with pytest.raises(DuplicateExecutionError) as caught:
        journal.append(group(part(SHOP, 2), series=[counted(SHOP, *again)], log=b"l"))

    first = next(each for each in (0, 2, 5) if each in again)
    assert (caught.value.root, caught.value.execution_id) == (str(to_uuid(SHOP)), *texts(first))
    assert everything(journal) == before
    journal.append(group(series=[counted(DEPOT, *again), counted(0, *again)]))


def test_what_is_counted_twice_in_a_group_is_refused(journal: Journal) -> None:
    with pytest.raises(DuplicateExecutionError) as caught:
        journal.append(group(series=[counted(SHOP, 1, 4), counted(SHOP, 2, 4)]))

    assert caught.value.execution_id == texts(4)[0]
    assert everything(journal) == ([], [], [], [])


def test_an_id_that_is_the_text_of_a_number_names_what_was_counted(journal: Journal) -> None:
    journal.append(group(series=[counted(SHOP, 3)]))

    with pytest.raises(DuplicateExecutionError):
        journal.append(group(effects=[(SHOP, texts(3)[0], b"")]))
    journal.append(group(effects=[(SHOP, texts(4)[0], b"given")]))
    assert journal.outcomes(SHOP, texts(3, 4)) == dict(
        zip(texts(3, 4), (b"out\n3", b"given"), strict=True)
    )


def test_errors_are_found_in_one_order(journal: Journal) -> None:
    """First who may write, then whether it follows, then whether it was there."""
    journal.append(group(part(SHOP, 1), effects=[(SHOP, "e", b"")]))

    with pytest.raises(FencedError):
        journal.append(group(part(SHOP, 9), effects=[(SHOP, "e", b"")], epochs={}))
    with pytest.raises(JournalGapError):
        journal.append(group(part(SHOP, 9), effects=[(SHOP, "e", b"")]))


# --- catalog -------------------------------------------------------------------------------------


def test_the_catalog_of_some_roots_is_that_part_of_all(journal: Journal) -> None:
    journal.append(group(part(SHOP, 1), part(DEPOT, 1), notes=[(SHOP, 1, 1, b"fork")]))
    journal.append(group(part(YARD, 1), part(SHOP, 2, branch=1)))

    everyone = journal.catalog()

    for wanted in ([], [SHOP], [YARD, SHOP], [12345, DEPOT], range(5_000)):
        some = [entry for entry in everyone if entry.root in {*wanted}]
        assert journal.catalog(wanted) == some
    assert [(entry.root, entry.branch) for entry in journal.catalog({YARD, SHOP})] == [
        *((SHOP, 1), (SHOP, 0), (YARD, 0)),
    ]


def test_the_catalog_has_the_oldest_branch_first(journal: Journal) -> None:
    journal.append(group(part(YARD, 1), part(DEPOT, 1)))
    journal.append(group(part(SHOP, 1), part(YARD, 2)))

    assert [entry.root for entry in journal.catalog()] == [YARD, DEPOT, SHOP]


def test_the_newest_note_counts(journal: Journal) -> None:
    journal.append(group(part(SHOP, 1), notes=[(SHOP, 0, 0, b"a"), (SHOP, 0, 0, b"b")]))
    assert journal.catalog() == [Entry(SHOP, 0, 0, 1, b"b")]

    journal.append(group(notes=[(SHOP, 0, 0, b"c")], epochs={SHOP: 1}))

    assert journal.catalog() == [Entry(SHOP, 0, 0, 1, b"c")]
    assert list(journal.check()) == []


def test_a_branch_without_commits_is_in_the_catalog(journal: Journal) -> None:
    journal.append(group(part(SHOP, 1, 4)))
    journal.append(group(notes=[(SHOP, 1, 3, b"fork")], epochs={SHOP: 1}))

    assert journal.catalog()[1] == Entry(SHOP, 1, 3, 3, b"fork")
    assert list(journal.parts(SHOP, 1)) == []
    assert list(journal.check()) == []


def test_an_empty_note_takes_the_branch_out_with_all_it_had(journal: Journal) -> None:
    journal.append(group(part(SHOP, 1, 4), part(DEPOT, 1), effects=[(SHOP, "e", b"o")]))
    journal.put_checkpoint(Checkpoint(SHOP, 0, 3, b"state"))

    journal.append(group(part(SHOP, 5), notes=[(SHOP, 0, 0, b"")]))

    assert [entry.root for entry in journal.catalog()] == [DEPOT]
    assert list(journal.parts(SHOP, 0)) == []
    assert journal.checkpoint(SHOP, 0) is None
    assert list(journal.check()) == []


def test_what_was_taken_out_keeps_its_outcomes_and_its_epoch(journal: Journal) -> None:
    journal.append(group(part(SHOP, 1), effects=[(SHOP, "e", b"o")]))
    journal.acquire([SHOP], "host 2")
    journal.append(group(notes=[(SHOP, 0, 0, b"")], epochs={SHOP: 2}))

    assert journal.outcome(SHOP, "e") == b"o"
    assert journal.acquire([SHOP], "host 3") == {SHOP: 3}


def test_a_branch_that_was_taken_out_can_begin_anew(journal: Journal) -> None:
    journal.append(group(part(SHOP, 1, 4), notes=[(SHOP, 0, 0, b"old")]))
    journal.append(group(notes=[(SHOP, 0, 0, b"")], epochs={SHOP: 1}))

    journal.append(group(part(SHOP, 1, 2), notes=[(SHOP, 0, 0, b"new")], epochs={SHOP: 1}))

    assert journal.catalog() == [Entry(SHOP, 0, 0, 2, b"new")]
    assert list(journal.parts(SHOP, 0)) == [part(SHOP, 1, 2)]
    assert list(journal.check()) == []


def test_a_branch_may_come_and_go_in_one_group(journal: Journal) -> None:
    journal.append(group(part(SHOP, 1), notes=[(SHOP, 0, 0, b"a"), (SHOP, 0, 0, b"")]))

    assert journal.catalog() == []
    assert list(journal.check()) == []


# --- parts ---------------------------------------------------------------------------------------


def test_parts_are_those_that_hold_the_versions_asked_for(journal: Journal) -> None:
    """The first may begin earlier and the last end later."""
    parts = [part(SHOP, 1, 3), part(SHOP, 4, 6), part(SHOP, 7, 9)]
    for each in parts:
        journal.append(group(each, part(DEPOT, each.first, each.last)))

    found = {
        (after, until): list(journal.parts(SHOP, 0, after, until))
        for after in range(11)
        for until in (*range(1, 11), None)
    }

    assert found == {
        (after, until): [
            each
            for each in parts
            if set(range(each.first, each.last + 1)) & set(range(after + 1, (until or 9) + 1))
        ]
        for after, until in found
    }


def test_parts_of_a_branch_that_is_not_there_are_none(journal: Journal) -> None:
    assert list(journal.parts(SHOP, 0)) == []
    assert list(journal.parts(SHOP, 0, 3, 9)) == []


def test_many_parts_are_read_in_order(journal: Journal) -> None:
    journal.append(group(*[part(SHOP, version) for version in range(1, 101)], epochs={}))

    assert list(journal.parts(SHOP, 0, 10, 95)) == [
        part(SHOP, version) for version in range(11, 96)
    ]


def test_reading_goes_on_while_others_write(journal: Journal) -> None:
    """A reader gets what was there when it began to read."""
    journal.append(group(*[part(SHOP, version) for version in range(1, 101)], epochs={}))
    reading = journal.parts(SHOP, 0)
    begun = [next(reading)]

    journal.append(group(part(SHOP, 101)))

    assert [each.first for each in (*begun, *reading)] == list(range(1, 101))


# --- logs ----------------------------------------------------------------------------------------


def test_logs_come_newest_first(journal: Journal) -> None:
    for number in range(1, 41):
        journal.append(group(part(SHOP, number), log=b"%d" % number if number % 3 else b""))

    expected = [(row, b"%d" % row) for row in range(40, 0, -1) if row % 3]
    assert list(journal.logs()) == expected
    assert list(journal.logs(before=8)) == expected[-5:]
    assert list(journal.logs(before=1)) == []


def test_forgotten_logs_leave_the_chain_whole(journal: Journal) -> None:
    for number in range(1, 6):
        journal.append(group(part(SHOP, number), log=b"" if number == 2 else b"log"))

    assert journal.forget_logs(4) == 2

    assert [row for row, _ in journal.logs()] == [5, 4]
    assert journal.forget_logs(3) == 0
    assert list(journal.check()) == []
    assert journal.append(group(part(SHOP, 6), log=b"log")) == 6
    assert journal.forget_logs(1000) == 3
    journal.append(group(part(SHOP, 7), log=b"log"))
    assert list(journal.logs()) == [(7, b"log")]
    assert list(journal.check()) == []


# --- checkpoints and forgetting ------------------------------------------------------------------


def test_a_checkpoint_is_the_newest_up_to_a_version(journal: Journal) -> None:
    journal.append(group(part(SHOP, 1, 9), part(DEPOT, 1, 9)))
    for version in (6, 2, 4):
        journal.put_checkpoint(Checkpoint(SHOP, 0, version, b"at %d" % version))

    found = [journal.checkpoint(SHOP, 0, at) for at in (None, 9, 6, 5, 4, 2, 1, 0)]

    assert [each and each.version for each in found] == [6, 6, 6, 4, 4, 2, None, None]
    assert found[0] == Checkpoint(SHOP, 0, 6, b"at 6")
    assert journal.checkpoint(DEPOT, 0) is None
    assert list(journal.check()) == []


def test_a_checkpoint_takes_the_place_of_one_at_its_version(journal: Journal) -> None:
    journal.append(group(part(SHOP, 1)))
    journal.put_checkpoint(Checkpoint(SHOP, 0, 1, b"a"))

    journal.put_checkpoint(Checkpoint(SHOP, 0, 1, b"b"))

    assert journal.checkpoint(SHOP, 0) == Checkpoint(SHOP, 0, 1, b"b")
    assert list(journal.check()) == []


@pytest.mark.parametrize(("root", "version"), [(SHOP, 4), (DEPOT, 1)])
def test_a_checkpoint_is_of_a_version_that_is_stored(
    journal: Journal, root: int, version: int
) -> None:
    journal.append(group(part(SHOP, 1, 3)))

    with pytest.raises(NotFoundError) as caught:
        journal.put_checkpoint(Checkpoint(root, 0, version, b""))

    assert str(to_uuid(root)) in caught.value.what
    assert caught.value.where == journal.name


def test_what_only_older_versions_need_is_let_go(journal: Journal) -> None:
    parts = [part(SHOP, 1, 3), part(SHOP, 4, 6), part(SHOP, 7, 9)]
    for each in parts:
        journal.append(group(each, part(DEPOT, each.first, each.last)))
    for version in (2, 5, 8):
        journal.put_checkpoint(Checkpoint(SHOP, 0, version, b"state"))

    assert journal.forget(SHOP, 0, 5) == 2

    assert list(journal.parts(SHOP, 0, 5)) == parts[1:]
    assert [journal.checkpoint(SHOP, 0, at) is None for at in (4, 5)] == [True, False]
    with pytest.raises(PrunedError) as caught:
        list(journal.parts(SHOP, 0, 4))
    assert (caught.value.version, caught.value.oldest) == (5, 5)
    assert len(list(journal.parts(DEPOT, 0))) == 3
    assert list(journal.check()) == []


def test_forgetting_twice_lets_go_of_nothing_more(journal: Journal) -> None:
    journal.append(group(part(SHOP, 1, 3)))
    journal.put_checkpoint(Checkpoint(SHOP, 0, 3, b"state"))

    assert [journal.forget(SHOP, 0, before) for before in (3, 3, 2)] == [1, 0, 0]

    assert list(journal.parts(SHOP, 0, 3)) == []
    assert journal.append(group(part(SHOP, 4))) == 2
    assert list(journal.parts(SHOP, 0, 3)) == [part(SHOP, 4)]
    assert list(journal.check()) == []


def test_nothing_is_let_go_without_a_checkpoint_to_read_on_from(journal: Journal) -> None:
    journal.append(group(part(SHOP, 1, 3)))
    journal.put_checkpoint(Checkpoint(SHOP, 0, 2, b"state"))

    with pytest.raises(NotFoundError):
        journal.forget(SHOP, 0, 3)

    assert list(journal.parts(SHOP, 0)) == [part(SHOP, 1, 3)]
    assert journal.forget(DEPOT, 0, 3) == 0


# --- the whole -----------------------------------------------------------------------------------


def test_a_closed_journal_refuses_everything_but_closing(journal: Journal) -> None:
    journal.append(group(part(SHOP, 1)))

    journal.close()
    journal.close()

    for call in (
        lambda: journal.append(Group([])),
        lambda: journal.acquire([SHOP], ""),
        journal.catalog,
        lambda: list(journal.parts(SHOP, 0)),
        lambda: journal.outcome(SHOP, ""),
        lambda: journal.outcomes(SHOP, [""]),
        lambda: list(journal.logs()),
        lambda: journal.put_checkpoint(Checkpoint(SHOP, 0, 1, b"")),
        lambda: journal.checkpoint(SHOP, 0),
        lambda: journal.forget(SHOP, 0, 1),
        lambda: journal.forget_logs(1),
        lambda: list(journal.check()),
    ):
        with pytest.raises(JournalError) as caught:
            call()
        assert (caught.value.store, caught.value.problem) == (journal.name, "is closed")


def test_any_thread_may_call(journal: Journal) -> None:
    """Each thread writes a root of its own and reads all of it; rows are numbered once."""
    rows: list[int] = []

    def work(root: int) -> None:
        for version in range(1, 21):
            rows.append(
                journal.append(group(part(root, version), effects=[(root, f"{version}", b"")]))
            )
            assert len(list(journal.parts(root, 0))) == version

    threads = [threading.Thread(target=work, args=(root,)) for root in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(rows) == list(range(1, 81))
    assert [entry.head for entry in journal.catalog()] == [20, 20, 20, 20]
    assert list(journal.check()) == []


# --- stored, restore -----------------------------------------------------------------------------


def fill(journal: Journal) -> None:
    """Store something of every kind, and let go of some of it."""
    journal.append(
        group(
            *(part(SHOP, 1, 3), part(DEPOT, 1, data=b"P[1,2.5]")),
            notes=[(SHOP, 0, 0, b'["Shop"]'), (DEPOT, 0, 0, b"first")],
            effects=[(YARD, "no tree", b"[1,2]"), (SHOP, "\ud800", b""), (0, "x" * 3000, b"\xff")],
            log=b"log 1",
        )
    )
    journal.append(
        group(
            *(part(SHOP, 4, 5), part(SHOP, 3, branch=2)),
            notes=[(SHOP, 2, 2, b"fork")],
            series=[counted(SHOP, 0, 2, 5), counted(0, 4), counted(YARD, 7)],
        )
    )
    journal.acquire([DEPOT, SHOP], "host \ud800")
    fork = group(
        part(SHOP, 4, branch=2),
        notes=[(SHOP, 2, 2, b""), (DEPOT, 0, 0, b"second")],
        effects=[(SHOP, "b", b"two"), (DEPOT, "a", b"one")],
        log=b"log 4",
        epochs={SHOP: 2, DEPOT: 2},
    )
    journal.append(fork)
    again = group(
        part(SHOP, 6, branch=2), notes=[(SHOP, 2, 5, b"anew")], log=b"log 5", epochs={SHOP: 2}
    )
    journal.append(again)
    for version in (2, 5):
        journal.put_checkpoint(Checkpoint(SHOP, 0, version, b"state %d" % version))
    journal.put_checkpoint(Checkpoint(SHOP, 2, 6, b"branch"))
    journal.forget(SHOP, 0, 2)
    journal.forget_logs(4)


def held(journal: Journal) -> tuple[object, ...]:
    """Return all that a journal gives to read, where some was let go."""
    catalog = journal.catalog()
    parts = [list(journal.parts(each.root, each.branch, min(2, each.head))) for each in catalog]
    return catalog, parts, list(journal.logs()), list(journal.check())


def exported(journal: Journal) -> list[bytes]:
    with journal.stored() as stored:
        return list(export_lines(transcribe(stored)))


def test_a_store_is_restored_from_another(journal: Journal) -> None:
    """It is the same one: what it holds, who may write, how it goes on."""
    there = MemoryJournal(clock=lambda: 0.0)
    fill(there)

    with there.stored() as stored:
        journal.restore(transcribe(stored))

    assert held(journal) == held(there)
    assert exported(journal) == exported(there)
    assert journal.outcome(SHOP, "\ud800") == b""
    assert journal.outcome(0, "x" * 3000) == b"\xff"
    assert journal.outcome(YARD, "no tree") == b"[1,2]"
    for root, number in ((SHOP, 2), (SHOP, 3), (0, 4), (YARD, 7)):
        text = execution_text(COUNT + number)
        assert journal.outcome(root, text) == there.outcome(root, text)
    for version in (2, 5, 6):
        assert journal.checkpoint(SHOP, 0, version) == there.checkpoint(SHOP, 0, version)
    assert journal.checkpoint(SHOP, 2) == Checkpoint(SHOP, 2, 6, b"branch")
    for each in (journal, there):
        with pytest.raises(PrunedError):
            list(each.parts(SHOP, 0))
        with pytest.raises(FencedError) as caught:
            each.append(group(part(SHOP, 6)))
        assert (caught.value.epoch, caught.value.holder) == (2, "host \ud800")
        assert each.append(group(part(SHOP, 6), part(YARD, 1), epochs={SHOP: 2})) == 6
        assert each.acquire([YARD, SHOP], "next") == {YARD: 2, SHOP: 3}
    assert held(journal) == held(there)


def test_what_a_store_gives_is_restored_in_another(journal: Journal) -> None:
    there = MemoryJournal()
    fill(journal)

    with journal.stored() as stored:
        there.restore(transcribe(stored))

    assert held(there) == held(journal)
    assert exported(there) == exported(journal)


def test_a_restored_store_is_there_when_it_is_opened_again(store: Store) -> None:
    there = MemoryJournal(clock=lambda: 0.0)
    fill(there)
    first = store.open()
    with there.stored() as stored:
        first.restore(transcribe(stored))
    if store.is_durable:
        first.close()

    again = store.open()

    assert held(again) == held(there)
    assert exported(again) == exported(there)
    again.close()


def test_what_is_stored_is_told_by_the_same_lines_everywhere(journal: Journal) -> None:
    there = MemoryJournal(clock=lambda: 0.0)
    for each in (journal, there):
        fill(each)

    found, expected = ([*map(json.loads, exported(each))] for each in (journal, there))

    for lines in (found, expected):
        for line in lines:
            for chance in ("sum", "digest", "store"):  # identity, and what is made over it
                line.pop(chance, None)
    assert found == expected


def test_a_store_with_rows_is_not_overwritten(journal: Journal) -> None:
    there = MemoryJournal()
    fill(there)
    journal.append(group(part(YARD, 1)))
    before = held(journal)

    with there.stored() as stored, pytest.raises(JournalError, match="has 1 rows already"):
        journal.restore(transcribe(stored))

    assert held(journal) == before


def test_a_transcript_that_fails_leaves_nothing(journal: Journal) -> None:
    there = MemoryJournal()
    fill(there)
    with there.stored() as stored:
        whole = transcribe(stored)
        with pytest.raises(JournalDamagedError):
            journal.restore(whole._replace(checkpoints=failing(whole.checkpoints)))
    assert (held(journal), journal.outcome(SHOP, "b")) == (([], [], [], []), None)

    with there.stored() as stored:
        journal.restore(transcribe(stored))

    assert held(journal) == held(there)


def failing(checkpoints: Iterator[Checkpoint]) -> Iterator[Checkpoint]:
    """Yield checkpoints; fail in place of the end."""
    yield from checkpoints
    raise JournalDamagedError("the end", "is not there")


def test_an_empty_store_is_restored(journal: Journal) -> None:
    there = MemoryJournal()
    with there.stored() as stored:
        journal.restore(transcribe(stored))

    assert exported(journal) == exported(there)
    assert journal.append(group(part(SHOP, 1))) == 1
    assert list(journal.check()) == []


def test_what_is_stored_is_of_one_moment_while_others_write(journal: Journal) -> None:
    fill(journal)
    before = exported(journal)

    with journal.stored() as stored:
        lines = export_lines(transcribe(stored))
        found = [next(lines)]
        epochs = {SHOP: 2, DEPOT: 2}
        journal.append(
            group(part(SHOP, 6), effects=[(SHOP, "new", b"")], log=b"new", epochs=epochs)
        )
        journal.put_checkpoint(Checkpoint(SHOP, 0, 6, b"new"))
        journal.forget(SHOP, 0, 6)
        journal.append(group(notes=[(DEPOT, 0, 0, b"")], epochs=epochs))
        journal.forget_logs(100)
        found += lines

    assert found == before
    assert exported(journal) != before


def test_what_is_exported_while_others_append_is_a_prefix(journal: Journal) -> None:
    journal.append(group(part(SHOP, 1)))
    count = 150

    def append() -> None:
        for version in range(2, count):
            effects = [(SHOP, f"{version}", b"done"), (YARD, f"{version}", b"done")]
            journal.append(group(part(SHOP, version), effects=effects, log=b"log"))

    writer = threading.Thread(target=append)
    writer.start()
    found: list[list[bytes]] = []
    while not found or writer.is_alive():
        found.append(exported(journal))
    writer.join()
    whole = MemoryJournal()
    with journal.stored() as stored:
        whole.restore(transcribe(stored))
    parts = list(whole.parts(SHOP, 0))
    assert len(parts) == count - 1

    for lines in found:
        again = MemoryJournal()
        again.restore(import_lines(lines, "lines"))
        assert list(again.check()) == []
        there = list(again.parts(SHOP, 0))
        assert there == parts[: len(there)]
