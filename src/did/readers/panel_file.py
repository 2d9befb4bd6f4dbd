"""Anyone's panel file (one row per unit and period, CSV) turned into a `Panel`, each fault reported with its file and
row."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd

from did.errors import DidError, listed, one_of
from did.estimators.base import Panel
from did.estimators.labels import is_never, is_zero, label
from did.readers.csv_table import Table, labels, numbers, read_table, refuse_empty
from did.readers.limits import beyond, limit
from did.readers.periods import FREQUENCY, as_written, read_period

FREQUENCIES = ("auto", "M", "Q", "Y")
YEARS = range(1500, 2501)
EXAMPLES = "2003, 2017-06, 2017Q2, 2017/18 or 1, 2, 3"
WHOLE = re.compile(r"[+-]?\d{1,9}(\.0*)?", re.ASCII)
DAY = re.compile(r"(\d{4})[-/](\d{1,2})[-/]\d{1,2}([ T].*)?|\d{1,2}/\d{1,2}/\d{4}.*", re.ASCII)
# Months as Stata writes them (2017m6), and without a zero: said as read_period reads them.
MONTH = re.compile(r"(\d{4})(?:-|[- ]?m)(\d{1,2})", re.ASCII | re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Columns:
    """The names of a file's columns. ``clusters`` and ``covariates`` may be empty; None = there is none."""

    outcome: str
    unit: str
    period: str
    cohort: str
    clusters: tuple[str, ...] = ()
    weight: str | None = None
    covariates: tuple[str, ...] = ()
    dose: str | None = None

    def named(self) -> dict[str, str]:
        """Option of the command -> column, for every column asked for (the last of several with one option)."""
        pairs = [("--outcome", self.outcome), ("--unit", self.unit), ("--period", self.period),
                 ("--cohort", self.cohort), ("--weights", self.weight), ("--dose", self.dose)]
        pairs += [("--cluster", name) for name in self.clusters]
        pairs += [("--covariates", name) for name in self.covariates]
        return {column: option for option, column in pairs if column is not None}


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
    table, notes = read_table(path, columns.named())
    unit, units = _units(table, columns.unit)
    kind, ordinal = _periods(table, columns.period, frequency)
    notes += [FINANCIAL] if kind == "FY" else []
    internal = internal_frequency(kind, frequency)
    first, last = int(ordinal.min()), int(ordinal.max())
    _refuse_gap(table, columns.period, kind, ordinal)
    _refuse_size(table, columns, len(units), last - first + 1)
    _refuse_twice(table, columns, unit, units, ordinal, kind)
    outcome = numbers(table, columns.outcome)
    position, cohort_notes = _treated_from(table, columns.cohort, kind, unit, units, first, last)
    notes += cohort_notes + _outcome_notes(table, columns.outcome, outcome, (last - first + 1) * len(units))

    label = _internal_labels(kind, internal, first, last)
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
        clusters={_level_name(clusters.get(level)): labels for level, labels in panel.clusters.items()},
        covariates={covariates[heading]: values for heading, values in panel.covariates.items()},
    ), notes


def _internal_labels(kind: str, frequency: str, first: int, last: int) -> list[str]:
    """ISO labels of the frequency for the periods ``first`` to ``last``; whole numbers count from the year 1000."""
    start = first if kind in ("M", "Q") else _ordinal_of_year(1000 if kind == "number" else first, frequency)
    return [str(pd.Period(ordinal=start + step, freq=frequency)) for step in range(last - first + 1)]


def level_of(column: str, columns: Columns) -> str:
    """Return the cluster level of a panel by `load` that a column makes: ``unit`` if it is that of the units.

    >>> level_of("clinic", Columns("visits", "clinic", "year", "first_year"))
    'unit'
    """
    return _level_name(None if column == columns.unit else column)


def _level_name(column: str | None) -> str:
    """The cluster level of a column (None = the unit itself), where `unit` is taken."""
    return "unit" if column is None else "unit (column)" if column == "unit" else column


def _units(table: Table, column: str) -> tuple[np.ndarray, pd.Index]:
    """Return each row's position in the sorted unit labels, and the labels."""
    codes, units = labels(table, column, "a unit")
    order = np.argsort(units)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[codes], pd.Index(units[order], dtype="str")


# Periods and cohorts ------------------------------------------------------------------------------------------

