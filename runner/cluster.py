"""Connects to Ray: the one of this process, a cluster by address, or a new one on this machine.

Ray writes to the terminal of its own accord and reports what went wrong over many lines; here it is
kept quiet, and every failure becomes one `ClusterError` with a way out.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Ray reads this once, when it is imported; without it, a driver that is given an address sends no
# token. Set after that, it would reach Ray's own processes only, and they would refuse this one.
if "ray" not in sys.modules:
    os.environ.setdefault("RAY_AUTH_MODE", "token")

import ray

from runner.errors import ClusterError
from runner.settings import Settings

NAMESPACE = "treerunner"
LOCAL = "this machine"
CONNECT_TIMEOUT_S = 3.0

SIDE_PROCESSES = ("start_api_server", "start_monitor", "start_log_monitor")
"""Methods of Ray's node that start what a Ray of our own on one machine has no use for: the server
behind a dashboard that is off, a scaler of clusters, a reader of logs that nobody is shown."""


class Cluster:
    """A Ray that this process is connected to; `close` ends it if it was started here."""

    def __init__(self, name: str, *, is_ours: bool) -> None:
        self.name = name
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray's
        self.cpu_count = int(resources.get("CPU", 1))
        self._is_ours = is_ours

    def close(self) -> None:
        """Disconnect, and end what `connect` started."""
        if self._is_ours and ray.is_initialized():
            ray.shutdown()


def connect(address: str | None, settings: Settings) -> Cluster:
    """Connect to Ray.

    Args:
        address: host:port of a cluster that this machine is a node of; None: the Ray that this
            process is connected to, or else a new one on this machine.
        settings: Bounds of a Ray that is started.

    Raises:
        ClusterError: It cannot be started or reached.
    """
    if ray.is_initialized():
        return Cluster("the Ray of this process", is_ours=False)
    if address is not None:
        check_address(address)
    options: dict[str, Any] = {"address": "local" if address is None else address}
    if address is None:
        options |= {
            "include_dashboard": False,
            "object_store_memory": settings.object_store_bytes,
            "_system_config": {"core_worker_internal_heartbeat_ms": 200},
        }
    silence_raylet()
    few_processes = skip_side_processes() if address is None else contextlib.nullcontext()
    try:
        with few_processes:
            ray.init(
                namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR, **options
            )
    except Exception as exc:
        raise _explained(address or LOCAL, exc) from exc
    return Cluster(address or LOCAL, is_ours=True)


def check_address(address: str) -> None:
    """Find out in seconds what Ray reports after twenty, or by ending the process.

    Raises:
        ClusterError: There is no Ray at the address, no token for it, or no node on this machine.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        way_out = "give host:port; ray:// is not offered, use 'ray job submit' from elsewhere"
        raise ClusterError(address, "cannot be reached by that address", way_out)
    try:
        with socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S):
            pass
    except OSError as exc:
        way_out = "check that it runs there: ray start --head --port=6379"
        raise ClusterError(address, f"does not answer ({exc})", way_out) from exc
    if os.environ.get("RAY_AUTH_MODE") == "token" and not _has_token():
        way_out = "copy ~/.ray/auth_token from its head, or set RAY_AUTH_TOKEN_PATH"
        raise ClusterError(address, "asks for a token, and there is none here", way_out)


def _has_token() -> bool:
    if os.environ.get("RAY_AUTH_TOKEN"):
        return True
    path = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token"
    return Path(path).is_file()


def _explained(address: str, exc: Exception) -> ClusterError:
    text = f"{exc} {exc.__cause__ or ''}"
    if "uthenticat" in text:
        way_out = "copy ~/.ray/auth_token from its head, or set RAY_AUTH_TOKEN_PATH"
        return ClusterError(address, "refused the token of this machine", way_out)
    reason = next(iter(str(exc).splitlines()), type(exc).__name__)
    way_out = "see the newest logs in /tmp/ray/session_latest/logs"
    return ClusterError(address, f"cannot be started or reached ({reason})", way_out)


def silence_raylet() -> None:
    """Keep Ray from printing, over our progress bar, that a host died: outcomes say so.

    Ray offers no switch for it; `log_to_driver` does not cover its own notices. Where the private
    name that this replaces is gone, the notices come through and nothing else changes.
    """
    with contextlib.suppress(AttributeError):
        worker = ray._private.worker  # noqa: SLF001 - see above
        print_lines: Callable[..., None] = worker.print_to_stdstream
        if getattr(print_lines, "is_quiet", False):
            return

        def print_unless_raylet(data: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            if data.get("pid") != "raylet":
                print_lines(data, *args, **kwargs)

        print_unless_raylet.is_quiet = True  # type: ignore[attr-defined]
        worker.print_to_stdstream = print_unless_raylet


@contextlib.contextmanager
def skip_side_processes() -> Iterator[None]:
    """Let a Ray that is started meanwhile do without `SIDE_PROCESSES`.

    Each is a Python that imports Ray while everybody waits: with them a start takes more than twice
    as long. Ray offers no switch for it. Where a private name that this replaces is gone, that
    process is started as ever.
    """
    with contextlib.ExitStack() as restored:
        with contextlib.suppress(AttributeError):
            node = ray._private.node.Node  # noqa: SLF001 - see above
            for name in SIDE_PROCESSES:
                start: Callable[..., None] = getattr(node, name)
                setattr(node, name, lambda *_args, **_options: None)
                restored.callback(setattr, node, name, start)
        yield
