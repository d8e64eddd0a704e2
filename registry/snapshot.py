"""Snapshot: a lazy, isolated copy of a tree at one version; the only thing that users hold.

Its entities are ghosts: a field is materialised when it is first read. What its holder writes stays
in the copy and is noted, so that passing the snapshot to `execute` can commit the edits first: no
tree is built, nothing is compared.

A snapshot reads from a `Source`: a tree of this process, or pages that come from another one
    (`PageSource`).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

from registry import ids, values
from registry.address import Ref
from registry.copies import entities_in
from registry.entity import (
    Entity,
    Identity,
    dict_of,
    fill,
    key_of,
    new_ghost,
    part,
    parts,
    put_in_order,
    set_home,
    set_key,
)
from registry.history import Node, Stored
from registry.ids import Key
from registry.schema import ABSENT, EXTRA, FIELDS_SET, PRIVATE, Schema, schema_of
from registry.tracking import TRACKED, Tracked, tracked_dict, tracked_list, tracked_set
from registry.tree import TreeRegistry, vars_set
from registry.values import DICT, FROZENSET, KIND, LIST, OPAQUE, SET, TUPLE


class Source(Protocol):
    """Where a snapshot reads from."""

    key: Key

    def class_of(self, key: Key) -> type[Entity]:
        """Return the class of an entity."""

    def field_at(self, key: Key, version: int, index: int) -> Stored:
        """Return one part of an entity's state, plain containers in place of cells."""

    def stamp_of(self, key: Key, version: int) -> int:
        """Return the stamp of an entity's `ecs_id`."""

    def describe(self, key: Key, version: int) -> Identity:
        """Return identity and provenance of an entity."""


# What every snapshot begins with: most are never edited. Replaced on the first edit, never written.
_NO_EDITS: dict[int, tuple[Entity, set[str]]] = {}
_NOTHING: list[tuple[Entity, str]] = []


