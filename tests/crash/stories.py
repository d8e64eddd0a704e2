"""Seeded stories: what a journal is told, step by step, and what it has to show after each."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from registry.errors import PrunedError
from registry.ids import EXECUTION_BITS
from registry.journal.memory import MemoryJournal
from registry.journal.port import Checkpoint, Effect, Entry, Group, Journal, Part, Series

Step = Callable[[Journal], object]
"""One call that writes."""


class Contents(NamedTuple):
    """All that a journal gives to read."""

    catalog: list[Entry]
    parts: dict[tuple[int, int], list[Part]]
    outcomes: dict[tuple[int, str], bytes]
    logs: list[tuple[int, bytes]]
    checkpoints: dict[tuple[int, int], Checkpoint]


class Story(NamedTuple):
    """Steps, and what is there before the first and after each.

    Attributes:
        steps: What is called, in order.
        contents: One more than steps.
        ids: Root and id of every execution.
    """

    steps: list[Step]
    contents: list[Contents]
    ids: list[tuple[int, str]]


def parts_of(journal: Journal, root: int, branch: int) -> list[Part]:
    """Return the parts of a branch that were not let go."""
    try:
        return list(journal.parts(root, branch))
    except PrunedError as error:
        return list(journal.parts(root, branch, error.oldest))


def contents(journal: Journal, ids: list[tuple[int, str]]) -> Contents:
    """Return all that a journal gives to read."""
    catalog = journal.catalog()
    branches = [(entry.root, entry.branch) for entry in catalog]
    outcomes = {key: journal.outcome(*key) for key in ids}
    return Contents(
        catalog,
        {key: parts_of(journal, *key) for key in branches},
        {key: outcome for key, outcome in outcomes.items() if outcome is not None},
        list(journal.logs()),
        {key: found for key in branches if (found := journal.checkpoint(*key)) is not None},
    )


class Author:
    """Writes a story, with a journal in memory beside it that says what is allowed next."""

    def __init__(self, seed: int, part_bytes: int = 300) -> None:
        self.dice = random.Random(seed)
        self.part_bytes = part_bytes
        self.journal = MemoryJournal(clock=lambda: 1.0)
        self.epochs: dict[int, int] = {}
        self.ids: list[tuple[int, str]] = []

    def tell(self, count: int) -> Story:
        """Return a story of so many steps."""
        steps = []
        for _ in range(count):
            step = self.next()
            step(self.journal)
            steps.append(step)
        return Story(steps, list(self.replayed(steps)), self.ids)

    def replayed(self, steps: list[Step]) -> Iterator[Contents]:
        """Yield what is there before and after each step."""
        journal = MemoryJournal(clock=lambda: 1.0)
        yield contents(journal, self.ids)
        for step in steps:
            step(journal)
            yield contents(journal, self.ids)

    def next(self) -> Step:
        """Return a step that the journal will take: mostly a group."""
        catalog = self.journal.catalog()
        kind = self.dice.choices(
            ("group", "acquire", "checkpoint", "forget", "forget_logs"), (70, 6, 12, 8, 4)
        )[0]
        if kind == "acquire" and self.epochs:
            root = self.dice.choice(list(self.epochs))
            self.epochs[root] += 1
            return lambda journal: journal.acquire([root], "another")
        entry = self.dice.choice(catalog) if catalog else None
        if entry is not None and kind == "checkpoint" and entry.head > entry.start:
            # At the head, so that it is never below what was let go.
            point = Checkpoint(entry.root, entry.branch, entry.head, self.bytes(400))
            return lambda journal: journal.put_checkpoint(point)
        if entry is not None and kind == "forget":
            found = self.journal.checkpoint(entry.root, entry.branch)
            if found is not None:
                before = found.version
                return lambda journal: journal.forget(found.root, found.branch, before)
        if kind == "forget_logs":
            row = self.dice.randrange(20)
            return lambda journal: journal.forget_logs(row)
        group = self.group(catalog)
        return lambda journal: journal.append(group)

    def group(self, catalog: list[Entry]) -> Group:
        """Return a group: new roots and forks, commits on some branches, now and then a drop."""
        notes, parts = [], []
        heads = {(entry.root, entry.branch): entry.head for entry in catalog}
        if len(heads) < 2 or self.dice.random() < 0.1:
            heads[self.dice.getrandbits(74), 0] = 0
            notes.append((*list(heads)[-1], 0, self.bytes(30)))
        if self.dice.random() < 0.1 and catalog:
            entry = self.dice.choice(catalog)
            branch = max(key[1] for key in heads if key[0] == entry.root) + 1
            heads[entry.root, branch] = entry.head
            notes.append((entry.root, branch, entry.head, self.bytes(30)))
        for key in self.dice.sample(list(heads), self.dice.randint(1, min(4, len(heads)))):
            count = self.dice.randint(1, 9)
            parts.append(
                Part(*key, heads[key] + 1, heads[key] + count, self.bytes(self.part_bytes))
            )
        if self.dice.random() < 0.07 and len(heads) > 3:
            notes.append((*self.dice.choice(list(heads)), 0, b""))
        effects = [
            Effect(self.dice.choice((0, parts[0].root)), self.id(), self.bytes(8))
            for _ in range(self.dice.randint(0, 12))
        ]
        self.ids += [(effect.root, effect.execution_id) for effect in effects]
        roots = {part.root for part in parts} | {note[0] for note in notes}
        epochs = {root: self.epochs[root] for root in roots if root in self.epochs}
        self.epochs.update(dict.fromkeys(roots - self.epochs.keys(), 1))
        log = self.bytes(200) if self.dice.random() < 0.7 else b""
        series = []
        if self.dice.random() < 0.5:
            since = self.dice.getrandbits(74) << EXECUTION_BITS
            numbers = [since + each for each in sorted(self.dice.sample(range(200), 9))]
            series.append(Series(parts[0].root, numbers, [self.bytes(8) for _ in numbers]))
            self.ids += [(parts[0].root, f"{each:x}") for each in numbers]
        return Group(parts, notes, effects, log, epochs, series)

    def id(self) -> str:
        """Return an id of an execution."""
        return f"{self.dice.getrandbits(64):x}"

    def bytes(self, at_most: int) -> bytes:
        """Return some bytes, one at least."""
        return self.dice.randbytes(self.dice.randint(1, at_most))
