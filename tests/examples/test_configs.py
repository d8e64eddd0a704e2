"""A config gives the same result however it is given."""

from __future__ import annotations

from examples import configs


def test_the_program_gives_equal_settings_in_every_way() -> None:
    *told, unknown, negative = configs.main()

    assert told == [
        "nothing: 3000",
        "an object: 2700",
        "its fields: 2700",
        "a ref: 2700",
        "an address: 2700",
        "fields and plain values: 2675",
        "configs used: 6, stored: 3",
        "versions in which the total changed: [1, 2, 3, 4]",
    ]
    assert unknown.startswith("refused: callable 'price', parameter 'discount'")
    assert "tax_percent, discount_percent, rounding" in unknown
    assert negative.startswith("refused: callable 'price', parameter 'tax_percent': got -1 (int)")