class Snapshot:
    """The home of the entities that one reader got of one version.

    Attributes:
        source: Where unloaded fields come from.
        version: The version that it shows.
        edits: Objects that the holder wrote, by `id`, and the parts written. There may be two of
            one entity, if an execution returned it beside what holds it.
    """

    __slots__ = ("__weakref__", "_borrowed", "_root", "edits", "source", "touched", "version")
    is_read_only: ClassVar[bool] = False

    _borrowed: list[tuple[Entity, str, Any, Any]]  # set by the first borrowed field

    def __init__(self, source: Source, version: int) -> None:
        self.source = source
        self.version = version
        self.edits = _NO_EDITS
        self.touched = _NOTHING
        self._root: weakref.ref[Entity] | None = None

    @classmethod
    def of(cls, tree: TreeRegistry, version: int) -> Snapshot:
        """Return a snapshot of a tree of this process.

        The version stays readable as long as it is held.
        """
        snapshot = cls(tree, version)
        tree.pin(snapshot, version)
        tree.check_version(version)  # once it is pinned: another thread may let versions go
        return snapshot

    @classmethod
    def of_head(cls, tree: TreeRegistry, entity: Entity) -> Entity:
        """Return a snapshot of a live entity at the head: what an execution returns."""
        snapshot = cls(tree, tree.head)
        tree.add_pin(weakref.ref(snapshot))
        return new_ghost(type(entity), snapshot, entity.__key__)

    @classmethod
    def of_root(cls, tree: TreeRegistry) -> Entity:
        """Return a snapshot of the root at the head, of which there need not be a live object."""
        snapshot = cls(tree, tree.head)
        tree.add_pin(weakref.ref(snapshot))
        return new_ghost(tree.class_of(tree.key), snapshot, tree.key)

    @property
    def pinned_version(self) -> int:
        """The version that must stay readable."""
        return self.version

    @property
    def is_edited(self) -> bool:
        """Whether the holder changed anything; compares only opaque values that were handed out."""
        return bool(self.edits) or any(self._is_changed(*each) for each in self.touched)

    def ref_if_current(self, entity: Entity) -> Ref | None:
        """Return the ref that means the same as an entity of this snapshot, if one does.

        That is, if it shows the head of a tree of this process, as it is.
        """
        tree = self.source
        if type(tree) is not TreeRegistry or tree.head != self.version or self.is_edited:
            return None
        return Ref(tree.key, ids.plain(key_of(entity)), tree.branch)

    def entity(self, key: Key) -> Entity:
        """Return an entity of the snapshot as a ghost."""
        ghost = new_ghost(self.source.class_of(key), self, key)
        if key == self.source.key and (self._root is None or self._root() is None):
            self._root = weakref.ref(ghost)
        return ghost

    def edited(self) -> list[tuple[Entity, set[str]]]:
        """Return what the holder wrote: objects and the names of the parts, first written first."""
        for entity, name in self.touched:
            if self._is_changed(entity, name):
                self.note_write(entity, name)
        return list(self.edits.values())

    def _is_changed(self, entity: Entity, name: str) -> bool:
        schema = schema_of(type(entity))
        stored = self.source.field_at(key_of(entity), self.version, schema.index[name])
        return not values.same_value(
            part(entity, schema, name), self._value(stored, entity, name, [])
        )

    def advance(self, tree: TreeRegistry, version: int, before: int, held: Entity) -> None:
        """Show a newer version, whose content the holder's edits are.

        What was added becomes part of the snapshot. If the edits were committed on another version
        than this one shows, what is loaded of *held*, of the root and of what was edited is read
        anew.
        """
        is_outdated = before != self.version
        root = None if self._root is None else self._root()
        known: list[Entity | None] = [held, root, *[each for each, _ in self.edits.values()]]
        for entity, names in self.edits.values():
            if entity.__home__ is not self:
                continue  # it was detached
            self._settle(entity, names)
            for _name, value in parts(entity, schema_of(type(entity))):
                for child in entities_in(value):
                    if child.__home__ is None:
                        self.dress(child)
        self.source, self.version = tree, version
        self.edits = _NO_EDITS
        self._borrowed = []
        tree.pin(self, version)
        if is_outdated:
            self._read_anew(known)

    def _read_anew(self, known: list[Entity | None]) -> None:
        """Forget what entities, and those below them, have loaded."""
        seen: set[int] = set()
        while known:
            entity = known.pop()
            if entity is None or entity.__home__ is not self or id(entity) in seen:
                continue
            seen.add(id(entity))
            for _, value in list(_loaded(entity)):
                known.extend(entities_in(value))
            dict_of(entity).clear()
            for slot in vars_set(entity):
                object.__delattr__(entity, slot)

    def _settle(self, entity: Entity, names: set[str]) -> None:
        """Make the containers in written parts such that the next write to them is noted."""
        schema = schema_of(type(entity))
        for name in names & schema.index.keys():
            value = part(entity, schema, name)
            if KIND[type(value)]:
                touched: list[Any] = []
                fill(entity, schema, name, self._settled(value, entity, name, touched))
                if touched:
                    self.touched = [*self.touched, (entity, name)]

    def _settled(self, value: Any, entity: Entity, name: str, touched: list[Any]) -> Any:
        if type(value) not in TRACKED or value.home is not self or value.place != (entity, name):
            return self._dressed(value, entity, name, touched)
        value.log = None  # the same object: its holder may have it at hand
        if isinstance(value, list):
            items = [self._settled(item, entity, name, touched) for item in value]
            list.__setitem__(value, slice(None), items)
        elif isinstance(value, dict):
            for key, item in value.items():
                dict.__setitem__(value, key, self._settled(item, entity, name, touched))
        return value

    # --- home ---

    def load(self, entity: Entity, name: str) -> Any:
        """Materialise one part of an entity's state."""
        schema = schema_of(type(entity))
        if name == PRIVATE:
            loaded = {each: self._read(entity, schema, each) for each in schema.privates}
            present = {each: value for each, value in loaded.items() if value is not ABSENT}
            value: Any = present if schema.privates else None
            fill(entity, schema, PRIVATE, value)
        elif name == FIELDS_SET:
            value = set(self._read(entity, schema, name))
            fill(entity, schema, name, value)
        else:
            value = self._read(entity, schema, name) if name in schema.index else None
            fill(entity, schema, name, value)
        if value is ABSENT:
            raise AttributeError(f"{type(entity).__name__!r} object has no attribute {name!r}")
        return value

    def _read(self, entity: Entity, schema: Schema, name: str) -> Any:
        stored = self.source.field_at(key_of(entity), self.version, schema.index[name])
        touched: list[Any] = []
        value = self._value(stored, entity, name, touched)
        if touched:
            self.touched = [*self.touched, (entity, name)]
        return value

    def _value(self, stored: Stored, entity: Entity, name: str, touched: list[Any]) -> Any:
        cls = type(stored)
        if cls is Key:
            return self.entity(stored)
        if cls is list:
            items = [self._value(item, entity, name, touched) for item in stored]
            return tracked_list(self, (entity, name), items)
        if cls is dict:
            pairs = [
                (key, self._value(item, entity, name, touched)) for key, item in stored.items()
            ]
            return tracked_dict(self, (entity, name), pairs)
        if cls is set:
            members = [self._value(item, entity, name, touched) for item in stored]
            return tracked_set(self, (entity, name), members)
        if (cls is tuple or cls is frozenset) and name != FIELDS_SET:
            return cls([self._value(item, entity, name, touched) for item in stored])
        if cls is values.Opaque:
            touched.append(stored)
            return values.copy_opaque(stored.value, lambda: repr(name))
        return stored

    def whole(self, entity: Entity) -> dict[str, Any]:
        """Return all fields, loaded, in declared order."""
        schema = schema_of(type(entity))
        fields = dict_of(entity)
        if fields.keys() >= schema.field_set:
            return put_in_order(entity, schema)
        for name in schema.fields:
            if name not in fields:
                getattr(entity, name, None)
        return put_in_order(entity, schema)

    def note_write(self, entity: Entity, name: str) -> None:
        """Note an edit of the holder's."""
        if self.edits is _NO_EDITS:
            self.edits = {}
        self.edits.setdefault(id(entity), (entity, set()))[1].add(name)

    def note_borrowed(self, entity: Entity, name: str, source: Any) -> None:
        """Note where a field came from that the holder just assigned."""
        value = dict_of(entity)[name]
        self._borrowed = [*self.borrowed(), (entity, name, value, source)]

    def borrowed(self) -> list[tuple[Entity, str, Any, Any]]:
        """Return (entity, field, value, source) of what the holder borrowed, if it is still so."""
        noted: list[tuple[Entity, str, Any, Any]] = getattr(self, "_borrowed", [])
        return [each for each in noted if dict_of(each[0]).get(each[1], ABSENT) is each[2]]

    def begin_writing(self, container: Tracked) -> list[Any]:
        """Note an edit inside a container; what exactly changed does not matter here."""
        self.note_write(*container.place)
        log: list[Any] = []
        container.log = log
        return log

    def stamps(self, entity: Entity) -> tuple[int, int, int]:
        """Return (stamp, root key, root stamp) at the snapshot's version."""
        source, version = self.source, self.version
        return (
            source.stamp_of(key_of(entity), version),
            source.key,
            source.stamp_of(source.key, version),
        )

    def identity(self, entity: Entity) -> Identity:
        """Return all that is known about an entity at the snapshot's version."""
        identity = self.source.describe(key_of(entity), self.version)
        mine = [each for each in self.borrowed() if each[0] is entity] if self.edits else []
        if not mine and not (identity.attribute_source and id(entity) in self.edits):
            return identity
        edited = self.edits[id(entity)][1]
        kept = {k: v for k, v in identity.attribute_source.items() if k not in edited}
        return identity._replace(attribute_source=kept | {each[1]: each[3] for each in mine})

    def root_of(self, entity: Entity) -> Entity:
        """Return the root of the snapshot."""
        root = None if self._root is None else self._root()
        if root is None:
            root = entity if key_of(entity) == self.source.key else self.entity(self.source.key)
            self._root = weakref.ref(root)
        return root

    # --- taking over what a caller holds ---

    def take_over(self, adopted: list[tuple[Entity, Node]]) -> None:
        """Make the objects of a graph, just adopted, entities of this snapshot.

        Cost: proportional to the graph, about half of what its adoption took.
        """
        self._root = weakref.ref(adopted[0][0])
        for entity, node in adopted:
            schema = node.schema
            if schema.is_simple:
                fields = dict_of(entity)
                for name, stored in zip(schema.fields, node.state, strict=False):
                    if KIND[type(stored)] and type(stored) is not Key:
                        fields[name] = self._dressed_part(fields[name], entity, name)
            else:
                for name, value in list(parts(entity, schema)):
                    if KIND[type(value)]:
                        fill(entity, schema, name, self._dressed_part(value, entity, name))
            set_home(entity, self)

    def take_in(self, top: Entity, keys: Mapping[Key, Key]) -> None:
        """Make objects of another snapshot, whose copies were adopted, part of this one.

        Args:
            top: The first of them. What of it is not loaded will be read here.
            keys: Key here, by key there; what is not among them was an orphan.

        Cost: what is loaded of them.
        """
        queue, taken = [top], []
        while queue:
            entity = queue.pop()
            home = entity.__home__
            if isinstance(home, Snapshot):
                if home is self or key_of(entity) not in keys:
                    continue
                home.touched = [each for each in home.touched if each[0] is not entity]
                set_key(entity, keys[key_of(entity)])
            elif home is not None:
                continue
            set_home(entity, self)
            taken.append(entity)
            for _, value in _loaded(entity):
                queue.extend(entities_in(value))
        for entity in taken:
            schema = schema_of(type(entity))
            for name, value in _loaded(entity):
                if KIND[type(value)]:
                    fill(entity, schema, name, self._dressed_part(value, entity, name))

    def dress(self, root: Entity) -> None:
        """Make the objects of an orphan graph, whose copies were adopted, part of this snapshot."""
        queue: list[Any] = [root]
        while queue:
            entity = queue.pop()
            if entity.__home__ is not None:
                continue  # of another tree: a copy of it was adopted
            schema = schema_of(type(entity))
            for name, value in list(parts(entity, schema)):
                if KIND[type(value)]:
                    queue.extend(entities_in(value))
                    fill(entity, schema, name, self._dressed_part(value, entity, name))
            set_home(entity, self)

    def _dressed_part(self, value: Any, entity: Entity, name: str) -> Any:
        touched: list[Any] = []
        dressed = self._dressed(value, entity, name, touched)
        if touched:
            self.touched = [*self.touched, (entity, name)]
        return dressed

    def _dressed(self, value: Any, entity: Entity, name: str, touched: list[Any]) -> Any:
        kind = KIND[type(value)]
        if kind == OPAQUE:
            touched.append(value)
        elif kind == DICT:
            pairs = [(k, self._dressed(v, entity, name, touched)) for k, v in value.items()]
            return tracked_dict(self, (entity, name), pairs)
        elif kind in (LIST, SET, TUPLE, FROZENSET):
            items = [self._dressed(item, entity, name, touched) for item in value]
            if kind == LIST:
                return tracked_list(self, (entity, name), items)
            if kind == SET:
                return tracked_set(self, (entity, name), items)
            return tuple(items) if kind == TUPLE else frozenset(items)
        return value


