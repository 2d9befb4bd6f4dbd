"""What the readers share: opening sheets and CSV files, naming cells, and reading numbers."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from did.errors import DidError
from did.readers.limits import csv_rows, refuse_compressed, refuse_large
from did.readers.workbook import opened

Grid = list[list[Any]]

AGAIN = "fetch the file again or ask the publisher"
LAYOUT = "fetch the file again, or check whether its layout has changed"
_HEADER_WITHIN = 40
# Beyond it a floating-point number no longer tells one from the next.
_MOST = 2**53
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_GROUPED = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)


def cell_name(row: int, column: int) -> str:
    """Return a spreadsheet's name for a cell: row 16, column 3 (both counted from 0) is ``D17``."""
    letters = ""
    column += 1
    while column:
        column, letter = divmod(column - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return f"{letters}{row + 1}"


def fold(cell: Any) -> str:
    """Return a cell as a label to compare: spaces collapsed, case ignored, ``87.0`` as ``87``."""
    return plain(cell).casefold()


def plain(cell: Any) -> str:
    """Return a cell as text: spaces collapsed, a whole number without its decimals, an empty cell as ''."""
    if isinstance(cell, str) and cell.isalnum():   # no spaces: most cells of a large file
        return cell
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return " ".join(str(cell).split())


@dataclass(frozen=True)
class Sheet:
    """A sheet, or a CSV file, as a grid from A1; ``where`` names the file (and sheet) in messages.

    ``is_text`` says that every cell is text, as in a CSV file, so that numbers have to be read from it; ``name`` is
    that of the sheet, "" of a CSV file.
    """

    where: str
    grid: Grid
    is_text: bool = False
    name: str = ""

    def cell(self, row: int, column: int) -> str:
        """Return the name of a cell with its file and sheet; row and column are counted from 0."""
        return f"{self.where}, cell {cell_name(row, column)}"


def fault(at: str, expected: str, found: object, remedy: str = AGAIN) -> str:
    """Return the one line that says where, what was expected, what was found and what to do."""
    return f"{at}: expected {expected}; found {found}; {remedy}"


def read_sheet(path: Path, name: str, wanted: Callable[[str], bool], expected: str, *,
               as_shown: bool = False) -> Sheet:
    """Return the one sheet of a workbook (.xls or .xlsx) whose folded name satisfies ``wanted``.

    Rows are all of one length and empty cells ``''``. Only that sheet is read. ``name`` is the file's name
    and ``expected`` the sheet's usual name, for messages; ``as_shown`` is that of `Workbook.cells`.
    DidError: no file, not a workbook, no such sheet or more than one (the sheets found are listed), an empty sheet, a
    file beyond a limit (`did.readers.limits`).
    """
    with opened(path, name) as workbook:
        found = workbook.names
        sheets = [sheet for sheet in found if wanted(fold(sheet))]
        grid = workbook.cells(sheets[0], as_shown=as_shown) if len(sheets) == 1 else []
    if len(sheets) != 1:
        listed = ", ".join(f"'{sheet}'" for sheet in found)
        many = "no such sheet" if not sheets else f"{len(sheets)} such sheets"
        raise DidError(fault(name, f"one sheet '{expected}'", f"{many} among {listed}", LAYOUT))
    where = f"{name}, sheet '{sheets[0]}'"
    if not grid:
        raise DidError(fault(where, "a table", "an empty sheet"))
    return Sheet(where, grid, name=sheets[0])


def _told(error: Exception) -> str:
    return "a quotation mark is opened and never closed" if "unexpected end of data" in str(error) else str(error)


def read_csv(path: Path, name: str, encoding: str = "utf-8-sig", remedy: str = "") -> tuple[Grid, list[int]]:
    """Return the rows of a comma-separated file as text, and the line number each ends on.

    Lines with nothing in any cell are left out. ``remedy`` is what to do about a file that has no rows or cannot be
    read; by default to fetch it again. DidError: no file, text not in ``encoding``, no rows, a
    compressed file, a file beyond a limit (`did.readers.limits`).
    """
    rows: Grid = []
    lines: list[int] = []
    refuse_large(path, name)
    refuse_compressed(path, name)
    try:
        with open(path, encoding=encoding, newline="") as file:
            for line, row in csv_rows(name, file, strict=True):
                if any(map(str.strip, row)):
                    rows.append(row)
                    lines.append(line)
    except (OSError, csv.Error, ValueError, LookupError) as error:
        raise DidError(fault(name, f"a CSV file in {encoding}", f"one that cannot be read ({_told(error)})",
                             remedy or "fetch it again or name its encoding")) from error
    if not rows:
        raise DidError(fault(name, "a header and rows", "an empty file", remedy or "fetch it again"))
    return rows, lines


def header_row(sheet: Sheet, labels: Sequence[str]) -> int:
    """Return the index of the row, among the first 40, that holds most of the folded ``labels``.

    The first such row wins. DidError if no row holds at least half of them.
    """
    hits = [len({fold(cell) for cell in row} & set(labels)) for row in sheet.grid[:_HEADER_WITHIN]]
    best = max(hits, default=0)
    if best * 2 < len(labels):
        raise DidError(fault(sheet.where, f"a header row with the labels {', '.join(labels[:6])}",
                             f"none in the first {_HEADER_WITHIN} rows", LAYOUT))
    return hits.index(best)


def whole_number(cell: Any) -> int:
    """Return a cell of a sheet as a count.

    ValueError, worded to follow "found", if it is empty, text, negative or not whole.
    """
    if type(cell) is float and 0 <= cell <= _MOST and cell.is_integer():   # nearly every cell that is asked about
        return int(cell)
    if isinstance(cell, bool) or not isinstance(cell, (int, float)):
        raise ValueError("an empty cell" if cell == "" else f"text '{plain(cell)}'")
    if not 0 <= cell <= _MOST:
        raise ValueError(f"{cell:g}, not a count")
    if not float(cell).is_integer():
        raise ValueError(f"{cell!r}, not a whole number")
    return int(cell)


def number(text: str) -> float:
    """Return the number written in ``text``, with or without thousands commas (``1,234.5``).

    ValueError, worded to follow "found", for anything else, ``nan`` and ``12%`` among it.
    """
    text = text.strip()
    if len(text) <= 15 and text.isascii() and text.isdigit():   # most cells of a large file
        return float(text)
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    if len(text) > 400 or not _NUMBER.fullmatch(text):
        raise ValueError(f"text '{text[:60]}'" if text else "an empty cell")
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"'{text}', too large a number")
    return value


def raise_first(problems: Sequence[str]) -> None:
    """Raise DidError with the first of ``problems`` and how many more there are; if none, do nothing."""
    if problems:
        more = len(problems) - 1
        tail = f" (and {more} more problem{'s' if more > 1 else ''} in this file)" if more else ""
        raise DidError(problems[0] + tail)
