"""Grids of cells and the .xls files they are saved as, the same bytes for the same cells."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Grid = dict[tuple[int, int], Any]
SYNTHETIC = "SYNTHETIC demonstration data, made up by did simulate: no publisher's figures"


def put(grid: Grid, row: int, column: int, values: Sequence[Any]) -> None:
    """Put ``values`` into a row from a column on (both counted from 0); an empty text is an empty cell."""
    for at, value in enumerate(values, column):
        if value != "":
            grid[row, at] = value


def save(path: Path, sheets: Mapping[str, Mapping[tuple[int, int], Any]]) -> None:
    """Save grids as the sheets of an .xls workbook; None is an empty cell. Equal cells give equal bytes."""
    import xlwt

    book = xlwt.Workbook()
    style = book.add_style(xlwt.Style.default_style)
    for title, grid in sheets.items():
        sheet = book.add_sheet(title)
        held = {place: value for place, value in grid.items() if value is not None}
        places = np.fromiter(itertools.chain.from_iterable(held), dtype=int).reshape(-1, 2)
        rows = _Rows(_records(*places.T, list(held.values()), book.add_str, style))
        sheet.Row = lambda *_, rows=rows: rows
        sheet.row(0)
        (sheet.first_used_row, sheet.first_used_col), (sheet.last_used_row, sheet.last_used_col) = (
            each(axis=0).tolist() for each in (places.min, places.max))
    book.save(str(path))


@dataclasses.dataclass(frozen=True)
class _Rows:
    """All rows of a sheet: xlwt takes it for one row, and writes what these methods give."""

    content: bytes
    level = 0

    def get_row_biff_data(self) -> bytes:
        return self.content

    def get_cells_biff_data(self) -> bytes:
        return b""


def _records(row: np.ndarray, column: np.ndarray, values: Sequence[Any], numbered: Callable[[str], int], style: int
             ) -> bytes:
    """Return the records of all rows and cells, as xlwt writes them one by one: of each row one of its own and those of
    its cells, texts by their number in the workbook, whole numbers and hundredths in 30 bits, those that are next to
    each other in one record, and other numbers as floats (ROW, LABELSST, RK, MULRK and NUMBER of [MS-XLS]).
    """
    texts = [isinstance(value, str) for value in values]
    is_text = np.array(texts, dtype=bool)
    number = np.array([numbered(value) if text else value for value, text in zip(values, texts, strict=True)],
                      dtype=float)
    _, first, which = np.unique(row, return_index=True, return_inverse=True)
    by_place = np.lexsort((column, first[which]))   # rows in the order in which they first come
    row, column, number, is_text = row[by_place], column[by_place], number[by_place], is_text[by_place]
    hundredths = np.rint(number * 100)
    is_whole, is_hundredths = ((each >= -2**29) & (each < 2**29) & same for each, same in (
        (number, number == np.trunc(number)), (number * 100, hundredths / 100 == number)))
    is_short = ~is_text & (is_whole | is_hundredths)
    is_float = ~is_text & ~is_short
    short = np.where(is_short, np.where(is_whole, number, hundredths), 0).astype(int) * 4 + np.where(is_whole, 2, 3)
    short = np.where(is_text, number, short).astype("<i4").view("<u2").reshape(-1, 2)
    long = number.astype("<f8").view("<u2").reshape(-1, 4)

    new_row = np.append(True, row[1:] != row[:-1])
    joins = is_short[1:] & is_short[:-1] & ~new_row[1:] & (column[1:] == column[:-1] + 1)
    starts, ends = np.append(True, ~joins), np.append(~joins, True)
    # What each cell adds, in units of two bytes: the record of its row, the head of a record, itself, and the end.
    size = 10 * new_row + 4 * starts + np.where(is_float, 5, 3) + (ends & ~starts)
    found = np.zeros(size.sum(), dtype="<u2")

    def write(place: np.ndarray, *held: Any) -> None:
        for step, value in enumerate(held):
            found[place + step] = value

    place = np.cumsum(size) - size
    write(place[new_row], 0x208, 16, row[new_row], 0, column[np.append(new_row[1:], True)] + 1, 0xFF, 0, 0, 0x100, 0xF)
    place += 10 * new_row
    together = np.diff(np.append(np.flatnonzero(starts), len(row)))
    kind = np.where(is_text, 0xFD, np.where(is_short, 0x27E, 0x203))[starts]
    length = np.where(is_float, 14, 10)[starts]
    write(place[starts], np.where(together > 1, 0xBD, kind), np.where(together > 1, 6 * together + 6, length),
          row[starts], column[starts])
    place += 4 * starts
    write(place, style)
    write(place[~is_float] + 1, *short[~is_float].T)
    write(place[is_float] + 1, *long[is_float].T)
    write(place[ends & ~starts] + 3, column[ends & ~starts])
    return found.tobytes()


def save_csv(path: Path, rows: Iterable[Sequence[Any]], *, line_end: str = "\n") -> None:
    """Save rows as UTF-8 CSV, texts quoted where they hold a comma."""
    text = io.StringIO()
    csv.writer(text, lineterminator=line_end).writerows(rows)
    Path(path).write_bytes(text.getvalue().encode())
