"""Damage to the files of a SQLite journal, and what is noticed of it; any count of it.

A damaged store may refuse to open, say at once what is wrong, or say it when it is checked. What
it may never do is to give something to read that was not written.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from registry.errors import JournalError
from registry.journal.head_file import head_path
from registry.journal.port import Journal
from registry.journal.sqlite import SqliteJournal
from registry.journal.sqlite_file import log_path
from tests.crash.stories import Author, Contents, Story, contents, parts_of


class Scene(NamedTuple):
    """A store in a folder, as it was when its process ended, and what it was told."""

    folder: Path
    story: Story

    @property
    def database(self) -> Path:
        """The database."""
        return self.folder / "journal.db"


def files_of(database: Path) -> list[Path]:
    """Return the files that hold something: all but the index of the log."""
    return [database, log_path(database), head_path(database)]


def copy_files(source: Path, target: Path) -> None:
    """Copy what a crash would leave."""
    for old, new in zip(files_of(source), files_of(target), strict=True):
        new.unlink(missing_ok=True)
        if old.exists():
            shutil.copyfile(old, new)
    target.with_name(target.name + "-shm").unlink(missing_ok=True)


def scene(folder: Path, seed: int, steps: int, *, is_closed: bool) -> Scene:
    """Make a store: everything still in its log, or everything in its database."""
    live, left = folder / "live.db", folder / "journal.db"
    story = Author(seed).tell(steps)
    journal = SqliteJournal(live, durability="none", clock=lambda: 1.0)
    for step in story.steps:
        step(journal)
    if is_closed:
        journal.close()
    copy_files(live, left)
    journal.close()
    return Scene(folder, story)


def last_row_bytes(folder: Path, seed: int, count: int) -> tuple[Scene, range]:
    """Make a store that ends with a group, and tell which bytes of its log are that group's."""
    live, left = folder / "live.db", folder / "journal.db"
    author = Author(seed)
    story = author.tell(count)
    group = author.group(author.journal.catalog())
    journal = SqliteJournal(live, durability="none", clock=lambda: 1.0)
    for step in story.steps:
        step(journal)
    before = log_path(live).stat().st_size
    journal.append(group)
    copy_files(live, left)
    journal.close()
    author.journal.append(group)
    after = contents(author.journal, author.ids)
    told = Story(
        [*story.steps, lambda journal: journal.append(group)], [*story.contents, after], story.ids
    )
    return Scene(folder, told), range(before, log_path(left).stat().st_size)


def verdict(made: Scene, database: Path) -> str:
    """Open a damaged store, read all of it, check it, and say what became of it.

    Returns:
        `whole`: nothing is missing; `trimmed`: nothing but checkpoints, or that something was let
        go; `prefix`: it is as it was some steps ago; `refused`: an error when it is opened;
        `noticed`: by reading or by the check; anything else is a failure.
    """
    try:
        journal = SqliteJournal(database, clock=lambda: 1.0)
    except JournalError as error:
        return "refused" if str(database) in str(error) else f"refused without a place: {error}"
    try:
        problems = list(journal.check())
        found = read_all(journal, made.story)
    finally:
        journal.close()
    if problems or found is None:
        return "noticed"
    if found == made.story.contents[-1]:
        return "whole"
    if found not in made.story.contents:
        return "SILENTLY DIFFERENT"
    last = made.story.contents[-1]
    return (
        "trimmed" if (found.catalog, found.outcomes) == (last.catalog, last.outcomes) else "prefix"
    )


def read_all(journal: Journal, story: Story) -> Contents | None:
    """Read everything; None if something of it is said to be damaged.

    Raises:
        AssertionError: Something is given that was never written.
    """
    written = {part for each in story.contents for parts in each.parts.values() for part in parts}
    try:
        for entry in journal.catalog():
            for part in parts_of(journal, entry.root, entry.branch):
                assert part in written, f"{part} was never written"
        return contents(journal, story.ids)
    except JournalError:
        return None


def tally(made: Scene, damages: Iterator[Callable[[Path], None]]) -> Counter[str]:
    """Count what becomes of copies of a store, each with one damage."""
    counts: Counter[str] = Counter()
    copy = made.folder / "copy.db"
    for damage in damages:
        copy_files(made.database, copy)
        damage(copy)
        counts[verdict(made, copy)] += 1
    return counts


def cuts(
    of: Callable[[Path], Path], lengths: Iterator[int], *, without_head: bool
) -> Iterator[Callable[[Path], None]]:
    """Yield damages: a file that ends after some bytes."""
    for length in lengths:

        def cut(database: Path, length: int = length) -> None:
            with of(database).open("r+b") as file:
                file.truncate(length)
            if without_head:
                head_path(database).unlink()

        yield cut


def flips(
    of: Callable[[Path], Path], seed: int, count: int, *, without_head: bool
) -> Iterator[Callable[[Path], None]]:
    """Yield damages: one bit of a file that is another."""
    dice = random.Random(seed)
    for _ in range(count):

        def flip(database: Path, at: float = dice.random(), bit: int = dice.randrange(8)) -> None:
            path = of(database)
            data = bytearray(path.read_bytes())
            data[int(at * len(data))] ^= 1 << bit
            path.write_bytes(data)
            if without_head:
                head_path(database).unlink()

        yield flip
