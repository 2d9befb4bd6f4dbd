"""A sheet of a workbook, whose cells are written without asking what they could be but are not."""

from __future__ import annotations

from typing import Any

from xlsxwriter.utility import xl_rowcol_to_cell_fast
from xlsxwriter.worksheet import Worksheet


class Sheet(Worksheet):
    """xlsxwriter's sheet, to be given to ``Workbook.add_worksheet`` as ``worksheet_class``. Most of a workbook's time
    goes into writing its cells as XML; nearly all are numbers or strings with a format of their own."""

    # A cell's place is a row and a column, never "A1", which the public methods look for in each.
    write_number, write_string = Worksheet._write_number, Worksheet._write_string

    def _write_cell(self, row: int, col: int, cell: Any) -> None:
        kind = type(cell).__name__
        if cell.format is None or kind not in ("Number", "String"):
            return super()._write_cell(row, col, cell)
        start = f'<c r="{xl_rowcol_to_cell_fast(row, col)}" s="{cell.format._get_xf_index()}"'
        self.fh.write(f"{start}><v>{cell.number:.16G}</v></c>" if kind == "Number" else
                      f'{start} t="s"><v>{cell.string}</v></c>')
        return None
