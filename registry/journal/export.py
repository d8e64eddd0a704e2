"""Export: a store as lines of JSON, and a store from lines, the same to the last byte.

    {"treerunner": "store", "version": 1, "store": ..., "rows": 3, "digest": ..., "sum": ...}
    {"branch": 0, "root": ..., "start": 0, "head": 3, ..., "about": {"json": ...}, "sum": ...}
    {"epoch": 2, "root": ..., "holder": "host 2", "since": 1767225600.0, "sum": ...}
    {"row": 1, "parts": [...], "effects": [...], "log": {...}, "digest": ..., "sum": ...}
    {"checkpoint": 3000, "root": ..., "branch": 0, "data": {...}, "sum": ...}
    {"end": 42, "sum": ...}

All branches come first, then who writes which root, the rows of the chain, the checkpoints. The sum
of a line is a digest of it and of all lines before, so a line that is damaged, missing or too many
is noticed there, and the last one says that the file is whole.

What is packed is shown as the JSON that it is. Where it was deflated, those bytes stand beside it:
the chain is made over them, and another build of zlib would give others. What is no JSON, or would
not be the same bytes again, is base64. So a file depends on nothing but the store.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain
from operator import index
from typing import Any, NoReturn
from uuid import UUID

from pydantic_core import from_json

from registry.errors import ExportDamagedError, JournalDamagedError
from registry.ids import execution_text, from_uuid
from registry.journal.chain import (
    Header,
    NoteSeal,
    PartSeal,
    genesis,
    log_checksum,
    root_text,
    sealed_effects,
)
from registry.journal.effects import EffectRow, id_bytes, id_of, is_series, read_series
from registry.journal.head_file import Head
from registry.journal.packing import COMPRESSED, PLAIN
from registry.journal.port import Checkpoint, Part
from registry.journal.rows import branch_checksum, checkpoint_checksum, root_checksum
from registry.journal.rules import Branch, BranchKey, Tenure
from registry.journal.transcript import Row, Transcript, check_row

VERSION = 1
SUM_BYTES = 8

Json = Any
"""What `json` reads and writes."""

_FIRST = b'{"treerunner":'
_SUM = b',"sum":"'
_TAIL = b'"}\n'
_NO_FORM = (
    *(LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError),
    struct.error,
)
"""What reading raises where a line has another form than was written."""


# --- a store as lines ---


def export_lines(transcript: Transcript) -> Iterator[bytes]:
    """Yield the lines of a store, each with its end.

    Raises:
        JournalDamagedError: Something in the store is not what was written.

    Cost: reads everything once; memory for the branches, the roots, and a row.
    """
    seal = _Sums().seal
    yield seal(_write_head(transcript))
    count = 1
    for told in chain(
        map(_write_branch, transcript.branches),
        (_write_tenure(*each) for each in transcript.tenures),
        map(_write_row, transcript.rows),
        map(_write_checkpoint, transcript.checkpoints),
    ):
        yield seal(told)
        count += 1
    yield seal({"end": count + 1})


class _Sums:
    """The digest over all lines so far."""

    def __init__(self) -> None:
        self._so_far = b""

    def seal(self, told: Json) -> bytes:
        """Return the line of an object."""
        text = _text(told).encode()[:-1]
        return text + _SUM + self.of(text) + _TAIL

    def of(self, text: bytes) -> bytes:
        """Return the sum of the next line, of which the text before the sum is given."""
        found = hashlib.blake2b(self._so_far + text, digest_size=SUM_BYTES)
        self._so_far = found.hexdigest().encode()
        return self._so_far


def _text(told: Json) -> str:
    """Return JSON in the one form that is used here, whatever the version of Python."""
    return json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _write_head(transcript: Transcript) -> Json:
    return {
        "treerunner": "store",
        "version": VERSION,
        "store": root_text(transcript.store_id),
        "rows": transcript.newest.row,
        "digest": transcript.newest.digest.hex(),
        "branches": len(transcript.branches),
        "roots": len(transcript.tenures),
        "logs_before": transcript.logs_before,
    }


def _write_branch(branch: Branch) -> Json:
    return {
        "branch": branch.branch,
        "root": root_text(branch.root),
        "start": branch.start,
        "head": branch.head,
        "forgotten": branch.forgotten,
        "born": branch.born,
        "noted": branch.noted,
        "about": _write_data(branch.about),
    }


def _write_tenure(root: int, tenure: Tenure) -> Json:
    return {
        "epoch": tenure.epoch,
        "root": root_text(root),
        "holder": _write_key(id_bytes(tenure.holder)),
        "since": float(tenure.since),
    }


def _write_row(row: Row) -> Json:
    """Return what a row held, and of that all that is still there."""
    header = row.header
    parts = zip(header.parts, row.parts, strict=True)
    told = {
        "parts": [_write_part(*each) for each in parts],
        "notes": [_write_note(each) for each in header.notes],
        "effects": [_write_effect(each) for each in row.effects],
        "log": header.log_bytes and _write_log(row),
        "epochs": {root_text(root): epoch for root, epoch in header.epochs},
    }
    filled = {name: each for name, each in told.items() if each}
    return {"row": header.row, **filled, "digest": row.digest.hex()}


def _write_part(seal: PartSeal, part: Part | None) -> Json:
    root, branch, first, last, size, checksum = seal
    return {
        "root": root_text(root),
        "branch": branch,
        "first": first,
        "last": last,
        "size": size,
        "crc": checksum,
        **({} if part is None else {"data": _write_data(part.data)}),
    }


def _write_note(seal: NoteSeal) -> Json:
    root, branch, start, size, checksum = seal
    place = {"root": root_text(root), "branch": branch, "start": start}
    return {**place, "size": size, "crc": checksum}


def _write_effect(effect: EffectRow) -> Json:
    root, key, data = effect
    place = {"root": root_text(root) if root else None}
    if is_series(key):
        with suppress(JournalDamagedError):
            return {**place, **_write_series(effect)}
    return {**place, "id": _write_key(key), "outcome": _write_data(data)}


def _write_series(effect: EffectRow) -> Json:
    """Return the outcomes of executions that were counted, by id, and what they were packed as."""
    _, numbers, outcomes = read_series(effect)
    ids = map(execution_text, numbers)
    return {
        "outcomes": dict(zip(ids, map(_write_data, outcomes), strict=True)),
        "key": b64encode(effect.key).decode(),
        "zlib": b64encode(effect.data).decode(),
    }


def _write_log(row: Row) -> Json:
    told = {"size": row.header.log_bytes, "crc": row.header.log_checksum}
    return told if row.log is None else {**told, "data": _write_data(row.log)}


def _write_checkpoint(checkpoint: Checkpoint) -> Json:
    root, branch, version, data = checkpoint
    place = {"checkpoint": version, "root": root_text(root), "branch": branch}
    return {**place, "data": _write_data(data)}


def _write_data(data: bytes) -> Json:
    """Return bytes as the JSON that they are, or hold; as base64 if they are none."""
    kind = data[:1]
    try:
        if kind == COMPRESSED:
            value = _value_of(zlib.decompress(data[1:]))
            return {"json": value, "zlib": b64encode(data[1:]).decode()}
        if kind == PLAIN:
            return {"json": _value_of(data[1:]), "packed": "P"}
        return {"json": _value_of(data)}
    except (ValueError, zlib.error):
        return {"base64": b64encode(data).decode()}


def _value_of(data: bytes) -> Json:
    """Return the value of JSON that would be written just as it is.

    Raises:
        ValueError: It is not so.
    """
    # This reader has a bound for nesting that does not depend on who calls; what is deeper, the
    # journal cannot read either.
    value = from_json(data, allow_inf_nan=False)
    if _text(value).encode() != data:
        raise ValueError("has another form")
    return value


def _write_key(key: bytes) -> Json:
    """Return the text that bytes are; of half a character, which is no Unicode, base64."""
    try:
        return key.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(key).decode()}


# --- a store from lines ---


def import_lines(lines: Iterable[bytes], name: str) -> Transcript:
    """Return the transcript that lines are of; its iterators read on from them.

    Args:
        lines: What `export_lines` gave, each with its end.
        name: The file in messages.

    Raises:
        ExportDamagedError: As do the iterators: a line is not what was written; names it. That
            lines are missing at the end is raised in place of the end of the checkpoints.
    """
    return _Reader(lines, name).transcript()


class _Reader:
    """Reads the lines of a store, and what was read so far."""

    def __init__(self, lines: Iterable[bytes], name: str) -> None:
        self._name = name
        self._lines = iter(lines)
        self._sums = _Sums()
        self._number = 0
        self._told: Json = None
        self._branches: dict[BranchKey, Branch] = {}

    def transcript(self) -> Transcript:
        """Read all but the rows and the checkpoints."""
        told = self._next()
        with self._reading():
            if told["version"] != VERSION:
                self._refuse(f"is of version {told['version']}, this one reads {VERSION}")
            store, newest = _root(told["store"]), Head(told["rows"], bytes.fromhex(told["digest"]))
            counts, logs_before = (told["branches"], told["roots"]), index(told["logs_before"])
        self._next()
        for branch in self._all("branch", _read_branch):
            self._branches[branch.root, branch.branch] = branch
        tenures = [*self._all("epoch", _read_tenure)]
        if (len(self._branches), len(tenures)) != counts:
            self._refuse("comes too early: there are more branches and roots")
        return Transcript(
            *(store, newest, logs_before, list(self._branches.values()), tenures),
            *(self._rows(Head(0, genesis(store)), newest), self._checkpoints()),
        )

    def _rows(self, head: Head, newest: Head) -> Iterator[Row]:
        for row in self._all("row", _read_row):
            with self._reading():
                head = check_row(row, head)
            for part in row.parts:
                if part is not None and part[:2] not in self._branches:
                    self._refuse("has commits of a branch that is not there")
            yield row
        if head != newest:
            self._refuse(f"comes after row {head.row}, and there are {newest.row}")

    def _checkpoints(self) -> Iterator[Checkpoint]:
        for checkpoint in self._all("checkpoint", _read_checkpoint):
            if checkpoint[:2] not in self._branches:
                self._refuse("is of a branch that is not there")
            yield checkpoint
        if self._told.get("end") != self._number:
            self._refuse("is none of a store")
        if next(self._lines, None) is not None:
            self._number += 1
            self._refuse("comes after the last one")

    def _all(self, kind: str, read: Callable[[Json], Any]) -> Iterator[Any]:
        """Yield what the lines of a kind tell, from the current one on; stop at the first other."""
        while next(iter(self._told)) == kind:
            with self._reading():
                found = read(self._told)
            yield found
            self._next()

    def _next(self) -> Json:
        """Read the next line, see that it is what was written, and return its object."""
        line = next(self._lines, None)
        self._number += 1
        if self._number == 1 and not (line or b"").startswith(_FIRST):
            self._refuse("is no beginning of an exported store")
        if line is None:
            self._refuse("is missing, and all that came after it")
        start = len(line) - 2 * SUM_BYTES - len(_SUM + _TAIL)
        text, given = line[: max(start, 0)], line[max(start, 0) :]
        if given != _SUM + self._sums.of(text) + _TAIL:
            self._refuse("is not what was written, or a line before it is missing")
        with self._reading():
            self._told = json.loads(text + b"}")
        return self._told

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except JournalDamagedError as error:
            self._refuse(f"is not what was written: {error.place} {error.found}")
        except _NO_FORM as error:
            self._refuse(f"has another form than was written: {type(error).__name__}: {error}")

    def _refuse(self, found: str) -> NoReturn:
        raise ExportDamagedError(self._name, self._number, found)


def _read_branch(told: Json) -> Branch:
    branch = Branch(
        *(_root(told["root"]), told["branch"], told["start"], told["head"]),
        *(told["forgotten"], told["born"], told["noted"], _read_data(told["about"])),
    )
    branch_checksum(0, branch)  # raises where a value is of another kind, as below
    return branch


def _read_tenure(told: Json) -> tuple[int, Tenure]:
    root = _root(told["root"])
    tenure = Tenure(told["epoch"], id_of(_read_key(told["holder"])), told["since"])
    root_checksum(0, root, tenure)
    return root, tenure


def _read_row(told: Json) -> Row:
    number = told["row"]
    parts = [_read_part(each) for each in told.get("parts", ())]
    notes = [_read_note(each) for each in told.get("notes", ())]
    effects = [_read_effect(each) for each in told.get("effects", ())]
    log = told.get("log", {"size": 0, "crc": log_checksum(number, b"")})
    epochs = [(_root(root), epoch) for root, epoch in told.get("epochs", {}).items()]
    checksums = [each.checksum for each in sealed_effects(number, effects)]
    header = Header(
        *(number, [seal for seal, _ in parts], notes, epochs, len(effects), sum(checksums)),
        *(log["size"], log["crc"]),
    )
    digest = bytes.fromhex(told["digest"])
    return Row(header, digest, [part for _, part in parts], effects, _read_optional(log))


def _read_part(told: Json) -> tuple[PartSeal, Part | None]:
    place = _root(told["root"]), told["branch"], told["first"], told["last"]
    data = _read_optional(told)
    seal = PartSeal(*place, told["size"], told["crc"])
    return seal, None if data is None else Part(*place, data)


def _read_note(told: Json) -> NoteSeal:
    numbers = (told[each] for each in ("branch", "start", "size", "crc"))
    return NoteSeal(_root(told["root"]), *numbers)


def _read_effect(told: Json) -> EffectRow:
    root = 0 if told["root"] is None else _root(told["root"])
    if "outcomes" in told:
        return EffectRow(root, _read_bytes(told["key"]), _read_bytes(told["zlib"]))
    return EffectRow(root, _read_key(told["id"]), _read_data(told["outcome"]))


def _read_checkpoint(told: Json) -> Checkpoint:
    place = _root(told["root"]), told["branch"], told["checkpoint"]
    checkpoint = Checkpoint(*place, _read_data(told["data"]))
    checkpoint_checksum(checkpoint)
    return checkpoint


def _read_optional(told: Mapping[str, Json]) -> bytes | None:
    """Return the data that an object has; None if it was let go."""
    return _read_data(told["data"]) if "data" in told else None


def _read_data(told: Json) -> bytes:
    """Return the bytes that `_write_data` wrote."""
    if "base64" in told:
        return _read_bytes(told["base64"])
    if "zlib" in told:
        return COMPRESSED + _read_bytes(told["zlib"])
    return (PLAIN if "packed" in told else b"") + _text(told["json"]).encode()


def _read_key(told: Json) -> bytes:
    return told.encode() if isinstance(told, str) else _read_bytes(told["base64"])


def _read_bytes(told: Json) -> bytes:
    return b64decode(told, validate=True)


def _root(text: str) -> int:
    """Return the lineage bits that `root_text` wrote."""
    return int(from_uuid(UUID(text)).key) if "-" in text else int(text, 16)
