"""Ids are arithmetic: packing, unpacking and uniqueness."""

from __future__ import annotations

import os
import random
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry import Ref, Workspace, ids
from tests.unit.registry.conftest import Do
from tests.unit.registry.shop import Item, Shop


@settings(derandomize=True, database=None, max_examples=300)
@given(
    st.integers(0, 2**ids.LINEAGE_BITS - 1),
    st.integers(0, ids.MAX_BRANCH),
    st.integers(0, ids.MAX_COMMIT),
)
def test_an_id_reads_back_as_it_was_written(key: int, branch: int, commit: int) -> None:
    """Every bit of lineage, branch and commit survives."""
    written = ids.to_uuid(key, ids.stamp(branch, commit))

    assert ids.from_uuid(written) == (key, branch, commit)
    assert uuid.UUID(str(written)) == written


@pytest.mark.parametrize("key", [0, 1, 2**74 - 1, 2**73, 2**62])
def test_an_id_is_a_uuid_of_version_8(key: int) -> None:
    """Version and variant are those of RFC 9562."""
    written = ids.to_uuid(key, ids.stamp(ids.MAX_BRANCH, ids.MAX_COMMIT))

    assert written.version == 8
    assert written.variant == uuid.RFC_4122


def test_the_bits_fill_the_free_bits_of_a_uuid() -> None:
    """122 bits are free; ours are as many."""
    assert ids.LINEAGE_BITS + ids.BRANCH_BITS + ids.COMMIT_BITS == 122


@pytest.mark.parametrize("other", [uuid.UUID(int=0), uuid.uuid5(uuid.NAMESPACE_DNS, "x")])
def test_a_foreign_uuid_is_refused(other: uuid.UUID) -> None:
    """Only ids of version 8 can be ours."""
    with pytest.raises(ValueError, match="version"):
        ids.from_uuid(other)


def test_lineages_do_not_repeat_and_do_not_follow_the_users_seed() -> None:
    """random.seed() in user code must not repeat identities."""
    random.seed(1)
    first = [ids.new_key() for _ in range(10_000)]
    random.seed(1)
    second = [ids.new_key() for _ in range(10_000)]

    assert len({*first, *second}) == 20_000
    assert max(first).bit_length() > 64


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_draws_other_lineages() -> None:
    """A child process must not repeat its parent's ids."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write_end, str(int(ids.new_key())).encode())
        os._exit(0)
    os.waitpid(child, 0)

    assert int(os.read(read_end, 100)) != ids.new_key()
    os.close(read_end)
    os.close(write_end)


def test_ids_given_out_before_adoption_stay(workspace: Workspace) -> None:
    """Users can store them as cross references."""
    item, shop = Item(name="x"), Shop()
    shop.star = item
    before = (item.ecs_id, item.lineage_id, shop.ecs_id, shop.lineage_id)

    snapshot = workspace.snapshot(workspace.add(shop))

    assert before == (
        snapshot.star.ecs_id,
        snapshot.star.lineage_id,
        snapshot.ecs_id,
        snapshot.lineage_id,
    )


def test_the_lineage_is_the_id_with_branch_and_commit_0(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """`ecs_id -> (entity, branch, commit)` needs no index."""
    do(lambda shop: setattr(shop, "name", "b"))
    snapshot = workspace.snapshot(shop)

    key, branch, commit = ids.from_uuid(snapshot.ecs_id)

    assert ids.to_uuid(key) == snapshot.lineage_id
    assert (branch, commit) == (0, 2)
    assert key == shop.key == shop.root
    assert snapshot.lineage_id != snapshot.ecs_id


def test_a_new_entity_is_as_born_whatever_version_it_entered_at(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """Commit 1 means "as it was born"."""
    do(lambda shop: setattr(shop, "name", "b"))
    fresh: list[uuid.UUID] = []

    def act(shop: Shop) -> None:
        item = Item(name="late")
        fresh.append(item.ecs_id)
        shop.shelves[0].items.append(item)

    do(act)

    late = workspace.snapshot(shop).shelves[0].items[-1]
    assert late.ecs_id == fresh[0]
    assert ids.from_uuid(late.ecs_id).commit == 1
