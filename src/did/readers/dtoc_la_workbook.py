"""NHS England's monthly workbooks of delayed transfers of care by local authority ("LA Type B").

One workbook a month; only the sheet "LA - by responsible org" is read. Its five layouts since April 2011
differ in the columns before the code and in a second block (beds), so the columns are found by their
labels and only the first block is taken. Every workbook is reconciled before any of it is believed.

Source: https://www.england.nhs.uk/statistics/statistical-work-areas/delayed-transfers-of-care/
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from did.errors import DidError, listed, suggest
from did.readers import RawFile
from did.readers.periods import read_period
from did.readers.spreadsheet import (
    LAYOUT,
    Sheet,
    cell_name,
    fault,
    fold,
    header_row,
    plain,
    raise_first,
    read_csv,
    read_sheet,
    whole_number,
)

OPTIONS = {"reference": "folder of dtoc_authorities.csv (default data/reference)"}

SHEET = "LA - by responsible org"
MEASURES = {"nhs": "NHS", "social_care": "Social Care", "both": "Both", "total": "Total"}
LABELS = ["Code", "Name", *MEASURES.values()]
ENGLAND = "E92000001"
REFERENCE = "dtoc_authorities.csv"
REFERENCE_COLUMNS = ["nhs_code", "ons_code", "name", "area_type", "first_period", "last_period"]

COMMON = ["area_code", "period", "area_name", "area_type", "file", "sheet", "row", "is_synthetic"]
Days = tuple[int, ...]
Dashes = tuple[bool, ...]

NOTE_DASH = "'-' with total 0: nothing reported; zero by rule"
NOTE_ZERO = "all zero; kept, flagged"


@dataclass(frozen=True)
class Authority:
    """One line of the reference table: an NHS code, its ONS code and the months in which it holds."""

    nhs_code: str
    ons_code: str
    name: str
    area_type: str
    first_period: str
    last_period: str

    def holds(self, period: str) -> bool:
        return self.first_period <= period and (not self.last_period or period <= self.last_period)


@dataclass(frozen=True)
class Header:
    """Where the table's columns are, counted from 0; ``ons`` is None in layouts without ONS codes."""

    row: int
    code: int
    name: int
    ons: int | None
    values: tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """One row of a workbook: days by NHS, social care, both and total; ``dashes`` marks cells with '-'."""

    place: int
    code: str
    name: str
    ons_code: str
    days: Days
    dashes: Dashes


@dataclass(frozen=True)
class Book:
    """One reconciled workbook; ``authorities`` gives the reference line of each row but England's, ``sheet`` the name
    of its sheet."""

    raw: RawFile
    period: str
    england: Row
    rows: list[Row]
    authorities: list[Authority]
    sheet: str


def read(source_id: str, files: list[RawFile], options: dict[str, Any]) -> pd.DataFrame:
    """Return observations of delayed days: nhs, social_care, both and total of each area and month.

    Units are days in the month. Areas are upper-tier authorities (``utla``, ONS code), England (``country``)
    and residents of Wales, Scotland and elsewhere (``outside_england``, codes 9900 to 9902), who are part of
    the England row. A ``-`` with total 0 is 0 with status ``zero_by_rule``. An authority whose row is zero
    throughout is kept and says so in ``note``. Layouts without ONS codes get them from the earliest later
    workbook that has the code, else from the reference table; ``note`` says which.

    DidError, naming file, sheet and cell: no such sheet, label or England row; period other than the
    file's; text, a negative or a part of a day in a number cell; ``-`` alongside a total that is not 0; a code
    unknown, used twice, or with another authority's name or ONS code; parts that do not add up to the
    total; rows that do not add up to England. Also for two files of one month and for a month missing
    between the first and the last.
    """
    reference = read_reference(Path(options.get("reference", "data/reference")))
    books = sorted((read_book(raw, reference) for raw in files), key=lambda book: book.period)
    _check_months(books)
    return _observations(source_id, books)


