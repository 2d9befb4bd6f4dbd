"""The columns of a table with one row per unit and period, checked and made into the arrays of a `Panel`.

Shapes are (rows,) in, and (units,), (periods,) or (units, periods) out; ``where`` names the table in messages. Every
function raises DidError for what it refuses, with the unit and period.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from did.errors import DidError, listed, one_of
from did.estimators.labels import MISSING, is_missing, is_never, label, same_number, two_ways

PERIODS_PER_YEAR = {"M": 12, "Q": 4, "Y": 1}
# How the periods of a frequency are written.
WRITTEN = {frequency: re.compile(rf"([1-9]\d{{3}}){rest}", re.ASCII)
           for frequency, rest in {"M": "-(0[1-9]|1[0-2])", "Q": "Q([1-4])", "Y": "()"}.items()}
# Texts that are labels as they are, a line each.
PLAIN = re.compile(r"([A-Za-z][\w-]*\n)*", re.ASCII)
# Of the first rows, by which it is seen whether equal texts follow each other.
FIRST_ROWS = 1000


def coded(column: pd.Series) -> tuple[np.ndarray, pd.Index]:
    """Return what `pandas.factorize` does: (rows,) codes, -1 where missing, and distinct values in their order.

    Of texts of Arrow's that come in runs, as labels of units do, one is looked at for each run.
    """
    if getattr(column.dtype, "storage", "") != "pyarrow" or not len(column):
        return pd.factorize(column)
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pa.array(column)
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    first = texts[:FIRST_ROWS]
    if 4 * len(pc.run_end_encode(first).values) > len(first):
        return pd.factorize(column)
    runs = pc.run_end_encode(texts)
    codes, values = pd.factorize(pd.Series(pd.array(runs.values, dtype=column.dtype)))
    return np.repeat(codes, np.diff(runs.run_ends.to_numpy(), prepend=0)), values


def single_frequency(column: pd.Series, where: str) -> str:
    """Return the one frequency of the rows: M, Q or Y. DidError for several or another."""
    codes, found = coded(column)
    if len(found) != 1 or (codes < 0).any():
        raise DidError(f"{where}: column 'frequency': expected one frequency; found {listed(column.unique())}; "
                       "estimate each by itself")
    one_of(f"{where}: column 'frequency'", str(found[0]), PERIODS_PER_YEAR)
    return str(found[0])


def factorized(column: pd.Series, name: str, where: str) -> tuple[np.ndarray, list[str]]:
    """Return (rows,) codes into the sorted labels of a column, and these labels. DidError for an empty cell."""
    codes, values = coded(column)
    if (codes < 0).any():
        raise DidError(f"{where}: column '{name}', row {int(np.flatnonzero(codes < 0)[0]) + 1}: expected "
                       "a label; found none; give every row one")
    rank, values = pd.factorize(values, sort=True)
    return rank[codes], _labels(values, f"{where}: column '{name}'")


def _labels(found: pd.Index, at: str) -> list[str]:
    """Return distinct values as `did.estimators.labels`; DidError, beginning with ``at``, at a number written in two
    ways, and at a text that says there is none."""
    values = found.tolist()
    if all(isinstance(value, str) for value in values) and PLAIN.fullmatch("\n".join([*values, ""])) and (
            MISSING.isdisjoint(map(str.lower, values))):
        return values
    twice = same_number(values)
    if twice is not None:
        raise DidError(f"{at}: {two_ways(values, twice, 'a label')}")
    empty = next((value for value in values if is_missing(value)), None)
    if empty is not None:
        raise DidError(f"{at}: expected a label; found '{empty}'; give every row one")
    return [label(value) for value in values]


def cohorts(column: pd.Series, unit_code: np.ndarray, units: pd.Index, where: str) -> tuple[np.ndarray, list[str]]:
    """Return (units,) codes into the labels of cohorts, -1 for the never treated, and these labels; DidError if a
    unit's rows differ."""
    codes, values = coded(column)
    found = [None if is_never(value) else label(value) for value in values.tolist()]
    words = list(dict.fromkeys(word for word in found if word is not None))
    number = np.array([*(-1 if word is None else words.index(word) for word in found), -1])
    return _one_per_unit(number[codes], words, str(column.name), unit_code, units, where), words


