"""An app is found by its name; what is wrong with it is told with its name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from examples import flights
from runner.app_module import load_app_module
from runner.errors import AppModuleError


def test_an_app_has_its_workspace_and_fresh_roots():
    app = load_app_module("examples.flights")

    assert app.workspace is flights.app
    assert app.roots.keys() == flights.CARRIERS.keys()
    assert app.roots["UA"] is not load_app_module("examples.flights").roots["UA"]


def test_roots_may_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "rootless.py").write_text("from registry import Workspace\napp = Workspace()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    assert load_app_module("rootless").roots == {}


@pytest.mark.parametrize("name", ["no_such_app", "examples.no_such_app", "no.such.app"])
def test_a_module_that_is_not_there_is_named(name: str):
    with pytest.raises(AppModuleError) as caught:
        load_app_module(name)

    assert caught.value.module == name
    assert caught.value.problem.startswith("is not in ")
    assert str(caught.value).startswith(f"app '{name}' is not in ")
