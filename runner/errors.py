"""Every error of the runner, in the registry's two families by what the caller does next.

`UsageError`: fix the job, the code or the set-up. `TransientError`: run it again. Inside a batch
none of them is raised: they become the `error` of an outcome, as data. All survive pickling: `args`
are the arguments of `__init__`, the text is built in `__str__`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.errors import TransientError, TreerunnerError, UsageError

if TYPE_CHECKING:
    from registry import Ref
    from runner.batch import Counts, ErrorInfo, Outcome, Status


class RunnerError(TreerunnerError):
    """Root of every error that the runner raises on purpose."""


class ExecutionError(RunnerError):
    """What `Outcome.result` raises for an execution that did not succeed.

    A note carries the user's own frames, so that an uncaught one prints where it happened; others
    are those of the error, the last of them the root and its version.
    """

    def __init__(self, callable_name: str, execution_id: str, info: ErrorInfo) -> None:
        super().__init__(callable_name, execution_id, info)
        self.callable_name = callable_name
        self.execution_id = execution_id
        self.info = info
        for note in (info.traceback, *info.notes):
            if note:
                self.add_note(note)

    def __str__(self) -> str:
        return (
            f"execution {self.execution_id} of {self.callable_name!r}: "
            f"{self.info.type}: {self.info.message}"
        )


class BatchError(RunnerError):
    """A job of a batch did not succeed, and whoever submitted it asked to be told this way."""

    def __init__(self, outcome: Outcome, counts: Counts) -> None:
        super().__init__(outcome, counts)
        self.outcome = outcome
        self.counts = counts

    def __str__(self) -> str:
        assert self.outcome.error is not None, "it did not succeed"
        done, bad = self.counts.done, self.counts.done - self.counts.ok
        return (
            f"{bad:,} of {done:,} jobs did not succeed; first job {self.outcome.index}, "
            f"callable {self.outcome.callable!r}: {self.outcome.error.message}"
        )


class JobError(RunnerError, UsageError):
    """A job cannot be sent to any host as it is; nothing has run."""

    def __init__(self, subject: str, problem: str) -> None:
        super().__init__(subject, problem)
        self.subject = subject
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.subject} {self.problem}"


class RootNotFoundError(RunnerError, UsageError, LookupError):
    """No root of this runner has that name, address or ref."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.target = target

    def __str__(self) -> str:
        return f"no root of this runner is {self.target}; add it with Runner.add"


class SeparateOwnersError(RunnerError, UsageError):
    """One job names entities whose trees belong to different owners."""

    def __init__(self, callable_name: str, first: str, second: str) -> None:
        super().__init__(callable_name, first, second)
        self.callable_name = callable_name
        self.first = first
        self.second = second

    def __str__(self) -> str:
        return (
            f"callable {self.callable_name!r} got {self.first} and {self.second}, whose trees have "
            "different owners; executions over trees of different owners are not offered yet"
        )


class RootLostError(RunnerError, UsageError):
    """The host of a root died, and without a journal the root died with it."""

    def __init__(self, label: str, root: Ref) -> None:
        super().__init__(label, root)
        self.label = label
        self.root = root

    def __str__(self) -> str:
        return (
            f"{self.label} is lost: its host died, and it was kept in that host's memory only; "
            "add it again to go on"
        )


class HostLostError(RunnerError, TransientError):
    """A host died before it answered."""

    def __init__(self, host: str, request: str) -> None:
        super().__init__(host, request)
        self.host = host
        self.request = request

    def __str__(self) -> str:
        return f"{self.host} died before it answered {self.request!r}; run it again"


class JobTimeoutError(RunnerError, TransientError):
    """A job ran longer than it may; its host was ended, and nothing of the job stays."""

    def __init__(self, callable_name: str, limit_s: float) -> None:
        super().__init__(callable_name, limit_s)
        self.callable_name = callable_name
        self.limit_s = limit_s

    def __str__(self) -> str:
        return (
            f"callable {self.callable_name!r} ran longer than {self.limit_s:g} s and was ended; "
            "run it again, or allow more with timeout_s"
        )


class TimeLimitError(RunnerError, UsageError):
    """A limit of time was given to a runner that cannot keep it."""

    def __init__(self, missing: str) -> None:
        super().__init__(missing)
        self.missing = missing

    def __str__(self) -> str:
        return (
            f"a job that runs too long is ended with its host, which takes {self.missing}; "
            "leave timeout_s out"
        )


