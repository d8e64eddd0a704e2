"""Executions on a cluster: what users import. Ray is imported when a runner first needs it."""

from __future__ import annotations

from runner.batch import Batch, Counts, ErrorInfo, Job, Outcome
from runner.errors import ExecutionError, RunnerError
from runner.options import Options, ResultOf, Retries
from runner.runner import Runner
from runner.settings import Settings
from runner.statistics import Statistics

__all__ = [
    "Batch",
    "Counts",
    "ErrorInfo",
    "ExecutionError",
    "Job",
    "Options",
    "Outcome",
    "ResultOf",
    "Retries",
    "Runner",
    "RunnerError",
    "Settings",
    "Statistics",
]
