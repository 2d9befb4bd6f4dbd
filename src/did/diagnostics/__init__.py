"""Checks of the assumptions behind the estimates; each that cannot be done is reported as skipped."""
