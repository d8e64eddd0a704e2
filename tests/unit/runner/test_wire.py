"""Chunks and replies as bytes: compact, complete, and one bad value costs only its job."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest

from registry import Ref
from registry.ids import new_key
from runner.batch import ErrorInfo
from runner.errors import WireError
from runner.wire import (
    CANCELLED,
    HEAD_PARTS,
    Chunk,
    Reply,
    ReplyRow,
    Row,
    Wire,
    chunk_of,
    failure,
    loads,
)

KEY = new_key()
ROOT = Ref(KEY, KEY)
SHAPE = ("move", ("grid", "source", "target"))


@pytest.fixture
def wire() -> Wire:
    """A wire between processes."""
    return Wire(by_value=True)


def row(index: int, value: object = 1) -> Row:
    return (SHAPE, ROOT, index, None, (ROOT, value, 2))


def make_chunk(*rows: Row) -> Chunk:
    heads = [part for row in rows for part in row[:HEAD_PARTS]]
    return chunk_of(7, heads, [value for row in rows for value in row[HEAD_PARTS]])


def reply_of(*rows: ReplyRow) -> Reply:
    return Reply.of([part for row in rows for part in row], [(ROOT, None)])


def generator() -> Iterator[int]:
    yield 1


def test_a_chunk_arrives_as_it_was_sent(wire: Wire):
    chunk = make_chunk(row(0), (("f", ()), None, 1, "my own", ()))

    payload, sent, rejected = wire.dumps_chunk(chunk)

    assert wire.loads_chunk(payload) == chunk
    assert (sent, rejected) == (chunk, [])


def test_a_reply_arrives_as_it_was_sent(wire: Wire):
    rows: list[ReplyRow] = [
        (5, 2, 3, "mutation", ROOT, (ROOT,)),
        failure(1, ErrorInfo("ValueError", "no", ("frame",))),
        CANCELLED,
    ]
    reply = reply_of(*rows)

    arrived = wire.loads_reply(wire.dumps_reply(reply))

    assert arrived == reply
    assert list(arrived.rows()) == rows


def test_what_repeats_is_sent_once(wire: Wire):
    one = len(wire.dumps_chunk(make_chunk(row(0)))[0])
    many = len(wire.dumps_chunk(make_chunk(*map(row, range(100))))[0])

    assert (many - one) / 99 < 20


def test_an_argument_that_cannot_be_sent_is_left_out_and_named(wire: Wire):
    chunk = make_chunk(row(0), row(1, generator()), row(2))

    payload, sent, rejected = wire.dumps_chunk(chunk)

    assert sent == make_chunk(row(0), row(2))
    assert wire.loads_chunk(payload) == sent
    ((left_out, error),) = rejected
    assert left_out[2] == 1
    assert isinstance(error, WireError)
    assert "argument 'source' of callable 'move', a generator," in error.what


def test_a_result_that_cannot_be_sent_is_replaced_by_the_reason(wire: Wire):
    rows: list[ReplyRow] = [(1, 2, 3, None, generator(), ()), (1, 2, 3, None, 7, ())]

    first, second = wire.loads_reply(wire.dumps_reply(reply_of(*rows))).rows()

    assert isinstance(first[4], WireError)
    assert first[:4] == (1, 2, 3, None)
    assert second == rows[1]


def test_local_functions_travel_by_value(wire: Wire):
    arrived = loads(wire.dumps(lambda: 42))

    assert arrived() == 42


def test_what_is_importable_is_plain_pickle(wire: Wire):
    assert wire.dumps({"a": ROOT}) == pickle.dumps({"a": ROOT}, 5)


def test_a_text_that_looks_like_main_arrives_all_the_same(wire: Wire):
    assert loads(wire.dumps(["__main__"])) == ["__main__"]
