"""The runner's contract on local Ray, and what only happens between processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registry import Ref
from runner import Counts, Job, Options, Runner
from runner.errors import CodeError, RootLostError
from tests.contract import library
from tests.contract.library import Library
from tests.contract.runner_contract import RunnerContract, notes

pytestmark = pytest.mark.ray

NOTICE_S = 5.0
SCRIPT_LIMIT_S = 60
TOP = Path(__file__).parents[2]

RunPython = Callable[[str], str]


@pytest.mark.usefixtures("ray_local")
class TestRayRunner(RunnerContract):
    """On Ray: two hosts, each an actor."""

    @pytest.fixture(scope="class")
    @classmethod
    def runner(cls, ray_local: None) -> Iterator[Runner]:
        """Two hosts on the shared local Ray."""
        with Runner(library, hosts=2) as runner:
            yield runner


@pytest.fixture(scope="module")
def three_hosts(ray_local: None) -> Iterator[Runner]:
    """Three hosts, for tests that may kill one."""
    with Runner(library, hosts=3) as runner:
        yield runner


@pytest.fixture
def three_roots(three_hosts: Runner) -> Runner:
    """Three roots on three hosts of their own: a, b and c, whatever the last test left."""
    living = three_hosts.roots().values()
    three_hosts.add_many({name: Library() for name in "abc" if name not in living})
    return three_hosts


@pytest.fixture
def run_python(tmp_path: Path) -> RunPython:
    """Run a script in a session of its own, expect silence on standard error, return its output."""

    def run(text: str) -> str:
        script = tmp_path / "script.py"
        script.write_text(textwrap.dedent(text))
        done = subprocess.run(
            [sys.executable, str(script)],
            cwd=TOP,
            env={**os.environ, "PYTHONPATH": str(TOP)},
            capture_output=True,
            text=True,
            timeout=SCRIPT_LIMIT_S,
            start_new_session=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


def head_until_death_is_noticed(runner: Runner, root: str) -> None:
    while True:
        runner.head(root)


def process_of(runner: Runner, root: str | Ref) -> int:
    pid = runner.execute("process", library=root).result()
    assert isinstance(pid, int)
    assert pid != os.getpid()
    return pid


def test_each_root_has_a_host_of_its_own_until_there_are_enough(three_roots: Runner):
    fourth = three_roots.add(Library())

    pids = [process_of(three_roots, root) for root in ("a", "b", "c", fourth)]

    assert len(set(pids[:3])) == 3
    assert pids[3] in pids[:3]


def test_a_dedicated_root_is_alone_whatever_the_number(ray_local: None):
    with Runner(library, hosts=1) as runner:
        first = runner.add(Library())
        alone = runner.add(Library(), dedicated=True)
        third = runner.add(Library())

        pids = [process_of(runner, root) for root in (first, alone, third)]

        assert pids[0] == pids[2] != pids[1]
        assert runner.statistics().hosts == 2


def test_a_host_that_dies_loses_its_roots_and_no_others(
    three_roots: Runner, capfd: pytest.CaptureFixture[str]
):
    victim, lost_root = process_of(three_roots, "b"), three_roots.ref("b")
    jobs = [Job("rest", "abc"[n % 3], {"seconds": 0.001}) for n in range(3_000)]
    outcomes = []
    noticed_s = None

    batch = three_roots.submit(jobs)
    for outcome in batch:
        outcomes.append(outcome)
        if len(outcomes) == 100:
            os.kill(victim, signal.SIGKILL)
            killed_s = time.monotonic()
        if outcome.status == "lost" and noticed_s is None:
            noticed_s = time.monotonic() - killed_s

    lost = [outcome for outcome in outcomes if outcome.status == "lost"]
    assert batch.counts() == Counts(ok=3_000 - len(lost), lost=len(lost))
    assert noticed_s is not None
    assert noticed_s < NOTICE_S
    assert {outcome.root for outcome in lost} == {lost_root}
    assert {jobs[outcome.index].root for outcome in lost} == {"b"}
    for outcome in lost:
        assert outcome.error is not None
        assert outcome.error.type == "RootLostError"
        assert "root 'b'" in outcome.error.message
    assert capfd.readouterr() == ("", "")


def test_a_lost_root_is_named_by_every_call_and_may_be_added_again(three_roots: Runner):
    os.kill(process_of(three_roots, "b"), signal.SIGKILL)

    with pytest.raises(RootLostError) as caught:
        head_until_death_is_noticed(three_roots, "b")
    assert caught.value.root not in three_roots.roots()
    assert three_roots.execute("note", library="b", number=1).status == "lost"

    three_roots.add(Library(), name="b")
    assert three_roots.submit(notes("b", 3)).wait() == Counts(ok=3)
    assert three_roots.submit(notes("a", 3)).wait() == Counts(ok=3)


def test_a_root_is_added_although_the_host_chosen_for_it_is_dead(three_roots: Runner):
    pids = {name: process_of(three_roots, name) for name in "abc"}
    os.kill(pids["a"], signal.SIGKILL)

    added = [three_roots.add(Library()) for _ in range(3)]

    assert [three_roots.head(root) for root in added] == [1, 1, 1]


def test_a_host_that_cannot_import_the_app_says_so_once_with_the_fix(
    ray_local: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "far_away_app.py").write_text(
        "from registry import Workspace\n"
        "app = Workspace()\n"
        "@app.register('one')\n"
        "def one() -> int:\n"
        "    return 1\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    with Runner("far_away_app", hosts=1) as runner, pytest.raises(CodeError) as caught:
        runner.add(Library())

    assert "cannot import" in str(caught.value)
    assert "far_away_app" in caught.value.problem
    assert "install it where the hosts run" in caught.value.way_out


def test_a_job_that_takes_more_memory_than_it_may_fails_alone(ray_local: None):
    """By the limit of the host's process, which is taken back: the same is ok without one."""
    with Runner(library, hosts=1) as runner:
        root = runner.add(Library())
        hoard, own = Job("hoard", root, {"size_bytes": 300 * 2**20}), Options(memory_bytes=2**27)
        jobs = [*notes(root, 5), hoard._replace(options=own), *notes(root, 5), hoard]
        pid = process_of(runner, root)

        outcomes = list(runner.submit(jobs, ordered=True))

        assert [each.status for each in outcomes] == ["ok"] * 5 + ["failed"] + ["ok"] * 6
        assert outcomes[5].error is not None
        assert outcomes[5].error.type == "MemoryError"
        assert process_of(runner, root) == pid


