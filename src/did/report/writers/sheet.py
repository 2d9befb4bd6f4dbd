"""A sheet of a workbook whose table is written a column at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

LONGEST = 32_767   # units of UTF-16 in a cell of Excel


class Sheet(Worksheet):
    """xlsxwriter's sheet, to be given to ``Workbook.add_worksheet`` as ``worksheet_class``. Most of a workbook's time
    goes into its cells, as objects and then as XML: here those of a column are made as XML together."""

    def __init__(self) -> None:
        super().__init__()
        self.top = 0
        self.columns: list[list[str]] = []

    def fill(self, top: int, place: int, values: Sequence[str | float], text: Format,
             numbers: Sequence[Format]) -> None:
        """Write the column ``place`` from the row ``top`` down, both counted from 0: strings in the format ``text``,
        numbers in their rows' of ``numbers``. All columns begin in one row and are as long; what is written there cell
        by cell lies to the left. ValueError for a number that is not finite."""
        if not values:
            return
        for row in (top, top + len(values) - 1):
            self._check_dimensions(row, place)
        column, as_text = xl_col_to_name(place), text._get_xf_index()
        index = self.str_table._get_shared_string_index
        cells = []
        for row, (value, form) in enumerate(zip(values, numbers, strict=True), start=top + 1):
            if isinstance(value, str):
                cells.append(f'<c r="{column}{row}" s="{as_text}" t="s"><v>{index(_fitting(value))}</v></c>')
            elif math.isfinite(value):
                cells.append(f'<c r="{column}{row}" s="{form._get_xf_index()}"><v>{value:.16G}</v></c>')
            else:
                raise ValueError(f"{self.name}!{column}{row}: expected a finite number; found {value}")
        self.top = top
        self.columns.append(cells)

    def _write_rows(self) -> None:
        last, self.dim_rowmax = self.dim_rowmax, self.top - 1 if self.columns else self.dim_rowmax
        super()._write_rows()
        self.dim_rowmax = last
        for row, cells in enumerate(zip(*self.columns, strict=True), start=self.top):
            self._write_row(row, None, self.row_info.get(row))
            for place, cell in self.table.get(row, {}).items():
                self._write_cell(row, place, cell)
            self.fh.write("".join(cells))
            self._xml_end_tag("row")


def _fitting(text: str) -> str:
    """As much of a text as a cell takes."""
    if len(text) <= LONGEST // 2:   # whatever its characters are
        return text
    return text.encode("utf-16-le")[:2 * LONGEST].decode("utf-16-le", "ignore")
