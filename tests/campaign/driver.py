"""A driver that may be killed: python -m tests.campaign.driver STORE JOBS HEARD ADDRESS.

Runs so many jobs of `enter_jobs` on the ledgers of a store, and notes in the file HEARD what it
sent and heard, with the time by the clock of the machine, each line before it goes on. Jobs whose
success an earlier driver heard of are sent again as well: that is the point.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from time import monotonic

from runner import Job, Runner
from tests.campaign import app
from tests.campaign.kills import enter_jobs


def main(store: str, count: int, heard: str, address: str) -> None:
    """Run the jobs, once more."""
    file = os.open(heard, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(*words: object) -> None:
        os.write(file, f"{' '.join(map(str, words))} {monotonic()}\n".encode())

    def sending() -> Iterator[Job]:
        for job in itertools.islice(enter_jobs(), count):
            note("sent", job.id)
            yield job

    with Runner(app, hosts=2, store=store, address=address) as runner:
        note("open")
        for outcome in runner.submit(sending()):
            note(outcome.status, outcome.id, outcome.version)
        note("done")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
