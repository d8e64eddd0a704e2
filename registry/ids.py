"""Identity of entities and of their versions, as numbers and as UUIDs.

An id is arithmetic, not an index: 74 random lineage bits, 20 branch bits and 28 commit bits fill
the 122 free bits of a UUID of version 8 (RFC 9562). `ecs_id -> (entity, branch, commit)` is three
shifts, a commit draws no random number, and `lineage_id` is the same id with branch and commit 0.

Commit 1 means "as it was born": an entity keeps the id that it had before it entered a tree,
whatever version the tree was at.
"""

from __future__ import annotations

import os
import random
from functools import lru_cache
from typing import NamedTuple, cast
from uuid import UUID

LINEAGE_BITS = 74
BRANCH_BITS = 20
COMMIT_BITS = 28
MAX_BRANCH = (1 << BRANCH_BITS) - 1
MAX_COMMIT = (1 << COMMIT_BITS) - 1
BIRTH_COMMIT = 1
BIRTH = BIRTH_COMMIT
"""Branch 0, commit 1: the stamp of an entity that has not changed since it was born."""

EXECUTION_BITS = 40
"""Numbers that a process counts executions by, from one that is drawn: no batch is longer."""
_LOW_BITS = 62
_LOW_MASK = (1 << _LOW_BITS) - 1
_VERSION_AND_VARIANT = (8 << 76) | (0b10 << 62)


class Key(int):
    """The lineage bits of one entity: what stored values hold in place of a child.

    A subclass of `int`, so that a stored child is never mistaken for a number that the user stored.
    The garbage collector tracks it, as every instance of a class made in Python; what is kept per
    version (deltas, commits, records) holds plain numbers in its place, which it does not track.
    """

    __slots__ = ()


class EntityVersion(NamedTuple):
    """What an `ecs_id` is made of."""

    key: Key
    branch: int
    commit: int


# Seeded once from the system: 15 times cheaper per id than uuid4, and not disturbed by
# random.seed() in user code.
_source = random.Random(os.urandom(32))  # noqa: S311 - identity, not secrecy
_draw = _source.getrandbits
os.register_at_fork(after_in_child=lambda: _source.seed(os.urandom(32)))


def new_key() -> Key:
    """Draw the lineage bits of a new entity."""
    return Key(_draw(LINEAGE_BITS))


def plain(key: int) -> Key:
    """Return a key as a plain number.

    It is equal to the key, hashed like it, and not tracked by the garbage collector.
    It is typed as a key, because it may stand wherever one is looked up; only where a stored child
    must be told from a stored number is a real `Key` needed.
    """
    return cast("Key", int(key))


def first_execution_number() -> int:
    """Return a number from which a process may count its executions: no other counts there."""
    return new_key() << EXECUTION_BITS


def execution_text(number: int | str) -> str:
    """Write the id of an execution; one that the user gave is kept."""
    return number if isinstance(number, str) else f"{number:x}"


def stamp(branch: int, commit: int) -> int:
    """Pack a branch and a commit number.

    The part of an id that tells versions of one entity apart.
    """
    return branch << COMMIT_BITS | commit


def to_uuid(key: int, version_stamp: int = 0) -> UUID:
    """Write an entity, or one version of it, as a UUID."""
    payload = key << (BRANCH_BITS + COMMIT_BITS) | version_stamp
    high = payload >> _LOW_BITS
    return UUID(
        int=(high >> 12) << 80 | (high & 0xFFF) << 64 | (payload & _LOW_MASK) | _VERSION_AND_VARIANT
    )


@lru_cache(4096)  # an address is read several times in one execution, and again in the next
def from_uuid(uuid: UUID) -> EntityVersion:
    """Read an id of ours; the inverse of `to_uuid`.

    Raises:
        ValueError: The UUID was not made here (its version is not 8).
    """
    value = uuid.int
    if value & (0xF << 76) != 8 << 76 or value & (0b11 << 62) != 0b10 << 62:
        raise ValueError(f"{uuid} is not an entity id: its UUID version is not 8")
    high = (value >> 80) << 12 | (value >> 64) & 0xFFF
    payload = high << _LOW_BITS | value & _LOW_MASK
    return EntityVersion(
        Key(payload >> (BRANCH_BITS + COMMIT_BITS)),
        payload >> COMMIT_BITS & MAX_BRANCH,
        payload & MAX_COMMIT,
    )
