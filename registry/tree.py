"""TreeRegistry: the working tree and the history of one root, on one branch.

The working tree is the one live copy of the head, changed in place by executions (through a
`Transaction`). History is the truth: live objects are ghosts that load what is touched, and what
fails is loaded again. The registry is the *home* of the live objects: their reads of unloaded
fields and all their writes arrive here.

Not thread-safe: a tree runs one execution at a time (`turn.py`).
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol, TypeVar

from registry import ids, values
from registry.changeset import Commit
from registry.entity import (
    Entity,
    Identity,
    dict_of,
    fill,
    key_label,
    key_of,
    label,
    new_ghost,
    put_in_order,
)
from registry.errors import NotFoundError, PrunedError, WriteError
from registry.history import Cell, DictCell, ListCell, Node, SetCell, Stored, cells_in
from registry.ids import Key
from registry.nesting import Nest
from registry.passivation import Passivation
from registry.retention import Retention
from registry.schema import ABSENT, EXTRA, FIELDS_SET, PRIVATE, Schema, schema_of
from registry.tracking import Tracked, tracked_dict, tracked_list, tracked_set
from registry.turn import Turn
from registry.values import ATOM, KIND, shown

_PAGE_BITS = 6
_VERSION = Commit._fields.index("version")
_FIELDS = len(Commit._fields)
_PAGES_KEPT = Commit._fields.index("pages_kept")
_PRUNE_EVERY = 8
"""Versions are forgotten in slabs, since cutting the front of a list moves the rest of it."""


_Answer = TypeVar("_Answer")
_Question = TypeVar("_Question", bound=Callable[..., Any])
_PATIENCE = 100_000
"""Looks at a commit that another thread stores, a tenth of a millisecond apart."""


def _settled(question: _Question) -> _Question:
    """Let a question about history be asked while another thread stores a commit.

    Readers take no turn. One that a commit came between asks again: what it saw may be half of one
    version and half of the next. A commit is stored by one thread at a time, so this ends.
    """

    @functools.wraps(question)
    def ask(self: TreeRegistry, *args: Any) -> Any:
        for _ in range(_PATIENCE):
            heads = self._heads()
            try:
                found = question(self, *args)
            except Exception:
                if heads is not None and self._heads() == heads:
                    raise
            else:
                if heads is not None and self._heads() == heads:
                    return found
            if heads is None:
                time.sleep(0.0001)
        return question(self, *args)

    return ask  # type: ignore[return-value]  # the same question


class OpenTransaction(Protocol):
    """What a running execution has written; see `transaction.py`."""

    writes: dict[Key, tuple[Entity, set[str]]]
    containers: list[Tracked]
    touched: list[tuple[Entity, str]]


class MergePoint:
    """A version of another branch whose content a branch has taken in.

    Attributes:
        at: Version of the branch that took it in.
        source: The other branch.
        version: Its version.
        pinned_version: The same while nothing newer of that branch was merged: it stays readable.
    """

    __slots__ = ("__weakref__", "at", "pinned_version", "source", "version")

    def __init__(self, at: int, source: TreeRegistry, version: int) -> None:
        self.at = at
        self.source = source
        self.version = self.pinned_version = version

    def release(self) -> None:
        """Let retention have the version."""
        self.pinned_version = sys.maxsize


class TreeRegistry:
    """Working tree and history of one root on one branch.

    Attributes:
        key: Lineage bits of the root.
        branch: Number of the branch; 0 is main.
        base: The branch that this one was forked from, at `base_version`; shared, never written
            from here.
        head: Newest version.
        nodes: Entities that this branch knows itself; a fork learns of the others from its base
            when they are touched.
        entities: Live objects of the working tree that are loaded, in whole or as ghosts.
        is_provisional: Whether it is made of an orphan argument whose execution may still drop it.
        txn: What the open execution has written; None while none runs.
        forks: Those of its forks, and their forks, that have live objects.
        is_trial: Whether it stands in for another one whose execution is not kept.
        nest: What runs inside the open execution, if that is one of `plain`.
        is_storing: Whether a commit is being stored: history is not to be read by other threads.
        is_journaled: Whether what its commits do is written down; see `journal/`.
        deltas: Then the changes of containers of the commit that is being stored.
        is_taken_in: Whether it, or a fork of it, was merged into another branch.
        origin: The branch that it was forked from as the user said, which may itself have been at a
            version of `base`; None for main.
        takers: Numbers of the branches that know it as merged into them.
        output: The output entity that it was built for, if it was; see `outputs.py`.
        merges: What was merged into this branch, in order.
        wished: A transaction, and what was detached in it: to be roots, see `moving.py`.
        noting: A transaction, and what was borrowed in it: entity, field, its value, its source.
        borrowed: Where fields came from: (version, field, source) by key; see `sources.py`.
    """

    is_read_only: ClassVar[bool] = False
    is_journaled: ClassVar[bool] = False
    deltas: Sequence[tuple[Any, Any]] = ()
    # On the class, since few trees ever have another one, and roots are made by the thousand.
    origin: TreeRegistry | None = None
    output: Any = None
    is_provisional = False
    is_taken_in = False
    takers: frozenset[int] = frozenset()
    is_trial = False
    forks: Passivation | None = None
    wished: tuple[OpenTransaction, list[Entity]] | None = None
    noting: tuple[OpenTransaction, list[tuple[Entity, str, Any, Any]]] | None = None
    borrowed: dict[Key, list[tuple[int, str, Any]]] = {}  # noqa: RUF012 - replaced, never written
    _max_pins = 1024

    def __init__(
        self,
        key: Key,
        retention: Retention,
        *,
        branch: int = 0,
        base: TreeRegistry | None = None,
        base_version: int = 0,
    ) -> None:
        self.key = ids.plain(key)
        self.branch = branch
        self.base = base
        self.base_version = base_version
        self.head = base_version
        self._oldest = base_version + 1
        self.nodes: dict[Key, Node] = {}
        self.entities: dict[Key, Entity] = {}
        self.txn: OpenTransaction | None = None
        self.merges: list[MergePoint] = []
        self.turn = Turn()
        self.commits: list[
            tuple[Any, ...]
        ] = []  # packed: a plain tuple of atoms is not tracked by the collector
        self.bytes_kept = 0
        self._uncut = base_version + 1
        self._most_versions = retention.versions or sys.maxsize
        self._most_bytes = retention.memory_bytes or sys.maxsize
        self._pins: list[weakref.ref[Any]] = []
        self._pins_lock = threading.Lock()
        # Asked for by each execution, which is quicker of the object than of its class.
        self.nest: Nest | None = None
        self.is_storing = False

    @property
    def oldest(self) -> int:
        """Oldest version that can be read."""
        return self._oldest

    # --- entities ---

    @property
    def root(self) -> Entity:
        """The live root."""
        return self.live(self.key)

    @property
    def root_node(self) -> Node:
        """The root's node."""
        return self.node(self.key)

    @property
    def name(self) -> str:
        """The root in messages: class, start of its lineage id, branch if not main."""
        text = key_label(self.class_of(self.key), self.key)
        return f"{text} (branch {self.branch})" if self.branch else text

    def live(self, key: Key) -> Entity:
        """Return the live object of an entity; a ghost if it was not touched before."""
        entity = self.entities.get(key)
        if entity is None:
            if self.base is not None and not self.entities:
                self._wake()
            entity = new_ghost(self.class_of(key), self, key)
            node = self.nodes.get(key)
            if node is None or not node.removed:
                self.entities[key] = entity
        return entity

    def class_of(self, key: Key) -> type[Entity]:
        """Return the class of an entity of this tree, at any version."""
        tree: TreeRegistry | None = self
        while tree is not None:
            node = tree.nodes.get(key)
            if node is not None:
                return node.schema.cls  # type: ignore[return-value]  # schemas here are those of entities
            tree = tree.base
        raise NotFoundError(f"entity {ids.to_uuid(key)}", f"tree {ids.to_uuid(self.key)}")

    def node(self, key: Key) -> Node:
        """Return this branch's own node of an entity at the head.

        A fork makes it from its base's on first use.
        """
        node = self.nodes.get(key)
        if node is None:
            missing = [key]
            parent = self._base_parent(key)
            if parent is None or not self._is_inherited(parent):
                self._check_base(key)
            while parent is not None and parent not in self.nodes:
                missing.append(parent)
                parent = self._base_parent(parent)
            for each in reversed(missing):
                node = self._inherit(each)
            assert node is not None, "the loop ran at least once"
        return node

    def has(self, key: Key) -> bool:
        """Tell whether an entity is in the tree at the head."""
        node = self.nodes.get(key)
        if node is not None:
            return not node.removed
        return self.base is not None and self.base.contains(key, self.base_version)

    @_settled
    def contains(self, key: Key, version: int) -> bool:
        """Tell whether an entity was in the tree at *version*. Cost: its depth."""
        where: Key | None = key
        while where is not None and where != self.key:
            found = self.find_node(where, version)
            if found is None or found[0].born > found[1]:
                return False
            where = found[0].parent_at(found[1])
        return where == self.key

    def find_node(self, key: Key, version: int) -> tuple[Node, int] | None:
        """Return (node, version to read it at) for reading an entity as of *version*."""
        tree = self
        while True:
            if version > tree.base_version or tree.base is None:
                node = tree.nodes.get(key)
                if node is not None:
                    return node, version
                if tree.base is None:
                    return None
                version = tree.base_version
            tree = tree.base
            version = min(version, tree.head)

    @_settled
    def stamp_of(self, key: Key, version: int) -> int:
        """Return the stamp of the `ecs_id` that an entity had at *version*."""
        tree: TreeRegistry = self
        while tree.base is not None and (version <= tree.base_version or key not in tree.nodes):
            version = min(version, tree.base_version)
            tree = tree.base
        node = tree.nodes.get(key)
        if node is None:
            raise NotFoundError(f"entity {ids.to_uuid(key)}", self.name)
        return node.stamp_at(version, tree.branch)

    @_settled
    def stamps_until(self, key: Key, version: int) -> list[int]:
        """Return the stamps of all retained ids of an entity up to *version*, oldest first.

        Through all branches.
        """
        stamps: list[int] = []
        tree: TreeRegistry | None = self
        while tree is not None:
            if tree.base is None and tree is not self:
                stamps = tree.stamps_until(key, version) + stamps
                break
            node = tree.nodes.get(key)
            if node is not None and (version > tree.base_version or tree.base is None):
                stamps = node.stamps_until(version, tree.branch) + stamps
            version = min(version, tree.base_version)
            tree = tree.base
        return list(dict.fromkeys(stamps))

    def _is_inherited(self, key: Key) -> bool:
        """Tell whether this branch has a node of an entity that was in the base as of the fork."""
        node = self.nodes.get(key)
        return node is not None and node.born <= self.base_version

    def _check_base(self, key: Key) -> None:
        if self.base is None or not self.base.contains(key, self.base_version):
            raise NotFoundError(f"entity {ids.to_uuid(key)}", self.name)

    def _base_parent(self, key: Key) -> Key | None:
        found = None if self.base is None else self.base.find_node(key, self.base_version)
        if found is None or found[0].born > found[1]:
            raise NotFoundError(f"entity {ids.to_uuid(key)}", self.name)
        return found[0].parent_at(found[1])

    def _inherit(self, key: Key) -> Node:
        """Make this branch's node of an entity from the base's, as of the fork."""
        base = self.base
        assert base is not None, "a tree without a base has all its nodes"
        found = base.find_node(key, self.base_version)
        assert found is not None, "_base_parent looked it up"
        origin, version = found
        parent = origin.parent_at(version)
        node = Node(
            key,
            origin.schema,
            None if parent is None else self.nodes[parent],
            origin.born,
            origin.created,
        )
        node.first_stamp = base.stamp_of(key, self.base_version)
        node.source = origin.source
        node.opaque = origin.opaque
        node.state = base.own_state(origin, version, node)
        self.nodes[key] = node
        return node

    @_settled
    def own_state(self, origin: Node, version: int, node: Node) -> tuple[Stored, ...]:
        """Return the state that a node of a fork begins with: a node's of this branch."""
        return tuple([_own(value, node, None, version) for value in origin.state_at(version)])

    # --- home of the live objects ---

    def load(self, entity: Entity, name: str) -> Any:
        """Return a part of the head's state and keep it on the entity."""
        schema = schema_of(type(entity))
        key = key_of(entity)
        node = self.nodes.get(key)
        if node is None:
            if name in schema.index and self._load_shared(entity, schema, name, key):
                return dict_of(entity)[name]
            node = self.node(key)
        if name == PRIVATE:
            return self._load_privates(entity, node, schema)
        if name == FIELDS_SET:
            value: Any = set(node.state[-1])
        elif name not in schema.index:
            value = None  # extra fields of a class that has none
        else:
            value = _present(self.live_value(node.state[schema.index[name]]), entity, name)
            if node.opaque and name in node.opaque and not self._touch(entity, name):
                return value
        fill(entity, schema, name, value)
        if KIND[type(value)] == ATOM:
            self._load_atoms(entity, schema, node.state)
        return value

    def _load_shared(self, entity: Entity, schema: Schema, name: str, key: Key) -> bool:
        """Load an atom of an entity of which a fork has no node yet, and need not get one."""
        found = None if self.base is None else self.base.find_node(key, self.base_version)
        if found is None or name not in schema.field_set:
            return False
        state = found[0].state_at(found[1])
        stored = state[schema.index[name]]
        if KIND[type(stored)] != ATOM or stored is ABSENT:
            return False
        self._load_atoms(entity, schema, state)
        return True

    @staticmethod
    def _load_atoms(entity: Entity, schema: Schema, state: tuple[Stored, ...]) -> None:
        """Load the other atoms as well: they cost less together than one by one."""
        fields = dict_of(entity)
        for name, stored in zip(schema.fields, state, strict=False):
            if KIND[type(stored)] == ATOM and stored is not ABSENT and name not in fields:
                fields[name] = stored

    def _load_privates(self, entity: Entity, node: Node, schema: Schema) -> dict[str, Any] | None:
        if not schema.privates:
            fill(entity, schema, PRIVATE, None)
            return None
        loaded = {}
        keep = True
        for name in schema.privates:
            value = self.live_value(node.state[schema.index[name]])
            if value is not ABSENT:
                loaded[name] = value
            if node.opaque and name in node.opaque:
                keep = self._touch(entity, name) and keep
        if keep:
            fill(entity, schema, PRIVATE, loaded)
        return loaded

    def _touch(self, entity: Entity, name: str) -> bool:
        """Note that an opaque value was handed out.

        It is compared at commit, since nothing tells of writes inside it.
        """
        if self.txn is None:
            return False
        self.txn.touched = [*self.txn.touched, (entity, name)]
        return True

    def live_value(self, stored: Stored) -> Any:
        """Return what the working tree shows for a stored value."""
        cls = type(stored)
        if cls is Key:
            return self.live(stored)
        if cls is ListCell:
            if stored.live is None:
                stored.live = tracked_list(self, stored, self._live_items(stored.items))
            return stored.live
        if cls is DictCell:
            if stored.live is None:
                pairs = ((key, self.live_value(value)) for key, value in stored.items.items())
                stored.live = tracked_dict(self, stored, pairs)
            return stored.live
        if cls is SetCell:
            if stored.live is None:
                stored.live = tracked_set(self, stored, map(self.live_value, stored.items))
            return stored.live
        if cls is tuple or cls is frozenset:
            return cls(map(self.live_value, stored))
        if cls is values.Opaque:
            return values.copy_opaque(stored.value, lambda: self.name)
        return stored

    def _live_items(self, items: list[Stored]) -> Iterator[Any]:
        """Yield what the working tree shows for the items of a list.

        As `live` for each, spelled out: a fork that is touched once spends most of its time here.
        """
        entities, known = self.entities, self._nodes_from_here()
        for item in items:
            if type(item) is not Key:
                yield self.live_value(item)
                continue
            entity = entities.get(item)
            if entity is None:
                for nodes in known:
                    node = nodes.get(item)
                    if node is not None:
                        break
                entity = entities[item] = new_ghost(node.schema.cls, self, item)  # type: ignore[union-attr,arg-type]  # a stored child has a node, of an entity
            yield entity

    def _nodes_from_here(self) -> list[dict[Key, Node]]:
        """Return the nodes of this branch, of its base, and so on."""
        found = [self.nodes]
        tree = self.base
        while tree is not None:
            found.append(tree.nodes)
            tree = tree.base
        return found

    def whole(self, entity: Entity) -> dict[str, Any]:
        """Return all fields of a live object, loaded, in declared order.

        Outside an execution an opaque field is not kept on the object, and so what is returned is a
        copy.
        """
        schema = schema_of(type(entity))
        fields = dict_of(entity)
        if fields.keys() >= schema.field_set:
            return put_in_order(entity, schema)
        missing = {
            name: getattr(entity, name, ABSENT) for name in schema.fields if name not in fields
        }
        put_in_order(entity, schema)
        if self.txn is None and fields.keys() < schema.field_set:
            every = {
                **fields,
                **{name: value for name, value in missing.items() if value is not ABSENT},
            }
            return {name: every[name] for name in schema.fields if name in every}
        return fields

    def note_write(self, entity: Entity, name: str) -> None:
        """Note that a part of a live object's state is about to be written."""
        txn = self.txn
        if txn is None:
            raise WriteError(f"{name!r} of {label(entity)}", self.name)
        key, writes = entity.__key__, txn.writes
        if not writes:
            txn.writes = {key: (entity, {name})}
        elif (entry := writes.get(key)) is not None:
            entry[1].add(name)
        else:
            writes[key] = (entity, {name})

    def begin_writing(self, container: Tracked) -> list[Any]:
        """Open the log of a container for the running execution."""
        txn = self.txn
        cell: Cell = container.place
        if txn is None or cell.live is not container:
            raise WriteError(self._describe(container), self.name)
        txn.containers.append(container)
        log: list[Any] = []
        container.log = log
        return log

    def _describe(self, container: Tracked) -> str:
        cell: Cell = container.place
        kind = type(container).__name__.removeprefix("Tracked").lower()
        node = cell.node
        if node is None:
            return f"a {kind} that is no longer part"
        for name, value in zip(node.schema.names, node.state, strict=True):
            if cell in cells_in(value):
                return f"the {kind} {name!r} of {key_label(node.schema.cls, node.key)}"
        return f"a {kind} of {key_label(node.schema.cls, node.key)}"

    def stamps(self, entity: Entity) -> tuple[int, int, int]:
        """Return (stamp, root key, root stamp) of a live object at the head."""
        return (
            self.stamp_of(key_of(entity), self.head),
            self.key,
            self.stamp_of(self.key, self.head),
        )

    def identity(self, entity: Entity) -> Identity:
        """Return all that is known about a live object."""
        return self.describe(key_of(entity), self.head)

    def root_of(self, entity: Entity) -> Entity:
        """Return the live root."""
        return self.root

    def _wake(self) -> None:
        """Note, where all forks of one tree are known, that this one gets live objects."""
        tree = self
        while tree.base is not None:
            tree = tree.base
        if tree.forks is None:
            tree.forks = Passivation()
        tree.forks.wake(self)

    def passivate(self) -> None:
        """Let go of the live objects: they are made again from what is stored when they are wanted.

        Cost: the nodes of this branch.
        """
        assert self.txn is None, "an open execution works on the live objects"
        self.entities = {}
        for node in list(self.nodes.values()):
            for value in node.state:
                for cell in cells_in(value):
                    cell.live = None

    def drop_opaque(self, touched: list[tuple[Entity, str]]) -> None:
        """Forget the working copies of opaque values.

        So that the next execution that reads one is noticed.
        """
        for entity, name in touched:
            if entity.__home__ is not self:
                continue
            schema = schema_of(type(entity))
            slot = EXTRA if name == EXTRA else PRIVATE
            if name in schema.field_set:
                dict_of(entity).pop(name, None)
            elif slot in vars_set(entity):
                object.__delattr__(entity, slot)
            node = self.nodes.get(key_of(entity))
            if node is not None:
                for cell in cells_in(node.state[schema.index[name]]):
                    cell.live = None

    # --- reading versions ---

    def check_version(self, version: int) -> None:
        """Refuse a version that does not exist or is no longer kept."""
        if not isinstance(version, int) or version < 1 or version > self.head:
            raise NotFoundError(
                f"version {shown(version)}", f"{self.name}, whose head is {self.head}"
            )
        if not self.is_kept(version):
            raise PrunedError(self.name, version, self.oldest)

    def at_version(self, version: int | None, read: Callable[[int], _Answer]) -> _Answer:
        """Return what *read* makes of a version; without one of the head.

        It is asked again for a newer head if retention let go of the first meanwhile, since other
        threads made so many versions.
        """
        while version is None:
            with contextlib.suppress(PrunedError):
                return read(self.head)
        return read(version)

    def recall(self, version: int) -> None:
        """Have a version in memory, if retention keeps it; see `journal/`."""

    def is_kept(self, version: int) -> bool:
        """Tell whether a version that existed can still be read.

        A branch keeps the version that it starts from.
        """
        tree = self
        while tree.base is not None and version <= tree.base_version:
            if version == tree.base_version:
                return True
            tree = tree.base
        return version >= tree.oldest

    @_settled
    def state_at(self, key: Key, version: int) -> tuple[Schema, tuple[Stored, ...]]:
        """Return plan and state of an entity as of *version*.

        With plain containers of stored items in place of cells.

        Cost: one bisect per container for the newest version, else proportional to the containers
            that changed since.
        """
        found = self.find_node(key, version)
        if found is None:
            raise NotFoundError(f"entity {ids.to_uuid(key)}", f"version {version} of {self.name}")
        node, version = found
        return node.schema, tuple([_plain_at(value, version) for value in node.state_at(version)])

    @_settled
    def field_at(self, key: Key, version: int, index: int) -> Stored:
        """Return one part of an entity's state as of *version*; containers as by `state_at`."""
        found = self.find_node(key, version)
        if found is None:
            raise NotFoundError(f"entity {ids.to_uuid(key)}", f"version {version} of {self.name}")
        node, version = found
        return _plain_at(node.state_at(version)[index], version)

    def children_at(self, key: Key, version: int) -> list[Key]:
        """Return the keys of an entity's children as of *version*, in order."""
        _, state = self.state_at(key, version)
        return [child for value in state for child in _plain_keys(value)]

    @_settled
    def commit_of(self, version: int) -> Commit | None:
        """Return the commit that made a version; None if it is no longer kept."""
        tree = self
        while tree.base is not None and version <= tree.base_version:
            tree = tree.base
        if tree is not self:
            return tree.commit_of(version)
        index = version - tree.commits[0][_VERSION] if tree.commits else -1
        return Commit(*tree.commits[index][:_FIELDS]) if 0 <= index < len(tree.commits) else None

    def version_of(self, root: ids.EntityVersion) -> int | None:
        """Return the version in which the root had an id.

        None if that version is not on this branch or not kept.
        """
        if root.key != self.key or root.branch != self.branch:
            return None
        version = self.root_node.born if root.commit == ids.BIRTH_COMMIT else root.commit
        return version if self.oldest <= version <= self.head else None

    @_settled
    def describe(self, key: Key, version: int) -> Identity:
        """Return identity and provenance of an entity as of *version*."""
        found = self.find_node(key, version)
        if found is None:
            raise NotFoundError(f"entity {ids.to_uuid(key)}", f"version {version} of {self.name}")
        node = found[0]
        stamps = self.stamps_until(key, version)
        old = [ids.to_uuid(key, each) for each in stamps[:-1]]
        source = None if node.source is None else ids.to_uuid(*node.source)
        number = stamps[-1] & ids.MAX_COMMIT
        commit = self.commit_of(node.born if stamps[-1] == ids.BIRTH else number)
        outputs = () if commit is None else commit.outputs
        me = key, stamps[-1]  # one entity may be returned on two branches
        mine = [index for index, output in enumerate(outputs) if output == me]
        return Identity(
            ecs_id=ids.to_uuid(key, stamps[-1]),
            root_ecs_id=ids.to_uuid(self.key, self.stamp_of(self.key, version)),
            version=version,
            previous_ecs_id=old[-1] if old else source,
            old_ids=old,
            created_at=datetime.fromtimestamp(node.created, UTC),
            forked_at=datetime.fromtimestamp(commit.committed_at if commit else node.created, UTC),
            derived_from_function=(commit.callable_name or None) if commit else None,
            derived_from_execution_id=ids.execution_text(commit.execution_id) or None
            if commit
            else None,
            sibling_output_entities=[ids.to_uuid(*each) for each in outputs if each != me]
            if mine
            else [],
            output_index=mine[0] if mine else None,
            attribute_source=self.sources_at(key, version),
        )

    # --- where borrowed fields came from ---

    def note_borrowed(self, entity: Entity, name: str, source: Any) -> None:
        """Note in the open transaction where a field that was just assigned came from."""
        txn = self.txn
        assert txn is not None, "the field was assigned"
        if self.noting is None or self.noting[0] is not txn:
            self.noting = (txn, [])
        self.noting[1].append((entity, name, dict_of(entity).get(name, ABSENT), source))
        # Looked at as a whole: the short way of plain changes does not come by here.
        txn.touched = [*txn.touched, (entity, name)]

    def noted_sources(self, txn: OpenTransaction) -> list[tuple[Key, str, Any]]:
        """Return what was borrowed in a transaction and is still as it was: key, field, source."""
        noted, self.noting = self.noting, None
        if noted is None or noted[0] is not txn:
            return []
        return [
            (key_of(entity), name, source)
            for entity, name, value, source in noted[1]
            if dict_of(entity).get(name, ABSENT) is value
        ]

    def store_sources(self, key: Key, version: int, sources: dict[str, Any]) -> None:
        """Keep where fields of an entity came from, as of a version."""
        if not self.borrowed:
            self.borrowed = {}
        known = self.borrowed.setdefault(ids.plain(key), [])
        known += [(version, name, source) for name, source in sources.items()]

    def sources_at(self, key: Key, version: int) -> dict[str, Any]:
        """Return where fields came from that are at *version* as they were borrowed."""
        found: dict[str, Any] = {}
        changed: set[str] = set()
        tree: TreeRegistry | None = self
        while tree is not None and not tree.borrowed:
            tree = tree.base
        if tree is None:
            return found  # nothing was ever borrowed here
        tree = self
        while tree is not None:
            start, node = tree.base_version, tree.nodes.get(key)
            if node is not None and version > start:
                last: dict[str, tuple[int, Any]] = {}
                for at, name, source in tree.borrowed.get(key, ()):
                    if at <= version:
                        last[name] = (at, source)
                for name, (at, source) in last.items():
                    if name not in found and name not in changed:
                        if node.is_kept(node.schema.index[name], at, version):
                            found[name] = source
                        else:
                            changed.add(name)
                if tree.base is not None:
                    names = node.schema.index.items()
                    changed |= {n for n, at in names if not node.is_kept(at, start, version)}
            version, tree = min(version, start), tree.base
        return found

    # --- growth and retention ---

    def add_commit(self, commit: tuple[Any, ...]) -> None:
        """Make a version the head, and forget the oldest ones if retention says so.

        Args:
            commit: The fields of a `Commit`; what follows them is for the record log.
        """
        self.head = head = commit[_VERSION]
        self.commits.append(commit)
        self.bytes_kept = kept = self.bytes_kept + (commit[_PAGES_KEPT] << _PAGE_BITS)
        if head - self._oldest >= self._most_versions or kept > self._most_bytes:
            self._retire()
        self.is_storing = False

    @contextlib.contextmanager
    def keeping_all(self) -> Iterator[None]:
        """Let retention wait until the block ends: once is quicker than version by version."""
        most = self._most_versions, self._most_bytes
        self._most_versions = self._most_bytes = sys.maxsize
        try:
            yield
        finally:
            self._most_versions, self._most_bytes = most
            if self.commits:
                self._retire()

    def begin_at(self, version: int) -> None:
        """Let history begin after a version of which the nodes are those of the tree now."""
        self.head = version
        self._oldest = self._uncut = version + 1

    def check(self, changes: Iterable[tuple[Any, Any]]) -> None:
        """Refuse changes that cannot be stored; see `journal/`."""

    def _heads(self) -> int | tuple[Any, ...] | None:
        """Return the heads of this branch and its bases; None if another thread stores a commit."""
        if self.base is None:
            return None if self.is_storing and not self.turn.is_held_here else self.head
        heads = []
        tree: TreeRegistry | None = self
        while tree is not None:
            head = tree._heads() if tree.base is None else tree.head  # noqa: SLF001 - one of ours
            if head is None or (tree.is_storing and not tree.turn.is_held_here):
                return None
            heads.append(head)
            tree = tree.base
        return tuple(heads)

    def note_outputs(self, outputs: tuple[tuple[int, int], ...]) -> None:
        """Note on the newest version what the execution that made it returned."""
        newest = Commit(*self.commits[-1][:_FIELDS])
        rest = self.commits[-1][_FIELDS:]
        self.commits[-1] = (*newest._replace(outputs=outputs), *rest)

    def _retire(self) -> None:
        """Let go of the oldest versions, as retention says."""
        if self.head - self._oldest >= self._most_versions:
            self._let_go(self.head - self._most_versions + 1)
        if self.bytes_kept > self._most_bytes:
            self._shrink(self._most_bytes)
        if self._oldest - self._uncut > _PRUNE_EVERY + (len(self.commits) >> 3):
            self._cut()

    def _let_go(self, oldest: int) -> None:
        """Make versions older than *oldest* unreadable.

        What they need is dropped later, in a slab.
        """
        first = self.commits[0][_VERSION]
        for commit in self.commits[self._oldest - first : oldest - first]:
            self.bytes_kept -= commit[_PAGES_KEPT] << _PAGE_BITS
        self._oldest = oldest

    def _shrink(self, budget: int) -> None:
        """Let go of versions until the estimate is an eighth below the budget.

        So that it is not done at each commit.
        """
        first, kept, oldest = self.commits[0][_VERSION], self.bytes_kept, self._oldest
        while kept > budget - budget // 8 and oldest < self.head:
            kept -= self.commits[oldest - first][_PAGES_KEPT] << _PAGE_BITS
            oldest += 1
        self._let_go(oldest)

    def pin(self, holder: Any, version: int) -> None:
        """Keep *version* readable as long as *holder* lives. Amortised cost: one weak reference."""
        tree = self
        while tree.base is not None and version <= tree.base_version:
            tree = tree.base
        tree.add_pin(weakref.ref(holder))

    def add_pin(self, pin: weakref.ref[Any]) -> None:
        """Keep what a reference points to in mind until it is gone.

        Any thread may do so at any time: if the list was exchanged meanwhile, it is done again.
        """
        if len(self._pins) >= self._max_pins:
            with self._pins_lock:
                self._drop_dead_pins()
        pins = self._pins
        pins.append(pin)
        if pins is not self._pins:
            self.add_pin(pin)

    def _drop_dead_pins(self) -> None:
        """Let go of pins whose holder is gone. Done under the lock of the pins."""
        before, self._pins = self._pins, []
        for each in before:  # also what others added until they see the new list
            if each() is not None:
                self._pins.append(each)
        self._max_pins = max(1024, 2 * len(self._pins))

    def _cut(self) -> None:
        """Drop what only unreadable versions need, as far as no held snapshot or fork reads it.

        Cost: what the dropped versions changed; amortised constant per commit.
        """
        with self._pins_lock:
            self._drop_dead_pins()
            held = [each.pinned_version for pin in self._pins if (each := pin()) is not None]
        floor = min([self._oldest, *held])
        count = floor - self.commits[0][_VERSION]
        touched: dict[Key, None] = {}
        for commit in (Commit(*each[:_FIELDS]) for each in self.commits[:count]):
            for keys in (commit.changed, commit.moved, commit.removed, commit.created):
                touched.update(dict.fromkeys(keys))
        for key in touched:
            self._forget(key, floor)
        del self.commits[:count]
        self._uncut = floor

    def _forget(self, key: Key, floor: int) -> None:
        node: Node | None = self.nodes.get(key)
        if key in self.borrowed:
            later = [each for each in self.borrowed[key] if each[0] > floor]
            kept = self.sources_at(key, floor) if node is not None and not node.removed else {}
            self.borrowed[key] = [(floor, *each) for each in kept.items()] + later
            if not self.borrowed[key]:
                del self.borrowed[key]
        if node is not None and node.removed and node.removed <= floor:
            del self.nodes[key]
        while node is not None:
            node.forget_before(floor, self.branch)
            node = node.parent

    @property
    def pinned_version(self) -> int:
        """Version of the base that a fork keeps readable."""
        return self.base_version


