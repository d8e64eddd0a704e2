"""A store as lines: the same store again, or an error that names the line; the lines are plain."""

from __future__ import annotations

import json
import pickle
import random
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from registry import Entity, Workspace
from registry.errors import ExportDamagedError, JournalDamagedError, JournalError, PrunedError
from registry.ids import EXECUTION_BITS
from registry.journal import journaled_tree
from registry.journal.compaction import compact
from registry.journal.effects import EffectRow
from registry.journal.export import (
    _read_data,
    _read_effect,
    _Sums,
    _text,
    _write_data,
    _write_effect,
    export_lines,
    import_lines,
)
from registry.journal.histories import check_histories
from registry.journal.memory import MemoryJournal
from registry.journal.port import Checkpoint, Journal
from registry.journal.sqlite import SqliteJournal
from registry.journal.store import restore_to
from registry.journal.transcript import transcribe
from registry.retention import Retention
from tests.contract.journals import DEPOT, SHOP, YARD, group, part


class Till(Entity):
    """A root that is sold from."""

    total: float = 0.0
    names: list[str] = Field(default_factory=list)


def selling(store: Path | Journal) -> Workspace:
    workspace = Workspace(store=store)

    @workspace.register("sell")
    def sell(till: Till, price: float) -> float:
        till.total += price
        till.names.append("Ω")
        return till.total

    return workspace


def exported(journal: Journal) -> list[bytes]:
    with journal.stored() as stored:
        return list(export_lines(transcribe(stored)))


def imported(lines: list[bytes]) -> MemoryJournal:
    journal = MemoryJournal()
    journal.restore(import_lines(lines, "flights.jsonl"))
    return journal


def refused(lines: list[bytes]) -> ExportDamagedError:
    """Return the error of lines, of which nothing is stored."""
    journal = MemoryJournal()
    with pytest.raises(ExportDamagedError) as caught:
        journal.restore(import_lines(lines, "flights.jsonl"))
    assert journal.catalog() == []
    assert journal.append(group(part(SHOP, 1))) == 1
    return caught.value


def sealed(lines: list[bytes]) -> list[bytes]:
    """Return lines with the sums that they should have: whoever wrote them meant it."""
    seal = _Sums().seal
    told = [json.loads(line) for line in lines]
    return [seal({name: each for name, each in one.items() if name != "sum"}) for one in told]


@pytest.fixture
def journal() -> MemoryJournal:
    """Return a journal with something of every kind."""
    journal = MemoryJournal(clock=lambda: 1.5)
    about, log = b'["Shop","shop",-1]', b"Z" + zlib.compress(b"[1,0,[7,8]]", 1)
    journal.append(
        group(
            *(part(SHOP, 1, 3, data=log), part(DEPOT, 1, data=b"P[2.5]")),
            notes=[(SHOP, 0, 0, about)],
            effects=[(SHOP, "sale-1", b"[3,1]"), (0, "\ud800", b"")],
            log=log,
        )
    )
    journal.acquire([DEPOT], "host 2")
    journal.append(group(part(SHOP, 4, 6, data=b"\xff"), log=b'{"a": 1}'))
    journal.put_checkpoint(Checkpoint(SHOP, 0, 4, b'P["state"]'))
    return journal


def test_lines_are_plain_json_that_says_what_the_store_holds(journal: MemoryJournal) -> None:
    head, shop, depot, writer, other, first, second, third, checkpoint, end = [
        json.loads(line) for line in exported(journal)
    ]

    shop_id, depot_id = shop["root"], depot["root"]
    del head["store"], head["digest"], head["sum"]
    assert head == {
        "treerunner": "store",
        "version": 1,
        "rows": 3,
        "branches": 2,
        "roots": 2,
        "logs_before": 0,
    }
    assert (shop["head"], shop["about"]) == (6, {"json": ["Shop", "shop", -1]})
    assert {writer["root"], other["root"]} == {shop_id, depot_id}
    assert {(each["epoch"], each["holder"]) for each in (writer, other)} == {(1, ""), (2, "host 2")}
    assert [each["data"].get("json") for each in first["parts"]] == [[1, 0, [7, 8]], [2.5]]
    assert first["log"]["data"]["json"] == [1, 0, [7, 8]]
    assert first["effects"] == [
        {"root": None, "id": {"base64": "7aCA"}, "outcome": {"base64": ""}},
        {"root": shop_id, "id": "sale-1", "outcome": {"json": [3, 1]}},
    ]
    assert {name: each for name, each in second.items() if name not in ("sum", "digest")} == {
        "row": 2,
        "epochs": {depot_id: 2},
    }
    assert third["parts"][0]["data"] == {"base64": "/w=="}
    assert third["log"]["data"] == {"base64": "eyJhIjogMX0="}
    assert (checkpoint["checkpoint"], checkpoint["data"]["json"]) == (4, ["state"])
    assert end["end"] == 10


