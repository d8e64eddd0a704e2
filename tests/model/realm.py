"""A random history over several trees: every kind of argument, result and execution inside.

`world.py` compares one tree at a time; here a call goes through several, and all that became of
it is compared: heads, versions, ids, new roots, branches, results, records, what listeners heard.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from registry import Address, ConfigEntity, OutputEntity, Ref, Retention, parse_address
from registry.errors import PrunedError, ReplayError, UndoError
from registry.events import EntityVersioned, ExecutionStarted, RegistryEvent
from registry.feed import Cursor
from registry.journal.port import Journal
from tests.model import entity_trees, plain_trees
from tests.model.actions import HalfWayError
from tests.model.authors import NAMES, Author, Stage
from tests.model.calls import Call, Target, entities_of, shown, steps
from tests.model.dice import Dice
from tests.model.entity_trees import Node
from tests.model.forms import read, to_plain
from tests.model.survey import Path, everyone, resolve, survey
from tests.model.world import Held, Line, World

CLASSES = entity_trees.CLASSES
NAMED = frozenset(NAMES)
GATHERED = ("one", "aone", "aone", "valued", "configured", "blocking")


class Gauge(ConfigEntity):
    """How much to append."""

    by: int = 1


class Tally(Node):
    """What the listeners write to."""


class Realm(World):
    """Several roots of a workspace, and the oracle's lines beside them.

    Args:
        growths: How each root grows.
        listens: Whether somebody listens, and executes whenever a tree got a version.
        versions: How many versions are retained.
        journal: Where the workspace is stored, if it is.
    """

    def __init__(
        self,
        growths: Sequence[Sequence[int]],
        *,
        listens: bool,
        versions: int | None,
        journal: Journal | None = None,
    ) -> None:
        self.kin: dict[Any, dict[int, Any]] = {}
        self.versions = versions
        self.calls: list[Call] = []
        super().__init__(growths[0], Retention(versions=versions), journal)
        for number, growth in enumerate(growths[1:]):
            self.plant(growth, f"root{number}")
        self.orphans: dict[int, Any] = {}
        self.dropped = False
        self.ticks = 0
        self.tally: Ref | None = None
        self.cursor: Cursor | None = None
        self.heard: list[Any] = []
        if listens:
            self._listen()

    def open(self) -> None:
        """Make the workspace, or another one on the same store."""
        super().open()
        self._register()

    def _register(self) -> None:
        for name, function in (*functions(self), *coroutines(self)):
            self.workspace.register(name, blocking=name == "blocking", read_only=name == "peek")(
                function
            )

    def _listen(self) -> None:
        workspace = self.workspace
        self.tally = workspace.add(Tally(tag=-1))
        self.cursor = workspace.event_cursor()

        @workspace.register("tick")
        def tick(tally: Tally) -> None:
            tally.number += 1

        @workspace.on(EntityVersioned)
        def count(event: EntityVersioned) -> None:
            if event.entity_type != "Tally":
                self.ticks += 1
                workspace.execute("tick", tally=self.tally)

        workspace.on(RegistryEvent, handler=self.heard.append, priority=1)

    # --- performing ---

    def perform(self, entities: Sequence[Any], number: int) -> Any:
        """Run a call on live entities, and what is inside it as executions."""
        work = steps(entities, self.calls[number], CLASSES)
        try:
            inner, frame = next(work)
            while True:
                try:
                    answer = self.workspace.execute(inner.name, **self._arguments(inner, frame))
                except HalfWayError as error:
                    raised = error
                else:
                    inner, frame = work.send(self._raw(answer))
                    continue
                inner, frame = work.throw(raised)
        except StopIteration as end:
            return end.value

    async def aperform(self, entities: Sequence[Any], number: int) -> Any:
        """Run a call as `perform`, giving way to others before each execution inside."""
        work = steps(entities, self.calls[number], CLASSES)
        await asyncio.sleep(0)
        try:
            inner, frame = next(work)
            while True:
                await asyncio.sleep(0)
                try:
                    arguments = self._arguments(inner, frame)
                    answer = await self.workspace.aexecute(inner.name, **arguments)
                except HalfWayError as error:
                    raised = error
                else:
                    inner, frame = work.send(self._raw(answer))
                    continue
                inner, frame = work.throw(raised)
        except StopIteration as end:
            return end.value

    def _arguments(self, call: Call, frame: Sequence[Any] = ()) -> dict[str, Any]:
        given = [
            resolve(frame[each.line], each.path) if each.how == "live" else each.given
            for each in call.targets
        ]
        if call not in self.calls:
            self.calls.append(call)
        arguments = shape_of(call.name, given) | {"call": self.calls.index(call)}
        if "value" in call.extra:
            arguments["value"] = call.extra.get("address", copy.deepcopy(call.extra["value"]))
        if "gauge" in call.extra:
            how, by = call.extra["gauge"]
            arguments |= {"object": {"gauge": Gauge(by=by)}, "field": {"by": by}, "none": {}}[how]
        return arguments

    # --- what is given ---

    def _enter(self, lines: Sequence[Line]) -> Callable[[Author, Dice], Any]:
        """Return what gives entities of some lines to outermost calls."""
        shots: dict[int, Any] = {}
        edited: set[Any] = set()
        named: list[Line] = []

        def enter(author: Author, dice: Dice) -> Any:
            line = dice.of(lines)
            stage = author.stage
            key = ("line", id(line))
            author.old |= read(line.plain[-1]).forms.keys()
            author.lineages[key] = line.ref.root
            author.lineages |= {(each, id(line)): line.ref.root for each in ("line", "stale")}
            kind = dice.of(("ref", "id", "address", "child", "stale", "edited", "orphan", "child"))
            if kind == "orphan":
                return self._orphan(author, dice)
            is_free = line not in named and ("stale", id(line)) not in stage.trees
            if kind == "stale" and line.head > line.first and is_free:
                version = line.first + dice.below(line.head - line.first)
                plain = copy.deepcopy(line.plain[version - line.first])
                stage.trees["stale", id(line)] = plain
                given = self.workspace.snapshot(line.ref, version)
                return Target(line, (), f"stale {version}", given), plain
            if kind == "edited" and key not in stage.trees:
                found = self._edited(line, line.head, [author.dice()._number for _ in range(2)])
                snapshot, plain, sound = found
                if sound:
                    edited.add(key)
                    stage.trees[key] = plain
                    return Target(line, (), "edited", snapshot), plain
            root = stage.trees.setdefault(key, copy.deepcopy(line.plain[-1]))
            if kind not in {"child", "id"} or key in edited:
                return Target(line, (), "root", self._root_as(line, dice)), root
            path = dice.of(survey(line.plain[-1]).entities)[0]
            # An id takes the version that another argument shows it in.
            is_stale = ("stale", id(line)) in stage.trees
            is_alone = all(each is line or each.ref.root != line.ref.root for each in self.lines)
            given = self._child_as(line, path, dice, shots, is_stale or not is_alone)
            named.extend([line] if isinstance(given, str | Address) else [])
            return Target(line, path, kind, given), resolve(root, path)

        return enter

    def _orphan(self, author: Author, dice: Dice) -> Any:
        tag = self.tags.next()
        plain = plain_trees.Node(tag=tag, kids=[plain_trees.Node(tag=self.tags.next())])
        entity = Node(tag=tag, kids=[Node(tag=plain.kids[0].tag)])
        author.stage.trees["orphan", tag] = plain
        self.orphans[tag] = copy.deepcopy(plain)
        return Target(None, (), "orphan", entity), plain

    def _root_as(self, line: Line, dice: Dice) -> Any:
        head = self.workspace.snapshot(line.ref)
        options = [line.ref, line.ref, head]
        if line.ref.branch == 0:
            options += [line.ref.address, parse_address(line.ref.address), f"@{head.lineage_id}"]
        if name := self.workspace.name_of(line.ref):
            options.append(self.workspace.ref(name))
        return dice.of(options)

    def _child_as(
        self, line: Line, path: Path, dice: Dice, shots: dict[int, Any], is_stale: bool
    ) -> Any:
        head = self.workspace.snapshot(line.ref)
        shot = shots.setdefault(id(line), head)
        found = resolve(dice.of((shot, head)), path)
        options = [found, self.workspace.ref(found)]
        if line.ref.branch == 0 and not is_stale:
            options += [
                f"@{found.ecs_id}",
                f"@{found.lineage_id}",
                parse_address(f"@{found.ecs_id}"),
            ]
            if (text := written(path)) is not None:
                options += [f"@{head.ecs_id}{text}", f"@{head.lineage_id}{text}"]
        return dice.of(options)

    def _outside(self, lines: Sequence[Line]) -> Callable[[Author, Dice], Any]:
        """Return what gives roots of some lines to executions inside others."""

        def outside(author: Author, dice: Dice) -> Any:
            line = dice.of(lines)
            key = ("line", id(line))
            author.old |= read(line.plain[-1]).forms.keys()
            author.lineages[key] = line.ref.root
            if key in author.stage.trees:
                return Target(line, (), "ref", line.ref), author.stage.trees[key]
            root = author.stage.trees[key] = copy.deepcopy(line.plain[-1])
            return Target(line, (), "root", self._root_as(line, dice)), root

        return outside

    # --- steps ---

    def _written(self, operations: Sequence[int], lines: Sequence[Line], **kw: Any) -> Any:
        author = Author(Stage(), self.tags, operations, self._enter(lines), self._outside(lines))
        call = author.write(**kw)
        self._borrow_value(call, lines, author)
        return call, author.stage

    def _borrow_value(self, call: Call, lines: Sequence[Line], author: Author) -> None:
        """Let a plain value be given by its address instead, if one has just that."""
        if "value" not in call.extra:
            return
        wanted = shown(call.extra["value"])
        for line in lines:
            if line.ref.branch:
                continue
            for path, _ in survey(line.plain[-1]).entities:
                entity = resolve(line.plain[-1], path)
                for name in ("flag", "anything", "number", "numbers", "text", "point", "marks"):
                    value = getattr(entity, name)
                    if not entities_of(value) and shown(value) == wanted:
                        ecs_id = line.ids[-1][entity.tag]
                        call.extra["address"] = parse_address(f"@{ecs_id}.{name}")
                        return

    def _step_call(self, line: Line, dice: Dice, operations: Sequence[int]) -> None:
        call, stage = self._written(operations, self.lines)
        arguments = self._arguments(call)
        how = dice.of(("sync", "sync", "raw", "async", "quiet"))
        if dice.one_in(4):
            self._try_out(call, stage, arguments)
        before, known = set(self.workspace.roots()), set(self.content)
        count = len(self.records())
        returned: Any = None
        try:
            if how == "async":
                returned = asyncio.run(self.workspace.aexecute(call.name, **arguments))
            else:
                if how == "quiet":
                    self.cursor = None
                returned = self.workspace.execute(
                    call.name, raw=how == "raw", skip_events=how == "quiet", **arguments
                )
        except HalfWayError:
            assert call.fails, "what plain Python does not raise"
        else:
            assert not call.fails, "an exception was lost"
        self._check_records(call, count)
        if call.fails:
            stage.trees = {}
        self._compare(stage, before, call)
        if not call.fails:
            self._check_returned(call, stage, returned, how == "raw")
            self._check_siblings(self._raw(returned), known)

    def _step_gather(self, line: Line, dice: Dice, operations: Sequence[int]) -> None:
        """Run several at once on trees of their own."""
        count = min(3, len(self.lines))
        shares = [self.lines[n::count] for n in range(count)]
        written = [
            self._written(operations[n::count], shares[n], names=GATHERED) for n in range(count)
        ]
        before = set(self.workspace.roots())
        known = len(self.records())
        arguments = [self._arguments(call) for call, _ in written]

        async def everything() -> list[Any]:
            runs = [
                self.workspace.aexecute(call.name, **given)
                for (call, _), given in zip(written, arguments, strict=True)
            ]
            return await asyncio.gather(*runs, return_exceptions=True)

        results = asyncio.run(everything())
        together = Stage()
        for (call, stage), result in zip(written, results, strict=True):
            if isinstance(result, Exception) and not (
                call.fails and isinstance(result, HalfWayError)
            ):
                raise result
            assert call.fails == isinstance(result, HalfWayError)
            if not call.fails:
                assert shown(self._raw(result)) == call.shown
                for key, root in stage.trees.items():
                    together.trees[key if key[0] != "born" else (*key, id(stage))] = root
                together.returned |= stage.returned
        assert len(self.records()) == known + sum(call.executions() for call, _ in written)
        self._compare(together, before, None)

    def records(self) -> list[Any]:
        """Return the records of executions, but for those of the listeners."""
        return [each for each in self.workspace.executions() if each.callable_name != "tick"]

    def _check_records(self, call: Call, count: int) -> None:
        new = self.records()[count:]
        assert len(new) == call.executions(), "one record per execution"
        outermost = [each for each in new if each.parent is None]
        assert [each.callable_name for each in outermost] == [call.name]
        assert outermost[0].status == ("failed" if call.fails else "ok")

    def _try_out(self, call: Call, stage: Stage, arguments: dict[str, Any]) -> None:
        heads = [self.workspace.head(line.ref) for line in self.lines]
        roots, records = self.workspace.roots(), len(self.workspace.executions())
        run: Any = None
        try:
            run = self.workspace.execute(call.name, dry_run=True, **arguments)
        except HalfWayError:
            assert call.fails
        else:
            assert not call.fails
        assert heads == [self.workspace.head(line.ref) for line in self.lines]
        assert roots == self.workspace.roots()
        assert records == len(self.workspace.executions())
        if call.fails:
            return
        assert shown(run.value) == call.shown
        changed, new, _ = self._expected(stage)
        told = [read(diff.read(diff.b)).form for diff in run.diffs]
        assert sorted(told, key=repr) == sorted((read(each).form for each in changed), key=repr)
        made = [read(each).form for each in run.created if isinstance(each, Node)]
        assert sorted(made, key=repr) == sorted((read(each).form for each in new), key=repr)
        assert len(run.records) == call.executions()

    def _expected(self, stage: Stage) -> tuple[list[Any], list[Any], list[Any]]:
        """Return the plain roots that got a version, that are new, and that stay orphans."""
        changed, new, orphans = [], [], []
        lines = {id(line): line for line in self.lines}
        for key, root in stage.trees.items():
            if key[0] == "line":
                line = lines[key[1]]
                changed += [root] if read(root).form != line.readings[-1].form else []
            elif key[0] == "stale":
                changed += [root] if read(root).form != self._stale_form(key, stage) else []
            elif key[0] == "orphan" and not self._was_kept(key, stage):
                orphans.append(root)
            else:
                new.append(root)
        return changed, new, orphans

    def _stale_form(self, key: Any, stage: Stage) -> Any:
        line, version = self.stale[key[1]]
        return line.readings[version - line.first].form

    def _was_kept(self, key: Any, stage: Stage) -> bool:
        """Tell whether an orphan was returned, by whatever execution, or changed."""
        was = self.orphans[key[1]]
        return key in stage.returned or read(was).form != read(stage.trees[key]).form

    def _compare(self, stage: Stage, before: set[Ref], call: Call | None) -> None:
        """Compare all that became of a call with the trees of its stage."""
        branches, roots = self._new(before)
        _, new, _ = self._expected(stage)
        self.where: dict[int, list[Line]] = {}
        for line in list(self.lines):
            plain = stage.trees.get(("line", id(line)), line.plain[-1])
            if ("line", id(line)) in stage.trees:
                self._replaced(line, plain)
                self._note(plain, line)
            assert self.workspace.head(line.ref) == line.head, "a version that nobody made"
        for key, plain in stage.trees.items():
            if key[0] == "stale":
                self._compare_stale(key, plain, branches, stage)
        assert branches == [], "branches that nobody began"
        assert len(roots) == len(new), f"{len(roots)} new roots, expected {len(new)}"
        for plain in new:
            form = read(plain).form
            same = [ref for ref in roots if read(self.workspace.snapshot(ref)).form == form]
            assert same, f"no root for {plain.tag}"
            for ref in same:
                self._note(plain, self._line(ref, plain))

    def _line(self, ref: Ref, plain: Any) -> Line:
        known = [line for line in self.lines if line.ref == ref]
        if known:
            return known[0]
        line = Line(ref, 1)
        self.lines.append(line)
        if self.workspace.head(ref) == 2:  # an orphan, which was changed after it had come in
            self._expect(line, self.orphans[plain.tag])
        self._expect(line, plain)
        assert self.workspace.head(ref) == line.head
        return line

    def _new(self, before: set[Ref]) -> tuple[list[Ref], list[Ref]]:
        found = [ref for ref in self.workspace.roots() if ref not in before]
        found = [
            ref
            for ref in found
            if isinstance(self.workspace.snapshot(ref), Node) and ref != self.tally
        ]
        return [r for r in found if r.branch], [r for r in found if not r.branch]

    def _compare_stale(self, key: Any, plain: Any, branches: list[Ref], stage: Stage) -> None:
        line, version = self.stale[key[1]]
        if read(plain).form == self._stale_form(key, stage):
            self._note(plain, line)
            return
        mine = [ref for ref in branches if ref.root == line.ref.root]
        form = read(plain).form
        mine = [ref for ref in mine if read(self.workspace.snapshot(ref)).form == form]
        assert mine, "an outdated snapshot began no branch"
        branches.remove(mine[0])
        new = Line(mine[0], self.workspace.head(mine[0]), parent=line, since=version)
        self.lines.append(new)
        self._expect(new, plain)
        self._note(plain, new)

    def _note(self, plain: Any, line: Line) -> None:
        for each in everyone(plain):
            self.where.setdefault(id(each), []).append(line)

    def _raw(self, returned: Any) -> Any:
        return returned.value if isinstance(returned, OutputEntity) else returned

    def _check_returned(self, call: Call, stage: Stage, returned: Any, is_raw: bool) -> None:
        plain = entities_of(stage.result)
        assert isinstance(returned, OutputEntity) == (not plain and not is_raw)
        returned = self._raw(returned)
        assert shown(returned) == call.shown, "it returned something else"
        found = entities_of(returned)
        assert len(found) == len(plain)
        for one, other in zip(found, plain, strict=True):
            lines = self.where.get(id(other), [])
            ids = [ids for line in lines for ids in line.ids]
            assert not lines or one.ecs_id in [each.get(other.tag) for each in ids]
            if all(held.snapshot is not one for held in self.held) and len(self.held) < 20:
                self.held.append(Held(one, read(other).form))

    def _check_siblings(self, returned: Any, known: set[Any]) -> None:
        """Compare what versions that this execution made tell of the others."""
        found = entities_of(returned)
        indices = {one.ecs_id: one.output_index for one in found}
        made = [one for one in found if one.ecs_id not in known and one.output_index is not None]
        told = {one.ecs_id: one.output_index for one in made}
        assert len(set(told.values())) == len(told)
        for one in made if len(indices) > 1 else ():
            assert set(one.sibling_output_entities) >= set(indices) - {one.ecs_id}

    @property
    def stale(self) -> dict[int, tuple[Line, int]]:
        """Return at which version outdated snapshots were given, by line."""
        return {
            id(each.line): (each.line, int(each.how.split()[1]))
            for call in self.calls
            for each in call.targets
            if each.how.startswith("stale")
        }

    # --- single values, places, branches, forced versions ---

    def _step_put(self, line: Line, dice: Dice, operations: Sequence[int]) -> None:
        if line.ref.branch:
            return  # an address means the main branch
        plain = copy.deepcopy(line.plain[-1])
        path = dice.of(survey(plain).entities)[0]
        entity = resolve(plain, path)
        address = self.workspace.ref(resolve(self.workspace.snapshot(line.ref), path)).address
        field, value = dice.of(
            (
                ("number", 7),
                ("text", "put"),
                ("numbers", [1, 2]),
                ("table", {"a": 1}),
                ("flag", True),
            )
        )
        setattr(entity, field, copy.deepcopy(value))
        self.workspace.put(f"{address}.{field}", value)
        self._replaced(line, plain)

    def _step_move(self, line: Line, dice: Dice, operations: Sequence[int]) -> None:
        """Somebody moves an entity by its ref, perhaps to another tree, or makes it a root."""
        plain = copy.deepcopy(line.plain[-1])
        slots = [each for each in survey(plain).slots if each.kind in {"list", "dict", "attr"}]
        if not slots:
            return
        slot = dice.of(slots)
        target = self.workspace.ref(resolve(self.workspace.snapshot(line.ref), slot.path))
        entity = resolve(plain, slot.path)
        holder = resolve(plain, slot.holder)
        if slot.kind == "attr":
            setattr(holder, slot.key, None)
        else:
            del holder[slot.key]
        other = dice.of(self.lines)
        if dice.one_in(3) or (other is not line and other.ref.root == line.ref.root):
            ref = self.workspace.detach(target)
            self._replaced(line, plain)
            self.lines.append(Line(ref, 1))
            self._expect(self.lines[-1], entity)
            return
        into = plain if other is line else copy.deepcopy(other.plain[-1])
        into.kids.append(entity)
        if len({each.tag for each in everyone(into)}) < len(everyone(into)):
            return
        self.workspace.attach(target, other.ref, "kids")
        self._replaced(line, plain)
        if other is not line:
            self._replaced(other, into)

    def _step_force(self, line: Line, dice: Dice, operations: Sequence[int]) -> None:
        snapshot = self.workspace.snapshot(line.ref)
        assert self.workspace.commit_edits(snapshot, force=True)
        assert snapshot.version == line.head + 1
        line.plain.append(copy.deepcopy(line.plain[-1]))
        reading = read(line.plain[-1])
        reading.entities = {}
        line.readings.append(reading)
        line.ids.append({})
        line.ids[-1] = self._check_version(line, line.head)
        assert not set(line.ids[-1].values()) & set(line.ids[-2].values())

    def _step_drop(self, line: Line, dice: Dice, operations: Sequence[int]) -> None:
        has_branches = any(each.parent is line for each in self.lines)
        if line is self.lines[0] or has_branches or line.parent is None:
            return
        self.workspace.drop(line.ref)
        self.lines.remove(line)
        self.dropped = True

    def _step_undo(self, line: Line, dice: Dice, operations: Sequence[int]) -> None:
        """Undo what made the head, in all trees that it changed, and undo that."""
        if line.head == line.first:
            return
        execution = self._execution_of(line, line.head)
        made = {id(each): each for each in self.lines if self._made(each, execution)}
        is_last = all(self._made(each, execution) == each.head for each in made.values())
        before = [each.plain[-1] for each in self.lines]
        try:
            undone = self.workspace.undo(execution)
        except (UndoError, PrunedError):
            assert not is_last, "nothing rests on it"
            for each in self.lines:
                self.check_head(each)
            return
        for each in self.lines:
            if id(each) not in made:
                self.check_head(each)
            elif self._made(each, execution) == each.head:
                older = each.plain[-2] if each.head > each.first else each.plain[-1]
                self._replaced(each, older)
            else:
                self._replaced(each, to_plain(self.workspace.snapshot(each.ref)))
        if undone.changed:
            self.workspace.undo(undone.execution_id)
            for each, plain in zip(self.lines, before, strict=True):
                self._replaced(each, plain)

    def _made(self, line: Line, execution: str) -> int:
        """Return the version that an execution made of a line after its first, or 0."""
        for info in self.workspace.history(line.ref):
            if info.execution_id == execution and line.first <= info.version <= line.head:
                return info.version if info.version > 1 else 0
        return 0

    def _step_replay(self, line: Line, dice: Dice, operations: Sequence[int]) -> None:
        records = [
            each
            for each in self.records()
            if each.callable_name in NAMED and each.status == "ok" and each.parent is None
        ]
        if not records or self.dropped:
            return
        record = dice.of(records)
        call = self.calls[dict(record.arguments)["call"]]
        kinds = [target.how for target in call.targets]
        may_refuse = "value" in call.extra or bool({"edited", "orphan"} & set(kinds))
        refs = {each.line.ref for inner in call.each() for each in inner.targets if refers(each)}
        may_refuse |= "stale" in str(kinds) or len({ref.root for ref in refs}) < len(refs)
        try:
            replayed = self.workspace.replay(record.execution_id)
        except ReplayError:
            if may_refuse:
                return
            raise
        except PrunedError:
            if self.versions is not None:
                return
            raise
        assert replayed.is_equal, str(replayed)

    # --- all that there is ---

    def step(self, kind: str, number: int, operations: Sequence[int]) -> None:
        """Do one step of a history."""
        super().step(kind, number, operations)
        if self.over:
            return
        for line in self.lines:
            while self.versions is not None and len(line.plain) > self.versions:
                for each in (line.plain, line.readings, line.ids):
                    each.pop(0)
                line.first += 1

    def _check_version(self, line: Line, version: int) -> dict[int, Any]:
        """Compare a version as `World` does, but know lineages by version: trees exchange tags."""
        self.lineages = {}
        ids = super()._check_version(line, version)
        kin = {tag: found for (_, tag), found in self.lineages.items()}
        key = line.ref, version
        assert self.kin.setdefault(key, kin) == kin, "lineages changed"
        before = self.kin.get((line.ref, version - 1), {})
        assert all(before[tag] == kin[tag] for tag in before.keys() & kin.keys())
        return ids

    def _check_old_ids(self, line: Line) -> None:
        if self.versions is None:
            super()._check_old_ids(line)

    def finish(self) -> None:
        """Compare everything, also what the history and the listeners were told."""
        if self.over:
            return
        self.check_all()
        for line in self.lines:
            self._check_history(line)
        if self.tally is not None:
            tally: Any = self.workspace.snapshot(self.tally)
            assert tally.number == self.ticks
            if self.cursor is not None and not self.dropped:
                told = [each.event for each in self.workspace.events(self.cursor)]
                assert _in_order(told) == _in_order(self.heard)
        for tree in self.workspace.trees:
            assert tree.txn is None
            assert tree.nest is None
            assert tree.turn.take_if_free()

    def _check_history(self, line: Line) -> None:
        for name in ("number", "text", "numbers"):
            rows = self.workspace.history(f"{line.ref.address}.{name}", branch=line.ref)
            for version in range(line.first, line.head + 1):
                row = [each for each in rows if each.version <= version][-1]
                plain = line.plain[version - line.first]
                assert shown(row.value) == shown(getattr(plain, name))
                at: Any = self.workspace.at(line.ref, version)
                assert shown(getattr(at, name)) == shown(getattr(plain, name))
            values = [shown(row.value) for row in rows if row.version >= line.first]
            assert all(one != other for one, other in itertools.pairwise(values))


def _in_order(events: Sequence[Any]) -> list[Any]:
    """Return events without those that are told before what the record tells."""
    return [each for each in events if not isinstance(each, ExecutionStarted)]


def refers(target: Target) -> bool:
    """Tell whether an entity of a line is given, not a live one or an orphan."""
    return isinstance(target.line, Line)


def written(path: Path) -> str | None:
    """Return a path as it is written in an address, if it can be."""
    text = ""
    for kind, key in path:
        if kind == "m" or not (isinstance(key, int) or str(key).isidentifier()):
            return None
        text += f".{key}"
    return text


def shape_of(name: str, given: list[Any]) -> dict[str, Any]:
    """Return entities as the arguments of a callable."""
    if name in {"listed", "grouped"}:
        return {"nodes": given}
    if name == "keyed":
        return {"nodes": dict(zip("ab", given, strict=False))}
    if name == "mapped":
        return {"nodes": {"a": given[0::2], "b": given[1::2]}}
    if name == "paired":
        return {"nodes": tuple(given)}
    return dict(zip("abc", given, strict=False))


def functions(realm: Realm) -> list[tuple[str, Any]]:
    """Return the callables, by name: each kind of signature."""
    perform = realm.perform

    def one(a: Node, call: int) -> Any:
        return perform([a], call)

    def two(a: Node, b: Node, call: int) -> Any:
        return perform([a, b], call)

    def three(a: Node, b: Node, call: int, c: Node | None = None) -> Any:
        return perform([a, b] if c is None else [a, b, c], call)

    def listed(nodes: list[Node], call: int) -> Any:
        return perform(nodes, call)

    def keyed(nodes: dict[str, Node], call: int) -> Any:
        return perform(list(nodes.values()), call)

    def grouped(nodes: set[Node], call: int) -> Any:
        return perform(sorted(nodes, key=lambda each: each.tag), call)

    def mapped(nodes: dict[str, list[Node]], call: int) -> Any:
        return perform([*nodes["a"], *nodes["b"]], call)

    def paired(nodes: tuple[Node, Node], call: int) -> Any:
        return perform(nodes, call)

    def valued(a: Node, value: Any, call: int) -> Any:
        a.flag = value
        return perform([a], call)

    def configured(a: Node, gauge: Gauge, call: int) -> Any:
        a.numbers.append(gauge.by)
        gauge.by = 99
        return perform([a], call)

    def blocking(a: Node, call: int) -> Any:
        return perform([a], call)

    def peek(a: Node, call: int) -> Any:
        return perform([a], call)

    def pure(call: int) -> Any:
        return perform([], call)

    every = (one, two, three, listed, keyed, grouped, mapped, paired, valued, configured, blocking,
             peek, pure)  # fmt: skip
    return [(each.__name__, each) for each in every]


def coroutines(realm: Realm) -> list[tuple[str, Any]]:
    """Return the callables that are coroutine functions, by name."""

    async def aone(a: Node, call: int) -> Any:
        return await realm.aperform([a], call)

    async def atwo(a: Node, b: Node, call: int) -> Any:
        return await realm.aperform([a, b], call)

    return [("aone", aone), ("atwo", atwo)]
