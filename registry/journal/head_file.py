"""The head file: the newest row and its digest, in a second place beside the database.

A database that lost its tail looks whole: SQLite drops everything from a damaged place of its
write-ahead log on, without a word. The head file knows what there was.

It has a fixed number of slots; a row goes to slot (row modulo slots), with a checksum of its own.
So a torn write spoils the newest slot at most, and writers of several processes that overtake each
other between commit and head do not take the newer one back. It is written after the commit, so it
is never ahead of what was stored. It is not synced: after a power cut it may be behind, which is
never taken for damage. Ahead it is then only of a store that was not synced either, and lost rows.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from registry.journal.chain import DIGEST_BYTES

SLOTS = 64
_SLOT = struct.Struct(f">4sQ{DIGEST_BYTES}sI")
_MAGIC = b"TRH1"


class Head(NamedTuple):
    """The newest row of a store, and its digest."""

    row: int
    digest: bytes


def head_path(path: Path) -> Path:
    """Return the path of the head file of a database."""
    return path.with_name(path.name + "-head")


def pack_slot(head: Head) -> bytes:
    """Return a head as the bytes of its slot."""
    data = _SLOT.pack(_MAGIC, head.row, head.digest, 0)[:-4]
    return data + crc32(data).to_bytes(4, "big")


def newest(data: bytes) -> Head | None:
    """Return the newest head that the bytes of a head file hold, skipping spoiled slots."""
    found: Head | None = None
    for at in range(0, len(data) - _SLOT.size + 1, _SLOT.size):
        magic, row, digest, checksum = _SLOT.unpack_from(data, at)
        sound = magic == _MAGIC and checksum == crc32(data[at : at + _SLOT.size - 4])
        if sound and (found is None or row > found.row):
            found = Head(row, digest)
    return found


def read_head(path: Path) -> Head | None:
    """Return the newest head in a head file; None if there is no file, or nothing in it.

    Raises:
        OSError: It cannot be read.
    """
    try:
        return newest(path.read_bytes())
    except FileNotFoundError:
        return None


class HeadFile:
    """A head file that is open for writing.

    Args:
        path: The file; it is made if it is not there.

    Raises:
        OSError: It cannot be made or written.
    """

    __slots__ = ("_file",)

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        missing = SLOTS * _SLOT.size - os.fstat(self._file).st_size
        if missing > 0:
            # The whole of it now, so that a full disk cannot refuse a head after its commit.
            os.pwrite(self._file, bytes(missing), SLOTS * _SLOT.size - missing)

    def write(self, head: Head) -> None:
        """Write the head into its slot. Cost: one write of 32 bytes into the page cache."""
        os.pwrite(self._file, pack_slot(head), head.row % SLOTS * _SLOT.size)

    def close(self) -> None:
        """Close the file; once."""
        os.close(self._file)
