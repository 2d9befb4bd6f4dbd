"""What became of every area: the rows that all geographies give, and the words for codes that none of them has."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from did.errors import listed

OR_LEAVE_OUT = "if it is a total or no area of the panel, list it under 'leave_out' in the indicator's file"


def more_codes(codes: Iterable[str]) -> str:
    """How many different codes of a kind there are, and the first of them; nothing for one."""
    codes = list(dict.fromkeys(codes))
    return f" ({len(codes)} such codes: {listed(codes, 12)})" if len(codes) > 1 else ""


def area_audit_of(placed: pd.DataFrame) -> pd.DataFrame:
    """One row for each area of figures that have been placed in units: its unit, periods, total and reason."""
    rows = (placed.groupby("area_code", as_index=False)
               .agg(area_name=("area_name", "last"), unit=("unit", "first"), n_periods=("period", "nunique"),
                    total=("value", "sum"), reason=("reason", "last")))
    return rows.assign(fate="kept")
