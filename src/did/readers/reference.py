"""Reference tables: small CSV files of facts, read as text with their columns and keys checked."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pandas as pd

from did.errors import DidError, listed, suggest, suggest_file
from did.readers.spreadsheet import read_csv


def read_reference(path: str | Path, columns: list[str], key: list[str], named: str = "") -> pd.DataFrame:
    """Read a reference CSV as text (an empty cell is ""), and check its columns and that ``key`` is unique
    (nothing, if it is empty). ``named`` is what gave the path, such as an option, for the message that no file is
    there.

    Raises DidError for a missing file, one that is no CSV file, a row of another length than the header, a missing
    column or one that comes twice, and a key that occurs twice.
    """
    path = Path(path)
    if not path.is_file():
        begun, found = f"{named}: " if named else "", "a folder" if path.is_dir() else "no file"
        raise DidError(f"{begun}{path}: expected a CSV table; found {found}"
                       f"{suggest_file(path) or '; correct the name, or put the table there'}")
    state = path.stat()
    return _read(path, tuple(columns), tuple(key), state.st_mtime_ns, state.st_size).copy()


@lru_cache(maxsize=64)
def _read(path: Path, columns: tuple[str, ...], key: tuple[str, ...], *_state: int) -> pd.DataFrame:
    """Read once for each state of a file, because every specification of an evaluation asks for the same tables."""
    columns, key = list(columns), list(key)
    (header, *rows), (_, *lines) = read_csv(path, str(path), remedy="write the table in it, as CSV in UTF-8")
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(header):
            raise DidError(f"{path}, row {line}: expected {len(header)} cells, as in the header; found {len(row)}; "
                           "fix the row")
    if len(set(header)) < len(header):
        raise DidError(f"{path}: expected each column once; found {listed(header, 40)}; remove one of the two")
    frame = pd.DataFrame(rows, columns=header, dtype="str")
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        near = suggest(missing[0], [column for column in header if column not in columns]).replace(
            "did you mean", "is it")
        raise DidError(f"{path}: expected {_columns(columns)}; found no {_columns(missing)} among {listed(header, 40)}"
                       f"{f'{near} rename it' if near else '; add what is missing, or correct its name'}")
    twice = frame.loc[frame.duplicated(key), key] if key else frame.head(0)
    if len(twice):
        raise DidError(f"{path}: {', '.join(key)} must be unique; found {twice.iloc[0].tolist()} twice")
    return frame


def _columns(names: list[str]) -> str:
    return f"column{'s' * (len(names) > 1)} {', '.join(repr(name) for name in names)}"
