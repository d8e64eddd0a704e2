"""A root gets a host of its own until there are enough; then the emptiest."""

from __future__ import annotations

from runner.placement import HostLoad, choose_host, default_max_hosts


def test_an_empty_host_is_taken_before_another_is_started():
    assert choose_host([HostLoad(0, 1), HostLoad(1, 0)], max_hosts=8) == 1


def test_a_root_gets_a_host_of_its_own_while_there_may_be_more():
    assert choose_host([], max_hosts=2) is None
    assert choose_host([HostLoad(0, 1)], max_hosts=2) is None


def test_beyond_the_most_hosts_the_one_with_the_fewest_roots_is_shared():
    loads = [HostLoad(0, 3), HostLoad(1, 2), HostLoad(2, 2)]

    assert choose_host(loads, max_hosts=3) == 1


def test_a_reserved_host_is_not_shared():
    loads = [HostLoad(0, 1, is_reserved=True), HostLoad(1, 5)]

    assert choose_host(loads, max_hosts=2) == 1


def test_a_host_is_started_beyond_the_most_if_all_are_reserved():
    assert choose_host([HostLoad(0, 1, is_reserved=True)], max_hosts=1) is None


def test_a_dedicated_root_gets_a_host_of_its_own_whatever_the_number():
    loads = [HostLoad(0, 1), HostLoad(1, 1)]

    assert choose_host(loads, max_hosts=2, dedicated=True) is None
    assert choose_host([*loads, HostLoad(2, 0)], max_hosts=2, dedicated=True) == 2


def test_there_are_four_hosts_per_cpu():
    assert [default_max_hosts(cpu_count) for cpu_count in (0, 1, 2, 16)] == [4, 4, 8, 64]
