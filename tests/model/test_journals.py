"""Random histories on a SQLite journal and on one in memory: the same answers, errors included.

Two openers of the file take turns, one of them is closed and opened again in between; writers
hold epochs that others may have taken from them; groups may have gaps, ids that were there, drops.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from registry.errors import TreerunnerError
from registry.ids import EXECUTION_BITS
from registry.journal.memory import MemoryJournal
from registry.journal.port import Checkpoint, Effect, Group, Journal, Part, Series
from registry.journal.sqlite import SqliteJournal
from tests.model.conftest import histories
from tests.model.dice import Dice
from tests.model.journaled import carried

ROOTS = (3, (1 << 74) - 1, 1 << 73)
BRANCHES = (0, 1)
COUNTS = (5 << EXECUTION_BITS, 6 << EXECUTION_BITS)
IDS = ("", "a", "b", "é", "long" * 50)

DATA = (b"", b"x", b"y" * 40, bytes(range(256)) * 20)
NUMBERS = st.integers(0, 256**24)


def answer(call: Callable[[], Any]) -> Any:
    """Return what a call gives, or the error with its values; names of stores aside."""
    try:
        found = call()
        return list(found) if hasattr(found, "__next__") else found
    except TreerunnerError as error:
        return type(error), [each for each in error.args if "journal.db" not in str(each)][:2]


class Journals(RuleBasedStateMachine):
    """The two journals, and the epochs that two writers believe to hold."""

    @initialize()
    def open(self) -> None:
        """Open both."""
        self.folder = tempfile.TemporaryDirectory(prefix="journals-")
        self.path = Path(self.folder.name) / "journal.db"
        self.memory = MemoryJournal(str(self.path), clock=lambda: 0.0)
        self.openers = [self.opened(), self.opened()]
        self.turn = 0
        self.held: list[dict[int, int]] = [{}, {}]

    def opened(self) -> SqliteJournal:
        """Return another opener of the file."""
        return SqliteJournal(self.path, durability="none", clock=lambda: 0.0)

    def same(self, call: Callable[[Journal], Any]) -> Any:
        """Call both journals; return the answer, which is the same."""
        self.turn = 1 - self.turn
        expected = answer(lambda: call(self.memory))
        assert answer(lambda: call(self.openers[self.turn])) == expected
        return expected

    @rule(number=NUMBERS)
    def act(self, number: int) -> None:
        """Somebody does something: mostly, a writer appends."""
        dice = Dice(number)
        dice.of(
            [
                *[self.append] * 6,
                *(self.acquire, self.put_checkpoint, self.forget, self.forget_logs),
                *[self.read] * 3,
                self.reopen,
            ]
        )(dice)

    def acquire(self, dice: Dice) -> None:
        """A writer becomes that of some roots."""
        self.take(dice.below(2), {dice.of(ROOTS), dice.of(ROOTS)})

    def take(self, writer: int, roots: set[int]) -> None:
        """A writer becomes that of roots."""
        call = self.same(lambda journal: journal.acquire(sorted(roots), f"writer {writer}"))
        self.held[writer].update(call)

    def append(self, dice: Dice) -> None:
        """A writer appends, with the epochs that it holds; perhaps it makes sure of them first."""
        writer = dice.below(2)
        heads = {(entry.root, entry.branch): entry.head for entry in self.memory.catalog()}
        known = {root for root, _ in heads}
        notes: list[tuple[int, int, int, bytes]] = []
        for _ in range(dice.of((0, 0, 1, 2))):
            root, branch = dice.of(ROOTS), dice.of(BRANCHES)
            start = heads.get((root, 0), 0) if branch else 0
            notes.append((root, branch, start, dice.of((b"a", b"b", b"c" * 300, b""))))
            heads.setdefault((root, branch), start)
        parts = []
        for _ in range(dice.of((1, 1, 2, 3, 0))):
            key = dice.of(ROOTS), dice.of((0, 0, 1))
            first = max(heads.get(key, 0) + 1 + dice.of((*[0] * 12, 1, -1)), 0)
            heads[key] = first + dice.below(4)
            parts.append(Part(*key, first, heads[key], dice.of(DATA)))
        effects = [
            Effect(dice.of((0, *ROOTS)), dice.of(IDS) + f"{dice.below(5)}", dice.of(DATA))
            for _ in range(dice.of((0, 1, 2)))
        ]
        series = []
        for _ in range(dice.of((0, 0, 1, 2))):
            some = sorted({dice.below(12) for _ in range(1 + dice.below(4))})
            numbers = [count + each for count in (dice.of(COUNTS),) for each in some]
            outcomes = [dice.of(DATA) for _ in numbers]
            series.append(Series(dice.of((0, *ROOTS)), numbers, outcomes))
        written = {part.root for part in parts} | {note[0] for note in notes}
        if not dice.one_in(4) and written & known:
            self.take(writer, written & known)
        epochs = {root: epoch for root, epoch in self.held[writer].items() if root in written}
        group = Group(parts, notes, effects, dice.of(DATA), epochs, series)
        if type(self.same(lambda journal: journal.append(group))) is int:
            self.held[writer].update({root: 1 for root in written if root not in epochs})

    def put_checkpoint(self, dice: Dice) -> None:
        """Somebody puts a checkpoint, near the head."""
        key = self.branch(dice)
        version = max(self.head(key) + dice.of((0, 0, -1, -2, 1)), 0)
        point = Checkpoint(*key, version, dice.of(DATA))
        self.same(lambda journal: journal.put_checkpoint(point))

    def forget(self, dice: Dice) -> None:
        """Somebody lets go of old versions, mostly with a checkpoint that allows it."""
        root, branch = self.branch(dice)
        found = self.memory.checkpoint(root, branch)
        before = dice.below(8) if found is None or dice.one_in(4) else found.version
        self.same(lambda journal: journal.forget(root, branch, before))

    def forget_logs(self, dice: Dice) -> None:
        """Somebody lets go of old records."""
        before = dice.below(12)
        self.same(lambda journal: journal.forget_logs(before))

    def read(self, dice: Dice) -> None:
        """Somebody reads."""
        root, branch = self.branch(dice)
        after, until = dice.below(8), dice.of((None, dice.below(15)))
        self.same(lambda journal: journal.parts(root, branch, after, until))
        self.same(lambda journal: journal.checkpoint(root, branch, until))
        self.same(lambda journal: journal.logs(until))

    def reopen(self, dice: Dice) -> None:
        """One opener goes, and comes again."""
        opener = dice.below(2)
        self.openers[opener].close()
        self.openers[opener] = self.opened()

    def branch(self, dice: Dice) -> tuple[int, int]:
        """Return one of the branches that there are, or perhaps not."""
        keys = [(entry.root, entry.branch) for entry in self.memory.catalog()]
        return dice.of(keys) if keys and not dice.one_in(5) else (dice.of(ROOTS), dice.of(BRANCHES))

    def head(self, key: tuple[int, int]) -> int:
        """Return the head of a branch; 0 if it is not there."""
        heads = {(entry.root, entry.branch): entry.head for entry in self.memory.catalog()}
        return heads.get(key, 0)

    @invariant()
    def tell_the_same(self) -> None:
        """The catalog is the same after every call."""
        if hasattr(self, "openers"):
            self.same(lambda journal: journal.catalog())

    def teardown(self) -> None:
        """Compare everything and check both, then close them."""
        if not hasattr(self, "openers"):
            return
        for root in (0, *ROOTS):
            for text in IDS:
                for number in range(5):
                    self.same(lambda journal, key=(root, f"{text}{number}"): journal.outcome(*key))  # type: ignore[misc]
            texts = [f"{count + each:x}" for count in COUNTS for each in range(12)]
            self.same(lambda journal, key=(root, texts): journal.outcomes(*key))  # type: ignore[misc]
        for entry in self.memory.catalog():
            self.same(lambda journal, key=entry[:2]: journal.parts(*key))  # type: ignore[misc]
        self.same(lambda journal: journal.logs())
        assert self.same(lambda journal: journal.check()) == []
        elsewhere = SqliteJournal(self.path.with_name("carried.db"), durability="none")
        carried(self.memory, elsewhere).close()
        carried(self.openers[0])
        for opener in self.openers:
            opener.close()
        self.folder.cleanup()


TestJournals = Journals.TestCase
TestJournals.settings = settings(histories(0.05), stateful_step_count=40)
