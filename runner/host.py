"""A process that houses owners: bytes come in, the right owner runs each job, bytes go out.

Each root that is added gets an owner with its own workspace. Roots that executions create stay with
the owner that bore them. Jobs without a root run in one more workspace, which starts empty.

Plain Python; `ray_host.py` puts it into an actor, `transport.py` runs it in the driver's process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias

from registry import Ref, Workspace
from runner import wire
from runner.batch import ErrorInfo
from runner.code import LoadedCode, load_code
from runner.errors import CodeError, RootNotFoundError, WireError
from runner.owner import Owner
from runner.wire import CANCELLED, FAILED, Reply, ReplyRow, Row, Shape, Wire, failure

CANCELLED_BATCHES_KEPT = 1_000
"""Batches whose cancellation a host remembers; chunks of older ones have long arrived."""

_shape_and_root = itemgetter(0, 1)

Answer: TypeAlias = tuple[bool, Any]
"""Whether it went well; the value, or the exception."""


class Host:
    """Serves requests one at a time, in the order in which they come.

    Making one cannot fail: what may go wrong does so while a request is served, and is answered.

    Args:
        is_interruptible: Whether Ctrl-C is meant for this process; if not, a KeyboardInterrupt is
            an error of the callable that raised it, as any other.
    """

    def __init__(self, *, is_interruptible: bool = False) -> None:
        self._is_interruptible = is_interruptible
        self._was_interrupted = False
        self._code: LoadedCode | None = None
        self._wire = Wire(by_value=False)
        self._owners: dict[int, Owner] = {}
        self._rootless: Owner | None = None
        self._cancelled: deque[int] = deque(maxlen=CANCELLED_BATCHES_KEPT)
        self._requests: dict[str, Callable[[Any], Any]] = {
            "load": self._load,
            "add": self._add,
            "ask": self._ask,
        }

    def serve(self, method: str, payload: bytes) -> bytes:
        """Serve a request: `load`, `add`, `ask` or `execute`."""
        if method == "execute":
            return self.execute(payload)
        answer: Answer
        try:
            answer = (True, self._requests[method](wire.loads(payload)))
        except BaseException as exc:  # noqa: BLE001 - errors are answers; the driver raises them
            answer = (False, exc.with_traceback(None))
        return self._dumps_answer(answer)

    def execute(self, payload: bytes) -> bytes:
        """Run a chunk of jobs and return what became of each."""
        try:
            chunk = self._wire.loads_chunk(payload)
        except Exception as exc:  # noqa: BLE001 - the driver tells each job
            error = WireError("a job of this chunk", f"{type(exc).__name__}: {exc}")
            return self._wire.dumps_reply(Reply((), (), error))
        replies: list[Any] = []
        born: list[tuple[Ref, Ref | None]] = []
        try:
            for (shape, root), group in groupby(chunk.rows(), key=_shape_and_root):
                self._run_group(shape, root, self._calls(chunk.batch, group), replies, born)
        except KeyboardInterrupt:  # between two jobs
            self._was_interrupted = True
        replies += CANCELLED * (len(chunk.indexes) - len(replies) // len(CANCELLED))
        return self._wire.dumps_reply(Reply.of(replies, born))

    def cancel(self, batch: int) -> None:
        """Skip what has not begun of a batch; may be called from another thread."""
        self._cancelled.append(batch)

    def take_interrupt(self) -> bool:
        """Return whether Ctrl-C came since the last call."""
        was_interrupted, self._was_interrupted = self._was_interrupted, False
        return was_interrupted

    def _calls(
        self, batch: int, rows: Iterable[Row]
    ) -> Iterator[tuple[tuple[Any, ...], int | str]]:
        """Yield values and execution of each row, until the batch is cancelled."""
        cancelled = self._cancelled
        for _, _, index, own_id, values in rows:
            if batch in cancelled:
                return
            yield values, own_id or batch + index

    def _run_group(
        self,
        shape: Shape,
        root: Ref | None,
        calls: Iterator[tuple[tuple[Any, ...], int | str]],
        replies: list[Any],
        born: list[tuple[Ref, Ref | None]],
    ) -> None:
        """Run rows of one shape and root, and add what became of each to *replies*, end to end."""
        owner = self._rootless if root is None else self._owners.get(root.root)
        if owner is None:
            error = ErrorInfo.of(RootNotFoundError(str(root)))
            replies += [part for _ in calls for part in failure(0, error)]
            return

        def note(reply: ReplyRow) -> None:
            for ref in reply[-1]:
                if ref.root not in self._owners:
                    self._owners[ref.root] = owner
                    born.append((ref.root_ref, root))
            if self._is_interruptible and _is_interrupt(reply):
                raise KeyboardInterrupt

        owner.run_each(*shape, calls, replies, note)

    def _load(self, code: bytes) -> None:
        self._code = load_code(code)
        self._wire = Wire(by_value=self._code.by_value)
        self._rootless = Owner(self._code.make_workspace(), None)

    def _add(self, request: tuple[bytes, str | None]) -> Ref:
        tree, name = request
        workspace = self._make_workspace()
        ref = workspace.add_owned(wire.loads(tree), name)
        self._owners[ref.root] = Owner(workspace, ref)
        return ref

    def _ask(self, question: tuple[Ref, str, tuple[Any, ...]]) -> Any:
        ref, method, arguments = question
        owner = self._owners.get(ref.root)
        if owner is None:
            raise RootNotFoundError(ref.address)
        return getattr(owner.workspace, method)(ref, *arguments)

    def _make_workspace(self) -> Workspace:
        if self._code is None:
            raise CodeError("this host has no callables", "send it 'load' first")
        return self._code.make_workspace()

    def _dumps_answer(self, answer: Answer) -> bytes:
        try:
            return self._wire.dumps(answer)
        except Exception as exc:  # noqa: BLE001 - an answer there must be
            what = type(answer[1]).__name__
            return self._wire.dumps((False, WireError(f"the answer, a {what},", str(exc))))


def _is_interrupt(reply: ReplyRow) -> bool:
    return reply[1] == FAILED and reply[4].type == "KeyboardInterrupt"
