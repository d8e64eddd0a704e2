"""The examples and the README run, and do what they say."""
