"""Retention: old versions go by number and by memory; what somebody holds stays readable."""

from __future__ import annotations

import gc
import pickle
import tracemalloc

import pytest

from registry import Ref, Retention, Workspace
from registry.errors import PrunedError
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop


def turn(shop: Shop, n: int) -> None:
    """Change a field, a list of atoms, a dict, a set, children and an opaque value."""
    shop.name = f"n{n}"
    shop.numbers.append(n)
    if len(shop.numbers) > 5:
        del shop.numbers[0]
    shop.table[f"k{n % 3}"] = n
    shop.marks.add(n % 7)
    shop.marks.discard((n + 3) % 7)
    shop.point.x = n
    shop.shelves[n % 3].items.append(Item(name=f"t{n}"))
    if len(shop.shelves[n % 3].items) > 3:
        shop.shelves[n % 3].items.pop(0)


def workspace_with(retention: Retention) -> tuple[Workspace, Ref]:
    """Make a workspace and a shop in it."""
    workspace = Workspace(retention=retention)
    workspace.register("turn")(turn)
    return workspace, workspace.add(new_shop())


def test_the_newest_versions_are_kept_and_older_ones_are_pruned() -> None:
    workspace, ref = workspace_with(Retention(versions=10))
    dumps = {1: workspace.snapshot(ref).model_dump()}
    for n in range(50):
        workspace.execute("turn", shop=ref, n=n)
        dumps[n + 2] = workspace.snapshot(ref).model_dump()

    assert workspace.head(ref) == 51
    assert [info.version for info in workspace.history(ref)][-10:] == list(range(42, 52))
    for version in range(42, 52):
        assert workspace.snapshot(ref, version).model_dump() == dumps[version]
    for version in (1, 20):
        with pytest.raises(PrunedError) as caught:
            workspace.snapshot(ref, version).model_dump()
        assert caught.value.version == version
        assert 20 < caught.value.oldest <= 42


def test_one_version_is_the_least() -> None:
    workspace, ref = workspace_with(Retention(versions=1))
    for n in range(20):
        workspace.execute("turn", shop=ref, n=n)

    assert workspace.snapshot(ref).name == "n19"
    with pytest.raises(PrunedError):
        workspace.snapshot(ref, 2)
    for bad in ({"versions": 0}, {"memory_bytes": 0}, {"versions": -1}):
        with pytest.raises(ValueError, match="at least 1"):
            Retention(**bad)


@pytest.mark.parametrize("read_first", [False, True])
def test_a_held_snapshot_goes_on_reading_pruned_versions(read_first: bool) -> None:
    workspace, ref = workspace_with(Retention(versions=3))
    for n in range(5):
        workspace.execute("turn", shop=ref, n=n)
    held = workspace.snapshot(ref)
    expected = workspace.snapshot(ref).model_dump()
    child = workspace.snapshot(ref).shelves[2]
    child_dump = workspace.snapshot(ref).shelves[2].model_dump()
    if read_first:
        _ = held.shelves[0].items

    for n in range(5, 60):
        workspace.execute("turn", shop=ref, n=n)

    assert held.model_dump() == expected
    assert child.model_dump() == child_dump
    assert held.version == 6
    assert pickle.loads(pickle.dumps(held)).model_dump() == expected


def test_a_snapshot_that_is_let_go_no_longer_holds_versions() -> None:
    workspace, ref = workspace_with(Retention(versions=3))
    held = workspace.snapshot(ref)
    for n in range(20):
        workspace.execute("turn", shop=ref, n=n)
    assert held.name == "shop"
    del held
    gc.collect()
    for n in range(20, 40):
        workspace.execute("turn", shop=ref, n=n)

    with pytest.raises(PrunedError):
        workspace.snapshot(ref, 1).model_dump()


