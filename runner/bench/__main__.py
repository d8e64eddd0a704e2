"""`python -m runner.bench`: the command without the rest of treerunner."""

from __future__ import annotations

from runner.bench.cli import bench

if __name__ == "__main__":
    bench(prog_name="python -m runner.bench")
