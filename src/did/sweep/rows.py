"""The rows of an indicator, from a CSV or Parquet file, as the tables that `did.readers.panel_file` checks."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet

from did.errors import DidError, listed, suggest
from did.estimators.labels import label
from did.readers.csv_table import SEPARATORS, Table, decode, numbers, read_table
from did.readers.limits import compression


def header_of(path: str | Path) -> list[str]:
    """Return the names of the columns in the first line of a delimited text file.

    Raises DidError if there is no such file.
    """
    if not Path(path).is_file():
        raise DidError(f"{path}: expected a CSV file; found {'a folder' if Path(path).is_dir() else 'no file'}; "
                       "correct the path")
    first, separator = _first_line(path)
    return [cell.strip() for cell in next(csv.reader(io.StringIO(first), delimiter=separator), []) if cell.strip()]


def separator_of(path: str | Path) -> str:
    """Return what is between the cells of a delimited text file, by its first line.

    A comma for Parquet, and without a file.
    """
    return _first_line(path)[1] if Path(path).is_file() and not is_parquet(path) else ","


def _first_line(path: str | Path) -> tuple[str, str]:
    with open(path, "rb") as file:
        start = file.readline(1 << 20)
    first = decode(Path(path)).lstrip().partition("\n")[0] if compression(start) else (
        start.decode("utf-8-sig", errors="replace"))
    first = first.rstrip("\r\n")
    return first, max(SEPARATORS, key=first.count)


def is_parquet(path: str | Path) -> bool:
    """Return whether the file begins as Parquet files do. False if there is none."""
    if not Path(path).is_file():
        return False
    with open(path, "rb") as file:
        return file.read(4) == b"PAR1"


def read(path: str | Path, wanted: dict[str, str]) -> Table:
    """Return the ``wanted`` columns (name -> what names it) of a CSV or Parquet file.

    Texts are as `did.readers.csv_table.read_table` gives them; number columns of Parquet stay numbers, missing ones
    NaN.
    Raises DidError as read_table does, and for a Parquet file that cannot be read.
    """
    return read_parquet(path, wanted) if is_parquet(path) else read_table(path, wanted)[0]


def read_parquet(path: str | Path, wanted: dict[str, str]) -> Table:
    """Return the ``wanted`` columns of a Parquet file. Raises DidError for a missing column, an unreadable file, and
    a file without rows."""
    try:
        with parquet.ParquetFile(path) as file:
            refuse_absent(path, file.schema_arrow.names, wanted)
            found = file.read(columns=list(wanted))
    except (pa.ArrowException, OSError) as error:
        raise DidError(f"{path}: expected a Parquet file; found one that cannot be read ({type(error).__name__}); make "
                       "it again") from error
    if not found.num_rows:
        raise DidError(f"{path}: expected one row per unit and period; found no row; check the file")
    return Table(str(path), {name: _array(found.column(name)) for name in wanted}, np.arange(1, found.num_rows + 1))


def refuse_absent(path: str | Path, names: list[str], wanted: dict[str, str]) -> None:
    """Raise DidError at the first wanted column that is not among ``names``."""
    for column, word in wanted.items():
        if names.count(column) != 1:
            near = suggest(column, names) or "; name a column that is there, once"
            raise DidError(f"{path}: {word}: expected one of the columns {listed(names, 40)}; found '{column}'{near}")


def _array(column: pa.ChunkedArray) -> np.ndarray:
    """Floats for a column of decimal numbers, else stripped texts with "" for what is missing."""
    if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        return column.cast(pa.float64()).to_numpy()
    words = column.combine_chunks().dictionary_encode() if not pa.types.is_dictionary(column.type) else (
        column.combine_chunks())
    if isinstance(words, pa.ChunkedArray):
        words = words.chunk(0) if words.num_chunks else pa.array([], pa.string()).dictionary_encode()
    labels = [str(word).strip() if word is not None else "" for word in words.dictionary.to_pylist()]
    codes = words.indices.fill_null(len(labels)).to_numpy(zero_copy_only=False)
    return np.array([*labels, ""], dtype=object)[codes]


def values(table: Table, column: str) -> np.ndarray:
    """Return a column as floats, NaN = not observed. Raises DidError at the first that is no finite number."""
    found = table.text[column]
    if found.dtype == object:
        return numbers(table, column)
    wrong = np.flatnonzero(np.isinf(found))
    if len(wrong):
        raise DidError(f"{table.cell(int(wrong[0]), column)}: expected a number; found '{found[wrong[0]]}'; write a "
                       "number, or leave the cell empty if it was not observed")
    return found


def as_text(table: Table, columns: list[str]) -> Table:
    """Return the table with ``columns`` as text where they are numbers of a Parquet file: 12.0 is ``12``, NaN empty."""
    found = {name: table.text[name] for name in columns if table.text[name].dtype != object}
    text = {name: np.array(["" if value != value else label(value) for value in column.tolist()], dtype=object)
            for name, column in found.items()}
    return dataclasses.replace(table, text=table.text | text)


def subset(table: Table, rows: np.ndarray) -> Table:
    """Return the rows of a table in a mask, a slice or an array of positions."""
    return dataclasses.replace(table, text={name: column[rows] for name, column in table.text.items()},
                               lines=table.lines[rows])


def split_rows(table: Table, column: str) -> dict[str, np.ndarray]:
    """Return label -> positions of its rows, in the order labels first appear, for a column of labels."""
    codes, labels = pd.factorize(table.text[column])
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(labels)))
    return {str(label): order[end - count:end]
            for label, end, count in zip(labels, ends, np.diff(ends, prepend=0), strict=True)}
