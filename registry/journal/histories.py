"""Histories: whether the trees that are stored can be made again, and are what the records tell.

`Journal.check` holds bytes against their digests; this reads what they mean. Every commit is done
again, from the birth of its tree or what compaction has left of that. Then each version has a
commit, no execution made two of a branch, and the record and the outcome of the execution tell of
that very version.

It does not know what callables would do: that is `Workspace.replay`, one execution at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import TypeAlias

from registry import ids
from registry.errors import UnknownClassError
from registry.journal.chain import branch_text
from registry.journal.journaled_trees import JournaledTrees
from registry.journal.logs import read_log
from registry.journal.outcomes import Failed, read_outcome
from registry.journal.port import Entry, Journal, Problem
from registry.journal.writer import Reader
from registry.retention import Retention
from registry.tree import TreeRegistry

_ALL = Retention(versions=None, memory_bytes=None)
_Number: TypeAlias = int | str
_Told: TypeAlias = dict[tuple[int, int], dict[int, _Number]]
"""By root and branch: the execution that a record says made a version."""


def check_histories(journal: Journal) -> Iterator[Problem]:
    """Make every tree again and yield what is wrong with it; others may write meanwhile.

    Raises:
        UnknownClassError: A class is not imported.
        JournalError: The store could not be read.

    Cost: about 30 us per commit; memory for the history of one root, and a number per version.
    """
    entries = journal.catalog()
    # In this order: whatever a version has a record of is stored with it, not after it.
    told: _Told = {}
    yield from _read_records(journal, told)
    heads = {(each.root, each.branch): each.head for each in journal.catalog()}
    reader = Reader(journal)
    for _, branches in groupby(sorted(entries, key=attrgetter("root")), attrgetter("root")):
        yield from _check_root(reader, list(branches), told, heads)


def _read_records(journal: Journal, told: _Told) -> Iterator[Problem]:
    """Enter which execution made which version, as the records say."""
    for row, data in journal.logs():
        for packed in read_log(data, row)[0]:
            if packed[0] is None or packed[-2] is not None:
                continue  # an adoption, or part of another execution
            number, trees = packed[0], packed[4]
            for root, branch, before, after in zip(*[iter(trees)] * 4, strict=True):
                versions = told.setdefault((root, branch), {})
                if before != after and versions.setdefault(after, number) != number:
                    place = f"row {row}, record of execution {ids.execution_text(number)}"
                    other = ids.execution_text(versions[after])
                    yield Problem(place, _made(root, branch, after), f"that {other} did")


def _check_root(
    reader: Reader, entries: Sequence[Entry], told: _Told, heads: dict[tuple[int, int], int]
) -> Iterator[Problem]:
    trees = JournaledTrees(_ALL, reader, "", entries)
    trees.loads_all = True  # every commit is to be done again, and nothing taken from a checkpoint
    for entry in entries:
        key = (entry.root, entry.branch)
        records = told.pop(key, {})
        try:
            tree = trees.held(*key)
        except UnknownClassError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is wrong
            found = f"{type(error).__name__}: {error}"
            yield Problem(branch_text(*key), found, "commits that can be done again")
            continue
        if tree is None:
            continue  # its birth was never complete
        yield from _check_versions(tree, records)
        yield from _check_outcomes(reader.journal, tree, records)
        newest = heads.get(key)
        for version, number in records.items():
            if newest is not None and version > max(newest, tree.head):
                place = f"record of execution {ids.execution_text(number)}"
                yield Problem(place, _made(*key, version), f"versions up to {newest}")


def _check_versions(tree: TreeRegistry, records: dict[int, _Number]) -> Iterator[Problem]:
    """Hold the commits of a branch against each other, and against its records."""
    made: dict[_Number, int] = {}
    first_recorded = min(records, default=tree.head + 1)  # older records may have been let go
    for version in range(tree.base_version + 1, tree.head + 1):
        place = f"version {version} of {branch_text(int(tree.key), tree.branch)}"
        commit = tree.commit_of(version)
        if commit is None and version <= tree.oldest:
            continue  # compaction has let it go
        if commit is None or commit.version != version:
            yield Problem(place, "no commit" if commit is None else f"{commit.version}", "its own")
            continue
        if version == 1:
            continue  # an adoption, which no execution made, or another one of many
        number = commit.execution_id
        text = f"execution {ids.execution_text(number)}"
        if number in made:
            yield Problem(place, f"{text}, which made version {made[number]}", "another execution")
        made[number] = version
        recorded = records.get(version)
        if recorded is None and version >= first_recorded:
            yield Problem(place, "no record", f"the record of {text}")
        elif recorded not in (None, number):
            found = f"the record of execution {ids.execution_text(recorded)}"
            yield Problem(place, found, f"that of {text}")


def _check_outcomes(
    journal: Journal, tree: TreeRegistry, records: dict[int, _Number]
) -> Iterator[Problem]:
    """See that executions that made a version are answered so, where their outcome is stored."""
    for version, number in records.items():
        text = ids.execution_text(number)
        data = journal.outcome(int(tree.key), text) if version <= tree.head else None
        if data is None:
            continue
        outcome = read_outcome(data, None, f"execution {text!r}")
        answer = "a failure" if isinstance(outcome, Failed) else f"version {outcome.version}"
        if answer != f"version {version}":
            place = f"outcome of execution {text}"
            yield Problem(place, answer, _made(int(tree.key), tree.branch, version))


def _made(root: int, branch: int, version: int) -> str:
    return f"version {version} of {branch_text(root, branch)}"
