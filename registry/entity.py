"""Entity: a pydantic model with identity that outlives its values.

An entity is one of three things, told apart by its *home*: an orphan (no home), a member of a
working tree (its home is a `TreeRegistry`), or part of a snapshot (its home is a `Snapshot`). An
entity with a home may be a *ghost*: fields are loaded from the home on first access, by
`__getattr__`, which Python calls only for what `__dict__` lacks, so that loaded reads cost nothing.
Whoever looks at `__dict__` as a whole (pydantic's dump, repr, copy, pickle) gets it complete and in
declared order.

What a home does is in `tree.py` and `snapshot.py`; this file knows the protocol only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple, Protocol, Self
from uuid import UUID

from pydantic import BaseModel

from registry import ids, values
from registry.depth import MAX_NESTING
from registry.errors import EntityClassError
from registry.ids import Key
from registry.schema import ABSENT, EXTRA, FIELDS_SET, PRIVATE, Schema, schema_of

# BaseModel keeps its attributes in a slot named __dict__; Entity puts a property in front of it.
_dict_slot = BaseModel.__dict__["__dict__"]
dict_of: Callable[[Any], dict[str, Any]] = _dict_slot.__get__


class Identity(NamedTuple):
    """Everything that an entity can tell about itself beside its fields.

    See the properties of `Entity`.
    """

    ecs_id: UUID
    root_ecs_id: UUID | None
    version: int
    previous_ecs_id: UUID | None
    old_ids: list[UUID]
    created_at: datetime
    forked_at: datetime
    derived_from_function: str | None
    derived_from_execution_id: str | None
    sibling_output_entities: list[UUID]
    output_index: int | None
    attribute_source: dict[str, Any]


class Home(Protocol):
    """What an entity asks of the tree or the snapshot that it is part of.

    Attributes:
        is_read_only: Whether `note_write` refuses every write, also to what is no part of a state.
    """

    is_read_only: ClassVar[bool]

    def load(self, entity: Entity, name: str) -> Any:
        """Return a part of the entity's state and keep it on the entity.

        AttributeError if it has none.
        """

    def whole(self, entity: Entity) -> dict[str, Any]:
        """Return all fields, loaded, in declared order."""

    def note_write(self, entity: Entity, name: str) -> None:
        """Learn that a part of the entity's state is about to be written; refuse it by raising."""

    def stamps(self, entity: Entity) -> tuple[int, int, int]:
        """Return (stamp of the entity, key of its root, stamp of the root)."""

    def identity(self, entity: Entity) -> Identity:
        """Return all that is known about the entity."""

    def root_of(self, entity: Entity) -> Entity:
        """Return the root that the entity belongs to."""


class _Origin(NamedTuple):
    """What an orphan knows of itself."""

    source: tuple[int, int] | None
    created: float


