"""A table from any file: text with separators, Parquet, Excel, Stata, compressed or not, or standard input."""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from did.errors import DidError, listed
from did.readers.csv_table import Table, of_text, read_table, text_of
from did.readers.frame_table import frame_table
from did.readers.limits import refuse_large
from did.readers.spreadsheet import plain
from did.readers.workbook import opened

STANDARD_INPUT, ITS_NAME = "-", "standard input"
WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods")
# How many rows of a sheet may stand before the header, such as titles.
HEADER_WITHIN = 40


def read_any(path: str | Path, wanted: dict[str, str]) -> tuple[Table, list[str]]:
    """Return the ``wanted`` columns (name -> the option that names it) of a file, and what to note about it.

    By what the file is, not by its name alone: Parquet, Stata (.dta), a workbook (.xlsx, .xlsm, .xls, .ods: the one
    sheet with the columns, whose header may have titles above it), else text as by `did.readers.csv_table.read_table`,
    which may be packed by gzip or zip. ``-`` is text from standard input. Stata's value labels stand for their values,
    and its dates are dates.

    Raises DidError as `read_table`, and for: a Parquet or Stata file that cannot be read; a workbook as
    `did.readers.workbook.opened`; no sheet with the columns, or several.
    """
    if str(path) == STANDARD_INPUT:
        name = Path(ITS_NAME)
        return of_text(name, text_of(name, sys.stdin.buffer.read()), wanted)
    path = Path(path)
    refuse_large(path, str(path))
    if not path.is_file():
        return read_table(path, wanted)   # which says so
    with open(path, "rb") as file:
        start = file.read(4)
    if start == b"PAR1":
        return _parquet(path, wanted)
    if path.suffix.lower() == ".dta":
        return _stata(path, wanted)
    if path.suffix.lower() in WORKBOOKS:
        return _sheet(path, wanted)
    return read_table(path, wanted)


def _parquet(path: Path, wanted: Mapping[str, str]) -> tuple[Table, list[str]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            found = file.read(columns=[name for name in dict.fromkeys(wanted) if name in names])
    except (pa.ArrowException, OSError) as error:
        raise DidError(f"{path}: expected a Parquet file; found one that cannot be read ({type(error).__name__}); make "
                       "it again") from error
    frame = found.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
    _refuse_absent(path, names, wanted)
    return frame_table(frame, wanted, str(path), np.arange(1, len(frame) + 1)), []


def _stata(path: Path, wanted: Mapping[str, str]) -> tuple[Table, list[str]]:
    try:
        with pd.read_stata(path, iterator=True, convert_missing=False) as reader:
            frame = reader.read(convert_categoricals=_labels_are_unique(reader))
    except (ValueError, LookupError, OSError, EOFError, ArithmeticError, MemoryError, NotImplementedError,
            struct.error) as error:
        raise DidError(f"{path}: expected a Stata file (.dta); found one that cannot be read ({str(error)[:200]}); "
                       "save it again, or as CSV") from error
    return frame_table(frame, wanted, str(path), np.arange(1, len(frame) + 1)), []


def _labels_are_unique(reader: pd.io.stata.StataReader) -> bool:
    return all(len(set(labels.values())) == len(labels) for labels in reader.value_labels().values())


def _sheet(path: Path, wanted: Mapping[str, str]) -> tuple[Table, list[str]]:
    """The sheet whose header has the columns, or, so that the message names what is there, the first."""
    grids = {}
    with opened(path, str(path)) as workbook:
        for sheet in workbook.names:
            grids[sheet] = workbook.cells(sheet)
    heads = {sheet: _header(grid, wanted) for sheet, grid in grids.items()}
    complete = [sheet for sheet, (_, n_found) in heads.items() if n_found == len(wanted)]
    if len(complete) > 1:
        raise DidError(f"{path}: expected one sheet with the columns {listed(wanted)}; found {listed(complete)}; leave "
                       "only one of them in the workbook")
    best = complete[0] if complete else max(heads, key=lambda sheet: heads[sheet][1], default="")
    if not grids.get(best):
        raise DidError(f"{path}: expected a header and rows; found no sheet with any; check the file")
    at, _ = heads[best]
    header = [plain(cell) for cell in grids[best][at]]
    rows = [(line, row) for line, row in enumerate(grids[best][at + 1:], at + 2) if any(plain(cell) for cell in row)]
    cells = list(zip(*(row for _, row in rows), strict=True)) or [()] * len(header)
    frame = pd.concat([pd.Series([None if cell == "" else cell for cell in column], dtype=object).infer_objects()
                       for column in cells], axis=1)
    frame.columns = header
    table = frame_table(frame, wanted, f"{path}, sheet '{best}'", np.array([line for line, _ in rows]))
    return table, [f"read from sheet '{best}' of {len(grids)}"] if len(grids) > 1 else []


def _header(grid: list[list[object]], wanted: Mapping[str, str]) -> tuple[int, int]:
    """The row of a sheet, among its first, that has most of the wanted columns, and how many."""
    counts = [len(set(wanted) & {plain(cell) for cell in row}) for row in grid[:HEADER_WITHIN]]
    most = max(counts, default=0)
    return (counts.index(most) if most else 0), most


def _refuse_absent(path: Path, names: list[str], wanted: Mapping[str, str]) -> None:
    empty = pd.DataFrame({name: [0] for name in names})
    frame_table(empty, wanted, str(path))
