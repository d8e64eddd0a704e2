"""Where figures were measured: without it they cannot be compared with any others."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGES = ("treerunner", "pydantic", "ray")

_GIT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Environment:
    """The machine, the versions and the moment of a run."""

    measured_at: str
    python: str
    packages: Mapping[str, str]
    platform: str
    processor: str
    cpu_count: int
    load_average: tuple[float, float, float]
    commit: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON-ready data."""
        return asdict(self)

    def summary(self) -> str:
        """Return the record as one line for people."""
        packages = ", ".join(f"{name} {version}" for name, version in self.packages.items())
        load = " ".join(f"{value:.2f}" for value in self.load_average)
        commit = f", commit {self.commit}" if self.commit else ""
        return (
            f"Python {self.python}, {packages}{commit}; {self.platform}, "
            f"{self.cpu_count} CPUs, load {load}; {self.measured_at}"
        )


def read_environment() -> Environment:
    """Read the environment of this process; starts git once, imports nothing."""
    return Environment(
        measured_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        python=f"{platform.python_version()} ({platform.python_implementation()})",
        packages=dict(_installed(PACKAGES)),
        platform=platform.platform(),
        processor=_processor(),
        cpu_count=os.cpu_count() or 1,
        load_average=_load_average(),
        commit=_commit(),
    )


def _installed(packages: tuple[str, ...]) -> list[tuple[str, str]]:
    found = []
    for name in packages:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _load_average() -> tuple[float, float, float]:
    try:
        return os.getloadavg()
    except (AttributeError, OSError):  # there is none on this platform
        return (0.0, 0.0, 0.0)


def _commit() -> str | None:
    """Return the commit of the checkout that this file is in, "+" if it has changes."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],  # noqa: S607 - git is where PATH says
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None
