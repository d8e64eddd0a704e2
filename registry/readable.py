"""Readable: stored values as users read them, refs in place of children and nothing shared.

Takes what `TreeRegistry.field_at` gives: plain containers in place of cells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from registry.ids import Key
from registry.schema import ABSENT
from registry.values import Opaque, copy_opaque


def readable(stored: Any, child: Callable[[Key], Any]) -> Any:
    """Return a stored value with *child* applied to the keys of entities; None for one that is not.

    Opaque values are copies: whoever gets one may write to it, and history stays as it is.
    """
    return _mapped(stored, child, lambda value: copy_opaque(value, lambda: "a stored value"))


def comparable(stored: Any) -> Any:
    """Return a stored value in a form that `values.same_value` compares by content.

    To compare, not to hand out: opaque values are not copied.
    """
    return _mapped(stored, lambda key: ("entity", int(key)), lambda value: value)


def _mapped(stored: Any, child: Callable[[Key], Any], opaque: Callable[[Any], Any]) -> Any:
    cls = type(stored)
    if cls is Key:
        return child(stored)
    if cls is Opaque:
        return opaque(stored.value)
    if cls is dict:
        return {key: _mapped(item, child, opaque) for key, item in stored.items()}
    if cls in (list, tuple, set, frozenset):
        return cls(_mapped(item, child, opaque) for item in stored)
    return None if stored is ABSENT else stored
