"""A file of jobs through a runner: from lines to counts, and to lines of outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO

from registry import Ref
from runner.batch import Batch, Outcome
from runner.errors import JobLineError
from runner.jobs import JobReader, format_outcome, format_refusal
from runner.options import NO_OPTIONS, Options
from runner.report import NO_ROOT, Tally
from runner.runner import Runner


class JobRun:
    """Runs the jobs of a reader, counts their outcomes and writes them down.

    Args:
        reader: Where the jobs come from.
        out: Takes the outcomes as JSON lines, in the order of the jobs; None: nobody does.
        options: What each job asks for that does not say otherwise.

    Attributes:
        tally: The counts.
        known: How many of the outcomes were known before.
    """

    def __init__(
        self, reader: JobReader, out: IO[bytes] | None = None, options: Options = NO_OPTIONS
    ) -> None:
        self.tally = Tally(place=lambda _: f"line {self._line}")
        self.known = 0
        self._line = 0
        self._reader = reader
        self._out = out
        self._options = options

    def run(self, runner: Runner, names: Mapping[Ref, str]) -> bool:
        """Run every job to its outcome; return whether Ctrl-C ended it before.

        Args:
            runner: Has the roots already.
            names: What people call the roots.
        """
        self.tally.begin()
        before: Batch | None = None
        while not self._reader.is_at_end:
            batch = runner.submit(
                self._reader, ordered=self._out is not None, options=self._options
            )
            # A job may depend on one that ran before, or in a batch before.
            self._reader.learn = batch.learn
            if before is not None:
                batch.learn_from(before)
            before = batch
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
            self._take_aside(names, before_line=line)
            self._take(outcome, line, names)
        self._take_aside(names)

    def _take(self, outcome: Outcome, line: int, names: Mapping[Ref, str]) -> None:
        name = _name(outcome.root, names)
        self._line = line
        self.tally.note(name or NO_ROOT, outcome)
        if self._out is not None:
            self._out.write(format_outcome(outcome, line, name))

    def _take_aside(self, names: Mapping[Ref, str], before_line: int | None = None) -> None:
        aside = self._reader.aside
        while aside and (before_line is None or aside[0][0] < before_line):
            line, found = aside.popleft()
            if isinstance(found, JobLineError):
                self._take_refused(found)
            else:
                self.known += 1
                self._take(found, line, names)

    def _take_refused(self, refusal: JobLineError) -> None:
        self.tally.note_refused(refusal)
        if self._out is not None:
            self._out.write(format_refusal(refusal))


def _name(root: Ref | None, names: Mapping[Ref, str]) -> str | None:
    return None if root is None else names.get(root) or root.address
