"""Time enters here, so that any run can be replayed with another clock."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Returns seconds: since the epoch, UTC, unless it is said that only differences are used."""

system_clock: Clock = time.time
