"""What annotations say of how values are written, and the classes that are refused for them."""

from __future__ import annotations

import abc
import ipaddress
import socket
import threading
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

import numpy as np
import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    SecretStr,
)

from registry import Entity, Retention
from registry.entity import label
from registry.errors import NotJournalableError, UnknownClassError, UnreadableValueError
from registry.journal import opaque
from registry.journal.codec import register_codec
from registry.journal.coding import ENCODERS, Decoder, KeyTable
from registry.journal.fields import adapters_of, check_class
from registry.journal.journaled_tree import write_birth
from registry.journal.states import StateWriter
from registry.schema import schema_of
from registry.trees import Trees
from registry.values import Opaque, same_value
from tests.model.odd_values import Odd, Plain
from tests.model.values import Label, Point
from tests.unit.registry.journal.images import tree_again


class Money:
    """A class that pydantic is told how to write."""

    def __init__(self, cents: int) -> None:
        self.cents = cents

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and self.cents == other.cents

    __hash__ = None  # type: ignore[assignment]


MoneyField = Annotated[
    Money,
    PlainValidator(lambda cents: cents if isinstance(cents, Money) else Money(cents)),
    PlainSerializer(lambda money: money.cents, return_type=int),
]
Lossy = Annotated[
    Money,
    PlainValidator(lambda cents: cents if isinstance(cents, Money) else Money(cents)),
    PlainSerializer(lambda _: 0, return_type=int),
]


class Account(Entity):
    """An entity with values that only its annotations know how to write."""

    owner: str = ""
    balance: MoneyField = Money(0)
    past: list[MoneyField] = []  # noqa: RUF012 - pydantic copies mutable defaults
    best: MoneyField | None = None
    address: ipaddress.IPv4Address | None = None
    anything: Any = None


class Lost(Entity):
    """An entity whose annotation does not bring a value back."""

    balance: Lossy = Money(0)


def state_again(entity: Entity) -> tuple[Any, ...]:
    """Return the state of an entity without children that was written and read again."""
    tree, _ = Trees(Retention()).adopt(entity, 0.0)
    return tree_again(tree).root_node.state


# --- pydantic's way ---


def test_what_the_annotation_can_write_comes_back() -> None:
    account = Account(
        balance=Money(1),
        past=[Money(2), Money(3)],
        best=Money(4),
        address=ipaddress.IPv4Address("127.0.0.1"),
    )

    result = state_again(account)

    values = [each.value if type(each) is Opaque else each for each in result[:5]]
    assert values[:2] == ["", Money(1)]
    assert [each.value for each in values[2].items] == [Money(2), Money(3)]
    assert values[3:] == [Money(4), ipaddress.IPv4Address("127.0.0.1")]


def test_only_fields_that_need_it_ask_pydantic() -> None:
    assert adapters_of(schema_of(Odd)) == {}
    assert set(adapters_of(schema_of(Account))) == {"balance", "past", "best", "address"}


def test_a_codec_goes_before_the_annotation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opaque, "_CODECS", {})
    monkeypatch.delitem(ENCODERS, Money, raising=False)
    made: list[int] = []
    register_codec(
        Money,
        name="money",
        encode=lambda money: money.cents,
        decode=lambda cents: made.append(cents) or Money(cents),  # type: ignore[func-returns-value]  # it gives None
    )

    result = state_again(Account(balance=Money(7)))

    assert (result[1].value, made) == (Money(7), [7])
    monkeypatch.delitem(ENCODERS, Money)


@pytest.mark.parametrize(
    ("entity", "place"),
    [
        (Account(anything=Money(1)), "anything"),  # the annotation says nothing
        (Lost(balance=Money(1)), "balance"),  # it says something else
    ],
    ids=["says nothing", "does not bring it back"],
)
def test_what_the_annotation_does_not_bring_back_is_refused(entity: Entity, place: str) -> None:
    tree, _ = Trees(Retention()).adopt(entity, 0.0)

    with pytest.raises(NotJournalableError) as caught:
        write_birth(tree, StateWriter(0))

    assert caught.value.place == f"{place!r} of {label(entity)}"
    assert caught.value.kind == "Money"


