"""Ref and address: the typed handle of an entity, and the text that carries it.

An address is `@`, an id, and then perhaps a path to what is below that entity:

    @<lineage_id>                   the entity at the head of its branch
    @<ecs_id>                       that very version of the entity
    @<id>.shelves.0.label           fields, and positions in lists and tuples (-1 is the last)
    @<id>.table.a                   keys of dicts
    @<id>.table["a.b"]              a key with dots, spaces or quotes, as a JSON string
    @<id>.table["0"]                the text '0', where `.0` is the number

Without quotes a part consists of letters, digits, `_` and `-`; it is a number if it is written like
one (no leading zero, no `-0`, up to `MAX_DIGITS`), else a text. `parse_address` and `str` of an
`Address` are inverses. What an address names is found by `addressed.py`.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from registry import ids
from registry.errors import AddressError
from registry.ids import Key
from registry.values import shown

MAX_DIGITS = 100
"""Digits of a number in a path; more are read as text, which finds the same key of a dict."""

_ID = re.compile(r"[0-9a-fA-F]{8}(-?)(?:[0-9a-fA-F]{4}\1){3}[0-9a-fA-F]{12}")
_BARE = re.compile(r"[\w-]+")
_PART = re.compile(r'\.([\w-]+)|\[("(?:[^"\\]|\\.)*")\]', re.DOTALL)
_NUMBER = re.compile(rf"0|-?[1-9][0-9]{{0,{MAX_DIGITS - 1}}}")

Path = tuple[str | int, ...]
"""Names of fields, positions and keys, one after the other."""


class Ref(NamedTuple):
    """Names an entity of a tree, on a branch; as an argument it always means the head.

    Small, hashable, and the same in every process.

    Attributes:
        root: Lineage bits of the root.
        key: Lineage bits of the entity; those of the root for a ref of the root.
        branch: Branch of the tree; 0 is main.
    """

    root: Key
    key: Key
    branch: int = 0

    @property
    def address(self) -> str:
        """The text form: `@` and the lineage id."""
        return f"@{self.lineage_id}"

    @property
    def lineage_id(self) -> UUID:
        """The entity's lineage id; on a branch other than main the id carries the branch."""
        return ids.to_uuid(self.key, ids.stamp(self.branch, 0))

    @property
    def root_ref(self) -> Ref:
        """The ref of the root."""
        return Ref(self.root, self.root, self.branch)

    def __str__(self) -> str:
        return self.address


class Address(NamedTuple):
    """What an address says; `str` writes it.

    Attributes:
        id: A lineage id or an `ecs_id`.
        path: The way from that entity to what is named; empty for the entity itself.
    """

    id: UUID
    path: Path = ()

    @property
    def entity(self) -> ids.EntityVersion:
        """The entity and version that the id names; commit 0 is the head."""
        return ids.from_uuid(self.id)

    def __str__(self) -> str:
        return f"@{self.id}{write_path(self.path)}"


def parse_address(text: str) -> Address:
    """Read an address.

    Raises:
        AddressError: The text is not an address; the error says where it stops being one.

    Cost: proportional to the text.
    """
    if not isinstance(text, str):
        raise AddressError(shown(text), f"it is a {type(text).__name__}, no text", 0)
    return _parse(text if type(text) is str else str.__str__(text))


@lru_cache(4096)
def _parse(text: str) -> Address:
    if text[:1] != "@":
        raise AddressError(text, "it does not start with '@'", 0)
    found = _ID.match(text, 1)
    if found is None:
        raise AddressError(text, "what follows '@' is not a UUID", 1)
    uuid = UUID(found[0])
    try:
        ids.from_uuid(uuid)
    except ValueError:
        raise AddressError(
            text, "its id was not made here, being no UUID of version 8", 1
        ) from None
    return Address(uuid, _parse_path(text, found.end()))


def is_address(text: object) -> bool:
    """Tell whether something is the text of an address, whether or not it names anything."""
    if not isinstance(text, str):
        return False
    try:
        parse_address(text)
    except AddressError:
        return False
    return True


def write_path(path: Path) -> str:
    """Write a path as it follows the id in an address.

    Raises:
        AddressError: A part is neither text nor a whole number of up to `MAX_DIGITS` digits.
    """
    return "".join(map(_write_part, path))


def _parse_path(text: str, at: int) -> Path:
    path: list[str | int] = []
    while at < len(text):
        found = _PART.match(text, at)
        if found is None:
            raise AddressError(text, 'a path goes on with .name, .0 or ["name"]', at)
        bare, quoted = found.groups()
        if bare is None:
            path.append(_unquoted(text, quoted, at))
        else:
            path.append(int(bare) if _NUMBER.fullmatch(bare) else bare)
        at = found.end()
    return tuple(path)


def _unquoted(text: str, quoted: str, at: int) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:
        raise AddressError(text, "what is in quotes is not a JSON string", at) from None


def _write_part(part: str | int) -> str:
    if type(part) is int and abs(part) < 10**MAX_DIGITS:
        return f".{part}"
    if not isinstance(part, str):
        problem = f"a part of a path is a text or a number of up to {MAX_DIGITS} digits"
        raise AddressError(f"a {type(part).__name__}", problem, 0)
    if _BARE.fullmatch(part) and not _NUMBER.fullmatch(part):
        return f".{part}"
    # Not ASCII only: an escaped pair of lone surrogates would be read as one character.
    return f"[{json.dumps(part, ensure_ascii=False)}]"
