"""How callables reach a host."""

from __future__ import annotations

import types
from typing import Any

import pytest

from registry import Retention, Workspace
from runner import wire
from runner.code import collect_code, dump_code, find_workspace, load_code
from runner.errors import CodeError
from tests.contract import library
from tests.contract.library import Library


def test_an_app_is_a_workspace_or_a_module_with_one_or_its_name():
    for app in (library.app, library, "tests.contract.library"):
        assert find_workspace(app) is library.app


def test_what_is_no_app_is_refused_with_the_way_out():
    with pytest.raises(CodeError, match="cannot be imported"):
        find_workspace("no_such_module")
    with pytest.raises(CodeError, match="has no Workspace named 'app'"):
        find_workspace(types.ModuleType("empty"))


def test_importable_callables_travel_by_name():
    code = collect_code(library.app, by_value=True)

    payload = dump_code(code)

    assert b"library.log.append" not in payload
    assert len(payload) < 100 * len(code.registrations)
    loaded = load_code(payload).make_workspace().callables()
    assert loaded["note"].function is library.note


def test_local_callables_travel_by_value_with_their_hints_resolved():
    workspace = Workspace()
    offset = 40

    @workspace.register("offset", read_only=True)
    def add_offset(library: Library, number: int) -> int:
        return number + offset

    loaded = load_code(dump_code(collect_code(workspace, by_value=True)))
    registered = loaded.make_workspace().callables()["offset"]

    assert registered.function is not add_offset
    assert registered.read_only
    assert registered.parameters[0].entities == (Library,)
    assert registered.function(None, 2) == 42


def test_the_settings_of_the_workspace_travel_too():
    workspace = Workspace(retention=Retention(versions=7), on_stale="error")

    loaded = load_code(dump_code(collect_code(workspace, by_value=True))).make_workspace()

    assert loaded.retention == Retention(versions=7)
    assert loaded.on_stale == "error"


def test_callables_are_compiled_once_for_all_workspaces_of_a_host():
    loaded = load_code(dump_code(collect_code(library.app, by_value=False)))

    first, second = loaded.make_workspace(), loaded.make_workspace()

    assert first is not second
    assert first.callables()["note"] is second.callables()["note"]


def test_a_callable_that_cannot_be_sent_is_told():
    workspace = Workspace()
    handle = (number for number in range(3))

    @workspace.register("read")
    def read() -> int:
        return next(handle)

    with pytest.raises(CodeError, match="cannot be sent to hosts") as caught:
        dump_code(collect_code(workspace, by_value=True))
    assert "open resources" in caught.value.way_out


def test_a_module_that_a_host_lacks_is_told(monkeypatch: pytest.MonkeyPatch):
    payload = dump_code(collect_code(library.app, by_value=True))

    def loads(payload: bytes) -> Any:
        raise ModuleNotFoundError("No module named 'far_away'")

    monkeypatch.setattr(wire, "loads", loads)
    with pytest.raises(CodeError, match="No module named 'far_away'"):
        load_code(payload)
