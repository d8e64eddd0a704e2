"""EntityTree and EntityTreeView: the shape of a version, isolated entities, and refused writes."""

# ruff: noqa: RUF012 - pydantic copies mutable defaults

# Cases are written as expressions; undeclared fields are unknown to the plugin.
# mypy: disable-error-code="func-returns-value,call-arg"
from __future__ import annotations

import copy
import functools
import gc
import pickle
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from pydantic import ConfigDict, Field, PrivateAttr

from registry import (
    Edge,
    EdgeKind,
    Entity,
    EntityRegistry,
    EntityTree,
    EntityTreeView,
    Ref,
    Retention,
    Workspace,
    use_workspace,
)
from registry.entity import label
from registry.errors import (
    EntityClassError,
    NotFoundError,
    PrunedError,
    ReadOnlyViewError,
    StructureError,
    UncopyableError,
    UsageError,
)
from registry.snapshot import snapshot_from_pages
from registry.tree import TreeRegistry
from tests.model.values import Point
from tests.unit.registry.conftest import Do
from tests.unit.registry.shop import Item, Shelf, Shop, new_shop

CHAIN = 10_000
FOREIGN = UUID("12345678-1234-4234-8234-123456789abc")


class Leaf(Entity):
    """Is held."""

    value: int = 0
    tags: list[str] = []


class Everything(Entity):
    """Holds leaves in every way, and values of every kind."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="allow")

    one: Leaf | None = None
    row: list[Leaf] = []
    named: dict[str, Leaf] = {}
    pair: tuple[Leaf, Leaf] | None = None
    bag: set[Leaf] = set()
    icy: frozenset[Leaf] = frozenset()
    grid: list[list[Leaf]] = []
    files: dict[str, list[Leaf]] = {}
    deep: Any = None
    numbers: list[int] = [1, 2]
    table: dict[str, int] = {"a": 1}
    marks: set[int] = {1}
    matrix: list[list[int]] = [[1], [2]]
    point: Point = Field(default_factory=Point)
    points: list[Point] = Field(default_factory=lambda: [Point()])
    _secret: int = PrivateAttr(default=1)
    _hidden: list[int] = PrivateAttr(default_factory=lambda: [1])
    _kept: Leaf | None = PrivateAttr(default=None)

    @functools.cached_property
    def total(self) -> int:
        return sum(self.numbers)

    @property
    def first(self) -> int:
        return self.numbers[0]

    @first.setter
    def first(self, value: int) -> None:
        self.numbers[0] = value


class Link(Entity):
    """One of a chain."""

    number: int = 0
    next: Link | None = None


def everything() -> Everything:
    leaves = [Leaf(value=value) for value in range(14)]
    made = Everything(
        one=leaves[0],
        row=leaves[1:3],
        named={"a": leaves[3], "it's": leaves[4]},
        pair=(leaves[5], leaves[6]),
        bag={leaves[7]},
        icy=frozenset({leaves[8]}),
        grid=[[], [leaves[9]]],
        files={"a": [leaves[10]]},
        deep=[{"x": (leaves[11],)}],
        added=leaves[12],
    )
    made._kept = leaves[13]
    return made


def chain(length: int) -> Link:
    link = Link(number=length - 1)
    for number in reversed(range(length - 1)):
        link = Link(number=number, next=link)
    return link


EXPECTED_EDGES: dict[int, tuple[str, EdgeKind, Any, str]] = {
    0: ("one", EdgeKind.DIRECT, None, "one"),
    1: ("row", EdgeKind.LIST, 0, "row[0]"),
    2: ("row", EdgeKind.LIST, 1, "row[1]"),
    3: ("named", EdgeKind.DICT, "a", "named['a']"),
    4: ("named", EdgeKind.DICT, "it's", 'named["it\'s"]'),
    5: ("pair", EdgeKind.TUPLE, 0, "pair[0]"),
    6: ("pair", EdgeKind.TUPLE, 1, "pair[1]"),
    7: ("bag", EdgeKind.SET, None, "bag{...}"),
    8: ("icy", EdgeKind.SET, None, "icy{...}"),
    9: ("grid", EdgeKind.NESTED, (1, 0), "grid[1][0]"),
    10: ("files", EdgeKind.NESTED, ("a", 0), "files['a'][0]"),
    11: ("deep", EdgeKind.NESTED, (0, "x", 0), "deep[0]['x'][0]"),
    12: ("added", EdgeKind.DIRECT, None, "added"),
    13: ("_kept", EdgeKind.DIRECT, None, "_kept"),
}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often a state, or one field of it, is read from a history."""
    counts: Counter[str] = Counter()

    def count(name: str) -> None:
        original = getattr(TreeRegistry, name)

        def counting(*arguments: Any) -> Any:
            counts[name] += 1
            return original(*arguments)

        monkeypatch.setattr(TreeRegistry, name, counting)

    count("state_at")
    count("field_at")
    return counts


