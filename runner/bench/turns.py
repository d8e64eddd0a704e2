"""Who measures when: contenders in processes of their own, taking turns.

Each contender has a seat, a process of its own, so its garbage collector visits its own objects
only and no tree of another contender is in its caches. They measure in small blocks, round robin,
one at a time, so that noise of the machine hits all of them alike.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import signal
import traceback
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from multiprocessing.connection import Connection
    from types import TracebackType

Answer = TypeVar("Answer")


class Seat:
    """A process that holds one subject at a time and applies functions to it.

    The subject never leaves its process; functions, arguments and answers are pickled.
    """

    def __init__(self) -> None:
        # Spawned and not forked: nothing that the parent has in memory is there to be visited.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def hold(self, build: Callable[..., Any], *args: object) -> None:
        """Let go of the old subject and build a new one from an importable function or class.

        Raises:
            Exception: As `call` does.
        """
        self._ask(True, build, args)

    def call(self, function: Callable[..., Answer], *args: object) -> Answer:
        """Apply an importable *function* to the subject and return its answer.

        Raises:
            Exception: What the function raised, with the remote traceback as a note.
            RuntimeError: The process ended, for example because memory ran out.
        """
        answer: Answer = self._ask(False, function, args)
        return answer

    def close(self) -> None:
        """End the process at once; it holds nothing that is worth a farewell."""
        self._connection.close()
        self._process.kill()
        self._process.join()

    def _ask(self, *request: object) -> Any:
        try:
            self._connection.send(request)
            answer, failure = self._connection.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            message = (
                f"a measuring process ended with exit code {self._process.exitcode}; "
                "if memory ran out, measure smaller sizes"
            )
            raise RuntimeError(message) from None
        if failure is not None:
            raise failure
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def take_turns(turns: Mapping[str, Iterator[list[float]]]) -> dict[str, list[float]]:
    """Advance each contender's measurement by one block, round robin, until all have ended.

    Args:
        turns: By contender, an iterator that measures one block whenever it is advanced.

    Returns:
        By contender, all that it measured.
    """
    measured: dict[str, list[float]] = {name: [] for name in turns}
    waiting = dict(turns)
    while waiting:
        for name in list(waiting):
            block = next(waiting[name], None)
            if block is None:
                del waiting[name]
            else:
                measured[name] += block
    return measured


def _serve(connection: Connection) -> None:
    # Ctrl-C reaches the whole process group; the parent decides, and ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    subject: Any = None
    with contextlib.suppress(EOFError):
        while True:
            is_new, function, args = connection.recv()
            if is_new:
                subject = None
                gc.collect()
                subject, failure = _attempt(function, args)
                connection.send((None, failure))
            else:
                connection.send(_attempt(function, (subject, *args)))


def _attempt(
    function: Callable[..., Any], args: tuple[object, ...]
) -> tuple[Any, Exception | None]:
    try:
        return function(*args), None
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent raises it
        error.add_note(f"in a measuring process:\n{traceback.format_exc()}")
        return None, error
