"""A process that appends to a journal beside others, for test_sqlite_kills.py.

Called with a path, a root and how many groups to append, each with one execution.
"""

from __future__ import annotations

import sys

from registry.journal.sqlite import SqliteJournal
from tests.contract.journals import group, part


def main(path: str, root: int, count: int) -> None:
    """Append to a root that nobody else writes; tell the number of each row."""
    journal = SqliteJournal(path, durability="commit", timeout_s=30)
    for version in range(1, count + 1):
        row = journal.append(group(part(root, version), effects=[(root, f"{version}", b"")]))
        sys.stdout.write(f"{row}\n")
    journal.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
