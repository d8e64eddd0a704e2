"""Undo and revert as the example shows them."""

from __future__ import annotations

from examples import undo


def test_the_program_takes_back_what_it_says() -> None:
    story = undo.main()

    assert story.start == [[f"agent-{node}-{agent}" for agent in range(2)] for node in range(4)]
    assert story.mistaken[1] == ["agent-1-0", "agent-1-1", "agent-0-0"]
    assert story.undone[:2] == story.start[:2]
    assert story.undone[2:] == story.mistaken[2:]
    assert story.redone == story.mistaken
    assert set(story.refused) == {"move, version 7"}
    assert story.reverted == story.start
