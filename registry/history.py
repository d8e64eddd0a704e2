"""What every retained version of a tree looked like, per entity and container.

"Fat nodes" (Driscoll, Sarnak, Sleator, Tarjan 1989): each entity keeps the list of its own former
states, each container the list of its own deltas, and reading a version is a bisect. Children are
stored by key, so an ancestor of a change gets a new `ecs_id` but no new state. The newest state is
held whole; what came before is kept as the way
*back* from it, so that forgetting old versions cuts lists at the front and touches nothing else.

The payload of a delta is a tuple of keys and atoms: the garbage collector stops tracking such
    tuples, and a
million versions cost it nothing.

    Node      one entity: states (small tuples, kept whole), versions in which its id changed,
        parents
    ListCell  one list, dict or set below an entity: reverse deltas, and now and then a full image,
        so that an old
    DictCell  version is read in time proportional to the container, not to its history; the images
    SetCell   together take no more room than the deltas
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from registry.ids import BIRTH, COMMIT_BITS, Key, plain, stamp
from registry.schema import ABSENT, Schema
from registry.values import FROZENSET, KIND, TUPLE, Opaque, same_atom, same_value

_IMAGE_EVERY = 32
"""Deltas are followed by a full image once they outweigh the container by this many items."""

Stored = Any
"""A value in its stored form: see `values.py`."""


class Cell:
    """One container: its newest items and the way back to the older ones.

    Attributes:
        items: The newest items, stored forms. Never handed out, never written but by a commit.
        node: The entity that the container belongs to; None when it is no longer in the tree.
        up: The container that it is nested in, if any.
        live: The tracked container of the working tree that shows this cell, once it was made.
        depth: Containers from the entity down to this one, with it.
        number: What it is called in the journal; 0 before it was written there.
    """

    __slots__ = (
        *("deltas", "depth", "items", "live", "node", "number", "up", "versions"),
        "weight",
    )
    items: Any

    def __init__(self, items: Any, node: Node | None, up: Cell | None) -> None:
        self.items = items
        self.node = node
        self.up = up
        self.depth = 1
        self.number = 0
        self.live: Any = None
        self.versions: list[int] = []
        self.deltas: list[Any] = []
        self.weight = 0

    def _remember(self, version: int, delta: Any, weight: int) -> None:
        self.versions.append(version)
        self.deltas.append(delta)
        self.weight += weight

    def _wants_image(self) -> bool:
        return self.weight > len(self.items) + _IMAGE_EVERY

    def _from(self, version: int) -> tuple[int, int]:
        """Return (first delta to take back, nearest full image at or after it)."""
        first = bisect_right(self.versions, version)
        image = first
        while image < len(self.deltas) and type(self.deltas[image]) is not list:
            image += 1
        return first, image

    def at(self, version: int) -> Any:
        """Return the items as of *version*; the newest ones uncopied: read, do not write.

        Cost: one bisect for the newest version, else proportional to the container.
        """
        raise AssertionError(f"{type(self).__name__} does not say how to read a version")

    def forget_before(self, oldest: int) -> None:
        """Drop what is needed only to read versions older than *oldest*."""
        cut = bisect_right(self.versions, oldest)
        if cut:
            del self.versions[:cut], self.deltas[:cut]


class ListCell(Cell):
    """A list. A delta is `(index, inserted count, *removed)`, or a tuple of such.

    Or the full image as a list.
    """

    __slots__ = ()
    items: list[Stored]

    def apply(self, version: int, splices: Sequence[tuple[int, int, Sequence[Stored]]]) -> None:
        """Replace items: (index, removed count, inserted items) one after the other.

        As one new version.
        """
        items = self.items
        if self._wants_image() or sum([2 + removed for _, removed, _ in splices]) > len(items):
            self._remember(version, list(items), 1)
            self.weight = 0
            for at, removed, inserted in splices:
                items[at : at + removed] = inserted
            return
        back = []
        for at, removed, inserted in splices:
            back.append(_way_back(at, len(inserted), items[at : at + removed]))
            items[at : at + removed] = inserted
        self._remember(
            version,
            back[0] if len(back) == 1 else tuple(back),
            sum([len(each) - 1 for each in back]),
        )

    # Half of what a move is, each: `apply` without its loops.

    def take_out(self, version: int, at: int) -> None:
        """Remove the child at a position, as one new version."""
        items = self.items
        if self.weight > len(items) + _IMAGE_EVERY:
            self.apply(version, ((at, 1, ()),))
            return
        self.versions.append(version)
        self.deltas.append((~at, 0, int(items.pop(at))))
        self.weight += 2

    def put_in(self, version: int, at: int, key: Key) -> None:
        """Insert a child at a position, as one new version."""
        items = self.items
        if self.weight > len(items) + _IMAGE_EVERY:
            self.apply(version, ((at, 0, (key,)),))
            return
        self.versions.append(version)
        self.deltas.append((at, 1))
        items.insert(at, key)
        self.weight += 1

    def at(self, version: int) -> list[Stored]:
        """Return the items as of *version*; see `Cell.at`."""
        first, image = self._from(version)
        if first == len(self.versions):
            return self.items
        items = list(self.items if image == len(self.deltas) else self.deltas[image])
        for delta in reversed(self.deltas[first:image]):
            for at, inserted, *removed in reversed(delta) if type(delta[0]) is tuple else (delta,):
                if at < 0:
                    items[~at : ~at + inserted] = map(Key, removed)
                else:
                    items[at : at + inserted] = removed
        return items


def _way_back(at: int, inserted: int, removed: list[Stored]) -> tuple[Any, ...]:
    """Return the splice that takes a splice back.

    If all items are children they are written as plain numbers, which a complemented index tells:
    the collector stops tracking a tuple of such.
    """
    for item in removed:
        if type(item) is not Key:
            return (at, inserted, *removed)
    return (~at, inserted, *map(int, removed)) if removed else (at, inserted)


class DictCell(Cell):
    """A dict. A delta is a tuple of `(key, old value or ABSENT, old position)`.

    Or the full image as a list of `(key, value, position)`.

    Order is part of a dict's value. Once a key was deleted, every key has a position number, so
    that taking a deletion back puts the key where it was, at a cost that does not depend on the
    size of the dict.
    """

    __slots__ = ("next_position", "positions")
    items: dict[Any, Stored]

    def __init__(self, items: dict[Any, Stored], node: Node | None, up: Cell | None) -> None:
        super().__init__(items, node, up)
        self.positions: dict[Any, int] | None = None
        self.next_position = 0

    def apply(self, version: int, changes: list[tuple[Any, Stored]]) -> None:
        """Set or delete (ABSENT) keys one after the other, as one new version."""
        if self._wants_image() or len(changes) > len(self.items):
            self._remember(version, self._image(), 1)
            self.weight = 0
            for key, new in changes:
                self._change(key, new)
            return
        back = tuple([self._change(key, new) for key, new in changes])
        self._remember(version, back, 3 * len(back))

    def _change(self, key: Any, new: Stored) -> tuple[Any, Stored, int]:
        items, positions = self.items, self.positions
        old = items.get(key, ABSENT)
        if new is ABSENT:
            if positions is None:
                positions = self.positions = {known: at for at, known in enumerate(items)}
                self.next_position = len(items)
            del items[key]
            return key, old, positions.pop(key)
        items[key] = new
        if positions is not None and old is ABSENT:
            positions[key] = self.next_position
            self.next_position += 1
        return key, old, -1

    def at(self, version: int) -> dict[Any, Stored]:
        """Return the items as of *version*; see `Cell.at`."""
        first, image = self._from(version)
        if first == len(self.versions):
            return self.items
        if image < len(self.deltas):
            items = {key: value for key, value, _ in self.deltas[image]}
            positions = {key: position for key, _, position in self.deltas[image]}
        else:
            items, positions = dict(self.items), dict(self.positions or ())
        return self._take_back(items, positions, self.deltas[first:image])

    def _image(self) -> list[tuple[Any, Stored, int]]:
        # Without positions no key was ever deleted, and no older delta asks for one.
        positions = self.positions or {key: at for at, key in enumerate(self.items)}
        return [(key, value, positions[key]) for key, value in self.items.items()]

    @staticmethod
    def _take_back(
        items: dict[Any, Stored], positions: dict[Any, int], deltas: list[Any]
    ) -> dict[Any, Stored]:
        reordered = False
        for delta in reversed(deltas):
            for key, old, position in reversed(delta):
                if old is ABSENT:
                    del items[key]
                    positions.pop(key, None)
                    continue
                if key not in items:
                    reordered = True
                    positions[key] = position
                items[key] = old
        if reordered:
            return {key: items[key] for key in sorted(items, key=positions.__getitem__)}
        return items


class SetCell(Cell):
    """A set. A delta is a tuple of `(item, whether it was a member)`.

    Or the full image as a list.
    """

    __slots__ = ()
    items: set[Stored]

    def apply(self, version: int, change: tuple[list[Stored], list[Stored]]) -> None:
        """Add and remove members, (added, removed), as one new version."""
        added, removed = change
        if self._wants_image():
            self._remember(version, list(self.items), 1)
            self.weight = 0
        else:
            # Taken back from the end: 1.0 goes before 1 comes back, which would else be taken for
            # it.
            back = tuple([(item, True) for item in removed] + [(item, False) for item in added])
            self._remember(version, back, 2 * len(back))
        self.items.difference_update(removed)
        self.items.update(added)

    def at(self, version: int) -> set[Stored]:
        """Return the items as of *version*; see `Cell.at`."""
        first, image = self._from(version)
        if first == len(self.versions):
            return self.items
        items = set(self.items if image == len(self.deltas) else self.deltas[image])
        for delta in reversed(self.deltas[first:image]):
            for item, was_member in reversed(delta):
                (items.add if was_member else items.discard)(item)
        return items


class Node:
    """One entity of a branch: every retained state of its own, not of its children.

    Attributes:
        key: Its lineage bits.
        schema: Plan of its class.
        state: The newest state: one stored value per name of the plan. `()` while its tree is being
            adopted.
        parent: The entity that holds it now; None for a root, or when it was removed.
        removed: Version in which it left the tree; 0 while it is in it.
        born: Version in which it entered this branch.
        created: When it entered the tree, seconds since the epoch.
        first_stamp: Stamp of its oldest retained id; `renamed` lists the versions of the later
            ones.
        source: The version of another entity that it was copied from, if any.
    """

    __slots__ = (
        *("born", "created", "first_stamp", "key", "moves", "opaque", "parent"),
        *("removed", "renamed", "schema", "source", "state", "states", "versions"),
    )

    def __init__(
        self, key: Key, schema: Schema, parent: Node | None, born: int, created: float
    ) -> None:
        self.key = plain(key)
        self.schema = schema
        self.parent = parent
        self.born = born
        self.created = created
        self.state: tuple[Stored, ...] = ()
        self.removed = 0
        self.first_stamp = BIRTH
        self.source: tuple[int, int] | None = None
        self.opaque: frozenset[str] | None = None
        # Made on the first change: most entities of a large tree never change.
        self.versions: list[int] | None = None
        self.states: list[tuple[Stored, ...]] | None = None
        self.renamed: list[int] | None = None
        # Version, key of the parent until then, version, key, ...: one list, since most entities
        # that move at all do so once, and an empty list takes as much as seven items.
        self.moves: list[int | Key | None] | None = None

    def change(self, version: int, state: tuple[Stored, ...]) -> None:
        """Give the entity a new state as of *version*."""
        if self.versions is None or self.states is None:
            self.versions, self.states = [version], [self.state]
        else:
            self.versions.append(version)
            self.states.append(self.state)
        self.state = state

    def state_at(self, version: int) -> tuple[Stored, ...]:
        """Return the state as of *version*. Cost: one bisect over the entity's own changes."""
        versions = self.versions
        if versions is None or self.states is None:
            return self.state
        after = bisect_right(versions, version) - len(versions)
        # From the end: older ones may be put before them meanwhile, see `journal/short_tree.py`.
        return self.states[after] if after else self.state

    def is_kept(self, index: int, since: int, until: int) -> bool:
        """Tell whether a part of the state did not change after one version, up to another."""
        versions, states = self.versions or [], [*(self.states or ()), self.state]
        first, end = bisect_right(versions, since), bisect_right(versions, until)
        value = states[end][index]
        if any(states[at][index] is not value for at in range(first, end)):
            return False
        return not any(
            since < version <= until for cell in cells_in(value) for version in cell.versions
        )

    def rename(self, version: int) -> bool:
        """Note that the id changes with *version*; False if that was noted already."""
        renamed = self.renamed
        if renamed is None:
            if self.born == version:
                return False
            self.renamed = [version]
        elif renamed and renamed[-1] == version:
            return False
        else:
            renamed.append(version)
        return True

    def stamp_at(self, version: int, branch: int) -> int:
        """Return the stamp of the `ecs_id` that the entity had at *version*."""
        renamed = self.renamed
        if not renamed:
            return self.first_stamp
        if renamed[-1] <= version:
            return branch << COMMIT_BITS | renamed[-1]
        index = bisect_right(renamed, version)
        return self.first_stamp if index == 0 else stamp(branch, renamed[index - 1])

    def stamps_until(self, version: int, branch: int) -> list[int]:
        """Return the stamps of all retained ids up to *version*, oldest first."""
        renamed = self.renamed or []
        return [
            self.first_stamp,
            *(stamp(branch, number) for number in renamed[: bisect_right(renamed, version)]),
        ]

    def move(self, version: int, parent: Node | None) -> None:
        """Put the entity under another one, or (None) out of the tree, as of *version*."""
        before = None if self.parent is None else self.parent.key
        if self.moves is None:
            self.moves = [version, before]
        else:
            self.moves += (version, before)
        self.parent = parent

    def parent_at(self, version: int) -> Key | None:
        """Return the key of the entity that held this one at *version*."""
        moves = self.moves
        if moves:
            later = _moves_until(moves, version)
            if later < len(moves):
                return moves[later + 1]  # type: ignore[return-value]  # every second one is a key
        return None if self.parent is None else self.parent.key

    def forget_before(self, oldest: int, branch: int) -> None:
        """Drop what is needed only to read versions older than *oldest*."""
        if self.versions and self.states and (cut := bisect_right(self.versions, oldest)):
            del self.versions[:cut], self.states[:cut]
        if self.renamed and (cut := bisect_right(self.renamed, oldest)):
            self.first_stamp = stamp(branch, self.renamed[cut - 1])
            del self.renamed[:cut]
        if self.moves:
            del self.moves[: _moves_until(self.moves, oldest)]
        for value in self.state:
            for cell in cells_in(value):
                cell.forget_before(oldest)


