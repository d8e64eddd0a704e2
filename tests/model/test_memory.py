"""After any number of executions a process holds a bounded number of objects.

`TREERUNNER_EXECUTIONS=1000000` runs that many with the default retention instead (add
`-o timeout=0`), and compares the resident memory as well; `-s` shows the figures.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from registry import Entity, Ref, Retention, Workspace
from registry.history import cells_in

pytestmark = pytest.mark.slow

ASKED_FOR = "TREERUNNER_EXECUTIONS" in os.environ
EXECUTIONS = int(os.environ.get("TREERUNNER_EXECUTIONS", "24000"))
RETENTION = Retention() if ASKED_FOR else Retention(versions=500, records=500)
SAMPLES = 12
SLACK = 1.05


class Item(Entity):
    """Something small."""

    name: str = ""
    tags: list[str] = []  # noqa: RUF012 - pydantic copies mutable defaults


class Box(Entity):
    """Holds items, and values of every kind."""

    number: int = 0
    items: list[Item] = []  # noqa: RUF012 - as above
    table: dict[str, int] = {}  # noqa: RUF012 - as above
    marks: set[int] = set()  # noqa: RUF012 - as above
    anything: Any = None


class Shelf(Entity):
    """Holds boxes."""

    boxes: list[Box] = []  # noqa: RUF012 - as above


def work(shelf: Shelf, n: int) -> Any:
    """Do something else each time: every kind of change, and all sizes stay as they are."""
    box, other = shelf.boxes[n % 4], shelf.boxes[(n + 1) % 4]
    kind = n % 12
    if kind == 0:
        box.items.append(Item(name=str(n)))
        del box.items[:-3]
    elif kind == 1:
        if box.items:
            other.items.append(box.items.pop(0))
            del other.items[:-3]
    elif kind == 2:
        box.table[str(n % 5)] = n
        box.table.pop(str((n + 2) % 5), None)
    elif kind == 3:
        box.marks.add(n)
        box.marks.discard(n - 48)
    elif kind == 4:
        box.anything = [[n], (n, [str(n)])]
    elif kind == 5:
        box.anything = Item(name=str(n))
    elif kind == 6:
        box.anything = range
        shelf.boxes.sort(key=lambda each: each.number * 7919 % 101)
    elif kind == 7:
        raise ValueError(n)
    elif kind == 8:
        return [box, other, n]
    elif kind == 9 and box.items:
        box.items[-1].tags.append(str(n))
        del box.items[-1].tags[:-2]
    elif kind == 10:
        shelf.boxes[n % 4] = Box(number=n)
    else:
        box.number = n
    return None


def census(workspace: Workspace, ref: Ref) -> dict[str, int]:
    """Count what is held: objects of the process, and what the engine keeps by kind."""
    gc.collect()
    tree = workspace.trees.tree(ref)
    nodes = list(tree.nodes.values())
    cells = [cell for node in nodes for value in node.state for cell in cells_in(value)]
    return {
        "objects": len(gc.get_objects()),
        "blocks": sys.getallocatedblocks(),
        "commits": len(tree.commits),
        "records": len(workspace.records),
        "nodes": len(nodes),
        "live entities": len(tree.entities),
        # Dead ones are dropped when there are more than a thousand: where between, is chance.
        "pins": sum(pin() is not None for pin in tree._pins) + len(tree._pins) // tree._max_pins,
        "states": sum(len(node.states or ()) for node in nodes),
        "ids": sum(len(node.renamed or ()) for node in nodes),
        "moves": sum(len(node.moves or ()) for node in nodes),
        "deltas": sum(len(cell.deltas) for cell in cells),
        "trees": len(workspace.trees),
    }


def resident_bytes() -> int:
    """Return how much memory the process has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def test_executions_without_end_hold_a_bounded_number_of_objects() -> None:
    """What is held peaks in the first half already, of each kind."""
    workspace = Workspace(retention=RETENTION)
    workspace.register("work")(work)
    ref = workspace.add(Shelf(boxes=[Box(number=n) for n in range(4)]))
    samples = []
    for n in range(EXECUTIONS):
        try:
            workspace.execute("work", raw=True, shelf=ref, n=n)
        except ValueError:
            assert n % 12 == 7
        if (n + 1) % (EXECUTIONS // SAMPLES) == 0:
            samples.append(census(workspace, ref))
            if ASKED_FOR:
                samples[-1]["resident"] = resident_bytes()
                sys.stdout.write(f"{n + 1}: {samples[-1]}\n")

    half = len(samples) // 2
    for kind in samples[0]:
        early = max(sample[kind] for sample in samples[:half])
        late = max(sample[kind] for sample in samples[half:])
        assert late <= early * SLACK + 64, f"{kind}: {[sample[kind] for sample in samples]}"


def test_what_is_made_and_dropped_leaves_nothing_behind() -> None:
    """Roots, forks of outdated snapshots, orphans, failures, copies, trees and views."""
    workspace = Workspace(retention=Retention(versions=50, records=50))
    workspace.register("work")(work)

    @workspace.register("make")
    def make(shelf: Shelf) -> list[Shelf | Box]:
        return [Shelf(boxes=[Box()]), shelf.boxes[0].model_copy()]

    ref = workspace.add(Shelf(boxes=[Box(number=n) for n in range(4)]))

    def once(n: int) -> None:
        snapshot = workspace.snapshot(ref)
        snapshot.boxes[0].number = n
        workspace.commit_edits(snapshot)
        workspace.execute("work", raw=True, shelf=ref, n=11)
        stale = workspace.execute("work", raw=True, shelf=snapshot, n=8)[0]
        branch = workspace.ref(stale) if stale.root_ecs_id != snapshot.ecs_id else None
        fork = workspace.fork(ref)
        workspace.execute("work", raw=True, shelf=fork, n=12 * n)
        made = [workspace.ref(each) for each in workspace.execute("make", raw=True, shelf=ref)]
        workspace.execute("work", raw=True, shelf=Shelf(boxes=[Box() for _ in range(4)]), n=8)
        assert len(workspace.tree(ref).ecs_ids) == len(workspace.tree(ref, read_only=True).ecs_ids)
        assert workspace.get(f"{ref.address}.boxes.0.number") >= 0
        for each in workspace.roots():
            if each not in (ref, branch) or each in made:
                workspace.drop(each)
        for each in workspace.roots():
            if each != ref:
                workspace.drop(each)

    counts = []
    for n in range(1, 361):
        once(n)
        if n % 60 == 0:
            counts.append(census(workspace, ref))
    for kind in counts[0]:
        late = max(count[kind] for count in counts[3:])
        early = max(count[kind] for count in counts[:3])
        assert late <= early * SLACK + 64, f"{kind}: {[count[kind] for count in counts]}"
