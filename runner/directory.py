"""Where the roots are: which host houses each, under which names they go, and which were lost.

The one mutable thing of the runner's front: entries come and go as roots are added, are born in
executions, or die with their host.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from registry import Entity, Ref, ids
from registry.errors import IdentityTakenError, NameTakenError
from runner.errors import RootLostError, RootNotFoundError

FIRST_EPOCH = 1
NOWHERE = -1
"""In place of a host: the root is stored, and no host has it yet."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known about one root."""

    root: Ref
    """The very object that every job for this root is sent with, so that a chunk holds it once."""
    host: int
    owner: int
    """Key of the root that its owner was made for: its own, or that of the root that bore it."""
    name: str | None = None
    epoch: int = FIRST_EPOCH

    def __str__(self) -> str:
        address = self.root.address
        return f"root {address}" if self.name is None else f"root {self.name!r} ({address})"

    def lost_error(self) -> RootLostError:
        """Return what to tell who asks for this root after its host died."""
        return RootLostError(str(self), self.root)


class Directory:
    """Maps roots to hosts.

    Every change is one step on a dict, so readers in other threads see all of it or nothing.
    """

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        """By the key of the root; read-only for everybody else."""
        self.targets: dict[Ref | str, Entry] = {}
        """By the ref of the root and by its name; as `entries`, and read on each job."""
        self._names: dict[str, Ref] = {}
        self._addresses: dict[str, Ref] = {}
        self._lost: dict[int, Entry] = {}
        self._root_counts: Counter[int] = Counter()
        self._by_owner: dict[int, dict[int, None]] = {}

    def enter(self, entry: Entry) -> None:
        """Note a root that was added, born in an execution, or is stored."""
        if entry.host != NOWHERE:
            self._root_counts[entry.host] += 1
        self.entries[entry.root.root] = entry
        self._by_owner.setdefault(entry.owner, {})[entry.root.root] = None
        self._addresses[entry.root.address] = entry.root
        if entry.name is not None:
            self._names[entry.name] = entry.root
            self.targets[entry.name] = entry
        self.targets[entry.root] = entry

    def check_name(self, name: str) -> None:
        """Refuse a name that a living root has.

        Raises:
            NameTakenError: One has it.
        """
        taken = self._names.get(name)
        entry = None if taken is None else self.entries.get(taken.root)
        if entry is not None:
            raise NameTakenError(name, str(entry))

    def check_identity(self, entity: Entity) -> None:
        """Refuse an orphan with the identity of a living root.

        Raises:
            IdentityTakenError: It is that root, or a copy of it that kept its identity.
        """
        if entity.is_orphan() and ids.from_uuid(entity.lineage_id).key in self.entries:
            raise IdentityTakenError(f"{type(entity).__name__} {entity.lineage_id}")

    def resolve(self, target: Ref | str) -> Ref:
        """Return the ref that a name, an address or a ref stands for.

        Raises:
            RootNotFoundError: Nothing has that name or address.
        """
        if isinstance(target, Ref):
            return target
        ref = self._names.get(target) or self._addresses.get(target)
        if ref is None:
            raise RootNotFoundError(repr(target))
        return ref

    def entry(self, target: Ref | str) -> Entry:
        """Return the entry of the root that a ref, name or address belongs to.

        Raises:
            RootLostError: Its host died.
            RootNotFoundError: It is not of this runner.
        """
        ref = self.resolve(target)
        entry = self.entries.get(ref.root)
        if entry is not None:
            return entry
        if lost := self._lost.get(ref.root):
            raise lost.lost_error()
        raise RootNotFoundError(ref.address)

    def lose(self, host: int) -> list[Entry]:
        """Note that a host died, and return what was lost with it."""
        gone = [entry for entry in self.entries.values() if entry.host == host]
        for entry in gone:
            self._lost[entry.root.root] = entry
            del self.entries[entry.root.root], self._by_owner[entry.owner][entry.root.root]
            for target in (entry.root, entry.name):
                if target is not None and self.targets.get(target) is entry:
                    del self.targets[target]
        del self._root_counts[host]
        return gone

    def move(self, entries: Iterable[Entry], host: int) -> None:
        """Note that another host has these roots from now on, at the next epoch."""
        for entry in entries:
            if entry.host != NOWHERE:
                self._root_counts[entry.host] -= 1
            moved = replace(entry, host=host, epoch=entry.epoch + (entry.host != NOWHERE))
            self._root_counts[host] += 1
            self.entries[entry.root.root] = self.targets[entry.root] = moved
            if entry.name is not None:
                self.targets[entry.name] = moved

    def of_host(self, host: int) -> list[Entry]:
        """Return the roots that a host has. Cost: all roots."""
        return [entry for entry in self.entries.values() if entry.host == host]

    def of_owner(self, owner: int) -> list[Entry]:
        """Return the roots that an owner has."""
        return [self.entries[root] for root in self._by_owner.get(owner, ())]

    def root_count(self, host: int) -> int:
        """Return how many roots a host houses."""
        return self._root_counts[host]

    def name_of(self, root: Ref) -> str | None:
        """Return the name that a root was added under."""
        entry = self.entries.get(root.root)
        return None if entry is None else entry.name

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self.entries.values()))

    def __len__(self) -> int:
        return len(self.entries)

    def lost_error(self, root: Ref) -> RootLostError:
        """Return what to tell who had work for a root whose host died."""
        lost = self._lost.get(root.root)
        return RootLostError(f"root {root.address}", root) if lost is None else lost.lost_error()


def rootless_owner(host: int) -> int:
    """Return what stands for the key of a root in entries of roots that have no parent."""
    return -1 - host
