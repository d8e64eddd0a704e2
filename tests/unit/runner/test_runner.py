"""The front door: open and closed, and Ctrl-C where there is no other process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from registry import Ref
from runner import Counts, Job, Runner
from runner.errors import CodeError, RunnerClosedError
from tests.contract import library
from tests.contract.library import Library


@pytest.fixture
def runner() -> Iterator[Runner]:
    """A runner in this process."""
    with Runner(library, in_process=True) as runner:
        yield runner


@pytest.fixture
def root(runner: Runner) -> Ref:
    """An empty library."""
    return runner.add(Library())


def notes(root: Ref, count: int) -> list[Job]:
    return [Job("note", root, {"number": number}) for number in range(count)]


def test_a_runner_is_used_while_it_is_open():
    runner = Runner(library, in_process=True)
    with pytest.raises(RunnerClosedError) as caught:
        runner.add(Library())
    assert caught.value.call == "Runner.add"

    with runner:
        root = runner.add(Library())

    for call in (
        lambda: runner.submit([]),
        lambda: runner.head(root),
        lambda: runner.roots(),
        lambda: runner.statistics(),
    ):
        with pytest.raises(RunnerClosedError):
            call()


def test_closing_twice_does_nothing(runner: Runner):
    runner.close()
    runner.close()


def test_a_batch_that_is_left_when_its_runner_closes_ends(runner: Runner, root: Ref):
    batch = runner.submit(notes(root, 1_000))
    loop = iter(batch)
    next(loop)

    runner.close()
    batch.wait()

    assert batch.counts().done == 1_000
    assert batch.counts().cancelled > 0


def test_an_app_without_a_workspace_is_refused_before_anything_starts():
    with pytest.raises(CodeError), Runner("json", in_process=True):
        pass


def test_ctrl_c_ends_a_batch_with_what_is_done(runner: Runner, root: Ref):
    jobs = [*notes(root, 50), Job("interrupt", root), *notes(root, 50)]
    batch = runner.submit(jobs)

    with pytest.raises(KeyboardInterrupt):
        batch.wait()
    assert batch.wait() == Counts(ok=50, failed=1, cancelled=50)

    assert runner.head(root) == 51
    assert runner.submit(notes(root, 10)).wait() == Counts(ok=10)


def test_chunk_and_window_may_be_chosen(runner: Runner, root: Ref):
    before = runner.statistics().chunks

    runner.submit(notes(root, 100), chunk=10, window=1).wait()

    assert runner.statistics().chunks - before >= 10
