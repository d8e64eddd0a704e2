"""Random histories over several trees, in which everything that executes meets everything else.

Three shops and plain copies of them: arguments of every kind, results of every shape, executions
inside others, configs, edits, moves between trees, forks, merges, undo, dry runs and replays. After
each step all shops equal their copies; in the end every version does. The same history runs again
with listeners that execute, and nothing but their own root may differ.
"""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from registry import ConfigEntity, KeptText, OutputEntity, Workspace
from registry.errors import MergeConflictError
from registry.events import EntityVersioned
from tests.model.conftest import histories
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop
from tests.unit.registry.test_nested import PROGRAMS, STEPS, BrokenError, apply, run_plainly

COUNT = 3
Step = tuple[Any, ...]


class Boost(ConfigEntity):
    """How much to add, and where."""

    by: int = 1
    where: str = "numbers"


class Tally(Item):
    """What the listeners write to."""

    count: int = 0


TREES = st.integers(0, COUNT - 1)
GIVEN = st.sampled_from(["ref", "address", "snapshot", "name"])
SHAPES = st.sampled_from(
    ["root", "shelf", "item", "pair", "dict", "new", "copy", "number", "numbers", "none", "out"]
)
STEP = st.one_of(
    st.tuples(st.just("run"), TREES, GIVEN, PROGRAMS, st.booleans()),
    st.tuples(st.just("two"), TREES, TREES, STEPS, STEPS, st.booleans()),
    st.tuples(st.just("swap"), TREES, TREES),
    st.tuples(st.just("inside"), TREES, TREES, STEPS, STEPS, st.booleans()),
    st.tuples(
        st.just("config"), TREES, st.integers(1, 3), st.sampled_from(["object", "field", "no"])
    ),
    st.tuples(st.just("list"), TREES, TREES, st.integers(0, 9)),
    st.tuples(st.just("return"), TREES, SHAPES, st.booleans()),
    st.tuples(st.just("stale"), TREES, STEPS, STEPS),
    st.tuples(st.just("merge"), TREES, STEPS, STEPS),
    st.tuples(st.just("undo")),
    st.tuples(st.just("dry"), TREES, PROGRAMS),
    st.tuples(st.just("replay")),
    st.tuples(st.just("edit"), TREES, st.integers(0, 9)),
    st.tuples(st.just("put"), TREES, st.integers(0, 9)),
)


def content(shop: Any) -> Any:
    """Return everything in a shop that can be compared."""
    return shop.model_dump(), list(shop.table), shop._visits


