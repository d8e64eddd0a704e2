"""Every error of the registry: three families, two levels, values as attributes, pickles whole."""

from __future__ import annotations

import inspect
import pickle
import re
import threading
from typing import Any

import pytest

from registry import Entity, Ref, Workspace, errors
from registry.errors import (
    EntityClassError,
    IdentityTakenError,
    JournalError,
    NameTakenError,
    ReadOnlyError,
    TransientError,
    TreerunnerError,
    UncopyableError,
    UsageError,
)
from tests.unit.registry.shop import Shop, new_shop

CLASSES = sorted(
    (
        cls
        for cls in vars(errors).values()
        if inspect.isclass(cls) and issubclass(cls, TreerunnerError)
    ),
    key=lambda cls: cls.__name__,
)
FAMILIES = (UsageError, TransientError, JournalError)
CONCRETE = [cls for cls in CLASSES if cls not in {TreerunnerError, UsageError, TransientError}]


def make(cls: Any) -> Any:
    """Build an error with an argument for each parameter, by its hint."""
    samples: dict[str, Any] = {"int": 7, "str": "s", "float": 0.5, "Sequence": ("one", "two")}
    arguments = {
        name: samples.get(re.split(r"[ \[]", str(parameter.annotation))[0], f"<{name}>")
        for name, parameter in inspect.signature(cls.__init__).parameters.items()
        if name != "self"
    }
    if {"version", "oldest"} <= arguments.keys():
        arguments["version"] = 3
    return cls(**arguments), arguments


@pytest.mark.parametrize("cls", CONCRETE)
def test_an_error_belongs_to_one_family_and_is_two_levels_deep(cls: Any) -> None:
    families = [family for family in FAMILIES if issubclass(cls, family)]

    assert len(families) == 1
    # The family of the store is raised itself, too: by far most of what can go wrong there.
    assert families[0] in (cls, *cls.__bases__)
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

    shown = [
        name
        for name, value in arguments.items()
        if all(str(each) in str(error) for each in (value if type(value) is tuple else (value,)))
    ]

    assert shown == list(arguments)


def test_the_families_are_apart() -> None:
    for family in FAMILIES:
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
        ("DeadlockError", "TransientError", Exception),
        ("UnfinishedError", "UsageError", Exception),
        ("JournalBusyError", "TransientError", Exception),
        ("JournalDamagedError", "JournalError", Exception),
        ("FencedError", "JournalError", Exception),
        ("JournalGapError", "JournalError", Exception),
        ("DuplicateExecutionError", "UsageError", Exception),
    ],
)
def test_the_errors_that_users_catch_are_there(name: str, family: str, builtin: type) -> None:
    cls = getattr(errors, name)

    assert issubclass(cls, getattr(errors, family))
    assert issubclass(cls, builtin)


# --- raised by what they are about ---------------------------------------------------------------


def test_a_class_that_redefines_identity_is_told_its_field() -> None:
    with pytest.raises(EntityClassError) as caught:

        class Ticket(Entity):
            version: int = 1

    assert isinstance(caught.value, TypeError)
    assert caught.value.cls.endswith("Ticket")
    assert caught.value.name == "version"
    assert str(caught.value) == (
        f"{caught.value.cls} redefines 'version', which every entity has already; "
        "give the field another name"
    )


def test_a_value_that_cannot_be_copied_is_named_by_its_place(
    workspace: Workspace, shop: Ref
) -> None:
    def lock(shop: Shop) -> None:
        shop.anything = threading.Lock()

    workspace.register("lock")(lock)

    with pytest.raises(UncopyableError) as caught:
        workspace.execute("lock", shop=shop)

    assert isinstance(caught.value, TypeError)
    assert "anything" in caught.value.place
    assert caught.value.kind == "lock"
    assert caught.value.reason.startswith("TypeError: cannot pickle")
    assert str(caught.value) == (
        f"{caught.value.place} holds a lock, which cannot be copied ({caught.value.reason}); "
        "store data, not open resources, or give the class a __deepcopy__"
    )
    assert workspace.head(shop) == 1


def test_a_read_only_callable_that_writes_is_told_what_it_changed(
    workspace: Workspace, shop: Ref
) -> None:
    def rename(shop: Shop) -> None:
        shop.name = "x"

    workspace.register("rename", read_only=True)(rename)

    with pytest.raises(ReadOnlyError) as caught:
        workspace.execute("rename", shop=shop)

    assert caught.value.callable_name == "rename"
    assert caught.value.subject.startswith("Shop")
    assert str(caught.value) == (
        f"callable 'rename' is read-only but changed {caught.value.subject}; "
        "register it without read_only"
    )
    assert workspace.snapshot(shop).name == "shop"


@pytest.mark.parametrize(
    ("name", "owner"), [("mine", "Shop"), ("@mine", "addresses, which start with '@'")]
)
def test_a_taken_name_is_refused_with_its_owner(
    workspace: Workspace, name: str, owner: str
) -> None:
    workspace.add(new_shop(), "mine")

    with pytest.raises(NameTakenError) as caught:
        workspace.add(new_shop(), name)

    assert isinstance(caught.value, UsageError)
    assert caught.value.name == name
    assert caught.value.owner.startswith(owner)
    assert str(caught.value) == (
        f"the name {name!r} belongs to {caught.value.owner}; give this root another one"
    )
    assert len(workspace.roots()) == 1
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args


def test_a_tree_is_never_replaced_by_an_orphan_with_its_identity(workspace: Workspace) -> None:
    original = new_shop()
    label = f"Shop:{original.lineage_id.hex[:8]}"
    twin = pickle.loads(pickle.dumps(original))
    ref = workspace.add(original)
    workspace.register("rename")(rename)
    workspace.execute("rename", shop=ref, name="new")

    for attempt in (
        lambda: workspace.add(twin),
        lambda: workspace.add_owned(twin),
        lambda: workspace.execute("rename", shop=twin, name="other"),
    ):
        with pytest.raises(IdentityTakenError) as caught:
            attempt()
        assert caught.value.entity == label
        assert "model_copy" in str(caught.value)
    assert workspace.head(ref) == 2
    assert workspace.add(twin.model_copy()) != ref


def rename(shop: Shop, name: str) -> None:
    """Change something."""
    shop.name = name
