"""One number drawn by hypothesis, spent in small choices.

One draw per operation is ten times cheaper than one per choice, and still shrinks: 0 is always
the first choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

NUMBER_BYTES = 9


class Dice:
    """Choices out of one number; a spent number chooses the first of everything."""

    def __init__(self, number: int) -> None:
        self._number = number

    def below(self, bound: int) -> int:
        """Return a number from 0 up to, not including, *bound*."""
        self._number, choice = divmod(self._number, bound)
        return choice

    def of(self, options: Sequence[T]) -> T:
        """Return one of *options*, which are not empty."""
        return options[self.below(len(options))]

    def one_in(self, bound: int) -> bool:
        """Return True once in *bound*; never for the number 0."""
        return self.below(bound) == bound - 1
