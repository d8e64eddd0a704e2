"""A run says where it was measured."""

from __future__ import annotations

import json
import platform

from runner.bench.environment import read_environment


def test_the_environment_names_machine_versions_and_moment() -> None:
    document = json.loads(json.dumps(read_environment().to_json()))

    assert document["python"].startswith(platform.python_version())
    assert {"pydantic", "ray"} <= document["packages"].keys()
    assert document["cpu_count"] >= 1
    assert len(document["load_average"]) == 3
    assert document["measured_at"].endswith("Z")


def test_the_summary_is_one_line() -> None:
    summary = read_environment().summary()

    assert "\n" not in summary
    assert platform.python_version() in summary
