"""A process that houses owners: bytes come in, the right owner runs each job, bytes go out.

Each root that is added gets an owner with its own workspace. Roots that executions create stay with
the owner that bore them. Jobs without a root run in one more workspace, which starts empty.

Plain Python; `ray_host.py` puts it into an actor, `transport.py` runs it in the driver's process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from registry import Ref, Workspace
from runner import wire
from runner.batch import ErrorInfo
from runner.code import LoadedCode, load_code
from runner.errors import CodeError, RootNotFoundError, WireError
from runner.owner import Owner
from runner.wire import CANCELLED, RECEIPT_FIELDS, Reply, ReplyRow, Row, Wire

CANCELLED_BATCHES_KEPT = 1_000
"""Batches whose cancellation a host remembers; chunks of older ones have long arrived."""

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
        self._cancelled: deque[str] = deque(maxlen=CANCELLED_BATCHES_KEPT)
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
            batch, rows = self._wire.loads_chunk(payload)
        except Exception as exc:  # noqa: BLE001 - the driver tells each job
            error = WireError("a job of this chunk", f"{type(exc).__name__}: {exc}")
            return self._wire.dumps_reply(Reply([], (), error))
        replies: list[ReplyRow] = []
        born: list[tuple[Ref, Ref | None]] = []
        try:
            for row in rows:
                if batch in self._cancelled:
                    replies.append(CANCELLED)
                else:
                    replies.append(self._run(batch, row, born))
                    if self._was_interrupted:
                        self.cancel(batch)
        except KeyboardInterrupt:  # between two jobs
            self._was_interrupted = True
            replies += [CANCELLED] * (len(rows) - len(replies))
        return self._wire.dumps_reply(Reply(replies, tuple(born)))

    def cancel(self, batch: str) -> None:
        """Skip what has not begun of a batch; may be called from another thread."""
        self._cancelled.append(batch)

    def take_interrupt(self) -> bool:
        """Return whether Ctrl-C came since the last call."""
        was_interrupted, self._was_interrupted = self._was_interrupted, False
        return was_interrupted

    def _run(self, batch: str, row: Row, born: list[tuple[Ref, Ref | None]]) -> ReplyRow:
        (callable_name, names), root, index, own_id, values = row
        owner = self._rootless if root is None else self._owners.get(root.root)
        if owner is None:
            return 0, ErrorInfo.of(RootNotFoundError(str(root)))
        reply = owner.run(
            callable_name, dict(zip(names, values, strict=True)), own_id or f"{batch}-{index}"
        )
        if len(reply) == RECEIPT_FIELDS:
            for ref in reply[5]:
                if ref.root not in self._owners:
                    self._owners[ref.root] = owner
                    born.append((ref.root_ref, root))
        elif self._is_interruptible and reply[1].type == "KeyboardInterrupt":
            self._was_interrupted = True
        return reply

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
