"""Arrays as fields: changed in place, compared by content, versioned with the rest.

An array cannot tell that it was written, so one that was read is compared when the execution ends:
by type, shape and bytes. One that was not read costs nothing. Treerunner itself needs no numpy.

Run: python -m examples.numpy_fields
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from pydantic import ConfigDict, Field

from registry import Entity, Workspace

app = Workspace()


class Layer(Entity):
    """Weights and a bias."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    weights: np.ndarray[Any, np.dtype[np.float64]]
    bias: np.ndarray[Any, np.dtype[np.float64]]


class Network(Entity):
    """The root: it owns its layers."""

    layers: list[Layer] = Field(default_factory=list)


@app.register("train")
def train(network: Network, index: int, rate: float) -> float:
    """Take one step in place, on one layer; a rate of zero changes nothing."""
    weights = network.layers[index].weights
    weights -= rate * weights
    return float(np.abs(weights).sum())


def main() -> list[str]:
    """Train for a while, and return lines that tell what each version holds."""
    network = app.add(
        Network(layers=[Layer(weights=np.ones((2, 2)), bias=np.zeros(2)) for _ in range(3)])
    )

    losses = [
        app.execute("train", raw=True, network=network, index=1, rate=r) for r in (0.5, 0.0, 0.5)
    ]

    lines = [f"losses: {losses}", f"versions: {app.head(network)}"]
    for version in range(1, app.head(network) + 1):
        shown = cast("Network", app.snapshot(network, version))
        lines.append(f"version {version}: {[float(each.weights.sum()) for each in shown.layers]}")
    first, last = (cast("Network", app.snapshot(network, number)) for number in (1, None))
    renewed = [a.ecs_id != b.ecs_id for a, b in zip(first.layers, last.layers, strict=True)]
    lines.append(f"layers with a new id: {renewed}")
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
