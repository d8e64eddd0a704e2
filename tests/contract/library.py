"""The app of the runner's tests: a library of shelves, and callables that behave well and badly."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from typing import Any

from pydantic import Field

from registry import ConfigEntity, Entity, Workspace

app = Workspace()


class Book(Entity):
    """A leaf."""

    title: str


class Shelf(Entity):
    """Books in the order in which they came."""

    books: list[Book] = Field(default_factory=list)


class Library(Entity):
    """The root."""

    name: str = ""
    shelves: list[Shelf] = Field(default_factory=list)
    log: list[int] = Field(default_factory=list)


def new_library(shelves: int = 10, books: int = 10) -> Library:
    """Return a library of 1 + shelves * (1 + books) entities."""
    return Library(
        shelves=[
            Shelf(books=[Book(title=f"{shelf}.{book}") for book in range(books)])
            for shelf in range(shelves)
        ]
    )


@app.register("note")
def note(library: Library, number: int) -> int:
    """Append to the log and return how long it is."""
    library.log.append(number)
    return len(library.log)


@app.register("read_log")
def read_log(library: Library) -> list[int]:
    """Return the log."""
    return list(library.log)


class Sorting(ConfigEntity):
    """How to sort."""

    backwards: bool = False
    most: int = 1_000


@app.register("sort")
def sort(library: Library, sorting: Sorting) -> int:
    """Sort the log, cut it, and return how long it is."""
    library.log = sorted(library.log, reverse=sorting.backwards)[: sorting.most]
    sorting.most = 0
    return len(library.log)


@app.register("move")
def move(library: Library, source: int, target: int) -> Library:
    """Move the first book of a shelf to the end of another."""
    library.shelves[target].books.append(library.shelves[source].books.pop(0))
    return library


@app.register("fail")
def fail(library: Library, message: str) -> None:
    """Change the library, then raise."""
    library.log.append(-1)
    complain(message)


def complain(message: str) -> None:
    """Raise, one call further down."""
    raise ValueError(message)


@app.register("leave")
def leave(library: Library) -> None:
    """Try to end the process."""
    library.log.append(-1)
    sys.exit(3)


@app.register("merge")
def merge(library: Library, other: Library) -> None:
    """Take the other library's log."""
    library.log.extend(other.log)


@app.register("found")
def found(name: str) -> Library:
    """Create a root out of nothing."""
    return Library(name=name)


@app.register("split_off")
def split_off(library: Library, name: str) -> Library:
    """Create a root in an execution on another."""
    library.log.append(0)
    return Library(name=name)


@app.register("shelve")
def shelve(library: Library, shelf: Shelf) -> Library:
    """Take in an entity that belongs to no tree yet."""
    library.shelves.append(shelf)
    return library


@app.register("total")
def total(libraries: list[Library]) -> int:
    """Read a collection of entities."""
    return sum(len(library.log) for library in libraries)


@app.register("add_up")
def add_up(a: int, b: int) -> int:
    """Do without entities."""
    return a + b


@app.register("show")
def show(library: Library, value: Any) -> Any:
    """Return what was given."""
    return value


class Bound:
    """May be copied, but not leave the process."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Bound:
        return self

    def __reduce__(self) -> str:
        raise TypeError("bound to its process")


@app.register("bind")
def bind(library: Library) -> Any:
    """Change the library and return what cannot leave the process."""
    library.log.append(0)
    return Bound()


@app.register("rest")
def rest(library: Library, seconds: float) -> None:
    """Take time, then change something."""
    time.sleep(seconds)
    library.log.append(0)


@app.register("wait_and_note")
async def wait_and_note(library: Library, number: int) -> Library:
    """Give way, then change something."""
    await asyncio.sleep(0)
    if number < 0:
        raise ValueError("negative")
    library.log.append(number)
    return library


@app.register("process")
def process(library: Library) -> int:
    """Return the number of the process that the library lives in."""
    return os.getpid()


@app.register("interrupt")
def interrupt(library: Library) -> None:
    """Do what Ctrl-C does."""
    library.log.append(-1)
    raise KeyboardInterrupt


RUNS: Counter[str] = Counter()
"""How often `stumble` was run in this process, by key: a side effect that no store takes back."""


class Stumble(ConnectionError):  # noqa: N818 - it is not an error of ours
    """What a service says that is busy."""


@app.register("stumble")
def stumble(library: Library, key: str, times: int) -> int:
    """Fail the first times, then append to the log; return how often it was run."""
    RUNS[key] += 1
    library.log.append(RUNS[key])
    if RUNS[key] <= times:
        raise Stumble(f"time {RUNS[key]}")
    return RUNS[key]


@app.register("hoard")
def hoard(library: Library, size_bytes: int) -> int:
    """Change the library, then take memory."""
    library.log.append(size_bytes)
    return len(bytearray(size_bytes))
