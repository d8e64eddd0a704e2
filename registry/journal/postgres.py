"""The journal in a database of a PostgreSQL server, for writers on several machines.

Each group is one transaction, which begins with the lock of the newest row: so groups have one
order, and epochs, heads and ids are read as they are when the group is stored. Needs psycopg, which
the extra `treerunner[postgres]` brings. Everything that is read is compared with its checksum.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, LiteralString

import psycopg

from registry import ids
from registry.clock import Clock, system_clock
from registry.errors import (
    DuplicateExecutionError,
    JournalDamagedError,
    JournalError,
    NotFoundError,
    TreerunnerError,
)
from registry.journal.audit import StoredEffect, audit, is_right
from registry.journal.chain import (
    Header,
    Sealed,
    branch_text,
    digest_of,
    root_bytes,
    root_of,
    root_text,
    seal,
    seal_epochs,
)
from registry.journal.effects import (
    EffectRow,
    effect_roots,
    found_in,
    id_bytes,
    id_of,
    key_text,
    number_of,
    numbers_by_root,
    spans_of,
)
from registry.journal.head_file import Head
from registry.journal.paging import (
    LOGS_AT_ONCE,
    PARTS_AT_ONCE,
    gap_in,
    read_logs,
    read_parts,
)
from registry.journal.port import Checkpoint, Entry, Group, Part, Problem
from registry.journal.postgres_audit import StoredOnServer
from registry.journal.postgres_server import (
    Database,
    Opened,
    indexed_id,
    is_busy,
    newest_row,
    open_server,
    translated,
    unknown_outcome,
)
from registry.journal.rows import (
    Numbered,
    branch_values,
    checkpoint_checksum,
    read_branch,
    read_part,
    read_tenure,
    root_values,
    sound_checkpoint,
)
from registry.journal.rules import (
    NOBODY,
    Branch,
    BranchKey,
    Tenure,
    check_apart,
    check_epochs,
    follow,
    readable,
    written_branches,
    written_roots,
)
from registry.journal.sqlite_file import Durability, place_of
from registry.journal.tables import pages
from registry.journal.transcript import Transcript, refuse_used

Rows = Sequence[tuple[Any, ...]]


# Columns are sent as arrays: a thousand rows cost one statement.
_PUT_ROOTS: LiteralString = (
    "INSERT INTO treerunner.roots SELECT * FROM unnest(%b::bigint[], %b::bytea[], %b::bigint[],"
    " %b::bytea[], %b::float8[], %b::bigint[]) ON CONFLICT (number) DO UPDATE SET"
    " epoch = excluded.epoch, holder = excluded.holder, since = excluded.since,"
    " checksum = excluded.checksum"
)
_PUT_BRANCHES: LiteralString = (
    "INSERT INTO treerunner.branches SELECT * FROM unnest(%b::bigint[], %b::bytea[],"
    " %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[],"
    " %b::bigint[], %b::bytea[]) ON CONFLICT (number) DO UPDATE SET head = excluded.head,"
    " forgotten = excluded.forgotten, noted = excluded.noted, checksum = excluded.checksum,"
    " about = excluded.about"
)
_PUT_PARTS: LiteralString = (
    "INSERT INTO treerunner.parts SELECT * FROM unnest(%b::bigint[], %b::bigint[], %b::bigint[],"
    " %b::bigint[], %b::bytea[])"
)
_PUT_EFFECTS: LiteralString = (
    "INSERT INTO treerunner.effects SELECT * FROM unnest(%b::bigint[], %b::bytea[],"
    " %b::bigint[], %b::bigint[], %b::bytea[], %b::bytea[]) ON CONFLICT DO NOTHING"
)
_GIVEN: LiteralString = (
    "SELECT id, row, checksum, outcome, whole FROM treerunner.effects"
    " WHERE root = %b AND id = ANY(%b::bytea[])"
)
_COUNTED: LiteralString = (
    "SELECT id, row, checksum, outcome, whole FROM treerunner.effects"
    " WHERE root = %b AND id >= %b AND id < %b"
)
_PUT_CHECKPOINT: LiteralString = (
    "INSERT INTO treerunner.checkpoints VALUES (%b, %b, %b) ON CONFLICT (place) DO UPDATE SET"
    " checksum = excluded.checksum, data = excluded.data"
)
_PUT_ROW: LiteralString = (
    "WITH added AS (INSERT INTO treerunner.groups VALUES (%(row)b, %(header)b, %(digest)b))"
    " UPDATE treerunner.store SET head_row = %(row)b, head_digest = %(digest)b"
)
_PUT_STORE: LiteralString = (
    "UPDATE treerunner.store SET id = %b, head_row = %b, head_digest = %b, logs_before = %b"
)
_COPIES: dict[str, tuple[LiteralString, str]] = {
    "roots": ("COPY treerunner.roots FROM STDIN (FORMAT BINARY)", "ibibfi"),
    "branches": ("COPY treerunner.branches FROM STDIN (FORMAT BINARY)", "ibiiiiiiib"),
    "groups": ("COPY treerunner.groups FROM STDIN (FORMAT BINARY)", "ibb"),
    "logs": ("COPY treerunner.logs FROM STDIN (FORMAT BINARY)", "iib"),
    "parts": ("COPY treerunner.parts FROM STDIN (FORMAT BINARY)", "iiiib"),
    "effects": ("COPY treerunner.effects FROM STDIN (FORMAT BINARY)", "ibiibb"),
    "checkpoints": ("COPY treerunner.checkpoints FROM STDIN (FORMAT BINARY)", "iib"),
}
"""How a page is sent to each table, and the types of its columns."""
_TYPES = {"i": "int8", "b": "bytea", "f": "float8"}
_BRANCHES: LiteralString = (
    "SELECT * FROM treerunner.branches WHERE (root, branch) IN"
    " (SELECT * FROM unnest(%b::bytea[], %b::bigint[]))"
)
_PAGE: LiteralString = (
    "SELECT place, first, row, checksum, data FROM treerunner.parts"
    " WHERE place > %b AND place < %b ORDER BY place LIMIT %b"
)


class PostgresJournal:
    """A journal in a database. Not to be taken along into a forked process: open it there again.

    Args:
        dsn: `postgresql://user@host:port/database`, with whatever else libpq takes. One database
            holds one store, in the schema `treerunner`; the tables are made if they are not there.
        name: The store in messages; nothing of a password.
        durability: What `append` waits for.
        clock: Tells since when somebody holds an epoch.
        read_only: Nothing is written.
        timeout_s: How long to wait for other writers.

    Raises:
        JournalError, JournalBusyError: See `Journal`.
        JournalDamagedError: It is of a newer version, or its end is not what was written.
    """

    def __init__(
        self,
        dsn: str,
        *,
        name: str,
        durability: Durability = "fsync",
        clock: Clock = system_clock,
        read_only: bool = False,
        timeout_s: float = 5.0,
    ) -> None:
        self._dsn = dsn
        self._name = name
        self._durability = durability
        self._clock = clock
        self._read_only = read_only
        self._timeout_s = timeout_s
        self._lock = threading.RLock()
        self._is_closed = False
        self._opened: Opened | None = None
        self._known = Head(0, b"")
        with self._using():
            pass

    @property
    def name(self) -> str:
        """The server and the database."""
        return self._name

    # --- writing ---

    def append(self, group: Group) -> int:
        """Store a group; return its row number. See `Journal.append`."""
        with self._using() as db:
            with self._transaction(db) as newest:
                head = self._append(db, newest, group)
            self._known = head
            return head.row

    def _append(self, db: Database, newest: Head, group: Group) -> Head:
        row = newest.row + 1
        effected = effect_roots(group)
        roots = _roots(db, [*written_roots(group), *group.epochs, *effected])
        new = check_epochs(group, {root: tenure for root, (_, tenure) in roots.items()})
        known = _branches(db, written_branches(group))
        after = follow(row, group, {key: found.branch for key, found in known.items()})
        sealed = seal(row, group)
        now = self._clock()
        writers = {root: Tenure(1, "", now) for root in new}
        known_of = dict.fromkeys(root for root in effected if root and root not in roots)
        number_of = _put_roots(db, roots, {**dict.fromkeys(known_of, NOBODY), **writers})
        numbers = _settle(db, known, after)
        parts = [
            (place_of(numbers[key], part.last), part.first, row, told.checksum, part.data)
            for part, told in zip(group.parts, sealed.header.parts, strict=True)
            if (key := (part.root, part.branch)) in numbers
        ]
        _put(db, _PUT_PARTS, parts)
        _put_effects(db, group, sealed, number_of)
        if group.log:
            log = (row, sealed.header.log_checksum, group.log)
            db.execute("INSERT INTO treerunner.logs VALUES (%b, %b, %b)", log)
        return _put_row(db, newest, sealed.header)

    def acquire(self, roots: Iterable[int], holder: str) -> dict[int, int]:
        """Become the writer of roots; return their epochs. See `Journal.acquire`."""
        wanted = list(dict.fromkeys(roots))
        with self._using() as db:
            with self._transaction(db) as newest:
                found, now = _roots(db, wanted), self._clock()
                epochs = {root: found.get(root, (0, NOBODY))[1].epoch + 1 for root in wanted}
                tenures = {root: Tenure(epoch, holder, now) for root, epoch in epochs.items()}
                _put_roots(db, found, tenures)
                head = _put_row(db, newest, seal_epochs(newest.row + 1, epochs))
            self._known = head
        return epochs

    def put_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Store the state of a branch as of a version that is stored."""
        root, branch, version, data = checkpoint
        with self._using() as db, self._transaction(db):
            found = _branch(db, root, branch)
            if found is None or not found.branch.forgotten <= version <= found.branch.head:
                raise NotFoundError(f"version {version} of {branch_text(root, branch)}", self.name)
            place = place_of(found.number, version)
            db.execute(_PUT_CHECKPOINT, (place, checkpoint_checksum(checkpoint), data))

    def forget(self, root: int, branch: int, before: int) -> int:
        """Let go of parts and checkpoints that only older versions need. See `Journal.forget`."""
        with self._using() as db, self._transaction(db):
            found = _branch(db, root, branch)
            if found is None or before <= found.branch.forgotten:
                return 0
            low, high = place_of(found.number, 0), place_of(found.number, before)
            query: LiteralString = "SELECT 1 FROM treerunner.checkpoints WHERE place = %b"
            if not db.execute(query, (high,)).fetchone():
                place = f"a checkpoint of {branch_text(root, branch)} at version {before}"
                raise NotFoundError(place, self.name)
            query = "DELETE FROM treerunner.parts WHERE place >= %b AND place <= %b"
            parts = db.execute(query, (low, high)).rowcount
            query = "DELETE FROM treerunner.checkpoints WHERE place >= %b AND place < %b"
            old = db.execute(query, (low, high)).rowcount
            _put_branches(db, [Numbered(found.number, found.branch._replace(forgotten=before))])
            return int(parts + old)

    def forget_logs(self, before: int) -> int:
        """Let go of the records of rows before one; return how many rows had some."""
        with self._using() as db, self._transaction(db) as newest:
            before = min(before, newest.row + 1)
            query: LiteralString = (
                "UPDATE treerunner.store SET logs_before = greatest(logs_before, %b)"
            )
            db.execute(query, (before,))
            query = "DELETE FROM treerunner.logs WHERE row < %b"
            return int(db.execute(query, (before,)).rowcount)

    def restore(self, transcript: Transcript) -> None:
        """Become the store that a transcript is of, in one transaction. See `Journal.restore`."""
        with self._using() as db:
            with self._transaction(db) as newest:
                refuse_used(self.name, newest)
                # What comes next may have to be waited for.
                db.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                for table, rows in pages(transcript):
                    _copy(db, table, rows)
                db.execute(
                    _PUT_STORE,
                    (root_bytes(transcript.store_id), *transcript.newest, transcript.logs_before),
                )
            self._abandon()  # what it knows of the store is of another one
            self._known = transcript.newest

    # --- reading ---

    @contextmanager
    def stored(self) -> Iterator[StoredOnServer]:
        """Give all that is stored, as of now. See `Journal.stored`."""
        with self._using():
            known = self._known
            opened = self._open_connection(read_only=True)
        try:
            opened.db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            opened.db.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            stored = StoredOnServer(opened)
            _check_known(self.name, stored.newest(), known)
            yield stored
        except psycopg.Error as error:
            raise translated(error, self.name, self._timeout_s) from error
        finally:
            opened.db.close()

    def catalog(self, roots: Collection[int] | None = None) -> list[Entry]:
        """Return all branches, or those of some roots, oldest first."""
        query: LiteralString = "SELECT * FROM treerunner.branches"
        wanted: list[list[bytes]] = []
        if roots is not None:
            query += " WHERE root = ANY(%b::bytea[])"
            wanted = [[root_bytes(root) for root in roots]]
        with self._using() as db:
            found = db.execute(query + " ORDER BY number", wanted, binary=True).fetchall()
        return [read_branch(values).branch.entry() for values in found]

    def parts(
        self, root: int, branch: int, after: int = 0, until: int | None = None
    ) -> Iterator[Part]:
        """Yield the parts of a branch with some versions, in order. See `Journal.parts`."""
        with self._using() as db:
            found = _branch(db, root, branch)
        if found is None:
            return
        wanted = readable(found.branch, after, until)

        def page(after: int) -> list[Part]:
            with self._using() as db:
                return _part_page(db, found, after)

        def gap(version: int) -> TreerunnerError:
            with self._using() as db:
                known = _branch(db, root, branch)
            return gap_in(self.name, (root, branch), known and known.branch, version)

        yield from read_parts(wanted, page, gap)

    def outcome(self, root: int, execution_id: str) -> bytes | None:
        """Return the outcome of an execution that is stored; None if it is not."""
        return self.outcomes(root, [execution_id]).get(execution_id)

    def outcomes(self, root: int, execution_ids: Iterable[str]) -> dict[str, bytes]:
        """Return the outcomes of those executions that are stored, by id."""
        wanted = {indexed_id(id_bytes(each))[0]: each for each in execution_ids}
        found = {}
        with self._using() as db:
            number = _roots(db, [root]).get(root, (0, NOBODY))[0]
            if not wanted or (root and not number):
                return {}
            numbers = [each for text in wanted.values() if (each := number_of(text)) is not None]
            for each, outcome in _counted(db, root, number, numbers):
                found[ids.execution_text(each)] = outcome
            rows = db.execute(_GIVEN, (number, list(wanted)), binary=True).fetchall()
        for effect in _effects(rows, root):
            found[id_of(effect.key)] = effect.data
        return found

    def logs(self, before: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield (row number, packed records), newest first. See `Journal.logs`."""
        query: LiteralString = (
            "SELECT row, checksum, data FROM treerunner.logs WHERE row < %b"
            " ORDER BY row DESC LIMIT %b"
        )

        def page(upper: int) -> Sequence[tuple[Any, ...]]:
            with self._using() as db:
                return db.execute(query, (upper, LOGS_AT_ONCE), binary=True).fetchall()

        yield from read_logs(before, page)

    def checkpoint(self, root: int, branch: int, at: int | None = None) -> Checkpoint | None:
        """Return the newest checkpoint of a branch, up to version *at*; None if there is none."""
        query: LiteralString = (
            "SELECT place, checksum, data FROM treerunner.checkpoints"
            " WHERE place >= %b AND place <= %b ORDER BY place DESC LIMIT 1"
        )
        with self._using() as db:
            found = _branch(db, root, branch)
            if found is None:
                return None
            at = found.branch.head if at is None else min(at, found.branch.head)
            span = place_of(found.number, 0), place_of(found.number, max(at, 0))
            values = db.execute(query, span, binary=True).fetchone()
        return sound_checkpoint((root, branch), values)

    def check(self) -> Iterator[Problem]:
        """Read everything, as of now, and yield what is wrong; others may write meanwhile."""
        with self._using():
            known = self._known
            opened = self._open_connection(read_only=True)
        try:
            opened.db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            head = max(known, newest_row(opened.db))
            stored = StoredOnServer(opened)
            yield from audit(stored, head if head.row else None, "the entry of the store")
        except JournalDamagedError as error:
            yield Problem(error.place, error.found, "what was written")
        except psycopg.Error as error:
            yield Problem(self.name, str(error), "something that can be read")
        finally:
            opened.db.close()

    def close(self) -> None:
        """Close it; calling twice is fine."""
        with self._lock:
            self._is_closed = True
            self._abandon()

    # --- the connection ---

    @contextmanager
    def _using(self) -> Iterator[Database]:
        """Give the connection, to one thread at a time; errors of psycopg become ours.

        After any of these but a lock the next call connects again.
        """
        with self._lock:
            if self._is_closed:
                raise JournalError(self.name, "is closed", "open it again")
            if self._opened is None:
                self._opened = self._open()
            try:
                yield self._opened.db
            except psycopg.Error as error:
                if not is_busy(error):
                    self._abandon()
                raise translated(error, self.name, self._timeout_s) from error

    @contextmanager
    def _transaction(self, db: Database) -> Iterator[Head]:
        """Give the newest row, and the lock of all writers until the transaction is committed."""
        if self._read_only:
            way_out = "open it without read_only to write"
            raise JournalError(self.name, "is open to read only", way_out)
        try:
            db.execute("BEGIN", prepare=False)
            newest = newest_row(db, lock=True)
            _check_known(self.name, newest, self._known)
            yield newest
        except (psycopg.Error, TreerunnerError):
            with suppress(psycopg.Error):
                db.execute("ROLLBACK", prepare=False)
            raise
        except BaseException:
            # A statement may have been interrupted: what the connection is at, nobody knows.
            self._abandon()
            raise
        self._commit(db)

    def _commit(self, db: Database) -> None:
        """Commit; an answer that does not come leaves it open whether the group is stored."""
        try:
            answer = db.execute("COMMIT", prepare=False).statusmessage
        except psycopg.Error as error:
            self._abandon()
            raise unknown_outcome(str(error), self.name) from error
        except BaseException:
            self._abandon()
            raise
        if answer != "COMMIT":
            problem = f"answered COMMIT with {answer}, so that nothing was stored"
            raise JournalError(self.name, problem, "load from it again")

    def _open(self) -> Opened:
        """Connect, and see that the end of the store is what was written, and what was seen."""
        opened = self._open_connection(read_only=self._read_only)
        try:
            self._known = self._see(opened)
        except psycopg.Error as error:
            opened.db.close()
            raise translated(error, self.name, self._timeout_s) from error
        except BaseException:
            opened.db.close()
            raise
        return opened

    def _open_connection(self, *, read_only: bool) -> Opened:
        return open_server(
            self._dsn,
            self.name,
            durability=self._durability,
            timeout_s=self._timeout_s,
            read_only=read_only,
        )

    def _see(self, opened: Opened) -> Head:
        """Return the newest row, if it is sound and follows from what was seen before.

        With the lock of the newest row, unless nothing is to be written: a COMMIT whose answer was
        lost may still be under way, and has the lock until it is decided.
        """
        db, known, seen = opened.db, self._known, None
        query: LiteralString = (
            "SELECT row, header, digest FROM treerunner.groups ORDER BY row DESC LIMIT 2"
        )
        with db.transaction():
            if self._read_only:
                db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            told = newest_row(db, lock=not self._read_only)
            found = db.execute(query, binary=True).fetchall()
            if known.row:
                query = "SELECT digest FROM treerunner.groups WHERE row = %b"
                seen = db.execute(query, (known.row,), binary=True).fetchone()
        _check_known(self.name, told, known)
        if known.row and seen != (known.digest,):
            raise JournalDamagedError(f"{self.name}, row {known.row}", "is another one than it was")
        before = found[1][2] if len(found) > 1 else opened.genesis
        is_right = not found or found[0][2] == digest_of(before, found[0][1])
        newest = Head(found[0][0], found[0][2]) if found else Head(0, opened.genesis)
        if not is_right or newest != told:
            raise JournalDamagedError(f"{self.name}, row {told.row}", "is not what was written")
        return newest

    def _abandon(self) -> None:
        if self._opened is not None:
            with suppress(psycopg.Error):
                self._opened.db.close()
            self._opened = None


def _check_known(store: str, newest: Head, known: Head) -> None:
    """See that the newest row is not older than the last one that was seen here."""
    if newest.row < known.row:
        rows = f"rows {newest.row + 1} to {known.row}"
        found = "were seen here, and are not stored any more"
        raise JournalDamagedError(f"{store}, {rows}", found)
    if newest.row == known.row > 0 and newest != known:
        raise JournalDamagedError(f"{store}, row {newest.row}", "is another one than it was")


def _put(db: Database, query: LiteralString, rows: Rows) -> int:
    """Run a statement whose arguments are columns; return how many rows it wrote."""
    if not rows:
        return 0
    columns = [list(column) for column in zip(*rows, strict=True)]
    return int(db.execute(query, columns).rowcount)


def _copy(db: Database, table: str, rows: Rows) -> None:
    """Write rows to a table."""
    if table == "effects":
        whole = [(root, *indexed_id(key), *rest) for root, key, *rest in rows]
        rows = [(root, key, *rest, long) for root, key, long, *rest in whole]
    query, types = _COPIES[table]
    with db.cursor() as cursor, cursor.copy(query) as copy:
        copy.set_types([_TYPES[each] for each in types])
        for row in rows:
            copy.write_row(row)


def _put_row(db: Database, newest: Head, header: Header) -> Head:
    """Add a row to the chain; return the new head."""
    data = header.pack()
    head = Head(header.row, digest_of(newest.digest, data))
    db.execute(_PUT_ROW, {"row": head.row, "header": data, "digest": head.digest})
    return head


def _roots(db: Database, roots: Iterable[int]) -> dict[int, tuple[int, Tenure]]:
    """Return number and writer of those roots that are known."""
    wanted = [root_bytes(root) for root in dict.fromkeys(roots) if root]
    if not wanted:
        return {}
    query: LiteralString = "SELECT * FROM treerunner.roots WHERE root = ANY(%b::bytea[])"
    rows = db.execute(query, (wanted,), binary=True).fetchall()
    return {root_of(values[1]): (int(values[0]), read_tenure(values)[1]) for values in rows}


def _put_roots(
    db: Database, known: dict[int, tuple[int, Tenure]], tenures: dict[int, Tenure]
) -> dict[int, int]:
    """Write who may write which root; return the numbers of these and all that are known."""
    numbers = {root: number for root, (number, _) in known.items()}
    added = [root for root in tenures if root not in numbers]
    if added:
        newest = _highest(db, "SELECT coalesce(max(number), 0) FROM treerunner.roots")
        numbers.update((root, newest + at) for at, root in enumerate(added, 1))
    rows = [root_values(numbers[root], root, tenure) for root, tenure in tenures.items()]
    _put(db, _PUT_ROOTS, rows)
    return numbers


def _branch(db: Database, root: int, branch: int) -> Numbered | None:
    return _branches(db, [(root, branch)]).get((root, branch))


def _branches(db: Database, keys: Iterable[BranchKey]) -> dict[BranchKey, Numbered]:
    """Return those branches that are known."""
    wanted = [(root_bytes(root), branch) for root, branch in keys]
    if not wanted:
        return {}
    roots, branches = [root for root, _ in wanted], [branch for _, branch in wanted]
    rows = db.execute(_BRANCHES, (roots, branches), binary=True).fetchall()
    found = [read_branch(values) for values in rows]
    return {(each.branch.root, each.branch.branch): each for each in found}


def _settle(
    db: Database, known: dict[BranchKey, Numbered], after: dict[BranchKey, Branch | None]
) -> dict[BranchKey, int]:
    """Write what is known of branches; return the numbers of those that are not taken out."""
    kept = {key: branch for key, branch in after.items() if branch is not None}
    numbers = {key: known[key].number for key in kept if key in known}
    added = [key for key in kept if key not in numbers]
    if added:
        newest = _highest(db, "SELECT coalesce(max(number), 0) FROM treerunner.branches")
        numbers.update((key, newest + at) for at, key in enumerate(added, 1))
    for key in after:
        if key not in kept and key in known:
            _take_out(db, known[key].number)
    _put_branches(db, [Numbered(numbers[key], branch) for key, branch in kept.items()])
    return numbers


def _take_out(db: Database, number: int) -> None:
    """Delete a branch, with its parts and checkpoints."""
    span = place_of(number, 0), place_of(number + 1, 0)
    db.execute("DELETE FROM treerunner.branches WHERE number = %b", (number,))
    db.execute("DELETE FROM treerunner.parts WHERE place >= %b AND place < %b", span)
    db.execute("DELETE FROM treerunner.checkpoints WHERE place >= %b AND place < %b", span)


def _put_branches(db: Database, branches: Iterable[Numbered]) -> None:
    _put(db, _PUT_BRANCHES, [branch_values(*each) for each in branches])


def _highest(db: Database, query: LiteralString) -> int:
    found = db.execute(query).fetchone()
    return 0 if found is None else int(found[0])


def _put_effects(db: Database, group: Group, sealed: Sealed, root_numbers: dict[int, int]) -> None:
    """Store the executions of a group, if none of them is there."""
    row = sealed.header.row
    for root, numbers in numbers_by_root(group):
        check_apart(root, numbers, _counted(db, root, root_numbers.get(root, 0), numbers))
    rows = []
    for (root, key, data), checksum in sealed.effects:
        indexed, whole = indexed_id(key)
        rows.append((root_numbers.get(root, 0), indexed, row, checksum, data, whole))
    if _put(db, _PUT_EFFECTS, rows) < len(rows):
        root, key, _ = sealed.effects[_first_stored_before(db, row, rows)].effect
        raise DuplicateExecutionError(root_text(root), id_of(key))


def _counted(
    db: Database, root: int, root_number: int, numbers: Iterable[int]
) -> Iterator[tuple[int, bytes]]:
    """Yield those executions that are counted and stored, with their outcomes."""
    for span in spans_of(numbers):
        values = (root_number, span.low, span.high)
        for effect in _effects(db.execute(_COUNTED, values, binary=True), root):
            yield from found_in(effect, span)


def _effects(rows: Iterable[Sequence[Any]], root: int) -> Iterator[EffectRow]:
    """Yield effects as they are read, if they are what was written."""
    for indexed, row, checksum, data, whole in rows:
        key = indexed if whole is None else whole
        stored = StoredEffect(row, checksum, EffectRow(root, key, data))
        if not is_right(stored):
            raise JournalDamagedError(f"row {row}, {key_text(key)}", "has another outcome")
        yield stored.effect


def _first_stored_before(db: Database, row: int, rows: Rows) -> int:
    """Return which of the effects to be stored was there already, or comes twice."""
    query: LiteralString = (
        "SELECT root, id FROM treerunner.effects WHERE id = ANY(%b::bytea[]) AND row <> %b"
        " AND root = ANY(%b::bigint[])"
    )
    roots, ids = [each[0] for each in rows], [each[1] for each in rows]
    seen = set(db.execute(query, (ids, row, roots), binary=True).fetchall())
    for at, (number, execution_id, *_) in enumerate(rows):
        if (number, execution_id) in seen:
            return at
        seen.add((number, execution_id))
    raise JournalDamagedError("effects", "refuse what is not there")


def _part_page(db: Database, found: Numbered, after: int) -> list[Part]:
    """Return the next parts of a branch, with versions after one."""
    number, (root, branch, *_) = found
    span = place_of(number, after), place_of(number + 1, 0)
    rows = db.execute(_PAGE, (*span, PARTS_AT_ONCE), binary=True)
    return [read_part((root, branch), values) for values in rows]
