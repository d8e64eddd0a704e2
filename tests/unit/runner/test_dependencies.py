"""Who waits for whom, held against a model that looks at all who wait each time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.dependencies import ANY, Dependencies, Owner

OWNERS: tuple[Owner, ...] = (None, 1, 2, ANY)


class Asked(NamedTuple):
    """A job: whose it is, and which others it depends on."""

    owner: Owner
    needs: tuple[int, ...]


class Model:
    """The rules as they are said: looks at every job that waits, whenever something happens."""

    def __init__(self) -> None:
        self.waiting: dict[int, Asked] = {}
        self.ended: set[int] = set()

    def is_behind(self, owner: Owner, index: int) -> bool:
        """Tell whether one that waits comes first, for the same owner as far as anybody knows."""
        return any(
            before < index and None not in (owner, other.owner) and conflicts(owner, other.owner)
            for before, other in self.waiting.items()
        )

    def free(self) -> list[int]:
        """Take those that may go, the first first, until none may."""
        taken: list[int] = []
        while True:
            for index, (owner, needs) in sorted(self.waiting.items()):
                if self.ended.issuperset(needs) and not self.is_behind(owner, index):
                    taken.append(index)
                    del self.waiting[index]
                    break
            else:
                return taken


def conflicts(one: Owner, other: Owner) -> bool:
    return one == other or ANY in (one, other)


def replayed(jobs: Sequence[Asked], ends: Sequence[int]) -> None:
    """Let jobs come, and end in a given order, as soon as each may; compare after every step."""
    dependencies: Dependencies[int] = Dependencies()
    model = Model()
    gone: set[int] = set()
    steps = iter(ends)
    for index, job in enumerate(jobs):
        open_needs = [need for need in job.needs if need not in model.ended]
        assert dependencies.is_held_back(job.owner) == model.is_behind(job.owner, index)
        dependencies.add(index, job.owner, open_needs, index)
        model.waiting[index] = job
        expected = model.free()
        assert list(dependencies.free()) == expected
        gone.update(expected)
        if next(steps, 0) % 2:
            end_one(dependencies, model, jobs, gone, next(steps, 0))
    while gone - model.ended:
        end_one(dependencies, model, jobs, gone, next(steps, 0))

    assert gone == set(range(len(jobs)))
    assert not dependencies.waiting
    assert not dependencies.needed


def end_one(
    dependencies: Dependencies[int], model: Model, jobs: Sequence[Asked], gone: set[int], pick: int
) -> None:
    running = sorted(gone - model.ended)
    if not running:
        return
    index = running[pick % len(running)]
    dependents = [each for each in model.waiting if index in jobs[each].needs]
    assert dependencies.end(index) == dependents
    model.ended.add(index)
    expected = model.free()
    assert list(dependencies.free()) == expected
    gone.update(expected)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_small_batch_goes_as_the_model_says(count: int) -> None:
    kinds = [
        [
            Asked(owner, needs)
            for owner in OWNERS
            for size in range(index + 1)
            for needs in itertools.combinations(range(index), size)
        ]
        for index in range(count)
    ]
    for jobs in itertools.product(*kinds):
        for ends in ((), (1, 0, 1, 0, 1, 0), (0, 0, 0, 1, 1), (0, 1, 0, 2, 1)):
            replayed(jobs, ends)


@st.composite
def batches(draw: st.DrawFn) -> list[Asked]:
    kinds: tuple[Owner, ...] = (None, 1, 1, 2, 2, 3, ANY)
    owners = draw(st.lists(st.sampled_from(kinds), max_size=25))
    return [
        Asked(
            owner,
            tuple(sorted(draw(st.sets(st.integers(0, index - 1), max_size=3))) if index else ()),
        )
        for index, owner in enumerate(owners)
    ]


@given(batches(), st.lists(st.integers(0, 30), max_size=80))
def test_any_batch_goes_as_the_model_says(jobs: list[Asked], ends: list[int]) -> None:
    replayed(jobs, ends)


def test_all_that_wait_may_be_taken_away() -> None:
    dependencies: Dependencies[str] = Dependencies()
    dependencies.add(1, 7, [0], "b")
    dependencies.add(2, ANY, [], "c")
    dependencies.add(3, 7, [], "d")

    assert dependencies.take_all() == ["b", "c", "d"]
    assert dependencies.end(0) == []
    assert list(dependencies.free()) == []
    assert not dependencies.is_held_back(7)


def test_a_chain_of_barriers_costs_as_many_steps_as_there_are_jobs() -> None:
    """A job of which nobody knows the owner is behind the last of each owner, and not of all."""
    dependencies: Dependencies[int] = Dependencies()
    for index in range(1, 10_001):
        dependencies.add(index, ANY if index % 2 else 5, [0], index)

    behind = sum(len(each.behind) for each in dependencies.waiting.values())

    assert behind == 9_999
    dependencies.end(0)
    assert list(dependencies.free()) == list(range(1, 10_001))
