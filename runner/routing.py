"""From a job to a row on its way to a host: which root it is for, and what of it is sent.

Decisions only, over the directory and the compiled callables; `dispatcher.py` acts on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from registry import Entity, Ref, RegisteredCallable
from runner.batch import Job
from runner.dependencies import ANY, Owner
from runner.directory import Directory, Entry
from runner.errors import JobError, RootLostError, RootNotFoundError, SeparateOwnersError
from runner.options import ResultOf
from runner.results import holds_result, unknown_result
from runner.wire import Row, Shape

MAX_PLANS = 10_000
"""Shapes that are remembered; an app has dozens, a file of misspelled jobs any number."""


class Plan(NamedTuple):
    """How jobs of one shape are routed; made once per callable and argument names."""

    shape: Shape
    slots: tuple[int, ...]
    """Positions of the values that are entities, or collections of them; not of a bound root."""
    binds_root: bool
    """Whether the job's root goes in front of the values, as the first entity argument."""


class Routing:
    """Turns jobs into rows; safe from several threads.

    Args:
        directory: Where roots are.
        callables: The callables that jobs may name.
    """

    def __init__(self, directory: Directory, callables: Mapping[str, RegisteredCallable]) -> None:
        self._directory = directory
        self._targets = directory.targets
        self._callables = callables
        self._plans: dict[tuple[object, ...], Plan] = {}

    def route(self, job: Job, index: int) -> tuple[Entry | None, Row]:
        """Return where a job goes, None for anywhere, and what is sent.

        Raises:
            JobError: It names a callable that is not registered, or holds what cannot be sent.
            RootNotFoundError: It is for a root that is not here.
            RootLostError: It is for a root whose host died.
            SeparateOwnersError: It is for trees of several owners.

        Cost: one to two microseconds, if its refs are those that `add` returned.
        """
        name, target, arguments, own_id, _ = job
        key = (name, target is None, *arguments)
        plan = self._plans.get(key) or self._make_plan(key, job)
        shape, slots, binds_root = plan
        entry: Entry | None = None
        root: Ref | None = None
        values = (*arguments.values(),)
        if target is not None:
            entry = self._targets.get(target)  # type: ignore[arg-type]  # a ResultOf is not there
            if entry is None:
                entry, root = self._find(target)
            else:
                root = entry.root
            if binds_root:
                values = (root, *values)
        for slot in slots:
            value = values[slot]
            if value is root:
                continue
            # The common case: the very object that `add` returned, and no other root before it.
            if root is None and type(value) is Ref:
                entry = self._targets.get(value)
                if entry is not None and entry.root is value:
                    root = value
                    continue
            entry, root, values = self._resolve(plan, values, target)
            break
        return entry, (shape, root, index, own_id, values)

    def owner(self, job: Job) -> Owner:
        """Return whose a job is; `ANY` if only a result that it waits for says it.

        Raises:
            JobError, RootNotFoundError, RootLostError: As `route`.
        """
        if type(job.root) is ResultOf:
            return ANY
        if job.root is not None:
            return self._find(job.root)[0].owner
        key = (job.callable, True, *job.arguments)
        plan = self._plans.get(key) or self._make_plan(key, job)
        values = [*job.arguments.values()]
        named = [values[slot] for slot in plan.slots]
        for value in named:
            found: list[tuple[Entry, Ref]] = []
            if not holds_result(value):
                self._resolved(value, found)
            if found:
                return found[0][0].owner
        return ANY if any(map(holds_result, named)) else None

    def root_of(self, job: Job) -> Ref | None:
        """Return the root, living or lost, that a job names as its own; None if there is none."""
        target = job.root
        if target is None and isinstance(job.arguments, Mapping):
            target = next((each for each in job.arguments.values() if isinstance(each, Ref)), None)
        try:
            if target is None or isinstance(target, ResultOf):
                return None
            return self._directory.entry(target).root
        except RootLostError as exc:
            return exc.root
        except (RootNotFoundError, TypeError):
            return None

    def _make_plan(self, key: tuple[object, ...], job: Job) -> Plan:
        registered = self._callables.get(job.callable)
        if registered is None:
            known = ", ".join(sorted(self._callables)[:8]) or "none"
            problem = f"is not registered (registered: {known})"
            raise JobError(f"callable {job.callable!r}", problem)
        takes = [each.name for each in registered.parameters if each.entities]
        holds = [each.name for each in registered.parameters if each.holds_entities]
        names = (*job.arguments,)
        binds_root = job.root is not None and bool(takes) and takes[0] not in names
        if binds_root:
            names = (takes[0], *names)
        first = 1 if binds_root else 0  # the job's root needs no second look
        slots = [
            slot for slot, name in enumerate(names) if slot >= first and name in {*takes, *holds}
        ]
        if len(self._plans) >= MAX_PLANS:
            self._plans.clear()
        plan = self._plans[key] = Plan((job.callable, names), tuple(slots), binds_root)
        return plan

    def _find(self, target: Ref | str | ResultOf) -> tuple[Entry, Ref]:
        """Return the entry of what a ref, name or address names, and the ref to send."""
        if isinstance(target, ResultOf):
            raise unknown_result(target)
        entry = self._directory.entry(target)
        # The directory's own object where it means the same: a chunk then holds it once.
        if isinstance(target, Ref) and target != entry.root:
            return entry, target
        return entry, entry.root

    def _resolve(
        self, plan: Plan, values: Sequence[Any], target: Ref | str | ResultOf | None
    ) -> tuple[Entry | None, Ref | None, tuple[Any, ...]]:
        """Find every root that the values name, and put refs in place of names."""
        found = [] if target is None else [self._find(target)]
        resolved = list(values)
        for slot in plan.slots:
            resolved[slot] = self._resolved(values[slot], found)
        for entry, _ in found[1:]:
            if entry.owner != found[0][0].owner:
                raise SeparateOwnersError(plan.shape[0], str(found[0][0]), str(entry))
        if not found:
            return None, None, tuple(resolved)
        entry, ref = found[0]
        return (
            entry,
            entry.root if ref.branch == entry.root.branch else ref.root_ref,
            tuple(resolved),
        )

    def _resolved(self, value: Any, found: list[tuple[Entry, Ref]]) -> Any:
        if isinstance(value, ResultOf):
            raise unknown_result(value)
        if isinstance(value, Ref | str):
            return self._resolved_name(value, found)
        if isinstance(value, Entity):
            return _checked_orphan(value)
        if isinstance(value, Mapping):
            return {key: self._resolved(item, found) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._resolved(item, found) for item in value]
        return value

    def _resolved_name(self, value: Ref | str, found: list[tuple[Entry, Ref]]) -> Ref | str:
        try:
            entry, ref = self._find(value)
        except RootNotFoundError:
            # An address of an entity inside the tree: the host of the job's root knows it.
            if found and isinstance(value, str) and value.startswith("@"):
                return value
            raise
        found.append((entry, ref))
        return ref


def _checked_orphan(entity: Entity) -> Entity:
    if entity.is_orphan():
        return entity
    subject = f"a snapshot of {type(entity).__name__} at version {entity.version}"
    raise JobError(
        subject, "cannot be sent; pass its ref, Runner.ref(snapshot), which means the head"
    )
