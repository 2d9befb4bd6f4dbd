"""The columns of a table with one row per unit and period, checked and made into the arrays of a `Panel`.

Shapes are (rows,) in, and (units,), (periods,) or (units, periods) out; ``where`` names the table in messages. Every
function raises DidError for what it refuses, with the unit and period.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from did.errors import DidError, listed, one_of
from did.estimators.labels import is_missing, is_never, label, same_number, two_ways

PERIODS_PER_YEAR = {"M": 12, "Q": 4, "Y": 1}


def single_frequency(column: pd.Series, where: str) -> str:
    """Return the one frequency of the rows: M, Q or Y. DidError for several or another."""
    found = column.unique()
    if len(found) != 1:
        raise DidError(f"{where}: column 'frequency': expected one frequency; found {listed(found)}; "
                       "estimate each by itself")
    one_of(f"{where}: column 'frequency'", str(found[0]), PERIODS_PER_YEAR)
    return str(found[0])


def factorized(column: pd.Series, name: str, where: str) -> tuple[np.ndarray, pd.Index]:
    """Return (rows,) codes into the sorted labels of a column, and these labels. DidError for an empty cell."""
    if column.isna().any():
        raise DidError(f"{where}: column '{name}', row {int(np.flatnonzero(column.isna())[0]) + 1}: expected "
                       "a label; found none; give every row one")
    codes, found = pd.factorize(column, sort=True)
    words = _labels(found, f"{where}: column '{name}'")
    return codes, pd.Index(words, dtype="str")


def _labels(values: pd.Index, at: str) -> list[str]:
    """Return distinct values as `did.estimators.labels`; DidError, beginning with ``at``, at a number written in two
    ways, and at a text that says there is none."""
    twice = same_number(values)
    if twice is not None:
        raise DidError(f"{at}: {two_ways(values, twice, 'a label')}")
    empty = next((value for value in values if is_missing(value)), None)
    if empty is not None:
        raise DidError(f"{at}: expected a label; found '{empty}'; give every row one")
    return [label(value) for value in values]


def cohort_labels(column: pd.Series) -> pd.Series:
    """Return cohorts as `did.estimators.labels`, missing where they say never treated."""
    codes, values = pd.factorize(column)
    words = np.array([*(None if is_never(value) else label(value) for value in values), None], dtype=object)
    return pd.Series(words[codes], name=column.name)


def clusters(column: pd.Series, unit_code: np.ndarray, units: pd.Index, where: str) -> np.ndarray:
    """Return the cluster label of each unit."""
    codes, values = pd.factorize(column)
    words = np.array([*_labels(values, f"{where}: column '{column.name}'"), None], dtype=object)
    found = constant_within(pd.Series(words[codes], name=column.name), unit_code, units, where)
    if found.isna().any():
        raise DidError(f"{where}: column '{column.name}', unit {units[found.isna().to_numpy()][0]}: expected a cluster "
                       "label; found none; give every unit one")
    return found.to_numpy()


def _ordinal(text: str, frequency: str, what: str) -> int:
    """Return the position of an ISO period on the calendar of its frequency (months since 1970, ...)."""
    try:
        period = pd.Period(text, freq=frequency)
    except (ValueError, TypeError):
        period = None
    if period is None or str(period) != str(text):
        example = {"M": "2017-06", "Q": "2017Q2", "Y": "2017"}[frequency]
        raise DidError(f"{what}: expected a period of frequency {frequency} such as '{example}'; found "
                       f"'{text}'; write it that way")
    return period.ordinal


def consecutive_periods(column: pd.Series, frequency: str, where: str) -> tuple[int, np.ndarray, pd.Index]:
    """Return the first period's place on the calendar, (rows,) codes, and ISO texts. DidError for a gap."""
    codes, labels = factorized(column, "period", where)
    ordinals = np.array([_ordinal(text, frequency, f"{where}: column 'period'") for text in labels])
    order = np.argsort(ordinals)
    gaps = np.flatnonzero(np.diff(ordinals[order]) != 1)
    if len(gaps):
        before, after = labels[order][gaps[0]], labels[order][gaps[0] + 1]
        missing = pd.Period(before, freq=frequency) + 1
        raise DidError(f"{where}: column 'period': expected consecutive periods; found a gap between "
                       f"{before} and {after}; add {missing} (with missing outcomes if none was published)")
    rank = np.empty(len(order), dtype=int)
    rank[order] = np.arange(len(order))
    return int(ordinals.min()), rank[codes], pd.Index(labels[order])


def refuse_duplicates(unit_code: np.ndarray, period_code: np.ndarray, units: pd.Index, periods: pd.Index, where: str
                      ) -> None:
    """Raise DidError, naming the first, if a unit has two rows in one period."""
    cell = unit_code * len(periods) + period_code
    if np.bincount(cell).max() > 1:
        twice = int(pd.Series(cell)[pd.Series(cell).duplicated()].iloc[0])
        raise DidError(f"{where}: unit {units[twice // len(periods)]}, period "
                       f"{periods[twice % len(periods)]}: expected one row; found more than one; remove the "
                       "duplicate")