KIND_NAMES = {"M": "months", "Q": "quarters", "Y": "years", "FY": "financial years", "number": "whole numbers"}
FINANCIAL = "financial years are named by the year they begin in"


def internal_frequency(kind: str, frequency: str) -> str:
    """Return the frequency of a panel whose periods are of a ``kind``; whole numbers count years unless asked."""
    return FREQUENCY.get(kind, "Y" if frequency == "auto" else frequency)


def period_labels(kind: str, first: int, last: int) -> pd.Index:
    """Return the labels of the periods at places ``first`` to ``last``: ISO text, or the whole numbers of the file."""
    return pd.Index([_iso(place, kind) for place in range(first, last + 1)], dtype="str")


def _iso(place: int, kind: str) -> str:
    return str(pd.Period(ordinal=place, freq=kind)) if kind in ("M", "Q") else str(place)


def written(place: int, kind: str) -> str:
    """Return a period for a message, as it would be written in the file."""
    return as_written(_iso(place, kind), kind)


def _ordinal_of_year(year: int, frequency: str) -> int:
    return pd.Period(str(year), freq="Y").asfreq(frequency, how="start").ordinal


def place_of(word: str, kind: str) -> int | None:
    """Return the place in time of the period in a cell, None if it is not a period of the ``kind``.

    Months and quarters are counted from 1970; years, financial years (``FY``) and whole numbers (``number``) are their
    own place.
    """
    if kind in ("number", "Y"):
        return int(float(word)) if WHOLE.fullmatch(word) else None
    if DAY.fullmatch(word):
        return None
    month = MONTH.fullmatch(word)
    try:
        iso = read_period(f"{month[1]}-{int(month[2]):02d}" if month and kind == "M" else word, kind)
    except ValueError:
        return None
    return int(iso) if kind == "FY" else pd.Period(iso, freq=kind).ordinal


def _periods(table: Table, column: str, frequency: str) -> tuple[str, np.ndarray]:
    """Return the kind of the periods (``M``, ``Q``, ``Y``, ``FY`` or ``number``) and each row's place in time."""
    refuse_empty(table, column, f"a period such as {EXAMPLES}")
    codes, words = pd.factorize(table.text[column])

    def where(code: int) -> str:
        return table.cell(int(np.argmax(codes == code)), column)

    # Financial years first: 2010-11, 2011-12 are such, unless one of them can only be a month.
    kinds = sorted(("number", "FY", "Q", "M"), key=lambda kind: FREQUENCY.get(kind) != frequency)
    kind = next((kind for kind in kinds if all(place_of(word, kind) is not None for word in words)), None)
    if kind is None:
        for code, word in enumerate(words):
            if all(place_of(word, kind) is None for kind in kinds):
                raise DidError(f"{where(code)}: expected a period such as {EXAMPLES}; found '{word}'{_advice(word)}")
        first = next(kind for kind in kinds if place_of(words[0], kind) is not None)
        code = next(code for code, word in enumerate(words) if place_of(word, first) is None)
        raise DidError(f"{where(code)}: expected every period written as the first, '{words[0]}'; found "
                       f"'{words[code]}'; write all of them one way")
    places = np.array([place_of(word, kind) for word in words], dtype=np.int64)
    if kind == "number":
        for code, place in enumerate(places.tolist()):
            expected = f"expected a period such as {EXAMPLES}; found"
            if len(str(place)) == 6 and 1 <= place % 100 <= 12 and place // 100 in YEARS:
                raise DidError(f"{where(code)}: {expected} '{words[code]}', which as a number is 89 after the December "
                               f"before a January; write {place // 100}-{place % 100:02d}")
            if len(str(place)) == 8 and place // 10000 in YEARS:
                raise DidError(f"{where(code)}: {expected} the day '{words[code]}'; write the month, "
                               f"{place // 10000}-{place // 100 % 100:02d}, if the data are monthly")
        if places.min() in YEARS and places.max() in YEARS:
            kind = "Y"
    if frequency != "auto" and kind != "number" and FREQUENCY[kind] != frequency:
        raise DidError(f"{table.cell(0, column)}: expected {KIND_NAMES[frequency]} (--frequency {frequency}); found "
                       f"'{words[0]}', one of {KIND_NAMES[kind]}; use --frequency {FREQUENCY[kind]} or auto")
    return kind, places[codes]


