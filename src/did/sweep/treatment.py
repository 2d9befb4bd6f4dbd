"""The waves table of a sweep, made into treatment and clusters for any units and periods."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from did.errors import DidError, listed, suggest
from did.estimators.labels import is_never
from did.readers.csv_table import Table, labels, numbers, read_table
from did.readers.panel_cohorts import cohort_notes, refuse_design
from did.readers.panel_periods import KIND_NAMES, place_of
from did.sweep.rows import header_of

MONTHS = {"M": 1, "Q": 3, "Y": 12, "FY": 12}


@dataclasses.dataclass(frozen=True)
class Assigned:
    """Treatment of given units over given periods, as `did.estimators.base.Panel` holds it, and what to note."""

    treated_from: np.ndarray
    dose: np.ndarray
    clusters: dict[str, np.ndarray]
    notes: tuple[str, ...]


class Waves:
    """First treated periods by unit, with systems and doses; remembers what it gave for the same units and periods.

    The table has a column unit or system, first_treated (empty, 0, inf or never = never treated) and, for the
    treatment ``intensity``, dose. By unit, every unit is in it, treated or not, and a column system may give the
    clusters. By system, ``members`` (columns unit and system) says which units there are; a system without a row is
    never treated.
    """

    def __init__(self, path: str | Path, members: str | Path | None = None, *, treatment: str = "binary",
                 onset: str = "same", groupings: Sequence[str] = ()) -> None:
        """Read the tables. ``groupings`` are further columns to cluster by, of the members table or, without it, of
        waves by unit. Raises DidError for a missing file or column, an empty or repeated key, a first_treated
        that is not a period, a dose of a treated unit that is not positive, and no unit table for waves by system."""
        self.path, self.treatment, self.onset = str(path), treatment, onset
        header = header_of(path)
        by_unit = "unit" in header
        if not by_unit and "system" not in header:
            raise DidError(f"{path}: expected a column 'unit' or 'system'; found {listed(header, 40)}"
                           f"{suggest('unit', header)}; name the column of the units so")
        if not by_unit and members is None:
            raise DidError(f"{path}: expected --members with a waves table by system: a table with the columns unit "
                           "and system; found none; add it")
        wanted = ["unit" if by_unit else "system", "first_treated"]
        wanted += ["dose"] if treatment == "intensity" else []
        wanted += ["system"] if by_unit and "system" in header and members is None else []
        further = dict.fromkeys(groupings, "--cluster")
        table, _ = read_table(path, {name: "--waves" for name in wanted} | ({} if members is not None else further))
        key = wanted[0]
        place = _unique(table, key)
        words = [_first_treated(table, row) for row in range(len(table.lines))]
        dose = _doses(table, key, words) if treatment == "intensity" else np.ones(len(words))
        waves = {name: (words[row], float(dose[row])) for name, row in place.items()}
        self.system: dict[str, str] | None
        if members is not None:
            belongs, _ = read_table(members, {"unit": "--members", "system": "--members"} | further)
            self.system = _labels(belongs, _unique(belongs, "unit"), "system")
            self.groups = {name: _labels(belongs, _unique(belongs, "unit"), name) for name in groupings}
        else:
            self.system = _labels(table, place, "system") if "system" in wanted else None
            self.groups = {name: _labels(table, place, name) for name in groupings}
        if by_unit:
            self.wave = waves
            if members is not None:
                lost = next((name for name in waves if name not in self.system), None)
                if lost is not None:
                    raise DidError(f"{members}: expected every unit of {path}; found no row of unit {lost}; add it")
        else:
            self.wave = {name: waves.get(system, (None, 0.0)) for name, system in self.system.items()}
            if not set(waves) & set(self.system.values()):
                raise DidError(f"{members}: expected systems of {path}, such as {next(iter(waves))}; found none of "
                               "them; use the same codes in both")
        self._given: dict[tuple, Assigned] = {}

    def known(self, units: pd.Index) -> np.ndarray:
        """Return the (units,) mask of the units that the tables know."""
        return np.array([name in self.wave for name in units.tolist()], dtype=bool)

    def assigned(self, units: pd.Index, kind: str, first: int, last: int) -> Assigned:
        """Return the treatment of ``units`` (all known) over the periods at places ``first`` to ``last`` in time.

        ``kind`` and places are those of `did.readers.panel_file` (``M``, ``Q``, ``Y``, ``FY`` or ``number``).
        Raises DidError for a wave in another kind of period than these (see ``onset``), and
        if there is no treated unit, no control, or no period before treatment.
        """
        key = (kind, first, last, tuple(units))
        if key not in self._given:
            self._given[key] = self._assign(units, kind, first, last)
        return self._given[key]

    def _assign(self, units: pd.Index, kind: str, first: int, last: int) -> Assigned:
        places: dict[str | None, float] = {None: math.inf}
        for word in dict.fromkeys(self.wave[name][0] for name in units):
            if word is not None:
                places[word] = self._place(word, kind)
        cohort = np.array([places[self.wave[name][0]] for name in units])
        late, always = np.isfinite(cohort) & (cohort > last), cohort <= first
        position = np.where(late, np.inf, np.maximum(cohort, first)) - first
        refuse_design(self.path, "first_treated", position, units, kind, first)
        n_periods = last - first + 1
        never = ~np.isfinite(position)
        treated_from = np.where(never, n_periods, np.where(never, 0, position)).astype(int)
        dose = np.where(never, 0.0, [self.wave[name][1] for name in units])
        clusters = {"unit": units.to_numpy()}
        if self.system is not None:
            clusters["system"] = np.array([self.system[name] for name in units], dtype=object)
        for grouping, group in self.groups.items():
            clusters[grouping] = np.array([group[name] for name in units], dtype=object)
        return Assigned(treated_from, dose, clusters, tuple(cohort_notes(cohort, late, always, kind, first, last)))

    def _place(self, word: str, kind: str) -> int:
        """Return the place in time of the first treated period of a wave, in the panel's kind of period.

        A plain year names the financial year that begins in it.
        """
        place = place_of(word, "Y" if kind == "FY" and place_of(word, "Y") is not None else kind)
        if place is not None:
            return place
        length = MONTHS.get(kind, 0)
        own = next((kind for kind in ("M", "Q") if place_of(word, kind) is not None and MONTHS[kind] < length), None)
        if own is None:
            raise DidError(f"{self.path}: column 'first_treated': expected periods written as the indicator's, or "
                           f"shorter ones; found '{word}' for {KIND_NAMES[kind]}; give the waves by month")
        if self.onset == "same":
            raise DidError(f"{self.path}: column 'first_treated': expected {KIND_NAMES[kind]}, as the indicator has; "
                           f"found '{word}'; choose --onset containing or first_full")
        months = place_of(word, own) * MONTHS[own] - 3 * (kind == "FY")
        whole = months // length if self.onset == "containing" else -(-months // length)
        return whole + 1970 if kind in ("Y", "FY") else whole


def _labels(table: Table, place: dict[str, int], column: str) -> dict[str, str]:
    """Return what a column says of each unit, whose row is at ``place``. Raises DidError at an empty cell."""
    codes, found = labels(table, column, f"a {column}")
    return {name: found[codes[row]] for name, row in place.items()}


def _unique(table: Table, column: str) -> dict[str, int]:
    """Return each key's row. Raises DidError at an empty key or one that comes again."""
    place: dict[str, int] = {}
    codes, names = labels(table, column, f"a {column}")
    for row, name in enumerate(names[codes].tolist()):
        if name in place:
            raise DidError(f"{table.cell(row, column)}: expected each {column} once; found '{name}' again, first in "
                           f"row {table.lines[place[name]]}; remove one of them")
        place[name] = row
    return place


def _first_treated(table: Table, row: int) -> str | None:
    word = table.text["first_treated"][row]
    if is_never(word):
        return None
    if all(place_of(word, kind) is None for kind in ("number", "FY", "Q", "M")):
        raise DidError(f"{table.cell(row, 'first_treated')}: expected a period such as 2017-06, or empty or never for "
                       f"one never treated; found '{word}'; fix the cell")
    return word


def _doses(table: Table, key: str, words: list[str | None]) -> np.ndarray:
    dose = np.nan_to_num(numbers(table, "dose"))
    for row, word in enumerate(words):
        if word is not None and not dose[row] > 0:
            raise DidError(f"{table.cell(row, 'dose')}: expected a positive dose of {table.text[key][row]}, which is "
                           f"treated; found '{table.text['dose'][row]}'; give its dose or use the binary treatment")
    return dose
