"""Anyone's panel file (one row per unit and period, CSV) turned into a `Panel`, each fault reported with its file and
row."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators.base import Panel
from did.readers.any_table import read_any
from did.readers.csv_table import Table, labels, numbers
from did.readers.large_panel import from_parquet
from did.readers.limits import beyond, limit
from did.readers.panel_cohorts import cohorts, first_rows, onsets, treated_from
from did.readers.panel_columns import Columns, level_name, outcome_notes
from did.readers.panel_periods import (
    FINANCIAL,
    dates_as_periods,
    internal_frequency,
    internal_labels,
    period_labels,
    periods_of,
    refuse_gap,
    written,
)

FREQUENCIES = ("auto", "M", "Q", "Y")


def load(path: str | Path, columns: Columns, *, frequency: str = "auto") -> tuple[Panel, list[str]]:
    """Return the Panel of a CSV file, and what was read in a way the user should know of, a sentence each.

    ``path`` holds a header and one row per unit and period, with commas, semicolons, tabs or bars between cells, a
    decimal point, UTF-8 with or without a byte-order mark, any line ends. Periods are years (2003), months
    (2017-06, 2017m6), quarters (2017Q2, 2017 Q2), financial years (2017/18, named by the year they begin in),
    all written in any way `did.readers.periods.read_period` reads but as days, or consecutive whole numbers;
    ``frequency`` ``M``, ``Q`` or ``Y`` says what whole numbers count (default years) and otherwise must agree with
    what is written. Units and clusters are `did.estimators.labels`. A cohort is the first
    treated period, the same in every row of a unit; 0, empty, NA, inf or never = never treated. A cohort after the
    last period is never treated in the window, one at or before the first always treated. An empty outcome (or NA,
    NaN, a full stop) and an absent row are both not observed. The panel's periods carry the file's own labels; its
    treatment is ``intensity`` if there is a dose column, and its cluster levels are ``unit`` and ``columns.clusters``.

    Raises DidError naming file, row and column: a file that is missing, empty or not text; a column that is absent
    (with the closest name) or comes twice; a row of another length; a label or period that is empty; a period or
    cohort that is none, or of another kind than the first; 201706; a gap in the periods; more units times periods
    than `did.readers.limits` allows; a unit-period twice; a
    number that is none, or has a thousands separator or decimal comma, or a dot that may be either; a unit or cluster
    that is a number written in two ways; a cohort, cluster or dose that varies within a
    unit; a cluster missing; a weight that is missing or negative; a dose of a treated unit that is not positive; no
    treated unit, no control, or no period before treatment.
    """
    one_of("--frequency", frequency, FREQUENCIES)
    columns.check()
    if (found := from_parquet(path, columns, frequency)) is not None:
        return found.panel, found.notes
    return of_table(*read_any(path, columns.named()), columns, frequency=frequency)


def of_table(table: Table, notes: Sequence[str], columns: Columns, *, frequency: str = "auto"
             ) -> tuple[Panel, list[str]]:
    """Return the Panel of a table with the columns, and ``notes`` with what else was read in a way to know of.

    Values, what is taken for missing, and errors as in `load`.
    """
    one_of("--frequency", frequency, FREQUENCIES)
    columns.check()
    table, notes = dates_as_periods(table, columns.period, columns.cohort), list(notes)
    unit, units = _units(table, columns.unit)
    kind, ordinal = periods_of(table, columns.period, frequency)
    notes += [FINANCIAL] if kind == "FY" else []
    internal = internal_frequency(kind, frequency)
    first, last = int(ordinal.min()), int(ordinal.max())
    refuse_gap(table, columns.period, kind, ordinal)
    _refuse_size(table, columns, len(units), last - first + 1)
    _refuse_twice(table, columns, unit, units, ordinal, kind)
    outcome = numbers(table, columns.outcome)
    if columns.cohort:
        cohort = cohorts(table, columns.cohort, kind, unit, units, first)
    else:
        cohort = onsets(table, columns.treatment, kind, unit, units, ordinal)
    position, outside = treated_from(table.file, columns.cohort or columns.treatment, cohort, kind, units,
                                     (first, last))
    notes += outside + notes_on(table, columns.outcome, outcome, (last - first + 1) * len(units))

    label = internal_labels(kind, internal, first, last)
    entry = [label[int(place)] if np.isfinite(place) else None for place in position]
    frame = pd.DataFrame({
        "unit": units[unit],
        "period": [label[place] for place in (ordinal - first).tolist()],
        "frequency": internal,
        "outcome": outcome,
        "cohort": pd.Series([entry[code] for code in unit.tolist()], dtype="str"),
    })
    # Columns carry what they are in their names, so that none can be taken for one of the five above.
    clusters = {f"cluster {name}": name for name in columns.clusters if name != columns.unit}
    covariates = {f"covariate {name}": name for name in columns.covariates}
    for heading, name in clusters.items():
        frame[heading] = _clusters(table, name, unit, units)
    for heading, name in covariates.items():
        frame[heading] = numbers(table, name)
    if columns.dose:
        frame["intensity"] = _doses(table, columns.dose, unit, units, np.isfinite(position))
    if columns.weight:
        frame["weight"] = _weights(table, columns.weight, outcome)
    panel = Panel.from_frame(
        frame, treatment="intensity" if columns.dose else "binary", cluster_columns=list(clusters),
        weight_column="weight" if columns.weight else None, covariate_columns=list(covariates), where=table.file)
    return dataclasses.replace(
        panel,
        periods=period_labels(kind, first, last),
        clusters={level_name(clusters.get(level)): labels for level, labels in panel.clusters.items()},
        covariates={covariates[heading]: values for heading, values in panel.covariates.items()},
    ), notes


def _units(table: Table, column: str) -> tuple[np.ndarray, pd.Index]:
    """Return each row's position in the sorted unit labels, and the labels."""
    codes, units = labels(table, column, "a unit")
    order = np.argsort(units)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[codes], pd.Index(units[order], dtype="str")


