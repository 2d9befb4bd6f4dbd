"""The CSV files of the results: written so that no cell runs as a formula, and read back as it was."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from did.store.provenance import write_text

# What a spreadsheet may run as a formula: text that opens with one of these signs and is not a sign alone or a number.
# Apostrophes before it count as part of it, so that taking one off undoes putting one on.
FORMULA = re.compile(r"^'*(?:[=@\t\r\n]|[+-](?!$|(?:\d[\d,]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?%?$))")


def csv_text(frame: pd.DataFrame) -> str:
    """Return ``frame`` as CSV without its index: ``\\n`` line ends, floats in full (they read back equal).

    Missing values are empty. Text that a spreadsheet may run as a formula (it begins with = + - @, a tab or a line
    break) gets a leading apostrophe, which ``read_csv`` takes off; numbers, numbers written as text and a sign alone
    are left as they are.
    """
    frame, into = _mapped(frame, lambda text: f"'{text}"), io.StringIO()
    # What `DataFrame.to_csv` does, which takes a third longer: it makes texts of whole numbers first.
    writer = csv.writer(into, lineterminator="\n")
    writer.writerow(frame.columns)
    writer.writerows(zip(*(frame[name].to_numpy(object, na_value="") for name in frame), strict=True))
    return into.getvalue()


def write_csv(path: str | Path, frame: pd.DataFrame) -> None:
    """Write ``frame`` to ``path`` as ``csv_text`` gives it, atomically."""
    write_text(path, csv_text(frame))


def read_csv(path: str | Path, **options: object) -> pd.DataFrame:
    """Read a file of ``write_csv`` by pandas' ``read_csv`` with ``options``, without the apostrophes put on then."""
    return _mapped(pd.read_csv(path, **options), lambda text: text[1:] if text.startswith("'") else text)


def _mapped(frame: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    """``frame`` with ``change`` made to every text that looks like a formula."""
    changed = {}
    for name in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            texts = {value: change(value) for value in frame[name].dropna().unique()
                     if isinstance(value, str) and FORMULA.search(value)}
            if texts:
                changed[name] = frame[name].map(lambda value, texts=texts: texts.get(value, value), na_action="ignore")
    return frame.assign(**changed)
