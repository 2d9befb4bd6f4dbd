"""A panel larger than memory: a folder of Parquet files, summed to the moments of its cohorts one file at a time.

The rows of a unit are in one file, which is checked; files may come in any order and hold any number of units. What is
kept of a unit is a number of eight bytes, by which one that is in two files is found.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from did.errors import DidError, listed, suggest
from did.estimators.moments import Moments, rows_by_cohort
from did.estimators.summed import Groups, Summed
from did.readers.arrow_panel import Calendar, Units, calendar, coded, matrix, one_per_unit, units_of
from did.readers.large_panel import ParquetSource, labels_of_clusters
from did.readers.limits import beyond, limit
from did.readers.panel_cohorts import cohort_notes
from did.readers.panel_columns import Columns, level_of
from did.readers.panel_periods import FINANCIAL, internal_frequency, period_labels


@dataclasses.dataclass(frozen=True)
class Folder:
    """A folder summed to its cohorts, its units in all, and what was read in a way to know of, a sentence each."""

    summed: Summed
    n_units: int
    notes: list[str]


def read_folder(path: str | Path, columns: Columns, frequency: str = "auto", anticipation: int = 0) -> Folder:
    """Return the panel in the Parquet files of a folder and its subfolders, summed to its cohorts.

    Columns and values as `did.readers.panel_file.load` has them, without treatment, weights, covariates and doses.
    Units without an outcome in some period are left out and counted; without never-treated units, in some period before
    the last cohort's, less ``anticipation``: later ones are not used. A file is held in memory by itself, as are its
    units times the periods.

    Raises DidError, naming file and column, for what `load` refuses, and: no Parquet file; a column that is not there,
    or of another type; a unit whose rows are in two files; a unit, period or cohort that is not plain (a number written
    in two ways, say).
    """
    columns.check()
    for option, given in (("--treatment", columns.treatment), ("--weights", columns.weight), ("--dose", columns.dose),
                          ("--covariates", columns.covariates)):
        if given:
            raise DidError(f"{option}: expected one file, not a folder; found {path}; leave it out, or estimate from "
                           "one file")
    files = sorted(Path(path).rglob("*.parquet"))
    if not files:
        raise DidError(f"{path}: expected Parquet files (.parquet) in the folder; found none; name another folder")
    sources = [_source(file, columns) for file in files]
    known = _calendar(str(path), sources, columns, frequency)
    n_periods = known.n_periods
    places = {word: n_periods if not place <= known.last else max(int(place) - known.first, 0)
              for word, place in known.cohort.items()}
    firsts = np.array(sorted({*places.values(), n_periods}))
    n_used = n_periods if n_periods in places.values() else max(max(places.values()) - anticipation, 1)
    total, counts = Moments.nothing(len(firsts), n_periods), dict.fromkeys(known.cohort, 0)
    hashes: list[np.ndarray] = []
    groups: dict[str, list[Groups]] = {level_of(name, columns): [] for name in columns.clusters if name != columns.unit}
    for source in sources:
        part = _Part.read(source, columns, known, places)
        hashes.append(pd.util.hash_array(part.units.labels.to_numpy(zero_copy_only=False)))
        for word, count in part.counts.items():
            counts[word] += count
        whole = np.isfinite(part.outcome[:, :n_used]).all(axis=1)
        part.outcome[:, n_used:] = part.outcome[:, :n_used].mean(axis=1, keepdims=True)
        rows = rows_by_cohort(part.outcome[whole], part.first[whole], None)
        if rows is None or not whole.any():
            continue
        rows = dataclasses.replace(rows, cohort=np.searchsorted(firsts, part.first[whole]), n_cohorts=len(firsts))
        total += rows.moments()
        for name, level in ((name, level_of(name, columns)) for name in columns.clusters if name != columns.unit):
            labels = labels_of_clusters(source.pieces(name), part.units.codes, len(whole))
            if labels is None:
                raise DidError(f"{source.name}: column '{name}': expected a cluster label for each unit, the same in "
                               "all its rows and written one way; found others; correct the column")
            groups[level].append(Groups.of(labels[whole], rows))
    _refuse_in_two(str(path), sources, columns, hashes)
    n_units = sum(map(len, hashes))
    if not total.units.sum():
        raise DidError(f"{path}: column '{columns.outcome}': expected units with an outcome in each of {n_periods} "
                       f"periods; found none among {n_units:,}; take fewer periods")
    return Folder(
        Summed(total, firsts, period_labels(known.kind, known.first, known.last),
               internal_frequency(known.kind, frequency),
               {level: Groups.joined(parts) for level, parts in groups.items()}),
        n_units, _notes(known, counts, n_units, int(total.units.sum())))


def _source(file: Path, columns: Columns) -> ParquetSource:
    import pyarrow as pa

    try:
        source = ParquetSource(file)
    except (pa.ArrowException, OSError) as error:
        raise DidError(f"{file}: expected a Parquet file; found one that cannot be read ({type(error).__name__}); make "
                       "it again") from error
    for name, option in columns.named().items():
        if source.names.count(name) != 1:
            raise DidError(f"{file}: {option}: expected one of the columns {listed(source.names, 40)}; found '{name}'"
                           f"{suggest(name, source.names) or '; name a column that is there'}")
    return source


def _calendar(path: str, sources: list[ParquetSource], columns: Columns, frequency: str) -> Calendar:
    """Return what the periods and cohorts of all files mean."""
    assert columns.cohort is not None
    words: tuple[dict[str, str], dict[str, str]] = {}, {}
    for source in sources:
        for name, known in zip((columns.period, columns.cohort), words, strict=True):
            found = coded(source.pieces(name))
            for code, word in enumerate(found.words.tolist()):
                if word not in known:
                    known[word] = f"{source.place(int(np.argmax(found.codes == code)))} of {Path(source.name).name}"
    return calendar(path, *words, (columns.period, columns.cohort), frequency)


@dataclasses.dataclass(frozen=True)
class _Part:
    """One file: its units, (units, periods) outcomes, (units,) positions of first treated periods, units by cohort."""

    units: Units
    outcome: np.ndarray
    first: np.ndarray
    counts: dict[str, int]

    @classmethod
    def read(cls, source: ParquetSource, columns: Columns, known: Calendar, places: dict[str, int]) -> _Part:
        """Read a file. Raises DidError as `read_folder`."""
        at = source.name
        units = units_of(source.pieces(columns.unit))
        if units is None:
            raise DidError(f"{at}: column '{columns.unit}': expected whole numbers or texts, one for every row, each "
                           "unit's written one way and without spaces around it; found others; correct the column")
        shape = len(units.labels), known.n_periods
        if shape[0] * shape[1] > limit("PANEL_CELLS"):
            raise beyond(f"{at}, columns '{columns.unit}' and '{columns.period}'", "PANEL_CELLS", "at most "
                         f"{limit('PANEL_CELLS'):,} units times periods in a file", f"{shape[0]:,} units and "
                         f"{shape[1]:,} periods", "write the units to more files")
        cohort = coded(source.pieces(str(columns.cohort)))
        own = np.array([places[word] for word in cohort.words])
        first, other = one_per_unit(own[cohort.codes], units.codes, shape[0])
        if other is not None:
            raise DidError(f"{at}, row {source.place(other)}, column '{columns.cohort}': expected one cohort for unit "
                           f"{units.labels[int(units.codes[other])].as_py()}; found another than in other rows; "
                           "give the unit its first treated period in every row")
        word = np.zeros(shape[0], dtype=np.int64)
        word[units.codes] = cohort.codes
        counts = dict(zip(cohort.words.tolist(), np.bincount(word, minlength=len(cohort.words)).tolist(), strict=True))
        period = coded(source.pieces(columns.period))
        place = np.array([known.period[word] for word in period.words], dtype=np.int32)[period.codes]
        del period, cohort
        made = matrix(source.pieces(columns.outcome), units.codes, place, shape)
        if made is None:
            raise DidError(f"{at}: column '{columns.outcome}': expected finite numbers, one for each unit and period; "
                           "found a text, an infinite number, or a unit and period twice; correct the file")
        return cls(units, made[0], first, counts)


def _refuse_in_two(path: str, sources: list[ParquetSource], columns: Columns, hashes: list[np.ndarray]) -> None:
    """Raise DidError if a unit is in two files."""
    every = np.concatenate(hashes)
    every.sort()
    twice = every[1:][every[1:] == every[:-1]]
    if not len(twice):
        return
    places = [at for at, own in enumerate(hashes) if (own == twice[0]).any()]
    units = units_of(sources[places[0]].pieces(columns.unit))
    name = "" if units is None else f"unit {units.labels[int(np.argmax(hashes[places[0]] == twice[0]))].as_py()} "
    raise DidError(f"{path}: column '{columns.unit}': expected the rows of a unit in one file; found {name}in "
                   f"{listed(Path(sources[place].name).name for place in places)}; write each unit's rows to one file")


def _notes(known: Calendar, counts: dict[str, int], n_units: int, n_whole: int) -> list[str]:
    cohort, count = np.array([known.cohort[word] for word in counts]), np.array(list(counts.values()))
    late, always = np.isfinite(cohort) & (cohort > known.last), cohort <= known.first
    lost = n_units - n_whole
    return [*([FINANCIAL] if known.kind == "FY" else []),
            *cohort_notes(cohort, late, always, known.kind, known.first, known.last, count),
            *([f"{lost:,} of {n_units:,} units without an outcome in a period, left out"] if lost else [])]
