"""The app of the campaign: ledgers, whose states tell the order of all that was done to them.

Where `CONTROL` is set in the environment, a host that finds a file of a certain name there kills
itself at that point: this is how a death is put before, inside and after the commit of the journal.
Files are made by the campaign in its own process; whoever takes one away dies, so each kills one
host.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from pydantic import Field

from registry import Entity, Workspace
from registry.journal import store
from registry.journal.sqlite import SqliteJournal

CONTROL = "TREERUNNER_CAMPAIGN_CONTROL"
"""Environment variable: a folder."""
MEMORY = "memory past its limit"
"""The poison that is run with a limit of memory."""
ACQUIRED = "acquired"
"""Point after a host became the writer of roots, and before anybody knows."""
_MODULUS = 1_000_003
_HOARD_BYTES = 2**31

app = Workspace()


class Page(Entity):
    """A child, so that there is a tree."""

    total: int = 1


class Ledger(Entity):
    """Pages of numbers; what is entered depends on all that was entered before."""

    pages: list[Page] = Field(default_factory=list)
    entries: int = 0


def make_ledger(pages: int = 10) -> Ledger:
    """Return a ledger in which nothing was entered."""
    return Ledger(pages=[Page() for _ in range(pages)])


@app.register("enter")
def enter(ledger: Ledger, page: int, amount: int) -> int:
    """Enter an amount, and return the new total of its page."""
    ledger.entries += 1
    found = ledger.pages[page]
    found.total = (found.total * 31 + amount + ledger.entries) % _MODULUS
    return found.total


@app.register("read")
def read(ledger: Ledger, page: int) -> int:
    """Return the total of a page."""
    return ledger.pages[page].total


def model(state: Any, name: str, arguments: Mapping[str, Any]) -> Any:
    """Do the same to what a ledger dumps to."""
    if name == "enter":
        state["entries"] += 1
        page = state["pages"][arguments["page"]]
        page["total"] = (page["total"] * 31 + arguments["amount"] + state["entries"]) % _MODULUS
    return state


def final_states(jobs: Iterable[Any]) -> dict[Any, Any]:
    """Return what plain Python makes of ledgers, by the root that the jobs name."""
    states: dict[Any, Any] = {}
    for job in jobs:
        state = states.setdefault(job.root, make_ledger().model_dump())
        model(state, job.callable, job.arguments)
    return states


# --- poison ---


class Poison(BaseException):
    """Not an `Exception`."""


class Unpicklable(Exception):  # noqa: N818 - it is not an error of ours
    """Cannot travel, nor can what it holds."""

    def __init__(self) -> None:
        super().__init__(threading.Lock())


def _raise() -> NoReturn:
    raise ValueError("on purpose")


def _raise_base() -> NoReturn:
    raise Poison("on purpose")


def _interrupt() -> NoReturn:
    raise KeyboardInterrupt


def _raise_unpicklable() -> NoReturn:
    raise Unpicklable


def _recurse() -> int:
    return _recurse() + 1


def _loop() -> NoReturn:
    while True:
        pass


def _hoard() -> str:
    """Take memory, but not all that the machine has, should nobody stop it."""
    taken = [bytearray(2**24) for _ in range(_HOARD_BYTES // 2**24)]
    return f"nobody stopped it at {len(taken)}"


def _leave_thread() -> str:
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    return "left"


def _exit(status: int) -> NoReturn:
    sys.exit(status)


POISONS: dict[str, Any] = {
    "raise": _raise,
    "raise BaseException": _raise_base,
    "raise KeyboardInterrupt": _interrupt,
    "raise what cannot be pickled": _raise_unpicklable,
    "sys.exit(0)": partial(_exit, 0),
    "sys.exit(1)": partial(_exit, 1),
    "recursion without end": _recurse,
    MEMORY: _hoard,
    "result of 400 MiB": lambda: b"x" * (400 * 2**20),
    "result that cannot be pickled": lambda: threading.Lock(),
    "thread left behind": _leave_thread,
    "endless loop": _loop,
    "endless sleep": partial(time.sleep, 3600),
    "os._exit(0)": partial(os._exit, 0),
    "os._exit(1)": partial(os._exit, 1),
    "os.abort()": os.abort,
    "segmentation fault": partial(ctypes.string_at, 0),
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
}


@app.register("swallow")
def swallow(ledger: Ledger, poison: str) -> Any:
    """Change the ledger, then do something bad."""
    ledger.entries += 1_000_000
    return POISONS[poison]()


# --- points ---


def _die_if_told(folder: Path, point: str) -> None:
    try:
        (folder / f"kill-{point}").unlink()
    except FileNotFoundError:
        return
    note = folder / f"dying-{os.getpid()}"
    note.write_text(f"{point} {time.monotonic()}")
    note.rename(folder / f"died-{os.getpid()}")
    os.kill(os.getpid(), signal.SIGKILL)


class _Mortal(SqliteJournal):
    """Dies also when it was acquired."""

    def acquire(self, roots: Iterable[int], holder: str) -> dict[int, int]:
        """See `Journal.acquire`."""
        epochs = super().acquire(roots, holder)
        _die_if_told(Path(os.environ[CONTROL]), ACQUIRED)
        return epochs


if CONTROL in os.environ:
    setattr(  # noqa: B010 - another class in the place of this one, in this process
        store,
        "SqliteJournal",
        partial(_Mortal, probe=partial(_die_if_told, Path(os.environ[CONTROL]))),
    )
