"""When each unit of anyone's panel was first treated: from a column of cohorts, or of who is treated when."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from did.errors import DidError, listed
from did.estimators.labels import is_never, is_zero, label
from did.readers.csv_table import Table
from did.readers.panel_periods import place_of, written

# Who has an estimator for what cannot be estimated here.
SWITCHING = "for treatment that switches off see did_multiplegt_dyn of de Chaisemartin and D'Haultfoeuille (R, Stata)"


def treated_from(file: str, column: str, cohort: np.ndarray, kind: str, units: pd.Index,
                 window: tuple[int, int]) -> tuple[np.ndarray, list[str]]:
    """Return each unit's first treated position in the ``window`` of places, infinite = never, and notes on cohorts
    outside it. ``cohort`` (units,) are places as `cohorts` and `onsets` give them. Raises DidError where nothing can be
    compared."""
    first, last = window
    late, always = np.isfinite(cohort) & (cohort > last), cohort <= first
    position = np.where(late, np.inf, np.maximum(cohort, first)) - first
    refuse_design(file, column, position, units, kind, first)
    return position, cohort_notes(cohort, late, always, kind, first, last)


def onsets(table: Table, column: str, kind: str, unit: np.ndarray, units: pd.Index, ordinal: np.ndarray) -> np.ndarray:
    """Return (units,) places of the first period in which a column of 0 and 1 says treated, infinite = never.

    ``ordinal`` (rows,) is each row's place in time. Raises DidError, naming the row, at a cell that is neither 0 nor 1,
    at treatment that switches off, and where rows are missing just before the first treated one, so that the onset is
    not known.
    """
    codes, words = pd.factorize(table.text[column])
    yes = {"1": True, "true": True, "0": False, "false": False}
    states = [yes.get(label(word).lower()) for word in words]
    if None in states:
        row = int(np.argmax(codes == states.index(None)))
        raise DidError(f"{table.cell(row, column)}: expected 1 where the row is treated, else 0; found "
                       f"'{table.text[column][row]}'; fill the cell, or name a column of first treated periods as "
                       "--cohort")
    treated = np.array(states)[codes]
    order = np.lexsort((ordinal, unit))
    same = unit[order][1:] == unit[order][:-1]
    before, after = order[:-1][same], order[1:][same]
    off = np.flatnonzero(treated[before] & ~treated[after])
    if len(off):
        row = int(after[off[0]])
        raise DidError(f"{table.cell(row, column)}: expected unit {units[unit[row]]} to stay treated, as it was in "
                       f"{written(int(ordinal[before[off[0]]]), kind)}; found 0 in {written(int(ordinal[row]), kind)}; "
                       f"estimators here take treatment that stays: {SWITCHING}")
    found = np.full(len(units), np.inf)
    np.minimum.at(found, unit[treated], ordinal[treated])
    starts = np.concatenate([order[:1], order[1:][~same]])
    switched = after[~treated[before] & treated[after]]
    previous = before[~treated[before] & treated[after]]
    unsure = np.concatenate([switched[ordinal[switched] - ordinal[previous] > 1],
                             starts[treated[starts] & (ordinal[starts] > ordinal.min())]])
    if len(unsure):
        row = int(unsure.min())
        raise DidError(f"{table.cell(row, column)}: expected a row of unit {units[unit[row]]} in "
                       f"{written(int(ordinal[row]) - 1, kind)}, which says whether it was treated by then; found "
                       "none; add it (with an empty outcome if none was observed), or name a column of first treated "
                       "periods as --cohort")
    return found


def cohorts(table: Table, column: str, kind: str, unit: np.ndarray, units: pd.Index, first: int) -> np.ndarray:
    """Return each unit's first treated period as the column has it, infinite = never. Raises DidError, naming the row,
    at a cell that is neither, and at a cohort that varies in a unit."""
    codes, words = pd.factorize(table.text[column])
    places = np.full(len(words), np.inf)
    lowest = {"Y": 1000, "FY": 1000, "number": min(first, 0)}.get(kind, -math.inf)

    def where(code: int) -> str:
        return table.cell(int(np.argmax(codes == code)), column)

    for code, word in enumerate(words):
        if is_zero(word) and kind == "number" and first <= 0:
            raise DidError(f"{where(code)}: expected a first treated period, or never; found '{word}', which could be "
                           "the period 0 or never treated; write never, or number the periods from 1")
        if is_never(word):
            continue
        place = place_of(word, kind)
        if place is None or place < lowest:
            raise DidError(f"{where(code)}: expected a first treated period written as the periods are, such as "
                           f"{written(first, kind)}, or 0, empty, inf or never for a unit never treated; found "
                           f"'{word}'; {_treatment_hint(set(words)) or 'fix the cell'}")
        places[code] = place
    value = places[codes]
    rows = first_rows(unit, len(units))
    differs = np.flatnonzero(value != value[rows][unit])
    if len(differs):
        row = int(differs[0])
        start = rows[unit[row]]
        advice = (_treatment_hint(set(words)) or "give the unit its first treated period in every row")
        raise DidError(f"{table.cell(row, column)}: expected one cohort for unit {units[unit[row]]}, as in row "
                       f"{table.lines[start]}, '{table.text[column][start]}'; found '{table.text[column][row]}'; "
                       f"{advice}")
    return value[rows]


def _treatment_hint(words: set[str]) -> str:
    if set(map(label, words)) <= {"0", "1"}:
        return ("the column seems to say whether a row is treated; name it as --treatment, or one that holds each "
                "unit's first treated period as --cohort")
    return ""


def first_rows(unit: np.ndarray, n_units: int) -> np.ndarray:
    rows = np.zeros(n_units, dtype=np.int64)
    rows[unit[::-1]] = np.arange(len(unit))[::-1]
    return rows


def cohort_notes(cohort, late, always, kind: str, first: int, last: int, count: np.ndarray | int = 1) -> list[str]:
    """Return what to say of cohorts outside the window; ``count`` how many units each of the arrays' places stands
    for."""
    notes = []
    n_late, n_always = (int((each * count).sum()) for each in (late, always))
    if late.any():
        labels = listed(written(int(p), kind) for p in np.unique(cohort[late]))
        notes.append(f"{n_late} units first treated after the last period, {written(last, kind)} (cohort "
                     f"{labels}), are never treated in the window")
    if always.any():
        labels = listed(written(int(p), kind) for p in np.unique(cohort[always]))
        notes.append(f"{n_always} units are always treated: first treated at or before the first period, "
                     f"{written(first, kind)} (cohort {labels})")
    return notes


def refuse_design(file: str, column: str, position: np.ndarray, units, kind: str, first: int) -> None:
    """Raise DidError where no comparison is possible; ``position`` is each unit's first treated one, or infinite."""
    where = f"{file}: column '{column}'"
    treated = np.isfinite(position)
    if not treated.any():
        raise DidError(f"{where}: expected at least one unit treated in the window; found none among {len(units)} "
                       "units; check the column")
    if not (position[treated] > 0).any():
        raise DidError(f"{where}: expected a period before treatment; found every treated unit (such as "
                       f"{units[treated][0]}) treated from the first period, {written(first, kind)}; "
                       "add earlier periods")
    if len(np.unique(position)) == 1:
        raise DidError(f"{where}: expected units to compare with, treated later or never; found all {len(units)} first "
                       f"treated in {written(int(position[0]) + first, kind)}; add controls")
