"""A panel larger than memory: a folder of Parquet files, summed to the moments of its cohorts one file at a time.

The rows of a unit are in one file, which is checked; files may come in any order and hold any number of units. What is
kept of a unit is a number of eight bytes, by which one that is in two files is found. What a file sums to is a `Shard`;
shards add up, so that files may be read by one process or by many, which add in the same order: file by file within
a batch, then batch by batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    import pyarrow as pa

# Files are one batch up to so many bytes: seconds of work, which a place in a cluster's queue costs.
BATCH_BYTES = 2**27


@dataclasses.dataclass(frozen=True)
class Layout:
    """What the files of a folder have in common: by this any of them is summed without the others.

    columns        names of the columns; ``frequency`` as of `did.readers.panel_file.load`
    anticipation   periods before treatment that may have an effect
    known          what the periods and cohorts of all files mean
    """

    columns: Columns
    frequency: str
    anticipation: int
    known: Calendar

    @cached_property
    def places(self) -> dict[str, int]:
        """Word of the cohort column -> position of the first treated period; the number of periods for the never
        treated."""
        known = self.known
        return {word: known.n_periods if not place <= known.last else max(int(place) - known.first, 0)
                for word, place in known.cohort.items()}

    @cached_property
    def firsts(self) -> np.ndarray:
        """(cohorts,) positions of first treated periods, rising; the last is that of the never treated."""
        return np.array(sorted({*self.places.values(), self.known.n_periods}))

    @property
    def n_used(self) -> int:
        """Number of periods, from the first, in which a unit needs an outcome."""
        last = max(self.places.values())
        return self.known.n_periods if last == self.known.n_periods else max(last - self.anticipation, 1)

    @property
    def levels(self) -> dict[str, str]:
        """Cluster level -> its column, but for the units."""
        return {level_of(name, self.columns): name for name in self.columns.clusters if name != self.columns.unit}


@dataclasses.dataclass(frozen=True)
class Shard:
    """What a file, or several, sum to.

    counts   word of the cohort column -> number of units
    moments  of the units with an outcome in every period used, by cohort
    groups   cluster level -> sums over its clusters
    hashes   (units,) a number that stands for each unit
    """

    counts: dict[str, int]
    moments: Moments
    groups: dict[str, Groups]
    hashes: np.ndarray


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
    files, layout = layout_of(path, columns, frequency, anticipation)
    return folder_of(path, layout, total(path, layout, files, (sum_batch(batch, layout) for batch in batches(files))))


def layout_of(path: str | Path, columns: Columns, frequency: str, anticipation: int) -> tuple[list[Path], Layout]:
    """Return the Parquet files of a folder, and what they have in common. Raises DidError as `read_folder`."""
    columns.check()
    for option, given in (("--treatment", columns.treatment), ("--weights", columns.weight), ("--dose", columns.dose),
                          ("--covariates", columns.covariates)):
        if given:
            raise DidError(f"{option}: expected one file, not a folder; found {path}; leave it out, or estimate from "
                           "one file")
    files = sorted(Path(path).rglob("*.parquet"))
    if not files:
        raise DidError(f"{path}: expected Parquet files (.parquet) in the folder; found none; name another folder")
    sources = {file: _source(file, columns) for file in files}
    filled = {file: source for file, source in sources.items() if source.n_rows}
    if not filled:
        raise DidError(f"{path}: expected Parquet files with rows; found {listed([file.name for file in files])} "
                       "without; name another folder")
    _refuse_types(str(path), list(filled.values()), columns)
    return list(filled), Layout(columns, frequency, anticipation,
                                _calendar(str(path), list(filled.values()), columns, frequency))


def batches(files: Sequence[Path]) -> list[list[Path]]:
    """Return the files in batches of up to `BATCH_BYTES`, in their order; a larger file by itself."""
    found: list[list[Path]] = []
    size = BATCH_BYTES
    for file in files:
        own = file.stat().st_size
        if size + own > BATCH_BYTES:
            found.append([])
            size = 0
        found[-1].append(file)
        size += own
    return found


def sum_batch(files: Iterable[Path], layout: Layout) -> Shard:
    """Return what files sum to, read one at a time. Raises DidError as `read_folder`."""
    return added(layout, (sum_file(file, layout) for file in files))


def sum_file(file: str | Path, layout: Layout) -> Shard:
    """Return what a file sums to. Raises DidError as `read_folder`."""
    source = _source(Path(file), layout.columns)
    part = _Part.read(source, layout)
    hashes = _hashed(part.units)
    whole = np.isfinite(part.outcome[:, :layout.n_used]).all(axis=1)
    part.outcome[:, layout.n_used:] = part.outcome[:, :layout.n_used].mean(axis=1, keepdims=True)
    rows = rows_by_cohort(part.outcome[whole], part.first[whole], None)
    if rows is None or not whole.any():
        return Shard(part.counts, _nothing(layout), {}, hashes)
    firsts = layout.firsts
    rows = dataclasses.replace(rows, cohort=np.searchsorted(firsts, part.first[whole]), n_cohorts=len(firsts))
    groups = {}
    for level, name in layout.levels.items():
        labels = labels_of_clusters(source.pieces(name), part.units.codes, len(whole))
        if labels is None:
            raise DidError(f"{source.name}: column '{name}': expected a cluster label for each unit, the same in "
                           "all its rows and written one way; found others; correct the column")
        groups[level] = Groups.of(labels[whole], rows)
    return Shard(part.counts, rows.moments(), groups, hashes)


def added(layout: Layout, shards: Iterable[Shard]) -> Shard:
    """Return the sum of shards, in their order."""
    moments, counts = _nothing(layout), dict.fromkeys(layout.known.cohort, 0)
    groups: dict[str, list[Groups]] = {level: [] for level in layout.levels}
    hashes = [np.zeros(0, dtype=np.uint64)]
    for shard in shards:
        moments += shard.moments
        hashes.append(shard.hashes)
        for word, count in shard.counts.items():
            counts[word] += count
        for level, part in shard.groups.items():
            groups[level].append(part)
    return Shard(counts, moments, {level: Groups.joined(parts) for level, parts in groups.items() if parts},
                 np.concatenate(hashes))


def total(path: str | Path, layout: Layout, files: Sequence[Path], shards: Iterable[Shard]) -> Shard:
    """Return the sum of the ``shards`` of all batches of a folder's ``files``, without hashes. Raises DidError if a
    unit is in two files."""
    found = added(layout, shards)
    _refuse_in_two(str(path), files, layout.columns, found.hashes)
    return dataclasses.replace(found, hashes=found.hashes[:0].copy())


def folder_of(path: str | Path, layout: Layout, shard: Shard) -> Folder:
    """Return the folder that sums to ``shard``. Raises DidError if no unit has an outcome in each period."""
    known, n_units, n_whole = layout.known, sum(shard.counts.values()), int(shard.moments.units.sum())
    if not n_whole:
        raise DidError(f"{path}: column '{layout.columns.outcome}': expected units with an outcome in each of "
                       f"{known.n_periods} periods; found none among {n_units:,}; take fewer periods")
    return Folder(
        Summed(shard.moments, layout.firsts, period_labels(known.kind, known.first, known.last),
               internal_frequency(known.kind, layout.frequency), shard.groups),
        n_units, [*_not_read(Path(path)), *_notes(known, shard.counts, n_units, n_whole)])


def _nothing(layout: Layout) -> Moments:
    return Moments.nothing(len(layout.firsts), layout.known.n_periods)


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


def _refuse_types(path: str, sources: list[ParquetSource], columns: Columns) -> None:
    """Raise DidError where units or clusters are numbers in one file and texts in another: 0 and 00 would be two."""
    for name in (columns.unit, *columns.clusters):
        kinds = {_kind(source.types[name]): source.name for source in reversed(sources)}
        if len(kinds) > 1:
            found = " and ".join(f"{kind} in {Path(file).name}" for kind, file in sorted(kinds.items()))
            raise DidError(f"{path}: column '{name}': expected labels of one type in all files; found {found}; write "
                           "all of them one way")


def _kind(kind: pa.DataType) -> str:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return ("whole numbers" if pa.types.is_integer(kind) else "numbers with decimals" if pa.types.is_floating(kind)
            else "texts" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else str(kind))


def _not_read(folder: Path) -> list[str]:
    """Return a sentence on files of the folder that may hold data and are not Parquet's."""
    others = sorted(str(file.relative_to(folder)) for file in folder.rglob("*")
                    if file.is_file() and file.suffix != ".parquet" and file.name[0] not in "._")
    return [f"not read, as their names do not end in .parquet: {listed(others, 5)}"] if others else []


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
    def read(cls, source: ParquetSource, layout: Layout) -> _Part:
        """Read a file. Raises DidError as `read_folder`."""
        at, columns, known, places = source.name, layout.columns, layout.known, layout.places
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
        place = np.array([known.period[word] for word in period.words], dtype=period.codes.dtype)[period.codes]
        del period, cohort
        made = matrix(source.pieces(columns.outcome), units.codes, place, shape)
        if made is None:
            raise DidError(f"{at}: column '{columns.outcome}': expected finite numbers, one for each unit and period; "
                           "found a text, an infinite number, or a unit and period twice; correct the file")
        return cls(units, made[0], first, counts)


