"""States: stored values as plain data, and read again as the history of one tree holds them.

What JSON has is itself. Everything else is a list that begins with what it is: a child with the
position of its key, a container with its number and items, any other value as `codec.py` writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from registry.errors import JournalDamagedError
from registry.history import Cell, DictCell, ListCell, Node, SetCell, Stored, cells_in
from registry.ids import BIRTH, Key
from registry.journal.classes import find_class
from registry.journal.codec import Place, check_key, refusal
from registry.journal.coding import Decoder, Refused
from registry.journal.evolution import Evolution, Former, opaque_names
from registry.journal.fields import Adapters, adapters_of
from registry.journal.packing import Packer, Unpacker
from registry.schema import Schema, schema_of
from registry.tree import TreeRegistry
from registry.values import SURE, SURE_KEYS, Opaque, shown

CHILD, LIST, CHILDREN, PLAIN_LIST, DICT, SET, TUPLE, FROZENSET, KNOWN, OTHER, NAMES = range(11)
"""What a list stands for: its first item."""

_SAME = frozenset({type(None), bool, float})
"""Written as they are. So are numbers that are not huge, and texts that UTF-8 can write."""
_BIG = 1 << 64
FormerByKey: TypeAlias = dict[int, list[tuple[int, Former | None]]]
_CELLS = frozenset({ListCell, DictCell, SetCell})


class StateWriter:
    """Writes the values of one branch.

    Attributes:
        pack: Where entries go.
    """

    __slots__ = ("_branch", "_encoder", "_next", "pack")

    def __init__(self, branch: int) -> None:
        self.pack = Packer()
        self._encoder = self.pack.encoder
        # A fork's own containers have other numbers than those that it has in common with its base.
        self._branch = branch << 40
        self._next = 0

    @property
    def last_number(self) -> int:
        """The greatest number of a container that this branch gave."""
        return self._branch | self._next

    def begin_after(self, number: int) -> None:
        """Give numbers after one that this branch gave before, if it did."""
        self._next = max(self._next, number - self._branch)

    def source(self, source: Any) -> Any:
        """Return where a field was borrowed from as plain data."""
        return self.plain(source)

    def value(self, stored: Stored) -> Any:
        """Return a stored value as plain data.

        A container that is written for the first time gets its number.

        Raises:
            NotJournalableError: It cannot be.
        """
        cls = type(stored)
        if cls in _SAME or (cls is int and -_BIG < stored < _BIG):
            return stored
        if cls is str:
            return stored if stored.isascii() else self._text(stored)
        if cls is Key:
            return [CHILD, self.pack.keys[stored]]
        if cls in _CELLS:
            return [KNOWN, stored.number] if stored.number else self.container(stored, None)
        return self._other(stored)

    def _other(self, stored: Stored) -> Any:
        cls = type(stored)
        if cls is tuple:
            return [TUPLE, *map(self.value, stored)]
        if cls is frozenset:
            self.check_keys(stored)
            return [FROZENSET, *map(self.value, stored)]
        return [OTHER, self.plain(stored)]

    def plain(self, value: Any, place: Place = "a value") -> Any:
        """Return what `coding.py` makes of a value, which *place* names in an error.

        Raises:
            NotJournalableError: It cannot be written.
        """
        encoder = self._encoder
        try:
            return encoder.value(value)
        except Exception as error:  # also what an object raises while it is looked at
            raise refusal(encoder, error, place) from error

    def check(self, stored: Stored, place: Place, adapters: Adapters | None = None) -> None:
        """Refuse a value that cannot be written, before it is stored.

        Args:
            stored: The value.
            place: Where it is to be stored.
            adapters: What writes values of that field; see `adapters_of`.

        Raises:
            NotJournalableError: It cannot be.

        Cost: a look at each item; values of other kinds than the usual are written, to see.
        """
        self._encoder.adapters = adapters
        rest = [stored]
        while rest:
            value = rest.pop()
            cls = type(value)
            if cls is ListCell:
                rest += value.items
            elif cls is DictCell:
                self.check_keys(value.items, place)
                rest += [*value.items, *value.items.values()]
            elif cls is SetCell or cls is frozenset:
                members = value.items if cls is SetCell else value
                self.check_keys(members, place)
                rest += members
            elif cls is tuple:
                rest += value
            elif cls not in SURE:
                self.plain(value, place)
        self._encoder.adapters = None

    def check_keys(self, keys: Iterable[Any], place: Place = "a value") -> None:
        """Refuse keys of a dict, or members of a set, of which copies would be other ones.

        Raises:
            NotJournalableError: There is one.
        """
        if SURE_KEYS.issuperset(map(type, keys)):
            return
        for key in keys:
            if type(key) not in SURE_KEYS:
                try:
                    check_key(key)
                except Exception as error:  # also what an attribute of the user's raises
                    if isinstance(error, Refused):
                        error.way.append(f"[{shown(key)}]")
                    raise refusal(self._encoder, error, place) from error

    def enter(self, cell: Cell | None) -> None:
        """Write the values that follow as the field says that a container is in; None: no field."""
        self._encoder.adapters = adapters_in(cell)

    def _text(self, text: str) -> Any:
        try:
            text.encode()
        except UnicodeEncodeError:  # half of a pair of surrogates
            return [OTHER, self.plain(text)]
        return text

    def container(self, cell: Any, version: int | None) -> list[Any]:
        """Return a container as of a version, or (None) the newest, with all that is in it."""
        if not cell.number:
            self._next += 1
            cell.number = self._branch | self._next
        items = cell.items if version is None else cell.at(version)
        if type(cell) is not ListCell:
            self.check_keys(items)
        if type(cell) is DictCell:
            pairs = [part for pair in items.items() for part in pair]
            return [DICT, cell.number, *self._all(pairs, version)]
        if type(cell) is SetCell:
            return [SET, cell.number, *self._all(items, version)]
        kinds = set(map(type, items))
        if kinds == {Key}:
            return [CHILDREN, cell.number, *map(self.pack.keys.__getitem__, items)]
        if kinds <= _SAME or (kinds == {int} and min(items) > -_BIG and max(items) < _BIG):
            return [PLAIN_LIST, cell.number, *items]
        return [LIST, cell.number, *self._all(items, version)]

    def _all(self, items: Iterable[Stored], version: int | None) -> Iterator[Any]:
        return map(self.value, items) if version is None else (self.at(i, version) for i in items)

    def at(self, stored: Stored, version: int) -> Any:
        """Return a stored value as `value`, as of a version, with the numbers of containers."""
        cls = type(stored)
        if cls in _CELLS:
            return self.container(stored, version)
        if cls is tuple:
            return [TUPLE, *(self.at(item, version) for item in stored)]
        return self.value(stored)

    def difference(self, node: Node) -> list[Any]:
        """Return what made the newest state of the one before: class, then index and value."""
        found: list[Any] = [self.pack.plan(node.schema)]
        state, states = node.state, node.states
        assert states, "it has another state than before"
        old = states[-1]
        last = len(state) - 1
        adapters = adapters_of(node.schema)
        for at, value in enumerate(state):
            if value is not old[at]:
                if adapters:
                    self._encoder.adapters = adapters.get(node.schema.names[at])
                found += (at, self.names(node.schema, value) if at == last else self.value(value))
        self._encoder.adapters = None
        return found

    def _adapted(
        self, adapters: dict[str, Adapters], node: Node, state: tuple[Stored, ...], version: int
    ) -> Iterator[Any]:
        """Yield the parts of a state of a class of which some fields have a way of their own."""
        for name, value in zip(node.schema.names[:-1], state, strict=False):
            self._encoder.adapters = adapters.get(name)
            yield self.at(value, version) if version else self.value(value)
        self._encoder.adapters = None

    def names(self, schema: Schema, names: frozenset[str]) -> Any:
        """Return the fields that were set: bits, by their order, or the names if others are set."""
        index = schema.field_index
        if names <= index.keys():
            return sum([1 << index[name] for name in names])
        return [NAMES, *sorted(names)]

    def arrival(self, node: Node) -> list[Any]:
        """Return an entity that entered: key, parent, class, origin, values.

        The origin is 0, or [first stamp, source].
        """
        index, parent, state = self.pack.keys.__getitem__, node.parent, node.state
        is_usual = node.first_stamp == BIRTH and node.source is None
        adapters = adapters_of(node.schema)
        return [
            index(node.key),
            -1 if parent is None else index(parent.key),
            self.pack.plan(node.schema),
            0 if is_usual else [node.first_stamp, node.source],
            *(self._adapted(adapters, node, state, 0) if adapters else map(self.value, state[:-1])),
            self.names(node.schema, state[-1]),
        ]

    def resident(self, node: Node, version: int, stamp: int, created: float) -> list[Any]:
        """Return an entity as of a version, as `arrival` does.

        The origin is 0, or [stamp, source, version in which it was born, when it was made].

        Args:
            node: The entity.
            version: The version.
            stamp: The stamp of its id then.
            created: When most entities of the tree were made.
        """
        index, parent = self.pack.keys.__getitem__, node.parent_at(version)
        state, adapters = node.state_at(version), adapters_of(node.schema)
        is_usual = stamp == BIRTH and node.source is None and node.born == 1
        return [
            index(node.key),
            -1 if parent is None else index(parent),
            self.pack.plan(node.schema),
            0
            if is_usual and node.created == created
            else [stamp, node.source, node.born, node.created],
            *(
                self._adapted(adapters, node, state, version)
                if adapters
                else [self.at(each, version) for each in state[:-1]]
            ),
            self.names(node.schema, state[-1]),
        ]


class StateReader:
    """Reads the values of one branch.

    Attributes:
        tree: The tree.
        cells: Its containers, by number.
        unpack: What is read.
        decoder: Reads values that are not tracked.
        keys: The entities that it names, by position.
        last_number: The greatest number of a container before what was read.
        former: What was written of entities whose class has an upcaster, by the names of then:
            versions, and what was there as of them; None if it was of the class as it is now.
        gone: Entities of a checkpoint that had left the tree, and in which version.
        evolved: Classes that have other fields than what was read of them.
        has_opaque: Whether an entity holds values that cannot be tracked.
        saw_opaque: Whether one was read since this was set to False.
    """

    __slots__ = (
        "_learned",
        "_plans",
        "cells",
        "decoder",
        "evolved",
        "former",
        "gone",
        "has_opaque",
        "keys",
        "last_number",
        "saw_opaque",
        "tree",
        "unpack",
    )
    unpack: Unpacker
    keys: list[Key]

    def __init__(self, tree: TreeRegistry) -> None:
        self.tree = tree
        self.cells: dict[int, Any] = {}
        self.former: FormerByKey = {}
        self.gone: list[tuple[Node, int]] = []
        self.evolved: set[Schema] = set()
        self.has_opaque = self.saw_opaque = False
        self.last_number = 0
        self._learned: set[int] = set()

    def open(self, unpack: Unpacker) -> None:
        """Read what `unpack` holds from now on."""
        self.unpack, self.keys = unpack, unpack.keys
        self.decoder = Decoder(unpack.table)
        self._plans: list[Plan | None] = [None] * len(unpack.plans)

    @property
    def greatest_number(self) -> int:
        """The greatest number of a container that this branch gave."""
        return max(self.last_number, max(self.cells, default=0))

    def learn(self, nodes: Iterable[Node]) -> None:
        """Get to know the containers of entities that a fork has in common with its base."""
        for node in nodes:
            if node.key not in self._learned and node.born <= self.tree.base_version:
                self._learned.add(node.key)
                for value in node.state:
                    self.cells.update({cell.number: cell for cell in cells_in(value)})

    def source(self, written: Any) -> Any:
        """Return where a field was borrowed from."""
        return self.decoder.read(written)

    def plan(self, at: int) -> Plan:
        """Return how states of a class are read that was written at a position of the table."""
        plan = self._plans[at]
        if plan is None:
            name, *names = self.unpack.plans[at]
            plan = self._plans[at] = Plan(schema_of(find_class(name)), tuple(names))
            if plan.evolution is not None:
                self.evolved.add(plan.schema)
        return plan

    def note_former(self, node: Node, former: Former | None) -> None:
        """Keep what was written of an entity in the version that is being read."""
        self.former.setdefault(node.key, []).append((self.tree.head + 1, former))

    def find_former(self, node: Node) -> Former | None:
        """Return what was last written of an entity, also before the fork that is being read."""
        if node.key in self.former:
            return self.former[node.key][-1][1]
        tree, until = self.tree, self.tree.base_version
        while tree.base is not None:
            until, tree = min(until, tree.base_version), tree.base
            noted: FormerByKey = getattr(tree, "former", {})  # of a journaled one
            found = [each for version, each in noted.get(node.key, ()) if version <= until]
            if found:
                return found[-1] and self._in_this_branch(found[-1])
        return None

    def _in_this_branch(self, former: Former) -> Former:
        values = {
            name: self.cells.get(value.number, value) if isinstance(value, Cell) else value
            for name, value in former.values.items()
        }
        return former._replace(values=values)

    def value(self, written: Any, node: Node, up: Cell | None, depth: int) -> Stored:
        """Return a stored value below an entity.

        Args:
            written: What `StateWriter.value` returned.
            node: The entity.
            up: The container that it is in, if any.
            depth: Containers that it is in.
        """
        if type(written) is not list:
            return written
        kind, *rest = written
        if kind == CHILD:
            return self.keys[rest[0]]
        if kind in (LIST, CHILDREN, PLAIN_LIST, DICT, SET):
            return self._container(kind, rest, node, up, depth + 1)
        if kind == KNOWN:
            return self.cells[rest[0]]
        if kind in (TUPLE, FROZENSET):
            items = [self.value(item, node, up, depth + 1) for item in rest]
            return tuple(items) if kind == TUPLE else frozenset(items)
        if kind == OTHER:
            value = self.decoder.read(rest[0])
            if type(value) is Opaque:
                self.saw_opaque = self.has_opaque = True
            return value
        raise JournalDamagedError(self.unpack.place, f"holds a value of kind {kind!r}")

    def _container(
        self, kind: int, rest: list[Any], node: Node, up: Cell | None, depth: int
    ) -> Any:
        number, *written = rest
        cell: Any
        if kind == DICT:
            cell = DictCell({}, node, up)
        elif kind == SET:
            cell = SetCell(set(), node, up)
        else:
            cell = ListCell([], node, up)
        cell.depth, cell.number = depth, number
        self.cells[number] = cell
        if kind == CHILDREN:
            keys = self.keys
            cell.items = [keys[at] for at in written]
        elif kind == PLAIN_LIST:
            cell.items = written
        else:
            items = [self.value(item, node, cell, depth) for item in written]
            if kind == LIST:
                cell.items = items
            elif kind == SET:
                cell.items = set(items)
            else:
                cell.items = dict(zip(items[::2], items[1::2], strict=True))
        return cell

    def reader_in(self, cell: Cell) -> Callable[[Any], Stored]:
        """Return what reads values that are put into a container."""
        node, depth = cell.node, cell.depth
        assert node is not None, "a container that is written to belongs to an entity"
        self.decoder.adapters = adapters_in(cell)
        return lambda written: self.value(written, node, cell, depth)

    def changed(self, node: Node, difference: list[Any]) -> tuple[Stored, ...]:
        """Return the state that a difference makes of the newest one; see `StateWriter`."""
        at, *pairs = difference
        return self.plan(at).changed(pairs, self, node)

    def entity(self, written: list[Any], version: int, now: float) -> tuple[Node, int]:
        """Make an entity of the tree; return it, and the position of its parent's key.

        Args:
            written: What `arrival` or `resident` returned.
            version: Version in which it was born, if that does not tell.
            now: When it was made, likewise.
        """
        key, parent, at, origin, *values = written
        plan = self.plan(at)
        node = Node(self.keys[key], plan.schema, None, version, now)
        if origin:
            node.first_stamp, source, *more = origin
            node.source = None if source is None else (source[0], source[1])
            if more:
                node.born, node.created = more
        node.state = plan.state(values, self, node)
        self.tree.nodes[self.keys[key]] = node
        return node, parent


class Plan:
    """How the states of a class are read that were written when it was as it was then.

    Attributes:
        schema: The class as it is now.
        evolution: What makes states of it of what was read; None if it is as it was.
    """

    __slots__ = ("_adapters", "_fields", "_names", "evolution", "schema")

    def __init__(self, schema: Schema, names: tuple[str, ...]) -> None:
        self.schema = schema
        self._names = names
        self.evolution = None if names == schema.names else Evolution(schema, names)
        self._fields = [name for name in names if not name.startswith("_")]  # as pydantic has it
        adapters = adapters_of(schema)
        self._adapters = [adapters.get(name) for name in names] if adapters else []

    def state(self, values: list[Any], by: StateReader, node: Node) -> tuple[Stored, ...]:
        """Return a whole state, and note on the entity which parts hold opaque values."""
        state = values[:-1]
        for at, written in enumerate(state):
            if type(written) is list:
                by.saw_opaque = False
                state[at] = self._part(at, written, by, node)
                if by.saw_opaque:
                    node.opaque = (node.opaque or frozenset()) | {self._names[at]}
        were_set = self._set_names(values[-1])
        if self.evolution is not None:
            found = dict(zip(self._names, state, strict=False))
            return self._evolved(Former(self._names, found, were_set), by, node)
        state.append(self.schema.shared_set(were_set))
        return tuple(state)

    def changed(self, pairs: list[Any], by: StateReader, node: Node) -> tuple[Stored, ...]:
        """Return the state that follows the newest one: of positions and values in turn."""
        state, last = list(node.state), len(self._names) - 1
        found: dict[str, Stored] = {}
        were_set: set[str] | None = None
        for each in range(0, len(pairs), 2):
            at, written = pairs[each], pairs[each + 1]
            if at == last:
                were_set = self._set_names(written)
            elif self.evolution is not None:
                found[self._names[at]] = self._part(at, written, by, node)
            else:
                state[at] = self._part(at, written, by, node)
        if self.evolution is not None:
            return self._evolved(self._whole(found, were_set, by, node), by, node)
        if were_set is not None:
            state[last] = self.schema.shared_set(were_set)
        if node.key in by.former:
            by.note_former(node, None)
        return tuple(state)

    def _part(self, at: int, written: Any, by: StateReader, node: Node) -> Stored:
        if self._adapters:
            by.decoder.adapters = self._adapters[at]
        return by.value(written, node, None, 0)

    def _whole(
        self, found: dict[str, Stored], were_set: set[str] | None, by: StateReader, node: Node
    ) -> Former:
        """Return what a change of a class in a former form made, as much as is needed of it."""
        assert self.evolution is not None, "the class is another one now"
        if not self.evolution.needs_all:
            return Former(self._names, found, were_set)
        known = by.find_former(node)
        if known is None or known.names != self._names:
            known = self.evolution.former(node)
        values = {**known.values, **found}
        return Former(self._names, values, known.were_set if were_set is None else were_set)

    def _evolved(self, former: Former, by: StateReader, node: Node) -> tuple[Stored, ...]:
        assert self.evolution is not None, "the class is another one now"
        state = self.evolution.state(former, node, by.cells)
        if self.evolution.needs_all:
            by.note_former(node, former)
        node.opaque = opaque_names(self.schema, state)
        by.has_opaque = by.has_opaque or node.opaque is not None
        return state

    def _set_names(self, written: Any) -> set[str]:
        if type(written) is int:
            return {name for at, name in enumerate(self._fields) if written >> at & 1}
        return set(written[1:])


def field_of(cell: Cell) -> str:
    """Return the name of the field of its entity that a container is in. Cost: the entity."""
    assert cell.node is not None, "a container that is written to belongs to an entity"
    parts = zip(cell.node.schema.names, cell.node.state, strict=False)
    return next((name for name, value in parts if cell in cells_in(value)), "?")


def adapters_in(cell: Cell | None) -> Adapters | None:
    """Return what writes and reads the values in a container; None for most."""
    adapters = adapters_of(cell.node.schema) if cell is not None and cell.node else None
    return adapters.get(field_of(cell)) if cell is not None and adapters else None