def test_ctrl_c_ends_a_run_within_a_second(run_python: RunPython):
    """Ctrl-C in a terminal reaches every process of the group, Ray's too."""
    lines = run_python(
        """
        import os, signal, threading, time
        from runner import Job, Runner
        from tests.contract import library

        def interrupt():
            global interrupted_s
            interrupted_s = time.monotonic()
            os.killpg(os.getpgrp(), signal.SIGINT)

        with Runner(library, hosts=2) as runner:
            roots = runner.add_many([library.Library() for _ in range(2)])
            jobs = [Job("rest", roots[n % 2], {"seconds": 0.002}) for n in range(20_000)]
            batch = runner.submit(jobs)
            threading.Timer(0.5, interrupt).start()
            try:
                batch.wait()
            except KeyboardInterrupt:
                batch.wait()
                print(time.monotonic() - interrupted_s)
            counts = batch.counts()
            print(counts.done)
            print(counts.ok == sum(runner.head(root) - 1 for root in roots) or counts)
            print(0 < counts.ok < 20_000 and counts.cancelled == 20_000 - counts.ok)
        """
    ).splitlines()

    assert float(lines[0]) < 1.0
    assert lines[1:] == ["20000", "True", "True"]


def test_callables_and_classes_of_a_script_travel_by_value(run_python: RunPython):
    """Also: a Ray that was started before the runner is used, and left running."""
    assert (
        run_python(
            """
            from __future__ import annotations
            import enum
            import ray
            ray.init(address="local", num_cpus=1, log_to_driver=False, logging_level="ERROR",
                     include_dashboard=False, object_store_memory=80 * 2**20)
            from registry import Entity, Workspace
            from runner import Job, Runner

            ws = Workspace()

            class Color(enum.Enum):
                RED = 1
                BLUE = 2

            class Leaf(Entity):
                color: Color = Color.RED

            class Tree(Entity):
                leaves: list[Leaf] = []

            def grown(color):
                return Leaf(color=color)

            @ws.register("grow")
            def grow(tree: Tree, color: Color) -> Tree:
                tree.leaves.append(grown(color))
                return tree

            @ws.register("colors")
            def colors(tree: Tree) -> list[Color]:
                return [leaf.color for leaf in tree.leaves]

            with Runner(ws, hosts=2) as runner:
                tree = runner.add(Tree(leaves=[Leaf()]))
                jobs = [Job("grow", tree, {"color": color}) for color in Color] * 2
                print(runner.submit(jobs).wait().ok)
                R, B = Color
                print(runner.execute("colors", tree=tree).result() == [R, R, B, R, B])
                snapshot = runner.snapshot(tree)
                print(type(snapshot) is Tree, type(snapshot.leaves[1]) is Leaf)
                print(len(runner.snapshot(tree, 1).leaves))
            print(ray.is_initialized())
            """
        )
        == "4\nTrue\nTrue True\n1\nTrue\n"
    )


def test_nothing_of_ray_is_imported_before_it_is_needed(run_python: RunPython):
    assert run_python("import runner, sys; print('ray' in sys.modules)") == "False\n"
