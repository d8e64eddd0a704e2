"""The states of a class as plain data, and the classes that are refused before there are any."""

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

from registry import Entity
from registry.adoption import adopt
from registry.errors import NotJournalableError, UnknownClassError, UnreadableValueError
from registry.history import cells_in
from registry.journal import opaque
from registry.journal.codec import from_bytes, register_codec, to_bytes
from registry.journal.coding import ENCODERS, Decoder, Encoder, KeyTable
from registry.journal.fields import Plan, check_class, plan_of
from registry.schema import ABSENT, Schema, schema_of
from registry.values import Opaque, same_value
from tests.model.odd_values import Odd, Plain
from tests.model.values import Label, Point


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


class Loose(Entity):
    """An entity with private attributes and extra fields."""

    model_config = ConfigDict(extra="allow")

    a: int = 0
    _hidden: list[int] = PrivateAttr(default_factory=list)


def state_of(entity: Entity) -> tuple[Any, ...]:
    adoption = adopt(entity, 0.0)
    return next(iter(adoption.nodes.values())).state


def again(state: tuple[Any, ...], schema: Schema) -> tuple[Any, ...]:
    table, plan = KeyTable(), plan_of(schema)
    plain = plan.write(state, Encoder(table), "Account:1")
    plain, keys = from_bytes(to_bytes([plain, table.written()]))
    return plan.read(plain, Decoder(KeyTable.read(keys)))


def test_a_state_comes_back() -> None:
    schema = schema_of(Odd)
    odd = Odd(x=1, kids=[Odd()])
    state = state_of(odd)

    result = again(state, schema)

    assert result == (1, cells_in(state[1])[0].items, {}, set(), frozenset({"x", "kids"}))
    assert result[-1] is schema.shared_set({"x", "kids"})


def test_a_state_is_one_plain_value_per_name_and_a_number() -> None:
    schema = schema_of(Odd)
    state = (1, ABSENT, "a", None, frozenset({"x", "table"}))

    plain = plan_of(schema).write(state, Encoder(KeyTable()), "")

    assert plain == [1, [59], "a", None, 0b101]


def test_private_attributes_and_extra_fields_come_back() -> None:
    loose = Loose.model_validate({"a": 1, "more": 2})

    result = again(state_of(loose), schema_of(Loose))

    assert result == (1, [], {"more": 2}, frozenset({"a", "more"}))


def test_a_state_that_is_none_is_told() -> None:
    plan = plan_of(schema_of(Odd))
    good = plan.write(state_of(Odd()), Encoder(KeyTable()), "")
    for wrong in (None, [], good[:-1], [*good[:-1], -1], [*good[:-1], 16], [*good[:-1], [1]]):
        with pytest.raises(UnreadableValueError):
            plan.read(wrong, Decoder(KeyTable.read([""])), "Odd:1")  # type: ignore[arg-type]  # wrong


def test_the_refusal_names_entity_and_field() -> None:
    state: tuple[Any, ...] = (1, 2, [3, Opaque(Plain())], 4, frozenset())

    with pytest.raises(NotJournalableError) as caught:
        plan_of(schema_of(Odd)).write(state, Encoder(KeyTable()), lambda: "Odd:1")

    assert caught.value.place == "Odd:1.table[1]"


def test_the_plan_of_a_class_is_made_once() -> None:
    assert plan_of(schema_of(Odd)) is plan_of(schema_of(Odd))


# --- pydantic's way ---


def test_what_the_annotation_can_write_comes_back() -> None:
    account = Account(
        balance=Money(1),
        past=[Money(2), Money(3)],
        best=Money(4),
        address=ipaddress.IPv4Address("127.0.0.1"),
    )

    result = again(state_of(account), schema_of(Account))

    values = [each.value if type(each) is Opaque else each for each in result[:5]]
    assert values[:2] == ["", Money(1)]
    assert [each.value for each in values[2]] == [Money(2), Money(3)]
    assert values[3:] == [Money(4), ipaddress.IPv4Address("127.0.0.1")]


def test_only_fields_that_need_it_ask_pydantic() -> None:
    assert set(plan_of(schema_of(Account)).adapters) == {"balance", "past", "best", "address"}


def test_a_codec_goes_before_the_annotation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opaque, "_CODECS", {})
    monkeypatch.delitem(ENCODERS, Money, raising=False)
    plan = Plan(schema_of(Account))
    register_codec(Money, name="money", encode=lambda money: money.cents, decode=Money)
    table = KeyTable()

    plain = plan.write(state_of(Account(balance=Money(7))), Encoder(table), "")

    assert plain[1] == [20, [26, 0, 7]]
    assert list(table.names) == ["money"]
    monkeypatch.delitem(ENCODERS, Money)


@pytest.mark.parametrize(
    ("entity", "place"),
    [
        (Account(anything=Money(1)), "it.anything"),  # the annotation says nothing
        (Lost(balance=Money(1)), "it.balance"),  # it says something else
    ],
    ids=["says nothing", "does not bring it back"],
)
def test_what_the_annotation_does_not_bring_back_is_refused(entity: Entity, place: str) -> None:
    with pytest.raises(NotJournalableError) as caught:
        again_at("it", entity)

    assert (caught.value.place, caught.value.kind) == (place, "Money")


def again_at(place: str, entity: Entity) -> Any:
    plan = plan_of(schema_of(type(entity)))
    return plan.write(state_of(entity), Encoder(KeyTable()), place)


@pytest.mark.parametrize(
    ("name", "text"),
    [("balance", "x"), ("balance", 3), ("owner", "1")],
    ids=["no JSON", "no text", "field without"],
)
def test_damaged_values_of_annotations_are_told(name: str, text: Any) -> None:
    plan = plan_of(schema_of(Account))
    table = KeyTable.read(["", f"{__name__}:Money", "builtins:int"])

    for position in (0, 1, 2):
        with pytest.raises((UnreadableValueError, UnknownClassError)):
            plan.read_field(name, [20, [90, position, text]], Decoder(table))


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
        again_at("it", cls(x=SecretStr("a")))


def test_values_of_annotations_are_the_same_all_the_way_down() -> None:
    account = Account(balance=Money(1))

    result = again(state_of(account), schema_of(Account))

    assert same_value(result[1].value, Money(1))