@pytest.fixture
def default(workspace: Workspace) -> Any:
    use_workspace(workspace)
    yield workspace
    use_workspace(None)


# --- shape ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("read_only", [False, True])
def test_every_kind_of_container_is_an_edge_with_its_key(
    workspace: Workspace, read_only: bool
) -> None:
    tree = workspace.tree(workspace.add(everything()), read_only=read_only)

    edges = {tree.get_entity(edge.target).value: edge for edge in tree.edges}

    root = tree.root_ecs_id
    assert {value: (e.field, e.kind, e.key, e.path) for value, e in edges.items()} == EXPECTED_EDGES
    assert {edge.source for edge in tree.edges} == {root}
    assert (tree.node_count, tree.edge_count, tree.max_depth, len(tree)) == (15, 14, 1, 15)
    assert tree.get_edge(edges[9].target) == edges[9]
    assert tree.get_edge(root) is None
    assert tree.get_path_text(edges[9].target) == f"{label(tree.root)}.grid[1][0]"
    assert isinstance(edges[0], Edge)


def test_questions_about_one_entity(workspace: Workspace, shop: Ref) -> None:
    tree = workspace.tree(shop)
    root: Any = tree.root
    shelf: Shelf = root.shelves[1]
    item: Item = shelf.items[0]

    assert tree.get_entity(item.ecs_id) is item
    assert tree.get_entity_by_lineage(item.lineage_id) is item
    assert tree.get_parent(item.ecs_id) is shelf
    assert tree.get_parent(root.ecs_id) is None
    assert tree.get_children(shelf.ecs_id) == tuple(shelf.items)
    assert tree.get_children(item.ecs_id) == ()
    assert tree.get_depth(item.ecs_id) == 2
    assert tree.get_path(item.ecs_id) == (item.ecs_id, shelf.ecs_id, root.ecs_id)
    assert tree.get_path_text(item.ecs_id) == f"{label(root)}.shelves[1].items[0]"
    assert tree.get_path_text(root.ecs_id) == label(root)
    assert item.ecs_id in tree
    assert item in tree
    assert Item() not in tree
    assert "x" not in tree
    assert (tree.root_ecs_id, tree.lineage_id) == (root.ecs_id, root.lineage_id)
    assert repr(tree) == f"EntityTree({label(root)}, version 1)"
    assert repr(workspace.tree(shop, read_only=True)).startswith("EntityTreeView(Shop:")


def test_entities_come_breadth_first_in_the_order_of_fields(
    workspace: Workspace, shop: Ref
) -> None:
    tree = workspace.tree(shop)
    root = tree.root

    expected = [
        root,
        *root.shelves,
        root.by_name["x"],
        root.star,
        *[item for shelf in root.shelves for item in shelf.items],
    ]
    assert [id(entity) for entity in tree] == [id(entity) for entity in expected]
    assert tree.ecs_ids == tuple(entity.ecs_id for entity in expected)
    assert [edge.target for edge in tree.edges] == list(tree.ecs_ids[1:])
    assert tree.max_depth == 2


def test_nodes_are_a_mapping_by_ecs_id(workspace: Workspace, shop: Ref) -> None:
    tree = workspace.tree(shop)
    nodes = tree.nodes

    assert list(nodes) == list(tree.ecs_ids)
    assert len(nodes) == 12
    assert nodes[tree.root_ecs_id] is tree.root
    assert tree.root_ecs_id in nodes
    assert repr(nodes) == f"<12 entities of {tree!r}>"
    with pytest.raises(KeyError):
        nodes[FOREIGN]


