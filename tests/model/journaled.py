"""What the random trees need to be stored, and stores that are carried to another place."""

from __future__ import annotations

from registry.journal.codec import register_codec
from registry.journal.export import export_lines, import_lines
from registry.journal.memory import MemoryJournal
from registry.journal.port import Journal
from registry.journal.transcript import transcribe
from tests.model.values import Box


def enter_codecs() -> None:
    """Say how a `Box` is stored."""
    register_codec(Box, name="box", encode=lambda box: box.content, decode=Box)


def exported(journal: Journal) -> list[bytes]:
    """Return a store as lines."""
    with journal.stored() as stored:
        return list(export_lines(transcribe(stored)))


def carried(journal: Journal, to: Journal | None = None) -> Journal:
    """Return a store made of the lines of another, which are the same; in memory if not told."""
    lines = exported(journal)
    again = MemoryJournal() if to is None else to
    again.restore(import_lines(lines, "lines"))
    assert exported(again) == lines
    assert list(again.check()) == []
    return again
