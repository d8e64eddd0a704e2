"""Addresses: text and meaning are inverses, and whatever is not one is told in our own errors."""

from __future__ import annotations

import pickle
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry import Address, AddressError, Ref, UsageError, Workspace, ids, is_address
from registry.address import MAX_DIGITS, parse_address, write_path
from registry.errors import TreerunnerError
from tests.unit.registry.shop import new_shop

ID = ids.to_uuid(7, ids.stamp(2, 9))
ANY_TEXT = st.text(st.characters(exclude_categories=()))
PARTS = st.one_of(
    ANY_TEXT,
    st.sampled_from(["0", "-1", "-0", "007", "a.b", '"', "]", "\\", "", "\ud800\udc00", "é"]),
    st.integers(-(10**MAX_DIGITS) + 1, 10**MAX_DIGITS - 1),
)


@settings(derandomize=True, database=None, max_examples=400)
@given(
    st.integers(0, 2**ids.LINEAGE_BITS - 1),
    st.integers(0, ids.MAX_COMMIT),
    st.lists(PARTS, max_size=6),
)
def test_an_address_reads_back_as_it_was_written(
    key: int, commit: int, path: list[str | int]
) -> None:
    address = Address(ids.to_uuid(key, ids.stamp(0, commit)), tuple(path))

    read = parse_address(str(address))

    assert read == address
    assert list(map(type, read.path)) == list(map(type, path))
    assert str(read) == str(address)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", ()),
        (".name", ("name",)),
        (".a.0.-1.b", ("a", 0, -1, "b")),
        ('.a["b.c"]', ("a", "b.c")),
        ('.a["0"].1', ("a", "0", 1)),
        ('["\\u00e9\\n"]', ("é\n",)),
        (".007.-0", ("007", "-0")),
        (f".{'9' * 101}", ("9" * 101,)),
    ],
)
def test_a_path_is_fields_positions_and_keys(text: str, path: tuple[Any, ...]) -> None:
    for uuid in (str(ID), str(ID).upper(), ID.hex):
        assert parse_address(f"@{uuid}{text}") == Address(ID, path)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("x", 0),
        (str(ID), 0),
        ("@", 1),
        ("@x", 1),
        (f"@{str(ID)[:-1]}", 1),
        (f"@{UUID(int=0)}", 1),
        (f"@{{{ID}}}", 1),
        (f"@{ID} ", 37),
        (f"@{ID}.", 37),
        (f"@{ID}.a..b", 39),
        (f"@{ID}.a b", 39),
        (f"@{ID}[0]", 37),
        (f'@{ID}["a]', 37),
        (f'@{ID}["\\x"]', 37),
        (f"@{ID}\n", 37),
    ],
)
def test_what_is_no_address_is_told_with_its_place(text: str, position: int) -> None:
    with pytest.raises(AddressError) as caught:
        parse_address(text)

    error = caught.value
    assert isinstance(error, UsageError | ValueError)
    assert (error.text, error.position) == (text, position)
    assert str(error) == (
        f"{text!r} is not an address: {error.problem} (at character {position}); "
        "write @<id>, and a path as in @<id>.items.0.name"
    )
    assert pickle.loads(pickle.dumps(error)).args == error.args
    assert not is_address(text)


def test_a_part_that_cannot_be_written_is_refused() -> None:
    for part in (1.5, None, True, 10**MAX_DIGITS, 10**5000):
        with pytest.raises(AddressError):
            write_path((part,))  # type: ignore[arg-type]  # that is the point


def test_only_a_text_is_an_address() -> None:
    assert is_address(Ref(ids.Key(7), ids.Key(7)).address)
    assert is_address(f"@{ID}.a.0")
    for value in (None, 7, ID, b"@", Ref(ids.Key(7), ids.Key(7))):
        assert not is_address(value)
        with pytest.raises(AddressError):
            parse_address(value)  # type: ignore[arg-type]  # that is the point


PATHS = st.one_of(
    ANY_TEXT,
    st.lists(
        st.sampled_from(
            [
                *(".shelves", ".0", ".-1", ".items", ".table", ".a", ".point", ".x", ".marks"),
                *(".star", ".name", ".by_name", "[", '["a"]', '["\ud800"]'),
                *(f".{'9' * 50}", f".{'9' * 6000}"),
            ]
        ),
        max_size=9,
    ).map("".join),
    st.integers(1000, 5000).map(lambda depth: ".anything" * depth),
)


@settings(derandomize=True, database=None, max_examples=300)
@given(PATHS)
def test_reading_any_path_succeeds_or_raises_our_own_error(path: str) -> None:
    workspace = Workspace()
    workspace.register("take")(take)
    address = f"{workspace.add(new_shop()).address}{path}"

    for ask in (
        lambda: workspace.get(address),
        lambda: workspace.put(address, 1),
        lambda: workspace.execute("take", value=address),
        lambda: workspace.ref(address),
    ):
        error = None
        try:
            ask()
        except TreerunnerError as caught:
            error = caught
        assert str(error).encode()  # also printable


def take(value: str) -> str:
    """Take a text."""
    return value
