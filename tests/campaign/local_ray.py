"""A Ray of its own, in processes that can be ended: python -m tests.campaign.local_ray.

Prints its address, and stays until its input ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

TOP = Path(__file__).parents[2]


class LocalRay:
    """Processes of a Ray of this machine that the campaign started, and may kill.

    Args:
        environment: That of its hosts, in addition to that of this process.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.campaign.local_ray"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=TOP,
            env={**os.environ, "PYTHONPATH": str(TOP), **(environment or {})},
            start_new_session=True,
        )
        assert self._process.stdout is not None, "it is a pipe"
        self.address = self._process.stdout.readline().strip()
        if not self.address:
            raise RuntimeError("Ray did not start")

    def kill(self) -> int:
        """End all of its processes at once; return how many there were."""
        found = [self._process.pid, *descendants(self._process.pid)]
        for pid in found:
            end(pid)
        self._process.wait()
        return len(found)


def descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they did."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended meanwhile
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            found.append(child)
            waiting.append(child)
    return found


def end(pid: int) -> None:
    """SIGKILL a process that may be gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def main() -> None:
    """Start it, and wait."""
    from ray import get_runtime_context

    from runner.cluster import connect
    from runner.settings import DEFAULT

    cluster = connect(None, DEFAULT)
    sys.stdout.write(f"{get_runtime_context().gcs_address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    cluster.close()


if __name__ == "__main__":
    main()
