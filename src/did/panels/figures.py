"""Counts of an indicator's sources: rows of its measures, summed over areas to units in the periods of a window."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd

from did.areas import geography
from did.errors import DidError, listed
from did.project.indicator import Counts

COLUMNS = ["source", "measure", "area_code", "area_name", "area_type", "period", "value", "file"]


class Figures:
    """Rows of counts in all periods, of which every window takes its own: what does not depend on it is found once."""

    def __init__(self, counts: Counts, observations, where: str) -> None:
        """``observations``: source -> its observations table. Raises DidError for a measure that is not there."""
        self._counts = counts
        parts = [rows_of(observations[source], measure, f"{where}, source {source}")[COLUMNS]
                 for source in counts.sources for measure in counts.measures]
        self._rows = pd.concat(parts, ignore_index=True)
        self._code, self._periods = pd.factorize(self._rows["period"])
        self._twice = self._rows.duplicated(["area_code", "period", "measure"]).to_numpy()
        self._aside = self._rows["area_type"].isin(geography.ASIDE).to_numpy()
        self._made: list[tuple] = []

    def by_unit(self, areas, periods: pd.Index, where: str
                ) -> tuple[pd.Index, np.ndarray, Callable[[], pd.DataFrame], pd.DataFrame]:
        """Return the units, their (units, periods) counts, what makes the area audit, and rows alongside areas
        (England, elsewhere).

        Raises DidError for a period without figures, a figure in two sources or below 0, areas that do not add up to
        England, a unit without figures in some period, and whatever the areas refuse.
        """
        for of, wider, (units, values, _, alongside) in self._made:
            if of is areas and periods.isin(wider).all():   # what holds of a window holds of each within it
                return (units, values.take(wider.get_indexer(periods), axis=1),
                        cache(lambda: self._by_unit(areas, periods, where)[2]()),
                        alongside.loc[alongside["period"].isin(periods)])
        self._made.append((areas, periods, self._by_unit(areas, periods, where)))
        return self._made[-1][2]

    def _by_unit(self, areas, periods: pd.Index, where: str
                 ) -> tuple[pd.Index, np.ndarray, Callable[[], pd.DataFrame], pd.DataFrame]:
        refuse_absent(self._periods, periods, where)
        within = self._periods.isin(periods)[self._code]
        rows, aside = self._rows.loc[within], self._aside[within]
        twice = self._twice[within]
        if twice.any():
            row = rows.loc[twice].iloc[0]
            raise DidError(f"{where}: {row.area_code} ({row.area_name}) in {row.period} is in more than one source "
                           f"({', '.join(self._counts.sources)}); they must not overlap in time")
        _refuse_negative(rows, where)
        inside, alongside = (_added_up(rows.loc[part], len(self._counts.measures)) for part in (~aside, aside))
        summed, area_audit = areas.counts(inside, where)
        gaps = _reconcile(inside, alongside, where)
        alongside = alongside.assign(not_compared=alongside["period"].isin(gaps) & alongside["area_type"].eq("country"))
        units, (values,) = matrices(summed, ["value"], periods, where)
        return units, values, cache(area_audit), alongside


def rows_of(source: pd.DataFrame, measure: str, where: str) -> pd.DataFrame:
    """Observations of one measure; DidError if there is no such measure."""
    rows = source.loc[source["measure"] == measure]
    if rows.empty:
        found = listed(sorted(source["measure"].unique()), 40)
        raise DidError(f"{where}: expected the measure '{measure}'; found {found}")
    return rows


def refuse_absent(found: pd.Index, periods: pd.Index, where: str) -> None:
    """Raise DidError unless every wanted period is among those ``found``."""
    missing = sorted(set(periods) - set(found))
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DidError(f"{where}: expected figures for every period {min(periods)} to {max(periods)}; none for "
                       f"{missing[0]}{more}; add the file to its source or choose another window")


def _added_up(rows: pd.DataFrame, n_measures: int) -> pd.DataFrame:
    if n_measures == 1:
        return rows
    groups = rows.groupby(["area_code", "period", "area_type"])
    return pd.concat([groups["area_name"].last(), groups["value"].sum(skipna=False)], axis=1).reset_index()


def _refuse_negative(rows: pd.DataFrame, where: str) -> None:
    negative = rows.loc[rows["value"] < 0]
    if len(negative):
        row = negative.iloc[0]
        raise DidError(f"{where}, source {row.source}, file {row.file}: expected {row.measure} of at least 0, because "
                       f"it is a count; found {row.value:g} for {row.area_code} ({row.area_name}) in {row.period}; "
                       "correct it, or list it under the source's option 'suppressed' or 'missing' if it is a mark")


def _reconcile(inside: pd.DataFrame, alongside: pd.DataFrame, where: str) -> list[str]:
    """Areas must add up to the England row less residents of elsewhere, in periods that have one; return the periods in
    which a figure is missing, so that nothing can be compared."""
    england = alongside.loc[alongside["area_type"] == "country"].set_index("period")["value"]
    if england.empty:
        return []
    total = inside.groupby("period")["value"].sum()
    elsewhere = alongside.loc[alongside["area_type"] == "outside_england"].groupby("period")["value"].sum(skipna=False)
    expected = england.sub(elsewhere, fill_value=0).loc[england.index]
    gaps = set(inside.loc[inside["value"].isna(), "period"]) | set(expected.index[expected.isna()])
    wrong = [period for period in expected.index if period not in gaps
             and abs(total.get(period, float("nan")) - expected[period]) > 0.5]
    if wrong:
        first = wrong[0]
        raise DidError(f"{where}: areas in {first} must add up to the England row less residents of elsewhere, "
                       f"{expected[first]:.0f}; found {total.get(first):.0f}; correct the figures, or leave the "
                       "England row out (its code under key 'leave_out' of the indicator) if it covers more")
    return sorted(gaps & set(expected.index))


def matrices(frame: pd.DataFrame, columns: list[str], periods: pd.Index, where: str
             ) -> tuple[pd.Index, list[np.ndarray]]:
    """Return the units of ``frame`` (unit, period, columns; a row per unit and period), sorted, and each column by unit
    and period.

    Raises DidError for a unit without a row in one of the ``periods``.
    """
    unit, units = pd.factorize(frame["unit"], sort=True)
    period = periods.get_indexer(frame["period"])
    there = np.zeros((len(units), len(periods)), dtype=bool)
    there[unit, period] = True
    short = np.flatnonzero(~there.all(axis=1))
    if len(short):
        raise DidError(f"{where}: unit {units[short[0]]} has no figure in {periods[~there[short[0]]][0]}; expected "
                       f"every period {min(periods)} to {max(periods)} ({len(short)} units are not complete); add the "
                       "row, with a mark of missing where there is no figure, or choose another window")
    filled = []
    for column in columns:
        values = frame[column].to_numpy()
        filled.append(np.empty(there.shape, dtype=values.dtype))
        filled[-1][unit, period] = values
    return units, filled
