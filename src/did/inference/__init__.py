"""Errors, intervals and tests for few clusters, over many outcomes, and how often each errs on the panel at hand."""
