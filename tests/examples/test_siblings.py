"""Several outputs: the program shows what became of each."""

from __future__ import annotations

import pytest

from examples import siblings


def test_the_program_tells_of_four_outputs_with_their_siblings() -> None:
    lines = siblings.main()

    assert lines[0] == "moved: 2"
    assert [line.split(":")[0] for line in lines[1:5]] == [f"output {n}" for n in range(4)]
    assert all(line.endswith("a root with 3 siblings") for line in lines[1:5])
    assert lines[5] == "Bob is a new entity, made of Bob of 'sleep'"


def test_nothing_is_left_of_a_split_that_fails() -> None:
    study = siblings.app.add(siblings.Study(title="empty"))
    roots = len(siblings.app.roots())

    with pytest.raises(IndexError):
        siblings.app.execute("split", study=study, limit=60)

    assert siblings.app.head(study) == 1
    assert len(siblings.app.roots()) == roots
