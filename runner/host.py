"""A process that houses owners: bytes come in, the right owner runs each job, bytes go out.

Each root that is added gets an owner with its own workspace. Roots that executions create stay with
the owner that bore them. Jobs without a root run in one more workspace, which starts empty.

With a store, a chunk is answered when all that it did is durable, see `host_store.py`.

Plain Python; `ray_host.py` puts it into an actor, `transport.py` runs it in the driver's process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from time import perf_counter
from typing import Any, TypeAlias

from registry import Entity, Ref, Workspace, ids
from registry.clock import Clock, system_clock
from registry.errors import FencedError, JournalBusyError, JournalError, TreerunnerError
from registry.journal.port import Entry
from runner import wire
from runner.batch import ErrorInfo
from runner.code import LoadedCode, load_code
from runner.errors import CodeError, HostFaultError, RootNotFoundError, WireError
from runner.host_store import HostStore, Known, known_jobs
from runner.memory import limited_callable
from runner.owner import Owner
from runner.wire import (
    CANCELLED,
    FAILED,
    IDLE,
    Chunk,
    Reply,
    ReplyRow,
    Row,
    Running,
    Shape,
    Wire,
    failure,
)

BATCHES_KEPT = 1_000
"""Batches whose cancellation, or refusal, a host remembers; chunks of older ones have arrived."""

_shape_and_root = itemgetter(0, 1)

Answer: TypeAlias = tuple[bool, Any]
"""Whether it went well; the value, or the exception."""


class Host:
    """Serves requests one at a time, in the order in which they come.

    Making one cannot fail: what may go wrong does so while a request is served, and is answered.

    Args:
        is_interruptible: Whether Ctrl-C is meant for this process; if not, a KeyboardInterrupt is
            an error of the callable that raised it, as any other.
        clock: Where the time of workspaces and of the store comes from.
        timer: Where the time that jobs take comes from: seconds; only differences are used.

    Attributes:
        running: Which job it is at; other threads may look.
    """

    def __init__(
        self,
        *,
        is_interruptible: bool = False,
        clock: Clock = system_clock,
        timer: Clock = perf_counter,
    ) -> None:
        self.running = IDLE
        self._clock = clock
        self._timer = timer
        self._is_interruptible = is_interruptible
        self._was_interrupted = False
        self._code: LoadedCode | None = None
        self._store: HostStore | None = None
        self._is_behind = False
        self._to_recover: list[int] = []
        self._refused: dict[int, TreerunnerError] = {}
        self._delivered: dict[int, int] = {}
        self._fenced: FencedError | None = None
        self._wire = Wire(by_value=False)
        self._owners: dict[int, Owner] = {}
        self._rootless: Owner | None = None
        self._cancelled: deque[int] = deque(maxlen=BATCHES_KEPT)
        self._requests: dict[str, Callable[[Any], Any]] = {
            "load": self._load,
            "add": self._add,
            "add_again": self._add_again,
            "ask": self._ask,
            "open": self._open,
        }

    def serve(self, method: str, payload: bytes) -> bytes:
        """Serve a request: what `execute` takes, or `load`, `add`, `add_again`, `open`, `ask`."""
        if method in ("execute", "resume", "recall"):
            return self.execute(payload, is_again=method != "execute", is_run=method != "recall")
        answer: Answer
        try:
            self._recover()
            answer = (True, self._requests[method](wire.loads(payload)))
        except BaseException as exc:  # noqa: BLE001 - errors are answers; the driver raises them
            if isinstance(exc, JournalError | JournalBusyError):
                self._give_up(exc)
            answer = (False, exc.with_traceback(None))
        return self._dumps_answer(answer)

    def execute(self, payload: bytes, *, is_again: bool = False, is_run: bool = True) -> bytes:
        """Run a chunk of jobs and return what became of each.

        Args:
            payload: The chunk.
            is_again: Whether it was sent before, and not answered or refused: what the store knows
                of is not run. Once one chunk of a batch is refused, all are, until the first of
                them is sent again: jobs for one root keep their order.
            is_run: Whether the others are run; else they are answered and stored as failed with
                the verdict of the chunk, or as if cancelled if there is none.
        """
        try:
            chunk = self._wire.loads_chunk(payload)
        except Exception as exc:  # noqa: BLE001 - the driver tells each job
            error = WireError("a job of this chunk", f"{type(exc).__name__}: {exc}")
            return self._wire.dumps_reply(Reply((), (), error))
        if is_again:
            self._refused.pop(chunk.batch, None)
        elif self._store is not None and not self._is_new(chunk):
            error = WireError("a chunk", "it was delivered before")
            return self._wire.dumps_reply(Reply((), (), error))
        elif chunk.batch in self._refused:
            return self._wire.dumps_reply(Reply((), (), self._refused[chunk.batch]))
        try:
            self._recover()
            if is_run:
                reply = self._run_chunk(chunk, is_again=is_again)
            else:
                reply = self._recall_chunk(chunk)
        except TreerunnerError as error:  # of the store
            self._give_up(error)
            reply = Reply((), (), self._refuse(chunk.batch, error))
        except Exception as exc:  # noqa: BLE001 - a fault of ours; nobody shall wait for ever
            fault = HostFaultError(f"{type(exc).__name__}: {exc}")
            if self._store is not None:
                self._give_up(fault)
            reply = Reply((), (), self._refuse(chunk.batch, fault))
        return self._wire.dumps_reply(reply)

    def _is_new(self, chunk: Chunk) -> bool:
        """Tell whether a chunk was not delivered before: chunks of a batch come in their order.

        One that was refused is sent again as such, in its place.
        """
        last = self._delivered.pop(chunk.batch, 0)
        if len(self._delivered) >= BATCHES_KEPT:
            del self._delivered[next(iter(self._delivered))]
        self._delivered[chunk.batch] = max(last, chunk.number)
        return chunk.number > last

    def _refuse(self, batch: int, error: TreerunnerError) -> TreerunnerError:
        if len(self._refused) >= BATCHES_KEPT:
            del self._refused[next(iter(self._refused))]
        self._refused[batch] = error
        return error.with_traceback(None)

    def _run_chunk(self, chunk: Chunk, *, is_again: bool) -> Reply:
        replies: list[Any] = []
        born: list[tuple[Ref, Ref | None]] = []
        known = self._known(chunk, is_again=is_again)
        rows = chunk.rows()
        try:
            for is_known, part in (
                groupby(rows, lambda row: known.covers(row[2])) if known else ((False, rows),)
            ):
                if is_known and chunk.batch in self._cancelled:
                    break
                if is_known:
                    for row in part:
                        replies += known.reply(row[2], replies)
                    continue
                for (shape, root), group in groupby(part, key=_shape_and_root):
                    calls = self._calls(chunk.batch, group)
                    if chunk.memory is None:
                        self._run_group(shape, root, calls, replies, born)
                        continue
                    # Closed, so that no limit stays that was set for one of them.
                    with closing(self._limited(calls, shape[0], chunk.memory)) as limited:
                        self._run_group(shape, root, limited, replies, born)
        except KeyboardInterrupt:  # between two jobs
            self._was_interrupted = True
        finally:
            self.running = IDLE
        for index in chunk.indexes[len(replies) // len(CANCELLED) :]:  # of a cancelled batch
            replies += known.reply(index, replies) if known.covers(index) else CANCELLED
        if self._store is None:
            return Reply.of(replies, born)
        stored = self._born_before(chunk, known, born)
        reply = Reply.of(replies, born, stored)
        self._store.note(chunk, reply, known)
        self._store.sync()
        return reply

    def _recall_chunk(self, chunk: Chunk) -> Reply:
        """Answer what is known of a chunk, run nothing, and store its verdict on the others.

        So whoever sends them again, with the same ids, is answered that; and whoever still runs
        them, since it is not as dead as it seemed, cannot store another outcome.
        """
        known = self._known(chunk, is_again=True)
        unknown = CANCELLED if chunk.verdict is None else failure(0, chunk.verdict)
        replies: list[Any] = []
        for index in chunk.indexes:
            replies += known.rows.get(index, unknown)
        born: list[tuple[Ref, Ref | None]] = []
        stored = self._born_before(chunk, known, born)
        reply = Reply.of(replies, born, stored)
        if self._store is not None:
            self._store.note(chunk, reply, known)
            self._store.sync()
        return reply

    def _born_before(
        self, chunk: Chunk, known: Known, born: list[tuple[Ref, Ref | None]]
    ) -> list[tuple[Ref, int]]:
        """Tell also of roots that executions created which ran before: nobody may have heard of it.

        Those that are here are added to *born*, the others are returned with their owners.
        """
        away: dict[int, Ref] = {}
        for _, root, index, _ in chunk.heads() if known.rows else ():
            for ref in known.rows[index][-1] if index in known.rows else ():
                if root is None or ref.root != root.root:
                    if ref.root in self._owners:
                        born.append((ref.root_ref, root))
                    else:
                        away[ref.root] = ref.root_ref
        if not away or self._store is None:
            return []
        owners = self._store.owners(set(away))
        return [(ref, owners[key]) for key, ref in away.items() if key in owners]

    def _known(self, chunk: Chunk, *, is_again: bool) -> Known:
        if self._store is None or not (is_again or any(chunk.own_ids)):
            return Known({}, {})
        return known_jobs(self._store, chunk, is_again=is_again)

    def _give_up(self, error: TreerunnerError) -> None:
        """Forget what is in memory, which is ahead of the store."""
        if isinstance(error, FencedError):  # the roots are another host's
            self._fenced = error
        else:
            self._to_recover += self._owners
        self._owners = {}
        self._is_behind = True

    def _recover(self) -> None:
        """Open the store again, and the roots that were here, if it failed.

        Raises:
            TreerunnerError: It still does.
        """
        if self._is_behind and self._store is not None:
            found = self._store.reopen(self._to_recover)
            self._begin()
            self._house(found)
            self._to_recover, self._is_behind = [], False

    def close(self) -> None:
        """Close the store, if there is one; for a host that does not end with its process."""
        if self._store is not None:
            self._store.close()

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
            self.running = Running(batch, index)
            yield values, own_id or batch + index

    def _limited(
        self,
        calls: Iterator[tuple[tuple[Any, ...], int | str]],
        name: str,
        limits: Mapping[int, int],
    ) -> Generator[tuple[tuple[Any, ...], int | str]]:
        """Yield calls of a callable; each is run under its limit of memory before the next one."""
        registered = None if self._code is None else self._code.find_callable(name)
        for call in calls:
            limit = limits.get(self.running.job)
            if limit is None or registered is None:
                yield call
            else:
                with limited_callable(registered, limit):
                    yield call

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
            error = ErrorInfo.of(self._fenced or RootNotFoundError(str(root)))
            replies += [part for _ in calls for part in failure(0, error)]
            return

        def note(reply: ReplyRow) -> None:
            for ref in reply[-1]:
                if ref.root not in self._owners:
                    self._owners[ref.root] = owner
                    born.append((ref.root_ref, root))
            if self._is_interruptible and _is_interrupt(reply):
                raise KeyboardInterrupt

        owner.run_each(*shape, calls, replies, note, root)

    def _load(self, code: bytes) -> None:
        self._code = load_code(code, self._clock)
        self._wire = Wire(by_value=self._code.by_value)
        self._store = self._code.store
        self._begin()

    def _begin(self) -> None:
        # What is born without a parent is of one owner, also after another host has taken over.
        group = 0 if self._store is None else int(ids.new_key())
        self._rootless = Owner(self._make_workspace(owner=group), None, self._timer)

    def _open(self, request: tuple[list[int], bool]) -> list[int]:
        """Become the writer of stored roots; return the keys of those that there are."""
        roots, are_all = request
        if self._store is None:
            raise CodeError("this host has no store", "send it 'load' with one first")
        return self._house(self._store.acquire(roots, are_all=are_all))

    def _house(self, found: dict[int, list[Entry]]) -> list[int]:
        """Make owners for stored branches; return the keys of their roots."""
        opened: list[int] = []
        for owner, entries in found.items():
            root = Ref(ids.plain(owner), ids.plain(owner))
            is_there = any(each.root == owner for each in entries)
            workspace = self._make_workspace(entries, owner)
            made = Owner(workspace, root if is_there else None, self._timer)
            for entry in entries:
                self._owners[entry.root] = made
                opened.append(entry.root)
        return opened

    def _add(self, request: tuple[bytes, str | None]) -> Ref:
        tree, name = request
        root = wire.loads(tree)
        workspace = self._make_workspace(owner=int(ids.from_uuid(root.lineage_id).key))
        ref = workspace.add_owned(root, name)
        self._owners[ref.root] = Owner(workspace, ref, self._timer)
        return ref

    def _add_again(self, request: tuple[bytes, str | None]) -> Ref:
        """Add a tree that a host which died was sent, and may have stored."""
        root: Entity = wire.loads(request[0])
        key = ids.from_uuid(root.lineage_id).key
        return Ref(key, key) if int(key) in self._open(([int(key)], False)) else self._add(request)

    def _ask(self, question: tuple[Ref, str, tuple[Any, ...]]) -> Any:
        ref, method, arguments = question
        owner = self._owners.get(ref.root)
        if owner is None:
            raise RootNotFoundError(ref.address)
        return getattr(owner.workspace, method)(ref, *arguments)

    def _make_workspace(self, entries: Iterable[Entry] = (), owner: int = 0) -> Workspace:
        if self._code is None:
            raise CodeError("this host has no callables", "send it 'load' first")
        return self._code.make_workspace(entries, owner)

    def _dumps_answer(self, answer: Answer) -> bytes:
        try:
            return self._wire.dumps(answer)
        except Exception as exc:  # noqa: BLE001 - an answer there must be
            what = type(answer[1]).__name__
            return self._wire.dumps((False, WireError(f"the answer, a {what},", str(exc))))


def _is_interrupt(reply: ReplyRow) -> bool:
    return reply[1] == FAILED and reply[4].type == "KeyboardInterrupt"
