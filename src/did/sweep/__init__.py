"""Hundreds to thousands of indicators through the same estimators: one list, one table of results."""
