"""Errors, intervals and tests: clustered, by multiplier and wild bootstrap, by reassignment, and over many outcomes."""
