"""A delimited text file read as text, with the line of the file each row is on, for messages that say where."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import io
import math
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from did.errors import DidError, listed, suggest, suggest_file
from did.estimators.labels import MISSING, label, same_number, two_ways
from did.readers.limits import compression, csv_rows, limit, read_unpacked, refuse_large
from did.readers.numerals import dot_remedy, remedy, thousands_dot

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
TRUTHS = {"true": 1.0, "false": 0.0}


@dataclasses.dataclass(frozen=True)
class Table:
    """The columns asked for of one file or data frame, as stripped text, with the line of the file each row ends on.

    ``separator`` is what is between the cells of the file; ``floats`` holds the columns that are numbers already.
    """

    file: str
    text: Mapping[str, np.ndarray]
    lines: Sequence[object] | np.ndarray
    separator: str = ","
    floats: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def cell(self, row: int, column: str) -> str:
        """Return where a cell is, for the beginning of a message."""
        return f"{self.file}, row {self.lines[row]}, column '{column}'"


def read_table(path: str | Path, wanted: dict[str, str]) -> tuple[Table, list[str]]:
    """Return the columns asked for of a CSV file as text, and what to note about the file.

    ``wanted`` maps each column to the option that names it, for messages. The file has a header and a row per line,
    with commas, semicolons, tabs or bars between cells, UTF-8 with or without a byte-order mark, any line ends; see
    `decode` for compressed ones. Rows without any text are skipped.

    Raises DidError if the file is missing, is not text or empty, a column is absent (with the closest name) or comes
    twice, a row has another length than the header, or there is no row.
    """
    path = Path(path)
    refuse_large(path, str(path))
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no file"
        raise DidError(f"{path}: expected a CSV file; found {found}"
                       f"{suggest_file(path) or '; give the path of a panel file'}")
    return of_text(path, decode(path), wanted)


def of_text(path: Path, text: str, wanted: dict[str, str]) -> tuple[Table, list[str]]:
    """Return what `read_table` does, of the text of a file called ``path``. Raises DidError as there."""
    separator, header = _header(path, text, wanted)
    place = {}
    for column, option in wanted.items():
        if header.count(column) != 1:
            if column in header:
                raise DidError(f"{path}, row 1: expected one column '{column}' ({option}); found "
                               f"{header.count(column)}; rename or remove the others")
            case = [cell for cell in header if cell.lower() == column.lower()]
            near = f"; did you mean '{case[0]}'?" if case else suggest(column, header)
            raise DidError(f"{path}: {option}: expected one of the columns {listed(header, 40)}; found '{column}'{near}"
                           f"{'' if near else '; name a column that is there'}")
        place[column] = header.index(column)
    notes = []
    if separator != ",":
        notes.append(f"the cells of {path.name} are separated by {SEPARATORS[separator]}")
    columns = _plain_columns(text, separator, header, place)
    if columns is not None:
        return Table(str(path), columns, np.arange(2, len(next(iter(columns.values()))) + 2), separator), notes
    reader = _rows(path, text, separator)
    next(reader)  # the header
    rows, lines, n_empty = [], [], 0
    taken = list(place.values())
    for line, row in reader:
        if not any(row):
            n_empty += bool(row)
            continue
        if len(row) != len(header):
            raise DidError(f"{path}, row {line}: expected {len(header)} cells, as in the header; found "
                           f"{len(row)}; fix the row (put quotes around a cell that holds a separator)")
        rows.append([row[position].strip() for position in taken])
        lines.append(line)
    if not rows:
        raise DidError(f"{path}: expected one row per unit and period below the header; found no row; "
                       "check the file")
    if n_empty:
        notes.append(f"{n_empty} rows with only empty cells are skipped")
    cells = zip(*rows, strict=True)
    return Table(str(path), {name: np.array(column, dtype=object) for name, column in
                             zip(place, cells, strict=True)}, np.array(lines), separator), notes


def _plain_columns(text: str, separator: str, header: list[str], place: dict[str, int]) -> dict[str, np.ndarray] | None:
    """Return the columns of a text where every line is a row of as many cells as the header; else None.

    Such files, the most usual, are read some ten times faster than row by row; the others need a row's place.
    """
    text = text.replace("\r\n", "\n").rstrip("\n")
    if '"' in text or "\r" in text:
        return None
    raw = np.frombuffer(text.encode(), dtype=np.uint8)
    starts = np.concatenate([[0], np.flatnonzero(raw == ord("\n")) + 1])
    lengths = np.diff(np.append(starts, len(raw) + 1))
    if len(starts) < 2 or (lengths == 1).any() or lengths.max() > limit("CELL_CHARACTERS"):
        return None
    n_separators = np.add.reduceat((raw == ord(separator)).astype(np.int32), starts)
    if (n_separators != len(header) - 1).any():
        return None
    frame = pd.read_csv(io.StringIO(text), sep=separator, header=None, skiprows=1, names=range(len(header)),
                        usecols=sorted(place.values()), dtype=object, na_filter=False, quoting=csv.QUOTE_NONE,
                        skip_blank_lines=False, index_col=False)
    spaced = any(space in text for space in " \t\xa0")
    columns = {name: frame[position].to_numpy(dtype=object) for name, position in place.items()}
    if spaced:
        columns = {name: np.array([cell.strip() for cell in cells], dtype=object) for name, cells in columns.items()}
    return None if (np.stack(list(columns.values())) == "").all(axis=0).any() else columns


def _rows(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a text from the header on, each with the line it ends on."""
    line, begun = 0, False
    try:
        for line, row in csv_rows(str(path), io.StringIO(text, newline=""), delimiter=separator):
            if begun or any(cell.strip() for cell in row):
                begun = True
                yield line, row
    except csv.Error as error:
        raise DidError(f"{path}, row {line + 1}: expected CSV; found text that cannot be read as such "
                       f"({error}); check the quotes") from error


