"""Checks of the assumptions behind an estimate: pre-trends, placebo, sensitivity, power, decomposition."""
