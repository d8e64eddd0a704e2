"""The journal: an append-only record of everything that was committed, and its backends."""

from __future__ import annotations

from registry.journal.codec import register_codec

__all__ = ["register_codec"]
