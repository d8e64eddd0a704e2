"""Chronicle: what a line of versions says about one entity or value, read from its history.

The line of a branch is its own versions and, before those, the versions of what it was forked from,
each a `Stretch`. A question about one value looks at the states of the entities on its way and at
the deltas of its own containers, finds the versions in which it may have changed, and reads it in
each of these: no entity is loaded, no snapshot made, nothing else of the tree is touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

from registry import ids
from registry.address import Address, Path, Ref, parse_address, write_path
from registry.addressed import find_key, is_missing, step
from registry.changeset import Commit
from registry.entity import Entity, key_label
from registry.errors import (
    NaiveTimeError,
    NotFoundError,
    PathError,
    PrunedError,
)
from registry.history import Cell, Node, Stored
from registry.ids import Key
from registry.readable import comparable, readable
from registry.schema import ABSENT, EXTRA
from registry.snapshot import Snapshot
from registry.tree import TreeRegistry
from registry.trees import Target, Trees
from registry.values import Opaque, same_value

_MISSING = object()
_COMMITTED_AT = Commit._fields.index("committed_at")


class VersionInfo(NamedTuple):
    """One version of a tree, of one entity in it, or of one value below an entity.

    Attributes:
        version: Number of the tree's commit.
        ecs_id: Id of the entity in that version; the last one that it had, if it is not there.
        committed_at: When it was made, UTC.
        callable: Name of the callable that made it; None for an adoption, and if what made it is
            no longer kept.
        execution_id: Execution that made it; None like `callable`.
        value: The value as of this version, if the history is that of a value: the asker's own,
            with refs in place of entities.
        is_there: False if the entity left the tree with this version, or the place of the value is
            gone.
    """

    version: int
    ecs_id: UUID
    committed_at: datetime
    callable: str | None
    execution_id: str | None
    value: Any = None
    is_there: bool = True


class Stretch(NamedTuple):
    """The part of a line of versions that one branch made itself.

    Attributes:
        tree: The branch.
        first: Its first version on the line.
        last: Its last one: its head, or where the next stretch was forked from.
        kept: The oldest one that can be read; `last + 1` if none can.
    """

    tree: TreeRegistry
    first: int
    last: int
    kept: int


class Aim(NamedTuple):
    """What a question is about.

    Attributes:
        tree: The tree, on the branch whose line is asked about.
        key: The entity.
        path: The way below it; empty for the entity itself.
        version: The version that was named, if one was: the newest that shows an `ecs_id`, or that
            of a snapshot. None for the head.
    """

    tree: TreeRegistry
    key: Key
    path: Path
    version: int | None

    @property
    def address(self) -> str:
        """The address of what is asked about, at the head of its branch."""
        lineage = ids.to_uuid(self.key, ids.stamp(self.tree.branch, 0))
        return f"@{lineage}{write_path(self.path)}"

    def address_at(self, version: int) -> str:
        """Return the address of what is asked about, as of a version."""
        stamp = self.tree.stamp_of(self.key, version)
        return f"@{ids.to_uuid(self.key, stamp)}{write_path(self.path)}"


def aim(
    trees: Trees,
    target: Target | Address,
    branch: int | Ref | None = None,
    *,
    is_exact: bool = False,
) -> Aim:
    """Find what a question is about: an entity, also one that has left its tree, or a value.

    Args:
        trees: The trees to look in.
        target: What `Trees.ref` takes, or an address with a path.
        branch: Number or ref of the branch that is asked about; that of the target without one.
        is_exact: Whether a version id must be that of a version that is kept; otherwise it stands
            for the entity.

    Raises:
        NotFoundError: There is no such entity or branch.
        PrunedError: The version that an id names is no longer kept, and must be.
        AddressError: A text that starts with `@` is no address.

    Cost: as `Trees.ref`.
    """
    if isinstance(target, str) and target.startswith("@"):
        target = parse_address(target)
    if isinstance(target, UUID):
        target = _address_of(target)
    path: Path = ()
    version = None
    if isinstance(target, Address):
        tree, key, version = _named(trees, target, is_exact)
        path = target.path
    elif isinstance(target, Ref):
        tree, key = trees.tree(target), ids.plain(target.key)
        tree.class_of(key)  # there must have been one
    else:
        ref = trees.ref(target)
        tree, key = trees.tree(ref), ids.plain(ref.key)
        version = _shown(target, tree)
    if branch is not None:
        number = branch.branch if isinstance(branch, Ref) else branch
        try:
            other = trees.tree(Ref(tree.key, tree.key, number))
        except NotFoundError:
            known = ", ".join([str(each.branch) for each in trees.branches(tree.key)])
            raise NotFoundError(f"branch {number}", f"{tree.name} (branches: {known})") from None
        tree, version = other, (version if other is tree else None)
        tree.class_of(key)
    return Aim(tree, key, path, version)


def _address_of(uuid: UUID) -> Address:
    address = Address(uuid)
    try:
        _ = address.entity
    except ValueError as error:
        raise NotFoundError(str(error), "this workspace") from None
    return address


def _named(trees: Trees, address: Address, is_exact: bool) -> tuple[TreeRegistry, Key, int | None]:
    """Return the tree, key and version of what the id of an address names."""
    found = address.entity
    try:
        place = trees.locate(found)
    except (NotFoundError, PrunedError):
        if is_exact and found.commit:
            raise
        # Not at the head, or that very version is gone; its history may be there all the same.
        for tree in (*trees.candidates(found), *trees):
            if found.key in tree.nodes or tree.has(found.key):
                return tree, ids.plain(found.key), None
        raise
    return place.tree, place.key, place.version if found.commit else None


def _shown(target: Any, tree: TreeRegistry) -> int | None:
    home = target.__home__ if isinstance(target, Entity) else None
    return home.version if isinstance(home, Snapshot) and home.source is tree else None


def from_holder(where: Aim) -> Aim:
    """Return the same aim from the last entity on its path, as of the version asked about.

    What is asked then is not about a place, but about whatever was in it. As it is if nothing was.
    """
    version = where.tree.head if where.version is None else where.version
    reader = _Reader(where)
    key, start = where.key, 0
    if not where.tree.contains(key, version):
        return where
    while start < len(where.path):
        stored, end = reader.along(key, start, version)
        if stored is _MISSING:
            return where
        if type(stored) is not Key:
            break
        key, start = stored, end
    return where._replace(key=ids.plain(key), path=where.path[start:])


# --- lines of versions ---


def line(tree: TreeRegistry) -> list[Stretch]:
    """Return the line of a branch, oldest stretch first. Cost: the forks that it came through."""
    stretches = []
    last, is_base = tree.head, False
    part: TreeRegistry | None = tree
    while part is not None:
        first = part.base_version + 1 if part.base is not None else 1
        # A branch keeps the version that it starts from, whatever its base keeps.
        kept = max(first, part.oldest)
        kept = min(kept, last) if is_base else min(kept, last + 1)
        stretches.append(Stretch(part, first, last, kept))
        last, is_base = part.base_version, True
        part = part.base
    return stretches[::-1]


def version_at(tree: TreeRegistry, moment: datetime) -> int:
    """Return the newest version of a line that was committed at or before a moment.

    Raises:
        NaiveTimeError: The moment has no time zone.
        NotFoundError: The tree began later.
        PrunedError: Retention has let that version go.

    Cost: a look at each version that was committed later.
    """
    check_zone(moment)
    stretches = line(tree)
    for stretch in reversed(stretches):
        for version in range(stretch.last, stretch.kept - 1, -1):
            commit = stretch.tree.commit_of(version)
            # As users see it: a float is finer than a datetime.
            if commit is not None and _utc(commit.committed_at) <= moment:
                return version
    oldest = stretches[0]
    if oldest.kept > oldest.first and _utc(oldest.tree.root_node.created) <= moment:
        raise PrunedError(tree.name, oldest.kept - 1, oldest.kept)
    began = _utc(oldest.tree.root_node.created).isoformat()
    raise NotFoundError(f"a version of {moment.isoformat()}", f"{tree.name}, which began {began}")


def check_zone(moment: datetime | None) -> None:
    """Refuse a time without a zone.

    Raises:
        NaiveTimeError: It has none.
    """
    if moment is not None and moment.utcoffset() is None:
        raise NaiveTimeError(moment.isoformat())


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# --- histories ---


def history(where: Aim) -> list[VersionInfo]:
    """Return the retained versions in which an entity or value changed, oldest first.

    See `Workspace.history`.
    """
    return value_history(where) if where.path else entity_history(where)


def entity_history(where: Aim) -> list[VersionInfo]:
    """Return the retained versions in which an entity, or something below it, changed.

    And those in which it left the tree or came back.

    Cost: proportional to these, and to its moves.
    """
    tree, key = where.tree, where.key
    versions = set(_presence_versions(tree, key))
    for stamp in tree.stamps_until(key, tree.head):
        node, _ = _node_of(tree, key)
        versions.add(node.born if stamp == ids.BIRTH else stamp & ids.MAX_COMMIT)
    rows = []
    was_there, last = False, 0
    for version in sorted(versions):
        if not tree.is_kept(version) or version > tree.head:
            continue
        is_there = tree.contains(key, version)
        stamp = tree.stamp_of(key, version) if is_there else last
        if is_there != was_there or stamp != last:
            is_made_here = stamp & ids.MAX_COMMIT == version or _is_first(where, version)
            rows.append(_row(where, version, None, is_there, is_made_here))
        was_there, last = is_there, stamp
    return rows


def value_history(where: Aim) -> list[VersionInfo]:
    """Return the versions in which a value is another than before, oldest first.

    Raises:
        PathError: No version that is kept has anything at the end of the path.

    Cost: proportional to the states and moves of the entities on the way, and per version in which
        a field on the way changed to that field.
    """
    tree = where.tree
    rows: list[VersionInfo] = []
    before: Any = _MISSING
    form: Any = _MISSING
    reader = _Reader(where)
    for version in reader.versions():
        stored = reader.read(version)
        form = _MISSING if stored is _MISSING else comparable(stored)
        if form is before or (
            form is not _MISSING and before is not _MISSING and same_value(form, before)
        ):
            continue
        before = form
        if stored is _MISSING:
            rows.append(_row(where, version, None, False, _is_first(where, version)))
        else:
            value = readable(stored, lambda key: Ref(tree.key, key, tree.branch))
            rows.append(_row(where, version, value, True, _is_first(where, version)))
    if not rows:
        reader.refuse()
    return rows


def _row(where: Aim, version: int, value: Any, is_there: bool, is_made_here: bool) -> VersionInfo:
    tree, key = where.tree, where.key
    node, _ = _node_of(tree, key)
    at = tree.commit_of(version)
    commit = at if is_made_here else None
    stamp = tree.stamp_of(key, version)
    return VersionInfo(
        version,
        ids.to_uuid(key, stamp),
        _utc(at.committed_at if at else node.created),
        (commit.callable_name or None) if commit else None,
        ids.execution_text(commit.execution_id) or None if commit else None,
        value,
        is_there,
    )


def _is_first(where: Aim, version: int) -> bool:
    """Tell whether what a version shows, and none that is kept did before, was made in it.

    Not if the one before is no longer kept: then it may be older.
    """
    if version == 1 or where.tree.is_kept(version - 1):
        return True
    return bool(_node_of(where.tree, where.key)[0].born == version)


def _node_of(tree: TreeRegistry, key: Key) -> tuple[Node, int]:
    found = tree.find_node(key, tree.head)
    if found is None:
        raise NotFoundError(f"entity {ids.to_uuid(key)}", f"what {tree.name} keeps of its history")
    return found


def _presence_versions(tree: TreeRegistry, key: Key) -> Iterator[int]:
    """Yield the versions in which an entity entered or left the tree, and the oldest kept ones.

    What leaves with an entity above it is noted for itself, too.
    """
    for stretch in line(tree):
        yield stretch.kept
        found = stretch.tree.find_node(key, stretch.last)
        if found is None:
            continue
        node = found[0]
        moves: list[Any] = list(node.moves or ())  # version, key of the parent until then, ...
        parents = [*moves[1::2], None if node.removed else node.key]  # what counts is None or not
        yield from (
            at
            for at, (before, after) in zip(moves[::2], pairwise(parents), strict=False)
            if (before is None) != (after is None) and _is_in(at, stretch)
        )
        if _is_in(node.born, stretch):
            yield node.born


def _is_in(version: Any, stretch: Stretch) -> bool:
    return bool(stretch.kept <= version <= stretch.last)


class _Reader:
    """Reads one value in any version of a line, and knows in which it may have changed."""

    def __init__(self, where: Aim) -> None:
        self.tree = where.tree
        self.key = where.key
        self.path = where.path
        self.line = line(where.tree)
        self._seen: set[tuple[Key, int]] = set()
        self._fault: PathError | None = None

    def versions(self) -> list[int]:
        """Return the retained versions in which the value may have changed, in order."""
        found = set(self._versions_of(self.key, 0))
        return sorted(each for each in found if 0 < each <= self.tree.head)

    def _versions_of(self, key: Key, at: int) -> Iterator[int]:
        """Yield those for the rest of the path, from the field at *at* of an entity."""
        if (key, at) in self._seen:
            return
        self._seen.add((key, at))
        own = set(_presence_versions(self.tree, key))
        for stretch in self.line:
            own.update(_changes_of(stretch, key, self._part_of(key, at)))
        yield from own
        if at + 1 == len(self.path):
            return
        # Where the path goes on through children: whoever was there in one of these versions.
        for version in own:
            if version <= self.tree.head and self.tree.contains(key, version):
                stored, end = self.along(key, at, version)
                if type(stored) is Key and end < len(self.path):
                    yield from self._versions_of(stored, end)

    def read(self, version: int) -> Stored:
        """Return the value in stored form, or a mark that says that there is none."""
        key, at = self.key, 0
        if not self.tree.contains(key, version):
            return _MISSING
        while True:
            stored, at = self.along(key, at, version)
            if type(stored) is not Key or at == len(self.path):
                return stored
            key = stored

    def along(self, key: Key, at: int, version: int) -> tuple[Stored, int]:
        """Follow the path from an entity to its end or the next entity, and say how far it was."""
        name = self._part_of(key, at)
        if not name:
            return _MISSING, at
        value = self.tree.field_at(key, version, self._index(key, name))
        at += name != EXTRA
        if value is ABSENT:
            return _MISSING, at
        while at < len(self.path) and type(value) is not Key:
            value = _inside(value, self.path[at])
            at += 1
        return value, at

    def _index(self, key: Key, name: str) -> int:
        return int(_schema(self.tree, key).index[name])

    def _part_of(self, key: Key, at: int) -> str:
        """Return the part of the state of an entity that the path goes through, if there is one."""
        schema = _schema(self.tree, key)
        part = self.path[at]
        if part in schema.field_set:
            return str(part)
        if schema.has_extra:
            return EXTRA
        names = ", ".join(schema.fields) or "none"
        text = str(Address(ids.to_uuid(self.key), self.path))
        where = f"{key_label(schema.cls, key)}, whose fields are {names}"
        self._fault = PathError(text, at + 1, f"field {part!r}", where)
        return ""

    def refuse(self) -> None:
        """Raise the error for a path that leads nowhere in any version."""
        if self._fault is not None:
            raise self._fault
        text = str(Address(ids.to_uuid(self.key), self.path))
        where = f"any version that {self.tree.name} keeps"
        raise PathError(text, len(self.path), f"{write_path(self.path)!r}", where)


def _schema(tree: TreeRegistry, key: Key) -> Any:
    found = tree.find_node(key, tree.head)
    if found is None:
        raise NotFoundError(f"entity {ids.to_uuid(key)}", f"what {tree.name} keeps of its history")
    return found[0].schema


def _inside(value: Stored, part: str | int) -> Stored:
    """Return what a stored value has at a part of a path."""
    if value is _MISSING or isinstance(value, set | frozenset):
        return _MISSING
    if type(value) is dict:
        key = find_key(value, part)
        return _MISSING if is_missing(key) else value[key]
    inside = step(value.value if type(value) is Opaque else value, part)
    if is_missing(inside):
        return _MISSING
    return Opaque(inside) if type(value) is Opaque else inside


def _changes_of(stretch: Stretch, key: Key, name: str) -> Iterator[int]:
    """Yield the versions of a stretch in which one field of an entity may have changed."""
    node = stretch.tree.nodes.get(key)
    if node is None or not name:
        return
    index = node.schema.index[name]
    values = [state[index] for state in node.states or ()] + [node.state[index]]
    for version, (before, after) in zip(node.versions or (), pairwise(values), strict=False):
        if before is not after and _is_in(version, stretch):
            yield version
    for cell in _every_cell(values):
        yield from (version for version in cell.versions if _is_in(version, stretch))


def _every_cell(values: list[Stored]) -> list[Cell]:
    """Return the containers in stored values, also those that only older versions have."""
    found: list[Cell] = []
    seen: set[int] = set()
    stack: list[Any] = [values]
    while stack:
        item = stack.pop()
        if isinstance(item, Cell):
            if id(item) in seen:
                continue
            seen.add(id(item))
            found.append(item)
            stack.append(item.items)
            stack.append(item.deltas)
        elif isinstance(item, dict):
            stack.append(list(item.values()))
        elif type(item) in (list, tuple, frozenset):
            stack.extend(each for each in item if isinstance(each, _HOLDERS))
    return found


_HOLDERS = (Cell, list, tuple, frozenset)
