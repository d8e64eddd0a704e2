"""The engine against a naive model: random histories, and one test per invariant."""
