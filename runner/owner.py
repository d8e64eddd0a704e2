"""The single writer of a root: runs one job at a time, and answers with a receipt or an error.

Plain Python over one workspace. Knows neither Ray nor chunks nor the driver; time is injected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from registry import Ref, Workspace
from runner.batch import ErrorInfo
from runner.wire import FailureRow, ReceiptRow

MICROSECONDS = 1_000_000


class Owner:
    """Runs executions on the tree of one workspace, and on those that they create in it.

    Not thread-safe: its host gives it one job at a time.

    Args:
        workspace: Its own registry; nobody else writes to it.
        root: The root that it was made for; None for work without one.
        clock: Returns seconds; only differences are used.
    """

    __slots__ = ("_clock", "_root", "_root_alone", "_run", "workspace")

    def __init__(
        self,
        workspace: Workspace,
        root: Ref | None,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self.workspace = workspace
        self._root = root
        self._root_alone = () if root is None else (root,)
        self._run = workspace.run
        self._clock = clock

    def run(
        self, callable_name: str, arguments: Mapping[str, Any], execution_id: str
    ) -> ReceiptRow | FailureRow:
        """Run one job; whatever it raises comes back as data, and the tree is as it was.

        Cost: the execution, and about a microsecond.
        """
        started = self._clock()
        try:
            _, semantic, version, changed, value, outputs = self._run(
                callable_name, arguments, execution_id
            )
        # An escaping `sys.exit` would end the host and every root in it.
        except BaseException as exc:  # noqa: BLE001
            return self._elapsed_us(started), ErrorInfo.of(exc)
        # Most callables return the root. The very same objects each time: see `wire.py`.
        if outputs and outputs == self._root_alone:
            if value == self._root:
                value = self._root
            outputs = self._root_alone
        return self._elapsed_us(started), version, changed, semantic, value, outputs

    def _elapsed_us(self, started: float) -> int:
        return int((self._clock() - started) * MICROSECONDS)
