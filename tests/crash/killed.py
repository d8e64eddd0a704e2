"""Processes that die while they append, for test_sqlite_kills.py.

Called with a folder and a seed. For each step of an append and some groups, a child tells a story
to a journal of its own and kills itself there; a line tells where, and how many steps of the story
were acknowledged.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from registry.journal.sqlite import SqliteJournal
from tests.crash.stories import Author, Story

STEPS = ("before", "begun", "written", "committed", "headed")
TOLD = 12
GROUPS = (1, 4)


def die_at(step: str, number: int, path: Path, told: int, story: Story) -> None:
    """Tell a journal a story, and end at a step of its n-th append; write down what was told."""
    appends = 0

    def probe(reached: str) -> None:
        nonlocal appends
        appends += reached == "before"
        if (reached, appends) == (step, number):
            os.kill(os.getpid(), signal.SIGKILL)

    journal = SqliteJournal(path, probe=probe, clock=lambda: 1.0)
    for each in story.steps:
        each(journal)
        os.write(told, b".")


def main(folder: Path, seed: int) -> None:
    """Let a child die in every place."""
    story = Author(seed).tell(TOLD)
    for step in STEPS:
        for number in GROUPS:
            path = folder / f"{step}-{number}.db"
            read_end, write_end = os.pipe()
            child = os.fork()
            if child == 0:
                die_at(step, number, path, write_end, story)
                os._exit(0)
            os.close(write_end)
            with os.fdopen(read_end, "rb") as told:
                acknowledged = len(told.read())
            _, status = os.waitpid(child, 0)
            sys.stdout.write(f"{step} {path} {acknowledged} {os.WTERMSIG(status)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