@pytest.mark.parametrize(
    "ask",
    [
        lambda tree, ecs_id: tree.get_entity(ecs_id),
        lambda tree, ecs_id: tree.get_entity_by_lineage(ecs_id),
        lambda tree, ecs_id: tree.get_children(ecs_id),
        lambda tree, ecs_id: tree.get_parent(ecs_id),
        lambda tree, ecs_id: tree.get_edge(ecs_id),
        lambda tree, ecs_id: tree.get_depth(ecs_id),
        lambda tree, ecs_id: tree.get_path(ecs_id),
        lambda tree, ecs_id: tree.get_path_text(ecs_id),
    ],
)
@pytest.mark.parametrize("ecs_id", [FOREIGN, Item().ecs_id])
def test_an_unknown_id_is_refused_by_name(
    workspace: Workspace, shop: Ref, ask: Callable[[Any, UUID], Any], ecs_id: UUID
) -> None:
    tree = workspace.tree(shop)

    with pytest.raises(NotFoundError) as caught:
        ask(tree, ecs_id)

    assert caught.value.what == f"entity {ecs_id}"
    assert caught.value.where == repr(tree)


def test_a_tree_is_of_its_version(workspace: Workspace, shop: Ref, do: Do) -> None:
    before = workspace.snapshot(shop)
    unread, unread_view = workspace.tree(shop), workspace.tree(shop, read_only=True)

    do(lambda shop: (shop.shelves.pop(), setattr(shop.shelves[0].items[0], "price", 99.0)))

    for tree in (unread, unread_view, workspace.tree(shop, 1)):
        assert tree.version == 1
        assert len(tree) == 12
        assert tree.root.model_dump() == new_shop().model_dump()
        assert tree.root == before
    now = workspace.tree(shop)
    assert (now.version, len(now)) == (2, 9)
    changed = now.root.shelves[0].items[0]
    assert changed.ecs_id not in unread
    assert unread.get_entity_by_lineage(changed.lineage_id).price == 0.0


