"""A file of jobs through a runner: from lines to counts, and to lines of outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO

from registry import Ref
from runner.batch import Batch
from runner.jobs import JobReader, format_outcome, format_refusal
from runner.report import NO_ROOT, Tally
from runner.runner import Runner


class JobRun:
    """Runs the jobs of a reader, counts their outcomes and writes them down.

    Args:
        reader: Where the jobs come from.
        out: Takes the outcomes as JSON lines, in the order of the jobs; None: nobody does.
    """

    def __init__(self, reader: JobReader, out: IO[bytes] | None = None) -> None:
        self.tally = Tally(place=lambda outcome: f"line {reader.line_of(outcome.index)}")
        self._reader = reader
        self._out = out

    def run(self, runner: Runner, names: Mapping[Ref, str]) -> bool:
        """Run every job to its outcome; return whether Ctrl-C ended it before.

        Args:
            runner: Has the roots already.
            names: What people call the roots.
        """
        self.tally.begin()
        batch = runner.submit(self._reader, ordered=self._out is not None)
        try:
            self._take_all(batch, names)
        except KeyboardInterrupt:
            # What is left to take now is what was done, and comes at once.
            batch.cancel()
            self._take_all(batch, names)
            return True
        return False

    def _take_all(self, batch: Batch, names: Mapping[Ref, str]) -> None:
        for outcome in batch:
            line = self._reader.line_of(outcome.index)
            self._take_refused(before_line=line)
            name = _name(outcome.root, names)
            self.tally.note(name or NO_ROOT, outcome)
            if self._out is not None:
                self._out.write(format_outcome(outcome, line, name))
        self._take_refused()

    def _take_refused(self, before_line: int | None = None) -> None:
        refused = self._reader.refused
        while refused and (before_line is None or refused[0].line < before_line):
            refusal = refused.popleft()
            self.tally.note_refused(refusal)
            if self._out is not None:
                self._out.write(format_refusal(refusal))


def _name(root: Ref | None, names: Mapping[Ref, str]) -> str | None:
    return None if root is None else names.get(root) or root.address
