"""A look at a file that is to become an indicator: its reader, header, periods and areas, as far as they show."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from did.errors import DidError, suggest
from did.fetch.contents import kind
from did.readers import RawFile
from did.readers.excel_table import sheet_rows
from did.readers.periods import kind_of, read_period, reads
from did.readers.spreadsheet import fold, plain, read_csv, read_sheet
from did.readers.tidy_csv import below_titles, refuse_large
from did.readers.workbook import opened

HEADER_WITHIN = 40
ENCODINGS = ("utf-8-sig", "cp1252")
# Codes that say what an area is; the first that fits most of a column is taken.
CODES = {"upper_tier": r"E(06|08|09|10)\d{6}", "ccg": r"E38\d{6}|\d\d[A-Z]|[A-Z]\d[A-Z]\d[A-Z]", 
         "lower_tier": r"E0[6-9]\d{6}", "stp": r"E54\d{6}|Q[A-Z0-9]{2}", "practice": r"[A-HJ-NPVWY]\d{5}",
         "region": r"E12\d{6}|E40\d{6}|Y\d\d"}
FINGERTIPS = {"Indicator ID", "Area Code", "Time period", "Value"}
MARKS = {"suppressed": ["*", "[c]", "[C]", "c", "<5", "[x]"],
         "missing": ["-", "..", ".", ":", "n/a", "N/A", "NA", "[z]"]}


@dataclass(frozen=True)
class Look:
    """What a file looks like: ``rows`` are all rows of cells below ``header``."""

    path: Path
    reader: str
    header: list[str]
    rows: list[list[Any]] = field(repr=False)
    lines: list[int] = field(repr=False)   # of the rows, in the file
    options: dict[str, Any]          # of the reader: encoding, or sheet and header_row
    area_column: str | None
    area_type: str | None
    name_column: str | None
    period_column: str | None        # None: the periods are columns, or cannot be seen
    period_columns: list[str]
    frequency: str | None            # M, Q, Y or FY
    periods: list[str]
    marks: dict[str, list[str]]
    has_percent: bool


def look(path: str | Path, *, sheet: str | None = None, header_row: int | None = None, reader: str | None = None,
         encoding: str | None = None, area_column: str | None = None, period_column: str | None = None,
         units: set[str] | None = None) -> Look:
    """Return what can be seen of a CSV file or workbook; what is given is not guessed. ``units`` are the codes of an
    evaluation that has its own; the column that holds most of them is then that of the areas.

    Raises DidError for no file, a folder, a file over 200 MB, a file that is neither text nor a workbook, an empty
    file, text in no known encoding, no such sheet, a header with one column, and a given column that is not there.
    """
    path = Path(path)
    refuse_large(path, str(path))
    if not path.is_file():
        raise DidError(f"{path}: expected a file; found none; correct the path")
    found = kind(path)
    if found not in ("text", "ole2", "zip"):
        words = {"empty": "an empty file", "html": "a web page", "xml": "an XML document"}.get(found, "some other file")
        raise DidError(f"{path}: expected a CSV file or an Excel workbook; found {words}; save it as one of them")
    if found == "text":
        _refuse(reader, "excel_table", path, "text")
        header, rows, lines, options = _csv(path, encoding, header_row)
        guessed = "fingertips_csv" if set(header) >= FINGERTIPS else "tidy_csv"
    else:
        for wrong in ("tidy_csv", "fingertips_csv"):
            _refuse(reader, wrong, path, "a workbook")
        header, rows, lines, options = _excel(path, sheet, header_row)
        guessed = "excel_table"
    if len(header) < 2:
        raise DidError(f"{path}: expected a header with two columns or more; found one, '{header[0][:60]}'; save the "
                       "table with commas between its cells")
    if not rows:
        raise DidError(f"{path}: expected rows below the header; found none; save the table again")
    for column in (area_column, period_column):
        if column is not None and column not in header:
            raise DidError(f"{path}: expected a column '{column}'; found {', '.join(header)}{suggest(column, header)}")
    cells = {label: [plain(row[place]) if place < len(row) else "" for row in rows]
             for place, label in enumerate(header)}
    area_column, area_type = _areas(cells, area_column, units)
    period_column, frequency, periods = _periods(header, rows, cells, period_column, area_column)
    period_columns: list[str] = []
    if period_column is None:
        period_columns, frequency, periods = _across(header)
    marks, has_percent = _marks(cells, {area_column, period_column})
    name_column = next((label for label in header if "name" in label.casefold() and label != area_column
                        and header.count(label) == 1), None)
    return Look(path, reader or guessed, header, rows, lines, options, area_column, area_type, name_column,
                period_column, period_columns, frequency, periods, marks, has_percent)


def _refuse(reader: str | None, wrong: str, path: Path, what: str) -> None:
    if reader == wrong:
        right = "tidy_csv" if wrong == "excel_table" else "excel_table"
        fits = "a workbook" if right == "tidy_csv" else "text"
        raise DidError(f"{path}: reader {wrong} does not fit: expected {fits}; found {what}; use {right}")


def _csv(path: Path, encoding: str | None, header_row: int | None) -> tuple[list[str], list[list[str]], list[int],
                                                                            dict[str, Any]]:
    with open(path, "rb") as handle:
        start = handle.read(2)
    if start in (b"\xff\xfe", b"\xfe\xff") and not encoding:
        raise DidError(f"{path}: expected text in UTF-8 or cp1252; found UTF-16; save it as UTF-8, or give --encoding "
                       "utf-16")
    for name in [encoding] if encoding else ENCODINGS:
        try:
            table, lines = read_csv(path, str(path), name)
        except DidError as error:
            if encoding or not isinstance(error.__cause__, UnicodeDecodeError):
                raise
            continue
        options = {} if name == "utf-8-sig" else {"encoding": name}
        first = header_row or lines[_header_place(table) or 0]
        if first > lines[0]:
            options["header_row"] = first
            table, lines = below_titles(RawFile(path, str(path)), table, lines, first, [])
        return [plain(cell) for cell in table[0]], table[1:], lines[1:], options
    raise DidError(f"{path}: expected text in UTF-8 or cp1252; found another encoding; save it as UTF-8, or name it by "
                   "--encoding")


def _excel(path: Path, sheet: str | None, header_row: int | None) -> tuple[list[str], list[list[Any]], list[int],
                                                                           dict[str, Any]]:
    if sheet is None:
        with opened(path, str(path)) as book:
            names = book.names
        if len(names) != 1:
            raise DidError(f"{path}: expected --sheet, because the workbook has {len(names)} sheets; found "
                           f"{', '.join(names)}; name one")
        sheet = names[0]
    raw = RawFile(path, str(path))
    if header_row is None:
        place = _header_place(read_sheet(path, str(path), lambda name: name == fold(sheet), sheet).grid)
        if place is None:
            raise DidError(f"{path}, sheet '{sheet}': expected a header row among the first {HEADER_WITHIN}; found "
                           "none; give --header-row")
        header_row = place + 1
    (header, *rows), (_, *lines) = sheet_rows(raw, sheet, header_row, [])
    return [plain(cell) for cell in header], rows, lines, {"sheet": sheet, "header_row": header_row}


def _header_place(grid: list[list[Any]]) -> int | None:
    """Place of the header: the first row with about as many filled cells as the rows of the table have, since those of
    titles and summaries above it have few; None if no row has."""
    filled = [sum(plain(cell) != "" for cell in row) for row in grid[:1000]]
    widths = {width: filled.count(width) * width for width in set(filled) if width > 1}
    if not widths:
        return None
    usual = max(widths, key=lambda width: (widths[width], width))
    return next((place for place, width in enumerate(filled[:HEADER_WITHIN]) if width > 0.7 * usual), None)


def _areas(cells: dict[str, list[str]], given: str | None, units: set[str] | None) -> tuple[str | None, str | None]:
    """The column with the areas' codes and what they are; the pattern that most of its cells fit, or with ``units``
    the column of which most cells are among them."""
    if units is not None:
        shares = {column: sum(cell in units for cell in values) / len(values) for column, values in cells.items()}
        column = max(shares, key=shares.get)
        return given or (column if shares[column] >= 0.6 else None), None
    best: tuple[float, str | None, str | None] = (0.0, given, None)
    for column in [given] if given else cells:
        filled = [cell for cell in cells[column] if cell]
        for area_type, pattern in CODES.items():
            share = sum(re.fullmatch(pattern, cell) is not None for cell in filled) / max(len(filled), 1)
            if share > best[0] and share >= 0.6:
                best = (share, column, area_type)
    return best[1], best[2]


def _periods(header: list[str], rows: list[list[Any]], cells: dict[str, list[str]], given: str | None,
             area_column: str | None) -> tuple[str | None, str | None, list[str]]:
    """The column with the periods, their kind, and the periods in order."""
    columns = [given] if given else [label for label in header if label != area_column]
    for column in columns:
        place = header.index(column)
        found = [row[place] for row in rows if place < len(row) and plain(row[place])]
        frequency = kind_of(found)
        # Years are numbers too: a column of counts is no column of periods.
        plausible = frequency != "Y" or given or all(1980 <= int(plain(cell)) <= 2100 for cell in found)
        if frequency and plausible and (given or len(set(map(plain, found))) > 1):
            return column, frequency, sorted({read_period(cell, frequency) for cell in found})
    # A column with a few mistakes is still the column of periods: its reader names the cell.
    for column in columns:
        words = [word for word in set(cells[column]) if word]
        for frequency in ("FY", "Q", "M"):
            read = [word for word in words if reads(word, frequency)]
            if len(read) >= 0.8 * len(words) > 1:
                return column, frequency, sorted({read_period(word, frequency) for word in read})
    return given, None, []


def _across(header: list[str]) -> tuple[list[str], str | None, list[str]]:
    """The columns that are headed by a period, of the kind that heads most of them."""
    best: tuple[list[str], str | None] = ([], None)
    for frequency in ("FY", "Q", "M", "Y"):
        labels = [label for label in header if kind_of([label]) and reads(label, frequency)]
        if len(labels) > max(len(best[0]), 1):
            best = (labels, frequency)
    labels, frequency = best
    return labels, frequency, sorted(read_period(label, frequency) for label in labels) if frequency else []


def _marks(cells: dict[str, list[str]], besides: set[str | None]) -> tuple[dict[str, list[str]], bool]:
    """Marks of suppression and absence that stand among numbers, and whether a number is written with %."""
    found: dict[str, set[str]] = {kind: set() for kind in MARKS}
    has_percent = False
    for column, values in cells.items():
        if column in besides or not any(re.match(r"[\d.]", value) for value in values):
            continue
        words = set(values)
        has_percent |= any(re.fullmatch(r"[\d.,]+%", word) for word in words)
        for what, marks in MARKS.items():
            found[what] |= words & set(marks)
    return {what: sorted(marks) for what, marks in found.items() if marks}, has_percent

