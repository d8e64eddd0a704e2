"""Retention: how much a workspace keeps in memory."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retention:
    """How much history each tree keeps, and what is kept beside trees.

    Attributes:
        versions: Newest versions that can be read; None for no limit.
        memory_bytes: About how much memory the older versions of one tree may take; None for no
            limit. The estimate counts deltas, states and records, not the newest version.
        records: Newest execution records that the workspace keeps, adoptions of roots included.
        configs: Configs that are stored because they were given to a callable; beyond them, the
            one that was given longest ago is let go, unless something was made of it.

        outputs: Newest output entities (see `outputs.py`) that can be found by id; one that was
            changed, named or forked stays.

    A snapshot that somebody holds stays readable beyond both limits.
    """

    versions: int | None = 100_000
    memory_bytes: int | None = 256 * 2**20
    records: int = 100_000
    configs: int = 1_000
    outputs: int = 1_000

    def __post_init__(self) -> None:
        for name in ("versions", "memory_bytes", "records", "configs", "outputs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"Retention.{name} is {value}, expected at least 1 (or None)")
