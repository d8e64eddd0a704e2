"""Configs: settings that a callable takes as a parameter, however they are given.

An object, its fields as keywords, nothing at all if the fields have defaults: the callable always
gets a config of its own. Equal ones are stored once, and the record of each execution names it.

Run: python -m examples.configs
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from registry import ArgumentError, ConfigEntity, Entity, Workspace

app = Workspace()


class Pricing(ConfigEntity):
    """How to price an order."""

    tax_percent: int = Field(default=20, ge=0)
    discount_percent: int = 0
    rounding: Literal["cent", "whole"] = "cent"


class Order(Entity):
    """What was ordered, in cents, and what it comes to."""

    lines: list[int] = Field(default_factory=list)
    total: int = 0


@app.register("price")
def price(order: Order, pricing: Pricing, note: str = "") -> Order:
    """Work out what an order comes to; *note* is for the record."""
    net = sum(order.lines) * (100 - pricing.discount_percent) // 100
    order.total = net * (100 + pricing.tax_percent) // 100
    if pricing.rounding == "whole":
        order.total -= order.total % 100
    return order


def main() -> list[str]:
    """Give the same settings in all ways, and return lines that tell what came of it."""
    order = app.add(Order(lines=[1_999, 501]))
    sale = Pricing(discount_percent=10, rounding="whole")
    stored = app.store_config(sale)

    given = {
        "nothing": app.execute("price", order=order),
        "an object": app.execute("price", order=order, pricing=sale),
        "its fields": app.execute("price", order=order, discount_percent=10, rounding="whole"),
        "a ref": app.execute("price", order=order, pricing=stored),
        "an address": app.execute("price", order=order, pricing=stored.address),
        "fields and plain values": app.execute("price", order=order, tax_percent=7, note="food"),
    }
    lines = [f"{how}: {priced.total}" for how, priced in given.items()]

    # A config is a value: four executions were given an equal one, and it is stored once.
    used = [dict(record.inputs)["pricing"] for record in app.executions("price")]
    lines.append(f"configs used: {len(used)}, stored: {len(app.roots(Pricing))}")
    versions = [info.version for info in app.history(f"{order.address}.total")]
    lines.append(f"versions in which the total changed: {versions}")

    # What does not fit is refused before anything runs, with what would.
    wrongs: list[dict[str, Any]] = [{"discount": 10}, {"tax_percent": -1}]
    for wrong in wrongs:
        try:
            app.execute("price", order=order, **wrong)
        except ArgumentError as error:
            lines.append(f"refused: {error}")
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