def read_reference(folder: Path) -> dict[str, list[Authority]]:
    """Return the lines of ``dtoc_authorities.csv`` by NHS code.

    An empty first or last period means from the first workbook, or to the last. DidError: no such file, or
    a column missing.
    """
    path = folder / REFERENCE
    if not path.exists():
        raise DidError(fault(str(path), "the table of authorities", "no file",
                             "run from the project's folder or set the reader's option 'reference'"))
    (header, *rows), _ = read_csv(path, str(path))
    missing = [column for column in REFERENCE_COLUMNS if column not in header]
    if missing:
        raise DidError(fault(str(path), f"columns {', '.join(REFERENCE_COLUMNS)}", ", ".join(header),
                             f"add {', '.join(missing)}"))
    places = [header.index(column) for column in REFERENCE_COLUMNS]
    authorities: dict[str, list[Authority]] = {}
    for row in rows:
        authority = Authority(*(row[place].strip() for place in places))
        authorities.setdefault(authority.nhs_code, []).append(authority)
    return authorities


def read_book(raw: RawFile, reference: dict[str, list[Authority]]) -> Book:
    """Return a workbook, reconciled; DidError as in :func:`read`, the first problem and how many."""
    sheet = read_sheet(raw.path, raw.name, lambda name: name == fold(SHEET), SHEET)
    header = find_header(sheet)
    problems: list[str] = []
    period = _period(sheet, header, raw, problems)
    everyone = _rows(sheet, header, problems)
    england = [row for row in everyone if _is_england(row)]
    rows = [row for row in everyone if not _is_england(row)]
    authorities = _authorities(sheet, header, rows, period, reference, problems)
    _check_once(sheet, header, everyone, problems)
    if not problems:
        _check_sums(sheet, header, rows, england[0], problems)
    raise_first(problems)
    return Book(raw, period, england[0], rows, authorities, sheet.name)


def find_header(sheet: Sheet) -> Header:
    """Return the place of each column by its label, taking the first block of four measures.

    The block is the run of labels from Name to the next empty or repeated one, so that a label missing
    from it is never taken from the block of beds alongside it. DidError: no header, a label missing, or a
    first block headed other than delayed days.
    """
    grid = sheet.grid
    row = header_row(sheet, [fold(label) for label in LABELS])
    labels = [fold(cell) for cell in grid[row]]
    start = labels.index("name") if "name" in labels else 0
    block: dict[str, int] = {}
    for column in range(start, len(labels)):
        if labels[column] in block or (not labels[column] and block):
            break
        if labels[column]:
            block[labels[column]] = column
    if "code" in labels:
        block.setdefault("code", labels.index("code"))
    for label in LABELS:
        if fold(label) not in block:
            found = [plain(cell) for cell in grid[row] if plain(cell)]
            close = suggest(label, [word for word in found if word != label])
            raise DidError(fault(f"{sheet.where}, row {row + 1}", f"a column '{label}' in the first block",
                                 f"columns {listed(found, 40)}{close}", LAYOUT))
    values = tuple(block[fold(label)] for label in MEASURES.values())
    title = plain(grid[row - 1][values[0]]) if row else ""
    if fold(title) not in ("", "delayed days"):
        at = sheet.cell(row - 1, values[0])
        raise DidError(fault(at, "the first block to be 'Delayed Days'", f"'{title}'", LAYOUT))
    ons = labels.index("ons geography") if "ons geography" in labels else None
    return Header(row, block["code"], block["name"], ons, values)


def _period(sheet: Sheet, header: Header, raw: RawFile, problems: list[str]) -> str:
    """Return the month in the cell after ``Period:`` above the table; a problem if the file's is another."""
    for place, row in enumerate(sheet.grid[: header.row]):
        labels = [fold(cell) for cell in row]
        if "period:" not in labels[:-1]:
            continue
        column = labels.index("period:") + 1
        at, found = sheet.cell(place, column), plain(row[column])
        try:
            period = read_period(row[column], "M")
        except ValueError:
            raise DidError(fault(at, "the month, such as 'April 2011'", f"'{found}'")) from None
        if raw.period not in (None, period):
            problems.append(fault(at, f"the month of this file, {raw.period}",
                                  f"'{found}', so it is the file of {period}",
                                  "fetch it again, or fix its address or period in the registry"))
        return period
    raise DidError(fault(sheet.where, "a cell 'Period:' above the table", f"none in {header.row} rows"))


