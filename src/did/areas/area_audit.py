"""What became of every area: the rows that all geographies give, and the words for codes that none of them has."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from did.errors import listed

OR_LEAVE_OUT = "if it is a total or no area of the panel, list it under 'leave_out' in the indicator's file"


def more_codes(codes: Iterable[str]) -> str:
    """How many different codes of a kind there are, and the first of them; nothing for one."""
    codes = list(dict.fromkeys(codes))
    return f" ({len(codes)} such codes: {listed(codes, 12)})" if len(codes) > 1 else ""


def area_audit_of(placed: pd.DataFrame) -> pd.DataFrame:
    """One row for each area of figures that have been placed in units: its unit, periods, total and reason."""
    code, areas = pd.factorize(placed["area_code"], sort=True)
    period, periods = pd.factorize(placed["period"])
    seen = np.zeros((len(areas), len(periods)), dtype=bool)
    seen[code, period] = True
    value = placed["value"].to_numpy(dtype=float)

    def one_of_each(column: str, order: int) -> pd.api.extensions.ExtensionArray | np.ndarray:
        """The first (order -1) or the last (order 1) value of each area that is there, if one is."""
        values = placed[column].array
        there = np.flatnonzero(placed[column].notna())[::order]
        place = np.full(len(areas), -1)
        place[code[there]] = there
        return pd.api.extensions.take(values, place, allow_fill=True)

    return pd.DataFrame({
        "area_code": areas, "area_name": one_of_each("area_name", 1), "unit": one_of_each("unit", -1),
        "n_periods": seen.sum(axis=1), "total": np.bincount(code, np.where(np.isnan(value), 0.0, value), len(areas)),
        "reason": one_of_each("reason", 1), "fate": "kept"})


def summed(placed: pd.DataFrame) -> pd.DataFrame:
    """Figures that have been placed in units, summed: unit, period, value, in their order; a missing figure makes its
    unit's missing."""
    unit, units = pd.factorize(placed["unit"], sort=True)
    period, periods = pd.factorize(placed["period"], sort=True)
    cell = unit * len(periods) + period
    size = len(units) * len(periods)
    value = np.bincount(cell, placed["value"].to_numpy(dtype=float), size)
    there = np.flatnonzero(np.bincount(cell, minlength=size))
    return pd.DataFrame({"unit": units[there // len(periods)], "period": periods[there % len(periods)],
                         "value": value[there]})
