"""One random history: the engine on one side, plain objects deep-copied per version on the other.

Every step does the same to both and compares. The plain side uses `copy.deepcopy` and nothing
of the engine.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

from registry import OutputEntity, Ref, Retention, Workspace
from registry.errors import MergeConflictError, StructureError, UndoError, WriteError
from registry.journal.port import Journal
from registry.records import Record
from tests.model import entity_trees, plain_trees
from tests.model.actions import Action, Scene, run
from tests.model.dice import Dice
from tests.model.entity_trees import Node
from tests.model.forms import Reading, is_entity, read, to_plain
from tests.model.programs import EDIT, FAIL, GROW, WORK, Chooser, Tags
from tests.model.survey import everyone, has_cycle, survey
from tests.model.values import Point

CURRENT: dict[str, Any] = {}
"""What the registered functions do next; they take no plain arguments, so nothing is copied."""


def act(root: Node) -> Any:
    """Perform the actions of the moment on the engine's live tree."""
    scene = Scene(root, entity_trees.CLASSES)
    CURRENT["scene"] = scene
    return run(scene, CURRENT["actions"])


def look(root: Node) -> Any:
    """Read the whole live tree from inside an execution; keep its objects."""
    CURRENT["reading"] = read(root)


@dataclasses.dataclass
class Line:
    """One line of versions: what the oracle expects of one branch of one root."""

    ref: Ref
    first: int
    plain: list[Any] = dataclasses.field(default_factory=list)
    readings: list[Reading] = dataclasses.field(default_factory=list)
    ids: list[dict[int, Any]] = dataclasses.field(default_factory=list)
    parent: Line | None = None
    since: int = 0

    @property
    def head(self) -> int:
        """Number of the newest version."""
        return self.first + len(self.plain) - 1


@dataclasses.dataclass
class Held:
    """A snapshot in somebody's hands, and what it must go on showing."""

    snapshot: Any
    expected: Any
    edited: bool = False


