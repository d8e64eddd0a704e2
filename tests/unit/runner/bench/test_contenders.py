"""Every contender does what it promises, and the check sees those that do not."""

from __future__ import annotations

from typing import ClassVar

import pytest

from runner.bench.contenders import CONTENDERS, Bare, Contender, Deepcopy, Frozen, check
from runner.bench.workload import Layout, Size, plan_moves

SIZE = Size(4, 3)


class ForgetfulContender(Deepcopy):
    """Gives its newest version for every old one."""

    name: ClassVar[str] = "forgetful"

    def layout(self, version: int) -> Layout:
        return super().layout(max(version, len(self._versions)))


class CarelessContender(Deepcopy):
    """Works on the head itself, so a move that fails half way shows."""

    name: ClassVar[str] = "careless"

    def move(self, source_index: int, agent_name: str, target_index: int) -> object:
        agents = self._versions[-1].nodes[source_index].agents
        if target_index >= len(self._versions[-1].nodes):
            agents.pop(0)
        return super().move(source_index, agent_name, target_index)


class IdleContender(Bare):
    """Moves nothing."""

    name: ClassVar[str] = "idle"

    def move(self, source_index: int, agent_name: str, target_index: int) -> object:
        return source_index, agent_name, target_index


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda contender: contender.name)
def test_every_contender_does_what_it_promises(contender: type[Contender]) -> None:
    check(contender, SIZE)


@pytest.mark.parametrize(
    ("contender", "broken_promise"),
    [
        (ForgetfulContender, "forgetful: version 1 reads wrong"),
        (CarelessContender, "careless: a failed move shows"),
        (IdleContender, "idle: version 21 reads wrong"),
    ],
)
def test_the_check_sees_a_broken_promise(contender: type[Contender], broken_promise: str) -> None:
    with pytest.raises(AssertionError, match=broken_promise):
        check(contender, SIZE)


def test_frozen_shares_what_a_move_did_not_touch() -> None:
    contender = Frozen(SIZE)
    contender.move(*plan_moves(SIZE, 1)[0])

    old, new = contender._versions
    shared = [a is b for a, b in zip(old.nodes, new.nodes, strict=True)]
    assert shared.count(False) == 2
    assert old.ecs_id != new.ecs_id


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda contender: contender.name)
def test_a_change_of_speed_moves_nobody(contender: type[Contender]) -> None:
    subject = contender(SIZE)
    before = subject.layout(1)

    subject.set_speed(1, 2, 7)

    assert subject.layout(2) == before


def test_a_change_of_speed_leaves_the_old_version_alone() -> None:
    frozen = Frozen(SIZE)
    frozen.set_speed(1, 2, 7)
    copied = Deepcopy(SIZE)
    copied.set_speed(1, 2, 7)

    assert [grid.nodes[1].agents[2].speed for grid in frozen._versions] == [1, 7]
    assert [grid.nodes[1].agents[2].speed for grid in copied._versions] == [1, 7]
