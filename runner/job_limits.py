"""Retries and limits of a job as JSON, in a line of a file of jobs.

"retries": 3
"retries": {"attempts": 3, "on": ["ConnectionError"], "wait_s": 5}
"retries": {"attempts": 9, "wait_s": {"first": 0.5, "factor": 2, "longest": 60}}
"retries": [{...}, {...}]
"timeout_s": 30
"memory_bytes": 500000000
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenacity.wait import wait_base, wait_exponential, wait_fixed

from runner.errors import JobError
from runner.options import Options, Retries

LIMIT_KEYS = ("retries", "timeout_s", "memory_bytes")
_RETRIES_KEYS = ("attempts", "on", "wait_s")
_WAIT_KEYS = ("first", "factor", "longest")
_DEFAULT_WAIT = Retries().wait


def parse_limits(fields: Mapping[str, Any]) -> Options | None:
    """Return the options that the keys of a line say; None if they say nothing.

    Raises:
        ValueError: They cannot be read; the text says why.
    """
    given = {key: fields[key] for key in LIMIT_KEYS if fields.get(key) is not None}
    if not given:
        return None
    if "retries" in given:
        given["retries"] = _parse_retries(given["retries"])
    try:
        return Options(**given)
    except JobError as exc:
        raise ValueError(str(exc)) from exc


def format_limits(options: Options) -> dict[str, Any]:
    """Return what `parse_limits` reads.

    Raises:
        JobError: A wait cannot be written.
    """
    fields: dict[str, Any] = {"timeout_s": options.timeout_s, "memory_bytes": options.memory_bytes}
    policies = [_format_retries(each) for each in options.policies]
    if policies:
        fields["retries"] = policies[0] if len(policies) == 1 else policies
    return {key: value for key, value in fields.items() if value is not None}


def _parse_retries(value: Any) -> Retries | tuple[Retries, ...]:
    if isinstance(value, list):
        return tuple(map(_parse_policy, value))
    return _parse_policy(value)


def _parse_policy(value: Any) -> Retries:
    fields = value if isinstance(value, dict) else {"attempts": value}
    _check_keys("retries", fields, _RETRIES_KEYS)
    given = dict(fields)
    if not isinstance(given.get("on", []), list):
        raise ValueError("'on' of 'retries' is not a list of names of errors")
    if "wait_s" in given:
        given["wait"] = _parse_wait(given.pop("wait_s"))
    try:
        return Retries(**given)
    except JobError as exc:
        raise ValueError(str(exc)) from exc


def _parse_wait(value: Any) -> wait_base:
    if not isinstance(value, dict):
        return wait_fixed(_seconds("wait_s", value))
    _check_keys("wait_s", value, _WAIT_KEYS)
    first, factor, longest = (
        _seconds(key, value.get(key, default))
        for key, default in zip(_WAIT_KEYS, (1.0, 2.0, 3600.0), strict=True)
    )
    return wait_exponential(multiplier=first, max=longest, exp_base=factor)


def _seconds(key: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{key!r} of 'retries' is not a number")
    if not 0 <= value < float("inf"):
        raise ValueError(f"{key!r} of 'retries' is {value}, expected 0 or more")
    return value


def _check_keys(what: str, fields: Mapping[str, Any], known: tuple[str, ...]) -> None:
    if unknown := fields.keys() - set(known):
        raise ValueError(f"{min(unknown)!r} is not a key of {what!r}; these are {', '.join(known)}")


def _format_retries(retries: Retries) -> Any:
    fields: dict[str, Any] = {"attempts": retries.attempts}
    if tuple(retries.on) != (Exception,):
        fields["on"] = list(retries.names)
    if not _is_default(retries.wait):
        fields["wait_s"] = _format_wait(retries.wait)
    return retries.attempts if len(fields) == 1 else fields


def _is_default(wait: wait_base) -> bool:
    return type(wait) is type(_DEFAULT_WAIT) and vars(wait) == vars(_DEFAULT_WAIT)


def _format_wait(wait: wait_base) -> Any:
    if isinstance(wait, wait_fixed):
        return wait.wait_fixed
    if type(wait) is wait_exponential and not wait.min:
        parts = (wait.multiplier, wait.exp_base, wait.max)
        return dict(zip(_WAIT_KEYS, parts, strict=True))
    problem = "has no form in JSON; wait_fixed and wait_exponential without min have one"
    raise JobError(f"a wait of class {type(wait).__name__}", problem)
