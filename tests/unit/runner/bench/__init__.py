"""Tests of the bench: what it shows and keeps, and its baselines. None asserts a time."""
