"""`cluster.yaml` is what Ray's own launcher accepts, checked without a cluster or a network."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

CLUSTER_YAML = Path(__file__).parents[2] / "cluster.yaml"


@pytest.fixture
def config() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(CLUSTER_YAML.read_text())
    return loaded


def validate_as_ray_does(config: dict[str, Any]) -> None:
    """Run the checks of `ray up`, short of reaching a machine.

    They are private to Ray: a release that moves them must show here as a clear failure of this
    helper, not as a broken `cluster.yaml`.
    """
    try:
        from ray.autoscaler._private.util import prepare_config, validate_config
    except ImportError as exc:
        pytest.fail(f"Ray moved its cluster.yaml checks, point this test at them: {exc}")
    validate_config(prepare_config(copy.deepcopy(config)))


def test_ray_accepts_the_file(config: dict[str, Any]) -> None:
    validate_as_ray_does(config)


def test_the_check_sees_an_unknown_key(config: dict[str, Any]) -> None:
    config["worker_count"] = 2

    with pytest.raises(jsonschema.ValidationError, match="worker_count"):
        validate_as_ray_does(config)


def test_every_node_starts_with_token_authentication(config: dict[str, Any]) -> None:
    starts = [
        command
        for key in ("head_start_ray_commands", "worker_start_ray_commands")
        for command in config[key]
        if "ray start" in command
    ]

    assert len(starts) == 2
    assert all(command.startswith("RAY_AUTH_MODE=token ") for command in starts)


def test_the_dashboard_listens_on_the_loopback_only(config: dict[str, Any]) -> None:
    text = json.dumps(config)

    assert "--dashboard-host=127.0.0.1" in text
    assert "0.0.0.0" not in text  # noqa: S104 - looked for, not bound
