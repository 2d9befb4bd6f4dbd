"""A table with a header row on a sheet of an Excel workbook: long, wide, or a column per period.

The options are those of `did.readers.tidy_csv`, with the sheet and the row of the header.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from did.errors import DidError
from did.readers import RawFile, tidy_csv
from did.readers.spreadsheet import fault, fold, plain, read_sheet

OPTIONS = {
    "sheet": "name of the sheet",
    **{key: words for key, words in tidy_csv.OPTIONS.items() if key != "encoding"},
}

measures = tidy_csv.measures


def read(source_id: str, files: list[RawFile], options: dict[str, Any]) -> pd.DataFrame:
    """Return the observations of sheets, as `did.readers.tidy_csv.read` does of CSV files.

    Empty rows are not read, nor are rows with one filled cell, which are titles and notes and are counted in
    ``attrs["left_out"]``, nor columns without a header. Cells that hold dates are read as such. A
    number of an .xlsx sheet formatted as a percentage is what it shows: 0.65 is 65%.

    DidError as `did.readers.tidy_csv.read`, and for: no such sheet (naming those there are); a file that is no
    workbook; a header row that is not a whole number from 1 or lies below the table.
    """
    check(source_id, options)
    row = options.get("header_row", 1)
    left_out: list[str] = []
    tables = []
    for raw in files:
        tidy_csv.refuse_large(raw.path, raw.name)
        tables.append((raw, *sheet_rows(raw, options["sheet"], row, left_out)))
    table = tidy_csv.observations(source_id, tables, options)
    table.attrs["left_out"] = left_out + table.attrs["left_out"]
    return table


def check(source_id: str, options: dict[str, Any]) -> None:
    """Raise DidError for an option that is needed and missing, of a wrong kind, or of another layout."""
    if not isinstance(options.get("sheet"), str) or not options["sheet"]:
        raise DidError(f"source {source_id}, reader excel_table: option 'sheet' is missing: expected "
                       f"{OPTIONS['sheet']}; add it to the source")
    tidy_csv.check(source_id, options, "excel_table")


def sheet_rows(raw: RawFile, sheet: str, header_row: int, left_out: list[str]) -> tuple[list[list[Any]], list[int]]:
    """Return the header and the rows below it, and the row number of each; see `read` for what is left out."""
    page = read_sheet(raw.path, raw.name, lambda name: name == fold(sheet), sheet, as_shown=True)
    if header_row > len(page.grid):
        raise DidError(fault(page.where, f"the header in row {header_row}", f"{len(page.grid)} rows",
                             "correct the source's option 'header_row'"))
    header = page.grid[header_row - 1]
    places = [place for place, cell in enumerate(header) if plain(cell)]
    if len(places) < 2:
        raise DidError(fault(f"{page.where}, row {header_row}", "a header with a label in each column",
                             f"{len(places)} labels", "correct the source's option 'header_row'"))
    rows, lines, notes = [[header[place] for place in places]], [header_row], 0
    for line, cells in enumerate(page.grid[header_row:], start=header_row + 1):
        row = [cells[place] for place in places]
        filled = sum(plain(cell) != "" for cell in row)
        if filled < 2 < len(places) or not filled:
            notes += filled > 0
            continue
        rows.append(row)
        lines.append(line)
    if notes:
        left_out.append(f"{raw.name}: {notes} rows with one filled cell (titles or notes): not read")
    return rows, lines
