"""Moving: an entity is taken out of what holds it, and put into something else.

The same for live entities inside a callable and for snapshots in their holder's hand: both are
ordinary writes, which the transaction, or the snapshot, notes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from registry.assignment import adapter_of
from registry.callables import RegisteredCallable
from registry.copies import entities_in
from registry.entity import Entity, key_of, label, parts
from registry.errors import StructureError
from registry.history import Cell
from registry.nesting import running
from registry.schema import schema_of
from registry.snapshot import Snapshot
from registry.tree import OpenTransaction, TreeRegistry
from registry.values import ATOM, DICT, ENTITY, FROZENSET, KIND, LIST, SET, TUPLE

# --- wishes: what was detached becomes a root, returned or not ---


def wish(entity: Entity, tree: TreeRegistry) -> None:
    """Note that a live entity is to be a root of its own once the open transaction commits."""
    txn = tree.txn
    assert txn is not None, "a live entity is detached inside an execution"
    noted = tree.wished
    if noted is None or noted[0] is not txn:
        tree.wished = noted = (txn, [])
    noted[1].append(entity)


def wishes(txn: Any) -> list[Entity]:
    """Return what was detached in a transaction."""
    noted: tuple[OpenTransaction, list[Entity]] | None = txn.tree.wished
    return noted[1] if noted is not None and noted[0] is txn else []


# --- taking out ---


def detach(entity: Entity) -> Entity:
    """Take an entity out of what holds it; in a callable it is a root of its own from then on.

    Raises:
        StructureError: A field that cannot be empty holds it.
    """
    home = entity.__home__
    take_out(entity)
    if isinstance(home, TreeRegistry) and not entity.is_root_entity():
        wish(entity, home)
    return entity


DETACH = RegisteredCallable("detach", detach)


def take_out(entity: Entity) -> bool:
    """Take an entity out of what holds it now; False if nothing does.

    Raises:
        StructureError: A field that cannot be empty holds it; nothing has changed.

    Cost: what its parent holds; if it was moved before, what was written in the transaction.
    """
    for holder in _holders(entity):
        for name, value in list(parts(holder, schema_of(type(holder)))):
            if KIND[type(value)] and _holds(value, entity):
                _check_without(holder, name, value, entity)
                rest = _without(value, entity)
                if rest is not value:
                    setattr(holder, name, rest)
                return True
    return False


def _holders(entity: Entity) -> Iterator[Entity]:
    """Yield what may hold an entity: its parent, then what was written."""
    parent = _parent(entity)
    if parent is not None:
        yield parent
    home = entity.__home__
    if isinstance(home, TreeRegistry):
        for txn in _open_on(home):
            yield from _with_orphans(_written(txn))
    elif isinstance(home, Snapshot):
        yield from _with_orphans([each for each, _ in home.edited()])


def _open_on(tree: TreeRegistry) -> list[Any]:
    """Return the open transaction on a tree, then the others of the same execution.

    What was put into another tree is still of its own until the commit.
    """
    if tree.txn is None:
        return []
    outer = running.get()
    others = () if outer is None else outer.open_txns
    return [tree.txn, *(each for each in others if each is not tree.txn)]


def _written(txn: Any) -> list[Entity]:
    """Return the live entities of a tree that a transaction has written to."""
    tree = txn.tree
    places = [each.place for each in txn.containers]
    cells = [each for each in places if isinstance(each, Cell) and each.node is not None]
    return [
        *(each for each, _ in txn.writes.values()),
        *(tree.live(cell.node.key) for cell in cells if cell.node is not None),
    ]


def _with_orphans(entities: Iterable[Entity]) -> Iterator[Entity]:
    """Yield entities, and below each the orphans that were put there."""
    queue, seen = list(entities), set[int]()
    while queue:
        entity = queue.pop()
        if id(entity) in seen:
            continue
        seen.add(id(entity))
        yield entity
        for _, value in parts(entity, schema_of(type(entity))):
            queue += [each for each in entities_in(value) if each.__home__ is None]


def _parent(entity: Entity) -> Entity | None:
    """Return the object that held an entity in the version that it shows."""
    home, key = entity.__home__, key_of(entity)
    if isinstance(home, TreeRegistry):
        node = home.node(key)
        return None if node.removed or node.parent is None else home.live(node.parent.key)
    if not isinstance(home, Snapshot) or not isinstance(home.source, TreeRegistry):
        return None
    way = []
    while key != home.source.key:
        found = home.source.find_node(key, home.version)
        parent = None if found is None else found[0].parent_at(found[1])
        if parent is None:
            return None
        way.append(key := parent)
    holder: Entity | None = home.root_of(entity)
    for key in reversed(way[:-1]):
        holder = None if holder is None else _child(holder, key)
    return holder if way else None


def _child(holder: Entity, key: int) -> Entity | None:
    for _, value in parts(holder, schema_of(type(holder))):
        for each in entities_in(value):
            if key_of(each) == key:
                return each
    return None


def _is(item: Any, entity: Entity) -> bool:
    """Tell whether an item is an entity, or another object of it in the same home."""
    if item is entity:
        return True
    home = entity.__home__
    return (
        KIND[type(item)] == ENTITY
        and home is not None
        and item.__home__ is home
        and key_of(item) == key_of(entity)
    )


def _holds(value: Any, entity: Entity) -> bool:
    return any(_is(each, entity) for each in entities_in(value))


def _check_without(holder: Entity, name: str, value: Any, entity: Entity) -> None:
    """Refuse to take an entity out of a field that would then be of no valid value."""
    kind = KIND[type(value)]
    if kind not in (ENTITY, TUPLE) or name not in type(holder).model_fields:
        return
    try:
        adapter_of(type(holder), name).validate_python(_without(value, entity, in_place=False))
    except ValidationError:
        raise StructureError(
            label(entity),
            f"is in the field {name!r} of {label(holder)}, which cannot be without it",
            "assign another one there first, or make the field optional",
        ) from None


def _without(value: Any, entity: Entity, *, in_place: bool = True) -> Any:
    """Return a value without an entity; lists, dicts and sets are changed where they are."""
    kind = KIND[type(value)]
    if kind == ENTITY:
        return None if _is(value, entity) else value
    if kind in (TUPLE, FROZENSET):
        kept = [_without(x, entity, in_place=in_place) for x in value if not _is(x, entity)]
        return tuple(kept) if kind == TUPLE else frozenset(kept)
    if not in_place:
        return value
    if kind == LIST:
        for at in reversed(range(len(value))):
            _replace(value, at, value[at], entity)
    elif kind == DICT:
        for key in list(value):
            _replace(value, key, value[key], entity)
    elif kind == SET:
        for each in [item for item in value if _is(item, entity)]:
            value.remove(each)
    return value


def _replace(container: Any, at: Any, item: Any, entity: Entity) -> None:
    if _is(item, entity):
        del container[at]
    elif KIND[type(item)] not in (ATOM, ENTITY) and _holds(item, entity):
        rest = _without(item, entity)
        if rest is not item:
            container[at] = rest


# --- putting in ---


def attach(entity: Entity, parent: Entity, field: str, key: Any = None) -> Entity:
    """Take an entity out of what holds it, and put it into a field of another one.

    Args:
        entity: What moves.
        parent: What will hold it.
        field: Where: it is appended to a list, added to a set, set under *key* in a dict, else
            assigned.
        key: For a dict.

    Raises:
        StructureError: It would be below itself, or the field cannot hold it; nothing has changed.
    """
    put = fitting(entity, parent, field, key)
    if not entity.is_root_entity():
        take_out(entity)
    put()
    return entity


def fitting(entity: Entity, parent: Entity, field: str, key: Any = None) -> Callable[[], None]:
    """Return what puts an entity into a field, once it is known that it fits.

    Raises:
        StructureError: It does not fit there.
    """
    if not isinstance(parent, Entity):
        kind = type(parent).__name__
        raise StructureError(f"a {kind}", f"cannot hold {label(entity)}", "give an entity")
    if any(_is(each, entity) for each in _above(parent)) and _reaches(entity, parent):
        raise StructureError(
            label(entity), "would be below itself", "attach it to an entity that is not below it"
        )
    if field not in type(parent).model_fields:
        names = ", ".join(type(parent).model_fields) or "none"
        raise StructureError(label(parent), f"has no field {field!r}", f"its fields are {names}")
    value = getattr(parent, field)
    kind = KIND[type(value)]
    added: dict[Any, tuple[Any, Callable[[], Any]]] = {
        LIST: ([entity], lambda: value.append(entity)),
        SET: ({entity}, lambda: value.add(entity)),
        DICT: ({key: entity}, lambda: value.__setitem__(key, entity)),
        TUPLE: ((*value, entity) if kind == TUPLE else (), lambda: None),
    }
    whole, put = added.get(kind, (entity, lambda: setattr(parent, field, entity)))
    if kind == TUPLE:
        put = lambda: setattr(parent, field, whole)  # noqa: E731 - one line says it
    try:
        adapter_of(type(parent), field).validate_python(whole)
    except ValidationError as error:
        reason = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise StructureError(
            label(entity),
            f"does not fit the field {field!r} of {label(parent)}: {reason['msg']}",
            "attach it to a field of its class",
        ) from None
    return put


def is_in(entity: Entity, parent: Entity) -> bool:
    """Tell whether an entity was put below another one of a snapshot, or into what it holds.

    Cost: what the holder of the snapshot wrote.
    """
    home = parent.__home__
    written = [each for each, _ in home.edited()] if isinstance(home, Snapshot) else [parent]
    return any(
        _holds(value, entity)
        for each in _with_orphans(written)
        for _, value in parts(each, schema_of(type(each)))
    )


def _above(entity: Entity) -> Iterator[Entity]:
    """Yield an entity and what held it, up to its root, in the version that it shows."""
    above: Entity | None = entity
    seen: set[int] = set()
    while above is not None and id(above) not in seen:
        seen.add(id(above))
        yield above
        above = _parent(above)


def _reaches(entity: Entity, sought: Entity) -> bool:
    """Tell whether *sought* is an entity or below it, as things are now. Cost: what is below."""
    queue, seen = [entity], set[int]()
    while queue:
        each = queue.pop()
        if _is(each, sought):
            return True
        if id(each) not in seen:
            seen.add(id(each))
            for _, value in parts(each, schema_of(type(each))):
                queue += entities_in(value)
    return False


def _attach(entity: Entity, parent: Entity, field: str, key: Any = None) -> Entity:
    return attach(entity, parent, field, key)


ATTACH = RegisteredCallable("attach", _attach)
