"""A PostgreSQL journal whose server, connection or answer is lost: nothing lost, nothing twice."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from registry import Entity, Workspace
from registry.errors import (
    DuplicateExecutionError,
    FencedError,
    JournalBusyError,
    JournalDamagedError,
    JournalError,
)
from registry.journal.port import Checkpoint, Group, Journal
from registry.journal.sqlite_file import Durability
from registry.journal.store import open_journal, without_password
from tests.contract.journals import DEPOT, SHOP, group, part
from tests.crash.cutting_proxy import Cut, CuttingProxy
from tests.own_server import OwnServer

psycopg = pytest.importorskip("psycopg", reason="needs the extra treerunner[postgres]")
ROUNDS = 50


@pytest.fixture
def dsn(postgres_server: OwnServer) -> str:
    return postgres_server.dsn(postgres_server.empty_database())


def opened(dsn: str, timeout_s: float = 5.0, durability: Durability = "fsync") -> Any:
    """Return a journal on a server; of no class that needs psycopg to be named."""
    from registry.journal.postgres import PostgresJournal

    name = without_password(dsn)
    return PostgresJournal(dsn, name=name, timeout_s=timeout_s, durability=durability)


def write(journal: Journal, number: int) -> int:
    """Append version *number* of the shop, by an execution with that id."""
    epochs = {SHOP: 1} if number > 1 else {}
    return journal.append(
        group(part(SHOP, number), effects=[(SHOP, f"{number}", b"done")], log=b"l", epochs=epochs)
    )


def stored(journal: Journal) -> list[int]:
    """Return the versions that are stored, each with its outcome, in a sound store."""
    assert list(journal.check()) == []
    versions = [each.first for each in journal.parts(SHOP, 0)]
    outcomes = journal.outcomes(SHOP, [f"{number}" for number in range(1, 1000)])
    assert sorted(map(int, outcomes)) == versions
    return versions


# --- the server ends, or ends a connection -------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_what_was_acknowledged_survives_the_end_of_the_server(
    postgres_server: OwnServer, dsn: str, how: signal.Signals
) -> None:
    """SIGQUIT ends it without a last word, as a crash does; the journal connects again."""
    journal = opened(dsn)
    write(journal, 1)
    postgres_server.stop(how)

    with pytest.raises(JournalError) as gone:
        write(journal, 2)
    with pytest.raises(JournalError) as still_gone:
        journal.catalog()
    postgres_server.start()

    assert "secret" not in f"{gone.value} {still_gone.value}"
    assert write(journal, 2) == 2
    assert stored(journal) == [1, 2]
    journal.close()


Connection: Any = psycopg.Connection


class Terminating(Connection):  # type: ignore[misc]  # psycopg may be missing
    """A connection whose backend is terminated before its n-th statement."""

    countdown = 0
    terminate: Callable[[], object]
    at_commit = False

    def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        Terminating.countdown -= 1
        if Terminating.countdown == 0:
            Terminating.at_commit = query == "COMMIT"
            Terminating.terminate()
        return super().execute(query, *args, **kwargs)


def test_a_terminated_backend_loses_and_doubles_nothing(
    postgres_server: OwnServer, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each statement of an append in turn, until it ends before it is that far."""
    from registry.journal import postgres_server as connecting

    monkeypatch.setattr(connecting, "CONNECTION", Terminating)
    Terminating.terminate = lambda: postgres_server.terminate("flights")
    journal = opened(dsn)
    ended, commits, number = 0, 0, 1
    told: list[str] = []
    write(journal, 1)
    for statement in range(1, 30):
        number += 1
        Terminating.countdown = statement
        try:
            write(journal, number)
        except JournalError as error:
            ended += 1
            commits += Terminating.at_commit
            told.append(error.problem)
            assert journal.outcome(SHOP, f"{number}") is None
            write(journal, number)
        else:
            break

    Terminating.countdown = 0
    assert ended >= 8
    assert commits == 1
    assert ["nobody knows" in each for each in told] == [False] * (ended - 1) + [True]
    assert ["nothing was stored" in each for each in told] == [True] * (ended - 1) + [False]
    assert stored(journal) == list(range(1, number + 1))
    journal.close()


def test_a_terminated_backend_is_an_error_of_every_other_call_once(
    postgres_server: OwnServer, dsn: str
) -> None:
    journal = opened(dsn)
    write(journal, 1)
    calls: list[Callable[[], object]] = [
        journal.catalog,
        lambda: list(journal.parts(SHOP, 0)),
        lambda: journal.outcome(SHOP, "1"),
        lambda: list(journal.logs()),
        lambda: journal.checkpoint(SHOP, 0),
        lambda: journal.acquire([DEPOT], "host 2"),
        lambda: journal.put_checkpoint(Checkpoint(SHOP, 0, 1, b"state")),
        lambda: journal.forget(SHOP, 0, 1),
        lambda: journal.forget_logs(1),
    ]
    for call in calls:
        journal.catalog()
        postgres_server.terminate("flights")
        with pytest.raises(JournalError) as caught:
            call()
        assert type(caught.value) is JournalError
        call()
    journal.close()


