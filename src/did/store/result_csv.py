"""The CSV files of the results: written so that no cell runs as a formula, and read back as it was."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_float_dtype, is_numeric_dtype

from did.store.provenance import write_text

# What a spreadsheet may run as a formula: text that opens with one of these signs and is not a sign alone or a number.
# Apostrophes before it count as part of it, so that taking one off undoes putting one on.
FORMULA = re.compile(r"^'*(?:[=@\t\r\n]|[+-](?!$|(?:\d[\d,]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?%?$))")
# What puts a cell of CSV in quotes.
QUOTED = re.compile(r'[,"\r\n]')


def csv_text(frame: pd.DataFrame) -> str:
    """Return ``frame`` as CSV without its index: ``\\n`` line ends, floats in full (they read back equal).

    Missing values are empty. Text that a spreadsheet may run as a formula (it begins with = + - @, a tab or a line
    break) gets a leading apostrophe, which ``read_csv`` takes off; numbers, numbers written as text and a sign alone
    are left as they are.
    """
    # `DataFrame.to_csv` takes more than twice as long: it writes every cell, and most say what many others do.
    rows = map(",".join, zip(*(_cells(frame[name]) for name in frame), strict=True))
    # A line without anything would be read as none.
    return "\n".join([",".join(map(_quoted, frame)), *(row or '""' for row in rows), ""])


def write_csv(path: str | Path, frame: pd.DataFrame) -> None:
    """Write ``frame`` to ``path`` as ``csv_text`` gives it, atomically."""
    write_text(path, csv_text(frame))


def read_csv(path: str | Path, **options: object) -> pd.DataFrame:
    """Read a file of ``write_csv`` by pandas' ``read_csv`` with ``options``, without the apostrophes put on then."""
    frame, changed = pd.read_csv(path, **options), {}
    for name in frame.columns:
        if not is_numeric_dtype(frame[name]):
            texts = {text: text[1:] for text in frame[name].dropna().unique()
                     if isinstance(text, str) and text.startswith("'") and FORMULA.search(text)}
            if texts:
                changed[name] = frame[name].map(lambda value, texts=texts: texts.get(value, value), na_action="ignore")
    return frame.assign(**changed)


def joined(files: Mapping[str, Path], which: str) -> str:
    """Return files of ``write_csv`` one below the other, text for text, with a first column ``which`` that has the name
    of each. A column that a file has not is empty."""
    read = {name: list(csv.reader(io.StringIO(path.read_bytes().decode(), newline=""))) for name, path in files.items()}
    columns = dict.fromkeys(column for header, *_ in read.values() for column in header)
    lines = [[which, *columns]]
    for name, (header, *rows) in read.items():
        places = [header.index(column) if column in header else -1 for column in columns]
        lines += [[name, *map([*row, ""].__getitem__, places)] for row in rows]
    return "".join(f"{','.join(map(_quoted, line))}\n" for line in lines)


def _cells(column: pd.Series) -> Iterable[str]:
    """The cells of a column, each value written once."""
    if is_float_dtype(column):   # by their bits, as 0.0 and -0.0 are equal
        places, bits = pd.factorize(column.to_numpy(float, na_value=np.nan).view(np.int64))
        texts = ("" if value != value else str(value) for value in bits.view(float).tolist())
    else:
        places, values = pd.factorize(column if is_numeric_dtype(column) else column.astype("str"))
        texts = (_quoted(f"'{text}" if FORMULA.search(text) else text) for text in map(str, values))
    return np.array([*texts, ""], object)[places]   # the place of a missing value is -1


def _quoted(text: str) -> str:
    """A text as a cell. The csv module of Python 3.11 leaves a carriage return without quotes, which ends the line."""
    doubled = text.replace('"', '""')
    return f'"{doubled}"' if QUOTED.search(text) else text
