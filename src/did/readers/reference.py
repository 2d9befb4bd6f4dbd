"""Reference tables: small CSV files of facts, read as text with their columns and keys checked."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pandas as pd

from did.errors import DidError, listed
from did.readers.spreadsheet import read_csv


def read_reference(path: str | Path, columns: list[str], key: list[str]) -> pd.DataFrame:
    """Read a reference CSV as text (an empty cell is ""), and check its columns and that ``key`` is unique
    (nothing, if it is empty).

    Raises DidError for a missing file, one that is no CSV file, a row of another length than the header, a missing
    column or one that comes twice, and a key that occurs twice.
    """
    path = Path(path)
    if not path.is_file():
        raise DidError(f"{path}: expected a reference table; found no file; restore it")
    state = path.stat()
    return _read(path, tuple(columns), tuple(key), state.st_mtime_ns, state.st_size).copy()


@lru_cache(maxsize=64)
def _read(path: Path, columns: tuple[str, ...], key: tuple[str, ...], *_state: int) -> pd.DataFrame:
    """Read once for each state of a file, because every specification of an evaluation asks for the same tables."""
    columns, key = list(columns), list(key)
    (header, *rows), (_, *lines) = read_csv(path, str(path))
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(header):
            raise DidError(f"{path}, row {line}: expected {len(header)} cells, as in the header; found {len(row)}; "
                           "fix the row")
    if len(set(header)) < len(header):
        raise DidError(f"{path}: expected each column once; found {listed(header, 40)}; remove one of the two")
    frame = pd.DataFrame(rows, columns=header, dtype="str")
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise DidError(f"{path}: expected columns {columns}; missing {missing}; found {listed(header, 40)}")
    twice = frame.loc[frame.duplicated(key), key] if key else frame.head(0)
    if len(twice):
        raise DidError(f"{path}: {', '.join(key)} must be unique; found {twice.iloc[0].tolist()} twice")
    return frame
