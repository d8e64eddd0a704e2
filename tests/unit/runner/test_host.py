"""Bytes in, bytes out: what a host does with requests, good and bad."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from registry import Ref
from registry.ids import new_key
from runner import wire
from runner.code import collect_code, dump_code
from runner.errors import CodeError, RootNotFoundError, WireError
from runner.host import Host
from runner.wire import CANCELLED, FAILED, HEAD_PARTS, NOT_RUN, Reply, Row, Wire, chunk_of
from tests.contract import library
from tests.contract.library import Library

WIRE = Wire(by_value=False)
BATCH = 1 << 40


def ask(host: Host, method: str, request: Any) -> Any:
    is_ok, value = wire.loads(host.serve(method, WIRE.dumps(request)))
    if not is_ok:
        raise value
    return value


def execute(host: Host, *rows: Row, batch: int = BATCH) -> Reply:
    heads = [part for row in rows for part in row[:HEAD_PARTS]]
    chunk = chunk_of(batch, heads, [value for row in rows for value in row[HEAD_PARTS]])
    return WIRE.loads_reply(host.serve("execute", WIRE.dumps_chunk(chunk)[0]))


def versions(reply: Reply) -> list[int]:
    return [version for _, version, *_ in reply.rows()]


def note(root: Ref, number: int) -> Row:
    return (("note", ("library", "number")), root, number, None, (root, number))


@pytest.fixture
def host() -> Host:
    """A host with the library's callables."""
    host = Host()
    ask(host, "load", dump_code(collect_code(library.app, by_value=False)))
    return host


@pytest.fixture
def root(host: Host) -> Ref:
    """A library in the host."""
    return add(host, Library())


def add(host: Host, entity: Library, name: str | None = None) -> Ref:
    ref = ask(host, "add", (WIRE.dumps(entity), name))
    assert isinstance(ref, Ref)
    return ref


def test_a_chunk_is_run_in_order(host: Host, root: Ref):
    reply = execute(host, *(note(root, number) for number in range(3)))

    assert versions(reply) == [2, 3, 4]
    assert [value for *_, value, _ in reply.rows()] == [1, 2, 3]
    assert reply.born == ()


def test_an_execution_without_an_id_of_its_own_is_numbered_from_its_batch(host: Host, root: Ref):
    rows: list[Row] = [note(root, 5), (*note(root, 6)[:3], "mine", (root, 6))]

    execute(host, *rows)

    _, first, second = ask(host, "ask", (root, "history", ()))
    assert (first.execution_id, second.execution_id) == (f"{BATCH + 5:x}", "mine")


def test_each_root_has_a_workspace_of_its_own(host: Host):
    first, second = add(host, Library(), "same name"), add(host, Library(), "same name")

    execute(host, note(first, 1))

    assert [ask(host, "ask", (root, "head", ())) for root in (first, second)] == [2, 1]


def test_roots_that_are_born_stay_and_are_told(host: Host, root: Ref):
    rows: list[Row] = [
        (("split_off", ("library", "name")), root, 0, None, (root, "with a parent")),
        (("found", ("name",)), None, 1, None, ("without",)),
    ]

    reply = execute(host, *rows)

    (first, parent), (second, nobody) = reply.born
    assert (parent, nobody) == (root, None)
    assert versions(execute(host, note(first, 1), note(second, 1))) == [2, 2]


def test_a_cancelled_batch_is_skipped_and_others_are_not(host: Host, root: Ref):
    host.cancel(BATCH)

    assert list(execute(host, note(root, 1)).rows()) == [CANCELLED]
    assert versions(execute(host, note(root, 1), batch=2 * BATCH)) == [2]


def test_a_job_for_a_root_that_is_not_here_fails_alone(host: Host, root: Ref):
    key = new_key()

    reply = execute(host, note(Ref(key, key), 1), note(root, 1))

    assert versions(reply) == [FAILED, 2]
    assert reply.columns[4][0].type == "RootNotFoundError"


def test_a_chunk_that_cannot_be_read_is_refused_as_a_whole(host: Host):
    reply = WIRE.loads_reply(host.serve("execute", b"nonsense"))

    assert reply.columns == ()
    assert isinstance(reply.refusal, WireError)


def test_a_host_without_code_says_so():
    with pytest.raises(CodeError, match="no callables"):
        add(Host(), Library())


def test_errors_are_answers(host: Host):
    key = new_key()

    with pytest.raises(RootNotFoundError):
        ask(host, "ask", (Ref(key, key), "head", ()))
    with pytest.raises(KeyError):
        ask(host, "unknown", None)


def test_ctrl_c_cancels_the_rest_where_it_is_meant_for_the_process():
    for is_interruptible, statuses in ((True, [FAILED, NOT_RUN]), (False, [FAILED, 2])):
        host = Host(is_interruptible=is_interruptible)
        code = collect_code(library.app, by_value=False)
        ask(host, "load", dump_code(code))
        root = add(host, Library())
        interrupt: Row = (("interrupt", ("library",)), root, 0, None, (root,))

        reply = execute(host, interrupt, note(root, 1))

        assert versions(reply) == statuses
        assert host.take_interrupt() is is_interruptible
        assert host.take_interrupt() is False


def test_time_comes_from_outside():
    """What is stored is dated by one clock, what jobs take is measured by another."""
    seconds = itertools.count()
    host = Host(clock=lambda: 1_000_000_000.5, timer=lambda: float(next(seconds)))
    ask(host, "load", dump_code(collect_code(library.app, by_value=False)))
    root = add(host, Library())

    reply = execute(host, note(root, 1), note(root, 2))

    assert [run_us for run_us, *_ in reply.rows()] == [1_000_000, 1_000_000]
    assert [info.committed_at.timestamp() for info in ask(host, "ask", (root, "history", ()))] == [
        1_000_000_000.5
    ] * 3
