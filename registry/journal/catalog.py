"""Catalog: what is known of each stored branch before it is loaded."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from registry.errors import JournalDamagedError
from registry.journal.classes import class_name
from registry.journal.port import Entry
from registry.tree import TreeRegistry


class About(NamedTuple):
    """What a workspace notes about a branch.

    Attributes:
        cls: Class of the root, see `class_name`.
        name: The name that the root was given, if it was.
        base: Number of the branch that it shares its beginning with; -1 without one.
        origin: Number of the branch that it was forked from, as the user said; -1 without one.
        last_branch: Greatest number of a branch of the root that was ever used.
        is_config: Whether it was stored because a callable was given it as a config.
        merges: What was merged into it: version, branch, its version, its version that is pinned.
        owner: Key of the root whose owner has it, if that is another one; a runner's, see there.
    """

    cls: str
    name: str | None = None
    base: int = -1
    origin: int = -1
    last_branch: int = 0
    is_config: bool = False
    merges: tuple[tuple[int, int, int, int], ...] = ()
    owner: int = 0


def write_about(about: About) -> bytes:
    """Return the bytes of a note."""
    return to_json(about)


def read_about(entry: Entry) -> About:
    """Return the note of a branch.

    Raises:
        JournalDamagedError: It is none.
    """
    try:
        about = About(*from_json(entry.about))
        return about._replace(merges=tuple([(*each,) for each in about.merges]))
    except (ValueError, TypeError) as error:
        place = f"the note of branch {entry.branch} of root {entry.root:x}"
        raise JournalDamagedError(place, str(error)) from error


def describe(tree: TreeRegistry, **more: Any) -> About:
    """Return what there is to note about a branch.

    Args:
        tree: The branch.
        **more: What a tree does not know itself.
    """
    return About(
        class_name(tree.class_of(tree.key)),
        base=-1 if tree.base is None else tree.base.branch,
        origin=-1 if tree.origin is None else tree.origin.branch,
        merges=tuple(
            [
                (each.at, each.source.branch, each.version, each.pinned_version)
                for each in tree.merges
            ]
        ),
        **more,
    )
