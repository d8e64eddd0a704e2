"""The hosts of a runner: how many, which one, and what happens when one dies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registry import Ref
from runner.code import collect_code
from runner.directory import Directory, Entry
from runner.errors import HostLostError, HostTimeoutError
from runner.fleet import Fleet
from runner.settings import DEFAULT
from runner.statistics import Meter, Statistics
from runner.transport import InProcessTransport
from runner.wire import Wire
from tests.contract import library
from tests.contract.library import Library
from tests.unit.runner.stepped import SteppedTransport


@pytest.fixture
def directory() -> Directory:
    """An empty directory."""
    return Directory()


@pytest.fixture
def transport() -> SteppedTransport:
    """See `SteppedTransport`."""
    return SteppedTransport()


@pytest.fixture
def fleet(transport: SteppedTransport, directory: Directory) -> Fleet:
    """At most three hosts, none of them started."""
    code = collect_code(library.app, by_value=False)
    settings = replace(DEFAULT, max_hosts=3, reply_timeout_s=0.01)
    return Fleet(transport, code, directory, settings)


def add(fleet: Fleet, directory: Directory, *, dedicated: bool = False) -> int:
    host = fleet.place(dedicated=dedicated)
    root: Ref = fleet.call(host, "add", (Wire(by_value=False).dumps(Library()), None))
    directory.enter(Entry(root, host, root.root))
    fleet.settle(host)
    return host


def test_no_more_hosts_are_started_than_allowed(fleet: Fleet):
    fleet.start(2)
    assert len(fleet) == 2
    fleet.start(99)
    assert len(fleet) == 3


def test_there_are_four_hosts_per_cpu_if_nobody_says_otherwise(
    transport: SteppedTransport, directory: Directory
):
    code = collect_code(library.app, by_value=False)

    assert Fleet(transport, code, directory, DEFAULT).max_hosts == 8


def test_roots_are_spread_then_packed(fleet: Fleet, directory: Directory):
    assert [add(fleet, directory) for _ in range(7)] == [0, 1, 2, 0, 1, 2, 0]


def test_roots_on_their_way_count(fleet: Fleet):
    assert [fleet.place() for _ in range(4)] == [0, 1, 2, 0]


def test_a_dedicated_root_is_alone(fleet: Fleet, directory: Directory):
    shared = [add(fleet, directory) for _ in range(3)]
    alone = add(fleet, directory, dedicated=True)

    assert alone not in shared
    assert alone not in [add(fleet, directory) for _ in range(6)]
    assert alone not in [fleet.ready_host(turn) for turn in range(8)]


def test_work_without_a_root_takes_turns(fleet: Fleet):
    fleet.start(2)

    assert [fleet.ready_host(turn) for turn in range(4)] == [0, 1, 0, 1]


@pytest.mark.parametrize(("deaths", "is_found"), [(1, True), (3, True), (100, False)])
def test_hosts_that_die_before_they_have_the_code_are_passed_over(
    fleet: Fleet, transport: SteppedTransport, deaths: int, is_found: bool
):
    transport.deadly = {"load": deaths}
    fleet.start(2)

    if is_found:
        host = fleet.ready_host(0)
        assert host in transport.hosts
        assert len(transport.stopped) <= deaths
    else:
        with pytest.raises(HostLostError):
            fleet.ready_host(0)


def test_work_without_a_root_starts_a_host(fleet: Fleet):
    assert fleet.ready_host(0) == 0


def test_a_dead_host_is_buried_once_and_its_roots_with_it(
    fleet: Fleet, directory: Directory, transport: SteppedTransport
):
    host = add(fleet, directory)
    transport.kill(host)

    with pytest.raises(HostLostError) as caught:
        fleet.call(host, "ask", None)

    assert caught.value.request == "ask"
    assert len(fleet) == len(directory) == 0
    assert fleet.bury(host) == []
    assert transport.stopped == [host]
    with pytest.raises(HostLostError):
        fleet.wait_until_loaded(host)
    assert add(fleet, directory) != host


def test_an_answer_that_does_not_come_is_told(fleet: Fleet, transport: SteppedTransport):
    fleet.start(1)

    with pytest.raises(HostTimeoutError, match=r"within 0.01 s"):
        fleet.call(0, "execute", None)


def test_closing_ends_every_host(fleet: Fleet, transport: SteppedTransport):
    fleet.start(2)
    fleet.close()

    assert len(fleet) == 0
    assert transport.is_closed


def test_a_host_of_this_process_that_was_stopped_counts_as_dead():
    transport = InProcessTransport()
    host = transport.start_host()
    answers: list[bytes | None] = []

    transport.stop_host(host)
    transport.send(host, "load", b"", answers.append)
    transport.cancel(host, 1)

    assert answers == [None]


def test_a_meter_adds_up():
    meter = Meter()
    for failed in (0, 2):
        meter.count(executions=10, failed=failed, bytes_sent=100, bytes_received=60, run_s=0.5)

    totals = meter.read(hosts=1, roots=3)

    assert totals == Statistics(1, 3, 20, 2, 2, 200, 120, 1.0)
    assert totals.bytes_per_execution == 16
    assert Statistics().bytes_per_execution == 0