def _loaded(entity: Entity) -> list[tuple[str, Any]]:
    """Return the parts of an entity's state that are on the object, without loading others."""
    slots = vars_set(entity)
    privates = (entity.__pydantic_private__ or {}) if PRIVATE in slots else {}
    found = [*dict_of(entity).items(), *privates.items()]
    if EXTRA in slots:
        found.append((EXTRA, entity.__pydantic_extra__))
    return [each for each in found if each[0] in schema_of(type(entity)).index]


class Page(NamedTuple):
    """A part of a snapshot that travels: states of entities, breadth first from one of them.

    Attributes:
        root: Root of the tree, on its branch.
        version: The version.
        identity: What is known about the first entity.
        states: Per entity: its state with plain containers in place of cells, and its stamp.
        classes: Class of every entity in `states` and of their children.
    """

    root: Ref
    version: int
    identity: Identity
    states: dict[Key, tuple[tuple[Stored, ...], int]]
    classes: dict[Key, type[Entity]]


def read_page(tree: TreeRegistry, key: Key, version: int, limit: int) -> Page:
    """Return an entity and up to *limit* - 1 of those below it.

    Cost: proportional to what is returned.
    """
    tree.check_version(version)
    states: dict[Key, tuple[tuple[Stored, ...], int]] = {}
    classes = {key: tree.class_of(key)}
    queue = [key]
    for each in queue:
        if len(states) >= limit:
            break
        _, state = tree.state_at(each, version)
        states[each] = (state, tree.stamp_of(each, version))
        children = tree.children_at(each, version)
        classes.update((child, tree.class_of(child)) for child in children)
        queue.extend(children)
    root = Ref(tree.key, tree.key, tree.branch)
    return Page(root, version, tree.describe(key, version), states, classes)


