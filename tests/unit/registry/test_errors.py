"""Every error of the registry: two families, two levels, values as attributes, pickles whole."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import pytest

from registry import errors
from registry.errors import TransientError, TreerunnerError, UsageError

CLASSES = sorted(
    (
        cls
        for cls in vars(errors).values()
        if inspect.isclass(cls) and issubclass(cls, TreerunnerError)
    ),
    key=lambda cls: cls.__name__,
)
CONCRETE = [cls for cls in CLASSES if cls not in {TreerunnerError, UsageError, TransientError}]


def make(cls: Any) -> Any:
    """Build an error with an argument for each parameter, by its hint."""
    samples = {"int": 7, "str": "s", "float": 0.5}
    arguments = {
        name: samples.get(str(parameter.annotation).split(" ", maxsplit=1)[0], f"<{name}>")
        for name, parameter in inspect.signature(cls.__init__).parameters.items()
        if name != "self"
    }
    if {"version", "oldest"} <= arguments.keys():
        arguments["version"] = 3
    return cls(**arguments), arguments


@pytest.mark.parametrize("cls", CONCRETE)
def test_an_error_belongs_to_one_family_and_is_two_levels_deep(cls: Any) -> None:
    families = [family for family in (UsageError, TransientError) if issubclass(cls, family)]

    assert len(families) == 1
    assert families[0] in cls.__bases__
    assert cls.__name__.endswith("Error")
    assert cls.__doc__
    assert cls.__module__ == "registry.errors"


@pytest.mark.parametrize("cls", CONCRETE)
def test_an_error_pickles_with_its_values_and_text(cls: Any) -> None:
    error, _ = make(cls)
    error.add_note("a note")

    again = pickle.loads(pickle.dumps(error))

    assert type(again) is cls
    assert again.args == error.args
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@pytest.mark.parametrize("cls", CONCRETE)
def test_an_error_has_its_values_as_attributes(cls: Any) -> None:
    error, arguments = make(cls)

    assert {name: getattr(error, name) for name in arguments} == arguments


@pytest.mark.parametrize("cls", CONCRETE)
def test_a_text_is_a_sentence_without_capital_and_full_stop(cls: Any) -> None:
    error, arguments = make(cls)
    text = str(error)

    assert text
    assert not text.endswith(".")
    assert "please" not in text.lower()
    assert "invalid" not in text.lower()
    if not any(text.startswith(str(value)) for value in arguments.values()):
        assert text[0] == text[0].lower()
    assert "Traceback" not in text


@pytest.mark.parametrize("cls", CONCRETE)
def test_a_text_shows_the_values(cls: Any) -> None:
    error, arguments = make(cls)

    shown = [name for name, value in arguments.items() if str(value) in str(error)]

    assert shown == list(arguments)


def test_the_families_are_apart() -> None:
    assert not issubclass(UsageError, TransientError)
    assert not issubclass(TransientError, UsageError)
    for family in (UsageError, TransientError):
        assert family.__bases__ == (TreerunnerError,)


@pytest.mark.parametrize(
    ("name", "family", "builtin"),
    [
        ("RegistrationError", "UsageError", Exception),
        ("ArgumentError", "UsageError", ValueError),
        ("NotFoundError", "UsageError", Exception),
        ("StructureError", "UsageError", Exception),
        ("WriteError", "UsageError", Exception),
        ("ReturnError", "UsageError", TypeError),
        ("PrunedError", "UsageError", Exception),
        ("ConflictError", "TransientError", Exception),
        ("BusyError", "TransientError", Exception),
    ],
)
def test_the_errors_that_users_catch_are_there(name: str, family: str, builtin: type) -> None:
    cls = getattr(errors, name)

    assert issubclass(cls, getattr(errors, family))
    assert issubclass(cls, builtin)
