"""`treerunner bench` writes what it measured where it was asked to, or says why not."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from runner.bench import engine as engine_module
from runner.bench.cli import bench
from runner.bench.engine import EngineSettings
from runner.bench.figures import Figure
from runner.bench.workload import Size
from tests.unit.runner.bench.figures_of_a_run import FIGURES

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Return a caller of the command, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(bench, arguments)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[EngineSettings]:
    """Make the command measure nothing, and return the settings that it would have used."""
    asked: list[EngineSettings] = []

    def measure(settings: EngineSettings) -> Iterator[Figure]:
        asked.append(settings)
        yield from FIGURES

    monkeypatch.setattr(engine_module, "measure_engine", measure)
    return asked


def test_figures_go_to_a_table_and_to_json(invoke: Invoke, measured: list[EngineSettings]) -> None:
    result = invoke("engine")

    assert result.exit_code == 0, result.output
    assert "one move" in result.stdout
    assert "written: bench-engine.json" in result.stdout
    document = json.loads(Path("bench-engine.json").read_text())
    assert document["command"] == "engine"
    assert document["format"] == 1
    assert document["environment"]["cpu_count"] >= 1
    assert document["figures"] == [figure.to_json() for figure in FIGURES]
    assert measured == [EngineSettings()]


def test_json_on_standard_output_has_it_to_itself(
    invoke: Invoke, measured: list[EngineSettings]
) -> None:
    result = invoke("engine", "--json", "-")

    assert len(json.loads(result.stdout)["figures"]) == len(FIGURES)
    assert "one move" in result.stderr
    assert list(Path.cwd().iterdir()) == []
    assert measured


def test_folders_are_made(invoke: Invoke, measured: list[EngineSettings]) -> None:
    result = invoke("engine", "--json", "results/today/engine.json")

    assert result.exit_code == 0, result.output
    assert Path("results/today/engine.json").is_file()
    assert measured


def test_options_reach_the_measurement(invoke: Invoke, measured: list[EngineSettings]) -> None:
    invoke("engine", "--sizes", "20x5,3x4", "--repetitions", "50")
    invoke("engine", "--quick", "--repetitions", "50")

    assert measured[0] == EngineSettings(sizes=(Size(3, 4), Size(20, 5)), repetitions=50)
    assert measured[1] == EngineSettings(sizes=EngineSettings.quick().sizes, repetitions=50)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sizes", "10"], "size '10' is not NODESxAGENTS, as in 10x10"),
        (["--repetitions", "1"], "is not in the range"),
        (["--picture", "run.pdf"], "a picture ends in .svg or .png"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_measured(
    invoke: Invoke, measured: list[EngineSettings], arguments: list[str], message: str
) -> None:
    result = invoke("engine", *arguments)

    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert measured == []


def test_a_missing_matplotlib_is_one_line(
    invoke: Invoke, measured: list[EngineSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_spec(name: str, *rest: Any) -> Any:
        return None if name == "matplotlib" else found(name, *rest)

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", find_spec)

    result = invoke("engine", "--picture", "run.svg")

    assert result.exit_code == 2
    assert "matplotlib is not installed; pip install 'treerunner[bench]'" in result.stderr
    assert measured == []


def test_a_picture_is_drawn(invoke: Invoke, measured: list[EngineSettings]) -> None:
    pytest.importorskip("matplotlib")

    result = invoke("engine", "--picture", "run.svg")

    assert result.exit_code == 0, result.output
    assert Path("run.svg").read_text().startswith("<?xml")
    assert "bench-engine.json, run.svg" in result.stdout
    assert measured


def test_a_broken_promise_is_one_line(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(settings: EngineSettings) -> Iterator[Figure]:
        yield FIGURES[0]
        raise AssertionError(f"frozen: {settings.repetitions} promises were broken")

    monkeypatch.setattr(engine_module, "measure_engine", measure)

    result = invoke("engine")

    assert result.exit_code == 1
    assert "Error: frozen: 4000 promises were broken" in result.stderr
    assert not Path("bench-engine.json").exists()
