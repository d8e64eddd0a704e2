"""The first steps end where their comments say."""

from __future__ import annotations

import pytest

from examples import first_steps
from examples.first_steps import Book, Library
from registry import Workspace


def test_the_program_tells_what_each_step_did() -> None:
    assert first_steps.main() == [
        "Book(title='Dune', reader='Ada') by 'lend', version 2",
        "refused: Dune is with Ada; still version 2, 1 loan",
        "2 books before the commit, 3 after it",
        "version 1: {'Emma': '', 'Dune': ''}",
        "version 2: {'Emma': '', 'Dune': 'Ada'}",
        "version 3: {'Emma': '', 'Dune': 'Ada', 'Ulysses': ''}",
        "books with the id that they began with: [True, False]",
    ]


def test_the_function_is_plain_python_that_keeps_what_it_did_before_it_raised() -> None:
    plain = Library(books=[Book(title="Emma", reader="Ada")])
    with pytest.raises(ValueError, match="Emma is with Ada"):
        first_steps.lend(plain, "Emma", "Bob")
    assert plain.loans == 1

    workspace = Workspace()
    workspace.register("lend")(first_steps.lend)
    library = workspace.add(plain)
    with pytest.raises(ValueError, match="Emma is with Ada"):
        workspace.execute("lend", library=library, title="Emma", reader="Bob")
    assert workspace.get(f"{library.address}.loans") == 1