def _refuse_in_two(path: str, files: Sequence[Path], columns: Columns, hashes: np.ndarray) -> None:
    """Raise DidError if a unit is in two files."""
    hashes.sort()
    twice = hashes[1:][hashes[1:] == hashes[:-1]]
    if not len(twice):
        return
    unit, places = "", []
    for file in files:
        units = units_of(ParquetSource(file).pieces(columns.unit))
        own = np.flatnonzero(_hashed(units) == twice[0]) if units is not None else []
        if units is not None and len(own):
            unit, places = units.labels[int(own[0])].as_py(), [*places, file.name]
    raise DidError(f"{path}: column '{columns.unit}': expected the rows of a unit in one file; found unit {unit} in "
                   f"{listed(places)}; write each unit's rows to one file")


def _hashed(units: Units) -> np.ndarray:
    return pd.util.hash_array(units.labels.to_numpy(zero_copy_only=False))


def _notes(known: Calendar, counts: dict[str, int], n_units: int, n_whole: int) -> list[str]:
    cohort, count = np.array([known.cohort[word] for word in counts]), np.array(list(counts.values()))
    late, always = np.isfinite(cohort) & (cohort > known.last), cohort <= known.first
    lost = n_units - n_whole
    return [*([FINANCIAL] if known.kind == "FY" else []),
            *cohort_notes(cohort, late, always, known.kind, known.first, known.last, count),
            *([f"{lost:,} of {n_units:,} units without an outcome in a period, left out"] if lost else [])]
