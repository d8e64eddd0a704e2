"""Borrowing: the addresses among the arguments of one execution, and what they become.

An address of an entity, where one is expected, becomes an input like any other: a ref if its id is
that of the head, else the entity in a snapshot of its version, to which `on_stale` applies. For a
plain parameter the value at the end of the path is copied, and the record notes where it came from.

One id may be that of several versions of a tree. So that things that are given together meet in one
version, an id takes the newest version that another argument shows it in, if there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from registry import ids
from registry.address import Address, Ref, parse_address, write_path
from registry.addressed import Addressed, follow, own_copy
from registry.callables import RegisteredCallable
from registry.copies import entities_in
from registry.entity import Entity, key_of, version_of
from registry.errors import AddressError, NotFoundError
from registry.ids import EntityVersion
from registry.parameters import Parameter
from registry.semantics import present
from registry.snapshot import Snapshot
from registry.tree import TreeRegistry
from registry.trees import EntityAt, Trees
from registry.values import DICT, ENTITY, FROZENSET, KIND, LIST, SET, TUPLE

_TEXTS = frozenset({str, Address})
_CONTAINERS = frozenset({LIST, DICT, SET, TUPLE, FROZENSET})


def mentions_address(values: Iterable[Any]) -> bool:
    """Tell whether a text among values, or in their containers, begins like an address.

    Cost: a look at every item of the containers.
    """
    for value in values:
        cls = type(value)
        if cls in _TEXTS:
            if _begins(value):
                return True
        elif KIND[cls] in _CONTAINERS and _texts_in(value):
            return True
    return False


class Borrowing:
    """The arguments of one execution with what their addresses name in place of these.

    Attributes:
        arguments: The arguments.
        trees: Trees whose head was read for a plain parameter: inputs, whose turn must be taken.
        sources: What plain parameters borrowed: (parameter, key and stamp of the entity, path).
    """

    def __init__(
        self, trees: Trees, registered: RegisteredCallable, arguments: Mapping[str, Any]
    ) -> None:
        self._trees = trees
        self._heads: dict[TreeRegistry, int] = {}
        self._given: dict[tuple[TreeRegistry, int], Snapshot | None] = {}
        self._reads: dict[tuple[TreeRegistry, int], Snapshot] = {}
        self._made: dict[int, Any] = {}
        self._errors: dict[str | Address, AddressError | NotFoundError] = {}
        self._unread: dict[str, str | Address] = {}
        self.trees: list[TreeRegistry] = []
        self.sources: list[tuple[str, int, int, str]] = []
        self._note_given(arguments.values())
        self._addresses = self._parsed(arguments.values())
        self._places = self._placed({each.entity for each in self._addresses.values()})
        self.arguments = {
            name: self._argument(registered.keywords.get(name), value)
            for name, value in arguments.items()
        }

    @property
    def is_outdated(self) -> bool:
        """Whether a tree that was looked at has moved on since."""
        return any(tree.head != head for tree, head in self._heads.items())

    def head_of(self, tree: TreeRegistry) -> int:
        """Return the head that a tree had when it was looked at."""
        return self._heads.get(tree, tree.head)

    def reason(self, parameter: str) -> AddressError | NotFoundError | None:
        """Return why a text in an argument that does not fit is not an address here."""
        text = self._unread.get(parameter)
        return None if text is None else self._errors[text]

    # --- which version each id means ---

    def _note_given(self, values: Iterable[Any]) -> None:
        """Note the versions that the arguments show."""
        for ref in _refs_in(values):
            tree = self._trees.held(ref.root, ref.branch)
            if tree is not None:
                self._given.setdefault((tree, tree.head), None)
        for entity in _leaves(list(values), _is_entity):
            home = entity.__home__
            if isinstance(home, Snapshot) and isinstance(home.source, TreeRegistry):
                self._given[home.source, home.version] = home

    def _parsed(self, values: Iterable[Any]) -> dict[str | Address, Address]:
        parsed = {}
        for text in _texts_in(list(values)):
            try:
                address = text if isinstance(text, Address) else parse_address(text)
                self._trees.locate(address.entity)
            except (AddressError, NotFoundError) as error:
                self._errors[text] = error
            else:
                parsed[text] = address
        return parsed

    def _placed(self, wanted: Iterable[EntityVersion]) -> dict[EntityVersion, EntityAt]:
        """Choose a version for each id; those with the least choice first."""
        located = {each: self._trees.locate(each) for each in wanted}
        chosen = {}
        for each in sorted(located, key=lambda each: (each.commit != 0, located[each].version)):
            place = located[each]
            if each.commit:
                place = self._met(each, place) or place
            self._heads[place.tree] = place.tree.head
            self._given.setdefault((place.tree, place.version), None)
            chosen[each] = place
        return chosen

    def _met(self, found: EntityVersion, place: EntityAt) -> EntityAt | None:
        """Return the newest version that another argument shows an id in."""
        stamp = ids.stamp(found.branch, found.commit)
        for tree, version in sorted(self._given, key=lambda each: -each[1]):
            if (
                tree.key == place.tree.key
                and tree.contains(found.key, version)
                and tree.stamp_of(found.key, version) == stamp
            ):
                return EntityAt(tree, place.key, version)
        return None

    # --- what the addresses become ---

    def _argument(self, parameter: Parameter | None, value: Any) -> Any:
        if parameter is None:
            return value  # refused by `bind`, which knows what there is
        self._made = {}
        if parameter.entities or parameter.holds_entities or parameter.configs:
            return self._replaced(value, lambda text: self._input(parameter, text))
        return self._replaced(value, lambda text: self._plain(parameter, text))

    def _input(self, parameter: Parameter, text: str | Address) -> Any:
        """Return what an address is among entities: an entity, or a value that holds some."""
        address = self._addresses.get(text)
        if address is None:
            if parameter.takes_text and isinstance(text, str):
                return text
            raise self._errors[text]
        found = self._follow(address)
        place = self._places[address.entity]
        value = present(found.value, lambda entity: self._given_as(place, entity))
        if not (_refs_in([value]) or entities_in(value)):
            self._note(parameter, place, found)
        return value

    def _plain(self, parameter: Parameter, text: str | Address) -> Any:
        """Return a copy of the value that an address names; a text that names none stays one."""
        if parameter.takes_text and isinstance(text, str):
            return text  # a text where texts belong may be anybody's: docs/decisions/0006
        address = self._addresses.get(text)
        if address is None:
            self._unread[parameter.name] = text
            return text
        if not address.path:
            return text  # an entity, where none is expected: validation says so
        found = self._follow(address)
        place = self._places[address.entity]
        self._note(parameter, place, found)
        if address.entity.commit == 0 and place.tree not in self.trees:
            self.trees.append(place.tree)
        return own_copy(found.value)

    def _follow(self, address: Address) -> Addressed:
        place = self._places[address.entity]
        where = (place.tree, place.version)
        snapshot = self._reads.get(where)
        if snapshot is None:
            snapshot = self._reads[where] = Snapshot.of(*where)
        return follow(snapshot.entity(place.key), address)

    def _given_as(self, place: EntityAt, entity: Entity) -> Ref | Entity:
        """Return an entity as the caller would give it: by ref, or in a snapshot."""
        tree, key = place.tree, ids.plain(key_of(entity))
        snapshot = self._given.get((tree, place.version))
        if snapshot is None:
            if place.version == tree.head:
                return Ref(tree.key, key, tree.branch)
            snapshot = self._given[tree, place.version] = self._reads[tree, place.version]
        return snapshot.entity(key)

    def _note(self, parameter: Parameter, place: EntityAt, found: Addressed) -> None:
        key, stamp = version_of(found.holder)
        self.sources.append((parameter.name, ids.plain(key), stamp, write_path(found.way)))

    def _replaced(self, value: Any, function: Callable[[str | Address], Any]) -> Any:
        """Apply *function* to the addresses in a value; what has none is passed on as it is."""
        cls = type(value)
        if cls in _TEXTS:
            return function(value) if _begins(value) else value
        kind = KIND[cls]
        if kind not in _CONTAINERS or not _texts_in(value):
            return value
        if id(value) in self._made:
            return self._made[id(value)]
        if kind == DICT:
            pairs: dict[Any, Any] = {}
            self._made[id(value)] = pairs  # before it is filled: it may contain itself
            pairs.update((key, self._replaced(item, function)) for key, item in value.items())
            return pairs
        items: list[Any] = []
        self._made[id(value)] = items
        items.extend(self._replaced(item, function) for item in value)
        self._made[id(value)] = items if kind == LIST else _as_kind(kind, items)
        return self._made[id(value)]


def _as_kind(kind: int, items: list[Any]) -> Any:
    """Return items as the container that they were in.

    As a list if they cannot be in a set: validation says what is wrong with that.
    """
    if kind == TUPLE:
        return tuple(items)
    try:
        return frozenset(items) if kind == FROZENSET else set(items)
    except TypeError:
        return items


def _texts_in(value: Any) -> list[str | Address]:
    """Return the addresses in a container, and texts that begin like one; no keys of dicts."""
    return [item for item in _leaves(value, _TEXTS.__contains__) if _begins(item)]


def _begins(value: str | Address) -> bool:
    return isinstance(value, Address) or value[:1] == "@"


def _refs_in(values: Iterable[Any]) -> list[Ref]:
    return _leaves(list(values), _is_ref)


def _is_ref(cls: type) -> bool:
    return cls is Ref


def _is_entity(cls: type) -> bool:
    return KIND[cls] == ENTITY


def _leaves(value: Any, is_wanted: Callable[[type], bool]) -> list[Any]:
    """Return the items of some types in nested containers, without recursion, cycles once."""
    found: list[Any] = []
    stack, seen = [value], {id(value)}
    while stack:
        container = stack.pop()
        items = container.values() if KIND[type(container)] == DICT else container
        kinds = set(map(type, items))
        wanted = set(filter(is_wanted, kinds))
        if wanted:
            found.extend(item for item in items if type(item) in wanted)
        if any(KIND[cls] in _CONTAINERS for cls in kinds):
            inner = [item for item in items if KIND[type(item)] in _CONTAINERS]
            stack.extend(item for item in inner if id(item) not in seen)
            seen.update(map(id, inner))
    return found