def clusters(column: pd.Series, unit_code: np.ndarray, units: pd.Index, where: str) -> np.ndarray:
    """Return the cluster label of each unit."""
    codes, values = coded(column)
    words = _labels(values, f"{where}: column '{column.name}'")
    # Values that are one label, such as 12 and "12", are one.
    names = list(dict.fromkeys(words))
    place = {word: number for number, word in enumerate(names)}
    number = np.array([*(place[word] for word in words), -1])
    found = _one_per_unit(number[codes], names, str(column.name), unit_code, units, where)
    if (found < 0).any():
        raise DidError(f"{where}: column '{column.name}', unit {units[found < 0][0]}: expected a cluster "
                       "label; found none; give every unit one")
    return np.array(names, dtype=object)[found]


def _one_per_unit(codes: np.ndarray, words: list[str], name: str, unit_code: np.ndarray, units: pd.Index, where: str
                  ) -> np.ndarray:
    """Return (units,) the one code of each unit's rows, -1 = missing; DidError, in ``words``, if they differ."""
    first = np.empty(len(units), dtype=codes.dtype)
    first[unit_code[::-1]] = codes[::-1]
    differs = codes != first[unit_code]
    if differs.any():
        unit = unit_code[int(np.flatnonzero(differs)[0])]
        found = dict.fromkeys(codes[unit_code == unit].tolist())
        values = listed("nan" if code < 0 else words[code] for code in found)
        raise DidError(f"{where}: column '{name}', unit {units[unit]}: expected the same value in every "
                       f"period; found {values}; give the unit one value")
    return first


def _ordinal(text: str, frequency: str, what: str) -> int:
    """Return the position of an ISO period on the calendar of its frequency (months since 1970, ...)."""
    plain = WRITTEN[frequency].fullmatch(text)
    if plain is not None:
        return (int(plain[1]) - 1970) * PERIODS_PER_YEAR[frequency] + int(plain[2] or 1) - 1
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
    codes, words = factorized(column, "period", where)
    labels = np.array(words, dtype=object)
    ordinals = np.array([_ordinal(text, frequency, f"{where}: column 'period'") for text in words])
    order = np.argsort(ordinals)
    gaps = np.flatnonzero(np.diff(ordinals[order]) != 1)
    if len(gaps):
        before, after = labels[order][gaps[0]], labels[order][gaps[0] + 1]
        missing = pd.Period(before, freq=frequency) + 1
        raise DidError(f"{where}: column 'period': expected consecutive periods; found a gap between "
                       f"{before} and {after}; add {missing} (with missing outcomes if none was published)")
    rank = np.empty(len(order), dtype=int)
    rank[order] = np.arange(len(order))
    return int(ordinals.min()), rank[codes], pd.Index(labels[order], dtype="str")


def cells(unit_code: np.ndarray, period_code: np.ndarray, units: pd.Index, periods: pd.Index, where: str
          ) -> np.ndarray:
    """Return (rows,) places in (units, periods) written out. DidError, naming the first, if a unit has two rows in one
    period."""
    cell = unit_code * len(periods) + period_code
    if not (cell[1:] > cell[:-1]).all() and np.bincount(cell).max() > 1:
        twice = int(pd.Series(cell)[pd.Series(cell).duplicated()].iloc[0])
        raise DidError(f"{where}: unit {units[twice // len(periods)]}, period "
                       f"{periods[twice % len(periods)]}: expected one row; found more than one; remove the "
                       "duplicate")
    return cell


def first_treated(
    cohort: np.ndarray, words: list[str], units: pd.Index, first_period: int, periods: pd.Index, frequency: str,
    later_cohorts: str, where: str
) -> np.ndarray:
    """Return (units,) places of the first treated period; the number of periods for never. DidError otherwise.

    (units,) ``cohort`` are codes of ``words``, -1 for never."""
    place = np.full(len(words) + 1, len(periods))
    for code in pd.unique(cohort[cohort >= 0]).tolist():
        what = f"{where}: column 'cohort', unit {units[int(np.argmax(cohort == code))]}"
        position = _ordinal(words[code], frequency, what) - first_period
        if position >= len(periods) and later_cohorts == "never_treated_in_window":
            continue
        if not 0 <= position < len(periods):
            raise DidError(f"{what}: expected a first treated period in {periods[0]} to {periods[-1]}, or "
                           f"empty if never treated in the window; found {words[code]}; fix the cohort or the "
                           "window")
        place[code] = position
    return place[cohort]


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
    codes, values = pd.factorize(rows[column])
    found = _one_per_unit(codes, values.tolist(), column, unit_code, units, where)
    each = np.append(pd.to_numeric(values).to_numpy(dtype=float, na_value=np.nan), np.nan)
    dose = np.where(never, 0.0, each[found])
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
