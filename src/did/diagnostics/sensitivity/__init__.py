"""Sensitivity of event-study effects to trends that are not parallel (Rambachan and Roth 2023)."""

from did.diagnostics.sensitivity.table import COLUMNS, sensitivity_rows

__all__ = ["COLUMNS", "sensitivity_rows"]
