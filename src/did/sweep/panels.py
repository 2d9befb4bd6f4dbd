"""One indicator's rows and the waves, made into a `Panel`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from did.errors import DidError, listed
from did.estimators.base import Panel, refuse_cross_sections
from did.estimators.labels import same_number
from did.readers.csv_table import Table
from did.readers.panel_columns import Columns
from did.readers.panel_file import _refuse_twice, _units, notes_on
from did.readers.panel_periods import (
    FINANCIAL,
    dates_as_periods,
    internal_frequency,
    period_labels,
    periods_of,
    refuse_gap,
)
from did.sweep.listing import Entry
from did.sweep.rows import as_text, subset, values
from did.sweep.treatment import Waves
from did.words import plural


def panel_of(table: Table, entry: Entry, waves: Waves, frequency: str = "auto") -> tuple[Panel, list[str]]:
    """Return the panel of one indicator, and what to note about it.

    ``table`` has its rows, with the columns of ``entry``. Units that the waves table does not know are left out and
    noted. The outcome is the value, or numerator / denominator x per, not observed where the denominator is missing or
    0. Units, periods and numbers are read as by `did.readers.panel_file.load`. The panel is that of `Panel.from_frame`;
    treatment and clusters are those of `Waves.assigned`, shared between indicators with the same units and periods.

    Raises DidError naming file, row and column: no unit of the waves table; an empty unit or period; a period that is
    none, is of another kind than the first, or comes after a gap; a unit-period twice; a number that is not one; a
    negative denominator; no number at all; no unit with two; and as `Waves.assigned`.
    """
    table = dates_as_periods(as_text(table, [entry.unit, entry.period]), entry.period, None)
    unit, units = _units(table, entry.unit)
    known = waves.known(units)
    notes = []
    if not known.any():
        raise DidError(f"{table.file}, column '{entry.unit}': expected units of {waves.path}; found none of them among "
                       f"{plural(len(units), 'unit')}, such as {units[0]}; use the same codes in both")
    if not known.all():
        left_out = units[~known]
        _refuse_written_otherwise(table, entry.unit, left_out, waves)
        notes.append(f"{plural(len(left_out), 'unit')} not in the waves table, left out: {listed(left_out)}")
        rows = known[unit]
        table, unit, units = subset(table, rows), (np.cumsum(known) - 1)[unit[rows]], units[known]
    kind, ordinal = periods_of(table, entry.period, frequency)
    notes += [FINANCIAL] if kind == "FY" else []
    refuse_gap(table, entry.period, kind, ordinal)
    _refuse_twice(table, Columns("", entry.unit, entry.period, ""), unit, units, ordinal, kind)
    first, last = int(ordinal.min()), int(ordinal.max())
    outcome, more = _outcome(table, entry)
    n_periods = last - first + 1
    notes += more + notes_on(table, entry.value or entry.numerator, outcome, n_periods * len(units))
    given = waves.assigned(units, kind, first, last)
    filled = np.full((len(units), n_periods), np.nan)
    filled[unit, ordinal - first] = outcome
    refuse_cross_sections(filled, f"{table.file}, column '{entry.unit}'")
    panel = Panel(filled, units, period_labels(kind, first, last), internal_frequency(kind, frequency),
                  given.treated_from, given.dose, waves.treatment, given.clusters)
    return panel, [*notes, *given.notes]


def pre_period_spread(panel: Panel) -> float:
    """Return the standard deviation of the outcome over units and periods before anyone is treated, in its own unit.

    Units treated from the first period are left out. NaN with fewer than two such cells.
    """
    onset = int(panel.treated_from[panel.treated_from > 0].min())
    before = panel.outcome[~panel.always_treated, :onset]
    before = before[np.isfinite(before)]
    return float(before.std(ddof=1)) if len(before) > 1 else np.nan


def _refuse_written_otherwise(table: Table, column: str, left_out: pd.Index, waves: Waves) -> None:
    """Raise DidError for a unit that would be left out though the waves have its number, such as 7 for 07."""
    known = list(waves.wave)
    pair = same_number([*known, *left_out])
    if pair is not None:
        found = left_out[pair[0] - len(known)]
        raise DidError(f"{table.file}, column '{column}': expected unit '{known[pair[1]]}' as {waves.path} has it; "
                       f"found '{found}'; use the same codes in both")


def _outcome(table: Table, entry: Entry) -> tuple[np.ndarray, list[str]]:
    """Return the outcome of every row, and what to note about it."""
    if entry.value is not None:
        return values(table, entry.value), []
    above, below = values(table, entry.numerator), values(table, entry.denominator)
    negative = np.flatnonzero(below < 0)
    if len(negative):
        row = int(negative[0])
        raise DidError(f"{table.cell(row, entry.denominator)}: expected a denominator of 0 or more; found "
                       f"{below[row]:g}; fix the cell")
    empty = np.isfinite(above) & ~(below > 0)
    note = [f"{plural(int(empty.sum()), 'row')} with a numerator and a denominator of 0 or none, taken as not observed"]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below * entry.per, np.nan), note if empty.any() else []