def _advice(word: str) -> str:
    day = DAY.fullmatch(word)
    if day and day[1]:
        return f", a day; write the month, {day.group(1)}-{int(day.group(2)):02d}, if the data are monthly"
    slash = re.fullmatch(r"(\d{4})/(\d{1,2})", word)
    if slash and 1 <= int(slash[2]) <= 12:
        return f"; write {slash.group(1)}-{int(slash.group(2)):02d}"
    return "; write it that way, or number the periods 1, 2, 3"


def _refuse_gap(table: Table, column: str, kind: str, ordinal: np.ndarray) -> None:
    found = np.unique(ordinal)
    steps = np.diff(found)
    gap = np.flatnonzero(steps != 1)
    if not len(gap):
        return
    before, after = int(found[gap[0]]), int(found[gap[0] + 1])
    row = int(np.argmax(ordinal == after))
    advice = f"add rows for {written(before + 1, kind)} (an empty outcome if none was observed)"
    if (steps == steps[0]).all() and len(steps) > 1:
        advice = f"they lie {steps[0]} apart: number them 1, 2, 3"
    raise DidError(f"{table.cell(row, column)}: expected consecutive periods; found {written(after, kind)} next after "
                   f"{written(before, kind)}; {advice}")


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


def _treated_from(table: Table, column: str, kind: str, unit: np.ndarray, units: pd.Index, first: int,
                  last: int) -> tuple[np.ndarray, list[str]]:
    """Return each unit's first treated position in the window (infinite = never), and notes on cohorts outside."""
    cohort = _cohorts(table, column, kind, unit, units, first)
    late, always = np.isfinite(cohort) & (cohort > last), cohort <= first
    position = np.where(late, np.inf, np.maximum(cohort, first)) - first
    _refuse_design(table.file, column, position, units, kind, first)
    return position, _cohort_notes(cohort, late, always, kind, first, last)


def _cohorts(table: Table, column: str, kind: str, unit: np.ndarray, units: pd.Index, first: int) -> np.ndarray:
    """Return each unit's first treated period as the file has it, infinite = never."""
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
    rows = _first_rows(unit, len(units))
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
        return ("the column seems to say whether a row is treated; name one that holds each unit's first treated "
                "period")
    return ""


def _first_rows(unit: np.ndarray, n_units: int) -> np.ndarray:
    rows = np.zeros(n_units, dtype=np.int64)
    rows[unit[::-1]] = np.arange(len(unit))[::-1]
    return rows


def _cohort_notes(cohort, late, always, kind: str, first: int, last: int) -> list[str]:
    notes = []
    if late.any():
        labels = listed(written(int(p), kind) for p in np.unique(cohort[late]))
        notes.append(f"{late.sum()} units first treated after the last period, {written(last, kind)} (cohort "
                     f"{labels}), are never treated in the window")
    if always.any():
        labels = listed(written(int(p), kind) for p in np.unique(cohort[always]))
        notes.append(f"{always.sum()} units are always treated: first treated at or before the first period, "
                     f"{written(first, kind)} (cohort {labels})")
    return notes


def _refuse_design(file: str, column: str, position: np.ndarray, units, kind: str, first: int) -> None:
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


# Other columns ------------------------------------------------------------------------------------------------


def _outcome_notes(table: Table, column: str, outcome: np.ndarray, n_cells: int) -> list[str]:
    notes = []
    gone = np.flatnonzero(np.isnan(outcome))
    if len(gone) == len(outcome):
        raise DidError(f"{table.cell(0, column)}: expected numbers; found no number in {len(outcome)} rows; "
                       "name another column")
    if len(gone):
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        notes.append(f"no outcome in {table.cell(int(gone[0]), column)}{more}; taken as not observed")
    if len(outcome) < n_cells:
        notes.append(f"{n_cells - len(outcome)} of {n_cells} unit-periods have no row; taken as not observed")
    return notes


def _clusters(table: Table, column: str, unit: np.ndarray, units: pd.Index) -> np.ndarray:
    codes, clusters = labels(table, column, "the label of a cluster")
    _refuse_varying(table, column, codes, unit, units)
    return clusters[codes]


def _refuse_varying(table: Table, column: str, value: np.ndarray, unit, units) -> None:
    """Raise DidError at the first row whose value differs from that of its unit's first row."""
    rows = _first_rows(unit, len(units))
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