def _moves_until(moves: list[int | Key | None], version: int) -> int:
    """Return where in the `moves` of a node the first one after *version* is."""
    return 2 * bisect_right(range(len(moves) // 2), version, key=lambda at: moves[2 * at])  # type: ignore[arg-type,return-value]  # every first one is a version


def cells_in(value: Stored) -> list[Cell]:
    """Return the cells in a stored value, nested ones too."""
    found: list[Cell] = []
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, Cell):
            found.append(item)
            stack.extend(item.items.values() if isinstance(item, DictCell) else item.items)
        elif type(item) in (tuple, frozenset):
            stack.extend(item)
    return found


def same_stored(a: Stored, b: Stored) -> bool:
    """Tell whether two stored values are the same content."""
    if a is b:
        return True
    cls = type(a)
    if cls is not type(b):
        return False
    if cls is Key:
        return bool(a == b)
    if cls is Opaque:
        return same_value(a.value, b.value)
    if cls is DictCell:
        return len(a.items) == len(b.items) and all(
            same_atom(k, m) and same_stored(v, w)
            for (k, v), (m, w) in zip(a.items.items(), b.items.items(), strict=True)
        )
    if cls is ListCell:
        return len(a.items) == len(b.items) and all(map(same_stored, a.items, b.items))
    if cls is SetCell or KIND[cls] == FROZENSET:
        return _same_members(getattr(a, "items", a), getattr(b, "items", b))
    if KIND[cls] == TUPLE:
        return len(a) == len(b) and all(map(same_stored, a, b))
    return same_atom(a, b)


def _same_members(a: Any, b: Any) -> bool:
    return bool(a == b) and {(type(x), x) for x in a} == {(type(x), x) for x in b}