class Entity(BaseModel):
    """A pydantic model with identity.

    Subclass it as you would `BaseModel`. The names of the properties below are reserved; a class
    that redefines one is refused. Equality follows the version (`ecs_id`, `root_ecs_id`), the hash
    follows the lineage.
    """

    __slots__ = ("__home__", "__key__", "__live__", "__origin__")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a subclass that redefines a name of identity, itself or by a mixin."""
        super().__init_subclass__(**kwargs)
        hinted = set(vars(cls).get("__annotations__", ()))
        for name in sorted(RESERVED):
            if name in hinted or getattr(cls, name) is not getattr(Entity, name):
                raise EntityClassError(cls.__qualname__, name)

    # --- pydantic, over state that may not be loaded yet ---

    def _get_dict(self) -> dict[str, Any]:
        home = self.__home__
        return dict_of(self) if home is None else home.whole(self)

    __dict__ = property(_get_dict, _dict_slot.__set__)

    def __getattr__(self, name: str) -> Any:
        if name in _UNSET:  # a slot that was never set
            return None
        home = self.__home__
        if home is not None:
            schema = schema_of(type(self))
            if name in schema.private_set:
                _ = self.__pydantic_private__  # loaded, for pydantic to look into
            elif name in schema.index or name in _SLOTS:
                return home.load(self, name)
            elif schema.has_extra:
                _ = self.__pydantic_extra__
        return super().__getattr__(name)  # type: ignore[misc]  # pydantic hides it from type checkers

    def __setattr__(self, name: str, value: Any) -> None:
        home = self.__home__
        if home is None:
            super().__setattr__(name, value)
        elif name in schema_of(type(self)).plain:
            home.note_write(self, name)
            dict_of(self)[name] = value
            fields_set = self.__pydantic_fields_set__
            if name not in fields_set:
                fields_set.add(name)
        else:
            _assign(self, home, name, value)

    def __delattr__(self, name: str) -> None:
        home = self.__home__
        if home is not None and name in schema_of(type(self)).index:
            getattr(self, name)  # loaded, so that there is something to delete
            home.note_write(self, name)
        super().__delattr__(name)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Entity):
            return NotImplemented
        return key_of(self) == key_of(other) and _stamps(self) == _stamps(other)

    def __hash__(self) -> int:
        return hash(key_of(self))

    def __copy__(self) -> Self:
        """Return a shallow copy: a new entity with provenance to this one.

        Containers are copied too, since a tracked one belongs to the tree that it is in.
        """
        copied = super().__copy__()
        fields = dict_of(copied)
        for part_of in (fields, copied.__pydantic_private__ or {}, copied.__pydantic_extra__ or {}):
            for name, value in part_of.items():
                part_of[name] = _plain(value)
        renew_key(copied, version_of(self))
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Return a deep copy: new entities, each with provenance to the one it was made of."""
        # Our own note in the memo is text, where others have ids: it cannot be taken for one.
        if memo is not None and values.OPAQUE_COPY in memo:  # type: ignore[comparison-overlap]
            on_entity = memo[values.OPAQUE_COPY]  # type: ignore[index]  # our own note in the memo
            if on_entity is None:
                raise values.EntityInside(type(self).__name__)
            return on_entity(self)  # type: ignore[no-any-return]  # what deepcopy puts there
        copied = super().__deepcopy__(memo)
        renew_key(copied, version_of(self))
        return copied

    def __getstate__(self) -> dict[Any, Any]:
        """Return what pickle stores.

        An orphan keeps its identity, anything else arrives as an orphan copy.
        """
        state = super().__getstate__()
        if self.__home__ is None:
            state["__key__"] = self.__key__
        else:
            state["__origin__"] = version_of(self)
        return state

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """Take over what `__getstate__` gave."""
        super().__setstate__(state)
        if (key := state.get("__key__")) is not None:
            set_key(self, key)
        if (origin := state.get("__origin__")) is not None:
            renew_key(self, origin)

    def model_dump(self, **kwargs: Any) -> dict[str, Any]:
        """Dump the fields as pydantic does.

        With `context={"identity": True}` each entity's identity too.
        """
        data = super().model_dump(**kwargs)
        if (kwargs.get("context") or {}).get("identity"):
            _add_identity(self, data, bool(kwargs.get("by_alias")), kwargs.get("mode") == "json")
        return data

    # --- identity ---

    @property
    def ecs_id(self) -> UUID:
        """Identity of this version of the entity.

        Changes exactly when it or a descendant changed.
        """
        return ids.to_uuid(key_of(self), _stamps(self)[0])

    @property
    def lineage_id(self) -> UUID:
        """Identity of the entity through all its versions; never changes."""
        return ids.to_uuid(key_of(self))

    @property
    def live_id(self) -> UUID:
        """Identity of this Python object; made on demand."""
        live: UUID | None = self.__live__
        if live is None:
            live = ids.to_uuid(ids.new_key(), ids.BIRTH)
            _set_live(self, live)
        return live

    @property
    def root_ecs_id(self) -> UUID | None:
        """`ecs_id` of the root in the version that this object was read from.

        None for an orphan.
        """
        if self.__home__ is None:
            return None
        _, root_key, root_stamp = _stamps(self)
        return ids.to_uuid(root_key, root_stamp)

    @property
    def root_live_id(self) -> UUID | None:
        """`live_id` of the root object; None for an orphan."""
        home = self.__home__
        return None if home is None else home.root_of(self).live_id

    @property
    def version(self) -> int:
        """Number of the tree's commit that this object shows; 0 for an orphan."""
        return self._identity().version

    @property
    def previous_ecs_id(self) -> UUID | None:
        """The version of this entity before this one, or None."""
        return self._identity().previous_ecs_id

    @property
    def old_ids(self) -> list[UUID]:
        """All earlier version ids that are retained, oldest first; computed from history."""
        return self._identity().old_ids

    @property
    def created_at(self) -> datetime:
        """When the entity entered its tree; for an orphan, when it was first asked. UTC."""
        return self._identity().created_at

    @property
    def forked_at(self) -> datetime:
        """When this version was made. UTC."""
        return self._identity().forked_at

    @property
    def derived_from_function(self) -> str | None:
        """Name of the callable that made this version.

        If an execution did and its record is kept.
        """
        return self._identity().derived_from_function

    @property
    def derived_from_execution_id(self) -> str | None:
        """Id of the execution that made this version, if one did and its record is kept."""
        return self._identity().derived_from_execution_id

    @property
    def sibling_output_entities(self) -> list[UUID]:
        """`ecs_id`s of what the same execution returned beside this entity, in order."""
        return self._identity().sibling_output_entities

    @property
    def output_index(self) -> int | None:
        """Position of this entity among what its execution returned, if it returned several."""
        return self._identity().output_index

    @property
    def attribute_source(self) -> dict[str, Any]:
        """Where borrowed fields came from: field name to the source's `ecs_id`."""
        return self._identity().attribute_source

    def is_orphan(self) -> bool:
        """Tell whether the entity belongs to no tree."""
        return self.__home__ is None

    def is_root_entity(self) -> bool:
        """Tell whether the entity is the root of its tree."""
        return self.__home__ is not None and _stamps(self)[1] == key_of(self)

    def _identity(self) -> Identity:
        home = self.__home__
        return _orphan_identity(self) if home is None else home.identity(self)


