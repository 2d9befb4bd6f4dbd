"""Grids of cells and the .xls files they are saved as, the same bytes for the same cells."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Grid = dict[tuple[int, int], Any]
SYNTHETIC = "SYNTHETIC demonstration data, made up by did simulate: no publisher's figures"


def put(grid: Grid, row: int, column: int, values: Sequence[Any]) -> None:
    """Put ``values`` into a row from a column on (both counted from 0); an empty text is an empty cell."""
    grid.update({(row, column + step): value for step, value in enumerate(values) if value != ""})


def save(path: Path, sheets: Mapping[str, Mapping[tuple[int, int], Any]]) -> None:
    """Save grids as the sheets of an .xls workbook; None is an empty cell. Equal cells give equal bytes."""
    import xlwt
    from xlwt.Cell import NumberCell, StrCell

    book = xlwt.Workbook()
    plain = book.add_style(xlwt.Style.default_style)
    for title, grid in sheets.items():
        sheet = book.add_sheet(title)
        cells = [(row, column, value) for (row, column), value in grid.items() if value is not None]
        ends: dict[int, tuple[int, int]] = {}
        for row, column, _ in cells:
            first, last = ends.get(row, (column, column))
            ends[row] = min(first, column), max(last, column)
        for row, column, value in cells:
            if column in ends[row]:   # a row knows its ends from them
                sheet.write(row, column, value)
            else:
                sheet.row(row).insert_cell(column, StrCell(row, column, plain, book.add_str(value))
                                           if isinstance(value, str) else NumberCell(row, column, plain, value))
    book.save(str(path))


def save_csv(path: Path, rows: Iterable[Sequence[Any]], *, line_end: str = "\n") -> None:
    """Save rows as UTF-8 CSV, texts quoted where they hold a comma."""
    text = io.StringIO()
    csv.writer(text, lineterminator=line_end).writerows(rows)
    Path(path).write_bytes(text.getvalue().encode())
