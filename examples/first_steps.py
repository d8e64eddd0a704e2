"""First steps: entities, a callable, executions, and the versions that come of them.

A library lends books. The function is plain Python that changes what it is given; what it changed
becomes the next version, and if it raises, nothing has happened.

Run: python -m examples.first_steps
"""

from __future__ import annotations

from typing import cast

from pydantic import Field

from registry import Entity, Workspace

app = Workspace()


class Book(Entity):
    """Something to lend, and who has it."""

    title: str
    reader: str = ""


class Library(Entity):
    """The root: it owns its books."""

    books: list[Book] = Field(default_factory=list)
    loans: int = 0


@app.register("lend")
def lend(library: Library, title: str, reader: str) -> Book:
    """Give a book to a reader.

    Raises:
        ValueError: Somebody has it.
    """
    library.loans += 1  # taken back with everything else if the next lines raise
    book = next(each for each in library.books if each.title == title)
    if book.reader:
        message = f"{title} is with {book.reader}"
        raise ValueError(message)
    book.reader = reader
    return book


def main() -> list[str]:
    """Lend, fail to lend, edit what was given out, and return lines that tell what there is."""
    # 1. A root is added once; its ref means the newest version from then on.
    library = app.add(Library(books=[Book(title="Emma"), Book(title="Dune")]))

    # 2. An execution is a call by keywords. Entities in its result are snapshots.
    book = app.execute("lend", library=library, title="Dune", reader="Ada")
    lines = [f"{book!r} by {book.derived_from_function!r}, version {app.head(library)}"]

    # 3. One that raises changes nothing.
    try:
        app.execute("lend", library=library, title="Dune", reader="Bob")
    except ValueError as error:
        loans = cast("Library", app.snapshot(library)).loans
        lines.append(f"refused: {error}; still version {app.head(library)}, {loans} loan")

    # 4. A snapshot is yours: nobody sees what you write to it, until you commit it.
    mine = cast("Library", app.snapshot(library))
    mine.books.append(Book(title="Ulysses"))
    before = len(cast("Library", app.snapshot(library)).books)
    app.commit_edits(mine)
    lines.append(f"{before} books before the commit, {len(mine.books)} after it")

    # 5. Every version stays readable, and shares with the others what is the same in both.
    for version in range(1, app.head(library) + 1):
        shown = cast("Library", app.snapshot(library, version))
        readers = {each.title: each.reader for each in shown.books}
        lines.append(f"version {version}: {readers}")
    first = cast("Library", app.snapshot(library, 1))
    same = [a.ecs_id == b.ecs_id for a, b in zip(first.books, mine.books, strict=False)]
    lines.append(f"books with the id that they began with: {same}")
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
