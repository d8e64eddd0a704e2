"""The errors of the runner: family, text, values, and that they survive pickling."""

from __future__ import annotations

import pickle

import pytest

from registry import Ref
from registry.errors import TransientError, TreerunnerError, UsageError
from registry.ids import Key
from runner import errors
from runner.batch import ErrorInfo
from runner.errors import RunnerError

ROOT = Ref(Key(1), Key(1))

EVERY_ERROR: list[tuple[RunnerError, type, str]] = [
    (
        errors.ExecutionError("note", "b-7", ErrorInfo("ValueError", "no", ("frame",))),
        RunnerError,
        "execution b-7 of 'note': ValueError: no",
    ),
    (
        errors.JobsNotKeptError(20_000, 10_000),
        RunnerError,
        (
            "of 20,000 jobs to run again 10,000 were kept, since they did not come from a list; "
            "submit a list, or raise Settings.kept_failures"
        ),
    ),
    (errors.JobError("job 7", "is a dict"), UsageError, "job 7 is a dict"),
    (
        errors.RootNotFoundError("'x'"),
        UsageError,
        "no root of this runner is 'x'; add it with Runner.add",
    ),
    (
        errors.SeparateOwnersError("merge", "root 'a'", "root 'b'"),
        UsageError,
        (
            "callable 'merge' got root 'a' and root 'b', whose trees have different owners; "
            "executions over trees of different owners are not offered yet"
        ),
    ),
    (
        errors.RootLostError("root 'a'", ROOT),
        UsageError,
        (
            "root 'a' is lost: its host died, and it was kept in that host's memory only; "
            "add it again to go on"
        ),
    ),
    (
        errors.HostLostError("host 1", "add"),
        TransientError,
        "host 1 died before it answered 'add'; run it again",
    ),
    (
        errors.HostTimeoutError("host 1", "add", 2.5),
        TransientError,
        "host 1 did not answer 'add' within 2.5 s",
    ),
    (
        errors.CodeError("it is not there", "put it there"),
        UsageError,
        "it is not there; put it there",
    ),
    (
        errors.WireError("argument 'x'", "TypeError: no"),
        UsageError,
        "argument 'x' cannot be sent (TypeError: no); use data, not open resources",
    ),
    (
        errors.CancelledError("was not begun"),
        RunnerError,
        "the batch was cancelled; this execution was not begun",
    ),
    (
        errors.ClusterError("host:1", "does not answer", "start it"),
        UsageError,
        "Ray at host:1 does not answer; start it",
    ),
    (
        errors.RunnerClosedError("Runner.add"),
        UsageError,
        "Runner.add needs an open runner; use it inside 'with Runner(...) as runner:'",
    ),
]


@pytest.mark.parametrize(
    ("error", "family", "text"), EVERY_ERROR, ids=lambda value: type(value).__name__
)
def test_an_error_has_its_family_and_text_and_survives_pickling(
    error: RunnerError, family: type, text: str
):
    copied = pickle.loads(pickle.dumps(error))

    assert isinstance(error, RunnerError)
    assert isinstance(error, family)
    assert isinstance(error, TreerunnerError)
    assert str(error) == str(copied) == text
    assert vars(copied) == vars(error)