def test_what_was_counted_is_found_by_its_ids(journal: MemoryJournal) -> None:
    first = 3 << EXECUTION_BITS
    numbers, outcomes = [first, first + 7], [b"[1,1]", b"\xff"]
    journal.append(group(series=[(SHOP, numbers, outcomes), (0, numbers[:1], [b"null"])]))
    lines = exported(journal)

    row = next(told for line in lines if (told := json.loads(line)).get("row") == 4)
    outside, inside = row["effects"]
    assert (outside["root"], outside["outcomes"]) == (None, {f"{first:x}": {"json": None}})
    assert inside["outcomes"] == {
        f"{first:x}": {"json": [1, 1]},
        f"{first + 7:x}": {"base64": "/w=="},
    }
    again = imported(lines)
    assert exported(again) == lines
    assert again.outcome(SHOP, f"{first + 7:x}") == b"\xff"


def test_a_series_that_holds_none_is_only_bytes() -> None:
    row = EffectRow(SHOP, b"\xffkey", b"\xffdata")

    written = json.loads(_text(_write_effect(row)))

    assert written["id"] == {"base64": "/2tleQ=="}
    assert _read_effect(written) == row


def test_a_store_from_lines_gives_the_same_lines(journal: MemoryJournal) -> None:
    lines = exported(journal)

    again = imported(lines)

    assert exported(again) == lines
    assert again.catalog() == journal.catalog()
    assert list(again.check()) == []


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"P", b"Z", b"null", b"P[]", b"[1, 2]", b"NaN", b"P[NaN]", b"[1e999]", b"[-0.0]"),
        *(b"1e16", b"1e+16", b"[" * 5000 + b"]" * 5000, b'{"a":1,"a":2}', b'"\xc3\xa9"'),
        *(b'"\\u00e9"', b'"\\ud800"', b"\xff", b"9" * 5000, b"Zjunk", b'"\xe2\x80\xa8\x7f"'),
        *(b"Z" + zlib.compress(text) for text in (b"[1]", b"[1, 2]", b"", b"\xff", b"[NaN]")),
        b"Z" + zlib.compress(b"[1]") + b"trailing",
        b"Z" + zlib.compress(b"[1]" * 99, 9)[:-1],
        *(b'{"json":1}', b'{"base64":""}', b'P{"zlib":"","packed":"P"}'),
    ],
)
def test_any_bytes_come_back_as_they_were(data: bytes) -> None:
    journal = MemoryJournal()
    journal.append(
        group(part(SHOP, 1, data=data or b"x"), effects=[(SHOP, "a", data)], log=data or b"x")
    )
    journal.put_checkpoint(Checkpoint(SHOP, 0, 1, data))
    lines = exported(journal)

    again = imported(lines)

    assert exported(again) == lines
    assert again.outcome(SHOP, "a") == data
    assert again.checkpoint(SHOP, 0) == Checkpoint(SHOP, 0, 1, data)
    for line in lines:
        assert b"NaN" not in line
        assert line.count(b"\n") == 1


@given(st.binary())
def test_any_bytes_at_all_do(data: bytes) -> None:
    for each in (data, b"P" + data, b"Z" + data, b"Z" + zlib.compress(data)):
        assert _read_data(json.loads(_text(_write_data(each)))) == each