def _refuse_size(table: Table, columns: Columns, n_units: int, n_periods: int) -> None:
    """Raise DidError for a panel too large for memory: a small file can name many units and many periods."""
    if n_units * n_periods > limit("PANEL_CELLS"):
        raise beyond(f"{table.file}, columns '{columns.unit}' and '{columns.period}'", "PANEL_CELLS",
                     f"at most {limit('PANEL_CELLS'):,} units times periods", f"{n_units:,} units and {n_periods:,} "
                     "periods", "check that the two columns are the right ones")


def _refuse_twice(table: Table, columns: Columns, unit, units, ordinal, kind: str) -> None:
    cell = pd.Series(unit.astype(np.int64) * (int(ordinal.max()) - int(ordinal.min()) + 1) + ordinal)
    again = np.flatnonzero(cell.duplicated())
    if len(again):
        row = int(again[0])
        first = int(np.argmax((cell == cell[row]).to_numpy()))
        raise DidError(f"{table.file}, row {table.lines[row]}, columns '{columns.unit}' and '{columns.period}': "
                       f"expected each unit and period once; found unit {units[unit[row]]}, period "
                       f"{written(int(ordinal[row]), kind)} again, first in row {table.lines[first]}; "
                       "remove one of them")


# Other columns ------------------------------------------------------------------------------------------------


def notes_on(table: Table, column: str, outcome: np.ndarray, n_cells: int) -> list[str]:
    """Return what to say of missing outcomes (rows,), and of unit-periods, ``n_cells`` in all, without a row. Raises
    DidError if no row has a number."""
    gone = np.flatnonzero(np.isnan(outcome))
    if len(gone) == len(outcome):
        raise DidError(f"{table.cell(0, column)}: expected numbers; found no number in {len(outcome)} rows; name "
                       "another column")
    return outcome_notes(table.cell(int(gone[0]), column) if len(gone) else "", len(gone), len(outcome), n_cells)


def _clusters(table: Table, column: str, unit: np.ndarray, units: pd.Index) -> np.ndarray:
    codes, clusters = labels(table, column, "the label of a cluster")
    _refuse_varying(table, column, codes, unit, units)
    return clusters[codes]


def _refuse_varying(table: Table, column: str, value: np.ndarray, unit, units) -> None:
    """Raise DidError at the first row whose value differs from that of its unit's first row."""
    rows = first_rows(unit, len(units))
    differs = np.flatnonzero(value != value[rows][unit])
    if len(differs):
        row = int(differs[0])
        start = rows[unit[row]]
        raise DidError(f"{table.cell(row, column)}: expected the same in every row of unit {units[unit[row]]}, as in "
                       f"row {table.lines[start]}, '{table.text[column][start]}'; found "
                       f"'{table.text[column][row]}'; give the unit one value")


def _doses(table: Table, column: str, unit, units, treated: np.ndarray) -> np.ndarray:
    dose = np.nan_to_num(numbers(table, column))
    _refuse_varying(table, column, dose, unit, units)
    wrong = np.flatnonzero(treated[unit] & ~(dose > 0))
    if len(wrong):
        row = int(wrong[0])
        raise DidError(f"{table.cell(row, column)}: expected a positive dose for unit {units[unit[row]]}, which is "
                       f"treated; found '{table.text[column][row]}'; give its dose or leave out --dose")
    return dose


def _weights(table: Table, column: str, outcome: np.ndarray) -> np.ndarray:
    weight = numbers(table, column)
    wrong = np.flatnonzero(np.isfinite(outcome) & ~(weight >= 0))
    if len(wrong):
        row = int(wrong[0])
        raise DidError(f"{table.cell(row, column)}: expected a weight of 0 or more; found "
                       f"'{table.text[column][row]}'; fix the weight")
    return weight
