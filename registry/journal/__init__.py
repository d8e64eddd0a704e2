"""The journal: an append-only record of everything that was committed, and its backends."""