def test_another_build_of_zlib_changes_neither_file_nor_store(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is deflated again, neither to write a line nor to read it."""
    lines = exported(journal)
    monkeypatch.setattr(zlib, "compress", None)

    again = imported(lines)

    assert exported(again) == lines


@pytest.mark.parametrize("count", range(10))
def test_a_file_cut_after_any_line_is_refused(journal: MemoryJournal, count: int) -> None:
    error = refused(exported(journal)[:count])

    assert (error.file, error.line) == ("flights.jsonl", count + 1)
    assert ("is missing" if count else "no beginning") in error.found


def test_a_file_cut_at_any_byte_is_refused_with_that_line(journal: MemoryJournal) -> None:
    lines = exported(journal)
    whole = b"".join(lines)
    for at in range(0, len(whole) - 1, 7):
        cut = whole[:at].splitlines(keepends=True)
        error = refused(cut)
        assert error.line == len(cut) + (not cut or cut[-1] == lines[len(cut) - 1])


def test_a_flipped_bit_is_refused_with_its_line(journal: MemoryJournal) -> None:
    lines = exported(journal)
    dice = random.Random(4)
    for _ in range(600):
        number = dice.randrange(len(lines))
        line = bytearray(lines[number])
        line[dice.randrange(len(line) - 1)] ^= 1 << dice.randrange(8)
        # A flip may make an end of a line.
        damaged = b"".join([*lines[:number], line, *lines[number + 1 :]])
        error = refused([each + b"\n" for each in damaged.split(b"\n")[:-1]])
        assert error.line == number + 1


@pytest.mark.parametrize("number", range(1, 10))
def test_a_line_that_is_missing_or_there_twice_is_refused(
    journal: MemoryJournal, number: int
) -> None:
    lines = exported(journal)
    line = lines[number]
    others = lines[:number] + lines[number + 1 :]

    assert refused(others).line == number + 1
    assert refused([*lines[: number + 1], line, *lines[number + 1 :]]).line == number + 2


def test_a_line_of_another_file_is_refused(journal: MemoryJournal) -> None:
    other = MemoryJournal()
    other.append(group(part(SHOP, 1)))
    lines = exported(journal)

    error = refused([*lines[:-1], exported(other)[-1]])

    assert (error.line, "is not what was written" in error.found) == (10, True)


FORGED = {
    "data": (b'[2.5],"packed":"P"', b'[2.25],"packed":"P"', "versions 1 to 1"),
    "outcome": (b'"json":[3,1]', b'"json":[3,2]', "row 1"),
    "id": (b'"id":"sale-1"', b'"id":"sale-2"', "row 1"),
    "log": (b'"eyJhIjogMX0="', b'"eyJhIjogMn0="', "row 3, records"),
    "epoch": (b'"epochs":{', b'"epochs":{"5":1,', "row 2"),
    "row": (b'"row":2', b'"row":7', "row 7 comes after row 1"),
    "rows": (b'"rows":3', b'"rows":4', "comes after row 3, and there are 4"),
    "kind": (b'"first":4', b'"first":"4"', "another form"),
    "number": (b'"head":6', b'"head":"6"', "another form"),
    "time": (b'"since":1.5', b'"since":"now"', "another form"),
    "version": (b'"version":1', b'"version":9', "is of version 9, this one reads 1"),
    "count": (b'"branches":2', b'"branches":3', "comes too early"),
    "end": (b'"end":10', b'"end":11', "is none of a store"),
    "other": (b'"checkpoint":4', b'"nonsense":4', "is none of a store"),
    "base64": (b'"/w=="', b'"/w="', "another form"),
    "root": (b'{"checkpoint":4,"root":"3', b'{"checkpoint":4,"root":"1', "no branch|not there"),
}


@pytest.mark.parametrize("forged", FORGED)
def test_what_was_changed_by_hand_is_held_against_the_chain(
    journal: MemoryJournal, forged: str
) -> None:
    """Right sums do not help: whoever edits a file by hand cannot make another story of it."""
    was, becomes, found = FORGED[forged]
    whole = b"".join(exported(journal))
    assert was in whole

    error = refused(sealed(whole.replace(was, becomes, 1).splitlines(keepends=True)))

    assert any(each in error.found for each in found.split("|")), error.found


def test_a_branch_that_is_not_listed_has_no_commits(journal: MemoryJournal) -> None:
    lines = exported(journal)
    del lines[2]
    lines[0] = lines[0].replace(b'"branches":2', b'"branches":1')

    error = refused(sealed(lines))

    assert error.found == "has commits of a branch that is not there"


def test_what_comes_after_the_end_is_refused(journal: MemoryJournal) -> None:
    lines = exported(journal)

    error = refused([*lines, b"\n"])

    assert (error.line, error.found) == (11, "comes after the last one")


def test_the_error_of_a_damaged_file_crosses_processes() -> None:
    error = ExportDamagedError("flights.jsonl", 7, "is missing")

    again = pickle.loads(pickle.dumps(error))

    assert (again.file, again.line, again.found, str(again)) == (
        *("flights.jsonl", 7, "is missing"),
        "flights.jsonl, line 7 is missing; nothing of the file was stored; export the store again",
    )


# --- stores of every kind ------------------------------------------------------------------------


def test_a_damaged_store_is_not_exported(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    journal.append(group(part(SHOP, 1, data=b"a state"), log=b"log"))
    journal.append(group(part(SHOP, 2), log=b"log"))
    journal.close()
    for damage, place in {
        "UPDATE parts SET data = x'00' WHERE row = 1": "row 1",
        "DELETE FROM parts WHERE row = 2": "row 2",
        "UPDATE logs SET data = x'00' WHERE row = 2": "row 2, records",
        "DELETE FROM logs WHERE row = 2": "row 2, records",
        "UPDATE groups SET digest = x'00' WHERE row = 1": "row 1",
        "DELETE FROM groups WHERE row = 1": "row 2",
        "INSERT INTO effects VALUES (0, x'61', 9, 0, x'')": "row 9, outcomes",
        "INSERT INTO checkpoints VALUES (1 << 28 | 1, 0, x'')": "checkpoint",
        "UPDATE branches SET head = 7": "catalog, entry 1",
        "UPDATE roots SET epoch = 7": "roots, entry 1",
    }.items():
        look = SqliteJournal(path, read_only=True)
        with look.stored() as stored:
            stored.db.execute("ROLLBACK")
            stored.db.execute("PRAGMA query_only = OFF")
            stored.db.execute("BEGIN")
            stored.db.execute(damage)
            with pytest.raises(JournalDamagedError) as caught:
                list(export_lines(transcribe(stored)))
            stored.db.execute("ROLLBACK")
        look.close()
        assert caught.value.place.startswith(place), damage


def test_a_store_that_lost_its_tail_is_not_exported(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    journal.append(group(part(SHOP, 1)))
    journal.close()
    older = path.read_bytes()
    journal = SqliteJournal(path)
    journal.append(group(part(SHOP, 2)))
    journal.close()
    path.write_bytes(older)

    look = SqliteJournal(path, read_only=True)
    with pytest.raises(JournalDamagedError, match="row 2"):
        exported(look)
    look.close()


def test_a_store_whose_newest_row_is_not_there_is_not_exported(journal: MemoryJournal) -> None:
    """On a server the entry of the store knows it: whoever opens that later has seen no other."""
    with journal.stored() as stored:
        newest = stored.newest()
        stored.newest = lambda: newest._replace(row=5)  # type: ignore[method-assign]
        with pytest.raises(JournalDamagedError) as caught:
            list(export_lines(transcribe(stored)))

    assert caught.value.place == "rows 4 to 5"


def test_a_store_that_was_compacted_comes_back_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journaled_tree, "CHECKPOINT_EVERY", -1_000)
    journal = MemoryJournal()
    workspace = selling(journal)
    till = workspace.add(Till(), "till")
    for number in range(20):
        workspace.run("sell", {"till": till, "price": 0.25}, f"sale-{number}")
    before = workspace.snapshot(till, 17)
    compact(journal, Retention(versions=5, records=6))
    again = imported(exported(journal))

    assert exported(again) == exported(journal)
    assert list(check_histories(again)) == []
    workspace = selling(again)
    assert workspace.snapshot("till", 17).model_dump() == before.model_dump()
    assert workspace.run("sell", {"till": till, "price": 0.25}, "sale-3").version == 5
    with pytest.raises(PrunedError):
        workspace.snapshot("till", 16)


def test_a_file_that_nobody_writes_to_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    journal.append(group(part(SHOP, 1)))
    journal.close()
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}

    look = SqliteJournal(path, read_only=True)
    lines = exported(look)
    look.close()

    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before
    assert list(imported(lines).check()) == []


def test_whoever_begins_to_write_does_not_disturb(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    for version in range(1, 50):
        journal.append(group(part(SHOP, version), effects=[(SHOP, f"{version}", b"")]))
    journal.close()
    look = SqliteJournal(path, read_only=True)
    before = exported(look)

    with look.stored() as stored:
        lines = export_lines(transcribe(stored))
        found = [next(lines)]
        writer = SqliteJournal(path)
        for version in range(50, 100):
            writer.append(group(part(SHOP, version, data=bytes(5000))))
        writer.close()
        found += lines
    look.close()

    assert found == before


def test_a_workspace_goes_on_with_what_was_imported(tmp_path: Path) -> None:
    """What took effect is answered from it."""
    first = tmp_path / "first.db"
    with selling(first) as workspace:
        till = workspace.add(Till(), "till")
        for number in range(9):
            workspace.run("sell", {"till": till, "price": 0.1}, f"sale-{number}")
    journal = SqliteJournal(first, read_only=True)
    restore_to(tmp_path / "second.db", import_lines(exported(journal), "lines"))
    journal.close()

    with selling(tmp_path / "second.db") as workspace:
        till = workspace.ref("till")
        workspace.run("sell", {"till": till, "price": 0.1}, "sale-8")
        assert workspace.snapshot(till).total == pytest.approx(0.9)
        workspace.run("sell", {"till": till, "price": 0.1}, "sale-9")
        assert len(workspace.snapshot(till).names) == 10


def test_a_store_that_was_restored_may_be_exported_by_a_reader(tmp_path: Path) -> None:
    journal = MemoryJournal()
    journal.append(group(part(YARD, 1)))
    there = SqliteJournal(tmp_path / "there.db")
    there.restore(import_lines(exported(journal), "lines"))
    reader = SqliteJournal(tmp_path / "there.db", read_only=True)

    assert exported(reader) == exported(journal) == exported(there)

    there.close()
    reader.close()


def test_a_store_to_read_only_is_not_restored(tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "there.db").close()
    reader = SqliteJournal(tmp_path / "there.db", read_only=True)

    with pytest.raises(JournalError, match="read only"):
        reader.restore(import_lines(exported(MemoryJournal()), "lines"))

    reader.close()


def test_lines_are_asked_for_as_they_are_needed(journal: MemoryJournal) -> None:
    """Whoever reads a long file, or writes one, has one row of it in memory."""
    taken = 0

    def counted() -> Iterator[bytes]:
        nonlocal taken
        for line in exported(journal):
            taken += 1
            yield line

    transcript = import_lines(counted(), "lines")
    assert taken == 6
    next(transcript.rows)
    assert taken == 6
    next(transcript.rows)
    assert taken == 7


def test_whoever_has_an_empty_store_open_goes_on_in_the_one_that_it_became(tmp_path: Path) -> None:
    writer = SqliteJournal(tmp_path / "there.db")

    restore_to(tmp_path / "there.db", import_lines(exported(MemoryJournal()), "lines"))

    assert writer.append(group(part(SHOP, 1))) == 1
    assert list(writer.check()) == []
    writer.close()


def test_a_new_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    lines = exported(MemoryJournal())
    seen: list[set[str]] = []

    def watched() -> Iterator[bytes]:
        yield from lines
        seen.append({each.name for each in tmp_path.iterdir()})

    restore_to(tmp_path / "there.db", import_lines(watched(), "lines"))

    assert "there.db" not in seen[0]
    assert "there.db-partial" in seen[0]
    assert {each.name for each in tmp_path.iterdir()} == {"there.db", "there.db-head"}
