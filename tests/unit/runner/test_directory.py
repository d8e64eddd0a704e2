"""Where roots are, how they are called, and what is known of lost ones."""

from __future__ import annotations

import pytest

from registry import Ref, ids
from registry.errors import IdentityTakenError, NameTakenError
from registry.ids import new_key
from runner.directory import Directory, Entry, rootless_owner
from runner.errors import RootLostError, RootNotFoundError
from tests.contract.library import Library


@pytest.fixture
def directory() -> Directory:
    """An empty directory."""
    return Directory()


def entry(host: int = 0, name: str | None = None) -> Entry:
    key = new_key()
    return Entry(Ref(key, key), host, owner=key, name=name)


def test_a_root_is_found_by_ref_name_and_address(directory: Directory):
    here = entry(name="here")
    directory.enter(here)

    for target in (here.root, "here", here.root.address, Ref(here.root.root, new_key(), 3)):
        assert directory.entry(target) is here
    assert directory.name_of(here.root) == "here"
    assert list(directory) == [here]
    assert len(directory) == 1


@pytest.mark.parametrize("target", ["nobody", "@nonsense", entry().root], ids=str)
def test_what_is_not_here_is_told_by_name(directory: Directory, target: Ref | str):
    with pytest.raises(RootNotFoundError, match="no root of this runner is") as caught:
        directory.entry(target)

    assert str(target) in caught.value.target


def test_a_name_is_free_again_when_its_root_is_lost(directory: Directory):
    directory.enter(entry(host=1, name="here"))
    with pytest.raises(NameTakenError):
        directory.check_name("here")

    directory.lose(1)

    directory.check_name("here")


def test_jobs_find_living_roots_only_also_under_a_name_that_was_taken_over(directory: Directory):
    lost, kept = entry(host=1, name="here"), entry(host=0)
    for each in (lost, kept):
        directory.enter(each)

    directory.lose(1)
    assert directory.targets == {kept.root: kept}

    again = entry(host=0, name="here")
    directory.enter(again)
    assert directory.targets == {kept.root: kept, again.root: again, "here": again}


def test_an_orphan_with_the_identity_of_a_living_root_is_refused(directory: Directory):
    library = Library()
    key = ids.from_uuid(library.lineage_id).key
    directory.check_identity(library)
    directory.enter(Entry(Ref(key, key), 1, key))

    with pytest.raises(IdentityTakenError) as caught:
        directory.check_identity(library)
    assert caught.value.entity == f"Library {library.lineage_id}"

    directory.check_identity(library.model_copy())
    directory.lose(1)
    directory.check_identity(library)


def test_a_dead_host_loses_its_roots_and_no_others(directory: Directory):
    kept, lost = entry(host=0), entry(host=1, name="gone")
    directory.enter(kept)
    directory.enter(lost)

    assert directory.lose(1) == [lost]

    assert list(directory) == [kept]
    with pytest.raises(RootLostError, match="root 'gone'") as caught:
        directory.entry("gone")
    assert caught.value.root == lost.root
    assert str(directory.lost_error(lost.root)) == str(caught.value)
    assert directory.lose(1) == []


def test_roots_are_counted_per_host(directory: Directory):
    for host in (0, 1, 1):
        directory.enter(entry(host))

    assert [directory.root_count(host) for host in (0, 1, 2)] == [1, 2, 0]


def test_the_owner_of_roots_without_a_parent_is_no_key():
    assert rootless_owner(0) < 0
    assert rootless_owner(0) != rootless_owner(1)