def test_a_tree_is_the_same_read_from_a_fork_and_from_pages(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    branch = workspace.fork(shop)
    expected = workspace.tree(shop)

    remote = snapshot_from_pages(lambda *asked: workspace.page(asked[0], asked[1], 3), shop)

    for tree in (workspace.tree(branch, 1), remote.get_tree()):
        assert tree.edges == expected.edges
        assert tree.root.model_dump() == expected.root.model_dump()


def test_a_version_that_is_not_there_is_refused(do: Do) -> None:
    workspace = Workspace(retention=Retention(versions=2))
    workspace.register("rename")(_rename)
    ref = workspace.add(new_shop())
    held = workspace.snapshot(ref)
    for number in range(40):
        workspace.execute("rename", shop=ref, name=str(number))

    for read_only in (False, True):
        with pytest.raises(PrunedError):
            workspace.tree(ref, 1, read_only=read_only)
        with pytest.raises(NotFoundError):
            workspace.tree(ref, 99, read_only=read_only)
    tree = held.get_tree()
    gc.collect()
    del held
    assert (tree.version, tree.root.name, len(tree)) == (1, "shop", 12)


def _rename(shop: Shop, name: str) -> None:
    shop.name = name


# --- the seed's names ----------------------------------------------------------------------------


def test_a_stored_tree_is_found_by_the_id_of_its_root(
    default: Workspace, shop: Ref, do: Do
) -> None:
    first = default.snapshot(shop)
    do(lambda shop: shop.shelves.pop())
    second = default.snapshot(shop)

    trees = [EntityRegistry.get_stored_tree(root.ecs_id) for root in (first, second)]
    view = EntityRegistry.get_stored_tree(first.ecs_id, read_only=True)

    assert [type(tree) for tree in trees] == [EntityTree] * 2
    assert [len(tree) for tree in trees if tree is not None] == [12, 9]
    assert isinstance(view, EntityTreeView)
    assert (view.version, len(view)) == (1, 12)
    assert EntityRegistry.get_stored_tree(Item().ecs_id) is None
    assert EntityRegistry.get_stored_tree(first.shelves[0].ecs_id, read_only=True) is None
    with pytest.raises(ValueError, match="not an entity id"):
        EntityRegistry.get_stored_tree(FOREIGN)


def test_an_entity_gives_the_whole_tree_of_the_version_that_it_shows(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    snapshot = workspace.snapshot(shop)
    snapshot.name = "edited"
    snapshot.shelves.clear()
    inside: list[EntityTree] = []

    do(lambda shop: (setattr(shop, "name", "open"), inside.append(shop.get_tree())))

    for tree in (snapshot.get_tree(), snapshot.star.get_tree(), inside[0]):
        assert tree.version == 1
        assert tree.root.model_dump() == new_shop().model_dump()
        assert tree.root is not snapshot
    assert snapshot.name == "edited"


def test_get_tree_is_a_reserved_name() -> None:
    with pytest.raises(EntityClassError) as caught:

        class Bad(Entity):
            get_tree: int = 1

    assert caught.value.name == "get_tree"


# --- orphans -------------------------------------------------------------------------------------


def test_an_orphan_has_the_tree_below_it_and_stays_an_orphan(default: Workspace) -> None:
    orphan = everything()
    ids_before = {leaf.ecs_id for leaf in orphan.row}

    tree = orphan.get_tree()

    assert tree.version == 0
    assert tree.root_ecs_id == orphan.ecs_id
    assert ids_before < set(tree.ecs_ids)
    edges = {tree.get_entity(edge.target).value: edge.path for edge in tree.edges}
    assert edges == {value: expected[3] for value, expected in EXPECTED_EDGES.items()}
    assert tree.root.model_dump(exclude={"bag", "icy"}) == orphan.model_dump(exclude={"bag", "icy"})
    assert all(entity.is_orphan() and entity.version == 0 for entity in tree)
    assert tree.get_entity(orphan.row[1].ecs_id) is tree.root.row[1]
    assert orphan.is_orphan()
    assert default.roots() == []
    assert len(orphan.row[0].get_tree()) == 1


def test_the_tree_of_an_orphan_is_as_it_was_and_isolated() -> None:
    orphan = everything()
    tree = orphan.get_tree()

    orphan.row.pop()
    orphan.point.x = 9
    orphan.row[0].tags.append("later")
    tree.root.grid.clear()
    tree.root.one.value = 77

    assert [leaf.value for leaf in tree.root.row] == [1, 2]
    assert tree.root.point.x == 0
    assert tree.root.row[0].tags == []
    assert len(orphan.grid[1]) == 1
    assert orphan.one is not None
    assert orphan.one.value == 0


def test_an_orphan_whose_graph_has_a_cycle_is_refused_with_both_paths() -> None:
    link = chain(3)
    last: Any = link.next and link.next.next
    last.next = link

    with pytest.raises(StructureError) as caught:
        link.get_tree()

    assert isinstance(caught.value, UsageError)
    assert caught.value.subject == label(link)
    assert str(caught.value) == (
        f"{label(link)} is reachable twice: as {label(link)} and as "
        f"{label(link)}.next.next.next; an entity has one place in its tree; "
        "put a copy (model_copy) or its lineage_id there"
    )
    assert link.is_orphan()


def test_an_orphan_with_an_entity_in_two_places_is_refused_with_both_paths() -> None:
    item = Item()
    shop = Shop(shelves=[Shelf(items=[item])], star=item)

    with pytest.raises(StructureError) as caught:
        shop.get_tree()

    assert caught.value.subject == label(item)
    assert f"{label(shop)}.star" in caught.value.problem
    assert f"{label(shop)}.shelves[0].items[0]" in caught.value.problem


# --- isolation -----------------------------------------------------------------------------------


def mutate(root: Any) -> None:
    """Write to everything that can be reached."""
    for leaf in [root.one, *root.row, *root.pair, *root.bag, *root.icy, root.added, root._kept]:
        leaf.value = -1
        leaf.tags.append("x")
    root.named["a"].value = -1
    root.grid[1][0].value = -1
    root.files["a"].append(Leaf())
    root.deep[0]["x"][0].tags.append("x")
    root.deep[0].clear()
    root.grid[1].clear()
    root.row.pop()
    root.numbers.append(9)
    root.table["b"] = 2
    root.marks.add(9)
    root.matrix[0][0] = 9
    root.point.x = 9
    root.point.trail.append(9)
    root.points[0].y = 9
    root._secret = 9
    root._hidden.append(9)
    root.added = 1
    root.bag.clear()
    del root.one


def looks(root: Any) -> Any:
    """Return all that can be seen of it, sets aside, which pydantic cannot dump."""
    dumped = root.model_dump(exclude={"bag", "icy"})
    members = [sorted(leaf.value for leaf in leaves) for leaves in (root.bag, root.icy)]
    return dumped, members, root._secret, root._hidden, root._kept.value, root._kept.tags


def test_mutating_everything_reachable_changes_nothing_else(workspace: Workspace) -> None:
    ref = workspace.add(everything())
    untouched = looks(workspace.snapshot(ref))
    read, unread = workspace.tree(ref), workspace.tree(ref)
    view = workspace.tree(ref, read_only=True)
    assert looks(read.root) == untouched
    edges = read.edges
    mine = workspace.tree(ref)

    mutate(mine.root)

    others = [read.root, unread.root, view.root, workspace.snapshot(ref), workspace.tree(ref).root]
    for other in others:
        assert looks(other) == untouched
    assert mine.edges == edges == unread.edges
    assert mine.root.numbers == [1, 2, 9]
    assert workspace.head(ref) == 1


def test_edits_of_a_tree_are_committed_when_it_is_passed_on(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    """Also those of an entity that was reached in two ways: it is one object."""
    tree = workspace.tree(shop)
    item = tree.get_entity_by_lineage(workspace.snapshot(shop).shelves[0].items[0].lineage_id)
    item.name = "by id"
    tree.root.shelves[0].items[0].price = 5.0

    do(lambda shop: None, tree.root)

    now = workspace.snapshot(shop).shelves[0].items[0]
    assert (now.name, now.price) == ("by id", 5.0)
    assert workspace.head(shop) == 2


# --- read only -----------------------------------------------------------------------------------

WRITES: dict[str, Callable[[Any], Any]] = {
    "field": lambda e: setattr(e, "numbers", []),
    "same value": lambda e: setattr(e, "numbers", e.numbers),
    "entity": lambda e: setattr(e, "one", Leaf()),
    "field of a child": lambda e: setattr(e.one, "value", 9),
    "list append": lambda e: e.numbers.append(9),
    "list extend": lambda e: e.numbers.extend([9]),
    "list insert": lambda e: e.numbers.insert(0, 9),
    "list pop": lambda e: e.numbers.pop(),
    "list remove": lambda e: e.numbers.remove(1),
    "list clear": lambda e: e.numbers.clear(),
    "list sort": lambda e: e.numbers.sort(),
    "list reverse": lambda e: e.numbers.reverse(),
    "list item": lambda e: e.numbers.__setitem__(0, 9),
    "list slice": lambda e: e.numbers.__setitem__(slice(0, 1), []),
    "list del": lambda e: e.numbers.__delitem__(0),
    "list +=": lambda e: e.numbers.__iadd__([9]),
    "list *=": lambda e: e.numbers.__imul__(2),
    "dict item": lambda e: e.table.__setitem__("b", 2),
    "dict del": lambda e: e.table.__delitem__("a"),
    "dict pop": lambda e: e.table.pop("a"),
    "dict popitem": lambda e: e.table.popitem(),
    "dict update": lambda e: e.table.update(b=2),
    "dict |=": lambda e: e.table.__ior__({"b": 2}),
    "dict setdefault": lambda e: e.table.setdefault("b", 2),
    "dict clear": lambda e: e.table.clear(),
    "set add": lambda e: e.marks.add(9),
    "set discard": lambda e: e.marks.discard(1),
    "set remove": lambda e: e.marks.remove(1),
    "set pop": lambda e: e.marks.pop(),
    "set clear": lambda e: e.marks.clear(),
    "set update": lambda e: e.marks.update({9}),
    "set |=": lambda e: e.marks.__ior__({9}),
    "set -=": lambda e: e.marks.__isub__({1}),
    "set &=": lambda e: e.marks.__iand__({9}),
    "set ^=": lambda e: e.marks.__ixor__({9}),
    "set of entities": lambda e: e.bag.clear(),
    "child in a list": lambda e: e.row.append(Leaf()),
    "child in a dict": lambda e: e.named.pop("a"),
    "nested list": lambda e: e.matrix[0].append(9),
    "nested in a dict": lambda e: e.files["a"].clear(),
    "nested deeply": lambda e: e.deep[0].clear(),
    "below a tuple": lambda e: e.pair[0].tags.append("x"),
    "below a set": lambda e: next(iter(e.bag)).tags.append("x"),
    "list of opaque": lambda e: e.points.clear(),
    "opaque field": lambda e: setattr(e, "point", Point()),
    "private": lambda e: setattr(e, "_secret", 9),
    "list of a private": lambda e: e._hidden.append(9),
    "below a private": lambda e: setattr(e._kept, "value", 9),
    "extra": lambda e: setattr(e, "added", 9),
    "new extra": lambda e: setattr(e, "fresh", 9),
    "below an extra": lambda e: setattr(e.added, "value", 9),
    "cached property": lambda e: setattr(e, "total", 9),
    "property with a setter": lambda e: setattr(e, "first", 9),
    "del field": lambda e: delattr(e, "numbers"),
    "del private": lambda e: delattr(e, "_secret"),
    "del extra": lambda e: delattr(e, "added"),
}
COPIES: dict[str, Callable[[Any], Any]] = {
    "opaque field": lambda e: setattr(e.point, "x", 9),
    "inside an opaque field": lambda e: e.point.trail.append(9),
    "opaque in a list": lambda e: setattr(e.points[0], "x", 9),
    "vars": lambda e: vars(e).update(numbers=[9]),
    "fields set": lambda e: e.model_fields_set.clear(),
    "private dict": lambda e: e.__pydantic_private__.update(_secret=9),
    "copy": lambda e: setattr(copy.copy(e), "numbers", []),
    "list of a copy": lambda e: copy.copy(e).numbers.append(9),
    "deep copy": lambda e: mutate(copy.deepcopy(e)),
    "model_copy": lambda e: mutate(e.model_copy(deep=True)),
    "update": lambda e: e.model_copy(update={"numbers": [9]}),
    "pickle": lambda e: mutate(pickle.loads(pickle.dumps(e))),
    "dump": lambda e: e.model_dump(exclude={"bag", "icy"})["numbers"].append(9),
    "sorted": lambda e: sorted(e.numbers).append(9),
    "isolated tree": lambda e: mutate(e.get_tree().root),
    "use of a cached property": lambda e: e.total,
}


@pytest.fixture
def view(workspace: Workspace) -> EntityTreeView:
    return workspace.tree(workspace.add(everything()), read_only=True)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("loaded", [False, True])
def test_an_entity_of_a_view_refuses_every_write(
    view: EntityTreeView, write: str, loaded: bool
) -> None:
    root = view.root
    if loaded:
        looks(root)

    with pytest.raises(ReadOnlyViewError) as caught:
        WRITES[write](root)

    assert caught.value.root == label(root)
    assert caught.value.version == 1
    assert looks(root) == looks(everything())
    assert looks(view.root) == looks(everything())


def test_a_refused_write_says_what_was_written_where(view: EntityTreeView) -> None:
    root = view.root
    with pytest.raises(ReadOnlyViewError) as of_field:
        root.row[0].value = 9
    with pytest.raises(ReadOnlyViewError) as of_list:
        root.matrix[0].append(9)

    assert of_field.value.subject == f"'value' of {label(root.row[0])}"
    assert of_list.value.subject == f"the list 'matrix' of {label(root)}"
    assert str(of_field.value) == (
        f"'value' of {label(root.row[0])} is in a read-only view of {label(root)} at version 1 "
        "and cannot be changed; read the tree without read_only=True and change that"
    )
    again = pickle.loads(pickle.dumps(of_list.value))
    assert (type(again), again.args) == (ReadOnlyViewError, of_list.value.args)


@pytest.mark.parametrize("write", COPIES)
def test_what_can_be_written_of_a_view_is_a_copy(
    workspace: Workspace, view: EntityTreeView, write: str
) -> None:
    root = view.root
    assert looks(root) == looks(everything())

    COPIES[write](root)

    assert looks(root) == looks(everything())
    assert root.model_fields_set == everything().model_fields_set
    assert looks(workspace.snapshot(view.lineage_id)) == looks(everything())


def test_the_face_of_a_view_has_nothing_to_write(view: EntityTreeView) -> None:
    for name in ("root", "version", "nodes", "edges", "anything"):
        with pytest.raises(AttributeError):
            setattr(view, name, None)
    with pytest.raises(TypeError):
        view.nodes[view.root_ecs_id] = Leaf()  # type: ignore[index]  # refused, which is the point
    with pytest.raises(AttributeError):
        view.edges[0].field = "x"  # type: ignore[misc]  # refused, which is the point


def test_a_view_can_be_passed_to_an_execution_and_stays_as_it_is(
    workspace: Workspace, shop: Ref, do: Do
) -> None:
    view = workspace.tree(shop, read_only=True)

    result = do(lambda shop: (setattr(shop, "name", "new"), shop)[1], view.root)

    assert (result.name, result.version) == ("new", 2)
    assert (view.root.name, view.root.version, view.version) == ("shop", 1, 1)
    assert not workspace.commit_edits(workspace.tree(shop, read_only=True).root)


def test_a_deleted_field_is_missing_in_a_view_too(workspace: Workspace, shop: Ref, do: Do) -> None:
    do(lambda shop: delattr(shop, "numbers"))
    root = workspace.tree(shop, read_only=True).root

    assert not hasattr(root, "numbers")
    assert "numbers" not in vars(root)
    with pytest.raises(AttributeError):
        del root.numbers


def test_a_value_that_cannot_be_copied_is_named_when_an_orphan_is_asked() -> None:
    with pytest.raises(UncopyableError) as caught:
        Shop(anything=threading.Lock()).get_tree()

    assert caught.value.kind == "lock"


# --- cost ----------------------------------------------------------------------------------------


def test_building_a_tree_loads_the_state_of_each_entity_once(
    workspace: Workspace, shop: Ref, counted: Counter[str]
) -> None:
    tree = workspace.tree(shop)
    assert not counted

    for edge in tree.edges:
        tree.get_children(edge.target)
        tree.get_path(edge.target)
    assert (len(tree), tree.max_depth, len(list(tree))) == (12, 2, 12)

    assert counted == {"state_at": 12}


def test_trees_and_views_that_are_held_share_one_shape(
    workspace: Workspace, shop: Ref, counted: Counter[str]
) -> None:
    trees = [workspace.tree(shop), workspace.tree(shop, 1), workspace.snapshot(shop).get_tree()]
    view = workspace.tree(shop, read_only=True)

    assert [len(tree) for tree in [*trees, view]] == [12] * 4

    assert counted == {"state_at": 12}


def test_a_view_of_ten_thousand_entities_loads_what_is_read(
    workspace: Workspace, counted: Counter[str]
) -> None:
    shelves = [Shelf(items=[Item() for _ in range(100)]) for _ in range(99)]
    ref = workspace.add_owned(Shop(shelves=shelves))
    view = workspace.tree(ref, read_only=True)

    root = view.root
    assert (view.version, view.root_ecs_id, bool(view)) == (1, root.ecs_id, True)
    assert not counted
    assert root.shelves[98].items[99].name == ""
    assert counted == {"field_at": 3}
    assert len(view) == 1 + 99 + 99 * 100
    assert counted == {"field_at": 3, "state_at": 10_000}


def test_a_view_lets_go_of_what_nobody_holds(workspace: Workspace, shop: Ref) -> None:
    view = workspace.tree(shop, read_only=True)
    for entity in view:
        _ = entity.model_dump()
    home = weakref.ref(view._home)

    del entity
    gc.collect()
    assert len(view._home._made) == 0

    del view
    gc.collect()
    assert home() is None


@pytest.mark.parametrize("read_only", [False, True])
def test_depth_is_limited_by_memory_alone(workspace: Workspace, read_only: bool) -> None:
    tree = workspace.tree(workspace.add_owned(chain(CHAIN)), read_only=read_only)
    *_, last = tree

    assert (len(tree), tree.max_depth, tree.edge_count) == (CHAIN, CHAIN - 1, CHAIN - 1)
    assert last.number == CHAIN - 1
    path = tree.get_path(last.ecs_id)
    assert (len(path), path[-1]) == (CHAIN, tree.root_ecs_id)
    assert tree.get_path_text(last.ecs_id).count(".next") == CHAIN - 1
    assert tree.to_mermaid().count("\n") == 1 + 100 + 1 + 99
    assert len(tree.edges) == CHAIN - 1


def test_the_depth_of_an_orphan_is_limited_by_memory_alone() -> None:
    tree = chain(CHAIN).get_tree()

    *_, last = tree

    assert last.number == tree.max_depth == CHAIN - 1
    assert last.is_orphan()
