"""Ref and address: the typed handle of an entity, and the text that carries it."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from registry import ids
from registry.ids import Key


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


def parse_address(text: str) -> ids.EntityVersion:
    """Read `@<uuid>`.

    Raises:
        ValueError: The text is not an address; the message says what is wrong with it.
    """
    if not text.startswith("@"):
        raise ValueError(f"{text!r} is not an address: it does not start with '@'")
    try:
        uuid = UUID(text[1:])
    except ValueError:
        raise ValueError(f"{text!r} is not an address: what follows '@' is not a UUID") from None
    return ids.from_uuid(uuid)