Fetch = Callable[[Ref, int | None, int], Page]


class PageSource:
    """Reads a snapshot that lives in another process, page by page."""

    def __init__(self, fetch: Fetch, ref: Ref, version: int | None, limit: int = 1000) -> None:
        self._fetch = fetch
        self._limit = limit
        page = fetch(ref, version, limit)
        self.key = page.root.root
        self.version = page.version
        self._branch = page.root.branch
        self._states = dict(page.states)
        self._classes = dict(page.classes)
        self._identities = {ref.key: page.identity}

    def _fetch_page(self, key: Key, limit: int) -> None:
        page = self._fetch(Ref(self.key, key, self._branch), self.version, limit)
        self._states.update(page.states)
        self._classes.update(page.classes)
        self._identities[key] = page.identity

    def _state(self, key: Key) -> tuple[tuple[Stored, ...], int]:
        if key not in self._states:
            self._fetch_page(key, self._limit)
        return self._states[key]

    def class_of(self, key: Key) -> type[Entity]:
        """Return the class of an entity."""
        if key not in self._classes:
            self._fetch_page(key, self._limit)
        return self._classes[key]

    def field_at(self, key: Key, version: int, index: int) -> Stored:
        """Return one part of an entity's state."""
        return self._state(key)[0][index]

    def stamp_of(self, key: Key, version: int) -> int:
        """Return the stamp of an entity's `ecs_id`."""
        return self._state(key)[1]

    def describe(self, key: Key, version: int) -> Identity:
        """Return identity and provenance of an entity; one more page for all but the first."""
        if key not in self._identities:
            self._fetch_page(key, 1)
        return self._identities[key]


def snapshot_from_pages(fetch: Fetch, ref: Ref, version: int | None = None) -> Entity:
    """Return a lazy snapshot of a tree in another process.

    Args:
        fetch: Returns the page of an entity: (ref, version or None for the head, most entities) ->
            Page.
        ref: The entity wanted.
        version: Its version; the head without one.
    """
    source = PageSource(fetch, ref, version)
    return Snapshot(source, source.version).entity(ref.key)