@pytest.mark.parametrize(
    ("name", "text"),
    [("balance", "x"), ("balance", 3), ("owner", "1")],
    ids=["no JSON", "no text", "field without"],
)
def test_damaged_values_of_annotations_are_told(name: str, text: Any) -> None:
    decoder = Decoder(KeyTable.read(["", f"{__name__}:Money", "builtins:int"]))
    decoder.adapters = adapters_of(schema_of(Account)).get(name)

    for position in (0, 1, 2):
        with pytest.raises((UnreadableValueError, UnknownClassError)):
            decoder.read([20, [90, position, text]])


# --- classes that are refused at once ---


@runtime_checkable
class Drawn(Protocol):
    """What can be drawn."""

    def draw(self) -> None:
        """Draw it."""


class Form(abc.ABC):
    """What others are derived from."""

    @abc.abstractmethod
    def draw(self) -> None:
        """Draw it."""


class Base:
    """A class without a codec, of which another one has one."""


class Derived(Base, BaseModel):
    """A model of it."""


class Holder(BaseModel):
    """A model with a field that cannot be journaled."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    inner: list[Plain]


def entity_with(annotation: Any, **field: Any) -> Any:
    """Return a class of entities with one field."""
    space = {
        "__module__": __name__,
        "__qualname__": f"Made{next(_numbers)}",
        "__annotations__": {"x": annotation},
        "model_config": ConfigDict(arbitrary_types_allowed=True),
        **field,
    }
    return types.new_class("Made", (Entity,), {}, lambda made: made.update(space))


_numbers = iter(range(1000))


@pytest.mark.parametrize(
    "annotation",
    [
        *(Any, object, int, str | None, list[int], dict[str, Any], Literal["a"]),
        *(Odd, list[Odd], Odd | None, Point, Label, Path, type[Odd], tuple[int, ...]),
        *(Callable[[int], Plain], Callable[..., Any], Drawn, Form, Base, Sequence[int]),
        *(MoneyField, list[MoneyField], MoneyField | None, ipaddress.IPv4Address),
        *(np.ndarray, np.ndarray[Any, np.dtype[np.float64]], np.float64),
        *(int | Plain, typing.Optional[int], Annotated[int, Field(gt=0)]),  # noqa: UP045 - both forms
    ],
    ids=str,
)
def test_a_class_that_may_be_journaled_passes(annotation: Any) -> None:
    check_class(entity_with(annotation))


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (Plain, "Plain"),
        (Plain | None, "Plain"),
        (list[Plain], "Plain"),
        (dict[str, tuple[int, Plain]], "Plain"),
        (Sequence[Plain], "Plain"),
        (type(threading.Lock()), "lock"),
        (socket.socket, "socket"),
        (Holder, "Plain"),
        (Annotated[Plain, Field(description="a")], "Plain"),
    ],
    ids=str,
)
def test_a_class_that_can_never_be_journaled_is_refused(annotation: Any, kind: str) -> None:
    cls = entity_with(annotation)

    with pytest.raises(NotJournalableError) as caught:
        check_class(cls)

    assert caught.value.place == f"{cls.__qualname__}.x"
    assert caught.value.kind == kind


def test_a_default_that_cannot_be_journaled_is_refused() -> None:
    cls = entity_with(Callable[[], None], x=lambda: None)

    with pytest.raises(NotJournalableError) as caught:
        check_class(cls)

    assert (caught.value.place, caught.value.kind) == (f"{cls.__qualname__}.x", "function")


def test_a_private_default_that_cannot_be_journaled_is_refused() -> None:
    cls = entity_with(int, _lock=PrivateAttr(default=threading.Lock()))

    with pytest.raises(NotJournalableError) as caught:
        check_class(cls)

    assert caught.value.place == f"{cls.__qualname__}._lock"


def test_a_default_child_passes() -> None:
    check_class(entity_with(Odd, x=Odd()))


def test_two_classes_of_one_name_are_refused() -> None:
    def local() -> type[Entity]:
        class Local(Entity):
            x: int = 0

        return Local

    first = local()
    check_class(first)
    second = local()

    for cls in (first, second):
        with pytest.raises(NotJournalableError, match="is not found by its name"):
            check_class(cls)


def test_a_secret_is_not_written_as_stars() -> None:
    cls = entity_with(SecretStr)
    check_class(cls)

    with pytest.raises(NotJournalableError):
        state_again(cls(x=SecretStr("a")))


def test_values_of_annotations_are_the_same_all_the_way_down() -> None:
    account = Account(balance=Money(1))

    result = state_again(account)

    assert same_value(result[1].value, Money(1))
