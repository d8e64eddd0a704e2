"""The bounds of a runner: every queue, chunk and wait has one, with its unit in the name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """The bounds of one runner; `dataclasses.replace` makes a variant."""

    max_hosts: int | None = None
    """Most hosts before roots share them; None: 4 per CPU of the cluster."""

    chunk_jobs: int = 2_000
    """Most jobs in one request to a host; beyond it, larger ones save nothing."""

    first_chunk_jobs: int = 8
    """Jobs in a host's first chunk, until it is known how long they take."""

    chunk_growth: int = 64
    """How many times larger than the last chunk the next may be."""

    chunk_target_s: float = 0.2
    """Running time of a chunk to aim at: outcomes of slow jobs must not wait for a thousand."""

    window_chunks: int = 3
    """Chunks on their way to one host, the running one included."""

    held_jobs: int = 50_000
    """Most jobs that a batch has taken from its source and not yet handed out: its memory."""

    remembered_outcomes: int = 100_000
    """Most jobs with ids that ended, and that a later job of the batch may depend on still."""

    pull_jobs: int = 256
    """Jobs taken from the source between two looks at what has arrived."""

    linger_s: float = 0.005
    """How long a job waits for company before an idle host gets it alone."""

    timeout_s: float | None = None
    """Longest that one job may run; None: without end. It takes a store, and hosts of their own."""

    poison_deaths: int = 2
    """Hosts that may die with a chunk before its jobs are sent one by one."""

    lone_poison_deaths: int = 3
    """Hosts that may die with one job alone before that is set aside: more, since hosts also die
    of other things, and a job that takes long is often what they die with."""

    store_attempts: int = 3
    """Times that a chunk is run which could not be stored, before its jobs are lost."""

    kept_failures: int = 10_000
    """Most jobs that are kept for `Batch.retry_failed` if their source is no list."""

    spare_hosts: int = 2
    """Hosts that are started ahead of need, with a store: the next ones to replace a dead one."""

    cancel_grace_s: float = 0.5
    """How long a cancelled batch waits for the execution that each host is in."""

    adds_in_flight: int = 64
    """Most trees on their way to hosts in one `add_many`."""

    reply_timeout_s: float = 300.0
    """How long anything but a batch waits for a host, its start included."""

    object_store_bytes: int = 100 * 2**20
    """Shared memory of a Ray that we start; chunks are small, and trees never cross."""


DEFAULT = Settings()
