"""Headers and digests: the same for the same group, another one for any other."""

from __future__ import annotations

import pytest

from registry.errors import JournalDamagedError
from registry.journal import chain, effects
from registry.journal.chain import Header, digest_of, genesis, read_header, seal
from registry.journal.port import Effect, Group, Part

GROUP = Group(
    [Part(3, 0, 1, 5, b"commits"), Part((1 << 74) - 1, 2, 9, 9, b"")],
    [(3, 0, 0, b"about"), (3, 1, 4, b"")],
    [Effect(3, "one", b"done"), Effect(0, "two", b"")],
    b"records",
    {3: 7, (1 << 74) - 1: 1},
)
OTHERS = {
    "row": (8, GROUP),
    "root": (7, GROUP._replace(parts=[GROUP.parts[0]._replace(root=4), GROUP.parts[1]])),
    "branch": (7, GROUP._replace(parts=[GROUP.parts[0]._replace(branch=1), GROUP.parts[1]])),
    "first": (7, GROUP._replace(parts=[GROUP.parts[0]._replace(first=2), GROUP.parts[1]])),
    "data": (7, GROUP._replace(parts=[GROUP.parts[0]._replace(data=b"commitz"), GROUP.parts[1]])),
    "order": (7, GROUP._replace(parts=GROUP.parts[::-1])),
    "note": (7, GROUP._replace(notes=[(3, 0, 0, b"abouT"), GROUP.notes[1]])),
    "id": (7, GROUP._replace(effects=[Effect(3, "onf", b"done"), GROUP.effects[1]])),
    "outcome": (7, GROUP._replace(effects=[Effect(3, "one", b"don"), GROUP.effects[1]])),
    "swapped": (7, GROUP._replace(effects=[Effect(3, "one", b""), Effect(0, "two", b"done")])),
    "fewer effects": (7, GROUP._replace(effects=GROUP.effects[:1])),
    "log": (7, GROUP._replace(log=b"recordz")),
    "no log": (7, GROUP._replace(log=b"")),
    "epoch": (7, GROUP._replace(epochs={3: 8, (1 << 74) - 1: 1})),
}


def test_a_header_is_read_as_it_was_written() -> None:
    header = seal(7, GROUP).header

    assert read_header(header.pack(), "row 7") == header


def test_a_header_tells_of_everything_without_the_data() -> None:
    header = seal(7, GROUP).header

    assert (header.row, header.epochs, header.effect_count, header.log_bytes) == (
        *(7, list(GROUP.epochs.items()), 2, 7),
    )
    assert [part[:5] for part in header.parts] == [
        (*part[:4], len(part.data)) for part in GROUP.parts
    ]
    assert [note[:4] for note in header.notes] == [(3, 0, 0, 5), (3, 1, 4, 0)]


@pytest.mark.parametrize("what", OTHERS)
def test_anything_else_in_a_group_is_another_digest(what: str) -> None:
    first = genesis(5)
    digest = digest_of(first, seal(7, GROUP).header.pack())

    assert digest == digest_of(first, seal(7, GROUP).header.pack())
    assert digest != digest_of(first, seal(*OTHERS[what]).header.pack())


def test_a_digest_depends_on_the_rows_before() -> None:
    header = seal(1, GROUP).header.pack()

    assert genesis(5) != genesis(6)
    assert digest_of(genesis(5), header) != digest_of(genesis(6), header)
    assert len(digest_of(genesis(5), header)) == chain.DIGEST_BYTES


def test_effects_may_be_read_in_any_order() -> None:
    header = seal(7, GROUP).header
    turned = seal(7, GROUP._replace(effects=GROUP.effects[::-1])).header

    assert turned == header


def test_an_empty_group_has_a_header() -> None:
    assert read_header(seal(1, Group([])).header.pack(), "") == Header(
        1, [], [], [], 0, 0, 0, chain.log_checksum(1, b"")
    )


def test_what_is_no_header_is_damaged_and_says_where() -> None:
    data = seal(7, GROUP).header.pack()

    for length in range(len(data)):
        with pytest.raises(JournalDamagedError) as caught:
            read_header(data[:length], "row 7")
        assert caught.value.place == "row 7"
    with pytest.raises(JournalDamagedError, match="has format 9, this version reads 1"):
        read_header(b"\x09" + data[1:], "row 7")


def test_checksums_are_over_the_place_as_well() -> None:
    """Right bytes in the wrong place are noticed."""
    part = GROUP.parts[0]
    places = [part, part._replace(root=5), part._replace(branch=1), part._replace(last=6)]

    checksums = {chain.part_checksum(7, each) for each in places}
    checksums |= {chain.part_checksum(8, part)}

    assert len(checksums) == 5


@pytest.mark.parametrize("text", ["", "a", "\ud800", "é\0b"])
def test_any_text_is_an_id_and_comes_back(text: str) -> None:
    assert effects.id_of(effects.id_bytes(text)) == text


def test_what_was_damaged_can_still_be_named() -> None:
    assert effects.id_of(b"\xff\xfe") == "\\xff\\xfe"
    assert chain.root_text(1 << 79) == "80000000000000000000"
