"""A picture is drawn where it can be, and refused in one line where it cannot."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from runner.bench.picture import draw_picture, why_no_picture
from tests.unit.runner.bench.figures_of_a_run import FIGURES

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="matplotlib is an extra"
)


@needs_matplotlib
@pytest.mark.parametrize(("name", "magic"), [("run.svg", b"<?xml"), ("run.PNG", b"\x89PNG")])
def test_a_picture_has_the_format_of_its_suffix(tmp_path: Path, name: str, magic: bytes) -> None:
    path = tmp_path / name

    draw_picture(path, "a run", "somewhere, some time", FIGURES)

    assert path.read_bytes().startswith(magic)


@needs_matplotlib
def test_a_picture_of_one_figure_is_drawn_too(tmp_path: Path) -> None:
    draw_picture(tmp_path / "run.svg", "a run", "", FIGURES[:1])

    assert (tmp_path / "run.svg").stat().st_size > 0


@needs_matplotlib
def test_nothing_stands_against_a_picture_with_a_good_suffix() -> None:
    assert why_no_picture(Path("run.svg")) is None


def test_another_suffix_is_refused() -> None:
    assert why_no_picture(Path("run.pdf")) == (
        "'run.pdf' ends in '.pdf'; a picture ends in .svg or .png"
    )


def test_without_matplotlib_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(name: str, package: Any = None) -> None:
        assert name == "matplotlib"
        assert package is None

    monkeypatch.setattr(importlib.util, "find_spec", find_nothing)

    assert why_no_picture(Path("run.svg")) == (
        "matplotlib is not installed; pip install 'treerunner[bench]' draws pictures"
    )
