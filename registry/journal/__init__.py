"""The journal: an append-only record of everything that was committed, and its backends."""

from __future__ import annotations

from registry.journal.codec import register_codec
from registry.journal.evolution import register_upcaster
from registry.journal.fields import check_class

__all__ = ["check_class", "register_codec", "register_upcaster"]
