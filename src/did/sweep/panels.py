"""One indicator's rows and the waves, made into a `Panel`."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from did.csv_table import Table
from did.errors import DidError, listed
from did.estimators.base import Panel
from did.outputs.text import plural
from did.panel_csv import (
    Columns,
    _outcome_notes,
    _periods,
    _refuse_gap,
    _refuse_twice,
    _units,
    written,
)
from did.sweep.listing import Entry
from did.sweep.rows import subset, values
from did.sweep.treatment import Waves

FINANCIAL_YEAR = re.compile(r"(\d{4})/(\d{2})")


def panel_of(table: Table, entry: Entry, waves: Waves, frequency: str = "auto") -> tuple[Panel, list[str]]:
    """Return the panel of one indicator, and what to note about it.

    ``table`` has its rows, with the columns of ``entry``. Units that the waves table does not know are left out and
    noted. The outcome is the value, or numerator / denominator x per, not observed where the denominator is missing or
    0. Periods are read as by `did.panel_csv.load`; financial years (2017/18) are taken as the year they begin in. The
    panel is the one that `Panel.from_frame` would give; treatment and clusters are those of `Waves.assigned`, shared
    between indicators with the same units and periods.

    Raises DidError naming file, row and column: no unit of the waves table; an empty unit or period; a period that is
    none, is of another kind than the first, or comes after a gap; a unit-period twice; a number that is none; a
    negative denominator; no number at all; and as `Waves.assigned`.
    """
    unit, units = _units(table, entry.unit)
    known = waves.known(units)
    notes = []
    if not known.any():
        raise DidError(f"{table.file}, column '{entry.unit}': expected units of {waves.path}; found none of them among "
                       f"{plural(len(units), 'unit')}, such as {units[0]}; use the same codes in both")
    if not known.all():
        left_out = units[~known]
        notes.append(f"{plural(len(left_out), 'unit')} not in the waves table, left out: {listed(left_out)}")
        rows = known[unit]
        table, unit, units = subset(table, rows), (np.cumsum(known) - 1)[unit[rows]], units[known]
    table, financial = _years(table, entry.period)
    notes += ["financial years are named by the year they begin in"] if financial else []
    kind, ordinal = _periods(table, entry.period, frequency)
    _refuse_gap(table, entry.period, kind, ordinal)
    _refuse_twice(table, Columns("", entry.unit, entry.period, ""), unit, units, ordinal, kind)
    first, last = int(ordinal.min()), int(ordinal.max())
    outcome, more = _outcome(table, entry)
    n_periods = last - first + 1
    notes += more + _outcome_notes(Table(table.file, table.text, table.lines), entry.value or entry.numerator, outcome,
                                   n_periods * len(units))
    given = waves.assigned(units, kind, first, last, financial=financial)
    filled = np.full((len(units), n_periods), np.nan)
    filled[unit, ordinal - first] = outcome
    internal = kind if kind != "number" else "Y" if frequency == "auto" else frequency
    periods = pd.Index([written(place, kind) for place in range(first, last + 1)], dtype="str")
    panel = Panel(filled, units, periods, internal, given.treated_from, given.dose, waves.treatment, given.clusters)
    return panel, [*notes, *given.notes]


def pre_period_spread(panel: Panel) -> float:
    """Return the standard deviation of the outcome over units and periods before anyone is treated, in its own unit.

    Units treated from the first period are left out. NaN with fewer than two such cells.
    """
    onset = int(panel.treated_from[panel.treated_from > 0].min())
    before = panel.outcome[~panel.always_treated, :onset]
    before = before[np.isfinite(before)]
    return float(before.std(ddof=1)) if len(before) > 1 else np.nan


def _years(table: Table, column: str) -> tuple[Table, bool]:
    """Return the table with financial years as the year they begin in, and whether its periods are such years."""
    codes, words = pd.factorize(table.text[column])
    parts = [FINANCIAL_YEAR.fullmatch(str(word)) for word in words]
    if not all(part and (int(part[1]) + 1) % 100 == int(part[2]) for part in parts):
        return table, False
    years = np.array([part[1] for part in parts], dtype=object)[codes]
    return Table(table.file, table.text | {column: years}, table.lines), True


def _outcome(table: Table, entry: Entry) -> tuple[np.ndarray, list[str]]:
    """Return the outcome of every row, and what to note about it."""
    if entry.value is not None:
        return values(table, entry.value), []
    above, below = values(table, entry.numerator), values(table, entry.denominator)
    negative = np.flatnonzero(below < 0)
    if len(negative):
        row = int(negative[0])
        raise DidError(f"{table.cell(row, entry.denominator)}: expected a denominator of 0 or more; found "
                       f"{below[row]:g}; mend the cell")
    empty = np.isfinite(above) & ~(below > 0)
    note = [f"{plural(int(empty.sum()), 'row')} with a numerator and a denominator of 0 or none, taken as not observed"]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below * entry.per, np.nan), note if empty.any() else []
