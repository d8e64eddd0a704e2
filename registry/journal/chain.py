"""The chain of rows: what makes damage visible, whatever the store.

Everything that is stored has a checksum, over its place as well as its bytes, so that right bytes
in the wrong place are noticed too. The *header* of a row lists the checksums of all that its group
held, and its digest is taken over the header and the digest of the row before. A row can therefore
still be verified when parts or records of it have been let go.

    row 1: header 1, digest 1 = H(genesis + header 1)
    row 2: header 2, digest 2 = H(digest 1 + header 2) ...
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from zlib import crc32

from registry.errors import JournalDamagedError
from registry.ids import LINEAGE_BITS, to_uuid
from registry.journal.effects import EffectRow, rows_of
from registry.journal.port import Group, Part

FORMAT = 1
"""Of everything that this file writes, and of the tables around it."""
DIGEST_BYTES = 16
ROOT_BYTES = 10

_HEADER = struct.Struct(">BQIIIIQII")
_PART = struct.Struct(f">{ROOT_BYTES}sIIIII")
_NOTE = struct.Struct(f">{ROOT_BYTES}sIIII")
_EPOCH = struct.Struct(f">{ROOT_BYTES}sI")
_PART_PLACE = struct.Struct(f">{ROOT_BYTES}sIIIQ")
_EFFECTS_PLACE = struct.Struct(f">{ROOT_BYTES}sQ")
_LOG_PLACE = struct.Struct(">Q")


class PartSeal(NamedTuple):
    """What a header says of one part."""

    root: int
    branch: int
    first: int
    last: int
    length: int
    checksum: int


class NoteSeal(NamedTuple):
    """What a header says of one note; its length is 0 if it takes the branch out."""

    root: int
    branch: int
    start: int
    length: int
    checksum: int


class Header(NamedTuple):
    """What one row held, without the data.

    Attributes:
        row: Its number: 1, 2, 3, ...
        parts: One seal for each part, in order.
        notes: One seal for each note, in order.
        epochs: (root, epoch) as the writer held them.
        effect_count: How many rows of effects there are.
        effect_sum: Sum of their checksums; no effect can get lost, or change, without changing it.
        log_bytes: Length of the log; 0 if there is none.
        log_checksum: Its checksum.
    """

    row: int
    parts: Sequence[PartSeal]
    notes: Sequence[NoteSeal]
    epochs: Sequence[tuple[int, int]]
    effect_count: int
    effect_sum: int
    log_bytes: int
    log_checksum: int

    def pack(self) -> bytes:
        """Return the header as bytes; equal headers give equal bytes."""
        counts = len(self.parts), len(self.notes), len(self.epochs), self.effect_count
        tail = self.effect_sum, self.log_bytes, self.log_checksum
        return b"".join(
            (
                _HEADER.pack(FORMAT, self.row, *counts, *tail),
                *[_PART.pack(root_bytes(root), *rest) for root, *rest in self.parts],
                *[_NOTE.pack(root_bytes(root), *rest) for root, *rest in self.notes],
                *[_EPOCH.pack(root_bytes(root), epoch) for root, epoch in self.epochs],
            )
        )


class SealedEffect(NamedTuple):
    """A row of the effects, with its checksum."""

    effect: EffectRow
    checksum: int


class Sealed(NamedTuple):
    """A group that was given its row number and its checksums.

    Attributes:
        header: The header of the row.
        effects: Its effects, as rows.
    """

    header: Header
    effects: Sequence[SealedEffect]


def seal(row: int, group: Group) -> Sealed:
    """Return the checksums of all that a group holds, as row *row*. Cost: reads every byte."""
    effects = sealed_effects(row, rows_of(group))
    header = Header(
        row,
        [PartSeal(*part[:4], len(part.data), part_checksum(row, part)) for part in group.parts],
        [
            NoteSeal(root, branch, start, len(about), crc32(about))
            for root, branch, start, about in group.notes
        ],
        list(group.epochs.items()),
        len(effects),
        sum(each.checksum for each in effects),
        len(group.log),
        log_checksum(row, group.log),
    )
    return Sealed(header, effects)


def seal_epochs(row: int, epochs: Mapping[int, int]) -> Header:
    """Return the header of a row that holds nothing but who acquired what."""
    return seal(row, Group((), epochs=epochs)).header


def read_header(data: bytes, place: str) -> Header:
    """Return the header that bytes hold.

    Args:
        data: What `Header.pack` returned.
        place: Names the bytes in the error.

    Raises:
        JournalDamagedError: They hold none.
    """
    try:
        version, row, parts, notes, epochs, *tail = _HEADER.unpack_from(data)
        if version != FORMAT:
            raise JournalDamagedError(place, f"has format {version}, this version reads {FORMAT}")
        at = [_HEADER.size]
        for count, size in ((parts, _PART.size), (notes, _NOTE.size), (epochs, _EPOCH.size)):
            at.append(at[-1] + count * size)
        if at[-1] != len(data):
            raise JournalDamagedError(place, f"has {len(data)} bytes, not {at[-1]}")
        return Header(
            row,
            [PartSeal(root_of(r), *rest) for r, *rest in _PART.iter_unpack(data[at[0] : at[1]])],
            [NoteSeal(root_of(r), *rest) for r, *rest in _NOTE.iter_unpack(data[at[1] : at[2]])],
            [(root_of(r), epoch) for r, epoch in _EPOCH.iter_unpack(data[at[2] :])],
            *tail,
        )
    except (struct.error, TypeError) as error:
        raise JournalDamagedError(place, f"holds no header: {error}") from error


def genesis(store_id: int) -> bytes:
    """Return what takes the place of the digest before row 1."""
    return digest_of(b"", bytes((FORMAT,)) + root_bytes(store_id))


def digest_of(previous: bytes, header: bytes) -> bytes:
    """Return the digest of a row.

    Args:
        previous: The digest of the row before, or `genesis`.
        header: The packed header of the row.
    """
    return hashlib.blake2b(previous + header, digest_size=DIGEST_BYTES).digest()


def part_checksum(row: int, part: Part) -> int:
    """Return the checksum of a part that row *row* holds."""
    root, branch, first, last, data = part
    return crc32(data, crc32(_PART_PLACE.pack(root_bytes(root), branch, first, last, row)))


def sealed_effects(row: int, effects: Iterable[EffectRow]) -> list[SealedEffect]:
    """Return effects that row *row* holds with their checksums. Cost: 0.4 us each."""
    seeds: dict[int, int] = {}
    found = []
    for effect in effects:
        root, key, data = effect
        seed = seeds.get(root)
        if seed is None:
            seed = seeds[root] = crc32(_EFFECTS_PLACE.pack(root_bytes(root), row))
        found.append(SealedEffect(effect, crc32(data, crc32(key, seed))))
    return found


def log_checksum(row: int, log: bytes) -> int:
    """Return the checksum of the log of row *row*."""
    return crc32(log, crc32(_LOG_PLACE.pack(row)))


def root_bytes(root: int) -> bytes:
    """Return lineage bits as bytes, in the order of the numbers."""
    return root.to_bytes(ROOT_BYTES, "big")


def root_of(data: bytes) -> int:
    """Return the lineage bits that bytes hold."""
    return int.from_bytes(data, "big")


def root_text(root: int) -> str:
    """Return how messages name a root: its `lineage_id`, or what a damaged one has become."""
    return str(to_uuid(root)) if root >> LINEAGE_BITS == 0 else f"{root:x}"


def branch_text(root: int, branch: int) -> str:
    """Return how messages name a branch."""
    return f"root {root_text(root)}, branch {branch}"


def part_text(root: int, branch: int, first: int, last: int, row: int | None = None) -> str:
    """Return how messages name a part."""
    where = "" if row is None else f"row {row}, "
    return f"{where}{branch_text(root, branch)}, versions {first} to {last}"
