"""Transaction: what one execution wrote to one tree, and how it becomes a version or is taken back.

    OPEN -> COMMITTED     plan() found the changes, Changes.apply() stored them as one version
    OPEN -> ROLLED_BACK   the callable raised, or plan() refused the result

`plan` may refuse and changes nothing; `apply` changes the history and cannot fail. Between them an
execution over several trees decides whether all of them commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from registry.changes import Changes, forget_cached, remove_part
from registry.entity import Entity, fill, key_of
from registry.ids import Key
from registry.nesting import Nest
from registry.schema import ABSENT, FIELDS_SET, schema_of
from registry.structure import Structure
from registry.tracking import Tracked, undo
from registry.tree import TreeRegistry

if TYPE_CHECKING:
    from registry.trees import Trees

# What every transaction begins with: most need one of them at most. Replaced on the first write,
# never written.
_NO_WRITES: dict[Key, tuple[Entity, set[str]]] = {}
_NOTHING: list[tuple[Entity, str]] = []


class Transaction:
    """The writes of one open execution to one tree.

    Attributes:
        writes: Entities with fields that were assigned, and the names of those.
        containers: Lists, dicts and sets with a log.
        touched: Opaque values that were handed out: (entity, field).
    """

    __slots__ = ("containers", "touched", "tree", "writes")

    def __init__(self, tree: TreeRegistry) -> None:
        self.tree = tree
        self.writes = _NO_WRITES
        self.containers: list[Tracked] = []
        self.touched = _NOTHING
        tree.txn = self

    @property
    def is_open(self) -> bool:
        """Whether it was neither committed nor rolled back."""
        return self.tree.txn is self

    @property
    def nest(self) -> Nest:
        """What runs inside the execution of this transaction, if that has no other; see `plain`."""
        if self.tree.nest is None:
            self.tree.nest = Nest([self.tree], [self])
        return self.tree.nest

    @property
    def open_txns(self) -> Sequence[Transaction]:
        """The open transactions of the execution of this one."""
        return (self,) if self.tree.nest is None else self.tree.nest.txns

    def is_of(self, trees: Trees) -> bool:
        """Tell whether its tree is one of these."""
        return trees.holds(self.tree)

    def is_trial_of(self, trees: Trees) -> bool:
        """Tell whether its tree stands in for one of these: `plain` runs on no such trees."""
        return False

    def plan(self, now: float) -> Changes | None:
        """Work out what changed; None if nothing did.

        Raises:
            StructureError: The result is not a tree any more.
            UncopyableError: A new value cannot be kept.
            NotJournalableError: The tree has a store, and a new value cannot be written there.
        """
        if not (self.writes or self.containers or self.touched):
            return None
        found = Structure(self, now).made()
        if found is not None and self.tree.is_journaled:
            self.tree.check(found.stored())
        return found

    def close(self) -> None:
        """End the transaction: containers are no longer logged.

        Opaque values no longer handed out.
        """
        for container in self.containers:
            container.log = None
        self.tree.txn = None
        if self.touched:
            self.tree.drop_opaque(self.touched)

    def rollback(self) -> None:
        """Bring the very same objects back to the committed state. Cost: what was written."""
        tree = self.tree
        for container in self.containers:
            restore(tree, container)
        for entity, names in self.writes.values():
            schema = schema_of(type(entity))
            node = tree.node(key_of(entity))
            for name in names:
                if node.opaque and name in node.opaque:
                    self.touched = [*self.touched, (entity, name)]
                elif name in schema.index:
                    value = tree.live_value(node.state[schema.index[name]])
                    fill(entity, schema, name, value)
                    if value is ABSENT:
                        remove_part(entity, name)
            fill(entity, schema, FIELDS_SET, set(node.state[-1]))
            if schema.cached:
                forget_cached(entity)
        self.close()


def restore(tree: TreeRegistry, container: Any) -> None:
    """Bring a live container back to what is stored."""
    cell, log = container.place, container.log
    if container.home is not tree or cell is None:
        return
    if isinstance(container, dict) and any(new is ABSENT for _, _, new in log):
        dict.clear(container)
        dict.update(container, {key: tree.live_value(value) for key, value in cell.items.items()})
        return
    undo(container, log)
    if isinstance(container, list) and len(container) != len(cell.items):
        # Something reached past its methods: the log does not tell all.
        list.__setitem__(container, slice(None), [tree.live_value(item) for item in cell.items])