_SLOTS = frozenset({PRIVATE, EXTRA, FIELDS_SET})
_UNSET = frozenset({"__home__", "__key__", "__live__", "__origin__"})
RESERVED = frozenset(
    {
        name
        for name, value in vars(Entity).items()
        if isinstance(value, property) and name != "__dict__"
    }
    | {"is_orphan", "is_root_entity"}
)
"""Names that a subclass may not redefine."""

values.KIND[Entity] = values.ENTITY
set_home: Callable[[Entity, Home | None], None] = Entity.__dict__["__home__"].__set__
set_key: Callable[[Entity, Key], None] = Entity.__dict__["__key__"].__set__
_set_live: Callable[[Entity, UUID], None] = Entity.__dict__["__live__"].__set__
_set_origin: Callable[[Entity, _Origin], None] = Entity.__dict__["__origin__"].__set__
_set_slot = object.__setattr__


def reserve(name: str, method: Callable[..., Any]) -> None:
    """Add a method to `Entity` from a layer above it, and reserve its name."""
    global RESERVED
    setattr(Entity, name, method)
    RESERVED |= {name}


def key_of(entity: Entity) -> Key:
    """Return the entity's lineage bits, drawn when they are first asked for."""
    key: Key | None = entity.__key__
    if key is None:
        key = ids.new_key()
        set_key(entity, key)
    return key


def source_of(entity: Entity) -> tuple[int, int] | None:
    """Return the version of another entity that an orphan was copied from, if it was."""
    origin: _Origin | None = entity.__origin__
    return None if origin is None else origin.source


def renew_key(entity: Entity, source: tuple[int, int]) -> Key:
    """Give an entity that crosses to another tree a new identity.

    With provenance to the old one.
    """
    key = ids.new_key()
    set_key(entity, key)
    _set_origin(entity, _Origin(source, time.time()))
    return key


def new_ghost(cls: type[Entity], home: Home, key: Key) -> Entity:
    """Make an entity without fields: each is loaded from *home* when it is read. About 0.5 us."""
    ghost = cls.__new__(cls)
    set_home(ghost, home)
    set_key(ghost, key if type(key) is Key else Key(key))
    return ghost


def label(entity: Entity) -> str:
    """Name an entity in a message: its class and the start of its lineage id."""
    return key_label(type(entity), key_of(entity))


def key_label(cls: type[Any], key: int) -> str:
    """Name an entity in a message by class and key."""
    return f"{cls.__name__}:{ids.to_uuid(key).hex[:8]}"


def fill(entity: Entity, schema: Schema, name: str, value: Any) -> None:
    """Put one part of the state where pydantic keeps it."""
    if name in schema.field_set:
        if value is not ABSENT:
            dict_of(entity)[name] = value
    elif name in (EXTRA, FIELDS_SET, PRIVATE):
        _set_slot(entity, name, value)
    elif value is not ABSENT:
        entity.__pydantic_private__[name] = value  # type: ignore[index]  # a dict while privates are declared


def put_in_order(entity: Entity, schema: Schema) -> dict[str, Any]:
    """Bring the loaded fields into declared order.

    Pydantic dumps them in the order of `__dict__`.
    """
    fields = dict_of(entity)
    if tuple(fields)[: len(schema.fields)] != schema.fields:
        ordered = {name: fields[name] for name in schema.fields if name in fields}
        rest = {name: value for name, value in fields.items() if name not in ordered}
        fields.clear()
        fields.update(ordered)
        fields.update(rest)
    return fields


