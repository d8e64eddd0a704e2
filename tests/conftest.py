"""Fixtures for all tests: servers for the session, which nobody has to wait for twice."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.own_server import OwnServer, Unavailable

# Before anything imports Ray: it reads them once.
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.pop("RAY_ADDRESS", None)


# How long an example takes says how busy the machine is; no test is about that.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[OwnServer]:
    """A PostgreSQL server on this machine; tests that need one are skipped where it cannot be."""
    try:
        server = OwnServer()
    except Unavailable as reason:
        pytest.skip(str(reason))
    yield server
    server.remove()


@pytest.fixture(scope="session")
def ray_local() -> Iterator[None]:
    """A Ray on this machine; runners use it and leave it running."""
    import ray

    from runner import cluster  # the rest of the suite should not wait for the import of Ray

    # Not pytest's folder: the path of a Unix socket ends at about a hundred characters.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        cluster.silence_raylet()
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=80 * 2**20,
            namespace="test",
            _temp_dir=folder,
            _system_config={"core_worker_internal_heartbeat_ms": 200},
        )
        yield
        ray.shutdown()