# --- COMMIT whose answer does not come -----------------------------------------------------------


@pytest.mark.parametrize("cut", list(Cut))
def test_a_commit_without_an_answer_is_there_as_a_whole_or_not_at_all(
    postgres_server: OwnServer, dsn: str, cut: Cut
) -> None:
    """The caller is told that nobody knows, loads, and sends again only what is not there."""
    with CuttingProxy(postgres_server.port) as proxy:
        journal = opened(postgres_server.dsn("flights", proxy.port))
        write(journal, 1)
        found = []
        for number in range(2, ROUNDS + 2):
            proxy.cut_next(cut)
            with pytest.raises(JournalError) as caught:
                write(journal, number)
            assert type(caught.value) is JournalError
            assert "nobody knows here whether the group is stored" in caught.value.problem
            found.append(journal.outcome(SHOP, f"{number}") is not None)
            if found[-1]:
                with pytest.raises(DuplicateExecutionError):
                    journal.append(group(effects=[(SHOP, f"{number}", b"")]))
            else:
                write(journal, number)

        assert stored(journal) == list(range(1, ROUNDS + 2))
        assert (
            sum(found)
            in {
                Cut.BEFORE: {0},
                Cut.AT_ONCE: set(range(ROUNDS + 1)),
                Cut.AFTER: {ROUNDS},
            }[cut]
        )
        journal.close()


# --- several writers -----------------------------------------------------------------------------


def test_an_older_writer_is_refused_by_the_transaction_of_its_commit(dsn: str) -> None:
    old, new = opened(dsn), opened(dsn)
    write(old, 1)

    assert new.acquire([SHOP], "host 2") == {SHOP: 2}

    with pytest.raises(FencedError) as caught:
        write(old, 2)
    assert (caught.value.held, caught.value.epoch, caught.value.holder) == (1, 2, "host 2")
    assert new.append(group(part(SHOP, 2), epochs={SHOP: 2})) == 3
    assert [each.first for each in old.parts(SHOP, 0)] == [1, 2]
    old.close()
    new.close()


def test_while_another_has_the_lock_it_is_busy(dsn: str) -> None:
    journal, other = opened(dsn), opened(dsn, timeout_s=0.1)
    write(journal, 1)

    with journal._using() as db:
        db.execute("BEGIN")
        db.execute("SELECT * FROM treerunner.store FOR UPDATE")
        with pytest.raises(JournalBusyError) as caught:
            write(other, 2)
        db.execute("ROLLBACK")

    assert caught.value.store == without_password(dsn)
    assert write(other, 2) == 2
    for each in (journal, other):
        each.close()


def test_of_a_writer_that_stops_in_the_middle_the_server_lets_go(dsn: str) -> None:
    """A stopped process, or a cut cable: nobody waits for ever, and nothing of it is stored."""
    stopped, other = opened(dsn, timeout_s=0.1), opened(dsn, timeout_s=60.0)
    write(stopped, 1)

    with stopped._using() as db:
        db.execute("BEGIN")
        db.execute("SELECT * FROM treerunner.store FOR UPDATE")
        assert write(other, 2) == 2

    with pytest.raises(JournalError):
        write(stopped, 3)
    assert write(stopped, 3) == 3
    assert stored(other) == [1, 2, 3]
    for each in (stopped, other):
        each.close()


