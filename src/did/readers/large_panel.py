"""The panel of a Parquet file or data frame of millions of rows, without a copy of its cells as Python objects."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from did.errors import DidError
from did.estimators.base import Panel
from did.estimators.labels import is_missing, label, same_number
from did.readers.arrow_panel import Source, calendar, coded, matrix, one_per_unit, units_of
from did.readers.limits import limit
from did.readers.panel_cohorts import treated_from
from did.readers.panel_columns import Columns, level_of, outcome_notes
from did.readers.panel_periods import FINANCIAL, internal_frequency, period_labels

if TYPE_CHECKING:
    import pyarrow as pa

# Read in one go.
ROWS = 2**19


class ParquetSource:
    """The columns of a Parquet file, each read when it is asked for: `did.readers.arrow_panel.Source`; the last type
    of each name, and how many rows there are."""

    def __init__(self, path: Path) -> None:
        from pyarrow import parquet

        self.name = str(path)
        self._path = path
        with parquet.ParquetFile(path) as file:
            self.names = list(file.schema_arrow.names)
            self.types = dict(zip(self.names, file.schema_arrow.types, strict=True))
            self.n_rows = file.metadata.num_rows

    def place(self, row: int) -> str:
        """Return where a row is: its number, from 1."""
        return str(row + 1)

    def pieces(self, name: str) -> Iterator[pa.Array]:
        """Yield a column in pieces."""
        import pyarrow as pa
        from pyarrow import parquet

        with parquet.ParquetFile(self._path, pre_buffer=False, buffer_size=ROWS) as file:
            for batch in file.iter_batches(columns=[name], batch_size=ROWS, use_threads=False):
                yield batch.column(0)
                pa.default_memory_pool().release_unused()   # which else keeps what is given back
        pa.default_memory_pool().release_unused()


class FrameSource:
    """The columns of a pandas frame: `did.readers.arrow_panel.Source`."""

    def __init__(self, frame: pd.DataFrame, name: str) -> None:
        self.name, self._frame, self.names = name, frame, list(frame.columns)

    def place(self, row: int) -> str:
        """Return where a row is: its position, from 0."""
        return f"at position {row}"

    def pieces(self, name: str) -> Iterator[pa.Array]:
        """Yield a column in pieces."""
        import pyarrow as pa

        found = pa.Array.from_pandas(self._frame[name])
        yield from found.chunks if isinstance(found, pa.ChunkedArray) else [found]


@dataclasses.dataclass(frozen=True)
class Found:
    """A panel, what was read in a way to know of, a sentence each, and the kind of its periods."""

    panel: Panel
    notes: list[str]
    kind: str


def from_parquet(path: str | Path, columns: Columns, frequency: str) -> Found | None:
    """Return the panel that `did.readers.panel_file.load` gives, of a Parquet file; None where that has to look itself.

    Raises DidError where the design is not one.
    """
    path = Path(path)
    if not path.is_file() or path.stat().st_size > limit("FILE_MB") * 1e6:
        return None
    with open(path, "rb") as file:
        if file.read(4) != b"PAR1":
            return None
    import pyarrow as pa

    try:
        return of_source(ParquetSource(path), columns, frequency)
    except (pa.ArrowException, OSError):
        return None   # said where the file is read whole


def from_frame(frame: pd.DataFrame, columns: Columns, frequency: str, name: str) -> Found | None:
    """Return the panel that `did.readers.panel_file.of_table` gives, of a pandas frame; None where that has to look
    itself. Raises DidError where the design is not one."""
    import pyarrow as pa

    try:
        return of_source(FrameSource(frame, name), columns, frequency)
    except (pa.ArrowException, TypeError, ValueError):
        return None


def of_source(source: Source, columns: Columns, frequency: str) -> Found | None:
    """Return the panel of a source's columns; None where anything is not plain.

    Plain are an outcome and covariates that are numbers, units that are whole numbers or texts, and no treatment,
    weight or dose. Raises DidError where the design is not one.
    """
    if columns.cohort is None or columns.weight or columns.dose or any(
            source.names.count(name) != 1 for name in columns.named()):
        return None
    units = units_of(source.pieces(columns.unit))
    if units is None:
        return None
    period, cohort = coded(source.pieces(columns.period)), coded(source.pieces(columns.cohort))
    try:
        known = calendar(source.name, dict.fromkeys(period.words, ""), dict.fromkeys(cohort.words, ""),
                         (columns.period, columns.cohort), frequency)
    except DidError:
        return None   # said with its row where each is looked at
    shape = len(units.labels), known.n_periods
    first, varies = one_per_unit(cohort.codes, units.codes, shape[0])
    if shape[0] * shape[1] > limit("PANEL_CELLS") or varies is not None:
        return None
    place = np.array([known.period[word] for word in period.words], dtype=period.codes.dtype)[period.codes]
    onset_place = np.array([known.cohort[word] for word in cohort.words])[first]
    del period, cohort
    clusters = {level_of(name, columns): labels_of_clusters(source.pieces(name), units.codes, shape[0])
                for name in columns.clusters if name != columns.unit}
    made = {name: matrix(source.pieces(name), units.codes, place, shape)
            for name in (columns.outcome, *columns.covariates)}
    if any(each is None for each in (*clusters.values(), *made.values())):
        return None
    arrays = {name: each[0] for name, each in made.items() if each is not None}
    gone = made[columns.outcome][1]
    if len(gone) == len(units.codes):
        return None
    n_rows, labels = len(units.codes), units.labels
    del units, place
    names = pd.Index(pd.array(labels, dtype="str"))
    position, notes = treated_from(source.name, columns.cohort, onset_place, known.kind, names,
                                   (known.first, known.last))
    notes += outcome_notes(f"{source.name}, row {source.place(gone[0])}, column '{columns.outcome}'" if len(gone) else
                           "", len(gone), n_rows, shape[0] * shape[1])
    onset = np.where(np.isfinite(position), position, shape[1]).astype(int)
    del position, onset_place, first
    # The index's own array, not its texts as objects, which would take as much as the outcome.
    own = {"unit": names.array}
    panel = Panel(arrays[columns.outcome], names, period_labels(known.kind, known.first, known.last),
                  internal_frequency(known.kind, frequency), onset, (onset < shape[1]).astype(float), "binary",
                  own | clusters, None, {name: arrays[name] for name in columns.covariates})
    return Found(panel, [*([FINANCIAL] if known.kind == "FY" else []), *notes], known.kind)


def labels_of_clusters(column: Iterator[pa.Array], units: np.ndarray, n_units: int) -> np.ndarray | None:
    """Return (units,) labels of clusters; None where one is missing, varies in a unit or is not plain."""
    found = coded(column)
    if "" in found.words or any(map(is_missing, found.words)) or same_number(found.words) is not None:
        return None
    first, varies = one_per_unit(found.codes, units, n_units)
    return None if varies is not None else np.array([label(word) for word in found.words], dtype=object)[first]
