"""Suites that every backend of a port must pass."""
