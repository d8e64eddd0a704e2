"""What a store knows of jobs, attempt by attempt, without sending any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from registry import Ref, ids
from runner.asked import Asked
from runner.attempts import attempt_id, policy_for, status_of
from runner.batch import Job, Outcome
from runner.host_store import KnownOutcomes
from runner.options import Options
from runner.wire import FAILED, ReplyRow


def find_outcomes(
    store: KnownOutcomes, root: Ref | None, jobs: Mapping[int, Job], options: Options
) -> Iterator[Outcome]:
    """Yield the outcomes of those jobs for a root that ran before, to their last attempt.

    One that failed and is to be run again is not known until that was done.

    Args:
        store: The store.
        root: The root that all of them are for.
        jobs: The jobs, each with an id, by index.
        options: What each asks for that does not say otherwise.
    """
    asked = Asked(options, None)
    before: dict[int, int] = {}
    for index, job in jobs.items():
        if isinstance(job.options, Options):
            asked.note(index, job.options)
            before[index] = job.options.attempts_before
    attempts = {index: before.get(index, 0) + 1 for index in jobs}
    while attempts:
        names = {index: _name(jobs[index], attempt) for index, attempt in attempts.items()}
        replies = store.find(root, list(dict.fromkeys(names.values())))
        following: dict[int, int] = {}
        for index, attempt in attempts.items():
            reply = replies.get(names[index])
            if reply is None:
                continue
            outcome = _outcome_of(jobs[index], index, root, reply, attempt)
            made = attempt - before.get(index, 0)
            if _is_run_again(asked, outcome, made):
                following[index] = attempt + 1
            else:
                yield outcome
        attempts = following


def _is_run_again(asked: Asked, outcome: Outcome, made: int) -> bool:
    if outcome.error is None:
        return False
    policy = policy_for(asked.policies(outcome.index), outcome.status, outcome.error)
    return policy is not None and made < policy.attempts


def _name(job: Job, attempt: int) -> str:
    return ids.execution_text(attempt_id(job.id or "", attempt))


def _outcome_of(job: Job, index: int, root: Ref | None, reply: ReplyRow, attempt: int) -> Outcome:
    _, version, changed, semantic, value, outputs = reply
    head = (index, job.id or "", job.callable, root)
    if version == FAILED:
        return Outcome(*head, status_of(value), error=value, attempts=attempt)
    return Outcome(*head, "ok", semantic, version, changed, value, outputs, attempts=attempt)
