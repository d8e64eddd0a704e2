"""Replay: a recorded execution run again on its recorded inputs, and compared; nothing is stored.

    record ── arguments, versions before ──> forks of the input trees, held by nobody
                                                │ the callable runs, in the caller's thread
    Replay <── differences <── compared with the versions after <──┘

The forks have the numbers of the branches that were executed on, so whatever depends on identity
finds what it found then; they stand in for the trees as in a dry run (`trial.py`), also for what
the callable executes, and are dropped in the end. New entities have other identities: those at
the same places are taken for the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from registry import ids
from registry.address import Ref
from registry.callables import RegisteredCallable
from registry.config_store import ConfigStore
from registry.copies import clone
from registry.entity import Entity, key_of
from registry.errors import ReplayError
from registry.execution import EDITS, Execution, Form, Setting
from registry.history import Stored
from registry.ids import Key
from registry.kept import is_text_only, shown, unpack
from registry.outputs import OutputEntity
from registry.readable import comparable, readable
from registry.records import Packed, Record, RecordLog, TreeVersions, values_of
from registry.records import unpack as unpack_record
from registry.retention import Retention
from registry.schema import EXTRA, FIELDS_SET
from registry.semantics import present
from registry.snapshot import Snapshot
from registry.tree import TreeRegistry
from registry.trees import Trees
from registry.trial import TrialTrees
from registry.values import same_value

_EVERYTHING = Retention(versions=None, memory_bytes=None)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that came out otherwise than it was recorded.

    Attributes:
        what: `status`, `error`, `semantic`, `outputs`, `entity` or `field`.
        ref: The entity, of an entity or field.
        field: The field, of a field.
        recorded: What the record or the history says.
        replayed: What came out now.
    """

    what: str
    ref: Ref | None
    field: str
    recorded: Any
    replayed: Any

    def __str__(self) -> str:
        where = f" {self.field!r}" if self.field else ""
        whose = f" of {self.ref.address}" if self.ref is not None else ""
        return f"{self.what}{where}{whose}: was {self.recorded!r}, is {self.replayed!r}"


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of a recorded execution when it was run again.

    Attributes:
        record: The record.
        value: What the callable returned now; entities as orphans, copies of what it made.
        error: What it raised now, with its traceback; None if it returned.
        differences: What came out otherwise. A plain value that was returned is not recorded, and
            so not compared.
    """

    record: Record
    value: Any
    error: Exception | None
    differences: tuple[Difference, ...]

    @property
    def is_equal(self) -> bool:
        """Whether it came out as recorded."""
        return not self.differences

    def __str__(self) -> str:
        number, name = self.record.execution_id, self.record.callable_name
        if self.is_equal:
            return f"execution {number} ({name}) comes out as recorded: {self.record.status}"
        lines = "".join(f"\n  {each}" for each in self.differences)
        return f"execution {number} ({name}) comes out otherwise:{lines}"


def replay(
    setting: Setting,
    registered: RegisteredCallable,
    packed: Packed,
    given: Mapping[str, Any],
) -> Replay:
    """Run an execution again; see `Workspace.replay`."""
    record = unpack_record(packed)
    stage = _Stage(setting, registered, record, given)
    arguments = _arguments(stage, registered, values_of(packed), given)
    scratch = setting._replace(
        trees=stage.trees,
        records=RecordLog(1),
        clock=lambda: record.started,
        on_stale="head",
        configs=ConfigStore(stage.trees, setting.trees.retention.configs),
    )
    # A plain result that its caller got as an output entity is one again.
    form: Form = "entities" if _made_output(setting.trees, record) else "raw"
    execution = Execution(scratch, registered, record.execution_id, form)
    error: Exception | None = None
    try:
        if registered.is_async:
            execution.run_in_loop(arguments)
        else:
            execution.run(arguments)
    except Exception as raised:  # noqa: BLE001 - it is what became of the replay
        error = raised
    if isinstance(error, ReplayError) or (error is not None and not len(scratch.records)):
        raise error  # the replay itself cannot be done
    (now,) = scratch.records.select()  # after those of what it ran inside
    differences = tuple(_compared(stage, record, now, setting.trees))
    value = None if error is not None else present(execution.snapshots(), _orphan)
    return Replay(record, value, error, differences)


def _orphan(entity: Entity) -> Entity:
    """Return a copy that belongs to no tree: those of the replay are nobody's."""
    return clone(entity, keep_identity=False)