def _rows(sheet: Sheet, header: Header, problems: list[str]) -> list[Row]:
    """Return the rows that have a code; rows without one must hold no name and no figures (notes do not)."""
    rows = []
    for place in range(header.row + 1, len(sheet.grid)):
        cells = sheet.grid[place]
        code, name = plain(cells[header.code]), plain(cells[header.name])
        values = [cells[column] for column in header.values]
        if not code:
            if name or any(value != "" for value in values):
                at = sheet.cell(place, header.code)
                problems.append(fault(at, f"the code of '{name}'" if name else "a code alongside the figures",
                                      "an empty cell"))
            continue
        ons_code = plain(cells[header.ons]) if header.ons is not None else ""
        days, dashes = _days(sheet, header, place, values, problems)
        rows.append(Row(place, code, name, "" if ons_code == "-" else ons_code, days, dashes))
    return rows


def _days(sheet: Sheet, header: Header, place: int, values: list[Any],
          problems: list[str]) -> tuple[Days, Dashes]:
    """Return four counts of days and whether each was a ``-``; a cell that is neither is a problem."""
    dashes = tuple(value == "-" for value in values)
    days = []
    for value, dash, column in zip(values, dashes, header.values, strict=True):
        if dash and values[-1] != 0:
            problems.append(fault(sheet.cell(place, column), "a number of days ('-' only where Total is 0)",
                                  f"'-' alongside Total '{plain(values[-1])}'"))
        try:
            days.append(0 if dash else whole_number(value))
        except ValueError as found:
            days.append(0)
            problems.append(fault(sheet.cell(place, column), "a whole number of days", found))
    return tuple(days), dashes


def _is_england(row: Row) -> bool:
    return fold(row.name) == "england"


def _authorities(sheet: Sheet, header: Header, rows: list[Row], period: str,
                 reference: dict[str, list[Authority]], problems: list[str]) -> list[Authority]:
    """Return the reference line of each row; an unknown code, or another's name or ONS code, is a problem."""
    owners = {_bare(line.name): line.nhs_code for lines in reference.values() for line in lines}
    found = []
    for row in rows:
        at = sheet.cell(row.place, header.code)
        if row.code == "-":
            problems.append(fault(sheet.cell(row.place, header.name), "'England' alongside code '-'", f"'{row.name}'"))
            continue
        lines = [line for line in reference.get(row.code, []) if line.holds(period)]
        if not lines:
            why = "not in that table" if row.code not in reference else f"not in use in {period}"
            problems.append(fault(at, f"a code of {REFERENCE}", f"'{row.code}' ({row.name}), {why}",
                                  "fetch the file again, or add the authority to that table"))
            continue
        line = lines[0]
        owner = owners.get(_bare(row.name), row.code)
        if owner != row.code:
            problems.append(fault(at, f"code '{owner}' of '{row.name}' as in {REFERENCE}",
                                  f"'{row.code}', the code of '{line.name}'"))
        if row.ons_code and row.ons_code != line.ons_code:
            problems.append(fault(sheet.cell(row.place, header.ons), f"ONS code '{line.ons_code or '-'}' for "
                                  f"{row.code} {row.name} as in {REFERENCE}", f"'{row.ons_code}'",
                                  "fetch the file again, or fix that table"))
        found.append(line)
    return found


@functools.lru_cache(4096)
def _bare(name: str) -> str:
    """Return a name without the publisher's ``UA``, case and punctuation, to compare."""
    return re.sub(r"[^a-z]", "", re.sub(r"\bua\b", "", fold(name)))


def _check_once(sheet: Sheet, header: Header, rows: list[Row], problems: list[str]) -> None:
    """A code in two rows, or other than one England row, is a problem."""
    first: dict[str, str] = {}
    for row in rows:
        key = "England" if _is_england(row) else row.code
        if key in first:
            problems.append(fault(sheet.cell(row.place, header.code), "each authority once",
                                  f"'{key}' ({row.name}) again, first in {first[key]}"))
        first.setdefault(key, cell_name(row.place, header.code))
    if "England" not in first:
        found = f"none among {len(rows)} rows"
        problems.append(fault(sheet.where, "a row 'England' in the column Name", found))