def decode(path: Path) -> str:
    """Return the text of a CSV file, also of one that is compressed by gzip or the only file in a zip.

    Raises DidError if it is a spreadsheet or a Parquet file, is compressed in another way, cannot be unpacked, unpacks
    to more than `did.readers.limits` allows, is no UTF-8 (or UTF-16) text, or is empty.
    """
    return text_of(path, path.read_bytes())


def text_of(path: Path, raw: bytes) -> str:
    """Return the text of the content ``raw`` of a file called ``path``, as `decode` does. Raises DidError as there."""
    raw = _unpacked(path, raw)
    if raw.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"PAR1")):
        kind = "a Parquet file" if raw.startswith(b"PAR1") else "a spreadsheet"
        raise DidError(f"{path}: expected a CSV file; found {kind}; save it as CSV (UTF-8)")
    encoding = "utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DidError(f"{path}, row {line}: expected UTF-8 text; found the byte {raw[error.start]:#04x}; save "
                       "the file as CSV UTF-8") from error
    if "\x00" in text:
        raise DidError(f"{path}: expected a text file; found binary data; save it as CSV (UTF-8)")
    if not text.strip():
        raise DidError(f"{path}: expected a header and rows; found an empty file; check the file")
    return text


def _unpacked(path: Path, raw: bytes) -> bytes:
    how = compression(raw[:8])
    if how is None or (how == "zip" and not zipfile.is_zipfile(io.BytesIO(raw))):
        return raw
    try:
        if how == "gzip":
            with gzip.open(io.BytesIO(raw)) as stream:
                return read_unpacked(stream, str(path), len(raw))
        if how == "zip":
            return _only_part(path, raw)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise DidError(f"{path}: expected a CSV file compressed by {how}; found one that cannot be unpacked ({error}); "
                       "copy it again, or unpack it and name what was in it") from error
    raise DidError(f"{path}: expected a CSV file, or one compressed by gzip; found one compressed by {how}; unpack it")


def _only_part(path: Path, raw: bytes) -> bytes:
    """The one file in a zip; the zip itself, for the message of a spreadsheet, if it is one."""
    with zipfile.ZipFile(io.BytesIO(raw)) as packed:
        names = packed.namelist()
        if {"[Content_Types].xml", "mimetype"} & set(names):
            return raw
        files = [name for name in names if not name.endswith("/") and not name.startswith("__MACOSX/")]
        if len(files) != 1:
            raise DidError(f"{path}: expected one CSV file in the zip; found {listed(files) or 'none'}; unpack it and "
                           "name one of them")
        with packed.open(files[0]) as stream:
            return read_unpacked(stream, str(path), len(raw))