def test_a_budget_of_memory_prunes() -> None:
    workspace, ref = workspace_with(Retention(versions=None, memory_bytes=100_000))
    for n in range(3000):
        workspace.run("turn", {"shop": ref, "n": n})

    history = workspace.history(ref)
    assert history[-1].version == workspace.head(ref) == 3001
    assert len(history) < 2500
    assert len(history) > 5
    oldest = history[0].version
    assert workspace.snapshot(ref, max(oldest, 2)).name.startswith(("n", "shop"))
    with pytest.raises(PrunedError):
        workspace.snapshot(ref, 2).model_dump()


@pytest.mark.parametrize(
    "retention",
    [Retention(versions=50, records=50), Retention(versions=None, memory_bytes=50_000, records=50)],
    ids=["versions", "memory"],
)
def test_memory_is_bounded_whatever_the_number_of_executions(retention: Retention) -> None:
    workspace, ref = workspace_with(retention)
    for n in range(1500):
        workspace.run("turn", {"shop": ref, "n": n})
    gc.collect()
    tracemalloc.start()
    for n in range(1500, 4500):
        workspace.run("turn", {"shop": ref, "n": n})
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    # 3,000 versions of at least 500 bytes would be 1.5 MB.
    assert grown < 400_000


def test_removed_entities_are_forgotten_with_the_versions_that_had_them() -> None:
    """A tree whose entities come and go does not grow."""
    workspace = Workspace(retention=Retention(versions=5, records=5))

    def churn(shop: Shop, n: int) -> None:
        shop.shelves = [Shelf(label=str(n), items=[Item(name=str(n)) for _ in range(20)])]

    workspace.register("churn")(churn)
    ref = workspace.add(new_shop())
    for n in range(200):
        workspace.run("churn", {"shop": ref, "n": n})
    gc.collect()
    tracemalloc.start()
    for n in range(200, 500):
        workspace.run("churn", {"shop": ref, "n": n})
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    # 300 times 21 entities, at 300 bytes or more each, would be 1.9 MB.
    assert grown < 400_000


def test_a_branch_reads_its_base_after_the_main_line_has_pruned_it() -> None:
    workspace, ref = workspace_with(Retention(versions=3))
    for n in range(5):
        workspace.execute("turn", shop=ref, n=n)
    branch = workspace.fork(ref)
    expected = workspace.snapshot(branch).model_dump()
    for n in range(5, 40):
        workspace.execute("turn", shop=ref, n=n)

    assert workspace.snapshot(branch).model_dump() == expected
    workspace.execute("turn", shop=branch, n=1000)
    assert workspace.snapshot(branch).name == "n1000"
    assert workspace.snapshot(branch).shelves[0].model_dump() == expected["shelves"][0]
    assert workspace.snapshot(ref).name == "n39"


def test_diffs_and_forks_of_pruned_versions_say_so() -> None:
    workspace, ref = workspace_with(Retention(versions=3))
    for n in range(40):
        workspace.execute("turn", shop=ref, n=n)

    with pytest.raises(PrunedError):
        workspace.diff(ref, 1, 41)
    with pytest.raises(PrunedError):
        workspace.fork(ref, at=1)


def test_old_ids_hold_what_is_retained() -> None:
    workspace, ref = workspace_with(Retention(versions=5))
    for n in range(40):
        workspace.execute("turn", shop=ref, n=n)

    snapshot = workspace.snapshot(ref)

    assert len(snapshot.old_ids) <= 40
    assert snapshot.previous_ecs_id == workspace.snapshot(ref, 40).ecs_id
    assert snapshot.old_ids[-1] == snapshot.previous_ecs_id


def test_rollback_works_after_pruning() -> None:
    workspace, ref = workspace_with(Retention(versions=1))
    for n in range(10):
        workspace.execute("turn", shop=ref, n=n)
    expected = workspace.snapshot(ref).model_dump()

    def fail(shop: Shop) -> None:
        turn(shop, 99)
        shop.shelves.clear()
        raise KeyError

    workspace.register("fail")(fail)
    with pytest.raises(KeyError):
        workspace.execute("fail", shop=ref)

    assert workspace.snapshot(ref).model_dump() == expected
    workspace.execute("turn", shop=ref, n=10)
    assert workspace.snapshot(ref).name == "n10"
