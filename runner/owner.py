"""The single writer of a root: runs jobs one at a time, and answers with receipts or errors.

Plain Python over one workspace. Knows neither Ray nor chunks nor the driver; time is injected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from time import perf_counter
from typing import Any

from registry import Ref, Workspace
from registry.clock import Clock
from registry.errors import JournalBusyError, JournalError, TreerunnerError
from runner.batch import ErrorInfo
from runner.wire import ReplyRow, failure

MICROSECONDS = 1_000_000


class Owner:
    """Runs executions on the tree of one workspace, and on those that they create in it.

    Not thread-safe: its host gives it one job at a time.

    Args:
        workspace: Its own registry; nobody else writes to it.
        root: The root that it was made for; None for work without one.
        clock: Returns seconds; only differences are used.
    """

    __slots__ = ("_clock", "_root", "_root_alone", "workspace")

    def __init__(
        self,
        workspace: Workspace,
        root: Ref | None,
        clock: Clock = perf_counter,
    ) -> None:
        self.workspace = workspace
        self._root_alone = () if root is None else (root,)
        self._root = root
        self._clock = clock

    def run_each(
        self,
        callable_name: str,
        names: tuple[str, ...],
        calls: Iterable[tuple[tuple[Any, ...], int | str]],
        replies: list[Any],
        note: Callable[[ReplyRow], None],
        about: Ref | None = None,
    ) -> None:
        """Run jobs of one shape; whatever one raises comes back as data, and changes nothing.

        Args:
            callable_name: The callable.
            names: Names of the arguments.
            calls: Values of the arguments, and the execution's number or id, for each.
            replies: What became of each is added here, end to end.
            note: Learns of each reply that is not about the root alone.
            about: The root that they are for; a failure tells its version.

        Raises:
            JournalError, JournalBusyError: The store failed, where a tree is still there only.

        Cost: the executions, and half a microsecond each.
        """
        clock, root, root_alone = self._clock, self._root, self._root_alone
        began = clock()
        with closing(self.workspace.run_each(callable_name, names, calls)) as each_done:
            for done in each_done:
                ended = clock()
                run_us = int((ended - began) * MICROSECONDS)
                began = ended
                if isinstance(done, JournalError | JournalBusyError):
                    raise done  # the tree could not be read; that says nothing about the job
                if isinstance(done, BaseException):
                    row = failure(run_us, self._told(done, about))
                else:
                    _, semantic, version, changed, value, outputs = done
                    # Most callables return the root. The very same objects each time: `wire.py`.
                    if outputs and outputs == root_alone:
                        if value == root:
                            value = root
                        replies += (run_us, version, changed, semantic, value, root_alone)
                        continue
                    row = (run_us, version, changed, semantic, value, outputs)
                replies += row
                note(row)

    def _told(self, error: BaseException, root: Ref | None) -> ErrorInfo:
        """Return an error as data, with the root and its version as the last note.

        Cost: that of the error. No snapshot: that would read the history of the root.
        """
        info = ErrorInfo.of(error)
        if root is None:
            return info
        try:
            cls, version = self.workspace.class_of(root), self.workspace.head(root)
            name = self.workspace.name_of(root)
        except TreerunnerError:  # it is not here, or was dropped: that is the error then
            return info
        # By name where it has one: the same jobs then give the same outcomes, run after run.
        label = root.address if name is None else repr(name)
        place = f"{cls.__name__} {label} at version {version}"
        return info._replace(notes=(*info.notes, place))
