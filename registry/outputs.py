"""Outputs: the plain results of executions as entities, made into trees when somebody asks.

What a callable returned that is no entity reaches the caller as the `value` of an output entity: a
snapshot of a root that has an id and says where it comes from. Most of them are read once and
forgotten, so only the value is kept at first, in a bounded log, and the tree is built for whoever
asks for the root: by ref, by address, or as an argument.
"""

from __future__ import annotations

import functools
import re
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import create_model

from registry import ids
from registry.adoption import adopt
from registry.changeset import Commit
from registry.entity import Entity, Identity, new_ghost, set_key
from registry.history import Stored
from registry.ids import Key
from registry.retention import Retention
from registry.snapshot import Snapshot
from registry.tree import TreeRegistry
from registry.values import ATOM, KIND

_VALUE = 0
"""Position of the value in the state of an output entity; what follows is the set of set fields."""
_FIELDS_SET = frozenset({"value"})


class OutputEntity(Entity):
    """What an execution returned, if that is no entity and holds none.

    Each callable has a subclass of its own, `<Name>Output`.

    Attributes:
        callable_name: Registered name of the callable.
        value: What it returned; the reader's own copy.
    """

    callable_name: ClassVar[str] = ""
    value: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what pickle stores: the class of a callable is made anew from its name."""
        return _blank, (self.callable_name,), self.__getstate__()


@functools.cache
def output_class(name: str) -> type[OutputEntity]:
    """Return the class of what a callable returns; the same one for the same name."""
    words = "".join(each[:1].upper() + each[1:] for each in re.split(r"[\W_]+", name))
    title = words if words.isidentifier() else f"Callable{words}"
    cls = create_model(
        f"{title}Output",
        __base__=OutputEntity,
        __module__=__name__,
        __doc__=f"What {name!r} returned.",
    )
    cls.callable_name = name
    return cls


def _blank(name: str) -> OutputEntity:
    cls = output_class(name)
    return cls.__new__(cls)


class PendingOutput:
    """An output entity of which nobody has asked for the tree yet: what its snapshots read from.

    Attributes:
        key: The entity.
        log: Where it is kept.
    """

    __slots__ = ("_made", "_name", "_number", "_tree", "_value", "key", "log")

    def __init__(
        self,
        log: OutputLog,
        name: str,
        number: int | str,
        value: Any,
        made: float,
        key: Key | None = None,
    ) -> None:
        self.key = ids.new_key() if key is None else key
        self.log = log
        self._name = name
        self._number = number
        self._value = value
        self._made = made
        self._tree: TreeRegistry | None = None

    @property
    def told(self) -> tuple[str, int | str, Any, float]:
        """Name of the callable, execution, value, time; before it has a tree."""
        return self._name, self._number, self._value, self._made

    @property
    def is_built(self) -> bool:
        """Whether it has a tree."""
        return self._tree is not None

    @property
    def key_and_stamp(self) -> tuple[int, int]:
        """What a record keeps of it."""
        return ids.plain(self.key), ids.BIRTH

    def shown(self) -> Entity:
        """Return a snapshot of it."""
        return new_ghost(output_class(self._name), Snapshot(self, 1), self.key)

    def tree(self) -> TreeRegistry:
        """Return its tree, built when it is first asked for."""
        with self.log.mutex:
            if self._tree is None:
                self._tree = self._build()
                self._value = None
            return self._tree

    def _build(self) -> TreeRegistry:
        root = output_class(self._name).model_construct(value=self._value)
        set_key(root, self.key)
        tree = TreeRegistry(self.key, self.log.retention)
        tree.output = self
        tree.nodes = adopt(root, self._made).nodes
        parts = ((), (), (), (), ())
        tree.add_commit(tuple(Commit(1, self._made, self._number, self._name, *parts, 0)))
        return tree

    # --- what a snapshot reads from ---

    def class_of(self, key: Key) -> type[Entity]:
        """Return the class of the callable's outputs."""
        return output_class(self._name)

    def field_at(self, key: Key, version: int, index: int) -> Stored:
        """Return the value, or the set of set fields; an atom needs no tree."""
        if index != _VALUE:
            return _FIELDS_SET
        value = self._value
        if self._tree is None and KIND[type(value)] == ATOM:
            return value
        return self.tree().field_at(key, version, index)

    def stamp_of(self, key: Key, version: int) -> int:
        """Return the stamp of an entity as it was born."""
        return ids.BIRTH

    def describe(self, key: Key, version: int) -> Identity:
        """Return identity and provenance."""
        return self.tree().describe(key, version)


class OutputLog:
    """The newest output entities of a workspace; safe from several threads.

    Args:
        retention: How many are kept, and how much history the tree of each may have.
        hold: Holds the tree of one that somebody asks for.
        let_go: Holds it no longer, unless something was made of it.
    """

    def __init__(
        self,
        retention: Retention,
        hold: Callable[[TreeRegistry], object],
        let_go: Callable[[TreeRegistry], None],
    ) -> None:
        self.retention = retention
        self.mutex = threading.Lock()
        self._most = retention.outputs
        self._hold = hold
        self._let_go = let_go
        self._by_key: dict[int, PendingOutput] = {}
        self._order: deque[int] = deque()

    def __len__(self) -> int:
        return len(self._by_key)

    def keep(self, name: str, number: int | str, value: Any, now: float) -> PendingOutput:
        """Keep what an execution returned, which nobody else may hold. About 1 us."""
        pending = self.make(name, number, value, now)
        self.enter(pending)
        return pending

    def make(self, name: str, number: int | str, value: Any, now: float) -> PendingOutput:
        """Make what `keep` keeps, for an execution whose commit is still to come."""
        return PendingOutput(self, name, number, value, now)

    def find(self, key: int) -> TreeRegistry | None:
        """Return the tree of an output entity, held from now on; None if none is kept here."""
        tree = self.peek(key)
        if tree is not None:
            self._hold(tree)
        return tree

    def peek(self, key: int) -> TreeRegistry | None:
        """Return the tree of an output entity for a look at it; None if none is kept here."""
        pending = self._by_key.get(key)
        return None if pending is None else pending.tree()

    def forget(self, key: int) -> None:
        """Keep an output entity no longer, if it is one."""
        self._by_key.pop(key, None)

    def settle(self, snapshot: Snapshot) -> None:
        """Let a snapshot of an output entity read from its tree, which is held from now on.

        Also of one that is no longer kept: who has a snapshot may go on with it.
        """
        source: Any = snapshot.source
        pending = source if isinstance(source, PendingOutput) else getattr(source, "output", None)
        if pending is None:
            return
        tree = pending.tree()
        is_ours = pending.log is self and not tree.turn.is_closed
        if is_ours and (tree is not source or tree.head == 1):
            if pending.key not in self._by_key:
                self.enter(pending)
            self._hold(tree)
        if tree is not source:
            snapshot.source = tree
            tree.pin(snapshot, snapshot.version)

    def enter(self, pending: PendingOutput) -> None:
        """Keep an output entity, and let go of the oldest one."""
        self._by_key[pending.key] = pending
        self._order.append(pending.key)
        if len(self._order) > self._most:
            oldest = self._by_key.pop(self._order.popleft(), None)
            if oldest is not None and oldest.is_built:
                self._let_go(oldest.tree())
