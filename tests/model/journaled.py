"""What the random trees need to be stored: a codec for the class of theirs that has no own way."""

from __future__ import annotations

from registry.journal.codec import register_codec
from tests.model.values import Box


def enter_codecs() -> None:
    """Say how a `Box` is stored."""
    register_codec(Box, name="box", encode=lambda box: box.content, decode=Box)