class World:
    """The shops, their plain copies, and what was seen of every version."""

    def __init__(self, *, listens: bool) -> None:
        self.workspace = Workspace()
        self.refs = [self.workspace.add(new_shop(), f"shop{n}") for n in range(COUNT)]
        self.plain = [new_shop() for _ in range(COUNT)]
        self.seen: dict[tuple[int, int], Any] = {}
        self.last: tuple[str, list[Shop]] | None = None
        self.heard = 0
        self._register()
        if listens:
            self._listen()

    def _register(self) -> None:
        register = self.workspace.register
        run, inside, shape = self._program(), self._inside(), self._shape()

        @register("two")
        def two(a: Shop, b: Shop, left: Any, right: Any, fails: bool) -> None:
            apply(a, left)
            apply(b, right)
            if fails:
                raise BrokenError

        @register("swap")
        def swap(a: Shop, b: Shop) -> None:
            if a.shelves and b.shelves and a is not b:
                one, other = a.shelves.pop(), b.shelves.pop()
                a.shelves.append(other)
                b.shelves.append(one)

        @register("config")
        def config(shop: Shop, boost: Boost) -> int:
            shop.numbers.append(boost.by)
            boost.by = 99  # its own copy
            return shop.numbers[-1]

        @register("listed")
        def listed(shops: list[Shop], n: int) -> None:
            for shop in shops:
                shop.numbers.append(n)

        @register("tick")
        def tick(tally: Tally) -> None:
            tally.count += 1

        for function in (run, inside, shape):
            register(function.__name__)(function)

    def _program(self) -> Any:
        def program(shop: Shop, steps: list[Any], fails: bool) -> None:
            for step in steps:
                if step[0] != "call":
                    apply(shop, step)
                    continue
                with suppress(BrokenError):
                    self.workspace.execute("program", shop=shop, steps=step[2], fails=step[1])
            if fails:
                raise BrokenError

        return program

    def _inside(self) -> Any:
        def inside(shop: Shop, other: str, left: Any, right: Any, fails: bool) -> None:
            apply(shop, left)
            with suppress(BrokenError):
                self.workspace.execute(
                    "program", shop=self.workspace.ref(other), steps=[right], fails=fails
                )

        return inside

    def _shape(self) -> Any:
        def shape(shop: Shop, shape: str, changes: bool) -> Any:
            return shaped(shop, shape, changes)

        return shape

    def _listen(self) -> None:
        tally = self.workspace.add(Tally(), "tally")

        @self.workspace.on(EntityVersioned, predicate=lambda event: event.root_id != "tally")
        def count(event: EntityVersioned) -> None:
            if event.entity_type != "Tally":
                self.heard += 1
                self.workspace.execute("tick", tally=tally)

    # --- steps ---

    def given(self, at: int, kind: str) -> Any:
        ref = self.refs[at]
        if kind == "address":
            return ref.address
        if kind == "snapshot":
            return self.workspace.snapshot(ref)
        return self.workspace.ref(f"shop{at}") if kind == "name" else ref

    def step(self, step: Step) -> None:
        before = [copy.deepcopy(shop) for shop in self.plain]
        count = len(self.workspace.executions())
        getattr(self, f"do_{step[0]}")(*step[1:])
        records = self.workspace.executions()[count:]
        mine = [each for each in records if each.callable_name != "tick"]
        if step[0] == "run" and mine and mine[-1].status == "ok":
            self.last = mine[-1].execution_id, before
        else:
            self.last = None
        self.compare()

    def compare(self) -> None:
        for at, ref in enumerate(self.refs):
            shop: Any = self.workspace.snapshot(ref)
            assert content(shop) == content(self.plain[at])
            self.seen[at, self.workspace.head(ref)] = content(self.plain[at])

    def finish(self) -> None:
        for (at, version), expected in self.seen.items():
            assert content(self.workspace.snapshot(self.refs[at], version)) == expected
        for tree in self.workspace.trees:
            assert tree.txn is None
            assert tree.nest is None
            assert tree.turn.take_if_free()

    def do_run(self, at: int, kind: str, program: list[Any], fails: bool) -> None:
        with suppress(BrokenError):
            self.workspace.execute("program", shop=self.given(at, kind), steps=program, fails=fails)
        if not fails:
            self.plain[at] = run_plainly(self.plain[at], program)

    def do_two(self, a: int, b: int, left: Step, right: Step, fails: bool) -> None:
        arguments: dict[str, Any] = {"a": self.refs[a], "b": self.refs[b]}
        with suppress(BrokenError):
            self.workspace.execute("two", **arguments, left=left, right=right, fails=fails)
        if not fails:
            apply(self.plain[a], left)
            apply(self.plain[b], right)

    def do_swap(self, a: int, b: int) -> None:
        self.workspace.execute("swap", a=self.refs[a], b=self.refs[b])
        one, other = self.plain[a], self.plain[b]
        if a != b and one.shelves and other.shelves:
            one.shelves[-1], other.shelves[-1] = other.shelves[-1], one.shelves[-1]

    def do_inside(self, a: int, b: int, left: Step, right: Step, fails: bool) -> None:
        self.workspace.execute(
            "inside", shop=self.refs[a], other=f"shop{b}", left=left, right=right, fails=fails
        )
        apply(self.plain[a], left)
        if not fails:
            apply(self.plain[b], right)

    def do_config(self, at: int, by: int, how: str) -> None:
        given: Any = {"object": {"boost": Boost(by=by)}, "field": {"by": by}, "no": {}}[how]
        output = self.workspace.execute("config", shop=self.refs[at], **given)
        expected = 1 if how == "no" else by
        assert isinstance(output, OutputEntity)
        assert output.value == expected
        self.plain[at].numbers.append(expected)

    def do_list(self, a: int, b: int, n: int) -> None:
        chosen = dict.fromkeys((a, b))
        self.workspace.execute("listed", shops=[self.refs[at] for at in chosen], n=n)
        for at in chosen:
            self.plain[at].numbers.append(n)

    def do_return(self, at: int, shape: str, changes: bool) -> None:
        result = self.workspace.execute(
            "shape", raw=True, shop=self.refs[at], shape=shape, changes=changes
        )
        assert dumped(result) == dumped(shaped(self.plain[at], shape, changes))

    def do_stale(self, at: int, newer: Step, stale: Step) -> None:
        snapshot = self.workspace.snapshot(self.refs[at])
        old = copy.deepcopy(self.plain[at])
        known = set(self.workspace.roots())
        self.workspace.execute("program", shop=self.refs[at], steps=[newer], fails=False)
        is_stale = self.workspace.head(self.refs[at]) != snapshot.version
        self.workspace.execute("program", shop=snapshot, steps=[stale], fails=False)
        apply(self.plain[at], newer)
        if not is_stale:
            apply(self.plain[at], stale)
            return
        apply(old, stale)
        forks = [ref for ref in self.workspace.branches(self.refs[at]) if ref not in known]
        for fork in forks:  # none, if nothing changed there
            assert content(self.workspace.snapshot(fork)) == content(old)
            self.workspace.drop(fork)

    def do_merge(self, at: int, ours: Step, theirs: Step) -> None:
        """Only that it is one or the other: what a merge does is shown elsewhere."""
        fork = self.workspace.fork(self.refs[at])
        self.workspace.execute("program", shop=self.refs[at], steps=[ours], fails=False)
        self.workspace.execute("program", shop=fork, steps=[theirs], fails=False)
        apply(self.plain[at], ours)
        self.compare()
        with suppress(MergeConflictError):
            self.workspace.merge(fork)
            merged: Any = self.workspace.snapshot(self.refs[at])
            self.plain[at] = plainly(merged)
        self.workspace.drop(fork)

    def do_undo(self) -> None:
        if self.last is not None:
            execution, before = self.last
            self.workspace.undo(execution)
            self.plain = before

    def do_dry(self, at: int, program: list[Any]) -> None:
        run = self.workspace.execute(
            "program", dry_run=True, shop=self.refs[at], steps=program, fails=False
        )
        expected = run_plainly(copy.deepcopy(self.plain[at]), program)
        mine = [
            diff for diff in run.diffs if diff.read(diff.b).lineage_id == self.refs[at].lineage_id
        ]
        shown: Any = mine[0].read(mine[0].b) if mine else self.workspace.snapshot(self.refs[at])
        assert content(shown) == content(expected)

    def do_replay(self) -> None:
        records = self.workspace.executions(status="ok")
        mine = [each for each in records if each.callable_name in {"program", "two", "listed"}]
        held = {(ref.root, ref.branch) for ref in self.workspace.roots()}
        mine = [each for each in mine if {tree[:2] for tree in each.trees} <= held]
        # Of a long program only the text is kept: it would have to be given again.
        is_whole = mine and not any(isinstance(v, KeptText) for _, v in mine[-1].arguments)
        if is_whole and mine[-1].parent is None:
            replayed = self.workspace.replay(mine[-1].execution_id)
            assert replayed.is_equal, str(replayed)

    def do_edit(self, at: int, n: int) -> None:
        snapshot: Any = self.workspace.snapshot(self.refs[at])
        snapshot.numbers.append(n)
        snapshot.name = f"edited{n}"
        self.workspace.commit_edits(snapshot)
        self.plain[at].numbers.append(n)
        self.plain[at].name = f"edited{n}"

    def do_put(self, at: int, n: int) -> None:
        self.workspace.put(f"{self.refs[at].address}.name", f"put{n}")
        self.plain[at].name = f"put{n}"


