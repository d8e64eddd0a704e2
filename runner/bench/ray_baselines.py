"""The hand-written baselines over Ray, and their check.

    task            one Ray task per execution; the tree is shipped in and out
    call each       an actor per root, one call per execution, a deep copy per version
    grouped bare    an actor per root, one call per actor per batch, no versions
    grouped frozen  the same with frozen objects: every version kept

The only file of the bench that imports Ray; `GridHost` itself is plain Python.
"""

from __future__ import annotations

import gc
import pickle
import time
from typing import TYPE_CHECKING, Any

import ray

from runner.bench.contenders import (
    Bare,
    Deepcopy,
    Frozen,
    layout_of,
    make_bare_grid,
    move_in_place,
)
from runner.bench.workload import Size, layout_after

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.bench.contenders import (
        BareGrid,
        Contender,
    )
    from runner.bench.workload import Layout, Move

_REPLY_TIMEOUT_S = 300.0


class GridHost:
    """What the actor of a root runs: one grid, kept by one of the contenders."""

    def __init__(self) -> None:
        self._contender: Contender = Bare(Size(2, 1))
        self._version = 1

    def open(self, make: type[Contender], size: Size) -> None:
        """Replace the grid and its history by a new one."""
        self._contender, self._version = make(size), 1
        gc.collect()

    def move(self, source_index: int, agent_name: str, target_index: int) -> int:
        """Make one move and return the new version."""
        self._contender.move(source_index, agent_name, target_index)
        self._version += 1
        return self._version

    def move_all(self, moves: Sequence[Move]) -> list[int]:
        """Make many moves and return their versions."""
        return [self.move(*move) for move in moves]

    def layout(self, version: int) -> Layout:
        """Read which agents were where."""
        return self._contender.layout(version)


class RayBaselines:
    """An actor for each root; one baseline after the other uses them, each on new grids.

    Every `run_` method makes the moves of *plans*, one plan per root, then checks where the agents
    are, and returns executions per second from the first submission to the last answer.
    """

    def __init__(self, roots: int, size: Size) -> None:
        actor = ray.remote(num_cpus=0, max_restarts=0)(GridHost)
        self._size = size
        # Any: an actor's methods are not those of its class, and Ray's hints do not say so.
        self._hosts: list[Any] = [actor.remote() for _ in range(roots)]
        self._task = ray.remote(moved)

    def close(self) -> None:
        """End the actors."""
        for host in self._hosts:
            ray.kill(host)

    def run_tasks(self, plans: Sequence[Sequence[Move]]) -> float:
        """*task*: the old tree goes in, the new tree comes out; each stays readable by its ref."""
        trees = [[ray.put(make_bare_grid(self._size))] for _ in plans]
        start = time.perf_counter()
        for moves in zip(*plans, strict=True):
            for versions, move in zip(trees, moves, strict=True):
                versions.append(self._task.remote(versions[-1], move))
        _get([versions[-1] for versions in trees])
        rate = _rate(plans, start)
        self._check(
            plans, Deepcopy, lambda root, version: layout_of(_get(trees[root][version - 1]))
        )
        return rate

    def run_calls(self, plans: Sequence[Sequence[Move]]) -> float:
        """*call each*: calls are pipelined, and answered one by one."""
        self._open(Deepcopy)
        start = time.perf_counter()
        answers = [
            host.move.remote(*move)
            for moves in zip(*plans, strict=True)
            for host, move in zip(self._hosts, moves, strict=True)
        ]
        _get(answers)
        rate = _rate(plans, start)
        self._check(plans, Deepcopy, self._layout)
        return rate

    def run_grouped_bare(self, plans: Sequence[Sequence[Move]]) -> float:
        """*grouped bare*: one call per root, changed in place."""
        return self._run_grouped(Bare, plans)

    def run_grouped_frozen(self, plans: Sequence[Sequence[Move]]) -> float:
        """*grouped frozen*: one call per root, every version kept."""
        return self._run_grouped(Frozen, plans)

    def time_single_calls(self, moves: Sequence[Move]) -> list[float]:
        """Make *moves* on the first root, each awaited before the next; microseconds each.

        The grid is left as the calls before left it: `open_single` makes a new one.
        """
        move, clock = self._hosts[0].move, time.perf_counter_ns
        elapsed = []
        for source, name, target in moves:
            start = clock()
            _get(move.remote(source, name, target))
            elapsed.append((clock() - start) / 1000)
        return elapsed

    def open_single(self) -> None:
        """Make a new grid of plain objects for `time_single_calls`."""
        self._open(Bare)

    def _run_grouped(self, make: type[Contender], plans: Sequence[Sequence[Move]]) -> float:
        self._open(make)
        start = time.perf_counter()
        calls = zip(self._hosts, plans, strict=True)
        _get([host.move_all.remote(plan) for host, plan in calls])
        rate = _rate(plans, start)
        self._check(plans, make, self._layout)
        return rate

    def _open(self, make: type[Contender]) -> None:
        _get([host.open.remote(make, self._size) for host in self._hosts])

    def _layout(self, root: int, version: int) -> Layout:
        layout: Layout = _get(self._hosts[root].layout.remote(version))
        return layout

    def _check(
        self,
        plans: Sequence[Sequence[Move]],
        make: type[Contender],
        layout: Callable[[int, int], Layout],
    ) -> None:
        """Compare the newest version of every root, and one of old if there should be one."""
        for root, plan in enumerate(plans):
            for moves in {len(plan), len(plan) // 2 if make.keeps_versions else len(plan)}:
                if layout(root, moves + 1) != layout_after(self._size, plan[:moves]):
                    message = f"{make.name} over Ray: version {moves + 1} of root {root} is wrong"
                    raise AssertionError(message)


def moved(grid: BareGrid, move: Move) -> BareGrid:
    """Make one move on the copy of a tree that Ray made by shipping it."""
    return move_in_place(grid, *move)


def shipped_bytes(size: Size) -> int:
    """Return how many bytes the tree of a task is, one way."""
    return len(pickle.dumps(make_bare_grid(size), pickle.HIGHEST_PROTOCOL))


def _rate(plans: Sequence[Sequence[Move]], start: float) -> float:
    return sum(len(plan) for plan in plans) / (time.perf_counter() - start)


def _get(answers: Any) -> Any:
    return ray.get(answers, timeout=_REPLY_TIMEOUT_S)
