"""Runnable examples: what a user of Treerunner writes."""
