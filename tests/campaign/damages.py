"""Row 4: the files of a SQLite store are cut and flipped; what is read is right, or refused."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from time import monotonic

from registry.journal.head_file import head_path
from registry.journal.sqlite_file import log_path
from tests.campaign.rows import Row
from tests.crash.damage import Scene, cuts, flips, last_row_bytes, scene, tally

SEED = 4
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - where it is, nothing waits for a disk that says nothing here
WITHOUT_HEAD_EVERY = 8
Damages = Iterator[Callable[[Path], None]]


def cut_last_row(stride: int = 1) -> Row:
    """Cut the log at every byte of its last row.

    Without a head file all that is left is read, 15 ms each time: so at some of them only.
    """
    began = monotonic()
    found = _Found()
    with _folder() as folder:
        made, places = last_row_bytes(Path(folder), SEED, 30)
        for without_head in (False, True):
            chosen = places[:: stride * WITHOUT_HEAD_EVERY if without_head else stride]
            damages = cuts(log_path, iter(chosen), without_head=without_head)
            found.add(made, damages, {"prefix"} if without_head else {"refused"})
    what = (
        f"the log cut at each byte of its last row; without head file at 1 in {WITHOUT_HEAD_EVERY}"
    )
    return found.row(what, began)


def damage_anywhere(count: int) -> Row:
    """Cut log and database at random places, and flip bits of them and of the head file."""
    began = monotonic()
    found = _Found()
    with _folder() as folder:
        for is_closed, without_head in product((False, True), (False, True)):
            place = Path(folder) / f"{is_closed} {without_head}"
            place.mkdir()
            made = scene(place, SEED, 60 if is_closed else 30, is_closed=is_closed)
            _damage(found, made, count, is_closed=is_closed, without_head=without_head)
        made = scene(Path(folder), SEED, 30, is_closed=True)
        found.add(made, flips(head_path, SEED, count, without_head=False), {"whole"})
    what = "log and database cut at random, a bit flipped in each, with head file and without"
    return found.row(what, began)


def _damage(found: _Found, made: Scene, count: int, *, is_closed: bool, without_head: bool) -> None:
    """Cut and flip the one file that has everything: the database if it was closed, else the log.

    Without a head file nobody knows that there was more than is left of a log.
    """
    dice = random.Random(SEED)
    of = _database if is_closed else log_path
    size = of(made.database).stat().st_size
    lengths = [dice.randrange(1, size) for _ in range(count)]
    right = {"whole", "refused", "noticed"}
    if not is_closed:
        right |= {"trimmed", "prefix"} if without_head else {"trimmed"}
    found.add(made, cuts(of, iter(lengths), without_head=without_head), right)
    found.add(made, flips(of, SEED, count, without_head=without_head), right)


class _Found:
    """What became of damaged stores."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._problems: list[str] = []

    def add(self, made: Scene, damages: Damages, right: set[str]) -> None:
        """Count what becomes of some damages, of which only some verdicts are right."""
        try:
            counts = tally(made, damages)
        except AssertionError as error:
            self._problems.append(f"something else was read: {error}")
            return
        self._counts += counts
        wrong = {verdict: count for verdict, count in counts.items() if verdict not in right}
        self._problems += [f"{count} are {verdict}" for verdict, count in wrong.items()]

    def row(self, what: str, began: float) -> Row:
        """Return the line."""
        counts = self._counts
        took = monotonic() - began
        return Row(4, what, counts.total(), 0, self._problems, (), dict(counts), took)


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None)


def _database(database: Path) -> Path:
    return database
