"""Executions inside others: savepoints that fail alone, several trees that commit together.

A shop takes an order for several things. Each is taken from the stock by an execution of its own,
inside that of the order: one that fails is taken back by itself, and the order goes on without it.
The money is on another tree; if the order fails in the end, all trees are as before.

Run: python -m examples.transactions
"""

from __future__ import annotations

from typing import Any, cast

from pydantic import Field

from registry import Entity, Ref, Workspace

app = Workspace()


class Stock(Entity):
    """How many there are of each thing, and what was sold."""

    counts: dict[str, int] = Field(default_factory=dict)
    log: list[str] = Field(default_factory=list)


class Account(Entity):
    """Somebody's money."""

    owner: str
    money: int = 0


@app.register("take")
def take(stock: Stock, thing: str) -> None:
    """Take one thing out.

    Raises:
        LookupError: There is none left.
    """
    stock.log.append(thing)  # written before the check: a failure takes it back
    stock.counts[thing] = stock.counts.get(thing, 0) - 1
    if stock.counts[thing] < 0:
        message = f"no {thing} left"
        raise LookupError(message)


@app.register("pay")
def pay(buyer: Account, amount: int) -> None:
    """Take money.

    Raises:
        ValueError: There is too little.
    """
    if buyer.money < amount:
        message = f"{buyer.owner} has {buyer.money}, not {amount}"
        raise ValueError(message)
    buyer.money -= amount


@app.register("order")
def order(stock: Stock, buyer: Account, things: list[str], price: int) -> list[str]:
    """Take what there is of some things, pay for that, and return it."""
    taken = []
    for thing in things:
        try:
            app.execute("take", stock=stock, thing=thing)  # a savepoint
        except LookupError:
            continue
        taken.append(thing)
    app.execute("pay", buyer=buyer, amount=price * len(taken))
    return taken


def state(stock: Ref, buyer: Ref) -> str:
    """Return what both trees hold, with their versions."""
    shelf, purse = cast("Stock", app.snapshot(stock)), cast("Account", app.snapshot(buyer))
    heads = f"versions {app.head(stock)} and {app.head(buyer)}"
    return f"{shelf.counts}, sold {shelf.log}, {purse.owner} has {purse.money} ({heads})"


def main() -> list[str]:
    """Order twice, the second time in vain, and return lines that tell what there is."""
    stock = app.add(Stock(counts={"lamp": 1, "rope": 5}))
    buyer = app.add(Account(owner="Ada", money=50))
    both: dict[str, Any] = {"stock": stock, "buyer": buyer}

    # What would it do? A dry run stores nothing, and shows the changes in each tree.
    trial = app.execute("order", dry_run=True, things=["lamp", "rope", "lamp"], price=20, **both)
    lines = [f"would sell {trial.value}, changing {len(trial.diffs)} trees", state(stock, buyer)]

    # There is one lamp: the second `take` of it is taken back alone.
    taken = app.execute("order", raw=True, things=["lamp", "rope", "lamp"], price=20, **both)
    lines += [f"sold {taken}", state(stock, buyer)]

    # The money is short: what was taken from the stock before is taken back too.
    try:
        app.execute("order", things=["rope"], price=20, **both)
    except ValueError as error:
        lines += [f"refused: {error}", state(stock, buyer)]

    records = [(each.callable_name, each.status) for each in app.executions()]
    lines.append(f"on record: {records}")
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