# --- the inputs again ---


class _Stage:
    """The trees of an execution as they were before it, to run on.

    Attributes:
        trees: Forks of the input trees, by the root and branch that were executed on.
        versions: Those versions of the record that there are forks of.
        inputs: The entities given to each parameter, in order.
    """

    def __init__(
        self,
        setting: Setting,
        registered: RegisteredCallable,
        record: Record,
        given: Mapping[str, Any],
    ) -> None:
        self.record = record
        self.trees = TrialTrees(setting.trees)
        self.versions: list[TreeVersions] = []
        for each in record.trees:
            source = _source(setting.trees, record, each)
            if source is not None:
                self.versions.append(each)
                self.trees.hold(_forked(source, each))
        borrowed = {(source.parameter, source.key) for source in record.sources}
        self.inputs: dict[str, list[Ref | Entity]] = {}
        for parameter, key in record.inputs:
            if parameter in given:
                continue
            if parameter in registered.config_parameters:
                config = setting.trees.held(key, 0)
                if config is not None and (parameter, key) not in borrowed:
                    shown = Snapshot.of(config, 1).entity(config.key)
                    self.inputs[parameter] = [_orphan(shown)]
            elif (parameter, key) not in borrowed:
                self.inputs.setdefault(parameter, []).append(self._ref(parameter, key))

    def own(self, value: Any) -> Any:
        """Return an argument with nothing in it that belongs to a tree other than the forks."""

        def replaced(entity: Entity) -> Any:
            home = entity.__home__
            if home is None:
                return entity
            source = home.source if isinstance(home, Snapshot) else home
            where = source.key, getattr(source, "branch", 0)
            is_input = where in self.trees.by_root
            return (
                Ref(where[0], ids.plain(key_of(entity)), where[1]) if is_input else _orphan(entity)
            )

        return present(value, replaced)

    def _ref(self, parameter: str, key: int) -> Ref:
        """Return the ref that means an input among the forks."""
        found = [
            each
            for each in self.versions
            if self.trees.by_root[each.root, each.branch].contains(ids.plain(key), each.before)
        ]
        if not found:
            raise ReplayError(
                self.record.execution_id,
                f"its argument {parameter!r} was an orphan that is not kept as a root",
                f"give it: replay(..., arguments={{{parameter!r}: ...}})",
            )
        if len(found) > 1 and len(self.record.inputs) > 1:
            raise ReplayError(
                self.record.execution_id,
                f"its input {parameter!r} was in two branches of one tree, and nothing tells which",
                "execute it on a fork",
            )
        # An outdated snapshot: the branch that was begun for it comes before the one that it is of.
        return Ref(Key(found[0].root), Key(key), found[0].branch)


def _source(trees: Trees, record: Record, versions: TreeVersions) -> TreeRegistry | None:
    """Return the tree that has the version on which an execution ran.

    None for an orphan that it did not make a root of.
    """
    alike = [each.branch for each in record.trees if each.root == versions.root]
    for branch in (versions.branch, *alike):
        tree = trees.held(versions.root, branch)
        if tree is not None and tree.head >= versions.before:
            tree.check_version(versions.before)
            return tree
    return None


def _forked(tree: TreeRegistry, versions: TreeVersions) -> TreeRegistry:
    while tree.base is not None and versions.before <= tree.base_version:
        tree = tree.base
    forked = TreeRegistry(
        tree.key,
        _EVERYTHING,
        branch=versions.branch,
        base=tree,
        base_version=versions.before,
    )
    forked.is_trial = True
    tree.pin(forked, versions.before)
    return forked


