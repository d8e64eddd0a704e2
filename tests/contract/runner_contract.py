"""What a runner does, whatever its transport: every rule holds in process and on Ray."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator

import pytest
from tenacity.wait import wait_fixed

from registry import NotFoundError, Ref, StructureError
from registry.errors import IdentityTakenError, NameTakenError, UsageError
from runner import (
    Counts,
    ExecutionError,
    Job,
    Options,
    Outcome,
    ResultOf,
    Retries,
    Runner,
    RunnerError,
)
from runner.errors import RootNotFoundError
from tests.contract.library import Book, Library, Shelf, Sorting, new_library

LIMIT_S = 60


def notes(root: Ref | str, count: int) -> list[Job]:
    return [Job("note", root, {"number": number}) for number in range(count)]


def log_of(runner: Runner, root: Ref) -> list[int]:
    library = runner.snapshot(root)
    assert isinstance(library, Library)
    return list(library.log)


class RunnerContract:
    """Subclasses give a `runner` on `library.app` with two hosts; tests add roots of their own."""

    keys = itertools.count()
    """What `stumble` counts by, another one each time."""

    @pytest.fixture
    def root(self, runner: Runner) -> Ref:
        """A library of 111 entities."""
        return runner.add(new_library())

    # --- roots ---

    def test_what_was_added_is_version_1_there(self, runner: Runner):
        library = new_library()

        root = runner.add(library)

        assert runner.head(root) == 1
        assert runner.snapshot(root).model_dump() == library.model_dump()
        assert root.lineage_id == library.lineage_id
        assert root in runner.roots()

    def test_roots_are_added_in_the_order_in_which_they_are_given(self, runner: Runner):
        given = {f"order {number}": Library(name=f"{number}") for number in range(5)}

        roots = runner.add_many(given)

        assert [runner.ref(name) for name in given] == roots
        assert [runner.snapshot(root).name for root in roots] == ["0", "1", "2", "3", "4"]

    def test_a_root_is_not_replaced_by_an_orphan_with_its_identity(self, runner: Runner):
        library = Library()
        root = runner.add(library)
        runner.execute("note", library=root, number=1)

        with pytest.raises(IdentityTakenError):
            runner.add(library)

        assert log_of(runner, root) == [1]
        assert runner.add(library.model_copy()) != root

    def test_a_name_is_given_once(self, runner: Runner):
        runner.add(Library(), name="only one")

        with pytest.raises(NameTakenError) as caught:
            runner.add(Library(), name="only one")

        assert caught.value.name == "only one"
        assert caught.value.owner.startswith("root 'only one' (@")

    def test_what_is_no_tree_is_refused_and_the_rest_is_added(self, runner: Runner):
        book = Book(title="twice")
        crooked = Library(shelves=[Shelf(books=[book]), Shelf(books=[book])])

        with pytest.raises(StructureError):
            runner.add_many({"crooked": crooked, "straight": Library()})

        assert runner.head("straight") == 1
        with pytest.raises(RootNotFoundError):
            runner.head("crooked")

    # --- batches ---

    def test_every_job_has_one_outcome(self, runner: Runner):
        roots = runner.add_many([Library() for _ in range(4)])
        jobs = [Job("note", roots[n % 4], {"number": n}) for n in range(1_000)]

        outcomes = list(runner.submit(jobs))

        assert sorted(outcome.index for outcome in outcomes) == list(range(1_000))
        assert all(outcome.ok for outcome in outcomes)
        assert all(outcome.root == jobs[outcome.index].root for outcome in outcomes)
        assert len({outcome.id for outcome in outcomes}) == 1_000
        assert [runner.head(root) for root in roots] == [251] * 4

    def test_jobs_of_a_root_run_in_order_of_submission(self, runner: Runner):
        roots = runner.add_many([Library() for _ in range(3)])
        jobs = [Job("note", roots[n % 3], {"number": n}) for n in range(3_000)]

        assert runner.submit(jobs).wait() == Counts(ok=3_000)

        for first, root in enumerate(roots):
            assert log_of(runner, root) == list(range(first, 3_000, 3))

    def test_outcomes_come_in_order_if_asked(self, runner: Runner):
        roots = runner.add_many([Library() for _ in range(3)])
        jobs = [Job("note", roots[n % 3], {"number": n}) for n in range(1_000)]

        assert [each.index for each in runner.submit(jobs, ordered=True)] == list(range(1_000))
        assert [each.index for each in runner.submit(jobs).in_order()] == list(range(1_000))

    def test_a_config_travels_by_value_or_as_its_fields(self, runner: Runner):
        root = runner.add(Library(log=[1, 3, 2]))
        jobs = [
            Job("sort", root, {"sorting": Sorting(backwards=True)}),
            Job("sort", root, {"backwards": True, "most": 2}),
            Job("sort", None, {"library": root, "sorting": {"most": 1}}),
            Job("sort", root, {}),
            Job("sort", root, {"sideways": True}),
        ]

        outcomes = list(runner.submit(jobs, ordered=True))

        assert [each.value for each in outcomes[:4]] == [3, 2, 1, 1]
        assert [each.ok for each in outcomes] == [True] * 4 + [False]
        assert "most" in str(outcomes[4].error)
        assert log_of(runner, root) == [2]

    def test_a_receipt_tells_what_happened(self, runner: Runner, root: Ref):
        (outcome,) = runner.submit([Job("move", root, {"source": 0, "target": 1}, id="my own")])

        assert outcome._replace(queued_s=0, run_s=0) == Outcome(
            index=0,
            number="my own",
            callable="move",
            root=root,
            status="ok",
            semantic="mutation",
            version=2,
            changed=3,
            value=root,
            outputs=(root,),
        )
        assert outcome.run_s > 0
        assert outcome.queued_s > 0
        assert runner.history(root)[1].execution_id == "my own"

    def test_an_empty_batch_ends_at_once(self, runner: Runner):
        assert list(runner.submit([])) == []

    def test_an_endless_source_is_taken_from_as_outcomes_are(self, runner: Runner, root: Ref):
        taken = itertools.count()
        source = (Job("note", root, {"number": next(taken)}) for _ in itertools.count())

        with runner.submit(source) as batch:
            outcomes = list(itertools.islice(batch, 5_000))
        held = next(taken) - 5_000

        assert all(outcome.ok for outcome in outcomes)
        assert held <= 50_000
        assert batch.counts().done == next(taken) - 1

    def test_a_source_that_raises_ends_the_batch_after_what_it_gave(
        self, runner: Runner, root: Ref
    ):
        def source() -> Iterator[Job]:
            yield from notes(root, 10)
            raise OSError("the disk is gone")

        batch = runner.submit(source())
        with pytest.raises(OSError, match="the disk is gone"):
            batch.wait()

        assert batch.counts() == Counts(ok=10)
        assert runner.head(root) == 11

    def test_two_batches_may_take_turns(self, runner: Runner, root: Ref):
        one, other = runner.submit(notes(root, 500)), runner.submit(notes(root, 500))

        pairs = list(zip(one, other, strict=True))

        assert len(pairs) == 500
        assert runner.head(root) == 1_001

    def test_a_loop_that_was_left_can_be_taken_up(self, runner: Runner, root: Ref):
        batch = runner.submit(notes(root, 100))

        first = next(iter(batch))
        rest = list(batch)

        assert [first.index, *(outcome.index for outcome in rest)] == list(range(100))

    # --- jobs that depend on others ---

    def test_a_job_gets_what_earlier_ones_returned(self, runner: Runner, root: Ref):
        jobs = [
            Job("found", None, {"name": "new"}, id="new"),
            Job("note", ResultOf("new"), {"number": 7}, id="noted"),
            Job("note", root, {"number": ResultOf("noted")}),
            Job("total", None, {"libraries": [ResultOf("new")]}),
            Job("show", root, {"value": {"is": [ResultOf("new"), 3]}}),
        ]

        outcomes = list(runner.submit(jobs, ordered=True))

        new = outcomes[0].value
        assert isinstance(new, Ref)
        assert [each.value for each in outcomes[1:]] == [1, 1, 1, {"is": [new, 3]}]
        assert (log_of(runner, new), log_of(runner, root)) == ([7], [1])

    def test_a_job_is_skipped_if_one_that_it_depends_on_did_not_succeed(
        self, runner: Runner, root: Ref
    ):
        jobs = [
            Job("fail", root, {"message": "no such shelf"}, id="a"),
            Job("note", root, {"number": 1}, id="b", options=Options(depends_on=("a",))),
            Job("note", root, {"number": ResultOf("b")}),
            Job("note", root, {"number": 2}),
        ]
        batch = runner.submit(jobs, ordered=True)

        outcomes = list(batch)

        assert [each.status for each in outcomes] == ["failed", "skipped", "skipped", "ok"]
        assert batch.counts() == Counts(ok=1, failed=1, skipped=2)
        error = outcomes[2].error
        assert error is not None
        assert error.type == "SkippedError"
        assert "'b', which it depends on, is skipped (ValueError: no such shelf)" in error.message
        assert log_of(runner, root) == [2]

    def test_roots_keep_their_order_whoever_waits_for_whom(self, runner: Runner):
        """Each job depends on the one before it, and that one is for another root."""
        roots = runner.add_many([Library() for _ in range(3)])
        jobs = [
            Job(
                "note",
                roots[n % 3],
                {"number": n},
                f"{n}",
                Options(depends_on=f"{n - 1}") if n % 5 == 4 else None,
            )
            for n in range(600)
        ]

        assert runner.submit(jobs).wait() == Counts(ok=600)

        for first, root in enumerate(roots):
            assert log_of(runner, root) == list(range(first, 600, 3))

    def test_those_with_a_higher_priority_overtake_those_that_wait(self, runner: Runner, root: Ref):
        jobs = [
            Job("note", root, {"number": n}, options=Options(priority=1) if n >= 150 else None)
            for n in range(200)
        ]

        assert runner.submit(jobs, chunk=5, window=1).wait() == Counts(ok=200)

        log = log_of(runner, root)
        assert sorted(log) == list(range(200))
        assert [each for each in log if each >= 150] == list(range(150, 200))
        assert [each for each in log if each < 150] == list(range(150))
        assert log.index(199) < 150

    # --- how jobs name roots ---

    def test_a_root_goes_by_ref_name_or_address(self, runner: Runner):
        root = runner.add(Library(), name="by any name")
        jobs = [
            Job("note", root, {"number": 0}),
            Job("note", "by any name", {"number": 1}),
            Job("note", root.address, {"number": 2}),
            Job("note", None, {"library": root, "number": 3}),
            Job("note", None, {"number": 4, "library": "by any name"}),
            Job("note", root, {"library": root.address, "number": 5}),
        ]

        outcomes = list(runner.submit(jobs, ordered=True))

        assert [outcome.value for outcome in outcomes] == [1, 2, 3, 4, 5, 6]
        assert {outcome.root for outcome in outcomes} == {root}

    def test_an_entity_inside_a_tree_may_be_an_argument(self, runner: Runner, root: Ref):
        shelf = runner.ref(runner.snapshot(root).shelves[3])

        outcome = runner.execute("shelve", library=root, shelf=shelf)

        assert outcome.error is not None
        assert outcome.error.type == "StructureError"
        assert runner.head(root) == 1

    def test_an_entity_of_no_tree_may_be_an_argument(self, runner: Runner, root: Ref):
        outcome = runner.execute("shelve", library=root, shelf=Shelf(books=[Book(title="new")]))

        assert outcome.error is None
        assert outcome.version == 2
        assert runner.snapshot(root).shelves[-1].books[0].title == "new"

    def test_a_collection_of_entities_may_be_an_argument(self, runner: Runner, root: Ref):
        runner.execute("note", library=root, number=1)

        assert runner.execute("total", libraries=[root]).result() == 1

    def test_a_snapshot_as_argument_is_refused_with_the_way_out(self, runner: Runner, root: Ref):
        outcome = runner.execute("note", library=runner.snapshot(root), number=1)

        assert outcome.status == "failed"
        assert outcome.error is not None
        assert "pass its ref" in outcome.error.message

    def test_a_callable_without_entities_runs_anywhere(self, runner: Runner):
        jobs = [Job("add_up", None, {"a": number, "b": 1}) for number in range(20)]

        outcomes = list(runner.submit(jobs, ordered=True))

        assert [outcome.value for outcome in outcomes] == list(range(1, 21))
        assert {outcome.root for outcome in outcomes} == {None}

    def test_coroutine_functions_run_like_any_other(self, runner: Runner, root: Ref):
        jobs = [Job("wait_and_note", root, {"number": number}) for number in (1, -1, 2)]

        outcomes = list(runner.submit(jobs, ordered=True))

        assert [outcome.version for outcome in outcomes] == [2, 0, 3]
        assert outcomes[0].value == root
        assert outcomes[1].error is not None
        assert [frame.split(" in ")[1].split("\n")[0] for frame in outcomes[1].error.frames] == [
            "wait_and_note"
        ]
        assert log_of(runner, root) == [1, 2]

    # --- attempts ---

    def test_a_job_that_failed_is_run_again_until_it_succeeds(self, runner: Runner, root: Ref):
        key = f"run again {next(self.keys)}"
        jobs = [Job("stumble", root, {"key": key, "times": 2}, "a"), *notes(root, 3)]
        retries = Retries(3, on=("ConnectionError",), wait=wait_fixed(0.01))

        batch = runner.submit(jobs, ordered=True, options=Options(retries=retries))
        first, *others = batch

        assert (first.status, first.id, first.value, first.attempts) == ("ok", "a", 3, 3)
        assert [each.attempts for each in others] == [1] * 3
        assert batch.counts() == Counts(ok=4)
        assert sorted(log_of(runner, root)) == [0, 1, 2, 3]

    def test_what_depends_on_a_job_waits_for_its_last_attempt(self, runner: Runner, root: Ref):
        good, bad = (f"waits {next(self.keys)}" for _ in range(2))
        jobs = [
            Job("stumble", root, {"key": good, "times": 1}, "good"),
            Job("stumble", root, {"key": bad, "times": 9}, "bad"),
            Job("add_up", None, {"a": ResultOf("good"), "b": 40}, "sum"),
            Job("note", root, {"number": 7}, "never", Options(depends_on="bad")),
        ]
        retries = Retries(2, wait=wait_fixed(0.01))

        outcomes = list(runner.submit(jobs, ordered=True, options=Options(retries=retries)))

        assert [(each.id, each.status, each.attempts) for each in outcomes] == [
            *(("good", "ok", 2), ("bad", "failed", 2), ("sum", "ok", 1), ("never", "skipped", 1)),
        ]
        assert outcomes[2].value == 42
        assert log_of(runner, root) == [2]

    def test_a_job_has_its_own_number_of_attempts(self, runner: Runner, root: Ref):
        names = [f"own {next(self.keys)}" for _ in range(3)]
        jobs = [Job("stumble", root, {"key": name, "times": 9}) for name in names]
        wait = wait_fixed(0)
        jobs[1] = jobs[1]._replace(options=Options(retries=Retries(4, wait=wait)))
        jobs[2] = jobs[2]._replace(options=Options(retries=Retries(4, on=(KeyError,), wait=wait)))

        outcomes = list(runner.submit(jobs, ordered=True))

        assert [(each.status, each.attempts) for each in outcomes] == [
            ("failed", 1),
            ("failed", 4),
            ("failed", 1),
        ]
        assert outcomes[1].error is not None
        assert outcomes[1].error.message == "time 4"
        assert runner.head(root) == 1

    @pytest.mark.parametrize("is_list", [True, False])
    def test_what_failed_can_be_submitted_again(self, runner: Runner, root: Ref, is_list: bool):
        key = f"submitted again {next(self.keys)}"
        jobs = [*notes(root, 2), Job("stumble", root, {"key": key, "times": 1}, "a")]
        batch = runner.submit(jobs if is_list else iter(jobs))
        assert batch.wait() == Counts(ok=2, failed=1)

        (again,) = batch.retry_failed()

        assert (again.index, again.id, again.status, again.attempts) == (0, "a", "ok", 2)
        assert log_of(runner, root) == [0, 1, 2]

    # --- failures: a bad item costs only itself (invariant 12) ---

    def test_a_job_that_raises_fails_alone_and_changes_nothing(self, runner: Runner, root: Ref):
        jobs = [*notes(root, 2), Job("fail", root, {"message": "no such shelf"}), *notes(root, 2)]

        outcomes = list(runner.submit(jobs, ordered=True))

        assert [outcome.status for outcome in outcomes] == ["ok", "ok", "failed", "ok", "ok"]
        error = outcomes[2].error
        assert error is not None
        assert (error.type, error.message) == ("ValueError", "no such shelf")
        assert log_of(runner, root) == [0, 1, 0, 1]

    def test_an_error_shows_the_frames_of_the_user_and_no_others(self, runner: Runner, root: Ref):
        outcome = runner.execute("fail", library=root, message="no such shelf")

        assert outcome.error is not None
        assert [frame.split(" in ")[1].split("\n")[0] for frame in outcome.error.frames] == [
            "fail",
            "complain",
        ]
        assert "raise ValueError(message)" in outcome.error.traceback

    def test_an_error_names_the_root_and_the_version_that_it_met(self, runner: Runner, root: Ref):
        runner.submit(notes(root, 2)).wait()

        outcome = runner.execute("fail", library=root, message="no such shelf")

        assert outcome.error is not None
        assert outcome.error.notes == (f"Library {root.address} at version 3",)
        assert outcome.error.bases == ("Exception", "BaseException")

    def test_the_result_of_a_failed_execution_is_our_own_error(self, runner: Runner, root: Ref):
        outcome = runner.execute("fail", library=root, message="no such shelf")

        with pytest.raises(ExecutionError, match="'fail': ValueError: no such shelf") as caught:
            outcome.result()

        error = outcome.error
        assert error is not None
        assert caught.value.__notes__ == [error.traceback, *error.notes]
        copied = pickle.loads(pickle.dumps(caught.value))
        assert str(copied) == str(caught.value)
        assert copied.info == outcome.error

    def test_a_callable_that_exits_costs_only_its_job(self, runner: Runner, root: Ref):
        outcomes = list(runner.submit([Job("leave", root), *notes(root, 3)], ordered=True))

        assert [outcome.status for outcome in outcomes] == ["failed", "ok", "ok", "ok"]
        assert outcomes[0].error is not None
        assert outcomes[0].error.type == "SystemExit"

    @pytest.mark.parametrize(
        ("job", "error", "text"),
        [
            (Job("nothing", None), "JobError", "callable 'nothing' is not registered"),
            (Job("note", "nowhere", {"number": 1}), "RootNotFoundError", "'nowhere'"),
            (Job("note", "@nonsense", {"number": 1}), "RootNotFoundError", "'@nonsense'"),
            (Job("note", "here", {"number": "one"}), "ArgumentError", "parameter 'number'"),
            (Job("note", "here", {"numbr": 1}), "ArgumentError", "parameter 'numbr'"),
            (Job("note", "here"), "ArgumentError", "parameter 'number'"),
            (Job("note", "here", [1]), "JobError", "job 1 cannot be read"),  # type: ignore[arg-type]
            ({"callable": "note"}, "JobError", "job 1 is a dict, expected a Job"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_is_wrong_with_a_job_is_told_and_the_batch_goes_on(
        self, runner: Runner, job: Job, error: str, text: str
    ):
        if "here" not in runner.roots().values():
            runner.add(Library(), name="here")

        outcomes = list(runner.submit([*notes("here", 1), job, *notes("here", 1)], ordered=True))

        assert [outcome.status for outcome in outcomes] == ["ok", "failed", "ok"]
        assert outcomes[1].error is not None
        assert outcomes[1].error.type == error
        assert text in outcomes[1].error.message

    def test_trees_of_different_owners_in_one_job_are_refused(self, runner: Runner):
        one, other = runner.add_many([Library(), Library()])

        outcome = runner.execute("merge", library=one, other=other)

        assert outcome.error is not None
        assert outcome.error.type == "SeparateOwnersError"
        assert one.address in outcome.error.message
        assert other.address in outcome.error.message
        assert "not offered yet" in outcome.error.message

    def test_an_argument_that_cannot_be_sent_costs_only_its_job(self, runner: Runner, root: Ref):
        def endless() -> Iterator[int]:
            yield 1

        jobs = [*notes(root, 2), Job("show", root, {"value": endless()}), *notes(root, 2)]

        outcomes = list(runner.submit(jobs, ordered=True))

        assert [outcome.status for outcome in outcomes] == ["ok", "ok", "failed", "ok", "ok"]
        assert outcomes[2].error is not None
        assert "argument 'value' of callable 'show'" in outcomes[2].error.message

    def test_a_result_that_cannot_be_sent_is_an_error_beside_what_was_done(
        self, runner: Runner, root: Ref
    ):
        outcomes = list(runner.submit([Job("bind", root), *notes(root, 1)], ordered=True))

        assert [outcome.status for outcome in outcomes] == ["ok", "ok"]
        assert outcomes[0].version == 2
        with pytest.raises(ExecutionError, match="cannot be sent"):
            outcomes[0].result()

    # --- what executions create ---

    def test_a_created_root_is_reachable_by_its_ref(self, runner: Runner, root: Ref):
        for outcome in (
            runner.execute("split_off", library=root, name="branch office"),
            runner.execute("found", name="branch office"),
        ):
            created = outcome.result()

            assert outcome.semantic == "creation"
            assert created in runner.roots()
            assert runner.snapshot(created).name == "branch office"
            assert runner.submit(notes(created, 5)).wait() == Counts(ok=5)
            assert runner.head(created) == 6

    def test_a_root_shares_an_owner_with_the_one_that_bore_it(self, runner: Runner, root: Ref):
        created = runner.execute("split_off", library=root, name="branch office").result()
        runner.execute("note", library=root, number=7)

        assert runner.execute("merge", library=created, other=root).ok
        assert log_of(runner, created) == [0, 7]

    # --- reading ---

    def test_old_versions_stay_readable(self, runner: Runner, root: Ref):
        runner.submit(notes(root, 3)).wait()

        assert [list(runner.snapshot(root, version).log) for version in (1, 2, 4)] == [
            [],
            [0],
            [0, 1, 2],
        ]
        assert [info.version for info in runner.history(root)] == [1, 2, 3, 4]

    def test_a_version_that_never_was_is_told(self, runner: Runner, root: Ref):
        with pytest.raises(NotFoundError):
            runner.snapshot(root, 99)

    def test_a_diff_tells_what_changed(self, runner: Runner, root: Ref):
        runner.submit(notes(root, 1)).wait()

        diff = runner.diff(root, 1, 2)

        assert [(change.ref, change.field) for change in diff.changed] == [(root, "log")]
        assert diff.to_json_patch() == [{"op": "add", "path": "/log/0", "value": 0}]

    def test_a_fork_goes_its_own_way(self, runner: Runner, root: Ref):
        runner.submit(notes(root, 3)).wait()

        fork = runner.fork(root, at=2)
        outcome = runner.execute("note", library=fork, number=9)

        assert outcome.version == 3
        assert outcome.root == fork
        assert log_of(runner, fork) == [0, 9]
        assert log_of(runner, root) == [0, 1, 2]
        assert runner.submit([Job("note", fork, {"number": 10})]).wait() == Counts(ok=1)
        assert runner.head(fork) == 4

    def test_a_snapshot_is_the_readers_own(self, runner: Runner, root: Ref):
        mine = runner.snapshot(root)
        mine.log.append(1)

        assert log_of(runner, root) == []

    # --- ends ---

    def test_a_cancelled_batch_ends_with_every_job_accounted_for(self, runner: Runner):
        roots = runner.add_many([Library() for _ in range(2)])
        jobs = [Job("rest", roots[n % 2], {"seconds": 0.005}) for n in range(2_000)]
        batch = runner.submit(jobs)
        first = list(itertools.islice(batch, 20))

        batch.cancel()
        rest = list(batch)

        counts = batch.counts()
        assert all(outcome.ok for outcome in first)
        assert counts.done == 2_000
        assert counts.ok == sum(outcome.ok for outcome in (*first, *rest)) < 2_000
        assert {outcome.status for outcome in rest} <= {"ok", "cancelled"}
        assert all(outcome.error is not None for outcome in rest if not outcome.ok)

    def test_a_batch_goes_on_after_another_was_cancelled(self, runner: Runner, root: Ref):
        with runner.submit(notes(root, 5_000)) as batch:
            next(iter(batch))

        done = runner.head(root) - 1
        assert runner.submit(notes(root, 10)).wait() == Counts(ok=10)
        assert batch.counts().ok == done

    def test_bytes_of_an_execution_do_not_grow_with_the_tree(self, runner: Runner):
        """Invariant 11: no tree crosses a process to be executed on."""
        sizes = []
        for shelves, books in ((10, 10), (100, 100)):
            root = runner.add(new_library(shelves, books))
            before = runner.statistics()
            circle = [Job("move", root, {"source": n, "target": (n + 1) % 10}) for n in range(10)]
            jobs = circle * 100
            assert runner.submit(jobs).wait() == Counts(ok=1_000)
            after = runner.statistics()
            sizes.append(
                after.bytes_sent - before.bytes_sent + after.bytes_received - before.bytes_received
            )

        assert sizes[1] < sizes[0] * 1.2
        assert sizes[0] / 1_000 < 100

    def test_statistics_count_what_was_done(self, runner: Runner, root: Ref):
        before = runner.statistics()

        runner.submit([*notes(root, 9), Job("fail", root, {"message": ""})]).wait()

        after = runner.statistics()
        assert after.executions - before.executions == 10
        assert after.failed - before.failed == 1
        assert after.run_s > before.run_s
        assert after.hosts >= 1
        assert after.roots == len(runner.roots())

    def test_every_error_of_a_call_is_ours(self, runner: Runner):
        for call in (
            lambda: runner.head("nowhere"),
            lambda: runner.ref("nowhere"),
            lambda: runner.ref(Library()),
        ):
            with pytest.raises(RunnerError) as caught:
                call()
            assert isinstance(caught.value, UsageError)