def _header(path: Path, text: str, wanted: Iterable[str]) -> tuple[str, list[str]]:
    """Return the separator that finds most of the wanted columns (then gives most cells), and the header's cells."""
    best: tuple[tuple[int, int], str, list[str]] | None = None
    for separator in SEPARATORS:
        _, row = next(_rows(path, text, separator), (0, []))
        cells = [cell.strip() for cell in row]
        score = (sum(column in cells for column in wanted), len(cells))
        if best is None or score > best[0]:
            best = (score, separator, cells)
    if not best[2]:
        raise DidError(f"{path}: expected a header and rows; found only empty cells; check the file")
    return best[1], best[2]


def numbers(table: Table, column: str) -> np.ndarray:
    """Return a column as floats, one a row, NaN where the cell is empty, NA, NaN or a full stop.

    A column of nothing but True and False, in any case, is 1 and 0, as it is where a frame or Parquet has it.

    Raises DidError at the first other text, infinity, thousands separator or decimal comma, and where the dots of the
    column may separate thousands (`did.readers.numerals`).
    """
    if column in table.floats:
        return _finite(table, column)
    text = table.text[column]
    _refuse_thousands_dots(table, column)
    try:
        values = text.astype(float)
        if np.isfinite(values).all() and not any("_" in word for word in text):
            return values
    except ValueError:
        pass  # some cell is empty or no number: look at each
    codes, found = pd.factorize(text)
    known = dict.fromkeys(MISSING, math.nan)
    if {word.lower() for word in found} <= {*known, *TRUTHS}:
        known |= TRUTHS
    values = np.array([known[word.lower()] if word.lower() in known else _float(word) for word in found], dtype=float)
    wrong = np.isinf(values)[codes]
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        word = text[row]
        raise DidError(f"{table.cell(row, column)}: expected a number; found '{word}'; "
                       f"{remedy(word, commas=table.separator == ',')}")
    return values[codes]


def _finite(table: Table, column: str) -> np.ndarray:
    found = table.floats[column]
    wrong = np.flatnonzero(np.isinf(found))
    if len(wrong):
        row = int(wrong[0])
        raise DidError(f"{table.cell(row, column)}: expected a number; found '{found[row]}'; write a number, or leave "
                       "the cell empty if it was not observed")
    return found


def _refuse_thousands_dots(table: Table, column: str) -> None:
    words = table.text[column].tolist()
    row = thousands_dot(words, semicolons=table.separator == ";")
    if row is not None:
        raise DidError(f"{table.cell(row, column)}: expected a number with a decimal point; found '{words[row]}'; "
                       f"{dot_remedy(words[row])}")


def _float(word: str) -> float:
    """A finite number, or infinity for everything else."""
    try:
        value = float(word) if "_" not in word else math.inf
    except ValueError:
        return math.inf
    return value if math.isfinite(value) else math.inf


def refuse_empty(table: Table, column: str, expected: str) -> None:
    """Raise DidError at the first empty cell of a column; ``expected`` says what should be there."""
    empty = np.flatnonzero(pd.Series(table.text[column]).str.lower().isin(MISSING))
    if len(empty):
        raise DidError(f"{table.cell(int(empty[0]), column)}: expected {expected}; found "
                       f"'{table.text[column][empty[0]]}'; fill the cell or remove the row")


def labels(table: Table, column: str, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's position in the labels of a column, and the labels (`did.estimators.labels`) in the order they
    appear.

    ``what`` says what is labelled, such as ``a unit``. Raises DidError at the first empty cell, and at a number that is
    written in two ways.
    """
    refuse_empty(table, column, what)
    codes, words = pd.factorize(table.text[column])
    twice = same_number(words)
    if twice is not None:
        row = int(np.argmax(codes == twice[0]))
        raise DidError(f"{table.cell(row, column)}: {two_ways(words, twice, what)}")
    return codes, np.array([label(word) for word in words], dtype=object)