def _arguments(
    stage: _Stage,
    registered: RegisteredCallable,
    kept: Mapping[str, Any],
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the arguments of an execution again."""
    number = stage.record.execution_id
    for name in given:
        if name not in registered.by_name:
            known = ", ".join(registered.by_name) or "none"
            raise ReplayError(number, f"its callable has no parameter {name!r}", f"it has: {known}")
    arguments = {name: stage.own(value) for name, value in given.items()}
    if kept.get(EDITS):
        raise ReplayError(
            number,
            "it was given a snapshot that its holder had edited, and no record keeps the edits",
            "see changes(...) for what it committed",
        )
    for name, packed in kept.items():
        if name in given:
            continue
        inputs = iter(stage.inputs.get(name, ()))
        if is_text_only(packed):
            raise ReplayError(
                number,
                f"its argument {name!r} was kept as text only: {shown(packed)}",
                f"give it: replay(..., arguments={{{name!r}: ...}})",
            )
        parameter = registered.by_name.get(name)
        try:
            if parameter is not None and (parameter.entities or parameter.configs):
                arguments[name] = next(inputs, None) if packed is None else next(inputs)
            else:
                arguments[name] = unpack(packed, lambda inputs=inputs: next(inputs))  # type: ignore[misc]  # the loop's own
        except StopIteration:
            raise ReplayError(
                number,
                f"its argument {name!r} was an entity, and nothing tells which",
                f"give it: replay(..., arguments={{{name!r}: ...}})",
            ) from None
    return arguments


# --- what came out ---


def _compared(stage: _Stage, record: Record, now: Record, trees: Trees) -> Iterator[Difference]:
    """Yield what differs between a record, with the versions that it tells of, and its replay."""
    for what in ("status", "semantic"):
        before, after = getattr(record, what), getattr(now, what)
        if before != after:
            yield Difference(what, None, "", before, after)
    before, after = _error_text(record), _error_text(now)
    if before != after:
        yield Difference("error", None, "", before, after)
    if record.status == now.status == "ok":
        matching = _Matching()
        for each in stage.versions:
            source = trees.held(each.root, each.branch)
            fork = stage.trees.by_root[each.root, each.branch]
            old = _View(source or fork, each.after if source else each.before, each.before)
            yield from matching.compare(old, _View(fork, fork.head, each.before))
        yield from _compared_outputs(matching, stage, record, now, trees)


def _error_text(record: Record) -> str:
    return f"{record.error_type}: {record.error}" if record.error_type else ""


def _compared_outputs(
    matching: _Matching, stage: _Stage, record: Record, now: Record, trees: Trees
) -> Iterator[Difference]:
    """Compare the entities returned, and the trees of those that became roots."""
    if len(record.outputs) != len(now.outputs):
        yield Difference("outputs", None, "", len(record.outputs), len(now.outputs))
        return
    pairs = list(zip(record.outputs, now.outputs, strict=True))
    # The new roots first: what is below one of them is known by it.
    pairs.sort(key=lambda pair: _root(trees, pair[0][0]) is None)
    for (old_key, _), (new_key, _) in pairs:
        if old_key == new_key or matching.pairs.get(ids.plain(old_key)) == new_key:
            continue
        old_tree, new_tree = _root(trees, old_key), _root(stage.trees, new_key)
        if old_tree is None and new_tree is not None and _is_output(new_tree):
            continue  # of the value of a plain result only the newest are kept
        if (
            old_tree is None
            or new_tree is None
            or old_tree.class_of(old_tree.key) is not (new_tree.class_of(new_tree.key))
        ):
            what = [ids.to_uuid(key, stamp) for key, stamp in record.outputs]
            found = [ids.to_uuid(key, stamp) for key, stamp in now.outputs]
            yield Difference("outputs", None, "", what, found)
            return
        old_tree.check_version(1)
        matching.pair(old_tree.key, new_tree.key)
        yield from matching.compare(_View(old_tree, 1, 0), _View(new_tree, 1, 0))


def _made_output(trees: Trees, record: Record) -> bool:
    """Tell whether a plain result may have been told as an output entity.

    Not if all outputs are known to be something else, as what was detached.
    """
    found = [_root(trees, key) for key, _ in record.outputs]
    return any(tree is None or _is_output(tree) for tree in found)


def _root(trees: Trees, key: int) -> TreeRegistry | None:
    return trees.held(key, 0) or trees.outputs.peek(key)


def _is_output(tree: TreeRegistry) -> bool:
    return issubclass(tree.class_of(tree.key), OutputEntity)


class _View:
    """One version of a tree, and which of its entities are newer than another version."""

    def __init__(self, tree: TreeRegistry, version: int, since: int) -> None:
        self.tree = tree
        self.version = version
        self.named: dict[Key, None] = {}
        for number in range(since + 1, version + 1):
            commit = tree.commit_of(number)
            assert commit is not None, "the version is kept, and so is how it was made"
            for keys in (commit.changed, commit.created, commit.moved):
                self.named.update(dict.fromkeys(map(ids.plain, keys)))
        self.since = since

    def is_new(self, key: Key) -> bool:
        """Tell whether an entity was not in the tree at the other version."""
        return self.since < 1 or not self.tree.contains(key, self.since)

    def has(self, key: Key) -> bool:
        """Tell whether an entity is in the tree."""
        return self.tree.contains(key, self.version)

    def as_ref(self, key: Key) -> Ref:
        """Return the ref of an entity."""
        return Ref(self.tree.key, ids.plain(key), self.tree.branch)


class _Matching:
    """Which new entity of a replay stands for which new one of the history.

    Attributes:
        pairs: By the key in the history, the key in the replay.
    """

    def __init__(self) -> None:
        self.pairs: dict[Key, Key] = {}
        self._taken: set[Key] = set()
        self._queue: list[tuple[Key, Key]] = []

    def pair(self, old: Key, new: Key) -> None:
        """Take two new entities for the same."""
        self.pairs[ids.plain(old)] = ids.plain(new)
        self._taken.add(ids.plain(new))
        self._queue.append((old, new))

    def compare(self, old: _View, new: _View) -> Iterator[Difference]:
        """Yield the fields that differ, of entities that either execution touched."""
        for key in (*old.named, *new.named):
            if not old.is_new(key) and not new.is_new(key) and old.has(key) and new.has(key):
                self._queue.append((key, key))
        seen = set()
        while self._queue:
            pair = self._queue.pop(0)
            if pair not in seen:
                seen.add(pair)
                yield from self._fields(*pair, old, new)

    def _fields(self, a: Key, b: Key, old: _View, new: _View) -> Iterator[Difference]:
        schema, before = old.tree.state_at(a, old.version)
        _, after = new.tree.state_at(b, new.version)
        for name, x, y in zip(schema.names, before, after, strict=True):
            if name != FIELDS_SET and not self._match(x, y, old, new):
                field = "model_extra" if name == EXTRA else name
                shown_old, shown_new = readable(x, old.as_ref), readable(y, new.as_ref)
                yield Difference("field", old.as_ref(a), field, shown_old, shown_new)

    def _match(self, x: Stored, y: Stored, old: _View, new: _View) -> bool:
        """Tell whether two stored values are the same, up to the identity of new entities."""
        cls = type(x)
        if cls is not type(y):
            return False
        if cls is Key:
            return self._match_entities(x, y, old, new)
        if cls in (list, tuple):
            return len(x) == len(y) and all(
                self._match(one, other, old, new) for one, other in zip(x, y, strict=True)
            )
        if cls is dict:
            return same_value(list(x), list(y)) and all(
                self._match(one, other, old, new)
                for one, other in zip(x.values(), y.values(), strict=True)
            )
        if cls in (set, frozenset):
            return self._match_sets(x, y, old, new)
        return same_value(comparable(x), comparable(y))

    def _match_entities(self, a: Key, b: Key, old: _View, new: _View) -> bool:
        if a == b:
            return True
        if a in self.pairs or b in self._taken:
            return self.pairs.get(a) == b
        if not (old.is_new(a) and new.is_new(b)):
            return False
        if old.tree.class_of(a) is not new.tree.class_of(b):
            return False
        self.pair(a, b)
        return True

    def _match_sets(self, x: Any, y: Any, old: _View, new: _View) -> bool:
        """Match sets: they have no places, so new entities are matched by their own content."""
        ours, theirs = ({each for each in items if type(each) is Key} for items in (x, y))
        if len(x) != len(y) or not same_value(x - ours, y - theirs):
            return False
        left = sorted(theirs - ours)
        for key in sorted(ours - theirs):
            wanted = _content(old, key)
            alike = [each for each in left if same_value(_content(new, each), wanted)]
            if not alike or not self._match_entities(key, alike[0], old, new):
                return False
            left.remove(alike[0])
        return not left


def _content(view: _View, key: Key) -> Any:
    """Return what an entity holds, without the identity of others."""
    schema, state = view.tree.state_at(key, view.version)
    parts = zip(schema.names, state, strict=True)
    return schema.cls.__qualname__, [
        readable(each, lambda _: "entity") for name, each in parts if name != FIELDS_SET
    ]