def vars_set(entity: Entity) -> set[str]:
    """Return which of pydantic's slots are set on an object, without loading them."""
    found = set()
    for name in (EXTRA, PRIVATE, FIELDS_SET):
        try:
            object.__getattribute__(entity, name)
        except AttributeError:
            continue
        found.add(name)
    return found


def _present(value: Any, entity: Entity, name: str) -> Any:
    if value is ABSENT:
        raise AttributeError(f"{type(entity).__name__!r} object has no attribute {name!r}")
    return value


def _own(value: Stored, node: Node, up: Cell | None, version: int) -> Stored:
    """Return a fork's own form of a stored value of its base.

    Cells are copied, the rest is shared.
    """
    cls = type(value)
    if cls is ListCell:
        cell: Any = ListCell([], node, up)
        cell.depth, cell.number = value.depth, value.number
        cell.items = [_own(item, node, cell, version) for item in value.at(version)]
        return cell
    if cls is DictCell:
        cell = DictCell({}, node, up)
        cell.depth, cell.number = value.depth, value.number
        cell.items = {
            key: _own(item, node, cell, version) for key, item in value.at(version).items()
        }
        return cell
    if cls is SetCell:
        cell = SetCell({_own(item, node, up, version) for item in value.at(version)}, node, up)
        cell.depth, cell.number = value.depth, value.number
        return cell
    if cls is tuple or cls is frozenset:
        return cls([_own(item, node, up, version) for item in value])
    return value


def _plain_at(value: Stored, version: int) -> Stored:
    """Return a stored value as of *version* with plain containers in place of cells."""
    cls = type(value)
    if cls is ListCell:
        return [_plain_at(item, version) for item in value.at(version)]
    if cls is DictCell:
        return {key: _plain_at(item, version) for key, item in value.at(version).items()}
    if cls is SetCell:
        return set(value.at(version))
    if cls is tuple or cls is frozenset:
        return cls([_plain_at(item, version) for item in value])
    return value


def _plain_keys(value: Stored) -> list[Key]:
    cls = type(value)
    if cls is Key:
        return [value]
    if cls in (list, tuple, set, frozenset):
        return [key for item in value for key in _plain_keys(item)]
    if cls is dict:
        return [key for item in value.values() for key in _plain_keys(item)]
    return []
