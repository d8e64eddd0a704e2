"""What a line of JSON may say beside what is run: options, and results of earlier jobs.

{"callable": "pay", "root": "shop", "id": "b", "depends_on": ["a"], "priority": 1,
 "arguments": {"order": {"$result": "a"}}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.job_limits import LIMIT_KEYS, format_limits, parse_limits
from runner.options import Options, ResultOf
from runner.results import with_results

_ORDER_KEYS = ("priority", "depends_on")
KEYS = (*_ORDER_KEYS, *LIMIT_KEYS)

RESULT = "$result"


def parse_options(fields: Mapping[str, Any]) -> Options | None:
    """Return the options that an object of JSON has; None: it has none.

    Raises:
        ValueError: One is of the wrong kind.
    """
    limits = parse_limits(fields)
    said = {key: fields[key] for key in _ORDER_KEYS if fields.get(key) is not None}
    if not said:
        return limits
    if type(said.get("priority", 0)) is not int:
        raise ValueError(f"'priority' is {kind_of(said['priority'])}, expected an integer")
    ids = said.get("depends_on", ())
    if not isinstance(ids, str) and not _are_texts(ids):
        raise ValueError(f"'depends_on' is {kind_of(ids)}, expected text or a list of texts")
    order = Options(**said)
    return order if limits is None else limits.over(order)


def format_options(options: Options | None) -> dict[str, Any]:
    """Return what an object of JSON says for some options.

    Raises:
        JobError: One has no form in JSON.
    """
    if options is None:
        return {}
    said = {"priority": options.priority, "depends_on": list(options.depends_on) or None}
    order = {key: value for key, value in said.items() if value is not None}
    return {**order, **format_limits(options)}


def may_have_results(line: bytes) -> bool:
    r"""Tell at a glance whether a line may have an object that stands for a result."""
    return b"$result" in line or b"\\u" in line  # JSON may write any character as a number


def parse_results(value: Any) -> Any:
    """Return a value of JSON with a `ResultOf` in the place of each object that stands for one.

    Raises:
        ValueError: Such an object has other keys, or names no job.
    """
    if isinstance(value, list):
        return [parse_results(item) for item in value]
    if not isinstance(value, dict):
        return value
    if RESULT not in value:
        return {key: parse_results(item) for key, item in value.items()}
    if len(value) > 1:
        raise ValueError(f"{RESULT!r} has other keys beside it: {min({*value} - {RESULT})!r}")
    execution_id = value[RESULT]
    if not isinstance(execution_id, str):
        raise ValueError(f"{RESULT!r} is {kind_of(execution_id)}, expected the id of a job")
    return ResultOf(execution_id)


def format_results(value: Any) -> Any:
    """Return a value with the object of JSON for each `ResultOf` in it."""
    return with_results(value, lambda wanted: {RESULT: wanted.id})


def kind_of(value: object) -> str:
    """Return what JSON calls a value."""
    kinds = {bool: "a boolean", dict: "an object", list: "a list", str: "text", type(None): "null"}
    return "a result" if isinstance(value, ResultOf) else kinds.get(type(value), "a number")


def _are_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)
