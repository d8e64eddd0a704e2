"""What a runner has done so far, in numbers: `Statistics` to read, `Meter` to count."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statistics:
    """Totals of one runner at one moment."""

    hosts: int = 0
    """Hosts that live."""
    roots: int = 0
    """Roots that they house."""
    executions: int = 0
    """Executions that hosts have answered, failed ones included."""
    failed: int = 0
    """Those of them that failed."""
    chunks: int = 0
    """Requests that carried them."""
    bytes_sent: int = 0
    """Payload of these requests."""
    bytes_received: int = 0
    """Payload of their answers."""
    run_s: float = 0.0
    """Seconds that hosts spent in executions, summed over hosts."""

    @property
    def bytes_per_execution(self) -> float:
        """Return the payload of an execution, there and back; 0 without one."""
        return (self.bytes_sent + self.bytes_received) / max(1, self.executions)


class Meter:
    """Counts chunks as they are answered; safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executions = self._failed = self._chunks = self._sent = self._received = 0
        self._run_s = 0.0

    def count(
        self, *, executions: int, failed: int, bytes_sent: int, bytes_received: int, run_s: float
    ) -> None:
        """Add an answered chunk."""
        with self._lock:
            self._chunks += 1
            self._executions += executions
            self._failed += failed
            self._sent += bytes_sent
            self._received += bytes_received
            self._run_s += run_s

    def read(self, *, hosts: int, roots: int) -> Statistics:
        """Return the totals."""
        with self._lock:
            return Statistics(
                hosts,
                roots,
                self._executions,
                self._failed,
                self._chunks,
                self._sent,
                self._received,
                self._run_s,
            )