class World:
    """A workspace and the oracle's lines beside it."""

    def __init__(
        self,
        growth: Sequence[int],
        retention: Retention | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.retention = retention
        self.journal = journal
        self.open()
        self.tags = Tags()
        self.held: list[Held] = []
        self.leaks: list[Any] = []
        self.content: dict[Any, Any] = {}
        self.over = False
        self.lines: list[Line] = []
        self.lineages: dict[tuple[int, int], Any] = {}
        self.plant(growth)

    def open(self) -> None:
        """Make the workspace, or another one on the same store."""
        self.workspace = Workspace(retention=self.retention, store=self.journal)
        self.workspace.register("act")(act)
        self.workspace.register("look")(look)

    def _step_reopen(self, line: Line, dice: Dice, operations: Sequence[int]) -> None:
        """Another process goes on with what is stored; who has a snapshot keeps it."""
        if self.journal is None:
            return
        records = self.workspace.executions()
        self.workspace.sync()  # failures are recorded, and nobody waits for that
        self.open()
        assert [told(each) for each in self.workspace.executions()] == [*map(told, records)]
        if dice.one_in(2):
            self.check_all()

    def plant(self, growth: Sequence[int], name: str | None = None) -> None:
        """Add a tree that has grown at random."""
        tag = self.tags.next() if self.lines else 0
        plain = plain_trees.Node(tag=tag)
        actions, error = Chooser(Scene(plain, plain_trees.CLASSES), self.tags).program(growth, GROW)
        assert error is None, error
        entity = entity_trees.Node(tag=tag)
        run(Scene(entity, entity_trees.CLASSES), actions)
        assert read(entity).form == read(plain).form
        birth = {tag: e.ecs_id for tag, e in read(entity).entities.items()}
        line = Line(self.workspace.add(entity, name), 1)
        self.lines.append(line)
        self._expect(line, plain)
        assert line.ids[0] == birth, "adoption must keep the ids given out before"
        # What the caller holds is a snapshot of version 1 from now on.
        self.held.append(Held(entity, line.readings[0].form))

    # --- the oracle's side ---

    def _expect(self, line: Line, plain: Any) -> None:
        """Take *plain* as the line's next version, and compare the engine's head with it."""
        plain = copy.deepcopy(plain)
        reading = read(plain)
        reading.entities = {}
        line.plain.append(plain)
        line.readings.append(reading)
        line.ids.append({})
        line.ids[-1] = self._check_version(line, line.head)
        self._check_minimal(line)

    def _check_minimal(self, line: Line) -> None:
        if len(line.plain) < 2:
            return
        before, after = line.readings[-2].forms, line.readings[-1].forms
        ids_before, ids_after = line.ids[-2], line.ids[-1]
        for tag, form in after.items():
            if tag not in before:
                assert ids_after[tag] not in ids_before.values(), f"new entity {tag}: an old ecs_id"
            elif before[tag] == form:
                assert ids_after[tag] == ids_before[tag], f"entity {tag} is unchanged: a new ecs_id"
            else:
                assert ids_after[tag] != ids_before[tag], f"entity {tag} changed: the old ecs_id"

    def _check_version(self, line: Line, version: int) -> dict[int, Any]:
        """Read a version in full, compare values and identities, return its ecs_ids."""
        snapshot = self.workspace.snapshot(line.ref, version)
        found = read(snapshot)
        expected = line.readings[version - line.first]
        assert found.form == expected.form, f"version {version}"
        ids = {tag: entity.ecs_id for tag, entity in found.entities.items()}
        known = line.ids[version - line.first]
        assert not known or ids == known, f"version {version} has other ecs_ids than before"
        assert len(set(ids.values())) == len(ids), "two entities have one ecs_id"
        for tag, entity in found.entities.items():
            assert entity.root_ecs_id == snapshot.ecs_id
            assert entity.version == version
            assert (
                self.content.setdefault(entity.ecs_id, expected.forms[tag]) == (expected.forms[tag])
            ), "one ecs_id names two contents"
            lineage = self.lineages.setdefault((line.ref.root, tag), entity.lineage_id)
            assert entity.lineage_id == lineage, f"the lineage of entity {tag} changed"
        return ids

    def check_head(self, line: Line) -> None:
        """Compare number and content of a line's head."""
        assert self.workspace.head(line.ref) == line.head
        self._check_version(line, line.head)

    def check_working_tree(self, line: Line) -> Reading:
        """Compare what functions see with the oracle."""
        CURRENT.clear()
        self.workspace.execute("look", root=line.ref)
        reading: Reading = CURRENT["reading"]
        assert reading.form == line.readings[-1].form, "the working tree differs from its version"
        assert self.workspace.head(line.ref) == line.head, "reading made a version"
        return reading

    def check_all(self) -> None:
        """Compare everything that there is: every version of every line, every held snapshot."""
        for line in self.lines:
            self.check_working_tree(line)
            assert self.workspace.head(line.ref) == line.head
            for version in range(line.first, line.head + 1):
                self._check_version(line, version)
            numbers = [info.version for info in self.workspace.history(line.ref)]
            assert numbers == sorted(set(numbers))
            assert set(range(line.first, line.head + 1)) <= set(numbers)
            self._check_old_ids(line)
        for held in self.held:
            assert read(held.snapshot).form == held.expected, "a held snapshot changed"

    def _check_old_ids(self, line: Line) -> None:
        if line is not self.lines[0]:
            return  # a detached root and a branch also have what they came from
        root = self.workspace.snapshot(line.ref)
        known: list[Any] = []
        for ids in line.ids:
            ecs_id = ids[root.tag]
            if not known or known[-1] != ecs_id:
                known.append(ecs_id)
        assert root.old_ids == known[:-1]
        assert root.previous_ecs_id == (known[-2] if len(known) > 1 else None)

    # --- steps ---

    def step(self, kind: str, number: int, operations: Sequence[int]) -> None:
        """Do one step of a history."""
        if self.over:
            return
        dice = Dice(number)
        line = dice.of(self.lines)
        getattr(self, f"_step_{kind}")(line, dice, operations)

    def _choose(
        self,
        plain: Any,
        operations: Sequence[int],
        table: Sequence[str],
        dice: Dice,
        *,
        returns: bool = True,
    ) -> tuple[list[Action], Scene, Exception | None, Any]:
        scene = Scene(plain, plain_trees.CLASSES)
        scene.cast = everyone(plain)
        chooser = Chooser(scene, self.tags)
        actions, error = chooser.program(operations, table)
        result = None
        if error is None and returns:
            last = chooser.choose_return(dice)
            if last is not None:
                actions.append(last)
                result = run(scene, [last])
        return actions, scene, error, result

    def _step_run(self, line: Line, dice: Dice, operations: Sequence[int]) -> None:
        self._execute(line, line.ref, line.plain[-1], dice, operations, WORK)

    def _step_fail(self, line: Line, dice: Dice, operations: Sequence[int]) -> None:
        self._execute(line, line.ref, line.plain[-1], dice, operations, FAIL)

    def _execute(
        self,
        line: Line,
        argument: Any,
        plain: Any,
        dice: Dice,
        operations: Sequence[int],
        table: Sequence[str],
    ) -> None:
        plain = copy.deepcopy(plain)
        actions, scene, error, result = self._choose(plain, operations, table, dice)
        problem = "" if error is not None else survey(plain).problem
        tolerated = error is None and has_cycle(plain, scene.cast + scene.built)
        if is_entity(result) and survey(plain, result).problem and not problem:
            # An entity cannot be in the tree and below a result beside it; not tested here.
            actions.pop()
            result = None
        live = self.check_working_tree(line).entities if dice.one_in(3) else None
        failures = len(self.workspace.executions(status="failed"))
        CURRENT.clear()
        CURRENT["actions"] = actions
        try:
            # Every other time as an output entity, if it is plain.
            returned = self.workspace.execute("act", root=argument, raw=line.head % 2 == 0)
        except StructureError:
            assert problem or tolerated, "a sound tree was refused"
            self._failed(line, live, failures)
            return
        except Exception as raised:  # noqa: BLE001 - compared with what plain Python raised
            _same_error(raised, error)
            self._failed(line, live, failures)
            return
        assert error is None, f"plain Python raised {error!r}"
        # Two fields may share a container if each holds what it held before: nothing is to be
        # committed of that. The plain objects go on sharing, so the history ends here.
        assert not problem or "container" in problem, f"not a tree, and not refused: {problem}"
        self.over = bool(problem)
        self._committed(line, plain)
        self._check_result(line, returned, result)

    def _committed(self, line: Line, plain: Any) -> None:
        self.leaks += CURRENT["scene"].leaks
        if read(plain).form != line.readings[-1].form:
            assert self.workspace.head(line.ref) == line.head + 1, "a change made no version"
            self._expect(line, plain)
        else:
            assert self.workspace.head(line.ref) == line.head, "no change made a version"
            self.check_head(line)

    def _failed(self, line: Line, live: dict[int, Any] | None, failures: int) -> None:
        scene = CURRENT.get("scene")
        self.leaks += scene.leaks if scene else []
        assert len(self.workspace.executions(status="failed")) == failures + 1
        self.check_head(line)
        if live is not None:
            again = self.check_working_tree(line).entities
            assert again.keys() == live.keys()
            assert all(again[tag] is live[tag] for tag in live), "rollback made other objects"

    def _check_result(self, line: Line, returned: Any, plain: Any) -> None:
        if isinstance(plain, tuple) and any(is_entity(part) for part in plain):
            assert len(returned) == len(plain)
            for one, other in zip(returned, plain, strict=True):
                self._check_result(line, one, other)
        elif is_entity(plain):
            assert read(returned).form == read(plain).form
            if plain.tag in line.readings[-1].forms:
                assert returned.ecs_id == line.ids[-1][plain.tag]
                assert returned.version == line.head
                # What is returned twice is one object, whose holder writes to it once.
                if all(held.snapshot is not returned for held in self.held):
                    self.held.append(Held(returned, line.readings[-1].forms[plain.tag]))
            else:
                self._new_line(returned, plain)
        elif isinstance(returned, OutputEntity):
            assert returned.value == plain
            assert returned == self.workspace.get(f"@{returned.ecs_id}")
        else:
            assert returned == plain
            assert type(returned) is type(plain)

    def _new_line(self, returned: Any, plain: Any) -> None:
        ref = self.workspace.ref(returned)
        line = Line(ref, self.workspace.head(ref))
        assert returned.is_root_entity()
        assert line.first == 1
        self.lines.append(line)
        self._expect(line, plain)

    # Somebody edits a snapshot and passes it on: the edits are committed first.

    def _step_edit(self, line: Line, dice: Dice, operations: Sequence[int]) -> None:
        snapshot, plain, sound = self._edited(line, line.head, operations)
        if not sound:
            return
        self._pass_on(line, snapshot, plain, dice, operations)

    def _edited(
        self,
        line: Line,
        version: int,
        operations: Sequence[int],
    ) -> tuple[Any, Any, bool]:
        plain = copy.deepcopy(line.plain[version - line.first])
        snapshot = self.workspace.snapshot(line.ref, version)
        actions, scene, error, _ = self._choose(plain, operations, EDIT, Dice(0), returns=False)
        try:
            run(Scene(snapshot, entity_trees.CLASSES), actions)
        except Exception as raised:  # noqa: BLE001 - compared with what plain Python raised
            _same_error(raised, error)
            return snapshot, plain, False
        assert error is None, f"plain Python raised {error!r}"
        if survey(plain).problem or has_cycle(plain, scene.cast + scene.built):
            return snapshot, plain, False
        expected = read(plain)
        assert read(snapshot).form == expected.form, "an edited snapshot shows something else"
        self.check_head(line)
        return snapshot, plain, True

    def _pass_on(
        self,
        line: Line,
        snapshot: Any,
        plain: Any,
        dice: Dice,
        operations: Sequence[int],
    ) -> None:
        changed = read(plain).form != line.readings[-1].form
        CURRENT.clear()
        CURRENT["actions"] = []
        self.workspace.execute("act", root=snapshot)
        assert self.workspace.head(line.ref) == line.head + changed
        if changed:
            self._expect(line, plain)

    # Somebody executes on an old snapshot: a branch begins, its base is undisturbed.

    def _step_stale(self, line: Line, dice: Dice, operations: Sequence[int]) -> None:
        if line.head == line.first:
            return
        version = line.first + dice.below(line.head - line.first)
        snapshot = self.workspace.snapshot(line.ref, version)
        plain = copy.deepcopy(line.plain[version - line.first])
        plain.number += 1
        CURRENT.clear()
        CURRENT["actions"] = [("assign", (), "number", plain.number), ("return", ("path", ()))]
        returned = self.workspace.execute("act", root=snapshot)
        assert read(returned).form == read(plain).form
        assert returned.old_ids[-1] == snapshot.ecs_id
        self.check_head(line)
        branch = self.workspace.ref(returned)
        assert branch != line.ref
        new = Line(branch, self.workspace.head(branch), parent=line, since=version)
        self.lines.append(new)
        self._expect(new, plain)

    def _step_fork(self, line: Line, dice: Dice, operations: Sequence[int]) -> None:
        version = line.first + dice.below(line.head - line.first + 1)
        ref = self.workspace.fork(line.ref, version)
        assert ref.branch != line.ref.branch
        new = Line(ref, self.workspace.head(ref), parent=line, since=version)
        self.lines.append(new)
        self._expect(new, line.plain[version - line.first])
        assert new.ids[0] == line.ids[version - line.first], "a fork must not rename anything"
        self.check_head(line)

    # An older version, or what an execution changed, is brought back.

    def _step_revert(self, line: Line, dice: Dice, operations: Sequence[int]) -> None:
        origin, last = line, line.head
        while origin.parent is not None and dice.one_in(2):
            last = min(last, origin.since)
            origin = origin.parent
        if last < origin.first:
            return
        version = origin.first + dice.below(last - origin.first + 1)
        plain = origin.plain[version - origin.first]

        receipt = self.workspace.revert(line.ref, version)

        assert receipt.changed == 0 or receipt.version == line.head + 1
        self._replaced(line, plain)

    def _replaced(self, line: Line, plain: Any) -> None:
        """Compare the head with what it shall have become."""
        if read(plain).form != line.readings[-1].form:
            assert self.workspace.head(line.ref) == line.head + 1, "a change made no version"
            self._expect(line, plain)
        else:
            assert self.workspace.head(line.ref) == line.head, "no change made a version"
            self.check_head(line)
        self.check_working_tree(line)

    def _step_undo(self, line: Line, dice: Dice, operations: Sequence[int]) -> None:
        if line.head == line.first:
            return
        before = line.plain[-2], line.plain[-1]
        for plain in before:  # and then the undo itself is undone
            self.workspace.undo(self._execution_of(line, line.head))
            self._replaced(line, plain)

    def _execution_of(self, line: Line, version: int) -> str:
        found = {info.version: info.execution_id for info in self.workspace.history(line.ref)}
        return found[version] or ""

    def _step_undo_older(self, line: Line, dice: Dice, operations: Sequence[int]) -> None:
        if line.head - line.first < 2:
            return
        version = line.first + 1 + dice.below(line.head - line.first)
        plain = line.plain[-1]
        try:
            undone = self.workspace.undo(self._execution_of(line, version))
        except UndoError as error:
            later = {each.version for each in error.dependents}
        else:
            later = set()
        if later:
            assert min(later) > version
            assert max(later) <= line.head
            self.check_head(line)
            return
        if undone.changed:
            self._replaced(line, to_plain(self.workspace.snapshot(line.ref)))
            self.workspace.undo(undone.execution_id)
            self._replaced(line, plain)

    # A branch goes its own way, and is merged into the one that it was forked from.

    def _step_merge(self, line: Line, dice: Dice, operations: Sequence[int]) -> None:
        if line.parent is None:
            self._step_fork(line, Dice(0), ())
            line = self.lines[-1]
        into = line.parent
        rule: Any = dice.of(("error", "ours", "theirs"))
        assert into is not None
        if dice.one_in(2):
            self._step_run(line, dice, operations[::2])
            self._step_run(into, dice, operations[1::2])
        else:
            self._step_run(line, dice, operations)
        if self.over:
            return
        is_one_sided = into.head == line.since and into.head - into.first < len(into.plain)
        try:
            result = self.workspace.merge(line.ref, into.ref, on_conflict=rule)
        except MergeConflictError as error:
            conflicts = error.conflicts
        else:
            conflicts = ()
        if conflicts:
            assert not is_one_sided, "a conflict without a second side"
            assert rule == "error" or {each.kind for each in conflicts} == {"lost"}
            self.check_head(into)
            self.check_working_tree(into)
            return
        merged = to_plain(self.workspace.snapshot(into.ref))
        assert not is_one_sided or read(merged).form == line.readings[-1].form
        assert not is_one_sided or not result.resolved
        if result.resolved and result.changed and read(merged).form == into.readings[-1].form:
            self.over = True  # a decision for what the oracle does not see: what a label had set
            return
        self._replaced(into, merged)
        assert self.workspace.merge(line.ref, into.ref).changed == 0, "something was merged twice"
        self.check_head(into)
        self.workspace.merge(into.ref, into=line.ref)
        self._replaced(line, merged)

    # Somebody holds a snapshot, read in part, or writes to it: nobody else notices.

    def _step_hold(self, line: Line, dice: Dice, operations: Sequence[int]) -> None:
        version = line.first + dice.below(line.head - line.first + 1)
        snapshot = self.workspace.snapshot(line.ref, version)
        for name in ("kids", "numbers", "anything", "shelves")[: dice.below(5)]:
            getattr(snapshot, name)
        self.held.append(Held(snapshot, line.readings[version - line.first].form))

    def _step_scribble(self, line: Line, dice: Dice, operations: Sequence[int]) -> None:
        if not self.held:
            return
        held = dice.of(self.held)
        if held.edited:
            return
        held.edited = True
        everything = read(held.snapshot).entities.values()
        for entity in everything:
            entity.number += 100
            entity.point.x += 100
            entity.array[0] = 100
            entity.numbers.append(100)
            entity.table["scribble"] = 100
            entity.marks.add(100)
            entity.points.append(Point(x=100))
        held.expected = read(held.snapshot).form
        held.snapshot.kids.clear()
        held.snapshot.grid.append([])
        held.snapshot.child = None
        held.expected = read(held.snapshot).form

    # A function kept references; writing to them later is refused or harms nobody.

    def _step_haunt(self, line: Line, dice: Dice, operations: Sequence[int]) -> None:
        leaks, self.leaks = self.leaks, []
        live = {
            id(entity): entity
            for each in self.lines
            for entity in self.check_working_tree(each).entities.values()
        }
        for leak in leaks:
            if is_entity(leak):
                must_refuse = id(leak) in live
                refused = [
                    _refused(lambda leak=leak: setattr(leak, "number", -5)),
                    _refused(lambda leak=leak: leak.numbers.append(-5)),
                    _refused(lambda leak=leak: leak.kids.clear()),
                ]
                assert not must_refuse or all(refused), "a write outside an execution got through"
            elif isinstance(leak, list):
                _refused(lambda leak=leak: leak.append(-5))
            elif isinstance(leak, dict):
                _refused(lambda leak=leak: leak.update(a=-5))
            elif isinstance(leak, set):
                _refused(lambda leak=leak: leak.add(-5))
            else:
                leak.x = -5
        for each in self.lines:
            self.check_working_tree(each)
            self.check_head(each)


def told(record: Record) -> Record:
    """Return a record without how long it took, which is stored in whole nanoseconds."""
    return record._replace(run_s=0.0, commit_s=0.0, queued_s=0.0)


def _same_error(raised: Exception, expected: Exception | None) -> None:
    """Let through an error that plain Python raised too; raise any other."""
    if expected is None or (type(raised), raised.args) != (type(expected), expected.args):
        raise raised


def _refused(write: Any) -> bool:
    try:
        write()
    except WriteError:
        return True
    return False