def shaped(shop: Shop, shape: str, changes: bool) -> Any:
    """Return something of a shop, tracked or not, and perhaps change it."""
    if changes:
        shop.name += "."
    shelf = shop.shelves[0] if shop.shelves else None
    item = shelf.items[0] if shelf is not None and shelf.items else None
    if shape in {"shelf", "item", "pair", "dict", "copy", "out"} and item is None:
        return None
    assert shelf is not None or shape in {"root", "new", "number", "numbers", "none"}
    made: dict[str, Any] = {
        "root": lambda: shop,
        "shelf": lambda: shelf,
        "item": lambda: item,
        "pair": lambda: (item, shelf, 3),
        "dict": lambda: {"item": item, "all": [shop, {"n": 1}]},
        "new": lambda: Item(name="new"),
        "copy": lambda: item and item.model_copy(),
        "number": lambda: len(shop.numbers),
        "numbers": lambda: shop.numbers,
        "none": lambda: None,
        "out": lambda: shelf and shelf.items.pop(0),
    }
    return made[shape]()


def dumped(value: Any) -> Any:
    """Return a result in plain data."""
    if isinstance(value, (Shop, Shelf, Item)):
        return value.model_dump()
    if isinstance(value, dict):
        return {key: dumped(item) for key, item in value.items()}
    return type(value)(map(dumped, value)) if isinstance(value, (list, tuple)) else value


def plainly(shop: Shop) -> Shop:
    """Return a plain copy of a snapshot."""
    return copy.deepcopy(shop)


@histories(0.1)
@given(st.lists(STEP, min_size=1, max_size=7))
def test_random_histories_over_several_trees_do_what_plain_copies_do(steps: list[Step]) -> None:
    quiet, heard = World(listens=False), World(listens=True)

    for world in (quiet, heard):
        for step in steps:
            world.step(step)
        world.finish()

    for one, other in zip(quiet.refs, heard.refs, strict=True):
        assert quiet.workspace.head(one) == heard.workspace.head(other)
    tally: Any = heard.workspace.snapshot("tally")
    assert tally.count == heard.heard
