"""The runner's contract, in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runner import Runner
from tests.contract import library
from tests.contract.runner_contract import RunnerContract


class TestLocalRunner(RunnerContract):
    """In process: the same path, without a transport."""

    @pytest.fixture(scope="class")
    @classmethod
    def runner(cls) -> Iterator[Runner]:
        """Two hosts in this process."""
        with Runner(library, hosts=2, in_process=True) as runner:
            yield runner
