"""The head file gives the newest row that was written whole, whatever happened to the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.journal.head_file import (
    SLOTS,
    Head,
    HeadFile,
    head_path,
    newest,
    pack_slot,
    read_head,
)

DIGESTS = [bytes([number]) * 16 for number in range(256)]


def head(row: int) -> Head:
    return Head(row, DIGESTS[row % 256])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return head_path(tmp_path / "journal.db")


def written(path: Path, *rows: int) -> bytes:
    file = HeadFile(path)
    for row in rows:
        file.write(head(row))
    file.close()
    return path.read_bytes()


def test_it_lies_beside_the_database() -> None:
    assert head_path(Path("/data/flights.db")) == Path("/data/flights.db-head")


def test_there_is_no_head_without_a_file_or_a_row(path: Path) -> None:
    assert read_head(path) is None

    written(path)

    assert read_head(path) is None


@pytest.mark.parametrize("rows", [[1], [1, 2, 3], range(1, 300), [70, 69, 68]])
def test_the_newest_row_counts_whenever_it_was_written(path: Path, rows: list[int]) -> None:
    written(path, *rows)

    assert read_head(path) == head(max(rows))


def test_a_file_has_one_size(path: Path) -> None:
    sizes = {len(written(path, *range(1, count))) for count in (1, 2, SLOTS + 5, 500)}

    assert sizes == {SLOTS * len(pack_slot(head(1)))}


def test_a_late_writer_takes_back_one_row_at_most(path: Path) -> None:
    """It was stopped between commit and head while others wrote a whole round."""
    data = written(path, *range(1, 100), 100 - SLOTS - 1)

    assert newest(data) == head(99 if (99 - 100 + SLOTS + 1) % SLOTS else 98)


def test_any_flipped_bit_costs_one_row_at_most(path: Path) -> None:
    data = written(path, *range(1, 100))

    found = set()
    for at in range(len(data)):
        spoiled = bytearray(data)
        spoiled[at] ^= 1 << (at % 8)
        found.add(newest(bytes(spoiled)))

    assert found == {head(99), head(98)}


def test_a_file_that_is_cut_gives_the_newest_of_what_is_left(path: Path) -> None:
    data = written(path, *range(1, SLOTS))
    size = len(pack_slot(head(1)))

    found = [newest(data[:length]) for length in range(len(data))]

    assert found == [
        head(length // size - 1) if length // size > 1 else None for length in range(len(data))
    ]


def test_what_is_no_head_file_has_no_head() -> None:
    assert newest(b"a text that somebody put there" * 100) is None


def test_a_file_is_gone_on_with(path: Path) -> None:
    written(path, 1, 2, 3)
    written(path, 4)

    assert read_head(path) == head(4)