def constant_within(column: pd.Series, unit_code: np.ndarray, units: pd.Index, where: str) -> pd.Series:
    """Return a column's one value per unit (missing counts as a value); DidError if it varies in a unit."""
    codes, labels = pd.factorize(column)
    first = np.full(len(units), -2)
    first[unit_code[::-1]] = codes[::-1]
    differs = codes != first[unit_code]
    if differs.any():
        row = int(np.flatnonzero(differs)[0])
        unit = units[unit_code[row]]
        values = listed(column[unit_code == unit_code[row]].drop_duplicates())
        raise DidError(f"{where}: column '{column.name}', unit {unit}: expected the same value in every "
                       f"period; found {values}; give the unit one value")
    return pd.Series(labels).reindex(first).set_axis(units)


def first_treated(
    cohort: pd.Series, units: pd.Index, first_period: int, periods: pd.Index, frequency: str, later_cohorts: str,
    where: str
) -> np.ndarray:
    """Return (units,) places of the first treated period; the number of periods for never. DidError otherwise."""
    treated_from = np.full(len(units), len(periods))
    for text in cohort.dropna().unique():
        members = (cohort == text).fillna(False).to_numpy(dtype=bool)
        what = f"{where}: column 'cohort', unit {units[members][0]}"
        position = _ordinal(text, frequency, what) - first_period
        if position >= len(periods) and later_cohorts == "never_treated_in_window":
            continue
        if not 0 <= position < len(periods):
            raise DidError(f"{what}: expected a first treated period in {periods[0]} to {periods[-1]}, or "
                           f"empty if never treated in the window; found {text}; fix the cohort or the "
                           "window")
        treated_from[members] = position
    return treated_from


def refuse_undefined_design(treated_from: np.ndarray, units: pd.Index, periods: pd.Index, where: str) -> None:
    """Raise DidError unless some unit is treated within the periods and something can be compared."""
    treated = treated_from < len(periods)
    if not treated.any():
        raise DidError(f"{where}: column 'cohort': expected at least one treated unit; found none among "
                       f"{len(units)} units; check the waves and the sample")
    if len(np.unique(treated_from)) == 1:
        raise DidError(f"{where}: column 'cohort': expected control units (never treated, or treated later); "
                       f"found all {len(units)} units first treated in {periods[treated_from[0]]}; add "
                       "controls")
    if not (treated_from[treated] > 0).any():
        raise DidError(f"{where}: column 'cohort': expected a period before treatment; found every treated "
                       f"unit (such as {units[treated][0]}) treated from the first period, {periods[0]}; "
                       "add earlier periods")


def numbers(column: pd.Series, rows: pd.DataFrame, where: str) -> np.ndarray:
    """Return a column as (rows,) floats, NaN where missing. DidError, naming unit and period, for a text."""
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = np.isinf(numbers) | (np.isnan(numbers) & column.notna().to_numpy())
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DidError(f"{where}: column '{column.name}', unit {rows['unit'].iloc[row]}, period "
                       f"{rows['period'].iloc[row]}: expected a finite number or nothing; found "
                       f"'{column.iloc[row]}'; fix the cell")
    return numbers


def doses(rows: pd.DataFrame, column: str, unit_code: np.ndarray, units: pd.Index, never: np.ndarray, where: str
          ) -> np.ndarray:
    """Return (units,) doses, 0 for those never treated. DidError for one that varies, is missing or not positive."""
    numbers(rows[column], rows, where)
    values = constant_within(rows[column], unit_code, units, where)
    dose = np.where(never, 0.0, pd.to_numeric(values).to_numpy(dtype=float, na_value=np.nan))
    wrong = ~never & ~(dose > 0)
    if wrong.any():
        raise DidError(f"{where}: column '{column}', unit {units[wrong][0]}: expected a positive {column} "
                       f"for a treated unit; found {dose[wrong][0]}; give its {column} or use the binary "
                       "treatment")
    return dose


def weights(weight: np.ndarray, outcome: np.ndarray, units: pd.Index, periods: pd.Index, where: str
            ) -> np.ndarray:
    """Return (units, periods) weights, 0 or more. DidError, naming unit and period, for one missing or below 0."""
    wrong = np.isfinite(outcome) & ~(weight >= 0)
    if wrong.any():
        unit, period = np.argwhere(wrong)[0]
        raise DidError(f"{where}: weight of unit {units[unit]}, period {periods[period]}: expected a number "
                       f"of 0 or more; found {weight[unit, period]}; fix the weight")
    return np.where(np.isfinite(weight), weight, 0.0)
