"""The choice of a host for a root: a function of data, applied by `fleet.py`.

A root gets a host of its own until there are `max_hosts`; then it shares the one with the fewest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

HOSTS_PER_CPU = 4
"""An idle host costs memory, about 50 MiB, and no CPU; a few per CPU keep roots apart."""


class HostLoad(NamedTuple):
    """What the choice needs to know about a host."""

    host: int
    roots: int
    is_reserved: bool = False
    """Whether it belongs to a dedicated root alone."""


def default_max_hosts(cpu_count: int) -> int:
    """Return how many hosts a cluster gets before roots share them."""
    return HOSTS_PER_CPU * max(1, cpu_count)


def choose_host(
    loads: Sequence[HostLoad], max_hosts: int, *, dedicated: bool = False
) -> int | None:
    """Return the host for a new root; None: start another.

    A dedicated root gets a host of its own whatever the number. Ties go to the oldest host.
    """
    open_to_all = [load for load in loads if not load.is_reserved]
    emptiest = min(open_to_all, key=lambda load: load.roots, default=None)
    if emptiest is None or emptiest.roots == 0:
        return None if emptiest is None else emptiest.host
    if dedicated or len(loads) < max_hosts:
        return None
    return emptiest.host
