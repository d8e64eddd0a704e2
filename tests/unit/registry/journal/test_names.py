"""Names of classes and functions, and what they give back: that very thing, or nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Generic, TypeVar

import pytest
from pydantic import BaseModel

from registry import Entity
from registry.errors import UnknownClassError
from registry.journal.names import find_name, get_named

T = TypeVar("T")


class Outer:
    """A class with others inside."""

    class Inner:
        """A class inside."""

    @staticmethod
    def static() -> None:
        """A function inside."""

    def method(self) -> None:
        """Another one."""


class Many(Entity, Generic[T]):
    """An entity with a parameter."""

    item: T


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (Outer, f"{__name__}:Outer"),
        (Outer.Inner, f"{__name__}:Outer.Inner"),
        (Outer.static, f"{__name__}:Outer.static"),
        (Outer.method, f"{__name__}:Outer.method"),
        (Many[int], f"{__name__}:Many[int]"),
        (Many[dict[str, Many[int]]], None),
        (len, "builtins:len"),
        (int, "builtins:int"),
        (type(None), "types:NoneType"),
        (types.FunctionType, "types:FunctionType"),
        (lambda: None, None),
        ([].append, None),
        (3, None),
    ],
    ids=str,
)
def test_a_name_gives_back_the_very_thing(thing: object, name: str | None) -> None:
    found = find_name(thing)

    if name is not None:
        assert found == name
    if found is not None:
        assert get_named(found) is thing


def test_a_name_that_means_something_else_now_is_none() -> None:
    other = type("Outer", (), {"__module__": __name__})

    assert find_name(other) is None


def test_a_model_of_a_function_is_found_while_it_is_the_only_one() -> None:
    def make() -> type[BaseModel]:
        class Only(BaseModel):
            pass

        return Only

    first = make()
    name = find_name(first)
    assert name is not None
    assert get_named(name) is first

    second = make()

    assert find_name(first) is find_name(second) is None
    with pytest.raises(UnknownClassError):
        get_named(name)


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("no_such_module:Thing", "import module 'no_such_module' before"),
        (f"{__name__}:Thing", "is loaded and has no 'Thing'"),
        (f"{__name__}:Outer.method.__globals__", "is loaded and has no"),
        (f"{__name__}:os.system", "is loaded and has no"),
        ("", "import module '' before"),
    ],
)
def test_what_is_not_found_is_told_with_the_way_out(name: str, way_out: str) -> None:
    with pytest.raises(UnknownClassError) as caught:
        get_named(name)

    assert caught.value.name == name
    assert way_out in caught.value.way_out


def test_what_stands_for_a_module_need_not_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "odd_module", types.SimpleNamespace(Thing=Outer))
    monkeypatch.setitem(sys.modules, "no_module", object())

    assert get_named("odd_module:Thing") is Outer
    with pytest.raises(UnknownClassError):
        get_named("no_module:Thing")


SCRIPT = """
import dataclasses, json, sys
from registry.journal.codec import decode, encode
from registry.journal.coding import KeyTable
from registry.values import Opaque

@dataclasses.dataclass
class Spot:
    x: int

if len(sys.argv) == 1:
    table = KeyTable()
    plain = encode(Opaque(Spot(3)), table)
    print(json.dumps([plain, table.written()]))
else:
    plain, keys = json.loads(sys.argv[1])
    print(decode(plain, KeyTable.read(keys)).value)
"""


def test_a_class_of_the_script_is_found_by_the_same_script(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")

    def run(*arguments: str) -> str:
        top = Path(__file__).parents[4]
        return subprocess.run(
            [sys.executable, str(script), *arguments],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(top)},
        ).stdout.strip()

    data = run()

    assert '"__main__:Spot"' in data
    assert run(data) == "Spot(x=3)"