def _check_sums(sheet: Sheet, header: Header, rows: list[Row], england: Row,
                problems: list[str]) -> None:
    """Parts that do not add up to a row's total, or rows that do not add up to England, are problems."""
    names = list(MEASURES.values())
    for row in [england, *rows]:
        *parts, total = row.days
        if sum(parts) != total:
            terms = " + ".join(f"{name} {days}" for name, days in zip(names, parts, strict=False))
            problems.append(fault(sheet.cell(row.place, header.values[3]),
                                  f"Total {sum(parts)} of {row.name} ({terms})", total))
    sums = [sum(days) for days in zip(*(row.days for row in rows), strict=True)] or [0] * len(names)
    for name, column, found, expected in zip(names, header.values, england.days, sums, strict=True):
        if expected != found:
            problems.append(fault(sheet.cell(england.place, column),
                                  f"England {name} {expected}, the sum of its {len(rows)} rows", found))


def _check_months(books: list[Book]) -> None:
    """Raise DidError for two workbooks of one month, or for a month missing between first and last."""
    present: dict[str, str] = {}
    for book in books:
        if book.period in present:
            raise DidError(fault(book.raw.name, f"the only workbook of {book.period}",
                                 f"{present[book.period]} of that month too", "remove one of them"))
        present[book.period] = book.raw.name
    first, last = books[0].period, books[-1].period
    gaps = [month for month in _months(first, last) if month not in present]
    if gaps:
        more = f" and {len(gaps) - 1} more" if len(gaps) > 1 else ""
        raise DidError(fault(f"{present[first]} to {present[last]}",
                             f"a workbook of each month from {first} to {last}",
                             f"none of {gaps[0]}{more}", "fetch it, or add it to the source"))


def _months(first: str, last: str) -> list[str]:
    """Return every month from ``first`` to ``last``, both ISO text and both included."""
    start, end = (int(month[:4]) * 12 + int(month[5:]) - 1 for month in (first, last))
    return [f"{month // 12}-{month % 12 + 1:02d}" for month in range(start, end + 1)]


def _observations(source_id: str, books: list[Book]) -> pd.DataFrame:
    """Return one line per area, month and measure, in the order of the months and the workbooks' rows."""
    coded: dict[tuple[str, str], list[str]] = {}
    for book in books:
        for row in book.rows:
            if row.ons_code:
                coded.setdefault((row.code, row.ons_code), []).append(book.period)
    columns: dict[str, list[Any]] = {name: [] for name in ("value", "status", "note")}
    rows: list[tuple[Any, ...]] = []   # what the measures of a row have in common

    def add(book: Book, row: Row, code: str, area_type: str, notes: list[str]) -> None:
        columns["value"] += row.days
        columns["status"] += ["zero_by_rule" if dash else "ok" for dash in row.dashes]
        columns["note"] += ["; ".join([NOTE_DASH, *notes] if dash else notes) for dash in row.dashes]
        rows.append((code, book.period, row.name, area_type, book.raw.name, book.sheet, row.place + 1,
                     book.raw.is_synthetic))

    for book in books:
        add(book, book.england, ENGLAND, "country", [])
        for row, line in zip(book.rows, book.authorities, strict=True):
            notes = [NOTE_ZERO] if line.ons_code and not any(row.days) else []
            if line.ons_code and not row.ons_code:
                later = [month for month in coded.get((row.code, line.ons_code), []) if month > book.period]
                notes.append(f"ONS code carried back from {later[0]}" if later
                             else f"ONS code from {REFERENCE}")
            add(book, row, line.ons_code or row.code, line.area_type, notes)
    nan, n = float("nan"), len(rows)
    frame = pd.DataFrame(rows, columns=COMMON).take(np.repeat(np.arange(n), len(MEASURES))).reset_index(drop=True)
    return frame.assign(measure=[*MEASURES] * n, **columns, source=source_id, frequency="M", numerator=nan,
                        denominator=nan)
