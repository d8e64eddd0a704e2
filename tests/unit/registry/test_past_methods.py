"""What reaches past the methods of a tracked list is told as soon as its log does not add up."""

from __future__ import annotations

import heapq

import pytest
from pydantic import Field

from registry import Entity, Ref, StructureError, Workspace


class Queue(Entity):
    """Holds a heap."""

    items: list[int] = Field(default_factory=list)


def workspace_with_queue() -> tuple[Workspace, Ref]:
    workspace = Workspace()

    @workspace.register("push_and_append")
    def push_and_append(queue: Queue) -> None:
        heapq.heappush(queue.items, 1)
        queue.items.append(2)

    @workspace.register("append")
    def append(queue: Queue, item: int) -> None:
        queue.items.append(item)

    return workspace, workspace.add(Queue(items=[5]))


def test_a_heap_push_beside_a_method_is_refused_and_names_the_field() -> None:
    workspace, queue = workspace_with_queue()

    with pytest.raises(StructureError) as caught:
        workspace.execute("push_and_append", queue=queue)

    assert "'items' of Queue:" in str(caught.value)
    assert "heapq" in str(caught.value)
    assert workspace.head(queue) == 1
    assert workspace.snapshot(queue).items == [5]

    workspace.execute("append", queue=queue, item=7)

    assert workspace.snapshot(queue).items == [5, 7]
