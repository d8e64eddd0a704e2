"""Addresses: the program reads, writes and composes by them."""

from __future__ import annotations

from examples import addresses


def test_the_program_reads_writes_and_composes() -> None:
    assert addresses.main() == [
        "get: optics",
        "now: {'logic': 1.7}, 6 points",
        "then: {}, 5 points",
        "borrowed for 'value': .grades.logic of Bob",
        "composed: Certificate(name='Ada', best=1.7, points=[6, 8])",
        "its points come from: ['logic', 'optics']",
        "it depends on 3 entities",
    ]
