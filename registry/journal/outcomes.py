"""Outcomes: what became of executions that have ids, as bytes, to answer whoever asks again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from registry import ids
from registry.address import Ref
from registry.errors import JournalDamagedError, NotJournalableError
from registry.journal.codec import decode, encode
from registry.journal.coding import KeyTable
from registry.journal.packing import writable
from registry.kept import MAX_TEXT, KeptText
from registry.semantics import MUTATION
from registry.values import shown

_FAILED = -1


class Answered(NamedTuple):
    """What an execution was answered.

    Attributes:
        version: Version of its root afterwards; 0 without one.
        changed: Number of entities that got a new `ecs_id`.
        semantic: See `Receipt`.
        value: What it returned, with refs in place of entities; its text, if the journal cannot
            write it.
        outputs: The entities returned.
    """

    version: int
    changed: int
    semantic: str | None
    value: Any
    outputs: tuple[Ref, ...]


class Failed(NamedTuple):
    """What an execution failed with.

    Attributes:
        error_type: Name of the exception's class.
        error: Its text.
        frames: Where it was raised, in words, as far as anybody noted.
        notes: The notes that it carried.
        bases: Names of the classes that its class inherits from; none if nobody noted them.
    """

    error_type: str
    error: str
    frames: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()


def write_outcome(outcome: Answered | Failed, root: Ref | None) -> bytes:
    """Return the bytes of an outcome. The usual one, the root and nothing else, takes 5.

    Args:
        outcome: The outcome.
        root: The root that the execution was sent to, which need not be written.
    """
    if isinstance(outcome, Failed):
        texts = [[*map(writable, each)] for each in (outcome[:2], *outcome[2:])]
        return to_json((_FAILED, *texts[0], *texts[1:]))
    version, changed, semantic, value, outputs = outcome
    # The very same object is both in the usual case, and compared once.
    if semantic == MUTATION and value == root and outputs == (value,):
        return usual_outcome(version, changed)
    if value is None and not outputs:
        return b"[%d,%d,0]" % (version, changed)
    return to_json(_whole(outcome), inf_nan_mode="constants")


def usual_outcome(version: int, changed: int) -> bytes:
    """Return the bytes of the usual outcome: the root was changed and returned, nothing else."""
    return b"[%d,%d]" % (version, changed)


def _whole(outcome: Answered) -> list[Any]:
    table = KeyTable()
    try:
        plain: Any = encode(outcome.value, table)
    except NotJournalableError:
        table = KeyTable()
        plain = encode(shown(outcome.value, MAX_TEXT), table)
        return [*outcome[:3], _refs(outcome.outputs), table.written(), plain, 0]
    return [*outcome[:3], _refs(outcome.outputs), table.written(), plain]


def _refs(outputs: Sequence[Ref]) -> list[list[int]]:
    return [[int(each) for each in ref] for ref in outputs]


def read_outcome(data: bytes, root: Ref | None, place: str) -> Answered | Failed:
    """Return the outcome that bytes are of.

    Args:
        data: What `write_outcome` returned.
        root: As there.
        place: Names the execution in an error.

    Raises:
        JournalDamagedError: They are of none.
        UnreadableValueError: The value is of a class that is different now.
        UnknownClassError: A class in the value is not imported.
    """
    try:
        version, *rest = from_json(data, allow_inf_nan=True)
        if version == _FAILED:
            error_type, error, *texts = rest  # older stores have no bases
            return Failed(error_type, error, *map(tuple, texts))
        if len(rest) == 1:
            return Answered(version, rest[0], MUTATION, root, () if root is None else (root,))
        if len(rest) == 2:
            return Answered(version, rest[0], None, None, ())
        changed, semantic, refs, keys, plain, *is_text = rest
        outputs = tuple([_ref(each, root) for each in refs])
        table = KeyTable.read(keys)
    except (ValueError, TypeError) as error:
        raise JournalDamagedError(place, f"{type(error).__name__}: {error}") from error
    value = decode(plain, table, place)
    return Answered(version, changed, semantic, KeptText(value) if is_text else value, outputs)


def _ref(parts: Sequence[int], root: Ref | None) -> Ref:
    key, entity, branch = parts
    found = Ref(ids.plain(key), ids.plain(entity), branch)
    return root if root is not None and found == root else found