def parts(entity: Entity, schema: Schema) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) for every part of an entity's state but the set of set fields.

    Loads all of it.
    """
    fields = entity.__dict__
    for name in schema.fields:
        yield name, fields.get(name, ABSENT)
    if schema.privates:
        private = entity.__pydantic_private__ or {}
        for name in schema.privates:
            yield name, private.get(name, ABSENT)
    if EXTRA in schema.index:
        yield EXTRA, entity.__pydantic_extra__


def part(entity: Entity, schema: Schema, name: str) -> Any:
    """Return one part of an entity's state as the object holds it now."""
    if name in schema.field_set:
        return dict_of(entity).get(name, ABSENT)
    if name == EXTRA:
        return entity.__pydantic_extra__
    return (entity.__pydantic_private__ or {}).get(name, ABSENT)


def _assign(entity: Entity, home: Any, name: str, value: Any) -> None:
    """Write what needs more than a note: validated fields, private attributes, extra ones."""
    schema = schema_of(type(entity))
    if name in schema.field_set:
        home.note_write(entity, name)
        _assign_checked(entity, home, name, value)
        return
    if name in schema.index:
        _ = entity.__pydantic_private__  # loaded first, or pydantic would start an empty one
        home.note_write(entity, name)
    elif home.is_read_only:  # a cached property, or what has a setter of its own
        home.note_write(entity, name)
    elif schema.index.get(EXTRA) is not None:
        _ = entity.__pydantic_extra__
    BaseModel.__setattr__(entity, name, value)


def _assign_checked(entity: Entity, home: Any, name: str, value: Any) -> None:
    """Assign under validation: validators may have written other fields on the way."""
    before = dict(entity.__dict__)
    BaseModel.__setattr__(entity, name, value)
    after = dict_of(entity)
    for other, old in before.items():
        if after.get(other, ABSENT) is not old:
            home.note_write(entity, other)


def _plain(value: Any, depth: int = 1) -> Any:
    """Copy containers, not what they hold; none deeper than a tree can hold."""
    kind = values.KIND[type(value)]
    if depth > MAX_NESTING:
        return value
    if isinstance(value, list) and kind == values.LIST:
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, dict) and kind == values.DICT:
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, set) and kind == values.SET:
        return set(value)
    return value


def _stamps(entity: Entity) -> tuple[int, int, int]:
    home = entity.__home__
    return (ids.BIRTH, 0, 0) if home is None else home.stamps(entity)


def version_of(entity: Entity) -> tuple[int, int]:
    """Return the key and the stamp of the version that an object shows."""
    return key_of(entity), _stamps(entity)[0]


def _orphan_identity(entity: Entity) -> Identity:
    origin: _Origin | None = entity.__origin__
    if origin is None:
        origin = _Origin(None, time.time())
        _set_origin(entity, origin)
    born = datetime.fromtimestamp(origin.created, UTC)
    previous = None if origin.source is None else ids.to_uuid(*origin.source)
    return Identity(
        ecs_id=entity.ecs_id,
        root_ecs_id=None,
        version=0,
        previous_ecs_id=previous,
        old_ids=[],
        created_at=born,
        forked_at=born,
        derived_from_function=None,
        derived_from_execution_id=None,
        sibling_output_entities=[],
        output_index=None,
        attribute_source={},
    )


_DUMPED = (
    "ecs_id",
    "lineage_id",
    "root_ecs_id",
    "version",
    "previous_ecs_id",
    "created_at",
    "forked_at",
)


def _add_identity(value: Any, data: Any, by_alias: bool, as_json: bool) -> None:
    """Walk a value beside its dump and add the identity of each entity on the way."""
    if isinstance(value, Entity) and isinstance(data, dict):
        for name, field in type(value).model_fields.items():
            dumped = (field.serialization_alias or field.alias or name) if by_alias else name
            if dumped in data:
                _add_identity(getattr(value, name), data[dumped], by_alias, as_json)
        for name in _DUMPED:
            item = getattr(value, name)
            data[name] = item if not as_json or isinstance(item, int | None) else str(item)
    elif isinstance(value, (list, tuple)) and isinstance(data, (list, tuple)):
        for item, dumped_item in zip(value, data, strict=False):
            _add_identity(item, dumped_item, by_alias, as_json)
    elif isinstance(value, dict) and isinstance(data, dict):
        for key, item in value.items():
            _add_identity(item, data.get(key), by_alias, as_json)
