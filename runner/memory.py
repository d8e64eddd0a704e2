"""A limit of memory for one run of a callable, kept by the system: beyond it, a `MemoryError`.

Linux counts what a process may write to and shares with nobody, and refuses more than its limit
(RLIMIT_DATA). The limit is that of the process, so it is set when the callable begins and taken
back when it ends: what commits, rolls back and answers is not under it.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from registry import RegisteredCallable
from runner.errors import JobError

_STATM = Path("/proc/self/statm")
_DATA = 5
"""Which number there is that of pages that can be written, the stack included."""


@contextlib.contextmanager
def limited(most_bytes: int) -> Iterator[None]:
    """Let the process take so many bytes more than it has, and no more, while the block lasts.

    Raises:
        JobError: This system has no such limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = _data_bytes() + most_bytes
    known = [each for each in (soft, hard) if each != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([wanted, *known]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


@contextlib.contextmanager
def limited_callable(registered: RegisteredCallable, most_bytes: int) -> Iterator[None]:
    """Let a callable run under a limit of memory while the block lasts.

    Not thread-safe: whoever else runs it meanwhile is limited as well.
    """
    function = registered.function
    make = _coroutine_function if registered.is_async else _function
    registered.function = make(function, most_bytes)
    try:
        yield
    finally:
        registered.function = function


def _function(function: Callable[..., Any], most_bytes: int) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        with limited(most_bytes):
            return function(*args, **kwargs)

    return run


def _coroutine_function(function: Callable[..., Any], most_bytes: int) -> Callable[..., Any]:
    async def run(*args: Any, **kwargs: Any) -> Any:
        with limited(most_bytes):
            return await function(*args, **kwargs)

    return run


def _data_bytes() -> int:
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[_DATA])
    except OSError as exc:
        problem = "takes a system that has /proc, as Linux does; leave it out here"
        raise JobError("memory_bytes", problem) from exc
    return pages * resource.getpagesize()
