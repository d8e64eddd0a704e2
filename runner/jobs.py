"""Jobs as JSON lines, one execution a line; and their outcomes, one a line again.

    {"callable": "depart", "root": "UA", "arguments": {"tailnum": "N14228"}, "id": "optional"}

`root` is the name under which the root was added, or an address; without it, the entities among the
arguments say where the job belongs. What else a line may have is in `job_options.py`.

A line that is no job costs only itself: `JobReader` sets it aside with its number and one line of
reason, and reads on. Blank lines are skipped.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from typing import IO, Any, TypeAlias

from pydantic_core import to_json

from registry import Ref
from runner import job_options
from runner.batch import Job, Outcome
from runner.errors import JobLineError
from runner.job_options import kind_of
from runner.options import ResultOf

MAX_LINE_BYTES = 16 * 1024 * 1024
"""A longer line is refused without being held in memory."""

COUNT_BLOCK_BYTES = 1024 * 1024
DIGEST_BYTES = 6

LOOK_UP_LINES = 1_000
"""Lines whose jobs are looked up at once."""

MAX_ASIDE = 1_000
"""Lines that gave no job to run and wait to be told, before others are read."""

Known: TypeAlias = Callable[[Sequence[Job]], Sequence[Outcome | None]]
"""Returns the outcome of each job that ran before, None for the others."""

KEYS = ("callable", "root", "arguments", "id", *job_options.KEYS)


def parse_job(line: bytes) -> Job:
    """Return the job that a line of JSON describes.

    Raises:
        ValueError: It describes none; the text says why.
    """
    fields = _parse_object(line)
    if unknown := fields.keys() - set(KEYS):
        raise ValueError(f"{min(unknown)!r} is not a key of a job; these are {', '.join(KEYS)}")
    name = _text(fields, "callable")
    if job_options.may_have_results(line):
        for key in fields.keys() & {"root", "arguments"}:
            fields[key] = job_options.parse_results(fields[key])
    root = fields.get("root")
    if root is not None and not isinstance(root, ResultOf):
        root = _text(fields, "root")
    arguments = fields.get("arguments", {})
    if not isinstance(arguments, dict):
        raise ValueError(f"'arguments' is {kind_of(arguments)}, expected an object")
    execution_id = None if fields.get("id") is None else _text(fields, "id")
    return Job(name, root, arguments, execution_id, job_options.parse_options(fields))


def format_job(job: Job) -> bytes:
    """Return a job as a line of JSON, its end included.

    Raises:
        JobError: An option has no form in JSON.
    """
    root = job.root.address if isinstance(job.root, Ref) else job.root
    fields = {
        "callable": job.callable,
        "root": job_options.format_results(root),
        "arguments": job_options.format_results({**job.arguments}),
        "id": job.id,
        **job_options.format_options(job.options),
    }
    return _line({key: value for key, value in fields.items() if value is not None})


def format_outcome(outcome: Outcome, line: int, root: str | None) -> bytes:
    """Return an outcome as a line of JSON, its end included.

    There are no times in it: the same jobs give the same file, however many hosts run them.

    Args:
        outcome: What became of the job.
        line: Number of the line that the job stood on.
        root: Name or address of its root.
    """
    fields: dict[str, Any] = {
        "line": line,
        "id": outcome.id,
        "callable": outcome.callable,
        "root": root,
        "status": outcome.status,
    }
    if outcome.attempts > 1:
        fields["attempts"] = outcome.attempts
    if outcome.error is not None:
        error = outcome.error
        fields["error"] = {
            "type": error.type,
            "message": error.message,
            "frames": error.frames,
            "notes": error.notes,
        }
        return _line(fields)
    fields |= {
        "semantic": outcome.semantic,
        "version": outcome.version,
        "changed": outcome.changed,
        "value": _with_addresses(outcome.value) if outcome.outputs else outcome.value,
        "outputs": [ref.address for ref in outcome.outputs],
    }
    return _line(fields)


def format_refusal(refusal: JobLineError) -> bytes:
    """Return the outcome of a line that was no job, its end included."""
    error = {"type": type(refusal).__name__, "message": refusal.reason}
    return _line({"line": refusal.line, "status": "failed", "error": error})


def count_lines(file: IO[bytes]) -> int | None:
    """Return how many lines are ahead in a file, and go back; None if it cannot go back."""
    if not file.seekable():
        return None
    start = file.tell()
    count, last = 0, b"\n"
    while block := file.read(COUNT_BLOCK_BYTES):
        count += block.count(b"\n")
        last = block[-1:]
    file.seek(start)
    return count + (last != b"\n")


def file_digest(file: IO[bytes]) -> str | None:
    """Return a short text for the content ahead in a file, and go back; None if it cannot."""
    if not file.seekable():
        return None
    start = file.tell()
    digest = blake2b(digest_size=DIGEST_BYTES)
    while block := file.read(COUNT_BLOCK_BYTES):
        digest.update(block)
    file.seek(start)
    return digest.hexdigest()


class JobReader:
    """Iterates over the jobs of a file of JSON lines, once.

    A line that gives no job to run, since it is none or since its job ran before, waits in `aside`
    until it is taken. When many wait there, the iteration ends; another one goes on after it. So
    memory is bounded, however many lines there are of that kind.

    Args:
        file: The lines.
        ids: Jobs without an id of their own get one that begins with this text and ends with the
            number of the line; None: they stay without.
        known: Tells the outcome of each of some jobs that ran before, None for the others.

    Attributes:
        aside: Number of the line, and what is known of it, oldest first.
        is_at_end: Whether the file was read to its end.
        learn: Is told each outcome that is known, before the jobs of the lines after it.
    """

    def __init__(self, file: IO[bytes], ids: str | None = None, known: Known | None = None) -> None:
        self.aside: deque[tuple[int, JobLineError | Outcome]] = deque()
        self.is_at_end = False
        self.learn: Callable[[Outcome], None] | None = None
        self._file = file
        self._ids = ids
        self._items = self._parsed() if known is None else self._looked_up(known)
        # One item per line that gave no job: how many jobs came before it. So the line of a job
        # follows from its index, without a number kept for each.
        self._jobs_before_gap: list[int] = []
        self._jobs = 0
        self._first = 0

    def __iter__(self) -> Iterator[Job]:
        self._first = self._jobs
        for number, item in self._items:
            if isinstance(item, Job):
                self._jobs += 1
                yield item
                continue
            self._jobs_before_gap.append(self._jobs)
            if self.learn is not None and isinstance(item, Outcome):
                self.learn(item)
            if item is not None:
                self.aside.append((number, item))
                if len(self.aside) >= MAX_ASIDE:
                    return
        self.is_at_end = True

    def line_of(self, index: int) -> int:
        """Return the number of the line, from 1, that a job stood on.

        Args:
            index: Which job of the latest iteration, from 0.
        """
        index += self._first
        return index + 1 + bisect_right(self._jobs_before_gap, index)

    def _parsed(self) -> Iterator[tuple[int, Job | JobLineError | None]]:
        for number, line in enumerate(self._lines(), start=1):
            try:
                yield number, self._parse(number, line)
            except ValueError as exc:
                yield number, JobLineError(number, str(exc))

    def _looked_up(self, known: Known) -> Iterator[tuple[int, Job | JobLineError | Outcome | None]]:
        """Yield as `_parsed`, an outcome in place of each job that ran before."""
        parsed = self._parsed()
        while some := list(islice(parsed, LOOK_UP_LINES)):
            outcomes = iter(known([item for _, item in some if isinstance(item, Job)]))
            for number, item in some:
                yield number, (next(outcomes) or item) if isinstance(item, Job) else item

    def _parse(self, number: int, line: bytes) -> Job | None:
        if len(line) > MAX_LINE_BYTES:
            raise ValueError(f"longer than {MAX_LINE_BYTES:,} bytes")
        if not line.strip():
            return None
        job = parse_job(line)
        if self._ids is None or job.id is not None:
            return job
        return job._replace(id=f"{self._ids}:{number}")

    def _lines(self) -> Iterator[bytes]:
        """Yield lines, each cut one byte over the limit if it is longer."""
        while line := self._file.readline(MAX_LINE_BYTES + 1):
            yield line
            while line and not line.endswith(b"\n"):
                line = self._file.readline(MAX_LINE_BYTES)


def _parse_object(line: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(line)
    except json.JSONDecodeError as exc:
        problem = f"{exc.msg[0].lower()}{exc.msg[1:]}"
        raise ValueError(f"not JSON: {problem} at column {exc.colno}") from exc
    except UnicodeDecodeError as exc:
        raise ValueError(f"not UTF-8 at byte {exc.start + 1}") from exc
    except RecursionError as exc:
        raise ValueError("nested too deep") from exc
    except ValueError as exc:  # the one other thing that json.loads raises
        raise ValueError("not JSON: a number has too many digits") from exc
    if not isinstance(parsed, dict):
        raise ValueError(f"{kind_of(parsed)}, expected an object")
    return parsed


def _text(fields: dict[str, Any], key: str) -> str:
    if key not in fields:
        raise ValueError(f"{key!r} is missing")
    value = fields[key]
    if not isinstance(value, str):
        raise ValueError(f"{key!r} is {kind_of(value)}, expected text")
    return value


def _line(fields: dict[str, Any]) -> bytes:
    try:
        text = to_json(fields, fallback=repr, inf_nan_mode="strings", bytes_mode="base64")
    except ValueError:
        # A cycle or a lone surrogate in what the callable returned or raised.
        text = to_json({key: ascii(value) for key, value in fields.items()})
    return text + b"\n"


def _with_addresses(value: Any) -> Any:
    """Return what a callable returned with addresses in the place of refs."""
    if isinstance(value, Ref):
        return value.address
    if isinstance(value, Mapping):
        return {key: _with_addresses(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_with_addresses(item) for item in value]
    return value
