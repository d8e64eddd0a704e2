"""Arrays as fields: a step is a version of one layer, and no step is none."""

from __future__ import annotations

import pytest

pytest.importorskip("numpy", reason="numpy is not installed; it comes with treerunner[test]")

from examples import numpy_fields


def test_the_program_tells_what_each_version_holds() -> None:
    assert numpy_fields.main() == [
        "losses: [2.0, 2.0, 1.0]",
        "versions: 3",
        "version 1: [4.0, 4.0, 4.0]",
        "version 2: [4.0, 2.0, 4.0]",
        "version 3: [4.0, 1.0, 4.0]",
        "layers with a new id: [False, True, False]",
    ]
