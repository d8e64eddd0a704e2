"""Strategies and patterns: what kinds of inputs an execution has, in the words of the seed design.

A strategy says how many entities there are and what stands beside them, a pattern whether inputs
are changed in a transaction or copied. Both follow from counts: from those of the signature when a
callable is registered, from those of the given arguments in the record of an execution.
"""

from __future__ import annotations

from typing import Literal

Strategy = Literal[
    "no_inputs",
    "single_entity_direct",
    "single_entity_with_config",
    "multi_entity_composite",
    "pure_borrowing",
]
"""`no_inputs`: nothing; `single_entity_direct`: one entity alone; `single_entity_with_config`: one
entity beside plain values or a config, or a config alone; `multi_entity_composite`: several
entities, or a collection of them; `pure_borrowing`: plain values, given or borrowed by address."""

Pattern = Literal["pure_transactional", "mixed", "pure_borrowing", "direct"]
"""`pure_transactional`: every input is an entity; `mixed`: beside entities there are plain values
or configs; `pure_borrowing`: no entity, and values that are borrowed by address, or may be;
`direct`: neither."""


def strategy_of(
    entities: int, *, has_collection: bool, has_config: bool, has_plain: bool
) -> Strategy:
    """Return the strategy for a number of entities, beside what there is else."""
    if has_collection or entities > 1:
        return "multi_entity_composite"
    if has_config or (entities and has_plain):
        return "single_entity_with_config"
    if entities:
        return "single_entity_direct"
    return "pure_borrowing" if has_plain else "no_inputs"


def pattern_of(*, has_entities: bool, has_others: bool, borrows: bool) -> Pattern:
    """Return the pattern for entities, for plain values or configs, and for borrowed values."""
    if has_entities:
        return "mixed" if has_others else "pure_transactional"
    return "pure_borrowing" if borrows else "direct"