def test_two_writers_take_turns(dsn: str) -> None:
    """Each with roots of its own, at once; rows are numbered once and the chain is whole."""
    rows: list[int] = []

    def work(root: int) -> None:
        journal = opened(dsn, timeout_s=60.0)
        for version in range(1, 51):
            effects = [(root, f"{version}", b"")]
            rows.append(journal.append(group(part(root, version), effects=effects)))
        journal.close()

    threads = [threading.Thread(target=work, args=(root,)) for root in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    journal = opened(dsn)
    assert sorted(rows) == list(range(1, 101))
    assert list(journal.check()) == []
    assert [entry.head for entry in journal.catalog()] == [50, 50]
    journal.close()


# --- workspaces ----------------------------------------------------------------------------------


class Counter(Entity):
    """Counts."""

    count: int = 0


def counting(dsn: str) -> Workspace:
    workspace = Workspace(store=dsn)

    @workspace.register("add")
    def add(counter: Counter) -> int:
        counter.count += 1
        return counter.count

    return workspace


def test_a_workspace_goes_on_where_another_one_ended(dsn: str) -> None:
    with counting(dsn) as workspace:
        workspace.add(Counter(), "counter")
        arguments = {"counter": workspace.ref("counter")}
        receipts = [workspace.run("add", arguments, f"add-{number}") for number in (1, 2, 3)]

    with counting(dsn) as again:
        arguments = {"counter": again.ref("counter")}
        assert again.run("add", arguments, "add-3") == receipts[-1]
        again.run("add", arguments, "add-4")
        found = [again.snapshot("counter", version).count for version in range(1, 6)]
        assert found == [0, 1, 2, 3, 4]


# --- what is not as it was -----------------------------------------------------------------------


def test_a_lost_tail_is_noticed_by_whoever_had_seen_it(
    postgres_server: OwnServer, dsn: str
) -> None:
    """As after a crash without fsync, or when an older backup was put in place."""
    journal = opened(dsn)
    write(journal, 1)
    write(journal, 2)
    older = "(SELECT row, digest FROM treerunner.groups WHERE row = 1)"
    postgres_server.ask(
        f"UPDATE treerunner.store SET (head_row, head_digest) = {older};"  # noqa: S608  # our own
        " DELETE FROM treerunner.groups WHERE row = 2",
        "flights",
    )

    with pytest.raises(JournalDamagedError) as caught:
        write(journal, 3)

    assert caught.value.place == f"{journal.name}, rows 2 to 2"
    postgres_server.terminate("flights")
    with pytest.raises(JournalError):
        journal.catalog()
    with pytest.raises(JournalDamagedError):
        journal.catalog()
    journal.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE treerunner.parts SET data = 'x'",
        "UPDATE treerunner.effects SET outcome = 'x'",
        "UPDATE treerunner.effects SET id = 'x'",
        "DELETE FROM treerunner.parts",
        "DELETE FROM treerunner.effects",
        "UPDATE treerunner.logs SET data = 'x'",
        "UPDATE treerunner.branches SET about = 'x'",
        "UPDATE treerunner.roots SET epoch = 9",
        "UPDATE treerunner.groups SET header = 'x' WHERE row = 1",
        "DELETE FROM treerunner.groups WHERE row = 1",
    ],
)
def test_check_notices_what_was_not_written(
    postgres_server: OwnServer, dsn: str, damage: str
) -> None:
    journal = opened(dsn)
    write(journal, 1)
    journal.append(Group([]))
    journal.append(Group([]))

    postgres_server.ask(damage, "flights")

    assert list(journal.check()) != []
    journal.close()


def test_long_ids_are_told_apart_although_an_index_holds_no_such_thing(dsn: str) -> None:
    journal = opened(dsn)
    long = os.urandom(5000).hex()
    journal.append(group(effects=[(SHOP, f"{long}1", b"1"), (SHOP, f"{long}2", b"2")]))

    assert journal.outcomes(SHOP, [f"{long}{at}" for at in (1, 2, 3)]) == {
        f"{long}1": b"1",
        f"{long}2": b"2",
    }
    with pytest.raises(DuplicateExecutionError):
        journal.append(group(effects=[(SHOP, f"{long}1", b"")]))
    assert list(journal.check()) == []
    journal.close()


# --- opening -------------------------------------------------------------------------------------


def test_many_that_open_an_empty_database_at_once_make_one_store(dsn: str) -> None:
    journals: list[Any] = []
    threads = [threading.Thread(target=lambda: journals.append(opened(dsn))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(journals) == 6
    assert [each.append(Group([])) for each in journals] == [1, 2, 3, 4, 5, 6]
    for each in journals:
        each.close()


def test_reading_only_makes_nothing_and_writes_nothing(
    postgres_server: OwnServer, dsn: str
) -> None:
    with pytest.raises(JournalError):
        open_journal(dsn, read_only=True)
    assert postgres_server.ask("SELECT to_regnamespace('treerunner')", "flights") == [(None,)]

    journal = opened(dsn)
    write(journal, 1)
    reader = open_journal(dsn, read_only=True)

    assert stored(reader) == [1]
    with pytest.raises(JournalError):
        write(reader, 2)
    journal.close()
    reader.close()


def test_tables_of_a_newer_version_are_refused(postgres_server: OwnServer, dsn: str) -> None:
    opened(dsn).close()
    newer = "INSERT INTO treerunner.migrations (number, name) VALUES (99, '0099_more.sql')"
    postgres_server.ask(newer, "flights")

    with pytest.raises(JournalDamagedError) as caught:
        open_journal(dsn)

    assert caught.value.found == "has tables of version 99, this one reads 1"


@pytest.mark.parametrize(
    "wrong",
    [
        "postgresql://me:secret@127.0.0.1:1/flights",
        "postgresql://me:secret@127.0.0.1:1/flights?secret",
        "postgresql://me:sec@secret@127.0.0.1:1/flights",
        "postgresql://me:sec/secret@127.0.0.1:1/flights",
        "postgresql://me:x@127.0.0.1:1/flights?password=secret",
        "postgresql://me:secret@127.0.0.1:port/flights",
    ],
)
def test_no_password_is_in_an_error(wrong: str) -> None:
    with pytest.raises(JournalError) as caught:
        open_journal(wrong)

    error: BaseException | None = caught.value
    while error is not None:
        assert "secret" not in f"{error} {error.args}"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(("durability", "waits"), [("fsync", "on"), ("commit", "off")])
def test_durability_says_whether_a_commit_waits_for_the_disk(
    dsn: str, durability: Durability, waits: str
) -> None:
    journal = opened(dsn, durability=durability)

    with journal._using() as db:
        assert db.execute("SHOW synchronous_commit").fetchone() == (waits,)
    journal.close()
