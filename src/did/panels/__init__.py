"""Observations turned into panels, one for each specification."""