class PoisonError(RunnerError, UsageError):
    """A job ended the process of its host each time that it was run, and is set aside."""

    def __init__(self, callable_name: str, deaths: int) -> None:
        super().__init__(callable_name, deaths)
        self.callable_name = callable_name
        self.deaths = deaths

    def __str__(self) -> str:
        return (
            f"callable {self.callable_name!r} ended the process of its host {self.deaths} times, "
            "run alone: look for os._exit, a crash in C code, or memory without bounds in it"
        )


class JobsNotKeptError(RunnerError):
    """Jobs that did not succeed cannot be run again by their batch: it does not have them."""

    def __init__(self, failed: int, kept: int) -> None:
        super().__init__(failed, kept)
        self.failed = failed
        self.kept = kept

    def __str__(self) -> str:
        return (
            f"of {self.failed:,} jobs to run again {self.kept:,} were kept, since they did not "
            "come from a list; submit a list, or raise Settings.kept_failures"
        )


class HostFaultError(RunnerError):
    """A host failed where it should not, whatever the jobs: a fault of Treerunner itself."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"a host failed in a way that is no job's fault ({self.problem}); please report it"


class HostTimeoutError(RunnerError, TransientError):
    """A host did not answer in time; it may still be at work."""

    def __init__(self, host: str, request: str, timeout_s: float) -> None:
        super().__init__(host, request, timeout_s)
        self.host = host
        self.request = request
        self.timeout_s = timeout_s

    def __str__(self) -> str:
        return f"{self.host} did not answer {self.request!r} within {self.timeout_s:g} s"


class CodeError(RunnerError, UsageError):
    """The callables cannot be sent to a host, or a host cannot load them."""

    def __init__(self, problem: str, way_out: str) -> None:
        super().__init__(problem, way_out)
        self.problem = problem
        self.way_out = way_out

    def __str__(self) -> str:
        return f"{self.problem}; {self.way_out}"


class WireError(RunnerError, UsageError):
    """A value cannot travel between the driver and a host."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(what, reason)
        self.what = what
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.what} cannot be sent ({self.reason}); use data, not open resources"


class CancelledError(RunnerError):
    """An execution did not run, or its outcome is not known, because its batch was cancelled."""

    def __init__(self, progress: str) -> None:
        super().__init__(progress)
        self.progress = progress

    def __str__(self) -> str:
        return f"the batch was cancelled; this execution {self.progress}"


class SkippedError(RunnerError):
    """A job did not run, because one that it depends on did not succeed.

    Attributes:
        dependency: Id of that one.
        status: What became of it.
        error_type: Name of the class of its error; that of the first one, if it was skipped itself.
        message: Text of that.
    """

    def __init__(self, dependency: str, status: Status, error_type: str, message: str) -> None:
        super().__init__(dependency, status, error_type, message)
        self.dependency = dependency
        self.status = status
        self.error_type = error_type
        self.message = message

    def __str__(self) -> str:
        return (
            f"job {self.dependency!r}, which it depends on, is {self.status} "
            f"({self.error_type}: {self.message}); it runs when that one is ok"
        )


class ClusterError(RunnerError, UsageError):
    """Ray cannot be started or reached."""

    def __init__(self, address: str, problem: str, way_out: str) -> None:
        super().__init__(address, problem, way_out)
        self.address = address
        self.problem = problem
        self.way_out = way_out

    def __str__(self) -> str:
        return f"Ray at {self.address} {self.problem}; {self.way_out}"


class RunnerClosedError(RunnerError, UsageError):
    """A runner was used after it was closed, or before it was entered."""

    def __init__(self, call: str) -> None:
        super().__init__(call)
        self.call = call

    def __str__(self) -> str:
        return f"{self.call} needs an open runner; use it inside 'with Runner(...) as runner:'"


class AppModuleError(RunnerError, UsageError):
    """The module that `--app` names is not an app."""

    def __init__(self, module: str, problem: str) -> None:
        super().__init__(module, problem)
        self.module = module
        self.problem = problem

    def __str__(self) -> str:
        return f"app {self.module!r} {self.problem}"


class JobLineError(RunnerError, UsageError):
    """A line of a job file describes no job."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(line, reason)
        self.line = line
        self.reason = reason

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"
