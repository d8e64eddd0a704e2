"""What is found out before Ray is asked: it would take twenty seconds, or end the process."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.errors import ClusterError

pytestmark = pytest.mark.ray  # for the import, a second


@pytest.fixture
def listening() -> Iterator[str]:
    """The address of a socket that listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("address", ["ray://host:10001", "host", "host:", ":6379", "host:x"])
def test_what_is_no_address_is_refused(address: str):
    from runner.cluster import check_address

    with pytest.raises(ClusterError, match="host:port"):
        check_address(address)


def test_an_address_where_nothing_listens_is_told(listening: str):
    from runner.cluster import check_address

    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    with pytest.raises(ClusterError, match="does not answer"):
        check_address(f"127.0.0.1:{free}")


def test_a_missing_token_is_told(listening: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from runner.cluster import check_address

    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))

    with pytest.raises(ClusterError, match="asks for a token"):
        check_address(listening)

    (tmp_path / "token").write_text("secret")
    check_address(listening)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    check_address(listening)


def test_a_new_ray_goes_without_side_processes_and_they_come_back():
    import ray

    from runner.cluster import SIDE_PROCESSES, skip_side_processes

    node = ray._private.node.Node
    before = [getattr(node, name) for name in SIDE_PROCESSES]

    with skip_side_processes():
        started = [getattr(node, name)(node) for name in SIDE_PROCESSES]

    assert started == [None] * len(SIDE_PROCESSES)
    assert [getattr(node, name) for name in SIDE_PROCESSES] == before


def test_a_ray_without_these_names_is_started_as_ever(monkeypatch: pytest.MonkeyPatch):
    import ray

    from runner.cluster import SIDE_PROCESSES, skip_side_processes

    kept = ray._private.node.Node.start_api_server
    monkeypatch.delattr(ray._private.node.Node, SIDE_PROCESSES[1])

    with skip_side_processes():
        pass

    assert ray._private.node.Node.start_api_server is kept
