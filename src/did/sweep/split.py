"""One big file with a column of indicators, cut into parts of whole batches in two passes that never hold it all."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet

from did.errors import DidError
from did.store.provenance import atomic, sha256, write_json
from did.sweep.batches import Folders, cut, label_of
from did.sweep.fit import INDICATOR, ROW
from did.sweep.listing import NO, YES, Entry, Settings
from did.sweep.rows import header_of, is_parquet, refuse_absent, separator_of

BLOCK_BYTES = 32_000_000
BLOCK_ROWS = 500_000
MOST_ROWS = 2_000_000  # of one job
FLAG = "is_synthetic"
ABOUT = ("title", "family", FLAG)  # columns that describe an indicator, if the file has them


def split(path: str | Path, column: str, settings: Settings, folders: Folders, most: int
          ) -> tuple[list[Entry], list[int]]:
    """Write the parts of a big file and return its indicators, in the order they first appear, with their batches.

    ``path`` is a CSV or Parquet file with one row per indicator, unit and period; ``column`` names the indicator, and
    columns title, family and is_synthetic describe it, if there: the first row says, and an indicator is synthetic if
    any of its rows is. Parts hold the columns of ``settings`` and each row's place in the file. With the same file and
    settings as the time before nothing is written again.

    Raises DidError for a file that cannot be read, a column that is absent, or an empty indicator.
    """
    wanted = {getattr(settings, word): word for word in ("unit", "period")}
    words = ("numerator", "denominator") if settings.numerator else ("value",)
    wanted |= {getattr(settings, word): word for word in words}
    names = _names(path)
    refuse_absent(path, names, {column: "--indicator"} | wanted)
    about = [name for name in ABOUT if name in names and name not in wanted and name != column]
    settled = {"sha256": sha256(path), "column": column, "columns": list(wanted), "most": most, "path": str(path)}
    index = folders.work / "parts" / "index.json"
    found = _settled(index, settled, folders)
    if found is None:
        found = settled | _indicators(path, column, about, most)
        _write_parts(path, column, list(wanted), found, folders)
        write_json(index, found)
    entries = [
        Entry(position, name, each["title"] or name, each["family"], str(path), settings.unit, settings.period,
              None if settings.numerator else settings.value, settings.numerator, settings.denominator, settings.per,
              each["is_synthetic"], each["problem"])
        for position, (name, each) in enumerate(found["indicators"].items())]
    return entries, found["numbers"]


def _settled(index: Path, settled: dict, folders: Folders) -> dict | None:
    """What the time before found, if the file and settings are the same and all parts are there."""
    try:
        found = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    same = all(found.get(key) == value for key, value in settled.items())
    return found if same and all(folders.part(label_of(number)).is_file() for number in found["numbers"]) else None


def _names(path: str | Path) -> list[str]:
    if not is_parquet(path):
        return header_of(path)
    with _told(path), parquet.ParquetFile(path) as file:
        return file.schema_arrow.names


@contextlib.contextmanager
def _told(path: str | Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DidError(f"{path}: expected CSV (UTF-8) or Parquet; found a file that cannot be read ({error}); fix "
                       "it") from error


def _blocks(path: str | Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield the file's columns in blocks of rows; all columns of a CSV as text."""
    with _told(path):
        if is_parquet(path):
            with parquet.ParquetFile(path) as file:
                yield from file.iter_batches(BLOCK_ROWS, columns=columns)
            return
        reader = arrow_csv.open_csv(
            path, read_options=arrow_csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
            parse_options=arrow_csv.ParseOptions(delimiter=separator_of(path)),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=columns, column_types={name: pa.string() for name in columns},
                strings_can_be_null=False))
        yield from reader


def _labels(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's code and the labels as text; a missing one is empty."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    codes, labels = pd.factorize(column.cast(pa.string()).fill_null("").to_numpy(zero_copy_only=False))
    return codes, np.array([str(label).strip() for label in labels], dtype=object)


def _indicators(path: str | Path, column: str, about: list[str], most: int) -> dict:
    """The first pass: how many rows each indicator has, and what describes it; then its batch."""
    found: dict[str, dict] = {}
    rows: dict[str, int] = {}
    seen = 0
    for block in _blocks(path, [column, *about]):
        codes, labels = _labels(block.column(column))
        if (labels == "").any():
            row = int(np.flatnonzero(labels[codes] == "")[0]) + seen + 1
            raise DidError(f"{path}, data row {row}, column '{column}': expected an indicator; found none; fill the "
                           "cell or remove the row")
        first = np.unique(codes, return_index=True)[1]
        for code, at in enumerate(first.tolist()):
            texts = {name: _text(block.column(name)[at]) for name in about if name != FLAG}
            found.setdefault(labels[code], {"title": "", "family": "", "problem": "", "is_synthetic": False} | texts)
        if FLAG in about:
            flags, words = _labels(block.column(FLAG))
            for code, flag in np.unique(np.stack([codes, flags]), axis=1).T.tolist():
                word = words[flag].lower()
                if word not in YES | NO:
                    found[labels[code]]["problem"] = (f"{path}, column '{FLAG}', indicator {labels[code]}: expected "
                                                      f"yes or no; found '{words[flag]}'; write one of them")
                found[labels[code]][FLAG] |= word in YES
        for label, count in zip(labels, np.bincount(codes, minlength=len(labels)).tolist(), strict=True):
            rows[label] = rows.get(label, 0) + count
        seen += block.num_rows
    return {"indicators": found, "numbers": cut(list(rows.values()), most, MOST_ROWS)}


def _text(value: pa.Scalar) -> str:
    return "" if value.as_py() is None else " ".join(str(value.as_py()).split())


def _write_parts(path: str | Path, column: str, columns: list[str], found: dict, folders: Folders) -> None:
    """The second pass: every row to the part of its indicator's batch."""
    number_of = dict(zip(found["indicators"], found["numbers"], strict=True))
    seen = 1 if is_parquet(path) else 2  # the row of a CSV's first line below the header
    writers: dict[int, parquet.ParquetWriter] = {}
    with contextlib.ExitStack() as stack:
        for block in _blocks(path, list(dict.fromkeys([column, *columns]))):
            codes, labels = _labels(block.column(column))
            numbers = np.array([number_of[label] for label in labels])[codes]
            place = np.arange(seen, seen + block.num_rows, dtype=float)
            arrays = {INDICATOR: pa.array(labels).take(pa.array(codes)), ROW: pa.array(place)}
            table = pa.table({name: block.column(name) for name in columns} | arrays)
            for number in np.unique(numbers).tolist():
                if number not in writers:
                    part = stack.enter_context(atomic(folders.part(label_of(number))))
                    writers[number] = stack.enter_context(parquet.ParquetWriter(part, table.schema, compression="zstd"))
                writers[number].write_table(table.take(pa.array(np.flatnonzero(numbers == number))))
            seen += block.num_rows

