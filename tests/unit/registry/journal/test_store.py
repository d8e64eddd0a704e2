"""A store is named by a path, by the address of a server, or is a journal already."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from registry.errors import JournalError
from registry.journal.memory import MemoryJournal
from registry.journal.sqlite import SqliteJournal
from registry.journal.store import open_journal, without_password


def test_a_journal_is_taken_as_it_is() -> None:
    journal = MemoryJournal()

    assert open_journal(journal) is journal


def test_memory_is_a_store_that_ends_with_the_process() -> None:
    journal = open_journal(":memory:")

    assert type(journal) is MemoryJournal
    assert journal.name == ":memory:"


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_is_a_file(tmp_path: Path, kind: type[str | Path]) -> None:
    journal = open_journal(kind(tmp_path / "a b%?#é.db"), durability="none")

    assert type(journal) is SqliteJournal
    assert journal.name == str(tmp_path / "a b%?#é.db")
    assert (tmp_path / "a b%?#é.db").exists()
    journal.close()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_without_psycopg_a_server_is_refused_with_the_extra_that_brings_it(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "registry.journal.postgres", raising=False)
    monkeypatch.delitem(sys.modules, "registry.journal.postgres_audit", raising=False)
    monkeypatch.delitem(sys.modules, "registry.journal.postgres_server", raising=False)

    with pytest.raises(JournalError) as caught:
        open_journal(f"{scheme}://me:secret@db.example:5432/flights?sslmode=require")

    assert caught.value.store == f"{scheme}://db.example:5432/flights"
    assert "treerunner[postgres]" in caught.value.way_out
    assert "secret" not in f"{caught.value} {caught.value.args}"


def test_an_unknown_scheme_is_no_path() -> None:
    with pytest.raises(JournalError) as caught:
        open_journal("mysql://host/db")

    assert caught.value.problem == "has the unknown scheme 'mysql'"


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://me:secret@host/db",
        "postgresql://me:sec/ret@host/db",
        "postgresql://me:sec#ret@host/db",
        "postgresql://me:sec?ret@host/db",
        "postgresql://me:secret@[::1/db",
        "postgresql://host/db?password=secret",
        "postgresql://me:secret@host:port/db",
    ],
)
def test_no_part_of_a_password_is_shown(dsn: str) -> None:
    shown = without_password(dsn)

    assert shown.startswith("postgresql://")
    assert "sec" not in shown
    assert "ret" not in shown
